//! Daraja's callbacks in poem: checked, on the disk before the answer, worked on afterwards.

use std::{error::Error, net::SocketAddr, time::Duration};

use daraja::webhook::{Ack, Delivery, MAX_BODY_BYTES};
use poem::{
    Body, EndpointExt, Request, Response, Server,
    error::ReadBodyError,
    handler,
    http::{Method, StatusCode},
    listener::TcpAcceptor,
    web::Data,
};
use tokio::{net::TcpListener, time::timeout};

#[path = "../../shared/desk.rs"]
mod desk;
#[path = "../../shared/stop.rs"]
mod stop;

use desk::Desk;
use stop::stop_signal;

/// How long a body may take. Daraja's come at once.
const BODY_TIME: Duration = Duration::from_secs(5);

/// How long requests may take to their ends when it stops.
const STOP_TIME: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (desk, address, worker) = Desk::open()?;
    let stopped = stop_signal()?;
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    // Whatever the path: the desk knows its own.
    let routes = answer.data(desk.clone());
    let server = Server::new_with_acceptor(TcpAcceptor::from_tokio(listener)?).idle_timeout(STOP_TIME);
    server.run_with_graceful_shutdown(routes, stopped, Some(STOP_TIME)).await?;
    desk.close(worker).await
}

#[handler]
async fn answer(Data(desk): Data<&Desk>, request: &Request, body: Body) -> Response {
    callback(desk, request, body).await.unwrap_or_else(Into::into)
}

async fn callback(desk: &Desk, request: &Request, body: Body) -> Result<Response, StatusCode> {
    if request.method() != Method::POST {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let body =
        timeout(BODY_TIME, body.into_bytes_limit(MAX_BODY_BYTES)).await.map_err(|_| StatusCode::REQUEST_TIMEOUT)?;
    let body = body.map_err(|error| match error {
        ReadBodyError::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    })?;

    let peer = request.remote_addr().as_socket_addr().map(SocketAddr::ip);
    let delivery = Delivery::new(peer, request.original_uri().path(), &body).headers(request.headers());
    let ack = desk.take(delivery).await.map_err(status)?;
    Ok(Response::builder().content_type(Ack::CONTENT_TYPE).body(String::from(ack)))
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST)
}
