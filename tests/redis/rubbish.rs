//! Redis holds, or is, what nobody expects.

use std::{
    io::Write,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use daraja::{
    StkQuery,
    simulator::{Route, Simulator},
    token::RedisTokenStore,
};

use crate::{
    fleet::{Fleet, Orders},
    server::{Redis, is_here},
};

/// Each is put under the names of both keys, once as it is and once with an hour to live.
#[test]
fn rubbish_under_the_keys_is_replaced_at_the_price_of_one_fetch() {
    if !is_here() {
        return;
    }
    let redis = Redis::start();
    let mut fleet = Fleet::start(Orders::new(redis.url()));
    fleet.push();
    let token = redis.key(":token");
    let claim = token.replace(":token", ":claim");
    let huge = "x".repeat(100_000);
    let rubbish: [&[&str]; 6] = [
        &["SET", "", "x"],
        &["SET", "", ""],
        &["SET", "", &huge],
        &["LPUSH", "", "a"],
        &["HSET", "", "a", "b"],
        &["SADD", "", "a"],
    ];
    let mut fetches = 1;
    for (plant, lasts) in
        rubbish.iter().flat_map(|plant| [(plant, None), (plant, Some("1800000")), (plant, Some("36000000"))])
    {
        for key in [&token, &claim] {
            let mut command = plant.to_vec();
            command[1] = key;
            redis.run(&["DEL", key]);
            redis.run(&command);
            if let Some(milliseconds) = lasts {
                redis.run(&["PEXPIRE", key, milliseconds]);
            }
        }
        fleet.simulator.expire_tokens();
        let took = fleet.push();
        fetches += 1;
        assert_eq!(fleet.fetches(), fetches, "{:?} {lasts:?}", plant[0]);
        assert!(took < Duration::from_secs(10), "{:?} {lasts:?}: {took:?}", plant[0]);
        assert_eq!(redis.keys(), [token.as_str()]);
    }
}

/// A value that was sealed for somebody else, or changed.
#[tokio::test]
async fn a_token_that_somebody_else_put_there_is_not_used() {
    if !is_here() {
        return;
    }
    let redis = Redis::start();
    let simulator = Simulator::new();
    let served = simulator.serve("127.0.0.1:0").await.unwrap();
    let client = || {
        let store = RedisTokenStore::new(&redis.url()).unwrap();
        served.client_builder().token_store(store).build().unwrap()
    };
    client().warm_up().await.unwrap();
    client().warm_up().await.unwrap();
    assert_eq!(simulator.calls(Route::OAuth), 1);
    redis.run(&["SETRANGE", &redis.key(":token"), "20", "x"]);
    client().warm_up().await.unwrap();
    assert_eq!(simulator.calls(Route::OAuth), 2);
    // One that never ends is not of this store's making either.
    redis.run(&["PERSIST", &redis.key(":token")]);
    client().warm_up().await.unwrap();
    assert_eq!(simulator.calls(Route::OAuth), 3);
}

/// It looks like a claim of another process, with a longer time to live.
#[tokio::test]
async fn a_claim_that_an_attacker_made_is_not_waited_for() {
    if !is_here() {
        return;
    }
    let redis = Redis::start();
    let served = Simulator::new().serve("127.0.0.1:0").await.unwrap();
    let client = || {
        let store = RedisTokenStore::new(&redis.url()).unwrap();
        served.client_builder().token_store(store).build().unwrap()
    };
    client().warm_up().await.unwrap();
    let token = redis.key(":token");
    let claim = token.replace(":token", ":claim");
    for seconds in ["40", "600", "3599"] {
        redis.run(&["DEL", &token]);
        redis.run(&["SET", &claim, "0123456789abcdef0123456789abcdef", "EX", seconds]);
        let started = Instant::now();
        client().warm_up().await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(5), "{seconds}: {:?}", started.elapsed());
        // It is gone, for the next process as well.
        assert_eq!(redis.keys(), [token.as_str()]);
    }
}

