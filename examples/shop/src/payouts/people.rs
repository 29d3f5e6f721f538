//! What another person does about a payout: approves it, or says what became of it.

use daraja::PayoutState;
use serde::Deserialize;
use sqlx::AnyConnection;
use utoipa::ToSchema;

use super::{
    PayoutView, begin_due,
    guard::{check_cap, one_at_a_time},
    lock, not_found, view,
};
use crate::{
    app::App,
    auth::Admin,
    db::{DAY, millis, now},
    refunds,
    reply::{Failure, text},
    suppliers::{self, audit},
};

/// An admin's word about a payout that Daraja does not tell of.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(crate) struct Word {
    /// paid or `not_paid`, as the organisation's statement shows it
    #[schema(example = "paid")]
    pub(crate) outcome: String,
    /// M-PESA's receipt, if it was paid.
    pub(crate) receipt: Option<String>,
    /// 1 to 200 characters: it is kept.
    pub(crate) reason: String,
}

/// Approves a payout to a number that was changed lately: within the cap of the day on which the money leaves.
pub(crate) async fn approve(app: &App, admin: &Admin, id: &str) -> Result<PayoutView, Failure> {
    let mut tx = app.db.write().await?;
    one_at_a_time(&mut tx, app).await?;
    let row = lock(&mut tx, id).await?.ok_or_else(not_found)?;
    if row.status != "awaiting_approval" {
        return Err(Failure::conflict("NOT_AWAITING_APPROVAL", "This payout does not wait for an approval."));
    }
    let supplier = suppliers::lock(&mut tx, row.supplier_id.as_deref().unwrap_or_default()).await?;
    if supplier.mpesa_number != row.number {
        let message = "The supplier's number was changed again: this payout would go to the number before. Refuse it.";
        return Err(Failure::conflict("NUMBER_CHANGED", message));
    }
    check_second(&mut tx, app, &admin.0.id, &[&row.created_by, &supplier.changed_by_id]).await?;
    check_cap(&mut tx, app, id, row.amount).await?;
    sqlx::query("UPDATE payouts SET status = 'pending', approved_by = $1, approved_at = $2, due_at = $2 WHERE id = $3")
        .bind(&admin.0.id)
        .bind(now())
        .bind(id)
        .execute(&mut *tx)
        .await?;
    audit(&mut tx, &admin.0, "payout.approved", id, None, None, "approved").await?;
    let view = view(&mut tx, id).await?;
    tx.commit().await?;
    tracing::info!(event = "payout.approved", payout = id, by = admin.0.id, "a payout was approved");
    begin_due(app, id.to_owned());
    Ok(view)
}

/// Checks that the second admin is another person than each of the others. Who makes an account knows its password, so no one
/// may stand in both chains of makers: two accounts of one maker are one person's. Nor may the account be so new that it
/// may have been made for this.
pub(crate) async fn check_second(
    tx: &mut AnyConnection,
    app: &App,
    second: &str,
    others: &[&str],
) -> Result<(), Failure> {
    let refuse = |message| Err(Failure::new(axum::http::StatusCode::FORBIDDEN, "SECOND_ADMIN_NEEDED", message));
    if others.contains(&second) {
        return refuse(
            "A second admin is needed: not one who asked for it, changed the number or entered the receipt.",
        );
    }
    let own = chain(tx, second).await?;
    for other in others {
        if chain(tx, other).await?.iter().any(|one| own.contains(one)) {
            return refuse(
                "Another admin is needed: your account and that of one who began it have the same origin. Two admins are \
                 independent if each comes from another SHOP_ADMIN_EMAIL.",
            );
        }
    }
    let (since,): (i64,) =
        sqlx::query_as("SELECT created_at FROM users WHERE id = $1").bind(second).fetch_one(&mut *tx).await?;
    if now().saturating_sub(since) < millis(app.rules.number_is_new) {
        return refuse("Your account is too new for this: another admin is needed.");
    }
    Ok(())
}

/// This admin, who made this account, who made that one, and so on.
async fn chain(tx: &mut AnyConnection, id: &str) -> sqlx::Result<Vec<String>> {
    let mut chain = vec![id.to_owned()];
    loop {
        let last = chain.last().map_or(id, String::as_str);
        let maker: Option<(Option<String>,)> =
            sqlx::query_as("SELECT created_by FROM users WHERE id = $1").bind(last).fetch_optional(&mut *tx).await?;
        match maker {
            // A loop of makers ends.
            Some((Some(maker),)) if !chain.contains(&maker) => chain.push(maker),
            _ => return Ok(chain),
        }
    }
}

/// Takes an admin's word about a payout: refuses one that waits for approval, or ends one that Daraja has not told of for a
/// day. What Daraja tells later is noted all the same.
pub(crate) async fn resolve(app: &App, admin: &Admin, id: &str, word: &Word) -> Result<PayoutView, Failure> {
    let reason = text("reason", &word.reason, 200)?;
    let receipt = word.receipt.as_deref().map(|receipt| receipt.trim().to_uppercase()).filter(|text| !text.is_empty());
    let status = match (word.outcome.as_str(), &receipt) {
        ("paid", Some(receipt)) if receipt.parse::<daraja::ReceiptNumber>().is_ok_and(|known| known.is_plausible()) => {
            "completed"
        }
        ("not_paid", None) => "failed",
        _ => {
            let message = "outcome is paid, with M-PESA's receipt, or not_paid, without one.";
            return Err(Failure::invalid("INVALID_OUTCOME", message));
        }
    };
    let mut tx = app.db.write().await?;
    let row = lock(&mut tx, id).await?.ok_or_else(not_found)?;
    let (approved_at,): (i64,) = sqlx::query_as("SELECT COALESCE(approved_at, created_at) FROM payouts WHERE id = $1")
        .bind(id)
        .fetch_one(&mut *tx)
        .await?;
    let payout = row.payout()?;
    let sent_at = payout.first_sent_at().map_or(approved_at, |sent| sent.to_datetime().timestamp_millis());
    let since = now().saturating_sub(approved_at.max(sent_at));
    let may = match row.status.as_str() {
        "awaiting_approval" => status == "failed",
        // One that is being sent may leave at this very moment.
        "pending" => since >= DAY && *payout.state() != PayoutState::Sending,
        _ => false,
    };
    if !may {
        let message = "Only a payout that waits for approval can be refused, and only one that was sent a day ago can be \
                       ended by a person's word.";
        return Err(Failure::conflict("NOT_TO_BE_RESOLVED", message));
    }
    sqlx::query(
        "UPDATE payouts SET status = $1, receipt = $2, reason = $3, due_at = NULL, settled_at = $4 WHERE id = $5",
    )
    .bind(status)
    .bind(&receipt)
    .bind((status == "failed").then_some(&reason))
    .bind(now())
    .bind(id)
    .execute(&mut *tx)
    .await?;
    if let Some(refund) = &row.refund_id {
        refunds::paid_back(&mut tx, refund, status).await?;
    }
    audit(&mut tx, &admin.0, "payout.resolved", id, Some(&row.status), Some(status), &reason).await?;
    let view = view(&mut tx, id).await?;
    tx.commit().await?;
    tracing::warn!(event = "payout.resolved", payout = id, status, by = admin.0.id, "an admin ended a payout");
    Ok(view)
}
