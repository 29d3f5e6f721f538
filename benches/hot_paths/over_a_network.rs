//! A push to a server on a loopback port: by the library, by bare reqwest, by hyper alone.

use std::{hint::black_box, sync::Arc};

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, crypto::aws_lc_rs, pki_types::ServerName},
};
use url::Url;

use daraja::Operation;

use crate::{
    Subject,
    sample::{BEARER, JSON, PUSH_PATH, Sample, USER_AGENT, bare_reqwest, client, now, runtime},
    server::roots,
};

/// A whole push: build, encode, send over a connection that is open already, read the answer.
pub(crate) fn push(base_url: &str) -> Subject {
    let (runtime, sample, client) = (runtime(), Sample::new(), client(base_url));
    runtime.block_on(client.warm_up()).expect("the server answers");
    Box::new(move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                black_box(client.send(&sample.push()).await.expect("the server accepts"));
            }
        });
    })
}

/// The same bytes, encoded before, to a URL parsed before, by reqwest alone; the answer is not looked at.
pub(crate) fn by_reqwest(base_url: &str) -> Subject {
    let (runtime, client) = (runtime(), bare_reqwest());
    let (url, body) = (url(base_url), body());
    Box::new(move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                let mut request = reqwest::Request::new(Method::POST, url.clone());
                request.headers_mut().insert(header::AUTHORIZATION, BEARER);
                request.headers_mut().insert(header::USER_AGENT, USER_AGENT);
                request.headers_mut().insert(header::CONTENT_TYPE, JSON);
                *request.body_mut() = Some(body.clone().into());
                let response = client.execute(request).await.expect("the server answers");
                black_box(response.bytes().await.expect("the server answers"));
            }
        });
    })
}

/// The same by one connection of hyper: no pool, no URL, no timeouts. This is the limit.
pub(crate) fn by_hyper(base_url: &str) -> Subject {
    let (runtime, url, body) = (runtime(), url(base_url), body());
    let address = url.socket_addrs(|| None).expect("an address").remove(0);
    let mut connection = runtime.block_on(async {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("an option of every socket");
        if url.scheme() == "http" { open(stream).await } else { open(secured(stream).await).await }
    });
    let host = format!("{}:{}", address.ip(), address.port());
    Box::new(move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                let request = Request::post(PUSH_PATH)
                    .header(header::HOST, &host)
                    .header(header::AUTHORIZATION, BEARER)
                    .header(header::USER_AGENT, USER_AGENT)
                    .header(header::CONTENT_TYPE, JSON)
                    .body(Full::new(body.clone()));
                connection.ready().await.expect("it is kept open");
                let response = connection.send_request(request.expect("a request")).await.expect("the server answers");
                black_box(response.into_body().collect().await.expect("the server answers").to_bytes());
            }
        });
    })
}

fn url(base_url: &str) -> Url {
    format!("{base_url}{PUSH_PATH}").parse().expect("a URL")
}

fn body() -> Bytes {
    Bytes::from(serde_json::to_vec(&Sample::new().push().body(now())).expect("JSON"))
}

async fn secured(stream: TcpStream) -> impl AsyncRead + AsyncWrite + Unpin + Send + 'static {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|config| config.with_root_certificates(roots()).with_no_client_auth());
    let connector = TlsConnector::from(Arc::new(config.expect("TLS can be set up")));
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    connector.connect(name, stream).await.expect("the server is trusted")
}

async fn open(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> SendRequest<Full<Bytes>> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("the server is there");
    tokio::spawn(connection);
    sender
}
