//! What several attempts of one `send` prove together: once unknown, a call stays unknown.

use std::time::{Duration, Instant};

use daraja::{Answer, Error, Operation, Repeat, Timestamp, error::ApiError};

use crate::tools::{
    PATIENCE, every,
    operation::Own,
    roads::{Road, Roads},
    script::{Script, Step, accepted, answer, refusal, throttle},
    verdict::{means, told, words},
};

/// One event after the other, as one `send` meets them.
#[derive(Debug, Clone, Copy)]
enum Meets {
    /// The connection is refused.
    Refused,
    /// No answer comes until the attempt's time is over.
    Timeout,
    /// The connection is reset when the request was read.
    Reset,
    /// The connection is closed when the request was read.
    Closed,
    Throttle,
    /// 404.001.03, and a new token is granted.
    DeadToken,
    /// 404.001.03, and no new token is granted.
    DeadTokenAndNoNew,
    /// 400.002.02
    NamedRefusal,
    /// 500.003.02 "System is busy", which says nothing about the call.
    Busy,
    /// 500 without a body.
    Empty500,
    Success,
}

use Meets::{
    Busy, Closed, DeadToken, DeadTokenAndNoNew, Empty500, NamedRefusal, Refused, Reset, Success, Throttle, Timeout,
};

/// What the call meets; the verdict for each kind of operation and what it means; the requests that were seen.
/// A row that stops early for `Never` has its own row there.
type Row = (&'static [Meets], &'static str, &'static str, usize);

const DEDUPLICATED: [Row; 25] = [
    (&[Timeout, Refused, Refused], "Unknown(Transport(Connect))", "unknown", 1),
    (&[Timeout, Throttle, Throttle], "Unknown(Api(429 policies.ratelimit.SpikeArrestViolation))", "unknown", 3),
    (&[Timeout, DeadTokenAndNoNew], "Unknown(Token(Api(400 400.008.01)))", "unknown", 2),
    (&[Timeout, DeadToken, DeadToken], "Unknown(Api(404 404.001.03))", "unknown", 3),
    (&[Timeout, NamedRefusal], "Unknown(Api(400 400.002.02))", "unknown", 2),
    (&[Timeout, Timeout, Timeout], "Unknown(Transport(Timeout))", "unknown", 3),
    (&[Timeout, Empty500, Empty500], "Unknown(Decode(500))", "unknown", 3),
    (&[Timeout, Refused, NamedRefusal], "Unknown(Api(400 400.002.02))", "unknown", 2),
    (&[Timeout, Throttle, NamedRefusal], "Unknown(Api(400 400.002.02))", "unknown", 3),
    (&[Timeout, DeadToken, Refused, NamedRefusal], "Unknown(Api(400 400.002.02))", "unknown", 3),
    (&[Timeout, Throttle, Refused], "Unknown(Transport(Connect))", "unknown", 2),
    (&[Reset, Refused, Refused], "Unknown(Transport(Connect))", "unknown", 1),
    (&[Closed, NamedRefusal], "Unknown(Api(400 400.002.02))", "unknown", 2),
    (&[Empty500, NamedRefusal], "Unknown(Api(400 400.002.02))", "unknown", 2),
    (&[Busy, Busy, NamedRefusal], "Unknown(Api(400 400.002.02))", "unknown", 3),
    (&[Refused, Timeout, Refused], "Unknown(Transport(Connect))", "unknown", 1),
    (&[Throttle, Timeout, Refused], "Unknown(Transport(Connect))", "unknown", 2),
    (&[DeadToken, Timeout, NamedRefusal], "Unknown(Api(400 400.002.02))", "unknown", 3),
    (&[DeadToken, Reset, DeadToken], "Unknown(Api(404 404.001.03))", "unknown", 3),
    (&[Timeout, Success], "Ok", "done", 2),
    (&[Timeout, DeadToken, Success], "Ok", "done", 3),
    (&[Timeout, Refused, Success], "Ok", "done", 2),
    (&[Reset, Throttle, Success], "Ok", "done", 3),
    (&[Timeout, Timeout, Success], "Ok", "done", 3),
    (&[Timeout, Timeout, Timeout, Success], "Unknown(Transport(Timeout))", "unknown", 3),
];

const SAFE: [Row; 12] = [
    (&[Timeout, Refused, Refused], "Transport(Connect)", "retryable", 1),
    (&[Timeout, Throttle, Throttle], "Api(429 policies.ratelimit.SpikeArrestViolation)", "retryable", 3),
    (&[Timeout, DeadTokenAndNoNew], "Token(Api(400 400.008.01))", "final", 2),
    (&[Timeout, DeadToken, DeadToken], "Api(404 404.001.03)", "final", 3),
    (&[Timeout, NamedRefusal], "Api(400 400.002.02)", "final", 2),
    (&[Timeout, Timeout, Timeout], "Transport(Timeout)", "retryable", 3),
    (&[Reset, Reset, Reset], "Transport(Interrupted)", "retryable", 3),
    (&[Empty500, Empty500, Empty500], "Decode(500)", "retryable", 3),
    (&[Busy, Busy, Busy], "Api(500 500.003.02)", "retryable", 3),
    (&[Timeout, Success], "Ok", "done", 2),
    (&[Reset, DeadToken, Throttle, Success], "Ok", "done", 4),
    (&[Busy, Closed, Success], "Ok", "done", 3),
];

const NEVER: [Row; 12] = [
    (&[Timeout, Success], "Unknown(Transport(Timeout))", "unknown", 1),
    (&[Reset, Success], "Unknown(Transport(Interrupted))", "unknown", 1),
    (&[Empty500, Success], "Unknown(Decode(500))", "unknown", 1),
    (&[Busy, Success], "Unknown(Api(500 500.003.02))", "unknown", 1),
    (&[Refused, Timeout, Success], "Unknown(Transport(Timeout))", "unknown", 1),
    (&[Throttle, Timeout, Success], "Unknown(Transport(Timeout))", "unknown", 2),
    (&[DeadToken, Timeout, Success], "Unknown(Transport(Timeout))", "unknown", 2),
    (&[DeadToken, Refused, Reset, Success], "Unknown(Transport(Interrupted))", "unknown", 2),
    (&[Refused, Refused, Empty500, Success], "Unknown(Decode(500))", "unknown", 1),
    (&[Throttle, DeadToken, Busy, Success], "Unknown(Api(500 500.003.02))", "unknown", 3),
    (&[Throttle, Refused, Timeout, Success], "Unknown(Transport(Timeout))", "unknown", 2),
    (&[DeadToken, Throttle, Reset, Success], "Unknown(Transport(Interrupted))", "unknown", 3),
];

/// Where nothing is unknown, all three kinds agree.
const ANY: [Row; 15] = [
    (&[Success], "Ok", "done", 1),
    (&[Refused, Success], "Ok", "done", 1),
    (&[Refused, Refused, Success], "Ok", "done", 1),
    (&[Throttle, Success], "Ok", "done", 2),
    (&[Throttle, Refused, Success], "Ok", "done", 2),
    (&[DeadToken, Success], "Ok", "done", 2),
    (&[DeadToken, Refused, Throttle, Success], "Ok", "done", 3),
    (&[Refused, Refused, Refused, Success], "Transport(Connect)", "retryable", 0),
    (&[Throttle, Throttle, Refused, Success], "Transport(Connect)", "retryable", 2),
    (&[Refused, Throttle, Throttle, Success], "Api(429 policies.ratelimit.SpikeArrestViolation)", "retryable", 2),
    (&[NamedRefusal, Success], "Api(400 400.002.02)", "final", 1),
    (&[Refused, NamedRefusal, Success], "Api(400 400.002.02)", "final", 1),
    (&[DeadToken, DeadToken, Success], "Api(404 404.001.03)", "final", 2),
    (&[DeadToken, Throttle, DeadToken, Success], "Api(404 404.001.03)", "final", 3),
    (&[DeadTokenAndNoNew], "Token(Api(400 400.008.01))", "final", 1),
];

#[tokio::test]
async fn a_deduplicated_call_that_is_once_unknown_stays_unknown_until_it_succeeds() {
    play(Repeat::Deduplicated, &DEDUPLICATED).await;
}

#[tokio::test]
async fn a_safe_call_is_never_unknown() {
    play(Repeat::Safe, &SAFE).await;
}

#[tokio::test]
async fn a_call_that_must_never_be_repeated_stops_at_the_first_unclear_attempt() {
    play(Repeat::Never, &NEVER).await;
}

#[tokio::test]
async fn what_provably_was_not_done_is_repeated_whatever_the_call() {
    let kinds = [Repeat::Safe, Repeat::Deduplicated, Repeat::Never];
    every(kinds.into_iter().flat_map(|repeat| ANY.iter().map(move |row| play_one(repeat, row)))).await;
}

async fn play(repeat: Repeat, rows: &'static [Row]) {
    every(rows.iter().map(|row| play_one(repeat, row))).await;
}

async fn play_one(repeat: Repeat, (events, verdict, meaning, requests): &'static Row) {
    let case = format!("{repeat:?} meets {events:?}");
    let no_token = refusal(400, "400.008.01", "Invalid Authentication passed");
    let dies_for_good = events.iter().any(|event| matches!(event, DeadTokenAndNoNew));
    let tokens = if dies_for_good { vec![Step::Answer(GRANTED.into()), no_token] } else { vec![] };
    let script = Script::with_tokens(tokens, events.iter().filter_map(|&event| step(event))).await;
    let roads = Roads::new([Road::Open].into_iter().chain(events.iter().flat_map(|&event| roads(event)).copied()));
    let client = script.client_by(&roads).build().expect("a client");
    client.warm_up().await.expect("the first token is granted");

    let outcome = client.send(&Own(repeat)).await;

    assert_eq!((told(&outcome).as_str(), means(&outcome)), (*verdict, *meaning), "{case}");
    assert_eq!(script.calls(), *requests, "{case}: requests");
    for request in script.seen() {
        assert_eq!(request.body(), br#"{"OriginatorConversationID":"ours"}"#, "{case}: the same id every time");
    }
}

const GRANTED: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-length: 46\r\n\r\n{\"access_token\":\"token-1\",\"expires_in\":\"3599\"}";

fn step(event: Meets) -> Option<Step> {
    Some(match event {
        Refused => return None,
        Timeout => Step::Stall,
        Reset => Step::Reset,
        Closed => Step::Close,
        Throttle => throttle(""),
        DeadToken | DeadTokenAndNoNew => refusal(404, "404.001.03", "Invalid Access Token"),
        NamedRefusal => refusal(400, "400.002.02", "Bad Request - Invalid Amount"),
        Busy => refusal(500, "500.003.02", "System is busy. Please try again in few minutes."),
        Empty500 => answer(500, "", ""),
        Success => accepted(),
    })
}

/// The connections that an event opens: a new token has one of its own.
fn roads(event: Meets) -> &'static [Road] {
    match event {
        Refused => &[Road::Refused],
        DeadToken | DeadTokenAndNoNew => &[Road::Open, Road::Open],
        _ => &[Road::Open],
    }
}

#[tokio::test]
async fn a_retry_after_beyond_the_deadline_ends_the_call_at_once() {
    const HEADERS: [(&str, u64); 3] = [
        ("retry-after: 3600\r\n", 3_600),
        ("date: Tue, 02 Apr 2024 14:00:17 GMT\r\nretry-after: Tue, 02 Apr 2024 15:00:17 GMT\r\n", 3_600),
        ("retry-after: 18446744073709551615\r\n", 18_446_744_073_709_551_615),
    ];
    for repeat in [Repeat::Safe, Repeat::Deduplicated, Repeat::Never] {
        for (headers, seconds) in HEADERS {
            let script = Script::of([throttle(headers), accepted()]).await;
            let client = script.client().timeout(Duration::from_secs(60)).build().unwrap();
            let started = Instant::now();

            let outcome = client.send(&Own(repeat)).await;

            let expected = ("Api(429 policies.ratelimit.SpikeArrestViolation)", "retryable");
            assert_eq!((told(&outcome).as_str(), means(&outcome)), expected, "{repeat:?}, {headers}");
            assert_eq!(outcome.unwrap_err().retry_after(), Some(Duration::from_secs(seconds)));
            assert!(started.elapsed() < Duration::from_secs(30), "far from the deadline");
            assert_eq!(script.calls(), 1);
        }
    }
}

#[tokio::test]
async fn a_retry_after_within_the_deadline_is_waited_for() {
    let script = Script::of([throttle("retry-after: 2\r\n"), accepted()]).await;
    let client = script.client().build().unwrap();
    let started = Instant::now();

    assert_eq!(told(&client.send(&Own(Repeat::Never)).await), "Ok");

    assert!(started.elapsed() >= Duration::from_secs(2));
    assert_eq!(script.calls(), 2);
}

#[tokio::test]
async fn a_retry_after_beyond_the_deadline_leaves_an_unknown_call_unknown() {
    let script = Script::of([Step::Stall, throttle("retry-after: 3600\r\n"), accepted()]).await;
    let client = script.client().build().unwrap();

    let outcome = client.send(&Own(Repeat::Deduplicated)).await;

    let expected = "Unknown(Api(429 policies.ratelimit.SpikeArrestViolation))";
    assert_eq!((told(&outcome).as_str(), means(&outcome)), (expected, "unknown"));
    assert_eq!(outcome.unwrap_err().retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!(script.calls(), 2);
}

#[tokio::test]
async fn a_deadline_that_passes_between_two_attempts_leaves_an_unknown_call_unknown() {
    let script = Script::of([Step::Stall, Step::Stall, accepted()]).await;
    let client = script.client().timeout(PATIENCE + PATIENCE / 2).build().unwrap();

    let outcome = client.send(&Own(Repeat::Deduplicated)).await;

    assert_eq!((told(&outcome).as_str(), means(&outcome)), ("Unknown(Transport(Timeout))", "unknown"));
    assert_eq!(script.calls(), 2);
}

#[tokio::test]
async fn a_deadline_that_cuts_an_attempt_short_is_a_timeout() {
    let rows = [
        (Repeat::Safe, "Transport(Timeout)", "retryable"),
        (Repeat::Deduplicated, "Unknown(Transport(Timeout))", "unknown"),
        (Repeat::Never, "Unknown(Transport(Timeout))", "unknown"),
    ];
    every(rows.into_iter().map(|(repeat, verdict, meaning)| async move {
        let script = Script::of([Step::Stall, accepted()]).await;
        let client = script.client().attempt_timeout(Duration::from_secs(30)).timeout(PATIENCE).build().unwrap();
        client.warm_up().await.unwrap();

        let outcome = client.send(&Own(repeat)).await;

        assert_eq!((told(&outcome).as_str(), means(&outcome)), (verdict, meaning));
        assert_eq!(script.calls(), 1, "{repeat:?}");
    }))
    .await;
}

/// Daraja's answer to an id that it has seen: what it means depends on who sent that id before.
struct Payout;

impl Operation for Payout {
    type Response = &'static str;

    fn path(&self) -> &'static str {
        "/own/v1/payout"
    }

    fn repeat(&self) -> Repeat {
        Repeat::Deduplicated
    }

    fn body(&self, _: Timestamp) -> impl serde::Serialize + Send {
        serde_json::json!({ "OriginatorConversationID": "ours" })
    }

    fn decode(&self, _: &Answer) -> daraja::Result<&'static str> {
        Ok("accepted")
    }

    fn fault(&self, refusal: ApiError) -> daraja::Result<&'static str> {
        if refusal.message().starts_with("Duplicate") && refusal.after_unknown() {
            return Ok("accepted before");
        }
        Err(Error::Api(refusal))
    }
}

