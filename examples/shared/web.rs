//! A web server for what Daraja posts. Any framework does as well: what counts is what is done with a body.

use std::{
    convert::Infallible,
    hash::{BuildHasher, Hasher, RandomState},
    io,
    net::SocketAddr,
};

use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::{Request, Response, StatusCode, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// Serves on an address and hands over path and body of each request; answers where it listens.
pub(crate) async fn serve<F>(address: impl tokio::net::ToSocketAddrs, take: F) -> io::Result<SocketAddr>
where
    F: Fn(&str, &[u8]) -> StatusCode + Clone + Send + Sync + 'static,
{
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve_one(stream, take.clone()));
        }
    });
    Ok(address)
}

async fn serve_one(stream: TcpStream, take: impl Fn(&str, &[u8]) -> StatusCode) {
    let service = service_fn(|request| answer(request, &take));
    // An error is a connection that the other side has cut.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

async fn answer(
    request: Request<Incoming>,
    take: impl Fn(&str, &[u8]) -> StatusCode,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, 64 * 1024).collect().await.map(Collected::to_bytes);
    let mut response = Response::new(Full::from(r#"{"ResultCode":0,"ResultDesc":"Accepted"}"#));
    *response.status_mut() = body.map_or(StatusCode::BAD_REQUEST, |body| take(parts.uri.path(), &body));
    Ok(response)
}

/// Stands in for 128 bits of a real random number generator, of which a shop takes new ones for each request.
pub(crate) fn unguessable() -> String {
    let half = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}
