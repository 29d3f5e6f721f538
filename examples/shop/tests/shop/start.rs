//! The start: a real shop that is configured as a whole, or the demo by its name; what is wrong is told at once and without
//! a secret, and a stop loses nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    time::Duration,
};

use daraja::{
    simulator::{Fault, Route},
    webhook::{Purpose, Reference, SignedUrls},
};
use serde_json::json;
use tokio::process::Command;

use crate::{
    contract::{Ask, text},
    support::{ADMIN, NAME, Options, PHONE, Shop, World, eventually, free_port, quick},
    wire,
};

/// What a start that fails says, and its exit code.
async fn start(variables: &[(&str, &str)]) -> (i32, String) {
    start_as(&[], variables).await
}

async fn start_as(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command.args(arguments).env_clear().envs(variables.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_mins(1), command.output()).await.expect("it ends").unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().expect("an exit code"), said)
}

/// A start with these must be refused, and name exactly these variables.
async fn refused(variables: &[(&str, &str)], named: &[&str]) {
    refused_as(&[], variables, named).await;
}

async fn refused_as(arguments: &[&str], variables: &[(&str, &str)], named: &[&str]) {
    let (code, said) = start_as(arguments, variables).await;
    assert_eq!(code, 2, "{variables:?}: {said}");
    let told: BTreeSet<_> = said.lines().filter_map(|line| line.trim().split_once(' ')).map(|(name, _)| name).collect();
    let told: Vec<_> = told.into_iter().filter(|name| is_variable(name)).collect();
    let mut named = named.to_vec();
    named.sort_unstable();
    assert_eq!(told, named, "{variables:?}: {said}");
    for (name, value) in variables {
        assert!(value.len() < 8 || !said.contains(value), "{name} is shown: {said}");
    }
}

fn is_variable(name: &str) -> bool {
    (name.starts_with("MPESA_") || name.starts_with("SHOP_") || name == "DATABASE_URL")
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// What has no usual value, and a loopback address without a named proxy.
const NEEDED: [&str; 13] = [
    "DATABASE_URL",
    "SHOP_ADDRESS",
    "SHOP_EMAIL",
    "SHOP_NAME",
    "SHOP_PHONE",
    "MPESA_ENVIRONMENT",
    "MPESA_CONSUMER_KEY",
    "MPESA_CONSUMER_SECRET",
    "MPESA_SHORTCODE",
    "MPESA_PASSKEY",
    "MPESA_CALLBACK_URL",
    "MPESA_CALLBACK_SECRET",
    "SHOP_JWT_SECRET",
];

const LONG: &str = "a secret of 32 characters, or of a few more";
const FOLDER: &str = "sqlite:///nowhere/at/all/shop.db";

/// All that is needed, and it would start with it if the database could be opened.
const COMPLETE: [(&str, &str); 12] = [
    ("SHOP_NAME", NAME),
    ("SHOP_PHONE", "0700 000 009"),
    ("SHOP_EMAIL", "help@duka.example"),
    ("MPESA_ENVIRONMENT", "sandbox"),
    ("MPESA_CONSUMER_KEY", "key-of-the-start-tests"),
    ("MPESA_CONSUMER_SECRET", "secret-of-the-start-tests"),
    ("MPESA_SHORTCODE", "174379"),
    ("MPESA_PASSKEY", "passkey-of-the-start-tests"),
    ("MPESA_CALLBACK_URL", "https://shop.example/api/payments/mpesa/callback"),
    ("MPESA_CALLBACK_SECRET", LONG),
    ("SHOP_JWT_SECRET", LONG),
    ("DATABASE_URL", FOLDER),
];

fn but(names: &[&str]) -> Vec<&'static str> {
    NEEDED.into_iter().filter(|needed| !names.contains(needed)).collect()
}

/// All that is needed, with one changed or added.
fn with<'a>(name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let others = COMPLETE.into_iter().filter(|(other, _)| *other != name);
    let usual = [
        ("SHOP_ADDRESS", "127.0.0.1:0"),
        ("SHOP_METRICS_ADDRESS", "127.0.0.1:0"),
        ("MPESA_CALLBACK_PROXIES", "127.0.0.1"),
    ];
    others.chain(usual.into_iter().filter(|(other, _)| *other != name)).chain([(name, value)]).collect()
}

