//! Daraja's callbacks in warp: checked, on the disk before the answer, worked on afterwards.

use std::{error::Error, net::SocketAddr, pin::pin, time::Duration};

use daraja::webhook::{Ack, Delivery, MAX_BODY_BYTES};
use futures_util::{Stream, StreamExt};
use tokio::{net::TcpListener, time::timeout};
use warp::{
    Buf, Filter,
    http::{HeaderMap, Response, StatusCode, header::CONTENT_TYPE},
    path::FullPath,
};

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
    // Whatever the path: the desk knows its own. But there has to be one: `path::full` panics at a target that is a name and a
    // port alone, so `path::param` refuses that before.
    let has_path = warp::path::param().map(|_: String| ()).untuple_one();
    let path = warp::any().and(has_path).and(warp::path::full());
    let request = warp::addr::remote().and(path).and(warp::header::headers_cloned());
    let of_routes = desk.clone();
    let routes = warp::post().and(request).and(warp::body::stream()).then(move |peer, path, headers, body| {
        let desk = of_routes.clone();
        async move { callback(&desk, peer, &path, &headers, body).await.unwrap_or_else(refusal) }
    });
    patience::serve(stopped, |stopped| warp::serve(routes).incoming(listener).graceful(stopped).run()).await;
    desk.close(worker).await
}

async fn callback(
    desk: &Desk,
    peer: Option<SocketAddr>,
    path: &FullPath,
    headers: &HeaderMap,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Result<Response<String>, StatusCode> {
    let body = timeout(BODY_TIME, read(body)).await.map_err(|_| StatusCode::REQUEST_TIMEOUT)??;

    let delivery = Delivery::new(peer.as_ref().map(SocketAddr::ip), path.as_str(), &body).headers(headers);
    let ack = desk.take(delivery).await.map_err(status)?;
    let response = Response::builder().header(CONTENT_TYPE, Ack::CONTENT_TYPE).body(ack.into());
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

fn refusal(status: StatusCode) -> Response<String> {
    let mut refusal = Response::new(String::new());
    *refusal.status_mut() = status;
    refusal
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST)
}
