//! A customer's payment, from the order to the receipt, and everything that can come in between.

use std::time::Duration;

use daraja::simulator::{Fault, Route, Simulator};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    forms::Browser,
    support::{ADMIN, Options, PHONE, Shop, World, eventually, quick},
};

#[tokio::test]
async fn an_order_is_paid_and_its_receipt_is_told() {
    let world = World::new().await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 500).await;

    let before = shop.verify(&token, &order).await;
    assert_eq!((&before["status"], &before["next_step"]), (&json!("pending"), &json!("pay")));
    let told = shop.pay(&token, &order, "0708 374 149").await;
    assert_eq!(told.body["message"], "STK Push sent successfully");
    let started = told.ok(200);
    assert_eq!(started["checkout_request_id"], simulator.prompts()[0].checkout_request_id.as_str());
    assert_eq!(started["customer_message"], "Please check your phone and enter your M-Pesa PIN");
    assert!(started["merchant_request_id"].is_string());

    let paid = shop.until(&token, &order, "completed").await;
    assert_eq!(paid["payment_reference"], simulator.payments()[0].receipt.as_str());
    assert_eq!(paid["payment_status"], "completed");
    assert_eq!(simulator.prompts()[0].amount.get(), 500);
    assert_eq!(simulator.prompts()[0].payer.to_string(), PHONE);

    // Paid is paid.
    shop.pay(&token, &order, PHONE).await.fails(409, "ORDER_PAID");
    shop.post(&format!("/api/orders/{order}/cancel"), &token, json!({})).await.fails(409, "ORDER_PAID");
    assert_eq!(simulator.prompts().len(), 1);
    assert!((shop.metric("shop_payments_succeeded_total{source=\"callback\"}").await - 1.0).abs() < 0.1);
    world.end().await;
}

