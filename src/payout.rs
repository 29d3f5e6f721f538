//! The life cycle of money that leaves: what an application stores before it sends, and the next safe step.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    ConversationId, Initiator, Msisdn, OriginatorConversationId, Repeat, Result, ResultUrls, Shillings, ShortCode,
    Timestamp, TransactionStatusQuery,
    b2c::{B2cPayment, Order},
    code::Unproven,
    error::Invalid,
    operation::NotAfter,
    retry::REMEMBERED,
};

mod dispatch;
mod events;
mod identity;
mod state;

pub use dispatch::{Dispatch, Sent};
use state::Requests;
pub use state::{Contradiction, NextStep, PayoutState, Unplaced};

/// After this a payout that is found in the middle of a sending was interrupted, and others take over.
const SENDING: Duration = Duration::from_secs(120);
/// No try of a dispatch takes longer. It is shorter by as much as the clocks of two machines may differ: [`TOLERANCE`].
const LEAVES_WITHIN: Duration = Duration::from_secs(60);
/// The longest pause before Daraja is asked again.
const LONGEST_ASK_PAUSE: Duration = Duration::from_secs(3_600);
/// By how much a clock may stand before the last event: two machines differ by so much, and times are cut to the second.
const TOLERANCE: Duration = Duration::from_secs(60);

/// A payout from birth to its end: a value that an application stores **before** it sends, and after every event.
///
/// It freezes recipient, amount, short code, purpose and id, so that what is sent again is the same payment to the letter;
/// it takes what happened, and the time; and it says the [next safe step](Self::next_step). Only [`begin`](Self::begin)
/// gives the right to send, once: a [`Dispatch`]. It does nothing by itself and holds no secret, but names and numbers. Its
/// row has one writer at a time: lock it, or compare before you swap.
///
/// Once a payout may have been carried out, nothing but a result or a transaction's status settles it: no error does, no
/// time, and no second id. If Daraja never tells, it asks for ever.
///
/// ```
/// use daraja::{
///     B2cPayment, B2cResult, NextStep, Payout, PayoutState, Shillings,
///     simulator::{Fault, Route, Simulator},
/// };
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let simulator = Simulator::new();
/// let (daraja, initiator, urls) = (simulator.client(), simulator.initiator(), simulator.result_urls());
/// let (code, supplier) = (simulator.b2c_short_code(), "0712 345 678".parse()?);
///
/// let payment = B2cPayment::new(&initiator, code, supplier, Shillings::new(5_000)?, urls.clone());
/// let mut payout = Payout::new(payment);
/// let mut row = serde_json::to_string(&payout)?; // into your database
///
/// // The program dies while it sends, after the money has left. `begin` was stored, so the row says that it may have left.
/// let dispatch = payout.begin(daraja.now())?;
/// row = serde_json::to_string(&payout)?;
/// simulator.fault(Route::B2c, Fault::Slow(std::time::Duration::from_secs(3_600)));
/// tokio::select! {
///     _ = dispatch.send(&daraja, &initiator, urls.clone()) => {},
///     () = tokio::time::sleep(std::time::Duration::from_secs(3)) => {},
/// }
///
/// // It starts again later, and goes on from what is stored.
/// tokio::time::sleep(std::time::Duration::from_secs(180)).await;
/// let mut payout: Payout = serde_json::from_str(&row)?;
/// assert_eq!(payout.next_step(daraja.now()), NextStep::SendAgainWithSameId);
/// let dispatch = payout.begin(daraja.now())?;
/// row = serde_json::to_string(&payout)?;
/// payout.sent(&dispatch.send(&daraja, &initiator, urls).await, daraja.now());
///
/// // Its result had come meanwhile.
/// let posted = simulator.next_result().await;
/// payout.take_result(&B2cResult::parse(&posted.body)?, daraja.now())?;
/// assert!(matches!(payout.state(), PayoutState::Paid(_)));
/// assert_eq!(payout.next_step(daraja.now()), NextStep::Done);
/// assert_eq!(simulator.payouts().len(), 1); // paid once
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    order: Order,
    state: PayoutState,
    #[serde(default)]
    contradictions: Vec<Contradiction>,
    window_seconds: u64,
    first_sent_at: Option<Timestamp>,
    /// The time of the last event. A clock that stands before it was set back.
    #[serde(default)]
    seen_at: Option<Timestamp>,
    /// An earlier sending may have been carried out: no error of a later one says that it was not.
    may_be_done: bool,
    /// Daraja has the payment under this id: sending it again would tell nothing.
    is_known: bool,
    #[serde(default)]
    requests: Requests,
    /// How often it was begun, which of these was the first that may have been executed, and the last one whose outcome was
    /// noted.
    #[serde(default)]
    begins: u32,
    #[serde(default)]
    first_begin: u32,
    #[serde(default)]
    noted: u32,
    /// What Daraja calls the payment.
    conversation_id: Option<ConversationId>,
    given_id: Option<OriginatorConversationId>,
    /// What Daraja calls the last question about it.
    question: Option<ConversationId>,
    /// The id that it was asked by.
    #[serde(default)]
    asked_by: Option<OriginatorConversationId>,
    #[serde(default)]
    unplaced: Vec<Unplaced>,
    #[serde(default)]
    last_unproven: Option<Unproven>,
    /// When the next step is due.
    due: Option<Timestamp>,
    /// How often it was sent in vain, and how often Daraja was asked.
    #[serde(default)]
    sends: u32,
    #[serde(default)]
    asks: u32,
}

