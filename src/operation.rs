//! What a call is: its path, its body, whether it may be repeated, and how its answer is read.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use crate::{
    Environment, Limits, Result, Timestamp,
    code::ErrorCode,
    error::{ApiError, DecodeError, Error, Found, holds_acceptance},
    retry::retry_after,
    secret::ConsumerSecret,
    token::Live,
    wire::{Head, MalformedJson},
};

/// The portal, or a proxy's page for logging in, answered in Daraja's place.
const WEB_PAGE: &str = "is a web page, not an answer of an API: check MPESA_BASE_URL";

mod not_after;

pub use not_after::NotAfter;

/// One call of the Daraja API. [`Client::send`](crate::Client::send) executes it.
///
/// The crate's own requests implement it, and yours can: an API that this crate does not know needs no fork.
///
/// ```
/// use daraja::{Answer, Operation, Repeat, Result, Timestamp, simulator::Simulator};
///
/// /// M-PESA's Dynamic QR, which this crate does not know yet.
/// struct DynamicQr { merchant_name: String, amount: u32, till: String }
///
/// #[derive(serde::Serialize)]
/// #[serde(rename_all = "PascalCase")]
/// struct Body<'a> {
///     merchant_name: &'a str,
///     ref_no: &'a str,
///     amount: u32,
///     trx_code: &'a str,
///     #[serde(rename = "CPI")]
///     cpi: &'a str,
///     size: &'a str,
/// }
///
/// #[derive(serde::Deserialize)]
/// struct QrCode { #[serde(rename = "QRCode")] png_base64: String }
///
/// impl Operation for DynamicQr {
///     type Response = QrCode;
///
///     fn path(&self) -> &str { "/mpesa/qrcode/v1/generate" }
///
///     // A QR code moves no money.
///     fn repeat(&self) -> Repeat { Repeat::Safe }
///
///     fn body(&self, _now: Timestamp) -> impl serde::Serialize + Send {
///         Body {
///             merchant_name: &self.merchant_name,
///             ref_no: "Invoice",
///             amount: self.amount,
///             trx_code: "BG",
///             cpi: &self.till,
///             size: "300",
///         }
///     }
///
///     fn decode(&self, answer: &Answer) -> Result<QrCode> { answer.json() }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let simulator = Simulator::new();
/// let qr = DynamicQr { merchant_name: "Duka".into(), amount: 500, till: "373132".into() };
/// // The simulator does not know it either, and says so as Daraja would.
/// let error = simulator.client().send(&qr).await.map(|qr| qr.png_base64).unwrap_err();
/// assert_eq!(error.api().unwrap().status(), 404);
/// # Ok(())
/// # }
/// ```
pub trait Operation: Sync {
    /// What a success is read into.
    type Response;

    /// The path below the environment's base URL, beginning with `/`. It is logged.
    fn path(&self) -> &str;

    /// What may happen after a failure. When in doubt: [`Repeat::Never`].
    fn repeat(&self) -> Repeat;

    /// Which budget of the client it draws on: [`Rate::Unlimited`], unless it is overridden.
    fn rate(&self) -> Rate {
        Rate::Unlimited
    }

    /// Until when it may leave. `None`, unless it is overridden: as long as the [`timeout`] of a call allows, and what is
    /// [`Deduplicated`](Repeat::Deduplicated) not again later than ten minutes after the first try that may have been
    /// carried out.
    ///
    /// A payment that another worker may take over, or of which Daraja recognises the id for a shorter time, has to say so
    /// here: see [`NotAfter`].
    ///
    /// [`timeout`]: crate::client::ClientBuilder::timeout
    fn not_after(&self) -> Option<NotAfter> {
        None
    }