#[tokio::test]
async fn the_receipt_follows_if_a_query_was_first() {
    let world = World::new().await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    simulator.customer(PHONE.parse().unwrap()).approves().callback_late(Duration::from_secs(4));
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    shop.pay(&token, &order, PHONE).await.ok(200);
    eventually("the query tells of the payment", async || {
        shop.post("/api/payments/mpesa/query", &token, json!({"order_id": order})).await.ok(200)["status"]
            == "completed"
    })
    .await;
    assert_eq!(shop.verify(&token, &order).await["payment_reference"], Value::Null);
    eventually("the receipt", async || shop.verify(&token, &order).await["payment_reference"].is_string()).await;
    assert_eq!(world.value("SELECT COUNT(*) FROM received").await, 1);
    assert_eq!(world.value("SELECT COUNT(*) FROM received WHERE disposition = 'order'").await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_payment_whose_callback_is_lost_is_found_by_the_sweep() {
    let options = Options::default().with("SHOP_SWEEP_AFTER_SECONDS", "1");
    let world = World::with(quick(), options).await;
    let shop = &world.shop;
    world.simulator.everyone().approves().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    shop.pay(&token, &order, PHONE).await.ok(200);
    let paid = shop.until(&token, &order, "completed").await;
    assert_eq!(paid["payment_reference"], Value::Null);
    assert!((shop.metric("shop_payments_succeeded_total{source=\"query\"}").await - 1.0).abs() < 0.1);

    // An admin reads the receipt in the customer's SMS, and another confirms it.
    let (admin, receipt) = (shop.admin().await, world.simulator.payments()[0].receipt.to_string());
    let payments = shop.get("/api/payments?state=settled", &admin).await.ok(200);
    let id = payments["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/payments/{id}/receipt");
    let entered = world.enter_receipt(&id, &receipt).await;
    assert_eq!(entered["payment_reference"], receipt.as_str());
    assert_eq!(world.value("SELECT COUNT(*) FROM received").await, 1);
    let other = json!({"receipt": "UK00000001", "reason": "SMS seen"});
    shop.post(&path, &admin, other).await.fails(409, "RECEIPT_KNOWN");
    world.end().await;
}

#[tokio::test]
async fn a_failure_that_only_a_query_tells_is_believed_when_it_is_told_twice() {
    let options = Options::default().with("SHOP_SWEEP_AFTER_SECONDS", "1").with("SHOP_QUERY_SPACING_SECONDS", "1");
    let world = World::with(quick(), options).await;
    let shop = &world.shop;
    world.simulator.everyone().cancels().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    shop.pay(&token, &order, PHONE).await.ok(200);
    let failed = shop.until(&token, &order, "failed").await;
    assert_eq!((&failed["reason"], &failed["next_step"]), (&json!("cancelled"), &json!("wait")));
    assert!(failed["retry_at"].is_i64());
    assert!(world.simulator.calls(Route::StkQuery) >= 2);
    world.end().await;
}

#[tokio::test]
async fn every_reason_has_words_and_a_safe_next_step() {
    let world = World::new().await;
    let shop = &world.shop;
    let token = shop.customer("amina@shop.example").await;
    for (phone, reason, next_step) in [
        ("254700000032", "cancelled", "pay"),
        ("254700000001", "insufficient_funds", "ask_customer"),
        ("254700000037", "no_response", "wait"),
        ("254700000017", "too_soon", "wait"),
        ("254700000011", "subscriber_busy", "wait"),
        ("254700000020", "wrong_pin", "pay"),
        ("254700000086", "pin_locked", "ask_customer"),
    ] {
        let order = shop.order(&token, 10).await;
        shop.pay(&token, &order, phone).await.ok(200);
        let failed = shop.until(&token, &order, "failed").await;
        assert_eq!((&failed["reason"], &failed["next_step"]), (&json!(reason), &json!(next_step)), "{phone}");
        assert!(failed["customer_message"].as_str().is_some_and(|message| message.len() > 20), "{failed}");
    }
    // After a failure that a callback told of, the order can be paid.
    let order = shop.order(&token, 10).await;
    shop.pay(&token, &order, "254700000032").await.ok(200);
    shop.until(&token, &order, "failed").await;
    shop.pay(&token, &order, PHONE).await.ok(200);
    shop.until(&token, &order, "completed").await;
    world.end().await;
}

#[tokio::test]
async fn two_requests_at_once_are_one_push() {
    let simulator = Simulator::builder().answer_time(Duration::from_secs(2)).query_spacing(Duration::ZERO).build();
    let world = World::with(simulator, Options::default()).await;
    let shop = &world.shop;
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    let pay = || shop.pay(&token, &order, PHONE);
    let told = tokio::join!(pay(), pay(), pay(), pay(), pay(), pay(), pay(), pay());
    let ids =
        [told.0, told.1, told.2, told.3, told.4, told.5, told.6, told.7].map(|told| told.ok(200)["payment_id"].clone());
    assert!(ids.iter().all(|id| *id == ids[0] && id.is_string()), "{ids:?}");
    assert_eq!(world.simulator.prompts().len(), 1);
    // Even to another phone: the order is being paid.
    assert_eq!(shop.pay(&token, &order, "254700000055").await.ok(200)["payment_id"], ids[0]);
    assert_eq!(world.simulator.prompts().len(), 1);
    shop.until(&token, &order, "completed").await;
    world.end().await;
}

#[tokio::test]
async fn a_push_of_unknown_outcome_is_not_made_again_and_its_callback_settles_it() {
    let simulator = Simulator::builder().answer_time(Duration::from_secs(3)).query_spacing(Duration::ZERO).build();
    let world = World::with(simulator, Options::default()).await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    simulator.fault(Route::StkPush, Fault::ResetAfter);
    let started = shop.pay(&token, &order, PHONE).await.ok(202);
    assert_eq!((&started["status"], &started["checkout_request_id"]), (&json!("pending"), &Value::Null));
    assert!(started["customer_message"].as_str().unwrap().contains("do not pay again"));
    // It blocks.
    assert_eq!(shop.pay(&token, &order, PHONE).await.ok(202)["payment_id"], started["payment_id"]);
    assert_eq!(shop.verify(&token, &order).await["next_step"], "wait");
    assert_eq!(simulator.prompts().len(), 1);
    let paid = shop.until(&token, &order, "completed").await;
    assert_eq!(paid["payment_reference"], simulator.payments()[0].receipt.as_str());
    world.end().await;
}

#[tokio::test]
async fn after_its_time_an_unknown_push_no_longer_blocks_and_what_comes_of_it_is_to_refund() {
    let simulator = Simulator::builder().answer_time(Duration::from_secs(4)).query_spacing(Duration::ZERO).build();
    let world = World::with(simulator, Options::default().with("SHOP_UNKNOWN_BLOCKS_SECONDS", "1")).await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    simulator.customer("254700000002".parse().unwrap()).approves().after(Duration::ZERO);
    simulator.fault(Route::StkPush, Fault::ResetAfter);
    let first = shop.pay(&token, &order, PHONE).await.ok(202);
    eventually("it blocks no more", async || {
        shop.pay(&token, &order, "254700000002").await.ok(if simulator.prompts().len() == 1 { 202 } else { 200 })
            ["payment_id"]
            != first["payment_id"]
    })
    .await;
    shop.until(&token, &order, "completed").await;
    // The first one is still not known: time alone fails nothing.
    assert_eq!(world.value("SELECT COUNT(*) FROM payments WHERE state = 'unknown'").await, 1);
    eventually("the second payment of the order", async || {
        world.value("SELECT COUNT(*) FROM received WHERE disposition = 'to_refund' AND reason = 'second_payment'").await
            == 1
    })
    .await;
    assert_eq!(simulator.payments().len(), 2);
    assert_eq!(world.value("SELECT COUNT(*) FROM received").await, 2);
    assert_eq!(shop.verify(&token, &order).await["status"], "completed");
    let admin = shop.admin().await;
    let surplus = shop.get("/api/payments/received?state=to_refund", &admin).await.ok(200);
    assert_eq!((&surplus["total"], &surplus["items"][0]["amount_cents"]), (&json!(1), &json!(1_000)));
    assert!((shop.metric("shop_money_to_refund_total{reason=\"second_payment\"}").await - 1.0).abs() < 0.1);
    world.end().await;
}

#[tokio::test]
async fn an_unknown_push_is_settled_by_the_receipt_that_one_admin_enters_and_another_confirms() {
    let world = World::new().await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    simulator.everyone().approves().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    simulator.fault(Route::StkPush, Fault::ResetAfter);
    let id = shop.pay(&token, &order, PHONE).await.ok(202)["payment_id"].as_str().unwrap().to_owned();
    let (admin, receipt) = (shop.admin().await, simulator.payments()[0].receipt.to_string());
    let path = format!("/api/payments/{id}/receipt");
    let confirm = format!("{path}/confirm");
    let body = json!({"receipt": receipt, "reason": "The customer showed the SMS"});
    shop.post(&path, &token, body.clone()).await.fails(403, "ADMINS_ONLY");
    shop.post(&path, &admin, json!({"receipt": "0000000000", "reason": "?"})).await.fails(422, "INVALID_RECEIPT");
    shop.post(&path, &admin, json!({"receipt": receipt, "reason": " "})).await.fails(422, "INVALID_TEXT");
    let entered = shop.post(&path, &admin, body.clone()).await;
    assert!(entered.body["message"].as_str().unwrap().contains("not checked"), "{}", entered.body);
    let entered = entered.ok(202);
    assert_eq!((&entered["receipt"], &entered["entered_by"]), (&json!(receipt), &json!("first.admin@shop.example")));

    // It counts for nothing yet, and neither the same admin nor one whom that one made can change this.
    let made = shop.another_admin("made@shop.example").await;
    world.database.execute("UPDATE users SET created_at = 0 WHERE role = 'admin'").await;
    for token in [&admin, &made] {
        shop.post(&confirm, token, json!({"receipt": receipt})).await.fails(403, "SECOND_ADMIN_NEEDED");
    }
    shop.post(&confirm, &token, json!({"receipt": receipt})).await.fails(403, "ADMINS_ONLY");
    assert_eq!(shop.verify(&token, &order).await["status"], "pending");
    assert_eq!(world.value("SELECT COUNT(*) FROM received").await, 0);
    let listed = shop.get("/api/payments?state=unknown", &admin).await.ok(200);
    assert_eq!(listed["items"][0]["receipt_to_confirm"], receipt.as_str());

    let second = world.second_admin().await;
    shop.post(&confirm, &second, json!({"receipt": "UK00000007"})).await.fails(409, "RECEIPT_NOT_ENTERED");
    assert_eq!(shop.post(&confirm, &second, json!({"receipt": receipt})).await.ok(200)["status"], "completed");
    shop.post(&confirm, &second, json!({"receipt": receipt})).await.fails(409, "RECEIPT_KNOWN");
    assert_eq!(shop.verify(&token, &order).await["payment_reference"], receipt.as_str());
    // Both names and the reason are kept.
    let kept = "SELECT COUNT(*) FROM audit a JOIN users u ON u.id = a.who
        WHERE (a.what = 'payment.receipt_entered' AND u.email = 'first.admin@shop.example'
            AND a.reason = 'The customer showed the SMS')
        OR (a.what = 'payment.receipt_confirmed' AND u.email = 'a.second.admin@shop.example'
            AND a.reason = 'entered by first.admin@shop.example: The customer showed the SMS')";
    assert_eq!(world.value(kept).await, 2);
    // One receipt is one payment's.
    let other = shop.order(&token, 10).await;
    simulator.fault(Route::StkPush, Fault::ResetAfter);
    let id = shop.pay(&token, &other, "254700000055").await.ok(202)["payment_id"].as_str().unwrap().to_owned();
    shop.post(&format!("/api/payments/{id}/receipt"), &admin, body).await.fails(409, "RECEIPT_USED");
    world.end().await;
}

#[tokio::test]
async fn a_receipt_that_is_entered_anew_needs_a_second_admin_anew() {
    let world = World::new().await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    simulator.everyone().approves().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    simulator.fault(Route::StkPush, Fault::ResetAfter);
    let id = shop.pay(&token, &order, PHONE).await.ok(202)["payment_id"].as_str().unwrap().to_owned();
    let (admin, second) = (shop.admin().await, world.second_admin().await);
    let path = format!("/api/payments/{id}/receipt");
    let enter = async |token: &str, receipt: &str| {
        shop.post(&path, token, json!({"receipt": receipt, "reason": "SMS seen"})).await.ok(202);
    };
    let confirm = async |token: &str, receipt: &str| {
        shop.post(&format!("{path}/confirm"), token, json!({"receipt": receipt})).await
    };
    enter(&admin, "UKTEST0001").await;
    enter(&second, "UKTEST0002").await;
    // What the second one saw before is not what is confirmed now.
    confirm(&admin, "UKTEST0001").await.fails(409, "RECEIPT_NOT_ENTERED");
    confirm(&second, "UKTEST0002").await.fails(403, "SECOND_ADMIN_NEEDED");
    // Two at once are one.
    let (first, again) = tokio::join!(confirm(&admin, "UKTEST0002"), confirm(&admin, "uktest0002"));
    let mut statuses = [first.status.as_u16(), again.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(shop.verify(&token, &order).await["payment_reference"], "UKTEST0002");
    assert_eq!(world.value("SELECT COUNT(*) FROM received").await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_phone_with_an_open_request_is_told_so_and_asked_again_after_a_pause() {
    let world = World::new().await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    simulator.everyone().approves().after(Duration::from_mins(5));
    let token = shop.customer("amina@shop.example").await;
    let first = shop.order(&token, 10).await;
    shop.pay(&token, &first, PHONE).await.ok(200);
    let second = shop.order(&token, 20).await;
    let told = shop.pay(&token, &second, PHONE).await;
    told.fails(409, "PHONE_BUSY");
    let message = told.body["message"].as_str().unwrap();
    let words = "There is already a request on this phone: answer or cancel it first.";
    assert!(message.starts_with(words), "{message}");
    // No loop: the pause of a minute counts.
    shop.pay(&token, &second, PHONE).await.fails(409, "TOO_SOON");
    let state = shop.verify(&token, &second).await;
    assert_eq!((&state["reason"], &state["next_step"]), (&json!("phone_busy"), &json!("wait")));
    let browser = Browser::log_in(shop, "amina@shop.example", ADMIN.1).await;
    let page = browser.get(&format!("/orders/{second}")).await.body;
    let button = page.split("id=\"pay\"").nth(1).expect("a button").split('>').next().unwrap();
    assert!(page.contains(words) && button.contains("disabled"), "{page}");
    assert!(!page.contains("could not be reached") && !page.contains("not been charged"), "{page}");
    assert_eq!((simulator.prompts().len(), simulator.calls(Route::StkPush)), (1, 2));
    world.database.execute("UPDATE payments SET retry_at = retry_at - 61000").await;
    assert_eq!(shop.verify(&token, &second).await["next_step"], "pay");
    shop.pay(&token, &second, "254700000055").await.ok(200);
    world.end().await;
}

#[tokio::test]
async fn what_daraja_refuses_or_does_not_get_charges_nobody() {
    let world = World::new().await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    shop.pay(&token, &order, "020 1234567").await.fails(422, "INVALID_PHONE");
    shop.pay(&token, &order, "12345").await.fails(422, "INVALID_PHONE");
    shop.pay(&token, &order, "").await.fails(422, "INVALID_PHONE");
    for _ in 0..3 {
        simulator.fault(Route::StkPush, Fault::Throttled(None));
    }
    shop.pay(&token, &order, PHONE).await.fails(503, "MPESA_UNREACHABLE");
    assert_eq!(simulator.prompts().len(), 0);
    // It provably was not carried out, so it can be tried again at once.
    shop.pay(&token, &order, PHONE).await.ok(200);
    shop.until(&token, &order, "completed").await;
    world.end().await;
}

#[tokio::test]
async fn money_for_a_cancelled_order_is_to_refund() {
    let simulator = Simulator::builder().answer_time(Duration::from_secs(2)).query_spacing(Duration::ZERO).build();
    let world = World::with(simulator, Options::default()).await;
    let shop = &world.shop;
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    shop.pay(&token, &order, PHONE).await.ok(200);
    let cancelled = shop.post(&format!("/api/orders/{order}/cancel"), &token, json!({})).await.ok(200);
    assert_eq!(cancelled["state"], "cancelled");
    world.delivered(1).await;
    assert_eq!(world.value("SELECT COUNT(*) FROM received WHERE reason = 'order_cancelled'").await, 1);
    let told = shop.verify(&token, &order).await;
    assert_eq!((&told["status"], &told["reason"]), (&json!("failed"), &json!("to_refund")));
    shop.pay(&token, &order, PHONE).await.fails(409, "ORDER_CANCELLED");
    world.end().await;
}

#[tokio::test]
async fn an_idempotency_key_makes_one_payment_of_two_requests() {
    let world = World::new().await;
    let shop = &world.shop;
    let (token, other) = (shop.customer("amina@shop.example").await, shop.customer("juma@shop.example").await);
    let order = shop.order(&token, 10).await;
    let body = json!({"order_id": order, "phone_number": "254700000032"});
    let path = "/api/payments/mpesa/initiate";
    let pay = async |token: &str, body: &Value| {
        shop.call_with(Method::POST, path, token, Some(body.clone()), &[("idempotency-key", "one")]).await
    };
    let first = pay(&token, &body).await;
    shop.until(&token, &order, "failed").await;
    // Without the key it would be a second push.
    let second = pay(&token, &body).await;
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    assert_eq!(world.simulator.prompts().len(), 1);
    pay(&token, &json!({"order_id": order, "phone_number": PHONE})).await.fails(422, "KEY_REUSED");
    // Another user's key is another key.
    let theirs = shop.order(&other, 10).await;
    pay(&other, &json!({"order_id": theirs, "phone_number": PHONE})).await.ok(200);
    // And so is another route's.
    let products = shop.get("/api/products", "").await.ok(200);
    let new = json!({"items": [{"product_id": products[0]["id"], "quantity": 1}]});
    let key = [("idempotency-key", "one")];
    let made = shop.call_with(Method::POST, "/api/orders", &token, Some(new.clone()), &key).await;
    let again = shop.call_with(Method::POST, "/api/orders", &token, Some(new), &key).await;
    assert_eq!(made.ok(201)["id"], again.ok(201)["id"]);
    world.end().await;
}

#[tokio::test]
async fn a_key_whose_request_is_under_way_is_answered_409() {
    let world = World::new().await;
    let shop = &world.shop;
    world.simulator.everyone().approves().after(Duration::from_secs(20));
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    world.simulator.fault(Route::StkPush, Fault::Slow(Duration::from_secs(3)));
    let body = json!({"order_id": order, "phone_number": PHONE});
    let pay = async || {
        let key = [("idempotency-key", "slow")];
        shop.call_with(Method::POST, "/api/payments/mpesa/initiate", &token, Some(body.clone()), &key).await
    };
    let second = async {
        eventually("the first is under way", async || world.value("SELECT COUNT(*) FROM payments").await == 1).await;
        pay().await
    };
    let (first, second) = tokio::join!(pay(), second);
    first.ok(200);
    second.fails(409, "IN_FLIGHT");
    assert_eq!(world.simulator.prompts().len(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_success_told_twice_late_and_after_a_failure_is_booked_once() {
    let world = World::new().await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    simulator.everyone().approves().callback_twice();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    shop.pay(&token, &order, PHONE).await.ok(200);
    let paid = shop.until(&token, &order, "completed").await;
    // A failure at the very same signed URL, later: it undoes nothing.
    world.delivered(1).await;
    let url = simulator.delivered()[0].url.clone();
    let id = simulator.prompts()[0].checkout_request_id.clone();
    let failure =
        json!({"Body": {"stkCallback": {"CheckoutRequestID": id.as_str(), "ResultCode": 1032, "ResultDesc": "x"}}});
    assert_eq!(post(shop, &url, &failure).await, 200);
    world.delivered(2).await;
    assert_eq!(shop.verify(&token, &order).await, paid);
    assert_eq!(world.value("SELECT COUNT(*) FROM received").await, 1);

    // The other way round: a failure, and then money after all.
    simulator.everyone().cancels().callback_once();
    let order = shop.order(&token, 10).await;
    shop.pay(&token, &order, "254700000055").await.ok(200);
    shop.until(&token, &order, "failed").await;
    let prompt = simulator.prompts().last().unwrap().clone();
    let url = simulator.delivered().last().unwrap().url.clone();
    assert_eq!(post(shop, &url, &success(prompt.checkout_request_id.as_str(), 10.0, "UKTEST0001")).await, 200);
    assert_eq!(shop.verify(&token, &order).await["payment_reference"], "UKTEST0001");
    assert_eq!(shop.verify(&token, &order).await["status"], "completed");
    world.end().await;
}

#[tokio::test]
async fn money_of_a_wrong_amount_or_of_another_request_is_kept_and_pays_nothing() {
    let world = World::new().await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    simulator.everyone().cancels();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    shop.pay(&token, &order, PHONE).await.ok(200);
    shop.until(&token, &order, "failed").await;
    let (url, id) = (simulator.delivered()[0].url.clone(), simulator.prompts()[0].checkout_request_id.clone());
    assert_eq!(post(shop, &url, &success("ws_CO_of_somebody_else", 10.0, "UKTEST0002")).await, 200);
    assert_eq!(shop.verify(&token, &order).await["status"], "failed");
    assert_eq!(world.value("SELECT COUNT(*) FROM received WHERE reason = 'other_request'").await, 1);
    assert_eq!(post(shop, &url, &success(id.as_str(), 9.0, "UKTEST0003")).await, 200);
    let told = shop.verify(&token, &order).await;
    assert_eq!((&told["status"], &told["reason"]), (&json!("failed"), &json!("to_refund")));
    assert_eq!(world.value("SELECT amount_cents FROM received WHERE reason = 'wrong_amount'").await, 900);
    assert_eq!(world.value("SELECT COUNT(*) FROM orders WHERE state = 'paid'").await, 0);
    world.end().await;
}

#[tokio::test]
async fn bare_and_forged_callbacks_settle_nothing() {
    let world = World::new().await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    simulator.everyone().approves().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    let started = shop.pay(&token, &order, PHONE).await.ok(200);
    let (payment, id) = (started["payment_id"].as_str().unwrap(), started["checkout_request_id"].as_str().unwrap());
    let body = success(id, 10.0, "UKTEST0004");
    for bare in ["mpesa/callback", "b2c/result", "b2c/timeout"] {
        assert_eq!(post(shop, &format!("{}/api/payments/{bare}", shop.base), &body).await, 200, "{bare}");
    }
    let forged = format!("{}/api/payments/mpesa/callback/{payment}/{}", shop.base, "0".repeat(64));
    assert_eq!(post(shop, &forged, &body).await, 404);
    assert_eq!(shop.verify(&token, &order).await["status"], "pending");
    assert_eq!(world.value("SELECT COUNT(*) FROM received").await, 0);
    assert_eq!(world.value("SELECT COUNT(*) FROM deliveries").await, 0);
    world.end().await;
}

#[tokio::test]
async fn a_bare_callback_makes_the_sweep_ask() {
    // Unasked it would wait for five minutes.
    let world = World::new().await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    simulator.everyone().approves().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    let started = shop.pay(&token, &order, PHONE).await.ok(200);
    world.database.execute("UPDATE payments SET sent_at = sent_at - 20000").await;
    let body = success(started["checkout_request_id"].as_str().unwrap(), 10.0, "UKTEST0005");
    assert_eq!(post(shop, &format!("{}/api/payments/mpesa/callback", shop.base), &body).await, 200);
    let paid = shop.until(&token, &order, "completed").await;
    assert_eq!(paid["payment_reference"], Value::Null); // what it said was not believed
    world.end().await;
}

#[tokio::test]
async fn a_row_that_is_found_in_the_middle_of_its_push_is_unknown_and_never_pushed_again() {
    let mut world = World::new().await;
    let token = world.shop.customer("amina@shop.example").await;
    let order = world.shop.order(&token, 10).await;
    world.simulator.everyone().approves().callback_lost();
    world.simulator.fault(Route::StkPush, Fault::Slow(Duration::from_mins(1)));
    {
        let (shop, simulator) = (&world.shop, &world.simulator);
        tokio::select! {
            _ = shop.pay(&token, &order, PHONE) => panic!("it is slow"),
            () = eventually("the push", async || simulator.prompts().len() == 1) => {}
        }
    }
    world.shop.kill().await;
    if world.database.url().starts_with("postgres") {
        // Another server might be sending it: it is given two minutes.
        world.database.execute("UPDATE payments SET sent_at = sent_at - 121000").await;
    }
    world.shop = Shop::start(&world.served, world.database.url(), Options::default()).await;
    let shop = &world.shop;
    eventually("it is seen", async || world.value("SELECT COUNT(*) FROM payments WHERE state = 'unknown'").await == 1)
        .await;
    shop.pay(&token, &order, PHONE).await.ok(202);
    assert_eq!(world.simulator.prompts().len(), 1);
    world.end().await;
}

async fn post(shop: &Shop, url: &str, body: &Value) -> u16 {
    let path = url.strip_prefix(&shop.base).expect("a URL of the shop");
    shop.raw(Method::POST, path, &[("content-type", "application/json")], &body.to_string()).await.status().as_u16()
}

fn success(id: &str, amount: f64, receipt: &str) -> Value {
    let item = |name: &str, value: Value| json!({"Name": name, "Value": value});
    let items = json!([
        item("Amount", json!(amount)),
        item("MpesaReceiptNumber", json!(receipt)),
        item("PhoneNumber", json!(254_708_374_149_u64)),
    ]);
    json!({"Body": {"stkCallback": {"MerchantRequestID": "1-2-3", "CheckoutRequestID": id, "ResultCode": 0,
        "ResultDesc": "The service request is processed successfully.", "CallbackMetadata": {"Item": items}}}})
}
