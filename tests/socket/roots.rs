//! Which root certificates the default client uses: those of the operating system, which `SSL_CERT_FILE` replaces here.
//!
//! Each test is two programs: it starts itself once more, with another `SSL_CERT_FILE`.

use std::{env, io::Write, path::Path, process::Command, sync::Arc};

use daraja::{
    Client, Environment,
    simulator::{Served, Simulator},
};
use tempfile::NamedTempFile;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// Set for the program that calls: where Daraja is.
const BASE_URL: &str = "DARAJA_TEST_ROOTS_BASE_URL";

/// For 127.0.0.1 and localhost; nothing else trusts it.
const CERTIFICATE: &[u8] = include_bytes!("../../benches/hot_paths/no_secret_certificate.pem");
const KEY: &[u8] = include_bytes!("../../benches/hot_paths/no_secret_key.pem");

/// A certificate, and not the server's.
const SOMEBODY_ELSE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/security/certificates/sandbox.cer");

/// A simulator, and the URL of a proxy before it that adds TLS.
async fn serve_by_tls() -> (Served, String) {
    let served = Simulator::new().serve("127.0.0.1:0").await.expect("a loopback port");
    let simulator = served.base_url().trim_start_matches("http://").to_owned();
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate and its key");
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await);
    let listener = listener.expect("a loopback port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, simulator) = (acceptor.clone(), simulator.clone());
            tokio::spawn(async move {
                // A client that does not trust the certificate closes the connection.
                let Ok(mut outside) = acceptor.accept(stream).await else { return };
                let mut inside = TcpStream::connect(simulator).await.expect("the simulator");
                let _ = copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    (served, format!("https://{address}"))
}

/// The result of a call by a default client, in words.
async fn call(base_url: &str) -> String {
    let environment = Environment::custom(base_url).expect("a loopback URL");
    match Client::builder(environment, Simulator::new().credentials()).build() {
        Ok(client) => match client.warm_up().await {
            Ok(()) => "called".to_owned(),
            Err(error) => format!("not called, may be repeated: {}", error.is_retryable()),
        },
        Err(error) => format!("not built: {error}"),
    }
}

/// Starts this test once more as on a machine that trusts the certificates of a file; gives what it printed.
async fn on_a_machine(test: &str, certificates: &Path, base_url: &str) -> String {
    let mut program = Command::new(env::current_exe().expect("this program"));
    // It gets no proxy and no authorities from the environment.
    program.args(["--exact", test, "--nocapture"]).env_clear();
    program.env(BASE_URL, base_url).env("SSL_CERT_FILE", certificates);
    let output = tokio::task::spawn_blocking(move || program.output()).await.expect("it is waited for");
    String::from_utf8(output.expect("it starts").stdout).expect("text")
}

fn file(content: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(content).expect("room for it");
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn only_servers_that_the_operating_system_trusts_are_called() {
    if let Ok(base_url) = env::var(BASE_URL) {
        return println!("{}", call(&base_url).await);
    }
    let (_served, base_url) = serve_by_tls().await;
    let test = "roots::only_servers_that_the_operating_system_trusts_are_called";
    let printed = on_a_machine(test, file(CERTIFICATE).path(), &base_url).await;
    assert!(printed.contains("called\n") && !printed.contains("not called"), "{printed}");
    let printed = on_a_machine(test, Path::new(SOMEBODY_ELSE), &base_url).await;
    assert!(printed.contains("not called, may be repeated: true"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_root_certificates_needs_the_compiled_in_ones() {
    if let Ok(base_url) = env::var(BASE_URL) {
        return println!("{}", call(&base_url).await);
    }
    let (_served, base_url) = serve_by_tls().await;
    let test = "roots::a_machine_without_root_certificates_needs_the_compiled_in_ones";
    let printed = on_a_machine(test, file(b"").path(), &base_url).await;
    // Mozilla does not know our authority either.
    let expected = if cfg!(feature = "webpki-roots") { "not called" } else { "need the feature webpki-roots" };
    assert!(printed.contains(expected), "{printed}");
}
