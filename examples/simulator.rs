//! The simulator on a port, for programs in any language: `cargo run --example simulator -- --port 8090`.
//!
//! Standard output holds the settings by which a program calls it, one variable to a line; standard error tells of each
//! exchange, without numbers, tokens or bodies.

use std::{
    error::Error,
    fmt::{Arguments, Display},
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use daraja::{
    ResultUrls,
    simulator::{PAYOUT_SCENARIOS, SCENARIOS, Served, Simulator},
};

#[path = "shared/stop.rs"]
mod stop;

use stop::stop_signal;

/// A local Daraja for programs in any language: no account is needed and no real money can move.
#[derive(Parser)]
struct Options {
    /// The loopback port to serve on; 0 lets the system choose
    #[arg(long, default_value_t = 8090)]
    port: u16,
    /// What ids, receipts and moods come from; another one each time unless set
    #[arg(long)]
    seed: Option<u64>,
    /// How many seconds every customer takes to answer; unless set, as many as the scenario says
    #[arg(long, value_name = "SECONDS")]
    answer_time: Option<u64>,
    /// Print the certificate that an initiator's password is encrypted with, and end
    #[arg(long)]
    certificate: bool,
}

/// Where a program of yours may receive callbacks and results. They are posted to loopback addresses only.
const CALLBACK_URL: &str = "http://127.0.0.1:5000/callbacks/stk";
const RESULT_URL: &str = "http://127.0.0.1:5000/b2c/result";
const TIMEOUT_URL: &str = "http://127.0.0.1:5000/b2c/timeout";

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    if options.certificate {
        say(format_args!("{}", Simulator::new().certificate_pem().trim_end()));
        return ExitCode::SUCCESS;
    }
    tracing_subscriber::fmt().with_writer(io::stderr).with_target(false).without_time().init();
    match serve(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "error: port {} cannot be served on: {error}", options.port));
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: &Options) -> Result<(), Box<dyn Error>> {
    let seed = options.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    let builder = Simulator::builder().seed(seed);
    let simulator = match options.answer_time {
        Some(seconds) => builder.answer_time(Duration::from_secs(seconds)),
        None => builder,
    }
    .build();
    let served = simulator.serve(("127.0.0.1", options.port)).await?;
    let stopped = stop_signal()?;
    let urls = ResultUrls::new(RESULT_URL.parse()?, TIMEOUT_URL.parse()?);
    introduce(&simulator, &served, &urls, options.answer_time.unwrap_or(17));
    tokio::select! {
        () = served.forever() => {}
        () = stopped => say(format_args!("\nstopped")),
    }
    Ok(())
}

fn introduce(simulator: &Simulator, served: &Served, urls: &ResultUrls, approving_seconds: u64) {
    say(format_args!("A local Daraja is served at {}. No real money can move.", served.base_url()));
    say(format_args!("\nSettings for a program that calls it:\n"));
    for (name, value) in served.variables() {
        say(format_args!("{name}={value}"));
    }
    say(format_args!("MPESA_CALLBACK_URL={CALLBACK_URL}"));
    for (name, value) in served.payout_variables(urls) {
        say(format_args!("{name}={value}"));
    }
    say(format_args!(""));
    let till = simulator.till_merchant();
    if let Some(number) = till.till_number() {
        row(
            "a till",
            format_args!("instead of the PayBill: MPESA_SHORTCODE={} MPESA_TILL={number}", till.short_code()),
        );
    }
    row("callbacks", "and results go to the URLs of each request, on this computer only; those above are examples");
    row(
        "initiator",
        format_args!(
            "has the password {}; --certificate prints what to encrypt it with",
            simulator.initiator_password().expose()
        ),
    );
    row("queries", "one in 12 s, as in the sandbox; more are answered with 429");
    row("seed", format_args!("{} (give it with --seed to have the same ids again)", simulator.seed()));
    say(format_args!("\nA customer decides by the last two digits of the number:\n"));
    for scenario in SCENARIOS {
        row(&format!("..{:02}", scenario.ends_in), scenario.story);
    }
    row("all others", format_args!("approve after {approving_seconds} s, 254708374149 among them"));
    say(format_args!("\nA payout ends by the last two digits of its recipient:\n"));
    for scenario in PAYOUT_SCENARIOS {
        row(&format!("..{:02}", scenario.ends_in), scenario.story);
    }
    row("all others", "are paid, as long as the utility account holds enough");
    say(format_args!("\nCtrl-C stops it."));
}

fn row(name: &str, value: impl Display) {
    say(format_args!("  {name:<12}{value}"));
}

/// Prints a line. Nobody has to read on: the simulator serves all the same.
fn say(line: Arguments<'_>) {
    drop(writeln!(io::stdout(), "{line}"));
}
