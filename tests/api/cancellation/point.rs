//! The points at which a future can be dropped, one after the other.

use std::{future::poll_fn, pin::pin, task::Poll};

/// Polls a future until it has been pending this often, then drops it. What it came to, if it ended before.
pub(crate) async fn dropped_at<F: Future>(point: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = point;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
