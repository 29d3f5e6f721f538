//! What every handler and task shares, and the routes.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
};
use daraja::webhook::Reference;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tower_http::{catch_panic::CatchPanicLayer, set_header::SetResponseHeaderLayer, timeout::TimeoutLayer};

use crate::{
    auth::Tokens,
    callbacks,
    config::{Config, Daraja, Identity, Rules},
    db::{Db, new_id},
    demo::{self, Demo},
    limits::{self, Limits},
    openapi,
    reply::Failure,
};

/// The largest body of a request; Daraja's own are smaller than 64 KiB.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Longer than a push may take.
const REQUEST_TIME: Duration = Duration::from_secs(100);

/// What every handler and task shares. Clones are handles.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) db: Db,
    pub(crate) daraja: Arc<Daraja>,
    pub(crate) tokens: Tokens,
    pub(crate) limits: Arc<Limits>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) identity: Arc<Identity>,
    /// This process, among the servers on one database.
    pub(crate) server: Arc<str>,
    pub(crate) demo: Option<Demo>,
    /// Whether browsers reach it by https: cookies then never travel in the clear.
    pub(crate) is_https: bool,
    tasks: TaskTracker,
}

impl App {
    pub(crate) fn new(db: Db, config: &Config, daraja: Daraja, demo: Option<Demo>) -> Self {
        let is_https = daraja.receiver.urls().stk(&Reference::random()).scheme() == "https";
        Self {
            db,
            daraja: Arc::new(daraja),
            tokens: Tokens::new(&config.jwt_secret.0),
            limits: Arc::new(Limits::new(&config.rules)),
            rules: Arc::new(config.rules.clone()),
            identity: Arc::new(config.identity.clone()),
            server: new_id().into(),
            demo,
            is_https,
            tasks: TaskTracker::new(),
        }
    }

    /// Runs what must not end because somebody closed a browser. A polite stop waits for it.
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.tasks.spawn(work)
    }

    /// Ends when all that was begun is done.
    pub(crate) async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// All routes.
    pub(crate) fn router(&self) -> Router {
        let limited = openapi::routes(self)
            .fallback(|| async { Failure::not_found("NOT_FOUND", "There is nothing under this URL.") })
            .method_not_allowed_fallback(wrong_method)
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .layer(middleware::from_fn_with_state(self.clone(), limits::limit));
        let header =
            |name: HeaderName, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
        // Callbacks are outside of every limit but their own.
        let routes =
            callbacks::routes().method_not_allowed_fallback(wrong_method).with_state(self.clone()).merge(limited);
        let routes = if self.demo.is_some() { demo::guarded(routes) } else { routes };
        routes
            .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST_TIME))
            .layer(CatchPanicLayer::custom(|_| panicked()))
            .layer(header(header::CONTENT_SECURITY_POLICY, POLICY))
            .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .layer(header(header::X_FRAME_OPTIONS, "DENY"))
            .layer(header(header::REFERRER_POLICY, "no-referrer"))
            .layer(header(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"))
            .layer(header(header::CACHE_CONTROL, "no-store"))
            .layer(header(HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
    }
}

/// Nothing but our own scripts and styles, and no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

async fn wrong_method() -> Failure {
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "WRONG_METHOD", "This URL takes another method.")
}

fn panicked() -> Response {
    tracing::error!(event = "panicked", "a handler has panicked");
    let message = "Something went wrong on our side: ask for the state of your payment before you try again.";
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", message).into_response()
}