#[tokio::test]
async fn a_part_of_the_configuration_is_an_error_that_names_all_the_rest() {
    refused(&[("MPESA_CONSUMER_KEY", "a-key-of-somebody")], &but(&["MPESA_CONSUMER_KEY"])).await;
    refused(&[("DATABASE_URL", FOLDER)], &but(&["DATABASE_URL"])).await;
    refused(&[("SHOP_ADDRESS", "0.0.0.0:5000")], &but(&["SHOP_ADDRESS"])).await;
    let public = [("SHOP_ADDRESS", "0.0.0.0:5000"), ("SHOP_JWT_SECRET", LONG)];
    refused(&public, &but(&["SHOP_ADDRESS", "SHOP_JWT_SECRET"])).await;
    for (name, _) in COMPLETE {
        refused(&with(name, ""), &[name]).await;
        refused(&with(name, "your_value # as the guide has it"), &[name]).await;
    }
    // Complete, so that what follows is what is wrong with it.
    let (code, said) = start(&with("SHOP_LOG", "json")).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("the shop ends: the lock file /nowhere/at/all/shop.db.lock cannot be made"), "{said}");
    for (name, value) in [
        ("SHOP_JWT_SECRET", "thirty-one characters are short"),
        ("SHOP_JWT_SECRET", "your_jwt_secret_that_is_long_enough_for_it"),
        ("SHOP_NAME", "two lines\nof a name"),
        ("SHOP_PHONE", "call us whenever"),
        ("SHOP_EMAIL", "help at duka.example"),
        ("SHOP_EMAIL", "help@your-domain.com"),
        ("MPESA_CALLBACK_SECRET", "thirty-one characters are short"),
        ("SHOP_METRICS_ADDRESS", "0.0.0.0:9464"),
        ("SHOP_METRICS_ADDRESS", "nowhere-to-be-found"),
        ("SHOP_CLIENT_RATE", "many-of-them"),
        ("SHOP_DAILY_PAYOUT_CAP", "500000.50"),
        ("SHOP_LOG", "xml-and-nothing-else"),
        ("SHOP_QUERY_SPACING_SECONDS", "-1"),
        ("MPESA_ENVIRONMENT", "productive"),
        ("MPESA_CALLBACK_URL", "https://shop.example/callback"),
        ("MPESA_CALLBACK_SOURCES", "everywhere-and-nowhere"),
    ] {
        refused(&with(name, value), &[name]).await;
    }
    let mut admin = with("SHOP_ADMIN_EMAIL", ADMIN.0);
    admin.push(("SHOP_ADMIN_PASSWORD", "too-short"));
    refused(&admin, &["SHOP_ADMIN_PASSWORD"]).await;
    admin.pop();
    admin.push(("SHOP_ADMIN_PASSWORD", "your_admin_password"));
    refused(&admin, &["SHOP_ADMIN_PASSWORD"]).await;
    refused(&with("SHOP_ADMIN_EMAIL", ADMIN.0), &["SHOP_ADMIN_PASSWORD"]).await;
    refused(&with("SHOP_ADMIN_PASSWORD", ADMIN.1), &["SHOP_ADMIN_EMAIL"]).await;
    // Payouts: all five or none.
    let b2c =
        ["MPESA_B2C_SHORTCODE", "MPESA_B2C_INITIATOR_NAME", "MPESA_B2C_SECURITY_CREDENTIAL", "MPESA_B2C_TIMEOUT_URL"];
    refused(&with("MPESA_B2C_RESULT_URL", "https://shop.example/api/payments/b2c/result"), &b2c).await;
}

#[tokio::test]
async fn production_without_https_is_refused_at_the_start() {
    let clear = "http://shop.example/api/payments/mpesa/callback";
    let production: Vec<_> = with("MPESA_CALLBACK_URL", clear)
        .into_iter()
        .map(|(name, value)| if name == "MPESA_ENVIRONMENT" { (name, "production") } else { (name, value) })
        .collect();
    refused(&production, &["MPESA_CALLBACK_URL"]).await;
    let (code, said) = start(&with("MPESA_CALLBACK_URL", clear)).await;
    assert_eq!(code, 1, "the sandbox takes it: {said}");
}

