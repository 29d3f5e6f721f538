//! A local Daraja, for tests and for development without credentials, network or tunnel. No real money can move.
//!
//! It is as strict as Daraja: the token, the STK password, every field, form bodies and the query rate are checked and
//! refused with Daraja's own status, code and words. Customers decide by script or
//! [by hand](CustomerScript::decides_by_hand), else by the last two digits of their number (see [`SCENARIOS`]), else they
//! approve. In process it runs under tokio's paused clock, so that minutes of waiting pass in a millisecond;
//! [`Simulator::serve`] puts it on a port for programs in any language.
//!
//! ```
//! use daraja::{Shillings, StkPush, StkReason, simulator::Simulator, stk::Outcome};
//!
//! #[tokio::main(flavor = "current_thread", start_paused = true)]
//! async fn main() -> daraja::Result<()> {
//!     let simulator = Simulator::new();
//!     simulator.customer("254708374149".parse()?).cancels();
//!     let (daraja, merchant) = (simulator.client(), simulator.merchant());
//!
//!     let payer = "254708374149".parse()?;
//!     let push = StkPush::new(&merchant, payer, Shillings::new(500)?, "INV-001".parse()?, simulator.callback_url());
//!     let accepted = daraja.send(&push).await?;
//!     let settled = daraja.wait_for_payment(&merchant, &accepted.checkout_request_id).await?;
//!
//!     let Outcome::Failed(failure) = settled.outcome else { panic!("cancelled") };
//!     assert_eq!(failure.reason(), StkReason::Cancelled);
//!     assert_eq!(simulator.prompts().len(), 1);
//!     Ok(())
//! }
//! ```

use std::{
    collections::HashMap,
    fmt,
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use tokio::{sync::Notify, time::Instant};
use url::Url;

use crate::{Client, Credentials, Environment, Merchant, Msisdn, Shillings, client::ClientBuilder, clock::Clock};

mod builder;
mod credential;
mod customer;
mod delivery;
mod desk;
mod express;
mod faults;
mod initiated;
mod ledger;
mod line;
mod organisation;
mod payouts;
mod phone;
mod random;
mod recipient;
mod server;

pub use builder::SimulatorBuilder;
pub use customer::{CustomerScript, SCENARIOS, Scenario};
pub use delivery::Delivered;
pub use faults::{Fault, Route};
pub use ledger::Accounts;
pub use organisation::{PaidBack, PaidIn, PaidOut, Posted};
pub use phone::{Message, NoOpenPrompt, OpenPrompt, PromptAnswer};
pub use recipient::{PAYOUT_SCENARIOS, PayoutScenario, RecipientScript};
pub use server::Served;

use customer::Behaviour;
use delivery::{Deliveries, Delivery, Kind as Mail, Slot};
use express::Push;
use faults::Faults;
use ledger::Ledger;
use line::InProcess;
use random::Random;
use recipient::Reception;

const CONSUMER_KEY: &str = "simulator-consumer-key";
const CONSUMER_SECRET: &str = "simulator-consumer-secret";
const PASSKEY: &str = "simulator-passkey-that-opens-nothing-anywhere-else";
const PAYBILL: &str = "174379";
const STORE: &str = "600986";
const TILL: &str = "5123456";

/// A local Daraja. Clones are handles on the same one.
///
/// See the [module's page](self) for what it does.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
}

struct Shared {
    seed: u64,
    clock: Clock,
    settings: Settings,
    state: Mutex<State>,
    /// Whether a delivery was scheduled and the waiting tasks have not been woken yet.
    needs_wakeup: AtomicBool,
    /// Wakes the tasks that take callbacks or results.
    scheduled: Notify,
}

#[derive(Clone)]
struct Settings {
    query_spacing: Duration,
    token_life: Duration,
    answer_time: Option<Duration>,
    tokens_coexist: Coexistence,
    reach: Reach,
    clients: Clients,
    duplicates: Duplicates,
    result_time: Duration,
}

