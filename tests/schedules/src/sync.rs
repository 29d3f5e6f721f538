//! What the library's `sync` names: std's locks by shuttle, and models of what is used of tokio.
//!
//! The models are kept here because `shuttle-tokio` 1.0 has no time: its `sleep` and `timeout` ignore how long. An operation
//! of a model is one step: what happens within tokio is left to Miri.

mod mutex;
mod notify;
mod time;

pub(crate) use shuttle::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub(crate) use self::{
    mutex::{AsyncMutex, OwnedMutexGuard},
    notify::Notify,
    time::{Instant, advance, reset, sleep, timeout, timeout_at, wait_for_timer},
};

/// Where the scheduler can let another task go on.
fn scheduling_point() {
    use shuttle::sync::atomic::{AtomicBool, Ordering::SeqCst};

    AtomicBool::new(false).load(SeqCst);
}
