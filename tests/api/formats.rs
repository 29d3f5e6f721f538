//! What an application stores is read again from every format that serde writes, not from JSON alone.

use daraja::{
    AccountReference, B2cOutcome, B2cPayment, B2cPurpose, B2cResult, CheckoutRequestId, ConversationId, Kes,
    MerchantRequestId, Msisdn, Occasion, OriginatorConversationId, Party, Payout, PayoutState, QueueTimeout,
    ReceiptNumber, Remarks, ResultCode, RetryPolicy, Shillings, ShortCode, TillNumber, Timestamp, TransactionDesc,
    b2c::{IdDocument, IdKind},
    payout::Contradiction,
    transport::TransportErrorKind::Interrupted,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    b2c::{ACCEPTED, payment},
    support::{Scripted, Step, answer, fixtures, initiator, note, refusal, result_urls},
};

/// Writes a value and reads it again: in JSON, and in a format that does not say what kind a value is of.
fn stays<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let binary = postcard::to_allocvec(value).unwrap();
    assert_eq!(postcard::from_bytes::<T>(&binary).as_ref(), Ok(value));
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value);
    let json = serde_json::to_value(value).unwrap();
    assert_eq!(&serde_json::from_value::<T>(json).unwrap(), value);
}

#[test]
fn every_value_is_read_again() {
    fn parsed<
        T: std::str::FromStr<Err: std::fmt::Debug> + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
    >(
        text: &str,
    ) {
        stays(&text.parse::<T>().unwrap());
    }
    parsed::<Msisdn>("254708374149");
    parsed::<Shillings>("4294967295");
    parsed::<Kes>("-1980.05");
    parsed::<Timestamp>("20261006224852");
    parsed::<ShortCode>("0600310");
    parsed::<TillNumber>("600310");
    parsed::<ReceiptNumber>("UJ65WSR9W7");
    parsed::<CheckoutRequestId>("ws_CO_180920261803512708374149");
    parsed::<MerchantRequestId>("29115-34620561-1");
    parsed::<ConversationId>("AG_20261006_20106e9209f64bebd05b");
    parsed::<OriginatorConversationId>("supplier-7-invoice-1042");
    parsed::<AccountReference>("0042");
    parsed::<TransactionDesc>("Order 1042");
    parsed::<Remarks>("Invoice 1042 of March");
    parsed::<Occasion>("March 2026");
    parsed::<Party>("254708374149 - WANJIKU MFANO");
    for code in ["0", "1032", "00", "0.0", "-1", "SFC_IC0003", "18446744073709551615", "18446744073709551616"] {
        parsed::<ResultCode>(code);
    }
    // It is cut behind a space.
    parsed::<ResultCode>(&format!("{} {}", "A".repeat(63), "B"));
}

#[test]
fn every_outcome_of_a_payout_is_read_again() {
    for (_, body) in fixtures("b2c/result") {
        stays::<B2cOutcome>(&B2cResult::parse(&body).unwrap().outcome);
    }
}

fn at(seconds: u32) -> Timestamp {
    format!("202610061200{seconds:02}").parse().unwrap()
}

fn begun(payment: &B2cPayment) -> Payout {
    let mut payout = Payout::new(payment.clone());
    drop(payout.begin(at(0)).unwrap());
    payout
}

async fn sent(payment: &B2cPayment, step: Step) -> Payout {
    let mut payout = begun(payment);
    let client = Scripted::new([step]).builder().retry(RetryPolicy::never()).build().unwrap();
    note(&mut payout, client.send(payment).await, at(1));
    payout
}

