//! [`Dispatch`]: the right to send a payout, once.

use crate::{
    B2cAccepted, B2cPayment, Client, Initiator, Result, ResultUrls, RetryPolicy, Timestamp, b2c::Order,
    operation::NotAfter,
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
/// let outcome = dispatch.send(&daraja, &initiator, urls).await;
/// payout.sent(&outcome, daraja.now());
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
}

impl Dispatch {
    /// Sends the payment that was frozen, the same to the letter but for credential and URLs, and answers for
    /// [`Payout::sent`](super::Payout::sent). See [`Client::send`].
    ///
    /// # Errors
    ///
    /// As for [`Client::send`]; [`Error::TooLate`](crate::Error::TooLate) if it stood still for too long.
    pub async fn send(self, client: &Client, initiator: &Initiator, urls: ResultUrls) -> Result<B2cAccepted> {
        client.send(&self.request(initiator, urls)).await
    }

    /// Sends it with a policy in place of the client's.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub async fn send_with(
        self,
        client: &Client,
        initiator: &Initiator,
        urls: ResultUrls,
        policy: RetryPolicy,
    ) -> Result<B2cAccepted> {
        client.send_with(&self.request(initiator, urls), policy).await
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
