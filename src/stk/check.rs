//! Checks of a payment by a scheduled job: one query a call, and what is known is stored in between.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Merchant,
    callback::{StkCallback, StkOutcome},
    failure::Source,
    query::{StkQuery, StkStatus},
    settled::{Outcome, Payment, Settled, warn_of},
};
use crate::{
    CheckoutRequestId, Client, ResultCode, RetryPolicy, Timestamp,
    clock::{Moment, TOLERANCE},
    code::Unproven,
    error::{Result, mask_id},
    sync::Instant,
};

/// A failure that a query reports counts when another one agrees that was asked so long after it.
const CONFIRM_AFTER: Duration = Duration::from_secs(15);

/// What is known of a payment between two [checks](Client::check_payment): a value to be stored with the order.
///
/// It holds no secret, and the CheckoutRequestID ends in the payer's phone number.
///
/// ```
/// use daraja::{CheckoutRequestId, stk::PaymentCheck};
///
/// let id: CheckoutRequestId = "ws_CO_180920261803512708374149".parse()?;
/// let check = PaymentCheck::new(&id);
/// let row = serde_json::to_string(&check).unwrap(); // into your database
/// assert_eq!(serde_json::from_str::<PaymentCheck>(&row).unwrap(), check);
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentCheck {
    checkout_request_id: CheckoutRequestId,
    #[serde(default)]
    suspect: Option<Suspect>,
    #[serde(default)]
    is_paid: bool,
    #[serde(default)]
    speaks_for_payment: bool,
    #[serde(default)]
    last_unproven: Option<Unproven>,
}

/// A failure that one query reported, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Suspect {
    code: ResultCode,
    at: Timestamp,
    /// The same moment by the monotonic clock, as long as the value stays in this process.
    #[serde(skip)]
    here: Here,
}

/// Two values that differ in it only are the same: it is not stored.
#[derive(Debug, Clone, Copy, Default)]
struct Here(Option<Instant>);

impl PartialEq for Here {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Here {}

impl Suspect {
    fn new(code: ResultCode, seen: Moment) -> Self {
        Self { code, at: seen.timestamp(), here: Here(Some(seen.monotonic)) }
    }

    /// Whether a query that was asked at this moment was asked late enough to confirm it.
    fn is_old_enough(&self, asked: Moment) -> bool {
        match self.here.0 {
            Some(seen) => asked.monotonic.saturating_duration_since(seen) >= CONFIRM_AFTER,
            None => asked.timestamp().since(self.at).is_some_and(|age| age >= CONFIRM_AFTER.saturating_add(TOLERANCE)),
        }
    }
}

impl PaymentCheck {
    /// Nothing is known yet of the push that was accepted under this id.
    #[must_use]
    pub fn new(id: &CheckoutRequestId) -> Self {
        Self {
            checkout_request_id: id.clone(),
            suspect: None,
            is_paid: false,
            speaks_for_payment: false,
            last_unproven: None,
        }
    }

    /// Which push it is about.
    #[must_use]
    pub fn checkout_request_id(&self) -> &CheckoutRequestId {
        &self.checkout_request_id
    }

    /// What a callback or a query reported last that settles nothing: code, words and why.
    #[must_use]
    pub fn last_unproven(&self) -> Option<&Unproven> {
        self.last_unproven.as_ref()
    }

    /// Whether a callback reported a payment without proving it. Then only a success settles the payment: failures that
    /// queries report are not believed, and a person has to look.
    #[must_use]
    pub fn speaks_for_payment(&self) -> bool {
        self.speaks_for_payment
    }

    /// Takes a callback that came to the signed URL of this push: compare the [reference](crate::webhook::Reference) first.
    /// `None` if it settles nothing, or is about another push. After a report of a payment no failure settles it.
    ///
    /// ```
    /// use daraja::{StkCallback, stk::{Outcome, PaymentCheck}};
    ///
    /// let mut check = PaymentCheck::new(&"ws_CO_1".parse()?);
    /// let cancelled = StkCallback::parse(br#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":1032}}}"#)?;
    /// let settled = check.take_callback(&cancelled).expect("a callback at its own URL settles it");
    /// assert!(matches!(settled.outcome, Outcome::Failed(_)));
    /// # Ok::<(), daraja::Error>(())
    /// ```
    pub fn take_callback(&mut self, callback: &StkCallback) -> Option<Settled> {
        if callback.checkout_request_id != self.checkout_request_id {
            return None;
        }
        match &callback.outcome {
            StkOutcome::Paid(payment) => Some(self.paid(payment.clone().into(), Source::Callback)),
            StkOutcome::Failed(_) if self.leaves_only_success() => None,
            StkOutcome::Failed(failure) => Some(self.settled(Outcome::Failed(failure.clone()), Source::Callback)),
            StkOutcome::Unproven(unproven) => {
                self.speaks_for_payment |= unproven.speaks_for_payment();
                self.note(unproven.into());
                None
            }
        }
    }

