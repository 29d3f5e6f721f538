//! What is shown: lines of name and value, one live line while the customer decides, outcomes and errors.

use std::{
    error::Error,
    fmt::Display,
    io::{self, IsTerminal, Write},
    iter,
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use daraja::{
    Kes, Shillings,
    error::ConfigError,
    stk::{Outcome, Settled, Source},
};
use tokio::time::{Instant, interval_at};

/// Prints a line. A screen that was closed does not end the program in the middle of a payment.
macro_rules! say {
    ($($text:tt)*) => { drop(std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($text)*)))) };
}

/// The same for standard error.
macro_rules! warn {
    ($($text:tt)*) => { drop(std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{}\n", format_args!($($text)*)))) };
}

pub(crate) fn show(settled: &Settled, asked: Shillings) {
    let teller = if settled.source == Source::Callback { "told by the callback" } else { "told by query" };
    match &settled.outcome {
        Outcome::Paid(payment) => {
            row("PAID", teller);
            match &payment.receipt {
                Some(receipt) => row("receipt", receipt),
                None => row("receipt", "only the callback brings it, and the customer's SMS"),
            }
            match payment.amount {
                Some(paid) if paid == Kes::from(asked) => row("amount", format_args!("KES {paid}, as asked")),
                Some(paid) => row("amount", format_args!("KES {paid}, BUT KES {asked} WERE ASKED")),
                None => {}
            }
        }
        Outcome::Failed(failure) => {
            row("NOT PAID", teller);
            row("reason", format_args!("{} ({}: {:?})", failure.reason(), failure.code(), failure.description()));
            row("advice", failure.advice());
            row("customer", format_args!("{:?}", failure.customer_message()));
        }
    }
}

/// Awaits a future beside a line that tells how long it takes; if nobody watches it live, a new line each time.
pub(crate) async fn watch<T>(future: impl Future<Output = T>, every: Duration, tell: impl Fn() -> String) -> T {
    let (started, on_terminal) = (Instant::now(), io::stdout().is_terminal());
    let mut ticks = interval_at(started, every);
    let mut future = pin!(future);
    loop {
        tokio::select! {
            biased;
            done = &mut future => {
                if on_terminal {
                    say!("");
                }
                return done;
            }
            now = ticks.tick() => {
                let line = format!("  {:<12}{} s, {}", "waiting", now.saturating_duration_since(started).as_secs(), tell());
                if on_terminal {
                    // Back to the start of the line, and what is left of the old one is erased.
                    drop(write!(io::stdout(), "\r{line}\x1b[K").and_then(|()| io::stdout().flush()));
                } else {
                    say!("{line}");
                }
            }
        }
    }
}

pub(crate) fn row(name: &str, value: impl Display) {
    say!("  {name:<12}{value}");
}

/// Prints an error with its causes, or settings one by one, and gives back the exit code.
pub(crate) fn complain(error: &(dyn Error + 'static), exit: ExitCode) -> ExitCode {
    if let Some(settings) = error.downcast_ref::<ConfigError>() {
        warn!("error: settings are missing or wrong (.env.example shows them all)");
        for problem in settings.problems() {
            warn!("  {} {}", problem.name, problem.problem);
        }
        return exit;
    }
    warn!("error: {error}");
    for cause in iter::successors(error.source(), |&cause| cause.source()) {
        warn!("  caused by: {cause}");
    }
    exit
}
