//! [`Client`]: the one place where a call is executed.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument;

use crate::{
    Credentials, Environment, RetryPolicy, Rules, Timestamp,
    clock::{Clock, Moment, after},
    error::{ApiError, Error, Found, Invalid, RefusalKind, Result, TooLate},
    operation::{Answer, Envelope, Hidden, NotAfter, Operation, Rate, Repeat},
    recent::Recent,
    retry::{Course, Failure, Fate, Time},
    stk::QueryBudget,
    token::{Live, TokenBody, TokenCache},
    transport::{Transport, TransportError, TransportErrorKind},
};

mod builder;

pub use builder::ClientBuilder;
use builder::Timeouts;

const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("daraja-rust/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_PRODUCT: &str = "the app lacks this API product or this version of it, or its keys are of another environment: add the product on the portal";
const TOKEN_PATH: &str = "/oauth/v1/generate?grant_type=client_credentials";

/// A client of one Daraja environment as one app. Make one, clone it freely: clones share token and connections.
///
/// Several tokio runtimes may use it, one after the other or at the same time. By default [each runtime has its own
/// connections](crate::transport::reqwest::ReqwestTransport), and a call whose runtime is not running does not block others.
///
/// ```
/// use daraja::{Client, Credentials, Environment};
/// # if cfg!(not(any(feature = "rustls", feature = "webpki-roots"))) { return Ok(()) }
/// let client = Client::new(Environment::Sandbox, Credentials::new("key of the app", "its secret"))?;
/// let for_another_task = client.clone();
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    endpoints: Recent<Box<str>, Uri>,
    credentials: Credentials,
    rules: Rules,
    policy: RetryPolicy,
    timeouts: Timeouts,
    clock: Clock,
    transport: Box<dyn Transport>,
    tokens: TokenCache,
    queries: QueryBudget,
}

/// Whether a call has its turn in the budget that it draws on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Due,
    Taken,
}

impl Client {
    /// A client with the defaults of [`ClientBuilder`]. Nothing is sent until the first call.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if TLS cannot be set up.
    pub fn new(environment: Environment, credentials: Credentials) -> Result<Self> {
        Self::builder(environment, credentials).build()
    }

    /// Starts a client with settings of its own.
    pub fn builder(environment: Environment, credentials: Credentials) -> ClientBuilder {
        ClientBuilder::new(environment, credentials)
    }

    /// Executes a call. Whether it is repeated after a failure is the operation's own [`Repeat`]: a payment is repeated
    /// only if it provably was not carried out.
    ///
    /// Dropping the future after it was polled leaves the outcome unknown: to bound the time, use
    /// [`ClientBuilder::timeout`] instead, which tells you so.
    ///
    /// # Errors
    ///
    /// See [`Error`]: [`Error::outcome_unknown`] says that money may have moved, [`Error::is_retryable`] that it
    /// provably did not.
    pub async fn send<O: Operation>(&self, operation: &O) -> Result<O::Response> {
        self.send_with(operation, self.inner.policy.clone()).await
    }

