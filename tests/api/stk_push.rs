//! The push: its bytes, what is refused before it is sent, how its answer is read.

use chrono::{DateTime, Utc};
use daraja::{
    Client, Credentials, Environment, Error, Limits, Merchant, Operation, Rules, Shillings, StkPush, StkQuery,
    error::TooLate,
};
use serde_json::json;

use crate::support::{PASSKEY, Scripted, answer, merchant};

pub(crate) const ACCEPTED: &str = r#"{"MerchantRequestID":"2654-4b64-97ff-b827b542881d3130","CheckoutRequestID":"ws_CO_061020261702341254708374149",
    "ResponseCode":"0","ResponseDescription":"Success. Request accepted for processing","CustomerMessage":"Success. Request accepted for processing"}"#;

fn push(merchant: &Merchant) -> StkPush {
    push_to(merchant, "254708374149", 500, "https://shop.example/stk/41")
}

fn push_to(merchant: &Merchant, payer: &str, amount: u32, url: &str) -> StkPush {
    let reference = "INV-001".parse().unwrap();
    StkPush::new(merchant, payer.parse().unwrap(), Shillings::new(amount).unwrap(), reference, url.parse().unwrap())
}

/// 17:00:17 in Nairobi.
fn now() -> DateTime<Utc> {
    "2024-04-02T14:00:17Z".parse().unwrap()
}

fn body(operation: &impl Operation) -> serde_json::Value {
    serde_json::to_value(operation.body(now().try_into().unwrap())).unwrap()
}

#[test]
fn a_paybill_push_is_written_as_daraja_documents_it() {
    let expected = json!({
        "BusinessShortCode": "174379",
        "Password": "MTc0Mzc5YSBwYXNza2V5IG9mIG5vYm9keTIwMjQwNDAyMTcwMDE3",
        "Timestamp": "20240402170017",
        "TransactionType": "CustomerPayBillOnline",
        "Amount": 500,
        "PartyA": "254708374149",
        "PartyB": "174379",
        "PhoneNumber": "254708374149",
        "CallBackURL": "https://shop.example/stk/41",
        "AccountReference": "INV-001",
        "TransactionDesc": "Order 1042",
    });
    assert_eq!(body(&push(&merchant()).description("Order 1042".parse().unwrap())), expected);
}

#[test]
fn a_till_push_credits_the_till_and_asks_as_its_store() {
    let till = Merchant::till("600986".parse().unwrap(), "5123456".parse().unwrap(), PASSKEY);
    let body = body(&push(&till));
    assert_eq!(body["BusinessShortCode"], "600986");
    assert_eq!(body["Password"], "NjAwOTg2YSBwYXNza2V5IG9mIG5vYm9keTIwMjQwNDAyMTcwMDE3");
    assert_eq!(body["TransactionType"], "CustomerBuyGoodsOnline");
    assert_eq!(body["PartyB"], "5123456");
    assert_eq!(body["TransactionDesc"], "Payment");
}

#[test]
fn a_query_is_written_as_daraja_documents_it() {
    let id = "ws_CO_061020261702341254708374149".parse().unwrap();
    let expected = json!({
        "BusinessShortCode": "174379",
        "Password": "MTc0Mzc5YSBwYXNza2V5IG9mIG5vYm9keTIwMjQwNDAyMTcwMDE3",
        "Timestamp": "20240402170017",
        "CheckoutRequestID": "ws_CO_061020261702341254708374149",
    });
    assert_eq!(body(&StkQuery::new(&merchant(), &id)), expected);
}

