//! The dashboard and the alert rules against the metrics of a running shop, and the metrics against what nobody may read in
//! them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    contract::Ask,
    support::{Options, PHONE, World, eventually, quick},
};

const DASHBOARD: &str = include_str!("../../monitoring/grafana.json");
const ALERTS: &str = include_str!("../../monitoring/alerts.yml");

/// What the guide wants to be watched, and what the shop itself may get wrong.
const WATCHED: [&str; 9] = [
    "shop_payments_initiated_total",
    "shop_payments_succeeded_total",
    "shop_payments_failed_total",
    "shop_payments_pending_over_5_minutes",
    "shop_callbacks_received_total",
    "shop_callbacks_failed_total",
    "shop_payment_settle_seconds_bucket",
    "shop_money_to_refund",
    "shop_payouts_contradictory",
];

/// Whose payments end with a code that nobody knows.
const ODD: &str = "254700000007";

/// The name of a series with its labels.
type Series = (String, BTreeMap<String, String>);

/// What is exported.
fn exported(text: &str) -> Vec<Series> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a name and a value");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            (name.to_owned(), equalities(labels.strip_suffix('}').expect("labels end")))
        })
        .collect()
}

fn equalities(labels: &str) -> BTreeMap<String, String> {
    let pairs = labels.split(',').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or_else(|| panic!("no equality: {pair}")));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim_matches('"').to_owned())).collect()
}

/// The series that an expression of Prometheus reads, as far as ours go: names, equalities in braces, functions, groupings.
fn read_by(expression: &str) -> Vec<Series> {
    const WORDS: [&str; 9] = ["and", "or", "unless", "by", "without", "on", "ignoring", "bool", "offset"];
    let mut found: Vec<Series> = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
        if first.is_ascii_digit() {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        } else if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            rest = after.trim_start();
            if ["by", "without", "on", "ignoring"].contains(&word) {
                rest = rest.split_once(')').expect("a grouping ends").1;
            } else if !WORDS.contains(&word) && !["(", "by ", "without "].iter().any(|next| rest.starts_with(next)) {
                found.push((word.to_owned(), BTreeMap::new()));
            }
        } else if first == '{' {
            let (labels, after) = rest[1..].split_once('}').expect("braces end");
            found.last_mut().expect("a name before its labels").1 = equalities(labels);
            rest = after;
        } else if first == '[' {
            rest = rest.split_once(']').expect("a range ends").1;
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

fn of_the_dashboard() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("a panel shows something"));
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

fn of_the_alerts() -> Vec<String> {
    let lines: Vec<_> = ALERTS.lines().map(str::trim).collect();
    let values =
        |key: &str| lines.iter().filter_map(|line| line.strip_prefix(key).map(str::to_owned)).collect::<Vec<_>>();
    let expressions = values("expr: ");
    for key in ["- alert: ", "labels: {severity: ", "summary: ", "description: "] {
        assert_eq!(values(key).len(), expressions.len(), "each alert has {key}");
    }
    expressions
}

