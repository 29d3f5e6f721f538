//! Money, and the limits that are set to it.

use std::{fmt, num::NonZeroU32, ops::RangeInclusive, str::FromStr};

use serde::{Serialize, Serializer};

use super::{
    name_of,
    wire::{Wire, read, serde_as_text},
};
use crate::error::Invalid;

const WHAT: &str = "amount";

/// An amount to ask for or to pay: whole shillings, at least one.
///
/// Daraja takes no cents. A decimal whose cents are zero is accepted (`5000.00`), cents are refused, and nothing is
/// rounded. How much Safaricom allows in one payment is a matter of [`Limits`], not of this type. What Daraja reports
/// back is [`Kes`].
///
/// ```
/// use daraja::Shillings;
/// let amount = Shillings::new(5_000)?;
/// assert_eq!(amount, "5000.00".parse()?);
/// assert_eq!(amount.to_string(), "5000");
/// assert!("12.50".parse::<Shillings>().is_err());
/// # Ok::<(), daraja::error::Invalid>(())
/// ```
///
/// It is written to JSON as an integer and read from an integer, a decimal with zero cents, or a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shillings(NonZeroU32);

impl Shillings {
    /// Takes whole shillings.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if there are none: the least is 1.
    pub fn new(shillings: u32) -> Result<Self, Invalid> {
        let zero = || Invalid::new(WHAT, "it is 0, and the least that can be asked for or paid is 1 shilling");
        NonZeroU32::new(shillings).map(Self).ok_or_else(zero)
    }

    /// The amount as a number of shillings.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    const fn constant(shillings: u32) -> Self {
        Self(NonZeroU32::new(shillings).expect("a constant amount is not 0"))
    }
}

impl FromStr for Shillings {
    type Err = Invalid;

    /// Parses digits, and after a point zeros only: `500` or `500.00`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] names cents, a sign, a separator, whatever else is no plain amount, and what is too small or large.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = |reason: String| Invalid::new(WHAT, reason).with_input(text);
        let (whole, fraction) = split(text).map_err(invalid)?;
        if !is_zeros(fraction) {
            return Err(invalid("it has cents, and only whole shillings can be asked for or paid".to_owned()));
        }
        let shillings = whole.parse().map_err(|_| invalid(format!("it is more than {} shillings", u32::MAX)))?;
        Self::new(shillings).map_err(|error| error.with_input(text))
    }
}

impl TryFrom<Kes> for Shillings {
    type Error = Invalid;

    /// Refuses cents, zero and less, and more than fits.
    fn try_from(amount: Kes) -> Result<Self, Invalid> {
        amount.to_string().parse()
    }
}

impl fmt::Display for Shillings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Wire for Shillings {
    const WHAT: &'static str = WHAT;

    fn from_integer(number: i128) -> Result<Self, Invalid> {
        u32::try_from(number).map_or_else(|_| number.to_string().parse(), Self::new)
    }

    fn from_float(number: f64) -> Result<Self, Invalid> {
        number.to_string().parse()
    }
}

impl Serialize for Shillings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.serialize_u32(self.get()) } else { serializer.collect_str(self) }
    }
}

impl<'de> serde::Deserialize<'de> for Shillings {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

/// An amount as Daraja reports it: shillings and cents, below zero too, such as a charge or an overdrawn balance.
///
/// ```
/// use daraja::{Kes, Shillings};
/// let reported: Kes = "190.00".parse()?;
/// assert_eq!(reported, Shillings::new(190)?.into());
/// assert_eq!(reported.cents(), 19_000);
/// assert_eq!("-1540.0".parse::<Kes>()?.to_string(), "-1540.00");
/// # Ok::<(), daraja::error::Invalid>(())
/// ```
///
/// It is written to JSON as a string, so that no program in between makes it inexact, and read from a string or number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kes(i64);

impl Kes {
    /// Takes cents: 100 to the shilling.
    #[must_use]
    pub const fn from_cents(cents: i64) -> Self {
        Self(cents)
    }

