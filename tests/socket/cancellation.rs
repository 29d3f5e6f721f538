//! Calls that are dropped on a real connection: the next call's answer is its own, and nothing is left behind.

use std::{sync::Arc, time::Duration};

use daraja::{
    Client, Credentials, Environment, Msisdn,
    simulator::{Fault, Route, Served, Simulator},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::tools::{at_once, message, push_to, script::Step, without_roots};

#[path = "../api/cancellation/point.rs"]
mod point;

use point::dropped_at;

fn customer(number: usize) -> Msisdn {
    format!("25470000{number:04}").parse().expect("a number")
}

/// What goes wrong with the call that is dropped.
const FAULTS: [Option<Fault>; 6] = [
    None,
    Some(Fault::Slow(Duration::from_millis(20))),
    Some(Fault::Truncated),
    Some(Fault::TokenExpired),
    Some(Fault::ResetAfter),
    Some(Fault::Html),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_is_dropped_anywhere_rings_once_at_most_and_the_next_answer_is_its_own() {
    let tasks = living_tasks();
    let simulator = Simulator::new();
    let served = simulator.serve("127.0.0.1:0").await.unwrap();
    let (mut dropped, mut next) = (0, 5_000);
    // Where a call waits is decided by the machine as well, so that every case is gone through some times.
    for fault in [FAULTS; 5].into_iter().flatten() {
        // A fresh client waits for the token and the connection as well; one that is in use, for the call alone.
        let in_use = client_of(&served);
        for fresh in [true, false] {
            for point in 0.. {
                let client = if fresh { client_of(&served) } else { in_use.clone() };
                if let Some(fault) = fault {
                    simulator.fault(Route::StkPush, fault);
                }
                (dropped, next) = (dropped + 1, next + 1);
                let ended = dropped_at(point, client.send(&push_to(customer(dropped)))).await.is_some();
                settle(&client, &simulator, customer(next)).await;
                let rung = simulator.prompts().iter().filter(|prompt| prompt.payer == customer(dropped)).count();
                assert!(rung <= 1, "{fault:?}, dropped at {point}: rang {rung} times");
                if ended {
                    assert!(point > 0, "{fault:?}: it never waits");
                    break;
                }
            }
        }
    }
    assert!(dropped >= 150, "{dropped} calls, of which sixty ended");
    drop(served);
    all_gone(tasks).await;
}

fn client_of(served: &Served) -> Client {
    served.client_builder().reqwest(without_roots).retry(at_once()).build().expect("a client")
}

/// The fault may be left for the next call, whose outcome is then unknown: that is told, and never another's answer.
async fn settle(client: &Client, simulator: &Simulator, payer: Msisdn) {
    let outcome = client.send(&push_to(payer)).await;
    let prompts = simulator.prompts();
    let own: Vec<_> = prompts.iter().filter(|prompt| prompt.payer == payer).collect();
    match outcome {
        Ok(accepted) => {
            assert_eq!(own.len(), 1);
            assert_eq!(accepted.checkout_request_id, own[0].checkout_request_id);
        }
        Err(error) => {
            assert!(error.outcome_unknown() && own.len() <= 1, "{error}");
            // The fault is used up: now it works.
            let again = Msisdn::try_from(payer.as_u64() + 2_000).expect("a number");
            let accepted = client.send(&push_to(again)).await.expect("accepted");
            let ids = simulator.prompts().into_iter().filter(|prompt| prompt.payer == again);
            assert_eq!(
                ids.map(|prompt| prompt.checkout_request_id).collect::<Vec<_>>(),
                [accepted.checkout_request_id]
            );
        }
    }
}

fn living_tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// The tasks of connections end when nobody has a use for them, which takes a moment.
async fn all_gone(tasks: usize) {
    let started = Instant::now();
    while living_tasks() > tasks {
        assert!(started.elapsed() < Duration::from_secs(30), "{} tasks were left", living_tasks() - tasks);
        sleep(Duration::from_millis(1)).await;
    }
}

/// A server that stops in the middle of the first answer and finishes it when its caller has left. Every answer names whose
/// it is.
struct Halting {
    halt_at: usize,
    halted: Notify,
    go_on: Notify,
}

const FIRST: &str = "254700000001";
const SECOND: &str = "254700000002";

fn answer_to(request: &message::Message) -> (Vec<u8>, bool) {
    let body = String::from_utf8_lossy(request.body()).into_owned();
    let first = body.contains(FIRST);
    let json = if request.is_token_request() {
        r#"{"access_token":"token","expires_in":"3599"}"#.to_owned()
    } else {
        let payer = if first { FIRST } else { SECOND };
        format!(r#"{{"ResponseCode":"0","CheckoutRequestID":"ws_CO_{payer}"}}"#)
    };
    let Step::Answer(bytes) = crate::tools::script::json(200, json) else { panic!("an answer") };
    (bytes, first)
}

async fn serve(listener: TcpListener, halting: Arc<Halting>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(converse(stream, halting.clone()));
    }
}

async fn converse(mut stream: TcpStream, halting: Arc<Halting>) {
    stream.set_nodelay(true).expect("a socket option");
    let mut rest = Vec::new();
    while let Some(request) = message::read(&mut stream, &mut rest).await {
        let (bytes, is_first) = answer_to(&request);
        let (now, later) = bytes.split_at(if is_first { halting.halt_at.min(bytes.len()) } else { bytes.len() });
        if stream.write_all(now).await.is_err() {
            return;
        }
        if is_first {
            halting.halted.notify_one();
            halting.go_on.notified().await;
        }
        if stream.write_all(later).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rest_of_an_answer_that_was_dropped_at_any_byte_is_not_read_as_the_next_ones() {
    let whole = format!(r#"{{"ResponseCode":"0","CheckoutRequestID":"ws_CO_{FIRST}"}}"#);
    let Step::Answer(whole) = crate::tools::script::json(200, whole) else { panic!("an answer") };
    let mut left_over = 0;
    for halt_at in 0..=whole.len() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let halting = Arc::new(Halting { halt_at, halted: Notify::new(), go_on: Notify::new() });
        let mut server = JoinSet::new();
        server.spawn(serve(listener, halting.clone()));
        let environment = Environment::custom(&base).unwrap();
        let builder = Client::builder(environment, Credentials::new("key of the app", "its secret"));
        let client = builder.reqwest(without_roots).build().unwrap();
        {
            let push = push_to(FIRST.parse().unwrap());
            let mut send = std::pin::pin!(client.send(&push));
            let first = tokio::select! {
                () = halting.halted.notified() => timeout(Duration::from_millis(2), &mut send).await.ok(),
                first = &mut send => Some(first),
            };
            match first {
                None => left_over += 1,
                Some(first) => assert_eq!(first.unwrap().checkout_request_id.as_str(), "ws_CO_254700000001"),
            }
        }
        halting.go_on.notify_one();
        let second = client.send(&push_to(SECOND.parse().unwrap())).await.unwrap();
        assert_eq!(second.checkout_request_id.as_str(), "ws_CO_254700000002", "dropped at byte {halt_at}");
    }
    assert!(left_over >= whole.len(), "only {left_over} answers were left in their middle");
}
