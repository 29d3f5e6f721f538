//! Daraja's times: fourteen digits of East Africa Time.

use std::{array, fmt, ops::RangeInclusive, str::FromStr, time::Duration};

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, TimeZone, Timelike, Utc};

use super::{
    name_of,
    wire::{Wire, serde_as_text},
};
use crate::error::Invalid;

const WHAT: &str = "timestamp";
const DIGITS: usize = 14;
const YEARS: RangeInclusive<i32> = 1970..=9999;
const EARLIEST: u64 = 19_700_101_000_000;
const LATEST: u64 = 99_991_231_235_959;
/// East Africa Time, without daylight saving.
const EAT: FixedOffset = FixedOffset::east_opt(3 * 60 * 60).expect("three hours are a valid offset");

/// An instant to the second, shown as Daraja does: `yyyyMMddHHmmss` in East Africa Time (UTC+3), whatever the time zone
/// of the machine.
///
/// The years 1970 to 9999 can be shown. Fractions of a second are dropped.
///
/// ```
/// use daraja::Timestamp;
/// let paid: Timestamp = "20240402170017".parse()?;
/// assert_eq!(paid.to_datetime().to_rfc3339(), "2024-04-02T17:00:17+03:00");
/// assert_eq!(format!("{paid:?}"), "Timestamp(2024-04-02 17:00:17 EAT)");
/// let utc: chrono::DateTime<chrono::Utc> = paid.into();
/// assert_eq!(utc.to_rfc3339(), "2024-04-02T14:00:17+00:00");
/// assert_eq!(Timestamp::try_from(utc)?, paid);
/// # Ok::<(), daraja::error::Invalid>(())
/// ```
///
/// It is read from a JSON string or number and written as a string.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NaiveDateTime);

impl Timestamp {
    /// The fourteen digits `yyyyMMddHHmmss` in ASCII.
    ///
    /// ```
    /// # use daraja::Timestamp;
    /// assert_eq!(&"20240402170017".parse::<Timestamp>()?.digits(), b"20240402170017");
    /// # Ok::<(), daraja::error::Invalid>(())
    /// ```
    #[must_use]
    pub fn digits(self) -> [u8; 14] {
        let (date, time) = (self.0.date(), self.0.time());
        let year = date.year().unsigned_abs();
        let pairs = [year / 100, year % 100, date.month(), date.day(), time.hour(), time.minute(), time.second()];
        let mut digits = [b'0'; DIGITS];
        for (place, pair) in digits.chunks_exact_mut(2).zip(pairs) {
            place.copy_from_slice(&[b'0' | (pair / 10 % 10) as u8, b'0' | (pair % 10) as u8]);
        }
        digits
    }

    /// The instant with its offset, +03:00.
    #[must_use]
    pub fn to_datetime(self) -> DateTime<FixedOffset> {
        DateTime::<Utc>::from(self).with_timezone(&EAT)
    }

    /// Reads a clock. One that is set outside the years that can be shown gives the nearest instant that can.
    pub(crate) fn from_utc(now: DateTime<Utc>) -> Self {
        let nearest = if now.timestamp() < 0 { EARLIEST } else { LATEST };
        Self::try_from(now).unwrap_or_else(|_| Self::from_digits(nearest).expect("a real date and time"))
    }

    /// Reads a B2C result's `06.07.2024 22:48:52`, which is East Africa Time as well, and the usual fourteen digits.
    pub(crate) fn from_dotted(text: &str) -> Option<Self> {
        let text = text.trim();
        let &[d0, d1, b'.', m0, m1, b'.', y0, y1, y2, y3, b' ', ref time @ ..] = text.as_bytes() else {
            return text.parse().ok();
        };
        let &[h0, h1, b':', n0, n1, b':', s0, s1] = time else { return None };
        let digits = [y0, y1, y2, y3, m0, m1, d0, d1, h0, h1, n0, n1, s0, s1];
        std::str::from_utf8(&digits).ok()?.parse().ok()
    }

    /// The instant this much later, as far as the years that can be shown go.
    pub(crate) fn after(self, pause: Duration) -> Self {
        let pause = chrono::TimeDelta::from_std(pause).unwrap_or(chrono::TimeDelta::MAX);
        let later = DateTime::<Utc>::from(self).checked_add_signed(pause).unwrap_or(DateTime::<Utc>::MAX_UTC);
        Self::from_utc(later)
    }

    /// How long after another instant this one is; `None` if it is before it.
    ///
    /// ```
    /// # use daraja::Timestamp;
    /// let (paid, now): (Timestamp, Timestamp) = ("20240402170017".parse()?, "20240402170117".parse()?);
    /// assert_eq!(now.since(paid), Some(std::time::Duration::from_secs(60)));
    /// assert_eq!(paid.since(now), None);
    /// # Ok::<(), daraja::error::Invalid>(())
    /// ```
    #[must_use]
    pub fn since(self, earlier: Self) -> Option<Duration> {
        self.0.signed_duration_since(earlier.0).to_std().ok()
    }

