//! A call that is held and not polled, such as the branch of a `select!` whose other branch calls as well, stops no other.

use std::{iter, time::Duration};

use daraja::{
    Client, Result,
    token::{StoreError, StoredToken, TokenKey, TokenStore},
    transport::BoxFuture,
};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Read, Scripted, Step, answer};

const MOMENT: Duration = Duration::from_millis(100);

fn granted(token: &str, life: u64) -> String {
    format!(r#"{{"access_token":"{token}","expires_in":"{life}"}}"#)
}

fn late(token: &str) -> Step {
    Step::AnswerLate(Duration::from_secs(1), 200, granted(token, 3_599))
}

fn scripted(token_steps: impl IntoIterator<Item = Step>) -> Scripted {
    Scripted::new(iter::repeat_n(answer(200, "{}"), 100)).with_token_steps(token_steps)
}

/// A call that has begun and is polled no more, until it is awaited.
async fn held(client: &Client) -> impl Future<Output = Result<()>> + Unpin {
    let mut call = Box::pin(client.send(&Read));
    assert!(timeout(MOMENT, &mut call).await.is_err());
    call
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_held_while_it_fetches_the_token_stops_no_other() {
    let scripted = scripted([late("slow")]);
    let client = scripted.client();
    let call = held(&client).await;
    let started = Instant::now();
    for _ in 0..10 {
        client.send(&Read).await.unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(11), "only the first waits: {:?}", started.elapsed());
    assert_eq!(scripted.token_requests().len(), 2);
    call.await.unwrap();
    client.send(&Read).await.unwrap();
    let bearer = |number: usize| scripted.calls()[number].headers()["authorization"].clone();
    assert_eq!(bearer(11), bearer(0), "the token that was asked for last is kept");
    assert_eq!(scripted.token_requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn of_many_that_lost_patience_one_fetches() {
    let scripted = scripted([late("slow")]);
    let client = scripted.client();
    let call = held(&client).await;
    let mut herd = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let client = client.clone();
        herd.spawn(async move { client.send(&Read).await });
    }
    for outcome in herd.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(scripted.token_requests().len(), 2);
    drop(call);
}

#[tokio::test(start_paused = true)]
async fn nor_do_several_that_are_held_one_after_the_other() {
    let scripted = scripted([late("a"), late("b"), late("c")]);
    let client = scripted.builder().timeout(Duration::from_secs(20)).build().unwrap();
    let first = held(&client).await;
    let mut calls = Vec::new();
    for _ in 0..2 {
        // It waits for the one before, then fetches, and is held in that.
        let mut call = Box::pin(client.send(&Read));
        assert!(timeout(Duration::from_millis(10_500), &mut call).await.is_err());
        calls.push(call);
    }
    client.send(&Read).await.unwrap();
    drop((first, calls));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_has_little_time_waits_for_a_held_one_for_half_of_it() {
    for seconds in [4, 8, 12] {
        let scripted = scripted([late("slow")]);
        let client = scripted.builder().timeout(Duration::from_secs(seconds)).build().unwrap();
        let call = held(&client).await;
        client.send(&Read).await.unwrap();
        drop(call);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_is_held_blocks_no_other_call() {
    let scripted = scripted([answer(200, granted("first", 600)), late("slow")]);
    let client = scripted.client();
    client.warm_up().await.unwrap();
    sleep(Duration::from_secs(541)).await;
    let call = held(&client).await;
    client.send(&Read).await.unwrap();
    assert_eq!(scripted.token_requests().len(), 2);
    // Half a minute later another call refreshes, while the first token lives. No call waits for that.
    sleep(Duration::from_secs(31)).await;
    let started = Instant::now();
    client.send(&Read).await.unwrap();
    client.send(&Read).await.unwrap();
    assert_eq!(scripted.token_requests().len(), 3);
    assert!(started.elapsed() < MOMENT, "{:?}", started.elapsed());
    sleep(Duration::from_secs(60)).await;
    client.send(&Read).await.unwrap();
    drop(call);
}

#[tokio::test(start_paused = true)]
async fn a_call_with_a_live_token_does_not_fail_because_a_refresh_hangs() {
    for seconds in [8, 10, 12, 15, 20, 60] {
        let scripted = scripted([answer(200, granted("first", 600)), Step::Hang]);
        let builder = scripted.builder().token_store(Slow).timeout(Duration::from_secs(seconds));
        let client = builder.build().unwrap();
        client.warm_up().await.unwrap();
        sleep(Duration::from_secs(541)).await;
        let outcome = client.send(&Read).await;
        assert!(outcome.is_ok(), "{seconds} s: {outcome:?}");
    }
}

/// Answers, but a moment before it is given up.
struct Slow;

impl Slow {
    fn answer<T: Send + 'static>(value: T) -> BoxFuture<'static, Result<T, StoreError>> {
        Box::pin(async {
            sleep(Duration::from_millis(1_900)).await;
            Ok(value)
        })
    }
}

impl TokenStore for Slow {
    fn load<'a>(&'a self, _: &'a TokenKey) -> BoxFuture<'a, Result<Option<StoredToken>, StoreError>> {
        Self::answer(None)
    }

    fn save<'a>(&'a self, _: &'a TokenKey, _: &'a StoredToken) -> BoxFuture<'a, Result<(), StoreError>> {
        Self::answer(())
    }

    fn claim<'a>(&'a self, _: &'a TokenKey, _: Duration) -> BoxFuture<'a, Result<bool, StoreError>> {
        Self::answer(true)
    }
}
