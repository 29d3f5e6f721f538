//! The examples as programs: what the README shows of them is what they print, and `--live` asks before money moves.

#[path = "../../examples/suite/src/built.rs"]
mod built;
mod live;
mod plays;
// For its own tests: an example that is tested is not built as a program.
#[expect(dead_code, reason = "its tests call neither its `main` nor what only that calls")]
#[path = "../../examples/send_callback.rs"]
mod send_callback;

use std::process::{Command, Output};

/// Runs an example with these arguments and settings, and nothing else of the environment, in a folder without a `.env`.
fn run(example: &str, arguments: &[&str], settings: &[(String, String)]) -> Output {
    let empty = tempfile::tempdir().expect("a folder");
    let mut program = Command::new(built::example(example));
    program.args(arguments).env_clear().envs(settings.iter().cloned()).current_dir(empty.path());
    program.output().expect("it starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}
