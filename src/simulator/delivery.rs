//! Callbacks on their way out.

use std::{collections::BTreeMap, convert::Infallible, fmt, net::IpAddr, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;
use url::Url;

use super::{Posted, Simulator};
use crate::webhook::{self, Inbox, Receiver, SAFARICOM};

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
    /// # let secret = daraja::secret::CallbackSecret::random();
    /// let urls = SignedUrls::new("https://shop.example/daraja".parse()?, secret)?;
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

    /// Delivers callbacks when they are due, as the route behind their URLs would: the receiver takes them from one of
    /// Safaricom's addresses, at the path of the push's URL, and what it accepts goes into the inbox with its reference.
    ///
    /// So the push needs a URL of this receiver: [`callback_url`](Self::callback_url) is not signed, and what comes to it is
    /// refused. The future never ends: drop it when enough was delivered.
    ///
    /// ```
    /// use daraja::{
    ///     Shillings, StkPush,
    ///     simulator::Simulator,
    ///     webhook::{Inbox, Receiver, Reference, SignedUrls},
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> daraja::Result<()> {
    /// # let secret = daraja::secret::CallbackSecret::random();
    /// let urls = SignedUrls::new("https://shop.example/daraja".parse()?, secret)?;
    /// let (receiver, inbox) = (Receiver::new(urls), Inbox::new());
    /// let (simulator, attempt) = (Simulator::new(), Reference::random());
    /// let (merchant, url) = (simulator.merchant(), receiver.urls().stk(&attempt));
    /// let push = StkPush::new(&merchant, "254708374149".parse()?, Shillings::new(500)?, "INV-001".parse()?, url);
    /// let accepted = simulator.client().send(&push).await?;
    ///
    /// let daraja = simulator.client();
    /// let settled = tokio::select! {
    ///     settled = daraja.wait_for_payment(&merchant, &accepted.checkout_request_id).inbox(&inbox).at(&attempt) => settled?,
    ///     never = simulator.deliver_to(&receiver, &inbox) => match never {},
    /// };
    /// assert_eq!(settled.source, daraja::stk::Source::Callback);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn deliver_to(&self, receiver: &Receiver, inbox: &Inbox) -> Infallible {
        loop {
            let posted = self.next_callback().await;
            // The path stands in the URL as Daraja would post to it.
            let path = posted.url.parse().map(|url: Url| url.path().to_owned()).unwrap_or_default();
            match receiver.accept(webhook::Delivery::new(IpAddr::from(SAFARICOM[0]), &path, &posted.body)) {
                Ok((reference, event)) => inbox.deliver(&reference, event),
                Err(refused) => tracing::error!(%refused, "the receiver refused a callback of the simulator"),
            }
        }
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
