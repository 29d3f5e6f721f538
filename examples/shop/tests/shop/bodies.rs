//! What cannot be read, what is too much, and what comes too often: each has its status, the envelope, and a code that stays.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    contract::{Ask, text},
    support::{ADMIN, Options, PHONE, Shop, Told, World, quick},
};

/// Every route that reads a body.
const READING: [(&str, &str); 15] = [
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/register"),
    ("POST", "/api/admins"),
    ("POST", "/api/products"),
    ("POST", "/api/orders"),
    ("POST", "/api/payments/mpesa/initiate"),
    ("POST", "/api/payments/mpesa/query"),
    ("POST", "/api/payments/00000000-0000-4000-8000-000000000000/receipt"),
    ("POST", "/api/payments/00000000-0000-4000-8000-000000000000/receipt/confirm"),
    ("POST", "/api/payments/refund"),
    ("POST", "/api/payments/refunds/00000000-0000-4000-8000-000000000000/resolve"),
    ("POST", "/api/payments/supplier/payout"),
    ("POST", "/api/payments/supplier/payouts/00000000-0000-4000-8000-000000000000/resolve"),
    ("PUT", "/api/payments/supplier/00000000-0000-4000-8000-000000000000/update-mpesa"),
    ("POST", "/api/suppliers"),
];

async fn told(shop: &Shop, ask: Ask) -> Told {
    let answer = ask.send(&shop.base).await;
    let body = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{}: {answer:?}", ask.told()));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    Told { status: answer.status.try_into().unwrap(), body }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_with_a_code_of_its_own() {
    let world = World::new().await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    for (method, path) in READING {
        let ask = |kind: &str, body: &str| {
            told(shop, Ask::new(method, path).token(&admin).header("Content-Type", kind).body(body))
        };
        for broken in ["", "{", "nul", "order_id=x", "\u{feff}{}"] {
            ask("application/json", broken).await.fails(400, "MALFORMED_BODY");
        }
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""] {
            ask(kind, "{}").await.fails(415, "NOT_JSON");
        }
        told(shop, Ask::new(method, path).token(&admin).body("{}")).await.fails(415, "NOT_JSON");
        for wrong in ["{}", "[]", "null", "0", "\"x\"", "{\"other\": 1}"] {
            ask("application/json; charset=utf-8", wrong).await.fails(422, "INVALID_BODY");
        }
        // 64 KiB are read, and not a byte more.
        let padded = |bytes: usize| format!("{{}}{}", " ".repeat(bytes - 2));
        ask("application/json", &padded(64 * 1024)).await.fails(422, "INVALID_BODY");
        ask("application/json", &padded(64 * 1024 + 1)).await.fails(413, "BODY_TOO_LARGE");
    }
    world.end().await;
}

#[tokio::test]
async fn a_field_of_a_wrong_type_or_of_no_sense_is_told_and_never_echoed_in_full() {
    let world = World::new().await;
    let (shop, customer) = (&world.shop, world.shop.customer("amina@shop.example").await);
    let admin = shop.admin().await;
    let order = shop.order(&customer, 10).await;
    let product = text(&shop.get("/api/products", "").await.ok(200)[0]["id"]);
    let orders = async |items: Value| shop.post("/api/orders", &customer, json!({"items": items})).await;
    for wrong in [json!(null), json!("x"), json!({}), json!([1]), json!([{}]), json!([{"product_id": product}])] {
        orders(wrong).await.fails(422, "INVALID_BODY");
    }
    for quantity in [json!("1"), json!(1.5), json!(-1), json!(5_000_000_000_u64), json!(null)] {
        orders(json!([{"product_id": product, "quantity": quantity}])).await.fails(422, "INVALID_BODY");
    }
    for quantity in [0, 1_001, u32::MAX] {
        orders(json!([{"product_id": product, "quantity": quantity}])).await.fails(422, "INVALID_ORDER");
    }
    let one = json!({"product_id": product, "quantity": 1});
    orders(json!([])).await.fails(422, "INVALID_ORDER");
    orders(json!(vec![&one; 51])).await.fails(422, "INVALID_ORDER");
    orders(json!([one, one])).await.fails(422, "INVALID_ORDER");
    orders(json!([{"product_id": product, "quantity": 1_000}])).await.fails(422, "ORDER_TOO_LARGE");
    for id in ["", "x", "00000000-0000-4000-8000-000000000000", "' OR 1=1 --", "\0"] {
        orders(json!([{"product_id": id, "quantity": 1}])).await.fails(422, "PRODUCT_NOT_FOUND");
    }
    // What is to be paid is not the client's to say.
    orders(json!([{"product_id": product, "quantity": 1, "price": 1}])).await.fails(422, "INVALID_BODY");
    let body = json!({"items": [one], "amount": 1});
    shop.post("/api/orders", &customer, body).await.fails(422, "INVALID_BODY");

    for phone in ["", "0", "0712", "x", "\0", "0202345678", "254712345678999", "' OR 1=1 --", "🦀", "+1 212 555 0100"]
    {
        shop.pay(&customer, &order, phone).await.fails(422, "INVALID_PHONE");
    }
    let secret = "0712345678 and what nobody should read";
    let told = shop.pay(&customer, &order, secret).await;
    told.fails(422, "INVALID_PHONE");
    assert!(!told.body.to_string().contains("0712345678"), "{}", told.body);
    for wrong in [json!(254_708_374_149_u64), json!(null), json!([PHONE]), json!({"number": PHONE})] {
        let body = json!({"order_id": order, "phone_number": wrong});
        shop.post("/api/payments/mpesa/initiate", &customer, body).await.fails(422, "INVALID_BODY");
    }
    // A text is 1 to 200 characters on one line; bytes are not counted.
    let supplier = async |name: &str, reason: &str| {
        let body = json!({"name": name, "mpesa_number": "0700000101", "reason": reason});
        shop.post("/api/suppliers", &admin, body).await
    };
    for wrong in ["", "  ", "\0", "a\0b", "a\nb", "a\u{85}b", &"é".repeat(101)] {
        supplier(wrong, "new").await.fails(422, "INVALID_TEXT");
    }
    for wrong in ["", "a\tb", &"é".repeat(201)] {
        supplier("Kericho Tea", wrong).await.fails(422, "INVALID_TEXT");
    }
    let long = "é".repeat(100);
    assert_eq!(supplier(&long, &"é".repeat(200)).await.ok(201)["name"], long.as_str());
    assert_eq!(world.value("SELECT COUNT(*) FROM orders").await, 1);
    assert!(world.simulator.prompts().is_empty());
    world.end().await;
}

