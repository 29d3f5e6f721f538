//! The access token: fetched once for everybody, refreshed before it dies, forgotten when it is refused.
//!
//! Daraja page: "Authorization".

use std::{fmt, time::Duration};

use http::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::{
    clock::after,
    error::{Error, Result},
    secret::AccessToken,
    sync::{Arc, AsyncMutex, Instant, OwnedMutexGuard, PoisonError, RwLock, sleep, timeout},
    transport::{TransportError, TransportErrorKind},
    wire::Text,
};

#[cfg(feature = "redis")]
mod redis;
// tests/schedules takes this file by its path: without one here, the other would be looked for beside it.
#[path = "token/store.rs"]
mod store;

#[cfg(feature = "redis")]
pub use redis::RedisTokenStore;
use store::{Failed, STORE_PATIENCE, heed};
pub use store::{StoreError, StoredToken, TokenKey, TokenStore};

/// Safaricom's FAQ says an hour. A longer life is not believed, whoever claims it.
const LONGEST_LIFE: Duration = Duration::from_secs(3_600);

/// An app gets access to an API when the product is added on the portal, and a token that is older lacks it. Whether the product
/// was added is looked at once in this time: a new token may void those of other processes.
const YOUNG: Duration = Duration::from_secs(300);

/// A refresh that failed is not tried again before this has passed; the live token serves meanwhile.
const REFRESH_PAUSE: Duration = Duration::from_secs(30);

/// How many refused tokens are remembered: the refusal of an older one can come late.
const REFUSED: usize = 4;

/// In bytes. Daraja's have 28.
const LONGEST_TOKEN: usize = 4_096;

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
    asked_at: Instant,
    stale_at: Instant,
    dead_at: Instant,
    /// Fetched by another process: it may have been replaced since it was saved.
    pub(crate) is_borrowed: bool,
}

impl Live {
    /// `asked_at` is the moment before the request was sent: life is counted from there.
    pub(crate) fn new(token: AccessToken, life: Duration, asked_at: Instant) -> Option<Self> {
        if !is_token(token.expose()) {
            return None;
        }
        let bearer = zeroize::Zeroizing::new(format!("Bearer {}", token.expose()));
        let mut bearer = HeaderValue::from_str(&bearer).ok()?;
        bearer.set_sensitive(true);
        let life = life.min(LONGEST_LIFE);
        let part = |share| life.checked_div(share).unwrap_or_default();
        // A short life is not all margin: each token would be fetched for one call.
        let margin = part(10).max(Duration::from_secs(60)).min(part(2));
        let stale_at = after(asked_at, life.saturating_sub(margin));
        Some(Self { token, bearer, asked_at, stale_at, dead_at: after(asked_at, life), is_borrowed: false })
    }

    /// Reads Daraja's answer. A life that cannot be read counts as the usual one: a token that dies early is renewed.
    pub(crate) fn from_body(body: TokenBody<'_>, asked_at: Instant) -> Option<Self> {
        let seconds = body.expires_in.0.and_then(|seconds| seconds.trim().parse().ok());
        let life = seconds.map_or(LONGEST_LIFE, Duration::from_secs);
        Self::new(AccessToken::new(body.access_token.0?), life, asked_at)
    }

    /// Whether another process fetched it lately: a newer one would not give the app more rights. It is known by what is left
    /// of its life.
    fn is_borrowed_and_young(&self) -> bool {
        let left = self.dead_at.saturating_duration_since(Instant::now());
        self.is_borrowed && LONGEST_LIFE.saturating_sub(left) < YOUNG
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
    /// Never held across an await, nor while foreign code runs.
    slot: RwLock<Slot>,
}

#[derive(Default)]
struct Slot {
    live: Option<Arc<Live>>,
    /// The tokens that Daraja refused last, so that a store cannot bring them back.
    refused: Vec<AccessToken>,
    /// When a token was renewed last because the app lacks a product.
    renewed_at: Option<Instant>,
    refresh_after: Option<Instant>,
    /// How many fetches have ended.
    ended: u64,
    /// Locked by the caller that fetches. A caller that has waited too long for it replaces the lock.
    fetching: Arc<AsyncMutex<LastFetch>>,
}

/// How the last fetch under a lock ended, for those who waited: its number and its outcome.
type LastFetch = Option<(u64, Result<Arc<Live>>)>;

/// The right to fetch.
struct Turn {
    last: OwnedMutexGuard<LastFetch>,
    /// Another caller may still be fetching.
    is_beside: bool,
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
    pub(crate) fn new(key: TokenKey, store: Option<Box<dyn TokenStore>>, fetch_timeout: Duration) -> Self {
        Self { key, store, fetch_timeout, slot: RwLock::default() }
    }

