//! The program that pays, and the world around it.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use daraja::{
    B2cAccepted, B2cOutcome, B2cPayment, B2cResult, Client, Error, Initiator, Kes, Msisdn, NextStep, Payout,
    PayoutState, QueueTimeout, ResultUrls, Shillings, StatusOutcome, Timestamp, TransactionState,
    TransactionStatusResult,
    payout::{Dispatch, Sent},
    simulator::{Posted, Simulator},
};
use proptest::{prelude::*, test_runner::TestCaseResult};
use tokio::time::{sleep, timeout};

use crate::support::noted;

use super::{
    Bug, Crash, Mail, Setting, Turn,
    line::{Line, Wire},
};

pub(super) const RECIPIENT: &str = "254700000001";
const SOMEONE_ELSE: &str = "254700000002";
const AMOUNT: u32 = 5_000;

/// The program that pays, its database of one row, and the world around it.
pub(super) struct World {
    pub(super) line: Arc<Line>,
    client: Client,
    initiator: Initiator,
    pub(super) payout: Payout,
    /// The row of the database.
    stored: String,
    late: Vec<Posted>,
    mails: VecDeque<Mail>,
    crash: Crash,
    /// By how many hours the clock of the program is off.
    skew: Arc<AtomicI64>,
    bug: Bug,
    /// A result or a status that tells the truth was taken and stored.
    told: bool,
    answered: bool,
    noted: Noted,
}

/// What the row says about the sendings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noted {
    Nothing,
    /// An answer was taken and stored.
    Answer,
    /// It died before an answer was stored, which says nothing about whether it had sent.
    Doubt,
}

fn urls(kind: &str) -> ResultUrls {
    let url = |purpose| format!("https://shop.example/{kind}/{purpose}").parse().unwrap();
    ResultUrls::new(url("result"), url("timeout"))
}

impl World {
    pub(super) async fn new(setting: &Setting, bug: Bug) -> Self {
        let mut builder = Simulator::builder().result_time(Duration::from_secs(setting.result_time.into()));
        if setting.forgets {
            // For exactly as long as the payout may be sent again.
            builder = builder.duplicate_memory(Duration::from_secs(600));
        }
        if setting.duplicates_by_result {
            builder = builder.duplicates_by_result();
        }
        let simulator = builder.build();
        let initiator = initiator(&simulator);
        let (recipient, amount): (Msisdn, _) = (RECIPIENT.parse().unwrap(), Shillings::new(AMOUNT).unwrap());
        let script = simulator.recipient(recipient);
        let script = if setting.code > 1 { script.fails_with(setting.code, "No.") } else { script };
        if let Some(shape) = setting.times_out {
            script.result_times_out(shape);
        }
        let code = simulator.b2c_short_code();
        let payout = Payout::new(B2cPayment::new(&initiator, code, recipient, amount, urls("b2c")));
        if setting.id_was_used {
            let other = B2cPayment::new(&initiator, code, SOMEONE_ELSE.parse().unwrap(), amount, urls("other"));
            simulator.client().send(&other.with_id(payout.id().clone())).await.unwrap();
        }
        if setting.code == 1 {
            simulator.set_utility_account(Kes::from_cents(100));
        }
        let line = Arc::new(Line { simulator, script: Mutex::default(), log: Mutex::default() });
        let skew = Arc::new(AtomicI64::new(0));
        let (true_clock, hours) = (line.simulator.client(), skew.clone());
        let clock = move || {
            chrono::DateTime::<chrono::Utc>::from(true_clock.now()) + chrono::TimeDelta::hours(hours.load(Relaxed))
        };
        let client = line.simulator.client_builder().clock(clock).transport(Wire(line.clone())).build().unwrap();
        Self {
            stored: serde_json::to_string(&payout).unwrap(),
            late: Vec::new(),
            mails: VecDeque::new(),
            crash: Crash::Never,
            skew,
            told: false,
            answered: false,
            noted: Noted::Nothing,
            line,
            client,
            initiator,
            payout,
            bug,
        }
    }

    fn now(&self) -> Timestamp {
        self.client.now()
    }

    fn store(&mut self) {
        if self.crash == Crash::BeforeStoring {
            self.crash = Crash::Never;
            self.line.note("crash: before storing");
            self.restart();
        } else {
            self.stored = serde_json::to_string(&self.payout).unwrap();
        }
    }

    fn restart(&mut self) {
        self.payout = serde_json::from_str(&self.stored).unwrap();
    }

