//! Numbers are read alike whatever features of `serde_json` the program's other dependencies enable.
//!
//! `.ci/run` runs all of these tests a second time with `arbitrary_precision`, `preserve_order` and `float_roundtrip`.

use daraja::{
    B2cOutcome, B2cPayment, B2cResult, Kes, Payout, PayoutState, ResultCode, Shillings, StkCallback, StkOutcome,
    StkStatus, TransactionStatusResult,
    code::{Unproven, Why},
    payout::Contradiction,
};

use crate::{
    b2c::payment,
    support::{Scripted, answer, merchant},
};

fn callback(code: &str, amount: &str) -> StkCallback {
    let items = format!(
        r#"{{"Item":[{{"Name":"Amount","Value":{amount}}},{{"Name":"MpesaReceiptNumber","Value":"SD25WSR9W7"}},
            {{"Name":"PhoneNumber","Value":254708374149.0}},{{"Name":"Balance","Value":1.5}}]}}"#
    );
    let body = format!(
        r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"ws_CO_1","ResultCode":{code},"CallbackMetadata":{items},
            "Unknown":[0.5,{{"a":1e2}}]}}}}}}"#
    );
    StkCallback::parse(body.as_bytes()).unwrap()
}

fn result(code: &str, amount: &str) -> B2cResult {
    let body = format!(
        r#"{{"Result":{{"OriginatorConversationID":"supplier-7-invoice-1042","ConversationID":"AG_C","ResultCode":{code},
            "ResultParameters":{{"ResultParameter":[{{"Key":"TransactionAmount","Value":{amount}}},
            {{"Key":"TransactionReceipt","Value":"UJ65WSR9W7"}}]}}}}}}"#
    );
    B2cResult::parse(body.as_bytes()).unwrap()
}

#[test]
fn an_amount_is_read_from_every_way_to_write_it() {
    for amount in ["500", "500.0", "500.00", "5e2", "5.0E+2", "\"500.00\""] {
        let StkOutcome::Paid(payment) = callback("0", amount).outcome else { panic!("{amount}") };
        assert_eq!(payment.amount, Some(Kes::from_cents(50_000)), "{amount}");
        let B2cOutcome::Paid(payout) = result("0", amount).outcome else { panic!("{amount}") };
        assert_eq!(payout.amount, Some(Kes::from_cents(50_000)), "{amount}");
    }
    for amount in ["500.005", "1e13", "18446744073709551616", "\"5e2\""] {
        assert!(matches!(callback("0", amount).outcome, StkOutcome::Unproven(_)), "{amount}");
        assert!(matches!(result("0", amount).outcome, B2cOutcome::Unproven(_)), "{amount}");
    }
}

