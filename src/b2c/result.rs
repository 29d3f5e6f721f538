//! The result of a payout: what became of it, told once. Daraja page: "Business To Customer (B2C)".

use std::fmt;

use serde::{Deserialize, Serialize};

use super::failure::B2cFailure;
use crate::{
    ConversationId, Kes, OriginatorConversationId, Party, ReceiptNumber, ResultCode, Timestamp, Transaction,
    code::{Unproven, Why},
    error::{DecodeError, redact},
    initiated::{Envelope, Ids, RequestPurpose},
    wire::{Once, Told},
};

/// What became of a payout, as Daraja's result tells it.
///
/// A result comes once, unsigned: believe it only if it came to a URL that nobody can guess. It may come before the answer
/// to the payment, late, or never. [`Payout::take_result`](crate::Payout::take_result) compares it with what was sent.
///
/// ```
/// use daraja::{B2cOutcome, B2cResult, Kes};
///
/// let result = B2cResult::parse(br#"{"Result":{"ResultType":0,"ResultCode":0,
///     "ResultDesc":"The service request is processed successfully.",
///     "OriginatorConversationID":"supplier-7-invoice-1042","ConversationID":"AG_20240706_20106e9209f64bebd05b",
///     "TransactionID":"SG632NMUAB","ResultParameters":{"ResultParameter":[
///         {"Key":"TransactionAmount","Value":10},{"Key":"TransactionReceipt","Value":"SG632NMUAB"},
///         {"Key":"ReceiverPartyPublicName","Value":"254700000001 - NAME SURNAME"},
///         {"Key":"TransactionCompletedDateTime","Value":"06.07.2024 22:48:52"},
///         {"Key":"B2CUtilityAccountAvailableFunds","Value":8959269.60}]}}}"#)?;
/// let B2cOutcome::Paid(payout) = result.outcome else { panic!("paid") };
/// assert_eq!(payout.receipt.as_str(), "SG632NMUAB");
/// assert_eq!(payout.recipient.unwrap().name(), Some("NAME SURNAME"));
/// assert_eq!(payout.utility_balance, Some(Kes::from_cents(895_926_960)));
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct B2cResult {
    /// The id of the payment: your own, except in version 1.
    pub originator_conversation_id: Option<OriginatorConversationId>,
    /// The gateway's id of the payment.
    pub conversation_id: Option<ConversationId>,
    /// What became of it.
    pub outcome: B2cOutcome,
    pub(crate) purpose: Option<RequestPurpose>,
}

/// What became of a payout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum B2cOutcome {
    /// The money was paid: a zero code and a receipt.
    Paid(B2cPayout),
    /// No money was paid, finally.
    Failed(B2cFailure),
    /// Neither is proved: ask with a [`TransactionStatusQuery`](crate::TransactionStatusQuery), and do not pay again.
    Unproven(B2cUnproven),
}

/// Money that was paid out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct B2cPayout {
    /// M-PESA's receipt: the one identity of this money, in the recipient's SMS as well.
    pub receipt: ReceiptNumber,
    /// What was paid. Compare it with what was sent.
    pub amount: Option<Kes>,
    /// Who was paid, number and name: personal data.
    pub recipient: Option<Party>,
    /// When it was paid.
    pub completed_at: Option<Timestamp>,
    /// Whether the recipient is a registered customer of M-PESA.
    pub recipient_is_registered: Option<bool>,
    /// What is left in the utility account, which payouts are made from.
    pub utility_balance: Option<Kes>,
    /// What is left in the working account.
    pub working_balance: Option<Kes>,
    /// What is left in the account of charges; it can be negative.
    pub charges_balance: Option<Kes>,
}

impl B2cPayout {
    /// What a transaction's status knows of it.
    pub(crate) fn found(transaction: &Transaction, receipt: ReceiptNumber) -> Self {
        Self {
            receipt,
            amount: transaction.amount,
            recipient: transaction.credit_party.clone(),
            completed_at: transaction.finalised_at,
            recipient_is_registered: None,
            utility_balance: None,
            working_balance: None,
            charges_balance: None,
        }
    }

    /// Fills in what only the second teller knew.
    pub(crate) fn complete(&mut self, told: Self) {
        self.amount = self.amount.or(told.amount);
        self.recipient = self.recipient.take().or(told.recipient);
        self.completed_at = self.completed_at.or(told.completed_at);
        self.recipient_is_registered = self.recipient_is_registered.or(told.recipient_is_registered);
        self.utility_balance = self.utility_balance.or(told.utility_balance);
        self.working_balance = self.working_balance.or(told.working_balance);
        self.charges_balance = self.charges_balance.or(told.charges_balance);
    }
}

/// A result that proves nothing: a zero code without a receipt, a code that is not known to be final, or two things that
/// cannot both be true.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct B2cUnproven {
    /// Why it proves nothing.
    pub why: Why,
    /// Daraja's code. 15 says that the id was seen before; it does not say what became of it.
    pub code: ResultCode,
    /// The `TransactionReceipt`, if there is one and only one. It does not prove this payment: it can be another one's.
    pub receipt: Option<ReceiptNumber>,
    /// Daraja's words.
    pub description: Box<str>,
    /// What a success without `TransactionReceipt` reports: its receipt is the `TransactionID` of the result. Here it proves
    /// nothing. A [`Payout`](crate::Payout) takes it as paid if the result names only the payout's own ids and came to its
    /// [payout URL](B2cResult::purpose).
    #[serde(default)]
    pub without_receipt: Option<B2cPayout>,
}

