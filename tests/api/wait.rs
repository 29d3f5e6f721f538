//! Waiting for the end of a payment. Minutes pass in a millisecond: the clock is paused.

use std::{iter, net::IpAddr, time::Duration};

use bytes::Bytes;
use daraja::{
    Advice, CheckoutRequestId, Client, Error, Kes, Merchant, Msisdn, Payer, ReceiptNumber, ResultCode, Shillings,
    StkCallback, StkPush, StkQuery, StkReason, StkStatus,
    error::StillPending,
    simulator::{Fault, Route, Simulator},
    stk::{Outcome, Settled, Source},
    transport::{BoxFuture, Transport, TransportError, TransportErrorKind::Timeout},
    webhook::{Delivery, Event, Inbox, Reference, Sources},
};
use http::{Request, Response};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{ATTEMPT, RECEIVER, Scripted, Step, answer, merchant, refusal};

const SECOND: Duration = Duration::from_secs(1);
const ID: &str = "ws_CO_061020261702341254708374149";

fn payer() -> Msisdn {
    "254708374149".parse().unwrap()
}

async fn push(simulator: &Simulator, client: &Client, payer: Msisdn) -> CheckoutRequestId {
    let (merchant, amount) = (simulator.merchant(), Shillings::new(500).unwrap());
    let url = RECEIVER.urls().stk(&ATTEMPT);
    let push = StkPush::new(&merchant, payer, amount, "INV-001".parse().unwrap(), url);
    client.send(&push).await.unwrap().checkout_request_id
}

/// Drives the simulator's deliveries while something is awaited.
async fn while_delivering<T>(simulator: &Simulator, inbox: &Inbox, work: impl Future<Output = T>) -> T {
    tokio::select! {
        done = work => done,
        never = simulator.deliver_to(&RECEIVER, inbox) => match never {},
    }
}

fn callback(id: &str, code: u64, receipt: Option<&str>) -> StkCallback {
    let item =
        receipt.map(|receipt| format!(r#"{{"Name":"MpesaReceiptNumber","Value":"{receipt}"}}"#)).unwrap_or_default();
    let body = format!(
        r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"{id}","ResultCode":{code},"CallbackMetadata":{{"Item":[{item}]}}}}}}}}"#
    );
    StkCallback::parse(body.as_bytes()).unwrap()
}

fn told(code: u64) -> Step {
    answer(
        200,
        format!(r#"{{"ResponseCode":"0","CheckoutRequestID":"{ID}","ResultCode":"{code}","ResultDesc":"words"}}"#),
    )
}

fn failed(settled: &Settled) -> StkReason {
    let Outcome::Failed(failure) = &settled.outcome else { panic!("{settled:?}") };
    failure.reason()
}

fn receipt(settled: &Settled) -> Option<&str> {
    let Outcome::Paid(payment) = &settled.outcome else { panic!("{settled:?}") };
    payment.receipt.as_ref().map(ReceiptNumber::as_str)
}

/// Waits with scripted queries only.
async fn ask(steps: impl IntoIterator<Item = Step>) -> (daraja::Result<Settled>, Duration, usize) {
    let (scripted, merchant, id) = (Scripted::new(steps), merchant(), ID.parse().unwrap());
    let started = Instant::now();
    let settled = scripted.client().wait_for_payment(&merchant, &id).await;
    (settled, started.elapsed(), scripted.calls().len())
}

#[tokio::test(start_paused = true)]
async fn a_callback_settles_with_everything_it_brings() {
    let (simulator, inbox) = (Simulator::new(), Inbox::new());
    let (client, merchant) = (simulator.client(), simulator.merchant());
    let id = push(&simulator, &client, payer()).await;
    let started = Instant::now();
    let wait = client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).into_future();
    let settled = while_delivering(&simulator, &inbox, wait).await.unwrap();
    assert_eq!(settled.source, Source::Callback);
    assert_eq!(settled.checkout_request_id, id);
    let Outcome::Paid(payment) = settled.outcome else { panic!() };
    assert_eq!(payment.amount, Some(Kes::from_cents(50_000)));
    assert_eq!(payment.payer, Some(Payer::Msisdn(payer())));
    assert_eq!(payment.receipt.unwrap().as_str().len(), 10);
    assert_eq!(started.elapsed().as_secs(), 17);
}

#[tokio::test(start_paused = true)]
async fn a_lost_callback_is_made_up_for_by_a_query_and_the_receipt_is_attached_later() {
    let (simulator, inbox) = (Simulator::new(), Inbox::new());
    simulator.customer(payer()).approves().callback_late(Duration::from_secs(600));
    let (client, merchant) = (simulator.client(), simulator.merchant());
    let id = push(&simulator, &client, payer()).await;
    let mut settled = client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).await.unwrap();
    assert_eq!((settled.source, receipt(&settled)), (Source::Query, None));

    assert!(!settled.attach(&callback("ws_CO_other", 0, Some("UKN1234567"))), "another payment's receipt");
    assert!(!settled.attach(&callback(id.as_str(), 1032, None)), "a late failure");
    assert!(settled.attach(&callback(id.as_str(), 0, Some("UKN1234567"))));
    assert_eq!(receipt(&settled), Some("UKN1234567"));
    assert!(!settled.attach(&callback(id.as_str(), 0, Some("UKN7654321"))), "it has a receipt");
    assert_eq!(receipt(&settled), Some("UKN1234567"));
}

