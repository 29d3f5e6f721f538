//! One token for everybody: over sockets, under a crowd, when it is refused and when it does not come.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use daraja::{
    Client, Environment, Msisdn, Repeat,
    simulator::{Fault, Route, Simulator},
    transport::{BoxFuture, Transport, TransportError, reqwest::ReqwestTransport},
};
use tokio::{
    sync::{Barrier, Semaphore},
    task::JoinSet,
};

use crate::tools::{
    PATIENCE, at_once, every,
    operation::Own,
    push, push_to,
    script::{Script, Step, accepted, answer, json, refusal},
    verdict::{means, told, words},
    without_roots,
};

/// reqwest's transport with at most 64 requests at a time, so that a crowd does not use up the file descriptors.
struct Narrow {
    inner: ReqwestTransport,
    permits: Semaphore,
}

impl Transport for Narrow {
    fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let _permit = self.permits.acquire().await.expect("it is never closed");
            self.inner.call(request).await
        })
    }
}

/// reqwest's transport, but the first pushes leave together, when as many have come.
struct Together {
    inner: ReqwestTransport,
    first: Barrier,
    count: usize,
    come: AtomicUsize,
}

impl Transport for Together {
    fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let is_push = request.uri().path().ends_with("/processrequest");
            if is_push && self.come.fetch_add(1, Ordering::SeqCst) < self.count {
                self.first.wait().await;
            }
            self.inner.call(request).await
        })
    }
}

fn over_sockets(environment: &Environment) -> ReqwestTransport {
    ReqwestTransport::new(without_roots, environment, PATIENCE).expect("TLS can be set up")
}

fn number(customer: usize) -> Msisdn {
    format!("25470000{customer:04}").parse().expect("a number")
}

#[tokio::test]
async fn a_thousand_tasks_without_a_token_fetch_one() {
    let simulator = Simulator::new();
    let served = simulator.serve("127.0.0.1:0").await.unwrap();
    let narrow = Narrow { inner: over_sockets(&served.environment()), permits: Semaphore::new(64) };
    let client = served.client_builder().transport(narrow).build().unwrap();
    // Long enough for all of them to come while the token is on its way.
    simulator.fault(Route::OAuth, Fault::Slow(PATIENCE));
    let mut tasks = JoinSet::new();
    for customer in 0..1_000 {
        let client = client.clone();
        tasks.spawn(async move { told(&client.send(&push_to(number(customer))).await) });
    }

    let outcomes = tasks.join_all().await;

    assert_eq!(outcomes, vec!["Ok"; 1_000]);
    assert_eq!(simulator.calls(Route::OAuth), 1);
    assert_eq!(simulator.prompts().len(), 1_000);
}

#[tokio::test]
async fn a_thousand_tasks_that_wait_for_a_token_in_vain_fail_within_one_fetch() {
    const TOKEN_TIMEOUT: Duration = Duration::from_secs(2);
    let script = Script::with_tokens(std::iter::repeat_n(Step::Stall, 1_000), []).await;
    let client = script.client().attempt_timeout(Duration::from_secs(30)).token_timeout(TOKEN_TIMEOUT).build().unwrap();
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for customer in 0..1_000 {
        let client = client.clone();
        tasks.spawn(async move {
            let outcome = client.send(&push_to(number(customer))).await;
            (told(&outcome), means(&outcome))
        });
    }

    let outcomes = tasks.join_all().await;

    assert!(started.elapsed() < TOKEN_TIMEOUT * 2, "{:?}", started.elapsed());
    assert_eq!(outcomes, vec![("Token(Transport(Timeout))".to_owned(), "retryable"); 1_000]);
    assert_eq!((script.token_requests(), script.calls()), (1, 0));
}

