//! Anything that Daraja posts, recognised by what it holds.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::de::MapAccess;
use serde_json::json;

use super::{Ack, DedupKey, Expected, Mismatch, UnknownEvent, stored::without_secrets};
use crate::{
    CheckoutRequestId, ConversationId, OriginatorConversationId, QueueTimeout, ReceiptNumber, StkCallback, StkOutcome,
    c2b::{C2bNotice, C2bStage},
    error::DecodeError,
    initiated::{RequestPurpose, ResultEnvelope},
    wire::{Fields, Next, Quote, expect_json, posted_any, read_posted},
};

/// How deep objects and lists may lie in each other. Real bodies have six levels.
const MAX_DEPTH: usize = 32;

/// Anything that Daraja posts to a callback URL.
///
/// Reading it proves nothing about its sender: see [`Receiver`](super::Receiver).
///
/// ```
/// use daraja::{StkOutcome, webhook::Event};
///
/// let body = br#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":1032,"ResultDesc":"Request cancelled by user"}}}"#;
/// let Event::Stk(callback) = Event::parse(body)? else { panic!("a callback of a push") };
/// assert!(matches!(callback.outcome, StkOutcome::Failed(_)));
///
/// // What is not known yet is kept as it came.
/// let Event::Unknown(unknown) = Event::parse(br#"{"responseHeader":{"code":"0"}}"#)? else { panic!("unknown") };
/// assert_eq!(unknown.raw(), r#"{"responseHeader":{"code":"0"}}"#);
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// What became of an STK push.
    Stk(StkCallback),
    /// The result of a payout or a reversal, or the answer to a question: [read it](ResultEnvelope) as what was asked for.
    Result(ResultEnvelope),
    /// A request timed out in Daraja's queue. It is never a failure: ask.
    QueueTimeout(QueueTimeout),
    /// A payment to a PayBill or till: a question or a confirmation, which only its URL tells.
    C2b(C2bNotice),
    /// Anything else, as it came. It proves nothing.
    Unknown(UnknownEvent),
}

/// What kind of event it is, in one word: to be stored beside the body, which is then read again as that kind, and for the
/// same purpose.
///
/// ```
/// use daraja::webhook::{Event, EventKind};
///
/// let body = br#"{"TransID":"RKL51ZDR4F","TransAmount":"5.00","BusinessShortCode":"600966"}"#;
/// let kind: EventKind = "c2b-confirmation".parse()?;
/// assert_eq!(Event::parse_as(kind, body)?.kind(), EventKind::C2bConfirmation);
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// [`Event::Stk`], in one word `stk`.
    Stk,
    /// [`Event::Result`] at the URL of a payout or a reversal, in one word `payout`.
    Payout,
    /// [`Event::Result`] at the URL of a question, in one word `question`.
    Question,
    /// [`Event::Result`] without its URL, in one word `result`.
    Result,
    /// [`Event::QueueTimeout`] at one of the URLs of a payout or a reversal, in one word `payout-timeout`.
    PayoutTimeout,
    /// [`Event::QueueTimeout`] at one of the URLs of a question, in one word `question-timeout`.
    QuestionTimeout,
    /// [`Event::QueueTimeout`] without its URL, in one word `timeout`.
    QueueTimeout,
    /// [`Event::C2b`] at the validation URL, in one word `c2b-validation`.
    C2bValidation,
    /// [`Event::C2b`] at the confirmation URL, in one word `c2b-confirmation`.
    C2bConfirmation,
    /// [`Event::C2b`] without its URL, in one word `c2b`.
    C2b,
    /// [`Event::Unknown`], in one word `unknown`.
    Unknown,
}

/// The ids by which an event is looked up, as far as it names them.
///
/// ```
/// use daraja::webhook::Event;
///
/// let body = br#"{"Result":{"ResultCode":0,"OriginatorConversationID":"supplier-7-invoice-1042","ConversationID":"AG_1"}}"#;
/// let event = Event::parse(body)?;
/// assert_eq!(event.correlation().originator_conversation_id.unwrap().as_str(), "supplier-7-invoice-1042");
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Correlation<'e> {
    /// Which push it is about.
    pub checkout_request_id: Option<&'e CheckoutRequestId>,
    /// Which request of the initiator family it is about: your own id, if the request had one.
    pub originator_conversation_id: Option<&'e OriginatorConversationId>,
    /// The gateway's id of that request.
    pub conversation_id: Option<&'e ConversationId>,
    /// The receipt of money that came in.
    pub receipt: Option<ReceiptNumber>,
}

