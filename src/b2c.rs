//! B2C: pay a customer, a supplier or an employee. Daraja page: "Business To Customer (B2C)".
//!
//! The money leaves your **utility** account, not the working account. It cannot be called back by API. What became of a
//! payment comes with the [`B2cResult`], once; [`TransactionStatusQuery`](crate::TransactionStatusQuery) asks for it. A
//! [`Payout`](crate::Payout) holds what must be kept between sending and knowing.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{
    Answer, Msisdn, Occasion, Operation, OriginatorConversationId, Remarks, Repeat, Result, Rules, Shillings,
    ShortCode, Timestamp,
    error::{ApiError, Error, mask_id},
    initiated::{Accepted, Initiator, ResultUrls},
    operation::NotAfter,
    wire::Text,
};

mod document;
mod failure;
mod result;

pub use document::{IdDocument, IdKind};
pub use failure::{B2cFailure, B2cReason};
pub use result::{B2cOutcome, B2cPayout, B2cResult, B2cUnproven};

pub(crate) const V3_PATH: &str = "/mpesa/b2c/v3/paymentrequest";
pub(crate) const V1_PATH: &str = "/mpesa/b2c/v1/paymentrequest";
pub(crate) const CHECKED_PATH: &str = "/mpesa/b2cvalidate/v2/paymentrequest";
pub(crate) const POCHI_PATH: &str = "/mpesa/b2pochi/v1/paymentrequest";

/// Pays someone from your utility account.
///
/// It carries an [`OriginatorConversationId`] from birth, by which Daraja tells a repeat from a second payment: **store it
/// before sending**. Pay by a [`Payout`](crate::Payout), which knows when it may be sent again. Without one: after an unknown
/// outcome send the same payment, not a new one, and only within ten minutes of the first sending; later Daraja may have
/// forgotten the id, and would pay twice, so ask with a [`TransactionStatusQuery`](crate::TransactionStatusQuery).
///
/// The answer, [`B2cAccepted`], says that the payment was taken, not that anybody was paid. If
/// [`send`](crate::Client::send) fails with [`outcome_unknown`](crate::Error::outcome_unknown), the money may have left.
///
/// ```
/// use daraja::{B2cPayment, B2cPurpose, Shillings, simulator::Simulator};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> daraja::Result<()> {
/// let simulator = Simulator::new();
/// let (daraja, initiator) = (simulator.client(), simulator.initiator());
///
/// let (supplier, amount) = ("0712 345 678".parse()?, Shillings::new(5_000)?);
/// let payment = B2cPayment::new(&initiator, simulator.b2c_short_code(), supplier, amount, simulator.result_urls())
///     .purpose(B2cPurpose::BusinessPayment)
///     .remarks("Invoice 1042".parse()?);
/// let id = payment.id().clone(); // store it now
/// let accepted = daraja.send(&payment).await?;
/// assert_eq!(simulator.payouts()[0].originator_conversation_id, Some(id));
///
/// // The same payment again is no second one.
/// assert!(daraja.send(&payment).await.unwrap_err().api().unwrap().is_duplicate());
/// assert_eq!(simulator.payouts().len(), 1);
/// # Ok(())
/// # }
/// ```
#[must_use = "a payment does nothing until it is sent"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct B2cPayment {
    initiator: Initiator,
    urls: ResultUrls,
    order: Order,
    not_after: Option<NotAfter>,
}

/// What is paid, to whom and under which id: all that makes two payments the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: OriginatorConversationId,
    pub(crate) short_code: ShortCode,
    pub(crate) recipient: Msisdn,
    pub(crate) amount: Shillings,
    pub(crate) purpose: B2cPurpose,
    pub(crate) remarks: Option<Remarks>,
    pub(crate) occasion: Option<Occasion>,
    pub(crate) product: Product,
}

/// Which of the four endpoints is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Product {
    V3,
    V1,
    Pochi,
    Checked(IdDocument),
}

impl Order {
    /// Only v3 and B2Pochi are known to recognise a repeat.
    pub(crate) fn repeat(&self) -> Repeat {
        match self.product {
            Product::V3 | Product::Pochi => Repeat::Deduplicated,
            Product::V1 | Product::Checked(_) => Repeat::Never,
        }
    }

    /// Whether Daraja is told our id, so that it can be asked by it.
    pub(crate) fn carries_its_id(&self) -> bool {
        self.product != Product::V1
    }
}

impl B2cPayment {
    /// Pays `amount` (whole shillings, 10 to 250 000 unless the [`Rules`] say otherwise) to `recipient` from the utility
    /// account of `short_code`, as a [`BusinessPayment`](B2cPurpose::BusinessPayment) under a random id.
    pub fn new(
        initiator: &Initiator,
        short_code: ShortCode,
        recipient: Msisdn,
        amount: Shillings,
        urls: ResultUrls,
    ) -> Self {
        let order = Order {
            id: OriginatorConversationId::random(),
            short_code,
            recipient,
            amount,
            purpose: B2cPurpose::BusinessPayment,
            remarks: None,
            occasion: None,
            product: Product::V3,
        };
        Self::of(initiator, urls, order)
    }

