//! What is counted. No label holds a number, an id or a name.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::{app::App, db::now};

const INITIATED: &str = "shop_payments_initiated_total";
const SUCCEEDED: &str = "shop_payments_succeeded_total";
const FAILED: &str = "shop_payments_failed_total";
const SETTLE_SECONDS: &str = "shop_payment_settle_seconds";
const PENDING_LONG: &str = "shop_payments_pending_over_5_minutes";
const UNKNOWN: &str = "shop_payments_unknown";
const SURPLUS: &str = "shop_money_to_refund_total";
const TO_REFUND: &str = "shop_money_to_refund";
const QUERIES: &str = "shop_queries_total";
const RECEIVED: &str = "shop_callbacks_received_total";
const REFUSED: &str = "shop_callbacks_refused_total";
const CALLBACKS_FAILED: &str = "shop_callbacks_failed_total";
const BARE: &str = "shop_callbacks_unsigned_total";
const PAYOUTS: &str = "shop_payouts_requested_total";
const PAYOUTS_ENDED: &str = "shop_payouts_ended_total";
const PAYOUTS_PENDING: &str = "shop_payouts_pending";
const PAYOUTS_CONTRADICTORY: &str = "shop_payouts_contradictory";
const REFUNDS: &str = "shop_refunds_requested_total";
const REFUNDS_ENDED: &str = "shop_refunds_ended_total";
const REFUNDS_PENDING: &str = "shop_refunds_pending";
const REFUNDS_NEED_PERSON: &str = "shop_refunds_need_person";

/// Begins to count. All metrics are there from the start, so that an alert on one that is missing means something.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let buckets = [1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(SETTLE_SECONDS.to_owned()), &buckets)?
        .install_recorder()?;
    describe_counter!(INITIATED, "Payments that were begun");
    describe_counter!(SUCCEEDED, "Payments that paid an order, by who told so: callback, query or admin");
    describe_counter!(FAILED, "Payments that came to nothing, by reason");
    describe_histogram!(SETTLE_SECONDS, "From the beginning of a payment to its success, in seconds");
    describe_gauge!(PENDING_LONG, "Payments that have been pending for more than 5 minutes");
    describe_gauge!(UNKNOWN, "Pushes of which it is not known whether they arrived");
    describe_counter!(SURPLUS, "Money that came in and has to be given back, by reason");
    describe_gauge!(TO_REFUND, "Receipts that have to be given back");
    describe_counter!(QUERIES, "STK queries");
    describe_counter!(RECEIVED, "Deliveries that were authentic, by kind");
    describe_counter!(REFUSED, "Deliveries that were refused, by the status of the answer");
    describe_counter!(CALLBACKS_FAILED, "Authentic deliveries that could not be worked on");
    describe_counter!(BARE, "Deliveries to a URL that nobody signed");
    describe_counter!(PAYOUTS, "Payouts to suppliers that were requested");
    describe_counter!(PAYOUTS_ENDED, "Payouts that have ended, by status");
    describe_gauge!(PAYOUTS_PENDING, "Payouts that are under way");
    describe_gauge!(PAYOUTS_CONTRADICTORY, "Payouts about which Daraja told what cannot be true together");
    describe_counter!(REFUNDS, "Refunds that were requested");
    describe_counter!(REFUNDS_ENDED, "Refunds that are done, by how");
    describe_gauge!(REFUNDS_PENDING, "Refunds that are under way");
    describe_gauge!(REFUNDS_NEED_PERSON, "Refunds that do not go on without a person");
    for name in [INITIATED, QUERIES, CALLBACKS_FAILED, BARE, PAYOUTS, REFUNDS] {
        counter!(name).absolute(0);
    }
    for (name, label, values) in [
        (SUCCEEDED, "source", &["callback", "query", "admin"][..]),
        (FAILED, "reason", &["cancelled", "no_response", "not_sent"]),
        (
            SURPLUS,
            "reason",
            &["second_payment", "wrong_amount", "amount_not_known", "other_receipt", "order_cancelled"],
        ),
        (RECEIVED, "kind", &["stk", "payout", "question", "payout_timeout", "question_timeout"]),
        (REFUSED, "status", &["403", "404", "400"]),
        (PAYOUTS_ENDED, "status", &["completed", "failed"]),
        (REFUNDS_ENDED, "outcome", &["reversed", "already_reversed", "paid_out", "by_word"]),
    ] {
        for value in values {
            counter!(name, label => *value).absolute(0);
        }
    }
    for name in
        [PENDING_LONG, UNKNOWN, TO_REFUND, PAYOUTS_PENDING, PAYOUTS_CONTRADICTORY, REFUNDS_PENDING, REFUNDS_NEED_PERSON]
    {
        gauge!(name).set(0.0);
    }
    drop(histogram!(SETTLE_SECONDS));
    Ok(handle)
}

