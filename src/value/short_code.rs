//! The numbers of businesses: PayBill and store short codes, and tills.

use std::{fmt, str::FromStr};

use super::{
    inline::Inline,
    name_of,
    wire::{Wire, serde_as_text},
};
use crate::error::Invalid;

const FEWEST: usize = 5;
const MOST: usize = 7;

macro_rules! business_number {
    ($(#[$meta:meta])* $name:ident, $what:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Inline<MOST>);

        impl $name {
            /// The digits as they were given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            /// Takes five to seven digits verbatim.
            ///
            /// # Errors
            ///
            /// [`Invalid`] names a character that is no digit, or the count of digits.
            fn from_str(text: &str) -> Result<Self, Invalid> {
                digits(text).map(Self).map_err(|reason| Invalid::new($what, reason).with_input(text))
            }
        }

        impl TryFrom<u32> for $name {
            type Error = Invalid;

            /// Takes a number of five to seven digits. One that begins with 0 has to be given as a text.
            fn try_from(number: u32) -> Result<Self, Invalid> {
                number.to_string().parse()
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

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.as_str())
            }
        }

        impl Wire for $name {
            const WHAT: &'static str = $what;

            fn from_integer(number: i128) -> Result<Self, Invalid> {
                number.to_string().parse()
            }
        }

        serde_as_text!($name);
    };
}

business_number! {
    /// The number of a business: a PayBill, or the store (head office) number that stands behind tills. Five to seven
    /// digits, given by Safaricom.
    ///
    /// It is kept as it was given, leading zeros too. It is read from a JSON string or number and written as a string.
    ///
    /// ```
    /// use daraja::ShortCode;
    /// let sandbox: ShortCode = "174379".parse()?;
    /// assert_eq!(sandbox, ShortCode::try_from(174_379)?);
    /// assert_eq!(sandbox.as_str(), "174379");
    /// # Ok::<(), daraja::error::Invalid>(())
    /// ```
    ShortCode, "short code"
}

business_number! {
    /// The number of a till (Buy Goods), which gets the money. Five to seven digits, given by Safaricom.
    ///
    /// It is not the store number that the till belongs to; that one is a [`ShortCode`]. It is kept as it was given,
    /// leading zeros too. It is read from a JSON string or number and written as a string.
    ///
    /// ```
    /// use daraja::TillNumber;
    /// let till: TillNumber = "0600310".parse()?;
    /// assert_eq!(till.to_string(), "0600310");
    /// # Ok::<(), daraja::error::Invalid>(())
    /// ```
    TillNumber, "till number"
}

fn digits(text: &str) -> Result<Inline<MOST>, String> {
    if let Some(c) = text.chars().find(|c| !c.is_ascii_digit()) {
        return Err(format!("{} is no digit, and it has to be {FEWEST} to {MOST} digits", name_of(c)));
    }
    let count = text.len();
    let kept = if count < FEWEST { None } else { Inline::new(text) };
    kept.ok_or_else(|| format!("{FEWEST} to {MOST} digits are expected, and it has {count}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn five_to_seven_digits_are_kept_verbatim() {
        for text in ["12345", "174379", "600000", "6000001", "00001", "0174379"] {
            assert_eq!(text.parse::<ShortCode>().unwrap().as_str(), text);
            assert_eq!(text.parse::<TillNumber>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_refusal_says_what_is_wrong() {
        for (text, expected) in [
            ("", "invalid short code \"\": 5 to 7 digits are expected, and it has 0"),
            ("1234", "invalid short code \"1234\": 5 to 7 digits are expected, and it has 4"),
            ("12345678", "invalid short code \"1234**78\": 5 to 7 digits are expected, and it has 8"),
            ("174 379", "invalid short code \"174 379\": ' ' is no digit, and it has to be 5 to 7 digits"),
            ("+74379", "invalid short code \"+74379\": '+' is no digit, and it has to be 5 to 7 digits"),
            ("17437٩", "invalid short code \"17437٩\": '٩' (U+0669) is no digit, and it has to be 5 to 7 digits"),
        ] {
            assert_eq!(text.parse::<ShortCode>().unwrap_err().to_string(), expected);
        }
        assert_eq!(
            "1".parse::<TillNumber>().unwrap_err().to_string(),
            "invalid till number \"1\": 5 to 7 digits are expected, and it has 1"
        );
    }

    #[test]
    fn numbers_follow_the_same_rules() {
        assert_eq!(TillNumber::try_from(9_999_999).unwrap().as_str(), "9999999");
        for number in [0, 9_999, 10_000_000, u32::MAX] {
            assert!(ShortCode::try_from(number).is_err(), "{number}");
        }
    }

    #[test]
    fn debug_is_plain() {
        assert_eq!(format!("{:?}", ShortCode::try_from(174_379).unwrap()), "ShortCode(174379)");
        assert_eq!(format!("{:?}", TillNumber::try_from(174_379).unwrap()), "TillNumber(174379)");
    }

    #[test]
    fn json_is_a_string_out_and_string_or_number_in() {
        let code: ShortCode = serde_json::from_str("174379").unwrap();
        assert_eq!(serde_json::to_string(&code).unwrap(), "\"174379\"");
        assert_eq!(serde_json::from_str::<ShortCode>("\"174379\"").unwrap(), code);
        assert!(serde_json::from_str::<ShortCode>("-174379").is_err());
    }

    proptest! {
        #[test]
        fn showing_and_parsing_again_changes_nothing(text in "[0-9]{5,7}") {
            let code: ShortCode = text.parse().unwrap();
            prop_assert_eq!(code.to_string(), text);
            prop_assert_eq!(code.to_string().parse::<ShortCode>().unwrap(), code);
        }

        #[test]
        fn no_text_panics(text in any::<String>(), number in any::<u32>()) {
            let _ = (text.parse::<ShortCode>(), TillNumber::try_from(number));
        }
    }
}
