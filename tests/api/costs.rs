//! What things cost, as counts and as ratios: the ten-thousandth must not cost more than the first.
//!
//! Expected figures are literal. Times are those of this thread's processor, and only compared with each other.

use std::{
    future::{Future, IntoFuture, poll_fn},
    hint::black_box,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
};

use allocation_counter::measure;
use bytes::Bytes;
use daraja::{
    B2cResult, CheckoutRequestId, Client, Credentials, Environment, Merchant, Msisdn, Shillings, StkCallback, StkPush,
    simulator::Simulator,
    transport::{BoxFuture, Transport, TransportError},
    webhook::Inbox,
};
use http::{Request, Response};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::support::ATTEMPT;

fn paused() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

fn ids(count: usize) -> Vec<CheckoutRequestId> {
    (0..count).map(|number| format!("ws_CO_06102026170234{number:06}254708374149").parse().unwrap()).collect()
}

fn push_to(merchant: &Merchant, payer: Msisdn) -> StkPush {
    let (amount, reference) = (Shillings::new(10).unwrap(), "INV-001".parse().unwrap());
    StkPush::new(merchant, payer, amount, reference, "https://shop.example/callbacks/stk".parse().unwrap())
}

fn payer(number: usize) -> Msisdn {
    format!("25470000{number:04}").parse().unwrap()
}

/// Accepts every push at once, over no network.
struct AtOnce;

impl Transport for AtOnce {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let answer = if request.uri().path().starts_with("/oauth") {
            r#"{"access_token":"GWGrFMOeZ1Wp4tAzvLR2c8fXnXGS","expires_in":"3599"}"#
        } else {
            r#"{"MerchantRequestID":"2654-4b64-97ff-b827b542881d3130","CheckoutRequestID":"ws_CO_1","ResponseCode":"0"}"#
        };
        Box::pin(async move { Ok(Response::new(Bytes::from_static(answer.as_bytes()))) })
    }
}

fn at_once() -> Client {
    Client::builder(Environment::Sandbox, Credentials::new("key", "secret")).transport(AtOnce).build().unwrap()
}

#[test]
fn a_clone_of_a_client_allocates_nothing() {
    let client = at_once();
    let cloned = measure(|| drop(black_box(client.clone())));
    assert_eq!(cloned.count_total, 0);
}

#[test]
fn reading_a_callback_allocates_for_what_is_kept_and_little_else() {
    let callback = include_bytes!("../fixtures/stk/callback/paid_four_items.json");
    let read = measure(|| drop(StkCallback::parse(callback).unwrap()));
    assert!(read.count_total <= 6, "an STK callback: {} allocations", read.count_total);
    let result = include_bytes!("../fixtures/b2c/result/paid_whole.json");
    let read = measure(|| drop(B2cResult::parse(result).unwrap()));
    assert!(read.count_total <= 12, "a B2C result: {} allocations", read.count_total);
}

#[test]
fn the_two_thousandth_push_allocates_no_more_than_the_first_ones_and_nothing_is_kept() {
    let (runtime, client, merchant) = (paused(), at_once(), Simulator::new().merchant());
    let hundred = || {
        measure(|| {
            runtime.block_on(async {
                for number in 0..100 {
                    client.send(&push_to(&merchant, payer(number))).await.unwrap();
                }
            });
        })
    };
    hundred();
    let first = hundred();
    let kept: i64 = (0..20).map(|_| hundred().bytes_current).sum();
    let last = hundred();
    assert_eq!(last.count_total, first.count_total);
    assert_eq!(kept, 0);
    assert!(first.count_total <= 3_000, "{} allocations for a hundred pushes", first.count_total);
}

