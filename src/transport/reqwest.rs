//! The transport over reqwest: the only file that names it, so that its major versions reach nobody else.

use std::{fmt, sync::Arc, time::Duration};

use ::reqwest::{ClientBuilder as Builder, Request, Response, redirect, retry};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Uri, header, uri::Authority};
use url::Url;

use super::{BoxFuture, MAX_ANSWER_BYTES, Transport, TransportError, TransportErrorKind};
use crate::{Environment, client::ClientBuilder, error::ConfigError, recent::Recent};

/// [`Transport`] over a pooled [`::reqwest`] client that neither retries nor follows redirects.
///
/// [`Client::new`](crate::Client::new) makes one by itself; pass a builder to [`ClientBuilder::reqwest`] to change it.
#[derive(Clone)]
pub struct ReqwestTransport {
    client: ::reqwest::Client,
    /// Parsing a URL costs a tenth of a whole push, writing its `Host` header a thirtieth.
    endpoints: Arc<Recent<Uri, (Url, HeaderValue)>>,
}

impl ReqwestTransport {
    /// Builds the client. Redirects, retries and the https rule are set last, whatever the builder says: a custom
    /// environment on a loopback address may use plain http, then without any proxy, as that could be elsewhere and read
    /// the token; everything else is https only.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if TLS cannot be set up, such as when the machine holds no CA certificates (enable the feature
    /// `webpki-roots`).
    ///
    /// ```
    /// # if cfg!(not(any(feature = "rustls", feature = "webpki-roots"))) { return Ok(()) }
    /// use std::time::Duration;
    /// use daraja::{Client, Credentials, Environment, transport::reqwest::ReqwestTransport};
    ///
    /// let builder = reqwest::Client::builder().pool_max_idle_per_host(32);
    /// let transport = ReqwestTransport::new(builder, &Environment::Sandbox, Duration::from_secs(5))?;
    /// let client = Client::builder(Environment::Sandbox, Credentials::new("key", "secret")).transport(transport).build()?;
    /// assert_eq!(client.environment(), &Environment::Sandbox);
    /// # Ok::<(), daraja::Error>(())
    /// ```
    pub fn new(builder: Builder, environment: &Environment, connect_timeout: Duration) -> Result<Self, ConfigError> {
        let plain = environment.is_plain_http();
        let builder = if plain { builder.no_proxy() } else { builder };
        Self::build(builder.https_only(!plain), connect_timeout)
    }

    fn build(builder: Builder, connect_timeout: Duration) -> Result<Self, ConfigError> {
        #[cfg(all(feature = "rustls-no-provider", not(feature = "rustls")))]
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(no_provider());
        }
        let client = builder
            .connect_timeout(connect_timeout)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .build()
            .map_err(|error| ConfigError::one("transport", tls_problem(&error)))?;
        Ok(Self { client, endpoints: Arc::default() })
    }

    fn convert(&self, request: http::Request<Bytes>) -> Result<Request, TransportError> {
        let (parts, body) = request.into_parts();
        let (url, host) = self.endpoints.get(|known| is_same(known, &parts.uri), || endpoint(&parts.uri))?;
        let mut converted = Request::new(parts.method, url);
        *converted.headers_mut() = parts.headers;
        converted.headers_mut().insert(header::HOST, host);
        if !body.is_empty() {
            *converted.body_mut() = Some(body.into());
        }
        Ok(converted)
    }
}

#[cfg(all(any(feature = "rustls-no-provider", feature = "redis"), not(feature = "rustls")))]
pub(crate) fn no_provider() -> ConfigError {
    let problem =
        "has no crypto provider: install one with `CryptoProvider::install_default`, or enable the feature `rustls`";
    ConfigError::one("TLS", problem)
}

/// What is kept of a URI that is called: the URL, and the `Host` header that it makes.
fn endpoint(uri: &Uri) -> Result<(Uri, (Url, HeaderValue)), TransportError> {
    let unusable = || TransportError::new(TransportErrorKind::Connect);
    let url = Url::parse(&uri.to_string()).map_err(|error| unusable().with_source(error))?;
    let name = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
    let host = HeaderValue::from_str(&host).map_err(|error| unusable().with_source(error))?;
    Ok((uri.clone(), (url, host)))
}

impl fmt::Debug for ReqwestTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestTransport").field("client", &self.client).finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// Takes a reqwest builder: proxy, roots, DNS, addresses. The crate's own rules (no retries, no redirects, https
    /// only, the connect timeout) are set on it last.
    ///
    /// ```
    /// # if cfg!(not(any(feature = "rustls", feature = "webpki-roots"))) { return Ok(()) }
    /// use daraja::{Client, Credentials, Environment};
    ///
    /// let http = reqwest::Client::builder().pool_max_idle_per_host(32);
    /// let client = Client::builder(Environment::Sandbox, Credentials::new("key", "secret")).reqwest(http).build()?;
    /// # Ok::<(), daraja::Error>(())
    /// ```
    pub fn reqwest(self, builder: Builder) -> Self {
        self.connector(move |environment, connect_timeout| {
            Ok(Box::new(ReqwestTransport::new(builder, environment, connect_timeout)?))
        })
    }
}

