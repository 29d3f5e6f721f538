//! What can go wrong, staged by how far a call got, because that decides what happened to the money.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use http::StatusCode;

use crate::{code::ErrorCode, retry::Class, transport::TransportError};

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, staged by how far the call got.
///
/// Three questions decide what to do, and each has a predicate:
///
/// * [`outcome_unknown`](Self::outcome_unknown): money may have moved. Do not send again; find out.
/// * [`is_retryable`](Self::is_retryable): provably nothing happened, and trying again later may work.
/// * neither: provably nothing happened, and the same call will fail again.
///
/// ```
/// # fn decide(error: daraja::Error) -> &'static str {
/// match error {
///     error if error.outcome_unknown() => "reconcile",
///     error if error.is_retryable() => "requeue",
///     _ => "give up",
/// }
/// # }
/// # let invalid = "0812".parse::<daraja::Msisdn>().unwrap_err();
/// # assert_eq!(decide(invalid.into()), "give up");
/// ```
///
/// `Display` speaks of its own level only; walk [`source`](std::error::Error::source) for the rest. No message holds a
/// secret, a bearer token or a full phone number.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value is not acceptable. Nothing was sent.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Settings are missing or wrong. Nothing was sent.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No access token could be had, so the call itself was never sent. The source says why.
    #[error("no access token could be fetched, so the call was not sent")]
    Token(#[source] Box<Self>),
    /// No answer was read. Unless wrapped in [`Unknown`](Self::Unknown), nothing was carried out.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// An answer came that cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Daraja refused the call.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A wait reached its deadline before the payment was settled. The customer may still pay.
    #[error(transparent)]
    StillPending(Box<StillPending>),
    /// The call may have been carried out. Never send it again as a new one: find out what became of it.
    #[error("the outcome is unknown: the call may have been carried out, so reconcile and do not send it again")]
    Unknown(#[source] Box<Self>),
}

impl Error {
    /// Whether money may have moved, or may still move, without this program knowing.
    ///
    /// True for exactly [`Unknown`](Self::Unknown) and [`StillPending`](Self::StillPending).
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::StillPending(_))
    }

    /// Whether the call was provably not carried out and is worth another try, after [`retry_after`](Self::retry_after)
    /// where that is given.
    ///
    /// Never true together with [`outcome_unknown`](Self::outcome_unknown).
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Token(inner) => inner.is_retryable(),
            Self::Transport(error) => error.kind().is_passing(),
            // Unwrapped, these two come from a call that moves no money, or from a refusal by name.
            Self::Decode(error) => error.status().is_some_and(|status| status.is_server_error()),
            Self::Api(error) => error.is_retryable(),
            Self::Invalid(_) | Self::Config(_) | Self::StillPending(_) | Self::Unknown(_) => false,
        }
    }

    /// Whether time ran out, at any level. With [`outcome_unknown`](Self::outcome_unknown) the call may have been carried out.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Transport(error) => error.is_timeout(),
            Self::Token(inner) | Self::Unknown(inner) => inner.is_timeout(),
            Self::StillPending(_) => true,
            _ => false,
        }
    }

    /// Whether Daraja asked to slow down. A throttled call was not carried out, but an earlier attempt of the same
    /// `send` may have been: ask [`outcome_unknown`](Self::outcome_unknown) first.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        self.api().is_some_and(ApiError::is_throttled)
    }

    /// How long Daraja asked to wait before the next call, if it did.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.api().and_then(ApiError::retry_after)
    }

    /// Daraja's refusal, at whatever level it stands.
    #[must_use]
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            Self::Token(inner) | Self::Unknown(inner) => inner.api(),
            Self::StillPending(error) => error.last_error().and_then(Self::api),
            _ => None,
        }
    }

    pub(crate) fn still_pending(waited: Duration, last_error: Option<Self>) -> Self {
        Self::StillPending(Box::new(StillPending::new(waited, last_error)))
    }

    pub(crate) fn unknown(self) -> Self {
        match self {
            Self::Unknown(_) => self,
            other => Self::Unknown(Box::new(other)),
        }
    }
}

/// A value that Daraja would refuse, or that this crate refuses to send. It names the cause and shows the input masked.
///
/// ```
/// let error = "0712 345".parse::<daraja::Msisdn>().unwrap_err();
/// assert!(error.to_string().starts_with("invalid phone number"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(Box<InvalidParts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct InvalidParts {
    what: &'static str,
    input: Option<Box<str>>,
    reason: Cow<'static, str>,
}

