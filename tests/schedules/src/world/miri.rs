//! Under Miri: the same scenes on real threads, with the real std and tokio. Miri's seed chooses how they interleave.

use std::hash::{BuildHasher, RandomState};

pub(crate) use tokio::task::{JoinHandle, yield_now};

use super::setting;

/// Runs a scene `DARAJA_SCHEDULES` times.
pub(crate) fn explore<F: Future<Output = ()> + Send + 'static>(scene: fn() -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_time().build();
    let runtime = runtime.expect("a runtime");
    for _ in 0..setting("DARAJA_SCHEDULES", 1) {
        runtime.block_on(async { spawn(scene()).await.expect("a scene that ends") });
    }
}

/// Time cannot be slowed down.
pub(crate) fn calm() {}

/// Time goes on as it likes.
pub(crate) fn is_prompt() -> bool {
    false
}

pub(crate) fn below(count: usize) -> usize {
    let random = RandomState::new().hash_one(());
    usize::try_from(random % u64::try_from(count).expect("a count")).expect("less than the count")
}

pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future)
}
