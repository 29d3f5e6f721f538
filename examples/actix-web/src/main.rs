//! Daraja's callbacks in actix-web: checked, on the disk before the answer, worked on afterwards.

use std::{error::Error, net::SocketAddr, time::Duration};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    http::StatusCode,
    web::{self, Data, Payload},
};
use daraja::webhook::{Ack, Delivery, MAX_BODY_BYTES};
use tokio::time::timeout;

#[path = "../../shared/desk.rs"]
mod desk;
#[path = "../../shared/stop.rs"]
mod stop;

use desk::Desk;
use stop::stop_signal;

/// How long a body may take. Daraja's come at once.
const BODY_TIME: Duration = Duration::from_secs(5);

/// How long requests may take to their ends when it stops, in seconds.
const STOP_SECONDS: u64 = 10;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (desk, address, worker) = Desk::open()?;
    let stopped = stop_signal()?;
    let data = Data::new(desk.clone());
    // Whatever the path: the desk knows its own.
    let routes = move || App::new().app_data(data.clone()).default_service(web::post().to(answer));
    let server = HttpServer::new(routes).bind(address)?;
    println!("listening on http://{}", server.addrs().first().ok_or("it listens nowhere")?);
    // By itself it would cut off requests at work when Ctrl-C comes.
    server.shutdown_signal(stopped).shutdown_timeout(STOP_SECONDS).run().await?;
    desk.close(worker).await
}

async fn answer(desk: Data<Desk>, request: HttpRequest, body: Payload) -> HttpResponse {
    callback(&desk, &request, body).await.unwrap_or_else(HttpResponse::new)
}

async fn callback(desk: &Desk, request: &HttpRequest, body: Payload) -> Result<HttpResponse, StatusCode> {
    let body = timeout(BODY_TIME, body.to_bytes_limited(MAX_BODY_BYTES)).await;
    let body = body.map_err(|_| StatusCode::REQUEST_TIMEOUT)?.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let body = body.map_err(|_| StatusCode::BAD_REQUEST)?;

    let peer = request.peer_addr().as_ref().map(SocketAddr::ip);
    let delivery = Delivery::new(peer, request.path(), &body).headers(request.headers());
    let ack = desk.take(delivery).await.map_err(status)?;
    Ok(HttpResponse::Ok().content_type(Ack::CONTENT_TYPE).body(String::from(ack)))
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST)
}
