//! Two servers on one PostgreSQL, and one of them dies again and again in the middle of its work.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use daraja::simulator::{Fault, PaidOut, Prompt, Route, Simulator};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{AnyConnection, FromRow};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    database::Database,
    support::{Options, Shop, World, free_port},
};

/// Unless `SHOP_TEST_KILLS` says how often.
const KILLS: usize = 8;
/// So many meet a payment in each of its moments.
const LONG: usize = 50;
/// At least so many are open at each kill.
const OPEN_PAYMENTS: i64 = 50;
const OPEN_PAYOUTS: i64 = 20;
/// How long customers and recipients take.
const ANSWER: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_again_and_again_loses_nothing_and_pays_nobody_twice() {
    if !Database::is_shared() {
        eprintln!("skipped: two servers need PostgreSQL; SHOP_TEST_POSTGRES names none");
        return;
    }
    let kills = std::env::var("SHOP_TEST_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number of kills"));
    let simulator = Simulator::builder()
        .seed(5)
        .answer_time(ANSWER)
        .result_time(ANSWER)
        .query_spacing(Duration::ZERO)
        .utility_account(daraja::Kes::from_cents(100_000_000_000))
        .build();
    let options = Options::default()
        .with("SHOP_SWEEP_AFTER_SECONDS", "12")
        .with("SHOP_DAILY_PAYOUT_CAP", "1000000000")
        .with("SHOP_NEW_NUMBER_SECONDS", "0");
    // The one that lives gets all callbacks.
    let world = World::with(simulator, options.clone()).await;
    let port = free_port().await;
    let start = async || {
        Shop::try_start(&world.served, world.database.url(), port, world.shop.port(), &options)
            .await
            .expect("it starts")
    };
    let mut doomed = start().await;
    let driver = Arc::new(Driver::new(&world.shop, &doomed).await);
    let mut connection = world.database.connect().await;
    let mut random = Random(7);
    let mut caught = BTreeMap::new();
    let (mut fewest_payments, mut fewest_payouts) = (i64::MAX, i64::MAX);
    let mut born = millis();
    for _ in 0..kills {
        driver.fill(&world.simulator, &mut connection, &mut random, born).await;
        let begun = millis();
        driver.burst(&world.simulator, &mut random);
        sleep(Duration::from_millis(random.below(250))).await;
        doomed.kill().await;
        let payments = open_payments(&mut connection, born).await;
        let payouts = open_payouts(&mut connection, born).await;
        assert!(payments >= OPEN_PAYMENTS && payouts >= OPEN_PAYOUTS, "{payments} payments, {payouts} payouts");
        (fewest_payments, fewest_payouts) = (fewest_payments.min(payments), fewest_payouts.min(payouts));
        for (state, count) in left_by_the_dead(&mut connection, begun).await {
            *caught.entry(state).or_insert(0) += count;
        }
        doomed = start().await;
        born = millis();
    }
    driver.finish().await;
    settle(&world, &mut connection).await;
    println!(
        "{kills} kills; open at each: {fewest_payments} payments, {fewest_payouts} payouts or more; caught: {caught:?}"
    );
    // The kills were inside the push, and before and after it. A few kills need not meet each moment.
    let moments = ["created", "sending", "accepted"].map(|state| caught.get(state).copied().unwrap_or(0));
    let met = moments.iter().filter(|count| **count > 0).count();
    assert!(
        met >= if kills < LONG { 1 } else { moments.len() },
        "moments in which a kill caught a payment: {caught:?}"
    );

    check_payouts(&world, &driver, &mut connection).await;
    check_payments(&world, &mut connection).await;
    enter_what_customers_show(&world, &mut connection).await;
    check_books(&world, &mut connection).await;
    doomed.stop().await;
    world.end().await;
}

/// Who orders, pays and has suppliers paid, and asks the other server if one does not answer.
struct Driver {
    http: reqwest::Client,
    /// The one that lives, and the one that dies.
    living: String,
    doomed: String,
    customer: String,
    admin: String,
    stamp: Value,
    suppliers: Vec<String>,
    /// Numbers and amounts that were not used before.
    phones: AtomicU32,
    quiet_phones: AtomicU32,
    amounts: AtomicU32,
    tasks: std::sync::Mutex<JoinSet<()>>,
}

