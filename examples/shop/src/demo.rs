//! The demo: the simulator in place of Daraja, and data to play with. No real money can move.

use std::{io, net::SocketAddr, time::Duration};

use daraja::{
    Settings,
    simulator::{Served, Simulator},
    webhook::{Receiver, Reference},
};

use crate::{
    app::App,
    auth::{Role, add_user},
    config::{CALLBACK_PATH, Daraja, Identity, RESULT_PATH, Secret, TIMEOUT_PATH},
    db::{DAY, new_id, now},
    reply::Failure,
};

mod history;
mod local;

pub(crate) use local::guarded;

/// The accounts of the demo: address and role.
pub(crate) const PEOPLE: [(&str, Role); 3] = [
    ("amina@shop.example", Role::Customer),
    ("admin@shop.example", Role::Admin),
    ("second.admin@shop.example", Role::Admin),
];

/// For tests: the variable with the password of everybody in the demo, and with the key of its phone.
pub(crate) const PASSWORD: &str = "SHOP_DEMO_PASSWORD";

/// What stands behind the demo. Its secrets are new at each start and are printed on the terminal only: a proxy can hide that it
/// forwards.
#[derive(Clone)]
pub(crate) struct Demo {
    pub(crate) simulator: Simulator,
    passwords: Vec<Secret>,
    phone_key: Secret,
}

impl Demo {
    /// With one secret for all, or a new one for each.
    pub(crate) fn new(simulator: Simulator, password: Option<&Secret>) -> Self {
        let secret = || password.cloned().unwrap_or_else(|| Secret(new_secret()));
        Self { simulator, passwords: PEOPLE.iter().map(|_| secret()).collect(), phone_key: secret() }
    }

    /// Address, password and role of each person.
    pub(crate) fn log_ins(&self) -> impl Iterator<Item = (&'static str, &str, Role)> {
        PEOPLE.into_iter().zip(&self.passwords).map(|((email, role), password)| (email, password.0.as_str(), role))
    }

    /// What the URL of the phone carries: with it, a browser can answer for every phone.
    pub(crate) fn phone_key(&self) -> &str {
        &self.phone_key.0
    }

    pub(crate) fn is_phone_key(&self, given: &str) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.phone_key.0.as_bytes(), given.as_bytes()).is_ok()
    }
}

/// 16 characters of a reference that nobody can guess.
fn new_secret() -> String {
    Reference::random().as_str().chars().filter(char::is_ascii_alphanumeric).take(16).collect()
}

/// The phones of the demo, and whose they are: all are in the hands of whoever looks at the page.
pub(crate) const PHONES: [(&str, &str); 4] = [
    ("254708374149", "Amina"),
    ("254700000001", "another customer"),
    ("254700000002", "another customer"),
    (SLOW_PHONE, "slow M-PESA"),
];
/// Its prompts stay open for so long that the shop stops waiting before.
pub(crate) const SLOW_PHONE: &str = "254700000003";
const SLOW: Duration = Duration::from_mins(15);

const PRODUCTS: [(&str, i64); 5] = [
    ("Coffee beans, 500 g", 850),
    ("Tea leaves, 250 g", 320),
    ("Honey, 1 kg", 1_200),
    ("Kikoi towel", 1_500),
    ("Stamp", 1),
];

const SUPPLIERS: [(&str, &str); 3] = [
    ("Mlima Coffee Growers", "254700000101"),
    ("Kericho Tea Sacco", "254700000102"),
    ("Baringo Honey", "254700000103"),
];

/// Nobody's shop.
pub(crate) fn identity() -> Identity {
    Identity { name: "Soko Shop".to_owned(), phone: "0700 000 000".to_owned(), email: "help@shop.example".to_owned() }
}

/// The simulator on a loopback port, and settings that talk to it. Drop neither.
pub(crate) async fn simulate(address: SocketAddr) -> io::Result<(Simulator, Served, Daraja)> {
    let simulator = Simulator::new();
    for (phone, _) in PHONES {
        let Ok(number) = phone.parse() else { continue };
        let script = simulator.customer(number).decides_by_hand();
        if phone == SLOW_PHONE {
            script.after(SLOW);
        }
    }
    let served = simulator.serve("127.0.0.1:0").await?;
    let secret = Reference::random().to_string();
    let base = format!("http://{address}");
    let urls = [
        ("MPESA_CALLBACK_URL", format!("{base}{CALLBACK_PATH}")),
        ("MPESA_CALLBACK_SECRET", secret),
        ("MPESA_CALLBACK_SOURCES", "127.0.0.1, ::1".to_owned()),
        ("MPESA_B2C_RESULT_URL", format!("{base}{RESULT_PATH}")),
        ("MPESA_B2C_TIMEOUT_URL", format!("{base}{TIMEOUT_PATH}")),
    ];
    let results = daraja::ResultUrls::new(
        urls[3].1.parse().map_err(io::Error::other)?,
        urls[4].1.parse().map_err(io::Error::other)?,
    );
    let variables: std::collections::HashMap<_, _> =
        served.variables().into_iter().chain(served.payout_variables(&results)).chain(urls).collect();
    let lookup = |name: &str| variables.get(name).cloned();
    let settings = Settings::from_lookup(lookup).map_err(io::Error::other)?;
    let receiver = Receiver::from_lookup(lookup).map_err(io::Error::other)?;
    let daraja = Daraja {
        client: served.client(),
        merchant: settings.merchant.required().map_err(io::Error::other)?,
        receiver,
        payouts: settings.payouts.optional(),
    };
    Ok((simulator, served, daraja))
}

/// People, products, suppliers and a past to play with.
pub(crate) async fn fill(app: &App) -> Result<(), Failure> {
    let mut admin = String::new();
    for (email, password, role) in app.demo.iter().flat_map(Demo::log_ins) {
        let id = new_id();
        add_user(&app.db, &id, email, password, role).await?;
        if role == Role::Admin && admin.is_empty() {
            admin = id;
        }
    }
    add_products(app).await?;
    let mut tx = app.db.write().await?;
    let month_ago = now().saturating_sub(30 * DAY);
    // An account that is new approves nothing.
    sqlx::query("UPDATE users SET created_at = $1").bind(month_ago).execute(&mut *tx).await?;
    for (name, number) in SUPPLIERS {
        let id = new_id();
        sqlx::query(
            "INSERT INTO suppliers (id, name, mpesa_number, changed_at, changed_by, created_at) VALUES ($1, $2, $3, $4, $5, $4)",
        )
        .bind(&id)
        .bind(name)
        .bind(number)
        .bind(month_ago)
        .bind(&admin)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO audit (id, at, who, what, subject, after, reason) VALUES ($1, $2, $3, 'supplier.added', $4, $5, $6)",
        )
        .bind(new_id())
        .bind(month_ago)
        .bind(&admin)
        .bind(&id)
        .bind(number)
        .bind("as in the contract")
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    history::write(app, &admin).await
}

async fn add_products(app: &App) -> sqlx::Result<()> {
    let mut tx = app.db.write().await?;
    for (name, price) in PRODUCTS {
        sqlx::query("INSERT INTO products (id, name, price) VALUES ($1, $2, $3)")
            .bind(new_id())
            .bind(name)
            .bind(price)
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await
}
