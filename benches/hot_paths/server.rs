//! The other side, in a process of its own: it answers at once, over plain TCP or TLS, and counts.

use std::{
    io::{self, BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        DEFAULT_VERSIONS, HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        version::TLS12,
    },
};

use crate::sample::{ACCEPTED, TOKEN, runtime};

/// A throw-away certificate for 127.0.0.1. It is no secret, and neither is its key: nothing but these benches trusts it.
pub(crate) const CERTIFICATE: &[u8] = include_bytes!("no_secret_certificate.pem");
const KEY: &[u8] = include_bytes!("no_secret_key.pem");

/// The server's process, so that its work is not counted as ours. It ends with this value.
pub(crate) struct Server {
    process: Child,
    pub(crate) base_url: String,
}

impl Server {
    /// `scheme` is http, https, or https12 for TLS 1.2; each way over the network takes half of `latency`.
    pub(crate) fn start(scheme: &str, latency: Duration) -> io::Result<Self> {
        let milliseconds = latency.as_millis().to_string();
        let mut command = Command::new(std::env::current_exe()?);
        let process = command.args(["serve", scheme, &milliseconds]).stdout(Stdio::piped()).spawn()?;
        let mut server = Self { process, base_url: String::new() };
        let announced = server.process.stdout.take().expect("it is piped");
        BufReader::new(announced).read_line(&mut server.base_url)?;
        server.base_url.truncate(server.base_url.trim_end().len());
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// What the server has seen; `GET /counts` answers it as a JSON array.
#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    resumed: AtomicUsize,
    tokens: AtomicUsize,
}

/// Serves until it is ended. One thread serves all connections, so that the scheduler cannot treat the two sides of a
/// comparison differently.
pub(crate) fn serve(scheme: &str, latency: &str) -> io::Result<()> {
    let latency = Duration::from_millis(latency.parse().map_err(io::Error::other)?);
    runtime().block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let mut address = listener.local_addr()?;
        if !latency.is_zero() {
            let far = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let behind = std::mem::replace(&mut address, far.local_addr()?);
            tokio::spawn(delay(far, behind, latency));
        }
        let (scheme, tls) = match scheme {
            "https" => ("https", Some(acceptor(DEFAULT_VERSIONS))),
            "https12" => ("https", Some(acceptor(&[&TLS12]))),
            _ => ("http", None),
        };
        println!("{scheme}://{address}");
        let counts = Arc::new(Counts::default());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(take(stream, tls.clone(), counts.clone()));
        }
    })
}

async fn take(stream: TcpStream, tls: Option<TlsAcceptor>, counts: Arc<Counts>) -> io::Result<()> {
    counts.connections.fetch_add(1, Ordering::Relaxed);
    let Some(tls) = tls else { return converse(stream, &counts).await };
    let stream = tls.accept(stream).await?;
    let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
    counts.resumed.fetch_add(usize::from(resumed), Ordering::Relaxed);
    converse(stream, &counts).await
}

async fn converse(mut connection: impl AsyncRead + AsyncWrite + Unpin, counts: &Counts) -> io::Result<()> {
    let (token, accepted) = (http_answer(TOKEN), http_answer(ACCEPTED));
    let mut request = Vec::with_capacity(8192);
    while connection.read_buf(&mut request).await? > 0 {
        if !is_whole(&request) {
            continue;
        }
        if request.starts_with(b"POST") {
            connection.write_all(&accepted).await?;
        } else if request.starts_with(b"GET /counts") {
            connection.write_all(&http_answer(&counts.told())).await?;
        } else {
            counts.tokens.fetch_add(1, Ordering::Relaxed);
            connection.write_all(&token).await?;
        }
        connection.flush().await?;
        request.clear();
    }
    Ok(())
}

impl Counts {
    /// Without the connection that asks.
    fn told(&self) -> String {
        let counted = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        let connections = counted(&self.connections).saturating_sub(1);
        format!("[{connections},{},{}]", counted(&self.resumed), counted(&self.tokens))
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = std::str::from_utf8(request).unwrap_or_default().to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    body.len() >= length.and_then(|length| length.trim().parse().ok()).unwrap_or(0)
}

fn http_answer(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

fn acceptor(versions: &[&'static SupportedProtocolVersion]) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![certificate], key));
    TlsAcceptor::from(Arc::new(config.expect("the key fits the certificate")))
}

/// What a client that trusts this server, and nobody else, is built with.
pub(crate) fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).expect("a certificate");
    roots.add(certificate).expect("it can be trusted");
    roots
}

/// Lets every connection through, later: opening it takes a round trip, and so does every question.
async fn delay(listener: TcpListener, behind: SocketAddr, latency: Duration) -> io::Result<()> {
    let half = latency.checked_div(2).unwrap_or_default();
    loop {
        let (near, _) = listener.accept().await?;
        tokio::spawn(async move {
            near.set_nodelay(true)?;
            sleep(latency).await;
            let far = TcpStream::connect(behind).await?;
            far.set_nodelay(true)?;
            let ((near_reader, near_writer), (far_reader, far_writer)) = (near.into_split(), far.into_split());
            tokio::spawn(carry(near_reader, far_writer, half));
            carry(far_reader, near_writer, half).await
        });
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin + Send + 'static,
    pause: Duration,
) -> io::Result<()> {
    let (sender, mut under_way) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let arriving: tokio::task::JoinHandle<io::Result<()>> = tokio::spawn(async move {
        while let Some((due, bytes)) = under_way.recv().await {
            sleep_until(due).await;
            to.write_all(&bytes).await?;
        }
        to.shutdown().await
    });
    let mut bytes = Vec::with_capacity(16_384);
    while from.read_buf(&mut bytes).await? > 0 {
        let due = Instant::now().checked_add(pause).expect("some milliseconds can be added");
        if sender.send((due, std::mem::take(&mut bytes))).is_err() {
            break;
        }
    }
    drop(sender);
    arriving.await.map_err(io::Error::other)?
}
