//! The access token: fetched once for everybody, refreshed before it dies, forgotten when it is refused.
//!
//! Daraja page: "Authorization".

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use http::HeaderValue;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::{Instant, sleep, timeout},
};

use crate::{
    clock::after,
    error::{Error, Result},
    secret::AccessToken,
    transport::{TransportError, TransportErrorKind},
    wire::Text,
};

#[cfg(feature = "redis")]
mod redis;
mod store;

#[cfg(feature = "redis")]
pub use redis::RedisTokenStore;
use store::{Failed, STORE_PATIENCE, heed};
pub use store::{StoreError, StoredToken, TokenKey, TokenStore};

/// Safaricom's FAQ says an hour. A longer life is not believed, whoever claims it.
const LONGEST_LIFE: Duration = Duration::from_secs(3_600);

/// A refresh that failed is not tried again before this has passed; the live token serves meanwhile.
const REFRESH_PAUSE: Duration = Duration::from_secs(30);

/// How many refused tokens are remembered: the refusal of an older one can come late.
const REFUSED: usize = 4;

/// How often another process's fetch is looked for in the store.
const STORE_POLL: Duration = Duration::from_millis(200);

/// Daraja's answer to a token request. `expires_in` is a string on the wire and a number in the documentation.
#[derive(Serialize, Deserialize)]
pub(crate) struct TokenBody<'a> {
    #[serde(borrow)]
    pub(crate) access_token: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) expires_in: Text<'a>,
}

/// A token in use: its header, ready made, and its life.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) token: AccessToken,
    pub(crate) bearer: HeaderValue,
    stale_at: Instant,
    dead_at: Instant,
    /// Fetched by another process: it may have been replaced since it was saved.
    pub(crate) is_borrowed: bool,
}

impl Live {
    /// `asked_at` is the moment before the request was sent: life is counted from there.
    pub(crate) fn new(token: AccessToken, life: Duration, asked_at: Instant) -> Option<Self> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok()?;
        bearer.set_sensitive(true);
        let life = life.min(LONGEST_LIFE);
        let part = |share| life.checked_div(share).unwrap_or_default();
        // A short life is not all margin: each token would be fetched for one call.
        let margin = part(10).max(Duration::from_secs(60)).min(part(2));
        let stale_at = after(asked_at, life.saturating_sub(margin));
        Some(Self { token, bearer, stale_at, dead_at: after(asked_at, life), is_borrowed: false })
    }

    /// Reads Daraja's answer. A life that cannot be read counts as the usual one: a token that dies early is renewed.
    pub(crate) fn from_body(body: TokenBody<'_>, asked_at: Instant) -> Option<Self> {
        let seconds = body.expires_in.0.and_then(|seconds| seconds.trim().parse().ok());
        let life = seconds.map_or(LONGEST_LIFE, Duration::from_secs);
        let token = body.access_token.0.filter(|token| !token.is_empty())?;
        Self::new(AccessToken::new(token), life, asked_at)
    }

    fn is_stale(&self) -> bool {
        Instant::now() >= self.stale_at
    }

    fn is_dead(&self) -> bool {
        Instant::now() >= self.dead_at
    }
}

/// One token for all callers of a client.
pub(crate) struct TokenCache {
    key: TokenKey,
    store: Option<Box<dyn TokenStore>>,
    fetch_timeout: Duration,
    /// How long another process's fetch is waited for.
    outwait: Duration,
    /// Never held across an await.
    slot: RwLock<Slot>,
    /// Held by the one that fetches. It counts the fetches that ended and keeps the last outcome for those who waited.
    fetching: Mutex<Fetches>,
}

#[derive(Default)]
struct Slot {
    live: Option<Arc<Live>>,
    /// The tokens that Daraja refused last, so that a store cannot bring them back.
    refused: Vec<AccessToken>,
    refresh_after: Option<Instant>,
    ended: u64,
}

#[derive(Default)]
struct Fetches {
    last: Option<Result<Arc<Live>>>,
}

/// Who fetches, when tokens are shared between processes.
enum Claim {
    /// Another process did: here is its token.
    Theirs(Live),
    /// This one does, by a claim.
    Granted,
    /// This one does, and nobody was asked.
    Ours,
    /// Another process is at it.
    Refused,
}

impl TokenCache {
    /// `total` is how long a whole call may take.
    pub(crate) fn new(
        key: TokenKey,
        store: Option<Box<dyn TokenStore>>,
        fetch_timeout: Duration,
        total: Duration,
    ) -> Self {
        let (slot, fetching) = (RwLock::default(), Mutex::default());
        let mut cache = Self { key, store, fetch_timeout, outwait: Duration::ZERO, slot, fetching };
        // One process may die with its claim, another one fetches then; but a call must have time left for its own fetch.
        cache.outwait = cache.lease().saturating_mul(2).min(total.checked_div(2).unwrap_or_default());
        cache
    }