    /// What it is about, for the span and the log lines of the call: an id by which a payment can be found, such as an
    /// attempt's reference. No secret and no full phone number. `None`, unless it is overridden.
    fn about(&self) -> Option<Cow<'_, str>> {
        None
    }

    /// Refuses what Daraja would refuse, before anything is sent.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], usually.
    fn check(&self, _rules: &Rules) -> Result<()> {
        Ok(())
    }

    /// The JSON body. Each attempt is stamped with its own `now`: it feeds a password and its timestamp alike.
    fn body(&self, now: Timestamp) -> impl Serialize + Send;

    /// Whether a `ResponseCode` says that the call was accepted. All zeros do by default; some APIs say `1000` or `200`.
    fn is_accepted(&self, response_code: &str) -> bool {
        !response_code.is_empty() && response_code.bytes().all(|byte| byte == b'0')
    }

    /// In which shape this API refuses: [`Envelope::Standard`], unless it is overridden.
    fn envelope(&self) -> Envelope {
        Envelope::Standard
    }

    /// Reads a success: the status is 2xx, there is no error code, and the `ResponseCode`, if any, is accepted.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] if the answer cannot be read. For a call that moves money that means: outcome unknown.
    fn decode(&self, answer: &Answer) -> Result<Self::Response>;

    /// Reads a refusal that is an answer all the same, as a query's "being processed" is. Token refusals and throttling
    /// never come here.
    ///
    /// # Errors
    ///
    /// The refusal itself, by default.
    fn fault(&self, refusal: ApiError) -> Result<Self::Response> {
        Err(Error::Api(refusal))
    }
}

/// What may be done after an attempt of which it is not known whether it was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Repeat {
    /// The call moves no money and rings no phone: repeat it freely.
    Safe,
    /// Daraja recognises the repeat by the caller's own id: repeat it with the same id, within ten minutes or what
    /// [`Operation::not_after`] allows, however long the call may take.
    Deduplicated,
    /// The call moves money or rings a phone: after an unclear attempt, stop and say that the outcome is unknown.
    Never,
}

/// In which shape an API refuses.
///
/// ```
/// use daraja::{Answer, Operation, Repeat, Result, Timestamp, operation::Envelope};
///
/// /// Creates a standing order. It answers `{"ResponseHeader":{"responseCode":"200",…}}`.
/// struct StandingOrder;
///
/// impl Operation for StandingOrder {
///     type Response = ();
///     fn path(&self) -> &str { "/standingorder/v1/createStandingOrderExternal" }
///     fn repeat(&self) -> Repeat { Repeat::Never }
///     fn envelope(&self) -> Envelope { Envelope::Own }
///     fn body(&self, _now: Timestamp) -> impl serde::Serialize + Send {}
///     fn decode(&self, _answer: &Answer) -> Result<()> { Ok(()) }
/// }
/// assert_eq!(StandingOrder.envelope(), Envelope::Own);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Envelope {
    /// By `errorCode` or `ResponseCode`. A code under any other name proves nothing: a proxy may have written it.
    Standard,
    /// By a code that only this API has, such as `responseCode` in Ratiba, `rescode` in Bill Manager, or the one in a
    /// `header` in Bonga. With HTTP 400, 401, 403, 404, 405, 410, 415 or 422 it is a refusal, unless it is the code of a
    /// success, of a timeout or of a conflict.
    Own,
}

/// Which budget of the client a call draws on. Daraja counts the calls of an app, and refuses those that come too fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rate {
    /// None: no limit is known.
    Unlimited,
    /// That of all STK queries of the client and its clones: one each
    /// [`query_spacing`](crate::client::ClientBuilder::query_spacing), for each try. A call that gets no turn within its
    /// [`timeout`](crate::client::ClientBuilder::timeout) fails with [`Error::TooLate`], and nothing was sent.
    StkQueries,
}

