//! What can be set of a simulator.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use super::{
    Clients, Coexistence, Duplicates, Reach, Settings, Shared, Simulator, State,
    delivery::Deliveries,
    faults::Faults,
    ledger::{Accounts, Ledger},
    random::Random,
};
use crate::{Kes, clock::Clock};

/// Settings of a [`Simulator`].
///
/// ```
/// use std::time::Duration;
/// let simulator = daraja::simulator::Simulator::builder()
///     .seed(7)
///     .answer_time(Duration::ZERO)
///     .query_spacing(Duration::ZERO)
///     .build();
/// assert_eq!(simulator.seed(), 7);
/// ```
#[must_use = "a builder does nothing until `build` is called"]
#[derive(Clone)]
pub struct SimulatorBuilder {
    seed: u64,
    anchor: DateTime<Utc>,
    settings: Settings,
    accounts: Accounts,
    memory: Duration,
}

impl Default for SimulatorBuilder {
    fn default() -> Self {
        let settings = Settings {
            query_spacing: Duration::from_secs(12),
            token_life: Duration::from_secs(3_599),
            answer_time: None,
            tokens_coexist: Coexistence::NewestOnly,
            reach: Reach::Loopback,
            clients: Clients::Local,
            duplicates: Duplicates::Refused,
            result_time: Duration::from_secs(5),
        };
        let accounts = Accounts {
            utility: Kes::from_cents(100_000_000),
            working: Kes::from_cents(50_000_000),
            charges_paid: Kes::from_cents(0),
        };
        Self { seed: 1, anchor: Utc::now(), settings, accounts, memory: Duration::from_secs(86_400) }
    }
}

impl SimulatorBuilder {
    /// What everything that looks random comes from: ids, receipts, the query's moods.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The time of day at the start; now, unless set.
    pub fn starting_at(mut self, anchor: DateTime<Utc>) -> Self {
        self.anchor = anchor;
        self
    }

    /// The least time between two STK queries of the app: 12 s as in the sandbox, unless set. Earlier ones are throttled. The
    /// simulator's own clients keep to it, so zero makes them ask at once.
    pub fn query_spacing(mut self, spacing: Duration) -> Self {
        self.settings.query_spacing = spacing;
        self
    }

    /// How long a token lives: 3 599 s unless set.
    pub fn token_life(mut self, life: Duration) -> Self {
        self.settings.token_life = life;
        self
    }

    /// Lets tokens live beside each other. Unless set a new token voids the old one, as Safaricom's FAQ says.
    pub fn tokens_coexist(mut self) -> Self {
        self.settings.tokens_coexist = Coexistence::All;
        self
    }

    /// How long every customer takes to answer, whatever the scenario. Scripts can say otherwise.
    pub fn answer_time(mut self, time: Duration) -> Self {
        self.settings.answer_time = Some(time);
        self
    }

    /// What the utility account holds at the start, which payouts are made from: KES 1 000 000.00 unless set.
    pub fn utility_account(mut self, amount: Kes) -> Self {
        self.accounts.utility = amount;
        self
    }

    /// How long the ids of payouts are remembered: a day unless set. How long Daraja does is not known. A payout whose id
    /// was forgotten is paid again.
    pub fn duplicate_memory(mut self, memory: Duration) -> Self {
        self.memory = memory;
        self
    }

    /// Takes a payout whose id is known, and declines it by its result (15). Unless set the answer refuses it.
    pub fn duplicates_by_result(mut self) -> Self {
        self.settings.duplicates = Duplicates::DeclinedByResult;
        self
    }

    /// How long results take: 5 s unless set.
    pub fn result_time(mut self, time: Duration) -> Self {
        self.settings.result_time = time;
        self
    }

    /// Posts callbacks to any address. Unless set they go to loopback addresses only.
    pub fn deliver_anywhere(mut self) -> Self {
        self.settings.reach = Reach::Anywhere;
        self
    }

    /// Allows [`serve`](Simulator::serve) on addresses that other machines can reach, such as in a container. The
    /// simulator's credentials are public, so any such client can make it post to a URL. It therefore posts no callback to
    /// an address of this machine, and no callback at all unless it may [deliver anywhere](Self::deliver_anywhere).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use daraja::simulator::Simulator;
    ///
    /// assert!(Simulator::new().serve("0.0.0.0:0").await.is_err());
    /// let simulator = Simulator::builder().allow_remote_clients().deliver_anywhere().build();
    /// let served = simulator.serve("0.0.0.0:0").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn allow_remote_clients(mut self) -> Self {
        self.settings.clients = Clients::Remote;
        self
    }

    /// Makes the simulator. Its clock starts now: call it inside the runtime whose clock is paused.
    #[must_use]
    pub fn build(self) -> Simulator {
        let state = State {
            random: Random::new(self.seed),
            tokens: HashMap::new(),
            pushes: HashMap::new(),
            last_push: HashMap::new(),
            rung: Vec::new(),
            delivered: Vec::new(),
            scripts: HashMap::new(),
            everyone: None,
            receptions: HashMap::new(),
            every_reception: None,
            callbacks: Deliveries::default(),
            results: Deliveries::default(),
            ledger: Ledger::new(self.accounts, self.memory),
            wrong_credentials: 0,
            faults: Faults::default(),
            calls: HashMap::new(),
            last_query: None,
            receipts: 0,
        };
        let shared = Shared {
            seed: self.seed,
            clock: Clock::anchored(self.anchor),
            settings: self.settings,
            state: Mutex::new(state),
            needs_wakeup: AtomicBool::default(),
            scheduled: Notify::new(),
        };
        Simulator { shared: Arc::new(shared) }
    }
}

impl fmt::Debug for SimulatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatorBuilder").field("seed", &self.seed).finish_non_exhaustive()
    }
}
