//! Values that must never be seen: no `Display`, no `Serialize`, a `Debug` that shows nothing, memory wiped on drop.

use std::fmt;

use zeroize::Zeroizing;

pub use crate::security::SecurityCredential;

macro_rules! secrets {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// Takes the secret as it is.
            #[must_use]
            pub fn new(secret: impl Into<String>) -> Self {
                Self(Zeroizing::new(secret.into()))
            }

            /// Reveals the secret. Never write it to a log.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(secret: String) -> Self {
                Self::new(secret)
            }
        }

        impl From<&str> for $name {
            fn from(secret: &str) -> Self {
                Self::new(secret)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    )+};
}

secrets! {
    /// The secret half of an app's credentials, from the portal's "My Apps" page.
    ///
    /// ```
    /// let secret = daraja::secret::ConsumerSecret::new("kept out of logs");
    /// assert_eq!(format!("{secret:?}"), "ConsumerSecret([redacted])");
    /// ```
    ConsumerSecret;

    /// The key that signs M-PESA Express requests; 64 hexadecimal digits, sent by Safaricom at Go Live.
    ///
    /// ```
    /// let passkey = daraja::secret::Passkey::new("kept out of logs");
    /// assert_eq!(format!("{passkey:?}"), "Passkey([redacted])");
    /// ```
    Passkey;

    /// The password of an initiator, the API user who orders payouts; set in the M-PESA organisation portal, and valid for
    /// 90 days. It is never sent: a [`SecurityCredential`] is made of it.
    ///
    /// ```
    /// let password = daraja::secret::InitiatorPassword::new("kept out of logs");
    /// assert_eq!(format!("{password:?}"), "InitiatorPassword([redacted])");
    /// ```
    InitiatorPassword;

    /// The key by which callback URLs are signed: 32 characters or more, from a random generator such as
    /// `openssl rand -hex 32`. It is your own, and never sent.
    ///
    /// ```
    /// let secret = daraja::secret::CallbackSecret::new("kept out of logs");
    /// assert_eq!(format!("{secret:?}"), "CallbackSecret([redacted])");
    /// ```
    CallbackSecret;

    /// The bearer token of the OAuth API. It lives for an hour at most.
    ///
    /// ```
    /// let token = daraja::secret::AccessToken::new("kept out of logs");
    /// assert_eq!(format!("{token:?}"), "AccessToken([redacted])");
    /// ```
    AccessToken;
}

impl CallbackSecret {
    /// A random one, by the operating system's generator: for tests and trials. A real one is kept, because the URLs that it
    /// signed are used after the program has ended.
    #[must_use]
    pub fn random() -> Self {
        let half = || uuid::Uuid::new_v4().simple();
        Self::new(format!("{}{}", half(), half()))
    }
}

impl Passkey {
    /// The sandbox's passkey is public, so it protects nothing: production refuses it.
    pub(crate) fn is_public_sandbox_passkey(&self) -> bool {
        self.expose() == "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"
    }
}
