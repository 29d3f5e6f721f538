//! The next safe step of a payout, whoever comes to it: the task of its request, or the sweep of any server.

use daraja::{
    NextStep, Payout, PayoutState,
    webhook::{Event, EventKind, Reference},
};
use sqlx::AnyConnection;

use super::{Row, due, lock, status};
use crate::{app::App, db::now, metrics, refunds, reply::Failure};

/// While one server asks, no other does, in milliseconds.
const ASKING: i64 = 60_000;
/// Before one that cannot be read is looked at again, in milliseconds.
const UNREADABLE: i64 = 3_600_000;

/// Takes the next step in a task of its own.
pub(crate) fn begin_due(app: &App, id: String) {
    let shared = app.clone();
    drop(app.spawn(async move {
        if let Err(error) = work(&shared, &id).await {
            tracing::error!(event = "payout.stuck", payout = id, message = %error.message, "a payout could not go on");
        }
    }));
}

/// Takes the next step of a payout, if one is due. Two that come at once take it once.
pub(crate) async fn work(app: &App, id: &str) -> Result<(), Failure> {
    let now = app.daraja.client.now();
    let mut tx = app.db.write().await?;
    let Some(row) = lock(&mut tx, id).await? else { return Ok(()) };
    if row.status != "pending" {
        return Ok(());
    }
    let mut payout = match row.payout() {
        Ok(payout) => payout,
        Err(unreadable) => {
            // It must not stand in the way of the others.
            set_due(&mut tx, id, UNREADABLE).await?;
            tx.commit().await?;
            return Err(unreadable);
        }
    };
    let Some(settings) = &app.daraja.payouts else { return Err(super::not_set_up()) };
    match payout.next_step(now) {
        NextStep::Send | NextStep::SendAgainWithSameId => {
            let urls = app.daraja.receiver.urls().payout(&reference(id)?);
            let dispatch = payout.begin(now).map_err(broken)?;
            store(&mut tx, app, &row, &payout).await?;
            // On the disk before it is on the wire.
            tx.commit().await?;
            let sent = dispatch.send(&app.daraja.client, &settings.initiator, urls).await;
            if let Err(error) = sent.outcome() {
                tracing::warn!(event = "payout.not_taken", payout = id, %error, "a payout was not taken");
            }
            record(app, id, |payout| payout.sent(&sent, app.daraja.client.now())).await
        }
        NextStep::AskStatus => {
            let urls = app.daraja.receiver.urls().question(&reference(id)?);
            let Some(query) = payout.status_query(&settings.initiator, urls) else { return Ok(()) };
            set_due(&mut tx, id, ASKING).await?;
            tx.commit().await?;
            let outcome = app.daraja.client.send(&query).await;
            record(app, id, |payout| payout.asked(&query, &outcome, app.daraja.client.now())).await
        }
        // A moment that has come meanwhile is seen by the next sweep.
        _ => {
            store(&mut tx, app, &row, &payout).await?;
            tx.commit().await?;
            Ok(())
        }
    }
}

async fn set_due(tx: &mut AnyConnection, id: &str, pause: i64) -> sqlx::Result<()> {
    let due = sqlx::query("UPDATE payouts SET due_at = $1 WHERE id = $2").bind(now().saturating_add(pause));
    due.bind(id).execute(tx).await.map(drop)
}

