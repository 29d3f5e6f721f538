//! Why the shop is not started, for the person who starts it.

use std::fmt;

/// Why nothing is started.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The command line says something else than `demo`.
    Usage,
    /// No variable is set, and the demo was not asked for.
    NothingSet,
    /// All that is missing or wrong, one line each.
    Real(Vec<String>),
    /// All that keeps the demo from its start, one line each.
    Demo(Vec<String>),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reason, problems) = match self {
            Self::Usage => ("the only argument that the shop takes is: demo", &Vec::new()),
            Self::NothingSet => ("nothing is configured, so nothing is started.", &Vec::new()),
            Self::Real(problems) => ("the shop is not started: its configuration is missing or wrong:", problems),
            Self::Demo(problems) => ("the demo is not started:", problems),
        };
        writeln!(f, "{reason}")?;
        for problem in problems {
            writeln!(f, "  {problem}")?;
        }
        writeln!(f, "The demo, with a simulator in place of M-PESA: cargo run -p shop -- demo")?;
        write!(f, "A real shop: examples/shop/.env.example says what each variable means.")
    }
}
