//! Daraja's callbacks in actix-web: checked, on the disk before the answer, worked on afterwards.

use std::{env, error::Error, fs::File, io, time::Duration};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    http::StatusCode,
    web::{self, Data, Payload},
};
use daraja::webhook::{Ack, Delivery, Journal, MAX_BODY_BYTES, Receiver, Unfinished};
use tokio::time::timeout;

/// How long a body may take. Daraja's come at once.
const BODY_TIME: Duration = Duration::from_secs(5);

struct Desk {
    receiver: Receiver,
    journal: Journal,
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let file = env::args().nth(2).unwrap_or_else(|| "callbacks.jsonl".to_owned());
    let lock = File::create(format!("{file}.lock"))?;
    lock.try_lock().map_err(|_| format!("{file} is in use by another program"))?;
    let (journal, unfinished) = Journal::open(file)?;
    let desk = Data::new(Desk { receiver: Receiver::from_env()?, journal: journal.clone() });
    let worker = tokio::spawn(work(unfinished));

    // Whatever the path: the receiver knows its own.
    let routes = move || App::new().app_data(desk.clone()).default_service(web::post().to(answer));
    let server = HttpServer::new(routes).bind(address)?;
    println!("listening on http://{}", server.addrs().first().ok_or("it listens nowhere")?);
    // It ends with Ctrl-C, and on Unix with what `kill` sends, by itself.
    server.shutdown_timeout(10).run().await?;

    journal.close().await?;
    Ok(worker.await?)
}

async fn answer(desk: Data<Desk>, request: HttpRequest, body: Payload) -> HttpResponse {
    callback(&desk, &request, body).await.unwrap_or_else(HttpResponse::new)
}

async fn callback(desk: &Desk, request: &HttpRequest, body: Payload) -> Result<HttpResponse, StatusCode> {
    let body = timeout(BODY_TIME, body.to_bytes_limited(MAX_BODY_BYTES)).await;
    let body = body.map_err(|_| StatusCode::REQUEST_TIMEOUT)?.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let body = body.map_err(|_| StatusCode::BAD_REQUEST)?;

    let peer = request.peer_addr().map(|address| address.ip());
    let delivery = Delivery::new(peer, request.path(), &body).headers(request.headers());
    let (reference, event) = desk.receiver.accept(delivery).map_err(|refused| status(refused.status()))?;
    // Not stored is not taken: Daraja does not try again, so the payment has to be asked for.
    desk.journal.store(&reference, &event, &body).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(HttpResponse::Ok().content_type(Ack::CONTENT_TYPE).body(String::from(event.ack())))
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST)
}

/// What is done behind the answer: at once, and at the next start if the program died before.
async fn work(mut unfinished: Unfinished) {
    while let Some(entry) = unfinished.next().await {
        // A shop looks up what it asked for under `entry.reference()`, compares it by `entry.event().expect(..)`, books
        // the payment, and rejects the entry if it is about something else.
        let (reference, kind) = (entry.reference().to_owned(), entry.event().kind());
        let finished = entry.finish();
        tracing::info!(reference, %kind, ?finished, "worked on");
    }
}
