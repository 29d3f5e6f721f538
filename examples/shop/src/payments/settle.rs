//! How a payment ends: once, and money that came in is never forgotten.

use daraja::{
    Advice, Kes, StkCallback, StkOutcome,
    stk::{Source, StkFailure},
    webhook::{Event, Expected, Mismatch},
};
use sqlx::AnyConnection;

use super::{
    Payment,
    book::{CALLBACK, Money, keep, paid, unsettle},
    find, lock,
};
use crate::{app::App, db::now, metrics, orders, orders::Order};

/// What a piece of news changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// The order is paid.
    Paid { seconds: i64, source: &'static str },
    /// Money came in that the order is not in need of.
    ToRefund(&'static str),
    /// No money came in.
    Failed(String),
    /// It was known, or proves nothing.
    Nothing,
}

impl News {
    /// Counts it and tells the log: call it once it is committed.
    pub(crate) fn tell(&self, payment: &str) {
        match self {
            Self::Paid { seconds, source } => {
                metrics::succeeded(source, *seconds);
                tracing::info!(event = "payment.paid", payment, source, "an order is paid");
            }
            Self::ToRefund(reason) => {
                metrics::surplus(reason);
                tracing::warn!(event = "payment.to_refund", payment, reason, "money came in that has to be given back");
            }
            Self::Failed(reason) => {
                metrics::failed(reason);
                tracing::info!(event = "payment.failed", payment, reason, "a payment came to nothing");
            }
            Self::Nothing => {}
        }
    }
}

/// Takes the callback that came to the URL of this payment.
pub(crate) async fn take(tx: &mut AnyConnection, id: &str, callback: &StkCallback) -> sqlx::Result<News> {
    let Some((order, payment)) = lock_both(tx, id).await? else {
        // Signed by us, so it was asked for: by a database that was restored since, perhaps.
        if let StkOutcome::Paid(told) = &callback.outcome {
            return keep(tx, None, &Money::told(told), "unknown_payment").await;
        }
        return Ok(News::Nothing);
    };
    let stored = payment.checkout_request_id.as_deref().and_then(|id| id.parse().ok());
    let expected = Expected::new(Kes::from_cents(payment.amount.saturating_mul(100))).checkout_request_id(stored);
    let told = Event::from(callback.clone()).expect(&expected);
    match (&callback.outcome, told) {
        (StkOutcome::Paid(told), Err(Mismatch::OtherPush)) => {
            tracing::error!(
                event = "callback.other_request",
                payment = id,
                "a success for another request of this payment"
            );
            keep(tx, Some(&payment), &Money::told(told), "other_request").await
        }
        (_, Err(Mismatch::Request)) => Ok(News::Nothing),
        (StkOutcome::Paid(told), _) => {
            name(tx, &payment, callback).await?;
            paid(tx, &order, &payment, &Money::told(told)).await
        }
        (StkOutcome::Failed(failure), _) => {
            name(tx, &payment, callback).await?;
            failed(tx, &payment, failure).await
        }
        (StkOutcome::Unproven(told), expected) => {
            name(tx, &payment, callback).await?;
            if told.speaks_for_payment() && !payment.is_paid() {
                tracing::error!(event = "callback.unproven", payment = id, "a callback reports a payment, not proved");
                claim(tx, &payment).await?;
            }
            ask_now(tx, id).await?;
            // A success with a receipt, and it is not known how much came in.
            let Some(receipt) = told.receipt.filter(|_| told.code.is_success()) else { return Ok(News::Nothing) };
            let money = Money { receipt: Some(receipt), source: CALLBACK, ..Money::default() };
            match expected {
                Err(Mismatch::OtherPush) => keep(tx, Some(&payment), &money, "other_request").await,
                _ => paid(tx, &order, &payment, &money).await,
            }
        }
        _ => {
            name(tx, &payment, callback).await?;
            ask_now(tx, id).await?;
            Ok(News::Nothing)
        }
    }
}

/// Takes what came to the URL of this payment and cannot be read: it may report a payment. `false` if there is no such payment.
pub(crate) async fn take_unread(tx: &mut AnyConnection, id: &str) -> sqlx::Result<bool> {
    let Some((_, payment)) = lock_both(tx, id).await? else { return Ok(false) };
    if !payment.is_paid() {
        claim(tx, &payment).await?;
        ask_now(tx, id).await?;
    }
    Ok(true)
}

/// It proves nothing, so Daraja is asked.
async fn ask_now(tx: &mut AnyConnection, id: &str) -> sqlx::Result<()> {
    sqlx::query("UPDATE payments SET sweep_at = $1, asked_at = NULL WHERE id = $2")
        .bind(now())
        .bind(id)
        .execute(tx)
        .await
        .map(drop)
}

/// Notes that a callback speaks for a payment, against a failure that was reported before and against all that follow.
async fn claim(tx: &mut AnyConnection, payment: &Payment) -> sqlx::Result<()> {
    if payment.is_settled() {
        unsettle(&mut *tx, payment).await?;
    }
    sqlx::query("UPDATE payments SET claimed_paid = 1, suspect_code = NULL, suspect_at = NULL WHERE id = $1")
        .bind(&payment.id)
        .execute(tx)
        .await
        .map(drop)
}

/// A callback can tell the id that the lost answer to the push would have told: from now on Daraja can be asked.
async fn name(tx: &mut AnyConnection, payment: &Payment, callback: &StkCallback) -> sqlx::Result<()> {
    if payment.checkout_request_id.is_some() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE payments SET checkout_request_id = $1, state = CASE WHEN state = 'settled' THEN state ELSE 'accepted' END
         WHERE id = $2",
    )
    .bind(callback.checkout_request_id.to_string())
    .bind(&payment.id)
    .execute(tx)
    .await
    .map(drop)
}

