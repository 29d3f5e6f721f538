//! The line between the program and the simulator, where requests and answers get lost.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use daraja::{
    simulator::Simulator,
    transport::{BoxFuture, Transport, TransportError, TransportErrorKind},
};
use http::{Request, Response};
use tokio::time::sleep;

use super::world::RECIPIENT;

/// What the line does with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Net {
    Fine,
    /// The answer takes this many seconds; an attempt waits for thirty.
    Slow(u8),
    NoConnection,
    RequestLost,
    AnswerLost,
    RequestLostInSilence,
    AnswerLostInSilence,
    Throttled,
    /// Refused by name, before anything is carried out.
    Refused,
    GatewayDown,
    /// The request is carried out, and the answer is an error.
    ErrorAfter,
    TokenDied,
}

/// The line between the program and the simulator.
pub(super) struct Line {
    pub(super) simulator: Simulator,
    pub(super) script: Mutex<VecDeque<Net>>,
    pub(super) log: Mutex<Log>,
}

#[derive(Default)]
pub(super) struct Log {
    /// The payout was taken: an answer said so, whether it came or not.
    pub(super) taken: bool,
    /// The outcome of some attempt was unclear to the program.
    pub(super) unclear: bool,
    pub(super) happened: Vec<&'static str>,
}

impl Line {
    pub(super) fn note(&self, what: &'static str) {
        self.log.lock().unwrap().happened.push(what);
    }

    fn arrive(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let response = self.simulator.handle(request);
        let is_payout = request.uri().path().contains("b2c") && is_ours(request.body());
        if is_payout && response.status() == 200 {
            self.log.lock().unwrap().taken = true;
        }
        if response.status() == 500 {
            self.note("duplicate id refused");
        }
        response
    }
}

fn is_ours(body: &[u8]) -> bool {
    body.windows(RECIPIENT.len()).any(|window| window == RECIPIENT.as_bytes())
}

pub(super) struct Wire(pub(super) Arc<Line>);

impl Transport for Wire {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let line = &self.0;
            if request.uri().path().starts_with("/oauth") {
                return Ok(line.simulator.handle(&request));
            }
            let net = line.script.lock().unwrap().pop_front().unwrap_or(Net::Fine);
            let answer = |status: u16, body: &'static str| {
                Ok(Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap())
            };
            let is_unclear =
                !matches!(net, Net::Fine | Net::NoConnection | Net::Throttled | Net::Refused | Net::TokenDied);
            line.log.lock().unwrap().unclear |= is_unclear && request.uri().path().contains("b2c");
            line.note(net.name());
            match net {
                Net::Fine => Ok(line.arrive(&request)),
                Net::Slow(seconds) => {
                    let response = line.arrive(&request);
                    sleep(Duration::from_secs(seconds.into())).await;
                    Ok(response)
                }
                Net::NoConnection => Err(TransportError::new(TransportErrorKind::Connect)),
                Net::RequestLost => Err(TransportError::new(TransportErrorKind::Interrupted)),
                Net::AnswerLost => {
                    line.arrive(&request);
                    Err(TransportError::new(TransportErrorKind::Interrupted))
                }
                Net::RequestLostInSilence => std::future::pending().await,
                Net::AnswerLostInSilence => {
                    line.arrive(&request);
                    std::future::pending().await
                }
                Net::Throttled => answer(429, ""),
                Net::Refused => answer(400, r#"{"errorCode":"400.003.02","errorMessage":"Bad Request"}"#),
                Net::GatewayDown => answer(503, "<html>Service Unavailable</html>"),
                Net::ErrorAfter => {
                    line.arrive(&request);
                    answer(500, r#"{"errorCode":"500.002.1001","errorMessage":"System internal error."}"#)
                }
                Net::TokenDied => {
                    line.simulator.expire_tokens();
                    Ok(line.arrive(&request))
                }
            }
        })
    }
}

impl Net {
    fn name(self) -> &'static str {
        match self {
            Self::Fine => "line: fine",
            Self::Slow(_) => "line: slow answer",
            Self::NoConnection => "line: no connection",
            Self::RequestLost => "line: request lost",
            Self::AnswerLost => "line: answer lost",
            Self::RequestLostInSilence => "line: request lost in silence",
            Self::AnswerLostInSilence => "line: answer lost in silence",
            Self::Throttled => "line: throttled",
            Self::Refused => "line: refused by name",
            Self::GatewayDown => "line: gateway down",
            Self::ErrorAfter => "line: carried out, answered by an error",
            Self::TokenDied => "line: token died",
        }
    }
}
