//! Every observed shape of the STK callback, one oddity a file.

use std::{collections::BTreeMap, time::Duration};

use daraja::{
    Advice::{self, AskCustomer, FixConfiguration, RetryAfter, RetryNow},
    Kes, ResultCode, StkCallback, StkOutcome, StkReason,
    code::Why,
    stk::Source,
};

use crate::support::fixtures;

const ID: &str = "ws_CO_061020261702341254708374149";

/// What a fixture comes to.
#[derive(Debug, PartialEq)]
enum Expected {
    /// Amount in cents, payer, time; the receipt is the same in all.
    Paid(Option<i64>, Option<&'static str>, Option<&'static str>),
    Failed(StkReason),
    Unproven(&'static str),
    Refused(&'static str),
}
use Expected::{Failed, Paid, Refused, Unproven};

const PAYER: Option<&str> = Some("254708374149");
const TIME: Option<&str> = Some("20261006170251");

fn expected() -> BTreeMap<&'static str, Expected> {
    let whole = || Paid(Some(50_000), PAYER, TIME);
    BTreeMap::from([
        ("paid_five_items_balance_without_value", whole()),
        ("paid_four_items", whole()),
        ("paid_three_items_without_date", Paid(Some(50_000), PAYER, None)),
        ("paid_items_in_another_order", whole()),
        ("paid_amount_with_decimals", whole()),
        ("paid_numbers_as_strings", whole()),
        ("paid_balance_is_null", whole()),
        ("paid_balance_is_text", whole()),
        ("paid_values_before_names", whole()),
        ("paid_unknown_keys", whole()),
        ("paid_items_given_twice", whole()),
        ("paid_phone_masked", Paid(Some(50_000), None, TIME)),
        ("paid_date_unreadable", Paid(Some(50_000), PAYER, None)),
        ("paid_keys_in_another_order", whole()),
        ("paid_without_merchant_request_id", whole()),
        ("paid_without_outer_wrapping", whole()),
        ("paid_wrapped_by_a_proxy", whole()),
        ("paid_behind_a_byte_order_mark", whole()),
        ("paid_escaped_keys", whole()),
        ("paid_item_list_of_lists", whole()),
        ("unproven_single_item_object", Unproven("0")),
        ("unproven_zero_without_receipt", Unproven("0")),
        ("unproven_zero_without_metadata", Unproven("0")),
        ("unproven_zero_with_empty_receipt", Unproven("0")),
        ("unproven_zero_with_null_receipt", Unproven("0")),
        ("unproven_zero_with_placeholder_receipt", Unproven("0")),
        ("unproven_zero_with_two_receipts", Unproven("0")),
        ("unproven_looks_like_zero", Unproven("00")),
        ("unproven_zero_with_a_point", Unproven("0.0")),
        ("unproven_code_26", Unproven("26")),
        ("unproven_code_broker_overload", Unproven("100000001")),
        ("unproven_code_nobody_knows", Unproven("7777")),
        ("unproven_code_of_letters_nobody_knows", Unproven("R000002")),
        ("unproven_failure_with_receipt", Unproven("1032")),
        ("unproven_failure_with_two_receipts", Unproven("1032")),
        ("unproven_failure_with_rubbish_for_a_receipt", Unproven("1032")),
        ("unproven_zero_with_null_as_text", Unproven("0")),
        ("unproven_zero_with_zero_for_a_receipt", Unproven("0")),
        ("unproven_zero_with_a_number_for_a_receipt", Unproven("0")),
        ("failed_1032_with_placeholder_receipt", Failed(StkReason::Cancelled)),
        ("unproven_amount_contradicted", Unproven("0")),
        ("unproven_amount_unreadable", Unproven("0")),
        ("unproven_amount_out_of_range", Unproven("0")),
        ("unproven_two_codes", Unproven("")),
        ("unproven_no_code_with_a_receipt", Unproven("")),
        ("unproven_code_is_a_word", Unproven("Success")),
        ("unproven_code_26_with_an_amount", Unproven("26")),
        ("paid_payer_contradicted", Paid(Some(50_000), None, TIME)),
        ("failed_1032_cancelled", Failed(StkReason::Cancelled)),
        ("failed_1032_canceled_other_words", Failed(StkReason::Cancelled)),
        ("failed_1032_as_string", Failed(StkReason::Cancelled)),
        ("failed_1032_metadata_null", Failed(StkReason::Cancelled)),
        ("failed_1032_metadata_empty", Failed(StkReason::Cancelled)),
        ("failed_1032_metadata_text", Failed(StkReason::Cancelled)),
        ("failed_1032_without_words", Failed(StkReason::Cancelled)),
        ("failed_1032_given_twice", Failed(StkReason::Cancelled)),
        ("failed_1037_no_response", Failed(StkReason::NoResponse)),
        ("failed_1019_expired", Failed(StkReason::Expired)),
        ("failed_1_insufficient", Failed(StkReason::InsufficientFunds)),
        ("failed_2001_wrong_pin", Failed(StkReason::WrongPin)),
        ("failed_1001_locked", Failed(StkReason::SubscriberBusy)),
        ("failed_17_too_soon", Failed(StkReason::TooSoon)),
        ("failed_8006_pin_locked", Failed(StkReason::PinLocked)),
        ("failed_2028_not_permitted", Failed(StkReason::NotPermitted)),
        ("failed_sfc_ic0003", Failed(StkReason::NotPermitted)),
        ("failed_older_id_without_number", Failed(StkReason::Cancelled)),
        ("refused_two_ids", Refused("holds two different CheckoutRequestIDs")),
        ("refused_no_code", Refused("holds no ResultCode")),
        ("refused_null_code", Refused("holds no ResultCode")),
        ("refused_no_id", Refused("holds no CheckoutRequestID")),
        ("refused_empty_id", Refused("holds no CheckoutRequestID")),
        ("refused_id_with_blanks", Refused("holds no readable CheckoutRequestID")),
        ("refused_empty_object", Refused("holds no CheckoutRequestID")),
        ("refused_list", Refused("is not of the expected shape")),
        ("refused_cut_short", Refused("is JSON that is cut short")),
        ("refused_two_documents", Refused("is not JSON")),
        ("refused_html", Refused("is not JSON")),
    ])
}

#[test]
fn every_variant_is_read_for_what_it_proves() {
    let mut expected = expected();
    for (name, body) in fixtures("stk/callback") {
        let Some(expected) = expected.remove(name.as_str()) else { panic!("{name} is not in the table") };
        let parsed = StkCallback::parse(&body);
        match (expected, parsed) {
            (Paid(cents, payer, time), Ok(StkCallback { outcome: StkOutcome::Paid(payment), .. })) => {
                assert_eq!(payment.receipt.as_str(), "UJ65WSR9W7", "{name}");
                assert_eq!(payment.amount.map(Kes::cents), cents, "{name}");
                assert_eq!(
                    payment.payer.and_then(|payer| payer.msisdn()).map(|payer| payer.to_string()).as_deref(),
                    payer,
                    "{name}"
                );
                assert_eq!(payment.completed_at.map(|time| time.to_string()).as_deref(), time, "{name}");
            }
            (Failed(reason), Ok(StkCallback { outcome: StkOutcome::Failed(failure), .. })) => {
                assert_eq!(failure.reason(), reason, "{name}");
            }
            (Unproven(code), Ok(StkCallback { outcome: StkOutcome::Unproven(unproven), .. })) => {
                assert_eq!(unproven.code.to_string(), code, "{name}");
            }
            (Refused(problem), Err(error)) => assert!(error.problem().starts_with(problem), "{name}: {error}"),
            (expected, parsed) => panic!("{name}: {expected:?} was expected, not {parsed:?}"),
        }
    }
    assert!(expected.is_empty(), "fixtures without a file: {:?}", expected.keys());
}

#[test]
fn what_is_unproven_says_why_and_only_an_unknown_number_alone_does_not_speak_for_a_payment() {
    use Why::{Contradicted, NoReceipt, UnknownCode, UnreadableReceipt};
    let silent = ["unproven_code_26", "unproven_code_broker_overload", "unproven_code_nobody_knows"];
    let mut expected = BTreeMap::from([
        ("unproven_amount_contradicted", (Contradicted, Some("UJ65WSR9W7"))),
        ("unproven_amount_unreadable", (Contradicted, Some("UJ65WSR9W7"))),
        ("unproven_amount_out_of_range", (Contradicted, Some("UJ65WSR9W7"))),
        ("unproven_two_codes", (Contradicted, None)),
        ("unproven_no_code_with_a_receipt", (Contradicted, Some("UJ65WSR9W7"))),
        ("unproven_code_is_a_word", (UnknownCode, None)),
        ("unproven_code_26_with_an_amount", (UnknownCode, None)),
        ("unproven_single_item_object", (NoReceipt, None)),
        ("unproven_zero_without_receipt", (NoReceipt, None)),
        ("unproven_zero_without_metadata", (NoReceipt, None)),
        ("unproven_zero_with_empty_receipt", (NoReceipt, None)),
        ("unproven_zero_with_null_receipt", (NoReceipt, None)),
        ("unproven_zero_with_placeholder_receipt", (NoReceipt, None)),
        ("unproven_zero_with_two_receipts", (Contradicted, None)),
        ("unproven_looks_like_zero", (Contradicted, Some("UJ65WSR9W7"))),
        ("unproven_zero_with_a_point", (Contradicted, Some("UJ65WSR9W7"))),
        ("unproven_code_26", (UnknownCode, None)),
        ("unproven_code_broker_overload", (UnknownCode, None)),
        ("unproven_code_nobody_knows", (UnknownCode, None)),
        ("unproven_code_of_letters_nobody_knows", (UnknownCode, None)),
        ("unproven_failure_with_receipt", (Contradicted, Some("UJ65WSR9W7"))),
        ("unproven_failure_with_two_receipts", (Contradicted, None)),
        ("unproven_failure_with_rubbish_for_a_receipt", (Contradicted, None)),
        ("unproven_zero_with_null_as_text", (UnreadableReceipt("null".into()), None)),
        ("unproven_zero_with_zero_for_a_receipt", (UnreadableReceipt("0".into()), None)),
        ("unproven_zero_with_a_number_for_a_receipt", (UnreadableReceipt("2547******49".into()), None)),
    ]);
    for (name, body) in fixtures("stk/callback") {
        let Ok(StkCallback { outcome: StkOutcome::Unproven(told), .. }) = StkCallback::parse(&body) else { continue };
        let expected = expected.remove(name.as_str()).unwrap_or_else(|| panic!("{name} is not in the table"));
        assert_eq!(told.speaks_for_payment(), !silent.contains(&name.as_str()), "{name}");
        assert_eq!((told.why, told.receipt.map(|receipt| receipt.to_string()).as_deref()), expected, "{name}");
    }
    assert!(expected.is_empty(), "no such fixtures: {:?}", expected.keys());
}

#[test]
fn the_ids_are_kept_to_the_letter() {
    for (name, body) in fixtures("stk/callback") {
        if name.starts_with("refused") {
            continue;
        }
        let callback = StkCallback::parse(&body).unwrap();
        let id = if name.contains("older_id") { "ws_CO_DMZ_250600506_23022019144745852" } else { ID };
        assert_eq!(callback.checkout_request_id.as_str(), id, "{name}");
        let merchant = callback.merchant_request_id.map(|id| id.to_string());
        let expected = (!name.contains("without_merchant")).then(|| "ac7b-470b-8df7-23ab3cef38271280493".to_owned());
        assert_eq!(merchant, expected, "{name}");
    }
}

#[test]
fn a_failure_keeps_its_code_and_words() {
    let (_, body) = fixtures("stk/callback").into_iter().find(|(name, _)| name == "failed_1037_no_response").unwrap();
    let StkOutcome::Failed(failure) = StkCallback::parse(&body).unwrap().outcome else { panic!() };
    assert_eq!(failure.code(), &ResultCode::NO_RESPONSE);
    assert_eq!(failure.description(), "No response from user.");
}

/// Daraja's codes, the reason, what happened, what to do, what the customer reads after a callback.
type Told = (&'static [&'static str], StkReason, &'static str, Advice, &'static str);

