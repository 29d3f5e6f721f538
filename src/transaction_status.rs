//! Transaction status: what became of any transaction of yours. Daraja page: "Transaction Status".

use std::borrow::Cow;

use serde::Serialize;

use crate::{
    Answer, ConversationId, Initiator, Kes, Operation, OriginatorConversationId, Party, ReceiptNumber, Remarks, Repeat,
    Result, ResultCode, ResultUrls, Rules, ShortCode, Timestamp,
    code::{Unproven, Why},
    error::{DecodeError, mask, mask_id},
    initiated::{Accepted, Asking, Envelope, Ids, InitiatorFields, RequestFailure, ResultKind},
    wire::{Text, Told},
};

pub(crate) const STATUS_PATH: &str = "/mpesa/transactionstatus/v1/query";

/// "The transaction receipt number does not exist.", and the same of the ids.
const NOT_FOUND: [ResultCode; 2] = [ResultCode::new(2032), ResultCode::new(2033)];

/// Asks what became of a transaction, by its receipt or by the id that a payout was sent under. It moves no money and may
/// be repeated. It is the way out of every unknown outcome of a payout.
///
/// A payment by M-PESA Express can be asked for by its receipt only.
///
/// The answer, [`Accepted`], says that the question was taken. What is known comes to the result URL as a
/// [`TransactionStatusResult`], some seconds later; it has been seen to take a minute and a half, and not to come at all.
///
/// ```
/// use daraja::{
///     B2cPayment, Shillings, StatusOutcome, TransactionState, TransactionStatusQuery, TransactionStatusResult,
///     simulator::Simulator,
/// };
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> daraja::Result<()> {
/// let simulator = Simulator::new();
/// let (daraja, initiator, urls) = (simulator.client(), simulator.initiator(), simulator.result_urls());
/// let (code, supplier) = (simulator.b2c_short_code(), "0712 345 678".parse()?);
/// simulator.recipient(supplier).result_lost();
/// let payment = B2cPayment::new(&initiator, code, supplier, Shillings::new(500)?, urls.clone());
/// daraja.send(&payment).await?;
///
/// // No result comes for a minute: ask.
/// tokio::time::sleep(std::time::Duration::from_secs(60)).await;
/// daraja.send(&TransactionStatusQuery::by_id(&initiator, code, payment.id(), urls)).await?;
/// let posted = simulator.next_result().await;
/// let StatusOutcome::Found(transaction) = TransactionStatusResult::parse(&posted.body)?.outcome else { panic!("found") };
/// assert_eq!(transaction.status, TransactionState::Completed);
/// assert_eq!(transaction.amount, Some(Shillings::new(500)?.into()));
/// # Ok(())
/// # }
/// ```
#[must_use = "a query does nothing until it is sent"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionStatusQuery {
    asking: Asking,
    short_code: ShortCode,
    wanted: Wanted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Receipt(ReceiptNumber),
    Id(OriginatorConversationId),
}

impl TransactionStatusQuery {
    /// Asks for a transaction of this short code by its receipt.
    pub fn by_receipt(initiator: &Initiator, short_code: ShortCode, receipt: ReceiptNumber, urls: ResultUrls) -> Self {
        Self { asking: Asking::new(initiator, urls), short_code, wanted: Wanted::Receipt(receipt) }
    }

    /// Asks for a payout of this short code by the id that it was sent under.
    pub fn by_id(
        initiator: &Initiator,
        short_code: ShortCode,
        id: &OriginatorConversationId,
        urls: ResultUrls,
    ) -> Self {
        Self { asking: Asking::new(initiator, urls), short_code, wanted: Wanted::Id(id.clone()) }
    }

    /// The id that is asked by.
    pub(crate) fn id(&self) -> Option<&OriginatorConversationId> {
        match &self.wanted {
            Wanted::Id(id) => Some(id),
            Wanted::Receipt(_) => None,
        }
    }

    /// A note of 2 to 100 characters; `Status` if it is left out.
    pub fn remarks(mut self, remarks: Remarks) -> Self {
        self.asking.remarks = Some(remarks);
        self
    }
}

impl Operation for TransactionStatusQuery {
    type Response = Accepted;

    fn path(&self) -> &str {
        STATUS_PATH
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn about(&self) -> Option<Cow<'_, str>> {
        Some(match &self.wanted {
            Wanted::Receipt(receipt) => mask(receipt.as_str()).into(),
            Wanted::Id(id) => mask_id(id.as_str()).into(),
        })
    }

