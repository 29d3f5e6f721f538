//! What customers do when their phone rings.

use std::time::Duration;

use super::{Simulator, State};
use crate::Msisdn;

/// What one customer does, and what becomes of the callback.
#[derive(Debug, Clone, Copy)]
pub(super) struct Behaviour {
    pub(super) ending: Ending,
    /// How long until it ends; the scenario's own time if `None`.
    pub(super) after: Option<Duration>,
    pub(super) callback: Callback,
}

impl Behaviour {
    const fn new(ending: Ending, callback: Callback) -> Self {
        Self { ending, after: None, callback }
    }
}

/// How a prompt ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    pub(super) code: u64,
    /// The callback's words and the query's: they differ for 1037.
    pub(super) told: &'static str,
    pub(super) queried: &'static str,
    pub(super) after: Duration,
    /// When a query knows of it; the callback may come later.
    pub(super) queried_after: Duration,
    pub(super) while_open: WhileOpen,
    pub(super) receipt: Receipt,
    pub(super) decided_by: DecidedBy,
}

/// Who says how a prompt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecidedBy {
    Script,
    /// Whoever holds the phone. The ending is that of a prompt which nobody answers.
    Hand,
}

/// What an STK query answers while the prompt is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhileOpen {
    /// 200 with `ResultCode` 4999.
    Processing,
    /// 200 with an error code and no words.
    EmptyError,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receipt {
    Given,
    Missing,
}

/// What becomes of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Callback {
    Once,
    Lost,
    Twice,
    Late(Duration),
    /// Before the answer to the push.
    Early,
    /// After the next callback that is delivered.
    Overtaken,
}

const fn ending(code: u64, words: &'static str, seconds: u64) -> Ending {
    let after = Duration::from_secs(seconds);
    Ending {
        code,
        told: words,
        queried: words,
        after,
        queried_after: after,
        while_open: WhileOpen::Processing,
        receipt: Receipt::Given,
        decided_by: DecidedBy::Script,
    }
}

pub(super) const APPROVES: Ending = ending(0, "The service request is processed successfully.", 17);
pub(super) const CANCELS: Ending =
    Ending { while_open: WhileOpen::EmptyError, ..ending(1032, "Request Cancelled by user.", 20) };
const IGNORES: Ending = Ending {
    told: "No response from user.",
    queried_after: Duration::from_secs(14),
    ..ending(1037, "DS timeout user cannot be reached.", 26)
};
pub(super) const LACKS_FUNDS: Ending = ending(1, "The balance is insufficient for the transaction.", 15);
pub(super) const WRONG_PIN: Ending = ending(2001, "The initiator information is invalid.", 15);
const WITHOUT_RECEIPT: Ending = Ending { receipt: Receipt::Missing, ..APPROVES };
/// Open for longer than the measured time of an ignored prompt, so that somebody can find the page and decide.
const BY_HAND: Ending =
    Ending { told: IGNORES.told, decided_by: DecidedBy::Hand, ..ending(IGNORES.code, IGNORES.queried, 60) };
const NEVER_ENDS: Ending = ending(1019, "Transaction has expired", 3_600);

impl Ending {
    /// What becomes of a push whose credited party is not the merchant's.
    pub(super) const NOT_PERMITTED: Self =
        ending(2028, "The request is not permitted according to product assignment.", 2);
}

/// What a customer does whose number ends in these two digits, if no script says otherwise.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Scenario {
    /// The last two digits of the number, such as 32 in 254700000032.
    pub ends_in: u8,
    /// What happens.
    pub story: &'static str,
    behaviour: Behaviour,
}

const fn scenario(ends_in: u8, story: &'static str, ending: Ending, callback: Callback) -> Scenario {
    Scenario { ends_in, story, behaviour: Behaviour::new(ending, callback) }
}