/// Polls per waiter and minute of two minutes in which nothing is told.
fn polls(waiters: usize) -> f64 {
    let polls = Arc::new(AtomicUsize::new(0));
    paused().block_on(async {
        let simulator = Simulator::new();
        let (client, merchant) = (simulator.client(), simulator.merchant());
        let mut tasks = JoinSet::new();
        for id in ids(waiters) {
            let (client, merchant, polls) = (client.clone(), merchant.clone(), polls.clone());
            tasks.spawn(async move {
                let mut wait = pin!(client.wait_for_payment(&merchant, &id).into_future());
                let outcome = poll_fn(|context| {
                    polls.fetch_add(1, Ordering::Relaxed);
                    wait.as_mut().poll(context)
                });
                assert!(outcome.await.unwrap_err().outcome_unknown());
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    });
    f64::from(u32::try_from(polls.load(Ordering::Relaxed)).unwrap()) / f64::from(u32::try_from(waiters).unwrap()) / 2.0
}

#[test]
fn a_waiter_is_woken_no_more_often_among_a_thousand_than_among_ten() {
    for waiters in [1, 10, 100, 1_000] {
        let polls = polls(waiters);
        assert!(polls <= 6.0, "{waiters} waiters: {polls} polls of each a minute");
    }
}

type Waits<'a> = Vec<Pin<Box<dyn Future<Output = daraja::Result<daraja::stk::Settled>> + Send + 'a>>>;

/// As many waits, polled once.
fn waits<'a>(client: &'a Client, merchant: &'a Merchant, ids: &'a [CheckoutRequestId], inbox: &'a Inbox) -> Waits<'a> {
    let mut context = Context::from_waker(Waker::noop());
    ids.iter()
        .map(|id| {
            let mut wait = client.wait_for_payment(merchant, id).inbox(inbox).at(&ATTEMPT).into_future();
            assert!(wait.as_mut().poll(&mut context).is_pending());
            wait
        })
        .collect()
}

#[test]
fn a_waiter_takes_no_more_memory_among_ten_thousand_than_among_a_hundred() {
    let (runtime, client, merchant) = (paused(), at_once(), Simulator::new().merchant());
    let _entered = runtime.enter();
    for waiters in [100, 1_000, 10_000] {
        let (ids, inbox) = (ids(waiters), Inbox::new());
        let first = measure(|| drop(waits(&client, &merchant, &ids, &inbox)));
        let each = first.bytes_max / u64::try_from(waiters).unwrap();
        assert!(each <= 4_096, "{waiters} waiters: {each} bytes each");
        let next = measure(|| drop(waits(&client, &merchant, &ids, &inbox)));
        assert_eq!(next.bytes_current, 0, "left of {waiters} waiters");
    }
}

fn cancelled(id: &CheckoutRequestId) -> StkCallback {
    let body = format!(r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"{id}","ResultCode":1032}}}}}}"#);
    StkCallback::parse(body.as_bytes()).unwrap()
}

/// Nanoseconds of this thread's processor that some work takes.
#[cfg(target_os = "linux")]
fn cost(work: impl FnOnce()) -> u64 {
    let used = || {
        // The system brings its account up to date when the thread gives way.
        std::thread::yield_now();
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        text.split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let before = used();
    work();
    used() - before
}

#[cfg(target_os = "linux")]
#[test]
fn callbacks_that_come_together_cost_the_same_each_however_many_are_waited_for() {
    let (runtime, client, merchant) = (paused(), at_once(), Simulator::new().merchant());
    let _entered = runtime.enter();
    let delivered = |count: usize| {
        let (ids, inbox) = (ids(count), Inbox::new());
        let waits = waits(&client, &merchant, &ids, &inbox);
        let callbacks: Vec<_> = ids.iter().map(cancelled).collect();
        let cost = cost(|| callbacks.into_iter().for_each(|callback| inbox.deliver(&ATTEMPT, callback)));
        assert_eq!((waits.len(), inbox.len()), (count, count));
        cost
    };
    let (apart, together) = ((0..16).map(|_| delivered(150)).sum::<u64>(), delivered(2_400));
    // If each looked at all that came before, it would be sixteen times as much.
    assert!(together <= apart * 4, "together they took {} times as long", together / apart);
}

#[cfg(target_os = "linux")]
#[test]
fn a_look_at_the_accounts_costs_the_same_however_many_prompts_are_open() {
    let looked = |prompts: usize| {
        paused().block_on(async {
            let simulator = Simulator::new();
            simulator.everyone().approves();
            let (client, merchant) = (simulator.client(), simulator.merchant());
            for number in 0..prompts {
                client.send(&push_to(&merchant, payer(number))).await.unwrap();
            }
            let look = || assert_eq!(simulator.accounts().utility.cents(), 100_000_000);
            cost(|| (0..50_000).for_each(|_| look()))
        })
    };
    let (few, many) = (looked(50), looked(800));
    // All of them looked at would be sixteen times as much.
    assert!(many <= few * 4, "with 800 open prompts it took {} times as long as with 50", many / few);
}
