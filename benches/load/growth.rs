//! Ten times as much of everything: what each one costs must stay what it was.

use std::{
    collections::HashSet,
    future::{Future, IntoFuture, poll_fn},
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use allocation_counter::measure;
use daraja::{
    CheckoutRequestId, Msisdn, Shillings, StkPush,
    simulator::Simulator,
    webhook::{Event, Inbox, Journal, Reference},
};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{measure::processor_seconds, sample::runtime};

pub(crate) fn growth() -> io::Result<()> {
    pushes()?;
    waiters()?;
    callbacks()?;
    keys()?;
    journal()
}

fn paused() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
}

fn id(number: usize) -> CheckoutRequestId {
    format!("ws_CO_06102026170234{number:07}254708374149").parse().expect("an id")
}

/// By one client to one simulator in process, which remembers all of them.
fn pushes() -> io::Result<()> {
    println!("| pushes of one client | processor µs each | bytes each, kept by the simulator |\n|---|---|---|");
    for count in [100, 1_000, 10_000, 100_000_u32] {
        let (runtime, simulator) = (runtime(), Simulator::new());
        simulator.everyone().approves().after(Duration::ZERO).callback_lost();
        let (client, merchant) = (simulator.client(), simulator.merchant());
        let mut kept = 0;
        let used = processor_seconds(|| {
            let memory = measure(|| {
                runtime.block_on(async {
                    for number in 0..count {
                        let payer: Msisdn = format!("25470000{:04}", number % 10_000).parse().expect("a number");
                        let (amount, reference) = (Shillings::new(10), "INV-001".parse().expect("a reference"));
                        let (amount, url) = (amount.expect("an amount"), simulator.callback_url());
                        let push = StkPush::new(&merchant, payer, amount, reference, url);
                        client.send(&push).await.expect("the simulator accepts");
                    }
                });
            });
            kept = memory.bytes_current;
        })?;
        println!("| {count} | {:.1} | {} |", used / f64::from(count) * 1e6, kept / i64::from(count));
    }
    Ok(())
}

/// Two minutes in which nothing is told.
fn waiters() -> io::Result<()> {
    println!(
        "\n| waiting payments | polls of each a minute | processor µs of each a minute | bytes each |\n|---|---|---|---|"
    );
    for count in [1, 10, 100, 1_000, 10_000] {
        let polls = Arc::new(AtomicUsize::new(0));
        let used = processor_seconds(|| paused().block_on(wait_in_vain(count, &polls)))?;
        let (count_f, polls) = (count as f64, polls.load(Ordering::Relaxed) as f64);
        let (polls, used) = (polls / count_f / 2.0, used / count_f / 2.0 * 1e6);
        println!("| {count} | {polls:.1} | {used:.0} | {} |", bytes_of_a_wait(count));
    }
    Ok(())
}

async fn wait_in_vain(count: usize, polls: &Arc<AtomicUsize>) {
    let simulator = Simulator::new();
    let (client, merchant) = (simulator.client(), simulator.merchant());
    let mut running = JoinSet::new();
    for id in (0..count).map(id) {
        let (client, merchant, polls) = (client.clone(), merchant.clone(), polls.clone());
        running.spawn(async move {
            let mut wait = pin!(client.wait_for_payment(&merchant, &id).into_future());
            let outcome = poll_fn(|context| {
                polls.fetch_add(1, Ordering::Relaxed);
                wait.as_mut().poll(context)
            });
            assert!(outcome.await.is_err(), "nothing is told");
        });
    }
    running.join_all().await;
}

fn bytes_of_a_wait(count: usize) -> u64 {
    let (runtime, simulator, inbox) = (paused(), Simulator::new(), Inbox::new());
    let (client, merchant) = (simulator.client(), simulator.merchant());
    let (ids, attempt): (Vec<_>, _) = ((0..count).map(id).collect(), attempt());
    let _entered = runtime.enter();
    let mut context = Context::from_waker(Waker::noop());
    let memory = measure(|| {
        let waits = ids.iter().map(|id| {
            let mut wait = client.wait_for_payment(&merchant, id).inbox(&inbox).at(&attempt).into_future();
            assert!(wait.as_mut().poll(&mut context).is_pending());
            wait
        });
        drop(waits.collect::<Vec<_>>());
    });
    memory.bytes_max / count as u64
}

