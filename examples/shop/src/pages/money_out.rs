//! What an admin does about money that leaves: payouts and suppliers.

use super::{
    Form, Visit, form, go, page, render, shown,
    views::{
        Field, Kes,
        payouts::{
            ConfirmPayoutPage, NewPayoutPage, NumberChange, PayoutAction, PayoutOutcomePage, PayoutRow, PayoutState,
            PayoutsPage, Supplier as SupplierView, SupplierChoice, SuppliersPage, ToCompare,
        },
    },
    words,
};
use crate::{
    app::App,
    auth::Admin,
    db::{DAY, new_id, now},
    idempotency::Named,
    payouts::{self, Amount, Equal, Guard, NewPayout, PayoutView, Word},
    reply::{Failure, Page},
    suppliers::{self, NewNumber, Supplier},
};
use axum::{
    Json, Router,
    extract::{Path, Request},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;
use sqlx::FromRow;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/admin/payouts", get(list).post(send))
        .route("/admin/payouts/state", get(state))
        .route("/admin/payouts/new", get(new))
        .route("/admin/payouts/confirm", post(confirm))
        .route("/admin/payouts/{id}/approve", post(approve))
        .route("/admin/payouts/{id}/outcome", get(outcome_form).post(outcome))
        .route("/admin/suppliers", get(suppliers_page))
        .route("/admin/suppliers/{id}/number", post(change_number))
}

async fn list(visit: Visit) -> Response {
    page(visit, async |visit| {
        let admin = visit.admin()?;
        // What cannot be read is as if it were left out.
        let asked = |name: &str| words::parameter(&visit.path, name).unwrap_or_default();
        let number = |name: &str| asked(name).parse::<u32>().ok().filter(|number| *number > 0);
        let status = asked("status");
        let filter = PayoutState::ALL.into_iter().find(|state| state.word() == status);
        let per_page = number("per_page").unwrap_or(20).min(100);
        let part = Page { page: number("page").unwrap_or(1), per_page };
        let version = version(&visit.app).await?;
        let list = payouts::list(&visit.app, part, filter.map(PayoutState::word)).await?;
        let pages = list.total.saturating_add(i64::from(per_page)).saturating_sub(1).checked_div(i64::from(per_page));
        let waiting = waiting(visit).await?;
        shown(&PayoutsPage {
            shell: visit.shell(),
            filter,
            page: i64::from(part.page),
            pages: pages.unwrap_or(1).max(1),
            per_page: i64::from(per_page),
            total: list.total,
            version,
            payouts: list.items.into_iter().map(|payout| row(visit, &admin, &waiting, payout)).collect(),
        })
    })
    .await
}

/// For the page's script: changes when a payout has come to something.
async fn state(visit: Visit) -> Response {
    page(visit, async |visit| {
        visit.admin()?;
        Ok(Json(json!({"version": version(&visit.app).await?})).into_response())
    })
    .await
}

async fn version(app: &App) -> sqlx::Result<String> {
    let counts: Vec<(String, i64)> =
        sqlx::query_as("SELECT status, COUNT(*) FROM payouts GROUP BY status ORDER BY status")
            .fetch_all(app.db.pool())
            .await?;
    let parts: Vec<_> = counts.into_iter().map(|(status, count)| format!("{status}.{count}")).collect();
    Ok(parts.join("."))
}

#[derive(FromRow)]
struct Waiting {
    id: String,
    number: String,
    changed_at: i64,
    changed_by: String,
}

/// What whoever approves has to compare: the numbers in full, and who changed them when.
async fn waiting(visit: &Visit) -> sqlx::Result<Vec<Waiting>> {
    sqlx::query_as(
        "SELECT p.id, p.number, s.changed_at, COALESCE(u.email, s.changed_by) AS changed_by FROM payouts p
         JOIN suppliers s ON s.id = p.supplier_id LEFT JOIN users u ON u.id = s.changed_by
         WHERE p.status = 'awaiting_approval'",
    )
    .fetch_all(visit.app.db.pool())
    .await
}

fn row(visit: &Visit, admin: &Admin, waiting: &[Waiting], payout: PayoutView) -> PayoutRow {
    let waiting = waiting.iter().find(|waiting| waiting.id == payout.id);
    let state =
        PayoutState::ALL.into_iter().find(|state| state.word() == payout.status).unwrap_or(PayoutState::Pending);
    let own = payout.created_by == visit.email || payout.created_by == admin.0.id;
    let action = match state {
        PayoutState::AwaitingApproval if own => PayoutAction::AnotherMustApprove,
        PayoutState::AwaitingApproval => PayoutAction::Approve,
        PayoutState::Pending if now().saturating_sub(payout.created_at) >= DAY => PayoutAction::EnterOutcome,
        _ => PayoutAction::Nothing,
    };
    PayoutRow {
        id: payout.id,
        when: words::time(payout.created_at),
        supplier: payout.supplier_name.unwrap_or_else(|| "Refund to a customer".to_owned()),
        masked: payout.number,
        amount: Kes(payout.amount),
        state,
        reason: payout.reason,
        receipt: payout.receipt,
        by: payout.created_by,
        approved_by: payout.approved_by,
        contradictory: payout.contradictory == 1,
        to_compare: waiting.map(|waiting| ToCompare {
            number: words::spelled(&waiting.number),
            when: words::time(waiting.changed_at),
            by: waiting.changed_by.clone(),
        }),
        action,
    }
}

