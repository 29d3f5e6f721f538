//! M-PESA Express: ask a customer's phone for money, and learn whether they paid.
//!
//! Daraja page: "M-Pesa Express". Only Safaricom's own M-PESA customers can be prompted. A prompt stays open for about a
//! minute. Nothing here is idempotent on Daraja's side: two pushes are two prompts and can be two payments.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{ShortCode, TillNumber, Timestamp, secret::Passkey};

mod budget;
mod callback;
mod failure;
mod push;
mod query;
mod wait;

pub(crate) use budget::QueryBudget;
pub use callback::{StkCallback, StkOutcome, StkPayment, StkUnproven};
pub use failure::{Source, StkFailure, StkReason};
#[cfg(feature = "simulator")]
pub(crate) use push::{AcceptedBody, PUSH_PATH, PushBody};
pub use push::{StkAccepted, StkPush};
#[cfg(feature = "simulator")]
pub(crate) use query::{QUERY_PATH, QueryAnswer, QueryBody};
pub use query::{StkQuery, StkStatus};
pub use wait::{Outcome, Payment, Settled, Wait};

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
    passkey: Arc<Passkey>,
}

impl Merchant {
    /// A PayBill number.
    #[must_use]
    pub fn paybill(short_code: ShortCode, passkey: impl Into<Passkey>) -> Self {
        Self { short_code, till: None, passkey: Arc::new(passkey.into()) }
    }

    /// A till (Buy Goods), with the store number it belongs to.
    #[must_use]
    pub fn till(store: ShortCode, till: TillNumber, passkey: impl Into<Passkey>) -> Self {
        Self { short_code: store, till: Some(till), passkey: Arc::new(passkey.into()) }
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

    pub(crate) fn uses_public_passkey(&self) -> bool {
        self.passkey.is_public_sandbox_passkey()
    }

    /// base64 of short code, passkey and timestamp: the same timestamp as in the body.
    fn password(&self, timestamp: &str) -> String {
        let plain = zeroize::Zeroizing::new([self.short_code.as_str(), self.passkey.expose(), timestamp].concat());
        STANDARD.encode(&*plain)
    }

    fn stamp(&self, now: Timestamp) -> (String, String) {
        let timestamp = now.to_string();
        (self.password(&timestamp), timestamp)
    }
}