impl From<&B2cUnproven> for Unproven {
    fn from(report: &B2cUnproven) -> Self {
        Self::new(report.code.clone(), &report.description, report.why.clone())
    }
}

impl fmt::Debug for B2cUnproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("B2cUnproven")
            .field("why", &self.why)
            .field("code", &self.code)
            .field("receipt", &self.receipt)
            .finish_non_exhaustive()
    }
}

impl B2cResult {
    /// Reads a result's body, of B2C v1 and v3, with ID check, and of B2Pochi. Unknown keys are let pass, and so is
    /// anything but the code.
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
        let outcome = conclude(envelope, code);
        Self { originator_conversation_id, conversation_id, outcome, purpose: None }
    }

    pub(crate) fn with_purpose(self, purpose: Option<RequestPurpose>) -> Self {
        Self { purpose, ..self }
    }

    /// What the verified URL that it came to is for, if it was read from an [event](crate::webhook::Event) that a
    /// [`Receiver`](crate::webhook::Receiver) accepted, or that was read again as such a kind.
    #[must_use]
    pub fn purpose(&self) -> Option<RequestPurpose> {
        self.purpose
    }
}

/// Paid only with a zero code and a receipt that is not a dummy; failed only with a code that is known to be final; and
/// neither if the result contradicts itself.
fn conclude(envelope: &Envelope<'_>, code: ResultCode) -> B2cOutcome {
    let description = envelope.description();
    let (receipt, compared) = (receipt(envelope, &code), Compared::of(envelope));
    let why = match (&receipt, code.is_success(), B2cFailure::known(&code, description)) {
        _ if receipt == Told::Contradicted || compared.is_contradicted() => Why::Contradicted,
        (_, false, None) => Why::UnknownCode,
        (Told::Receipt(receipt), true, _) => return B2cOutcome::Paid(paid(envelope, *receipt, compared)),
        (Told::Nothing, false, Some(failure)) => return B2cOutcome::Failed(failure),
        (Told::Nothing, true, _) => Why::NoReceipt,
        (Told::Unreadable(text), ..) => Why::unreadable(text),
        (Told::Receipt(_), false, Some(_)) | (Told::Contradicted, ..) => Why::Contradicted,
    };
    // A dummy in the place of the receipt is not "no receipt": it speaks of a failure.
    let is_left_out = why == Why::NoReceipt && envelope.text("TransactionReceipt").is_none();
    let id = envelope.transaction_id().receipt().filter(|_| is_left_out);
    let without_receipt = id.map(|id| paid(envelope, id, compared));
    let description = redact(description, 200).into();
    B2cOutcome::Unproven(B2cUnproven { why, code, receipt: receipt.receipt(), description, without_receipt })
}

/// The receipt of a success stands in two places, and they have to agree. A failure carries a `TransactionID` as well; that
/// is no receipt.
fn receipt(envelope: &Envelope<'_>, code: &ResultCode) -> Told {
    match (envelope.receipt("TransactionReceipt"), envelope.transaction_id()) {
        (Told::Receipt(receipt), Told::Receipt(id)) if code.is_success() && id != receipt => Told::Contradicted,
        (Told::Receipt(_), id @ (Told::Unreadable(_) | Told::Contradicted)) if code.is_success() => id,
        (receipt, _) => receipt,
    }
}

/// What a payment is compared by.
struct Compared {
    amount: Once<Kes>,
    recipient: Once<Party>,
    completed_at: Once<Option<Timestamp>>,
}

impl Compared {
    fn of(envelope: &Envelope<'_>) -> Self {
        Self {
            amount: envelope.kes("TransactionAmount"),
            recipient: envelope.party("ReceiverPartyPublicName"),
            completed_at: envelope.timestamp("TransactionCompletedDateTime"),
        }
    }

    fn is_contradicted(&self) -> bool {
        self.amount.is_contradicted() || self.recipient.is_contradicted() || self.completed_at.is_contradicted()
    }
}

fn paid(envelope: &Envelope<'_>, receipt: ReceiptNumber, compared: Compared) -> B2cPayout {
    let registered = envelope.text("B2CRecipientIsRegisteredCustomer");
    B2cPayout {
        receipt,
        amount: compared.amount.given(),
        recipient: compared.recipient.given(),
        completed_at: compared.completed_at.given().flatten(),
        recipient_is_registered: registered.and_then(|word| match word.trim() {
            "Y" | "y" => Some(true),
            "N" | "n" => Some(false),
            _ => None,
        }),
        utility_balance: envelope.kes("B2CUtilityAccountAvailableFunds").given(),
        working_balance: envelope.kes("B2CWorkingAccountAvailableFunds").given(),
        charges_balance: envelope.kes("B2CChargesPaidAccountAvailableFunds").given(),
    }
}
