//! Who may do what: tokens, roles, and what belongs to somebody else.

use aws_lc_rs::hmac;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    contract::{Ask, text},
    support::{ADMIN, JWT_SECRET, PHONE, World},
};

const ID: &str = "00000000-0000-4000-8000-000000000000";

/// Everything that a customer needs a token for.
const FOR_CUSTOMERS: [(&str, &str); 7] = [
    ("GET", "/api/orders"),
    ("POST", "/api/orders"),
    ("GET", "/api/orders/{id}"),
    ("POST", "/api/orders/{id}/cancel"),
    ("POST", "/api/payments/mpesa/initiate"),
    ("POST", "/api/payments/mpesa/query"),
    ("GET", "/api/payments/verify/{id}"),
];

/// Everything that is for admins.
const FOR_ADMINS: [(&str, &str); 20] = [
    ("POST", "/api/admins"),
    ("POST", "/api/products"),
    ("DELETE", "/api/products/{id}"),
    ("GET", "/api/payments"),
    ("GET", "/api/payments/received"),
    ("POST", "/api/payments/{id}/receipt"),
    ("POST", "/api/payments/{id}/receipt/confirm"),
    ("POST", "/api/payments/supplier/payout"),
    ("GET", "/api/payments/supplier/payouts"),
    ("GET", "/api/payments/supplier/payouts/{id}"),
    ("POST", "/api/payments/supplier/payouts/{id}/approve"),
    ("POST", "/api/payments/supplier/payouts/{id}/resolve"),
    ("PUT", "/api/payments/supplier/{id}/update-mpesa"),
    ("POST", "/api/payments/refund"),
    ("GET", "/api/payments/refunds"),
    ("POST", "/api/payments/refunds/{id}/resolve"),
    ("POST", "/api/payments/refunds/{id}/retry"),
    ("GET", "/api/suppliers"),
    ("POST", "/api/suppliers"),
    ("GET", "/api/suppliers/{id}/changes"),
];

/// What anybody may ask.
const OPEN: [(&str, &str); 4] =
    [("POST", "/api/auth/login"), ("POST", "/api/auth/register"), ("GET", "/api/health"), ("GET", "/api/products")];

fn all() -> impl Iterator<Item = (&'static str, String)> {
    FOR_CUSTOMERS.into_iter().chain(FOR_ADMINS).map(|(method, path)| (method, path.replace("{id}", ID)))
}

#[tokio::test]
async fn every_route_is_in_one_of_the_lists() {
    let world = World::new().await;
    let contract = crate::contract::Contract::of(&world.shop).await;
    let mut known: Vec<_> = FOR_CUSTOMERS.into_iter().chain(FOR_ADMINS).chain(OPEN).collect();
    let mut found: Vec<_> = contract.operations.iter().map(|one| (one.method.as_str(), one.with("{id}"))).collect();
    known.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, known.into_iter().map(|(method, path)| (method, path.to_owned())).collect::<Vec<_>>());
    world.end().await;
}

#[tokio::test]
async fn nobody_passes_without_a_token_that_is_valid_now() {
    let world = World::new().await;
    let shop = &world.shop;
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    let now = chrono::Utc::now().timestamp();
    let payload = token.split('.').nth(1).unwrap();
    let claims = |change: fn(&mut Value, i64)| {
        let mut claims: Value = serde_json::from_slice(&unpack(payload)).unwrap();
        change(&mut claims, now);
        claims
    };
    let hs256 = json!({"alg": "HS256", "typ": "JWT"});
    // The forger can forge: what is changed below is what is refused.
    let forged = forge(&hs256, &claims(|_, _| {}), JWT_SECRET);
    shop.get(&format!("/api/orders/{order}"), &forged).await.ok(200);

    let expired = forge(&hs256, &claims(|claims, now| claims["exp"] = json!(now - 1)), JWT_SECRET);
    let elevated = pack(claims(|claims, _| claims["role"] = json!("admin")).to_string().as_bytes());
    let (head, signature) = (token.split('.').next().unwrap(), token.split('.').nth(2).unwrap());
    let none = json!({"alg": "none", "typ": "JWT"});
    let invalid = [
        ("another secret", forge(&hs256, &claims(|_, _| {}), "of somebody else, and 32 characters long")),
        ("no signature", format!("{head}.{payload}.")),
        ("alg none", format!("{}.{payload}.", pack(none.to_string().as_bytes()))),
        ("alg none, signed", forge(&none, &claims(|_, _| {}), JWT_SECRET)),
        ("another algorithm", forge(&json!({"alg": "HS512"}), &claims(|_, _| {}), JWT_SECRET)),
        ("a role of one's own", format!("{head}.{elevated}.{signature}")),
        ("a page's token", forge(&hs256, &claims(|claims, _| claims["aud"] = json!("page")), JWT_SECRET)),
        (
            "no audience",
            forge(&hs256, &claims(|claims, _| drop(claims.as_object_mut().unwrap().remove("aud"))), JWT_SECRET),
        ),
        ("no end", forge(&hs256, &claims(|claims, _| drop(claims.as_object_mut().unwrap().remove("exp"))), JWT_SECRET)),
        ("an unknown role", forge(&hs256, &claims(|claims, _| claims["role"] = json!("root")), JWT_SECRET)),
        ("half a token", token[..token.len() / 2].to_owned()),
        ("rubbish", "a.b.c".to_owned()),
    ];
    for (method, path) in all() {
        let ask = || Ask::new(method, &path).json(&json!({}));
        refused(&world, ask(), "TOKEN_MISSING", "nothing").await;
        refused(&world, ask().header("Authorization", &format!("Basic {token}")), "TOKEN_MISSING", "basic").await;
        refused(&world, ask().header("Authorization", &token), "TOKEN_MISSING", "no kind").await;
        refused(&world, ask().token(&expired), "TOKEN_EXPIRED", "expired").await;
        for (what, token) in &invalid {
            refused(&world, ask().token(token), "TOKEN_INVALID", what).await;
        }
    }
    world.end().await;
}