fn attempt() -> Reference {
    "attempt-1".parse().expect("a reference")
}

/// They come together, before any of the tasks that wait for them runs.
fn callbacks() -> io::Result<()> {
    println!("\n| callbacks that come together | processor µs each, the waits ended |\n|---|---|");
    for count in [100, 1_000, 10_000] {
        let (runtime, simulator, inbox) = (paused(), Simulator::new(), Inbox::new());
        let (client, merchant) = (simulator.client(), simulator.merchant());
        let mut running = JoinSet::new();
        let used = processor_seconds(|| {
            runtime.block_on(async {
                for id in (0..count).map(id) {
                    let (client, merchant, inbox) = (client.clone(), merchant.clone(), inbox.clone());
                    running.spawn(
                        async move { client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&attempt()).await },
                    );
                }
                tokio::task::yield_now().await;
                for id in (0..count).map(id) {
                    inbox.deliver(&attempt(), Event::parse(told(id.as_str(), 1).as_bytes()).expect("a callback"));
                }
                while let Some(settled) = running.join_next().await {
                    settled.expect("no panic").expect("settled");
                }
            });
        })?;
        println!("| {count} | {:.1} |", used / count as f64 * 1e6);
    }
    Ok(())
}

/// A payment's callback, with a receipt of its own.
fn told(id: &str, number: usize) -> String {
    let receipt = format!(r#"{{"Name":"MpesaReceiptNumber","Value":"SKN{number:07}"}}"#);
    format!(
        r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"{id}","ResultCode":0,"CallbackMetadata":{{"Item":[{receipt}]}}}}}}}}"#
    )
}

fn keys() -> io::Result<()> {
    println!("\n| remembered keys | processor µs each, the callback read | bytes each |\n|---|---|---|");
    for count in [100, 1_000, 10_000, 100_000, 1_000_000] {
        let (mut keys, mut bytes) = (HashSet::new(), 0);
        let used = processor_seconds(|| {
            let memory = measure(|| {
                for number in 1..=count {
                    let event = Event::parse(told("ws_CO_1", number).as_bytes()).expect("a callback");
                    assert!(keys.insert(event.dedup_key()), "a receipt of its own");
                }
            });
            bytes = memory.bytes_current;
        })?;
        println!("| {count} | {:.2} | {:.0} |", used / count as f64 * 1e6, bytes as f64 / count as f64);
    }
    Ok(())
}

/// Stored and finished, then read again.
fn journal() -> io::Result<()> {
    println!(
        "\n| events in a journal | processor µs each, stored and finished | µs each, read again | bytes each, known again |\n|---|---|---|---|"
    );
    for count in [100, 1_000, 10_000, 100_000] {
        let (runtime, folder) = (runtime(), tempfile::tempdir()?);
        let path = folder.path().join("callbacks.jsonl");
        let stored = processor_seconds(|| runtime.block_on(store(&path, count)))?;
        let mut kept = 0;
        let read = processor_seconds(|| {
            let mut journal = None;
            kept = measure(|| journal = Some(Journal::open(&path).expect("a journal"))).bytes_current;
        })?;
        let each = |seconds: f64| seconds / count as f64 * 1e6;
        println!("| {count} | {:.1} | {:.1} | {:.0} |", each(stored), each(read), kept as f64 / count as f64);
    }
    Ok(())
}

async fn store(path: &std::path::Path, count: usize) {
    let (journal, mut unfinished) = Journal::open(path).expect("a journal");
    let mut running = JoinSet::new();
    for number in 1..=count {
        let journal = journal.clone();
        running.spawn(async move {
            let body = told("ws_CO_1", number);
            let event = Event::parse(body.as_bytes()).expect("a callback");
            journal.store(format!("attempt-{number}"), &event, body.as_bytes()).await.expect("there is room");
        });
        if running.len() >= 1_000 {
            running.join_next().await;
        }
    }
    running.join_all().await;
    for _ in 0..count {
        let entry = unfinished.next().await.expect("all were stored");
        let _ = entry.finish();
    }
    journal.close().await.expect("there is room");
}
