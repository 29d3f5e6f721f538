//! The served simulator's own faults: the verdict for each, and the prompts that rang.

use std::time::Duration;

use daraja::simulator::{Fault, Route, Simulator};

use crate::tools::{
    PATIENCE, at_once, every, push,
    verdict::{means, told},
    without_roots,
};

/// The fault of the first push; the verdict; the requests and the prompts that were counted.
const FAULTS: [(Fault, &str, &str, usize, usize); 12] = [
    (Fault::ResetBefore, "Unknown(Transport(Interrupted))", "unknown", 0, 0),
    (Fault::ResetAfter, "Unknown(Transport(Interrupted))", "unknown", 1, 1),
    (Fault::Slow(Duration::from_secs(30)), "Unknown(Transport(Timeout))", "unknown", 1, 1),
    (Fault::Truncated, "Unknown(Transport(Interrupted))", "unknown", 1, 1),
    (Fault::Html, "Unknown(Decode(403))", "unknown", 1, 0),
    (Fault::Empty, "Unknown(Decode(500))", "unknown", 1, 0),
    (Fault::ErrorInOk, "Unknown(Api(200 500.001.1001))", "unknown", 1, 0),
    (Fault::AcceptedButError, "Unknown(Api(500 500.001.1001))", "unknown", 1, 1),
    (Fault::Busy, "Unknown(Api(500 500.003.02))", "unknown", 1, 1),
    (Fault::Redirect, "Unknown(Decode(302))", "unknown", 1, 0),
    (Fault::Throttled(None), "Ok", "done", 2, 1),
    (Fault::TokenExpired, "Ok", "done", 2, 1),
];

#[tokio::test]
async fn every_fault_of_the_simulator_has_one_verdict_and_at_most_one_prompt() {
    every(FAULTS.into_iter().map(|(fault, verdict, meaning, requests, prompts)| async move {
        let simulator = Simulator::new();
        let served = simulator.serve("127.0.0.1:0").await.unwrap();
        let builder = served.client_builder().retry(at_once()).reqwest(without_roots());
        let slow = matches!(fault, Fault::Slow(_));
        let client = if slow { builder.attempt_timeout(PATIENCE) } else { builder }.build().unwrap();
        simulator.fault(Route::StkPush, fault);

        let outcome = client.send(&push()).await;

        assert_eq!((told(&outcome).as_str(), means(&outcome)), (verdict, meaning), "{fault:?}");
        assert_eq!(simulator.calls(Route::StkPush), requests, "{fault:?}: requests");
        assert_eq!(simulator.prompts().len(), prompts, "{fault:?}: prompts");
    }))
    .await;
}
