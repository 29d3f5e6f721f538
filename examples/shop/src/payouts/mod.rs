//! Money that leaves: to suppliers, and back to customers where a reversal was refused.
//!
//! The library's [`Payout`] is what is stored. It freezes number, amount, short code and id, and says the next safe step.

use daraja::{B2cPayment, NextStep, Payout, PayoutState, Shillings, Timestamp, webhook::Reference};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, FromRow};
use utoipa::ToSchema;

use crate::{
    app::App,
    auth::Admin,
    config::Daraja,
    db::{new_id, now},
    idempotency::{self, Seen},
    metrics,
    reply::{Failure, Reply, text},
    suppliers,
};

mod amount;
mod guard;
mod people;
mod routes;
mod work;

pub(crate) use amount::Amount;
pub(crate) use guard::{Equal, Guard, is_equal_to_another};
pub(crate) use people::{Word, approve, check_second, resolve};
pub(crate) use routes::{list, routes, show};
pub(crate) use work::{begin_due, broken, news, shown};

/// A row of the table `payouts`.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) supplier_id: Option<String>,
    pub(crate) refund_id: Option<String>,
    payout: String,
    number: String,
    amount: i64,
    pub(crate) status: String,
    receipt: Option<String>,
    created_by: String,
}

/// A payout as it is told.
#[derive(Debug, Clone, Serialize, Deserialize, FromRow, ToSchema)]
pub(crate) struct PayoutView {
    pub(crate) id: String,
    /// Null if money is given back to a customer.
    pub(crate) supplier_id: Option<String>,
    pub(crate) supplier_name: Option<String>,
    /// With its middle hidden.
    #[schema(example = "254712***678")]
    pub(crate) number: String,
    /// Whole shillings.
    pub(crate) amount: i64,
    pub(crate) notes: String,
    /// `awaiting_approval`, pending, completed or failed
    pub(crate) status: String,
    /// M-PESA's receipt.
    pub(crate) receipt: Option<String>,
    /// Why it failed.
    pub(crate) reason: Option<String>,
    /// 1 if what Daraja told cannot be true together, or not with a person's word: a person has to look at it.
    pub(crate) contradictory: i64,
    /// An email address.
    pub(crate) created_by: String,
    pub(crate) approved_by: Option<String>,
    /// Milliseconds since 1970.
    pub(crate) created_at: i64,
    pub(crate) settled_at: Option<i64>,
}

/// What is to be paid to whom.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct NewPayout {
    #[schema(format = "uuid")]
    pub(crate) supplier_id: String,
    /// Whole shillings: a decimal with zero cents is taken, other cents are refused.
    #[schema(value_type = f64, example = 5000.00)]
    pub(crate) amount: Amount,
    /// For the shop's own records; M-PESA does not see it.
    #[serde(default)]
    #[schema(example = "Weekly payout for orders #123-#145", max_length = 500)]
    pub(crate) notes: String,
}

const ROW: &str = "id, supplier_id, refund_id, payout, number, amount, status, receipt, created_by";

/// Locks a payout until the transaction ends, and reads it.
pub(super) async fn lock(tx: &mut AnyConnection, id: &str) -> sqlx::Result<Option<Row>> {
    let sql = format!("UPDATE payouts SET version = version + 1 WHERE id = $1 RETURNING {ROW}");
    sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(tx).await
}

impl Row {
    fn payout(&self) -> Result<Payout, Failure> {
        serde_json::from_str(&self.payout).map_err(|error| {
            tracing::error!(event = "payout.unreadable", payout = self.id, %error, "a payout cannot be read");
            Failure::conflict("PAYOUT_BROKEN", "This payout cannot be read: a person has to look at it.")
        })
    }

    /// Whether its end is a person's word: it is none of what Daraja has told so far.
    fn is_ended_by_word(&self) -> Result<bool, Failure> {
        let is_ended = matches!(self.status.as_str(), "completed" | "failed");
        Ok(is_ended && status(self.payout()?.state()) != self.status)
    }
}

fn not_set_up() -> Failure {
    let message = "Payouts are not set up: the MPESA_B2C_ variables are missing.";
    Failure::conflict("PAYOUTS_NOT_SET_UP", message)
}

/// The payment of a payout, under the URLs of its own reference.
pub(crate) fn payment(daraja: &Daraja, id: &str, number: &str, amount: i64) -> Result<B2cPayment, Failure> {
    let settings = daraja.payouts.as_ref().ok_or_else(not_set_up)?;
    let invalid = |error: daraja::error::Invalid| Failure::invalid("INVALID_PAYOUT", format!("{error}."));
    let reference: Reference = id.parse().map_err(invalid)?;
    let amount = u32::try_from(amount).ok().and_then(|amount| Shillings::new(amount).ok());
    let amount = amount.ok_or_else(|| Failure::invalid("INVALID_AMOUNT", "The amount is too large or too small."))?;
    let urls = daraja.receiver.urls().payout(&reference);
    let number = number.parse().map_err(invalid)?;
    let payment = B2cPayment::new(&settings.initiator, settings.short_code, number, amount, urls);
    let checked = daraja::Operation::check(&payment, daraja.client.rules());
    checked.map_err(|error| Failure::invalid("INVALID_PAYOUT", format!("This cannot be paid out: {error}.")))?;
    Ok(payment)
}

