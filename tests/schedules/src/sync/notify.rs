//! tokio's `Notify`: one permit, first come, first served; a notification that is not consumed is handed on.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::scheduling_point;

#[derive(Debug, Default)]
pub(crate) struct Notify {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    has_permit: bool,
    /// How often all were notified.
    rounds: u64,
    arrivals: u64,
    waiting: VecDeque<(u64, Option<Waker>)>,
    /// Those that `notify_one` chose and that have not looked since.
    chosen: Vec<u64>,
}

impl Notify {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn notified(&self) -> Notified<'_> {
        scheduling_point();
        Notified { notify: self, round: self.lock().rounds, place: None, is_done: false }
    }

    pub(crate) fn notify_one(&self) {
        scheduling_point();
        let waker = {
            let mut state = self.lock();
            let first = state.waiting.pop_front();
            state.has_permit |= first.is_none();
            first.and_then(|(place, waker)| {
                state.chosen.push(place);
                waker
            })
        };
        waker.inspect(Waker::wake_by_ref);
    }

    pub(crate) fn notify_waiters(&self) {
        scheduling_point();
        let waiting = {
            let mut state = self.lock();
            state.rounds += 1;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().filter_map(|(_, waker)| waker).for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_chosen(&mut self, place: u64) -> bool {
        let position = self.chosen.iter().position(|chosen| *chosen == place);
        position.inspect(|position| _ = self.chosen.swap_remove(*position)).is_some()
    }

    /// Gives a place up; true if a notification was meant for it.
    fn leave(&mut self, place: u64) -> bool {
        self.waiting.retain(|(waiting, _)| *waiting != place);
        self.take_chosen(place)
    }
}

pub(crate) struct Notified<'n> {
    notify: &'n Notify,
    round: u64,
    place: Option<u64>,
    is_done: bool,
}

impl Notified<'_> {
    pub(crate) fn enable(self: Pin<&mut Self>) -> bool {
        scheduling_point();
        self.get_mut().look(None)
    }

    fn look(&mut self, waker: Option<&Waker>) -> bool {
        if self.is_done {
            return true;
        }
        let mut state = self.notify.lock();
        self.is_done = if state.rounds != self.round {
            self.place.take().inspect(|place| _ = state.leave(*place));
            true
        } else if let Some(place) = self.place {
            let is_chosen = state.take_chosen(place);
            if is_chosen {
                self.place = None;
            } else if let Some((_, kept)) = state.waiting.iter_mut().find(|(waiting, _)| *waiting == place) {
                *kept = waker.cloned();
            }
            is_chosen
        } else if state.has_permit {
            state.has_permit = false;
            true
        } else {
            state.arrivals += 1;
            let place = state.arrivals;
            state.waiting.push_back((place, waker.cloned()));
            self.place = Some(place);
            false
        };
        self.is_done
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        scheduling_point();
        if self.get_mut().look(Some(context.waker())) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let was_chosen = self.notify.lock().leave(place);
        if was_chosen {
            self.notify.notify_one();
        }
    }
}
