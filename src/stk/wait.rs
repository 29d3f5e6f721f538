//! Waiting for the end of a payment: by callback, by query, whichever proves it first.

use std::{
    future::{IntoFuture, pending, poll_fn},
    iter,
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use super::{
    Merchant,
    callback::StkOutcome,
    failure::Source,
    query::{StkQuery, StkStatus},
    settled::{Outcome, Payment, Settled, warn_of},
};
use crate::{
    CheckoutRequestId, Client, ResultCode, RetryPolicy,
    client::Turn,
    clock::after,
    code::Unproven,
    error::{Error, Result, StillPending, mask_id},
    transport::BoxFuture,
    webhook::{Arrival, Inbox, Listener, Reference},
};

impl Client {
    /// Waits until a payment is settled: by its callback, if an [`inbox`](Wait::inbox) and the [reference](Wait::at) of
    /// the attempt are given, or by query.
    ///
    /// A success from any source ends the wait, and so does a failure that a callback at the reference reports. A failure
    /// that only a query reports ends it when a second query agrees, **unless a callback speaks for a payment**: a success
    /// without a readable receipt or in an unusual spelling, a receipt beside a failure, an amount that is contradicted or
    /// unreadable, or a payment at another URL. Then queries may prove a payment and nothing else. The wait compares no amount: compare [`Payment::amount`] with what was asked, or the event with
    /// [`Event::expect`](crate::webhook::Event::expect) before you deliver it.
    ///
    /// Passing errors do not end the wait. Queries of all waits of this client and its clones are spaced together, because
    /// Daraja counts them together: with many waits at once and no callbacks, a wait may reach its deadline before its turn.
    /// [`ClientBuilder::query_spacing`](crate::client::ClientBuilder::query_spacing) sets the spacing.
    ///
    /// Dropping the wait loses nothing: wait again, with the same id.
    ///
    /// # Errors
    ///
    /// [`Error::StillPending`] when the time is over. The customer may still pay: do not ask again yet. If
    /// [`StillPending::speaks_for_payment`] is true, the customer has very likely paid.
    ///
    /// ```
    /// use daraja::{
    ///     Shillings, StkPush,
    ///     simulator::Simulator,
    ///     stk::Outcome,
    ///     webhook::{Inbox, Receiver, Reference, SignedUrls},
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> daraja::Result<()> {
    /// # let secret = daraja::secret::CallbackSecret::random();
    /// let urls = SignedUrls::new("https://shop.example/daraja".parse()?, secret)?;
    /// let (receiver, inbox) = (Receiver::new(urls), Inbox::new());
    /// let simulator = Simulator::new();
    /// let (daraja, merchant) = (simulator.client(), simulator.merchant());
    ///
    /// let (attempt, amount) = (Reference::random(), Shillings::new(500)?);
    /// let url = receiver.urls().stk(&attempt);
    /// let push = StkPush::new(&merchant, "254708374149".parse()?, amount, "INV-001".parse()?, url);
    /// let accepted = daraja.send(&push).await?;
    ///
    /// // A web framework's handler delivers the callback; here the simulator does.
    /// let wait = daraja.wait_for_payment(&merchant, &accepted.checkout_request_id).inbox(&inbox).at(&attempt);
    /// let settled = tokio::select! {
    ///     settled = wait => settled?,
    ///     never = simulator.deliver_to(&receiver, &inbox) => match never {},
    /// };
    /// let Outcome::Paid(payment) = settled.outcome else { panic!("254708374149 approves") };
    /// assert!(payment.receipt.is_some());
    /// assert_eq!(payment.amount, Some(amount.into()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_for_payment<'a>(&'a self, merchant: &'a Merchant, id: &'a CheckoutRequestId) -> Wait<'a> {
        Wait {
            client: self,
            query: StkQuery::new(merchant, id),
            id,
            inbox: None,
            reference: None,
            limit: Duration::from_secs(120),
            confirm_after: QUARTER,
            schedule: Box::new(iter::repeat(QUARTER)),
        }
    }
}

const QUARTER: Duration = Duration::from_secs(15);

/// A wait for one payment; await it. Made by [`Client::wait_for_payment`].
#[must_use = "a wait does nothing until it is awaited"]
pub struct Wait<'a> {
    client: &'a Client,
    query: StkQuery,
    id: &'a CheckoutRequestId,
    inbox: Option<&'a Inbox>,
    reference: Option<&'a Reference>,
    limit: Duration,
    confirm_after: Duration,
    schedule: Box<dyn Iterator<Item = Duration> + Send + Sync>,
}

impl<'a> Wait<'a> {
    /// Listens for the callback as well. Without it only queries are asked, and no receipt is learnt.
    ///
    /// Without [`at`](Self::at) whatever the inbox brings is a hint: the next query is due at once, within the query
    /// budget, and only a query settles the payment.
    pub fn inbox(mut self, inbox: &'a Inbox) -> Self {
        self.inbox = Some(inbox);
        self
    }

