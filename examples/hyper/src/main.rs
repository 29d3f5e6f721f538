//! Daraja's callbacks in plain hyper: checked, on the disk before the answer, worked on afterwards.

use std::{convert::Infallible, error::Error, net::SocketAddr, pin::pin, time::Duration};

use daraja::webhook::{Ack, Delivery, MAX_BODY_BYTES};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::TcpListener,
    select,
    time::{sleep, timeout},
};

#[path = "../../shared/desk.rs"]
mod desk;
#[path = "../../shared/stop.rs"]
mod stop;

use desk::Desk;
use stop::stop_signal;

/// How long the head of a request may take, and its body. Daraja's come at once.
const BODY_TIME: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (desk, address, worker) = Desk::open()?;
    let mut stopped = pin!(stop_signal()?);
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let connections = GracefulShutdown::new();
    loop {
        let accepted = select! {
            accepted = listener.accept() => accepted,
            () = &mut stopped => break,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors, most likely: give some time to be closed.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let desk = desk.clone();
        let service = service_fn(move |request| answer(desk.clone(), peer, request));
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(BODY_TIME);
        tokio::spawn(connections.watch(server.serve_connection(TokioIo::new(stream), service)));
    }
    drop(listener);
    connections.shutdown().await;
    desk.close(worker).await
}

async fn answer(desk: Desk, peer: SocketAddr, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(callback(&desk, peer, request).await.unwrap_or_else(|status| {
        let mut refusal = Response::new(Full::default());
        *refusal.status_mut() = status;
        refusal
    }))
}

async fn callback(
    desk: &Desk,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, StatusCode> {
    let (head, body) = request.into_parts();
    if head.method != Method::POST {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let body = timeout(BODY_TIME, Limited::new(body, MAX_BODY_BYTES).collect()).await;
    let body = body.map_err(|_| StatusCode::REQUEST_TIMEOUT)?.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?.to_bytes();

    let delivery = Delivery::new(peer.ip(), head.uri.path(), &body).headers(&head.headers);
    let ack = desk.take(delivery).await.map_err(status)?;
    let mut response = Response::new(Full::from(String::from(ack)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(Ack::CONTENT_TYPE));
    Ok(response)
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST)
}
