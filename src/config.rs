//! Where to call, and as whom: [`Environment`] and [`Credentials`].

use std::{fmt, net::Ipv4Addr};

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
        if let Some(reason) = no_base(&url) {
            return Err(invalid(reason));
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

/// The hosts of web pages for people. APIs are elsewhere.
const PORTALS: [&str; 3] = ["developer.safaricom.co.ke", "daraja.safaricom.co.ke", "org.ke.m-pesa.com"];

/// What stands behind `/mpesa/` in the paths of APIs.
const APIS: [&str; 9] =
    ["stkpush", "stkpushquery", "b2c", "b2b", "c2b", "transactionstatus", "accountbalance", "reversal", "qrcode"];

/// Why a base URL cannot be one of an API.
fn no_base(url: &Url) -> Option<&'static str> {
    if url.host_str().is_some_and(|host| PORTALS.contains(&host)) {
        return Some(
            "this host is a portal for people: APIs are at https://sandbox.safaricom.co.ke and https://api.safaricom.co.ke",
        );
    }
    let segments: Vec<&str> = url.path_segments().into_iter().flatten().collect();
    let is_safaricom = matches!(url.host_str(), Some("sandbox.safaricom.co.ke" | "api.safaricom.co.ke"));
    let is_version = |segment: &str| matches!(segment, "v1" | "v2" | "v3");
    // A gateway may have `mpesa` or a version in its prefix.
    let is_api = segments.windows(3).any(|parts| match parts {
        ["oauth", version, "generate"] => is_version(version),
        ["mpesa", api, version] => APIS.contains(api) && is_version(version),
        _ => false,
    });
    let has_path = url.path() != "/";
    (is_api || (is_safaricom && has_path))
        .then_some("it ends in the path of an API, which is added to it: leave the path out")
}

/// Whether a URL's host can be reached from this machine or its network only.
pub(crate) fn is_private(url: &Url) -> bool {
    let is_private_v4 = |address: Ipv4Addr| address.is_private() || address.is_link_local() || address.is_unspecified();
    match url.host() {
        _ if is_loopback(url) => true,
        Some(Host::Ipv4(address)) => is_private_v4(address),
        Some(Host::Ipv6(address)) => {
            let is_local = matches!(address.segments()[0], 0xfc00..=0xfdff | 0xfe80..=0xfebf);
            is_local || address.is_unspecified() || address.to_ipv4_mapped().is_some_and(is_private_v4)
        }
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            let ends = [".localhost", ".local", ".internal", ".lan", ".home.arpa", ".test"];
            !name.contains('.') || ends.iter().any(|end| name.ends_with(end))
        }
        None => false,
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
