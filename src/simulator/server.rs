//! The simulator on a port, for programs in any language.

use std::{
    collections::HashMap,
    error::Error as StdError,
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts, uri::Authority};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use url::{Host, Url};

use super::{
    CONSUMER_KEY, CONSUMER_SECRET, Clients, Delivered, Delivery, Mail, PASSKEY, PAYBILL, Reach, Settings, Simulator,
    line::EndingKind,
};
use crate::{
    Environment, ResultUrls,
    client::{Client, ClientBuilder},
    config::is_loopback,
    transport::{Transport, reqwest},
};

/// A request larger than this is not read: Daraja's have less than 1 KiB.
const MAX_REQUEST_BYTES: usize = 64 * 1024;

const NOT_LOCAL: &str =
    "the simulator accepts requests of programs on its own machine only, and Host or Origin names another machine";

/// How long a callback's receiver may take. Daraja waits for about as long, and does not try again.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(8);

impl Simulator {
    /// Serves on an address, `127.0.0.1:0` for a loopback port of the system's choosing, and posts callbacks to the URLs
    /// that the pushes name. Both end when the answer is dropped.
    ///
    /// Call it inside a tokio runtime with I/O; a paused clock and real sockets do not go together.
    ///
    /// It accepts requests of programs on this machine. A request whose `Host` or `Origin` names another machine gets 403,
    /// because a web page may have sent it. Containers may use the names `host.docker.internal` and `host.containers.internal`,
    /// and programs whose connections are redirected here may keep `sandbox.safaricom.co.ke`.
    ///
    /// # Errors
    ///
    /// If the address cannot be listened on, or if other machines can reach it and
    /// [`allow_remote_clients`](super::SimulatorBuilder::allow_remote_clients) is not set.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use daraja::simulator::Simulator;
    /// let simulator = Simulator::new();
    /// let served = simulator.serve("127.0.0.1:0").await?;
    /// assert!(served.base_url().starts_with("http://127.0.0.1:"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn serve(&self, address: impl tokio::net::ToSocketAddrs) -> io::Result<Served> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        if self.shared.settings.clients == Clients::Local && !address.ip().to_canonical().is_loopback() {
            let problem = "other machines can reach this address, and could make the simulator call services of this machine: use \
                127.0.0.1, or see `SimulatorBuilder::allow_remote_clients`";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(self.clone(), listener));
        tasks.spawn(post_callbacks(self.clone()));
        Ok(Served { simulator: self.clone(), address, tasks })
    }
}

/// A simulator that is being served. Dropping it closes the port.
pub struct Served {
    simulator: Simulator,
    address: SocketAddr,
    tasks: JoinSet<()>,
}

impl Served {
    /// The base URL, such as `http://127.0.0.1:8090`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The environment that a client calls it by.
    ///
    /// # Panics
    ///
    /// If it is served on an address that is not loopback: plain http is not for such.
    #[must_use]
    pub fn environment(&self) -> Environment {
        Environment::custom(&self.base_url()).expect("plain http is for loopback addresses only")
    }

