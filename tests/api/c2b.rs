//! Every known shape of a notice of a payment to a PayBill or till, one oddity a file.

use std::collections::BTreeMap;

use daraja::{
    Kes, Payer, ShortCode,
    c2b::{C2bNotice, C2bStage},
};

use crate::support::fixtures;

/// What is read of a notice; the receipt is the same in all that have one that proves something.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Seen {
    /// In cents.
    amount: Option<i64>,
    short_code: Option<&'static str>,
    reference: Option<&'static str>,
    payer: Option<&'static str>,
    name: Option<&'static str>,
    kind: Option<&'static str>,
    at: Option<&'static str>,
    balance: Option<i64>,
    third_party_id: Option<&'static str>,
    proof: bool,
}

const WHOLE: Seen = Seen {
    amount: Some(50_000),
    short_code: Some("600966"),
    reference: Some("INV-001"),
    payer: Some("masked 2547 ***** 149"),
    name: Some("WANJIKU MFANO"),
    kind: Some("Pay Bill"),
    at: Some("20261006170251"),
    balance: Some(2_550_000),
    third_party_id: None,
    proof: true,
};
const HASH: &str = "hashed 0d2f4e1c0d2f4e1c0d2f4e1c0d2f4e1c0d2f4e1c0d2f4e1c0d2f4e1c0d2f4e1c";

fn expected() -> BTreeMap<&'static str, Result<Seen, &'static str>> {
    let from = |payer| Ok(Seen { payer, ..WHOLE });
    let of = |amount| Ok(Seen { amount, ..WHOLE });
    let without_proof = Ok(Seen { proof: false, ..WHOLE });
    BTreeMap::from([
        ("whole", Ok(WHOLE)),
        ("payer_masked_without_blanks", from(Some("masked 25470****149"))),
        ("payer_hashed", from(Some(HASH))),
        ("payer_plain", from(Some("254708374149"))),
        ("payer_as_number", from(Some("254708374149"))),
        ("payer_empty", from(None)),
        ("payer_null", from(None)),
        ("payer_absent", from(None)),
        ("payer_contradicted", from(None)),
        (
            "organization_to_organization",
            Ok(Seen {
                payer: None,
                name: Some("DUKA LA MFANO"),
                kind: Some("Organization To Organization Transfer"),
                ..WHOLE
            }),
        ),
        ("buy_goods", Ok(Seen { kind: Some("Buy Goods"), ..WHOLE })),
        ("type_empty", Ok(Seen { kind: None, ..WHOLE })),
        ("balance_empty", Ok(Seen { balance: None, ..WHOLE })),
        ("names_null", Ok(Seen { name: None, ..WHOLE })),
        ("names_absent", Ok(Seen { name: None, ..WHOLE })),
        ("reference_empty", Ok(Seen { reference: None, ..WHOLE })),
        ("reference_null", Ok(Seen { reference: None, ..WHOLE })),
        ("reference_of_a_stranger", Ok(Seen { reference: Some("'; DROP TABLE -- 🦒"), ..WHOLE })),
        ("reference_contradicted", Ok(Seen { reference: None, ..WHOLE })),
        ("numbers_as_numbers", Ok(WHOLE)),
        ("amount_without_decimals", of(Some(50_000))),
        ("amount_unreadable", of(None)),
        ("amount_empty", of(None)),
        ("amount_null", of(None)),
        ("amount_contradicted", of(None)),
        ("third_party_id", Ok(Seen { third_party_id: Some("invoice-1042"), ..WHOLE })),
        ("time_unreadable", Ok(Seen { at: None, ..WHOLE })),
        ("short_code_unreadable", Ok(Seen { short_code: None, ..WHOLE })),
        ("unknown_keys", Ok(WHOLE)),
        ("keys_in_another_order", Ok(WHOLE)),
        ("keys_given_twice", Ok(WHOLE)),
        ("wrapped_by_a_proxy", Ok(WHOLE)),
        ("behind_a_byte_order_mark", Ok(WHOLE)),
        ("escaped_keys", Ok(WHOLE)),
        ("spaces_around", Ok(WHOLE)),
        ("unproven_receipt_is_a_placeholder", without_proof),
        ("unproven_receipt_is_zero", without_proof),
        ("unproven_receipt_is_a_number", without_proof),
        ("unproven_receipt_is_null_as_text", without_proof),
        ("refused_receipt_absent", Err("holds no TransID")),
        ("refused_receipt_empty", Err("holds no TransID")),
        ("refused_receipt_null", Err("holds no TransID")),
        ("refused_receipt_of_words", Err("holds no readable TransID")),
        ("refused_receipt_contradicted", Err("holds two different TransIDs")),
        ("refused_list", Err("is not of the expected shape")),
        ("refused_cut_short", Err("is JSON that is cut short")),
        ("refused_html", Err("is not JSON")),
        ("refused_empty", Err("is empty")),
        ("refused_two_documents", Err("is not JSON")),
    ])
}

