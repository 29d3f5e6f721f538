//! Money that goes back to a customer: by a reversal, and by a payout only after a reversal was finally refused.
//!
//! `created` → `sending` → `accepted` or `unknown` → `settled`; `not_sent` if the request provably was not carried out, so
//! that it may be made again; `paying_out` once a payout takes its place; `needs_person` where no program may go on.

use axum::{extract::State, http::HeaderMap};
use daraja::{
    Kes, ReceiptNumber, Reversal, ReversalOutcome, ReversalResult, Shillings,
    webhook::{Event, Reference},
};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, FromRow};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    auth::Admin,
    db::{is_taken, new_id, now},
    idempotency::{self, Named, Seen},
    metrics,
    openapi::{Conflict, Forbidden, Invalid, NotFound, Unauthorized},
    payouts,
    reply::{Answer, Asked, Body, Failure, Id, List, Page, Reply, text},
};

/// A reversal that is still being sent after this was interrupted, in milliseconds.
const LONGEST_SEND: i64 = 120_000;

/// What is to be given back.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct NewRefund {
    /// The receipt of the payment. There is one refund for each.
    #[schema(example = "SG632NMUAB")]
    pub(crate) receipt: String,
    /// Whole shillings, at most what was received; all of it if left out.
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    pub(crate) amount: Option<payouts::Amount>,
    /// 1 to 200 characters: it is kept.
    pub(crate) reason: String,
}

/// Money that goes back.
#[derive(Debug, Clone, Serialize, Deserialize, FromRow, ToSchema)]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) receipt: String,
    #[serde(skip, default)]
    received_id: String,
    #[serde(skip, default)]
    payer: String,
    /// Whole shillings.
    pub(crate) amount: i64,
    /// created, sending, accepted, unknown, `not_sent`, `paying_out`, settled or `needs_person`
    pub(crate) state: String,
    /// reversed, `already_reversed` or `paid_out`
    pub(crate) outcome: Option<String>,
    /// Why it did not go on.
    pub(crate) reason: Option<String>,
    #[serde(skip, default)]
    conversation_id: Option<String>,
    #[serde(skip, default)]
    originator_conversation_id: Option<String>,
    /// The payout that takes the place of a refused reversal.
    pub(crate) payout_id: Option<String>,
    #[serde(skip, default)]
    created_by: String,
    /// Milliseconds since 1970.
    pub(crate) created_at: i64,
}

const COLUMNS: &str = "id, receipt, received_id, payer, amount, state, outcome, reason, conversation_id, \
    originator_conversation_id, payout_id, created_by, created_at";

fn refunds(before: &str, after: &str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(format!("{before} {COLUMNS} {after}"))
}

async fn lock(tx: &mut AnyConnection, id: &str) -> sqlx::Result<Option<Refund>> {
    sqlx::query_as(refunds("UPDATE refunds SET version = version + 1 WHERE id = $1 RETURNING", ""))
        .bind(id)
        .fetch_optional(tx)
        .await
}

#[derive(FromRow)]
struct Received {
    id: String,
    amount_cents: Option<i64>,
    payer: Option<String>,
    disposition: String,
}

