//! A result of which it is not known yet what it answers.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

use super::envelope::{Envelope, Ids};
use crate::{
    AccountBalanceResult, B2cResult, ConversationId, OriginatorConversationId, ReceiptNumber, ResultCode,
    ReversalResult, TransactionStatusResult,
    error::{DecodeError, redact},
    wire::digest,
};

/// A result, whatever it answers: a payout, a question, a reversal, or a request that this crate does not know.
///
/// What it answers is known by the URL that it came to, or by its ids. Its own parameters tell it too, if there are any:
/// a failure mostly has none. So read it as what you asked for. Its [`purpose`](Self::purpose), which is that of the
/// verified URL, and its [`kind`](Self::kind) keep the answer to a question from settling a payout.
///
/// ```
/// use daraja::{B2cOutcome, initiated::{ResultEnvelope, ResultKind}};
///
/// let result = ResultEnvelope::parse(br#"{"Result":{"ResultCode":0,"OriginatorConversationID":"supplier-7-invoice-1042",
///     "ResultParameters":{"ResultParameter":[{"Key":"TransactionReceipt","Value":"SG632NMUAB"}]}}}"#)?;
/// assert_eq!(result.kind(), Some(ResultKind::B2c));
/// assert!(matches!(result.b2c().unwrap().outcome, B2cOutcome::Paid(_)));
/// assert!(result.reversal().is_none());
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct ResultEnvelope {
    /// The id of the request: your own if it had one.
    pub originator_conversation_id: Option<OriginatorConversationId>,
    /// The gateway's id of the request.
    pub conversation_id: Option<ConversationId>,
    /// Daraja's code. Zero alone proves nothing.
    pub code: ResultCode,
    purpose: Option<RequestPurpose>,
    envelope: Envelope<'static>,
    pub(crate) digest: u128,
}

/// What a request of the initiator family is for. The verified URL of its result says so, even if the body does not.
///
/// ```
/// use daraja::{initiated::RequestPurpose, webhook::{Event, EventKind}};
///
/// let body = br#"{"Result":{"ResultCode":2032,"ResultDesc":"The transaction does not exist."}}"#;
/// let Event::Result(answer) = Event::parse_as(EventKind::Question, body)? else { panic!("a result") };
/// assert_eq!(answer.purpose(), Some(RequestPurpose::Question));
/// assert!(answer.b2c().is_none()); // it says nothing of a payout
/// assert!(answer.transaction_status().is_some());
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RequestPurpose {
    /// Money leaves: a payout, or a reversal.
    Payout,
    /// No money moves: a question about a transaction or about balances.
    Question,
}

/// What a result answers, as far as its parameters tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResultKind {
    /// A payout.
    B2c,
    /// A question after a transaction.
    TransactionStatus,
    /// A question after balances.
    AccountBalance,
    /// A reversal.
    Reversal,
}

