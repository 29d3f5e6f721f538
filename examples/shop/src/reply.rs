//! The envelope of every answer, and the one type of failure.

use std::borrow::Cow;

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::JsonRejection},
    http::{HeaderValue, StatusCode, header::RETRY_AFTER, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

/// A success: `{"success": true, "message": …, "data": …}`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Reply<T> {
    /// Always true.
    pub(crate) success: bool,
    /// For people.
    pub(crate) message: String,
    /// What was asked for.
    pub(crate) data: T,
    #[serde(skip, default)]
    pub(crate) status: Status,
}

/// The HTTP status of a success; 200 unless set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status(pub(crate) StatusCode);

impl Default for Status {
    fn default() -> Self {
        Self(StatusCode::OK)
    }
}

impl<T> Reply<T> {
    pub(crate) fn new(message: impl Into<String>, data: T) -> Self {
        Self { success: true, message: message.into(), data, status: Status::default() }
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Status(status);
        self
    }
}

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        (self.status.0, Json(self)).into_response()
    }
}

/// What a handler gives.
pub(crate) type Answer<T> = Result<Reply<T>, Failure>;

/// A failure as it goes out: nothing in it is a secret or a stack trace.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: Cow<'static, str>,
    /// Seconds.
    pub(crate) retry_after: Option<u64>,
}

/// A failure: `{"success": false, "message": …, "code": …, "data": null}`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FailureBody {
    /// Always false.
    success: bool,
    /// For people: what failed, and what to do next.
    message: String,
    /// For programs: it does not change.
    #[schema(example = "ORDER_NOT_FOUND")]
    code: String,
    /// Always null.
    #[schema(value_type = Option<String>)]
    data: Option<()>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    pub(crate) fn not_found(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(crate) fn conflict(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// The body can be read, and says something that cannot be done.
    pub(crate) fn invalid(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body =
            FailureBody { success: false, message: self.message.into_owned(), code: self.code.to_owned(), data: None };
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The database failed: the log says how, the client hears that it may try again. What was to be written was not.
impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        tracing::error!(event = "database.failed", %error, "the database failed");
        let message = "Something went wrong on our side. Nothing was changed: try again in a moment.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "TRY_AGAIN", message).retry_after(5)
    }
}

/// A JSON body; whatever is wrong with it is told in the envelope.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(JsonRejection::JsonDataError(error)) => {
                let message = format!("The body does not fit: {}", reason(&error.body_text()));
                Err(Failure::invalid("INVALID_BODY", message))
            }
            Err(rejection) => {
                let (status, code) = match rejection.status() {
                    StatusCode::PAYLOAD_TOO_LARGE => (StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE"),
                    StatusCode::UNSUPPORTED_MEDIA_TYPE => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "NOT_JSON"),
                    _ => (StatusCode::BAD_REQUEST, "MALFORMED_BODY"),
                };
                let message = match status {
                    StatusCode::PAYLOAD_TOO_LARGE => "The body is too large.",
                    StatusCode::UNSUPPORTED_MEDIA_TYPE => "Send JSON, with Content-Type: application/json.",
                    _ => "The body is no JSON.",
                };
                Err(Failure::new(status, code, message))
            }
        }
    }
}

/// What axum says, without its own introduction.
fn reason(text: &str) -> String {
    let text = text.split_once(": ").map_or(text, |(_, reason)| reason);
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The query part of a URL.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(query)| Self(query))
            .map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "INVALID_QUERY", "A parameter of the URL does not fit."))
    }
}

/// An id in the path of a URL. What is no id names nothing.
pub(crate) struct Id(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|Path(text)| id(&text));
        id.map(Self).ok_or_else(|| Failure::not_found("NOT_FOUND", "There is nothing under this URL."))
    }
}

/// An id as the tables have it, or nothing if it cannot be one.
pub(crate) fn id(text: &str) -> Option<String> {
    uuid::Uuid::try_parse(text).ok().map(|id| id.to_string())
}

/// A text that a person wrote: without blanks around it, 1 to `most` characters, none of them a control character.
pub(crate) fn text(what: &str, given: &str, most: usize) -> Result<String, Failure> {
    let text = given.trim();
    let fits = (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    let message = || format!("{what} must have 1 to {most} characters on one line.");
    if fits { Ok(text.to_owned()) } else { Err(Failure::invalid("INVALID_TEXT", message())) }
}

/// Which part of a list.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// The first is 1.
    #[serde(default = "first")]
    #[param(minimum = 1, default = 1)]
    pub(crate) page: u32,
    /// 1 to 100.
    #[serde(default = "usual")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub(crate) per_page: u32,
}

fn first() -> u32 {
    1
}

fn usual() -> u32 {
    20
}

impl Page {
    /// What SQL calls limit and offset.
    pub(crate) fn limits(self) -> Result<(i64, i64), Failure> {
        if self.page == 0 || !(1..=100).contains(&self.per_page) {
            let message = "page begins at 1, and per_page is 1 to 100.";
            return Err(Failure::new(StatusCode::BAD_REQUEST, "INVALID_QUERY", message));
        }
        let (page, per_page) = (i64::from(self.page), i64::from(self.per_page));
        Ok((per_page, page.saturating_sub(1).saturating_mul(per_page)))
    }
}

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    pub(crate) items: Vec<T>,
    pub(crate) page: u32,
    pub(crate) per_page: u32,
    /// How many there are in all.
    pub(crate) total: i64,
}

impl<T> List<T> {
    pub(crate) fn new(items: Vec<T>, page: Page, total: i64) -> Self {
        Self { items, page: page.page, per_page: page.per_page, total }
    }
}
