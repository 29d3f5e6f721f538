//! Brings callbacks from wherever they arrive to whoever waits for them.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    pin::pin,
    time::Duration,
};

use super::{Event, Reference};
use crate::{
    CheckoutRequestId, StkCallback,
    sync::{Arc, Instant, Mutex, MutexGuard, Notify, PoisonError},
};

/// Brings callbacks from a web framework's handler to the tasks that wait for them, in one process.
///
/// A callback belongs to the URL that it came to. [`deliver`](Self::deliver) takes it together with the verified reference
/// of that URL: it settles a wait [at that reference](crate::stk::Wait::at), and no other. [`hint`](Self::hint) takes a
/// callback without such a reference: it settles nothing, and makes the wait ask Daraja at once.
///
/// A callback that comes before its wait begins is remembered: for an hour, and 10 000 of them, unless set otherwise. Hints
/// are counted apart, a tenth as many: whoever posts hints pushes out hints, and no delivery. A
/// duplicate changes nothing, a failure never overwrites a success, and a callback at one reference never overwrites one at
/// another. An inbox compares no amount, and it lives in memory: authenticate, compare and store an event first.
///
/// ```
/// use daraja::{StkCallback, webhook::{Inbox, Reference}};
///
/// let inbox = Inbox::new();
/// let for_the_handler = inbox.clone();
/// let body = br#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":1037,"ResultDesc":"No response from user."}}}"#;
/// let reference: Reference = "attempt-1042".parse()?; // as `Receiver::accept` gave it, together with the event
/// for_the_handler.deliver(&reference, StkCallback::parse(body)?);
/// assert_eq!(inbox.len(), 1);
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Inbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    memory: Duration,
    capacity: usize,
}

type Callbacks = HashMap<CheckoutRequestId, Vec<Remembered>>;

#[derive(Debug, Default)]
struct State {
    /// For each push one callback at most of each reference, and one without.
    callbacks: Callbacks,
    delivered: Kept,
    hinted: Kept,
    listeners: HashMap<CheckoutRequestId, Listeners>,
    arrivals: u64,
}

/// The remembered callbacks of one kind: with a verified reference, or without.
#[derive(Debug, Default)]
struct Kept {
    count: usize,
    /// Those that nobody waits for, by age, so that the oldest is forgotten first.
    by_age: BTreeMap<u64, CheckoutRequestId>,
}

#[derive(Debug)]
struct Remembered {
    /// The verified reference of the URL that it came to.
    reference: Option<Reference>,
    callback: StkCallback,
    at: Instant,
    arrival: u64,
}

#[derive(Debug, Default)]
struct Listeners {
    count: usize,
    notify: Arc<Notify>,
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Inbox {
    /// An empty inbox that remembers 10 000 callbacks and 1 000 hints for an hour.
    #[must_use]
    pub fn new() -> Self {
        Self::remembering(10_000, Duration::from_secs(3_600))
    }

    /// An empty inbox that remembers this many callbacks, and a tenth as many hints (at least one of each), for this long.
    #[must_use]
    pub fn remembering(count: usize, memory: Duration) -> Self {
        let shared = Shared { state: Mutex::default(), memory, capacity: count.max(1) };
        Self { shared: Arc::new(shared) }
    }

    /// Takes an event together with the reference that [`Receiver::accept`](super::Receiver) verified, and wakes the waits
    /// for its push. Only callbacks of pushes are waited for: other events are ignored.
    ///
    /// It settles a wait at this reference. A wait at another reference takes it as a [hint](Self::hint), even if it names
    /// the wait's push: whoever knows the URL of one attempt cannot pay another.
    pub fn deliver(&self, reference: &Reference, event: impl Into<Event>) {
        self.take(Some(reference), event.into());
    }

    /// Takes an event whose URL proves nothing, such as one at a URL without signature, and wakes the waits for its push.
    ///
    /// It settles nothing: the wait asks Daraja at once, and only a query that says paid settles it. Its receipt and
    /// amount are not taken over. If it reports a payment, queries that report a failure are not believed any more.
    ///
    /// ```
    /// # use daraja::webhook::{Event, Inbox};
    /// # fn on_unsigned_callback(inbox: &Inbox, body: &[u8]) -> Result<(), daraja::error::DecodeError> {
    /// inbox.hint(Event::parse(body)?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn hint(&self, event: impl Into<Event>) {
        self.take(None, event.into());
    }