#[tokio::test(start_paused = true)]
async fn the_request_carries_token_and_type_and_one_clock_read() {
    let scripted = Scripted::new([answer(200, ACCEPTED)]);
    let accepted = scripted.builder().clock(now).build().unwrap().send(&push(&merchant())).await.unwrap();
    assert_eq!(accepted.checkout_request_id.as_str(), "ws_CO_061020261702341254708374149");
    assert_eq!(accepted.merchant_request_id.unwrap().as_str(), "2654-4b64-97ff-b827b542881d3130");
    assert_eq!(accepted.customer_message, "Success. Request accepted for processing");

    let token = &scripted.token_requests()[0];
    assert_eq!(token.method(), "GET");
    assert_eq!(token.uri(), "https://sandbox.safaricom.co.ke/oauth/v1/generate?grant_type=client_credentials");
    assert_eq!(token.headers()["authorization"], "Basic dGhlIGtleTp0aGUgc2VjcmV0");
    let call = &scripted.calls()[0];
    assert_eq!(call.method(), "POST");
    assert_eq!(call.uri(), "https://sandbox.safaricom.co.ke/mpesa/stkpush/v1/processrequest");
    assert_eq!(call.headers()["authorization"], "Bearer c9SQxWWhmdVRlyh0zh8gZDTkubVF");
    assert!(call.headers()["authorization"].is_sensitive());
    assert_eq!(call.headers()["content-type"], "application/json");
    let body: serde_json::Value = serde_json::from_slice(call.body()).unwrap();
    assert_eq!(body["Timestamp"], "20240402170017");
    assert_eq!(body["Password"], "MTc0Mzc5YSBwYXNza2V5IG9mIG5vYm9keTIwMjQwNDAyMTcwMDE3");
}