const LATER: Advice = RetryAfter(Duration::from_secs(60));
const SHOP: &str = "This shop cannot take M-PESA payments at the moment. You have not been charged: ask the shop how else you can pay.";

const REASONS: [Told; 15] = [
    (
        &["1"],
        StkReason::InsufficientFunds,
        "the customer's balance is too low",
        AskCustomer,
        "Your M-PESA balance is too low for this payment. You have not been charged: top up and try again.",
    ),
    (
        &["2"],
        StkReason::BelowMinimum,
        "the amount is below the minimum",
        FixConfiguration,
        "This amount is too small to be paid by M-PESA. You have not been charged: ask the shop how else you can pay.",
    ),
    (
        &["3"],
        StkReason::AboveMaximum,
        "the amount is above the maximum of one payment",
        FixConfiguration,
        "This amount is too large for one M-PESA payment. You have not been charged: ask the shop how else you can pay.",
    ),
    (
        &["4"],
        StkReason::DailyLimit,
        "the customer's daily limit would be exceeded",
        AskCustomer,
        "This payment would exceed your M-PESA limit for today. You have not been charged: pay a smaller amount, or pay tomorrow.",
    ),
    (&["8"], StkReason::BalanceLimit, "the receiver's greatest balance would be exceeded", FixConfiguration, SHOP),
    (
        &["17"],
        StkReason::TooSoon,
        "the same amount from the same customer within two minutes",
        RetryAfter(Duration::from_secs(120)),
        "M-PESA refuses the same amount twice within two minutes. Check your M-PESA SMS first: if none confirms this payment, wait two minutes and try again.",
    ),
    (
        &["1001"],
        StkReason::SubscriberBusy,
        "another prompt or session is open on the customer's line",
        LATER,
        "There is already a request on this phone: answer or cancel it first. Then check your M-PESA SMS: if none confirms this payment, wait a minute and try again.",
    ),
    (
        &["1019"],
        StkReason::Expired,
        "the request expired",
        LATER,
        "No answer came from your phone. Check your M-PESA SMS first: if none confirms this payment, unlock your phone, keep it near and try again.",
    ),
    (
        &["1025", "9999"],
        StkReason::PromptNotSent,
        "the prompt could not be sent",
        LATER,
        "The payment request could not be shown on your phone. Check your M-PESA SMS first: if none confirms this payment, try again in a minute.",
    ),
    (
        &["1032"],
        StkReason::Cancelled,
        "the customer cancelled",
        RetryNow,
        "You cancelled the payment request. You have not been charged: start again when you want to pay.",
    ),
    (
        &["1037"],
        StkReason::NoResponse,
        "the customer did not answer, or the phone could not be reached",
        LATER,
        "No answer came from your phone. Check your M-PESA SMS first: if none confirms this payment, unlock your phone, keep it near and try again.",
    ),
    (
        &["2001"],
        StkReason::WrongPin,
        "the PIN was wrong",
        RetryNow,
        "The M-PESA PIN was wrong. You have not been charged: try again with care.",
    ),
    (
        &["8006"],
        StkReason::PinLocked,
        "the customer's PIN is locked",
        AskCustomer,
        "Your M-PESA PIN is locked. You have not been charged: unlock it with Safaricom, then try again.",
    ),
    (
        &["5", "6", "11", "13", "2006"],
        StkReason::PayerAccount,
        "the customer's account cannot pay",
        AskCustomer,
        "Your M-PESA account cannot make this payment. You have not been charged: contact Safaricom, or pay in another way.",
    ),
    (
        &["7", "12", "14", "18", "19", "20", "21", "22", "24", "29", "2028", "2040", "\"SFC_IC0003\"", "\"TP40153\""],
        StkReason::NotPermitted,
        "the short code, product or operator is not set up for this",
        FixConfiguration,
        SHOP,
    ),
];