impl Payout {
    /// Freezes a payment, before it is sent.
    ///
    /// A payment of B2C [version 1](B2cPayment::v1) or [with ID check](B2cPayment::with_id_check) is never sent again after
    /// an unknown outcome.
    #[must_use]
    pub fn new(payment: B2cPayment) -> Self {
        Self {
            order: payment.into_order(),
            state: PayoutState::Created,
            contradictions: Vec::new(),
            window_seconds: REMEMBERED.as_secs(),
            first_sent_at: None,
            seen_at: None,
            may_be_done: false,
            is_known: false,
            requests: Requests::One,
            begins: 0,
            first_begin: 0,
            noted: 0,
            conversation_id: None,
            given_id: None,
            question: None,
            asked_by: None,
            unplaced: Vec::new(),
            last_unproven: None,
            due: None,
            sends: 0,
            asks: 0,
        }
    }

    /// Sets how long after the first sending the same payment may be sent again, by the client within one
    /// [`begin`](Self::begin) or, until a minute before, by a further one: 10 minutes unless set. Set it no
    /// longer than you are sure that Daraja remembers ids. Zero: it is never sent again after a try that may have been
    /// carried out. Once it was sent, the window can be made shorter only.
    #[must_use]
    pub fn send_again_within(mut self, window: Duration) -> Self {
        let longest = if self.first_sent_at.is_some() { self.window_seconds } else { u64::MAX };
        self.window_seconds = window.as_secs().min(longest);
        self
    }

    /// The id that it is sent under.
    #[must_use]
    pub fn id(&self) -> &OriginatorConversationId {
        &self.order.id
    }

    /// Who is paid.
    #[must_use]
    pub fn recipient(&self) -> Msisdn {
        self.order.recipient
    }

    /// How much is paid.
    #[must_use]
    pub fn amount(&self) -> Shillings {
        self.order.amount
    }

    /// The short code that pays.
    #[must_use]
    pub fn short_code(&self) -> ShortCode {
        self.order.short_code
    }

    /// When it was first sent, of the sendings that may have been executed; `None` if there is none.
    #[must_use]
    pub fn first_sent_at(&self) -> Option<Timestamp> {
        self.first_sent_at
    }

    /// How far it has got.
    #[must_use]
    pub fn state(&self) -> &PayoutState {
        &self.state
    }

    /// What was told and cannot be true together. Empty, one hopes.
    #[must_use]
    pub fn contradictions(&self) -> &[Contradiction] {
        &self.contradictions
    }

    /// What was reported at the URL of this payout and could not be placed: Daraja's answer, which names the ids of the
    /// payment, was lost or is still to come. It is kept for that answer, and for a person to see.
    #[must_use]
    pub fn unplaced(&self) -> &[Unplaced] {
        &self.unplaced
    }

    /// The last report that settles nothing, such as a result with a code that is not known to be final, or the failure
    /// of the last question about it: code, words and why. Show it to the person who looks at a payout that stays unknown.
    #[must_use]
    pub fn last_unproven(&self) -> Option<&Unproven> {
        self.last_unproven.as_ref()
    }

    /// The question that [`NextStep::AskStatus`] means; `None` if no id is known to ask by.
    ///
    /// A payment of [version 1](B2cPayment::v1) has the id that Daraja's answer gave it. Where that answer was lost it is
    /// asked for by the ids that [unplaced](Self::unplaced) reports name, one after the other.
    #[must_use]
    pub fn status_query(&self, initiator: &Initiator, urls: ResultUrls) -> Option<TransactionStatusQuery> {
        let id = self.known_id().or_else(|| self.reported_id());
        id.map(|id| TransactionStatusQuery::by_id(initiator, self.order.short_code, id, urls))
    }

    /// The id that Daraja knows the payment by.
    fn known_id(&self) -> Option<&OriginatorConversationId> {
        if self.order.carries_its_id() { Some(&self.order.id) } else { self.given_id.as_ref() }
    }

