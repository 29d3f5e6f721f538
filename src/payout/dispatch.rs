//! [`Dispatch`]: the right to send a payout, once.

use crate::{
    B2cAccepted, B2cPayment, Client, Error, Initiator, OriginatorConversationId, Result, ResultUrls, RetryPolicy,
    Timestamp, b2c::Order, operation::NotAfter,
};

/// The right to send a payout once, and not for long: [`Payout::begin`](super::Payout::begin) gives it, and sending consumes it.
///
/// Store the payout between the two. A dispatch is neither stored nor copied: a program that dies with it leaves a row that
/// says that the payout may have been sent, which is true. A program that stands still with it, until others take over, does
/// not send any more: [`send`](Self::send) fails with [`Error::TooLate`](crate::Error::TooLate), and nothing has moved.
///
/// ```
/// use daraja::{B2cPayment, Payout, PayoutState, Shillings, simulator::Simulator};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let simulator = Simulator::new();
/// let (daraja, initiator, urls) = (simulator.client(), simulator.initiator(), simulator.result_urls());
/// let (code, supplier, amount) = (simulator.b2c_short_code(), "0712 345 678".parse()?, Shillings::new(500)?);
/// let mut payout = Payout::new(B2cPayment::new(&initiator, code, supplier, amount, urls.clone()));
///
/// let dispatch = payout.begin(daraja.now())?;
/// let row = serde_json::to_string(&payout)?; // into your database, before it is sent
/// let sent = dispatch.send(&daraja, &initiator, urls).await;
/// assert!(sent.outcome().is_ok());
/// payout.sent(&sent, daraja.now());
/// assert_eq!(*payout.state(), PayoutState::Accepted); // nobody is known to be paid yet
/// # Ok(())
/// # }
/// ```
///
/// It cannot be sent twice:
///
/// ```compile_fail,E0382
/// # async fn twice(dispatch: daraja::payout::Dispatch, daraja: &daraja::Client, initiator: &daraja::Initiator, urls: daraja::ResultUrls) {
/// dispatch.send(daraja, initiator, urls.clone()).await;
/// dispatch.send(daraja, initiator, urls).await; // use of moved value
/// # }
/// ```
#[must_use = "what is begun and not sent waits for two minutes until it is taken over"]
#[derive(Debug)]
pub struct Dispatch {
    pub(super) order: Order,
    pub(super) not_after: NotAfter,
    pub(super) number: u32,
}

/// What sending a [`Dispatch`] came to: give it to [`Payout::sent`](super::Payout::sent).
///
/// It belongs to that one dispatch: noted twice, or after another worker has begun, it does no harm.
#[derive(Debug, Clone)]
pub struct Sent {
    pub(super) id: OriginatorConversationId,
    pub(super) number: u32,
    /// An outcome that is unknown may be that of more than one try.
    pub(super) may_have_retried: bool,
    pub(super) outcome: Result<B2cAccepted>,
}

impl Dispatch {
    /// Sends the payment that was frozen, the same to the letter but for credential and URLs. See [`Client::send`] for what
    /// it can come to; [`Error::TooLate`](crate::Error::TooLate) if it stood still for too long.
    pub async fn send(self, client: &Client, initiator: &Initiator, urls: ResultUrls) -> Sent {
        let policy = client.policy().clone();
        self.send_with(client, initiator, urls, policy).await
    }

    /// Sends it with a policy in place of the client's.
    pub async fn send_with(
        self,
        client: &Client,
        initiator: &Initiator,
        urls: ResultUrls,
        policy: RetryPolicy,
    ) -> Sent {
        let (id, number) = (self.order.id.clone(), self.number);
        let may_have_retried = policy.retries() && self.not_after.resends();
        let outcome = client.send_with(&self.request(initiator, urls), policy).await;
        Sent { id, number, may_have_retried, outcome }
    }

    /// What it came to, without sending it: for tests of your own worker.
    ///
    /// ```
    /// # use daraja::{B2cPayment, Payout, PayoutState, Shillings, simulator::Simulator};
    /// use daraja::{Error, error::TooLate};
    ///
    /// # fn main() -> daraja::Result<()> {
    /// # let simulator = Simulator::new();
    /// # let (code, now) = (simulator.b2c_short_code(), "20261006120000".parse()?);
    /// # let (initiator, urls) = (simulator.initiator(), simulator.result_urls());
    /// # let payment = B2cPayment::new(&initiator, code, "0712345678".parse()?, Shillings::new(10)?, urls);
    /// let mut payout = Payout::new(payment);
    /// let sent = payout.begin(now)?.came_to(Err(Error::from(TooLate::NotAfter)));
    /// payout.sent(&sent, now);
    /// assert_eq!(*payout.state(), PayoutState::Created);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn came_to(self, outcome: Result<B2cAccepted>) -> Sent {
        Sent { id: self.order.id, number: self.number, may_have_retried: true, outcome }
    }

    /// Until when it may leave, by the clock that it was begun by.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after.time()
    }

    fn request(self, initiator: &Initiator, urls: ResultUrls) -> B2cPayment {
        B2cPayment::of(initiator, urls, self.order).not_after(self.not_after)
    }
}

impl Sent {
    /// What the call came to.
    ///
    /// # Errors
    ///
    /// As for [`Client::send`].
    pub fn outcome(&self) -> Result<&B2cAccepted, &Error> {
        self.outcome.as_ref()
    }

    /// The same, to keep.
    ///
    /// # Errors
    ///
    /// As for [`Client::send`].
    pub fn into_outcome(self) -> Result<B2cAccepted> {
        self.outcome
    }
}
