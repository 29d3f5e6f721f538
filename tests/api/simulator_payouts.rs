//! The simulator's books: what it pays, declines, refuses and posts.

use std::time::Duration;

use bytes::Bytes;
use daraja::{
    AccountBalanceQuery, AccountBalanceResult, B2cAccepted, B2cOutcome, B2cPayment, B2cPurpose, B2cReason, B2cResult,
    BalanceOutcome, Client, Initiator, InitiatorPassword, Kes, Msisdn, Operation, QueueTimeout, ReceiptNumber,
    Reversal, ReversalOutcome, ReversalReason, ReversalResult, SecurityCredential, Shillings, StatusOutcome, StkPush,
    TransactionState, TransactionStatusQuery, TransactionStatusResult,
    b2c::{IdDocument, IdKind},
    initiated::{RequestReason, TimeoutShape},
    simulator::{Fault, Route, Simulator},
    stk::Outcome,
    webhook::Inbox,
};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{ATTEMPT, RECEIVER};

const SUPPLIER: &str = "254700000055";

fn payment_to(simulator: &Simulator, number: &str, amount: u32) -> B2cPayment {
    let (recipient, amount): (Msisdn, _) = (number.parse().unwrap(), Shillings::new(amount).unwrap());
    let code = simulator.b2c_short_code();
    B2cPayment::new(&simulator.initiator(), code, recipient, amount, simulator.result_urls())
}

fn payment(simulator: &Simulator) -> B2cPayment {
    payment_to(simulator, SUPPLIER, 500)
}

async fn outcome(simulator: &Simulator) -> B2cOutcome {
    B2cResult::parse(&simulator.next_result().await.body).unwrap().outcome
}

async fn pay(simulator: &Simulator, payment: &B2cPayment) -> B2cOutcome {
    simulator.client().send(payment).await.unwrap();
    outcome(simulator).await
}

#[track_caller]
fn reason(outcome: B2cOutcome) -> B2cReason {
    match outcome {
        B2cOutcome::Failed(failure) => failure.reason(),
        other => panic!("{other:?} is no failure"),
    }
}

fn kes(shillings: i64) -> Kes {
    Kes::from_cents(shillings * 100)
}

#[tokio::test(start_paused = true)]
async fn a_payout_leaves_the_utility_account_and_the_result_says_what_is_left() {
    let simulator = Simulator::builder().utility_account(kes(1_000)).build();
    let before = simulator.accounts();
    let B2cOutcome::Paid(paid) = pay(&simulator, &payment(&simulator)).await else { panic!("paid") };
    let after = simulator.accounts();
    assert_eq!((after.utility, after.working), (kes(500), before.working));
    assert!(after.charges_paid < before.charges_paid);
    assert_eq!(paid.amount, Some(kes(500)));
    assert_eq!(paid.utility_balance, Some(after.utility));
    assert_eq!(paid.working_balance, Some(after.working));
    assert_eq!(paid.charges_balance, Some(after.charges_paid));
    assert_eq!(paid.recipient_is_registered, Some(true));
    assert_eq!(paid.recipient.unwrap().msisdn(), Some(SUPPLIER.parse().unwrap()));
    assert!(paid.completed_at.is_some());
    assert_eq!(simulator.payouts()[0].receipt, paid.receipt);
}