    /// The amount in cents.
    #[must_use]
    pub const fn cents(self) -> i64 {
        self.0
    }

    /// The sum; `None` if it does not fit.
    ///
    /// ```
    /// # use daraja::Kes;
    /// assert_eq!(Kes::from_cents(150).checked_add(Kes::from_cents(50)), Some(Kes::from_cents(200)));
    /// assert_eq!(Kes::from_cents(i64::MAX).checked_add(Kes::from_cents(1)), None);
    /// ```
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(cents) => Some(Self(cents)),
            None => None,
        }
    }

    /// The difference; `None` if it does not fit.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(cents) => Some(Self(cents)),
            None => None,
        }
    }
}

impl From<Shillings> for Kes {
    fn from(amount: Shillings) -> Self {
        Self(i64::from(amount.get()).saturating_mul(100))
    }
}

impl FromStr for Kes {
    type Err = Invalid;

    /// Parses digits with or without a minus in front, and after a point one or two digits and then zeros only.
    ///
    /// # Errors
    ///
    /// [`Invalid`] names what is not a plain amount, parts of a cent, or an amount that does not fit.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = |reason: String| Invalid::new(WHAT, reason).with_input(text);
        let (sign, unsigned) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let (whole, fraction) = split(unsigned).map_err(invalid)?;
        let (cents, beyond) = fraction.split_at(fraction.len().min(2));
        if !is_zeros(beyond) {
            return Err(invalid("it has parts of a cent, and nothing is rounded".to_owned()));
        }
        total(sign, whole, cents).map(Self).ok_or_else(|| too_large().with_input(text))
    }
}

impl fmt::Display for Kes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let cents = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", cents / 100, cents % 100)
    }
}

impl fmt::Debug for Kes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kes({self})")
    }
}

impl Wire for Kes {
    const WHAT: &'static str = WHAT;

    fn from_integer(number: i128) -> Result<Self, Invalid> {
        let cents = number.checked_mul(100).and_then(|cents| i64::try_from(cents).ok());
        cents.map(Self).ok_or_else(too_large)
    }

    fn from_float(number: f64) -> Result<Self, Invalid> {
        // A float keeps 15 digits exactly: 13 of shillings and 2 of cents.
        if number.is_nan() || number.abs() >= 1e13 {
            return Err(Invalid::new(WHAT, "it is too large to be exact to the cent as a JSON number with a point"));
        }
        let cents = (number * 100.0).round();
        #[expect(
            clippy::float_cmp,
            reason = "the nearest float to these cents is what was sent, or they are not what was"
        )]
        if cents / 100.0 != number {
            return Err(Invalid::new(WHAT, "it has parts of a cent, and nothing is rounded"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "a whole number below 1e15 fits")]
        Ok(Self(cents as i64))
    }
}

serde_as_text!(Kes);

/// The amounts that one payment may have, by kind of payment.
///
/// They are data because they change by notice of the regulator: since September 2023 a payment may have 250 000
/// shillings, where older guides say 70 000. A payout has at least 10. An amount outside them is
/// refused before anything is sent.
///
/// ```
/// use daraja::{Limits, Shillings};
/// let lower = Limits::default().with_stk(Shillings::new(1)?..=Shillings::new(70_000)?);
/// assert!(lower.stk().contains(&Shillings::new(70_000)?));
/// assert!(!lower.stk().contains(&Shillings::new(70_001)?));
/// assert_eq!(lower.b2c(), Limits::default().b2c());
/// # Ok::<(), daraja::error::Invalid>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    stk: (Shillings, Shillings),
    b2c: (Shillings, Shillings),
}

impl Limits {
    /// What one M-PESA Express prompt may ask for.
    #[must_use]
    pub fn stk(&self) -> RangeInclusive<Shillings> {
        self.stk.0..=self.stk.1
    }

    /// What one payout to a customer may have.
    #[must_use]
    pub fn b2c(&self) -> RangeInclusive<Shillings> {
        self.b2c.0..=self.b2c.1
    }

