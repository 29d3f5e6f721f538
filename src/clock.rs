//! The one source of time: passwords, token life, backoff and waiting all read it.

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};

use crate::{
    sync::{Arc, Instant, Mutex, PoisonError},
    value::Timestamp,
};

/// Tells the time of day. Pauses and deadlines use tokio's clock.
#[derive(Clone)]
pub(crate) struct Clock {
    read: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    /// When the time of day was furthest ahead of the monotonic clock.
    furthest: Arc<Mutex<Option<Moment>>>,
}

impl Clock {
    pub(crate) fn new(read: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self { read: Arc::new(read), furthest: Arc::default() }
    }

    pub(crate) fn system() -> Self {
        Self::new(Utc::now)
    }

    /// Starts at `anchor` and then follows tokio's clock, so that a paused runtime pauses the time of day with it.
    #[cfg(feature = "simulator")]
    pub(crate) fn anchored(anchor: DateTime<Utc>) -> Self {
        let started = Instant::now();
        Self::new(move || anchor.checked_add_signed(elapsed_since(started)).unwrap_or(anchor))
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.read)()
    }

    pub(crate) fn timestamp(&self) -> Timestamp {
        Timestamp::from_utc(self.now())
    }

    /// Now, by both clocks. Only this records when the time of day was furthest ahead: `now` and `timestamp` do not.
    pub(crate) fn moment(&self) -> Moment {
        let now = Moment::new(self.now());
        let mut furthest = self.furthest.lock().unwrap_or_else(PoisonError::into_inner);
        if furthest.is_none_or(|furthest| furthest.set_back(now).is_zero()) {
            *furthest = Some(now);
        }
        now
    }

    /// When the time of day was furthest ahead: how far it has been [set back](Moment::set_back) is counted from there.
    pub(crate) fn furthest(&self) -> Moment {
        let furthest = *self.furthest.lock().unwrap_or_else(PoisonError::into_inner);
        furthest.unwrap_or_else(|| self.moment())
    }
}

/// One moment by both clocks. Neither is enough: the monotonic clock stands still while the machine sleeps (on Linux), and
/// the time of day can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) monotonic: Instant,
    time_of_day: DateTime<Utc>,
}

impl Moment {
    /// Now, and the time of day is this.
    pub(crate) fn new(time_of_day: DateTime<Utc>) -> Self {
        Self { monotonic: Instant::now(), time_of_day }
    }

    pub(crate) fn timestamp(self) -> Timestamp {
        Timestamp::from_utc(self.time_of_day)
    }

    /// How much time has passed until a later moment: by the clock that says more.
    pub(crate) fn until(self, later: Self) -> Duration {
        self.passed(later).into_iter().max().unwrap_or_default()
    }

    /// How far the time of day has fallen behind the monotonic clock until a later moment: it was set back.
    pub(crate) fn set_back(self, later: Self) -> Duration {
        // In whole nanoseconds: a clock that is slowed down falls behind by less than one microsecond at a time.
        let monotonic = later.monotonic.saturating_duration_since(self.monotonic).as_nanos();
        let monotonic = i128::try_from(monotonic).unwrap_or(i128::MAX);
        let time_of_day = later.nanoseconds().saturating_sub(self.nanoseconds());
        let behind = monotonic.saturating_sub(time_of_day).max(0);
        Duration::from_nanos(u64::try_from(behind).unwrap_or(u64::MAX))
    }

    /// Whether the two clocks agree about the time until a later moment, to the minute.
    pub(crate) fn clocks_agree(self, later: Self) -> bool {
        let [monotonic, time_of_day] = self.passed(later);
        // A time of day that went back by a minute has passed zero, and is found by what it is behind.
        let behind = self.time_of_day.signed_duration_since(later.time_of_day).to_std().unwrap_or_default();
        monotonic.abs_diff(time_of_day).saturating_add(behind) <= TOLERANCE
    }

    /// The time of day, since 1970.
    fn nanoseconds(self) -> i128 {
        let seconds = i128::from(self.time_of_day.timestamp()).saturating_mul(1_000_000_000);
        seconds.saturating_add(self.time_of_day.timestamp_subsec_nanos().into())
    }

    /// By the monotonic clock, and by the time of day, which can have gone back.
    fn passed(self, later: Self) -> [Duration; 2] {
        let time_of_day = later.time_of_day.signed_duration_since(self.time_of_day);
        [later.monotonic.saturating_duration_since(self.monotonic), time_of_day.to_std().unwrap_or_default()]
    }
}

/// How far two clocks may disagree: those of one machine about a time that has passed, and those of two machines.
pub(crate) const TOLERANCE: Duration = Duration::from_secs(60);

/// The moment that is this long after a start; a year counts as for ever.
pub(crate) fn after(start: Instant, pause: Duration) -> Instant {
    const FOR_EVER: Duration = Duration::from_secs(86_400 * 365);
    start.checked_add(pause.min(FOR_EVER)).unwrap_or(start)
}

#[cfg(feature = "simulator")]
fn elapsed_since(started: Instant) -> chrono::TimeDelta {
    chrono::TimeDelta::from_std(started.elapsed()).unwrap_or_default()
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_slowed_down_is_seen_to_fall_behind_however_often_it_is_read() {
        let (anchor, started) = (Utc::now(), Instant::now());
        // It loses 400 nanoseconds in each millisecond.
        let clock = Clock::new(move || {
            let passed = started.elapsed().mul_f64(0.9996);
            anchor.checked_add_signed(chrono::TimeDelta::from_std(passed).unwrap()).unwrap()
        });
        let mut last = clock.moment();
        for _ in 0..1_000 {
            tokio::time::advance(Duration::from_millis(1)).await;
            last = clock.moment();
        }
        assert_eq!(clock.furthest().set_back(last), Duration::from_micros(400));
    }

    #[tokio::test]
    async fn a_month_is_not_cut_and_for_ever_does_not_overflow() {
        let now = Instant::now();
        let days = |days: u64| Duration::from_secs(86_400 * days);
        assert_eq!(after(now, days(31)).duration_since(now), days(31));
        assert_eq!(after(now, Duration::MAX).duration_since(now), days(365));
    }
}
