//! Which clients may use a served simulator, and where it posts callbacks for them: its credentials are public.

use std::{
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use daraja::simulator::{Served, Simulator};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

const SOON: Duration = Duration::from_secs(2);

/// One request as it is written, and all of the answer.
async fn ask(address: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!("{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    answer
}

/// The status of a token request with these headers.
async fn status(served: &Served, headers: &str) -> String {
    let address = served.base_url().replace("http://", "");
    let basic = STANDARD.encode("simulator-consumer-key:simulator-consumer-secret");
    let head = format!(
        "GET /oauth/v1/generate?grant_type=client_credentials HTTP/1.1\r\nauthorization: Basic {basic}{headers}"
    );
    ask(&address, &head, "").await.get(9..12).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_web_page_that_uses_dns_rebinding_is_refused() {
    let served = Simulator::new().serve("127.0.0.1:0").await.unwrap();
    for own in [
        "127.0.0.1:80",
        "127.0.0.1",
        "localhost:8090",
        "LOCALHOST",
        "[::1]:80",
        "127.3.2.1",
        "host.docker.internal:8090",
        "sandbox.safaricom.co.ke",
    ] {
        assert_eq!(status(&served, &format!("\r\nhost: {own}")).await, "200", "{own}");
        let origin = format!("\r\nhost: {own}\r\norigin: http://{own}");
        assert_eq!(status(&served, &origin).await, "200", "{own}");
    }
    assert_eq!(status(&served, "").await, "200", "no browser leaves Host out");
    for other in [
        "evil.example",
        "evil.example:8090",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "localhost.",
        "docker.internal",
        "api.safaricom.co.ke",
        "sandbox.safaricom.co.ke.evil.example",
        "127.0.0.1@evil.example",
        "evil.example#127.0.0.1",
        "0.0.0.0",
        "10.0.0.1",
        "[::ffff:127.0.0.1]",
        "",
        "é",
    ] {
        assert_eq!(status(&served, &format!("\r\nhost: {other}")).await, "403", "{other}");
        let doubled = format!("\r\nhost: 127.0.0.1\r\nhost: {other}");
        assert_eq!(status(&served, &doubled).await, "403", "{other}");
    }
    for origin in ["http://evil.example", "null", "https://127.0.0.1.evil.example", "file://"] {
        assert_eq!(status(&served, &format!("\r\nhost: 127.0.0.1\r\norigin: {origin}")).await, "403", "{origin}");
    }
    let image = "\r\nhost: 127.0.0.1\r\nsec-fetch-site: cross-site";
    assert_eq!(status(&served, image).await, "403", "an image in a foreign page");
    let address = served.base_url().replace("http://", "");
    let answer = ask(&address, "GET http://evil.example/oauth HTTP/1.1\r\nhost: 127.0.0.1", "").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[tokio::test]
async fn it_is_served_to_remote_clients_only_if_they_are_allowed() {
    let simulator = Simulator::new();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let error = simulator.serve(address).await.unwrap_err();
        assert!(error.to_string().contains("allow_remote_clients"), "{error}");
    }
    simulator.serve("127.0.0.1:0").await.unwrap();
}

/// A receiver that keeps its connections open; how often it was connected to.
async fn patient_receiver() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
    let url = format!("http://{}/callbacks", listener.local_addr().expect("its address"));
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut piece = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut piece).await {
                    // A callback may come in pieces, and ends where its JSON ends.
                    if piece[..read].ends_with(b"}") {
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("it is read");
                    }
                }
            });
        }
    });
    (url, connections)
}

/// It is posted once. On a connection that its receiver is just closing it would be lost.
#[tokio::test]
async fn each_callback_is_posted_on_a_connection_of_its_own() {
    let simulator = Simulator::builder().answer_time(Duration::from_millis(1)).build();
    let _served = simulator.serve("127.0.0.1:0").await.unwrap();
    let (url, connections) = patient_receiver().await;
    for number in 1..=3 {
        let payer = format!("2547000000{:02}", 50 + number).parse().unwrap();
        let amount = daraja::Shillings::new(1).unwrap();
        let url = url.parse().unwrap();
        let push = daraja::StkPush::new(&simulator.merchant(), payer, amount, "A".parse().unwrap(), url);
        simulator.client().send(&push).await.unwrap();
        let delivered = async {
            while simulator.delivered().len() < number {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(30), delivered).await.expect("it is posted");
    }
    let delivered = simulator.delivered();
    assert!(delivered.iter().all(|one| one.status == Some(200)), "{delivered:?}");
    assert_eq!(connections.load(Ordering::Relaxed), 3);
}

/// The address of this machine in its network, if it has any.
fn own_address() -> Option<String> {
    let probe = UdpSocket::bind("0.0.0.0:0").ok()?;
    probe.connect("192.0.2.1:9").ok()?;
    let address = probe.local_addr().ok()?.ip();
    (!address.is_loopback()).then(|| address.to_string())
}

#[tokio::test]
async fn remote_clients_reach_no_service_of_this_machine() {
    let builder = || Simulator::builder().answer_time(Duration::from_millis(1)).allow_remote_clients();
    for simulator in [builder().build(), builder().deliver_anywhere().build()] {
        let served = simulator.serve("0.0.0.0:0").await.unwrap();
        let service = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = service.local_addr().unwrap().port();
        let own = own_address().unwrap_or_else(|| "127.0.0.2".to_owned());
        let hosts = ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", &own];
        for (number, host) in hosts.iter().enumerate() {
            let url = format!("http://{host}:{port}/admin").parse().unwrap();
            let payer = format!("2547000001{number:02}").parse().unwrap();
            let amount = daraja::Shillings::new(1).unwrap();
            let push = daraja::StkPush::new(&simulator.merchant(), payer, amount, "A".parse().unwrap(), url);
            simulator.client().send(&push).await.unwrap();
        }
        assert!(timeout(SOON, service.accept()).await.is_err(), "a service of this machine was called");
        let delivered = simulator.delivered();
        assert!(delivered.len() == 6 && delivered.iter().all(|one| one.status.is_none()), "{delivered:?}");
        drop(served);
    }
    // Remote clients are served, under any name.
    let simulator = builder().build();
    let served = simulator.serve("0.0.0.0:0").await.unwrap();
    let Some(own) = own_address() else { return };
    let port = served.base_url().rsplit(':').next().unwrap().to_owned();
    let answer = ask(&format!("{own}:{port}"), "GET /oauth HTTP/1.1\r\nhost: daraja.internal", "").await;
    assert!(!answer.starts_with("HTTP/1.1 403 "), "{answer}");
}
