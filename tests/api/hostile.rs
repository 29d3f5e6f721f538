//! Answers, stores and headers of an attacker: memory stays in proportion to their size, and no call fails because of them.

use std::{
    hint::black_box,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use allocation_counter::measure;
use bytes::Bytes;
use daraja::{
    Client, RetryPolicy, Shillings, StkCallback, StkPush, StkQuery,
    c2b::C2bNotice,
    initiated::QueueTimeout,
    operation::NotAfter,
    secret::AccessToken,
    token::{StoreError, StoredToken, TokenKey, TokenStore},
    transport::{BoxFuture, Transport, TransportError},
    webhook::{Delivery, Event, ProxyHeader, Receiver, SignedUrls, Sources},
};
use http::{Request, Response};
use tokio::time::{Instant, sleep};

use crate::support::{Scripted, answer, merchant};

/// The most that is held at a time, as a multiple of what came.
fn times(size: usize, work: impl FnOnce()) -> f64 {
    let most = measure(work).bytes_max;
    f64::from(u32::try_from(most).unwrap()) / f64::from(u32::try_from(size).unwrap())
}

fn query() -> StkQuery {
    StkQuery::new(&merchant(), &"ws_CO_1".parse().unwrap())
}

fn push() -> StkPush {
    let url = "https://shop.example/stk".parse().unwrap();
    let (payer, account) = ("254708374149".parse().unwrap(), "INV-001".parse().unwrap());
    StkPush::new(&merchant(), payer, Shillings::new(500).unwrap(), account, url)
}

/// Pieces that are small as text and large as a tree.
const PIECES: [&str; 9] =
    [r#"{"":0}"#, "0", "{}", "[0]", r#""a""#, "1.5e3", "null", r#"{"Key":"a","Value":0}"#, r#"{"Name":"","Value":{}}"#];

/// A text of this size at most, its middle full of one piece.
fn full_of(piece: &str, begin: &str, end: &str, size: usize) -> String {
    let count = (size - begin.len() - end.len()) / (piece.len() + 1);
    format!("{begin}{}{end}", vec![piece; count].join(","))
}

#[test]
fn an_answer_takes_no_more_than_eight_times_its_size() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let size = 1 << 20;
    let wrappings = [
        (r#"{"fault":["#, "]}"),
        (r#"{"fault":{"detail":["#, "]}}"),
        (r#"{"Envelope":{"Body":{"Fault":["#, "]}}}"),
        (r#"{"errorMessage":["#, "]}"),
        (r#"{"x":["#, r#"],"errorCode":"500.001.1001"}"#),
        ("[", "]"),
    ];
    let mut bodies: Vec<_> =
        wrappings.iter().flat_map(|(begin, end)| PIECES.map(|piece| full_of(piece, begin, end, size))).collect();
    bodies.extend([
        format!(r#"{{"errorCode":"{}"}}"#, "1".repeat(size - 20)),
        format!(r#"{{"errorCode":"{}"#, "a ".repeat(size / 2 - 20)),
        format!(r#"{{"errorMessage":"{}"}}"#, r"\u0041".repeat(size / 6 - 20)),
        format!("{{{}\"x\":0}}", r#""errorMessage":"a","#.repeat(size / 20 - 20)),
        "<a>".repeat(size / 3),
        "\u{202e}".repeat(size / 3),
        "https:".repeat(size / 6),
    ]);
    for body in bodies {
        let shown: String = body.chars().take(60).collect();
        for token_first in [false, true] {
            let scripted = if token_first {
                Scripted::default().with_token_steps(vec![answer(500, body.clone()); 3])
            } else {
                Scripted::new([answer(500, body.clone())])
            };
            let client = scripted.builder().retry(RetryPolicy::never()).build().unwrap();
            let query = query();
            let times = times(body.len(), || runtime.block_on(async { drop(client.send(&query).await) }));
            assert!(times <= 8.0, "{shown}: {times} times");
        }
    }
}

#[test]
fn a_body_takes_no_more_than_eight_times_its_size() {
    let size = 64 * 1024;
    let wrappings = [
        (
            r#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":0,"CallbackMetadata":{"Item":["#,
            "]}}}}",
        ),
        (r#"{"Result":{"ResultCode":0,"ConversationID":"AG_1","ResultParameters":{"ResultParameter":["#, "]}}}"),
        (r#"{"TransID":"UJ65WSR9W7","x":["#, "]}"),
        (r#"{"OriginatorConversationID":"a-1","x":["#, "]}"),
        (r#"{"Password":["#, "]}"),
        ("[", "]"),
    ];
    let mut bodies: Vec<_> =
        wrappings.iter().flat_map(|(begin, end)| PIECES.map(|piece| full_of(piece, begin, end, size))).collect();
    bodies.extend([
        format!("{{{}\"x\":0}}", r#""Password":0,"#.repeat(size / 13 - 2)),
        format!("{{{}\"x\":0}}", r#""Value":0,"#.repeat(size / 10 - 2)),
        format!("{{{}\"x\":0}}", r#""":0,"#.repeat(size / 5 - 2)),
        format!(r#"{{"TransID":"{}"}}"#, r"\u0041".repeat(size / 6 - 4)),
    ]);
    for body in bodies {
        let (shown, bytes): (String, _) = (body.chars().take(60).collect(), body.as_bytes());
        for (how, times) in [
            ("as an event", times(size, || drop(black_box(Event::parse(bytes))))),
            ("as a callback", times(size, || drop(black_box(StkCallback::parse(bytes))))),
            ("as a notice", times(size, || drop(black_box(C2bNotice::confirmation(bytes))))),
            ("as a timeout", times(size, || drop(black_box(QueueTimeout::parse(bytes))))),
        ] {
            assert!(times <= 8.0, "{shown} {how}: {times} times");
        }
        if let Ok(event) = Event::parse(bytes) {
            let times = times(size, || drop(black_box(event.body_to_store(bytes))));
            assert!(times <= 8.0, "{shown} stored: {times} times");
        }
    }
}

#[test]
fn forwarded_headers_take_no_more_than_eight_times_their_size() {
    let urls =
        || SignedUrls::new("https://shop.example/daraja".parse().unwrap(), "3b1e9c47d2a86f05c4e7b91d60a3f82e").unwrap();
    let peer: IpAddr = "127.0.0.1".parse().unwrap();
    let lines = [
        ",".repeat(1 << 20),
        "127.0.0.1,".repeat(100_000),
        "[::1]:80,".repeat(110_000),
        "for=1;".repeat(170_000),
        "for=127.0.0.1,".repeat(70_000),
        "\"\"".repeat(500_000),
        "1".repeat(1 << 20),
    ];
    for header in [ProxyHeader::XForwardedFor, ProxyHeader::Forwarded] {
        let receiver = Receiver::new(urls()).sources(Sources::safaricom().behind(["127.0.0.1"], header).unwrap());
        for line in &lines {
            let delivery = Delivery::new(peer, "/x", b"").forwarded_for(line).forwarded(line);
            let times = times(line.len(), || _ = black_box(receiver.client_of(&delivery)));
            assert!(times <= 8.0, "{header:?} {}: {times} times", &line[..20]);
            assert_eq!(receiver.client_of(&delivery), None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_token_is_refused() {
    let longest = "a".repeat(4_096);
    for token in ["", " ", "a b", "Bearer x", "é", "a\u{0}b", "a\r\nX: y", "=", "a=b", "\"a\"", &format!("{longest}a")]
    {
        let granted = serde_json::json!({ "access_token": token, "expires_in": "3599" }).to_string();
        let scripted = Scripted::default().with_token_steps(vec![answer(200, granted); 3]);
        assert!(scripted.client().warm_up().await.is_err(), "{:?}", token.get(..20).unwrap_or(token));
    }
    for token in ["a", "A-z.0_9~+/==", &longest] {
        let granted = serde_json::json!({ "access_token": token, "expires_in": "3599" }).to_string();
        let scripted = Scripted::default().with_token_steps([answer(200, granted)]);
        scripted.client().warm_up().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_consumer_secret_blanks_nothing() {
    use daraja::{Credentials, Environment};
    let refused = answer(400, r#"{"errorCode":"400.008.01","errorMessage":"Invalid Authentication passed"}"#);
    let scripted = Scripted::default().with_token_steps(vec![refused; 3]);
    let builder = Client::builder(Environment::Sandbox, Credentials::new("the key", ""));
    let error = builder.transport(scripted).build().unwrap().warm_up().await.unwrap_err();
    assert!(format!("{error:?}").contains("Invalid Authentication passed"), "{error:?}");
}

/// Grants one token, and takes no other.
#[derive(Clone, Default)]
struct Daraja(Arc<Counts>);

#[derive(Default)]
struct Counts {
    fetched: AtomicUsize,
    called: AtomicUsize,
}

impl Transport for Daraja {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let (status, body) = if request.uri().path().starts_with("/oauth") {
            self.0.fetched.fetch_add(1, Ordering::Relaxed);
            (200, r#"{"access_token":"genuine","expires_in":"3599"}"#)
        } else {
            self.0.called.fetch_add(1, Ordering::Relaxed);
            if request.headers()["authorization"] == "Bearer genuine" {
                (200, r#"{"ResponseCode":"0","ResultCode":"0","CheckoutRequestID":"ws_CO_1","ResultDesc":"ok"}"#)
            } else {
                (404, r#"{"requestId":"1","errorCode":"404.001.03","errorMessage":"Invalid Access Token"}"#)
            }
        };
        let answer = Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap();
        Box::pin(async move { Ok(answer) })
    }
}

/// A store into which an attacker writes: another token each time.
struct Poisoned {
    tokens: Vec<String>,
    turn: AtomicUsize,
}

impl TokenStore for Poisoned {
    fn load<'a>(&'a self, _: &'a TokenKey) -> BoxFuture<'a, Result<Option<StoredToken>, StoreError>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let token = self.tokens[turn % self.tokens.len()].clone();
        Box::pin(async move { Ok(Some(StoredToken::new(AccessToken::new(token), Duration::MAX))) })
    }

    fn save<'a>(&'a self, _: &'a TokenKey, _: &'a StoredToken) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

async fn ask_with(tokens: Vec<String>) -> (Result<(), daraja::Error>, usize) {
    let daraja = Daraja::default();
    let store = Poisoned { tokens, turn: AtomicUsize::new(0) };
    let builder = Client::builder(daraja::Environment::Sandbox, daraja::Credentials::new("the key", "the secret"));
    let client = builder.transport(daraja.clone()).token_store(store).build().unwrap();
    let outcome = client.send(&query()).await.map(drop);
    (outcome, daraja.0.called.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn a_store_full_of_old_tokens_ends_no_call() {
    for count in [1, 2, 3, 5, 50] {
        let (outcome, called) = ask_with((0..count).map(|number| format!("old-{number}")).collect()).await;
        assert!(outcome.is_ok(), "{count} old tokens: {outcome:?}");
        assert!(called <= 3, "{count} old tokens: {called} calls");
    }
}

#[tokio::test(start_paused = true)]
async fn malformed_tokens_of_a_store_are_not_sent() {
    for malformed in ["a\r\nX: y", "\0", "", " ", "é", &"a".repeat(10 << 20)] {
        let (outcome, called) = ask_with(vec![malformed.to_owned()]).await;
        assert_eq!((outcome.is_ok(), called), (true, 1), "{:?}", malformed.get(..4));
    }
}

/// A slow store: it says for a while that another process is fetching, then grants the claim and returns an old token.
struct Spiteful {
    holds: Duration,
    asked_at: Mutex<Option<Instant>>,
    number: AtomicUsize,
}

impl TokenStore for Spiteful {
    fn load<'a>(&'a self, _: &'a TokenKey) -> BoxFuture<'a, Result<Option<StoredToken>, StoreError>> {
        Box::pin(async {
            let asked_at = *self.asked_at.lock().unwrap().get_or_insert_with(Instant::now);
            sleep(Duration::from_millis(1_900)).await;
            if asked_at.elapsed() < self.holds {
                return Ok(None);
            }
            *self.asked_at.lock().unwrap() = None;
            let number = self.number.fetch_add(1, Ordering::Relaxed);
            Ok(Some(StoredToken::new(AccessToken::new(format!("old-{number}")), Duration::from_secs(3_000))))
        })
    }

    fn save<'a>(&'a self, _: &'a TokenKey, _: &'a StoredToken) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async {
            sleep(Duration::from_millis(1_900)).await;
            Ok(())
        })
    }

    fn claim<'a>(&'a self, _: &'a TokenKey, _: Duration) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async {
            sleep(Duration::from_millis(1_900)).await;
            Ok(false)
        })
    }
}

/// A slow Daraja, which accepts only the token that it granted itself.
#[derive(Clone)]
struct Slow {
    grants: Duration,
    answers: Duration,
}

impl Transport for Slow {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let is_token = request.uri().path().starts_with("/oauth");
            sleep(if is_token { self.grants } else { self.answers }).await;
            let (status, body) = if is_token {
                (200, r#"{"access_token":"genuine","expires_in":"3599"}"#)
            } else if request.headers()["authorization"] == "Bearer genuine" {
                (
                    200,
                    r#"{"MerchantRequestID":"1","CheckoutRequestID":"ws_CO_1","ResponseCode":"0","ResponseDescription":"ok"}"#,
                )
            } else {
                (404, r#"{"requestId":"1","errorCode":"404.001.03","errorMessage":"Invalid Access Token"}"#)
            };
            Ok(Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn all_that_a_store_does_together_leaves_a_call_the_time_that_it_needs() {
    let seconds = Duration::from_secs;
    for (total, grants, answers) in [(15, 1, 1), (20, 1, 1), (60, 9, 3), (60, 1, 5)] {
        for holds in (0..seconds(total).as_millis() / 2).step_by(500) {
            let holds = Duration::from_millis(holds.try_into().unwrap());
            let store = Spiteful { holds, asked_at: Mutex::default(), number: AtomicUsize::new(0) };
            let daraja = Slow { grants: seconds(grants), answers: seconds(answers) };
            let builder =
                Client::builder(daraja::Environment::Sandbox, daraja::Credentials::new("the key", "the secret"));
            let client = builder.transport(daraja).token_store(store).timeout(seconds(total)).build().unwrap();
            let outcome = client.send(&push()).await;
            assert!(outcome.is_ok(), "{total} s, claimed for {holds:?}: {outcome:?}");
        }
    }
}

/// A caller that may not use the store any more fetches, while another caller takes a token of the store: the first gets the
/// token that it fetched.
#[tokio::test(start_paused = true)]
async fn a_token_that_a_caller_fetched_is_not_replaced_by_one_of_the_store() {
    let daraja = Slow { grants: Duration::from_secs(9), answers: Duration::from_secs(2) };
    let store = Poisoned { tokens: (0..50).map(|number| format!("old-{number}")).collect(), turn: AtomicUsize::new(0) };
    let builder = Client::builder(daraja::Environment::Sandbox, daraja::Credentials::new("the key", "the secret"));
    let client = builder.transport(daraja).token_store(store).build().unwrap();
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.send(&push()).await }
    });
    // Two old tokens were refused, and it fetches, until 13 s have passed.
    sleep(Duration::from_secs(5)).await;
    // This one stops waiting a moment before that, and takes one of the store.
    let hurried = push().not_after(NotAfter::within(client.now(), Duration::from_secs(15)));
    let hurried = client.send(&hurried).await;
    first.await.unwrap().unwrap();
    drop(hurried);
}