#[test]
fn each_final_code_says_what_happened_what_to_do_and_what_can_be_shown() {
    for (codes, reason, happened, advice, shown) in REASONS {
        for code in codes {
            let body = format!(
                r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"ws_CO_1","ResultCode":{code},"ResultDesc":""}}}}}}"#
            );
            let StkOutcome::Failed(failure) = StkCallback::parse(body.as_bytes()).unwrap().outcome else {
                panic!("{code} is final");
            };
            assert_eq!((failure.reason(), failure.advice(), failure.source()), (reason, advice, Source::Callback));
            assert_eq!(failure.reason().to_string(), happened);
            assert_eq!(failure.customer_message(), shown);
            // The reason alone does not say who reported it.
            let promised_nothing = shown
                .replace("You have not been charged: ", "Check your M-PESA SMS first: if none confirms this payment, ");
            assert_eq!(reason.customer_message(), promised_nothing);
        }
    }
}

#[test]
fn not_charged_is_said_only_where_the_advice_is_not_to_look_again_after_a_pause() {
    for code in 1..10_000_u64 {
        let StkOutcome::Failed(failure) = read(&code.to_string(), "").outcome else { continue };
        let is_to_look_again = matches!(failure.advice(), RetryAfter(_));
        assert_eq!(!failure.customer_message().contains("charged"), is_to_look_again, "{code}");
    }
}

