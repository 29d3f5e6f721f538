//! The connection is cut before a call, in its middle, after it and in the answer; the simulator counts the prompts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use daraja::{
    Answer, Client, Credentials, Environment, Operation, Repeat, StkQuery, Timestamp,
    client::ClientBuilder,
    simulator::{Route, Simulator},
};
use tokio::net::TcpListener;

use crate::tools::{
    PATIENCE, at_once, every, merchant,
    proxy::{By, Connection, Part, Place, Proxy},
    push, push_to,
    roads::{Road, Roads},
    script::Script,
    stored::Stored,
    verdict::{means, told},
    without_roots,
};

const INTERRUPTED: &str = "Unknown(Transport(Interrupted))";
const TIMEOUT: &str = "Unknown(Transport(Timeout))";

/// Where the push is cut, and how; the verdict, which is always an unknown outcome; the prompts that rang.
const CUTS: [(Place, By, &str, usize); 30] = {
    use By::{Fin, Reset, Silence};
    use Part::{AllBut, First, HalfOfTheBody, Head};
    use Place::{Accepted, Answer, Request};
    [
        (Accepted, Fin, INTERRUPTED, 0),
        (Accepted, Reset, INTERRUPTED, 0),
        (Accepted, Silence, TIMEOUT, 0),
        (Request(First(0)), Fin, INTERRUPTED, 0),
        (Request(First(0)), Reset, INTERRUPTED, 0),
        (Request(First(0)), Silence, TIMEOUT, 0),
        (Request(First(1)), Fin, INTERRUPTED, 0),
        (Request(Head), Fin, INTERRUPTED, 0),
        (Request(Head), Reset, INTERRUPTED, 0),
        (Request(HalfOfTheBody), Fin, INTERRUPTED, 0),
        (Request(HalfOfTheBody), Reset, INTERRUPTED, 0),
        (Request(HalfOfTheBody), Silence, TIMEOUT, 0),
        (Request(AllBut(1)), Fin, INTERRUPTED, 0),
        (Request(AllBut(1)), Reset, INTERRUPTED, 0),
        (Request(AllBut(1)), Silence, TIMEOUT, 0),
        (Answer(First(0)), Fin, INTERRUPTED, 1),
        (Answer(First(0)), Reset, INTERRUPTED, 1),
        (Answer(First(0)), Silence, TIMEOUT, 1),
        (Answer(First(1)), Fin, INTERRUPTED, 1),
        (Answer(First(1)), Reset, INTERRUPTED, 1),
        (Answer(First(1)), Silence, TIMEOUT, 1),
        (Answer(First(20)), Fin, INTERRUPTED, 1),
        (Answer(Head), Fin, INTERRUPTED, 1),
        (Answer(Head), Silence, TIMEOUT, 1),
        (Answer(HalfOfTheBody), Fin, INTERRUPTED, 1),
        (Answer(HalfOfTheBody), Reset, INTERRUPTED, 1),
        (Answer(HalfOfTheBody), Silence, TIMEOUT, 1),
        (Answer(AllBut(1)), Fin, INTERRUPTED, 1),
        (Answer(AllBut(1)), Reset, INTERRUPTED, 1),
        (Answer(AllBut(1)), Silence, TIMEOUT, 1),
    ]
};

/// A client that waits for long only if it is answered in the end.
fn through(proxy: &Proxy, simulator: &Simulator, by: By) -> ClientBuilder {
    let environment = Environment::custom(&proxy.base_url()).expect("a loopback URL");
    let builder = Client::builder(environment, simulator.credentials()).retry(at_once()).reqwest(without_roots());
    if by == By::Silence { builder.attempt_timeout(PATIENCE) } else { builder }
}

/// Pushes once through a cut and compares.
async fn cut_a_push(place: Place, by: By, connection: Connection, verdict: &str, prompts: usize) {
    let case = format!("{place:?} by {by:?} on a {connection:?} connection");
    let simulator = Simulator::new();
    let served = simulator.serve("127.0.0.1:0").await.expect("a loopback port");
    let proxy = Proxy::before(&served.base_url(), connection).await;
    let client = through(&proxy, &simulator, by).build().expect("a client");
    client.warm_up().await.expect("token requests are not cut");
    proxy.cut_next(place, by);

    let outcome = client.send(&push()).await;

    let calls = usize::from(!matches!(place, Place::Accepted));
    let connections = if connection == Connection::Fresh { 2 } else { 1 };
    assert_eq!((told(&outcome).as_str(), means(&outcome)), (verdict, "unknown"), "{case}");
    assert_eq!(simulator.prompts().len(), prompts, "{case}: prompts");
    assert_eq!(simulator.calls(Route::StkPush), prompts, "{case}: requests that reached the simulator");
    assert_eq!(proxy.calls(), calls, "{case}: requests that the proxy read");
    assert_eq!(proxy.connections(), connections, "{case}: connections");
}

#[tokio::test]
async fn a_push_that_is_cut_anywhere_is_unknown_and_never_sent_again() {
    let on_fresh = |(place, by, verdict, prompts)| cut_a_push(place, by, Connection::Fresh, verdict, prompts);
    every(CUTS.into_iter().map(on_fresh)).await;
}

#[tokio::test]
async fn a_push_that_is_cut_on_a_reused_connection_is_unknown_and_never_sent_again() {
    let on_reused = |(place, by, verdict, prompts)| cut_a_push(place, by, Connection::Reused, verdict, prompts);
    let accepted = |(place, ..): &(Place, By, &str, usize)| !matches!(place, Place::Accepted);
    every(CUTS.into_iter().filter(accepted).map(on_reused)).await;
}

#[tokio::test]
async fn a_query_that_is_cut_anywhere_is_asked_again() {
    every(CUTS.into_iter().map(|(place, by, ..)| async move {
        let simulator = Simulator::builder().query_spacing(Duration::ZERO).build();
        let served = simulator.serve("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::before(&served.base_url(), Connection::Fresh).await;
        let client = through(&proxy, &simulator, by).build().unwrap();
        client.warm_up().await.unwrap();
        proxy.cut_next(place, by);

        let outcome = client.send(&StkQuery::new(&merchant(), &"ws_CO_1".parse().unwrap())).await;

        assert_eq!(told(&outcome), "Ok", "{place:?} by {by:?}");
        assert_eq!(proxy.connections(), 3, "{place:?} by {by:?}: token, cut, repeated");
    }))
    .await;
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
    let client = through(&proxy, &simulator, By::Fin).build().unwrap();
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
        let client = through(&proxy, &simulator, by).build().unwrap();
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
