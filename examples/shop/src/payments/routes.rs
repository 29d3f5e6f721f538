//! The guide's payment endpoints, and those of the people who look after them.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    PHONE_BUSY, Payment, PaymentState, Started, Status, current, initiate,
    receipts::{self, ConfirmedReceipt, EnteredReceipt, NewReceipt},
    refresh, status_of,
};
use crate::{
    app::App,
    auth::{Admin, User},
    idempotency::{self, Named},
    openapi::{Conflict, Forbidden, Invalid, Limited, NotFound, Unauthorized},
    orders::{self, Order},
    reply::{Answer, Asked, Body, Failure, Id, List, Page, Reply},
};

/// What to ask for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Initiate {
    #[schema(format = "uuid")]
    pub(crate) order_id: String,
    /// Any spelling of a Kenyan mobile number.
    #[schema(example = "0712345678")]
    pub(crate) phone_number: String,
}

/// A payment that is under way.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Initiated {
    /// Daraja's id. Null if the answer to the push was lost.
    #[schema(example = "ws_CO_01012024120000000712345678")]
    pub(crate) checkout_request_id: Option<String>,
    pub(crate) merchant_request_id: Option<String>,
    #[schema(example = "Please check your phone and enter your M-Pesa PIN")]
    pub(crate) customer_message: String,
    pub(crate) payment_id: String,
    pub(crate) status: Status,
}

/// Which order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct OrderRef {
    #[schema(format = "uuid")]
    pub(crate) order_id: String,
}

/// A payment, for admins.
#[derive(Debug, Clone, Serialize, FromRow, ToSchema)]
pub(crate) struct PaymentRow {
    pub(crate) id: String,
    pub(crate) order_id: String,
    pub(crate) order_number: String,
    pub(crate) amount: i64,
    /// created, sending, accepted, unknown or settled
    pub(crate) state: String,
    /// paid or failed
    pub(crate) outcome: Option<String>,
    pub(crate) reason: Option<String>,
    /// A receipt that an admin has entered, not checked with M-PESA: another admin has to confirm it.
    pub(crate) receipt_to_confirm: Option<String>,
    pub(crate) created_at: i64,
}

/// Money that came in, for admins.
#[derive(Debug, Clone, Serialize, FromRow, ToSchema)]
pub(crate) struct Received {
    pub(crate) id: String,
    /// Null as long as only a query has told of it.
    pub(crate) receipt: Option<String>,
    pub(crate) payment_id: Option<String>,
    /// Cents of a shilling.
    pub(crate) amount_cents: Option<i64>,
    /// order, `to_refund` or refunded
    pub(crate) disposition: String,
    /// Why it is to be given back.
    pub(crate) reason: Option<String>,
    pub(crate) created_at: i64,
}

/// Which rows of a list.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StateFilter {
    /// Only those in this state.
    pub(crate) state: Option<String>,
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(start_payment))
        .routes(routes!(query_payment))
        .routes(routes!(verify_payment))
        .routes(routes!(list_payments))
        .routes(routes!(enter_receipt))
        .routes(routes!(confirm_receipt))
        .routes(routes!(list_received))
}

/// Asks the customer's phone for the money of an order.
///
/// A payment that is open already is given back instead of a second one. 202 if it is not known whether the phone was
/// asked: do not pay again, ask for the state.
#[utoipa::path(post, path = "/api/payments/mpesa/initiate", tag = "payments", request_body = Initiate,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same request twice is one payment.")),
    responses((status = 200, body = Reply<Initiated>), (status = 202, body = Reply<Initiated>),
        Unauthorized, NotFound, Conflict, Invalid, Limited,
        (status = 502, description = "Daraja refused the push: nothing was charged", body = crate::reply::FailureBody),
        (status = 503, description = "Daraja cannot be reached: nothing was charged", body = crate::reply::FailureBody)))]
async fn start_payment(
    State(app): State<App>,
    user: User,
    headers: HeaderMap,
    Body(body): Body<Initiate>,
) -> Answer<Initiated> {
    let named = Named::read(&headers, &user, "initiate", &body)?;
    let started = initiate(&app, &user, &body.order_id, &body.phone_number, named.as_ref()).await?;
    let (payment, is_new) = match started {
        Started::Payment { payment, is_new } => (payment, is_new),
        Started::Before(status, answer) => return idempotency::again(status, &answer),
    };
    let reply = initiated(&payment, is_new)?;
    if let Some(named) = named {
        let mut tx = app.db.write().await?;
        named.finish(&mut tx, &reply).await?;
        tx.commit().await?;
    }
    Ok(reply)
}

