//! Everything that the command line and the environment say: a real shop, or the demo if it is asked for by name.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use daraja::{
    Client, Merchant, Settings,
    client::ClientBuilder,
    error::{ConfigError, ConfigProblem},
    settings::PayoutSettings,
    token::TokenStore,
    webhook::{Delivery, Receiver, Refused, SAFARICOM},
};
use url::Url;

pub(crate) use self::refusal::Refusal;
use crate::payments::LONGEST_PUSH;

mod refusal;

/// Where M-PESA's callbacks come in: `MPESA_CALLBACK_URL` must end in it.
pub(crate) const CALLBACK_PATH: &str = "/api/payments/mpesa/callback";
/// The same for `MPESA_B2C_RESULT_URL` and `MPESA_B2C_TIMEOUT_URL`.
pub(crate) const RESULT_PATH: &str = "/api/payments/b2c/result";
pub(crate) const TIMEOUT_PATH: &str = "/api/payments/b2c/timeout";

/// What the library can do without, and the shop cannot.
const REQUIRED: [&str; 4] = ["MPESA_SHORTCODE", "MPESA_PASSKEY", "MPESA_CALLBACK_URL", "MPESA_CALLBACK_SECRET"];

/// What belongs to a real shop, besides `MPESA_*`. The demo does not start with any of it.
const REAL_ONLY: [&str; 7] = [
    "DATABASE_URL",
    "SHOP_NAME",
    "SHOP_PHONE",
    "SHOP_EMAIL",
    "SHOP_JWT_SECRET",
    "SHOP_ADMIN_EMAIL",
    "SHOP_ADMIN_PASSWORD",
];

/// The settings of the shop itself; see `.env.example` for what each means.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) address: SocketAddr,
    pub(crate) metrics_address: SocketAddr,
    pub(crate) database_url: String,
    pub(crate) jwt_secret: Secret,
    pub(crate) first_admin: Option<(String, Secret)>,
    pub(crate) identity: Identity,
    pub(crate) rules: Rules,
    pub(crate) json_logs: bool,
}

/// Whose shop it is, and how its customers reach a person.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    pub(crate) name: String,
    /// A telephone number as people write it.
    pub(crate) phone: String,
    pub(crate) email: String,
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
    /// How far apart two queries are that together prove a failure.
    pub(crate) confirm_after: Duration,
    /// No push leaves later after its row was written.
    pub(crate) longest_push: Duration,
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
    /// The simulator in place of M-PESA, and demo data.
    Demo(Config, Option<Secret>),
    Real(Config, Box<Unconnected>),
}

/// Reads the command line and the process's environment. No `.env` file is read.
pub(crate) fn from_process() -> Result<Start, Refusal> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let names: Vec<String> = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
    let lookup = |name: &str| std::env::var(name).ok();
    match arguments.as_slice() {
        [] => real(&names, lookup),
        [demo] if demo == "demo" => self::demo(&names, lookup),
        _ => Err(Refusal::Usage),
    }
}

fn demo(names: &[String], lookup: impl Fn(&str) -> Option<String>) -> Result<Start, Refusal> {
    let mut reader = Reader { lookup: &lookup, problems: Vec::new() };
    for name in names {
        let is_real = name.starts_with("MPESA_") || REAL_ONLY.contains(&name.as_str());
        if is_real && reader.text(name).is_some() {
            reader.problems.push(format!("{name} belongs to a real shop: the demo starts only without it"));
        }
    }
    let address = reader.address();
    if !address.ip().is_loopback() {
        reader.problems.push("SHOP_ADDRESS must be a loopback address: the demo is for this machine only".to_owned());
    }
    let password = reader.text(crate::demo::PASSWORD).map(Secret);
    if password.as_ref().is_some_and(|password| password.0.chars().count() < 12) {
        reader.problems.push(format!("{} must have 12 characters or more", crate::demo::PASSWORD));
    }
    let config = Config {
        address,
        metrics_address: reader.metrics_address(),
        database_url: String::new(),
        // Of no use after the demo, and nobody can guess it.
        jwt_secret: Secret(daraja::webhook::Reference::random().to_string()),
        first_admin: None,
        identity: crate::demo::identity(),
        rules: reader.rules(),
        json_logs: reader.json_logs(),
    };
    if reader.problems.is_empty() { Ok(Start::Demo(config, password)) } else { Err(Refusal::Demo(reader.problems)) }
}

