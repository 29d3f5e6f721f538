//! `docs/result-codes.md` is what the crate makes of each code: it is made here, by asking the crate, and compared.
//! `DARAJA_WRITE_DOCS=1 cargo test --test api result_codes` writes it.

use std::{env, fmt::Write, fs, iter, path::Path, time::Duration};

use daraja::{
    Advice, B2cOutcome, B2cPayment, B2cResult, Error, ResultCode, ReversalOutcome, ReversalResult, Shillings,
    StatusOutcome, StkCallback, StkOutcome, StkPush, StkQuery, StkStatus, TransactionStatusResult,
    error::ApiError,
    initiated::RequestReason,
    simulator::{Fault, Route, Simulator},
    webhook::C2bRejection,
};

const START: &str = "\
# Result codes

What this crate makes of Daraja's codes. Made by a test from the crate's own answers, so do not edit it.

A code means different things in different APIs: 2001 is a wrong PIN in M-PESA Express and a wrong initiator in B2C. Daraja's
words are no contract: they change from day to day and differ between callback and query.

Two kinds of codes come at two times. An **error code**, such as `400.002.02`, is the answer to a request that was not taken. A
**result code**, such as 1032, says later what became of one that was.

The column *known* says how: *documented* by Safaricom, *observed* in answers that others captured, or only *reported* by other
libraries and applications.
";

/// Letters that are known as result codes of some API.
const WORDS: [&str; 4] = ["R000001", "R000002", "SFC_IC0003", "TP40153"];

/// What Daraja documents, or was seen to send, as a result code of some API.
fn documented() -> impl Iterator<Item = ResultCode> {
    let low = [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 17, 18, 19, 20, 21, 22, 24, 25, 26, 29];
    let middle = [1001, 1019, 1025, 1031, 1032, 1036, 1037, 2001, 2006, 2028, 2029, 2032, 2033, 2040];
    let high = [4001, 4999, 8006, 9999];
    low.into_iter().chain(middle).chain(high).chain(100_000_000..=100_000_011).map(ResultCode::new)
}

/// How a code is known, wherever it is used.
fn known(code: &ResultCode) -> String {
    let text = code.to_string();
    let known = match text.as_str() {
        "1" | "2" | "21" | "25" | "1019" | "2001" | "8006" | "SFC_IC0003" => "documented, observed",
        "1031" => "observed in 2021, reported",
        "1036" => "observed in 2018 and 2019, reported",
        "4001" => "observed in the sandbox in July 2026",
        "1032" | "1037" | "2032" | "TP40153" => "observed",
        "1001" | "2033" | "9999" => "reported",
        _ => "documented",
    };
    known.to_owned()
}

const REJECTIONS: [C2bRejection; 6] = [
    C2bRejection::Msisdn,
    C2bRejection::Account,
    C2bRejection::Amount,
    C2bRejection::Kyc,
    C2bRejection::ShortCode,
    C2bRejection::Other,
];

/// A line of a table: the codes that have one reason.
struct Line {
    codes: Vec<ResultCode>,
    /// All other columns.
    cells: Vec<String>,
}

/// Every code that could be known, and what `tell` makes of it.
fn lines(tell: impl Fn(&ResultCode) -> Option<Vec<String>>) -> Vec<Line> {
    let numbers = (0..10_000).chain(99_999_990..100_000_020).map(ResultCode::new);
    let mut lines: Vec<Line> = Vec::new();
    for code in numbers.chain(WORDS.into_iter().map(ResultCode::from)) {
        let Some(cells) = tell(&code).map(|cells| [cells, vec![known(&code)]].concat()) else { continue };
        match lines.iter_mut().find(|line| line.cells == cells) {
            Some(line) => line.codes.push(code),
            None => lines.push(Line { codes: vec![code], cells }),
        }
    }
    lines
}

