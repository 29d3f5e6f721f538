//! The callback of a push: what became of it, told once. Daraja page: "M-Pesa Express".
//!
//! Read in one pass, by name, whatever the order, with numbers or strings: see the variants in `tests/fixtures/stk`.

use std::{borrow::Cow, fmt};

use serde::de::MapAccess;

use super::failure::{Source, StkFailure};
use crate::{
    CheckoutRequestId, Kes, MerchantRequestId, Msisdn, Payer, ReceiptNumber, ResultCode, Timestamp,
    code::{Unproven, Why},
    error::{DecodeError, redact},
    wire::{Fields, Next, Once, Quote, Scalar, Told, plain, read_posted},
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
    /// Money came in: a zero code, a receipt, and no amount that is contradicted or unreadable.
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
    /// What was paid; `None` if the callback does not report it. Compare it with what was asked.
    pub amount: Option<Kes>,
    /// Who paid, as far as the callback reports it. Compare it with whom you asked: [`Payer::may_be`].
    pub payer: Option<Payer>,
    /// When it was paid.
    pub completed_at: Option<Timestamp>,
}

/// A callback that proves neither a payment nor a failure: a success without a receipt, a code that is unknown or missing,
/// or two values that cannot both be true.
///
/// Money may have come in all the same, above all if it [speaks for a payment](Self::speaks_for_payment): ask with an
/// [`StkQuery`](super::StkQuery), keep the receipt, and do not ask the customer again.
///
/// ```
/// use daraja::{StkCallback, StkOutcome, code::Why};
///
/// // A success whose metadata is missing. A query that reports a failure afterwards does not overrule it.
/// let callback = StkCallback::parse(br#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":0}}}"#)?;
/// let StkOutcome::Unproven(unproven) = callback.outcome else { panic!("no receipt") };
/// assert_eq!(unproven.why, Why::NoReceipt);
/// assert!(unproven.speaks_for_payment());
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StkUnproven {
    /// Daraja's code. It is empty if the callback has no readable code, or two different ones.
    pub code: ResultCode,
    /// Daraja's words.
    pub description: Box<str>,
    /// Why nothing is proved.
    pub why: Why,
    /// The receipt that stands beside a code that is no success, or beside an amount that is contradicted or unreadable. It
    /// proves nothing; keep it, to look the money up.
    pub receipt: Option<ReceiptNumber>,
    speaks_for_payment: bool,
}

impl StkUnproven {
    /// Whether the customer may have paid: always, except if the callback has a plain number for a code, which is not zero,
    /// and no receipt, amount, payer or date beside it.
    ///
    /// Then only a success settles the payment: a query that reports a failure afterwards does not.
    #[must_use]
    pub fn speaks_for_payment(&self) -> bool {
        self.speaks_for_payment
    }
}

impl From<&StkUnproven> for Unproven {
    fn from(report: &StkUnproven) -> Self {
        Self::new(report.code.clone(), &report.description, report.why.clone())
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
    /// Reads a callback's body. Unknown keys are ignored. A value that cannot be read makes only that value unreadable, and
    /// a code that is missing, unreadable or contradicted is [`StkOutcome::Unproven`].
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if it is larger than 64 KiB, no JSON, names no push or two different ones, or has neither a code nor
    /// any metadata.
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
    payer: Once<Payer>,
    completed_at: Once<Timestamp>,
}

impl Read<'_> {
    fn finish(self) -> Result<StkCallback, &'static str> {
        let id = self.checkout_request_id;
        let id = id.required("holds no CheckoutRequestID", "holds two different CheckoutRequestIDs")?;
        let is_codeless = matches!(&self.code, Once::Absent) || self.code == Once::Given(ResultCode::none());
        if is_codeless && self.items.is_empty() {
            return Err("holds no ResultCode");
        }
        Ok(StkCallback {
            checkout_request_id: id.parse().map_err(|_| "holds no readable CheckoutRequestID")?,
            merchant_request_id: self.merchant_request_id.and_then(|id| id.parse().ok()),
            outcome: conclude(self.code, self.description.as_deref().unwrap_or_default(), self.items),
        })
    }
}

