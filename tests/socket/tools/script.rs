//! A server that answers call after call by a script, on whatever connection they come.

use std::{
    collections::VecDeque,
    fmt::Display,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use daraja::{Client, Credentials, Environment, client::ClientBuilder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    PATIENCE, at_once,
    message::{self, Message},
    roads::Roads,
    without_roots,
};

/// What happens to one request.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// These bytes are answered.
    Answer(Vec<u8>),
    /// These bytes are answered, then the connection is closed.
    AnswerAndClose(Vec<u8>),
    /// Nothing is answered until the client gives up.
    Stall,
    /// The connection is closed.
    Close,
    /// The connection is reset.
    Reset,
}

/// An answer with a declared length and further headers, each ending in a line break.
pub(crate) fn answer(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Step {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    Step::Answer([head.as_bytes(), body].concat())
}

/// An answer of JSON.
pub(crate) fn json(status: u16, body: impl Display) -> Step {
    answer(status, "content-type: application/json\r\n", body.to_string())
}

/// Daraja's refusal.
pub(crate) fn refusal(status: u16, code: &str, words: &str) -> Step {
    json(status, format!(r#"{{"requestId":"43301-58413611-1","errorCode":"{code}","errorMessage":"{words}"}}"#))
}

pub(crate) fn throttle(headers: &str) -> Step {
    answer(
        429,
        headers,
        r#"{"fault":{"faultstring":"Spike arrest violation","detail":{"errorcode":"policies.ratelimit.SpikeArrestViolation"}}}"#,
    )
}

/// What both a push and the tests' own operation take for a success.
pub(crate) fn accepted() -> Step {
    json(
        200,
        r#"{"MerchantRequestID":"29115-34620561-1","CheckoutRequestID":"ws_CO_1","ResponseCode":"0","ResponseDescription":"Success","CustomerMessage":"Success"}"#,
    )
}

pub(crate) struct Script {
    address: SocketAddr,
    shared: Arc<Mutex<State>>,
    stalls: bool,
    _accepting: JoinSet<()>,
}

#[derive(Default)]
struct State {
    calls: VecDeque<Step>,
    tokens: VecDeque<Step>,
    seen: Vec<Message>,
    seen_tokens: usize,
    connections: usize,
}

impl Script {
    /// Tokens are granted.
    pub(crate) async fn of(calls: impl IntoIterator<Item = Step>) -> Self {
        Self::with_tokens([], calls).await
    }

    /// Token requests are answered by a script of their own; what comes beyond it is granted.
    pub(crate) async fn with_tokens(
        tokens: impl IntoIterator<Item = Step>,
        calls: impl IntoIterator<Item = Step>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("its address");
        let (calls, tokens): (VecDeque<_>, VecDeque<_>) = (calls.into_iter().collect(), tokens.into_iter().collect());
        let stalls = calls.iter().chain(&tokens).any(|step| matches!(step, Step::Stall));
        let shared = Arc::new(Mutex::new(State { calls, tokens, ..State::default() }));
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, shared.clone()));
        Self { address, shared, stalls, _accepting: accepting }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A client that repeats at once and, if the script stalls, waits a second for an answer.
    pub(crate) fn client(&self) -> ClientBuilder {
        self.builder(&self.base_url()).reqwest(without_roots)
    }

    /// The same, with every connection by plan.
    pub(crate) fn client_by(&self, roads: &Roads) -> ClientBuilder {
        self.builder(&format!("http://localhost:{}", self.address.port())).reqwest(roads.builder())
    }

    fn builder(&self, base_url: &str) -> ClientBuilder {
        let environment = Environment::custom(base_url).expect("a loopback URL");
        let builder = Client::builder(environment, Credentials::new("key of the app", "its secret")).retry(at_once());
        let builder = builder.query_spacing(std::time::Duration::ZERO);
        if self.stalls { builder.attempt_timeout(PATIENCE) } else { builder }
    }

    /// The calls that came, token requests not included.
    pub(crate) fn seen(&self) -> Vec<Message> {
        lock(&self.shared).seen.clone()
    }

    pub(crate) fn calls(&self) -> usize {
        lock(&self.shared).seen.len()
    }

    pub(crate) fn token_requests(&self) -> usize {
        lock(&self.shared).seen_tokens
    }

    pub(crate) fn connections(&self) -> usize {
        lock(&self.shared).connections
    }
}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        lock(&shared).connections += 1;
        connections.spawn(play(stream, shared.clone()));
    }
}

async fn play(mut stream: TcpStream, shared: Arc<Mutex<State>>) {
    let mut rest = Vec::new();
    while let Some(request) = message::read(&mut stream, &mut rest).await {
        let step = lock(&shared).next(request);
        match step {
            Step::Answer(bytes) => {
                // A client that has read enough may have left.
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Step::AnswerAndClose(bytes) => {
                drop(stream.write_all(&bytes).await);
                return close(stream).await;
            }
            Step::Stall => return drop(stream.read_to_end(&mut rest).await),
            Step::Close => return close(stream).await,
            Step::Reset => return stream.set_zero_linger().expect("a socket option"),
        }
    }
}

async fn close(mut stream: TcpStream) {
    drop(stream.shutdown().await);
    drop(stream.read_to_end(&mut Vec::new()).await);
}

impl State {
    fn next(&mut self, request: Message) -> Step {
        if request.is_token_request() {
            self.seen_tokens += 1;
            let granted = format!(r#"{{"access_token":"token-{}","expires_in":"3599"}}"#, self.seen_tokens);
            return self.tokens.pop_front().unwrap_or_else(|| json(200, granted));
        }
        self.seen.push(request);
        // Out of script: the count tells.
        self.calls.pop_front().unwrap_or_else(|| refusal(400, "400.002.02", "the script is over"))
    }
}