fn table(page: &mut String, heads: &[&str], lines: &[Line]) {
    writeln!(page, "\n| {} | known |\n|{}", heads.join(" | "), "---|".repeat(heads.len() + 1)).unwrap();
    for Line { codes, cells } in lines {
        writeln!(page, "| {} | {} |", spans(codes), cells.join(" | ")).unwrap();
    }
    let open: Vec<_> = documented().filter(|code| !lines.iter().any(|line| line.codes.contains(code))).collect();
    writeln!(page, "\nEvery other code settles nothing. Of those that Daraja sends somewhere: {}.", spans(&open))
        .unwrap();
}

/// `18 to 22`, where there are three or more in a row.
fn spans(codes: &[ResultCode]) -> String {
    let mut rest = codes;
    let mut spans = Vec::new();
    while let [first, ..] = rest {
        let follows = |(at, code): &(usize, &ResultCode)| {
            let distance = first.as_number().zip(code.as_number()).and_then(|(from, to)| to.checked_sub(from));
            distance == u64::try_from(*at).ok()
        };
        let length = rest.iter().enumerate().take_while(follows).count().max(1);
        let taken = if length > 2 { length } else { 1 };
        spans.push(if taken > 1 { format!("{first} to {}", rest[taken - 1]) } else { first.to_string() });
        rest = &rest[taken..];
    }
    spans.join(", ")
}

fn cells(reason: &impl ToString, advice: Advice) -> Vec<String> {
    vec![reason.to_string(), advice.to_string()]
}

fn result(code: &ResultCode) -> Vec<u8> {
    let code = serde_json::to_string(code).unwrap();
    format!(r#"{{"Result":{{"ResultCode":{code},"OriginatorConversationID":"a","ConversationID":"AG_1"}}}}"#).into()
}

fn stk(code: &ResultCode) -> Option<Vec<String>> {
    let code = serde_json::to_string(code).unwrap();
    let body = format!(r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"ws_CO_1","ResultCode":{code}}}}}}}"#);
    let StkOutcome::Failed(failure) = StkCallback::parse(body.as_bytes()).unwrap().outcome else { return None };
    Some([cells(&failure.reason(), failure.advice()), vec![failure.customer_message().to_owned()]].concat())
}

fn b2c(code: &ResultCode) -> Option<Vec<String>> {
    let B2cOutcome::Failed(failure) = B2cResult::parse(&result(code)).unwrap().outcome else { return None };
    Some([cells(&failure.reason(), failure.advice()), vec![failure.customer_message().to_owned()]].concat())
}

fn reversal(code: &ResultCode) -> Option<Vec<String>> {
    match ReversalResult::parse(&result(code)).unwrap().outcome {
        ReversalOutcome::Refused(failure) => Some(cells(&failure.reason(), failure.advice())),
        ReversalOutcome::AlreadyReversed => Some(vec![
            "the money had gone back before".to_owned(),
            "nothing: do not give it back in another way".to_owned(),
        ]),
        _ => None,
    }
}

fn question(code: &ResultCode) -> Option<Vec<String>> {
    match TransactionStatusResult::parse(&result(code)).unwrap().outcome {
        StatusOutcome::NotFound => {
            Some(vec!["no such transaction is known (yet)".to_owned(), "ask again later: it proves nothing".to_owned()])
        }
        StatusOutcome::Failed(failure) if failure.reason() != RequestReason::Other => {
            Some(cells(&failure.reason(), failure.advice()))
        }
        _ => None,
    }
}

