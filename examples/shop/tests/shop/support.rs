//! A shop in a process of its own, the simulator behind it, and a client that speaks to it.

use std::{
    fmt::Write as _,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use daraja::simulator::{Served, Simulator};
use reqwest::{Method, StatusCode, header::HeaderName};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::database::Database;

pub(crate) const ADMIN: (&str, &str) = ("first.admin@shop.example", "a-password-of-the-tests");
const SECOND_ADMIN: &str = "a.second.admin@shop.example";
/// What every shop of the tests sells.
const PRODUCTS: &str = "INSERT INTO products (id, name, price) VALUES \
    ('00000000-0000-4000-8000-0000000000c0', 'Coffee beans, 500 g', 850), \
    ('00000000-0000-4000-8000-0000000000c1', 'Stamp', 1)";
pub(crate) const SECRET: &str = "callbacks of the tests, of no use anywhere else";
/// The number that approves.
pub(crate) const PHONE: &str = "254708374149";

/// Simulator, database and one shop.
pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) served: Served,
    pub(crate) database: Database,
    pub(crate) shop: Shop,
}

/// How a shop is to be started.
#[derive(Clone, Default)]
pub(crate) struct Options {
    pub(crate) variables: Vec<(String, String)>,
}

impl Options {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl World {
    /// Customers and recipients who decide at once, and a shop without patience.
    pub(crate) async fn new() -> Self {
        Self::with(quick(), Options::default()).await
    }

    pub(crate) async fn with(simulator: Simulator, options: Options) -> Self {
        let served = simulator.serve("127.0.0.1:0").await.unwrap();
        let database = Database::fresh().await;
        let shop = Shop::start(&served, database.url(), options).await;
        // A real shop begins without anything to sell.
        database.execute(PRODUCTS).await;
        Self { simulator, served, database, shop }
    }

    /// A shop of its own, a world of its own: tests run beside each other.
    pub(crate) async fn end(self) {
        self.shop.stop().await;
        self.database.remove().await;
    }

    /// An admin whom no other made, with an account that is not new.
    pub(crate) async fn independent_admin(&self, email: &str) -> String {
        let token = self.shop.another_admin(email).await;
        self.database.execute("UPDATE users SET created_by = NULL, created_at = 0 WHERE role = 'admin'").await;
        token
    }

    /// An admin whom no other made, the same at each call.
    pub(crate) async fn second_admin(&self) -> String {
        let body = json!({"email": SECOND_ADMIN, "password": ADMIN.1});
        let told = self.shop.post("/api/admins", &self.shop.admin().await, body).await;
        assert!(matches!(told.status.as_u16(), 201 | 409), "{}", told.body);
        self.database.execute("UPDATE users SET created_by = NULL, created_at = 0 WHERE role = 'admin'").await;
        self.shop.log_in(SECOND_ADMIN, ADMIN.1).await
    }

    /// Settles a payment by a receipt: one admin enters it, another confirms it. How its order stands then.
    pub(crate) async fn enter_receipt(&self, payment: &str, receipt: &str) -> Value {
        let path = format!("/api/payments/{payment}/receipt");
        let body = json!({"receipt": receipt, "reason": "The customer showed the SMS"});
        self.shop.post(&path, &self.shop.admin().await, body).await.ok(202);
        let body = json!({"receipt": receipt});
        self.shop.post(&format!("{path}/confirm"), &self.second_admin().await, body).await.ok(200)
    }

    /// Makes the payouts older than a day, once they are sent.
    pub(crate) async fn a_day_passes_for_payouts(&self) {
        const NOT_SENT: &str = r#"SELECT COUNT(*) FROM payouts
            WHERE payout LIKE '%"state":"Sending"%' OR payout LIKE '%"state":"Created"%'"#;
        eventually("all payouts are sent", async || self.value(NOT_SENT).await == 0).await;
        // First sent ten years ago.
        self.database
            .execute(
                r#"UPDATE payouts SET created_at = created_at - 86400000,
                   payout = REPLACE(payout, '"first_sent_at":"202', '"first_sent_at":"201')"#,
            )
            .await;
    }

    /// What is in the database, as one value.
    pub(crate) async fn value(&self, sql: &'static str) -> i64 {
        self.database.value(sql).await
    }

    /// Deliveries that were answered, oldest first.
    pub(crate) async fn delivered(&self, count: usize) {
        eventually("deliveries", async || self.simulator.delivered().len() >= count).await;
    }
}

/// A simulator that does not keep anybody waiting.
pub(crate) fn quick() -> Simulator {
    let moment = Duration::from_millis(20);
    Simulator::builder().answer_time(moment).result_time(moment).query_spacing(Duration::ZERO).build()
}

/// What a shop has logged. It is shown if the test fails.
struct Log(NamedTempFile);

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the shop's log:\n{}", std::fs::read_to_string(self.0.path()).unwrap_or_default());
        }
    }
}

