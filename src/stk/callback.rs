//! The callback of a push: what became of it, told once. Daraja page: "M-Pesa Express".
//!
//! Read in one pass, by name, whatever the order, with numbers or strings: see the variants in `tests/fixtures/stk`.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::failure::{Source, StkFailure};
use crate::{
    CheckoutRequestId, Kes, MerchantRequestId, Msisdn, ReceiptNumber, ResultCode, Timestamp,
    error::{DecodeError, redact},
    wire::{Key, MalformedJson, Scalar, Text},
};

/// The largest callback that is read, in bytes. Real ones have about 600.
const MAX_BYTES: usize = 64 * 1024;

/// What became of a push, as Daraja's callback tells it.
///
/// A callback comes once, unsigned: believe it only if it came to a URL that nobody can guess, and compare the amount
/// with what was asked. It may come before the answer to the push, late, or never.
///
/// ```
/// use daraja::{Kes, StkCallback, StkOutcome};
///
/// let callback = StkCallback::parse(br#"{"Body":{"stkCallback":{
///     "MerchantRequestID":"29115-34620561-1","CheckoutRequestID":"ws_CO_191220191020363925",
///     "ResultCode":0,"ResultDesc":"The service request is processed successfully.",
///     "CallbackMetadata":{"Item":[{"Name":"Amount","Value":1.00},{"Name":"MpesaReceiptNumber","Value":"NLJ7RT61SV"},
///         {"Name":"Balance"},{"Name":"PhoneNumber","Value":254708374149}]}}}}"#)?;
/// let StkOutcome::Paid(payment) = &callback.outcome else { panic!("paid") };
/// assert_eq!(payment.receipt.as_str(), "NLJ7RT61SV");
/// assert_eq!(payment.amount, Some(Kes::from_cents(100)));
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StkCallback {
    /// Which push this is about; the answer to the push named it.
    pub checkout_request_id: CheckoutRequestId,
    /// The gateway's own id, for Safaricom's support.
    pub merchant_request_id: Option<MerchantRequestId>,
    /// What became of it.
    pub outcome: StkOutcome,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StkOutcome {
    /// Money came in: a zero code and a receipt.
    Paid(StkPayment),
    /// No money came in, finally.
    Failed(StkFailure),
    /// Neither is proved: ask with an [`StkQuery`](super::StkQuery).
    Unproven(StkUnproven),
}

/// Money that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StkPayment {
    /// M-PESA's receipt: the one identity of this money, in the customer's SMS as well.
    pub receipt: ReceiptNumber,
    /// What was paid. Compare it with what was asked.
    pub amount: Option<Kes>,
    /// Who paid.
    pub payer: Option<Msisdn>,
    /// When it was paid.
    pub completed_at: Option<Timestamp>,
}

/// A callback that proves nothing: a zero code without a receipt, or a code that is not known to be final.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StkUnproven {
    /// Daraja's code.
    pub code: ResultCode,
    /// Daraja's words.
    pub description: Box<str>,
}

impl fmt::Debug for StkUnproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StkUnproven").field("code", &self.code).finish_non_exhaustive()
    }
}

impl StkCallback {
    /// Reads a callback's body. Unknown keys are let pass, and so is anything but the two that matter: which push, and
    /// with which code.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if it is larger than 64 KiB, no JSON, names no push or no code, or gives either twice, differently.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let problem = |problem: String, text: &str| DecodeError::new(None, problem, text);
        if body.len() > MAX_BYTES {
            return Err(problem(format!("has {} bytes, more than the {MAX_BYTES} that are read", body.len()), ""));
        }
        let text = std::str::from_utf8(body).map_err(|error| problem(format!("is not UTF-8: {error}"), ""))?;
        let text = text.trim_start_matches('\u{feff}');
        let read: Wrapped<'_> =
            serde_json::from_str(text).map_err(|error| problem(MalformedJson(error).to_string(), text))?;
        read.0.finish().map_err(|what| problem(what.to_owned(), text))
    }
}

impl StkOutcome {
    /// What speaks for a payment outweighs what speaks against it, whatever came later: a failure does not undo a success,
    /// nor a success that lacks its receipt, which only a query can settle.
    pub(crate) fn weight(&self) -> u8 {
        match self {
            Self::Unproven(told) if !told.code.is_success() => 0,
            Self::Failed(_) => 1,
            Self::Unproven(_) => 2,
            Self::Paid(_) => 3,
        }
    }
}

/// What a callback held, before anything is concluded from it.
#[derive(Default)]
struct Read<'a> {
    checkout_request_id: Once<Cow<'a, str>>,
    merchant_request_id: Option<Cow<'a, str>>,
    code: Once<ResultCode>,
    description: Option<Cow<'a, str>>,
    items: Items<'a>,
}

#[derive(Default)]
struct Items<'a> {
    receipt: Once<Cow<'a, str>>,
    amount: Once<Kes>,
    payer: Once<Msisdn>,
    completed_at: Option<Timestamp>,
}

/// A value that decides something: it may be repeated, but not contradicted.
#[derive(Default)]
enum Once<T> {
    #[default]
    Absent,
    Given(T),
    Contradicted,
}

impl<T: PartialEq> Once<T> {
    fn add(&mut self, value: T) {
        *self = match std::mem::take(self) {
            Self::Absent => Self::Given(value),
            Self::Given(first) if first == value => Self::Given(first),
            _ => Self::Contradicted,
        };
    }

