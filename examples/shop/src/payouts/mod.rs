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
    idempotency::{self, Named, Seen},
    metrics, refunds,
    reply::{Failure, Reply, text},
    suppliers::{self, audit},
};

mod amount;
mod routes;
mod work;

pub(crate) use amount::Amount;
pub(crate) use routes::{list, routes, show};
pub(crate) use work::{begin_due, broken, news, shown};

/// Within this an equal payout is taken for the same one sent twice, in milliseconds.
const EQUAL: i64 = 600_000;
const DAY: i64 = 86_400_000;
/// East Africa Time is three hours ahead.
const EAT: i64 = 10_800_000;

/// A row of the table `payouts`.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) supplier_id: Option<String>,
    pub(crate) refund_id: Option<String>,
    payout: String,
    number: String,
    pub(crate) status: String,
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
    /// 1 if what Daraja told cannot be true together: a person has to look at it.
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

/// An admin's word about a payout that Daraja does not tell of.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(crate) struct Word {
    /// paid or `not_paid`, as the organisation's statement shows it
    #[schema(example = "paid")]
    pub(crate) outcome: String,
    /// M-PESA's receipt, if it was paid.
    pub(crate) receipt: Option<String>,
    /// 1 to 200 characters: it is kept.
    pub(crate) reason: String,
}

const ROW: &str = "id, supplier_id, refund_id, payout, number, status, created_by";

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
    let urls = daraja.receiver.urls().results(&reference);
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
    named: Option<&Named>,
) -> Result<Reply<PayoutView>, Failure> {
    let notes = if wanted.notes.trim().is_empty() { String::new() } else { text("notes", &wanted.notes, 500)? };
    let mut tx = app.db.write().await?;
    // One at a time, on all servers: the cap and the look for an equal payout must not race.
    sqlx::query("UPDATE leases SET holder = $1 WHERE name = 'payouts'").bind(&*app.server).execute(&mut *tx).await?;
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
    if named.is_none() {
        refuse_equal(&mut tx, &supplier.id, amount).await?;
    }
    check_cap(&mut tx, app, amount).await?;
    let status = if supplier.number_is_new(app) { "awaiting_approval" } else { "pending" };
    insert(&mut tx, &id, &payment, Origin::Supplier(&supplier.id), status, &notes, &admin.0.id).await?;
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
    payment: &B2cPayment,
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
    insert(tx, &id, &payment, Origin::Refund(refund_id), "pending", "Refund", by).await?;
    Ok(id)
}

async fn refuse_equal(tx: &mut AnyConnection, supplier: &str, amount: i64) -> Result<(), Failure> {
    let equal: Option<(String,)> = sqlx::query_as(
        "SELECT id FROM payouts WHERE supplier_id = $1 AND amount = $2 AND created_at > $3 AND status <> 'failed' LIMIT 1",
    )
    .bind(supplier)
    .bind(amount)
    .bind(now().saturating_sub(EQUAL))
    .fetch_optional(tx)
    .await?;
    if equal.is_none() {
        return Ok(());
    }
    let message = "This supplier was paid the same amount within the last 10 minutes. If that is meant, send it with an \
                   Idempotency-Key of its own.";
    Err(Failure::conflict("EQUAL_PAYOUT", message))
}

/// What was paid out today, in Nairobi, or may be.
async fn check_cap(tx: &mut AnyConnection, app: &App, amount: i64) -> Result<(), Failure> {
    let cap = app.rules.daily_payout_cap;
    let midnight = now().saturating_add(EAT).div_euclid(DAY).saturating_mul(DAY).saturating_sub(EAT);
    let (today,): (i64,) = sqlx::query_as(
        "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM payouts
         WHERE created_at >= $1 AND status <> 'failed' AND refund_id IS NULL",
    )
    .bind(midnight)
    .fetch_one(tx)
    .await?;
    if today.saturating_add(amount) <= cap {
        return Ok(());
    }
    let message = format!("The cap of KES {cap} a day would be exceeded: KES {today} are paid out today.");
    Err(Failure::conflict("DAILY_CAP", message))
}