async fn refused(world: &World, ask: Ask, code: &str, what: &str) {
    let answer = ask.send(&world.shop.base).await;
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((answer.status, &body["code"]), (401, &json!(code)), "{what}: {}: {body}", ask.told());
}

#[tokio::test]
async fn a_pages_cookie_is_no_bearer_and_a_bearer_is_no_cookie() {
    let world = World::new().await;
    let shop = &world.shop;
    let token = shop.customer("amina@shop.example").await;
    let session = crate::forms::Browser::log_in(shop, "amina@shop.example", ADMIN.1).await.session;
    assert_eq!(
        Ask::new("GET", "/orders").header("Cookie", &format!("shop_session={session}")).send(&shop.base).await.status,
        200
    );
    shop.get("/api/orders", &session).await.fails(401, "TOKEN_INVALID");
    let cookie = Ask::new("GET", "/orders").header("Cookie", &format!("shop_session={token}"));
    assert_eq!(cookie.send(&shop.base).await.status, 303);
    // And a cookie is nothing to the API, which other sites could have sent.
    let api = Ask::new("GET", "/api/orders").header("Cookie", &format!("shop_session={session}"));
    assert_eq!(api.send(&shop.base).await.status, 401);
    world.end().await;
}

#[tokio::test]
async fn a_customer_is_no_admin_on_any_route() {
    let world = World::new().await;
    let shop = &world.shop;
    let token = shop.customer("amina@shop.example").await;
    for (method, path) in FOR_ADMINS {
        let method: Method = method.parse().unwrap();
        let path = path.replace("{id}", ID);
        shop.call(method, &path, &token, Some(json!({}))).await.fails(403, "ADMINS_ONLY");
    }
    // Neither by asking for it.
    let body = json!({"email": "juma@shop.example", "password": ADMIN.1, "role": "admin"});
    assert_eq!(shop.post("/api/auth/register", "", body).await.ok(201)["role"], "customer");
    let login = json!({"email": "juma@shop.example", "password": ADMIN.1});
    let told = shop.post("/api/auth/login", "", login).await.ok(200);
    assert_eq!((&told["role"], &told["expires_in"]), (&json!("customer"), &json!(3_600)));
    world.end().await;
}

#[tokio::test]
async fn a_token_outlives_neither_its_user_nor_the_users_role() {
    let world = World::new().await;
    let shop = &world.shop;
    let admin = shop.another_admin("second@shop.example").await;
    let browser = crate::forms::Browser::log_in(shop, "second@shop.example", ADMIN.1).await;
    shop.get("/api/suppliers", &admin).await.ok(200);
    assert_eq!(browser.get("/admin/payouts").await.status, 200);
    world.database.execute("UPDATE users SET role = 'customer' WHERE email = 'second@shop.example'").await;
    shop.get("/api/suppliers", &admin).await.fails(403, "ADMINS_ONLY");
    assert_eq!(browser.get("/admin/payouts").await.status, 403);
    world.database.execute("DELETE FROM users WHERE email = 'second@shop.example'").await;
    shop.get("/api/suppliers", &admin).await.fails(401, "TOKEN_INVALID");
    shop.get("/api/orders", &admin).await.fails(401, "TOKEN_INVALID");
    assert_eq!(browser.get("/admin/payouts").await.status, 303);
    world.end().await;
}

