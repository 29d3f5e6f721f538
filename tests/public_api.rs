//! What the public types promise to every user: they cross threads, they are cheap to clone, their errors are errors.

use daraja::{
    Accepted, AccountBalanceQuery, AccountBalanceResult, Advice, Answer, B2cAccepted, B2cPayment, B2cResult,
    Certificate, Client, Credentials, Environment, Error, Initiator, InitiatorPassword, Limits, Merchant, Msisdn,
    NextStep, Party, Payer, Payout, PayoutState, QueueTimeout, ResultUrls, Reversal, ReversalResult, Rules,
    SecurityCredential, Settings, Shillings, StkAccepted, StkCallback, StkPush, StkQuery, StkStatus,
    TransactionStatusQuery, TransactionStatusResult,
    c2b::C2bNotice,
    initiated::ResultEnvelope,
    simulator::{NoOpenPrompt, Served, Simulator},
    stk::{Settled, Wait},
    transport::{Transport, TransportError, reqwest::ReqwestTransport},
    webhook::{
        Ack, DedupKey, Delivery, Entry, Event, Expected, Inbox, Journal, Mismatch, Receiver, Reference, Refused,
        SignedUrls, Sources, Unfinished,
    },
};

fn crosses_threads<T: Send + Sync + 'static>() {}
fn is_cloned<T: Clone>() {}
fn is_an_error<T: std::error::Error + Send + Sync + 'static>() {}
fn is_sent<T: Send>(_: &T) {}

#[test]
fn public_types_cross_threads() {
    crosses_threads::<Client>();
    crosses_threads::<Simulator>();
    crosses_threads::<Served>();
    crosses_threads::<Inbox>();
    crosses_threads::<Event>();
    crosses_threads::<(Receiver, Delivery<'static>, Refused, SignedUrls, Sources, Reference)>();
    crosses_threads::<(Journal, Unfinished, Entry)>();
    crosses_threads::<(ResultEnvelope, C2bNotice, Payer, DedupKey, Expected, Ack)>();
    crosses_threads::<Merchant>();
    crosses_threads::<StkPush>();
    crosses_threads::<StkQuery>();
    crosses_threads::<(Initiator, InitiatorPassword, SecurityCredential, Certificate, ResultUrls)>();
    crosses_threads::<(B2cPayment, TransactionStatusQuery, AccountBalanceQuery, Reversal, Payout)>();
    crosses_threads::<(B2cResult, TransactionStatusResult, AccountBalanceResult, ReversalResult, QueueTimeout)>();
    crosses_threads::<Settings>();
    crosses_threads::<(Certificate, SecurityCredential)>();
    crosses_threads::<Answer>();
    crosses_threads::<Box<dyn Transport>>();
}

#[test]
fn handles_and_values_are_cloned() {
    is_cloned::<Client>();
    is_cloned::<Simulator>();
    is_cloned::<Inbox>();
    is_cloned::<(Environment, Credentials, Merchant, Rules, Limits, Msisdn, Advice)>();
    is_cloned::<(Certificate, SecurityCredential)>();
    is_cloned::<(Initiator, InitiatorPassword, ResultUrls, Party)>();
    is_cloned::<(B2cPayment, TransactionStatusQuery, AccountBalanceQuery, Reversal, Payout, PayoutState, NextStep)>();
    is_cloned::<(B2cResult, TransactionStatusResult, AccountBalanceResult, ReversalResult, QueueTimeout)>();
    is_cloned::<(Accepted, B2cAccepted)>();
    is_cloned::<(Event, ResultEnvelope, C2bNotice, Payer, DedupKey, Expected, Ack)>();
    is_cloned::<(Receiver, Delivery<'_>, SignedUrls, Sources, Reference, Journal)>();
    is_cloned::<(StkAccepted, StkCallback, StkStatus, Settled, Error, ReqwestTransport)>();
}

#[test]
fn errors_are_errors() {
    is_an_error::<Error>();
    is_an_error::<TransportError>();
    is_an_error::<daraja::error::Invalid>();
    is_an_error::<daraja::error::ApiError>();
    is_an_error::<daraja::error::ConfigError>();
    is_an_error::<daraja::error::DecodeError>();
    is_an_error::<daraja::error::StillPending>();
    is_an_error::<Refused>();
    is_an_error::<Mismatch>();
    is_an_error::<NoOpenPrompt>();
}

#[test]
fn public_futures_can_be_spawned() {
    let simulator = Simulator::new();
    let (client, merchant, inbox) = (simulator.client(), simulator.merchant(), Inbox::new());
    let id = "ws_CO_1".parse().expect("an id");
    let reference: Reference = "attempt-1".parse().expect("a reference");
    let base = "https://shop.example/daraja".parse().expect("a URL");
    let urls = SignedUrls::new(base, "3b1e9c47d2a86f05c4e7b91d60a3f82e").expect("URLs");
    let receiver = Receiver::new(urls);
    let query = StkQuery::new(&merchant, &id);
    is_sent(&client.send(&query));
    let code = simulator.b2c_short_code();
    let (recipient, amount) = ("0712345678".parse().expect("a number"), Shillings::new(10).expect("an amount"));
    let payment = B2cPayment::new(&simulator.initiator(), code, recipient, amount, simulator.result_urls());
    is_sent(&client.send(&payment));
    is_sent(&simulator.next_result());
    let event = Event::parse(b"{}").expect("an event");
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, mut unfinished) = Journal::open(folder.path().join("journal")).expect("a journal");
    is_sent(&journal.store("attempt-1", &event, b"{}"));
    is_sent(&journal.close());
    is_sent(&unfinished.next());
    is_sent(&client.warm_up());
    is_sent(&simulator.deliver_to(&receiver, &inbox));
    is_sent(&simulator.serve("127.0.0.1:0"));
    let wait: Wait<'_> = client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&reference);
    is_sent(&wait.into_future());
}
