//! Payouts by M-PESA, from the supplier's number as typed to the receipt.
//!
//! `cargo run --example payout` plays three of them offline against the simulator, whatever the environment holds.
//! `cargo run --example payout -- --live --phone N --amount K` makes one for real: see `--help`.

use std::process::ExitCode;

use clap::Parser;

#[macro_use]
#[path = "../shared/screen.rs"]
mod screen;
mod cashier;
mod live;
#[path = "../shared/live.rs"]
mod live_tools;
mod play;
mod receiver;
#[path = "../shared/web.rs"]
mod web;

/// Payouts by M-PESA, from the supplier's number as typed to the receipt.
///
/// Without arguments three payouts are played by the simulator, on this computer alone: nothing is read from the
/// environment and no real money can move. With --live one payout is made for real.
#[derive(Parser)]
#[command(
    after_help = "Exit codes: 0 paid (in the play: each payout ended as its scenario says), 1 not paid or not known, \
                        2 nothing was sent, 3 accepted, and the result goes to a URL elsewhere."
)]
pub(crate) struct Options {
    /// Pay for real, with the `MPESA_*` and `MPESA_B2C_*` variables of the environment or of ./.env: real money leaves
    #[arg(long, requires_all = ["phone", "amount"])]
    live: bool,
    /// Who is paid, as people write it: "0712 345 678"
    #[arg(long, value_name = "NUMBER", requires = "live", allow_hyphen_values = true)]
    phone: Option<String>,
    /// How many shillings are paid
    #[arg(long, value_name = "SHILLINGS", requires = "live", allow_hyphen_values = true)]
    amount: Option<String>,
    /// Send the payout: without this you are only shown what would be sent
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
