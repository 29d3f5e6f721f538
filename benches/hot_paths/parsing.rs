//! What needs no network: bodies that are written, and messages and numbers that are read.

use std::hint::black_box;

use daraja::{B2cResult, Msisdn, Operation, StkCallback};
use serde::{Deserialize, Serialize};

use crate::{
    Subject,
    sample::{CALLBACK, CALLBACK_URL, PHONE, RESULT, Sample, now},
};

/// A push's body, the password included.
pub(crate) fn encode(_: &str) -> Subject {
    let (push, now) = (Sample::new().push(), now());
    repeat(move || serde_json::to_vec(&push.body(black_box(now))).expect("JSON"))
}

/// The same body out of ready strings.
pub(crate) fn encode_floor(_: &str) -> Subject {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Body<'a> {
        business_short_code: &'a str,
        password: &'a str,
        timestamp: &'a str,
        transaction_type: &'a str,
        amount: u32,
        party_a: &'a str,
        party_b: &'a str,
        phone_number: &'a str,
        #[serde(rename = "CallBackURL")]
        call_back_url: &'a str,
        account_reference: &'a str,
        transaction_desc: &'a str,
    }
    let body = Body {
        business_short_code: "174379",
        password: "MTc0Mzc5MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAyMDI2MTEyMzEyMDAwMA==",
        timestamp: "20261123120000",
        transaction_type: "CustomerPayBillOnline",
        amount: 500,
        party_a: "254708374149",
        party_b: "174379",
        phone_number: "254708374149",
        call_back_url: CALLBACK_URL,
        account_reference: "INV-001",
        transaction_desc: "Order 1042",
    };
    repeat(move || serde_json::to_vec(black_box(&body)).expect("JSON"))
}

/// A callback of a payment, into values that own what they hold.
pub(crate) fn callback(_: &str) -> Subject {
    repeat(|| StkCallback::parse(black_box(CALLBACK.as_bytes())).expect("a callback"))
}

/// The same bytes into derived structs: one shape is read and nothing is concluded.
pub(crate) fn callback_floor(_: &str) -> Subject {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document {
        body: Body,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        stk_callback: Callback,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Callback {
        #[serde(rename = "MerchantRequestID")]
        merchant_request_id: String,
        #[serde(rename = "CheckoutRequestID")]
        checkout_request_id: String,
        result_code: u32,
        result_desc: String,
        #[serde(rename = "CallbackMetadata")]
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Metadata {
        item: Vec<Item>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Item {
        name: String,
        value: Option<serde_json::Value>,
    }
    repeat(|| {
        let read: Document = serde_json::from_slice(black_box(CALLBACK.as_bytes())).expect("a callback");
        let read = read.body.stk_callback;
        black_box((&read.merchant_request_id, &read.checkout_request_id, read.result_code, &read.result_desc));
        for item in &read.metadata.item {
            black_box((&item.name, &item.value));
        }
        read
    })
}

/// Any JSON at all, out of which nothing is read.
pub(crate) fn callback_value(_: &str) -> Subject {
    repeat(|| serde_json::from_slice::<serde_json::Value>(black_box(CALLBACK.as_bytes())).expect("JSON"))
}

/// A result of a payout, into values that own what they hold.
pub(crate) fn result(_: &str) -> Subject {
    repeat(|| B2cResult::parse(black_box(RESULT.as_bytes())).expect("a result"))
}

/// The same bytes into derived structs: one shape is read and nothing is concluded.
pub(crate) fn result_floor(_: &str) -> Subject {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document {
        result: Fields,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Fields {
        result_code: u32,
        result_desc: String,
        #[serde(rename = "OriginatorConversationID")]
        originator_conversation_id: String,
        #[serde(rename = "ConversationID")]
        conversation_id: String,
        result_parameters: Parameters,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Parameters {
        result_parameter: Vec<Parameter>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Parameter {
        key: String,
        value: Option<serde_json::Value>,
    }
    repeat(|| {
        let read: Document = serde_json::from_slice(black_box(RESULT.as_bytes())).expect("a result");
        let read = read.result;
        black_box((&read.result_code, &read.result_desc, &read.originator_conversation_id, &read.conversation_id));
        for parameter in &read.result_parameters.result_parameter {
            black_box((&parameter.key, &parameter.value));
        }
    })
}

/// Any JSON at all, out of which nothing is read.
pub(crate) fn result_value(_: &str) -> Subject {
    repeat(|| serde_json::from_slice::<serde_json::Value>(black_box(RESULT.as_bytes())).expect("JSON"))
}

/// A number as it is typed.
pub(crate) fn msisdn(_: &str) -> Subject {
    repeat(|| black_box(PHONE).parse::<Msisdn>().expect("a number"))
}

/// Its digits as an integer, whatever else stands there.
pub(crate) fn msisdn_floor(_: &str) -> Subject {
    repeat(|| {
        let digits = black_box(PHONE).bytes().filter(u8::is_ascii_digit);
        digits.fold(0_u64, |number, digit| number.wrapping_mul(10).wrapping_add(u64::from(digit & 0x0F)))
    })
}

fn repeat<T>(mut work: impl FnMut() -> T + 'static) -> Subject {
    Box::new(move |times| {
        for _ in 0..times {
            black_box(work());
        }
    })
}
