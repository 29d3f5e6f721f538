//! Values of any kind, read alike whatever features of `serde_json` the program's other dependencies enable.

use std::{borrow::Cow, fmt};

use serde::{
    Deserializer,
    de::{
        self, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::{BorrowedStrDeserializer, StringDeserializer},
    },
};

use super::Key;

/// With the feature `arbitrary_precision`, which is enabled for a whole program at once, `serde_json` hands over a number
/// that has a point, an exponent or too many digits as an object of this one key. So does whatever buffers a value of it.
const NUMBER: &str = "$serde_json::private::Number";

/// Deserializes a value of any kind, numbers always as numbers.
pub(crate) fn read_any<'de, D: Deserializer<'de>, V: Visitor<'de>>(
    deserializer: D,
    visitor: V,
) -> Result<V::Value, D::Error> {
    deserializer.deserialize_any(Any(visitor))
}

/// Deserializes a value that is written as a number or as a text. A format that is not for people may not say which: there
/// such a value is a text.
pub(crate) fn read_number_or_text<'de, D: Deserializer<'de>, V: Visitor<'de>>(
    deserializer: D,
    visitor: V,
) -> Result<V::Value, D::Error> {
    if deserializer.is_human_readable() {
        read_any(deserializer, visitor)
    } else {
        deserializer.deserialize_str(visitor)
    }
}

/// Whether what is to be an object is a number: its first key says so. A visitor that asks this itself costs less than
/// [`read_any`].
pub(super) fn is_number(first_key: &str) -> bool {
    first_key == NUMBER
}

/// The number whose key was read.
#[cold]
pub(super) fn next_number<'de, V: Visitor<'de>, A: MapAccess<'de>>(
    visitor: V,
    map: &mut A,
) -> Result<V::Value, A::Error> {
    visit_number(visitor, &map.next_value::<String>()?)
}

