//! STK push: the prompt on the customer's phone. Daraja page: "M-Pesa Express".

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};
use url::Url;

use super::Merchant;
use crate::{
    AccountReference, Answer, CheckoutRequestId, MerchantRequestId, Msisdn, Operation, Repeat, Result, Rules,
    Shillings, Timestamp, TransactionDesc, callback_url, config::WithoutPath, error::mask_id, operation::NotAfter,
    webhook::shown_reference, wire::Text,
};

pub(crate) const PUSH_PATH: &str = "/mpesa/stkpush/v1/processrequest";

/// Asks a customer's phone for money: a prompt appears, and the PIN pays.
///
/// The answer, [`StkAccepted`], says that the prompt is on its way, not that anybody paid. What became of it comes with
/// the [`StkCallback`](super::StkCallback) or by [`StkQuery`](super::StkQuery);
/// [`Client::wait_for_payment`](crate::Client::wait_for_payment) listens to both.
///
/// A push is sent again by itself only if it provably was not carried out. If [`send`](crate::Client::send) fails with
/// [`outcome_unknown`](crate::Error::outcome_unknown), the phone may be ringing: do not push again. Daraja offers no way
/// to look such a push up, only its callback tells; so put a reference of your own into the callback URL.
///
/// ```
/// use daraja::{Shillings, StkPush, simulator::Simulator};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> daraja::Result<()> {
/// let simulator = Simulator::new();
/// let (daraja, merchant, callback_url) = (simulator.client(), simulator.merchant(), simulator.callback_url());
///
/// let payer = "254708374149".parse()?;
/// let push = StkPush::new(&merchant, payer, Shillings::new(500)?, "INV-001".parse()?, callback_url)
///     .description("Order 1042".parse()?);
/// let accepted = daraja.send(&push).await?;
/// assert!(accepted.checkout_request_id.as_str().starts_with("ws_CO_"));
/// # Ok(())
/// # }
/// ```
#[must_use = "a push does nothing until it is sent"]
#[derive(Clone, PartialEq, Eq)]
pub struct StkPush {
    merchant: Merchant,
    payer: Msisdn,
    amount: Shillings,
    reference: AccountReference,
    description: Option<TransactionDesc>,
    callback_url: Url,
    not_after: Option<NotAfter>,
}

impl StkPush {
    /// Asks `payer` for `amount` (whole shillings, 1 to 250 000 unless the [`Rules`] say otherwise).
    ///
    /// The reference is shown in the prompt and printed in the customer's SMS. The callback is posted to `callback_url`,
    /// once: https in production, reachable from the internet. Daraja delivers it to the byte, path and query included.
    pub fn new(
        merchant: &Merchant,
        payer: Msisdn,
        amount: Shillings,
        reference: AccountReference,
        callback_url: Url,
    ) -> Self {
        Self { merchant: merchant.clone(), payer, amount, reference, description: None, callback_url, not_after: None }
    }

    /// Sets until when it may leave: for a row that somebody else may take over, or after which the customer may be asked again. See
    /// [`NotAfter`].
    pub fn not_after(mut self, not_after: NotAfter) -> Self {
        self.not_after = Some(not_after);
        self
    }

    /// A note of 1 to 13 characters; `Payment` if it is left out.
    pub fn description(mut self, description: TransactionDesc) -> Self {
        self.description = Some(description);
        self
    }

    /// Whose phone is asked.
    #[must_use]
    pub fn payer(&self) -> Msisdn {
        self.payer
    }

    /// How much is asked for.
    #[must_use]
    pub fn amount(&self) -> Shillings {
        self.amount
    }
}

/// The callback URL is shown without its path, which is what keeps others from posting to it.
impl fmt::Debug for StkPush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StkPush")
            .field("merchant", &self.merchant)
            .field("payer", &self.payer)
            .field("amount", &self.amount)
            .field("reference", &self.reference)
            .field("description", &self.description)
            .field("callback_url", &WithoutPath(&self.callback_url))
            .finish_non_exhaustive()
    }
}

impl Operation for StkPush {
    type Response = StkAccepted;

    fn path(&self) -> &str {
        PUSH_PATH
    }

    /// Nothing on the wire tells a repeat from a second payment.
    fn repeat(&self) -> Repeat {
        Repeat::Never
    }

