//! A customer's payment: one row for each push, written before the phone rings.
//!
//! `created` → `sending` → `accepted` (with Daraja's id) or `unknown` → `settled`, paid or failed. A push is never made a
//! second time: what is not known is waited for and asked for.

use std::time::Duration;

use daraja::{Msisdn, Operation, Shillings, StkPush, webhook::Reference};
use sqlx::{AnyConnection, FromRow};

use crate::{
    app::App,
    auth::User,
    db::{is_taken, millis, new_id, now},
    idempotency::{Named, Seen},
    metrics,
    orders::{self, Order},
    reply::Failure,
};

mod ask;
mod book;
mod push;
pub(crate) mod receipts;
mod routes;
mod settle;
mod view;

pub(crate) use ask::{ask_soon, refresh, sweep_one, tidy};
pub(crate) use routes::{receipt_of, routes};
pub(crate) use settle::{take, take_unread};
pub(crate) use view::{NextStep, PaymentState, Status, status_of};

/// A push is not sent later: one that is still being sent after this was interrupted.
pub(crate) const LONGEST_PUSH: Duration = Duration::from_mins(2);

/// The reason of a push that was refused: another request was open on the phone. A callback's own word for a push that was
/// taken and met another one is `subscriber_busy`.
const PHONE_BUSY: &str = "phone_busy";

/// A row of the table `payments`.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Payment {
    pub(crate) id: String,
    pub(crate) order_id: String,
    pub(crate) phone: String,
    pub(crate) amount: i64,
    pub(crate) state: String,
    pub(crate) outcome: Option<String>,
    pub(crate) holds_order: i64,
    pub(crate) merchant_request_id: Option<String>,
    pub(crate) checkout_request_id: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) customer_message: Option<String>,
    pub(crate) advice: Option<String>,
    pub(crate) retry_at: Option<i64>,
    pub(crate) suspect_code: Option<String>,
    pub(crate) suspect_at: Option<i64>,
    pub(crate) claimed_paid: i64,
    pub(crate) asked_at: Option<i64>,
    pub(crate) asks: i64,
    pub(crate) created_at: i64,
    pub(crate) sent_at: Option<i64>,
    pub(crate) settled_at: Option<i64>,
}

const COLUMNS: &str = "id, order_id, phone, amount, state, outcome, holds_order, merchant_request_id, \
    checkout_request_id, reason, customer_message, advice, retry_at, suspect_code, suspect_at, claimed_paid, asked_at, \
    asks, created_at, sent_at, settled_at";

/// A statement about payments that ends in their columns.
macro_rules! payments {
    ($before:literal, $after:literal) => {
        sqlx::query_as::<_, Payment>(sqlx::AssertSqlSafe(format!(
            concat!($before, " {} ", $after),
            crate::payments::COLUMNS
        )))
    };
}
pub(crate) use payments;

impl Payment {
    pub(crate) fn is_paid(&self) -> bool {
        self.outcome.as_deref() == Some("paid")
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.state == "settled"
    }

    /// Whether a callback has spoken for a payment without proving it: no failure that is reported counts then.
    pub(crate) fn is_claimed(&self) -> bool {
        self.claimed_paid == 1
    }

    /// Whether its failure is proved. Of what only queries report, and of a phone that gave no answer, M-PESA can still report a
    /// payment.
    pub(crate) fn is_proved_failure(&self) -> bool {
        self.suspect_code.is_none() && self.reason.as_deref() != Some("no_response")
    }

    /// Seconds until the customer may be asked again.
    fn pause(&self) -> u64 {
        self.retry_at.unwrap_or_default().saturating_sub(now()).max(0).unsigned_abs().div_ceil(1_000)
    }

    /// Whether the time is over in which a push of unknown outcome blocks its order. Daraja cannot be asked about it, as its
    /// id is not known.
    pub(crate) fn has_blocked_long_enough(&self, blocks: i64, now: i64) -> bool {
        let sent = self.sent_at.unwrap_or(self.created_at);
        let interrupted = self.state == "sending" && now.saturating_sub(sent) > millis(LONGEST_PUSH);
        let unknown = self.state == "unknown" || interrupted;
        unknown && !self.is_claimed() && self.checkout_request_id.is_none() && now.saturating_sub(sent) >= blocks
    }

