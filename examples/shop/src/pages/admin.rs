//! What an admin sees of the money that comes in.

use axum::{
    Router,
    extract::{Path, Request},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use sqlx::FromRow;

use super::{
    Visit, form, go, money_back, page, render, shown,
    views::{
        Field, Kes,
        admin::{DashboardPage, PaymentRow, PaymentState, UnknownPage, UnknownPayment},
        chart::{Chart, Day},
    },
    words,
};
use crate::{
    app::App,
    db::{DAY, EAT, now},
    payments,
};

/// How many days the dashboard covers.
const DAYS: i64 = 14;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/admin", get(dashboard))
        .route("/admin/unknown", get(unknown))
        .route("/admin/payments/{id}/receipt", post(enter_receipt))
}

#[derive(FromRow)]
struct Count {
    day: i64,
    pending: i64,
    succeeded: i64,
    failed: i64,
    received: i64,
}

async fn dashboard(visit: Visit) -> Response {
    page(visit, async |visit| {
        visit.admin()?;
        let today = now().saturating_add(EAT).div_euclid(DAY);
        let first = today.saturating_sub(DAYS - 1);
        let counts: Vec<Count> = sqlx::query_as(
            "SELECT (created_at + 10800000) / 86400000 AS day,
             CAST(SUM(CASE WHEN state <> 'settled' THEN 1 ELSE 0 END) AS BIGINT) AS pending,
             CAST(SUM(CASE WHEN outcome = 'paid' THEN 1 ELSE 0 END) AS BIGINT) AS succeeded,
             CAST(SUM(CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END) AS BIGINT) AS failed,
             CAST(SUM(CASE WHEN outcome = 'paid' THEN amount ELSE 0 END) AS BIGINT) AS received
             FROM payments WHERE created_at >= $1 GROUP BY (created_at + 10800000) / 86400000",
        )
        .bind(first.saturating_mul(DAY).saturating_sub(EAT))
        .fetch_all(visit.app.db.pool())
        .await?;
        let of = |day: i64, part: fn(&Count) -> i64| counts.iter().find(|count| count.day == day).map_or(0, part);
        let days = (first..=today).map(|day| Day {
            label: words::day(day.saturating_mul(DAY)),
            succeeded: of(day, |count| count.succeeded),
            failed: of(day, |count| count.failed),
            pending: of(day, |count| count.pending),
        });
        let sum = |part: fn(&Count) -> i64| counts.iter().map(part).fold(0, i64::saturating_add);
        shown(&DashboardPage {
            shell: visit.shell(),
            period: format!("the last {DAYS} days"),
            initiated: sum(|count| count.succeeded.saturating_add(count.failed).saturating_add(count.pending)),
            succeeded: sum(|count| count.succeeded),
            failed: sum(|count| count.failed),
            overdue: overdue(&visit.app).await?,
            to_refund: to_refund(&visit.app).await?,
            received: Kes(sum(|count| count.received)),
            chart: Chart::new(days.collect()),
            latest: latest(&visit.app).await?,
        })
    })
    .await
}

