//! Whoever pays: one payout is taken from step to step, and stored before each.

use std::{io::IsTerminal, time::Duration};

use daraja::{
    B2cAccepted, B2cPayment, Client, Initiator, NextStep, Payout, PayoutState,
    error::{Error, Invalid},
};
use tokio::time::{Instant, timeout};

use crate::{
    receiver::{Kind, Post, Receiver},
    screen::{row, watch},
};

/// The one who pays, and the book of one row that an application has in its database.
pub(crate) struct Cashier {
    pub(crate) client: Client,
    pub(crate) initiator: Initiator,
    pub(crate) receiver: Receiver,
    /// How long a result is waited for.
    pub(crate) patience: Duration,
    stored: String,
}

impl Cashier {
    pub(crate) fn new(client: Client, initiator: Initiator, receiver: Receiver, patience: Duration) -> Self {
        Self { client, initiator, receiver, patience, stored: String::new() }
    }

    /// Takes a payout from step to step until it is settled or patience ends.
    pub(crate) async fn pay(&mut self, payment: B2cPayment) -> Result<Payout, Invalid> {
        let mut payout = Payout::new(payment);
        let started = Instant::now();
        loop {
            let now = self.client.now();
            match payout.next_step(now) {
                NextStep::Send | NextStep::SendAgainWithSameId => self.send(&mut payout).await?,
                NextStep::AskStatus => self.ask(&mut payout).await,
                NextStep::Wait(until) => {
                    let left = self.patience.saturating_sub(started.elapsed());
                    self.listen(&mut payout, until.since(now).unwrap_or_default().min(left)).await;
                }
                _ => return Ok(payout),
            }
            self.store(&payout);
            if started.elapsed() >= self.patience {
                return Ok(payout);
            }
        }
    }

    async fn send(&mut self, payout: &mut Payout) -> Result<(), Invalid> {
        let dispatch = payout.begin(self.client.now())?;
        self.store(payout);
        row("kept", "before it is sent: an application writes it to its database here");
        let sent = dispatch.send(&self.client, &self.initiator, self.receiver.urls(Kind::Payout)).await;
        match sent.outcome() {
            Ok(B2cAccepted::Accepted(_)) => row("accepted", "nobody is paid yet"),
            Ok(_) => {
                row("unknown", "the answer was lost, and the money may have left");
                row("sent again", "under the same id, by the client itself");
                row("accepted", "already: Daraja knows the id, so nothing was paid twice");
            }
            Err(error) => show_refusal(error),
        }
        payout.sent(&sent, self.client.now());
        Ok(())
    }

    async fn ask(&self, payout: &mut Payout) {
        let Some(query) = payout.status_query(&self.initiator, self.receiver.urls(Kind::Status)) else { return };
        let outcome = self.client.send(&query).await;
        row("asked", "what became of it");
        payout.asked(&query, &outcome, self.client.now());
    }

    async fn listen(&mut self, payout: &mut Payout, pause: Duration) {
        let every = if std::io::stdout().is_terminal() { Duration::from_secs(1) } else { Duration::from_secs(5) };
        let next = timeout(pause, self.receiver.posts.recv());
        let Ok(Some(post)) = watch(next, every, || "for the result".to_owned()).await else { return };
        let now = self.client.now();
        let taken = match &post {
            Post::Result(result) => payout.take_result(result, now),
            Post::Status(status) => payout.take_status(status, now),
            Post::Timeout(timeout) => payout.take_timeout(timeout, now),
            Post::Balance(_) => Ok(()),
        };
        match taken {
            Ok(()) => row("came in", what(&post)),
            Err(error) => warn!("error: {error}"),
        }
    }

    fn store(&mut self, payout: &Payout) {
        self.stored = serde_json::to_string(payout).expect("a payout can be written as JSON");
    }
}

fn what(post: &Post) -> &'static str {
    match post {
        Post::Result(_) => "the result",
        Post::Status(_) => "the transaction's status",
        Post::Balance(_) => "the balance",
        Post::Timeout(_) => "a notice that it waited too long in Daraja's queue, which is no failure",
    }
}

fn show_refusal(error: &Error) {
    if error.outcome_unknown() {
        row("unknown", "the money may have left");
    } else {
        row("not sent", error);
    }
}

/// What became of a payout.
pub(crate) fn show(payout: &Payout) {
    match payout.state() {
        PayoutState::Paid(paid) => {
            row("PAID", format_args!("KES {}", paid.amount.unwrap_or(payout.amount().into())));
            row("receipt", paid.receipt);
            if let Some(left) = paid.utility_balance {
                row("left", format_args!("KES {left} in the utility account"));
            }
        }
        PayoutState::Failed(failure) => {
            row("NOT PAID", failure.reason());
            if let Some(code) = failure.code() {
                row("code", format_args!("{code}: {:?}", failure.description()));
            }
            row("advice", failure.advice());
            row("supplier", format_args!("{:?}", failure.customer_message()));
        }
        PayoutState::Refused(why) => row("NOT PAID", why),
        _ => row("NOT KNOWN", "the money may have left: do not pay again under another id"),
    }
    for contradiction in payout.contradictions() {
        row("LOOK AT IT", format_args!("{contradiction:?}"));
    }
}
