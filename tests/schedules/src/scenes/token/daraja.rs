//! Daraja, as a caller of its token meets it.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use crate::{
    clock::after,
    error::{Error, Result},
    secret::AccessToken,
    sync::{Arc, Instant, sleep, timeout_at},
    token::{Live, TokenCache},
    transport::{TransportError, TransportErrorKind},
    world::yield_now,
};

/// How long a fetch may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(if cfg!(miri) { 1_000 } else { 10 });

/// How long a call may take.
pub(super) const TOTAL: Duration = Duration::from_secs(if cfg!(miri) { 6_000 } else { 60 });

/// How long a token lives.
const LIFE: Duration = Duration::from_secs(3_600);

/// How long a token lives before it is refreshed.
pub(super) const FRESH: Duration = Duration::from_secs(3_240);

/// Tokens are numbered in the order in which they were asked for.
#[derive(Default)]
pub(super) struct Daraja {
    /// A new token does not void the one before.
    keeps_old: bool,
    newest: AtomicUsize,
    begun: AtomicUsize,
    failed: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

/// A fetch that goes on.
struct Fetching<'d>(&'d Daraja);

impl Daraja {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn keeping_old(keeps_old: bool) -> Arc<Self> {
        Arc::new(Self { keeps_old, ..Self::default() })
    }

    fn accepts(&self, token: &AccessToken) -> bool {
        self.keeps_old || token.expose() == self.newest.load(SeqCst).to_string()
    }

    pub(super) fn begun(&self) -> usize {
        self.begun.load(SeqCst)
    }

    pub(super) fn failed(&self) -> usize {
        self.failed.load(SeqCst)
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.most_at_once.load(SeqCst)
    }

    /// All tokens are refused from now on.
    pub(super) fn void(&self) {
        self.newest.fetch_add(1, SeqCst);
    }

    async fn fetch(&self, fails: bool) -> Result<Live> {
        let asked_at = Instant::now();
        self.begun.fetch_add(1, SeqCst);
        self.most_at_once.fetch_max(self.at_once.fetch_add(1, SeqCst) + 1, SeqCst);
        let _fetching = Fetching(self);
        let number = if fails { None } else { Some(self.newest.fetch_add(1, SeqCst) + 1) };
        sleep(Duration::from_millis(50)).await;
        let Some(number) = number else {
            self.failed.fetch_add(1, SeqCst);
            return Err(Error::Refused);
        };
        Ok(Live::new(AccessToken::new(number.to_string()), LIFE, asked_at).expect("a token"))
    }
}

impl Drop for Fetching<'_> {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, SeqCst);
    }
}

/// One call of a client.
pub(super) struct Call {
    cache: Arc<TokenCache>,
    daraja: Arc<Daraja>,
    fails: bool,
}

impl Call {
    pub(super) fn new(cache: &Arc<TokenCache>, daraja: &Arc<Daraja>) -> Self {
        Self { cache: cache.clone(), daraja: daraja.clone(), fails: false }
    }

    /// What it fetches is refused.
    pub(super) fn failing(self, fails: bool) -> Self {
        Self { fails, ..self }
    }

    /// As the client does: a refused token is forgotten and renewed, a borrowed one twice. The token that was accepted.
    pub(super) async fn send(self) -> Result<Arc<Live>> {
        let ends = after(Instant::now(), TOTAL);
        let (mut renewals, mut borrowed) = (0, 0);
        let mut refused = Vec::new();
        loop {
            let live = self.token(ends, borrowed < 2).await?;
            yield_now().await;
            if self.daraja.accepts(&live.token) {
                return Ok(live);
            }
            assert!(!refused.contains(&live.token), "a token that was refused is given out again");
            refused.push(live.token.clone());
            self.cache.forget(&live.token);
            let (count, most) = if live.is_borrowed { (&mut borrowed, 2) } else { (&mut renewals, 1) };
            if *count >= most {
                return Err(Error::RefusedAgain);
            }
            *count += 1;
        }
    }

    async fn token(&self, ends: Instant, may_borrow: bool) -> Result<Arc<Live>> {
        if let Some(live) = self.cache.fresh().filter(|live| may_borrow || !live.is_borrowed) {
            return Ok(live);
        }
        let left = ends.saturating_duration_since(Instant::now());
        let slow = Box::pin(self.cache.get(left, may_borrow.then_some(3), || self.daraja.fetch(self.fails)));
        timeout_at(ends, slow)
            .await
            .unwrap_or_else(|_| Err(Error::Token(Box::new(TransportError::new(TransportErrorKind::Timeout).into()))))
    }
}
