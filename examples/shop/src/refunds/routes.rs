//! The guide's refund endpoint, and those of the people who look after refunds.

use axum::{extract::State, http::HeaderMap};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{NewRefund, Refund, RefundWord, list, lock, not_found, request, resolve, retry};
use crate::{
    app::App,
    auth::Admin,
    idempotency::Named,
    openapi::{Conflict, Forbidden, Invalid, NotFound, Unauthorized},
    reply::{Answer, Asked, Body, Id, List, Page, Reply},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(request_refund))
        .routes(routes!(list_refunds))
        .routes(routes!(retry_refund))
        .routes(routes!(resolve_refund))
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

/// Ends a refund by a person's word: one that needs a person at once, one that Daraja has not told of for a day as the
/// organisation's statement shows it. What was not given back can be refunded anew.
#[utoipa::path(post, path = "/api/payments/refunds/{id}/resolve", tag = "refunds", params(("id" = String, Path)),
    request_body = RefundWord,
    responses((status = 200, body = Reply<Refund>), Unauthorized, Forbidden, NotFound, Conflict, Invalid))]
async fn resolve_refund(
    State(app): State<App>,
    admin: Admin,
    Id(id): Id,
    Body(body): Body<RefundWord>,
) -> Answer<Refund> {
    Ok(Reply::new("Refund resolved", resolve(&app, &admin, &id, &body).await?))
}
