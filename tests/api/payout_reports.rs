//! What is reported about a payout before Daraja has answered, and reports that contradict themselves.

use chrono::{DateTime, TimeDelta, Utc};
use daraja::{
    Accepted, B2cAccepted, B2cPayment, B2cResult, Kes, NextStep, Payout, PayoutState, QueueTimeout, Result,
    RetryPolicy, Shillings, Timestamp, TransactionStatusResult, payout::Contradiction,
    transport::TransportErrorKind::Interrupted,
};

use crate::support::{Scripted, Step, answer, body, initiator, note, result_urls};

fn at(seconds: i64) -> Timestamp {
    let noon: DateTime<Utc> = "2026-10-06T09:00:00Z".parse().unwrap();
    (noon + TimeDelta::seconds(seconds)).try_into().unwrap()
}

fn payment() -> B2cPayment {
    let (code, recipient) = ("600310".parse().unwrap(), "254708374149".parse().unwrap());
    B2cPayment::new(&initiator(), code, recipient, Shillings::new(10).unwrap(), result_urls())
}

/// Version 1 knows no id of ours: only the answer tells by which ids Daraja has the payment.
fn v1() -> Payout {
    let mut payout = Payout::new(payment().v1());
    drop(payout.begin(at(0)).unwrap());
    payout
}

const GIVEN: &str = "29115-34620561-1";
const IDS: &str =
    r#""ConversationID":"AG_20261006_20106e9209f64bebd05b","OriginatorConversationID":"29115-34620561-1","#;
const OTHER_IDS: &str =
    r#""ConversationID":"AG_20261006_30106e9209f64bebd05c","OriginatorConversationID":"29115-34620561-2","#;
const WHOLE: &str = r#"{"Key":"TransactionAmount","Value":10},{"Key":"TransactionReceipt","Value":"UJ65WSR9W7"},{"Key":"ReceiverPartyPublicName","Value":"254708374149 - WANJIKU MFANO"}"#;
const MASKED: &str = r#"{"Key":"TransactionAmount","Value":10},{"Key":"TransactionReceipt","Value":"UJ65WSR9W7"},{"Key":"ReceiverPartyPublicName","Value":"2547*****149 - WANJIKU MFANO"}"#;

async fn sent(step: Step) -> Result<B2cAccepted> {
    Scripted::new([step]).builder().retry(RetryPolicy::never()).build().unwrap().send(&payment().v1()).await
}