    /// The token, if it is fresh: no lock is waited for, nothing is sent.
    pub(crate) fn fresh(&self) -> Option<Arc<Live>> {
        self.read(|slot| slot.live.clone().filter(|live| !live.is_stale()))
    }

    /// The token, as long as Daraja takes it.
    fn alive(&self) -> Option<Arc<Live>> {
        self.read(|slot| slot.live.clone().filter(|live| !live.is_dead()))
    }

    /// The token, for a call with this much time left. One caller at a time runs `fetch`. `share` is the part of the time
    /// that may be spent on the store: 3 means a third. `None` means that no token of the store is used.
    pub(crate) async fn get(&self, left: Duration, share: Option<u32>, fetch: impl AsyncFetch) -> Result<Arc<Live>> {
        // In this order: a fetch that ends between the two reads is seen by one of them.
        let ended = self.read(|slot| slot.ended);
        let live = self.alive();
        let ends = after(Instant::now(), left);
        match live.filter(|live| share.is_some() || !live.is_borrowed) {
            Some(live) if !live.is_stale() => Ok(live),
            Some(live) => {
                let refreshed = timeout(part_of(ends, 2), self.refresh(&live, fetch)).await;
                Ok(refreshed.ok().flatten().unwrap_or(live))
            }
            None => {
                let turn = self.wait_for_turn(ends).await;
                let outcome = self.outcome_since(ended, &turn);
                let is_borrowed = matches!(&outcome, Some(Ok(live)) if live.is_borrowed);
                if let Some(outcome) = outcome.filter(|_| share.is_some() || !is_borrowed) {
                    return outcome;
                }
                let claim = match share {
                    None => Claim::Ours,
                    Some(_) if turn.is_beside => self.load_once(None).await,
                    Some(share) => self.load_or_claim(part_of(ends, share)).await,
                };
                // While this fetch failed, another one beside it may have succeeded.
                let is_allowed = |live: &Arc<Live>| share.is_some() || !live.is_borrowed;
                self.bring(claim, fetch, turn).await.or_else(|error| self.alive().filter(is_allowed).ok_or(error))
            }
        }
    }

    /// Waits for the caller that fetches. Its future may not be polled any more, as in a `select!` branch. So this waits no
    /// longer than a fetch can take, and no longer than half of the call's time. Then this caller fetches as well.
    async fn wait_for_turn(&self, ends: Instant) -> Turn {
        let mut is_beside = false;
        loop {
            let fetching = self.read(|slot| slot.fetching.clone());
            let patience = self.patience().min(part_of(ends, 2));
            if let Ok(last) = timeout(patience, fetching.clone().lock_owned()).await {
                return Turn { last, is_beside };
            }
            self.pass(&fetching);
            is_beside = true;
        }
    }

    /// Replaces this lock, so that its holder blocks no other caller. Of many callers that have waited too long, one fetches
    /// and the others wait for it.
    fn pass(&self, fetching: &Arc<AsyncMutex<LastFetch>>) {
        self.write(|slot| {
            if Arc::ptr_eq(&slot.fetching, fetching) {
                slot.fetching = Arc::default();
            }
        });
    }