impl Invalid {
    /// Names what is wrong and why. For checks of an [`Operation`](crate::Operation) of your own.
    ///
    /// ```
    /// let error = daraja::error::Invalid::new("invoice number", "12 digits are expected");
    /// assert_eq!(error.to_string(), "invalid invoice number: 12 digits are expected");
    /// ```
    #[must_use]
    pub fn new(what: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(InvalidParts { what, input: None, reason: reason.into() }))
    }

    /// Adds the input, masked: its first four and last two letters or digits stay readable.
    #[must_use]
    pub fn with_input(mut self, input: &str) -> Self {
        self.0.input = Some(mask(input).into());
        self
    }

    /// What kind of value was wrong, such as `phone number`.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.0.what
    }

    /// Why it was refused.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.reason
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InvalidParts { what, input, reason } = &*self.0;
        match input {
            Some(input) => write!(f, "invalid {what} {input:?}: {reason}"),
            None => write!(f, "invalid {what}: {reason}"),
        }
    }
}

impl std::error::Error for Invalid {}

/// Settings that are missing or wrong, all of them at once. Values are never shown.
///
/// ```
/// let error = daraja::Settings::from_lookup(|_| None).unwrap_err();
/// assert!(error.to_string().contains("MPESA_CONSUMER_KEY"));
/// assert!(error.to_string().contains("MPESA_CONSUMER_SECRET"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Box<[ConfigProblem]>);

/// One setting that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigProblem {
    /// The setting's name, such as `MPESA_SHORTCODE`.
    pub name: Cow<'static, str>,
    /// What is wrong with it and what to do, without its value.
    pub problem: Cow<'static, str>,
}

impl ConfigProblem {
    pub(crate) fn new(name: impl Into<Cow<'static, str>>, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), problem: problem.into() }
    }
}

impl ConfigError {
    pub(crate) fn new(problems: Vec<ConfigProblem>) -> Self {
        Self(problems.into())
    }

    pub(crate) fn one(name: impl Into<Cow<'static, str>>, problem: impl Into<Cow<'static, str>>) -> Self {
        Self::new(vec![ConfigProblem::new(name, problem)])
    }

    /// Every problem that was found, in the order of the documentation.
    #[must_use]
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.0
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("configuration: ")?;
        for (index, ConfigProblem { name, problem }) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{name} {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// An answer or a callback that cannot be read. It holds a short, redacted piece of it.
///
/// ```
/// let error = daraja::stk::StkCallback::parse(b"<html>busy</html>").unwrap_err();
/// assert_eq!(error.to_string(), "the callback is not JSON: <html>busy</html>");
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
    code: Option<ErrorCode>,
    message: Box<str>,
    request_id: Option<Box<str>>,
    retry_after: Option<Duration>,
    after_unknown: bool,
    hint: Option<&'static str>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: Option<ErrorCode>, message: &str) -> Self {
        Self(Box::new(ApiParts {
            status,
            code,
            message: redact(message, 240).into(),
            request_id: None,
            retry_after: None,
            after_unknown: false,
            hint: None,
        }))
    }

    pub(crate) fn with_request_id(mut self, id: Option<&str>) -> Self {
        self.0.request_id = id.filter(|id| !id.is_empty()).map(|id| mask_request_id(id).into());
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

    /// The id that Safaricom's support asks for. A CheckoutRequestID in its place is masked: it holds the payer's number.
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
        self.class() == Class::Throttled
    }

    /// Whether the access token was refused: it died early, or the app lacks the product.
    #[must_use]
    pub fn is_token_refused(&self) -> bool {
        self.class() == Class::TokenRefused
    }

    /// Whether the subscriber's line is busy with another prompt. Try again after a minute or more.
    #[must_use]
    pub fn is_subscriber_busy(&self) -> bool {
        self.message().starts_with("Unable to lock subscriber")
    }

    fn is_retryable(&self) -> bool {
        match self.class() {
            Class::Throttled => true,
            Class::TokenRefused => false,
            Class::Refused => self.is_subscriber_busy(),
            Class::Unclear => {
                self.status().is_server_error()
                    || self.code().and_then(ErrorCode::group).is_some_and(|group| group >= 500)
            }
        }
    }

    pub(crate) fn class(&self) -> Class {
        Class::of(self.0.status, self.0.code.as_ref(), &self.0.message)
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiError")
            .field("status", &self.0.status.as_u16())
            .field("code", &self.0.code)
            .field("message", &self.0.message)
            .field("request_id", &self.0.request_id)
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
            write!(f, ", request {id}")?;
        }
        f.write_str(")")?;
        if !message.is_empty() {
            write!(f, ": {message}")?;
        }
        hint.map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

impl std::error::Error for ApiError {}

/// A wait that reached its deadline before the payment was settled.
///
/// Nothing is known: the customer may have paid, or may still pay. Do not ask for the money again before it is.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the payment was not settled within {waited:?}: it may still be paid, so do not ask for it again yet")]
pub struct StillPending {
    waited: Duration,
    #[source]
    last_error: Option<Box<Error>>,
}

impl StillPending {
    pub(crate) fn new(waited: Duration, last_error: Option<Error>) -> Self {
        Self { waited, last_error: last_error.map(Box::new) }
    }

