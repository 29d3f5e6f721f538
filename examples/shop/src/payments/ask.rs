//! Asking Daraja what became of a payment: within the budget of all servers together, and believing a failure only if two
//! queries report it. After a callback that spoke for a payment, queries prove only that it was paid.

use daraja::{Error, Result, RetryPolicy, StkQuery, StkStatus};

use super::{
    LONGEST_PUSH, Payment,
    book::{Money, paid},
    find,
    settle::{News, failed, take_status},
};
use crate::{
    app::App,
    db::{millis, now},
    metrics,
};

/// Before the first question, and between two about one payment.
const PAUSE: i64 = 15_000;
/// The longest pause between two questions, whoever asks for it.
const LONGEST_PAUSE: i64 = 3_600_000;
/// A row that was created and not sent after this belongs to a server that died.
const NEVER_SENT: i64 = 60_000;

/// Asks about a payment that somebody waits for, if it is due and the budget allows it.
pub(crate) async fn refresh(app: &App, payment: Payment) -> sqlx::Result<Payment> {
    let last = payment.asked_at.unwrap_or(payment.sent_at.unwrap_or(payment.created_at));
    let due = now().saturating_sub(last) >= PAUSE.min(millis(app.rules.query_spacing).saturating_add(2_000));
    if payment.state != "accepted" || !due || !turn(app).await? {
        return Ok(payment);
    }
    ask(app, &payment, By::Customer).await.map(|asked| asked.unwrap_or(payment))
}

/// Asks about the payment that has been pending for longest. `false` if there is none, or it is not our turn.
pub(crate) async fn sweep_one(app: &App) -> sqlx::Result<bool> {
    let due: Option<(String,)> =
        sqlx::query_as("SELECT id FROM payments WHERE state = 'accepted' AND sweep_at <= $1 ORDER BY sweep_at LIMIT 1")
            .bind(now())
            .fetch_optional(app.db.pool())
            .await?;
    let Some((id,)) = due else { return Ok(false) };
    if !turn(app).await? {
        return Ok(false);
    }
    let Some(payment) = find(app, &id).await? else { return Ok(false) };
    tracing::info!(event = "payment.swept", payment = id, "asking about a payment that is pending");
    ask(app, &payment, By::Sweep).await.map(|asked| asked.is_some())
}

/// Something came to a URL that nobody signed: it settles nothing, but the payment may be asked for.
pub(crate) async fn ask_soon(app: &App, checkout_request_id: &str) -> sqlx::Result<()> {
    let now = now();
    // Strangers can post as often as they like: only news of a payment that is waited for may write.
    let waits: Option<(String,)> = sqlx::query_as(
        "SELECT id FROM payments WHERE checkout_request_id = $1 AND state = 'accepted' AND sweep_at > $2",
    )
    .bind(checkout_request_id)
    .bind(now)
    .fetch_optional(app.db.pool())
    .await?;
    if waits.is_none() {
        return Ok(());
    }
    let mut tx = app.db.write().await?;
    sqlx::query(
        "UPDATE payments SET sweep_at = $1 WHERE checkout_request_id = $2 AND state = 'accepted' AND sweep_at > $1
         AND COALESCE(asked_at, sent_at) <= $3",
    )
    .bind(now)
    .bind(checkout_request_id)
    .bind(now.saturating_sub(PAUSE))
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

/// Takes a turn of the query budget, which is one for all servers.
async fn turn(app: &App) -> sqlx::Result<bool> {
    let now = now();
    book_turn(app, now.saturating_add(millis(app.rules.query_spacing)), now).await
}

async fn book_turn(app: &App, until: i64, free_at: i64) -> sqlx::Result<bool> {
    let mut tx = app.db.write().await?;
    let taken =
        sqlx::query("UPDATE leases SET holder = $1, until = $2 WHERE name = 'query' AND (until <= $3 OR until > $4)")
            .bind(&*app.server)
            .bind(until)
            .bind(free_at)
            // A clock that was wrong has written it.
            .bind(now().saturating_add(LONGEST_PAUSE.saturating_mul(2)))
            .execute(&mut *tx)
            .await?;
    tx.commit().await?;
    Ok(taken.rows_affected() == 1)
}

/// Who wants to know. A customer who keeps looking does not put the sweep off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Customer,
    Sweep,
}

