//! What is done unasked: payments that are pending too long are asked for, payouts go on, and what a dead server has left
//! is put right. One server does it at a time.

use std::time::Duration;

use tokio::time::sleep;

use crate::{app::App, callbacks, db::now, idempotency, metrics, payments, payouts, refunds};

/// How long a server that died keeps the others from it, in milliseconds.
const LEASE: i64 = 10_000;
const TICK: Duration = Duration::from_millis(500);
/// Every so many ticks.
const TIDY: u64 = 10;
const FORGET: u64 = 7_200;

/// Sweeps for ever.
pub(crate) async fn run(app: App) {
    let mut ticks = 0_u64;
    loop {
        // In a task of its own: not even a panic ends the sweep.
        let shared = app.clone();
        match app.spawn(async move { tick(&shared, ticks).await }).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failed(&error),
            Err(error) => failed(&error),
        }
        ticks = ticks.wrapping_add(1);
        sleep(TICK).await;
    }
}

fn failed(error: &dyn std::error::Error) {
    tracing::error!(event = "sweep.failed", %error, "the sweep has failed, and is tried again");
}

async fn tick(app: &App, ticks: u64) -> sqlx::Result<()> {
    if ticks.is_multiple_of(TIDY) {
        metrics::look(app).await?;
        app.limits.tidy();
    }
    if !hold_lease(app).await? {
        return Ok(());
    }
    if ticks.is_multiple_of(TIDY) {
        payments::tidy(app).await?;
        refunds::tidy(app).await?;
    }
    if ticks.is_multiple_of(FORGET) {
        idempotency::tidy(&app.db).await?;
    }
    callbacks::work_again(app).await?;
    payments::sweep_one(app).await?;
    let due: Vec<(String,)> =
        sqlx::query_as("SELECT id FROM payouts WHERE status = 'pending' AND due_at <= $1 ORDER BY due_at LIMIT 20")
            .bind(now())
            .fetch_all(app.db.pool())
            .await?;
    for (id,) in due {
        payouts::begin_due(app, id);
    }
    Ok(())
}

async fn hold_lease(app: &App) -> sqlx::Result<bool> {
    let now = now();
    let mut tx = app.db.write().await?;
    let held =
        sqlx::query("UPDATE leases SET holder = $1, until = $2 WHERE name = 'sweeper' AND (holder = $1 OR until < $3 OR until > $4)")
            .bind(&*app.server)
            .bind(now.saturating_add(LEASE))
            .bind(now)
            // A clock that was wrong has written it.
            .bind(now.saturating_add(LEASE.saturating_mul(10)))
            .execute(&mut *tx)
            .await?;
    tx.commit().await?;
    Ok(held.rows_affected() == 1)
}

/// SQLite has one process: what was being sent when it started was being sent by one that is dead.
pub(crate) async fn after_start(app: &App) -> sqlx::Result<()> {
    let mut tx = app.db.write().await?;
    sqlx::query("UPDATE payments SET state = 'unknown' WHERE state = 'sending' AND server <> $1")
        .bind(&*app.server)
        .execute(&mut *tx)
        .await?;
    sqlx::query("UPDATE refunds SET state = 'unknown' WHERE state = 'sending' AND server <> $1")
        .bind(&*app.server)
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}