    pub(crate) fn of(initiator: &Initiator, urls: ResultUrls, order: Order) -> Self {
        Self { initiator: initiator.clone(), urls, order, not_after: None }
    }

    pub(crate) fn into_order(self) -> Order {
        self.order
    }

    /// Takes an id of your own in place of the random one. Two payments under one id are one payment to Daraja: the second
    /// is refused, whatever it pays to whom.
    pub fn with_id(mut self, id: OriginatorConversationId) -> Self {
        self.order.id = id;
        self
    }

    /// What the payment is for.
    pub fn purpose(mut self, purpose: B2cPurpose) -> Self {
        self.order.purpose = purpose;
        self
    }

    /// A note of 2 to 100 characters; `Payment` if it is left out.
    pub fn remarks(mut self, remarks: Remarks) -> Self {
        self.order.remarks = Some(remarks);
        self
    }

    /// A further note of 1 to 100 characters.
    pub fn occasion(mut self, occasion: Occasion) -> Self {
        self.order.occasion = Some(occasion);
        self
    }

    /// Uses version 1, for apps that lack version 3. It knows no id of yours, so nothing tells a repeat from a second
    /// payment: it is never repeated after an unknown outcome, and only its result tells what became of it.
    /// A payment with ID check stays one.
    pub fn v1(self) -> Self {
        self.keep_check_or(Product::V1)
    }

    /// Pays a Pochi la Biashara, a trader's wallet behind a phone number. Daraja page: "B2Pochi". The purpose is Pochi's own
    /// then. A payment with ID check stays one.
    pub fn to_pochi(self) -> Self {
        self.keep_check_or(Product::Pochi)
    }

    /// Pays only if the number is registered under this document; it takes the place of version 1 and of Pochi. Safaricom activates it on request. It is never repeated
    /// after an unknown outcome: whether Daraja would recognise the repeat is not known.
    pub fn with_id_check(mut self, document: IdDocument) -> Self {
        self.order.product = Product::Checked(document);
        self
    }

    /// Sets until when it may leave: for those who keep the payment's row themselves. A [`Payout`](crate::Payout) sets it by
    /// itself.
    pub fn not_after(mut self, not_after: NotAfter) -> Self {
        self.not_after = Some(not_after);
        self
    }

    /// A check that was asked for is not dropped: without it the money could go to a number that nobody checked.
    fn keep_check_or(mut self, product: Product) -> Self {
        if !matches!(self.order.product, Product::Checked(_)) {
            self.order.product = product;
        }
        self
    }

    /// The id by which Daraja tells a repeat from a second payment, the same for as long as this payment lives.
    #[must_use]
    pub fn id(&self) -> &OriginatorConversationId {
        &self.order.id
    }

    /// Who is paid.
    #[must_use]
    pub fn recipient(&self) -> Msisdn {
        self.order.recipient
    }

    /// How much is paid.
    #[must_use]
    pub fn amount(&self) -> Shillings {
        self.order.amount
    }
}

impl Operation for B2cPayment {
    type Response = B2cAccepted;

    fn path(&self) -> &str {
        match self.order.product {
            Product::V3 => V3_PATH,
            Product::V1 => V1_PATH,
            Product::Pochi => POCHI_PATH,
            Product::Checked(_) => CHECKED_PATH,
        }
    }

    /// Versions 3 and Pochi recognise the id.
    fn repeat(&self) -> Repeat {
        self.order.repeat()
    }

    fn not_after(&self) -> Option<NotAfter> {
        self.not_after
    }

