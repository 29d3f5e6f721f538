//! Every known shape of a payout's result, one oddity a file.

use std::{collections::BTreeMap, time::Duration};

use daraja::{
    Advice, B2cOutcome, B2cReason, B2cResult, Kes, Party,
    code::Why::{self, Contradicted, NoReceipt, UnknownCode, UnreadableReceipt},
};

use crate::support::fixtures;

const FOLDER: &str = "b2c/result";

/// What is read beside the receipt, which is the same in all. Amounts in cents.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Seen {
    amount: Option<i64>,
    recipient: Option<&'static str>,
    at: Option<&'static str>,
    registered: Option<bool>,
    utility: Option<i64>,
    working: Option<i64>,
    charges: Option<i64>,
}

const WHOLE: Seen = Seen {
    amount: Some(1_000),
    recipient: Some("254708374149 - WANJIKU MFANO"),
    at: Some("20261006224852"),
    registered: Some(true),
    utility: Some(895_926_960),
    working: Some(119_937_100),
    charges: Some(-198_000),
};
const RECEIPT_ALONE: Seen =
    Seen { amount: None, recipient: None, at: None, registered: None, utility: None, working: None, charges: None };

#[derive(Debug)]
enum Expected {
    Paid(Seen),
    Failed(B2cReason),
    /// The code, why, and whether there is one receipt.
    Unproven(&'static str, Why, bool),
}
use Expected::{Failed, Paid, Unproven};

fn paid() -> Vec<(&'static str, Expected)> {
    let whole = [
        "whole",
        "numbers_as_strings",
        "amount_with_decimals",
        "code_as_string",
        "parameters_in_another_order",
        "keys_in_another_order",
        "values_before_keys",
        "parameters_given_twice",
        "debit_party_given_twice",
        "reference_item_list",
        "reference_item_without_value",
        "reference_data_null",
        "reference_data_absent",
        "id_misspelt",
        "ids_given_twice",
        "without_ids",
        "without_conversation_id",
        "date_of_fourteen_digits",
        "date_as_number",
        "date_given_twice_in_two_ways",
        "list_of_lists",
        "receipt_given_twice",
        "wrapped_by_a_proxy",
        "inner_object_alone",
        "behind_a_byte_order_mark",
        "unknown_keys",
        "escaped_keys",
        "without_transaction_id",
        "with_placeholder_transaction_id",
    ];
    let no_amount = Seen { amount: None, ..WHOLE };
    let to = |recipient| Seen { recipient: Some(recipient), ..WHOLE };
    let odd = [
        ("amount_empty", no_amount),
        ("amount_null", no_amount),
        ("amount_without_value", no_amount),
        ("amount_missing", no_amount),
        ("charges_without_value", Seen { charges: None, ..WHOLE }),
        ("utility_contradicted", Seen { utility: None, ..WHOLE }),
        ("date_unreadable", Seen { at: None, ..WHOLE }),
        ("recipient_with_en_dash", to("254708374149 – WANJIKU MFANO")),
        ("recipient_masked", to("2547*****149 - WANJIKU MFANO")),
        ("recipient_without_dash", to("254708374149")),
        ("recipient_without_name", to("254708374149 - ")),
        ("recipient_is_a_number", to("254708374149")),
        ("recipient_is_a_business", to("600310 - Duka-La-Mfano")),
        ("recipient_unregistered", Seen { registered: Some(false), ..WHOLE }),
        ("registration_unreadable", Seen { registered: None, ..WHOLE }),
        ("single_parameter_object", RECEIPT_ALONE),
    ];
    let whole = whole.into_iter().map(|name| (name, Paid(WHOLE)));
    whole.chain(odd.into_iter().map(|(name, seen)| (name, Paid(seen)))).collect()
}

fn failed() -> Vec<(&'static str, Expected)> {
    use B2cReason::{
        AboveMaximum, BalanceLimit, BelowMinimum, DailyLimit, InitiatorLocked, InsufficientFunds, NotPermitted,
        PayerAccount, Recipient, WrongInitiator,
    };
    let table = [
        ("1_insufficient", InsufficientFunds),
        ("1_as_string", InsufficientFunds),
        ("1_with_transaction_id_like_a_receipt", InsufficientFunds),
        ("1_without_transaction_id", InsufficientFunds),
        ("1_without_words", InsufficientFunds),
        ("1_parameters_null", InsufficientFunds),
        ("1_parameters_empty", InsufficientFunds),
        ("1_with_placeholder_receipt", InsufficientFunds),
        ("1_given_twice", InsufficientFunds),
        ("2_below_minimum", BelowMinimum),
        ("3_above_maximum", AboveMaximum),
        ("4_daily_limit", DailyLimit),
        ("8_balance_limit", BalanceLimit),
        ("11_payer_account", PayerAccount),
        ("21_not_allowed", NotPermitted),
        ("2001_wrong_initiator", WrongInitiator),
        ("8006_single_parameter_object", InitiatorLocked),
        ("2040_unregistered", Recipient),
        ("2028_not_permitted", NotPermitted),
        ("sfc_ic0003", NotPermitted),
        ("tp40153", NotPermitted),
    ];
    table.into_iter().map(|(name, reason)| (name, Failed(reason))).collect()
}

fn unproven() -> Vec<(&'static str, Expected)> {
    let table = [
        ("zero_without_parameters", "0", NoReceipt, false),
        ("zero_with_null_parameters", "0", NoReceipt, false),
        ("zero_with_null_parameter", "0", NoReceipt, false),
        ("zero_with_no_parameter", "0", NoReceipt, false),
        ("zero_with_text_for_parameters", "0", NoReceipt, false),
        ("zero_without_receipt", "0", NoReceipt, false),
        ("zero_with_placeholder_receipt", "0", NoReceipt, false),
        ("zero_with_null_receipt", "0", NoReceipt, false),
        ("zero_with_empty_receipt", "0", NoReceipt, false),
        ("zero_with_receipt_without_value", "0", NoReceipt, false),
        ("zero_with_null_as_text", "0", UnreadableReceipt("null".into()), false),
        ("zero_with_zero_for_a_receipt", "0", UnreadableReceipt("0".into()), false),
        ("zero_with_a_number_for_a_receipt", "0", UnreadableReceipt("1234567890".into()), false),
        ("zero_with_zero_for_a_transaction_id", "0", UnreadableReceipt("0".into()), false),
        ("zero_with_receipt_of_another_transaction", "0", Contradicted, false),
        ("zero_with_two_receipts", "0", Contradicted, false),
        ("zero_with_two_amounts", "0", Contradicted, true),
        ("zero_with_two_amounts_and_two_receipts", "0", Contradicted, false),
        ("zero_with_unreadable_amount", "0", Contradicted, true),
        ("zero_with_amount_and_unreadable_amount", "0", Contradicted, true),
        ("zero_with_object_for_an_amount", "0", Contradicted, true),
        ("zero_with_parts_of_a_cent", "0", Contradicted, true),
        ("zero_with_two_recipients", "0", Contradicted, true),
        ("zero_with_two_names_of_the_recipient", "0", Contradicted, true),
        ("zero_with_two_times", "0", Contradicted, true),
        ("looks_like_zero", "00", UnknownCode, true),
        ("zero_with_a_point", "0.0", UnknownCode, true),
        ("failure_with_receipt", "1", Contradicted, true),
        ("failure_with_rubbish_for_a_receipt", "1", UnreadableReceipt("none".into()), false),
        ("failure_with_two_amounts", "1", Contradicted, false),
        ("code_15_duplicate", "15", UnknownCode, false),
        ("code_17_internal_failure", "17", UnknownCode, false),
        ("code_25_parameters", "25", UnknownCode, false),
        ("code_26_busy", "26", UnknownCode, false),
        ("code_broker_overload", "100000001", UnknownCode, false),
        ("code_nobody_knows", "7777", UnknownCode, false),
        ("code_2032_not_found", "2032", UnknownCode, false),
        ("code_of_letters_nobody_knows", "R000001", UnknownCode, false),
        ("code_r000002", "R000002", UnknownCode, false),
        ("code_negative", "-1", UnknownCode, false),
    ];
    table.into_iter().map(|(name, code, why, receipt)| (name, Unproven(code, why, receipt))).collect()
}

fn expected() -> BTreeMap<String, Expected> {
    let all = [("paid", paid()), ("failed", failed()), ("unproven", unproven())];
    all.into_iter()
        .flat_map(|(kind, list)| list.into_iter().map(move |(name, to)| (format!("{kind}_{name}"), to)))
        .collect()
}

#[test]
fn every_variant_is_read_for_what_it_proves() {
    let mut expected = expected();
    for (name, body) in fixtures(FOLDER) {
        let Some(expected) = expected.remove(&name) else { panic!("{name} is not in the table") };
        let result = B2cResult::parse(&body).unwrap_or_else(|error| panic!("{name}: {error}"));
        match (expected, result.outcome) {
            (Paid(seen), B2cOutcome::Paid(payout)) => {
                assert_eq!(payout.receipt.as_str(), "UJ65WSR9W7", "{name}");
                let at = payout.completed_at.map(|at| at.to_string());
                let read = Seen {
                    amount: payout.amount.map(Kes::cents),
                    recipient: seen.recipient.filter(|text| payout.recipient == Some(Party::new(*text))),
                    at: seen.at.filter(|text| at.as_deref() == Some(*text)),
                    registered: payout.recipient_is_registered,
                    utility: payout.utility_balance.map(Kes::cents),
                    working: payout.working_balance.map(Kes::cents),
                    charges: payout.charges_balance.map(Kes::cents),
                };
                assert_eq!(read, seen, "{name}");
                assert_eq!((payout.recipient.is_some(), at.is_some()), (seen.recipient.is_some(), seen.at.is_some()));
            }
            (Failed(reason), B2cOutcome::Failed(failure)) => assert_eq!(failure.reason(), reason, "{name}"),
            (Unproven(code, why, has_receipt), B2cOutcome::Unproven(told)) => {
                assert_eq!((told.code.to_string().as_str(), told.why), (code, why), "{name}");
                let receipt = has_receipt.then(|| "UJ65WSR9W7".parse().unwrap());
                assert_eq!(told.receipt, receipt, "{name}");
            }
            (expected, outcome) => panic!("{name}: {expected:?} was expected, not {outcome:?}"),
        }
    }
    assert!(expected.is_empty(), "fixtures without a file: {:?}", expected.keys());
}

#[test]
fn the_ids_are_kept_to_the_letter() {
    for (name, body) in fixtures(FOLDER) {
        let result = B2cResult::parse(&body).unwrap();
        let own = (name != "paid_without_ids").then_some("supplier-7-invoice-1042");
        let theirs = (!matches!(name.as_str(), "paid_without_ids" | "paid_without_conversation_id"))
            .then_some("AG_20261006_20106e9209f64bebd05b");
        assert_eq!(result.originator_conversation_id.as_ref().map(AsRef::as_ref), own, "{name}");
        assert_eq!(result.conversation_id.as_ref().map(AsRef::as_ref), theirs, "{name}");
    }
}

#[test]
fn number_and_name_of_the_recipient_are_parted() {
    for (name, number, whose, is_phone) in [
        ("paid_whole", "254708374149", Some("WANJIKU MFANO"), true),
        ("paid_recipient_with_en_dash", "254708374149", Some("WANJIKU MFANO"), true),
        ("paid_recipient_masked", "2547*****149", Some("WANJIKU MFANO"), false),
        ("paid_recipient_without_dash", "254708374149", None, true),
        ("paid_recipient_without_name", "254708374149", None, true),
        ("paid_recipient_is_a_business", "600310", Some("Duka-La-Mfano"), false),
    ] {
        let B2cOutcome::Paid(payout) = read(name).outcome else { panic!("{name}") };
        let party = payout.recipient.unwrap();
        assert_eq!((party.number(), party.name(), party.msisdn().is_some()), (number, whose, is_phone), "{name}");
    }
}

#[test]
fn a_failure_keeps_its_code_and_words_and_debug_shows_no_name() {
    let B2cOutcome::Failed(failure) = read("failed_sfc_ic0003").outcome else { panic!() };
    assert_eq!(failure.code().unwrap().to_string(), "SFC_IC0003");
    assert_eq!(failure.description(), "The operator does not exist.");
    for (name, body) in fixtures(FOLDER) {
        let shown = format!("{:?}", B2cResult::parse(&body).unwrap());
        assert!(!shown.contains("WANJIKU") && !shown.contains("708374149"), "{name}: {shown}");
    }
}

#[test]
fn a_transaction_id_that_is_given_twice_differently_vouches_for_no_receipt() {
    let receipt = r#""ResultParameters":{"ResultParameter":{"Key":"TransactionReceipt","Value":"UJ65WSR9W7"}}"#;
    for ids in [
        r#""TransactionID":"UJ65WSR9W7","TransactionID":"UJ65WSR9W8""#,
        r#""TransactionID":"UJ65WSR9W8","TransactionID":"UJ65WSR9W7""#,
    ] {
        let body = format!(r#"{{"Result":{{"ResultCode":0,{ids},{receipt}}}}}"#);
        let outcome = B2cResult::parse(body.as_bytes()).unwrap().outcome;
        let B2cOutcome::Unproven(unproven) = outcome else { panic!("{ids}: {outcome:?}") };
        assert_eq!((unproven.why, unproven.receipt), (Contradicted, None), "{ids}");
    }
}

#[test]
fn every_outcome_is_stored_and_read_again() {
    for (name, body) in fixtures(FOLDER) {
        let outcome = B2cResult::parse(&body).unwrap().outcome;
        let row = serde_json::to_string(&outcome).unwrap();
        assert_eq!(serde_json::from_str::<B2cOutcome>(&row).unwrap(), outcome, "{name}");
    }
}

#[test]
fn what_is_not_proved_says_why_in_words() {
    assert_eq!(NoReceipt.to_string(), "it holds no receipt");
    assert_eq!(UnreadableReceipt("ABC123".into()).to_string(), "its receipt `ABC123` cannot be read");
    assert_eq!(UnknownCode.to_string(), "its code is not known to be final");
    assert_eq!(Contradicted.to_string(), "it contradicts itself, or its amount cannot be read");
}

fn read(name: &str) -> B2cResult {
    let (_, body) = fixtures(FOLDER).into_iter().find(|(file, _)| file == name).unwrap();
    B2cResult::parse(&body).unwrap()
}

/// Reason, what happened, what to do, what the recipient reads.
type Told = (B2cReason, &'static str, Advice, &'static str);

#[test]
fn each_reason_says_what_happened_what_to_do_and_what_can_be_shown() {
    const AT_THE_MOMENT: &str = "Your payment could not be made at the moment. You have not been paid yet.";
    let later = Advice::RetryAfter(Duration::from_secs(60));
    let rows: [Told; 13] = [
        (B2cReason::InsufficientFunds, "the utility account holds too little", Advice::FixConfiguration, AT_THE_MOMENT),
        (B2cReason::BelowMinimum, "the amount is below the minimum", Advice::FixConfiguration, AT_THE_MOMENT),
        (
            B2cReason::AboveMaximum,
            "the amount is above the maximum of one payment",
            Advice::FixConfiguration,
            AT_THE_MOMENT,
        ),
        (
            B2cReason::DailyLimit,
            "the recipient's daily limit would be exceeded",
            Advice::AskCustomer,
            "This payment would exceed your M-PESA limit for today. You have not been paid yet.",
        ),
        (
            B2cReason::BalanceLimit,
            "the recipient's greatest balance would be exceeded",
            Advice::AskCustomer,
            "This payment would exceed what your M-PESA account may hold. Make room in it, and ask for it again. You have not been paid yet.",
        ),
        (
            B2cReason::Recipient,
            "the recipient cannot be paid by M-PESA",
            Advice::AskCustomer,
            "Your number cannot receive M-PESA payments. Check it with Safaricom, or give another one. You have not been paid yet.",
        ),
        (B2cReason::PayerAccount, "the paying account cannot pay", Advice::FixConfiguration, AT_THE_MOMENT),
        (
            B2cReason::WrongInitiator,
            "the initiator's name, password or certificate is wrong",
            Advice::FixConfiguration,
            AT_THE_MOMENT,
        ),
        (B2cReason::InitiatorLocked, "the initiator is locked", Advice::FixConfiguration, AT_THE_MOMENT),
        (
            B2cReason::NotPermitted,
            "the short code, product or initiator is not set up for this",
            Advice::FixConfiguration,
            AT_THE_MOMENT,
        ),
        (B2cReason::Declined, "M-PESA declined it", later, AT_THE_MOMENT),
        (B2cReason::Cancelled, "it was cancelled", later, AT_THE_MOMENT),
        (B2cReason::Expired, "it expired", later, AT_THE_MOMENT),
    ];
    for (reason, happened, advice, shown) in rows {
        assert_eq!(
            (reason.to_string().as_str(), reason.advice(), reason.customer_message()),
            (happened, advice, shown)
        );
    }
}

#[test]
fn a_failure_speaks_for_its_reason() {
    let body = br#"{"Result":{"ResultCode":8,"ResultDesc":"Would exceed the maximum balance."}}"#;
    let B2cOutcome::Failed(failure) = B2cResult::parse(body).unwrap().outcome else { panic!("it has failed") };
    assert_eq!(failure.reason(), B2cReason::BalanceLimit);
    assert_eq!(failure.advice(), Advice::AskCustomer);
    assert_eq!(failure.description(), "Would exceed the maximum balance.");
    assert!(failure.customer_message().starts_with("This payment would exceed what your M-PESA account may hold."));
}

proptest::proptest! {
    #[test]
    fn a_fixture_with_a_byte_changed_is_never_paid_without_a_receipt(
        index in 0_usize..10_000, at in 0_usize..10_000, byte in proptest::num::u8::ANY,
    ) {
        let mut all = fixtures(FOLDER);
        let (_, mut body) = all.swap_remove(index % all.len());
        let at = at % body.len();
        body[at] = byte;
        if let Ok(B2cResult { outcome: B2cOutcome::Paid(payout), .. }) = B2cResult::parse(&body) {
            proptest::prop_assert_eq!(payout.receipt.as_str().len(), 10);
            proptest::prop_assert!(!payout.receipt.is_placeholder());
        }
    }
}
