//! The routes, and the document that is made of them.

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use serde::{Deserialize, Serialize};
use utoipa::{
    IntoResponses, Modify, OpenApi, ToSchema,
    openapi::{
        ContentBuilder, Ref, RefOr, Response, ResponseBuilder,
        path::{Operation, ParameterIn},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{
    app::App,
    auth::{self, Admin, Audience, Role},
    db::new_id,
    limits::Client,
    orders, pages, payments, payouts, refunds,
    reply::{Answer, Body, Failure, FailureBody, Reply, text},
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
        errors have a stable code. Daraja's callbacks and the pages are not part of it.", license(name = "MIT")),
    modifiers(&Bearer),
    components(schemas(FailureBody)),
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

/// What is in front of the handlers answers for all of them: limits, bodies and parameters that cannot be read, a database
/// that fails.
fn add_common_answers(document: &mut utoipa::openapi::OpenApi) {
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post, &mut item.put, &mut item.delete].into_iter().flatten() {
            let has_body = operation.request_body.is_some();
            let is_read = has_body || takes(operation, &ParameterIn::Query) || takes(operation, &ParameterIn::Header);
            for (can_be, status, description) in [
                (is_read, "400", "What was sent cannot be read"),
                (takes(operation, &ParameterIn::Path), "404", "It is not there, or not yours"),
                (has_body, "413", "The body is too large"),
                (has_body, "415", "The body is not declared as JSON"),
                (has_body, "422", "The body can be read, and says something that cannot be done"),
                (true, "429", "Too often: see `Retry-After`"),
                (true, "503", "Nothing was changed: try again later, see `Retry-After`"),
            ] {
                if can_be {
                    operation.responses.responses.entry(status.to_owned()).or_insert_with(|| failure(description));
                }
            }
        }
    }
}

fn takes(operation: &Operation, place: &ParameterIn) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == *place))
}

fn failure(description: &str) -> RefOr<Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(FailureBody::name()))).build();
    ResponseBuilder::new().description(description).content("application/json", content).build().into()
}

fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(log_in))
        .routes(routes!(register))
        .routes(routes!(add_admin))
        .routes(routes!(health))
        .merge(orders::routes())
        .merge(payments::routes())
        .merge(payouts::routes())
        .merge(suppliers::routes())
        .merge(refunds::routes())
}

/// All routes but the callbacks.
pub(crate) fn routes(app: &App) -> Router {
    let (api, mut document) = documented().split_for_parts();
    add_common_answers(&mut document);
    let viewer = SwaggerUi::new("/docs").config(Config::from("/api/openapi.json").validator_url("none"));
    api.merge(Router::from(viewer).layer(axum::middleware::from_fn(relax)))
        .route("/api/openapi.json", get(move || async move { Json(document) }))
        .merge(pages::routes())
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

/// A token for whoever logged in.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct LoggedIn {
    /// Send it as `Authorization: Bearer …`.
    token: String,
    /// Seconds.
    expires_in: i64,
    role: Role,
}

/// Logs in.
#[utoipa::path(post, path = "/api/auth/login", tag = "log-in", request_body = LogIn, security(()),
    responses((status = 200, body = Reply<LoggedIn>), Unauthorized, Limited, Invalid))]
async fn log_in(
    State(app): State<App>,
    axum::Extension(Client(client)): axum::Extension<Client>,
    Body(body): Body<LogIn>,
) -> Answer<LoggedIn> {
    app.limits.log_in(client)?;
    let (id, role) = auth::log_in(&app.db, &body.email, &body.password).await?;
    let token = app.tokens.issue(&id, role, Audience::Api)?;
    Ok(Reply::new("Logged in", LoggedIn { token, expires_in: auth::LIFE, role }))
}

/// Somebody new.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewUser {
    #[schema(example = "amina@shop.example", max_length = 200)]
    email: String,
    /// 12 to 200 characters.
    #[schema(min_length = 12, max_length = 200)]
    password: String,
}

/// Somebody who can log in.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Person {
    id: String,
    email: String,
    role: Role,
}

async fn add_person(app: &App, new: &NewUser, role: Role, maker: Option<&Admin>) -> Answer<Person> {
    let email = text("email", &new.email, 200)?.to_lowercase();
    let is_address = email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
    if !is_address || email.contains(char::is_whitespace) {
        return Err(Failure::invalid("INVALID_EMAIL", "This is no email address."));
    }
    if !(12..=200).contains(&new.password.chars().count()) {
        return Err(Failure::invalid("INVALID_PASSWORD", "A password has 12 to 200 characters."));
    }
    let id = new_id();
    if !auth::add_made_by(&app.db, &id, &email, &new.password, role, maker).await? {
        return Err(Failure::conflict("EMAIL_TAKEN", "Somebody has this email address already: log in."));
    }
    tracing::info!(event = "user.added", user = id, role = role.as_str(), "somebody can log in now");
    Ok(Reply::new("Added", Person { id, email, role }).with_status(StatusCode::CREATED))
}

/// Registers a customer.
#[utoipa::path(post, path = "/api/auth/register", tag = "log-in", request_body = NewUser, security(()),
    responses((status = 201, body = Reply<Person>), Conflict, Limited, Invalid))]
async fn register(
    State(app): State<App>,
    axum::Extension(Client(client)): axum::Extension<Client>,
    Body(body): Body<NewUser>,
) -> Answer<Person> {
    app.limits.log_in(client)?;
    add_person(&app, &body, Role::Customer, None).await
}

/// Adds an admin, who cannot approve what whoever added it asks for, and not the other way round.
#[utoipa::path(post, path = "/api/admins", tag = "admin", request_body = NewUser,
    responses((status = 201, body = Reply<Person>), Unauthorized, Forbidden, Conflict, Invalid))]
async fn add_admin(State(app): State<App>, admin: Admin, Body(body): Body<NewUser>) -> Answer<Person> {
    add_person(&app, &body, Role::Admin, Some(&admin)).await
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
    let (status, message) =
        if ready { (StatusCode::OK, "Ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "Not ready") };
    Reply { success: ready, ..Reply::new(message, Health { live: true, ready }).with_status(status) }
}
