//! What is shown: lines of name and value, one live line while something is awaited, and errors.

use std::{
    error::Error,
    fmt::Display,
    io::{self, IsTerminal, Write},
    iter,
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use daraja::error::ConfigError;
use tokio::time::{Instant, interval_at};

/// Prints a line. A screen that was closed does not end the program in the middle of a payment.
macro_rules! say {
    ($($text:tt)*) => { drop(std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($text)*)))) };
}

/// The same for standard error.
macro_rules! warn {
    ($($text:tt)*) => { drop(std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{}\n", format_args!($($text)*)))) };
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
