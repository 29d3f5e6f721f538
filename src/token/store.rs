//! [`TokenStore`]: one token for all processes of an app.

use std::{error::Error as StdError, future::ready, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::timeout;

use crate::{
    config::{ConsumerKey, Credentials},
    secret::AccessToken,
    transport::BoxFuture,
};

/// How long one call of a store may take.
pub(super) const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// Shares access tokens between processes, because a new token may void the old one.
///
/// A store holds secrets: keep it as safe as the credentials. Its errors are logged and passed over: a process whose
/// store is down uses tokens of its own.
///
/// ```
/// use std::{collections::HashMap, sync::Mutex};
/// use daraja::{token::{StoreError, StoredToken, TokenKey, TokenStore}, transport::BoxFuture};
///
/// #[derive(Default)]
/// struct InMemory(Mutex<HashMap<TokenKey, StoredToken>>);
///
/// impl TokenStore for InMemory {
///     fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<StoredToken>, StoreError>> {
///         Box::pin(async move { Ok(self.0.lock().unwrap().get(key).cloned()) })
///     }
///     fn save<'a>(&'a self, key: &'a TokenKey, token: &'a StoredToken) -> BoxFuture<'a, Result<(), StoreError>> {
///         Box::pin(async move {
///             self.0.lock().unwrap().insert(key.clone(), token.clone());
///             Ok(())
///         })
///     }
/// }
///
/// let credentials = daraja::Credentials::new("key", "secret");
/// let client = daraja::Client::builder(daraja::Environment::Sandbox, credentials)
///     .token_store(InMemory::default())
///     .build()?;
/// # Ok::<(), daraja::Error>(())
/// ```
pub trait TokenStore: Send + Sync + 'static {
    /// The token that was saved last for this key.
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<StoredToken>, StoreError>>;

    /// Keeps a token that was fetched.
    fn save<'a>(&'a self, key: &'a TokenKey, token: &'a StoredToken) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Asks to be the one that fetches, for the length of `lease`. Whoever is told `false` looks for the other's token
    /// until the lease is over. Granted by default.
    fn claim<'a>(&'a self, _key: &'a TokenKey, _lease: Duration) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(ready(Ok(true)))
    }
}

/// What a [`TokenStore`] may fail with. Its text is logged: it must hold no secret.
pub type StoreError = Box<dyn StdError + Send + Sync>;

/// Whose token it is: one app in one environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenKey {
    environment: String,
    consumer_key: ConsumerKey,
}

impl TokenKey {
    pub(crate) fn new(base_url: &str, credentials: &Credentials) -> Self {
        Self { environment: base_url.to_owned(), consumer_key: credentials.key.clone() }
    }

    /// The environment's base URL.
    #[must_use]
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// The app's consumer key.
    #[must_use]
    pub fn consumer_key(&self) -> &str {
        self.consumer_key.as_str()
    }
}

/// A token as a [`TokenStore`] keeps it.
///
/// ```
/// use daraja::{secret::AccessToken, token::StoredToken};
/// let token = StoredToken::new(AccessToken::new("kept out of logs"), chrono::DateTime::UNIX_EPOCH);
/// assert!(!format!("{token:?}").contains("logs"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredToken {
    /// The bearer token.
    pub token: AccessToken,
    /// When it dies, by the wall clock. More than an hour ahead is not believed: clocks differ between machines.
    pub expires_at: DateTime<Utc>,
}

impl StoredToken {
    /// A token that was read back from where `save` put it.
    #[must_use]
    pub fn new(token: AccessToken, expires_at: DateTime<Utc>) -> Self {
        Self { token, expires_at }
    }
}

/// Waits for a store a little while; its errors are logged and passed over.
pub(super) async fn heed<T>(answer: impl Future<Output = Result<T, StoreError>> + Send) -> Option<T> {
    match timeout(STORE_PATIENCE, answer).await {
        Ok(Ok(value)) => Some(value),
        Ok(Err(error)) => {
            tracing::warn!(error = %error, "the token store failed; going on without it");
            None
        }
        Err(_) => {
            tracing::warn!("the token store did not answer in time; going on without it");
            None
        }
    }
}