#[tokio::test]
async fn production_that_takes_callbacks_from_anyone_is_refused_at_the_start() {
    let mut variables = with("MPESA_ENVIRONMENT", "production");
    variables.push(("MPESA_CALLBACK_SOURCES", "Anyone"));
    refused(&variables, &["MPESA_CALLBACK_SOURCES"]).await;
}

#[tokio::test]
async fn what_is_for_tests_or_for_the_demo_only_does_not_start_a_real_shop() {
    refused(&with("SHOP_TEST_TIMES", "120"), &["SHOP_TEST_TIMES"]).await;
    refused(&with("SHOP_DEMO_PASSWORD", "a-password-of-the-tests"), &["SHOP_DEMO_PASSWORD"]).await;
}

#[tokio::test]
async fn a_database_that_cannot_be_had_is_told_in_words_and_without_its_password() {
    for (url, words) in [
        ("postgres://shop:hunter2-hunter2@127.0.0.1:port/shop", "the database cannot be opened: "),
        ("mysql://shop:hunter2-hunter2@127.0.0.1:1/shop", "DATABASE_URL must begin with sqlite: or postgres:"),
    ] {
        let (code, said) = start(&with("DATABASE_URL", url)).await;
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(words) && !said.contains("hunter2"), "{said}");
    }
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, said) = start_as(&["demo"], &[("SHOP_ADDRESS", address.as_str())]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&format!("SHOP_ADDRESS: nobody can listen on {address}: ")), "{said}");
}

#[tokio::test]
async fn one_file_is_one_processs() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("shop.db").display());
    let served = quick().serve("127.0.0.1:0").await.unwrap();
    let mut shop = Shop::start(&served, &url, Options::default()).await;
    let (code, said) = start(&with("DATABASE_URL", &url)).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("shop.db is in use by another process: several servers need PostgreSQL"), "{said}");
    // The first one does not notice, and when it is gone, however, the file is free.
    shop.get("/api/health", "").await.ok(200);
    shop.kill().await;
    Shop::start(&served, &url, Options::default()).await.stop().await;
}

#[tokio::test]
async fn with_nothing_set_nothing_starts_and_both_ways_to_start_are_shown() {
    let (code, said) = start(&[]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("nothing is started"), "{said}");
    // What is not the demo's name does not start it.
    for arguments in [&["--demo"][..], &["Demo"], &["demo", "demo"], &["--help"], &[""]] {
        let (code, said) = start_as(arguments, &[]).await;
        assert_eq!(code, 2, "{arguments:?}: {said}");
        both_ways(&said);
    }
    both_ways(&said);
}

fn both_ways(said: &str) {
    for way in ["cargo run -p shop -- demo", "examples/shop/.env.example"] {
        assert!(said.contains(way), "{way}: {said}");
    }
    assert!(!said.contains("listening"), "{said}");
}

#[tokio::test]
async fn a_real_shop_that_lost_its_environment_does_not_start_as_the_demo() {
    let mut left = vec![("SHOP_JWT_SECRET", LONG), ("SHOP_ADMIN_EMAIL", ADMIN.0), ("SHOP_ADMIN_PASSWORD", ADMIN.1)];
    refused(&left, &but(&["SHOP_JWT_SECRET"])).await;
    left.push(("SHOP_ADDRESS", "127.0.0.1:0"));
    refused(&left, &but(&["SHOP_JWT_SECRET"])).await;
    let (_, said) = start(&left).await;
    both_ways(&said);
}

#[tokio::test]
async fn the_demo_does_not_start_with_the_settings_of_a_real_shop_or_on_a_public_address() {
    for (name, value) in [
        ("MPESA_CONSUMER_KEY", "a-key-of-somebody"),
        ("MPESA_CALLBACK_PROXIES", "127.0.0.1"),
        ("DATABASE_URL", FOLDER),
        ("SHOP_JWT_SECRET", LONG),
        ("SHOP_ADMIN_EMAIL", ADMIN.0),
        ("SHOP_ADMIN_PASSWORD", ADMIN.1),
        ("SHOP_NAME", NAME),
        ("SHOP_ADDRESS", "0.0.0.0:0"),
        ("SHOP_DEMO_PASSWORD", "short"),
    ] {
        refused_as(&["demo"], &[(name, value)], &[name]).await;
    }
}

