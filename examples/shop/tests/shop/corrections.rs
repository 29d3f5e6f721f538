//! What people have entered, and what Daraja tells later: its word counts, and no money is booked twice or forgotten.

use std::time::Duration;

use daraja::{
    simulator::{Fault, Route, Simulator},
    webhook::{Purpose, Reference, SignedUrls},
};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use crate::{
    forms::Browser,
    support::{ADMIN, Options, PHONE, SECRET, World, eventually, quick},
};

/// A payment whose phone rang and of which nothing is known: its order and its own id.
async fn unknown(world: &World, token: &str, phone: &str) -> (String, String) {
    let order = world.shop.order(token, 10).await;
    world.simulator.fault(Route::StkPush, Fault::ResetAfter);
    let started = world.shop.pay(token, &order, phone).await.ok(202);
    (order, started["payment_id"].as_str().unwrap().to_owned())
}

/// A world in which Daraja tells nothing by itself.
async fn silent() -> (World, String) {
    let world = World::new().await;
    world.simulator.everyone().approves().callback_lost();
    let token = world.shop.customer("amina@shop.example").await;
    (world, token)
}

/// A callback to the signed URL of this payment.
async fn deliver(world: &World, payment: &str, callback: &Value) -> u16 {
    deliver_text(world, payment, &json!({"Body": {"stkCallback": callback}}).to_string()).await
}

async fn deliver_text(world: &World, payment: &str, body: &str) -> u16 {
    let base: Url = format!("{}/api/payments/mpesa/callback", world.shop.base).parse().unwrap();
    let urls = SignedUrls::new(base.clone(), SECRET).unwrap().at(Purpose::Stk, base).unwrap();
    let url = urls.stk(&payment.parse::<Reference>().unwrap());
    world.shop.raw(Method::POST, url.path(), &[("content-type", "application/json")], body).await.status().as_u16()
}

/// A success with these items beside its receipt.
fn success_with(id: &str, items: &Value, receipt: &str) -> Value {
    let mut items = items.as_array().unwrap().clone();
    items.push(json!({"Name": "MpesaReceiptNumber", "Value": receipt}));
    json!({"CheckoutRequestID": id, "ResultCode": 0, "ResultDesc": "ok", "CallbackMetadata": {"Item": items}})
}

fn success(id: &str, shillings: u32, receipt: Option<&str>) -> Value {
    let mut items = vec![json!({"Name": "Amount", "Value": shillings})];
    items.extend(receipt.map(|receipt| json!({"Name": "MpesaReceiptNumber", "Value": receipt})));
    json!({"CheckoutRequestID": id, "ResultCode": 0, "ResultDesc": "ok", "CallbackMetadata": {"Item": items}})
}

/// What Daraja calls the last push.
fn last_id(world: &World) -> String {
    world.simulator.prompts().last().unwrap().checkout_request_id.to_string()
}

#[tokio::test]
async fn a_receipt_that_was_entered_for_the_wrong_payment_goes_to_the_one_that_daraja_names() {
    let (world, token) = silent().await;
    let shop = &world.shop;
    let (wrong, first) = unknown(&world, &token, PHONE).await;
    let (right, second) = unknown(&world, &token, "254700000055").await;
    assert_eq!(world.enter_receipt(&first, "UKTEST0001").await["status"], "completed");
    assert_eq!(deliver(&world, &second, &success(&last_id(&world), 10, Some("UKTEST0001"))).await, 200);

    let told = shop.verify(&token, &right).await;
    assert_eq!((&told["status"], &told["payment_reference"]), (&json!("completed"), &json!("UKTEST0001")));
    let told = shop.verify(&token, &wrong).await;
    assert_eq!((&told["status"], &told["next_step"]), (&json!("pending"), &json!("wait")));
    assert_eq!(world.value("SELECT COUNT(*) FROM received").await, 1);
    // It is as unknown as before: it blocks its order.
    shop.pay(&token, &wrong, PHONE).await.ok(202);
    assert_eq!(world.simulator.prompts().len(), 2);
    world.end().await;
}