/// A shop's process.
pub(crate) struct Shop {
    child: Child,
    log: Log,
    printed: Arc<Mutex<String>>,
    pub(crate) base: String,
    pub(crate) metrics: String,
    http: reqwest::Client,
}

impl Shop {
    pub(crate) async fn start(served: &Served, database: &str, options: Options) -> Self {
        for _ in 0..5 {
            let port = free_port().await;
            if let Some(shop) = Self::try_start(served, database, port, port, &options).await {
                return shop;
            }
        }
        panic!("the shop did not start on any port");
    }

    /// Listens on one port, and has callbacks delivered to another.
    pub(crate) async fn try_start(
        served: &Served,
        database: &str,
        port: u16,
        callbacks: u16,
        options: &Options,
    ) -> Option<Self> {
        let base = format!("http://127.0.0.1:{port}");
        let callbacks = format!("http://127.0.0.1:{callbacks}");
        let urls = daraja::ResultUrls::new(
            format!("{callbacks}/api/payments/b2c/result").parse().unwrap(),
            format!("{callbacks}/api/payments/b2c/timeout").parse().unwrap(),
        );
        let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
        command
            .env_clear()
            .envs(served.variables())
            .envs(served.payout_variables(&urls))
            .env("MPESA_CALLBACK_URL", format!("{callbacks}/api/payments/mpesa/callback"))
            .env("MPESA_CALLBACK_SECRET", SECRET)
            .env("MPESA_CALLBACK_SOURCES", "127.0.0.1")
            .env("DATABASE_URL", database)
            .env("SHOP_ADDRESS", format!("127.0.0.1:{port}"))
            .env("SHOP_METRICS_ADDRESS", "127.0.0.1:0")
            .env("SHOP_NAME", NAME)
            .env("SHOP_PHONE", "0700 000 009")
            .env("SHOP_EMAIL", "help@duka.example")
            .env("SHOP_JWT_SECRET", JWT_SECRET)
            .env("SHOP_ADMIN_EMAIL", ADMIN.0)
            .env("SHOP_ADMIN_PASSWORD", ADMIN.1)
            .env("SHOP_CLIENT_RATE", "1000000")
            .env("SHOP_PHONE_RATE", "1000000")
            .env("SHOP_LOGIN_RATE", "1000000")
            .env("SHOP_TEST_TIMES", "120")
            .env("SHOP_QUERY_SPACING_SECONDS", "0")
            .env("SHOP_LOG_FILTER", "warn,shop=info")
            .envs(options.variables.iter().cloned());
        Self::launch(command, base).await
    }

