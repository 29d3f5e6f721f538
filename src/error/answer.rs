//! What is wrong with what came back: answers that cannot be read, and refusals.

use std::{borrow::Cow, fmt, time::Duration};

use http::StatusCode;

use super::{
    redact::{is_unseen, mask_id, redact},
    refusal::{Found, NamedRefusal, RefusalKind, Signs},
};
use crate::code::ErrorCode;

/// An answer or a callback that cannot be read. It holds a short, redacted piece of it.
///
/// ```
/// let error = daraja::stk::StkCallback::parse(b"<html>busy</html>").unwrap_err();
/// assert_eq!(error.to_string(), "the callback is not JSON (line 1, column 1): <html>busy</html>");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError(Box<DecodeParts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct DecodeParts {
    status: Option<StatusCode>,
    problem: Cow<'static, str>,
    snippet: Box<str>,
}

impl DecodeError {
    pub(crate) fn new(status: Option<StatusCode>, problem: impl Into<Cow<'static, str>>, body: &str) -> Self {
        let snippet = redact(body.trim(), 120).into();
        Self(Box::new(DecodeParts { status, problem: problem.into(), snippet }))
    }

    /// The HTTP status of the answer; `None` for a callback.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.0.problem
    }

    /// The beginning of what came, at most 120 characters, redacted.
    #[must_use]
    pub fn snippet(&self) -> &str {
        &self.0.snippet
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DecodeParts { status, problem, snippet } = &*self.0;
        match status {
            Some(status) => write!(f, "Daraja's answer (HTTP {}) {problem}", status.as_u16())?,
            None => write!(f, "the callback {problem}")?,
        }
        if snippet.is_empty() { Ok(()) } else { write!(f, ": {snippet}") }
    }
}

impl std::error::Error for DecodeError {}

/// Daraja's refusal: HTTP status, error code, message and request id.
///
/// Quote the [`request_id`](Self::request_id) to Safaricom's support.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiError(Box<ApiParts>);

#[derive(Clone, PartialEq, Eq)]
struct ApiParts {
    status: StatusCode,
    kind: RefusalKind,
    named: Option<NamedRefusal>,
    code: Option<ErrorCode>,
    message: Box<str>,
    request_id: Option<Box<str>>,
    retry_after: Option<Duration>,
    after_unknown: bool,
    hint: Option<&'static str>,
}

impl ApiError {
    pub(crate) fn new(
        status: StatusCode,
        found: Found,
        code: Option<ErrorCode>,
        message: &str,
        is_acceptance: bool,
    ) -> Self {
        let signs = Signs { status, found, code: code.as_ref(), words: message, is_acceptance };
        let (kind, named) = (RefusalKind::of(signs), signs.named());
        Self(Box::new(ApiParts {
            status,
            kind,
            named,
            code,
            message: redact(message, 240).into(),
            request_id: None,
            retry_after: None,
            after_unknown: false,
            hint: named.and_then(NamedRefusal::hint),
        }))
    }

    pub(crate) fn with_request_id(mut self, id: Option<&str>) -> Self {
        let shown = |id: &str| id.chars().filter(|c| !is_unseen(*c)).take(128).collect();
        self.0.request_id = id.filter(|id| !id.is_empty()).map(shown);
        self
    }

    pub(crate) fn with_retry_after(mut self, pause: Option<Duration>) -> Self {
        self.0.retry_after = pause;
        self
    }

    pub(crate) fn with_after_unknown(mut self, after_unknown: bool) -> Self {
        self.0.after_unknown = after_unknown;
        self
    }

    pub(crate) fn with_hint(mut self, hint: &'static str) -> Self {
        self.0.hint = Some(hint);
        self
    }

    /// A hint that says more than this one is kept.
    pub(crate) fn with_hint_unless_named(mut self, hint: &'static str) -> Self {
        self.0.hint.get_or_insert(hint);
        self
    }

    /// The HTTP status. It says little: Daraja answers a pending payment with 500.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Daraja's error code, or the `ResponseCode` of an answer that is not a success.
    #[must_use]
    pub fn code(&self) -> Option<&ErrorCode> {
        self.0.code.as_ref()
    }

