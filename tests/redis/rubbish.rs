//! Redis holds, or is, what nobody expects.

use std::{io::Write, net::TcpListener, thread, time::Duration};

use daraja::{
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
