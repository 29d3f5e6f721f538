//! Where to call and as whom: [`Environment`], [`Credentials`], and [`Settings`] read from the `MPESA_*` variables.

use std::{borrow::Cow, fmt, str::FromStr};

use url::{Host, Url};

use crate::{
    Merchant, ShortCode, TillNumber,
    error::{ConfigError, ConfigProblem, Invalid},
    secret::{ConsumerSecret, Passkey, SecurityCredential},
};

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
    /// An environment at a base URL: https, or http to a loopback address only. A path is kept as a prefix.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if it is no such URL, or holds a user name, a query or a fragment.
    pub fn custom(base_url: &str) -> Result<Self, Invalid> {
        let invalid = |reason: &'static str| Invalid::new("base URL", reason);
        let url = Url::parse(base_url).map_err(|error| Invalid::new("base URL", error.to_string()))?;
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
        let base = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self::Custom(CustomEnvironment { base, kind: Kind::Test }))
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
            Self::Custom(custom) => f.write_str(&custom.base),
        }
    }
}

impl fmt::Debug for CustomEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
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

/// Everything that the `MPESA_*` variables say.
///
/// | variable | meaning |
/// |---|---|
/// | `MPESA_ENVIRONMENT` | `sandbox` or `production`; may be left out if `MPESA_BASE_URL` is set |
/// | `MPESA_BASE_URL` | a gateway or simulator: https, or http to a loopback address |
/// | `MPESA_CONSUMER_KEY`, `MPESA_CONSUMER_SECRET` | the app's credentials |
/// | `MPESA_SHORTCODE`, `MPESA_PASSKEY` | the PayBill that is paid, or with `MPESA_TILL` the till's store number |
/// | `MPESA_TILL` | the till that is paid |
/// | `MPESA_CALLBACK_URL` | where Daraja reports payments |
/// | `MPESA_B2C_SHORTCODE`, `MPESA_B2C_INITIATOR_NAME`, `MPESA_B2C_SECURITY_CREDENTIAL`, `MPESA_B2C_RESULT_URL`, `MPESA_B2C_TIMEOUT_URL` | payouts: all or nothing |
///
/// A group that is left out is no error until it is [`required`](Group::required).
///
/// ```
/// use daraja::Settings;
///
/// let settings = Settings::from_lookup(|name| {
///     Some(match name {
///         "MPESA_ENVIRONMENT" => "sandbox",
///         "MPESA_CONSUMER_KEY" => "key of the app",
///         "MPESA_CONSUMER_SECRET" => "its secret",
///         _ => return None,
///     }.to_owned())
/// })?;
/// assert!(settings.merchant.optional().is_none());
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Which Daraja to call.
    pub environment: Environment,
    /// The app's credentials.
    pub credentials: Credentials,
    /// Who is paid: `MPESA_SHORTCODE` and `MPESA_PASSKEY`, and `MPESA_TILL` for a till.
    pub merchant: Group<Merchant>,
    /// `MPESA_CALLBACK_URL`.
    pub callback_url: Group<Url>,
    /// The `MPESA_B2C_*` variables.
    pub payouts: Group<PayoutSettings>,
}

/// The `MPESA_B2C_*` variables.
#[derive(Clone)]
#[non_exhaustive]
pub struct PayoutSettings {
    /// The short code that pays.
    pub short_code: ShortCode,
    /// The API operator's name.
    pub initiator_name: String,
    /// The operator's encrypted password.
    pub security_credential: SecurityCredential,
    /// Where results go.
    pub result_url: Url,
    /// Where queue timeouts go.
    pub timeout_url: Url,
}

/// Settings that a program may do without.
///
/// ```
/// # let lookup = |name: &str| name.starts_with("MPESA_CONSUMER").then(|| "x".to_owned())
/// #     .or_else(|| (name == "MPESA_ENVIRONMENT").then(|| "sandbox".to_owned()));
/// let settings = daraja::Settings::from_lookup(lookup)?;
/// let error = settings.merchant.required().unwrap_err();
/// assert!(error.to_string().contains("MPESA_SHORTCODE"));
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Clone)]
pub struct Group<T> {
    value: Option<T>,
    names: &'static [&'static str],
}

/// Says whether the settings are there, not what they are.
impl<T> fmt::Debug for Group<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("names", &self.names)
            .field("is_set", &self.value.is_some())
            .finish_non_exhaustive()
    }
}

impl<T> Group<T> {
    /// The settings, or an error that names the variables that are missing.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the group was left out.
    pub fn required(self) -> Result<T, ConfigError> {
        let problem = |name: &&'static str| ConfigProblem::new(*name, "is missing, and this program needs it");
        self.value.ok_or_else(|| ConfigError::new(self.names.iter().map(problem).collect()))
    }

    /// The settings, or `None` if the group was left out.
    #[must_use]
    pub fn optional(self) -> Option<T> {
        self.value
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("environment", &self.environment)
            .field("credentials", &self.credentials)
            .field("merchant", &self.merchant.value)
            .field("callback_url", &self.callback_url.value.as_ref().map(WithoutPath))
            .field("payouts", &self.payouts.value)
            .finish()
    }
}

impl fmt::Debug for PayoutSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayoutSettings")
            .field("short_code", &self.short_code)
            .field("initiator_name", &self.initiator_name)
            .field("security_credential", &self.security_credential)
            .field("result_url", &WithoutPath(&self.result_url))
            .field("timeout_url", &WithoutPath(&self.timeout_url))
            .finish()
    }
}

