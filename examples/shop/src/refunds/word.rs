//! A person's word about a refund of which Daraja does not tell, or after which no program may go on.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Refund, lock, not_found, work::settle};
use crate::{
    app::App,
    auth::Admin,
    db::{DAY, now},
    reply::{Failure, text},
    suppliers::audit,
};

/// An admin's word about a refund.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct RefundWord {
    /// `given_back` or `not_given_back`, as the organisation's statement shows it
    #[schema(example = "given_back")]
    pub(crate) outcome: String,
    /// M-PESA's receipt of what went back, if it did.
    pub(crate) receipt: Option<String>,
    /// 1 to 200 characters: it is kept.
    pub(crate) reason: String,
}

/// Whether a person's word may end it: at once where no program goes on, and after a day where Daraja may still tell.
pub(crate) fn may_be_resolved(state: &str, since: i64) -> bool {
    match state {
        "needs_person" => true,
        "sending" | "accepted" | "unknown" => now().saturating_sub(since) >= DAY,
        _ => false,
    }
}

impl RefundWord {
    /// The receipt of money that went back, or none if it did not.
    fn receipt(&self) -> Result<Option<String>, Failure> {
        let given = self.receipt.as_deref().unwrap_or_default().trim().to_uppercase();
        let is_receipt = given.parse::<daraja::ReceiptNumber>().is_ok_and(|known| known.is_plausible());
        match self.outcome.as_str() {
            "given_back" if is_receipt => Ok(Some(given)),
            "not_given_back" if given.is_empty() => Ok(None),
            _ => {
                let message = "outcome is given_back, with M-PESA's receipt, or not_given_back, without one.";
                Err(Failure::invalid("INVALID_OUTCOME", message))
            }
        }
    }
}

/// Takes an admin's word about a refund. Money that was not given back is to be refunded as before.
pub(crate) async fn resolve(app: &App, admin: &Admin, id: &str, word: &RefundWord) -> Result<Refund, Failure> {
    let reason = text("reason", &word.reason, 200)?;
    let receipt = word.receipt()?;
    let mut tx = app.db.write().await?;
    let refund = lock(&mut tx, id).await?.ok_or_else(not_found)?;
    if !may_be_resolved(&refund.state, refund.since()) {
        let message = "Only a refund that needs a person, or one whose reversal Daraja has not told of for a day, can be \
                       ended by a person's word.";
        return Err(Failure::conflict("NOT_TO_BE_RESOLVED", message));
    }
    if receipt.is_some() {
        settle(&mut tx, &refund, "by_word").await?;
    }
    let after = if receipt.is_some() { "settled" } else { "not_given_back" };
    sqlx::query("UPDATE refunds SET state = $1, back_receipt = $2, reason = $3, settled_at = $4 WHERE id = $5")
        .bind(after)
        .bind(&receipt)
        .bind(&reason)
        .bind(now())
        .bind(id)
        .execute(&mut *tx)
        .await?;
    audit(&mut tx, &admin.0, "refund.resolved", id, Some(&refund.state), Some(after), &reason).await?;
    let refund = lock(&mut tx, id).await?.ok_or_else(not_found)?;
    tx.commit().await?;
    tracing::warn!(event = "refund.resolved", refund = id, state = after, by = admin.0.id, "an admin ended a refund");
    Ok(refund)
}
