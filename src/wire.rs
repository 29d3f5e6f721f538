//! Tolerant readers for what Daraja writes differently from day to day. Tolerant in what is read, never in what is concluded.

use std::{borrow::Cow, fmt, mem, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor, value::F64Deserializer},
};
use serde_json::value::RawValue;

use crate::Kes;

mod any;
mod digest;
mod inbound;

pub(crate) use any::{read_any, read_number_or_text};
pub(crate) use digest::digest;
pub(crate) use inbound::{Fields, MAX_BYTES, Next, Once, Quote, Told, expect_json, posted_any, read_posted};

/// A string or a number, whichever came. Anything else is read as nothing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Null,
    Other,
}

impl<'a> Scalar<'a> {
    /// A string as it is, a number as it would be printed.
    pub(crate) fn into_text(self) -> Option<Cow<'a, str>> {
        Some(match self {
            Self::Text(text) => text,
            Self::Unsigned(number) => Cow::Owned(number.to_string()),
            Self::Signed(number) => Cow::Owned(number.to_string()),
            Self::Float(number) => Cow::Owned(format!("{number:?}")),
            Self::Null | Self::Other => return None,
        })
    }

    /// The same, but a whole number is written without its fraction. Not for codes: `0.0` is no success.
    pub(crate) fn into_whole_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Float(number) => Some(Cow::Owned(plain(&format!("{number:?}")).to_owned())),
            other => other.into_text(),
        }
    }

    /// A copy that borrows nothing.
    pub(crate) fn to_owned(&self) -> Scalar<'static> {
        match self {
            Self::Text(text) => Scalar::Text(Cow::Owned(text.to_string())),
            Self::Unsigned(number) => Scalar::Unsigned(*number),
            Self::Signed(number) => Scalar::Signed(*number),
            Self::Float(number) => Scalar::Float(*number),
            Self::Null => Scalar::Null,
            Self::Other => Scalar::Other,
        }
    }

    /// As [`into_whole_text`](Self::into_whole_text), and it stays as it is.
    pub(crate) fn to_whole_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            other => other.clone().into_whole_text(),
        }
    }

    /// A value that is written as a whole number or as a string. Programs that pass a message on can write a whole number
    /// with a fraction of zero.
    pub(crate) fn read<T: FromStr, E>(&self, from_number: impl Fn(u64) -> Result<T, E>) -> Option<T> {
        match self {
            Self::Text(text) => plain(text).parse().ok(),
            Self::Unsigned(number) => from_number(*number).ok(),
            Self::Float(number) => from_number(plain(&format!("{number:.1}")).parse().ok()?).ok(),
            _ => None,
        }
    }

    pub(crate) fn to_kes(&self) -> Option<Kes> {
        match self {
            Self::Text(text) => text.trim().parse().ok(),
            Self::Unsigned(number) => i64::try_from(*number).ok()?.checked_mul(100).map(Kes::from_cents),
            Self::Signed(number) => number.checked_mul(100).map(Kes::from_cents),
            Self::Float(number) => Kes::deserialize(F64Deserializer::<de::value::Error>::new(*number)).ok(),
            Self::Null | Self::Other => None,
        }
    }
}

/// The digits of a whole number that is written with a fraction of zero, such as `1032.0`.
pub(crate) fn whole(text: &str) -> Option<&str> {
    let (digits, fraction) = text.split_once('.')?;
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_zero = !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0');
    (is_whole && is_zero).then_some(digits)
}

/// A text without white space around it, and without a fraction of zero.
pub(crate) fn plain(text: &str) -> &str {
    let text = text.trim();
    whole(text).unwrap_or(text)
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_any(deserializer, ScalarVisitor)
    }
}

/// A scalar as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Option<Cow<'a, str>>);

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl<'a, T: Into<Cow<'a, str>>> From<T> for Text<'a> {
    fn from(text: T) -> Self {
        Self(Some(text.into()))
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Scalar::deserialize(deserializer).map(|scalar| Self(scalar.into_text()))
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Unsigned(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Signed(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Float(number))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other)
    }

    fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Scalar<'de>, A::Error> {
        skip_rest_of_list(seq).map(|()| Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Scalar<'de>, A::Error> {
        skip_rest_of_object(map).map(|()| Scalar::Other)
    }
}