    /// Executes a call with a policy of its own in place of the client's, such as [`RetryPolicy::never`] for a question that
    /// is asked again later anyway. What is never repeated for safety's sake stays so.
    ///
    /// ```
    /// use daraja::{RetryPolicy, StkQuery, simulator::{Fault, Route, Simulator}};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> daraja::Result<()> {
    /// let simulator = Simulator::new();
    /// simulator.fault(Route::StkQuery, Fault::ResetBefore);
    /// let query = StkQuery::new(&simulator.merchant(), &"ws_CO_1".parse()?);
    /// let outcome = simulator.client().send_with(&query, RetryPolicy::never()).await;
    /// assert!(outcome.is_err()); // it would have been asked again
    /// assert_eq!(simulator.calls(Route::StkQuery), 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub async fn send_with<O: Operation>(&self, operation: &O, policy: RetryPolicy) -> Result<O::Response> {
        self.execute(operation, policy, Turn::Due).await
    }

    /// Executes a call, whose first try may have its turn in the budget already.
    pub(crate) async fn execute<O: Operation>(
        &self,
        operation: &O,
        policy: RetryPolicy,
        turn: Turn,
    ) -> Result<O::Response> {
        operation.check(&self.inner.rules)?;
        let uri = self.uri(operation.path())?;
        let mut course = self.course(operation.repeat(), operation.not_after(), policy, self.inner.timeouts.total);
        let span = tracing::info_span!("send", path = operation.path(), about = tracing::field::Empty);
        if let Some(about) = if span.is_disabled() { None } else { operation.about() } {
            span.record("about", &*about);
        }
        let is_query = operation.rate() == Rate::StkQueries;
        let mut has_turn = !is_query || turn == Turn::Taken;
        async {
            loop {
                let outcome = match if has_turn { Ok(()) } else { self.take_turn(&mut course).await } {
                    Ok(()) => self.attempt(operation, &uri, &mut course).await,
                    Err(late) => Err(late),
                };
                has_turn = !is_query;
                match outcome {
                    Ok(response) => return Ok(response),
                    Err(failure) => {
                        if is_query && failure.error.is_throttled() {
                            self.inner.queries.slow_down(failure.error.retry_after());
                        }
                        let pause = course.after(failure, self.inner.clock.moment());
                        let pause = pause.inspect_err(|error| warn_if_unknown(operation, error))?;
                        sleep(pause).await;
                    }
                }
            }
        }
        .instrument(span)
        .await
    }

    /// Waits for a turn in the budget of queries, as long as the call may take.
    async fn take_turn(&self, course: &mut Course) -> Result<(), Failure> {
        let now = self.inner.clock.moment();
        let left = course.time_left(now, Duration::ZERO).map_err(|late| course.too_late(late))?;
        let turn = timeout_at(after(now.monotonic, left), self.inner.queries.turn(Instant::now())).await;
        turn.map_err(|_| course.too_late(TooLate::Deadline))
    }

    fn course(&self, repeat: Repeat, not_after: Option<NotAfter>, policy: RetryPolicy, call: Duration) -> Course {
        let time = Time { call, attempt: self.inner.timeouts.attempt };
        Course::new(repeat, not_after, policy, time, self.inner.clock.furthest(), self.inner.clock.moment())
    }

    async fn attempt<O: Operation>(
        &self,
        operation: &O,
        uri: &Uri,
        course: &mut Course,
    ) -> Result<O::Response, Failure> {
        let live = self.token(course).await?;
        let mut body = Vec::with_capacity(512);
        serde_json::to_writer(&mut body, &operation.body(self.inner.clock.timestamp()))
            .map_err(|error| Failure::new(Fate::NotTried, Invalid::new("request body", error.to_string())))?;
        let mut request = request(Method::POST, uri.clone(), live.bearer.clone());
        request.headers_mut().insert(header::CONTENT_TYPE, JSON);
        *request.body_mut() = body.into();
        let answer = self.exchange(request, course, Hidden::Token(live.clone())).await?;
        self.judge(operation, &answer, &live, course)
    }

    /// Reads an answer. Refused tokens and throttling are dealt with here, every other refusal is the operation's.
    fn judge<O: Operation>(
        &self,
        operation: &O,
        answer: &Answer,
        live: &Live,
        course: &Course,
    ) -> Result<O::Response, Failure> {
        let refusal =
            answer.refusal(operation.envelope(), |code| operation.is_accepted(code)).map_err(Failure::unclear)?;
        let Some(refusal) = refusal else {
            return operation.decode(answer).map_err(Failure::unclear);
        };
        let refusal = refusal.with_after_unknown(course.is_unknown());
        let kind = refusal.kind();
        tracing::debug!(status = answer.status().as_u16(), code = ?refusal.code(), ?kind, "refused");
        match kind {
            RefusalKind::TokenRefused if refusal.lacks_product() && !self.inner.tokens.may_renew(live) => {
                let refusal = refusal.with_hint(NO_PRODUCT);
                return Err(Failure::new(Fate::Answered(RefusalKind::Refused), refusal));
            }
            RefusalKind::TokenRefused => {
                self.inner.tokens.forget(&live.token);
                if live.is_borrowed {
                    return Err(Failure::new(Fate::OldToken, refusal));
                }
            }
            RefusalKind::Throttled => {}
            RefusalKind::Refused | RefusalKind::Unclear => {
                return operation.fault(refusal).map_err(|error| Failure::new(Fate::Answered(kind), error));
            }
        }
        Err(Failure::new(Fate::Answered(kind), refusal))
    }

    /// Sends one request once, within the time of one attempt and of the whole call, if it may leave now.
    async fn exchange(&self, request: Request<Bytes>, course: &mut Course, hidden: Hidden) -> Result<Answer, Failure> {
        let began = self.inner.clock.moment();
        let limit = course.begin_attempt(began)?;
        let (started, is_strict) = (began.monotonic, course.is_strict());
        let mut call = self.inner.transport.call(request);
        let while_it_lasts = poll_fn(|context| {
            if is_strict && began.until(self.inner.clock.moment()) >= limit {
                return Poll::Ready(Err(TransportError::new(TransportErrorKind::Timeout)));
            }
            call.as_mut().poll(context)
        });
        let outcome = match timeout_at(after(started, limit), while_it_lasts).await {
            Ok(outcome) => outcome,
            Err(elapsed) => Err(TransportError::new(TransportErrorKind::Timeout).with_source(elapsed)),
        };
        let attempt = course.attempt();
        match outcome {
            Ok(response) => {
                tracing::debug!(attempt, status = response.status().as_u16(), elapsed = ?started.elapsed(), "answered");
                Ok(Answer::new(response, hidden).with_after_unknown(course.is_unknown()))
            }
            Err(error) => {
                tracing::debug!(attempt, kind = ?error.kind(), elapsed = ?started.elapsed(), "not answered");
                Err(match error.kind() {
                    TransportErrorKind::Connect => Failure::new(Fate::NotSent, error),
                    _ => Failure::unclear(error),
                })
            }
        }
    }

    async fn token(&self, course: &mut Course) -> Result<Arc<Live>, Failure> {
        let share = course.store_share();
        if let Some(live) = self.inner.tokens.fresh().filter(|live| share.is_some() || !live.is_borrowed) {
            return Ok(live);
        }
        let now = self.inner.clock.moment();
        let left = course.time_left(now, Duration::ZERO).map_err(|late| course.too_late(late))?;
        let slow = Box::pin(self.inner.tokens.get(left, share, || self.fetch_token()));
        let outcome = match timeout_at(after(now.monotonic, left), slow).await {
            Ok(outcome) => outcome,
            Err(elapsed) => {
                let late = TransportError::new(TransportErrorKind::Timeout).with_source(elapsed);
                Err(Error::Token(Box::new(late.into())))
            }
        };
        outcome.map_err(|error| Failure::new(Fate::NotTried, error))
    }

    /// Asks for a token. It moves no money, so it is repeated like any read, within its own time.
    async fn fetch_token(&self) -> Result<Live> {
        let uri = self.uri(TOKEN_PATH)?;
        let Credentials { key, secret } = &self.inner.credentials;
        let pair = zeroize::Zeroizing::new(format!("{}:{}", key.as_str(), secret.expose()));
        let pair = zeroize::Zeroizing::new(STANDARD.encode(&*pair));
        let basic = zeroize::Zeroizing::new(format!("Basic {}", *pair));
        let mut basic = HeaderValue::from_str(&basic).expect("base64 is ASCII");
        basic.set_sensitive(true);
        let mut course = self.course(Repeat::Safe, None, self.inner.policy.clone(), self.inner.timeouts.token);
        loop {
            let asked_at = Instant::now();
            let request = request(Method::GET, uri.clone(), basic.clone());
            let outcome = self
                .exchange(request, &mut course, Hidden::Credentials(secret.clone()))
                .await
                .and_then(|answer| read_token(&answer, asked_at));
            match outcome {
                Ok(live) => return Ok(live),
                Err(failure) => sleep(course.after(failure, self.inner.clock.moment())?).await,
            }
        }
    }

    fn uri(&self, path: &str) -> Result<Uri> {
        let invalid = |_| Invalid::new("path of an operation", "it must begin with / and be part of a URL");
        let make = || {
            if !path.starts_with('/') {
                return Err(Invalid::new("path of an operation", "it must begin with /"));
            }
            let base = self.environment().base_url();
            Ok((path.into(), Uri::try_from(format!("{base}{path}")).map_err(invalid)?))
        };
        Ok(self.inner.endpoints.get(|known| **known == *path, make)?)
    }

    /// Fetches the token and opens a connection, so that a burst of calls shares both.
    ///
    /// # Errors
    ///
    /// [`Error::Token`] if no token could be had, [`Error::Transport`] if no connection could be opened.
    pub async fn warm_up(&self) -> Result<()> {
        let mut course = self.course(Repeat::Safe, None, self.inner.policy.clone(), self.inner.timeouts.total);
        let had_token = self.inner.tokens.fresh().is_some();
        let live = self.token(&mut course).await.map_err(|failure| failure.error)?;
        if had_token {
            // Whatever is answered, the connection is open then.
            let probe = request(Method::GET, self.uri("/")?, live.bearer.clone());
            self.exchange(probe, &mut course, Hidden::Token(live)).await.map_err(|failure| failure.error)?;
        }
        Ok(())
    }

    /// Where this client calls.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        self.inner.rules.environment()
    }

    /// What requests are checked against.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.inner.rules
    }

    /// The time of day as this client stamps its requests.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.moment().timestamp()
    }

    pub(crate) fn policy(&self) -> &RetryPolicy {
        &self.inner.policy
    }

    pub(crate) fn moment(&self) -> Moment {
        self.inner.clock.moment()
    }

    pub(crate) fn queries(&self) -> &QueryBudget {
        &self.inner.queries
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("environment", self.rules.environment())
            .field("credentials", &self.credentials)
            .field("policy", &self.policy)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

/// The one event for an error that is returned: money may have moved, and a log without it would not say so.
fn warn_if_unknown<O: Operation>(operation: &O, error: &Error) {
    if let Error::Unknown(cause) = error {
        let (path, about) = (operation.path(), operation.about());
        tracing::warn!(path, about = about.as_deref(), error = %cause, "outcome unknown: the call may have been carried out");
    }
}

fn read_token(answer: &Answer, asked_at: Instant) -> Result<Live, Failure> {
    const HINT: &str = "check MPESA_CONSUMER_KEY and MPESA_CONSUMER_SECRET, and that they belong to this environment";
    // Wrong credentials are said to be refused with an empty body at times.
    if answer.status() == StatusCode::BAD_REQUEST && answer.text().is_empty() {
        let refusal = ApiError::new(answer.status(), Found::Empty, None, "", false).with_hint(HINT);
        return Err(Failure::new(Fate::Answered(RefusalKind::Refused), refusal));
    }
    if let Some(refusal) = answer.refusal(Envelope::Standard, |_| true).map_err(Failure::unclear)? {
        // There is no token that could be refused.
        let is_final = matches!(refusal.kind(), RefusalKind::Refused | RefusalKind::TokenRefused);
        let (kind, refusal) = if is_final {
            (RefusalKind::Refused, refusal.with_hint_unless_named(HINT))
        } else {
            (refusal.kind(), refusal)
        };
        return Err(Failure::new(Fate::Answered(kind), refusal));
    }
    let body: TokenBody<'_> = answer.json().map_err(Failure::unclear)?;
    Live::from_body(body, asked_at).ok_or_else(|| Failure::unclear(answer.unreadable("holds no access token")))
}

fn request(method: Method, uri: Uri, authorization: HeaderValue) -> Request<Bytes> {
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(header::AUTHORIZATION, authorization);
    headers.insert(header::USER_AGENT, USER_AGENT);
    request
}
