//! Receipts that people enter. They are not checked with M-PESA, so one admin enters a receipt and another confirms it:
//! only then the payment counts as paid.

use daraja::ReceiptNumber;
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, AssertSqlSafe, FromRow};
use utoipa::ToSchema;

use super::{
    Payment,
    book::{Money, paid},
    payments,
    settle::lock_both,
};
use crate::{
    app::App,
    auth::Admin,
    db::now,
    payouts::check_second,
    reply::{Failure, text},
    suppliers::audit,
};

/// A receipt that an admin has seen.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(crate) struct NewReceipt {
    #[schema(example = "SG632NMUAB")]
    pub(crate) receipt: String,
    /// How it is known: 1 to 200 characters.
    #[schema(example = "The customer showed the SMS")]
    pub(crate) reason: String,
}

/// The receipt that another admin has entered.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(crate) struct ConfirmedReceipt {
    #[schema(example = "SG632NMUAB")]
    pub(crate) receipt: String,
}

/// A receipt that was entered. It is not checked with M-PESA, and pays nothing until another admin confirms it.
#[derive(Debug, Clone, Serialize, FromRow, ToSchema)]
pub(crate) struct EnteredReceipt {
    pub(crate) payment_id: String,
    pub(crate) receipt: String,
    pub(crate) reason: String,
    /// An email address.
    pub(crate) entered_by: String,
    /// Milliseconds since 1970.
    pub(crate) entered_at: i64,
}

/// Notes the receipt of a payment. It takes the place of one that was entered before and is not confirmed yet.
pub(crate) async fn enter(app: &App, admin: &Admin, id: &str, new: &NewReceipt) -> Result<EnteredReceipt, Failure> {
    let (receipt, reason) = (read(&new.receipt)?, text("reason", &new.reason, 200)?);
    let mut tx = app.db.write().await?;
    lock_both(&mut tx, id).await?.ok_or_else(not_found)?;
    check_free(&mut tx, id, &receipt).await?;
    let before: Option<(String,)> = sqlx::query_as("SELECT receipt FROM entered_receipts WHERE payment_id = $1")
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?;
    sqlx::query(
        "INSERT INTO entered_receipts (payment_id, receipt, reason, entered_by, entered_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (payment_id) DO UPDATE SET receipt = $2, reason = $3, entered_by = $4, entered_at = $5",
    )
    .bind(id)
    .bind(receipt.as_str())
    .bind(&reason)
    .bind(&admin.0.id)
    .bind(now())
    .execute(&mut *tx)
    .await?;
    let before = before.as_ref().map(|(receipt,)| receipt.as_str());
    audit(&mut tx, &admin.0, "payment.receipt_entered", id, before, Some(receipt.as_str()), &reason).await?;
    let entered = sqlx::query_as(
        "SELECT e.payment_id, e.receipt, e.reason, COALESCE(u.email, e.entered_by) AS entered_by, e.entered_at
         FROM entered_receipts e LEFT JOIN users u ON u.id = e.entered_by WHERE e.payment_id = $1",
    )
    .bind(id)
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    tracing::warn!(event = "receipt.entered", payment = id, by = admin.0.id, "an admin entered a receipt, not checked");
    Ok(entered)
}

/// Settles a payment by the receipt that another admin has entered for it.
pub(crate) async fn confirm(app: &App, admin: &Admin, id: &str, receipt: &str) -> Result<Payment, Failure> {
    let receipt = read(receipt)?;
    let mut tx = app.db.write().await?;
    let (order, payment) = lock_both(&mut tx, id).await?.ok_or_else(not_found)?;
    check_free(&mut tx, id, &receipt).await?;
    let entered: Option<(String, String)> =
        sqlx::query_as("SELECT entered_by, reason FROM entered_receipts WHERE payment_id = $1 AND receipt = $2")
            .bind(id)
            .bind(receipt.as_str())
            .fetch_optional(&mut *tx)
            .await?;
    let not_entered = || Failure::conflict("RECEIPT_NOT_ENTERED", "No admin has entered this receipt for the payment.");
    let (entered_by, reason) = entered.ok_or_else(not_entered)?;
    check_second(&mut tx, app, &admin.0.id, &[&entered_by]).await?;
    let money = Money { receipt: Some(receipt), source: "admin", ..Money::default() };
    let news = paid(&mut tx, &order, &payment, &money).await?;
    sqlx::query("DELETE FROM entered_receipts WHERE payment_id = $1").bind(id).execute(&mut *tx).await?;
    let first: Option<(String,)> =
        sqlx::query_as("SELECT email FROM users WHERE id = $1").bind(&entered_by).fetch_optional(&mut *tx).await?;
    let first = first.map_or_else(|| entered_by.clone(), |(email,)| email);
    let reason = format!("entered by {first}: {reason}");
    audit(&mut tx, &admin.0, "payment.receipt_confirmed", id, None, Some(receipt.as_str()), &reason).await?;
    let payment = payments!("SELECT", "FROM payments WHERE id = $1").bind(id).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    tracing::warn!(
        event = "receipt.confirmed",
        payment = id,
        entered_by,
        by = admin.0.id,
        "two admins settled a payment by a receipt that is not checked with M-PESA"
    );
    news.tell(id);
    Ok(payment)
}

fn not_found() -> Failure {
    Failure::not_found("PAYMENT_NOT_FOUND", "There is no such payment.")
}

fn read(text: &str) -> Result<ReceiptNumber, Failure> {
    let receipt = text.trim().to_uppercase().parse().ok().filter(ReceiptNumber::is_plausible);
    receipt
        .ok_or_else(|| Failure::invalid("INVALID_RECEIPT", "This is not an M-PESA receipt: one looks like SG632NMUAB."))
}

/// What a row of `received` is if it brings the receipt of its payment: not that of another push, which came to the same URL,
/// nor one that Daraja has replaced.
pub(crate) const IS_ITS_RECEIPT: &str =
    "receipt IS NOT NULL AND COALESCE(reason, '') NOT IN ('other_request', 'other_receipt')";

/// One receipt is one payment's, and the other way round.
async fn check_free(tx: &mut AnyConnection, id: &str, receipt: &ReceiptNumber) -> Result<(), Failure> {
    let used: Option<(Option<String>,)> = sqlx::query_as("SELECT payment_id FROM received WHERE receipt = $1")
        .bind(receipt.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    if used.is_some_and(|(payment_id,)| payment_id.as_deref() != Some(id)) {
        return Err(Failure::conflict("RECEIPT_USED", "This receipt is recorded for another payment."));
    }
    let known: Option<(String,)> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT receipt FROM received WHERE payment_id = $1 AND {IS_ITS_RECEIPT} LIMIT 1"
    )))
    .bind(id)
    .fetch_optional(&mut *tx)
    .await?;
    if known.is_some() {
        return Err(Failure::conflict("RECEIPT_KNOWN", "This payment has a receipt already."));
    }
    Ok(())
}