#[tokio::test]
async fn money_that_is_being_given_back_stays_with_its_refund_whoever_it_is_from() {
    let (world, token) = silent().await;
    let shop = &world.shop;
    let (wrong, first) = unknown(&world, &token, PHONE).await;
    let (right, second) = unknown(&world, &token, "254700000055").await;
    world.enter_receipt(&first, "UKTEST0001").await;
    let refund = json!({"receipt": "UKTEST0001", "reason": "Out of stock"});
    shop.post("/api/payments/refund", &shop.admin().await, refund).await.ok(202);
    assert_eq!(deliver(&world, &second, &success(&last_id(&world), 10, Some("UKTEST0001"))).await, 200);

    // The result of the reversal, which may come at this very moment, is waited for as well.
    eventually("all is worked on", async || {
        world.value("SELECT COUNT(*) FROM deliveries WHERE due_at IS NOT NULL").await == 0
    })
    .await;
    let told = shop.verify(&token, &right).await;
    assert_eq!((&told["status"], &told["reason"]), (&json!("failed"), &json!("to_refund")));
    assert_eq!(shop.verify(&token, &wrong).await["status"], "pending");
    assert_eq!(world.value("SELECT COUNT(*) FROM received WHERE disposition = 'to_refund'").await, 1);
    assert_eq!(world.value("SELECT COUNT(*) FROM received").await, 1);
    world.end().await;
}

#[tokio::test]
async fn the_receipt_that_daraja_tells_takes_the_place_of_one_that_was_mistyped() {
    let (world, token) = silent().await;
    let (order, payment) = unknown(&world, &token, PHONE).await;
    world.enter_receipt(&payment, "UKTEST0001").await;
    assert_eq!(deliver(&world, &payment, &success(&last_id(&world), 10, Some("UKTEST0002"))).await, 200);
    assert_eq!(world.shop.verify(&token, &order).await["payment_reference"], "UKTEST0002");
    assert_eq!(world.value("SELECT COUNT(*) FROM received WHERE disposition = 'order'").await, 1);
    // The other one may be mistyped, and may be money: a person looks at it.
    assert_eq!(world.value("SELECT COUNT(*) FROM received").await, 2);
    let page = Browser::log_in(&world.shop, ADMIN.0, ADMIN.1).await.get("/admin/refunds").await.body;
    assert!(page.contains("UKTEST0001") && page.contains("M-PESA reported another one"), "{page}");
    world.end().await;
}

#[tokio::test]
async fn an_amount_that_daraja_tells_later_is_believed() {
    let (world, token) = silent().await;
    let shop = &world.shop;
    // After an admin's word.
    let (entered, payment) = unknown(&world, &token, PHONE).await;
    world.enter_receipt(&payment, "UKTEST0001").await;
    assert_eq!(deliver(&world, &payment, &success(&last_id(&world), 7, Some("UKTEST0001"))).await, 200);
    // And after a query, which tells none.
    let queried = shop.order(&token, 10).await;
    let started = shop.pay(&token, &queried, "254700000055").await.ok(200);
    eventually("the query tells of the payment", async || {
        shop.post("/api/payments/mpesa/query", &token, json!({"order_id": queried})).await.ok(200)["status"]
            == "completed"
    })
    .await;
    let payment = started["payment_id"].as_str().unwrap();
    assert_eq!(deliver(&world, payment, &success(&last_id(&world), 7, Some("UKTEST0002"))).await, 200);

    for order in [&entered, &queried] {
        let told = shop.verify(&token, order).await;
        assert_eq!((&told["status"], &told["reason"]), (&json!("failed"), &json!("to_refund")));
    }
    let kept = "SELECT COUNT(*) FROM received WHERE reason = 'wrong_amount' AND disposition = 'to_refund' AND amount_cents = 700";
    assert_eq!(world.value(kept).await, 2);
    assert_eq!(world.value("SELECT COUNT(*) FROM received").await, 2);
    assert!((shop.metric("shop_money_to_refund_total{reason=\"wrong_amount\"}").await - 2.0).abs() < 0.1);
    world.end().await;
}

