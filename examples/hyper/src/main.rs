//! Daraja's callbacks in plain hyper: checked, on the disk before the answer, worked on afterwards.

use std::{convert::Infallible, env, error::Error, fs::File, io, net::SocketAddr, time::Duration};

use daraja::webhook::{Ack, Delivery, Journal, MAX_BODY_BYTES, Receiver, Unfinished};
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
use tokio::{net::TcpListener, pin, select, time::timeout};

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
    let connections = GracefulShutdown::new();
    let stop = stop();
    pin!(stop);
    loop {
        let (stream, peer) = select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: give some time to be closed.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let desk = desk.clone();
        let service = service_fn(move |request| answer(desk.clone(), peer, request));
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(BODY_TIME);
        tokio::spawn(connections.watch(server.serve_connection(TokioIo::new(stream), service)));
    }
    drop(listener);
    connections.shutdown().await;

    journal.close().await?;
    Ok(worker.await?)
}

async fn answer(desk: Desk, peer: SocketAddr, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(callback(desk, peer, request).await.unwrap_or_else(|status| {
        let mut refusal = Response::new(Full::default());
        *refusal.status_mut() = status;
        refusal
    }))
}

async fn callback(
    desk: Desk,
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
    let (reference, event) = desk.receiver.accept(delivery).map_err(|refused| status(refused.status()))?;
    // Not stored is not taken: Daraja does not try again, so the payment has to be asked for.
    desk.journal.store(&reference, &event, &body).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let mut response = Response::new(Full::from(String::from(event.ack())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(Ack::CONTENT_TYPE));
    Ok(response)
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
