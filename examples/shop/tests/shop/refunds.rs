//! Money that goes back: once for each receipt, by a reversal, and by a payout only if that was finally refused.

use std::time::Duration;

use daraja::{
    Reversal, Shillings,
    simulator::{Fault, Route, Simulator},
    webhook::{Purpose, SignedUrls},
};
use serde_json::{Value, json};

use crate::{
    contract::{Ask, text},
    support::{Options, PHONE, SECRET, World, eventually, quick},
};

const PATH: &str = "/api/payments/refund";

/// An order that is paid: its customer's token, its id, and the receipt.
async fn paid(world: &World, shillings: u32) -> (String, String, String) {
    let token = world.shop.customer("amina@shop.example").await;
    let order = world.shop.order(&token, shillings).await;
    world.shop.pay(&token, &order, PHONE).await.ok(200);
    let told = world.shop.until(&token, &order, "completed").await;
    let receipt = told["payment_reference"].as_str().unwrap().to_owned();
    (token, order, receipt)
}

async fn until(world: &World, admin: &str, state: &str) -> Value {
    let mut told = Value::Null;
    eventually(state, async || {
        told = world.shop.get("/api/payments/refunds", admin).await.ok(200)["items"][0].clone();
        told["state"] == state
    })
    .await;
    told
}

#[tokio::test]
async fn a_payment_is_given_back_by_a_reversal_and_once() {
    let world = World::new().await;
    let (token, order, receipt) = paid(&world, 500).await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    let refund = |amount: Value| json!({"receipt": receipt, "amount": amount, "reason": "Out of stock"});
    shop.post(PATH, &token, refund(json!(500))).await.fails(403, "ADMINS_ONLY");
    shop.post(PATH, &admin, refund(json!(501))).await.fails(422, "INVALID_AMOUNT");
    shop.post(PATH, &admin, json!({"receipt": "UK00000009", "reason": "?"})).await.fails(404, "RECEIPT_NOT_FOUND");
    let requested = shop.post(PATH, &admin, refund(Value::Null)).await.ok(202);
    assert_eq!(requested["amount"], 500);
    let settled = until(&world, &admin, "settled").await;
    assert_eq!((&settled["outcome"], &settled["payout_id"]), (&json!("reversed"), &Value::Null));
    let reversals = world.simulator.reversals();
    assert_eq!(
        (reversals.len(), reversals[0].amount.get(), reversals[0].original_receipt.to_string()),
        (1, 500, receipt.clone())
    );
    assert_eq!(world.simulator.payouts().len(), 0);
    shop.post(PATH, &admin, refund(Value::Null)).await.fails(409, "ALREADY_REFUNDED");
    let told = shop.get(&format!("/api/orders/{order}"), &token).await.ok(200);
    assert_eq!(told["state"], "refunded");
    shop.pay(&token, &order, PHONE).await.fails(409, "ORDER_PAID");
    world.end().await;
}

/// What came to the signed URL of a refund, as Daraja would tell it.
async fn told(world: &World, refund: &str, result: Value) -> u16 {
    let base: url::Url = format!("{}/api/payments/b2c/result", world.shop.base).parse().unwrap();
    let urls = SignedUrls::new(base.clone(), SECRET).unwrap().at(Purpose::Result, base).unwrap();
    let url = urls.result(&refund.parse().unwrap());
    Ask::new("POST", url.path()).json(&json!({"Result": result})).send(&world.shop.base).await.status
}

/// A payment whose refund is under way, and whose reversal never reached Daraja, which nobody knows: the refund's id.
async fn adrift(world: &World, admin: &str, receipt: &str) -> String {
    world.simulator.fault(Route::Reversal, Fault::ResetBefore);
    let refund = json!({"receipt": receipt, "reason": "Out of stock"});
    let id = text(&world.shop.post(PATH, admin, refund).await.ok(202)["id"]);
    until(world, admin, "unknown").await;
    id
}

#[tokio::test]
async fn a_payout_takes_the_place_of_a_reversal_that_was_finally_refused() {
    let world = World::new().await;
    let (_, _, receipt) = paid(&world, 50).await;
    let admin = world.shop.admin().await;
    let id = adrift(&world, &admin, &receipt).await;
    // The customer's account cannot take it by a reversal.
    assert_eq!(told(&world, &id, json!({"ResultCode": 8, "ConversationID": "AG_1"})).await, 200);
    let settled = until(&world, &admin, "settled").await;
    assert_eq!(settled["outcome"], "paid_out");
    let payouts = world.simulator.payouts();
    assert_eq!((payouts.len(), payouts[0].amount.get(), payouts[0].recipient.to_string()), (1, 50, PHONE.to_owned()));
    assert_eq!(world.value("SELECT COUNT(*) FROM received WHERE disposition = 'refunded'").await, 1);
    world.end().await;
}

/// A payment whose receipt only an admin has told.
async fn entered(world: &World, admin: &str, receipt: &str) {
    let shop = &world.shop;
    world.simulator.everyone().approves().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 50).await;
    world.simulator.fault(Route::StkPush, Fault::ResetAfter);
    let id = text(&shop.pay(&token, &order, PHONE).await.ok(202)["payment_id"]);
    let entered = json!({"receipt": receipt, "reason": "SMS seen"});
    shop.post(&format!("/api/payments/{id}/receipt"), admin, entered).await.ok(200);
}