async fn ask(app: &App, payment: &Payment, by: By) -> sqlx::Result<Option<Payment>> {
    let Some(id) = payment.checkout_request_id.as_deref().and_then(|id| id.parse().ok()) else { return Ok(None) };
    let now = now();
    let doubled =
        60_000_i64.saturating_mul(1_i64.checked_shl(u32::try_from(payment.asks).unwrap_or(31)).unwrap_or(i64::MAX));
    let mut tx = app.db.write().await?;
    sqlx::query(
        "UPDATE payments SET asked_at = $1, sweep_at = CASE WHEN $2 = 1 THEN $3 ELSE sweep_at END, asks = asks + $2
         WHERE id = $4 AND state = 'accepted'",
    )
    .bind(now)
    .bind(i64::from(by == By::Sweep))
    .bind(now.saturating_add(doubled.clamp(PAUSE, LONGEST_PAUSE)))
    .bind(&payment.id)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    metrics::asked();
    // The next turn is the repeat: one beside the budget would only be throttled.
    let query = StkQuery::new(&app.daraja.merchant, &id);
    let told = app.daraja.client.send_with(&query, RetryPolicy::never()).await;
    hear(app, &payment.id, told).await
}

async fn hear(app: &App, id: &str, told: Result<StkStatus>) -> sqlx::Result<Option<Payment>> {
    match told {
        Ok(StkStatus::Paid) => {
            let money = Money { source: "query", ..Money::default() };
            take_status(app, id, async |tx, order, payment| paid(tx, order, payment, &money).await).await
        }
        Ok(StkStatus::Failed(failure)) => {
            let confirm_after = millis(app.rules.confirm_after);
            take_status(app, id, async |tx, _, payment| {
                if payment.is_claimed() {
                    return Ok(News::Nothing);
                }
                let now = now();
                let code = failure.code().to_string();
                let told_before = payment.suspect_code.as_deref() == Some(code.as_str());
                let since = payment.suspect_at.filter(|_| told_before);
                if since.is_some_and(|since| now.saturating_sub(since) >= confirm_after) {
                    return failed(tx, payment, &failure).await;
                }
                sqlx::query("UPDATE payments SET suspect_code = $1, suspect_at = $2, sweep_at = $3 WHERE id = $4")
                    .bind(code)
                    .bind(since.unwrap_or(now))
                    .bind(now.saturating_add(confirm_after))
                    .bind(&payment.id)
                    .execute(tx)
                    .await?;
                Ok(News::Nothing)
            })
            .await
        }
        Ok(_) => {
            let mut tx = app.db.write().await?;
            sqlx::query("UPDATE payments SET suspect_code = NULL, suspect_at = NULL WHERE id = $1")
                .bind(id)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            find(app, id).await
        }
        Err(error) => {
            tracing::warn!(event = "payment.not_told", payment = id, %error, "Daraja could not be asked");
            if error.is_throttled() {
                slow_down(app, &error).await?;
            }
            find(app, id).await
        }
    }
}

/// Daraja counts all queries of an app together.
async fn slow_down(app: &App, error: &Error) -> sqlx::Result<()> {
    let pause = error.retry_after().unwrap_or_default().max(app.rules.query_spacing.saturating_mul(2));
    let pause = millis(pause).min(LONGEST_PAUSE);
    book_turn(app, now().saturating_add(pause), i64::MAX).await.map(drop)
}

/// Sees what a server that died has left: what it had not begun to send was not sent, and what it was sending is unknown.
pub(crate) async fn tidy(app: &App) -> sqlx::Result<()> {
    let now = now();
    let mut tx = app.db.write().await?;
    let not_sent = sqlx::query(
        "UPDATE payments SET state = 'settled', outcome = 'failed', holds_order = 0, reason = 'not_sent', advice = 'retry',
         customer_message = 'The request was not sent. Nothing was charged: try again.', retry_at = $1, settled_at = $1
         WHERE state = 'created' AND created_at < $2",
    )
    .bind(now)
    .bind(now.saturating_sub(NEVER_SENT))
    .execute(&mut *tx)
    .await?;
    sqlx::query("UPDATE payments SET state = 'unknown' WHERE state = 'sending' AND sent_at < $1")
        .bind(now.saturating_sub(millis(LONGEST_PUSH)))
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    for _ in 0..not_sent.rows_affected() {
        metrics::failed("not_sent");
    }
    Ok(())
}