    fn take(&self, reference: Option<&Reference>, event: Event) {
        let Event::Stk(callback) = event else { return };
        // Without the lock: a waker runs code of the executor.
        if let Some(listening) = self.shared.remember(reference, callback) {
            listening.notify_waiters();
        }
    }

    /// How many callbacks are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        let state = self.shared.lock();
        state.delivered.count.saturating_add(state.hinted.count)
    }

    /// Whether no callback is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes an interest in one payment: what comes for it is kept as long as the listener lives.
    pub(crate) fn listen<'i>(&'i self, id: &'i CheckoutRequestId, at: Option<&'i Reference>) -> Listener<'i> {
        let notify = self.shared.lock().listen(id);
        Listener { shared: &self.shared, id, at, notify, heard: None, hinted: None }
    }
}

impl Shared {
    /// Stores a new callback, and returns its listeners.
    fn remember(&self, reference: Option<&Reference>, callback: StkCallback) -> Option<Arc<Notify>> {
        let mut state = self.lock();
        state.forget_old(self.memory, self.capacity);
        if !state.is_news(reference, &callback) {
            return None;
        }
        let listening = state.listeners.get(&callback.checkout_request_id).map(|listeners| listeners.notify.clone());
        state.remember(reference.cloned(), callback);
        state.forget_old(self.memory, self.capacity);
        listening
    }

