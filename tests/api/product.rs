//! An app without the product that it calls: a new token cures nothing, and it may void the one that other processes have.

use std::{
    collections::HashMap,
    iter,
    sync::{Arc, Mutex},
    time::Duration,
};

use daraja::{
    B2cPayment, Client, Error, Result, Shillings, StkPush,
    secret::AccessToken,
    simulator::{Fault, Route, Simulator},
    token::{StoreError, StoredToken, TokenKey, TokenStore},
    transport::BoxFuture,
};
use tokio::{
    task::JoinSet,
    time::{Instant, advance},
};

use crate::support::{Scripted, Step, answer, merchant, refusal};

const MINUTE: Duration = Duration::from_secs(60);
const NO_PRODUCT: Fault = Fault::Refused(
    401,
    "401.003.01",
    "Error Occurred - Invalid Access Token - Invalid API call as no apiproduct match found",
);

/// It is shared by all processes, and counts the life of a token as a database does.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<HashMap<TokenKey, (AccessToken, Instant)>>>);

impl TokenStore for Shared {
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<StoredToken>, StoreError>> {
        Box::pin(async move {
            let kept = self.0.lock().unwrap().get(key).cloned();
            let left = |dies_at: Instant| dies_at.saturating_duration_since(Instant::now());
            Ok(kept.map(|(token, dies_at)| StoredToken::new(token, left(dies_at))))
        })
    }

    fn save<'a>(&'a self, key: &'a TokenKey, token: &'a StoredToken) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let kept = (token.token.clone(), Instant::now() + token.life);
            self.0.lock().unwrap().insert(key.clone(), kept);
            Ok(())
        })
    }
}

struct Fleet {
    simulator: Simulator,
    clients: Vec<Client>,
}

impl Fleet {
    fn of(processes: usize) -> Self {
        let (simulator, store) = (Simulator::new(), Shared::default());
        let client = || simulator.client_builder().token_store(store.clone()).build().unwrap();
        let clients = iter::repeat_with(client).take(processes).collect();
        iter::repeat_n(NO_PRODUCT, 500).for_each(|fault| simulator.fault(Route::StkPush, fault));
        Self { simulator, clients }
    }

    async fn push(&self, client: &Client) -> Error {
        let (payer, amount) = ("254708374149".parse().unwrap(), Shillings::new(1).unwrap());
        let url = self.simulator.callback_url();
        let push = StkPush::new(&self.simulator.merchant(), payer, amount, "A".parse().unwrap(), url);
        client.send(&push).await.unwrap_err()
    }

    /// Each process pushes twice in turn, and is told what to do. How many tokens Daraja was asked for so far.
    async fn push_twice(&self) -> usize {
        for client in self.clients.iter().chain(&self.clients) {
            let error = self.push(client).await;
            assert!(!error.outcome_unknown() && !error.is_retryable(), "{error:?}");
            assert!(error.to_string().contains("add the product on the portal"), "{error}");
        }
        self.simulator.calls(Route::OAuth)
    }
}

#[tokio::test(start_paused = true)]
async fn four_processes_fetch_at_most_one_more_token_in_five_minutes() {
    let fleet = Fleet::of(4);
    for five_minutes in 0..3 {
        // The product may have been added since.
        assert_eq!(fleet.push_twice().await, five_minutes + 2);
        for _ in 0..4 {
            advance(MINUTE).await;
            assert_eq!(fleet.push_twice().await, five_minutes + 2);
        }
        advance(MINUTE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn processes_that_find_an_old_token_in_the_store_fetch_one_between_them() {
    let fleet = Fleet::of(4);
    fleet.clients[0].warm_up().await.unwrap();
    advance(6 * MINUTE).await;
    assert_eq!(fleet.push_twice().await, 2);
}

#[tokio::test(start_paused = true)]
async fn one_process_alone_fetches_one_more_for_all_apis() {
    let fleet = Fleet::of(1);
    assert_eq!(fleet.push_twice().await, 2);
    (0..9).for_each(|_| fleet.simulator.fault(Route::B2c, NO_PRODUCT));
    let (client, simulator) = (&fleet.clients[0], &fleet.simulator);
    let (recipient, amount) = ("254708374149".parse().unwrap(), Shillings::new(10).unwrap());
    for _ in 0..3 {
        let (initiator, urls) = (simulator.initiator(), simulator.result_urls());
        let payment = B2cPayment::new(&initiator, simulator.b2c_short_code(), recipient, amount, urls);
        client.send(&payment).await.unwrap_err();
        assert_eq!(simulator.calls(Route::OAuth), 2);
    }
}

/// Those that are refused while the new token is on its way wait for it.
#[tokio::test(start_paused = true)]
async fn calls_at_the_same_time_share_the_one_new_token() {
    const ACCEPTED: &str = r#"{"MerchantRequestID":"1","CheckoutRequestID":"ws_CO_1","ResponseCode":"0"}"#;
    let Fault::Refused(status, code, words) = NO_PRODUCT else { panic!("a refusal") };
    let token = |token: &str| format!(r#"{{"access_token":"{token}","expires_in":"3599"}}"#);
    let late = Step::AnswerLate(Duration::from_secs(1), 200, token("new"));
    let refused = iter::repeat_n(refusal(status, code, words), 10);
    let scripted = Scripted::new(refused.chain(iter::repeat_n(answer(200, ACCEPTED), 10)))
        .with_token_steps([answer(200, token("old")), late]);
    let client = scripted.client();
    client.warm_up().await.unwrap();
    let push = |number: u32| {
        let (client, url) = (client.clone(), "https://shop.example/daraja".parse().unwrap());
        let payer = format!("25470000{number:04}").parse().unwrap();
        let push = StkPush::new(&merchant(), payer, Shillings::new(1).unwrap(), "A".parse().unwrap(), url);
        async move { client.send(&push).await }
    };
    let calls: JoinSet<_> = (0..10).map(push).collect();
    let outcomes = calls.join_all().await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!((scripted.token_requests().len(), scripted.calls().len()), (2, 20));
}

#[tokio::test(start_paused = true)]
async fn the_product_that_was_added_is_found_by_the_one_new_token() {
    let (simulator, store) = (Simulator::new(), Shared::default());
    let client = simulator.client_builder().token_store(store).build().unwrap();
    client.warm_up().await.unwrap();
    advance(6 * MINUTE).await;
    simulator.fault(Route::StkPush, NO_PRODUCT);
    let (payer, amount) = ("254708374149".parse().unwrap(), Shillings::new(1).unwrap());
    let push = StkPush::new(&simulator.merchant(), payer, amount, "A".parse().unwrap(), simulator.callback_url());
    client.send(&push).await.unwrap();
    assert_eq!((simulator.calls(Route::OAuth), simulator.prompts().len()), (2, 1));
}
