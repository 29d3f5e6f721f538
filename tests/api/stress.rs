//! Ten thousand calls on four threads and in two runtimes, each cut, held or awaited by chance: none fails that need not,
//! nobody waits for ever, and nothing is left over.

use std::{
    future::Future,
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
    Answer, Client, Credentials, Environment, Operation, Repeat, Result, Timestamp,
    transport::{BoxFuture, Transport, TransportError},
};
use http::{Request, Response};
use serde::Serialize;
use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{sleep, timeout},
};

/// A call that moves nothing.
struct Read;

impl Operation for Read {
    type Response = ();

    fn path(&self) -> &str {
        "/read"
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn body(&self, _: Timestamp) -> impl Serialize + Send {}

    fn decode(&self, _: &Answer) -> Result<()> {
        Ok(())
    }
}

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
                if self.0.granted.lock().unwrap().iter().any(|granted| granted == bearer) {
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
    timeout(Duration::from_secs(60), call).await.expect("nobody is forgotten").unwrap();
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
