//! A checkout by M-PESA, from the phone number as typed to the receipt.
//!
//! `cargo run --example checkout` plays it offline with three simulated customers, whatever the environment holds.
//! `cargo run --example checkout -- --live --phone N --amount K` sends one push for real: see `--help`.

use std::process::ExitCode;

use clap::Parser;

#[macro_use]
#[path = "../shared/screen.rs"]
mod screen;
mod live;
#[path = "../shared/live.rs"]
mod live_tools;
mod outcome;
mod play;
mod receiver;
#[path = "../shared/web.rs"]
mod web;

/// A checkout by M-PESA, from the phone number as typed to the receipt.
///
/// Without arguments three customers are played by the simulator, on this computer alone: nothing is read from the
/// environment and no real money can move. With --live one push goes to a real phone.
#[derive(Parser)]
#[command(after_help = "Exit codes: 0 paid (in the play: each payment ended as its scenario says), \
                        1 not paid or not known, 2 nothing was sent.")]
pub(crate) struct Options {
    /// Push to a real phone, with the MPESA_* variables of the environment or of ./.env: real money moves
    #[arg(long, requires_all = ["phone", "amount"])]
    live: bool,
    /// Whose phone is asked, as people write it: "0712 345 678"
    #[arg(long, value_name = "NUMBER", requires = "live", allow_hyphen_values = true)]
    phone: Option<String>,
    /// How many shillings are asked for
    #[arg(long, value_name = "SHILLINGS", requires = "live", allow_hyphen_values = true)]
    amount: Option<String>,
    /// Send the push: without this you are only shown what would be sent
    #[arg(long, requires = "live")]
    pub(crate) yes: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match (&options.phone, &options.amount) {
        (Some(phone), Some(amount)) => live::run(phone, amount, &options).await,
        _ => play::run().await,
    }
}