#[tokio::test]
async fn a_success_without_a_receipt_speaks_against_a_failure_that_only_a_query_told() {
    let options = Options::default().with("SHOP_SWEEP_AFTER_SECONDS", "1").with("SHOP_QUERY_SPACING_SECONDS", "1");
    let world = World::with(quick(), options).await;
    let shop = &world.shop;
    world.simulator.everyone().cancels().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    let started = shop.pay(&token, &order, PHONE).await.ok(200);
    shop.until(&token, &order, "failed").await;
    let asked = world.simulator.calls(Route::StkQuery);
    let payment = started["payment_id"].as_str().unwrap();
    assert_eq!(deliver(&world, payment, &success(&last_id(&world), 10, None)).await, 200);
    assert_eq!(world.value("SELECT COUNT(*) FROM payments WHERE state = 'accepted' AND holds_order = 1").await, 1);
    eventually("Daraja is asked again", async || world.simulator.calls(Route::StkQuery) > asked).await;
    world.end().await;
}

/// The callbacks that report a payment and do not prove it.
fn unproven(id: &str) -> [Value; 4] {
    let with = |code: u32, receipt: &str| {
        let items = json!([{"Name": "Amount", "Value": 10}, {"Name": "MpesaReceiptNumber", "Value": receipt}]);
        json!({"CheckoutRequestID": id, "ResultCode": code, "ResultDesc": "x", "CallbackMetadata": {"Item": items}})
    };
    [success(id, 10, None), with(0, "UKTEST01"), with(1_032, "UKTEST0001"), with(26, "UKTEST0002")]
}

/// Has Daraja asked three times more about everything that is not settled. The sweep asks one after the other, so the
/// answers of each round are worked on before the next one is over.
async fn ask_more(world: &World, payments: usize) {
    for _ in 0..4 {
        let asked = world.simulator.calls(Route::StkQuery);
        world.database.execute("UPDATE payments SET sweep_at = 0 WHERE state = 'accepted'").await;
        eventually("Daraja is asked", async || world.simulator.calls(Route::StkQuery) >= asked + payments).await;
    }
}

