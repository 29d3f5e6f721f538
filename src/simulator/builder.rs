//! What can be set of a simulator.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use super::{
    Coexistence, Reach, Settings, Shared, Simulator, State, delivery::Deliveries, faults::Faults, random::Random,
};
use crate::clock::Clock;

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
}

impl Default for SimulatorBuilder {
    fn default() -> Self {
        let settings = Settings {
            query_spacing: Duration::from_secs(12),
            token_life: Duration::from_secs(3_599),
            answer_time: None,
            tokens_coexist: Coexistence::NewestOnly,
            reach: Reach::Loopback,
        };
        Self { seed: 1, anchor: Utc::now(), settings }
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

    /// The least time between two STK queries of the app: 12 s as in the sandbox, unless set. Earlier ones are throttled.
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

    /// Posts callbacks to any address. Unless set they go to loopback addresses only.
    pub fn deliver_anywhere(mut self) -> Self {
        self.settings.reach = Reach::Anywhere;
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
            prompts: Vec::new(),
            scripts: HashMap::new(),
            everyone: None,
            deliveries: Deliveries::default(),
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