    /// Daraja's message, redacted: it can echo the bearer token.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The id that Safaricom's support asks for, as Daraja gave it. It can be a CheckoutRequestID, which ends in the payer's
    /// phone number: `Display` and `Debug` mask that number.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// How long Daraja asked to wait, if it did.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether an earlier attempt of the same `send` may have been carried out, so that this answer may be about it.
    #[must_use]
    pub fn after_unknown(&self) -> bool {
        self.0.after_unknown
    }

    /// Whether Daraja asked to slow down; the call was not carried out.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        self.kind() == RefusalKind::Throttled
    }

    /// Whether the access token was refused: it died early, or the app lacks the product.
    #[must_use]
    pub fn is_token_refused(&self) -> bool {
        self.kind() == RefusalKind::TokenRefused
    }

    /// Whether the subscriber's line is busy with another prompt. Try again after a minute or more.
    #[must_use]
    pub fn is_subscriber_busy(&self) -> bool {
        self.0.named == Some(NamedRefusal::SubscriberBusy)
    }

    /// Whether a payout was refused because its id had been used before: for this very payout or, if the id was not unique,
    /// for another one. Ask with a [`TransactionStatusQuery`](crate::TransactionStatusQuery); never take a new id for it.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        self.0.named == Some(NamedRefusal::DuplicateId)
    }

    pub(super) fn is_retryable(&self) -> bool {
        match self.kind() {
            RefusalKind::Throttled => true,
            RefusalKind::TokenRefused => false,
            RefusalKind::Refused => self.is_subscriber_busy(),
            RefusalKind::Unclear => {
                self.status().is_server_error()
                    || self.code().and_then(ErrorCode::group).is_some_and(|group| group >= 500)
            }
        }
    }

    pub(crate) fn kind(&self) -> RefusalKind {
        self.0.kind
    }

    /// Whether the app has no access to this API: a new token changes that only if the product was added meanwhile.
    pub(crate) fn lacks_product(&self) -> bool {
        self.is_token_refused() && self.message().to_ascii_lowercase().contains("no apiproduct match")
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiError")
            .field("status", &self.0.status.as_u16())
            .field("code", &self.0.code)
            .field("message", &self.0.message)
            .field("request_id", &self.request_id().map(mask_id))
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ApiParts { status, code, message, request_id, hint, .. } = &*self.0;
        write!(f, "Daraja refused the call (HTTP {}", status.as_u16())?;
        if let Some(code) = code {
            write!(f, ", {code}")?;
        }
        if let Some(id) = request_id {
            write!(f, ", request {}", mask_id(id))?;
        }
        f.write_str(")")?;
        if !message.is_empty() {
            write!(f, ": {message}")?;
        }
        hint.map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

impl std::error::Error for ApiError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_what_it_holds_and_is_no_other() {
        let error = ApiError::new(
            StatusCode::BAD_REQUEST,
            Found::Error,
            Some("400.002.02".into()),
            "Bad Request - Invalid Amount",
            false,
        );
        // As Daraja gave it, though a part of it looks like a phone number; such a number is masked where it is shown.
        for id in ["29115-34620561-1", "5118-111210482-1", "ws_CO_180920261803512708374149"] {
            let error = error.clone().with_request_id(Some(id));
            assert_eq!(error.request_id(), Some(id));
            assert!(!format!("{error} {error:?}").contains("708374149"), "{error}");
        }
        assert_eq!(error.clone().with_request_id(Some("")).request_id(), None);
        assert_eq!(error.message(), "Bad Request - Invalid Amount");
        assert!(!error.is_throttled() && !error.is_token_refused() && !error.is_subscriber_busy());
        assert!(!error.is_duplicate());
        let shown = "Daraja refused the call (HTTP 400, 400.002.02): Bad Request - Invalid Amount";
        assert_eq!(error.to_string(), shown);
    }

    #[test]
    fn an_answer_that_cannot_be_read_shows_its_beginning() {
        let error = DecodeError::new(Some(StatusCode::OK), "is not JSON", " <html>busy</html> ");
        assert_eq!((error.problem(), error.snippet()), ("is not JSON", "<html>busy</html>"));
        assert_eq!(error.to_string(), "Daraja's answer (HTTP 200) is not JSON: <html>busy</html>");
    }
}
