//! Suppliers, and who changed their numbers when and why.

use axum::extract::State;
use daraja::Msisdn;
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, FromRow};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    auth::{Admin, User},
    db::{millis, new_id, now},
    openapi::{Conflict, Forbidden, Invalid, NotFound, Unauthorized},
    reply::{Answer, Body, Failure, Id, Reply, text},
};

/// Somebody who is paid.
#[derive(Debug, Clone, Serialize, FromRow, ToSchema)]
pub(crate) struct Supplier {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Twelve digits.
    #[schema(example = "254712345678")]
    pub(crate) mpesa_number: String,
    /// When the number was last changed, in milliseconds since 1970.
    pub(crate) changed_at: i64,
    /// Who changed it: an email address.
    pub(crate) changed_by: String,
    #[serde(skip)]
    pub(crate) changed_by_id: String,
}

/// A new supplier.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(crate) struct NewSupplier {
    #[schema(max_length = 100)]
    pub(crate) name: String,
    /// Any spelling.
    pub(crate) mpesa_number: String,
    /// 1 to 200 characters.
    pub(crate) reason: String,
}

/// A number that has changed.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(crate) struct NewNumber {
    /// Any spelling.
    #[schema(example = "0712345678")]
    pub(crate) mpesa_number: String,
    /// 1 to 200 characters: it is kept.
    #[schema(example = "Supplier requested change")]
    pub(crate) reason: String,
}

/// One line of the audit trail.
#[derive(Debug, Clone, Serialize, FromRow, ToSchema)]
pub(crate) struct Change {
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    /// An email address.
    pub(crate) who: String,
    pub(crate) what: String,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
    pub(crate) reason: String,
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_suppliers, add_supplier))
        .routes(routes!(update_number))
        .routes(routes!(list_changes))
}

const SUPPLIERS: &str = "SELECT s.id, s.name, s.mpesa_number, s.changed_at, COALESCE(u.email, s.changed_by) AS changed_by, \
    s.changed_by AS changed_by_id FROM suppliers s LEFT JOIN users u ON u.id = s.changed_by";

pub(crate) async fn all(app: &App) -> sqlx::Result<Vec<Supplier>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!("{SUPPLIERS} ORDER BY s.name"))).fetch_all(app.db.pool()).await
}

pub(crate) fn not_found() -> Failure {
    Failure::not_found("SUPPLIER_NOT_FOUND", "There is no such supplier.")
}

/// A supplier, locked until the transaction ends.
pub(crate) async fn lock(tx: &mut AnyConnection, id: &str) -> Result<Supplier, Failure> {
    let id = crate::reply::id(id).ok_or_else(not_found)?;
    sqlx::query("UPDATE suppliers SET version = version + 1 WHERE id = $1").bind(&id).execute(&mut *tx).await?;
    let found = sqlx::query_as(sqlx::AssertSqlSafe(format!("{SUPPLIERS} WHERE s.id = $1")));
    found.bind(&id).fetch_optional(tx).await?.ok_or_else(not_found)
}

impl Supplier {
    /// Whether the number was changed so lately that a second admin has to look at it.
    pub(crate) fn number_is_new(&self, app: &App) -> bool {
        now().saturating_sub(self.changed_at) < millis(app.rules.number_is_new)
    }
}

fn payable(app: &App, number: &str) -> Result<Msisdn, Failure> {
    let number: Msisdn = number.parse().map_err(|error: daraja::error::Invalid| bad(&error))?;
    app.daraja.client.rules().check_line(number).map_err(|error| bad(&error))?;
    Ok(number)
}

fn bad(error: &impl std::fmt::Display) -> Failure {
    Failure::invalid("INVALID_PHONE", format!("This number cannot be paid: {error}."))
}

/// Changes a number. Payouts to it need a second admin for a day.
pub(crate) async fn change_number(app: &App, admin: &Admin, id: &str, body: &NewNumber) -> Result<Supplier, Failure> {
    let reason = text("reason", &body.reason, 200)?;
    let number = payable(app, &body.mpesa_number)?.to_string();
    let mut tx = app.db.write().await?;
    let before = lock(&mut tx, id).await?;
    if before.mpesa_number == number {
        return Err(Failure::conflict("SAME_NUMBER", "The supplier has this number already."));
    }
    sqlx::query("UPDATE suppliers SET mpesa_number = $1, changed_at = $2, changed_by = $3 WHERE id = $4")
        .bind(&number)
        .bind(now())
        .bind(&admin.0.id)
        .bind(&before.id)
        .execute(&mut *tx)
        .await?;
    audit(&mut tx, &admin.0, "supplier.number", &before.id, Some(&before.mpesa_number), Some(&number), &reason).await?;
    let after = lock(&mut tx, &before.id).await?;
    tx.commit().await?;
    tracing::warn!(event = "supplier.number_changed", supplier = after.id, by = admin.0.id, "a number was changed");
    Ok(after)
}