    /// A client that calls it over its port.
    ///
    /// # Panics
    ///
    /// If it is served on an address that is not loopback, or if TLS cannot be set up.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_builder().build().expect("TLS can be set up")
    }

    /// The same client, with settings still to be changed.
    ///
    /// # Panics
    ///
    /// If it is served on an address that is not loopback.
    pub fn client_builder(&self) -> ClientBuilder {
        Client::builder(self.environment(), self.simulator.credentials())
            .query_spacing(self.simulator.spacing_of_clients())
    }

    /// The `MPESA_*` variables by which a program in any language calls it, as the PayBill that it knows. Where callbacks
    /// go is the program's own affair: `MPESA_CALLBACK_URL` is not among them.
    ///
    /// They hold no secret: the credentials are the same for every simulator and open nothing else.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::collections::HashMap;
    /// use daraja::{Settings, simulator::Simulator};
    ///
    /// let served = Simulator::new().serve("127.0.0.1:0").await?;
    /// let variables = HashMap::from(served.variables());
    /// let settings = Settings::from_lookup(|name| variables.get(name).cloned())?;
    /// assert_eq!(settings.environment, served.environment());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn variables(&self) -> [(&'static str, String); 5] {
        [
            ("MPESA_BASE_URL", self.base_url()),
            ("MPESA_CONSUMER_KEY", CONSUMER_KEY.to_owned()),
            ("MPESA_CONSUMER_SECRET", CONSUMER_SECRET.to_owned()),
            ("MPESA_SHORTCODE", PAYBILL.to_owned()),
            ("MPESA_PASSKEY", PASSKEY.to_owned()),
        ]
    }

    /// The `MPESA_B2C_*` variables that go with them, for payouts whose results go to these URLs: on loopback, unless the
    /// simulator may [deliver anywhere](super::SimulatorBuilder::deliver_anywhere).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::collections::HashMap;
    /// use daraja::{Settings, simulator::Simulator};
    ///
    /// let simulator = Simulator::new();
    /// let served = simulator.serve("127.0.0.1:0").await?;
    /// let mut variables = HashMap::from(served.variables());
    /// variables.extend(served.payout_variables(&simulator.result_urls()));
    /// let settings = Settings::from_lookup(|name| variables.get(name).cloned())?;
    /// assert_eq!(settings.payouts.required()?.initiator.name(), simulator.initiator().name());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Never, as the certificate is its own.
    #[must_use]
    pub fn payout_variables(&self, urls: &ResultUrls) -> [(&'static str, String); 5] {
        let initiator = self.simulator.initiator();
        [
            ("MPESA_B2C_SHORTCODE", self.simulator.b2c_short_code().to_string()),
            ("MPESA_B2C_INITIATOR_NAME", initiator.name().to_owned()),
            ("MPESA_B2C_SECURITY_CREDENTIAL", initiator.credential().to_owned()),
            ("MPESA_B2C_RESULT_URL", urls.result().to_string()),
            ("MPESA_B2C_TIMEOUT_URL", urls.timeout().to_string()),
        ]
    }

    /// Serves until something goes wrong, which it does not: for a program that does nothing else.
    pub async fn forever(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn accept(simulator: Simulator, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(connections.spawn(serve_connection(simulator.clone(), stream))),
            // Out of file descriptors, most likely: give some time to be closed.
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_connection(simulator: Simulator, stream: TcpStream) {
    drop(stream.set_nodelay(true));
    let service = service_fn(|request| answer(simulator.clone(), request));
    // An error here is a connection that the other side, or a fault, has cut.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

/// An error closes the connection without an answer.
async fn answer(simulator: Simulator, request: Request<Incoming>) -> Result<Response<CutBody>, Cut> {
    let (parts, body) = request.into_parts();
    if simulator.shared.settings.clients == Clients::Local && !is_local_program(&parts) {
        let mut refusal = Response::new(CutBody::whole(Bytes::from_static(NOT_LOCAL.as_bytes())));
        *refusal.status_mut() = StatusCode::FORBIDDEN;
        return Ok(refusal);
    }
    let request = Request::from_parts(parts, read(body).await?);
    let ending = simulator.exchange(&request);
    if !ending.after.is_zero() {
        sleep(ending.after).await;
    }
    match ending.kind {
        EndingKind::Answer(response) => Ok(response.map(CutBody::whole)),
        EndingKind::CutAnswer(response) => Ok(response.map(|body| CutBody::half(&body))),
        EndingKind::Reset => Err(Cut),
    }
}

/// A browser names the page's host in these headers. DNS rebinding can make that name resolve to this machine.
fn is_local_program(parts: &Parts) -> bool {
    let is_own = |url: &str| Url::parse(url).is_ok_and(|url| is_loopback(&url) || is_known_name(&url));
    let texts = |name| parts.headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
    let authority = parts.uri.authority().map(Authority::as_str);
    texts(header::HOST).chain(authority).all(|host| is_own(&format!("http://{host}")))
        && texts(header::ORIGIN).all(is_own)
        && texts(HeaderName::from_static("sec-fetch-site")).all(|site| site != "cross-site")
}

/// Containers use the first two names for the machine that they run on. Programs with a fixed base URL use the third, when
/// their connections are redirected to the simulator. No web page of an attacker can have one of these names.
fn is_known_name(url: &Url) -> bool {
    matches!(url.host_str(), Some("host.docker.internal" | "host.containers.internal" | "sandbox.safaricom.co.ke"))
}

async fn read(mut body: Incoming) -> Result<Bytes, Cut> {
    let mut read = bytes::BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|_| Cut)?;
        if let Some(data) = frame.data_ref() {
            read.extend_from_slice(data);
        }
        if read.len() > MAX_REQUEST_BYTES {
            return Err(Cut);
        }
    }
    Ok(read.freeze())
}

/// The connection is cut, by a fault or because the request cannot be read.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is cut")
    }
}

