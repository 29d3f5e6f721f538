//! Receipts that people enter: one admin does, and another confirms it.

use axum::{
    Router,
    extract::{Path, Request},
    http::StatusCode,
    response::Response,
    routing::post,
};
use sqlx::FromRow;

use super::{
    Form, Visit, admin, form, go, money_back, render,
    views::{
        Field,
        admin::{Entered, ReceiptForms},
    },
    words,
};
use crate::{
    app::App,
    payments::receipts::{self, NewReceipt},
    reply::Failure,
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/admin/payments/{id}/receipt", post(enter))
        .route("/admin/payments/{id}/receipt/confirm", post(confirm))
}

/// What was typed for one payment, and what came of it.
#[derive(Default)]
pub(super) struct Typed {
    payment: String,
    receipt: Field,
    reason: Field,
    refused: Option<String>,
}

#[derive(FromRow)]
struct Row {
    receipt: String,
    reason: String,
    entered_by: String,
    email: Option<String>,
    entered_at: i64,
}

/// The forms of one payment.
pub(super) async fn forms(
    visit: &Visit,
    payment: &str,
    of: &str,
    from: &'static str,
    typed: &Typed,
) -> Result<ReceiptForms, Failure> {
    let entered: Option<Row> = sqlx::query_as(
        "SELECT e.receipt, e.reason, e.entered_by, u.email, e.entered_at
         FROM entered_receipts e LEFT JOIN users u ON u.id = e.entered_by WHERE e.payment_id = $1",
    )
    .bind(payment)
    .fetch_optional(visit.app.db.pool())
    .await?;
    let (visitor, nothing) = (&visit.user()?.id, Typed::default());
    let typed = if typed.payment == payment { typed } else { &nothing };
    Ok(ReceiptForms {
        payment: payment.to_owned(),
        of: of.to_owned(),
        from,
        entered: entered.map(|row| Entered {
            may_be_confirmed: row.entered_by != *visitor,
            receipt: row.receipt,
            by: row.email.unwrap_or(row.entered_by),
            when: words::time(row.entered_at),
            reason: row.reason,
            refused: typed.refused.clone(),
        }),
        receipt: typed.receipt.clone(),
        reason: typed.reason.clone(),
    })
}

async fn enter(Path(id): Path<String>, visit: Visit, request: Request) -> Response {
    form(visit, request, async |visit, form| {
        let admin = visit.admin()?;
        let payment = crate::reply::id(&id).unwrap_or_default();
        let new = NewReceipt { receipt: form.get("receipt").to_owned(), reason: form.get("reason").to_owned() };
        match receipts::enter(&visit.app, &admin, &payment, &new).await {
            Ok(_) => go(&format!("{}?done=receipt", page_of(form))),
            Err(failure) if failure.status == StatusCode::NOT_FOUND => Err(failure),
            Err(failure) => {
                let (mut receipt, mut reason) = (form.field("receipt"), form.field("reason"));
                let wrong = if failure.code == "INVALID_TEXT" { &mut reason } else { &mut receipt };
                wrong.error = Some(failure.message.clone().into_owned());
                shown_again(visit, form, &failure, Typed { payment, receipt, reason, refused: None }).await
            }
        }
    })
    .await
}

async fn confirm(Path(id): Path<String>, visit: Visit, request: Request) -> Response {
    form(visit, request, async |visit, form| {
        let admin = visit.admin()?;
        let payment = crate::reply::id(&id).unwrap_or_default();
        match receipts::confirm(&visit.app, &admin, &payment, form.get("receipt")).await {
            Ok(_) => go(&format!("{}?done=receipt_confirmed", page_of(form))),
            Err(failure) if failure.status == StatusCode::NOT_FOUND => Err(failure),
            Err(failure) => {
                let refused = Some(failure.message.clone().into_owned());
                shown_again(visit, form, &failure, Typed { payment, refused, ..Typed::default() }).await
            }
        }
    })
    .await
}

fn page_of(form: &Form) -> &'static str {
    if form.get("from") == money_back::FROM { "/admin/refunds" } else { "/admin/unknown" }
}

async fn shown_again(visit: &Visit, form: &Form, failure: &Failure, typed: Typed) -> Result<Response, Failure> {
    if form.get("from") == money_back::FROM {
        return Ok(render(failure.status, &money_back::with_receipt(visit, typed).await?));
    }
    Ok(render(failure.status, &admin::unknown_page(visit, &typed).await?))
}
