//! What the tests share: a proxy that cuts, a server that follows a script, and how a verdict is written down.

pub(crate) mod message;
pub(crate) mod operation;
pub(crate) mod proxy;
pub(crate) mod roads;
pub(crate) mod script;
pub(crate) mod stored;
pub(crate) mod verdict;

use std::{future::Future, time::Duration};

use daraja::{Merchant, Msisdn, RetryPolicy, Shillings, StkPush, simulator::Simulator};
use tokio::task::JoinSet;

/// How long an attempt waits where a server stalls. Where none does it waits for long, so that a busy machine fails no test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Runs the rows of a table beside each other; every row that fails is printed, not the first one only.
pub(crate) async fn every<Row: Future<Output = ()> + Send + 'static>(rows: impl IntoIterator<Item = Row>) {
    let mut running: JoinSet<()> = rows.into_iter().collect();
    let mut failed = 0;
    while let Some(row) = running.join_next().await {
        failed += usize::from(row.is_err());
    }
    assert_eq!(failed, 0, "rows that failed, see above");
}

/// A reqwest builder that reads no root certificates, which takes longer than most tests.
pub(crate) fn without_roots() -> reqwest::ClientBuilder {
    reqwest::Client::builder().tls_certs_only([])
}

/// The default policy without its pauses; a throttle still waits a second.
pub(crate) fn at_once() -> RetryPolicy {
    RetryPolicy::default().pauses(Duration::from_millis(1)..=Duration::from_millis(2))
}

pub(crate) fn push() -> StkPush {
    push_to("254708374149".parse().expect("a number"))
}

/// A push that every simulator accepts.
pub(crate) fn push_to(payer: Msisdn) -> StkPush {
    let simulator = Simulator::new();
    let (amount, reference) = (Shillings::new(500).expect("an amount"), "INV-001".parse().expect("a reference"));
    StkPush::new(&simulator.merchant(), payer, amount, reference, simulator.callback_url())
}

pub(crate) fn merchant() -> Merchant {
    Simulator::new().merchant()
}
