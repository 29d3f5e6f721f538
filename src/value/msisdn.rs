//! Kenyan phone numbers, however people write them.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

use super::{
    name_of,
    wire::{Wire, deserialize_text},
};
use crate::error::Invalid;

const WHAT: &str = "phone number";
const COUNTRY: u64 = 254_000_000_000;
const NATIONAL_DIGITS: usize = 9;
/// The longest way to write a number: `00`, `254`, a slipped `0`, and nine digits.
const MOST_DIGITS: usize = 15;

/// A Kenyan phone number, shown the way Daraja wants it: twelve digits beginning with 254.
///
/// All of these are the same number: `0708 374 149`, `708374149`, `254708374149`, `+254 708 374 149`,
/// `00254-708-374-149` and the common slip `+254 (0) 708.374.149`. Spaces, dashes, dots, round and square brackets and
/// invisible marks (contact apps put them around a copied number) are skipped wherever they stand.
///
/// The nine digits after 254 begin with 7 or 1 (mobile), or with 2 (Nairobi's landlines). A landline has to be written
/// as `02…` or with 254 before it: nine digits such as `254712345` are a mobile number that was cut off.
///
/// Only a customer of Safaricom's M-PESA can be asked for money or be paid. A number that parses may belong to another
/// network: Kenyan numbers are portable, so no prefix tells the operator, and this type does not guess.
///
/// ```
/// use daraja::Msisdn;
/// let typed: Msisdn = "0708 374 149".parse()?;
/// assert_eq!(typed, "+254 (0) 708-374-149".parse()?);
/// assert_eq!(typed.to_string(), "254708374149");
/// assert_eq!(format!("{typed:?}"), "Msisdn(2547******49)");
/// # Ok::<(), daraja::error::Invalid>(())
/// ```
///
/// It is read from a JSON string or number and written as a string. `Debug` is masked; `Display` is the full number, so
/// log [`masked`](Self::masked) instead.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Msisdn(u32);

impl Msisdn {
    /// Whether the number is mobile. A landline has no M-PESA.
    ///
    /// ```
    /// # use daraja::Msisdn;
    /// assert!("254708374149".parse::<Msisdn>()?.is_mobile());
    /// # Ok::<(), daraja::error::Invalid>(())
    /// ```
    #[must_use]
    pub const fn is_mobile(self) -> bool {
        !matches!(self.0, 200_000_000..300_000_000)
    }

    /// The twelve digits as a number, as callbacks write it.
    ///
    /// ```
    /// # use daraja::Msisdn;
    /// assert_eq!("0708 374 149".parse::<Msisdn>()?.as_u64(), 254_708_374_149);
    /// # Ok::<(), daraja::error::Invalid>(())
    /// ```
    #[must_use]
    pub fn as_u64(self) -> u64 {
        COUNTRY.wrapping_add(self.0.into())
    }

    /// Shows the first four and the last two digits, for logs and for pages that others may see.
    ///
    /// ```
    /// # use daraja::Msisdn;
    /// let number: Msisdn = "254708374149".parse()?;
    /// assert_eq!(number.masked().to_string(), "2547******49");
    /// # Ok::<(), daraja::error::Invalid>(())
    /// ```
    #[must_use]
    pub fn masked(self) -> impl fmt::Display + fmt::Debug {
        Masked(self)
    }

    const fn from_national(national: u32) -> Option<Self> {
        match national {
            100_000_000..300_000_000 | 700_000_000..800_000_000 => Some(Self(national)),
            _ => None,
        }
    }

    fn digits(self) -> [u8; 12] {
        let mut digits = *b"254000000000";
        let mut rest = self.0;
        for digit in digits.iter_mut().rev().take(NATIONAL_DIGITS) {
            *digit = b'0' | (rest % 10) as u8;
            rest /= 10;
        }
        digits
    }
}

impl FromStr for Msisdn {
    type Err = Invalid;

