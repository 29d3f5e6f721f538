//! The play: three payouts, offline, with the simulator in Daraja's place.

use std::{error::Error, process::ExitCode, time::Duration};

use daraja::{
    AccountBalanceQuery, B2cPayment, B2cReason, BalanceOutcome, Kes, Msisdn, Party, Payout, PayoutState, Shillings,
    simulator::{Fault, Route, Served, Simulator},
};
use tokio::time::timeout;

use crate::{
    cashier::{Cashier, show},
    receiver::{Kind, Post, Receiver},
    screen::{complain, row},
};

const RESULT_TIME: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(30);
/// KES 20 000.00: enough for the first two payouts.
const UTILITY: Kes = Kes::from_cents(2_000_000);

struct Act {
    title: &'static str,
    typed: &'static str,
    shillings: u32,
    remarks: &'static str,
    /// What goes wrong on the line.
    fault: Option<Fault>,
    /// Why it fails; `None` if it is paid.
    reason: Option<B2cReason>,
}

const ACTS: [Act; 3] = [
    Act {
        title: "A supplier is paid",
        typed: "0712 345 678",
        shillings: 5_000,
        remarks: "Invoice 1042",
        fault: None,
        reason: None,
    },
    Act {
        title: "The answer is lost on its way: was the supplier paid?",
        typed: "+254 700 000 055",
        shillings: 12_000,
        remarks: "Invoice 1043",
        fault: Some(Fault::ResetAfter),
        reason: None,
    },
    Act {
        title: "The utility account holds too little",
        typed: "0700-000-066",
        shillings: 5_000,
        remarks: "Invoice 1044",
        fault: None,
        reason: Some(B2cReason::InsufficientFunds),
    },
];

impl Act {
    fn ended_well(&self, payout: &Payout, times_paid: usize) -> bool {
        match payout.state() {
            PayoutState::Paid(_) => self.reason.is_none() && times_paid == 1,
            PayoutState::Failed(failure) => self.reason == Some(failure.reason()) && times_paid == 0,
            _ => false,
        }
    }
}

pub(crate) async fn run() -> ExitCode {
    match perform().await {
        Ok(exit) => exit,
        Err(error) => complain(error.as_ref(), ExitCode::FAILURE),
    }
}

async fn perform() -> Result<ExitCode, Box<dyn Error>> {
    let mut stage = Stage::build().await?;
    stage.introduce();
    let mut exit = ExitCode::SUCCESS;
    for (number, act) in (1..).zip(&ACTS) {
        say!("\n{number}. {}", act.title);
        if !stage.perform(act).await? {
            warn!("error: payout {number} did not end as its scenario says");
            exit = ExitCode::FAILURE;
        }
    }
    say!("\n4. What the accounts hold");
    if !stage.show_balances().await? {
        warn!("error: the balances are not those of the simulator's books");
        exit = ExitCode::FAILURE;
    }
    if exit == ExitCode::SUCCESS {
        say!("\nEach payout ended as its scenario says. For a real one, see --help.");
    }
    Ok(exit)
}

/// Daraja, played by the simulator, and whoever pays.
struct Stage {
    simulator: Simulator,
    daraja: Served,
    cashier: Cashier,
}

impl Stage {
    async fn build() -> Result<Self, Box<dyn Error>> {
        let simulator = Simulator::builder().result_time(RESULT_TIME).utility_account(UTILITY).build();
        let daraja = simulator.serve("127.0.0.1:0").await?;
        let receiver = Receiver::start(0).await?;
        let cashier = Cashier::new(daraja.client(), simulator.initiator(), receiver, PATIENCE);
        Ok(Self { simulator, daraja, cashier })
    }

    fn introduce(&self) {
        say!("Payouts by M-PESA. Daraja is played by the simulator: no real money can move.\n");
        row("Daraja", format_args!("{} (simulator, seed {})", self.daraja.base_url(), self.simulator.seed()));
        row("results", format_args!("come to {}", self.cashier.receiver.origin()));
        row("initiator", self.cashier.initiator.name());
        row("holds", format_args!("KES {UTILITY} in the utility account, which payouts are made from"));
    }

    /// Whether the payout ended as its scenario says, in the books of the simulator too.
    async fn perform(&mut self, act: &Act) -> Result<bool, Box<dyn Error>> {
        let (recipient, amount): (Msisdn, _) = (act.typed.parse()?, Shillings::new(act.shillings)?);
        row("typed", act.typed);
        row("understood", recipient.masked());
        let (initiator, urls) = (&self.cashier.initiator, self.cashier.receiver.urls(Kind::Payout));
        let payment = B2cPayment::new(initiator, self.simulator.b2c_short_code(), recipient, amount, urls)
            .remarks(act.remarks.parse()?);
        row("payout", format_args!("KES {amount} for {}", act.remarks));
        let id = payment.id().clone();
        row("id", &id);
        if let Some(fault) = act.fault {
            self.simulator.fault(Route::B2c, fault);
        }
        let before = self.simulator.calls(Route::B2c);
        let payout = self.cashier.pay(payment).await?;
        let calls = self.simulator.calls(Route::B2c).saturating_sub(before);
        show(&payout);
        if let PayoutState::Paid(paid) = payout.state() {
            row("to", paid.recipient.as_ref().and_then(Party::name).unwrap_or("nobody who is named"));
        }
        let under_id = self.simulator.payouts();
        let under_id = under_id.iter().filter(|paid| paid.originator_conversation_id.as_ref() == Some(&id));
        let times_paid = under_id.count();
        let times = ["nothing", "one payment"].get(times_paid).copied().unwrap_or("MORE THAN ONE PAYMENT");
        row("books", format_args!("{times} under this id; it was sent {}", if calls == 1 { "once" } else { "twice" }));
        Ok(act.ended_well(&payout, times_paid))
    }

    async fn show_balances(&mut self) -> Result<bool, Box<dyn Error>> {
        let (cashier, code) = (&mut self.cashier, self.simulator.b2c_short_code());
        let query = AccountBalanceQuery::new(&cashier.initiator, code, cashier.receiver.urls(Kind::Balance));
        cashier.client.send(&query).await?;
        let Some(Post::Balance(result)) = timeout(PATIENCE, cashier.receiver.posts.recv()).await? else {
            return Ok(false);
        };
        let BalanceOutcome::Known(balances) = result.outcome else { return Ok(false) };
        for account in &balances.accounts {
            if let Some(available) = account.available {
                row(account.name.split(' ').next().unwrap_or_default(), format_args!("KES {available}"));
            }
        }
        let utility = balances.utility().and_then(|account| account.available);
        Ok(utility == Some(self.simulator.accounts().utility))
    }
}