/// What requests are checked against before anything is sent: the environment and the limits, as data.
///
/// ```
/// use daraja::{Client, Credentials, Environment, Limits, Rules, Shillings};
///
/// let lower = Limits::default().with_stk(Shillings::new(1)?..=Shillings::new(70_000)?);
/// let rules = Rules::default().with_limits(lower);
/// let client = Client::builder(Environment::Sandbox, Credentials::new("key", "secret")).rules(rules).build()?;
/// assert_eq!(client.rules().limits(), lower);
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    environment: Environment,
    limits: Limits,
    lines: Lines,
}

/// Which numbers can be prompted or paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lines {
    MobileOnly,
    Any,
}

impl Default for Rules {
    fn default() -> Self {
        Self { environment: Environment::Sandbox, limits: Limits::default(), lines: Lines::MobileOnly }
    }
}

impl Rules {
    /// Replaces the limits: they move by the regulator's notice.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Lets numbers beginning 2542 through, which are Nairobi landlines as far as anyone knows.
    #[must_use]
    pub fn with_landlines(mut self) -> Self {
        self.lines = Lines::Any;
        self
    }

    pub(crate) fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// The client's environment.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The amounts that are let through.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Checks that a number is one that can be asked or paid, such as before it is stored: a mobile line, unless these rules
    /// let [landlines](Self::with_landlines) pass.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::Invalid) if it is a landline's.
    pub fn check_line(&self, number: crate::Msisdn) -> Result<(), crate::error::Invalid> {
        if number.is_mobile() || self.lines == Lines::Any {
            return Ok(());
        }
        let reason = "it is not a mobile number: national numbers beginning 2 are Nairobi landlines";
        Err(crate::error::Invalid::new("phone number", reason).with_input(&number.to_string()))
    }
}

/// An answer of Daraja: its status and its text.
#[derive(Clone)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    hidden: Hidden,
    after_unknown: bool,
}

/// What of an answer's text must not be seen: Daraja's answers can echo what they were sent.
#[derive(Clone)]
pub(crate) enum Hidden {
    /// The token of the request.
    Token(Arc<Live>),
    /// The secret that asks for a token, and all of an answer that brings one.
    Credentials(ConsumerSecret),
}

impl Hidden {
    fn blank<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self {
            Self::Credentials(_) if text.contains("access_token") => "".into(),
            _ => self.cut_out(text),
        }
    }

    /// Blanks the secret alone, for codes and ids.
    fn cut_out<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let secret = match self {
            Self::Token(live) => live.token.expose(),
            Self::Credentials(secret) => secret.expose(),
        };
        // The empty text is everywhere.
        let is_there = !secret.is_empty() && text.contains(secret);
        if is_there { text.replace(secret, "[redacted]").into() } else { text.into() }
    }
}

impl Answer {
    pub(crate) fn new(response: http::Response<Bytes>, hidden: Hidden) -> Self {
        let (parts, body) = response.into_parts();
        Self { status: parts.status, headers: parts.headers, body, hidden, after_unknown: false }
    }

    pub(crate) fn with_after_unknown(mut self, after_unknown: bool) -> Self {
        self.after_unknown = after_unknown;
        self
    }

    /// Whether an earlier try of the same `send` may have been executed, so that this answer may be one to a repeat.
    #[must_use]
    pub fn after_unknown(&self) -> bool {
        self.after_unknown
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The body as text; empty if it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }

