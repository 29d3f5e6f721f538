//! The transport over reqwest: the only file that names it, so that its major versions reach nobody else.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

#[cfg(feature = "simulator")]
use ::reqwest::dns;
use ::reqwest::{ClientBuilder as Builder, Request, Response, redirect, retry};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Uri, header, uri::Authority};
use tokio::runtime::{Handle, Id};
use url::Url;

use super::{BoxFuture, MAX_ANSWER_BYTES, Transport, TransportError, TransportErrorKind};
use crate::{Environment, client::ClientBuilder, error::ConfigError, recent::Recent};

/// How many runtimes keep a pool. The oldest pool is dropped for a further one.
const POOLS: usize = 256;

/// [`Transport`] over pooled [`::reqwest`] clients that neither retry nor follow redirects.
///
/// A connection is driven by the runtime that opened it. While that runtime is not running, the connection stands still. So
/// each tokio runtime has its own pool.
///
/// [`Client::new`](crate::Client::new) makes one by itself; pass a function to [`ClientBuilder::reqwest`] to change it.
#[derive(Clone)]
pub struct ReqwestTransport {
    shared: Arc<Shared>,
}

struct Shared {
    make: Box<dyn Fn() -> Result<::reqwest::Client, ConfigError> + Send + Sync>,
    /// Made at the start, so that a wrong TLS setup is reported there. The first runtime takes it.
    first: Mutex<Option<::reqwest::Client>>,
    pools: Recent<Id, ::reqwest::Client, POOLS>,
    /// Parsing a URL costs a tenth of a whole push, writing its `Host` header a thirtieth.
    endpoints: Recent<Uri, (Url, HeaderValue)>,
}

impl ReqwestTransport {
    /// Takes a function that makes a reqwest builder: it is called once here, and once for each further runtime. Redirects,
    /// retries and the https rule are set last, whatever the builder says: a custom environment on a loopback address may
    /// use plain http, then without any proxy, as that could be elsewhere and read the token; everything else is https only.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if TLS cannot be set up, such as when the machine holds no CA certificates and the builder brings
    /// none.
    ///
    /// ```
    /// # if cfg!(not(any(feature = "rustls", feature = "webpki-roots"))) { return Ok(()) }
    /// use std::time::Duration;
    /// use daraja::{Client, Credentials, Environment, transport::reqwest::ReqwestTransport};
    ///
    /// let make = || reqwest::Client::builder().pool_max_idle_per_host(32);
    /// let transport = ReqwestTransport::new(make, &Environment::Sandbox, Duration::from_secs(5))?;
    /// let client = Client::builder(Environment::Sandbox, Credentials::new("key", "secret")).transport(transport).build()?;
    /// assert_eq!(client.environment(), &Environment::Sandbox);
    /// # Ok::<(), daraja::Error>(())
    /// ```
    pub fn new(
        make: impl Fn() -> Builder + Send + Sync + 'static,
        environment: &Environment,
        connect_timeout: Duration,
    ) -> Result<Self, ConfigError> {
        Self::with_rules(move || Ok(make()), environment, connect_timeout)
    }

    fn with_rules(
        make: impl Fn() -> Result<Builder, ConfigError> + Send + Sync + 'static,
        environment: &Environment,
        connect_timeout: Duration,
    ) -> Result<Self, ConfigError> {
        let is_plain = environment.is_plain_http();
        let make = move || {
            let builder = if is_plain { make()?.no_proxy() } else { make()? };
            Ok(builder.https_only(!is_plain))
        };
        Self::of(make, connect_timeout)
    }

    fn of(
        make: impl Fn() -> Result<Builder, ConfigError> + Send + Sync + 'static,
        connect_timeout: Duration,
    ) -> Result<Self, ConfigError> {
        let make = move || build(make()?, connect_timeout);
        let first = Mutex::new(Some(make()?));
        let shared = Shared { make: Box::new(make), first, pools: Recent::default(), endpoints: Recent::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The pool of this runtime.
    fn pool(&self) -> Result<::reqwest::Client, TransportError> {
        let Shared { make, first, pools, .. } = &*self.shared;
        let runtime = Handle::current().id();
        let made = || {
            let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
            Ok((runtime, first.map_or_else(make, Ok)?))
        };
        let pool = pools.get(|known| *known == runtime, made);
        pool.map_err(|error: ConfigError| TransportError::new(TransportErrorKind::Connect).with_source(error))
    }

    fn convert(&self, request: http::Request<Bytes>) -> Result<Request, TransportError> {
        let (parts, body) = request.into_parts();
        let (url, host) = self.shared.endpoints.get(|known| is_same(known, &parts.uri), || endpoint(&parts.uri))?;
        let mut converted = Request::new(parts.method, url);
        *converted.headers_mut() = parts.headers;
        converted.headers_mut().insert(header::HOST, host);
        if !body.is_empty() {
            *converted.body_mut() = Some(body.into());
        }
        Ok(converted)
    }
}

fn build(builder: Builder, connect_timeout: Duration) -> Result<::reqwest::Client, ConfigError> {
    #[cfg(all(feature = "rustls-no-provider", not(feature = "rustls")))]
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(no_provider());
    }
    builder
        .connect_timeout(connect_timeout)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .build()
        .map_err(|error| ConfigError::one("transport", tls_problem(&error)))
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

/// Shows no field: the default headers can hold a gateway's key.
impl fmt::Debug for ReqwestTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestTransport").finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// Takes a function that makes a reqwest builder: proxy, roots, DNS, addresses. It is called once for each
    /// [runtime](ReqwestTransport) that calls. The crate's own rules (no retries, no redirects, https only, the connect
    /// timeout) are set last.
    ///
    /// ```
    /// # if cfg!(not(any(feature = "rustls", feature = "webpki-roots"))) { return Ok(()) }
    /// use daraja::{Client, Credentials, Environment};
    ///
    /// let http = || reqwest::Client::builder().pool_max_idle_per_host(32);
    /// let client = Client::builder(Environment::Sandbox, Credentials::new("key", "secret")).reqwest(http).build()?;
    /// # Ok::<(), daraja::Error>(())
    /// ```
    pub fn reqwest(self, make: impl Fn() -> Builder + Send + Sync + 'static) -> Self {
        self.connector(move |environment, connect_timeout| {
            Ok(Box::new(ReqwestTransport::new(make, environment, connect_timeout)?))
        })
    }
}

/// Makes the transport of a client that was given none.
pub(crate) fn connect(environment: &Environment, connect_timeout: Duration) -> Result<Box<dyn Transport>, ConfigError> {
    let make = |roots: Roots| ReqwestTransport::with_rules(move || roots.builder(), environment, connect_timeout);
    Ok(Box::new(if environment.is_plain_http() { make(Roots::None)? } else { Roots::choose(make)? }))
}

/// Which root certificates are trusted.
#[derive(Clone, Copy)]
enum Roots {
    /// None: for plain http. Reading those of the system is the slowest part of the start.
    None,
    /// Those of the operating system.
    System,
    /// Mozilla's, for a machine that holds none.
    #[cfg(feature = "webpki-roots")]
    CompiledIn,
}

impl Roots {
    /// The system's, if it has any: a feature that another crate enables must not change what is trusted.
    fn choose(make: impl Fn(Self) -> Result<ReqwestTransport, ConfigError>) -> Result<ReqwestTransport, ConfigError> {
        let transport = make(Self::System);
        #[cfg(feature = "webpki-roots")]
        return transport.or_else(|_| make(Self::CompiledIn));
        #[cfg(not(feature = "webpki-roots"))]
        transport
    }

