//! Failures of repeats, other payments and wrong clocks: what must neither settle a payout nor send it again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use daraja::{
    Accepted, B2cAccepted, B2cPayment, B2cResult, Client, NextStep, Payout, PayoutState, Result, RetryPolicy,
    Shillings, Timestamp, TransactionStatusQuery, TransactionStatusResult,
    error::TooLate,
    simulator::{Fault, Route, Simulator},
    transport::TransportErrorKind::Interrupted,
    webhook::{Event, EventKind},
};
use tokio::time::{Instant, sleep};

use crate::support::{Scripted, Step, answer, body, initiator, note, noted_of, refusal, result_urls};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn noon() -> DateTime<Utc> {
    "2026-10-06T09:00:00Z".parse().unwrap()
}

fn at(seconds: i64) -> Timestamp {
    (noon() + TimeDelta::seconds(seconds)).try_into().unwrap()
}

fn payment() -> B2cPayment {
    let (code, recipient) = ("600310".parse().unwrap(), "254708374149".parse().unwrap());
    B2cPayment::new(&initiator(), code, recipient, Shillings::new(10).unwrap(), result_urls())
}

const GIVEN: &str = "29115-34620561-1";
const IDS: &str = r#""ConversationID":"AG_OURS","OriginatorConversationID":"29115-34620561-1","#;
const OTHER_IDS: &str = r#""ConversationID":"AG_OTHER","OriginatorConversationID":"29115-34620561-2","#;
const WHOLE: &str = r#"{"Key":"TransactionAmount","Value":10},{"Key":"TransactionReceipt","Value":"UJ65WSR9W7"},{"Key":"ReceiverPartyPublicName","Value":"254708374149 - WANJIKU MFANO"}"#;

async fn told(payment: &B2cPayment, step: Step) -> Result<B2cAccepted> {
    Scripted::new([step]).builder().retry(RetryPolicy::never()).build().unwrap().send(payment).await
}

async fn answered(ids: &str) -> Result<B2cAccepted> {
    told(&payment().v1(), answer(200, format!(r#"{{{ids}"ResponseCode":"0"}}"#))).await
}

async fn lost() -> Result<B2cAccepted> {
    told(&payment().v1(), Step::Fail(Interrupted)).await
}

fn result(ids: &str, code: u32, parameters: &str) -> B2cResult {
    let text = format!(
        r#"{{"Result":{{{ids}"ResultCode":{code},"ResultDesc":"No.","ResultParameters":{{"ResultParameter":[{parameters}]}}}}}}"#
    );
    B2cResult::parse(text.as_bytes()).unwrap()
}

async fn asked(query: &TransactionStatusQuery, conversation: &str) -> Result<Accepted> {
    let answer = answer(200, format!(r#"{{"ConversationID":"{conversation}","ResponseCode":"0"}}"#));
    Scripted::new([answer]).client().send(query).await
}

fn status(conversation: &str, status: &str, more: &str) -> TransactionStatusResult {
    let text = format!(
        r#"{{"Result":{{"ResultCode":0,"ConversationID":"{conversation}","ResultParameters":{{"ResultParameter":[
        {{"Key":"TransactionStatus","Value":"{status}"}}{more}]}}}}}}"#
    );
    TransactionStatusResult::parse(text.as_bytes()).unwrap()
}

fn v1() -> Payout {
    let mut payout = Payout::new(payment().v1());
    drop(payout.begin(at(0)).unwrap());
    payout
}

fn supplier_payment(simulator: &Simulator) -> B2cPayment {
    let (code, supplier) = (simulator.b2c_short_code(), "254708374149".parse().unwrap());
    B2cPayment::new(&simulator.initiator(), code, supplier, Shillings::new(5_000).unwrap(), simulator.result_urls())
}

/// A machine whose clock is off by so much.
fn machine(simulator: &Simulator) -> (Client, Arc<AtomicI64>) {
    let (off, start) = (Arc::new(AtomicI64::new(0)), Instant::now());
    let read = off.clone();
    let clock = move || noon() + TimeDelta::from_std(start.elapsed()).unwrap() + TimeDelta::seconds(read.load(SeqCst));
    (simulator.client_builder().clock(clock).build().unwrap(), off)
}

