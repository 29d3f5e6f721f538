//! The amount of a payout as clients write it: `5000`, `5000.00`, never with cents.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Whole shillings, 1 to 250,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amount(u32);

impl Amount {
    pub(crate) fn shillings(self) -> i64 {
        i64::from(self.0)
    }

    /// `5000`, `5,000` or `5000.00`.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim().replace(',', "");
        let (whole, cents) = text.split_once('.').unwrap_or((&text, ""));
        if !cents.bytes().all(|digit| digit == b'0') {
            return Err("M-PESA pays whole shillings: leave the cents out");
        }
        let plain = !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit());
        match whole.parse() {
            Ok(amount @ 1..=250_000) if plain => Ok(Self(amount)),
            _ => Err("the amount must be 1 to 250000 whole shillings"),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        Self::parse(&number.to_string()).map_err(D::Error::custom)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_shillings_are_taken_however_they_are_written_and_cents_never() {
        let read = |json: &str| serde_json::from_str::<Amount>(json).map(Amount::shillings).ok();
        for json in ["5000", "5000.0", "5000.00", "5e3"] {
            assert_eq!(read(json), Some(5_000), "{json}");
        }
        for json in ["5000.5", "0", "-5", "250001", "1e9", "1e-9", "\"5000\"", "null", "true", "[]"] {
            assert_eq!(read(json), None, "{json}");
        }
        assert_eq!(Amount::parse(" 5,000 ").map(Amount::shillings), Ok(5_000));
        assert!(Amount::parse("5000,50.10").is_err() && Amount::parse("").is_err());
    }
}