    /// An id that was reported at its URL and may be its own: each in turn.
    fn reported_id(&self) -> Option<&OriginatorConversationId> {
        let ids: Vec<_> =
            self.unplaced.iter().filter_map(|report| report.originator_conversation_id.as_ref()).collect();
        let turn = usize::try_from(self.asks).unwrap_or_default().checked_rem(ids.len())?;
        ids.get(turn).copied()
    }

    /// What can safely be done at this time.
    #[must_use]
    pub fn next_step(&self, now: Timestamp) -> NextStep {
        if self.state.is_settled() {
            return NextStep::Done;
        }
        // A time further ahead than any pause comes from a clock that was wrong, and so does one set by a clock that was
        // ahead.
        let was_ahead = self.set_back_by(now) > TOLERANCE;
        let pause = self.due.and_then(|due| due.since(now));
        let longest = LONGEST_ASK_PAUSE.saturating_add(TOLERANCE);
        let pause = pause.filter(|pause| *pause <= longest && !was_ahead);
        match (&self.state, pause) {
            (_, Some(pause)) if !pause.is_zero() => NextStep::Wait(now.after(pause)),
            (PayoutState::Created, _) => NextStep::Send,
            _ if self.resend_window(now) > Duration::ZERO => NextStep::SendAgainWithSameId,
            _ if self.known_id().or_else(|| self.reported_id()).is_some() => NextStep::AskStatus,
            _ => NextStep::Wait(now.after(LONGEST_ASK_PAUSE)),
        }
    }

    /// What is left of the time in which it may be sent again.
    fn resend_window(&self, now: Timestamp) -> Duration {
        let may_be_resent = !self.is_known && self.order.repeat() == Repeat::Deduplicated;
        let behind = self.set_back_by(now);
        let age = self.first_sent_at.and_then(|first| now.since(first));
        let age = age.filter(|_| may_be_resent && behind <= TOLERANCE).map(|age| age.saturating_add(behind));
        age.map_or(Duration::ZERO, |age| Duration::from_secs(self.window_seconds).saturating_sub(age))
    }

    /// How far the clock stands before the last event.
    fn set_back_by(&self, now: Timestamp) -> Duration {
        self.seen_at.and_then(|seen| seen.since(now)).unwrap_or_default()
    }

    /// Takes the time of an event. A clock that was set back by a minute or more since the first sending tells no age, not
    /// even when it gets there again: the window is over for good. The clocks of two machines can differ by less, which makes
    /// the window so much shorter.
    fn look_at(&mut self, now: Timestamp) {
        let behind = self.set_back_by(now);
        if self.first_sent_at.is_some() {
            let lost = if behind > TOLERANCE { u64::MAX } else { behind.as_secs() };
            self.window_seconds = self.window_seconds.saturating_sub(lost);
        }
        self.seen_at = Some(now);
    }

    /// Begins to send: call it, **store the payout**, and then send the [`Dispatch`]. `now` is
    /// [`Client::now`](crate::Client::now) of the client that sends.
    ///
    /// Other workers take the payout over after two minutes. The dispatch is sent within one minute, and what is sent again no
    /// later than a minute before the [window](Self::send_again_within) ends: by so much the clocks of two machines may
    /// differ.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if sending is not the next safe step. Then nothing is changed.
    pub fn begin(&mut self, now: Timestamp) -> Result<Dispatch, Invalid> {
        let step = self.next_step(now);
        if !matches!(step, NextStep::Send | NextStep::SendAgainWithSameId) {
            let reason = format!("sending is not its next safe step, which is {step:?}");
            return Err(Invalid::new("payout", reason));
        }
        self.look_at(now);
        let is_uncertain = self.noted < self.begins;
        self.begins = self.begins.saturating_add(1);
        let (window, resend_window) = if step == NextStep::Send {
            self.first_sent_at = Some(now);
            self.first_begin = self.begins;
            (LEAVES_WITHIN, Duration::from_secs(self.window_seconds))
        } else {
            // One that was never noted may have been accepted, and this one as well.
            if is_uncertain {
                self.requests.perhaps_several();
            }
            self.may_be_done = true;
            // The machine that sent it first may have been behind this one, and no event has shown it.
            let left = self.resend_window(now).saturating_sub(TOLERANCE);
            (left.min(LEAVES_WITHIN), left)
        };
        let is_resend = step == NextStep::SendAgainWithSameId;
        self.state = PayoutState::Sending;
        self.due = Some(now.after(SENDING));
        let not_after = NotAfter::within(now, window).resend_within(resend_window);
        let not_after = if is_resend { not_after.of_resend() } else { not_after };
        Ok(Dispatch { order: self.order.clone(), not_after, number: self.begins })
    }
}
