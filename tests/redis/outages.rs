//! Redis is not there, or not well: every process goes on with a token of its own.

use std::{net::TcpListener, time::Duration};

use daraja::simulator::Simulator;

use crate::{
    fleet::{Fleet, Orders},
    server::{Redis, is_here},
};

/// Where eight processes have eight tokens, the newest would void the others: what Daraja does then is not the matter here.
fn beside_each_other(redis: impl Into<String>) -> Orders<'static> {
    Orders { simulator: Simulator::builder().tokens_coexist(), ..Orders::new(redis) }
}

#[test]
fn without_redis_each_process_has_a_token_of_its_own() {
    if !is_here() {
        return;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut fleet = Fleet::start(beside_each_other(format!("redis://127.0.0.1:{port}")));

    fleet.push_twice();

    assert_eq!(fleet.fetches(), 8);
    fleet.push();
    assert_eq!(fleet.fetches(), 8);
}

#[test]
fn a_redis_that_is_killed_and_comes_back_empty_is_used_again() {
    if !is_here() {
        return;
    }
    let mut redis = Redis::start();
    let mut fleet = Fleet::start(beside_each_other(redis.url()));
    fleet.push();
    assert_eq!(fleet.fetches(), 1);

    redis.kill();
    // A token that is fresh asks nobody.
    fleet.push();
    assert_eq!(fleet.fetches(), 1);
    fleet.simulator.expire_tokens();
    fleet.push();
    assert_eq!(fleet.fetches(), 9);

    redis.restart();
    fleet.push();
    assert_eq!(fleet.fetches(), 9);
    fleet.simulator.expire_tokens();
    fleet.push();
    assert_eq!(fleet.fetches(), 10);
}

#[test]
fn a_redis_that_is_emptied_costs_one_fetch() {
    if !is_here() {
        return;
    }
    let redis = Redis::start();
    let mut fleet = Fleet::start(Orders::new(redis.url()));
    for round in 1..=2 {
        fleet.push();
        assert_eq!(fleet.fetches(), round);
        assert_eq!(redis.run(&["FLUSHALL"]), "OK");
        fleet.simulator.expire_tokens();
    }
}

#[test]
fn a_redis_that_accepts_and_never_answers_costs_four_seconds_once() {
    if !is_here() {
        return;
    }
    let redis = Redis::start();
    let mut fleet = Fleet::start(beside_each_other(redis.url()));
    redis.stop();

    let took = fleet.push_twice();
    // 2 s for the question, 2 s for saving; the rest is what a busy machine may take.
    assert!((Duration::from_secs(4)..Duration::from_secs(10)).contains(&took), "{took:?}");
    assert_eq!(fleet.fetches(), 8);

    let took = fleet.push();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(fleet.fetches(), 8);

    redis.go_on();
    fleet.simulator.expire_tokens();
    fleet.push();
    assert_eq!(fleet.fetches(), 9);
}

#[test]
fn a_redis_that_is_killed_while_a_token_is_fetched_costs_the_others_nothing_but_their_own() {
    if !is_here() {
        return;
    }
    let mut redis = Redis::start();
    let mut fleet = Fleet::start(beside_each_other(redis.url()));
    fleet.simulator.fault(daraja::simulator::Route::OAuth, daraja::simulator::Fault::Slow(Duration::from_secs(2)));
    fleet.first_begins();
    fleet.wait_for_fetches(1);
    redis.kill();

    fleet.others_push();
    fleet.first_ends();

    assert_eq!(fleet.fetches(), 8);
}

/// What a server says that is there, and of no use.
#[test]
fn a_redis_that_refuses_is_done_without() {
    if !is_here() {
        return;
    }
    let refusing: [(&str, &[&str]); 4] = [
        ("NOAUTH", &["--requirepass", "planted-password"]),
        ("OOM", &["--maxmemory", "1"]),
        ("READONLY", &["--replicaof", "127.0.0.1 1"]),
        ("unknown command", &["--rename-command", "EVAL", ""]),
    ];
    for (name, options) in refusing {
        let redis = Redis::with(|_, _| options.iter().map(|&option| option.to_owned()).collect());
        let mut fleet = Fleet::start(beside_each_other(redis.url()));
        fleet.push();
        assert_eq!(fleet.fetches(), 8, "{name}");
    }
}
