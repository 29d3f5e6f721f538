//! One caller: what a push allocates, what a first push costs, what a process keeps.

use std::{
    io,
    process::Command,
    time::{Duration, Instant},
};

use allocation_counter::measure;
use daraja::{B2cResult, StkCallback};
use serde_json::Value;

use crate::{
    measure::{Side, median, processor_time, ratio},
    sample::{CALLBACK, RESULT, runtime},
    server::Server,
};

/// Allocations of one time, after a hundred.
pub(crate) fn allocations() -> io::Result<()> {
    println!("| what | ours | bare reqwest | hyper, pooled | `Value` |\n|---|---|---|---|---|");
    let server = Server::start("https", Duration::ZERO)?;
    let runtime = runtime();
    let sides = [Side::ours, Side::reqwest, Side::hyper].map(|side| side(&server.base_url));
    let push = sides.map(|side| {
        let hundred = || {
            runtime.block_on(async {
                for _ in 0..100 {
                    side.push().await;
                }
            });
        };
        hundred();
        measure(hundred).count_total as f64 / 100.0
    });
    println!("| push over TLS | {:.1} | {:.1} | {:.1} | |", push[0], push[1], push[2]);
    let value = |text: &str| measure(|| drop(serde_json::from_str::<Value>(text))).count_total;
    let callback = measure(|| drop(StkCallback::parse(CALLBACK.as_bytes()))).count_total;
    println!("| STK callback | {callback} | | | {} |", value(CALLBACK));
    let result = measure(|| drop(B2cResult::parse(RESULT.as_bytes()))).count_total;
    println!("| B2C result | {result} | | | {} |", value(RESULT));
    let client = crate::sample::client(&server.base_url);
    println!("| clone of the client | {} | | | |", measure(|| drop(client.clone())).count_total);
    Ok(())
}

/// From the start of `main` to the answer of the first push: a client, a connection, for ours a token.
pub(crate) fn cold() -> io::Result<()> {
    const ROUNDS: usize = 21;
    println!("| first push over TLS | wall, ms | processor, ms | processor ÷ bare reqwest |\n|---|---|---|---|");
    let server = Server::start("https", Duration::ZERO)?;
    let mut rounds = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (side, rounds) in ["ours", "reqwest", "hyper"].iter().zip(&mut rounds) {
            rounds.push(numbers(side, &server.base_url, "1")?);
        }
    }
    let column = |side: usize, column: usize| -> Vec<f64> {
        rounds.get(side).into_iter().flatten().filter_map(|round| round.get(column).copied()).collect()
    };
    for (place, name) in ["ours", "bare reqwest", "hyper, pooled"].iter().enumerate() {
        let (wall, processor) = (median(column(place, 0)), median(column(place, 1)));
        println!("| {name} | {wall:.1} | {processor:.1} | {:.2} |", ratio(&column(place, 1), &column(1, 1)));
    }
    Ok(())
}

/// The most memory that a process has held which sent so many pushes over TLS.
pub(crate) fn memory() -> io::Result<()> {
    println!("| pushes | ours, MiB | bare reqwest, MiB |\n|---|---|---|");
    let server = Server::start("https", Duration::ZERO)?;
    for times in ["1", "1000", "100000"] {
        let peak =
            |side| Ok::<_, io::Error>(numbers(side, &server.base_url, times)?.get(2).copied().unwrap_or(f64::NAN));
        println!("| {times} | {:.1} | {:.1} |", peak("ours")?, peak("reqwest")?);
    }
    Ok(())
}

/// What a process of its own has told: milliseconds, milliseconds of processor, MiB.
fn numbers(side: &str, base_url: &str, times: &str) -> io::Result<Vec<f64>> {
    let output = Command::new(std::env::current_exe()?).args(["child", side, base_url, times]).output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    told.split_whitespace().map(|number| number.parse().map_err(io::Error::other)).collect()
}

/// That process.
pub(crate) fn child(side: &str, base_url: &str, times: &str) -> io::Result<()> {
    let (started, before) = (Instant::now(), processor_time()?);
    let times: u32 = times.parse().map_err(io::Error::other)?;
    runtime().block_on(async {
        let side = match side {
            "ours" => Side::ours(base_url),
            "reqwest" => Side::reqwest(base_url),
            _ => Side::hyper(base_url),
        };
        for _ in 0..times {
            side.push().await;
        }
    });
    let used = processor_time()?.saturating_sub(before);
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
    let peak: f64 = peak.unwrap_or(f64::NAN);
    println!("{} {} {}", started.elapsed().as_secs_f64() * 1e3, used.as_secs_f64() * 1e3, peak / 1024.0);
    Ok(())
}
