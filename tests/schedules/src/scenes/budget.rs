//! The query budget: waits that are cut off, waits that are held, and a gateway that asks to slow down.

use std::{
    pin::{Pin, pin},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{
    budget::QueryBudget,
    clock::after,
    sync::{Arc, Instant},
    world::{any_cut, below, calm, cut, explore, is_prompt, one_in, polled, spawn, yield_now},
};

const SPACING: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_secs(5);

/// When the waits are due, in milliseconds.
const DUE: [u64; 4] = [0, 0, 70, 150];

/// So many turns at most are taken in a scene.
const MOST_TURNS: u32 = 9;

/// By how much the second is late if the first one does not take its turn.
const LATE: Duration = Duration::from_secs(1);

/// The budget, and what was granted.
struct Observed {
    budget: QueryBudget,
    turns: Mutex<Vec<Turn>>,
    /// The pause ends between these two.
    pause: Mutex<Option<(Instant, Instant)>>,
}

/// A turn was granted between two moments, which are the same unless time moved in the middle of a poll.
#[derive(Debug, Clone, Copy)]
struct Turn {
    due: Instant,
    waited_since: Instant,
    earliest: Instant,
    latest: Instant,
}

impl Observed {
    fn new() -> Arc<Self> {
        Arc::new(Self { budget: QueryBudget::new(SPACING), turns: Mutex::default(), pause: Mutex::default() })
    }

    async fn turn(&self, due: Instant) -> Turn {
        let waited_since = Instant::now();
        let mut waiting = pin!(self.budget.turn(due));
        let (earliest, pause) = std::future::poll_fn(|context| {
            let before = (Instant::now(), self.pause());
            waiting.as_mut().poll(context).map(|()| before)
        })
        .await;
        let turn = Turn { due, waited_since, earliest, latest: Instant::now() };
        assert!(pause.is_none_or(|(ends, _)| turn.latest >= ends), "a turn in a pause");
        self.turns().push(turn);
        turn
    }

    fn slow_down(&self) {
        let earliest = after(Instant::now(), PAUSE);
        self.budget.slow_down(Some(PAUSE));
        let latest = after(Instant::now(), PAUSE);
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = Some((earliest, latest));
    }

    fn pause(&self) -> Option<(Instant, Instant)> {
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turns(&self) -> std::sync::MutexGuard<'_, Vec<Turn>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Two turns are a spacing apart.
    fn check_spacing(&self) {
        let turns = self.turns();
        for (number, one) in turns.iter().enumerate() {
            for other in turns.iter().skip(number + 1) {
                let is_before = |one: &Turn, other: &Turn| after(one.earliest, SPACING) <= other.latest;
                assert!(is_before(one, other) || is_before(other, one), "too close: {one:?}, {other:?}");
            }
        }
    }

    /// If no waiter is slow: a turn is late only by the turns before it and by this delay.
    fn check_delays(&self, delay: Duration) {
        let most = SPACING * MOST_TURNS + delay;
        let turns = self.turns();
        for turn in turns.iter().filter(|_| is_prompt()) {
            let could_be = turn.due.max(turn.waited_since);
            assert!(turn.earliest <= after(could_be, most), "too late: {turn:?} of {turns:?}");
        }
    }

    /// If no waiter is slow: the waiter that is due first gets the first turn.
    fn check_order(&self) {
        let turns = self.turns();
        for turn in turns.iter().filter(|_| is_prompt()) {
            let is_passed_over = |other: &&Turn| {
                other.waited_since < turn.earliest && other.due < turn.due && other.earliest > turn.earliest
            };
            assert!(!turns.iter().any(|other| is_passed_over(&other)), "passed over by {turn:?}: {turns:?}");
        }
    }

    /// The queue is empty: a later turn waits for the spacing and for the pause only.
    async fn check_rest(&self) {
        calm();
        let last = self.turns().iter().map(|turn| after(turn.latest, SPACING)).max();
        let now = Instant::now();
        let expected = last.max(self.pause().map(|(_, ends)| ends)).map_or(now, |last| last.max(now));
        let turn = self.turn(now).await;
        assert!(cfg!(miri) || turn.earliest <= expected, "a place is left in the queue");
    }
}

/// Four waits for two turns each, which can be cut off, while Daraja asks to slow down.
pub fn turns_keep_their_distance_and_everybody_gets_one() {
    explore(|| async {
        let observed = Observed::new();
        let slows_down = one_in(2);
        let started = Instant::now();
        let waits = DUE.map(|due| {
            let (observed, cut_after) = (observed.clone(), any_cut());
            let due = after(started, Duration::from_millis(due));
            let both = async move {
                for _ in 0..2 {
                    observed.turn(due).await;
                }
            };
            spawn(async move { cut(both, cut_after).await.is_some() || cut_after.is_some() })
        });
        if slows_down {
            yield_now().await;
            observed.slow_down();
        }
        for wait in waits {
            assert!(wait.await.expect("no panic"), "a wait without turns");
        }
        observed.check_spacing();
        observed.check_delays(if slows_down { PAUSE } else { Duration::ZERO });
        observed.check_order();
        observed.check_rest().await;
    });
}

/// One or two waits that are polled no more, until the three others have had their turns.
pub fn waits_that_are_held_stop_no_other() {
    explore(|| async {
        let observed = Observed::new();
        let started = Instant::now();
        let waits = [0, 1, 2].map(|number| {
            let observed = observed.clone();
            spawn(async move { observed.turn(after(started, SPACING * number)).await })
        });
        let mut held: Vec<Pin<Box<dyn Future<Output = Turn> + Send>>> = Vec::new();
        for _ in 0..=below(2) {
            let observed = observed.clone();
            let mut wait = Box::pin(async move { observed.turn(started).await });
            if polled(wait.as_mut(), 1 + below(3)).await.is_none() {
                held.push(wait);
            }
        }
        for wait in waits {
            wait.await.expect("no panic");
        }
        // A wait looks again after so many seconds as there were others before it when it last looked.
        observed.check_delays(LATE * 4);
        for wait in held {
            if one_in(2) {
                wait.await;
            }
        }
        observed.check_spacing();
        observed.check_rest().await;
    });
}
