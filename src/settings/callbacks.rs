//! The variables by which deliveries are received.

use std::env;

use ::url::Url;

use super::{Reader, url};
use crate::{
    error::{ConfigError, Invalid},
    secret::CallbackSecret,
    webhook::{ProxyHeader, Purpose, Receiver, SignedUrls, Sources},
};

pub(super) const SECRET: &str = "MPESA_CALLBACK_SECRET";

impl Receiver {
    /// Reads the process's environment variables: see [`from_lookup`](Self::from_lookup). No `.env` file is read.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with everything that is missing or wrong, at once, without the values.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| env::var(name).ok())
    }

    /// Reads the variables by which deliveries are received:
    ///
    /// | variable | meaning |
    /// |---|---|
    /// | `MPESA_CALLBACK_URL` | the base of the signed URLs of pushes: `URL/reference/signature` |
    /// | `MPESA_B2C_RESULT_URL`, `MPESA_B2C_TIMEOUT_URL` | the bases of payouts and reversals; without them, `/payout` and `/payout-timeout` below the first |
    /// | `MPESA_CALLBACK_SECRET` | signs them: 32 characters or more, such as `openssl rand -hex 32` prints |
    /// | `MPESA_CALLBACK_SECRET_BEFORE` | the secret before this one, as long as its URLs may still be used. Set it to the same secret while URLs of a version are in use that [did not sign the base](SignedUrls::also_accept) |
    /// | `MPESA_CALLBACK_URL_BEFORE`, `MPESA_B2C_RESULT_URL_BEFORE`, `MPESA_B2C_TIMEOUT_URL_BEFORE` | the bases before these, as long as [their URLs](SignedUrls::also_accept_urls_of) may still be used. Set those that have changed |
    /// | `MPESA_CALLBACK_SOURCES` | addresses and networks to take deliveries from, with commas, or `anyone`; without it, [Safaricom's](crate::webhook::SAFARICOM) |
    /// | `MPESA_CALLBACK_PROXIES` | addresses and networks of your own proxies, with commas |
    /// | `MPESA_CALLBACK_PROXY_HEADER` | the header that they write: `x-forwarded-for`, unless it is `forwarded` |
    ///
    /// Answers to questions come to `/question` and `/question-timeout` below `MPESA_CALLBACK_URL`, so your router has to
    /// bring these paths to the receiver, too.
    ///
    /// ```
    /// use daraja::webhook::Receiver;
    ///
    /// # let secret = daraja::secret::CallbackSecret::random();
    /// let receiver = Receiver::from_lookup(|name| {
    ///     Some(match name {
    ///         "MPESA_CALLBACK_URL" => "https://shop.example/daraja",
    ///         "MPESA_CALLBACK_SECRET" => secret.expose(),
    ///         "MPESA_CALLBACK_PROXIES" => "127.0.0.1, 10.0.0.0/8",
    ///         _ => return None,
    ///     }.to_owned())
    /// })?;
    /// let reference = "attempt-1042".parse()?;
    /// assert!(receiver.urls().stk(&reference).as_str().starts_with("https://shop.example/daraja/attempt-1042/"));
    /// let payout = receiver.urls().payout(&reference);
    /// assert!(payout.result().as_str().starts_with("https://shop.example/daraja/payout/attempt-1042/"));
    /// # Ok::<(), daraja::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with everything that is missing or wrong, at once, without the values.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut reader = Reader { lookup, problems: Vec::new() };
        let receiver = reader.receiver();
        receiver.ok_or_else(|| ConfigError::new(reader.problems))
    }
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    /// `None` is a problem that was noted.
    pub(super) fn receiver(&mut self) -> Option<Receiver> {
        let base = self.required("MPESA_CALLBACK_URL", "signed callback URLs begin with it", url);
        let signing = self.required(SECRET, "make one with `openssl rand -hex 32`", secret);
        let before = self.optional("MPESA_CALLBACK_SECRET_BEFORE", secret_before);
        let [results, timeouts] =
            ["MPESA_B2C_RESULT_URL", "MPESA_B2C_TIMEOUT_URL"].map(|name| self.optional(name, base_url));
        let moved = ["MPESA_CALLBACK_URL_BEFORE", "MPESA_B2C_RESULT_URL_BEFORE", "MPESA_B2C_TIMEOUT_URL_BEFORE"]
            .map(|name| self.optional(name, base_url));
        let sources = self.sources();
        let (base, signing) = (base?, signing?);
        let under = |base: &Url, results: Option<Url>, timeouts: Option<Url>| {
            let urls = SignedUrls::new(base.clone(), signing.clone())?.at(Purpose::Stk, base.clone())?;
            let others = [(Purpose::Payout, results), (Purpose::PayoutTimeout, timeouts)];
            let others = others.into_iter().filter_map(|(purpose, base)| Some((purpose, base?)));
            let urls = others.into_iter().try_fold(urls, |urls, (purpose, base)| urls.at(purpose, base))?;
            before.iter().cloned().try_fold(urls, SignedUrls::also_accept)
        };
        let is_moved = moved.iter().any(Option::is_some);
        let [base_before, results_before, timeouts_before] = moved;
        let urls = under(&base, results.clone(), timeouts.clone()).and_then(|urls| {
            if !is_moved {
                return Ok(urls);
            }
            let (results, timeouts) = (results_before.or(results), timeouts_before.or(timeouts));
            Ok(urls.also_accept_urls_of(under(&base_before.unwrap_or(base), results, timeouts)?))
        });
        let urls =
            urls.map_err(|error| self.problem("MPESA_CALLBACK_URL", format!("is wrong: {}", error.reason()))).ok()?;
        if self.problems.is_empty() { Some(Receiver::new(urls).sources(sources?)) } else { None }
    }

    fn sources(&mut self) -> Option<Sources> {
        let sources = if self.is_set("MPESA_CALLBACK_SOURCES") {
            self.optional("MPESA_CALLBACK_SOURCES", allowed)
        } else {
            Some(Sources::safaricom())
        };
        let header = self.optional("MPESA_CALLBACK_PROXY_HEADER", |name| match name.to_ascii_lowercase().as_str() {
            "x-forwarded-for" => Ok(ProxyHeader::XForwardedFor),
            "forwarded" => Ok(ProxyHeader::Forwarded),
            _ => Err(Invalid::new("proxy header", "it must be x-forwarded-for or forwarded")),
        });
        if !self.is_set("MPESA_CALLBACK_PROXIES") {
            return sources;
        }
        // Read even if the sources are wrong: all problems are told at once.
        let front = sources.clone().unwrap_or_default();
        let behind = |list: &str| front.clone().behind(list.split(','), header.unwrap_or_default());
        self.optional("MPESA_CALLBACK_PROXIES", behind).filter(|_| sources.is_some())
    }
}

/// Checked here, so that a problem is told of the variable that has it.
fn base_url(value: &str) -> Result<Url, Invalid> {
    let base = url(value)?;
    SignedUrls::check(&base).map(|()| base)
}

fn secret(value: &str) -> Result<CallbackSecret, Invalid> {
    let secret = CallbackSecret::new(value);
    secret.check().map(|()| secret)
}

fn secret_before(value: &str) -> Result<CallbackSecret, Invalid> {
    let secret = CallbackSecret::new(value);
    secret.check_length().map(|()| secret)
}

fn allowed(list: &str) -> Result<Sources, Invalid> {
    if list.eq_ignore_ascii_case("anyone") { Ok(Sources::anyone()) } else { Sources::only(list.split(',')) }
}
