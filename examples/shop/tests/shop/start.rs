//! The start: all or nothing is configured, what is wrong is told at once and without a secret, and a stop loses nothing.

use std::{collections::BTreeSet, process::Stdio, time::Duration};

use daraja::simulator::{Fault, Route};
use tokio::process::Command;

use crate::support::{ADMIN, Options, PHONE, Shop, World, eventually, free_port, quick};

/// What a start that fails says, and its exit code.
async fn start(variables: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command.env_clear().envs(variables.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_mins(1), command.output()).await.expect("it ends").unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().expect("an exit code"), said)
}

/// A start with these must be refused, and name exactly these variables.
async fn refused(variables: &[(&str, &str)], named: &[&str]) {
    let (code, said) = start(variables).await;
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

const NEEDED: [&str; 8] = [
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
const COMPLETE: [(&str, &str); 9] = [
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

fn but(name: &str) -> Vec<&'static str> {
    NEEDED.into_iter().filter(|needed| *needed != name).collect()
}

/// All that is needed, with one changed or added.
fn with<'a>(name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let others = COMPLETE.into_iter().filter(|(other, _)| *other != name);
    others
        .chain([("SHOP_ADDRESS", "127.0.0.1:0"), ("SHOP_METRICS_ADDRESS", "127.0.0.1:0")])
        .chain([(name, value)])
        .collect()
}

#[tokio::test]
async fn a_part_of_the_configuration_is_an_error_that_names_all_the_rest() {
    refused(&[("MPESA_CONSUMER_KEY", "a-key-of-somebody")], &but("MPESA_CONSUMER_KEY")).await;
    refused(&[("DATABASE_URL", FOLDER)], &NEEDED).await;
    refused(&[("SHOP_ADDRESS", "0.0.0.0:5000")], &NEEDED).await;
    refused(&[("SHOP_ADDRESS", "0.0.0.0:5000"), ("SHOP_JWT_SECRET", LONG)], &but("SHOP_JWT_SECRET")).await;
    for (name, _) in COMPLETE.into_iter().filter(|(name, _)| *name != "DATABASE_URL") {
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
    refused(&with("SHOP_ADMIN_EMAIL", ADMIN.0), &["SHOP_ADMIN_EMAIL"]).await;
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
    let (code, said) = start(&[("SHOP_ADDRESS", address.as_str())]).await;
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
async fn with_nothing_set_the_demo_runs() {
    // But for the ports: the usual ones may be somebody's.
    let port = free_port().await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_shop"))
        .env_clear()
        .env("SHOP_ADDRESS", format!("127.0.0.1:{port}"))
        .env("SHOP_METRICS_ADDRESS", "127.0.0.1:0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let base = format!("http://127.0.0.1:{port}");
    eventually("the demo listens", async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
    let ask = |method: &str, path: &str| crate::contract::Ask::new(method, path);
    let body = serde_json::json!({"email": "admin@shop.example", "password": "admin-demo"});
    assert_eq!(ask("POST", "/api/auth/login").json(&body).send(&base).await.status, 200);
    assert_eq!(ask("GET", "/phone").send(&base).await.status, 200);
    for path in ["/phone?number=%00", "/phone?ignore=%ff", "/phone/state?number='", "/phone/state"] {
        assert_eq!(ask("GET", path).send(&base).await.status, 200, "{path}");
    }
    assert_eq!(ask("POST", "/phone/answer").body("id=1").send(&base).await.status, 403);
    child.kill().await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(&format!("listening on {base}")) && said.contains("no real money can move"), "{said}");
    for login in ["amina@shop.example / customer-demo (customer)", "admin@shop.example / admin-demo (admin)"] {
        assert!(said.contains(login), "{said}");
    }
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
