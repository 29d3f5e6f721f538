//! The pages' forms: nothing is done without the token of one's own session, and no input brings a page down.

use std::sync::Arc;

use daraja::simulator::{Fault, Route};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    contract::{Ask, text},
    nasty::{self, Random},
    storm::pays_as_ever,
    support::{ADMIN, Options, PHONE, Shop, World, eventually, quick},
    wire::Answer,
};

const SEED: u64 = 0x5eed_f0f1;

/// A browser that is logged in.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) base: String,
    pub(crate) session: String,
    csrf: String,
}

impl Browser {
    pub(crate) async fn log_in(shop: &Shop, email: &str, password: &str) -> Self {
        let page = Ask::new("GET", "/login").send(&shop.base).await;
        let guest = cookie(&page, "shop_guest");
        let form = form(&[("csrf", &csrf(&page)), ("email", email), ("password", password), ("next", "/")]);
        let ask = Ask::new("POST", "/login").header("Cookie", &format!("shop_guest={guest}"));
        let answer = ask.header("Content-Type", FORM).body(form).send(&shop.base).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let mut browser =
            Self { base: shop.base.clone(), session: cookie(&answer, "shop_session"), csrf: String::new() };
        browser.csrf = csrf(&browser.get("/orders").await);
        browser
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).send(&self.base).await
    }

    fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(method, path).header("Cookie", &format!("shop_session={}", self.session))
    }

    /// A form with its token.
    pub(crate) fn post(&self, path: &str, fields: &[(&str, &str)]) -> Ask {
        let fields: Vec<_> = [("csrf", self.csrf.as_str())].into_iter().chain(fields.iter().copied()).collect();
        self.ask("POST", path).header("Content-Type", FORM).body(form(&fields))
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

fn form(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{}={}", nasty::encoded(name), nasty::encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn cookie(answer: &Answer, name: &str) -> String {
    let line = answer.header("set-cookie").expect("a cookie");
    let value = line.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).expect("this cookie");
    value.split(';').next().unwrap().to_owned()
}

fn csrf(page: &Answer) -> String {
    let (_, rest) = page.body.split_once("name=\"csrf\" value=\"").expect("a form with a token");
    rest.split('"').next().unwrap().to_owned()
}

/// What is there to act on, and every form with fields that could be taken.
struct Known {
    product: String,
    order: String,
    supplier: String,
    payout: String,
    received: String,
}

type Fields = Vec<(String, String)>;

impl Known {
    async fn make(world: &World, customer: &str, admin: &str) -> Self {
        let shop = &world.shop;
        let paid = shop.order(customer, 20).await;
        shop.pay(customer, &paid, PHONE).await.ok(200);
        shop.until(customer, &paid, "completed").await;
        let supplier = shop.supplier(admin, "Kericho Tea", "254700000101").await;
        let body = json!({"supplier_id": supplier, "amount": 100});
        let payout = text(&shop.post("/api/payments/supplier/payout", admin, body).await.ok(202)["id"]);
        let received = text(&shop.get("/api/payments/received", admin).await.ok(200)["items"][0]["id"]);
        let product = text(&shop.get("/api/products", "").await.ok(200)[0]["id"]);
        Self { product, order: shop.order(customer, 30).await, supplier, payout, received }
    }

    fn forms(&self) -> Vec<(String, Fields)> {
        let Self { product, order, supplier, payout, received } = self;
        let key = "00000000-0000-4000-8000-00000000000a";
        let own = |fields: &[(&str, &str)]| {
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Fields>()
        };
        let payout_fields = own(&[
            ("supplier_id", supplier),
            ("amount", "20"),
            ("notes", "#1"),
            ("number", "0700 000 101"),
            ("idempotency_key", key),
        ]);
        vec![
            ("/orders".to_owned(), own(&[(&format!("quantity_{product}"), "1")])),
            (format!("/orders/{order}/pay"), own(&[("phone_number", "254700000032")])),
            (format!("/orders/{order}/cancel"), own(&[])),
            (format!("/admin/payments/{order}/receipt"), own(&[("receipt", "SG632NMUAB"), ("reason", "x")])),
            (format!("/admin/payments/{order}/receipt/confirm"), own(&[("receipt", "SG632NMUAB")])),
            ("/admin/refunds".to_owned(), own(&[("receipt", "SG632NMUAB"), ("note", "x"), ("idempotency_key", key)])),
            (format!("/admin/refunds/{received}"), own(&[("note", "x"), ("idempotency_key", key)])),
            ("/admin/payouts/confirm".to_owned(), payout_fields.clone()),
            ("/admin/payouts".to_owned(), payout_fields),
            (format!("/admin/payouts/{payout}/approve"), own(&[])),
            (
                format!("/admin/payouts/{payout}/outcome"),
                own(&[("outcome", "failed"), ("receipt", ""), ("reason", "x")]),
            ),
            (format!("/admin/suppliers/{supplier}/number"), own(&[("mpesa_number", "254700000102"), ("reason", "x")])),
            ("/login".to_owned(), own(&[("email", ADMIN.0), ("password", "?"), ("next", "/")])),
            ("/logout".to_owned(), own(&[])),
            ("/phone/answer".to_owned(), own(&[("id", "x"), ("action", "pin"), ("pin", "1234"), ("number", PHONE)])),
        ]
    }
}

