//! Bad answers: each is a typed error that names the cause, and none of them panics.

use daraja::{Operation, StkQuery, StkStatus, transport::BoxFuture};

use crate::tools::{
    every, merchant, push,
    script::{Script, Step, accepted, answer, json, refusal},
    verdict::{means, told, words},
};

const MEGABYTES: usize = 1 << 20;

/// An answer, and what becomes of a push and of a query that get it every time: the verdict, what it means, the requests.
struct Bad {
    name: &'static str,
    answer: Step,
    push: (String, &'static str, usize),
    query: (String, &'static str, usize),
    says: String,
}

type Verdict = (&'static str, &'static str, usize);

fn bad(name: &'static str, answer: Step, push: Verdict, query: Verdict, says: &str) -> Bad {
    let owned = |(verdict, meaning, requests): Verdict| (verdict.to_owned(), meaning, requests);
    Bad { name, answer, push: owned(push), query: owned(query), says: says.to_owned() }
}

fn html(status: u16, body: &str) -> Step {
    answer(status, "content-type: text/html\r\n", body)
}

fn raw(bytes: impl Into<Vec<u8>>) -> Step {
    Step::AnswerAndClose(bytes.into())
}

/// What cannot be read at all: its status, what it means to a query, and what is said about it.
fn unreadable() -> Vec<Bad> {
    // By position these are the fields of an accepted push, and of a query about a payment that was made.
    const ACCEPTED: &str = r#"["29115-34620561-1","ws_CO_1","0","Success","Success"]"#;
    const PAID: &str = r#"["0","Success","29115-34620561-1","ws_CO_1","0","Processed"]"#;
    const CUT: &str = r#"{"ResponseCode":"0","CheckoutRequestID":"ws_C"#;
    const TWO: &str = r#"{"ResponseCode":"0","CheckoutRequestID":"ws_CO_1","ResultCode":"0"} {}"#;
    let page = "<html><body>Request unsuccessful. Incapsula incident ID: 1730002406-8199</body></html>";
    let not_json =
        "is not JSON (line 1, column 1): <html><body>Request unsuccessful. Incapsula incident ID: 1730002406-8199";
    let cut_short = raw(format!("HTTP/1.1 200 OK\r\n\r\n{CUT}"));
    let switching = raw("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n");
    let no_content = raw("HTTP/1.1 204 No Content\r\n\r\n");
    let not_text = answer(200, "", b"{\"ResponseCode\":\"0\",\"CheckoutRequestID\":\"ws_CO_\xff\"}");
    let compressed = answer(200, "content-encoding: gzip\r\n", b"\x1f\x8b\x08\x00\xff\xff");
    let cases = [
        ("HTML 403", 403, html(403, page), "final", not_json),
        ("HTML 200", 200, html(200, page), "final", "is a web page, not an answer of an API: check MPESA_BASE_URL"),
        ("HTML 503", 503, html(503, page), "retryable", not_json),
        ("empty 200", 200, answer(200, "", ""), "final", "is empty"),
        ("another protocol", 101, switching, "final", "is empty"),
        ("no known status", 999, answer(999, "", ""), "final", "is empty"),
        ("empty 204", 204, no_content, "final", "is empty"),
        ("empty 500", 500, answer(500, "", ""), "retryable", "is empty"),
        ("white space", 200, answer(200, "", " \r\n\t "), "final", "is empty"),
        ("truncated JSON", 200, json(200, CUT), "final", "is JSON that is cut short"),
        ("truncated JSON without a length", 200, cut_short, "final", "is JSON that is cut short"),
        ("a list like a push", 200, json(200, ACCEPTED), "final", "is a JSON list, not an object"),
        ("a list like a query", 200, json(200, PAID), "final", "is a JSON list, not an object"),
        ("JSON null", 200, json(200, "null"), "final", "is not of the expected shape"),
        ("two documents", 200, json(200, TWO), "final", "is not JSON"),
        ("nested arrays", 200, json(200, "[".repeat(100_000)), "final", "is JSON that is cut short"),
        ("nested faults", 200, json(200, r#"{"fault":"#.repeat(100_000)), "final", "is JSON that is cut short"),
        ("not UTF-8", 200, not_text, "final", "is not UTF-8"),
        ("compressed unasked", 200, compressed, "final", "is not UTF-8"),
    ];
    let unknown = |status| (format!("Unknown(Decode({status}))"), "unknown", 1);
    let told = |status, meaning| (format!("Decode({status})"), meaning, 3);
    let says = |status, words| format!("Daraja's answer (HTTP {status}) {words}");
    cases
        .into_iter()
        .map(|(name, status, answer, meaning, words)| Bad {
            name,
            answer,
            push: unknown(status),
            query: told(status, meaning),
            says: says(status, words),
        })
        .collect()
}

/// What is no answer of HTTP, or too much of one.
fn no_answers() -> Vec<Bad> {
    let interrupted = (("Unknown(Transport(Interrupted))", "unknown", 1), ("Transport(Interrupted)", "retryable", 3));
    let too_large = (("Unknown(Transport(TooLarge))", "unknown", 1), ("Transport(TooLarge)", "final", 3));
    let ten_megabytes = "x".repeat(10 * MEGABYTES);
    let no_length = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), ten_megabytes.as_bytes()].concat();
    let chunk = format!("{:x}\r\n{ten_megabytes}\r\n", 10 * MEGABYTES);
    let chunked = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\n");
    let small_chunks = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
        format!("40\r\n{}\r\n", " ".repeat(64)).repeat(MEGABYTES / 32)
    );
    let one_too_many = format!("{}{{}}", " ".repeat(MEGABYTES - 1));
    let head = format!("HTTP/1.1 200 OK\r\n{}", "x-more: of the same\r\n".repeat(50_000));
    let open_chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n";
    vec![
        bad("10 MB", answer(200, "", &ten_megabytes), too_large.0, too_large.1, "larger than 1 MiB"),
        bad("10 MB without a length", raw(no_length), too_large.0, too_large.1, "larger than 1 MiB"),
        bad("10 MB in one chunk", raw(chunked), too_large.0, too_large.1, "larger than 1 MiB"),
        bad("2 MB in small chunks", raw(small_chunks), too_large.0, too_large.1, "larger than 1 MiB"),
        bad("1 MiB and a byte", answer(200, "", one_too_many), too_large.0, too_large.1, "larger than 1 MiB"),
        bad("no HTTP", raw("SSH-2.0-OpenSSH_9.6\r\n"), interrupted.0, interrupted.1, "the connection broke"),
        bad("a head without end", raw(head), interrupted.0, interrupted.1, "the connection broke"),
        bad("chunks without the last", raw(open_chunk), interrupted.0, interrupted.1, "the connection broke"),
        bad(
            "two lengths",
            raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{} "),
            interrupted.0,
            interrupted.1,
            "the connection broke",
        ),
    ]
}

/// What asks to slow down, and provably was not carried out: everything is repeated.
fn throttles() -> Vec<Bad> {
    const SPIKE: &str = "Api(500 policies.ratelimit.SpikeArrestViolation)";
    let spike = r#"{"fault":{"faultstring":"Spike arrest violation","detail":{"errorcode":"policies.ratelimit.SpikeArrestViolation"}}}"#;
    let cases = [
        ("429 HTML", html(429, "<html>Too many</html>"), "Api(429)", "(HTTP 429)"),
        ("429 empty", answer(429, "", ""), "Api(429)", "(HTTP 429)"),
        ("429 not UTF-8", answer(429, "", b"\xff"), "Api(429)", "(HTTP 429)"),
        ("fault of a spike in a 500", json(500, spike), SPIKE, "Spike arrest violation"),
        (
            "spike arrest in Daraja's own shape",
            refusal(500, "500.003.02", "Error Occurred: Spike Arrest Violation"),
            "Api(500 500.003.02)",
            "Spike Arrest",
        ),
    ];
    let verdict = |told| (told, "retryable", 3);
    cases.into_iter().map(|(name, answer, told, says)| bad(name, answer, verdict(told), verdict(told), says)).collect()
}

/// What can be read and is a refusal, of whatever shape.
fn refusals() -> Vec<Bad> {
    let broken = r#"{"fault":{"faultstring":"Execution of ServiceCallout failed","detail":{"errorcode":"steps.servicecallout.ExecutionFailed"}}}"#;
    let soap = r#"{"Envelope":{"encodingStyle":"http://schemas.xmlsoap.org/soap/encoding/","Body":{"Fault":{"faultcode":"soap:Server","faultstring":"Execution of ServiceCallout SC-SearchURL failed. Reason: ResponseCode 503 is treated as error","faultactor":{},"detail":{"source":{"errorcode":"steps.servicecallout.ExecutionFailed"}}}}}}"#;
    vec![
        bad(
            "empty list in a 500",
            json(500, "[]"),
            ("Unknown(Api(500))", "unknown", 1),
            ("Api(500)", "retryable", 3),
            "(HTTP 500)",
        ),
        bad(
            "fault of a broken gateway",
            json(500, broken),
            ("Unknown(Api(500 steps.servicecallout.ExecutionFailed))", "unknown", 1),
            ("Api(500 steps.servicecallout.ExecutionFailed)", "retryable", 3),
            "Execution of ServiceCallout failed",
        ),
        bad(
            "fault in a 200",
            json(200, broken),
            ("Unknown(Api(200 steps.servicecallout.ExecutionFailed))", "unknown", 1),
            ("Api(200 steps.servicecallout.ExecutionFailed)", "final", 3),
            "Execution of ServiceCallout failed",
        ),
        bad(
            "SOAP envelope, printed twice",
            json(500, format!("{soap}\n{soap}")),
            ("Unknown(Api(500 steps.servicecallout.ExecutionFailed))", "unknown", 1),
            ("Api(500 steps.servicecallout.ExecutionFailed)", "retryable", 3),
            "SC-SearchURL failed",
        ),
        bad(
            "error code in a 200",
            refusal(200, "500.001.1001", "Internal Server Error"),
            ("Unknown(Api(200 500.001.1001))", "unknown", 1),
            ("Api(200 500.001.1001)", "retryable", 3),
            "Internal Server Error",
        ),
        bad(
            "code of a refusal in a 200",
            refusal(200, "400.002.02", "Bad Request - Invalid Amount"),
            ("Unknown(Api(200 400.002.02))", "unknown", 1),
            ("Api(200 400.002.02)", "final", 3),
            "Invalid Amount",
        ),
        bad(
            "a response code that is no success",
            json(200, r#"{"ResponseCode":"1","ResponseDescription":"Rejected"}"#),
            ("Unknown(Api(200 1))", "unknown", 1),
            ("Api(200 1)", "final", 3),
            "Rejected",
        ),
        bad(
            "accepted, with an error status",
            json(500, r#"{"ResponseCode":"0","CheckoutRequestID":"ws_CO_1","ResultCode":"0"}"#),
            ("Unknown(Api(500))", "unknown", 1),
            ("Api(500)", "retryable", 3),
            "(HTTP 500)",
        ),
        bad(
            "wrong passkey",
            refusal(500, "500.001.1001", "[MerchantValidate] - Wrong credentials"),
            ("Api(500 500.001.1001)", "final", 1),
            ("Api(500 500.001.1001)", "final", 1),
            "Wrong credentials",
        ),
        bad(
            "no such merchant",
            refusal(500, "500.001.1001", "Merchant does not exist"),
            ("Api(500 500.001.1001)", "final", 1),
            ("Api(500 500.001.1001)", "final", 1),
            "Merchant does not exist",
        ),
        bad(
            "a line that is busy",
            refusal(
                500,
                "500.001.1001",
                "Unable to lock subscriber, a transaction is already in process for the current subscriber",
            ),
            ("Api(500 500.001.1001)", "retryable", 1),
            ("Api(500 500.001.1001)", "retryable", 1),
            "Unable to lock subscriber",
        ),
        bad("empty 404", answer(404, "", ""), ("Api(404)", "final", 1), ("Api(404)", "final", 1), "(HTTP 404)"),
        bad(
            "token words without the code",
            json(401, r#"{"message":"Invalid Access Token"}"#),
            ("Api(401)", "final", 2),
            ("Api(401)", "final", 2),
            "Invalid Access Token",
        ),
        bad(
            "an internal error that mentions a merchant",
            refusal(500, "500.001.1001", "Error: merchant does not exist in cache"),
            ("Unknown(Api(500 500.001.1001))", "unknown", 1),
            ("Api(500 500.001.1001)", "retryable", 3),
            "Error: merchant",
        ),
    ]
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_leaves_a_push_unknown() {
    meet(unreadable()).await;
}

#[tokio::test]
async fn what_is_no_answer_or_too_much_of_one_leaves_a_push_unknown() {
    meet(no_answers()).await;
}

#[tokio::test]
async fn a_throttled_call_is_repeated_and_then_retryable() {
    meet(throttles()).await;
}

#[tokio::test]
async fn a_refusal_is_found_whatever_its_shape() {
    meet(refusals()).await;
}

/// Every answer is met by a push and by a query.
async fn meet(answers: Vec<Bad>) {
    let query = StkQuery::new(&merchant(), &"ws_CO_1".parse().expect("an id"));
    let rows = answers.into_iter().flat_map(|Bad { name, answer, push: to_push, query: to_query, says }| {
        let by_push = meet_one(push(), format!("a push meets {name}"), answer.clone(), to_push, says.clone());
        let by_query = meet_one(query.clone(), format!("a query meets {name}"), answer, to_query, says);
        [Box::pin(by_push) as BoxFuture<'static, ()>, Box::pin(by_query)]
    });
    every(rows).await;
}

async fn meet_one(
    operation: impl Operation + Send,
    case: String,
    answer: Step,
    expected: (String, &'static str, usize),
    says: String,
) {
    let script = Script::of(std::iter::repeat_n(answer, 5)).await;
    let outcome = script.client().build().expect("a client").send(&operation).await;
    assert_eq!((told(&outcome), means(&outcome), script.calls()), expected, "{case}");
    assert!(words(&outcome).contains(&says), "{case}: {}", words(&outcome));
}

#[tokio::test]
async fn a_success_that_lacks_what_matters_is_no_success() {
    for (body, push_says, query_says) in [
        ("{}", "accepts the push but holds no readable CheckoutRequestID", "holds no ResultCode"),
        (r#"{"ResponseCode":"0"}"#, "accepts the push but holds no readable CheckoutRequestID", "holds no ResultCode"),
        (
            r#"{"ResponseCode":"0","CheckoutRequestID":"ws CO 1"}"#,
            "accepts the push but holds no readable CheckoutRequestID",
            "holds no ResultCode",
        ),
    ] {
        let script = Script::of(std::iter::repeat_n(json(200, body), 4)).await;
        let client = script.client().build().unwrap();

        let pushed = client.send(&push()).await;
        let asked = client.send(&StkQuery::new(&merchant(), &"ws_CO_1".parse().unwrap())).await;

        assert_eq!((told(&pushed).as_str(), means(&pushed)), ("Unknown(Decode(200))", "unknown"), "{body}");
        assert_eq!((told(&asked).as_str(), means(&asked)), ("Decode(200)", "final"), "{body}");
        assert!(words(&pushed).contains(push_says), "{}", words(&pushed));
        assert!(words(&asked).contains(query_says), "{}", words(&asked));
        assert_eq!(script.calls(), 4, "one push, three queries");
    }
}

#[tokio::test]
async fn an_early_hint_is_not_the_answer() {
    let Step::Answer(bytes) = accepted() else { panic!("an answer") };
    let hinted = Step::Answer([b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n".as_slice(), &bytes].concat());
    let script = Script::of([hinted]).await;

    assert_eq!(told(&script.client().build().unwrap().send(&push()).await), "Ok");
    assert_eq!(script.calls(), 1);
}

#[tokio::test]
async fn a_byte_order_mark_and_white_space_are_let_pass() {
    let body = "\u{feff} \r\n{\"ResponseCode\":\"0\",\"CheckoutRequestID\":\"ws_CO_1\"}\r\n";
    let script = Script::of([json(200, body)]).await;

    let accepted = script.client().build().unwrap().send(&push()).await.unwrap();

    assert_eq!(accepted.checkout_request_id.as_str(), "ws_CO_1");
}

#[tokio::test]
async fn an_answer_of_exactly_one_mebibyte_is_read() {
    let body = r#"{"ResponseCode":"0","CheckoutRequestID":"ws_CO_1"}"#;
    let body = format!("{}{body}", " ".repeat(MEGABYTES - body.len()));
    let script = Script::of([json(200, body)]).await;

    let accepted = script.client().build().unwrap().send(&push()).await.unwrap();

    assert_eq!(accepted.checkout_request_id.as_str(), "ws_CO_1");
}

#[tokio::test]
async fn an_error_code_without_words_is_pending_to_a_query_and_unknown_to_a_push() {
    for status in [200, 500] {
        let script = Script::of([refusal(status, "500.001.1001", "")]).await;
        let query = StkQuery::new(&merchant(), &"ws_CO_1".parse().unwrap());
        assert_eq!(script.client().build().unwrap().send(&query).await.unwrap(), StkStatus::Pending);
        assert_eq!(script.calls(), 1);

        let script = Script::of([refusal(status, "500.001.1001", ""), accepted()]).await;
        let outcome = script.client().build().unwrap().send(&push()).await;
        assert_eq!(means(&outcome), "unknown");
        assert_eq!(script.calls(), 1);
    }
}

#[tokio::test]
async fn a_query_believes_no_zero_about_another_payment() {
    let other = r#"{"ResponseCode":"0","CheckoutRequestID":"ws_CO_2","ResultCode":"0","ResultDesc":"processed"}"#;
    let script = Script::of(std::iter::repeat_n(json(200, other), 3)).await;
    let query = StkQuery::new(&merchant(), &"ws_CO_1".parse().unwrap());

    let outcome = script.client().build().unwrap().send(&query).await;

    assert_eq!((told(&outcome).as_str(), script.calls()), ("Decode(200)", 3));
    assert!(words(&outcome).contains("is about another payment"));
}
