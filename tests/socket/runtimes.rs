//! One client and several runtimes: a `static` client and a runtime for each test, a synchronous wrapper, the workers of
//! actix-web. A connection is driven by the runtime that opened it, and by no other.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use daraja::{
    Client, Shillings, StkPush,
    simulator::{Fault, Route, Served, Simulator},
};
use tokio::{
    runtime::{Builder, Runtime},
    time::sleep,
};

use crate::tools::without_roots;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A simulator that is served by a runtime of its own.
struct Daraja {
    simulator: Simulator,
    served: Served,
    _runtime: Runtime,
}

impl Daraja {
    fn start() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let simulator = Simulator::builder().tokens_coexist().answer_time(Duration::from_millis(1)).build();
        let served = runtime.block_on(simulator.serve("127.0.0.1:0")).expect("it is served");
        Self { simulator, served, _runtime: runtime }
    }

    fn client(&self) -> Client {
        let builder = self.served.client_builder().reqwest(without_roots);
        builder.attempt_timeout(Duration::from_secs(5)).timeout(Duration::from_secs(10)).build().expect("a client")
    }

    /// To a number of its own: a prompt may still be open on any other.
    fn push(&self, number: u64) -> StkPush {
        let payer = format!("2547{number:08}").parse().expect("a number");
        let url = "http://127.0.0.1:1/callbacks".parse().expect("a URL");
        let amount = Shillings::new(500).expect("an amount");
        StkPush::new(&self.simulator.merchant(), payer, amount, "INV-001".parse().expect("a reference"), url)
    }
}

#[test]
fn a_payment_does_not_leave_by_the_connection_of_a_runtime_that_rests() {
    let daraja = Daraja::start();
    let client = daraja.client();
    let (resting, driven) = (runtime(), runtime());
    resting.block_on(client.send(&daraja.push(1))).unwrap();
    driven.block_on(client.send(&daraja.push(2))).unwrap();
    resting.block_on(client.send(&daraja.push(3))).unwrap();
    assert_eq!(daraja.simulator.prompts().len(), 3);
}

#[test]
fn runtimes_that_end_beside_it_take_no_payment_with_them() {
    let daraja = Daraja::start();
    let client = daraja.client();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1_000_000.. {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                runtime().block_on(client.send(&daraja.push(number))).unwrap();
            }
        });
        let own = runtime();
        let outcomes: Vec<_> = (0..300).map(|number| own.block_on(client.send(&daraja.push(number)))).collect();
        is_over.store(true, Ordering::Relaxed);
        for outcome in outcomes {
            outcome.unwrap();
        }
    });
}

#[test]
fn a_token_that_is_fetched_by_a_runtime_that_rests_or_ends_blocks_no_call() {
    for ends in [true, false] {
        let daraja = Daraja::start();
        let client = daraja.client();
        daraja.simulator.fault(Route::OAuth, Fault::Slow(Duration::from_millis(300)));
        let other = runtime();
        let (its_client, its_push) = (client.clone(), daraja.push(1));
        let fetching = other.spawn(async move { its_client.send(&its_push).await });
        other.block_on(async { sleep(Duration::from_millis(100)).await });
        let other = if ends { None } else { Some(other) };
        runtime().block_on(client.send(&daraja.push(2))).unwrap();
        drop((other, fetching));
    }
}