struct Any<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Any<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<V::Value, E> {
        self.0.visit_bool(value)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<V::Value, E> {
        self.0.visit_i64(number)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<V::Value, E> {
        self.0.visit_u64(number)
    }

    /// Without that feature, an integer that 64 bits cannot hold comes as a float.
    #[expect(clippy::cast_precision_loss, reason = "the nearest float is what comes without the feature")]
    fn visit_i128<E: de::Error>(self, number: i128) -> Result<V::Value, E> {
        self.0.visit_f64(number as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "the nearest float is what comes without the feature")]
    fn visit_u128<E: de::Error>(self, number: u128) -> Result<V::Value, E> {
        self.0.visit_f64(number as f64)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<V::Value, E> {
        self.0.visit_f64(number)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<V::Value, E> {
        self.0.visit_str(text)
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<V::Value, E> {
        self.0.visit_borrowed_str(text)
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<V::Value, A::Error> {
        let first = map.next_key::<Key<'de>>()?;
        if first.as_ref().is_some_and(|Key(key)| is_number(key)) {
            return next_number(self.0, &mut map);
        }
        self.0.visit_map(Rest { first, map })
    }
}

/// As `serde_json` visits a number without that feature: what is no integer of 64 bits is the nearest float.
fn visit_number<'de, V: Visitor<'de>, E: de::Error>(visitor: V, number: &str) -> Result<V::Value, E> {
    if let Ok(number) = number.parse() {
        return visitor.visit_u64(number);
    }
    match (number.parse(), number.parse::<f64>()) {
        // The zero that has a sign is a float.
        (Ok(number), _) if number != 0 => visitor.visit_i64(number),
        (_, Ok(number)) if number.is_finite() => visitor.visit_f64(number),
        _ => Err(E::custom("number out of range")),
    }
}

/// An object whose first key was looked at.
struct Rest<'de, A> {
    first: Option<Key<'de>>,
    map: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Rest<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let key: Result<_, A::Error> = match self.first.take() {
            None => return self.map.next_key_seed(seed),
            Some(Key(Cow::Borrowed(key))) => seed.deserialize(BorrowedStrDeserializer::new(key)),
            Some(Key(Cow::Owned(key))) => {
                let key: StringDeserializer<A::Error> = key.into_deserializer();
                seed.deserialize(key)
            }
        };
        key.map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Map, Value};

    use super::NUMBER;
    use crate::{Kes, Msisdn, ResultCode, Shillings, ShortCode, Timestamp, wire::Scalar};

    /// A number as it comes where somebody else enables `arbitrary_precision`.
    fn wrapped(number: &str) -> Value {
        Value::Object(Map::from_iter([(NUMBER.to_owned(), Value::from(number))]))
    }

    /// The same number as plain JSON, as it comes with that feature, from a text and from a value, and buffered.
    fn all<T: serde::de::DeserializeOwned + std::fmt::Debug + PartialEq>(number: &str) -> Option<T> {
        #[derive(Deserialize)]
        struct Inner<T> {
            value: T,
        }
        #[derive(Deserialize)]
        struct Outer<T> {
            #[serde(flatten)]
            inner: Inner<T>,
        }
        let plain = serde_json::from_str::<T>(number).ok();
        let wrapped = wrapped(number);
        assert_eq!(serde_json::from_str::<T>(&wrapped.to_string()).ok(), plain, "{number}");
        assert_eq!(serde_json::from_slice::<T>(number.as_bytes()).ok(), plain, "{number}");
        for value in [wrapped.to_string(), number.to_owned()] {
            let flat = serde_json::from_str::<Outer<T>>(&format!(r#"{{"value":{value}}}"#));
            assert_eq!(flat.ok().map(|outer| outer.inner.value), plain, "{number}");
        }
        assert_eq!(serde_json::from_value::<T>(wrapped).ok(), plain, "{number}");
        if let Ok(value) = serde_json::from_str::<Value>(number) {
            assert_eq!(serde_json::from_value::<T>(value).ok(), plain, "{number}");
        }
        plain
    }

    #[test]
    fn a_number_is_read_alike_whatever_others_enable() {
        let kes = |number| all::<Kes>(number).map(Kes::cents);
        for (number, cents) in [
            ("500", Some(50_000)),
            ("500.00", Some(50_000)),
            ("5e2", Some(50_000)),
            ("5E+2", Some(50_000)),
            ("-22.40", Some(-2_240)),
            ("0.29", Some(29)),
            ("8959269.60", Some(895_926_960)),
            ("9999999999999.99", Some(999_999_999_999_999)),
            ("1.005", None),
            ("10000000000000.0", None),
            ("18446744073709551616", None),
            ("-9223372036854775809", None),
            ("1e400", None),
        ] {
            assert_eq!(kes(number), cents, "{number}");
        }
        assert_eq!(all::<Shillings>("500.00"), Shillings::new(500).ok());
        assert_eq!(all::<Shillings>("500.5"), None);
        assert_eq!(all::<Msisdn>("254708374149.0").unwrap().to_string(), "254708374149");
        assert_eq!(all::<Timestamp>("2.0261006224852E13").unwrap().to_string(), "20261006224852");
        assert_eq!(all::<ShortCode>("600310.0").unwrap().to_string(), "600310");
        for (number, code) in
            [("1032", "1032"), ("1032.0", "1032"), ("-1", "-1"), ("1e5", "100000"), ("1032.5", "1032.5")]
        {
            assert_eq!(all::<ResultCode>(number).unwrap().to_string(), code);
        }
        for code in ["0.0", "0e0", "0.001", "1e400"] {
            assert!(!all::<ResultCode>(code).is_some_and(|code| code.is_success()), "{code}");
        }
        let zero: ResultCode = serde_json::from_value(wrapped("-0")).unwrap();
        assert!(!zero.is_success());
    }

    #[test]
    fn an_untyped_number_is_a_number_and_an_object_stays_one() {
        let text = |json: &str| serde_json::from_str::<Scalar<'_>>(json).unwrap().into_text().map(String::from);
        for (number, expected) in
            [("500.00", "500.0"), ("5e2", "500.0"), ("-0.5", "-0.5"), ("18446744073709551616", "1.8446744073709552e19")]
        {
            assert_eq!(text(number).as_deref(), Some(expected));
            assert_eq!(text(&wrapped(number).to_string()).as_deref(), Some(expected));
        }
        for other in ["{}", r#"{"a":1,"b":[2.5]}"#, "[1.5]", "null", "true"] {
            assert_eq!(text(other), None, "{other}");
        }
        assert!(serde_json::from_str::<Scalar<'_>>(&wrapped("1e400").to_string()).is_err());
        assert!(serde_json::from_str::<Scalar<'_>>(&wrapped("ten").to_string()).is_err());
    }
}
