//! Transaction status, account balance and reversal: their bytes, their answers, what is refused before they are sent.

use daraja::{
    AccountBalanceQuery, Client, Credentials, Environment, Error, Initiator, Operation, Repeat, ResultUrls, Reversal,
    Shillings, TransactionStatusQuery, transport::TransportErrorKind::Interrupted,
};
use serde_json::json;

use crate::{
    b2c::ACCEPTED,
    support::{CREDENTIAL, Scripted, Step, answer, body, initiator, refusal, result_urls},
};

fn by_receipt() -> TransactionStatusQuery {
    let receipt = "UJ65WSR9W7".parse().unwrap();
    TransactionStatusQuery::by_receipt(&initiator(), "600310".parse().unwrap(), receipt, result_urls())
}

fn by_id() -> TransactionStatusQuery {
    let id = "supplier-7-invoice-1042".parse().unwrap();
    TransactionStatusQuery::by_id(&initiator(), "600310".parse().unwrap(), &id, result_urls())
}

fn balance(initiator: &Initiator, urls: ResultUrls) -> AccountBalanceQuery {
    AccountBalanceQuery::new(initiator, "600310".parse().unwrap(), urls)
}

fn reversal(receipt: &str) -> Reversal {
    let (code, amount) = ("600310".parse().unwrap(), Shillings::new(500).unwrap());
    Reversal::new(&initiator(), code, receipt.parse().unwrap(), amount, result_urls())
}

#[test]
fn a_status_query_by_receipt_is_written_as_daraja_documents_it() {
    let expected = json!({
        "Initiator": "shop-api",
        "SecurityCredential": CREDENTIAL,
        "CommandID": "TransactionStatusQuery",
        "TransactionID": "UJ65WSR9W7",
        "PartyA": "600310",
        "IdentifierType": "4",
        "Remarks": "Status",
        "QueueTimeOutURL": "https://shop.example/timeout/8c1f",
        "ResultURL": "https://shop.example/result/8c1f",
    });
    assert_eq!(body(&by_receipt()), expected);
    assert_eq!((by_receipt().path(), by_receipt().repeat()), ("/mpesa/transactionstatus/v1/query", Repeat::Safe));
}

#[test]
fn a_status_query_by_id_calls_it_the_original_one() {
    let expected = json!({
        "Initiator": "shop-api",
        "SecurityCredential": CREDENTIAL,
        "CommandID": "TransactionStatusQuery",
        "OriginalConversationID": "supplier-7-invoice-1042",
        "PartyA": "600310",
        "IdentifierType": "4",
        "Remarks": "What became of it",
        "QueueTimeOutURL": "https://shop.example/timeout/8c1f",
        "ResultURL": "https://shop.example/result/8c1f",
    });
    assert_eq!(body(&by_id().remarks("What became of it".parse().unwrap())), expected);
}

#[test]
fn a_balance_query_is_written_as_daraja_documents_it() {
    let query = balance(&initiator(), result_urls());
    let expected = json!({
        "Initiator": "shop-api",
        "SecurityCredential": CREDENTIAL,
        "CommandID": "AccountBalance",
        "PartyA": "600310",
        "IdentifierType": "4",
        "Remarks": "Balance",
        "QueueTimeOutURL": "https://shop.example/timeout/8c1f",
        "ResultURL": "https://shop.example/result/8c1f",
    });
    assert_eq!(body(&query), expected);
    assert_eq!((query.path(), query.repeat()), ("/mpesa/accountbalance/v1/query", Repeat::Safe));
    assert_eq!(body(&query.remarks("Evening".parse().unwrap()))["Remarks"], "Evening");
}

#[test]
fn a_reversal_is_written_as_daraja_documents_it_misspelling_and_all() {
    let expected = json!({
        "Initiator": "shop-api",
        "SecurityCredential": CREDENTIAL,
        "CommandID": "TransactionReversal",
        "TransactionID": "UJ65WSR9W7",
        "Amount": 500,
        "ReceiverParty": "600310",
        "RecieverIdentifierType": "11",
        "Remarks": "Reversal",
        "QueueTimeOutURL": "https://shop.example/timeout/8c1f",
        "ResultURL": "https://shop.example/result/8c1f",
    });
    let plain = reversal("UJ65WSR9W7");
    assert_eq!(body(&plain), expected);
    assert_eq!((plain.path(), plain.repeat()), ("/mpesa/reversal/v1/request", Repeat::Never));
    let noted = body(&plain.remarks("Wrong item".parse().unwrap()).occasion("Returned".parse().unwrap()));
    assert_eq!((&noted["Remarks"], &noted["Occasion"]), (&json!("Wrong item"), &json!("Returned")));
}

