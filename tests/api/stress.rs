//! Ten thousand calls on four threads and in two runtimes, each cut, held or awaited by chance: a call that is allowed to
//! finish succeeds, none waits for ever, and no memory is kept. The same for ten thousand waits on four threads.

use std::{
    future::{Future, IntoFuture},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use daraja::{
    Client, Credentials, Environment, Result, StkCallback,
    transport::{BoxFuture, Transport, TransportError},
    webhook::{Inbox, Reference},
};
use http::{Request, Response};
use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::support::{Read, merchant};

/// The same numbers every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// Takes the tokens that it has granted since it voided all before.
#[derive(Clone, Default)]
struct Daraja(Arc<Tokens>);

#[derive(Default)]
struct Tokens {
    granted: Mutex<Vec<String>>,
    count: AtomicUsize,
    voids: AtomicUsize,
}

impl Daraja {
    fn void_all(&self) {
        self.0.granted.lock().unwrap().clear();
        self.0.voids.fetch_add(1, Relaxed);
    }
}

impl Transport for Daraja {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let (status, body) = if request.uri().path().starts_with("/oauth") {
                sleep(Duration::from_millis(1)).await;
                let token = format!("token-{}", self.0.count.fetch_add(1, Relaxed));
                self.0.granted.lock().unwrap().push(format!("Bearer {token}"));
                (200, format!(r#"{{"access_token":"{token}","expires_in":"3599"}}"#))
            } else {
                sleep(Duration::from_millis(1)).await;
                let bearer = request.headers()["authorization"].to_str().unwrap();
                let is_taken = self.0.granted.lock().unwrap().iter().any(|granted| granted == bearer);
                if is_taken && request.uri().path().contains("query") {
                    let pending = r#"{"errorCode":"500.001.1001","errorMessage":"The transaction is being processed"}"#;
                    (500, pending.to_owned())
                } else if is_taken {
                    (200, "{}".to_owned())
                } else {
                    (404, r#"{"errorCode":"404.001.03","errorMessage":"Invalid Access Token"}"#.to_owned())
                }
            };
            Ok(Response::builder().status(status).body(body.into()).unwrap())
        })
    }
}

#[derive(Default)]
struct Counts {
    done: AtomicUsize,
    cut: AtomicUsize,
    held: AtomicUsize,
}

/// A call that has all the time it wants succeeds.
async fn succeeds(call: impl Future<Output = Result<()>>, counts: &Counts) {
    timeout(Duration::from_secs(60), call).await.expect("it is woken").unwrap();
    counts.done.fetch_add(1, Relaxed);
}

async fn calls(client: Client, mut dice: Dice, counts: Arc<Counts>) {
    for _ in 0..16 {
        let mut call = pin!(client.send(&Read));
        match dice.below(8) {
            0..=1 => {
                let outcome = timeout(Duration::from_micros(dice.below(1_500)), call).await;
                counts.cut.fetch_add(usize::from(outcome.is_err()), Relaxed);
            }
            2..=3 => {
                // Polled for a moment, held while the same task calls again, and then awaited or dropped.
                let is_under_way = timeout(Duration::from_micros(dice.below(1_500)), call.as_mut()).await.is_err();
                succeeds(client.send(&Read), &counts).await;
                sleep(Duration::from_millis(dice.below(5))).await;
                if is_under_way && dice.below(2) == 0 {
                    succeeds(call, &counts).await;
                }
                counts.held.fetch_add(usize::from(is_under_way), Relaxed);
            }
            _ => succeeds(call, &counts).await,
        }
    }
}

/// A runtime of two threads, with 32 tasks.
fn run(client: &Client, counts: &Arc<Counts>, seed: u64) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(async {
        let dice = |task: u64| Dice(seed + task * 7_919 + 1);
        let mut tasks: JoinSet<_> = (0..32).map(|task| calls(client.clone(), dice(task), counts.clone())).collect();
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
    });
}

