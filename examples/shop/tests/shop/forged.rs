//! Deliveries that are not what they seem: wrong signatures, other payments, other sources, too much. None of them settles
//! anything, and a payment that they are about goes on as if they had not come.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    contract::{Ask, text},
    support::{Options, PHONE, World, eventually, quick},
};

const STK: &str = "/api/payments/mpesa/callback";
const RESULT: &str = "/api/payments/b2c/result";
const TIMEOUT: &str = "/api/payments/b2c/timeout";

/// A success of ten shillings, as Daraja would tell it.
fn success(id: &str, receipt: &str) -> Value {
    json!({"Body": {"stkCallback": {"MerchantRequestID": "1-2-3", "CheckoutRequestID": id, "ResultCode": 0,
        "ResultDesc": "The service request is processed successfully.", "CallbackMetadata": {"Item": [
            {"Name": "Amount", "Value": 10}, {"Name": "MpesaReceiptNumber", "Value": receipt},
            {"Name": "PhoneNumber", "Value": 254_708_374_149_u64}]}}}})
}

/// The result of a payout that was made, as Daraja would tell it.
fn paid_out(conversation: &str) -> Value {
    json!({"Result": {"ResultType": 0, "ResultCode": 0, "ResultDesc": "done", "TransactionID": "UKTEST2001",
        "OriginatorConversationID": conversation, "ConversationID": "AG_1", "ResultParameters": {"ResultParameter": [
            {"Key": "TransactionAmount", "Value": 10}, {"Key": "TransactionReceipt", "Value": "UKTEST2001"}]}}})
}

async fn post(world: &World, path: &str, body: &Value) -> u16 {
    Ask::new("POST", path).json(body).send(&world.shop.base).await.status
}

/// What is known of money, which no forgery may change.
async fn settled(world: &World) -> [i64; 4] {
    [
        world.value("SELECT COUNT(*) FROM payments WHERE state = 'settled'").await,
        world.value("SELECT COUNT(*) FROM received").await,
        world.value("SELECT COUNT(*) FROM payouts WHERE status = 'completed'").await,
        world.value("SELECT COUNT(*) FROM deliveries").await,
    ]
}

/// The part of a URL of the shop behind its address.
fn path_of<'u>(world: &World, url: &'u str) -> &'u str {
    url.strip_prefix(&world.shop.base).expect("a URL of the shop")
}

