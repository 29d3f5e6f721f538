//! The verdict table of the design, row by row, for each kind of call, with the number of requests that it allows.
//! The expectations are written by hand: nothing here asks the crate what it should do.

use std::time::Duration;

use daraja::{
    Answer, Error, Operation, Repeat, Result, RetryPolicy, Timestamp,
    transport::TransportErrorKind::{Connect, Interrupted, Timeout, TooLarge},
};
use serde::Serialize;
use tokio::time::Instant;

use crate::support::{Scripted, Step, TOKEN, answer, refusal};

/// An operation of the user's own.
struct Own(Repeat);

impl Operation for Own {
    type Response = String;

    fn path(&self) -> &str {
        "/own/v1/call"
    }

    fn repeat(&self) -> Repeat {
        self.0
    }

    fn body(&self, now: Timestamp) -> impl Serialize + Send {
        now
    }

    fn decode(&self, answer: &Answer) -> Result<String> {
        #[derive(serde::Deserialize)]
        struct Body {
            done: String,
        }
        answer.json::<Body>().map(|body| body.done)
    }
}

/// How a `send` ends, and after how many requests.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Done(usize),
    /// Provably not carried out, worth another try.
    Retryable(usize),
    /// Provably not carried out, will fail again.
    Refused(usize),
    Unknown(usize),
}
use End::{Done, Refused, Retryable, Unknown};