#[tokio::test]
async fn a_loopback_address_whose_callers_are_not_named_is_refused_with_both_ways_out() {
    for (name, value) in [
        ("MPESA_CALLBACK_PROXIES", ""),
        // Named, but not the one that can be the caller.
        ("MPESA_CALLBACK_PROXIES", "10.0.0.0/8"),
        ("MPESA_CALLBACK_PROXIES", "::1"),
    ] {
        let variables = with(name, value);
        refused(&variables, &["SHOP_ADDRESS"]).await;
        let (_, said) = start(&variables).await;
        for way in ["MPESA_CALLBACK_PROXIES=127.0.0.1 if a proxy", "MPESA_CALLBACK_SOURCES=anyone if a tunnel"] {
            assert!(said.contains(way), "{way}: {said}");
        }
    }
    let mut mapped = with("SHOP_ADDRESS", "[::ffff:127.0.0.1]:0");
    mapped.retain(|(name, _)| *name != "MPESA_CALLBACK_PROXIES");
    refused(&mapped, &["SHOP_ADDRESS"]).await;
    // Each of these is a way out, and so is an address that Safaricom reaches.
    for (name, value) in [
        ("MPESA_CALLBACK_SOURCES", "anyone"),
        ("MPESA_CALLBACK_SOURCES", "127.0.0.1"),
        ("MPESA_CALLBACK_PROXIES", "127.0.0.0/8"),
        ("SHOP_ADDRESS", "0.0.0.0:0"),
    ] {
        let mut variables = with("MPESA_CALLBACK_PROXIES", "");
        variables.push((name, value));
        let (code, said) = start(&variables).await;
        assert_eq!(code, 1, "{name}={value}: the database is what fails: {said}");
    }
}

/// The demo in a process of its own.
async fn demo() -> Shop {
    // But for the ports: the usual ones may be somebody's.
    let port = free_port().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command.arg("demo").env_clear();
    command.env("SHOP_ADDRESS", format!("127.0.0.1:{port}")).env("SHOP_METRICS_ADDRESS", "127.0.0.1:0");
    Shop::launch(command, format!("http://127.0.0.1:{port}")).await.expect("the demo starts")
}

#[tokio::test]
async fn the_demo_runs_when_it_is_asked_for() {
    let demo = demo().await;
    let base = demo.base.clone();
    let ask = |method: &str, path: &str| Ask::new(method, path);
    eventually("it invites", async || demo.said().contains("The API is described at")).await;
    let said = demo.said();
    let mut secrets = BTreeSet::new();
    for (email, role) in [("amina", "customer"), ("admin", "admin"), ("second.admin", "admin")] {
        let password = between(&said, &format!("  {email}@shop.example / "), &format!(" ({role})"));
        let body = json!({"email": format!("{email}@shop.example"), "password": password});
        assert_eq!(ask("POST", "/api/auth/login").json(&body).send(&base).await.status, 200);
        secrets.insert(password);
    }
    // Whoever answers the phone pays for everybody.
    let key = between(&said, "/phone?key=", " ");
    secrets.insert(key);
    assert!(secrets.len() == 4 && secrets.iter().all(|secret| secret.len() == 16), "{secrets:?}");
    for path in ["/phone", "/phone?key=", "/phone?key=admin-demo", "/phone/state"] {
        assert_eq!(ask("GET", path).send(&base).await.status, 403, "{path}");
    }
    assert_eq!(ask("GET", &format!("/phone?key={key}")).send(&base).await.status, 303);
    let cookie = format!("shop_phone={key}");
    for path in ["/phone", "/phone?number=%00", "/phone?ignore=%ff", "/phone/state?number='", "/phone/state"] {
        assert_eq!(ask("GET", path).header("Cookie", &cookie).send(&base).await.status, 200, "{path}");
    }
    assert_eq!(ask("POST", "/phone/answer").body("id=1").send(&base).await.status, 403);
    let page = ask("GET", "/login").send(&base).await.body;
    assert!(page.contains("Soko Shop") && page.contains("amina@shop.example"), "{page}");
    assert!(!secrets.iter().any(|secret| page.contains(secret)), "a stranger reads a password: {page}");
    assert!(said.contains(&format!("listening on {base}")) && said.contains("no real money can move"), "{said}");
    demo.stop().await;
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before}: {text}"));
    rest.split_once(after).unwrap_or_else(|| panic!("{after}: {text}")).0
}

