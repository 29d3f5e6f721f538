//! Money in the shop's books: each receipt once, and what no order is in need of as to be given back.

use daraja::{Kes, Payer, ReceiptNumber};
use sqlx::{AnyConnection, AssertSqlSafe, FromRow};

use super::{
    Payment,
    settle::{News, lock_both},
};
use crate::{
    db::{new_id, now},
    orders::Order,
};

/// Money that came in, as far as it is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Money {
    pub(crate) receipt: Option<ReceiptNumber>,
    /// `None` if it is not known: a query and an admin report none, and vouch for the amount that was asked for.
    pub(crate) amount: Option<Kes>,
    pub(crate) payer: Option<String>,
    /// Who told it: callback, query or admin.
    pub(crate) source: &'static str,
}

impl Money {
    fn differs_from(&self, payment: &Payment) -> bool {
        self.amount.is_some_and(|amount| amount.cents() != payment.amount.saturating_mul(100))
    }

    /// Why this money does not pay what was asked for. A callback reports the amount: one that is missing or cannot be read
    /// may be any amount.
    fn misfit(&self, payment: &Payment) -> Option<&'static str> {
        if self.differs_from(payment) {
            return Some("wrong_amount");
        }
        (self.amount.is_none() && self.source == CALLBACK).then_some("amount_not_known")
    }

    pub(super) fn told(told: &daraja::stk::StkPayment) -> Self {
        Self {
            receipt: Some(told.receipt),
            amount: told.amount,
            payer: told.payer.as_ref().and_then(|payer| match payer {
                // It is kept, so that a person and not the number that was asked gets the money back.
                Payer::Unreadable(text) => Some(text.to_string()),
                other => other.msisdn().map(|number| number.to_string()),
            }),
            source: CALLBACK,
        }
    }
}

/// The source of what Daraja itself reports with a receipt.
pub(crate) const CALLBACK: &str = "callback";

/// Books money for a payment that is locked, and so is its order. Money that was booked before is booked no second time.
pub(crate) async fn paid(
    tx: &mut AnyConnection,
    order: &Order,
    payment: &Payment,
    money: &Money,
) -> sqlx::Result<News> {
    let Some(news) = book(tx, order, payment, money).await? else {
        tracing::error!(event = "receipt.elsewhere", payment = payment.id, "a receipt is booked for another payment");
        return Ok(News::Nothing);
    };
    // Paid is never left, and a failure that was told before it was wrong.
    sqlx::query(
        "UPDATE payments SET state = 'settled', outcome = 'paid', holds_order = 0, reason = NULL, advice = NULL,
         customer_message = NULL, settled_at = COALESCE(settled_at, $1) WHERE id = $2 AND COALESCE(outcome, '') <> 'paid'",
    )
    .bind(now())
    .bind(&payment.id)
    .execute(tx)
    .await?;
    Ok(news)
}

/// A row of the table `received`.
#[derive(FromRow)]
struct Booked {
    id: String,
    payment_id: Option<String>,
    receipt: Option<String>,
    source: String,
    disposition: String,
}

impl Booked {
    /// Whether a query has proved it: a receipt of such a row is what admins have entered, as queries report none.
    fn is_proved_by_query(&self) -> bool {
        self.source == "query"
    }

    /// Whether a callback takes the place of the receipt that admins have entered.
    fn yields_to(&self, money: &Money) -> bool {
        self.source != CALLBACK && money.source == CALLBACK && self.disposition != "refunded"
    }
}

const BOOKED: &str = "SELECT id, payment_id, receipt, source, disposition FROM received";