fn read(code: &str, items: &str) -> StkCallback {
    let body = format!(
        r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"{ID}","ResultCode":{code},"CallbackMetadata":{{"Item":[{items}]}}}}}}}}"#
    );
    StkCallback::parse(body.as_bytes()).unwrap()
}

const RECEIPT: &str = r#"{"Name":"MpesaReceiptNumber","Value":"UJ65WSR9W7"}"#;

#[test]
fn two_amounts_or_an_unreadable_one_prove_no_payment_and_none_at_all_is_not_reported() {
    for amounts in [
        r#"{"Name":"Amount","Value":1},{"Name":"Amount","Value":500}"#,
        r#"{"Name":"Amount","Value":500},{"Name":"Amount","Value":"?"}"#,
        r#"{"Name":"Amount","Value":"1.-"}"#,
        r#"{"Name":"Amount","Value":{"a":1}}"#,
        r#"{"Name":"Amount","Value":[500]}"#,
        r#"{"Name":"Amount","Value":1.005}"#,
        r#"{"Name":"Amount","Value":1e400}"#,
    ] {
        let StkOutcome::Unproven(told) = read("0", &format!("{amounts},{RECEIPT}")).outcome else {
            panic!("{amounts}")
        };
        assert!(told.speaks_for_payment(), "{amounts}");
        assert_eq!((told.why, told.receipt), (Why::Contradicted, Some("UJ65WSR9W7".parse().unwrap())), "{amounts}");
    }
    for absent in [r#"{"Name":"Amount"}"#, r#"{"Name":"Amount","Value":null}"#, r#"{"Name":"Amount","Value":" "}"#] {
        let StkOutcome::Paid(payment) = read("0", &format!("{absent},{RECEIPT}")).outcome else { panic!("{absent}") };
        assert_eq!(payment.amount, None, "{absent}");
    }
}

