//! The life cycle of a payout: histories of events, and what it says after them.
//!
//! Times are in seconds after noon. Every payout is written to JSON and read back after each event, as in an application.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use daraja::{
    Accepted, B2cAccepted, B2cPayment, B2cPurpose, B2cReason, B2cResult, Error, NextStep, Operation, Payout,
    PayoutState, QueueTimeout, Result, RetryPolicy, Shillings, Timestamp, TransactionStatusResult,
    b2c::{IdDocument, IdKind},
    payout::Contradiction,
    transport::TransportErrorKind::{Connect, Interrupted},
};
use serde_json::Value;

use crate::{
    b2c::{ACCEPTED, ID, payment},
    support::{CREDENTIAL, Scripted, Step, answer, body, initiator, note, noted, refusal, result_urls},
};

const CONVERSATION: &str = "AG_20261006_20106e9209f64bebd05b";
const QUESTION: &str = "AG_20261006_3333b2c3d4e5f6a7b8c9";

fn at(seconds: i64) -> Timestamp {
    let noon: DateTime<Utc> = "2026-10-06T09:00:00Z".parse().unwrap();
    (noon + TimeDelta::seconds(seconds)).try_into().unwrap()
}

/// What one `send` met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Met {
    /// An acceptance, with both ids.
    Ack,
    /// An acceptance with no id in it.
    BareAck,
    /// No answer.
    Loss,
    /// No answer, and then "duplicate" to the client's own repeat.
    LossThenDuplicate,
    /// "Duplicate" as the very first answer.
    Duplicate,
    Throttle,
    /// A throttle, with so many seconds to wait.
    ThrottleFor(&'static str),
    NoConnection,
    NamedRefusal,
}
use Met::{Ack, BareAck, Duplicate, Loss, LossThenDuplicate, NamedRefusal, NoConnection, Throttle, ThrottleFor};

