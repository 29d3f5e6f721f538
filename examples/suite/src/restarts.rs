//! Deaths and stops.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use daraja::webhook::{Event, Journal};
use tokio::task::JoinSet;

use crate::{
    Disk, Recipe, Setup,
    post::{answer, cancelled, connect, paid, post},
    run,
};

/// What another process had accepted before it died.
pub fn what_was_not_finished_is_taken_up_at_the_start(program: &Path) {
    let setup = Setup::of(program);
    leave_unfinished(&setup, 5);
    // The last line was cut short by the death.
    let text = std::fs::read_to_string(setup.journal()).expect("the journal");
    std::fs::write(setup.journal(), format!("{text}{}", r#"{"event":5,"kind":"stk","refer"#)).expect("written");

    let recipe = setup.start();
    let disk = Disk::until_finished(&setup.journal(), 5);
    assert_eq!(disk.events.len(), 5);
    disk.assert_each_finished_once();
    recipe.stop();

    // And not once more at the next start.
    setup.start().stop();
    setup.disk().assert_each_finished_once();
}

/// Stores so many events, as another process that worked on none of them.
fn leave_unfinished(setup: &Setup, count: usize) {
    run(async {
        let (journal, _unfinished) = Journal::open(setup.journal()).expect("a journal");
        let mut stores = JoinSet::new();
        for number in 0..count {
            let journal = journal.clone();
            stores.spawn(async move {
                let body = cancelled(&id(number));
                let event = Event::parse(body.as_bytes()).expect("an event");
                journal.store(format!("attempt-{number}"), &event, body.as_bytes()).await
            });
        }
        stores.join_all().await.into_iter().for_each(|stored| stored.expect("it is stored"));
    });
}

/// A stop with work left: all of it is done before the end.
pub fn a_polite_stop_works_off_what_is_left(program: &Path) {
    const LEFT: usize = 30_000;
    let setup = Setup::of(program);
    leave_unfinished(&setup, LEFT);
    setup.start().stop();
    let disk = setup.disk();
    assert_eq!(disk.events.len(), LEFT);
    disk.assert_each_finished_once();
}

/// Posts deliveries from several threads, and notes which were answered with a success.
struct Storm {
    answered: Arc<Mutex<BTreeSet<usize>>>,
    next: Arc<AtomicUsize>,
    threads: Vec<thread::JoinHandle<()>>,
}

const DELIVERIES: usize = 2_000;

fn id(number: usize) -> String {
    format!("ws_CO_{number}")
}

impl Storm {
    /// Every tenth is a payment, every fifth comes twice.
    fn start(recipe: &Recipe) -> Self {
        let (answered, next) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
        let threads = (0..8).map(|_| {
            let (address, urls) = (recipe.address, recipe.urls());
            let (answered, next): (Arc<Mutex<BTreeSet<usize>>>, _) = (Arc::clone(&answered), Arc::clone(&next));
            thread::spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= DELIVERIES {
                        return;
                    }
                    let url = urls.stk(&format!("attempt-{number}").parse().expect("a reference"));
                    let receipt = format!("SD{number:08}");
                    let body = if number % 10 == 0 { paid(&id(number), &receipt) } else { cancelled(&id(number)) };
                    for _ in 0..=usize::from(number % 5 == 0) {
                        match post(address, url.path(), &body) {
                            Ok(answer) if answer.status == 200 => {
                                answered.lock().expect("no thread panics").insert(number);
                            }
                            Ok(answer) => panic!("refused: {answer:?}"),
                            // Dead, or about to be.
                            Err(_) => {}
                        }
                    }
                }
            })
        });
        let threads = threads.collect();
        Self { answered, next, threads }
    }

    /// Waits until this many were begun.
    fn until(&self, count: usize) {
        while self.next.load(Ordering::Relaxed) < count {
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn end(self) -> BTreeSet<usize> {
        self.threads.into_iter().for_each(|thread| thread.join().expect("no delivery is refused"));
        Arc::into_inner(self.answered).expect("all threads have ended").into_inner().expect("no thread panicked")
    }
}

/// Each delivery that was answered with a success is on the disk, and finished once.
fn assert_nothing_lost(disk: &Disk, answered: &BTreeSet<usize>) {
    let stored: BTreeSet<&str> = disk.events.values().map(|(reference, ..)| reference.as_str()).collect();
    for number in answered {
        assert!(stored.contains(&*format!("attempt-{number}")), "{number} was answered, and is lost");
    }
    disk.assert_each_finished_once();
}

/// What was answered before the death is worked on after it, once.
pub fn a_kill_in_the_middle_loses_nothing_that_was_answered(program: &Path) {
    let setup = Setup::of(program);
    let recipe = setup.start();
    let storm = Storm::start(&recipe);
    storm.until(DELIVERIES / 2);
    recipe.kill();
    let answered = storm.end();
    assert!(answered.len() > DELIVERIES / 4 && answered.len() < DELIVERIES, "{} were answered", answered.len());

    let recipe = setup.start();
    recipe.stop();
    assert_nothing_lost(&setup.disk(), &answered);
}

/// A stop in the middle: what was answered is finished before the end.
pub fn a_polite_stop_finishes_what_was_answered(program: &Path) {
    let setup = Setup::of(program);
    let recipe = setup.start();
    let storm = Storm::start(&recipe);
    storm.until(DELIVERIES / 2);
    recipe.stop();
    let answered = storm.end();
    assert!(answered.len() > DELIVERIES / 4 && answered.len() < DELIVERIES, "{} were answered", answered.len());
    assert_nothing_lost(&setup.disk(), &answered);
}

/// A delivery that is half here when the stop comes is taken, answered and worked on.
pub fn a_polite_stop_waits_for_a_delivery_in_the_middle(program: &Path) {
    for ask in [Recipe::terminate, Recipe::interrupt] {
        stops_after_the_delivery(program, ask);
    }
}

fn stops_after_the_delivery(program: &Path, ask: fn(&Recipe)) {
    let setup = Setup::of(program);
    let recipe = setup.start();
    let (url, body) = (recipe.urls().stk(&"half".parse().expect("a reference")), cancelled("ws_CO_1"));
    let (first, second) = body.as_bytes().split_at(100);
    let mut stream = connect(recipe.address).expect("a connection");
    let (path, length) = (url.path(), body.len());
    let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("it is taken");
    // It asks for the body: it is at work on this delivery.
    let mut told = [0; 25];
    stream.read_exact(&mut told).expect("an answer");
    assert_eq!(told, *b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(first).expect("it is taken");
    ask(&recipe);
    while connect(recipe.address).is_ok() {
        thread::sleep(Duration::from_millis(1));
    }
    stream.write_all(second).expect("it is taken");
    assert_eq!(answer(&mut stream).expect("an answer").status, 200);
    recipe.stop();
    Disk::until_finished(&setup.journal(), 1);
}

/// A stranger who sends half a request and holds the line: the stop does not wait for it for ever, or the next program
/// would find the journal in use.
pub fn a_polite_stop_does_not_wait_for_strangers(program: &Path) {
    let setup = Setup::of(program);
    let recipe = setup.start();
    let mut stream = connect(recipe.address).expect("a connection");
    stream.write_all(b"POST /").expect("it is taken");
    // Behind it in the line, so that it was taken.
    post(recipe.address, "/", "").expect("an answer");
    let started = Instant::now();
    recipe.stop();
    assert!(started.elapsed() < Duration::from_secs(20), "it took {:?} to end", started.elapsed());
}

/// What cannot be stored is not acknowledged: Daraja does not try again, and the payment is asked for.
pub fn what_cannot_be_stored_is_no_success(program: &Path) {
    let setup = Setup::of(program).with_file_kilobytes(8);
    let recipe = setup.start();
    let statuses: Vec<u16> = (0..100)
        .map(|number| {
            let url = recipe.urls().stk(&format!("attempt-{number}").parse().expect("a reference"));
            let answer = post(recipe.address, url.path(), &cancelled(&id(number))).expect("an answer");
            assert!(answer.status == 200 || answer.body.is_empty() || !answer.body.contains("journal"), "{answer:?}");
            answer.status
        })
        .collect();
    let stored = setup.disk().events.len();
    assert!(stored > 0 && stored < 100, "{stored} were stored");
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), stored, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 500)), "{statuses:?}");
    recipe.kill();
}

/// Without a secret it does not start, and says what to do.
pub fn a_setting_that_is_missing_is_named(program: &Path) {
    let said = Setup::of(program).with("MPESA_CALLBACK_SECRET", "").start_in_vain();
    assert!(said.contains("MPESA_CALLBACK_SECRET is missing"), "{said}");
    let said = Setup::of(program).with("MPESA_CALLBACK_SECRET", "too short").start_in_vain();
    assert!(said.contains("MPESA_CALLBACK_SECRET is wrong") && !said.contains("too short"), "{said}");
}

/// Two programs on one journal would work on everything twice.
pub fn a_second_program_does_not_touch_the_journal(program: &Path) {
    let setup = Setup::of(program);
    let recipe = setup.start();
    let said = setup.start_in_vain();
    assert!(said.contains("in use by another program"), "{said}");
    // The lock does not outlive its owner, however that ends.
    recipe.kill();
    setup.start().stop();
}