fn real(names: &[String], lookup: impl Fn(&str) -> Option<String>) -> Result<Start, Refusal> {
    let mut reader = Reader { lookup: &lookup, problems: Vec::new() };
    let is_ours = |name: &str| name.starts_with("MPESA_") || name.starts_with("SHOP_") || name == "DATABASE_URL";
    if !names.iter().any(|name| is_ours(name) && reader.text(name).is_some()) {
        return Err(Refusal::NothingSet);
    }
    if reader.text(crate::demo::PASSWORD).is_some() {
        reader
            .problems
            .push(format!("{} belongs to the demo: a real shop starts only without it", crate::demo::PASSWORD));
    }
    let config = reader.config();
    let daraja = reader.daraja(config.rules.query_spacing);
    reader.check_callers(config.address.ip().to_canonical(), daraja.as_ref().map(|daraja| &daraja.receiver));
    match daraja {
        Some(daraja) if reader.problems.is_empty() => Ok(Start::Real(config, Box::new(daraja))),
        _ => Err(Refusal::Real(reader.problems)),
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

    /// A shorter time than the least is the least: it would let money move twice, or one person act for two.
    fn seconds(&mut self, name: &str, usual: u64, least: u64) -> Duration {
        Duration::from_secs(self.parsed(name, usual).max(least))
    }

    /// How long a push may take in tests, where times may be as short as they need them: only where no real money can move.
    fn test_times(&mut self) -> Option<Duration> {
        self.text("SHOP_TEST_TIMES")?;
        // The library takes http for this machine only.
        if !self.text("MPESA_BASE_URL").is_some_and(|url| url.starts_with("http://")) {
            let problem = "SHOP_TEST_TIMES is for tests with a simulator on this machine, which MPESA_BASE_URL names";
            self.problems.push(problem.to_owned());
            return None;
        }
        Some(self.seconds("SHOP_TEST_TIMES", 0, 0))
    }

    /// `None` is a problem that was noted.
    fn required(&mut self, name: &str, advice: &str, fits: impl Fn(&str) -> bool) -> Option<String> {
        let problem = match self.text(name) {
            None => format!("{name} is missing: {advice}"),
            Some(text) if is_placeholder(&text) => format!("{name} still holds the placeholder: {advice}"),
            Some(text) if fits(&text) => return Some(text),
            Some(_) => format!("{name} cannot be used: {advice}"),
        };
        self.problems.push(problem);
        None
    }

    fn address(&mut self) -> SocketAddr {
        self.parsed("SHOP_ADDRESS", SocketAddr::from(([127, 0, 0, 1], 5_000)))
    }

    fn metrics_address(&mut self) -> SocketAddr {
        let address: SocketAddr = self.parsed("SHOP_METRICS_ADDRESS", SocketAddr::from(([127, 0, 0, 1], 9_464)));
        if !address.ip().is_loopback() {
            self.problems.push("SHOP_METRICS_ADDRESS must be a loopback address: metrics are not for everybody".into());
        }
        address
    }

    fn config(&mut self) -> Config {
        let secret = "make one with `openssl rand -hex 32`, 32 characters or more";
        Config {
            address: self.address(),
            metrics_address: self.metrics_address(),
            database_url: self.required("DATABASE_URL", DATABASE, |_| true).unwrap_or_default(),
            jwt_secret: Secret(self.required("SHOP_JWT_SECRET", secret, |text| text.len() >= 32).unwrap_or_default()),
            first_admin: self.first_admin(),
            identity: Identity {
                name: self.required("SHOP_NAME", "the name on every page", is_name).unwrap_or_default(),
                phone: self.required("SHOP_PHONE", "a telephone number for customers", is_phone).unwrap_or_default(),
                email: self.required("SHOP_EMAIL", "an e-mail address for customers", is_email).unwrap_or_default(),
            },
            rules: self.rules(),
            json_logs: self.json_logs(),
        }
    }

    fn first_admin(&mut self) -> Option<(String, Secret)> {
        if self.text("SHOP_ADMIN_EMAIL").is_none() && self.text("SHOP_ADMIN_PASSWORD").is_none() {
            return None;
        }
        let email = self.required("SHOP_ADMIN_EMAIL", "it belongs to SHOP_ADMIN_PASSWORD", is_email);
        let advice = "12 characters or more, together with SHOP_ADMIN_EMAIL";
        let password = self.required("SHOP_ADMIN_PASSWORD", advice, |text| text.chars().count() >= 12);
        email.zip(password.map(Secret))
    }

    /// Only this machine reaches a loopback address, so each callback comes from a proxy or a tunnel, whose address is no
    /// address of Safaricom's: unless it is named, all of them would be refused.
    fn check_callers(&mut self, own: IpAddr, receiver: Option<&Receiver>) {
        let names = |name: &str| self.text(name).is_some();
        let is_set = names("MPESA_CALLBACK_PROXIES") || names("MPESA_CALLBACK_SOURCES");
        let takes = receiver.map_or(is_set, |receiver| self.takes_from(receiver, own));
        if own.is_loopback() && !takes {
            self.problems.push(format!(
                "SHOP_ADDRESS is a loopback address, and every callback would be refused. Set one of these:\n    \
                 MPESA_CALLBACK_PROXIES={own} if a proxy on this machine forwards to the shop\n    \
                 MPESA_CALLBACK_SOURCES=anyone if a tunnel does, in the sandbox"
            ));
        }
    }

    /// Whether a process on this machine can bring a callback.
    fn takes_from(&self, receiver: &Receiver, own: IpAddr) -> bool {
        let forwarded = format!("for={}", SAFARICOM[0]);
        let delivery = Delivery::new(own, "", b"").forwarded_for(&forwarded).forwarded(&forwarded);
        let is_proxy = receiver.client_of(&delivery) != Some(own);
        // A proxy may have another loopback address than ours.
        let proxies = self.text("MPESA_CALLBACK_PROXIES").unwrap_or_default();
        let mut addresses = proxies.split(',').filter_map(|proxy| proxy.trim().parse::<IpAddr>().ok());
        is_proxy
            || addresses.any(|proxy| proxy.is_loopback() && proxy.is_ipv4() == own.is_ipv4())
            || !matches!(receiver.accept(delivery), Err(Refused::Source))
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
        let test_times = self.test_times();
        let least = |seconds| if test_times.is_some() { 0 } else { seconds };
        let query_spacing = self.seconds("SHOP_QUERY_SPACING_SECONDS", 13, least(1));
        let confirm_after = Duration::from_secs(15);
        Rules {
            daily_payout_cap: self.parsed("SHOP_DAILY_PAYOUT_CAP", 500_000),
            client_rate: self.parsed("SHOP_CLIENT_RATE", 300).max(1),
            phone_rate: self.parsed("SHOP_PHONE_RATE", 5).max(1),
            login_rate: self.parsed("SHOP_LOGIN_RATE", 10).max(1),
            query_spacing,
            sweep_after: self.seconds("SHOP_SWEEP_AFTER_SECONDS", 300, 0),
            unknown_blocks: self.seconds("SHOP_UNKNOWN_BLOCKS_SECONDS", 300, least(60)),
            patience: self.seconds("SHOP_PATIENCE_SECONDS", 120, 0),
            number_is_new: self.seconds("SHOP_NEW_NUMBER_SECONDS", 86_400, least(60)),
            confirm_after: if test_times.is_some() { confirm_after.min(query_spacing) } else { confirm_after },
            longest_push: test_times.map_or(LONGEST_PUSH, |longest| longest.min(LONGEST_PUSH)),
        }
    }

    fn daraja(&mut self, query_spacing: Duration) -> Option<Unconnected> {
        let Some(settings) = self.taken(Settings::from_lookup(self.lookup)) else {
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
        let sources = self.text("MPESA_CALLBACK_SOURCES").unwrap_or_default();
        if settings.environment.is_production() && sources.eq_ignore_ascii_case("anyone") {
            self.problems.push(
                "MPESA_CALLBACK_SOURCES must not be anyone where real money moves: name your proxy in MPESA_CALLBACK_PROXIES"
                    .into(),
            );
        }
        // All servers of the shop share their turns in the database; the client's own budget must not be narrower.
        let client = Client::builder(settings.environment, settings.credentials).query_spacing(query_spacing);
        Some(Unconnected { client, merchant: merchant?, receiver: receiver?, payouts })
    }

    /// What the library has read, or its problems noted, a line each.
    fn taken<T>(&mut self, read: Result<T, ConfigError>) -> Option<T> {
        let line = |one: &ConfigProblem| format!("{} {}", one.name, one.problem);
        read.map_err(|error| self.problems.extend(error.problems().iter().map(line))).ok()
    }
}

const DATABASE: &str = "sqlite:shop.db for one machine, postgres://… for several";

/// Whether a line of `.env.example` was copied and not filled in.
fn is_placeholder(text: &str) -> bool {
    text.starts_with("your_") || text.contains("your-domain")
}

fn is_name(text: &str) -> bool {
    text.chars().count() <= 60 && !text.chars().any(char::is_control)
}

fn is_phone(text: &str) -> bool {
    text.len() <= 30
        && text.bytes().filter(u8::is_ascii_digit).count() >= 3
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-() ".contains(&byte))
}

fn is_email(text: &str) -> bool {
    let has_host = text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
    has_host && text.len() <= 200 && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}
