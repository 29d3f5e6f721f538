//! The payout: its bytes, its id, what is refused before it is sent, how its answers are read.

use daraja::{
    B2cAccepted, B2cPayment, B2cPurpose, Client, Credentials, Environment, Error, Initiator, Limits, Occasion,
    Operation, OriginatorConversationId, Payout, PayoutState, Remarks, Repeat, Result, ResultUrls, Rules, Shillings,
    b2c::{IdDocument, IdKind},
    transport::TransportErrorKind::{Connect, Interrupted, Timeout},
};
use serde_json::json;

use crate::support::{CREDENTIAL, Scripted, Step, answer, body, initiator, note, refusal, result_urls};

pub(crate) const ID: &str = "supplier-7-invoice-1042";
pub(crate) const ACCEPTED: &str = r#"{"ConversationID":"AG_20261006_20106e9209f64bebd05b","OriginatorConversationID":"supplier-7-invoice-1042",
    "ResponseCode":"0","ResponseDescription":"Accept the service request successfully."}"#;

/// Without an id of its own.
fn random() -> B2cPayment {
    to("254708374149", 10)
}

fn to(recipient: &str, amount: u32) -> B2cPayment {
    let (code, recipient) = ("600310".parse().unwrap(), recipient.parse().unwrap());
    B2cPayment::new(&initiator(), code, recipient, Shillings::new(amount).unwrap(), result_urls())
}

pub(crate) fn payment() -> B2cPayment {
    random().with_id(ID.parse().unwrap())
}

fn passport() -> IdDocument {
    IdDocument::new(IdKind::Passport, "A1234567").unwrap()
}

#[test]
fn version_3_is_written_as_daraja_documents_it() {
    let expected = json!({
        "OriginatorConversationID": "supplier-7-invoice-1042",
        "InitiatorName": "shop-api",
        "SecurityCredential": CREDENTIAL,
        "CommandID": "BusinessPayment",
        "Amount": 10,
        "PartyA": "600310",
        "PartyB": "254708374149",
        "Remarks": "Payment",
        "QueueTimeOutURL": "https://shop.example/timeout/8c1f",
        "ResultURL": "https://shop.example/result/8c1f",
    });
    assert_eq!(body(&payment()), expected);
    assert_eq!((payment().path(), payment().repeat()), ("/mpesa/b2c/v3/paymentrequest", Repeat::Deduplicated));
}

#[test]
fn version_3_calls_the_occasion_occassion() {
    let payment = payment()
        .purpose(B2cPurpose::SalaryPayment)
        .remarks("Wages of March".parse().unwrap())
        .occasion("March 2026".parse().unwrap());
    let expected = json!({
        "OriginatorConversationID": "supplier-7-invoice-1042",
        "InitiatorName": "shop-api",
        "SecurityCredential": CREDENTIAL,
        "CommandID": "SalaryPayment",
        "Amount": 10,
        "PartyA": "600310",
        "PartyB": "254708374149",
        "Remarks": "Wages of March",
        "QueueTimeOutURL": "https://shop.example/timeout/8c1f",
        "ResultURL": "https://shop.example/result/8c1f",
        "Occassion": "March 2026",
    });
    assert_eq!(body(&payment), expected);
}

#[test]
fn version_1_is_told_no_id_and_calls_the_occasion_by_its_name() {
    let payment = payment().v1().purpose(B2cPurpose::PromotionPayment).occasion("Draw".parse().unwrap());
    let expected = json!({
        "InitiatorName": "shop-api",
        "SecurityCredential": CREDENTIAL,
        "CommandID": "PromotionPayment",
        "Amount": 10,
        "PartyA": "600310",
        "PartyB": "254708374149",
        "Remarks": "Payment",
        "QueueTimeOutURL": "https://shop.example/timeout/8c1f",
        "ResultURL": "https://shop.example/result/8c1f",
        "Occasion": "Draw",
    });
    assert_eq!(body(&payment), expected);
    assert_eq!((payment.path(), payment.repeat()), ("/mpesa/b2c/v1/paymentrequest", Repeat::Never));
}