    /// Parses every common way to write a number.
    ///
    /// # Errors
    ///
    /// [`Invalid`] names what is wrong: a character, the count of digits, the country or the first digit after it.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Scan::of(text).and_then(|scan| scan.number()).map_err(|reason| Invalid::new(WHAT, reason).with_input(text))
    }
}

impl TryFrom<u64> for Msisdn {
    type Error = Invalid;

    /// Reads a number as callbacks write it, by the same rules as a text.
    fn try_from(number: u64) -> Result<Self, Invalid> {
        let national = number.checked_sub(COUNTRY).and_then(|national| u32::try_from(national).ok());
        // Whatever is not the usual form takes the way of a text, which says what is wrong.
        national.and_then(Self::from_national).map_or_else(|| number.to_string().parse(), Ok)
    }
}

impl From<Msisdn> for u64 {
    fn from(number: Msisdn) -> Self {
        number.as_u64()
    }
}

impl fmt::Display for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.digits()).expect("digits are ASCII"))
    }
}

impl fmt::Debug for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Msisdn({})", self.masked())
    }
}

impl Wire for Msisdn {
    const WHAT: &'static str = WHAT;

    fn from_integer(number: i128) -> Result<Self, Invalid> {
        let number = u64::try_from(number).map_err(|_| Invalid::new(WHAT, "it is negative or far too long"))?;
        number.try_into()
    }
}

deserialize_text!(Msisdn);

impl Serialize for Msisdn {
    // As `Display`, without its way through the formatting machinery: every push writes two numbers.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.digits()).expect("digits are ASCII"))
    }
}

struct Masked(Msisdn);

impl fmt::Display for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.digits();
        shown[4..10].fill(b'*');
        f.pad(std::str::from_utf8(&shown).expect("digits and stars are ASCII"))
    }
}

impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a text holds once everything that only separates is left out.
struct Scan {
    digits: [u8; MOST_DIGITS],
    /// How many digits there were, also beyond the most that can be right.
    count: usize,
    has_plus: bool,
    /// Where the last dot stood: so many digits were before it.
    dot: Option<usize>,
}

impl Scan {
    fn of(text: &str) -> Result<Self, String> {
        let mut scan = Self { digits: [0; MOST_DIGITS], count: 0, has_plus: false, dot: None };
        let mut is_first = true;
        for c in text.chars() {
            match c {
                '0'..='9' => scan.push(c as u8),
                '+' if is_first => scan.has_plus = true,
                _ if is_blank(c) => continue,
                '.' => scan.dot = Some(scan.count),
                _ if is_punctuation(c) => scan.dot = None,
                _ => return Err(unexpected(c)),
            }
            is_first = false;
        }
        if is_first { Err("it is empty; a number such as 0712 345 678 is expected".to_owned()) } else { Ok(scan) }
    }

    fn push(&mut self, digit: u8) {
        if let Some(place) = self.digits.get_mut(self.count) {
            *place = digit;
        }
        self.count = self.count.saturating_add(1);
    }

    fn number(&self) -> Result<Msisdn, String> {
        let Some(digits) = self.digits.get(..self.count) else {
            return Err(format!("too many digits: {}; write 10 as 0712 345 678, or 12 beginning with 254", self.count));
        };
        if self.dot.is_some_and(|dot| is_fraction(digits.get(dot..).unwrap_or_default())) {
            return Err(
                "it ends in a decimal fraction, as a column of numbers in a spreadsheet writes it, which can also \
                        cut a digit off: store phone numbers as text"
                    .to_owned(),
            );
        }
        let (prefix, national) = match digits {
            [b'0', b'0', b'2', b'5', b'4', rest @ ..] if !self.has_plus => ("00254", without_slip(rest)),
            [b'2', b'5', b'4', rest @ ..] => ("254", without_slip(rest)),
            [b'0', b'0', _, ..] => return Err(other_country("00")),
            _ if self.has_plus => return Err(other_country("a plus")),
            [b'0', rest @ ..] => ("0", rest),
            bare => ("", bare),
        };
        national_part(prefix, national)
    }
}