#[tokio::test]
async fn the_demo_answers_nothing_under_a_foreign_host_or_through_a_proxy() {
    let demo = demo().await;
    let port = demo.port();
    let routes = [
        ("GET", "/"),
        ("GET", "/login"),
        ("GET", "/phone"),
        ("GET", "/static/app.css"),
        ("GET", "/docs/"),
        ("GET", "/api/health"),
        ("GET", "/api/openapi.json"),
        ("GET", "/nothing/here"),
        ("PUT", "/login"),
        ("POST", "/api/auth/login"),
        ("POST", "/api/payments/mpesa/callback"),
        ("POST", "/api/payments/mpesa/callback/x/y"),
    ];
    let refused = async |base: &str, method: &str, path: &str, headers: &str| {
        let answer = wire::send(base, &format!("{method} {path} {headers}"), b"").await;
        let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
        assert_eq!(
            (answer.status, &told["code"]),
            (403, &json!("DEMO_IS_LOCAL")),
            "{method} {path} {headers}: {answer:?}"
        );
        assert!(told["message"].as_str().is_some_and(|why| why.starts_with("This is the demo")), "{told}");
    };
    for (method, path) in routes {
        refused(&demo.base, method, path, "HTTP/1.1\nHost: duka.co.ke").await;
        refused(&demo.base, method, path, "HTTP/1.1\nX-Forwarded-For: 203.0.113.7").await;
    }
    for host in ["duka.example", "localhost.duka.example:5000", "10.0.0.1", "0.0.0.0", "user@localhost", ""] {
        refused(&demo.base, "GET", "/api/health", &format!("HTTP/1.1\nHost: {host}")).await;
    }
    for header in [
        "Forwarded: for=203.0.113.7",
        "X-Forwarded-Host: duka.example",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Anything: x",
        "X-Real-IP: 203.0.113.7",
        "Via: 1.1 proxy",
        "True-Client-IP: 203.0.113.7",
        "CF-Connecting-IP: 203.0.113.7",
        "Fly-Client-IP: 203.0.113.7",
        "X-Client-IP: 203.0.113.7",
        "X-Original-Forwarded-For: 203.0.113.7",
        "CDN-Loop: somebody",
        "X_Forwarded_For: 203.0.113.7",
        "X-Real-Port: 1",
        "Proxy-Client-IP: 203.0.113.7",
        "WL-Proxy-Client-IP: 203.0.113.7",
        "Front-End-Https: on",
        "X-Url-Scheme: https",
    ] {
        refused(&demo.base, "GET", "/phone", &format!("HTTP/1.1\n{header}")).await;
    }
    // As nginx asks that was told nothing, and as a client of a proxy does.
    refused(&demo.base, "GET", "/phone", "HTTP/1.0").await;
    refused(&demo.base, "GET", "http://duka.example/phone", "HTTP/1.1").await;
    let metrics = demo.metrics.trim_end_matches("/metrics").to_owned();
    refused(&metrics, "GET", "/metrics", "HTTP/1.1\nHost: duka.example").await;

    for host in
        [format!("localhost:{port}"), format!("LOCALHOST:{port}"), "127.0.0.1".to_owned(), format!("[::1]:{port}")]
    {
        let answer = wire::send(&demo.base, &format!("GET /api/health HTTP/1.1\nHost: {host}"), b"").await;
        assert_eq!(answer.status, 200, "{host}");
    }
    assert_eq!(wire::send(&metrics, "GET /metrics HTTP/1.1", b"").await.status, 200);
    demo.stop().await;
}

/// What a person fills in where the example of an environment has a placeholder.
const FILLED: [(&str, &str); 9] = [
    ("SHOP_NAME", NAME),
    ("SHOP_PHONE", "0700 000 009"),
    ("SHOP_EMAIL", "help@duka.example"),
    ("SHOP_JWT_SECRET", LONG),
    ("SHOP_ADMIN_EMAIL", ADMIN.0),
    ("SHOP_ADMIN_PASSWORD", ADMIN.1),
    ("MPESA_PASSKEY", ""),
    ("MPESA_CALLBACK_URL", "https://duka.example/api/payments/mpesa/callback"),
    ("MPESA_CALLBACK_SECRET", LONG),
];

