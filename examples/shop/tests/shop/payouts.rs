//! Payouts to suppliers: once, to the number that was confirmed, and never more than the day's cap.

use std::time::Duration;

use daraja::simulator::{Fault, Route};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    contract::text,
    forms::Browser,
    support::{ADMIN, Options, Shop, Told, World, eventually, quick},
};

const PATH: &str = "/api/payments/supplier/payout";

/// A shop whose suppliers' numbers are old enough to be paid.
async fn world() -> World {
    World::with(quick(), Options::default().with("SHOP_NEW_NUMBER_SECONDS", "0")).await
}

async fn pay(shop: &Shop, token: &str, supplier: &str, amount: Value) -> Told {
    let body = json!({"supplier_id": supplier, "amount": amount, "notes": "Weekly payout for orders #123-#145"});
    shop.post(PATH, token, body).await
}

async fn until(shop: &Shop, token: &str, id: &Value, status: &str) -> Value {
    let path = format!("/api/payments/supplier/payouts/{}", id.as_str().unwrap());
    let mut told = Value::Null;
    eventually(status, async || {
        told = shop.get(&path, token).await.ok(200);
        told["status"] == status
    })
    .await;
    told
}

#[tokio::test]
async fn a_supplier_is_paid_once_and_the_receipt_is_told() {
    let world = world().await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    let admin = shop.admin().await;
    let supplier = shop.supplier(&admin, "Kericho Tea", "0700 000 101").await;
    let requested = pay(shop, &admin, &supplier, json!(5_000.00)).await.ok(202);
    assert_eq!((&requested["status"], &requested["amount"]), (&json!("pending"), &json!(5_000)));
    let paid = until(shop, &admin, &requested["id"], "completed").await;
    assert_eq!(paid["receipt"], simulator.payouts()[0].receipt.as_str());
    assert_eq!((&paid["number"], &paid["created_by"]), (&json!("2547******01"), &json!("first.admin@shop.example")));
    assert_eq!((simulator.payouts().len(), simulator.payouts()[0].amount.get()), (1, 5_000));
    assert_eq!(simulator.payouts()[0].recipient.to_string(), "254700000101");
    let listed = shop.get("/api/payments/supplier/payouts?page=1&per_page=20&status=completed", &admin).await.ok(200);
    assert_eq!((&listed["total"], &listed["items"][0]["id"]), (&json!(1), &requested["id"]));
    assert!((shop.metric("shop_payouts_ended_total{status=\"completed\"}").await - 1.0).abs() < 0.1);
    world.end().await;
}

#[tokio::test]
async fn a_payout_that_fails_says_why() {
    let world = world().await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    let supplier = shop.supplier(&admin, "Nobody", "254700000040").await;
    let requested = pay(shop, &admin, &supplier, json!(100)).await.ok(202);
    let failed = until(shop, &admin, &requested["id"], "failed").await;
    assert!(failed["reason"].as_str().is_some_and(|reason| reason.contains("cannot be paid")), "{failed}");
    assert_eq!(failed["receipt"], Value::Null);
    // What failed finally may be paid anew, at once.
    pay(shop, &admin, &supplier, json!(100)).await.ok(202);
    world.end().await;
}

