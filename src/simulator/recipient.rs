//! What becomes of payouts, by recipient.

use std::time::Duration;

use super::{Simulator, State};
use crate::{Msisdn, initiated::TimeoutShape};

/// What becomes of a payout to one recipient, and of its result.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reception {
    pub(super) verdict: Verdict,
    /// How long until the result; the simulator's usual time if `None`.
    pub(super) after: Option<Duration>,
    pub(super) report: Report,
}

/// A result code and its words; `0` pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict(pub(super) u64, pub(super) &'static str);

/// What becomes of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    Once,
    Lost,
    Twice,
    Late(Duration),
    /// Before the answer to the payment.
    Early,
    /// A notice in this shape goes to the timeout URL instead.
    TimesOut(TimeoutShape),
}

pub(super) const PROCESSED: Verdict = Verdict(0, "The service request is processed successfully.");
pub(super) const TOO_LITTLE: Verdict = Verdict(1, "The balance is insufficient for the transaction.");
pub(super) const BELOW_MINIMUM: Verdict =
    Verdict(2, "Declined due to limit rule: less than the minimum transaction amount.");
pub(super) const ABOVE_MAXIMUM: Verdict =
    Verdict(3, "Declined due to limit rule: greater than the maximum transaction amount.");
pub(super) const DUPLICATE: Verdict = Verdict(15, "Duplicate Detected");
pub(super) const BAD_PARAMETER: Verdict = Verdict(25, "The request parameters are invalid.");
pub(super) const WRONG_INITIATOR: Verdict = Verdict(2001, "The initiator information is invalid.");
pub(super) const NOT_FOUND: Verdict = Verdict(2032, "The transaction receipt number does not exist.");
pub(super) const NOT_FOUND_BY_ID: Verdict =
    Verdict(2033, "The transaction cannot be found by the specified OriginatorConversationID or ConversationID.");
pub(super) const INITIATOR_LOCKED: Verdict = Verdict(8006, "The security credential is locked.");
const DAILY_LIMIT: Verdict = Verdict(4, "Declined due to limit rule: would exceed daily transfer limit.");
const BALANCE_LIMIT: Verdict = Verdict(8, "Declined due to limit rule: would exceed the maximum balance.");
const SYSTEM_BUSY: Verdict = Verdict(26, "System busy. The service request is rejected.");
const UNREGISTERED: Verdict = Verdict(
    2040,
    "Credit Party customer type (Unregistered or Registered Customer) can't be supported by the service.",
);

impl Reception {
    pub(super) const PAID: Self = Self::new(PROCESSED, Report::Once);

    const fn new(verdict: Verdict, report: Report) -> Self {
        Self { verdict, after: None, report }
    }
}

/// What becomes of a payout to a number that ends in these two digits, if no script says otherwise.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct PayoutScenario {
    /// The last two digits of the number, such as 40 in 254700000040.
    pub ends_in: u8,
    /// What happens.
    pub story: &'static str,
    reception: Reception,
}

const fn scenario(ends_in: u8, story: &'static str, verdict: Verdict, report: Report) -> PayoutScenario {
    PayoutScenario { ends_in, story, reception: Reception::new(verdict, report) }
}

/// All scenarios of payouts. Every other number is paid, as long as the utility account holds enough.
pub const PAYOUT_SCENARIOS: &[PayoutScenario] = &[
    scenario(4, "is over the daily limit (4)", DAILY_LIMIT, Report::Once),
    scenario(8, "may not hold so much (8)", BALANCE_LIMIT, Report::Once),
    scenario(26, "meets a busy M-PESA (26: proves nothing; nothing is paid)", SYSTEM_BUSY, Report::Once),
    scenario(
        41,
        "is not paid, as the utility account holds too little, by the sandbox's code (4001)",
        Verdict(4001, "Insufficient balance"),
        Report::Once,
    ),
    scenario(40, "is not registered (2040)", UNREGISTERED, Report::Once),
    scenario(91, "is paid, the result is lost", PROCESSED, Report::Lost),
    scenario(92, "is paid, the result comes twice", PROCESSED, Report::Twice),
    scenario(93, "is paid, the result comes before the answer to the payment", PROCESSED, Report::Early),
    scenario(94, "is paid, the result comes a minute late", PROCESSED, Report::Late(Duration::from_secs(60))),
    scenario(
        98,
        "is paid, but the timeout URL is told that the payment timed out",
        PROCESSED,
        Report::TimesOut(TimeoutShape::Echo),
    ),
    scenario(99, "is not registered, and the result is lost", UNREGISTERED, Report::Lost),
];

