//! As much of the library's other modules as the explored ones need.

/// Which push it is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CheckoutRequestId(pub(crate) u8);

/// What an attempt is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference(pub(crate) u8);

/// What is known of a push; the higher weight is the surer knowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Failed = 1,
    Paid = 2,
}

impl Outcome {
    pub(crate) fn weight(self) -> u8 {
        self as u8
    }
}

/// The callback of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StkCallback {
    pub(crate) checkout_request_id: CheckoutRequestId,
    pub(crate) outcome: Outcome,
}

/// What was posted.
#[derive(Debug)]
pub enum Event {
    Stk(StkCallback),
    #[expect(dead_code, reason = "the inbox ignores it")]
    Unknown,
}

impl From<StkCallback> for Event {
    fn from(callback: StkCallback) -> Self {
        Self::Stk(callback)
    }
}

pub(crate) mod config {
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    pub struct ConsumerKey(String);

    impl ConsumerKey {
        pub(crate) fn as_str(&self) -> &str {
            &self.0
        }
    }

    pub struct Credentials {
        pub(crate) key: ConsumerKey,
    }

    impl Credentials {
        pub(crate) fn new(key: &str) -> Self {
            Self { key: ConsumerKey(key.to_owned()) }
        }
    }
}

pub(crate) mod error {
    use std::fmt;

    use super::transport::TransportError;

    pub type Result<T, E = Error> = std::result::Result<T, E>;

    #[derive(Debug, Clone)]
    pub enum Error {
        Token(Box<Self>),
        Transport(TransportError),
        /// Daraja gives no token.
        Refused,
        /// The token is refused, a renewed one as well.
        RefusedAgain,
    }

    impl fmt::Display for Error {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{self:?}")
        }
    }

    impl From<TransportError> for Error {
        fn from(error: TransportError) -> Self {
            Self::Transport(error)
        }
    }
}

pub(crate) mod security {
    pub struct SecurityCredential;
}

pub(crate) mod transport {
    use std::pin::Pin;

    pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

    #[derive(Debug, Clone)]
    pub struct TransportError(TransportErrorKind);

    #[derive(Debug, Clone, Copy)]
    pub enum TransportErrorKind {
        Timeout,
    }

    impl TransportError {
        pub(crate) fn new(kind: TransportErrorKind) -> Self {
            Self(kind)
        }

        pub(crate) fn with_source<E>(self, _: E) -> Self {
            self
        }
    }
}

pub(crate) mod value {
    use chrono::{DateTime, Utc};

    pub struct Timestamp;

    impl Timestamp {
        pub(crate) fn from_utc(_: DateTime<Utc>) -> Self {
            Self
        }
    }
}

pub(crate) mod wire {
    use std::borrow::Cow;

    use serde::{Deserialize, Serialize};

    #[derive(Default, Serialize, Deserialize)]
    pub struct Text<'a>(#[serde(borrow)] pub(crate) Option<Cow<'a, str>>);
}