#[tokio::test]
async fn queries_do_not_overrule_a_callback_that_reports_a_payment() {
    let world = World::new().await;
    let shop = &world.shop;
    world.simulator.everyone().cancels().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let mut orders = Vec::new();
    for index in 0..4 {
        let order = shop.order(&token, 10).await;
        let started = shop.pay(&token, &order, &format!("25470000010{index}")).await.ok(200);
        let payment = started["payment_id"].as_str().unwrap();
        assert_eq!(deliver(&world, payment, &unproven(&last_id(&world))[index]).await, 200);
        orders.push((order, payment.to_owned(), last_id(&world)));
    }
    ask_more(&world, 4).await;
    let (admin, customer) =
        (Browser::log_in(shop, ADMIN.0, ADMIN.1).await, Browser::log_in(shop, "amina@shop.example", ADMIN.1).await);
    let list = admin.get("/admin/unknown").await.body;
    for (order, ..) in &orders {
        let state = shop.verify(&token, order).await;
        assert_eq!((&state["status"], &state["next_step"]), (&json!("pending"), &json!("wait")), "{state}");
        let page = customer.get(&format!("/orders/{order}")).await.body;
        assert!(page.contains("Not known yet: do not pay again") && !page.contains("not been charged"), "{page}");
        let number = shop.get(&format!("/api/orders/{order}"), &token).await.ok(200)["number"].clone();
        assert!(list.contains(number.as_str().unwrap()), "an admin reads of {number}: {list}");
    }
    assert_eq!(world.simulator.prompts().len(), 4);
    // A failure that a callback reports later does not undo it, either.
    let (_, payment, id) = &orders[0];
    let failure = json!({"CheckoutRequestID": id, "ResultCode": 1032, "ResultDesc": "x"});
    assert_eq!(deliver(&world, payment, &failure).await, 200);
    assert_eq!(world.value("SELECT COUNT(*) FROM payments WHERE state = 'accepted' AND claimed_paid = 1").await, 4);
    // What is proved counts: a receipt at the payment's own URL.
    assert_eq!(deliver(&world, payment, &success(id, 10, Some("UKTEST0009"))).await, 200);
    assert_eq!(world.value("SELECT COUNT(*) FROM payments WHERE outcome = 'paid'").await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_callback_that_reports_a_payment_opens_a_failure_again_and_later_queries_do_not_close_it() {
    let world = World::with(quick(), Options::default().with("SHOP_SWEEP_AFTER_SECONDS", "1")).await;
    let shop = &world.shop;
    world.simulator.everyone().cancels().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let mut orders = Vec::new();
    for index in 0..4 {
        let order = shop.order(&token, 10).await;
        let started = shop.pay(&token, &order, &format!("25470000010{index}")).await.ok(200);
        orders.push((order, started["payment_id"].as_str().unwrap().to_owned(), last_id(&world)));
    }
    for (order, ..) in &orders {
        shop.until(&token, order, "failed").await;
    }
    for (index, (_, payment, id)) in orders.iter().enumerate() {
        assert_eq!(deliver(&world, payment, &unproven(id)[index]).await, 200);
    }
    ask_more(&world, 4).await;
    for (order, ..) in &orders {
        assert_eq!(shop.verify(&token, order).await["status"], "pending");
        // It blocks: the customer is not asked for the money again.
        shop.pay(&token, order, PHONE).await.ok(200);
    }
    assert_eq!(world.simulator.prompts().len(), 4);
    world.end().await;
}

#[tokio::test]
async fn a_query_after_a_callback_that_reports_a_payment_can_prove_it() {
    let world = World::new().await;
    let shop = &world.shop;
    world.simulator.everyone().approves().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    let started = shop.pay(&token, &order, PHONE).await.ok(200);
    let payment = started["payment_id"].as_str().unwrap();
    assert_eq!(deliver(&world, payment, &success(&last_id(&world), 10, None)).await, 200);
    shop.until(&token, &order, "completed").await;
    world.end().await;
}

#[tokio::test]
async fn a_payment_that_may_still_be_paid_is_not_hidden_by_a_later_failure() {
    let simulator = Simulator::builder().answer_time(Duration::from_millis(20)).query_spacing(Duration::ZERO).build();
    let world = World::with(simulator, Options::default().with("SHOP_UNKNOWN_BLOCKS_SECONDS", "0")).await;
    let shop = &world.shop;
    world.simulator.customer(PHONE.parse().unwrap()).approves().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let (order, first) = unknown(&world, &token, PHONE).await;
    let second = shop.pay(&token, &order, "254700000032").await.ok(200);
    assert_ne!(second["payment_id"], first.as_str());
    eventually("the second fails", async || {
        world.value("SELECT COUNT(*) FROM payments WHERE outcome = 'failed'").await == 1
    })
    .await;
    let told = shop.verify(&token, &order).await;
    assert_eq!((&told["status"], &told["next_step"]), (&json!("pending"), &json!("contact")));
    world.end().await;
}

#[tokio::test]
async fn a_phone_is_not_asked_again_before_the_pause_that_its_failure_advises() {
    let world = World::new().await;
    let shop = &world.shop;
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    shop.pay(&token, &order, "254700000037").await.ok(200);
    assert_eq!(shop.until(&token, &order, "failed").await["next_step"], "wait");
    // Of a phone that gave no answer a payment can still be reported.
    let customer = Browser::log_in(shop, "amina@shop.example", ADMIN.1).await;
    let page = customer.get(&format!("/orders/{order}")).await.body;
    assert!(page.contains("Not known to be paid"), "{page}");
    shop.pay(&token, &order, PHONE).await.fails(409, "TOO_SOON");
    assert_eq!(world.simulator.prompts().len(), 1);
    world.database.execute("UPDATE payments SET retry_at = retry_at - 600000").await;
    shop.pay(&token, &order, PHONE).await.ok(200);
    shop.until(&token, &order, "completed").await;
    world.end().await;
}

#[tokio::test]
async fn a_delivery_whose_work_failed_is_worked_on_later() {
    let world = World::with(quick(), Options::default().with("SHOP_NEW_NUMBER_SECONDS", "0")).await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    let supplier = shop.supplier(&admin, "Kericho Tea", "254700000101").await;
    // Its result comes while its row cannot be read, as after a version that went wrong.
    world.simulator.recipient("254700000101".parse().unwrap()).is_paid().after(Duration::from_secs(2));
    let body = json!({"supplier_id": supplier, "amount": 100, "notes": ""});
    shop.post("/api/payments/supplier/payout", &admin, body).await.ok(202);
    let taken = "SELECT COUNT(*) FROM payouts WHERE payout LIKE '%accepted%' OR payout LIKE '%Accepted%'";
    eventually("Daraja has it", async || world.value(taken).await == 1).await;
    world.database.execute("UPDATE payouts SET payout = 'x' || payout").await;
    eventually("it is posted", async || world.simulator.delivered().len() == 1).await;
    assert_eq!(world.simulator.delivered()[0].status, Some(200));
    assert_eq!(world.value("SELECT COUNT(*) FROM deliveries WHERE due_at IS NOT NULL").await, 1);

    world.database.execute("UPDATE payouts SET payout = SUBSTR(payout, 2)").await;
    world.database.execute("UPDATE deliveries SET due_at = 0 WHERE due_at IS NOT NULL").await;
    eventually("it is worked on", async || {
        world.value("SELECT COUNT(*) FROM payouts WHERE status = 'completed'").await == 1
    })
    .await;
    assert_eq!(world.value("SELECT COUNT(*) FROM deliveries WHERE due_at IS NOT NULL").await, 0);
    world.end().await;
}

#[tokio::test]
async fn a_lease_of_a_clock_that_was_wrong_stops_nothing() {
    let options = Options::default().with("SHOP_SWEEP_AFTER_SECONDS", "1");
    let world = World::with(quick(), options).await;
    let shop = &world.shop;
    world.simulator.everyone().approves().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    world.database.execute("UPDATE leases SET holder = 'dead', until = 4102444800000").await;
    let order = shop.order(&token, 10).await;
    shop.pay(&token, &order, PHONE).await.ok(200);
    shop.until(&token, &order, "completed").await;
    world.end().await;
}

#[tokio::test]
async fn a_customer_who_keeps_looking_does_not_put_the_sweep_off() {
    let world = World::new().await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    simulator.everyone().approves().after(Duration::from_mins(10));
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    shop.pay(&token, &order, PHONE).await.ok(200);
    for asked in 1..=4 {
        eventually("Daraja is asked", async || {
            world.database.execute("UPDATE payments SET asked_at = asked_at - 20000, sent_at = sent_at - 20000").await;
            shop.post("/api/payments/mpesa/query", &token, json!({"order_id": order})).await.ok(200);
            simulator.calls(Route::StkQuery) >= asked
        })
        .await;
    }
    assert_eq!(world.value("SELECT COUNT(*) FROM payments WHERE sweep_at = created_at + 300000").await, 1);
    world.end().await;
}

#[tokio::test]
async fn an_amount_that_is_contradicted_or_unreadable_pays_no_order() {
    let world = World::new().await;
    let shop = &world.shop;
    world.simulator.everyone().cancels().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let mut paid = Vec::new();
    for (index, amounts) in [
        json!([{"Name": "Amount", "Value": 1}, {"Name": "Amount", "Value": 900}]),
        json!([{"Name": "Amount", "Value": "1.-"}]),
        json!([{"Name": "Amount", "Value": 1.005}]),
        json!([{"Name": "Amount", "Value": {"KES": 1}}]),
    ]
    .into_iter()
    .enumerate()
    {
        let order = shop.order(&token, 900).await;
        let started = shop.pay(&token, &order, &format!("25470000010{index}")).await.ok(200);
        let payment = started["payment_id"].as_str().unwrap();
        let callback = success_with(&last_id(&world), &amounts, &format!("UKTEST000{}", index + 1));
        assert_eq!(deliver(&world, payment, &callback).await, 200);
        let told = shop.verify(&token, &order).await;
        if told["status"] == "completed" {
            paid.push(amounts);
        }
    }
    assert!(paid.is_empty(), "orders of KES 900 are paid by {paid:?}");
    // The money is kept, and nobody guesses how much it is: who gives it back says so.
    let kept = "SELECT COUNT(*) FROM received WHERE receipt = 'UKTEST0002' AND amount_cents IS NULL
        AND disposition = 'to_refund' AND reason = 'amount_not_known'";
    assert_eq!(world.value(kept).await, 1);
    let admin = shop.admin().await;
    let refund = |amount: Value| json!({"receipt": "UKTEST0002", "reason": "No amount", "amount": amount});
    shop.post("/api/payments/refund", &admin, refund(Value::Null)).await.fails(422, "INVALID_AMOUNT");
    shop.post("/api/payments/refund", &admin, refund(json!(1))).await.ok(202);
    world.end().await;
}

#[tokio::test]
async fn who_made_two_admins_and_knows_both_passwords_is_not_two_persons() {
    let world = World::new().await;
    let shop = &world.shop;
    world.simulator.everyone().approves().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 900).await;
    world.simulator.fault(Route::StkPush, Fault::ResetAfter);
    let payment = shop.pay(&token, &order, PHONE).await.ok(202)["payment_id"].as_str().unwrap().to_owned();
    // One person, one account: makes two others, and waits a day.
    let (one, two) = (shop.another_admin("one@shop.example").await, shop.another_admin("two@shop.example").await);
    world.database.execute("UPDATE users SET created_at = created_at - 90000000").await;
    let path = format!("/api/payments/{payment}/receipt");
    shop.post(&path, &one, json!({"receipt": "ZZZ9ZZZZZ9", "reason": "SMS"})).await.ok(202);
    let told = shop.post(&format!("{path}/confirm"), &two, json!({"receipt": "ZZZ9ZZZZZ9"})).await;
    assert_eq!(told.status.as_u16(), 403, "{} {}", ADMIN.0, told.body);
    world.end().await;
}

#[tokio::test]
async fn money_that_two_admins_vouch_for_is_not_forgotten_when_a_second_payment_comes() {
    let world = World::new().await;
    let shop = &world.shop;
    world.simulator.everyone().approves().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    world.simulator.fault(Route::StkPush, Fault::ResetAfter);
    let payment = shop.pay(&token, &order, PHONE).await.ok(202)["payment_id"].as_str().unwrap().to_owned();
    // The customer paid by the PayBill menu; two admins found it in the portal.
    world.enter_receipt(&payment, "UKTEST0001").await;
    // And then the prompt on the phone, too.
    let callback = success_with(&last_id(&world), &json!([{"Name": "Amount", "Value": 10}]), "UKTEST0002");
    assert_eq!(deliver(&world, &payment, &callback).await, 200);
    assert_eq!(world.value("SELECT COUNT(*) FROM received WHERE receipt = 'UKTEST0002'").await, 1);
    assert_eq!(world.value("SELECT COUNT(*) FROM received WHERE receipt = 'UKTEST0001'").await, 1, "it is forgotten");
    world.end().await;
}

#[tokio::test]
async fn the_receipt_that_is_told_is_the_one_that_paid_the_order() {
    let world = World::new().await;
    let shop = &world.shop;
    world.simulator.everyone().cancels().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    let started = shop.pay(&token, &order, PHONE).await.ok(200);
    let payment = started["payment_id"].as_str().unwrap();
    let ten = || json!([{"Name": "Amount", "Value": 10}]);
    assert_eq!(deliver(&world, payment, &success_with("ws_CO_other", &ten(), "UKTEST0001")).await, 200);
    assert_eq!(deliver(&world, payment, &success_with(&last_id(&world), &ten(), "UKTEST0002")).await, 200);
    let told = shop.verify(&token, &order).await;
    assert_eq!((&told["status"], &told["payment_reference"]), (&json!("completed"), &json!("UKTEST0002")));
    world.end().await;
}

#[tokio::test]
async fn an_answer_that_refuses_does_not_overrule_a_callback_that_reports_a_payment() {
    let world = World::new().await;
    let shop = &world.shop;
    let (token, admin) = (shop.customer("amina@shop.example").await, shop.admin().await);
    let order = shop.order(&token, 10).await;
    world.simulator.fault(Route::OAuth, Fault::Slow(Duration::from_secs(3)));
    world.simulator.fault(Route::StkPush, Fault::Refused(400, "400.002.02", "Bad Request - Invalid PhoneNumber"));
    let (_, ()) = tokio::join!(shop.pay(&token, &order, PHONE), async {
        let mut id = String::new();
        eventually("it is being sent", async || {
            let list = shop.get("/api/payments?state=sending", &admin).await.ok(200);
            id = list["items"][0]["id"].as_str().unwrap_or_default().to_owned();
            !id.is_empty()
        })
        .await;
        let claim = json!({"CheckoutRequestID": "ws_CO_1", "ResultCode": 0, "ResultDesc": "processed successfully"});
        assert_eq!(deliver(&world, &id, &claim).await, 200);
    });
    let told = shop.verify(&token, &order).await;
    assert_eq!(world.value("SELECT claimed_paid FROM payments").await, 1);
    assert_eq!(told["status"], "pending", "{told}");
    world.end().await;
}

#[tokio::test]
async fn a_push_that_stalls_before_it_is_sent_does_not_ring_after_another_took_its_place() {
    // No push may leave later than seven seconds after its row, and what is left must be enough for an answer.
    let world = World::with(quick(), Options::default().with("SHOP_TEST_TIMES", "7")).await;
    let shop = &world.shop;
    world.simulator.everyone().approves();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    // The server stalls behind its row: here the token is what it waits for.
    world.simulator.fault(Route::OAuth, Fault::Slow(Duration::from_secs(4)));
    let (_, ()) = tokio::join!(shop.pay(&token, &order, PHONE), async {
        eventually("it is being sent", async || {
            world.value("SELECT COUNT(*) FROM payments WHERE state = 'sending'").await == 1
        })
        .await;
        // Five minutes pass, and a little.
        world
            .database
            .execute("UPDATE payments SET sent_at = sent_at - 301000, created_at = created_at - 301000")
            .await;
        tokio::time::timeout(Duration::from_secs(3), shop.pay(&token, &order, "254700000055")).await.ok();
    });
    eventually("all is settled", async || {
        world.value("SELECT COUNT(*) FROM payments WHERE state <> 'settled'").await == 0
    })
    .await;
    assert_eq!(world.simulator.prompts().len(), 0, "both waited for the token for too long");
    assert_eq!(world.value("SELECT COUNT(*) FROM payments WHERE reason = 'not_sent'").await, 2);
    shop.pay(&token, &order, PHONE).await.ok(200);
    shop.until(&token, &order, "completed").await;
    let prompts = world.simulator.prompts().len();
    assert_eq!((prompts, world.simulator.payments().len()), (1, 1), "asked and paid");
    world.end().await;
}

#[tokio::test]
async fn money_of_another_push_does_not_keep_the_true_receipt_out() {
    let world = World::new().await;
    let shop = &world.shop;
    world.simulator.everyone().approves().after(Duration::from_mins(5)).callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    let started = shop.pay(&token, &order, PHONE).await.ok(200);
    let payment = started["payment_id"].as_str().unwrap();
    let ten = json!([{"Name": "Amount", "Value": 10}]);
    assert_eq!(deliver(&world, payment, &success_with("ws_CO_other", &ten, "UKTEST0001")).await, 200);
    let body = json!({"receipt": "UKTEST0002", "reason": "SMS"});
    let told = shop.post(&format!("/api/payments/{payment}/receipt"), &shop.admin().await, body).await;
    assert_eq!(told.status.as_u16(), 202, "{}", told.body);
    world.end().await;
}

#[tokio::test]
async fn what_a_query_proved_is_not_taken_away_with_an_admins_receipt() {
    let world = World::new().await;
    let shop = &world.shop;
    world.simulator.everyone().approves().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let first = shop.order(&token, 10).await;
    let started = shop.pay(&token, &first, PHONE).await.ok(200);
    let payment = started["payment_id"].as_str().unwrap().to_owned();
    eventually("the query tells of the payment", async || {
        shop.post("/api/payments/mpesa/query", &token, json!({"order_id": first})).await.ok(200)["status"]
            == "completed"
    })
    .await;
    world.enter_receipt(&payment, "UKTEST0001").await;
    let second = shop.order(&token, 10).await;
    let started = shop.pay(&token, &second, "254700000055").await.ok(200);
    let other = started["payment_id"].as_str().unwrap();
    // Daraja does not answer queries meanwhile.
    for _ in 0..200 {
        world.simulator.fault(Route::StkQuery, Fault::Empty);
    }
    let ten = json!([{"Name": "Amount", "Value": 10}]);
    assert_eq!(deliver(&world, other, &success_with(&last_id(&world), &ten, "UKTEST0001")).await, 200);
    let told = shop.verify(&token, &first).await;
    assert_eq!((&told["status"], &told["payment_reference"]), (&json!("completed"), &Value::Null));
    assert_eq!(shop.verify(&token, &second).await["payment_reference"], "UKTEST0001");
    assert_eq!(world.value("SELECT COUNT(*) FROM received WHERE disposition = 'order'").await, 2);
    world.end().await;
}

#[tokio::test]
async fn a_callback_that_cannot_be_read_is_not_overruled_by_queries() {
    let world = World::new().await;
    let shop = &world.shop;
    world.simulator.everyone().cancels().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    let started = shop.pay(&token, &order, PHONE).await.ok(200);
    let payment = started["payment_id"].as_str().unwrap();
    let body = format!(
        r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"{}","CheckoutRequestID":"ws_CO_2","ResultCode":0,
        "ResultDesc":"processed successfully","CallbackMetadata":{{"Item":[
        {{"Name":"Amount","Value":10}},{{"Name":"MpesaReceiptNumber","Value":"UKTEST0001"}}]}}}}}}}}"#,
        last_id(&world)
    );
    assert_eq!(deliver_text(&world, payment, &body).await, 200);
    // Daraja is asked at once, not after five minutes.
    eventually("Daraja is asked", async || world.simulator.calls(Route::StkQuery) > 0).await;
    ask_more(&world, 1).await;
    let state = shop.verify(&token, &order).await;
    assert_eq!(state["status"], "pending", "{state}");
    let again = shop.pay(&token, &order, PHONE).await.ok(200);
    assert!(!again["customer_message"].as_str().unwrap().contains("PIN"), "{again}");
    world.end().await;
}