impl Event {
    /// Recognises and reads what came, whatever the URL. New keys and new kinds are no error.
    ///
    /// Three things only the URL tells: a [`C2bNotice`] is [`Unclear`](C2bStage::Unclear) here, a queue timeout in the
    /// shape of a result is read as a result, and a result may answer a payout or a question.
    /// [`Receiver::accept`](super::Receiver::accept) knows the URL; [`parse_as`](Self::parse_as) takes the kind.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], which quotes nothing, if it is larger than 64 KiB, nested deeper than 32 levels, or no JSON.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let raw = posted_any(body, MAX_DEPTH)?;
        match read_posted(body, Quote::Nothing, Looks::conclude) {
            Ok(kind) => Self::parse_as(kind, body),
            // A key that is named like one of Daraja's must not hide a payment.
            Err(problem) => StkCallback::parse(body).map(Self::Stk).or_else(|_| Self::unknown(raw, Some(problem))),
        }
    }

    /// Reads what came to a URL for that kind of event, or what was stored as one.
    ///
    /// # Errors
    ///
    /// As for [`parse`](Self::parse). What cannot be read as that kind is [`Event::Unknown`].
    pub fn parse_as(kind: EventKind, body: &[u8]) -> Result<Self, DecodeError> {
        let raw = posted_any(body, MAX_DEPTH)?;
        let result = || ResultEnvelope::parse(body).map(Self::Result);
        let timeout = || QueueTimeout::of_any_shape(body, raw).map(Self::QueueTimeout);
        let read = match kind {
            EventKind::Stk => StkCallback::parse(body).map(Self::Stk),
            EventKind::Payout => result().map(|event| event.with_purpose(RequestPurpose::Payout)),
            EventKind::Question => result().map(|event| event.with_purpose(RequestPurpose::Question)),
            EventKind::Result => result(),
            EventKind::PayoutTimeout => timeout().map(|event| event.with_purpose(RequestPurpose::Payout)),
            EventKind::QuestionTimeout => timeout().map(|event| event.with_purpose(RequestPurpose::Question)),
            EventKind::QueueTimeout => timeout(),
            EventKind::C2bValidation => C2bNotice::validation(body).map(Self::C2b),
            EventKind::C2bConfirmation => C2bNotice::confirmation(body).map(Self::C2b),
            EventKind::C2b => C2bNotice::read(C2bStage::Unclear, body).map(Self::C2b),
            EventKind::Unknown => return Self::unknown(raw, None),
        };
        read.or_else(|problem| Self::unknown(raw, Some(problem)))
    }

    /// Recognises what came to the result URL of a request for this purpose.
    #[cfg(feature = "crypto")]
    pub(super) fn parse_for(purpose: RequestPurpose, body: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self::parse(body)?.with_purpose(purpose))
    }

    /// Events of other kinds have no such purpose.
    fn with_purpose(self, purpose: RequestPurpose) -> Self {
        match self {
            Self::Result(result) => Self::Result(result.with_purpose(purpose)),
            Self::QueueTimeout(timeout) => Self::QueueTimeout(timeout.with_purpose(purpose)),
            Self::Stk(_) | Self::C2b(_) | Self::Unknown(_) => self,
        }
    }

    fn unknown(raw: &str, problem: Option<DecodeError>) -> Result<Self, DecodeError> {
        expect_json(raw)?;
        // The callback's own reader quotes a piece, which in a stranger's document can be a name.
        let problem = problem.map(|problem| DecodeError::new(None, problem.problem().to_owned(), ""));
        Ok(Self::Unknown(UnknownEvent { raw: raw.into(), problem }))
    }

    /// What kind of event it is.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Stk(_) => EventKind::Stk,
            Self::Result(result) => match result.purpose() {
                Some(RequestPurpose::Payout) => EventKind::Payout,
                Some(RequestPurpose::Question) => EventKind::Question,
                None => EventKind::Result,
            },
            Self::QueueTimeout(timeout) => match timeout.purpose() {
                Some(RequestPurpose::Payout) => EventKind::PayoutTimeout,
                Some(RequestPurpose::Question) => EventKind::QuestionTimeout,
                None => EventKind::QueueTimeout,
            },
            Self::C2b(notice) => match notice.stage {
                C2bStage::Validation => EventKind::C2bValidation,
                C2bStage::Confirmation => EventKind::C2bConfirmation,
                C2bStage::Unclear => EventKind::C2b,
            },
            Self::Unknown(_) => EventKind::Unknown,
        }
    }

    /// The key of what it reports, wherever that is reported: the key under which money is settled once. It is the same for
    /// the callback of a push and the C2B confirmation of the same payment. See the [module's page](super).
    #[must_use]
    pub fn dedup_key(&self) -> DedupKey {
        DedupKey::of(self)
    }

    /// The key of this event at the URL of this reference: the key of a table of all that came.
    ///
    /// The reference is a part of it: what was posted to the URL of another attempt does not use up the key of the true
    /// event.
    ///
    /// ```
    /// use daraja::webhook::{Event, EventKind};
    ///
    /// let result = br#"{"Result":{"ResultCode":1,"OriginatorConversationID":"supplier-7"}}"#;
    /// let event = Event::parse_as(EventKind::Payout, result)?;
    /// assert_eq!(event.dedup_key().as_str(), "payout:supplier-7:1");
    /// assert_eq!(event.dedup_key_at("p-1042").as_str(), "p-1042 payout:supplier-7:1");
    /// # Ok::<(), daraja::Error>(())
    /// ```
    #[must_use]
    pub fn dedup_key_at(&self, reference: impl AsRef<str>) -> DedupKey {
        self.dedup_key().at(reference.as_ref())
    }

    /// The body without secrets, to be stored and read again with [`parse_as`](Self::parse_as). The values of
    /// `SecurityCredential`, `Password` (which holds the passkey) and `InitiatorPassword` are replaced, at any depth. Of a
    /// queue timeout, which can echo the whole request, only the ids are kept.
    ///
    /// ```
    /// use daraja::webhook::Event;
    ///
    /// let body = br#"{"CommandID":"BusinessPayment","SecurityCredential":"c2VjcmV0","OriginatorConversationID":"payout-1"}"#;
    /// let event = Event::parse(body)?;
    /// let stored = event.body_to_store(body);
    /// assert!(stored.contains("payout-1") && !stored.contains("c2VjcmV0"));
    /// assert_eq!(Event::parse_as(event.kind(), stored.as_bytes())?.correlation(), event.correlation());
    /// # Ok::<(), daraja::Error>(())
    /// ```
    #[must_use]
    pub fn body_to_store<'b>(&self, body: &'b [u8]) -> Cow<'b, str> {
        match self {
            Self::QueueTimeout(timeout) => {
                let own = timeout.originator_conversation_id.as_ref().map(AsRef::<str>::as_ref);
                let gateway = timeout.conversation_id.as_ref().map(AsRef::<str>::as_ref);
                json!({ "OriginatorConversationID": own, "ConversationID": gateway }).to_string().into()
            }
            _ => without_secrets(String::from_utf8_lossy(body)),
        }
    }

    /// The ids by which it is looked up. Prefer the [`Reference`](super::Reference) of its URL, which is signed.
    #[must_use]
    pub fn correlation(&self) -> Correlation<'_> {
        let none = Correlation::default();
        match self {
            Self::Stk(callback) => {
                let receipt = match &callback.outcome {
                    StkOutcome::Paid(payment) => Some(payment.receipt),
                    _ => None,
                };
                Correlation { checkout_request_id: Some(&callback.checkout_request_id), receipt, ..none }
            }
            Self::Result(result) => Correlation {
                originator_conversation_id: result.originator_conversation_id.as_ref(),
                conversation_id: result.conversation_id.as_ref(),
                ..none
            },
            Self::QueueTimeout(timeout) => Correlation {
                originator_conversation_id: timeout.originator_conversation_id.as_ref(),
                conversation_id: timeout.conversation_id.as_ref(),
                ..none
            },
            Self::C2b(notice) => Correlation { receipt: notice.proof(), ..none },
            Self::Unknown(_) => none,
        }
    }

    /// Compares what came in with what was asked: see [`Expected`]. The receipt proves that money came in as asked. `None`
    /// is news of this attempt that brings no money: that it failed, or that it has to be asked for.
    ///
    /// # Errors
    ///
    /// [`Mismatch`] says what differs, and whether money came in all the same.
    pub fn expect(&self, expected: &Expected) -> Result<Option<ReceiptNumber>, Mismatch> {
        expected.compare(self)
    }

    /// What to answer, with status 200, once the event is stored. A validation is accepted by it: to look first, see
    /// [`Ack::reject`].
    #[must_use]
    pub fn ack(&self) -> Ack {
        Ack::of(self.kind())
    }
}

