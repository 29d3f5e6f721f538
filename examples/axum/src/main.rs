//! Daraja's callbacks in axum: checked, on the disk before the answer, worked on afterwards.

use std::{error::Error, net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::to_bytes,
    extract::{ConnectInfo, Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use daraja::webhook::{Ack, Delivery, MAX_BODY_BYTES};
use tokio::{net::TcpListener, time::timeout};

#[path = "../../shared/desk.rs"]
mod desk;
#[path = "../../shared/patience.rs"]
mod patience;
#[path = "../../shared/stop.rs"]
mod stop;

use desk::Desk;
use stop::stop_signal;

/// How long a body may take. Daraja's come at once.
const BODY_TIME: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (desk, address, worker) = Desk::open()?;
    let stopped = stop_signal()?;
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    // Whatever the path: the desk knows its own.
    let routes = Router::new().fallback_service(post(callback).with_state(desk.clone()));
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    let server = |stopped| axum::serve(listener, service).with_graceful_shutdown(stopped);
    patience::serve(stopped, server).await.transpose()?;
    desk.close(worker).await
}

async fn callback(
    State(desk): State<Desk>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Response, StatusCode> {
    let (head, body) = request.into_parts();
    let body = timeout(BODY_TIME, to_bytes(body, MAX_BODY_BYTES)).await.map_err(|_| StatusCode::REQUEST_TIMEOUT)?;
    let body = body.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;

    let delivery = Delivery::new(peer.ip(), head.uri.path(), &body).headers(&head.headers);
    let ack = desk.take(delivery).await.map_err(status)?;
    Ok(([(CONTENT_TYPE, Ack::CONTENT_TYPE)], String::from(ack)).into_response())
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST)
}
