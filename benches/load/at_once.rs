//! Many callers: latencies, a cold burst, a burst over a distance, the simulator on a port.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use daraja::{
    Shillings, StkPush,
    simulator::{Route, Simulator},
};
use tokio::task::JoinSet;

use crate::{
    measure::{Side, counts, median, processor_seconds, quantile, ratio, seconds},
    sample::runtime,
    server::Server,
};

const ROUNDS: usize = 7;

type Make = fn(&str) -> Side;

const SIDES: [(&str, Make); 3] =
    [("ours", Side::ours), ("bare reqwest", Side::reqwest), ("hyper, pooled", Side::hyper)];

/// So many tasks at once, each so many pushes, one after the other: the milliseconds that each took.
async fn together(side: &Arc<Side>, tasks: usize, each: usize) -> Vec<f64> {
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        let side = side.clone();
        running.spawn(async move {
            let mut took = Vec::with_capacity(each);
            for _ in 0..each {
                let started = Instant::now();
                side.push().await;
                took.push(started.elapsed().as_secs_f64() * 1e3);
            }
            took
        });
    }
    running.join_all().await.concat()
}

pub(crate) fn latency() -> io::Result<()> {
    println!("| at once | client | processor µs each | ÷ reqwest | p50, ms | ÷ reqwest | p99, ms | ÷ reqwest |");
    println!("|---|---|---|---|---|---|---|---|");
    let server = Server::start("https", Duration::ZERO)?;
    for tasks in [1, 64, 256] {
        let (runtime, each) = (runtime(), 4_096 / tasks);
        let sides = SIDES.map(|(_, side)| Arc::new(side(&server.base_url)));
        let mut rounds = [const { [const { Vec::new() }; 3] }; 3];
        for side in &sides {
            runtime.block_on(together(side, tasks, 4));
        }
        for _ in 0..ROUNDS {
            for (side, [used, p50, p99]) in sides.iter().zip(&mut rounds) {
                let mut took = Vec::new();
                let processor = processor_seconds(|| took = runtime.block_on(together(side, tasks, each)))?;
                used.push(processor / 4_096.0 * 1e6);
                p50.push(quantile(&mut took, 50));
                p99.push(quantile(&mut took, 99));
            }
        }
        for ((name, _), columns) in SIDES.iter().zip(&rounds) {
            let cells = columns.iter().zip(&rounds[1]).map(|(column, reqwests)| {
                format!(" {:.2} | {:.2} |", median(column.iter().copied()), ratio(column, reqwests))
            });
            println!("| {tasks} | {name} |{}", cells.collect::<String>());
        }
    }
    Ok(())
}

/// 64 tasks, no connection, and ours without a token; then one caller for a while.
pub(crate) fn burst() -> io::Result<()> {
    println!("| 64 at once, cold | ms | ÷ bare reqwest, which has a token |\n|---|---|---|");
    let server = Server::start("https", Duration::ZERO)?;
    let runtime = runtime();
    let [_, _, tokens_before] = runtime.block_on(counts(&server.base_url));
    let mut rounds = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for ((_, side), rounds) in SIDES.iter().zip(&mut rounds) {
            let side = Arc::new(side(&server.base_url));
            rounds.push(seconds(|| drop(runtime.block_on(together(&side, 64, 1)))));
        }
    }
    let [_, _, tokens] = runtime.block_on(counts(&server.base_url));
    assert_eq!(tokens - tokens_before, ROUNDS, "one token each burst");
    for ((name, _), took) in SIDES.iter().zip(&rounds) {
        println!("| {name} | {:.1} | {:.2} |", median(took.iter().copied()) * 1e3, ratio(took, &rounds[1]));
    }
    let sides = [(); 2].map(|()| Arc::new(Side::ours(&server.base_url)));
    for _ in 0..32 {
        for side in &sides {
            runtime.block_on(side.push());
        }
    }
    let [connections_before, _, tokens_of_two] = runtime.block_on(counts(&server.base_url));
    let fetched = tokens_of_two - tokens;
    assert_eq!(fetched, 2);
    println!("\n64 pushes of two sets of credentials in turn: {fetched} tokens.");
    runtime.block_on(together(&Arc::new(Side::ours(&server.base_url)), 1, 1_000));
    let [connections, ..] = runtime.block_on(counts(&server.base_url));
    // The question is a connection, too.
    let opened = connections - connections_before - 1;
    assert_eq!(opened, 1);
    println!("1 000 pushes, one after the other: {opened} connection.");
    Ok(())
}

