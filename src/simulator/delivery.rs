//! Callbacks on their way out.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::time::Instant;

/// Which way a delivery goes in process: callbacks of M-PESA Express go to an inbox, results are taken one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Callback,
    Result,
}

/// One callback or result to be posted.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) url: String,
    pub(super) short_code: String,
    pub(super) body: Bytes,
    pub(super) order: Order,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    WhenDue,
    /// Held back until another callback was delivered.
    Overtaken,
}

/// What is to be delivered, by the time it is due.
#[derive(Default)]
pub(super) struct Deliveries {
    queue: BTreeMap<(Instant, u64), Delivery>,
    held: Vec<Delivery>,
    count: u64,
}

impl Deliveries {
    pub(super) fn schedule(&mut self, due: Instant, delivery: Delivery) {
        self.count = self.count.wrapping_add(1);
        self.queue.insert((due, self.count), delivery);
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len().saturating_add(self.held.len())
    }

    /// The next callback that is due by now, or when to look again.
    pub(super) fn take_due(&mut self, now: Instant) -> Result<Delivery, Option<Instant>> {
        loop {
            let entry = self.queue.first_entry().ok_or(None)?;
            let (due, _) = *entry.key();
            if due > now {
                return Err(Some(due));
            }
            let delivery = entry.remove();
            if delivery.order == Order::WhenDue {
                for held in std::mem::take(&mut self.held) {
                    self.schedule(now, Delivery { order: Order::WhenDue, ..held });
                }
                return Ok(delivery);
            }
            self.held.push(delivery);
        }
    }
}
