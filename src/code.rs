//! Daraja's codes as open types: any value is legal, the known ones have names. What a code means depends on the API
//! that sent it, so the meanings stand in the API's own module.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::wire::{read_number_or_text, whole};

mod why;

pub use why::{Unproven, Why};

/// The outcome of a payment or request, as callbacks, results and queries report it.
///
/// Daraja writes it as a number (`1032`), as a string (`"1032"`) and as letters (`"SFC_IC0003"`): all are kept. The same
/// code means different things in different APIs: 2001 is a wrong PIN in M-PESA Express and a wrong initiator in B2C.
///
/// ```
/// use daraja::ResultCode;
/// assert_eq!("1032".parse::<ResultCode>()?, ResultCode::CANCELLED);
/// assert_eq!("SFC_IC0003".parse::<ResultCode>()?.as_number(), None);
/// assert!(ResultCode::SUCCESS.is_success() && !ResultCode::CANCELLED.is_success());
/// # Ok::<(), std::convert::Infallible>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ResultCode(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Number(u64),
    /// What is not a plain decimal number. `"00"` and `"0.0"` are text: nothing that only looks like zero is a success.
    /// Any other number with a fraction of zero, such as `1032.0`, is that number.
    Text(Box<str>),
}

impl ResultCode {
    /// Success. For a payment it proves something only together with a receipt or our own id.
    pub const SUCCESS: Self = Self::new(0);
    /// The payer's balance is too low (M-PESA Express), or your utility account's (B2C).
    pub const INSUFFICIENT_FUNDS: Self = Self::new(1);
    /// Daraja is busy; nothing is said about the payment.
    pub const SYSTEM_BUSY: Self = Self::new(26);
    /// Another session is open on the subscriber's line.
    pub const SUBSCRIBER_LOCKED: Self = Self::new(1001);
    /// The prompt expired.
    pub const EXPIRED: Self = Self::new(1019);
    /// The prompt could not be sent.
    pub const PROMPT_NOT_SENT: Self = Self::new(1025);
    /// The customer cancelled.
    pub const CANCELLED: Self = Self::new(1032);
    /// The customer did not answer, or the phone could not be reached.
    pub const NO_RESPONSE: Self = Self::new(1037);
    /// A wrong PIN (M-PESA Express) or a wrong initiator (the others).
    pub const WRONG_CREDENTIAL: Self = Self::new(2001);
    /// Still under processing (STK query only; undocumented).
    pub const PROCESSING: Self = Self::new(4999);

    /// A numeric code.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(Repr::Number(number))
    }

    /// What stands for one that is missing, unreadable or contradicted: the empty text.
    pub(crate) fn none() -> Self {
        Self(Repr::Text(Box::default()))
    }

    /// The code as a number, if it is one.
    #[must_use]
    pub const fn as_number(&self) -> Option<u64> {
        match self.0 {
            Repr::Number(number) => Some(number),
            Repr::Text(_) => None,
        }
    }

    /// Whether the code is exactly zero.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.0, Repr::Number(0))
    }

    /// Whether the code says that Daraja itself was busy or failing: 26 and the broker's 100000000 to 100000011.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self.0, Repr::Number(26 | 100_000_000..=100_000_011))
    }
}

impl From<&str> for ResultCode {
    fn from(text: &str) -> Self {
        let text = text.trim();
        // Only a plain zero is a success: `0.0` is none.
        let digits = whole(text).filter(|digits| !digits.starts_with('0')).unwrap_or(text);
        let plain = digits == "0" || (!digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()));
        match digits.parse() {
            Ok(number) if plain => Self(Repr::Number(number)),
            _ => Self(Repr::Text(text.chars().take(64).collect::<String>().trim_end().into())),
        }
    }
}

impl std::str::FromStr for ResultCode {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.into())
    }
}

impl fmt::Display for ResultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Number(number) => write!(f, "{number}"),
            Repr::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for ResultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResultCode({})", crate::error::redact(&self.to_string(), 24))
    }
}

impl Serialize for ResultCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Repr::Number(number) if serializer.is_human_readable() => serializer.serialize_u64(*number),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for ResultCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_number_or_text(deserializer, ResultCodeVisitor)
    }
}

struct ResultCodeVisitor;