fn initiated(payment: &Payment, is_new: bool) -> Answer<Initiated> {
    let usual = "Please check your phone and enter your M-Pesa PIN";
    let message = payment.customer_message.clone();
    let (status, code, words, text) = match (payment.state.as_str(), payment.outcome.as_deref()) {
        ("settled", Some("paid")) => (Status::Completed, StatusCode::OK, "The payment is complete", String::new()),
        ("settled", _) if payment.reason.as_deref() == Some("not_sent") => {
            let message = message.unwrap_or_default();
            return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "MPESA_UNREACHABLE", message).retry_after(10));
        }
        ("settled", _) if payment.reason.as_deref() == Some(PHONE_BUSY) => {
            return Err(Failure::conflict("PHONE_BUSY", message.unwrap_or_default()).retry_after(payment.pause()));
        }
        ("settled", _) if payment.reason.as_deref() == Some("refused") => {
            return Err(Failure::new(StatusCode::BAD_GATEWAY, "MPESA_REFUSED", message.unwrap_or_default()));
        }
        ("settled", _) => (Status::Failed, StatusCode::OK, "The payment has failed", message.unwrap_or_default()),
        ("accepted", _) if payment.is_claimed() => {
            let text = "You have probably paid: M-PESA reports a payment without its proof. Do not pay again.";
            (Status::Pending, StatusCode::OK, "The payment is not known yet", text.to_owned())
        }
        ("accepted", _) if is_new => (Status::Pending, StatusCode::OK, "STK Push sent successfully", usual.to_owned()),
        ("accepted", _) => (Status::Pending, StatusCode::OK, "A payment is under way already", usual.to_owned()),
        _ => {
            let text = "It is not known yet whether your phone was asked. If it was, pay there; do not pay again.";
            (Status::Pending, StatusCode::ACCEPTED, "The payment is not known yet", text.to_owned())
        }
    };
    let data = Initiated {
        checkout_request_id: payment.checkout_request_id.clone(),
        merchant_request_id: payment.merchant_request_id.clone(),
        customer_message: text,
        payment_id: payment.id.clone(),
        status,
    };
    Ok(Reply::new(words, data).with_status(code))
}

/// How the payment of an order stands; asks Daraja if it is due.
#[utoipa::path(post, path = "/api/payments/mpesa/query", tag = "payments", request_body = OrderRef,
    responses((status = 200, body = Reply<PaymentState>), Unauthorized, NotFound, Invalid))]
async fn query_payment(State(app): State<App>, user: User, Body(body): Body<OrderRef>) -> Answer<PaymentState> {
    let order = orders::find_own(&app, &user, &body.order_id).await?;
    if let Some(payment) = current(&app, &order).await? {
        refresh(&app, payment).await?;
    }
    Ok(Reply::new("Payment status", state_of(&app, &user, &order.id).await?))
}

/// How the payment of an order stands, by our own records only.
#[utoipa::path(get, path = "/api/payments/verify/{order_id}", tag = "payments", params(("order_id" = String, Path)),
    responses((status = 200, body = Reply<PaymentState>), Unauthorized, NotFound))]
async fn verify_payment(State(app): State<App>, user: User, Id(order_id): Id) -> Answer<PaymentState> {
    Ok(Reply::new("Payment status", state_of(&app, &user, &order_id).await?))
}

/// How an order stands, read anew.
pub(crate) async fn state_of(app: &App, user: &User, order_id: &str) -> Result<PaymentState, Failure> {
    let order: Order = orders::find_own(app, user, order_id).await?;
    let payment = current(app, &order).await?;
    let receipt = match &payment {
        Some(payment) => receipt_of(app, &payment.id).await?,
        None => None,
    };
    Ok(status_of(&order, payment.as_ref(), receipt))
}

/// The receipt of a payment, once it is known: the one that paid the order, before one that came to the same URL.
pub(crate) async fn receipt_of(app: &App, payment_id: &str) -> sqlx::Result<Option<String>> {
    let found: Option<(Option<String>,)> = sqlx::query_as(
        "SELECT receipt FROM received WHERE payment_id = $1
             ORDER BY CASE WHEN disposition = 'order' OR reason IS NULL THEN 0 ELSE 1 END, created_at LIMIT 1",
    )
    .bind(payment_id)
    .fetch_optional(app.db.pool())
    .await?;
    Ok(found.and_then(|(receipt,)| receipt))
}

/// All payments, the newest first.
#[utoipa::path(get, path = "/api/payments", tag = "admin", params(Page, StateFilter),
    responses((status = 200, body = Reply<List<PaymentRow>>), Unauthorized, Forbidden))]
async fn list_payments(
    State(app): State<App>,
    _: Admin,
    Asked(page): Asked<Page>,
    Asked(filter): Asked<StateFilter>,
) -> Answer<List<PaymentRow>> {
    Ok(Reply::new("Payments", rows(&app, page, filter.state.as_deref()).await?))
}

