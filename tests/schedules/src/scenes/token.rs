//! The access token: callers that share one, some cut off, some held, with and without another process beside them.

use std::{pin::Pin, time::Duration};

use self::{
    daraja::{Call, Daraja, FRESH, PATIENCE, TOTAL},
    shelf::Shelf,
};
use crate::{
    error::{Error, Result},
    sync::{Arc, Instant, sleep},
    token::{Live, TokenCache, TokenKey, TokenStore},
    world::{any_cut, below, calm, cut, explore, is_prompt, one_in, polled, spawn, yield_now},
};

mod daraja;
mod shelf;

const SECOND: Duration = Duration::from_secs(1);

fn cache(store: Option<Box<dyn TokenStore>>) -> Arc<TokenCache> {
    let key = TokenKey::new("https://sandbox.safaricom.co.ke", &crate::config::Credentials::new("key"));
    Arc::new(TokenCache::new(key, store, PATIENCE))
}

/// Three callers of one process, each of which can be cut off, while Daraja voids the token.
pub fn one_fetches_for_all() {
    explore(|| one_process(None, false));
}

/// The same while some fetches fail.
pub fn a_fetch_that_fails_is_tried_by_the_next_call() {
    explore(|| one_process(None, true));
}

/// The same with a store.
pub fn one_fetches_for_all_behind_a_store() {
    explore(|| one_process(Some(Shelf::default()), false));
}

/// The same with a store, while some fetches fail.
pub fn a_fetch_that_fails_behind_a_store_is_tried_by_the_next_call() {
    explore(|| one_process(Some(Shelf::default()), true));
}

async fn one_process(shelf: Option<Shelf>, can_fail: bool) {
    let daraja = Daraja::new();
    let cache = cache(shelf.map(|shelf| shelf.of(0)));
    let cuts = [any_cut(), any_cut(), any_cut()];
    let calls = cuts.map(|after| {
        let call = Call::new(&cache, &daraja).failing(can_fail && below(10) < 3);
        spawn(async move { cut(call.send(), after).await })
    });
    let voids = spawn(void(daraja.clone()));
    for call in calls {
        check(call.await.expect("no panic"), can_fail);
    }
    voids.await.expect("no panic");
    if is_prompt() {
        assert!(daraja.most_at_once() <= 1, "two fetched at once");
        let needed = 2 + cuts.iter().flatten().count() + daraja.failed();
        assert!(daraja.begun() <= needed, "{} fetches where {needed} could be needed", daraja.begun());
    }
    next_call_succeeds(&cache, &daraja).await;
}

/// Whatever happened before.
async fn next_call_succeeds(cache: &Arc<TokenCache>, daraja: &Arc<Daraja>) {
    calm();
    Call::new(cache, daraja).send().await.expect("the next call succeeds");
}

/// Whether a call ended as it may. Where time is hasty, it can run out.
fn check(outcome: Option<Result<Arc<Live>>>, can_fail: bool) {
    let is_refused = |error: &Error| matches!(error, Error::Token(error) if matches!(**error, Error::Refused));
    match outcome {
        None | Some(Ok(_)) => {}
        Some(Err(error)) => assert!(!is_prompt() || can_fail && is_refused(&error), "{error:?}"),
    }
}

async fn void(daraja: Arc<Daraja>) {
    yield_now().await;
    daraja.void();
}

/// Two processes that share a store, two callers each, which can be cut off.
pub fn two_processes_share_a_store() {
    explore(|| two_processes(any_cuts(), false, false));
}

/// The same while Daraja voids the token.
pub fn two_processes_share_a_store_while_the_token_is_voided() {
    explore(|| two_processes(any_cuts(), true, false));
}

/// The same without cuts, while some fetches fail: the other process does not have to wait for the lease.
pub fn a_fetch_that_fails_gives_its_claim_back() {
    explore(|| two_processes([None; 4], false, true));
}

fn any_cuts() -> [Option<usize>; 4] {
    [(); 4].map(|()| any_cut())
}