fn payer(payer: &Payer) -> String {
    match payer {
        Payer::Msisdn(number) => number.to_string(),
        Payer::Masked(mask) => format!("masked {mask}"),
        Payer::Hashed(hash) => format!("hashed {hash}"),
        other => panic!("{other:?}"),
    }
}

fn compare(name: &str, notice: &C2bNotice, expected: Seen) {
    assert_eq!(notice.amount.map(Kes::cents), expected.amount, "{name}");
    assert_eq!(notice.short_code.map(|code: ShortCode| code.to_string()).as_deref(), expected.short_code, "{name}");
    assert_eq!(notice.reference.as_deref(), expected.reference, "{name}");
    assert_eq!(notice.payer.as_ref().map(payer).as_deref(), expected.payer, "{name}");
    assert_eq!(notice.name.as_deref(), expected.name, "{name}");
    assert_eq!(notice.transaction_type.as_deref(), expected.kind, "{name}");
    assert_eq!(notice.completed_at.map(|at| at.to_string()).as_deref(), expected.at, "{name}");
    assert_eq!(notice.balance.map(Kes::cents), expected.balance, "{name}");
    assert_eq!(notice.third_party_id.as_deref(), expected.third_party_id, "{name}");
}

#[test]
fn every_variant_is_read_for_what_it_tells_and_only_a_confirmation_proves_it() {
    let mut expected = expected();
    for (name, body) in fixtures("c2b") {
        let Some(expected) = expected.remove(name.as_str()) else { panic!("{name} is not in the table") };
        match (C2bNotice::confirmation(&body), expected) {
            (Ok(notice), Ok(seen)) => {
                compare(&name, &notice, seen);
                assert_eq!(notice.stage, C2bStage::Confirmation, "{name}");
                let proof = notice.proof().map(|receipt| receipt.to_string());
                assert_eq!(proof.as_deref(), seen.proof.then_some("UJ65WSR9W7"), "{name}");

                let question = C2bNotice::validation(&body).unwrap();
                compare(&name, &question, seen);
                assert_eq!((question.stage, question.proof()), (C2bStage::Validation, None), "{name}");

                let shown = format!("{notice:?} {question:?}");
                for hidden in ["WANJIKU", "MFANO", "2547", "149", "0d2f", "INV-001", "🦒"] {
                    assert!(!shown.contains(hidden), "{name}: {shown}");
                }
            }
            (Err(error), Err(problem)) => {
                assert!(error.problem().starts_with(problem), "{name}: {error}");
                assert_eq!(error.snippet(), "", "{name}");
                assert!(C2bNotice::validation(&body).is_err(), "{name}");
            }
            (read, expected) => panic!("{name}: {expected:?} was expected, not {read:?}"),
        }
    }
    assert!(expected.is_empty(), "fixtures without a file: {:?}", expected.keys());
}

#[test]
fn what_is_too_large_is_refused_and_what_is_deep_overflows_nothing() {
    let large = format!(r#"{{"TransID":"UJ65WSR9W7","BillRefNumber":"{}"}}"#, "x".repeat(65_536));
    assert!(C2bNotice::confirmation(large.as_bytes()).is_err());
    // What is let pass is not recursed into.
    let deep = format!(r#"{{"TransID":"UJ65WSR9W7","x":{}{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    assert!(C2bNotice::confirmation(deep.as_bytes()).is_ok());
    let wrapped = format!("{}{}", r#"{"Body":"#.repeat(5_000), "}".repeat(5_000));
    assert!(C2bNotice::confirmation(wrapped.as_bytes()).is_err());
}

#[test]
fn an_unreadable_value_does_not_lose_the_notice() {
    for value in ["1e400", r#""\ud800""#, "{}", "[[1e400]]", "null", r#""""#] {
        for name in ["TransAmount", "OrgAccountBalance", "BillRefNumber", "MSISDN", "FirstName", "TransTime"] {
            let body = format!(r#"{{"{name}":{value},"TransID":"UJ65WSR9W7"}}"#);
            let notice = C2bNotice::confirmation(body.as_bytes()).unwrap();
            assert_eq!(notice.proof().unwrap().as_str(), "UJ65WSR9W7", "{body}");
            assert_eq!((notice.amount, notice.balance, notice.reference), (None, None, None), "{body}");
        }
    }
}

#[test]
fn a_name_is_put_together_of_its_parts() {
    let body = br#"{"TransID":"UJ65WSR9W7","LastName":"MFANO ","MiddleName":"AKINYI","FirstName":"WANJIKU"}"#;
    assert_eq!(C2bNotice::confirmation(body).unwrap().name.as_deref(), Some("WANJIKU AKINYI MFANO"));
}