impl StdError for Cut {}

/// A body that declares its whole length and may end in its middle.
struct CutBody {
    rest: Bytes,
    declared: u64,
    cut: Option<Cut>,
}

impl CutBody {
    fn whole(body: Bytes) -> Self {
        Self { declared: body.len() as u64, rest: body, cut: None }
    }

    fn half(body: &Bytes) -> Self {
        let half = body.len() / 2;
        Self { declared: body.len() as u64, rest: body.slice(..half), cut: Some(Cut) }
    }
}

impl Body for CutBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        Poll::Ready(self.cut.take().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.cut.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(if self.cut.is_some() { self.declared } else { self.rest.len() as u64 })
    }
}

/// Posts every callback once, beside each other, whatever becomes of it.
async fn post_callbacks(simulator: Simulator) {
    // One for each scheme, made for its first delivery: reading the system's certificates takes longer than serving a test.
    let mut transports: HashMap<&str, Arc<dyn Transport>> = HashMap::new();
    let mut posts = JoinSet::new();
    loop {
        let delivery = tokio::select! {
            callback = simulator.next_delivery(Mail::Callback) => callback,
            result = simulator.next_delivery(Mail::Result) => result,
        };
        while posts.try_join_next().is_some() {}
        let is_plain = Url::parse(&delivery.url).is_ok_and(|url| url.scheme() == "http");
        let scheme = if is_plain { "http" } else { "https" };
        let transport = match transports.get(scheme) {
            Some(transport) => transport.clone(),
            None => match reqwest::for_deliveries(
                scheme,
                Duration::from_secs(2),
                simulator.shared.settings.clients == Clients::Local,
            ) {
                Ok(made) => transports.entry(scheme).or_insert_with(|| Arc::new(made)).clone(),
                Err(error) => return tracing::error!(%error, "callbacks cannot be delivered"),
            },
        };
        posts.spawn(post(transport, simulator.clone(), delivery));
    }
}

async fn post(transport: Arc<dyn Transport>, simulator: Simulator, delivery: Delivery) {
    let started = Instant::now();
    let status = answer_to(&*transport, &simulator.shared.settings, &delivery).await;
    let delivered = Delivered { url: delivery.url, status, took: started.elapsed() };
    simulator.lock().delivered.push(delivered);
}

async fn answer_to(transport: &dyn Transport, settings: &Settings, delivery: &Delivery) -> Option<u16> {
    let url = Url::parse(&delivery.url).ok();
    if settings.reach == Reach::Loopback && !url.as_ref().is_some_and(is_loopback) {
        tracing::warn!("callback not delivered: its URL is not a loopback address");
        return None;
    }
    if settings.clients == Clients::Remote && url.as_ref().is_none_or(is_here) {
        tracing::warn!("callback not delivered: its URL is on this machine, and remote clients are allowed");
        return None;
    }
    let Ok(request) = request(delivery) else {
        tracing::warn!("callback not delivered: its URL cannot be called");
        return None;
    };
    match timeout(DELIVERY_TIMEOUT, transport.call(request)).await {
        Ok(Ok(response)) => {
            let status = response.status().as_u16();
            tracing::info!(status, "callback delivered");
            return Some(status);
        }
        Ok(Err(error)) => tracing::warn!(%error, "callback lost"),
        Err(_) => tracing::warn!("callback not answered in time"),
    }
    None
}

/// Whether a URL's host is an address of this machine. A name is resolved and checked when it is called.
fn is_here(url: &Url) -> bool {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address),
        Some(Host::Ipv6(address)) => IpAddr::from(address),
        _ => return is_loopback(url),
    };
    reqwest::is_here(address)
}

fn request(delivery: &Delivery) -> http::Result<Request<Bytes>> {
    Request::builder()
        .method(Method::POST)
        .uri(&delivery.url)
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"))
        .header("Businessshortcode", &delivery.short_code)
        .body(delivery.body.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::Settings;

    #[tokio::test]
    async fn settings_read_from_its_variables_are_the_simulators_own() {
        let simulator = Simulator::new();
        let served = simulator.serve("127.0.0.1:0").await.unwrap();
        let variables = HashMap::from(served.variables());
        let settings = Settings::from_lookup(|name| variables.get(name).cloned()).unwrap();
        assert_eq!(settings.environment, served.environment());
        assert_eq!(settings.credentials, simulator.credentials());
        assert_eq!(settings.merchant.required().unwrap(), simulator.merchant());
    }
}
