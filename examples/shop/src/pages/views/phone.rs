//! The simulator's phone, which stands in for the customer's in the demo.

use super::{Kes, Place, Shell};
use askama::Template;

/// `GET /phone`
#[derive(Debug, Clone, Template)]
#[template(path = "phone.html")]
pub(crate) struct PhonePage {
    /// What surrounds the page.
    pub(crate) shell: Shell,
    /// The phones that can be chosen.
    pub(crate) phones: Vec<PhoneChoice>,
    /// The chosen phone's number as `GET /phone/state` takes it: digits only.
    pub(crate) number: String,
    /// What `GET /phone/state` answers while nothing changes.
    pub(crate) version: String,
    /// The prompts that wait for an answer, earliest first.
    pub(crate) prompts: Vec<Prompt>,
    /// The messages, latest first.
    pub(crate) messages: Vec<Sms>,
}

impl PhonePage {
    const HERE: Place = Place::Phone;
}

/// A phone that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PhoneChoice {
    /// Its number, digits only.
    pub(crate) number: String,
    /// Its number as people write it, with whose it is: "0712 345 678 (Wanjiku)".
    pub(crate) shown: String,
}

/// A request to pay on the phone's screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// The id that the answer names.
    pub(crate) id: String,
    /// How much.
    pub(crate) amount: Kes,
    /// The short code to be paid.
    pub(crate) short_code: String,
    /// The account reference.
    pub(crate) account: String,
    /// How long it still lasts, of sixty seconds.
    pub(crate) seconds_left: i64,
    /// Whether the person chose to ignore it (`?ignore=<id>`).
    pub(crate) ignored: bool,
}

/// A message on the phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sms {
    /// Who sent it: "MPESA".
    pub(crate) from: String,
    /// When, in local time.
    pub(crate) at: String,
    /// What it says.
    pub(crate) text: String,
}
