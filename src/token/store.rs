//! [`TokenStore`]: one token for all processes of an app.

use std::{
    error::Error as StdError,
    future::ready,
    hash::{Hash, Hasher},
    time::Duration,
};

use crate::{
    config::{ConsumerKey, Credentials},
    secret::AccessToken,
    sync::timeout,
    transport::BoxFuture,
};

/// How long one call of a store may take.
pub(super) const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// Shares access tokens between processes, because a new token may void the old one.
///
/// A store holds secrets: keep it as safe as the credentials. Its errors are logged and passed over: a process whose
/// store is down uses tokens of its own.
///
/// What goes in and comes out is the life that is left to a token, and no time of day: the clocks of two machines can be
/// hours apart. The store adds it to a clock of its own, the same one for all processes, such as its database's.
///
/// ```
/// use std::{collections::HashMap, sync::Mutex, time::Instant};
/// use daraja::{secret::AccessToken, token::{StoreError, StoredToken, TokenKey, TokenStore}, transport::BoxFuture};
///
/// #[derive(Default)]
/// struct InMemory(Mutex<HashMap<TokenKey, (AccessToken, Instant)>>);
///
/// impl TokenStore for InMemory {
///     fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<StoredToken>, StoreError>> {
///         Box::pin(async move {
///             let tokens = self.0.lock().unwrap();
///             let (token, dies_at) = tokens.get(key).cloned().unzip();
///             let life = dies_at.map(|dies_at| dies_at.saturating_duration_since(Instant::now()));
///             Ok(token.zip(life).map(|(token, life)| StoredToken::new(token, life)))
///         })
///     }
///     fn save<'a>(&'a self, key: &'a TokenKey, token: &'a StoredToken) -> BoxFuture<'a, Result<(), StoreError>> {
///         Box::pin(async move {
///             let kept = (token.token.clone(), Instant::now() + token.life);
///             self.0.lock().unwrap().insert(key.clone(), kept);
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
    ///
    /// # Errors
    ///
    /// If it cannot be told; the token is then taken for absent.
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<StoredToken>, StoreError>>;

    /// Keeps a token that was fetched, and gives the store's own claim back.
    ///
    /// # Errors
    ///
    /// If it was not kept; the token is used all the same, by this process.
    fn save<'a>(&'a self, key: &'a TokenKey, token: &'a StoredToken) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Asks to be the one that fetches, for the length of `lease`. Whoever is told `false` looks for the other's token for
    /// two such leases, or for half of a call's time if that is less. Granted by default; a store that can refuse has to
    /// [`release`](Self::release), too.
    ///
    /// A claim belongs to the store that asked, this very value: asked again it is granted again, and the lease begins anew,
    /// because a call that takes over from one that was dropped must not wait for it.
    ///
    /// # Errors
    ///
    /// If it cannot be told; the process then fetches as if it were granted.
    fn claim<'a>(&'a self, _key: &'a TokenKey, _lease: Duration) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(ready(Ok(true)))
    }

    /// Gives a claim back that needs no token, or brought none: else everybody waits for its end. Only a claim of its own:
    /// another process may have one since. [`save`](Self::save) does the same by itself. Nothing by default.
    ///
    /// # Errors
    ///
    /// If it was not given back; others then wait until its lease is over.
    fn release<'a>(&'a self, _key: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(ready(Ok(())))
    }
}

/// What a [`TokenStore`] may fail with. Its text is logged: it must hold no secret.
pub type StoreError = Box<dyn StdError + Send + Sync>;

/// Whose token it is: one app in one environment.
#[derive(Debug, Clone)]
pub struct TokenKey {
    environment: String,
    consumer_key: ConsumerKey,
    /// What a store seals tokens with; it does not tell one app from another.
    #[cfg(feature = "redis")]
    pub(super) secret: crate::secret::ConsumerSecret,
}

impl TokenKey {
    pub(crate) fn new(base_url: &str, credentials: &Credentials) -> Self {
        Self {
            environment: base_url.to_owned(),
            consumer_key: credentials.key.clone(),
            #[cfg(feature = "redis")]
            secret: credentials.secret.clone(),
        }
    }

    fn app(&self) -> (&str, &ConsumerKey) {
        (&self.environment, &self.consumer_key)
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

impl PartialEq for TokenKey {
    fn eq(&self, other: &Self) -> bool {
        self.app() == other.app()
    }
}

impl Eq for TokenKey {}

impl Hash for TokenKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.app().hash(state);
    }
}

/// A token as a [`TokenStore`] keeps it.
///
/// ```
/// use daraja::{secret::AccessToken, token::StoredToken};
/// let token = StoredToken::new(AccessToken::new("kept out of logs"), std::time::Duration::from_secs(3_599));
/// assert!(!format!("{token:?}").contains("logs"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredToken {
    /// The bearer token.
    pub token: AccessToken,
    /// How long it still lives. More than an hour is not believed.
    pub life: Duration,
}

impl StoredToken {
    /// A token that was read back from where `save` put it, and what is left of its life by now.
    #[must_use]
    pub fn new(token: AccessToken, life: Duration) -> Self {
        Self { token, life }
    }
}

/// A store that gave no answer; why is logged.
#[derive(Debug)]
pub(super) struct Failed;

/// Waits for a store a little while.
pub(super) async fn heed<T>(answer: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, Failed> {
    match timeout(STORE_PATIENCE, answer).await {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => tracing::warn!(error = %error, "the token store failed; going on without it"),
        Err(_) => tracing::warn!("the token store did not answer in time; going on without it"),
    }
    Err(Failed)
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn a_key_is_one_app_in_one_environment() {
        let key = |environment, key| TokenKey::new(environment, &Credentials::new(key, "secret"));
        let hashes = std::hash::RandomState::new();
        let own = key("https://sandbox.safaricom.co.ke", "key");
        let same = key("https://sandbox.safaricom.co.ke", "key");
        assert_eq!((&own, hashes.hash_one(&own)), (&same, hashes.hash_one(&same)));
        for other in [key("https://api.safaricom.co.ke", "key"), key("https://sandbox.safaricom.co.ke", "another key")]
        {
            assert_ne!(own, other);
            assert_ne!(hashes.hash_one(&own), hashes.hash_one(&other));
        }
    }
}