    #[cfg_attr(not(feature = "webpki-roots"), expect(clippy::unnecessary_wraps, reason = "roots can be wrong"))]
    fn builder(self) -> Result<Builder, ConfigError> {
        let builder = ::reqwest::Client::builder().tcp_nodelay(true);
        match self {
            #[cfg(any(feature = "rustls", feature = "rustls-no-provider"))]
            Self::None => Ok(builder.tls_certs_only([])),
            // There is no TLS that could read them.
            #[cfg(not(any(feature = "rustls", feature = "rustls-no-provider")))]
            Self::None => Ok(builder),
            Self::System => Ok(builder),
            #[cfg(feature = "webpki-roots")]
            Self::CompiledIn => Ok(builder.tls_certs_only(compiled_in_roots()?)),
        }
    }
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
            let response = self.pool()?.execute(self.convert(request)?).await.map_err(classify)?;
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

/// Delivers the simulator's callbacks to URLs of a scheme: no proxy is between, one try, nothing is followed, and each
/// on a connection of its own.
/// Names that resolve to this machine are called only if `to_this_machine` is set.
#[cfg(feature = "simulator")]
pub(crate) fn for_deliveries(
    scheme: &str,
    connect_timeout: Duration,
    to_this_machine: bool,
) -> Result<ReqwestTransport, ConfigError> {
    let make = |roots: Roots| {
        let make = move || {
            // A delivery is sent once: one on a connection that its receiver is just closing would be lost.
            let builder = roots.builder()?.no_proxy().pool_max_idle_per_host(0);
            Ok(if to_this_machine { builder } else { builder.dns_resolver(Arc::new(Elsewhere)) })
        };
        ReqwestTransport::of(make, connect_timeout)
    };
    if scheme == "http" { make(Roots::None) } else { Roots::choose(make) }
}

/// Whether an address belongs to this machine: only then can it be bound to.
#[cfg(feature = "simulator")]
pub(crate) fn is_here(address: std::net::IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || address.is_unspecified() || std::net::UdpSocket::bind((address, 0)).is_ok()
}

/// Finds the addresses of a name, without those of this machine.
#[cfg(feature = "simulator")]
struct Elsewhere;

#[cfg(feature = "simulator")]
impl dns::Resolve for Elsewhere {
    fn resolve(&self, name: dns::Name) -> dns::Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let elsewhere: Vec<_> = found.filter(|address| !is_here(address.ip())).collect();
            Ok(Box::new(elsewhere.into_iter()) as dns::Addrs)
        })
    }
}

#[cfg(all(test, feature = "simulator"))]
mod tests {
    use super::*;
    use crate::simulator::Simulator;

    #[tokio::test]
    async fn a_transport_to_safaricom_sends_nothing_over_plain_http() {
        let served = Simulator::new().serve("127.0.0.1:0").await.unwrap();
        let make = || Roots::System.builder().unwrap();
        let transport = ReqwestTransport::new(make, &Environment::Sandbox, Duration::from_secs(5)).unwrap();
        let request = http::Request::get(served.base_url()).body(Bytes::new()).unwrap();
        let error = transport.call(request).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Connect);
    }

    #[tokio::test]
    async fn a_loopback_address_is_called_without_a_proxy() {
        let served = Simulator::new().serve("127.0.0.1:0").await.unwrap();
        let closed = || ::reqwest::Proxy::all("http://127.0.0.1:9").unwrap();
        let builder = served.client_builder().reqwest(move || ::reqwest::Client::builder().proxy(closed()));
        let client = builder.build().unwrap();
        client.warm_up().await.unwrap();
    }
}
