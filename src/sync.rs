//! Locks, notifications and time of the modules whose interleavings `tests/schedules` explores: there, another module takes
//! this one's place.

pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub(crate) use tokio::{
    sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard},
    time::{Instant, sleep, timeout, timeout_at},
};