impl Settings {
    /// Reads the process's environment variables. No `.env` file is read.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with everything that is missing or wrong, at once, without the values.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads the variables through a function, so that they can come from a file, a vault or a test.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with everything that is missing or wrong, at once, without the values.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut reader = Reader { lookup, problems: Vec::new() };
        let environment = reader.environment();
        let key = reader.required("MPESA_CONSUMER_KEY", "copy it from your app on the Daraja portal", text);
        let secret = reader.required("MPESA_CONSUMER_SECRET", "copy it from your app on the Daraja portal", text);
        let merchant = reader.merchant();
        let callback_url = reader.optional("MPESA_CALLBACK_URL", url);
        let payouts = reader.payouts();
        match (environment, key, secret, reader.problems) {
            (Some(environment), Some(key), Some(secret), problems) if problems.is_empty() => Ok(Self {
                environment,
                credentials: Credentials::new(key, secret),
                merchant: Group { value: merchant, names: &EXPRESS },
                callback_url: Group { value: callback_url, names: &["MPESA_CALLBACK_URL"] },
                payouts: Group { value: payouts, names: &PAYOUTS },
            }),
            (.., problems) => Err(ConfigError::new(problems)),
        }
    }
}

const EXPRESS: [&str; 2] = ["MPESA_SHORTCODE", "MPESA_PASSKEY"];
const PAYOUTS: [&str; 5] = [
    "MPESA_B2C_SHORTCODE",
    "MPESA_B2C_INITIATOR_NAME",
    "MPESA_B2C_SECURITY_CREDENTIAL",
    "MPESA_B2C_RESULT_URL",
    "MPESA_B2C_TIMEOUT_URL",
];

#[expect(clippy::unnecessary_wraps, reason = "of one shape with the readers that can fail")]
fn text(value: &str) -> Result<String, Invalid> {
    Ok(value.to_owned())
}

fn url(value: &str) -> Result<Url, Invalid> {
    Url::parse(value).map_err(|error| Invalid::new("URL", error.to_string()))
}

/// Reads variables one by one and collects what is wrong with them.
struct Reader<L> {
    lookup: L,
    problems: Vec<ConfigProblem>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    fn raw(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn is_set(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    fn problem(&mut self, name: &'static str, problem: impl Into<Cow<'static, str>>) {
        self.problems.push(ConfigProblem::new(name, problem));
    }

    fn optional<T>(&mut self, name: &'static str, read: impl Fn(&str) -> Result<T, Invalid>) -> Option<T> {
        let value = self.raw(name)?;
        if value.contains(" #") {
            self.problem(
                name,
                "holds ` #`: the comment behind the value was read as part of it, so move it to its own line",
            );
            return None;
        }
        if value.starts_with("your_") || value.starts_with("https://your-domain.com") {
            self.problem(name, "still holds the placeholder of the guide");
            return None;
        }
        read(&value).map_err(|error| self.problem(name, format!("is wrong: {}", error.reason()))).ok()
    }

    fn required<T>(
        &mut self,
        name: &'static str,
        hint: &'static str,
        read: impl Fn(&str) -> Result<T, Invalid>,
    ) -> Option<T> {
        if !self.is_set(name) {
            self.problem(name, format!("is missing: {hint}"));
            return None;
        }
        self.optional(name, read)
    }

    fn environment(&mut self) -> Option<Environment> {
        let named = if self.is_set("MPESA_BASE_URL") && !self.is_set("MPESA_ENVIRONMENT") {
            Some(Environment::Sandbox)
        } else {
            self.required("MPESA_ENVIRONMENT", "set it to sandbox or production", |value| {
                match value.to_ascii_lowercase().as_str() {
                    "sandbox" => Ok(Environment::Sandbox),
                    "production" => Ok(Environment::Production),
                    _ => Err(Invalid::new("environment", "it must be sandbox or production")),
                }
            })
        };
        if !self.is_set("MPESA_BASE_URL") {
            return named;
        }
        let production = named.as_ref().is_some_and(Environment::is_production);
        let read = if production { Environment::custom_production } else { Environment::custom };
        let custom = self.optional("MPESA_BASE_URL", read);
        named.and(custom)
    }

    fn merchant(&mut self) -> Option<Merchant> {
        if !EXPRESS.iter().chain(&["MPESA_TILL"]).any(|name| self.is_set(name)) {
            return None;
        }
        let hint = "it is needed together with the other M-PESA Express settings";
        let short_code = self.required("MPESA_SHORTCODE", hint, ShortCode::from_str);
        let passkey = self.required("MPESA_PASSKEY", hint, |value| text(value).map(Passkey::new));
        let till = self.optional("MPESA_TILL", TillNumber::from_str);
        let (short_code, passkey) = (short_code?, passkey?);
        Some(match till {
            Some(till) => Merchant::till(short_code, till, passkey),
            None => Merchant::paybill(short_code, passkey),
        })
    }

    fn payouts(&mut self) -> Option<PayoutSettings> {
        if !PAYOUTS.iter().any(|name| self.is_set(name)) {
            return None;
        }
        let [code, name, credential, result, timeout] = PAYOUTS;
        let hint = "the MPESA_B2C_ settings are needed all together or not at all";
        let short_code = self.required(code, hint, ShortCode::from_str);
        let initiator_name = self.required(name, hint, text);
        let credential = self.required(credential, hint, |value| text(value).map(SecurityCredential::new));
        let result_url = self.required(result, hint, url);
        let timeout_url = self.required(timeout, hint, url);
        Some(PayoutSettings {
            short_code: short_code?,
            initiator_name: initiator_name?,
            security_credential: credential?,
            result_url: result_url?,
            timeout_url: timeout_url?,
        })
    }
}
