//! Money that leaves: payouts, taken from step to step until they are settled.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use daraja::{
    B2cPayment, NextStep, Payout, PayoutState, RetryPolicy, Shillings, Timestamp, initiated::RequestPurpose,
    webhook::Event,
};
use tokio::time::timeout;

use crate::{
    book::{self, Gone, Row},
    dice::Dice,
    number, patient,
    shop::{Mailbox, Shop},
};

/// A payout's pauses are minutes long: its clock runs this much faster than ours.
const SPEED: u32 = 60;

/// The simulator remembers ids for a day.
const WINDOW: Duration = Duration::from_secs(3_600);

/// A payout that is not settled by then is a failure of this program.
const LIMIT: Duration = Duration::from_secs(120);

/// What becomes of payouts, by the last digits of the number: see the simulator's scenarios.
const RECIPIENTS: [u64; 24] =
    [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 4, 26, 40, 91, 92, 93, 98, 99];

#[derive(Clone, Copy)]
struct FastClock {
    anchor: DateTime<Utc>,
    started: Instant,
}

impl FastClock {
    fn now(self) -> Timestamp {
        let passed = self.started.elapsed().saturating_mul(SPEED);
        (self.anchor + TimeDelta::from_std(passed).expect("days at most")).try_into().expect("a year of four digits")
    }
}

pub(crate) async fn pay_out(shop: Arc<Shop>, person: u64, mut dice: Dice) {
    let clock = FastClock { anchor: Utc::now(), started: Instant::now() };
    while !shop.is_closing() {
        let row = pay_one(&shop, person, clock, &mut dice).await;
        shop.book.write(&Row::Payout(row));
    }
}

async fn pay_one(shop: &Shop, person: u64, clock: FastClock, dice: &mut Dice) -> book::Payout {
    let mut mailbox = shop.mailbox();
    let reference = mailbox.open('P', None);
    let amount = Shillings::new(u32::try_from(dice.roll(5_000)).expect("small") + 10).expect("an amount");
    let recipient = number(person, if dice.percent(3) { 94 } else { dice.pick(&RECIPIENTS) });
    let urls = shop.urls().payout(&reference);
    let payment = B2cPayment::new(&shop.initiator, shop.payout_code, recipient, amount, urls);
    let mut payout = Payout::new(payment.clone()).send_again_within(WINDOW);
    let started = Instant::now();
    while started.elapsed() < LIMIT {
        let now = clock.now();
        match payout.next_step(now) {
            NextStep::Send | NextStep::SendAgainWithSameId => {
                // The client's clock is not the fast one, which a dispatch would refuse.
                let dispatch = payout.begin(now).expect("it is the next safe step");
                // Now and then the program is stopped in the middle, and starts again with what it has stored.
                let limit = if dice.percent(2) { Duration::from_millis(dice.roll(20)) } else { LIMIT };
                // The client's own repeats would leave the payout little to decide.
                let policy = if dice.percent(50) { RetryPolicy::never() } else { patient() };
                match timeout(limit, shop.client.send_with(&payment, policy)).await {
                    Ok(outcome) => payout.sent(&dispatch.came_to(outcome), clock.now()),
                    Err(_) => payout = restart(&payout),
                }
            }
            NextStep::AskStatus => {
                let urls = shop.urls().question(&reference);
                let query = payout.status_query(&shop.initiator, urls).expect("it carries its id");
                let outcome = shop.client.send(&query).await;
                payout.asked(&query, &outcome, clock.now());
            }
            NextStep::Wait(until) => {
                let pause = until.since(now).unwrap_or_default() / SPEED;
                listen(shop, &mut payout, &mut mailbox, pause.max(Duration::from_millis(20)), clock).await;
            }
            _ => break,
        }
    }
    row(&payout)
}

fn restart(payout: &Payout) -> Payout {
    let stored = serde_json::to_string(payout).expect("a payout can be stored");
    serde_json::from_str(&stored).expect("and read again")
}

async fn listen(shop: &Shop, payout: &mut Payout, mailbox: &mut Mailbox<'_>, pause: Duration, clock: FastClock) {
    let Ok(Some((reference, event))) = timeout(pause, mailbox.posts.recv()).await else { return };
    let now = clock.now();
    let taken = match &event {
        Event::QueueTimeout(notice) if notice.purpose() == Some(RequestPurpose::Payout) => {
            payout.take_timeout(notice, now)
        }
        Event::Result(result) => match (result.b2c(), result.transaction_status()) {
            (Some(result), None) => payout.take_result(&result, now),
            (None, Some(status)) => payout.take_status(&status, now),
            _ => return shop.book.wrong(format!("{reference}: a result that is neither a payout's nor a status")),
        },
        other => return shop.book.wrong(format!("{reference}: {:?} came to a payout", other.kind())),
    };
    if let Err(problem) = taken {
        shop.book.wrong(format!("{reference}: {problem}"));
    }
}

fn row(payout: &Payout) -> book::Payout {
    let gone = match payout.state() {
        PayoutState::Paid(paid) => Gone::Paid(paid.receipt.to_string()),
        PayoutState::Failed(_) => Gone::Failed,
        PayoutState::Refused(_) | PayoutState::Created => Gone::NotSent,
        other => Gone::Unknown(format!("{other:?}")),
    };
    book::Payout {
        id: payout.id().to_string(),
        recipient: payout.recipient().to_string(),
        amount: payout.amount().get(),
        gone,
        contradictions: payout.contradictions().len(),
    }
}