#[test]
fn no_request_shows_its_credential_or_its_urls() {
    let query = balance(&initiator(), result_urls());
    for shown in [format!("{:?}", by_id()), format!("{query:?}"), format!("{:?}", reversal("UJ65WSR9W7"))] {
        assert!(!shown.contains(CREDENTIAL) && !shown.contains("8c1f"), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_is_repeated_and_a_reversal_is_not() {
    for step in [
        Step::Fail(Interrupted),
        answer(500, r#"{"statusCode":500,"error":"Service is temporarily unavailable. Please try again later"}"#),
        answer(200, "{}"),
        answer(200, r#"{"ConversationID":"AG_1"}"#),
        refusal(500, "500.002.1001", "Duplicate"),
    ] {
        let steps = || [step.clone(), answer(200, ACCEPTED)];
        let asked = Scripted::new(steps());
        let accepted = asked.client().send(&by_id()).await.unwrap();
        assert_eq!(accepted.conversation_id.unwrap().as_str(), "AG_20261006_20106e9209f64bebd05b");
        assert_eq!(accepted.originator_conversation_id.unwrap().as_str(), "supplier-7-invoice-1042");
        let asked = Scripted::new(steps());
        assert!(asked.client().send(&balance(&initiator(), result_urls())).await.is_ok());
        assert_eq!(asked.calls().len(), 2);

        let reversing = Scripted::new(steps());
        let error = reversing.client().send(&reversal("UJ65WSR9W7")).await.unwrap_err();
        assert!(error.outcome_unknown(), "{step:?}: {error:?}");
        assert_eq!(reversing.calls().len(), 1, "{step:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_response_code_accepts_no_question_and_leaves_nothing_unknown() {
    let scripted = Scripted::new((0..3).map(|_| answer(200, "{}")));
    let error = scripted.client().send(&by_receipt()).await.unwrap_err();
    assert!(matches!(&error, Error::Decode(told) if told.problem() == "holds no ResponseCode"), "{error:?}");
    assert!(!error.outcome_unknown());
}

/// Sends what must not be sent.
async fn refused(environment: Environment, operation: &impl Operation) -> String {
    let scripted = Scripted::default();
    let client = Client::builder(environment, Credentials::new("k", "s")).transport(scripted.clone()).build();
    let error = client.unwrap().send(operation).await.err().expect("a refusal");
    assert!(matches!(error, Error::Invalid(_)) && !error.is_retryable() && !error.outcome_unknown(), "{error:?}");
    assert!(scripted.token_requests().is_empty() && scripted.calls().is_empty());
    error.to_string()
}

#[tokio::test(start_paused = true)]
async fn what_daraja_would_refuse_is_refused_before_anything_is_sent() {
    let sandbox = || Environment::Sandbox;
    for receipt in ["UJ60000000", "0", "null", "1234567890", "SHORT"] {
        let error = refused(sandbox(), &reversal(receipt)).await;
        assert!(error.starts_with("invalid receipt number"), "{error}");
        assert!(error.ends_with("take it from the callback or the customer's SMS"), "{error}");
    }
    let nameless = Initiator::new("", "credential");
    let error = refused(sandbox(), &balance(&nameless, result_urls())).await;
    assert_eq!(error, "invalid initiator name: it is empty; take it from M-PESA's organisation portal");
    let urls = |result: &str, timeout: &str| ResultUrls::new(result.parse().unwrap(), timeout.parse().unwrap());
    let good = "https://shop.example/r";
    for (environment, urls, expected) in [
        (Environment::Sandbox, urls("ftp://a.example/r", good), "invalid result URL: it must begin with https://"),
        (
            Environment::Sandbox,
            urls(good, "https://me:secret@a.example/r"),
            "invalid timeout URL: it must hold no user name or password",
        ),
        (
            Environment::Production,
            urls("http://a.example/r", good),
            "invalid result URL: Daraja calls back over https only",
        ),
    ] {
        let receipt = "UJ65WSR9W7".parse().unwrap();
        let (code, amount) = ("600992".parse().unwrap(), Shillings::new(1).unwrap());
        let status = TransactionStatusQuery::by_receipt(&initiator(), code, receipt, urls.clone());
        let reversal = Reversal::new(&initiator(), code, receipt, amount, urls.clone());
        assert_eq!(refused(environment.clone(), &status).await, expected);
        assert_eq!(refused(environment.clone(), &reversal).await, expected);
        assert_eq!(refused(environment, &balance(&initiator(), urls)).await, expected);
    }
}