    fn from_digits(number: u64) -> Option<Self> {
        let mut rest = number;
        let [second, minute, hour, day, month] = array::from_fn(|_| {
            let pair = (rest % 100) as u32;
            rest /= 100;
            pair
        });
        let year = i32::try_from(rest).ok().filter(|year| YEARS.contains(year))?;
        NaiveDate::from_ymd_opt(year, month, day)?.and_hms_opt(hour, minute, second).map(Self)
    }
}

impl FromStr for Timestamp {
    type Err = Invalid;

    /// Parses fourteen ASCII digits that are a real date and time.
    ///
    /// # Errors
    ///
    /// [`Invalid`] names a character that is no digit, the count of digits, or the date or time that does not exist.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = |reason: String| Invalid::new(WHAT, reason).with_input(text);
        if let Some(c) = text.chars().find(|c| !c.is_ascii_digit()) {
            return Err(invalid(format!("{} is no digit, and yyyyMMddHHmmss is expected", name_of(c))));
        }
        if text.len() != DIGITS {
            return Err(invalid(format!("14 digits yyyyMMddHHmmss are expected, and it has {}", text.len())));
        }
        let shown = || format!("{} is no date and time between 1970 and 9999", Shown(text));
        text.parse().ok().and_then(Self::from_digits).ok_or_else(|| invalid(shown()))
    }
}

impl TryFrom<u64> for Timestamp {
    type Error = Invalid;

    /// Reads the digits as a number, as callbacks write them.
    fn try_from(number: u64) -> Result<Self, Invalid> {
        // Whatever is no timestamp takes the way of a text, which says what is wrong.
        Self::from_digits(number).map_or_else(|| number.to_string().parse(), Ok)
    }
}

impl TryFrom<DateTime<Utc>> for Timestamp {
    type Error = Invalid;

    /// Drops fractions of a second. Refuses what falls outside the years 1970 to 9999 of East Africa Time.
    fn try_from(instant: DateTime<Utc>) -> Result<Self, Invalid> {
        let local = instant.naive_utc().checked_add_offset(EAT).and_then(|local| local.with_nanosecond(0));
        let shown = local.filter(|local| YEARS.contains(&local.year()));
        shown
            .map(Self)
            .ok_or_else(|| Invalid::new(WHAT, "its year is outside 1970 to 9999, and four digits have to show it"))
    }
}

impl From<Timestamp> for DateTime<Utc> {
    fn from(timestamp: Timestamp) -> Self {
        EAT.from_local_datetime(&timestamp.0).single().expect("a fixed offset has every local time once").to_utc()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.digits()).expect("digits are ASCII"))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({} EAT)", Shown(&self.to_string()))
    }
}

impl Wire for Timestamp {
    const WHAT: &'static str = WHAT;

    fn from_integer(number: i128) -> Result<Self, Invalid> {
        let number = u64::try_from(number).map_err(|_| Invalid::new(WHAT, "it is negative or far too long"))?;
        number.try_into()
    }
}

serde_as_text!(Timestamp);