    /// Settles by a callback that was [delivered](Inbox::deliver) at this reference and names this push.
    ///
    /// It is the reference whose signed URL went into the push, see `SignedUrls::stk`. A callback that names this push and
    /// came to another URL is a [hint](Inbox::hint): anybody who knows that URL can forge it. A callback at this reference
    /// that names another push changes nothing here. Without an [`inbox`](Self::inbox) the reference has no effect.
    pub fn at(mut self, reference: &'a Reference) -> Self {
        self.reference = Some(reference);
        self
    }

    /// How long to wait in all: 2 minutes unless set.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The pause before each query: 15 s each unless set. When the pauses are used up no more queries are asked, save one
    /// to confirm a failure. The client's [spacing](crate::client::ClientBuilder::query_spacing) holds all the same.
    ///
    /// ```
    /// # use std::{iter, time::Duration};
    /// # fn set(wait: daraja::stk::Wait<'_>) -> daraja::stk::Wait<'_> {
    /// let early_then_rarely = iter::once(Duration::from_secs(8)).chain(iter::repeat(Duration::from_secs(30)));
    /// wait.schedule(early_then_rarely)
    /// # }
    /// ```
    pub fn schedule<S>(mut self, pauses: S) -> Self
    where
        S: IntoIterator<Item = Duration>,
        S::IntoIter: Send + Sync + 'static,
    {
        self.schedule = Box::new(pauses.into_iter());
        self
    }

    /// How long after a query told of a failure a second one must agree: 15 s unless set.
    pub fn confirm_after(mut self, pause: Duration) -> Self {
        self.confirm_after = pause;
        self
    }

    async fn run(mut self) -> Result<Settled> {
        let span =
            tracing::info_span!("wait", reference = tracing::field::Empty, checkout_request_id = tracing::field::Empty);
        if !span.is_disabled() {
            span.record("checkout_request_id", mask_id(self.id.as_str()));
            if let Some(reference) = self.reference {
                span.record("reference", mask_id(reference.as_str()));
            }
        }
        async { self.settle().await }.instrument(span).await
    }

    async fn settle(&mut self) -> Result<Settled> {
        let deadline = after(Instant::now(), self.limit);
        let mut known = Known {
            reference: self.reference.map(|reference| mask_id(reference.as_str())),
            checkout_request_id: mask_id(self.id.as_str()),
            ..Known::default()
        };
        let ended = timeout_at(deadline, self.ask_until_settled(&mut known)).await;
        let reference = known.reference.as_deref();
        let Ok((outcome, source)) = ended else {
            let Known { checkout_request_id, speaks_for_payment, .. } = &known;
            tracing::warn!(reference, checkout_request_id, speaks_for_payment, "payment not settled in time");
            let pending = StillPending::new(self.limit, known.last_error).with_unproven(known.unproven);
            let pending = if known.speaks_for_payment { pending.speaking_for_payment() } else { pending };
            return Err(Error::still_pending(pending));
        };
        let settled = Settled { checkout_request_id: self.id.clone(), outcome, source };
        settled.log(reference);
        Ok(settled)
    }

    async fn ask_until_settled(&mut self, known: &mut Known) -> (Outcome, Source) {
        let mut listener = self.inbox.map(|inbox| inbox.listen(self.id, self.reference));
        known.due = self.schedule.next().map(|pause| after(Instant::now(), pause));
        loop {
            let settled = match self.news(listener.as_mut(), known).await {
                News::Settled(outcome) => Some((outcome, Source::Callback)),
                News::Unsettled => None,
                News::Answer(status) => self.evaluate(known, status),
            };
            if let Some(settled) = settled {
                return settled;
            }
            known.ask_now_if_in_doubt();
        }
    }

    /// What a callback brings, or the answer of the query that is due. A query that is under way is not given up for a
    /// callback that settles nothing.
    async fn news(&self, mut listener: Option<&mut Listener<'_>>, known: &mut Known) -> News {
        let asking = AtomicBool::new(false);
        let mut answer = pin!(self.query_when(known.due, &asking));
        loop {
            match first(next_arrival(listener.as_deref_mut()), answer.as_mut()).await {
                Either::Left(arrival) => match known.hear(arrival) {
                    Some(outcome) => return News::Settled(outcome),
                    None if asking.load(Ordering::Relaxed) => {}
                    None => return News::Unsettled,
                },
                Either::Right(status) => return Self::answered(listener, known, status),
            }
        }
    }

    /// A failure counts only after another look into the inbox: a callback may have come together with it.
    fn answered(listener: Option<&mut Listener<'_>>, known: &mut Known, status: Result<StkStatus>) -> News {
        let Some(listener) = listener.filter(|_| matches!(status, Ok(StkStatus::Failed(_)))) else {
            return News::Answer(status);
        };
        while let Some(arrival) = listener.look() {
            if let Some(outcome) = known.hear(arrival) {
                return News::Settled(outcome);
            }
        }
        News::Answer(status)
    }

    async fn query_when(&self, due: Option<Instant>, asking: &AtomicBool) -> Result<StkStatus> {
        let Some(due) = due else { return pending().await };
        self.client.queries().turn(due).await;
        asking.store(true, Ordering::Relaxed);
        // The next turn is the repeat: one that goes beside the budget would only be throttled.
        self.client.execute(&self.query, RetryPolicy::never(), Turn::Taken).await
    }