/// Last two digits of customers of whom Daraja tells nothing final, or only much later.
const SILENT: [u32; 4] = [26, 29, 90, 94];
/// From this number on customers pay at once, and their callbacks are lost: whoever asks such a phone again is paid twice.
const QUIET: u32 = 9_000;
/// The same for recipients.
const RECIPIENTS: [&str; 7] = ["01", "02", "40", "91", "92", "93", "98"];

impl Driver {
    async fn new(living: &Shop, doomed: &Shop) -> Self {
        let (customer, admin) = (living.customer("amina@shop.example").await, living.admin().await);
        let products = living.get("/api/products", "").await.ok(200);
        let stamp = products.as_array().unwrap().iter().find(|product| product["price"] == 1).unwrap()["id"].clone();
        let mut suppliers = Vec::new();
        for ending in RECIPIENTS {
            suppliers.push(living.supplier(&admin, ending, &format!("2547000009{ending}")).await);
        }
        Self {
            http: reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap(),
            living: living.base.clone(),
            doomed: doomed.base.clone(),
            customer,
            admin,
            stamp,
            suppliers,
            phones: AtomicU32::new(0),
            quiet_phones: AtomicU32::new(QUIET),
            amounts: AtomicU32::new(100),
            tasks: std::sync::Mutex::default(),
        }
    }

    /// Has enough payments and payouts open that were begun since.
    async fn fill(
        self: &Arc<Self>,
        simulator: &Simulator,
        connection: &mut AnyConnection,
        random: &mut Random,
        since: i64,
    ) {
        let started = Instant::now();
        loop {
            let payments = OPEN_PAYMENTS.saturating_sub(open_payments(connection, since).await);
            let payouts = OPEN_PAYOUTS.saturating_sub(open_payouts(connection, since).await);
            if payments <= 0 && payouts <= 0 {
                return;
            }
            assert!(
                started.elapsed() < Duration::from_mins(2),
                "{payments} payments and {payouts} payouts are missing"
            );
            let mut work = JoinSet::new();
            // Some more than enough: others end meanwhile.
            for _ in 0..payments.max(0).saturating_mul(5) / 4 + 4 {
                if random.below(12) == 0 {
                    simulator.fault(Route::StkPush, random.fault());
                }
                work.spawn(self.clone().pay(self.number()));
            }
            for _ in 0..payouts.max(0).saturating_mul(5) / 4 + 2 {
                if random.below(12) == 0 {
                    simulator.fault(Route::B2c, random.fault());
                }
                work.spawn(self.clone().pay_out());
            }
            work.join_all().await;
        }
    }

    /// What is under way when the server dies: some of it with Daraja, whose answer is slow.
    fn burst(self: &Arc<Self>, simulator: &Simulator, random: &mut Random) {
        for _ in 0..random.below(4) {
            simulator.fault(Route::StkPush, Fault::Slow(Duration::from_secs(1)));
            simulator.fault(Route::B2c, Fault::Slow(Duration::from_secs(1)));
        }
        let mut tasks = self.tasks.lock().unwrap();
        for _ in 0..6 {
            tasks.spawn(self.clone().pay(self.number()));
        }
        for _ in 0..2 {
            let number = self.quiet_phones.fetch_add(1, Ordering::Relaxed);
            let phone = phone(number).parse().unwrap();
            simulator.customer(phone).approves().after(Duration::ZERO).callback_lost();
            tasks.spawn(self.clone().pay(number));
        }
        for _ in 0..3 {
            tasks.spawn(self.clone().pay_out());
        }
    }

    /// All that was begun has an answer.
    async fn finish(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
        tasks.join_all().await;
    }

    /// The number of a customer who was not here before.
    fn number(&self) -> u32 {
        loop {
            let number = self.phones.fetch_add(1, Ordering::Relaxed);
            assert!(number < QUIET, "the numbers of the tests are used up");
            if !SILENT.contains(&(number % 100)) {
                return number;
            }
        }
    }

