//! The life cycle of money that leaves: what an application stores before it sends, and the next safe step.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    ConversationId, Error, Initiator, Kes, Msisdn, OriginatorConversationId, Party, QueueTimeout, ReceiptNumber,
    Repeat, Result, ResultUrls, Shillings, ShortCode, StatusOutcome, Timestamp, TransactionState,
    TransactionStatusQuery, TransactionStatusResult,
    b2c::{B2cAccepted, B2cFailure, B2cOutcome, B2cPayment, B2cPayout, B2cResult, Order},
    code::Why,
    error::{ApiError, Invalid},
    initiated::{Accepted, RequestPurpose},
    operation::NotAfter,
    retry::REMEMBERED,
};

mod dispatch;
mod state;

pub use dispatch::Dispatch;
pub use state::{Contradiction, NextStep, PayoutState, Unplaced};

/// After this a payout that is found in the middle of a sending was interrupted, and others take over: no dispatch leaves
/// later.
const SENDING: Duration = Duration::from_secs(120);
/// Before the same payment is sent again; doubled each time.
const SEND_PAUSE: Duration = Duration::from_secs(15);
const LONGEST_SEND_PAUSE: Duration = Duration::from_secs(240);
/// Before Daraja is asked, and asked again; doubled each time. An answer has been seen to take a minute and a half.
const ASK_PAUSE: Duration = Duration::from_secs(120);
const LONGEST_ASK_PAUSE: Duration = Duration::from_secs(3_600);
/// As much as two clocks can be apart that are meant to agree, their time zones included.
const SKEW: Duration = Duration::from_secs(86_400);
/// Times are cut to the second, so two machines that agree can differ by one.
const ROUNDING: Duration = Duration::from_secs(1);
/// Reports that are kept while it is not known what they are about.
const MOST_UNPLACED: usize = 8;

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
    /// What Daraja calls the payment.
    conversation_id: Option<ConversationId>,
    given_id: Option<OriginatorConversationId>,
    /// What Daraja calls the last question about it.
    question: Option<ConversationId>,
    /// The id that it was asked by, where that is not known to be its own.
    #[serde(default)]
    asked_by: Option<OriginatorConversationId>,
    #[serde(default)]
    unplaced: Vec<Unplaced>,
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
            conversation_id: None,
            given_id: None,
            question: None,
            asked_by: None,
            unplaced: Vec::new(),
            due: None,
            sends: 0,
            asks: 0,
        }
    }

    /// Sets how long after the first sending the same payment may be sent again, by a further [`begin`](Self::begin) or by
    /// the client within one: 10 minutes unless set, and no longer than you are sure that Daraja remembers ids. Zero: it is
    /// never sent again after a try that may have been carried out. Once it was sent, the window can be made shorter only.
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
        let was_ahead = self.set_back_by(now) > ROUNDING;
        let pause = self.due.and_then(|due| due.since(now));
        let pause = pause.filter(|pause| *pause <= LONGEST_ASK_PAUSE && !was_ahead);
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
        let age = self.first_sent_at.and_then(|first| now.since(first));
        let age = age.filter(|_| may_be_resent && self.set_back_by(now) <= ROUNDING);
        age.map_or(Duration::ZERO, |age| Duration::from_secs(self.window_seconds).saturating_sub(age))
    }

    /// How far the clock stands before the last event.
    fn set_back_by(&self, now: Timestamp) -> Duration {
        self.seen_at.and_then(|seen| seen.since(now)).unwrap_or_default()
    }

    /// Takes the time of an event. A clock that was set back since the first sending tells no age, not even when it gets
    /// there again: the window is over for good. The clocks of two machines that agree can differ by a second here, which
    /// makes the window so much shorter.
    fn look_at(&mut self, now: Timestamp) {
        let behind = self.set_back_by(now);
        if self.first_sent_at.is_some() {
            let lost = if behind > ROUNDING { u64::MAX } else { behind.as_secs() };
            self.window_seconds = self.window_seconds.saturating_sub(lost);
        }
        self.seen_at = Some(now);
    }

    /// Begins to send: call it, **store the payout**, and then send the [`Dispatch`]. `now` is [`Client::now`] of the client
    /// that sends.
    ///
    /// The dispatch may leave as long as no other worker takes the payout over: two minutes, and what is sent again no later
    /// than the [window](Self::send_again_within) allows.
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
        let (window, resend_window) = if step == NextStep::Send {
            self.first_sent_at = Some(now);
            (SENDING, Duration::from_secs(self.window_seconds))
        } else {
            self.may_be_done = true;
            let left = self.resend_window(now);
            (left.min(SENDING), left)
        };
        self.state = PayoutState::Sending;
        self.due = Some(now.after(SENDING));
        let not_after = NotAfter::within(now, window).resend_within(resend_window);
        Ok(Dispatch { order: self.order.clone(), not_after })
    }

    /// Takes what sending the [`Dispatch`] came to.
    pub fn sent(&mut self, outcome: &Result<B2cAccepted>, now: Timestamp) {
        self.look_at(now);
        match outcome {
            Ok(accepted) => {
                self.is_taken();
                if let B2cAccepted::Accepted(accepted) = accepted {
                    self.conversation_id.clone_from(&accepted.conversation_id);
                    self.given_id.clone_from(&accepted.originator_conversation_id);
                }
                self.enter(PayoutState::Accepted, now.after(ASK_PAUSE));
                self.place(now);
            }
            Err(error) => self.not_sent(error, now),
        }
    }

    fn not_sent(&mut self, error: &Error, now: Timestamp) {
        let is_duplicate = error.api().is_some_and(ApiError::is_duplicate);
        // The id was used before: for this payment, or for another one. Only Daraja can tell.
        self.is_known |= is_duplicate;
        self.may_be_done |= is_duplicate || error.outcome_unknown();
        let pause = doubled(SEND_PAUSE, self.sends, LONGEST_SEND_PAUSE).max(error.retry_after().unwrap_or_default());
        let pause = pause.min(LONGEST_ASK_PAUSE);
        self.sends = self.sends.saturating_add(1);
        if self.may_be_done {
            let pause = if is_duplicate { Duration::ZERO } else { pause };
            return self.enter(PayoutState::Unknown, now.after(pause));
        }
        self.first_sent_at = None;
        // No token, or one that Daraja refused: that says nothing about the payment.
        let is_of_the_app = matches!(error, Error::Token(_)) || error.api().is_some_and(ApiError::is_token_refused);
        if error.is_retryable() || is_of_the_app {
            self.enter(PayoutState::Created, now.after(pause));
        } else {
            self.enter(PayoutState::Refused(error.to_string().into()), now);
        }
    }

    /// Takes what sending the [status query](Self::status_query) came to.
    pub fn asked(&mut self, outcome: &Result<Accepted>, now: Timestamp) {
        self.look_at(now);
        if let Ok(accepted) = outcome {
            self.question.clone_from(&accepted.conversation_id);
            self.asked_by = if self.known_id().is_some() { None } else { self.reported_id().cloned() };
        }
        let asked_to_wait = outcome.as_ref().err().and_then(Error::retry_after).unwrap_or_default();
        let pause = doubled(ASK_PAUSE, self.asks, LONGEST_ASK_PAUSE).max(asked_to_wait).min(LONGEST_ASK_PAUSE);
        self.asks = self.asks.saturating_add(1);
        self.due = Some(now.after(pause));
    }

    /// Takes a result that came to the URL of this payout.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if it names another payment. Then nothing is changed.
    pub fn take_result(&mut self, result: &B2cResult, now: Timestamp) -> Result<(), Invalid> {
        self.check_ids("result", result.originator_conversation_id.as_ref(), result.conversation_id.as_ref())?;
        if result.conversation_id.is_some() && result.conversation_id == self.question {
            return Err(Invalid::new("result", "it is about the question, not the payment; nothing was changed"));
        }
        self.look_at(now);
        if self.knows_no_id() {
            // By the URL alone: it may be another payment's.
            self.keep(Unplaced::result(result));
            match &result.outcome {
                B2cOutcome::Paid(paid) if self.is_this_very(paid) => self.paid(paid.clone(), now),
                _ => self.unsettled(now),
            }
        } else {
            self.report(&result.outcome, now);
        }
        Ok(())
    }

    /// Takes what is known to be reported about this payment.
    fn report(&mut self, outcome: &B2cOutcome, now: Timestamp) {
        match outcome {
            B2cOutcome::Paid(paid) => self.paid(paid.clone(), now),
            B2cOutcome::Failed(failure) => self.failed(failure.clone()),
            B2cOutcome::Unproven(unproven) if unproven.why == Why::Contradicted => {
                self.contradicted(unproven.receipt, now);
            }
            B2cOutcome::Unproven(_) => self.unsettled(now),
        }
    }

    /// Keeps a report until the ids of the payment are known.
    fn keep(&mut self, report: Unplaced) {
        if self.unplaced.len() < MOST_UNPLACED && !self.unplaced.contains(&report) {
            self.unplaced.push(report);
        }
    }

    /// The ids of the payment are known now: what was reported before is used. What names another payment is a
    /// contradiction: it came to the URL of this one.
    fn place(&mut self, now: Timestamp) {
        for report in std::mem::take(&mut self.unplaced) {
            let (id, conversation) = (report.originator_conversation_id.as_ref(), report.conversation_id.as_ref());
            if self.is_named_by(id, conversation) {
                match &report.outcome {
                    Some(outcome) => self.report(outcome, now),
                    None => self.doubt(now),
                }
                continue;
            }
            if id.is_some() || conversation.is_some() {
                self.contradict(Contradiction::OtherPayment(report.receipt()));
            }
            self.unplaced.push(report);
        }
    }

    /// Takes the answer to a status query about this payout. A question that failed, or that found nothing, settles
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if it does not answer the last question and the transaction that was found is another one. Then nothing is
    /// changed.
    pub fn take_status(&mut self, result: &TransactionStatusResult, now: Timestamp) -> Result<(), Invalid> {
        let StatusOutcome::Found(transaction) = &result.outcome else { return Ok(()) };
        let answers_ours = self.question.is_some() && self.question == result.conversation_id;
        let was_asked_by_own_id = answers_ours && self.asked_by.is_none();
        if !(answers_ours && (was_asked_by_own_id || self.knows_no_id())) {
            let id = transaction.originator_conversation_id.as_ref();
            self.check_ids("transaction", id, transaction.conversation_id.as_ref())?;
        }
        self.look_at(now);
        if self.knows_no_id() && !self.is_this(transaction.amount, transaction.credit_party.as_ref()) {
            // It may be another payment's.
            Unplaced::transaction(transaction).into_iter().for_each(|report| self.keep(report));
            self.unsettled(now);
            return Ok(());
        }
        match &transaction.status {
            _ if transaction.is_contradicted() => self.contradicted(transaction.receipt, now),
            TransactionState::Completed => match transaction.proof() {
                Some(receipt) => self.paid(B2cPayout::found(transaction, receipt), now),
                None => self.unsettled(now),
            },
            _ if self.differs(transaction.amount, transaction.credit_party.as_ref()) => self.contradicted(None, now),
            status => match B2cFailure::found(status) {
                Some(failure) => self.failed(failure),
                None => {
                    self.is_taken();
                    if !matches!(self.state, PayoutState::Accepted | PayoutState::Unknown) {
                        self.doubt(now.after(ASK_PAUSE));
                    }
                }
            },
        }
        Ok(())
    }

    /// Takes a notice that the payment timed out in Daraja's queue. It is not a failure: the payment may have been made.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if it came to the URL of a question, or names another payment, or none and this one was not sent. Then
    /// nothing is changed.
    pub fn take_timeout(&mut self, timeout: &QueueTimeout, now: Timestamp) -> Result<(), Invalid> {
        if timeout.purpose() == Some(RequestPurpose::Question) {
            let reason = "it came to the URL of a question, not of the payment; nothing was changed";
            return Err(Invalid::new("queue timeout", reason));
        }
        let (id, conversation) = (timeout.originator_conversation_id.as_ref(), timeout.conversation_id.as_ref());
        let is_named = id.is_some() || conversation.is_some();
        if is_named {
            self.check_ids("queue timeout", id, conversation)?;
        } else if self.state == PayoutState::Created {
            return Err(Invalid::new(
                "queue timeout",
                "it names no payment, and this one was not sent; nothing was changed",
            ));
        }
        self.look_at(now);
        if is_named {
            // It is in Daraja's queue, and nobody knows whether the id of what timed out there is remembered.
            self.is_taken();
            if self.knows_no_id() {
                self.keep(Unplaced::timeout(timeout));
            }
        }
        self.doubt(now);
        Ok(())
    }

    /// Daraja writes our id or its own. A payment of version 1 whose answer was lost has no id to compare: then the URL
    /// that the event came to is all there is.
    fn check_ids(
        &self,
        what: &'static str,
        id: Option<&OriginatorConversationId>,
        conversation: Option<&ConversationId>,
    ) -> Result<(), Invalid> {
        let was_sent = !matches!(self.state, PayoutState::Created | PayoutState::Refused(_));
        if self.is_named_by(id, conversation) || (self.knows_no_id() && was_sent) {
            return Ok(());
        }
        Err(Invalid::new(what, "it names another payment, or none; nothing was changed"))
    }

    fn is_named_by(&self, id: Option<&OriginatorConversationId>, conversation: Option<&ConversationId>) -> bool {
        let own = self.order.carries_its_id().then_some(&self.order.id);
        let is_ours = id.is_some() && (id == own || id == self.given_id.as_ref());
        let is_its = conversation.is_some() && conversation == self.conversation_id.as_ref();
        is_ours || is_its
    }

    /// Whether nothing but the URL can tell what an event is about.
    fn knows_no_id(&self) -> bool {
        !self.order.carries_its_id() && self.given_id.is_none() && self.conversation_id.is_none()
    }

    /// Whether amount and recipient are both told, and both right.
    fn is_this_very(&self, paid: &B2cPayout) -> bool {
        self.is_this(paid.amount, paid.recipient.as_ref())
    }

    fn is_this(&self, amount: Option<Kes>, recipient: Option<&Party>) -> bool {
        let number = recipient.and_then(Party::msisdn);
        amount == Some(self.order.amount.into()) && number == Some(self.order.recipient)
    }

    fn differs(&self, amount: Option<Kes>, recipient: Option<&Party>) -> bool {
        let other_amount = amount.is_some_and(|amount| amount != Kes::from(self.order.amount));
        other_amount || recipient.and_then(Party::msisdn).is_some_and(|number| number != self.order.recipient)
    }

    fn paid(&mut self, paid: B2cPayout, now: Timestamp) {
        // A closed window says that the clock was seen wrong, or that it is not relied on.
        let sent = self.first_sent_at.filter(|_| self.window_seconds > 0);
        let is_older = sent.zip(paid.completed_at).is_some_and(|(first, done)| done.after(SKEW) < first);
        if is_older || self.differs(paid.amount, paid.recipient.as_ref()) {
            return self.contradicted(Some(paid.receipt), now);
        }
        match &mut self.state {
            PayoutState::Paid(known) if known.receipt == paid.receipt => known.complete(paid),
            PayoutState::Paid(_) => self.contradict(Contradiction::SecondReceipt(paid.receipt)),
            PayoutState::Failed(_) | PayoutState::Refused(_) => {
                self.contradict(Contradiction::PaidAfterFailure);
                self.state = PayoutState::Paid(paid);
            }
            _ => self.state = PayoutState::Paid(paid),
        }
    }

    fn failed(&mut self, failure: B2cFailure) {
        match &self.state {
            PayoutState::Paid(_) => self.contradict(Contradiction::FailureAfterPayment),
            PayoutState::Failed(_) => {}
            _ => self.state = PayoutState::Failed(failure),
        }
    }

    /// Something was told under the id that cannot be this payment: a person has to look, and meanwhile Daraja is asked.
    fn contradicted(&mut self, receipt: Option<ReceiptNumber>, now: Timestamp) {
        self.contradict(Contradiction::OtherPayment(receipt));
        self.unsettled(now);
    }

    fn contradict(&mut self, contradiction: Contradiction) {
        if !self.contradictions.contains(&contradiction) {
            self.contradictions.push(contradiction);
        }
    }

    /// Daraja has the payment, and has not said what became of it. If that is news, it is asked at once.
    fn unsettled(&mut self, now: Timestamp) {
        let is_news = !self.is_known || self.state != PayoutState::Unknown;
        self.is_taken();
        if is_news {
            self.doubt(now);
        }
    }

    /// Daraja has it: from here on no error says that it was not carried out.
    fn is_taken(&mut self) {
        self.is_known = true;
        self.may_be_done = true;
    }

    /// It may have been carried out. That goes for a refused one too: nobody else sends under its id.
    fn doubt(&mut self, due: Timestamp) {
        self.may_be_done = true;
        if !matches!(self.state, PayoutState::Paid(_) | PayoutState::Failed(_)) {
            self.state = PayoutState::Unknown;
            self.due = Some(due);
        }
    }

    /// What is settled stays so, whatever a send comes to that was under way meanwhile.
    fn enter(&mut self, state: PayoutState, due: Timestamp) {
        // A refusal proves nothing about another sending that was under way.
        let outdoes_refusal = matches!(self.state, PayoutState::Refused(_)) && state != PayoutState::Created;
        if !self.state.is_settled() || outdoes_refusal {
            self.state = state;
            self.due = Some(due);
        }
    }
}

fn doubled(pause: Duration, turns: u32, longest: Duration) -> Duration {
    pause.saturating_mul(1_u32.checked_shl(turns).unwrap_or(u32::MAX)).min(longest)
}
