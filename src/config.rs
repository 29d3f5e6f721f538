//! Where to call, and as whom: [`Environment`] and [`Credentials`].

use std::fmt;

use url::{Host, Url};

use crate::{error::Invalid, secret::ConsumerSecret};

/// Which Daraja to call.
///
/// In the sandbox a real Safaricom line moves real money, and the number 254708374149 never answers a prompt.
///
/// ```
/// use daraja::Environment;
/// assert_eq!(Environment::Sandbox.base_url(), "https://sandbox.safaricom.co.ke");
/// let local = Environment::custom("http://127.0.0.1:8090/mirror/")?;
/// assert_eq!(local.base_url(), "http://127.0.0.1:8090/mirror");
/// assert!(Environment::custom("http://daraja.example").is_err());
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Environment {
    /// `https://sandbox.safaricom.co.ke`
    Sandbox,
    /// `https://api.safaricom.co.ke`: real money.
    Production,
    /// A gateway, a mirror or a simulator; see [`Environment::custom`].
    Custom(CustomEnvironment),
}

/// A base URL of your own.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomEnvironment {
    base: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Test,
    Production,
}

impl Environment {
    /// An environment at a base URL: https, or http to a loopback address only. A path is kept as a prefix. It is taken
    /// for a test environment unless it is Safaricom's production host: see [`custom_production`](Self::custom_production).
    ///
    /// # Errors
    ///
    /// [`Invalid`] if it is no such URL, or holds a user name, a query or a fragment.
    pub fn custom(base_url: &str) -> Result<Self, Invalid> {
        let invalid = |reason: &'static str| Invalid::new("base URL", reason);
        let mut url = Url::parse(base_url)?;
        let loopback = is_loopback(&url);
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => {
                return Err(invalid(
                    "plain http is for loopback addresses only, because the token would be read on the way",
                ));
            }
            _ => return Err(invalid("it must begin with https:// (or http:// for a loopback address)")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("it must hold no user name or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("it must hold no query and no fragment"));
        }
        // A host name with a dot at its end is the same host.
        if let Some(host) = url.host_str().and_then(|host| host.strip_suffix('.')).map(str::to_owned) {
            url.set_host(Some(&host))?;
        }
        let base = url.as_str().trim_end_matches('/').to_owned();
        let kind = if url.host_str() == Some("api.safaricom.co.ke") { Kind::Production } else { Kind::Test };
        Ok(Self::Custom(CustomEnvironment { base, kind }))
    }

    /// A base URL in front of production, such as a gateway: https only, and all rules of production apply.
    ///
    /// # Errors
    ///
    /// [`Invalid`] as for [`custom`](Self::custom), and for plain http.
    pub fn custom_production(base_url: &str) -> Result<Self, Invalid> {
        match Self::custom(base_url)? {
            Self::Custom(custom) if custom.base.starts_with("https:") => {
                Ok(Self::Custom(CustomEnvironment { kind: Kind::Production, ..custom }))
            }
            _ => Err(Invalid::new("base URL", "production is called over https only")),
        }
    }

    /// The base URL, without a slash at its end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        match self {
            Self::Sandbox => "https://sandbox.safaricom.co.ke",
            Self::Production => "https://api.safaricom.co.ke",
            Self::Custom(custom) => &custom.base,
        }
    }

    /// Whether this is production, directly or through a gateway.
    #[must_use]
    pub fn is_production(&self) -> bool {
        matches!(self, Self::Production | Self::Custom(CustomEnvironment { kind: Kind::Production, .. }))
    }

    pub(crate) fn is_plain_http(&self) -> bool {
        self.base_url().starts_with("http:")
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sandbox => f.write_str("sandbox"),
            Self::Production => f.write_str("production"),
            Self::Custom(custom) => write!(f, "{custom:?}"),
        }
    }
}

/// Without its path, which can be the key of a gateway.
impl fmt::Debug for CustomEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.base.split_once("://").unwrap_or_default();
        match rest.split_once('/') {
            Some((host, _)) => write!(f, "{scheme}://{host}/…"),
            None => f.write_str(&self.base),
        }
    }
}

/// Shows a URL without its path: a callback's path is what keeps others from posting to it.
pub(crate) struct WithoutPath<'u>(pub(crate) &'u Url);

impl fmt::Debug for WithoutPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/…", self.0.origin().ascii_serialization())
    }
}

/// Whether a URL's host is this very machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// An app's consumer key and secret, from the portal's "My Apps" page. Each environment has its own.
///
/// ```
/// let credentials = daraja::Credentials::new("key of the app", "its secret");
/// assert!(!format!("{credentials:?}").contains("its secret"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub(crate) key: ConsumerKey,
    pub(crate) secret: ConsumerSecret,
}

impl Credentials {
    /// Takes both as the portal shows them.
    #[must_use]
    pub fn new(key: impl Into<ConsumerKey>, secret: impl Into<ConsumerSecret>) -> Self {
        Self { key: key.into(), secret: secret.into() }
    }
}

/// The public half of an app's credentials.
///
/// ```
/// let key = daraja::config::ConsumerKey::from("key of the app");
/// assert_eq!(key.as_str(), "key of the app");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ConsumerKey(String);

impl ConsumerKey {
    /// The key as the portal shows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for ConsumerKey {
    fn from(key: T) -> Self {
        Self(key.into())
    }
}

impl fmt::Debug for ConsumerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start: String = self.0.chars().take(4).collect();
        write!(f, "ConsumerKey({start}…)")
    }
}