#[test]
fn a_payment_with_id_check_names_the_document() {
    let payment = payment().with_id_check(passport()).occasion("March".parse().unwrap());
    let expected = json!({
        "OriginatorConversationID": "supplier-7-invoice-1042",
        "InitiatorName": "shop-api",
        "SecurityCredential": CREDENTIAL,
        "CommandID": "BusinessPayment",
        "Amount": 10,
        "PartyA": "600310",
        "PartyB": "254708374149",
        "Remarks": "Payment",
        "QueueTimeOutURL": "https://shop.example/timeout/8c1f",
        "ResultURL": "https://shop.example/result/8c1f",
        "Occassion": "March",
        "IDType": "05",
        "IDNumber": "A1234567",
    });
    assert_eq!(body(&payment), expected);
    assert_eq!((payment.path(), payment.repeat()), ("/mpesa/b2cvalidate/v2/paymentrequest", Repeat::Never));
    for (kind, code) in [
        (IdKind::NationalId, "01"),
        (IdKind::MilitaryId, "02"),
        (IdKind::AlienId, "03"),
        (IdKind::DiplomaticId, "04"),
        (IdKind::Passport, "05"),
    ] {
        let document = IdDocument::new(kind, "1").unwrap();
        assert_eq!(body(&random().with_id_check(document))["IDType"], code);
    }
}

#[test]
fn a_payment_to_pochi_has_pochis_own_command_and_needs_an_occasion() {
    let payment = payment().to_pochi().purpose(B2cPurpose::SalaryPayment);
    let expected = json!({
        "OriginatorConversationID": "supplier-7-invoice-1042",
        "InitiatorName": "shop-api",
        "SecurityCredential": CREDENTIAL,
        "CommandID": "BusinessPayToPochi",
        "Amount": 10,
        "PartyA": "600310",
        "PartyB": "254708374149",
        "Remarks": "Payment",
        "QueueTimeOutURL": "https://shop.example/timeout/8c1f",
        "ResultURL": "https://shop.example/result/8c1f",
        "Occassion": "Payment",
    });
    assert_eq!(body(&payment), expected);
    assert_eq!((payment.path(), payment.repeat()), ("/mpesa/b2pochi/v1/paymentrequest", Repeat::Deduplicated));
    assert_eq!(body(&payment.occasion("Rent".parse().unwrap()))["Occassion"], "Rent");
}

#[test]
fn a_payment_has_its_id_from_birth() {
    let (payment, other) = (random(), random());
    let id = payment.id().as_str().to_owned();
    assert_eq!(body(&payment)["OriginatorConversationID"], id);
    assert_eq!(body(&payment)["OriginatorConversationID"], id);
    let twin = payment.clone();
    assert_eq!((body(&twin)["OriginatorConversationID"].as_str(), twin == payment), (Some(id.as_str()), true));
    assert_eq!(body(&payment.clone().to_pochi())["OriginatorConversationID"], id);
    assert_ne!(payment.id(), other.id());
    assert_ne!(body(&payment)["OriginatorConversationID"], body(&other)["OriginatorConversationID"]);
    assert_eq!(payment.with_id(ID.parse().unwrap()).id().as_str(), ID);
}

