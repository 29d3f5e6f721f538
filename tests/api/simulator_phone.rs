//! The simulated phone in somebody's hand: prompts that are answered or not, and the messages that follow the money.

use std::{future::IntoFuture, time::Duration};

use daraja::{
    B2cOutcome, B2cPayment, B2cResult, CheckoutRequestId, Error, Msisdn, ReceiptNumber, Reversal, Shillings, StkPush,
    StkQuery, StkReason, StkStatus,
    simulator::{Message, PromptAnswer, Simulator},
    stk::{Outcome, Settled},
    webhook::Inbox,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use crate::support::{ATTEMPT, RECEIVER};

const SECOND: Duration = Duration::from_secs(1);

fn phone() -> Msisdn {
    "254708374149".parse().unwrap()
}

/// A simulator whose customers are in somebody's hand, with the time of day of a literal test.
fn by_hand() -> Simulator {
    let start = "2026-11-23T06:05:00Z".parse().unwrap();
    let simulator = Simulator::builder().starting_at(start).query_spacing(Duration::ZERO).build();
    simulator.everyone().decides_by_hand();
    simulator
}

async fn try_push(simulator: &Simulator, reference: &str) -> Result<CheckoutRequestId, Error> {
    let (merchant, amount) = (simulator.merchant(), Shillings::new(1_500).unwrap());
    let url = RECEIVER.urls().stk(&ATTEMPT);
    let push = StkPush::new(&merchant, phone(), amount, reference.parse().unwrap(), url);
    Ok(simulator.client().send(&push).await?.checkout_request_id)
}

async fn push(simulator: &Simulator) -> CheckoutRequestId {
    try_push(simulator, "INV-001").await.unwrap()
}

async fn query(simulator: &Simulator, id: &CheckoutRequestId) -> StkStatus {
    simulator.client().send(&StkQuery::new(&simulator.merchant(), id)).await.unwrap()
}

/// The end as its callback tells it, which is due before any query.
async fn settled(simulator: &Simulator, id: &CheckoutRequestId) -> Settled {
    let (client, merchant, inbox) = (simulator.client(), simulator.merchant(), Inbox::new());
    let wait = client.wait_for_payment(&merchant, id).inbox(&inbox).at(&ATTEMPT).into_future();
    tokio::select! {
        settled = wait => settled.unwrap(),
        never = simulator.deliver_to(&RECEIVER, &inbox) => match never {},
    }
}

#[track_caller]
fn reason(settled: Settled) -> StkReason {
    match settled.outcome {
        Outcome::Failed(failure) => failure.reason(),
        other @ Outcome::Paid(_) => panic!("{other:?} is no failure"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_pin_pays_once_and_one_callback_tells_of_it() {
    let simulator = by_hand();
    let before = simulator.accounts().utility.cents();
    let id = push(&simulator).await;
    sleep(59 * SECOND).await;
    assert_eq!(query(&simulator, &id).await, StkStatus::Pending);
    assert!(simulator.payments().is_empty());
    assert_eq!(simulator.undelivered(), 1, "the end that nobody's answer brings");

    simulator.answer(&id, PromptAnswer::Pin).unwrap();
    assert_eq!(query(&simulator, &id).await, StkStatus::Paid);
    let [paid] = &simulator.payments()[..] else { panic!("one payment") };
    assert_eq!((&paid.checkout_request_id, paid.payer, paid.amount.get()), (&id, phone(), 1_500));
    assert_eq!(paid.reference, "INV-001");
    assert_eq!(simulator.accounts().utility.cents() - before, 150_000);
    assert_eq!(simulator.undelivered(), 1, "the end by the answer, and no other");

    let Outcome::Paid(told) = settled(&simulator, &id).await.outcome else { panic!("paid") };
    assert_eq!(told.receipt.as_ref(), Some(&paid.receipt));
    assert_eq!(simulator.undelivered(), 0);
    sleep(300 * SECOND).await;
    assert_eq!((simulator.undelivered(), simulator.payments().len()), (0, 1));
    assert_eq!(simulator.accounts().utility.cents() - before, 150_000);
}

#[tokio::test(start_paused = true)]
async fn every_other_answer_ends_the_prompt_at_once_and_moves_nothing() {
    for (answer, code, expected) in [
        (PromptAnswer::WrongPin, 2001, StkReason::WrongPin),
        (PromptAnswer::Cancel, 1032, StkReason::Cancelled),
        (PromptAnswer::NoFunds, 1, StkReason::InsufficientFunds),
    ] {
        let simulator = by_hand();
        let before = simulator.accounts();
        let id = push(&simulator).await;
        sleep(3 * SECOND).await;
        simulator.answer(&id, answer).unwrap();
        let StkStatus::Failed(told) = query(&simulator, &id).await else { panic!("{answer:?} ends it") };
        assert_eq!(told.code().as_number(), Some(code), "{answer:?}");
        assert_eq!(simulator.undelivered(), 1, "{answer:?}");
        assert_eq!(reason(settled(&simulator, &id).await), expected, "{answer:?}");
        assert_eq!(simulator.accounts(), before, "{answer:?}");
        assert!(simulator.payments().is_empty() && simulator.messages(phone()).is_empty(), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_prompt_ends_as_if_ignored_after_a_minute() {
    let simulator = Simulator::builder().answer_time(Duration::ZERO).query_spacing(Duration::ZERO).build();
    simulator.customer(phone()).decides_by_hand();
    let id = push(&simulator).await;
    sleep(59 * SECOND + Duration::from_millis(900)).await;
    assert_eq!(query(&simulator, &id).await, StkStatus::Pending);
    assert_eq!(simulator.open_prompts()[0].time_left, Duration::from_millis(100));
    sleep(Duration::from_millis(100)).await;
    assert!(simulator.open_prompts().is_empty());
    assert!(simulator.answer(&id, PromptAnswer::Pin).is_err(), "too late");
    assert_eq!(reason(settled(&simulator, &id).await), StkReason::NoResponse);
    assert_eq!((simulator.undelivered(), simulator.payments().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_callback_of_an_unanswered_prompt_is_due_after_a_minute_or_when_the_script_says() {
    for (scripted, last_second) in [(None, 59), (Some(10 * SECOND), 9), (Some(90 * SECOND), 89)] {
        let simulator = by_hand();
        if let Some(time) = scripted {
            simulator.everyone().after(time);
        }
        push(&simulator).await;
        let inbox = Inbox::new();
        for (wait, delivered) in [(last_second * SECOND, 0), (SECOND, 1)] {
            assert!(timeout(wait, simulator.deliver_to(&RECEIVER, &inbox)).await.is_err());
            assert_eq!(inbox.len(), delivered, "{scripted:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_answered_twice_nor_what_is_unknown_or_decided_by_script() {
    let simulator = by_hand();
    let id = push(&simulator).await;
    simulator.answer(&id, PromptAnswer::Cancel).unwrap();
    for answer in [PromptAnswer::Pin, PromptAnswer::Cancel] {
        assert!(simulator.answer(&id, answer).is_err());
    }
    assert!(simulator.answer(&"ws_CO_1".parse().unwrap(), PromptAnswer::Pin).is_err());
    assert_eq!(reason(settled(&simulator, &id).await), StkReason::Cancelled);

    simulator.everyone().ignores();
    let scripted = push(&simulator).await;
    assert!(simulator.answer(&scripted, PromptAnswer::Pin).is_err());
    assert!(simulator.open_prompts().is_empty());
    sleep(60 * SECOND).await;
    assert!(simulator.payments().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_number_is_free_for_another_push_right_after_an_answer() {
    let simulator = by_hand();
    let first = push(&simulator).await;
    sleep(5 * SECOND).await;
    let locked = try_push(&simulator, "INV-002").await.unwrap_err();
    assert!(locked.to_string().contains("Unable to lock subscriber"), "{locked}");
    simulator.answer(&first, PromptAnswer::Cancel).unwrap();
    let second = try_push(&simulator, "INV-002").await.unwrap();
    let open = simulator.open_prompts();
    assert_eq!(open.iter().map(|open| &open.prompt.checkout_request_id).collect::<Vec<_>>(), [&second]);
    assert_eq!((open[0].prompt.reference.as_str(), open[0].time_left), ("INV-002", 60 * SECOND));
    simulator.answer(&second, PromptAnswer::Pin).unwrap();
    assert_eq!(simulator.payments().len(), 1);
    assert_eq!(simulator.prompts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_the_callback_is_scripted_all_the_same() {
    for (script, in_the_queue) in [
        ("once", 1),
        ("lost", 0),
        ("twice", 2),
        ("early", 1), // when the prompt ends, as there is nothing to be early for
    ] {
        let simulator = by_hand();
        let customer = simulator.everyone();
        match script {
            "lost" => customer.callback_lost(),
            "twice" => customer.callback_twice(),
            "early" => customer.callback_early(),
            _ => customer.callback_once(),
        };
        let id = push(&simulator).await;
        assert_eq!(simulator.undelivered(), in_the_queue, "{script}");
        assert_eq!(query(&simulator, &id).await, StkStatus::Pending, "{script}");
        simulator.answer(&id, PromptAnswer::Pin).unwrap();
        assert_eq!(simulator.undelivered(), in_the_queue, "{script}");
        assert_eq!(query(&simulator, &id).await, StkStatus::Paid, "{script}");
    }
}

/// The texts without the receipts that they begin with.
fn texts(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.text.strip_prefix(message.receipt.as_str()).unwrap()).collect()
}

async fn reverse(simulator: &Simulator, receipt: ReceiptNumber, amount: u32) {
    let (code, amount) = (simulator.merchant().short_code(), Shillings::new(amount).unwrap());
    let reversal = Reversal::new(&simulator.initiator(), code, receipt, amount, simulator.result_urls());
    simulator.client().send(&reversal).await.unwrap();
    simulator.next_result().await;
}

#[tokio::test(start_paused = true)]
async fn messages_follow_the_money_and_never_run_ahead_of_it() {
    let simulator = by_hand();
    let id = push(&simulator).await;
    assert!(simulator.messages(phone()).is_empty());
    sleep(30 * SECOND).await;
    simulator.answer(&id, PromptAnswer::Pin).unwrap();
    let payment = " Confirmed. KES 1500.00 paid to 174379 for account INV-001 on 23/11/26 at 9:05 AM.";
    let messages = simulator.messages(phone());
    assert_eq!(texts(&messages), [payment]);
    let receipt = simulator.payments()[0].receipt;
    assert_eq!((messages[0].receipt, messages[0].at.to_string().as_str()), (receipt, "20261123090530"));

    // A payout takes five seconds.
    let (initiator, code, amount) = (simulator.initiator(), simulator.b2c_short_code(), Shillings::new(20).unwrap());
    let payout = B2cPayment::new(&initiator, code, phone(), amount, simulator.result_urls());
    simulator.client().send(&payout).await.unwrap();
    assert_eq!(simulator.messages(phone()).len(), 1);
    let result = B2cResult::parse(&simulator.next_result().await.body).unwrap();
    let received = " Confirmed. You have received KES 20.00 from 600992 - SIMULATED SHOP on 23/11/26 at 9:05 AM.";
    let messages = simulator.messages(phone());
    assert_eq!(texts(&messages), [payment, received]);
    let B2cOutcome::Paid(paid) = result.outcome else { panic!("paid") };
    assert_eq!(messages[1].receipt, paid.receipt);

    assert!(simulator.reversals().is_empty());
    sleep(3_600 * SECOND).await;
    reverse(&simulator, receipt, 1_501).await;
    assert!(simulator.reversals().is_empty(), "more than was paid");
    reverse(&simulator, receipt, 1_000).await;
    reverse(&simulator, receipt, 1_000).await;
    let [back] = &simulator.reversals()[..] else { panic!("one reversal") };
    assert_eq!((back.original_receipt, back.payer, back.amount.get()), (receipt, phone(), 1_000));
    let messages = simulator.messages(phone());
    let given_back = format!(
        " Confirmed. KES 1000.00 of {receipt} given back to you by 600992 - SIMULATED SHOP on 23/11/26 at 10:05 AM."
    );
    assert_eq!(texts(&messages), [payment, received, &given_back]);
    assert_eq!(messages[2].receipt, back.receipt);
    assert_eq!(simulator.payments().len(), 1, "it came in all the same");
    assert!(simulator.messages("254700000050".parse().unwrap()).is_empty(), "somebody else's phone");
}

#[tokio::test(start_paused = true)]
async fn a_scripted_customer_gets_messages_too_and_a_failure_sends_none() {
    let simulator = by_hand();
    simulator.everyone().approves().callback_lost();
    let merchant = simulator.till_merchant();
    let amount = Shillings::new(50).unwrap();
    let push = StkPush::new(&merchant, phone(), amount, "INV-001".parse().unwrap(), simulator.callback_url());
    simulator.client().send(&push).await.unwrap();
    sleep(16 * SECOND).await;
    assert!(simulator.messages(phone()).is_empty() && simulator.payments().is_empty());
    sleep(SECOND).await;
    let paid = " Confirmed. KES 50.00 paid to 5123456 on 23/11/26 at 9:05 AM.";
    assert_eq!(texts(&simulator.messages(phone())), [paid]);
    assert_eq!(simulator.payments().len(), 1);

    simulator.recipient(phone()).is_not_registered();
    let (initiator, code) = (simulator.initiator(), simulator.b2c_short_code());
    let payout = B2cPayment::new(&initiator, code, phone(), amount, simulator.result_urls());
    simulator.client().send(&payout).await.unwrap();
    simulator.next_result().await;
    simulator.everyone().cancels();
    simulator.client().send(&push).await.unwrap();
    sleep(60 * SECOND).await;
    assert_eq!(simulator.messages(phone()).len(), 1);
}

/// What is posted to a shop of one page, which says 200.
async fn posted(stream: &mut TcpStream) -> Value {
    let (mut read, mut buffer) = (Vec::new(), [0; 4_096]);
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        read.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&read);
        let body = text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
        if let Some(body) = body {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            return body;
        }
        assert!(count > 0, "cut after {text}");
    }
}

#[tokio::test]
async fn a_served_simulator_posts_the_callback_as_soon_as_the_prompt_is_answered() {
    let shop = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let callback_url = format!("http://{}/stk", shop.local_addr().unwrap()).parse().unwrap();
    let simulator = by_hand();
    let served = simulator.serve("127.0.0.1:0").await.unwrap();
    let (merchant, amount) = (simulator.merchant(), Shillings::new(1_500).unwrap());
    let push = StkPush::new(&merchant, phone(), amount, "INV-001".parse().unwrap(), callback_url);
    let id = served.client().send(&push).await.unwrap().checkout_request_id;
    simulator.answer(&id, PromptAnswer::Pin).unwrap();

    // Unanswered it would come after a minute.
    let (mut stream, _) = timeout(30 * SECOND, shop.accept()).await.expect("it comes at once").unwrap();
    let callback = &posted(&mut stream).await["Body"]["stkCallback"];
    assert_eq!((&callback["ResultCode"], &callback["CheckoutRequestID"]), (&0.into(), &id.as_str().into()));
    assert_eq!(simulator.undelivered(), 0);
}