fn borrowed(fields: &Fields) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test]
async fn a_form_without_its_own_sessions_token_does_nothing() {
    let world = World::new().await;
    let shop = &world.shop;
    let (customer, admin) = (shop.customer("amina@shop.example").await, shop.admin().await);
    let known = Known::make(&world, &customer, &admin).await;
    let (first, other) = (Browser::log_in(shop, ADMIN.0, ADMIN.1).await, Browser::log_in(shop, ADMIN.0, ADMIN.1).await);
    assert_ne!(first.csrf, other.csrf);
    let before = everything(&world).await;
    for (path, fields) in known.forms() {
        for token in [None, Some(""), Some("0"), Some(other.csrf.as_str()), Some(&first.csrf[..63])] {
            let mut fields = borrowed(&fields);
            fields.extend(token.map(|token| ("csrf", token)));
            let ask = first.ask("POST", &path).header("Content-Type", FORM).body(form(&fields));
            assert_eq!(ask.send(&shop.base).await.status, 403, "{path} with {token:?}");
        }
        // Nor as JSON, which a form of another site cannot send, nor by a GET.
        let ask = first.ask("POST", &path).json(&json!({"csrf": first.csrf}));
        assert_eq!(ask.send(&shop.base).await.status, 403, "{path}");
        let status = first.get(&format!("{path}?{}&csrf={}", form(&borrowed(&fields)), first.csrf)).await.status;
        assert!(matches!(status, 200 | 404 | 405), "GET {path}: {status}");
    }
    assert_eq!(everything(&world).await, before);
    // With it, something is done: the token was what was missing.
    let (path, _) = &known.forms()[2];
    assert_eq!(first.post(path, &[]).send(&shop.base).await.status, 303);
    assert_ne!(everything(&world).await, before);
    world.end().await;
}

#[tokio::test]
async fn a_log_in_leads_to_a_page_of_our_own_only() {
    let world = World::new().await;
    let shop = &world.shop;
    shop.customer("amina@shop.example").await;
    let page = Ask::new("GET", "/login").send(&shop.base).await;
    let (guest, csrf) = (cookie(&page, "shop_guest"), csrf(&page));
    for (next, to) in [
        ("/orders?page=1", "/orders?page=1"),
        ("", "/"),
        ("orders", "/"),
        ("https://elsewhere.example/", "/"),
        ("//elsewhere.example/", "/"),
        ("/\t/elsewhere.example/", "/"),
        ("/\\elsewhere.example/", "/"),
        ("/\r\nSet-Cookie: shop_session=x", "/"),
        ("javascript:alert(1)", "/"),
        (" //elsewhere.example/", "/"),
    ] {
        let fields = [("csrf", csrf.as_str()), ("email", "amina@shop.example"), ("password", ADMIN.1), ("next", next)];
        let ask = Ask::new("POST", "/login").header("Cookie", &format!("shop_guest={guest}"));
        let answer = ask.header("Content-Type", FORM).body(form(&fields)).send(&shop.base).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some(to)), "{next:?}");
        let line = answer.header("set-cookie").unwrap();
        assert!(line.contains("; HttpOnly; SameSite=Strict"), "{line}");
    }
    world.end().await;
}

