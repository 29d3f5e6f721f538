//! All histories of a payout up to a depth, breadth first, with books that say what is true.
//!
//! A payout meets every order of what can happen to it: it is begun by one worker or two, its request arrives or not, its
//! answer comes, is lost, or comes too late, results come before answers, twice or never, workers stand still or die, time
//! passes, and the clock is set back. Daraja remembers ids for exactly as long as the payout may be sent again. It goes
//! through JSON after each step.
//!
//! `DARAJA_WALK_DEPTH=7 cargo test --release --test api payout_walk -- --nocapture` walks further.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    io::Write as _,
};

use chrono::{DateTime, TimeDelta, Utc};
use daraja::{
    Accepted, B2cAccepted, B2cPayment, B2cResult, NextStep, Payout, PayoutState, QueueTimeout, Result, RetryPolicy,
    Shillings, Timestamp, TransactionStatusQuery, TransactionStatusResult,
    b2c::{IdDocument, IdKind},
    operation::NotAfter,
    transport::TransportErrorKind::{Connect, Interrupted},
};

use crate::support::{Scripted, Step, answer, initiator, noted_of, refusal, result_urls};

const DEPTH: usize = 5;

/// How long Daraja remembers an id: the payout's own window.
const MEMORY: i64 = 600;

/// How far the clock is set back.
const BACK: i64 = 3_600;

const OWN: &str = "own-id";
const GIVEN: &str = "29115-34620561-1";

fn at(seconds: i64) -> Timestamp {
    let noon: DateTime<Utc> = "2026-10-06T09:00:00Z".parse().unwrap();
    (noon + TimeDelta::seconds(seconds)).try_into().unwrap()
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Product {
    Version3,
    Version1,
    Pochi,
    Checked,
}
use Product::{Checked, Pochi, Version1, Version3};

impl Product {
    fn payment(self) -> B2cPayment {
        let (code, recipient) = ("600310".parse().unwrap(), "254708374149".parse().unwrap());
        let payment = B2cPayment::new(&initiator(), code, recipient, Shillings::new(10).unwrap(), result_urls());
        let payment = payment.with_id(OWN.parse().unwrap());
        match self {
            Version3 => payment,
            Version1 => payment.v1(),
            Pochi => payment.to_pochi(),
            Checked => payment.with_id_check(IdDocument::new(IdKind::NationalId, "123").unwrap()),
        }
    }

    /// The id that results and answers name.
    fn id(self) -> &'static str {
        if self == Version1 { GIVEN } else { OWN }
    }

    fn is_resent(self) -> bool {
        matches!(self, Version3 | Pochi)
    }
}

/// What can happen next. The number is that of the sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Event {
    Begin,
    Arrives(usize),
    Answered(usize),
    AnsweredWithoutIds(usize),
    AnswerLost(usize),
    /// The client sends it again within the same call.
    Retried(usize),
    /// That was taken, as if it were a payment of its own.
    AnsweredInside(usize),
    /// The repeat was taken, as if it were a payment of its own.
    AnsweredAgain(usize),
    /// The client's own retry was answered by "duplicate".
    AlreadyAccepted(usize),
    Duplicate(usize),
    Throttled(usize),
    NotConnected(usize),
    Refused(usize),
    /// It stood still until its time was over.
    TooLate(usize),
    Dies(usize),
    Result,
    /// Daraja took a repeat, and found a wrong password before it found that it knows the id.
    RepeatFails,
    Unproven,
    Timeout,
    BareTimeout,
    Ask,
    StatusTrue,
    StatusPending,
    StatusNotFound,
    Pass(i64),
    ClockBack,
}

/// How far a request has got.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Got {
    Nowhere,
    Executed,
    /// Its answer was lost, and the client has sent it again, within the same call.
    Retried,
    KnownAlready,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Sending {
    /// Which begin it was, counted from one.
    number: u64,
    got: Got,
    /// By the clock of the program.
    not_after: Timestamp,
    /// The clock was set back since it began: it does not leave any more.
    clock_differs: bool,
    /// Its program has died: what is under way may still arrive.
    is_dead: bool,
}

/// What is true, whatever the payout believes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Books {
    sendings: Vec<Sending>,
    begins: u64,
    /// Requests that Daraja knew already, and may have taken to say so by a result.
    repeats: u8,
    /// When each payment was made.
    payments: Vec<i64>,
    time: i64,
    is_set_back: bool,
    questions: u8,
    /// The truth was reported, and nothing but the ids is missing to believe it.
    is_told: bool,
    /// The only sending there was has been answered.
    is_answered: bool,
}

