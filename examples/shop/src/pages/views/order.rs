//! What a customer sees: the shop, an order, and what became of its payment.

use super::{Field, Kes, Place, Shell, Tone};
use askama::Template;

/// `GET /orders`
#[derive(Debug, Clone, Template)]
#[template(path = "orders.html")]
pub(crate) struct OrdersPage {
    /// What surrounds the page.
    pub(crate) shell: Shell,
    /// What can be bought.
    pub(crate) products: Vec<Product>,
    /// What is wrong with the quantities, in plain words.
    pub(crate) error: Option<String>,
    /// The customer's orders, latest first.
    pub(crate) orders: Vec<OrderRow>,
}

impl OrdersPage {
    const HERE: Place = Place::Shop;
}

/// Something that can be bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Product {
    /// Its id: the form's field is `quantity_<id>`.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// How much of it: "500 g".
    pub(crate) detail: Option<String>,
    /// What one costs.
    pub(crate) price: Kes,
    /// How many are in the form.
    pub(crate) quantity: i64,
    /// The most that one order may hold.
    pub(crate) at_most: i64,
}

impl Product {
    /// The letter that stands in for a picture.
    pub(crate) fn initial(&self) -> String {
        self.name.chars().take(1).collect()
    }
}

/// One of the customer's orders in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderRow {
    /// The id in `/orders/{id}`.
    pub(crate) id: String,
    /// What people call the order: "1042".
    pub(crate) number: String,
    /// When it was made, in local time.
    pub(crate) placed: String,
    /// What it comes to.
    pub(crate) total: Kes,
    /// Where it stands.
    pub(crate) state: OrderState,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum OrderState {
    /// Not paid, and nothing is under way.
    Open,
    /// A prompt is on the phone.
    Waiting,
    /// Paid.
    Paid,
    /// The last payment failed.
    Failed,
    /// The last payment failed as far as M-PESA has reported, which is no proof.
    Unproved,
    /// Nobody knows yet what became of the last payment.
    Unknown,
    /// The order is off.
    Cancelled,
}

impl OrderState {
    /// The word in `GET /orders/{id}/status`, which the page compares with its own.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Waiting => "waiting",
            Self::Paid => "paid",
            Self::Failed | Self::Unproved => "failed",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
        }
    }

    /// What people read.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Open => "To be paid",
            Self::Waiting => "Waiting for your PIN",
            Self::Paid => "Paid",
            Self::Failed => "Not paid",
            Self::Unproved => "Not known to be paid",
            Self::Unknown => "Not known yet",
            Self::Cancelled => "Cancelled",
        }
    }

    /// How it looks.
    pub(crate) fn tone(self) -> Tone {
        match self {
            Self::Paid => Tone::Good,
            Self::Failed => Tone::Bad,
            Self::Waiting | Self::Unknown | Self::Unproved => Tone::Care,
            Self::Open | Self::Cancelled => Tone::Calm,
        }
    }
}

/// `GET /orders/{id}`
#[derive(Debug, Clone, Template)]
#[template(path = "order.html")]
pub(crate) struct OrderPage {
    /// What surrounds the page.
    pub(crate) shell: Shell,
    /// The id in `/orders/{id}`.
    pub(crate) id: String,
    /// What people call the order: "1042".
    pub(crate) number: String,
    /// When it was made, in local time.
    pub(crate) placed: String,
    /// What was ordered.
    pub(crate) lines: Vec<OrderLine>,
    /// What it comes to.
    pub(crate) total: Kes,
    /// Where its payment stands.
    pub(crate) stage: Stage,
}

impl OrderPage {
    const HERE: Place = Place::Shop;
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderLine {
    /// What was ordered.
    pub(crate) name: String,
    /// How many.
    pub(crate) quantity: i64,
    /// What one costs.
    pub(crate) price: Kes,
    /// What the line comes to.
    pub(crate) amount: Kes,
}

/// Where the payment of an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing is under way: the customer can pay.
    Open {
        /// The number to be asked.
        phone: Field,
    },
    /// A prompt is on the phone.
    Waiting {
        /// The number that was asked, masked: `0712 *** 678`.
        masked: String,
        /// How long the prompt still lasts, of sixty seconds.
        seconds_left: i64,
    },
    /// The money is there.
    Paid {
        /// M-PESA's receipt number, once it is known.
        receipt: Option<String>,
        /// What was paid.
        amount: Kes,
        /// When, in local time, once it is known.
        at: Option<String>,
    },
    /// The order is not paid, and nothing is under way.
    Failed {
        /// Whether it is proved that nothing was paid.
        is_proved: bool,
        /// Why, in a sentence for the customer.
        reason: String,
        /// What is safe to do.
        next: NextStep,
        /// The number to be asked the next time.
        phone: Field,
    },
    /// Nobody knows yet whether the money moved: paying again may charge twice.
    Unknown {
        /// The number that was asked, masked.
        masked: String,
        /// When it was asked, in local time.
        since: String,
        /// The number to be asked again, once the request cannot be answered any more.
        again: Option<Field>,
    },
    /// The order is off.
    Cancelled {
        /// Why, in a sentence for the customer.
        reason: String,
    },
}

impl Stage {
    /// The state that this stage shows.
    pub(crate) fn state(&self) -> OrderState {
        match self {
            Self::Open { .. } => OrderState::Open,
            Self::Waiting { .. } => OrderState::Waiting,
            Self::Paid { .. } => OrderState::Paid,
            Self::Failed { is_proved: true, .. } => OrderState::Failed,
            Self::Failed { .. } => OrderState::Unproved,
            Self::Unknown { .. } => OrderState::Unknown,
            Self::Cancelled { .. } => OrderState::Cancelled,
        }
    }

    /// Whether the customer can still call it off: no money is there, and none is under way.
    pub(crate) fn can_be_cancelled(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::Failed { .. })
    }

    /// After how many seconds a browser without JavaScript should look again.
    pub(crate) fn look_again_after(&self) -> Option<i64> {
        match self {
            Self::Waiting { .. } => Some(5),
            Self::Unknown { .. } => Some(15),
            Self::Failed { next: NextStep::RetryAfter { seconds }, .. } if *seconds > 0 => Some(*seconds),
            _ => None,
        }
    }
}

/// What is safe to do after a payment that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NextStep {
    /// Pay again at once.
    RetryNow,
    /// Pay again after a pause.
    RetryAfter {
        /// What remains of the pause; the button is disabled until then.
        seconds: i64,
    },
    /// Put something right on the phone first, and then pay again.
    PutRight {
        /// What: "Top up your M-PESA, or use another number."
        what: String,
    },
    /// Only the shop can help.
    ContactShop,
}

impl NextStep {
    /// How long the pay button stays disabled.
    pub(crate) fn pause(&self) -> i64 {
        if let Self::RetryAfter { seconds } = self { *seconds } else { 0 }
    }

    /// The pause in words: "2 minutes".
    pub(crate) fn pause_in_words(&self) -> String {
        match self.pause() {
            1 => "1 second".to_owned(),
            seconds @ ..60 => format!("{seconds} seconds"),
            60 => "1 minute".to_owned(),
            seconds => format!("{} minutes", seconds.saturating_add(59).saturating_div(60)),
        }
    }
}
