//! The one seam between this crate and the network: an HTTP request in, an HTTP response out.

use std::{fmt, pin::Pin, sync::Arc};

use bytes::Bytes;

use crate::error::SharedError;

pub mod reqwest;

/// A boxed future that can be sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The largest answer that is read, in bytes. Daraja's answers have a few hundred.
pub const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Carries one HTTP request to Daraja and brings the answer back, whatever its status.
///
/// The crate's own transport is [`reqwest::ReqwestTransport`]; implement this trait to bring another, or a test double.
/// An implementation follows three rules, because money depends on them:
///
/// * it sends a request **at most once**: no retries, no redirects;
/// * it answers [`Connect`](TransportErrorKind::Connect) only when not one byte of the request can have left;
/// * it stops reading an answer at [`MAX_ANSWER_BYTES`] with [`TooLarge`](TransportErrorKind::TooLarge).
///
/// ```
/// use bytes::Bytes;
/// use daraja::transport::{BoxFuture, Transport, TransportError};
///
/// /// Answers every request with the same text.
/// struct Canned(&'static str);
///
/// impl Transport for Canned {
///     fn call(&self, _: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
///         Box::pin(async { Ok(http::Response::new(Bytes::from_static(self.0.as_bytes()))) })
///     }
/// }
///
/// let credentials = daraja::Credentials::new("key", "secret");
/// let client = daraja::Client::builder(daraja::Environment::Sandbox, credentials).transport(Canned("{}")).build()?;
/// # Ok::<(), daraja::Error>(())
/// ```
pub trait Transport: Send + Sync + 'static {
    /// Sends the request once and reads the whole answer.
    ///
    /// # Errors
    ///
    /// If there is no whole answer. Any status is an answer.
    fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>>;
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        (**self).call(request)
    }
}

/// Why no answer was read.
#[derive(Clone)]
pub struct TransportError {
    kind: TransportErrorKind,
    source: Option<SharedError>,
}

/// How far a request got before it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// No connection was established, so nothing was sent.
    Connect,
    /// Time ran out after the request may have been sent.
    Timeout,
    /// The connection broke after the request may have been sent.
    Interrupted,
    /// The answer was larger than [`MAX_ANSWER_BYTES`].
    TooLarge,
}

impl TransportErrorKind {
    pub(crate) fn is_passing(self) -> bool {
        !matches!(self, Self::TooLarge)
    }
}

impl TransportError {
    /// An error of this kind without a source.
    ///
    /// ```
    /// use daraja::transport::{TransportError, TransportErrorKind};
    /// let error = TransportError::new(TransportErrorKind::Connect);
    /// assert_eq!(error.to_string(), "no connection could be established, so nothing was sent");
    /// ```
    #[must_use]
    pub fn new(kind: TransportErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// Adds what caused it. Its text must hold no URL with a secret.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// How far the request got.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Whether time ran out after the request may have been sent.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind == TransportErrorKind::Timeout
    }
}

impl fmt::Debug for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportError").field("kind", &self.kind).field("source", &self.source).finish()
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            TransportErrorKind::Connect => "no connection could be established, so nothing was sent",
            TransportErrorKind::Timeout => "no answer came in time",
            TransportErrorKind::Interrupted => "the connection broke before the answer was complete",
            TransportErrorKind::TooLarge => "the answer was larger than 1 MiB and was not read",
        })
    }
}

impl std::error::Error for TransportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}
