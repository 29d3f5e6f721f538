//! What came to the URL of a question settles no payout, and what came to the URL of a payout answers no question.

use daraja::{
    B2cOutcome, B2cPayment, NextStep, Payout, PayoutState, Shillings, StatusOutcome, Timestamp,
    initiated::{RequestPurpose, ResultEnvelope},
    webhook::{
        Delivery, Event,
        EventKind::{self, PayoutTimeout, Question, QuestionTimeout},
        Receiver, Reference, SignedUrls, Sources,
    },
};
use url::Url;

use crate::support::{initiator, result_urls};

/// The payment's own result.
const PAID: &str = r#"{"Result":{"ResultCode":0,"OriginatorConversationID":"own-id","ConversationID":"AG_1",
    "TransactionID":"UJ65WSR9W7","ResultParameters":{"ResultParameter":[{"Key":"TransactionReceipt","Value":"UJ65WSR9W7"},
    {"Key":"TransactionAmount","Value":10}]}}}"#;
/// A failure, which tells nothing of what it answers.
const FAILED: &str = r#"{"Result":{"ResultCode":2001,"OriginatorConversationID":"own-id","ConversationID":"AG_1"}}"#;
const STATUS: &str = r#"{"Result":{"ResultCode":0,"ConversationID":"AG_2","ResultParameters":{"ResultParameter":[
    {"Key":"TransactionStatus","Value":"Completed"},{"Key":"ReceiptNo","Value":"UJ65WSR9W7"}]}}}"#;
const BALANCE: &str = r#"{"Result":{"ResultCode":0,"ConversationID":"AG_3","ResultParameters":{"ResultParameter":[
    {"Key":"AccountBalance","Value":"Utility Account|KES|1.00|1.00|0.00|0.00"}]}}}"#;
const REVERSED: &str = r#"{"Result":{"ResultCode":0,"ConversationID":"AG_4","ResultParameters":{"ResultParameter":[
    {"Key":"OriginalTransactionID","Value":"UJ65WSR9W7"}]}}}"#;
const ECHO: &str = r#"{"CommandID":"BusinessPayment","OriginatorConversationID":"own-id"}"#;

fn receiver() -> Receiver {
    let base = "https://shop.example/daraja".parse().unwrap();
    let urls = SignedUrls::new(base, "3b1e9c47d2a86f05c4e7b91d60a3f82e").unwrap();
    Receiver::new(urls).sources(Sources::anyone())
}

/// One reference for the payout and for all questions about it.
fn reference() -> Reference {
    "p-1042".parse().unwrap()
}

fn accept(url: &Url, body: &str) -> Event {
    let (at, event) = receiver().accept(Delivery::new(None, url.path(), body.as_bytes())).unwrap();
    assert_eq!(at, reference());
    // What is stored is read again for the same purpose.
    let stored = event.body_to_store(body.as_bytes());
    let kind: EventKind = event.kind().as_str().parse().unwrap();
    let again = Event::parse_as(kind, stored.as_bytes()).unwrap();
    assert_eq!(again.kind(), event.kind(), "{body}");
    event
}

fn at_payout(body: &str) -> Event {
    accept(receiver().urls().payout(&reference()).result(), body)
}

fn at_question(body: &str) -> Event {
    accept(receiver().urls().question(&reference()).result(), body)
}

fn result(event: Event) -> ResultEnvelope {
    let Event::Result(result) = event else { panic!("a result, not {event:?}") };
    result
}

/// As what it can be read: payout, reversal, transaction status, account balance.
fn readings(result: &ResultEnvelope) -> [bool; 4] {
    [
        result.b2c().is_some(),
        result.reversal().is_some(),
        result.transaction_status().is_some(),
        result.account_balance().is_some(),
    ]
}

