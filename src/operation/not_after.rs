//! [`NotAfter`]: until when a request may leave.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{Timestamp, clock::Moment};

/// Until when a request may leave: for a payment that somebody else may take over, or that Daraja recognises for a time
/// only.
///
/// [`Client::send`](crate::Client::send) looks at it directly before each try, after the access token is there, by the
/// monotonic clock and by the time of day: the one that says more counts, because a machine that sleeps stops the first and
/// a person can set the second. A try is sent only if it ends in time: it is given up when the time is over. What was not
/// sent is an [`Error::TooLate`](crate::Error::TooLate), and nothing has moved. It bounds what this program does; how long a
/// request that has left can lie in the network or in a queue of Daraja's, no client can tell.
///
/// A [`Payout`](crate::Payout) sets it by itself. Give it to a payment of which you keep the row yourself, and to
/// [operations of your own](crate::Operation::not_after).
///
/// ```
/// use std::time::Duration;
/// use daraja::{B2cPayment, Shillings, operation::NotAfter, simulator::Simulator};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> daraja::Result<()> {
/// let simulator = Simulator::new();
/// let (daraja, initiator) = (simulator.client(), simulator.initiator());
/// let (code, supplier, amount) = (simulator.b2c_short_code(), "0712 345 678".parse()?, Shillings::new(500)?);
///
/// // Two minutes after it was taken from the queue another worker may take it.
/// let not_after = NotAfter::within(daraja.now(), Duration::from_secs(120));
/// let payment = B2cPayment::new(&initiator, code, supplier, amount, simulator.result_urls()).not_after(not_after);
///
/// tokio::time::sleep(Duration::from_secs(120)).await; // the program stands still
/// let error = daraja.send(&payment).await.unwrap_err();
/// assert!(error.is_retryable() && !error.outcome_unknown()); // it did not leave
/// assert!(simulator.payouts().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAfter {
    pub(crate) since: Moment,
    pub(crate) window: Duration,
    pub(crate) resend_window: Duration,
    /// A try before this call may have been executed already.
    pub(crate) is_resend: bool,
}

impl NotAfter {
    /// A window from now on. `now` is what the sending client's [`now`](crate::Client::now) says at this very moment: if the
    /// client finds its time of day and the monotonic clock more than a minute apart since then, it does not send.
    #[must_use]
    pub fn within(now: Timestamp, window: Duration) -> Self {
        let since = Moment::new(DateTime::<Utc>::from(now));
        Self { since, window, resend_window: window, is_resend: false }
    }

    /// Sets a shorter window for what is sent again after a try of which it is not known whether it was carried out: as
    /// long as Daraja is sure to recognise it. Zero: such a call is never sent again.
    #[must_use]
    pub fn resend_within(mut self, window: Duration) -> Self {
        self.resend_window = window.min(self.window);
        self
    }

    pub(crate) fn of_resend(mut self) -> Self {
        self.is_resend = true;
        self
    }

    /// Whether anything is sent again after a try that may have been executed.
    pub(crate) fn resends(&self) -> bool {
        !self.resend_window.is_zero()
    }

    /// When the window ends, by the time of day.
    pub(crate) fn time(&self) -> Timestamp {
        self.since.timestamp().after(self.window)
    }
}
