//! Daraja's callbacks in warp: checked, on the disk before the answer, worked on afterwards.

use std::{env, error::Error, fs::File, io, net::SocketAddr, pin::pin, time::Duration};

use daraja::webhook::{Ack, Delivery, Journal, MAX_BODY_BYTES, Receiver, Unfinished};
use futures_util::{Stream, StreamExt};
use tokio::{net::TcpListener, time::timeout};
use warp::{
    Buf, Filter,
    http::{HeaderMap, Response, StatusCode, header::CONTENT_TYPE},
    path::FullPath,
};

/// How long a body may take. Daraja's come at once.
const BODY_TIME: Duration = Duration::from_secs(5);

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
    let request = warp::path::full().and(warp::header::headers_cloned()).and(warp::addr::remote());
    let routes = warp::post().and(request).and(warp::body::stream()).then(move |path, headers, peer, body| {
        let desk = desk.clone();
        async move { answer(&desk, &path, &headers, peer, body).await }
    });
    warp::serve(routes).incoming(listener).graceful(stop()).run().await;

    journal.close().await?;
    Ok(worker.await?)
}

async fn answer(
    desk: &Desk,
    path: &FullPath,
    headers: &HeaderMap,
    peer: Option<SocketAddr>,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Response<String> {
    callback(desk, path, headers, peer, body).await.unwrap_or_else(|status| {
        let mut refusal = Response::new(String::new());
        *refusal.status_mut() = status;
        refusal
    })
}

async fn callback(
    desk: &Desk,
    path: &FullPath,
    headers: &HeaderMap,
    peer: Option<SocketAddr>,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Result<Response<String>, StatusCode> {
    let body = timeout(BODY_TIME, read(body)).await.map_err(|_| StatusCode::REQUEST_TIMEOUT)??;

    let delivery = Delivery::new(peer.map(|peer| peer.ip()), path.as_str(), &body).headers(headers);
    let (reference, event) = desk.receiver.accept(delivery).map_err(|refused| status(refused.status()))?;
    // Not stored is not taken: Daraja does not try again, so the payment has to be asked for.
    desk.journal.store(&reference, &event, &body).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let response = Response::builder().header(CONTENT_TYPE, Ack::CONTENT_TYPE).body(event.ack().into());
    response.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

/// warp's own limit looks at the declared length only, and refuses a body without one.
async fn read(body: impl Stream<Item = Result<impl Buf, warp::Error>>) -> Result<Vec<u8>, StatusCode> {
    let (mut body, mut read) = (pin!(body), Vec::new());
    while let Some(piece) = body.next().await {
        let mut piece = piece.map_err(|_| StatusCode::BAD_REQUEST)?;
        while piece.has_remaining() {
            let taken = piece.chunk().len();
            read.extend_from_slice(piece.chunk());
            piece.advance(taken);
        }
        if read.len() > MAX_BODY_BYTES {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
    }
    Ok(read)
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
