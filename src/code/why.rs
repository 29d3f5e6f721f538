//! Why a report settles nothing, and the report itself.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ResultCode;
use crate::error::redact;

/// Why a callback, a result or a query's answer proves neither that the money moved nor that it did not. Do not pay again:
/// ask Daraja.
///
/// ```
/// use daraja::{B2cOutcome, B2cResult, code::Why};
///
/// let result = B2cResult::parse(br#"{"Result":{"ResultCode":0,"ConversationID":"AG_1","ResultParameters":{"ResultParameter":[
///     {"Key":"TransactionReceipt","Value":"SG632NMUAB"},
///     {"Key":"TransactionAmount","Value":10},{"Key":"TransactionAmount","Value":1000}]}}}"#)?;
/// let B2cOutcome::Unproven(unproven) = result.outcome else { panic!("10 or 1000?") };
/// assert_eq!(unproven.why, Why::Contradicted);
/// assert_eq!(unproven.receipt, Some("SG632NMUAB".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Why {
    /// A zero code and no receipt.
    NoReceipt,
    /// This text stands in the place of the receipt, and it is none, such as `0`, `null` or `ABC123`. Digits of a phone
    /// number are redacted.
    UnreadableReceipt(Box<str>),
    /// The code is not known to be final.
    UnknownCode,
    /// The result says two things that cannot both be true: two receipts, two amounts, two recipients or two times, or a
    /// receipt beside a code of failure. An amount that cannot be read counts as well: it can be any other; and so do two
    /// codes in the callback of a push. A person has to look at it.
    Contradicted,
    /// A zero code, and nothing that names the payment that was asked about.
    NoId,
    /// A zero code, and nothing readable of what such an answer reports: it can be the answer to another request.
    NoParameters,
    /// The question about the payment failed. That says nothing about the payment.
    QuestionFailed,
}

impl Why {
    pub(crate) fn unreadable(receipt: &str) -> Self {
        Self::UnreadableReceipt(redact(receipt, 40).into())
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoReceipt => "it holds no receipt",
            Self::UnreadableReceipt(text) if text.is_empty() => "its receipt cannot be read",
            Self::UnreadableReceipt(text) => return write!(f, "its receipt `{text}` cannot be read"),
            Self::UnknownCode => "its code is not known to be final",
            Self::Contradicted => "it contradicts itself, or its amount cannot be read",
            Self::NoId => "it does not name the payment",
            Self::NoParameters => "it holds nothing readable of what such an answer reports",
            Self::QuestionFailed => "the question about the payment failed",
        })
    }
}

/// A report that settles nothing: its code, its words, and why. It is kept so that a person can see what Daraja said last.
///
/// ```
/// use daraja::{StkCallback, StkOutcome, code::Unproven};
///
/// let callback = StkCallback::parse(br#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1",
///     "ResultCode":2029,"ResultDesc":"Failed due to an unresolved reason type."}}}"#)?;
/// let StkOutcome::Unproven(unproven) = &callback.outcome else { panic!("2029 is not known to be final") };
/// let shown = "2029, Failed due to an unresolved reason type.: its code is not known to be final";
/// assert_eq!(Unproven::from(unproven).to_string(), shown);
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unproven {
    /// Daraja's code. It is empty if the report has no readable code, or two different ones.
    pub code: ResultCode,
    /// Daraja's words, redacted. They change from day to day.
    pub description: Box<str>,
    /// Why nothing is proved.
    pub why: Why,
}

impl Unproven {
    /// A report that settles nothing, such as one for a test. The words are redacted and cut to 200 characters.
    #[must_use]
    pub fn new(code: ResultCode, description: &str, why: Why) -> Self {
        Self { code, description: redact(description, 200).into(), why }
    }
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, description, why } = self;
        let code = code.to_string();
        let shown: Vec<&str> = [code.as_str(), description].into_iter().filter(|text| !text.is_empty()).collect();
        match shown.join(", ") {
            nothing if nothing.is_empty() => write!(f, "a report without code and words: {why}"),
            shown => write!(f, "{shown}: {why}"),
        }
    }
}