impl Books {
    fn now(&self) -> Timestamp {
        at(self.time - if self.is_set_back { BACK } else { 0 })
    }
}

/// What a call can come to, by the real client.
struct Outcomes {
    answered: Result<B2cAccepted>,
    answered_again: Result<B2cAccepted>,
    answered_inside: Result<B2cAccepted>,
    without_ids: Result<B2cAccepted>,
    lost: Result<B2cAccepted>,
    already: Result<B2cAccepted>,
    duplicate: Result<B2cAccepted>,
    throttled: Result<B2cAccepted>,
    not_connected: Result<B2cAccepted>,
    refused: Result<B2cAccepted>,
    too_late: Result<B2cAccepted>,
    asked: Result<Accepted>,
}

impl Outcomes {
    async fn of(product: Product) -> Self {
        let payment = product.payment();
        let run = async |steps: Vec<Step>| {
            let policy = RetryPolicy::default().attempts(steps.len().try_into().unwrap());
            Scripted::new(steps).builder().retry(policy).build().unwrap().send(&payment).await
        };
        let duplicate = || refusal(500, "500.002.1001", "Duplicate OriginatorConversationID.");
        let lost = || Step::Fail(Interrupted);
        let ids =
            format!(r#"{{"ConversationID":"AG_C","OriginatorConversationID":"{}","ResponseCode":"0"}}"#, product.id());
        let client = Scripted::default().client();
        let late = payment.clone().not_after(NotAfter::within(client.now(), std::time::Duration::ZERO));
        let (id, code) = (OWN.parse().unwrap(), "600310".parse().unwrap());
        let question = TransactionStatusQuery::by_id(&initiator(), code, &id, result_urls());
        let taken = answer(200, r#"{"ConversationID":"AG_Q","OriginatorConversationID":"q-1","ResponseCode":"0"}"#);
        Self {
            answered_inside: if product.is_resent() {
                run(vec![lost(), answer(200, ids.replace("AG_C", "AG_R"))]).await
            } else {
                run(vec![lost()]).await
            },
            answered_again: run(vec![answer(200, ids.replace("AG_C", "AG_R"))]).await,
            answered: run(vec![answer(200, ids)]).await,
            without_ids: run(vec![answer(200, r#"{"ResponseCode":"0"}"#)]).await,
            lost: run(vec![lost()]).await,
            already: if product.is_resent() { run(vec![lost(), duplicate()]).await } else { run(vec![lost()]).await },
            duplicate: run(vec![duplicate()]).await,
            throttled: run(vec![answer(429, "")]).await,
            not_connected: run(vec![Step::Fail(Connect)]).await,
            refused: run(vec![refusal(400, "400.002.02", "Bad Request - Invalid PartyB")]).await,
            too_late: client.send(&late).await,
            asked: Scripted::new([taken]).client().send(&question).await,
        }
    }
}

/// What Daraja posts about the payment.
struct Posts {
    result: B2cResult,
    of_repeat: B2cResult,
    unproven: B2cResult,
    status: TransactionStatusResult,
    pending: TransactionStatusResult,
    not_found: TransactionStatusResult,
    timeout: QueueTimeout,
    bare_timeout: QueueTimeout,
}

impl Posts {
    fn of(product: Product, is_paid: bool) -> Self {
        let id = product.id();
        let money = r#"{"Key":"TransactionAmount","Value":10},{"Key":"TransactionReceipt","Value":"UJ65WSR9W7"},{"Key":"ReceiverPartyPublicName","Value":"254708374149 - W"}"#;
        let result_of = |conversation: &str, code: u32, parameters: &str| {
            let text = format!(
                r#"{{"Result":{{"OriginatorConversationID":"{id}","ConversationID":"{conversation}","ResultCode":{code},
                "ResultParameters":{{"ResultParameter":[{parameters}]}}}}}}"#
            );
            B2cResult::parse(text.as_bytes()).unwrap()
        };
        let result = |code: u32, parameters: &str| result_of("AG_C", code, parameters);
        let status = |word: &str| {
            let text = format!(
                r#"{{"Result":{{"OriginatorConversationID":"q-1","ConversationID":"AG_Q","ResultCode":0,"ResultParameters":
                {{"ResultParameter":[{{"Key":"TransactionStatus","Value":"{word}"}},{{"Key":"ReceiptNo","Value":"UJ65WSR9W7"}},
                {{"Key":"Amount","Value":10}},{{"Key":"CreditPartyName","Value":"254708374149 - W"}},
                {{"Key":"OriginatorConversationID","Value":"{id}"}}]}}}}}}"#
            );
            TransactionStatusResult::parse(text.as_bytes()).unwrap()
        };
        let not_found = r#"{"Result":{"OriginatorConversationID":"q-1","ConversationID":"AG_Q","ResultCode":2032}}"#;
        Self {
            result: if is_paid { result(0, money) } else { result(1, "") },
            of_repeat: result_of("AG_R", 2001, ""),
            unproven: result(26, ""),
            status: status(if is_paid { "Completed" } else { "Declined" }),
            pending: status("Pending Authorized"),
            not_found: TransactionStatusResult::parse(not_found.as_bytes()).unwrap(),
            timeout: QueueTimeout::parse(format!(r#"{{"OriginatorConversationID":"{id}"}}"#).as_bytes()).unwrap(),
            bare_timeout: QueueTimeout::parse(b"{}").unwrap(),
        }
    }
}