fn done() -> Step {
    answer(200, r#"{"done":"yes"}"#)
}

fn end_of(outcome: Result<String>, calls: usize) -> End {
    match outcome {
        Ok(said) => {
            assert_eq!(said, "yes");
            Done(calls)
        }
        Err(error) => {
            assert!(!(error.is_retryable() && error.outcome_unknown()), "{error:?}");
            match (error.is_retryable(), error.outcome_unknown()) {
                (true, _) => Retryable(calls),
                (_, true) => Unknown(calls),
                _ => Refused(calls),
            }
        }
    }
}

async fn run(repeat: Repeat, steps: Vec<Step>) -> End {
    let scripted = Scripted::new(steps);
    let outcome = scripted.client().send(&Own(repeat)).await;
    end_of(outcome, scripted.calls().len())
}

/// The same step for ever, then what becomes of each kind of call.
#[tokio::test(start_paused = true)]
async fn the_table_holds_row_by_row() {
    let token = |status, code| refusal(status, code, "Invalid Access Token");
    let html = |status| answer(status, "<html>busy</html>");
    let spike = r#"{"fault":{"faultstring":"Spike arrest violation.","detail":{"errorcode":"policies.ratelimit.SpikeArrestViolation"}}}"#;
    let unclear = [Unknown(1), Unknown(3), Retryable(3)];
    let unclear_and_final = [Unknown(1), Unknown(3), Refused(3)];
    let not_sent = [Retryable(3); 3];
    let refused = [Refused(1); 3];
    // A refused token is renewed once, whatever the attempts; then the call stops.
    let token_refused = [Refused(2); 3];
    let rows: Vec<(&str, Step, [End; 3])> = vec![
        ("never connected", Step::Fail(Connect), not_sent),
        ("timeout", Step::Fail(Timeout), unclear),
        ("hangs", Step::Hang, [Unknown(1), Unknown(2), Retryable(2)]),
        ("reset", Step::Fail(Interrupted), unclear),
        ("too large", Step::Fail(TooLarge), unclear_and_final),
        ("400.002.01", token(400, "400.002.01"), token_refused),
        ("400.003.01", token(400, "400.003.01"), token_refused),
        ("401.001", token(401, "401.001"), token_refused),
        ("401.002.01", token(401, "401.002.01"), token_refused),
        ("401.003.01", token(401, "401.003.01"), token_refused),
        ("404.001.03", token(404, "404.001.03"), token_refused),
        ("a token code in a 5xx proves nothing", token(500, "404.001.03"), unclear),
        ("the words without the code", token(500, "500.001.1001"), unclear),
        ("404.001.04 is no token code", refusal(404, "404.001.04", "Invalid Authentication Header"), refused),
        ("429 of the gateway", answer(429, spike), not_sent),
        ("429 without a body", answer(429, ""), not_sent),
        ("429 with HTML", html(429), not_sent),
        ("spike arrest with 500", refusal(500, "500.003.02", "Error Occurred: Spike Arrest Violation"), not_sent),
        ("spike arrest of B2C", refusal(500, "500.002.02", "Error Occurred: Spike Arrest Violation"), not_sent),
        ("quota with 500", refusal(500, "500.003.03", "Error Occurred: Quota Violation"), not_sent),
        ("the gateway's fault with 500", answer(500, spike), not_sent),
        (
            "busy is not throttled",
            refusal(500, "500.003.02", "System is busy. Please try again in few minutes."),
            unclear,
        ),
        ("400.002.02", refusal(400, "400.002.02", "Bad Request - Invalid PhoneNumber"), refused),
        ("400.002.02 in a 200", refusal(200, "400.002.02", "Bad Request - Invalid PhoneNumber"), unclear_and_final),
        ("400.002.02 in a 302", refusal(302, "400.002.02", "Bad Request - Invalid PhoneNumber"), unclear_and_final),
        ("400.002.02 in a 408", refusal(408, "400.002.02", "Bad Request - Invalid PhoneNumber"), unclear_and_final),
        ("400.002.02 in a 409", refusal(409, "400.002.02", "Bad Request - Invalid PhoneNumber"), unclear_and_final),
        ("400.002.02 in a 502", refusal(502, "400.002.02", "Bad Request - Invalid PhoneNumber"), unclear),
        ("408.001.01 in a 504", refusal(504, "408.001.01", "Request Timeout"), unclear),
        ("408.001.01 in a 400", refusal(400, "408.001.01", "Request Timeout"), unclear_and_final),
        ("409.002.01 in a 400", refusal(400, "409.002.01", "Conflict"), unclear_and_final),
        ("a response code of group 4xx in a 200", answer(200, r#"{"ResponseCode":"400.002.02"}"#), unclear_and_final),
        ("400.002.02 in a 422", refusal(422, "400.002.02", "Bad Request - Invalid PhoneNumber"), refused),
        ("405.001", refusal(405, "405.001", "Method Not Allowed"), refused),
        ("wrong credentials", refusal(500, "500.001.1001", "Wrong credentials"), refused),
        (
            "wrong credentials, other words",
            refusal(500, "500.001.1001", "[MerchantValidate] - Wrong credentials"),
            refused,
        ),
        ("wrong credentials in a 200", refusal(200, "500.001.1001", "Wrong credentials"), refused),
        ("no such merchant", refusal(500, "500.001.1001", "Merchant does not exist"), refused),
        (
            "another prompt is open",
            refusal(
                500,
                "500.001.1001",
                "Unable to lock subscriber, a transaction is already in process for the current subscriber",
            ),
            [Retryable(1); 3],
        ),
        ("the same words under another code", refusal(500, "500.002.1001", "Wrong credentials"), unclear),
        ("internal error", refusal(500, "500.001.1001", "Internal Server Error"), unclear),
        ("no words", refusal(500, "500.001.1001", ""), unclear),
        ("no words in a 200", refusal(200, "500.001.1001", ""), unclear),
        (
            "an id that was used before is not asked about again",
            refusal(500, "500.002.1001", "Duplicate OriginatorConversationID."),
            refused,
        ),
        ("nor under the code of a timeout", refusal(504, "408.001.01", "Duplicate OriginatorConversationID."), refused),
        ("a code of no group", refusal(400, "oops", "odd"), unclear_and_final),
        ("400 without a code", answer(400, "{}"), unclear_and_final),
        ("403 with HTML", html(403), unclear_and_final),
        ("500 with HTML", html(500), unclear),
        ("503 with nothing", answer(503, ""), unclear),
        ("200 with HTML", html(200), unclear_and_final),
        ("200 with nothing", answer(200, ""), unclear_and_final),
        ("200 cut short", answer(200, r#"{"done":"y"#), unclear_and_final),
        ("200 of another shape", answer(200, r#"{"else":1}"#), unclear_and_final),
        ("302", answer(302, ""), unclear_and_final),
        ("204", answer(204, ""), unclear_and_final),
        (
            "a response code that is not zero",
            answer(200, r#"{"ResponseCode":"1","ResponseDescription":"odd","done":"yes"}"#),
            unclear_and_final,
        ),
        ("a SOAP fault", answer(500, r#"{"Envelope":{"Body":{"Fault":{"faultstring":"failed"}}}}"#), unclear),
        ("success", done(), [Done(1); 3]),
        ("success with a response code of zeros", answer(200, r#"{"ResponseCode":"00","done":"yes"}"#), [Done(1); 3]),
    ];
    check(rows).await;
}

/// Answers that are not in Daraja's own shape.
#[tokio::test(start_paused = true)]
async fn a_gateway_and_the_envelopes_of_single_apis_refuse_as_well() {
    let token_fault =
        r#"{"fault":{"faultstring":"Invalid access token","detail":{"errorcode":"oauth.v2.InvalidAccessToken"}}}"#;
    let no_route = r#"{"fault":{"faultstring":"Unable to identify proxy for host: default and url: /x","detail":{"errorcode":"messaging.adaptors.http.flow.ApplicationNotFound"}}}"#;
    let token = |status, code| refusal(status, code, "Invalid Access Token");
    let html = |status| answer(status, "<html>busy</html>");
    let unclear_and_final = [Unknown(1), Unknown(3), Refused(3)];
    let refused = [Refused(1); 3];
    let token_refused = [Refused(2); 3];
    let rows = vec![
        ("401 without a code", answer(401, r#"{"error":"Invalid Access Token"}"#), token_refused),
        ("401 with nothing", answer(401, ""), token_refused),
        ("401 with HTML", html(401), token_refused),
        ("401 of the gateway", answer(401, token_fault), token_refused),
        ("401 with an id of a request", answer(401, r#"{"ConversationID":"AG_1"}"#), unclear_and_final),
        ("404 with nothing", answer(404, ""), refused),
        ("404 of the gateway", answer(404, no_route), refused),
        ("404 with HTML", html(404), unclear_and_final),
        ("400 with the code of another API", answer(400, r#"{"header":{"responseCode":400}}"#), unclear_and_final),
        ("a token code in a 200", token(200, "404.001.03"), token_refused),
    ];
    check(rows).await;
}

async fn check(rows: Vec<(&str, Step, [End; 3])>) {
    for (name, step, expected) in rows {
        for (repeat, expected) in [Repeat::Never, Repeat::Deduplicated, Repeat::Safe].into_iter().zip(expected) {
            assert_eq!(run(repeat, vec![step.clone(); 4]).await, expected, "{name}, {repeat:?}");
        }
    }
}

/// Sequences within one `send`. Once unknown, a call stays unknown, whatever is answered later.
#[tokio::test(start_paused = true)]
async fn once_unknown_a_call_stays_unknown() {
    let timeout = || Step::Fail(Timeout);
    let refused_by_name = || refusal(400, "400.002.02", "Bad Request - Invalid Amount");
    let throttled = || answer(429, "");
    let bad_token = || refusal(404, "404.001.03", "Invalid Access Token");
    let busy = || refusal(500, "500.001.1001", "Unable to lock subscriber, a transaction is already in process");
    let rows: Vec<(&str, Vec<Step>, [End; 3])> = vec![
        ("timeout, then done", vec![timeout(), done()], [Unknown(1), Done(2), Done(2)]),
        (
            "timeout, refused connection",
            vec![timeout(), Step::Fail(Connect), Step::Fail(Connect)],
            [Unknown(1), Unknown(3), Retryable(3)],
        ),
        ("timeout, throttle", vec![timeout(), throttled(), throttled()], [Unknown(1), Unknown(3), Retryable(3)]),
        ("timeout, refusal", vec![timeout(), refused_by_name()], [Unknown(1), Unknown(2), Refused(2)]),
        ("timeout, busy line", vec![timeout(), busy()], [Unknown(1), Unknown(2), Retryable(2)]),
        ("timeout, two bad tokens", vec![timeout(), bad_token(), bad_token()], [Unknown(1), Unknown(3), Refused(3)]),
        ("timeout, bad token, done", vec![timeout(), bad_token(), done()], [Unknown(1), Done(3), Done(3)]),
        ("refused connection, done", vec![Step::Fail(Connect), done()], [Done(2); 3]),
        ("throttle, done", vec![throttled(), done()], [Done(2); 3]),
        ("bad token, done", vec![bad_token(), done()], [Done(2); 3]),
        ("bad token, timeout, done", vec![bad_token(), timeout(), done()], [Unknown(2), Done(3), Done(3)]),
        (
            "refused connection, timeout, done",
            vec![Step::Fail(Connect), timeout(), done()],
            [Unknown(2), Done(3), Done(3)],
        ),
        (
            "throttle, refused connection, reset",
            vec![throttled(), Step::Fail(Connect), Step::Fail(Interrupted)],
            [Unknown(3), Unknown(3), Retryable(3)],
        ),
    ];
    for (name, steps, expected) in rows {
        for (repeat, expected) in [Repeat::Never, Repeat::Deduplicated, Repeat::Safe].into_iter().zip(expected) {
            assert_eq!(run(repeat, steps.clone()).await, expected, "{name}, {repeat:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_call_stays_unknown_when_no_token_can_be_had_for_its_repeat() {
    let calls = [Step::Fail(Timeout), refusal(404, "404.001.03", "Invalid Access Token")];
    let granted = answer(200, format!(r#"{{"access_token":"{TOKEN}","expires_in":3599}}"#));
    let token = [granted, refusal(400, "400.008.01", "Invalid Authentication passed")];
    let scripted = Scripted::new(calls).with_token_steps(token);
    let error = scripted.client().send(&Own(Repeat::Deduplicated)).await.unwrap_err();
    let Error::Unknown(inner) = &error else { panic!("{error:?}") };
    assert!(matches!(&**inner, Error::Token(_)), "{error:?}");
    assert!(!error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn a_second_refusal_with_a_fresh_token_says_product_or_environment() {
    let scripted = Scripted::new(vec![refusal(404, "404.001.03", "Invalid Access Token"); 2]);
    let error = scripted.client().send(&Own(Repeat::Never)).await.unwrap_err();
    assert!(error.to_string().contains("lacks this API product"), "{error}");
    assert!(error.api().unwrap().is_token_refused());
    assert_eq!(scripted.token_requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_beyond_the_deadline_returns_at_once() {
    let throttled = Step::AnswerWith(429, ("retry-after", "600"), String::new());
    let scripted = Scripted::new([throttled]);
    let started = Instant::now();
    let error = scripted.client().send(&Own(Repeat::Never)).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(600)));
    assert!(error.is_retryable() && error.is_throttled());
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_is_waited_for_in_seconds_and_as_a_date() {
    for header in [("retry-after", "20"), ("retry-after", "Mon, 23 Nov 2026 10:00:20 GMT")] {
        let scripted = Scripted::new([Step::AnswerWith(429, header, String::new()), done()]);
        let started = Instant::now();
        scripted.client().send(&Own(Repeat::Never)).await.unwrap();
        // Without a Date beside it a date says nothing, and the usual pause is made.
        let expected = if header.1 == "20" { 20 } else { 1 };
        assert_eq!(started.elapsed().as_secs(), expected, "{header:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_and_pauses_follow_the_policy() {
    let scripted = Scripted::new(vec![Step::Fail(Connect); 9]);
    let policy = RetryPolicy::default().attempts(5).pauses(Duration::from_secs(1)..=Duration::from_secs(2));
    let client = scripted.builder().retry(policy).build().unwrap();
    let started = Instant::now();
    client.send(&Own(Repeat::Never)).await.unwrap_err();
    assert_eq!(scripted.calls().len(), 5);
    let waited = started.elapsed();
    assert!((Duration::from_secs(4)..Duration::from_secs(9)).contains(&waited), "{waited:?}");

    let scripted = Scripted::new(vec![Step::Fail(Connect); 9]);
    let client = scripted.builder().retry(RetryPolicy::never()).build().unwrap();
    client.send(&Own(Repeat::Never)).await.unwrap_err();
    assert_eq!(scripted.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_whole_call_ends_within_its_time() {
    let limits =
        [(Duration::from_secs(30), Duration::from_secs(60)), (Duration::from_secs(100), Duration::from_secs(7))];
    for (attempt, total) in limits {
        let scripted = Scripted::new(vec![Step::Hang; 9]);
        let client = scripted.builder().attempt_timeout(attempt).timeout(total).build().unwrap();
        let started = Instant::now();
        let error = client.send(&Own(Repeat::Deduplicated)).await.unwrap_err();
        assert!(error.outcome_unknown() && error.is_timeout(), "{error:?}");
        assert!(started.elapsed() <= total, "{:?}", started.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_reads_its_own_refusals_and_success_codes() {
    struct Pull;
    impl Operation for Pull {
        type Response = &'static str;
        fn path(&self) -> &str {
            "/pulltransactions/v1/query"
        }
        fn repeat(&self) -> Repeat {
            Repeat::Safe
        }
        fn body(&self, _: Timestamp) -> impl Serialize + Send {}
        fn is_accepted(&self, response_code: &str) -> bool {
            response_code == "1000"
        }
        fn decode(&self, _: &Answer) -> Result<&'static str> {
            Ok("rows")
        }
        fn fault(&self, refusal: daraja::error::ApiError) -> Result<&'static str> {
            if refusal.code().is_some_and(|code| code.as_str() == "1001") { Ok("none") } else { Err(refusal.into()) }
        }
    }
    for (body, expected) in [(r#"{"ResponseCode":"1000"}"#, "rows"), (r#"{"ResponseCode":1001}"#, "none")] {
        assert_eq!(Scripted::new([answer(200, body)]).client().send(&Pull).await.unwrap(), expected);
    }
    let zero = Scripted::new(vec![answer(200, r#"{"ResponseCode":"0"}"#); 3]).client().send(&Pull).await;
    assert_eq!(zero.unwrap_err().api().unwrap().code().unwrap().as_str(), "0");
}

#[tokio::test(start_paused = true)]
async fn a_path_or_body_that_cannot_be_sent_is_refused_and_not_unknown() {
    struct Bad(&'static str);
    impl Operation for Bad {
        type Response = ();
        fn path(&self) -> &str {
            self.0
        }
        fn repeat(&self) -> Repeat {
            Repeat::Never
        }
        fn body(&self, _: Timestamp) -> impl Serialize + Send {
            // JSON has no such key.
            std::collections::HashMap::from([(vec![1_u8], 1)])
        }
        fn decode(&self, _: &Answer) -> Result<()> {
            Ok(())
        }
    }
    for path in ["relative", "", "/with a blank", "/fine/but/the/body/is/not"] {
        let scripted = Scripted::default();
        let error = scripted.client().send(&Bad(path)).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{path}: {error:?}");
        assert!(scripted.calls().is_empty());
    }
}
