//! How a scene runs: by shuttle under many schedules, or under Miri in a tokio runtime of three threads.

#[cfg(miri)]
#[path = "world/miri.rs"]
mod here;
#[cfg(not(miri))]
#[path = "world/shuttle.rs"]
mod here;

pub(crate) use here::{below, calm, explore, is_prompt, spawn, yield_now};

use std::{env, pin::Pin, task::Poll};

/// A number from the environment, or else this one.
fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// True once in so many times.
pub(crate) fn one_in(count: usize) -> bool {
    below(count) == 0
}

/// Polls a future so often at most; its output, if it has come to that.
pub(crate) async fn polled<F: Future + ?Sized>(mut future: Pin<&mut F>, polls: usize) -> Option<F::Output> {
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => {
                if left == 0 {
                    context.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
    })
    .await
}

/// Drops a future after so many polls, if it has not ended by then.
pub(crate) async fn cut<F: Future>(future: F, after: Option<usize>) -> Option<F::Output> {
    match after {
        None => Some(future.await),
        Some(polls) => polled(Box::pin(future).as_mut(), polls).await,
    }
}

/// After how many polls a caller gives up, if it does.
pub(crate) fn any_cut() -> Option<usize> {
    (below(5) < 2).then(|| 1 + below(8))
}
