//! What Daraja posts: believed only at the signed URLs, and on the disk before it is answered.

use std::net::SocketAddr;

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use daraja::webhook::{Ack, Delivery, Event, MAX_BODY_BYTES, Reference};
use sqlx::AnyConnection;
use tokio::time::{Duration, timeout};

use crate::{
    app::App,
    config::{CALLBACK_PATH, RESULT_PATH, TIMEOUT_PATH},
    db::now,
    metrics, payments, payouts, refunds,
    reply::Failure,
};

/// How long a body may take. Daraja's come at once.
const BODY_TIME: Duration = Duration::from_secs(5);

/// The signed URLs, and the guide's bare ones, which settle nothing.
pub(crate) fn routes() -> Router<App> {
    [CALLBACK_PATH, RESULT_PATH, TIMEOUT_PATH].into_iter().fold(Router::new(), |router, path| {
        router.route(path, post(bare)).route(&format!("{path}/{{reference}}/{{mac}}"), post(signed))
    })
}

async fn signed(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Response, StatusCode> {
    let (head, body) = request.into_parts();
    let refuse = |status: StatusCode| {
        metrics::callback_refused(status.as_u16());
        status
    };
    let body = timeout(BODY_TIME, to_bytes(body, MAX_BODY_BYTES)).await;
    let body = body.map_err(|_| refuse(StatusCode::REQUEST_TIMEOUT))?;
    let body = body.map_err(|_| refuse(StatusCode::PAYLOAD_TOO_LARGE))?;
    let delivery = Delivery::new(peer.ip(), head.uri.path(), &body).headers(&head.headers);
    let (reference, event) = app
        .daraja
        .receiver
        .accept(delivery)
        .map_err(|refused| refuse(StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_REQUEST)))?;
    metrics::callback_received(event.kind().as_str());
    let ack = event.ack();
    // In a task of its own: a connection that is closed early must not stop the work.
    let work = app.spawn(settle(app.clone(), reference, event, body));
    if let Ok(Ok(())) = work.await {
        return Ok(acknowledge(ack));
    }
    // Not stored is not taken: the payment will be asked for.
    metrics::callback_failed();
    Err(StatusCode::INTERNAL_SERVER_ERROR)
}

fn acknowledge(ack: Ack) -> Response {
    ([(CONTENT_TYPE, Ack::CONTENT_TYPE)], String::from(ack)).into_response()
}

async fn settle(app: App, reference: Reference, event: Event, body: Bytes) -> Result<(), Failure> {
    let settled = try_settle(&app, &reference, &event, &body).await;
    if let Err(failure) = &settled {
        tracing::error!(event = "callback.failed", %reference, message = %failure.message, "a delivery was not worked on");
    }
    settled
}

/// The delivery and its work are stored together: never the one without the other.
async fn try_settle(app: &App, reference: &Reference, event: &Event, body: &[u8]) -> Result<(), Failure> {
    let mut tx = app.db.write().await?;
    keep(&mut tx, reference, event, body).await?;
    let id = reference.as_str();
    match event {
        Event::Stk(callback) => {
            let news = payments::take(&mut tx, id, callback).await?;
            tx.commit().await?;
            news.tell(id);
        }
        Event::Result(_) | Event::QueueTimeout(_) => {
            let known = payouts::news(&mut tx, app, id, event).await? || refunds::news(&mut tx, app, id, event).await?;
            tx.commit().await?;
            if known {
                payouts::begin_due(app, id.trim_end_matches("-q").to_owned());
            } else {
                tracing::error!(event = "callback.unknown", %reference, "news of something that is not in the database");
            }
        }
        Event::C2b(_) | Event::Unknown(_) => {
            tracing::warn!(event = "callback.unread", %reference, kind = %event.kind(), "a delivery that is kept and not read");
            tx.commit().await?;
        }
        _ => tx.commit().await?,
    }
    Ok(())
}

async fn keep(tx: &mut AnyConnection, reference: &Reference, event: &Event, body: &[u8]) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO deliveries (dedup_key, reference, kind, body, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(event.dedup_key_at(reference).to_string())
    .bind(reference.as_str())
    .bind(event.kind().as_str())
    // PostgreSQL's text holds no NUL.
    .bind(event.body_to_store(body).replace('\0', " "))
    .bind(now())
    .execute(tx)
    .await
    .map(drop)
}

/// Anybody can post here, so nothing is believed. At most a payment that is named is asked for a little earlier.
async fn bare(State(app): State<App>, request: Request) -> Response {
    let body = timeout(BODY_TIME, to_bytes(request.into_body(), MAX_BODY_BYTES)).await;
    if let Ok(Ok(body)) = body {
        metrics::callback_bare();
        if let Ok(Event::Stk(callback)) = Event::parse(&body) {
            let asked = payments::ask_soon(&app, callback.checkout_request_id.as_str()).await;
            if let Err(error) = asked {
                tracing::error!(event = "callback.failed", %error, "a payment could not be marked to be asked for");
            }
        }
    }
    acknowledge(Ack::accepted())
}