fn result(code: &str, receipt: &str) -> B2cResult {
    let body = format!(
        r#"{{"Result":{{"ResultCode":{code},"ResultDesc":"Odd words.","OriginatorConversationID":"supplier-7-invoice-1042",
            "ConversationID":"AG_20261006_20106e9209f64bebd05b","ResultParameters":{{"ResultParameter":[
            {{"Key":"TransactionReceipt","Value":"{receipt}"}},{{"Key":"TransactionAmount","Value":10.00}},
            {{"Key":"ReceiverPartyPublicName","Value":"254708374149 - WANJIKU MFANO"}},
            {{"Key":"TransactionCompletedDateTime","Value":"06.10.2026 12:00:01"}},
            {{"Key":"B2CRecipientIsRegisteredCustomer","Value":"Y"}},
            {{"Key":"B2CChargesPaidAccountAvailableFunds","Value":-1980.05}}]}}}}}}"#
    );
    B2cResult::parse(body.as_bytes()).unwrap()
}

/// A payout in each state that it can be in, and with what contradicts itself.
async fn payouts(payment: &B2cPayment) -> Vec<Payout> {
    let accepted = sent(payment, answer(200, ACCEPTED)).await;
    let told = |results: &[B2cResult]| {
        let mut payout = accepted.clone();
        for result in results {
            payout.take_result(result, at(2)).unwrap();
        }
        payout
    };
    let (paid, failed) = (result("0", "UJ65WSR9W7"), result("1", ""));
    let mut timed_out = begun(payment);
    timed_out.take_timeout(&QueueTimeout::parse(b"{}").unwrap(), at(1)).unwrap();
    let mut asked = accepted.clone();
    let unheard = Err("x y".parse::<ConversationId>().unwrap_err().into());
    let query = asked.status_query(&initiator(), result_urls()).unwrap();
    asked.asked(&query, &unheard, at(3));
    // Its answer was lost: a payment of version 1 keeps what is reported until its ids are known.
    let mut reported = sent(payment, Step::Fail(Interrupted)).await;
    reported.take_result(&result("17", ""), at(2)).unwrap();
    let all = vec![
        reported,
        Payout::new(payment.clone()),
        begun(payment),
        sent(payment, Step::Fail(Interrupted)).await,
        sent(payment, answer(429, "")).await,
        sent(payment, refusal(500, "500.002.1001", "Duplicate OriginatorConversationID.")).await,
        sent(payment, refusal(400, "400.002.02", "Bad Request - Invalid Remarks")).await,
        timed_out,
        asked,
        told(std::slice::from_ref(&paid)),
        told(std::slice::from_ref(&failed)),
        told(&[paid.clone(), failed.clone()]),
        told(&[failed, paid.clone()]),
        told(&[paid, result("0", "UJ65WSR9W8")]),
        told(&[result("17", "")]),
        told(&[result("1", "UJ65WSR9W7")]),
        accepted,
    ];
    let is_there = |state: fn(&PayoutState) -> bool| assert!(all.iter().any(|payout| state(payout.state())));
    is_there(|state| *state == PayoutState::Created);
    is_there(|state| *state == PayoutState::Sending);
    is_there(|state| *state == PayoutState::Accepted);
    is_there(|state| *state == PayoutState::Unknown);
    is_there(|state| matches!(state, PayoutState::Refused(_)));
    is_there(|state| matches!(state, PayoutState::Paid(_)));
    is_there(|state| matches!(state, PayoutState::Failed(_)));
    let has = |told: &Contradiction| assert!(all.iter().any(|payout| payout.contradictions().contains(told)));
    has(&Contradiction::PaidAfterFailure);
    has(&Contradiction::FailureAfterPayment);
    has(&Contradiction::SecondReceipt("UJ65WSR9W8".parse().unwrap()));
    all
}

#[tokio::test(start_paused = true)]
async fn a_payout_in_every_state_is_read_again() {
    let document = IdDocument::new(IdKind::Passport, "A1234567").unwrap();
    let noted = payment().remarks("Invoice 1042".parse().unwrap()).occasion("March".parse().unwrap());
    for payment in [
        payment(),
        payment().v1(),
        payment().to_pochi(),
        payment().with_id_check(document),
        noted.purpose(B2cPurpose::SalaryPayment),
    ] {
        for payout in payouts(&payment).await {
            stays(&payout);
        }
    }
}
