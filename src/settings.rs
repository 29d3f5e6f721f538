//! [`Settings`]: everything that the `MPESA_*` variables say, with one error for all that is wrong.

use std::{borrow::Cow, fmt, str::FromStr};

use url::Url;
use zeroize::Zeroizing;

use crate::{
    Credentials, Environment, Initiator, Merchant, ResultUrls, Rules, ShortCode, TillNumber, callback_url,
    config::WithoutPath,
    error::{ConfigError, ConfigProblem, Invalid},
    secret::{InitiatorPassword, Passkey},
    security::SecurityCredential,
};

#[cfg(feature = "crypto")]
mod callbacks;
mod text;

use text::Text;

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
/// | `MPESA_CALLBACK_SECRET` | signs callback URLs (feature `crypto`): see [`Receiver::from_lookup`](crate::webhook::Receiver::from_lookup) for this and others |
/// | `MPESA_B2C_SHORTCODE`, `MPESA_B2C_INITIATOR_NAME`, `MPESA_B2C_SECURITY_CREDENTIAL`, `MPESA_B2C_RESULT_URL`, `MPESA_B2C_TIMEOUT_URL` | payouts: all or nothing |
/// | `MPESA_B2C_INITIATOR_PASSWORD` | in place of the credential, which is then made with the environment's certificate (feature `crypto`) |
///
/// A group that is left out is no error until it is [`required`](Group::required). What cannot be right is an error at once:
/// quotes, blanks and unseen characters that came along when a value was copied, a password in the place of its credential,
/// the sandbox's passkey in production. What is most likely wrong is logged as a warning: a till that is its own store number,
/// a callback URL that Safaricom cannot reach.
///
/// ```
/// use daraja::Settings;
///
/// let settings = Settings::from_lookup(|name| {
///     Some(match name {
///         "MPESA_ENVIRONMENT" => "sandbox",
///         "MPESA_CONSUMER_KEY" => "key-of-the-app",
///         "MPESA_CONSUMER_SECRET" => "its-secret",
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
    /// `MPESA_CALLBACK_SECRET` and what goes with it.
    #[cfg(feature = "crypto")]
    pub receiver: Group<crate::webhook::Receiver>,
}

/// The `MPESA_B2C_*` variables.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PayoutSettings {
    /// The short code that pays.
    pub short_code: ShortCode,
    /// The API operator: `MPESA_B2C_INITIATOR_NAME`, with `MPESA_B2C_SECURITY_CREDENTIAL` or one that is made of
    /// `MPESA_B2C_INITIATOR_PASSWORD`.
    pub initiator: Initiator,
    /// Where results and queue timeouts go: `MPESA_B2C_RESULT_URL` and `MPESA_B2C_TIMEOUT_URL`.
    pub urls: ResultUrls,
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
        let problem = |name: &&'static str| match *name {
            CREDENTIAL => {
                ConfigProblem::new(CREDENTIAL, format!("is missing, and this program needs it or {PASSWORD}"))
            }
            name => ConfigProblem::new(name, "is missing, and this program needs it"),
        };
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
            .finish_non_exhaustive()
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
        let rules = environment.clone().map(|environment| Rules::default().with_environment(environment));
        let merchant = reader.merchant(rules.as_ref());
        let callback_url = reader.optional("MPESA_CALLBACK_URL", callback(rules.as_ref()));
        let payouts = reader.payouts(rules.as_ref());
        #[cfg(feature = "crypto")]
        let receiver = if reader.is_set(callbacks::SECRET) { reader.receiver() } else { None };
        match (environment, key, secret, reader.problems) {
            (Some(environment), Some(key), Some(secret), problems) if problems.is_empty() => Ok(Self {
                environment,
                credentials: Credentials::new(key, secret),
                merchant: Group { value: merchant, names: &EXPRESS },
                callback_url: Group { value: callback_url, names: &["MPESA_CALLBACK_URL"] },
                payouts: Group { value: payouts, names: &PAYOUTS },
                #[cfg(feature = "crypto")]
                receiver: Group { value: receiver, names: &[callbacks::SECRET] },
            }),
            (.., problems) => Err(ConfigError::new(problems)),
        }
    }
}

