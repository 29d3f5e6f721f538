//! How a payment ended, whichever of callback and query proved it.

use super::{
    callback::{StkCallback, StkOutcome, StkPayment},
    failure::{Source, StkFailure},
};
use crate::{
    CheckoutRequestId, Kes, Payer, ReceiptNumber, Timestamp,
    code::Unproven,
    error::{mask, mask_id},
};

/// A payment whose end is known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settled {
    /// Which push it was.
    pub checkout_request_id: CheckoutRequestId,
    /// What became of it.
    pub outcome: Outcome,
    /// Who told.
    pub source: Source,
}

/// How a payment ended. There is no third way, so a `match` needs no other arm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The money came in.
    Paid(Payment),
    /// No money came in.
    Failed(StkFailure),
}

/// Money that came in. A query proves a payment but names neither receipt nor amount nor payer: these are `None` until
/// the callback brings them, see [`Settled::attach`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Payment {
    /// M-PESA's receipt.
    pub receipt: Option<ReceiptNumber>,
    /// What was paid. Compare it with what was asked.
    pub amount: Option<Kes>,
    /// Who paid, as far as the callback reports it. Compare it with whom you asked: [`Payer::may_be`].
    pub payer: Option<Payer>,
    /// When it was paid.
    pub completed_at: Option<Timestamp>,
}

impl Settled {
    /// One line for the log, with the key by which a payment is found.
    pub(super) fn log(&self, reference: Option<&str>) {
        let (checkout_request_id, source) = (mask_id(self.checkout_request_id.as_str()), self.source);
        match &self.outcome {
            Outcome::Paid(payment) => {
                let receipt = payment.receipt.map(|receipt| mask(receipt.as_str()));
                tracing::info!(reference, checkout_request_id, outcome = "paid", receipt, ?source, "payment settled");
            }
            Outcome::Failed(failure) => {
                let (code, reason) = (failure.code(), failure.reason());
                tracing::info!(
                    reference,
                    checkout_request_id,
                    outcome = "failed",
                    %code,
                    ?reason,
                    ?source,
                    "payment settled"
                );
            }
        }
    }

    /// Takes the receipt from a callback that came after a query had settled the payment. Nothing is settled again:
    /// a failure stays a failure here, and a callback about another payment changes nothing.
    ///
    /// Answers whether the callback brought something new. A success that comes after a *failure* is not attached: it is
    /// money received all the same, so record it and refund it or deliver.
    ///
    /// ```
    /// # use daraja::{stk::Settled, StkCallback};
    /// fn on_late_callback(settled: &mut Settled, callback: &StkCallback) {
    ///     if settled.attach(callback) {
    ///         // store settled.outcome's receipt with the order that is already paid
    ///     }
    /// }
    /// ```
    pub fn attach(&mut self, callback: &StkCallback) -> bool {
        let (Outcome::Paid(payment), StkOutcome::Paid(told)) = (&mut self.outcome, &callback.outcome) else {
            return false;
        };
        if callback.checkout_request_id != self.checkout_request_id || payment.receipt.is_some() {
            return false;
        }
        *payment = Payment::from(told.clone());
        true
    }
}

/// One line for the log about a report that settles nothing.
pub(super) fn warn_of(unproven: &Unproven, reference: Option<&str>, checkout_request_id: &str) {
    let Unproven { code, description, why } = unproven;
    tracing::warn!(reference, checkout_request_id, %code, %description, %why, "payment not settled by a report");
}

impl From<StkPayment> for Payment {
    fn from(told: StkPayment) -> Self {
        let StkPayment { receipt, amount, payer, completed_at } = told;
        Self { receipt: Some(receipt), amount, payer, completed_at }
    }
}
