//! Redis is there: one token for all.

use std::time::{Duration, Instant};

use daraja::{
    Client, Credentials,
    simulator::{Fault, Route, Served, Simulator},
    token::RedisTokenStore,
};

use crate::{
    fleet::{Fleet, Orders},
    server::{Redis, is_here},
};

#[test]
fn eight_processes_fetch_one_token_between_them() {
    if !is_here() {
        return;
    }
    let redis = Redis::start();
    let mut fleet = Fleet::start(Orders::new(redis.url()));
    // Long enough for all of them to come while the token is on its way.
    fleet.simulator.fault(Route::OAuth, Fault::Slow(Duration::from_secs(1)));

    fleet.push_twice();

    assert_eq!(fleet.fetches(), 1);
    assert_eq!(fleet.simulator.prompts().len(), 16);
    // Later pushes ask nobody.
    fleet.push();
    assert_eq!(fleet.fetches(), 1);
}

#[test]
fn clocks_that_are_hours_apart_do_not_matter() {
    if !is_here() {
        return;
    }
    let redis = Redis::start();
    let clocks = [-2, 2, 0, 2, -2, 1, -1, 0];
    let mut fleet = Fleet::start(Orders { clocks, ..Orders::new(redis.url()) });

    // One after the other: each must believe the token of the one before, whatever their clocks say.
    fleet.push_in_turn();
    assert_eq!(fleet.fetches(), 1);

    fleet.simulator.expire_tokens();
    fleet.push();
    assert_eq!(fleet.fetches(), 2);
}

#[test]
fn a_token_that_is_refused_is_replaced_once_for_all() {
    if !is_here() {
        return;
    }
    let redis = Redis::start();
    let mut fleet = Fleet::start(Orders::new(redis.url()));
    for round in 1..=5 {
        fleet.push();
        assert_eq!(fleet.fetches(), round);
        fleet.simulator.expire_tokens();
    }
}

/// A new token cures nothing, and it may void the one that other APIs of the app are called with.
#[test]
fn an_app_without_the_product_costs_one_token() {
    if !is_here() {
        return;
    }
    let redis = Redis::start();
    let mut fleet = Fleet::start(Orders::new(redis.url()));
    fleet.push();
    let refused = Fault::Refused(
        401,
        "401.003.01",
        "Error Occurred - Invalid Access Token - Invalid API call as no apiproduct match found",
    );
    (0..100).for_each(|_| fleet.simulator.fault(Route::StkPush, refused));
    for _ in 0..5 {
        fleet.push_without_product();
    }
    // The product may have been added since the first token, so one more is fetched, once in five minutes.
    assert_eq!(fleet.fetches(), 2);
}

#[test]
fn a_process_that_dies_with_the_claim_is_followed_by_one_other() {
    if !is_here() {
        return;
    }
    let redis = Redis::start();
    let token_timeout = Duration::from_secs(1);
    let mut fleet = Fleet::start(Orders { token_timeout, ..Orders::new(redis.url()) });
    fleet.simulator.fault(Route::OAuth, Fault::Slow(Duration::from_secs(3_600)));
    fleet.first_begins();
    fleet.wait_for_fetches(1);

    fleet.first_is_killed();
    fleet.push_twice();

    assert_eq!(fleet.fetches(), 2);
    assert_eq!(fleet.simulator.prompts().len(), 14);
}

/// A client of its own is a process of its own, as far as Redis can tell.
fn client(served: &Served, store: RedisTokenStore) -> Client {
    served.client_builder().token_store(store).build().unwrap()
}

#[tokio::test]
async fn what_is_kept_tells_nothing_and_dies_with_the_token() {
    if !is_here() {
        return;
    }
    let redis = Redis::start();
    let simulator = Simulator::builder().token_life(Duration::from_secs(1_800)).build();
    let served = simulator.serve("127.0.0.1:0").await.unwrap();
    let store = RedisTokenStore::new(&redis.url()).unwrap().key_prefix("shop:");
    client(&served, store).warm_up().await.unwrap();

    // The claim was given back.
    let [key] = &redis.keys()[..] else { panic!("{:?}", redis.keys()) };
    assert!(key.starts_with("shop:{") && key.ends_with("}:token"), "{key}");
    let left: u64 = redis.run(&["PTTL", key]).parse().unwrap();
    assert!((1_700_000..=1_800_000).contains(&left), "{left}");
    // Twelve bytes of nonce, eight of its end and sixteen of a tag more than a token of the simulator's has.
    assert_eq!(redis.run(&["STRLEN", key]), "64");
    let value = redis.run(&["GET", key]);
    assert!(value.contains(char::REPLACEMENT_CHARACTER), "it is no text: {value}");
}

#[tokio::test]
async fn another_app_environment_or_secret_has_a_token_of_its_own() {
    if !is_here() {
        return;
    }
    let redis = Redis::start();
    let served =
        [Simulator::new().serve("127.0.0.1:0").await.unwrap(), Simulator::new().serve("127.0.0.1:0").await.unwrap()];
    for served in &served {
        client(served, RedisTokenStore::new(&redis.url()).unwrap()).warm_up().await.unwrap();
    }
    assert_eq!(redis.keys().len(), 2);
    // Wrong credentials find nothing, and leave nothing.
    let stranger = Client::builder(served[0].environment(), Credentials::new("another key", "another secret"))
        .token_store(RedisTokenStore::new(&redis.url()).unwrap())
        .build()
        .unwrap();
    stranger.warm_up().await.unwrap_err();
    assert_eq!(redis.keys().len(), 2);
}

#[tokio::test]
async fn a_user_of_its_own_with_a_password_and_few_rights_is_enough() {
    if !is_here() {
        return;
    }
    let redis = Redis::start();
    let rights = "+eval +time +type +getrange +pttl +get +set +del +select";
    let rule: Vec<&str> =
        ["ACL", "SETUSER", "shop", "on", ">pass#word", "~shop:*"].into_iter().chain(rights.split(' ')).collect();
    assert_eq!(redis.run(&rule), "OK");
    let simulator = Simulator::new();
    let served = simulator.serve("127.0.0.1:0").await.unwrap();
    for _ in 0..2 {
        let url = format!("redis://shop:pass%23word@127.0.0.1:{}/2", redis.port());
        let store = RedisTokenStore::new(&url).unwrap().key_prefix("shop:");
        client(&served, store).warm_up().await.unwrap();
    }
    assert_eq!(simulator.calls(Route::OAuth), 1);
    assert_eq!(redis.run(&["-n", "2", "DBSIZE"]), "1");
}

#[tokio::test]
async fn a_claim_of_ones_own_that_was_given_up_is_not_waited_for() {
    if !is_here() {
        return;
    }
    let redis = Redis::start();
    let simulator = Simulator::new();
    let served = simulator.serve("127.0.0.1:0").await.unwrap();
    let client = client(&served, RedisTokenStore::new(&redis.url()).unwrap());
    simulator.fault(Route::OAuth, Fault::Slow(Duration::from_secs(3_600)));
    let given_up = tokio::spawn({
        let client = client.clone();
        async move { client.warm_up().await }
    });
    while simulator.calls(Route::OAuth) == 0 {
        tokio::task::yield_now().await;
    }
    given_up.abort();
    let started = Instant::now();
    client.warm_up().await.unwrap();
    // The claim holds for 16 s, but for its owner.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}
