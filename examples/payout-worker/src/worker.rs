//! The worker of the README and of `docs/paying-out-safely.md`, to the letter.

use daraja::{
    Client, Initiator, NextStep,
    error::Invalid,
    webhook::{Event, Reference, SignedUrls},
};

use crate::{Book, BookError};

/// Takes payouts from step to step. The reference of a payout is the key of its row.
pub struct Worker {
    pub daraja: Client,
    pub initiator: Initiator,
    pub urls: SignedUrls,
    pub book: Book,
}

impl Worker {
    /// Takes the step that is due. Call it for every payout that is not settled, at start-up too.
    pub async fn step(&self, id: &Reference) -> Result<(), BookError> {
        // What is decided is stored before it is done.
        let (dispatch, question) = self.book.change(id, |payout| {
            let now = self.daraja.now();
            match payout.next_step(now) {
                NextStep::Send | NextStep::SendAgainWithSameId => (payout.begin(now).ok(), None),
                NextStep::AskStatus => (None, payout.status_query(&self.initiator, self.urls.question(id))),
                _ => (None, None), // settled, or nothing to do before the time that `Wait` names
            }
        })?;
        if let Some(dispatch) = dispatch {
            let urls = self.urls.payout(id);
            let sent = dispatch.send(&self.daraja, &self.initiator, urls).await;
            // The row is loaded again: the result may have come while the payment was sent. Try again
            // if it cannot be stored: noted twice it does no harm, and lost it leaves a doubt.
            self.book.change(id, |payout| payout.sent(&sent, self.daraja.now()))?;
        }
        if let Some(question) = question {
            let outcome = self.daraja.send(&question).await;
            let now = self.daraja.now();
            self.book.change(id, |payout| payout.asked(&question, &outcome, now))?;
        }
        Ok(())
    }

    /// Takes an event that `Receiver::accept` accepted, before the route answers 200. The inner
    /// error says that the event is about another payment: log it, and answer 200 all the same.
    pub fn take(&self, id: &Reference, event: &Event) -> Result<Result<(), Invalid>, BookError> {
        self.book.change(id, |payout| {
            let now = self.daraja.now();
            match event {
                // Its URL says which of the two it is.
                Event::Result(result) => match (result.b2c(), result.transaction_status()) {
                    (Some(result), None) => payout.take_result(&result, now),
                    (None, Some(status)) => payout.take_status(&status, now),
                    _ => Ok(()),
                },
                Event::QueueTimeout(timeout) => payout.take_timeout(timeout, now),
                _ => Ok(()),
            }
        })
    }
}
