//! 200 checkouts at once, from the order to the receipt: `cargo bench -p shop`. On SQLite, or on the PostgreSQL that
//! `SHOP_TEST_POSTGRES` names.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints what it measured, and ends at what it cannot do"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use tokio::{sync::Barrier, task::JoinSet, time::sleep};

#[path = "../tests/shop/database.rs"]
#[expect(dead_code, reason = "tests need more of it")]
mod database;
#[path = "../tests/shop/support.rs"]
#[expect(dead_code, reason = "tests need more of it")]
mod support;

use database::Database;
use support::{Options, World, quick};

const AT_ONCE: u64 = 200;
/// Orders of each customer, one after the other.
const ORDERS: u64 = 10;
/// How often a customer's page asks the shop.
const LOOK: Duration = Duration::from_millis(25);

fn main() {
    // Tests call benches too, to see that they run: this one takes its time.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure());
}

/// How long one checkout took.
struct Took {
    initiate: Duration,
    to_receipt: Duration,
}

async fn measure() {
    let simulator = quick();
    simulator.everyone().approves().after(Duration::from_millis(20));
    let world = Arc::new(World::with(simulator, Options::default()).await);
    let token = world.shop.customer("amina@shop.example").await;
    let start = Arc::new(Barrier::new(usize::try_from(AT_ONCE).unwrap() + 1));
    let mut customers = JoinSet::new();
    for customer in 0..AT_ONCE {
        let (world, token, start) = (world.clone(), token.clone(), start.clone());
        customers.spawn(async move {
            start.wait().await;
            let mut took = Vec::new();
            for order in 0..ORDERS {
                took.push(check_out(&world, &token, customer * ORDERS + order).await);
            }
            took
        });
    }
    start.wait().await;
    let started = Instant::now();
    let took: Vec<Took> = customers.join_all().await.into_iter().flatten().collect();
    let seconds = started.elapsed().as_secs_f64();
    let all = u32::try_from(took.len()).unwrap();
    let (initiate, to_receipt) =
        (sorted(took.iter().map(|took| took.initiate)), sorted(took.iter().map(|took| took.to_receipt)));
    let database = if Database::is_shared() { "PostgreSQL" } else { "SQLite" };
    println!(
        "{database}: {AT_ONCE} checkouts at once, {all} in all: {:.0} a second; answered after {} ms (p50), {} ms (p99); \
         receipt after {} ms (p50), {} ms (p99)",
        f64::from(all) / seconds,
        at(&initiate, 50),
        at(&initiate, 99),
        at(&to_receipt, 50),
        at(&to_receipt, 99)
    );
    assert_eq!(world.value("SELECT COUNT(*) FROM orders WHERE state = 'paid'").await, i64::from(all));
    assert_eq!(world.simulator.payments().len(), took.len());
    Arc::into_inner(world).expect("nobody else has it").end().await;
}

/// An order, its payment, and the receipt.
async fn check_out(world: &World, token: &str, number: u64) -> Took {
    let shop = &world.shop;
    let order = shop.order(token, 10).await;
    let began = Instant::now();
    let told = shop.pay(token, &order, &format!("25470000{number:04}")).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.body);
    let initiate = began.elapsed();
    while shop.verify(token, &order).await["payment_reference"].is_null() {
        sleep(LOOK).await;
    }
    Took { initiate, to_receipt: began.elapsed() }
}

fn sorted(times: impl Iterator<Item = Duration>) -> Vec<u128> {
    let mut times: Vec<_> = times.map(|time| time.as_millis()).collect();
    times.sort_unstable();
    times
}

fn at(times: &[u128], percent: usize) -> u128 {
    times[(times.len() * percent / 100).min(times.len() - 1)]
}
