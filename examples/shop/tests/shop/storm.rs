//! Thousands of requests that nobody should send, made of the `OpenAPI` document: the shop answers each of them as the
//! document says, fails at none, and does nothing that it should not.

use std::{sync::Arc, time::Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    contract::{Ask, Contract, Operation, text},
    nasty::{self, Random},
    support::{ADMIN, Options, PHONE, Shop, World, quick},
};

/// What follows is the same in every run.
const SEED: u64 = 0x0d0a_7a1a;

/// What is in the shop before the storm.
struct Known {
    product: String,
    order: String,
    supplier: String,
    payout: String,
    payment: String,
    receipt: String,
}

impl Known {
    async fn make(world: &World, customer: &str, admin: &str) -> Self {
        let shop = &world.shop;
        let paid = shop.order(customer, 20).await;
        let payment = text(&shop.pay(customer, &paid, PHONE).await.ok(200)["payment_id"]);
        let receipt = text(&shop.until(customer, &paid, "completed").await["payment_reference"]);
        let supplier = shop.supplier(admin, "Kericho Tea", "254700000101").await;
        let body = json!({"supplier_id": supplier, "amount": 100});
        let payout = text(&shop.post("/api/payments/supplier/payout", admin, body).await.ok(202)["id"]);
        let product = text(&shop.get("/api/products", "").await.ok(200)[0]["id"]);
        Self { product, order: shop.order(customer, 30).await, supplier, payout, payment, receipt }
    }

    /// A body that the shop could take.
    fn body(&self, names: impl Iterator<Item = String>) -> Value {
        names.map(|name| (name.clone(), self.value(&name))).collect()
    }

    fn value(&self, field: &str) -> Value {
        match field {
            "email" => json!(ADMIN.0),
            "password" => json!(ADMIN.1),
            "items" => json!([{"product_id": self.product, "quantity": 1}]),
            "order_id" => json!(self.order),
            "phone_number" => json!("254700000032"),
            "supplier_id" => json!(self.supplier),
            "amount" | "price" => json!(20),
            "receipt" => json!(self.receipt),
            "mpesa_number" => json!("254700000102"),
            "outcome" => json!("paid"),
            "name" | "notes" | "reason" => json!("of the storm"),
            other => panic!("a field of which the storm knows no good value: {other}"),
        }
    }

    fn id(&self, operation: &Operation) -> &str {
        match operation.path.split('{').next().unwrap() {
            "/api/orders/" | "/api/payments/verify/" => &self.order,
            "/api/payments/" => &self.payment,
            "/api/products/" => &self.product,
            // There is no refund yet: it names none.
            "/api/payments/refunds/" | "/api/payments/supplier/payouts/" => &self.payout,
            _ => &self.supplier,
        }
    }
}

/// Everything that is sent, with whether it may succeed.
fn storm(contract: &Contract, known: &Known, tokens: &[(&str, String)]) -> Vec<(Ask, bool)> {
    let mut random = Random::new(SEED);
    let mut asks = Vec::new();
    for operation in &contract.operations {
        for (who, token) in tokens {
            let is_open = !operation.declares(401) || operation.path.starts_with("/api/auth/");
            let may = is_open || *who == "admin" || (*who == "customer" && !operation.declares(403));
            let mut add = |ask: Ask| asks.push((ask.token(token), may));
            let good = operation.with(known.id(operation));
            let ask = |path: &str| Ask::new(&operation.method, path);
            let fields = contract.fields(operation);
            let body = known.body(fields.keys().cloned());
            if !operation.parameters("path").is_empty() {
                for id in nasty::ids(&mut random) {
                    add(ask(&operation.with(&id)).json(&body));
                }
            }
            for name in operation.parameters("query") {
                let texts = nasty::texts(&mut random);
                let short = texts.iter().filter(|text| text.len() < 8_000).map(|text| nasty::encoded(text));
                short.for_each(|value| add(ask(&format!("{good}?{name}={value}"))));
                for query in [format!("{name}=1&{name}=2"), format!("{name}[]=1"), name.clone(), "&=&%&=%ff".to_owned()]
                {
                    add(ask(&format!("{good}?{query}")));
                }
            }
            for name in operation.parameters("header") {
                for value in ["", " ", "é", "'; DROP TABLE idempotency; --", &"k".repeat(201), &"k".repeat(9_000)] {
                    add(ask(&good).header(&name, value).json(&body));
                }
            }
            for name in fields.keys() {
                for value in nasty::values(&mut random) {
                    let mut body = body.clone();
                    body[name] = value;
                    add(ask(&good).json(&body));
                }
                let mut less = body.clone();
                less.as_object_mut().unwrap().remove(name);
                add(ask(&good).json(&less));
            }
            if fields.contains_key("items") {
                for value in nasty::values(&mut random) {
                    add(ask(&good).json(&json!({"items": [{"product_id": value, "quantity": 1}]})));
                    add(ask(&good).json(&json!({"items": [{"product_id": known.product, "quantity": value}]})));
                }
            }
            if operation.has_body() {
                let mut more = body.clone();
                (more["__proto__"], more["role"], more["amount_cents"]) =
                    (json!({"role": "admin"}), json!("admin"), json!(1));
                add(ask(&good).json(&more));
                for broken in nasty::bodies() {
                    add(ask(&good).header("Content-Type", "application/json").body(broken));
                }
                for kind in nasty::KINDS {
                    add(ask(&good).header("Content-Type", kind).body(body.to_string()));
                }
            }
        }
        for token in ["", "null", "a.b.c", "é", "eyJhbGciOiJub25lIn0.e30.", &"x".repeat(9_000)] {
            let ask = Ask::new(&operation.method, &operation.with(known.id(operation)));
            let may = !operation.declares(401) || operation.path.starts_with("/api/auth/");
            asks.push((ask.header("Authorization", &format!("Bearer {token}")), may));
        }
    }
    random.shuffle(&mut asks);
    // Most of them end at the same door for all who have no business there: a part of these is enough.
    let mut turn = 0;
    asks.retain(|(_, may)| {
        turn += usize::from(!may);
        *may || turn % 4 == 0
    });
    asks
}