/// All scenarios. Every other number approves after 17 s, 254708374149 among them.
pub const SCENARIOS: &[Scenario] = &[
    scenario(1, "lacks the money (1)", LACKS_FUNDS, Callback::Once),
    scenario(
        4,
        "is over the daily limit (4)",
        ending(4, "The transaction would exceed the daily limit.", 15),
        Callback::Once,
    ),
    scenario(
        11,
        "has another session open (1001)",
        ending(1001, "Unable to lock subscriber, a transaction is already in process for the current subscriber", 2),
        Callback::Once,
    ),
    scenario(17, "paid the same amount just now (17)", ending(17, "System internal error.", 5), Callback::Once),
    scenario(19, "lets the request expire (1019)", ending(1019, "Transaction has expired", 60), Callback::Once),
    scenario(20, "enters a wrong PIN (2001)", WRONG_PIN, Callback::Once),
    scenario(
        25,
        "cannot be shown the prompt (1025)",
        ending(1025, "An error occurred while sending a push request", 3),
        Callback::Once,
    ),
    scenario(
        26,
        "meets a busy Daraja (26: proves nothing)",
        ending(26, "System busy. The service request is rejected.", 5),
        Callback::Once,
    ),
    scenario(
        29,
        "ends with a code that nobody documents (2029: proves nothing)",
        ending(2029, "Failed due to an unresolved reason type.", 20),
        Callback::Once,
    ),
    scenario(
        31,
        "cancels, as an older code says (1031)",
        ending(1031, "Request cancelled by user", 20),
        Callback::Once,
    ),
    scenario(32, "cancels (1032)", CANCELS, Callback::Once),
    scenario(
        36,
        "does not answer, as an older code says (1036)",
        ending(1036, "[STK_CB - ]SMSC ACK timeout.", 26),
        Callback::Once,
    ),
    scenario(37, "does not answer (1037)", IGNORES, Callback::Once),
    scenario(86, "has a locked PIN (8006)", ending(8006, "The security credential is locked.", 15), Callback::Once),
    scenario(90, "leaves the prompt open for an hour", NEVER_ENDS, Callback::Once),
    scenario(91, "approves, the callback is lost", APPROVES, Callback::Lost),
    scenario(92, "approves, the callback comes twice", APPROVES, Callback::Twice),
    scenario(93, "approves at once, the callback comes before the answer to the push", APPROVES, Callback::Early),
    scenario(94, "approves, the callback comes a minute late", APPROVES, Callback::Late(Duration::from_secs(60))),
    scenario(95, "approves, the callback holds no receipt", WITHOUT_RECEIPT, Callback::Once),
    scenario(96, "does not answer, the callback is lost", IGNORES, Callback::Lost),
    scenario(97, "approves, the callback is overtaken by the next one", APPROVES, Callback::Overtaken),
];

impl State {
    pub(super) fn behaviour_of(&self, number: Msisdn) -> Behaviour {
        let last_two = number.as_u64() % 100;
        let by_number = || SCENARIOS.iter().find(|scenario| u64::from(scenario.ends_in) == last_two);
        self.scripts.get(&number).copied().or(self.everyone).unwrap_or_else(|| {
            by_number().map_or(Behaviour::new(APPROVES, Callback::Once), |scenario| scenario.behaviour)
        })
    }
}

/// What a customer does from now on. Each method changes the script at once; the last one counts.
///
/// ```
/// use std::time::Duration;
/// # let simulator = daraja::simulator::Simulator::new();
/// simulator.customer("254708374149".parse()?).approves().after(Duration::from_secs(40)).callback_lost();
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug)]
pub struct CustomerScript<'s> {
    simulator: &'s Simulator,
    number: Option<Msisdn>,
}

#[expect(clippy::return_self_not_must_use, clippy::must_use_candidate, reason = "the script is changed already")]
impl<'s> CustomerScript<'s> {
    pub(super) fn new(simulator: &'s Simulator, number: Option<Msisdn>) -> Self {
        Self { simulator, number }
    }

