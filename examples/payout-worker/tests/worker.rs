//! The worker of the README against the simulator and a real database.

#![expect(clippy::unwrap_used, reason = "what a test's helper cannot unwrap fails the test")]

use std::{path::Path, time::Duration};

use daraja::{
    B2cPayment, NextStep, Payout, PayoutState, Shillings, Url,
    simulator::{Fault, Posted, Route, Simulator},
    webhook::{Delivery, Receiver, Reference, SignedUrls, Sources},
};
use payout_worker::{Book, Worker};
use tokio::time::{sleep, timeout};

const SUPPLIER: &str = "254700000001";

fn id() -> Reference {
    "supplier-7-invoice-1042".parse().unwrap()
}

fn receiver() -> Receiver {
    let base = "https://shop.example/daraja".parse().unwrap();
    let urls = SignedUrls::new(base, "3b1e9c47d2a86f05c4e7b91d60a3f82e").unwrap();
    Receiver::new(urls).sources(Sources::anyone()) // in process nothing has an address
}

/// A program that pays: a connection of its own to the book.
fn program(simulator: &Simulator, folder: &Path) -> Worker {
    let book = Book::open(&folder.join("book.sqlite")).unwrap();
    let (daraja, initiator) = (simulator.client(), simulator.initiator());
    Worker { daraja, initiator, urls: receiver().urls().clone(), book }
}

fn add(worker: &Worker, simulator: &Simulator) {
    let (code, amount) = (simulator.b2c_short_code(), Shillings::new(5_000).unwrap());
    let payment =
        B2cPayment::new(&worker.initiator, code, SUPPLIER.parse().unwrap(), amount, worker.urls.payout(&id()));
    worker.book.add(&id(), &Payout::new(payment)).unwrap();
}

/// The route of a web framework.
fn route(worker: &Worker, posted: &Posted) {
    let url: Url = posted.url.parse().unwrap();
    let (reference, event) = receiver().accept(Delivery::new(None, url.path(), &posted.body)).unwrap();
    worker.take(&reference, &event).unwrap().unwrap();
}

fn state(worker: &Worker) -> PayoutState {
    worker.book.change(&id(), |payout| payout.state().clone()).unwrap()
}

/// Takes it from step to step, as a program does that looks now and then.
async fn work(worker: &Worker, simulator: &Simulator) {
    for _ in 0..50 {
        if worker.book.open_payouts().unwrap().is_empty() {
            return;
        }
        worker.step(&id()).await.unwrap();
        let next = worker.book.change(&id(), |payout| payout.next_step(worker.daraja.now())).unwrap();
        if let NextStep::Wait(until) = next {
            let pause = until.since(worker.daraja.now()).unwrap_or_default();
            if let Ok(posted) = timeout(pause, simulator.next_result()).await {
                route(worker, &posted);
            }
        }
    }
    panic!("not settled: {:?}", state(worker));
}

#[track_caller]
fn assert_paid_once(worker: &Worker, simulator: &Simulator) {
    let state = state(worker);
    let PayoutState::Paid(paid) = &state else { panic!("{state:?}") };
    let [left] = <[_; 1]>::try_from(simulator.payouts()).unwrap();
    assert_eq!(paid.receipt, left.receipt);
    assert_eq!(worker.book.open_payouts().unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn the_result_comes_after_the_answer() {
    let (folder, simulator) = (tempfile::tempdir().unwrap(), Simulator::new());
    let worker = program(&simulator, folder.path());
    add(&worker, &simulator);
    worker.step(&id()).await.unwrap();
    assert_eq!(state(&worker), PayoutState::Accepted);
    route(&worker, &simulator.next_result().await);
    assert_paid_once(&worker, &simulator);
}

/// The row that was loaded before the payment was sent says "sending": storing it would undo the result.
#[tokio::test(start_paused = true)]
async fn the_result_comes_before_the_answer_and_stays() {
    let simulator = Simulator::builder().result_time(Duration::from_secs(5)).build();
    let folder = tempfile::tempdir().unwrap();
    let worker = program(&simulator, folder.path());
    let web = program(&simulator, folder.path());
    add(&worker, &simulator);
    simulator.fault(Route::B2c, Fault::Slow(Duration::from_secs(20)));
    let id = id();
    let (stepped, ()) = tokio::join!(worker.step(&id), async {
        route(&web, &simulator.next_result().await);
        assert!(matches!(state(&web), PayoutState::Paid(_)));
    });
    stepped.unwrap();
    assert_paid_once(&worker, &simulator);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_pays_once() {
    let (folder, simulator) = (tempfile::tempdir().unwrap(), Simulator::new());
    let worker = program(&simulator, folder.path());
    add(&worker, &simulator);
    simulator.fault(Route::B2c, Fault::ResetAfter);
    work(&worker, &simulator).await;
    assert_paid_once(&worker, &simulator);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_lost_is_asked_for() {
    let (folder, simulator) = (tempfile::tempdir().unwrap(), Simulator::new());
    simulator.recipient(SUPPLIER.parse().unwrap()).is_paid().result_lost();
    let worker = program(&simulator, folder.path());
    add(&worker, &simulator);
    work(&worker, &simulator).await;
    assert_paid_once(&worker, &simulator);
    assert_eq!(simulator.calls(Route::TransactionStatus), 1);
}

#[tokio::test(start_paused = true)]
async fn a_program_that_dies_while_it_sends_goes_on_from_the_book() {
    let (folder, simulator) = (tempfile::tempdir().unwrap(), Simulator::new());
    let worker = program(&simulator, folder.path());
    add(&worker, &simulator);
    simulator.fault(Route::B2c, Fault::Slow(Duration::from_mins(1)));
    assert!(timeout(Duration::from_secs(3), worker.step(&id())).await.is_err(), "it dies in the middle");
    drop(worker);
    let worker = program(&simulator, folder.path());
    assert_eq!(state(&worker), PayoutState::Sending);
    sleep(Duration::from_secs(150)).await;
    work(&worker, &simulator).await;
    assert_paid_once(&worker, &simulator);
}

#[tokio::test(start_paused = true)]
async fn two_workers_at_once_send_once() {
    let (folder, simulator) = (tempfile::tempdir().unwrap(), Simulator::new());
    let (one, other) = (program(&simulator, folder.path()), program(&simulator, folder.path()));
    add(&one, &simulator);
    let id = id();
    let (first, second) = tokio::join!(one.step(&id), other.step(&id));
    first.and(second).unwrap();
    assert_eq!(simulator.calls(Route::B2c), 1);
    route(&other, &simulator.next_result().await);
    assert_paid_once(&one, &simulator);
}

/// What readers copy is what is tested here.
#[test]
fn readme_and_guide_show_this_worker() {
    let worker = include_str!("../src/worker.rs");
    let (_, worker) = worker.split_once("use crate::{Book, BookError};\n\n").unwrap();
    for (page, text) in [
        ("README.md", include_str!("../../../README.md")),
        ("docs/paying-out-safely.md", include_str!("../../../docs/paying-out-safely.md")),
    ] {
        assert!(text.contains(worker), "{page} does not show src/worker.rs as it is");
    }
}
