//! A payout through thousands of generated histories: the line loses, the program dies, Daraja tells twice or never, and
//! the simulator's books say what is true.
//!
//! `DARAJA_HISTORIES=1000000 cargo test --release --test api histories -- --nocapture` takes a longer walk.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    sync::{Arc, Mutex},
};

use daraja::{PayoutState, initiated::TimeoutShape};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseResult, TestError, TestRunner},
};

use line::Net;
use world::World;

mod line;
mod world;

const HISTORIES: u32 = 2_500;

/// Where the program dies in a turn, and is started again with what it had stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crash {
    Never,
    BeforeSending,
    /// So many seconds after the sending began.
    WhileSending(u8),
    /// It does not die, but stands still for so many seconds between `begin` and sending.
    StandsStill(u16),
    AfterSending,
    /// The outcome, or an event, was taken but not stored.
    BeforeStoring,
}

/// What becomes of something that Daraja posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mail {
    Comes,
    ComesTwice,
    ComesLater,
    IsLost,
}

#[derive(Debug, Clone)]
struct Turn {
    wait: u16,
    nets: [Net; 3],
    crash: Crash,
    mails: [Mail; 2],
    /// By how many hours the program's clock is off.
    skew: i8,
}

/// What the world is like in which the payout is made.
#[derive(Debug, Clone)]
struct Setting {
    /// A code of the recipient's; 1 leaves the utility account short.
    code: u64,
    times_out: Option<TimeoutShape>,
    result_time: u8,
    forgets: bool,
    duplicates_by_result: bool,
    /// The id was used before, for another payment.
    id_was_used: bool,
}

#[derive(Debug, Clone)]
struct History {
    setting: Setting,
    turns: Vec<Turn>,
}

/// A mistake in an application, planted to see that it is caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    NewIdOnRepeat,
    FifteenIsAFailure,
    FirstDuplicateIsAccepted,
}

fn net() -> impl Strategy<Value = Net> {
    prop_oneof![
        6 => Just(Net::Fine),
        2 => (1_u8..28).prop_map(Net::Slow),
        1 => Just(Net::NoConnection),
        1 => Just(Net::RequestLost),
        2 => Just(Net::AnswerLost),
        1 => Just(Net::RequestLostInSilence),
        1 => Just(Net::AnswerLostInSilence),
        1 => Just(Net::Throttled),
        1 => Just(Net::Refused),
        1 => Just(Net::GatewayDown),
        1 => Just(Net::ErrorAfter),
        1 => Just(Net::TokenDied),
    ]
}

fn crash() -> impl Strategy<Value = Crash> {
    prop_oneof![
        8 => Just(Crash::Never),
        1 => Just(Crash::BeforeSending),
        1 => (0_u8..40).prop_map(Crash::WhileSending),
        1 => (60_u16..1_000).prop_map(Crash::StandsStill),
        1 => Just(Crash::AfterSending),
        1 => Just(Crash::BeforeStoring),
    ]
}

fn mail() -> impl Strategy<Value = Mail> {
    prop_oneof![
        3 => Just(Mail::Comes),
        1 => Just(Mail::ComesTwice),
        1 => Just(Mail::ComesLater),
        2 => Just(Mail::IsLost),
    ]
}

fn turn() -> impl Strategy<Value = Turn> {
    let skew = prop_oneof![12 => Just(0_i8), 1 => Just(2), 1 => Just(-2)];
    (0_u16..400, [net(), net(), net()], crash(), [mail(), mail()], skew)
        .prop_map(|(wait, nets, crash, mails, skew)| Turn { wait, nets, crash, mails, skew })
}

fn history() -> impl Strategy<Value = History> {
    let code = prop_oneof![6 => Just(0_u64), 1 => Just(1), 1 => Just(2040), 1 => Just(26)];
    let shape = prop_oneof![Just(TimeoutShape::Echo), Just(TimeoutShape::Envelope), Just(TimeoutShape::Ids)];
    let times_out = proptest::option::weighted(0.1, shape);
    let rare = || prop::bool::weighted(0.2);
    let setting = (code, times_out, 0_u8..90, rare(), rare(), rare()).prop_map(
        |(code, times_out, result_time, forgets, duplicates_by_result, id_was_used)| Setting {
            code,
            times_out,
            result_time,
            forgets,
            duplicates_by_result,
            id_was_used,
        },
    );
    (setting, prop::collection::vec(turn(), 2..12)).prop_map(|(setting, turns)| History { setting, turns })
}