async fn send<O: Operation>(operation: &O, met: Met) -> Result<O::Response> {
    let duplicate = || refusal(500, "500.002.1001", "Duplicate OriginatorConversationID.");
    let steps = match met {
        Ack => vec![answer(200, ACCEPTED)],
        BareAck => vec![answer(200, r#"{"ResponseCode":"0"}"#)],
        Loss => vec![Step::Fail(Interrupted)],
        LossThenDuplicate => vec![Step::Fail(Interrupted), duplicate()],
        Duplicate => vec![duplicate()],
        Throttle => vec![answer(429, "")],
        ThrottleFor(seconds) => vec![Step::AnswerWith(429, ("retry-after", seconds), String::new())],
        NoConnection => vec![Step::Fail(Connect)],
        NamedRefusal => vec![refusal(400, "400.002.02", "Bad Request - Invalid Remarks")],
    };
    let policy = RetryPolicy::default().attempts(steps.len().try_into().unwrap());
    let scripted = Scripted::new(steps);
    scripted.builder().retry(policy).build().unwrap().send(operation).await
}

#[derive(Debug, Clone)]
enum Do {
    Begin,
    /// `begin` is refused.
    MayNotBegin,
    Sent(Met),
    /// The status query was sent.
    Asked(Met),
    Told(String),
    ToldOfAnother(String),
    Status(String),
    StatusOfAnother(String),
    TimedOut(&'static str),
    TimedOutOfAnother(&'static str),
}
use Do::{Asked, Begin, MayNotBegin, Sent, Status, StatusOfAnother, TimedOut, TimedOutOfAnother, Told, ToldOfAnother};

/// A result with these ids, as members of the object, and these parameters, as members of a list.
fn result(ids: &str, code: &str, parameters: &str) -> String {
    format!(r#"{{"Result":{{{ids}"ResultCode":{code},"ResultParameters":{{"ResultParameter":[{parameters}]}}}}}}"#)
}

const OURS: &str = r#""OriginatorConversationID":"supplier-7-invoice-1042","#;
const THEIRS: &str = r#""ConversationID":"AG_20261006_20106e9209f64bebd05b","#;
const ANOTHER: &str = r#""OriginatorConversationID":"supplier-8-invoice-1043","ConversationID":"AG_2","#;
const TO_WHOM: &str = r#"{"Key":"ReceiverPartyPublicName","Value":"254708374149 - WANJIKU MFANO"}"#;

fn money(amount: &str, receipt: &str) -> String {
    format!(
        r#"{{"Key":"TransactionAmount","Value":{amount}}},{{"Key":"TransactionReceipt","Value":"{receipt}"}},{TO_WHOM}"#
    )
}

fn paid() -> Do {
    paid_under("UJ65WSR9W7")
}

fn paid_under(receipt: &str) -> Do {
    Told(result(OURS, "0", &money("10", receipt)))
}

fn code(code: &str) -> Do {
    Told(result(OURS, code, ""))
}

/// The answer to our question about the transaction.
fn status(status: &str, more: &str) -> Do {
    let question = format!(r#""ConversationID":"{QUESTION}","#);
    Status(result(&question, "0", &format!(r#"{{"Key":"TransactionStatus","Value":"{status}"}}{more}"#)))
}

/// The same, which is known to be about our payment by its id alone.
fn status_of(id: &str, status: &str, more: &str) -> String {
    let id = format!(r#"{{"Key":"OriginatorConversationID","Value":"{id}"}}"#);
    result("", "0", &format!(r#"{id},{{"Key":"TransactionStatus","Value":"{status}"}}{more}"#))
}

const RECEIPT: &str = r#",{"Key":"ReceiptNo","Value":"UJ65WSR9W7"}"#;

fn pending() -> Do {
    Status(status_of(ID, "Pending Authorized", ""))
}

/// Applies one event.
async fn apply(payout: &mut Payout, payment: &B2cPayment, seconds: i64, event: &Do) {
    let now = at(seconds);
    let before = payout.clone();
    match event {
        Begin => drop(payout.begin(now).unwrap()),
        MayNotBegin => {
            let error = payout.begin(now).unwrap_err();
            assert!(error.reason().starts_with("sending is not its next safe step"), "{error}");
            assert_eq!(*payout, before);
        }
        Sent(met) => note(payout, send(payment, *met).await, now),
        Asked(met) => {
            let query = payout.status_query(&initiator(), result_urls()).unwrap();
            let outcome: Result<Accepted> = match met {
                Ack => {
                    Scripted::new([answer(200, format!(r#"{{"ConversationID":"{QUESTION}","ResponseCode":"0"}}"#))])
                        .client()
                        .send(&query)
                        .await
                }
                other => send(&query, *other).await,
            };
            payout.asked(&query, &outcome, now);
        }
        Told(text) => payout.take_result(&B2cResult::parse(text.as_bytes()).unwrap(), now).unwrap(),
        ToldOfAnother(text) => {
            assert!(payout.take_result(&B2cResult::parse(text.as_bytes()).unwrap(), now).is_err());
            assert_eq!(*payout, before);
        }
        Status(text) => payout.take_status(&TransactionStatusResult::parse(text.as_bytes()).unwrap(), now).unwrap(),
        StatusOfAnother(text) => {
            assert!(payout.take_status(&TransactionStatusResult::parse(text.as_bytes()).unwrap(), now).is_err());
            assert_eq!(*payout, before);
        }
        TimedOut(text) => payout.take_timeout(&QueueTimeout::parse(text.as_bytes()).unwrap(), now).unwrap(),
        TimedOutOfAnother(text) => {
            assert!(payout.take_timeout(&QueueTimeout::parse(text.as_bytes()).unwrap(), now).is_err());
            assert_eq!(*payout, before);
        }
    }
}

/// Through the database and back.
fn stored(payout: &Payout) -> Payout {
    let row = serde_json::to_string(payout).unwrap();
    for hidden in [CREDENTIAL, "https:", "8c1f", "shop-api"] {
        assert!(!row.contains(hidden), "{row}");
    }
    let read: Payout = serde_json::from_str(&row).unwrap();
    assert_eq!(read, *payout);
    assert_eq!(serde_json::from_value::<Payout>(serde_json::to_value(payout).unwrap()).unwrap(), *payout);
    read
}

fn word(state: &PayoutState) -> &'static str {
    match state {
        PayoutState::Created => "created",
        PayoutState::Sending => "sending",
        PayoutState::Accepted => "accepted",
        PayoutState::Unknown => "unknown",
        PayoutState::Refused(_) => "refused",
        PayoutState::Paid(_) => "paid",
        PayoutState::Failed(_) => "failed",
        _ => "another",
    }
}

/// What it says at the end.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Next {
    Send,
    Again,
    Ask,
    Wait(i64),
    Done,
}
use Next::{Again, Ask, Done, Send, Wait};

fn step(next: Next) -> NextStep {
    match next {
        Send => NextStep::Send,
        Again => NextStep::SendAgainWithSameId,
        Ask => NextStep::AskStatus,
        Wait(seconds) => NextStep::Wait(at(seconds)),
        Done => NextStep::Done,
    }
}

/// What happened and when; when it is looked at; state and next step then.
type Row = (&'static str, Vec<(i64, Do)>, i64, &'static str, Next);

async fn check_of(payment: &B2cPayment, rows: Vec<Row>) {
    for (name, history, now, state, next) in rows {
        let mut payout = Payout::new(payment.clone());
        for (seconds, event) in &history {
            apply(&mut payout, payment, *seconds, event).await;
            payout = stored(&payout);
        }
        assert_eq!((word(payout.state()), payout.next_step(at(now))), (state, step(next)), "{name}");
    }
}

async fn check(rows: Vec<Row>) {
    check_of(&payment(), rows).await;
}

#[tokio::test(start_paused = true)]
async fn sending_is_safe_until_something_may_have_arrived() {
    check(vec![
        ("born", vec![], 0, "created", Send),
        ("being sent", vec![(0, Begin)], 0, "sending", Wait(120)),
        ("being sent, still", vec![(0, Begin), (119, MayNotBegin)], 119, "sending", Wait(120)),
        ("died while sending", vec![(0, Begin)], 120, "sending", Again),
        ("died while sending, found late", vec![(0, Begin)], 600, "sending", Ask),
        ("died again", vec![(0, Begin), (120, Begin)], 240, "sending", Again),
        ("throttled", vec![(0, Begin), (10, Sent(Throttle))], 10, "created", Wait(25)),
        ("throttled, later", vec![(0, Begin), (10, Sent(Throttle))], 25, "created", Send),
        ("throttled for long", vec![(0, Begin), (10, Sent(ThrottleFor("90")))], 10, "created", Wait(100)),
        ("throttled for ever", vec![(0, Begin), (10, Sent(ThrottleFor("99999")))], 10, "created", Wait(3_610)),
        ("never connected, days later", vec![(0, Begin), (10, Sent(NoConnection))], 400_000, "created", Send),
        (
            "never connected, twice: the pause doubles",
            vec![(0, Begin), (10, Sent(NoConnection)), (25, Begin), (30, Sent(NoConnection))],
            30,
            "created",
            Wait(60),
        ),
        (
            "the window counts from the sending that may have arrived",
            vec![(0, Begin), (10, Sent(NoConnection)), (5_000, Begin), (5_010, Sent(Loss))],
            5_599,
            "unknown",
            Again,
        ),
        ("refused by name", vec![(0, Begin), (10, Sent(NamedRefusal))], 10, "refused", Done),
        ("refused, for good", vec![(0, Begin), (10, Sent(NamedRefusal)), (99, MayNotBegin)], 999_999, "refused", Done),
        ("accepted", vec![(0, Begin), (5, Sent(Ack))], 5, "accepted", Wait(125)),
        ("accepted, no result", vec![(0, Begin), (5, Sent(Ack)), (130, MayNotBegin)], 125, "accepted", Ask),
        ("accepted without ids", vec![(0, Begin), (5, Sent(BareAck))], 125, "accepted", Ask),
        ("accepted before", vec![(0, Begin), (5, Sent(LossThenDuplicate))], 125, "accepted", Ask),
        // Two programs that had the same row.
        (
            "refused, and another sending is accepted",
            vec![(0, Begin), (5, Sent(NamedRefusal)), (6, Sent(Ack))],
            6,
            "accepted",
            Wait(126),
        ),
        (
            "refused, and another sending is throttled",
            vec![(0, Begin), (5, Sent(NamedRefusal)), (6, Sent(Throttle))],
            6,
            "refused",
            Done,
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn unknown_stays_unknown_whatever_follows() {
    let lost = |more: Vec<(i64, Do)>| [vec![(0, Begin), (10, Sent(Loss))], more].concat();
    check(vec![
        ("lost", lost(vec![(20, MayNotBegin)]), 10, "unknown", Wait(25)),
        ("lost, a little later", lost(vec![]), 25, "unknown", Again),
        ("lost within the second", vec![(0, Begin), (0, Sent(Loss))], 15, "unknown", Again),
        ("lost, the window's last second", lost(vec![]), 599, "unknown", Again),
        ("lost, the window is over", lost(vec![(600, MayNotBegin)]), 600, "unknown", Ask),
        ("lost, then throttled", lost(vec![(25, Begin), (30, Sent(Throttle))]), 60, "unknown", Again),
        ("lost, then throttled, late", lost(vec![(25, Begin), (30, Sent(Throttle))]), 600, "unknown", Ask),
        ("lost, then never connected", lost(vec![(25, Begin), (30, Sent(NoConnection))]), 60, "unknown", Again),
        ("lost, then refused by name", lost(vec![(25, Begin), (30, Sent(NamedRefusal))]), 60, "unknown", Again),
        ("lost, then refused, late", lost(vec![(25, Begin), (30, Sent(NamedRefusal))]), 9_999, "unknown", Ask),
        ("died, then refused", vec![(0, Begin), (120, Begin), (121, Sent(NamedRefusal))], 136, "unknown", Again),
        ("died, then throttled", vec![(0, Begin), (120, Begin), (121, Sent(Throttle))], 136, "unknown", Again),
        ("lost, then accepted", lost(vec![(25, Begin), (30, Sent(Ack))]), 30, "accepted", Wait(150)),
        ("lost, then a duplicate", lost(vec![(25, Begin), (30, Sent(Duplicate))]), 30, "unknown", Ask),
        ("a duplicate at first", vec![(0, Begin), (5, Sent(Duplicate)), (6, MayNotBegin)], 5, "unknown", Ask),
        ("a duplicate, then an error", vec![(0, Begin), (5, Sent(Duplicate)), (6, Sent(Throttle))], 36, "unknown", Ask),
        ("accepted, then a throttle", vec![(0, Begin), (5, Sent(Ack)), (6, Sent(Throttle))], 999, "unknown", Ask),
        ("accepted, then a refusal", vec![(0, Begin), (5, Sent(Ack)), (6, Sent(NamedRefusal))], 999, "unknown", Ask),
        ("accepted, then lost", vec![(0, Begin), (5, Sent(Ack)), (6, Sent(Loss))], 60, "unknown", Ask),
        ("sent without begin, lost", vec![(5, Sent(Loss))], 20, "unknown", Ask),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_goes_back_never_makes_sending_again_safe() {
    let lost = |more: Vec<(i64, Do)>| [vec![(0, Begin), (10, Sent(Loss))], more].concat();
    check(vec![
        ("a minute back", lost(vec![]), -60, "unknown", Ask),
        ("two hours back", lost(vec![(-7_200, MayNotBegin)]), -7_200, "unknown", Ask),
        ("two hours back, while sending", vec![(0, Begin)], -7_200, "sending", Ask),
        // The clock was a day ahead at first. When it passes that time again, the true age is a day.
        ("put right, and asked", lost(vec![(-86_000, Asked(Ack)), (-85_000, Asked(Ack))]), 100, "unknown", Ask),
        ("put right while sending", vec![(0, Begin), (-86_390, Sent(Loss))], 100, "unknown", Ask),
        ("put right while sending: the pause is made", vec![(0, Begin), (-60, Sent(Loss))], -60, "unknown", Wait(-45)),
        (
            "put right, and sending again was begun before",
            vec![(0, Begin), (120, Begin), (-86_000, Sent(Throttle))],
            130,
            "unknown",
            Ask,
        ),
        ("put right, and a queue timeout", lost(vec![(-86_000, TimedOut("{}"))]), 100, "unknown", Ask),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_window_can_be_set() {
    for (window, age, expected) in [
        (Duration::ZERO, 25, Ask),
        (Duration::from_secs(60), 59, Again),
        (Duration::from_secs(60), 60, Ask),
        (Duration::from_secs(7_200), 7_199, Again),
        (Duration::MAX, 100_000_000, Again),
    ] {
        let mut payout = Payout::new(payment()).send_again_within(window);
        apply(&mut payout, &payment(), 0, &Begin).await;
        apply(&mut payout, &payment(), 5, &Sent(Loss)).await;
        assert_eq!(stored(&payout).next_step(at(age)), step(expected), "{window:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn questions_are_asked_with_growing_pauses() {
    let asked = |times: &[i64]| {
        let asks = times.iter().map(|time| (*time, Asked(Ack)));
        [(0, Begin), (5, Sent(Ack))].into_iter().chain(asks).collect::<Vec<_>>()
    };
    check(vec![
        ("once", asked(&[125]), 125, "accepted", Wait(245)),
        ("twice", asked(&[125, 245]), 245, "accepted", Wait(485)),
        ("thrice", asked(&[125, 245, 485]), 485, "accepted", Wait(965)),
        ("ten times", asked(&[0; 10]), 0, "accepted", Wait(3_600)),
        ("fifty times, and still it asks", asked(&[0; 50]), 3_600, "accepted", Ask),
        ("in vain", vec![(0, Begin), (5, Sent(Ack)), (125, Asked(NoConnection))], 125, "accepted", Wait(245)),
        (
            "told to wait",
            vec![(0, Begin), (5, Sent(Ack)), (125, Asked(ThrottleFor("900")))],
            125,
            "accepted",
            Wait(1_025),
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_result_settles_only_what_it_proves() {
    let sent = |more: Vec<(i64, Do)>| [vec![(0, Begin), (5, Sent(Ack))], more].concat();
    check(vec![
        ("paid", sent(vec![(9, paid()), (10, MayNotBegin)]), 9, "paid", Done),
        (
            "paid, told by the gateway's id",
            sent(vec![(9, Told(result(THEIRS, "0", &money("10", "UJ65WSR9W7"))))]),
            9,
            "paid",
            Done,
        ),
        ("paid before the ack", vec![(0, Begin), (1, paid()), (5, Sent(Ack))], 5, "paid", Done),
        ("paid before the ack is lost", vec![(0, Begin), (1, paid()), (5, Sent(Loss))], 5, "paid", Done),
        ("paid before a stray error", vec![(0, Begin), (1, paid()), (5, Sent(NamedRefusal))], 5, "paid", Done),
        ("paid after all was lost", vec![(0, Begin), (10, Sent(Loss)), (90_000, paid())], 90_000, "paid", Done),
        (
            "paid, without amount and name",
            sent(vec![(9, Told(result(OURS, "0", &money("null", "UJ65WSR9W7"))))]),
            9,
            "paid",
            Done,
        ),
        ("failed", sent(vec![(9, code("1")), (10, MayNotBegin)]), 9, "failed", Done),
        ("failed before the ack", vec![(0, Begin), (1, code("2001")), (5, Sent(Ack))], 5, "failed", Done),
        // The id was used before: it may be the failure of another payment.
        ("failed before a duplicate", vec![(0, Begin), (1, code("1")), (5, Sent(Duplicate))], 5, "unknown", Ask),
        ("15 settles nothing", sent(vec![(9, code("15")), (10, MayNotBegin)]), 9, "unknown", Ask),
        ("15 while sending", vec![(0, Begin), (1, code("15"))], 1, "unknown", Ask),
        ("15, then a refusal", vec![(0, Begin), (1, code("15")), (5, Sent(NamedRefusal))], 30, "unknown", Ask),
        ("15 after a loss ends the sending", vec![(0, Begin), (5, Sent(Loss)), (9, code("15"))], 30, "unknown", Ask),
        ("17 settles nothing", sent(vec![(9, code("17"))]), 9, "unknown", Ask),
        ("25 settles nothing", sent(vec![(9, code("25"))]), 9, "unknown", Ask),
        ("26 settles nothing", sent(vec![(9, code("26"))]), 9, "unknown", Ask),
        ("2032 settles nothing", sent(vec![(9, code("2032"))]), 9, "unknown", Ask),
        ("zero without receipt", sent(vec![(9, code("0"))]), 9, "unknown", Ask),
        (
            "asked, then 15 again: no hurry",
            sent(vec![(9, code("15")), (10, Asked(Ack)), (11, code("15"))]),
            11,
            "unknown",
            Wait(130),
        ),
        ("15, then paid", sent(vec![(9, code("15")), (20, paid())]), 20, "paid", Done),
        (
            "of another id",
            sent(vec![(9, ToldOfAnother(result(ANOTHER, "0", &money("10", "UJ65WSR9W7"))))]),
            9,
            "accepted",
            Wait(125),
        ),
        ("failure of another id", sent(vec![(9, ToldOfAnother(result(ANOTHER, "1", "")))]), 9, "accepted", Wait(125)),
        (
            "of no id",
            sent(vec![(9, ToldOfAnother(result("", "0", &money("10", "UJ65WSR9W7"))))]),
            9,
            "accepted",
            Wait(125),
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_status_settles_only_what_it_proves() {
    let asked = |more: Vec<(i64, Do)>| [vec![(0, Begin), (5, Sent(Ack)), (125, Asked(Ack))], more].concat();
    let amount = |amount: &str| format!(r#"{RECEIPT},{{"Key":"Amount","Value":{amount}}}"#);
    let credit = |number: &str| format!(r#"{RECEIPT},{{"Key":"CreditPartyName","Value":"{number} - X"}}"#);
    let question = format!(r#""ConversationID":"{QUESTION}","#);
    check(vec![
        ("completed", asked(vec![(130, status("Completed", RECEIPT))]), 130, "paid", Done),
        (
            "completed, ours by its id",
            asked(vec![(130, Status(status_of(ID, "Completed", RECEIPT)))]),
            130,
            "paid",
            Done,
        ),
        (
            "of another payment, and not the answer to our question",
            asked(vec![(130, StatusOfAnother(status_of("supplier-8-invoice-1043", "Completed", RECEIPT)))]),
            130,
            "accepted",
            Wait(245),
        ),
        (
            "without an id, and not the answer to our question",
            vec![(0, Begin), (5, Sent(Ack)), (9, StatusOfAnother(result("", "0", RECEIPT.trim_start_matches(','))))],
            125,
            "accepted",
            Ask,
        ),
        ("completed, no receipt", asked(vec![(130, status("Completed", ""))]), 130, "unknown", Ask),
        ("declined", asked(vec![(130, status("Declined", ""))]), 130, "failed", Done),
        ("declined, with a receipt", asked(vec![(130, status("Declined", RECEIPT))]), 130, "failed", Done),
        ("cancelled", asked(vec![(130, status("Cancelled", ""))]), 130, "failed", Done),
        ("expired", asked(vec![(130, status("Expired", ""))]), 130, "failed", Done),
        ("pending", asked(vec![(130, status("Pending Authorized", ""))]), 130, "accepted", Wait(245)),
        ("pending, later", asked(vec![(130, status("Initiated", ""))]), 245, "accepted", Ask),
        ("a word that nobody knows", asked(vec![(130, status("Reversed", RECEIPT))]), 245, "accepted", Ask),
        ("nothing but a zero", asked(vec![(130, Status(result(&question, "0", "")))]), 245, "accepted", Ask),
        ("not found", asked(vec![(130, Status(result(&question, "2032", "")))]), 130, "accepted", Wait(245)),
        ("the question failed", asked(vec![(130, Status(result(&question, "2001", "")))]), 245, "accepted", Ask),
        ("the right amount", asked(vec![(130, status("Completed", &amount("\"10.00\"")))]), 130, "paid", Done),
        ("another amount", asked(vec![(130, status("Completed", &amount("11")))]), 130, "unknown", Ask),
        ("another recipient", asked(vec![(130, status("Completed", &credit("254700000001")))]), 130, "unknown", Ask),
        ("declined, of another amount", asked(vec![(130, status("Declined", &amount("11")))]), 130, "unknown", Ask),
        (
            "declined, of another recipient",
            asked(vec![(130, status("Declined", &credit("254700000001")))]),
            130,
            "unknown",
            Ask,
        ),
        ("a masked recipient", asked(vec![(130, status("Completed", &credit("2547*****149")))]), 130, "paid", Done),
        // A lost send, and Daraja knows the payment: it is not sent again, and no error says that it was not carried out.
        ("lost, then pending", vec![(0, Begin), (5, Sent(Loss)), (9, pending())], 60, "unknown", Ask),
        ("pending while sending", vec![(0, Begin), (9, pending())], 9, "unknown", Wait(129)),
        ("pending, then a throttle", vec![(0, Begin), (9, pending()), (10, Sent(Throttle))], 999, "unknown", Ask),
        ("pending, then a refusal", vec![(0, Begin), (9, pending()), (10, Sent(NamedRefusal))], 999, "unknown", Ask),
        ("pending before it was ever sent", vec![(9, pending()), (10, MayNotBegin)], 999, "unknown", Ask),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_timeout_is_no_failure() {
    const OWN: &str = r#"{"OriginatorConversationID":"supplier-7-invoice-1042","CommandID":"BusinessPayment"}"#;
    const ENVELOPE: &str = r#"{"Result":{"ResultCode":1,"OriginatorConversationID":"supplier-7-invoice-1042"}}"#;
    const OTHER: &str = r#"{"OriginatorConversationID":"supplier-8-invoice-1043"}"#;
    check(vec![
        ("of our id", vec![(0, Begin), (5, Sent(Ack)), (9, TimedOut(OWN)), (10, MayNotBegin)], 9, "unknown", Ask),
        ("with a code", vec![(0, Begin), (5, Sent(Ack)), (9, TimedOut(ENVELOPE))], 9, "unknown", Ask),
        ("without ids", vec![(0, Begin), (5, Sent(Ack)), (9, TimedOut("{}"))], 9, "unknown", Ask),
        ("of another", vec![(0, Begin), (5, Sent(Ack)), (9, TimedOutOfAnother(OTHER))], 9, "accepted", Wait(125)),
        ("then a refusal", vec![(0, Begin), (9, TimedOut(OWN)), (10, Sent(NamedRefusal))], 999, "unknown", Ask),
        ("then a throttle", vec![(0, Begin), (9, TimedOut(OWN)), (10, Sent(Throttle))], 999, "unknown", Ask),
        ("then paid", vec![(0, Begin), (5, Sent(Ack)), (9, TimedOut(OWN)), (20, paid())], 20, "paid", Done),
        ("after it was paid", vec![(0, Begin), (5, paid()), (9, TimedOut(OWN))], 20, "paid", Done),
        ("after it failed", vec![(0, Begin), (2, Sent(Ack)), (5, code("1")), (9, TimedOut(OWN))], 20, "failed", Done),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn version_1_is_sent_once_and_known_by_the_id_it_was_given() {
    const GIVEN: &str = r#"{"ConversationID":"AG_20261006_20106e9209f64bebd05b"}"#;
    const AMOUNT: &str = r#"{"Key":"TransactionAmount","Value":10}"#;
    const RECEIPT_TOO: &str = r#",{"Key":"TransactionReceipt","Value":"UJ65WSR9W7"}"#;
    let given = || result(r#""OriginatorConversationID":"supplier-7-invoice-1042","#, "0", &money("10", "UJ65WSR9W7"));
    let other = || result(ANOTHER, "0", &money("10", "UJ65WSR9W7"));
    // The ack of the test gives it the id `supplier-7-invoice-1042`; its own is another one, which Daraja never saw.
    let payment = payment().with_id("never-told".parse().unwrap()).v1();
    check_of(
        &payment,
        vec![
            ("born", vec![], 0, "created", Send),
            ("died while sending", vec![(0, Begin)], 120, "sending", Wait(3_720)),
            ("lost", vec![(0, Begin), (5, Sent(Loss)), (60, MayNotBegin)], 60, "unknown", Wait(3_660)),
            ("throttled", vec![(0, Begin), (5, Sent(Throttle))], 20, "created", Send),
            (
                "throttled, then lost",
                vec![(0, Begin), (5, Sent(Throttle)), (20, Begin), (25, Sent(Loss))],
                60,
                "unknown",
                Wait(3_660),
            ),
            ("accepted", vec![(0, Begin), (5, Sent(Ack))], 125, "accepted", Ask),
            (
                "accepted, then completed",
                vec![(0, Begin), (5, Sent(Ack)), (125, Asked(Ack)), (130, status("Completed", RECEIPT))],
                130,
                "paid",
                Done,
            ),
            ("paid under the given id", vec![(0, Begin), (5, Sent(Ack)), (9, Told(given()))], 9, "paid", Done),
            (
                "told of another",
                vec![(0, Begin), (5, Sent(Ack)), (9, ToldOfAnother(other()))],
                9,
                "accepted",
                Wait(125),
            ),
            (
                "the ack is lost, a failure at the URL proves nothing",
                vec![(0, Begin), (5, Sent(Loss)), (9, code("1"))],
                9,
                "unknown",
                Ask,
            ),
            ("the ack is lost, the URL tells", vec![(0, Begin), (5, Sent(Loss)), (9, Told(other()))], 9, "paid", Done),
            (
                "the ack is lost, the URL does not tell whom",
                vec![(0, Begin), (5, Sent(Loss)), (9, Told(result(ANOTHER, "0", &format!("{AMOUNT}{RECEIPT_TOO}"))))],
                9,
                "unknown",
                Ask,
            ),
            (
                "the ack is lost, the URL does not tell how much",
                vec![(0, Begin), (5, Sent(Loss)), (9, Told(result(ANOTHER, "0", &format!("{TO_WHOM}{RECEIPT_TOO}"))))],
                9,
                "unknown",
                Ask,
            ),
            ("a timeout of the given id", vec![(0, Begin), (5, Sent(Ack)), (9, TimedOut(GIVEN))], 9, "unknown", Ask),
            // Nothing was sent, so nothing can have been told about it.
            (
                "refused, and told of another",
                vec![(0, Begin), (5, Sent(NamedRefusal)), (9, ToldOfAnother(other()))],
                9,
                "refused",
                Done,
            ),
            ("never sent, and told of another", vec![(9, ToldOfAnother(other()))], 9, "created", Send),
            (
                "never sent, and a failure of another",
                vec![(9, ToldOfAnother(result(ANOTHER, "1", "")))],
                9,
                "created",
                Send,
            ),
        ],
    )
    .await;
    assert!(Payout::new(payment).status_query(&initiator(), result_urls()).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_payment_with_id_check_is_sent_once_and_asked_for_by_its_own_id() {
    let document = IdDocument::new(IdKind::NationalId, "12345678").unwrap();
    check_of(
        &payment().with_id_check(document),
        vec![
            ("died while sending", vec![(0, Begin), (120, MayNotBegin)], 120, "sending", Ask),
            ("lost", vec![(0, Begin), (5, Sent(Loss))], 20, "unknown", Ask),
            ("a duplicate at first", vec![(0, Begin), (5, Sent(Duplicate))], 5, "unknown", Ask),
            ("throttled", vec![(0, Begin), (5, Sent(Throttle))], 20, "created", Send),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn two_things_that_cannot_both_be_true_are_kept_for_a_person_to_see() {
    use Contradiction::{FailureAfterPayment, OtherPayment, PaidAfterFailure, SecondReceipt};
    let second = || SecondReceipt("UJ65WSR9W8".parse().unwrap());
    let other = || OtherPayment("UJ65WSR9W7".parse().ok());
    let told = |amount: &str| Told(result(OURS, "0", &money(amount, "UJ65WSR9W7")));
    let to_another = || {
        let parameters = money("10", "UJ65WSR9W7").replace("254708374149", "254700000001");
        Told(result(OURS, "0", &parameters))
    };
    let declined = || Status(status_of(ID, "Declined", ""));
    let completed = || Status(status_of(ID, "Completed", RECEIPT));
    let rows: Vec<(&str, Vec<Do>, &str, Vec<Contradiction>)> = vec![
        ("paid twice over, the same", vec![paid(), paid()], "paid", vec![]),
        ("paid, and the status agrees", vec![paid(), completed()], "paid", vec![]),
        ("failed, then paid", vec![code("1"), paid()], "paid", vec![PaidAfterFailure]),
        ("failed, then completed", vec![code("1"), completed()], "paid", vec![PaidAfterFailure]),
        ("declined, then paid", vec![declined(), paid()], "paid", vec![PaidAfterFailure]),
        ("failed twice", vec![code("1"), code("2001")], "failed", vec![]),
        ("failed, then 15", vec![code("1"), code("15")], "failed", vec![]),
        ("failed, then pending", vec![code("1"), pending()], "failed", vec![]),
        ("paid, then failed", vec![paid(), code("1")], "paid", vec![FailureAfterPayment]),
        ("paid, then failed twice", vec![paid(), code("1"), code("1")], "paid", vec![FailureAfterPayment]),
        ("paid, then declined", vec![paid(), declined()], "paid", vec![FailureAfterPayment]),
        ("paid, then 15", vec![paid(), code("15")], "paid", vec![]),
        ("a second receipt", vec![paid(), paid_under("UJ65WSR9W8")], "paid", vec![second()]),
        ("another amount", vec![told("11")], "unknown", vec![other()]),
        ("another amount, a cent off", vec![told("10.01")], "unknown", vec![other()]),
        ("another recipient", vec![to_another()], "unknown", vec![other()]),
        ("another amount, then ours", vec![told("11"), paid()], "paid", vec![other()]),
        ("ours, then another amount", vec![paid(), told("11")], "paid", vec![other()]),
        ("failed, then another amount", vec![code("1"), told("11")], "failed", vec![other()]),
        (
            "everything at once",
            vec![code("1"), paid(), code("1"), paid_under("UJ65WSR9W8")],
            "paid",
            vec![PaidAfterFailure, FailureAfterPayment, second()],
        ),
    ];
    for (name, events, state, contradictions) in rows {
        let mut payout = Payout::new(payment());
        for (seconds, event) in [Begin, Sent(Ack)].iter().chain(&events).enumerate() {
            apply(&mut payout, &payment(), seconds.try_into().unwrap(), event).await;
            payout = stored(&payout);
        }
        assert_eq!((word(payout.state()), payout.contradictions()), (state, contradictions.as_slice()), "{name}");
    }
    let mut refused = Payout::new(payment());
    for event in [Begin, Sent(NamedRefusal), paid()] {
        apply(&mut refused, &payment(), 0, &event).await;
    }
    assert_eq!((word(refused.state()), refused.contradictions()), ("paid", [PaidAfterFailure].as_slice()));
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_is_kept_and_outweighs_a_refusal() {
    for (first, second, reason) in [
        (Sent(Ack), code("2001"), B2cReason::InsufficientFunds),
        (Sent(NamedRefusal), code("1"), B2cReason::InsufficientFunds),
    ] {
        let mut payout = Payout::new(payment());
        for event in [Begin, first, code("1"), second] {
            apply(&mut payout, &payment(), 0, &event).await;
        }
        let PayoutState::Failed(failure) = payout.state() else { panic!("{:?}", payout.state()) };
        assert_eq!(failure.reason(), reason);
    }
}

/// Nobody else sends under its id: what is told of it, whatever it is, says that it has arrived.
#[tokio::test(start_paused = true)]
async fn a_refused_payout_of_which_daraja_tells_is_unknown_again() {
    for event in [code("15"), pending(), TimedOut("{}")] {
        let mut refused = Payout::new(payment());
        for event in [Begin, Sent(NamedRefusal)] {
            apply(&mut refused, &payment(), 0, &event).await;
        }
        assert_eq!(word(refused.state()), "refused");
        apply(&mut refused, &payment(), 1, &event).await;
        assert_eq!(word(refused.state()), "unknown", "{event:?}");
        assert_ne!(refused.next_step(at(600)), NextStep::Send);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_told_in_two_parts_is_put_together() {
    let mut payout = Payout::new(payment());
    let amount = format!(r#"{RECEIPT},{{"Key":"Amount","Value":10}},{{"Key":"FinalisedTime","Value":20261006120003}}"#);
    for event in [Begin, Sent(Ack), Status(status_of(ID, "Completed", &amount)), paid()] {
        apply(&mut payout, &payment(), 0, &event).await;
    }
    let PayoutState::Paid(paid) = payout.state() else { panic!("{:?}", payout.state()) };
    assert_eq!(paid.receipt.as_str(), "UJ65WSR9W7");
    assert_eq!(paid.amount, Some(Shillings::new(10).unwrap().into()));
    assert_eq!(paid.completed_at, Some("20261006120003".parse().unwrap()));
    assert_eq!(paid.recipient.as_ref().unwrap().name(), Some("WANJIKU MFANO"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_says_who_told_and_why() {
    for (event, reason, told_code) in [
        (code("1"), B2cReason::InsufficientFunds, Some("1")),
        (code("\"SFC_IC0003\""), B2cReason::NotPermitted, Some("SFC_IC0003")),
        (Status(status_of(ID, "Declined", "")), B2cReason::Declined, None),
        (Status(status_of(ID, "Cancelled", "")), B2cReason::Cancelled, None),
        (Status(status_of(ID, "Expired", "")), B2cReason::Expired, None),
    ] {
        let mut payout = Payout::new(payment());
        for event in [Begin, Sent(Ack), event] {
            apply(&mut payout, &payment(), 0, &event).await;
        }
        let payout = stored(&payout);
        let PayoutState::Failed(failure) = payout.state() else { panic!("{:?}", payout.state()) };
        assert_eq!(failure.reason(), reason);
        assert_eq!(failure.code().map(ToString::to_string).as_deref(), told_code);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_read_back_sends_the_same_request_to_the_letter() {
    let document = || IdDocument::new(IdKind::AlienId, "A1234567").unwrap();
    let noted = payment().remarks("Invoice 1042".parse().unwrap()).occasion("March".parse().unwrap());
    for payment in [
        payment(),
        noted.clone().purpose(B2cPurpose::PromotionPayment),
        noted.clone().v1(),
        noted.clone().to_pochi(),
        noted.with_id_check(document()),
    ] {
        let mut payout = stored(&Payout::new(payment.clone()));
        assert_eq!(
            (payout.id(), payout.amount(), payout.recipient()),
            (payment.id(), payment.amount(), payment.recipient())
        );
        assert_eq!(payout.short_code().as_str(), "600310");
        let scripted = Scripted::new([answer(200, ACCEPTED)]);
        let client = scripted.client();
        let dispatch = payout.begin(client.now()).unwrap();
        dispatch.send(&client, &initiator(), result_urls()).await.outcome().unwrap();
        let [request] = <[_; 1]>::try_from(scripted.calls()).unwrap();
        assert_eq!(request.uri().path(), payment.path());
        assert_eq!(serde_json::from_slice::<Value>(request.body()).unwrap(), body(&payment));
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_names_the_id_that_daraja_knows() {
    let mut payout = Payout::new(payment());
    let asked = |payout: &Payout| payout.status_query(&initiator(), result_urls()).map(|query| body(&query));
    assert_eq!(asked(&payout).unwrap()["OriginalConversationID"], ID);
    assert_eq!(asked(&payout).unwrap()["PartyA"], "600310");
    apply(&mut payout, &payment(), 0, &Begin).await;
    apply(&mut payout, &payment(), 0, &Sent(Ack)).await;
    assert_eq!(asked(&payout).unwrap()["OriginalConversationID"], ID);

    let first = payment().with_id("never-told".parse().unwrap()).v1();
    let mut payout = Payout::new(first.clone());
    assert_eq!(asked(&payout), None);
    apply(&mut payout, &first, 0, &Begin).await;
    apply(&mut payout, &first, 0, &Sent(Ack)).await;
    assert_eq!(asked(&payout).unwrap()["OriginalConversationID"], ID, "the one that the ack gave");
    assert!(serde_json::to_string(&payout).unwrap().contains(CONVERSATION));
}

#[tokio::test(start_paused = true)]
async fn a_row_that_lacks_its_doubts_is_not_read() {
    let mut payout = Payout::new(payment());
    apply(&mut payout, &payment(), 0, &Begin).await;
    apply(&mut payout, &payment(), 5, &Sent(Loss)).await;
    for key in ["order", "state", "window_seconds", "may_be_done", "is_known"] {
        let mut row = serde_json::to_value(&payout).unwrap();
        assert!(row.as_object_mut().unwrap().remove(key).is_some());
        assert!(serde_json::from_value::<Payout>(row).is_err(), "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn money_that_moved_long_before_the_sending_is_another_payments() {
    // The id was used last month, for the same amount to the same person.
    let parameters = |day: &str| {
        format!(r#"{},{{"Key":"TransactionCompletedDateTime","Value":"{day} 12:00:00"}}"#, money("10", "UJ65WSR9W7"))
    };
    let finalised = |day: &str| format!(r#"{RECEIPT},{{"Key":"FinalisedTime","Value":{day}120000}}"#);
    let told = |day| Told(result(OURS, "0", &parameters(day)));
    check(vec![
        ("told", vec![(0, Begin), (5, Sent(Ack)), (9, told("06.09.2026"))], 9, "unknown", Ask),
        (
            "asked, after a duplicate",
            vec![(0, Begin), (5, Sent(Duplicate)), (6, Asked(Ack)), (9, status("Completed", &finalised("20260906")))],
            126,
            "unknown",
            Ask,
        ),
        (
            "told, by a clock of another zone",
            vec![(0, Begin), (5, Sent(Ack)), (9, told("05.10.2026"))],
            9,
            "paid",
            Done,
        ),
        // What a clock said that was seen to be wrong proves nothing.
        (
            "told, our own clock was put right",
            vec![(0, Begin), (-61, Sent(Ack)), (9, told("06.09.2026"))],
            9,
            "paid",
            Done,
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_never_sent_is_refused_and_may_be_made_anew() {
    let scripted = Scripted::default();
    let too_little = {
        let (code, number) = ("600310".parse().unwrap(), "254708374149".parse().unwrap());
        B2cPayment::new(&initiator(), code, number, Shillings::new(9).unwrap(), result_urls())
    };
    let mut payout = Payout::new(too_little);
    let client = scripted.client();
    let dispatch = payout.begin(client.now()).unwrap();
    let sent = dispatch.send(&client, &initiator(), result_urls()).await;
    assert!(matches!(sent.outcome(), Err(Error::Invalid(_))));
    payout.sent(&sent, client.now());
    assert_eq!((word(payout.state()), payout.next_step(client.now())), ("refused", NextStep::Done));
    assert!(matches!(stored(&payout).state(), PayoutState::Refused(words) if words.contains("invalid amount")));
}

/// Every outcome of a `send`, and whether it proves that nothing was carried out.
fn outcomes() -> &'static [(Met, Result<B2cAccepted>, bool)] {
    static OUTCOMES: std::sync::OnceLock<Vec<(Met, Result<B2cAccepted>, bool)>> = std::sync::OnceLock::new();
    OUTCOMES.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let nothing = [Throttle, ThrottleFor("90"), NoConnection, NamedRefusal].map(|met| (met, true));
        let perhaps = [Ack, BareAck, Loss, LossThenDuplicate, Duplicate].map(|met| (met, false));
        let all = nothing.into_iter().chain(perhaps);
        all.map(|(met, is_nothing)| (met, runtime.block_on(send(&payment(), met)), is_nothing)).collect()
    })
}

/// What Daraja may say, and whether it is a receipt.
fn sayings() -> Vec<(Do, bool)> {
    let quiet = [code("15"), code("17"), code("0"), pending(), TimedOut("{}"), status("Completed", "")];
    let other = Told(result(OURS, "0", &money("11", "UJ65WSR9W7")));
    let quiet = quiet.into_iter().chain([other]).map(|event| (event, false));
    quiet.chain([(code("1"), false), (Status(status_of(ID, "Declined", "")), false), (paid(), true)]).collect()
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(2_000))]

    /// Whatever happens in whatever order, by whatever clock.
    #[test]
    fn no_history_makes_it_send_what_may_have_been_carried_out(
        history in proptest::collection::vec((0_usize..24, -40_i64..400, 0_usize..40), 1..24),
        later in -4_000_i64..4_000,
    ) {
        let payment = payment();
        let mut payout = Payout::new(payment);
        // By how much the clock was set back since the first sending; more than a minute at once is too much.
        let (mut now, mut first, mut last, mut set_back) = (0_i64, None::<i64>, 0_i64, 0_i64);
        let (mut may_be_done, mut was_paid, mut was_told) = (false, false, false);
        let sayings = sayings();
        for (choice, pause, jump) in history {
            now += match jump { 0 => -90_000, 1 => 90_000, 2 => 3_600, _ => pause };
            let says = sayings.get(choice.wrapping_sub(14));
            let mut happened = true;
            if choice < 5 {
                let step = payout.next_step(at(now));
                happened = payout.begin(at(now)).is_ok();
                if happened {
                    match step {
                        NextStep::Send => {
                            proptest::prop_assert!(!may_be_done, "begun anew at {now}: {payout:?}");
                            (first, last, set_back) = (Some(now), now, 0);
                        }
                        again => proptest::prop_assert_eq!(again, NextStep::SendAgainWithSameId),
                    }
                    // From here on a crash leaves it open.
                    may_be_done |= step == NextStep::SendAgainWithSameId;
                }
            } else if let Some((_, outcome, is_nothing)) = outcomes().get(choice.wrapping_sub(5)) {
                if first.is_none() {
                    continue;
                }
                let sent = noted(&payout, outcome.clone());
                payout.sent(&sent, at(now));
                may_be_done |= !is_nothing;
                if *is_nothing && !may_be_done {
                    first = None;
                }
            } else if let Some((event, is_receipt)) = says {
                match event {
                    Told(text) => drop(payout.take_result(&B2cResult::parse(text.as_bytes()).unwrap(), at(now))),
                    Status(text) => {
                        let status = TransactionStatusResult::parse(text.as_bytes()).unwrap();
                        // The one that has no id is refused.
                        if payout.take_status(&status, at(now)).is_err() { continue; }
                    }
                    TimedOut(text) => {
                        let timeout = QueueTimeout::parse(text.as_bytes()).unwrap();
                        // The one that names nothing is refused before anything was sent.
                        if payout.take_timeout(&timeout, at(now)).is_err() { continue; }
                    }
                    other => panic!("{other:?}"),
                }
                (may_be_done, was_told) = (true, true);
                was_paid |= is_receipt;
            }
            if happened && first.is_some() {
                set_back += if last - now > 60 { 600 } else { (last - now).max(0) };
            }
            last = if happened { now } else { last };
            payout = stored(&payout);
            match payout.state() {
                PayoutState::Paid(_) => proptest::prop_assert!(was_paid),
                PayoutState::Failed(_) => proptest::prop_assert!(was_told && !was_paid),
                PayoutState::Refused(_) => proptest::prop_assert!(!was_paid),
                PayoutState::Created => proptest::prop_assert!(!may_be_done, "{payout:?}"),
                _ => proptest::prop_assert!(!was_paid, "{payout:?}"),
            }
            for now in [now, now + later] {
                match payout.next_step(at(now)) {
                    NextStep::Send => proptest::prop_assert!(!may_be_done, "at {now}: {payout:?}"),
                    NextStep::SendAgainWithSameId => {
                        let age = now - first.unwrap() + set_back;
                        proptest::prop_assert!((0..600).contains(&age), "at {now}, set back {set_back}: {payout:?}");
                    }
                    // The longest pause, and a minute for a clock that is behind the one that set it.
                    NextStep::Wait(until) => proptest::prop_assert!(until > at(now) && until <= at(now + 3_660)),
                    _ => {}
                }
            }
        }
    }
}