#[tokio::test]
async fn anothers_order_is_not_there_and_an_admin_sees_all() {
    let world = World::new().await;
    let shop = &world.shop;
    let (owner, other) = (shop.customer("amina@shop.example").await, shop.customer("juma@shop.example").await);
    let order = shop.order(&owner, 10).await;
    let calls = [
        (Method::GET, format!("/api/orders/{order}"), None),
        (Method::POST, format!("/api/orders/{order}/cancel"), Some(json!({}))),
        (Method::GET, format!("/api/payments/verify/{order}"), None),
        (Method::POST, "/api/payments/mpesa/query".into(), Some(json!({"order_id": order}))),
        (Method::POST, "/api/payments/mpesa/initiate".into(), Some(json!({"order_id": order, "phone_number": PHONE}))),
    ];
    for (method, path, body) in calls {
        // To the letter what is told of an order that does not exist.
        let told = shop.call(method.clone(), &path, &other, body.clone()).await;
        told.fails(404, "ORDER_NOT_FOUND");
        let nowhere = body.map(|body| serde_json::from_str(&body.to_string().replace(&order, ID)).unwrap());
        let missing = shop.call(method, &path.replace(&order, ID), &other, nowhere).await;
        assert_eq!(told.body, missing.body);
    }
    assert_eq!(shop.get("/api/orders", &other).await.ok(200)["total"], 0);
    assert_eq!(shop.get("/api/orders", &owner).await.ok(200)["total"], 1);
    assert_eq!(shop.get(&format!("/api/orders/{order}"), &owner).await.ok(200)["state"], "open");
    assert!(world.simulator.prompts().is_empty());
    let admin = shop.admin().await;
    assert_eq!(text(&shop.get(&format!("/api/orders/{order}"), &admin).await.ok(200)["id"]), order);
    world.end().await;
}

#[tokio::test]
async fn who_registers_has_an_address_of_their_own_and_a_long_password() {
    let world = World::new().await;
    let shop = &world.shop;
    let register = async |email: &str, password: &str| {
        shop.post("/api/auth/register", "", json!({"email": email, "password": password})).await
    };
    assert_eq!(register(" Amina@Shop.example ", ADMIN.1).await.ok(201)["email"], "amina@shop.example");
    register("amina@shop.example", ADMIN.1).await.fails(409, "EMAIL_TAKEN");
    register("AMINA@shop.example", ADMIN.1).await.fails(409, "EMAIL_TAKEN");
    for short in ["", "elevencharz", &"x".repeat(201)] {
        register("juma@shop.example", short).await.fails(422, "INVALID_PASSWORD");
    }
    for no_email in ["juma", "@shop.example", "juma@shop", "ju ma@shop.example", "juma@shop.example\u{a0}x"] {
        register(no_email, ADMIN.1).await.fails(422, "INVALID_EMAIL");
    }
    for no_text in ["", "juma\0@shop.example", &format!("{}@shop.example", "x".repeat(200))] {
        register(no_text, ADMIN.1).await.fails(422, "INVALID_TEXT");
    }
    // Whoever exists and whoever does not are refused alike.
    let log_in = async |email: &str, password: &str| {
        shop.post("/api/auth/login", "", json!({"email": email, "password": password})).await
    };
    log_in("AMINA@shop.example ", ADMIN.1).await.ok(200);
    let (wrong, nobody) = (log_in("amina@shop.example", "?").await, log_in("nobody@shop.example", "?").await);
    wrong.fails(401, "WRONG_PASSWORD");
    assert_eq!((wrong.status, wrong.body), (nobody.status, nobody.body));
    world.end().await;
}

/// A token as the shop would sign it, with whatever stands in it.
fn forge(head: &Value, claims: &Value, secret: &str) -> String {
    let text = format!("{}.{}", pack(head.to_string().as_bytes()), pack(claims.to_string().as_bytes()));
    let algorithm = if head["alg"] == "HS512" { hmac::HMAC_SHA512 } else { hmac::HMAC_SHA256 };
    let signature = hmac::sign(&hmac::Key::new(algorithm, secret.as_bytes()), text.as_bytes());
    format!("{text}.{}", pack(signature.as_ref()))
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64 for URLs, without padding.
fn pack(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - three.len()));
        let digits = (0..=three.len()).map(|index| DIGITS[bits >> (18 - 6 * index) & 63]);
        text.extend(digits.map(char::from));
    }
    text
}

fn unpack(text: &str) -> Vec<u8> {
    let digit = |byte: u8| DIGITS.iter().position(|digit| *digit == byte).expect("base64");
    let four = |four: &[u8]| {
        let bits = four.iter().fold(0_usize, |bits, byte| bits << 6 | digit(*byte)) << (6 * (4 - four.len()));
        (0..four.len() - 1).map(|index| u8::try_from(bits >> (16 - 8 * index) & 255).unwrap()).collect::<Vec<_>>()
    };
    text.as_bytes().chunks(4).flat_map(four).collect()
}