struct Walk<'w> {
    product: Product,
    /// Whether M-PESA pays what arrives, or fails it.
    is_paid: bool,
    workers: usize,
    outcomes: &'w Outcomes,
    posts: Posts,
}

/// What was found wrong: how often, and the first history that led to it.
type Complaints = BTreeMap<String, (usize, Vec<Event>)>;

impl Walk<'_> {
    /// Answers how many states were seen, and what was wrong in any.
    fn walk(&self, depth: usize) -> (usize, Complaints) {
        let start = (Payout::new(self.product.payment()), Books::default(), Vec::new());
        let (mut seen, mut queue) = (HashSet::new(), VecDeque::from([start]));
        let mut complaints = Complaints::new();
        while let Some((payout, books, history)) = queue.pop_front() {
            if history.len() == depth {
                continue;
            }
            for event in Self::events(self.product, &books) {
                let (mut payout, mut books) = (payout.clone(), books.clone());
                let history: Vec<_> = history.iter().copied().chain([event]).collect();
                let mut wrong = Vec::new();
                if !self.apply(event, &mut payout, &mut books, &mut wrong) {
                    continue;
                }
                let row = serde_json::to_string(&payout).unwrap();
                let payout: Payout = serde_json::from_str(&row).unwrap();
                self.check(&payout, &books, &mut wrong);
                for what in wrong {
                    complaints.entry(what).or_insert((0, history.clone())).0 += 1;
                }
                if seen.insert((row, books.clone())) {
                    queue.push_back((payout, books, history));
                }
            }
        }
        (seen.len(), complaints)
    }

    fn events(product: Product, books: &Books) -> Vec<Event> {
        use Event::*;
        let mut events = vec![Begin, Pass(20), Pass(130), Pass(700), Ask];
        if !books.is_set_back {
            events.push(ClockBack);
        }
        for (number, sending) in books.sendings.iter().enumerate() {
            let may_leave = books.now() < sending.not_after && !sending.clock_differs;
            if sending.got == Got::Nowhere && may_leave {
                events.push(Arrives(number));
            }
            if sending.is_dead {
                continue;
            }
            events.extend([Dies(number), AnswerLost(number)]);
            match sending.got {
                Got::Nowhere if !may_leave => events.push(TooLate(number)),
                Got::Nowhere => events.extend([Throttled(number), NotConnected(number), Refused(number)]),
                Got::Executed => {
                    events.extend([Answered(number), AnsweredWithoutIds(number), AlreadyAccepted(number)]);
                    if may_leave && product.is_resent() {
                        events.push(Retried(number));
                    }
                }
                Got::Retried => events.extend([AlreadyAccepted(number), AnsweredInside(number)]),
                Got::KnownAlready => events.extend([Duplicate(number), AlreadyAccepted(number), AnsweredAgain(number)]),
            }
        }
        if !books.payments.is_empty() {
            events.extend([Result, Unproven, Timeout, BareTimeout]);
        }
        if books.repeats > 0 {
            events.push(RepeatFails);
        }
        if books.questions > 0 {
            events.push(StatusNotFound);
            if !books.payments.is_empty() {
                events.extend([StatusTrue, StatusPending]);
            }
        }
        events
    }

    /// Whether the event can happen now.
    fn apply(&self, event: Event, payout: &mut Payout, books: &mut Books, wrong: &mut Vec<String>) -> bool {
        let now = books.now();
        let posts = &self.posts;
        match event {
            Event::Begin => return self.begin(payout, books, wrong),
            Event::Arrives(number) => self.arrive(number, payout, books, wrong),
            Event::Dies(number) => match books.sendings[number].got {
                Got::Nowhere => books.sendings[number].is_dead = true,
                got => {
                    books.repeats += u8::from(got == Got::KnownAlready || got == Got::Retried);
                    books.sendings.remove(number);
                }
            },
            Event::Retried(number) => books.sendings[number].got = Got::Retried,
            Event::AnsweredInside(number) => {
                books.repeats += 1;
                sent(number, &self.outcomes.answered_inside, payout, books);
            }
            Event::Answered(number) => {
                books.is_answered |= books.begins == 1;
                sent(number, &self.outcomes.answered, payout, books);
            }
            Event::AnsweredAgain(number) => {
                books.repeats += 1;
                sent(number, &self.outcomes.answered_again, payout, books);
            }
            Event::AnsweredWithoutIds(number) => sent(number, &self.outcomes.without_ids, payout, books),
            Event::AnswerLost(number) => {
                let got = books.sendings[number].got;
                books.repeats += u8::from(got == Got::KnownAlready || got == Got::Retried);
                sent(number, &self.outcomes.lost, payout, books);
            }
            Event::AlreadyAccepted(number) => sent(number, &self.outcomes.already, payout, books),
            Event::Duplicate(number) => sent(number, &self.outcomes.duplicate, payout, books),
            Event::Throttled(number) => sent(number, &self.outcomes.throttled, payout, books),
            Event::NotConnected(number) => sent(number, &self.outcomes.not_connected, payout, books),
            Event::Refused(number) => sent(number, &self.outcomes.refused, payout, books),
            Event::TooLate(number) => sent(number, &self.outcomes.too_late, payout, books),
            Event::Result => {
                taken("the result", payout.take_result(&posts.result, now), wrong);
                books.is_told |= self.is_paid || !self.product.is_resent() || books.is_answered;
            }
            Event::RepeatFails => taken("the failure of a repeat", payout.take_result(&posts.of_repeat, now), wrong),
            Event::Unproven => taken("what proves nothing", payout.take_result(&posts.unproven, now), wrong),
            Event::Timeout => taken("a timeout", payout.take_timeout(&posts.timeout, now), wrong),
            Event::BareTimeout => taken("a bare timeout", payout.take_timeout(&posts.bare_timeout, now), wrong),
            Event::Ask => {
                if payout.next_step(now) != NextStep::AskStatus || books.questions == 2 {
                    return false;
                }
                match payout.status_query(&initiator(), result_urls()) {
                    Some(query) => payout.asked(&query, &self.outcomes.asked, now),
                    None => wrong.push("it asks, and has no question".to_owned()),
                }
                books.questions += 1;
            }
            Event::StatusTrue => {
                taken("the status", payout.take_status(&posts.status, now), wrong);
                books.is_told = true;
            }
            Event::StatusPending => taken("a pending status", payout.take_status(&posts.pending, now), wrong),
            Event::StatusNotFound => taken("no status", payout.take_status(&posts.not_found, now), wrong),
            Event::Pass(seconds) => books.time += seconds,
            Event::ClockBack => {
                books.is_set_back = true;
                books.sendings.iter_mut().for_each(|sending| sending.clock_differs = true);
            }
        }
        true
    }

    fn begin(&self, payout: &mut Payout, books: &mut Books, wrong: &mut Vec<String>) -> bool {
        let step = payout.next_step(books.now());
        let living = books.sendings.iter().filter(|sending| !sending.is_dead).count();
        let Ok(dispatch) = payout.begin(books.now()) else { return false };
        if step == NextStep::Send && !books.payments.is_empty() {
            wrong.push("begun anew although it arrived".to_owned());
        }
        if living == self.workers || books.sendings.len() == 2 {
            return false;
        }
        let not_after = dispatch.not_after();
        books.begins += 1;
        let number = books.begins;
        books.sendings.push(Sending { number, got: Got::Nowhere, not_after, clock_differs: false, is_dead: false });
        true
    }

    fn arrive(&self, number: usize, payout: &Payout, books: &mut Books, wrong: &mut Vec<String>) {
        let is_known = books.payments.last().is_some_and(|paid| books.time - paid < MEMORY);
        if is_known && self.product != Version1 {
            books.sendings[number].got = Got::KnownAlready;
        } else {
            books.payments.push(books.time);
            books.sendings[number].got = Got::Executed;
            if self.is_paid && payout.state().is_settled() && !matches!(payout.state(), PayoutState::Paid(_)) {
                wrong.push(format!("money leaves after it was {}", word(payout.state())));
            }
        }
        if books.sendings[number].is_dead {
            books.sendings.remove(number);
        }
    }

    fn check(&self, payout: &Payout, books: &Books, wrong: &mut Vec<String>) {
        let (state, is_there) = (payout.state(), !books.payments.is_empty());
        if books.payments.len() > 1 {
            wrong.push("paid twice".to_owned());
        }
        match state {
            PayoutState::Paid(_) if !(self.is_paid && is_there) => wrong.push("paid, and it is not so".to_owned()),
            PayoutState::Failed(_) | PayoutState::Refused(_) if self.is_paid && is_there => {
                wrong.push(format!("{}, and the money left", word(state)));
            }
            _ => {}
        }
        // Version 1: a report that names ids is placed when the answer names them.
        let is_placed = self.product != Version1 || books.is_answered;
        if books.is_told && is_placed && !state.is_settled() {
            wrong.push(format!("told the truth, and {}", word(state)));
        }
        if !payout.contradictions().is_empty() {
            wrong.push(format!("a contradiction out of nothing: {:?}", payout.contradictions()));
        }
        if state.is_settled() && payout.next_step(books.now()) != NextStep::Done {
            wrong.push("settled, and not done".to_owned());
        }
    }
}

