//! Why a payment by M-PESA Express failed, what to do about it, and what to tell the customer.

use std::{fmt, time::Duration};

use crate::{ResultCode, code::Advice, error::redact};

/// Who told an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// Daraja's callback.
    Callback,
    /// An STK query.
    Query,
}

/// A payment that failed: the code is known to be final.
///
/// ```
/// use daraja::{Advice, StkCallback, StkOutcome, StkReason};
///
/// let callback = StkCallback::parse(br#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1",
///     "ResultCode":1032,"ResultDesc":"Request Cancelled by user."}}}"#)?;
/// let StkOutcome::Failed(failure) = callback.outcome else { panic!("cancelled") };
/// assert_eq!(failure.reason(), StkReason::Cancelled);
/// assert_eq!(failure.advice(), Advice::RetryNow);
/// let proved = "You cancelled the payment request. You have not been charged: start again when you want to pay.";
/// assert_eq!(failure.customer_message(), proved);
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StkFailure {
    code: ResultCode,
    reason: StkReason,
    description: Box<str>,
    source: Source,
}

impl StkFailure {
    /// A failure, or the code back if it proves none.
    pub(crate) fn known(code: ResultCode, description: &str, source: Source) -> Result<Self, ResultCode> {
        match StkReason::of(&code) {
            Some(reason) => Ok(Self { code, reason, description: redact(description, 200).into(), source }),
            None => Err(code),
        }
    }

    /// Daraja's code.
    #[must_use]
    pub fn code(&self) -> &ResultCode {
        &self.code
    }

    /// Daraja's words. They change from day to day: go by [`reason`](Self::reason).
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What the code means in M-PESA Express.
    #[must_use]
    pub fn reason(&self) -> StkReason {
        self.reason
    }

    /// Who told it.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// What to do. It is never [`Advice::RetryNow`] if only a query told of the failure: queries have been seen to err.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match (self.reason.advice(), self.source) {
            (Advice::RetryNow, Source::Query) => Advice::RetryAfter(MINUTE),
            (advice, _) => advice,
        }
    }

    /// A text that can be shown to the customer: what happened and what to do next.
    ///
    /// "You have not been charged" is said only where a callback proves it, and never where the advice is to
    /// [retry after a pause](Advice::RetryAfter): a prompt can still be answered there. A query has been seen to report a
    /// failure of a payment that was made. There the customer is told to check the M-PESA SMS before paying again.
    ///
    /// ```
    /// use daraja::{StkCallback, StkOutcome};
    ///
    /// let message = |code: u64| {
    ///     let body = format!(r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"ws_CO_1","ResultCode":{code}}}}}}}"#);
    ///     match StkCallback::parse(body.as_bytes()).map(|callback| callback.outcome) {
    ///         Ok(StkOutcome::Failed(failure)) => failure.customer_message(),
    ///         other => panic!("{other:?}"),
    ///     }
    /// };
    /// assert!(message(2001).contains("You have not been charged"));
    /// assert!(message(1037).contains("Check your M-PESA SMS first"));
    /// ```
    #[must_use]
    pub fn customer_message(&self) -> &'static str {
        let Messages { proved, unproved } = self.reason.messages();
        match self.source {
            Source::Callback => proved.unwrap_or(unproved),
            Source::Query => unproved,
        }
    }
}

impl fmt::Debug for StkFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StkFailure")
            .field("code", &self.code)
            .field("reason", &self.reason)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// What a final code means in M-PESA Express. Other APIs use the same numbers for other things.