#[test]
fn a_result_is_read_as_what_the_purpose_of_its_url_allows() {
    for (body, undecided, payout, question) in [
        (PAID, [true, false, false, false], [true, false, false, false], [false; 4]),
        (REVERSED, [false, true, false, false], [false, true, false, false], [false; 4]),
        (STATUS, [false, false, true, false], [false; 4], [false, false, true, false]),
        (BALANCE, [false, false, false, true], [false; 4], [false, false, false, true]),
        // A failure tells nothing of what it answers: the URL alone does.
        (FAILED, [true; 4], [true, true, false, false], [false, false, true, true]),
    ] {
        let bare = result(Event::parse(body.as_bytes()).unwrap());
        assert_eq!((bare.purpose(), readings(&bare)), (None, undecided), "{body}");
        let at_payout = result(at_payout(body));
        assert_eq!((at_payout.purpose(), readings(&at_payout)), (Some(RequestPurpose::Payout), payout), "{body}");
        let at_question = result(at_question(body));
        assert_eq!(
            (at_question.purpose(), readings(&at_question)),
            (Some(RequestPurpose::Question), question),
            "{body}"
        );
        // The rest of it is the same.
        assert_eq!(at_question.code, bare.code);
        assert_eq!(at_question.conversation_id, bare.conversation_id);
    }
}

#[test]
fn an_answer_to_a_question_fails_no_payout_and_a_failed_payout_answers_no_question() {
    let question = result(at_question(FAILED));
    assert_eq!(question.b2c(), None);
    assert!(matches!(question.transaction_status().unwrap().outcome, StatusOutcome::Failed(_)));
    let payout = result(at_payout(FAILED));
    assert!(matches!(payout.b2c().unwrap().outcome, B2cOutcome::Failed(_)));
    assert_eq!(payout.transaction_status(), None);
}

#[test]
fn a_request_that_comes_back_keeps_the_purpose_of_its_url() {
    let urls = receiver().urls().clone();
    let (payout, question) = (urls.payout(&reference()), urls.question(&reference()));
    for (url, kind, purpose) in [
        (payout.timeout(), PayoutTimeout, RequestPurpose::Payout),
        (payout.result(), PayoutTimeout, RequestPurpose::Payout),
        (question.timeout(), QuestionTimeout, RequestPurpose::Question),
        (question.result(), QuestionTimeout, RequestPurpose::Question),
    ] {
        let event = accept(url, ECHO);
        assert_eq!(event.kind(), kind, "{url}");
        let Event::QueueTimeout(timeout) = event else { panic!("a queue timeout") };
        assert_eq!(timeout.purpose(), Some(purpose), "{url}");
    }
    // The success at the URL of the timeout of a question is not even a result.
    assert_eq!(accept(question.timeout(), PAID).kind(), QuestionTimeout);
    assert_eq!(accept(question.result(), PAID).kind(), Question);
}

fn now() -> Timestamp {
    let noon: chrono::DateTime<chrono::Utc> = "2026-10-06T09:00:00Z".parse().unwrap();
    noon.try_into().unwrap()
}

#[test]
fn a_question_that_timed_out_says_nothing_of_the_payout() {
    let (recipient, amount) = ("254708374149".parse().unwrap(), Shillings::new(10).unwrap());
    let payment = B2cPayment::new(&initiator(), "600310".parse().unwrap(), recipient, amount, result_urls())
        .with_id("own-id".parse().unwrap());
    let urls = receiver().urls().clone();
    let (of_payout, of_question) = (urls.payout(&reference()), urls.question(&reference()));
    for body in [ECHO, "{}"] {
        let mut payout = Payout::new(payment.clone());
        drop(payout.begin(now()).unwrap());
        let before = serde_json::to_value(&payout).unwrap();
        let Event::QueueTimeout(timeout) = accept(of_question.timeout(), body) else { panic!("a queue timeout") };
        let refused = payout.take_timeout(&timeout, now()).unwrap_err().to_string();
        assert!(refused.contains("the URL of a question"), "{refused}");
        assert_eq!(serde_json::to_value(&payout).unwrap(), before, "nothing was changed");
        assert_eq!(payout.state(), &PayoutState::Sending);

        let Event::QueueTimeout(timeout) = accept(of_payout.timeout(), body) else { panic!("a queue timeout") };
        payout.take_timeout(&timeout, now()).unwrap();
        assert_eq!(payout.state(), &PayoutState::Unknown);
        assert_ne!(payout.next_step(now()), NextStep::Done);
    }
}