#[tokio::test]
async fn the_example_of_an_environment_takes_a_callback_that_a_proxy_forwards() {
    let simulator = quick();
    simulator.everyone().approves().callback_lost();
    let served = simulator.serve("127.0.0.1:0").await.unwrap();
    let lines = include_str!("../../.env.example").lines().filter(|line| !line.starts_with('#'));
    let mut variables: BTreeMap<&str, String> =
        lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name, value.to_owned())).collect();
    for (name, value) in FILLED {
        assert!(variables.get(name).is_some_and(|value| value.contains("your")), "{name} has a placeholder");
        variables.insert(name, value.to_owned());
    }
    // The simulator in place of Safaricom's sandbox, and a port that is free.
    let daraja = served.variables().into_iter().collect::<BTreeMap<_, _>>();
    variables.extend(daraja.iter().map(|(name, value)| (&**name, value.clone())));
    assert_eq!(variables["SHOP_ADDRESS"], "127.0.0.1:5000");
    let port = free_port().await;
    variables.insert("SHOP_ADDRESS", format!("127.0.0.1:{port}"));
    variables.insert("SHOP_METRICS_ADDRESS", "127.0.0.1:0".to_owned());
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command.env_clear().envs(&variables).current_dir(folder.path());
    let shop = Shop::launch(command, format!("http://127.0.0.1:{port}")).await.expect("it starts");
    let shop = shop.through_a_proxy("203.0.113.7");

    let (token, admin) = (shop.customer("amina@shop.example").await, shop.admin().await);
    shop.post("/api/products", &admin, json!({"name": "Stamp", "price": 1})).await.ok(201);
    let order = shop.order(&token, 10).await;
    let started = shop.pay(&token, &order, PHONE).await.ok(200);
    let base: url::Url = variables["MPESA_CALLBACK_URL"].parse().unwrap();
    let urls = SignedUrls::new(base.clone(), LONG).unwrap().at(Purpose::Stk, base).unwrap();
    let url = urls.stk(&text(&started["payment_id"]).parse::<Reference>().unwrap());
    let items = json!([{"Name": "Amount", "Value": 10}, {"Name": "MpesaReceiptNumber", "Value": "UKTEST0001"}]);
    let callback = json!({"Body": {"stkCallback": {"CheckoutRequestID": started["checkout_request_id"],
        "ResultCode": 0, "ResultDesc": "ok", "CallbackMetadata": {"Item": items}}}});
    let forwarded = async |client: &str| {
        let ask = Ask::new("POST", url.path()).header("X-Forwarded-For", client).json(&callback);
        ask.send(&shop.base).await.status
    };
    assert_eq!(forwarded("203.0.113.7").await, 403);
    assert_eq!(shop.verify(&token, &order).await["status"], "pending");
    assert_eq!(forwarded("196.201.214.200").await, 200);
    let paid = shop.verify(&token, &order).await;
    assert_eq!((&paid["status"], &paid["payment_reference"]), (&json!("completed"), &json!("UKTEST0001")));
    shop.stop().await;
}

