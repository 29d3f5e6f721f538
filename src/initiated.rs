//! What the initiator family shares: B2C, transaction status, account balance and reversal.
//!
//! All of them are asked for by an API operator, the [`Initiator`], whose encrypted password travels with each request.
//! The answer to the request, [`Accepted`], says that it was taken, whatever the password: what became of it is posted
//! to one of the two [`ResultUrls`], once, seconds or minutes later.

use std::{borrow::Cow, fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    Answer, ConversationId, OriginatorConversationId, Result, Rules, callback_url,
    config::WithoutPath,
    error::{Invalid, mask_id},
    security::SecurityCredential,
    webhook::shown_reference,
    wire::Text,
};

mod envelope;
mod failure;
mod result;
mod timeout;

pub(crate) use envelope::{Envelope, Ids};
pub use failure::{RequestFailure, RequestReason};
pub use result::{RequestPurpose, ResultEnvelope, ResultKind};
pub use timeout::{QueueTimeout, TimeoutShape};

/// The API operator who asks, and the credential that proves it. Made on M-PESA's organisation portal, with the roles of
/// what it is to ask for; it belongs to one short code.
///
/// The password behind the credential is valid for 90 days, and a few wrong ones lock the operator.
///
/// ```
/// use daraja::{Initiator, SecurityCredential};
///
/// let initiator = Initiator::new("shop-api", SecurityCredential::new("ready-made by the portal"));
/// assert_eq!(initiator.name(), "shop-api");
/// assert!(!format!("{initiator:?}").contains("ready-made"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Initiator(Arc<Operator>);

#[derive(PartialEq, Eq)]
struct Operator {
    name: Box<str>,
    credential: SecurityCredential,
}

impl Initiator {
    /// Takes the operator's name and credential.
    #[must_use]
    pub fn new(name: impl Into<String>, credential: impl Into<SecurityCredential>) -> Self {
        Self(Arc::new(Operator { name: name.into().into(), credential: credential.into() }))
    }

    /// The operator's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn credential(&self) -> &str {
        self.0.credential.expose()
    }

    pub(crate) fn check(&self, rules: &Rules) -> Result<(), Invalid> {
        if self.name().trim().is_empty() {
            return Err(Invalid::new("initiator name", "it is empty; take it from M-PESA's organisation portal"));
        }
        self.0.credential.check(rules.environment())
    }
}

impl fmt::Debug for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Initiator").field("name", &self.name()).field("credential", &self.0.credential).finish()
    }
}

/// Where Daraja posts what became of a request: the result, or that it timed out in Daraja's queue.
///
/// Each is posted once, unsigned: https in production, reachable from the internet, with a part that nobody can guess.
/// A reference of your own in both tells which request is meant, even if its answer was lost.
///
/// ```
/// use daraja::ResultUrls;
///
/// let urls = ResultUrls::new(
///     "https://shop.example/b2c/result/8c1f".parse()?,
///     "https://shop.example/b2c/timeout/8c1f".parse()?,
/// );
/// assert!(!format!("{urls:?}").contains("8c1f"));
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ResultUrls {
    result: Url,
    timeout: Url,
}

impl ResultUrls {
    /// Takes the URL of results and the URL of queue timeouts.
    #[must_use]
    pub fn new(result: Url, timeout: Url) -> Self {
        Self { result, timeout }
    }

    /// Where results go.
    #[must_use]
    pub fn result(&self) -> &Url {
        &self.result
    }

    /// Where queue timeouts go.
    #[must_use]
    pub fn timeout(&self) -> &Url {
        &self.timeout
    }

    pub(crate) fn check(&self, rules: &Rules) -> Result<(), Invalid> {
        callback_url::check("result URL", &self.result, rules)?;
        callback_url::check("timeout URL", &self.timeout, rules)?;
        self.check_apart()
    }

    pub(crate) fn check_apart(&self) -> Result<(), Invalid> {
        if self.result == self.timeout {
            let reason = "it is the result URL as well: a notice of a timeout would be read as a result, code and all";
            return Err(Invalid::new("timeout URL", reason));
        }
        Ok(())
    }
}

/// Without the paths, which are what keeps others from posting to them.
impl fmt::Debug for ResultUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResultUrls")
            .field("result", &WithoutPath(&self.result))
            .field("timeout", &WithoutPath(&self.timeout))
            .finish()
    }
}

