//! Token stores that have a token at once, so that a test begins with the call itself.

use std::sync::{Arc, Mutex, PoisonError};

use std::time::Duration;

use daraja::{
    secret::AccessToken,
    simulator::Simulator,
    token::{StoreError, StoredToken, TokenKey, TokenStore},
    transport::BoxFuture,
};

/// Always the same token.
pub(crate) struct Stored;

impl TokenStore for Stored {
    fn load<'a>(&'a self, _: &'a TokenKey) -> BoxFuture<'a, Result<Option<StoredToken>, StoreError>> {
        let token = StoredToken::new(AccessToken::new("token-of-the-store"), Duration::from_secs(3_600));
        Box::pin(async { Ok(Some(token)) })
    }

    fn save<'a>(&'a self, _: &'a TokenKey, _: &'a StoredToken) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

/// The newest token that a client saved, whatever it calls by.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Option<StoredToken>>>);

impl Shared {
    /// Holds a token that the simulator handed out in process, as if ten minutes ago: the app may have got more products since.
    pub(crate) async fn with_token_of(simulator: &Simulator) -> Self {
        let shared = Self::default();
        let client = simulator.client_builder().token_store(shared.clone()).build().expect("a client");
        client.warm_up().await.expect("a token is granted");
        let mut held = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        let older =
            |held: StoredToken| StoredToken::new(held.token, held.life.saturating_sub(Duration::from_secs(600)));
        *held = held.take().map(older);
        drop(held);
        shared
    }
}

impl TokenStore for Shared {
    fn load<'a>(&'a self, _: &'a TokenKey) -> BoxFuture<'a, Result<Option<StoredToken>, StoreError>> {
        let token = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async { Ok(token) })
    }

    fn save<'a>(&'a self, _: &'a TokenKey, token: &'a StoredToken) -> BoxFuture<'a, Result<(), StoreError>> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Box::pin(async { Ok(()) })
    }
}
