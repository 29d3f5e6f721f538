//! What many payments at once cost, and what the ten-thousandth costs: `cargo bench --bench load -- [<part>...]`.
//!
//! Each part prints a table; `docs/performance.md` explains them. Ratios are medians of rounds in which the sides take
//! turns. The server is a process of its own, and so is each client whose start or memory is measured.

#![expect(clippy::arithmetic_side_effects, reason = "a bench that overflows ends")]
#![expect(clippy::cast_precision_loss, reason = "counts are small enough for what is printed of them")]

use std::{io, process::ExitCode};

mod alone;
mod at_once;
mod growth;
mod measure;
#[path = "../hot_paths/sample.rs"]
mod sample;
#[path = "../hot_paths/server.rs"]
mod server;

type Part = (&'static str, fn() -> io::Result<()>);

const PARTS: [Part; 8] = [
    ("allocations", alone::allocations),
    ("cold", alone::cold),
    ("memory", alone::memory),
    ("latency", at_once::latency),
    ("burst", at_once::burst),
    ("warm", at_once::warm),
    ("simulator", at_once::simulator),
    ("growth", growth::growth),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["serve", scheme, latency] => server::serve(scheme, latency),
        ["child", work, base_url, times] => alone::child(work, base_url, times),
        ref wanted => run(wanted),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: &[&str]) -> io::Result<()> {
    for (name, part) in PARTS.iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name)) {
        println!("\n### {name}\n");
        part()?;
    }
    Ok(())
}
