//! Daraja's side, in a process of its own: the served simulator, what goes wrong on its line, and its books.

use std::{
    collections::BTreeMap,
    io::{BufRead, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use daraja::{
    Kes,
    simulator::{Fault, Route, Served, Simulator},
};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::{ACROSS, PEOPLE, dice::Dice};

/// The share of calls that something goes wrong with.
const FAULTY_PERCENT: u64 = 5;

const ROUTES: [Route; 6] =
    [Route::OAuth, Route::StkPush, Route::StkQuery, Route::B2c, Route::TransactionStatus, Route::Reversal];

const FAULTS: [(&str, Fault); 14] = [
    ("reset before", Fault::ResetBefore),
    ("reset after", Fault::ResetAfter),
    ("slow", Fault::Slow(Duration::from_millis(2_500))),
    ("a little slow", Fault::Slow(Duration::from_millis(200))),
    ("truncated", Fault::Truncated),
    ("html", Fault::Html),
    ("empty", Fault::Empty),
    ("error in 200", Fault::ErrorInOk),
    ("accepted but 500", Fault::AcceptedButError),
    ("busy", Fault::Busy),
    ("throttled", Fault::Throttled(Some(1))),
    ("token expired", Fault::TokenExpired),
    ("redirect", Fault::Redirect),
    ("refused", Fault::Refused(400, "400.002.02", "Bad Request - Invalid Amount")),
];

/// What was really paid, and what was done to the line.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Books {
    pub(crate) prompts: Vec<Prompted>,
    pub(crate) payments: Vec<PaidIn>,
    pub(crate) payouts: Vec<PaidOut>,
    pub(crate) reversals: Vec<PaidBack>,
    pub(crate) calls: BTreeMap<String, usize>,
    pub(crate) faults: BTreeMap<String, usize>,
    pub(crate) undelivered: usize,
    pub(crate) posted: usize,
    /// Callbacks and results that were answered with something else than 200.
    pub(crate) not_taken: usize,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Prompted {
    pub(crate) reference: String,
    pub(crate) payer: String,
    pub(crate) amount: u32,
    pub(crate) id: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PaidIn {
    pub(crate) reference: String,
    pub(crate) payer: String,
    pub(crate) amount: u32,
    pub(crate) receipt: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PaidOut {
    pub(crate) id: String,
    pub(crate) recipient: String,
    pub(crate) amount: u32,
    pub(crate) receipt: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PaidBack {
    pub(crate) original: String,
    pub(crate) amount: u32,
}

/// The process, as the shop holds it. It ends when this is dropped.
pub(crate) struct OtherSide {
    process: Child,
    orders: Option<ChildStdin>,
    answers: std::io::BufReader<ChildStdout>,
    pub(crate) base_url: String,
}

impl OtherSide {
    pub(crate) fn start(seed: u64) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut process = Command::new(program)
            .args([ACROSS, &seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started again");
        let orders = process.stdin.take();
        let answers = std::io::BufReader::new(process.stdout.take().expect("it is piped"));
        let mut other = Self { process, orders, answers, base_url: String::new() };
        other.base_url = other.line();
        other
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the other side lives");
        line.trim().to_owned()
    }

    fn ask(&mut self, order: &str) -> String {
        let orders = self.orders.as_mut().expect("it is open until the end");
        writeln!(orders, "{order}").expect("the other side lives");
        self.line()
    }

    /// Callbacks and results that are still to be posted, and those that were.
    pub(crate) fn mail(&mut self) -> (usize, usize) {
        serde_json::from_str(&self.ask("mail")).expect("two numbers")
    }

    pub(crate) fn books(&mut self) -> Books {
        serde_json::from_str(&self.ask("books")).expect("books")
    }
}

impl Drop for OtherSide {
    fn drop(&mut self) {
        drop(self.orders.take());
        drop(self.process.wait());
    }
}

/// The whole life of that process: it ends with its standard input.
pub(crate) fn live(seed: u64) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (simulator, served) = runtime.block_on(open(seed));
    let done = Arc::new(Mutex::new(BTreeMap::new()));
    runtime.spawn(spoil(simulator.clone(), Dice::new(seed), done.clone()));
    println!("{}", served.base_url());
    for order in std::io::stdin().lines() {
        if order.expect("the shop lives") == "mail" {
            println!("[{},{}]", simulator.undelivered(), simulator.delivered().len());
        } else {
            let books = books(&simulator, &done.lock().expect("nobody panics"));
            println!("{}", serde_json::to_string(&books).expect("plain structs"));
        }
    }
}

async fn open(seed: u64) -> (Simulator, Served) {
    let simulator = Simulator::builder()
        .seed(seed)
        .answer_time(Duration::from_millis(50))
        .result_time(Duration::from_millis(50))
        .query_spacing(Duration::ZERO)
        .token_life(Duration::from_secs(20))
        .utility_account(Kes::from_cents(1_000_000_000_000))
        .build();
    for number in (0..PEOPLE).map(|person| crate::number(person, 94)) {
        simulator.customer(number).approves().callback_late(Duration::from_secs(1));
        simulator.recipient(number).is_paid().result_late(Duration::from_secs(1));
    }
    let served = simulator.serve("127.0.0.1:0").await.expect("a loopback port");
    (simulator, served)
}

/// Orders a fault for every twentieth call or so, of its own route.
async fn spoil(simulator: Simulator, mut dice: Dice, done: Arc<Mutex<BTreeMap<String, usize>>>) {
    let mut seen = [0; ROUTES.len()];
    loop {
        for (route, seen) in ROUTES.into_iter().zip(&mut seen) {
            let calls = simulator.calls(route);
            for _ in std::mem::replace(seen, calls)..calls {
                if dice.percent(FAULTY_PERCENT) {
                    let (name, fault) = dice.pick(&FAULTS);
                    simulator.fault(route, fault);
                    *done.lock().expect("nobody panics").entry(name.to_owned()).or_default() += 1;
                }
            }
        }
        sleep(Duration::from_millis(5)).await;
    }
}

fn books(simulator: &Simulator, faults: &BTreeMap<String, usize>) -> Books {
    let delivered = simulator.delivered();
    Books {
        prompts: simulator
            .prompts()
            .into_iter()
            .map(|prompt| Prompted {
                reference: prompt.reference,
                payer: prompt.payer.to_string(),
                amount: prompt.amount.get(),
                id: prompt.checkout_request_id.to_string(),
            })
            .collect(),
        payments: simulator
            .payments()
            .into_iter()
            .map(|paid| PaidIn {
                reference: paid.reference,
                payer: paid.payer.to_string(),
                amount: paid.amount.get(),
                receipt: paid.receipt.to_string(),
            })
            .collect(),
        payouts: simulator
            .payouts()
            .into_iter()
            .map(|paid| PaidOut {
                id: paid.originator_conversation_id.map(|id| id.to_string()).unwrap_or_default(),
                recipient: paid.recipient.to_string(),
                amount: paid.amount.get(),
                receipt: paid.receipt.to_string(),
            })
            .collect(),
        reversals: simulator
            .reversals()
            .into_iter()
            .map(|back| PaidBack { original: back.original_receipt.to_string(), amount: back.amount.get() })
            .collect(),
        calls: ROUTES.iter().map(|route| (format!("{route:?}"), simulator.calls(*route))).collect(),
        faults: faults.clone(),
        undelivered: simulator.undelivered(),
        posted: delivered.len(),
        not_taken: delivered.iter().filter(|post| post.status != Some(200)).count(),
    }
}
