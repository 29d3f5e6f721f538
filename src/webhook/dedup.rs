//! The key by which the same news is known again.

use std::fmt;

use super::Event;
use crate::{
    StkOutcome,
    c2b::{C2bNotice, C2bStage},
    error::mask,
    initiated::ResultEnvelope,
    wire::digest,
};

/// The key by which the same news is known again: at most 240 characters.
///
/// Money that came in goes by its receipt, whoever tells of it; all else by kind, id and code. News that names nothing, such
/// as a timeout without ids, goes by its body, and may be the same for two attempts: it proves nothing of either. It can hold a phone number,
/// as a `CheckoutRequestID` does: `Debug` masks it.
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

    /// The same for news that names what it is about. What names nothing, such as a timeout without ids, is told apart from
    /// other attempts' by its reference only.
    pub(super) fn at(&self, reference: &str, event: &Event) -> Self {
        let names_something = match event {
            Event::Stk(_) => true,
            Event::Result(_) | Event::QueueTimeout(_) => {
                let ids = event.correlation();
                ids.originator_conversation_id.is_some() || ids.conversation_id.is_some()
            }
            Event::C2b(notice) => notice.receipt.is_plausible(),
            Event::Unknown(_) => false,
        };
        if names_something { self.clone() } else { Self(format!("{reference} {self}").into()) }
    }

    pub(super) fn of(event: &Event) -> Self {
        Self(
            match event {
                Event::Stk(callback) => {
                    let id = &callback.checkout_request_id;
                    match &callback.outcome {
                        StkOutcome::Paid(payment) => format!("receipt:{}", payment.receipt),
                        StkOutcome::Failed(failure) => format!("stk:{id}:{}", failure.code()),
                        // A failure that holds a receipt is other news than a failure: a person has to look.
                        StkOutcome::Unproven(told) => format!("stk:{id}:{}:unproven", told.code),
                    }
                }
                Event::Result(result) => of_result(result, &request(event, result.digest)),
                Event::QueueTimeout(timeout) => format!("timeout:{}", request(event, timeout.digest)),
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
fn of_result(result: &ResultEnvelope, id: &str) -> String {
    let receipt = || result.parameter("TransactionReceipt").and_then(|text| text.trim().parse().ok());
    match result.transaction_id().or_else(receipt).filter(|_| result.code.is_success()) {
        Some(transaction) => format!("result:{id}:{}:{transaction}", result.code),
        None => format!("result:{id}:{}", result.code),
    }
}

/// A question must not use up the key of its confirmation.
fn of_notice(notice: &C2bNotice) -> String {
    let receipt = notice.receipt;
    match notice.stage {
        // What is no receipt, such as `0`, may stand in the notices of several payments.
        C2bStage::Confirmation if notice.proof().is_none() => format!("c2b-confirmation:{:032x}", notice.digest),
        C2bStage::Confirmation => format!("receipt:{receipt}"),
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
