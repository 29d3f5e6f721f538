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

use super::{
    Merchant,
    callback::{StkCallback, StkOutcome},
    failure::{Source, StkFailure},
    query::{StkQuery, StkStatus},
};
use crate::{
    CheckoutRequestId, Client, Kes, Msisdn, ReceiptNumber, ResultCode, RetryPolicy, Timestamp,
    clock::after,
    error::{Error, Result},
    transport::BoxFuture,
    webhook::{Inbox, Listener},
};

/// A payment whose end is known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settled {
    /// Which push it was.
    pub checkout_request_id: CheckoutRequestId,
    /// What became of it.
    pub outcome: Outcome,
    /// Who told.
    pub source: Source,
}

/// How a payment ended. There is no third way, so a `match` needs no other arm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The money came in.
    Paid(Payment),
    /// No money came in.
    Failed(StkFailure),
}

/// Money that came in. A query proves a payment but names neither receipt nor amount nor payer: these are `None` until
/// the callback brings them, see [`Settled::attach`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Payment {
    /// M-PESA's receipt.
    pub receipt: Option<ReceiptNumber>,
    /// What was paid. Compare it with what was asked.
    pub amount: Option<Kes>,
    /// Who paid.
    pub payer: Option<Msisdn>,
    /// When it was paid.
    pub completed_at: Option<Timestamp>,
}

impl Settled {
    /// Takes the receipt from a callback that came after a query had settled the payment. Nothing is settled again:
    /// a failure stays a failure here, and a callback about another payment changes nothing.
    ///
    /// Answers whether the callback brought something new. A success that comes after a *failure* is not attached: it is
    /// money received all the same, so record it and refund it or deliver.
    ///
    /// ```
    /// # use daraja::{stk::Settled, StkCallback};
    /// fn on_late_callback(settled: &mut Settled, callback: &StkCallback) {
    ///     if settled.attach(callback) {
    ///         // store settled.outcome's receipt with the order that is already paid
    ///     }
    /// }
    /// ```
    pub fn attach(&mut self, callback: &StkCallback) -> bool {
        let (Outcome::Paid(payment), StkOutcome::Paid(told)) = (&mut self.outcome, &callback.outcome) else {
            return false;
        };
        if callback.checkout_request_id != self.checkout_request_id || payment.receipt.is_some() {
            return false;
        }
        *payment = Payment::from(told.clone());
        true
    }
}

impl From<super::StkPayment> for Payment {
    fn from(told: super::StkPayment) -> Self {
        let super::StkPayment { receipt, amount, payer, completed_at } = told;
        Self { receipt: Some(receipt), amount, payer, completed_at }
    }
}

impl Client {
    /// Waits until a payment is settled: by its callback, if an [`inbox`](Wait::inbox) is given, or by query.
    ///
    /// A success from any source ends the wait, and so does a failure that a callback tells. A failure that only a query
    /// tells ends it when a second query agrees. Passing errors do not end it. Queries of all waits of this client and its
    /// clones are spaced together, because Daraja counts them together: with many waits at once and no callbacks, a wait
    /// may reach its deadline before its turn. [`ClientBuilder::query_spacing`](crate::client::ClientBuilder::query_spacing) sets the spacing.
    ///
    /// Dropping the wait loses nothing: wait again, with the same id.
    ///
    /// # Errors
    ///
    /// [`Error::StillPending`] when the time is over. The customer may still pay: do not ask again yet.
    ///
    /// ```
    /// use daraja::{Shillings, StkPush, stk::Outcome, simulator::Simulator, webhook::Inbox};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> daraja::Result<()> {
    /// let simulator = Simulator::new();
    /// let (daraja, merchant, inbox) = (simulator.client(), simulator.merchant(), Inbox::new());
    /// # let push = StkPush::new(&merchant, "254708374149".parse()?, Shillings::new(1)?, "A".parse()?, simulator.callback_url());
    /// let accepted = daraja.send(&push).await?;
    ///
    /// // A web framework's handler delivers the callback; here the simulator does.
    /// let wait = daraja.wait_for_payment(&merchant, &accepted.checkout_request_id).inbox(&inbox);
    /// let settled = tokio::select! {
    ///     settled = wait => settled?,
    ///     never = simulator.deliver_to(&inbox) => match never {},
    /// };
    /// let Outcome::Paid(payment) = settled.outcome else { panic!("254708374149 approves") };
    /// assert!(payment.receipt.is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_for_payment<'a>(&'a self, merchant: &'a Merchant, id: &'a CheckoutRequestId) -> Wait<'a> {
        Wait {
            client: self,
            query: StkQuery::new(merchant, id),
            id,
            inbox: None,
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
    limit: Duration,
    confirm_after: Duration,
    schedule: Box<dyn Iterator<Item = Duration> + Send + Sync>,
}

impl<'a> Wait<'a> {
    /// Listens for the callback as well. Without it only queries are asked, and no receipt is learnt.
    pub fn inbox(mut self, inbox: &'a Inbox) -> Self {
        self.inbox = Some(inbox);
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
        let deadline = after(Instant::now(), self.limit);
        let mut asked = Asked { due: None, suspect: None, last_error: None };
        match timeout_at(deadline, self.ask_until_settled(&mut asked)).await {
            Ok((outcome, source)) => {
                tracing::info!(?source, paid = matches!(outcome, Outcome::Paid(_)), "payment settled");
                Ok(Settled { checkout_request_id: self.id.clone(), outcome, source })
            }
            Err(_) => Err(Error::still_pending(self.limit, asked.last_error)),
        }
    }