    pub(super) async fn play(&mut self, turn: &Turn) -> TestCaseResult {
        self.crash = turn.crash;
        self.skew.store(turn.skew.into(), Relaxed);
        if turn.skew != 0 {
            self.line.note("clock: two hours off");
        }
        self.mails = turn.mails.into();
        sleep(Duration::from_secs(turn.wait.into())).await;
        for posted in std::mem::take(&mut self.late) {
            self.line.note("mail: late");
            self.take(&posted)?;
        }
        self.fetch_mail().await?;
        *self.line.script.lock().unwrap() = turn.nets.into();
        match self.payout.next_step(self.now()) {
            NextStep::Send => self.send(false).await?,
            NextStep::SendAgainWithSameId => self.send(true).await?,
            NextStep::AskStatus => self.ask().await,
            _ => {}
        }
        self.line.script.lock().unwrap().clear();
        self.check()
    }

    async fn fetch_mail(&mut self) -> TestCaseResult {
        let simulator = self.line.simulator.clone();
        while let Ok(posted) = timeout(Duration::ZERO, simulator.next_result()).await {
            self.receive(posted)?;
        }
        Ok(())
    }

    fn receive(&mut self, posted: Posted) -> TestCaseResult {
        match self.mails.pop_front().unwrap_or(Mail::Comes) {
            Mail::Comes => self.take(&posted),
            Mail::ComesTwice => {
                self.line.note("mail: twice");
                self.take(&posted)?;
                self.take(&posted)
            }
            Mail::ComesLater => {
                self.late.push(posted);
                Ok(())
            }
            Mail::IsLost => {
                self.line.note("mail: lost");
                Ok(())
            }
        }
    }

    /// The route behind a URL.
    fn take(&mut self, posted: &Posted) -> TestCaseResult {
        let path = posted.url.strip_prefix("https://shop.example/").unwrap();
        let is_truth = match path {
            "b2c/result" => self.take_result(&posted.body),
            "b2c/timeout" => self.take_timeout(&posted.body),
            "status/result" => self.take_status(&posted.body)?,
            _ => false,
        };
        let was_stored = self.crash != Crash::BeforeStoring;
        self.store();
        self.told |= is_truth && was_stored;
        self.check()
    }

    /// Each of these says whether it was told what became of the payout.
    fn take_result(&mut self, body: &Bytes) -> bool {
        let result = B2cResult::parse(&self.misread(body)).unwrap();
        if !self.answered {
            self.line.note("mail: result before the answer");
        }
        if let B2cOutcome::Unproven(told) = &result.outcome {
            self.line.note(if told.code.as_number() == Some(15) { "mail: code 15" } else { "mail: proves nothing" });
        }
        let taken = self.payout.take_result(&result, self.now());
        assert!(taken.is_ok() || self.bug == Bug::NewIdOnRepeat, "our own result was refused: {taken:?}");
        match result.outcome {
            B2cOutcome::Paid(_) => true,
            // After a doubt it may be the failure of a repeat: the transaction's status has to agree.
            B2cOutcome::Failed(_) => self.noted == Noted::Answer && !self.line.log.lock().unwrap().unclear,
            _ => false,
        }
    }

    fn take_timeout(&mut self, body: &Bytes) -> bool {
        self.line.note("mail: queue timeout");
        self.payout.take_timeout(&QueueTimeout::parse(body).unwrap(), self.now()).unwrap();
        false
    }

    fn take_status(&mut self, body: &Bytes) -> Result<bool, TestCaseError> {
        let result = TransactionStatusResult::parse(body).unwrap();
        let told = self.payout.take_status(&result, self.now());
        let StatusOutcome::Found(found) = &result.outcome else {
            self.line.note("status: not found");
            return Ok(false);
        };
        let is_ours = found.credit_party.as_ref().and_then(daraja::Party::msisdn) == RECIPIENT.parse().ok();
        prop_assert!(told.is_ok() || !is_ours, "our own transaction was refused: {told:?}");
        self.line.note(if is_ours { "status: found" } else { "status: found another payment" });
        Ok(is_ours && matches!(found.status, TransactionState::Completed | TransactionState::Declined))
    }

