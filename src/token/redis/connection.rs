//! Asks a Redis server one question at a time.

use std::{fmt, future::poll_fn, io, pin::pin, sync::Arc};

use ::redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo, RedisConnectionInfo, RedisError,
    ToRedisArgs, aio::MultiplexedConnection,
};
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier,
    client::WantsClientCert,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, join, split},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use url::Url;

use super::StoreError;
use crate::error::ConfigError;

/// An answer is less than 5 KiB; whatever else listens there is not read to its end.
const MOST: u64 = 65_536;

const NO_URL: &str = "it is no URL; in the password, # is written %23, / is %2F, ? is %3F and @ is %40";

const NO_PLACE: &str = "it must name a host, and no database but by its number";

/// A script with its keys and arguments.
pub(super) struct Command {
    script: &'static str,
    keys: Vec<String>,
    arguments: Vec<Vec<u8>>,
}

impl Command {
    pub(super) fn new(script: &'static str) -> Self {
        Self { script, keys: Vec::new(), arguments: Vec::new() }
    }

    pub(super) fn key(mut self, key: String) -> Self {
        self.keys.push(key);
        self
    }

    pub(super) fn argument(mut self, argument: impl ToRedisArgs) -> Self {
        self.arguments.extend(argument.to_redis_args());
        self
    }

    fn encode(&self) -> Cmd {
        let mut command = ::redis::cmd("EVAL");
        command.arg(self.script).arg(self.keys.len()).arg(&self.keys);
        for argument in &self.arguments {
            command.arg(argument);
        }
        command
    }
}

/// Where Redis is, as whom it is spoken to, and how.
pub(super) struct Server {
    host: String,
    port: u16,
    login: RedisConnectionInfo,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Server {
    pub(super) fn new(url: Option<Url>, authority: Option<&[u8]>) -> Result<Self, ConfigError> {
        let mut url = url.ok_or_else(|| invalid(NO_URL))?;
        let encrypted = match url.scheme() {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err(invalid("it must begin with redis:// or rediss://")),
        };
        if url.fragment().is_some() {
            return Err(invalid("it must hold no fragment"));
        }
        // TLS is set up here, so that it trusts whom the client trusts.
        url.set_scheme("redis").map_err(|()| invalid(NO_URL))?;
        let read = url.into_connection_info().map_err(|_| invalid(NO_PLACE))?;
        let ConnectionAddr::Tcp(host, port) = read.addr() else { return Err(invalid(NO_PLACE)) };
        let tls = match (encrypted, authority) {
            (false, None) => None,
            (false, Some(_)) => return Err(invalid("it must begin with rediss:// for certificates to matter")),
            (true, authority) => {
                let name =
                    ServerName::try_from(host.clone()).map_err(|_| invalid("its host can have no certificate"))?;
                Some((connector(authority)?, name))
            }
        };
        let login = read.redis_settings().clone().set_skip_set_lib_name();
        Ok(Self { host: host.clone(), port: *port, login, tls })
    }

    /// Opens a connection, asks, and closes it. One that is kept would be idle for most of an hour, and many networks
    /// forget such a one without a word: the next question would be lost, and with it the token that all share.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: Command) -> Result<T, StoreError> {
        let unreachable = |error: io::Error| format!("Redis could not be reached: {error}");
        let tcp = TcpStream::connect((&*self.host, self.port)).await.map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        let answer = match &self.tls {
            None => self.exchange(tcp, &command).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), tcp).await.map_err(unreachable)?;
                self.exchange(stream, &command).await
            }
        };
        // Redis's own words can repeat what it was sent: the password, or a token.
        Ok(answer.map_err(|error| format!("Redis failed: {}", problem(&error)))?)
    }

    async fn exchange<T, S>(&self, stream: S, command: &Command) -> Result<T, RedisError>
    where
        T: FromRedisValue,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (read, write) = split(stream);
        // Whoever asks has a time limit already.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let limited = join(read.take(MOST), write);
        let (mut connection, driver) = MultiplexedConnection::new_with_config(&self.login, limited, config).await?;
        let command = command.encode();
        let mut answer = pin!(command.query_async(&mut connection));
        let mut driver = Some(Box::pin(driver));
        poll_fn(|context| {
            if driver.as_mut().is_some_and(|driver| driver.as_mut().poll(context).is_ready()) {
                // The connection has ended: what waits for an answer learns of it by this.
                driver = None;
            }
            answer.as_mut().poll(context)
        })
        .await
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// What went wrong, in words that are none of Redis's own but its code.
fn problem(error: &RedisError) -> String {
    let is_code = |code: &&str| code.len() <= 16 && code.bytes().all(|letter| letter.is_ascii_uppercase());
    error.code().filter(is_code).unwrap_or_else(|| error.category()).to_owned()
}

fn invalid(problem: &'static str) -> ConfigError {
    ConfigError::one("Redis URL", problem)
}

fn connector(authority: Option<&[u8]>) -> Result<TlsConnector, ConfigError> {
    let failed = |error: rustls::Error| ConfigError::one("TLS", format!("could not be set up: {error}"));
    let builder =
        ClientConfig::builder_with_provider(provider()?).with_safe_default_protocol_versions().map_err(failed)?;
    let builder = match authority.map(parse).transpose()? {
        Some(roots) => builder.with_root_certificates(roots),
        None => trusting_the_system(builder).map_err(failed)?,
    };
    Ok(TlsConnector::from(Arc::new(builder.with_no_client_auth())))
}

#[cfg_attr(feature = "rustls", expect(clippy::unnecessary_wraps, reason = "without that feature there may be none"))]
fn provider() -> Result<Arc<CryptoProvider>, ConfigError> {
    if let Some(installed) = CryptoProvider::get_default() {
        return Ok(installed.clone());
    }
    #[cfg(feature = "rustls")]
    return Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(not(feature = "rustls"))]
    Err(crate::transport::reqwest::no_provider())
}

fn parse(pem: &[u8]) -> Result<RootCertStore, ConfigError> {
    let invalid = || ConfigError::one("certificates of Redis's authority", "are no certificates in PEM");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(|_| invalid())?).map_err(|_| invalid())?;
    }
    if roots.is_empty() { Err(invalid()) } else { Ok(roots) }
}

/// Trusts whom the operating system trusts; Mozilla's roots, if it has none and they are compiled in.
fn trusting_the_system(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    #[cfg(not(feature = "webpki-roots"))]
    return builder.with_platform_verifier();
    #[cfg(feature = "webpki-roots")]
    builder.clone().with_platform_verifier().or_else(|_| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
        Ok(builder.with_root_certificates(roots))
    })
}
