#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod account_balance;
pub mod b2c;
pub mod c2b;
pub mod client;
pub mod code;
pub mod config;
pub mod error;
pub mod initiated;
pub mod operation;
pub mod payout;
pub mod retry;
pub mod reversal;
pub mod secret;
pub mod security;
pub mod settings;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod stk;
pub mod token;
pub mod transaction_status;
pub mod transport;
pub mod webhook;

mod callback_url;
mod clock;
#[cfg(doctest)]
mod guides;
mod recent;
mod sync;
mod value;
mod wire;

/// Callback URLs are of this type, from the crate `url`.
pub use url::Url;

#[cfg(feature = "crypto")]
#[doc(inline)]
pub use crate::security::Certificate;

#[doc(inline)]
pub use crate::{
    account_balance::{AccountBalanceQuery, AccountBalanceResult, BalanceOutcome},
    b2c::{B2cAccepted, B2cOutcome, B2cPayment, B2cPurpose, B2cReason, B2cResult},
    client::Client,
    code::{Advice, ErrorCode, ResultCode},
    config::{Credentials, Environment},
    error::{Error, Result},
    initiated::{Accepted, Initiator, QueueTimeout, ResultUrls},
    operation::{Answer, Operation, Repeat, Rules},
    payout::{NextStep, Payout, PayoutState},
    retry::RetryPolicy,
    reversal::{Reversal, ReversalOutcome, ReversalReason, ReversalResult},
    secret::InitiatorPassword,
    security::SecurityCredential,
    settings::Settings,
    stk::{Merchant, StkAccepted, StkCallback, StkOutcome, StkPush, StkQuery, StkReason, StkStatus},
    transaction_status::{
        StatusOutcome, Transaction, TransactionState, TransactionStatusQuery, TransactionStatusResult,
    },
    value::{
        AccountReference, CheckoutRequestId, ConversationId, Kes, Limits, MerchantRequestId, Msisdn, Occasion,
        OriginatorConversationId, Party, Payer, ReceiptNumber, Remarks, Shillings, ShortCode, TillNumber, Timestamp,
        TransactionDesc,
    },
};