#[test]
fn an_unreadable_value_does_not_lose_the_callback() {
    for value in ["1e400", "-5e400", r#""\ud800""#, "{}", "[[1e400]]"] {
        for name in ["Balance", "PhoneNumber", "TransactionDate"] {
            let items = format!(r#"{{"Name":"{name}","Value":{value}}},{RECEIPT}"#);
            assert!(matches!(read("0", &items).outcome, StkOutcome::Paid(_)), "{items}");
        }
        let StkOutcome::Unproven(told) = read(value, RECEIPT).outcome else { panic!("{value}") };
        assert!(told.speaks_for_payment() && told.receipt.is_some() && told.code.to_string().is_empty(), "{value}");
        let StkOutcome::Unproven(told) =
            read("0", &format!(r#"{{"Name":"MpesaReceiptNumber","Value":{value}}}"#)).outcome
        else {
            panic!("{value}")
        };
        assert!(matches!(told.why, Why::UnreadableReceipt(_)), "{value}: {:?}", told.why);
    }
}

#[test]
fn what_is_too_large_or_too_deep_or_not_text_is_refused() {
    let large = format!(r#"{{"Body":{{"stkCallback":{{"Padding":"{}"}}}}}}"#, " ".repeat(65_536));
    assert!(
        StkCallback::parse(large.as_bytes()).unwrap_err().to_string().contains("more than the 65536 that are read")
    );
    let deep = format!("{}{}", r#"{"Body":"#.repeat(5_000), "}".repeat(5_000));
    assert!(StkCallback::parse(deep.as_bytes()).is_err());
    let deep_elsewhere = format!(r#"{{"Other":{}1{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    assert!(StkCallback::parse(deep_elsewhere.as_bytes()).is_err());
    assert!(StkCallback::parse(b"\xff\xfe{}").unwrap_err().to_string().contains("is not UTF-8"));
    assert!(StkCallback::parse(b"").unwrap_err().to_string().contains("is empty"));
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic_the_parser(body in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        drop(StkCallback::parse(&body));
    }

    #[test]
    fn a_fixture_with_a_byte_changed_does_not_panic_and_is_never_paid_without_its_receipt(
        index in 0_usize..77, at in 0_usize..700, byte in proptest::num::u8::ANY,
    ) {
        let (_, mut body) = fixtures("stk/callback").swap_remove(index);
        let at = at % body.len();
        body[at] = byte;
        if let Ok(StkCallback { outcome: StkOutcome::Paid(payment), .. }) = StkCallback::parse(&body) {
            proptest::prop_assert_eq!(payment.receipt.as_str().len(), 10);
        }
    }
}