/// Writes down a payout to a supplier; it is sent afterwards, in a task of its own.
pub(crate) async fn request(
    app: &App,
    admin: &Admin,
    wanted: &NewPayout,
    guard: Guard<'_>,
) -> Result<Reply<PayoutView>, Failure> {
    let named = guard.named();
    let notes = if wanted.notes.trim().is_empty() { String::new() } else { text("notes", &wanted.notes, 500)? };
    let mut tx = app.db.write().await?;
    guard::one_at_a_time(&mut tx, app).await?;
    let id = new_id();
    if let Some(named) = named {
        match named.begin(&mut tx, &id).await? {
            Seen::Never => {}
            Seen::Answered(status, answer) => return idempotency::again(status, &answer),
            Seen::UnderWay(_) => return Err(idempotency::in_flight()),
        }
    }
    let supplier = suppliers::lock(&mut tx, &wanted.supplier_id).await?;
    let amount = wanted.amount.shillings();
    let payment = payment(&app.daraja, &id, &supplier.mpesa_number, amount)?;
    guard.check(&mut tx, &supplier, amount).await?;
    guard::check_cap(&mut tx, app, &id, amount).await?;
    let status = if supplier.number_is_new(app) { "awaiting_approval" } else { "pending" };
    insert(&mut tx, &id, payment, Origin::Supplier(&supplier.id), status, &notes, &admin.0.id).await?;
    let view = view(&mut tx, &id).await?;
    let message = if status == "pending" { "Payout accepted" } else { "Payout needs a second admin's approval" };
    let reply = Reply::new(message, view).with_status(axum::http::StatusCode::ACCEPTED);
    if let Some(named) = named {
        named.finish(&mut tx, &reply).await?;
    }
    tx.commit().await?;
    metrics::payout_requested();
    tracing::info!(event = "payout.requested", payout = id, status, by = admin.0.id, "a payout was requested");
    if status == "pending" {
        begin_due(app, id);
    }
    Ok(reply)
}

/// What a payout is for.
pub(crate) enum Origin<'a> {
    Supplier(&'a str),
    Refund(&'a str),
}

async fn insert(
    tx: &mut AnyConnection,
    id: &str,
    payment: B2cPayment,
    origin: Origin<'_>,
    status: &str,
    notes: &str,
    by: &str,
) -> Result<(), Failure> {
    let payout = Payout::new(payment);
    let (supplier, refund) = match origin {
        Origin::Supplier(id) => (Some(id), None),
        Origin::Refund(id) => (None, Some(id)),
    };
    sqlx::query(
        "INSERT INTO payouts (id, supplier_id, refund_id, payout, number, amount, notes, status, created_by, due_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(id)
    .bind(supplier)
    .bind(refund)
    .bind(serde_json::to_string(&payout).unwrap_or_default())
    .bind(payout.recipient().to_string())
    .bind(i64::from(payout.amount().get()))
    .bind(notes)
    .bind(status)
    .bind(by)
    .bind((status == "pending").then(now))
    .bind(now())
    .execute(tx)
    .await?;
    Ok(())
}

/// Gives money back that a reversal finally did not: to the payer's number only.
///
/// The day's cap neither counts nor stops it: it is a customer's own money, at most what came in, and each receipt is given
/// back once.
pub(crate) async fn pay_back(
    tx: &mut AnyConnection,
    app: &App,
    refund_id: &str,
    payer: &str,
    amount: i64,
    by: &str,
) -> Result<String, Failure> {
    let id = new_id();
    let payment = payment(&app.daraja, &id, payer, amount)?;
    insert(tx, &id, payment, Origin::Refund(refund_id), "pending", "Refund", by).await?;
    Ok(id)
}

pub(crate) fn not_found() -> Failure {
    Failure::not_found("PAYOUT_NOT_FOUND", "There is no such payout.")
}

const VIEW: &str = "SELECT p.id, p.supplier_id, s.name AS supplier_name, p.number, p.amount, p.notes, p.status, p.receipt, \
    p.reason, p.contradictory, COALESCE(u.email, p.created_by) AS created_by, a.email AS approved_by, p.created_at, \
    p.settled_at FROM payouts p LEFT JOIN suppliers s ON s.id = p.supplier_id LEFT JOIN users u ON u.id = p.created_by \
    LEFT JOIN users a ON a.id = p.approved_by";

/// A payout as it is told.
async fn view(tx: &mut AnyConnection, id: &str) -> Result<PayoutView, Failure> {
    let view: Option<PayoutView> =
        sqlx::query_as(sqlx::AssertSqlSafe(format!("{VIEW} WHERE p.id = $1"))).bind(id).fetch_optional(tx).await?;
    view.map(PayoutView::masked).ok_or_else(not_found)
}

impl PayoutView {
    fn masked(mut self) -> Self {
        let masked = self.number.parse::<daraja::Msisdn>().map(|number| number.masked().to_string());
        self.number = masked.unwrap_or_default();
        self
    }
}

/// The status that is told, by the library's state.
fn status(state: &PayoutState) -> &'static str {
    match state {
        PayoutState::Paid(_) => "completed",
        PayoutState::Failed(_) | PayoutState::Refused(_) => "failed",
        _ => "pending",
    }
}

/// When the next step is due.
fn due(payout: &Payout, now: Timestamp) -> Option<i64> {
    match payout.next_step(now) {
        NextStep::Done => None,
        NextStep::Wait(until) => Some(until.to_datetime().timestamp_millis()),
        _ => Some(now.to_datetime().timestamp_millis()),
    }
}
