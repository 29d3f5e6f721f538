//! The hot paths beside their floors: the least code that does the same work, without what the crate guarantees.
//!
//! `cargo bench --bench hot_paths` runs the sides of each path in turn, some milliseconds each, and prints the median of
//! the rounds' ratios. Times differ between machines and minutes; the ratios hardly do. `instructions.sh` counts
//! instructions with the same program, by `hot_paths run <path> <side> <times> [<base URL>]` and
//! `hot_paths serve <http|https|https12> <milliseconds of latency>`.

use std::{
    hint::black_box,
    io,
    process::ExitCode,
    time::{Duration, Instant},
};

mod around;
mod over_a_network;
mod parsing;
mod sample;
mod server;

use server::Server;

/// Does its work so many times.
type Subject = Box<dyn FnMut(u32)>;

/// One way to do it, made for the server at this base URL.
type Make = fn(base_url: &str) -> Subject;

struct Path {
    name: &'static str,
    ours: Make,
    floor: Make,
    /// Another way, to be compared with as well.
    other: Option<(&'static str, Make)>,
}

const PATHS: [Path; 6] = [
    Path {
        name: "push",
        ours: over_a_network::push,
        floor: over_a_network::by_reqwest,
        other: Some(("hyper", over_a_network::by_hyper)),
    },
    Path { name: "token", ours: around::token, floor: around::token_floor, other: None },
    Path { name: "encode", ours: parsing::encode, floor: parsing::encode_floor, other: None },
    Path {
        name: "callback",
        ours: parsing::callback,
        floor: parsing::callback_floor,
        other: Some(("value", parsing::callback_value)),
    },
    Path {
        name: "result",
        ours: parsing::result,
        floor: parsing::result_floor,
        other: Some(("value", parsing::result_value)),
    },
    Path { name: "msisdn", ours: parsing::msisdn, floor: parsing::msisdn_floor, other: None },
];

const USAGE: &str = "hot_paths [serve <http|https|https12> <latency> | run <path> <side> <times> [<base URL>]]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).filter(|argument| *argument != "--bench").collect();
    let done = match arguments[..] {
        [] => compare(),
        ["serve", scheme, latency] => server::serve(scheme, latency),
        ["run", path, side, times] => run(path, side, times, "http://127.0.0.1:9"),
        ["run", path, side, times, base_url] => run(path, side, times, base_url),
        _ => Err(io::Error::other(USAGE)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(path: &str, side: &str, times: &str, base_url: &str) -> io::Result<()> {
    let path = PATHS.iter().find(|known| known.name == path).ok_or(io::Error::other(USAGE))?;
    let make = match (side, path.other) {
        ("ours", _) => path.ours,
        ("floor", _) => path.floor,
        (side, Some((name, make))) if side == name => make,
        _ => return Err(io::Error::other(USAGE)),
    };
    let mut subject = make(base_url);
    // Connections are opened, and what is made once is made.
    subject(20);
    counted(&mut subject, times.parse().map_err(io::Error::other)?);
    Ok(())
}

/// All that `instructions.sh` counts: it knows this function by its name.
#[inline(never)]
fn counted(subject: &mut Subject, times: u32) {
    black_box(&mut *subject)(times);
    black_box(subject);
}

const ROUNDS: usize = 31;
const ROUND: Duration = Duration::from_millis(8);

fn compare() -> io::Result<()> {
    println!("| path | ours, ns | floor, ns | ours ÷ floor | other, ns | ours ÷ other |\n|---|---|---|---|---|---|");
    for scheme in ["http", "https"] {
        let server = Server::start(scheme, Duration::ZERO)?;
        for path in PATHS.iter().filter(|path| path.name == "push" || scheme == "http") {
            let name = if scheme == "https" { format!("{} over TLS", path.name) } else { path.name.to_owned() };
            compare_one(&name, path, &server.base_url);
        }
    }
    Ok(())
}

fn compare_one(name: &str, path: &Path, base_url: &str) {
    let makes = [Some(path.ours), Some(path.floor), path.other.map(|(_, make)| make)];
    let mut sides: Vec<_> = makes.into_iter().flatten().map(|make| make(base_url)).collect();
    let times: Vec<_> = sides.iter_mut().map(times_in_a_round).collect();
    let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); sides.len()];
    for _ in 0..ROUNDS {
        for ((side, times), seconds) in sides.iter_mut().zip(&times).zip(&mut rounds) {
            seconds.push(measure(side, *times));
        }
    }
    let nanoseconds = |side: &[f64]| format!("{:.0}", median(side.iter().map(|seconds| seconds * 1e9)));
    let [ours, rest @ ..] = &rounds[..] else { return };
    let others = rest.iter().map(|side| {
        let ratio = median(ours.iter().zip(side).map(|(ours, other)| ours / other));
        format!(" {} | {ratio:.2} |", nanoseconds(side))
    });
    let none = if rest.len() == 1 { " | |" } else { "" };
    println!("| {name} | {} |{}{none}", nanoseconds(ours), others.collect::<String>());
}

fn times_in_a_round(subject: &mut Subject) -> u32 {
    let mut times = 1_u32;
    while measure(subject, times) * f64::from(times) < ROUND.as_secs_f64() {
        times = times.saturating_mul(2);
    }
    times
}

/// Seconds for one time.
fn measure(subject: &mut Subject, times: u32) -> f64 {
    let started = Instant::now();
    subject(times);
    started.elapsed().as_secs_f64() / f64::from(times)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