#[tokio::test(start_paused = true)]
async fn what_daraja_would_refuse_is_refused_before_anything_is_sent() {
    let public = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919";
    let test_merchant = Merchant::paybill("174379".parse().unwrap(), public);
    let ours = merchant();
    let cases = [
        (Environment::Sandbox, push_to(&ours, "0200000000", 500, "https://shop.example/"), "invalid phone number"),
        (Environment::Sandbox, push_to(&ours, "254708374149", 250_001, "https://shop.example/"), "invalid amount"),
        (Environment::Sandbox, push_to(&ours, "254708374149", 1, "ftp://shop.example/"), "invalid callback URL"),
        (
            Environment::Sandbox,
            push_to(&ours, "254708374149", 1, "https://me:pw@shop.example/"),
            "invalid callback URL",
        ),
        (Environment::Production, push_to(&ours, "254708374149", 1, "http://shop.example/"), "invalid callback URL"),
        (Environment::Production, push(&test_merchant), "invalid passkey"),
    ];
    for (environment, push, expected) in cases {
        let scripted = Scripted::default();
        let client =
            Client::builder(environment, Credentials::new("k", "s")).transport(scripted.clone()).build().unwrap();
        let error = client.send(&push).await.unwrap_err();
        assert!(matches!(&error, Error::Invalid(invalid) if invalid.to_string().starts_with(expected)), "{error}");
        assert!(!error.is_retryable() && !error.outcome_unknown());
        assert!(scripted.token_requests().is_empty() && scripted.calls().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_merchant_with_a_passkey_of_its_own_asks_in_production() {
    let scripted = Scripted::new([answer(200, ACCEPTED)]);
    let client = Client::builder(Environment::Production, Credentials::new("k", "s")).transport(scripted.clone());
    client.build().unwrap().send(&push(&merchant())).await.unwrap();
    assert_eq!(scripted.calls()[0].uri(), "https://api.safaricom.co.ke/mpesa/stkpush/v1/processrequest");
}

#[tokio::test(start_paused = true)]
async fn rules_are_data() {
    let low = Limits::default().with_stk(Shillings::new(1).unwrap()..=Shillings::new(70_000).unwrap());
    let scripted = Scripted::new([answer(200, ACCEPTED)]);
    let client = scripted.builder().rules(Rules::default().with_limits(low).with_landlines()).build().unwrap();
    assert!(client.send(&push_to(&merchant(), "254708374149", 70_001, "https://shop.example/")).await.is_err());
    assert!(client.send(&push_to(&merchant(), "0200000000", 70_000, "https://shop.example/")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_names_no_payment_leaves_it_unknown() {
    let bodies = [
        r#"{"MerchantRequestID":"1","ResponseCode":"0"}"#,
        r#"{"MerchantRequestID":"1","CheckoutRequestID":null,"ResponseCode":"0"}"#,
        r#"{"MerchantRequestID":"1","CheckoutRequestID":"ws CO 1","ResponseCode":"0"}"#,
        r#"{"MerchantRequestID":"1","CheckoutRequestID":"ws_CO_1","ResponseCode":"1","ResponseDescription":"odd"}"#,
        r#"{"MerchantRequestID":"1","CheckoutRequestID":"ws_CO_1","ResponseCode":"","ResponseDescription":"odd"}"#,
        "[]",
        "\"0\"",
        "null",
    ];
    for body in bodies {
        let scripted = Scripted::new([answer(200, body)]);
        let error = scripted.client().send(&push(&merchant())).await.unwrap_err();
        assert!(matches!(error, Error::Unknown(_)), "{body}: {error:?}");
        assert_eq!(scripted.calls().len(), 1, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_accepted_push_is_read_with_numbers_for_strings_and_with_keys_missing() {
    for body in [
        r#"{"CheckoutRequestID":"ws_CO_1","ResponseCode":0}"#,
        r#"{"extra":[{}],"ResponseCode":"0","CheckoutRequestID":"ws_CO_1","MerchantRequestID":17}"#,
    ] {
        let scripted = Scripted::new([answer(200, body)]);
        let accepted = scripted.client().send(&push(&merchant())).await.unwrap();
        assert_eq!(accepted.checkout_request_id.as_str(), "ws_CO_1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_push_is_not_sent_with_so_little_time_left_that_it_would_be_cut_off() {
    let throttled = crate::support::Step::AnswerWith(429, ("retry-after", "58"), String::new());
    let scripted = Scripted::new([throttled]);
    let error = scripted.client().send(&push(&merchant())).await.unwrap_err();
    assert!(error.is_retryable() && error.is_throttled(), "{error:?}");
    assert_eq!(scripted.calls().len(), 1);
}

#[test]
fn safaricoms_production_host_is_production_by_whatever_way() {
    assert!(Environment::custom("https://api.safaricom.co.ke").unwrap().is_production());
    assert!(Environment::custom("https://API.safaricom.co.ke./").unwrap().is_production());
    assert!(!Environment::custom("https://sandbox.safaricom.co.ke").unwrap().is_production());
}

#[tokio::test(start_paused = true)]
async fn a_push_whose_token_came_too_late_is_not_sent() {
    use daraja::simulator::{Fault, Route, Simulator};
    use std::time::Duration;

    let simulator = Simulator::new();
    let client = simulator.client_builder().timeout(Duration::from_secs(8)).build().unwrap();
    let push = push_to(&simulator.merchant(), "254708374149", 1, "https://shop.example/");
    // Refused after 3 of the 8 seconds, and the new token takes 3.5 more: less than 2 seconds are left.
    client.warm_up().await.unwrap();
    simulator.fault(Route::StkPush, Fault::Slow(Duration::from_secs(3)));
    simulator.fault(Route::OAuth, Fault::Slow(Duration::from_millis(3_500)));
    simulator.expire_tokens();
    let error = client.send(&push).await.unwrap_err();
    assert!(matches!(error, Error::TooLate(TooLate::Deadline)) && error.is_retryable(), "{error:?}");
    assert!(simulator.prompts().is_empty());

    // Refused after 7 seconds there is no time for a new token at all, and nothing is said of one.
    simulator.fault(Route::StkPush, Fault::Slow(Duration::from_secs(7)));
    simulator.expire_tokens();
    let error = client.send(&push).await.unwrap_err();
    assert!(!error.outcome_unknown() && !error.to_string().contains("fresh token"), "{error:?}");
    assert!(simulator.prompts().is_empty());
}