#[tokio::test]
async fn a_receipt_that_daraja_does_not_know_is_for_a_person_and_never_paid_out() {
    let world = World::new().await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    entered(&world, &admin, "UK00000001").await;
    shop.post(PATH, &admin, json!({"receipt": "UK00000001", "reason": "Out of stock"})).await.ok(202);
    let left = until(&world, &admin, "needs_person").await;
    assert_eq!(left["reason"], "no payment with this receipt can be reversed");
    assert_eq!(world.value("SELECT COUNT(*) FROM payouts").await, 0);
    world.end().await;
}

#[tokio::test]
async fn a_receipt_that_daraja_told_and_then_does_not_know_is_for_a_person_too() {
    let world = World::new().await;
    let (_, _, receipt) = paid(&world, 50).await;
    let admin = world.shop.admin().await;
    let id = adrift(&world, &admin, &receipt).await;
    assert_eq!(told(&world, &id, json!({"ResultCode": "R000002", "ConversationID": "AG_1"})).await, 200);
    assert_eq!(until(&world, &admin, "needs_person").await["payout_id"], Value::Null);
    assert_eq!(world.value("SELECT COUNT(*) FROM payouts").await, 0);
    world.end().await;
}

#[tokio::test]
async fn money_that_only_an_admin_has_told_of_is_never_paid_out() {
    let world = World::new().await;
    let admin = world.shop.admin().await;
    entered(&world, &admin, "UK00000001").await;
    let id = adrift(&world, &admin, "UK00000001").await;
    assert_eq!(told(&world, &id, json!({"ResultCode": 8, "ConversationID": "AG_1"})).await, 200);
    let left = until(&world, &admin, "needs_person").await;
    assert!(left["reason"].as_str().unwrap().contains("only an admin"), "{left}");
    assert_eq!(world.value("SELECT COUNT(*) FROM payouts").await, 0);
    world.end().await;
}

#[tokio::test]
async fn what_was_reversed_before_is_not_given_back_again() {
    let world = World::new().await;
    let (_, _, receipt) = paid(&world, 50).await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    let amount = Shillings::new(50).unwrap();
    let merchant = simulator.merchant().short_code();
    // Somebody did it in the organisation's portal. With a client of its own: a new token kills the old one, which the shop
    // must survive.
    let urls = simulator.result_urls();
    let reversal = Reversal::new(&simulator.initiator(), merchant, receipt.parse().unwrap(), amount, urls);
    world.served.client().send(&reversal).await.unwrap();
    let admin = shop.admin().await;
    shop.post(PATH, &admin, json!({"receipt": receipt, "reason": "Out of stock"})).await.ok(202);
    let settled = until(&world, &admin, "settled").await;
    assert_eq!(settled["outcome"], "already_reversed");
    assert_eq!((simulator.reversals().len(), simulator.payouts().len()), (1, 0));
    world.end().await;
}

#[tokio::test]
async fn an_unknown_reversal_is_waited_for_and_nothing_takes_its_place() {
    let simulator = Simulator::builder()
        .answer_time(Duration::from_millis(20))
        .result_time(Duration::from_secs(3))
        .query_spacing(Duration::ZERO)
        .build();
    let world = World::with(simulator, Options::default()).await;
    let (_, _, receipt) = paid(&world, 50).await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    world.simulator.fault(Route::Reversal, Fault::ResetAfter);
    let refund = json!({"receipt": receipt, "reason": "Out of stock"});
    let id = shop.post(PATH, &admin, refund.clone()).await.ok(202)["id"].as_str().unwrap().to_owned();
    until(&world, &admin, "unknown").await;
    shop.post(PATH, &admin, refund).await.fails(409, "ALREADY_REFUNDED");
    shop.post(&format!("/api/payments/refunds/{id}/retry"), &admin, json!({})).await.fails(409, "NOT_TO_BE_RETRIED");
    assert_eq!((world.simulator.calls(Route::Reversal), world.simulator.payouts().len()), (1, 0));
    // Its result comes to its signed URL all the same.
    assert_eq!(until(&world, &admin, "settled").await["outcome"], "reversed");
    assert_eq!(world.simulator.reversals().len(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_reversal_that_provably_was_not_sent_can_be_sent_again() {
    let world = World::new().await;
    let (_, _, receipt) = paid(&world, 50).await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    for _ in 0..3 {
        world.simulator.fault(Route::Reversal, Fault::Throttled(None));
    }
    let refund = json!({"receipt": receipt, "reason": "Out of stock"});
    let id = shop.post(PATH, &admin, refund).await.ok(202)["id"].as_str().unwrap().to_owned();
    until(&world, &admin, "not_sent").await;
    assert_eq!(world.simulator.reversals().len(), 0);
    shop.post(&format!("/api/payments/refunds/{id}/retry"), &admin, json!({})).await.ok(202);
    assert_eq!(until(&world, &admin, "settled").await["outcome"], "reversed");
    assert_eq!(world.simulator.reversals().len(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_part_is_given_back_and_a_wrong_amount_goes_back_whole() {
    let world = World::with(quick(), Options::default()).await;
    let (_, _, receipt) = paid(&world, 500).await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    shop.post(PATH, &admin, json!({"receipt": receipt, "amount": 200.00, "reason": "One was broken"})).await.ok(202);
    until(&world, &admin, "settled").await;
    assert_eq!(world.simulator.reversals()[0].amount.get(), 200);
    world.end().await;
}