    /// An order, and a payment for it by this customer.
    async fn pay(self: Arc<Self>, number: u32) {
        let amount = 1 + number % 900;
        let key = format!("order-{number}");
        let order = json!({"items": [{"product_id": self.stamp, "quantity": amount}]});
        let (_, order) = self.ask("/api/orders", &self.customer, &order, Some(&key)).await;
        let body = json!({"order_id": order["data"]["id"], "phone_number": phone(number)});
        // Half of the customers press the button again without a key.
        let key = (number.is_multiple_of(2)).then(|| format!("payment-{number}"));
        self.ask("/api/payments/mpesa/initiate", &self.customer, &body, key.as_deref()).await;
    }

    async fn pay_out(self: Arc<Self>) {
        let amount = self.amounts.fetch_add(1, Ordering::Relaxed);
        let supplier = &self.suppliers[amount as usize % self.suppliers.len()];
        let body = json!({"supplier_id": supplier, "amount": amount, "notes": "Weekly payout"});
        self.ask("/api/payments/supplier/payout", &self.admin, &body, Some(&format!("payout-{amount}"))).await;
    }

    /// The answer of the server that may die, or of the other one if it did.
    async fn ask(&self, path: &str, token: &str, body: &Value, key: Option<&str>) -> (StatusCode, Value) {
        for attempt in 0..100 {
            let base = if attempt == 0 { &self.doomed } else { &self.living };
            let mut request = self.http.post(format!("{base}{path}")).bearer_auth(token).body(body.to_string());
            request = request.header("content-type", "application/json");
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            let Ok(response) = request.send().await else { continue };
            let status = response.status();
            let Ok(text) = response.text().await else { continue };
            let told: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}"));
            match (status.as_u16(), told["code"].as_str()) {
                // The first request is under way: on the server that has died, or still.
                (409, Some("IN_FLIGHT")) if attempt < 5 => sleep(Duration::from_millis(200)).await,
                (409, Some("IN_FLIGHT" | "ORDER_PAID")) => return (status, told),
                // Nothing was charged, and the customer hears so.
                (200..=202, None) | (502, Some("MPESA_REFUSED")) | (503, Some("MPESA_UNREACHABLE")) => {
                    return (status, told);
                }
                _ => panic!("{path}: {status}: {told}"),
            }
        }
        panic!("{path}: no answer in 100 attempts");
    }
}

async fn count(connection: &mut AnyConnection, sql: &'static str) -> i64 {
    let (count,): (i64,) = sqlx::query_as(sql).fetch_one(connection).await.unwrap();
    count
}

/// Payments that were begun since, and are open.
async fn open_payments(connection: &mut AnyConnection, since: i64) -> i64 {
    count_since(connection, "SELECT COUNT(*) FROM payments WHERE state <> 'settled' AND created_at >= $1", since).await
}

async fn open_payouts(connection: &mut AnyConnection, since: i64) -> i64 {
    count_since(connection, "SELECT COUNT(*) FROM payouts WHERE status = 'pending' AND created_at >= $1", since).await
}

async fn count_since(connection: &mut AnyConnection, sql: &'static str, since: i64) -> i64 {
    let (count,): (i64,) = sqlx::query_as(sql).bind(since).fetch_one(connection).await.unwrap();
    count
}

fn millis() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Payments that were begun since, by the state in which the dead server has left them.
async fn left_by_the_dead(connection: &mut AnyConnection, since: i64) -> Vec<(String, i64)> {
    // Only the server that dies begins payments: the other one answers those who come again.
    sqlx::query_as("SELECT state, COUNT(*) FROM payments WHERE state <> 'settled' AND created_at >= $1 GROUP BY state")
        .bind(since)
        .fetch_all(connection)
        .await
        .unwrap()
}

