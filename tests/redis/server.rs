//! A Redis server on a loopback port, and what can happen to one.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
};

use tempfile::TempDir;

/// Whether the tests can run. If not, it says so past the test harness, which would keep it to itself.
pub(crate) fn is_here() -> bool {
    let found =
        Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok_and(|it| it.success());
    if !found {
        assert_ne!(env::var("DARAJA_TEST_REDIS").as_deref(), Ok("required"), "no redis-server is in the PATH");
        let test = thread::current().name().unwrap_or("a test").to_owned();
        let line = format!("NOT RUN: {test}: no redis-server is in the PATH\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    found
}

/// A running server. It has nothing on the disk, so a restart empties it.
pub(crate) struct Redis {
    child: Child,
    port: u16,
    folder: TempDir,
    options: Vec<String>,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::with(|_, _| Vec::new())
    }

    /// Starts one with options that may depend on its folder and port.
    pub(crate) fn with(options: impl Fn(&TempDir, u16) -> Vec<String>) -> Self {
        let folder = TempDir::new().unwrap();
        // Somebody else may take the port before the server does.
        for _ in 0..20 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let options = options(&folder, port);
            if let Some(child) = run(&folder, port, &options) {
                return Self { child, port, folder, options };
            }
        }
        panic!("no redis-server could be started");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &TempDir {
        &self.folder
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port, empty.
    pub(crate) fn restart(&mut self) {
        self.child = run(&self.folder, self.port, &self.options).expect("its port is still free");
    }

    /// It accepts connections by the system's hand, and answers nothing.
    pub(crate) fn stop(&self) {
        self.signal("STOP");
    }

    pub(crate) fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status().unwrap();
        assert!(sent.success());
    }

    /// Runs one command in it, and gives what it prints.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// The names of its keys, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.run(&["KEYS", "*"]).lines().map(str::to_owned).collect();
        keys.retain(|key| !key.is_empty());
        keys.sort();
        keys
    }

    /// The name of the one key that ends like this.
    pub(crate) fn key(&self, ending: &str) -> String {
        let mut keys = self.keys();
        keys.retain(|key| key.ends_with(ending));
        assert_eq!(keys.len(), 1, "{keys:?}");
        keys.remove(0)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Nothing, if the server ends before it is ready.
fn run(folder: &TempDir, port: u16, options: &[String]) -> Option<Child> {
    let mut child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(options)
        .arg("--dir")
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    if log.any(|line| line.contains("Ready to accept connections")) {
        thread::spawn(move || log.for_each(drop));
        return Some(child);
    }
    child.wait().unwrap();
    None
}
