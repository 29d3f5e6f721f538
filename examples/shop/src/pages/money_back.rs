//! What an admin does about money that goes back to customers.

use axum::{
    Router,
    extract::{Path, Request},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use sqlx::FromRow;

use super::{
    Form, Visit, form, go, page, receipts, render, shown,
    views::{
        Field, Kes,
        admin::{Outcome, ReceiptForms, Refund, RefundState, RefundsPage},
    },
    words,
};
use crate::{
    app::App,
    db::new_id,
    idempotency::Named,
    refunds::{self, NewRefund, RefundWord},
    reply::Failure,
};

/// The word by which a form says that it stands on this page.
pub(super) const FROM: &str = "refunds";

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/admin/refunds", get(refunds_page).post(refund_by_receipt))
        .route("/admin/refunds/{id}", post(refund))
        .route("/admin/refunds/{id}/outcome", post(outcome))
}

async fn refunds_page(visit: Visit) -> Response {
    page(visit, async |visit| {
        visit.admin()?;
        shown(&refunds_of(visit, Typed::default()).await?)
    })
    .await
}

/// What was typed into one of the forms.
#[derive(Default)]
struct Typed {
    /// The id of the money whose form it is.
    of: String,
    note: Field,
    missing: receipts::Typed,
    outcome: Outcome,
    /// Of the form for any receipt.
    any_receipt: Field,
    any_note: Field,
}

#[derive(FromRow)]
struct ToRefund {
    id: String,
    payment_id: Option<String>,
    created_at: i64,
    number: Option<String>,
    email: Option<String>,
    payer: Option<String>,
    amount_cents: Option<i64>,
    receipt: Option<String>,
    reason: Option<String>,
    refund_id: Option<String>,
    amount: Option<i64>,
    state: Option<String>,
    stuck: Option<String>,
    since: Option<i64>,
}

impl ToRefund {
    fn state(&self) -> RefundState {
        match self.state.as_deref() {
            None if self.receipt.is_none() => RefundState::NoReceipt,
            None => RefundState::Due,
            Some("not_sent") => RefundState::Failed,
            Some("needs_person") => RefundState::NeedsPerson,
            Some("unknown") => RefundState::Unknown,
            Some(_) => RefundState::Pending,
        }
    }

    /// Its receipt is known, or can be entered.
    async fn missing(&self, visit: &Visit, typed: &Typed) -> Result<ReceiptForms, Failure> {
        match &self.payment_id {
            Some(payment) if self.state() == RefundState::NoReceipt => {
                let of = format!("order {}", self.number.as_deref().unwrap_or_default());
                receipts::forms(visit, payment, &of, FROM, &typed.missing).await
            }
            _ => Ok(ReceiptForms::default()),
        }
    }

    fn view(self, missing: ReceiptForms, typed: &Typed) -> Refund {
        let nothing = Typed::default();
        let typed = if typed.of == self.id { typed } else { &nothing };
        let of = self.state.as_deref().zip(self.since);
        let whole = self.amount_cents.unwrap_or_default() / 100;
        Refund {
            state: self.state(),
            may_be_resolved: of.is_some_and(|(state, since)| refunds::may_be_resolved(state, since)),
            stuck: self.stuck,
            attempt: self.refund_id.unwrap_or_default(),
            note: typed.note.clone(),
            missing,
            outcome: typed.outcome.clone(),
            when: words::time(self.created_at),
            order: self.number.unwrap_or_else(|| "no order".to_owned()),
            customer: self.email.unwrap_or_default(),
            masked: words::masked(self.payer.as_deref().unwrap_or_default()),
            amount: Kes(self.amount.unwrap_or(whole)),
            why: why(self.reason.as_deref()).to_owned(),
            receipt: self.receipt,
            idempotency_key: new_id(),
            id: self.id,
        }
    }
}

async fn refunds_of(visit: &Visit, typed: Typed) -> Result<RefundsPage, Failure> {
    // Money that was to be given back once is shown until it is: also if a person has said that it was not.
    let rows: Vec<ToRefund> = sqlx::query_as(
        "SELECT r.id, r.payment_id, r.created_at, o.number, u.email, r.payer, r.amount_cents, r.receipt, r.reason,
         f.id AS refund_id, f.amount, f.state, f.reason AS stuck, COALESCE(f.sent_at, f.created_at) AS since
         FROM received r LEFT JOIN payments p ON p.id = r.payment_id LEFT JOIN orders o ON o.id = p.order_id
         LEFT JOIN users u ON u.id = o.customer_id
         LEFT JOIN refunds f ON f.received_id = r.id AND f.state <> 'not_given_back'
         WHERE r.disposition <> 'refunded' AND COALESCE(f.state, '') <> 'settled'
         AND (r.disposition = 'to_refund' OR EXISTS (SELECT 1 FROM refunds g WHERE g.received_id = r.id))
         ORDER BY r.created_at LIMIT 100",
    )
    .fetch_all(visit.app.db.pool())
    .await?;
    let mut refunds = Vec::new();
    for row in rows {
        let missing = row.missing(visit, &typed).await?;
        refunds.push(row.view(missing, &typed));
    }
    Ok(RefundsPage { shell: visit.shell(), refunds, receipt: typed.any_receipt, note: typed.any_note })
}