#[test]
fn only_a_plain_zero_is_a_success() {
    for code in ["0.0", "-0", "0e0", "0.00", "1e-400", "-0.0"] {
        assert!(matches!(callback(code, "1").outcome, StkOutcome::Unproven(_)), "{code}");
        assert!(matches!(result(code, "1").outcome, B2cOutcome::Unproven(_)), "{code}");
        assert!(!serde_json::from_str::<ResultCode>(code).unwrap().is_success(), "{code}");
    }
    let question = |code| {
        let body = format!(r#"{{"Result":{{"ResultCode":{code},"ConversationID":"AG_1"}}}}"#);
        TransactionStatusResult::parse(body.as_bytes())
    };
    assert!(question("2032.0").is_ok());
    assert!(question("1e400").is_err());
}

#[test]
fn a_number_in_the_place_of_an_object_is_none() {
    for body in ["5", "5.5", r#"{"Result":5.5,"ResultCode":0}"#, r#"{"Body":1e2,"ResultCode":0}"#] {
        assert!(B2cResult::parse(body.as_bytes()).is_err(), "{body}");
        assert!(StkCallback::parse(body.as_bytes()).is_err(), "{body}");
    }
}

/// A key that only `serde_json` writes, for itself. Sent by somebody else it is the number that it says.
#[test]
fn the_private_key_of_a_number_makes_nothing_of_what_is_none() {
    let wrapped = |number: &str| format!(r#"{{"$serde_json::private::Number":{number}}}"#);
    assert_eq!(serde_json::from_str::<Kes>(&wrapped("\"500.00\"")).unwrap(), Kes::from_cents(50_000));
    for number in ["\"ten\"", "\"inf\"", "\"NaN\"", "\"\"", "{}", "null"] {
        assert!(serde_json::from_str::<Kes>(&wrapped(number)).is_err(), "{number}");
        assert!(serde_json::from_str::<ResultCode>(&wrapped(number)).is_err(), "{number}");
    }
}

const PAID: &str = r#"{"Name":"MpesaReceiptNumber","Value":"NLJ7RT61SV"}"#;

fn paid(more: &str, items: &str) -> String {
    format!(
        r#"{{"stkCallback":{{"CheckoutRequestID":"ws_CO_1",{more}"ResultCode":0,"CallbackMetadata":{{"Item":{items}}}}}}}"#
    )
}

/// In front it is a number; behind another key it is one more key that nobody knows.
#[tokio::test(start_paused = true)]
async fn the_private_key_of_a_number_behind_another_hides_nothing() {
    let key = r#""$serde_json::private::Number":"1","#;
    for body in [paid(key, &format!("[{PAID}]")), paid("", &format!(r#"[{{"Name":"x",{key}"Value":1}},{PAID}]"#))] {
        assert!(matches!(StkCallback::parse(body.as_bytes()).unwrap().outcome, StkOutcome::Paid(_)), "{body}");
    }
    let result =
        format!(r#"{{"Result":{{"ResultCode":0,{key}"TransactionID":"UJ65WSR9W7","ConversationID":"AG_1"}}}}"#);
    assert!(B2cResult::parse(result.as_bytes()).is_ok());
    let query = daraja::StkQuery::new(&merchant(), &"ws_CO_1".parse().unwrap());
    let refused = format!(r#"{{"requestId":"1",{key}"errorCode":"400.002.02","errorMessage":"no"}}"#);
    let error = Scripted::new([answer(400, refused)]).client().send(&query).await.unwrap_err();
    assert!(error.api().is_some_and(|error| error.code().is_some()), "{error:?}");
}

/// The parser that serves both gives up a document that holds a number out of range where named values belong.
#[test]
fn a_number_in_the_place_of_named_values_is_judged_alike_whatever_others_enable() {
    for (number, is_read) in [("1", true), ("1.5", true), ("1e400", false), ("-5e400", false)] {
        let within = paid("", &format!("[{number},{PAID}]"));
        let beside = paid(&format!(r#""CallbackMetadata":{number},"#), &format!("[{PAID}]"));
        for body in [within, beside] {
            assert_eq!(StkCallback::parse(body.as_bytes()).is_ok(), is_read, "{body}");
        }
    }
    for number in ["\"ten\"", "\"1e400\""] {
        let body = paid("", &format!(r#"[{{"$serde_json::private::Number":{number}}},{PAID}]"#));
        assert!(StkCallback::parse(body.as_bytes()).is_err(), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_code_of_an_answer_is_read_as_a_number_and_as_a_text() {
    let query = daraja::StkQuery::new(&merchant(), &"ws_CO_1".parse().unwrap());
    let unknown = |code: &str| StkStatus::Unknown(Unproven::new(code.into(), "", Why::UnknownCode));
    for (code, expected) in [
        ("0", StkStatus::Paid),
        ("0.0", unknown("0.0")),
        ("4999", StkStatus::Pending),
        ("4999.0", StkStatus::Pending),
        ("4999.5", unknown("4999.5")),
    ] {
        let body = format!(r#"{{"ResponseCode":"0","CheckoutRequestID":"ws_CO_1","ResultCode":{code}}}"#);
        let status = Scripted::new([answer(200, body)]).client().send(&query).await.unwrap();
        assert_eq!(status, expected, "{code}");
    }
    for body in [r#"{"errorCode":400.5,"errorMessage":1.5}"#, r#"{"ResponseCode":0.0}"#, r#"{"fault":{"a":1.50}}"#] {
        let scripted = Scripted::new((0..3).map(|_| answer(200, body)));
        let error = scripted.client().send(&query).await.unwrap_err();
        assert!(error.api().is_some(), "{body}: {error:?}");
    }
}

#[test]
fn another_amount_of_a_payout_is_seen_and_its_row_is_read_again() {
    let now = "20261006120000".parse().unwrap();
    for amount in ["1000", "1000.00", "1e3"] {
        let payment: B2cPayment = payment();
        assert_eq!(payment.amount(), Shillings::new(10).unwrap());
        let mut payout = Payout::new(payment);
        drop(payout.begin(now).unwrap());
        payout.take_result(&result("0", amount), now).unwrap();
        let other = Contradiction::OtherPayment(Some("UJ65WSR9W7".parse().unwrap()));
        assert_eq!(payout.contradictions(), [other], "{amount}");
        assert!(!matches!(payout.state(), PayoutState::Paid(_)), "{amount}");

        let row = serde_json::to_string(&payout).unwrap();
        assert_eq!(serde_json::from_str::<Payout>(&row).unwrap(), payout);
        assert_eq!(serde_json::from_slice::<Payout>(row.as_bytes()).unwrap(), payout);
        assert_eq!(serde_json::from_value::<Payout>(serde_json::to_value(&payout).unwrap()).unwrap(), payout);
    }
}
