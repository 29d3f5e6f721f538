//! Redis by TLS, with a certificate authority of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use daraja::{
    simulator::{Route, Simulator},
    token::RedisTokenStore,
};
#[cfg(feature = "webpki-roots")]
use tempfile::NamedTempFile;
use tempfile::TempDir;

use crate::{
    fleet::{Fleet, Orders},
    server::{Redis, is_here},
};

/// Makes an authority and a certificate of it for 127.0.0.1; gives the authority's own.
fn certify(folder: &Path) -> PathBuf {
    let run = |arguments: &str| {
        let done = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(folder)
            .stderr(Stdio::null())
            .status()
            .expect("openssl is there");
        assert!(done.success(), "openssl {arguments}");
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    run(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority -days 2"));
    run(&format!("req {key} -keyout server.key -out server.csr -subj /CN=redis"));
    fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    run("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names");
    folder.join("ca.pem")
}

/// A server that speaks nothing but TLS, and wants a password.
fn start() -> Redis {
    let options = |folder: &TempDir, port: u16| {
        let path = |name: &str| folder.path().join(name).display().to_string();
        certify(folder.path());
        let port = port.to_string();
        ["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no", "--requirepass", "planted-password"]
            .map(str::to_owned)
            .into_iter()
            .chain(["--tls-cert-file".to_owned(), path("server.pem"), "--tls-key-file".to_owned(), path("server.key")])
            .collect()
    };
    Redis::with(options)
}

fn url(redis: &Redis) -> String {
    format!("rediss://:planted-password@127.0.0.1:{}", redis.port())
}

/// How many tokens a fleet fetches: one if all its processes share this Redis.
fn fetches(orders: Orders<'_>) -> usize {
    let mut fleet = Fleet::start(orders);
    fleet.push_twice();
    fleet.fetches()
}

#[test]
fn a_fleet_shares_a_token_by_tls() {
    if !is_here() {
        return;
    }
    let redis = start();
    let authority = redis.folder().path().join("ca.pem");
    assert_eq!(fetches(Orders { authority: Some(&authority), ..Orders::new(url(&redis)) }), 1);
}

#[test]
fn a_fleet_uses_the_root_certificates_of_the_operating_system() {
    if !is_here() {
        return;
    }
    let redis = start();
    let authority = redis.folder().path().join("ca.pem");
    assert_eq!(fetches(Orders { system_authorities: Some(&authority), ..Orders::new(url(&redis)) }), 1);
}

/// It starts, and does not trust a Redis that Mozilla's authorities do not know.
#[cfg(feature = "webpki-roots")]
#[test]
fn a_fleet_without_root_certificates_uses_the_compiled_in_ones() {
    if !is_here() {
        return;
    }
    let (redis, none) = (start(), NamedTempFile::new().unwrap());
    let mut fleet = Fleet::start(Orders { system_authorities: Some(none.path()), ..Orders::new(url(&redis)) });
    // One after the other: without a shared token a new one can replace that of another process.
    fleet.push_in_turn();
    assert_eq!(fleet.fetches(), 8);
}

#[tokio::test]
async fn an_authority_that_is_not_trusted_gets_no_password() {
    if !is_here() {
        return;
    }
    let redis = start();
    let other = TempDir::new().unwrap();
    let other = fs::read(certify(other.path())).unwrap();
    let own = fs::read(redis.folder().path().join("ca.pem")).unwrap();
    let refused = [
        RedisTokenStore::with_authority(&url(&redis), &other).unwrap(),
        RedisTokenStore::with_authority(&url(&redis).replace("127.0.0.1", "localhost"), &own).unwrap(),
        RedisTokenStore::new(&url(&redis).replace("rediss", "redis")).unwrap(),
        RedisTokenStore::with_authority(&url(&redis).replace("planted", "wrong"), &own).unwrap(),
    ];
    let simulator = Simulator::new();
    let served = simulator.serve("127.0.0.1:0").await.unwrap();
    for (fetches, store) in (1..).zip(refused) {
        let client = served.client_builder().token_store(store).build().unwrap();
        client.warm_up().await.unwrap();
        assert_eq!(simulator.calls(Route::OAuth), fetches);
    }
    // None of them left anything; with the right authority and password it is shared.
    for _ in 0..2 {
        let store = RedisTokenStore::with_authority(&url(&redis), &own).unwrap();
        served.client_builder().token_store(store).build().unwrap().warm_up().await.unwrap();
    }
    assert_eq!(simulator.calls(Route::OAuth), 5);
}
