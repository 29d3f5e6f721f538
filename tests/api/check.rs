//! Questions that are asked right by themselves: one check a call for a scheduled job, and one budget for all queries.

use std::{
    future::IntoFuture,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use daraja::{
    B2cPayment, CheckoutRequestId, Client, Error, Merchant, Shillings, StkCallback, StkPush, StkQuery, StkReason,
    StkStatus,
    code::Why,
    simulator::{Fault, Route, Simulator},
    stk::{Outcome, PaymentCheck, Settled, Source},
    transport::TransportErrorKind,
};
use tokio::time::{Instant, advance};

use crate::support::{Scripted, Step, answer, merchant, refusal};

const ID: &str = "ws_CO_1";

fn says(code: u32) -> Step {
    answer(
        200,
        format!(r#"{{"ResponseCode":"0","CheckoutRequestID":"{ID}","ResultCode":"{code}","ResultDesc":"Odd."}}"#),
    )
}

fn check() -> PaymentCheck {
    PaymentCheck::new(&ID.parse().unwrap())
}

/// Through the database and back.
fn stored(check: &PaymentCheck) -> PaymentCheck {
    serde_json::from_str(&serde_json::to_string(check).unwrap()).unwrap()
}

fn callback(code: u32) -> StkCallback {
    let body = format!(r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"{ID}","ResultCode":{code}}}}}}}"#);
    StkCallback::parse(body.as_bytes()).unwrap()
}

/// A client whose time of day follows the paused clock, unless it is off by so many seconds.
fn client(scripted: &Scripted, off: &Arc<AtomicI64>) -> Client {
    let (start, off) = (Instant::now(), Arc::clone(off));
    let noon: DateTime<Utc> = "2026-10-06T09:00:00Z".parse().unwrap();
    let clock = move || noon + TimeDelta::from_std(start.elapsed()).unwrap() + TimeDelta::seconds(off.load(SeqCst));
    scripted.builder().clock(clock).query_spacing(Duration::ZERO).build().unwrap()
}

/// Checks that are answered so, with so many seconds before each. Each settled check is named.
async fn checked(steps: &[(u64, Step)], mut check: PaymentCheck) -> (Vec<Option<String>>, PaymentCheck) {
    let client = client(&Scripted::new(steps.iter().map(|(_, step)| step.clone())), &Arc::default());
    let mut seen = Vec::new();
    for (pause, _) in steps {
        advance(Duration::from_secs(*pause)).await;
        let settled = client.check_payment(&merchant(), &mut check).await.unwrap();
        seen.push(settled.map(|settled| named(&settled)));
    }
    (seen, check)
}

fn named(settled: &Settled) -> String {
    assert_eq!((settled.checkout_request_id.as_str(), settled.source), (ID, Source::Query));
    match &settled.outcome {
        Outcome::Paid(payment) => format!("paid, receipt {:?}", payment.receipt),
        Outcome::Failed(failure) => format!("failed: {:?}", failure.reason()),
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_counts_when_a_check_15_seconds_later_agrees() {
    let failed = Some(format!("failed: {:?}", StkReason::Cancelled));
    let paid = Some("paid, receipt None".to_owned());
    for (steps, expected) in [
        (vec![(0, says(1032)), (15, says(1032))], vec![None, failed.clone()]),
        (vec![(0, says(1032)), (5, says(1032)), (11, says(1032))], vec![None, None, failed.clone()]),
        (
            vec![(0, says(1032)), (20, says(1037)), (20, says(1032)), (20, says(1032))],
            vec![None, None, None, failed.clone()],
        ),
        (vec![(0, says(1032)), (20, says(4999)), (20, says(1032))], vec![None, None, None]),
        (vec![(0, says(1032)), (20, says(2029)), (20, says(1032))], vec![None, None, None]),
        (vec![(0, says(1032)), (20, says(0))], vec![None, paid.clone()]),
        (vec![(0, says(0))], vec![paid]),
        (vec![(0, refusal(500, "500.001.1001", "The transaction does not Exist")), (20, says(1032))], vec![None, None]),
    ] {
        assert_eq!(checked(&steps, check()).await.0, expected, "{steps:?}");
    }
}

/// The clocks of two machines can be a minute apart.
#[tokio::test(start_paused = true)]
async fn a_failure_that_was_stored_in_between_counts_after_75_seconds() {
    let (_, seen) = checked(&[(0, says(1032))], check()).await;
    for (pause, expected) in [(74, None), (75, Some(format!("failed: {:?}", StkReason::Cancelled)))] {
        // A client of another machine, whose clock begins where the first one's stood.
        let (scripted, off) = (Scripted::new([says(1032)]), Arc::new(AtomicI64::new(pause)));
        let mut check = stored(&seen);
        assert_eq!(check, seen);
        let settled = client(&scripted, &off).check_payment(&merchant(), &mut check).await.unwrap();
        assert_eq!(settled.map(|settled| named(&settled)), expected, "{pause}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_is_never_overruled_by_a_failure() {
    let paid = {
        let body = format!(
            r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"{ID}","ResultCode":0,"CallbackMetadata":{{"Item":[
                {{"Name":"Amount","Value":1}},{{"Name":"MpesaReceiptNumber","Value":"UJ65WSR9W7"}}]}}}}}}}}"#
        );
        StkCallback::parse(body.as_bytes()).unwrap()
    };
    let failures = [(0, says(1037)), (60, says(1037)), (60, says(1037))];

    let mut by_callback = check();
    assert!(by_callback.take_callback(&paid).is_some());
    let mut by_callback = stored(&by_callback);
    assert_eq!(by_callback.take_callback(&callback(1037)), None);
    assert_eq!(checked(&failures, by_callback).await.0, [None, None, None]);

    let (seen, mut by_query) = checked(&[(0, says(0))], check()).await;
    assert!(seen[0].is_some());
    assert_eq!(by_query.take_callback(&callback(1037)), None);
    assert_eq!(checked(&failures, by_query).await.0, [None, None, None]);

    let mut unproven = check();
    assert_eq!(unproven.take_callback(&callback(0)), None);
    assert_eq!(unproven.take_callback(&callback(1037)), None, "a person has to look");
    assert!(unproven.take_callback(&paid).is_some());
}

