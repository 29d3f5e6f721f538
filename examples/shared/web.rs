//! A web server for what Daraja posts. Any framework does as well: `examples/` has a directory for each of six.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
};

use daraja::{
    Url,
    secret::CallbackSecret,
    webhook::{Ack, Delivery, Event, MAX_BODY_BYTES, Receiver, Reference, SignedUrls, Sources},
};
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::{Request, Response, StatusCode, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// Serves on a port of this computer, 0 for one of the system's choosing, and hands over what was accepted. Answers which
/// URLs to give to Daraja.
pub(crate) async fn serve<F>(port: u16, take: F) -> io::Result<SignedUrls>
where
    F: Fn(Reference, Event) + Clone + Send + Sync + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let base: Url = format!("http://{}/daraja", listener.local_addr()?).parse().map_err(io::Error::other)?;
    // Whoever deploys takes a secret from the environment, and Safaricom's addresses: see `Receiver::from_env`.
    let urls = SignedUrls::new(base, CallbackSecret::random()).map_err(io::Error::other)?;
    let receiver = Receiver::new(urls.clone()).sources(Sources::only(["127.0.0.1"]).map_err(io::Error::other)?);
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            tokio::spawn(serve_one(stream, peer, receiver.clone(), take.clone()));
        }
    });
    Ok(urls)
}

async fn serve_one(stream: TcpStream, peer: SocketAddr, receiver: Receiver, take: impl Fn(Reference, Event)) {
    let service = service_fn(|request| answer(request, peer.ip(), &receiver, &take));
    // An error is a connection that the other side has cut.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

async fn answer(
    request: Request<Incoming>,
    peer: IpAddr,
    receiver: &Receiver,
    take: impl Fn(Reference, Event),
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map(Collected::to_bytes).unwrap_or_default();
    let mut response = Response::new(Full::default());
    match receiver.accept(Delivery::new(peer, head.uri.path(), &body)) {
        Ok((reference, event)) => {
            *response.body_mut() = Full::from(String::from(Ack::accepted()));
            take(reference, event);
        }
        Err(refused) => {
            *response.status_mut() = StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_REQUEST);
        }
    }
    Ok(response)
}
