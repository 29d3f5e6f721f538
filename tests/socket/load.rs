//! Ten thousand customers pay over loopback sockets, sixty-four at a time.

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
    time::Duration,
};

use daraja::{
    Client, Merchant, Msisdn, Shillings, StkCallback, StkPush,
    simulator::{Route, Simulator},
    stk::Outcome,
    webhook::{Inbox, Reference},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

use crate::tools::message;

const CUSTOMERS: usize = 10_000;
const AT_A_TIME: usize = 64;

/// All of them post to one URL here: the outcomes are told apart by their ids.
static ATTEMPT: LazyLock<Reference> = LazyLock::new(|| "attempt-1".parse().expect("a reference"));

/// A shop's callback route: it reads, acknowledges and hands over.
async fn receive(listener: TcpListener, inbox: Inbox) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(take_callbacks(stream, inbox.clone()));
    }
}

async fn take_callbacks(mut stream: TcpStream, inbox: Inbox) {
    const ACK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 38\r\n\r\n{\"ResultCode\":0,\"ResultDesc\":\"Accepted\"}";
    let mut rest = Vec::new();
    while let Some(request) = message::read(&mut stream, &mut rest).await {
        inbox.deliver(&ATTEMPT, StkCallback::parse(request.body()).expect("a callback"));
        stream.write_all(ACK).await.expect("the simulator reads");
    }
}

/// What one customer's payment came to: its id, the receipt, the payer and the cents.
async fn checkout(
    client: &Client,
    merchant: &Merchant,
    inbox: &Inbox,
    callback_url: url::Url,
    payer: Msisdn,
) -> (String, String, Option<Msisdn>, Option<i64>) {
    let reference = "INV-001".parse().expect("a reference");
    let push = StkPush::new(merchant, payer, Shillings::new(10).expect("an amount"), reference, callback_url);
    let accepted = client.send(&push).await.expect("accepted");
    let wait = client.wait_for_payment(merchant, &accepted.checkout_request_id).inbox(inbox).at(&ATTEMPT).schedule([]);
    let settled = wait.await.expect("settled");
    assert_eq!(settled.checkout_request_id, accepted.checkout_request_id);
    let Outcome::Paid(payment) = settled.outcome else { panic!("{payer:?} approves") };
    let receipt = payment.receipt.expect("a receipt").to_string();
    let cents = payment.amount.map(daraja::Kes::cents);
    (accepted.checkout_request_id.to_string(), receipt, payment.payer.and_then(|payer| payer.msisdn()), cents)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_pushes_ring_ten_thousand_phones_and_lose_no_outcome() {
    let simulator = Simulator::new();
    simulator.everyone().approves().after(Duration::ZERO);
    let served = simulator.serve("127.0.0.1:0").await.unwrap();
    let (client, merchant, inbox) = (served.client(), simulator.merchant(), Inbox::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let callback_url: url::Url = format!("http://{}/callbacks/stk", listener.local_addr().unwrap()).parse().unwrap();
    let receiver = tokio::spawn(receive(listener, inbox.clone()));
    let (places, mut tasks) = (Arc::new(Semaphore::new(AT_A_TIME)), JoinSet::new());
    for customer in 0..CUSTOMERS {
        let payer: Msisdn = format!("25470000{customer:04}").parse().unwrap();
        let (client, merchant, inbox) = (client.clone(), merchant.clone(), inbox.clone());
        let (callback_url, places) = (callback_url.clone(), places.clone());
        tasks.spawn(async move {
            let _place = places.acquire().await.expect("it is never closed");
            let payment = checkout(&client, &merchant, &inbox, callback_url, payer).await;
            assert_eq!((payment.2, payment.3), (Some(payer), Some(1_000)));
            payment
        });
    }

    let payments = tasks.join_all().await;
    receiver.abort();

    let ids: HashSet<_> = payments.iter().map(|payment| &payment.0).collect();
    let receipts: HashSet<_> = payments.iter().map(|payment| &payment.1).collect();
    let prompts = simulator.prompts();
    let payers: HashSet<_> = prompts.iter().map(|prompt| prompt.payer).collect();
    let prompted: HashSet<_> = prompts.iter().map(|prompt| prompt.checkout_request_id.to_string()).collect();
    assert_eq!((payments.len(), ids.len(), receipts.len()), (10_000, 10_000, 10_000));
    assert_eq!((prompts.len(), payers.len(), prompted.len()), (10_000, 10_000, 10_000));
    assert_eq!(simulator.calls(Route::OAuth), 1);
    assert_eq!(simulator.calls(Route::StkPush), 10_000);
    assert_eq!(simulator.calls(Route::StkQuery), 0, "every outcome came by callback");
    assert_eq!(simulator.undelivered(), 0);
}