/// Several at once.
async fn send(contract: Arc<Contract>, asks: Vec<(Ask, bool)>) -> [usize; 6] {
    let asks = Arc::new(asks);
    let mut workers = JoinSet::new();
    for worker in 0..4 {
        let (contract, asks) = (contract.clone(), asks.clone());
        workers.spawn(async move {
            let mut statuses = [0; 6];
            for (ask, may) in asks.iter().skip(worker).step_by(4) {
                let told = contract.ask(ask).await;
                let status = told.status.as_u16();
                assert!(status < 500, "seed {SEED:#x}: {status} from {}: {}", ask.told(), told.body);
                assert!(*may || status >= 400, "seed {SEED:#x}: {status} from {}: {}", ask.told(), told.body);
                statuses[usize::from(status / 100)] += 1;
            }
            statuses
        });
    }
    let mut sum = [0; 6];
    while let Some(statuses) = workers.join_next().await {
        let statuses = statuses.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        statuses.into_iter().enumerate().for_each(|(index, count)| sum[index] += count);
    }
    sum
}

#[tokio::test]
async fn thousands_of_bad_requests_are_answered_and_break_nothing() {
    // What hashes a password takes long on purpose: after some of them, 429 is an answer as well.
    let world = World::with(quick(), Options::default().with("SHOP_LOGIN_RATE", "60")).await;
    let shop = &world.shop;
    let (customer, admin) = (shop.customer("amina@shop.example").await, shop.admin().await);
    let known = Known::make(&world, &customer, &admin).await;
    let contract = Arc::new(Contract::of(shop).await);
    let before = counts(&world).await;

    let tokens = [("nobody", String::new()), ("customer", customer.clone()), ("admin", admin)];
    let asks = storm(&contract, &known, &tokens);
    let (count, started) = (asks.len(), Instant::now());
    let statuses = send(contract, asks).await;
    println!("{count} requests from seed {SEED:#x} in {:?}: {statuses:?}", started.elapsed());
    assert!(count > 5_000, "{count}");

    for ((table, before), (_, after)) in before.into_iter().zip(counts(&world).await) {
        assert!(after >= before, "{table}: {before} became {after}");
    }
    assert_eq!(world.value("SELECT COUNT(*) FROM payouts WHERE status = 'completed'").await, 0);
    // An admin may give back what was paid, once.
    let paid = "SELECT COUNT(*) FROM orders WHERE state IN ('paid', 'refunded') AND amount = 20";
    assert_eq!(world.value(paid).await, 1);
    assert_eq!(world.simulator.payouts(), []);
    assert!(world.simulator.reversals().len() <= 1);
    pays_as_ever(shop, &customer).await;
    world.end().await;
}

async fn counts(world: &World) -> Vec<(&'static str, i64)> {
    let mut counts = Vec::new();
    for (table, sql) in [
        ("users", "SELECT COUNT(*) FROM users"),
        ("products", "SELECT COUNT(*) FROM products"),
        ("orders", "SELECT COUNT(*) FROM orders"),
        ("order_lines", "SELECT COUNT(*) FROM order_lines"),
        ("payments", "SELECT COUNT(*) FROM payments"),
        ("received", "SELECT COUNT(*) FROM received"),
        ("suppliers", "SELECT COUNT(*) FROM suppliers"),
        ("payouts", "SELECT COUNT(*) FROM payouts"),
        ("audit", "SELECT COUNT(*) FROM audit"),
        ("deliveries", "SELECT COUNT(*) FROM deliveries"),
    ] {
        counts.push((table, world.value(sql).await));
    }
    counts
}

pub(crate) async fn pays_as_ever(shop: &Shop, customer: &str) {
    let order = shop.order(customer, 40).await;
    shop.pay(customer, &order, PHONE).await.ok(200);
    shop.until(customer, &order, "completed").await;
}