    fn stop_listening(&self, id: &CheckoutRequestId) {
        let mut state = self.lock();
        state.stop_listening(id);
        state.forget_old(self.memory, self.capacity);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn of(&self, id: &CheckoutRequestId) -> &[Remembered] {
        self.callbacks.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    /// Among equals the first stays.
    fn is_news(&self, reference: Option<&Reference>, callback: &StkCallback) -> bool {
        let mut known = self.of(&callback.checkout_request_id).iter();
        let known = known.find(|known| known.reference.as_ref() == reference);
        known.is_none_or(|known| callback.outcome.weight() > known.weight())
    }

    fn remember(&mut self, reference: Option<Reference>, callback: StkCallback) {
        self.arrivals = self.arrivals.wrapping_add(1);
        let (id, arrival) = (callback.checkout_request_id.clone(), self.arrivals);
        let remembered = Remembered { reference, callback, at: Instant::now(), arrival };
        let kept = if remembered.reference.is_some() { &mut self.delivered } else { &mut self.hinted };
        if !self.listeners.contains_key(&id) {
            kept.by_age.insert(arrival, id.clone());
        }
        let known = self.callbacks.entry(id).or_default();
        if let Some(older) = known.iter_mut().find(|older| older.reference == remembered.reference) {
            kept.by_age.remove(&older.arrival);
            *older = remembered;
        } else {
            known.push(remembered);
            kept.count = kept.count.saturating_add(1);
        }
    }

    /// A callback that a task waits for is never forgotten: the task may have been woken and not have looked yet. It does not
    /// count against the capacity, so it pushes out no callback whose wait begins in a moment. A hint takes the place of hints
    /// only: anybody can post as many as they like.
    fn forget_old(&mut self, memory: Duration, capacity: usize) {
        let hints = (capacity / 10).max(1);
        self.delivered.forget_old(&mut self.callbacks, memory, capacity);
        self.hinted.forget_old(&mut self.callbacks, memory, hints);
    }

    fn listen(&mut self, id: &CheckoutRequestId) -> Arc<Notify> {
        for known in self.callbacks.get(id).into_iter().flatten() {
            let kept = if known.reference.is_some() { &mut self.delivered } else { &mut self.hinted };
            kept.by_age.remove(&known.arrival);
        }
        let listeners = self.listeners.entry(id.clone()).or_default();
        listeners.count = listeners.count.saturating_add(1);
        listeners.notify.clone()
    }

    fn stop_listening(&mut self, id: &CheckoutRequestId) {
        let Some(listeners) = self.listeners.get_mut(id) else { return };
        listeners.count = listeners.count.saturating_sub(1);
        if listeners.count == 0 {
            self.listeners.remove(id);
            for known in self.callbacks.get(id).into_iter().flatten() {
                let kept = if known.reference.is_some() { &mut self.delivered } else { &mut self.hinted };
                kept.by_age.insert(known.arrival, id.clone());
            }
        }
    }
}

impl Kept {
    fn forget_old(&mut self, callbacks: &mut Callbacks, memory: Duration, capacity: usize) {
        while let Some((arrival, id)) = self.by_age.first_key_value() {
            let mut known = callbacks.get(id).into_iter().flatten();
            let aged = known.find(|known| known.arrival == *arrival).is_none_or(|known| known.at.elapsed() > memory);
            if self.by_age.len() <= capacity && !aged {
                return;
            }
            self.forget_oldest(callbacks);
        }
    }

    fn forget_oldest(&mut self, callbacks: &mut Callbacks) {
        let Some((arrival, id)) = self.by_age.pop_first() else { return };
        let Entry::Occupied(mut entry) = callbacks.entry(id) else { return };
        entry.get_mut().retain(|known| known.arrival != arrival);
        self.count = self.count.saturating_sub(1);
        if entry.get().is_empty() {
            entry.remove();
        }
    }
}

impl Remembered {
    fn weight(&self) -> u8 {
        self.callback.outcome.weight()
    }
}

/// One task's interest in one payment, given up when it is dropped.
pub(crate) struct Listener<'i> {
    shared: &'i Shared,
    id: &'i CheckoutRequestId,
    at: Option<&'i Reference>,
    notify: Arc<Notify>,
    /// The weight of the callback at its own reference that was given out.
    heard: Option<u8>,
    /// The weight of the hint that was given out.
    hinted: Option<u8>,
}

/// What came for a payment.
pub(crate) enum Arrival {
    /// A callback at the reference that is listened at.
    Callback(StkCallback),
    /// One without a reference, or at another one.
    Hint(StkCallback),
}

impl Listener<'_> {
    /// Waits for what weighs more than all of its kind that was given out.
    pub(crate) async fn next(&mut self) -> Arrival {
        let notify = self.notify.clone();
        loop {
            let mut notified = pin!(notify.notified());
            // Enabled before the look, so that no delivery falls between look and wait.
            notified.as_mut().enable();
            if let Some(arrival) = self.look() {
                return arrival;
            }
            notified.await;
        }
    }

    /// The same without waiting.
    pub(crate) fn look(&mut self) -> Option<Arrival> {
        let state = self.shared.lock();
        let (own, hints): (Vec<_>, Vec<_>) =
            state.of(self.id).iter().partition(|known| self.at.is_some() && known.reference.as_ref() == self.at);
        if let Some(own) = news(own, &mut self.heard) {
            return Some(Arrival::Callback(own));
        }
        news(hints, &mut self.hinted).map(Arrival::Hint)
    }
}

/// The heaviest one, if it weighs more than what was given out.
fn news(known: Vec<&Remembered>, given: &mut Option<u8>) -> Option<StkCallback> {
    let heaviest = known.into_iter().max_by_key(|known| known.weight())?;
    let is_news = given.is_none_or(|given| heaviest.weight() > given);
    is_news.then(|| {
        *given = Some(heaviest.weight());
        heaviest.callback.clone()
    })
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        self.shared.stop_listening(self.id);
    }
}
