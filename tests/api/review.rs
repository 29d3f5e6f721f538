//! What a hostile reading of the payouts found: each of these histories sent, settled or blocked what it must not.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use daraja::{
    AccountBalanceResult, B2cAccepted, B2cPayment, B2cResult, BalanceOutcome, Error, NextStep, Operation, Payout,
    PayoutState, QueueTimeout, Result, ResultUrls, RetryPolicy, Timestamp,
    b2c::{IdDocument, IdKind},
    simulator::Simulator,
    transport::TransportErrorKind::{Connect, Interrupted},
};

use crate::{
    b2c::{ACCEPTED, payment},
    support::{Scripted, Step, answer, body, initiator, note, result_urls},
};

fn at(seconds: i64) -> Timestamp {
    let noon: DateTime<Utc> = "2026-10-06T09:00:00Z".parse().unwrap();
    (noon + TimeDelta::seconds(seconds)).try_into().unwrap()
}

async fn sent(payment: &B2cPayment, step: Step) -> Result<B2cAccepted> {
    Scripted::new([step]).builder().retry(RetryPolicy::never()).build().unwrap().send(payment).await
}

fn asked_in_vain(payout: &mut Payout, now: Timestamp) {
    let query = payout.status_query(&initiator(), result_urls()).unwrap();
    payout.asked(&query, &Err(Error::from("0812".parse::<daraja::Msisdn>().unwrap_err())), now);
}

/// Begun at noon, and the answer was lost five seconds later.
async fn lost(payment: &B2cPayment) -> Payout {
    let mut payout = Payout::new(payment.clone());
    drop(payout.begin(at(0)).unwrap());
    note(&mut payout, sent(payment, Step::Fail(Interrupted)).await, at(5));
    assert_eq!(*payout.state(), PayoutState::Unknown);
    payout
}

fn v1() -> B2cPayment {
    payment().with_id("never-told".parse().unwrap()).v1()
}

fn failed(ids: &str, code: u32) -> B2cResult {
    B2cResult::parse(format!(r#"{{"Result":{{{ids}"ResultCode":{code},"ResultDesc":"No."}}}}"#).as_bytes()).unwrap()
}

/// A notice under our id says that Daraja has the payment. What becomes of it is then asked, as after code 15: nobody knows
/// whether the id of what timed out in the queue is remembered.
#[tokio::test(start_paused = true)]
async fn what_timed_out_in_darajas_queue_is_not_sent_again() {
    let payment = payment();
    for notice in [
        r#"{"OriginatorConversationID":"supplier-7-invoice-1042","CommandID":"BusinessPayment","Amount":"10"}"#,
        r#"{"Result":{"ResultCode":1037,"OriginatorConversationID":"supplier-7-invoice-1042"}}"#,
        r#"{"OriginatorConversationID":"supplier-7-invoice-1042"}"#,
    ] {
        let mut payout = lost(&payment).await;
        payout.take_timeout(&QueueTimeout::parse(notice.as_bytes()).unwrap(), at(60)).unwrap();
        assert_eq!(payout.next_step(at(60)), NextStep::AskStatus, "{notice}");
        assert!(payout.begin(at(60)).is_err());
    }
}

/// The clock of the machine that began was half an hour fast, and it died. Another one looks every minute, by the true time.
#[tokio::test(start_paused = true)]
async fn a_clock_that_was_fast_while_sending_does_not_move_the_window() {
    const FAST: i64 = 1_800;
    let mut payout = Payout::new(payment());
    drop(payout.begin(at(FAST)).unwrap());
    for minute in 1..120 {
        let now = at(minute * 60);
        match payout.next_step(now) {
            NextStep::SendAgainWithSameId => panic!("sent again {minute} minutes after the first sending"),
            // Not answered, and not found.
            NextStep::AskStatus => asked_in_vain(&mut payout, now),
            _ => {}
        }
    }
}

/// An application sets the window of its configuration on whatever it loads.
#[tokio::test(start_paused = true)]
async fn a_window_that_is_over_for_good_is_not_opened_by_setting_it_again() {
    let payment = payment();
    let mut payout = lost(&payment).await;
    asked_in_vain(&mut payout, at(-86_000));
    asked_in_vain(&mut payout, at(-85_000));
    let row = serde_json::to_string(&payout).unwrap();
    assert_eq!(payout.next_step(at(100)), NextStep::AskStatus);
    let loaded = serde_json::from_str::<Payout>(&row).unwrap().send_again_within(Duration::from_secs(600));
    assert_eq!(loaded.next_step(at(100)), NextStep::AskStatus);
}

/// What was begun within a window is not widened by the one of a later configuration, either.
#[tokio::test(start_paused = true)]
async fn a_window_can_be_narrowed_while_it_is_open() {
    let payout = lost(&payment()).await.send_again_within(Duration::from_secs(60));
    assert_eq!(payout.next_step(at(59)), NextStep::SendAgainWithSameId);
    assert_eq!(payout.next_step(at(60)), NextStep::AskStatus);
}

/// A patient client: two hours for a call. The first attempt may have arrived, and the gateway asks to wait for an hour.
#[tokio::test(start_paused = true)]
async fn a_patient_client_does_not_repeat_what_daraja_may_have_forgotten() {
    let throttle = Step::AnswerWith(429, ("retry-after", "3600"), String::new());
    let scripted = Scripted::new([Step::Fail(Interrupted), throttle, answer(200, ACCEPTED)]);
    let client = scripted.builder().timeout(Duration::from_secs(7_200)).build().unwrap();
    let error = client.send(&payment()).await.expect_err("repeated an hour after an attempt that may have arrived");
    assert!(error.outcome_unknown(), "{error:?}");
    assert_eq!(scripted.calls().len(), 2);
}

/// What provably did not arrive is another matter: nobody can have forgotten it.
#[tokio::test(start_paused = true)]
async fn a_patient_client_waits_out_a_throttle() {
    let throttle = Step::AnswerWith(429, ("retry-after", "3600"), String::new());
    let scripted = Scripted::new([Step::Fail(Connect), throttle, answer(200, ACCEPTED)]);
    let client = scripted.builder().timeout(Duration::from_secs(7_200)).build().unwrap();
    client.send(&payment()).await.unwrap();
    assert_eq!(scripted.calls().len(), 3);
}

/// Version 1, its answer lost, one URL for everything: the application asks for its balance, and the initiator is locked.
/// That is the result of the question.
#[tokio::test(start_paused = true)]
async fn a_failure_that_names_no_payment_of_ours_settles_nothing() {
    const OF_A_QUESTION: &[u8] = br#"{"Result":{"ResultType":0,"ResultCode":8006,
        "ResultDesc":"The security credential is locked.","OriginatorConversationID":"5dbd-4f93-a478-41cdaf2b9acd86873",
        "ConversationID":"AG_20261006_77776e9209f64bebd05b","TransactionID":"UJ60000000",
        "ResultParameters":{"ResultParameter":[{"Key":"ActionType"},{"Key":"ErrorMsg","Value":"API Password is locked. "}]}}}"#;
    assert!(matches!(AccountBalanceResult::parse(OF_A_QUESTION).unwrap().outcome, BalanceOutcome::Failed(_)));
    let mut payout = lost(&v1()).await;
    payout.take_result(&B2cResult::parse(OF_A_QUESTION).unwrap(), at(90)).unwrap();
    assert_eq!(*payout.state(), PayoutState::Unknown);

    // And so does the failure of somebody else's payout, of which nothing tells that it is another one.
    let mut payout = lost(&v1()).await;
    let another = r#""OriginatorConversationID":"29115-34620561-2","ConversationID":"AG_2","#;
    payout.take_result(&failed(another, 1), at(90)).unwrap();
    assert_eq!(*payout.state(), PayoutState::Unknown);
}