impl State {
    pub(super) fn reception_of(&self, number: Msisdn) -> Reception {
        let last_two = number.as_u64() % 100;
        let by_number = || PAYOUT_SCENARIOS.iter().find(|scenario| u64::from(scenario.ends_in) == last_two);
        let scripted = self.receptions.get(&number).copied().or(self.every_reception);
        scripted.unwrap_or_else(|| by_number().map_or(Reception::PAID, |scenario| scenario.reception))
    }
}

/// What becomes of payouts to one recipient from now on. Each method changes the script at once; the last one counts.
///
/// ```
/// # let simulator = daraja::simulator::Simulator::new();
/// simulator.recipient("254700000001".parse()?).is_paid().result_twice();
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug)]
pub struct RecipientScript<'s> {
    simulator: &'s Simulator,
    number: Option<Msisdn>,
}

#[expect(clippy::return_self_not_must_use, clippy::must_use_candidate, reason = "the script is changed already")]
impl<'s> RecipientScript<'s> {
    pub(super) fn new(simulator: &'s Simulator, number: Option<Msisdn>) -> Self {
        Self { simulator, number }
    }

    fn change(self, change: impl FnOnce(&mut Reception)) -> Self {
        let mut state = self.simulator.lock();
        match self.number {
            Some(number) => change(state.receptions.entry(number).or_insert(Reception::PAID)),
            None => change(state.every_reception.get_or_insert(Reception::PAID)),
        }
        drop(state);
        self
    }

    fn reported(self, report: Report) -> Self {
        self.change(|reception| reception.report = report)
    }

    /// Is paid, if the utility account holds enough.
    pub fn is_paid(self) -> Self {
        self.fails_with(PROCESSED.0, PROCESSED.1)
    }

    /// Is not registered with M-PESA: 2040.
    pub fn is_not_registered(self) -> Self {
        self.fails_with(UNREGISTERED.0, UNREGISTERED.1)
    }

    /// Ends with any numeric code and words; nothing is paid unless the code is zero.
    pub fn fails_with(self, code: u64, words: &'static str) -> Self {
        self.change(|reception| reception.verdict = Verdict(code, words))
    }

    /// The payout takes this long, down to nothing at all.
    pub fn after(self, time: Duration) -> Self {
        self.change(|reception| reception.after = Some(time))
    }

    /// The result comes once, when the payout ends.
    pub fn result_once(self) -> Self {
        self.reported(Report::Once)
    }

    /// The result never comes.
    pub fn result_lost(self) -> Self {
        self.reported(Report::Lost)
    }

    /// The result comes twice.
    pub fn result_twice(self) -> Self {
        self.reported(Report::Twice)
    }

    /// The result comes this much after the payout ended.
    pub fn result_late(self, delay: Duration) -> Self {
        self.reported(Report::Late(delay))
    }

    /// The payout ends at once, and its result comes before the answer to the payment.
    pub fn result_early(self) -> Self {
        self.reported(Report::Early)
    }

    /// A notice that the payment timed out goes to the timeout URL, and no result comes. The payout is made all the same.
    pub fn result_times_out(self, shape: TimeoutShape) -> Self {
        self.reported(Report::TimesOut(shape))
    }
}