impl From<StkCallback> for Event {
    fn from(callback: StkCallback) -> Self {
        Self::Stk(callback)
    }
}

impl From<ResultEnvelope> for Event {
    fn from(result: ResultEnvelope) -> Self {
        Self::Result(result)
    }
}

impl From<QueueTimeout> for Event {
    fn from(timeout: QueueTimeout) -> Self {
        Self::QueueTimeout(timeout)
    }
}

impl From<C2bNotice> for Event {
    fn from(notice: C2bNotice) -> Self {
        Self::C2b(notice)
    }
}

impl EventKind {
    /// Every kind.
    const ALL: [Self; 11] = [
        Self::Stk,
        Self::Payout,
        Self::Question,
        Self::Result,
        Self::PayoutTimeout,
        Self::QuestionTimeout,
        Self::QueueTimeout,
        Self::C2bValidation,
        Self::C2bConfirmation,
        Self::C2b,
        Self::Unknown,
    ];

    /// The one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stk => "stk",
            Self::Payout => "payout",
            Self::Question => "question",
            Self::Result => "result",
            Self::PayoutTimeout => "payout-timeout",
            Self::QuestionTimeout => "question-timeout",
            Self::QueueTimeout => "timeout",
            Self::C2bValidation => "c2b-validation",
            Self::C2bConfirmation => "c2b-confirmation",
            Self::C2b => "c2b",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for EventKind {
    type Err = crate::error::Invalid;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == word);
        found.ok_or_else(|| crate::error::Invalid::new("event kind", "it is none that this version knows"))
    }
}