/// Whether the digits behind the last dot are a fraction, such as `.0` or `.00`. A dot that separates has two or more digits
/// behind it, such as `0708.37.41.49`.
fn is_fraction(digits: &[u8]) -> bool {
    matches!(digits, [_] | [b'0', b'0'])
}

/// Takes away the 0 in `+254 (0) 712 345 678`.
fn without_slip(after_country: &[u8]) -> &[u8] {
    match after_country {
        [b'0', rest @ ..] => rest,
        _ => after_country,
    }
}

fn national_part(prefix: &str, digits: &[u8]) -> Result<Msisdn, String> {
    if digits.len() != NATIONAL_DIGITS {
        return Err(wrong_count(prefix, digits));
    }
    if prefix.is_empty() && digits.starts_with(b"2") {
        return Err("9 digits beginning with 2 need a 0 or 254 before them".to_owned());
    }
    let value = digits.iter().fold(0_u32, |value, digit| value.wrapping_mul(10).wrapping_add((digit & 0x0F).into()));
    Msisdn::from_national(value).ok_or_else(|| {
        let first = char::from(digits[0]);
        format!("its nine digits begin with {first}, but 7 or 1 is needed (mobile) or 2 (Nairobi's landlines)")
    })
}

fn wrong_count(prefix: &str, digits: &[u8]) -> String {
    let count = digits.len();
    let verdict = if count < NATIONAL_DIGITS { "too few" } else { "too many" };
    match (prefix, digits) {
        ("", []) => "it has no digits; a number such as 0712 345 678 is expected".to_owned(),
        ("", [b'1' | b'7', ..]) => format!("{verdict} digits: {count} where 9 are expected, or 10 with the 0 in front"),
        ("", _) if count > NATIONAL_DIGITS => {
            format!("{count} digits that do not begin with 254 or 0 are no Kenyan number")
        }
        ("", _) => format!("{verdict} digits: {count}; write 10 as 0712 345 678, or 12 beginning with 254"),
        _ => format!("{verdict} digits after {prefix}: {count} where 9 are expected"),
    }
}

fn other_country(sign: &str) -> String {
    format!("only 254 may follow {sign}: numbers of other countries cannot be used")
}

fn unexpected(c: char) -> String {
    let name = name_of(c);
    if c == '+' {
        "a plus may stand only once and in front".to_owned()
    } else if c.is_numeric() {
        format!("{name} is not one of the digits 0 to 9; type the number with those")
    } else {
        format!("{name} cannot be part of it; digits, spaces, dashes, dots, brackets and a plus in front can")
    }
}