    /// How long was waited.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// The error of the last query, if it failed.
    #[must_use]
    pub fn last_error(&self) -> Option<&Error> {
        self.last_error.as_deref()
    }
}

/// Shows the first four and last two letters or digits of an input, at most 24 characters in all.
pub(crate) fn mask(input: &str) -> String {
    let total = input.chars().filter(|c| c.is_alphanumeric()).count();
    let mut seen = 0_usize;
    let mut shown = String::new();
    for (position, c) in input.chars().enumerate() {
        if position == 24 {
            shown.push('…');
            break;
        }
        let hidden = c.is_alphanumeric() && {
            seen = seen.saturating_add(1);
            seen > 4 && seen.saturating_add(2) <= total
        };
        shown.push(if hidden { '*' } else { c });
    }
    shown
}

/// Shortens a text that came from outside and blanks what could be a token, an id that holds a number, or a number.
pub(crate) fn redact(text: &str, limit: usize) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-');
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() && out.len() < limit {
        let run = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(run);
        out.push_str(if is_sensitive(word) { "[redacted]" } else { word });
        let mut after = tail.chars();
        out.extend(after.next().map(|c| if c.is_control() { ' ' } else { c }));
        rest = after.as_str();
    }
    if out.chars().count() > limit {
        out = out.chars().take(limit).collect();
    }
    if out.len() < text.len() && !rest.is_empty() {
        out.push('…');
    }
    out
}

/// Long words with a digit are tokens, credentials or ids; runs of nine digits and more are phone numbers.
fn is_sensitive(word: &str) -> bool {
    longest_number(word) >= SHORTEST_NUMBER || (word.len() >= 20 && word.bytes().any(|byte| byte.is_ascii_digit()))
}

/// A phone number's national part.
const SHORTEST_NUMBER: usize = 9;

fn longest_number(text: &str) -> usize {
    text.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0)
}

/// A CheckoutRequestID can stand here, which ends in the payer's number: it is cut behind its date.
fn mask_request_id(id: &str) -> String {
    const KEPT: usize = 14; // `ws_CO_` and the date
    let clean: String = id.chars().filter(|c| !c.is_control()).take(64).collect();
    if clean.get(..3).is_some_and(|prefix| prefix.eq_ignore_ascii_case("ws_")) {
        clean.chars().take(KEPT).chain(['…']).collect()
    } else if longest_number(&clean) >= SHORTEST_NUMBER {
        mask(&clean)
    } else {
        clean
    }
}

/// A source that can be cloned, because all callers who waited for one token share its error.
pub(crate) type SharedError = Arc<dyn std::error::Error + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_at_most_three_words() {
        assert!(size_of::<Error>() <= 3 * size_of::<usize>());
    }

    #[test]
    fn masking_keeps_the_ends_only() {
        assert_eq!(mask("0712 345 678"), "0712 *** *78");
        assert_eq!(mask("07123"), "07123");
        assert_eq!(mask(&"9".repeat(40)), format!("9999{}…", "*".repeat(20)));
    }

    #[test]
    fn redaction_blanks_tokens_numbers_and_ids() {
        let text = "Invalid Access Token - BJGFGQXV5aZn9QKA4TDtu4Xdyf for 254708374149, ws_CO_180920261803512708374149";
        assert_eq!(redact(text, 240), "Invalid Access Token - [redacted] for [redacted], [redacted]");
        assert_eq!(redact("Bad Request - Invalid Amount", 240), "Bad Request - Invalid Amount");
        assert_eq!(redact(&"x y ".repeat(100), 10).chars().count(), 11);
    }

    #[test]
    fn a_checkout_request_id_is_cut_before_the_number() {
        assert_eq!(mask_request_id("ws_CO_180920261803512708374149"), "ws_CO_18092026…");
        assert_eq!(mask_request_id("1c5b-4ba8-815c-ac45c57a3db0"), "1c5b-4ba8-815c-ac45c57a3db0");
        assert_eq!(mask_request_id("29115-34620561-1"), "29115-34620561-1");
        assert_eq!(mask_request_id("254708374149"), "2547******49");
    }
}
