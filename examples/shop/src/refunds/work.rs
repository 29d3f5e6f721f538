//! What becomes of a refund: the reversal that is sent once, and what Daraja tells of it.

use std::time::Duration;

use daraja::{
    Accepted, Kes, Result as Told, Reversal, ReversalOutcome, ReversalReason, ReversalResult, Shillings,
    operation::NotAfter,
    reversal::Reversed,
    webhook::{Event, Reference},
};
use sqlx::AnyConnection;
use tokio::time::sleep;

use super::{Refund, lock, not_found};
use crate::{
    app::App,
    db::{millis, now},
    metrics, payouts,
    reply::Failure,
};

/// A reversal is not sent later, and one that is still being sent after this was interrupted.
const LONGEST_SEND: Duration = Duration::from_mins(2);

/// Sends a reversal again that provably was not carried out.
pub(crate) async fn retry(app: &App, id: String) -> Result<(), Failure> {
    let mut tx = app.db.write().await?;
    let refund = lock(&mut tx, &id).await?.ok_or_else(not_found)?;
    if refund.state != "not_sent" {
        let message = "Only a reversal that provably was not carried out can be sent again.";
        return Err(Failure::conflict("NOT_TO_BE_RETRIED", message));
    }
    sqlx::query("UPDATE refunds SET state = 'created', reason = NULL WHERE id = $1")
        .bind(&id)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    begin(app, id);
    Ok(())
}

/// Sends the reversal in a task of its own.
pub(super) fn begin(app: &App, id: String) {
    let shared = app.clone();
    drop(app.spawn(async move {
        if let Err(failure) = reverse(&shared, &id).await {
            tracing::error!(event = "refund.stuck", refund = id, message = %failure.message, "a refund could not go on");
        }
    }));
}

/// Sends the reversal of a refund that was created: once.
async fn reverse(app: &App, id: &str) -> Result<(), Failure> {
    // A program can stand still anywhere: after this time a person may end the refund, and what is late must not leave.
    let not_after = NotAfter::within(app.daraja.client.now(), LONGEST_SEND);
    let mut tx = app.db.write().await?;
    let begun = sqlx::query(
        "UPDATE refunds SET state = 'sending', sent_at = $1, server = $2 WHERE id = $3 AND state = 'created'",
    )
    .bind(now())
    .bind(&*app.server)
    .bind(id)
    .execute(&mut *tx)
    .await?;
    let refund = lock(&mut tx, id).await?.ok_or_else(not_found)?;
    if begun.rows_affected() == 0 {
        return Ok(());
    }
    let reversal = request_of(app, &refund)?.not_after(not_after);
    tx.commit().await?;
    let outcome = app.daraja.client.send(&reversal).await;
    // Daraja's answer is not to be had twice.
    for pause in [0_u64, 100, 500, 2_000, 5_000, 10_000, 20_000] {
        sleep(Duration::from_millis(pause)).await;
        match record(app, id, &outcome).await {
            Ok(()) => break,
            Err(error) => {
                tracing::error!(event = "refund.not_recorded", refund = id, %error, "an answer could not be stored");
            }
        }
    }
    Ok(())
}

async fn record(app: &App, id: &str, outcome: &Told<Accepted>) -> sqlx::Result<()> {
    let (state, reason, accepted) = match outcome {
        Ok(accepted) => ("accepted", None, Some(accepted)),
        Err(error) if error.outcome_unknown() => ("unknown", Some(error.to_string()), None),
        Err(error) => ("not_sent", Some(error.to_string()), None),
    };
    let mut tx = app.db.write().await?;
    sqlx::query(
        "UPDATE refunds SET state = $1, reason = $2, conversation_id = $3, originator_conversation_id = $4
         WHERE id = $5 AND state IN ('sending', 'unknown')",
    )
    .bind(state)
    .bind(reason)
    .bind(accepted.and_then(|accepted| accepted.conversation_id.as_ref().map(ToString::to_string)))
    .bind(accepted.and_then(|accepted| accepted.originator_conversation_id.as_ref().map(ToString::to_string)))
    .bind(id)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    tracing::info!(event = "refund.sent", refund = id, state, "a reversal was sent");
    Ok(())
}

fn request_of(app: &App, refund: &Refund) -> Result<Reversal, Failure> {
    let broken = |_| Failure::conflict("REFUND_BROKEN", "This refund cannot be read: a person has to look at it.");
    let settings = app.daraja.payouts.as_ref().ok_or_else(not_found)?;
    let reference: Reference = refund.id.parse().map_err(broken)?;
    let receipt = refund.receipt.parse().map_err(broken)?;
    let amount =
        u32::try_from(refund.amount).ok().and_then(|amount| Shillings::new(amount).ok()).ok_or_else(not_found)?;
    let urls = app.daraja.receiver.urls().payout(&reference);
    // The money came in to the merchant's code, whatever the code is that payouts leave from.
    Ok(Reversal::new(&settings.initiator, app.daraja.merchant.short_code(), receipt, amount, urls))
}