/// Writes down that money goes back; the reversal is sent afterwards, in a task of its own.
pub(crate) async fn request(
    app: &App,
    admin: &Admin,
    wanted: &NewRefund,
    named: Option<&Named>,
) -> Result<Reply<Refund>, Failure> {
    let note = text("reason", &wanted.reason, 200)?;
    if app.daraja.payouts.is_none() {
        let message = "Refunds are not set up: the MPESA_B2C_ variables are missing.";
        return Err(Failure::conflict("PAYOUTS_NOT_SET_UP", message));
    }
    let no_receipt = || Failure::not_found("RECEIPT_NOT_FOUND", "No money was received under this receipt.");
    let receipt: ReceiptNumber = wanted.receipt.trim().to_uppercase().parse().map_err(|_| no_receipt())?;
    let id = new_id();
    let mut tx = app.db.write().await?;
    if let Some(named) = named {
        match named.begin(&mut tx, &id).await? {
            Seen::Never => {}
            Seen::Answered(status, answer) => return idempotency::again(status, &answer),
            Seen::UnderWay(_) => return Err(idempotency::in_flight()),
        }
    }
    let received: Option<Received> =
        sqlx::query_as("SELECT id, amount_cents, payer, disposition FROM received WHERE receipt = $1")
            .bind(receipt.as_str())
            .fetch_optional(&mut *tx)
            .await?;
    let received = received.ok_or_else(no_receipt)?;
    let whole = received.amount_cents.unwrap_or_default() / 100;
    let amount = wanted.amount.map_or(whole, payouts::Amount::shillings);
    if amount < 1 || amount > whole {
        let message = format!("At most KES {whole} can be given back: that is what was received.");
        return Err(Failure::invalid("INVALID_AMOUNT", message));
    }
    let already = || Failure::conflict("ALREADY_REFUNDED", "There is a refund for this receipt already.");
    if received.disposition == "refunded" {
        return Err(already());
    }
    sqlx::query(
        "INSERT INTO refunds (id, received_id, receipt, payer, amount, note, state, server, created_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'created', $7, $8, $9)",
    )
    .bind(&id)
    .bind(&received.id)
    .bind(receipt.as_str())
    .bind(received.payer.unwrap_or_default())
    .bind(amount)
    .bind(note)
    .bind(&*app.server)
    .bind(&admin.0.id)
    .bind(now())
    .execute(&mut *tx)
    .await
    .map_err(|error| if is_taken(&error) { already() } else { error.into() })?;
    let refund = lock(&mut tx, &id).await?.ok_or_else(not_found)?;
    let reply = Reply::new("Refund accepted", refund).with_status(axum::http::StatusCode::ACCEPTED);
    if let Some(named) = named {
        named.finish(&mut tx, &reply).await?;
    }
    tx.commit().await?;
    metrics::refund_requested();
    tracing::info!(event = "refund.requested", refund = id, by = admin.0.id, "a refund was requested");
    begin(app, id);
    Ok(reply)
}

fn not_found() -> Failure {
    Failure::not_found("REFUND_NOT_FOUND", "There is no such refund.")
}

/// Sends the reversal in a task of its own.
fn begin(app: &App, id: String) {
    let shared = app.clone();
    drop(app.spawn(async move {
        if let Err(failure) = reverse(&shared, &id).await {
            tracing::error!(event = "refund.stuck", refund = id, message = %failure.message, "a refund could not go on");
        }
    }));
}

/// Sends the reversal of a refund that was created: once.
async fn reverse(app: &App, id: &str) -> Result<(), Failure> {
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
    let reversal = request_of(app, &refund)?;
    tx.commit().await?;
    let outcome = app.daraja.client.send(&reversal).await;
    let (state, reason, accepted) = match &outcome {
        Ok(accepted) => ("accepted", None, Some(accepted)),
        Err(error) if error.outcome_unknown() => ("unknown", Some(error.to_string()), None),
        Err(error) => ("not_sent", Some(error.to_string()), None),
    };
    tracing::info!(event = "refund.sent", refund = id, state, "a reversal was sent");
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
    Ok(())
}

fn request_of(app: &App, refund: &Refund) -> Result<Reversal, Failure> {
    let broken = |_| Failure::conflict("REFUND_BROKEN", "This refund cannot be read: a person has to look at it.");
    let settings = app.daraja.payouts.as_ref().ok_or_else(not_found)?;
    let reference: Reference = refund.id.parse().map_err(broken)?;
    let receipt = refund.receipt.parse().map_err(broken)?;
    let amount =
        u32::try_from(refund.amount).ok().and_then(|amount| Shillings::new(amount).ok()).ok_or_else(not_found)?;
    let urls = app.daraja.receiver.urls().results(&reference);
    // The money came in to the merchant's code, whatever the code is that payouts leave from.
    Ok(Reversal::new(&settings.initiator, app.daraja.merchant.short_code(), receipt, amount, urls))
}

/// Takes what came to the URLs of a refund. `false` if the reference is none of a refund.
pub(crate) async fn news(tx: &mut AnyConnection, app: &App, reference: &str, event: &Event) -> Result<bool, Failure> {
    let Some(refund) = lock(&mut *tx, reference).await? else { return Ok(false) };
    let Event::Result(result) = event else { return Ok(true) };
    let Some(result) = result.reversal() else { return Ok(true) };
    if !refund.is_answered_by(&result) {
        tracing::error!(event = "refund.other_news", refund = refund.id, "news that is about another reversal");
        return Ok(true);
    }
    match &result.outcome {
        ReversalOutcome::Reversed(_) => settle(tx, &refund, "reversed").await?,
        ReversalOutcome::AlreadyReversed => settle(tx, &refund, "already_reversed").await?,
        ReversalOutcome::Refused(failure) if matches!(refund.state.as_str(), "sending" | "accepted" | "unknown") => {
            tracing::warn!(event = "refund.refused", refund = refund.id, reason = %failure.reason(), "a reversal was refused");
            pay_out_instead(tx, app, &refund, &failure.reason().to_string()).await?;
        }
        _ => {}
    }
    Ok(true)
}

