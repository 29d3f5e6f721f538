//! What comes to the timeout URL. Nobody outside Safaricom has shown one yet: three shapes are expected.

use std::{borrow::Cow, fmt};

use serde::de::MapAccess;

use super::RequestPurpose;
use crate::{
    ConversationId, OriginatorConversationId,
    error::DecodeError,
    wire::{Fields, Next, Once, Quote, digest, expect_json, read_posted},
};

/// A request timed out in Daraja's queue. **That is not a failure**: a payout may have been made all the same. Ask with a
/// [`TransactionStatusQuery`](crate::TransactionStatusQuery), or let a [`Payout`](crate::Payout) say what is safe.
///
/// Daraja is said to post the request back as it was sent, credential and all. Of what comes only the ids are kept, and
/// no error quotes it: never write such a body to a log.
///
/// ```
/// use daraja::{QueueTimeout, initiated::TimeoutShape};
///
/// let timeout = QueueTimeout::parse(br#"{"InitiatorName":"shop-api","SecurityCredential":"c2VjcmV0",
///     "CommandID":"BusinessPayment","Amount":"500","OriginatorConversationID":"supplier-7-invoice-1042"}"#)?;
/// assert_eq!(timeout.shape(), TimeoutShape::Echo);
/// assert_eq!(timeout.originator_conversation_id.unwrap().as_str(), "supplier-7-invoice-1042");
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueTimeout {
    /// The id of the request: your own if it had one.
    pub originator_conversation_id: Option<OriginatorConversationId>,
    /// The gateway's id of the request.
    pub conversation_id: Option<ConversationId>,
    purpose: Option<RequestPurpose>,
    shape: TimeoutShape,
    bytes: usize,
    pub(crate) digest: u128,
}

/// In which shape a queue timeout came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeoutShape {
    /// The request as it was sent.
    Echo,
    /// A result's envelope. Whatever its code, it is no result.
    Envelope,
    /// Ids alone, or not even those.
    Ids,
}

impl QueueTimeout {
    /// Reads the body of what came to the timeout URL. It may name no id: then only the URL tells what it is about.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if it is larger than 64 KiB, or no JSON object.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        read_posted(body, Quote::Nothing, |read: Read<'_>| {
            let shape = match read {
                Read { is_envelope: true, .. } => TimeoutShape::Envelope,
                Read { is_echo: true, .. } => TimeoutShape::Echo,
                _ => TimeoutShape::Ids,
            };
            Ok(Self {
                originator_conversation_id: read.originator_conversation_id.given().and_then(|id| id.parse().ok()),
                conversation_id: read.conversation_id.given().and_then(|id| id.parse().ok()),
                purpose: None,
                shape,
                bytes: body.len(),
                digest: digest(body),
            })
        })
    }

    /// As [`parse`](Self::parse), and of JSON that is no object as well: even that may hold the credential, so nothing of it
    /// is kept.
    pub(crate) fn of_any_shape(body: &[u8], text: &str) -> Result<Self, DecodeError> {
        Self::parse(body).or_else(|_| {
            expect_json(text)?;
            Ok(Self {
                originator_conversation_id: None,
                conversation_id: None,
                purpose: None,
                shape: TimeoutShape::Ids,
                bytes: body.len(),
                digest: digest(body),
            })
        })
    }

    pub(crate) fn with_purpose(self, purpose: RequestPurpose) -> Self {
        Self { purpose: Some(purpose), ..self }
    }

    /// What the URL that it came to is for, if a [`Receiver`](crate::webhook::Receiver) has verified that URL, or if it was
    /// [read again](crate::webhook::Event::parse_as) as such a kind. A question that timed out says nothing of the payout.
    #[must_use]
    pub fn purpose(&self) -> Option<RequestPurpose> {
        self.purpose
    }

    /// In which shape it came.
    #[must_use]
    pub fn shape(&self) -> TimeoutShape {
        self.shape
    }
}

/// Purpose, shape and size, and the gateway's id: nothing else of it.
impl fmt::Debug for QueueTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueTimeout")
            .field("purpose", &self.purpose)
            .field("shape", &self.shape)
            .field("bytes", &self.bytes)
            .field("conversation_id", &self.conversation_id)
            .finish_non_exhaustive()
    }
}

/// What is kept while reading.
#[derive(Default)]
struct Read<'a> {
    originator_conversation_id: Once<Cow<'a, str>>,
    conversation_id: Once<Cow<'a, str>>,
    is_envelope: bool,
    is_echo: bool,
}

impl<'a> Fields<'a> for Read<'a> {
    fn field<A: MapAccess<'a>>(&mut self, key: &str, value: Next<'_, A>) -> Result<(), A::Error> {
        self.is_envelope |= matches!(key, "Result" | "ResultCode");
        self.is_echo |= matches!(key, "CommandID" | "SecurityCredential");
        match key {
            "Body" | "Result" => value.object(self),
            "OriginatorConversationID" | "OriginatorCoversationID" => {
                value.add_text_to(&mut self.originator_conversation_id)
            }
            "ConversationID" => value.add_text_to(&mut self.conversation_id),
            _ => value.skip(),
        }
    }
}
