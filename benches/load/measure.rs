//! Clocks, medians, and the clients that are compared.

use std::{
    io,
    time::{Duration, Instant},
};

use bytes::Bytes;
use daraja::{Client, Operation};
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio_rustls::rustls::{ClientConfig, crypto::aws_lc_rs};
use url::Url;

use crate::{
    sample::{BEARER, JSON, PUSH_PATH, Sample, USER_AGENT, bare_reqwest, client, now},
    server::roots,
};

/// One of the clients that are compared.
pub(crate) enum Side {
    Ours(Client, Box<Sample>),
    Reqwest(reqwest::Client, Url, Bytes),
    Hyper(Box<Pool<HttpsConnector<HttpConnector>, Full<Bytes>>>, Url, Bytes),
}

impl Side {
    pub(crate) fn ours(base_url: &str) -> Self {
        Self::Ours(client(base_url), Box::new(Sample::new()))
    }

    pub(crate) fn reqwest(base_url: &str) -> Self {
        Self::Reqwest(bare_reqwest(), url(base_url), body())
    }

    pub(crate) fn hyper(base_url: &str) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let config = ClientConfig::builder_with_provider(std::sync::Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map(|config| config.with_root_certificates(roots()).with_no_client_auth());
        let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config.expect("TLS can be set up"));
        let connector = builder.https_or_http().enable_http1().wrap_connector(tcp);
        Self::Hyper(Box::new(Pool::builder(TokioExecutor::new()).build(connector)), url(base_url), body())
    }

    /// One push, from whatever the application holds to the answer. Only ours reads the answer.
    pub(crate) async fn push(&self) {
        match self {
            Self::Ours(client, sample) => {
                client.send(&sample.push()).await.expect("the server accepts");
            }
            Self::Reqwest(client, url, body) => {
                let mut request = reqwest::Request::new(Method::POST, url.clone());
                request.headers_mut().insert(header::AUTHORIZATION, BEARER);
                request.headers_mut().insert(header::USER_AGENT, USER_AGENT);
                request.headers_mut().insert(header::CONTENT_TYPE, JSON);
                *request.body_mut() = Some(body.clone().into());
                let response = client.execute(request).await.expect("the server answers");
                response.bytes().await.expect("the server answers");
            }
            Self::Hyper(pool, url, body) => {
                let request = Request::post(url.as_str())
                    .header(header::AUTHORIZATION, BEARER)
                    .header(header::USER_AGENT, USER_AGENT)
                    .header(header::CONTENT_TYPE, JSON)
                    .body(Full::new(body.clone()));
                let response = pool.request(request.expect("a request")).await.expect("the server answers");
                response.into_body().collect().await.expect("the server answers");
            }
        }
    }
}

fn url(base_url: &str) -> Url {
    format!("{base_url}{PUSH_PATH}").parse().expect("a URL")
}

fn body() -> Bytes {
    Bytes::from(serde_json::to_vec(&Sample::new().push().body(now())).expect("JSON"))
}

/// Connections, resumed ones among them, and tokens that a server has seen.
pub(crate) async fn counts(base_url: &str) -> [usize; 3] {
    let answer = bare_reqwest().get(format!("{base_url}/counts")).send().await.expect("the server answers");
    serde_json::from_slice(&answer.bytes().await.expect("the server answers")).expect("three numbers")
}

/// The processor time of this process so far, on all of its threads.
pub(crate) fn processor_time() -> io::Result<Duration> {
    std::thread::yield_now();
    let mut nanoseconds = 0_u64;
    for task in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let used: u64 = text.split(' ').next().unwrap_or_default().parse().map_err(io::Error::other)?;
        nanoseconds = nanoseconds.saturating_add(used);
    }
    Ok(Duration::from_nanos(nanoseconds))
}

pub(crate) fn seconds(work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_secs_f64()
}

pub(crate) fn processor_seconds(work: impl FnOnce()) -> io::Result<f64> {
    let before = processor_time()?;
    work();
    Ok(processor_time()?.saturating_sub(before).as_secs_f64())
}

/// The value that this share of all is not above.
pub(crate) fn quantile(values: &mut [f64], hundredths: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = values.len().saturating_sub(1).saturating_mul(hundredths) / 100;
    values.get(place).copied().unwrap_or(f64::NAN)
}

pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(&mut values.into_iter().collect::<Vec<_>>(), 50)
}

/// The median of what one side took beside the other, round by round.
pub(crate) fn ratio(ours: &[f64], others: &[f64]) -> f64 {
    median(ours.iter().zip(others).map(|(ours, other)| ours / other))
}