    /// Another process's claim may have to be outwaited before the fetch, and the store be asked once more.
    fn patience(&self) -> Duration {
        if self.store.is_none() {
            return self.lease();
        }
        self.lease().saturating_mul(3).saturating_add(STORE_PATIENCE.saturating_mul(3))
    }

    /// How long a fetch can take with everything around it: the claim's answer, a look behind it, and saving.
    fn lease(&self) -> Duration {
        let store = if self.store.is_some() { STORE_PATIENCE.saturating_mul(3) } else { Duration::ZERO };
        self.fetch_timeout.saturating_add(store)
    }

    /// What the fetch brought that ended while this caller waited: its failure is theirs as well, so that a thousand
    /// callers do not time out one after the other.
    fn outcome_since(&self, ended: u64, turn: &Turn) -> Option<Result<Arc<Live>>> {
        if let Some(live) = self.alive() {
            return Some(Ok(live));
        }
        let (number, outcome) = turn.last.as_ref()?;
        let is_usable = outcome.as_ref().map_or(true, |live| !self.was_refused(&live.token));
        (*number > ended && is_usable).then(|| outcome.clone())
    }

    /// One caller refreshes a token that is about to die; nobody waits for it, and its failure hurts nobody.
    async fn refresh(&self, stale: &Live, fetch: impl AsyncFetch) -> Option<Arc<Live>> {
        let (fetching, refresh_after) = self.read(|slot| (slot.fetching.clone(), slot.refresh_after));
        if refresh_after.is_some_and(|after| Instant::now() < after) {
            return None;
        }
        let Ok(last) = fetching.clone().try_lock_owned() else {
            if refresh_after.is_some() {
                // The holder has had its time and may not be polled any more: the next caller refreshes.
                self.pass(&fetching);
            }
            return None;
        };
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
        let outcome = self.bring(claim, fetch, Turn { last, is_beside: false }).await;
        if let Err(Error::Token(error)) = &outcome {
            tracing::warn!(%error, "the access token could not be refreshed; the live one is used");
        }
        outcome.ok()
    }

    /// Keeps the outcome of a fetch, for this caller and for those that waited. Of two tokens that were fetched at the same
    /// time, the one that was requested last is kept: it may have voided the other. A token of the store does not replace a
    /// fresh one that this process fetched, because it is not known when it was requested.
    fn settle(&self, turn: &mut Turn, brought: Result<Live>) -> Result<Arc<Live>> {
        let brought = brought.map(Arc::new).map_err(|error| Error::Token(Box::new(error)));
        let (number, outcome) = self.write(|slot| {
            slot.ended = slot.ended.saturating_add(1);
            let outcome = brought.map(|live| {
                // Daraja may have refused it to another caller since it was read from the store: it is not kept.
                if live.is_borrowed && slot.refused.contains(&live.token) {
                    return live;
                }
                let newer = slot.live.clone().filter(|kept| match (kept.is_borrowed, live.is_borrowed) {
                    (false, true) => !kept.is_stale(),
                    (true, false) => false,
                    _ => !kept.is_dead() && kept.asked_at > live.asked_at,
                });
                slot.refresh_after = None;
                slot.live.insert(newer.unwrap_or(live)).clone()
            });
            (slot.ended, outcome)
        });
        *turn.last = Some((number, outcome.clone()));
        outcome
    }

