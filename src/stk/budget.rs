//! The query budget of a client: all its waits share it, because Daraja counts the queries of an app together.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    clock::after,
    sync::{Arc, Instant, Mutex, MutexGuard, Notify, PoisonError, timeout_at},
};

/// How late the first may be before the second goes by, the second before the third, and so on.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many places are told apart in that.
const WATCHING: usize = 16;

const LONGEST_SLOWDOWN: Duration = Duration::from_secs(120);

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
        while let Some(look) = self.try_turn(&place) {
            timeout_at(look, place.notify.notified()).await.unwrap_or_default();
        }
    }

    /// Daraja asked to slow down: nobody queries before the pause is over. A pause that is longer than two minutes is
    /// asked about again.
    pub(crate) fn slow_down(&self, pause: Option<Duration>) {
        let pause = pause.unwrap_or_default().min(LONGEST_SLOWDOWN).max(self.spacing.saturating_mul(2));
        let mut state = self.lock();
        state.next = state.next.max(Some(after(Instant::now(), pause)));
    }

    /// `None` if the turn is taken; else when to look again.
    fn try_turn(&self, place: &Place<'_>) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.lock();
        // Whoever was taken for asleep comes back to the same place.
        state.queue.insert(place.key, place.notify.clone());
        loop {
            let position = state.queue.keys().take(WATCHING).position(|key| *key == place.key).unwrap_or(WATCHING);
            let first = state.queue.keys().next().map_or(now, |(due, _)| *due);
            let due = state.next.map_or(first, |next| first.max(next));
            let look = after(due, PATIENCE.saturating_mul(u32::try_from(position).unwrap_or(u32::MAX)));
            if look > now {
                return Some(look);
            }
            if position == 0 {
                state.next = Some(after(now, self.spacing));
                return None;
            }
            // A wait that nobody polls, such as a branch that is not looked at, must not stop all the others.
            state.queue.pop_first();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue, given up when it is dropped.
struct Place<'b> {
    budget: &'b QueryBudget,
    key: (Instant, u64),
    notify: Arc<Notify>,
}

impl<'b> Place<'b> {
    fn take(budget: &'b QueryBudget, due: Instant) -> Self {
        let mut state = budget.lock();
        state.arrivals = state.arrivals.wrapping_add(1);
        Self { budget, key: (due, state.arrivals), notify: Arc::new(Notify::new()) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let first = {
            let mut state = self.budget.lock();
            state.queue.remove(&self.key);
            state.queue.values().next().cloned()
        };
        // Without the lock: a waker runs code of the executor. A permit is kept if it is not waiting yet.
        first.inspect(|first| first.notify_one());
    }
}
