//! The shop: orders that customers pay for, now and then a question, now and then money that is given back.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use daraja::{
    CheckoutRequestId, Client, Initiator, Kes, Merchant, Msisdn, ReceiptNumber, Reversal, ReversalOutcome, Shillings,
    ShortCode, StatusOutcome, StkOutcome, StkPush, StkQuery, StkStatus, TransactionStatusQuery,
    error::Error,
    stk::Outcome,
    webhook::{Event, Expected, Inbox, Reference, SignedUrls},
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};

use crate::{
    book::{Attempt, Belief, Book, Gone, News, Refund, Row, Told},
    dice::Dice,
    number,
};

/// How long somebody waits for a post whose request was, or may have been, taken.
const PATIENCE: Duration = Duration::from_secs(3);

/// What customers do, by the last digits of their numbers: see the simulator's scenarios. Most of them pay.
const CUSTOMERS: [u64; 24] =
    [10, 12, 13, 14, 15, 16, 18, 21, 22, 23, 24, 27, 28, 1, 20, 32, 37, 91, 92, 93, 94, 95, 96, 97];

/// What everybody in the shop has.
pub(crate) struct Shop {
    pub(crate) client: Client,
    pub(crate) merchant: Merchant,
    pub(crate) initiator: Initiator,
    pub(crate) payout_code: ShortCode,
    pub(crate) inbox: Inbox,
    pub(crate) book: Book,
    pub(crate) closing: AtomicBool,
    pub(crate) attempts: AtomicU64,
    numbers: AtomicU64,
    urls: Mutex<Option<SignedUrls>>,
    open: Mutex<HashMap<Box<str>, Open>>,
}

/// Something that posts are waited for.
struct Open {
    asked: Option<Expected>,
    post: UnboundedSender<(Reference, Event)>,
}

/// The posts for what is open. It is closed when this is dropped.
pub(crate) struct Mailbox<'s> {
    shop: &'s Shop,
    references: Vec<Box<str>>,
    post: UnboundedSender<(Reference, Event)>,
    pub(crate) posts: UnboundedReceiver<(Reference, Event)>,
}

impl Drop for Mailbox<'_> {
    fn drop(&mut self) {
        let mut open = lock(&self.shop.open);
        for reference in &self.references {
            open.remove(reference);
        }
    }
}

impl<'s> Mailbox<'s> {
    fn of(shop: &'s Shop) -> Self {
        let (post, posts) = unbounded_channel();
        Self { shop, references: Vec::new(), post, posts }
    }