fn taken(what: &str, outcome: std::result::Result<(), daraja::error::Invalid>, wrong: &mut Vec<String>) {
    wrong.extend(outcome.err().map(|error| format!("{what} was refused: {error}")));
}

/// The sending is over: the program has the outcome of its call.
fn sent(number: usize, outcome: &Result<B2cAccepted>, payout: &mut Payout, books: &mut Books) {
    let sending = books.sendings.remove(number);
    payout.sent(&noted_of(payout, sending.number, outcome.clone()), books.now());
}

fn word(state: &PayoutState) -> &'static str {
    match state {
        PayoutState::Created => "created",
        PayoutState::Sending => "sending",
        PayoutState::Accepted => "accepted",
        PayoutState::Unknown => "unknown",
        PayoutState::Refused(_) => "refused",
        PayoutState::Paid(_) => "paid",
        PayoutState::Failed(_) => "failed",
        _ => "another",
    }
}

#[tokio::test(start_paused = true)]
async fn no_history_of_a_payout_pays_twice_or_believes_what_is_not_so() {
    let depth = std::env::var("DARAJA_WALK_DEPTH").ok().and_then(|depth| depth.parse().ok()).unwrap_or(DEPTH);
    let mut wrong = Vec::new();
    for product in [Version3, Version1, Pochi, Checked] {
        let outcomes = Outcomes::of(product).await;
        assert!(outcomes.too_late.as_ref().is_err_and(daraja::Error::is_retryable), "{:?}", outcomes.too_late);
        for (is_paid, workers) in [(true, 1), (true, 2), (false, 1), (false, 2)] {
            let walk = Walk { product, is_paid, workers, outcomes: &outcomes, posts: Posts::of(product, is_paid) };
            let (states, complaints) = walk.walk(depth);
            // Not by `println!`, which shows nothing of a test that passes.
            let line = format!("{product:?}, paid: {is_paid}, workers: {workers}, depth {depth}: {states} states\n");
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            assert!(states > 100, "it goes nowhere: {line}");
            for (what, (times, history)) in complaints {
                wrong.push(format!("{product:?}, {workers} workers: {what}, {times} times, first by {history:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The books see a mistake: a Daraja that forgets ids sooner than the payout says.
#[tokio::test(start_paused = true)]
async fn a_window_that_is_too_long_is_caught() {
    let outcomes = Outcomes::of(Version3).await;
    let walk =
        Walk { product: Version3, is_paid: true, workers: 1, outcomes: &outcomes, posts: Posts::of(Version3, true) };
    let mut payout = Payout::new(Version3.payment()).send_again_within(std::time::Duration::from_secs(3_600));
    let (mut books, mut wrong) = (Books::default(), Vec::new());
    for event in
        [Event::Begin, Event::Arrives(0), Event::AnswerLost(0), Event::Pass(700), Event::Begin, Event::Arrives(0)]
    {
        assert!(walk.apply(event, &mut payout, &mut books, &mut wrong), "{event:?}");
        walk.check(&payout, &books, &mut wrong);
    }
    assert_eq!(wrong, ["paid twice"]);
}