/// The page with what was typed about the receipt of one payment.
pub(super) async fn with_receipt(visit: &Visit, missing: receipts::Typed) -> Result<RefundsPage, Failure> {
    refunds_of(visit, Typed { missing, ..Typed::default() }).await
}

/// Takes an admin's word about a refund that does not go on by itself.
async fn outcome(Path(id): Path<String>, visit: Visit, request: Request) -> Response {
    form(visit, request, async |visit, form| {
        let admin = visit.admin()?;
        let id = crate::reply::id(&id).unwrap_or_default();
        let word = RefundWord {
            outcome: form.get("outcome").to_owned(),
            receipt: Some(form.get("receipt").to_owned()),
            reason: form.get("reason").to_owned(),
        };
        match refunds::resolve(&visit.app, &admin, &id, &word).await {
            Ok(_) => go("/admin/refunds?done=resolved"),
            Err(failure) if failure.status == StatusCode::NOT_FOUND => Err(failure),
            Err(failure) => {
                let outcome = Outcome {
                    given_back: form.field("outcome"),
                    receipt: form.field("receipt"),
                    reason: form.field("reason").wrong(failure.message.clone()),
                };
                let of: Option<(String,)> = sqlx::query_as("SELECT received_id FROM refunds WHERE id = $1")
                    .bind(&id)
                    .fetch_optional(visit.app.db.pool())
                    .await?;
                let of = of.map(|(of,)| of).unwrap_or_default();
                let page = refunds_of(visit, Typed { of, outcome, ..Typed::default() }).await?;
                Ok(render(failure.status, &page))
            }
        }
    })
    .await
}

fn why(reason: Option<&str>) -> &'static str {
    match reason {
        Some("second_payment") => "The order was paid already",
        Some("order_cancelled") => "The order was cancelled",
        Some("wrong_amount" | "amount_differs") => "It is not the amount that was asked for",
        Some("amount_not_known") => "M-PESA did not report a readable amount: look the receipt up in the M-PESA portal",
        Some("other_receipt") => {
            "Admins entered this receipt, and M-PESA reported another one: look it up in the M-PESA portal"
        }
        Some("other_request" | "unknown_payment") => "It belongs to no payment of ours",
        _ => "An admin gives it back",
    }
}

/// Gives a receipt of the list back; one that provably was not sent is sent again.
async fn refund(Path(id): Path<String>, visit: Visit, request: Request) -> Response {
    form(visit, request, async |visit, form| {
        visit.admin()?;
        let id = crate::reply::id(&id).unwrap_or_default();
        let not_found = || Failure::not_found("RECEIPT_NOT_FOUND", "There is no such receipt.");
        let found: Option<(String, Option<String>)> = sqlx::query_as(
            "SELECT r.receipt, f.id FROM received r LEFT JOIN refunds f ON f.received_id = r.id AND f.state = 'not_sent'
             WHERE r.id = $1 AND r.receipt IS NOT NULL",
        )
        .bind(&id)
        .fetch_optional(visit.app.db.pool())
        .await?;
        let (receipt, not_sent) = found.ok_or_else(not_found)?;
        let given = match not_sent {
            Some(refund) => refunds::retry(&visit.app, refund).await,
            None => give_back(visit, form, &receipt).await,
        };
        match given {
            Ok(()) => go("/admin/refunds?done=refund"),
            Err(failure) => {
                let note = form.field("note").wrong(failure.message.clone());
                let page = refunds_of(visit, Typed { of: id, note, ..Typed::default() }).await?;
                Ok(render(failure.status, &page))
            }
        }
    })
    .await
}

/// Gives back what was received under a receipt that an admin types.
async fn refund_by_receipt(visit: Visit, request: Request) -> Response {
    form(visit, request, async |visit, form| {
        visit.admin()?;
        match give_back(visit, form, form.get("receipt")).await {
            Ok(()) => go("/admin/refunds?done=refund"),
            Err(failure) => {
                let any_receipt = form.field("receipt").wrong(failure.message.clone());
                let typed = Typed { any_receipt, any_note: form.field("note"), ..Typed::default() };
                Ok(render(failure.status, &refunds_of(visit, typed).await?))
            }
        }
    })
    .await
}

async fn give_back(visit: &Visit, form: &Form, receipt: &str) -> Result<(), Failure> {
    let admin = visit.admin()?;
    let wanted = NewRefund { receipt: receipt.to_owned(), amount: None, reason: form.get("note").to_owned() };
    let named = Some(form.get("idempotency_key")).filter(|key| (1..=200).contains(&key.len()));
    let named = named.map(|key| Named::new(&admin.0, "refund", key, &wanted));
    refunds::request(&visit.app, &admin, &wanted, named.as_ref()).await.map(drop)
}
