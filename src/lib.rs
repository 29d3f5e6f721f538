#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod client;
pub mod code;
pub mod config;
pub mod error;
pub mod operation;
pub mod retry;
pub mod secret;
pub mod security;
pub mod settings;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod stk;
pub mod token;
pub mod transport;
pub mod webhook;

mod clock;
mod recent;
mod value;
mod wire;

/// Callback URLs are of this type, from the crate `url`.
pub use url::Url;

#[cfg(feature = "crypto")]
#[doc(inline)]
pub use crate::security::Certificate;

#[doc(inline)]
pub use crate::{
    client::Client,
    code::{Advice, ErrorCode, ResultCode},
    config::{Credentials, Environment},
    error::{Error, Result},
    operation::{Answer, Operation, Repeat, Rules},
    retry::RetryPolicy,
    secret::InitiatorPassword,
    security::SecurityCredential,
    settings::Settings,
    stk::{Merchant, StkAccepted, StkCallback, StkOutcome, StkPush, StkQuery, StkReason, StkStatus},
    value::{
        AccountReference, CheckoutRequestId, Kes, Limits, MerchantRequestId, Msisdn, ReceiptNumber, Shillings,
        ShortCode, TillNumber, Timestamp, TransactionDesc,
    },
};