async fn world_with_traffic() -> World {
    let options = Options::default().with("SHOP_NEW_NUMBER_SECONDS", "0");
    let world = World::with(quick(), options).await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    let (token, admin) = (shop.customer("amina@shop.example").await, shop.admin().await);
    let order = shop.order(&token, 500).await;
    shop.pay(&token, &order, PHONE).await.ok(200);
    let paid = shop.until(&token, &order, "completed").await;
    // Every ending that the simulator knows, and one that nobody does.
    simulator.customer(ODD.parse().unwrap()).ends_with(4_711, "254700000007 has a reason of its own");
    for phone in ["254700000032", "254700000001", "254700000037", "254700000020", "254700000086", ODD] {
        let order = shop.order(&token, 10).await;
        shop.pay(&token, &order, phone).await.ok(200);
        // A code that nobody knows proves nothing.
        if phone != ODD {
            shop.until(&token, &order, "failed").await;
        }
    }
    for (number, amount) in [("254700000101", 100), ("254700000040", 101)] {
        let supplier = shop.supplier(&admin, "Kericho Tea", number).await;
        let payout = json!({"supplier_id": supplier, "amount": amount});
        shop.post("/api/payments/supplier/payout", &admin, payout).await.ok(202);
    }
    shop.post("/api/payments/refund", &admin, json!({"receipt": paid["payment_reference"], "reason": "?"}))
        .await
        .ok(202);
    for path in ["mpesa/callback", "mpesa/callback/254700000032/00", "b2c/result/x/y"] {
        Ask::new("POST", &format!("/api/payments/{path}")).json(&json!({})).send(&shop.base).await;
    }
    eventually("all has ended", async || {
        let open = world.value("SELECT COUNT(*) FROM payouts WHERE status = 'pending'").await;
        open + world.value("SELECT COUNT(*) FROM refunds WHERE state <> 'settled'").await == 0
    })
    .await;
    world
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_read_what_is_exported() {
    let world = World::new().await;
    // Before anything has happened: an alert about a metric that comes with the first payment would be blind until then.
    let exported = exported(&world.shop.metrics().await);
    let is_exported = |(name, labels): &Series| {
        exported
            .iter()
            .any(|(known, has)| known == name && labels.iter().all(|(key, value)| has.get(key) == Some(value)))
    };
    let mut read = BTreeSet::new();
    for expression in of_the_dashboard().into_iter().chain(of_the_alerts()) {
        let series = read_by(&expression);
        assert!(!series.is_empty(), "{expression} reads nothing");
        for one in series.into_iter().filter(|(name, _)| name != "up") {
            assert!(is_exported(&one), "{one:?} is not exported: {expression}");
            read.insert(one.0);
        }
    }
    let shown: BTreeSet<_> =
        of_the_dashboard().iter().flat_map(|expression| read_by(expression)).map(|(name, _)| name).collect();
    for (name, _) in exported.iter().filter(|(name, _)| name.starts_with("shop_")) {
        assert!(shown.contains(name), "{name} is on no panel");
    }
    for name in WATCHED {
        assert!(read.contains(name), "{name} is not watched");
    }
    world.end().await;
}

#[tokio::test]
async fn no_label_of_a_metric_holds_a_number_an_id_or_a_name() {
    let world = world_with_traffic().await;
    let exported = exported(&world.shop.metrics().await);
    let mut labels = BTreeSet::new();
    for (name, labels_of) in &exported {
        for (key, value) in labels_of {
            let fits = match key.as_str() {
                "le" => value == "+Inf" || value.parse::<f64>().is_ok(),
                "status" if name == "shop_callbacks_refused_total" => {
                    matches!(value.len(), 3) && value.parse::<u16>().is_ok()
                }
                _ => {
                    (1..=30).contains(&value.len())
                        && value.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
                }
            };
            assert!(fits, "{name}: {key} is {value:?}");
            labels.insert((key, value));
        }
    }
    // There was traffic, and it was told apart.
    for label in [("reason", "cancelled"), ("reason", "insufficient_funds"), ("status", "404"), ("outcome", "reversed")]
    {
        assert!(labels.iter().any(|(key, value)| (key.as_str(), value.as_str()) == label), "{label:?}: {labels:?}");
    }
    let sum = |wanted: &str| exported.iter().filter(|(name, _)| name == wanted).count();
    assert!(sum("shop_payments_failed_total") >= 5, "a reason each");
    world.end().await;
}

#[test]
fn what_an_expression_reads_is_understood() {
    let labelled = |name: &str, labels: &str| (name.to_owned(), equalities(labels));
    for (expression, read) in [
        ("max(a_b) > 0", vec![labelled("a_b", "")]),
        (
            "sum by (le, kind) (rate(a{kind=\"stk\"}[5m])) / sum(increase(b[$__range])) >= 0.5",
            vec![labelled("a", "kind=\"stk\""), labelled("b", "")],
        ),
        ("up{job=\"shop\"} == 0 or absent(c_total)", vec![labelled("up", "job=\"shop\""), labelled("c_total", "")]),
        (
            "histogram_quantile(0.95, sum by (le) (rate(d_bucket[$__rate_interval]))) * 60",
            vec![labelled("d_bucket", "")],
        ),
        ("1 + 2", vec![]),
    ] {
        assert_eq!(read_by(expression), read, "{expression}");
    }
}
