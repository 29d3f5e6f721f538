//! What can go wrong, staged by how far a call got, because that decides what happened to the money.

use std::{fmt, sync::Arc, time::Duration};

use crate::{code::Unproven, transport::TransportError};

mod answer;
mod invalid;
mod redact;
mod refusal;

pub use answer::{ApiError, DecodeError};
pub use invalid::{ConfigError, ConfigProblem, Invalid};
pub(crate) use redact::{is_unseen, mask, mask_id, redact};
pub(crate) use refusal::{Found, RefusalKind, holds_acceptance};

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
    /// No answer was read. Unless wrapped in [`Unknown`](Self::Unknown), no money moved.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// An answer came that cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Daraja refused the call.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The time in which the request may leave was over before it could. It was not sent.
    #[error(transparent)]
    TooLate(#[from] TooLate),
    /// A wait reached its deadline before the payment was settled. The customer may still pay.
    #[error(transparent)]
    StillPending(Box<StillPending>),
    /// The call may have been carried out. Never send it again as a new one: find out what became of it.
    #[error("the outcome is unknown: the call may have been carried out, so reconcile and do not send it again")]
    Unknown(#[source] Box<Self>),
}

impl From<url::ParseError> for Error {
    fn from(error: url::ParseError) -> Self {
        Self::Invalid(error.into())
    }
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
            Self::TooLate(_) => true,
            Self::Invalid(_) | Self::Config(_) | Self::StillPending(_) | Self::Unknown(_) => false,
        }
    }

    /// Whether time ran out, at any level. With [`outcome_unknown`](Self::outcome_unknown) the call may have been carried out.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Transport(error) => error.is_timeout(),
            Self::Token(inner) | Self::Unknown(inner) => inner.is_timeout(),
            Self::StillPending(_) | Self::TooLate(TooLate::Deadline | TooLate::NotAfter) => true,
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

    pub(crate) fn still_pending(pending: StillPending) -> Self {
        Self::StillPending(Box::new(pending))
    }

    pub(crate) fn unknown(self) -> Self {
        match self {
            Self::Unknown(_) => self,
            other => Self::Unknown(Box::new(other)),
        }
    }
}

/// Why a request did not leave: a program can stand still anywhere, in a pause as well as before it sends.
///
/// Nothing was sent. What is stored about the payment says what to do: another worker may have taken it over meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TooLate {
    /// The time of the whole call was over, or what was left of it was too short for an answer.
    #[error("the time of the call was over before the request could leave, so it was not sent")]
    Deadline,
    /// The operation's [`NotAfter`](crate::operation::NotAfter) was over: another worker may have taken the payment over, or
    /// Daraja may have forgotten its id.
    #[error(
        "the time in which the request may leave was over, so it was not sent: look at the stored payment, which says what to do next"
    )]
    NotAfter,
    /// The time of day and the monotonic clock disagree by more than a minute about the time since the payment was begun: the
    /// machine slept, the clock was set, or the payment was begun by another clock than [`Client::now`](crate::Client::now).
    #[error(
        "the clock was set or the machine slept since the payment was begun, so it was not sent: look at the stored payment, which says what to do next"
    )]
    Clocks,
}

/// A wait that reached its deadline before the payment was settled.
///
/// Nothing is known: the customer may have paid, or may still pay. Do not ask for the money again before it is. If a
/// callback [speaks for a payment](Self::speaks_for_payment), the customer has very likely paid.
#[derive(Debug, Clone, thiserror::Error)]
pub struct StillPending {
    waited: Duration,
    #[source]
    last_error: Option<Box<Error>>,
    last_unproven: Option<Unproven>,
    speaks_for_payment: bool,
}

impl fmt::Display for StillPending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waited = self.waited;
        write!(
            f,
            "the payment was not settled within {waited:?}: it may still be paid, so do not ask for it again yet"
        )?;
        self.last_unproven.as_ref().map_or(Ok(()), |unproven| write!(f, " (last report: {unproven})"))
    }
}

impl StillPending {
    pub(crate) fn new(waited: Duration, last_error: Option<Error>) -> Self {
        Self { waited, last_error: last_error.map(Box::new), last_unproven: None, speaks_for_payment: false }
    }

    pub(crate) fn with_unproven(self, last_unproven: Option<Unproven>) -> Self {
        Self { last_unproven, ..self }
    }

    /// Notes that a callback spoke for a payment.
    pub(crate) fn speaking_for_payment(self) -> Self {
        Self { speaks_for_payment: true, ..self }
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

    /// What a callback at the reference, or a query, reported last that settles nothing: code, words and why. A code that is
    /// not known to be final, such as 2029, proves neither a payment nor a failure.
    #[must_use]
    pub fn last_unproven(&self) -> Option<&Unproven> {
        self.last_unproven.as_ref()
    }

    /// Whether the inbox held a callback that reports a payment without proving it: a success without a readable receipt,
    /// a receipt beside a failure, or a payment at another reference than [`Wait::at`](crate::stk::Wait::at) names.
    ///
    /// Queries that reported a failure were not believed then. Never ask the customer for the money again before a person
    /// has looked: at what was delivered, and at the statement of your account.
    #[must_use]
    pub fn speaks_for_payment(&self) -> bool {
        self.speaks_for_payment
    }
}

/// A source that can be cloned, because all callers who waited for one token share its error.
pub(crate) type SharedError = Arc<dyn std::error::Error + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::TransportErrorKind;

    #[test]
    fn an_error_is_at_most_three_words() {
        assert!(size_of::<Error>() <= 3 * size_of::<usize>());
    }

    fn refusal(status: u16) -> Error {
        ApiError::new(http::StatusCode::from_u16(status).unwrap(), Found::Error, None, "", false).into()
    }

    #[test]
    fn only_time_that_ran_out_is_a_timeout_at_any_level() {
        let of = |kind| Error::from(TransportError::new(kind));
        let timeout = of(TransportErrorKind::Timeout);
        assert!(timeout.is_timeout() && timeout.clone().unknown().is_timeout());
        assert!(Error::Token(Box::new(timeout)).is_timeout());
        assert!(Error::still_pending(StillPending::new(Duration::from_secs(120), None)).is_timeout());
        for other in [of(TransportErrorKind::Interrupted), of(TransportErrorKind::Connect), refusal(504)] {
            assert!(!other.is_timeout() && !other.unknown().is_timeout());
        }
    }

    #[test]
    fn a_throttle_is_one_at_any_level_and_nothing_else_is() {
        let pending = |last| Error::still_pending(StillPending::new(Duration::from_secs(120), last));
        assert!(refusal(429).is_throttled() && refusal(429).unknown().is_throttled());
        assert!(pending(Some(refusal(429))).is_throttled());
        for other in [refusal(500), refusal(500).unknown(), pending(Some(refusal(500))), pending(None)] {
            assert!(!other.is_throttled());
        }
    }

    #[test]
    fn a_wait_that_was_given_up_says_how_long_it_was() {
        assert_eq!(StillPending::new(Duration::from_secs(90), None).waited(), Duration::from_secs(90));
    }
}
