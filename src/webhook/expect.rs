//! Compares what came in with what was asked.

use std::fmt;

use super::Event;
use crate::{
    AccountReference, CheckoutRequestId, Kes, Msisdn, Payer, ReceiptNumber, ShortCode, StkCallback, StkOutcome,
    c2b::C2bNotice,
};

/// What was asked of a customer, to compare a delivery with: take it from your own row of the attempt, which the
/// [`Reference`](super::Reference) of the URL names. A delivery that is about it either brings a receipt, which proves that
/// money came in as asked, or none.
///
/// ```
/// use daraja::{CheckoutRequestId, Kes, Shillings, webhook::{Event, Expected, Mismatch}};
///
/// let stored: Option<CheckoutRequestId> = Some("ws_CO_1".parse()?); // None: the answer to the push was lost
/// let asked = Expected::new(Shillings::new(500)?).payer("254708374149".parse()?).checkout_request_id(stored);
///
/// let paid = |id: &str, amount: u32| Event::parse(format!(r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"{id}",
///     "ResultCode":0,"CallbackMetadata":{{"Item":[{{"Name":"Amount","Value":{amount}}},
///     {{"Name":"MpesaReceiptNumber","Value":"NLJ7RT61SV"}},{{"Name":"PhoneNumber","Value":254708374149}}]}}}}}}}}"#).as_bytes());
/// let receipt = paid("ws_CO_1", 500)?.expect(&asked).unwrap().expect("it is paid");
/// assert_eq!(receipt.as_str(), "NLJ7RT61SV");
///
/// // Money came in, but not what was asked: keep its receipt and let a person look.
/// assert_eq!(paid("ws_CO_2", 500)?.expect(&asked), Err(Mismatch::OtherPush));
/// let mismatch = paid("ws_CO_1", 5)?.expect(&asked).unwrap_err();
/// assert_eq!(mismatch, Mismatch::Amount { asked: Kes::from_cents(50_000), told: Some(Kes::from_cents(500)) });
/// assert!(mismatch.is_about_money());
///
/// // About this attempt, and no money: cancelled.
/// let cancelled = Event::parse(br#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":1032}}}"#)?;
/// assert_eq!(cancelled.expect(&asked), Ok(None));
/// # Ok::<(), daraja::Error>(())
/// ```
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    amount: Kes,
    payer: Option<Msisdn>,
    checkout_request_id: Option<CheckoutRequestId>,
    account: Option<AccountReference>,
    short_code: Option<ShortCode>,
}

/// How a delivery differs from what was asked.
///
/// Of several differences the first one counts: another short code, another push or another account, the amount, the payer.
/// So money under another account is never taken for a part of the amount that is due for this one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// It is about money to another short code, about another push that was not paid, or about no payment at all: it must
    /// change nothing.
    Request,
    /// Money came in at the URL of this attempt, for another push than the one whose id is stored: one whose answer was
    /// lost, perhaps. The receipt is worth keeping: the money is there. A callback that proves no payment and [speaks for
    /// one](crate::stk::StkUnproven::speaks_for_payment) counts as well: look the money up.
    OtherPush,
    /// Money came in, under another account: the customer mistyped it, or pays for something else. Keep the receipt and find
    /// out whose it is: the money is there.
    Account,
    /// Money came in, but not this amount, or it is not told which. The receipt is worth keeping: the money is there.
    Amount {
        /// What was asked.
        asked: Kes,
        /// What came in.
        told: Option<Kes>,
    },
    /// Money came in, from another number. The receipt is worth keeping: the money is there.
    Payer,
}

impl Expected {
    /// What was asked for: `Shillings`, as the push has them, or `Kes`.
    pub fn new(amount: impl Into<Kes>) -> Self {
        Self { amount: amount.into(), payer: None, checkout_request_id: None, account: None, short_code: None }
    }

    /// Whose phone was asked. A masked number is compared by the digits that it shows; one that is not told is let pass.
    pub fn payer(mut self, payer: Msisdn) -> Self {
        self.payer = Some(payer);
        self
    }

    /// The id that the answer to the push gave. `None`, if that answer was lost, takes any.
    pub fn checkout_request_id(mut self, id: impl Into<Option<CheckoutRequestId>>) -> Self {
        self.checkout_request_id = id.into();
        self
    }

