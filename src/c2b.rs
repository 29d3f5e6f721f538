//! Money that customers send of their own accord, to a PayBill or a till. Daraja page: "Customer To Business (C2B)".
//!
//! Daraja posts two kinds of notice, of one and the same shape: a *validation*, which asks whether a payment may be made,
//! and a *confirmation*, which tells that it was made. **Only the URL they come to tells them apart**, so register two.

use std::{borrow::Cow, fmt};

use serde::de::MapAccess;

use crate::{
    Kes, Payer, ReceiptNumber, ShortCode, Timestamp,
    error::DecodeError,
    wire::{Fields, Next, Once, Quote, digest, plain, read_posted},
};

/// A notice of a payment to a PayBill or till: it asks, or it tells.
///
/// Money came in only if it is a [confirmation](C2bStage::Confirmation): see [`proof`](Self::proof). A payment that a push
/// asked for may be told here as well, under the same receipt.
///
/// ```
/// use daraja::{Kes, Payer, c2b::C2bNotice};
///
/// let body = br#"{"TransactionType":"Pay Bill","TransID":"RKL51ZDR4F","TransTime":"20231121121325","TransAmount":"5.00",
///     "BusinessShortCode":"600966","BillRefNumber":"INV-001","OrgAccountBalance":"25.00","MSISDN":"2547 ***** 126",
///     "FirstName":"NAME","MiddleName":"","LastName":""}"#;
/// let notice = C2bNotice::confirmation(body)?;
/// assert_eq!(notice.proof().unwrap().as_str(), "RKL51ZDR4F");
/// assert_eq!(notice.amount, Some(Kes::from_cents(500)));
/// assert_eq!(notice.reference.as_deref(), Some("INV-001"));
/// assert!(matches!(notice.payer, Some(Payer::Masked(_))));
///
/// // The same body at the other URL is a question: nobody has paid yet.
/// assert_eq!(C2bNotice::validation(body)?.proof(), None);
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct C2bNotice {
    /// Whether it asks or tells.
    pub stage: C2bStage,
    /// M-PESA's receipt, which a question carries as well.
    pub receipt: ReceiptNumber,
    /// The amount.
    pub amount: Option<Kes>,
    /// Who is paid: your PayBill, or your till's store number.
    pub short_code: Option<ShortCode>,
    /// What the customer typed as account number, up to 20 characters: free text of a stranger.
    pub reference: Option<Box<str>>,
    /// Who pays, as far as it is told.
    pub payer: Option<Payer>,
    /// The payer's name, or as much of it as is told: personal data.
    pub name: Option<Box<str>>,
    /// What kind of payment it is, such as `Pay Bill`, `Buy Goods` or `Organization To Organization Transfer`.
    pub transaction_type: Option<Box<str>>,
    /// When it was made.
    pub completed_at: Option<Timestamp>,
    /// What the account holds now.
    pub balance: Option<Kes>,
    /// What your answer to the validation gave as `ThirdPartyTransID`.
    pub third_party_id: Option<Box<str>>,
    pub(crate) digest: u128,
}

/// What a C2B notice is for, which its URL tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum C2bStage {
    /// It asks whether the payment may be made, and wants an answer within 8 seconds. Nobody has paid yet.
    Validation,
    /// The payment was made, finally.
    Confirmation,
    /// It was read without its URL, so that it proves nothing.
    Unclear,
}

impl C2bNotice {
    /// Reads what came to the validation URL.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], which quotes nothing, if it is larger than 64 KiB, no JSON object, or names no transaction or two.
    pub fn validation(body: &[u8]) -> Result<Self, DecodeError> {
        Self::read(C2bStage::Validation, body)
    }

    /// Reads what came to the confirmation URL.
    ///
    /// # Errors
    ///
    /// As for [`validation`](Self::validation).
    pub fn confirmation(body: &[u8]) -> Result<Self, DecodeError> {
        Self::read(C2bStage::Confirmation, body)
    }