fn skip_rest_of_list<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<(), A::Error> {
    while seq.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

fn skip_rest_of_object<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

/// What every answer may hold beside its own fields: the ways in which Daraja and its gateway refuse.
#[derive(Debug, Default)]
pub(crate) struct Head<'a> {
    pub(crate) error_code: Option<Cow<'a, str>>,
    pub(crate) request_id: Option<Cow<'a, str>>,
    pub(crate) response_code: Option<Cow<'a, str>>,
    /// The code of an API that has neither of the two, outside a header.
    own_code: Option<Cow<'a, str>>,
    error_message: Option<Cow<'a, str>>,
    description: Option<Cow<'a, str>>,
    /// Some proxies name the status here, and say what is wrong elsewhere.
    error: Option<Cow<'a, str>>,
    /// Not read unless it is asked for, and never as a tree: that can take a hundred times its text.
    fault: Option<&'a RawValue>,
    /// Where some APIs have their code and words.
    header: Option<&'a RawValue>,
}

impl<'a> Head<'a> {
    /// Reads the first JSON document of a text. A second one behind it is let pass for a fault only: a gateway has been
    /// seen to print its fault twice.
    pub(crate) fn parse(text: &'a str) -> Result<Self, MalformedJson<serde_json::Error>> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let head = Self::deserialize(&mut deserializer).map_err(MalformedJson)?;
        match deserializer.end() {
            Err(error) if head.fault.is_none() => Err(MalformedJson(error)),
            _ => Ok(head),
        }
    }

    /// The refusal's words, wherever they stand.
    pub(crate) fn message(&self) -> Cow<'_, str> {
        let words = self.error_message.as_deref().or(self.description.as_deref());
        let in_header = || self.in_header(&["responseMessage", "responseDescription", "message"]);
        let words = words.map(Cow::Borrowed).or_else(in_header);
        words.or_else(|| self.error.as_deref().map(Cow::Borrowed)).unwrap_or_default()
    }

    /// The code of an API that has neither `errorCode` nor `ResponseCode`.
    pub(crate) fn own_code(&self) -> Option<Cow<'_, str>> {
        let code = self.own_code.as_deref().map(Cow::Borrowed);
        code.or_else(|| self.in_header(&["responseCode", "status"])).filter(|code| !code.trim().is_empty())
    }

    fn in_header(&self, names: &[&str]) -> Option<Cow<'_, str>> {
        let header = self.header?;
        names.iter().find_map(|name| serde_json::from_str::<Text<'_>>(member(header, &[name])?.get()).ok()?.0)
    }

    /// Code and words of a gateway's fault, in its REST or its SOAP shape.
    pub(crate) fn fault(&self) -> Option<(Option<Cow<'_, str>>, Cow<'_, str>)> {
        let fault = self.fault?;
        let fault = member(fault, &["Body", "Fault"]).unwrap_or(fault);
        let text = |names: &[&str]| serde_json::from_str(member(fault, names)?.get()).ok();
        let code = text(&["detail", "errorcode"])
            .or_else(|| text(&["detail", "source", "errorcode"]))
            .or_else(|| text(&["faultcode"]));
        Some((code, text(&["faultstring"]).unwrap_or_default()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Head<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HeadVisitor)
    }
}

struct HeadVisitor;

impl<'de> Visitor<'de> for HeadVisitor {
    type Value = Head<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head<'de>, A::Error> {
        let mut head = Head::default();
        let mut is_first = true;
        while let Some(Key(key)) = map.next_key()? {
            if mem::take(&mut is_first) && any::is_number(&key) {
                return any::next_number(self, &mut map);
            }
            let field = match &*key {
                "errorCode" => &mut head.error_code,
                "errorMessage" => &mut head.error_message,
                "requestId" | "requestID" => &mut head.request_id,
                "ResponseCode" => &mut head.response_code,
                "error" => &mut head.error,
                "ResponseDescription"
                | "message"
                | "responseMessage"
                | "ResponseMessage"
                | "responseDesc"
                | "responseDescription"
                | "Response Description"
                | "resmsg" => &mut head.description,
                "responseCode" | "rescode" | "ResponseStatus" | "Response Status" | "code" => &mut head.own_code,
                "header" | "ResponseHeader" => {
                    head.header = map.next_value::<Option<&RawValue>>()?.or(head.header);
                    continue;
                }
                "fault" | "Envelope" => {
                    head.fault = map.next_value::<Option<&RawValue>>()?.or(head.fault);
                    continue;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let Text(text) = map.next_value()?;
            *field = field.take().or(text);
        }
        head.error_code = head.error_code.filter(|code| !code.trim().is_empty());
        Ok(head)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Head<'de>, A::Error> {
        skip_rest_of_list(seq).map(|()| Head::default())
    }
}

/// What stands in a value under these names, one inside the other, if all but the last are objects.
fn member<'a>(value: &'a RawValue, names: &[&str]) -> Option<&'a RawValue> {
    names.iter().try_fold(value, |value, name| {
        serde_json::Deserializer::from_str(value.get()).deserialize_map(Member(name)).ok()?
    })
}