///
/// ```
/// assert_eq!(daraja::StkReason::Cancelled.to_string(), "the customer cancelled");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StkReason {
    /// 1: the customer's balance (Fuliza included) is too low.
    InsufficientFunds,
    /// 2: below the least amount.
    BelowMinimum,
    /// 3: above the most that one payment may have.
    AboveMaximum,
    /// 4: the customer's daily limit would be exceeded.
    DailyLimit,
    /// 8: the receiver's greatest balance would be exceeded.
    BalanceLimit,
    /// 17: the same amount from the same customer within two minutes.
    TooSoon,
    /// 1001: another prompt or session is open on the customer's line.
    SubscriberBusy,
    /// 1019: the request expired.
    Expired,
    /// 1025, 9999: the prompt could not be sent.
    PromptNotSent,
    /// 1032: the customer cancelled, or the prompt was dismissed.
    Cancelled,
    /// 1031: the customer cancelled, as an older code of Daraja says. It is not proved that nothing was paid: treat it as
    /// [`NoResponse`](Self::NoResponse).
    CancelledUnconfirmed,
    /// 1036, 1037: the customer did not answer, or the phone could not be reached.
    NoResponse,
    /// 2001: a wrong PIN.
    WrongPin,
    /// 8006: the customer's PIN is locked.
    PinLocked,
    /// 5, 6, 11, 13, 2006: the customer's account cannot pay.
    PayerAccount,
    /// 7, 12, 14, 18 to 22, 24, 29, 2028, 2040, `SFC_IC0003`, `TP40153`: your short code, product or operator is not set up for this.
    NotPermitted,
}

impl fmt::Display for StkReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const TWO_MINUTES: Duration = Duration::from_secs(120);

/// What the customer may read about one reason.
struct Messages {
    /// Where a callback with this reason proves that nothing was paid.
    proved: Option<&'static str>,
    /// Where nothing proves it.
    unproved: &'static str,
}

/// What happened, and what to do if it was not paid.
macro_rules! messages {
    ($happened:literal, $next:literal) => {
        Messages {
            proved: Some(concat!($happened, " You have not been charged: ", $next)),
            ..unproved!($happened, $next)
        }
    };
}

/// The same for a reason that proves nothing: the advice is to look again after a pause.
macro_rules! unproved {
    ($happened:literal, $next:literal) => {
        Messages {
            proved: None,
            unproved: concat!($happened, " Check your M-PESA SMS first: if none confirms this payment, ", $next),
        }
    };
}

impl StkReason {
    /// The one table of final codes. What is missing here (15, 25 and 26 among them) settles nothing.
    fn of(code: &ResultCode) -> Option<Self> {
        let Some(number) = code.as_number() else {
            return matches!(code.to_string().as_str(), "SFC_IC0003" | "TP40153").then_some(Self::NotPermitted);
        };
        Some(match number {
            1 => Self::InsufficientFunds,
            2 => Self::BelowMinimum,
            3 => Self::AboveMaximum,
            4 => Self::DailyLimit,
            8 => Self::BalanceLimit,
            17 => Self::TooSoon,
            1001 => Self::SubscriberBusy,
            1019 => Self::Expired,
            1025 | 9999 => Self::PromptNotSent,
            1032 => Self::Cancelled,
            1031 => Self::CancelledUnconfirmed,
            1036 | 1037 => Self::NoResponse,
            2001 => Self::WrongPin,
            8006 => Self::PinLocked,
            5 | 6 | 11 | 13 | 2006 => Self::PayerAccount,
            7 | 12 | 14 | 18..=22 | 24 | 29 | 2028 | 2040 => Self::NotPermitted,
            _ => return None,
        })
    }