    fn number(&self) -> Option<Msisdn> {
        self.phone.parse().ok()
    }
}

/// Locks a payment until the transaction ends, and reads it. Lock its order before.
pub(crate) async fn lock(tx: &mut AnyConnection, id: &str) -> sqlx::Result<Option<Payment>> {
    payments!("UPDATE payments SET version = version + 1 WHERE id = $1 RETURNING", "").bind(id).fetch_optional(tx).await
}

pub(crate) async fn find(app: &App, id: &str) -> sqlx::Result<Option<Payment>> {
    payments!("SELECT", "FROM payments WHERE id = $1").bind(id).fetch_optional(app.db.pool()).await
}

/// The payment of an order that tells how it stands: the one that paid it, else one that may still, else the last one.
pub(crate) async fn current(app: &App, order: &Order) -> sqlx::Result<Option<Payment>> {
    if let Some(id) = &order.paid_by {
        return find(app, id).await;
    }
    payments!("SELECT", "FROM payments WHERE order_id = $1 ORDER BY CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END, holds_order DESC, created_at DESC LIMIT 1")
        .bind(&order.id)
        .fetch_optional(app.db.pool())
        .await
}

/// What a request for a payment came to.
pub(crate) enum Started {
    /// The phone was asked, now or by a request before this one.
    Payment { payment: Box<Payment>, is_new: bool },
    /// This very request was answered before.
    Before(u16, String),
}

impl Started {
    fn found(payment: Payment, is_new: bool) -> Self {
        Self::Payment { payment: Box::new(payment), is_new }
    }
}

/// Asks a customer's phone for the money of an order. A payment that is open already is given back instead, also if two
/// requests come at once.
pub(crate) async fn initiate(
    app: &App,
    user: &User,
    order_id: &str,
    phone: &str,
    named: Option<&Named>,
) -> Result<Started, Failure> {
    let number: Msisdn = phone.parse().map_err(|error: daraja::error::Invalid| bad_phone(&error))?;
    let order = orders::find_own(app, user, order_id).await?;
    app.limits.phone(number)?;
    let fresh = Payment::fresh(&order, number);
    // Everything that can be wrong with it is found before anything is written.
    fresh.request(app, &order)?.check(app.daraja.client.rules()).map_err(|error| bad_phone(&error))?;

    let started = begin(app, &order, &fresh, named).await?;
    if let Started::Payment { payment, is_new: true } = &started {
        metrics::initiated();
        tracing::info!(event = "payment.initiated", payment = payment.id, order = order.number, "a payment begins");
        // In a task of its own: whoever closes the browser now must not leave it half done.
        let pushed = app.spawn(push::send(app.clone(), payment.id.clone(), order.clone()));
        drop(pushed.await);
    }
    let Started::Payment { payment, is_new } = started else { return Ok(started) };
    Ok(Started::found(push::known(app, *payment).await?, is_new))
}