/// It is asked at the beginning of the call that it has to be late enough.
#[tokio::test(start_paused = true)]
async fn a_query_that_is_answered_late_was_asked_early() {
    let Step::Answer(_, body) = says(1032) else { panic!("an answer") };
    let late = Step::AnswerLate(Duration::from_secs(16), 200, body);
    let scripted = Scripted::new([says(1032), late]);
    let client = scripted.builder().query_spacing(Duration::ZERO).build().unwrap();
    let mut check = check();
    for _ in 0..2 {
        assert_eq!(client.check_payment(&merchant(), &mut check).await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_settles_nothing_is_kept_with_the_check() {
    let (seen, check) = checked(&[(0, says(2029))], check()).await;
    assert_eq!(seen, [None]);
    let unproven = check.last_unproven().unwrap();
    assert_eq!((unproven.code.to_string().as_str(), &*unproven.description), ("2029", "Odd."));
    assert_eq!(unproven.why, Why::UnknownCode);
}

#[tokio::test(start_paused = true)]
async fn a_callback_settles_a_check_and_one_that_speaks_for_a_payment_leaves_queries_only_a_success() {
    let mut settled = check();
    let outcome = settled.take_callback(&callback(1032)).unwrap();
    assert_eq!(outcome.source, Source::Callback);
    assert!(matches!(outcome.outcome, Outcome::Failed(_)));
    let mut other = PaymentCheck::new(&"ws_CO_2".parse().unwrap());
    assert_eq!(other.take_callback(&callback(1032)), None);

    let mut unproven = check();
    assert_eq!(unproven.take_callback(&callback(0)), None, "a success without a receipt");
    assert!(unproven.speaks_for_payment());
    let (seen, unproven) = checked(&[(0, says(1032)), (20, says(1032)), (20, says(1032))], unproven).await;
    assert_eq!(seen, [None, None, None]);
    let (seen, _) = checked(&[(0, says(0))], unproven).await;
    assert_eq!(seen, [Some("paid, receipt None".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_check_asks_once_and_what_fails_forgets_nothing() {
    for step in [answer(503, ""), Step::Fail(TransportErrorKind::Timeout), answer(429, "")] {
        let scripted = Scripted::new([says(1032), step.clone(), says(1032)]);
        let (client, mut check) = (client(&scripted, &Arc::default()), check());
        assert_eq!(client.check_payment(&merchant(), &mut check).await.unwrap(), None);
        advance(Duration::from_secs(20)).await;
        let error = client.check_payment(&merchant(), &mut check).await.unwrap_err();
        assert_eq!(scripted.calls().len(), 2, "{step:?}: {error}");
        let settled = client.check_payment(&merchant(), &mut check).await.unwrap();
        assert!(settled.is_some(), "{step:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn clocks_that_were_set_confirm_no_failure() {
    let (scripted, off) = (Scripted::new(vec![says(1032); 4]), Arc::default());
    let client = client(&scripted, &off);
    let mut check = check();
    // Forwards, and in this process.
    for (pause, hours, expected) in [(0, 0, false), (1, 2, false), (15, 2, true)] {
        advance(Duration::from_secs(pause)).await;
        off.store(hours * 3_600, SeqCst);
        let settled = client.check_payment(&merchant(), &mut check).await.unwrap();
        assert_eq!(settled.is_some(), expected, "{pause}");
    }
    // Backwards, with a database in between: by the clock the first query is still to come.
    let (_, seen) = checked(&[(0, says(1032))], PaymentCheck::new(&ID.parse().unwrap())).await;
    off.store(-3_600, SeqCst);
    assert_eq!(client.check_payment(&merchant(), &mut stored(&seen)).await.unwrap(), None);
}

async fn pushed(simulator: &Simulator, client: &Client) -> (Merchant, CheckoutRequestId) {
    let (merchant, payer) = (simulator.merchant(), "254708374149".parse().unwrap());
    let (amount, account) = (Shillings::new(1).unwrap(), "A".parse().unwrap());
    let push = StkPush::new(&merchant, payer, amount, account, simulator.callback_url());
    (merchant, client.send(&push).await.unwrap().checkout_request_id)
}

#[tokio::test(start_paused = true)]
async fn twenty_queries_in_a_row_are_spaced_and_none_is_throttled() {
    let simulator = Simulator::new();
    let client = simulator.client();
    let (merchant, id) = pushed(&simulator, &client).await;
    let started = Instant::now();
    let query = StkQuery::new(&merchant, &id);
    for number in 0..20 {
        let policy = daraja::RetryPolicy::never();
        client.send_with(&query, policy).await.unwrap_or_else(|error| panic!("query {number}: {error}"));
    }
    assert_eq!(simulator.calls(Route::StkQuery), 20);
    assert!(started.elapsed() >= Duration::from_secs(19 * 12), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn queries_of_waits_checks_and_sends_draw_on_one_budget() {
    let simulator = Simulator::new();
    let client = simulator.client();
    let (merchant, id) = pushed(&simulator, &client).await;
    let query = StkQuery::new(&merchant, &id);
    let mut check = PaymentCheck::new(&id);
    let started = Instant::now();
    let (sent, checked, waited) = tokio::join!(
        client.send(&query),
        client.check_payment(&merchant, &mut check),
        client.wait_for_payment(&merchant, &id).schedule([Duration::ZERO, Duration::ZERO]).into_future(),
    );
    assert!(sent.is_ok() && checked.is_ok() && waited.is_ok());
    let calls = u64::try_from(simulator.calls(Route::StkQuery)).unwrap();
    assert!(started.elapsed() >= Duration::from_secs((calls - 1) * 12), "{calls} in {:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_query_that_is_throttled_slows_the_others_down_and_is_asked_again() {
    let simulator = Simulator::new();
    let client = simulator.client();
    let (merchant, id) = pushed(&simulator, &client).await;
    simulator.fault(Route::StkQuery, Fault::Throttled(Some(40)));
    let started = Instant::now();
    assert!(client.send(&StkQuery::new(&merchant, &id)).await.is_ok());
    assert!(started.elapsed() >= Duration::from_secs(40));
}

#[tokio::test(start_paused = true)]
async fn other_calls_do_not_wait_for_the_budget_of_queries() {
    let simulator = Simulator::new();
    let client = simulator.client();
    let (merchant, id) = pushed(&simulator, &client).await;
    let query = StkQuery::new(&merchant, &id);
    client.send(&query).await.unwrap();
    let started = Instant::now();
    let (initiator, urls) = (simulator.initiator(), simulator.result_urls());
    let recipient = "254708374149".parse().unwrap();
    let payment = B2cPayment::new(&initiator, simulator.b2c_short_code(), recipient, Shillings::new(10).unwrap(), urls);
    client.send(&payment).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_comes_after_the_call_is_over_is_an_error_that_sent_nothing() {
    let scripted = Scripted::new([says(4999)]);
    let client = scripted.builder().timeout(Duration::from_secs(5)).build().unwrap();
    let query = StkQuery::new(&merchant(), &ID.parse().unwrap());
    assert_eq!(client.send(&query).await.unwrap(), StkStatus::Pending);
    let error = client.send(&query).await.unwrap_err();
    assert!(!error.outcome_unknown(), "{error}");
    assert!(matches!(error, Error::TooLate(_)), "{error:?}");
    assert_eq!(scripted.calls().len(), 1);
}