/// Sealed by this app, voided by Daraja since, and put back in turn.
#[tokio::test]
async fn old_tokens_that_are_put_back_end_no_call() {
    if !is_here() {
        return;
    }
    let redis = Redis::start();
    let simulator = Simulator::builder().query_spacing(Duration::ZERO).build();
    let served = simulator.serve("127.0.0.1:0").await.unwrap();
    let client = || {
        let store = RedisTokenStore::new(&redis.url()).unwrap();
        served.client_builder().token_store(store).build().unwrap()
    };
    let mut token = String::new();
    for number in 0..6 {
        client().warm_up().await.unwrap();
        token = redis.key(":token");
        redis.run(&["RENAME", &token, &format!("old{number}")]);
    }
    let clients: Vec<_> = (0..20).map(|_| client()).collect();
    simulator.expire_tokens();
    let put_back = "redis.call('COPY', 'old' .. redis.call('INCR', 'turn') % 6, KEYS[1], 'REPLACE') \
        return redis.call('PEXPIRE', KEYS[1], 3000000)";
    let is_over = Arc::new(AtomicBool::new(false));
    let ends = is_over.clone();
    let attacker = thread::spawn(move || {
        while !ends.load(Ordering::Relaxed) {
            redis.run(&["EVAL", put_back, "1", &token]);
        }
    });
    let query = StkQuery::new(&simulator.merchant(), &"ws_CO_061020261702341254708374149".parse().unwrap());
    let mut outcomes = Vec::new();
    for client in clients {
        outcomes.push(client.send(&query).await);
    }
    is_over.store(true, Ordering::Relaxed);
    attacker.join().unwrap();
    for outcome in outcomes {
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}

/// A token that is put back after an hour is not sent, whatever time to live Redis has for it.
#[tokio::test]
async fn a_token_that_is_put_back_behind_its_end_is_not_tried() {
    if !is_here() {
        return;
    }
    let redis = Redis::start();
    let simulator = Simulator::builder().token_life(Duration::from_secs(2)).build();
    let served = simulator.serve("127.0.0.1:0").await.unwrap();
    let store = || RedisTokenStore::new(&redis.url()).unwrap();
    served.client_builder().token_store(store()).build().unwrap().warm_up().await.unwrap();
    let token = redis.key(":token");
    redis.run(&["COPY", &token, "old"]);
    redis.run(&["PERSIST", "old"]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    redis.run(&["COPY", "old", &token, "REPLACE"]);
    redis.run(&["PEXPIRE", &token, "3000000"]);
    served.client_builder().token_store(store()).build().unwrap().warm_up().await.unwrap();
    assert_eq!(simulator.calls(Route::OAuth), 2);
}

/// What listens there is no Redis at all. Nothing it says may panic, fill the memory or last.
#[tokio::test]
async fn whatever_listens_there_is_survived() {
    let answers: [&[u8]; 12] = [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"-planted-password\r\n",
        b"-\r\n",
        b"*99999999999\r\n",
        b"*9223372036854775807\r\n*9223372036854775807\r\n",
        b"$9223372036854775807\r\nxx",
        b"%4611686018427387905\r\n",
        b"$-7\r\n",
        b"*2\r\n:1\r\n:1\r\n",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"+OK\r\n+OK\r\n+OK\r\n",
    ];
    for answer in answers {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://shop:planted-password@{}", listener.local_addr().unwrap());
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                _ = stream.unwrap().write_all(answer);
            }
        });
        let simulator = Simulator::new();
        let served = simulator.serve("127.0.0.1:0").await.unwrap();
        let client = served.client_builder().token_store(RedisTokenStore::new(&url).unwrap()).build().unwrap();
        client.warm_up().await.unwrap();
        assert_eq!(simulator.calls(Route::OAuth), 1, "{}", answer.escape_ascii());
    }
}

/// A server that floods is not read to its end.
#[tokio::test]
async fn a_flood_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let flood = thread::spawn(move || {
        let (mut sent, part) = (0, vec![b'x'; 65_536]);
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"$900000000\r\n").unwrap();
        while sent < 900_000_000 && stream.write_all(&part).is_ok() {
            sent += part.len();
        }
        sent
    });
    let served = Simulator::new().serve("127.0.0.1:0").await.unwrap();
    let client = served.client_builder().token_store(RedisTokenStore::new(&url).unwrap()).build().unwrap();
    client.warm_up().await.unwrap();
    let sent = flood.join().unwrap();
    assert!(sent < 50_000_000, "{sent} bytes went out");
}
