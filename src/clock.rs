//! The one source of time: passwords, token life, backoff and waiting all read it.

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::value::Timestamp;

/// Tells the time of day. Pauses and deadlines use tokio's clock.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    pub(crate) fn new(read: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
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
        (self.0)()
    }

    pub(crate) fn timestamp(&self) -> Timestamp {
        Timestamp::from_utc(self.now())
    }
}

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

    #[tokio::test]
    async fn a_month_is_not_cut_and_for_ever_does_not_overflow() {
        let now = Instant::now();
        let days = |days: u64| Duration::from_secs(86_400 * days);
        assert_eq!(after(now, days(31)).duration_since(now), days(31));
        assert_eq!(after(now, Duration::MAX).duration_since(now), days(365));
    }
}