/// Writes a line of the audit trail.
pub(crate) async fn audit(
    tx: &mut AnyConnection,
    who: &User,
    what: &str,
    subject: &str,
    before: Option<&str>,
    after: Option<&str>,
    reason: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO audit (id, at, who, what, subject, before, after, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(new_id())
    .bind(now())
    .bind(&who.id)
    .bind(what)
    .bind(subject)
    .bind(before)
    .bind(after)
    .bind(reason)
    .execute(tx)
    .await
    .map(drop)
}

/// All suppliers.
#[utoipa::path(get, path = "/api/suppliers", tag = "suppliers",
    responses((status = 200, body = Reply<Vec<Supplier>>), Unauthorized, Forbidden))]
async fn list_suppliers(State(app): State<App>, _: Admin) -> Answer<Vec<Supplier>> {
    Ok(Reply::new("Suppliers", all(&app).await?))
}

/// Adds a supplier. Payouts to the new number need a second admin for a day.
#[utoipa::path(post, path = "/api/suppliers", tag = "suppliers", request_body = NewSupplier,
    responses((status = 201, body = Reply<Supplier>), Unauthorized, Forbidden, Invalid))]
async fn add_supplier(State(app): State<App>, admin: Admin, Body(body): Body<NewSupplier>) -> Answer<Supplier> {
    let (name, reason) = (text("name", &body.name, 100)?, text("reason", &body.reason, 200)?);
    let number = payable(&app, &body.mpesa_number)?.to_string();
    let (id, now) = (new_id(), now());
    let mut tx = app.db.write().await?;
    sqlx::query(
        "INSERT INTO suppliers (id, name, mpesa_number, changed_at, changed_by, created_at) VALUES ($1, $2, $3, $4, $5, $4)",
    )
    .bind(&id)
    .bind(name)
    .bind(&number)
    .bind(now)
    .bind(&admin.0.id)
    .execute(&mut *tx)
    .await?;
    audit(&mut tx, &admin.0, "supplier.added", &id, None, Some(&number), &reason).await?;
    let supplier = lock(&mut tx, &id).await?;
    tx.commit().await?;
    Ok(Reply::new("Supplier added", supplier).with_status(axum::http::StatusCode::CREATED))
}

/// Changes a supplier's M-PESA number. Reason and person are kept; payouts to it need a second admin for a day.
#[utoipa::path(put, path = "/api/payments/supplier/{id}/update-mpesa", tag = "suppliers", params(("id" = String, Path)),
    request_body = NewNumber,
    responses((status = 200, body = Reply<Supplier>), Unauthorized, Forbidden, NotFound, Conflict, Invalid))]
async fn update_number(
    State(app): State<App>,
    admin: Admin,
    Id(id): Id,
    Body(body): Body<NewNumber>,
) -> Answer<Supplier> {
    Ok(Reply::new("M-PESA number updated", change_number(&app, &admin, &id, &body).await?))
}

/// Who changed a supplier's number when, and why.
#[utoipa::path(get, path = "/api/suppliers/{id}/changes", tag = "suppliers", params(("id" = String, Path)),
    responses((status = 200, body = Reply<Vec<Change>>), Unauthorized, Forbidden))]
async fn list_changes(State(app): State<App>, _: Admin, Id(id): Id) -> Answer<Vec<Change>> {
    let changes = sqlx::query_as(
        "SELECT a.at, COALESCE(u.email, a.who) AS who, a.what, a.before, a.after, a.reason
         FROM audit a LEFT JOIN users u ON u.id = a.who WHERE a.subject = $1 ORDER BY a.at DESC LIMIT 100",
    )
    .bind(id)
    .fetch_all(app.db.pool())
    .await?;
    Ok(Reply::new("Changes", changes))
}