/// What becomes of a payout whose id is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Duplicates {
    Refused,
    DeclinedByResult,
}

/// Whether a new token voids the ones before, as Safaricom's FAQ says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coexistence {
    NewestOnly,
    All,
}

/// Where callbacks are posted to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Loopback,
    Anywhere,
}

/// Which clients may send requests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clients {
    /// Programs on this machine.
    Local,
    Remote,
}

struct State {
    random: Random,
    tokens: HashMap<String, Instant>,
    pushes: HashMap<String, Push>,
    /// The last push to each number, to see whether its prompt is still open.
    last_push: HashMap<Msisdn, String>,
    /// The ids of all pushes, in order.
    rung: Vec<String>,
    delivered: Vec<Delivered>,
    scripts: HashMap<Msisdn, Behaviour>,
    everyone: Option<Behaviour>,
    receptions: HashMap<Msisdn, Reception>,
    every_reception: Option<Reception>,
    callbacks: Deliveries,
    results: Deliveries,
    ledger: Ledger,
    /// In a row.
    wrong_credentials: u32,
    faults: Faults,
    calls: HashMap<Route, usize>,
    last_query: Option<Instant>,
    receipts: u64,
}

/// A prompt that rang a customer's phone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prompt {
    /// Whose phone rang.
    pub payer: Msisdn,
    /// What was asked for.
    pub amount: Shillings,
    /// The reference that the prompt showed.
    pub reference: String,
    /// What Daraja calls the payment.
    pub checkout_request_id: crate::CheckoutRequestId,
}

impl Default for Simulator {
    fn default() -> Self {
        Self::new()
    }
}

impl Simulator {
    /// A simulator with the same seed every time.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Starts a simulator with settings of its own.
    pub fn builder() -> SimulatorBuilder {
        SimulatorBuilder::default()
    }

