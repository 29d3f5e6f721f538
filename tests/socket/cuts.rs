//! Connections that cannot be had, that are closed between two calls or while one is written. What is cut within a call, see
//! [`chaos`](crate::chaos).

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use daraja::{
    Answer, Client, Credentials, Environment, Operation, Repeat, Timestamp, client::ClientBuilder, simulator::Simulator,
};
use tokio::net::TcpListener;

use crate::tools::{
    at_once,
    proxy::{By, Connection, Proxy},
    push, push_to,
    roads::{Road, Roads},
    script::Script,
    stored::Stored,
    verdict::{means, told},
    without_roots,
};

const INTERRUPTED: &str = "Unknown(Transport(Interrupted))";
fn through(proxy: &Proxy, simulator: &Simulator) -> ClientBuilder {
    let environment = Environment::custom(&proxy.base_url()).expect("a loopback URL");
    Client::builder(environment, simulator.credentials())
        .retry(at_once())
        .query_spacing(std::time::Duration::ZERO)
        .reqwest(without_roots)
}

/// The connections that are tried behind the token's, the verdict, how many were tried, the prompts that rang.
const ROADS: [(&[Road], &str, &str, usize, usize); 6] = {
    use Road::{Open, Refused, Unknown};
    [
        (&[Open], "Ok", "done", 1, 1),
        (&[Refused, Open], "Ok", "done", 2, 1),
        (&[Refused, Unknown, Open], "Ok", "done", 3, 1),
        (&[Refused, Refused, Refused, Open], "Transport(Connect)", "retryable", 3, 0),
        (&[Unknown, Unknown, Unknown, Open], "Transport(Connect)", "retryable", 3, 0),
        (&[Refused, Refused, Unknown, Open], "Transport(Connect)", "retryable", 3, 0),
    ]
};

#[tokio::test]
async fn a_refused_connection_is_tried_three_times_and_rings_no_phone() {
    for (roads, verdict, meaning, tried, prompts) in ROADS {
        let simulator = Simulator::new();
        let served = simulator.serve("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::before(&served.base_url(), Connection::Fresh).await;
        let plan = Roads::new([Road::Open].into_iter().chain(roads.iter().copied()));
        let environment = Environment::custom(&format!("http://localhost:{}", proxy.port())).unwrap();
        let client = Client::builder(environment, simulator.credentials())
            .retry(at_once())
            .query_spacing(std::time::Duration::ZERO)
            .reqwest(plan.builder())
            .build()
            .unwrap();
        client.warm_up().await.unwrap();

        let outcome = client.send(&push()).await;

        assert_eq!((told(&outcome).as_str(), means(&outcome)), (verdict, meaning), "{roads:?}");
        assert_eq!(plan.taken() - 1, tried, "{roads:?}: connections");
        assert_eq!(simulator.prompts().len(), prompts, "{roads:?}: prompts");
    }
}

#[tokio::test]
async fn a_refused_connection_before_the_token_says_that_the_push_was_not_sent() {
    let script = Script::of([]).await;
    let roads = Roads::new([]);
    let client = script.client_by(&roads).build().unwrap();

    let outcome = client.send(&push()).await;

    assert_eq!((told(&outcome).as_str(), means(&outcome)), ("Token(Transport(Connect))", "retryable"));
    assert_eq!(roads.taken(), 3, "the token request is repeated, the call is not");
    assert_eq!(script.connections(), 0);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_between_two_pushes_is_not_used_again() {
    let simulator = Simulator::new();
    let served = simulator.serve("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::before(&served.base_url(), Connection::Reused).await;
    let client = through(&proxy, &simulator).build().unwrap();
    client.warm_up().await.unwrap();
    proxy.end_after_answers(Some(By::Fin));
    client.send(&push_to("254700000001".parse().unwrap())).await.unwrap();
    proxy.client_left().await;

    let outcome = client.send(&push_to("254700000002".parse().unwrap())).await;

    assert_eq!(told(&outcome), "Ok");
    assert_eq!(simulator.prompts().len(), 2);
    assert_eq!((proxy.connections(), proxy.calls()), (2, 2));
}

/// The close and the next push race each other: whoever wins, a push is carried out once and told so, or is unknown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_closed_while_the_next_push_is_written_never_doubles_it() {
    for by in [By::Fin, By::Reset] {
        let simulator = Simulator::new();
        let served = simulator.serve("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::before(&served.base_url(), Connection::Reused).await;
        let client = through(&proxy, &simulator).build().unwrap();
        client.warm_up().await.unwrap();
        proxy.end_after_answers(Some(by));
        for customer in 0..300_u64 {
            let number = format!("25470000{customer:04}");
            let prompts_before = simulator.prompts().len();

            let outcome = client.send(&push_to(number.parse().unwrap())).await;

            let rang = simulator.prompts().len() - prompts_before;
            match told(&outcome).as_str() {
                "Ok" => assert_eq!(rang, 1, "{by:?}, {number}"),
                // A reset can also take an answer away that was on its way.
                INTERRUPTED if by == By::Reset => assert!(rang <= 1, "{by:?}, {number}"),
                INTERRUPTED => assert_eq!(rang, 0, "{by:?}, {number}"),
                other => panic!("{by:?}, {number}: {other}"),
            }
        }
        assert_eq!(proxy.calls(), simulator.prompts().len(), "{by:?}: nothing was sent twice");
    }
}

/// Its body does not fit into the sockets' buffers: the client is still writing when the server goes.
struct Large;

impl Operation for Large {
    type Response = ();

    fn path(&self) -> &'static str {
        "/own/v1/large"
    }

    fn repeat(&self) -> Repeat {
        Repeat::Never
    }

    fn body(&self, _: Timestamp) -> impl serde::Serialize + Send {
        "x".repeat(8 << 20)
    }

    fn decode(&self, _: &Answer) -> daraja::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_close_while_the_request_is_still_being_written_is_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let environment = Environment::custom(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let client = Client::builder(environment, Credentials::new("key of the app", "its secret"))
        .token_store(Stored)
        .retry(at_once())
        .build()
        .unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            stream.readable().await.unwrap();
        }
    });

    let outcome = client.send(&Large).await;

    server.abort();
    assert_eq!((told(&outcome).as_str(), means(&outcome)), (INTERRUPTED, "unknown"));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}
