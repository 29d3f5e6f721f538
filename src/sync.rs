//! What the modules whose interleavings are explored use; `tests/schedules` puts others in its place.

pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub(crate) use tokio::{
    sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard},
    time::{Instant, sleep, timeout, timeout_at},
};