#[tokio::test]
async fn no_setting_makes_one_click_more_a_second_charge() {
    let options = Options::default().with("SHOP_TEST_TIMES", "").with("SHOP_UNKNOWN_BLOCKS_SECONDS", "0");
    let world = World::with(quick(), options).await;
    let shop = &world.shop;
    world.simulator.everyone().approves().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    for _ in 0..3 {
        world.simulator.fault(Route::StkPush, Fault::ResetAfter);
        shop.pay(&token, &order, PHONE).await.ok(202);
    }
    eventually("it is paid", async || !world.simulator.payments().is_empty()).await;
    assert_eq!(world.simulator.prompts().len(), 1, "asked for one order");
    world.end().await;
}

#[tokio::test]
async fn who_paid_a_cancelled_order_reads_of_the_money_on_the_page() {
    let world = World::new().await;
    let shop = &world.shop;
    world.simulator.everyone().approves().after(Duration::from_mins(5)).callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    let started = shop.pay(&token, &order, PHONE).await.ok(200);
    shop.post(&format!("/api/orders/{order}/cancel"), &token, json!({})).await.ok(200);
    let ten = json!([{"Name": "Amount", "Value": 10}]);
    let payment = started["payment_id"].as_str().unwrap();
    assert_eq!(deliver(&world, payment, &success_with(&last_id(&world), &ten, "UKTEST0001")).await, 200);
    let customer = Browser::log_in(shop, "amina@shop.example", ADMIN.1).await;
    let page = customer.get(&format!("/orders/{order}")).await.body;
    let verify = shop.verify(&token, &order).await;
    assert!(page.contains("given back"), "{verify}\n{}", &page[page.find("<h1>").unwrap_or(0)..][..600]);
    world.end().await;
}
