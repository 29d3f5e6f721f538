//! Who paid, as far as Daraja tells.

use std::fmt;

use super::Msisdn;
use crate::error::{mask, mask_id};

/// Who paid, as far as Daraja tells: a number, or what it lets be seen of one.
///
/// Payments to a PayBill or till are reported with a masked number by version 2 of C2B, and with a hash by version 1. It
/// is personal data: `Debug` shows no full number, and no hash, which is quickly turned back into its number.
///
/// ```
/// use daraja::{Msisdn, Payer};
///
/// let asked: Msisdn = "254708374126".parse()?;
/// let payer = Payer::read("2547 ***** 126").unwrap();
/// assert_eq!(payer, Payer::Masked("2547 ***** 126".into()));
/// assert!(payer.may_be(asked));
/// assert!(!payer.may_be("254708374149".parse()?));
/// # Ok::<(), daraja::error::Invalid>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Payer {
    /// The whole number.
    Msisdn(Msisdn),
    /// A number whose middle is starred out, as Daraja wrote it: the same text may stand for several customers.
    Masked(Box<str>),
    /// A SHA-256 hash of the number, in hexadecimal digits: the same customer has the same one each time.
    Hashed(Box<str>),
    /// A text that is none of these. It matches no number, because it is not known to be the right one.
    Unreadable(Box<str>),
}

impl Payer {
    /// Reads what Daraja wrote. `None` if that is nothing: between organisations it is empty.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(number) = text.parse() {
            return Some(Self::Msisdn(number));
        }
        let is_mask = |c: char| c.is_ascii_digit() || matches!(c, '*' | ' ');
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Some(Self::Hashed(text.into()))
        } else if text.contains('*') && text.len() <= 24 && text.chars().all(is_mask) {
            Some(Self::Masked(text.into()))
        } else {
            // What passes a message on can write `null` as a text.
            let is_absent = text.is_empty() || text.eq_ignore_ascii_case("null");
            (!is_absent).then(|| Self::Unreadable(text.chars().take(64).collect()))
        }
    }

    /// The number, if it is a whole one.
    #[must_use]
    pub fn msisdn(&self) -> Option<Msisdn> {
        match self {
            Self::Msisdn(number) => Some(*number),
            Self::Masked(_) | Self::Hashed(_) | Self::Unreadable(_) => None,
        }
    }

    /// Whether it does not speak against this number. A masked one is compared by the digits that it shows, written as
    /// `2547…`, as `07…` and as `7…`. A hash is not compared: what exactly is hashed is not documented.
    #[must_use]
    pub fn may_be(&self, number: Msisdn) -> bool {
        match self {
            Self::Msisdn(own) => *own == number,
            Self::Hashed(_) => true,
            Self::Unreadable(_) => false,
            Self::Masked(mask) => {
                let international = number.to_string();
                let national = international.get(3..).unwrap_or_default();
                let local = format!("0{national}");
                let digits = |c: char| !c.is_ascii_digit();
                let start = mask.split(digits).next().unwrap_or_default();
                let end = mask.rsplit(digits).next().unwrap_or_default();
                let shows = |number: &str| number.starts_with(start) && number.ends_with(end);
                [&international, &local, national].into_iter().any(shows)
            }
        }
    }
}

impl fmt::Debug for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Msisdn(number) => f.debug_tuple("Msisdn").field(number).finish(),
            Self::Masked(mask) => f.debug_tuple("Masked").field(&mask_id(mask)).finish(),
            Self::Hashed(_) => f.write_str("Hashed([redacted])"),
            Self::Unreadable(text) => f.debug_tuple("Unreadable").field(&mask(text)).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_seen_so_far_is_told_apart() {
        let number = "254708374149".parse().unwrap();
        let hash = "0d2f4e1c".repeat(8);
        for (text, expected) in [
            ("254708374149", Some(Payer::Msisdn(number))),
            ("2547 ***** 149", Some(Payer::Masked("2547 ***** 149".into()))),
            ("25470****149", Some(Payer::Masked("25470****149".into()))),
            ("254******149", Some(Payer::Masked("254******149".into()))),
            ("254708374149*", Some(Payer::Masked("254708374149*".into()))),
            ("*********149", Some(Payer::Masked("*********149".into()))),
            (&*hash, Some(Payer::Hashed((*hash).into()))),
            ("", None),
            (" ", None),
            ("null", None),
            ("070****149", Some(Payer::Masked("070****149".into()))),
            ("70****149", Some(Payer::Masked("70****149".into()))),
            ("600310", Some(Payer::Unreadable("600310".into()))),
            ("<script>*</script>", Some(Payer::Unreadable("<script>*</script>".into()))),
        ] {
            let payer = Payer::read(text);
            assert_eq!(payer, expected, "{text}");
            if let Some(payer) = payer {
                let is_readable = !matches!(payer, Payer::Unreadable(_));
                assert_eq!(payer.may_be(number), is_readable, "{text}");
                assert_eq!(payer.msisdn(), (text == "254708374149").then_some(number), "{text}");
                let shown = format!("{payer:?}");
                assert!(!shown.contains("254708374149") && !shown.contains(&hash), "{shown}");
            }
        }
    }

    #[test]
    fn a_mask_speaks_against_a_number_by_the_digits_that_it_shows() {
        let number = "254708374149".parse().unwrap();
        for mask in ["2547 ***** 148", "25471****149", "*********140", "255******149", "071****149", "8****149"] {
            assert!(!Payer::read(mask).unwrap().may_be(number), "{mask}");
        }
        assert!(!Payer::read("254708374148").unwrap().may_be(number));
    }
}