    /// Fetches, unless another process did, and keeps the outcome.
    async fn bring(&self, claim: Claim, fetch: impl AsyncFetch, mut turn: Turn) -> Result<Arc<Live>> {
        let was_granted = match claim {
            Claim::Theirs(live) => return self.settle(&mut turn, Ok(live)),
            Claim::Granted => true,
            Claim::Ours | Claim::Refused => false,
        };
        let brought = match timeout(self.fetch_timeout, fetch.fetch()).await {
            Ok(outcome) => outcome,
            Err(elapsed) => Err(TransportError::new(TransportErrorKind::Timeout).with_source(elapsed).into()),
        };
        // Before it is saved: a caller that is dropped meanwhile must not take it away.
        let outcome = self.settle(&mut turn, brought);
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
    async fn load_or_claim(&self, most: Duration) -> Claim {
        // A process may die with its claim, and another one fetches then. But a call must have time left for its own fetch, and
        // the callers that wait for it wait longer than this.
        let patience = self.lease().saturating_mul(2).min(most);
        let asked = timeout(patience, async {
            loop {
                match self.load_once(None).await {
                    Claim::Refused => sleep(STORE_POLL).await,
                    claim => return claim,
                }
            }
        });
        // A store may be slow, or an attacker may write to it: all its answers together get this time.
        asked.await.unwrap_or(Claim::Ours)
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
        let was_live = self.write(|slot| {
            if !slot.refused.contains(refused) {
                slot.refused.truncate(REFUSED.saturating_sub(1));
                slot.refused.insert(0, refused.clone());
            }
            slot.live.take_if(|live| live.token == *refused).is_some()
        });
        if was_live {
            tracing::debug!("access token refused and forgotten");
        }
    }

    /// Whether this token, which lacks a product, may be renewed: once in a while, because the product may have been added
    /// meanwhile, and by one process only.
    pub(crate) fn may_renew(&self, refused: &Live) -> bool {
        let now = Instant::now();
        self.write(|slot| {
            // Another call has renewed it, or is about to.
            if slot.refused.contains(&refused.token) {
                return true;
            }
            let is_lately = slot.renewed_at.is_some_and(|at| now.saturating_duration_since(at) < YOUNG);
            let may = !refused.is_borrowed_and_young() && !is_lately;
            if may {
                slot.renewed_at = Some(now);
            }
            may
        })
    }

    fn was_refused(&self, token: &AccessToken) -> bool {
        self.read(|slot| slot.refused.contains(token))
    }

    fn read<T>(&self, read: impl FnOnce(&Slot) -> T) -> T {
        read(&self.slot.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, write: impl FnOnce(&mut Slot) -> T) -> T {
        write(&mut self.slot.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether it can be a bearer token (RFC 6750), and of a length that servers take in a header.
fn is_token(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    let letters = text.trim_end_matches('=');
    text.len() <= LONGEST_TOKEN && !letters.is_empty() && letters.bytes().all(is_letter)
}

/// A part of the time until then: 2 is half of it.
fn part_of(ends: Instant, part: u32) -> Duration {
    ends.saturating_duration_since(Instant::now()).checked_div(part).unwrap_or_default()
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
        let cache = TokenCache::new(key, None, Duration::from_secs(10));
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

    /// A token of this name that was asked for so many seconds ago.
    fn live(name: &str, age: u64, is_borrowed: bool) -> Live {
        let asked_at = Instant::now().checked_sub(Duration::from_secs(age)).unwrap();
        Live { is_borrowed, ..Live::new(AccessToken::new(name), LONGEST_LIFE, asked_at).unwrap() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_may_be_voided_does_not_replace_a_newer_one() {
        tokio::time::advance(LONGEST_LIFE).await;
        for (first, second, kept) in [
            (live("fetched", 10, false), live("store", 0, true), "fetched"),
            (live("store", 0, true), live("fetched", 10, false), "fetched"),
            (live("later", 10, false), live("earlier", 20, false), "later"),
            (live("earlier", 20, false), live("later", 10, false), "later"),
            (live("dying", 3_590, false), live("store", 0, true), "store"),
            (live("refused", 0, true), live("refused", 0, true), ""),
        ] {
            let key = TokenKey::new("https://sandbox.safaricom.co.ke", &Credentials::new("key", "secret"));
            let cache = TokenCache::new(key, None, Duration::from_secs(10));
            cache.forget(&AccessToken::new("refused"));
            for brought in [first, second] {
                let mut turn = cache.wait_for_turn(after(Instant::now(), Duration::from_secs(10))).await;
                cache.settle(&mut turn, Ok(brought)).unwrap();
            }
            let live = cache.alive();
            assert_eq!(live.as_ref().map_or("", |live| live.token.expose()), kept);
        }
    }
}
