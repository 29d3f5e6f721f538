//! What an admin sees of the payments: the dashboard, what is not known yet, and money to give back.

use super::{Field, Kes, Place, Shell, Tone, chart::Chart};
use askama::Template;

/// `GET /admin`
#[derive(Debug, Clone, Template)]
#[template(path = "dashboard.html")]
pub(crate) struct DashboardPage {
    /// What surrounds the page.
    pub(crate) shell: Shell,
    /// What the figures cover: "the last 14 days".
    pub(crate) period: String,
    /// Payments begun.
    pub(crate) initiated: i64,
    /// Payments that succeeded.
    pub(crate) succeeded: i64,
    /// Payments that failed for certain.
    pub(crate) failed: i64,
    /// Payments without an outcome for more than five minutes.
    pub(crate) overdue: i64,
    /// Payments whose money is to be given back.
    pub(crate) to_refund: i64,
    /// What the succeeded payments come to.
    pub(crate) received: Kes,
    /// Payments per day.
    pub(crate) chart: Chart,
    /// The latest payments, latest first.
    pub(crate) latest: Vec<PaymentRow>,
}

impl DashboardPage {
    const HERE: Place = Place::Dashboard;
}

/// One payment in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PaymentRow {
    /// When it was begun, in local time.
    pub(crate) when: String,
    /// What people call its order.
    pub(crate) order: String,
    /// The number that was asked, masked.
    pub(crate) masked: String,
    /// How much.
    pub(crate) amount: Kes,
    /// What became of it.
    pub(crate) state: PaymentState,
    /// M-PESA's receipt number, once it is known.
    pub(crate) receipt: Option<String>,
}

/// What became of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PaymentState {
    /// Not known yet.
    Pending,
    /// The money is there.
    Succeeded,
    /// For certain no money moved.
    Failed,
    /// The money is there and does not belong to us.
    ToRefund,
}

impl PaymentState {
    /// What people read.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::ToRefund => "To refund",
        }
    }

    /// How it looks.
    pub(crate) fn tone(self) -> Tone {
        match self {
            Self::Pending => Tone::Calm,
            Self::Succeeded => Tone::Good,
            Self::Failed => Tone::Bad,
            Self::ToRefund => Tone::Care,
        }
    }
}

/// `GET /admin/unknown`: payments that nobody knows the outcome of.
#[derive(Debug, Clone, Template)]
#[template(path = "unknown.html")]
pub(crate) struct UnknownPage {
    /// What surrounds the page.
    pub(crate) shell: Shell,
    /// The payments, earliest first.
    pub(crate) payments: Vec<UnknownPayment>,
}

impl UnknownPage {
    const HERE: Place = Place::Unknown;
}

/// A payment that nobody knows the outcome of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnknownPayment {
    /// The id in `POST /admin/payments/{id}/receipt`.
    pub(crate) id: String,
    /// When it was begun, in local time.
    pub(crate) when: String,
    /// For how long: "7 minutes".
    pub(crate) age: String,
    /// What people call its order.
    pub(crate) order: String,
    /// The customer's name.
    pub(crate) customer: String,
    /// The number that was asked, masked.
    pub(crate) masked: String,
    /// How much.
    pub(crate) amount: Kes,
    /// What is known: "M-PESA was asked 9 times and does not know it".
    pub(crate) known: String,
    /// How a person settles it.
    pub(crate) receipt: ReceiptForms,
}

/// The forms by which one admin enters the receipt of a payment, and another confirms it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ReceiptForms {
    /// The id in `POST /admin/payments/{id}/receipt`, and below it in `/confirm`.
    pub(crate) payment: String,
    /// What people call it: "order 1042".
    pub(crate) of: String,
    /// The page to come back to: `refunds` or nothing.
    pub(crate) from: &'static str,
    /// What waits for the second admin.
    pub(crate) entered: Option<Entered>,
    /// The receipt that was typed.
    pub(crate) receipt: Field,
    /// The reason that was typed.
    pub(crate) reason: Field,
}

/// A receipt that an admin has entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entered {
    /// The receipt.
    pub(crate) receipt: String,
    /// The admin's e-mail address.
    pub(crate) by: String,
    /// When, in local time.
    pub(crate) when: String,
    /// How the admin knows it.
    pub(crate) reason: String,
    /// Whether the visitor is another admin.
    pub(crate) may_be_confirmed: bool,
    /// Why it was not confirmed just now.
    pub(crate) refused: Option<String>,
}

/// `GET /admin/refunds`: money to give back.
#[derive(Debug, Clone, Template)]
#[template(path = "refunds.html")]
pub(crate) struct RefundsPage {
    /// What surrounds the page.
    pub(crate) shell: Shell,
    /// The refunds, earliest first.
    pub(crate) refunds: Vec<Refund>,
    /// The receipt that was typed, of any payment that shall be given back.
    pub(crate) receipt: Field,
    /// The note that was typed for it.
    pub(crate) note: Field,
}

impl RefundsPage {
    const HERE: Place = Place::Refunds;
}

/// Money to give back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refund {
    /// The id in `POST /admin/refunds/{id}`.
    pub(crate) id: String,
    /// When the money came, in local time.
    pub(crate) when: String,
    /// What people call its order.
    pub(crate) order: String,
    /// The customer's name.
    pub(crate) customer: String,
    /// The number that paid, masked.
    pub(crate) masked: String,
    /// How much.
    pub(crate) amount: Kes,
    /// The receipt of the payment; none if only a query has told of it.
    pub(crate) receipt: Option<String>,
    /// How its receipt is entered.
    pub(crate) missing: ReceiptForms,
    /// Why it is to be given back: "Paid twice".
    pub(crate) why: String,
    /// How far it is.
    pub(crate) state: RefundState,
    /// Why it does not go on.
    pub(crate) stuck: Option<String>,
    /// The id in `POST /admin/refunds/{id}/outcome`.
    pub(crate) attempt: String,
    /// Whether an admin may say what became of it.
    pub(crate) may_be_resolved: bool,
    /// What was typed about that.
    pub(crate) outcome: Outcome,
    /// Sent back with the form, so that a form sent twice pays once.
    pub(crate) idempotency_key: String,
    /// The note that was typed.
    pub(crate) note: Field,
}

/// What an admin says became of a refund.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// `given_back`, `not_given_back` or nothing yet.
    pub(crate) given_back: Field,
    /// M-PESA's receipt of what went back; it is needed with `given_back`.
    pub(crate) receipt: Field,
    /// Where the admin saw it.
    pub(crate) reason: Field,
}

/// How far a refund is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RefundState {
    /// An admin must find the receipt first: without one nothing can be given back.
    NoReceipt,
    /// An admin must decide.
    Due,
    /// On its way: it must not be sent again.
    Pending,
    /// It is not known whether M-PESA has it: it must not be sent again.
    Unknown,
    /// M-PESA refused it for certain: it may be sent again.
    Failed,
    /// No program may go on: a person must see what became of it.
    NeedsPerson,
}

impl RefundState {
    /// What people read.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Due => "To refund",
            Self::NoReceipt => "Receipt missing",
            Self::Pending => "On its way",
            Self::Unknown => "Not known",
            Self::NeedsPerson => "Needs a person",
            Self::Failed => "Refund failed",
        }
    }

    /// How it looks.
    pub(crate) fn tone(self) -> Tone {
        match self {
            Self::Due | Self::NoReceipt | Self::Unknown => Tone::Care,
            Self::Pending => Tone::Calm,
            Self::Failed | Self::NeedsPerson => Tone::Bad,
        }
    }
}
