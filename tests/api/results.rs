//! Every known shape of the other results, one oddity a file; and what no result's parser takes.

use std::{collections::BTreeMap, time::Duration};

use daraja::{
    AccountBalanceResult, Advice, B2cResult, BalanceOutcome, Kes, Party, QueueTimeout, ReversalOutcome, ReversalReason,
    ReversalResult, StatusOutcome, Timestamp, Transaction, TransactionState, TransactionStatusResult,
    account_balance::Account,
    code::Why,
    error::DecodeError,
    initiated::RequestReason::{self, Busy, CredentialLocked, InvalidRequest, NotPermitted, Other, WrongCredential},
};

use crate::support::fixtures;

/// Compares every fixture of a folder with its line in the table, and the table with the folder.
fn each<E>(folder: &str, table: impl IntoIterator<Item = (&'static str, E)>, check: impl Fn(&str, &[u8], E)) {
    let mut expected: BTreeMap<&str, E> = table.into_iter().collect();
    for (name, body) in fixtures(folder) {
        let Some(expected) = expected.remove(name.as_str()) else { panic!("{name} is not in the table") };
        check(&name, &body, expected);
    }
    assert!(expected.is_empty(), "fixtures without a file: {:?}", expected.keys());
}

fn time(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}

// ---- Transaction status.

/// What differs between the fixtures of a transaction that was found.
#[derive(Debug, Clone, Copy)]
struct Found {
    status: &'static str,
    receipt: Option<&'static str>,
    proof: bool,
    contradicted: bool,
    amount: Option<i64>,
    credit: Option<&'static str>,
    charges: Option<i64>,
    finalised: bool,
}

const COMPLETED: Found = Found {
    status: "Completed",
    receipt: Some("UJ65WSR9W7"),
    proof: true,
    contradicted: false,
    amount: Some(1_000),
    credit: Some("254708374149 - WANJIKU MFANO"),
    charges: Some(2_240),
    finalised: true,
};
const NOTHING: Found = Found {
    status: "Other()",
    receipt: None,
    proof: false,
    contradicted: false,
    amount: None,
    credit: None,
    charges: None,
    finalised: false,
};

#[derive(Debug)]
enum Status {
    Found(Found),
    NotFound,
    Failed(RequestReason, &'static str),
    Unproven(Why),
}

fn found() -> [(&'static str, Found); 33] {
    let is = |status| Found { status, proof: false, ..COMPLETED };
    let no_receipt = Found { receipt: None, proof: false, ..COMPLETED };
    let to = |credit| Found { credit: Some(credit), ..COMPLETED };
    let contradicted = Found { proof: false, contradicted: true, ..COMPLETED };
    [
        ("found_completed", COMPLETED),
        ("found_completed_without_receipt", no_receipt),
        ("found_completed_placeholder_receipt", no_receipt),
        ("found_completed_two_receipts", Found { receipt: None, ..contradicted }),
        ("found_completed_other_case", COMPLETED),
        ("found_declined", is("Declined")),
        ("found_declined_without_receipt", Found { receipt: None, ..is("Declined") }),
        ("found_cancelled", is("Cancelled")),
        ("found_expired", is("Expired")),
        ("found_initiated", Found { finalised: false, ..is("Pending") }),
        ("found_authorized", is("Pending")),
        ("found_pending_authorized", is("Pending")),
        ("found_unknown_status", is("Other(Reversed)")),
        ("found_without_status", is("Other()")),
        ("found_status_contradicted", Found { status: "Other()", ..contradicted }),
        ("found_status_given_twice", COMPLETED),
        ("found_debit_party_given_twice", COMPLETED),
        ("found_amount_as_string", COMPLETED),
        ("found_amount_contradicted", Found { amount: None, ..contradicted }),
        ("found_amount_unreadable", Found { amount: None, ..contradicted }),
        ("found_amount_empty", Found { amount: None, ..COMPLETED }),
        ("found_credit_party_contradicted", Found { credit: None, ..contradicted }),
        ("found_end_contradicted", Found { finalised: false, ..contradicted }),
        ("found_own_id_contradicted", contradicted),
        ("found_gateway_id_contradicted", contradicted),
        ("found_dates_as_strings", COMPLETED),
        ("found_en_dash", to("254708374149 – WANJIKU MFANO")),
        ("found_masked_number", to("2547*****149 - WANJIKU MFANO")),
        ("found_charges_in_other_words", COMPLETED),
        ("found_charges_without_value", Found { charges: None, ..COMPLETED }),
        ("found_single_parameter_object", Found { status: "Completed", ..NOTHING }),
        ("found_code_as_string", COMPLETED),
        ("found_own_ids_misspelt", COMPLETED),
    ]
}

const LATER: Advice = Advice::AskAgainAfter(Duration::from_secs(60));

fn statuses() -> impl Iterator<Item = (&'static str, Status)> {
    let failed = [
        ("failed_2001_wrong_credential", WrongCredential, "2001"),
        ("failed_8006_locked", CredentialLocked, "8006"),
        ("failed_21_not_allowed", NotPermitted, "21"),
        ("failed_25_parameters", InvalidRequest, "25"),
        ("failed_26_busy", Busy, "26"),
        ("failed_broker_overload", Busy, "100000001"),
        ("failed_sfc_ic0003", InvalidRequest, "SFC_IC0003"),
        ("failed_tp40153", NotPermitted, "TP40153"),
        ("failed_nobody_knows", Other, "7777"),
        ("failed_looks_like_zero", Other, "00"),
    ];
    let found = found().into_iter().map(|(name, found)| (name, Status::Found(found)));
    let failed = failed.into_iter().map(|(name, reason, code)| (name, Status::Failed(reason, code)));
    let others = [
        ("not_found", Status::NotFound),
        ("not_found_as_string", Status::NotFound),
        ("unproven_nothing_but_a_zero", Status::Unproven(Why::NoParameters)),
        ("unproven_parameters_null", Status::Unproven(Why::NoParameters)),
    ];
    found.chain(failed).chain(others)
}

fn word(state: &TransactionState) -> String {
    match state {
        TransactionState::Other(words) => format!("Other({words})"),
        known => format!("{known:?}"),
    }
}

fn check_found(name: &str, transaction: &Transaction, expected: &Found) {
    assert_eq!(word(&transaction.status), expected.status, "{name}");
    assert_eq!(transaction.receipt.as_ref().map(AsRef::as_ref), expected.receipt, "{name}");
    assert_eq!(transaction.proof().is_some(), expected.proof, "{name}");
    assert_eq!(transaction.is_contradicted(), expected.contradicted, "{name}");
    assert_eq!(transaction.amount.map(Kes::cents), expected.amount, "{name}");
    assert_eq!(transaction.credit_party, expected.credit.map(Party::new), "{name}");
    assert_eq!(transaction.charges.map(Kes::cents), expected.charges, "{name}");
    assert_eq!(time(transaction.finalised_at), expected.finalised.then(|| "20261006224852".to_owned()), "{name}");
    if expected.amount.is_some() {
        let debit = (name != "found_debit_party_given_twice").then(|| Party::new("600310 - Duka La Mfano"));
        assert_eq!(transaction.debit_party, debit, "{name}");
        assert_eq!(time(transaction.initiated_at).as_deref(), Some("20261006224850"), "{name}");
        let id = transaction.originator_conversation_id.as_ref();
        let own = (name != "found_own_id_contradicted").then_some("supplier-7-invoice-1042");
        assert_eq!(id.map(AsRef::as_ref), own, "{name}: the payment's id, not the question's");
        let id = transaction.conversation_id.as_ref();
        let theirs = (name != "found_gateway_id_contradicted").then_some("AG_20261006_20106e9209f64bebd05b");
        assert_eq!(id.map(AsRef::as_ref), theirs, "{name}");
    }
}

#[test]
fn every_answer_to_a_status_query_is_read_for_what_it_proves() {
    each("status/result", statuses(), |name, body, expected| {
        let result = TransactionStatusResult::parse(body).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(result.originator_conversation_id.unwrap().as_str(), "1236-7134259-1", "{name}");
        assert_eq!(result.conversation_id.unwrap().as_str(), "AG_20261006_3333b2c3d4e5f6a7b8c9", "{name}");
        let shown = format!("{:?}", result.outcome);
        assert!(!shown.contains("WANJIKU") && !shown.contains("708374149"), "{name}: {shown}");
        match (expected, result.outcome) {
            (Status::Found(expected), StatusOutcome::Found(transaction)) => check_found(name, &transaction, &expected),
            (Status::NotFound, StatusOutcome::NotFound) => {}
            (Status::Unproven(why), StatusOutcome::Unproven(unproven)) => assert_eq!(unproven.why, why, "{name}"),
            (Status::Failed(reason, code), StatusOutcome::Failed(failure)) => {
                assert_eq!((failure.reason(), failure.code().to_string().as_str()), (reason, code), "{name}");
                let advice = if matches!(reason, Busy | Other) { LATER } else { Advice::FixConfiguration };
                assert_eq!(failure.advice(), advice, "{name}");
            }
            (expected, outcome) => panic!("{name}: {expected:?} was expected, not {outcome:?}"),
        }
    });
}

// ---- Account balance.

/// Name, currency, and the four amounts in cents.
type Row = (&'static str, &'static str, [Option<i64>; 4]);

#[derive(Debug)]
enum Balance {
    Known(Vec<Row>, bool),
    Failed(RequestReason, &'static str),
    Unproven(Why),
}

fn balances() -> Vec<(&'static str, Balance)> {
    use Balance::{Failed, Known, Unproven};
    let kes = |name, amounts| (name, "KES", amounts);
    let utility = || kes("Utility Account", [Some(22_803_700), Some(22_803_700), Some(0), Some(0)]);
    let three = || {
        vec![
            kes("Working Account", [Some(70_000_000), Some(69_000_000), Some(1_000_000), Some(0)]),
            utility(),
            kes("Charges Paid Account", [Some(-154_000), Some(-154_000), Some(0), Some(0)]),
        ]
    };
    let twice = || {
        let mut accounts = three();
        accounts[0] = kes("Utility Account", [Some(22_803_700), Some(100), Some(0), Some(0)]);
        accounts
    };
    let one = |amounts| Known(vec![kes("Utility Account", amounts)], true);
    let plain = |cents| [Some(cents), Some(cents), Some(0), Some(0)];
    vec![
        ("known_three_accounts", Known(three(), true)),
        ("unproven_accounts_contradicted", Unproven(Why::Contradicted)),
        ("known_one_account_twice", Known(twice(), true)),
        ("known_time_as_string", Known(three(), true)),
        ("known_time_absent", Known(three(), false)),
        ("known_time_unreadable", Known(three(), false)),
        ("known_trailing_ampersand", Known(three(), true)),
        ("known_empty_parts", Known(three(), true)),
        ("known_spaces_around", Known(three(), true)),
        ("known_parts_of_a_cent", one([Some(22_803_700), Some(22_803_700), None, Some(0)])),
        ("known_fewer_fields", one([Some(22_803_700), None, None, None])),
        ("unproven_name_alone", Unproven(Why::NoParameters)),
        ("known_name_and_currency", one([None; 4])),
        ("known_more_fields", Known(vec![utility()], true)),
        ("known_empty_fields", one([None, Some(22_803_700), None, None])),
        (
            "known_odd_names",
            Known(
                vec![
                    kes("Float Account", plain(100)),
                    kes("Organization Settlement Account", plain(200)),
                    kes("Merchant Account", plain(300)),
                ],
                true,
            ),
        ),
        ("known_another_currency", Known(vec![("Utility Account", "USD", [None; 4])], true)),
        ("known_amounts_unreadable", one([None; 4])),
        ("unproven_without_accounts", Unproven(Why::NoParameters)),
        ("unproven_empty_text", Unproven(Why::NoParameters)),
        ("known_code_as_string", Known(vec![utility()], true)),
        ("known_single_parameter_object", Known(vec![utility()], false)),
        ("unproven_parameters_absent", Unproven(Why::NoParameters)),
        ("failed_8006_with_parameters", Failed(CredentialLocked, "8006")),
        ("failed_2001_wrong_credential", Failed(WrongCredential, "2001")),
        ("failed_26_busy", Failed(Busy, "26")),
        ("failed_nobody_knows", Failed(Other, "7777")),
        ("failed_looks_like_zero", Failed(Other, "00")),
    ]
}

fn row(account: &Account) -> (&str, &str, [Option<i64>; 4]) {
    let amounts = [account.current, account.available, account.reserved, account.uncleared];
    (&account.name, &account.currency, amounts.map(|amount| amount.map(Kes::cents)))
}

#[test]
fn every_answer_to_a_balance_query_is_read_to_the_cent_or_not_at_all() {
    each("balance/result", balances(), |name, body, expected| {
        let outcome = AccountBalanceResult::parse(body).unwrap_or_else(|error| panic!("{name}: {error}")).outcome;
        match (expected, outcome) {
            (Balance::Known(rows, is_timed), BalanceOutcome::Known(balances)) => {
                assert_eq!(balances.accounts.iter().map(row).collect::<Vec<_>>(), rows, "{name}");
                assert_eq!(time(balances.as_of), is_timed.then(|| "20261006224852".to_owned()), "{name}");
                let named = |name| rows.iter().filter(|row| row.0 == name).count() == 1;
                assert_eq!(balances.utility().is_some(), named("Utility Account"), "{name}");
                assert_eq!(balances.working().is_some(), named("Working Account"), "{name}");
                assert_eq!(balances.charges_paid().is_some(), named("Charges Paid Account"), "{name}");
            }
            (Balance::Failed(reason, code), BalanceOutcome::Failed(failure)) => {
                assert_eq!((failure.reason(), failure.code().to_string().as_str()), (reason, code), "{name}");
            }
            (Balance::Unproven(why), BalanceOutcome::Unproven(unproven)) => assert_eq!(unproven.why, why, "{name}"),
            (expected, outcome) => panic!("{name}: {expected:?} was expected, not {outcome:?}"),
        }
    });
}

// ---- Reversal.

/// The reversal's own receipt, its amount in cents, its charge in cents.
type Money = (Option<&'static str>, Option<i64>, Option<i64>);

#[derive(Debug)]
enum Reversed {
    Back(Money),
    Before,
    Refused(ReversalReason),
    /// The code, why, and whether there is one receipt of the payment.
    Unproven(&'static str, Why, bool),
}

fn reversals() -> Vec<(&'static str, Reversed)> {
    use Reversed::{Back, Before, Refused, Unproven};
    use Why::{Contradicted, NoReceipt, UnknownCode};
    let whole = || Back((Some("UJ66XYZ123"), Some(100), Some(0)));
    vec![
        ("reversed_whole", whole()),
        ("reversed_numbers_as_strings", whole()),
        ("reversed_dotted_date", whole()),
        ("reversed_code_as_string", whole()),
        ("reversed_charge_in_words", whole()),
        ("reversed_charge_as_number", whole()),
        ("reversed_without_transaction_id", Back((None, Some(100), Some(0)))),
        ("reversed_placeholder_transaction_id", Back((None, Some(100), Some(0)))),
        ("reversed_single_parameter_object", Back((Some("UJ66XYZ123"), None, None))),
        ("reversed_balance_of_parts_of_a_cent", whole()),
        ("already_reversed", Before),
        ("already_reversed_with_parameters", Before),
        ("refused_payment_unknown", Refused(ReversalReason::UnknownPayment)),
        ("refused_code_1_insufficient", Refused(ReversalReason::InsufficientFunds)),
        ("refused_code_1_as_string", Refused(ReversalReason::InsufficientFunds)),
        ("refused_code_2001_wrong_initiator", Refused(ReversalReason::WrongInitiator)),
        ("refused_code_8006_locked", Refused(ReversalReason::InitiatorLocked)),
        ("refused_code_11_payer_account", Refused(ReversalReason::PayerAccount)),
        ("refused_code_12_customer", Refused(ReversalReason::Customer)),
        ("refused_code_21_not_allowed", Refused(ReversalReason::NotPermitted)),
        ("refused_code_sfc_ic0003", Refused(ReversalReason::NotPermitted)),
        ("refused_code_tp40153", Refused(ReversalReason::NotPermitted)),
        ("unproven_zero_without_original", Unproven("0", NoReceipt, false)),
        ("unproven_zero_without_parameters", Unproven("0", NoReceipt, false)),
        ("unproven_zero_placeholder_original", Unproven("0", NoReceipt, false)),
        ("unproven_zero_two_originals", Unproven("0", Contradicted, false)),
        ("unproven_zero_two_amounts", Unproven("0", Contradicted, true)),
        ("unproven_zero_two_recipients", Unproven("0", Contradicted, true)),
        ("unproven_zero_two_receipts_of_its_own", Unproven("0", Contradicted, true)),
        ("unproven_zero_original_without_value", Unproven("0", NoReceipt, false)),
        ("unproven_looks_like_zero", Unproven("00", UnknownCode, true)),
        // An older page of Daraja shows a success so.
        ("unproven_code_21_with_all_of_a_success", Unproven("21", Contradicted, true)),
        ("unproven_code_15_duplicate", Unproven("15", UnknownCode, false)),
        ("unproven_code_17_internal_failure", Unproven("17", UnknownCode, false)),
        ("unproven_code_25_parameters", Unproven("25", UnknownCode, false)),
        ("unproven_code_26_busy", Unproven("26", UnknownCode, false)),
        ("unproven_code_2032_not_found", Unproven("2032", UnknownCode, false)),
        ("unproven_code_broker_overload", Unproven("100000001", UnknownCode, false)),
        ("unproven_code_nobody_knows", Unproven("7777", UnknownCode, false)),
        ("unproven_code_r000003", Unproven("R000003", UnknownCode, false)),
        ("unproven_code_r000001_in_small_letters", Unproven("r000001", UnknownCode, false)),
    ]
}

#[test]
fn every_answer_to_a_reversal_is_read_for_what_it_proves() {
    each("reversal/result", reversals(), |name, body, expected| {
        let outcome = ReversalResult::parse(body).unwrap_or_else(|error| panic!("{name}: {error}")).outcome;
        let shown = format!("{outcome:?}");
        assert!(!shown.contains("WANJIKU") && !shown.contains("708374149"), "{name}: {shown}");
        match (expected, outcome) {
            (Reversed::Back((receipt, amount, charge)), ReversalOutcome::Reversed(reversed)) => {
                assert_eq!(reversed.original_receipt.as_str(), "UJ65WSR9W7", "{name}");
                assert_eq!(reversed.receipt.as_ref().map(AsRef::as_ref), receipt, "{name}");
                assert_eq!(reversed.amount.map(Kes::cents), amount, "{name}");
                assert_eq!(reversed.charge.map(Kes::cents), charge, "{name}");
                let is_alone = name.contains("single");
                let at = time(reversed.completed_at);
                assert_eq!(at.as_deref(), (!is_alone).then_some("20261006224852"), "{name}");
                let account = reversed.debit_account.as_ref().map(row);
                let reserved = if name.contains("parts_of_a_cent") { None } else { Some(0) };
                let amounts = [Some(5_166_100), Some(5_166_100), reserved, Some(0)];
                assert_eq!(account, (!is_alone).then_some(("Utility Account", "KES", amounts)), "{name}");
                let parties = (reversed.credit_party, reversed.debit_party);
                let expected = ("254708374149 - WANJIKU MFANO", "600310 - Duka La Mfano");
                let expected = (!is_alone).then(|| (Party::new(expected.0), Party::new(expected.1))).unzip();
                assert_eq!(parties, expected, "{name}");
            }
            (Reversed::Before, ReversalOutcome::AlreadyReversed) => {}
            (Reversed::Refused(reason), ReversalOutcome::Refused(failure)) => {
                assert_eq!(failure.reason(), reason, "{name}");
                assert_eq!(failure.advice(), Advice::FixConfiguration, "{name}");
                if name == "refused_code_12_customer" {
                    assert_eq!(failure.description(), "The credit account is invalid.");
                }
            }
            (Reversed::Unproven(code, why, has_receipt), ReversalOutcome::Unproven(unproven)) => {
                assert_eq!((unproven.code.to_string().as_str(), unproven.why), (code, why), "{name}");
                let original = has_receipt.then(|| "UJ65WSR9W7".parse().unwrap());
                assert_eq!(unproven.original_receipt, original, "{name}");
            }
            (expected, outcome) => panic!("{name}: {expected:?} was expected, not {outcome:?}"),
        }
    });
}

// ---- What no result's parser takes.

fn all_errors(body: &[u8]) -> [Option<DecodeError>; 4] {
    [
        B2cResult::parse(body).err(),
        TransactionStatusResult::parse(body).err(),
        AccountBalanceResult::parse(body).err(),
        ReversalResult::parse(body).err(),
    ]
}

#[test]
fn what_is_no_result_is_refused_by_all_and_quoted_by_none() {
    let table = [
        ("two_codes", "holds two different ResultCodes"),
        ("two_ids", "names two different requests"),
        ("two_spellings_of_two_ids", "names two different requests"),
        ("two_conversation_ids", "names two different requests"),
        ("two_results", "holds two different ResultCodes"),
        ("no_code", "holds no ResultCode"),
        ("null_code", "is not of the expected shape"),
        ("empty_code", "is not of the expected shape"),
        ("code_of_another_shape", "is not of the expected shape"),
        ("list", "is not of the expected shape"),
        ("result_is_a_list", "is not of the expected shape"),
        ("result_is_null", "is not of the expected shape"),
        ("html", "is not JSON"),
        ("cut_short", "is JSON that is cut short"),
        ("two_documents", "is not JSON"),
        ("empty", "is empty"),
        ("empty_object", "holds no ResultCode"),
        ("word", "is not of the expected shape"),
    ];
    each("refused_result", table, |name, body, problem| {
        for error in all_errors(body) {
            let error = error.unwrap_or_else(|| panic!("{name} was read"));
            assert!(error.problem().starts_with(problem), "{name}: {error}");
            assert_eq!(error.snippet(), "", "{name}");
            let shown = format!("{error} {error:?}");
            for hidden in ["WANJIKU", "MFANO", "c2Vj", "supplier", "708374149", "html"] {
                assert!(!shown.contains(hidden), "{name}: {shown}");
            }
        }
    });
}

#[test]
fn what_is_too_large_or_too_deep_or_not_text_is_refused_by_all() {
    let large = format!(r#"{{"Result":{{"ResultCode":0,"Padding":"{}"}}}}"#, " ".repeat(65_536));
    let deep = format!("{}{}", r#"{"Result":"#.repeat(5_000), "}".repeat(5_000));
    let deep_elsewhere =
        format!(r#"{{"ResultCode":0,"ResultParameters":{}1{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    let not_text = b"\xff\xfe{}".as_slice();
    for body in [large.as_bytes(), deep.as_bytes(), deep_elsewhere.as_bytes(), not_text] {
        assert!(all_errors(body).iter().all(Option::is_some), "{:?}", body.get(..20));
        assert!(QueueTimeout::parse(body).is_err() || body == deep_elsewhere.as_bytes());
    }
    assert!(all_errors(large.as_bytes())[0].as_ref().unwrap().problem().contains("more than the 65536 that are read"));
}

#[test]
fn reasons_are_said_in_words() {
    let words = |reason: RequestReason| reason.to_string();
    assert_eq!(words(WrongCredential), "the initiator's name, password or certificate is wrong");
    assert_eq!(words(CredentialLocked), "the initiator is locked");
    assert_eq!(words(NotPermitted), "the initiator lacks the role, or the short code the product");
    assert_eq!(words(InvalidRequest), "something in the request is missing or of the wrong kind");
    assert_eq!(words(Busy), "Daraja is busy");
    assert_eq!(words(Other), "Daraja gives no known reason");
    assert_eq!(ReversalReason::UnknownPayment.to_string(), "no payment with this receipt can be reversed");
    assert_eq!(LATER.to_string(), "ask again after 60 s; this says nothing about the payment");
    assert_eq!(Advice::Reconcile.to_string(), "find out what became of the payment, and do not pay again");
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic_a_parser(body in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        drop((all_errors(&body), QueueTimeout::parse(&body)));
    }

    #[test]
    fn a_fixture_with_a_byte_changed_panics_no_parser_and_reverses_nothing_without_a_receipt(
        folder in 0_usize..6, index in 0_usize..10_000, at in 0_usize..10_000, byte in proptest::num::u8::ANY,
    ) {
        let folders =
            ["b2c/result", "status/result", "balance/result", "reversal/result", "queue_timeout", "refused_result"];
        let mut all = fixtures(folders[folder]);
        all.retain(|(_, body)| !body.is_empty());
        let (_, mut body) = all.swap_remove(index % all.len());
        let at = at % body.len();
        body[at] = byte;
        drop((all_errors(&body), QueueTimeout::parse(&body)));
        if let Ok(ReversalResult { outcome: ReversalOutcome::Reversed(reversed), .. }) = ReversalResult::parse(&body) {
            proptest::prop_assert_eq!(reversed.original_receipt.as_str().len(), 10);
        }
        if let Ok(TransactionStatusResult { outcome: StatusOutcome::Found(found), .. }) =
            TransactionStatusResult::parse(&body)
        {
            proptest::prop_assert!(found.proof().is_none_or(|receipt| receipt.as_str().len() == 10));
        }
    }
}