const EXPRESS: [&str; 2] = ["MPESA_SHORTCODE", "MPESA_PASSKEY"];
const PAYOUTS: [&str; 5] =
    ["MPESA_B2C_SHORTCODE", "MPESA_B2C_INITIATOR_NAME", CREDENTIAL, "MPESA_B2C_RESULT_URL", "MPESA_B2C_TIMEOUT_URL"];
const CREDENTIAL: &str = "MPESA_B2C_SECURITY_CREDENTIAL";
/// What the credential can be made of.
const PASSWORD: &str = "MPESA_B2C_INITIATOR_PASSWORD";

#[expect(clippy::unnecessary_wraps, reason = "of one shape with the readers that can fail")]
fn text(value: &str) -> Result<String, Invalid> {
    Ok(value.to_owned())
}

fn url(value: &str) -> Result<Url, Invalid> {
    Ok(Url::parse(value)?)
}

/// Reads a URL that Daraja is to post to. Without rules there is a problem already.
fn callback(rules: Option<&Rules>) -> impl Fn(&str) -> Result<Url, Invalid> {
    move |value| {
        let url = url(value)?;
        rules.map_or(Ok(()), |rules| callback_url::check("callback URL", &url, rules))?;
        Ok(url)
    }
}

fn password(value: &str) -> Result<InitiatorPassword, Invalid> {
    let password = InitiatorPassword::new(value);
    if SecurityCredential::new(value).malformed().is_none() {
        let reason = format!("it is encrypted already: set it as {CREDENTIAL}, or give the password itself here");
        return Err(Invalid::new("initiator password", reason));
    }
    Ok(password)
}

fn credential(value: &str) -> Result<SecurityCredential, Invalid> {
    let credential = SecurityCredential::new(value);
    match credential.malformed() {
        Some(reason) => Err(Invalid::new("security credential", format!("{reason}, or set it as {PASSWORD}"))),
        None => Ok(credential),
    }
}

/// What may stand in the value of a variable.
fn text_of(name: &str) -> Text {
    match name {
        "MPESA_B2C_INITIATOR_NAME"
        | PASSWORD
        | "MPESA_CALLBACK_SECRET"
        | "MPESA_CALLBACK_SOURCES"
        | "MPESA_CALLBACK_PROXIES" => Text::Free,
        name if name.contains("_URL") => Text::Url,
        _ => Text::Word,
    }
}

/// Encrypts a password for an environment whose certificate is known.
#[cfg(feature = "crypto")]
fn encrypt(password: &InitiatorPassword, environment: &Environment) -> Result<SecurityCredential, Invalid> {
    use crate::Certificate;

    let certificate = match environment {
        to if to.is_production() => Certificate::production(),
        Environment::Sandbox => Certificate::sandbox(),
        _ => {
            let reason = format!("the certificate of a base URL of your own is unknown, so give {CREDENTIAL} instead");
            return Err(Invalid::new("initiator password", reason));
        }
    };
    SecurityCredential::encrypt(password, &certificate)
}

/// Refuses: there is nothing to encrypt with.
#[cfg(not(feature = "crypto"))]
fn encrypt(_: &InitiatorPassword, _: &Environment) -> Result<SecurityCredential, Invalid> {
    let reason = format!("daraja was built without its feature `crypto`: enable it, or give {CREDENTIAL} instead");
    Err(Invalid::new("initiator password", reason))
}

/// Reads variables one by one and collects what is wrong with them.
struct Reader<L> {
    lookup: L,
    problems: Vec<ConfigProblem>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    /// Any variable may hold a secret, so none is left in memory.
    fn raw(&self, name: &str) -> Option<Zeroizing<String>> {
        let value = Zeroizing::new((self.lookup)(name)?);
        let value = value.trim();
        (!value.is_empty()).then(|| Zeroizing::new(value.to_owned()))
    }

