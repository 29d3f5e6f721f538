//! The kinds of trouble that other integrations report: one table for each kind, of small inputs and what is right. A row
//! is one member of its kind. Where it comes from stands before it: reported, or found by us.

use std::{collections::BTreeMap, net::IpAddr, pin::Pin};

use daraja::{
    AccountBalanceResult, Answer, B2cOutcome, B2cResult, BalanceOutcome, Error, Msisdn, Operation, Payer, Payout,
    PayoutState, Repeat, Settings, Shillings, StatusOutcome, StkCallback, StkOutcome, StkPush, Timestamp,
    TransactionStatusResult,
    c2b::C2bNotice,
    code::Unproven,
    operation::Envelope,
    simulator::Simulator,
    stk::{Outcome, StkFailure},
    webhook::{Delivery, Event, EventKind, Expected, Reference},
};
use serde::Serialize;
use serde_json::json;

use crate::{
    b2c::payment,
    secrets::Log,
    support::{CREDENTIAL, RECEIVER, Scripted, Step, answer, merchant, note},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    AdviceOfAQuestionSpeaksOfMoney,
    LookalikeIsTakenForTheRealThing,
    UnreadableIsTreatedAsAbsent,
    FinalCodeIsMissingOrThrownAway,
    UnknownBodyIsAcceptedInSilence,
    RefusalIsTakenForAnUnknownOutcome,
    SettingCannotBeRight,
    MessageIsNotDocumented,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Reported,
    Ours,
}

