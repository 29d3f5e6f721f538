//! Callbacks on their way out.

use std::{collections::BTreeMap, fmt, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{Posted, Simulator};

/// Which queue a delivery stands in: callbacks of M-PESA Express, or results and queue timeouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Callback,
    Result,
}

/// What became of one callback or result that a served simulator posted.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// The URL that it was posted to.
    pub url: String,
    /// The status of the answer. `None` if none came within 8 seconds, or the URL could not be called.
    pub status: Option<u16>,
    /// How long it took.
    pub took: Duration,
}

/// Without the URL, which nobody else is to see.
impl fmt::Debug for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivered").field("status", &self.status).field("took", &self.took).finish_non_exhaustive()
    }
}

impl Simulator {
    /// What became of every callback and result that was [posted](Self::serve), in the order in which they were answered.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use daraja::{Shillings, StkPush, simulator::Simulator};
    /// # let moment = std::time::Duration::from_millis(1);
    /// let simulator = Simulator::builder().answer_time(moment).build();
    /// let served = simulator.serve("127.0.0.1:0").await?;
    ///
    /// // An endpoint that does not listen: nobody learns of the payment.
    /// let nowhere = "http://127.0.0.1:1/callbacks".parse()?;
    /// let payer = "254708374149".parse()?;
    /// let push = StkPush::new(&simulator.merchant(), payer, Shillings::new(1)?, "A".parse()?, nowhere);
    /// served.client().send(&push).await?;
    /// while simulator.delivered().is_empty() {
    ///     tokio::time::sleep(moment).await;
    /// }
    /// assert_eq!(simulator.delivered()[0].status, None);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn delivered(&self) -> Vec<Delivered> {
        self.lock().delivered.clone()
    }

    /// Waits for the next callback of a push that is due, and takes it, as the route behind its URL would.
    ///
    /// ```
    /// use daraja::{
    ///     Shillings, StkPush,
    ///     simulator::Simulator,
    ///     webhook::{Delivery, Receiver, Reference, SignedUrls, Sources},
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let urls = SignedUrls::new("https://shop.example/daraja".parse()?, "kept in a vault, 32 characters or more")?;
    /// let receiver = Receiver::new(urls).sources(Sources::anyone());
    /// let (simulator, attempt) = (Simulator::new(), Reference::random());
    /// let (payer, url) = ("254708374149".parse()?, receiver.urls().stk(&attempt));
    /// let push = StkPush::new(&simulator.merchant(), payer, Shillings::new(500)?, "INV-001".parse()?, url.clone());
    /// simulator.client().send(&push).await?;
    ///
    /// let posted = simulator.next_callback().await;
    /// assert_eq!(posted.url, url.as_str());
    /// let (reference, _event) = receiver.accept(Delivery::new(None, url.path(), &posted.body))?;
    /// assert_eq!(reference, attempt);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next_callback(&self) -> Posted {
        let Delivery { url, body, .. } = self.next_delivery(Kind::Callback).await;
        Posted { url, body }
    }
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

/// Where a delivery stands in the queue: when it is due, and its number.
pub(super) type Slot = (Instant, u64);

/// What is to be delivered, by the time it is due.
#[derive(Default)]
pub(super) struct Deliveries {
    queue: BTreeMap<Slot, Delivery>,
    held: Vec<Delivery>,
    count: u64,
}

impl Deliveries {
    pub(super) fn schedule(&mut self, due: Instant, delivery: Delivery) -> Slot {
        self.count = self.count.wrapping_add(1);
        let slot = (due, self.count);
        self.queue.insert(slot, delivery);
        slot
    }

    /// Takes back what was scheduled and is not due yet.
    pub(super) fn cancel(&mut self, slots: &[Slot]) {
        for slot in slots {
            self.queue.remove(slot);
        }
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