    fn check(&self, rules: &Rules) -> Result<()> {
        Ok(self.asking.check(rules)?)
    }

    fn body(&self, _now: Timestamp) -> impl Serialize + Send {
        let (receipt, id) = match &self.wanted {
            Wanted::Receipt(receipt) => (Some(receipt.as_str().into()), None),
            Wanted::Id(id) => (None, Some(id.as_str().into())),
        };
        StatusBody {
            common: self.asking.fields("TransactionStatusQuery", "Status"),
            transaction_id: receipt,
            original_conversation_id: id,
            party_a: self.short_code.as_str().into(),
            identifier_type: "4".into(),
        }
    }

    fn decode(&self, answer: &Answer) -> Result<Accepted> {
        Accepted::read(answer)
    }
}

/// What a transaction status query found.
///
/// It comes once, unsigned, to the result URL. Money moved only if the transaction is completed.
///
/// ```
/// use daraja::{StatusOutcome, TransactionState, TransactionStatusResult};
///
/// let result = TransactionStatusResult::parse(br#"{"Result":{"ResultCode":0,"ConversationID":"AG_of_the_question",
///     "ResultParameters":{"ResultParameter":[{"Key":"TransactionStatus","Value":"Completed"},
///     {"Key":"ReceiptNo","Value":"SG632NMUAB"},{"Key":"Amount","Value":"5000.00"},
///     {"Key":"CreditPartyName","Value":"254700000001 - NAME SURNAME"}]}}}"#)?;
/// let StatusOutcome::Found(transaction) = result.outcome else { panic!("found") };
/// assert_eq!(transaction.status, TransactionState::Completed);
/// assert_eq!(transaction.proof().unwrap().as_str(), "SG632NMUAB");
///
/// // A question that finds nothing proves nothing: it is answered so right after a payment as well.
/// let result = TransactionStatusResult::parse(br#"{"Result":{"ResultCode":2032,"ConversationID":"AG_of_the_question"}}"#)?;
/// assert_eq!(result.outcome, StatusOutcome::NotFound);
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionStatusResult {
    /// The id of the **question**, not of the transaction that was asked for.
    pub originator_conversation_id: Option<OriginatorConversationId>,
    /// The gateway's id of the **question**.
    pub conversation_id: Option<ConversationId>,
    /// What was found.
    pub outcome: StatusOutcome,
}

/// What a transaction status query found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusOutcome {
    /// The transaction.
    Found(Transaction),
    /// 2032, 2033: no such transaction is known. That does not prove that there is none: it is said of young ones as well.
    NotFound,
    /// The question failed, which says nothing about the transaction.
    Failed(RequestFailure),
    /// A zero code without anything about a transaction: it proves nothing, and can be the answer to another request.
    Unproven(Unproven),
}

/// A transaction as Daraja has it in its books.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transaction {
    /// How far it got. Money moved only if it is [`Completed`](TransactionState::Completed).
    pub status: TransactionState,
    /// Its receipt.
    pub receipt: Option<ReceiptNumber>,
    /// The amount.
    pub amount: Option<Kes>,
    /// Who paid.
    pub debit_party: Option<Party>,
    /// Who was paid.
    pub credit_party: Option<Party>,
    /// The id that it was sent under.
    pub originator_conversation_id: Option<OriginatorConversationId>,
    /// The gateway's id of it.
    pub conversation_id: Option<ConversationId>,
    /// When it was asked for.
    pub initiated_at: Option<Timestamp>,
    /// When it ended.
    pub finalised_at: Option<Timestamp>,
    /// What Safaricom took for it.
    pub charges: Option<Kes>,
    contradicted: bool,
}

impl Transaction {
    /// The receipt, if it proves that the money moved: the transaction is completed, and the answer does not
    /// [contradict itself](Self::is_contradicted).
    #[must_use]
    pub fn proof(&self) -> Option<ReceiptNumber> {
        self.receipt.filter(|_| self.status == TransactionState::Completed && !self.contradicted)
    }

    /// Whether the answer says two things that cannot both be true: two states, receipts, amounts, recipients, ids or times
    /// of its end. An amount that cannot be read counts as well. What is contradicted is absent, and nothing is proved: a
    /// person has to look at it.
    #[must_use]
    pub fn is_contradicted(&self) -> bool {
        self.contradicted
    }
}