#[tokio::test]
async fn a_thousand_tasks_share_a_refusal_of_the_credentials() {
    let wrong = refusal(400, "400.008.01", "Invalid Authentication passed");
    let script = Script::with_tokens([Step::Stall, wrong], []).await;
    let client = script.client().build().unwrap();
    let mut tasks = JoinSet::new();
    for customer in 0..1_000 {
        let client = client.clone();
        tasks.spawn(async move {
            let outcome = client.send(&push_to(number(customer))).await;
            (told(&outcome), means(&outcome))
        });
    }

    let outcomes = tasks.join_all().await;

    // The first attempt runs into its timeout, so that everybody is there when the second is refused.
    assert_eq!(outcomes, vec![("Token(Api(400 400.008.01))".to_owned(), "final"); 1_000]);
    assert_eq!((script.token_requests(), script.calls()), (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_tasks_that_meet_a_refused_token_at_once_fetch_one() {
    let simulator = Simulator::new();
    let served = simulator.serve("127.0.0.1:0").await.unwrap();
    let together = Together {
        inner: over_sockets(&served.environment()),
        first: Barrier::new(64),
        count: 64,
        come: AtomicUsize::new(0),
    };
    let client = Arc::new(served.client_builder().transport(together).build().unwrap());
    client.warm_up().await.unwrap();
    simulator.expire_tokens();
    let mut tasks = JoinSet::new();
    for customer in 0..64 {
        let client = client.clone();
        tasks.spawn(async move { told(&client.send(&push_to(number(customer))).await) });
    }

    let outcomes = tasks.join_all().await;

    assert_eq!(outcomes, vec!["Ok"; 64]);
    assert_eq!(simulator.calls(Route::OAuth), 2);
    assert_eq!(simulator.calls(Route::StkPush), 128, "all 64 were refused once");
    assert_eq!(simulator.prompts().len(), 64);
}

/// Every answer that Daraja gives to a dead token, in its own status.
const REFUSED_TOKENS: [(u16, &str); 6] = [
    (400, "400.002.01"),
    (400, "400.003.01"),
    (401, "401.001"),
    (401, "401.002.01"),
    (401, "401.003.01"),
    (404, "404.001.03"),
];

#[tokio::test]
async fn a_refused_token_is_renewed_once_and_the_push_sent_with_the_new_one() {
    for (status, code) in REFUSED_TOKENS {
        let script = Script::of([refusal(status, code, "Invalid Access Token"), accepted()]).await;
        let client = script.client().build().unwrap();

        let outcome = client.send(&push()).await;

        assert_eq!(told(&outcome), "Ok", "{code}");
        assert_eq!((script.token_requests(), script.calls()), (2, 2), "{code}");
        let seen = script.seen();
        assert!(seen[0].head().contains("authorization: Bearer token-1\r\n"), "{code}");
        assert!(seen[1].head().contains("authorization: Bearer token-2\r\n"), "{code}");
    }
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_as_well_hints_at_product_and_environment() {
    for (status, code) in REFUSED_TOKENS {
        let refused = || refusal(status, code, "Error Occurred - Invalid Access Token - token-2");
        let script = Script::of([refused(), refused(), accepted()]).await;
        let client = script.client().build().unwrap();

        let outcome = client.send(&push()).await;

        assert_eq!((told(&outcome), means(&outcome)), (format!("Api({status} {code})"), "final"));
        assert_eq!((script.token_requests(), script.calls()), (2, 2), "{code}");
        let words = words(&outcome);
        assert!(words.contains("the app lacks this API product, or its keys are of another environment"), "{words}");
        assert!(!words.contains("token-2"), "the answer echoes the token: {words}");
        assert!(!words.contains("unknown"), "{words}");
    }
}

#[tokio::test]
async fn a_token_code_in_a_5xx_renews_nothing() {
    for (status, code, verdict, meaning) in [
        (500, "404.001.03", "Unknown(Api(500 404.001.03))", "unknown"),
        (503, "401.003.01", "Unknown(Api(503 401.003.01))", "unknown"),
        (500, "500.003.1001", "Unknown(Api(500 500.003.1001))", "unknown"),
    ] {
        let script = Script::of([refusal(status, code, "Invalid Access Token"), accepted()]).await;
        let client = script.client().build().unwrap();

        let outcome = client.send(&push()).await;

        assert_eq!((told(&outcome).as_str(), means(&outcome)), (verdict, meaning));
        assert_eq!((script.token_requests(), script.calls()), (1, 1), "{status} {code}");
    }
}

/// What is answered to every token request; the verdict and what it means; the token requests; what it says.
#[tokio::test]
async fn a_token_that_cannot_be_had_says_why_and_sends_nothing() {
    const CHECK: &str = "check MPESA_CONSUMER_KEY and MPESA_CONSUMER_SECRET, and that they belong to this environment";
    let incapsula = "Request unsuccessful. Incapsula incident ID: 173000240624511593-8199";
    let cases = [
        (refusal(400, "400.008.01", "Invalid Authentication passed"), "Token(Api(400 400.008.01))", "final", 1, CHECK),
        (answer(400, "", ""), "Token(Api(400))", "final", 1, CHECK),
        (answer(401, "", ""), "Token(Api(401))", "final", 1, CHECK),
        (
            answer(503, "", incapsula),
            "Token(Decode(503))",
            "retryable",
            3,
            "(HTTP 503) is not JSON (line 1, column 1): Request unsuccessful. Incapsula",
        ),
        (
            answer(200, "", "<!doctype html>"),
            "Token(Decode(200))",
            "final",
            3,
            "(HTTP 200) is a web page, not an answer of an API: check MPESA_BASE_URL: <!doctype html>",
        ),
        (json(200, "{}"), "Token(Decode(200))", "final", 3, "(HTTP 200)"),
        (
            json(200, r#"{"access_token":"","expires_in":"3599"}"#),
            "Token(Decode(200))",
            "final",
            3,
            "holds no access token",
        ),
        (
            json(200, r#"{"access_token":"a\nb","expires_in":"3599"}"#),
            "Token(Decode(200))",
            "final",
            3,
            "holds no access token",
        ),
        (answer(500, "", ""), "Token(Decode(500))", "retryable", 3, "(HTTP 500) is empty"),
        (answer(429, "", ""), "Token(Api(429))", "retryable", 3, "(HTTP 429)"),
        (Step::Reset, "Token(Transport(Interrupted))", "retryable", 3, "the connection broke"),
        (Step::Stall, "Token(Transport(Timeout))", "retryable", 3, "no answer came in time"),
        (answer(200, "", "x".repeat(10 << 20)), "Token(Transport(TooLarge))", "final", 3, "larger than 1 MiB"),
    ];
    every(cases.into_iter().map(|(answer, verdict, meaning, token_requests, says)| async move {
        let script = Script::with_tokens(std::iter::repeat_n(answer, 5), []).await;
        let client = script.client().build().unwrap();

        let outcome = client.send(&Own(Repeat::Never)).await;

        assert_eq!((told(&outcome).as_str(), means(&outcome)), (verdict, meaning));
        assert_eq!((script.token_requests(), script.calls()), (token_requests, 0), "{verdict}");
        let words = words(&outcome);
        assert!(words.starts_with("no access token could be fetched, so the call was not sent | "), "{words}");
        assert!(words.contains(says), "{words}");
    }))
    .await;
}

#[tokio::test]
async fn a_token_is_asked_for_again_after_a_passing_error() {
    let script = Script::with_tokens([Step::Reset, answer(503, "", "")], [accepted()]).await;
    let client = script.client().build().unwrap();

    assert_eq!(told(&client.send(&push()).await), "Ok");
    assert_eq!((script.token_requests(), script.calls()), (3, 1));
}

#[tokio::test]
async fn one_failed_fetch_does_not_spoil_the_next_call() {
    let wrong = refusal(400, "400.008.01", "Invalid Authentication passed");
    let script = Script::with_tokens([wrong], [accepted()]).await;
    let client: Client = script.client().retry(at_once()).build().unwrap();

    assert_eq!(told(&client.send(&push()).await), "Token(Api(400 400.008.01))");
    assert_eq!(told(&client.send(&push()).await), "Ok");
}

/// The one that fetches is dropped while it waits: another one fetches, and nobody is stuck.
#[tokio::test]
async fn a_caller_that_gives_up_takes_nobody_with_it() {
    let script = Script::with_tokens([Step::Stall], [accepted(), accepted()]).await;
    let client = script.client().attempt_timeout(Duration::from_secs(30)).build().unwrap();
    let send = |customer| {
        let client = client.clone();
        tokio::spawn(async move { told(&client.send(&push_to(number(customer))).await) })
    };
    let gives_up = send(1);
    while script.token_requests() == 0 {
        tokio::task::yield_now().await;
    }
    let others = [send(2), send(3)];
    tokio::task::yield_now().await;

    gives_up.abort();

    for other in others {
        assert_eq!(other.await.unwrap(), "Ok");
    }
    assert_eq!((script.token_requests(), script.calls()), (2, 2));
}