/// `None` if the receipt is another payment's.
async fn book(tx: &mut AnyConnection, order: &Order, payment: &Payment, money: &Money) -> sqlx::Result<Option<News>> {
    if let Some(receipt) = &money.receipt {
        let known: Option<Booked> = sqlx::query_as(AssertSqlSafe(format!("{BOOKED} WHERE receipt = $1")))
            .bind(receipt.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        match known {
            Some(known) if known.payment_id.as_deref() == Some(payment.id.as_str()) => {
                return if known.yields_to(money) {
                    correct(tx, order, payment, money, &known).await.map(Some)
                } else {
                    Ok(Some(News::Nothing))
                };
            }
            // An admin has entered it for another payment, which is known as far as it was before.
            Some(known) if known.yields_to(money) => {
                take_away(tx, &known).await?;
                if is_given_back(tx, &known).await? {
                    move_to(tx, &known, payment).await?;
                    return correct(tx, order, payment, money, &known).await.map(Some);
                }
                sqlx::query("DELETE FROM received WHERE id = $1").bind(&known.id).execute(&mut *tx).await?;
            }
            Some(_) => return Ok(None),
            None => {}
        }
    } else if payment.is_paid() {
        return Ok(Some(News::Nothing));
    }
    // One push brings one receipt: a query has reported it without one, or admins have entered another.
    let booked: Vec<Booked> = sqlx::query_as(AssertSqlSafe(format!("{BOOKED} WHERE payment_id = $1")))
        .bind(&payment.id)
        .fetch_all(&mut *tx)
        .await?;
    if let Some(proved) = booked.iter().find(|row| money.receipt.is_some() && row.receipt.is_none()) {
        return correct(tx, order, payment, money, proved).await.map(Some);
    }
    let entered = booked.iter().find(|row| row.disposition == "order" && row.yields_to(money));
    // What cannot be read says nothing against what two admins vouch for.
    let entered = entered.filter(|row| row.is_proved_by_query() || money.misfit(payment) != Some("amount_not_known"));
    if let Some(entered) = entered {
        return replace(tx, order, payment, money, entered).await.map(Some);
    }
    let surplus = match order.state.as_str() {
        _ if money.misfit(payment).is_some() => money.misfit(payment),
        "open" => None,
        "cancelled" => Some("order_cancelled"),
        _ => Some("second_payment"),
    };
    if let Some(reason) = surplus {
        return keep(tx, Some(payment), money, reason).await.map(Some);
    }
    if !insert(tx, Some(payment), money, "order", None).await? {
        return Ok(None);
    }
    sqlx::query("UPDATE orders SET state = 'paid', paid_by = $1 WHERE id = $2")
        .bind(&payment.id)
        .bind(&order.id)
        .execute(tx)
        .await?;
    let seconds = now().saturating_sub(payment.created_at) / 1_000;
    Ok(Some(News::Paid { seconds, source: money.source }))
}

/// Puts what Daraja tells in the place of what was known of the same money.
async fn correct(
    tx: &mut AnyConnection,
    order: &Order,
    payment: &Payment,
    money: &Money,
    known: &Booked,
) -> sqlx::Result<News> {
    // A receipt that admins add to what a query has proved makes it no less proved.
    let source = if money.source == CALLBACK { CALLBACK } else { known.source.as_str() };
    sqlx::query(
        "UPDATE received SET receipt = $1, amount_cents = COALESCE($2, amount_cents), payer = COALESCE($3, payer),
         source = $4 WHERE id = $5",
    )
    .bind(money.receipt.as_ref().map(ReceiptNumber::as_str))
    .bind(money.amount.map(Kes::cents))
    .bind(money.payer.as_deref())
    .bind(source)
    .bind(&known.id)
    .execute(&mut *tx)
    .await?;
    if !money.differs_from(payment) || known.disposition != "order" {
        return Ok(News::Nothing);
    }
    sqlx::query("UPDATE received SET disposition = 'to_refund', reason = 'wrong_amount' WHERE id = $1")
        .bind(&known.id)
        .execute(&mut *tx)
        .await?;
    open_again(tx, &payment.id, &order.id).await?;
    Ok(News::ToRefund("wrong_amount"))
}

/// Puts the receipt that Daraja reports in the place of the one that admins have entered for the same payment. That one may be
/// other money of the same customer, so it is kept: a person looks at it.
async fn replace(
    tx: &mut AnyConnection,
    order: &Order,
    payment: &Payment,
    money: &Money,
    entered: &Booked,
) -> sqlx::Result<News> {
    tracing::error!(event = "receipt.corrected", payment = payment.id, "admins had entered another receipt");
    sqlx::query(
        "UPDATE received SET source = 'admin', disposition = 'to_refund', reason = 'other_receipt' WHERE id = $1",
    )
    .bind(&entered.id)
    .execute(&mut *tx)
    .await?;
    if money.differs_from(payment) {
        open_again(&mut *tx, &payment.id, &order.id).await?;
        return keep(tx, Some(payment), money, "wrong_amount").await;
    }
    insert(tx, Some(payment), money, "order", None).await?;
    Ok(News::ToRefund("other_receipt"))
}

/// Takes money away from a payment that an admin had entered it for. What a query has proved of that payment stays, without
/// the receipt; else it is as unknown as it was before.
async fn take_away(tx: &mut AnyConnection, known: &Booked) -> sqlx::Result<()> {
    tracing::error!(
        event = "receipt.taken_away",
        payment = known.payment_id,
        "an admin had entered another payment's receipt"
    );
    let Some(id) = &known.payment_id else { return Ok(()) };
    if known.is_proved_by_query() {
        return sqlx::query(
            "INSERT INTO received (id, payment_id, amount_cents, payer, source, disposition, reason, created_at)
             SELECT $1, payment_id, amount_cents, payer, source, disposition, reason, created_at FROM received WHERE id = $2",
        )
        .bind(new_id())
        .bind(&known.id)
        .execute(tx)
        .await
        .map(drop);
    }
    let Some((order, payment)) = lock_both(&mut *tx, id).await? else { return Ok(()) };
    open_again(&mut *tx, &payment.id, &order.id).await?;
    unsettle(tx, &payment).await
}

/// Whether a refund of it was begun: it then stays with that refund.
async fn is_given_back(tx: &mut AnyConnection, known: &Booked) -> sqlx::Result<bool> {
    let (count,): (i64,) =
        sqlx::query_as("SELECT COUNT(*) FROM refunds WHERE received_id = $1").bind(&known.id).fetch_one(tx).await?;
    Ok(count > 0)
}

async fn move_to(tx: &mut AnyConnection, known: &Booked, payment: &Payment) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE received SET payment_id = $1, disposition = 'to_refund', reason = 'other_request' WHERE id = $2",
    )
    .bind(&payment.id)
    .bind(&known.id)
    .execute(tx)
    .await
    .map(drop)
}

