//! The push itself: sent once, and what came of it is written down whatever happens meanwhile.

use std::time::Duration;

use daraja::{Error, Result, StkAccepted, error::ApiError, operation::NotAfter};
use tokio::time::sleep;

use super::{PHONE_BUSY, Payment, find, lock};
use crate::{
    app::App,
    db::{Tx, millis, now},
    metrics,
    orders::Order,
    reply::Failure,
};

/// A prompt that nobody answers is open for about a minute, and no other one can be made on that phone.
const WHILE_BUSY: Duration = Duration::from_mins(1);

/// Sends the push of a payment that was created. Whoever comes second does nothing.
pub(super) async fn send(app: App, id: String, order: Order) {
    let (payment, not_after) = match begin(&app, &id).await {
        Ok(Some(begun)) => begun,
        Ok(None) => return,
        Err(error) => return tracing::error!(event = "payment.not_begun", payment = id, %error, "a push was not begun"),
    };
    let Ok(push) = payment.request(&app, &order) else { return };
    let outcome = app.daraja.client.send(&push.not_after(not_after)).await;
    // Daraja's answer is not to be had twice.
    for pause in [0_u64, 100, 500, 2_000, 5_000, 10_000, 20_000] {
        sleep(Duration::from_millis(pause)).await;
        match record(&app, &id, &outcome).await {
            Ok(()) => return,
            Err(error) => {
                tracing::error!(event = "payment.not_recorded", payment = id, %error, "an answer could not be stored");
            }
        }
    }
}

/// A program can stand still anywhere, and after a time another push may take the place of this one: with the row comes the
/// time until which the push may leave.
async fn begin(app: &App, id: &str) -> sqlx::Result<Option<(Payment, NotAfter)>> {
    let not_after = NotAfter::within(app.daraja.client.now(), app.rules.longest_push);
    let mut tx = app.db.write().await?;
    let begun = sqlx::query(
        "UPDATE payments SET state = 'sending', sent_at = $1, server = $2, version = version + 1
         WHERE id = $3 AND state = 'created'
         AND EXISTS (SELECT 1 FROM orders WHERE orders.id = order_id AND orders.state = 'open')",
    )
    .bind(now())
    .bind(&*app.server)
    .bind(id)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    if begun.rows_affected() != 1 {
        return Ok(None);
    }
    Ok(find(app, id).await?.map(|payment| (payment, not_after)))
}

async fn record(app: &App, id: &str, outcome: &Result<StkAccepted>) -> sqlx::Result<()> {
    let mut tx = app.db.write().await?;
    let Some(payment) = lock(&mut tx, id).await? else { return Ok(()) };
    match outcome {
        Ok(accepted) => accept(&mut tx, &payment, accepted).await?,
        Err(error) if error.outcome_unknown() => {
            tracing::warn!(event = "payment.unknown", payment = id, %error, "it is not known whether the phone was asked");
            set_state(&mut tx, id, "sending", "unknown").await?;
        }
        Err(error) => refuse(&mut tx, &payment, error).await?,
    }
    tx.commit().await
}

/// The callback may have settled it before: then only the ids are new.
async fn accept(tx: &mut Tx, payment: &Payment, accepted: &StkAccepted) -> sqlx::Result<()> {
    tracing::info!(event = "payment.accepted", payment = payment.id, "Daraja asks the phone");
    let message = accepted.customer_message.as_str();
    sqlx::query(
        "UPDATE payments SET checkout_request_id = COALESCE(checkout_request_id, $1), merchant_request_id = $2,
         customer_message = CASE WHEN state = 'settled' THEN customer_message ELSE $3 END,
         state = CASE WHEN state = 'settled' THEN state ELSE 'accepted' END WHERE id = $4",
    )
    .bind(accepted.checkout_request_id.to_string())
    .bind(accepted.merchant_request_id.as_ref().map(ToString::to_string))
    .bind(message)
    .bind(&payment.id)
    .execute(&mut **tx)
    .await
    .map(drop)
}

/// Provably not carried out: nobody was asked, and a new payment may be begun. But if something came to this payment's own
/// URL before, Daraja has contradicted itself, and the refusal proves nothing.
async fn refuse(tx: &mut Tx, payment: &Payment, error: &Error) -> sqlx::Result<()> {
    if payment.is_settled() {
        return Ok(());
    }
    if payment.is_claimed() || is_reported(tx, &payment.id).await? {
        tracing::error!(
            event = "payment.contradicted",
            payment = payment.id,
            %error,
            "a push was refused, and a callback for it came before"
        );
        return set_state(tx, &payment.id, "sending", "unknown").await;
    }
    let (reason, message, advice, pause) = if error.api().is_some_and(ApiError::is_subscriber_busy) {
        // That one may be for this very order, and may be paid: nothing is said of what was charged.
        let message =
            "There is already a request on this phone: answer or cancel it first. No second request was sent.";
        (PHONE_BUSY, message, "retry", WHILE_BUSY)
    } else if error.is_retryable() {
        let message = "M-PESA could not be reached. Nothing was charged: try again in a moment.";
        ("not_sent", message, "retry", Duration::ZERO)
    } else {
        let message = "M-PESA refused the request. Nothing was charged: contact the shop.";
        ("refused", message, "contact", Duration::ZERO)
    };
    let now = now();
    tracing::warn!(event = "payment.refused", payment = payment.id, reason, %error, "Daraja did not take a push");
    metrics::failed(reason);
    sqlx::query(
        "UPDATE payments SET state = 'settled', outcome = 'failed', holds_order = 0, reason = $1, customer_message = $2,
         advice = $3, retry_at = $4, settled_at = $5 WHERE id = $6",
    )
    .bind(reason)
    .bind(message)
    .bind(advice)
    .bind(now.saturating_add(millis(pause)))
    .bind(now)
    .bind(&payment.id)
    .execute(&mut **tx)
    .await
    .map(drop)
}

/// Whether a delivery came to the signed URL of this payment.
async fn is_reported(tx: &mut Tx, id: &str) -> sqlx::Result<bool> {
    let (count,): (i64,) =
        sqlx::query_as("SELECT COUNT(*) FROM deliveries WHERE reference = $1").bind(id).fetch_one(&mut **tx).await?;
    Ok(count > 0)
}

pub(super) async fn set_state(tx: &mut Tx, id: &str, from: &str, to: &str) -> sqlx::Result<()> {
    sqlx::query("UPDATE payments SET state = $1 WHERE id = $2 AND state = $3")
        .bind(to)
        .bind(id)
        .bind(from)
        .execute(&mut **tx)
        .await
        .map(drop)
}

/// The payment once its push was answered; as it stands if that takes long.
pub(super) async fn known(app: &App, payment: Payment) -> Result<Payment, Failure> {
    let mut payment = find(app, &payment.id).await?.unwrap_or(payment);
    for _ in 0..100 {
        if !matches!(payment.state.as_str(), "created" | "sending") {
            break;
        }
        sleep(Duration::from_millis(100)).await;
        payment = find(app, &payment.id).await?.unwrap_or(payment);
    }
    Ok(payment)
}
