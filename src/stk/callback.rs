//! The callback of a push: what became of it, told once. Daraja page: "M-Pesa Express".
//!
//! Read in one pass, by name, whatever the order, with numbers or strings: see the variants in `tests/fixtures/stk`.

use std::{borrow::Cow, fmt};

use serde::de::MapAccess;

use super::failure::{Source, StkFailure};
use crate::{
    CheckoutRequestId, Kes, MerchantRequestId, Msisdn, ReceiptNumber, ResultCode, Timestamp,
    error::{DecodeError, redact},
    wire::{Fields, Named, Object, Once, Quote, Scalar, Told, next_text, read_posted, skip},
};

/// What became of a push, as Daraja's callback tells it.
///
/// A callback comes once, unsigned: believe it only if it came to a URL that nobody can guess, and compare the amount
/// with what was asked. It may come before the answer to the push, late, or never.
///
/// ```
/// use daraja::{Kes, StkCallback, StkOutcome};
///
/// let callback = StkCallback::parse(br#"{"Body":{"stkCallback":{
///     "MerchantRequestID":"29115-34620561-1","CheckoutRequestID":"ws_CO_191220191020363925",
///     "ResultCode":0,"ResultDesc":"The service request is processed successfully.",
///     "CallbackMetadata":{"Item":[{"Name":"Amount","Value":1.00},{"Name":"MpesaReceiptNumber","Value":"NLJ7RT61SV"},
///         {"Name":"Balance"},{"Name":"PhoneNumber","Value":254708374149}]}}}}"#)?;
/// let StkOutcome::Paid(payment) = &callback.outcome else { panic!("paid") };
/// assert_eq!(payment.receipt.as_str(), "NLJ7RT61SV");
/// assert_eq!(payment.amount, Some(Kes::from_cents(100)));
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StkCallback {
    /// Which push this is about; the answer to the push named it.
    pub checkout_request_id: CheckoutRequestId,
    /// The gateway's own id, for Safaricom's support.
    pub merchant_request_id: Option<MerchantRequestId>,
    /// What became of it.
    pub outcome: StkOutcome,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StkOutcome {
    /// Money came in: a zero code and a receipt.
    Paid(StkPayment),
    /// No money came in, finally.
    Failed(StkFailure),
    /// Neither is proved: ask with an [`StkQuery`](super::StkQuery).
    Unproven(StkUnproven),
}

/// Money that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StkPayment {
    /// M-PESA's receipt: the one identity of this money, in the customer's SMS as well.
    pub receipt: ReceiptNumber,
    /// What was paid. Compare it with what was asked.
    pub amount: Option<Kes>,
    /// Who paid.
    pub payer: Option<Msisdn>,
    /// When it was paid.
    pub completed_at: Option<Timestamp>,
}

/// A callback that proves neither a payment nor a failure.
///
/// Money may have come in all the same, above all if it [speaks for a payment](Self::speaks_for_payment): ask with an
/// [`StkQuery`](super::StkQuery), keep the receipt, and do not ask the customer again.
///
/// ```
/// use daraja::{StkCallback, StkOutcome, stk::WhyUnproven};
///
/// // A success whose metadata is missing. A query that reports a failure afterwards does not overrule it.
/// let callback = StkCallback::parse(br#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":0}}}"#)?;
/// let StkOutcome::Unproven(unproven) = callback.outcome else { panic!("no receipt") };
/// assert_eq!(unproven.why, WhyUnproven::NoReceipt);
/// assert!(unproven.speaks_for_payment());
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StkUnproven {
    /// Daraja's code.
    pub code: ResultCode,
    /// Daraja's words.
    pub description: Box<str>,
    /// Why nothing is proved.
    pub why: WhyUnproven,
    /// The receipt that stands beside a code that is no success. It proves nothing; keep it, to look the money up.
    pub receipt: Option<ReceiptNumber>,
}

/// Why a report proves neither a payment nor a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhyUnproven {
    /// The code is a success, and no receipt came with it.
    NoReceipt,
    /// The code is a success, and what came as the receipt is none: `0`, for example, or 8 characters.
    UnreadableReceipt,
    /// The code is not known to be final, and no receipt came with it.
    UnknownCode,
    /// Two parts of the report cannot both be true: two different receipts, or anything that may be a receipt beside a
    /// code that is no success.
    Contradicted,
}

impl StkUnproven {
    /// Whether the code is a success, or a receipt came, or anything that may be one.
    ///
    /// Then only a success settles the payment: a query that reports a failure afterwards does not.
    #[must_use]
    pub fn speaks_for_payment(&self) -> bool {
        self.why != WhyUnproven::UnknownCode
    }
}

impl fmt::Debug for StkUnproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StkUnproven")
            .field("code", &self.code)
            .field("why", &self.why)
            .field("receipt", &self.receipt)
            .finish_non_exhaustive()
    }
}

impl StkCallback {
    /// Reads a callback's body. Unknown keys are let pass, and so is anything but the two that matter: which push, and
    /// with which code.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if it is larger than 64 KiB, no JSON, names no push or no code, or gives either twice, differently.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        read_posted(body, Quote::Redacted, Read::finish)
    }
}

impl StkOutcome {
    /// What speaks for a payment outweighs what speaks against it, whatever came later: a failure does not undo a success,
    /// nor a success that lacks its receipt, which only a query can settle.
    pub(crate) fn weight(&self) -> u8 {
        match self {
            Self::Unproven(told) if !told.speaks_for_payment() => 0,
            Self::Failed(_) => 1,
            Self::Unproven(_) => 2,
            Self::Paid(_) => 3,
        }
    }

    pub(crate) fn speaks_for_payment(&self) -> bool {
        match self {
            Self::Paid(_) => true,
            Self::Failed(_) => false,
            Self::Unproven(told) => told.speaks_for_payment(),
        }
    }
}

