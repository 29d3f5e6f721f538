//! Money that goes back to a customer: by a reversal, and by a payout only after a reversal was finally refused.
//!
//! `created` → `sending` → `accepted` or `unknown` → `settled`; `not_sent` if the request provably was not carried out, so
//! that it may be made again; `paying_out` once a payout takes its place; `needs_person` where no program may go on. A
//! person's word ends it as `settled` or as `not_given_back`, after which the receipt can be refunded anew.

use daraja::ReceiptNumber;
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, FromRow};
use utoipa::ToSchema;

use crate::{
    app::App,
    auth::Admin,
    db::{is_taken, new_id, now},
    idempotency::{self, Named, Seen},
    metrics, payouts,
    reply::{Failure, List, Page, Reply, text},
};

mod routes;
mod word;
mod work;

pub(crate) use routes::routes;
pub(crate) use word::{RefundWord, may_be_resolved, resolve};
pub(crate) use work::{news, paid_back, retry, tidy};

/// What is to be given back.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct NewRefund {
    /// The receipt of the payment. There is one refund for each, until a person has ended it as not given back.
    #[schema(example = "SG632NMUAB")]
    pub(crate) receipt: String,
    /// Whole shillings, at most what was received; all of it if left out, and all of it if it is no order's money.
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
    /// created, sending, accepted, unknown, `not_sent`, `paying_out`, settled, `needs_person` or `not_given_back`
    pub(crate) state: String,
    /// reversed, `already_reversed`, `paid_out` or `by_word`
    pub(crate) outcome: Option<String>,
    /// M-PESA's receipt of what went back, if a person told it.
    pub(crate) back_receipt: Option<String>,
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
    #[serde(skip, default)]
    sent_at: Option<i64>,
}

impl Refund {
    /// Since when Daraja could have told of it.
    fn since(&self) -> i64 {
        self.sent_at.unwrap_or(self.created_at)
    }
}

const COLUMNS: &str = "id, receipt, received_id, payer, amount, state, outcome, back_receipt, reason, conversation_id, \
    originator_conversation_id, payout_id, created_by, created_at, sent_at";

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
    let known = received.amount_cents.map(|cents| cents / 100);
    let not_known = || {
        let message =
            "It is not known how much was received: state the amount that the M-PESA portal shows for this receipt.";
        Failure::invalid("INVALID_AMOUNT", message)
    };
    let amount = wanted.amount.map(payouts::Amount::shillings).or(known).ok_or_else(not_known)?;
    let whole = known.unwrap_or(amount);
    if amount < 1 || amount > whole {
        let message = format!("At most KES {whole} can be given back: that is what was received.");
        return Err(Failure::invalid("INVALID_AMOUNT", message));
    }
    if received.disposition == "to_refund" && amount < whole {
        let message = format!("This money is not ours: all of it goes back, KES {whole}.");
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
    work::begin(app, id);
    Ok(reply)
}

fn not_found() -> Failure {
    Failure::not_found("REFUND_NOT_FOUND", "There is no such refund.")
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