    /// The token, if it is fresh: no lock is waited for, nothing is sent.
    pub(crate) fn fresh(&self) -> Option<Arc<Live>> {
        self.read(|slot| slot.live.clone().filter(|live| !live.is_stale()))
    }

    /// The token; `fetch` is run by one caller at a time.
    pub(crate) async fn get(&self, fetch: impl AsyncFetch) -> Result<Arc<Live>> {
        let (live, ended) = self.read(|slot| (slot.live.clone().filter(|live| !live.is_dead()), slot.ended));
        match live {
            Some(live) if !live.is_stale() => Ok(live),
            Some(live) => Ok(self.refresh(&live, fetch).await.unwrap_or(live)),
            None => {
                let mut fetches = self.wait_for_the_fetch().await?;
                if let Some(outcome) = self.outcome_since(ended, &fetches) {
                    return outcome;
                }
                let claim = self.load_or_claim().await;
                self.bring(claim, fetch, &mut fetches).await
            }
        }
    }

    /// Waits until whoever fetches is done. One that is not polled any more is not waited for longer than a fetch takes.
    async fn wait_for_the_fetch(&self) -> Result<MutexGuard<'_, Fetches>> {
        timeout(self.patience(), self.fetching.lock()).await.map_err(|elapsed| {
            let late = TransportError::new(TransportErrorKind::Timeout).with_source(elapsed);
            Error::Token(Box::new(late.into()))
        })
    }

    /// Another process's claim may have to be outwaited before the fetch, and the store be asked once more.
    fn patience(&self) -> Duration {
        if self.store.is_none() {
            return self.lease();
        }
        self.outwait.saturating_add(self.lease()).saturating_add(STORE_PATIENCE.saturating_mul(3))
    }

    /// How long a fetch can take with everything around it: the claim's answer, a look behind it, and saving.
    fn lease(&self) -> Duration {
        let store = if self.store.is_some() { STORE_PATIENCE.saturating_mul(3) } else { Duration::ZERO };
        self.fetch_timeout.saturating_add(store)
    }

    /// What the fetch brought that ended while this caller waited: its failure is theirs as well, so that a thousand
    /// callers do not time out one after the other.
    fn outcome_since(&self, ended: u64, fetches: &Fetches) -> Option<Result<Arc<Live>>> {
        let (now_ended, live) = self.read(|slot| (slot.ended, slot.live.clone().filter(|live| !live.is_dead())));
        let shared = if now_ended == ended { None } else { fetches.last.clone() };
        match (live, shared) {
            (Some(live), _) => Some(Ok(live)),
            (None, Some(Ok(live))) if self.was_refused(&live.token) => None,
            (None, shared) => shared,
        }
    }

    /// One caller refreshes a token that is about to die; nobody waits for it, and its failure hurts nobody.
    async fn refresh(&self, stale: &Live, fetch: impl AsyncFetch) -> Option<Arc<Live>> {
        let paused = self.read(|slot| slot.refresh_after.is_some_and(|after| Instant::now() < after));
        let mut fetches = if paused { return None } else { self.fetching.try_lock().ok()? };
        if let Some(newer) = self.fresh() {
            return Some(newer);
        }
        // Before the fetch: a caller that is dropped in its middle must not hand the wait on to the next one.
        self.write(|slot| slot.refresh_after = Some(after(Instant::now(), REFRESH_PAUSE)));
        let claim = self.load_once(Some(&stale.token)).await;
        if matches!(claim, Claim::Refused) {
            // Another process is at it, and the live token serves meanwhile.
            return None;
        }
        let outcome = self.bring(claim, fetch, &mut fetches).await;
        if let Err(Error::Token(error)) = &outcome {
            tracing::warn!(%error, "the access token could not be refreshed; the live one is used");
        }
        outcome.ok()
    }

    /// Keeps the outcome of a fetch, for this caller and for those who waited.
    fn settle(&self, fetches: &mut Fetches, brought: Result<Live>) -> Result<Arc<Live>> {
        let outcome = brought.map(Arc::new).map_err(|error| Error::Token(Box::new(error)));
        fetches.last = Some(outcome.clone());
        self.write(|slot| {
            slot.ended = slot.ended.wrapping_add(1);
            if let Ok(live) = &outcome {
                slot.live = Some(live.clone());
                slot.refresh_after = None;
            }
        });
        outcome
    }

    /// Fetches, unless another process did, and keeps the outcome.
    async fn bring(&self, claim: Claim, fetch: impl AsyncFetch, fetches: &mut Fetches) -> Result<Arc<Live>> {
        let was_granted = match claim {
            Claim::Theirs(live) => return self.settle(fetches, Ok(live)),
            Claim::Granted => true,
            Claim::Ours | Claim::Refused => false,
        };
        let brought = match timeout(self.fetch_timeout, fetch.fetch()).await {
            Ok(outcome) => outcome,
            Err(elapsed) => Err(TransportError::new(TransportErrorKind::Timeout).with_source(elapsed).into()),
        };
        // Before it is saved: a caller that is dropped meanwhile must not take it away.
        let outcome = self.settle(fetches, brought);
        match (&self.store, &outcome) {
            (Some(store), Ok(live)) => {
                let left = live.dead_at.saturating_duration_since(Instant::now());
                _ = heed(store.save(&self.key, &StoredToken::new(live.token.clone(), left))).await;
            }
            (Some(store), Err(_)) if was_granted => _ = heed(store.release(&self.key)).await,
            _ => {}
        }
        outcome.inspect(|_| tracing::debug!("access token fetched"))
    }

    /// Looks for another process's token for a while, then fetches all the same.
    async fn load_or_claim(&self) -> Claim {
        let wait_ends = after(Instant::now(), self.outwait);
        loop {
            match self.load_once(None).await {
                Claim::Refused if Instant::now() < wait_ends => sleep(STORE_POLL).await,
                claim => return claim,
            }
        }
    }

    /// A token that is about to die, `dying`, is not taken from the store once more.
    async fn load_once(&self, dying: Option<&AccessToken>) -> Claim {
        let Some(store) = &self.store else { return Claim::Ours };
        // A store that fails is not waited for a second time.
        let Ok(theirs) = self.load(&**store, dying).await else { return Claim::Ours };
        if let Some(live) = theirs {
            return Claim::Theirs(live);
        }
        match heed(store.claim(&self.key, self.lease())).await {
            Ok(false) => Claim::Refused,
            Err(Failed) => Claim::Ours,
            // Whoever had the claim before may have saved a token since it was looked for.
            Ok(true) => match self.load(&**store, dying).await {
                Ok(Some(live)) => {
                    _ = heed(store.release(&self.key)).await;
                    Claim::Theirs(live)
                }
                _ => Claim::Granted,
            },
        }
    }

    /// A token of the store that is fresh, was not refused, and is not the one that is to be replaced.
    async fn load(&self, store: &dyn TokenStore, dying: Option<&AccessToken>) -> Result<Option<Live>, Failed> {
        // As for a fetch, life is counted from before the question.
        let asked_at = Instant::now();
        let stored = heed(store.load(&self.key)).await?;
        let stored = stored.filter(|stored| dying != Some(&stored.token) && !self.was_refused(&stored.token));
        let live = stored.and_then(|stored| Live::new(stored.token, stored.life, asked_at));
        Ok(live.filter(|live| !live.is_stale()).map(|live| Live { is_borrowed: true, ..live }))
    }

    /// Forgets this token and no other: a newer one may be in use already.
    pub(crate) fn forget(&self, refused: &AccessToken) {
        self.write(|slot| {
            if slot.live.as_ref().is_some_and(|live| live.token == *refused) {
                slot.live = None;
                tracing::debug!("access token refused and forgotten");
            }
            if !slot.refused.contains(refused) {
                slot.refused.truncate(REFUSED.saturating_sub(1));
                slot.refused.insert(0, refused.clone());
            }
        });
    }

    fn was_refused(&self, token: &AccessToken) -> bool {
        self.read(|slot| slot.refused.contains(token))
    }

    fn read<T>(&self, read: impl FnOnce(&Slot) -> T) -> T {
        read(&self.slot.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, write: impl FnOnce(&mut Slot)) {
        write(&mut self.slot.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Asks Daraja for a token. It is run only if a fetch is due.
pub(crate) trait AsyncFetch: Send {
    fn fetch(self) -> impl Future<Output = Result<Live>> + Send;
}

impl<F, Fut> AsyncFetch for F
where
    F: FnOnce() -> Fut + Send,
    Fut: Future<Output = Result<Live>> + Send,
{
    fn fetch(self) -> impl Future<Output = Result<Live>> + Send {
        self()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Credentials;

    #[test]
    fn the_late_refusal_of_an_older_token_brings_no_refused_one_back() {
        let key = TokenKey::new("https://sandbox.safaricom.co.ke", &Credentials::new("key", "secret"));
        let cache = TokenCache::new(key, None, Duration::from_secs(10), Duration::from_secs(60));
        let [older, newer] = ["older", "newer"].map(AccessToken::new);
        for refused in [&older, &newer, &older] {
            cache.forget(refused);
        }
        assert!(cache.was_refused(&older) && cache.was_refused(&newer));
        for number in 1..REFUSED {
            cache.forget(&AccessToken::new(format!("token {number}")));
        }
        assert!(cache.was_refused(&newer) && !cache.was_refused(&older));
    }
}