    pub(crate) fn read(stage: C2bStage, body: &[u8]) -> Result<Self, DecodeError> {
        read_posted(body, Quote::Nothing, |read: Read<'_>| read.finish(stage, digest(body)))
    }

    /// The receipt, if it proves that money came in: it is a confirmation.
    #[must_use]
    pub fn proof(&self) -> Option<ReceiptNumber> {
        Some(self.receipt).filter(|receipt| self.stage == C2bStage::Confirmation && receipt.is_plausible())
    }
}

/// Without name, number and free text.
impl fmt::Debug for C2bNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("C2bNotice")
            .field("stage", &self.stage)
            .field("receipt", &self.receipt)
            .field("amount", &self.amount)
            .field("short_code", &self.short_code)
            .finish_non_exhaustive()
    }
}

/// What a notice held, before anything is concluded from it.
#[derive(Default)]
struct Read<'a> {
    receipt: Once<Cow<'a, str>>,
    amount: Once<Kes>,
    short_code: Once<Cow<'a, str>>,
    reference: Once<Cow<'a, str>>,
    payer: Once<Cow<'a, str>>,
    names: [Option<Cow<'a, str>>; 3],
    transaction_type: Option<Cow<'a, str>>,
    completed_at: Option<Cow<'a, str>>,
    balance: Option<Kes>,
    third_party_id: Option<Cow<'a, str>>,
}

impl Read<'_> {
    fn finish(self, stage: C2bStage, digest: u128) -> Result<C2bNotice, &'static str> {
        let receipt = self.receipt.required("holds no TransID", "holds two different TransIDs")?;
        let names: Vec<_> =
            self.names.iter().flatten().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
        let text = |text: Cow<'_, str>| Box::from(text.as_ref());
        Ok(C2bNotice {
            stage,
            receipt: receipt.trim().parse().map_err(|_| "holds no readable TransID")?,
            amount: self.amount.given(),
            short_code: self.short_code.given().and_then(|code| plain(&code).parse().ok()),
            reference: self.reference.given().map(text),
            payer: self.payer.given().and_then(|payer| Payer::read(plain(&payer))).filter(|payer| !is_cut_hash(payer)),
            name: Some(names.join(" ")).filter(|name| !name.is_empty()).map(Into::into),
            transaction_type: self.transaction_type.map(text),
            completed_at: self.completed_at.and_then(|time| plain(&time).parse().ok()),
            balance: self.balance,
            third_party_id: self.third_party_id.map(text),
            digest,
        })
    }
}

/// A hash that lost digits on its way, as in Safaricom's own sample: it says nothing about the payer.
fn is_cut_hash(payer: &Payer) -> bool {
    matches!(payer, Payer::Unreadable(text) if text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Flat; or wrapped by a proxy in `Body`.
impl<'a> Fields<'a> for Read<'a> {
    fn field<A: MapAccess<'a>>(&mut self, key: &str, value: Next<'_, A>) -> Result<(), A::Error> {
        match key {
            "Body" => value.object(self),
            "TransID" => value.add_text_to(&mut self.receipt),
            "TransAmount" => value.kes().map(|amount| self.amount.add_read(amount)),
            "BusinessShortCode" => value.add_text_to(&mut self.short_code),
            "BillRefNumber" => value.add_text_to(&mut self.reference),
            "MSISDN" => value.add_text_to(&mut self.payer),
            "FirstName" => value.text().map(|name| self.names[0] = name),
            "MiddleName" => value.text().map(|name| self.names[1] = name),
            "LastName" => value.text().map(|name| self.names[2] = name),
            "TransactionType" => value.text().map(|kind| self.transaction_type = kind),
            "TransTime" => value.text().map(|time| self.completed_at = time),
            "OrgAccountBalance" => value.kes().map(|balance| self.balance = balance),
            "ThirdPartyTransID" => value.text().map(|id| self.third_party_id = id),
            _ => value.skip(),
        }
    }
}
