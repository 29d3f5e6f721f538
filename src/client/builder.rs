//! [`ClientBuilder`]: what can be set of a client, and the defaults in one place.

use std::{sync::Arc, time::Duration};

use super::{Client, Inner};
use crate::{
    Credentials, Environment, RetryPolicy, Rules,
    clock::Clock,
    error::{ConfigError, Result},
    recent::Recent,
    stk::QueryBudget,
    token::{TokenCache, TokenKey, TokenStore},
    transport::{Transport, reqwest},
};

/// How long the parts of a call may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    connect: Duration,
    pub(super) attempt: Duration,
    pub(super) total: Duration,
    pub(super) token: Duration,
}

/// Settings of a [`Client`].
///
/// | setting | default |
/// |---|---|
/// | [`connect_timeout`](Self::connect_timeout) | 5 s |
/// | [`attempt_timeout`](Self::attempt_timeout) | 30 s |
/// | [`timeout`](Self::timeout) of a whole call, repeats and token included | 60 s |
/// | [`token_timeout`](Self::token_timeout), at most half of the whole | 10 s |
/// | [`retry`](Self::retry) | [`RetryPolicy::default`] |
/// | [`query_spacing`](Self::query_spacing) of STK queries | 13 s |
///
/// ```
/// # if cfg!(not(any(feature = "rustls", feature = "webpki-roots"))) { return Ok(()) }
/// use std::time::Duration;
/// use daraja::{Client, Credentials, Environment};
///
/// let client = Client::builder(Environment::Sandbox, Credentials::new("key", "secret"))
///     .attempt_timeout(Duration::from_secs(20))
///     .timeout(Duration::from_secs(45))
///     .build()?;
/// # Ok::<(), daraja::Error>(())
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct ClientBuilder {
    environment: Environment,
    credentials: Credentials,
    rules: Rules,
    policy: RetryPolicy,
    timeouts: Timeouts,
    clock: Clock,
    query_spacing: Duration,
    connector: Connector,
    store: Option<Box<dyn TokenStore>>,
}

/// Makes the transport, once the timeouts are known.
type Connector = Box<dyn FnOnce(&Environment, Duration) -> Result<Box<dyn Transport>, ConfigError> + Send>;

impl ClientBuilder {
    pub(super) fn new(environment: Environment, credentials: Credentials) -> Self {
        let seconds = Duration::from_secs;
        Self {
            environment,
            credentials,
            rules: Rules::default(),
            policy: RetryPolicy::default(),
            timeouts: Timeouts { connect: seconds(5), attempt: seconds(30), total: seconds(60), token: seconds(10) },
            clock: Clock::system(),
            // The sandbox allows five STK queries a minute per app, one at a time.
            query_spacing: seconds(13),
            connector: Box::new(reqwest::connect),
            store: None,
        }
    }

    /// How long a connection may take to be established. What runs into it was not sent.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// How long one attempt may take. A payment that runs into it has an unknown outcome.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.attempt = timeout;
        self
    }

    /// How long a whole call may take: token, attempts and pauses. A call that is not [`Repeat::Safe`](crate::Repeat::Safe)
    /// is not sent with less than 5 s left (a quarter of the whole, if that is less): it would be cut off, and unknown.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.total = timeout;
        self
    }

    /// How long fetching an access token may take, repeats included.
    pub fn token_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.token = timeout;
        self
    }

    /// How often and how fast calls are repeated.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// What requests are checked against.
    pub fn rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// The least time between two STK queries of this client and its clones, for calls, checks and waits together.
    pub fn query_spacing(mut self, spacing: Duration) -> Self {
        self.query_spacing = spacing;
        self
    }

    /// Shares access tokens with other processes.
    pub fn token_store(mut self, store: impl TokenStore) -> Self {
        self.store = Some(Box::new(store));
        self
    }

    /// Reads the time of day from here, for tests that compare request bodies.
    pub fn clock(mut self, read: impl Fn() -> chrono::DateTime<chrono::Utc> + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(read);
        self
    }

    /// Sends through a transport of your own.
    pub fn transport(self, transport: impl Transport) -> Self {
        self.connector(move |_, _| Ok(Box::new(transport)))
    }

    pub(crate) fn connector(
        mut self,
        connector: impl FnOnce(&Environment, Duration) -> Result<Box<dyn Transport>, ConfigError> + Send + 'static,
    ) -> Self {
        self.connector = Box::new(connector);
        self
    }

    #[cfg(feature = "simulator")]
    pub(crate) fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the client. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config) if TLS cannot be set up.
    pub fn build(self) -> Result<Client> {
        let Self { environment, credentials, rules, policy, mut timeouts, clock, query_spacing, connector, store } =
            self;
        timeouts.token = timeouts.token.min(timeouts.total.checked_div(2).unwrap_or_default());
        let transport = connector(&environment, timeouts.connect)?;
        let key = TokenKey::new(environment.base_url(), &credentials);
        let tokens = TokenCache::new(key, store, timeouts.token);
        let rules = rules.with_environment(environment);
        let queries = QueryBudget::new(query_spacing);
        let endpoints = Recent::default();
        let inner = Inner { endpoints, credentials, rules, policy, timeouts, clock, transport, tokens, queries };
        Ok(Client { inner: Arc::new(inner) })
    }
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("environment", &self.environment)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