    /// The body, unless the planted mistake is in the reading.
    fn misread(&self, body: &Bytes) -> Vec<u8> {
        let text = String::from_utf8(body.to_vec()).unwrap();
        let misread = self.bug == Bug::FifteenIsAFailure;
        if misread { text.replace(r#""ResultCode":15,"#, r#""ResultCode":2040,"#) } else { text }.into_bytes()
    }

    async fn send(&mut self, is_repeat: bool) -> TestCaseResult {
        let dispatch = self.payout.begin(self.now()).unwrap();
        self.stored = serde_json::to_string(&self.payout).unwrap();
        self.line.note(if is_repeat { "sent again" } else { "sent" });
        if self.crash == Crash::BeforeSending {
            self.line.note("crash: before sending");
            self.noted = Noted::Doubt;
            self.restart();
            return Ok(());
        }
        if matches!(self.crash, Crash::StandsStill(_)) {
            self.line.note("stands still before sending");
        }
        let Some(sent) = self.outcome(dispatch, is_repeat).await? else {
            self.line.note("crash: while sending");
            self.line.log.lock().unwrap().unclear = true;
            self.restart();
            return Ok(());
        };
        self.answered = true;
        if self.crash == Crash::AfterSending {
            self.line.note("crash: after sending");
            self.line.log.lock().unwrap().unclear = true;
            self.restart();
            return Ok(());
        }
        let is_stored = self.crash != Crash::BeforeStoring;
        self.payout.sent(&sent, self.now());
        self.store();
        self.noted = if is_stored && self.noted != Noted::Doubt { Noted::Answer } else { Noted::Doubt };
        Ok(())
    }

    /// Sends, and takes what is posted meanwhile. `None` if the program dies before the answer.
    async fn outcome(&mut self, dispatch: Dispatch, is_repeat: bool) -> Result<Option<Sent>, TestCaseError> {
        let (client, simulator, initiator) = (self.client.clone(), self.line.simulator.clone(), self.initiator.clone());
        let (limit, pause) = match self.crash {
            Crash::WhileSending(seconds) => (Duration::from_secs(seconds.into()), Duration::ZERO),
            Crash::StandsStill(seconds) => (Duration::from_secs(3_600), Duration::from_secs(seconds.into())),
            _ => (Duration::from_secs(3_600), Duration::ZERO),
        };
        let renamed = (is_repeat && self.bug == Bug::NewIdOnRepeat).then(|| {
            let (code, recipient, amount) = (self.payout.short_code(), self.payout.recipient(), self.payout.amount());
            B2cPayment::new(&initiator, code, recipient, amount, urls("b2c"))
        });
        let sending = async {
            sleep(pause).await;
            match renamed {
                Some(payment) => dispatch.came_to(client.send(&payment).await),
                None => dispatch.send(&client, &initiator, urls("b2c")).await,
            }
        };
        let mut sending = std::pin::pin!(timeout(limit, sending));
        loop {
            tokio::select! {
                biased;
                posted = simulator.next_result() => self.receive(posted)?,
                sent = &mut sending => {
                    let Ok(sent) = sent else { return Ok(None) };
                    let is_duplicate = |error: &Error| error.api().is_some_and(daraja::error::ApiError::is_duplicate);
                    if matches!(sent.outcome(), Ok(B2cAccepted::AlreadyAccepted)) {
                        self.line.note("already accepted");
                    }
                    let is_misread = self.bug == Bug::FirstDuplicateIsAccepted;
                    return Ok(Some(match sent.outcome() {
                        Err(error) if is_misread && is_duplicate(error) => {
                            noted(&self.payout, Ok(B2cAccepted::AlreadyAccepted))
                        }
                        _ => sent,
                    }));
                }
            }
        }
    }

    async fn ask(&mut self) {
        let query = self.payout.status_query(&self.initiator, urls("status")).unwrap();
        let outcome = self.client.send(&query).await;
        self.line.note("asked");
        self.payout.asked(&query, &outcome, self.now());
        self.store();
    }

    /// What must be true at every moment.
    fn check(&self) -> TestCaseResult {
        let ours: Vec<_> =
            self.line.simulator.payouts().into_iter().filter(|paid| paid.recipient.to_string() == RECIPIENT).collect();
        let state = self.payout.state();
        prop_assert!(ours.len() <= 1, "paid {} times", ours.len());
        match state {
            PayoutState::Paid(paid) => {
                let receipts: Vec<_> = ours.iter().map(|paid| paid.receipt).collect();
                prop_assert_eq!(receipts, vec![paid.receipt], "believed to be paid");
            }
            PayoutState::Failed(_) | PayoutState::Refused(_) => {
                prop_assert!(ours.is_empty(), "paid, and believed to have failed: {state:?}");
            }
            PayoutState::Accepted => {
                let log = self.line.log.lock().unwrap();
                prop_assert!(log.taken || log.unclear, "believed to be accepted, and Daraja never took it");
            }
            _ => {}
        }
        prop_assert!(!self.told || state.is_settled(), "told the truth, and not settled: {state:?}");
        Ok(())
    }
}

/// One credential for all: the simulators share the key, and making one takes a while.
fn initiator(simulator: &Simulator) -> Initiator {
    static INITIATOR: OnceLock<Initiator> = OnceLock::new();
    INITIATOR.get_or_init(|| simulator.initiator()).clone()
}