    /// What the payment is for. Only the notice of a payment to a PayBill tells it, as the customer typed it: capitals and
    /// spaces around it are not compared, all else is. Money under another account came in all the same:
    /// [`Mismatch::Account`]. Without it, a notice of the same amount could be anybody's.
    ///
    /// ```
    /// use daraja::{Shillings, webhook::{Event, EventKind, Expected, Mismatch}};
    ///
    /// let notice = br#"{"TransID":"RKL51ZDR4F","TransAmount":"500.00","BusinessShortCode":"600966","BillRefNumber":"INV 001"}"#;
    /// let event = Event::parse_as(EventKind::C2bConfirmation, notice)?;
    /// let asked = Expected::new(Shillings::new(500)?).account("INV-001".parse()?).short_code("600966".parse()?);
    /// let mismatch = event.expect(&asked).unwrap_err();
    /// assert_eq!(mismatch, Mismatch::Account);
    /// assert!(mismatch.is_about_money()); // KES 500 are in your account: find out whose they are
    /// # Ok::<(), daraja::Error>(())
    /// ```
    pub fn account(mut self, account: AccountReference) -> Self {
        self.account = Some(account);
        self
    }

    /// Who was to be paid: your PayBill, or your till's store number. Only the notice tells it. The confirmation URL is one
    /// for all payments: whoever learns it can register it for a PayBill of his own, and pay himself under your account's
    /// name.
    pub fn short_code(mut self, short_code: ShortCode) -> Self {
        self.short_code = Some(short_code);
        self
    }

    pub(super) fn compare(&self, event: &Event) -> Result<Option<ReceiptNumber>, Mismatch> {
        match event {
            Event::Stk(callback) => self.compare_callback(callback),
            Event::C2b(notice) => self.compare_notice(notice),
            Event::Result(_) | Event::QueueTimeout(_) | Event::Unknown(_) => Err(Mismatch::Request),
        }
    }

    /// Of what proves no payment only the id is compared.
    fn compare_callback(&self, callback: &StkCallback) -> Result<Option<ReceiptNumber>, Mismatch> {
        if self.checkout_request_id.as_ref().is_some_and(|id| *id != callback.checkout_request_id) {
            let speaks_for_payment = callback.outcome.speaks_for_payment();
            return Err(if speaks_for_payment { Mismatch::OtherPush } else { Mismatch::Request });
        }
        match &callback.outcome {
            StkOutcome::Paid(payment) => {
                self.compare_money(payment.amount, payment.payer.as_ref())?;
                Ok(Some(payment.receipt))
            }
            StkOutcome::Failed(_) | StkOutcome::Unproven(_) => Ok(None),
        }
    }

    fn compare_notice(&self, notice: &C2bNotice) -> Result<Option<ReceiptNumber>, Mismatch> {
        // A question tells of no money, neither of the right amount nor of a wrong one.
        let receipt = notice.proof().ok_or(Mismatch::Request)?;
        if self.short_code.is_some() && self.short_code != notice.short_code {
            return Err(Mismatch::Request);
        }
        let typed = notice.reference.as_deref().unwrap_or_default().trim();
        if self.account.as_ref().is_some_and(|account| !account.as_str().eq_ignore_ascii_case(typed)) {
            return Err(Mismatch::Account);
        }
        self.compare_money(notice.amount, notice.payer.as_ref())?;
        Ok(Some(receipt))
    }

    fn compare_money(&self, told: Option<Kes>, payer: Option<&Payer>) -> Result<(), Mismatch> {
        if told != Some(self.amount) {
            return Err(Mismatch::Amount { asked: self.amount, told });
        }
        match (self.payer, payer) {
            (Some(asked), Some(told)) if !told.may_be(asked) => Err(Mismatch::Payer),
            _ => Ok(()),
        }
    }
}

impl Mismatch {
    /// Whether money came in all the same, or very likely did, so that its receipt has to be kept and the money given back or put right.
    #[must_use]
    pub fn is_about_money(&self) -> bool {
        match self {
            Self::Request => false,
            Self::OtherPush | Self::Account | Self::Amount { .. } | Self::Payer => true,
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request => f.write_str("the delivery is about another request"),
            Self::OtherPush => f.write_str("money came in for another push than the one that was accepted"),
            Self::Account => f.write_str("money came in under another account than was asked"),
            Self::Amount { asked, told: Some(told) } => write!(f, "KES {told} came in where KES {asked} was asked"),
            Self::Amount { asked, told: None } => {
                write!(f, "it is not told how much came in where KES {asked} was asked")
            }
            Self::Payer => f.write_str("the money came from another number than was asked"),
        }
    }
}

impl std::error::Error for Mismatch {}
