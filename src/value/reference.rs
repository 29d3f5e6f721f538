//! Short texts that travel with a payment.

use std::{fmt, str::FromStr};

use super::{
    inline::Inline,
    name_of,
    wire::{Wire, serde_as_text},
};
use crate::error::{Invalid, mask};

macro_rules! short_text {
    ($(#[$meta:meta])* $name:ident, $what:literal, $fewest:literal..=$most:literal) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Inline<$most>);

        impl $name {
            /// The text as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            /// Takes the text verbatim.
            ///
            /// # Errors
            ///
            /// [`Invalid`] names a character that cannot be sent, a space at an end, or the length.
            fn from_str(text: &str) -> Result<Self, Invalid> {
                keep(text, $fewest).map(Self).map_err(|reason| Invalid::new($what, reason).with_input(text))
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        /// Masked: an account can be the payer's number, and a note can hold a name.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), mask(self.as_str()))
            }
        }

        impl Wire for $name {
            const WHAT: &'static str = $what;
        }

        serde_as_text!($name);
    };
}

short_text! {
    /// What the payment is for, in your own words: an invoice, an account, an order. 1 to 12 characters. The customer
    /// sees it in the prompt and in the SMS.
    ///
    /// Letters, digits, spaces and `.` `-` `_` `/` are allowed: others, such as `@`, `#` and `&`, have made payments
    /// fail without a word. Nothing is cut off or rewritten.
    ///
    /// Daraja never gives it back, and a second payment under the same reference is a second payment.
    ///
    /// ```
    /// use daraja::AccountReference;
    /// let reference: AccountReference = "INV-001".parse()?;
    /// assert_eq!(reference.as_str(), "INV-001");
    /// assert!("INV#001".parse::<AccountReference>().is_err());
    /// assert!("INVOICE-2026-001".parse::<AccountReference>().is_err());
    /// # Ok::<(), daraja::error::Invalid>(())
    /// ```
    #[derive(Copy)]
    AccountReference, "account reference", 1..=12
}

short_text! {
    /// A note on the payment, 1 to 13 characters. The same characters are allowed as in an [`AccountReference`], and
    /// nothing is cut off or rewritten.
    ///
    /// ```
    /// use daraja::TransactionDesc;
    /// let note: TransactionDesc = "Order 1042".parse()?;
    /// assert_eq!(note.as_str(), "Order 1042");
    /// # Ok::<(), daraja::error::Invalid>(())
    /// ```
    #[derive(Copy)]
    TransactionDesc, "transaction description", 1..=13
}

short_text! {
    /// A note on a payout, a query or a reversal, 2 to 100 characters, for the books of both sides. The same characters
    /// are allowed as in an [`AccountReference`], and nothing is cut off or rewritten.
    ///
    /// ```
    /// use daraja::Remarks;
    /// let note: Remarks = "Invoice 1042 of March".parse()?;
    /// assert_eq!(note.as_str(), "Invoice 1042 of March");
    /// assert!("A".parse::<Remarks>().is_err());
    /// # Ok::<(), daraja::error::Invalid>(())
    /// ```
    Remarks, "remarks", 2..=100
}

short_text! {
    /// A further note on a payout, a query or a reversal, 1 to 100 characters. The same characters are allowed as in an
    /// [`AccountReference`], and nothing is cut off or rewritten.
    ///
    /// ```
    /// use daraja::Occasion;
    /// let occasion: Occasion = "March 2026".parse()?;
    /// assert_eq!(occasion.as_str(), "March 2026");
    /// # Ok::<(), daraja::error::Invalid>(())
    /// ```
    Occasion, "occasion", 1..=100
}

fn keep<const MOST: usize>(text: &str, fewest: usize) -> Result<Inline<MOST>, String> {
    let is_safe = |c: &char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '-' | '_' | '/');
    if let Some(c) = text.chars().find(|c| !is_safe(c)) {
        return Err(format!("{} can make it fail unseen; use letters, digits, spaces and . - _ /", name_of(c)));
    }
    let count = text.len();
    let fitting = if count < fewest { None } else { Inline::new(text) };
    let kept = fitting.ok_or_else(|| format!("{fewest} to {MOST} characters are allowed, and it has {count}"))?;
    if text.starts_with(' ') || text.ends_with(' ') {
        return Err("it begins or ends with a space; trim it first".to_owned());
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_safe_text_is_kept_verbatim() {
        for text in ["A", "INV-001", "a.b-c_d/e f", "123456789012"] {
            assert_eq!(text.parse::<AccountReference>().unwrap().as_str(), text);
            assert_eq!(text.parse::<TransactionDesc>().unwrap().to_string(), text);
        }
        assert_eq!("1234567890123".parse::<TransactionDesc>().unwrap().as_str(), "1234567890123");
    }

    #[test]
    fn a_refusal_says_what_is_wrong() {
        for (text, expected) in [
            ("", "invalid account reference \"\": 1 to 12 characters are allowed, and it has 0"),
            (
                "1234567890123",
                "invalid account reference \"1234*******23\": 1 to 12 characters are allowed, and it has 13",
            ),
            (
                "INV#001",
                "invalid account reference \"INV#001\": \
                 '#' can make it fail unseen; use letters, digits, spaces and . - _ /",
            ),
            (" INV", "invalid account reference \" INV\": it begins or ends with a space; trim it first"),
            ("INV ", "invalid account reference \"INV \": it begins or ends with a space; trim it first"),
        ] {
            assert_eq!(text.parse::<AccountReference>().unwrap_err().to_string(), expected);
        }
        assert_eq!(
            "12345678901234".parse::<TransactionDesc>().unwrap_err().to_string(),
            "invalid transaction description \"1234********34\": 1 to 13 characters are allowed, and it has 14"
        );
    }

    #[test]
    fn a_character_that_can_fail_unseen_is_refused_by_name() {
        for (c, name) in
            [('@', "'@'"), ('#', "'#'"), ('&', "'&'"), ('\n', "'\\n'"), ('é', "'é' (U+00E9)"), ('–', "'–' (U+2013)")]
        {
            let error = format!("A{c}B").parse::<AccountReference>().unwrap_err();
            assert!(error.reason().starts_with(&format!("{name} can make it fail unseen")), "{error}");
        }
    }

    #[test]
    fn debug_shows_the_ends_of_the_text_quoted() {
        for (text, shown) in [("INV 1", "INV 1"), ("INV-0001", "INV-0*01"), ("0712345678", "0712****78")] {
            let reference: AccountReference = text.parse().unwrap();
            assert_eq!(format!("{reference:?}"), format!("AccountReference({shown:?})"));
            assert_eq!(reference.to_string(), text);
        }
        let remarks: Remarks = "Wages of Wanjiku".parse().unwrap();
        assert_eq!(format!("{remarks:?}"), "Remarks(\"Wage* ** *****ku\")");
    }

    #[test]
    fn remarks_have_two_to_a_hundred_characters() {
        for length in [2, 100] {
            assert_eq!("A".repeat(length).parse::<Remarks>().unwrap().as_str().len(), length);
        }
        for (length, text) in [(1, "A"), (101, "AAAA********************…")] {
            assert_eq!(
                "A".repeat(length).parse::<Remarks>().unwrap_err().to_string(),
                format!("invalid remarks {text:?}: 2 to 100 characters are allowed, and it has {length}")
            );
        }
        assert_eq!("A".parse::<Occasion>().unwrap().as_str(), "A");
        assert!("A".repeat(101).parse::<Occasion>().is_err());
    }

    proptest! {
        #[test]
        fn showing_and_parsing_again_changes_nothing(
            text in "[A-Za-z0-9._/-]([A-Za-z0-9 ._/-]{0,10}[A-Za-z0-9._/-])?",
        ) {
            let reference: AccountReference = text.parse().unwrap();
            prop_assert_eq!(&reference.to_string(), &text);
            let json = serde_json::to_string(&reference).unwrap();
            prop_assert_eq!(serde_json::from_str::<AccountReference>(&json).unwrap(), reference);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = (text.parse::<AccountReference>(), text.parse::<TransactionDesc>());
        }
    }
}
