//! How values stand in JSON: written in one way, read in every way that Daraja has been seen to write them. In a format that
//! is not for people they are texts.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::{Deserializer, de};

use crate::{error::Invalid, wire::read_number_or_text};

/// A value that comes as a string and perhaps as a number.
pub(super) trait Wire: FromStr<Err = Invalid> {
    /// What the value is called in errors.
    const WHAT: &'static str;

    /// Reads a JSON integer.
    fn from_integer(_number: i128) -> Result<Self, Invalid> {
        Err(Invalid::new(Self::WHAT, "it is a number where a string is expected"))
    }

    /// Reads a JSON number with a point or an exponent.
    fn from_float(number: f64) -> Result<Self, Invalid> {
        // Without a cast: NaN and the infinities have a fraction that is not zero.
        let whole = if number.fract() == 0.0 { format!("{number:.0}").parse().ok() } else { None };
        whole.map_or_else(|| Err(Invalid::new(Self::WHAT, "it is not a whole number")), Self::from_integer)
    }
}

/// Serializes by `Display`, deserializes by [`Wire`].
macro_rules! serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        crate::value::wire::deserialize_text!($type);
    };
}
pub(super) use serde_as_text;

/// Deserializes by [`Wire`].
macro_rules! deserialize_text {
    ($type:ty) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::value::wire::read(deserializer)
            }
        }
    };
}
pub(super) use deserialize_text;

pub(super) fn read<'de, T: Wire, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    read_number_or_text(deserializer, WireVisitor(PhantomData))
}

struct WireVisitor<T>(PhantomData<T>);

impl<T: Wire> de::Visitor<'_> for WireVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WHAT)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        T::from_integer(number.into()).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        T::from_integer(number.into()).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        T::from_float(number).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Kes, MerchantRequestId, Msisdn, ReceiptNumber, Shillings, ShortCode, Timestamp};

    fn read<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_number_is_read_in_every_notation() {
        for json in ["254708374149", "254708374149.0", "2.54708374149E11", "\"254708374149\""] {
            assert_eq!(read::<Msisdn>(json).unwrap().to_string(), "254708374149", "{json}");
        }
        for json in ["20240402170017", "20240402170017.0", "\"20240402170017\""] {
            assert_eq!(read::<Timestamp>(json).unwrap().to_string(), "20240402170017", "{json}");
        }
        for json in ["174379", "174379.0", "\"174379\""] {
            assert_eq!(read::<ShortCode>(json).unwrap().to_string(), "174379", "{json}");
        }
    }

    #[test]
    fn what_is_not_a_whole_positive_number_is_refused() {
        for json in ["25470837414.9", "-254708374149", "-254708374149.0", "1e300", "null", "true", "[]", "{}"] {
            assert!(read::<Msisdn>(json).is_err(), "{json}");
            assert!(read::<Timestamp>(json).is_err(), "{json}");
            assert!(read::<ShortCode>(json).is_err(), "{json}");
            assert!(read::<Shillings>(json).is_err(), "{json}");
        }
        assert!(read::<Msisdn>("254708374149.4").is_err());
        assert!(read::<ShortCode>("174379.4").is_err());
        assert!(read::<Timestamp>("20240402170017.4").is_err());
        assert!(read::<Kes>("1e300").is_err());
    }

    #[test]
    fn an_error_shows_no_full_number() {
        for json in ["25470837414.9", "-254708374149", "2547083741490", "\"254708374149x\"", "\"2547083741490\""] {
            let error = read::<Msisdn>(json).unwrap_err();
            assert!(!error.contains("70837414"), "{error}");
            assert!(error.starts_with("invalid phone number"), "{error}");
        }
    }

    #[test]
    fn a_text_is_not_read_from_a_number() {
        let error = read::<ReceiptNumber>("1234567890").unwrap_err();
        assert!(error.starts_with("invalid receipt number: it is a number where a string is expected"), "{error}");
        assert!(read::<MerchantRequestId>("291150").is_err());
    }
}