/// Writes the row of a new payment, or finds the one that is open.
async fn begin(app: &App, order: &Order, fresh: &Payment, named: Option<&Named>) -> Result<Started, Failure> {
    let mut tx = app.db.write().await?;
    let order = orders::lock(&mut tx, &order.id).await?.ok_or_else(orders::not_found)?;
    let open = payments!("SELECT", "FROM payments WHERE order_id = $1 AND holds_order = 1")
        .bind(&order.id)
        .fetch_optional(&mut *tx)
        .await?;
    let now = now();
    let blocks = millis(app.rules.unknown_blocks);
    let open = match open {
        Some(open) if open.has_blocked_long_enough(blocks, now) => {
            sqlx::query("UPDATE payments SET holds_order = 0 WHERE id = $1").bind(&open.id).execute(&mut *tx).await?;
            None
        }
        open => open,
    };
    let subject = open.as_ref().map_or(&fresh.id, |open| &open.id);
    if let Some(named) = named {
        match named.begin(&mut tx, subject).await? {
            Seen::Never => {}
            Seen::Answered(status, answer) => return Ok(Started::Before(status, answer)),
            Seen::UnderWay(subject) => {
                let payment = lock(&mut tx, &subject).await?.ok_or_else(crate::idempotency::in_flight)?;
                if matches!(payment.state.as_str(), "created" | "sending") {
                    return Err(crate::idempotency::in_flight());
                }
                return Ok(Started::found(payment, false));
            }
        }
    }
    if let Some(payment) = open {
        tx.commit().await?;
        return Ok(Started::found(payment, false));
    }
    order.check_payable()?;
    check_pause(&mut tx, &order).await?;
    insert(&mut tx, app, fresh).await?;
    tx.commit().await?;
    Ok(Started::found(fresh.clone(), true))
}

/// After some failures the next push would be refused, or the prompt of the last one may still be answered.
async fn check_pause(tx: &mut AnyConnection, order: &Order) -> Result<(), Failure> {
    let (until,): (i64,) =
        sqlx::query_as("SELECT COALESCE(MAX(retry_at), 0) FROM payments WHERE order_id = $1 AND outcome = 'failed'")
            .bind(&order.id)
            .fetch_one(tx)
            .await?;
    let left = until.saturating_sub(now());
    if left <= 0 {
        return Ok(());
    }
    let message = "It is too soon to ask this phone again: wait a little.";
    Err(Failure::conflict("TOO_SOON", message).retry_after(left.unsigned_abs().div_ceil(1_000)))
}

async fn insert(tx: &mut AnyConnection, app: &App, payment: &Payment) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO payments (id, order_id, phone, amount, state, holds_order, server, sweep_at, created_at)
         VALUES ($1, $2, $3, $4, 'created', 1, $5, $6, $7)",
    )
    .bind(&payment.id)
    .bind(&payment.order_id)
    .bind(&payment.phone)
    .bind(payment.amount)
    .bind(&*app.server)
    .bind(payment.created_at.saturating_add(millis(app.rules.sweep_after)))
    .bind(payment.created_at)
    .execute(tx)
    .await
    .map(drop)
    .map_err(|error| if is_taken(&error) { crate::idempotency::in_flight() } else { error.into() })
}

impl Payment {
    /// A payment that nothing was done for yet.
    fn fresh(order: &Order, number: Msisdn) -> Self {
        Self {
            id: new_id(),
            order_id: order.id.clone(),
            phone: number.to_string(),
            amount: order.amount,
            state: "created".to_owned(),
            outcome: None,
            holds_order: 1,
            merchant_request_id: None,
            checkout_request_id: None,
            reason: None,
            customer_message: None,
            advice: None,
            retry_at: None,
            suspect_code: None,
            suspect_at: None,
            claimed_paid: 0,
            asked_at: None,
            asks: 0,
            created_at: now(),
            sent_at: None,
            settled_at: None,
        }
    }

    /// The push of this row: the same to the letter whenever it is made.
    fn request(&self, app: &App, order: &Order) -> Result<StkPush, Failure> {
        let broken = || Failure::conflict("ORDER_BROKEN", "This order cannot be paid by M-PESA: contact the shop.");
        let reference: Reference = self.id.parse().map_err(|_| broken())?;
        let amount = u32::try_from(self.amount).ok().and_then(|amount| Shillings::new(amount).ok());
        let account = order.number.parse().map_err(|_| broken())?;
        let (number, amount) = (self.number().ok_or_else(broken)?, amount.ok_or_else(broken)?);
        let url = app.daraja.receiver.urls().stk(&reference);
        Ok(StkPush::new(&app.daraja.merchant, number, amount, account, url))
    }
}

fn bad_phone(error: &impl std::fmt::Display) -> Failure {
    Failure::invalid("INVALID_PHONE", format!("This number cannot be asked: {error}."))
}
