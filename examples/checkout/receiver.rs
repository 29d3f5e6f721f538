//! The shop's side of a callback: a small web server on a loopback port.

use std::io;

use daraja::{
    Url,
    webhook::{Inbox, Reference, SignedUrls},
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::web::serve;

/// Receives callbacks, and hands them to whoever waits.
pub(crate) struct Receiver {
    pub(crate) inbox: Inbox,
    /// What came in, for the screen.
    pub(crate) arrivals: UnboundedReceiver<String>,
    urls: SignedUrls,
}

impl Receiver {
    pub(crate) async fn start() -> io::Result<Self> {
        let (arrived, arrivals) = unbounded_channel();
        let inbox = Inbox::new();
        let inbox_of_route = inbox.clone();
        let urls = serve(0, move |reference, event| {
            // A shop stores the event here, before it is answered: Daraja posts it once.
            drop(arrived.send(format!("came in for {reference}")));
            inbox_of_route.deliver(&reference, event);
        });
        Ok(Self { urls: urls.await?, inbox, arrivals })
    }

    /// A URL of its own for each attempt, signed: nobody else can guess where to post, and it says which attempt is meant,
    /// even if the answer to the push was lost.
    pub(crate) fn url_for(&self, attempt: &Reference) -> Url {
        self.urls.stk(attempt)
    }

    pub(crate) fn origin(&self) -> String {
        self.url_for(&Reference::random()).origin().ascii_serialization()
    }
}
