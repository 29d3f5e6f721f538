//! 5 000 callbacks a second for ten seconds, from the simulator into this recipe: `cargo bench -p recipe-axum`.
//!
//! Every tenth callback comes twice, every tenth is overtaken by a later one. What was settled is counted from what is on
//! the disk, once after a flood that ends, and once after one in whose middle the recipe was killed and started anew.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a bench prints what it measured"
)]

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use daraja::{
    Msisdn, Shillings, StkPush,
    simulator::{Delivered, Simulator},
    webhook::{Reference, SignedUrls},
};
use recipe_suite::{Disk, Setup};

const PER_SECOND: u64 = 5_000;
const SECONDS: u64 = 10;
/// Pushes are sent in packs, a pack in this time.
const PACK_TIME: Duration = Duration::from_millis(10);
const CUSTOMERS: u64 = 10_000;

fn main() {
    // Tests call benches too, to see that they run: this one takes its time.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be built");
    for killed in [None, Some(Duration::from_secs(SECONDS / 2))] {
        runtime.block_on(flood(killed));
    }
}

async fn flood(kill_after: Option<Duration>) {
    let mut setup = Setup::of(Path::new(env!("CARGO_BIN_EXE_recipe-axum")));
    let mut recipe = setup.start();
    let (address, urls) = (recipe.address, recipe.urls());
    let simulator = simulator();
    let _served = simulator.serve("127.0.0.1:0").await.expect("a port");

    let crowd = tokio::spawn(push(simulator.clone(), urls));
    if let Some(time) = kill_after {
        tokio::time::sleep(time).await;
        recipe.kill();
        setup = setup.at(&address.to_string());
        recipe = setup.start();
    }
    let (pushed, took) = crowd.await.expect("the pushes are sent");
    let started = Instant::now();
    while simulator.undelivered() > 0 || simulator.delivered().len() < expected(pushed) {
        assert!(started.elapsed() < Duration::from_secs(60), "callbacks are missing");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    recipe.stop();

    report(&simulator.delivered(), &setup.disk(), pushed, took, kill_after);
}

/// What the customers of these pushes bring: a callback each, and a second one for every tenth.
fn expected(pushed: u64) -> usize {
    usize::try_from(pushed + pushed / 10).expect("it fits")
}

fn customer(number: u64) -> Msisdn {
    Msisdn::try_from(254_700_000_000 + number % CUSTOMERS).expect("a number")
}

fn simulator() -> Simulator {
    let simulator = Simulator::builder().answer_time(Duration::from_millis(5)).build();
    // Nobody goes by the last digits of the number, which stand for other stories.
    let _ = simulator.everyone().approves();
    for number in (0..CUSTOMERS).step_by(10) {
        let _ = simulator.customer(customer(number)).approves().callback_twice();
        let _ = simulator.customer(customer(number + 1)).approves().callback_overtaken();
        let _ = simulator.customer(customer(number + 2)).cancels();
    }
    simulator
}

/// Sends pushes at the rate that is wanted, in process, so that the wire is the callbacks' alone.
async fn push(simulator: Simulator, urls: SignedUrls) -> (u64, Duration) {
    let (client, merchant) = (simulator.client(), simulator.merchant());
    let pack = PER_SECOND * u64::try_from(PACK_TIME.as_millis()).expect("it fits") / 1_000;
    let packs = PER_SECOND * SECONDS / pack;
    let mut ticks = tokio::time::interval(PACK_TIME);
    let started = Instant::now();
    for number in 0..packs * pack {
        if number % pack == 0 {
            ticks.tick().await;
        }
        let reference: Reference = format!("attempt-{number}").parse().expect("a reference");
        let (amount, account) = (Shillings::new(1).expect("an amount"), "FLOOD".parse().expect("an account"));
        let push = StkPush::new(&merchant, customer(number), amount, account, urls.stk(&reference));
        client.send(&push).await.expect("the push is accepted");
    }
    (packs * pack, started.elapsed())
}

fn report(delivered: &[Delivered], disk: &Disk, pushed: u64, took: Duration, kill_after: Option<Duration>) {
    let mut times: Vec<Duration> =
        delivered.iter().filter(|delivered| delivered.status == Some(200)).map(|delivered| delivered.took).collect();
    times.sort();
    let answered: BTreeSet<&str> = delivered
        .iter()
        .filter(|delivered| delivered.status == Some(200))
        .filter_map(|delivered| delivered.url.rsplit('/').nth(1))
        .collect();
    let stored: BTreeSet<&str> = disk.events.values().map(|(reference, ..)| reference.as_str()).collect();
    let lost = answered.difference(&stored).count();
    let often = disk.finished.values().filter(|times| **times != 1).count();
    let unfinished = disk.events.values().filter(|(.., key)| !disk.finished.contains_key(key)).count();
    let at = |part: usize| times[(times.len() - 1) * part / 1_000].as_secs_f64() * 1_000.0;
    println!(
        "{}: {pushed} pushes in {:.1} s ({:.0}/s), {} callbacks posted, {} answered 200\n  \
         on the disk: {} settled, {lost} answered and lost, {unfinished} unfinished, {often} settled more than once\n  \
         answer: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, longest {:.2} ms",
        if kill_after.is_some() { "killed in the middle" } else { "undisturbed" },
        took.as_secs_f64(),
        pushed as f64 / took.as_secs_f64(),
        delivered.len(),
        times.len(),
        disk.finished.len(),
        at(500),
        at(990),
        at(999),
        at(1_000),
    );
    assert_eq!((lost, unfinished, often), (0, 0, 0), "something was lost, or settled twice");
    if kill_after.is_none() {
        assert_eq!(u64::try_from(disk.finished.len()), Ok(pushed), "each is settled once");
        assert_eq!(times.len(), delivered.len(), "each was answered");
    }
}
