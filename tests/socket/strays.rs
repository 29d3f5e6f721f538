//! Answers that come when nobody waits for them: none is read as the answer to the next call.

use daraja::simulator::{Fault, Route, Simulator};

use crate::tools::{
    PATIENCE, at_once, push_to,
    script::{Script, Step, json},
    verdict::{means, told},
    without_roots,
};

/// Two answers to one request: the second must not be taken for the answer to the next request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_nobody_asked_for_is_not_read_as_the_next_ones() {
    let answer = |id: &str| {
        let Step::Answer(bytes) = json(200, format!(r#"{{"ResponseCode":"0","CheckoutRequestID":"{id}"}}"#)) else {
            panic!("an answer");
        };
        bytes
    };
    let twice = || Step::Answer([answer("ws_CO_first"), answer("ws_CO_stray")].concat());
    for _ in 0..100 {
        let script = Script::of([twice(), Step::Answer(answer("ws_CO_second"))]).await;
        let client = script.client().build().unwrap();

        let first = client.send(&push_to("254700000001".parse().unwrap())).await.unwrap();
        let second = client.send(&push_to("254700000002".parse().unwrap())).await;

        assert_eq!(first.checkout_request_id.as_str(), "ws_CO_first");
        match second {
            Ok(second) => assert_eq!(second.checkout_request_id.as_str(), "ws_CO_second"),
            Err(error) => assert!(error.outcome_unknown(), "{error}"),
        }
    }
}

/// The customer of the first push is told its id too late; the second push must not take it for its own.
#[tokio::test]
async fn an_answer_that_comes_after_the_timeout_is_not_read_as_the_next_ones() {
    let simulator = Simulator::new();
    let served = simulator.serve("127.0.0.1:0").await.unwrap();
    let client =
        served.client_builder().reqwest(without_roots).retry(at_once()).attempt_timeout(PATIENCE).build().unwrap();
    let late = Fault::Slow(PATIENCE + PATIENCE / 10);
    simulator.fault(Route::StkPush, late);

    let first = client.send(&push_to("254700000001".parse().unwrap())).await;
    let second = client.send(&push_to("254700000002".parse().unwrap())).await.unwrap();

    assert_eq!((told(&first).as_str(), means(&first)), ("Unknown(Transport(Timeout))", "unknown"));
    let prompts = simulator.prompts();
    assert_eq!(prompts.len(), 2);
    assert_eq!(prompts[1].payer.to_string(), "254700000002");
    assert_eq!(second.checkout_request_id, prompts[1].checkout_request_id);
}