/// Approves a payout to a number that was changed lately. Whoever asked for it, or changed the number, cannot.
pub(crate) async fn approve(app: &App, admin: &Admin, id: &str) -> Result<PayoutView, Failure> {
    let mut tx = app.db.write().await?;
    let row = lock(&mut tx, id).await?.ok_or_else(not_found)?;
    if row.status != "awaiting_approval" {
        return Err(Failure::conflict("NOT_AWAITING_APPROVAL", "This payout does not wait for an approval."));
    }
    let supplier = suppliers::lock(&mut tx, row.supplier_id.as_deref().unwrap_or_default()).await?;
    if supplier.mpesa_number != row.number {
        let message = "The supplier's number was changed again: this payout would go to the number before. Refuse it.";
        return Err(Failure::conflict("NUMBER_CHANGED", message));
    }
    if admin.0.id == row.created_by || admin.0.id == supplier.changed_by_id {
        let message = "A second admin must approve it: not who asked for it, and not who changed the number.";
        return Err(Failure::new(axum::http::StatusCode::FORBIDDEN, "SECOND_ADMIN_NEEDED", message));
    }
    sqlx::query("UPDATE payouts SET status = 'pending', approved_by = $1, due_at = $2 WHERE id = $3")
        .bind(&admin.0.id)
        .bind(now())
        .bind(id)
        .execute(&mut *tx)
        .await?;
    audit(&mut tx, &admin.0, "payout.approved", id, None, None, "approved").await?;
    let view = view(&mut tx, id).await?;
    tx.commit().await?;
    tracing::info!(event = "payout.approved", payout = id, by = admin.0.id, "a payout was approved");
    begin_due(app, id.to_owned());
    Ok(view)
}

/// Takes an admin's word about a payout: refuses one that waits for approval, or ends one that Daraja has not told of for a
/// day. What Daraja tells later is noted all the same.
pub(crate) async fn resolve(app: &App, admin: &Admin, id: &str, word: &Word) -> Result<PayoutView, Failure> {
    let reason = text("reason", &word.reason, 200)?;
    let receipt = word.receipt.as_deref().map(|receipt| receipt.trim().to_uppercase()).filter(|text| !text.is_empty());
    let status = match (word.outcome.as_str(), &receipt) {
        ("paid", Some(receipt))
            if receipt.parse::<daraja::ReceiptNumber>().is_ok_and(|known| !known.is_placeholder()) =>
        {
            "completed"
        }
        ("not_paid", None) => "failed",
        _ => {
            let message = "outcome is paid, with M-PESA's receipt, or not_paid, without one.";
            return Err(Failure::invalid("INVALID_OUTCOME", message));
        }
    };
    let mut tx = app.db.write().await?;
    let row = lock(&mut tx, id).await?.ok_or_else(not_found)?;
    let (created_at,): (i64,) =
        sqlx::query_as("SELECT created_at FROM payouts WHERE id = $1").bind(id).fetch_one(&mut *tx).await?;
    let may = match row.status.as_str() {
        "awaiting_approval" => status == "failed",
        "pending" => now().saturating_sub(created_at) >= DAY,
        _ => false,
    };
    if !may {
        let message = "Only a payout that waits for approval can be refused, and only one that has been pending for a day \
                       can be ended by a person's word.";
        return Err(Failure::conflict("NOT_TO_BE_RESOLVED", message));
    }
    sqlx::query(
        "UPDATE payouts SET status = $1, receipt = $2, reason = $3, due_at = NULL, settled_at = $4 WHERE id = $5",
    )
    .bind(status)
    .bind(&receipt)
    .bind((status == "failed").then_some(&reason))
    .bind(now())
    .bind(id)
    .execute(&mut *tx)
    .await?;
    if let Some(refund) = &row.refund_id {
        refunds::paid_back(&mut tx, refund, status).await?;
    }
    audit(&mut tx, &admin.0, "payout.resolved", id, Some(&row.status), Some(status), &reason).await?;
    let view = view(&mut tx, id).await?;
    tx.commit().await?;
    tracing::warn!(event = "payout.resolved", payout = id, status, by = admin.0.id, "an admin ended a payout");
    Ok(view)
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