/// 256 tasks at once to a server that is 50 ms away. A ticket of TLS 1.3 resumes one connection, and a server hands out
/// two with each; a session of TLS 1.2 resumes them all.
pub(crate) fn warm() -> io::Result<()> {
    println!(
        "| 256 pushes, 50 ms away | TLS | ms | rate ÷ the first row's | full handshakes | resumed |\n|---|---|---|---|---|---|"
    );
    far("https", "1.3")?;
    far("https12", "1.2")
}

fn far(scheme: &str, version: &str) -> io::Result<()> {
    const ROWS: [(&str, Make, WarmUp, usize); 4] = [
        ("ours, cold", Side::ours, WarmUp::Without, 256),
        ("ours after `warm_up()`", Side::ours, WarmUp::With, 256),
        ("ours after `warm_up()`, 32 at a time", Side::ours, WarmUp::With, 32),
        ("bare reqwest, cold, which has a token", Side::reqwest, WarmUp::Without, 256),
    ];
    let server = Server::start(scheme, Duration::from_millis(50))?;
    let mut rounds = [const { Vec::new() }; 4];
    let mut handshakes = [(0, 0); 4];
    for _ in 0..ROUNDS {
        for (((_, side, warm_up, places), rounds), handshakes) in ROWS.iter().zip(&mut rounds).zip(&mut handshakes) {
            let (took, seen) = burst_from_afar(side(&server.base_url), *warm_up, *places, &server.base_url);
            rounds.push(took);
            *handshakes = seen;
        }
    }
    for (((name, ..), took), (full, resumed)) in ROWS.iter().zip(&rounds).zip(handshakes) {
        let rate = ratio(&rounds[0], took);
        println!("| {name} | {version} | {:.0} | {rate:.2} | {full} | {resumed} |", median(took.iter().copied()) * 1e3);
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WarmUp {
    With,
    Without,
}

/// The seconds that it took, and the handshakes: full ones and resumed ones.
fn burst_from_afar(side: Side, warm_up: WarmUp, places: usize, base_url: &str) -> (f64, (usize, usize)) {
    let runtime = runtime();
    if let (Side::Ours(client, _), WarmUp::With) = (&side, warm_up) {
        runtime.block_on(client.warm_up()).expect("the server answers");
    }
    let [before, resumed_before, _] = runtime.block_on(counts(base_url));
    let side = Arc::new(side);
    let took = seconds(|| drop(runtime.block_on(together(&side, places, 256 / places))));
    let [after, resumed, _] = runtime.block_on(counts(base_url));
    // The question is a connection, too.
    let (connections, resumed) = (after - before - 1, resumed - resumed_before);
    (took, (connections - resumed, resumed))
}

/// Pushes that the simulator takes, on a port and in process.
pub(crate) fn simulator() -> io::Result<()> {
    const PUSHES: usize = 20_000;
    println!("| simulator | pushes a second | processor µs per push, client and simulator |\n|---|---|---|");
    for way in ["served, plain http, 64 at once", "in process, one after the other"] {
        let (runtime, simulator) = (runtime(), Simulator::new());
        simulator.everyone().approves().after(Duration::ZERO).callback_lost();
        let served = runtime.block_on(simulator.serve("127.0.0.1:0"))?;
        let is_served = way.starts_with("served");
        let client = if is_served { served.client() } else { simulator.client() };
        let tasks = if is_served { 64 } else { 1 };
        let mut took = 0.0;
        let used = processor_seconds(|| {
            took = seconds(|| {
                runtime.block_on(async {
                    let mut running = JoinSet::new();
                    for _ in 0..tasks {
                        let (client, push) = (client.clone(), push(&simulator));
                        running.spawn(async move {
                            for _ in 0..PUSHES / tasks {
                                client.send(&push).await.expect("the simulator accepts");
                            }
                        });
                    }
                    running.join_all().await;
                });
            });
        })?;
        let pushes = simulator.calls(Route::StkPush) as f64;
        println!("| {way} | {:.0} | {:.1} |", pushes / took, used / pushes * 1e6);
    }
    Ok(())
}

fn push(simulator: &Simulator) -> StkPush {
    let (payer, amount) = ("254708374149".parse().expect("a number"), Shillings::new(10).expect("an amount"));
    let reference = "INV-001".parse().expect("a reference");
    StkPush::new(&simulator.merchant(), payer, amount, reference, simulator.callback_url())
}
