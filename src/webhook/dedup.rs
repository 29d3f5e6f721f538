//! The key by which the same event is known again.

use std::fmt;

use super::Event;
use crate::{
    B2cOutcome, BalanceOutcome, ReversalOutcome, StatusOutcome, StkOutcome,
    c2b::{C2bNotice, C2bStage},
    error::mask,
    initiated::ResultEnvelope,
    wire::digest,
};

/// Longer keys are digested.
const MOST: usize = 240;

/// What the key of money that came in begins with.
const RECEIPT: &str = "receipt:";

/// The key by which the same event is known again: at most 240 characters.
///
/// Money that came in goes by its receipt, whichever event reports it. All else goes by kind, id and code; results and queue
/// timeouts have the purpose of their URL in the kind, so that an event at the URL of a question never uses up the key of a
/// payout's. An event that names nothing, such as a timeout without ids, goes by its body. An event that proves nothing, such
/// as a success without a receipt, has another key than the one that proves it. A key can hold a phone number, as a
/// `CheckoutRequestID` does: `Debug` masks it.
///
/// ```
/// use daraja::{c2b::C2bNotice, webhook::Event};
///
/// let callback = Event::parse(br#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":0,
///     "CallbackMetadata":{"Item":[{"Name":"MpesaReceiptNumber","Value":"NLJ7RT61SV"}]}}}}"#)?;
/// let confirmation = Event::from(C2bNotice::confirmation(br#"{"TransID":"NLJ7RT61SV","TransAmount":"5.00"}"#)?);
/// assert_eq!(callback.dedup_key(), confirmation.dedup_key());
/// assert_eq!(callback.dedup_key().as_str(), "receipt:NLJ7RT61SV");
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DedupKey(Box<str>);

impl DedupKey {
    /// The key, as it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn stored(key: &str) -> Self {
        Self(key.into())
    }

    /// Whether it is that of money that came in, which two URLs can report.
    pub(super) fn is_receipt(&self) -> bool {
        self.0.starts_with(RECEIPT)
    }

    /// The key of an event at the URL of this reference. Its space keeps it apart from all keys without one.
    pub(super) fn at(&self, reference: &str) -> Self {
        let whole = format!("{reference} {self}");
        if whole.chars().count() <= MOST {
            return Self(whole.into());
        }
        let (kind, _) = self.0.split_once(':').unwrap_or_default();
        Self(format!("{kind}:{:032x}", digest(whole.as_bytes())).into())
    }

    pub(super) fn of(event: &Event) -> Self {
        Self(
            match event {
                Event::Stk(callback) => {
                    let id = &callback.checkout_request_id;
                    match &callback.outcome {
                        StkOutcome::Paid(payment) => format!("{RECEIPT}{}", payment.receipt),
                        StkOutcome::Failed(failure) => format!("stk:{id}:{}", failure.code()),
                        // A failure that holds a receipt is another event than a failure: a person has to look.
                        StkOutcome::Unproven(told) => {
                            let receipt = told.receipt.map(|receipt| format!(":{receipt}")).unwrap_or_default();
                            format!("stk:{id}:{}{receipt}:unproven", told.code)
                        }
                    }
                }
                Event::Result(result) => of_result(event, result),
                Event::QueueTimeout(timeout) => format!("{}:{}", event.kind(), request(event, timeout.digest)),
                Event::C2b(notice) => of_notice(notice),
                Event::Unknown(unknown) => format!("unknown:{:032x}", digest(unknown.raw().as_bytes())),
            }
            .into(),
        )
    }
}

/// The id of the request: one's own, or else the gateway's. What names none goes by its whole body.
fn request(event: &Event, digest: u128) -> String {
    let ids = event.correlation();
    match (ids.originator_conversation_id, ids.conversation_id) {
        (Some(id), _) => id.to_string(),
        (None, Some(id)) => id.to_string(),
        (None, None) => format!("{digest:032x}"),
    }
}

/// A success has its transaction in the key: a second one under the same id is money that left twice, which must be seen.
fn of_result(event: &Event, result: &ResultEnvelope) -> String {
    let receipt = || result.parameter("TransactionReceipt").and_then(|text| text.trim().parse().ok());
    let transaction = result.transaction_id().or_else(receipt).filter(|_| result.code.is_success());
    let transaction = transaction.map(|transaction| format!(":{transaction}")).unwrap_or_default();
    let unproven = if is_conclusive(result) { "" } else { ":unproven" };
    format!("{}:{}:{}{transaction}{unproven}", event.kind(), request(event, result.digest), result.code)
}

/// Whether it settles anything, read as one of the things that it may be.
fn is_conclusive(result: &ResultEnvelope) -> bool {
    let paid = || result.b2c().is_some_and(|result| !matches!(result.outcome, B2cOutcome::Unproven(_)));
    let reversed = || result.reversal().is_some_and(|result| !matches!(result.outcome, ReversalOutcome::Unproven(_)));
    let found = || {
        result.transaction_status().is_some_and(|result| match result.outcome {
            StatusOutcome::Found(transaction) => transaction.proof().is_some(),
            StatusOutcome::NotFound | StatusOutcome::Failed(_) => true,
            StatusOutcome::Unproven(_) => false,
        })
    };
    let known = || {
        result.account_balance().is_some_and(|result| match result.outcome {
            BalanceOutcome::Known(_) | BalanceOutcome::Failed(_) => true,
            BalanceOutcome::Unproven(_) => false,
        })
    };
    paid() || reversed() || found() || known()
}

/// A question must not use up the key of its confirmation.
fn of_notice(notice: &C2bNotice) -> String {
    let receipt = notice.receipt;
    match notice.stage {
        // What is no receipt, such as `0`, may stand in the notices of several payments.
        C2bStage::Confirmation if notice.proof().is_none() => format!("c2b-confirmation:{:032x}", notice.digest),
        C2bStage::Confirmation => format!("{RECEIPT}{receipt}"),
        C2bStage::Validation => format!("c2b-validation:{receipt}"),
        C2bStage::Unclear => format!("c2b:{receipt}"),
    }
}

impl AsRef<str> for DedupKey {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for DedupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for DedupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, rest) = self.0.split_once(':').unwrap_or_default();
        let shown = if kind == "receipt" { rest.to_owned() } else { mask(rest) };
        write!(f, "DedupKey({kind}:{shown})")
    }
}