async fn step(payout: &mut Payout, simulator: &Simulator, client: &Client) {
    let dispatch = payout.begin(client.now()).unwrap();
    let outcome =
        dispatch.send_with(client, &simulator.initiator(), simulator.result_urls(), RetryPolicy::never()).await;
    payout.sent(&outcome, client.now());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_between_two_events_does_not_widen_the_window() {
    let simulator = Simulator::builder().duplicate_memory(seconds(600)).build();
    let (client, off) = machine(&simulator);
    client.warm_up().await.unwrap();
    let mut payout = Payout::new(supplier_payment(&simulator));
    simulator.fault(Route::B2c, Fault::ResetAfter);
    step(&mut payout, &simulator, &client).await;
    // The line is down: no connection, with the pauses of the payout itself.
    for _ in 0..4 {
        while let NextStep::Wait(until) = payout.next_step(client.now()) {
            sleep(until.since(client.now()).unwrap()).await;
        }
        simulator.fault(Route::B2c, Fault::ResetBefore);
        step(&mut payout, &simulator, &client).await;
    }
    // In the pause of 240 s the same client, in the same process, sees its clock set back by 200 s.
    sleep(seconds(210)).await;
    off.fetch_sub(200, SeqCst);
    while let NextStep::Wait(until) = payout.next_step(client.now()) {
        sleep(until.since(client.now()).unwrap()).await;
    }
    if payout.next_step(client.now()) == NextStep::SendAgainWithSameId {
        step(&mut payout, &simulator, &client).await;
    }
    assert_eq!(simulator.payouts().len(), 1, "paid twice: {payout:?}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_ahead_when_it_was_begun_does_not_widen_the_window() {
    let simulator = Simulator::builder().duplicate_memory(seconds(600)).build();
    let (client, off) = machine(&simulator);
    client.warm_up().await.unwrap();
    off.store(300, SeqCst); // just booted: NTP has not corrected it yet
    let mut payout = Payout::new(supplier_payment(&simulator));
    let dispatch = payout.begin(client.now()).unwrap();
    let row = serde_json::to_string(&payout).unwrap();
    let _ = dispatch.send(&client, &simulator.initiator(), simulator.result_urls()).await;
    // It dies here, and is started again when the clock is right.
    sleep(seconds(800)).await;
    off.store(0, SeqCst);
    let mut payout: Payout = serde_json::from_str(&row).unwrap();
    if payout.next_step(client.now()) == NextStep::SendAgainWithSameId {
        step(&mut payout, &simulator, &client).await;
    }
    assert_eq!(simulator.payouts().len(), 1, "paid twice");
}

#[tokio::test(start_paused = true)]
async fn a_queue_timeout_that_names_no_id_does_not_make_it_leave_again() {
    for (name, body) in [
        ("no ids", r#"{"RequestRefID":"x"}"#.to_owned()),
        ("an empty object", "{}".to_owned()),
        ("not an object", r#""timeout""#.to_owned()),
        (
            "ids that contradict",
            r#"{"OriginatorConversationID":"own-id","Result":{"OriginatorConversationID":"29115-1"}}"#.to_owned(),
        ),
    ] {
        let mut payout = Payout::new(payment().with_id("own-id".parse().unwrap()));
        drop(payout.begin(at(0)).unwrap());
        note(&mut payout, told(&payment(), Step::Fail(Interrupted)).await, at(1));
        let Ok(Event::QueueTimeout(timeout)) = Event::parse_as(EventKind::PayoutTimeout, body.as_bytes()) else {
            panic!("{name}")
        };
        payout.take_timeout(&timeout, at(2)).unwrap();
        let step = payout.next_step(at(2));
        assert_ne!(step, NextStep::SendAgainWithSameId, "{name}: Daraja's queue had it, at its own signed URL");
    }
}

/// The question is asked by an id that is not known to be its own; before the answer to the question is noted, the answer to
/// the payment is.
#[tokio::test(start_paused = true)]
async fn a_question_by_a_reported_id_is_not_taken_for_one_by_its_own() {
    for first in ["answer to the question", "answer to the payment"] {
        let mut payout = v1();
        payout.take_result(&result(OTHER_IDS, 1, ""), at(1)).unwrap();
        assert_eq!(payout.next_step(at(1)), NextStep::AskStatus);
        let query = payout.status_query(&initiator(), result_urls()).unwrap(); // about 29115-34620561-2
        let taken = asked(&query, "AG_Q").await;
        if first == "answer to the question" {
            payout.asked(&query, &taken, at(2));
            note(&mut payout, answered(IDS).await, at(3));
        } else {
            note(&mut payout, answered(IDS).await, at(2));
            payout.asked(&query, &taken, at(3));
        }
        let _ = payout.take_status(&status("AG_Q", "Declined", ""), at(4));
        assert!(!matches!(payout.state(), PayoutState::Failed(_)), "{first} first: {:?}", payout.state());
    }
}

/// The same, and the other payment was paid.
#[tokio::test(start_paused = true)]
async fn a_payment_that_was_asked_for_by_a_reported_id_is_not_its_own() {
    let mut payout = v1();
    payout.take_result(&result(OTHER_IDS, 26, ""), at(1)).unwrap();
    let query = payout.status_query(&initiator(), result_urls()).unwrap();
    let taken = asked(&query, "AG_Q").await;
    note(&mut payout, answered(IDS).await, at(2));
    payout.asked(&query, &taken, at(3));
    let found = status(
        "AG_Q",
        "Completed",
        r#",{"Key":"ReceiptNo","Value":"UJ65WSR9W7"},{"Key":"OriginatorConversationID","Value":"29115-34620561-2"}"#,
    );
    let _ = payout.take_status(&found, at(4));
    assert!(!matches!(payout.state(), PayoutState::Paid(_)), "{:?}", payout.state());
}

/// A status answer that itself names another payment.
#[tokio::test(start_paused = true)]
async fn a_status_that_names_another_transaction_settles_nothing() {
    for (what, more) in [
        ("Declined", r#",{"Key":"OriginatorConversationID","Value":"another-payment"}"#),
        (
            "Completed",
            r#",{"Key":"ReceiptNo","Value":"UJ65WSR9W7"},{"Key":"OriginatorConversationID","Value":"another-payment"}"#,
        ),
    ] {
        let mut payout = Payout::new(payment());
        drop(payout.begin(at(0)).unwrap());
        note(&mut payout, told(&payment(), Step::Fail(Interrupted)).await, at(1));
        let query = payout.status_query(&initiator(), result_urls()).unwrap();
        payout.asked(&query, &asked(&query, "AG_Q").await, at(700));
        let _ = payout.take_status(&status("AG_Q", what, more), at(701));
        assert!(!payout.state().is_settled(), "{what}: {:?}", payout.state());
    }
}

/// One obligation, one URL: the payout before it failed, and a new one was made, as the page says.
#[tokio::test(start_paused = true)]
async fn the_failure_of_the_payout_before_it_does_not_fail_the_new_one() {
    let mut payout = v1();
    note(&mut payout, lost().await, at(1));
    payout.take_result(&result(OTHER_IDS, 1, ""), at(5)).unwrap(); // late, or told twice
    let query = payout.status_query(&initiator(), result_urls()).unwrap();
    payout.asked(&query, &asked(&query, "AG_Q").await, at(6));
    let found = status(
        "AG_Q",
        "Declined",
        r#",{"Key":"Amount","Value":10},{"Key":"CreditPartyName","Value":"254708374149 - WANJIKU MFANO"},
        {"Key":"InitiatedTime","Value":"20261005090000"},{"Key":"FinalisedTime","Value":"20261005090001"}"#,
    );
    let _ = payout.take_status(&found, at(7));
    // It ended half a day before this one was sent.
    assert!(!matches!(payout.state(), PayoutState::Failed(_)), "{:?}", payout.state());
}

#[tokio::test(start_paused = true)]
async fn what_was_believed_by_the_url_alone_is_open_again_when_the_answer_names_other_ids() {
    let mut payout = v1();
    payout.take_result(&result(OTHER_IDS, 0, WHOLE), at(1)).unwrap();
    assert!(matches!(payout.state(), PayoutState::Paid(_)));
    note(&mut payout, answered(IDS).await, at(2));
    assert!(
        !matches!(payout.state(), PayoutState::Paid(_)),
        "proved to be another payment's: {:?}",
        payout.contradictions()
    );
}

/// The database said that the commit failed, and it had not: the worker notes the outcome once more, as the shop does.
#[tokio::test(start_paused = true)]
async fn an_outcome_that_is_noted_twice_does_not_set_back_what_another_worker_sends() {
    for (name, payment) in [("version 1", payment().v1()), ("version 3", payment())] {
        let mut payout = Payout::new(payment.clone());
        drop(payout.begin(at(0)).unwrap());
        let throttled = told(&payment, answer(429, "")).await;
        note(&mut payout, throttled.clone(), at(1));
        // The pause is over: the second worker begins, and its request is under way.
        drop(payout.begin(at(20)).unwrap());
        payout.sent(&noted_of(&payout, 1, throttled), at(21));
        // The second worker dies. Its payment left.
        assert_ne!(*payout.state(), PayoutState::Created, "{name}: a request is under way");
    }
}

/// Two machines whose clocks differ by two seconds.
#[tokio::test(start_paused = true)]
async fn a_clock_two_seconds_behind_waits() {
    let mut payout = Payout::new(payment());
    drop(payout.begin(at(0)).unwrap());
    assert!(matches!(payout.next_step(at(-2)), NextStep::Wait(_)), "{:?}", payout.next_step(at(-2)));
}

#[tokio::test(start_paused = true)]
async fn a_version_1_payment_that_is_known_by_the_gateways_id_alone_is_asked_for_once_its_own_is_reported() {
    let mut payout = v1();
    note(&mut payout, answered(r#""ConversationID":"AG_OURS","#).await, at(1));
    // A result that proves nothing names both ids: the originator's is its own, then.
    payout.take_result(&result(IDS, 26, ""), at(2)).unwrap();
    assert_eq!(payout.next_step(at(4_000)), NextStep::AskStatus, "{:?}", payout.state());
}

/// Daraja takes the repeat and tells by a result what becomes of *it*, as result code 15 says that it does. The repeat was made
/// with another password, or finds the account empty: the first sending emptied it.
#[tokio::test(start_paused = true)]
async fn the_failure_of_a_repeat_is_not_taken_for_that_of_the_payment() {
    for (name, code) in [("a wrong password", 2001), ("an empty account", 1), ("a locked initiator", 8006)] {
        let payment = payment().with_id("own-id".parse().unwrap());
        let mut payout = Payout::new(payment.clone());
        drop(payout.begin(at(0)).unwrap());
        note(&mut payout, told(&payment, Step::Fail(Interrupted)).await, at(1));
        assert_eq!(payout.next_step(at(16)), NextStep::SendAgainWithSameId);
        drop(payout.begin(at(16)).unwrap());
        let ids = r#""ConversationID":"AG_SECOND","OriginatorConversationID":"own-id","#;
        note(&mut payout, told(&payment, answer(200, format!(r#"{{{ids}"ResponseCode":"0"}}"#))).await, at(17));
        payout.take_result(&result(ids, code, ""), at(20)).unwrap();
        let then = payout.state().clone();
        // What became of the first one comes late.
        let ids = r#""ConversationID":"AG_FIRST","OriginatorConversationID":"own-id","#;
        payout.take_result(&result(ids, 0, WHOLE), at(90)).unwrap();
        assert!(matches!(payout.state(), PayoutState::Paid(_)));
        assert!(
            !then.is_settled(),
            "{name}: {then:?} at 20 s, so it was paid anew under a new id; then {:?}",
            payout.contradictions()
        );
    }
}

/// The same within one `send`.
#[tokio::test(start_paused = true)]
async fn the_failure_of_a_retry_of_one_send_is_not_taken_for_that_of_the_payment() {
    let ids = r#""ConversationID":"AG_SECOND","OriginatorConversationID":"own-id","#;
    let script = [Step::Fail(Interrupted), answer(200, format!(r#"{{{ids}"ResponseCode":"0"}}"#))];
    let client = Scripted::new(script).client();
    let mut payout = Payout::new(payment().with_id("own-id".parse().unwrap()));
    let sent = payout.begin(client.now()).unwrap().send(&client, &initiator(), result_urls()).await;
    assert!(matches!(sent.outcome(), Ok(B2cAccepted::Accepted(_))), "{sent:?}");
    payout.sent(&sent, client.now());
    payout.take_result(&result(ids, 1, ""), client.now()).unwrap();
    assert!(!payout.state().is_settled(), "{:?}", payout.state());
}

/// The answer named the request; the failure names another one under the same id.
#[tokio::test(start_paused = true)]
async fn a_failure_of_another_request_under_the_same_id_settles_nothing() {
    let payment = payment().with_id("own-id".parse().unwrap());
    let mut payout = Payout::new(payment.clone());
    drop(payout.begin(at(0)).unwrap());
    let ids = r#""ConversationID":"AG_FIRST","OriginatorConversationID":"own-id","#;
    note(&mut payout, told(&payment, answer(200, format!(r#"{{{ids}"ResponseCode":"0"}}"#))).await, at(1));
    let ids = r#""ConversationID":"AG_SECOND","OriginatorConversationID":"own-id","#;
    let _ = payout.take_result(&result(ids, 2001, ""), at(5));
    assert!(!payout.state().is_settled(), "{:?}", payout.state());
}

/// Twice noted, to the end.
#[tokio::test(start_paused = true)]
async fn an_outcome_that_is_noted_twice_does_not_pay_version_1_twice() {
    let simulator = Simulator::new();
    let client = simulator.client();
    client.warm_up().await.unwrap();
    let (initiator, urls) = (simulator.initiator(), simulator.result_urls());
    let mut payout = Payout::new(supplier_payment(&simulator).v1());
    simulator.fault(Route::B2c, Fault::Throttled(None));
    let dispatch = payout.begin(client.now()).unwrap();
    let throttled = dispatch.send_with(&client, &initiator, urls.clone(), RetryPolicy::never()).await;
    payout.sent(&throttled, client.now());
    sleep(seconds(16)).await;
    // The second worker pays, and dies before it notes it.
    let dispatch = payout.begin(client.now()).unwrap();
    dispatch.send(&client, &initiator, urls.clone()).await.outcome().unwrap();
    // The first one's database answers again: it does not know whether its commit counted (shop: `record`).
    payout.sent(&throttled, client.now());
    sleep(seconds(60)).await;
    if payout.next_step(client.now()) == NextStep::Send {
        step(&mut payout, &simulator, &client).await;
    }
    assert_eq!(simulator.payouts().len(), 1, "paid twice");
}

#[tokio::test(start_paused = true)]
async fn a_dispatch_is_over_before_the_other_machine_takes_over() {
    // Machine B's clock is 3 s ahead of A's. A begins at its 0; B takes over at its 120, which is A's 117.
    let mut payout = Payout::new(payment());
    let dispatch = payout.begin(at(0)).unwrap();
    let taken_over = (0..=130).find(|now| payout.next_step(at(*now)) == NextStep::SendAgainWithSameId).unwrap();
    let fenced = dispatch.not_after().since(at(0)).unwrap().as_secs();
    assert!(fenced + 2 <= u64::try_from(taken_over).unwrap(), "fenced until {fenced}, taken over at {taken_over}");
}

/// Every order of two questions by reported ids, the answer, and the answers to the questions: the row is that of a payment
/// that was paid, and nothing that is told is about it.
#[tokio::test(start_paused = true)]
async fn nothing_that_is_about_another_payment_settles_version_1() {
    let names = ["answer", "ask", "asked", "declined"];
    let mut orders = vec![vec![]];
    for _ in 0..5 {
        orders =
            orders.iter().flat_map(|order: &Vec<usize>| (0..4).map(|next| [&order[..], &[next]].concat())).collect();
    }
    let mut wrong = Vec::new();
    let ok = answered(IDS).await;
    for order in orders {
        let mut payout = v1();
        payout.take_result(&result(OTHER_IDS, 1, ""), at(1)).unwrap();
        let (mut queries, mut now, mut questions, mut of_own) = (Vec::new(), 1, 0, true);
        for event in &order {
            now += 1;
            match event {
                0 => note(&mut payout, ok.clone(), at(now)),
                1 => queries.extend(payout.status_query(&initiator(), result_urls())),
                2 => {
                    if let Some(query) = queries.pop() {
                        questions += 1;
                        let id = body(&query)["OriginalConversationID"].as_str().unwrap().to_owned();
                        of_own = id == GIVEN;
                        payout.asked(&query, &asked(&query, &format!("AG_Q{questions}")).await, at(now));
                    }
                }
                _ if questions > 0 && !of_own => {
                    let _ = payout.take_status(&status(&format!("AG_Q{questions}"), "Declined", ""), at(now));
                }
                _ => {}
            }
        }
        if payout.state().is_settled() {
            wrong.push(order.iter().map(|event| names[*event]).collect::<Vec<_>>().join(" "));
        }
    }
    assert!(wrong.is_empty(), "{} orders, such as {:?}", wrong.len(), wrong);
}

/// Two workers died in the middle, and Daraja took both requests; the third did not get through.
#[test]
fn a_sending_that_was_never_noted_leaves_a_doubt_whatever_the_next_one_comes_to() {
    let mut payout = Payout::new(payment().with_id("own-id".parse().unwrap()));
    for time in [0, 120, 240] {
        drop(payout.begin(at(time)).unwrap());
    }
    note(&mut payout, Err(TooLate::NotAfter.into()), at(241));
    let ids = r#""ConversationID":"AG_SECOND","OriginatorConversationID":"own-id","#;
    payout.take_result(&result(ids, 2_001, ""), at(245)).unwrap();
    assert_eq!(*payout.state(), PayoutState::Unknown);
    assert_eq!(payout.unplaced().len(), 1, "a person can see it");
}

/// A failure that came while it was sent again is believed once Daraja has refused the repeat: one request was accepted.
#[tokio::test(start_paused = true)]
async fn a_failure_that_was_kept_is_believed_once_it_is_certain() {
    let payment = payment().with_id("own-id".parse().unwrap());
    let ids = r#""ConversationID":"AG_FIRST","OriginatorConversationID":"own-id","#;
    let duplicate = told(&payment, refusal(500, "500.002.1001", "Duplicate OriginatorConversationID.")).await;
    for is_early in [true, false] {
        let mut payout = Payout::new(payment.clone());
        for time in [0, 120] {
            drop(payout.begin(at(time)).unwrap());
        }
        let failure = result(ids, 2_040, "");
        if is_early {
            payout.take_result(&failure, at(121)).unwrap();
            assert_eq!(*payout.state(), PayoutState::Unknown);
        }
        note(&mut payout, duplicate.clone(), at(122));
        if !is_early {
            payout.take_result(&failure, at(123)).unwrap();
        }
        assert!(matches!(payout.state(), PayoutState::Failed(_)), "early: {is_early}, {:?}", payout.state());
    }
}

/// A person asks by a receipt, which may be another payment's.
#[tokio::test(start_paused = true)]
async fn the_answer_to_a_question_by_a_receipt_has_to_name_the_payment() {
    let mut payout = Payout::new(payment());
    drop(payout.begin(at(0)).unwrap());
    let (code, receipt) = ("600310".parse().unwrap(), "UJ65WSR9W7".parse().unwrap());
    let query = TransactionStatusQuery::by_receipt(&initiator(), code, receipt, result_urls());
    payout.asked(&query, &asked(&query, "AG_Q").await, at(700));
    let found = status("AG_Q", "Completed", r#",{"Key":"ReceiptNo","Value":"UJ65WSR9W7"}"#);
    assert!(payout.take_status(&found, at(701)).is_err());
    assert!(!payout.state().is_settled());
}

#[tokio::test(start_paused = true)]
async fn the_outcome_of_another_payout_changes_nothing() {
    let (mut one, mut other) = (Payout::new(payment()), Payout::new(payment()));
    let sent = one.begin(at(0)).unwrap().came_to(told(&payment(), answer(200, crate::b2c::ACCEPTED)).await);
    let before = other.clone();
    other.sent(&sent, at(1));
    assert_eq!(other, before);
    one.sent(&sent, at(1));
    assert_eq!(*one.state(), PayoutState::Accepted);
}