    /// What happened, in a few words for the people who run the shop.
    fn words(self) -> &'static str {
        match self {
            Self::InsufficientFunds => "the customer's balance is too low",
            Self::BelowMinimum => "the amount is below the minimum",
            Self::AboveMaximum => "the amount is above the maximum of one payment",
            Self::DailyLimit => "the customer's daily limit would be exceeded",
            Self::BalanceLimit => "the receiver's greatest balance would be exceeded",
            Self::TooSoon => "the same amount from the same customer within two minutes",
            Self::SubscriberBusy => "another prompt or session is open on the customer's line",
            Self::Expired => "the request expired",
            Self::PromptNotSent => "the prompt could not be sent",
            Self::Cancelled => "the customer cancelled",
            Self::CancelledUnconfirmed => "the customer cancelled, as an older code says",
            Self::NoResponse => "the customer did not answer, or the phone could not be reached",
            Self::WrongPin => "the PIN was wrong",
            Self::PinLocked => "the customer's PIN is locked",
            Self::PayerAccount => "the customer's account cannot pay",
            Self::NotPermitted => "the short code, product or operator is not set up for this",
        }
    }

    /// What to do after a failure that a callback told of.
    #[must_use]
    pub fn advice(self) -> Advice {
        match self {
            Self::Cancelled | Self::WrongPin => Advice::RetryNow,
            // A prompt that nobody saw answered can still be answered: it is given time to be gone.
            Self::Expired
            | Self::CancelledUnconfirmed
            | Self::NoResponse
            | Self::SubscriberBusy
            | Self::PromptNotSent => Advice::RetryAfter(MINUTE),
            Self::TooSoon => Advice::RetryAfter(TWO_MINUTES),
            Self::InsufficientFunds | Self::DailyLimit | Self::PinLocked | Self::PayerAccount => Advice::AskCustomer,
            Self::BelowMinimum | Self::AboveMaximum | Self::BalanceLimit | Self::NotPermitted => {
                Advice::FixConfiguration
            }
        }
    }

    /// A text that can be shown to the customer: what happened and what to do next.
    ///
    /// A reason does not say who reported it, so this text never promises that nothing was charged: it tells the customer
    /// to check the M-PESA SMS before paying again. [`StkFailure::customer_message`] knows more.
    ///
    /// ```
    /// use daraja::StkReason;
    ///
    /// let text = "The M-PESA PIN was wrong. Check your M-PESA SMS first: if none confirms this payment, try again with care.";
    /// assert_eq!(StkReason::WrongPin.customer_message(), text);
    /// ```
    #[must_use]
    pub fn customer_message(self) -> &'static str {
        self.messages().unproved
    }

    fn messages(self) -> Messages {
        match self {
            Self::InsufficientFunds => {
                messages!("Your M-PESA balance is too low for this payment.", "top up and try again.")
            }
            Self::BelowMinimum => {
                messages!("This amount is too small to be paid by M-PESA.", "ask the shop how else you can pay.")
            }
            Self::AboveMaximum => {
                messages!("This amount is too large for one M-PESA payment.", "ask the shop how else you can pay.")
            }
            Self::DailyLimit => messages!(
                "This payment would exceed your M-PESA limit for today.",
                "pay a smaller amount, or pay tomorrow."
            ),
            // The payment that came before may be the one for this very order.
            Self::TooSoon => {
                unproved!("M-PESA refuses the same amount twice within two minutes.", "wait two minutes and try again.")
            }
            // The open request may be the one for this very order.
            Self::SubscriberBusy => Messages {
                proved: None,
                unproved: "There is already a request on this phone: answer or cancel it first. Then check your M-PESA SMS: \
                           if none confirms this payment, wait a minute and try again.",
            },
            Self::Expired | Self::NoResponse => {
                unproved!("No answer came from your phone.", "unlock your phone, keep it near and try again.")
            }
            Self::CancelledUnconfirmed => {
                unproved!("The payment request was cancelled.", "start again when you want to pay.")
            }
            Self::PromptNotSent => {
                unproved!("The payment request could not be shown on your phone.", "try again in a minute.")
            }
            Self::Cancelled => messages!("You cancelled the payment request.", "start again when you want to pay."),
            Self::WrongPin => messages!("The M-PESA PIN was wrong.", "try again with care."),
            Self::PinLocked => {
                messages!("Your M-PESA PIN is locked.", "unlock it with Safaricom, then try again.")
            }
            Self::PayerAccount => {
                messages!("Your M-PESA account cannot make this payment.", "contact Safaricom, or pay in another way.")
            }
            Self::BalanceLimit | Self::NotPermitted => {
                messages!("This shop cannot take M-PESA payments at the moment.", "ask the shop how else you can pay.")
            }
        }
    }
}
