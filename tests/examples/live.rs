//! The path of somebody who has `MPESA_*` in the environment, with the served simulator as the sandbox.

use std::{
    io::{BufRead, BufReader, ErrorKind},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use crate::{built, run, text};

/// The example `simulator`, until it is dropped.
struct Sandbox {
    program: Child,
    settings: Vec<(String, String)>,
}

impl Sandbox {
    /// The settings are what it prints for programs in any language.
    fn start() -> Self {
        let mut program = Command::new(built::example("simulator"))
            .args(["--port", "0", "--seed", "7", "--answer-time", "2"])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let printed = BufReader::new(program.stdout.take().expect("it is piped"));
        let mut settings = Vec::new();
        for line in printed.lines() {
            let line = line.expect("text");
            if line.starts_with("Ctrl-C") {
                break;
            }
            if let Some((name, value)) = line.split_once('=').filter(|(name, _)| name.starts_with("MPESA_")) {
                settings.push((name.to_owned(), value.to_owned()));
            }
        }
        for name in ["BASE_URL", "CONSUMER_KEY", "CONSUMER_SECRET", "SHORTCODE", "PASSKEY", "B2C_SECURITY_CREDENTIAL"] {
            let name = format!("MPESA_{name}");
            assert!(settings.iter().any(|(known, _)| *known == name), "{name} is not printed: {settings:?}");
        }
        // Where payouts report to is the program's own affair: it listens on a port of the system's choosing.
        for (name, path) in [("MPESA_B2C_RESULT_URL", "result"), ("MPESA_B2C_TIMEOUT_URL", "timeout")] {
            settings.retain(|(known, _)| known != name);
            settings.push((name.to_owned(), format!("http://127.0.0.1:0/{path}")));
        }
        Self { program, settings }
    }

    /// The same settings with the base URL of a listener, which shows whether it is called.
    fn settings_for_a_listener(&self) -> (Vec<(String, String)>, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        listener.set_nonblocking(true).expect("a socket");
        let base_url = format!("http://{}", listener.local_addr().expect("its address"));
        let mut settings = self.settings.clone();
        settings.retain(|(name, _)| name != "MPESA_BASE_URL");
        settings.push(("MPESA_BASE_URL".to_owned(), base_url));
        (settings, listener)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.program.kill().and_then(|()| self.program.wait());
    }
}

/// Without `--yes` nothing is sent, not even for a token; with it, the program succeeds because the money has moved.
fn asks_before_it_pays(example: &str) {
    let sandbox = Sandbox::start();
    let arguments = ["--live", "--phone", "254708374149", "--amount", "10"];
    let (settings, listener) = sandbox.settings_for_a_listener();
    let output = run(example, &arguments, &settings);
    assert_eq!(output.status.code(), Some(2), "{}{}", text(&output.stdout), text(&output.stderr));
    let connection = listener.accept();
    assert!(connection.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "{example} called without --yes");
    let output = run(example, &[&arguments[..], &["--yes"]].concat(), &sandbox.settings);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn a_live_checkout_asks_before_it_pays() {
    asks_before_it_pays("checkout");
}

#[test]
fn a_live_payout_asks_before_it_pays() {
    asks_before_it_pays("payout");
}