    /// What cannot be read contradicts what can.
    fn add_read(&mut self, value: Option<T>) {
        match value {
            Some(value) => self.add(value),
            None => *self = Self::Contradicted,
        }
    }

    fn given(self) -> Option<T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Contradicted => None,
        }
    }
}

impl Read<'_> {
    fn finish(self) -> Result<StkCallback, &'static str> {
        let id = match self.checkout_request_id {
            Once::Given(id) => id.parse().map_err(|_| "holds no readable CheckoutRequestID")?,
            Once::Absent => return Err("holds no CheckoutRequestID"),
            Once::Contradicted => return Err("holds two different CheckoutRequestIDs"),
        };
        let code = match self.code {
            Once::Given(code) => code,
            Once::Absent => return Err("holds no ResultCode"),
            Once::Contradicted => return Err("holds two different ResultCodes"),
        };
        Ok(StkCallback {
            checkout_request_id: id,
            merchant_request_id: self.merchant_request_id.and_then(|id| id.parse().ok()),
            outcome: conclude(code, self.description.as_deref().unwrap_or_default(), self.items),
        })
    }
}

/// Paid only with a zero code and a receipt that is not a dummy; failed only with a code that is known to be final.
fn conclude(code: ResultCode, description: &str, items: Items<'_>) -> StkOutcome {
    let Items { receipt, amount, payer, completed_at } = items;
    let receipt = match receipt {
        Once::Absent => Told::Nothing,
        Once::Given(text) => Told::read(text.trim()),
        Once::Contradicted => Told::Rubbish,
    };
    let unproven = |code| StkOutcome::Unproven(StkUnproven { code, description: redact(description, 200).into() });
    match (code.is_success(), receipt) {
        (true, Told::Receipt(receipt)) => {
            let (amount, payer) = (amount.given(), payer.given());
            StkOutcome::Paid(StkPayment { receipt, amount, payer, completed_at })
        }
        (false, Told::Nothing) => {
            StkFailure::known(code, description, Source::Callback).map_or_else(unproven, StkOutcome::Failed)
        }
        // A success without a receipt, or a failure with anything that may be one.
        (true, Told::Nothing | Told::Rubbish) | (false, Told::Receipt(_) | Told::Rubbish) => unproven(code),
    }
}

/// What was said of a receipt.
enum Told {
    /// No receipt, or the dummy that failed requests carry.
    Nothing,
    Receipt(ReceiptNumber),
    /// Something that is no receipt: `0`, `null`, or two different ones.
    Rubbish,
}

impl Told {
    fn read(text: &str) -> Self {
        match text.parse::<ReceiptNumber>() {
            Ok(receipt) if receipt.is_placeholder() => Self::Nothing,
            Ok(receipt) if receipt.proves_a_payment() => Self::Receipt(receipt),
            _ => Self::Rubbish,
        }
    }
}

/// The whole document: `{"Body":{"stkCallback":{..}}}`, or the inner parts alone, as proxies have been seen to send.
struct Wrapped<'a>(Read<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Wrapped<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut read = Read::default();
        deserializer.deserialize_any(Level(&mut read))?;
        Ok(Self(read))
    }
}

/// One object of the document. All levels are read by the same visitor: the keys do not overlap.
struct Level<'r, 'a>(&'r mut Read<'a>);

impl<'de: 'a, 'a> DeserializeSeed<'de> for Level<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Level<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(read) = self;
        while let Some(Key(key)) = map.next_key()? {
            match &*key {
                "Body" | "stkCallback" => map.next_value_seed(Level(read))?,
                "CallbackMetadata" => map.next_value_seed(Metadata(&mut read.items))?,
                "CheckoutRequestID" => {
                    if let Some(id) = text(&mut map)? {
                        read.checkout_request_id.add(id);
                    }
                }
                "ResultCode" => read.code.add(map.next_value()?),
                "MerchantRequestID" => read.merchant_request_id = text(&mut map)?,
                "ResultDesc" => read.description = text(&mut map)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Cow<'de, str>>, A::Error> {
    let Text(text) = map.next_value()?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// `CallbackMetadata`, its `Item`s in a list or alone, and each of them: whatever stands there, an item is found by its
/// `Name`. Anything of another shape holds no item.
struct Metadata<'i, 'a>(&'i mut Items<'a>);

impl<'de: 'a, 'a> DeserializeSeed<'de> for Metadata<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Metadata<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metadata")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(items) = self;
        let (mut name, mut value) = (None, None);
        while let Some(Key(key)) = map.next_key()? {
            match &*key {
                "Item" => map.next_value_seed(Metadata(items))?,
                "Name" => name = map.next_value::<Text<'de>>()?.0,
                "Value" => value = map.next_value::<Option<Scalar<'de>>>()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if let (Some(name), Some(value)) = (name, value) {
            items.add(&name, value);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Metadata(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
}

impl<'a> Items<'a> {
    fn add(&mut self, name: &str, value: Scalar<'a>) {
        match name {
            "MpesaReceiptNumber" => {
                if let Some(receipt) = value.into_text().filter(|receipt| !receipt.trim().is_empty()) {
                    self.receipt.add(receipt);
                }
            }
            "Amount" => self.amount.add_read(value.to_kes()),
            "PhoneNumber" => self.payer.add_read(value.read(Msisdn::try_from)),
            "TransactionDate" => self.completed_at = value.read(Timestamp::try_from),
            _ => {}
        }
    }
}
