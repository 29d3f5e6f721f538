//! The access token: one fetch for all, renewed in time, forgotten when refused.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use daraja::{
    Client, Credentials, Environment, Error, Result,
    secret::AccessToken,
    simulator::{Fault, Route, Simulator},
    token::{StoreError, StoredToken, TokenKey, TokenStore},
    transport::{BoxFuture, Transport, TransportError, TransportErrorKind::Connect},
};
use http::{Request, Response};
use tokio::{
    task::JoinSet,
    time::{Instant, advance, sleep},
};

use crate::support::{Read, Scripted, Step, TOKEN, answer, refusal};

fn ok() -> Step {
    answer(200, "{}")
}

fn granted(token: &str, life: &str) -> Step {
    answer(200, format!(r#"{{"access_token":"{token}","expires_in":{life}}}"#))
}

fn bearers(scripted: &Scripted) -> Vec<String> {
    let bearer = |request: &Request<Bytes>| request.headers()["authorization"].to_str().unwrap()[7..].to_owned();
    scripted.calls().iter().map(bearer).collect()
}

/// So many calls at once, each by a task of its own.
async fn herd(client: &Client, calls: usize) -> Vec<Result<(), Error>> {
    let herd: JoinSet<_> = (0..calls)
        .map(|_| {
            let client = client.clone();
            async move { client.send(&Read).await }
        })
        .collect();
    herd.join_all().await
}

#[tokio::test(start_paused = true)]
async fn a_cold_herd_fetches_once() {
    let scripted = Scripted::new(vec![ok(); 1_000]);
    let client = scripted.client();
    for outcome in herd(&client, 1_000).await {
        outcome.unwrap();
    }
    assert_eq!(scripted.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_herd_shares_the_failure_of_one_fetch_that_hangs() {
    let scripted = Scripted::default().with_token_steps(vec![Step::Hang; 1_000]);
    let client = scripted.client();
    let started = Instant::now();
    for outcome in herd(&client, 1_000).await {
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::Token(_)) && error.is_timeout() && error.is_retryable(), "{error:?}");
    }
    assert_eq!(started.elapsed(), Duration::from_secs(10), "one fetch's time, not a thousand");
    assert_eq!(scripted.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_is_dropped_is_taken_over() {
    let scripted = Scripted::new([ok()]).with_token_steps([Step::Hang, granted(TOKEN, "3599")]);
    let client = scripted.client();
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.send(&Read).await }
    });
    sleep(Duration::from_secs(1)).await;
    let second = tokio::spawn(async move { client.send(&Read).await });
    sleep(Duration::from_secs(1)).await;
    first.abort();
    second.await.unwrap().unwrap();
    assert_eq!(scripted.token_requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn sixty_four_refused_tokens_make_one_fetch_more() {
    let simulator = Simulator::new();
    let client = simulator.client();
    client.warm_up().await.unwrap();
    simulator.expire_tokens();
    let merchant = simulator.merchant();
    let mut herd = JoinSet::new();
    for number in 0..64_u64 {
        let (client, merchant, url) = (client.clone(), merchant.clone(), simulator.callback_url());
        herd.spawn(async move {
            let payer = (254_700_000_000 + number).try_into().unwrap();
            let amount = daraja::Shillings::new(1).unwrap();
            client.send(&daraja::StkPush::new(&merchant, payer, amount, "A".parse().unwrap(), url)).await
        });
    }
    for outcome in herd.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(simulator.calls(Route::OAuth), 2);
    assert_eq!(simulator.prompts().len(), 64);
}

#[tokio::test(start_paused = true)]
async fn a_late_refusal_of_the_old_token_leaves_the_new_one() {
    let refused = r#"{"errorCode":"404.001.03","errorMessage":"Invalid Access Token"}"#;
    let late = Step::AnswerLate(Duration::from_secs(10), 404, refused.to_owned());
    let scripted = Scripted::new([late, answer(404, refused), ok(), ok(), ok()]);
    let client = scripted.client();
    client.warm_up().await.unwrap();
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.send(&Read).await }
    });
    sleep(Duration::from_secs(1)).await;
    // Refused at once, and renewed; the refusal of the slow one comes when the new token is in use.
    client.send(&Read).await.unwrap();
    slow.await.unwrap().unwrap();
    client.send(&Read).await.unwrap();
    assert_eq!(scripted.token_requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_lives_as_long_as_it_says_as_string_and_as_number() {
    for life in [r#""1000""#, "1000"] {
        let scripted = Scripted::new(vec![ok(); 4]).with_token_steps([granted("a1", life), granted("b2", life)]);
        let client = scripted.client();
        client.send(&Read).await.unwrap();
        advance(Duration::from_secs(890)).await;
        client.send(&Read).await.unwrap();
        // The last tenth: one caller renews it in time.
        advance(Duration::from_secs(15)).await;
        client.send(&Read).await.unwrap();
        client.send(&Read).await.unwrap();
        assert_eq!(bearers(&scripted), ["a1", "a1", "b2", "b2"], "{life}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_life_is_counted_from_before_the_request() {
    let simulator = Simulator::new();
    simulator.fault(Route::OAuth, Fault::Slow(Duration::from_secs(9)));
    let client = simulator.client();
    client.warm_up().await.unwrap();
    // 3 599 s, less a tenth, less the 9 s that the answer took.
    advance(Duration::from_secs(3_599 - 359 - 9 - 1)).await;
    client.warm_up().await.unwrap();
    assert_eq!(simulator.calls(Route::OAuth), 1);
    advance(Duration::from_secs(2)).await;
    client.warm_up().await.unwrap();
    assert_eq!(simulator.calls(Route::OAuth), 2);
}

#[tokio::test(start_paused = true)]
async fn a_life_that_cannot_be_read_or_is_too_long_counts_as_an_hour() {
    for life in ["null", r#""soon""#, "-5", "1e99", "999999999", r#""86400""#] {
        let scripted = Scripted::new(vec![ok(); 3]).with_token_steps([granted("a1", life), granted("b2", "3599")]);
        let client = scripted.client();
        client.send(&Read).await.unwrap();
        advance(Duration::from_secs(3_200)).await;
        client.send(&Read).await.unwrap();
        advance(Duration::from_secs(401)).await;
        client.send(&Read).await.unwrap();
        assert_eq!(bearers(&scripted), ["a1", "a1", "b2"], "{life}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_without_life_serves_those_who_waited_for_it() {
    let scripted = Scripted::new(vec![ok(); 20]).with_token_steps(vec![granted("a1", "0"); 20]);
    let client = scripted.client();
    for outcome in herd(&client, 10).await {
        outcome.unwrap();
    }
    assert_eq!(scripted.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_refresh_and_its_failure_hurts_nobody() {
    let scripted =
        Scripted::new(vec![ok(); 50]).with_token_steps([granted("a1", "1000"), Step::Hang, granted("b2", "1000")]);
    let client = scripted.client();
    client.send(&Read).await.unwrap();
    advance(Duration::from_secs(905)).await;
    let refresher = tokio::spawn({
        let client = client.clone();
        async move { client.send(&Read).await }
    });
    sleep(Duration::from_millis(1)).await;
    // Others use the live token at once while one refreshes, and the refresher as well when that failed.
    let started = Instant::now();
    client.send(&Read).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1));
    refresher.await.unwrap().unwrap();
    // It is not tried again at once.
    client.send(&Read).await.unwrap();
    assert_eq!(scripted.token_requests().len(), 2);
    advance(Duration::from_secs(31)).await;
    client.send(&Read).await.unwrap();
    assert_eq!(scripted.token_requests().len(), 3);
    assert_eq!(bearers(&scripted), ["a1", "a1", "a1", "a1", "b2"]);
}

#[tokio::test(start_paused = true)]
async fn a_passing_failure_of_oauth_is_repeated_within_the_fetch() {
    let steps =
        [answer(503, "Request unsuccessful. Incapsula incident ID: 17"), Step::Fail(Connect), granted(TOKEN, "3599")];
    let scripted = Scripted::new([ok()]).with_token_steps(steps);
    scripted.client().send(&Read).await.unwrap();
    assert_eq!(scripted.token_requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn wrong_credentials_are_said_at_once_with_what_to_check() {
    let refused = refusal(400, "400.008.01", "Invalid Authentication passed");
    let scripted = Scripted::default().with_token_steps([refused]);
    let error = scripted.client().send(&Read).await.unwrap_err();
    let Error::Token(inner) = &error else { panic!("{error:?}") };
    assert!(inner.to_string().contains("Invalid Authentication passed"), "{inner}");
    assert!(inner.to_string().contains("MPESA_CONSUMER_SECRET"), "{inner}");
    assert!(!error.is_retryable() && !error.outcome_unknown());
    assert!(scripted.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_no_token_is_named() {
    for (body, status) in [("", 500), ("<html>portal</html>", 200), ("{}", 200), (r#"{"access_token":""}"#, 200)] {
        let scripted = Scripted::default().with_token_steps(vec![answer(status, body); 3]);
        let error = scripted.client().send(&Read).await.unwrap_err();
        let Error::Token(inner) = &error else { panic!("{error:?}") };
        assert!(matches!(&**inner, Error::Decode(decode) if decode.status().unwrap() == status), "{body}: {inner:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_no_header_is_refused() {
    let scripted = Scripted::default().with_token_steps(vec![granted("a\\nb", "3599"); 3]);
    assert!(matches!(scripted.client().send(&Read).await.unwrap_err(), Error::Token(_)));
}

/// A store in memory with what tests want to know of it. A clone is another process's.
#[derive(Default)]
struct Store {
    inner: Arc<Mutex<StoreInner>>,
    claimant: usize,
}

impl Clone for Store {
    fn clone(&self) -> Self {
        let claimant = self.with(|inner| {
            inner.clones += 1;
            inner.clones
        });
        Self { inner: self.inner.clone(), claimant }
    }
}

#[derive(Default)]
struct StoreInner {
    tokens: HashMap<TokenKey, StoredToken>,
    clones: usize,
    claimed_until: Option<Instant>,
    claimed_by: Option<usize>,
    broken: bool,
    hanging: bool,
    saves: usize,
    /// What another process saves just before a claim is granted.
    saved_meanwhile: Option<StoredToken>,
}

/// A token as another process saves it.
fn stored(token: &str) -> StoredToken {
    StoredToken::new(AccessToken::new(token), Duration::from_secs(3_600))
}

impl Store {
    fn with<T>(&self, change: impl FnOnce(&mut StoreInner) -> T) -> T {
        change(&mut self.inner.lock().unwrap())
    }

    fn give_back(&self) {
        self.with(|inner| {
            if inner.claimed_by == Some(self.claimant) {
                (inner.claimed_until, inner.claimed_by) = (None, None);
            }
        });
    }

    async fn reach(&self) -> Result<(), StoreError> {
        if self.with(|inner| inner.hanging) {
            std::future::pending::<()>().await;
        }
        if self.with(|inner| inner.broken) { Err("the store is down".into()) } else { Ok(()) }
    }
}

impl TokenStore for Store {
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<StoredToken>, StoreError>> {
        Box::pin(async move {
            self.reach().await?;
            Ok(self.with(|inner| inner.tokens.get(key).cloned()))
        })
    }

    fn save<'a>(&'a self, key: &'a TokenKey, token: &'a StoredToken) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.reach().await?;
            self.with(|inner| {
                inner.saves += 1;
                inner.tokens.insert(key.clone(), token.clone());
            });
            self.give_back();
            Ok(())
        })
    }

    fn claim<'a>(&'a self, key: &'a TokenKey, lease: Duration) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.reach().await?;
            let now = Instant::now();
            Ok(self.with(|inner| {
                if let Some(token) = inner.saved_meanwhile.take() {
                    inner.tokens.insert(key.clone(), token);
                }
                let free = inner.claimed_until.is_none_or(|until| until <= now);
                let free = free || inner.claimed_by == Some(self.claimant);
                if free {
                    (inner.claimed_until, inner.claimed_by) = (Some(now + lease), Some(self.claimant));
                }
                free
            }))
        })
    }

    fn release<'a>(&'a self, _: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.reach().await?;
            self.give_back();
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn clients_that_share_a_store_fetch_once_between_them() {
    let (store, scripted) = (Store::default(), Scripted::new(vec![ok(); 8]));
    let mut herd = JoinSet::new();
    for _ in 0..8 {
        // Eight clients are eight processes: they share nothing but the store.
        let client = scripted.builder().token_store(store.clone()).build().unwrap();
        herd.spawn(async move { client.send(&Read).await });
    }
    for outcome in herd.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(scripted.token_requests().len(), 1);
    assert_eq!(store.with(|inner| inner.saves), 1);
    // What a store of the user's own makes its key of: two apps must not share a token.
    store.with(|inner| {
        let keys: Vec<_> = inner.tokens.keys().map(|key| (key.environment(), key.consumer_key())).collect();
        assert_eq!(keys, [("https://sandbox.safaricom.co.ke", "the key")]);
    });
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_never_made_good_is_outwaited() {
    let (store, scripted) = (Store::default(), Scripted::new([ok()]));
    store.with(|inner| inner.claimed_until = Some(Instant::now() + Duration::from_secs(86_400)));
    scripted.builder().token_store(store).build().unwrap().send(&Read).await.unwrap();
    assert_eq!(scripted.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_with_its_claim_is_followed_by_one_other() {
    let (store, scripted) = (Store::default(), Scripted::new(vec![ok(); 7]));
    let late =
        Step::AnswerLate(Duration::from_secs(5), 200, format!(r#"{{"access_token":"{TOKEN}","expires_in":"3599"}}"#));
    let scripted = scripted.with_token_steps(vec![late; 7]);
    // The lease of a client with the default timeouts.
    store.with(|inner| inner.claimed_until = Some(Instant::now() + Duration::from_secs(14)));
    let mut herd = JoinSet::new();
    for _ in 0..7 {
        sleep(Duration::from_millis(30)).await;
        let client = scripted.builder().token_store(store.clone()).build().unwrap();
        herd.spawn(async move { client.send(&Read).await });
    }
    for outcome in herd.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(scripted.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_with_little_time_does_not_spend_all_of_it_on_a_claim() {
    for total in [8, 20, 30] {
        let (store, scripted) = (Store::default(), Scripted::new([ok()]));
        store.with(|inner| inner.claimed_until = Some(Instant::now() + Duration::from_secs(86_400)));
        let client = scripted.builder().timeout(Duration::from_secs(total)).token_store(store).build().unwrap();
        client.send(&Read).await.unwrap();
        assert_eq!(scripted.token_requests().len(), 1, "{total}");
    }
}

#[tokio::test(start_paused = true)]
async fn everybody_in_a_process_outwaits_such_a_claim() {
    let (store, scripted) = (Store::default(), Scripted::new(vec![ok(); 3]));
    store.with(|inner| inner.claimed_until = Some(Instant::now() + Duration::from_secs(86_400)));
    // The fetch that follows is a slow one.
    let scripted = scripted.with_token_steps([Step::AnswerLate(
        Duration::from_secs(9),
        200,
        format!(r#"{{"access_token":"{TOKEN}","expires_in":"3599"}}"#),
    )]);
    let client = scripted.builder().token_store(store).build().unwrap();
    for outcome in herd(&client, 3).await {
        outcome.unwrap();
    }
    assert_eq!(scripted.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_saved_while_the_claim_was_asked_for_is_used() {
    let (store, scripted) = (Store::default(), Scripted::new([ok()]));
    store.with(|inner| inner.saved_meanwhile = Some(stored("theirs1")));
    scripted.builder().token_store(store.clone()).build().unwrap().send(&Read).await.unwrap();
    assert_eq!(scripted.token_requests().len(), 0);
    assert_eq!(bearers(&scripted), ["theirs1"]);
    assert_eq!(store.with(|inner| inner.claimed_until), None, "nobody waits for a claim that was not needed");
}

#[tokio::test(start_paused = true)]
async fn a_token_whose_saving_is_dropped_is_not_lost() {
    let (store, scripted) = (Store::default(), Scripted::new([ok()]));
    store.with(|inner| inner.hanging = true);
    let client = scripted.builder().token_store(store).build().unwrap();
    let saving = tokio::spawn({
        let client = client.clone();
        async move { client.send(&Read).await }
    });
    // Two seconds for a look at the store, and the third of saving.
    sleep(Duration::from_secs(3)).await;
    saving.abort();
    client.send(&Read).await.unwrap();
    assert_eq!(scripted.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_fails_gives_its_claim_back() {
    let wrong = refusal(400, "400.008.01", "Invalid Authentication passed");
    let (store, scripted) = (Store::default(), Scripted::default().with_token_steps([wrong]));
    let client = scripted.builder().token_store(store.clone()).build().unwrap();
    client.send(&Read).await.unwrap_err();
    assert_eq!(store.with(|inner| inner.claimed_until), None);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_was_not_made_is_not_given_back() {
    let wrong = refusal(400, "400.008.01", "Invalid Authentication passed");
    let (store, scripted) = (Store::default(), Scripted::default().with_token_steps([wrong]));
    store.with(|inner| inner.hanging = true);
    let (client, started) = (scripted.builder().token_store(store).build().unwrap(), Instant::now());
    client.send(&Read).await.unwrap_err();
    assert_eq!(started.elapsed().as_secs(), 2, "for the look, and no more");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_holds_an_old_token_does_not_fail_the_call_whose_own_was_refused() {
    let stale = refusal(404, "404.001.03", "Invalid Access Token");
    let (store, scripted) = (Store::default(), Scripted::new([ok(), stale.clone(), stale, ok()]));
    let client = scripted.builder().token_store(store.clone()).build().unwrap();
    client.send(&Read).await.unwrap();
    // What was saved before the store could not be reached for a while.
    store.with(|inner| inner.tokens.values_mut().for_each(|token| token.token = AccessToken::new("older1")));
    client.send(&Read).await.unwrap();
    let second = format!("{TOKEN}2");
    assert_eq!(bearers(&scripted), [TOKEN, TOKEN, "older1", &second]);
}

#[tokio::test(start_paused = true)]
async fn a_call_does_not_go_through_old_tokens_for_ever() {
    let stale = refusal(404, "404.001.03", "Invalid Access Token");
    let (store, scripted) = (Store::default(), Scripted::new(vec![stale; 10]));
    let client = scripted.builder().token_store(store).build().unwrap();
    client.send(&Read).await.unwrap_err();
    assert_eq!(bearers(&scripted).len(), 2, "a fresh token that is refused as well is the end");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_not_asked_for_a_claim_as_well() {
    let (store, scripted) = (Store::default(), Scripted::new([ok()]));
    store.with(|inner| inner.hanging = true);
    let started = Instant::now();
    scripted.builder().token_store(store).build().unwrap().send(&Read).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 4, "once before the fetch, and once to save the token");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_or_hangs_hurts_nobody() {
    for change in [|inner: &mut StoreInner| inner.broken = true, |inner: &mut StoreInner| inner.hanging = true] {
        let (store, scripted) = (Store::default(), Scripted::new([ok(), ok()]));
        store.with(change);
        let client = scripted.builder().token_store(store).build().unwrap();
        client.send(&Read).await.unwrap();
        client.send(&Read).await.unwrap();
        assert_eq!(scripted.token_requests().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_does_not_come_back_from_the_store_but_a_newer_one_does() {
    let stale = refusal(404, "404.001.03", "Invalid Access Token");
    let (store, scripted) = (Store::default(), Scripted::new([stale.clone(), ok(), ok(), stale, ok()]));
    let client = scripted.builder().token_store(store.clone()).build().unwrap();
    // The token in the store is the refused one: a new one is fetched.
    client.send(&Read).await.unwrap();
    assert_eq!(scripted.token_requests().len(), 2);
    client.send(&Read).await.unwrap();
    // Another process put a newer one there: it is used, nothing is fetched.
    store.with(|inner| {
        for token in inner.tokens.values_mut() {
            token.token = AccessToken::new("newer1");
        }
    });
    client.send(&Read).await.unwrap();
    assert_eq!(scripted.token_requests().len(), 2);
    let second = format!("{TOKEN}2");
    assert_eq!(bearers(&scripted), [TOKEN, &second, &second, &second, "newer1"]);
}

#[tokio::test(start_paused = true)]
async fn a_stored_life_of_hours_is_not_believed_and_a_token_at_its_end_is_not_used() {
    let (store, scripted) = (Store::default(), Scripted::new(vec![ok(); 3]));
    let client = scripted.builder().token_store(store.clone()).build().unwrap();
    client.send(&Read).await.unwrap();
    let set_life = |hours: u64| {
        store.with(|inner| {
            for token in inner.tokens.values_mut() {
                token.token = AccessToken::new("stored1");
                token.life = Duration::from_secs(hours * 3_600);
            }
        });
    };
    // It is used for an hour at most.
    set_life(3);
    let other = scripted.builder().token_store(store.clone()).build().unwrap();
    other.send(&Read).await.unwrap();
    assert_eq!(scripted.token_requests().len(), 1);
    set_life(0);
    advance(Duration::from_secs(3_601)).await;
    other.send(&Read).await.unwrap();
    assert_eq!(scripted.token_requests().len(), 2);
    assert_eq!(bearers(&scripted)[1], "stored1");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_a_minute_serves_more_than_one_call() {
    let scripted = Scripted::new(vec![ok(); 5]).with_token_steps(vec![granted("a1", "60"); 5]);
    let client = scripted.client();
    for _ in 0..5 {
        client.send(&Read).await.unwrap();
    }
    assert_eq!(scripted.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_is_dropped_is_not_the_next_callers_burden() {
    let hanging = vec![Step::Hang; 5];
    let scripted = Scripted::new(vec![ok(); 9]).with_token_steps([vec![granted("a1", "3599")], hanging].concat());
    let client = scripted.client();
    client.send(&Read).await.unwrap();
    advance(Duration::from_secs(3_300)).await;
    let mut late = 0;
    for _ in 0..5 {
        late += usize::from(tokio::time::timeout(Duration::from_secs(5), client.send(&Read)).await.is_err());
    }
    assert_eq!(late, 1);
}

#[tokio::test(start_paused = true)]
async fn a_live_token_serves_at_once_while_another_process_fetches() {
    let (store, scripted) = (Store::default(), Scripted::new(vec![ok(); 2]));
    let client = scripted.builder().token_store(store.clone()).build().unwrap();
    client.send(&Read).await.unwrap();
    advance(Duration::from_secs(3_300)).await;
    store.with(|inner| {
        inner.tokens.clear();
        inner.claimed_until = Some(Instant::now() + Duration::from_secs(60));
    });
    let started = Instant::now();
    client.send(&Read).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(scripted.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_empty_refusal_of_oauth_names_the_credentials_and_is_not_repeated() {
    let scripted = Scripted::default().with_token_steps(vec![answer(400, ""); 3]);
    let Error::Token(inner) = scripted.client().send(&Read).await.unwrap_err() else { panic!() };
    assert!(inner.to_string().contains("MPESA_CONSUMER_SECRET"), "{inner}");
    assert_eq!(scripted.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_about_to_die_is_refreshed_beside_a_store_as_well() {
    let (store, scripted) = (Store::default(), Scripted::new(vec![ok(); 3]));
    let clock = {
        let (anchor, started) = (chrono::Utc::now(), Instant::now());
        move || anchor + chrono::TimeDelta::from_std(started.elapsed()).unwrap()
    };
    let client = scripted.builder().clock(clock).token_store(store.clone()).build().unwrap();
    client.send(&Read).await.unwrap();
    advance(Duration::from_secs(3_300)).await;
    client.send(&Read).await.unwrap();
    client.send(&Read).await.unwrap();
    assert_eq!(scripted.token_requests().len(), 2, "before it died, and once");
    assert_eq!(bearers(&scripted), [TOKEN, &format!("{TOKEN}2"), &format!("{TOKEN}2")]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_token_is_not_used_even_if_no_other_can_be_had() {
    let no = refusal(400, "400.008.01", "Invalid Authentication passed");
    let scripted = Scripted::new([ok()]).with_token_steps([granted(TOKEN, "100"), no]);
    let client = scripted.client();
    client.send(&Read).await.unwrap();
    advance(Duration::from_secs(100)).await;
    let error = client.send(&Read).await.unwrap_err();
    assert!(matches!(error, Error::Token(_)), "{error:?}");
    assert_eq!(bearers(&scripted), [TOKEN]);
}

/// Grants after a moment, and refuses the first token at once.
#[derive(Clone, Default)]
struct Hasty(Arc<Mutex<(usize, Vec<String>)>>);

impl Transport for Hasty {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            if request.uri().path().starts_with("/oauth") {
                sleep(Duration::from_millis(5)).await;
                let mut inner = self.0.lock().unwrap();
                inner.0 += 1;
                let body = format!(r#"{{"access_token":"number-{}","expires_in":"3599"}}"#, inner.0);
                return Ok(Response::new(body.into()));
            }
            let bearer = request.headers()["authorization"].to_str().unwrap().to_owned();
            let refused = r#"{"errorCode":"404.001.03","errorMessage":"Invalid Access Token"}"#;
            let first = bearer == "Bearer number-1";
            self.0.lock().unwrap().1.push(bearer);
            let response = Response::builder().status(if first { 404 } else { 200 });
            Ok(response.body(Bytes::from_static(if first { refused.as_bytes() } else { b"{}" })).unwrap())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_before_those_who_waited_look_is_not_given_to_them() {
    let hasty = Hasty::default();
    let client = Client::builder(Environment::Sandbox, Credentials::new("k", "s")).transport(hasty.clone());
    let client = client.build().unwrap();
    let (first, second) = tokio::join!(client.send(&Read), client.send(&Read));
    assert!(first.is_ok() && second.is_ok());
    let (fetches, bearers) = hasty.0.lock().unwrap().clone();
    assert_eq!(
        (fetches, bearers),
        (2, ["Bearer number-1", "Bearer number-2", "Bearer number-2"].map(str::to_owned).to_vec())
    );
}
