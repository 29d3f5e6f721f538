//! The name of one attempt, which stands in its callback URL.

use std::{fmt, str::FromStr};

use url::Url;

use crate::error::{Invalid, mask_id};

/// Your name for one attempt to be paid or to pay: 1 to 64 letters, digits, `-` and `_`. It stands in the callback URL, so
/// that a delivery says which attempt it is about, even if the answer to the request was lost.
///
/// Take a new one for each attempt, not one for each order: a late callback of the first attempt must not be taken for the
/// second. Store it before you send.
///
/// ```
/// use daraja::webhook::Reference;
///
/// let own: Reference = "attempt-1042".parse()?;
/// let random = Reference::random(); // 32 hexadecimal digits
/// assert_ne!(own, random);
/// assert!("order 1042".parse::<Reference>().is_err());
/// # Ok::<(), daraja::error::Invalid>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference(Box<str>);

impl Reference {
    pub(super) const MOST: usize = 64;

    /// A random one, by the operating system's generator.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string().into())
    }

    /// The text as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reference {
    type Err = Invalid;

    /// Takes the text verbatim.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if it is empty, too long, or holds anything but ASCII letters, digits, `-` and `_`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (1..=Self::MOST).contains(&text.len()) && text.bytes().all(is_part) {
            return Ok(Self(text.into()));
        }
        let reason = "1 to 64 letters, digits, - and _ are expected: it becomes a part of a URL";
        Err(Invalid::new("reference", reason).with_input(text))
    }
}

/// The reference in a signed URL, masked for the log. Whether this program has signed it is not checked.
pub(crate) fn shown_reference(url: &Url) -> Option<String> {
    let mut parts = url.path_segments()?.rev();
    let is_signature = |part: &str| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    parts.next().filter(|part| is_signature(part))?;
    parts.next()?.parse().ok().map(|reference: Reference| mask_id(reference.as_str()))
}

impl AsRef<str> for Reference {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A phone number in it is masked.
impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reference").field(&mask_id(&self.0)).finish()
    }
}
