//! What callbacks and results share: one document, named values in lists, and values that decide something.

use std::{borrow::Cow, fmt, mem};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    Key, MalformedJson, Scalar,
    any::{is_number, next_number},
};
use crate::{Kes, ReceiptNumber, ResultCode, error::DecodeError};

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
    let read = |values| {
        let mut read = R::default();
        let mut deserializer = serde_json::Deserializer::from_str(text);
        Object(&mut read, values).deserialize(&mut deserializer)?;
        deserializer.end().map(|()| read)
    };
    let read = read(Values::Direct).or_else(|_| read(Values::Raw));
    let read = read.map_err(|error| problem(MalformedJson(error).to_string(), quoted))?;
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
    /// Takes the value of this key: it has to be read.
    fn field<A: MapAccess<'de>>(&mut self, key: &str, value: Next<'_, A>) -> Result<(), A::Error>;
}

/// How the values of a document are read.
#[derive(Clone, Copy)]
enum Values {
    /// Directly, which costs least. One value that the parser refuses makes it refuse the whole document.
    Direct,
    /// As raw text first, and then each on its own: a number out of range or a broken text is [`Scalar::Other`].
    Raw,
}

/// The value of a key that was read.
pub(crate) struct Next<'m, A> {
    map: &'m mut A,
    values: Values,
}

impl<'de, A: MapAccess<'de>> Next<'_, A> {
    pub(crate) fn read<T: Deserialize<'de>>(self) -> Result<T, A::Error> {
        self.map.next_value()
    }

    /// Reads over it.
    pub(crate) fn skip(self) -> Result<(), A::Error> {
        self.read().map(|IgnoredAny| ())
    }

    /// `null` is none.
    pub(crate) fn scalar(self) -> Result<Option<Scalar<'de>>, A::Error> {
        let value = match self.values {
            Values::Direct => self.read()?,
            Values::Raw => {
                let value: &RawValue = self.read()?;
                serde_json::from_str(value.get()).unwrap_or(Scalar::Other)
            }
        };
        Ok(Some(value).filter(|value| *value != Scalar::Null))
    }

    /// An empty text is none.
    pub(crate) fn text(self) -> Result<Option<Cow<'de, str>>, A::Error> {
        let text = self.scalar()?.and_then(Scalar::into_whole_text);
        Ok(text.filter(|text| !text.is_empty()))
    }

    pub(crate) fn add_text_to(self, once: &mut Once<Cow<'de, str>>) -> Result<(), A::Error> {
        self.text().map(|text| text.into_iter().for_each(|text| once.add(text)))
    }

    /// One that cannot be read is [`ResultCode::none`].
    pub(crate) fn code(self) -> Result<ResultCode, A::Error> {
        Ok(match self.scalar()? {
            Some(Scalar::Unsigned(number)) => ResultCode::new(number),
            code => code.and_then(Scalar::into_text).as_deref().map_or_else(ResultCode::none, Into::into),
        })
    }

    /// An amount that cannot be read is none.
    pub(crate) fn kes(self) -> Result<Option<Kes>, A::Error> {
        self.scalar().map(|amount| amount.and_then(|amount| amount.to_kes()))
    }

    pub(crate) fn object(self, fields: &mut impl Fields<'de>) -> Result<(), A::Error> {
        self.map.next_value_seed(Object(fields, self.values))
    }

    /// A list of named values in any of its shapes: `Item`s with `Name` and `Value`, or `ResultParameter`s with `Key` and
    /// `Value`; in a list or alone. Each one that has a value is handed over; anything of another shape holds none.
    pub(crate) fn named(self, take: &mut impl FnMut(Cow<'de, str>, Scalar<'de>)) -> Result<(), A::Error> {
        self.map.next_value_seed(Named(take, self.values))
    }
}

/// An object that is read into its [`Fields`].
struct Object<'r, R>(&'r mut R, Values);

impl<'de, R: Fields<'de>> DeserializeSeed<'de> for Object<'_, R> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, R: Fields<'de>> Visitor<'de> for Object<'_, R> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut is_first = true;
        while let Some(Key(key)) = map.next_key()? {
            if mem::take(&mut is_first) && is_number(&key) {
                return next_number(self, &mut map);
            }
            self.0.field(&key, Next { map: &mut map, values: self.1 })?;
        }
        Ok(())
    }
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
        *self = match mem::take(self) {
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// No receipt, or the dummy that failed requests carry.
    Nothing,
    Receipt(ReceiptNumber),
    /// This is no receipt, such as `0` or `null`.
    Unreadable(Box<str>),
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

    pub(crate) fn receipt(&self) -> Option<ReceiptNumber> {
        match self {
            Self::Receipt(receipt) => Some(*receipt),
            Self::Nothing | Self::Unreadable(_) | Self::Contradicted => None,
        }
    }

    fn read(text: &str) -> Self {
        match text.parse::<ReceiptNumber>() {
            Ok(receipt) if receipt.is_placeholder() => Self::Nothing,
            Ok(receipt) if receipt.is_plausible() => Self::Receipt(receipt),
            _ => Self::Unreadable(text.into()),
        }
    }
}

/// See [`Next::named`].
struct Named<'f, F>(&'f mut F, Values);

impl<'de, F: FnMut(Cow<'de, str>, Scalar<'de>)> DeserializeSeed<'de> for Named<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Cow<'de, str>, Scalar<'de>)> Visitor<'de> for Named<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("named values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(take, values) = self;
        let (mut name, mut value) = (None, None);
        let mut is_first = true;
        while let Some(Key(key)) = map.next_key()? {
            if mem::take(&mut is_first) && is_number(&key) {
                return next_number(Named(take, values), &mut map);
            }
            let next = Next { map: &mut map, values };
            match &*key {
                "Item" | "ResultParameter" => next.named(take)?,
                "Name" | "Key" => name = next.scalar()?.and_then(Scalar::into_text),
                "Value" => value = next.scalar()?,
                _ => next.skip()?,
            }
        }
        if let (Some(name), Some(value)) = (name, value) {
            take(name, value);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Named(self.0, self.1))?.is_some() {}
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
