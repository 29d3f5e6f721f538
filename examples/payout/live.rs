//! One payout for real, with the settings of the environment.

use std::{error::Error as StdError, process::ExitCode, time::Duration};

use daraja::{
    B2cPayment, Client, Msisdn, NextStep, Operation, Payout, PayoutState, Shillings, Url, error::Error,
    settings::PayoutSettings,
};
use url::Host;

use crate::{
    Options,
    cashier::{Cashier, show},
    live_tools::{NOTHING_SENT, introduce, settings, what_to_do},
    receiver::{Kind, Receiver},
    screen::{complain, row},
};

const ACCEPTED: u8 = 3;
const PATIENCE: Duration = Duration::from_secs(150);
const REMARKS: &str = "Daraja test";

pub(crate) async fn run(phone: &str, amount: &str, options: &Options) -> ExitCode {
    let plan = match Plan::read(phone, amount).await {
        Ok(plan) => plan,
        Err(error) => return complain(error.as_ref(), ExitCode::from(NOTHING_SENT)),
    };
    plan.introduce();
    if !options.yes {
        say!("\nNothing was sent. If this is what you want, run the same command with --yes.");
        return ExitCode::from(NOTHING_SENT);
    }
    say!("");
    match plan.carry_out().await {
        Ok(exit) => exit,
        Err(error) => complain(&error, ExitCode::FAILURE),
    }
}

struct Plan {
    client: Client,
    settings: PayoutSettings,
    payment: B2cPayment,
    /// Takes the result, if it comes to this computer.
    receiver: Option<Receiver>,
}

impl Plan {
    /// Finds everything that is wrong before anything is sent.
    async fn read(phone: &str, amount: &str) -> Result<Self, Box<dyn StdError>> {
        let (recipient, amount): (Msisdn, Shillings) = (phone.parse()?, amount.parse()?);
        let settings = settings()?;
        let client = Client::new(settings.environment, settings.credentials)?;
        let settings = settings.payouts.required()?;
        let receiver = match port_here(settings.urls.result()) {
            Some(port) => Some(Receiver::start(port).await?),
            None => None,
        };
        let urls = receiver.as_ref().map_or_else(|| settings.urls.clone(), |receiver| receiver.urls(Kind::Payout));
        let payment = B2cPayment::new(&settings.initiator, settings.short_code, recipient, amount, urls);
        let payment = payment.remarks(REMARKS.parse()?);
        payment.check(client.rules())?;
        Ok(Self { client, settings, payment, receiver })
    }

    fn introduce(&self) {
        say!("One payout for real.\n");
        introduce(&self.client);
        row("short code", self.settings.short_code);
        row("initiator", self.settings.initiator.name());
        row("paid", self.payment.recipient().masked());
        row("amount", format_args!("KES {}", self.payment.amount()));
        row("id", format_args!("{} (note it: by it the payout can be asked for)", self.payment.id()));
        match &self.receiver {
            Some(receiver) => row("result", format_args!("comes here, to {}", receiver.origin())),
            None => row("result", "goes to MPESA_B2C_RESULT_URL, not here"),
        }
        row("money", "REAL MONEY LEAVES in production. Only the simulator moves none.");
    }

    async fn carry_out(self) -> Result<ExitCode, Error> {
        let Self { client, settings, payment, receiver } = self;
        let payout = match receiver {
            Some(receiver) => Cashier::new(client, settings.initiator, receiver, PATIENCE).pay(payment).await?,
            None => send_only(&client, &settings, payment).await?,
        };
        Ok(conclude(&payout))
    }
}

/// Sends it and leaves the result to whoever listens at its URL.
async fn send_only(client: &Client, settings: &PayoutSettings, payment: B2cPayment) -> Result<Payout, Error> {
    let mut payout = Payout::new(payment);
    let dispatch = payout.begin(client.now())?;
    let sent = dispatch.send(client, &settings.initiator, settings.urls.clone()).await;
    if let Err(error) = sent.outcome() {
        complain(error, ExitCode::FAILURE);
        if !error.outcome_unknown() {
            warn!("what to do: {}", what_to_do(error));
        }
    }
    payout.sent(&sent, client.now());
    if payout.next_step(client.now()) == NextStep::AskStatus {
        warn!("what to do: the id was used before; ask for it with a TransactionStatusQuery");
    }
    Ok(payout)
}

fn conclude(payout: &Payout) -> ExitCode {
    match payout.state() {
        PayoutState::Accepted => {
            row("ACCEPTED", "nobody is known to be paid: the result tells");
            return ExitCode::from(ACCEPTED);
        }
        PayoutState::Created => row("NOT SENT", "nothing was carried out"),
        PayoutState::Unknown | PayoutState::Sending => {
            show(payout);
            row("what to do", format_args!("look into the M-PESA portal, or ask for the id {}", payout.id()));
        }
        _ => show(payout),
    }
    if matches!(payout.state(), PayoutState::Paid(_)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The port of a URL on this computer, where this program itself can listen; 0 lets the system choose.
fn port_here(url: &Url) -> Option<u16> {
    let is_here = matches!(url.host(), Some(Host::Ipv4(address)) if address.is_loopback());
    if is_here && url.scheme() == "http" { url.port_or_known_default() } else { None }
}
