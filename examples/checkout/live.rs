//! One push to a real phone, with the settings of the environment: what a user of Safaricom's sandbox runs.

use std::{collections::HashMap, error::Error as StdError, io::IsTerminal, process::ExitCode, time::Duration};

use daraja::{
    Client, Environment, Merchant, Msisdn, Operation, Settings, Shillings, StkPush,
    error::Error,
    stk::{Outcome, Settled},
};

use crate::{
    Options,
    screen::{complain, row, show, watch},
};

const NOTHING_SENT: u8 = 2;
/// Daraja accepts a host that does not exist. Nobody receives the callback then.
const NOWHERE: &str = "https://callback.invalid/daraja";
const REFERENCE: &str = "DARAJA-TEST";

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
            warn!("what to do: {}", what_to_do(&error));
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
        let file = dotenv()?;
        let settings = Settings::from_lookup(|name| std::env::var(name).ok().or_else(|| file.get(name).cloned()))?;
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
        let environment = self.client.environment();
        say!("One push to a real phone.\n");
        match environment {
            Environment::Custom(_) if environment.is_production() => row("environment", "production, by a gateway"),
            Environment::Custom(_) => row("environment", "custom"),
            named => row("environment", named),
        }
        row("base URL", environment.base_url());
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

/// Reads `./.env` of this very folder, if there is one. An error shows no line of it: it may hold a secret.
fn dotenv() -> Result<HashMap<String, String>, &'static str> {
    let problem = |error: dotenvy::Error| match error {
        dotenvy::Error::LineParse(..) => "./.env holds a line that is not NAME=value",
        _ => "./.env cannot be read",
    };
    match dotenvy::from_path_iter(".env") {
        Ok(lines) => lines.collect::<Result<_, _>>().map_err(problem),
        Err(error) if error.not_found() => Ok(HashMap::new()),
        Err(error) => Err(problem(error)),
    }
}

fn what_to_do(error: &Error) -> String {
    if error.outcome_unknown() {
        let look = "see whether an SMS came, or look into the M-PESA portal";
        return format!("do not push again, as the customer may have paid or may still pay: {look}");
    }
    match (error.is_retryable(), error.retry_after()) {
        (true, Some(pause)) => format!("nothing was carried out; try again after {} s", pause.as_secs()),
        (true, None) => "nothing was carried out; try again a little later".to_owned(),
        (false, _) => "nothing was carried out; put the cause right first, or the same will happen again".to_owned(),
    }
}
