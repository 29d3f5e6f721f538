//! What the pages show, without a database or HTTP: a struct for each page, rendered by its template in `templates/`.

pub(crate) mod account;
pub(crate) mod admin;
pub(crate) mod chart;
pub(crate) mod order;
pub(crate) mod payouts;
pub(crate) mod phone;

use std::fmt;

/// The style sheet, served at `/static/app.css`.
pub(crate) const APP_CSS: &str = include_str!("../../../static/app.css");

/// The script, served at `/static/app.js`. Each page works without it.
pub(crate) const APP_JS: &str = include_str!("../../../static/app.js");

/// What surrounds every page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shell {
    /// The shop's name.
    pub(crate) shop: String,
    /// Whether the money is the simulator's: each page then says so.
    pub(crate) demo: bool,
    /// The session's token, which each form sends back as `csrf`.
    pub(crate) csrf: String,
    /// Who is signed in.
    pub(crate) visitor: Visitor,
    /// How a customer reaches a human being.
    pub(crate) contact: Contact,
    /// What has just been done, to be said once.
    pub(crate) notice: Option<Notice>,
}

impl Shell {
    /// The menu that the visitor sees: the places, where each leads and what it is called.
    pub(crate) fn menu(&self) -> Vec<(Place, &'static str, &'static str)> {
        let mut menu = match self.visitor {
            Visitor::Nobody => Vec::new(),
            Visitor::Customer(_) => vec![(Place::Shop, "/orders", "Shop")],
            Visitor::Admin(_) => vec![
                (Place::Dashboard, "/admin", "Payments"),
                (Place::Unknown, "/admin/unknown", "Not known yet"),
                (Place::Refunds, "/admin/refunds", "Refunds"),
                (Place::Payouts, "/admin/payouts", "Payouts"),
                (Place::Suppliers, "/admin/suppliers", "Suppliers"),
            ],
        };
        if self.demo {
            menu.push((Place::Phone, "/phone", "Demo phone"));
        }
        menu
    }
}

/// Who looks at the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Visitor {
    /// Nobody has signed in.
    Nobody,
    /// A customer, by name.
    Customer(String),
    /// An admin, by name.
    Admin(String),
}

impl Visitor {
    /// The name of whoever has signed in.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Nobody => None,
            Self::Customer(name) | Self::Admin(name) => Some(name),
        }
    }
}

/// How a customer reaches the shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contact {
    /// A telephone number as people write it.
    pub(crate) phone: String,
    /// An e-mail address.
    pub(crate) email: String,
}

/// A sentence about what has just been done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Whether it went well.
    pub(crate) tone: Tone,
    /// The sentence.
    pub(crate) text: String,
}

/// How a state looks. It never stands without words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Tone {
    /// Done, and well.
    Good,
    /// Done, and not well.
    Bad,
    /// Somebody should look.
    Care,
    /// Nothing to worry about.
    Calm,
}

impl Tone {
    /// The class in the style sheet.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Care => "care",
            Self::Calm => "calm",
        }
    }

    /// A sign before the words, hidden from screen readers.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Bad => "✕",
            Self::Care => "!",
            Self::Calm => "•",
        }
    }
}

/// The entry of the menu that a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// Outside the menu.
    Elsewhere,
    /// `/orders`
    Shop,
    /// `/phone`
    Phone,
    /// `/admin`
    Dashboard,
    /// `/admin/payouts`
    Payouts,
    /// `/admin/suppliers`
    Suppliers,
    /// `/admin/refunds`
    Refunds,
    /// `/admin/unknown`
    Unknown,
}

/// What somebody typed into a field, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Field {
    /// What the field holds.
    pub(crate) value: String,
    /// What is wrong with it, in plain words.
    pub(crate) error: Option<String>,
}

impl Field {
    /// A field that holds a value with nothing wrong.
    pub(crate) fn of(value: impl Into<String>) -> Self {
        Self { value: value.into(), error: None }
    }

    /// The same field with something wrong.
    pub(crate) fn wrong(self, error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), ..self }
    }
}

/// Whole shillings, shown as `KES 1,500`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Kes(pub(crate) i64);

impl fmt::Display for Kes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.unsigned_abs().to_string();
        f.write_str(if self.0 < 0 { "−KES " } else { "KES " })?;
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && digits.len().abs_diff(index).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}
