//! A stop that does not wait for ever.

use std::{pin::Pin, time::Duration};

use tokio::{select, sync::oneshot, time::sleep};

/// How long requests may take to their ends when it stops.
const STOP_TIME: Duration = Duration::from_secs(10);

/// Tells a server to stop.
pub(crate) type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves until it is to stop, and then until the requests have ended, or for as long as they may take: a stranger who
/// sends half a request and holds the line must not keep the program, and with it the journal. `None` if one did.
pub(crate) async fn serve<S: IntoFuture>(
    stopped: impl Future<Output = ()> + Send + 'static,
    server: impl FnOnce(Stopped) -> S,
) -> Option<S::Output> {
    let (tell, told) = oneshot::channel();
    let stopped = async move {
        stopped.await;
        let _ = tell.send(());
    };
    let serving = server(Box::pin(stopped)).into_future();
    select! {
        output = serving => Some(output),
        () = async { drop(told.await); sleep(STOP_TIME).await } => None,
    }
}
