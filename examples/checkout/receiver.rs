//! The shop's side of a callback: a small web server on a loopback port.

use std::io;

use daraja::{StkCallback, webhook::Inbox};
use hyper::StatusCode;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use url::Url;

use crate::web::{serve, unguessable};

/// Receives callbacks, and hands them to whoever waits.
pub(crate) struct Receiver {
    pub(crate) origin: String,
    pub(crate) inbox: Inbox,
    /// What came in, for the screen.
    pub(crate) arrivals: UnboundedReceiver<String>,
    path: String,
}

impl Receiver {
    pub(crate) async fn start() -> io::Result<Self> {
        let (arrived, arrivals) = unbounded_channel();
        let (path, inbox) = (format!("/callbacks/{}/", unguessable()), Inbox::new());
        let (base, inbox_of_route) = (path.clone(), inbox.clone());
        let address = serve("127.0.0.1:0", move |path: &str, body: &[u8]| {
            let Some(reference) = path.strip_prefix(&base) else { return StatusCode::NOT_FOUND };
            let Ok(callback) = StkCallback::parse(body) else { return StatusCode::BAD_REQUEST };
            // A shop stores the callback here, before it answers: Daraja posts it once.
            drop(arrived.send(format!("came in for {reference}")));
            inbox_of_route.deliver(callback);
            StatusCode::OK
        });
        Ok(Self { origin: format!("http://{}", address.await?), inbox, arrivals, path })
    }

    /// Daraja signs nothing: a callback is believed because nobody else can guess where to post it. The reference in it
    /// tells which order was meant, even if the answer to the push was lost.
    pub(crate) fn url_for(&self, reference: &str) -> Url {
        let url = format!("{}{}{reference}", self.origin, self.path);
        url.parse().expect("an address, hexadecimal digits and a reference make a URL")
    }
}
