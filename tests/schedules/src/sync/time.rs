//! tokio's time. It stands still until [`advance`] moves it to the next timer.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt,
    future::{pending, poll_fn},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

thread_local! {
    /// All tasks of an execution run on the thread that explores it.
    static CLOCK: RefCell<Clock> = RefCell::default();
}

#[derive(Default)]
struct Clock {
    now: Duration,
    timers: BTreeMap<(Instant, u64), Waker>,
    numbers: u64,
    /// The task that moves the time, while there is no timer.
    idle: Option<Waker>,
}

fn with_clock<T>(change: impl FnOnce(&mut Clock) -> T) -> T {
    CLOCK.with_borrow_mut(change)
}

/// For a new execution.
pub(crate) fn reset() {
    drop(CLOCK.take());
}

/// Goes to the next timer; false if there is none. No scheduling point: no other task may run between the decision to move
/// time and the move.
pub(crate) fn advance() -> bool {
    let due = with_clock(|clock| {
        let (Instant(next), _) = *clock.timers.keys().next()?;
        clock.now = clock.now.max(next);
        let later = clock.timers.split_off(&(Instant(clock.now), u64::MAX));
        Some(std::mem::replace(&mut clock.timers, later))
    });
    due.map(|due| due.into_values().for_each(Waker::wake)).is_some()
}

/// Waits until there is a timer, or until the task is woken for another reason.
pub(crate) async fn wait_for_timer() {
    let mut is_woken = false;
    poll_fn(|context| {
        if std::mem::replace(&mut is_woken, true) {
            return Poll::Ready(());
        }
        with_clock(|clock| {
            clock.idle = Some(context.waker().clone());
            if clock.timers.is_empty() { Poll::Pending } else { Poll::Ready(()) }
        })
    })
    .await;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) const START: Self = Self(Duration::ZERO);

    pub(crate) fn now() -> Self {
        with_clock(|clock| Self(clock.now))
    }

    pub(crate) fn checked_add(self, pause: Duration) -> Option<Self> {
        self.0.checked_add(pause).map(Self)
    }

    pub(crate) fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::now().saturating_duration_since(self)
    }
}

#[derive(Debug)]
pub(crate) struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("time is over")
    }
}

pub(crate) struct Timeout<F> {
    inner: Pin<Box<F>>,
    ends: Instant,
    /// The number of its timer.
    number: Option<u64>,
}

pub(crate) fn timeout_at<F: Future>(ends: Instant, inner: F) -> Timeout<F> {
    Timeout { inner: Box::pin(inner), ends, number: None }
}

pub(crate) fn timeout<F: Future>(patience: Duration, inner: F) -> Timeout<F> {
    timeout_at(Instant::now().checked_add(patience).expect("a time that the clock reaches"), inner)
}

pub(crate) async fn sleep(pause: Duration) {
    _ = timeout(pause, pending::<()>()).await;
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(value) = self.inner.as_mut().poll(context) {
            return Poll::Ready(Ok(value));
        }
        let (number, idle) = with_clock(|clock| {
            if Instant(clock.now) >= self.ends {
                return (None, None);
            }
            let number = self.number.unwrap_or_else(|| {
                clock.numbers += 1;
                clock.numbers
            });
            clock.timers.insert((self.ends, number), context.waker().clone());
            (Some(number), clock.idle.take())
        });
        idle.inspect(Waker::wake_by_ref);
        self.number = number.or(self.number);
        if number.is_some() { Poll::Pending } else { Poll::Ready(Err(Elapsed)) }
    }
}

impl<F> Drop for Timeout<F> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        drop(with_clock(|clock| clock.timers.remove(&(self.ends, number))));
    }
}
