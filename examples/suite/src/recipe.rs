//! A recipe as a process.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use daraja::webhook::{Purpose, SignedUrls};
use tempfile::TempDir;

use crate::{Disk, post::post};

/// Signs the URLs of every recipe under test.
pub(crate) const SECRET: &str = "planted-words-that-sign-for-the-suite";

/// What must never be seen in a log: names and numbers that the deliveries of the suite hold, signatures, bodies.
const PLANTED: [&str; 9] = [
    SECRET,
    "PLANTED NAME",
    "planted-credential",
    "254708374149",
    "708374149",
    "25470000",
    "ResultDesc",
    "CallbackMetadata",
    "/stk/",
];

/// How a recipe is started.
#[derive(Debug)]
pub struct Setup {
    program: PathBuf,
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
    address: String,
    file_kilobytes: Option<u32>,
}

impl Setup {
    /// On a loopback port of the system's choosing, for deliveries from loopback, with a journal of its own.
    pub fn of(program: &Path) -> Self {
        let variables = vec![
            ("MPESA_CALLBACK_URL", "http://127.0.0.1/daraja/stk".to_owned()),
            ("MPESA_B2C_RESULT_URL", "http://127.0.0.1/daraja/result".to_owned()),
            ("MPESA_B2C_TIMEOUT_URL", "http://127.0.0.1/daraja/timeout".to_owned()),
            ("MPESA_CALLBACK_SECRET", SECRET.to_owned()),
            ("MPESA_CALLBACK_SOURCES", "127.0.0.1".to_owned()),
        ];
        let folder = tempfile::tempdir().expect("a folder");
        Self { program: program.to_owned(), folder, variables, address: "127.0.0.1:0".to_owned(), file_kilobytes: None }
    }

    /// With a setting of its own.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            self.variables.push((name, value.to_owned()));
        }
        self
    }

    /// On this address.
    #[must_use]
    pub fn at(mut self, address: &str) -> Self {
        address.clone_into(&mut self.address);
        self
    }

    /// With room for files of this size only, as on a disk that is nearly full.
    #[must_use]
    pub fn with_file_kilobytes(mut self, most: u32) -> Self {
        self.file_kilobytes = Some(most);
        self
    }

    /// The journal's path.
    pub fn journal(&self) -> PathBuf {
        self.folder.path().join("callbacks.jsonl")
    }

    /// What is in the journal.
    pub fn disk(&self) -> Disk {
        Disk::read(&self.journal())
    }

    /// Starts it, and waits until it listens.
    pub fn start(&self) -> Recipe {
        let mut child = self.spawn();
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let log = thread::spawn(move || read(stderr));
        let (address, stdout) = listening(stdout);
        let Some(address) = address else {
            drop(child.kill());
            panic!("it does not listen: {}", log.join().expect("the log"));
        };
        // Answered once, it listens to signals as well.
        post(address, "/", "").expect("an answer");
        Recipe { child, address, log: Some(log), stdout: Some(stdout) }
    }

    /// Starts it where it cannot start, and gives what it says.
    pub fn start_in_vain(&self) -> String {
        let mut child = self.spawn();
        let stderr = child.stderr.take().expect("it is piped");
        let log = thread::spawn(move || read(stderr));
        let Some(status) = ended(&mut child, Duration::from_secs(10)) else {
            drop(child.kill());
            panic!("it started all the same: {}", log.join().expect("the log"));
        };
        assert!(!status.success(), "it ended well");
        log.join().expect("the log")
    }

    fn spawn(&self) -> Child {
        self.command()
            .args([self.address.as_str().as_ref(), self.journal().as_os_str()])
            // Nothing of the environment reaches it, and no .env file is near.
            .env_clear()
            .current_dir(self.folder.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the recipe can be started")
    }

    fn command(&self) -> Command {
        let Some(most) = self.file_kilobytes else { return Command::new(&self.program) };
        // In blocks of 512 bytes.
        let limit = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", most * 2);
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &limit]).arg(&self.program);
        command
    }
}

/// A recipe that runs.
#[derive(Debug)]
pub struct Recipe {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    log: Option<JoinHandle<String>>,
    stdout: Option<JoinHandle<String>>,
}

impl Recipe {
    /// The URLs that it takes deliveries to: their host is the one of its settings, wherever it listens.
    pub fn urls(&self) -> SignedUrls {
        let base =
            |path: &str| format!("http://127.0.0.1:{}/daraja/{path}", self.address.port()).parse().expect("a URL");
        let urls = SignedUrls::new(base("stk"), SECRET).expect("a base and a secret");
        // As the variables above say.
        [(Purpose::Stk, "stk"), (Purpose::Payout, "result"), (Purpose::PayoutTimeout, "timeout")]
            .into_iter()
            .fold(urls, |urls, (purpose, path)| urls.at(purpose, base(path)).expect("a base"))
    }

    /// The most memory that it ever held, in KiB.
    pub fn peak_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("the system tells of its processes");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.end();
    }

    /// Asks it to end, as `kill` does, and sees that it ends well.
    pub fn stop(mut self) {
        self.terminate();
        let status = self.end();
        assert!(status.success(), "it ended badly: {status}");
    }

    /// Asks it to end, as `kill` does, and does not wait.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Asks it to end, as Ctrl-C does, and does not wait.
    pub fn interrupt(&self) {
        self.signal("-INT");
    }

    fn signal(&self, signal: &str) {
        let asked = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status();
        assert!(asked.expect("kill can be run").success());
    }

    /// Waits until it has ended, and looks for what must not be in its log.
    fn end(&mut self) -> ExitStatus {
        let status = ended(&mut self.child, Duration::from_secs(60)).expect("it ends");
        let logs = [self.log.take(), self.stdout.take()];
        for log in logs.into_iter().flatten().map(|log| log.join().expect("the log")) {
            for planted in PLANTED {
                assert!(!log.contains(planted), "{planted:?} is in its log:\n{log}");
            }
        }
        status
    }
}

impl Drop for Recipe {
    /// A test that failed leaves no process behind, and shows what it said.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if thread::panicking()
            && let Some(Ok(log)) = self.log.take().map(JoinHandle::join)
        {
            eprintln!("its log:\n{log}");
        }
    }
}

/// How it ended, if it does so in this time.
fn ended(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let started = Instant::now();
    while started.elapsed() < patience {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(10));
    }
    None
}

/// Where it says that it listens, and all else that it prints.
fn listening(stdout: ChildStdout) -> (Option<SocketAddr>, JoinHandle<String>) {
    let mut lines = BufReader::new(stdout);
    let mut line = String::new();
    lines.read_line(&mut line).expect("text");
    let address = line.trim().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
    let rest = thread::spawn(move || {
        let mut rest = String::new();
        drop(lines.read_to_string(&mut rest));
        rest
    });
    (address, rest)
}

fn read(mut stderr: ChildStderr) -> String {
    let mut text = Vec::new();
    drop(stderr.read_to_end(&mut text));
    String::from_utf8_lossy(&text).into_owned()
}