/// All that a form could change, in one number each.
async fn everything(world: &World) -> Vec<i64> {
    let mut numbers = Vec::new();
    for sql in [
        "SELECT COUNT(*) FROM orders",
        "SELECT COUNT(*) FROM orders WHERE state = 'cancelled'",
        "SELECT COUNT(*) FROM payments",
        "SELECT COUNT(*) FROM received",
        "SELECT COUNT(*) FROM refunds",
        "SELECT COUNT(*) FROM payouts",
        "SELECT COUNT(*) FROM payouts WHERE status = 'awaiting_approval'",
        "SELECT COUNT(*) FROM audit",
    ] {
        numbers.push(world.value(sql).await);
    }
    numbers
}

#[tokio::test]
async fn money_to_refund_without_a_receipt_is_shown_and_its_receipt_can_be_entered() {
    let world = World::with(quick(), Options::default().with("SHOP_SWEEP_AFTER_SECONDS", "1")).await;
    let (shop, admin) = (&world.shop, world.shop.admin().await);
    world.simulator.everyone().approves().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 50).await;
    let payment = text(&shop.pay(&token, &order, PHONE).await.ok(200)["payment_id"]);
    world.database.execute("UPDATE orders SET state = 'cancelled'").await;
    let found = "SELECT COUNT(*) FROM received WHERE disposition = 'to_refund' AND receipt IS NULL";
    eventually("the sweep finds the money", async || world.value(found).await == 1).await;
    let number = text(&shop.get(&format!("/api/orders/{order}"), &admin).await.ok(200)["number"]);
    let browser = Browser::log_in(shop, ADMIN.0, ADMIN.1).await;
    let page = browser.get("/admin/refunds").await.body;
    let path = format!("/admin/payments/{payment}/receipt");
    assert!(page.contains(&number) && page.contains(&path), "{page}");
    let enter = async |receipt: &str| {
        let fields = [("receipt", receipt), ("reason", "SMS seen"), ("from", "refunds")];
        browser.post(&path, &fields).send(&browser.base).await
    };
    let refused = enter("no receipt").await;
    assert!(refused.status == 422 && refused.body.contains(&number), "{}", refused.body);
    assert_eq!(enter("UKTEST2001").await.header("location"), Some("/admin/refunds?done=receipt"));
    world.second_admin().await;
    let second = Browser::log_in(shop, "a.second.admin@shop.example", ADMIN.1).await;
    let page = second.get("/admin/refunds").await.body;
    assert!(page.contains("Not checked with M-PESA") && page.contains("SMS seen"), "{page}");
    let fields = [("receipt", "UKTEST2001"), ("from", "refunds")];
    let confirmed = second.post(&format!("{path}/confirm"), &fields).send(&second.base).await;
    assert_eq!(confirmed.header("location"), Some("/admin/refunds?done=receipt_confirmed"));
    let page = browser.get("/admin/refunds").await.body;
    assert!(page.contains("UKTEST2001") && !page.contains(&path), "{page}");
    world.end().await;
}

#[tokio::test]
async fn the_page_of_unknown_payments_says_that_a_receipt_is_not_checked_and_wants_a_reason_and_a_second_admin() {
    let world = World::new().await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    simulator.everyone().approves().callback_lost();
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 50).await;
    simulator.fault(Route::StkPush, Fault::ResetAfter);
    let payment = text(&shop.pay(&token, &order, PHONE).await.ok(202)["payment_id"]);
    let path = format!("/admin/payments/{payment}/receipt");
    let confirm = format!("{path}/confirm");
    world.second_admin().await;
    let (first, second) = (
        Browser::log_in(shop, ADMIN.0, ADMIN.1).await,
        Browser::log_in(shop, "a.second.admin@shop.example", ADMIN.1).await,
    );
    let page = first.get("/admin/unknown").await.body;
    assert!(page.contains("This shop does not check it with M-PESA") && page.contains("not checked"), "{page}");
    assert!(!page.contains("Check the receipt") && !page.contains(&confirm), "{page}");
    let without = first.post(&path, &[("receipt", "UKTEST2001"), ("reason", "")]).send(&first.base).await;
    assert!(without.status == 422 && without.body.contains("reason must have 1 to 200"), "{}", without.body);
    let entered = first.post(&path, &[("receipt", "UKTEST2001"), ("reason", "SMS <seen>")]).send(&first.base).await;
    assert_eq!(entered.header("location"), Some("/admin/unknown?done=receipt"));
    assert_eq!(shop.verify(&token, &order).await["status"], "pending");
    // Who entered it is told that another has to confirm it; the other sees who, what and why.
    let page = first.get("/admin/unknown?done=receipt").await.body;
    assert!(page.contains("It counts once another admin has confirmed it") && !page.contains(&confirm), "{page}");
    let own = first.post(&confirm, &[("receipt", "UKTEST2001")]).send(&first.base).await;
    assert!(own.status == 403 && own.body.contains("A second admin is needed"), "{}", own.body);
    let page = second.get("/admin/unknown").await.body;
    for part in ["UKTEST2001", ADMIN.0, "SMS &#60;seen&#62;", "Not checked with M-PESA", &confirm] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let wrong = second.post(&confirm, &[("receipt", "UKTEST2002")]).send(&second.base).await;
    assert!(wrong.status == 409 && wrong.body.contains("No admin has entered"), "{}", wrong.body);
    let confirmed = second.post(&confirm, &[("receipt", "UKTEST2001")]).send(&second.base).await;
    assert_eq!(confirmed.header("location"), Some("/admin/unknown?done=receipt_confirmed"));
    assert_eq!(shop.verify(&token, &order).await["payment_reference"], "UKTEST2001");
    assert!(first.get("/admin/unknown").await.body.contains("Each payment has an outcome"));
    world.end().await;
}

