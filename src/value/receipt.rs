//! M-PESA receipt numbers.

use std::{fmt, str::FromStr};

use super::{
    inline::Inline,
    name_of,
    wire::{Wire, serde_as_text},
};
use crate::error::{Invalid, mask_id};

const WHAT: &str = "receipt number";
const MOST: usize = 32;

/// The number of an M-PESA transaction, as it stands in the customer's SMS: normally ten of `A`–`Z` and `0`–`9`.
///
/// Daraja calls it `MpesaReceiptNumber`, `TransactionReceipt`, `TransactionID` or `TransID`. Having one proves no
/// payment: failed requests carry one too, sometimes a [placeholder](Self::is_placeholder). It is kept verbatim.
///
/// ```
/// use daraja::ReceiptNumber;
/// let receipt: ReceiptNumber = "SD25WSR9W7".parse()?;
/// assert_eq!(receipt.as_str(), "SD25WSR9W7");
/// assert!(!receipt.is_placeholder());
/// # Ok::<(), daraja::error::Invalid>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptNumber(Inline<MOST>);

impl ReceiptNumber {
    /// The receipt number as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it is the dummy that failed requests carry: it ends in seven zeros.
    ///
    /// ```
    /// assert!("NLJ0000000".parse::<daraja::ReceiptNumber>()?.is_placeholder());
    /// # Ok::<(), daraja::error::Invalid>(())
    /// ```
    #[must_use]
    pub fn is_placeholder(&self) -> bool {
        self.as_str().ends_with("0000000")
    }

    /// Whether it can be a real one: it begins with the letter of its year, has ten characters at least, and is no
    /// [placeholder](Self::is_placeholder). `0`, `null` and the like are none. What a person typed should pass this; it still
    /// proves no payment.
    ///
    /// ```
    /// assert!("SD25WSR9W7".parse::<daraja::ReceiptNumber>()?.is_plausible());
    /// assert!(!"null".parse::<daraja::ReceiptNumber>()?.is_plausible());
    /// # Ok::<(), daraja::error::Invalid>(())
    /// ```
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        let text = self.as_str();
        text.len() >= 10 && text.starts_with(|c: char| c.is_ascii_alphabetic()) && !self.is_placeholder()
    }
}

impl FromStr for ReceiptNumber {
    type Err = Invalid;

    /// Takes 1 to 32 ASCII letters and digits verbatim.
    ///
    /// # Errors
    ///
    /// [`Invalid`] names a character that cannot be part of it, or the length.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = |reason: String| Invalid::new(WHAT, reason).with_input(text);
        if let Some(c) = text.chars().find(|c| !c.is_ascii_alphanumeric()) {
            return Err(invalid(format!("{} cannot be part of it; only A to Z, a to z and 0 to 9 can", name_of(c))));
        }
        let kept = if text.is_empty() { None } else { Inline::new(text) };
        let length = || format!("1 to {MOST} characters are expected, normally 10, and it has {}", text.len());
        kept.map(Self).ok_or_else(|| invalid(length()))
    }
}

impl AsRef<str> for ReceiptNumber {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for ReceiptNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ReceiptNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is no receipt, such as a phone number in its place, is not shown as one.
        let (text, is_real) = (self.as_str(), self.is_plausible());
        write!(f, "ReceiptNumber({})", if is_real { text.to_owned() } else { mask_id(text) })
    }
}

impl Wire for ReceiptNumber {
    const WHAT: &'static str = WHAT;
}

serde_as_text!(ReceiptNumber);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn letters_and_digits_are_kept_verbatim() {
        for (text, shown) in [
            ("SD25WSR9W7", "SD25WSR9W7"),
            ("OEI2AK4Q16", "OEI2AK4Q16"),
            ("sd25wsr9w7", "sd25wsr9w7"),
            ("A123456789", "A123456789"),
            ("A", "A"),
            ("254708374149", "2547******49"),
            ("99999999999999999999254708374149", "999999999999999999992547******49"),
        ] {
            let receipt: ReceiptNumber = text.parse().unwrap();
            assert_eq!(receipt.as_str(), text);
            assert_eq!(format!("{receipt:?}"), format!("ReceiptNumber({shown})"));
        }
    }

    #[test]
    fn a_refusal_says_what_is_wrong() {
        for (text, expected) in [
            ("", "invalid receipt number \"\": 1 to 32 characters are expected, normally 10, and it has 0"),
            (
                &"A".repeat(33),
                "invalid receipt number \"AAAA********************…\": 1 to 32 characters are expected, normally 10, \
                 and it has 33",
            ),
            (
                " SD25WSR9W7",
                "invalid receipt number \" SD25****W7\": ' ' cannot be part of it; only A to Z, a to z and 0 to 9 can",
            ),
            (
                "SD25-W7",
                "invalid receipt number \"SD25-W7\": '-' cannot be part of it; only A to Z, a to z and 0 to 9 can",
            ),
        ] {
            assert_eq!(text.parse::<ReceiptNumber>().unwrap_err().to_string(), expected);
        }
        for text in ["SD25WSR9W7\n", "SDÉ5WSR9W7", "SD25WSR9W٧", "\0"] {
            assert!(text.parse::<ReceiptNumber>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_dummy_ends_in_seven_zeros() {
        for (text, expected) in
            [("NLJ0000000", true), ("0000000", true), ("NLJ0000001", false), ("NLJA000000", false), ("0000000A", false)]
        {
            assert_eq!(text.parse::<ReceiptNumber>().unwrap().is_placeholder(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn showing_and_parsing_again_changes_nothing(text in "[0-9A-Za-z]{1,32}") {
            let receipt: ReceiptNumber = text.parse().unwrap();
            prop_assert_eq!(&receipt.to_string(), &text);
            let json = serde_json::to_string(&receipt).unwrap();
            prop_assert_eq!(&json, &format!("\"{text}\""));
            prop_assert_eq!(serde_json::from_str::<ReceiptNumber>(&json).unwrap(), receipt);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = text.parse::<ReceiptNumber>();
        }
    }
}