type Read = fn(&'static str) -> Pin<Box<dyn Future<Output = String>>>;

/// Where a row comes from, its input, and what is right.
type Row = (Found, &'static str, &'static str);

struct Table {
    kind: Kind,
    name: &'static str,
    read: Read,
    rows: &'static [Row],
}

use Found::{Ours, Reported};

const TABLES: &[Table] = &[
    Table {
        kind: Kind::AdviceOfAQuestionSpeaksOfMoney,
        name: "the code of a status result",
        read: |code| Box::pin(async move { status_result(code) }),
        rows: &[
            (Reported, "26", "failed: ask again after 60 s; this says nothing about the payment"),
            (Reported, "17", "failed: ask again after 60 s; this says nothing about the payment"),
            (Reported, "1001", "failed: ask again after 60 s; this says nothing about the payment"),
            (Reported, "2033", "not found"),
            (Ours, "2032", "not found"),
            (Ours, "2033.0", "not found"),
            (Ours, "100000001", "failed: ask again after 60 s; this says nothing about the payment"),
            (Ours, "1037", "failed: ask again after 60 s; this says nothing about the payment"),
            (Ours, "2001", "failed: put settings, products or accounts right before asking again"),
        ],
    },
    Table {
        kind: Kind::AdviceOfAQuestionSpeaksOfMoney,
        name: "the code of a balance result",
        read: |code| Box::pin(async move { balance_result(code) }),
        rows: &[
            (Ours, "26", "failed: ask again after 60 s; this says nothing about the payment"),
            (Ours, "17", "failed: ask again after 60 s; this says nothing about the payment"),
        ],
    },
    Table {
        kind: Kind::LookalikeIsTakenForTheRealThing,
        name: "a phone number",
        read: |text| Box::pin(async move { number(text) }),
        rows: &[
            (Reported, "25470837414.0", "refused: a decimal fraction"),
            (Reported, "70837414.0", "refused: a decimal fraction"),
            (Reported, "254708374149.0", "refused: a decimal fraction"),
            (Ours, "254708374149.00", "refused: a decimal fraction"),
            (Ours, "070837414.9", "refused: a decimal fraction"),
            (Ours, "+254 70837414.0", "refused: a decimal fraction"),
            (Ours, "2.54708374149E11", "refused: another character"),
            (Ours, "0708.374.149", "254708374149"),
            (Ours, "254.708.374.149", "254708374149"),
        ],
    },
    Table {
        kind: Kind::LookalikeIsTakenForTheRealThing,
        name: "a payer, compared with 254700000366",
        read: |text| Box::pin(async move { payer(text) }),
        rows: &[
            (Reported, "070****366", "may be"),
            (Ours, "70****366", "may be"),
            (Ours, "25470****366", "may be"),
            (Ours, "2547 ***** 366", "may be"),
            (Ours, "070****367", "is another"),
            (Ours, "25471****366", "is another"),
            (Ours, "0700000366", "may be"),
            (Ours, "0700000367", "is another"),
        ],
    },
    Table {
        kind: Kind::UnreadableIsTreatedAsAbsent,
        name: "the PhoneNumber of a callback, where 254708374149 was asked",
        read: |json| Box::pin(async move { callback_of(json) }),
        rows: &[
            (Reported, "254700000001.0", "the money came from another number than was asked"),
            (Reported, r#""garbage""#, "the money came from another number than was asked"),
            (Ours, r#""25470837414O""#, "the money came from another number than was asked"),
            (Ours, "25470837414", "the money came from another number than was asked"),
            (Ours, "{}", "the money came from another number than was asked"),
            (Ours, "1e400", "the money came from another number than was asked"),
            (Ours, "254708374149.0", "paid"),
            (Ours, r#""254708374149.0""#, "paid"),
            (Ours, r#""2547*****149""#, "paid"),
            (Ours, "null", "paid"),
            (Ours, r#""""#, "paid"),
        ],
    },
    Table {
        kind: Kind::UnreadableIsTreatedAsAbsent,
        name: "the MSISDN of a notice, where 254708374149 was asked",
        read: |text| Box::pin(async move { notice_of(text) }),
        rows: &[
            (Ours, "garbage", "the money came from another number than was asked"),
            (Ours, "2547 ***** 149", "paid"),
            // A hash, and one that lost two digits, as in Safaricom's own sample: the payer is not told.
            (Ours, "5a1f0d3e9b7c4a2860f1e2d3c4b5a69788796a5b4c3d2e1f0a9b8c7d6e5f4a3b", "paid"),
            (Ours, "5a1f0d3e9b7c4a2860f1e2d3c4b5a69788796a5b4c3d2e1f0a9b8c7d6e5f4a", "paid"),
        ],
    },
    Table {
        kind: Kind::UnreadableIsTreatedAsAbsent,
        name: "whole numbers with a fraction of zero",
        read: |json| Box::pin(async move { reading(json) }),
        rows: &[
            (
                Reported,
                r#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":0,"CallbackMetadata":{"Item":[
                    {"Name":"Amount","Value":10.0},{"Name":"MpesaReceiptNumber","Value":"UJ65WSR9W7"},
                    {"Name":"TransactionDate","Value":20261123101500.0}]}}}}"#,
                "paid 10.00 by nobody at 20261123101500",
            ),
            (
                Reported,
                r#"{"TransID":"UJ65WSR9W7","TransAmount":10.0,"BusinessShortCode":600966.0,"MSISDN":254708374149.0,
                    "TransTime":20261123101500.0}"#,
                "600966 got 10.00 from 254708374149 at 20261123101500",
            ),
            (
                Reported,
                r#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":1032.0}}}"#,
                "failed: the customer cancelled",
            ),
            (
                Reported,
                r#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":0.0,"CallbackMetadata":{"Item":[
                    {"Name":"Amount","Value":10},{"Name":"MpesaReceiptNumber","Value":"UJ65WSR9W7"}]}}}}"#,
                "unproven: 0.0: it contradicts itself, or its amount cannot be read",
            ),
            (
                Ours,
                r#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":"1032.00"}}}"#,
                "failed: the customer cancelled",
            ),
            (
                Ours,
                r#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":1032.5}}}"#,
                "unproven: 1032.5: its code is not known to be final",
            ),
            (
                Ours,
                r#"{"TransID":"UJ65WSR9W7","TransAmount":"10.0","BusinessShortCode":"600966.0","MSISDN":"254708374149.0",
                    "TransTime":"20261123101500.0"}"#,
                "600966 got 10.00 from 254708374149 at 20261123101500",
            ),
        ],
    },
    Table {
        kind: Kind::UnreadableIsTreatedAsAbsent,
        name: "the amount of a push to the simulator",
        read: |json| Box::pin(amount_to_the_simulator(json)),
        rows: &[
            (Reported, "100.0", "rings for 100"),
            (Reported, "100.5", "400.002.02"),
            (Ours, r#""100.0""#, "rings for 100"),
            (Ours, "1e2", "rings for 100"),
            (Ours, r#""100.5""#, "400.002.02"),
            (Ours, "0.0", "400.002.02"),
            (Ours, "-100.0", "400.002.02"),
        ],
    },
    Table {
        kind: Kind::FinalCodeIsMissingOrThrownAway,
        name: "code and words of a callback",
        read: |text| Box::pin(async move { callback_with(text) }),
        rows: &[
            (
                Reported,
                "1036 SMSC ACK timeout.",
                "failed: the customer did not answer, or the phone could not be reached; nothing is promised",
            ),
            (
                Reported,
                "1036 [STK_CB - ]SMSC ACK timeout.",
                "failed: the customer did not answer, or the phone could not be reached; nothing is promised",
            ),
            (
                Reported,
                "1031 Request cancelled by user",
                "failed: the customer cancelled, as an older code says; nothing is promised",
            ),
            (
                Reported,
                "2029 Failed due to an unresolved reason type.",
                "unproven: 2029, Failed due to an unresolved reason type.: its code is not known to be final",
            ),
            (
                Ours,
                "1037.0 DS timeout user cannot be reached",
                "failed: the customer did not answer, or the phone could not be reached; nothing is promised",
            ),
            (
                Ours,
                "7777 Ask 254708374149 why.",
                "unproven: 7777, Ask 2547******49 why.: its code is not known to be final",
            ),
        ],
    },
    Table {
        kind: Kind::FinalCodeIsMissingOrThrownAway,
        name: "the receipt of a callback with code 0",
        read: |receipt| Box::pin(async move { callback_with_receipt(receipt) }),
        rows: &[
            (Reported, "ABC123", "unproven: 0: its receipt `ABC123` cannot be read"),
            (Reported, "test-receipt-123", "unproven: 0: its receipt `test-receipt-123` cannot be read"),
            (Ours, "254708374149", "unproven: 0: its receipt `2547******49` cannot be read"),
            (Ours, "undefined", "unproven: 0: its receipt `undefined` cannot be read"),
            (Ours, "", "unproven: 0: it holds no receipt"),
        ],
    },
    Table {
        kind: Kind::FinalCodeIsMissingOrThrownAway,
        name: "code and words of a query, asked until the time is over",
        read: |text| Box::pin(waited(text)),
        rows: &[
            (
                Reported,
                "2029 Failed due to an unresolved reason type.",
                "not settled: 2029, Failed due to an unresolved reason type.: its code is not known to be final",
            ),
            (
                Reported,
                "1036 SMSC ACK timeout.",
                "failed: the customer did not answer, or the phone could not be reached; nothing is promised",
            ),
            (
                Reported,
                "1031 Request cancelled by user",
                "failed: the customer cancelled, as an older code says; nothing is promised",
            ),
            (Ours, "7777 Nobody knows.", "not settled: 7777, Nobody knows.: its code is not known to be final"),
            (Ours, "26 System busy.", "not settled: 26, System busy.: its code is not known to be final"),
        ],
    },
    Table {
        kind: Kind::FinalCodeIsMissingOrThrownAway,
        name: "the result of a payout of KES 10 that Daraja accepted, at its own URL",
        read: |json| Box::pin(paid_out(json)),
        rows: &[
            (
                Reported,
                r#"{"ResultCode":4001,"ResultDesc":"Insufficient balance","TransactionID":"UGC0000000"}"#,
                "failed: the utility account holds too little",
            ),
            (Reported, r#"{"ResultCode":0,"ResultDesc":"Success","TransactionID":"UJ65WSR9W7"}"#, "paid UJ65WSR9W7"),
            // A dummy in the place of the receipt speaks of a failure.
            (
                Ours,
                r#"{"ResultCode":0,"ResultDesc":"Success","TransactionID":"UJ65WSR9W7","ResultParameters":
                    {"ResultParameter":[{"Key":"TransactionReceipt","Value":"UGC0000000"}]}}"#,
                "not settled: 0, Success: it holds no receipt",
            ),
            (
                Ours,
                r#"{"ResultCode":0,"ResultDesc":"Success","TransactionID":"UJ65WSR9W7","OriginatorConversationID":"another"}"#,
                "not settled: 0, Success: it holds no receipt",
            ),
            (
                Ours,
                r#"{"ResultCode":0,"ResultDesc":"Success","TransactionID":"UGC0000000"}"#,
                "not settled: 0, Success: it holds no receipt",
            ),
            (
                Ours,
                r#"{"ResultCode":0,"ResultDesc":"Success","TransactionID":"0"}"#,
                "not settled: 0, Success: it holds no receipt",
            ),
            (
                Ours,
                r#"{"ResultCode":0,"ResultDesc":"Success","TransactionID":"UJ65WSR9W7","ResultParameters":
                    {"ResultParameter":[{"Key":"TransactionAmount","Value":11}]}}"#,
                "not settled: it says another amount or recipient",
            ),
            (
                Ours,
                r#"{"ResultCode":7777,"ResultDesc":"Nobody knows."}"#,
                "not settled: 7777, Nobody knows.: its code is not known to be final",
            ),
        ],
    },
    Table {
        kind: Kind::FinalCodeIsMissingOrThrownAway,
        name: "a payout's success without TransactionReceipt, as its own reader reads it",
        read: |json| Box::pin(async move { bare_result(json) }),
        rows: &[
            (
                Reported,
                r#"{"Result":{"ResultCode":0,"ConversationID":"AG_1","TransactionID":"UJ65WSR9W7"}}"#,
                "unproven: 0: it holds no receipt; UJ65WSR9W7 is kept",
            ),
            (
                Ours,
                r#"{"Result":{"ResultCode":0,"ConversationID":"AG_1","TransactionID":"UGC0000000"}}"#,
                "unproven: 0: it holds no receipt",
            ),
        ],
    },
    Table {
        kind: Kind::FinalCodeIsMissingOrThrownAway,
        name: "the success of another API, read as a balance and as a status",
        read: |json| Box::pin(async move { as_balance_and_status(json) }),
        rows: &[
            // The result of a payment to an organisation.
            (
                Reported,
                r#"{"Result":{"ResultCode":0,"ConversationID":"AG_1","TransactionID":"UJ65WSR9W7","ResultParameters":
                    {"ResultParameter":[{"Key":"Amount","Value":"190.00"},{"Key":"Currency","Value":"KES"},
                    {"Key":"DebitPartyCharges","Value":""}]}}}"#,
                "it holds nothing readable of what such an answer reports; it holds nothing readable of what such an answer reports",
            ),
            (
                Ours,
                r#"{"Result":{"ResultCode":0,"ConversationID":"AG_1"}}"#,
                "it holds nothing readable of what such an answer reports; it holds nothing readable of what such an answer reports",
            ),
            (
                Ours,
                r#"{"Result":{"ResultCode":0,"ConversationID":"AG_1","ResultParameters":{"ResultParameter":[
                    {"Key":"AccountBalance","Value":"soon"}]}}}"#,
                "it holds nothing readable of what such an answer reports; it holds nothing readable of what such an answer reports",
            ),
        ],
    },
    Table {
        kind: Kind::UnknownBodyIsAcceptedInSilence,
        name: "a body at the signed URL of a push",
        read: |json| Box::pin(async move { received(json) }),
        rows: &[
            (
                Reported,
                r#"{"data":{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":0}}}}"#,
                "kept, and warned of stkCallback",
            ),
            (
                Reported,
                r#"{"checkoutRequestId":"ws_CO_1","resultCode":0,"status":"COMPLETED"}"#,
                "kept, and warned of CheckoutRequestID",
            ),
            (Reported, "{\"Body\":\n{'stkCallback':1}}", "the callback is not JSON (line 2, column 2)"),
            (Ours, r#"[{"Body":{"stkCallback":{"ResultCode":0}}}]"#, "kept, and warned of stkCallback"),
            (Ours, r#"{"Message":"{\"TransID\":\"UJ65WSR9W7\"}"}"#, "kept, and warned of TransID"),
            (Ours, r#"{"hello":"world"}"#, "kept, and warned of no known key"),
            (Ours, "{\"Body\":1}]", "the callback is not JSON (line 1, column 11)"),
        ],
    },
    Table {
        kind: Kind::RefusalIsTakenForAnUnknownOutcome,
        name: "status and body of the first answer to a push",
        read: |text| Box::pin(pushed(text)),
        rows: &[
            (Reported, "401 ", "a new token, and accepted"),
            (Reported, "401 Unauthorized", "a new token, and accepted"),
            (Reported, r#"401 {"errorMessage":"bad token"}"#, "a new token, and accepted"),
            (
                Reported,
                r#"401 {"fault":{"faultstring":"Invalid access token","detail":{"errorcode":"oauth.v2.InvalidAccessToken"}}}"#,
                "a new token, and accepted",
            ),
            (
                Reported,
                r#"200 {"errorCode":"404.001.03","errorMessage":"Invalid Access Token"}"#,
                "a new token, and accepted",
            ),
            (
                Reported,
                r#"200 {"errorCode":"401.002.01","errorMessage":"Error Occurred - Invalid Access Token - x"}"#,
                "a new token, and accepted",
            ),
            (
                Reported,
                r#"404 {"fault":{"faultstring":"Unable to identify proxy for host: default and url: /mpesa/stkpush/v1/processrequest","detail":{"errorcode":"messaging.adaptors.http.flow.ApplicationNotFound"}}}"#,
                "refused (/mpesa/stkpush/v1/processrequest): check MPESA_BASE_URL: this host has no such API",
            ),
            (
                Reported,
                r#"500 {"errorCode":"500.001.1001","errorMessage":"No ICCID found on NMS"}"#,
                "refused: the number has no Safaricom line: ask the customer for one that has M-PESA",
            ),
            (
                Reported,
                r#"500 {"errorCode":"500.001.1001","errorMessage":"Merchant not allowed to carry out transaction type CustomerPayBillOnline"}"#,
                "refused: a PayBill is set by MPESA_SHORTCODE alone; for a till set MPESA_TILL to the till and \
                 MPESA_SHORTCODE to its store number",
            ),
            (
                Reported,
                r#"401 {"requestId":"1","errorCode":"401","errorMessage":"Unauthorized - Invalid Access Token"}"#,
                "a new token, and accepted",
            ),
            (
                Reported,
                "200 <html><title>Daraja Developer Portal</title></html>",
                "outcome unknown: check MPESA_BASE_URL",
            ),
            (Ours, "401 <html>Sign in</html>", "a new token, and accepted"),
            (
                Ours,
                r#"401 {"fault":{"faultstring":"Access Token expired","detail":{"errorcode":"keymanagement.service.access_token_expired"}}}"#,
                "a new token, and accepted",
            ),
            (Ours, r#"500 {"errorCode":"404.001.03","errorMessage":"Invalid Access Token"}"#, "outcome unknown"),
            (
                Ours,
                r#"401 {"CheckoutRequestID":"ws_CO_1","errorCode":"401.002.01","errorMessage":"Invalid Access Token"}"#,
                "outcome unknown",
            ),
            // Without the product some APIs answer so.
            (Reported, "404 ", "refused"),
            // A proxy wrote this code: a push has none under this name.
            (Ours, r#"400 {"code":"ECONNRESET","message":"socket hang up"}"#, "outcome unknown"),
            (Ours, r#"400 {"statusCode":400,"message":"upstream timed out"}"#, "outcome unknown"),
            (Ours, r#"401 {"status":401,"error":"Unauthorized","message":"User not permitted"}"#, "outcome unknown"),
            (
                Ours,
                r#"400 {"fault":{"faultstring":"Access token policy ran; the backend failed after it was called"}}"#,
                "outcome unknown",
            ),
            // An acceptance that something between has wrapped.
            (Ours, r#"401 [{"CheckoutRequestID":"ws_CO_1"}]"#, "outcome unknown"),
            (Ours, r#"401 {"data":{"checkoutRequestId":"ws_CO_1"}}"#, "outcome unknown"),
            (Ours, r#"401 {"data":{"ResponseCode":"0"}}"#, "outcome unknown"),
            (Ours, r#"401 "{\"CheckoutRequestID\":\"ws_CO_1\"}""#, "outcome unknown"),
            (Ours, "401 <r><CheckoutRequestID>ws_CO_1</CheckoutRequestID></r>", "outcome unknown"),
            (Ours, r#"401 <r><CheckoutRequestID type="x">ws_CO_1</CheckoutRequestID></r>"#, "outcome unknown"),
            (
                Ours,
                r#"401 {"error":"Unauthorized","upstream":"{\u0022CheckoutRequestID\u0022:\u0022ws_CO_1\u0022}"}"#,
                "outcome unknown",
            ),
            (Ours, "401 <p>{&quot;CheckoutRequestID&quot;:&quot;ws_CO_1&quot;}</p>", "outcome unknown"),
            (Ours, r#"401 {"checkout_request_id":"ws_CO_1"}"#, "outcome unknown"),
            (Ours, "401 CheckoutRequestID=ws_CO_1&ResponseCode=0", "outcome unknown"),
            (Ours, r#"429 {"data":{"CheckoutRequestID":"ws_CO_1"}}"#, "outcome unknown"),
            (
                Ours,
                r#"200 {"errorCode":"404.001.03","errorMessage":"Invalid Access Token","data":{"CheckoutRequestID":"ws_CO_1"}}"#,
                "outcome unknown",
            ),
            (
                Ours,
                r#"401 {"CheckoutRequestID":null,"errorCode":"401.002.01","errorMessage":"Invalid Access Token"}"#,
                "a new token, and accepted",
            ),
            (Ours, "408 ", "outcome unknown"),
            (Ours, "409 ", "outcome unknown"),
            (Ours, r#"400 {"errorCode":"408.001.01","errorMessage":"Request timed out"}"#, "outcome unknown"),
            (Ours, r#"200 {"ResponseCode":"1","ResponseDescription":"Rejected for reasons"}"#, "outcome unknown"),
        ],
    },
    Table {
        kind: Kind::RefusalIsTakenForAnUnknownOutcome,
        name: "status and body of the answer of an API with an envelope of its own",
        read: |text| Box::pin(refused_by_its_own_code(text)),
        rows: &[
            (
                Reported,
                r#"400 {"requestRefId":"1","responseMessage":"Value in field 'BusinessShortCode' can only be what was issued for this application","responseCode":400}"#,
                "refused",
            ),
            (Reported, r#"401 {"code":"4102","status":"FAILED","message":"Merchant KYC Fail"}"#, "refused"),
            (Reported, r#"404 {"header":{"responseCode":404,"responseMessage":"Not found"}}"#, "refused"),
            (Ours, r#"400 {"responseCode":"404","responseDesc":"Not found"}"#, "refused"),
            (
                Ours,
                r#"401 {"header":{"responseCode":401,"responseMessage":"User not permitted to carry out operation"}}"#,
                "refused",
            ),
            // The code of a success, of a timeout, of a conflict, and of a failure inside Daraja.
            (Ours, r#"400 {"header":{"responseCode":200,"responseMessage":"Success"}}"#, "outcome unknown"),
            (Ours, r#"404 {"code":"0","message":"Success"}"#, "outcome unknown"),
            (Ours, r#"400 {"responseCode":"408"}"#, "outcome unknown"),
            (Ours, r#"400 {"rescode":"409"}"#, "outcome unknown"),
            (Ours, r#"422 {"responseCode":504}"#, "outcome unknown"),
            (Ours, r#"500 {"header":{"responseCode":404}}"#, "outcome unknown"),
        ],
    },
    Table {
        kind: Kind::RefusalIsTakenForAnUnknownOutcome,
        name: "status and body of every answer to a push",
        read: |text| Box::pin(pushed_twice(text)),
        rows: &[
            (
                Reported,
                "401 ",
                "refused: a fresh token was refused as well: the app lacks this API product, or its keys are of another \
                 environment",
            ),
            (
                Reported,
                r#"401 {"requestId":"1","errorCode":"401","errorMessage":"Unauthorized - Invalid Access Token"}"#,
                "refused: a fresh token was refused as well: the app lacks this API product, or its keys are of another \
                 environment",
            ),
            (
                Ours,
                r#"200 {"errorCode":"404.001.03","errorMessage":"Invalid Access Token"}"#,
                "refused: a fresh token was refused as well: the app lacks this API product, or its keys are of another \
                 environment",
            ),
        ],
    },
    Table {
        kind: Kind::SettingCannotBeRight,
        name: "a variable among settings that are right",
        read: |text| Box::pin(async move { setting(text) }),
        rows: &[
            (
                Reported,
                "MPESA_CONSUMER_KEY=\"the-key\"",
                "has the quote '\"' at its beginning or end, which was read as part of it: remove it",
            ),
            (
                Reported,
                "MPESA_CONSUMER_SECRET='the-secret'",
                "has the quote '\\'' at its beginning or end, which was read as part of it: remove it",
            ),
            (
                Reported,
                "MPESA_PASSKEY=\"a-passkey\"",
                "has the quote '\"' at its beginning or end, which was read as part of it: remove it",
            ),
            (
                Reported,
                "MPESA_ENVIRONMENT=\"sandbox\"",
                "has the quote '\"' at its beginning or end, which was read as part of it: remove it",
            ),
            (
                Reported,
                "MPESA_CONSUMER_KEY=the\u{200b}key",
                "holds '\\u{200b}' (U+200B), which cannot be seen and came along when it was copied: type it anew",
            ),
            (Reported, "MPESA_PASSKEY=a passkey", "holds a blank (' '), and it can have none: remove it"),
            (Reported, "MPESA_CONSUMER_KEY=the\nkey", "holds a line break ('\\n'): remove it"),
            (
                Reported,
                "MPESA_CALLBACK_URL=https://shop.example/dar aja",
                "holds a blank (' '), and it can have none: remove it",
            ),
            (
                Reported,
                "MPESA_CALLBACK_URL=https://shop\u{200b}.example/daraja",
                "holds '\\u{200b}' (U+200B), which cannot be seen and came along when it was copied: type it anew",
            ),
            (Reported, "MPESA_CALLBACK_URL=shop.example/daraja", "is wrong: it does not begin with https://"),
            (
                Reported,
                "MPESA_CALLBACK_URL=https://shop^.example/daraja",
                "is wrong: its host name holds a character that no host name has",
            ),
            (
                Reported,
                "MPESA_B2C_INITIATOR_PASSWORD=<the credential>",
                "is wrong: it is encrypted already: set it as MPESA_B2C_SECURITY_CREDENTIAL, or give the password itself \
                 here",
            ),
            (Reported, "MPESA_B2C_SECURITY_CREDENTIAL=Safaricom999!*!", "names MPESA_B2C_INITIATOR_PASSWORD"),
            (Reported, "MPESA_TILL=174379", "warned: MPESA_TILL is MPESA_SHORTCODE: SFC_IC0003"),
            (
                Reported,
                "MPESA_BASE_URL=https://sandbox.safaricom.co.ke/mpesa/stkpush/v1/processrequest",
                "is wrong: it ends in the path of an API, which is added to it: leave the path out",
            ),
            (
                Reported,
                "MPESA_BASE_URL=https://developer.safaricom.co.ke",
                "is wrong: this host is a portal for people: APIs are at https://sandbox.safaricom.co.ke and \
                 https://api.safaricom.co.ke",
            ),
            (
                Ours,
                "MPESA_PASSKEY=\u{201c}a-passkey\u{201d}",
                "has the quote '“' (U+201C) at its beginning or end, which was read as part of it: remove it",
            ),
            (Ours, "MPESA_BASE_URL=https://gateway.example/mpesa/v1", "is right"),
            (Ours, "MPESA_BASE_URL=https://gateway.example/mpesa/daraja/v1", "is right"),
            (Ours, "MPESA_CALLBACK_URL=https://duka-café.example/daraja", "is right"),
            (
                Ours,
                "MPESA_CONSUMER_SECRET=the-sеcret",
                "holds 'е' (U+0435), and it has ASCII characters only: copy it again",
            ),
            (
                Ours,
                "MPESA_CALLBACK_URL=https://shop.example:70000/daraja",
                "is wrong: its port is no number up to 65535",
            ),
            (
                Ours,
                "MPESA_B2C_TIMEOUT_URL=https://shop.example/result",
                "is wrong: it is the result URL as well: a notice of a timeout would be read as a result, code and all",
            ),
        ],
    },
    Table {
        kind: Kind::SettingCannotBeRight,
        name: "a callback URL that Safaricom cannot reach",
        read: |url| Box::pin(async move { unreachable(url) }),
        rows: &[
            (Reported, "https://localhost/daraja", "warned"),
            (Reported, "https://192.168.1.7/daraja", "warned"),
            (Reported, "https://till.local/daraja", "warned"),
            (Ours, "https://[fd00::7]/daraja", "warned"),
            (Ours, "https://10.0.0.7/daraja", "warned"),
            (Ours, "https://shop/daraja", "warned"),
            (Ours, "https://shop.example/daraja", "nothing is said"),
        ],
    },
    Table {
        kind: Kind::MessageIsNotDocumented,
        name: "a path that a delivery comes to, and why it is refused, in docs/troubleshooting.md",
        read: |path| Box::pin(async move { documented_refusal(path) }),
        rows: &[
            // A slash was added, and a proxy stripped the prefix.
            (Reported, "{path}/", "its path is not one of this receiver's URLs"),
            (Reported, "{path without prefix}", "its path is not one of this receiver's URLs"),
            (Ours, "/daraja", "its path is not one of this receiver's URLs"),
            (Ours, "{path}x", "its path is not one of this receiver's URLs"),
        ],
    },
    Table {
        kind: Kind::MessageIsNotDocumented,
        name: "a code whose cause is a setting, in docs/troubleshooting.md",
        read: |code| Box::pin(async move { documented(code) }),
        rows: &[(Reported, "SFC_IC0003", "documented"), (Ours, "MPESA_BASE_URL", "documented")],
    },
];

#[tokio::test(start_paused = true)]
async fn each_member_of_each_kind_is_right() {
    let mut wrong = Vec::new();
    for Table { name, read, rows, .. } in TABLES {
        for (_, input, right) in *rows {
            let now = read(input).await;
            if now != *right {
                wrong.push(format!("{name}: {input}\n  right: {right}\n  now:   {now}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} rows\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn each_kind_has_reported_members_and_at_least_two_that_we_found() {
    let mut counts: BTreeMap<Kind, (usize, usize)> = BTreeMap::new();
    for Table { kind, rows, .. } in TABLES {
        for (found, ..) in *rows {
            let (reported, ours) = counts.entry(*kind).or_default();
            *(if *found == Reported { reported } else { ours }) += 1;
        }
    }
    assert_eq!(counts.len(), 8);
    for (kind, (reported, ours)) in counts {
        assert!(reported >= 1 && ours >= 2, "{kind:?}: {reported} reported, {ours} ours");
    }
}

// Questions

fn status_result(code: &str) -> String {
    let body = format!(r#"{{"Result":{{"ResultCode":{code},"ResultDesc":"No.","ConversationID":"AG_1"}}}}"#);
    match TransactionStatusResult::parse(body.as_bytes()).unwrap().outcome {
        StatusOutcome::NotFound => "not found".to_owned(),
        StatusOutcome::Failed(failure) => format!("failed: {}", failure.advice()),
        other => format!("{other:?}"),
    }
}

fn balance_result(code: &str) -> String {
    let body = format!(r#"{{"Result":{{"ResultCode":{code},"ResultDesc":"No.","ConversationID":"AG_1"}}}}"#);
    match AccountBalanceResult::parse(body.as_bytes()).unwrap().outcome {
        BalanceOutcome::Failed(failure) => format!("failed: {}", failure.advice()),
        other => format!("{other:?}"),
    }
}

fn as_balance_and_status(json: &str) -> String {
    let balance = match AccountBalanceResult::parse(json.as_bytes()).unwrap().outcome {
        BalanceOutcome::Unproven(Unproven { why, .. }) => why.to_string(),
        other => format!("{other:?}"),
    };
    let status = match TransactionStatusResult::parse(json.as_bytes()).unwrap().outcome {
        StatusOutcome::Unproven(Unproven { why, .. }) => why.to_string(),
        other => format!("{other:?}"),
    };
    format!("{balance}; {status}")
}

// Numbers and payers

fn number(text: &str) -> String {
    match text.parse::<Msisdn>() {
        Ok(number) => number.to_string(),
        Err(error) if error.reason().contains("decimal fraction") => "refused: a decimal fraction".to_owned(),
        Err(_) => "refused: another character".to_owned(),
    }
}

fn payer(text: &str) -> String {
    let may_be = Payer::read(text).unwrap().may_be("254700000366".parse().unwrap());
    (if may_be { "may be" } else { "is another" }).to_owned()
}

// Callbacks

fn callback_of(phone: &str) -> String {
    let body = format!(
        r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"ws_CO_1","ResultCode":0,"CallbackMetadata":{{"Item":[
            {{"Name":"Amount","Value":10}},{{"Name":"MpesaReceiptNumber","Value":"UJ65WSR9W7"}},
            {{"Name":"PhoneNumber","Value":{phone}}}]}}}}}}}}"#
    );
    let asked = Expected::new(Shillings::new(10).unwrap()).payer("254708374149".parse().unwrap());
    match Event::parse(body.as_bytes()).unwrap().expect(&asked) {
        Ok(receipt) => receipt.map_or("no receipt", |_| "paid").to_owned(),
        Err(mismatch) => mismatch.to_string(),
    }
}

fn notice_of(payer: &str) -> String {
    let body = json!({"TransID": "UJ65WSR9W7", "TransAmount": "10.00", "BusinessShortCode": "600966", "MSISDN": payer});
    let event = Event::parse_as(EventKind::C2bConfirmation, body.to_string().as_bytes()).unwrap();
    let asked = Expected::new(Shillings::new(10).unwrap()).payer("254708374149".parse().unwrap());
    match event.expect(&asked) {
        Ok(receipt) => receipt.map_or("no receipt", |_| "paid").to_owned(),
        Err(mismatch) => mismatch.to_string(),
    }
}

fn reading(json: &str) -> String {
    match Event::parse(json.as_bytes()).unwrap() {
        Event::Stk(callback) => ended(callback.outcome),
        Event::C2b(notice) => noticed(&notice),
        other => format!("{other:?}"),
    }
}

fn noticed(notice: &C2bNotice) -> String {
    let C2bNotice { short_code, amount, payer, completed_at, .. } = notice;
    let payer = payer.as_ref().and_then(Payer::msisdn).unwrap();
    format!("{} got {} from {payer} at {}", short_code.unwrap(), amount.unwrap(), completed_at.unwrap())
}

fn ended(outcome: StkOutcome) -> String {
    match outcome {
        StkOutcome::Paid(paid) => {
            let payer = paid.payer.and_then(|payer| payer.msisdn()).map_or("nobody".to_owned(), |n| n.to_string());
            let (amount, at) = (paid.amount.unwrap(), paid.completed_at.unwrap());
            format!("paid {amount} by {payer} at {at}")
        }
        StkOutcome::Failed(failure) => failed(&failure),
        StkOutcome::Unproven(unproven) => format!("unproven: {}", Unproven::from(&unproven)),
        other => format!("{other:?}"),
    }
}

fn failed(failure: &StkFailure) -> String {
    let promises = failure.customer_message().contains("not been charged");
    let words = if failure.code().as_number() == Some(1032) || promises { "" } else { "; nothing is promised" };
    format!("failed: {}{words}", failure.reason())
}

fn callback_with(text: &str) -> String {
    let (code, words) = text.split_once(' ').unwrap();
    let body = json!({"Body": {"stkCallback": {
        "CheckoutRequestID": "ws_CO_1", "ResultCode": code, "ResultDesc": words,
    }}});
    ended(StkCallback::parse(body.to_string().as_bytes()).unwrap().outcome)
}

fn callback_with_receipt(receipt: &str) -> String {
    let body = json!({"Body": {"stkCallback": {
        "CheckoutRequestID": "ws_CO_1", "ResultCode": 0,
        "CallbackMetadata": {"Item": [{"Name": "MpesaReceiptNumber", "Value": receipt}]},
    }}});
    ended(StkCallback::parse(body.to_string().as_bytes()).unwrap().outcome)
}

/// A query that answers so each time.
async fn waited(text: &str) -> String {
    let (code, words) = text.split_once(' ').unwrap();
    let body = json!({"ResponseCode": "0", "CheckoutRequestID": "ws_CO_1", "ResultCode": code, "ResultDesc": words});
    let client = Scripted::new(vec![answer(200, body.to_string()); 9]).client();
    let id = "ws_CO_1".parse().unwrap();
    match client.wait_for_payment(&merchant(), &id).await {
        Ok(settled) => match settled.outcome {
            Outcome::Failed(failure) => failed(&failure),
            Outcome::Paid(_) => "paid".to_owned(),
        },
        Err(Error::StillPending(pending)) => {
            let unproven = pending.last_unproven().unwrap().to_string();
            assert!(pending.to_string().contains(&unproven), "{pending} does not say it");
            format!("not settled: {unproven}")
        }
        Err(other) => format!("{other}"),
    }
}

/// A third party writes amounts as floats.
async fn amount_to_the_simulator(amount: &str) -> String {
    let simulator = Simulator::new();
    let client = simulator.client();
    let push = StkPush::new(
        &simulator.merchant(),
        "254708374149".parse().unwrap(),
        Shillings::new(100).unwrap(),
        "INV-001".parse().unwrap(),
        simulator.callback_url(),
    );
    match client.send(&amounts::With { push, amount: amount.to_owned() }).await {
        Ok(()) => format!("rings for {}", simulator.prompts().first().unwrap().amount),
        Err(error) => error.api().unwrap().code().unwrap().to_string(),
    }
}

mod amounts {
    use daraja::{Answer, Operation, Repeat, Result, StkPush, Timestamp};
    use serde::Serialize;
    use serde_json::{Value, value::RawValue};

    /// A push whose amount is written as it is given.
    pub(super) struct With {
        pub(super) push: StkPush,
        pub(super) amount: String,
    }

    impl Operation for With {
        type Response = ();

        fn path(&self) -> &str {
            self.push.path()
        }

        fn repeat(&self) -> Repeat {
            Repeat::Never
        }

        fn body(&self, now: Timestamp) -> impl Serialize + Send {
            let Value::Object(fields) = serde_json::to_value(self.push.body(now)).unwrap() else { panic!("an object") };
            let text = |value: Value| RawValue::from_string(value.to_string()).unwrap();
            let mut fields: std::collections::BTreeMap<_, _> =
                fields.into_iter().map(|(name, value)| (name, text(value))).collect();
            fields.insert("Amount".to_owned(), RawValue::from_string(self.amount.clone()).unwrap());
            fields
        }

        fn decode(&self, _: &Answer) -> Result<()> {
            Ok(())
        }
    }
}

// Payouts

fn noon() -> Timestamp {
    "20261006120000".parse().unwrap()
}

/// A payout that was accepted, whose result comes to its own signed URL.
async fn paid_out(result: &str) -> String {
    let accepted =
        r#"{"ResponseCode":"0","ConversationID":"AG_1","OriginatorConversationID":"supplier-7-invoice-1042"}"#;
    let mut payout = Payout::new(payment());
    drop(payout.begin(noon()).unwrap());
    let payment = payment();
    note(&mut payout, Scripted::new([answer(200, accepted)]).client().send(&payment).await, noon());
    let mut result: serde_json::Value = serde_json::from_str(result).unwrap();
    result["ConversationID"] = "AG_1".into();
    if result["OriginatorConversationID"].is_null() {
        result["OriginatorConversationID"] = payment.id().as_str().into();
    }
    let body = json!({"Result": result}).to_string();
    let url = RECEIVER.urls().payout(&"kinds-payout".parse().unwrap()).result().clone();
    let (_, event) =
        RECEIVER.accept(Delivery::new(IpAddr::from([196, 201, 214, 200]), url.path(), body.as_bytes())).unwrap();
    let Event::Result(result) = event else { panic!("{event:?}") };
    payout.take_result(&result.b2c().unwrap(), noon()).unwrap();
    let contradiction = payout.contradictions().first().map(|_| "it says another amount or recipient".to_owned());
    match payout.state() {
        PayoutState::Paid(paid) => format!("paid {}", paid.receipt),
        PayoutState::Failed(failure) => format!("failed: {}", failure.reason()),
        _ => {
            let unproven = contradiction.or_else(|| payout.last_unproven().map(ToString::to_string));
            format!("not settled: {}", unproven.unwrap())
        }
    }
}

fn bare_result(json: &str) -> String {
    let B2cOutcome::Unproven(unproven) = B2cResult::parse(json.as_bytes()).unwrap().outcome else { panic!("{json}") };
    let kept = unproven.without_receipt.as_ref().map(|paid| format!("; {} is kept", paid.receipt)).unwrap_or_default();
    format!("unproven: {}{kept}", Unproven::from(&unproven))
}

// Deliveries

/// It is unique to this body, so that its lines are found in the log of all tests.
fn reference_of(body: &str) -> Reference {
    let number = body.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    format!("kinds-{number:x}").parse().unwrap()
}

fn received(body: &str) -> String {
    let log = Log::of_all_tests();
    let reference = reference_of(body);
    let url = RECEIVER.urls().stk(&reference);
    let peer = IpAddr::from([196, 201, 214, 200]);
    match RECEIVER.accept(Delivery::new(peer, url.path(), body.as_bytes())) {
        Ok((_, Event::Unknown(unknown))) => {
            assert_eq!(unknown.raw(), body);
            let text = log.text();
            let warned = |line: &&str| {
                line.contains(reference.as_str()) && line.contains("delivery not understood") && line.contains("WARN")
            };
            let line = text.lines().find(warned).expect("a warning");
            let key = line.split("known_key=\"").nth(1).and_then(|rest| rest.split('"').next());
            format!("kept, and warned of {}", key.unwrap_or("no known key"))
        }
        Ok(other) => format!("{other:?}"),
        Err(refused) => refused.to_string().split(": ").next().unwrap().to_owned(),
    }
}

// Refusals

const ACCEPTED: &str = r#"{"MerchantRequestID":"1","CheckoutRequestID":"ws_CO_1","ResponseCode":"0"}"#;

fn push() -> StkPush {
    let (number, amount) = ("254708374149".parse().unwrap(), Shillings::new(500).unwrap());
    let url = "https://shop.example/daraja".parse().unwrap();
    StkPush::new(&merchant(), number, amount, "INV-001".parse().unwrap(), url)
}

async fn pushed(text: &'static str) -> String {
    let (status, body) = text.split_once(' ').unwrap();
    sent([answer(status.parse().unwrap(), body), answer(200, ACCEPTED)]).await
}

/// As an API that this crate does not have yet.
struct OwnEnvelope;

impl Operation for OwnEnvelope {
    type Response = ();

    fn path(&self) -> &str {
        "/v1/own"
    }

    fn repeat(&self) -> Repeat {
        Repeat::Never
    }

    fn envelope(&self) -> Envelope {
        Envelope::Own
    }

    fn body(&self, _: Timestamp) -> impl Serialize + Send {}

    fn decode(&self, _: &Answer) -> daraja::Result<()> {
        Ok(())
    }
}

async fn refused_by_its_own_code(text: &'static str) -> String {
    let (status, body) = text.split_once(' ').unwrap();
    let scripted = Scripted::new([answer(status.parse().unwrap(), body)]);
    let error = scripted.client().send(&OwnEnvelope).await.unwrap_err();
    (if error.outcome_unknown() { "outcome unknown" } else { "refused" }).to_owned()
}

async fn pushed_twice(text: &'static str) -> String {
    let (status, body) = text.split_once(' ').unwrap();
    sent(std::array::from_fn(|_| answer(status.parse().unwrap(), body))).await
}

async fn sent(steps: [Step; 2]) -> String {
    let scripted = Scripted::new(steps);
    let outcome = scripted.client().send(&push()).await;
    let (tokens, calls) = (scripted.token_requests().len(), scripted.calls().len());
    match outcome {
        Ok(_) => {
            assert_eq!((tokens, calls), (2, 2));
            "a new token, and accepted".to_owned()
        }
        Err(error) => {
            let text = error.to_string();
            let hint = text.strip_suffix(')').and_then(|text| text.rsplit_once(" (")).map(|(_, hint)| hint.to_owned());
            let hint = hint.filter(|hint| !hint.starts_with("HTTP"));
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            let is_page = cause.contains("is a web page, not an answer of an API: check MPESA_BASE_URL");
            let hint = hint.or_else(|| is_page.then(|| "check MPESA_BASE_URL".to_owned()));
            let hint = hint.map(|hint| format!(": {hint}"));
            let kind = if error.outcome_unknown() { "outcome unknown" } else { "refused" };
            // A push that may have been executed is not sent again.
            assert!(!error.outcome_unknown() || calls == 1, "{error:?}");
            let path = "/mpesa/stkpush/v1/processrequest";
            let path = if text.contains(path) { format!(" ({path})") } else { String::new() };
            format!("{kind}{path}{}", hint.unwrap_or_default())
        }
    }
}

// Settings

const RIGHT: [(&str, &str); 11] = [
    ("MPESA_ENVIRONMENT", "sandbox"),
    ("MPESA_CONSUMER_KEY", "the-key"),
    ("MPESA_CONSUMER_SECRET", "the-secret"),
    ("MPESA_SHORTCODE", "174379"),
    ("MPESA_PASSKEY", "a-passkey"),
    ("MPESA_CALLBACK_URL", "https://shop.example/daraja"),
    ("MPESA_B2C_SHORTCODE", "600310"),
    ("MPESA_B2C_INITIATOR_NAME", "shop-api"),
    ("MPESA_B2C_SECURITY_CREDENTIAL", CREDENTIAL),
    ("MPESA_B2C_RESULT_URL", "https://shop.example/result"),
    ("MPESA_B2C_TIMEOUT_URL", "https://shop.example/timeout"),
];

fn setting(text: &str) -> String {
    let log = Log::of_all_tests();
    let (name, value) = text.split_once('=').unwrap();
    let value = if value == "<the credential>" { CREDENTIAL } else { value };
    let is_password = name == "MPESA_B2C_INITIATOR_PASSWORD";
    let find = |wanted: &str| {
        if wanted == name {
            return Some(value.to_owned());
        }
        let is_left_out = match wanted {
            "MPESA_B2C_SECURITY_CREDENTIAL" => is_password,
            // A base URL stands in the place of an environment.
            "MPESA_ENVIRONMENT" => name == "MPESA_BASE_URL",
            _ => false,
        };
        RIGHT.iter().find(|(known, _)| *known == wanted && !is_left_out).map(|(_, value)| (*value).to_owned())
    };
    match Settings::from_lookup(find) {
        Ok(_) if name != "MPESA_TILL" => "is right".to_owned(),
        Ok(_) => {
            let warned = log.text().lines().any(|line| {
                line.contains("WARN") && line.contains("MPESA_TILL is MPESA_SHORTCODE") && line.contains("SFC_IC0003")
            });
            assert!(warned, "{text} is neither an error nor a warning");
            "warned: MPESA_TILL is MPESA_SHORTCODE: SFC_IC0003".to_owned()
        }
        Err(error) => {
            let [problem] = error.problems() else { panic!("{error}") };
            assert_eq!(problem.name, name, "{error}");
            let shown = error.to_string();
            assert!(!value.chars().count() > 1 || !shown.contains(value), "the value is shown: {shown}");
            if problem.problem.contains("MPESA_B2C_INITIATOR_PASSWORD") && name.contains("CREDENTIAL") {
                "names MPESA_B2C_INITIATOR_PASSWORD".to_owned()
            } else {
                problem.problem.to_string()
            }
        }
    }
}

fn unreachable(url: &'static str) -> String {
    let log = Log::of_all_tests();
    let find = |wanted: &str| {
        let value = if wanted == "MPESA_CALLBACK_URL" { Some(&url) } else { None };
        let right = RIGHT.iter().find(|(known, _)| *known == wanted).map(|(_, value)| value);
        value.or(right).map(|value| (*value).to_owned())
    };
    Settings::from_lookup(find).unwrap();
    let host = url.split('/').nth(2).unwrap();
    let is_about_it =
        |line: &str| line.contains("Safaricom cannot reach") && line.contains(&format!("host=\"{host}\""));
    (if log.text().lines().any(is_about_it) { "warned" } else { "nothing is said" }).to_owned()
}

// Documentation

const TROUBLESHOOTING: &str = include_str!("../../docs/troubleshooting.md");

/// Why a delivery is refused whose path was changed on its way, if the page on troubleshooting has these words.
fn documented_refusal(change: &str) -> String {
    let url = RECEIVER.urls().stk(&"kinds".parse().unwrap());
    let (path, bare) = (url.path(), url.path().strip_prefix("/daraja").unwrap());
    let path = change.replace("{path}", path).replace("{path without prefix}", bare);
    let peer = IpAddr::from([196, 201, 214, 200]);
    let refused = RECEIVER.accept(Delivery::new(peer, &path, b"{}")).unwrap_err().to_string();
    assert!(TROUBLESHOOTING.contains(&format!("```text\n{refused}\n```")), "{refused}");
    refused
}

fn documented(text: &str) -> String {
    (if TROUBLESHOOTING.contains(text) { "documented" } else { "not documented" }).to_owned()
}