fn is_punctuation(c: char) -> bool {
    // Dashes: hyphen to horizontal bar, and the minus sign.
    matches!(c, '-' | '.' | '(' | ')' | '[' | ']' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// White space, and the marks without width or meaning that phones and web pages put around a number.
fn is_blank(c: char) -> bool {
    let is_direction = matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let is_zero_width = matches!(c, '\u{AD}' | '\u{200B}'..='\u{200D}' | '\u{2060}' | '\u{FEFF}');
    is_direction || is_zero_width || c.is_whitespace()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reason(text: &str) -> String {
        let error = text.parse::<Msisdn>().unwrap_err();
        assert_eq!(error.what(), "phone number");
        error.reason().to_owned()
    }

    #[test]
    fn every_common_way_to_write_a_number_is_the_same_number() {
        for text in [
            "0708374149",
            "708374149",
            "254708374149",
            "+254708374149",
            "0708 374 149",
            "  0708\u{a0}374\u{202f}149\t\n",
            "0708-374-149",
            "0708\u{2010}374\u{2011}149",
            "0708\u{2013}374\u{2014}149",
            "0708\u{2212}374149",
            "0708.374.149",
            "07.08.37.41.49",
            "0708.374.149.",
            "(0708) 374149",
            "[0708] 374149",
            "+254 708 374 149",
            " +254-708-374-149",
            "+(254) 708 374 149",
            "00254708374149",
            "00 254 708 374 149",
            "2540708374149",
            "+2540708374149",
            "+254 (0) 708 374 149",
            "00254 (0) 708 374 149",
            "\u{202d}+254 708 374149\u{202c}",
            "\u{feff}0708374149\u{200e}",
        ] {
            assert_eq!(text.parse::<Msisdn>().unwrap().to_string(), "254708374149", "{text:?}");
        }
    }

    #[test]
    fn the_test_numbers_are_mobile() {
        for number in [254_708_374_149, 254_700_000_000, 254_700_009_999] {
            let number = Msisdn::try_from(number).unwrap();
            assert!(number.is_mobile(), "{number}");
        }
        assert_eq!("0700000001".parse::<Msisdn>().unwrap().as_u64(), 254_700_000_001);
    }

    #[test]
    fn a_landline_needs_its_zero_or_the_country() {
        for prefix in ["02", "2542", "+254 2", "002542", "25402"] {
            let landline: Msisdn = format!("{prefix}00000000").parse().unwrap();
            assert!(!landline.is_mobile(), "{prefix}");
            assert_eq!(landline.to_string(), "254200000000", "{prefix}");
        }
        assert_eq!(reason("200000000"), "9 digits beginning with 2 need a 0 or 254 before them");
    }

    #[test]
    fn a_truncated_number_is_not_a_landline() {
        assert_eq!(reason("254712345"), "too few digits after 254: 6 where 9 are expected");
        assert_eq!(reason("2547"), "too few digits after 254: 1 where 9 are expected");
        assert_eq!(reason("+254"), "too few digits after 254: 0 where 9 are expected");
        assert_eq!(reason("2540"), "too few digits after 254: 0 where 9 are expected");
    }

    #[test]
    fn a_refusal_says_what_is_wrong() {
        let empty = "it is empty; a number such as 0712 345 678 is expected";
        let no_digits = "it has no digits; a number such as 0712 345 678 is expected";
        let plus = "a plus may stand only once and in front";
        let country = "only 254 may follow a plus: numbers of other countries cannot be used";
        for (text, expected) in [
            ("", empty),
            (" \u{a0}\n", empty),
            ("--", no_digits),
            ("0712 345", "too few digits after 0: 6 where 9 are expected"),
            ("0", "too few digits after 0: 0 where 9 are expected"),
            ("00", "too few digits after 0: 1 where 9 are expected"),
            ("0708374149 0", "too many digits after 0: 10 where 9 are expected"),
            ("71234567", "too few digits: 8 where 9 are expected, or 10 with the 0 in front"),
            ("7083741490", "too many digits: 10 where 9 are expected, or 10 with the 0 in front"),
            ("8123", "too few digits: 4; write 10 as 0712 345 678, or 12 beginning with 254"),
            ("255712345678", "12 digits that do not begin with 254 or 0 are no Kenyan number"),
            ("2547083741490", "too many digits after 254: 10 where 9 are expected"),
            ("25400708374149", "too many digits after 254: 10 where 9 are expected"),
            ("00254708374149012", "too many digits: 17; write 10 as 0712 345 678, or 12 beginning with 254"),
            ("+255712345678", country),
            ("+0712345678", country),
            ("+00254708374149", "only 254 may follow 00: numbers of other countries cannot be used"),
            ("+", country),
            ("00255712345678", "only 254 may follow 00: numbers of other countries cannot be used"),
            ("++254708374149", plus),
            ("254+708374149", plus),
            ("(+254) 708374149", plus),
            ("254708374149+", plus),
            ("O708374149", "'O' cannot be part of it; digits, spaces, dashes, dots, brackets and a plus in front can"),
            ("0708/374149", "'/' cannot be part of it; digits, spaces, dashes, dots, brackets and a plus in front can"),
            ("٠708374149", "'٠' (U+0660) is not one of the digits 0 to 9; type the number with those"),
            ("０708374149", "'０' (U+FF10) is not one of the digits 0 to 9; type the number with those"),
        ] {
            assert_eq!(reason(text), expected, "{text:?}");
        }
        for first in ['3', '4', '5', '6', '8', '9'] {
            let expected =
                format!("its nine digits begin with {first}, but 7 or 1 is needed (mobile) or 2 (Nairobi's landlines)");
            assert_eq!(reason(&format!("254{first}12345678")).as_str(), expected, "{first}");
        }
    }

    #[test]
    fn a_refusal_shows_the_input_masked() {
        assert_eq!(
            "254 708 374 149 0".parse::<Msisdn>().unwrap_err().to_string(),
            "invalid phone number \"254 7** *** **9 0\": too many digits after 254: 10 where 9 are expected"
        );
    }

    #[test]
    fn debug_and_masked_hide_the_middle() {
        let number: Msisdn = "254708374149".parse().unwrap();
        assert_eq!(format!("{number:?}"), "Msisdn(2547******49)");
        assert_eq!(format!("{:?}", Some(number)), "Some(Msisdn(2547******49))");
        assert_eq!(format!("{:>14}|{:?}", number.masked(), number.masked()), "  2547******49|2547******49");
        assert_eq!(format!("{number:<14}|"), "254708374149  |");
    }

    #[test]
    fn an_integer_follows_the_same_rules() {
        assert_eq!(Msisdn::try_from(708_374_149).unwrap().to_string(), "254708374149");
        assert_eq!(u64::from(Msisdn::try_from(254_708_374_149).unwrap()), 254_708_374_149);
        for number in [0, 254_712_345, 200_000_000, 254_808_374_149, 255_708_374_149, u64::MAX] {
            assert!(Msisdn::try_from(number).is_err(), "{number}");
        }
    }

    #[test]
    fn json_is_a_string_out_and_string_or_integer_in() {
        let number: Msisdn = serde_json::from_str("254708374149").unwrap();
        assert_eq!(serde_json::to_string(&number).unwrap(), "\"254708374149\"");
        assert_eq!(serde_json::from_str::<Msisdn>("\"0708 374 149\"").unwrap(), number);
    }

    fn national() -> impl Strategy<Value = u32> {
        prop_oneof![100_000_000..200_000_000_u32, 700_000_000..800_000_000_u32]
    }

    proptest! {
        #[test]
        fn all_written_forms_give_the_same_number(national in national()) {
            let (a, b, c) = (national / 1_000_000, national / 1_000 % 1_000, national % 1_000);
            let expected = Msisdn::try_from(254_000_000_000 + u64::from(national)).unwrap();
            for text in [
                format!("{national}"),
                format!("0{national}"),
                format!("254{national}"),
                format!("+254{national}"),
                format!("00254{national}"),
                format!("2540{national}"),
                format!("0{a} {b:03} {c:03}"),
                format!("+254-{a}-{b:03}-{c:03}"),
                format!("+254 (0) {a}.{b:03}.{c:03}"),
            ] {
                prop_assert_eq!(text.parse::<Msisdn>().unwrap(), expected, "{}", text);
            }
        }

        #[test]
        fn showing_and_parsing_again_changes_nothing(
            national in prop_oneof![national(), 200_000_000..300_000_000_u32],
        ) {
            let number: Msisdn = format!("0{national}").parse().unwrap();
            prop_assert_eq!(number.to_string(), format!("254{national}"));
            prop_assert_eq!(number.to_string().parse::<Msisdn>().unwrap(), number);
            prop_assert_eq!(Msisdn::try_from(number.as_u64()).unwrap(), number);
            let json = serde_json::to_string(&number).unwrap();
            prop_assert_eq!(serde_json::from_str::<Msisdn>(&json).unwrap(), number);
        }

        #[test]
        fn no_text_and_no_number_panics(
            text in any::<String>(),
            phone in "[+0-9 ().\\-]{0,24}",
            number in any::<u64>(),
        ) {
            let _ = (text.parse::<Msisdn>(), phone.parse::<Msisdn>(), Msisdn::try_from(number));
        }
    }
}
