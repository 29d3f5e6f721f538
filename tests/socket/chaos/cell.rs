//! One cell: a call meets its faults through the proxy, and what it is told is seen beside what the simulator did.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use daraja::{
    Client, Environment,
    client::ClientBuilder,
    simulator::{Fault, Route, Served, Simulator},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

use super::operations::Call;
use crate::tools::{
    at_once,
    proxy::{By, Connection, Place, Proxy},
    roads::{Road, Roads},
    stored::Shared,
    without_roots,
};

/// One fault, met once.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trouble {
    /// No connection can be had.
    Road(Road),
    /// The line breaks, or brings something else than was sent.
    Line(Place, By),
    /// The simulator goes wrong.
    Desk(Fault),
    /// The simulator answers in longer than the client waits.
    Late,
    /// The token is refused: status, code, words. The client fetches another one.
    Token(u16, &'static str, &'static str),
    /// The next token request goes wrong.
    OAuth(Fault),
}

use Trouble::{Desk, Late, Line, OAuth, Token};

/// What a cell begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// A token, and a connection of its own for every request.
    Token,
    /// No token.
    Nothing,
    /// A token, and the connection that brought it.
    Connection,
    /// The same, but the server ended the connection since, so.
    Ended(By),
    /// A clock that is so many hours ahead, and no token.
    Skewed(i64),
}

impl Start {
    fn keeps_its_connection(self) -> bool {
        matches!(self, Self::Connection | Self::Ended(_))
    }
}

/// What came of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// `ok`, `retryable`, `unknown` or `refused`.
    pub(super) verdict: &'static str,
    /// The error, as [`told`](crate::tools::verdict::told).
    pub(super) why: String,
    /// How often the simulator carried the call out.
    pub(super) times: usize,
    /// How many bytes the last answer had that was cut, before it was.
    pub(super) answer: usize,
}

/// How long the client waits where it must time out, if nothing else must come in time.
const HASTY: Duration = Duration::from_millis(300);
/// The same, if an answer to another attempt must.
const PATIENT: Duration = Duration::from_secs(2);
/// How often a cell is tried on a machine that is too busy for it.
const TRIES: usize = 4;

/// More cells at a time would only wait for each other.
static PLACES: Semaphore = Semaphore::const_new(24);