/// An answer that refuses, and what it is about.
struct Refusal(Route, u16, &'static str, &'static str, &'static str);

const TOKEN: &str = "the token died early, or the app lacks the product, or the keys are of another environment";
/// It has no code.
const EMPTY: &str = "(an empty body)";
const SLOWER: &str = "too many calls";
const UNCLEAR: &str = "something went wrong inside Daraja";

#[rustfmt::skip]
const REFUSALS: [Refusal; 36] = [
    Refusal(Route::OAuth, 400, "400.008.01", "Invalid Authentication passed", "a wrong consumer key or secret"),
    Refusal(Route::OAuth, 400, "400.008.02", "Invalid grant type passed", "not by this crate: somebody changed the request on its way"),
    Refusal(Route::Other, 400, "400.002.01", "Invalid Access Token", TOKEN),
    Refusal(Route::Other, 400, "400.003.01", "Invalid Access Token", TOKEN),
    Refusal(Route::Other, 401, "401.001", "Invalid Access Token", TOKEN),
    Refusal(Route::Other, 401, "401.002.01", "Error Occurred - Invalid Access Token", TOKEN),
    Refusal(Route::Other, 401, "401.003.01", "Error Occurred - Invalid Access Token - Invalid API call as no apiproduct match found", TOKEN),
    Refusal(Route::Other, 404, "404.001.03", "Invalid Access Token", TOKEN),
    Refusal(Route::Other, 401, EMPTY, "", TOKEN),
    Refusal(Route::Other, 401, "oauth.v2.InvalidAccessToken", "Invalid access token", TOKEN),
    Refusal(Route::Other, 404, "404.001.04", "Invalid Authentication Header", "a header is missing: a proxy took it away"),
    Refusal(Route::Other, 404, "404.001.01", "Resource not found", "a wrong path: see `MPESA_BASE_URL`"),
    Refusal(Route::Other, 404, "messaging.adaptors.http.flow.ApplicationNotFound", "Unable to identify proxy for host: …", "a wrong host or path: see `MPESA_BASE_URL`"),
    Refusal(Route::Other, 405, "405.001", "Method Not Allowed", "a proxy changed the method"),
    Refusal(Route::Other, 400, "400.002.02", "Bad Request - Invalid PhoneNumber", "the field that the words name; the first one of all if the body was not read as JSON"),
    Refusal(Route::Other, 400, "400.002.02", "Bad Request - Invalid CheckoutRequestID", "a query that comes too early, or asks by a wrong id"),
    Refusal(Route::Other, 400, "400.002.05", "Invalid Request Payload", "a malformed body"),
    Refusal(Route::Other, 400, "400.003.02", "Bad Request", "something in the request"),
    Refusal(Route::Other, 500, "500.001.1001", "The transaction is being processed", "the prompt is open"),
    Refusal(Route::Other, 500, "500.001.1001", "", "nothing is known; seen for open and for finished payments"),
    Refusal(Route::Other, 500, "500.001.1001", "The transaction does not Exist", "an unknown id, or a query that comes too early"),
    Refusal(Route::Other, 500, "500.001.1001", "Wrong credentials", "the passkey does not belong to the short code"),
    Refusal(Route::Other, 500, "500.001.1001", "Merchant does not exist", "the short code is not known for M-PESA Express"),
    Refusal(Route::Other, 500, "500.001.1001", "Unable to lock subscriber, a transaction is already in process for the current subscriber", "another prompt is open on that phone: wait a minute or more"),
    Refusal(Route::Other, 500, "500.001.1001", "No ICCID found on NMS", "the number has no Safaricom line (reported; the code is assumed)"),
    Refusal(Route::Other, 500, "500.001.1001", "Merchant not allowed to carry out transaction type CustomerPayBillOnline", "a PayBill is used as a till, or a till as a PayBill (reported; the code is assumed)"),
    Refusal(Route::Other, 500, "500.001.1001", "Internal Server Error", UNCLEAR),
    Refusal(Route::Other, 500, "500.002.1001", "Duplicate OriginatorConversationID.", "the payout's id was used before"),
    Refusal(Route::Other, 500, "500.002.1001", "System internal error.", UNCLEAR),
    Refusal(Route::Other, 500, "500.002.1001", "Service is currently under maintenance", UNCLEAR),
    Refusal(Route::Other, 500, "500.003.1001", "Internal Server Error", UNCLEAR),
    Refusal(Route::Other, 500, "500.003.02", "System is busy. Please try again in few minutes.", "Daraja is busy; that the call was not carried out is not proved"),
    Refusal(Route::Other, 500, "500.003.02", "Error Occurred: Spike Arrest Violation", SLOWER),
    Refusal(Route::Other, 500, "500.002.02", "Error Occurred: Spike Arrest Violation", SLOWER),
    Refusal(Route::Other, 500, "500.003.03", "Quota Violation", SLOWER),
    Refusal(Route::Other, 429, "policies.ratelimit.SpikeArrestViolation", "Spike arrest violation. …", SLOWER),
];

/// A push, a payout or a query.
#[derive(Clone, Copy)]
enum Call {
    Push,
    Payout,
    Query,
}

impl Refusal {
    async fn line(&self) -> String {
        let Self(_, status, code, words, about) = *self;
        let words = if words.is_empty() { "(no words)" } else { words };
        let [push, payout, query] =
            [self.verdict(Call::Push).await, self.verdict(Call::Payout).await, self.verdict(Call::Query).await];
        let code = if code == EMPTY { EMPTY.to_owned() } else { format!("`{code}`") };
        format!("| {code} | {status} | {words} | {about} | {push} | {payout} | {query} |")
    }

    /// What the client does if it is answered so once; and what it says if it is answered so until it gives up.
    async fn verdict(&self, call: Call) -> String {
        let (once, calls) = self.answered(call, 1).await;
        let (always, _) = self.answered(call, 3).await;
        match (once, calls) {
            (Ok(Some(status)), 1) => status.to_owned(),
            (Ok(_), _) => format!("sent again by itself, then {}", said(&always.unwrap_err())),
            (Err(error), _) => said(&error).to_owned(),
        }
    }

    /// What comes of a call that is answered so this many times, and how many calls it took. An answer of the query that is
    /// none about the payment is given by its name.
    async fn answered(&self, call: Call, times: usize) -> (Result<Option<&'static str>, Error>, usize) {
        let simulator = Simulator::builder().query_spacing(Duration::ZERO).build();
        simulator.everyone().decides_by_hand();
        let (merchant, payer) = (simulator.merchant(), "254700000001".parse().unwrap());
        let amount = Shillings::new(500).unwrap();
        let push = StkPush::new(&merchant, payer, amount, "A".parse().unwrap(), simulator.callback_url());
        let accepted = match call {
            Call::Query => Some(simulator.client().send(&push).await.unwrap()),
            Call::Push | Call::Payout => None,
        };
        let route = self.goes_wrong(&simulator, call, times);
        let before = simulator.calls(route);
        // A client of its own, without a token.
        let daraja = simulator.client();
        let outcome = match accepted {
            Some(accepted) => {
                daraja.send(&StkQuery::new(&merchant, &accepted.checkout_request_id)).await.map(|status| match status {
                    StkStatus::Pending => Some("pending"),
                    StkStatus::NotFound => Some("not found, which is not final"),
                    _ => None,
                })
            }
            None if matches!(call, Call::Push) => daraja.send(&push).await.map(|_| None),
            None => {
                let (initiator, urls) = (simulator.initiator(), simulator.result_urls());
                let payment = B2cPayment::new(&initiator, simulator.b2c_short_code(), payer, amount, urls);
                daraja.send(&payment).await.map(|_| None)
            }
        };
        (outcome, simulator.calls(route) - before)
    }

    fn goes_wrong(&self, simulator: &Simulator, call: Call, times: usize) -> Route {
        let Self(at, status, code, words, _) = *self;
        let route = match call {
            _ if at == Route::OAuth => at,
            Call::Push => Route::StkPush,
            Call::Payout => Route::B2c,
            Call::Query => Route::StkQuery,
        };
        let fault = match (status, code) {
            (429, _) => Fault::Throttled(None),
            (401, EMPTY) => Fault::UnauthorizedEmpty,
            (401, "oauth.v2.InvalidAccessToken") => Fault::UnauthorizedFault,
            (404, "messaging.adaptors.http.flow.ApplicationNotFound") => Fault::NoRoute,
            _ => Fault::Refused(status, code, words),
        };
        iter::repeat_n(fault, times).for_each(|fault| simulator.fault(route, fault));
        route
    }
}

fn said(error: &Error) -> &'static str {
    match error {
        error if error.outcome_unknown() => "**unknown**",
        error if error.api().is_some_and(ApiError::is_duplicate) => {
            "not carried out now: **ask** what the id stands for"
        }
        error if error.is_retryable() => "not carried out, try later",
        _ => "refused",
    }
}

