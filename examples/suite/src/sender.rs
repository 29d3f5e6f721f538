//! The example `send_callback`, as somebody uses it who tries a recipe.

use std::{
    path::Path,
    process::{Command, Output},
};

use crate::{Disk, Setup, built, recipe::SECRET};

const SCENARIOS: [&str; 8] = [
    "stk-success",
    "stk-cancelled",
    "b2c-success",
    "b2c-timeout",
    "status-not-found",
    "balance",
    "c2b-validation",
    "c2b-confirmation",
];

/// A callback of every kind to its signed URL is accepted and processed once; one to an unsigned URL is refused.
pub fn what_the_example_posts_is_accepted(program: &Path) {
    let base = "http://127.0.0.1/daraja";
    let setup = Setup::of(program).with("MPESA_CALLBACK_URL", base);
    let setup = setup.with("MPESA_B2C_RESULT_URL", "").with("MPESA_B2C_TIMEOUT_URL", "");
    let recipe = setup.start();
    let base = format!("http://{}/daraja", recipe.address);
    for (number, scenario) in (1..).zip(SCENARIOS) {
        let (name, receipt) = (format!("sent-{number}"), format!("UJ6SEND00{number}"));
        let sent = send(&base, &["--reference", &name, "--id", &name, "--receipt", &receipt, scenario]);
        assert_eq!(sent.status.code(), Some(0), "{scenario}: {}", String::from_utf8_lossy(&sent.stdout));
    }
    let forged = send(&base, &["--to", &format!("{base}/forged/0"), "stk-success"]);
    assert_eq!(forged.status.code(), Some(1), "a forged callback was accepted");
    assert!(String::from_utf8_lossy(&forged.stdout).contains("status  404"), "{forged:?}");
    Disk::until_finished(&setup.journal(), SCENARIOS.len());
    recipe.stop();
    let disk = setup.disk();
    assert_eq!(disk.finished.len(), SCENARIOS.len(), "{:?}", disk.finished);
    disk.assert_each_finished_once();
}

fn send(base: &str, arguments: &[&str]) -> Output {
    let mut program = Command::new(built::example("send_callback"));
    program.args(arguments).env_clear().env("MPESA_CALLBACK_URL", base);
    program.env("MPESA_CALLBACK_SECRET", SECRET).env("MPESA_CALLBACK_SOURCES", "127.0.0.1");
    program.output().expect("it starts")
}
