//! What an application puts into its own words: references, notes and ids can hold a number or a name.

use daraja::{
    AccountBalanceQuery, AccountReference, B2cPayment, ErrorCode, Msisdn, Occasion, OriginatorConversationId, Party,
    Payer, Payout, ReceiptNumber, Remarks, ResultCode, Reversal, Shillings, StkPush, TransactionDesc,
    TransactionStatusQuery, TransactionStatusResult,
    b2c::{IdDocument, IdKind},
    initiated::ResultEnvelope,
    webhook::{Event, EventKind, Expected, Reference},
};

use crate::support::{initiator, merchant, result_urls};

const NUMBER: &str = "0708374149";
const ID: &str = "254708374149-wages-of-march";
const NOTE: &str = "Wages of WANJIKU MFANO 0708374149";

fn payment() -> B2cPayment {
    let (recipient, amount): (Msisdn, _) = (NUMBER.parse().unwrap(), Shillings::new(10).unwrap());
    B2cPayment::new(&initiator(), "600310".parse().unwrap(), recipient, amount, result_urls())
        .with_id(ID.parse().unwrap())
        .remarks(NOTE.parse().unwrap())
        .occasion(NOTE.parse().unwrap())
}

fn notice() -> Event {
    let body =
        br#"{"TransactionType":"Pay Bill","TransID":"254708374149","TransTime":"20261006120000","TransAmount":"500.00",
        "BusinessShortCode":"600966","BillRefNumber":"0708374149","MSISDN":"254708374149*","FirstName":"WANJIKU",
        "LastName":"MFANO","ThirdPartyTransID":"0708374149"}"#;
    Event::parse_as(EventKind::C2bConfirmation, body).unwrap()
}

const RESULT: &[u8] = br#"{"Result":{"ResultCode":0,"ResultDesc":"For 254708374149, WANJIKU MFANO","ConversationID":"AG_1",
    "OriginatorConversationID":"254708374149-wages","TransactionID":"254708374149","ResultParameters":{"ResultParameter":[
    {"Key":"TransactionStatus","Value":"Held for 254708374149"},{"Key":"ReceiptNo","Value":"254708374149"},
    {"Key":"OriginatorConversationID","Value":"254708374149-wages"},
    {"Key":"DebitPartyName","Value":"254708374149 - WANJIKU MFANO"},
    {"Key":"CreditPartyName","Value":"254708374149 - WANJIKU MFANO"}]}}}"#;

#[test]
fn no_reference_note_or_id_shows_a_number_or_a_name_by_debug() {
    let (code, amount) = ("600310".parse().unwrap(), Shillings::new(10).unwrap());
    let receipt = "UJ65WSR9W7".parse().unwrap();
    let account: AccountReference = NUMBER.parse().unwrap();
    let note: Remarks = NOTE.parse().unwrap();
    let occasion: Occasion = NOTE.parse().unwrap();
    let id: OriginatorConversationId = ID.parse().unwrap();
    let url = "https://shop.example/cb".parse().unwrap();
    let push = StkPush::new(&merchant(), NUMBER.parse().unwrap(), amount, account, url);
    let reversal = Reversal::new(&initiator(), code, receipt, amount, result_urls());
    let status = TransactionStatusResult::parse(RESULT).unwrap();
    let rows = [
        ("account", format!("{account:?}")),
        ("description", format!("{:?}", NUMBER.parse::<TransactionDesc>().unwrap())),
        ("remarks", format!("{note:?}")),
        ("occasion", format!("{occasion:?}")),
        ("id", format!("{id:?}")),
        ("reference", format!("{:?}", ID.parse::<Reference>().unwrap())),
        ("receipt", format!("{:?}", "254708374149".parse::<ReceiptNumber>().unwrap())),
        ("payer", format!("{:?}", Payer::read("254708374149*").unwrap())),
        ("party", format!("{:?}", Party::new("254708374149 - WANJIKU MFANO"))),
        ("result code", format!("{:?}", ResultCode::from("for 254708374149"))),
        ("error code", format!("{:?}", ErrorCode::from("for 254708374149"))),
        ("document", format!("{:?}", IdDocument::new(IdKind::Passport, NUMBER).unwrap())),
        ("push", format!("{:?}", push.description(NUMBER.parse().unwrap()))),
        ("payment", format!("{:?}", payment())),
        ("payout", format!("{:?}", Payout::new(payment()))),
        ("question", format!("{:?}", TransactionStatusQuery::by_id(&initiator(), code, &id, result_urls()))),
        ("balance", format!("{:?}", AccountBalanceQuery::new(&initiator(), code, result_urls()).remarks(note.clone()))),
        ("reversal", format!("{:?}", reversal.remarks(note).occasion(occasion))),
        ("expected", format!("{:?}", Expected::new(amount).account(account).payer(NUMBER.parse().unwrap()))),
        ("notice", format!("{:?}", notice())),
        ("its ids", format!("{:?}", notice().correlation())),
        ("its key", format!("{:?}", notice().dedup_key())),
        ("transaction", format!("{status:?}")),
        ("result", format!("{:?}", ResultEnvelope::parse(RESULT).unwrap())),
    ];
    for (name, shown) in rows {
        for hidden in ["708374149", "70837414", "WANJIKU", "MFANO"] {
            assert!(!shown.contains(hidden), "{name}: {shown}");
        }
    }
}

#[test]
fn what_holds_no_number_is_shown_to_be_looked_for() {
    assert_eq!(format!("{:?}", "attempt-1042".parse::<Reference>().unwrap()), "Reference(\"attempt-1042\")");
    let id: OriginatorConversationId = "supplier-7-invoice-1042".parse().unwrap();
    assert_eq!(format!("{id:?}"), "OriginatorConversationId(supplier-7-invoice-1042)");
    let id: OriginatorConversationId = ID.parse().unwrap();
    assert_eq!((id.as_str(), id.to_string().as_str()), (ID, ID));
}
