//! Why a question, or any other request of the family, failed.

use std::{fmt, time::Duration};

use crate::{Advice, ResultCode, error::redact};

/// A request that failed: the question, not the payment that it asked about.
///
/// ```
/// use daraja::{AccountBalanceResult, Advice, BalanceOutcome, initiated::RequestReason};
///
/// let result = AccountBalanceResult::parse(br#"{"Result":{"ResultCode":8006,
///     "ResultDesc":"The security credential is locked.","ConversationID":"AG_1"}}"#)?;
/// let BalanceOutcome::Failed(failure) = result.outcome else { panic!("locked") };
/// assert_eq!(failure.reason(), RequestReason::CredentialLocked);
/// assert_eq!(failure.advice(), Advice::FixConfiguration);
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RequestFailure {
    code: ResultCode,
    description: Box<str>,
}

impl RequestFailure {
    pub(crate) fn new(code: ResultCode, description: &str) -> Self {
        Self { code, description: redact(description, 200).into() }
    }

    /// Daraja's code.
    #[must_use]
    pub fn code(&self) -> &ResultCode {
        &self.code
    }

    /// Daraja's words. They change from day to day: go by [`reason`](Self::reason).
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What the code means.
    #[must_use]
    pub fn reason(&self) -> RequestReason {
        RequestReason::of(&self.code)
    }

    /// What to do before asking again. It never speaks of the payment that was asked about: that may have been made.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self.reason() {
            RequestReason::Busy | RequestReason::Other => Advice::AskAgainAfter(Duration::from_secs(60)),
            _ => Advice::FixConfiguration,
        }
    }
}

impl fmt::Debug for RequestFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestFailure")
            .field("code", &self.code)
            .field("reason", &self.reason())
            .finish_non_exhaustive()
    }
}

/// Why a request of the initiator family failed.
///
/// ```
/// assert_eq!(daraja::initiated::RequestReason::Busy.to_string(), "Daraja is busy");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestReason {
    /// 18, 20, 2001: name, password or certificate of the initiator are wrong.
    WrongCredential,
    /// 8006: the initiator is locked, after wrong passwords. It has been seen to unlock after half an hour.
    CredentialLocked,
    /// 21, 22, 2028, `TP40153`: the initiator lacks the role, or the short code the product.
    NotPermitted,
    /// 19, 24, 25, 29, `SFC_IC0003`: something in the request is missing or of the wrong kind.
    InvalidRequest,
    /// 26, 100000000 to 100000011: Daraja is busy.
    Busy,
    /// Any other code.
    Other,
}

impl RequestReason {
    fn of(code: &ResultCode) -> Self {
        if code.is_transient() {
            return Self::Busy;
        }
        let Some(number) = code.as_number() else {
            return match code.to_string().as_str() {
                "TP40153" => Self::NotPermitted,
                "SFC_IC0003" => Self::InvalidRequest,
                _ => Self::Other,
            };
        };
        match number {
            18 | 20 | 2001 => Self::WrongCredential,
            8006 => Self::CredentialLocked,
            21 | 22 | 2028 => Self::NotPermitted,
            19 | 24 | 25 | 29 => Self::InvalidRequest,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for RequestReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongCredential => "the initiator's name, password or certificate is wrong",
            Self::CredentialLocked => "the initiator is locked",
            Self::NotPermitted => "the initiator lacks the role, or the short code the product",
            Self::InvalidRequest => "something in the request is missing or of the wrong kind",
            Self::Busy => "Daraja is busy",
            Self::Other => "Daraja gives no known reason",
        })
    }
}
