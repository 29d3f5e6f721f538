//! The shop's side of a callback: a small web server on a loopback port.

use std::{
    convert::Infallible,
    hash::{BuildHasher, Hasher, RandomState},
    io,
};

use daraja::{StkCallback, webhook::Inbox};
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::{Request, Response, StatusCode, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use url::Url;

/// A web server of the shop's own for callbacks. Any framework does as well: what counts is in [`Desk::take`].
pub(crate) struct Receiver {
    pub(crate) origin: String,
    pub(crate) inbox: Inbox,
    /// What came in, for the screen.
    pub(crate) arrivals: UnboundedReceiver<String>,
    path: String,
}

impl Receiver {
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let (arrived, arrivals) = unbounded_channel();
        let (path, inbox) = (format!("/callbacks/{}/", unguessable()), Inbox::new());
        let desk = Desk { path: path.clone(), inbox: inbox.clone(), arrived };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(desk.clone().serve(stream));
            }
        });
        Ok(Self { origin, inbox, arrivals, path })
    }

    /// Daraja signs nothing: a callback is believed because nobody else can guess where to post it. The reference in it
    /// tells which order was meant, even if the answer to the push was lost.
    pub(crate) fn url_for(&self, reference: &str) -> Url {
        let url = format!("{}{}{reference}", self.origin, self.path);
        url.parse().expect("an address, hexadecimal digits and a reference make a URL")
    }
}

#[derive(Clone)]
struct Desk {
    path: String,
    inbox: Inbox,
    arrived: UnboundedSender<String>,
}

impl Desk {
    async fn serve(self, stream: TcpStream) {
        let service = service_fn(|request| self.answer(request));
        // An error is a connection that the other side has cut.
        drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, 64 * 1024).collect().await.map(Collected::to_bytes);
        let status = match (parts.uri.path().strip_prefix(&self.path), body) {
            (None, _) => StatusCode::NOT_FOUND,
            (Some(_), Err(_)) => StatusCode::BAD_REQUEST,
            (Some(reference), Ok(body)) => self.take(reference, &body),
        };
        let mut response = Response::new(Full::from(r#"{"ResultCode":0,"ResultDesc":"Accepted"}"#));
        *response.status_mut() = status;
        Ok(response)
    }

    fn take(&self, reference: &str, body: &[u8]) -> StatusCode {
        let Ok(callback) = StkCallback::parse(body) else { return StatusCode::BAD_REQUEST };
        // A shop stores the callback here, before it answers: Daraja posts it once.
        drop(self.arrived.send(format!("came in for {reference}")));
        self.inbox.deliver(callback);
        StatusCode::OK
    }
}

/// Stands in for 128 bits of a real random number generator, of which a shop takes new ones for each push.
fn unguessable() -> String {
    let half = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}