    fn change(self, change: impl FnOnce(&mut Behaviour)) -> Self {
        let mut state = self.simulator.lock();
        let start = Behaviour::new(APPROVES, Callback::Once);
        match self.number {
            Some(number) => change(state.scripts.entry(number).or_insert(start)),
            None => change(state.everyone.get_or_insert(start)),
        }
        drop(state);
        self
    }

    fn ends(self, ending: Ending) -> Self {
        self.change(|behaviour| behaviour.ending = ending)
    }

    /// Enters the PIN; the money moves.
    pub fn approves(self) -> Self {
        self.ends(APPROVES)
    }

    /// Dismisses the prompt: 1032.
    pub fn cancels(self) -> Self {
        self.ends(CANCELS)
    }

    /// Does nothing until the prompt is gone: 1037.
    pub fn ignores(self) -> Self {
        self.ends(IGNORES)
    }

    /// Approves without having the money: 1.
    pub fn lacks_funds(self) -> Self {
        self.ends(LACKS_FUNDS)
    }

    /// Mistypes the PIN: 2001.
    pub fn mistypes_pin(self) -> Self {
        self.ends(WRONG_PIN)
    }

    /// Pays, but the callback holds no receipt.
    pub fn pays_without_receipt(self) -> Self {
        self.ends(WITHOUT_RECEIPT)
    }

    /// Ends with any numeric code and words. With a zero code the money moves.
    pub fn ends_with(self, code: u64, words: &'static str) -> Self {
        self.ends(ending(code, words, 15))
    }

    /// Leaves it to whoever holds the phone: see [`Simulator::answer`]. The prompt is open for 60 s, whatever the
    /// simulator's [answer time](super::SimulatorBuilder::answer_time), or as long as [`after`](Self::after) says;
    /// unanswered it ends as if ignored, 1037. No money moves before the answer.
    ///
    /// What becomes of the callback is scripted as ever, except that an early one comes when the prompt ends.
    ///
    /// ```
    /// use daraja::simulator::{PromptAnswer, Simulator};
    /// # use daraja::{Shillings, StkPush};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let simulator = Simulator::new();
    /// simulator.everyone().decides_by_hand();
    /// # let (merchant, payer) = (simulator.merchant(), "254708374149".parse()?);
    /// # let push = StkPush::new(&merchant, payer, Shillings::new(500)?, "INV-001".parse()?, simulator.callback_url());
    /// simulator.client().send(&push).await?;
    /// let open = simulator.open_prompts();
    /// assert_eq!(open[0].prompt.reference, "INV-001");
    /// simulator.answer(&open[0].prompt.checkout_request_id, PromptAnswer::Pin)?;
    /// assert!(simulator.open_prompts().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn decides_by_hand(self) -> Self {
        self.ends(BY_HAND)
    }

    /// Takes this long to answer, down to nothing at all.
    pub fn after(self, time: Duration) -> Self {
        self.change(|behaviour| behaviour.after = Some(time))
    }

    /// The callback comes once, when the payment ends.
    pub fn callback_once(self) -> Self {
        self.change(|behaviour| behaviour.callback = Callback::Once)
    }

    /// The callback never comes.
    pub fn callback_lost(self) -> Self {
        self.change(|behaviour| behaviour.callback = Callback::Lost)
    }

    /// The callback comes twice.
    pub fn callback_twice(self) -> Self {
        self.change(|behaviour| behaviour.callback = Callback::Twice)
    }

    /// The callback comes this much after the payment ended.
    pub fn callback_late(self, delay: Duration) -> Self {
        self.change(|behaviour| behaviour.callback = Callback::Late(delay))
    }

    /// The payment ends at once, and the callback comes before the answer to the push.
    pub fn callback_early(self) -> Self {
        self.change(|behaviour| behaviour.callback = Callback::Early)
    }

    /// The callback comes after the next one that is delivered.
    pub fn callback_overtaken(self) -> Self {
        self.change(|behaviour| behaviour.callback = Callback::Overtaken)
    }
}
