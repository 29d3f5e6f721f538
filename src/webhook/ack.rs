//! What Daraja is answered.

use std::{borrow::Cow, fmt};

use serde_json::json;

use super::EventKind;

/// The body of an answer to a delivery, JSON; send it with status 200. Nothing in it comes from the delivery.
///
/// Daraja reads it for C2B validations only: elsewhere any answer of 200 does. Answer first, and work afterwards.
///
/// ```
/// use daraja::webhook::{Ack, C2bRejection};
///
/// assert_eq!(Ack::accepted().as_str(), r#"{"ResultCode":0,"ResultDesc":"Accepted"}"#);
///
/// // The answers to a validation decide whether the customer may pay.
/// assert_eq!(Ack::accept_validation().as_str(), r#"{"ResultCode":"0","ResultDesc":"Accepted"}"#);
/// assert_eq!(Ack::reject(C2bRejection::Account).as_str(), r#"{"ResultCode":"C2B00012","ResultDesc":"Rejected"}"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack(Cow<'static, str>);

impl Ack {
    /// The media type of every answer.
    pub const CONTENT_TYPE: &'static str = "application/json";

    /// Took it.
    #[must_use]
    pub fn accepted() -> Self {
        Self(Cow::Borrowed(r#"{"ResultCode":0,"ResultDesc":"Accepted"}"#))
    }

    /// The payment may be made.
    #[must_use]
    pub fn accept_validation() -> Self {
        Self(Cow::Borrowed(r#"{"ResultCode":"0","ResultDesc":"Accepted"}"#))
    }

    /// The payment may be made, and its confirmation shall carry this id of yours.
    ///
    /// ```
    /// use daraja::webhook::Ack;
    /// let ack = Ack::accept_validation_as("invoice-1042");
    /// assert_eq!(ack.as_str(), r#"{"ResultCode":"0","ResultDesc":"Accepted","ThirdPartyTransID":"invoice-1042"}"#);
    /// ```
    #[must_use]
    pub fn accept_validation_as(third_party_id: &str) -> Self {
        let id = json!(third_party_id);
        Self(format!(r#"{{"ResultCode":"0","ResultDesc":"Accepted","ThirdPartyTransID":{id}}}"#).into())
    }

    /// The payment must not be made: the customer keeps the money. For validations only.
    #[must_use]
    pub fn reject(reason: C2bRejection) -> Self {
        Self(format!(r#"{{"ResultCode":"{}","ResultDesc":"Rejected"}}"#, reason.code()).into())
    }

    /// The JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn of(kind: EventKind) -> Self {
        match kind {
            EventKind::C2bValidation => Self::accept_validation(),
            EventKind::C2bConfirmation => Self(Cow::Borrowed(r#"{"ResultCode":0,"ResultDesc":"Success"}"#)),
            _ => Self::accepted(),
        }
    }
}

impl fmt::Display for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Ack> for String {
    fn from(ack: Ack) -> Self {
        ack.0.into_owned()
    }
}

/// Why a payment must not be made, in answer to a validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum C2bRejection {
    /// `C2B00011`: not from this number.
    Msisdn,
    /// `C2B00012`: there is no such account.
    Account,
    /// `C2B00013`: not this amount.
    Amount,
    /// `C2B00014`: the customer's details are not good enough.
    Kyc,
    /// `C2B00015`: not to this short code.
    ShortCode,
    /// `C2B00016`: anything else.
    Other,
}

impl C2bRejection {
    /// Daraja's code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Msisdn => "C2B00011",
            Self::Account => "C2B00012",
            Self::Amount => "C2B00013",
            Self::Kyc => "C2B00014",
            Self::ShortCode => "C2B00015",
            Self::Other => "C2B00016",
        }
    }
}