    /// Sets what one M-PESA Express prompt may ask for.
    #[must_use]
    pub const fn with_stk(mut self, amounts: RangeInclusive<Shillings>) -> Self {
        self.stk = (*amounts.start(), *amounts.end());
        self
    }

    /// Sets what one payout to a customer may have.
    #[must_use]
    pub const fn with_b2c(mut self, amounts: RangeInclusive<Shillings>) -> Self {
        self.b2c = (*amounts.start(), *amounts.end());
        self
    }

    pub(crate) fn check_stk(&self, amount: Shillings) -> Result<(), Invalid> {
        check_within(amount, self.stk(), "M-PESA Express payment", "with_stk")
    }

    pub(crate) fn check_b2c(&self, amount: Shillings) -> Result<(), Invalid> {
        check_within(amount, self.b2c(), "payout", "with_b2c")
    }
}

fn check_within(
    amount: Shillings,
    allowed: RangeInclusive<Shillings>,
    what: &str,
    setter: &str,
) -> Result<(), Invalid> {
    if allowed.contains(&amount) {
        return Ok(());
    }
    let (least, most) = allowed.into_inner();
    Err(Invalid::new(
        WHAT,
        format!(
            "{amount} shillings are outside the limits of one {what}, {least} to {most}; \
             limits are data: set yours with `Limits::{setter}`"
        ),
    ))
}

impl Default for Limits {
    /// M-PESA Express from 1, payouts from 10, both up to the 250 000 shillings that the regulator allows since 2023.
    fn default() -> Self {
        const MOST: Shillings = Shillings::constant(250_000);
        Self { stk: (Shillings::constant(1), MOST), b2c: (Shillings::constant(10), MOST) }
    }
}

