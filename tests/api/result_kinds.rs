//! What a result answers, where nothing but its own parameters tells.

use daraja::{
    B2cOutcome, BalanceOutcome, ReversalOutcome, StatusOutcome,
    initiated::{
        ResultEnvelope,
        ResultKind::{self, AccountBalance, B2c, Reversal, TransactionStatus},
    },
};

/// A success with these parameters, each with a value of no meaning.
fn named(names: &[&str]) -> ResultEnvelope {
    let parameters: Vec<_> = names.iter().map(|name| format!(r#"{{"Key":"{name}","Value":"1"}}"#)).collect();
    let parameters = parameters.join(",");
    let body = format!(r#"{{"Result":{{"ResultCode":0,"ResultParameters":{{"ResultParameter":[{parameters}]}}}}}}"#);
    ResultEnvelope::parse(body.as_bytes()).unwrap()
}

/// As what it can be taken.
fn readings(result: &ResultEnvelope) -> Vec<ResultKind> {
    let readings = [
        result.b2c().map(|_| B2c),
        result.transaction_status().map(|_| TransactionStatus),
        result.account_balance().map(|_| AccountBalance),
        result.reversal().map(|_| Reversal),
    ];
    readings.into_iter().flatten().collect()
}

#[test]
fn a_result_is_taken_for_what_its_parameters_tell_and_for_nothing_else() {
    let rows = [
        ("TransactionReceipt", B2c),
        ("B2CRecipientIsRegisteredCustomer", B2c),
        ("B2CUtilityAccountAvailableFunds", B2c),
        ("B2CWorkingAccountAvailableFunds", B2c),
        ("B2CChargesPaidAccountAvailableFunds", B2c),
        ("TransactionStatus", TransactionStatus),
        ("ReceiptNo", TransactionStatus),
        ("InitiatedTime", TransactionStatus),
        ("FinalisedTime", TransactionStatus),
        ("AccountBalance", AccountBalance),
        ("OriginalTransactionID", Reversal),
    ];
    for (name, kind) in rows {
        let result = named(&["Amount", name]);
        assert_eq!((result.kind(), readings(&result)), (Some(kind), vec![kind]), "{name}");
    }
    let two_of_a_kind = named(&["TransactionStatus", "ReceiptNo"]);
    assert_eq!(two_of_a_kind.kind(), Some(TransactionStatus));
}

#[test]
fn what_tells_nothing_or_two_things_is_taken_as_what_was_asked_for() {
    for names in [&[][..], &["Amount"], &["TransactionReceipt", "TransactionStatus"], &["ReceiptNo", "AccountBalance"]]
    {
        let result = named(names);
        assert_eq!(result.kind(), None, "{names:?}");
        assert_eq!(readings(&result), [B2c, TransactionStatus, AccountBalance, Reversal], "{names:?}");
    }
}

#[test]
fn it_concludes_what_the_parser_of_its_kind_does() {
    let failed = br#"{"Result":{"ResultCode":2001,"ResultDesc":"The initiator information is invalid.",
        "TransactionID":"UJ66XYZ123"}}"#;
    let failed = ResultEnvelope::parse(failed).unwrap();
    assert!(matches!(failed.b2c().unwrap().outcome, B2cOutcome::Failed(_)));
    assert!(matches!(failed.transaction_status().unwrap().outcome, StatusOutcome::Failed(_)));
    let BalanceOutcome::Failed(balance) = failed.account_balance().unwrap().outcome else { panic!("it has failed") };
    assert_eq!(balance.description(), "The initiator information is invalid.");
    assert!(matches!(failed.reversal().unwrap().outcome, ReversalOutcome::Refused(_)));
    assert_eq!(failed.description(), "The initiator information is invalid.");
    assert_eq!(failed.transaction_id(), Some("UJ66XYZ123".parse().unwrap()));

    let rubbish = ResultEnvelope::parse(br#"{"Result":{"ResultCode":0,"TransactionID":"0"}}"#).unwrap();
    assert_eq!(rubbish.transaction_id(), None);
    assert_eq!(named(&["Amount"]).parameter("Amount").as_deref(), Some("1"));
}