/// Fourteen digits, written for people.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, digit) in self.0.chars().enumerate() {
            f.write_str(match index {
                4 | 6 => "-",
                8 => " ",
                10 | 12 => ":",
                _ => "",
            })?;
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_digits_are_east_africa_time() {
        for (utc, expected) in [
            ("2024-04-02T14:00:17Z", "20240402170017"),
            ("2024-04-02T14:00:17.999Z", "20240402170017"),
            ("2023-12-31T21:00:00Z", "20240101000000"),
            ("2024-02-29T20:59:59Z", "20240229235959"),
            ("1970-01-01T00:00:00Z", "19700101030000"),
            ("1969-12-31T21:00:00Z", "19700101000000"),
            ("9999-12-31T20:59:59Z", "99991231235959"),
            ("2016-12-31T23:59:60.5Z", "20170101025959"),
        ] {
            let instant: DateTime<Utc> = utc.parse().unwrap();
            assert_eq!(Timestamp::try_from(instant).unwrap().to_string(), expected, "{utc}");
        }
        for utc in ["1969-12-31T20:59:59Z", "9999-12-31T21:00:00Z"] {
            let instant: DateTime<Utc> = utc.parse().unwrap();
            assert_eq!(
                Timestamp::try_from(instant).unwrap_err().to_string(),
                "invalid timestamp: its year is outside 1970 to 9999, and four digits have to show it"
            );
        }
        assert!(Timestamp::try_from(DateTime::<Utc>::MAX_UTC).is_err());
        assert!(Timestamp::try_from(DateTime::<Utc>::MIN_UTC).is_err());
    }

    #[test]
    fn the_dotted_form_of_results_is_read_too() {
        for text in ["06.07.2024 22:48:52", " 06.07.2024 22:48:52 ", "20240706224852"] {
            assert_eq!(Timestamp::from_dotted(text).unwrap().to_string(), "20240706224852", "{text}");
        }
        for text in ["", "6.7.2024 22:48:52", "31.02.2024 22:48:52", "06.07.24 22:48:52.00", "2024.07.06 22:48:52", "."]
        {
            assert_eq!(Timestamp::from_dotted(text), None, "{text}");
        }
    }

    #[test]
    fn pauses_are_added_and_told() {
        let noon: Timestamp = "20240402120000".parse().unwrap();
        let later = noon.after(Duration::from_secs(90));
        assert_eq!(later.to_string(), "20240402120130");
        assert_eq!(later.since(noon), Some(Duration::from_secs(90)));
        assert_eq!(noon.since(later), None);
        assert_eq!(noon.after(Duration::MAX).to_string(), "99991231235959");
    }

    #[test]
    fn a_clock_that_is_far_off_gives_the_nearest_instant() {
        for (now, expected) in [
            ("2024-04-02T14:00:17.5Z", "20240402170017"),
            ("1969-12-31T20:59:59Z", "19700101000000"),
            ("9999-12-31T21:00:00Z", "99991231235959"),
        ] {
            assert_eq!(Timestamp::from_utc(now.parse().unwrap()).to_string(), expected);
        }
    }

    #[test]
    fn a_refusal_says_what_is_wrong() {
        for (text, expected) in [
            ("", "invalid timestamp \"\": 14 digits yyyyMMddHHmmss are expected, and it has 0"),
            (
                "2024040217001",
                "invalid timestamp \"2024*******01\": 14 digits yyyyMMddHHmmss are expected, and it has 13",
            ),
            (
                "202404021700170",
                "invalid timestamp \"2024*********70\": 14 digits yyyyMMddHHmmss are expected, and it has 15",
            ),
            ("2024-04-02 170", "invalid timestamp \"2024-**-** *70\": '-' is no digit, and yyyyMMddHHmmss is expected"),
            (
                "20240230170017",
                "invalid timestamp \"2024********17\": 2024-02-30 17:00:17 is no date and time between 1970 and 9999",
            ),
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn only_a_real_date_and_time_is_taken() {
        for text in ["20240229000000", "20241231235959", "19700101000000", "99991231235959"] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
        for text in [
            "20230229000000",
            "20240002170017",
            "20241302170017",
            "20240400170017",
            "20240431170017",
            "20240402240000",
            "20240402176017",
            "20240402170060",
            "19691231235959",
            "00000000000000",
            "+2024040217001",
            " 2024040217001",
            "2024040217001\n",
            "٢0240402170017",
            "2024040217001٧",
            "020240402170017",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_integer_is_the_same_as_its_digits() {
        let expected: Timestamp = "20240402170017".parse().unwrap();
        assert_eq!(Timestamp::try_from(20_240_402_170_017).unwrap(), expected);
        for number in [0, 2_024_040_217_001, 120_240_402_170_017, 20_240_230_170_017, u64::MAX] {
            assert!(Timestamp::try_from(number).is_err(), "{number}");
        }
    }

    #[test]
    fn the_order_is_that_of_time() {
        let [early, late] = ["20231231235959", "20240101000000"].map(|text| text.parse::<Timestamp>().unwrap());
        assert!(early < late);
    }

    #[test]
    fn json_is_a_string_out_and_string_or_integer_in() {
        let timestamp: Timestamp = serde_json::from_str("20240402170017").unwrap();
        assert_eq!(serde_json::to_string(&timestamp).unwrap(), "\"20240402170017\"");
        assert_eq!(serde_json::from_str::<Timestamp>("\"20240402170017\"").unwrap(), timestamp);
    }

    #[test]
    fn debug_is_for_people() {
        let timestamp: Timestamp = "20240402170017".parse().unwrap();
        assert_eq!(format!("{timestamp:?}"), "Timestamp(2024-04-02 17:00:17 EAT)");
    }

    proptest! {
        #[test]
        fn showing_and_parsing_again_changes_nothing(seconds in -10_800..253_402_289_999_i64) {
            let instant = DateTime::from_timestamp(seconds, 0).unwrap();
            let timestamp = Timestamp::try_from(instant).unwrap();
            let text = timestamp.to_string();
            let local = instant.with_timezone(&FixedOffset::east_opt(10_800).unwrap());
            prop_assert_eq!(&text, &local.format("%Y%m%d%H%M%S").to_string());
            prop_assert_eq!(text.parse::<Timestamp>().unwrap(), timestamp);
            prop_assert_eq!(Timestamp::try_from(text.parse::<u64>().unwrap()).unwrap(), timestamp);
            prop_assert_eq!(DateTime::<Utc>::from(timestamp), instant);
        }

        #[test]
        fn no_text_and_no_number_panics(text in any::<String>(), digits in "[0-9]{14}", number in any::<u64>()) {
            let _ = (text.parse::<Timestamp>(), digits.parse::<Timestamp>(), Timestamp::try_from(number));
        }
    }
}
