//! Whoever stands on one side of a transaction, as results name them.

use std::fmt;

use super::{
    Msisdn, ShortCode,
    wire::{Wire, serde_as_text},
};
use crate::{error::Invalid, wire::plain};

/// One side of a transaction as Daraja writes it: number and name, such as `254700000001 - NAME SURNAME` or
/// `600310 - Safaricom333`.
///
/// It is kept verbatim, and read at its first dash. It is personal data: `Debug` shows its length only.
///
/// ```
/// use daraja::Party;
///
/// let party = Party::new("254700000001 - NAME SURNAME");
/// assert_eq!(party.msisdn(), Some("254700000001".parse()?));
/// assert_eq!(party.name(), Some("NAME SURNAME"));
/// assert_eq!(format!("{party:?}"), "Party([27 characters])");
/// # Ok::<(), daraja::error::Invalid>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Party(Box<str>);

impl Party {
    /// Takes what Daraja wrote.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }

    /// What Daraja wrote.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the dash: a phone number, perhaps masked, or a short code.
    #[must_use]
    pub fn number(&self) -> &str {
        self.split().0
    }

    /// What stands behind the dash, if there is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.split().1.filter(|name| !name.is_empty())
    }

    /// The number as a phone number, if it is a whole one.
    #[must_use]
    pub fn msisdn(&self) -> Option<Msisdn> {
        plain(self.number()).parse().ok()
    }

    /// The number as a short code, if it is one.
    #[must_use]
    pub fn short_code(&self) -> Option<ShortCode> {
        plain(self.number()).parse().ok()
    }

    fn split(&self) -> (&str, Option<&str>) {
        // An en dash has been seen, with and without spaces around it.
        let parts = self.0.split_once(['-', '–']);
        parts.map_or((self.0.trim(), None), |(number, name)| (number.trim(), Some(name.trim())))
    }
}

impl std::str::FromStr for Party {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self::new(text))
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Party([{} characters])", self.0.chars().count())
    }
}

impl Wire for Party {
    const WHAT: &'static str = "party";

    fn from_integer(number: i128) -> Result<Self, Invalid> {
        Ok(Self::new(number.to_string()))
    }
}

serde_as_text!(Party);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_and_name_are_parted_at_the_first_dash() {
        for (text, number, name) in [
            ("254700000001 - NAME SURNAME", "254700000001", Some("NAME SURNAME")),
            ("600310 - Safaricom333", "600310", Some("Safaricom333")),
            ("000000- Biller", "000000", Some("Biller")),
            ("000000 – Biller Company", "000000", Some("Biller Company")),
            ("254700000001 - ANNE-MARIE", "254700000001", Some("ANNE-MARIE")),
            ("254700000001", "254700000001", None),
            ("254700000001 - ", "254700000001", None),
            ("", "", None),
        ] {
            let party = Party::new(text);
            assert_eq!((party.number(), party.name()), (number, name), "{text}");
            assert_eq!(party.as_str(), text);
        }
    }

    #[test]
    fn only_a_whole_number_is_a_phone_number() {
        assert!(Party::new("254700000001 - A").msisdn().is_some());
        assert!(Party::new("254700000001.0 - A").msisdn().is_some());
        assert!(Party::new("25470000000.0 - A").msisdn().is_none());
        assert!(Party::new("2547*****001 - A").msisdn().is_none());
        assert!(Party::new("600310 - A").msisdn().is_none());
        assert!(Party::new("600310 - A").short_code().is_some());
    }
}