#[tokio::test]
async fn a_signature_is_good_for_one_payment_and_one_purpose() {
    let world = World::new().await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    let (token, admin) = (shop.customer("amina@shop.example").await, shop.admin().await);
    // One that is settled, so that its signed URL is known, and one that is under way.
    let first = shop.order(&token, 10).await;
    shop.pay(&token, &first, PHONE).await.ok(200);
    shop.until(&token, &first, "completed").await;
    world.delivered(1).await;
    let url = simulator.delivered()[0].url.clone();
    let signed = path_of(&world, &url);
    let (_, rest) = signed.split_once(STK).unwrap();
    let (reference, mac) = rest[1..].split_once('/').unwrap();
    simulator.everyone().approves().after(Duration::from_mins(5));
    let second = shop.order(&token, 10).await;
    let started = shop.pay(&token, &second, "254700000055").await.ok(200);
    let (payment, id) = (text(&started["payment_id"]), text(&started["checkout_request_id"]));
    // And a payout that waits for an approval.
    let supplier = shop.supplier(&admin, "Kericho Tea", "254700000101").await;
    let body = json!({"supplier_id": supplier, "amount": 10});
    let payout = text(&shop.post("/api/payments/supplier/payout", &admin, body).await.ok(202)["id"]);
    let before = settled(&world).await;

    let upper = mac.to_uppercase();
    let other_mac = format!("{}{}", &mac[..mac.len() - 1], if mac.ends_with('0') { '1' } else { '0' });
    for path in [
        format!("{STK}/{payment}/{mac}"), // signed for another payment
        format!("{STK}/{payment}/{}", "0".repeat(64)),
        format!("{STK}/{reference}/{other_mac}"),    // one digit is wrong
        format!("{STK}/{reference}/{}", &mac[..32]), // half of it
        format!("{STK}/{reference}/{mac}0"),
        format!("{STK}/{reference}x/{mac}"),
        format!("{STK}/{}/{mac}", reference.to_uppercase()),
        format!("{STK}/{reference}/{mac}%00"),
        format!("{STK}/%2e%2e/{mac}"),
        format!("{RESULT}/{reference}/{mac}"), // another purpose
        format!("{TIMEOUT}/{reference}/{mac}"),
        format!("{RESULT}/{payout}/{mac}"),
        format!("{TIMEOUT}/{payout}/{}", "f".repeat(64)),
        format!("{RESULT}/{payment}/{upper}"),
    ] {
        for body in [success(&id, "UKTEST2000"), paid_out(&payout)] {
            assert_eq!(post(&world, &path, &body).await, 404, "{path}");
        }
    }
    assert_eq!(settled(&world).await, before);
    assert_eq!(shop.verify(&token, &second).await["status"], "pending");
    assert!((shop.metric("shop_callbacks_refused_total{status=\"404\"}").await - 28.0).abs() < 0.1);

    // The signature itself is good, with whatever behind it: this is what was refused above.
    assert_eq!(post(&world, signed, &success("ws_CO_of_somebody_else", "UKTEST2002")).await, 200);
    assert_eq!(world.value("SELECT COUNT(*) FROM received WHERE reason = 'other_request'").await, 1);
    world.end().await;
}

