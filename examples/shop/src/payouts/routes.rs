//! The guide's payout endpoints, and what a second admin needs.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Guard, NewPayout, PayoutView, VIEW, Word, approve, request, resolve, view};
use crate::{
    app::App,
    auth::Admin,
    idempotency::Named,
    openapi::{Conflict, Forbidden, Invalid, NotFound, Unauthorized},
    reply::{Answer, Asked, Body, Failure, Id, List, Page, Reply},
};

/// Which payouts.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatusFilter {
    /// `awaiting_approval`, pending, completed or failed; all if it is left out.
    pub(crate) status: Option<String>,
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(request_payout))
        .routes(routes!(list_payouts))
        .routes(routes!(show_payout))
        .routes(routes!(approve_payout))
        .routes(routes!(resolve_payout))
}

/// Payouts with a status, or all; the newest first.
pub(crate) async fn list(app: &App, page: Page, status: Option<&str>) -> Result<List<PayoutView>, Failure> {
    let status = status.unwrap_or_default();
    if !["", "awaiting_approval", "pending", "completed", "failed"].contains(&status) {
        let message = "status is one of awaiting_approval, pending, completed and failed.";
        return Err(Failure::new(StatusCode::BAD_REQUEST, "INVALID_QUERY", message));
    }
    let (limit, offset) = page.limits()?;
    let sql = format!("{VIEW} WHERE ($1 = '' OR p.status = $1) ORDER BY p.created_at DESC, p.id LIMIT $2 OFFSET $3");
    let items: Vec<PayoutView> =
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(status).bind(limit).bind(offset).fetch_all(app.db.pool()).await?;
    let (total,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM payouts WHERE ($1 = '' OR status = $1)")
        .bind(status)
        .fetch_one(app.db.pool())
        .await?;
    Ok(List::new(items.into_iter().map(PayoutView::masked).collect(), page, total))
}

pub(crate) async fn show(app: &App, id: &str) -> Result<PayoutView, Failure> {
    let mut connection = app.db.pool().acquire().await?;
    view(&mut connection, id).await
}

/// Pays a supplier. The answer says that it was written down, not that anybody was paid.
#[utoipa::path(post, path = "/api/payments/supplier/payout", tag = "payouts", request_body = NewPayout,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "The same request twice is one payout. Without it an equal payout within 10 minutes is refused.")),
    responses((status = 202, body = Reply<PayoutView>), Unauthorized, Forbidden, NotFound, Conflict, Invalid))]
async fn request_payout(
    State(app): State<App>,
    admin: Admin,
    headers: HeaderMap,
    Body(body): Body<NewPayout>,
) -> Answer<PayoutView> {
    let named = Named::read(&headers, &admin.0, "payout", &body)?;
    request(&app, &admin, &body, Guard::Program(named.as_ref())).await
}

/// Payouts, the newest first.
#[utoipa::path(get, path = "/api/payments/supplier/payouts", tag = "payouts", params(Page, StatusFilter),
    responses((status = 200, body = Reply<List<PayoutView>>), Unauthorized, Forbidden))]
async fn list_payouts(
    State(app): State<App>,
    _: Admin,
    Asked(page): Asked<Page>,
    Asked(filter): Asked<StatusFilter>,
) -> Answer<List<PayoutView>> {
    Ok(Reply::new("Payouts", list(&app, page, filter.status.as_deref()).await?))
}

/// One payout.
#[utoipa::path(get, path = "/api/payments/supplier/payouts/{id}", tag = "payouts", params(("id" = String, Path)),
    responses((status = 200, body = Reply<PayoutView>), Unauthorized, Forbidden, NotFound))]
async fn show_payout(State(app): State<App>, _: Admin, Id(id): Id) -> Answer<PayoutView> {
    Ok(Reply::new("Payout", show(&app, &id).await?))
}

/// Approves a payout to a number that was changed within a day: a second admin, who neither asked for it nor changed it, whose
/// account has no maker in common with who did, and is not new.
#[utoipa::path(post, path = "/api/payments/supplier/payouts/{id}/approve", tag = "payouts", params(("id" = String, Path)),
    responses((status = 200, body = Reply<PayoutView>), Unauthorized, Forbidden, NotFound, Conflict))]
async fn approve_payout(State(app): State<App>, admin: Admin, Id(id): Id) -> Answer<PayoutView> {
    Ok(Reply::new("Payout approved", approve(&app, &admin, &id).await?))
}

/// Ends a payout by a person's word: one that waits for approval is refused, one that Daraja has not told of for a day is
/// what the organisation's statement shows.
#[utoipa::path(post, path = "/api/payments/supplier/payouts/{id}/resolve", tag = "payouts", params(("id" = String, Path)),
    request_body = Word,
    responses((status = 200, body = Reply<PayoutView>), Unauthorized, Forbidden, NotFound, Conflict, Invalid))]
async fn resolve_payout(
    State(app): State<App>,
    admin: Admin,
    Id(id): Id,
    Body(body): Body<Word>,
) -> Answer<PayoutView> {
    Ok(Reply::new("Payout resolved", resolve(&app, &admin, &id, &body).await?))
}