    /// Reads the body, a JSON object, into a type. A list is refused, because serde would read a struct's fields from it
    /// by position: read one from [`text`](Self::text).
    ///
    /// # Errors
    ///
    /// [`Error::Decode`], with status and a redacted snippet.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        let document = self.document();
        if document.starts_with('[') {
            return Err(self.unreadable("is a JSON list, not an object").into());
        }
        serde_json::from_str(document).map_err(|error| self.unreadable(MalformedJson(&error)).into())
    }

    /// The text without what may stand around a JSON document: a byte order mark and white space.
    fn document(&self) -> &str {
        self.text().trim_start_matches('\u{feff}').trim()
    }

    /// An error that says what is wrong with this answer, for [`Operation::decode`].
    #[must_use]
    pub fn unreadable(&self, problem: impl std::fmt::Display) -> DecodeError {
        DecodeError::new(Some(self.status), problem.to_string(), &self.hidden.blank(self.text()))
    }

    /// Finds the refusal in an answer, in the one order that works with Daraja: an `errorCode` in whatever status, a
    /// gateway's fault, a SOAP envelope, a `ResponseCode` that is not a success, a status that is not 2xx.
    pub(crate) fn refusal(
        &self,
        envelope: Envelope,
        accepted: impl Fn(&str) -> bool,
    ) -> Result<Option<ApiError>, DecodeError> {
        let document = self.document();
        let head = match Head::parse(document) {
            Ok(head) => head,
            // A throttle needs no text.
            Err(_) if self.status != StatusCode::TOO_MANY_REQUESTS && std::str::from_utf8(&self.body).is_err() => {
                return Err(self.unreadable("is not UTF-8"));
            }
            Err(error) => {
                let is_page = document.starts_with('<') && self.is_of_no_gateway();
                let unreadable = || if is_page { self.unreadable(WEB_PAGE) } else { self.unreadable(error) };
                return self.refusal_without_json(document).map(Some).ok_or_else(unreadable);
            }
        };
        let is_success_code = head.response_code.as_deref().is_some_and(&accepted);
        let refusal = |found, code: Option<&str>, message: &str| {
            let code = code.map(|code| ErrorCode::from(&*self.hidden.cut_out(code)));
            let id = head.request_id.as_deref().map(|id| self.hidden.cut_out(id));
            let message = self.hidden.blank(message);
            let is_acceptance = is_success_code || holds_acceptance(document);
            let error = ApiError::new(self.status, found, code, &message, is_acceptance);
            Some(error.with_request_id(id.as_deref()).with_retry_after(retry_after(&self.headers)))
        };
        Ok(if let Some(code) = head.error_code.as_deref() {
            refusal(Found::Error, Some(code), &head.message())
        } else if let Some((code, message)) = head.fault() {
            refusal(Found::Fault, code.as_deref(), &message)
        } else if let Some(code) = head.response_code.as_deref().filter(|code| !accepted(code)) {
            refusal(Found::Error, Some(code), &head.message())
        } else if self.status.is_success() {
            None
        } else if let Some(code) = head.own_code().filter(|_| envelope == Envelope::Own) {
            refusal(Found::OwnCode, Some(&code), &head.message())
        } else {
            refusal(Found::Error, None, &head.message())
        })
    }

    /// Whether a web page with this status comes from another host than Daraja's gateway.
    fn is_of_no_gateway(&self) -> bool {
        let status = self.status;
        status.is_success() || status.is_redirection() || matches!(status.as_u16(), 404 | 405)
    }

    /// The refusals that Daraja and its gateway answer without JSON: a throttle, a refused token, and an address that leads to
    /// no API.
    fn refusal_without_json(&self, document: &str) -> Option<ApiError> {
        // It may be an acceptance that is cut short.
        let is_json = document.starts_with(['{', '[']);
        let found = if document.is_empty() { Found::Empty } else { Found::Text };
        let is_refusal = match self.status {
            StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::UNAUTHORIZED => !is_json,
            StatusCode::NOT_FOUND => found == Found::Empty,
            _ => false,
        };
        let words = if document.starts_with('<') || is_json { "" } else { document };
        let is_acceptance = holds_acceptance(&String::from_utf8_lossy(&self.body));
        let refusal = ApiError::new(self.status, found, None, &self.hidden.blank(words), is_acceptance);
        is_refusal.then(|| refusal.with_retry_after(retry_after(&self.headers)))
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (status, bytes) = (self.status.as_u16(), self.body.len());
        f.debug_struct("Answer").field("status", &status).field("bytes", &bytes).finish_non_exhaustive()
    }
}