impl ResultEnvelope {
    /// Reads a result's body. Unknown keys are let pass, and so is anything but the code.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], which quotes nothing, if it is larger than 64 KiB, no JSON, has no code, or gives code or ids
    /// twice, differently.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        Envelope::parse(body, |envelope, code, (originator_conversation_id, conversation_id)| Self {
            originator_conversation_id,
            conversation_id,
            code,
            purpose: None,
            envelope: envelope.to_owned(),
            digest: digest(body),
        })
    }

    pub(crate) fn with_purpose(self, purpose: RequestPurpose) -> Self {
        Self { purpose: Some(purpose), ..self }
    }

    /// What the URL that it came to is for, if a [`Receiver`](crate::webhook::Receiver) has verified that URL, or if it was
    /// [read again](crate::webhook::Event::parse_as) as such a kind. `None`: only its parameters tell what it answers.
    #[must_use]
    pub fn purpose(&self) -> Option<RequestPurpose> {
        self.purpose
    }

    /// What it answers, if its parameters tell that, and of one thing only.
    #[must_use]
    pub fn kind(&self) -> Option<ResultKind> {
        let mut told = self.envelope.names().filter_map(ResultKind::told_by);
        let kind = told.next()?;
        Some(kind).filter(|kind| told.all(|other| other == *kind))
    }

    /// It as the result of a payout, unless its purpose or its parameters tell otherwise.
    #[must_use]
    pub fn b2c(&self) -> Option<B2cResult> {
        self.read_as(ResultKind::B2c, B2cResult::of).map(|result| result.with_purpose(self.purpose))
    }

    /// It as the answer to a question about a transaction, unless its purpose or its parameters tell otherwise.
    #[must_use]
    pub fn transaction_status(&self) -> Option<TransactionStatusResult> {
        self.read_as(ResultKind::TransactionStatus, TransactionStatusResult::of)
    }

    /// It as the answer to a question about balances, unless its purpose or its parameters tell otherwise.
    #[must_use]
    pub fn account_balance(&self) -> Option<AccountBalanceResult> {
        self.read_as(ResultKind::AccountBalance, AccountBalanceResult::of)
    }

    /// It as the result of a reversal, unless its purpose or its parameters tell otherwise.
    #[must_use]
    pub fn reversal(&self) -> Option<ReversalResult> {
        self.read_as(ResultKind::Reversal, ReversalResult::of)
    }

    /// A parameter by its name, for requests that this crate does not know; `None` if it is given twice, differently. It can
    /// be personal data.
    #[must_use]
    pub fn parameter(&self, name: &'static str) -> Option<Cow<'_, str>> {
        self.envelope.text(name)
    }

    /// Daraja's words, redacted. They change from day to day: go by the code.
    #[must_use]
    pub fn description(&self) -> String {
        redact(self.envelope.description(), 200)
    }

    /// M-PESA's number of the transaction that the result is itself about. A failed request has one as well.
    #[must_use]
    pub fn transaction_id(&self) -> Option<ReceiptNumber> {
        self.envelope.transaction_id().receipt()
    }

    fn read_as<T>(&self, kind: ResultKind, read: impl Fn(&Envelope<'_>, ResultCode, Ids) -> T) -> Option<T> {
        let ids = || (self.originator_conversation_id.clone(), self.conversation_id.clone());
        let fits = self.purpose.is_none_or(|purpose| purpose == kind.purpose());
        let fits = fits && self.kind().is_none_or(|told| told == kind);
        fits.then(|| read(&self.envelope, self.code.clone(), ids()))
    }
}

impl ResultKind {
    fn purpose(self) -> RequestPurpose {
        match self {
            Self::B2c | Self::Reversal => RequestPurpose::Payout,
            Self::TransactionStatus | Self::AccountBalance => RequestPurpose::Question,
        }
    }

    /// By the parameters that no other API's results have.
    pub(super) fn told_by(name: &str) -> Option<Self> {
        Some(match name {
            "TransactionReceipt"
            | "B2CRecipientIsRegisteredCustomer"
            | "B2CUtilityAccountAvailableFunds"
            | "B2CWorkingAccountAvailableFunds"
            | "B2CChargesPaidAccountAvailableFunds" => Self::B2c,
            "TransactionStatus" | "ReceiptNo" | "InitiatedTime" | "FinalisedTime" => Self::TransactionStatus,
            "AccountBalance" => Self::AccountBalance,
            "OriginalTransactionID" => Self::Reversal,
            _ => return None,
        })
    }
}

/// Without parameters and words: they hold names and numbers.
impl fmt::Debug for ResultEnvelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResultEnvelope")
            .field("purpose", &self.purpose)
            .field("kind", &self.kind())
            .field("code", &self.code)
            .field("originator_conversation_id", &self.originator_conversation_id)
            .field("conversation_id", &self.conversation_id)
            .finish_non_exhaustive()
    }
}