/// What a callback held, before anything is concluded from it.
#[derive(Default)]
struct Read<'a> {
    checkout_request_id: Once<Cow<'a, str>>,
    merchant_request_id: Option<Cow<'a, str>>,
    code: Once<ResultCode>,
    description: Option<Cow<'a, str>>,
    items: Items<'a>,
}

#[derive(Default)]
struct Items<'a> {
    receipt: Once<Cow<'a, str>>,
    amount: Once<Kes>,
    payer: Once<Msisdn>,
    completed_at: Option<Timestamp>,
}

impl Read<'_> {
    fn finish(self) -> Result<StkCallback, &'static str> {
        let id = self.checkout_request_id;
        let id = id.required("holds no CheckoutRequestID", "holds two different CheckoutRequestIDs")?;
        let code = self.code.required("holds no ResultCode", "holds two different ResultCodes")?;
        Ok(StkCallback {
            checkout_request_id: id.parse().map_err(|_| "holds no readable CheckoutRequestID")?,
            merchant_request_id: self.merchant_request_id.and_then(|id| id.parse().ok()),
            outcome: conclude(code, self.description.as_deref().unwrap_or_default(), self.items),
        })
    }
}

/// Paid only with a zero code and a receipt that is not a dummy; failed only with a code that is known to be final.
fn conclude(code: ResultCode, description: &str, items: Items<'_>) -> StkOutcome {
    let Items { receipt, amount, payer, completed_at } = items;
    let is_contradicted = matches!(receipt, Once::Contradicted);
    let unproven = |code, why, receipt| {
        StkOutcome::Unproven(StkUnproven { code, description: redact(description, 200).into(), why, receipt })
    };
    match (code.is_success(), Told::of(receipt)) {
        (true, Told::Receipt(receipt)) => {
            let (amount, payer) = (amount.given(), payer.given());
            StkOutcome::Paid(StkPayment { receipt, amount, payer, completed_at })
        }
        (true, Told::Nothing) => unproven(code, WhyUnproven::NoReceipt, None),
        (true, Told::Rubbish) if is_contradicted => unproven(code, WhyUnproven::Contradicted, None),
        (true, Told::Rubbish) => unproven(code, WhyUnproven::UnreadableReceipt, None),
        (false, Told::Nothing) => match StkFailure::known(code, description, Source::Callback) {
            Ok(failure) => StkOutcome::Failed(failure),
            Err(code) => unproven(code, WhyUnproven::UnknownCode, None),
        },
        (false, Told::Receipt(receipt)) => unproven(code, WhyUnproven::Contradicted, Some(receipt)),
        (false, Told::Rubbish) => unproven(code, WhyUnproven::Contradicted, None),
    }
}

/// The whole document, `{"Body":{"stkCallback":{..}}}`, or the inner parts alone, as proxies have been seen to send. All
/// levels are read alike: the keys do not overlap.
impl<'a> Fields<'a> for Read<'a> {
    fn field<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "Body" | "stkCallback" => map.next_value_seed(Object(self)),
            "CallbackMetadata" => {
                map.next_value_seed(Named(&mut |name: Cow<'a, str>, value| self.items.add(&name, value)))
            }
            "CheckoutRequestID" => {
                next_text(map).map(|id| id.into_iter().for_each(|id| self.checkout_request_id.add(id)))
            }
            "ResultCode" => map.next_value().map(|code| self.code.add(code)),
            "MerchantRequestID" => next_text(map).map(|id| self.merchant_request_id = id),
            "ResultDesc" => next_text(map).map(|words| self.description = words),
            _ => skip(map),
        }
    }
}

impl<'a> Items<'a> {
    fn add(&mut self, name: &str, value: Scalar<'a>) {
        match name {
            "MpesaReceiptNumber" => {
                if let Some(receipt) = value.into_text().filter(|receipt| !receipt.trim().is_empty()) {
                    self.receipt.add(receipt);
                }
            }
            "Amount" => self.amount.add_read(value.to_kes()),
            "PhoneNumber" => self.payer.add_read(value.read(Msisdn::try_from)),
            "TransactionDate" => self.completed_at = value.read(Timestamp::try_from),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(code: &str, receipt: &str) -> StkOutcome {
        let items = format!(r#"{{"Item":[{{"Name":"MpesaReceiptNumber","Value":"{receipt}"}}]}}"#);
        let body = format!(
            r#"{{"stkCallback":{{"CheckoutRequestID":"ws_CO_1","ResultCode":{code},"CallbackMetadata":{items}}}}}"#
        );
        StkCallback::parse(body.as_bytes()).unwrap().outcome
    }

    #[test]
    fn what_proves_nothing_weighs_less_than_a_failure_unless_it_speaks_for_a_payment() {
        let weight = |code: &str, receipt: &str| read(code, receipt).weight();
        let rising = [weight("26", ""), weight("1032", ""), weight("0", ""), weight("0", "UJ65WSR9W7")];
        assert_eq!(rising, [0, 1, 2, 3]);
        let outweigh_a_failure =
            [("0", "UJ65WSR9"), ("1032", "UJ65WSR9W7"), ("1032", "UJ65WSR9"), ("26", "UJ65WSR9W7"), ("26", "UJ65WSR9")];
        for (code, receipt) in outweigh_a_failure {
            assert_eq!(weight(code, receipt), 2, "{code} {receipt}");
            assert!(read(code, receipt).speaks_for_payment(), "{code} {receipt}");
        }
        assert!(read("0", "UJ65WSR9W7").speaks_for_payment());
        assert!(!read("1032", "").speaks_for_payment() && !read("26", "").speaks_for_payment());
    }
}
