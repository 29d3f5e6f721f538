//! One push to a real phone, with the settings of the environment: what a user of Safaricom's sandbox runs.

use std::{error::Error as StdError, io::IsTerminal, process::ExitCode, time::Duration};

use daraja::{
    Client, Merchant, Msisdn, Operation, Shillings, StkPush,
    stk::{Outcome, Settled},
};

use crate::{
    Options,
    live_tools::{NOTHING_SENT, introduce, settings, what_to_do},
    outcome::show,
    screen::{complain, row, watch},
};

/// Daraja accepts a host that does not exist. Nobody receives the callback then.
const NOWHERE: &str = "https://callback.invalid/daraja";
const REFERENCE: &str = "DARAJA-TEST";
const LOOK: &str = "do not push again, as the customer may have paid or may still pay: see whether an SMS came, or look into \
                    the M-PESA portal";

pub(crate) async fn run(phone: &str, amount: &str, options: &Options) -> ExitCode {
    let plan = match Plan::read(phone, amount) {
        Ok(plan) => plan,
        Err(error) => return complain(error.as_ref(), ExitCode::from(NOTHING_SENT)),
    };
    plan.introduce();
    if !options.yes {
        say!("\nNothing was sent. If this is what you want, run the same command with --yes.");
        return ExitCode::from(NOTHING_SENT);
    }
    match plan.carry_out().await {
        Ok(settled) if matches!(settled.outcome, Outcome::Paid(_)) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error, ExitCode::FAILURE);
            warn!("what to do: {}", if error.outcome_unknown() { LOOK.to_owned() } else { what_to_do(&error) });
            ExitCode::FAILURE
        }
    }
}

struct Plan {
    client: Client,
    merchant: Merchant,
    callback: String,
    push: StkPush,
}

impl Plan {
    /// Finds everything that is wrong before anything is sent.
    fn read(phone: &str, amount: &str) -> Result<Self, Box<dyn StdError>> {
        let (payer, amount): (Msisdn, Shillings) = (phone.parse()?, amount.parse()?);
        let settings = settings()?;
        let merchant = settings.merchant.required()?;
        let client = Client::new(settings.environment, settings.credentials)?;
        let (callback_url, callback) = match settings.callback_url.optional() {
            Some(url) => (url, "goes to MPESA_CALLBACK_URL; here Daraja is asked instead".to_owned()),
            None => (NOWHERE.parse()?, format!("goes to {NOWHERE}, so to nobody; here Daraja is asked instead")),
        };
        let push = StkPush::new(&merchant, payer, amount, REFERENCE.parse()?, callback_url);
        push.check(client.rules())?;
        Ok(Self { client, merchant, callback, push })
    }

    fn introduce(&self) {
        say!("One push to a real phone.\n");
        introduce(&self.client);
        row("short code", self.merchant.short_code());
        if let Some(till) = self.merchant.till_number() {
            row("till", till);
        }
        row("phone", self.push.payer().masked());
        row("amount", format_args!("KES {}", self.push.amount()));
        row("reference", format_args!("{REFERENCE} (the customer sees it)"));
        row("callback", &self.callback);
        row("money", "REAL MONEY MOVES if the line is real, in the sandbox too. Only the simulator moves none.");
    }

    async fn carry_out(&self) -> daraja::Result<Settled> {
        say!("");
        let accepted = self.client.send(&self.push).await?;
        row("accepted", "the phone rings; nobody has paid yet");
        if let Some(id) = &accepted.merchant_request_id {
            row("request", format_args!("{id} (Safaricom's support asks for it)"));
        }
        let wait = self.client.wait_for_payment(&self.merchant, &accepted.checkout_request_id);
        let every = if std::io::stdout().is_terminal() { Duration::from_secs(1) } else { Duration::from_secs(5) };
        let settled = watch(wait.into_future(), every, || "two minutes at most".to_owned()).await?;
        show(&settled, self.push.amount());
        Ok(settled)
    }
}