    /// What everything that looks random comes from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.shared.seed
    }

    /// A client that talks to this simulator in process and shares its clock.
    ///
    /// # Panics
    ///
    /// Never, as the settings are its own.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_builder().build().expect("nothing can be wrong with a transport in process")
    }

    /// The same client, with settings still to be changed.
    ///
    /// # Panics
    ///
    /// Never, as the settings are its own.
    pub fn client_builder(&self) -> ClientBuilder {
        let environment = Environment::custom("https://simulator.invalid").expect("a valid URL");
        Client::builder(environment, self.credentials())
            .transport(InProcess(self.clone()))
            .with_clock(self.shared.clock.clone())
            .query_spacing(self.spacing_of_clients())
    }

    /// A twelfth more than it asks for: a client that takes 12 s for 12 s is throttled now and then.
    fn spacing_of_clients(&self) -> Duration {
        let spacing = self.shared.settings.query_spacing;
        spacing.saturating_add(spacing.checked_div(12).unwrap_or_default())
    }

    /// The credentials that it accepts.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials::new(CONSUMER_KEY, CONSUMER_SECRET)
    }

    /// The PayBill that it knows.
    ///
    /// # Panics
    ///
    /// Never, as the numbers are its own.
    #[must_use]
    pub fn merchant(&self) -> Merchant {
        Merchant::paybill(PAYBILL.parse().expect("a short code"), PASSKEY)
    }

    /// The till that it knows, and its store number.
    ///
    /// # Panics
    ///
    /// Never, as the numbers are its own.
    #[must_use]
    pub fn till_merchant(&self) -> Merchant {
        Merchant::till(STORE.parse().expect("a short code"), TILL.parse().expect("a till number"), PASSKEY)
    }

    /// A callback URL that it accepts. It is not signed, and in process nothing is posted to it:
    /// [`next_callback`](Self::next_callback) gives what would be, and [`deliver_to`](Self::deliver_to) wants signed URLs.
    ///
    /// # Panics
    ///
    /// Never, as the URL is its own.
    #[must_use]
    pub fn callback_url(&self) -> Url {
        Url::parse("https://shop.example/callbacks/stk").expect("a valid URL")
    }

    /// Scripts what one customer does from now on, whatever the number ends in.
    #[must_use]
    pub fn customer(&self, number: Msisdn) -> CustomerScript<'_> {
        CustomerScript::new(self, Some(number))
    }

    /// Scripts what every customer does from now on who has no script of their own, whatever the number ends in.
    #[must_use]
    pub fn everyone(&self) -> CustomerScript<'_> {
        CustomerScript::new(self, None)
    }

    /// Lets the next call of this route go wrong; call it again for the one after. Faults are on the line: they work in
    /// process and on a port alike, but not in [`handle`](Self::handle).
    pub fn fault(&self, route: Route, fault: Fault) {
        self.lock().faults.push(route, fault);
    }

    /// Voids every token that was handed out.
    pub fn expire_tokens(&self) {
        self.lock().tokens.clear();
    }

    /// Every prompt that rang, in order.
    #[must_use]
    pub fn prompts(&self) -> Vec<Prompt> {
        self.lock().pushes_in_order().map(|push| push.prompt.clone()).collect()
    }

    /// How many calls of this route arrived, refused ones included, reset ones not.
    #[must_use]
    pub fn calls(&self, route: Route) -> usize {
        self.lock().calls.get(&route).copied().unwrap_or_default()
    }

    /// How many callbacks and results are still to be delivered.
    #[must_use]
    pub fn undelivered(&self) -> usize {
        let state = self.lock();
        state.callbacks.len().saturating_add(state.results.len())
    }

    /// Answers one request as Daraja would: the core, without network, faults or delays.
    #[must_use]
    pub fn handle(&self, request: &Request<Bytes>) -> Response<Bytes> {
        desk::answer(self, request)
    }

    /// Waits for the next delivery of this kind that is due, and takes it.
    async fn next_delivery(&self, kind: Mail) -> Delivery {
        loop {
            let changed = self.shared.scheduled.notified();
            let due = match self.lock().mail(kind).take_due(Instant::now()) {
                Ok(delivery) => {
                    // A delivery behind it may be due now: other tasks look again.
                    self.shared.needs_wakeup.store(true, Ordering::Relaxed);
                    return delivery;
                }
                Err(due) => due,
            };
            match due {
                Some(due) => drop(tokio::time::timeout_at(due, changed).await),
                None => changed.await,
            }
        }
    }

    fn schedule(&self, state: &mut State, kind: Mail, due: Instant, delivery: Delivery) -> Slot {
        self.shared.needs_wakeup.store(true, Ordering::Relaxed);
        state.mail(kind).schedule(due, delivery)
    }

    fn count(&self, route: Route) {
        let mut state = self.lock();
        let count = state.calls.entry(route).or_default();
        *count = count.saturating_add(1);
    }

    fn lock(&self) -> Locked<'_> {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        Locked { state, _wake: Wake(&self.shared) }
    }
}

/// The locked state.
struct Locked<'s> {
    state: MutexGuard<'s, State>,
    /// Dropped after the guard: a waker runs code of the executor, which may lock the state.
    _wake: Wake<'s>,
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

/// Wakes all tasks that take deliveries, if one was scheduled. To wake a single task is not enough: it may be dropped before
/// it takes the delivery.
struct Wake<'s>(&'s Shared);

impl Drop for Wake<'_> {
    fn drop(&mut self) {
        if self.0.needs_wakeup.swap(false, Ordering::Relaxed) {
            self.0.scheduled.notify_waiters();
        }
    }
}

impl State {
    fn mail(&mut self, kind: Mail) -> &mut Deliveries {
        match kind {
            Mail::Callback => &mut self.callbacks,
            Mail::Result => &mut self.results,
        }
    }
}

impl Duplicates {
    fn are_taken(self) -> bool {
        self == Self::DeclinedByResult
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("seed", &self.shared.seed).finish_non_exhaustive()
    }
}
