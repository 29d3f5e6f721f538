//! A simulator behind a line and a token store on which every step takes time, so that each is a place to be dropped at.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use daraja::{
    Client, Initiator, Msisdn, Shillings, StkPush,
    secret::AccessToken,
    simulator::{Route, Simulator},
    token::{StoreError, StoredToken, TokenKey, TokenStore},
    transport::{BoxFuture, Transport, TransportError, TransportErrorKind},
};
use http::{Request, Response};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// How long each step takes.
const STEP: Duration = Duration::from_millis(5);

/// For how long a fetch is granted: its own 10 s, and 2 s twice for the store.
pub(super) const LEASE: Duration = Duration::from_secs(16);

/// How one call goes, the token request or the operation's own.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    Straight,
    /// No connection is established.
    NoRoad,
    /// It is carried out, and the answer is lost.
    LostAnswer,
    Throttled,
    /// The token dies on the way.
    TokenDies,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shared {
    Alone,
    /// Tokens are shared by a store that grants one fetch at a time.
    ByStore,
    /// The same, and another process was granted the fetch and died.
    WithTheDead,
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) simulator: Simulator,
    pub(super) client: Client,
    ways: Ways,
}

type Ways = Arc<Mutex<VecDeque<Way>>>;

impl World {
    pub(super) fn new(shared: Shared, ways: &[Way]) -> Self {
        let simulator = Simulator::builder().query_spacing(Duration::ZERO).build();
        let ways = Ways::new(Mutex::new(ways.iter().copied().collect()));
        let line = Line { simulator: simulator.clone(), ways: ways.clone() };
        let builder = simulator.client_builder().transport(line);
        let claimed_until = Some(Instant::now() + LEASE);
        let builder = match shared {
            Shared::Alone => builder,
            Shared::ByStore => builder.token_store(SlowStore::default()),
            Shared::WithTheDead => {
                builder.token_store(SlowStore(Arc::new(Mutex::new(Kept { claimed_until, ..Kept::default() }))))
            }
        };
        Self { client: builder.build().unwrap(), simulator, ways }
    }

    pub(super) fn push_to(&self, customer: u64) -> StkPush {
        let payer = Msisdn::try_from(254_700_005_000 + customer).unwrap();
        let (amount, reference) = (Shillings::new(500).unwrap(), "INV-001".parse().unwrap());
        StkPush::new(&self.simulator.merchant(), payer, amount, reference, self.simulator.callback_url())
    }

    /// One more call by the same client and by a clone of it, then so many at once: all are carried out, the first by this
    /// long from now, with one more token at most.
    pub(super) async fn works(&self, limit: Duration, at_once: u64) {
        self.ways.lock().unwrap().clear();
        let (asked, started) = (self.simulator.calls(Route::OAuth), Instant::now());
        self.client.send(&self.push_to(900)).await.unwrap();
        assert!(started.elapsed() <= limit, "the next call took {:?}", started.elapsed());
        self.client.clone().send(&self.push_to(901)).await.unwrap();
        self.herd(at_once, 902).await;
        let more = self.simulator.calls(Route::OAuth) - asked;
        assert!(more <= 1, "{more} tokens were fetched afterwards");
    }

    /// So many customers at once, from this one on: every push is accepted.
    pub(super) async fn herd(&self, count: u64, first: u64) {
        let mut herd = JoinSet::new();
        for customer in first..first + count {
            let world = self.clone();
            herd.spawn(async move { world.client.send(&world.push_to(customer)).await });
        }
        for outcome in herd.join_all().await {
            outcome.unwrap();
        }
    }
}

/// One credential for all: making one takes a while.
pub(super) fn initiator() -> Initiator {
    static INITIATOR: OnceLock<Initiator> = OnceLock::new();
    INITIATOR.get_or_init(|| Simulator::new().initiator()).clone()
}

/// Calls go their ways in order, then straight. A request is some time on its way, its answer is too, and so is the body.
struct Line {
    simulator: Simulator,
    ways: Ways,
}

impl Transport for Line {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let way = self.ways.lock().unwrap().pop_front().unwrap_or(Way::Straight);
            sleep(STEP).await;
            match way {
                Way::NoRoad => return Err(TransportError::new(TransportErrorKind::Connect)),
                Way::TokenDies => self.simulator.expire_tokens(),
                Way::Straight | Way::LostAnswer | Way::Throttled => {}
            }
            let answer = match way {
                Way::Throttled => throttled(),
                _ => self.simulator.handle(&request),
            };
            sleep(STEP).await;
            if matches!(way, Way::LostAnswer) {
                return Err(TransportError::new(TransportErrorKind::Interrupted));
            }
            sleep(STEP).await;
            Ok(answer)
        })
    }
}

fn throttled() -> Response<Bytes> {
    let body = r#"{"fault":{"faultstring":"Spike arrest violation","detail":{"errorcode":"policies.ratelimit.SpikeArrestViolation"}}}"#;
    Response::builder().status(429).body(Bytes::from_static(body.as_bytes())).unwrap()
}

/// Every call takes a step before it does its work and a step after it.
#[derive(Clone, Default)]
struct SlowStore(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    token: Option<(AccessToken, Instant)>,
    claimed_until: Option<Instant>,
    claimed_by_us: bool,
}

impl Kept {
    fn give_back(&mut self) {
        if std::mem::take(&mut self.claimed_by_us) {
            self.claimed_until = None;
        }
    }
}

impl SlowStore {
    fn slowly<'a, T: Send + 'a>(
        &'a self,
        work: impl FnOnce(&mut Kept) -> T + Send + 'a,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        Box::pin(async move {
            sleep(STEP).await;
            let done = work(&mut self.0.lock().unwrap());
            sleep(STEP).await;
            Ok(done)
        })
    }
}

impl TokenStore for SlowStore {
    fn load<'a>(&'a self, _: &'a TokenKey) -> BoxFuture<'a, Result<Option<StoredToken>, StoreError>> {
        self.slowly(|kept| {
            let (token, dies_at) = kept.token.clone()?;
            Some(StoredToken::new(token, dies_at.saturating_duration_since(Instant::now())))
        })
    }

    fn save<'a>(&'a self, _: &'a TokenKey, token: &'a StoredToken) -> BoxFuture<'a, Result<(), StoreError>> {
        self.slowly(|kept| {
            kept.token = Some((token.token.clone(), Instant::now() + token.life));
            kept.give_back();
        })
    }

    fn claim<'a>(&'a self, _: &'a TokenKey, lease: Duration) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.slowly(move |kept| {
            kept.claimed_by_us |= kept.claimed_until.is_none_or(|until| until <= Instant::now());
            if kept.claimed_by_us {
                kept.claimed_until = Some(Instant::now() + lease);
            }
            kept.claimed_by_us
        })
    }

    fn release<'a>(&'a self, _: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>> {
        self.slowly(Kept::give_back)
    }
}
