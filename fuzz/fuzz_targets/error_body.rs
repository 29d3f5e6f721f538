//! Answers of Daraja and of whatever stands before it: errors, pages and rubbish, with any status.
#![no_main]

use std::{
    error::Error as _,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use daraja::{
    Client, Credentials, Environment, Error, Merchant, Operation, RetryPolicy, StkPush, StkQuery,
    transport::{BoxFuture, Transport, TransportError},
};
use http::{Request, Response, StatusCode};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

mod quoted;

/// Nothing in them looks like a secret: they are hidden only because they are known.
const TOKEN: &str = "tokenOfNobody";
const GRANTED: &str = r#"{"access_token":"tokenOfNobody","expires_in":"3599"}"#;
const SECRET: &str = "secretOfNobody";
/// The payer of the fixtures.
const NUMBER: &str = "254708374149";

/// The ones that are read in different ways.
const STATUSES: [u16; 7] = [200, 400, 401, 404, 429, 500, 503];

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));

static PUSH: LazyLock<(StkPush, StkQuery)> = LazyLock::new(|| {
    let merchant = Merchant::paybill("174379".parse().expect("a PayBill"), "a passkey of nobody");
    let payer = NUMBER.parse().expect("a number");
    let amount = daraja::Shillings::new(1).expect("an amount");
    let url = "https://shop.example/callback".parse().expect("a URL");
    let push = StkPush::new(&merchant, payer, amount, "INV-1".parse().expect("a reference"), url);
    let id = "ws_CO_180920261803512708374149".parse().expect("an id");
    (push, StkQuery::new(&merchant, &id))
});

/// Answers one kind of request with the input, and grants tokens if that is not the one.
struct Answering {
    status: StatusCode,
    body: Bytes,
    for_a_token: bool,
    /// Set when something else than a token is asked for.
    went_out: Arc<AtomicBool>,
}

impl Answering {
    fn new(status: StatusCode, body: Bytes, for_a_token: bool) -> Self {
        Self { status, body, for_a_token, went_out: Arc::default() }
    }
}

impl Transport for Answering {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let asks_for_a_token = request.uri().path().starts_with("/oauth");
        self.went_out.fetch_or(!asks_for_a_token, Ordering::Relaxed);
        let mut response = if asks_for_a_token == self.for_a_token {
            Response::new(self.body.clone())
        } else {
            Response::new(Bytes::from_static(GRANTED.as_bytes()))
        };
        if asks_for_a_token == self.for_a_token {
            *response.status_mut() = self.status;
        }
        Box::pin(async move { Ok(response) })
    }
}

fuzz_target!(|data: &[u8]| {
    let body = Bytes::copy_from_slice(data);
    let (push, query) = &*PUSH;
    for status in STATUSES.into_iter().chain(any_status(data)) {
        let status = StatusCode::from_u16(status).expect("a status");
        let answer = |for_a_token| Answering::new(status, body.clone(), for_a_token);
        let asked = check(send(query, answer(false)), TOKEN);
        assert!(!asked.is_some_and(|error| error.outcome_unknown()), "a question moves no money");

        let pushed = check(send(push, answer(false)), TOKEN);
        if status.is_server_error() || status.is_success() {
            // A gateway that throttles says so; whatever else is broken there may have rung a phone.
            let harmless = pushed.as_ref().is_none_or(|error| error.outcome_unknown() || error.api().is_some());
            assert!(harmless, "HTTP {status}: {pushed:?}");
        }

        let answer = answer(true);
        let went_out = answer.went_out.clone();
        let tokenless = check(send(push, answer), SECRET);
        // The input can be a token.
        let doubtful = tokenless.is_some_and(|error| error.outcome_unknown());
        assert!(!doubtful || went_out.load(Ordering::Relaxed), "without a token nothing is sent");
    }
    echoes(data);
});

/// The answer with what was sent in the place of one of its values.
fn echoes(data: &[u8]) {
    let (push, _) = &*PUSH;
    for (for_a_token, sent) in [(false, TOKEN), (true, SECRET), (false, NUMBER)] {
        let Some(body) = quoted::replaced(data, sent) else { return };
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        check(send(push, Answering::new(status, body.into(), for_a_token)), sent);
    }
}

/// One more, which the input chooses.
fn any_status(data: &[u8]) -> Option<u16> {
    let (last, rest) = data.split_last()?;
    let number = u16::from(*last).saturating_mul(4).saturating_add(u16::from(rest.len() % 4 == 1));
    (100..1000).contains(&number).then_some(number)
}

fn send<O: Operation>(operation: &O, answer: Answering) -> Result<(), Error> {
    let client = Client::builder(Environment::Sandbox, Credentials::new("the key", SECRET))
        .retry(RetryPolicy::never())
        .query_spacing(std::time::Duration::ZERO)
        .transport(answer)
        .build()
        .expect("a client");
    RUNTIME.block_on(client.send(operation)).map(drop)
}

/// What holds of every error; `sent` is the secret that the request held, which its answer can echo.
fn check(outcome: Result<(), Error>, sent: &str) -> Option<Error> {
    let error = outcome.err()?;
    assert!(!(error.outcome_unknown() && error.is_retryable()), "{error:?}");
    let mut shown = format!("{error:?} {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        shown.push_str(&cause.to_string());
        source = cause.source();
    }
    for hidden in [NUMBER, sent] {
        assert!(!shown.contains(hidden), "{hidden} is shown");
    }
    Some(error)
}
