//! The play: three customers, offline, with the simulator in Daraja's place.

use std::{error::Error, iter, process::ExitCode, time::Duration};

use daraja::{
    CheckoutRequestId, Client, Merchant, Msisdn, Shillings, StkPush, StkReason,
    simulator::{Route, Served, Simulator},
    stk::{Outcome, Settled, Source},
    webhook::Reference,
};

use crate::{
    outcome::show,
    receiver::Receiver,
    screen::{complain, row, watch},
};

const SECOND: Duration = Duration::from_secs(1);
const ANSWER_TIME: Duration = Duration::from_secs(3);
const QUERY_PAUSE: Duration = Duration::from_millis(2_500);
const CONFIRM_AFTER: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(30);

/// What a simulated customer does depends on the last two digits of the number.
const ACTS: [Act; 3] = [
    Act { title: "A customer pays", typed: "0712 345 678", shillings: 500, reason: None, teller: Source::Callback },
    Act {
        title: "A customer cancels",
        typed: "+254 700 000 032",
        shillings: 1_200,
        reason: Some(StkReason::Cancelled),
        teller: Source::Callback,
    },
    Act {
        title: "A customer ignores the prompt, and the callback is lost on its way",
        typed: "0700-000-096",
        shillings: 80,
        reason: Some(StkReason::NoResponse),
        teller: Source::Query,
    },
];

struct Act {
    title: &'static str,
    typed: &'static str,
    shillings: u32,
    /// Why it fails; `None` if it is paid.
    reason: Option<StkReason>,
    teller: Source,
}

impl Act {
    fn ended_well(&self, settled: &Settled) -> bool {
        let outcome = match &settled.outcome {
            Outcome::Paid(payment) => self.reason.is_none() && payment.receipt.is_some(),
            Outcome::Failed(failure) => self.reason == Some(failure.reason()),
        };
        outcome && settled.source == self.teller
    }
}

pub(crate) async fn run() -> ExitCode {
    let mut stage = match Stage::build().await {
        Ok(stage) => stage,
        Err(error) => return complain(error.as_ref(), ExitCode::FAILURE),
    };
    stage.introduce();
    let mut exit = ExitCode::SUCCESS;
    for (number, act) in (1..).zip(&ACTS) {
        say!("\n{number}. {}", act.title);
        match stage.perform(act, &format!("INV-00{number}")).await {
            Ok(settled) if act.ended_well(&settled) => {}
            Ok(_) => {
                warn!("error: payment {number} did not end as its scenario says");
                exit = ExitCode::FAILURE;
            }
            Err(error) => exit = complain(&error, ExitCode::FAILURE),
        }
    }
    if exit == ExitCode::SUCCESS {
        say!("\nEach payment ended as its scenario says. For a real phone, see --help.");
    }
    exit
}

/// Daraja, played by the simulator, and a shop with its client and the receiver of its callbacks.
struct Stage {
    simulator: Simulator,
    daraja: Served,
    client: Client,
    merchant: Merchant,
    receiver: Receiver,
}

impl Stage {
    async fn build() -> Result<Self, Box<dyn Error>> {
        let simulator = Simulator::builder().answer_time(ANSWER_TIME).query_spacing(SECOND).build();
        let daraja = simulator.serve("127.0.0.1:0").await?;
        let client = daraja.client_builder().query_spacing(SECOND).build()?;
        Ok(Self { merchant: simulator.merchant(), receiver: Receiver::start().await?, simulator, daraja, client })
    }

    fn introduce(&self) {
        say!("A checkout by M-PESA. Daraja is played by the simulator: no real money can move.");
        let (answer, pause) = (ANSWER_TIME.as_secs(), QUERY_PAUSE.as_secs_f32());
        say!(
            "Times are shortened: a customer takes {answer} s, not 15 to 30; Daraja is asked every {pause} s, not 15.\n"
        );
        row("Daraja", format_args!("{} (simulator, seed {})", self.daraja.base_url(), self.simulator.seed()));
        row("shop", format_args!("{} (receives the callbacks)", self.receiver.origin()));
    }

    async fn perform(&mut self, act: &Act, reference: &str) -> daraja::Result<Settled> {
        let (payer, amount): (Msisdn, Shillings) = (act.typed.parse()?, Shillings::new(act.shillings)?);
        row("typed", act.typed);
        row("understood", payer.masked());
        let attempt: Reference = reference.parse()?; // a shop makes a new one for each attempt, and stores it first
        let callback_url = self.receiver.url_for(&attempt);
        let push = StkPush::new(&self.merchant, payer, amount, reference.parse()?, callback_url);
        row("push", format_args!("KES {amount} for {reference}"));
        let accepted = self.client.send(&push).await?;
        row("accepted", "the phone rings; nobody has paid yet");
        let settled = self.settle(&accepted.checkout_request_id, &attempt).await;
        while let Ok(arrival) = self.receiver.arrivals.try_recv() {
            row("callback", arrival);
        }
        settled.inspect(|settled| show(settled, amount))
    }

    async fn settle(&self, id: &CheckoutRequestId, attempt: &Reference) -> daraja::Result<Settled> {
        let before = self.simulator.calls(Route::StkQuery);
        let queries = || match self.simulator.calls(Route::StkQuery).saturating_sub(before) {
            0 => "Daraja was not asked yet".to_owned(),
            1 => "Daraja was asked once".to_owned(),
            count => format!("Daraja was asked {count} times"),
        };
        let wait = self.client.wait_for_payment(&self.merchant, id).inbox(&self.receiver.inbox).at(attempt);
        let wait = wait.within(PATIENCE).schedule(iter::repeat(QUERY_PAUSE)).confirm_after(CONFIRM_AFTER);
        watch(wait.into_future(), SECOND, queries).await
    }
}