    fn not_after(&self) -> Option<NotAfter> {
        self.not_after
    }

    fn about(&self) -> Option<Cow<'_, str>> {
        let account = || mask_id(self.reference.as_str());
        Some(shown_reference(&self.callback_url).unwrap_or_else(account).into())
    }

    fn check(&self, rules: &Rules) -> Result<()> {
        rules.check_line(self.payer)?;
        rules.limits().check_stk(self.amount)?;
        callback_url::check("callback URL", &self.callback_url, rules)?;
        Ok(self.merchant.check(rules)?)
    }

    fn body(&self, now: Timestamp) -> impl Serialize + Send {
        let (password, timestamp) = self.merchant.stamp(now);
        let short_code = self.merchant.short_code.as_str();
        let (transaction_type, party_b) = match &self.merchant.till {
            Some(till) => ("CustomerBuyGoodsOnline", till.as_str()),
            None => ("CustomerPayBillOnline", short_code),
        };
        let description = self.description.as_ref().map_or("Payment", TransactionDesc::as_str);
        PushBody {
            business_short_code: short_code.into(),
            password: password.into(),
            timestamp: timestamp.into(),
            transaction_type: transaction_type.into(),
            amount: self.amount,
            party_a: self.payer,
            party_b: party_b.into(),
            phone_number: self.payer,
            call_back_url: self.callback_url.as_str().into(),
            account_reference: self.reference.as_str().into(),
            transaction_desc: description.into(),
        }
    }

    fn decode(&self, answer: &Answer) -> Result<StkAccepted> {
        let body: AcceptedBody<'_> = answer.json()?;
        let missing = |_| answer.unreadable("accepts the push but holds no readable CheckoutRequestID");
        let accepted = StkAccepted {
            checkout_request_id: body.checkout_request_id.as_str().parse().map_err(missing)?,
            merchant_request_id: body.merchant_request_id.as_str().parse().ok(),
            customer_message: body.customer_message.0.map(Cow::into_owned).unwrap_or_default(),
        };
        tracing::info!(
            reference = self.about().as_deref(),
            checkout_request_id = mask_id(accepted.checkout_request_id.as_str()),
            merchant_request_id = accepted.merchant_request_id.as_ref().map(|id| mask_id(id.as_str())),
            "push accepted"
        );
        Ok(accepted)
    }
}

/// Daraja took the push: the prompt is on its way. It is **not** paid.
///
/// Keep the [`checkout_request_id`](Self::checkout_request_id) before anything else: callback and query go by it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StkAccepted {
    /// What callback and query call this payment. It ends in the payer's number: personal data.
    pub checkout_request_id: CheckoutRequestId,
    /// The gateway's own id, for Safaricom's support.
    pub merchant_request_id: Option<MerchantRequestId>,
    /// Daraja's words for the customer.
    pub customer_message: String,
}

/// Without Daraja's free text.
impl fmt::Debug for StkAccepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StkAccepted")
            .field("checkout_request_id", &self.checkout_request_id)
            .field("merchant_request_id", &self.merchant_request_id)
            .finish_non_exhaustive()
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
pub(crate) struct PushBody<'a, A, P> {
    pub(crate) business_short_code: Text<'a>,
    pub(crate) password: Text<'a>,
    pub(crate) timestamp: Text<'a>,
    pub(crate) transaction_type: Text<'a>,
    pub(crate) amount: A,
    pub(crate) party_a: P,
    pub(crate) party_b: Text<'a>,
    pub(crate) phone_number: P,
    #[serde(rename = "CallBackURL")]
    pub(crate) call_back_url: Text<'a>,
    pub(crate) account_reference: Text<'a>,
    pub(crate) transaction_desc: Text<'a>,
}

/// The answer as it stands on the wire.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AcceptedBody<'a> {
    #[serde(borrow, default, rename = "MerchantRequestID")]
    pub(crate) merchant_request_id: Text<'a>,
    #[serde(borrow, default, rename = "CheckoutRequestID")]
    pub(crate) checkout_request_id: Text<'a>,
    #[serde(skip_deserializing)]
    pub(crate) response_code: Text<'a>,
    #[serde(skip_deserializing)]
    pub(crate) response_description: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) customer_message: Text<'a>,
}