    /// Takes the answer of a query that was asked and answered at these moments.
    fn take_status(&mut self, status: StkStatus, asked: Moment, answered: Moment) -> Option<Settled> {
        let suspect = self.suspect.take();
        match status {
            StkStatus::Paid => Some(self.paid(Payment::default(), Source::Query)),
            StkStatus::Failed(_) if self.leaves_only_success() => None,
            StkStatus::Failed(failure) => {
                // Two that differ do not agree, and a time that is still to come is of a clock that was wrong.
                let is_past = |suspect: &Suspect| suspect.here.0.is_some() || suspect.at <= asked.timestamp();
                let agrees = suspect.filter(|suspect| suspect.code == *failure.code() && is_past(suspect));
                if agrees.as_ref().is_some_and(|first| first.is_old_enough(asked)) {
                    return Some(self.settled(Outcome::Failed(failure), Source::Query));
                }
                self.suspect = agrees.or_else(|| Some(Suspect::new(failure.code().clone(), answered)));
                None
            }
            StkStatus::Unknown(unproven) => {
                self.note(unproven);
                None
            }
            StkStatus::Pending | StkStatus::NotFound => None,
        }
    }

    /// A success, or a report that speaks for one, is never overruled by a failure.
    fn leaves_only_success(&self) -> bool {
        self.is_paid || self.speaks_for_payment
    }

    fn paid(&mut self, payment: Payment, source: Source) -> Settled {
        self.is_paid = true;
        self.settled(Outcome::Paid(payment), source)
    }

    /// Keeps what settles nothing, for a person to see.
    fn note(&mut self, unproven: Unproven) {
        if self.last_unproven.as_ref() != Some(&unproven) {
            warn_of(&unproven, None, &mask_id(self.checkout_request_id.as_str()));
            self.last_unproven = Some(unproven);
        }
    }

    fn settled(&self, outcome: Outcome, source: Source) -> Settled {
        let settled = Settled { checkout_request_id: self.checkout_request_id.clone(), outcome, source };
        settled.log(None);
        settled
    }
}

impl Client {
    /// Asks once about a payment, for a job that runs now and then: [`wait_for_payment`](Self::wait_for_payment) is for a
    /// customer who waits. Store the `check` after each call.
    ///
    /// A query that says paid settles the payment. A failure settles it when a later call, 15 s on or more, agrees. For a
    /// `check` that was stored in between it is 75 s, because the clocks of two machines can differ by a minute. A clock that is set forward by more counts as time that passed. `None` until
    /// then, and as long as nothing is proved: the customer may still pay, so do not ask for the money again.
    ///
    /// ```
    /// use daraja::{Shillings, StkPush, stk::{Outcome, PaymentCheck}, simulator::Simulator};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> daraja::Result<()> {
    /// # let simulator = Simulator::new();
    /// # let (daraja, merchant) = (simulator.client(), simulator.merchant());
    /// # let push = StkPush::new(&merchant, "254708374149".parse()?, Shillings::new(1)?, "A".parse()?, simulator.callback_url());
    /// let accepted = daraja.send(&push).await?;
    /// let mut check = PaymentCheck::new(&accepted.checkout_request_id); // stored with the order
    ///
    /// // Each minute:
    /// let mut settled = None;
    /// while settled.is_none() {
    ///     tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    ///     settled = daraja.check_payment(&merchant, &mut check).await?;
    /// }
    /// assert!(matches!(settled.unwrap().outcome, Outcome::Paid(_)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send). The `check` is unchanged then: check again later.
    pub async fn check_payment(&self, merchant: &Merchant, check: &mut PaymentCheck) -> Result<Option<Settled>> {
        let query = StkQuery::new(merchant, &check.checkout_request_id);
        let asked = self.moment();
        let status = self.send_with(&query, RetryPolicy::never()).await?;
        Ok(check.take_status(status, asked, self.moment()))
    }
}
