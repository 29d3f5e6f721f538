//! What callbacks and results share: one document, named values in lists, and values that decide something.

use std::{borrow::Cow, fmt};

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Key, MalformedJson, Scalar, read_any};
use crate::{ReceiptNumber, error::DecodeError};

/// The largest body that is read, in bytes. Real ones have about 600 to 1 500.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// Whether an error may quote what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quote {
    /// A short piece, its numbers masked.
    Redacted,
    /// Nothing: it holds what no rule can mask, such as names.
    Nothing,
}

/// Reads the one JSON document of a body that Daraja posted, an object, and then what it comes to.
pub(crate) fn read_posted<'a, R: Fields<'a> + Default, T>(
    body: &'a [u8],
    quote: Quote,
    conclude: impl FnOnce(R) -> Result<T, &'static str>,
) -> Result<T, DecodeError> {
    let problem = |problem: String, text: &str| DecodeError::new(None, problem, text);
    let text = posted_text(body)?;
    let quoted = if quote == Quote::Redacted { text } else { "" };
    let mut read = R::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Object(&mut read)
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(|error| problem(MalformedJson(error).to_string(), quoted))?;
    conclude(read).map_err(|what| problem(what.to_owned(), quoted))
}

/// The text of a body, if it is one and not too large.
fn posted_text(body: &[u8]) -> Result<&str, DecodeError> {
    let problem = |problem: String| DecodeError::new(None, problem, "");
    if body.len() > MAX_BYTES {
        return Err(problem(format!("has {} bytes, more than the {MAX_BYTES} that are read", body.len())));
    }
    let text = std::str::from_utf8(body).map_err(|error| problem(format!("is not UTF-8: {error}")))?;
    Ok(text.trim_start_matches('\u{feff}'))
}

/// The text of a body that may be of any kind, if it is not nested deeper than `most` levels. Whether it is JSON is not
/// looked at: see [`expect_json`].
pub(crate) fn posted_any(body: &[u8], most: usize) -> Result<&str, DecodeError> {
    let text = posted_text(body)?.trim();
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth = depth.saturating_add(1),
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > most {
            return Err(DecodeError::new(None, format!("is nested deeper than {most} levels"), ""));
        }
    }
    Ok(text)
}

/// Checks that a text is one JSON document, of any kind.
pub(crate) fn expect_json(text: &str) -> Result<(), DecodeError> {
    let read = serde_json::from_str::<IgnoredAny>(text);
    read.map(drop).map_err(|error| DecodeError::new(None, MalformedJson(error).to_string(), ""))
}

/// What takes an object's values, one by one, by name. An object inside it can be taken by the same: that is how one and
/// the same reader serves a document in its wrapping and without.
pub(crate) trait Fields<'de> {
    /// Takes the value of this key: one value has to be read.
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

/// An object that is read into its [`Fields`].
pub(crate) struct Object<'r, R>(pub(crate) &'r mut R);

impl<'de, R: Fields<'de>> DeserializeSeed<'de> for Object<'_, R> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        read_any(deserializer, self)
    }
}

impl<'de, R: Fields<'de>> Visitor<'de> for Object<'_, R> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            self.0.field(&key, &mut map)?;
        }
        Ok(())
    }
}

/// Lets a value pass.
pub(crate) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

/// Reads a text that stands in an object; an empty one is none.
pub(crate) fn next_text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Cow<'de, str>>, A::Error> {
    let text = next_scalar(map)?.and_then(Scalar::into_text);
    Ok(text.filter(|text| !text.is_empty()))
}

/// Reads one value; `null` is none. A number that is out of range, at which the parser would give up the whole document,
/// is read as [`Scalar::Other`].
pub(crate) fn next_scalar<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Scalar<'de>>, A::Error> {
    let value: &'de RawValue = map.next_value()?;
    Ok(serde_json::from_str(value.get()).unwrap_or(Some(Scalar::Other)))
}

/// A value that decides something: it may be repeated, but not contradicted.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Once<T> {
    #[default]
    Absent,
    Given(T),
    Contradicted,
}

impl<T: PartialEq> Once<T> {
    pub(crate) fn add(&mut self, value: T) {
        *self = match std::mem::take(self) {
            Self::Absent => Self::Given(value),
            Self::Given(first) if first == value => Self::Given(first),
            _ => Self::Contradicted,
        };
    }

    /// What cannot be read contradicts what can.
    pub(crate) fn add_read(&mut self, value: Option<T>) {
        match value {
            Some(value) => self.add(value),
            None => *self = Self::Contradicted,
        }
    }

    pub(crate) fn as_ref(&self) -> Once<&T> {
        match self {
            Self::Absent => Once::Absent,
            Self::Given(value) => Once::Given(value),
            Self::Contradicted => Once::Contradicted,
        }
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Once<U> {
        match self {
            Self::Absent => Once::Absent,
            Self::Given(value) => Once::Given(change(value)),
            Self::Contradicted => Once::Contradicted,
        }
    }

    pub(crate) fn is_contradicted(&self) -> bool {
        matches!(self, Self::Contradicted)
    }

    pub(crate) fn given(self) -> Option<T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Contradicted => None,
        }
    }

    /// The value, or one of two complaints.
    pub(crate) fn required(self, absent: &'static str, contradicted: &'static str) -> Result<T, &'static str> {
        match self {
            Self::Given(value) => Ok(value),
            Self::Absent => Err(absent),
            Self::Contradicted => Err(contradicted),
        }
    }
}

/// What was said of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// No receipt, or the dummy that failed requests carry.
    Nothing,
    Receipt(ReceiptNumber),
    /// Something that is no receipt, such as `0` or `null`.
    Unreadable,
    /// Two different ones.
    Contradicted,
}

impl Told {
    pub(crate) fn of(receipt: Once<impl AsRef<str>>) -> Self {
        match receipt {
            Once::Absent => Self::Nothing,
            Once::Given(text) => Self::read(text.as_ref().trim()),
            Once::Contradicted => Self::Contradicted,
        }
    }

    pub(crate) fn receipt(self) -> Option<ReceiptNumber> {
        match self {
            Self::Receipt(receipt) => Some(receipt),
            Self::Nothing | Self::Unreadable | Self::Contradicted => None,
        }
    }

    fn read(text: &str) -> Self {
        match text.parse::<ReceiptNumber>() {
            Ok(receipt) if receipt.is_placeholder() => Self::Nothing,
            Ok(receipt) if receipt.is_plausible() => Self::Receipt(receipt),
            _ => Self::Unreadable,
        }
    }
}

/// A list of named values in any of its shapes: `Item`s with `Name` and `Value`, or `ResultParameter`s with `Key` and
/// `Value`; in a list or alone. Each one that has a value is handed over; anything of another shape holds none.
pub(crate) struct Named<'f, F>(pub(crate) &'f mut F);

impl<'de, F: FnMut(Cow<'de, str>, Scalar<'de>)> DeserializeSeed<'de> for Named<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        read_any(deserializer, self)
    }
}

impl<'de, F: FnMut(Cow<'de, str>, Scalar<'de>)> Visitor<'de> for Named<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("named values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(take) = self;
        let (mut name, mut value) = (None, None);
        while let Some(Key(key)) = map.next_key()? {
            match &*key {
                "Item" | "ResultParameter" => map.next_value_seed(Named(take))?,
                "Name" | "Key" => name = next_scalar(&mut map)?.and_then(Scalar::into_text),
                "Value" => value = next_scalar(&mut map)?,
                _ => skip(&mut map)?,
            }
        }
        if let (Some(name), Some(value)) = (name, value) {
            take(name, value);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Named(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
}
