//! The document that B2C with ID check compares. Daraja page: "Business To Customer (B2C) with Validation".

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Invalid;

/// The document that a recipient has to be registered under: see [`B2cPayment::with_id_check`](super::B2cPayment::with_id_check).
///
/// ```
/// use daraja::b2c::{IdDocument, IdKind};
/// let document = IdDocument::new(IdKind::NationalId, "12345678")?;
/// assert!(!format!("{document:?}").contains("12345678"));
/// # Ok::<(), daraja::error::Invalid>(())
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdDocument {
    kind: IdKind,
    number: String,
}

impl IdDocument {
    /// Takes the kind of document and its number: 1 to 32 ASCII letters and digits.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if the number holds anything else, or nothing.
    pub fn new(kind: IdKind, number: impl Into<String>) -> Result<Self, Invalid> {
        let number = number.into();
        if (1..=32).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(Self { kind, number });
        }
        Err(Invalid::new("document number", "1 to 32 letters and digits are expected, without spaces or dashes"))
    }

    /// What kind of document it is.
    #[must_use]
    pub fn kind(&self) -> IdKind {
        self.kind
    }

    /// Its number: personal data.
    #[must_use]
    pub fn number(&self) -> &str {
        &self.number
    }
}

/// Without the number, which is personal data.
impl fmt::Debug for IdDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdDocument").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum IdKind {
    /// 01: a national identity card.
    NationalId,
    /// 02: a military identity card.
    MilitaryId,
    /// 03: an alien's card.
    AlienId,
    /// 04: a diplomat's card.
    DiplomaticId,
    /// 05: a passport.
    Passport,
}

impl IdKind {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::NationalId => "01",
            Self::MilitaryId => "02",
            Self::AlienId => "03",
            Self::DiplomaticId => "04",
            Self::Passport => "05",
        }
    }
}
