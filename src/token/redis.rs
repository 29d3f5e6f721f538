//! [`RedisTokenStore`]: one token for all processes, kept in Redis.

use std::{fmt, time::Duration};

use url::Url;

use super::{StoreError, StoredToken, TokenKey, TokenStore};
use crate::{error::ConfigError, transport::BoxFuture};

mod connection;
mod seal;

use connection::{Command, Server};
use seal::{LONGEST_SEALED, Seal};

/// Gives a token, the milliseconds that it is still kept, and the time.
const LOAD: &str = "local now = redis.call('TIME') \
    if redis.call('TYPE', KEYS[1]).ok ~= 'string' then return {'', -2, now[1]} end \
    return {redis.call('GETRANGE', KEYS[1], 0, ARGV[1]), redis.call('PTTL', KEYS[1]), now[1]}";

/// Gives the time, in seconds since 1970.
const NOW: &str = "return redis.call('TIME')[1]";

/// Keeps a token, and gives our claim back; what another process claimed meanwhile stays claimed.
const SAVE: &str = "redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) \
    if redis.pcall('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end return 1";

/// Gives a claim back, if it is ours.
const RELEASE: &str = "if redis.pcall('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 1";

/// Claims, unless another process has a claim. A malformed claim is replaced, and so is one that lasts more than twice as long
/// as a claim of this process.
const CLAIM: &str = "local left, held = redis.call('PTTL', KEYS[1]), redis.pcall('GET', KEYS[1]) \
    local theirs = type(held) == 'string' and #held == #ARGV[1] and held ~= ARGV[1] \
    if theirs and left >= 0 and left <= 2 * ARGV[2] then return 0 end \
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1";

/// Shares access tokens by a Redis server (or Valkey), so that all processes of an app fetch one between them.
///
/// Nothing is connected before the first token is wanted, and a connection is kept for one question only. So a process
/// starts without Redis; where Redis is down, slow or full of rubbish, each process fetches a token of its own, after 2 s
/// for the question and 2 s for saving it at most, and payments go on; when Redis is back it is used again. Calls with a
/// token that is fresh, which is nearly all, do not ask it at all.
///
/// Redis holds the token together with its expiry, sealed (AES-256-GCM) with a key that is derived from the consumer secret.
/// The name of the key in Redis shows neither the consumer key nor the secret. An attacker who reads Redis learns no token. An
/// attacker who writes to it can only put back a token of the last hour. If Daraja has voided that token, a call is refused
/// once or twice, and then fetches a token without Redis. Expiry is counted by Redis's clock: the clocks of the processes may
/// be hours apart. When the consumer secret is replaced, a new token is fetched.
///
/// While another process fetches, a call waits for that token: for at most a third of its remaining time, and for at most a
/// sixth after a refused token. Give all processes the same timeouts.
///
/// One server is meant, or what looks like one: neither Sentinel nor a cluster of several shards. Its user needs the
/// commands `EVAL`, `TIME`, `TYPE`, `GETRANGE`, `PTTL`, `GET`, `SET` and `DEL`, and `SELECT` if the URL names a database.
///
/// ```
/// use daraja::{Credentials, Environment, simulator::Simulator, token::RedisTokenStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let served = Simulator::new().serve("127.0.0.1:0").await?;
/// // No Redis is there: the client goes on with a token of its own.
/// let store = RedisTokenStore::new("redis://shop:its-password@127.0.0.1:1/0")?.key_prefix("shop:daraja:");
/// assert!(!format!("{store:?}").contains("its-password"));
/// let client = served.client_builder().token_store(store).build()?;
/// client.warm_up().await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct RedisTokenStore {
    server: Server,
    prefix: String,
    /// Tells our claims from those of other processes.
    claimant: String,
}

impl RedisTokenStore {
    /// A store at `redis://user:password@host:port/database`, or `rediss://…` for TLS, which trusts whom the client's own
    /// default connections trust. User, password, port (6379) and database (0) may be left out; a password without a user
    /// is `redis://:password@host`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is no such URL, or if TLS cannot be set up. It does not show the URL.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        Self::at(url, None)
    }

    /// The same, trusting the certificates of a private authority instead: PEM, one or more. `rediss://` only. A certificate
    /// of the client's own is not offered.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] as for [`new`](Self::new), and if these are no certificates.
    pub fn with_authority(url: &str, pem: &[u8]) -> Result<Self, ConfigError> {
        Self::at(url, Some(pem))
    }

    fn at(url: &str, authority: Option<&[u8]>) -> Result<Self, ConfigError> {
        let server = Server::new(Url::parse(url).ok(), authority)?;
        Ok(Self { server, prefix: "daraja:".to_owned(), claimant: uuid::Uuid::new_v4().simple().to_string() })
    }

    /// What the names of its keys begin with, `daraja:` by default.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Both names of an app have its part in braces, so that a cluster keeps them in one place.
    fn name(&self, seal: &Seal, what: &str) -> String {
        format!("{}{{{}}}:{what}", self.prefix, seal.name())
    }
}