fn reference(text: &str) -> Result<Reference, Failure> {
    text.parse().map_err(broken)
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub(crate) fn broken(error: daraja::error::Invalid) -> Failure {
    Failure::conflict("PAYOUT_BROKEN", error.to_string())
}

/// Daraja's answer is not to be had twice, so storing it is tried again.
async fn record(app: &App, id: &str, change: impl Fn(&mut Payout)) -> Result<(), Failure> {
    let mut tries = 0_u64;
    loop {
        match try_record(app, id, &change).await {
            Err(failure) if tries < 6 => {
                tracing::error!(
                    event = "payout.not_recorded",
                    payout = id,
                    code = failure.code,
                    "an answer was not stored"
                );
                tries = tries.saturating_add(1);
                tokio::time::sleep(std::time::Duration::from_millis(tries.saturating_mul(500))).await;
            }
            outcome => return outcome,
        }
    }
}

async fn try_record(app: &App, id: &str, change: impl Fn(&mut Payout)) -> Result<(), Failure> {
    let mut tx = app.db.write().await?;
    let Some(row) = lock(&mut tx, id).await? else { return Ok(()) };
    let mut payout = row.payout()?;
    change(&mut payout);
    let ended = store(&mut tx, app, &row, &payout).await?;
    tx.commit().await?;
    tell(&row, ended);
    Ok(())
}

/// Stores a payout whose row is locked. Gives its status if it has ended now.
async fn store(tx: &mut AnyConnection, app: &App, row: &Row, payout: &Payout) -> Result<Option<&'static str>, Failure> {
    let (told, receipt, reason) = shown(payout);
    // A person's word stands, unless Daraja tells of a payment.
    let by_word = row.is_ended_by_word()?;
    let kept = if by_word && told != "completed" { row.status.as_str() } else { told };
    let ended = (kept != "pending" && row.status != kept).then_some(told);
    let other_receipt = row.receipt.is_some() && receipt.is_some() && row.receipt != receipt;
    let differs = by_word && told != "pending" && (told != row.status || other_receipt);
    sqlx::query(
        "UPDATE payouts SET payout = $1, status = $2, receipt = COALESCE($3, receipt), reason = COALESCE($4, reason),
         contradictory = CASE WHEN $5 = 1 THEN 1 ELSE contradictory END, due_at = $6, settled_at = CASE WHEN $7 = 1 THEN $8 ELSE settled_at END WHERE id = $9",
    )
    .bind(serde_json::to_string(payout).unwrap_or_default())
    .bind(kept)
    .bind(receipt)
    .bind(reason)
    .bind(i64::from(differs || !payout.contradictions().is_empty()))
    .bind(if kept == "pending" { due(payout, app.daraja.client.now()) } else { None })
    .bind(i64::from(ended.is_some()))
    .bind(now())
    .bind(&row.id)
    .execute(&mut *tx)
    .await?;
    if let (Some(refund), Some(ended)) = (&row.refund_id, ended) {
        refunds::paid_back(tx, refund, ended).await?;
    }
    Ok(ended)
}

/// What the columns beside a payout say of it: status, receipt, and why it failed.
pub(crate) fn shown(payout: &Payout) -> (&'static str, Option<String>, Option<String>) {
    let (receipt, reason) = match payout.state() {
        PayoutState::Paid(paid) => (Some(paid.receipt.to_string()), None),
        PayoutState::Failed(failure) => (None, Some(failure.reason().to_string())),
        PayoutState::Refused(words) => (None, Some(words.to_string())),
        _ => (None, None),
    };
    (status(payout.state()), receipt, reason)
}

fn tell(row: &Row, ended: Option<&'static str>) {
    if let Some(status) = ended {
        metrics::payout_ended(status);
        tracing::info!(event = "payout.ended", payout = row.id, status, "a payout has ended");
    }
}

/// Takes what came to the URLs of a payout. `None` if the reference is none of a payout.
pub(crate) async fn news(tx: &mut AnyConnection, app: &App, id: &str, event: &Event) -> Result<bool, Failure> {
    let Some(row) = lock(&mut *tx, id).await? else { return Ok(false) };
    let mut payout = row.payout()?;
    let now = app.daraja.client.now();
    let taken = match event {
        Event::Result(result) if event.kind() == EventKind::Question => {
            result.transaction_status().map_or(Ok(()), |status| payout.take_status(&status, now))
        }
        Event::Result(result) => result.b2c().map_or(Ok(()), |result| payout.take_result(&result, now)),
        Event::QueueTimeout(timeout) if event.kind() == EventKind::PayoutTimeout => payout.take_timeout(timeout, now),
        _ => Ok(()),
    };
    if let Err(error) = taken {
        tracing::error!(event = "payout.other_news", payout = id, %error, "news that is about another payment");
    }
    let ended = store(tx, app, &row, &payout).await?;
    tell(&row, ended);
    Ok(true)
}
