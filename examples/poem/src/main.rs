//! Daraja's callbacks in poem: checked, on the disk before the answer, worked on afterwards.

use std::{env, error::Error, fs::File, io, net::SocketAddr, time::Duration};

use daraja::webhook::{Ack, Delivery, Journal, MAX_BODY_BYTES, Receiver, Unfinished};
use poem::{
    EndpointExt, Request, Response, Server,
    error::ReadBodyError,
    handler,
    http::{Method, StatusCode},
    listener::TcpAcceptor,
    web::Data,
};
use tokio::{net::TcpListener, time::timeout};

/// How long a body may take. Daraja's come at once.
const BODY_TIME: Duration = Duration::from_secs(5);

/// How long requests may take to their ends when it stops.
const STOP_TIME: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Desk {
    receiver: Receiver,
    journal: Journal,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let file = env::args().nth(2).unwrap_or_else(|| "callbacks.jsonl".to_owned());
    let lock = File::create(format!("{file}.lock"))?;
    lock.try_lock().map_err(|_| format!("{file} is in use by another program"))?;
    let (journal, unfinished) = Journal::open(file)?;
    let desk = Desk { receiver: Receiver::from_env()?, journal: journal.clone() };
    let worker = tokio::spawn(work(unfinished));

    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    // Whatever the path: the receiver knows its own.
    let routes = answer.data(desk);
    let server = Server::new_with_acceptor(TcpAcceptor::from_tokio(listener)?);
    server.run_with_graceful_shutdown(routes, stop(), Some(STOP_TIME)).await?;

    journal.close().await?;
    Ok(worker.await?)
}

#[handler]
async fn answer(Data(desk): Data<&Desk>, request: &Request, body: poem::Body) -> Response {
    callback(desk, request, body).await.unwrap_or_else(Into::into)
}

async fn callback(desk: &Desk, request: &Request, body: poem::Body) -> Result<Response, StatusCode> {
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
    let (reference, event) = desk.receiver.accept(delivery).map_err(|refused| status(refused.status()))?;
    // Not stored is not taken: Daraja does not try again, so the payment has to be asked for.
    desk.journal.store(&reference, &event, &body).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Response::builder().content_type(Ack::CONTENT_TYPE).body(String::from(event.ack())))
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

/// Ctrl-C, or on Unix what `kill` sends.
async fn stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminated.recv() => return,
                _ = tokio::signal::ctrl_c() => return,
            }
        }
    }
    drop(tokio::signal::ctrl_c().await);
}
