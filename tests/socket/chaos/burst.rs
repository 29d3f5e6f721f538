//! The token dies in the middle of a burst: every call is carried out once, and one fetch serves them all.

use std::{fmt::Write, time::Duration};

use daraja::simulator::{Fault, Route, Simulator};
use tokio::task::JoinSet;

use super::{operations::Call, page};
use crate::tools::{at_once, stored::Shared, without_roots};

const AT_ONCE: usize = 12;

/// The call; how it ends for all of them; how often they were carried out; the token requests, the first one's included.
const BURSTS: [(Call, &str, &str, usize, usize); 4] = [
    (Call::Query, "STK query", "done", 0, 2),
    (Call::Payout, "B2C v3", "done", 12, 2),
    (Call::Push, "STK push", "done", 12, 2),
    (Call::PayoutV1, "B2C v1", "done", 12, 2),
];

#[tokio::test]
async fn a_token_that_dies_in_a_burst_costs_one_fetch_and_no_call() {
    let mut table = String::from("| calls at a time | come to | carried out | tokens fetched |\n|---|---|---|---|\n");
    for (call, name, expected, times, tokens) in BURSTS {
        let simulator = Simulator::builder().query_spacing(Duration::ZERO).build();
        simulator.everyone().approves().after(Duration::ZERO).callback_lost();
        let served = simulator.serve("127.0.0.1:0").await.unwrap();
        let store = Shared::with_token_of(&simulator).await;
        let builder = served.client_builder().retry(at_once()).reqwest(without_roots).token_store(store);
        let client = builder.build().unwrap();
        // Three pass, then the token dies.
        for fault in [Fault::Slow(Duration::ZERO); 3].into_iter().chain([Fault::TokenExpired]) {
            simulator.fault(call.route(), fault);
        }

        let mut burst = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (client, simulator) = (client.clone(), simulator.clone());
            burst.spawn(async move { call.send(&client, &simulator, None).await });
        }
        let outcomes = burst.join_all().await;

        assert!(outcomes.iter().all(|(_, means)| *means == expected), "{call:?}: {outcomes:?}");
        assert_eq!(call.carried_out(&simulator), times, "{call:?}");
        assert_eq!(simulator.calls(Route::OAuth), tokens, "{call:?}");
        let (carried_out, fetched) = (call.carried_out(&simulator), simulator.calls(Route::OAuth));
        let carried_out = if call.is_safe() { "–".to_owned() } else { format!("{carried_out}×") };
        writeln!(table, "| {AT_ONCE} × {name} | ok | {carried_out} | {fetched} |").expect("a string takes it");
    }
    page::compare("bursts", &table);
}