pub(crate) fn initiated() {
    counter!(INITIATED).increment(1);
}

pub(crate) fn succeeded(source: &'static str, seconds: i64) {
    counter!(SUCCEEDED, "source" => source).increment(1);
    histogram!(SETTLE_SECONDS).record(f64::from(i32::try_from(seconds).unwrap_or(i32::MAX)));
}

pub(crate) fn failed(reason: &str) {
    counter!(FAILED, "reason" => reason.to_owned()).increment(1);
}

pub(crate) fn surplus(reason: &'static str) {
    counter!(SURPLUS, "reason" => reason).increment(1);
}

pub(crate) fn asked() {
    counter!(QUERIES).increment(1);
}

pub(crate) fn callback_received(kind: &str) {
    counter!(RECEIVED, "kind" => kind.replace('-', "_")).increment(1);
}

pub(crate) fn callback_refused(status: u16) {
    counter!(REFUSED, "status" => status.to_string()).increment(1);
}

pub(crate) fn callback_failed() {
    counter!(CALLBACKS_FAILED).increment(1);
}

pub(crate) fn callback_bare() {
    counter!(BARE).increment(1);
}

pub(crate) fn payout_requested() {
    counter!(PAYOUTS).increment(1);
}

pub(crate) fn payout_ended(status: &'static str) {
    counter!(PAYOUTS_ENDED, "status" => status).increment(1);
}

pub(crate) fn refund_requested() {
    counter!(REFUNDS).increment(1);
}

pub(crate) fn refund_ended(outcome: &str) {
    counter!(REFUNDS_ENDED, "outcome" => outcome.to_owned()).increment(1);
}

/// What is read from the database: it is the same whichever server is asked.
pub(crate) async fn look(app: &App) -> sqlx::Result<()> {
    let five_minutes_ago = now().saturating_sub(300_000);
    let refunds_pending = "SELECT COUNT(*) FROM refunds
         WHERE state IN ('created', 'sending', 'accepted', 'unknown', 'paying_out') AND $1 > 0";
    for (name, sql) in [
        (PENDING_LONG, "SELECT COUNT(*) FROM payments WHERE state <> 'settled' AND created_at < $1"),
        (UNKNOWN, "SELECT COUNT(*) FROM payments WHERE state = 'unknown' AND $1 > 0"),
        (TO_REFUND, "SELECT COUNT(*) FROM received WHERE disposition = 'to_refund' AND $1 > 0"),
        (PAYOUTS_PENDING, "SELECT COUNT(*) FROM payouts WHERE status = 'pending' AND $1 > 0"),
        (PAYOUTS_CONTRADICTORY, "SELECT COUNT(*) FROM payouts WHERE contradictory = 1 AND $1 > 0"),
        (REFUNDS_PENDING, refunds_pending),
        (REFUNDS_NEED_PERSON, "SELECT COUNT(*) FROM refunds WHERE state IN ('needs_person', 'not_sent') AND $1 > 0"),
    ] {
        let (count,): (i64,) = sqlx::query_as(sql).bind(five_minutes_ago).fetch_one(app.db.pool()).await?;
        gauge!(name).set(f64::from(i32::try_from(count).unwrap_or(i32::MAX)));
    }
    Ok(())
}