#[tokio::test(start_paused = true)]
async fn a_success_that_a_query_tells_ends_the_wait_at_once() {
    let (settled, took, asked) = ask([told(0)]).await;
    assert_eq!(receipt(&settled.unwrap()), None);
    assert_eq!((took.as_secs(), asked), (15, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_queries_tell_needs_two_of_them_fifteen_seconds_apart() {
    let (settled, took, asked) = ask([told(1032), told(1032)]).await;
    let settled = settled.unwrap();
    assert_eq!((failed(&settled), settled.source), (StkReason::Cancelled, Source::Query));
    assert_eq!((took.as_secs(), asked), (30, 2));
    let Outcome::Failed(failure) = settled.outcome else { panic!() };
    assert_eq!(failure.advice(), Advice::RetryAfter(Duration::from_secs(60)), "queries err: never retry at once");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_forgotten_when_the_next_query_does_not_agree() {
    let (settled, ..) = ask([told(1037), told(0)]).await;
    assert_eq!(receipt(&settled.unwrap()), None, "paid after all");
    // Pending in between: it takes two agreeing queries again.
    let (settled, _, asked) = ask([told(1037), told(4999), told(1037), told(1037)]).await;
    assert_eq!((failed(&settled.unwrap()), asked), (StkReason::NoResponse, 4));
}

#[tokio::test(start_paused = true)]
async fn an_error_between_two_failures_changes_nothing() {
    let (settled, _, asked) = ask([told(1037), Step::Fail(Timeout), told(1037)]).await;
    assert_eq!((failed(&settled.unwrap()), asked), (StkReason::NoResponse, 3));
}

#[tokio::test(start_paused = true)]
async fn what_proves_nothing_does_not_end_the_wait() {
    let steps = [
        refusal(500, "500.001.1001", "The transaction is being processed"),
        refusal(500, "500.001.1001", ""),
        refusal(500, "500.001.1001", "The transaction does not Exist"),
        told(26),
        told(7777),
        refusal(400, "400.002.02", "Bad Request - Invalid CheckoutRequestID"),
        told(0),
    ];
    let (settled, took, asked) = ask(steps).await;
    assert_eq!(receipt(&settled.unwrap()), None);
    assert_eq!((took.as_secs(), asked), (105, 7));
}

#[tokio::test(start_paused = true)]
async fn passing_errors_do_not_end_the_wait() {
    let steps = [
        Step::Fail(Timeout),
        answer(503, "<html>busy</html>"),
        answer(200, "{"),
        refusal(500, "500.001.1001", "Wrong credentials"),
        told(0),
    ];
    let (settled, ..) = ask(steps).await;
    assert_eq!(receipt(&settled.unwrap()), None);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_the_wait_with_the_last_error() {
    let (settled, took, _) = ask(vec![answer(503, "<html>busy</html>"); 20]).await;
    let error = settled.unwrap_err();
    assert_eq!(took.as_secs(), 120);
    let Error::StillPending(pending) = &error else { panic!("{error:?}") };
    assert!(matches!(pending.last_error(), Some(Error::Decode(_))));
    assert!(error.outcome_unknown() && !error.is_retryable() && error.is_timeout());
    assert!(error.to_string().contains("120s"), "{error}");
    assert!(std::error::Error::source(&error).is_some());

    let (settled, ..) = ask(vec![told(4999); 20]).await;
    let Error::StillPending(pending) = settled.unwrap_err() else { panic!() };
    assert!(pending.last_error().is_none());
}

#[tokio::test(start_paused = true)]
async fn one_query_that_tells_of_a_failure_is_not_enough_at_the_deadline() {
    let (scripted, merchant, id) = (Scripted::new([told(1032)]), merchant(), ID.parse().unwrap());
    let error = scripted.client().wait_for_payment(&merchant, &id).within(20 * SECOND).await.unwrap_err();
    assert!(error.outcome_unknown());
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_came_before_anybody_waited_is_remembered() {
    let (simulator, inbox) = (Simulator::new(), Inbox::new());
    let early: Msisdn = "254700000093".parse().unwrap();
    let (client, merchant) = (simulator.client(), simulator.merchant());
    let id = while_delivering(&simulator, &inbox, push(&simulator, &client, early)).await;
    assert_eq!(inbox.len(), 1, "delivered before the push was answered");
    let started = Instant::now();
    let settled = client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).await.unwrap();
    assert!(receipt(&settled).is_some());
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_callback_without_proof_makes_the_wait_ask_at_once() {
    let (scripted, merchant, id, inbox) = (Scripted::new([told(0)]), merchant(), ID.parse().unwrap(), Inbox::new());
    inbox.deliver(&ATTEMPT, callback(ID, 0, None));
    let started = Instant::now();
    let settled = scripted.client().wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).await.unwrap();
    assert_eq!((settled.source, receipt(&settled)), (Source::Query, None));
    assert!(started.elapsed() < SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_is_heard_after_a_callback_without_one() {
    let (scripted, merchant, id, inbox) = (Scripted::new([told(4999)]), merchant(), ID.parse().unwrap(), Inbox::new());
    let client = scripted.client();
    inbox.deliver(&ATTEMPT, callback(ID, 0, None));
    let deliver = async {
        sleep(5 * SECOND).await;
        inbox.deliver(&ATTEMPT, callback(ID, 0, Some("UKN1234567")));
        std::future::pending::<()>().await;
    };
    let wait = client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).into_future();
    let settled = tokio::select! { settled = wait => settled.unwrap(), () = deliver => unreachable!() };
    assert_eq!((settled.source, receipt(&settled)), (Source::Callback, Some("UKN1234567")));
}

#[tokio::test(start_paused = true)]
async fn a_callback_wins_over_a_query_that_is_under_way() {
    let (scripted, merchant, id, inbox) =
        (Scripted::new([told(1037), Step::Hang]), merchant(), ID.parse().unwrap(), Inbox::new());
    let client = scripted.client();
    let wait = client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).into_future();
    let deliver = async {
        sleep(31 * SECOND).await;
        inbox.deliver(&ATTEMPT, callback(ID, 1032, None));
        std::future::pending::<()>().await;
    };
    let settled = tokio::select! { settled = wait => settled.unwrap(), () = deliver => unreachable!() };
    assert_eq!((failed(&settled), settled.source), (StkReason::Cancelled, Source::Callback));
    let Outcome::Failed(failure) = settled.outcome else { panic!() };
    assert_eq!(failure.advice(), Advice::RetryNow);
}

#[tokio::test(start_paused = true)]
async fn in_an_inbox_success_beats_failure_and_the_first_of_equals_stays() {
    let merchant = merchant();
    let id = ID.parse().unwrap();
    let client = Scripted::default().client();
    let orders: [&[StkCallback]; 4] = [
        &[callback(ID, 1032, None), callback(ID, 0, Some("UKN1234567"))],
        &[callback(ID, 0, Some("UKN1234567")), callback(ID, 1032, None)],
        &[callback(ID, 0, None), callback(ID, 0, Some("UKN1234567")), callback(ID, 0, Some("UKN7654321"))],
        &[callback(ID, 0, Some("UKN1234567")), callback(ID, 0, Some("UKN1234567")), callback(ID, 26, None)],
    ];
    for callbacks in orders {
        let inbox = Inbox::new();
        for callback in callbacks {
            inbox.deliver(&ATTEMPT, callback.clone());
        }
        let settled = client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).await.unwrap();
        assert_eq!(receipt(&settled), Some("UKN1234567"));
        assert_eq!(inbox.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_inbox_remembers_a_bounded_number_for_a_bounded_time() {
    let inbox = Inbox::remembering(3, 60 * SECOND);
    assert!(inbox.is_empty());
    for number in 0..10 {
        inbox.deliver(&ATTEMPT, callback(&format!("ws_CO_{number}"), 1032, None));
    }
    assert_eq!((inbox.len(), inbox.is_empty()), (3, false));
    sleep(61 * SECOND).await;
    inbox.deliver(&ATTEMPT, callback("ws_CO_11", 1032, None));
    assert_eq!(inbox.len(), 1);
    // The youngest is the one that stays.
    let (client, merchant, id) = (Scripted::default().client(), merchant(), "ws_CO_11".parse().unwrap());
    let settled = client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).await.unwrap();
    assert_eq!(failed(&settled), StkReason::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn hints_push_no_delivery_out_of_the_inbox() {
    let inbox = Inbox::remembering(100, 3_600 * SECOND);
    inbox.deliver(&ATTEMPT, callback(ID, 0, Some("UKN1234567")));
    for number in 0..200 {
        inbox.hint(callback(&format!("ws_CO_{number}"), 1032, None));
    }
    assert_eq!(inbox.len(), 11, "one delivery, and a tenth of a hundred hints");
    let (settled, asked) = wait_while(1032, &inbox, async {}).await;
    assert_eq!((receipt(&settled.unwrap()), asked), (Some("UKN1234567"), 0));
    // Nor do deliveries push out hints.
    for number in 0..200 {
        inbox.deliver(&ATTEMPT, callback(&format!("ws_CO_{number}"), 1032, None));
    }
    assert_eq!(inbox.len(), 110);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_waits_for_is_not_forgotten_before_they_looked() {
    let (inbox, merchant, client) = (Inbox::remembering(1, SECOND), merchant(), Scripted::default().client());
    let mut waits = tokio::task::JoinSet::new();
    for number in 0..5 {
        let (client, merchant, inbox) = (client.clone(), merchant.clone(), inbox.clone());
        waits.spawn(async move {
            let id = format!("ws_CO_{number}").parse().unwrap();
            client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).schedule([]).await
        });
    }
    sleep(SECOND).await;
    // All five at once: no waiting task runs in between.
    for number in 0..5 {
        inbox.deliver(&ATTEMPT, callback(&format!("ws_CO_{number}"), 0, Some("UKN1234567")));
    }
    for settled in waits.join_all().await {
        assert_eq!(receipt(&settled.unwrap()), Some("UKN1234567"));
    }
}

/// Waits that are polled once, and then not.
async fn waiting<'a>(
    client: &'a Client,
    merchant: &'a Merchant,
    inbox: &'a Inbox,
    ids: &'a [CheckoutRequestId],
) -> Vec<BoxFuture<'a, daraja::Result<Settled>>> {
    let mut waits: Vec<_> = ids
        .iter()
        .map(|id| client.wait_for_payment(merchant, id).inbox(inbox).at(&ATTEMPT).schedule([]).into_future())
        .collect();
    for wait in &mut waits {
        assert!(timeout(SECOND / 1_000, wait).await.is_err());
    }
    waits
}

fn ids(count: usize) -> Vec<CheckoutRequestId> {
    (0..count).map(|number| format!("ws_CO_{number}").parse().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_waited_for_takes_no_room_from_what_comes_early() {
    let (inbox, merchant, client) = (Inbox::remembering(2, 3_600 * SECOND), merchant(), Scripted::default().client());
    let ids = ids(2);
    let waits = waiting(&client, &merchant, &inbox, &ids).await;
    // A success without a receipt proves nothing: the waits go on.
    for number in 0..2 {
        inbox.deliver(&ATTEMPT, callback(&format!("ws_CO_{number}"), 0, None));
    }
    // Nobody waits for this one yet: push and wait are a moment apart.
    inbox.deliver(&ATTEMPT, callback("ws_CO_early", 1032, None));
    assert_eq!(inbox.len(), 3);
    drop(waits);
    assert_eq!(inbox.len(), 2, "the capacity holds again once the waits have ended");
}

#[tokio::test(start_paused = true)]
async fn what_is_older_than_the_memory_is_forgotten_by_whatever_comes_or_ends() {
    let (inbox, merchant, client) = (Inbox::remembering(100, 60 * SECOND), merchant(), Scripted::default().client());
    let ids = ids(1);
    inbox.deliver(&ATTEMPT, callback("ws_CO_old", 1032, None));
    let waits = waiting(&client, &merchant, &inbox, &ids).await;
    sleep(61 * SECOND).await;
    drop(waits);
    assert!(inbox.is_empty());
    inbox.deliver(&ATTEMPT, callback("ws_CO_old", 1032, None));
    inbox.deliver(&ATTEMPT, callback("ws_CO_1", 1032, None));
    sleep(61 * SECOND).await;
    inbox.deliver(&ATTEMPT, callback("ws_CO_1", 1032, None));
    assert_eq!(inbox.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_given_up_takes_nothing_from_another_and_leaves_nothing_behind() {
    let (inbox, merchant, client) = (Inbox::remembering(1, 3_600 * SECOND), merchant(), Scripted::default().client());
    let id = "ws_CO_0".parse().unwrap();
    let wait = || client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).schedule([]);
    let deliver = async {
        sleep(2 * SECOND).await;
        inbox.deliver(&ATTEMPT, callback("ws_CO_0", 0, Some("UKN1234567")));
    };
    let (given_up, settled, ()) = tokio::join!(wait().within(SECOND).into_future(), wait().into_future(), deliver);
    assert!(given_up.unwrap_err().outcome_unknown());
    assert_eq!(receipt(&settled.unwrap()), Some("UKN1234567"));
    // Nobody waits for the first one any more, so it makes room.
    inbox.deliver(&ATTEMPT, callback("ws_CO_1", 1032, None));
    let next = "ws_CO_1".parse().unwrap();
    let settled = client.wait_for_payment(&merchant, &next).inbox(&inbox).at(&ATTEMPT).schedule([]).await.unwrap();
    assert_eq!((failed(&settled), inbox.len()), (StkReason::Cancelled, 1));
}

#[tokio::test(start_paused = true)]
async fn many_waits_of_one_payment_are_all_told() {
    let (inbox, merchant, id) = (Inbox::new(), merchant(), ID.parse::<CheckoutRequestId>().unwrap());
    let client = Scripted::default().client();
    let mut waits = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (client, merchant, id, inbox) = (client.clone(), merchant.clone(), id.clone(), inbox.clone());
        waits.spawn(async move { client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).await });
    }
    sleep(SECOND).await;
    inbox.deliver(&ATTEMPT, callback(ID, 0, Some("UKN1234567")));
    for settled in waits.join_all().await {
        assert_eq!(receipt(&settled.unwrap()), Some("UKN1234567"));
    }
}

/// Pushes to several customers who never end, waits for all, and notes when the simulator was asked.
async fn ask_for_many(simulator: &Simulator, client: &Client, count: u64, within: Duration) {
    let merchant: Merchant = simulator.merchant();
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(push(simulator, client, (254_700_000_090 + number * 100).try_into().unwrap()).await);
    }
    let mut waits = tokio::task::JoinSet::new();
    for id in ids {
        let (client, merchant) = (client.clone(), merchant.clone());
        waits.spawn(async move { client.wait_for_payment(&merchant, &id).within(within).await });
    }
    for settled in waits.join_all().await {
        assert!(settled.unwrap_err().outcome_unknown());
    }
}

#[tokio::test(start_paused = true)]
async fn all_waits_of_a_client_share_one_budget_and_none_is_throttled() {
    let simulator = Simulator::new();
    let client = simulator.client();
    ask_for_many(&simulator, &client, 10, 120 * SECOND).await;
    // The first after 15 s, then one every 13 s: 15, 28, .. 119.
    assert_eq!(simulator.calls(Route::StkQuery), 9);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_query_slows_all_waits() {
    let simulator = Simulator::new();
    simulator.fault(Route::StkQuery, Fault::Throttled(Some(40)));
    let client = simulator.client();
    ask_for_many(&simulator, &client, 2, 60 * SECOND).await;
    // One at 15 s is throttled for 40 s: the next is asked at 55 s.
    assert_eq!(simulator.calls(Route::StkQuery), 2);
}

#[tokio::test(start_paused = true)]
async fn the_longest_due_is_asked_first() {
    let id = |number: u32| -> CheckoutRequestId { format!("ws_CO_{number}").parse().unwrap() };
    let scripted = Scripted::new(vec![refusal(500, "500.001.1001", "The transaction is being processed"); 4]);
    let (client, merchant) = (scripted.client(), merchant());
    let mut waits = tokio::task::JoinSet::new();
    for (number, pause) in [(1, 30), (2, 10), (3, 20), (4, 5)] {
        let (client, merchant) = (client.clone(), merchant.clone());
        waits.spawn(async move {
            let once = [Duration::from_secs(pause)];
            client.wait_for_payment(&merchant, &id(number)).schedule(once).within(100 * SECOND).await
        });
    }
    waits.join_all().await;
    let asked: Vec<String> = scripted
        .calls()
        .iter()
        .map(|call| serde_json::from_slice::<serde_json::Value>(call.body()).unwrap()["CheckoutRequestID"].to_string())
        .collect();
    assert_eq!(asked, [r#""ws_CO_4""#, r#""ws_CO_2""#, r#""ws_CO_3""#, r#""ws_CO_1""#]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_dropped_gives_its_place_in_the_queue_away() {
    let scripted = Scripted::new([told(0)]);
    let (client, merchant, id) = (scripted.client(), merchant(), ID.parse::<CheckoutRequestId>().unwrap());
    let first = tokio::spawn({
        let (client, merchant, id) = (client.clone(), merchant.clone(), id.clone());
        async move { client.wait_for_payment(&merchant, &id).schedule([5 * SECOND]).await }
    });
    sleep(SECOND).await;
    let second = tokio::spawn({
        let (client, merchant, id) = (client.clone(), merchant.clone(), id.clone());
        async move { client.wait_for_payment(&merchant, &id).schedule([10 * SECOND]).await }
    });
    sleep(SECOND).await;
    first.abort();
    let settled = second.await.unwrap().unwrap();
    assert_eq!(receipt(&settled), None);
    assert_eq!(scripted.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn any_schedule_can_be_set() {
    let scripted = Scripted::new([told(4999), told(4999), told(0)]);
    let client = scripted.builder().query_spacing(Duration::ZERO).build().unwrap();
    let (merchant, id) = (merchant(), ID.parse().unwrap());
    let started = Instant::now();
    let schedule = iter::once(2 * SECOND).chain(iter::repeat(5 * SECOND));
    client.wait_for_payment(&merchant, &id).schedule(schedule).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 12);
    // No query at all, save the one that confirms.
    let scripted = Scripted::default();
    let error = scripted.client().wait_for_payment(&merchant, &id).schedule([]).await.unwrap_err();
    assert!(error.outcome_unknown());
    assert!(scripted.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn confirming_at_once_takes_two_queries_all_the_same() {
    let scripted = Scripted::new([told(1032), told(1032)]);
    let client = scripted.builder().query_spacing(Duration::ZERO).build().unwrap();
    let (merchant, id) = (merchant(), ID.parse().unwrap());
    let settled =
        client.wait_for_payment(&merchant, &id).schedule([SECOND]).confirm_after(Duration::ZERO).await.unwrap();
    assert_eq!(failed(&settled), StkReason::Cancelled);
    assert_eq!(scripted.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn every_ending_of_the_simulator_is_told_alike_by_callback_and_by_query() {
    for (number, reason) in [
        ("254700000001", StkReason::InsufficientFunds),
        ("254700000017", StkReason::TooSoon),
        ("254700000020", StkReason::WrongPin),
        ("254700000032", StkReason::Cancelled),
        ("254700000037", StkReason::NoResponse),
        ("254700000086", StkReason::PinLocked),
    ] {
        let (simulator, inbox) = (Simulator::new(), Inbox::new());
        let (client, merchant) = (simulator.client(), simulator.merchant());
        let id = push(&simulator, &client, number.parse().unwrap()).await;
        let by_query = client.wait_for_payment(&merchant, &id).await.unwrap();
        assert_eq!((failed(&by_query), by_query.source), (reason, Source::Query), "{number}");
        let wait = client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).into_future();
        let by_callback = while_delivering(&simulator, &inbox, wait).await.unwrap();
        assert_eq!((failed(&by_callback), by_callback.source), (reason, Source::Callback), "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_can_be_asked_by_hand() {
    let simulator = Simulator::new();
    let (client, merchant) = (simulator.client(), simulator.merchant());
    let id = push(&simulator, &client, payer()).await;
    assert_eq!(client.send(&StkQuery::new(&merchant, &id)).await.unwrap(), StkStatus::Pending);
    sleep(20 * SECOND).await;
    assert_eq!(client.send(&StkQuery::new(&merchant, &id)).await.unwrap(), StkStatus::Paid);
    sleep(20 * SECOND).await;
    let other = StkQuery::new(&merchant, &"ws_CO_000000000000000000000000000".parse().unwrap());
    assert_eq!(client.send(&other).await.unwrap(), StkStatus::NotFound);
    assert_eq!(ResultCode::PROCESSING.as_number(), Some(4999));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_nobody_polls_does_not_stop_the_others() {
    let answers = (1..=4).map(|_| refusal(500, "500.001.1001", "The transaction is being processed"));
    let scripted = Scripted::new(answers.chain([told(0)]));
    let (client, merchant) = (scripted.client(), merchant());
    let ids: Vec<CheckoutRequestId> = (1..=3).map(|number| format!("ws_CO_{number}").parse().unwrap()).collect();
    let mut parked: Vec<_> =
        ids.iter().map(|id| client.wait_for_payment(&merchant, id).within(600 * SECOND).into_future()).collect();
    for wait in &mut parked {
        // Polled once, as by a `select!` whose other branch then works for long.
        assert!(timeout(Duration::from_millis(1), wait).await.is_err());
    }
    let id = ID.parse().unwrap();
    let settled = client.wait_for_payment(&merchant, &id).within(300 * SECOND).await.unwrap();
    assert_eq!(receipt(&settled), None);
}

#[tokio::test(start_paused = true)]
async fn two_different_failures_do_not_agree() {
    let (settled, ..) = ask([told(1001), told(1037), told(0)]).await;
    assert_eq!(receipt(&settled.unwrap()), None);
    let (settled, _, asked) = ask([told(1001), told(1037), told(1037)]).await;
    assert_eq!((failed(&settled.unwrap()), asked), (StkReason::NoResponse, 3));
}

#[tokio::test(start_paused = true)]
async fn a_success_without_receipt_is_not_undone_by_a_failure_but_asked_about() {
    let (merchant, id) = (merchant(), ID.parse().unwrap());
    for told_of in
        [[callback(ID, 0, None), callback(ID, 1032, None)], [callback(ID, 1032, None), callback(ID, 0, None)]]
    {
        let (scripted, inbox) = (Scripted::new([told(0)]), Inbox::new());
        for callback in told_of {
            inbox.deliver(&ATTEMPT, callback);
        }
        let settled = scripted.client().wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).await.unwrap();
        assert_eq!((settled.source, receipt(&settled)), (Source::Query, None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_query_under_way_is_heard_although_a_callback_without_proof_comes() {
    let (scripted, merchant, id, inbox) = (Scripted::new([told(0)]), merchant(), ID.parse().unwrap(), Inbox::new());
    let client = scripted.client();
    client.warm_up().await.unwrap();
    let wait = client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).into_future();
    let deliver = async {
        sleep(15 * SECOND + Duration::from_millis(3)).await;
        inbox.deliver(&ATTEMPT, callback(ID, 0, None));
        std::future::pending::<()>().await;
    };
    let started = Instant::now();
    let settled = tokio::select! { settled = wait => settled.unwrap(), () = deliver => unreachable!() };
    assert_eq!((settled.source, receipt(&settled)), (Source::Query, None));
    assert_eq!((started.elapsed().as_secs(), scripted.calls().len()), (15, 1));
}

#[tokio::test(start_paused = true)]
async fn a_slow_down_of_a_day_ends_after_two_minutes_and_no_spacing_is_no_licence() {
    let (merchant, id) = (merchant(), ID.parse().unwrap());
    let day = Step::AnswerWith(429, ("retry-after", "86400"), String::new());
    let scripted = Scripted::new([day, told(0)]);
    let client = scripted.client();
    assert!(client.wait_for_payment(&merchant, &id).await.unwrap_err().outcome_unknown());
    sleep(120 * SECOND).await;
    client.wait_for_payment(&merchant, &id).await.unwrap();

    let scripted = Scripted::new([told(4999)]);
    let client = scripted.builder().query_spacing(Duration::MAX).build().unwrap();
    let wait = client.wait_for_payment(&merchant, &id).schedule(iter::repeat(SECOND));
    assert!(wait.await.unwrap_err().outcome_unknown());
    assert_eq!(scripted.calls().len(), 1);
}

#[tokio::test]
async fn an_inbox_without_memory_still_tells_who_waits() {
    let (inbox, merchant, id) =
        (Inbox::remembering(1, Duration::ZERO), merchant(), ID.parse::<CheckoutRequestId>().unwrap());
    let (client, for_the_wait) = (Scripted::default().client(), inbox.clone());
    let wait = tokio::spawn(async move {
        client.wait_for_payment(&merchant, &id).inbox(&for_the_wait).at(&ATTEMPT).schedule([]).await
    });
    tokio::task::yield_now().await;
    inbox.deliver(&ATTEMPT, callback(ID, 0, Some("UKN1234567")));
    assert_eq!(receipt(&wait.await.unwrap().unwrap()), Some("UKN1234567"));
}

/// Callbacks that speak for a payment, and prove none.
fn unproven() -> [StkCallback; 5] {
    let date_and_number =
        r#"{"Name":"TransactionDate","Value":20261006120000},{"Name":"PhoneNumber","Value":254708374149}"#;
    let items = [
        (0, String::new()),
        (0, r#"{"Name":"MpesaReceiptNumber","Value":"UKN12345"},{"Name":"Amount","Value":500}"#.to_owned()),
        (0, format!(r#"{{"Name":"Amount","Value":500}},{date_and_number}"#)),
        (1032, r#"{"Name":"MpesaReceiptNumber","Value":"UKN1234567"},{"Name":"Amount","Value":500}"#.to_owned()),
        (1032, r#"{"Name":"MpesaReceiptNumber","Value":"UKN12345"}"#.to_owned()),
    ];
    items.map(|(code, items)| {
        let body = format!(
            r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"{ID}","ResultCode":{code},"CallbackMetadata":{{"Item":[{items}]}}}}}}}}"#
        );
        StkCallback::parse(body.as_bytes()).unwrap()
    })
}

/// The wait of a push whose queries always report this code, while something is delivered: how it ended, and how often
/// it asked.
async fn wait_while(code: u64, inbox: &Inbox, deliver: impl Future<Output = ()>) -> (daraja::Result<Settled>, usize) {
    let scripted = Scripted::new(iter::repeat_with(|| told(code)).take(20));
    let (client, merchant, id) = (scripted.client(), merchant(), ID.parse().unwrap());
    let deliver = async {
        deliver.await;
        std::future::pending::<()>().await;
    };
    let wait = client.wait_for_payment(&merchant, &id).inbox(inbox).at(&ATTEMPT).into_future();
    let settled = tokio::select! { settled = wait => settled, () = deliver => unreachable!() };
    (settled, scripted.calls().len())
}

#[track_caller]
fn pending(settled: daraja::Result<Settled>) -> StillPending {
    match settled {
        Err(Error::StillPending(pending)) => *pending,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn queries_that_report_a_failure_never_overrule_a_callback_that_speaks_for_a_payment() {
    // Remembered before the wait, before the first query, and between the two that would agree.
    for delivered_at in [0, 5, 20] {
        for code in [1, 1032, 1037] {
            for callback in unproven() {
                let inbox = Inbox::new();
                if delivered_at == 0 {
                    inbox.deliver(&ATTEMPT, callback.clone());
                }
                let (settled, asked) = wait_while(code, &inbox, async {
                    sleep(delivered_at * SECOND).await;
                    inbox.deliver(&ATTEMPT, callback.clone());
                })
                .await;
                assert!(pending(settled).speaks_for_payment(), "{code} {callback:?}");
                assert!((8..=10).contains(&asked), "{code} {callback:?}: asked {asked} times");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn queries_never_overrule_a_success_in_an_unusual_spelling() {
    let receipt = r#"{"Name":"MpesaReceiptNumber","Value":"UKN1234567"}"#;
    let money = r#"{"Name":"Amount","Value":500},{"Name":"TransactionDate","Value":20261006170300}"#;
    let with_receipt = format!("{money},{receipt}");
    for (code, items) in [
        (r#""ResultCode":0.0"#, money),
        (r#""ResultCode":"00""#, money),
        (r#""ResultCode":"Success""#, money),
        (r#""ResultCode":"Success""#, ""),
        (r#""ResultCode":0.0"#, ""),
        (r#""ResultCode":26"#, money),
        (r#""ResultCode":0,"ResultCode":1032"#, &with_receipt),
        (r#""ResultCode":0,"ResultCode":1032"#, ""),
        (r#""ResultCode":null"#, &with_receipt),
        (r#""ResultCode":null"#, money),
        (r#""ResultCode":"""#, &with_receipt),
        (r#""Note":"no code""#, &with_receipt),
        (r#""ResultCode":0"#, &format!(r#"{{"Name":"Amount","Value":5e400}},{receipt}"#)),
        (r#""ResultCode":0"#, &format!(r#"{{"Name":"Amount","Value":"1.-"}},{receipt}"#)),
    ] {
        let body = format!(
            r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"{ID}",{code},"CallbackMetadata":{{"Item":[{items}]}}}}}}}}"#
        );
        let inbox = Inbox::new();
        inbox.deliver(&ATTEMPT, Event::parse(body.as_bytes()).unwrap());
        let (settled, _) = wait_while(1032, &inbox, async {}).await;
        assert!(pending(settled).speaks_for_payment(), "{code} {items}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_callback_that_speaks_for_a_payment_a_query_proves_it_all_the_same() {
    for callback in unproven() {
        let scripted = Scripted::new([told(1037), told(1037), told(0)]);
        let (client, merchant, id, inbox) = (scripted.client(), merchant(), ID.parse().unwrap(), Inbox::new());
        inbox.deliver(&ATTEMPT, callback);
        let settled = client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).await.unwrap();
        assert_eq!((settled.source, receipt(&settled)), (Source::Query, None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_callback_whose_code_is_unknown_does_not_hinder_queries() {
    let inbox = Inbox::new();
    inbox.deliver(&ATTEMPT, callback(ID, 26, None));
    let (settled, _) = wait_while(1032, &inbox, async {}).await;
    assert_eq!(failed(&settled.unwrap()), StkReason::Cancelled);
    let (settled, _) = wait_while(4999, &inbox, async {}).await;
    assert!(!pending(settled).speaks_for_payment());
}

/// Delivers a callback in the moment in which the second query is answered.
#[derive(Debug, Clone)]
struct Together(Scripted, Inbox);

impl Transport for Together {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let answer = self.0.call(request).await;
            if self.0.calls().len() == 2 {
                self.1.deliver(&ATTEMPT, callback(ID, 0, None));
            }
            answer
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_comes_together_with_the_second_failure_is_heard_first() {
    let (scripted, inbox) = (Scripted::new(vec![told(1032); 20]), Inbox::new());
    let client = scripted.builder().transport(Together(scripted.clone(), inbox.clone())).build().unwrap();
    let (merchant, id) = (merchant(), ID.parse().unwrap());
    let schedule = [15 * SECOND, 15 * SECOND, 1_000 * SECOND];
    let settled = client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).schedule(schedule).await;
    assert!(pending(settled).speaks_for_payment());
    assert_eq!(scripted.calls().len(), 3, "one more, because of the callback");
}

#[tokio::test(start_paused = true)]
async fn you_have_not_been_charged_is_said_only_where_a_callback_proves_it() {
    let promised = |settled: &Settled| {
        let Outcome::Failed(failure) = &settled.outcome else { panic!("{settled:?}") };
        assert!(!failure.reason().customer_message().contains("not been charged"), "{settled:?}");
        let message = failure.customer_message();
        let promised = message.contains("You have not been charged");
        // Without it the customer learns what to look at before paying again.
        assert!(promised || message.contains("Check your M-PESA SMS first"), "{message}");
        promised
    };
    for (code, is_proved) in [(1, true), (17, false), (1019, false), (1032, true), (1037, false), (2001, true)] {
        let inbox = Inbox::new();
        let (by_query, _) = wait_while(code, &inbox, async {}).await;
        assert!(!promised(&by_query.unwrap()), "{code} by query");
        inbox.deliver(&ATTEMPT, callback(ID, code, None));
        let (by_callback, asked) = wait_while(code, &inbox, async {}).await;
        assert_eq!((promised(&by_callback.unwrap()), asked), (is_proved, 0), "{code} by callback");
    }
}

fn elsewhere() -> Reference {
    "attempt-of-october".parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_callback_at_the_url_of_one_attempt_does_not_pay_another() {
    // Any address may post: only the signed URL counts, and one of a month ago stood in the log of a proxy.
    let (receiver, inbox) = (RECEIVER.clone().sources(Sources::anyone()), Inbox::new());
    let leaked = receiver.urls().stk(&elsewhere());
    let forged = format!(
        r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"{ID}","ResultCode":0,"CallbackMetadata":{{"Item":[{{"Name":"Amount","Value":50000}},{{"Name":"MpesaReceiptNumber","Value":"UKN1234567"}}]}}}}}}}}"#
    );
    let stranger: IpAddr = "203.0.113.7".parse().unwrap();
    let (reference, event) = receiver.accept(Delivery::new(stranger, leaked.path(), forged.as_bytes())).unwrap();
    inbox.deliver(&reference, event);
    let (settled, asked) = wait_while(4999, &inbox, async {}).await;
    assert!(pending(settled).speaks_for_payment());
    assert!(asked > 1, "Daraja was asked");
}

/// Delivers something that this wait must not believe.
type Deliver = fn(&Inbox, StkCallback);

const HINTS: [Deliver; 2] =
    [|inbox, callback| inbox.hint(callback), |inbox, callback| inbox.deliver(&elsewhere(), callback)];

#[tokio::test(start_paused = true)]
async fn a_hint_makes_the_wait_ask_at_once_and_a_query_settles_without_the_hints_receipt() {
    for deliver in HINTS {
        for delivered_at in [0, 5] {
            let inbox = Inbox::new();
            let hint = || deliver(&inbox, callback(ID, 0, Some("UKN1234567")));
            if delivered_at == 0 {
                hint();
            }
            let started = Instant::now();
            let (settled, asked) = wait_while(0, &inbox, async {
                sleep(delivered_at * SECOND).await;
                hint();
            })
            .await;
            let settled = settled.unwrap();
            assert_eq!((settled.source, receipt(&settled), asked), (Source::Query, None, 1));
            assert_eq!(started.elapsed().as_secs(), u64::from(delivered_at));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_hint_of_a_payment_keeps_queries_from_proving_a_failure_and_a_hint_of_a_failure_does_not() {
    for deliver in HINTS {
        for code in [1, 1032, 1037] {
            let inbox = Inbox::new();
            deliver(&inbox, callback(ID, 0, Some("UKN1234567")));
            let (settled, _) = wait_while(code, &inbox, async {}).await;
            assert!(pending(settled).speaks_for_payment());

            let inbox = Inbox::new();
            deliver(&inbox, callback(ID, code, None));
            let (settled, asked) = wait_while(code, &inbox, async {}).await;
            let settled = settled.unwrap();
            assert_eq!((settled.source, asked), (Source::Query, 2), "a hint of a failure settles nothing itself");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_callback_at_the_waits_own_reference_settles_whatever_was_hinted() {
    for deliver in HINTS {
        for hint in [callback(ID, 0, Some("UKN7654321")), callback(ID, 0, None), callback(ID, 1032, None)] {
            let inbox = Inbox::new();
            deliver(&inbox, hint);
            let (settled, _) = wait_while(4999, &inbox, async {
                sleep(5 * SECOND).await;
                inbox.deliver(&ATTEMPT, callback(ID, 0, Some("UKN1234567")));
            })
            .await;
            let settled = settled.unwrap();
            assert_eq!((settled.source, receipt(&settled)), (Source::Callback, Some("UKN1234567")));

            // Neither takes the place of the other, in whatever order they come.
            let (settled, asked) = wait_while(4999, &inbox, async {}).await;
            assert_eq!((receipt(&settled.unwrap()), asked), (Some("UKN1234567"), 0));
            deliver(&inbox, callback(ID, 0, Some("UKN7654321")));
            let (settled, _) = wait_while(4999, &inbox, async {}).await;
            assert_eq!(receipt(&settled.unwrap()), Some("UKN1234567"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_at_the_waits_own_reference_settles_although_another_url_reported_a_payment() {
    let inbox = Inbox::new();
    inbox.deliver(&elsewhere(), callback(ID, 0, Some("UKN7654321")));
    inbox.deliver(&ATTEMPT, callback(ID, 1032, None));
    assert_eq!(inbox.len(), 2);
    let (settled, asked) = wait_while(4999, &inbox, async {}).await;
    let settled = settled.unwrap();
    assert_eq!((failed(&settled), settled.source, asked), (StkReason::Cancelled, Source::Callback, 0));
}

#[tokio::test(start_paused = true)]
async fn without_a_reference_of_its_own_a_wait_takes_everything_as_a_hint() {
    let (scripted, merchant, id, inbox) = (Scripted::new([told(0)]), merchant(), ID.parse().unwrap(), Inbox::new());
    inbox.deliver(&ATTEMPT, callback(ID, 0, Some("UKN1234567")));
    let settled = scripted.client().wait_for_payment(&merchant, &id).inbox(&inbox).await.unwrap();
    assert_eq!((settled.source, receipt(&settled)), (Source::Query, None));
}

#[tokio::test(start_paused = true)]
async fn a_callback_at_the_waits_own_reference_that_names_another_push_changes_nothing() {
    let inbox = Inbox::new();
    let (settled, asked) = wait_while(1032, &inbox, async {
        inbox.deliver(&ATTEMPT, callback("ws_CO_other", 0, Some("UKN1234567")));
    })
    .await;
    assert_eq!((failed(&settled.unwrap()), asked), (StkReason::Cancelled, 2));
}

#[tokio::test(start_paused = true)]
async fn a_hint_during_a_query_makes_the_wait_ask_again_as_soon_as_the_budget_allows() {
    for deliver in HINTS {
        let late = Step::AnswerLate(3 * SECOND, 200, "{".to_owned());
        let scripted = Scripted::new([late, told(0)]);
        let (client, merchant, id, inbox) = (scripted.client(), merchant(), ID.parse().unwrap(), Inbox::new());
        client.warm_up().await.unwrap();
        let hint = async {
            sleep(16 * SECOND).await;
            deliver(&inbox, callback(ID, 0, Some("UKN1234567")));
            std::future::pending::<()>().await;
        };
        let schedule = [15 * SECOND, 100 * SECOND];
        let wait = client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).schedule(schedule).into_future();
        let started = Instant::now();
        let settled = tokio::select! { settled = wait => settled.unwrap(), () = hint => unreachable!() };
        assert_eq!((settled.source, receipt(&settled)), (Source::Query, None));
        // The query of 15 s is not given up; the next one is due 13 s after it.
        assert_eq!((started.elapsed().as_secs(), scripted.calls().len()), (28, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_query_that_is_overdue_keeps_its_place_in_the_queue_when_a_hint_comes() {
    let id = |number: u32| -> CheckoutRequestId { format!("ws_CO_{number}").parse().unwrap() };
    let scripted = Scripted::new(vec![refusal(500, "500.001.1001", "The transaction is being processed"); 3]);
    let (client, merchant, inbox) = (scripted.client(), merchant(), Inbox::new());
    let wait = |number: u32| {
        let (client, merchant, inbox) = (client.clone(), merchant.clone(), inbox.clone());
        async move {
            let once = [SECOND * number];
            let id = id(number);
            let wait = client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).schedule(once);
            wait.within(60 * SECOND).await
        }
    };
    let hint = async {
        // The first was asked at 1 s, so the others wait for their turn until 14 s.
        sleep(10 * SECOND).await;
        inbox.hint(callback("ws_CO_2", 1032, None));
    };
    let (first, second, third, ()) = tokio::join!(wait(1), wait(2), wait(3), hint);
    assert!([first, second, third].into_iter().all(|settled| settled.unwrap_err().outcome_unknown()));
    let asked: Vec<String> = scripted
        .calls()
        .iter()
        .map(|call| serde_json::from_slice::<serde_json::Value>(call.body()).unwrap()["CheckoutRequestID"].to_string())
        .collect();
    assert_eq!(asked, [r#""ws_CO_1""#, r#""ws_CO_2""#, r#""ws_CO_3""#]);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_hints_make_no_storm_of_queries() {
    let inbox = Inbox::new();
    let (settled, asked) = wait_while(4999, &inbox, async {
        for number in 0..1_000 {
            sleep(Duration::from_millis(50)).await;
            let outcome = [(26, None), (1032, None), (0, None), (0, Some("UKN1234567"))][number % 4];
            let reference = format!("attempt-of-{}", number % 10).parse().unwrap();
            inbox.hint(callback(ID, outcome.0, outcome.1));
            inbox.deliver(&reference, callback(ID, outcome.0, outcome.1));
        }
    })
    .await;
    assert!(pending(settled).speaks_for_payment());
    // One every 13 s at most, in 120 s.
    assert!(asked <= 10, "asked {asked} times");
    assert_eq!(inbox.len(), 11, "one of each reference, and one without");
}

#[tokio::test(start_paused = true)]
async fn an_inbox_counts_and_forgets_the_callbacks_of_one_push_one_by_one() {
    let inbox = Inbox::remembering(3, 60 * SECOND);
    let reference = |number: u32| format!("attempt-of-{number}").parse::<Reference>().unwrap();
    for number in 0..5 {
        inbox.deliver(&reference(number), callback(ID, 1032, None));
    }
    assert_eq!(inbox.len(), 3);
    sleep(30 * SECOND).await;
    inbox.deliver(&reference(4), callback(ID, 0, None));
    sleep(31 * SECOND).await;
    inbox.hint(callback("ws_CO_other", 1032, None));
    assert_eq!(inbox.len(), 2, "what is younger than a minute stays");
    // What is waited for is kept, and forgotten by its age again when the wait is over.
    let merchant = merchant();
    let (client, id) = (Scripted::new([told(4999)]).client(), ID.parse().unwrap());
    let wait = client.wait_for_payment(&merchant, &id).inbox(&inbox).schedule([]).within(60 * SECOND);
    assert!(timeout(SECOND, wait.into_future()).await.is_err());
    sleep(61 * SECOND).await;
    inbox.hint(callback("ws_CO_third", 1032, None));
    assert_eq!(inbox.len(), 1);
}