/// Daraja took a request. It is **not** done: even a wrong credential is taken, and refused by the result.
///
/// ```
/// use daraja::{AccountBalanceQuery, simulator::Simulator};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> daraja::Result<()> {
/// let simulator = Simulator::new();
/// let (initiator, short_code) = (simulator.initiator(), simulator.b2c_short_code());
/// let query = AccountBalanceQuery::new(&initiator, short_code, simulator.result_urls());
/// let accepted = simulator.client().send(&query).await?;
/// assert!(accepted.conversation_id.unwrap().as_str().starts_with("AG_"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// The gateway's id of the request; the result carries it as well.
    pub conversation_id: Option<ConversationId>,
    /// The id that the result will carry: your own if the request had one, else the gateway's.
    pub originator_conversation_id: Option<OriginatorConversationId>,
    /// An earlier try of the same `send` may have been accepted as well.
    pub(crate) is_repeat: bool,
}

impl Accepted {
    /// Reads an acceptance. Without a `ResponseCode` nothing was accepted.
    pub(crate) fn read(answer: &Answer) -> Result<Self> {
        let body: AcceptedBody<'_> = answer.json()?;
        if body.response_code.as_str().is_empty() {
            return Err(answer.unreadable("holds no ResponseCode").into());
        }
        let accepted = Self {
            conversation_id: body.conversation_id.as_str().parse().ok(),
            originator_conversation_id: body.originator_conversation_id.as_str().parse().ok(),
            is_repeat: answer.after_unknown(),
        };
        tracing::info!(
            originator_conversation_id = accepted.originator_conversation_id.as_ref().map(|id| mask_id(id.as_str())),
            conversation_id = accepted.conversation_id.as_ref().map(|id| mask_id(id.as_str())),
            "request accepted"
        );
        Ok(accepted)
    }
}

/// The answer as it stands on the wire.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AcceptedBody<'a> {
    #[serde(borrow, default, rename = "ConversationID")]
    pub(crate) conversation_id: Text<'a>,
    #[serde(borrow, default, rename = "OriginatorConversationID", alias = "OriginatorCoversationID")]
    pub(crate) originator_conversation_id: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) response_code: Text<'a>,
    #[serde(skip_deserializing)]
    pub(crate) response_description: Text<'a>,
}

/// The fields of every request of the family but B2C's, which calls the initiator by another name.
#[derive(Serialize)]
#[cfg_attr(feature = "simulator", derive(Deserialize, Default), serde(default))]
#[serde(rename_all = "PascalCase")]
pub(crate) struct InitiatorFields<'a> {
    #[serde(borrow)]
    pub(crate) initiator: Text<'a>,
    #[serde(borrow)]
    pub(crate) security_credential: Text<'a>,
    #[serde(borrow, rename = "CommandID")]
    pub(crate) command_id: Text<'a>,
    #[serde(borrow)]
    pub(crate) remarks: Text<'a>,
    #[serde(borrow, rename = "QueueTimeOutURL")]
    pub(crate) queue_time_out_url: Text<'a>,
    #[serde(borrow, rename = "ResultURL")]
    pub(crate) result_url: Text<'a>,
}

/// What such a request is sent by and with, whatever it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asking {
    pub(crate) initiator: Initiator,
    pub(crate) urls: ResultUrls,
    pub(crate) remarks: Option<crate::Remarks>,
}

impl Asking {
    pub(crate) fn new(initiator: &Initiator, urls: ResultUrls) -> Self {
        Self { initiator: initiator.clone(), urls, remarks: None }
    }

    /// The reference of the result's URL.
    pub(crate) fn about(&self) -> Option<Cow<'_, str>> {
        shown_reference(&self.urls.result).map(Cow::Owned)
    }

    pub(crate) fn check(&self, rules: &Rules) -> Result<(), Invalid> {
        self.initiator.check(rules)?;
        self.urls.check(rules)
    }

    pub(crate) fn fields(&self, command: &'static str, remarks: &'static str) -> InitiatorFields<'_> {
        InitiatorFields {
            initiator: self.initiator.name().into(),
            security_credential: self.initiator.credential().into(),
            command_id: command.into(),
            remarks: self.remarks.as_ref().map_or(remarks, crate::Remarks::as_str).into(),
            queue_time_out_url: self.urls.timeout.as_str().into(),
            result_url: self.urls.result.as_str().into(),
        }
    }
}