/// Takes what came to the URLs of a refund. `false` if the reference is none of a refund.
pub(crate) async fn news(tx: &mut AnyConnection, app: &App, reference: &str, event: &Event) -> Result<bool, Failure> {
    let Some(refund) = lock(&mut *tx, reference).await? else { return Ok(false) };
    let Event::Result(result) = event else { return Ok(true) };
    let Some(result) = result.reversal() else { return Ok(true) };
    if !refund.is_named_by(&result) {
        tracing::error!(event = "refund.other_news", refund = refund.id, "news that is about another reversal");
        return Ok(true);
    }
    match &result.outcome {
        ReversalOutcome::Reversed(reversed) if !refund.is_done_by(reversed) => {
            tracing::error!(event = "refund.differs", refund = refund.id, "a reversal that is not what was asked for");
            if !matches!(refund.state.as_str(), "settled" | "paying_out" | "not_given_back") {
                let why = "M-PESA told of a reversal of another amount or of another receipt";
                leave_to_a_person(tx, &refund, why).await?;
            }
        }
        ReversalOutcome::Reversed(_) => settle(tx, &refund, "reversed").await?,
        ReversalOutcome::AlreadyReversed => settle(tx, &refund, "already_reversed").await?,
        ReversalOutcome::Refused(failure) if matches!(refund.state.as_str(), "sending" | "accepted" | "unknown") => {
            tracing::warn!(event = "refund.refused", refund = refund.id, reason = %failure.reason(), "a reversal was refused");
            refused(tx, app, &refund, failure.reason()).await?;
        }
        _ => {}
    }
    Ok(true)
}

impl Refund {
    /// Whether a result is about this reversal: by its ids, or if their telling was lost by the URL it came to.
    fn is_named_by(&self, result: &ReversalResult) -> bool {
        let conversation = result.conversation_id.as_ref().map(ToString::to_string);
        let originator = result.originator_conversation_id.as_ref().map(ToString::to_string);
        let named = self.conversation_id.is_some() || self.originator_conversation_id.is_some();
        let same = (conversation.is_some() && conversation == self.conversation_id)
            || (originator.is_some() && originator == self.originator_conversation_id);
        same || !named
    }

    /// Whether what was reversed is what was asked for.
    fn is_done_by(&self, reversed: &Reversed) -> bool {
        let amount = Kes::from_cents(self.amount.saturating_mul(100));
        reversed.original_receipt.as_str() == self.receipt && reversed.amount.is_none_or(|told| told == amount)
    }
}

/// The money is back. This is never left.
pub(super) async fn settle(tx: &mut AnyConnection, refund: &Refund, outcome: &str) -> sqlx::Result<()> {
    if refund.state == "not_given_back" {
        stop_the_next(tx, refund).await?;
    }
    let settled = sqlx::query(
        "UPDATE refunds SET state = CASE WHEN state = 'not_given_back' THEN state ELSE 'settled' END, outcome = $1,
         reason = NULL, settled_at = $2 WHERE id = $3 AND state <> 'settled' AND outcome IS NULL",
    )
    .bind(outcome)
    .bind(now())
    .bind(&refund.id)
    .execute(&mut *tx)
    .await?;
    if settled.rows_affected() == 0 {
        return Ok(());
    }
    if refund.state == "paying_out" {
        tracing::error!(
            event = "refund.twice",
            refund = refund.id,
            "a reversal was told refused and then done: it may be given back twice"
        );
    }
    // Of what is given back in part, the rest is still the order's.
    let whole = "SELECT id FROM received WHERE id = $1 AND COALESCE(amount_cents, 0) / 100 <= $2";
    let refunded = format!("UPDATE received SET disposition = 'refunded' WHERE id IN ({whole})");
    let order = format!(
        "UPDATE orders SET state = 'refunded' WHERE state = 'paid' AND paid_by IN
         (SELECT payment_id FROM received WHERE id IN ({whole}) AND reason IS NULL)"
    );
    for sql in [refunded, order] {
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(&refund.received_id).bind(refund.amount).execute(&mut *tx).await?;
    }
    metrics::refund_ended(outcome);
    tracing::info!(event = "refund.settled", refund = refund.id, outcome, "money was given back");
    Ok(())
}