/// How far a transaction got.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionState {
    /// Done: the money moved.
    Completed,
    /// Refused, finally.
    Declined,
    /// Cancelled, finally.
    Cancelled,
    /// Expired, finally.
    Expired,
    /// `Initiated`, `Authorized` or `Pending Authorized`: not done yet.
    Pending,
    /// Anything else, or nothing. It proves nothing.
    Other(Box<str>),
}

impl From<&str> for TransactionState {
    fn from(words: &str) -> Self {
        let words = words.trim();
        let is = |name: &str| words.eq_ignore_ascii_case(name);
        match words {
            _ if is("Completed") => Self::Completed,
            _ if is("Declined") => Self::Declined,
            _ if is("Cancelled") => Self::Cancelled,
            _ if is("Expired") => Self::Expired,
            _ if is("Initiated") || is("Authorized") || is("Pending Authorized") => Self::Pending,
            other => Self::Other(crate::error::redact(other, 64).into()),
        }
    }
}

impl TransactionStatusResult {
    /// Reads a result's body. Unknown keys are let pass, and so is anything but the code.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], which quotes nothing, if it is larger than 64 KiB, no JSON, has no code, or gives code or ids
    /// twice, differently.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        Envelope::parse(body, Self::of)
    }

    pub(crate) fn of(
        envelope: &Envelope<'_>,
        code: ResultCode,
        (originator_conversation_id, conversation_id): Ids,
    ) -> Self {
        let outcome = match code {
            code if code.is_success() && envelope.is_of(ResultKind::TransactionStatus) => {
                StatusOutcome::Found(found(envelope))
            }
            code if code.is_success() => {
                StatusOutcome::Unproven(Unproven::new(code, envelope.description(), Why::NoParameters))
            }
            code if NOT_FOUND.contains(&code) => StatusOutcome::NotFound,
            code => StatusOutcome::Failed(RequestFailure::new(code, envelope.description())),
        };
        Self { originator_conversation_id, conversation_id, outcome }
    }
}

fn found(envelope: &Envelope<'_>) -> Transaction {
    let status = envelope.once("TransactionStatus", |words| words.into());
    let receipt = envelope.receipt("ReceiptNo");
    let amount = envelope.kes("Amount");
    let credit_party = envelope.party("CreditPartyName");
    let originator_conversation_id = envelope.once("OriginatorConversationID", |id| id.parse().ok());
    let conversation_id = envelope.once("ConversationID", |id| id.parse().ok());
    let finalised_at = envelope.timestamp("FinalisedTime");
    Transaction {
        contradicted: status.is_contradicted()
            || receipt == Told::Contradicted
            || amount.is_contradicted()
            || credit_party.is_contradicted()
            || originator_conversation_id.is_contradicted()
            || conversation_id.is_contradicted()
            || finalised_at.is_contradicted(),
        status: status.given().unwrap_or_else(|| "".into()),
        receipt: receipt.receipt(),
        amount: amount.given(),
        debit_party: envelope.party("DebitPartyName").given(),
        credit_party: credit_party.given(),
        originator_conversation_id: originator_conversation_id.given().flatten(),
        conversation_id: conversation_id.given().flatten(),
        initiated_at: envelope.timestamp("InitiatedTime").given().flatten(),
        finalised_at: finalised_at.given().flatten(),
        charges: envelope.text("DebitPartyCharges").and_then(|text| charge(&text)),
    }
}

/// The last part of `Fee For B2C Payment|KES|22.40`.
pub(crate) fn charge(text: &str) -> Option<Kes> {
    text.rsplit('|').next()?.trim().parse().ok()
}

/// The request as it stands on the wire.
#[derive(Serialize)]
#[cfg_attr(feature = "simulator", derive(serde::Deserialize, Default), serde(default))]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StatusBody<'a> {
    #[serde(borrow, flatten)]
    pub(crate) common: InitiatorFields<'a>,
    #[serde(borrow, rename = "TransactionID", skip_serializing_if = "Option::is_none")]
    pub(crate) transaction_id: Option<Text<'a>>,
    /// The newest pages call it so; older ones call it `OriginatorConversationID`.
    #[serde(borrow, rename = "OriginalConversationID", skip_serializing_if = "Option::is_none")]
    pub(crate) original_conversation_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) party_a: Text<'a>,
    #[serde(borrow)]
    pub(crate) identifier_type: Text<'a>,
}