/// Splits a plain decimal at its point; the second part is empty if there is none.
fn split(text: &str) -> Result<(&str, &str), String> {
    if let Some(c) = text.chars().find(|c| !c.is_ascii_digit() && *c != '.') {
        return Err(format!("{} cannot be part of it; write digits only, such as 1234 or 1234.00", name_of(c)));
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if text.is_empty() {
        Err("it is empty; write digits such as 1234".to_owned())
    } else if whole.is_empty() || fraction.is_empty() {
        Err("digits have to stand on both sides of the point".to_owned())
    } else if fraction.contains('.') {
        Err("it has more than one point; write digits only, such as 1234 or 1234.00".to_owned())
    } else {
        Ok((whole, fraction))
    }
}

fn is_zeros(digits: &str) -> bool {
    digits.bytes().all(|digit| digit == b'0')
}

fn too_large() -> Invalid {
    Invalid::new(WHAT, "it is too large: 64 bits of cents cannot hold it")
}

/// Cents of one or two digits: one digit is tens, as in `0.5`.
fn total(sign: i64, whole: &str, cents: &str) -> Option<i64> {
    let unit = if cents.len() == 1 { 10 } else { 1 };
    let shillings = whole.parse::<i64>().ok()?.checked_mul(100)?;
    let cents = cents.parse::<i64>().ok()?.checked_mul(unit)?;
    shillings.checked_mul(sign)?.checked_add(cents.checked_mul(sign)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shillings(text: &str) -> Result<u32, String> {
        text.parse::<Shillings>().map(Shillings::get).map_err(|error| error.to_string())
    }

    fn cents(text: &str) -> Result<i64, String> {
        text.parse::<Kes>().map(Kes::cents).map_err(|error| error.to_string())
    }

    #[test]
    fn shillings_are_whole_and_at_least_one() {
        for (text, expected) in
            [("1", 1), ("500", 500), ("5000.00", 5_000), ("5000.0", 5_000), ("70.000", 70), ("4294967295", u32::MAX)]
        {
            assert_eq!(shillings(text).unwrap(), expected, "{text}");
        }
        assert_eq!(Shillings::new(250_000).unwrap().get(), 250_000);
        assert_eq!(
            Shillings::new(0).unwrap_err().to_string(),
            "invalid amount: it is 0, and the least that can be asked for or paid is 1 shilling"
        );
    }

    #[test]
    fn a_refusal_says_what_is_wrong() {
        for (text, expected) in [
            ("", "invalid amount \"\": it is empty; write digits such as 1234"),
            ("12.50", "invalid amount \"12.50\": it has cents, and only whole shillings can be asked for or paid"),
            ("0.00", "invalid amount \"0.00\": it is 0, and the least that can be asked for or paid is 1 shilling"),
            ("4294967296", "invalid amount \"4294****96\": it is more than 4294967295 shillings"),
            ("1,500", "invalid amount \"1,500\": ',' cannot be part of it; write digits only, such as 1234 or 1234.00"),
            ("-5", "invalid amount \"-5\": '-' cannot be part of it; write digits only, such as 1234 or 1234.00"),
            ("1e3", "invalid amount \"1e3\": 'e' cannot be part of it; write digits only, such as 1234 or 1234.00"),
            (".5", "invalid amount \".5\": digits have to stand on both sides of the point"),
            (
                "1.500.00",
                "invalid amount \"1.500.00\": it has more than one point; write digits only, such as 1234 or 1234.00",
            ),
        ] {
            assert_eq!(shillings(text).unwrap_err(), expected);
        }
        for text in ["5.", ".", "..", " 5", "5 ", "+5", "5_000", "KES 5", "٥", "0x5", "inf", "NaN"] {
            assert!(shillings(text).is_err() && cents(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shillings_in_json_are_an_integer_out_and_anything_whole_in() {
        for json in ["5000", "5000.0", "5000.00", "5e3", "\"5000\"", "\"5000.00\""] {
            let amount: Shillings = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&amount).unwrap(), "5000", "{json}");
        }
        for json in ["0", "-1", "0.0", "-5.0", "12.5", "4294967296", "1e300", "\"1,000\"", "null", "true"] {
            assert!(serde_json::from_str::<Shillings>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn reported_amounts_are_exact_to_the_cent() {
        for (text, expected) in [
            ("190.00", 19_000),
            ("190", 19_000),
            ("-1540.0", -154_000),
            ("-1980.00", -198_000),
            ("1234.5", 123_450),
            ("0.05", 5),
            ("-0.50", -50),
            ("-0", 0),
            ("1.0500", 105),
            ("-92233720368547758.08", i64::MIN),
        ] {
            assert_eq!(cents(text).unwrap(), expected, "{text}");
        }
        assert_eq!(
            cents("1.005").unwrap_err(),
            "invalid amount \"1.005\": it has parts of a cent, and nothing is rounded"
        );
        for text in [".5", "--1", "-", "-.5", "92233720368547758.08", "1e3", "99999999999999999999"] {
            assert!(cents(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reported_amounts_are_shown_with_two_decimals() {
        for (cents, expected) in [(123_450, "1234.50"), (-198_000, "-1980.00"), (-5, "-0.05"), (0, "0.00")] {
            assert_eq!(Kes::from_cents(cents).to_string(), expected);
            assert_eq!(format!("{:?}", Kes::from_cents(cents)), format!("Kes({expected})"));
        }
    }

    #[test]
    fn reported_amounts_in_json_are_a_string_out_and_string_or_number_in() {
        for (json, expected) in [
            ("1", "\"1.00\""),
            ("1.0", "\"1.00\""),
            ("190.1", "\"190.10\""),
            ("-1540.0", "\"-1540.00\""),
            ("-3", "\"-3.00\""),
            ("\"190.00\"", "\"190.00\""),
            ("0.29", "\"0.29\""),
            ("9999999999999.99", "\"9999999999999.99\""),
            ("92233720368547758", "\"92233720368547758.00\""),
        ] {
            let amount: Kes = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&amount).unwrap(), expected, "{json}");
        }
        for json in ["1.005", "10000000000000.0", "-1e13", "92233720368547759", "18446744073709551615", "null", "\"\""]
        {
            assert!(serde_json::from_str::<Kes>(json).is_err(), "{json}");
        }
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.1 + 0.2, 1e-3] {
            assert!(Kes::from_float(number).is_err() && Shillings::from_float(number).is_err(), "{number}");
        }
    }

    #[test]
    fn only_whole_positive_amounts_become_shillings() {
        assert_eq!(Shillings::try_from(Kes::from_cents(50_000)).unwrap().get(), 500);
        for cents in [0, 1, -50_000, 50_001, 429_496_729_600] {
            assert!(Shillings::try_from(Kes::from_cents(cents)).is_err(), "{cents}");
        }
        assert_eq!(Kes::from(Shillings::new(u32::MAX).unwrap()).cents(), 429_496_729_500);
    }

    #[test]
    fn sums_never_wrap() {
        let (most, one) = (Kes::from_cents(i64::MAX), Kes::from_cents(1));
        assert_eq!(most.checked_add(one), None);
        assert_eq!(Kes::from_cents(i64::MIN).checked_sub(one), None);
        assert_eq!(one.checked_sub(most), Some(Kes::from_cents(-i64::MAX + 1)));
    }

    #[test]
    fn the_limits_are_those_of_2023_unless_set() {
        let amount = |shillings| Shillings::new(shillings).unwrap();
        let limits = Limits::default();
        assert_eq!(limits.stk(), amount(1)..=amount(250_000));
        assert_eq!(limits.b2c(), amount(10)..=amount(250_000));
        assert_eq!(limits.check_stk(amount(250_000)), Ok(()));
        let own = limits.with_stk(amount(5)..=amount(70_000)).with_b2c(amount(50)..=amount(60));
        assert_eq!((own.stk(), own.b2c()), (amount(5)..=amount(70_000), amount(50)..=amount(60)));
        assert!(own.check_stk(amount(4)).is_err() && own.check_stk(amount(5)).is_ok());
        assert!(own.check_b2c(amount(49)).is_err() && own.check_b2c(amount(50)).is_ok());
        assert_eq!(
            limits.check_b2c(amount(9)).unwrap_err().to_string(),
            "invalid amount: 9 shillings are outside the limits of one payout, 10 to 250000; \
             limits are data: set yours with `Limits::with_b2c`"
        );
        assert_eq!(
            own.check_stk(amount(70_001)).unwrap_err().to_string(),
            "invalid amount: 70001 shillings are outside the limits of one M-PESA Express payment, 5 to 70000; \
             limits are data: set yours with `Limits::with_stk`"
        );
    }

    proptest! {
        #[test]
        fn showing_and_parsing_again_changes_nothing(shillings in 1_u32.., cents in any::<i64>()) {
            let (asked, reported) = (Shillings::new(shillings).unwrap(), Kes::from_cents(cents));
            prop_assert_eq!(asked.to_string().parse::<Shillings>().unwrap(), asked);
            prop_assert_eq!(Shillings::try_from(Kes::from(asked)).unwrap(), asked);
            prop_assert_eq!(reported.to_string().parse::<Kes>().unwrap(), reported);
            let json = serde_json::to_string(&reported).unwrap();
            prop_assert_eq!(serde_json::from_str::<Kes>(&json).unwrap(), reported);
        }

        #[test]
        fn a_json_number_is_exact_to_the_cent(cents in -999_999_999_999_999..=999_999_999_999_999_i64) {
            let json = Kes::from_cents(cents).to_string();
            prop_assert_eq!(serde_json::from_str::<Kes>(&json).unwrap().cents(), cents);
        }

        #[test]
        fn no_text_and_no_number_panics(text in any::<String>(), plain in "-?[0-9.]{0,24}", number in any::<f64>()) {
            let _ = (text.parse::<Shillings>(), text.parse::<Kes>(), plain.parse::<Shillings>(), plain.parse::<Kes>());
            let _ = (Shillings::from_float(number), Kes::from_float(number));
        }
    }
}
