//! Brings callbacks from wherever they arrive to whoever waits for them.

use std::{
    collections::{BTreeMap, HashMap},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::Event;
use crate::{CheckoutRequestId, StkCallback};

/// Brings callbacks from a web framework's handler to the tasks that wait for them, in one process.
///
/// A callback that comes before anybody waits is remembered: for an hour, and 10 000 of them, unless set otherwise. A
/// duplicate changes nothing, and a failure never overwrites a success. An inbox believes what is delivered to it, and it
/// lives in memory: authenticate and store an event first.
///
/// ```
/// use daraja::{StkCallback, webhook::Inbox};
///
/// let inbox = Inbox::new();
/// let for_the_handler = inbox.clone();
/// let body = br#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":1037,"ResultDesc":"No response from user."}}}"#;
/// for_the_handler.deliver(StkCallback::parse(body)?);
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

#[derive(Debug, Default)]
struct State {
    callbacks: HashMap<CheckoutRequestId, Remembered>,
    /// The remembered callbacks that nobody waits for, by age, so that the oldest is forgotten first.
    by_age: BTreeMap<u64, CheckoutRequestId>,
    listeners: HashMap<CheckoutRequestId, Listeners>,
    arrivals: u64,
}

#[derive(Debug)]
struct Remembered {
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
    /// An empty inbox that remembers 10 000 callbacks for an hour.
    #[must_use]
    pub fn new() -> Self {
        Self::remembering(10_000, Duration::from_secs(3_600))
    }

    /// An empty inbox that remembers this many callbacks (at least one) for this long.
    #[must_use]
    pub fn remembering(count: usize, memory: Duration) -> Self {
        let shared = Shared { state: Mutex::default(), memory, capacity: count.max(1) };
        Self { shared: Arc::new(shared) }
    }

    /// Takes an event and wakes whoever waits for it. Only callbacks of pushes are waited for: others are let pass.
    pub fn deliver(&self, event: impl Into<Event>) {
        let Event::Stk(callback) = event.into() else { return };
        let id = callback.checkout_request_id.clone();
        let mut state = self.shared.lock();
        if !state.is_news(&callback) {
            return;
        }
        state.remember(callback);
        state.forget_old(self.shared.memory, self.shared.capacity);
        if let Some(listeners) = state.listeners.get(&id) {
            listeners.notify.notify_waiters();
        }
    }

    /// How many callbacks are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.lock().callbacks.len()
    }

    /// Whether no callback is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes an interest in one payment: what comes for it is kept as long as the listener lives.
    pub(crate) fn listen<'i>(&'i self, id: &'i CheckoutRequestId) -> Listener<'i> {
        let notify = self.shared.lock().listen(id);
        Listener { shared: &self.shared, id, notify }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &CheckoutRequestId, heard: Option<u8>) -> Option<StkCallback> {
        let state = self.lock();
        let callback = &state.callbacks.get(id)?.callback;
        heard.is_none_or(|heard| callback.outcome.weight() > heard).then(|| callback.clone())
    }
}

impl State {
    /// Among equals the first stays.
    fn is_news(&self, callback: &StkCallback) -> bool {
        let known = self.callbacks.get(&callback.checkout_request_id);
        known.is_none_or(|known| callback.outcome.weight() > known.callback.outcome.weight())
    }

    fn remember(&mut self, callback: StkCallback) {
        self.arrivals = self.arrivals.wrapping_add(1);
        let (id, arrival) = (callback.checkout_request_id.clone(), self.arrivals);
        let remembered = Remembered { callback, at: Instant::now(), arrival };
        if let Some(older) = self.callbacks.insert(id.clone(), remembered) {
            self.by_age.remove(&older.arrival);
        }
        if !self.listeners.contains_key(&id) {
            self.by_age.insert(arrival, id);
        }
    }

    /// What somebody waits for is never forgotten: they may have been woken and not have looked yet.
    fn forget_old(&mut self, memory: Duration, capacity: usize) {
        while let Some(oldest) = self.by_age.first_entry() {
            let aged = self.callbacks.get(oldest.get()).is_none_or(|known| known.at.elapsed() > memory);
            if self.callbacks.len() <= capacity && !aged {
                return;
            }
            self.callbacks.remove(&oldest.remove());
        }
    }

    fn listen(&mut self, id: &CheckoutRequestId) -> Arc<Notify> {
        if let Some(known) = self.callbacks.get(id) {
            self.by_age.remove(&known.arrival);
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
            if let Some(known) = self.callbacks.get(id) {
                self.by_age.insert(known.arrival, id.clone());
            }
        }
    }
}

/// One task's interest in one payment, given up when it is dropped.
pub(crate) struct Listener<'i> {
    shared: &'i Shared,
    id: &'i CheckoutRequestId,
    notify: Arc<Notify>,
}

impl Listener<'_> {
    /// Waits for a callback whose outcome weighs more than the one that was heard.
    pub(crate) async fn beyond(&self, heard: Option<u8>) -> StkCallback {
        loop {
            let mut notified = pin!(self.notify.notified());
            // Enabled before the look, so that no delivery falls between look and wait.
            notified.as_mut().enable();
            if let Some(callback) = self.shared.find(self.id, heard) {
                return callback;
            }
            notified.await;
        }
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        self.shared.lock().stop_listening(self.id);
    }
}