/// Paid only with a zero code and a receipt that is not a dummy; failed only with a code that is known to be final; and
/// neither if the code or the amount is contradicted.
fn conclude(code: Once<ResultCode>, description: &str, items: Items<'_>) -> StkOutcome {
    let is_contradicted = code.is_contradicted() || items.amount.is_contradicted();
    let code = code.given().unwrap_or_else(ResultCode::none);
    let receipt = Told::of(items.receipt.as_ref());
    let why = match (&receipt, code.is_success()) {
        (Told::Contradicted, _) => Why::Contradicted,
        _ if is_contradicted => Why::Contradicted,
        (Told::Receipt(receipt), true) => {
            let receipt = *receipt;
            let payer = match items.payer {
                Once::Absent => None,
                Once::Given(payer) => Some(payer),
                Once::Contradicted => Some(Payer::Unreadable("two different numbers".into())),
            };
            let (amount, completed_at) = (items.amount.given(), items.completed_at.given());
            return StkOutcome::Paid(StkPayment { receipt, amount, payer, completed_at });
        }
        (Told::Nothing, true) => Why::NoReceipt,
        (Told::Unreadable(text), true) => Why::unreadable(text),
        (Told::Nothing, false) => match StkFailure::known(code.clone(), description, Source::Callback) {
            Ok(failure) => return StkOutcome::Failed(failure),
            Err(_) => Why::UnknownCode,
        },
        (Told::Receipt(_) | Told::Unreadable(_), false) => Why::Contradicted,
    };
    StkOutcome::Unproven(StkUnproven {
        speaks_for_payment: why != Why::UnknownCode || !items.is_empty() || code.as_number().is_none(),
        code,
        description: redact(description, 200).into(),
        why,
        receipt: receipt.receipt(),
    })
}

/// The whole document, `{"Body":{"stkCallback":{..}}}`, or the inner parts alone, as proxies have been seen to send. All
/// levels are read alike: the keys do not overlap.
impl<'a> Fields<'a> for Read<'a> {
    fn field<A: MapAccess<'a>>(&mut self, key: &str, value: Next<'_, A>) -> Result<(), A::Error> {
        match key {
            "Body" | "stkCallback" => value.object(self),
            "CallbackMetadata" => value.named(&mut |name: Cow<'a, str>, value| self.items.add(&name, value)),
            "CheckoutRequestID" => value.add_text_to(&mut self.checkout_request_id),
            "ResultCode" => value.code().map(|code| self.code.add(code)),
            "MerchantRequestID" => value.text().map(|id| self.merchant_request_id = id),
            "ResultDesc" => value.text().map(|words| self.description = words),
            _ => value.skip(),
        }
    }
}

impl<'a> Items<'a> {
    /// An empty text is no value.
    fn add(&mut self, name: &str, value: Scalar<'a>) {
        if matches!(&value, Scalar::Text(text) if text.trim().is_empty()) {
            return;
        }
        match name {
            // What is neither a text nor a number cannot be read as a receipt: nor can the empty text.
            "MpesaReceiptNumber" => self.receipt.add(value.into_text().unwrap_or_default()),
            "Amount" => self.amount.add_read(value.to_kes()),
            "PhoneNumber" => self.add_payer(&value),
            "TransactionDate" => self.completed_at.add_read(value.read(Timestamp::try_from)),
            _ => {}
        }
    }

    /// What is neither a text nor a number cannot be read as a payer.
    fn add_payer(&mut self, value: &Scalar<'_>) {
        let unreadable = || Some(Payer::Unreadable("no number".into()));
        let other = || value.to_whole_text().map_or_else(unreadable, |text| Payer::read(plain(&text)));
        if let Some(payer) = value.read(Msisdn::try_from).map(Payer::Msisdn).or_else(other) {
            self.payer.add(payer);
        }
    }

    /// Whether nothing in it speaks for a payment. The dummy that stands for a receipt does not.
    fn is_empty(&self) -> bool {
        matches!(Told::of(self.receipt.as_ref()), Told::Nothing)
            && matches!(self.amount, Once::Absent)
            && matches!(self.payer, Once::Absent)
            && matches!(self.completed_at, Once::Absent)
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
