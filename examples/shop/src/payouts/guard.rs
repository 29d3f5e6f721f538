//! What stands before money leaves: not the same twice, not to a number that nobody saw, and not more than the day's cap.

use sqlx::AnyConnection;

use crate::{
    app::App,
    db::{DAY, EAT, now},
    idempotency::Named,
    reply::Failure,
    suppliers::Supplier,
};

/// Within this an equal payout is taken for the same one sent twice, in milliseconds.
const EQUAL: i64 = 600_000;

/// What keeps a payout from being sent twice by mistake.
pub(crate) enum Guard<'a> {
    /// A program's own key; without one no equal payout is taken.
    Program(Option<&'a Named>),
    /// A page's key is made anew each time, so it tells nothing of what a person meant.
    Page {
        named: &'a Named,
        /// The number that the person saw and confirmed.
        number: &'a str,
        equal: Equal,
    },
}

/// What is done about a payout that equals another one of the last minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Equal {
    Refused,
    /// A person has seen the other one, and asked for a second.
    Meant,
}

impl<'a> Guard<'a> {
    pub(super) fn named(&self) -> Option<&'a Named> {
        match self {
            Self::Program(named) => *named,
            Self::Page { named, .. } => Some(named),
        }
    }

    /// The supplier is locked, and so is the making of payouts.
    pub(super) async fn check(&self, tx: &mut AnyConnection, supplier: &Supplier, amount: i64) -> Result<(), Failure> {
        let is_equal = is_equal_to_another(tx, &supplier.id, amount).await?;
        let message = match self {
            Self::Page { number, .. } if *number != supplier.mpesa_number => {
                let message = "The supplier's number was changed after you confirmed it: begin again.";
                return Err(Failure::conflict("NUMBER_CHANGED", message));
            }
            Self::Program(None) if is_equal => {
                "This supplier was paid the same amount within the last 10 minutes. If that is meant, send it with an \
                 Idempotency-Key of its own."
            }
            Self::Page { equal: Equal::Refused, .. } if is_equal => {
                "This supplier was paid the same amount within the last 10 minutes. If that is meant, tick \"Pay it a \
                 second time\" on the next page."
            }
            _ => return Ok(()),
        };
        Err(Failure::conflict("EQUAL_PAYOUT", message))
    }
}

/// Whether the supplier was paid the same amount a short time ago, or is to be.
pub(crate) async fn is_equal_to_another(tx: &mut AnyConnection, supplier: &str, amount: i64) -> sqlx::Result<bool> {
    let equal: Option<(String,)> = sqlx::query_as(
        "SELECT id FROM payouts WHERE supplier_id = $1 AND amount = $2 AND created_at > $3 AND status <> 'failed' LIMIT 1",
    )
    .bind(supplier)
    .bind(amount)
    .bind(now().saturating_sub(EQUAL))
    .fetch_optional(tx)
    .await?;
    Ok(equal.is_some())
}

/// On all servers, until the transaction ends: the cap and the look for an equal payout must not race. Whoever locks a
/// payout or a supplier as well does this first.
pub(super) async fn one_at_a_time(tx: &mut AnyConnection, app: &App) -> sqlx::Result<()> {
    let lease = sqlx::query("UPDATE leases SET holder = $1 WHERE name = 'payouts'");
    lease.bind(&*app.server).execute(tx).await.map(drop)
}

/// What was paid out today, in Nairobi, or may be: it counts on the day of its approval, if it needs one.
pub(super) async fn check_cap(tx: &mut AnyConnection, app: &App, id: &str, amount: i64) -> Result<(), Failure> {
    let cap = app.rules.daily_payout_cap;
    let midnight = now().saturating_add(EAT).div_euclid(DAY).saturating_mul(DAY).saturating_sub(EAT);
    let (today,): (i64,) = sqlx::query_as(
        "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM payouts
         WHERE COALESCE(approved_at, created_at) >= $1 AND status <> 'failed' AND refund_id IS NULL AND id <> $2",
    )
    .bind(midnight)
    .bind(id)
    .fetch_one(tx)
    .await?;
    if today.saturating_add(amount) <= cap {
        return Ok(());
    }
    let message = format!("The cap of KES {cap} a day would be exceeded: KES {today} are paid out today.");
    Err(Failure::conflict("DAILY_CAP", message))
}