/// The last value of this name in an object.
struct Member<'n>(&'n str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(Key(key)) = map.next_key()? {
            if key == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// An object's key, borrowed unless it is escaped.
pub(crate) struct Key<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(ScalarVisitor)? {
            Scalar::Text(key) => Ok(Self(key)),
            _ => Err(de::Error::custom("a key is expected")),
        }
    }
}

/// Says what is wrong with a JSON text without quoting it: serde's own words can hold the values.
#[derive(Debug)]
pub(crate) struct MalformedJson<E>(pub(crate) E);

impl<E: std::borrow::Borrow<serde_json::Error>> fmt::Display for MalformedJson<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use serde_json::error::Category;
        let error: &serde_json::Error = self.0.borrow();
        match error.classify() {
            Category::Eof if error.column() == 0 => f.write_str("is empty"),
            Category::Eof => f.write_str("is JSON that is cut short"),
            Category::Syntax | Category::Io => {
                write!(f, "is not JSON (line {}, column {})", error.line(), error.column())
            }
            Category::Data => write!(f, "is not of the expected shape (column {})", error.column()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head<'_> {
        Head::parse(text).unwrap()
    }

    #[test]
    fn an_error_code_is_found_whatever_its_type() {
        assert_eq!(head(r#"{"errorCode":"400.002.02"}"#).error_code.as_deref(), Some("400.002.02"));
        assert_eq!(head(r#"{"errorCode":404}"#).error_code.as_deref(), Some("404"));
        for none in [r#"{"errorCode":null}"#, r#"{"errorCode":""}"#, r#"{"errorCode":{"a":[1]}}"#, "{}", "[1,2]"] {
            assert_eq!(head(none).error_code, None, "{none}");
        }
    }

    #[test]
    fn words_and_request_id_are_found_wherever_they_stand() {
        for text in [
            r#"{"errorMessage":"no"}"#,
            r#"{"ResponseDescription":"no"}"#,
            r#"{"error":"no"}"#,
            r#"{"message":"no"}"#,
            r#"{"ResponseDescription":"odd","errorMessage":"no"}"#,
        ] {
            assert_eq!(head(text).message(), "no", "{text}");
        }
        for text in [r#"{"requestId":"1-2"}"#, r#"{"requestID":"1-2"}"#] {
            assert_eq!(head(text).request_id.as_deref(), Some("1-2"), "{text}");
        }
    }

    #[test]
    fn the_first_of_two_equal_keys_counts() {
        assert_eq!(head(r#"{"errorCode":"a","errorCode":"b"}"#).error_code.as_deref(), Some("a"));
    }

    #[test]
    fn faults_of_both_gateways_are_found() {
        let rest = r#"{"fault":{"faultstring":"Spike arrest","detail":{"errorcode":"policies.ratelimit.SpikeArrestViolation"}}}"#;
        let fault = |text: &str| {
            let head = head(text);
            let (code, words) = head.fault()?;
            Some((code.map(Cow::into_owned), words.into_owned()))
        };
        let found = |code: &str, words: &str| Some((Some(code.to_owned()), words.to_owned()));
        assert_eq!(fault(rest), found("policies.ratelimit.SpikeArrestViolation", "Spike arrest"));
        let soap = r#"{"Envelope":{"Body":{"Fault":{"faultcode":"soap:Server","faultstring":"failed","detail":{"source":{"errorcode":"steps.X"}}}}}}"#;
        assert_eq!(fault(soap), found("steps.X", "failed"));
        assert_eq!(fault(&format!("{soap}\n{soap}")), found("steps.X", "failed"));
        let nothing = Some((None, String::new()));
        for odd in [r#""odd""#, "[1]", "7", "{}", r#"{"detail":"odd"}"#, r#"{"detail":{"errorcode":7}}"#] {
            assert_eq!(fault(&format!(r#"{{"fault":{odd}}}"#)), nothing, "{odd}");
        }
        assert_eq!(fault(r#"{"fault":null}"#), None);
        let by_code = r#"{"fault":{"faultcode":"soap:Server","detail":["odd"],"faultstring":"failed"}}"#;
        assert_eq!(fault(by_code), found("soap:Server", "failed"));
    }

    #[test]
    fn what_is_not_one_json_document_is_named() {
        let problem = |text| Head::parse(text).unwrap_err().to_string();
        assert_eq!(problem(""), "is empty");
        assert_eq!(problem("{\"ResponseCode\":\"0\""), "is JSON that is cut short");
        assert_eq!(problem("<html>"), "is not JSON (line 1, column 1)");
        assert_eq!(problem("{} {}"), "is not JSON (line 1, column 4)");
        assert_eq!(problem("{\n\"a\": 'b'}"), "is not JSON (line 2, column 6)");
        assert_eq!(problem("true"), "is not of the expected shape (column 4)");
    }
}
