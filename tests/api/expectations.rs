//! What came in, compared with what was asked.

use daraja::{
    CheckoutRequestId, Kes, Msisdn,
    webhook::{
        Ack, C2bRejection, Event,
        EventKind::{self, C2b, C2bConfirmation, C2bValidation, QueueTimeout, Result as Answer, Stk, Unknown},
        Expected, Mismatch,
    },
};

const ID: &str = "ws_CO_1";
const PAYER: &str = "254708374149";

/// The receipt of money that came in as asked.
type Verdict = Result<Option<&'static str>, Mismatch>;

fn asked() -> Expected {
    let id: CheckoutRequestId = ID.parse().unwrap();
    Expected::new(Kes::from_cents(50_000)).payer(PAYER.parse().unwrap()).checkout_request_id(id)
}

fn callback(id: &str, code: &str, items: &str) -> String {
    format!(
        r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"{id}","ResultCode":{code},"CallbackMetadata":{{"Item":[{items}]}}}}}}}}"#
    )
}

const RECEIPT: &str = r#"{"Name":"MpesaReceiptNumber","Value":"UJ65WSR9W7"}"#;

fn paid(id: &str, amount: &str, payer: &str) -> String {
    let item = |name, value: &str| {
        if value.is_empty() { String::new() } else { format!(r#",{{"Name":"{name}","Value":{value}}}"#) }
    };
    callback(id, "0", &format!("{RECEIPT}{}{}", item("Amount", amount), item("PhoneNumber", payer)))
}

fn notice(amount: &str, payer: &str) -> String {
    format!(r#"{{"TransID":"UJ65WSR9W7","TransAmount":"{amount}","MSISDN":"{payer}"}}"#)
}

fn compare(kind: EventKind, body: &str, expected: &Expected) -> Verdict {
    let event = Event::parse_as(kind, body.as_bytes()).unwrap();
    assert_eq!(event.kind(), kind, "{body}");
    event.expect(expected).map(|receipt| {
        receipt.map(|receipt| {
            assert_eq!(receipt.as_str(), "UJ65WSR9W7");
            "UJ65WSR9W7"
        })
    })
}

fn amount(told: Option<i64>) -> Verdict {
    Err(Mismatch::Amount { asked: Kes::from_cents(50_000), told: told.map(Kes::from_cents) })
}

const PAID: Verdict = Ok(Some("UJ65WSR9W7"));
const NO_MONEY: Verdict = Ok(None);
const REQUEST: Verdict = Err(Mismatch::Request);
const OTHER_PUSH: Verdict = Err(Mismatch::OtherPush);
const OTHER_PAYER: Verdict = Err(Mismatch::Payer);
const OTHER_ACCOUNT: Verdict = Err(Mismatch::Account);

#[test]
fn a_callback_is_compared_by_id_amount_and_payer() {
    for (body, expected) in [
        (paid(ID, "500", PAYER), PAID),
        (paid(ID, "500.00", PAYER), PAID),
        (paid(ID, "\"500\"", PAYER), PAID),
        (paid(ID, "500", ""), PAID),
        (paid(ID, "500", "\"2547*****149\""), PAID),
        (paid(ID, "500", "\"0708374149\""), PAID),
        (paid(ID, "499", PAYER), amount(Some(49_900))),
        (paid(ID, "501", PAYER), amount(Some(50_100))),
        (paid(ID, "500.01", PAYER), amount(Some(50_001))),
        (paid(ID, "5", PAYER), amount(Some(500))),
        (paid(ID, "50000", PAYER), amount(Some(5_000_000))),
        (paid(ID, "-500", PAYER), amount(Some(-50_000))),
        (paid(ID, "0", PAYER), amount(Some(0))),
        (paid(ID, "", PAYER), amount(None)),
        (paid(ID, "\"500 KES\"", PAYER), NO_MONEY),
        (paid(ID, "500.001", PAYER), NO_MONEY),
        (paid(ID, "500", "254700000001"), OTHER_PAYER),
        (paid(ID, "5", "254700000001"), amount(Some(500))),
        (paid("ws_CO_2", "500", PAYER), OTHER_PUSH),
        (paid("WS_CO_1", "500", PAYER), OTHER_PUSH),
        (paid("ws_CO_11", "500", PAYER), OTHER_PUSH),
        (paid("ws_CO_2", "5", "254700000001"), OTHER_PUSH),
        // Of what was not paid only the id is compared.
        (callback(ID, "1032", ""), NO_MONEY),
        (callback("ws_CO_2", "1032", ""), REQUEST),
        (callback(ID, "0", ""), NO_MONEY),
        (callback("ws_CO_2", "26", ""), REQUEST),
        // What proves no payment and speaks for one is money of another push, perhaps.
        (callback("ws_CO_2", "0", ""), OTHER_PUSH),
        (callback("ws_CO_2", "1032", RECEIPT), OTHER_PUSH),
        (callback("ws_CO_2", "26", RECEIPT), OTHER_PUSH),
        (paid("ws_CO_2", "500.001", PAYER), OTHER_PUSH),
        (callback(ID, "1032", RECEIPT), NO_MONEY),
        (callback(ID, "26", RECEIPT), NO_MONEY),
    ] {
        assert_eq!(compare(Stk, &body, &asked()), expected, "{body}");
    }
}

#[test]
fn what_was_not_said_to_be_expected_is_not_compared() {
    let any = || Expected::new(Kes::from_cents(50_000));
    assert_eq!(compare(Stk, &paid("ws_CO_2", "500", "254700000001"), &any()), PAID);
    assert_eq!(compare(Stk, &paid("ws_CO_2", "501", "254700000001"), &any()), amount(Some(50_100)));
    assert_eq!(compare(Stk, &paid("ws_CO_2", "500", PAYER), &asked().checkout_request_id(None)), PAID);
    let payer: Msisdn = "254700000001".parse().unwrap();
    assert_eq!(compare(Stk, &paid("ws_CO_2", "500", PAYER), &any().payer(payer)), OTHER_PAYER);
}

#[test]
fn a_confirmation_is_compared_by_amount_and_by_what_is_seen_of_the_payer() {
    let hash = "0d2f4e1c".repeat(8);
    for (body, expected) in [
        (notice("500.00", PAYER), PAID),
        (notice("500.00", "2547 ***** 149"), PAID),
        (notice("500.00", "25470****149"), PAID),
        (notice("500.00", &hash), PAID),
        (notice("500.00", ""), PAID),
        (notice("500.00", "2547 ***** 126"), OTHER_PAYER),
        (notice("500.00", "2541 ***** 149"), OTHER_PAYER),
        (notice("500.00", "254700000001"), OTHER_PAYER),
        (notice("5.00", "2547 ***** 149"), amount(Some(500))),
        (notice("", "2547 ***** 149"), amount(None)),
    ] {
        assert_eq!(compare(C2bConfirmation, &body, &asked()), expected, "{body}");
    }
}

#[test]
fn only_a_confirmation_tells_of_money() {
    for payment in [notice("500.00", PAYER), notice("5.00", PAYER), notice("500.00", "254700000001")] {
        for kind in [C2bValidation, C2b] {
            let verdict = compare(kind, &payment, &asked());
            assert_eq!(verdict, REQUEST, "{kind} {payment}");
        }
    }
    for no_receipt in ["0", "UJ60000000", "null"] {
        let body = notice("500.00", PAYER).replace("UJ65WSR9W7", no_receipt);
        assert_eq!(compare(C2bConfirmation, &body, &asked()), REQUEST, "{no_receipt}");
    }
}

#[test]
fn what_tells_of_no_payment_in_is_about_something_else() {
    let result = r#"{"Result":{"ResultCode":0,"TransactionID":"UJ65WSR9W7","ResultParameters":{"ResultParameter":
        [{"Key":"TransactionReceipt","Value":"UJ65WSR9W7"},{"Key":"TransactionAmount","Value":500}]}}}"#;
    for (kind, body) in
        [(Answer, result), (QueueTimeout, result), (Unknown, result), (QueueTimeout, "{}"), (Unknown, "1")]
    {
        assert_eq!(compare(kind, body, &asked()), REQUEST, "{kind}");
        assert_eq!(compare(kind, body, &Expected::new(Kes::from_cents(50_000))), REQUEST, "{kind}");
    }
}