async fn two_processes(cuts: [Option<usize>; 4], is_voided: bool, can_fail: bool) {
    let daraja = Daraja::new();
    let shelf = Shelf::default();
    let caches = [0, 1].map(|process| cache(Some(shelf.of(process))));
    let is_quick = is_prompt() && cuts == [None; 4];
    let calls: Vec<_> = cuts
        .into_iter()
        .zip(caches.iter().cycle())
        .map(|(after, cache)| {
            let call = Call::new(cache, &daraja).failing(can_fail && below(10) < 3);
            spawn(async move {
                let started = Instant::now();
                (cut(call.send(), after).await, started.elapsed())
            })
        })
        .collect();
    if is_voided {
        void(daraja.clone()).await;
    }
    for call in calls {
        let (outcome, took) = call.await.expect("no panic");
        check(outcome, can_fail);
        assert!(!is_quick || took < SECOND * 2, "it waited for {took:?}");
    }
    for cache in &caches {
        next_call_succeeds(cache, &daraja).await;
    }
}

/// Callers that begin, fetch perhaps, and are polled no more until all others are done.
pub fn callers_that_are_held_stop_no_other() {
    explore(|| held(None));
}

/// The same with a store.
pub fn callers_that_are_held_stop_no_other_behind_a_store() {
    explore(|| held(Some(Shelf::default())));
}

async fn held(shelf: Option<Shelf>) {
    let longest = if shelf.is_some() { TOTAL / 2 } else { PATIENCE };
    let daraja = Daraja::new();
    let cache = cache(shelf.map(|shelf| shelf.of(0)));
    let started = Instant::now();
    let others = [(); 3].map(|()| spawn(Call::new(&cache, &daraja).send()));
    let held = hold(&cache, &daraja, 1 + below(2)).await;
    let count = u32::try_from(held.len()).expect("a few");
    for other in others {
        check(Some(other.await.expect("no panic")), false);
    }
    if is_prompt() {
        let (took, begun) = (started.elapsed(), daraja.begun());
        assert!(took <= longest * count + SECOND, "{count} held, and the others waited for {took:?}");
        assert!(begun <= 1 + held.len(), "{begun} fetches beside {count} that are held");
    }
    let_go(held, &cache, &daraja).await;
}

type Held = Pin<Box<dyn Future<Output = Result<Arc<Live>>> + Send>>;

/// Callers that begin, and are polled no more before they have an outcome.
async fn hold(cache: &Arc<TokenCache>, daraja: &Arc<Daraja>, count: usize) -> Vec<Held> {
    let mut held: Vec<Held> = Vec::new();
    for _ in 0..count {
        let mut call: Held = Box::pin(Call::new(cache, daraja).send());
        if polled(call.as_mut(), 1 + below(6)).await.is_none() {
            held.push(call);
        }
    }
    held
}

/// They go on, or are given up. The token that was asked for last is kept, unless it was for one that is given up.
async fn let_go(held: Vec<Held>, cache: &Arc<TokenCache>, daraja: &Arc<Daraja>) {
    let is_prompt = is_prompt();
    let mut is_given_up = false;
    for call in held {
        if one_in(2) {
            check(Some(call.await), false);
        } else {
            is_given_up = true;
        }
    }
    let begun = daraja.begun();
    next_call_succeeds(cache, daraja).await;
    assert!(daraja.begun() == begun || is_given_up || !is_prompt, "an older token was kept");
}

/// One call is held while it refreshes a token that is about to die, and others come until after it is dead.
pub fn a_refresh_that_is_held_blocks_no_other_call() {
    explore(|| refresh(None));
}

/// The same with a store.
pub fn a_refresh_that_is_held_blocks_no_other_call_behind_a_store() {
    explore(|| refresh(Some(Shelf::default())));
}

async fn refresh(shelf: Option<Shelf>) {
    // If the old token is voided by what the held call asked for, the others need that one or another.
    let keeps_old = one_in(2);
    let longest = match &shelf {
        _ if keeps_old && !cfg!(miri) => Duration::ZERO,
        Some(_) => TOTAL / 2,
        None => PATIENCE,
    };
    let daraja = Daraja::keeping_old(keeps_old);
    let cache = cache(shelf.map(|shelf| shelf.of(0)));
    next_call_succeeds(&cache, &daraja).await;
    sleep(FRESH).await;
    let others = [0, 0, 31, 61, 400].map(|seconds| {
        let call = Call::new(&cache, &daraja);
        spawn(async move {
            sleep(SECOND * seconds).await;
            let started = Instant::now();
            call.send().await.map(|_| started.elapsed())
        })
    });
    let held = hold(&cache, &daraja, 1).await;
    for other in others {
        let took = other.await.expect("no panic").expect("a refresh that is held fails no call");
        assert!(took <= longest + SECOND, "it waited for {took:?}");
    }
    assert!(daraja.begun() <= 3 + held.len(), "{} fetches", daraja.begun());
    let_go(held, &cache, &daraja).await;
}