impl de::Visitor<'_> for ResultCodeVisitor {
    type Value = ResultCode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a result code")
    }

    fn visit_u64<E>(self, number: u64) -> Result<ResultCode, E> {
        Ok(ResultCode::new(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<ResultCode, E> {
        Ok(number.to_string().as_str().into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<ResultCode, E> {
        Ok(format!("{number:?}").as_str().into())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ResultCode, E> {
        if text.trim().is_empty() { Err(E::custom("an empty result code")) } else { Ok(text.into()) }
    }
}

/// The code of a refusal, such as `400.002.02`, or a gateway's fault such as `policies.ratelimit.SpikeArrestViolation`.
///
/// ```
/// let code = daraja::ErrorCode::from("404.001.03");
/// assert_eq!(code.group(), Some(404));
/// assert_eq!(code.as_str(), "404.001.03");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ErrorCode(Box<str>);

impl ErrorCode {
    /// The code as Daraja wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first group of a dotted code, which is an HTTP status by convention.
    #[must_use]
    pub fn group(&self) -> Option<u16> {
        let (group, _) = self.0.split_once('.')?;
        if group.len() == 3 { group.parse().ok() } else { None }
    }
}

impl From<&str> for ErrorCode {
    fn from(code: &str) -> Self {
        Self(crate::error::redact(code.trim(), 64).into())
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ErrorCode({self})")
    }
}

/// What to do about a failure. Every failure reason answers one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Advice {
    /// Nothing was paid, as the callback proves: the customer may start a new payment now.
    RetryNow,
    /// It is not proved that nothing was paid: look again after this pause, and start a new payment only if this one is
    /// still not paid.
    RetryAfter(Duration),
    /// A question failed: ask it again after this pause. This says nothing about the payment, so it never permits a new one.
    AskAgainAfter(Duration),
    /// The same request will fail again until your settings, products or accounts are put right.
    FixConfiguration,
    /// The customer, or the one who is paid, has to do something first, such as topping up or unlocking the PIN.
    AskCustomer,
    /// It is not known what became of the payment: find out, and do not pay again.
    Reconcile,
}

impl fmt::Display for Advice {
    /// Says it to the people who run the shop; what a customer may read is `customer_message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RetryNow => f.write_str("nothing was paid: a new payment may be started now"),
            Self::RetryAfter(pause) => {
                write!(f, "if it is still not paid after {} s, a new payment may be started", pause.as_secs())
            }
            Self::AskAgainAfter(pause) => {
                write!(f, "ask again after {} s; this says nothing about the payment", pause.as_secs())
            }
            Self::FixConfiguration => f.write_str("put settings, products or accounts right before asking again"),
            Self::AskCustomer => f.write_str("the customer has to do something first"),
            Self::Reconcile => f.write_str("find out what became of the payment, and do not pay again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_zero_is_a_success() {
        for json in ["0", "\"0\"", "\" 0 \""] {
            assert!(serde_json::from_str::<ResultCode>(json).unwrap().is_success(), "{json}");
        }
        for json in ["0.0", "-0", "\"00\"", "\"0.0\"", "\"+0\"", "\"O\"", "\"0x0\"", "-1", "1"] {
            assert!(!serde_json::from_str::<ResultCode>(json).unwrap().is_success(), "{json}");
        }
        for json in ["1032.0", "\"1032.0\"", "1032.00", "\"1032.000\"", "1.032e3"] {
            assert_eq!(serde_json::from_str::<ResultCode>(json).unwrap(), ResultCode::CANCELLED, "{json}");
        }
        for json in ["1032.5", "\"1032.5\"", "\"1032.\"", "\".0\"", "\"01032.0\"", "-1032.0"] {
            assert_eq!(serde_json::from_str::<ResultCode>(json).unwrap().as_number(), None, "{json}");
        }
        for json in ["null", "true", "\"\"", "{}", "[0]"] {
            assert!(serde_json::from_str::<ResultCode>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_code_is_the_same_as_number_and_as_string() {
        let number: ResultCode = serde_json::from_str("1032").unwrap();
        let string: ResultCode = serde_json::from_str("\"1032\"").unwrap();
        assert_eq!(number, string);
        assert_eq!(serde_json::to_string(&string).unwrap(), "1032");
    }

    #[test]
    fn the_group_is_the_first_of_a_dotted_code() {
        assert_eq!(ErrorCode::from("400.002.02").group(), Some(400));
        assert_eq!(ErrorCode::from("policies.ratelimit.QuotaViolation").group(), None);
        assert_eq!(ErrorCode::from("1").group(), None);
    }
}
