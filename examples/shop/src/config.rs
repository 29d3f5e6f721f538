//! Everything that the environment says, and whether it is the demo that shall run.

use std::{fmt, net::SocketAddr, time::Duration};

use daraja::{
    Client, Merchant, Settings,
    client::ClientBuilder,
    error::{ConfigError, ConfigProblem},
    settings::PayoutSettings,
    token::TokenStore,
    webhook::Receiver,
};
use url::Url;

/// Where M-PESA's callbacks come in: `MPESA_CALLBACK_URL` must end in it.
pub(crate) const CALLBACK_PATH: &str = "/api/payments/mpesa/callback";
/// The same for `MPESA_B2C_RESULT_URL` and `MPESA_B2C_TIMEOUT_URL`.
pub(crate) const RESULT_PATH: &str = "/api/payments/b2c/result";
pub(crate) const TIMEOUT_PATH: &str = "/api/payments/b2c/timeout";

/// What cannot be left out, unless it is the demo.
const REQUIRED: [&str; 4] = ["MPESA_SHORTCODE", "MPESA_PASSKEY", "MPESA_CALLBACK_URL", "MPESA_CALLBACK_SECRET"];

/// The settings of the shop itself; see `.env.example` for what each means.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) address: SocketAddr,
    pub(crate) metrics_address: SocketAddr,
    pub(crate) database_url: String,
    pub(crate) jwt_secret: Secret,
    pub(crate) first_admin: Option<(String, Secret)>,
    pub(crate) rules: Rules,
    pub(crate) json_logs: bool,
}

/// What may be asked of the shop, and how patient it is.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// Whole shillings that may be paid out on one day.
    pub(crate) daily_payout_cap: i64,
    /// Requests in a minute.
    pub(crate) client_rate: u32,
    pub(crate) phone_rate: u32,
    pub(crate) login_rate: u32,
    /// Between two STK queries, of all servers together.
    pub(crate) query_spacing: Duration,
    /// How long a payment is pending before it is asked for unasked.
    pub(crate) sweep_after: Duration,
    /// How long an unknown push without an id blocks its order.
    pub(crate) unknown_blocks: Duration,
    /// How long a page waits for what became of a payment before it says that it is not known.
    pub(crate) patience: Duration,
    /// How long a supplier's changed number needs a second admin.
    pub(crate) number_is_new: Duration,
}

/// A text that no log shows.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What the shop talks to Daraja with.
#[derive(Clone)]
pub(crate) struct Daraja {
    pub(crate) client: Client,
    pub(crate) merchant: Merchant,
    pub(crate) receiver: Receiver,
    pub(crate) payouts: Option<PayoutSettings>,
}

/// The same before the database is open, which the access token is shared by.
pub(crate) struct Unconnected {
    client: ClientBuilder,
    merchant: Merchant,
    receiver: Receiver,
    payouts: Option<PayoutSettings>,
}

impl Unconnected {
    pub(crate) fn connect(self, tokens: impl TokenStore) -> daraja::Result<Daraja> {
        let Self { client, merchant, receiver, payouts } = self;
        Ok(Daraja { client: client.token_store(tokens).build()?, merchant, receiver, payouts })
    }
}

/// How the program was started.
pub(crate) enum Start {
    /// Nothing is configured: the simulator behind it, and demo data.
    Demo(Config),
    Real(Config, Box<Unconnected>),
}

/// All that is missing or wrong, one line each.
#[derive(Debug)]
pub(crate) struct Problems(Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the configuration is not complete:")?;
        for problem in &self.0 {
            writeln!(f, "  {problem}")?;
        }
        write!(f, "examples/shop/.env.example says what each variable means. With none of them set, the demo runs.")
    }
}

impl std::error::Error for Problems {}

/// Reads the process's environment. No `.env` file is read.
pub(crate) fn from_env() -> Result<Start, Problems> {
    let names: Vec<String> = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
    read(&names, |name| std::env::var(name).ok())
}

fn read(names: &[String], lookup: impl Fn(&str) -> Option<String>) -> Result<Start, Problems> {
    let mut reader = Reader { lookup: &lookup, problems: Vec::new() };
    let address: SocketAddr = reader.parsed("SHOP_ADDRESS", SocketAddr::from(([127, 0, 0, 1], 5_000)));
    let is_set = |name: &str| lookup(name).is_some_and(|value| !value.trim().is_empty());
    let mpesa = names.iter().any(|name| name.starts_with("MPESA_") && is_set(name));
    let demo = !mpesa && !is_set("DATABASE_URL") && address.ip().is_loopback();
    let config = reader.config(address, demo);
    if demo {
        return if reader.problems.is_empty() { Ok(Start::Demo(config)) } else { Err(Problems(reader.problems)) };
    }
    let daraja = reader.daraja();
    match daraja {
        Some(daraja) if reader.problems.is_empty() => Ok(Start::Real(config, Box::new(daraja))),
        _ => Err(Problems(reader.problems)),
    }
}