    /// Evaluates a query's answer, and sets when the next query is due.
    fn evaluate(&mut self, known: &mut Known, status: Result<StkStatus>) -> Option<(Outcome, Source)> {
        let now = Instant::now();
        known.due = self.schedule.next().map(|pause| after(now, pause));
        match status {
            Ok(StkStatus::Paid) => return Some((Outcome::Paid(Payment::default()), Source::Query)),
            Ok(StkStatus::Failed(failure)) if !known.speaks_for_payment => {
                // Two that differ do not agree: the later one has to be confirmed.
                let suspect = known.suspect.take().filter(|suspect| suspect.code == *failure.code());
                let confirmed_at = suspect.as_ref().map(|suspect| after(suspect.since, self.confirm_after));
                if confirmed_at.is_some_and(|then| now >= then) {
                    return Some((Outcome::Failed(failure), Source::Query));
                }
                known.suspect = suspect.or_else(|| Some(Suspect { since: now, code: failure.code().clone() }));
                known.due = confirmed_at.or_else(|| Some(after(now, self.confirm_after)));
            }
            Ok(StkStatus::Failed(_) | StkStatus::Pending | StkStatus::NotFound) => known.nothing_is_wrong(),
            Ok(StkStatus::Unknown(unproven)) => {
                known.nothing_is_wrong();
                known.note(unproven);
            }
            Err(error) => {
                if known.suspect.is_some() {
                    known.due = Some(after(now, self.confirm_after));
                }
                known.last_error = Some(error);
            }
        }
        None
    }
}

/// What one wait has learnt so far.
#[derive(Default)]
struct Known {
    /// Under these the log has this payment.
    reference: Option<String>,
    checkout_request_id: String,
    /// When the next query is due.
    due: Option<Instant>,
    suspect: Option<Suspect>,
    last_error: Option<Error>,
    /// What a callback or a query reported last that settles nothing.
    unproven: Option<Unproven>,
    /// A callback reported a payment without proving it. A failure that queries report is not believed any more.
    speaks_for_payment: bool,
    /// A callback settled nothing. A query is to be asked after it: the answer of one that was under way can be older.
    is_in_doubt: bool,
}

impl Known {
    /// What a callback settles. A hint settles nothing.
    fn hear(&mut self, arrival: Arrival) -> Option<Outcome> {
        let outcome = match arrival {
            Arrival::Callback(callback) => match callback.outcome {
                StkOutcome::Paid(payment) => return Some(Outcome::Paid(payment.into())),
                StkOutcome::Failed(failure) => return Some(Outcome::Failed(failure)),
                StkOutcome::Unproven(unproven) => {
                    self.note((&unproven).into());
                    StkOutcome::Unproven(unproven)
                }
            },
            Arrival::Hint(callback) => callback.outcome,
        };
        self.is_in_doubt = true;
        if outcome.speaks_for_payment() && !self.speaks_for_payment {
            self.speaks_for_payment = true;
            let Self { reference, checkout_request_id, .. } = self;
            tracing::warn!(
                reference = reference.as_deref(),
                checkout_request_id,
                ?outcome,
                "a callback reports a payment without proving it: only a query that says paid is believed"
            );
        }
        None
    }

    /// A query was answered, and it reported no failure.
    fn nothing_is_wrong(&mut self) {
        self.suspect = None;
        self.last_error = None;
    }

    /// Keeps what settles nothing, for a person to see.
    fn note(&mut self, unproven: Unproven) {
        if self.unproven.as_ref() != Some(&unproven) {
            warn_of(&unproven, self.reference.as_deref(), &self.checkout_request_id);
            self.unproven = Some(unproven);
        }
    }

    /// A query that is overdue keeps its place in the queue.
    fn ask_now_if_in_doubt(&mut self) {
        if std::mem::take(&mut self.is_in_doubt) {
            let now = Instant::now();
            self.due = Some(self.due.map_or(now, |due| due.min(now)));
        }
    }
}

/// A failure that one query reported, and when.
struct Suspect {
    since: Instant,
    code: ResultCode,
}

enum News {
    /// A callback settled the payment.
    Settled(Outcome),
    /// A callback settled nothing.
    Unsettled,
    Answer(Result<StkStatus>),
}

async fn next_arrival(listener: Option<&mut Listener<'_>>) -> Arrival {
    match listener {
        Some(listener) => listener.next().await,
        None => pending().await,
    }
}

impl<'a> IntoFuture for Wait<'a> {
    type Output = Result<Settled>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl std::fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wait").field("id", &self.id).field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Whichever of two futures ended first.
enum Either<L, R> {
    Left(L),
    Right(R),
}

/// Runs two futures until one of them ends; the left one is asked first.
async fn first<L: Future, R: Future>(left: L, right: R) -> Either<L::Output, R::Output> {
    let (mut left, mut right) = (pin!(left), pin!(right));
    poll_fn(|context| {
        if let Poll::Ready(left) = left.as_mut().poll(context) {
            return Poll::Ready(Either::Left(left));
        }
        right.as_mut().poll(context).map(Either::Right)
    })
    .await
}