/// The order first: whoever locks both does so in this order.
pub(super) async fn lock_both(tx: &mut AnyConnection, id: &str) -> sqlx::Result<Option<(Order, Payment)>> {
    let order_id: Option<(String,)> =
        sqlx::query_as("SELECT order_id FROM payments WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
    let Some((order_id,)) = order_id else { return Ok(None) };
    let order = orders::lock(&mut *tx, &order_id).await?;
    Ok(order.zip(lock(tx, id).await?))
}

/// Ends a payment that is locked without money, unless money came in or a callback has said so.
pub(crate) async fn failed(tx: &mut AnyConnection, payment: &Payment, failure: &StkFailure) -> sqlx::Result<News> {
    let by_query = failure.source() == Source::Query;
    if payment.is_paid() || payment.is_claimed() || (payment.is_settled() && by_query) {
        return Ok(News::Nothing);
    }
    let now = now();
    let (advice, pause) = match failure.advice() {
        Advice::RetryNow => ("retry", 0),
        Advice::RetryAfter(pause) => ("retry", crate::db::millis(pause)),
        Advice::AskCustomer => ("ask_customer", 0),
        _ => ("contact", 0),
    };
    let reason = snake(&format!("{:?}", failure.reason()));
    sqlx::query(
        "UPDATE payments SET state = 'settled', outcome = 'failed', holds_order = 0, reason = $1, customer_message = $2,
         advice = $3, retry_at = $4, settled_at = COALESCE(settled_at, $5),
         suspect_code = CASE WHEN $6 = 1 THEN suspect_code ELSE NULL END WHERE id = $7",
    )
    .bind(&reason)
    .bind(failure.customer_message())
    .bind(advice)
    .bind(now.saturating_add(pause))
    .bind(now)
    .bind(i64::from(by_query))
    .bind(&payment.id)
    .execute(tx)
    .await?;
    // The callback's reason is better than the query's, and no second failure.
    Ok(if payment.is_settled() { News::Nothing } else { News::Failed(reason) })
}

/// `NoResponse` as `no_response`.
pub(crate) fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// Takes what a query has told.
pub(super) async fn take_status(
    app: &App,
    id: &str,
    take: impl AsyncFnOnce(&mut AnyConnection, &Order, &Payment) -> sqlx::Result<News>,
) -> sqlx::Result<Option<Payment>> {
    let mut tx = app.db.write().await?;
    let Some((order, payment)) = lock_both(&mut tx, id).await? else { return Ok(None) };
    let news = take(&mut tx, &order, &payment).await?;
    tx.commit().await?;
    news.tell(id);
    find(app, id).await
}