#[tokio::test]
async fn whatever_becomes_of_the_answer_nobody_is_paid_twice() {
    let world = world().await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    let admin = shop.admin().await;
    let supplier = shop.supplier(&admin, "Kericho Tea", "254700000101").await;
    let faults = [Fault::ResetAfter, Fault::ResetBefore, Fault::AcceptedButError, Fault::Truncated, Fault::Empty];
    for (fault, amount) in faults.into_iter().zip(100..) {
        simulator.fault(Route::B2c, fault);
        let requested = pay(shop, &admin, &supplier, json!(amount)).await.ok(202);
        until(shop, &admin, &requested["id"], "completed").await;
        let of_this = simulator.payouts().into_iter().filter(|paid| paid.amount.get() == amount).count();
        assert_eq!(of_this, 1, "{fault:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_payout_is_found_again_after_a_crash_and_paid_once() {
    let mut world = world().await;
    let admin = world.shop.admin().await;
    let supplier = world.shop.supplier(&admin, "Kericho Tea", "254700000191").await; // its result is lost
    world.simulator.fault(Route::B2c, Fault::Slow(Duration::from_mins(1)));
    let requested = pay(&world.shop, &admin, &supplier, json!(700)).await.ok(202);
    eventually("the money has left", async || world.simulator.payouts().len() == 1).await;
    world.shop.kill().await;
    // Eleven minutes later: too late to send it again under its id, so Daraja is asked.
    world.database.age_payouts(660).await;
    let options = Options::default().with("SHOP_NEW_NUMBER_SECONDS", "0");
    world.shop = Shop::start(&world.served, world.database.url(), options).await;
    let paid = until(&world.shop, &admin, &requested["id"], "completed").await;
    assert_eq!(paid["receipt"], world.simulator.payouts()[0].receipt.as_str());
    assert_eq!((world.simulator.payouts().len(), world.simulator.calls(Route::B2c)), (1, 1));
    assert!(world.simulator.calls(Route::TransactionStatus) >= 1);
    world.end().await;
}

#[tokio::test]
async fn an_equal_payout_needs_a_key_of_its_own() {
    let world = world().await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    let supplier = shop.supplier(&admin, "Kericho Tea", "254700000101").await;
    pay(shop, &admin, &supplier, json!(100)).await.ok(202);
    pay(shop, &admin, &supplier, json!(100)).await.fails(409, "EQUAL_PAYOUT");
    pay(shop, &admin, &supplier, json!(101)).await.ok(202);
    let body = json!({"supplier_id": supplier, "amount": 100});
    let keyed = async |key: &str, body: &Value| {
        shop.call_with(Method::POST, PATH, &admin, Some(body.clone()), &[("idempotency-key", key)]).await
    };
    let first = keyed("week 47", &body).await.ok(202);
    assert_eq!(keyed("week 47", &body).await.ok(202)["id"], first["id"]);
    assert_ne!(keyed("week 48", &body).await.ok(202)["id"], first["id"]);
    keyed("week 47", &json!({"supplier_id": supplier, "amount": 99})).await.fails(422, "KEY_REUSED");
    keyed(" ", &body).await.fails(400, "INVALID_KEY");
    // Ten at once without a key are one.
    let ten = (0..10).map(|_| pay(shop, &admin, &supplier, json!(102)));
    let told = futures_of(ten).await;
    assert_eq!(told.iter().filter(|told| told.status == 202).count(), 1);
    assert!(told.iter().filter(|told| told.status != 202).all(|told| told.body["code"] == "EQUAL_PAYOUT"));
    eventually("all are paid", async || world.simulator.payouts().len() == 5).await;
    world.end().await;
}

/// All of them at once.
async fn futures_of(calls: impl Iterator<Item = impl Future<Output = Told>>) -> Vec<Told> {
    let mut calls: Vec<_> = calls.map(Box::pin).collect();
    let mut told = Vec::new();
    std::future::poll_fn(|context| {
        calls.retain_mut(|call| match call.as_mut().poll(context) {
            std::task::Poll::Ready(answer) => {
                told.push(answer);
                false
            }
            std::task::Poll::Pending => true,
        });
        if calls.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    told
}

#[tokio::test]
async fn a_changed_number_needs_a_second_admin_for_a_day() {
    let world = World::new().await;
    let (shop, first) = (&world.shop, world.shop.admin().await);
    let (second, third) =
        (world.independent_admin("second@shop.example").await, world.independent_admin("third@shop.example").await);
    let supplier = shop.supplier(&first, "Kericho Tea", "254700000101").await;
    let path = format!("/api/payments/supplier/{supplier}/update-mpesa");
    let change = json!({"mpesa_number": "0700000102", "reason": "Supplier requested change"});
    let changed = shop.call(Method::PUT, &path, &second, Some(change.clone())).await.ok(200);
    assert_eq!(
        (&changed["mpesa_number"], &changed["changed_by"]),
        (&json!("254700000102"), &json!("second@shop.example"))
    );
    shop.call(Method::PUT, &path, &second, Some(change)).await.fails(409, "SAME_NUMBER");

    let requested = pay(shop, &first, &supplier, json!(900)).await.ok(202);
    assert_eq!(requested["status"], "awaiting_approval");
    let approve = format!("/api/payments/supplier/payouts/{}/approve", requested["id"].as_str().unwrap());
    // Neither who asked for it, nor who changed the number.
    shop.post(&approve, &first, json!({})).await.fails(403, "SECOND_ADMIN_NEEDED");
    shop.post(&approve, &second, json!({})).await.fails(403, "SECOND_ADMIN_NEEDED");
    assert_eq!(world.simulator.payouts().len(), 0);
    let approved = shop.post(&approve, &third, json!({})).await.ok(200);
    assert_eq!(approved["approved_by"], "third@shop.example");
    until(shop, &first, &requested["id"], "completed").await;
    shop.post(&approve, &third, json!({})).await.fails(409, "NOT_AWAITING_APPROVAL");
    assert_eq!(world.simulator.payouts()[0].recipient.to_string(), "254700000102");

    // A number that changes again takes its approval along.
    let requested = pay(shop, &first, &supplier, json!(901)).await.ok(202);
    let again = json!({"mpesa_number": "0700000103", "reason": "again"});
    shop.call(Method::PUT, &path, &second, Some(again)).await.ok(200);
    let id = requested["id"].as_str().unwrap();
    shop.post(&format!("/api/payments/supplier/payouts/{id}/approve"), &third, json!({}))
        .await
        .fails(409, "NUMBER_CHANGED");
    let refuse = json!({"outcome": "not_paid", "reason": "the number changed"});
    let refused = shop.post(&format!("/api/payments/supplier/payouts/{id}/resolve"), &third, refuse).await.ok(200);
    assert_eq!((&refused["status"], &refused["reason"]), (&json!("failed"), &json!("the number changed")));

    let trail = shop.get(&format!("/api/suppliers/{supplier}/changes"), &first).await.ok(200);
    let reasons: Vec<_> = trail.as_array().unwrap().iter().map(|line| line["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["again", "Supplier requested change", "new"]);
    assert_eq!((&trail[1]["before"], &trail[1]["after"]), (&json!("254700000101"), &json!("254700000102")));
    world.end().await;
}

#[tokio::test]
async fn a_day_has_a_cap_and_an_amount_has_no_cents() {
    let options = Options::default().with("SHOP_NEW_NUMBER_SECONDS", "0").with("SHOP_DAILY_PAYOUT_CAP", "1000");
    let world = World::with(quick(), options).await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    let supplier = shop.supplier(&admin, "Kericho Tea", "254700000101").await;
    pay(shop, &admin, &supplier, json!(600)).await.ok(202);
    pay(shop, &admin, &supplier, json!(401)).await.fails(409, "DAILY_CAP");
    pay(shop, &admin, &supplier, json!(400)).await.ok(202);
    pay(shop, &admin, &supplier, json!(10)).await.fails(409, "DAILY_CAP");
    for amount in [json!(10.5), json!(-1), json!(0), json!("100"), json!(250_001), json!(null)] {
        pay(shop, &admin, &supplier, amount).await.fails(422, "INVALID_BODY");
    }
    pay(shop, &admin, &supplier, json!(9)).await.fails(422, "INVALID_PAYOUT"); // B2C begins at 10
    pay(shop, &admin, "00000000-0000-0000-0000-000000000000", json!(10)).await.fails(404, "SUPPLIER_NOT_FOUND");
    pay(shop, &admin, "nobody", json!(10)).await.fails(404, "SUPPLIER_NOT_FOUND");
    world.end().await;
}

#[tokio::test]
async fn what_daraja_never_tells_of_is_ended_by_a_persons_word_after_a_day() {
    let world = world().await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    let supplier = shop.supplier(&admin, "Kericho Tea", "254700000191").await; // its result is lost
    let waiting = pay(shop, &admin, &supplier, json!(100)).await.ok(202);
    let path = format!("/api/payments/supplier/payouts/{}/resolve", waiting["id"].as_str().unwrap());
    eventually("the money has left", async || world.simulator.payouts().len() == 1).await;
    let receipt = world.simulator.payouts()[0].receipt.to_string();
    let statement = json!({"outcome": "paid", "receipt": receipt, "reason": "The statement shows it"});
    shop.post(&path, &admin, statement.clone()).await.fails(409, "NOT_TO_BE_RESOLVED");
    world.a_day_passes_for_payouts().await;
    shop.post(&path, &admin, json!({"outcome": "paid", "reason": "?"})).await.fails(422, "INVALID_OUTCOME");
    shop.post(&path, &admin, json!({"outcome": "maybe", "reason": "?"})).await.fails(422, "INVALID_OUTCOME");
    let resolved = shop.post(&path, &admin, statement.clone()).await.ok(200);
    assert_eq!((&resolved["status"], &resolved["receipt"]), (&json!("completed"), &json!(receipt)));
    shop.post(&path, &admin, statement).await.fails(409, "NOT_TO_BE_RESOLVED");
    world.end().await;
}

#[tokio::test]
async fn pages_of_payouts_are_told_apart() {
    let world = world().await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    let supplier = shop.supplier(&admin, "Kericho Tea", "254700000101").await;
    for amount in 11..=23 {
        pay(shop, &admin, &supplier, json!(amount)).await.ok(202);
    }
    let told = async |query: &str| shop.get(&format!("/api/payments/supplier/payouts?{query}"), &admin).await;
    let (first, last) = (told("page=1&per_page=5").await.ok(200), told("page=3&per_page=5").await.ok(200));
    assert_eq!((first["items"].as_array().unwrap().len(), last["items"].as_array().unwrap().len()), (5, 3));
    assert_eq!(
        (&first["total"], &first["items"][0]["amount"], &last["items"][2]["amount"]),
        (&json!(13), &json!(23), &json!(11))
    );
    assert_eq!(told("page=9&per_page=5").await.ok(200)["items"], json!([]));
    for wrong in ["page=0", "per_page=0", "per_page=101", "page=x", "status=paid", "page=99999999999"] {
        told(wrong).await.fails(400, "INVALID_QUERY");
    }
    world.end().await;
}

/// What the page of confirmation would send.
async fn confirmed(browser: &Browser, supplier: &str, more: &[(&str, &str)]) -> u16 {
    let key = uuid::Uuid::new_v4().to_string();
    let fields = [("supplier_id", supplier), ("amount", "100"), ("notes", ""), ("idempotency_key", key.as_str())];
    let fields: Vec<_> = fields.into_iter().chain(more.iter().copied()).collect();
    browser.post("/admin/payouts", &fields).send(&browser.base).await.status
}

#[tokio::test]
async fn by_page_an_equal_payout_is_shown_and_paid_only_if_a_second_time_is_meant() {
    let world = world().await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    let supplier = shop.supplier(&admin, "Kericho Tea", "254700000101").await;
    let browser = Browser::log_in(shop, ADMIN.0, ADMIN.1).await;
    let asks = async || {
        let fields = [("supplier_id", supplier.as_str()), ("amount", "100"), ("notes", "")];
        browser.post("/admin/payouts/confirm", &fields).send(&shop.base).await.body
    };
    let number = ("number", "0700 000 101");
    assert!(!asks().await.contains("Pay it a second time"));
    assert_eq!(confirmed(&browser, &supplier, &[number]).await, 303);
    assert!(asks().await.contains("Pay it a second time"));
    assert_eq!(confirmed(&browser, &supplier, &[number]).await, 409);
    assert_eq!(world.value("SELECT COUNT(*) FROM payouts").await, 1);
    assert_eq!(confirmed(&browser, &supplier, &[number, ("second", "yes")]).await, 303);
    assert_eq!(world.value("SELECT COUNT(*) FROM payouts").await, 2);
    world.end().await;
}

#[tokio::test]
async fn a_number_that_changed_after_it_was_confirmed_is_not_paid() {
    let world = world().await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    let supplier = shop.supplier(&admin, "Kericho Tea", "254700000102").await;
    let browser = Browser::log_in(shop, ADMIN.0, ADMIN.1).await;
    for other in [&[("number", "0700 000 101")][..], &[("number", "?")], &[]] {
        assert_eq!(confirmed(&browser, &supplier, other).await, 409);
    }
    assert_eq!(world.value("SELECT COUNT(*) FROM payouts").await, 0);
    assert_eq!(confirmed(&browser, &supplier, &[("number", "0700 000 102")]).await, 303);
    world.end().await;
}

#[tokio::test]
async fn whoever_approves_sees_the_whole_number_and_who_changed_it() {
    let world = World::new().await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    let supplier = shop.supplier(&admin, "Kericho Tea", "254700000102").await;
    pay(shop, &admin, &supplier, json!(100)).await.ok(202);
    world.independent_admin("second@shop.example").await;
    let second = Browser::log_in(shop, "second@shop.example", ADMIN.1).await;
    let page = second.get("/admin/payouts").await.body;
    assert!(page.contains("0700 000 102"), "{page}");
    assert!(page.contains(&format!("by {}", ADMIN.0)), "{page}");
    world.end().await;
}

#[tokio::test]
async fn who_was_made_by_the_other_is_no_second_admin_and_neither_is_a_new_account() {
    let world = World::new().await;
    let (shop, first) = (&world.shop, world.shop.admin().await);
    let made = shop.another_admin("made@shop.example").await;
    let body = json!({"email": "made.too@shop.example", "password": ADMIN.1});
    shop.post("/api/admins", &made, body).await.ok(201);
    let made_too = shop.log_in("made.too@shop.example", ADMIN.1).await;
    assert_eq!(world.value("SELECT COUNT(*) FROM audit WHERE what = 'admin.added'").await, 2);
    world.database.execute("UPDATE users SET created_at = 0").await;
    let supplier = shop.supplier(&first, "Kericho Tea", "254700000101").await;
    let approve = async |id: &Value, token: &str| {
        let path = format!("/api/payments/supplier/payouts/{}/approve", text(id));
        shop.post(&path, token, json!({})).await
    };
    let by_first = pay(shop, &first, &supplier, json!(100)).await.ok(202)["id"].clone();
    for second in [&made, &made_too] {
        approve(&by_first, second).await.fails(403, "SECOND_ADMIN_NEEDED");
    }
    // Nor the other way round: who makes an admin knows the password.
    world.database.execute("UPDATE suppliers SET changed_by = 'somebody else'").await;
    let by_made = pay(shop, &made_too, &supplier, json!(101)).await.ok(202)["id"].clone();
    for second in [&first, &made] {
        approve(&by_made, second).await.fails(403, "SECOND_ADMIN_NEEDED");
    }
    // A loop of makers ends.
    world.database.execute("UPDATE users SET created_by = id WHERE email = 'made@shop.example'").await;
    shop.another_admin("new@shop.example").await;
    world.database.execute("UPDATE users SET created_by = NULL WHERE email = 'new@shop.example'").await;
    let new = shop.log_in("new@shop.example", ADMIN.1).await;
    approve(&by_made, &new).await.fails(403, "SECOND_ADMIN_NEEDED");
    world.database.execute("UPDATE users SET created_at = 0").await;
    approve(&by_made, &new).await.ok(200);
    world.end().await;
}

#[tokio::test]
async fn the_cap_is_kept_on_the_day_of_the_approval() {
    let world = World::with(quick(), Options::default().with("SHOP_DAILY_PAYOUT_CAP", "1000")).await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    let second = world.independent_admin("second@shop.example").await;
    let supplier = shop.supplier(&admin, "Kericho Tea", "254700000101").await;
    let ask = async |amount: i64| text(&pay(shop, &admin, &supplier, json!(amount)).await.ok(202)["id"]);
    let approve =
        async |id: &str| shop.post(&format!("/api/payments/supplier/payouts/{id}/approve"), &second, json!({})).await;
    let before = [ask(600).await, ask(400).await];
    // Two days ago, so that today's cap is free.
    world.database.execute("UPDATE payouts SET created_at = created_at - 172800000").await;
    let today = ask(500).await;
    approve(&before[0]).await.fails(409, "DAILY_CAP");
    approve(&today).await.ok(200);
    approve(&before[0]).await.fails(409, "DAILY_CAP");
    approve(&before[1]).await.ok(200);
    pay(shop, &admin, &supplier, json!(101)).await.fails(409, "DAILY_CAP");
    world.end().await;
}

#[tokio::test]
async fn a_persons_word_stands_unless_daraja_tells_of_a_payment_and_a_difference_is_shown() {
    for (word, number, status) in [("paid", "254700000040", "completed"), ("not_paid", "254700000101", "completed")] {
        let simulator = quick();
        // Daraja tells of it, but only once the person has spoken.
        simulator.every_recipient().result_late(Duration::from_secs(4));
        let recipient = simulator.recipient(number.parse().unwrap());
        let recipient = if word == "paid" { recipient.is_not_registered() } else { recipient.is_paid() };
        recipient.result_late(Duration::from_secs(4));
        let world = World::with(simulator, Options::default().with("SHOP_NEW_NUMBER_SECONDS", "0")).await;
        let (shop, admin) = (&world.shop, world.shop.admin().await);
        let supplier = shop.supplier(&admin, "Kericho Tea", number).await;
        let id = text(&pay(shop, &admin, &supplier, json!(100)).await.ok(202)["id"]);
        world.a_day_passes_for_payouts().await;
        let body = if word == "paid" {
            json!({"outcome": word, "receipt": "UKTEST2001", "reason": "The statement shows it"})
        } else {
            json!({"outcome": word, "reason": "The statement does not show it"})
        };
        shop.post(&format!("/api/payments/supplier/payouts/{id}/resolve"), &admin, body).await.ok(200);
        let path = format!("/api/payments/supplier/payouts/{id}");
        eventually("it is contradictory", async || shop.get(&path, &admin).await.ok(200)["contradictory"] == 1).await;
        assert_eq!(shop.get(&path, &admin).await.ok(200)["status"], status, "{word}");
        let browser = Browser::log_in(shop, ADMIN.0, ADMIN.1).await;
        assert!(browser.get("/admin/payouts").await.body.contains("Contradictory"));
        world.end().await;
    }
}

#[tokio::test]
async fn payouts_that_cannot_be_read_do_not_keep_the_others_waiting() {
    let mut world = world().await;
    let admin = world.shop.admin().await;
    let supplier = world.shop.supplier(&admin, "Kericho Tea", "254700000191").await; // its result is lost
    for amount in 100..125 {
        pay(&world.shop, &admin, &supplier, json!(amount)).await.ok(202);
    }
    eventually("the money has left", async || world.simulator.payouts().len() == 25).await;
    world.shop.kill().await;
    world.database.age_payouts(660).await;
    world.database.execute("UPDATE payouts SET payout = '{}', due_at = 0 WHERE amount < 124").await;
    world.database.execute("UPDATE payouts SET due_at = 1 WHERE amount = 124").await;
    let options = Options::default().with("SHOP_NEW_NUMBER_SECONDS", "0");
    world.shop = Shop::start(&world.served, world.database.url(), options).await;
    let done = "SELECT COUNT(*) FROM payouts WHERE status = 'completed'";
    eventually("the one that can be read is done", async || world.value(done).await == 1).await;
    world.end().await;
}

#[tokio::test]
async fn a_key_of_money_that_leaves_is_never_forgotten() {
    let mut world = world().await;
    let admin = world.shop.admin().await;
    let supplier = world.shop.supplier(&admin, "Kericho Tea", "254700000101").await;
    let body = json!({"supplier_id": supplier, "amount": 100});
    let key = [("idempotency-key", "week 47")];
    let first = world.shop.call_with(Method::POST, PATH, &admin, Some(body.clone()), &key).await.ok(202);
    until(&world.shop, &admin, &first["id"], "completed").await;
    world.shop.kill().await;
    world.database.execute("UPDATE idempotency SET at = 0").await;
    let other =
        "INSERT INTO idempotency (user_id, route, key, digest, subject, at) VALUES ('x', 'orders', 'x', 'x', 'x', 0)";
    world.database.execute(other).await;
    // Keys are forgotten right after a start, by whoever holds the lease; the dead server has it still.
    world.database.execute("UPDATE leases SET until = 0 WHERE name = 'sweeper'").await;
    let options = Options::default().with("SHOP_NEW_NUMBER_SECONDS", "0");
    world.shop = Shop::start(&world.served, world.database.url(), options).await;
    let count = "SELECT COUNT(*) FROM idempotency WHERE route = 'orders'";
    eventually("an order's key is forgotten", async || world.value(count).await == 0).await;
    let again = world.shop.call_with(Method::POST, PATH, &admin, Some(body), &key).await.ok(202);
    assert_eq!(again["id"], first["id"]);
    world.end().await;
}