#[tokio::test]
async fn a_real_shop_sells_what_its_admins_add_under_its_own_name() {
    let served = quick().serve("127.0.0.1:0").await.unwrap();
    let database = crate::database::Database::fresh().await;
    let shop = Shop::start(&served, database.url(), Options::default()).await;
    let (token, admin) = (shop.customer("amina@shop.example").await, shop.admin().await);
    assert_eq!(shop.get("/api/products", "").await.ok(200), json!([]));
    let browser = crate::forms::Browser::log_in(&shop, "amina@shop.example", ADMIN.1).await;
    let page = browser.get("/orders").await.body;
    for part in ["Nothing is for sale yet", NAME, "0700 000 009", "help@duka.example"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    for part in ["Soko", "Kikoi", "0700 000 000", "help@shop.example", "Simulator"] {
        assert!(!page.contains(part), "{part}: {page}");
    }

    let new = json!({"name": "Maize flour, 2 kg", "price": 250});
    shop.post("/api/products", &token, new.clone()).await.fails(403, "ADMINS_ONLY");
    for (wrong, code) in [
        (json!({"name": "", "price": 1}), "INVALID_TEXT"),
        (json!({"name": "Flour", "price": 0}), "INVALID_BODY"),
        (json!({"name": "Flour", "price": 2.5}), "INVALID_BODY"),
        (json!({"name": "Flour", "price": 250_001}), "INVALID_BODY"),
    ] {
        shop.post("/api/products", &admin, wrong).await.fails(422, code);
    }
    let product = shop.post("/api/products", &admin, new).await.ok(201);
    assert_eq!((&product["name"], &product["price"]), (&json!("Maize flour, 2 kg"), &json!(250)));
    assert!(browser.get("/orders").await.body.contains("Maize flour"));
    let body = json!({"items": [{"product_id": product["id"], "quantity": 2}]});
    let order = shop.post("/api/orders", &token, body.clone()).await.ok(201);
    assert_eq!(order["amount"], 500);

    // What was ordered can be paid after it is not sold any more.
    let path = format!("/api/products/{}", text(&product["id"]));
    shop.call(reqwest::Method::DELETE, &path, &token, None).await.fails(403, "ADMINS_ONLY");
    shop.call(reqwest::Method::DELETE, &path, &admin, None).await.ok(200);
    shop.call(reqwest::Method::DELETE, &path, &admin, None).await.fails(404, "PRODUCT_NOT_FOUND");
    assert_eq!(shop.get("/api/products", "").await.ok(200), json!([]));
    shop.post("/api/orders", &token, body).await.fails(422, "PRODUCT_NOT_FOUND");
    let order = text(&order["id"]);
    assert_eq!(
        shop.get(&format!("/api/orders/{order}"), &token).await.ok(200)["lines"][0]["name"],
        "Maize flour, 2 kg"
    );
    shop.pay(&token, &order, PHONE).await.ok(200);
    shop.until(&token, &order, "completed").await;
    assert_eq!(database.value("SELECT COUNT(*) FROM audit WHERE what LIKE 'product.%'").await, 2);
    shop.stop().await;
    database.remove().await;
}

#[tokio::test]
async fn a_stop_in_the_middle_of_a_push_waits_for_it_and_stores_its_answer() {
    let world = World::new().await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 10).await;
    simulator.everyone().approves().after(Duration::from_secs(30));
    simulator.fault(Route::StkPush, Fault::Slow(Duration::from_secs(2)));
    // The customer's line is closed before the push is answered: nobody waits for it but the shop.
    tokio::select! {
        _ = shop.pay(&token, &order, PHONE) => panic!("it is slow"),
        () = eventually("the push", async || simulator.prompts().len() == 1) => {}
    }
    assert_eq!(world.value("SELECT COUNT(*) FROM payments WHERE state = 'sending'").await, 1);
    let World { shop, database, served, .. } = world;
    shop.stop().await;
    let stored = "SELECT COUNT(*) FROM payments WHERE state = 'accepted' AND checkout_request_id IS NOT NULL";
    assert_eq!(database.value(stored).await, 1);
    drop(served);
    database.remove().await;
}

#[test]
fn the_example_of_an_environment_names_what_is_read_and_nothing_else() {
    let example = include_str!("../../.env.example");
    let lines = example.lines().map(|line| line.trim_start_matches("# "));
    let named: BTreeSet<_> = lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.to_owned())
        .filter(|name| is_variable(name))
        .collect();
    // What stands in quotes in the sources is read.
    let sources = [
        include_str!("../../src/config.rs"),
        include_str!("../../src/main.rs"),
        include_str!("../../../../src/settings.rs"),
        include_str!("../../../../src/settings/callbacks.rs"),
    ];
    let mut read = BTreeSet::new();
    for source in sources {
        let code = source.split("#[cfg(test)]").next().unwrap();
        let quoted = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .flat_map(|line| line.split('"').skip(1).step_by(2));
        read.extend(quoted.filter(|text| is_variable(text) && !text.ends_with('_')).map(str::to_owned));
    }
    assert_eq!(named, read);
}
