//! Processes of one app, each with its own client and its own clock, that do as they are told on their standard input.

use std::{
    env,
    io::{self, BufRead, BufReader, Lines, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use daraja::{
    Client, Environment, Shillings, StkPush,
    simulator::{Route, Served, Simulator, SimulatorBuilder},
    token::RedisTokenStore,
};
use tokio::runtime::Runtime;

/// What a process is told by: its base URL, Redis, a file of certificates, hours that its clock is ahead, the token timeout.
const BASE: &str = "FLEET_BASE";
const REDIS: &str = "FLEET_REDIS";
const AUTHORITY: &str = "FLEET_AUTHORITY";
/// What OpenSSL and rustls call it.
const SYSTEM_AUTHORITIES: &str = "SSL_CERT_FILE";
const CLOCK: &str = "FLEET_CLOCK";
const PATIENCE: &str = "FLEET_PATIENCE";

/// What begins the lines that are meant for the test; the harness prints others.
const MARK: &str = "fleet: ";

#[test]
#[ignore = "it is what the other tests start as a process of a fleet"]
fn a_process_of_a_fleet() {
    let Ok(base) = env::var(BASE) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = client(&base);
        for (number, line) in io::stdin().lines().map_while(Result::ok).enumerate() {
            let started = Instant::now();
            let told = match line.as_str() {
                "push" => client.send(&push(number)).await.map(|_| ()),
                "two pushes" => {
                    let (one, other) = (push(number), push(number + 50));
                    let (one, other) = tokio::join!(client.send(&one), client.send(&other));
                    one.and(other).map(|_| ())
                }
                "push without the product" => match client.send(&push(number)).await {
                    Err(error) if error.to_string().contains("lacks this API product") => Ok(()),
                    other => panic!("{other:?}"),
                },
                other => panic!("{other}?"),
            };
            let told = told.map_or_else(|error| format!("{error:?}").replace('\n', " "), |()| "Ok".to_owned());
            println!("\n{MARK}{} {told}", started.elapsed().as_millis());
        }
    });
}

fn client(base: &str) -> Client {
    let url = env::var(REDIS).unwrap();
    let store = match env::var(AUTHORITY) {
        Ok(file) => RedisTokenStore::with_authority(&url, &std::fs::read(file).unwrap()).unwrap(),
        Err(_) => RedisTokenStore::new(&url).unwrap(),
    };
    let hours = TimeDelta::hours(env::var(CLOCK).unwrap().parse().unwrap());
    Client::builder(Environment::custom(base).unwrap(), Simulator::new().credentials())
        .token_store(store)
        .token_timeout(Duration::from_millis(env::var(PATIENCE).unwrap().parse().unwrap()))
        .clock(move || Utc::now() + hours)
        .build()
        .unwrap()
}

fn push(number: usize) -> StkPush {
    let simulator = Simulator::new();
    let payer = format!("25470000{:04}", std::process::id() as usize % 80 * 100 + number).parse().unwrap();
    let (amount, reference) = (Shillings::new(500).unwrap(), "INV-001".parse().unwrap());
    StkPush::new(&simulator.merchant(), payer, amount, reference, simulator.callback_url())
}

/// A simulator on a port, and eight processes that call it, with what they were told about Redis.
pub(crate) struct Fleet {
    pub(crate) simulator: Simulator,
    processes: Vec<Process>,
    _served: Served,
    _runtime: Runtime,
}

/// What a fleet is made of.
pub(crate) struct Orders<'a> {
    pub(crate) redis: String,
    pub(crate) authority: Option<&'a Path>,
    /// The file of those whom the operating system trusts, if it is not the usual one.
    pub(crate) system_authorities: Option<&'a Path>,
    /// How many hours the clock of each process is ahead.
    pub(crate) clocks: [i64; 8],
    pub(crate) token_timeout: Duration,
    pub(crate) simulator: SimulatorBuilder,
}

impl Orders<'_> {
    pub(crate) fn new(redis: impl Into<String>) -> Self {
        Self {
            redis: redis.into(),
            authority: None,
            system_authorities: None,
            clocks: [0; 8],
            token_timeout: Duration::from_secs(10),
            simulator: Simulator::builder(),
        }
    }
}

impl Fleet {
    pub(crate) fn start(orders: Orders<'_>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let simulator = orders.simulator.build();
        let served = runtime.block_on(simulator.serve("127.0.0.1:0")).unwrap();
        let settings = [
            (BASE, served.base_url()),
            (REDIS, orders.redis),
            (PATIENCE, orders.token_timeout.as_millis().to_string()),
        ];
        let start = |hours: i64| {
            let mut command = Command::new(env::current_exe().unwrap());
            command.env_clear().envs(settings.clone()).env(CLOCK, hours.to_string());
            for (name, file) in [(AUTHORITY, orders.authority), (SYSTEM_AUTHORITIES, orders.system_authorities)] {
                if let Some(file) = file {
                    command.env(name, file);
                }
            }
            Process::start(command)
        };
        let processes = orders.clocks.into_iter().map(start).collect();
        Self { simulator, processes, _served: served, _runtime: runtime }
    }

    /// Every process sends a push at the same time, and every one is accepted. Gives the longest time that one took.
    pub(crate) fn push(&mut self) -> Duration {
        self.all("push")
    }

    /// The same, with two pushes at a time in each process.
    pub(crate) fn push_twice(&mut self) -> Duration {
        self.all("two pushes")
    }

    /// Every process sends a push at the same time, and every one is told that the app lacks the product.
    pub(crate) fn push_without_product(&mut self) {
        self.all("push without the product");
    }

    fn all(&mut self, order: &str) -> Duration {
        self.processes.iter_mut().for_each(|process| process.tell(order));
        self.processes.iter_mut().map(Process::outcome).max().unwrap()
    }

    /// Each process sends a push after the one before it has ended.
    pub(crate) fn push_in_turn(&mut self) -> Duration {
        let in_turn = |process: &mut Process| {
            process.tell("push");
            process.outcome()
        };
        self.processes.iter_mut().map(in_turn).max().unwrap()
    }

    /// The first process begins a push.
    pub(crate) fn first_begins(&mut self) {
        self.processes[0].tell("push");
    }

    /// What the first process began ends well.
    pub(crate) fn first_ends(&mut self) {
        self.processes[0].outcome();
    }

    /// Every process but the first sends a push at the same time.
    pub(crate) fn others_push(&mut self) {
        let others = &mut self.processes[1..];
        for process in &mut *others {
            process.tell("push");
        }
        for process in others {
            process.outcome();
        }
    }

    /// Ends the first process at once.
    pub(crate) fn first_is_killed(&mut self) {
        drop(self.processes.remove(0));
    }

    /// How many tokens Daraja was asked for.
    pub(crate) fn fetches(&self) -> usize {
        self.simulator.calls(Route::OAuth)
    }

    /// Waits for that many questions for a token.
    pub(crate) fn wait_for_fetches(&self, count: usize) {
        while self.fetches() < count {
            std::thread::yield_now();
        }
    }
}

struct Process {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(mut command: Command) -> Self {
        command.args(["fleet::a_process_of_a_fleet", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()).lines());
        Self { child, input, output }
    }

    fn tell(&mut self, order: &str) {
        writeln!(self.input, "{order}").unwrap();
    }

    fn outcome(&mut self) -> Duration {
        let line = self.output.by_ref().map_while(Result::ok).find(|line| line.starts_with(MARK));
        let line = line.expect("the process goes on");
        let (millis, told) = line[MARK.len()..].split_once(' ').unwrap();
        assert_eq!(told, "Ok");
        Duration::from_millis(millis.parse().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