    /// Opens a reference of this kind, whose posts come here.
    pub(crate) fn open(&mut self, kind: char, asked: Option<Expected>) -> Reference {
        let number = self.shop.numbers.fetch_add(1, Ordering::Relaxed);
        let reference: Reference = format!("{kind}{number:09}").parse().expect("a letter and digits");
        let key: Box<str> = reference.as_str().into();
        lock(&self.shop.open).insert(key.clone(), Open { asked, post: self.post.clone() });
        self.references.push(key);
        reference
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shop {
    pub(crate) fn new(client: Client, merchant: Merchant, initiator: Initiator, payout_code: ShortCode) -> Self {
        Self {
            client,
            merchant,
            initiator,
            payout_code,
            inbox: Inbox::remembering(500, Duration::from_secs(60)),
            book: Book::open(),
            closing: AtomicBool::new(false),
            attempts: AtomicU64::new(0),
            numbers: AtomicU64::new(1),
            urls: Mutex::default(),
            open: Mutex::default(),
        }
    }

    pub(crate) fn receive_at(&self, urls: SignedUrls) {
        *lock(&self.urls) = Some(urls);
    }

    pub(crate) fn urls(&self) -> SignedUrls {
        lock(&self.urls).clone().expect("the door is open before anybody buys")
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    pub(crate) fn mailbox(&self) -> Mailbox<'_> {
        Mailbox::of(self)
    }

    /// Takes what was posted and found authentic: into the book first, then to whoever waits for it.
    pub(crate) fn take(&self, reference: Reference, event: Event) {
        let key = event.dedup_key_at(&reference).as_str().to_owned();
        self.book.write(&Row::News(News { reference: reference.as_str().to_owned(), key, told: told(&event) }));
        let open = lock(&self.open);
        let Some(row) = open.get(reference.as_str()) else { return };
        if let Some(Err(mismatch)) = row.asked.as_ref().map(|asked| event.expect(asked)) {
            self.book.wrong(format!("{reference}: {mismatch}"));
        }
        self.inbox.deliver(&reference, event.clone());
        drop(row.post.send((reference, event)));
    }

    /// Serves one customer after the other until the shop closes.
    pub(crate) async fn sell(self: Arc<Self>, person: u64, mut dice: Dice) {
        while !self.is_closing() {
            let order = self.numbers.fetch_add(1, Ordering::Relaxed);
            // An order is tried again only if it is known that nothing was paid for it.
            for _ in 0..3 {
                let attempt = self.attempt(order, person, &mut dice).await;
                self.attempts.fetch_add(1, Ordering::Relaxed);
                let goes_on = matches!(attempt.belief, Belief::Failed | Belief::NotSent);
                if let Belief::Paid(Some(receipt)) = &attempt.belief {
                    self.afterwards(&attempt, receipt, &mut dice).await;
                }
                self.book.write(&Row::Attempt(attempt));
                if !goes_on {
                    break;
                }
            }
        }
    }

    async fn attempt(&self, order: u64, person: u64, dice: &mut Dice) -> Attempt {
        let payer = number(person, dice.pick(&CUSTOMERS));
        let amount = Shillings::new(u32::try_from(dice.roll(5_000)).expect("small") + 1).expect("an amount");
        let mut mailbox = self.mailbox();
        let reference = mailbox.open('A', Some(Expected::new(amount).payer(payer)));
        let account = reference.as_str().parse().expect("ten characters");
        let push = StkPush::new(&self.merchant, payer, amount, account, self.urls().stk(&reference));
        let (id, belief) = self.collect(&push, &reference, &mut mailbox, dice).await;
        let (reference, payer, amount) = (reference.as_str().to_owned(), payer.to_string(), amount.get());
        let id = id.map(|id| id.as_str().to_owned());
        Attempt { order, reference, payer, amount, id, belief }
    }

    async fn collect(
        &self,
        push: &StkPush,
        reference: &Reference,
        mailbox: &mut Mailbox<'_>,
        dice: &mut Dice,
    ) -> (Option<CheckoutRequestId>, Belief) {
        // Now and then the customer's request is given up in the middle, and the future with it.
        let limit = if dice.percent(2) { Duration::from_millis(dice.roll(20)) } else { Duration::from_secs(60) };
        let id = match timeout(limit, self.client.send(push)).await {
            Ok(Ok(accepted)) => accepted.checkout_request_id,
            Ok(Err(error)) if !error.outcome_unknown() => return (None, Belief::NotSent),
            Ok(Err(_)) | Err(_) => match timeout(PATIENCE, mailbox.posts.recv()).await {
                Ok(Some((_, Event::Stk(callback)))) => callback.checkout_request_id,
                _ => return (None, Belief::Unknown),
            },
        };
        let belief = self.settle(&id, reference, push.payer(), push.amount()).await;
        (Some(id), belief)
    }

    pub(crate) async fn settle(
        &self,
        id: &CheckoutRequestId,
        reference: &Reference,
        payer: Msisdn,
        amount: Shillings,
    ) -> Belief {
        const SOON: Duration = Duration::from_millis(300);
        let wait = self.client.wait_for_payment(&self.merchant, id).inbox(&self.inbox).at(reference);
        let wait = wait.schedule(std::iter::repeat(SOON)).confirm_after(SOON).within(Duration::from_secs(10));
        match wait.await {
            Ok(settled) => match settled.outcome {
                Outcome::Paid(paid) => {
                    let is_right = paid.amount.is_none_or(|told| told == amount.into())
                        && paid.payer.is_none_or(|told| told.msisdn() == Some(payer));
                    if !is_right {
                        self.book.wrong(format!("{id:?} was settled with another amount or payer"));
                    }
                    Belief::Paid(paid.receipt.map(|receipt| receipt.to_string()))
                }
                Outcome::Failed(_) => Belief::Failed,
            },
            Err(Error::StillPending(_)) => Belief::Unknown,
            Err(error) => {
                self.book.wrong(format!("a wait ended with {error}"));
                Belief::Unknown
            }
        }
    }

    /// What is done with some of what was paid.
    async fn afterwards(&self, attempt: &Attempt, receipt: &str, dice: &mut Dice) {
        let receipt: ReceiptNumber = receipt.parse().expect("a receipt");
        let amount = Shillings::new(attempt.amount).expect("an amount");
        match dice.roll(100) {
            0..3 => self.give_back(receipt, amount).await,
            3..6 => self.look_up(receipt, amount).await,
            6..11 => self.query(attempt).await,
            _ => {}
        }
    }

    async fn give_back(&self, receipt: ReceiptNumber, amount: Shillings) {
        let mut mailbox = self.mailbox();
        let reference = mailbox.open('R', None);
        let (code, urls) = (self.merchant.short_code(), self.urls().payout(&reference));
        let reversal = Reversal::new(&self.initiator, code, receipt, amount, urls);
        let gone = match self.client.send(&reversal).await {
            Err(error) if !error.outcome_unknown() => Gone::NotSent,
            _ => match timeout(PATIENCE, mailbox.posts.recv()).await {
                Ok(Some((_, Event::Result(result)))) => match result.reversal().map(|result| result.outcome) {
                    Some(ReversalOutcome::Reversed(back)) => Gone::Paid(back.original_receipt.to_string()),
                    other => Gone::Unknown(format!("{other:?}")),
                },
                _ => Gone::Unknown("no result".to_owned()),
            },
        };
        let (reference, receipt) = (reference.as_str().to_owned(), receipt.to_string());
        self.book.write(&Row::Refund(Refund { reference, receipt, amount: amount.get(), gone }));
    }

    async fn look_up(&self, receipt: ReceiptNumber, amount: Shillings) {
        let mut mailbox = self.mailbox();
        let reference = mailbox.open('T', None);
        let (code, urls) = (self.merchant.short_code(), self.urls().question(&reference));
        let query = TransactionStatusQuery::by_receipt(&self.initiator, code, receipt, urls);
        if self.client.send(&query).await.is_err() {
            return;
        }
        let Ok(Some((_, Event::Result(result)))) = timeout(PATIENCE, mailbox.posts.recv()).await else { return };
        match result.transaction_status().map(|result| result.outcome) {
            Some(StatusOutcome::Found(found))
                if found.proof() == Some(receipt) && found.amount == Some(Kes::from(amount)) => {}
            other => self.book.wrong(format!("{receipt} was paid, and is told to be {other:?}")),
        }
    }

    async fn query(&self, attempt: &Attempt) {
        let id = attempt.id.as_deref().expect("what is paid has an id").parse().expect("an id");
        if let Ok(StkStatus::Failed(failure)) = self.client.send(&StkQuery::new(&self.merchant, &id)).await {
            self.book.wrong(format!("{} was paid, and is told to have failed: {failure:?}", attempt.reference));
        }
    }
}

fn told(event: &Event) -> Told {
    match event {
        Event::Stk(callback) => match &callback.outcome {
            StkOutcome::Paid(paid) => {
                Told::Paid(paid.receipt.to_string(), paid.amount.map(Kes::cents).unwrap_or_default())
            }
            StkOutcome::Failed(_) => Told::Failed,
            _ => Told::Other,
        },
        Event::Result(result) => match result.reversal().map(|result| result.outcome) {
            Some(ReversalOutcome::Reversed(back)) => {
                Told::Back(back.original_receipt.to_string(), back.amount.map(Kes::cents).unwrap_or_default())
            }
            _ => Told::Other,
        },
        _ => Told::Other,
    }
}