/// Runs cells beside each other and answers what came of each, in order.
pub(super) async fn run_all<C>(cells: impl IntoIterator<Item = C>) -> Vec<C::Output>
where
    C: Future<Output: Send> + Send + 'static,
{
    let mut running = JoinSet::new();
    for (place, cell) in cells.into_iter().enumerate() {
        running.spawn(async move {
            let _place = PLACES.acquire().await.expect("it is never closed");
            (place, cell.await)
        });
    }
    let mut outcomes = running.join_all().await;
    outcomes.sort_by_key(|(place, _)| *place);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Runs one cell. If it took so long that the machine itself may have made the client time out, it proves nothing and is
/// run again with twice the time.
pub(super) async fn run(call: Call, start: Start, troubles: Arc<[Trouble]>) -> Seen {
    let mut patience = patience(call, &troubles);
    for _ in 0..TRIES {
        if let Some(seen) = try_once(call, start, &troubles, patience).await {
            return seen;
        }
        patience = patience.map(|patience| patience * 2);
    }
    panic!("{call:?} took too long for {troubles:?}, {TRIES} times");
}

fn patience(call: Call, troubles: &[Trouble]) -> Option<Duration> {
    let is_last = matches!(call, Call::Push | Call::PayoutV1 | Call::Reversal);
    let stalls = |trouble: &Trouble| matches!(trouble, Late | Line(_, By::Silence) | Line(Place::Trickled, _));
    match troubles.first() {
        Some(first) if stalls(first) && is_last => Some(HASTY),
        _ => troubles.iter().any(stalls).then_some(PATIENT),
    }
}

async fn try_once(call: Call, start: Start, troubles: &[Trouble], patience: Option<Duration>) -> Option<Seen> {
    let simulator = Simulator::builder().query_spacing(Duration::ZERO).result_time(Duration::from_secs(3_600)).build();
    simulator.everyone().approves().after(Duration::ZERO).callback_lost();
    let receipt = call.prepare(&simulator).await;
    let world = World::before(simulator, start).await;
    let builder = world.client(start, troubles).await.retry(at_once());
    let builder = if let Some(patience) = patience { builder.attempt_timeout(patience) } else { builder };
    let client = builder.build().expect("a client");
    if !world.begin(start, &client).await {
        return None;
    }
    world.order(call, troubles, patience.unwrap_or_default());

    let started = Instant::now();
    let (why, means) = call.send(&client, &world.simulator, receipt).await;
    let took = started.elapsed();

    drop(client);
    world.proxy.quiet().await;
    let verdict = match means {
        "done" => "ok",
        "final" => "refused",
        other => other,
    };
    let times = call.carried_out(&world.simulator);
    let had_time = patience.is_none_or(|patience| world.had_time(troubles, patience, took));
    had_time.then(|| Seen { verdict, why, times, answer: world.proxy.answer() })
}

struct World {
    simulator: Simulator,
    proxy: Proxy,
    _served: Served,
}

impl World {
    async fn before(simulator: Simulator, start: Start) -> Self {
        let served = simulator.serve("127.0.0.1:0").await.expect("a loopback port");
        let connection = if start.keeps_its_connection() { Connection::Reused } else { Connection::Fresh };
        let proxy = Proxy::before(&served.base_url(), connection).await;
        Self { simulator, proxy, _served: served }
    }

    async fn client(&self, start: Start, troubles: &[Trouble]) -> ClientBuilder {
        let roads = troubles.iter().flat_map(|trouble| match trouble {
            Trouble::Road(road) => vec![*road],
            Token(..) => vec![Road::Open, Road::Open],
            OAuth(_) => vec![],
            _ => vec![Road::Open],
        });
        let roads = Roads::new(roads.chain([Road::Open; 8]));
        let by_name = format!("http://localhost:{}", self.proxy.port());
        let base_url = if start.keeps_its_connection() { self.proxy.base_url() } else { by_name };
        let environment = Environment::custom(&base_url).expect("a loopback URL");
        let builder = Client::builder(environment, self.simulator.credentials()).query_spacing(Duration::ZERO);
        let builder = if start.keeps_its_connection() {
            builder.reqwest(without_roots)
        } else {
            builder.reqwest(roads.builder())
        };
        match start {
            Start::Token => builder.token_store(Shared::with_token_of(&self.simulator).await),
            Start::Skewed(hours) => builder.clock(move || Utc::now() + TimeDelta::hours(hours)),
            Start::Nothing | Start::Connection | Start::Ended(_) => builder,
        }
    }

    /// Opens the connection that a cell begins with, and ends it again; answers whether there was time for it.
    async fn begin(&self, start: Start, client: &Client) -> bool {
        if let Start::Ended(by) = start {
            self.proxy.end_after_tokens(by);
        }
        if start.keeps_its_connection() && client.warm_up().await.is_err() {
            return false;
        }
        if matches!(start, Start::Ended(_)) {
            self.proxy.client_left().await;
            // A reset is not answered: what is read from the same runtime's sockets after it was read after it.
            for _ in 0..3 {
                round_trip().await.expect("a loopback connection");
            }
        }
        true
    }

    /// Whether the client timed out where it was to and nowhere else: then it took no longer than these timeouts together.
    fn had_time(&self, troubles: &[Trouble], patience: Duration, took: Duration) -> bool {
        // No row has two, and the simulator can be late only with what arrived.
        let late = usize::from(self.proxy.calls() > 0 && matches!(troubles, [Late]));
        let throttled = troubles.iter().filter(|trouble| matches!(trouble, Desk(Fault::Throttled(_)))).count();
        let [timeouts, throttled] = [self.proxy.silences() + late, throttled].map(|n| u32::try_from(n).expect("few"));
        let pauses = if timeouts == 0 { Duration::ZERO } else { Duration::from_secs(1) * throttled };
        took < patience * timeouts + pauses + patience * 9 / 10
    }

    fn order(&self, call: Call, troubles: &[Trouble], patience: Duration) {
        /// A request that the simulator answers as ever, so that its faults meet the requests they are meant for.
        const NONE: Fault = Fault::Slow(Duration::ZERO);
        let cut = |place, by| self.proxy.cut_next(place, by);
        let fault = |fault| self.simulator.fault(call.route(), fault);
        for (place, trouble) in troubles.iter().enumerate() {
            match *trouble {
                Trouble::Road(_) => continue,
                OAuth(fault) => {
                    self.simulator.fault(Route::OAuth, fault);
                    continue;
                }
                Line(place, by) => {
                    cut(place, by);
                    if !matches!(place, Place::Accepted | Place::Request(_)) {
                        fault(NONE);
                    }
                    continue;
                }
                Desk(wrong) => fault(wrong),
                Late => fault(Fault::Slow(patience * 2)),
                Token(status, code, words) => fault(Fault::Refused(status, code, words)),
            }
            cut(Place::Nowhere, By::Fin);
            let next_is_granted = !matches!(troubles.get(place + 1), Some(OAuth(_)));
            if matches!(trouble, Token(..)) && next_is_granted {
                self.simulator.fault(Route::OAuth, NONE);
            }
        }
    }
}

async fn round_trip() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut here = TcpStream::connect(listener.local_addr()?).await?;
    let (mut there, _) = listener.accept().await?;
    there.write_u8(0).await?;
    here.read_u8().await.map(drop)
}