impl Refund {
    /// Whether a result is about this reversal: by its ids, or if their telling was lost by the URL it came to; and what was
    /// reversed must be what was asked for.
    fn is_answered_by(&self, result: &ReversalResult) -> bool {
        let conversation = result.conversation_id.as_ref().map(ToString::to_string);
        let originator = result.originator_conversation_id.as_ref().map(ToString::to_string);
        let named = self.conversation_id.is_some() || self.originator_conversation_id.is_some();
        let same = (conversation.is_some() && conversation == self.conversation_id)
            || (originator.is_some() && originator == self.originator_conversation_id);
        if named && !same {
            return false;
        }
        match &result.outcome {
            ReversalOutcome::Reversed(reversed) => {
                let amount = Kes::from_cents(self.amount.saturating_mul(100));
                reversed.original_receipt.as_str() == self.receipt && reversed.amount.is_none_or(|told| told == amount)
            }
            _ => true,
        }
    }
}

/// The money is back. This is never left.
async fn settle(tx: &mut AnyConnection, refund: &Refund, outcome: &str) -> sqlx::Result<()> {
    let settled = sqlx::query(
        "UPDATE refunds SET state = 'settled', outcome = $1, reason = NULL, settled_at = $2 WHERE id = $3 AND state <> 'settled'",
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
    sqlx::query("UPDATE received SET disposition = 'refunded' WHERE id = $1")
        .bind(&refund.received_id)
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "UPDATE orders SET state = 'refunded' WHERE state = 'paid' AND paid_by =
         (SELECT payment_id FROM received WHERE id = $1 AND reason IS NULL)",
    )
    .bind(&refund.received_id)
    .execute(&mut *tx)
    .await?;
    metrics::refund_ended(outcome);
    tracing::info!(event = "refund.settled", refund = refund.id, outcome, "money was given back");
    Ok(())
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
        return settle(tx, &Refund { state: "accepted".to_owned(), ..refund }, "paid_out").await;
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
        .bind(now.saturating_sub(LONGEST_SEND))
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

/// The refunds, the newest first.
pub(crate) async fn list(app: &App, page: Page) -> Result<List<Refund>, Failure> {
    let (limit, offset) = page.limits()?;
    let items = sqlx::query_as(refunds("SELECT", "FROM refunds ORDER BY created_at DESC, id LIMIT $1 OFFSET $2"))
        .bind(limit)
        .bind(offset)
        .fetch_all(app.db.pool())
        .await?;
    let (total,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM refunds").fetch_one(app.db.pool()).await?;
    Ok(List::new(items, page, total))
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(request_refund)).routes(routes!(list_refunds)).routes(routes!(retry_refund))
}

/// Gives money back: by a reversal, and by a payout to the payer's number only if the reversal is finally refused.
#[utoipa::path(post, path = "/api/payments/refund", tag = "refunds", request_body = NewRefund,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same request twice is one refund.")),
    responses((status = 202, body = Reply<Refund>), Unauthorized, Forbidden, NotFound, Conflict, Invalid))]
async fn request_refund(
    State(app): State<App>,
    admin: Admin,
    headers: HeaderMap,
    Body(body): Body<NewRefund>,
) -> Answer<Refund> {
    let named = Named::read(&headers, &admin.0, "refund", &body)?;
    request(&app, &admin, &body, named.as_ref()).await
}

/// Refunds, the newest first.
#[utoipa::path(get, path = "/api/payments/refunds", tag = "refunds", params(Page),
    responses((status = 200, body = Reply<List<Refund>>), Unauthorized, Forbidden))]
async fn list_refunds(State(app): State<App>, _: Admin, Asked(page): Asked<Page>) -> Answer<List<Refund>> {
    Ok(Reply::new("Refunds", list(&app, page).await?))
}

/// Sends the reversal of a refund again that provably was not carried out.
#[utoipa::path(post, path = "/api/payments/refunds/{id}/retry", tag = "refunds", params(("id" = String, Path)),
    responses((status = 202, body = Reply<Refund>), Unauthorized, Forbidden, NotFound, Conflict))]
async fn retry_refund(State(app): State<App>, _: Admin, Id(id): Id) -> Answer<Refund> {
    retry(&app, id.clone()).await?;
    let mut tx = app.db.write().await?;
    let refund = lock(&mut tx, &id).await?.ok_or_else(not_found)?;
    Ok(Reply::new("Refund accepted", refund).with_status(axum::http::StatusCode::ACCEPTED))
}

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
