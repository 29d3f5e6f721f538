//! Where a payout can stand, and where it can go from there.

use serde::{Deserialize, Serialize};

use crate::{
    ConversationId, OriginatorConversationId, QueueTimeout, ReceiptNumber, Timestamp, Transaction,
    b2c::{B2cFailure, B2cOutcome, B2cPayout, B2cResult},
    initiated::RequestPurpose,
};

/// How far a payout has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PayoutState {
    /// Not sent, or provably not carried out: it may be sent.
    Created,
    /// Being sent. Found so after a crash, its outcome is unknown.
    Sending,
    /// Daraja took it; nobody is known to be paid.
    Accepted,
    /// It may have been carried out.
    Unknown,
    /// Provably not carried out, and the same request would be refused again: the words say why. To pay all the same, put
    /// the cause right and make a new payout.
    Refused(Box<str>),
    /// The money was paid. This is left only if it was believed by its URL alone, in version 1, and Daraja's answer then
    /// names another payment.
    Paid(B2cPayout),
    /// No money was paid, says a result or the transaction's status. Only a receipt changes this.
    Failed(B2cFailure),
}

impl PayoutState {
    /// Whether it is known what became of the money.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Paid(_) | Self::Failed(_))
    }
}

/// What can safely be done next.
///
/// ```
/// # use daraja::{B2cPayment, Payout, Shillings, simulator::Simulator};
/// use daraja::NextStep;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> daraja::Result<()> {
/// # let simulator = Simulator::new();
/// # let (daraja, initiator) = (simulator.client(), simulator.initiator());
/// # let (code, amount) = (simulator.b2c_short_code(), Shillings::new(10)?);
/// # let payment = B2cPayment::new(&initiator, code, "0712345678".parse()?, amount, simulator.result_urls());
/// let mut payout = Payout::new(payment);
/// assert_eq!(payout.next_step(daraja.now()), NextStep::Send);
/// let dispatch = payout.begin(daraja.now())?;
/// // It is under way: no other worker is to send it meanwhile.
/// assert!(matches!(payout.next_step(daraja.now()), NextStep::Wait(_)));
/// assert!(payout.begin(daraja.now()).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NextStep {
    /// [Begin](super::Payout::begin) and send it: it was not sent yet, or provably not carried out.
    Send,
    /// [Begin](super::Payout::begin) and send the same payment again: Daraja deduplicates it by its id.
    SendAgainWithSameId,
    /// Ask what became of it, with the [status query](super::Payout::status_query).
    AskStatus,
    /// Do nothing before this time, unless an event comes first.
    Wait(Timestamp),
    /// Nothing more: it is settled.
    Done,
}

/// Two things that cannot both be true. A person has to look at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Contradiction {
    /// It was refused, or told to have failed, and then a receipt came.
    PaidAfterFailure,
    /// It was paid, and then told to have failed.
    FailureAfterPayment,
    /// It was paid, and then told to be paid under another receipt: perhaps it was paid twice.
    SecondReceipt(ReceiptNumber),
    /// What was reported under its id, or at its URL before the ids were known, cannot be this payment: it has another
    /// amount, another recipient or another id, contradicts itself, or was done long before this one was sent. Perhaps the id
    /// was used for another payment. With that one's receipt, if there is one.
    OtherPayment(Option<ReceiptNumber>),
}

/// What was reported at the URL of a payout, and does not settle it.
///
/// Either it is not known by which ids Daraja has the payment: the URL alone says that it is about this payout, and a URL can
/// be used for two. It is used when the answer to the payment names the same ids. Or it is a failure, and the payment was
/// sent more than once: it may be the failure of a repeat while the first request has paid, so the transaction's status has
/// to agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unplaced {
    /// The id that it names, by which it can be [asked for](super::Payout::status_query).
    pub originator_conversation_id: Option<OriginatorConversationId>,
    /// The gateway's id that it names.
    pub conversation_id: Option<ConversationId>,
    /// What was reported; `None` is a queue timeout.
    pub outcome: Option<B2cOutcome>,
    /// What the verified URL that it came to is for.
    #[serde(default)]
    pub purpose: Option<RequestPurpose>,
}

impl Unplaced {
    pub(super) fn result(result: &B2cResult) -> Self {
        Self {
            originator_conversation_id: result.originator_conversation_id.clone(),
            conversation_id: result.conversation_id.clone(),
            outcome: Some(result.outcome.clone()),
            purpose: result.purpose(),
        }
    }

    pub(super) fn timeout(timeout: &QueueTimeout) -> Self {
        Self {
            originator_conversation_id: timeout.originator_conversation_id.clone(),
            conversation_id: timeout.conversation_id.clone(),
            outcome: None,
            purpose: timeout.purpose(),
        }
    }

    /// A transaction that a question found. `None` if it did not end.
    pub(super) fn transaction(transaction: &Transaction) -> Option<Self> {
        let receipt = transaction.proof();
        let outcome = match receipt {
            Some(receipt) => B2cOutcome::Paid(B2cPayout::found(transaction, receipt)),
            None => B2cOutcome::Failed(B2cFailure::found(&transaction.status)?),
        };
        Some(Self {
            originator_conversation_id: transaction.originator_conversation_id.clone(),
            conversation_id: transaction.conversation_id.clone(),
            outcome: Some(outcome),
            purpose: None,
        })
    }

    pub(super) fn receipt(&self) -> Option<ReceiptNumber> {
        match &self.outcome {
            Some(B2cOutcome::Paid(paid)) => Some(paid.receipt),
            Some(B2cOutcome::Unproven(unproven)) => unproven.receipt,
            Some(B2cOutcome::Failed(_)) | None => None,
        }
    }
}

/// How many requests Daraja may have accepted under the id. A failure may be that of another one than the one that paid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Requests {
    #[default]
    One,
    PerhapsSeveral,
    /// A repeat was accepted as if it were a payment of its own: nothing undoes that.
    Several,
}

impl Requests {
    pub(super) fn perhaps_several(&mut self) {
        if *self == Self::One {
            *self = Self::PerhapsSeveral;
        }
    }

    /// Daraja refused a repeat at once, so it has accepted one.
    pub(super) fn one(&mut self) {
        if *self == Self::PerhapsSeveral {
            *self = Self::One;
        }
    }
}
