//! What an application holds when a customer checks out, and what Daraja answers and tells.

use std::{hint::black_box, time::Duration};

use chrono::{DateTime, Utc};
use daraja::{Client, Credentials, Environment, Merchant, Shillings, StkPush, Timestamp};
use http::HeaderValue;
use reqwest::{redirect, retry};
use tokio::runtime::Runtime;
use url::Url;

use crate::server::CERTIFICATE;

pub(crate) const BEARER: HeaderValue = HeaderValue::from_static("Bearer GWGrFMOeZ1Wp4tAzvLR2c8fXnXGS");
pub(crate) const USER_AGENT: HeaderValue = HeaderValue::from_static("daraja-rust/0.1.0");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) const PUSH_PATH: &str = "/mpesa/stkpush/v1/processrequest";
pub(crate) const PHONE: &str = "0708 374 149";
pub(crate) const CALLBACK_URL: &str = "https://shop.example/callbacks/stk/9f2c4e";
pub(crate) const TOKEN: &str = r#"{"access_token":"GWGrFMOeZ1Wp4tAzvLR2c8fXnXGS","expires_in":"3599"}"#;
pub(crate) const ACCEPTED: &str = r#"{"MerchantRequestID":"2654-4b64-97ff-b827b542881d3130","CheckoutRequestID":"ws_CO_23112026120000123708374149","ResponseCode":"0","ResponseDescription":"Success. Request accepted for processing","CustomerMessage":"Success. Request accepted for processing"}"#;
pub(crate) const CALLBACK: &str = r#"{"Body":{"stkCallback":{"MerchantRequestID":"2654-4b64-97ff-b827b542881d3130","CheckoutRequestID":"ws_CO_23112026120000123708374149","ResultCode":0,"ResultDesc":"The service request is processed successfully.","CallbackMetadata":{"Item":[{"Name":"Amount","Value":500.00},{"Name":"MpesaReceiptNumber","Value":"SKN7RT61SV"},{"Name":"Balance"},{"Name":"TransactionDate","Value":20261123120017},{"Name":"PhoneNumber","Value":254708374149}]}}}}"#;

pub(crate) const RESULT: &str = r#"{"Result":{"ResultType":0,"ResultCode":0,"ResultDesc":"The service request is processed successfully.","OriginatorConversationID":"6a1c3c5e-29f1-4c1f-9a36-0d1f6a3c7e55","ConversationID":"AG_20240706_20106e9209f64bebd05b","TransactionID":"SG632NMUAB","ResultParameters":{"ResultParameter":[{"Key":"TransactionAmount","Value":10},{"Key":"TransactionReceipt","Value":"SG632NMUAB"},{"Key":"ReceiverPartyPublicName","Value":"254700000001 - NAME SURNAME"},{"Key":"TransactionCompletedDateTime","Value":"06.07.2024 22:48:52"},{"Key":"B2CUtilityAccountAvailableFunds","Value":8959269.60},{"Key":"B2CWorkingAccountAvailableFunds","Value":1199371.00},{"Key":"B2CRecipientIsRegisteredCustomer","Value":"Y"},{"Key":"B2CChargesPaidAccountAvailableFunds","Value":-1980.00}]},"ReferenceData":{"ReferenceItem":{"Key":"QueueTimeoutURL","Value":"https://internalsandbox.safaricom.co.ke/mpesa/b2cresults/v1/submit"}}}}"#;

/// What an application holds when a customer checks out.
pub(crate) struct Sample {
    merchant: Merchant,
    callback_url: Url,
}

impl Sample {
    pub(crate) fn new() -> Self {
        let merchant = Merchant::paybill("174379".parse().expect("a short code"), "0".repeat(64));
        Self { merchant, callback_url: CALLBACK_URL.parse().expect("a URL") }
    }

    pub(crate) fn push(&self) -> StkPush {
        let payer = black_box(PHONE).parse().expect("a number");
        let (amount, reference) = (Shillings::new(500).expect("an amount"), "INV-001".parse().expect("a reference"));
        let push = StkPush::new(&self.merchant, payer, amount, reference, self.callback_url.clone());
        push.description("Order 1042".parse().expect("a description"))
    }
}

pub(crate) fn now() -> Timestamp {
    "2026-11-23T09:00:00Z".parse::<DateTime<Utc>>().expect("a time").try_into().expect("a time Daraja can show")
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The library's client of the loopback server, with time for a handshake under valgrind.
pub(crate) fn client(base_url: &str) -> Client {
    let environment = Environment::custom(base_url).expect("a loopback address");
    let patience = Duration::from_secs(100);
    let builder = Client::builder(environment, Credentials::new("key", "secret"));
    let builder = builder.connect_timeout(patience).attempt_timeout(patience).token_timeout(patience);
    builder
        .timeout(patience.saturating_mul(2))
        .reqwest(|| trusting().tcp_nodelay(true))
        .build()
        .expect("TLS can be set up")
}

/// Bare reqwest, set up as the library sets it up.
pub(crate) fn bare_reqwest() -> reqwest::Client {
    let builder = trusting().tcp_nodelay(true).redirect(redirect::Policy::none()).retry(retry::never());
    builder.referer(false).build().expect("TLS can be set up")
}

/// A builder of clients that trust the loopback server alone.
fn trusting() -> reqwest::ClientBuilder {
    let certificate = reqwest::Certificate::from_pem(CERTIFICATE).expect("a certificate");
    reqwest::Client::builder().tls_certs_only([certificate])
}