#[tokio::test]
async fn only_the_sources_that_are_named_may_deliver() {
    // Everything else comes from 127.0.0.1, the simulator too.
    let options = Options::default()
        .with("MPESA_CALLBACK_SOURCES", "192.0.2.0/24")
        .with("MPESA_CALLBACK_PROXIES", "127.0.0.9")
        .with("SHOP_SWEEP_AFTER_SECONDS", "1");
    let world = World::with(quick(), options).await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    shop.pay(&token, &order, PHONE).await.ok(200);
    // The money is found all the same: Daraja is asked.
    let paid = shop.until(&token, &order, "completed").await;
    assert_eq!(paid["payment_reference"], Value::Null);
    eventually("the delivery is refused", async || !simulator.delivered().is_empty()).await;
    assert_eq!(simulator.delivered()[0].status, Some(403));
    assert_eq!(world.value("SELECT COUNT(*) FROM deliveries").await, 0);
    // Nobody gets nearer by a header that only our own proxy may write.
    let url = simulator.delivered()[0].url.clone();
    for header in ["X-Forwarded-For", "Forwarded", "X-Real-IP"] {
        let ask = Ask::new("POST", path_of(&world, &url)).header(header, "192.0.2.1").json(&success("x", "UKTEST2003"));
        assert_eq!(ask.send(&shop.base).await.status, 403, "{header}");
    }
    assert!((shop.metric("shop_callbacks_refused_total{status=\"403\"}").await - 4.0).abs() < 0.1);
    // Whoever posts hears the status only. Whoever runs the shop reads which address it was, and what to set.
    let log = shop.log();
    let told = log.lines().find(|line| line.contains("callback.source_refused")).expect("a line about it");
    for part in ["peer=127.0.0.1", "client=\"127.0.0.1\"", "MPESA_CALLBACK_PROXIES", "MPESA_CALLBACK_SOURCES=anyone"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    world.end().await;
}

#[tokio::test]
async fn behind_our_own_proxy_the_hop_before_it_counts() {
    let options = Options::default()
        .with("MPESA_CALLBACK_SOURCES", "192.0.2.0/24")
        .with("MPESA_CALLBACK_PROXIES", "127.0.0.1")
        .with("SHOP_CLIENT_RATE", "40");
    let world = World::with(quick(), options).await;
    let shop = &world.shop;
    let ask =
        |from: &str| Ask::new("POST", &format!("{STK}/nobody/00")).header("X-Forwarded-For", from).json(&json!({}));
    for (from, status) in
        [("192.0.2.7", 404), ("198.51.100.1", 403), ("192.0.2.7, 198.51.100.1", 403), ("nonsense", 403)]
    {
        assert_eq!(ask(from).send(&shop.base).await.status, status, "{from}");
    }
    // Clients are told apart in the same way: one of them uses up its own share only.
    let health =
        async |from: &str| Ask::new("GET", "/api/health").header("X-Forwarded-For", from).send(&shop.base).await.status;
    let mut asked = 0;
    while health("203.0.113.1").await != 429 {
        asked += 1;
        assert!(asked < 60, "nobody is told to wait");
    }
    assert_eq!(health("203.0.113.2").await, 200);
    // Whoever writes the header in front of the proxy's own entry is still one client.
    assert_eq!(health("203.0.113.9, 203.0.113.1").await, 429);
    world.end().await;
}

#[tokio::test]
async fn what_is_too_large_or_is_no_delivery_is_refused_and_counted() {
    let world = World::new().await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    simulator.everyone().cancels();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    shop.pay(&token, &order, PHONE).await.ok(200);
    shop.until(&token, &order, "failed").await;
    let url = simulator.delivered()[0].url.clone();
    let path = path_of(&world, &url);
    let before = settled(&world).await;
    let send = async |body: &[u8]| Ask::new("POST", path).body(body).send(&shop.base).await.status;
    let large = json!({"Body": {"stkCallback": {"CheckoutRequestID": "x".repeat(3_000_000), "ResultCode": 0}}});
    assert_eq!(send(large.to_string().as_bytes()).await, 413);
    assert!((shop.metric("shop_callbacks_refused_total{status=\"413\"}").await - 1.0).abs() < 0.1);
    for no_json in [&b""[..], b"{", b"\xff\xfe", b"[", &b"[".repeat(50_000)] {
        assert_eq!(send(no_json).await, 400);
    }
    assert_eq!(settled(&world).await, before);
    // JSON of a shape that nobody knows is kept for a person to read. It may report a payment, so the failure counts no more.
    assert_eq!(send(b"{\"something\": \"else\"}").await, 200);
    assert_eq!(settled(&world).await, [before[0] - 1, before[1], before[2], before[3] + 1]);
    assert_eq!(send(b"{\"with\": \"\\u0000 in it\"}").await, 200);
    assert_eq!(shop.verify(&token, &order).await["status"], "pending");
    world.end().await;
}

#[tokio::test]
async fn the_same_delivery_from_many_hands_at_once_is_booked_once() {
    let world = World::new().await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    simulator.everyone().cancels().after(Duration::ZERO);
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    shop.pay(&token, &order, PHONE).await.ok(200);
    shop.until(&token, &order, "failed").await;
    let (url, id) = (simulator.delivered()[0].url.clone(), simulator.prompts()[0].checkout_request_id.clone());
    let path = path_of(&world, &url).to_owned();
    let mut deliveries = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let (base, ask) = (shop.base.clone(), Ask::new("POST", &path).json(&success(id.as_str(), "UKTEST2004")));
        deliveries.spawn(async move { ask.send(&base).await.status });
    }
    assert!(deliveries.join_all().await.into_iter().all(|status| status == 200));
    assert_eq!(shop.verify(&token, &order).await["payment_reference"], "UKTEST2004");
    assert_eq!(world.value("SELECT COUNT(*) FROM received").await, 1);
    assert_eq!(world.value("SELECT COUNT(*) FROM deliveries").await, 2);
    assert!((shop.metric("shop_payments_succeeded_total{source=\"callback\"}").await - 1.0).abs() < 0.1);
    world.end().await;
}