#[test]
fn a_mismatch_says_whether_money_came_in() {
    let told = Some(Kes::from_cents(500));
    let asked = Kes::from_cents(50_000);
    for (mismatch, is_about_money, words) in [
        (Mismatch::Request, false, "the delivery is about another request"),
        (Mismatch::OtherPush, true, "money came in for another push than the one that was accepted"),
        (Mismatch::Account, true, "money came in under another account than was asked"),
        (Mismatch::Amount { asked, told }, true, "KES 5.00 came in where KES 500.00 was asked"),
        (Mismatch::Amount { asked, told: None }, true, "it is not told how much came in where KES 500.00 was asked"),
        (Mismatch::Payer, true, "the money came from another number than was asked"),
    ] {
        assert_eq!((mismatch.is_about_money(), mismatch.to_string().as_str()), (is_about_money, words));
    }
}

#[test]
fn each_kind_is_acknowledged_as_daraja_documents_it() {
    const TOOK: &str = r#"{"ResultCode":0,"ResultDesc":"Accepted"}"#;
    for (kind, body, ack) in [
        (Stk, callback(ID, "0", ""), TOOK),
        (Answer, r#"{"Result":{"ResultCode":0}}"#.to_owned(), TOOK),
        (QueueTimeout, "{}".to_owned(), TOOK),
        (Unknown, "{}".to_owned(), TOOK),
        (C2b, notice("5.00", ""), TOOK),
        (C2bValidation, notice("5.00", ""), r#"{"ResultCode":"0","ResultDesc":"Accepted"}"#),
        (C2bConfirmation, notice("5.00", ""), r#"{"ResultCode":0,"ResultDesc":"Success"}"#),
    ] {
        assert_eq!(Event::parse_as(kind, body.as_bytes()).unwrap().ack().as_str(), ack, "{kind}");
    }
    for (reason, code) in [
        (C2bRejection::Msisdn, "C2B00011"),
        (C2bRejection::Account, "C2B00012"),
        (C2bRejection::Amount, "C2B00013"),
        (C2bRejection::Kyc, "C2B00014"),
        (C2bRejection::ShortCode, "C2B00015"),
        (C2bRejection::Other, "C2B00016"),
    ] {
        let expected = format!(r#"{{"ResultCode":"{code}","ResultDesc":"Rejected"}}"#);
        assert_eq!(String::from(Ack::reject(reason)), expected);
    }
    let hostile = Ack::accept_validation_as("a\",\"ResultCode\":\"C2B00016\n").to_string();
    let read: serde_json::Value = serde_json::from_str(&hostile).unwrap();
    assert_eq!(read["ResultCode"], "0");
    assert_eq!(read["ThirdPartyTransID"], "a\",\"ResultCode\":\"C2B00016\n");
}

#[test]
fn a_confirmation_is_compared_by_the_account_that_was_typed() {
    let typed = |account: &str| notice("500.00", "").replace('}', &format!(r#","BillRefNumber":"{account}"}}"#));
    let of_account = || asked().account("INV-001".parse().unwrap());
    for (account, expected) in [
        ("INV-001", PAID),
        ("inv-001", PAID),
        (" INV-001 ", PAID),
        ("INV-002", OTHER_ACCOUNT),
        ("INV-0011", OTHER_ACCOUNT),
        ("INV 001", OTHER_ACCOUNT),
        ("INV001", OTHER_ACCOUNT),
        ("", OTHER_ACCOUNT),
    ] {
        assert_eq!(compare(C2bConfirmation, &typed(account), &of_account()), expected, "{account}");
    }
    assert_eq!(compare(C2bConfirmation, &notice("500.00", ""), &of_account()), OTHER_ACCOUNT);
    assert_eq!(compare(C2bConfirmation, &typed("INV-002"), &asked()), PAID);
    // A callback does not tell it.
    assert_eq!(compare(Stk, &paid(ID, "500", PAYER), &of_account()), PAID);
}

#[test]
fn a_confirmation_of_money_that_somebody_else_got_is_about_another_request() {
    let to = |code: &str| notice("500.00", "").replace('}', &format!(r#","BusinessShortCode":"{code}"}}"#));
    let ours = || asked().short_code("600966".parse().unwrap());
    for (code, expected) in [("600966", PAID), ("600967", REQUEST), ("", REQUEST), ("rubbish", REQUEST)] {
        assert_eq!(compare(C2bConfirmation, &to(code), &ours()), expected, "{code}");
    }
    assert_eq!(compare(C2bConfirmation, &notice("500.00", ""), &ours()), REQUEST);
    assert_eq!(compare(C2bConfirmation, &to("600967"), &asked()), PAID);
    // A callback does not tell it.
    assert_eq!(compare(Stk, &paid(ID, "500", PAYER), &ours()), PAID);
}

#[test]
fn money_under_a_mistyped_account_is_money_all_the_same() {
    let told = |code: &str, account: &str, amount: &str, payer: &str| {
        notice(amount, payer).replace('}', &format!(r#","BusinessShortCode":"{code}","BillRefNumber":"{account}"}}"#))
    };
    let ours = || asked().account("INV-001".parse().unwrap()).short_code("600966".parse().unwrap());
    let (right, other) = ("2547 ***** 149", "2547 ***** 126");
    for (body, expected) in [
        (told("600966", "INV-001", "500.00", right), PAID),
        (told("600966", "INV 001", "500.00", right), OTHER_ACCOUNT),
        // Of several differences the account counts before the amount, which counts before the payer: money of another account
        // must not be taken for a part of what is due for this one.
        (told("600966", "INV 001", "5.00", other), OTHER_ACCOUNT),
        (told("600966", "INV-001", "5.00", other), amount(Some(500))),
        (told("600966", "INV-001", "500.00", other), OTHER_PAYER),
        // Only another short code says that it is not our money.
        (told("600967", "INV-001", "500.00", right), REQUEST),
        (told("600967", "INV 001", "5.00", other), REQUEST),
    ] {
        let verdict = compare(C2bConfirmation, &body, &ours());
        assert_eq!(verdict, expected, "{body}");
        let is_about_money = verdict.err().map(|mismatch| mismatch.is_about_money());
        assert_eq!(is_about_money, expected.err().map(|expected| expected != Mismatch::Request), "{body}");
    }
    // A question whether it may be paid is no money under any account.
    let question = told("600966", "INV 001", "500.00", right);
    assert_eq!(compare(C2bValidation, &question, &ours()), REQUEST);
    // Without a short code to compare it is taken for our money.
    let unbound = asked().account("INV-001".parse().unwrap());
    assert_eq!(compare(C2bConfirmation, &told("600967", "INV 001", "500.00", right), &unbound), OTHER_ACCOUNT);
}
