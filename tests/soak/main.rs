//! A shop that sells, pays and gives back without a pause, while every twentieth call goes wrong.
//!
//! `cargo test --test soak` runs it for a few seconds; `cargo test --test soak -- --seconds 600` is the true one. What the
//! shop believes at the end is compared row by row with the books of the simulator, which is a process of its own, and this
//! process must not have grown. It prints its seed: `--seed N` takes another one's chances again.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows has failed")]

mod audit;
mod book;
mod cashier;
mod dice;
mod gauge;
mod other_side;
mod shop;
#[path = "../../examples/shared/web.rs"]
mod web;

use std::{
    process::ExitCode,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use daraja::{Client, Environment, Msisdn, RetryPolicy, simulator::Simulator};
use tokio::{task::JoinSet, time::sleep};

use audit::Shelf;
use book::Belief;
use dice::Dice;
use gauge::Sample;
use other_side::{Books, OtherSide};
use shop::Shop;

/// How many sell and pay, each with telephone numbers of their own.
pub(crate) const PEOPLE: u64 = SELLERS + CASHIERS;
const SELLERS: u64 = 48;
const CASHIERS: u64 = 16;

/// How long it runs unless it is told.
const SECONDS: u64 = 3;

/// Runs shorter than this have not warmed up: what they use is printed and not judged.
const JUDGED: u64 = 20;

/// By how much the memory may grow from the first quarter to the end, and for every ten thousand attempts beyond that.
const GROWTH_KIB: u64 = 2 * 1_024;
const GROWTH_KIB_PER_10_000: u64 = 256;

/// By how many descriptors, and by how many tasks, the end may exceed the first quarter: the pools of connections breathe.
const CONNECTIONS: u64 = 60;

/// The first argument of the process on the other side.
pub(crate) const ACROSS: &str = "--across";

/// A person's number that ends in these digits.
pub(crate) fn number(person: u64, ending: u64) -> Msisdn {
    Msisdn::try_from(254_700_000_000 + person * 100 + ending).expect("a number")
}

/// What the list of tests names it.
const NAME: &str = "soak";

struct Options {
    seconds: u64,
    seed: u64,
}

impl Options {
    /// `None` if there is nothing to run. Of the test harness's flags those count that ask for a list: what runs tests one
    /// by one would pass over a program that names none.
    fn read() -> Option<Self> {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut options = Self { seconds: SECONDS, seed: clock.as_secs() };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().and_then(|value| value.parse().ok());
            match argument.as_str() {
                "--seconds" => options.seconds = value().expect("a number of seconds"),
                "--seed" => options.seed = value().expect("a number"),
                "--list" => {
                    if std::env::args().all(|argument| argument != "--ignored") {
                        println!("{NAME}: test");
                    }
                    return None;
                }
                "--ignored" | "--bench" => return None,
                "--test-threads" | "--color" | "--format" | "--logfile" | "--skip" | "-Z" => drop(arguments.next()),
                flag if flag.starts_with('-') => {}
                name if !NAME.contains(name) => return None,
                _ => {}
            }
        }
        Some(options)
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(ACROSS) {
        other_side::live(arguments.next().and_then(|seed| seed.parse().ok()).expect("a seed"));
        return ExitCode::SUCCESS;
    }
    let Some(options) = Options::read() else { return ExitCode::SUCCESS };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(run(&options))
}

async fn run(options: &Options) -> ExitCode {
    println!("soak: {} s, seed {}", options.seconds, options.seed);
    let mut other = OtherSide::start(options.seed);
    let shop = Arc::new(open(&other.base_url));
    let door = shop.clone();
    shop.receive_at(web::serve(0, move |reference, event| door.take(reference, event)).await.expect("a loopback port"));
    let (samples, busy) = trade(&shop, options).await;
    last_posts(&mut other).await;
    let (mut shelf, books) = (Shelf::of(shop.book.rows()), other.books());
    ask_once_more(&shop, &mut shelf).await;
    shelf.catch_up();
    report(&samples, &shelf, &books, busy);
    let mut wrong = audit::differences(&shelf, &books);
    wrong.extend(has_grown(&samples, options.seconds));
    conclude(&wrong, options)
}

/// The time that the shop is open; what this process used at the end of each quarter, and how long it took in all.
async fn trade(shop: &Arc<Shop>, options: &Options) -> (Vec<Sample>, Duration) {
    let started = Instant::now();
    let people = hire(shop, options.seed);
    let mut samples = Vec::new();
    for quarter in 1..=4 {
        let until = Duration::from_secs(options.seconds) * quarter / 4;
        sleep(until.saturating_sub(started.elapsed())).await;
        samples.push(Sample::take(started, shop.attempts.load(Ordering::Relaxed)));
    }
    shop.closing.store(true, Ordering::Relaxed);
    people.join_all().await;
    (samples, started.elapsed())
}

/// The default policy with short pauses; a throttle still waits a second.
pub(crate) fn patient() -> RetryPolicy {
    RetryPolicy::default().pauses(Duration::from_millis(10)..=Duration::from_millis(100))
}

fn open(base_url: &str) -> Shop {
    let known = Simulator::new();
    let environment = Environment::custom(base_url).expect("a loopback URL");
    let client = Client::builder(environment, known.credentials())
        .reqwest(|| reqwest::Client::builder().tls_certs_only([]))
        .retry(patient())
        .attempt_timeout(Duration::from_millis(1_500))
        .timeout(Duration::from_secs(10))
        .query_spacing(Duration::from_millis(5));
    let client = client.build().expect("a client");
    Shop::new(client, known.merchant(), known.initiator(), known.b2c_short_code())
}

fn hire(shop: &Arc<Shop>, seed: u64) -> JoinSet<()> {
    let mut people = JoinSet::new();
    for person in 0..PEOPLE {
        let (shop, dice) = (shop.clone(), Dice::new(seed.wrapping_add(person + 1)));
        if person < SELLERS {
            people.spawn(shop.sell(person, dice));
        } else {
            people.spawn(cashier::pay_out(shop, person, dice));
        }
    }
    people
}

/// Waits until everything was posted that is on its way. A callback that is held back for the next one stays.
async fn last_posts(other: &mut OtherSide) {
    let started = Instant::now();
    let mut before = None;
    while started.elapsed() < Duration::from_secs(15) {
        let mail = other.mail();
        if mail.0 <= 1 && before == Some(mail) {
            return;
        }
        before = Some(mail);
        sleep(Duration::from_millis(250)).await;
    }
}

/// What has an id and no outcome yet is asked about as long as it takes.
async fn ask_once_more(shop: &Shop, shelf: &mut Shelf) {
    for attempt in shelf.attempts.iter_mut().filter(|attempt| attempt.belief == Belief::Unknown) {
        let Some(id) = &attempt.id else { continue };
        let payer = attempt.payer.parse().expect("a number");
        let amount = daraja::Shillings::new(attempt.amount).expect("an amount");
        let reference = attempt.reference.parse().expect("a reference");
        attempt.belief = shop.settle(&id.parse().expect("an id"), &reference, payer, amount).await;
    }
}

fn report(samples: &[Sample], shelf: &Shelf, books: &Books, busy: Duration) {
    let calls: usize = books.calls.values().sum();
    let rate = calls as u128 * 1_000 / busy.as_millis().max(1);
    println!("calls: {calls}, {rate} a second, {:?}", books.calls);
    println!("gone wrong on purpose: {}, {:?}", books.faults.values().sum::<usize>(), books.faults);
    println!("posts: {} made, {} left", books.posted, books.undelivered);
    println!(
        "in the books: {} prompts, {} payments, {} payouts, {} reversals",
        books.prompts.len(),
        books.payments.len(),
        books.payouts.len(),
        books.reversals.len()
    );
    for (what, count) in shelf.counts() {
        println!("{count:>9} {what}");
    }
    for sample in samples {
        let told = |value: Option<u64>| value.map_or("not measured".to_owned(), |value| value.to_string());
        println!(
            "after {:>5.1} s: {} KiB resident, {} descriptors, {} tasks, {} attempts",
            sample.at.as_secs_f64(),
            told(sample.kib),
            told(sample.descriptors),
            sample.tasks,
            sample.attempts
        );
    }
}

/// The first quarter is the warm-up.
fn has_grown(samples: &[Sample], seconds: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    let [first, .., last] = samples else { return wrong };
    if seconds < JUDGED {
        return wrong;
    }
    if let (Some(before), Some(after)) = (first.kib, last.kib) {
        let allowed = GROWTH_KIB + (last.attempts - first.attempts) * GROWTH_KIB_PER_10_000 / 10_000;
        if after > before + allowed {
            wrong.push(format!("the memory grew by {} KiB, {allowed} are allowed", after - before));
        }
    }
    if let (Some(before), Some(after)) = (first.descriptors, last.descriptors) {
        if after > before + CONNECTIONS {
            wrong.push(format!("{before} descriptors became {after}"));
        }
    }
    if last.tasks > first.tasks + CONNECTIONS {
        wrong.push(format!("{} tasks became {}", first.tasks, last.tasks));
    }
    wrong
}

fn conclude(wrong: &[String], options: &Options) -> ExitCode {
    if wrong.is_empty() {
        println!("soak: ok, the books agree");
        return ExitCode::SUCCESS;
    }
    for what in wrong.iter().take(50) {
        println!("WRONG: {what}");
    }
    println!("soak: {} things are wrong, --seed {}", wrong.len(), options.seed);
    ExitCode::FAILURE
}