    async fn ask_until_settled(&mut self, asked: &mut Asked) -> (Outcome, Source) {
        let listener = self.inbox.map(|inbox| inbox.listen(self.id));
        let mut heard = None;
        asked.due = self.schedule.next().map(|pause| after(Instant::now(), pause));
        loop {
            let settled = match self.news(listener.as_ref(), &mut heard, asked.due).await {
                News::Callback(callback) => Self::hear(asked, &callback),
                News::Answer(status) => self.weigh(asked, status),
            };
            if let Some(settled) = settled {
                return settled;
            }
        }
    }

    /// The next callback that says more than what was heard, or the answer of the query that is due. A query that is
    /// under way is not given up for a callback that proves nothing.
    async fn news(&self, listener: Option<&Listener<'_>>, heard: &mut Option<u8>, due: Option<Instant>) -> News {
        let asking = AtomicBool::new(false);
        let mut answer = pin!(self.query_when(due, &asking));
        loop {
            match first(callback_beyond(listener, *heard), answer.as_mut()).await {
                Either::Left(callback) => {
                    *heard = Some(callback.outcome.weight());
                    let proves_nothing = matches!(callback.outcome, StkOutcome::Unproven(_));
                    if !(proves_nothing && asking.load(Ordering::Relaxed)) {
                        return News::Callback(callback);
                    }
                }
                Either::Right(status) => return News::Answer(status),
            }
        }
    }

    async fn query_when(&self, due: Option<Instant>, asking: &AtomicBool) -> Result<StkStatus> {
        let Some(due) = due else { return pending().await };
        self.client.queries().turn(due).await;
        asking.store(true, Ordering::Relaxed);
        // The next turn is the repeat: one that goes beside the budget would only be throttled.
        self.client.send_with(&self.query, RetryPolicy::never()).await
    }

    fn hear(asked: &mut Asked, callback: &StkCallback) -> Option<(Outcome, Source)> {
        match &callback.outcome {
            StkOutcome::Paid(payment) => Some((Outcome::Paid(payment.clone().into()), Source::Callback)),
            StkOutcome::Failed(failure) => Some((Outcome::Failed(failure.clone()), Source::Callback)),
            StkOutcome::Unproven(_) => {
                asked.due = Some(Instant::now());
                None
            }
        }
    }

    /// Takes a query's answer, and sets when the next query is due.
    fn weigh(&mut self, asked: &mut Asked, status: Result<StkStatus>) -> Option<(Outcome, Source)> {
        let now = Instant::now();
        asked.due = self.schedule.next().map(|pause| after(now, pause));
        match status {
            Ok(StkStatus::Paid) => return Some((Outcome::Paid(Payment::default()), Source::Query)),
            Ok(StkStatus::Failed(failure)) => {
                // Two that differ do not agree: the later one has to be confirmed.
                let suspect = asked.suspect.take().filter(|suspect| suspect.code == *failure.code());
                let confirmed_at = suspect.as_ref().map(|suspect| after(suspect.since, self.confirm_after));
                if confirmed_at.is_some_and(|then| now >= then) {
                    return Some((Outcome::Failed(failure), Source::Query));
                }
                asked.suspect = suspect.or_else(|| Some(Suspect { since: now, code: failure.code().clone() }));
                asked.due = confirmed_at.or_else(|| Some(after(now, self.confirm_after)));
            }
            Ok(StkStatus::Pending | StkStatus::NotFound | StkStatus::Unknown(_)) => {
                asked.suspect = None;
                asked.last_error = None;
            }
            Err(error) => {
                if error.is_throttled() {
                    self.client.queries().slow_down(error.retry_after());
                }
                if asked.suspect.is_some() {
                    asked.due = Some(after(now, self.confirm_after));
                }
                asked.last_error = Some(error);
            }
        }
        None
    }
}

/// What the queries of one wait have told so far.
struct Asked {
    due: Option<Instant>,
    suspect: Option<Suspect>,
    last_error: Option<Error>,
}

/// A failure that one query told of, and when.
struct Suspect {
    since: Instant,
    code: ResultCode,
}

enum News {
    Callback(StkCallback),
    Answer(Result<StkStatus>),
}

async fn callback_beyond(listener: Option<&Listener<'_>>, heard: Option<u8>) -> StkCallback {
    match listener {
        Some(listener) => listener.beyond(heard).await,
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