/// What happened in a history, by name; for the count.
type Seen = Arc<Mutex<BTreeMap<&'static str, u32>>>;

fn live(history: &History, bug: Bug, seen: &Seen) -> TestCaseResult {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(&history.setting, bug).await;
        for turn in &history.turns {
            world.play(turn).await?;
        }
        let mut happened = std::mem::take(&mut world.line.log.lock().unwrap().happened);
        let Setting { forgets, id_was_used, .. } = history.setting;
        let ending = match world.payout.state() {
            PayoutState::Paid(_) => "ends: paid",
            PayoutState::Failed(_) => "ends: failed",
            PayoutState::Refused(_) => "ends: refused",
            _ => "ends: not settled yet",
        };
        happened.push(ending);
        happened.extend(forgets.then_some("ids are forgotten"));
        happened.extend(id_was_used.then_some("the id was used before"));
        happened.sort_unstable();
        happened.dedup();
        let mut seen = seen.lock().unwrap();
        for what in happened {
            *seen.entry(what).or_default() += 1;
        }
        Ok(())
    })
}

fn run(histories: u32, bug: Bug, seen: &Seen) -> Result<(), TestError<History>> {
    let config = Config { cases: histories, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    TestRunner::new(config).run(&history(), |history| live(&history, bug, seen))
}

#[test]
fn no_history_pays_twice_and_none_believes_what_is_not_so() {
    let histories = std::env::var("DARAJA_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(HISTORIES);
    let seen = Seen::default();
    run(histories, Bug::None, &seen).unwrap_or_else(|error| panic!("{error}"));
    let seen = seen.lock().unwrap();
    // Not by `println!`, which shows nothing of a test that passes.
    let mut table = format!("\nwhat happened in {histories} histories:\n");
    for (what, count) in &*seen {
        writeln!(table, "  {:6.2} %  {what}", f64::from(*count) * 100.0 / f64::from(histories)).unwrap();
    }
    std::io::stderr().write_all(table.as_bytes()).unwrap();
    for what in EXPECTED {
        let count = seen.get(what).copied().unwrap_or_default();
        assert!(count > histories / 100, "{what} happened in {count} of {histories} histories only");
    }
}

/// What has to happen in more than one history of a hundred.
const EXPECTED: [&str; 38] = [
    "already accepted",
    "asked",
    "clock: two hours off",
    "crash: after sending",
    "crash: before sending",
    "crash: before storing",
    "crash: while sending",
    "duplicate id refused",
    "ends: failed",
    "ends: not settled yet",
    "ends: paid",
    "ends: refused",
    "ids are forgotten",
    "line: answer lost",
    "line: answer lost in silence",
    "line: carried out, answered by an error",
    "line: fine",
    "line: gateway down",
    "line: no connection",
    "line: refused by name",
    "line: request lost",
    "line: request lost in silence",
    "line: slow answer",
    "line: throttled",
    "line: token died",
    "mail: code 15",
    "mail: late",
    "mail: lost",
    "mail: proves nothing",
    "mail: queue timeout",
    "mail: result before the answer",
    "mail: twice",
    "sent again",
    "stands still before sending",
    "status: found",
    "status: found another payment",
    "status: not found",
    "the id was used before",
];

/// By which rule a mistake is caught first depends on the histories.
#[track_caller]
fn assert_caught(bug: Bug, complaints: &[&str]) {
    let error = run(HISTORIES, bug, &Seen::default()).expect_err("the mistake was not caught").to_string();
    assert!(complaints.iter().any(|complaint| error.contains(complaint)), "{error}");
}

#[test]
fn a_new_id_on_a_repeat_is_caught() {
    let refused = "paid, and believed to have failed";
    assert_caught(
        Bug::NewIdOnRepeat,
        &["paid 2 times", refused, "believed to be paid", "told the truth, and not settled"],
    );
}

/// Code 15 is the result of a repeat, and the failure of a repeat is not believed.
#[test]
fn code_15_taken_for_a_failure_does_no_harm() {
    run(HISTORIES, Bug::FifteenIsAFailure, &Seen::default()).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_first_duplicate_taken_for_an_acceptance_is_caught() {
    assert_caught(Bug::FirstDuplicateIsAccepted, &["believed to be accepted, and Daraja never took it"]);
}