/// Makes the transport of a client that was given none.
pub(crate) fn connect(environment: &Environment, connect_timeout: Duration) -> Result<Box<dyn Transport>, ConfigError> {
    Ok(Box::new(ReqwestTransport::new(default_builder()?, environment, connect_timeout)?))
}

#[cfg_attr(not(feature = "webpki-roots"), expect(clippy::unnecessary_wraps, reason = "roots can be wrong"))]
fn default_builder() -> Result<Builder, ConfigError> {
    let builder = ::reqwest::Client::builder().tcp_nodelay(true);
    #[cfg(feature = "webpki-roots")]
    let builder = builder.tls_certs_only(compiled_in_roots()?);
    Ok(builder)
}

#[cfg(feature = "webpki-roots")]
fn compiled_in_roots() -> Result<Vec<::reqwest::Certificate>, ConfigError> {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .map(|root| ::reqwest::Certificate::from_der(root))
        .collect::<Result<_, _>>()
        .map_err(|error| ConfigError::one("transport", tls_problem(&error)))
}

fn tls_problem(error: &::reqwest::Error) -> String {
    use std::error::Error as _;
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    format!("could not be set up: {cause} (images without CA files need the feature webpki-roots)")
}

impl Transport for ReqwestTransport {
    fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let response = self.client.execute(self.convert(request)?).await.map_err(classify)?;
            read(response).await
        })
    }
}

/// Stricter than `==`, which ignores the case of the host letter by letter and takes twice as long.
fn is_same(one: &Uri, other: &Uri) -> bool {
    one.path() == other.path()
        && one.query() == other.query()
        && one.authority().map(Authority::as_str) == other.authority().map(Authority::as_str)
        && one.scheme() == other.scheme()
}

async fn read(mut response: Response) -> Result<http::Response<Bytes>, TransportError> {
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let body = read_body(response).await?;
    let mut read = http::Response::new(body);
    *read.status_mut() = status;
    *read.headers_mut() = headers;
    Ok(read)
}

async fn read_body(mut response: Response) -> Result<Bytes, TransportError> {
    let too_large = || TransportError::new(TransportErrorKind::TooLarge);
    if response.content_length().is_some_and(|length| length > MAX_ANSWER_BYTES as u64) {
        return Err(too_large());
    }
    let first = response.chunk().await.map_err(classify)?.unwrap_or_default();
    let Some(mut next) = response.chunk().await.map_err(classify)? else {
        return if first.len() > MAX_ANSWER_BYTES { Err(too_large()) } else { Ok(first) };
    };
    let mut whole = BytesMut::from(first);
    loop {
        if whole.len().saturating_add(next.len()) > MAX_ANSWER_BYTES {
            return Err(too_large());
        }
        whole.extend_from_slice(&next);
        match response.chunk().await.map_err(classify)? {
            Some(chunk) => next = chunk,
            None => return Ok(whole.freeze()),
        }
    }
}

/// A stalled TLS handshake is both a failed connect and a timeout: nothing was sent, so connect is asked first. Whatever
/// is neither may have been sent, a reset on a reused connection included.
fn classify(error: ::reqwest::Error) -> TransportError {
    let kind = if error.is_connect() || error.is_builder() {
        TransportErrorKind::Connect
    } else if error.is_timeout() {
        TransportErrorKind::Timeout
    } else {
        TransportErrorKind::Interrupted
    };
    TransportError::new(kind).with_source(error.without_url())
}

/// Delivers the simulator's callbacks: plain http is allowed, no proxy is between, one try, nothing is followed.
#[cfg(feature = "simulator")]
pub(crate) fn for_deliveries(connect_timeout: Duration) -> Result<ReqwestTransport, ConfigError> {
    ReqwestTransport::build(default_builder()?.no_proxy(), connect_timeout)
}

#[cfg(all(test, feature = "simulator"))]
mod tests {
    use super::*;
    use crate::simulator::Simulator;

    #[tokio::test]
    async fn a_transport_to_safaricom_sends_nothing_over_plain_http() {
        let served = Simulator::new().serve("127.0.0.1:0").await.unwrap();
        let builder = default_builder().unwrap();
        let transport = ReqwestTransport::new(builder, &Environment::Sandbox, Duration::from_secs(5)).unwrap();
        let request = http::Request::get(served.base_url()).body(Bytes::new()).unwrap();
        let error = transport.call(request).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Connect);
    }

    #[tokio::test]
    async fn a_loopback_address_is_called_without_a_proxy() {
        let served = Simulator::new().serve("127.0.0.1:0").await.unwrap();
        let nobody = ::reqwest::Proxy::all("http://127.0.0.1:9").unwrap();
        let client = served.client_builder().reqwest(::reqwest::Client::builder().proxy(nobody)).build().unwrap();
        client.warm_up().await.unwrap();
    }
}
