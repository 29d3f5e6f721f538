//! The same for money that leaves: credentials, recipients and their names.

use daraja::{
    AccountBalanceQuery, AccountBalanceResult, B2cPayment, B2cResult, Initiator, NextStep, Party, Payout, QueueTimeout,
    ResultUrls, Reversal, ReversalResult, TransactionStatusQuery, TransactionStatusResult,
    b2c::{IdDocument, IdKind},
};

use super::{
    Msisdn, NUMBER, PATH, SecurityCredential, Shillings, Simulator, answer, echoing_answers, scripted, show, show_chain,
};

pub(super) const NAME: &str = "SURNAMEPLANTED";
/// Of the length of a real one, as it would be echoed.
pub(super) const CREDENTIAL: &str = "Q3JlZGVudGlhbFBsYW50ZWQxQ3JlZGVudGlhbFBsYW50ZWQyQ3JlZGVudGlhbFBsYW50ZWQzQ3JlZGVudGlhbFBsYW50ZWQ0Q3JlZGVudGlhbFBsYW50ZWQ1Q3JlZGVudGlhbFBsYW50ZWQ2Q3JlZGVudGlhbFBsYW50ZWQ3Q3JlZGVudGlhbFBsYW50ZWQ4Q3JlZGVudGlhbFBsYW50ZWQ5Q3JlZGVudGlhbFBsYW50ZWQxMENyZWRlbnRpYWxQbGFudGVkMTFDcmVkZW50aWFsUGxhbnRlZDEyQ3JlZGVudGlhbFBsYW50ZWQxM0NyZWRlbnRpYWw=";

fn urls() -> ResultUrls {
    let url = |kind| format!("https://shop.example/{PATH}/{kind}").parse().unwrap();
    ResultUrls::new(url("result"), url("timeout"))
}

fn initiator() -> Initiator {
    Initiator::new("shop-api", SecurityCredential::new(CREDENTIAL))
}

fn payment() -> B2cPayment {
    let (recipient, amount): (Msisdn, _) = (NUMBER.parse().unwrap(), Shillings::new(500).unwrap());
    let document = IdDocument::new(IdKind::Passport, NAME).unwrap();
    B2cPayment::new(&initiator(), "600992".parse().unwrap(), recipient, amount, urls()).with_id_check(document)
}

/// Bodies that hold what must not be seen, as Daraja's do.
fn bodies() -> Vec<String> {
    let person = format!("{NUMBER} - {NAME}");
    let result = |code: u32, words: &str, receipt: &str| {
        format!(
            r#"{{"Result":{{"ResultCode":{code},"ResultDesc":"{words}","OriginatorConversationID":"ours","TransactionID":"{receipt}",
            "ResultParameters":{{"ResultParameter":[{{"Key":"TransactionReceipt","Value":"{receipt}"}},
            {{"Key":"ReceiptNo","Value":"{receipt}"}},{{"Key":"OriginalTransactionID","Value":"{receipt}"}},
            {{"Key":"TransactionStatus","Value":"{words}"}},
            {{"Key":"ReceiverPartyPublicName","Value":"{person}"}},{{"Key":"CreditPartyName","Value":"{person}"}},
            {{"Key":"CreditPartyPublicName","Value":"{person}"}},{{"Key":"DebitPartyName","Value":"{person}"}}]}}}}}}"#
        )
    };
    vec![
        result(0, "Completed", "SG632NMUAB"),
        result(0, &format!("for {NUMBER}"), "NLJ0000000"),
        result(1, &format!("too little for {NUMBER}"), ""),
        result(2001, NUMBER, ""),
        result(7777, NUMBER, "SG632NMUAB"),
        format!(
            r#"{{"InitiatorName":"a","SecurityCredential":"{CREDENTIAL}","CommandID":"b","PartyB":"{NUMBER}","Remarks":"{NAME}"}}"#
        ),
        format!(r#"{{"Result":{{"ResultCode":"","Name":"{NAME}","SecurityCredential":"{CREDENTIAL}"}}}}"#),
        format!(r#"{{"SecurityCredential":"{CREDENTIAL}","PartyB":"{NUMBER}","Name":"{NAME}"#),
        format!("<html>{NAME} {NUMBER} {CREDENTIAL}</html>"),
    ]
}

fn show_bodies(seen: &mut String) {
    for body in bodies() {
        let body = body.as_bytes();
        let mut show_both = |read: Result<&dyn std::fmt::Debug, &daraja::error::DecodeError>| match read {
            Ok(read) => show(seen, read),
            Err(error) => show_chain(seen, &error.clone().into()),
        };
        show_both(B2cResult::parse(body).as_ref().map(|read| read as _));
        show_both(TransactionStatusResult::parse(body).as_ref().map(|read| read as _));
        show_both(AccountBalanceResult::parse(body).as_ref().map(|read| read as _));
        show_both(ReversalResult::parse(body).as_ref().map(|read| read as _));
        show_both(QueueTimeout::parse(body).as_ref().map(|read| read as _));
    }
    show(seen, &Party::new(format!("{NUMBER} - {NAME}")));
}

async fn provoke_errors(seen: &mut String) {
    let (initiator, code) = (initiator(), "600992".parse().unwrap());
    let echo = answer(403, format!("<html>refused: {CREDENTIAL} {NUMBER}</html>"));
    for step in echoing_answers().into_iter().chain([echo]) {
        for payment in [payment(), payment().v1(), payment().to_pochi()] {
            let (_, client) = scripted(vec![step.clone(); 3]);
            show(seen, &payment);
            if let Err(error) = client.send(&payment).await {
                show_chain(seen, &error);
            }
        }
        let (_, client) = scripted(vec![step; 3]);
        let query = AccountBalanceQuery::new(&initiator, code, urls());
        show(seen, &query);
        if let Err(error) = client.send(&query).await {
            show_chain(seen, &error);
        }
    }
    let receipt = "SG632NMUAB".parse().unwrap();
    show(seen, &Reversal::new(&initiator, code, receipt, Shillings::new(1).unwrap(), urls()));
    show(seen, &TransactionStatusQuery::by_receipt(&initiator, code, receipt, urls()));
}

/// A payout from birth to receipt against the simulator, its own log lines included.
async fn play(seen: &mut String) {
    let simulator = Simulator::new();
    let (client, initiator, urls) = (simulator.client(), simulator.initiator(), urls());
    let (code, recipient) = (simulator.b2c_short_code(), NUMBER.parse().unwrap());
    let payment = B2cPayment::new(&initiator, code, recipient, Shillings::new(500).unwrap(), urls.clone());
    let mut payout = Payout::new(payment);
    let stored = serde_json::to_string(&payout).unwrap();
    assert!(!stored.contains(PATH) && !stored.contains("redential"), "{stored}");
    let dispatch = payout.begin(client.now()).unwrap();
    show(seen, &dispatch);
    let sent = dispatch.send(&client, &initiator, urls).await;
    show(seen, &sent);
    payout.sent(&sent, client.now());
    let posted = simulator.next_result().await;
    show(seen, &posted);
    payout.take_result(&B2cResult::parse(&posted.body).unwrap(), client.now()).unwrap();
    assert_eq!(payout.next_step(client.now()), NextStep::Done);
    show(seen, &payout);
    show(seen, &simulator.payouts());
}

pub(super) async fn show_all(seen: &mut String) {
    show_bodies(seen);
    provoke_errors(seen).await;
    play(seen).await;
}