async fn page() -> String {
    let mut page = START.to_owned();
    page += "
## M-PESA Express

What the callback of a push says, and the query likewise. These codes are final. A zero is a payment only together with a receipt, or as the query's
answer about your own id. If only a query reports a failure, a second one has to agree, and that is no proof: the advice is to look again after
60 s, and the customer is told to check the M-PESA SMS before paying again, as after every callback with that advice.
";
    let heads = ["code", "meaning (`StkReason`)", "advice", "what the customer may be told after a callback"];
    table(&mut page, &heads, &lines(stk));
    page += "
## B2C

What the result of a payout says. These codes are final. A zero is a payment only together with a receipt. Whatever settles nothing leaves the payout
as it is, and never calls for a new id.
";
    let heads = ["code", "meaning (`B2cReason`)", "advice", "what the recipient may be told"];
    table(&mut page, &heads, &lines(b2c));
    page += "
## Reversal

These codes are final. A zero is a reversal only if it names the payment. Until it is reversed or refused, give nothing back in another way.
";
    table(&mut page, &["code", "meaning (`ReversalReason`)", "advice"], &lines(reversal));
    page += "
## Transaction status and account balance

These are failures of the question. They say nothing about the payment that was asked for.
";
    table(&mut page, &["code", "meaning (`RequestReason`)", "advice"], &lines(question));
    page += "
## Your answers to a validation

| code | `C2bRejection` |
|---|---|
";
    for reason in REJECTIONS {
        writeln!(page, "| {} | `{reason:?}` |", reason.code()).unwrap();
    }
    page += "
## Error codes

What the client does and says when a call is answered so. *Unknown* means that it may have been carried out: never send it
again as a new one. *Refused* and *not carried out* mean that provably nothing happened. A push is never repeated after an answer
that proves nothing, a payout is, under its own id. The codes are documented or observed where nothing else is said.

| code | HTTP | words | about | push | payout (B2C v3) | STK query |
|---|---|---|---|---|---|---|
";
    for refusal in &REFUSALS {
        writeln!(page, "{}", refusal.line().await).unwrap();
    }
    page + "
Without a code: an HTTP 401 is a refused token, an HTTP 429 asks to slow down, and an empty HTTP 404 is a refusal. Everything else,
such as HTML of the firewall, an empty answer, one that is cut off, a redirect or no answer at all, is *unknown* for a push. A
connection that was never established is *not carried out, try later*.
"
}

#[tokio::test(start_paused = true)]
async fn the_page_of_codes_is_what_the_crate_makes_of_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/result-codes.md");
    let page = page().await;
    if env::var_os("DARAJA_WRITE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(stored, page, "if the crate is right, write the page with DARAJA_WRITE_DOCS=1");
}

#[test]
fn runs_of_codes_are_written_short() {
    let codes = [1, 2, 18, 19, 20, 22].map(ResultCode::new);
    assert_eq!(spans(&codes), "1, 2, 18 to 20, 22");
    assert_eq!(spans(&["SFC_IC0003".into(), "TP40153".into()]), "SFC_IC0003, TP40153");
}