/// Whether the answer says when to come again.
async fn is_limited(shop: &Shop, ask: Ask, code: &str) -> bool {
    let answer = ask.send(&shop.base).await;
    if answer.status != 429 {
        return false;
    }
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&body["code"], &body["success"], &body["data"]), (&json!(code), &json!(false), &Value::Null));
    let seconds: u64 = answer.header("retry-after").expect("when to come again").parse().unwrap();
    assert!((1..=61).contains(&seconds), "{seconds}");
    true
}

#[tokio::test]
async fn a_client_that_comes_too_often_waits_and_callbacks_never_do() {
    // Twenty are enough for what comes before.
    let options = Options::default().with("SHOP_CLIENT_RATE", "20");
    let world = World::with(quick(), options).await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    simulator.everyone().approves().after(std::time::Duration::from_secs(2));
    let started = shop.pay(&token, &order, PHONE).await.ok(200);
    let mut asked = 0;
    while !is_limited(shop, Ask::new("GET", "/api/health"), "CLIENT_LIMIT").await {
        asked += 1;
        assert!(asked < 40, "nobody is told to wait");
    }
    // Pages and unknown paths are behind the same limit; what nobody signed is refused as ever, and what Daraja tells is
    // taken.
    for path in ["/login", "/nothing", "/api/openapi.json", "/static/app.css"] {
        let mut limited = false;
        for _ in 0..3 {
            limited |= is_limited(shop, Ask::new("GET", path), "CLIENT_LIMIT").await;
        }
        assert!(limited, "{path}");
    }
    let forged = format!("/api/payments/mpesa/callback/{}/{}", text(&started["payment_id"]), "0".repeat(64));
    for _ in 0..60 {
        assert_eq!(Ask::new("POST", &forged).json(&json!({})).send(&shop.base).await.status, 404);
        let bare = Ask::new("POST", "/api/payments/mpesa/callback").json(&json!({}));
        assert_eq!(bare.send(&shop.base).await.status, 200);
    }
    world.delivered(1).await;
    assert_eq!(simulator.delivered()[0].status, Some(200));
    assert_eq!(world.value("SELECT COUNT(*) FROM orders WHERE state = 'paid'").await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_phone_is_not_pestered_by_whomever_and_another_one_is_free() {
    let options = Options::default().with("SHOP_PHONE_RATE", "2");
    let world = World::with(quick(), options).await;
    let shop = &world.shop;
    let (first, second) = (shop.customer("amina@shop.example").await, shop.customer("juma@shop.example").await);
    let ask = |order: &str, phone: &str| {
        let body = json!({"order_id": order, "phone_number": phone});
        Ask::new("POST", "/api/payments/mpesa/initiate").json(&body)
    };
    for token in [&first, &second] {
        let order = shop.order(token, 10).await;
        assert!(!is_limited(shop, ask(&order, PHONE).token(token), "PHONE_LIMIT").await);
        shop.until(token, &order, "completed").await;
    }
    // However it is spelled, and whoever asks.
    let orders = [shop.order(&first, 10).await, shop.order(&second, 10).await];
    assert!(is_limited(shop, ask(&orders[0], "0708 374 149").token(&first), "PHONE_LIMIT").await);
    assert!(is_limited(shop, ask(&orders[1], "+254708374149").token(&second), "PHONE_LIMIT").await);
    assert!(!is_limited(shop, ask(&orders[0], "254700000055").token(&first), "PHONE_LIMIT").await);
    assert_eq!(world.simulator.prompts().len(), 3);
    world.end().await;
}

#[tokio::test]
async fn passwords_cannot_be_tried_for_long() {
    let options = Options::default().with("SHOP_LOGIN_RATE", "3");
    let world = World::with(quick(), options).await;
    let shop = &world.shop;
    let try_one = || {
        let body = json!({"email": ADMIN.0, "password": "?"});
        is_limited(shop, Ask::new("POST", "/api/auth/login").json(&body), "LOGIN_LIMIT")
    };
    for _ in 0..3 {
        assert!(!try_one().await);
    }
    assert!(try_one().await);
    // The right one has to wait as well, and so has who would register; what needs no password does not.
    let right = json!({"email": ADMIN.0, "password": ADMIN.1});
    assert!(is_limited(shop, Ask::new("POST", "/api/auth/login").json(&right), "LOGIN_LIMIT").await);
    let new = json!({"email": "juma@shop.example", "password": ADMIN.1});
    assert!(is_limited(shop, Ask::new("POST", "/api/auth/register").json(&new), "LOGIN_LIMIT").await);
    shop.call(Method::GET, "/api/products", "", None).await.ok(200);
    world.end().await;
}
