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
    let urls = SignedUrls::new(base.clone(), SECRET).unwrap().at(Purpose::Payout, base).unwrap();
    let urls = urls.payout(&refund.parse().unwrap());
    Ask::new("POST", urls.result().path()).json(&json!({"Result": result})).send(&world.shop.base).await.status
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

/// A payment whose receipt only admins have told.
async fn entered(world: &World, receipt: &str) {
    let shop = &world.shop;
    world.simulator.everyone().approves().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 50).await;
    world.simulator.fault(Route::StkPush, Fault::ResetAfter);
    let id = text(&shop.pay(&token, &order, PHONE).await.ok(202)["payment_id"]);
    world.enter_receipt(&id, receipt).await;
}

#[tokio::test]
async fn a_receipt_that_daraja_does_not_know_is_for_a_person_and_never_paid_out() {
    let world = World::new().await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    entered(&world, "UK00000001").await;
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
    entered(&world, "UK00000001").await;
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
async fn a_part_of_an_order_is_given_back_and_the_order_stays_paid() {
    let world = World::with(quick(), Options::default()).await;
    let (token, order, receipt) = paid(&world, 500).await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    let part = json!({"receipt": receipt, "amount": 200.00, "reason": "One was broken"});
    shop.post(PATH, &admin, part.clone()).await.ok(202);
    until(&world, &admin, "settled").await;
    assert_eq!(world.simulator.reversals()[0].amount.get(), 200);
    let told = shop.get(&format!("/api/orders/{order}"), &token).await.ok(200);
    assert_eq!(told["state"], "paid");
    assert_eq!(world.value("SELECT COUNT(*) FROM received WHERE disposition = 'order'").await, 1);
    shop.post(PATH, &admin, part).await.fails(409, "ALREADY_REFUNDED");
    world.end().await;
}

#[tokio::test]
async fn money_that_is_no_orders_goes_back_whole() {
    let world = World::new().await;
    let (_, _, receipt) = paid(&world, 500).await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    world.database.execute("UPDATE received SET disposition = 'to_refund', reason = 'second_payment'").await;
    let part = json!({"receipt": receipt, "amount": 499, "reason": "?"});
    shop.post(PATH, &admin, part).await.fails(422, "INVALID_AMOUNT");
    shop.post(PATH, &admin, json!({"receipt": receipt, "amount": 500, "reason": "?"})).await.ok(202);
    until(&world, &admin, "settled").await;
    assert_eq!(world.value("SELECT COUNT(*) FROM received WHERE disposition = 'refunded'").await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_reversal_of_another_amount_or_receipt_is_for_a_person() {
    let other = [json!({"Key": "Amount", "Value": 49}), json!({"Key": "OriginalTransactionID", "Value": "UKTEST2009"})];
    for (other, key) in other.into_iter().zip(["Amount", "OriginalTransactionID"]) {
        let world = World::new().await;
        let (_, _, receipt) = paid(&world, 50).await;
        let admin = world.shop.admin().await;
        let id = adrift(&world, &admin, &receipt).await;
        let said = [json!({"Key": "Amount", "Value": 50}), json!({"Key": "OriginalTransactionID", "Value": receipt})];
        let rest = said.into_iter().filter(|one| one["Key"] != key);
        let parameters: Vec<_> = rest.chain([other]).collect();
        let result = json!({"ResultCode": 0, "ConversationID": "AG_1", "TransactionID": "UKTEST2008",
            "ResultParameters": {"ResultParameter": parameters}});
        assert_eq!(told(&world, &id, result).await, 200);
        let left = until(&world, &admin, "needs_person").await;
        assert_eq!(left["reason"], "M-PESA told of a reversal of another amount or of another receipt", "{key}");
        assert_eq!(world.value("SELECT COUNT(*) FROM payouts").await, 0);
        world.end().await;
    }
}

#[tokio::test]
async fn a_person_says_what_became_of_a_refund_that_does_not_go_on() {
    let world = World::new().await;
    let (token, order, receipt) = paid(&world, 50).await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    let id = adrift(&world, &admin, &receipt).await;
    let path = format!("{PATH}s/{id}/resolve");
    let not_back = json!({"outcome": "not_given_back", "reason": "The statement does not show it"});
    // Daraja may still tell of it.
    shop.post(&path, &admin, not_back.clone()).await.fails(409, "NOT_TO_BE_RESOLVED");
    world.database.execute("UPDATE refunds SET sent_at = sent_at - 86400000").await;
    for wrong in [
        json!({"outcome": "given_back", "reason": "?"}),
        json!({"outcome": "given_back", "receipt": "no receipt", "reason": "?"}),
        json!({"outcome": "not_given_back", "receipt": "UKTEST2008", "reason": "?"}),
        json!({"outcome": "maybe", "reason": "?"}),
    ] {
        shop.post(&path, &admin, wrong).await.fails(422, "INVALID_OUTCOME");
    }
    let ended = shop.post(&path, &admin, not_back.clone()).await.ok(200);
    assert_eq!((&ended["state"], &ended["outcome"]), (&json!("not_given_back"), &Value::Null));
    shop.post(&path, &admin, not_back).await.fails(409, "NOT_TO_BE_RESOLVED");
    assert_eq!(world.value("SELECT COUNT(*) FROM audit WHERE what = 'refund.resolved'").await, 1);

    // The receipt is free for another refund, and where that needs a person there is no day to wait.
    let again = adrift(&world, &admin, &receipt).await;
    assert_ne!(again, id);
    assert_eq!(told(&world, &again, json!({"ResultCode": "R000002", "ConversationID": "AG_2"})).await, 200);
    until(&world, &admin, "needs_person").await;
    eventually("it is counted", async || shop.metric("shop_refunds_need_person").await > 0.5).await;
    let back = json!({"outcome": "given_back", "receipt": "uktest2008", "reason": "Done in the portal"});
    let ended = shop.post(&format!("{PATH}s/{again}/resolve"), &admin, back).await.ok(200);
    assert_eq!(
        (&ended["state"], &ended["outcome"], &ended["back_receipt"]),
        (&json!("settled"), &json!("by_word"), &json!("UKTEST2008"))
    );
    assert_eq!(shop.get(&format!("/api/orders/{order}"), &token).await.ok(200)["state"], "refunded");
    let refund = json!({"receipt": receipt, "reason": "Out of stock"});
    shop.post(PATH, &admin, refund).await.fails(409, "ALREADY_REFUNDED");
    assert_eq!((world.simulator.reversals().len(), world.simulator.payouts().len()), (0, 0));
    world.end().await;
}

#[tokio::test]
async fn what_was_given_back_against_a_persons_word_is_not_given_back_again() {
    let world = World::new().await;
    let (_, _, receipt) = paid(&world, 50).await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    let id = adrift(&world, &admin, &receipt).await;
    world.database.execute("UPDATE refunds SET sent_at = sent_at - 86400000").await;
    let not_back = json!({"outcome": "not_given_back", "reason": "The statement does not show it"});
    shop.post(&format!("{PATH}s/{id}/resolve"), &admin, not_back).await.ok(200);
    for _ in 0..3 {
        world.simulator.fault(Route::Reversal, Fault::Throttled(None));
    }
    shop.post(PATH, &admin, json!({"receipt": receipt, "reason": "Out of stock"})).await.ok(202);
    until(&world, &admin, "not_sent").await;
    let done = json!({"ResultCode": 0, "ConversationID": "AG_1", "ResultParameters": {"ResultParameter": [
        {"Key": "Amount", "Value": 50}, {"Key": "OriginalTransactionID", "Value": receipt}]}});
    for _ in 0..2 {
        assert_eq!(told(&world, &id, done.clone()).await, 200);
    }
    until(&world, &admin, "needs_person").await;
    assert_eq!(world.value("SELECT COUNT(*) FROM received WHERE disposition = 'refunded'").await, 1);
    assert_eq!(world.value("SELECT COUNT(*) FROM refunds WHERE outcome = 'reversed'").await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_persons_word_on_a_refunds_payout_ends_the_refund() {
    let world = World::new().await;
    let (_, _, receipt) = paid(&world, 50).await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    world.simulator.every_recipient().result_lost();
    let id = adrift(&world, &admin, &receipt).await;
    assert_eq!(told(&world, &id, json!({"ResultCode": 8, "ConversationID": "AG_1"})).await, 200);
    let payout = text(&until(&world, &admin, "paying_out").await["payout_id"]);
    eventually("the money has left", async || world.simulator.payouts().len() == 1).await;
    world.a_day_passes_for_payouts().await;
    let statement =
        json!({"outcome": "paid", "receipt": world.simulator.payouts()[0].receipt.to_string(), "reason": "Seen"});
    shop.post(&format!("/api/payments/supplier/payouts/{payout}/resolve"), &admin, statement).await.ok(200);
    assert_eq!(until(&world, &admin, "settled").await["outcome"], "paid_out");
    world.end().await;
}