/// Which keys were seen where they decide what a body is. Its values are read by the parser of that kind.
#[derive(Default)]
struct Looks(u8);

/// One such key, as a bit.
#[derive(Clone, Copy)]
enum Clue {
    Stk = 1,
    Request = 2,
    Result = 4,
    Code = 8,
    Parameters = 16,
    C2b = 32,
    Ids = 64,
}

impl Looks {
    fn has(&self, clue: Clue) -> bool {
        self.0 & clue as u8 != 0
    }

    #[expect(clippy::unnecessary_wraps, reason = "of the shape of all that conclude")]
    fn conclude(self) -> Result<EventKind, &'static str> {
        let has = |clue| self.has(clue);
        let is_result = has(Clue::Code) && (has(Clue::Result) || has(Clue::Parameters) || has(Clue::Ids));
        Ok(match () {
            () if has(Clue::Stk) => EventKind::Stk,
            // A request that came back: whatever else is in it, it is no result.
            () if has(Clue::Request) => EventKind::QueueTimeout,
            () if is_result => EventKind::Result,
            () if has(Clue::C2b) => EventKind::C2b,
            () if has(Clue::Ids) && !has(Clue::Code) => EventKind::QueueTimeout,
            () => EventKind::Unknown,
        })
    }
}

impl<'a> Fields<'a> for Looks {
    fn field<A: MapAccess<'a>>(&mut self, key: &str, value: Next<'_, A>) -> Result<(), A::Error> {
        let clue = match key {
            "Body" => return value.object(self),
            "Result" => Clue::Result,
            "stkCallback" | "CheckoutRequestID" => Clue::Stk,
            "CommandID" | "SecurityCredential" => Clue::Request,
            "ResultCode" => Clue::Code,
            "ResultParameters" => Clue::Parameters,
            "TransID" => Clue::C2b,
            "OriginatorConversationID" | "OriginatorCoversationID" | "ConversationID" => Clue::Ids,
            _ => return value.skip(),
        };
        self.0 |= clue as u8;
        if key == "Result" { value.object(self) } else { value.skip() }
    }
}
