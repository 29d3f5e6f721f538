//! What `send` does around the network.

use std::{
    sync::RwLock,
    time::{Duration, Instant},
};

use bytes::Bytes;
use daraja::{
    Answer, Client, Credentials, Environment, Operation, Repeat, Result, Timestamp,
    transport::{BoxFuture, Transport, TransportError},
};
use http::{Method, Request, Response, header};
use serde::{Serialize, de::IgnoredAny};

use crate::{
    Subject,
    sample::{BEARER, JSON, TOKEN, USER_AGENT, runtime},
};

/// What `send` does around the network, the token read first: nothing to encode, and a transport that answers at once.
pub(crate) fn token(_: &str) -> Subject {
    let runtime = runtime();
    let builder = Client::builder(Environment::Sandbox, Credentials::new("key", "secret"));
    let client = builder.transport(AtOnce).build().expect("no TLS is set up");
    Box::new(move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                client.send(&Nothing).await.expect("a success");
            }
        });
    })
}

/// A token behind the standard library's lock, the request made by hand, the same transport, the answer checked to be
/// JSON. No deadlines, no repeats, no refusals.
pub(crate) fn token_floor(_: &str) -> Subject {
    let runtime = runtime();
    let ends = Instant::now().checked_add(Duration::from_secs(3_600)).expect("an hour can be added");
    let slot = RwLock::new(Some((BEARER, ends)));
    Box::new(move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                let live = slot.read().expect("nobody panics").clone().filter(|(_, ends)| *ends > Instant::now());
                let (bearer, _) = live.expect("it lives for an hour");
                let mut request = Request::new(Bytes::from_static(b"null"));
                *request.method_mut() = Method::POST;
                *request.uri_mut() = "https://sandbox.safaricom.co.ke/nothing".parse().expect("a URI");
                request.headers_mut().insert(header::AUTHORIZATION, bearer);
                request.headers_mut().insert(header::USER_AGENT, USER_AGENT);
                request.headers_mut().insert(header::CONTENT_TYPE, JSON);
                let answer = AtOnce.call(request).await.expect("a success");
                serde_json::from_slice::<IgnoredAny>(answer.body()).expect("JSON");
            }
        });
    })
}

/// Answers without a network.
struct AtOnce;

impl Transport for AtOnce {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let answer = if request.uri().path() == "/nothing" { "{}" } else { TOKEN };
        Box::pin(async move { Ok(Response::new(Bytes::from_static(answer.as_bytes()))) })
    }
}

/// An operation that does nothing.
struct Nothing;

impl Operation for Nothing {
    type Response = ();

    fn path(&self) -> &'static str {
        "/nothing"
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn body(&self, _: Timestamp) -> impl Serialize + Send {}

    fn decode(&self, _: &Answer) -> Result<()> {
        Ok(())
    }
}
