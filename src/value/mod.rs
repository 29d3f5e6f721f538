//! Values: parsed once, valid ever after.

mod ids;
mod inline;
mod money;
mod msisdn;
mod party;
mod payer;
mod receipt;
mod reference;
mod short_code;
mod timestamp;
mod wire;

pub use self::{
    ids::{CheckoutRequestId, ConversationId, MerchantRequestId, OriginatorConversationId},
    money::{Kes, Limits, Shillings},
    msisdn::Msisdn,
    party::Party,
    payer::Payer,
    receipt::ReceiptNumber,
    reference::{AccountReference, Occasion, Remarks, TransactionDesc},
    short_code::{ShortCode, TillNumber},
    timestamp::Timestamp,
};

/// Names a character for an error message, so that look-alikes and invisible ones can be told apart.
pub(crate) fn name_of(c: char) -> String {
    if c.is_ascii() { format!("{c:?}") } else { format!("{c:?} (U+{:04X})", u32::from(c)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_named_so_that_it_can_be_found() {
        assert_eq!(name_of('#'), "'#'");
        assert_eq!(name_of('\n'), "'\\n'");
        assert_eq!(name_of('٣'), "'٣' (U+0663)");
        assert_eq!(name_of('\u{a0}'), "'\\u{a0}' (U+00A0)");
    }
}
