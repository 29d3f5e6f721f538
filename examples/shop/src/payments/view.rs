//! What others are told about a payment.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Payment;
use crate::{db::now, orders::Order};

/// How the payment of an order stands. What is not known yet is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// It is not known yet.
    Pending,
    /// The order is paid.
    Completed,
    /// No money came in, or it will be given back: the order is not paid.
    Failed,
}

/// The money of an order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct PaymentState {
    pub(crate) order_id: String,
    pub(crate) status: Status,
    /// M-PESA's receipt. Null until the callback, or an admin, has brought it: a query tells none.
    #[schema(example = "QGH7X8Y9Z0")]
    pub(crate) payment_reference: Option<String>,
    /// The same as `status`.
    pub(crate) payment_status: Status,
    /// Why it failed, as one word.
    #[schema(example = "cancelled")]
    pub(crate) reason: Option<String>,
    /// What the customer may read.
    pub(crate) customer_message: Option<String>,
    /// What is safe now.
    pub(crate) next_step: NextStep,
    /// Before this time (milliseconds since 1970) no new payment should be begun.
    pub(crate) retry_at: Option<i64>,
}

/// What is safe to do about an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NextStep {
    /// It is paid, or cancelled.
    Done,
    /// Begin a payment.
    Pay,
    /// Wait, and do not pay again.
    Wait,
    /// The customer has to do something first, such as topping up.
    AskCustomer,
    /// A person has to look at it.
    Contact,
}

/// How an order stands, by its own row and by the payment that tells most about it.
pub(crate) fn status_of(order: &Order, payment: Option<&Payment>, receipt: Option<String>) -> PaymentState {
    let (status, next_step) = match (order.state.as_str(), payment) {
        ("paid" | "refunded", _) => (Status::Completed, NextStep::Done),
        ("cancelled", None) => (Status::Failed, NextStep::Done),
        (_, None) => (Status::Pending, NextStep::Pay),
        (_, Some(payment)) if !payment.is_settled() => {
            // Its time of blocking is over: another payment may be begun, and this one is still not known.
            let step = if payment.holds_order == 1 { NextStep::Wait } else { NextStep::Contact };
            (Status::Pending, step)
        }
        ("cancelled", _) => (Status::Failed, NextStep::Done),
        (_, Some(payment)) if payment.is_paid() => (Status::Failed, NextStep::Contact),
        (_, Some(payment)) => {
            let step = match payment.advice.as_deref() {
                Some("retry") if payment.retry_at.is_some_and(|at| at > now()) => NextStep::Wait,
                Some("retry") => NextStep::Pay,
                Some("ask_customer") => NextStep::AskCustomer,
                _ => NextStep::Contact,
            };
            (Status::Failed, step)
        }
    };
    let failed = payment.filter(|_| status == Status::Failed);
    let to_refund = failed.is_some_and(Payment::is_paid);
    let message = if to_refund {
        Some("Money came in that does not fit this order. It will be given back: contact the shop.".to_owned())
    } else {
        payment.and_then(|payment| payment.customer_message.clone())
    };
    PaymentState {
        order_id: order.id.clone(),
        status,
        payment_reference: receipt,
        payment_status: status,
        reason: if to_refund { Some("to_refund".to_owned()) } else { failed.and_then(|failed| failed.reason.clone()) },
        customer_message: message,
        next_step,
        retry_at: failed.and_then(|failed| failed.retry_at),
    }
}
