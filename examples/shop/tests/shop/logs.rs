//! What the log tells and what it keeps to itself, at its most talkative.

use serde_json::{Value, json};

use crate::{
    contract::{Ask, text},
    forms::Browser,
    support::{ADMIN, JWT_SECRET, Options, PHONE, SECRET, World, eventually, quick},
};

const SUPPLIER: &str = "254700000101";

#[tokio::test]
async fn the_log_tells_what_happened_and_no_secret_and_nobodys_number() {
    let options = Options::default()
        .with("SHOP_LOG", "json")
        .with("SHOP_LOG_FILTER", "warn,shop=trace,daraja=trace,sqlx=debug,tower_http=trace,axum=trace")
        .with("SHOP_NEW_NUMBER_SECONDS", "0");
    let world = World::with(quick(), options).await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    let (token, admin) = (shop.customer("amina@shop.example").await, shop.admin().await);

    // A payment, with a page as well; a payout; a log-in that is refused; what nobody signed; a refund; a failure.
    let order = shop.order(&token, 500).await;
    shop.pay(&token, &order, "0708 374 149").await.ok(200);
    let paid = shop.until(&token, &order, "completed").await;
    let browser = Browser::log_in(shop, "amina@shop.example", ADMIN.1).await;
    let wrong = json!({"email": "amina@shop.example", "password": "not-the-password-of-amina"});
    shop.post("/api/auth/login", "", wrong).await.fails(401, "WRONG_PASSWORD");
    let supplier = shop.supplier(&admin, "Kericho Tea", SUPPLIER).await;
    let payout = json!({"supplier_id": supplier, "amount": 100, "notes": "a note for our own eyes"});
    shop.post("/api/payments/supplier/payout", &admin, payout).await.ok(202);
    let paid_out = "SELECT COUNT(*) FROM payouts WHERE status = 'completed'";
    eventually("the supplier is paid", async || world.value(paid_out).await == 1).await;
    let refund = json!({"receipt": paid["payment_reference"], "reason": "a reason for our own eyes"});
    shop.post("/api/payments/refund", &admin, refund).await.ok(202);
    let given_back = "SELECT COUNT(*) FROM refunds WHERE state = 'settled'";
    eventually("the money is back", async || world.value(given_back).await == 1).await;
    let failing = shop.order(&token, 10).await;
    shop.pay(&token, &failing, "254700000032").await.ok(200);
    shop.until(&token, &failing, "failed").await;
    let forged = format!("/api/payments/mpesa/callback/{order}/{}", "a".repeat(64));
    let body = json!({"a body": "that nobody should read in a log"});
    assert_eq!(Ask::new("POST", &forged).json(&body).send(&shop.base).await.status, 404);
    shop.pay(&token, &failing, "0799 999 9").await.fails(422, "INVALID_PHONE");
    world.delivered(4).await;

    let log = shop.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON, a line each")).collect();
    tells_all(&lines);

    let secrets =
        world.served.variables().into_iter().filter(|(name, _)| !name.ends_with("URL") && !name.ends_with("SHORTCODE"));
    let mut hidden: Vec<String> = secrets.map(|(_, value)| value).filter(|value| value.len() > 7).collect();
    assert!(hidden.len() >= 3, "key, secret and passkey are looked for: {hidden:?}");
    hidden.extend(
        [JWT_SECRET, SECRET, ADMIN.1, "not-the-password", "our own eyes", "that nobody should"].map(str::to_owned),
    );
    hidden.extend([token, admin, browser.session, text(&paid["payment_reference"])]);
    hidden.extend(simulator.prompts().into_iter().map(|prompt| prompt.checkout_request_id.to_string()));
    for delivered in simulator.delivered() {
        let (_, mac) = delivered.url.rsplit_once('/').unwrap();
        hidden.extend([mac.to_owned(), delivered.url.clone()]);
    }
    // A number in any spelling, and who it belongs to.
    for number in [PHONE, SUPPLIER, "254700000032"] {
        hidden.extend([number.to_owned(), number[3..].to_owned()]);
    }
    hidden.extend(["0708 374", "0799 999", "amina@", "first.admin@", "stkCallback", "Kericho"].map(str::to_owned));
    for word in hidden {
        let leak = log.lines().find(|line| line.contains(&word));
        assert_eq!(leak, None, "{word}");
    }
    world.end().await;
}

/// The guide's list: access tokens, pushes and what was answered, callbacks, payments that change, errors.
fn tells_all(lines: &[Value]) {
    let has = |target: &str, key: &str, value: &str| {
        lines.iter().any(|line| {
            line["target"].as_str().is_some_and(|from| from.starts_with(target)) && line["fields"][key] == value
        })
    };
    for (target, key, value) in [
        ("daraja", "message", "access token fetched"),
        ("shop", "event", "payment.initiated"),
        ("daraja", "message", "answered"),
        ("daraja", "message", "push accepted"),
        ("shop", "event", "payment.accepted"),
        ("daraja", "message", "delivery accepted"),
        ("daraja", "message", "delivery refused"),
        ("shop", "event", "payment.paid"),
        ("shop", "event", "payment.failed"),
        ("shop", "event", "login.failed"),
        ("shop", "event", "login.succeeded"),
        ("shop", "event", "order.created"),
        ("shop", "event", "payout.requested"),
        ("shop", "event", "payout.ended"),
        ("shop", "event", "refund.requested"),
        ("shop", "event", "refund.settled"),
    ] {
        assert!(has(target, key, value), "no line of {target} with {key} {value}");
    }
}
