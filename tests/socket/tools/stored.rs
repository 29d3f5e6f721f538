//! A token store that always has a token, so that a test begins with the call itself.

use std::time::Duration;

use daraja::{
    secret::AccessToken,
    token::{StoreError, StoredToken, TokenKey, TokenStore},
    transport::BoxFuture,
};

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