    fn is_set(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    fn problem(&mut self, name: &'static str, problem: impl Into<Cow<'static, str>>) {
        let problem = ConfigProblem::new(name, problem);
        // A variable that is read for two groups is wrong once.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
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
        // What URLs were signed with before was in use, whatever it is.
        let problem = if name.ends_with("_BEFORE") { None } else { text::problem(&value, text_of(name)) };
        if let Some(problem) = problem {
            self.problem(name, problem);
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

    fn merchant(&mut self, rules: Option<&Rules>) -> Option<Merchant> {
        if !EXPRESS.iter().chain(&["MPESA_TILL"]).any(|name| self.is_set(name)) {
            return None;
        }
        let hint = "it is needed together with the other M-PESA Express settings";
        let short_code = self.required("MPESA_SHORTCODE", hint, ShortCode::from_str);
        let passkey = self.required("MPESA_PASSKEY", hint, |value| text(value).map(Passkey::new));
        let till = self.optional("MPESA_TILL", TillNumber::from_str);
        let (short_code, passkey) = (short_code?, passkey?);
        let merchant = match till {
            Some(till) => Merchant::till(short_code, till, passkey),
            None => Merchant::paybill(short_code, passkey),
        };
        if merchant.till_is_store() {
            tracing::warn!(
                "MPESA_TILL is MPESA_SHORTCODE: a till's store number is another number, and Daraja fails such payments with \
                 SFC_IC0003. Leave MPESA_TILL out for a PayBill."
            );
        }
        let checked = rules.map_or(Ok(()), |rules| merchant.check(rules));
        checked.map_err(|error| self.problem("MPESA_PASSKEY", format!("is wrong: {}", error.reason()))).ok()?;
        Some(merchant)
    }

    fn payouts(&mut self, rules: Option<&Rules>) -> Option<PayoutSettings> {
        if !PAYOUTS.iter().chain(&[PASSWORD]).any(|name| self.is_set(name)) {
            return None;
        }
        let [code, name, _, result, timeout] = PAYOUTS;
        let hint = "the MPESA_B2C_ settings are needed all together or not at all";
        let short_code = self.required(code, hint, ShortCode::from_str);
        let initiator_name = self.required(name, hint, text);
        let credential = self.credential(rules.map(Rules::environment));
        let result_url = self.required(result, hint, callback(rules));
        let timeout_url = self.required(timeout, hint, callback(rules));
        let urls = ResultUrls::new(result_url?, timeout_url?);
        urls.check_apart().map_err(|error| self.problem(timeout, format!("is wrong: {}", error.reason()))).ok()?;
        let initiator = Initiator::new(initiator_name?, credential?);
        Some(PayoutSettings { short_code: short_code?, initiator, urls })
    }

    /// The credential as it is given, or made of the password. Without an environment there is a problem already.
    fn credential(&mut self, environment: Option<&Environment>) -> Option<SecurityCredential> {
        if !self.is_set(PASSWORD) {
            let hint = "the MPESA_B2C_ settings need it, or MPESA_B2C_INITIATOR_PASSWORD in its place";
            return self.required(CREDENTIAL, hint, credential);
        }
        if self.is_set(CREDENTIAL) {
            self.problem(PASSWORD, format!("is set together with {CREDENTIAL}: keep one of them"));
            return None;
        }
        let password = self.optional(PASSWORD, password)?;
        let encrypted = encrypt(&password, environment?);
        encrypted.map_err(|error| self.problem(PASSWORD, format!("cannot be used: {}", error.reason()))).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_encrypted_for_the_environment_that_is_called() {
        let gateway = Environment::custom_production("https://gateway.example").unwrap();
        for (environment, other) in [
            (Environment::Sandbox, Environment::Production),
            (Environment::Production, Environment::Sandbox),
            (gateway, Environment::Sandbox),
        ] {
            let credential = encrypt(&InitiatorPassword::new("Safaricom999!*!"), &environment).unwrap();
            assert_eq!(credential.check(&environment), Ok(()));
            assert!(credential.check(&other).is_err(), "{environment}");
        }
    }
}