async fn overdue(app: &App) -> sqlx::Result<i64> {
    let (count,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM payments WHERE state <> 'settled' AND created_at < $1")
        .bind(now().saturating_sub(300_000))
        .fetch_one(app.db.pool())
        .await?;
    Ok(count)
}

async fn to_refund(app: &App) -> sqlx::Result<i64> {
    let (count,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM received WHERE disposition = 'to_refund'")
        .fetch_one(app.db.pool())
        .await?;
    Ok(count)
}

#[derive(FromRow)]
struct Latest {
    created_at: i64,
    number: String,
    phone: String,
    amount: i64,
    outcome: Option<String>,
    receipt: Option<String>,
    disposition: Option<String>,
}

async fn latest(app: &App) -> sqlx::Result<Vec<PaymentRow>> {
    let rows: Vec<Latest> = sqlx::query_as(
        "SELECT p.created_at, o.number, p.phone, p.amount, p.outcome, r.receipt, r.disposition
         FROM payments p JOIN orders o ON o.id = p.order_id LEFT JOIN received r ON r.payment_id = p.id
         ORDER BY p.created_at DESC LIMIT 10",
    )
    .fetch_all(app.db.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| PaymentRow {
            when: words::time(row.created_at),
            order: row.number,
            masked: words::masked(&row.phone),
            amount: Kes(row.amount),
            state: match (row.outcome.as_deref(), row.disposition.as_deref()) {
                (_, Some("to_refund")) => PaymentState::ToRefund,
                (Some("paid"), _) => PaymentState::Succeeded,
                (Some(_), _) => PaymentState::Failed,
                (None, _) => PaymentState::Pending,
            },
            receipt: row.receipt,
        })
        .collect())
}

async fn unknown(visit: Visit) -> Response {
    page(visit, async |visit| {
        visit.admin()?;
        shown(&UnknownPage { shell: visit.shell(), payments: not_known(&visit.app, None).await? })
    })
    .await
}

#[derive(FromRow)]
struct NotKnown {
    id: String,
    created_at: i64,
    number: String,
    email: String,
    phone: String,
    amount: i64,
    state: String,
    asks: i64,
}

/// Payments that are not known; one of them with what was typed for it.
async fn not_known(app: &App, typed: Option<(&str, Field)>) -> sqlx::Result<Vec<UnknownPayment>> {
    let rows: Vec<NotKnown> = sqlx::query_as(
        "SELECT p.id, p.created_at, o.number, u.email, p.phone, p.amount, p.state, p.asks FROM payments p
         JOIN orders o ON o.id = p.order_id JOIN users u ON u.id = o.customer_id
         WHERE p.state = 'unknown' OR (p.state = 'accepted' AND p.created_at < $1) ORDER BY p.created_at LIMIT 100",
    )
    .bind(now().saturating_sub(300_000))
    .fetch_all(app.db.pool())
    .await?;
    let known = |row: &NotKnown| match row.state.as_str() {
        "unknown" => {
            "The answer to the request was lost: it may have reached the phone. M-PESA cannot be asked.".to_owned()
        }
        _ => format!("M-PESA has it, was asked {} times, and has not told what became of it.", row.asks),
    };
    Ok(rows
        .into_iter()
        .map(|row| UnknownPayment {
            known: known(&row),
            receipt: typed.as_ref().filter(|(id, _)| *id == row.id).map(|(_, field)| field.clone()).unwrap_or_default(),
            when: words::time(row.created_at),
            age: words::age(row.created_at),
            id: row.id,
            order: row.number,
            customer: row.email,
            masked: words::masked(&row.phone),
            amount: Kes(row.amount),
        })
        .collect())
}

async fn enter_receipt(Path(id): Path<String>, visit: Visit, request: Request) -> Response {
    form(visit, request, async |visit, form| {
        let admin = visit.admin()?;
        let id = crate::reply::id(&id).unwrap_or_default();
        let entered = payments::add_receipt(&visit.app, &admin, &id, form.get("receipt"), "entered on the page").await;
        match entered {
            Ok(_) if form.get("from") == "refunds" => go("/admin/refunds?done=receipt"),
            Ok(_) => go("/admin/unknown?done=receipt"),
            Err(failure) if failure.status == StatusCode::NOT_FOUND => Err(failure),
            Err(failure) if form.get("from") == "refunds" => {
                money_back::receipt_refused(visit, form, &id, &failure).await
            }
            Err(failure) => {
                let field = form.field("receipt").wrong(failure.message.clone());
                let payments = not_known(&visit.app, Some((&id, field))).await?;
                Ok(render(failure.status, &UnknownPage { shell: visit.shell(), payments }))
            }
        }
    })
    .await
}