    /// Starts a command that listens on a loopback address. `None` if it ends before it does.
    pub(crate) async fn launch(mut command: Command, base: String) -> Option<Self> {
        let log = Log(NamedTempFile::new().unwrap());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log.0.reopen().unwrap()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut metrics, printed) = (String::new(), Arc::new(Mutex::new(String::new())));
        loop {
            let line = timeout(Duration::from_mins(1), lines.next_line()).await.expect("the shop says something");
            let line = line.unwrap()?;
            writeln!(printed.lock().unwrap(), "{line}").unwrap();
            if let Some(url) = line.strip_prefix("metrics on ") {
                url.clone_into(&mut metrics);
            }
            if line.starts_with("listening on ") {
                break;
            }
        }
        // Whatever it prints later must not fill the pipe.
        let kept = printed.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                writeln!(kept.lock().unwrap(), "{line}").unwrap();
            }
        });
        let http = client().build().unwrap();
        Some(Self { child, log, printed, base, metrics, http })
    }

    /// The same, asked by a client of this address through a proxy.
    pub(crate) fn through_a_proxy(self, client_address: &str) -> Self {
        let headers = [(HeaderName::from_static("x-forwarded-for"), client_address.parse().unwrap())];
        Self { http: client().default_headers(headers.into_iter().collect()).build().unwrap(), ..self }
    }

    /// What it has printed so far.
    pub(crate) fn said(&self) -> String {
        self.printed.lock().unwrap().clone()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log.0.path()).unwrap()
    }

    pub(crate) fn port(&self) -> u16 {
        self.base.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a URL that ends in a port")
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM, and it must end well.
    pub(crate) async fn stop(mut self) {
        let id = self.child.id().expect("it is running").to_string();
        assert!(Command::new("kill").arg(id).status().await.unwrap().success());
        let status = timeout(Duration::from_mins(1), self.child.wait()).await.expect("it stops").unwrap();
        assert!(status.success(), "the shop ended badly: {status}");
    }

    /// One request. The answer must have the envelope.
    pub(crate) async fn call(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> Told {
        self.call_with(method, path, token, body, &[]).await
    }

    pub(crate) async fn call_with(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Told {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        Told::read(request.send().await.unwrap()).await
    }

    /// A request whose body is sent as it stands.
    pub(crate) async fn raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> reqwest::Response {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body.to_owned()).send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Told {
        self.call(Method::GET, path, token, None).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Told {
        self.call(Method::POST, path, token, Some(body)).await
    }

    pub(crate) async fn log_in(&self, email: &str, password: &str) -> String {
        let told = self.post("/api/auth/login", "", json!({"email": email, "password": password})).await;
        told.ok(200)["token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn admin(&self) -> String {
        self.log_in(ADMIN.0, ADMIN.1).await
    }

    /// Another admin, made by the first.
    pub(crate) async fn another_admin(&self, email: &str) -> String {
        let body = json!({"email": email, "password": ADMIN.1});
        self.post("/api/admins", &self.admin().await, body).await.ok(201);
        self.log_in(email, ADMIN.1).await
    }

    /// A new customer's token.
    pub(crate) async fn customer(&self, email: &str) -> String {
        let body = json!({"email": email, "password": ADMIN.1});
        self.post("/api/auth/register", "", body).await.ok(201);
        self.log_in(email, ADMIN.1).await
    }

    /// A new order of this customer: its id. It costs what the stamps cost, one shilling each.
    pub(crate) async fn order(&self, token: &str, shillings: u32) -> String {
        let products = self.get("/api/products", "").await.ok(200);
        let stamp = products.as_array().unwrap().iter().find(|product| product["price"] == 1).unwrap();
        let body = json!({"items": [{"product_id": stamp["id"], "quantity": shillings}]});
        self.post("/api/orders", token, body).await.ok(201)["id"].as_str().unwrap().to_owned()
    }

    /// Asks this phone for the money of an order.
    pub(crate) async fn pay(&self, token: &str, order: &str, phone: &str) -> Told {
        self.post("/api/payments/mpesa/initiate", token, json!({"order_id": order, "phone_number": phone})).await
    }

    /// How the payment of an order stands, by the shop's own records.
    pub(crate) async fn verify(&self, token: &str, order: &str) -> Value {
        self.get(&format!("/api/payments/verify/{order}"), token).await.ok(200)
    }

    /// Waits until the payment of an order has this status.
    pub(crate) async fn until(&self, token: &str, order: &str, status: &str) -> Value {
        let mut told = Value::Null;
        eventually(status, async || {
            told = self.verify(token, order).await;
            told["status"] == status
        })
        .await;
        told
    }

    /// A supplier whose number is old enough to be paid: its id.
    pub(crate) async fn supplier(&self, token: &str, name: &str, number: &str) -> String {
        let body = json!({"name": name, "mpesa_number": number, "reason": "new"});
        self.post("/api/suppliers", token, body).await.ok(201)["id"].as_str().unwrap().to_owned()
    }

    /// All metrics, as Prometheus reads them.
    pub(crate) async fn metrics(&self) -> String {
        self.http.get(&self.metrics).send().await.unwrap().text().await.unwrap()
    }

    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.metrics().await;
        let line = text.lines().find(|line| line.starts_with(name) && !line.starts_with('#'));
        line.and_then(|line| line.rsplit(' ').next()).and_then(|value| value.parse().ok()).unwrap_or(0.0)
    }
}

pub(crate) const NAME: &str = "Duka la Amina";
pub(crate) const JWT_SECRET: &str = "tokens of the tests, of no use anywhere else";

/// An answer.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Told {
    async fn read(response: reqwest::Response) -> Self {
        let status = response.status();
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} without an envelope: {text:?}"));
        Self { status, body }
    }

    /// The data of a success with this status.
    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.body["success"], true, "{}", self.body);
        assert!(self.body["message"].is_string(), "{}", self.body);
        self.body["data"].clone()
    }

    /// A failure with this status and code.
    #[track_caller]
    pub(crate) fn fails(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), &self.body["code"]), (status, &json!(code)), "{}", self.body);
        assert_eq!(self.body["success"], false);
        assert_eq!(self.body["data"], Value::Null);
        assert!(self.body["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
}

/// For plain http on loopback: no certificates are read, which takes longer than most of what is asked.
fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().tls_certs_only([]).redirect(reqwest::redirect::Policy::none())
}

/// A port that is free now.
pub(crate) async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// Waits until something is so. It fails after a time that no machine needs.
#[track_caller]
pub(crate) fn eventually<'a>(
    what: &'a str,
    mut is_so: impl AsyncFnMut() -> bool + 'a,
) -> impl Future<Output = ()> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        let started = Instant::now();
        while !is_so().await {
            assert!(started.elapsed() < Duration::from_mins(1), "{caller}: this did not come about: {what}");
            sleep(Duration::from_millis(25)).await;
        }
    }
}