#[tokio::test]
async fn a_duplicate_is_ours_only_if_we_sent_it_before() {
    let duplicate = || refusal(500, "500.002.1001", "Duplicate OriginatorConversationID.");
    for first in [Step::Stall, Step::Reset, answer(500, "", "")] {
        let script = Script::of([first, duplicate()]).await;
        assert_eq!(script.client().build().unwrap().send(&Payout).await.unwrap(), "accepted before");
        assert_eq!(script.calls(), 2);
    }
    // As the very first answer it is about somebody else's payment: asked again it would seem to be ours.
    for not_sent in [None, Some(throttle("")), Some(refusal(404, "404.001.03", "Invalid Access Token"))] {
        let before = usize::from(not_sent.is_some());
        let script = Script::of(not_sent.into_iter().chain([duplicate(), duplicate(), duplicate()])).await;

        let outcome = script.client().build().unwrap().send(&Payout).await;

        assert_eq!((told(&outcome).as_str(), means(&outcome)), ("Api(500 500.002.1001)", "final"));
        assert_eq!(script.calls(), before + 1);
    }
}

#[tokio::test]
async fn a_token_that_does_not_come_leaves_an_unknown_call_unknown() {
    let dead = refusal(404, "404.001.03", "Invalid Access Token");
    let script =
        Script::with_tokens([Step::Answer(GRANTED.into()), Step::Stall], [Step::Stall, dead, accepted()]).await;
    let client = script.client().token_timeout(PATIENCE).build().unwrap();

    let outcome = client.send(&Own(Repeat::Deduplicated)).await;

    assert_eq!((told(&outcome).as_str(), means(&outcome)), ("Unknown(Token(Transport(Timeout)))", "unknown"));
    assert_eq!((script.calls(), script.token_requests()), (2, 2));
}

#[tokio::test]
async fn an_unknown_outcome_says_what_to_do_before_it_says_why() {
    let script = Script::of([Step::Stall, refusal(400, "400.002.02", "Bad Request - Invalid Amount")]).await;
    let client = script.client().build().unwrap();

    let outcome = client.send(&Own(Repeat::Deduplicated)).await;

    assert_eq!(
        words(&outcome),
        "the outcome is unknown: the call may have been carried out, so reconcile and do not send it again | \
         Daraja refused the call (HTTP 400, 400.002.02, request 43301-58413611-1): Bad Request - Invalid Amount | "
    );
    assert!(outcome.unwrap_err().api().unwrap().after_unknown());
}