/// One URL for both: a notice in a result's envelope would be read as the result, code and all.
#[test]
fn results_and_timeouts_do_not_share_a_url() {
    let url = || "https://shop.example/b2c/8c1f".parse().unwrap();
    let simulator = Simulator::new();
    let payment = B2cPayment::new(
        &initiator(),
        simulator.b2c_short_code(),
        "254708374149".parse().unwrap(),
        daraja::Shillings::new(10).unwrap(),
        ResultUrls::new(url(), url()),
    );
    let error = payment.check(&daraja::Rules::default()).expect_err("one URL for results and timeouts");
    assert!(matches!(error, Error::Invalid(_)));
}

/// It provably was not carried out, so a notice that names nothing is about something else.
#[tokio::test(start_paused = true)]
async fn a_notice_about_nothing_does_not_keep_a_payout_from_being_sent() {
    let payment = payment();
    let mut never = Payout::new(payment.clone());
    let mut not_yet = Payout::new(payment.clone());
    drop(not_yet.begin(at(0)).unwrap());
    note(&mut not_yet, sent(&payment, Step::Fail(Connect)).await, at(5));
    for payout in [&mut never, &mut not_yet] {
        let before = payout.clone();
        assert!(payout.take_timeout(&QueueTimeout::parse(b"{}").unwrap(), at(6)).is_err());
        assert_eq!(*payout, before);
        assert_eq!(payout.next_step(at(60)), NextStep::Send);
    }
}

/// Whoever asked for the check does not want the money to go without it.
#[test]
fn the_check_of_a_document_is_not_dropped_without_a_word() {
    let document = || IdDocument::new(IdKind::NationalId, "12345678").unwrap();
    for payment in [payment().with_id_check(document()).v1(), payment().with_id_check(document()).to_pochi()] {
        let is_refused = payment.check(&daraja::Rules::default()).is_err();
        assert!(is_refused || body(&payment)["IDNumber"] == "12345678", "{}", payment.path());
    }
}

/// Two ids contradict each other, whichever stands first.
#[tokio::test(start_paused = true)]
async fn a_transaction_that_names_two_payments_settles_neither() {
    let payment = payment();
    for (first, second) in
        [("supplier-7-invoice-1042", "supplier-8-invoice-1043"), ("supplier-8-invoice-1043", "supplier-7-invoice-1042")]
    {
        let text = format!(
            r#"{{"Result":{{"ResultCode":0,"ResultParameters":{{"ResultParameter":[
            {{"Key":"OriginatorConversationID","Value":"{first}"}},{{"Key":"OriginatorConversationID","Value":"{second}"}},
            {{"Key":"TransactionStatus","Value":"Completed"}},{{"Key":"ReceiptNo","Value":"UJ65WSR9W7"}}]}}}}}}"#
        );
        let mut payout = lost(&payment).await;
        let told = daraja::TransactionStatusResult::parse(text.as_bytes()).unwrap();
        assert!(payout.take_status(&told, at(60)).is_err(), "{first} first");
        assert_eq!(*payout.state(), PayoutState::Unknown);
    }
}
