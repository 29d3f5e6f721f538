//! Why a payout failed, what to do about it, and what to tell the recipient.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Advice, ResultCode, TransactionState, error::redact};

/// A payout that was not made, finally. A new one may be sent, under a new id, as the [`advice`](Self::advice) says.
///
/// ```
/// use daraja::{Advice, B2cOutcome, B2cReason, B2cResult};
///
/// let result = B2cResult::parse(br#"{"Result":{"ResultCode":1,"ResultDesc":"The balance is insufficient for the transaction.",
///     "OriginatorConversationID":"supplier-7-invoice-1042","TransactionID":"UKN0000000"}}"#)?;
/// let B2cOutcome::Failed(failure) = result.outcome else { panic!("no money") };
/// assert_eq!(failure.reason(), B2cReason::InsufficientFunds);
/// assert_eq!(failure.advice(), Advice::FixConfiguration);
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct B2cFailure {
    code: Option<ResultCode>,
    reason: B2cReason,
    description: Box<str>,
}

impl B2cFailure {
    /// A failure, if the code proves one.
    pub(super) fn known(code: &ResultCode, description: &str) -> Option<Self> {
        let reason = B2cReason::of(code)?;
        Some(Self { code: Some(code.clone()), reason, description: redact(description, 200).into() })
    }

    /// What a transaction's own status says, which brings no code. `None` if it does not say that it failed.
    pub(crate) fn found(status: &TransactionState) -> Option<Self> {
        let reason = match status {
            TransactionState::Declined => B2cReason::Declined,
            TransactionState::Cancelled => B2cReason::Cancelled,
            TransactionState::Expired => B2cReason::Expired,
            TransactionState::Completed | TransactionState::Pending | TransactionState::Other(_) => return None,
        };
        Some(Self { code: None, reason, description: "".into() })
    }

    /// Daraja's code; `None` if the transaction's status told of the failure.
    #[must_use]
    pub fn code(&self) -> Option<&ResultCode> {
        self.code.as_ref()
    }

    /// Daraja's words. They change from day to day: go by [`reason`](Self::reason).
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What the code means in B2C.
    #[must_use]
    pub fn reason(&self) -> B2cReason {
        self.reason
    }

    /// What to do before paying again, under a new id.
    #[must_use]
    pub fn advice(&self) -> Advice {
        self.reason.advice()
    }

    /// A sentence that can be shown to the recipient.
    #[must_use]
    pub fn customer_message(&self) -> &'static str {
        self.reason.customer_message()
    }
}

impl fmt::Debug for B2cFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("B2cFailure").field("code", &self.code).field("reason", &self.reason).finish_non_exhaustive()
    }
}

/// What a final code means in B2C. Other APIs use the same numbers for other things.
///
/// ```
/// let reason = daraja::B2cReason::InsufficientFunds;
/// assert_eq!(reason.to_string(), "the utility account holds too little");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum B2cReason {
    /// 1, 4001: your utility account holds too little. Money in the working account does not count.
    InsufficientFunds,
    /// 2: below the least amount, which is 10 shillings.
    BelowMinimum,
    /// 3: above the most that one payment may have.
    AboveMaximum,
    /// 4: the recipient's daily limit would be exceeded.
    DailyLimit,
    /// 8: the recipient's greatest balance would be exceeded.
    BalanceLimit,
    /// 7, 12, 14, 2040: the recipient cannot be paid, such as a number that is not registered.
    Recipient,
    /// 5, 6, 11, 13, 2006: your own account cannot pay.
    PayerAccount,
    /// 18, 20, 2001: the initiator's name, password or certificate is wrong.
    WrongInitiator,
    /// 8006: the initiator is locked, after wrong passwords.
    InitiatorLocked,
    /// 19, 21, 22, 24, 29, 2028, `SFC_IC0003`, `TP40153`: your short code, product or initiator is not set up for this.
    NotPermitted,
    /// The transaction's status says `Declined`.
    Declined,
    /// The transaction's status says `Cancelled`.
    Cancelled,
    /// The transaction's status says `Expired`.
    Expired,
}

impl B2cReason {
    /// The one table of final codes. What is missing here (15, 17, 25 and 26 among them) settles nothing.
    fn of(code: &ResultCode) -> Option<Self> {
        let Some(number) = code.as_number() else {
            return matches!(code.to_string().as_str(), "SFC_IC0003" | "TP40153").then_some(Self::NotPermitted);
        };
        Some(match number {
            1 | 4001 => Self::InsufficientFunds,
            2 => Self::BelowMinimum,
            3 => Self::AboveMaximum,
            4 => Self::DailyLimit,
            8 => Self::BalanceLimit,
            7 | 12 | 14 | 2040 => Self::Recipient,
            5 | 6 | 11 | 13 | 2006 => Self::PayerAccount,
            18 | 20 | 2001 => Self::WrongInitiator,
            8006 => Self::InitiatorLocked,
            19 | 21 | 22 | 24 | 29 | 2028 => Self::NotPermitted,
            _ => return None,
        })
    }

    /// What happened, in a few words for the people who pay.
    fn words(self) -> &'static str {
        match self {
            Self::InsufficientFunds => "the utility account holds too little",
            Self::BelowMinimum => "the amount is below the minimum",
            Self::AboveMaximum => "the amount is above the maximum of one payment",
            Self::DailyLimit => "the recipient's daily limit would be exceeded",
            Self::BalanceLimit => "the recipient's greatest balance would be exceeded",
            Self::Recipient => "the recipient cannot be paid by M-PESA",
            Self::PayerAccount => "the paying account cannot pay",
            Self::WrongInitiator => "the initiator's name, password or certificate is wrong",
            Self::InitiatorLocked => "the initiator is locked",
            Self::NotPermitted => "the short code, product or initiator is not set up for this",
            Self::Declined => "M-PESA declined it",
            Self::Cancelled => "it was cancelled",
            Self::Expired => "it expired",
        }
    }

    /// What to do before paying again.
    #[must_use]
    pub fn advice(self) -> Advice {
        match self {
            Self::DailyLimit | Self::BalanceLimit | Self::Recipient => Advice::AskCustomer,
            // Whoever tells of it gives no reason: the next one may end so as well.
            Self::Declined | Self::Cancelled | Self::Expired => Advice::RetryAfter(Duration::from_secs(60)),
            _ => Advice::FixConfiguration,
        }
    }

    /// A sentence that can be shown to the recipient.
    #[must_use]
    pub fn customer_message(self) -> &'static str {
        match self {
            Self::DailyLimit => "This payment would exceed your M-PESA limit for today. You have not been paid yet.",
            Self::BalanceLimit => {
                "This payment would exceed what your M-PESA account may hold. Make room in it, and ask for it again. You have not been paid yet."
            }
            Self::Recipient => {
                "Your number cannot receive M-PESA payments. Check it with Safaricom, or give another one. You have not been paid yet."
            }
            _ => "Your payment could not be made at the moment. You have not been paid yet.",
        }
    }
}

impl fmt::Display for B2cReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}
