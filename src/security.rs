//! The [`SecurityCredential`], by which the APIs that move money out know who orders it (portal: "Getting Started",
//! security credentials).

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{Environment, error::Invalid};

#[cfg(feature = "crypto")]
mod certificate;
#[cfg(feature = "crypto")]
mod der;

#[cfg(feature = "crypto")]
pub use certificate::Certificate;

/// The initiator's password, encrypted with Safaricom's certificate; 344 base64 characters.
///
/// Whoever has it can order payouts until the password is changed, which M-PESA wants every 90 days. Wrong credentials in
/// a row lock the initiator, and then no money moves for anybody who shares it. So nothing is sent with a credential that
/// is none, or that was provably made with the certificate of another environment. One credential serves any number of
/// calls: it need not be made anew for each.
///
/// ```
/// let credential = daraja::SecurityCredential::new("kept out of logs");
/// assert_eq!(format!("{credential:?}"), "SecurityCredential([redacted])");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SecurityCredential {
    base64: Zeroizing<String>,
    made_for: Origin,
}

/// Whose certificate made a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "crypto"), expect(dead_code, reason = "only this crate's own encryption knows the origin"))]
enum Origin {
    Sandbox,
    Production,
    Unknown,
}

/// The credential of the smallest key that [`Certificate`] takes, in bytes; Safaricom's keys have this size.
const SHORTEST: usize = 256;

impl SecurityCredential {
    /// Takes a credential that was made elsewhere, such as on the portal. Its certificate is unknown.
    #[must_use]
    pub fn new(base64: impl Into<String>) -> Self {
        Self { base64: Zeroizing::new(base64.into()), made_for: Origin::Unknown }
    }

    /// Reveals the credential. Never write it to a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.base64
    }

    /// Whether it may be sent there. Custom test environments take the credentials of any certificate.
    pub(crate) fn check(&self, environment: &Environment) -> Result<(), Invalid> {
        let wrong = match (self.made_for, environment) {
            (Origin::Sandbox, to) if to.is_production() => {
                Some("it was made with the sandbox's certificate: make it with the one of production")
            }
            (Origin::Production, Environment::Sandbox) => {
                Some("it was made with production's certificate: make it with the one of the sandbox")
            }
            _ => self.malformed(),
        };
        wrong.map_or(Ok(()), |reason| Err(Invalid::new("security credential", reason)))
    }

    /// Why the text can be no credential of anybody's.
    pub(crate) fn malformed(&self) -> Option<&'static str> {
        let text = self.expose();
        if text.is_empty() {
            return Some("it is empty: encrypt the initiator's password with Safaricom's certificate");
        }
        if text.contains(char::is_whitespace) {
            return Some("it holds a blank or a line break: join it to one line of 344 characters");
        }
        match STANDARD.decode(text).map(Zeroizing::new) {
            Err(_) => Some("it is not base64: if it is the password itself, it has to be encrypted first"),
            Ok(bytes) if bytes.len() < SHORTEST => Some(
                "it is too short, 344 characters are usual: if it is the password itself, it has to be encrypted first",
            ),
            Ok(_) => None,
        }
    }
}

#[cfg(feature = "crypto")]
impl SecurityCredential {
    /// Encrypts an initiator's password for the environment of the certificate, which the credential remembers.
    ///
    /// The result is another one each time, and each is as good.
    ///
    /// ```
    /// use daraja::{Certificate, InitiatorPassword, SecurityCredential};
    ///
    /// let password = InitiatorPassword::new("kept out of logs");
    /// let credential = SecurityCredential::encrypt(&password, &Certificate::sandbox())?;
    /// assert_eq!(credential.expose().len(), 344);
    /// # Ok::<(), daraja::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Invalid`] if the password is empty, holds a line break, or is longer than the key can encrypt (245 bytes for
    /// Safaricom's).
    pub fn encrypt(password: &crate::InitiatorPassword, certificate: &Certificate) -> Result<Self, Invalid> {
        let plain = password.expose();
        let invalid = |reason: &'static str| Invalid::new("initiator password", reason);
        if plain.is_empty() {
            return Err(invalid("it is empty: set the one of the M-PESA organisation portal"));
        }
        if plain.contains(char::is_control) {
            return Err(invalid("it holds a line break or the like: trim what was read from a file"));
        }
        if plain.contains(['(', ')', '@', '.']) {
            tracing::warn!("the initiator password holds one of ( ) @ . which the portal advises against");
        }
        let sealed = certificate.seal(plain.as_bytes())?;
        Ok(Self { base64: Zeroizing::new(STANDARD.encode(&*sealed)), made_for: certificate.origin() })
    }
}

impl From<String> for SecurityCredential {
    fn from(base64: String) -> Self {
        Self::new(base64)
    }
}

impl From<&str> for SecurityCredential {
    fn from(base64: &str) -> Self {
        Self::new(base64)
    }
}

impl fmt::Debug for SecurityCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecurityCredential([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InitiatorPassword, simulator::Simulator};

    fn environments() -> [Environment; 4] {
        [
            Environment::Sandbox,
            Environment::Production,
            Environment::custom_production("https://gateway.example").unwrap(),
            Environment::custom("http://127.0.0.1:8090").unwrap(),
        ]
    }

    #[test]
    fn a_credential_goes_to_the_environment_of_its_certificate_only() {
        let password = InitiatorPassword::new("Safaricom999");
        let made = |certificate: &Certificate| SecurityCredential::encrypt(&password, certificate).unwrap();
        let copied = SecurityCredential::new(made(&Certificate::sandbox()).expose());
        for (credential, accepted) in [
            (made(&Certificate::sandbox()), [true, false, false, true]),
            (made(&Certificate::production()), [false, true, true, true]),
            (made(&Simulator::new().certificate()), [true; 4]),
            (copied, [true; 4]),
        ] {
            let checked = environments().map(|environment| credential.check(&environment).is_ok());
            assert_eq!(checked, accepted, "{:?}", credential.made_for);
        }
        let error = made(&Certificate::sandbox()).check(&Environment::Production).unwrap_err().to_string();
        assert!(error.ends_with("made with the sandbox's certificate: make it with the one of production"), "{error}");
        let error = made(&Certificate::production()).check(&Environment::Sandbox).unwrap_err().to_string();
        assert!(error.ends_with("made with production's certificate: make it with the one of the sandbox"), "{error}");
    }

    #[test]
    fn what_can_be_no_credential_is_refused_everywhere_and_not_shown() {
        let good = "A".repeat(342) + "==";
        for (text, reason) in [
            ("", "it is empty"),
            ("Safaricom999!*!", "it is not base64: if it is the password itself"),
            // A password can be base64 by chance.
            ("Safaricom999", "it is too short, 344 characters are usual: if it is the password itself"),
            (&good[..343], "it is not base64"),
            (&format!("{}\n{}", &good[..76], &good[76..]), "it holds a blank or a line break"),
            (&format!("{good} "), "it holds a blank or a line break"),
        ] {
            for environment in environments() {
                let error = SecurityCredential::new(text).check(&environment).unwrap_err();
                assert_eq!(error.what(), "security credential");
                assert!(error.reason().starts_with(reason), "{error}");
                assert!(!error.to_string().contains("Safaricom9"), "{error}");
            }
        }
        assert_eq!(SecurityCredential::new(good).check(&Environment::Production), Ok(()));
    }
}