impl TokenStore for RedisTokenStore {
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<StoredToken>, StoreError>> {
        Box::pin(async move {
            let seal = Seal::new(key);
            let command = Command::new(LOAD).key(self.name(&seal, "token")).argument(LONGEST_SEALED);
            let (sealed, left, now): (Vec<u8>, i64, u64) = self.server.ask(command).await?;
            // What has no end was not put there by this store.
            let kept = u64::try_from(left).ok().map(Duration::from_millis);
            Ok(kept.and_then(|kept| {
                // An attacker can put an old value back, with any time to live.
                let (token, dies) = seal.open(sealed)?;
                let lives = Duration::from_secs(dies.checked_sub(now)?);
                Some(StoredToken::new(token, lives.min(kept))).filter(|_| !lives.is_zero())
            }))
        })
    }

    fn save<'a>(&'a self, key: &'a TokenKey, token: &'a StoredToken) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let seal = Seal::new(key);
            let now: u64 = self.server.ask(Command::new(NOW)).await?;
            let dies = now.saturating_add(token.life.as_secs());
            let command = Command::new(SAVE)
                .key(self.name(&seal, "token"))
                .key(self.name(&seal, "claim"))
                .argument(&self.claimant)
                .argument(seal.close(&token.token, dies))
                .argument(millis(token.life));
            self.server.ask(command).await
        })
    }

    fn claim<'a>(&'a self, key: &'a TokenKey, lease: Duration) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let name = self.name(&Seal::new(key), "claim");
            let command = Command::new(CLAIM).key(name).argument(&self.claimant).argument(millis(lease));
            self.server.ask(command).await
        })
    }

    fn release<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let name = self.name(&Seal::new(key), "claim");
            self.server.ask(Command::new(RELEASE).key(name).argument(&self.claimant)).await
        })
    }
}

/// Redis knows no life of nothing.
fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX).max(1)
}

impl fmt::Debug for RedisTokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTokenStore")
            .field("server", &self.server)
            .field("key_prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Credentials;

    const URL: &str = "redis://shop:planted-password@redis.internal:6380/3";

    fn key() -> TokenKey {
        TokenKey::new("https://sandbox.safaricom.co.ke", &Credentials::new("planted-key", "planted-secret"))
    }

    #[test]
    fn no_secret_is_in_any_debug() {
        for url in [URL, "valkey://:planted-password@redis.internal:6380"] {
            let store = RedisTokenStore::new(url).unwrap().key_prefix("shop:");
            let shown = format!("{store:?}");
            assert_eq!(shown, r#"RedisTokenStore { server: redis://redis.internal:6380, key_prefix: "shop:", .. }"#);
        }
        let shown = format!("{:?}", key());
        assert!(!shown.contains("planted-secret") && !shown.contains("planted-key"), "{shown}");
    }

    #[test]
    fn a_wrong_url_is_said_without_showing_it() {
        let no_url = "it is no URL; in the password, # is written %23, / is %2F, ? is %3F and @ is %40";
        let no_place = "it must name a host, and no database but by its number";
        let wrong = [
            ("", no_url),
            ("redis.internal:6379", "it must begin with redis:// or rediss://"),
            ("planted-password", no_url),
            ("http://shop:planted-password@redis.internal", "it must begin with redis:// or rediss://"),
            ("redis://shop:planted-password@", no_url),
            ("redis://shop:planted-password@redis.internal/planted-password", no_place),
            ("redis://shop:planted#password@redis.internal", no_url),
            ("rediss://shop:planted-password@redis.internal/#insecure", "it must hold no fragment"),
        ];
        for (url, problem) in wrong {
            let error = RedisTokenStore::new(url).unwrap_err();
            assert_eq!(error.to_string(), format!("configuration: Redis URL {problem}"), "{url}");
            assert!(!format!("{error:?}").contains("planted"), "{url}");
        }
    }

    #[test]
    fn certificates_that_are_none_or_would_not_matter_are_refused() {
        let refused = |url, pem: &str| RedisTokenStore::with_authority(url, pem.as_bytes()).unwrap_err().to_string();
        let certificates = "configuration: certificates of Redis's authority are no certificates in PEM";
        for pem in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert_eq!(refused("rediss://redis.internal", pem), certificates, "{pem}");
        }
        let needless = "configuration: Redis URL it must begin with rediss:// for certificates to matter";
        assert_eq!(refused(URL, ""), needless);
    }

    #[test]
    fn names_tell_the_prefix_and_nothing_else_and_share_a_slot() {
        let store = RedisTokenStore::new(URL).unwrap().key_prefix("shop:");
        let seal = Seal::new(&key());
        let name = store.name(&seal, "token");
        assert_eq!(name, format!("shop:{{{}}}:token", seal.name()));
        assert!(!name.contains("planted") && !name.contains("safaricom"), "{name}");
        assert!(RedisTokenStore::new(URL).unwrap().name(&seal, "claim").starts_with("daraja:{"));
    }

    #[test]
    fn two_stores_are_two_claimants() {
        let claimant = || RedisTokenStore::new(URL).unwrap().claimant;
        assert_ne!(claimant(), claimant());
    }

    #[tokio::test]
    async fn a_redis_that_is_not_there_is_named_without_the_password() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let store = RedisTokenStore::new(&format!("redis://shop:planted-password@127.0.0.1:{port}")).unwrap();
        let error = store.load(&key()).await.unwrap_err();
        assert!(error.to_string().starts_with("Redis could not be reached: "), "{error}");
        assert!(!format!("{error:?} {error}").contains("planted"), "{error:?}");
    }
}
