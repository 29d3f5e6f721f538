//! The simulated phone in somebody's hand: the prompt that is open on it, the answer, and the messages that it got.

use std::{collections::hash_map::Entry as Slot, error::Error as StdError, fmt, time::Duration};

use tokio::time::Instant;

use super::{
    Prompt, STORE, Simulator, TILL,
    customer::{APPROVES, CANCELS, DecidedBy, Ending, LACKS_FUNDS, WRONG_PIN},
    express::{self, Push},
    initiated::ORGANISATION,
    ledger::{Entry, Kind},
    organisation::read_receipt,
};
use crate::{CheckoutRequestId, Kes, Msisdn, ReceiptNumber, Timestamp};

/// What whoever holds the phone does with a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PromptAnswer {
    /// Enters the PIN: the money moves now.
    Pin,
    /// Enters a wrong PIN: 2001. No money moves.
    WrongPin,
    /// Dismisses the prompt: 1032. No money moves.
    Cancel,
    /// Enters the PIN without having the money: 1. No money moves.
    NoFunds,
}

/// A prompt that is open and waits for an [answer](Simulator::answer).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenPrompt {
    /// Whose phone shows it, and what it shows.
    pub prompt: Prompt,
    /// How long it is still open. Then it ends as if ignored.
    pub time_left: Duration,
}

/// A message that M-PESA sent to a phone, because money moved.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// What it says, in words of our own in M-PESA's manner. Programs read the other fields.
    pub text: String,
    /// The receipt, with which the text begins.
    pub receipt: ReceiptNumber,
    /// When the money moved.
    pub at: Timestamp,
}

/// No prompt of this id is open and waits for an answer: it ended or was answered already, its customer decides by
/// script, or it never rang.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoOpenPrompt;

impl Simulator {
    /// Answers a prompt of a customer who [decides by hand](super::CustomerScript::decides_by_hand).
    ///
    /// The prompt ends at once: a query knows how, the callback is due now, and another push to the number is taken. Only
    /// [`PromptAnswer::Pin`] moves money. A prompt is answered once.
    ///
    /// # Errors
    ///
    /// [`NoOpenPrompt`] if there is nothing to answer. It changes nothing.
    ///
    /// ```
    /// use daraja::{Shillings, StkPush, simulator::{PromptAnswer, Simulator}};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let simulator = Simulator::new();
    /// let payer = "254708374149".parse()?;
    /// simulator.customer(payer).decides_by_hand();
    /// # let merchant = simulator.merchant();
    /// # let push = StkPush::new(&merchant, payer, Shillings::new(500)?, "INV-001".parse()?, simulator.callback_url());
    /// let accepted = simulator.client().send(&push).await?;
    /// assert!(simulator.payments().is_empty());
    ///
    /// simulator.answer(&accepted.checkout_request_id, PromptAnswer::Pin)?;
    /// assert_eq!(simulator.payments().len(), 1);
    /// assert!(simulator.answer(&accepted.checkout_request_id, PromptAnswer::Cancel).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn answer(&self, id: &CheckoutRequestId, answer: PromptAnswer) -> Result<(), NoOpenPrompt> {
        let mut state = self.lock();
        let now = Instant::now();
        let mut push = match state.pushes.entry(id.as_str().to_owned()) {
            Slot::Occupied(slot) if slot.get().waits_for_a_hand(now) => slot.remove(),
            _ => return Err(NoOpenPrompt),
        };
        state.callbacks.cancel(&push.callbacks);
        tracing::info!(payer = %push.prompt.payer.masked(), ?answer, "prompt answered");
        push.behaviour.ending = answer.ending();
        (push.ends_at, push.known_at) = (now, now);
        express::end(self, &mut state, push);
        Ok(())
    }

    /// The prompts that are open and wait for an [answer](Self::answer), in the order in which they rang.
    #[must_use]
    pub fn open_prompts(&self) -> Vec<OpenPrompt> {
        let state = self.lock();
        let now = Instant::now();
        let open = state.pushes_in_order().filter(|push| push.waits_for_a_hand(now));
        open.map(|push| OpenPrompt {
            prompt: push.prompt.clone(),
            time_left: push.ends_at.saturating_duration_since(now),
        })
        .collect()
    }

    /// The messages that M-PESA has sent to a phone by now, oldest first: one for each payment, payout and reversal that
    /// moved money, whoever decided and whatever became of callback and result. What failed, and what is under way, sent
    /// none.
    ///
    /// ```
    /// use daraja::{Shillings, StkPush, simulator::Simulator};
    /// # use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let simulator = Simulator::builder().starting_at("2026-11-23T09:00:00Z".parse()?).build();
    /// let payer = "254708374149".parse()?;
    /// # let merchant = simulator.merchant();
    /// # let push = StkPush::new(&merchant, payer, Shillings::new(500)?, "INV-001".parse()?, simulator.callback_url());
    /// simulator.client().send(&push).await?;
    /// tokio::time::sleep(Duration::from_secs(60)).await;
    ///
    /// let message = &simulator.messages(payer)[0];
    /// let said = message.text.strip_prefix(message.receipt.as_str());
    /// assert_eq!(
    ///     said,
    ///     Some(" Confirmed. KES 500.00 paid to 174379 for account INV-001 on 23/11/26 at 12:00 PM.")
    /// );
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Never, as the receipts are its own.
    #[must_use]
    pub fn messages(&self, number: Msisdn) -> Vec<Message> {
        let state = self.lock();
        let mut messages = Vec::new();
        for entry in state.ledger.moved().filter(|entry| entry.number == number) {
            let push = state.pushes.get(&entry.conversation_id);
            messages.push((entry.ends_at, Message::new(&entry.receipt, entry.ended, &story(entry, push))));
            if let Some(reversal) = &entry.reversal {
                let (amount, original) = (Kes::from(reversal.amount), &entry.receipt);
                let story = format!("KES {amount} of {original} given back to you by {ORGANISATION}");
                messages.push((reversal.moment, Message::new(&reversal.receipt, reversal.at, &story)));
            }
        }
        messages.sort_by_key(|(moment, _)| *moment);
        messages.into_iter().map(|(_, message)| message).collect()
    }
}

impl PromptAnswer {
    fn ending(self) -> Ending {
        match self {
            Self::Pin => APPROVES,
            Self::WrongPin => WRONG_PIN,
            Self::Cancel => CANCELS,
            Self::NoFunds => LACKS_FUNDS,
        }
    }
}

impl Push {
    fn waits_for_a_hand(&self, now: Instant) -> bool {
        self.behaviour.ending.decided_by == DecidedBy::Hand && now < self.ends_at
    }
}

impl Message {
    fn new(receipt: &str, at: Timestamp, story: &str) -> Self {
        let when = at.to_datetime().format("%-d/%-m/%y at %-I:%M %p");
        Self { text: format!("{receipt} Confirmed. {story} on {when}."), receipt: read_receipt(receipt), at }
    }
}

impl fmt::Display for NoOpenPrompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no prompt of this id is open and waits for an answer")
    }
}

impl StdError for NoOpenPrompt {}

/// What a payment or payout was, from the phone's side.
fn story(entry: &Entry, push: Option<&Push>) -> String {
    let amount = Kes::from(entry.amount);
    if entry.kind == Kind::Payout {
        return format!("You have received KES {amount} from {ORGANISATION}");
    }
    match push {
        Some(Push { prompt, short_code, .. }) if short_code != STORE => {
            format!("KES {amount} paid to {short_code} for account {}", prompt.reference)
        }
        // Of a till the customer knows the number, and no account.
        _ => format!("KES {amount} paid to {TILL}"),
    }
}