/// Lets everything come to its end. What has to wait for minutes is told that they have passed.
async fn settle(world: &World, connection: &mut AnyConnection) {
    let started = Instant::now();
    for round in 0_u32.. {
        let open = count(connection, "SELECT COUNT(*) FROM payments WHERE state NOT IN ('unknown', 'settled')").await;
        let payouts = count(connection, "SELECT COUNT(*) FROM payouts WHERE status = 'pending'").await;
        if open == 0 && payouts == 0 {
            return;
        }
        if started.elapsed() > Duration::from_mins(3) {
            let rows = payments(connection).await.into_iter().filter(|row| row.outcome.is_none());
            panic!("{payouts} payouts do not end, and these payments: {:#?}", rows.collect::<Vec<_>>());
        }
        if round.is_multiple_of(20) {
            for sql in [
                "UPDATE payments SET created_at = created_at - 61000 WHERE state = 'created'",
                "UPDATE payments SET sent_at = sent_at - 121000 WHERE state = 'sending'",
                "UPDATE payments SET sweep_at = 0 WHERE state = 'accepted'",
            ] {
                world.database.execute(sql).await;
            }
            world.database.age_payouts(125).await;
        }
        sleep(Duration::from_millis(500)).await;
    }
}

#[derive(Debug, FromRow)]
struct Payment {
    id: String,
    number: String,
    order_state: String,
    phone: String,
    amount: i64,
    state: String,
    outcome: Option<String>,
    reason: Option<String>,
    holds_order: i64,
    checkout_request_id: Option<String>,
}

async fn payments(connection: &mut AnyConnection) -> Vec<Payment> {
    sqlx::query_as(
        "SELECT p.id, o.number, o.state AS order_state, p.phone, p.amount, p.state, p.outcome, p.reason, p.holds_order,
         p.checkout_request_id FROM payments p JOIN orders o ON o.id = p.order_id",
    )
    .fetch_all(connection)
    .await
    .unwrap()
}

/// Each row against what the simulator did, which knows a payment by the order's number that its prompt showed.
async fn check_payments(world: &World, connection: &mut AnyConnection) {
    let mut prompts: HashMap<String, Vec<Prompt>> = HashMap::new();
    for prompt in world.simulator.prompts() {
        prompts.entry(prompt.reference.clone()).or_default().push(prompt);
    }
    let paid: HashMap<_, _> =
        world.simulator.payments().into_iter().map(|paid| (paid.reference.clone(), paid)).collect();
    assert_eq!(paid.len(), world.simulator.payments().len(), "an order was paid twice");
    let rows = payments(connection).await;
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for row in &rows {
        let rung = prompts.remove(&row.number).unwrap_or_default();
        let paid = paid.get(&row.number);
        assert!(rung.len() <= 1, "a phone has rung twice: {row:?}: {rung:?}");
        assert!(rung.iter().all(|prompt| i64::from(prompt.amount.get()) == row.amount), "{row:?}: {rung:?}");
        let told = (row.state.as_str(), row.outcome.as_deref(), row.reason.as_deref());
        *ends.entry(format!("{told:?}")).or_insert(0) += 1;
        match told {
            ("settled", Some("paid"), None) => {
                let paid = paid.unwrap_or_else(|| panic!("nobody has paid: {row:?}"));
                assert_eq!(row.checkout_request_id.as_deref(), Some(paid.checkout_request_id.as_str()), "{row:?}");
                assert_eq!((row.order_state.as_str(), row.holds_order), ("paid", 0), "{row:?}");
            }
            ("settled", Some("failed"), Some("not_sent" | "refused")) => {
                assert!(rung.is_empty(), "it was sent: {row:?}");
            }
            ("settled", Some("failed"), Some(_)) => assert!(rung.len() == 1 && paid.is_none(), "{row:?}: {paid:?}"),
            ("unknown", None, None) => {
                // It is known of no other way: the phone did not ring, or the callback was lost.
                assert!(rung.is_empty() || has_lost_callback(&row.phone), "{row:?}: {rung:?}");
                assert_eq!(
                    (row.order_state.as_str(), row.holds_order),
                    ("open", 1),
                    "its order is not blocked: {row:?}"
                );
            }
            _ => panic!("no end: {row:?}"),
        }
    }
    assert!(prompts.is_empty(), "phones have rung that no row knows of: {prompts:?}");
    println!("{} payments ended: {ends:?}", rows.len());
}