#[test]
fn neither_payment_nor_document_shows_credential_number_or_url() {
    let shown = format!("{:?}", payment().with_id_check(passport()));
    for hidden in [CREDENTIAL, "708374149", "A1234567", "8c1f"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

// ---- Answers.

fn interrupted() -> Step {
    Step::Fail(Interrupted)
}

fn duplicate() -> Step {
    refusal(500, "500.002.1001", "Duplicate OriginatorConversationID.")
}

fn throttled() -> Step {
    answer(
        429,
        r#"{"fault":{"faultstring":"Spike arrest violation.","detail":{"errorcode":"policies.ratelimit.SpikeArrestViolation"}}}"#,
    )
}

/// What it came to, and the requests that it took, each with the very id of the payment.
async fn send(payment: &B2cPayment, steps: impl IntoIterator<Item = Step>) -> (Result<B2cAccepted>, usize) {
    let scripted = Scripted::new(steps);
    let outcome = scripted.client().send(payment).await;
    let calls = scripted.calls();
    for call in &calls {
        assert_eq!(call.uri().path(), payment.path());
        assert_eq!(call.body(), calls[0].body(), "a repeat is the same request");
        let sent: serde_json::Value = serde_json::from_slice(call.body()).unwrap();
        let id = sent.get("OriginatorConversationID").and_then(serde_json::Value::as_str);
        assert_eq!(id, (!payment.path().contains("/v1/payment") || payment.path().contains("pochi")).then_some(ID));
    }
    (outcome, calls.len())
}

#[tokio::test(start_paused = true)]
async fn an_acceptance_is_read_in_every_shape_it_was_seen_in() {
    let (ours, theirs) = (Some(ID), Some("AG_20261006_20106e9209f64bebd05b"));
    for (text, conversation, originator) in [
        (ACCEPTED, theirs, ours),
        (
            r#"{"ConversationID":"AG_1","OriginatorConversationID":"12-34-1","ResponseCode":"0"}"#,
            Some("AG_1"),
            Some("12-34-1"),
        ),
        (
            r#"{"ConversationID":"AG_1","OriginatorCoversationID":"12-34-1","ResponseCode":0}"#,
            Some("AG_1"),
            Some("12-34-1"),
        ),
        (r#"{"ConversationID":17,"OriginatorConversationID":null,"ResponseCode":"0","Extra":[{}]}"#, Some("17"), None),
        (r#"{"OriginatorConversationID":"","ResponseCode":"00000000"}"#, None, None),
        (r#"{"ConversationID":"A G","ResponseCode":"0"}"#, None, None),
        (r#"{"ResponseCode":"0"}"#, None, None),
    ] {
        let (outcome, calls) = send(&payment(), [answer(200, text)]).await;
        let Ok(B2cAccepted::Accepted(accepted)) = outcome else { panic!("{text}: {outcome:?}") };
        assert_eq!(accepted.conversation_id.as_ref().map(AsRef::as_ref), conversation, "{text}");
        assert_eq!(accepted.originator_conversation_id.as_ref().map(AsRef::as_ref), originator, "{text}");
        assert_eq!(calls, 1, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_say_accepted_is_no_acceptance() {
    for text in [
        "{}",
        r#"{"ConversationID":"AG_1","OriginatorConversationID":"supplier-7-invoice-1042"}"#,
        r#"{"ConversationID":"AG_1","ResponseCode":null}"#,
        r#"{"ConversationID":"AG_1","ResponseCode":"","ResponseDescription":"odd"}"#,
        r#"{"ConversationID":"AG_1","ResponseCode":"1","ResponseDescription":"odd"}"#,
        r#"{"ConversationID":"AG_1","ResponseCode":1}"#,
        r#"{"ConversationID":"AG_1","ResponseCode":false}"#,
        "[]",
        "null",
        "<html>busy</html>",
        "",
    ] {
        // Version 3 is sent again, under its id; the others stop at the first doubt.
        for (payment, expected) in [(payment(), 3), (payment().to_pochi(), 3), (payment().v1(), 1), (checked(), 1)] {
            let (outcome, calls) = send(&payment, (0..expected).map(|_| answer(200, text))).await;
            assert!(matches!(outcome, Err(Error::Unknown(_))), "{text}: {outcome:?}");
            assert_eq!(calls, expected, "{text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn version_1_needs_an_id_to_know_its_result_by() {
    for (text, is_accepted) in [
        (r#"{"ConversationID":"AG_1","ResponseCode":"0"}"#, true),
        (r#"{"OriginatorConversationID":"12-34-1","ResponseCode":"0"}"#, true),
        (r#"{"ResponseCode":"0"}"#, false),
        (r#"{"ConversationID":"","OriginatorConversationID":null,"ResponseCode":"0"}"#, false),
    ] {
        let (outcome, calls) = send(&payment().v1(), [answer(200, text)]).await;
        assert_eq!(outcome.is_ok(), is_accepted, "{text}: {outcome:?}");
        assert_eq!(outcome.is_err_and(|error| error.outcome_unknown()), !is_accepted, "{text}");
        assert_eq!(calls, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_as_the_first_answer_is_an_error() {
    for payment in [payment(), payment().to_pochi(), payment().v1(), checked()] {
        let (outcome, calls) = send(&payment, [duplicate()]).await;
        let error = outcome.unwrap_err();
        let Error::Api(refused) = &error else { panic!("{error:?}") };
        assert!(refused.is_duplicate() && !refused.after_unknown());
        assert!(!error.outcome_unknown() && !error.is_retryable());
        assert_eq!(calls, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_after_an_attempt_that_may_have_arrived_means_accepted() {
    let system = || refusal(500, "500.002.1001", "System internal error.");
    let cases = [
        ("reset", vec![interrupted()]),
        ("timeout", vec![Step::Fail(Timeout)]),
        ("hangs", vec![Step::Hang]),
        ("internal error", vec![system()]),
        ("HTML", vec![answer(200, "<html>busy</html>")]),
        ("HTML with 503", vec![answer(503, "<html>busy</html>")]),
        ("empty", vec![answer(200, "")]),
        ("no ResponseCode", vec![answer(200, "{}")]),
        ("ResponseCode 1", vec![answer(200, r#"{"ResponseCode":"1","ResponseDescription":"odd"}"#)]),
        ("reset, then throttled", vec![interrupted(), throttled()]),
        ("throttled, then reset", vec![throttled(), interrupted()]),
        ("reset, then never connected", vec![interrupted(), Step::Fail(Connect)]),
        ("reset, then a dead token", vec![interrupted(), refusal(401, "401.002.01", "Invalid Access Token")]),
    ];
    for (name, before) in cases {
        let expected = before.len() + 1;
        for payment in [payment(), payment().to_pochi()] {
            let (outcome, calls) = send(&payment, before.iter().cloned().chain([duplicate()])).await;
            assert_eq!(outcome.unwrap(), B2cAccepted::AlreadyAccepted, "{name}");
            assert_eq!(calls, expected, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_after_attempts_that_never_arrived_is_an_error() {
    let cases = [
        ("throttled", vec![throttled()]),
        ("spike arrest", vec![refusal(500, "500.002.02", "Error Occurred: Spike Arrest Violation")]),
        ("never connected", vec![Step::Fail(Connect)]),
        ("a dead token", vec![refusal(401, "401.002.01", "Invalid Access Token")]),
        ("all of them", vec![throttled(), refusal(404, "404.001.03", "Invalid Access Token"), Step::Fail(Connect)]),
    ];
    for (name, before) in cases {
        let expected = before.len() + 1;
        let (outcome, calls) = send(&payment(), before.into_iter().chain([duplicate()])).await;
        let error = outcome.unwrap_err();
        assert!(matches!(&error, Error::Api(refused) if refused.is_duplicate()), "{name}: {error:?}");
        assert!(!error.outcome_unknown(), "{name}");
        assert_eq!(calls, expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_code_of_a_duplicate_with_other_words_proves_nothing() {
    for words in [
        "System internal error.",
        "Service is currently under maintenance. Please try again later",
        "The OriginatorConversationID is a Duplicate.",
        "",
    ] {
        let steps = (0..3).map(|_| refusal(500, "500.002.1001", words));
        let (outcome, calls) = send(&payment(), steps).await;
        let error = outcome.unwrap_err();
        assert!(error.outcome_unknown() && !error.api().unwrap().is_duplicate(), "{words}: {error:?}");
        assert_eq!(calls, 3, "{words}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_is_known_by_its_words_in_any_case_code_and_status() {
    for step in [
        refusal(500, "500.002.1001", "duplicate originatorconversationid"),
        refusal(200, "500.002.1001", "Duplicate OriginatorConversationID."),
        refusal(409, "500.002.1001", " Duplicate OriginatorConversationID: it was used before"),
        refusal(500, "500.003.1001", "Duplicate OriginatorConversationID."),
        refusal(400, "400.002.02", "Duplicate OriginatorConversationID."),
        refusal(400, "400.002.02", "Bad Request - Duplicate OriginatorConversationID"),
        refusal(409, "409.002.1001", "Duplicate OriginatorConversationID."),
        refusal(400, "400.002.02", "Duplicate OriginatorCoversationID"),
        refusal(504, "408.001.01", "DUPLICATE ORIGINATOR CONVERSATION ID."),
        refusal(429, "429.001.01", "Duplicate OriginatorConversationID."),
        refusal(401, "401.001", "Duplicate OriginatorConversationID."),
        answer(500, r#"{"errorMessage":"Duplicate OriginatorConversationID."}"#),
        answer(200, r#"{"ResponseCode":"1","ResponseDescription":"Duplicate OriginatorConversationID."}"#),
    ] {
        let (outcome, calls) = send(&payment(), [step.clone()]).await;
        let error = outcome.unwrap_err();
        assert!(error.api().unwrap().is_duplicate() && !error.is_retryable(), "{step:?}: {error:?}");
        assert_eq!(calls, 1, "{step:?}");
        let (outcome, _) = send(&payment(), [interrupted(), step]).await;
        assert_eq!(outcome.unwrap(), B2cAccepted::AlreadyAccepted);
    }
}

/// Such a payout is not over: a new one in its place would be a second payment.
#[tokio::test(start_paused = true)]
async fn a_payout_is_not_refused_by_a_duplicate_nor_by_what_proves_nothing() {
    let (now, later) = ("20261006120000".parse().unwrap(), "20261006120001".parse().unwrap());
    for step in [
        refusal(400, "400.002.02", "Duplicate OriginatorConversationID."),
        refusal(409, "409.002.1001", "Duplicate OriginatorConversationID."),
        refusal(504, "408.001.01", "Request Timeout"),
        refusal(200, "400.002.02", "Bad Request - Invalid Remarks"),
    ] {
        let payment = payment();
        let mut payout = Payout::new(payment.clone());
        drop(payout.begin(now).unwrap());
        note(&mut payout, send(&payment, vec![step.clone(); 3]).await.0, later);
        assert_eq!(payout.state(), &PayoutState::Unknown, "{step:?}");
    }
}

fn checked() -> B2cPayment {
    payment().with_id_check(passport())
}

#[tokio::test(start_paused = true)]
async fn what_has_no_known_memory_for_ids_is_never_repeated_after_a_doubt() {
    for payment in [payment().v1(), checked()] {
        for step in [interrupted(), Step::Fail(Timeout), Step::Hang, answer(503, ""), answer(200, "<html>")] {
            let (outcome, calls) = send(&payment, [step.clone()]).await;
            let error = outcome.unwrap_err();
            assert!(error.outcome_unknown() && !error.is_retryable(), "{step:?}: {error:?}");
            assert_eq!(calls, 1, "{step:?}");
        }
        let (outcome, calls) = send(&payment, [throttled(), Step::Fail(Connect), answer(200, ACCEPTED)]).await;
        assert!(outcome.is_ok(), "what provably was not carried out is repeated: {outcome:?}");
        assert_eq!(calls, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_named_refusal_after_a_doubt_leaves_the_doubt() {
    let (outcome, calls) =
        send(&payment(), [interrupted(), refusal(400, "400.002.02", "Bad Request - Invalid Remarks")]).await;
    assert!(outcome.unwrap_err().outcome_unknown());
    assert_eq!(calls, 2);
    let (outcome, calls) = send(&payment(), [refusal(400, "400.002.02", "Bad Request - Invalid Remarks")]).await;
    let error = outcome.unwrap_err();
    assert!(!error.outcome_unknown() && !error.is_retryable(), "{error:?}");
    assert_eq!(calls, 1);
}

// ---- What is refused before anything is sent.

fn with(initiator: &Initiator, result: &str, timeout: &str) -> B2cPayment {
    let urls = ResultUrls::new(result.parse().unwrap(), timeout.parse().unwrap());
    let (code, recipient) = ("600310".parse().unwrap(), "254708374149".parse().unwrap());
    B2cPayment::new(initiator, code, recipient, Shillings::new(10).unwrap(), urls)
}

#[tokio::test(start_paused = true)]
async fn what_daraja_would_refuse_is_refused_before_anything_is_sent() {
    use Environment::{Production, Sandbox};
    let (own, good) = (initiator(), "https://shop.example/r");
    let nameless = Initiator::new(" ", "credential");
    let cases = [
        (Sandbox, to("254708374149", 9), "invalid amount", "10"),
        (Sandbox, to("254708374149", 250_001), "invalid amount", "250000"),
        (Sandbox, to("0200000000", 10), "invalid phone number", "mobile"),
        (Sandbox, with(&nameless, good, good), "invalid initiator name", "empty"),
        (Sandbox, with(&own, "ftp://shop.example/r", good), "invalid result URL", "https"),
        (Sandbox, with(&own, good, "ftp://shop.example/r"), "invalid timeout URL", "https"),
        (Sandbox, with(&own, "https://me:pw@shop.example/r", good), "invalid result URL", "password"),
        (Sandbox, with(&own, good, "https://me@shop.example/r"), "invalid timeout URL", "password"),
        (Production, with(&own, "http://shop.example/r", good), "invalid result URL", "https only"),
        (Production, with(&own, good, "http://shop.example/r"), "invalid timeout URL", "https only"),
    ];
    for (environment, payment, expected, reason) in cases {
        for payment in [payment.clone(), payment.clone().v1(), payment.to_pochi()] {
            let scripted = Scripted::default();
            let client =
                Client::builder(environment.clone(), Credentials::new("k", "s")).transport(scripted.clone()).build();
            let error = client.unwrap().send(&payment).await.unwrap_err();
            let Error::Invalid(invalid) = &error else { panic!("{expected}: {error:?}") };
            assert!(invalid.to_string().starts_with(expected), "{error}");
            assert!(invalid.reason().contains(reason), "{error}");
            assert!(!error.is_retryable() && !error.outcome_unknown());
            assert!(scripted.token_requests().is_empty() && scripted.calls().is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn limits_and_lines_are_data() {
    let high = Limits::default().with_b2c(Shillings::new(1).unwrap()..=Shillings::new(500_000).unwrap());
    let rules = Rules::default().with_limits(high).with_landlines();
    for payment in [to("254708374149", 1), to("254708374149", 500_000), to("0200000000", 250_001)] {
        let scripted = Scripted::new([answer(200, ACCEPTED)]);
        assert!(scripted.builder().rules(rules.clone()).build().unwrap().send(&payment).await.is_ok());
    }
    let scripted = Scripted::default();
    let client = scripted.builder().rules(rules).build().unwrap();
    assert!(matches!(client.send(&to("254708374149", 500_001)).await, Err(Error::Invalid(_))));
}

#[test]
fn what_cannot_be_sent_cannot_be_made() {
    let long = "A".repeat(101);
    let errors = [
        ("12.50".parse::<Shillings>().unwrap_err(), "it has cents, and only whole shillings can be asked for or paid"),
        (Shillings::new(0).unwrap_err(), "the least that can be asked for or paid is 1 shilling"),
        ("A".parse::<Remarks>().unwrap_err(), "2 to 100 characters are allowed, and it has 1"),
        (long.parse::<Remarks>().unwrap_err(), "2 to 100 characters are allowed, and it has 101"),
        (long.parse::<Occasion>().unwrap_err(), "1 to 100 characters are allowed, and it has 101"),
        ("".parse::<OriginatorConversationId>().unwrap_err(), "it is empty"),
        ("a b".parse::<OriginatorConversationId>().unwrap_err(), "cannot be part of it"),
        ("A".repeat(129).parse::<OriginatorConversationId>().unwrap_err(), "128"),
        (IdDocument::new(IdKind::NationalId, "").unwrap_err(), "1 to 32 letters and digits are expected"),
        (IdDocument::new(IdKind::NationalId, "1234 5678").unwrap_err(), "1 to 32 letters and digits are expected"),
        (IdDocument::new(IdKind::NationalId, "1".repeat(33)).unwrap_err(), "1 to 32 letters and digits are expected"),
    ];
    for (error, expected) in errors {
        assert!(error.reason().contains(expected), "{error}");
    }
}