async fn new(visit: Visit) -> Response {
    page(visit, async |visit| {
        visit.admin()?;
        shown(&new_page(visit, Field::default(), Field::default(), Field::default()).await?)
    })
    .await
}

async fn new_page(visit: &Visit, supplier: Field, amount: Field, notes: Field) -> Result<NewPayoutPage, Failure> {
    let suppliers = suppliers::all(&visit.app).await?.into_iter().map(|supplier| SupplierChoice {
        masked: words::masked(&supplier.mpesa_number),
        id: supplier.id,
        name: supplier.name,
    });
    Ok(NewPayoutPage { shell: visit.shell(), suppliers: suppliers.collect(), supplier, amount, notes })
}

/// Shows what is about to be done, and does nothing.
async fn confirm(visit: Visit, request: Request) -> Response {
    form(visit, request, async |visit, form| {
        visit.admin()?;
        let (mut supplier, mut amount, mut notes) =
            (form.field("supplier_id"), form.field("amount"), form.field("notes"));
        let chosen = suppliers::all(&visit.app).await?.into_iter().find(|known| known.id == supplier.value);
        let parsed = Amount::parse(&amount.value);
        if notes.value.chars().count() > 500 || notes.value.chars().any(char::is_control) {
            notes = notes.wrong("Notes have at most 500 characters on one line.");
        }
        if let (Some(chosen), Ok(parsed), None) = (&chosen, &parsed, &notes.error) {
            let changed = change(visit, chosen).await?;
            let mut connection = visit.app.db.pool().acquire().await?;
            let is_second = payouts::is_equal_to_another(&mut connection, &chosen.id, parsed.shillings()).await?;
            return shown(&ConfirmPayoutPage {
                shell: visit.shell(),
                supplier_id: chosen.id.clone(),
                supplier: chosen.name.clone(),
                number: words::spelled(&chosen.mpesa_number),
                amount: Kes(parsed.shillings()),
                notes: notes.value,
                changed,
                is_second,
                idempotency_key: new_id(),
            });
        }
        if chosen.is_none() {
            supplier = supplier.wrong("Choose a supplier.");
        }
        if let Err(problem) = parsed {
            amount = amount.wrong(problem);
        }
        Ok(render(StatusCode::UNPROCESSABLE_ENTITY, &new_page(visit, supplier, amount, notes).await?))
    })
    .await
}

/// When, by whom and why a number was changed.
async fn change(visit: &Visit, supplier: &Supplier) -> Result<Option<NumberChange>, Failure> {
    let reason: Option<(String,)> =
        sqlx::query_as("SELECT reason FROM audit WHERE subject = $1 ORDER BY at DESC LIMIT 1")
            .bind(&supplier.id)
            .fetch_optional(visit.app.db.pool())
            .await?;
    Ok(reason.map(|(reason,)| NumberChange {
        when: words::time(supplier.changed_at),
        by: supplier.changed_by.clone(),
        reason,
        recent: supplier.number_is_new(&visit.app),
    }))
}

/// Pays what was confirmed. The key of the confirmation makes one payout of a form that is sent twice.
async fn send(visit: Visit, request: Request) -> Response {
    form(visit, request, async |visit, form| {
        let admin = visit.admin()?;
        let wanted = match wanted(form) {
            Ok(wanted) => wanted,
            Err(problem) => {
                let amount = form.field("amount").wrong(problem);
                let page = new_page(visit, form.field("supplier_id"), amount, form.field("notes")).await?;
                return Ok(render(StatusCode::UNPROCESSABLE_ENTITY, &page));
            }
        };
        let named = Named::new(&admin.0, "payout", form.get("idempotency_key"), &wanted);
        let equal = if form.get("second") == "yes" { Equal::Meant } else { Equal::Refused };
        let number = form.get("number").parse::<daraja::Msisdn>().map(|number| number.to_string()).unwrap_or_default();
        let guard = Guard::Page { named: &named, number: &number, equal };
        match payouts::request(&visit.app, &admin, &wanted, guard).await {
            Ok(reply) if reply.data.status == "awaiting_approval" => go("/admin/payouts?done=payout_waits"),
            Ok(_) => go("/admin/payouts?done=payout"),
            Err(failure) if failure.status.is_server_error() => Err(failure),
            Err(failure) => {
                let amount = form.field("amount").wrong(failure.message.clone());
                let page = new_page(visit, form.field("supplier_id"), amount, form.field("notes")).await?;
                Ok(render(failure.status, &page))
            }
        }
    })
    .await
}

