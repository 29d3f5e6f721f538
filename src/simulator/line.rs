//! The line between a client and the simulator: where faults happen, in process and on a port alike.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use tokio::time::sleep;

use super::{Fault, Route, Simulator, desk};
use crate::transport::{BoxFuture, Transport, TransportError, TransportErrorKind};

/// What comes back over the line, and when.
pub(super) struct Ending {
    pub(super) after: Duration,
    pub(super) kind: EndingKind,
}

pub(super) enum EndingKind {
    Answer(Response<Bytes>),
    /// The answer's declared length is kept, half of its bytes come.
    CutAnswer(Response<Bytes>),
    Reset,
}

/// How much an early callback or result is ahead of the answer to its request.
pub(super) const HEAD_START: Duration = Duration::from_millis(200);

impl Simulator {
    /// Takes one request with the fault that was ordered for it.
    pub(super) fn exchange(&self, request: &Request<Bytes>) -> Ending {
        let route = Route::of(request.uri().path());
        let fault = self.lock().faults.pop(route);
        if fault.is_some_and(Fault::keeps_from_desk) {
            self.count(route);
        }
        let now = |kind| Ending { after: Duration::ZERO, kind };
        let answer = |response| now(EndingKind::Answer(response));
        match fault {
            None => self.exchange_without_fault(request),
            Some(Fault::ResetBefore) => now(EndingKind::Reset),
            Some(Fault::ResetAfter) => {
                drop(self.handle(request));
                now(EndingKind::Reset)
            }
            Some(Fault::Slow(after)) => Ending { after, kind: EndingKind::Answer(self.handle(request)) },
            Some(Fault::Truncated) => now(EndingKind::CutAnswer(self.handle(request))),
            Some(Fault::Html) => answer(text(
                StatusCode::FORBIDDEN,
                "text/html",
                "<html><body>Request unsuccessful. Incapsula incident ID: 1730002406-8199</body></html>",
            )),
            Some(Fault::Empty) => answer(text(StatusCode::INTERNAL_SERVER_ERROR, "application/json", "")),
            Some(Fault::ErrorInOk) => answer(desk::refuse(self, 200, "500.001.1001", "")),
            Some(Fault::AcceptedButError) => {
                drop(self.handle(request));
                answer(desk::refuse(self, 500, "500.001.1001", "Internal Server Error"))
            }
            Some(Fault::Busy) => {
                drop(self.handle(request));
                answer(desk::refuse(self, 500, "500.003.02", "System is busy. Please try again in few minutes."))
            }
            Some(Fault::Throttled(retry_after)) => answer(throttled(retry_after)),
            Some(Fault::TokenExpired) => {
                self.expire_tokens();
                answer(self.handle(request))
            }
            Some(Fault::Refused(status, code, words)) => answer(desk::refuse(self, status, code, words)),
            Some(Fault::Redirect) => {
                let mut response = text(StatusCode::FOUND, "text/html", "");
                response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/elsewhere"));
                answer(response)
            }
            Some(Fault::UnauthorizedEmpty) => answer(text(StatusCode::UNAUTHORIZED, "application/json", "")),
            Some(Fault::UnauthorizedText) => answer(text(StatusCode::UNAUTHORIZED, "text/plain", "Unauthorized")),
            Some(Fault::UnauthorizedFault) => answer(text(
                StatusCode::UNAUTHORIZED,
                "application/json",
                r#"{"fault":{"faultstring":"Invalid Access Token","detail":{"errorcode":"oauth.v2.InvalidAccessToken"}}}"#,
            )),
            Some(Fault::NoRoute) => answer(text(
                StatusCode::NOT_FOUND,
                "application/json",
                r#"{"fault":{"faultstring":"Unable to identify proxy for host: default and url: /x","detail":{"errorcode":"messaging.adaptors.http.flow.ApplicationNotFound"}}}"#,
            )),
            Some(Fault::GatewayTimeout) => {
                drop(self.handle(request));
                answer(text(
                    StatusCode::GATEWAY_TIMEOUT,
                    "application/json",
                    r#"{"fault":{"faultstring":"Gateway Timeout","detail":{"errorcode":"messaging.adaptors.http.flow.GatewayTimeout"}}}"#,
                ))
            }
            Some(Fault::Portal) => answer(text(
                StatusCode::OK,
                "text/html",
                "<!DOCTYPE html><html><head><title>Daraja Developer Portal</title></head><body></body></html>",
            )),
        }
    }

    /// An early callback overtakes the answer to its push.
    fn exchange_without_fault(&self, request: &Request<Bytes>) -> Ending {
        let response = self.handle(request);
        let after = response.extensions().get::<HeldBack>().map_or(Duration::ZERO, |held| held.0);
        Ending { after, kind: EndingKind::Answer(response) }
    }
}

/// Marks an answer that leaves later than it was made.
#[derive(Clone, Copy)]
pub(super) struct HeldBack(pub(super) Duration);

/// The gateway's own refusal, whose shape is not Daraja's.
pub(super) fn throttled(retry_after: Option<u64>) -> Response<Bytes> {
    let mut response = text(
        StatusCode::TOO_MANY_REQUESTS,
        "application/json",
        "{\"fault\":{\"faultstring\":\"Spike arrest violation. Allowed rate : MessageRate{messagesPerPeriod=5, \
         periodInMicroseconds=60000000, maxBurstMessageCount=1.0}\",\"detail\":{\"errorcode\":\"policies.ratelimit.SpikeArrestViolation\"}}}",
    );
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn text(status: StatusCode, kind: &'static str, body: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(body.as_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The line in process: no socket, and time may be paused.
pub(super) struct InProcess(pub(super) Simulator);

impl Transport for InProcess {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let ending = self.0.exchange(&request);
            if !ending.after.is_zero() {
                sleep(ending.after).await;
            }
            match ending.kind {
                EndingKind::Answer(response) => Ok(response),
                EndingKind::CutAnswer(_) | EndingKind::Reset => {
                    Err(TransportError::new(TransportErrorKind::Interrupted))
                }
            }
        })
    }
}
