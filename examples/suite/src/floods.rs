//! Deliveries that cost memory or time.

use std::{
    io::Write,
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Recipe, Setup,
    post::{Answer, answer, cancelled, connect, post, post_with},
};

const MEGABYTE: usize = 1024 * 1024;

/// What a recipe may hold more than at its start, in KiB: far less than the bodies that are thrown at it.
const MORE: u64 = 48 * 1024;

fn path_of(recipe: &Recipe) -> String {
    recipe.urls().stk(&"attempt-1".parse().expect("a reference")).path().to_owned()
}

/// Sends a body of a hundred megabytes piece by piece, as long as it is taken.
fn pour(address: SocketAddr, path: &str, framing: &str) -> Option<Answer> {
    let mut stream = connect(address).expect("a connection");
    let head = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{framing}\r\n");
    stream.write_all(head.as_bytes()).expect("the head is taken");
    let piece = vec![b' '; MEGABYTE];
    for _ in 0..100 {
        let chunk = if framing.contains("chunked") { format!("{MEGABYTE:x}\r\n") } else { String::new() };
        let end: &[u8] = if framing.contains("chunked") { b"\r\n" } else { b"" };
        let sent = stream.write_all(chunk.as_bytes()).and_then(|()| stream.write_all(&piece));
        if sent.and_then(|()| stream.write_all(end)).is_err() {
            break;
        }
    }
    // One that hangs up without an answer has refused as well.
    answer(&mut stream).ok()
}

/// A hundred megabytes, with a length and without, and JSON ten thousand levels deep.
pub fn what_is_too_large_or_too_deep_is_refused_in_bounded_memory(program: &Path) {
    let setup = Setup::of(program);
    let recipe = setup.start();
    let path = path_of(&recipe);
    let before = recipe.peak_memory();

    for framing in ["Content-Length: 104857600\r\n", "Transfer-Encoding: chunked\r\n"] {
        let pours: Vec<_> = (0..4)
            .map(|_| {
                let (address, path) = (recipe.address, path.clone());
                thread::spawn(move || pour(address, &path, framing))
            })
            .collect();
        for pour in pours {
            let answer = pour.join().expect("the pouring");
            assert!(answer.as_ref().is_none_or(|answer| answer.status == 413), "{framing}: {answer:?}");
        }
    }
    for (deep, status) in [
        (format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)), 400),
        (format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000)), 400),
        (format!(r#"{{"Body":{{"stkCallback":{}{}}}}}"#, "[".repeat(10_000), "]".repeat(10_000)), 400),
        (" ".repeat(64 * 1024 + 1), 413),
    ] {
        let answer = post(recipe.address, &path, &deep).expect("an answer");
        assert_eq!(answer.status, status, "{answer:?}");
    }
    let more = recipe.peak_memory().saturating_sub(before);
    assert!(more < MORE, "it took {more} KiB for what it refused");
    assert_eq!(setup.disk().text, "", "something was stored");

    // The largest that is taken: padded to the last byte.
    let news = cancelled("ws_CO_1");
    let largest = format!("{news}{}", " ".repeat(64 * 1024 - news.len()));
    assert_eq!(post(recipe.address, &path, &largest).expect("an answer").status, 200);
    recipe.stop();
}

/// A hundred connections that never finish their bodies are cut off; meanwhile everybody else is served.
pub fn a_slow_body_is_cut_off_and_disturbs_nobody(program: &Path) {
    let setup = Setup::of(program);
    let recipe = setup.start();
    let path = path_of(&recipe);
    // Rocket waits for 14 bytes by itself, without a limit of time.
    let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n{}", " ".repeat(14));
    let slow: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = connect(recipe.address).expect("a connection");
            stream.write_all(head.as_bytes()).expect("the head is taken");
            stream
        })
        .collect();

    let answer = post_with(recipe.address, &path, "", cancelled("ws_CO_1").as_bytes()).expect("an answer");
    assert_eq!(answer.status, 200);

    let started = Instant::now();
    for mut stream in slow {
        let end = answer_or_end(&mut stream);
        assert!(end.is_none_or(|status| status == 408), "{end:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(25), "they were not cut off");
    recipe.stop();
}

/// The status, or nothing if the connection was closed without one.
fn answer_or_end(stream: &mut std::net::TcpStream) -> Option<u16> {
    match answer(stream) {
        Ok(answer) => Some(answer.status),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("it is still open"),
        Err(_) => None,
    }
}