#[tokio::test]
async fn no_input_of_a_form_or_a_link_brings_a_page_down() {
    let world = World::new().await;
    let shop = &world.shop;
    let (customer, admin) = (shop.customer("amina@shop.example").await, shop.admin().await);
    let known = Known::make(&world, &customer, &admin).await;
    let browsers =
        [Browser::log_in(shop, "amina@shop.example", ADMIN.1).await, Browser::log_in(shop, ADMIN.0, ADMIN.1).await];
    let mut random = Random::new(SEED);
    let mut asks = Vec::new();
    for browser in &browsers {
        for (path, fields) in known.forms() {
            // Each of these takes the time of a password.
            let texts = if path == "/login" { vec!["\0".to_owned()] } else { nasty::texts(&mut random) };
            for index in 0..fields.len() {
                let mut fewer = borrowed(&fields);
                fewer.remove(index);
                asks.push(browser.post(&path, &fewer));
            }
            for text in texts {
                for index in 0..fields.len() {
                    let mut fields = borrowed(&fields);
                    fields[index].1 = &text;
                    asks.push(browser.post(&path, &fields));
                }
                asks.push(browser.post(&path, &[(&text, &text)]));
            }
        }
        for id in nasty::ids(&mut random) {
            for path in ["/orders/{}", "/orders/{}/status", "/admin/payouts/{}/outcome", "/static/{}", "/{}"] {
                asks.push(browser.ask("GET", &path.replace("{}", &id)));
            }
            for path in [
                "/orders/{}/pay",
                "/orders/{}/cancel",
                "/admin/payments/{}/receipt",
                "/admin/payments/{}/receipt/confirm",
                "/admin/refunds/{}",
                "/admin/payouts/{}/approve",
            ] {
                asks.push(browser.post(&path.replace("{}", &id), &[("receipt", "SG632NMUAB"), ("note", "x")]));
            }
        }
        for text in nasty::texts(&mut random).iter().filter(|text| text.len() < 8_000).map(|text| nasty::encoded(text))
        {
            for path in [
                "/login?next={}",
                "/admin/payouts?page={}&status={}&per_page={}",
                "/phone?number={}",
                "/phone-number?value={}",
                "/orders?done={}",
            ] {
                asks.push(browser.ask("GET", &path.replace("{}", &text)));
            }
        }
    }
    random.shuffle(&mut asks);
    let (count, asks) = (asks.len(), Arc::new(asks));
    let mut workers = JoinSet::new();
    for worker in 0..4 {
        let (asks, base) = (asks.clone(), shop.base.clone());
        workers.spawn(async move {
            for ask in asks.iter().skip(worker).step_by(4) {
                let answer = ask.send(&base).await;
                assert!(answer.status < 500, "seed {SEED:#x}: {} from {}", answer.status, ask.told());
                let elsewhere =
                    answer.header("location").filter(|path| !path.starts_with('/') || path.starts_with("//"));
                assert_eq!(elsewhere, None, "{}", ask.told());
                assert!(!answer.body.contains("<script>alert"), "{}", ask.told());
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    }
    println!("{count} requests from seed {SEED:#x}");
    assert!(count > 2_500, "{count}");
    assert_eq!(world.simulator.payouts(), []);
    pays_as_ever(shop, &customer).await;
    world.end().await;
}
