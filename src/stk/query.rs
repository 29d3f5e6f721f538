//! STK query: what Daraja knows about a push. Daraja page: "M-Pesa Express Query".

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{
    Merchant,
    failure::{Source, StkFailure},
};
use crate::{
    Answer, CheckoutRequestId, Operation, Repeat, Result, ResultCode, Timestamp,
    code::{Unproven, Why},
    error::{ApiError, Error, mask_id},
    operation::Rate,
    wire::Text,
};

pub(crate) const QUERY_PATH: &str = "/mpesa/stkpushquery/v1/query";

/// Asks what became of a push. It moves no money and may be repeated, but the sandbox allows five a minute per app. So all
/// queries of a client, those of [waits](crate::Client::wait_for_payment) included, are
/// [spaced](crate::client::ClientBuilder::query_spacing): one that is sent while others are due waits for its turn.
///
/// One answer that reports a failure is no proof: [`Client::check_payment`](crate::Client::check_payment) asks once a call and
/// keeps the answer for the next call.
///
/// ```
/// use daraja::{Shillings, StkPush, StkQuery, StkStatus, simulator::Simulator};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> daraja::Result<()> {
/// let simulator = Simulator::new();
/// let (daraja, merchant) = (simulator.client(), simulator.merchant());
/// # let push = StkPush::new(&merchant, "254708374149".parse()?, Shillings::new(1)?, "A".parse()?, simulator.callback_url());
/// let accepted = daraja.send(&push).await?;
///
/// let status = daraja.send(&StkQuery::new(&merchant, &accepted.checkout_request_id)).await?;
/// assert_eq!(status, StkStatus::Pending); // the customer has not entered the PIN yet
/// # Ok(())
/// # }
/// ```
#[must_use = "a query does nothing until it is sent"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StkQuery {
    merchant: Merchant,
    checkout_request_id: CheckoutRequestId,
}

impl StkQuery {
    /// Asks about the push that was accepted under this id, as the same merchant.
    pub fn new(merchant: &Merchant, checkout_request_id: &CheckoutRequestId) -> Self {
        Self { merchant: merchant.clone(), checkout_request_id: checkout_request_id.clone() }
    }
}

/// What an STK query says. It never brings a receipt, an amount or a number.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StkStatus {
    /// The prompt is open, or Daraja has no answer yet.
    Pending,
    /// Paid: a zero code for the very id that was asked about.
    Paid,
    /// Failed, as far as the query knows. A query has been seen to err: [`wait_for_payment`](crate::Client::wait_for_payment)
    /// believes it only when a second one agrees or a callback says so.
    Failed(StkFailure),
    /// Daraja does not know the id, which is also its answer right after a push. Not final.
    NotFound,
    /// A code that proves nothing: unknown to this crate, or Daraja itself was busy. Not final.
    Unknown(Unproven),
}

impl Operation for StkQuery {
    type Response = StkStatus;

    fn path(&self) -> &str {
        QUERY_PATH
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn rate(&self) -> Rate {
        Rate::StkQueries
    }

    fn about(&self) -> Option<Cow<'_, str>> {
        Some(mask_id(self.checkout_request_id.as_str()).into())
    }

    fn body(&self, now: Timestamp) -> impl Serialize + Send {
        let (password, timestamp) = self.merchant.stamp(now);
        QueryBody {
            business_short_code: self.merchant.short_code.as_str().into(),
            password: password.into(),
            timestamp: timestamp.into(),
            checkout_request_id: self.checkout_request_id.as_str().into(),
        }
    }

    fn decode(&self, answer: &Answer) -> Result<StkStatus> {
        let body: QueryAnswer<'_> = answer.json()?;
        let Some(code) = body.result_code else {
            return Err(answer.unreadable("holds no ResultCode").into());
        };
        match body.checkout_request_id.0 {
            Some(id) if id != self.checkout_request_id.as_str() => {
                Err(answer.unreadable("is about another payment").into())
            }
            // A zero proves a payment only for our own id.
            None if code.is_success() => {
                Ok(StkStatus::Unknown(Unproven::new(code, body.result_desc.as_str(), Why::NoId)))
            }
            _ => Ok(read(code, body.result_desc.as_str())),
        }
    }

    /// Daraja answers with an error status while it knows nothing: HTTP 500, and 400 for an id that is too young.
    fn fault(&self, refusal: ApiError) -> Result<StkStatus> {
        let code = refusal.code().map(crate::ErrorCode::as_str).unwrap_or_default();
        let message = refusal.message().trim().to_ascii_lowercase();
        let ends = |words: &str| message.trim_end_matches('.').ends_with(words);
        match code {
            "500.001.1001" if message.is_empty() || message.contains("being processed") => Ok(StkStatus::Pending),
            "500.001.1001" if ends("does not exist") && !message.contains("merchant") => Ok(StkStatus::NotFound),
            "400.002.02" if ends("invalid checkoutrequestid") => Ok(StkStatus::NotFound),
            _ => Err(Error::Api(refusal)),
        }
    }
}

fn read(code: ResultCode, description: &str) -> StkStatus {
    if code.is_success() {
        return StkStatus::Paid;
    }
    if code == ResultCode::PROCESSING || description.to_ascii_lowercase().contains("processing") {
        return StkStatus::Pending;
    }
    match StkFailure::known(code, description, Source::Query) {
        Ok(failure) => StkStatus::Failed(failure),
        Err(code) => StkStatus::Unknown(Unproven::new(code, description, Why::UnknownCode)),
    }
}

/// The request as it stands on the wire.
#[derive(Serialize)]
#[cfg_attr(feature = "simulator", derive(Deserialize, Default), serde(default))]
#[serde(rename_all = "PascalCase")]
pub(crate) struct QueryBody<'a> {
    #[serde(borrow)]
    pub(crate) business_short_code: Text<'a>,
    #[serde(borrow)]
    pub(crate) password: Text<'a>,
    #[serde(borrow)]
    pub(crate) timestamp: Text<'a>,
    #[serde(borrow, rename = "CheckoutRequestID")]
    pub(crate) checkout_request_id: Text<'a>,
}

/// The answer as it stands on the wire. `ResultCode` is a string here and a number in the callback.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct QueryAnswer<'a> {
    #[serde(borrow, default)]
    pub(crate) response_code: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) response_description: Text<'a>,
    #[serde(borrow, default, rename = "MerchantRequestID")]
    pub(crate) merchant_request_id: Text<'a>,
    #[serde(borrow, default, rename = "CheckoutRequestID")]
    pub(crate) checkout_request_id: Text<'a>,
    #[serde(default, serialize_with = "as_text")]
    pub(crate) result_code: Option<ResultCode>,
    #[serde(borrow, default)]
    pub(crate) result_desc: Text<'a>,
}

/// Daraja writes a query's code as a string.
#[expect(clippy::ref_option, reason = "serde passes the field as it is")]
fn as_text<S: serde::Serializer>(code: &Option<ResultCode>, serializer: S) -> Result<S::Ok, S::Error> {
    match code {
        Some(code) => serializer.collect_str(code),
        None => serializer.serialize_none(),
    }
}