/// Payments in a state, or all.
pub(crate) async fn rows(app: &App, page: Page, state: Option<&str>) -> Result<List<PaymentRow>, Failure> {
    const STATES: [&str; 5] = ["created", "sending", "accepted", "unknown", "settled"];
    let (limit, offset) = page.limits()?;
    if state.is_some_and(|state| !STATES.contains(&state)) {
        let message = "state is one of created, sending, accepted, unknown and settled.";
        return Err(Failure::new(StatusCode::BAD_REQUEST, "INVALID_QUERY", message));
    }
    let items = sqlx::query_as(
        "SELECT p.id, p.order_id, o.number AS order_number, p.amount, p.state, p.outcome, p.reason,
         e.receipt AS receipt_to_confirm, p.created_at
         FROM payments p JOIN orders o ON o.id = p.order_id LEFT JOIN entered_receipts e ON e.payment_id = p.id
         WHERE ($1 = '' OR p.state = $1)
         ORDER BY p.created_at DESC, p.id LIMIT $2 OFFSET $3",
    )
    .bind(state.unwrap_or_default())
    .bind(limit)
    .bind(offset)
    .fetch_all(app.db.pool())
    .await?;
    let (total,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM payments WHERE ($1 = '' OR state = $1)")
        .bind(state.unwrap_or_default())
        .fetch_one(app.db.pool())
        .await?;
    Ok(List::new(items, page, total))
}

/// Notes a receipt that an admin has seen in the customer's SMS and in the organisation's statement.
///
/// It is not checked with M-PESA. The payment counts as paid once another admin has confirmed the receipt.
#[utoipa::path(post, path = "/api/payments/{id}/receipt", tag = "admin", params(("id" = String, Path)),
    request_body = NewReceipt, responses((status = 202, body = Reply<EnteredReceipt>),
        Unauthorized, Forbidden, NotFound, Conflict, Invalid))]
async fn enter_receipt(
    State(app): State<App>,
    admin: Admin,
    Id(id): Id,
    Body(body): Body<NewReceipt>,
) -> Answer<EnteredReceipt> {
    let entered = receipts::enter(&app, &admin, &id, &body).await?;
    Ok(Reply::new("Receipt entered, not checked: another admin must confirm it", entered)
        .with_status(StatusCode::ACCEPTED))
}

/// Settles a payment by the receipt that another admin has entered. The confirming account is not new, and no admin stands in the
/// makers of both accounts. The receipt is not checked with M-PESA.
#[utoipa::path(post, path = "/api/payments/{id}/receipt/confirm", tag = "admin", params(("id" = String, Path)),
    request_body = ConfirmedReceipt, responses((status = 200, body = Reply<PaymentState>),
        Unauthorized, Forbidden, NotFound, Conflict, Invalid))]
async fn confirm_receipt(
    State(app): State<App>,
    admin: Admin,
    Id(id): Id,
    Body(body): Body<ConfirmedReceipt>,
) -> Answer<PaymentState> {
    let payment = receipts::confirm(&app, &admin, &id, &body.receipt).await?;
    Ok(Reply::new("Receipt confirmed", state_of(&app, &admin.0, &payment.order_id).await?))
}

/// Money that came in, the newest first: `state=to_refund` is what has to be given back.
#[utoipa::path(get, path = "/api/payments/received", tag = "admin", params(Page, StateFilter),
    responses((status = 200, body = Reply<List<Received>>), Unauthorized, Forbidden))]
async fn list_received(
    State(app): State<App>,
    _: Admin,
    Asked(page): Asked<Page>,
    Asked(filter): Asked<StateFilter>,
) -> Answer<List<Received>> {
    Ok(Reply::new("Money received", received(&app, page, filter.state.as_deref()).await?))
}

pub(crate) async fn received(app: &App, page: Page, state: Option<&str>) -> Result<List<Received>, Failure> {
    let (limit, offset) = page.limits()?;
    if state.is_some_and(|state| !["order", "to_refund", "refunded"].contains(&state)) {
        let message = "state is one of order, to_refund and refunded.";
        return Err(Failure::new(StatusCode::BAD_REQUEST, "INVALID_QUERY", message));
    }
    let items = sqlx::query_as(
        "SELECT id, receipt, payment_id, amount_cents, disposition, reason, created_at FROM received
         WHERE ($1 = '' OR disposition = $1) ORDER BY created_at DESC, id LIMIT $2 OFFSET $3",
    )
    .bind(state.unwrap_or_default())
    .bind(limit)
    .bind(offset)
    .fetch_all(app.db.pool())
    .await?;
    let (total,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM received WHERE ($1 = '' OR disposition = $1)")
        .bind(state.unwrap_or_default())
        .fetch_one(app.db.pool())
        .await?;
    Ok(List::new(items, page, total))
}