async fn answered() -> Result<B2cAccepted> {
    sent(answer(200, format!(r#"{{{IDS}"ResponseCode":"0"}}"#))).await
}

async fn lost() -> Result<B2cAccepted> {
    sent(Step::Fail(Interrupted)).await
}

fn result(ids: &str, code: u32, parameters: &str) -> B2cResult {
    let text = format!(
        r#"{{"Result":{{{ids}"ResultCode":{code},"ResultDesc":"No.","ResultParameters":{{"ResultParameter":[{parameters}]}}}}}}"#
    );
    B2cResult::parse(text.as_bytes()).unwrap()
}

/// Through the database and back.
fn stored(payout: &Payout) -> Payout {
    serde_json::from_str(&serde_json::to_string(payout).unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_order_of_answer_and_result_does_not_matter() {
    let timeout = |ids: &str| QueueTimeout::parse(format!(r#"{{{ids}"x":1}}"#).as_bytes()).unwrap();
    for (name, report) in [
        ("a receipt", Some(result(IDS, 0, WHOLE))),
        ("a receipt whose recipient is masked", Some(result(IDS, 0, MASKED))),
        ("the utility account is empty", Some(result(IDS, 1, ""))),
        ("a wrong initiator", Some(result(IDS, 2_001, ""))),
        ("no such recipient", Some(result(IDS, 2_040, ""))),
        ("a locked initiator", Some(result(IDS, 8_006, ""))),
        ("a busy system", Some(result(IDS, 26, ""))),
        ("a success without a receipt", Some(result(IDS, 0, ""))),
        ("a queue timeout", None),
    ] {
        let take = |payout: &mut Payout, now| match &report {
            Some(result) => payout.take_result(result, now).unwrap(),
            None => payout.take_timeout(&timeout(IDS), now).unwrap(),
        };
        let mut answer_first = v1();
        note(&mut answer_first, answered().await, at(1));
        take(&mut answer_first, at(2));
        let mut report_first = v1();
        take(&mut report_first, at(1));
        let mut report_first = stored(&report_first);
        note(&mut report_first, answered().await, at(2));
        assert_eq!(answer_first.state(), report_first.state(), "{name}");
        assert_eq!(answer_first.next_step(at(3)), report_first.next_step(at(3)), "{name}");
        assert_eq!((report_first.unplaced(), report_first.contradictions()), (&[][..], &[][..]), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_overtook_the_answer_is_not_forgotten() {
    let mut payout = v1();
    payout.take_result(&result(IDS, 2_001, ""), at(1)).unwrap();
    assert_eq!(*payout.state(), PayoutState::Unknown, "the URL alone does not say that it failed");
    note(&mut payout, answered().await, at(2));
    assert!(matches!(payout.state(), PayoutState::Failed(_)), "{:?}", payout.state());
}

#[tokio::test(start_paused = true)]
async fn a_receipt_at_its_own_url_is_kept_for_a_person_to_see() {
    let mut payout = v1();
    note(&mut payout, lost().await, at(1));
    payout.take_result(&result(IDS, 0, MASKED), at(5)).unwrap();
    payout.take_result(&result(IDS, 0, MASKED), at(6)).unwrap(); // it can come twice
    let payout = stored(&payout);
    assert_eq!(*payout.state(), PayoutState::Unknown);
    let [report] = payout.unplaced() else { panic!("{:?}", payout.unplaced()) };
    assert_eq!(report.originator_conversation_id.as_ref().unwrap().as_str(), GIVEN);
    assert!(format!("{:?}", report.outcome).contains("UJ65WSR9W7"), "{report:?}");
}

fn asked_id(payout: &Payout) -> Option<String> {
    let query = payout.status_query(&initiator(), result_urls())?;
    body(&query)["OriginalConversationID"].as_str().map(str::to_owned)
}

async fn question(payout: &mut Payout, conversation: &str, now: Timestamp) {
    let query = payout.status_query(&initiator(), result_urls()).unwrap();
    let answer = answer(200, format!(r#"{{"ConversationID":"{conversation}","ResponseCode":"0"}}"#));
    let outcome: Result<Accepted> = Scripted::new([answer]).client().send(&query).await;
    payout.asked(&query, &outcome, now);
}

fn status(conversation: &str, status: &str, more: &str) -> TransactionStatusResult {
    let text = format!(
        r#"{{"Result":{{"ResultCode":0,"ConversationID":"{conversation}","ResultParameters":{{"ResultParameter":[
        {{"Key":"TransactionStatus","Value":"{status}"}}{more}]}}}}}}"#
    );
    TransactionStatusResult::parse(text.as_bytes()).unwrap()
}

const RECEIPT: &str = r#",{"Key":"ReceiptNo","Value":"UJ65WSR9W7"}"#;
const OURS: &str = r#",{"Key":"Amount","Value":10},{"Key":"CreditPartyName","Value":"254708374149 - WANJIKU MFANO"},
    {"Key":"FinalisedTime","Value":20261006120003}"#;

#[tokio::test(start_paused = true)]
async fn a_payment_whose_answer_was_lost_is_asked_for_by_the_ids_that_a_result_named() {
    let completed = format!("{RECEIPT}{OURS}");
    let masked = OURS.replace("254708374149", "2547*****149");
    let before = OURS.replace("20261006", "20261005");
    let undated = OURS.replace("FinalisedTime", "Unread");
    for (name, report, found, expected) in [
        ("completed", result(IDS, 0, MASKED), status("AG_Q", "Completed", &completed), "paid"),
        ("declined", result(IDS, 1, ""), status("AG_Q", "Declined", OURS), "failed"),
        ("cancelled", result(IDS, 1, ""), status("AG_Q", "Cancelled", OURS), "failed"),
        ("pending", result(IDS, 26, ""), status("AG_Q", "Pending Authorized", OURS), "unknown"),
        // It may be another payment's.
        ("declined, not of whom", result(IDS, 1, ""), status("AG_Q", "Declined", ""), "unknown"),
        ("completed, not of whom", result(IDS, 0, MASKED), status("AG_Q", "Completed", RECEIPT), "unknown"),
        (
            "completed, masked",
            result(IDS, 0, MASKED),
            status("AG_Q", "Completed", &format!("{RECEIPT}{masked}")),
            "unknown",
        ),
        (
            "completed, another amount",
            result(IDS, 0, MASKED),
            status("AG_Q", "Completed", &completed.replace(":10}", ":11}")),
            "unknown",
        ),
        ("declined, the day before", result(IDS, 1, ""), status("AG_Q", "Declined", &before), "unknown"),
        (
            "completed, the day before",
            result(IDS, 0, MASKED),
            status("AG_Q", "Completed", &format!("{RECEIPT}{before}")),
            "unknown",
        ),
        ("declined, not when", result(IDS, 1, ""), status("AG_Q", "Declined", &undated), "unknown"),
        ("the answer to another question", result(IDS, 0, MASKED), status("AG_X", "Completed", RECEIPT), "unknown"),
    ] {
        let mut payout = v1();
        note(&mut payout, lost().await, at(1));
        assert_eq!(asked_id(&payout), None, "{name}");
        assert!(matches!(payout.next_step(at(90_000)), NextStep::Wait(_)), "{name}");
        payout.take_result(&report, at(5)).unwrap();
        assert_eq!(
            (payout.next_step(at(5)), asked_id(&payout).as_deref()),
            (NextStep::AskStatus, Some(GIVEN)),
            "{name}"
        );
        question(&mut payout, "AG_Q", at(5)).await;
        let mut payout = stored(&payout);
        payout.take_status(&found, at(9)).unwrap();
        let state = match payout.state() {
            PayoutState::Paid(paid) => {
                assert_eq!(paid.receipt.as_str(), "UJ65WSR9W7");
                "paid"
            }
            PayoutState::Failed(_) => "failed",
            PayoutState::Unknown => "unknown",
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(state, expected, "{name}");
    }
}

/// Two payouts share a URL, which they must not: what is reported of each is asked for, and neither is believed.
#[tokio::test(start_paused = true)]
async fn ids_that_were_reported_are_asked_for_in_turn() {
    let mut payout = v1();
    note(&mut payout, lost().await, at(1));
    payout.take_result(&result(IDS, 1, ""), at(2)).unwrap();
    payout.take_result(&result(OTHER_IDS, 0, MASKED), at(3)).unwrap();
    let mut asked = Vec::new();
    for turn in 0..4 {
        asked.push(asked_id(&payout).unwrap());
        question(&mut payout, "AG_Q", at(10 + turn)).await;
    }
    assert_eq!(asked, [GIVEN, "29115-34620561-2", GIVEN, "29115-34620561-2"]);
    assert_eq!(*payout.state(), PayoutState::Unknown);
}

/// The answer names other ids than a result at the payout's own URL did.
#[tokio::test(start_paused = true)]
async fn a_result_of_another_payment_at_its_url_is_seen_when_the_answer_comes() {
    let other = |receipt: &str| Contradiction::OtherPayment(receipt.parse().ok());
    for (name, report, receipt) in
        [("paid", result(OTHER_IDS, 0, MASKED), "UJ65WSR9W7"), ("failed", result(OTHER_IDS, 1, ""), "")]
    {
        let mut payout = v1();
        payout.take_result(&report, at(1)).unwrap();
        note(&mut payout, answered().await, at(2));
        assert_eq!(*payout.state(), PayoutState::Accepted, "{name}");
        assert_eq!(payout.contradictions(), [other(receipt)], "{name}");
        assert_eq!(payout.unplaced().len(), 1, "{name}");
        assert_eq!(asked_id(&payout).as_deref(), Some(GIVEN), "{name}");
    }
    // One that has amount and recipient right was believed, and the answer says that it was another payment's.
    let mut payout = v1();
    payout.take_result(&result(OTHER_IDS, 0, WHOLE), at(1)).unwrap();
    assert!(matches!(payout.state(), PayoutState::Paid(_)));
    note(&mut payout, answered().await, at(2));
    assert_eq!(payout.contradictions(), [other("UJ65WSR9W7")]);
    assert_eq!(*payout.state(), PayoutState::Accepted, "what became of this one is not known");
}

/// The answer to a question by an id that turned out to be another payment's.
#[tokio::test(start_paused = true)]
async fn a_question_by_an_id_that_is_not_its_own_settles_nothing() {
    let mut payout = v1();
    payout.take_result(&result(OTHER_IDS, 1, ""), at(1)).unwrap();
    question(&mut payout, "AG_Q", at(2)).await;
    note(&mut payout, answered().await, at(3));
    let before = payout.clone();
    let of_other = format!(r#"{RECEIPT}{OURS},{{"Key":"OriginatorConversationID","Value":"29115-34620561-2"}}"#);
    assert!(payout.take_status(&status("AG_Q", "Completed", &of_other), at(4)).is_err());
    assert_eq!(payout, before);
}

#[test]
fn what_is_kept_of_a_flood_is_bounded() {
    let mut payout = v1();
    for number in 0..100 {
        let ids = format!(r#""OriginatorConversationID":"29115-34620561-{number}","#);
        payout.take_result(&result(&ids, 1, ""), at(1)).unwrap();
    }
    assert_eq!(payout.unplaced().len(), 8);
}

/// A result that names two amounts and two recipients: one of each is another payment's.
#[test]
fn a_result_that_contradicts_itself_is_no_payment() {
    let twice =
        r#",{"Key":"TransactionAmount","Value":1000},{"Key":"ReceiverPartyPublicName","Value":"254700000001 - B"}"#;
    let own = r#""OriginatorConversationID":"own-id","ConversationID":"AG_C","#;
    for (name, parameters) in [
        ("two of each", format!("{WHOLE}{twice}")),
        ("two amounts", format!(r#"{WHOLE},{{"Key":"TransactionAmount","Value":1000}}"#)),
        ("two recipients", format!(r#"{WHOLE},{{"Key":"ReceiverPartyPublicName","Value":"254700000001 - B"}}"#)),
        ("an unreadable amount", WHOLE.replace("10}", "\"ten\"}")),
    ] {
        let mut payout = Payout::new(payment().with_id("own-id".parse().unwrap()));
        drop(payout.begin(at(0)).unwrap());
        payout.take_result(&result(own, 0, &parameters), at(2)).unwrap();
        assert_eq!(*payout.state(), PayoutState::Unknown, "{name}");
        assert_eq!(payout.next_step(at(2)), NextStep::AskStatus, "{name}");
        assert_eq!(payout.contradictions(), [Contradiction::OtherPayment("UJ65WSR9W7".parse().ok())], "{name}");
        // What is right after all settles it.
        payout.take_result(&result(own, 0, WHOLE), at(3)).unwrap();
        assert!(
            matches!(payout.state(), PayoutState::Paid(paid) if paid.amount == Some(Kes::from_cents(1_000))),
            "{name}"
        );
    }
}

#[test]
fn a_transaction_that_contradicts_itself_is_no_payment() {
    let own = r#",{"Key":"OriginatorConversationID","Value":"own-id"}"#;
    for (name, more) in [
        ("two amounts", r#",{"Key":"Amount","Value":10},{"Key":"Amount","Value":1000}"#),
        (
            "two recipients",
            r#",{"Key":"CreditPartyName","Value":"254708374149 - A"},{"Key":"CreditPartyName","Value":"254700000001 - B"}"#,
        ),
        ("an unreadable amount", r#",{"Key":"Amount","Value":"ten"}"#),
    ] {
        for word in ["Completed", "Declined"] {
            let mut payout = Payout::new(payment().with_id("own-id".parse().unwrap()));
            drop(payout.begin(at(0)).unwrap());
            payout.take_status(&status("AG_Q", word, &format!("{RECEIPT}{own}{more}")), at(2)).unwrap();
            assert_eq!(*payout.state(), PayoutState::Unknown, "{name}, {word}");
            assert!(matches!(payout.contradictions(), [Contradiction::OtherPayment(_)]), "{name}, {word}");
        }
    }
}
