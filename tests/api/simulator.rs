//! The local Daraja: as strict as the real one, with its own words, and as slow or as fast as wanted.

use std::{collections::HashSet, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use daraja::{
    Msisdn, Payer, Shillings, StkPush,
    simulator::{Fault, Posted, Route, SCENARIOS, Simulator},
    webhook::Inbox,
};
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::time::{advance, sleep, timeout};

use crate::support::{ATTEMPT, RECEIVER};

const SECOND: Duration = Duration::from_secs(1);

fn body_of(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

/// Status, error code and words of a refusal.
fn refusal(response: &Response<Bytes>) -> (u16, String, String) {
    let body = body_of(response);
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    (response.status().as_u16(), text("errorCode"), text("errorMessage"))
}

fn ask_for_token(simulator: &Simulator, pair: &str) -> Response<Bytes> {
    let request = Request::get("/oauth/v1/generate?grant_type=client_credentials")
        .header("authorization", format!("Basic {}", STANDARD.encode(pair)))
        .body(Bytes::new());
    simulator.handle(&request.unwrap())
}

fn token(simulator: &Simulator) -> String {
    let response = ask_for_token(simulator, "simulator-consumer-key:simulator-consumer-secret");
    assert_eq!(response.status(), 200);
    assert_eq!(body_of(&response)["expires_in"], "3599", "a string, as on the wire");
    body_of(&response)["access_token"].as_str().unwrap().to_owned()
}

fn post(simulator: &Simulator, path: &str, token: &str, kind: &str, body: impl Into<Bytes>) -> Response<Bytes> {
    let request = Request::post(path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", kind)
        .body(body.into());
    simulator.handle(&request.unwrap())
}

const PUSH: &str = "/mpesa/stkpush/v1/processrequest";
const QUERY: &str = "/mpesa/stkpushquery/v1/query";
const JSON: &str = "application/json";

/// A right push, computed as a program in another language would: the passkey is the one the simulator prints.
fn right_push() -> Value {
    let passkey = "simulator-passkey-that-opens-nothing-anywhere-else";
    json!({
        "BusinessShortCode": "174379",
        "Password": STANDARD.encode(format!("174379{passkey}20240402170017")),
        "Timestamp": "20240402170017",
        "TransactionType": "CustomerPayBillOnline",
        "Amount": 1,
        "PartyA": "254708374149",
        "PartyB": "174379",
        "PhoneNumber": "254708374149",
        "CallBackURL": "https://shop.example/stk",
        "AccountReference": "INV-001",
        "TransactionDesc": "Payment",
    })
}

fn push_json(simulator: &Simulator, body: &Value) -> Response<Bytes> {
    post(simulator, PUSH, &token(simulator), JSON, body.to_string())
}

fn id(response: &Response<Bytes>) -> String {
    body_of(response)["CheckoutRequestID"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_wrong_field_is_refused_by_its_name() {
    let bad = |field: &str| (400, "400.002.02".to_owned(), format!("Bad Request - Invalid {field}"));
    let rows = [
        ("BusinessShortCode", json!("1743"), "BusinessShortCode"),
        ("BusinessShortCode", json!("17437x"), "BusinessShortCode"),
        ("BusinessShortCode", Value::Null, "BusinessShortCode"),
        ("Timestamp", json!("2024-04-02"), "Timestamp"),
        ("Timestamp", json!("20241302170017"), "Timestamp"),
        ("TransactionType", json!("customerpaybillonline"), "TransactionType"),
        ("Amount", json!(0), "Amount"),
        ("Amount", json!(-1), "Amount"),
        ("Amount", json!("1.50"), "Amount"),
        ("Amount", json!(1.5), "Amount"),
        ("Amount", json!("250001"), "Amount"),
        ("PartyA", json!("0708374149"), "PartyA"),
        ("PhoneNumber", json!("+254708374149"), "PhoneNumber"),
        ("PhoneNumber", json!("0708374149"), "PhoneNumber"),
        ("PhoneNumber", json!("254200000000"), "PhoneNumber"),
        ("PartyB", json!(""), "PartyB"),
        ("CallBackURL", json!("shop.example/stk"), "CallBackURL"),
        ("CallBackURL", json!("https://Shop.example/stk"), "CallBackURL"),
        ("AccountReference", json!(""), "AccountReference"),
        ("AccountReference", json!("INV-001-00000"), "AccountReference"),
        ("TransactionDesc", json!("fourteen chars"), "TransactionDesc"),
    ];
    for (field, value, named) in rows {
        let simulator = Simulator::new();
        let mut body = right_push();
        body[field] = value.clone();
        assert_eq!(refusal(&push_json(&simulator, &body)), bad(named), "{field}: {value}");
        body.as_object_mut().unwrap().remove(field);
        if field != "TransactionDesc" {
            assert_eq!(refusal(&push_json(&simulator, &body)), bad(named), "{field} is missing");
        }
        assert!(simulator.prompts().is_empty(), "{field}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_number_that_is_wrong_in_both_fields_is_refused_as_the_phone_number() {
    let simulator = Simulator::new();
    let mut body = right_push();
    body["PartyA"] = json!("254200000000");
    body["PhoneNumber"] = json!("254200000000");
    let named = (400, "400.002.02".to_owned(), "Bad Request - Invalid PhoneNumber".to_owned());
    assert_eq!(refusal(&push_json(&simulator, &body)), named);
}

#[tokio::test(start_paused = true)]
async fn numbers_or_strings_any_order_and_unknown_fields_are_taken() {
    let right = right_push();
    let mut numbers = right.clone();
    for field in ["BusinessShortCode", "Timestamp", "PartyA", "PartyB", "PhoneNumber"] {
        numbers[field] = serde_json::from_str(right[field].as_str().unwrap()).unwrap();
    }
    numbers["Amount"] = json!("1");
    numbers["Unknown"] = json!({ "deep": [1, null] });
    let fields = right.as_object().unwrap().iter().rev().map(|(key, value)| format!("{}:{value}", json!(key)));
    let reversed = format!("{{{}}}", fields.collect::<Vec<_>>().join(","));
    for body in [right.to_string(), numbers.to_string(), reversed] {
        let simulator = Simulator::new();
        let response = post(&simulator, PUSH, &token(&simulator), "application/json;charset=UTF-8", body.clone());
        assert_eq!(body_of(&response)["ResponseCode"], "0", "{body}");
        assert_eq!(simulator.prompts()[0].payer.to_string(), "254708374149");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_json_is_refused() {
    let simulator = Simulator::new();
    let token = token(&simulator);
    let form = "BusinessShortCode=174379&Amount=1";
    for kind in ["application/x-www-form-urlencoded", "text/plain", ""] {
        let expected = (400, "400.002.02".to_owned(), "Bad Request - Invalid BusinessShortCode".to_owned());
        assert_eq!(refusal(&post(&simulator, PUSH, &token, kind, form)), expected, "{kind}");
    }
    for body in [form, "", "{", "{\"Amount\":1} {}", "\"x\""] {
        let expected = (400, "400.002.05".to_owned(), "Invalid Request Payload".to_owned());
        assert_eq!(refusal(&post(&simulator, PUSH, &token, JSON, body)), expected, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn merchant_and_password_are_checked() {
    let simulator = Simulator::new();
    let mut body = right_push();
    body["Password"] = json!("bm90IHRoZSBwYXNzd29yZA==");
    let wrong = (500, "500.001.1001".to_owned(), "[MerchantValidate] - Wrong credentials".to_owned());
    assert_eq!(refusal(&push_json(&simulator, &body)), wrong);
    // A password of another second, which is what reading the clock twice makes.
    let mut body = right_push();
    body["Timestamp"] = json!("20240402170018");
    assert_eq!(refusal(&push_json(&simulator, &body)), wrong);
    let mut body = right_push();
    body["BusinessShortCode"] = json!("123456");
    assert_eq!(refusal(&push_json(&simulator, &body)).2, "Merchant does not exist");
}

#[tokio::test(start_paused = true)]
async fn tokens_are_checked_and_a_new_one_voids_the_old() {
    let simulator = Simulator::new();
    let bad = (404, "404.001.03".to_owned(), "Invalid Access Token".to_owned());
    assert_eq!(refusal(&post(&simulator, PUSH, "nonsense", JSON, "{}")), bad);
    let (first, second) = (token(&simulator), token(&simulator));
    assert_eq!(first.len(), 28);
    assert_eq!(refusal(&post(&simulator, PUSH, &first, JSON, "{}")), bad);
    assert_eq!(refusal(&post(&simulator, PUSH, &second, JSON, "{}")).0, 400);
    advance(3_599 * SECOND).await;
    assert_eq!(refusal(&post(&simulator, PUSH, &second, JSON, "{}")), bad);

    let lenient = Simulator::builder().tokens_coexist().build();
    let (first, _) = (token(&lenient), token(&lenient));
    assert_eq!(refusal(&post(&lenient, PUSH, &first, JSON, "{}")).0, 400);

    let without = Request::post(PUSH).header("content-type", JSON).body(Bytes::new()).unwrap();
    assert_eq!(refusal(&simulator.handle(&without)).1, "404.001.04");
}

#[tokio::test(start_paused = true)]
async fn oauth_checks_pair_grant_and_method() {
    let simulator = Simulator::new();
    let wrong = (400, "400.008.01".to_owned(), "Invalid Authentication passed".to_owned());
    assert_eq!(refusal(&ask_for_token(&simulator, "simulator-consumer-key:wrong")), wrong);
    assert_eq!(refusal(&ask_for_token(&simulator, "")), wrong);
    let pair = STANDARD.encode("simulator-consumer-key:simulator-consumer-secret");
    let without_grant = Request::get("/oauth/v1/generate").header("authorization", format!("Basic {pair}"));
    assert_eq!(refusal(&simulator.handle(&without_grant.body(Bytes::new()).unwrap())).1, "400.008.02");
    let posted = Request::post("/oauth/v1/generate?grant_type=client_credentials").body(Bytes::new()).unwrap();
    assert_eq!(refusal(&simulator.handle(&posted)).0, 405);
    let elsewhere = Request::get("/nowhere").body(Bytes::new()).unwrap();
    assert_eq!(refusal(&simulator.handle(&elsewhere)), (404, "404.001.01".to_owned(), "Resource not found".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn the_query_rate_is_enforced_and_can_be_set() {
    let query = |simulator: &Simulator| post(simulator, QUERY, &token(simulator), JSON, "{}").status().as_u16();
    let simulator = Simulator::new();
    assert_eq!(query(&simulator), 400);
    assert_eq!(query(&simulator), 429);
    advance(12 * SECOND).await;
    assert_eq!(query(&simulator), 400);
    let free = Simulator::builder().query_spacing(Duration::ZERO).build();
    assert_eq!([query(&free), query(&free)], [400, 400]);
}

/// What a query says at each of these seconds after the push.
async fn timeline(number: &str, seconds: &[u64]) -> Vec<(u16, String)> {
    let simulator = Simulator::builder().query_spacing(Duration::ZERO).build();
    let mut body = right_push();
    body["PhoneNumber"] = json!(number);
    let id = id(&push_json(&simulator, &body));
    let token = token(&simulator);
    let mut told = Vec::new();
    let mut passed = 0;
    for &second in seconds {
        advance(Duration::from_secs(second - passed)).await;
        passed = second;
        let mut query = right_push();
        query["CheckoutRequestID"] = json!(id);
        let response = post(&simulator, QUERY, &token, JSON, query.to_string());
        let body = body_of(&response);
        let code = if body["errorCode"].is_null() { &body["ResultCode"] } else { &body["errorMessage"] };
        assert!(code.is_string(), "{body}");
        told.push((response.status().as_u16(), code.as_str().unwrap().to_owned()));
    }
    told
}

fn told(rows: &[(u16, &str)]) -> Vec<(u16, String)> {
    rows.iter().map(|(status, code)| (*status, (*code).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn the_timelines_are_the_measured_ones() {
    assert_eq!(timeline("254700000037", &[0, 6]).await, told(&[(200, "4999"), (200, "4999")]), "not answered: open");
    let after = timeline("254700000037", &(14..60).collect::<Vec<_>>()).await;
    let empty = after.iter().filter(|told| **told == (500, String::new())).count();
    let final_ones = after.iter().filter(|told| **told == (200, "1037".to_owned())).count();
    assert_eq!(empty + final_ones, 46);
    assert!((2..=20).contains(&empty), "now and then nothing: {empty}");
    assert_eq!(timeline("254700000032", &[1, 13, 27]).await, told(&[(200, ""), (200, ""), (200, "1032")]), "dismissed");
    assert_eq!(
        timeline("254708374149", &[1, 10, 17]).await,
        told(&[(200, "4999"), (200, "4999"), (200, "0")]),
        "approved"
    );
}

#[tokio::test(start_paused = true)]
async fn an_open_prompt_locks_the_line_and_a_push_is_never_deduplicated() {
    let simulator = Simulator::new();
    let first = id(&push_json(&simulator, &right_push()));
    let locked = refusal(&push_json(&simulator, &right_push()));
    assert_eq!((locked.0, locked.1.as_str()), (500, "500.001.1001"));
    assert!(locked.2.starts_with("Unable to lock subscriber"));
    advance(18 * SECOND).await;
    let second = id(&push_json(&simulator, &right_push()));
    assert_ne!(first, second, "the same reference twice is two payments, as Daraja has it");
    assert_eq!(simulator.prompts().len(), 2);
    assert!(second.starts_with("ws_CO_") && second.ends_with("708374149"), "{second}");
}

/// Pushes as a merchant's client does, and hands the callbacks out for a while.
async fn callbacks(simulator: &Simulator, numbers: &[&str], seconds: u64) -> Vec<Value> {
    let (client, merchant) = (simulator.client(), simulator.merchant());
    let url = RECEIVER.urls().stk(&ATTEMPT);
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let inbox = Inbox::new();
    let mut seen = Vec::new();
    let pushes = async {
        for number in numbers {
            let payer: Msisdn = number.parse().unwrap();
            let amount = Shillings::new(700).unwrap();
            let push = StkPush::new(&merchant, payer, amount, "A".parse().unwrap(), url.clone());
            sender.send(client.send(&push).await.unwrap().checkout_request_id.to_string()).unwrap();
        }
        sleep(Duration::from_secs(seconds)).await;
    };
    tokio::select! { () = pushes => {}, never = simulator.deliver_to(&RECEIVER, &inbox) => match never {} }
    drop(sender);
    while let Some(id) = receiver.recv().await {
        seen.push(json!({ "id": id, "remembered": inbox.len() }));
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn callbacks_come_once_twice_late_or_never() {
    for (number, after, due) in [
        ("254708374149", 10, 1),
        ("254708374149", 18, 0),
        ("254700000091", 0, 0),
        ("254700000092", 18, 1),
        ("254700000092", 20, 0),
        ("254700000094", 76, 1),
        ("254700000094", 78, 0),
    ] {
        let simulator = Simulator::new();
        callbacks(&simulator, &[number], after).await;
        assert_eq!(simulator.undelivered(), due, "{number} after {after} s");
    }
}

/// Takes the next callback, in a task of its own that already waits.
async fn taker(simulator: &Simulator) -> tokio::task::JoinHandle<Posted> {
    let simulator = simulator.clone();
    let taker = tokio::spawn(async move { simulator.next_callback().await });
    sleep(SECOND / 1_000).await;
    taker
}

async fn pay(simulator: &Simulator, number: &str) {
    let (payer, amount) = (number.parse().unwrap(), Shillings::new(500).unwrap());
    let url = simulator.callback_url();
    let push = StkPush::new(&simulator.merchant(), payer, amount, "INV-001".parse().unwrap(), url);
    simulator.client().send(&push).await.unwrap();
    sleep(SECOND / 1_000).await;
}

#[tokio::test(start_paused = true)]
async fn one_who_waits_for_callbacks_and_is_dropped_takes_no_wakeup_from_another() {
    let simulator = Simulator::new();
    let (dropped, other) = (taker(&simulator).await, taker(&simulator).await);
    pay(&simulator, "254708374149").await;
    // It stood first, so it knows by now when the callback is due.
    dropped.abort();
    timeout(60 * SECOND, other).await.expect("it is woken, too").unwrap();
    assert_eq!(simulator.undelivered(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_an_overtaken_callback_waited_for_frees_it_for_another_one_who_waits() {
    let simulator = Simulator::new();
    let (one, other) = (taker(&simulator).await, taker(&simulator).await);
    pay(&simulator, "254700000097").await;
    sleep(60 * SECOND).await;
    pay(&simulator, "254708374149").await;
    for taker in [one, other] {
        timeout(60 * SECOND, taker).await.expect("both are due").unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_overtaken_callback_comes_after_the_next_one() {
    let simulator = Simulator::new();
    let first = callbacks(&simulator, &["254700000097"], 60).await;
    assert_eq!(first[0]["remembered"], 0, "held back");
    let second = callbacks(&simulator, &["254708374149"], 60).await;
    assert_eq!(second[0]["remembered"], 2);
}

#[tokio::test(start_paused = true)]
async fn the_money_is_the_money_that_was_asked_for() {
    let (simulator, inbox) = (Simulator::new(), Inbox::new());
    let (client, merchant) = (simulator.client(), simulator.merchant());
    let number: Msisdn = "254708374149".parse().unwrap();
    simulator.customer(number).after(Duration::ZERO);
    let amount = Shillings::new(123_456).unwrap();
    let push = StkPush::new(&merchant, number, amount, "A".parse().unwrap(), RECEIVER.urls().stk(&ATTEMPT));
    let id = client.send(&push).await.unwrap().checkout_request_id;
    let wait = client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).into_future();
    let settled = tokio::select! { settled = wait => settled.unwrap(), never = simulator.deliver_to(&RECEIVER, &inbox) => match never {} };
    let daraja::stk::Outcome::Paid(payment) = settled.outcome else { panic!() };
    assert_eq!(payment.amount.unwrap(), amount.into());
    assert_eq!(payment.payer, Some(Payer::Msisdn(number)));
}

#[tokio::test(start_paused = true)]
async fn a_till_is_credited_by_its_store_and_a_mix_up_is_told_as_such() {
    let simulator = Simulator::new();
    let (client, inbox) = (simulator.client(), Inbox::new());
    let till = simulator.till_merchant();
    let mixed_up = daraja::Merchant::till(
        "174379".parse().unwrap(),
        "5123456".parse().unwrap(),
        "simulator-passkey-that-opens-nothing-anywhere-else",
    );
    for (merchant, number, paid) in [(till, "254700000050", true), (mixed_up, "254700000051", false)] {
        let amount = Shillings::new(5).unwrap();
        let push = StkPush::new(
            &merchant,
            number.parse().unwrap(),
            amount,
            "A".parse().unwrap(),
            RECEIVER.urls().stk(&ATTEMPT),
        );
        let id = client.send(&push).await.unwrap().checkout_request_id;
        let wait = client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).into_future();
        let settled = tokio::select! { settled = wait => settled.unwrap(), never = simulator.deliver_to(&RECEIVER, &inbox) => match never {} };
        match settled.outcome {
            daraja::stk::Outcome::Paid(_) => assert!(paid),
            daraja::stk::Outcome::Failed(failure) => {
                assert_eq!((paid, failure.code().as_number()), (false, Some(2028)));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn everyone_can_be_scripted_and_a_script_of_ones_own_wins() {
    let simulator = Simulator::new();
    simulator.everyone().ignores().after(Duration::ZERO);
    simulator.customer("254700000032".parse().unwrap()).approves().after(Duration::ZERO);
    let (client, merchant, inbox) = (simulator.client(), simulator.merchant(), Inbox::new());
    for (number, code) in [("254700000032", 0), ("254708374149", 1037), ("254700000001", 1037)] {
        let amount = Shillings::new(5).unwrap();
        let push = StkPush::new(
            &merchant,
            number.parse().unwrap(),
            amount,
            "A".parse().unwrap(),
            RECEIVER.urls().stk(&ATTEMPT),
        );
        let id = client.send(&push).await.unwrap().checkout_request_id;
        let wait = client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).into_future();
        let settled = tokio::select! { settled = wait => settled.unwrap(), never = simulator.deliver_to(&RECEIVER, &inbox) => match never {} };
        let told = match settled.outcome {
            daraja::stk::Outcome::Failed(failure) => failure.code().as_number().unwrap(),
            daraja::stk::Outcome::Paid(_) => 0,
        };
        assert_eq!(told, code, "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_brings_the_same_ids_and_receipts() {
    let play = |seed| async move {
        let start = "2026-11-23T09:00:00Z".parse().unwrap();
        let simulator = Simulator::builder().seed(seed).starting_at(start).build();
        callbacks(&simulator, &["254708374149", "254700000032"], 60).await
    };
    assert_eq!(play(7).await, play(7).await);
    assert_ne!(play(7).await, play(8).await);
}

#[test]
fn scenarios_are_told_apart_by_their_digits_and_leave_the_test_number_alone() {
    let digits: HashSet<u8> = SCENARIOS.iter().map(|scenario| scenario.ends_in).collect();
    assert_eq!(digits.len(), SCENARIOS.len());
    assert!(!digits.contains(&49) && digits.iter().all(|digits| *digits < 100));
}

#[tokio::test(start_paused = true)]
async fn faults_hit_the_next_call_of_their_route_and_no_other() {
    let simulator = Simulator::new();
    simulator.fault(Route::StkPush, Fault::ResetAfter);
    let client = simulator.client();
    let merchant = simulator.merchant();
    let push = |number: &str| {
        let amount = Shillings::new(5).unwrap();
        StkPush::new(&merchant, number.parse().unwrap(), amount, "A".parse().unwrap(), simulator.callback_url())
    };
    // The answer is lost, the prompt rang: unknown, and not pushed again.
    assert!(client.send(&push("254708374149")).await.unwrap_err().outcome_unknown());
    assert_eq!(simulator.prompts().len(), 1);
    client.send(&push("254700000050")).await.unwrap();
    assert_eq!((simulator.prompts().len(), simulator.calls(Route::StkPush)), (2, 2));
}

/// The exact verdict for each fault, and how many prompts rang: literal.
#[tokio::test(start_paused = true)]
async fn a_push_is_never_repeated_unless_it_was_provably_not_carried_out() {
    // fault, prompts, calls that arrived, unknown, done
    let rows = [
        (Fault::ResetBefore, 0, 0, true, false),
        (Fault::ResetAfter, 1, 1, true, false),
        (Fault::Slow(29 * SECOND), 1, 1, false, true),
        (Fault::Slow(31 * SECOND), 1, 1, true, false),
        (Fault::Truncated, 1, 1, true, false),
        (Fault::Html, 0, 1, true, false),
        (Fault::Empty, 0, 1, true, false),
        (Fault::ErrorInOk, 0, 1, true, false),
        (Fault::AcceptedButError, 1, 1, true, false),
        (Fault::Busy, 1, 1, true, false),
        (Fault::Throttled(None), 1, 2, false, true),
        (Fault::Throttled(Some(20)), 1, 2, false, true),
        (Fault::Throttled(Some(600)), 0, 1, false, false),
        (Fault::TokenExpired, 1, 2, false, true),
        (Fault::Redirect, 0, 1, true, false),
    ];
    for (fault, prompts, calls, unknown, done) in rows {
        let simulator = Simulator::new();
        simulator.fault(Route::StkPush, fault);
        let merchant = simulator.merchant();
        let amount = Shillings::new(5).unwrap();
        let payer = "254708374149".parse().unwrap();
        let push = StkPush::new(&merchant, payer, amount, "A".parse().unwrap(), simulator.callback_url());
        let outcome = simulator.client().send(&push).await;
        assert_eq!(simulator.prompts().len(), prompts, "{fault:?}: {outcome:?}");
        assert_eq!(simulator.calls(Route::StkPush), calls, "{fault:?}");
        assert_eq!(outcome.is_ok(), done, "{fault:?}: {outcome:?}");
        if let Err(error) = outcome {
            assert_eq!(error.outcome_unknown(), unknown, "{fault:?}: {error:?}");
            assert_eq!(error.is_retryable(), !unknown, "{fault:?}: {error:?}");
        }
    }
}
