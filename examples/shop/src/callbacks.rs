//! What Daraja posts: believed only at the signed URLs, and on the disk before it is answered.

use std::net::{IpAddr, SocketAddr};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use daraja::webhook::{Ack, Delivery, Event, MAX_BODY_BYTES, Reference, Refused};
use sqlx::FromRow;
use tokio::time::{Duration, sleep, timeout};

use crate::{
    app::App,
    config::{CALLBACK_PATH, RESULT_PATH, TIMEOUT_PATH},
    db::now,
    metrics, payments, payouts, refunds,
    reply::Failure,
};

/// How long a body may take. Daraja's come at once.
const BODY_TIME: Duration = Duration::from_secs(5);
/// What is stored and not worked on after this is taken up again, in milliseconds.
const AGAIN: i64 = 15_000;

/// The signed URLs, and the guide's bare ones, which settle nothing.
pub(crate) fn routes() -> Router<App> {
    let bases = [CALLBACK_PATH, RESULT_PATH, TIMEOUT_PATH].into_iter().fold(Router::new(), |router, path| {
        router.route(path, post(bare)).route(&format!("{path}/{{reference}}/{{mac}}"), post(signed))
    });
    // Answers to questions come below the first.
    ["question", "question-timeout"].into_iter().fold(bases, |router, purpose| {
        router.route(&format!("{CALLBACK_PATH}/{purpose}/{{reference}}/{{mac}}"), post(signed))
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
    let client = app.daraja.receiver.client_of(&delivery);
    let (reference, event) = app.daraja.receiver.accept(delivery).map_err(|refused| {
        if refused == Refused::Source {
            name_the_variable(peer.ip(), client);
        }
        refuse(StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_REQUEST))
    })?;
    metrics::callback_received(event.kind().as_str());
    let ack = event.ack();
    // In a task of its own: a connection that is closed early must not stop the work.
    let work = app.spawn(take(app.clone(), reference, event, body));
    if let Ok(Ok(())) = work.await {
        return Ok(acknowledge(ack));
    }
    // Not stored is not taken: the payment will be asked for.
    metrics::callback_failed();
    Err(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Logs which setting would let this delivery in, if it is genuine. The answer to the sender does not say it.
fn name_the_variable(peer: IpAddr, client: Option<IpAddr>) {
    let is_direct = client == Some(peer.to_canonical());
    let advice = match client {
        None => {
            "MPESA_CALLBACK_PROXIES names this peer, which did not say for whom it speaks: see MPESA_CALLBACK_PROXY_HEADER"
        }
        Some(_) if is_direct && peer.is_loopback() => {
            "if the peer is your proxy, name it in MPESA_CALLBACK_PROXIES; for a tunnel in the sandbox set \
             MPESA_CALLBACK_SOURCES=anyone"
        }
        Some(_) => {
            "if the client is your own proxy, name it in MPESA_CALLBACK_PROXIES, too; if it is a new address of \
                    Safaricom's, add it to MPESA_CALLBACK_SOURCES"
        }
    };
    let client = client.map_or_else(|| "unknown".to_owned(), |client| client.to_string());
    tracing::warn!(event = "callback.source_refused", %peer, client, advice, "a delivery came from an address that is not allowed");
}

fn acknowledge(ack: Ack) -> Response {
    ([(CONTENT_TYPE, Ack::CONTENT_TYPE)], String::from(ack)).into_response()
}

/// Stores a delivery, which Daraja makes once, and works on it. What is stored and could not be worked on is taken up by the
/// [sweep](work_again).
async fn take(app: App, reference: Reference, event: Event, body: Bytes) -> Result<(), Failure> {
    let key = event.dedup_key_at(&reference).to_string();
    let mut stored = store(&app, &reference, &key, &event, &body).await;
    for pause in [100_u64, 500, 2_000] {
        let Err(error) = &stored else { break };
        tracing::error!(event = "callback.not_stored", %reference, %error, "a delivery could not be stored");
        sleep(Duration::from_millis(pause)).await;
        stored = store(&app, &reference, &key, &event, &body).await;
    }
    stored?;
    settle(&app, &reference, &key, &event).await;
    Ok(())
}

async fn store(app: &App, reference: &Reference, key: &str, event: &Event, body: &[u8]) -> sqlx::Result<()> {
    let now = now();
    let mut tx = app.db.write().await?;
    sqlx::query(
        "INSERT INTO deliveries (reference, dedup_key, kind, body, at, due_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT DO NOTHING",
    )
    .bind(reference.as_str())
    .bind(key)
    .bind(event.kind().as_str())
    // PostgreSQL's text holds no NUL.
    .bind(event.body_to_store(body).replace('\0', " "))
    .bind(now)
    .bind(now.saturating_add(AGAIN))
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

async fn settle(app: &App, reference: &Reference, key: &str, event: &Event) {
    if let Err(failure) = try_settle(app, reference, key, event).await {
        metrics::callback_failed();
        tracing::error!(event = "callback.failed", %reference, message = %failure.message, "a delivery was not worked on");
    }
}

#[derive(FromRow)]
struct Stored {
    reference: String,
    dedup_key: String,
    kind: String,
    body: String,
}

/// Works on what was stored and not worked on, because the database failed or the server died.
pub(crate) async fn work_again(app: &App) -> sqlx::Result<()> {
    let now = now();
    let due: Vec<Stored> = sqlx::query_as(
        "SELECT reference, dedup_key, kind, body FROM deliveries WHERE due_at <= $1 ORDER BY due_at LIMIT 20",
    )
    .bind(now)
    .fetch_all(app.db.pool())
    .await?;
    for stored in due {
        let mut tx = app.db.write().await?;
        sqlx::query("UPDATE deliveries SET due_at = $1 WHERE reference = $2 AND dedup_key = $3 AND due_at IS NOT NULL")
            .bind(now.saturating_add(AGAIN))
            .bind(&stored.reference)
            .bind(&stored.dedup_key)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        let event = stored.kind.parse().ok().and_then(|kind| Event::parse_as(kind, stored.body.as_bytes()).ok());
        if let (Ok(reference), Some(event)) = (stored.reference.parse(), event) {
            settle(app, &reference, &stored.dedup_key, &event).await;
        } else {
            let reference = stored.reference;
            tracing::error!(event = "callback.unreadable", reference, "a delivery that is stored cannot be read");
        }
    }
    Ok(())
}

/// The work, and the note that it was done, are one: never the one without the other.
async fn try_settle(app: &App, reference: &Reference, key: &str, event: &Event) -> Result<(), Failure> {
    let mut tx = app.db.write().await?;
    sqlx::query("UPDATE deliveries SET due_at = NULL WHERE reference = $1 AND dedup_key = $2")
        .bind(reference.as_str())
        .bind(key)
        .execute(&mut *tx)
        .await?;
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
                payouts::begin_due(app, id.to_owned());
            } else {
                tracing::error!(event = "callback.unknown", %reference, "news of something that is not in the database");
            }
        }
        Event::C2b(_) | Event::Unknown(_) => {
            let is_payment = payments::take_unread(&mut tx, id).await?;
            tx.commit().await?;
            tracing::error!(event = "callback.unread", %reference, kind = %event.kind(), is_payment, "a delivery cannot be read");
        }
        _ => tx.commit().await?,
    }
    Ok(())
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
