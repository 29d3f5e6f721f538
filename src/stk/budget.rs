//! The query budget of a client: all its waits share it, because Daraja counts the queries of an app together.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

/// Grants one query at a time, a fixed spacing apart, to whoever was due first.
#[derive(Debug)]
pub(crate) struct QueryBudget {
    spacing: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// No query before this.
    next: Option<Instant>,
    /// Everybody who waits for a turn, by the time they are due; the number tells equals apart.
    queue: BTreeMap<(Instant, u64), Arc<Notify>>,
    arrivals: u64,
}

impl QueryBudget {
    pub(crate) fn new(spacing: Duration) -> Self {
        Self { spacing, state: Mutex::default() }
    }

    /// Waits until `due`, until nobody was due before, and until the spacing has passed.
    pub(crate) async fn turn(&self, due: Instant) {
        let place = Place::take(self, due);
        while let Some(earliest) = self.try_turn(place.key) {
            let changed = place.notify.notified();
            match earliest {
                Earliest::At(then) => timeout_at(then, changed).await.unwrap_or_default(),
                Earliest::WhenFirst => changed.await,
            }
        }
    }

    /// Daraja asked to slow down: nobody queries before the pause is over.
    pub(crate) fn slow_down(&self, pause: Option<Duration>) {
        let pause = pause.unwrap_or_default().max(self.spacing.saturating_mul(2));
        let mut state = self.lock();
        let until = Instant::now().checked_add(pause);
        state.next = state.next.max(until);
    }

    /// `None` if the turn is taken; else when to look again.
    fn try_turn(&self, key: (Instant, u64)) -> Option<Earliest> {
        let mut state = self.lock();
        if state.queue.first_key_value().is_some_and(|(first, _)| *first != key) {
            return Some(Earliest::WhenFirst);
        }
        let now = Instant::now();
        let earliest = state.next.map_or(key.0, |next| next.max(key.0));
        if earliest > now {
            return Some(Earliest::At(earliest));
        }
        state.next = now.checked_add(self.spacing);
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Earliest {
    At(Instant),
    WhenFirst,
}

/// A place in the queue, given up when it is dropped.
struct Place<'b> {
    budget: &'b QueryBudget,
    key: (Instant, u64),
    notify: Arc<Notify>,
}

impl<'b> Place<'b> {
    fn take(budget: &'b QueryBudget, due: Instant) -> Self {
        let notify = Arc::new(Notify::new());
        let mut state = budget.lock();
        state.arrivals = state.arrivals.wrapping_add(1);
        let key = (due, state.arrivals);
        // Whoever was first may be so no longer: it looks again when its time comes.
        state.queue.insert(key, notify.clone());
        drop(state);
        Self { budget, key, notify }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        state.queue.remove(&self.key);
        if let Some((_, first)) = state.queue.first_key_value() {
            // A permit is kept if it is not waiting yet.
            first.notify_one();
        }
    }
}
