//! What is wrong before anything is sent: values and settings.

use std::{borrow::Cow, fmt};

use super::mask;

/// A value that Daraja would refuse, or that this crate refuses to send. It names the cause and shows the input masked.
///
/// ```
/// let error = "0712 345".parse::<daraja::Msisdn>().unwrap_err();
/// assert!(error.to_string().starts_with("invalid phone number"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(Box<InvalidParts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct InvalidParts {
    what: &'static str,
    input: Option<Box<str>>,
    reason: Cow<'static, str>,
}

impl Invalid {
    /// Names what is wrong and why. For checks of an [`Operation`](crate::Operation) of your own.
    ///
    /// ```
    /// let error = daraja::error::Invalid::new("invoice number", "12 digits are expected");
    /// assert_eq!(error.to_string(), "invalid invoice number: 12 digits are expected");
    /// ```
    #[must_use]
    pub fn new(what: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(InvalidParts { what, input: None, reason: reason.into() }))
    }

    /// Adds the input, masked: its first four and last two letters or digits stay readable.
    #[must_use]
    pub fn with_input(mut self, input: &str) -> Self {
        self.0.input = Some(mask(input).into());
        self
    }

    /// What kind of value was wrong, such as `phone number`.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.0.what
    }

    /// Why it was refused.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.reason
    }
}

impl From<url::ParseError> for Invalid {
    fn from(error: url::ParseError) -> Self {
        Self::new("URL", reason_of(error))
    }
}

/// The parser's words are terms of its specification.
fn reason_of(error: url::ParseError) -> Cow<'static, str> {
    use url::ParseError;

    Cow::Borrowed(match error {
        ParseError::EmptyHost => "it has no host name",
        ParseError::IdnaError | ParseError::InvalidDomainCharacter => {
            "its host name holds a character that no host name has"
        }
        ParseError::InvalidPort => "its port is no number up to 65535",
        ParseError::InvalidIpv4Address | ParseError::InvalidIpv6Address => {
            "its host is written as an IP address and is none"
        }
        ParseError::RelativeUrlWithoutBase | ParseError::RelativeUrlWithCannotBeABaseBase => {
            "it does not begin with https://"
        }
        ParseError::Overflow => "it is far too long",
        other => return Cow::Owned(other.to_string()),
    })
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InvalidParts { what, input, reason } = &*self.0;
        match input {
            Some(input) => write!(f, "invalid {what} {input:?}: {reason}"),
            None => write!(f, "invalid {what}: {reason}"),
        }
    }
}

impl std::error::Error for Invalid {}

/// Settings that are missing or wrong, all of them at once. Values are never shown.
///
/// ```
/// let error = daraja::Settings::from_lookup(|_| None).unwrap_err();
/// assert!(error.to_string().contains("MPESA_CONSUMER_KEY"));
/// assert!(error.to_string().contains("MPESA_CONSUMER_SECRET"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError(Box<[ConfigProblem]>);

/// One setting that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigProblem {
    /// The setting's name, such as `MPESA_SHORTCODE`.
    pub name: Cow<'static, str>,
    /// What is wrong with it and what to do, without its value.
    pub problem: Cow<'static, str>,
}

impl ConfigProblem {
    pub(crate) fn new(name: impl Into<Cow<'static, str>>, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), problem: problem.into() }
    }
}

impl ConfigError {
    pub(crate) fn new(problems: Vec<ConfigProblem>) -> Self {
        Self(problems.into())
    }

    pub(crate) fn one(name: impl Into<Cow<'static, str>>, problem: impl Into<Cow<'static, str>>) -> Self {
        Self::new(vec![ConfigProblem::new(name, problem)])
    }

    /// Every problem that was found, in the order of the documentation.
    #[must_use]
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.0
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("configuration: ")?;
        for (index, ConfigProblem { name, problem }) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{name} {problem}")?;
        }
        Ok(())
    }
}

/// A line for each problem: this is what a `main` prints that ends with the error.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConfigError")?;
        self.0.iter().try_for_each(|ConfigProblem { name, problem }| write!(f, "\n  {name} {problem}"))
    }
}

impl std::error::Error for ConfigError {}