#[tokio::test(start_paused = true)]
async fn money_in_the_working_account_does_not_help() {
    let simulator = Simulator::builder().utility_account(kes(499)).build();
    assert!(simulator.accounts().working > kes(500));
    assert_eq!(reason(pay(&simulator, &payment(&simulator)).await), B2cReason::InsufficientFunds);
    assert_eq!(simulator.accounts().utility, kes(499));
    assert!(simulator.payouts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_scenario_ends_as_its_story_says() {
    for (number, expected) in [
        ("254700000004", Some(B2cReason::DailyLimit)),
        ("254700000008", Some(B2cReason::BalanceLimit)),
        ("254700000040", Some(B2cReason::Recipient)),
        ("254700000055", None),
    ] {
        let simulator = Simulator::new();
        let outcome = pay(&simulator, &payment_to(&simulator, number, 10)).await;
        assert_eq!(matches!(outcome, B2cOutcome::Paid(_)), expected.is_none(), "{number}");
        if let Some(expected) = expected {
            assert_eq!(reason(outcome), expected, "{number}");
        }
        assert_eq!(simulator.payouts().len(), usize::from(expected.is_none()), "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_credential_is_accepted_and_then_declined_and_the_third_locks_the_initiator() {
    let simulator = Simulator::new();
    let client = simulator.client();
    let with = |initiator: &Initiator| {
        let (recipient, amount) = (SUPPLIER.parse().unwrap(), Shillings::new(500).unwrap());
        B2cPayment::new(initiator, simulator.b2c_short_code(), recipient, amount, simulator.result_urls())
    };
    let password = InitiatorPassword::new("not its password");
    let wrong_password = SecurityCredential::encrypt(&password, &simulator.certificate()).unwrap();
    let wrong_key = SecurityCredential::encrypt(&simulator.initiator_password(), &daraja::Certificate::sandbox());
    let right = SecurityCredential::encrypt(&simulator.initiator_password(), &simulator.certificate()).unwrap();
    for (initiator, expected) in [
        (Initiator::new("simulator-api", wrong_password), B2cReason::WrongInitiator),
        (Initiator::new("simulator-api", wrong_key.unwrap()), B2cReason::WrongInitiator),
        (Initiator::new("somebody", right), B2cReason::WrongInitiator),
        (simulator.initiator(), B2cReason::InitiatorLocked),
    ] {
        let accepted = client.send(&with(&initiator)).await.unwrap();
        assert!(matches!(accepted, B2cAccepted::Accepted(_)));
        assert_eq!(reason(outcome(&simulator).await), expected);
    }
    let query = AccountBalanceQuery::new(&simulator.initiator(), simulator.b2c_short_code(), simulator.result_urls());
    client.send(&query).await.unwrap();
    let result = AccountBalanceResult::parse(&simulator.next_result().await.body).unwrap();
    let BalanceOutcome::Failed(failure) = result.outcome else { panic!("locked") };
    assert_eq!(failure.reason(), RequestReason::CredentialLocked);

    simulator.unlock_initiator();
    assert!(matches!(pay(&simulator, &with(&simulator.initiator())).await, B2cOutcome::Paid(_)));
    assert_eq!(simulator.payouts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_known_is_refused_until_it_is_forgotten() {
    let simulator = Simulator::builder().duplicate_memory(Duration::from_secs(900)).build();
    let (client, payment) = (simulator.client(), payment(&simulator));
    client.send(&payment).await.unwrap();
    let refused = client.send(&payment).await.unwrap_err();
    let api = refused.api().unwrap();
    assert_eq!((api.status().as_u16(), api.code().unwrap().as_str()), (500, "500.002.1001"));
    assert_eq!(api.message(), "Duplicate OriginatorConversationID.");
    assert!(api.is_duplicate() && !refused.outcome_unknown() && !refused.is_retryable());
    sleep(Duration::from_secs(899)).await;
    assert!(client.send(&payment).await.is_err());
    assert_eq!(simulator.payouts().len(), 1);
    // What nobody should try with the real one:
    sleep(Duration::from_secs(1)).await;
    client.send(&payment).await.unwrap();
    assert_eq!(simulator.payouts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_known_id_can_be_declined_by_the_result_instead() {
    let simulator = Simulator::builder().duplicates_by_result().build();
    let payment = payment(&simulator);
    assert!(matches!(pay(&simulator, &payment).await, B2cOutcome::Paid(_)));
    let B2cOutcome::Unproven(told) = pay(&simulator, &payment).await else { panic!("proves nothing") };
    assert_eq!(told.code.as_number(), Some(15));
    assert_eq!(simulator.payouts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn every_form_of_b2c_is_paid_and_only_version_1_knows_no_repeat() {
    let document = || IdDocument::new(IdKind::NationalId, "12345678").unwrap();
    for (name, make, knows_ids) in [
        ("v3", Box::new(|payment: B2cPayment| payment) as Box<dyn Fn(B2cPayment) -> B2cPayment>, true),
        ("v1", Box::new(B2cPayment::v1), false),
        ("pochi", Box::new(B2cPayment::to_pochi), true),
        ("checked", Box::new(move |payment: B2cPayment| payment.with_id_check(document())), true),
    ] {
        let simulator = Simulator::new();
        let payment = make(payment(&simulator)).purpose(B2cPurpose::SalaryPayment);
        let accepted = simulator.client().send(&payment).await.unwrap();
        let B2cAccepted::Accepted(accepted) = accepted else { panic!("{name}") };
        let result = B2cResult::parse(&simulator.next_result().await.body).unwrap();
        assert!(matches!(result.outcome, B2cOutcome::Paid(_)), "{name}");
        assert_eq!(result.conversation_id, accepted.conversation_id, "{name}");
        assert_eq!(result.originator_conversation_id, accepted.originator_conversation_id, "{name}");
        assert_eq!(result.originator_conversation_id.as_ref() == Some(payment.id()), knows_ids, "{name}");
        assert_eq!(simulator.payouts()[0].originator_conversation_id.is_some(), knows_ids, "{name}");
        assert_eq!(simulator.client().send(&payment).await.is_err(), knows_ids, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_made_good_by_the_same_id() {
    let simulator = Simulator::new();
    for fault in [Fault::ResetAfter, Fault::Truncated, Fault::AcceptedButError, Fault::Busy] {
        let payment = payment(&simulator);
        simulator.fault(Route::B2c, fault);
        assert_eq!(simulator.client().send(&payment).await.unwrap(), B2cAccepted::AlreadyAccepted, "{fault:?}");
    }
    assert_eq!(simulator.payouts().len(), 4);
    // Version 1 stops instead.
    let payment = payment(&simulator).v1();
    simulator.fault(Route::B2c, Fault::ResetAfter);
    assert!(simulator.client().send(&payment).await.unwrap_err().outcome_unknown());
    assert_eq!(simulator.payouts().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_result_comes_early_twice_late_or_never() {
    let simulator = Simulator::new();
    let client = simulator.client();
    let number: Msisdn = SUPPLIER.parse().unwrap();

    simulator.recipient(number).result_early();
    let early = payment(&simulator);
    let first = tokio::select! {
        posted = simulator.next_result() => Some(posted),
        _ = client.send(&early) => None,
    };
    let result = B2cResult::parse(&first.expect("the result comes before the answer").body).unwrap();
    assert_eq!(result.originator_conversation_id.as_ref(), Some(early.id()));

    simulator.recipient(number).result_twice();
    client.send(&payment(&simulator)).await.unwrap();
    let (one, two) = (simulator.next_result().await.body, simulator.next_result().await.body);
    assert_eq!(one, two);

    simulator.recipient(number).after(Duration::from_secs(10)).result_late(Duration::from_secs(50));
    let started = Instant::now();
    client.send(&payment(&simulator)).await.unwrap();
    simulator.next_result().await;
    assert_eq!(started.elapsed(), Duration::from_secs(60));

    simulator.recipient(number).result_lost();
    client.send(&payment(&simulator)).await.unwrap();
    assert!(timeout(Duration::from_secs(86_400), simulator.next_result()).await.is_err());
    assert_eq!(simulator.payouts().len(), 4);
    assert_eq!(simulator.undelivered(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_comes_to_its_own_url_in_three_shapes_and_the_money_has_left() {
    for shape in [TimeoutShape::Echo, TimeoutShape::Envelope, TimeoutShape::Ids] {
        let simulator = Simulator::new();
        simulator.recipient(SUPPLIER.parse().unwrap()).result_times_out(shape);
        let payment = payment(&simulator);
        simulator.client().send(&payment).await.unwrap();
        let posted = simulator.next_result().await;
        assert_eq!(posted.url, simulator.result_urls().timeout().as_str());
        let notice = QueueTimeout::parse(&posted.body).unwrap();
        assert_eq!(notice.shape(), shape);
        assert_eq!(notice.originator_conversation_id.as_ref(), Some(payment.id()), "{shape:?}");
        assert_eq!(simulator.payouts().len(), 1);
    }
}

async fn ask(simulator: &Simulator, query: &TransactionStatusQuery) -> StatusOutcome {
    simulator.client().send(query).await.unwrap();
    TransactionStatusResult::parse(&simulator.next_result().await.body).unwrap().outcome
}

#[tokio::test(start_paused = true)]
async fn a_status_tells_of_payouts_by_id_and_by_receipt() {
    let simulator = Simulator::new();
    let (initiator, code, urls) = (simulator.initiator(), simulator.b2c_short_code(), simulator.result_urls());
    let payment = payment(&simulator);
    let by_id = TransactionStatusQuery::by_id(&initiator, code, payment.id(), urls.clone());
    assert_eq!(ask(&simulator, &by_id).await, StatusOutcome::NotFound);

    simulator.recipient(SUPPLIER.parse().unwrap()).after(Duration::from_secs(30)).result_lost();
    simulator.client().send(&payment).await.unwrap();
    let StatusOutcome::Found(pending) = ask(&simulator, &by_id).await else { panic!("found") };
    assert_eq!((pending.status.clone(), pending.receipt, pending.proof()), (TransactionState::Pending, None, None));

    sleep(Duration::from_secs(60)).await;
    let StatusOutcome::Found(done) = ask(&simulator, &by_id).await else { panic!("found") };
    let receipt = simulator.payouts()[0].receipt;
    assert_eq!(done.proof(), Some(receipt));
    assert_eq!(done.amount, Some(kes(500)));
    assert_eq!(done.originator_conversation_id.as_ref(), Some(payment.id()));
    assert_eq!(done.credit_party.as_ref().unwrap().msisdn(), Some(SUPPLIER.parse().unwrap()));
    assert!(done.charges.is_some() && done.initiated_at < done.finalised_at);

    let by_receipt = TransactionStatusQuery::by_receipt(&initiator, code, receipt, urls);
    assert_eq!(ask(&simulator, &by_receipt).await, StatusOutcome::Found(done));
}

#[tokio::test(start_paused = true)]
async fn a_declined_payout_is_declined_in_the_books() {
    let simulator = Simulator::new();
    let payment = payment_to(&simulator, "254700000099", 500);
    simulator.client().send(&payment).await.unwrap();
    sleep(Duration::from_secs(10)).await;
    let (initiator, code, urls) = (simulator.initiator(), simulator.b2c_short_code(), simulator.result_urls());
    let found = ask(&simulator, &TransactionStatusQuery::by_id(&initiator, code, payment.id(), urls)).await;
    let StatusOutcome::Found(transaction) = found else { panic!("found") };
    // It has a receipt number, and that proves nothing.
    assert!(transaction.receipt.is_some());
    assert_eq!((transaction.status.clone(), transaction.proof()), (TransactionState::Declined, None));
}

/// A customer pays 500 shillings; the receipt.
async fn receive(simulator: &Simulator, client: &Client) -> ReceiptNumber {
    let (merchant, inbox) = (simulator.merchant(), Inbox::new());
    let (payer, amount) = ("254708374149".parse().unwrap(), Shillings::new(500).unwrap());
    let push = StkPush::new(&merchant, payer, amount, "INV-1".parse().unwrap(), RECEIVER.urls().stk(&ATTEMPT));
    let accepted = client.send(&push).await.unwrap();
    let wait =
        client.wait_for_payment(&merchant, &accepted.checkout_request_id).inbox(&inbox).at(&ATTEMPT).into_future();
    let settled = tokio::select! {
        settled = wait => settled.unwrap(),
        never = simulator.deliver_to(&RECEIVER, &inbox) => match never {},
    };
    let Outcome::Paid(payment) = settled.outcome else { panic!("paid") };
    payment.receipt.unwrap()
}

async fn reverse(simulator: &Simulator, receipt: &str, amount: u32) -> ReversalOutcome {
    let (initiator, code) = (simulator.initiator(), simulator.merchant().short_code());
    let (receipt, amount) = (receipt.parse().unwrap(), Shillings::new(amount).unwrap());
    let reversal = Reversal::new(&initiator, code, receipt, amount, simulator.result_urls());
    simulator.client().send(&reversal).await.unwrap();
    ReversalResult::parse(&simulator.next_result().await.body).unwrap().outcome
}

#[tokio::test(start_paused = true)]
async fn what_a_customer_paid_is_in_the_books_and_goes_back_once() {
    let simulator = Simulator::builder().utility_account(kes(0)).build();
    let receipt = receive(&simulator, &simulator.client()).await;
    assert_eq!(simulator.accounts().utility, kes(500));
    assert_eq!(
        simulator.payments().iter().map(|paid| (paid.receipt, paid.amount.get())).collect::<Vec<_>>(),
        [(receipt, 500)]
    );

    let too_much = reverse(&simulator, receipt.as_str(), 501).await;
    assert!(
        matches!(&too_much, ReversalOutcome::Refused(failure) if failure.reason() == ReversalReason::UnknownPayment)
    );
    let unknown = reverse(&simulator, "UKN1234567", 500).await;
    assert!(
        matches!(&unknown, ReversalOutcome::Refused(failure) if failure.reason() == ReversalReason::UnknownPayment)
    );

    let ReversalOutcome::Reversed(reversed) = reverse(&simulator, receipt.as_str(), 500).await else {
        panic!("reversed")
    };
    assert_eq!((reversed.original_receipt, reversed.amount), (receipt, Some(kes(500))));
    assert_eq!(reversed.credit_party.unwrap().msisdn(), Some("254708374149".parse().unwrap()));
    assert_eq!(reversed.debit_account.unwrap().available, Some(kes(0)));
    assert_eq!(simulator.accounts().utility, kes(0));
    assert_eq!(reverse(&simulator, receipt.as_str(), 500).await, ReversalOutcome::AlreadyReversed);
    assert_eq!(simulator.accounts().utility, kes(0));
    let [back] = &simulator.reversals()[..] else { panic!("one reversal") };
    assert_eq!((back.original_receipt, back.payer, back.amount.get()), (receipt, "254708374149".parse().unwrap(), 500));
}

#[tokio::test(start_paused = true)]
async fn a_reversal_needs_the_money_and_a_payout_cannot_be_reversed() {
    let simulator = Simulator::builder().utility_account(kes(100)).build();
    let receipt = receive(&simulator, &simulator.client()).await;
    let B2cOutcome::Paid(paid) = pay(&simulator, &payment_to(&simulator, SUPPLIER, 300)).await else { panic!("paid") };
    let short = reverse(&simulator, receipt.as_str(), 500).await;
    assert!(
        matches!(&short, ReversalOutcome::Refused(failure) if failure.reason() == ReversalReason::InsufficientFunds)
    );
    let payout = reverse(&simulator, paid.receipt.as_str(), 300).await;
    assert!(matches!(&payout, ReversalOutcome::Refused(failure) if failure.reason() == ReversalReason::UnknownPayment));
    assert_eq!(simulator.accounts().utility, kes(300));
}

#[tokio::test(start_paused = true)]
async fn balances_add_up() {
    let simulator = Simulator::new();
    for _ in 0..3 {
        pay(&simulator, &payment(&simulator)).await;
    }
    let query = AccountBalanceQuery::new(&simulator.initiator(), simulator.b2c_short_code(), simulator.result_urls());
    simulator.client().send(&query).await.unwrap();
    let result = AccountBalanceResult::parse(&simulator.next_result().await.body).unwrap();
    let BalanceOutcome::Known(balances) = result.outcome else { panic!("known") };
    let accounts = simulator.accounts();
    assert_eq!(balances.utility().unwrap().available, Some(accounts.utility));
    assert_eq!(balances.working().unwrap().available, Some(accounts.working));
    assert_eq!(balances.charges_paid().unwrap().current, Some(accounts.charges_paid));
    assert_eq!(accounts.utility, kes(1_000_000 - 1_500));
    assert!(accounts.charges_paid.cents() < 0);
}

/// Sends a body that was tampered with, and answers what the simulator says of it.
fn refusal(simulator: &Simulator, operation: &impl Operation, change: impl FnOnce(&mut Value)) -> String {
    let request = |method: &str, path: &str, authorization: String, body: Vec<u8>| {
        let request = http::Request::builder().method(method).uri(path).header("content-type", "application/json");
        request.header("authorization", authorization).body(Bytes::from(body)).unwrap()
    };
    let basic = "Basic c2ltdWxhdG9yLWNvbnN1bWVyLWtleTpzaW11bGF0b3ItY29uc3VtZXItc2VjcmV0".to_owned();
    let granted = request("GET", "/oauth/v1/generate?grant_type=client_credentials", basic, Vec::new());
    let granted: Value = serde_json::from_slice(simulator.handle(&granted).body()).unwrap();
    let bearer = format!("Bearer {}", granted["access_token"].as_str().unwrap());
    let mut body = serde_json::to_value(operation.body("20240402170017".parse().unwrap())).unwrap();
    change(&mut body);
    let response = simulator.handle(&request("POST", operation.path(), bearer, serde_json::to_vec(&body).unwrap()));
    let answer: Value = serde_json::from_slice(response.body()).unwrap();
    answer["errorMessage"].as_str().unwrap_or("accepted").to_owned()
}

#[tokio::test(start_paused = true)]
async fn what_daraja_refuses_the_simulator_refuses_in_the_same_words() {
    let rename = |from: &'static str, to: &'static str| {
        move |body: &mut Value| {
            let value = body.as_object_mut().unwrap().remove(from).expect(from);
            body[to] = value;
        }
    };
    let set = |key: &'static str, value: &'static str| move |body: &mut Value| body[key] = value.into();
    let simulator = Simulator::new();
    let b2c = payment(&simulator);
    assert_eq!(refusal(&simulator, &b2c, |_| {}), "accepted");
    for (key, value, field) in [
        ("OriginatorConversationID", "", "OriginatorConversationID"),
        ("InitiatorName", "", "InitiatorName"),
        ("SecurityCredential", "", "SecurityCredential"),
        ("CommandID", "BusinessPaymnet", "CommandID"),
        ("Amount", "10.50", "Amount"),
        ("PartyA", "12", "PartyA"),
        ("PartyB", "0712345678", "PartyB"),
        ("Remarks", "A", "Remarks"),
        ("ResultURL", "nowhere", "ResultURL"),
        ("QueueTimeOutURL", "", "QueueTimeOutURL"),
    ] {
        assert_eq!(refusal(&simulator, &b2c, set(key, value)), format!("Bad Request - Invalid {field}"));
    }
    assert_eq!(refusal(&simulator, &b2c, rename("InitiatorName", "Initiator")), "Bad Request - Invalid InitiatorName");
    assert_eq!(
        refusal(&simulator, &b2c, rename("QueueTimeOutURL", "QueueTimeoutURL")),
        "Bad Request - Invalid QueueTimeOutURL"
    );
    let receipt = "UKN1234567".parse().unwrap();
    let (initiator, urls) = (simulator.initiator(), simulator.result_urls());
    let code = simulator.b2c_short_code();
    let reversal = Reversal::new(&initiator, code, receipt, Shillings::new(1).unwrap(), urls.clone());
    assert_eq!(refusal(&simulator, &reversal, |_| {}), "accepted");
    assert_eq!(
        refusal(&simulator, &reversal, rename("RecieverIdentifierType", "ReceiverIdentifierType")),
        "Bad Request - Invalid RecieverIdentifierType"
    );
    let status = TransactionStatusQuery::by_receipt(&initiator, code, receipt, urls);
    assert_eq!(refusal(&simulator, &status, rename("Initiator", "InitiatorName")), "Bad Request - Invalid Initiator");
    assert_eq!(refusal(&simulator, &status, set("CommandID", "AccountBalance")), "Bad Request - Invalid CommandID");
}