    fn about(&self) -> Option<Cow<'_, str>> {
        Some(mask_id(self.order.id.as_str()).into())
    }

    fn check(&self, rules: &Rules) -> Result<()> {
        rules.check_line(self.order.recipient)?;
        rules.limits().check_b2c(self.order.amount)?;
        self.initiator.check(rules)?;
        Ok(self.urls.check(rules)?)
    }

    fn body(&self, _now: Timestamp) -> impl Serialize + Send {
        const NOTE: &str = "Payment";
        let Order { id, short_code, recipient, amount, purpose, remarks, occasion, product } = &self.order;
        let note = occasion.as_ref().map(Occasion::as_str);
        let document = if let Product::Checked(document) = product { Some(document) } else { None };
        let (command, double_s, single_s) = match product {
            Product::Pochi => ("BusinessPayToPochi", note.or(Some(NOTE)), None),
            // The older pages spell it right.
            Product::V1 => (purpose.as_str(), None, note),
            Product::V3 | Product::Checked(_) => (purpose.as_str(), note, None),
        };
        B2cBody {
            originator_conversation_id: self.order.carries_its_id().then(|| id.as_str().into()),
            initiator_name: self.initiator.name().into(),
            security_credential: self.initiator.credential().into(),
            command_id: command.into(),
            amount: *amount,
            party_a: short_code.as_str().into(),
            party_b: *recipient,
            remarks: remarks.as_ref().map_or(NOTE, Remarks::as_str).into(),
            queue_time_out_url: self.urls.timeout().as_str().into(),
            result_url: self.urls.result().as_str().into(),
            occassion: double_s.map(Into::into),
            occasion: single_s.map(Into::into),
            id_type: document.map(|document| document.kind().code().into()),
            id_number: document.map(|document| document.number().into()),
        }
    }

    fn decode(&self, answer: &Answer) -> Result<B2cAccepted> {
        let accepted = Accepted::read(answer)?;
        let named = accepted.conversation_id.is_some() || accepted.originator_conversation_id.is_some();
        if !named && !self.order.carries_its_id() {
            return Err(answer
                .unreadable("accepts the payment but names no id, so its result could not be told")
                .into());
        }
        Ok(B2cAccepted::Accepted(accepted))
    }

    /// "Duplicate" is an acceptance only as the answer to a repeat of ours. As the first answer it says that the id was
    /// used before, perhaps for another payment.
    fn fault(&self, refusal: ApiError) -> Result<B2cAccepted> {
        let is_ours = refusal.after_unknown() && self.repeat() == Repeat::Deduplicated;
        if refusal.is_duplicate() && is_ours {
            tracing::info!(payout = mask_id(self.order.id.as_str()), "payout was accepted before");
            return Ok(B2cAccepted::AlreadyAccepted);
        }
        Err(Error::Api(refusal))
    }
}

/// Daraja took the payment. Nobody is paid yet, and it is not certain that anybody will be: the result tells.
///
/// ```
/// use daraja::{B2cAccepted, B2cPayment, Shillings, simulator::{Fault, Route, Simulator}};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> daraja::Result<()> {
/// # let simulator = Simulator::new();
/// # let (initiator, urls) = (simulator.initiator(), simulator.result_urls());
/// # let (code, supplier) = (simulator.b2c_short_code(), "0712 345 678".parse()?);
/// let payment = B2cPayment::new(&initiator, code, supplier, Shillings::new(5_000)?, urls);
/// // The payment arrives, its answer is lost. The client sends it again, under the same id.
/// simulator.fault(Route::B2c, Fault::ResetAfter);
/// assert_eq!(simulator.client().send(&payment).await?, B2cAccepted::AlreadyAccepted);
/// assert_eq!(simulator.payouts().len(), 1); // paid once
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum B2cAccepted {
    /// Taken now.
    Accepted(Accepted),
    /// Taken before: an earlier attempt of this very `send` had arrived, its answer had not. The gateway's ids are not
    /// known.
    AlreadyAccepted,
}

/// What a payment is for. It decides how Safaricom books and words it.
///
/// ```
/// assert_eq!(daraja::B2cPurpose::SalaryPayment.as_str(), "SalaryPayment");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum B2cPurpose {
    /// To a supplier or customer, a refund among others.
    BusinessPayment,
    /// To an employee.
    SalaryPayment,
    /// A promotion or prize.
    PromotionPayment,
}

impl B2cPurpose {
    /// Daraja's `CommandID`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BusinessPayment => "BusinessPayment",
            Self::SalaryPayment => "SalaryPayment",
            Self::PromotionPayment => "PromotionPayment",
        }
    }
}

/// The request as it stands on the wire; the simulator reads it with amount and phone as text.
#[derive(Serialize)]
#[cfg_attr(feature = "simulator", derive(Deserialize, Default))]
#[serde(rename_all = "PascalCase")]
#[cfg_attr(
    feature = "simulator",
    serde(default, bound(deserialize = "'de: 'a, A: Deserialize<'de> + Default, P: Deserialize<'de> + Default"))
)]
pub(crate) struct B2cBody<'a, A, P> {
    #[serde(rename = "OriginatorConversationID", skip_serializing_if = "Option::is_none")]
    pub(crate) originator_conversation_id: Option<Text<'a>>,
    pub(crate) initiator_name: Text<'a>,
    pub(crate) security_credential: Text<'a>,
    #[serde(rename = "CommandID")]
    pub(crate) command_id: Text<'a>,
    pub(crate) amount: A,
    pub(crate) party_a: Text<'a>,
    pub(crate) party_b: P,
    pub(crate) remarks: Text<'a>,
    #[serde(rename = "QueueTimeOutURL")]
    pub(crate) queue_time_out_url: Text<'a>,
    #[serde(rename = "ResultURL")]
    pub(crate) result_url: Text<'a>,
    /// Sic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) occassion: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) occasion: Option<Text<'a>>,
    #[serde(rename = "IDType", skip_serializing_if = "Option::is_none")]
    pub(crate) id_type: Option<Text<'a>>,
    #[serde(rename = "IDNumber", skip_serializing_if = "Option::is_none")]
    pub(crate) id_number: Option<Text<'a>>,
}
