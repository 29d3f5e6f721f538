//! M-PESA Express: ask a customer's phone for money, and learn whether they paid.
//!
//! Daraja page: "M-Pesa Express". Only Safaricom's own M-PESA customers can be prompted. A prompt stays open for about a
//! minute. Nothing here is idempotent on Daraja's side: two pushes are two prompts and can be two payments.

use std::{fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};

use zeroize::Zeroizing;

use crate::{Rules, ShortCode, TillNumber, Timestamp, error::Invalid, secret::Passkey};

mod budget;
mod callback;
mod check;
mod failure;
mod push;
mod query;
mod settled;
mod wait;

pub(crate) use budget::QueryBudget;
pub use callback::{StkCallback, StkOutcome, StkPayment, StkUnproven};
pub use check::PaymentCheck;
pub use failure::{Source, StkFailure, StkReason};
#[cfg(feature = "simulator")]
pub(crate) use push::{AcceptedBody, PUSH_PATH, PushBody};
pub use push::{StkAccepted, StkPush};
#[cfg(feature = "simulator")]
pub(crate) use query::{QUERY_PATH, QueryAnswer, QueryBody};
pub use query::{StkQuery, StkStatus};
pub use settled::{Outcome, Payment, Settled};
pub use wait::Wait;

/// Who is paid by M-PESA Express, and the passkey that proves it. It absorbs the five fields that every integration gets
/// wrong: short code, password, timestamp, transaction type and credited party.
///
/// ```
/// use daraja::Merchant;
///
/// // A PayBill number is asked and credited.
/// let school = Merchant::paybill("174379".parse()?, "the passkey");
/// // A till is credited, but its store (head office) number asks. Both come in the Go Live mail.
/// let shop = Merchant::till("600986".parse()?, "5123456".parse()?, "the passkey");
/// assert!(!format!("{shop:?}").contains("the passkey"));
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merchant {
    short_code: ShortCode,
    till: Option<TillNumber>,
    signer: Arc<Signer>,
}

impl Merchant {
    /// A PayBill number.
    #[must_use]
    pub fn paybill(short_code: ShortCode, passkey: impl Into<Passkey>) -> Self {
        Self { short_code, till: None, signer: Arc::new(Signer::new(short_code, passkey.into())) }
    }

    /// A till (Buy Goods), with the store number it belongs to.
    #[must_use]
    pub fn till(store: ShortCode, till: TillNumber, passkey: impl Into<Passkey>) -> Self {
        Self { till: Some(till), ..Self::paybill(store, passkey) }
    }

    /// The number that asks: the PayBill, or the till's store number.
    #[must_use]
    pub fn short_code(&self) -> ShortCode {
        self.short_code
    }

    /// The till that is credited, if it is one.
    #[must_use]
    pub fn till_number(&self) -> Option<TillNumber> {
        self.till
    }

    pub(crate) fn check(&self, rules: &Rules) -> Result<(), Invalid> {
        if rules.environment().is_production() && self.signer.passkey.is_public_sandbox_passkey() {
            let reason = "it is the sandbox's public passkey: production has one of its own, from the Go Live mail";
            return Err(Invalid::new("passkey", reason));
        }
        Ok(())
    }

    /// Whether the till is the store number: Daraja answers `SFC_IC0003` then.
    pub(crate) fn till_is_store(&self) -> bool {
        self.till.is_some_and(|till| till.as_str() == self.short_code.as_str())
    }

    fn stamp(&self, now: Timestamp) -> (String, String) {
        let digits = now.digits();
        let timestamp = std::str::from_utf8(&digits).expect("digits are ASCII");
        (self.signer.password(timestamp), timestamp.to_owned())
    }
}

/// Makes the password: base64 of short code, passkey and the timestamp of the body. All but the timestamp stays the
/// same, so it is encoded once.
#[derive(PartialEq, Eq)]
struct Signer {
    passkey: Passkey,
    /// Short code and passkey, encoded as far as they fill groups of three bytes.
    encoded: Zeroizing<String>,
    /// The bytes left over.
    rest: Zeroizing<Vec<u8>>,
}

impl Signer {
    fn new(short_code: ShortCode, passkey: Passkey) -> Self {
        let plain = Zeroizing::new([short_code.as_str(), passkey.expose()].concat());
        let groups = plain.as_bytes().chunks_exact(3);
        let rest = Zeroizing::new(groups.remainder().to_vec());
        let whole = plain.as_bytes().strip_suffix(&**rest).expect("the remainder stands at the end");
        Self { encoded: Zeroizing::new(STANDARD.encode(whole)), rest, passkey }
    }

    fn password(&self, timestamp: &str) -> String {
        let mut last = Vec::with_capacity(16); // two bytes at most, and fourteen digits
        last.extend_from_slice(&self.rest);
        last.extend_from_slice(timestamp.as_bytes());
        let mut password = String::with_capacity(self.encoded.len().saturating_add(24));
        password.push_str(&self.encoded);
        STANDARD.encode_string(last, &mut password);
        password
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.passkey.fmt(f)
    }
}