fn phone(number: u32) -> String {
    format!("25470000{number:04}")
}

fn has_lost_callback(number: &str) -> bool {
    number.ends_with("91") || number.ends_with("96") || *number >= *phone(QUIET)
}

/// What is unknown and was paid: the customer shows the SMS, an admin enters its receipt, and another confirms it.
async fn enter_what_customers_show(world: &World, connection: &mut AnyConnection) {
    for row in payments(connection).await.into_iter().filter(|row| row.state == "unknown") {
        let Some(paid) = world.simulator.payments().into_iter().find(|paid| paid.reference == row.number) else {
            continue;
        };
        world.enter_receipt(&row.id, paid.receipt.as_str()).await;
    }
}

/// All money of the ledger is in the shop's books, and no other.
async fn check_books(world: &World, connection: &mut AnyConnection) {
    let rows: Vec<(String, Option<String>, i64, String)> = sqlx::query_as(
        "SELECT o.number, r.receipt, r.amount_cents, r.disposition FROM received r JOIN payments p ON p.id = r.payment_id
         JOIN orders o ON o.id = p.order_id",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let ledger = world.simulator.payments();
    assert_eq!(rows.len(), ledger.len());
    let books: HashMap<_, _> = rows.into_iter().map(|row| (row.0.clone(), row)).collect();
    for paid in &ledger {
        let (_, receipt, cents, disposition) = books.get(&paid.reference).unwrap_or_else(|| panic!("lost: {paid:?}"));
        assert_eq!((*cents, disposition.as_str()), (i64::from(paid.amount.get()) * 100, "order"), "{paid:?}");
        assert!(receipt.as_deref().is_none_or(|receipt| receipt == paid.receipt.as_str()), "{receipt:?}: {paid:?}");
    }
    let orders = count(connection, "SELECT COUNT(*) FROM orders WHERE state = 'paid'").await;
    assert_eq!(usize::try_from(orders).unwrap(), ledger.len());
}

/// Each payout has an amount of its own.
async fn check_payouts(world: &World, driver: &Driver, connection: &mut AnyConnection) {
    let rows: Vec<(i64, String, String, Option<String>, i64)> =
        sqlx::query_as("SELECT amount, number, status, receipt, contradictory FROM payouts")
            .fetch_all(&mut *connection)
            .await
            .unwrap();
    let mut paid: HashMap<i64, Vec<PaidOut>> = HashMap::new();
    for payout in world.simulator.payouts() {
        paid.entry(i64::from(payout.amount.get())).or_default().push(payout);
    }
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    assert_eq!(rows.len(), driver.amounts.load(Ordering::Relaxed) as usize - 100, "a payout was lost or written twice");
    for (amount, number, status, receipt, contradictory) in &rows {
        let paid = paid.remove(amount).unwrap_or_default();
        *ends.entry(status.clone()).or_insert(0) += 1;
        let context = format!("{amount} to {number}: {status}, {receipt:?}: {paid:?}");
        assert!(paid.len() <= 1, "paid twice: {context}");
        assert_eq!(*contradictory, 0, "{context}");
        match status.as_str() {
            "completed" => {
                assert_eq!(paid[0].recipient.to_string(), *number, "{context}");
                assert_eq!(receipt.as_deref(), Some(paid[0].receipt.as_str()), "{context}");
            }
            "failed" => assert!(paid.is_empty(), "{context}"),
            _ => panic!("no end: {context}"),
        }
    }
    assert!(paid.is_empty(), "paid, and not in the books: {paid:?}");
    println!("{} payouts ended: {ends:?}", rows.len());
}

/// The same numbers in each run: an xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn fault(&mut self) -> Fault {
        let faults = [
            Fault::ResetBefore,
            Fault::ResetAfter,
            Fault::AcceptedButError,
            Fault::Truncated,
            Fault::Empty,
            Fault::Throttled(None),
            Fault::TokenExpired,
            Fault::Slow(Duration::from_millis(300)),
        ];
        faults[usize::try_from(self.below(8)).unwrap()]
    }
}