/// A person has said that it was not given back, and it was: another refund of the same receipt must not begin.
async fn stop_the_next(tx: &mut AnyConnection, refund: &Refund) -> sqlx::Result<()> {
    tracing::error!(event = "refund.contradictory", refund = refund.id, "it was given back, against a person's word");
    sqlx::query(
        "UPDATE refunds SET state = 'needs_person', reason = 'it was given back before, against a person''s word'
         WHERE received_id = $1 AND id <> $2 AND state IN ('created', 'not_sent')",
    )
    .bind(&refund.received_id)
    .bind(&refund.id)
    .execute(tx)
    .await
    .map(drop)
}

/// The money stays with us, finally: a payout takes the reversal's place, if it is sure that there is such money. It is not
/// if Daraja does not know the receipt, or if only an admin has told of it.
async fn refused(tx: &mut AnyConnection, app: &App, refund: &Refund, reason: ReversalReason) -> Result<(), Failure> {
    if reason == ReversalReason::UnknownPayment {
        return Ok(leave_to_a_person(tx, refund, &reason.to_string()).await?);
    }
    let (source, amount): (String, Option<i64>) =
        sqlx::query_as("SELECT source, amount_cents FROM received WHERE id = $1")
            .bind(&refund.received_id)
            .fetch_one(&mut *tx)
            .await?;
    // A receipt beside what a query has proved is an admin's word, too.
    if source != "callback" {
        let why = format!("{reason}; and only an admin has told of this money");
        return Ok(leave_to_a_person(tx, refund, &why).await?);
    }
    if amount.is_none() {
        let why = format!("{reason}; and M-PESA did not report how much came in");
        return Ok(leave_to_a_person(tx, refund, &why).await?);
    }
    pay_out_instead(tx, app, refund, &reason.to_string()).await
}

async fn leave_to_a_person(tx: &mut AnyConnection, refund: &Refund, why: &str) -> sqlx::Result<()> {
    tracing::error!(event = "refund.needs_person", refund = refund.id, why, "a refund needs a person");
    sqlx::query("UPDATE refunds SET state = 'needs_person', reason = $1 WHERE id = $2")
        .bind(why)
        .bind(&refund.id)
        .execute(tx)
        .await
        .map(drop)
}

async fn pay_out_instead(tx: &mut AnyConnection, app: &App, refund: &Refund, reason: &str) -> Result<(), Failure> {
    let paid = payouts::pay_back(&mut *tx, app, &refund.id, &refund.payer, refund.amount, &refund.created_by).await;
    let (state, reason, payout) = match paid {
        Ok(payout) => ("paying_out", reason.to_owned(), Some(payout)),
        // Too little for a payout, or a number that cannot be paid.
        Err(failure) if failure.status.is_client_error() => ("needs_person", failure.message.into_owned(), None),
        Err(failure) => return Err(failure),
    };
    sqlx::query("UPDATE refunds SET state = $1, reason = $2, payout_id = $3 WHERE id = $4")
        .bind(state)
        .bind(reason)
        .bind(payout)
        .bind(&refund.id)
        .execute(tx)
        .await?;
    Ok(())
}

/// The payout that took the place of a reversal has ended.
pub(crate) async fn paid_back(tx: &mut AnyConnection, id: &str, status: &str) -> sqlx::Result<()> {
    let Some(refund) = lock(&mut *tx, id).await? else { return Ok(()) };
    if status == "completed" {
        let state = if refund.state == "paying_out" { "accepted".to_owned() } else { refund.state.clone() };
        return settle(tx, &Refund { state, ..refund }, "paid_out").await;
    }
    sqlx::query("UPDATE refunds SET state = 'needs_person', reason = 'the payout failed' WHERE id = $1 AND state = 'paying_out'")
        .bind(id)
        .execute(tx)
        .await
        .map(drop)
}

/// What a server that died has left: what it had not begun is begun, what it was sending is unknown.
pub(crate) async fn tidy(app: &App) -> sqlx::Result<()> {
    let now = now();
    let mut tx = app.db.write().await?;
    sqlx::query("UPDATE refunds SET state = 'unknown' WHERE state = 'sending' AND sent_at < $1")
        .bind(now.saturating_sub(millis(LONGEST_SEND)))
        .execute(&mut *tx)
        .await?;
    let waiting: Vec<(String,)> =
        sqlx::query_as("SELECT id FROM refunds WHERE state = 'created' AND created_at < $1 LIMIT 20")
            .bind(now.saturating_sub(5_000))
            .fetch_all(&mut *tx)
            .await?;
    tx.commit().await?;
    for (id,) in waiting {
        begin(app, id);
    }
    Ok(())
}