/// An order whose money was not its own.
async fn open_again(tx: &mut AnyConnection, payment_id: &str, order_id: &str) -> sqlx::Result<()> {
    sqlx::query("UPDATE orders SET state = 'open', paid_by = NULL WHERE id = $1 AND paid_by = $2 AND state = 'paid'")
        .bind(order_id)
        .bind(payment_id)
        .execute(tx)
        .await
        .map(drop)
}

/// A payment that is locked, of which what was known has turned out not to be so: Daraja is asked if that is possible.
pub(super) async fn unsettle(tx: &mut AnyConnection, payment: &Payment) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE payments SET state = CASE WHEN checkout_request_id IS NULL THEN 'unknown' ELSE 'accepted' END,
         outcome = NULL, settled_at = NULL, reason = NULL, advice = NULL, customer_message = NULL, retry_at = NULL,
         suspect_code = NULL, suspect_at = NULL, asked_at = NULL, sweep_at = $1,
         holds_order = CASE WHEN EXISTS (SELECT 1 FROM payments o WHERE o.order_id = $2 AND o.holds_order = 1 AND o.id <> $3)
             THEN 0 ELSE 1 END
         WHERE id = $3",
    )
    .bind(now())
    .bind(&payment.order_id)
    .bind(&payment.id)
    .execute(tx)
    .await
    .map(drop)
}

/// Keeps money that has to be given back.
pub(super) async fn keep(
    tx: &mut AnyConnection,
    payment: Option<&Payment>,
    money: &Money,
    reason: &'static str,
) -> sqlx::Result<News> {
    let is_new = insert(tx, payment, money, "to_refund", Some(reason)).await?;
    Ok(if is_new { News::ToRefund(reason) } else { News::Nothing })
}

async fn insert(
    tx: &mut AnyConnection,
    payment: Option<&Payment>,
    money: &Money,
    disposition: &str,
    reason: Option<&str>,
) -> sqlx::Result<bool> {
    let asked = payment.map(|payment| payment.amount.saturating_mul(100)).filter(|_| money.source != CALLBACK);
    let inserted = sqlx::query(
        "INSERT INTO received (id, payment_id, receipt, amount_cents, payer, source, disposition, reason, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
    )
    .bind(new_id())
    .bind(payment.map(|payment| payment.id.as_str()))
    .bind(money.receipt.as_ref().map(ReceiptNumber::as_str))
    .bind(money.amount.map(Kes::cents).or(asked))
    .bind(money.payer.as_deref().or(payment.map(|payment| payment.phone.as_str())))
    .bind(money.source)
    .bind(disposition)
    .bind(reason)
    .bind(now())
    .execute(tx)
    .await?;
    Ok(inserted.rows_affected() == 1)
}
