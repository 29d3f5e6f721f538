//! What an admin sees of the money that comes in.

use axum::{Router, response::Response, routing::get};
use sqlx::FromRow;

use super::{
    Visit, page, receipts, shown,
    views::{
        Kes,
        admin::{DashboardPage, PaymentRow, PaymentState, UnknownPage, UnknownPayment},
        chart::{Chart, Day},
    },
    words,
};
use crate::{
    app::App,
    db::{DAY, EAT, now},
    reply::Failure,
};

/// How many days the dashboard covers.
const DAYS: i64 = 14;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/admin", get(dashboard)).route("/admin/unknown", get(unknown))
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
        shown(&unknown_page(visit, &receipts::Typed::default()).await?)
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
    claimed_paid: i64,
    asks: i64,
}

impl NotKnown {
    /// What is known of it.
    fn known(&self) -> String {
        match self.state.as_str() {
            _ if self.claimed_paid == 1 => {
                "M-PESA reported a payment without a receipt that proves it. The customer has probably paid: nothing that \
                 M-PESA answers against it is believed."
                    .to_owned()
            }
            "unknown" => {
                "The answer to the request was lost: it may have reached the phone. M-PESA cannot be asked.".to_owned()
            }
            "settled" => "It has an outcome, and a receipt that an admin has entered.".to_owned(),
            _ => format!("M-PESA has it, was asked {} times, and has not said how it ended.", self.asks),
        }
    }
}

/// Payments that are not known, and those whose receipt waits for a second admin.
pub(super) async fn unknown_page(visit: &Visit, typed: &receipts::Typed) -> Result<UnknownPage, Failure> {
    let rows: Vec<NotKnown> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT p.id, p.created_at, o.number, u.email, p.phone, p.amount, p.state, p.claimed_paid, p.asks FROM payments p
         JOIN orders o ON o.id = p.order_id JOIN users u ON u.id = o.customer_id
         LEFT JOIN entered_receipts e ON e.payment_id = p.id
         WHERE p.state = 'unknown' OR (p.state = 'accepted' AND (p.created_at < $1 OR p.claimed_paid = 1))
         OR (e.payment_id IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM received r WHERE r.payment_id = p.id AND {IS_ITS_RECEIPT}))
         ORDER BY p.created_at LIMIT 100",
        IS_ITS_RECEIPT = crate::payments::receipts::IS_ITS_RECEIPT
    )))
    .bind(now().saturating_sub(300_000))
    .fetch_all(visit.app.db.pool())
    .await?;
    let mut payments = Vec::new();
    for row in rows {
        payments.push(UnknownPayment {
            known: row.known(),
            receipt: receipts::forms(visit, &row.id, &format!("order {}", row.number), "", typed).await?,
            when: words::time(row.created_at),
            age: words::age(row.created_at),
            id: row.id,
            order: row.number,
            customer: row.email,
            masked: words::masked(&row.phone),
            amount: Kes(row.amount),
        });
    }
    Ok(UnknownPage { shell: visit.shell(), payments })
}