fn wanted(form: &Form) -> Result<NewPayout, &'static str> {
    let key = form.get("idempotency_key");
    if crate::reply::id(key).is_none() {
        return Err("This form is too old: begin again.");
    }
    let amount = Amount::parse(form.get("amount"))?;
    Ok(NewPayout { supplier_id: form.get("supplier_id").to_owned(), amount, notes: form.get("notes").to_owned() })
}

async fn approve(Path(id): Path<String>, visit: Visit, request: Request) -> Response {
    form(visit, request, async |visit, _| {
        let admin = visit.admin()?;
        let id = crate::reply::id(&id).ok_or_else(payouts::not_found)?;
        payouts::approve(&visit.app, &admin, &id).await?;
        go("/admin/payouts?done=approved")
    })
    .await
}

async fn outcome_form(Path(id): Path<String>, visit: Visit) -> Response {
    page(visit, async |visit| {
        shown(&outcome_page(visit, &id, Field::default(), Field::default(), Field::default()).await?)
    })
    .await
}

async fn outcome_page(
    visit: &Visit,
    id: &str,
    outcome: Field,
    receipt: Field,
    reason: Field,
) -> Result<PayoutOutcomePage, Failure> {
    let admin = visit.admin()?;
    let id = crate::reply::id(id).ok_or_else(payouts::not_found)?;
    let payout = row(visit, &admin, &[], payouts::show(&visit.app, &id).await?);
    Ok(PayoutOutcomePage { shell: visit.shell(), payout, outcome, receipt, reason })
}

async fn outcome(Path(id): Path<String>, visit: Visit, request: Request) -> Response {
    form(visit, request, async |visit, form| {
        let admin = visit.admin()?;
        let id = crate::reply::id(&id).ok_or_else(payouts::not_found)?;
        let word = Word {
            outcome: if form.get("outcome") == "completed" { "paid" } else { "not_paid" }.to_owned(),
            receipt: Some(form.get("receipt").to_owned()),
            reason: form.get("reason").to_owned(),
        };
        match payouts::resolve(&visit.app, &admin, &id, &word).await {
            Ok(_) => go("/admin/payouts?done=resolved"),
            Err(failure) if failure.status.is_server_error() => Err(failure),
            Err(failure) => {
                let reason = form.field("reason").wrong(failure.message.clone());
                let page = outcome_page(visit, &id, form.field("outcome"), form.field("receipt"), reason).await?;
                Ok(render(failure.status, &page))
            }
        }
    })
    .await
}

async fn suppliers_page(visit: Visit) -> Response {
    page(visit, async |visit| {
        visit.admin()?;
        shown(&suppliers_of(visit, None).await?)
    })
    .await
}

/// The suppliers; one of them with what was typed for it.
async fn suppliers_of(visit: &Visit, typed: Option<(&str, Field, Field)>) -> Result<SuppliersPage, Failure> {
    let mut views = Vec::new();
    for supplier in suppliers::all(&visit.app).await? {
        let typed = typed.as_ref().filter(|(id, ..)| *id == supplier.id);
        let (mpesa_number, reason) =
            typed.map(|(_, number, reason)| (number.clone(), reason.clone())).unwrap_or_default();
        views.push(SupplierView {
            changed: change(visit, &supplier).await?,
            masked: words::masked(&supplier.mpesa_number),
            id: supplier.id,
            name: supplier.name,
            mpesa_number,
            reason,
        });
    }
    Ok(SuppliersPage { shell: visit.shell(), suppliers: views })
}

async fn change_number(Path(id): Path<String>, visit: Visit, request: Request) -> Response {
    form(visit, request, async |visit, form| {
        let admin = visit.admin()?;
        let new =
            NewNumber { mpesa_number: form.get("mpesa_number").to_owned(), reason: form.get("reason").to_owned() };
        match suppliers::change_number(&visit.app, &admin, &id, &new).await {
            Ok(_) => go("/admin/suppliers?done=number"),
            Err(failure) if failure.status.is_server_error() || failure.status == StatusCode::NOT_FOUND => Err(failure),
            Err(failure) => {
                let (mut number, mut reason) = (form.field("mpesa_number"), form.field("reason"));
                if failure.code == "INVALID_TEXT" {
                    reason = reason.wrong(failure.message.clone());
                } else {
                    number = number.wrong(failure.message.clone());
                }
                Ok(render(failure.status, &suppliers_of(visit, Some((&id, number, reason))).await?))
            }
        }
    })
    .await
}
