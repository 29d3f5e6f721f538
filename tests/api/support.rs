//! A scripted other side: answers in order, remembers what it was asked.

use std::{
    collections::VecDeque,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use bytes::Bytes;
use daraja::{
    Answer, B2cAccepted, Client, Credentials, Environment, Initiator, Merchant, Operation, Payout, Repeat, Result,
    ResultUrls, SecurityCredential, Timestamp,
    client::ClientBuilder,
    payout::Sent,
    transport::{BoxFuture, Transport, TransportError, TransportErrorKind},
    webhook::{Receiver, Reference, SignedUrls},
};
use http::{Request, Response};
use serde::Serialize;

pub(crate) const TOKEN: &str = "c9SQxWWhmdVRlyh0zh8gZDTkubVF";
pub(crate) const PASSKEY: &str = "a passkey of nobody";

/// A call that moves nothing.
#[derive(Clone, Copy)]
pub(crate) struct Read;

impl Operation for Read {
    type Response = ();

    fn path(&self) -> &str {
        "/read"
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn body(&self, _: Timestamp) -> impl Serialize + Send {}

    fn decode(&self, _: &Answer) -> Result<()> {
        Ok(())
    }
}

/// What the other side does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Answer(u16, String),
    AnswerWith(u16, (&'static str, &'static str), String),
    AnswerLate(Duration, u16, String),
    Fail(TransportErrorKind),
    Hang,
}

pub(crate) fn answer(status: u16, body: impl Into<String>) -> Step {
    Step::Answer(status, body.into())
}

/// Daraja's own shape of a refusal.
pub(crate) fn refusal(status: u16, code: &str, words: &str) -> Step {
    answer(status, format!(r#"{{"requestId":"29115-34620561-1","errorCode":"{code}","errorMessage":"{words}"}}"#))
}

/// One script for the token and one for everything else. A token script that is used up grants tokens.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scripted(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    token: VecDeque<Step>,
    calls: VecDeque<Step>,
    seen: Vec<Request<Bytes>>,
    tokens_granted: usize,
}

impl Scripted {
    pub(crate) fn new(calls: impl IntoIterator<Item = Step>) -> Self {
        let scripted = Self::default();
        scripted.0.lock().unwrap().calls.extend(calls);
        scripted
    }

    pub(crate) fn with_token_steps(self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.0.lock().unwrap().token.extend(steps);
        self
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        Client::builder(Environment::Sandbox, Credentials::new("the key", "the secret")).transport(self.clone())
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    fn seen(&self, is_token: bool) -> Vec<Request<Bytes>> {
        let seen = &self.0.lock().unwrap().seen;
        seen.iter().filter(|request| request.uri().path().starts_with("/oauth") == is_token).cloned().collect()
    }

    /// The calls that were made, tokens aside.
    pub(crate) fn calls(&self) -> Vec<Request<Bytes>> {
        self.seen(false)
    }

    pub(crate) fn token_requests(&self) -> Vec<Request<Bytes>> {
        self.seen(true)
    }

    fn next(&self, request: Request<Bytes>) -> Step {
        let mut inner = self.0.lock().unwrap();
        let is_token = request.uri().path().starts_with("/oauth");
        inner.seen.push(request);
        if !is_token {
            return inner.calls.pop_front().expect("a call more than the script foresees");
        }
        inner.token.pop_front().unwrap_or_else(|| {
            inner.tokens_granted += 1;
            let number = inner.tokens_granted;
            let token = if number == 1 { TOKEN.to_owned() } else { format!("{TOKEN}{number}") };
            answer(200, format!(r#"{{"access_token":"{token}","expires_in":"3599"}}"#))
        })
    }
}

impl Transport for Scripted {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let step = self.next(request);
        Box::pin(async move {
            let (status, header, body) = match step {
                Step::Answer(status, body) => (status, None, body),
                Step::AnswerWith(status, header, body) => (status, Some(header), body),
                Step::AnswerLate(pause, status, body) => {
                    tokio::time::sleep(pause).await;
                    (status, None, body)
                }
                Step::Fail(kind) => return Err(TransportError::new(kind)),
                Step::Hang => std::future::pending().await,
            };
            let mut response = Response::builder().status(status);
            if let Some((name, value)) = header {
                response = response.header(name, value);
            }
            // As a network does: whoever waits for the same thing gets to run meanwhile.
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok(response.body(Bytes::from(body)).unwrap())
        })
    }
}

/// The attempt that a push is, where there is one only.
pub(crate) static ATTEMPT: LazyLock<Reference> = LazyLock::new(|| "attempt-1".parse().unwrap());

/// Takes what comes to signed URLs, from Safaricom's addresses.
pub(crate) static RECEIVER: LazyLock<Receiver> = LazyLock::new(|| {
    let base = "https://shop.example/daraja".parse().unwrap();
    Receiver::new(SignedUrls::new(base, "3b1e9c47d2a86f05c4e7b91d60a3f82e").unwrap())
});

pub(crate) fn merchant() -> Merchant {
    Merchant::paybill("174379".parse().unwrap(), PASSKEY)
}

/// It stands in the timeout fixtures as well, where nothing may show it.
pub(crate) const CREDENTIAL: &str = "YSBjcmVkZW50aWFsIG9mIG5vYm9keSwgYXMgbG9uZyBhcyBTYWZhcmljb20ncy4gYSBjcmVkZW50aWFsIG9mIG5vYm9keSwgYXMgbG9uZyBhcyBTYWZhcmljb20ncy4gYSBjcmVkZW50aWFsIG9mIG5vYm9keSwgYXMgbG9uZyBhcyBTYWZhcmljb20ncy4gYSBjcmVkZW50aWFsIG9mIG5vYm9keSwgYXMgbG9uZyBhcyBTYWZhcmljb20ncy4gYSBjcmVkZW50aWFsIG9mIG5vYm9keSwgYXMgbG9uZyBhcyBTYWZhcmljb20ncy4gYSBjcmVkZW50aWFsIG9mIA==";
pub(crate) const RESULT_URL: &str = "https://shop.example/result/8c1f";
pub(crate) const TIMEOUT_URL: &str = "https://shop.example/timeout/8c1f";

pub(crate) fn initiator() -> Initiator {
    Initiator::new("shop-api", SecurityCredential::new(CREDENTIAL))
}

pub(crate) fn result_urls() -> ResultUrls {
    ResultUrls::new(RESULT_URL.parse().unwrap(), TIMEOUT_URL.parse().unwrap())
}

/// The body of a request that was made at 17:00:17 in Nairobi.
pub(crate) fn body(operation: &impl Operation) -> serde_json::Value {
    serde_json::to_value(operation.body("20240402170017".parse().unwrap())).unwrap()
}

/// Notes what the last sending of a payout came to; of one that was never begun, too.
pub(crate) fn note(payout: &mut Payout, outcome: Result<B2cAccepted, daraja::Error>, now: Timestamp) {
    let sent = noted(payout, outcome);
    payout.sent(&sent, now);
}

/// What the last sending of a payout came to: another program has the same dispatch.
pub(crate) fn noted(payout: &Payout, outcome: Result<B2cAccepted, daraja::Error>) -> Sent {
    let begins = serde_json::to_value(payout).unwrap()["begins"].as_u64().unwrap();
    noted_of(payout, begins, outcome)
}

/// What the sending of this number came to, counted from one.
pub(crate) fn noted_of(payout: &Payout, number: u64, outcome: Result<B2cAccepted, daraja::Error>) -> Sent {
    let mut row = serde_json::to_value(payout).unwrap();
    row["begins"] = number.saturating_sub(1).into();
    row["state"] = "Created".into();
    row["due"] = serde_json::Value::Null;
    row["seen_at"] = serde_json::Value::Null;
    let mut before: Payout = serde_json::from_value(row).unwrap();
    before.begin("20261006120000".parse().unwrap()).unwrap().came_to(outcome)
}

/// The fixtures of a folder below `tests/fixtures`, by name.
pub(crate) fn fixtures(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let mut read: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap())
        })
        .collect();
    read.sort();
    read
}
