//! The routes, and the document that is made of them.

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use serde::{Deserialize, Serialize};
use utoipa::{
    IntoResponses, Modify, OpenApi, ToSchema,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{
    app::App,
    auth::{self, Audience, Role},
    limits::Client,
    orders, payments, payouts, refunds,
    reply::{Answer, Body, FailureBody, Reply},
    suppliers,
};

/// No token, or one that is not valid or has expired: `TOKEN_MISSING`, `TOKEN_INVALID`, `TOKEN_EXPIRED`.
#[derive(IntoResponses)]
#[response(status = 401)]
pub(crate) struct Unauthorized(#[expect(dead_code, reason = "for the document")] FailureBody);

/// For admins only: `ADMINS_ONLY`.
#[derive(IntoResponses)]
#[response(status = 403)]
pub(crate) struct Forbidden(#[expect(dead_code, reason = "for the document")] FailureBody);

/// It is not there, or not yours.
#[derive(IntoResponses)]
#[response(status = 404)]
pub(crate) struct NotFound(#[expect(dead_code, reason = "for the document")] FailureBody);

/// As things stand it cannot be done: `code` says why.
#[derive(IntoResponses)]
#[response(status = 409)]
pub(crate) struct Conflict(#[expect(dead_code, reason = "for the document")] FailureBody);

/// The body can be read, and says something that cannot be done.
#[derive(IntoResponses)]
#[response(status = 422)]
pub(crate) struct Invalid(#[expect(dead_code, reason = "for the document")] FailureBody);

/// Too often: see `Retry-After`.
#[derive(IntoResponses)]
#[response(status = 429)]
pub(crate) struct Limited(#[expect(dead_code, reason = "for the document")] FailureBody);

#[derive(OpenApi)]
#[openapi(
    info(title = "Shop", description = "A shop's payment backend. Every answer has the envelope success, message, data; \
        errors have a stable code. Every route can answer 400, 401, 413, 415, 422, 429 and 503 as well.", license(name = "MIT")),
    modifiers(&Bearer),
    security(("bearer" = []))
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(log_in))
        .routes(routes!(health))
        .merge(orders::routes())
        .merge(payments::routes())
        .merge(payouts::routes())
        .merge(suppliers::routes())
        .merge(refunds::routes())
}

/// All routes but the callbacks.
pub(crate) fn routes(app: &App) -> Router {
    let (api, document) = documented().split_for_parts();
    let served = document.clone();
    let viewer = SwaggerUi::new("/docs").config(Config::from("/api/openapi.json").validator_url("none"));
    api.merge(Router::from(viewer).layer(axum::middleware::from_fn(relax)))
        .route("/api/openapi.json", get(move || async move { Json(served) }))
        .with_state(app.clone())
}

/// The viewer writes styles and images of its own.
async fn relax(request: axum::extract::Request, next: axum::middleware::Next) -> axum::response::Response {
    const POLICY: &str = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; \
                          img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; frame-ancestors 'none'";
    let mut response = next.run(request).await;
    let policy = axum::http::HeaderValue::from_static(POLICY);
    response.headers_mut().insert(axum::http::header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// Who logs in.
#[derive(Deserialize, ToSchema)]
pub(crate) struct LogIn {
    #[schema(example = "admin@shop.example")]
    email: String,
    password: String,
}

/// A token.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Token {
    /// Send it as `Authorization: Bearer …`.
    token: String,
    /// Seconds.
    expires_in: i64,
    role: Role,
}

/// Logs in.
#[utoipa::path(post, path = "/api/auth/login", tag = "log-in", request_body = LogIn, security(()),
    responses((status = 200, body = Reply<Token>), Unauthorized, Limited, Invalid))]
async fn log_in(
    State(app): State<App>,
    axum::Extension(Client(client)): axum::Extension<Client>,
    Body(body): Body<LogIn>,
) -> Answer<Token> {
    app.limits.log_in(client)?;
    let (id, role) = auth::log_in(&app.db, &body.email, &body.password).await?;
    let token = app.tokens.issue(&id, role, Audience::Api)?;
    Ok(Reply::new("Logged in", Token { token, expires_in: auth::LIFE, role }))
}

/// How the shop is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Health {
    /// It answers.
    live: bool,
    /// Its database answers, so that payments can be taken.
    ready: bool,
}

/// Whether the shop is live and ready.
#[utoipa::path(get, path = "/api/health", tag = "health", security(()),
    responses((status = 200, body = Reply<Health>), (status = 503, body = Reply<Health>)))]
async fn health(State(app): State<App>) -> impl IntoResponse {
    let ready = sqlx::query("SELECT 1").execute(app.db.pool()).await.is_ok();
    let (status, message) = if ready { (StatusCode::OK, "Ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "Not ready") };
    Reply { success: ready, ..Reply::new(message, Health { live: true, ready }).with_status(status) }
}