struct Reader<'l, L> {
    lookup: &'l L,
    problems: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<'_, L> {
    fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn parsed<T: std::str::FromStr>(&mut self, name: &str, usual: T) -> T {
        let Some(text) = self.text(name) else { return usual };
        text.parse().unwrap_or_else(|_| {
            self.problems.push(format!("{name} cannot be read: see .env.example for how it is written"));
            usual
        })
    }

    fn seconds(&mut self, name: &str, usual: u64) -> Duration {
        Duration::from_secs(self.parsed(name, usual))
    }

    fn secret(&mut self, name: &str, demo: bool) -> Secret {
        match self.text(name) {
            Some(secret) if secret.len() >= 32 && !secret.starts_with("your_") => Secret(secret),
            Some(_) => {
                self.problems
                    .push(format!("{name} must have 32 characters or more: make one with `openssl rand -hex 32`"));
                Secret(String::new())
            }
            // Of no use after the demo, and nobody can guess it.
            None if demo => Secret(daraja::webhook::Reference::random().to_string()),
            None => {
                self.problems.push(format!("{name} is missing: make one with `openssl rand -hex 32`"));
                Secret(String::new())
            }
        }
    }

    fn config(&mut self, address: SocketAddr, demo: bool) -> Config {
        let metrics_address: SocketAddr =
            self.parsed("SHOP_METRICS_ADDRESS", SocketAddr::from(([127, 0, 0, 1], 9_464)));
        if !metrics_address.ip().is_loopback() {
            self.problems.push("SHOP_METRICS_ADDRESS must be a loopback address: metrics are not for everybody".into());
        }
        let jwt_secret = self.secret("SHOP_JWT_SECRET", demo);
        let first_admin = match (self.text("SHOP_ADMIN_EMAIL"), self.text("SHOP_ADMIN_PASSWORD")) {
            (Some(email), Some(password)) if password.chars().count() >= 12 => Some((email, Secret(password))),
            (None, None) => None,
            (Some(_), Some(_)) => {
                self.problems.push("SHOP_ADMIN_PASSWORD must have 12 characters or more".into());
                None
            }
            _ => {
                self.problems.push("SHOP_ADMIN_EMAIL and SHOP_ADMIN_PASSWORD belong together".into());
                None
            }
        };
        Config {
            address,
            metrics_address,
            database_url: self.text("DATABASE_URL").unwrap_or_else(|| "sqlite:shop.db".to_owned()),
            jwt_secret,
            first_admin,
            rules: self.rules(),
            json_logs: self.json_logs(),
        }
    }

    fn json_logs(&mut self) -> bool {
        match self.text("SHOP_LOG").as_deref() {
            None | Some("text") => false,
            Some("json") => true,
            Some(_) => {
                self.problems.push("SHOP_LOG must be text or json".into());
                false
            }
        }
    }

    fn rules(&mut self) -> Rules {
        Rules {
            daily_payout_cap: self.parsed("SHOP_DAILY_PAYOUT_CAP", 500_000),
            client_rate: self.parsed("SHOP_CLIENT_RATE", 300).max(1),
            phone_rate: self.parsed("SHOP_PHONE_RATE", 5).max(1),
            login_rate: self.parsed("SHOP_LOGIN_RATE", 10).max(1),
            query_spacing: self.seconds("SHOP_QUERY_SPACING_SECONDS", 13),
            sweep_after: self.seconds("SHOP_SWEEP_AFTER_SECONDS", 300),
            unknown_blocks: self.seconds("SHOP_UNKNOWN_BLOCKS_SECONDS", 300),
            patience: self.seconds("SHOP_PATIENCE_SECONDS", 120),
            number_is_new: self.seconds("SHOP_NEW_NUMBER_SECONDS", 86_400),
        }
    }

    fn daraja(&mut self) -> Option<Unconnected> {
        let Some(settings) = self.taken(Settings::from_lookup(self.lookup)) else {
            // Groups that the library can do without, and the shop cannot.
            for name in REQUIRED {
                let told = self.problems.iter().any(|problem| problem.starts_with(&format!("{name} ")));
                if !told && self.text(name).is_none() {
                    self.problems.push(format!("{name} is missing"));
                }
            }
            return None;
        };
        let merchant = self.taken(settings.merchant.required());
        let url = self.taken(settings.callback_url.required());
        let receiver = self.taken(settings.receiver.required());
        let payouts = settings.payouts.optional();
        let results = payouts.as_ref().map(|payouts| (payouts.urls.result(), payouts.urls.timeout()));
        for (name, url, path) in [
            ("MPESA_CALLBACK_URL", url.as_ref(), CALLBACK_PATH),
            ("MPESA_B2C_RESULT_URL", results.map(|(result, _)| result), RESULT_PATH),
            ("MPESA_B2C_TIMEOUT_URL", results.map(|(_, timeout)| timeout), TIMEOUT_PATH),
        ] {
            // Found now, and not when the first customer pays.
            let in_the_clear = |url: &Url| settings.environment.is_production() && url.scheme() != "https";
            if url.is_some_and(|url| in_the_clear(url) || url.path() != path) {
                self.problems.push(format!("{name} must be your https address and then {path}"));
            }
        }
        let client = Client::builder(settings.environment, settings.credentials);
        Some(Unconnected { client, merchant: merchant?, receiver: receiver?, payouts })
    }

    /// What the library has read, or its problems noted, a line each.
    fn taken<T>(&mut self, read: Result<T, ConfigError>) -> Option<T> {
        let line = |one: &ConfigProblem| format!("{} {}", one.name, one.problem);
        read.map_err(|error| self.problems.extend(error.problems().iter().map(line))).ok()
    }
}