#[test]
fn ten_thousand_calls_that_are_cut_and_held_by_chance_leave_nothing_behind() {
    let (daraja, counts) = (Daraja::default(), Arc::new(Counts::default()));
    let builder = Client::builder(Environment::Sandbox, Credentials::new("the key", "the secret"));
    // So long is a fetch waited for that is held.
    let client = builder.transport(daraja.clone()).token_timeout(Duration::from_secs(1)).build().unwrap();
    for round in 0..10 {
        // Between the rounds, so that no call meets it twice: that would end it as refused.
        daraja.void_all();
        thread::scope(|scope| {
            for runtime in [1, 2] {
                let (client, counts) = (client.clone(), counts.clone());
                scope.spawn(move || run(&client, &counts, round * 1_000_003 + runtime * 15_485_863));
            }
        });
    }
    let count = |counted: &AtomicUsize| counted.load(Relaxed);
    let [done, cut, held] = [&counts.done, &counts.cut, &counts.held].map(count);
    assert!(done > 7_000 && cut > 100 && held > 100, "{done} done, {cut} cut, {held} held");
    // One for the start and for each void, and for each one that was cut or held in its fetch.
    let most = 1 + count(&daraja.0.voids) + cut + held;
    assert!(count(&daraja.0.count) <= most, "{} tokens, at most {most}", count(&daraja.0.count));
    drop(client);
    assert_eq!(Arc::strong_count(&daraja.0), 1, "the client is gone, with all that its calls held");
}

/// Waits that are cut by chance, whose callbacks come before them, meanwhile or never.
async fn waits(client: Client, inbox: Inbox, task: u64, counts: Arc<Counts>) {
    let mut dice = Dice(task * 104_729 + 1);
    let (merchant, reference) = (merchant(), "attempt-1".parse::<Reference>().unwrap());
    for round in 0..160 {
        let id = format!("ws_CO_{task}_{round}");
        let body = format!(r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"{id}","ResultCode":1032}}}}}}"#);
        let callback = StkCallback::parse(body.as_bytes()).unwrap();
        let (is_heard, is_early, delay) = (dice.below(10) != 0, dice.below(3) == 0, dice.below(3_000));
        if is_heard && is_early {
            inbox.deliver(&reference, callback);
        } else if is_heard {
            let (inbox, reference) = (inbox.clone(), reference.clone());
            tokio::spawn(async move {
                sleep(Duration::from_micros(delay)).await;
                inbox.deliver(&reference, callback);
            });
        }
        let id = id.parse().unwrap();
        let patience = if is_heard { Duration::from_secs(60) } else { Duration::from_millis(20) };
        let wait = client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&reference).within(patience);
        let wait = wait.schedule(std::iter::repeat(Duration::from_millis(5))).into_future();
        if dice.below(4) == 0 {
            let outcome = timeout(Duration::from_micros(dice.below(3_000)), wait).await;
            counts.cut.fetch_add(usize::from(outcome.is_err()), Relaxed);
            continue;
        }
        let outcome = wait.await;
        assert_eq!(outcome.is_ok(), is_heard, "{id:?}: {outcome:?}");
        counts.done.fetch_add(usize::from(is_heard), Relaxed);
    }
}

#[test]
fn ten_thousand_waits_that_are_cut_by_chance_miss_no_callback() {
    const CAPACITY: usize = 2_000;
    let (daraja, counts) = (Daraja::default(), Arc::new(Counts::default()));
    let builder = Client::builder(Environment::Sandbox, Credentials::new("the key", "the secret"));
    let client = builder.transport(daraja.clone()).query_spacing(Duration::from_millis(2)).build().unwrap();
    let inbox = Inbox::remembering(CAPACITY, Duration::from_secs(3_600));
    let runtime = Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    runtime.block_on(async {
        let mut tasks: JoinSet<_> =
            (0..64).map(|task| waits(client.clone(), inbox.clone(), task, counts.clone())).collect();
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
    });
    let [done, cut] = [&counts.done, &counts.cut].map(|counted| counted.load(Relaxed));
    assert!(done > 6_000 && cut > 500, "{done} done, {cut} cut");
    assert!(inbox.len() <= CAPACITY, "{} are kept", inbox.len());
    drop((client, runtime));
    assert_eq!(Arc::strong_count(&daraja.0), 1, "the client is gone, with all that its waits held");
}
