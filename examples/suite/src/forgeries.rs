//! Deliveries that are none of Daraja's.

use std::{io::Write, net::SocketAddr, path::Path};

use crate::{
    Recipe, Setup,
    post::{Answer, cancelled, connect, post_raw, post_with},
};

const BODY_ID: &str = "ws_CO_061020261702341708374149";

fn deliver(address: SocketAddr, path: &str, headers: impl AsRef<[u8]>) -> Answer {
    post_with(address, path, headers, cancelled(BODY_ID).as_bytes()).expect("an answer")
}

/// The status is all that the other side hears.
fn assert_refused(answer: &Answer, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    assert_silent(answer, what);
}

/// A framework may have a page of its own for a status, as long as it tells nothing of why.
fn assert_silent(answer: &Answer, what: &str) {
    let body = answer.body.to_ascii_lowercase();
    for word in
        ["mac", "sign", "hmac", "secret", "reference", "daraja", "json", "column", "byte", "address", "source", "ws_co"]
    {
        assert!(!body.contains(word), "{what} says {word:?}: {answer:?}");
    }
}

fn path_of(recipe: &Recipe) -> String {
    recipe.urls().stk(&"attempt-1".parse().expect("a reference")).path().to_owned()
}

/// Paths that nobody signed, and bodies that are no news.
pub fn forged_deliveries_are_refused_without_a_word(program: &Path) {
    let setup = Setup::of(program);
    let recipe = setup.start();
    let path = path_of(&recipe);
    let reference = |name: &str| name.parse().expect("a reference");
    let mac = |path: &str| path.rsplit('/').next().expect("a MAC").to_owned();
    let own = mac(&path);
    let of_other = mac(recipe.urls().stk(&reference("attempt-2")).path());
    let of_payout = mac(recipe.urls().payout(&reference("attempt-1")).result().path());
    let first = if own.starts_with('0') { "1" } else { "0" };
    let percent = format!("%{:02x}", own.as_bytes()[0]);

    for (what, forged) in [
        ("a wrong MAC", format!("/daraja/stk/attempt-1/{first}{}", &own[1..])),
        ("the MAC of another reference", format!("/daraja/stk/attempt-1/{of_other}")),
        ("the MAC of another purpose", format!("/daraja/stk/attempt-1/{of_payout}")),
        ("another reference", format!("/daraja/stk/attempt-2/{own}")),
        ("another purpose", format!("/daraja/result/attempt-1/{own}")),
        ("a MAC cut short", format!("/daraja/stk/attempt-1/{}", &own[..63])),
        ("no MAC", "/daraja/stk/attempt-1".to_owned()),
        ("an empty MAC", "/daraja/stk/attempt-1/".to_owned()),
        ("upper case", path.to_ascii_uppercase()),
        ("a MAC in upper case", format!("/daraja/stk/attempt-1/{}", own.to_ascii_uppercase())),
        ("a letter percent-encoded", format!("/daraja/stk/attempt-1/{percent}{}", &own[1..])),
        ("a reference percent-encoded", format!("/daraja/stk/attempt%2d1/{own}")),
        ("a slash percent-encoded", format!("/daraja/stk/attempt-1%2f{own}")),
        ("a segment behind", format!("{path}/more")),
        ("a slash behind", format!("{path}/")),
        ("a segment before", format!("/more{path}")),
        ("a doubled slash", path.replacen("/stk/", "/stk//", 1)),
        ("dots", format!("/daraja/x/../stk/attempt-1/{own}")),
        ("nothing", "/".to_owned()),
    ] {
        assert_refused(&deliver(recipe.address, &forged, ""), 404, what);
    }
    for (what, body) in [
        ("an empty body", String::new()),
        ("a body cut short", cancelled(BODY_ID)[..90].to_owned()),
        ("a page", "<html>hello</html>".to_owned()),
        ("two documents", "{} {}".to_owned()),
        ("a result at the URL of a push", r#"{"Result":{"ResultCode":0,"ConversationID":"AG_1"}}"#.to_owned()),
    ] {
        let answer = post_with(recipe.address, &path, "", body.as_bytes()).expect("an answer");
        assert_refused(&answer, 400, what);
    }
    let answer = post_with(recipe.address, &path, "", b"{\"Body\":\"\xff\xfe\"}").expect("an answer");
    assert_refused(&answer, 400, "a body that is no text");

    assert_eq!(setup.disk().text, "", "something was stored");
    assert_eq!(deliver(recipe.address, &path, "").status, 200, "the true one");
    recipe.stop();
}

/// Request lines that no browser writes, and heads that servers read in different ways: none of them opens what the path alone
/// does not, and none of them ends the program.
pub fn odd_requests_open_nothing_and_end_nothing(program: &Path) {
    let setup = Setup::of(program);
    let recipe = setup.start();
    let (address, path) = (recipe.address, path_of(&recipe));
    let body = cancelled(BODY_ID);
    let post =
        |line: &[u8], headers: &[u8]| post_raw(address, &[b"POST ", line, b"\r\n", headers].concat(), body.as_bytes());
    let host: &[u8] = b"Host: shop.example\r\n";

    let encoded_dots = format!("/x/%2e%2e{path}");
    let original = format!("Host: a\r\nX-Original-URL: {path}\r\nX-Rewrite-URL: {path}\r\n");
    for (what, target) in [
        ("a name and a port", b"shop.example:443".to_vec()),
        ("an address and a port", b"127.0.0.1:80".to_vec()),
        ("an asterisk", b"*".to_vec()),
        ("no slash in front", path.as_bytes()[1..].to_vec()),
        ("two slashes in front", format!("/{path}").into_bytes()),
        ("backslashes", path.replace('/', "\\").into_bytes()),
        ("parameters", format!("{path};a=b").into_bytes()),
        ("parameters inside", path.replacen("attempt-1/", "attempt-1;a/", 1).into_bytes()),
        ("dots behind", format!("{path}/x/..").into_bytes()),
        ("encoded dots", encoded_dots.into_bytes()),
        ("an encoded zero", format!("{path}%00").into_bytes()),
        ("a tab", format!("{path}\t").into_bytes()),
        ("a zero", format!("{path}\0").into_bytes()),
        ("a path that is not text", [path.as_bytes(), b"\xff"].concat()),
        ("an absolute URL without a path", b"http://shop.example".to_vec()),
        ("an absolute URL of another path", b"http://shop.example/x".to_vec()),
        ("a scheme that is none", format!("file://{path}").into_bytes()),
        ("nothing", Vec::new()),
        ("60 000 letters", format!("/{}", "a".repeat(60_000)).into_bytes()),
    ] {
        let answer = post(&[&target, &b" HTTP/1.1"[..]].concat(), host).expect(what);
        assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
        assert_silent(&answer, what);
    }
    let answer = post(b"/x HTTP/1.1", original.as_bytes()).expect("an answer");
    assert_refused(&answer, 404, "the path in a header");
    // A server may hang up instead of reading so much.
    let endless = post(format!("/{} HTTP/1.1", "a".repeat(1_000_000)).as_bytes(), host);
    assert!(endless.as_ref().is_ok_and(|answer| answer.status == 431) || endless.is_err(), "{endless:?}");
    let mut stream = connect(address).expect("a connection");
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("it is read");
    assert_eq!(setup.disk().text, "", "something was stored");

    // The path is right, and the rest is odd: the path alone decides, or the server refuses the request.
    for (what, line, headers, statuses) in [
        ("a query", format!("{path}?a=b HTTP/1.1"), host, &[200][..]),
        ("an absolute URL", format!("http://other.example{path} HTTP/1.1"), host, &[200]),
        ("one with a user", format!("http://a:b@other.example{path} HTTP/1.1"), host, &[200, 400]),
        ("HTTP/1.0 without Host", format!("{path} HTTP/1.0"), b"", &[200]),
        ("HTTP/1.1 without Host", format!("{path} HTTP/1.1"), b"", &[200, 400]),
        ("two Hosts", format!("{path} HTTP/1.1"), b"Host: a\r\nHost: b\r\n", &[200, 400]),
        ("another path in a header", format!("{path} HTTP/1.1"), b"Host: a\r\nX-Original-URL: /x\r\n", &[200]),
        ("two framings", format!("{path} HTTP/1.1"), b"Host: a\r\nTransfer-Encoding: chunked\r\n", &[400, 408, 413]),
    ] {
        let answer = post(line.as_bytes(), headers).expect(what);
        assert!(statuses.contains(&answer.status), "{what}: {answer:?}");
    }
    assert_eq!(deliver(address, &path, "").status, 200, "the true one");
    recipe.stop();
}

/// Only the hop before the proxy's own tells where a delivery came from; what stands to its left anybody can write.
pub fn behind_a_proxy_only_the_nearest_stranger_counts(program: &Path) {
    for (header, names) in
        [("x-forwarded-for", ["X-Forwarded-For", "Forwarded"]), ("forwarded", ["Forwarded", "X-Forwarded-For"])]
    {
        let setup = Setup::of(program)
            .with("MPESA_CALLBACK_SOURCES", "196.201.214.200, 2001:db8::7")
            .with("MPESA_CALLBACK_PROXIES", "127.0.0.0/8, 10.0.0.0/8")
            .with("MPESA_CALLBACK_PROXY_HEADER", header);
        let recipe = setup.start();
        let path = path_of(&recipe);
        let [own, other] = names;
        let line = |name: &str, hops: &[&str]| {
            let element = |hop: &&str| if name == "Forwarded" { format!("for=\"{hop}\"") } else { (*hop).to_owned() };
            format!("{name}: {}\r\n", hops.iter().map(element).collect::<Vec<_>>().join(", "))
        };
        for (what, headers, status) in [
            ("no header", String::new(), 403),
            ("the true one", line(own, &["196.201.214.200"]), 200),
            ("with a port", line(own, &["196.201.214.200:4711"]), 200),
            ("in IPv6", line(own, &["[2001:db8::7]:4711"]), 200),
            ("IPv4 in IPv6", line(own, &["[::ffff:196.201.214.200]"]), 200),
            ("through two proxies", line(own, &["196.201.214.200", "10.1.2.3"]), 200),
            ("in two lines", line(own, &["196.201.214.200"]) + &line(own, &["10.1.2.3"]), 200),
            ("a stranger", line(own, &["203.0.113.7"]), 403),
            ("a stranger who writes a true one to the left", line(own, &["196.201.214.200", "203.0.113.7"]), 403),
            ("the same, in two lines", line(own, &["196.201.214.200"]) + &line(own, &["203.0.113.7"]), 403),
            ("the same, behind two proxies", line(own, &["196.201.214.200", "203.0.113.7", "10.1.2.3"]), 403),
            ("proxies alone", line(own, &["10.1.2.3"]), 403),
            ("something unreadable", line(own, &["196.201.214.200", "unknown"]), 403),
            ("in the header that the proxy does not write", line(other, &["196.201.214.200"]), 403),
            ("in IPv6 of a stranger", line(own, &["[2001:db8::8]"]), 403),
        ] {
            let answer = deliver(recipe.address, &path, &headers);
            assert_eq!(answer.status, status, "{header}: {what}: {answer:?}");
            if status != 200 {
                assert_silent(&answer, what);
            }
        }
        // Rocket drops header lines that are not UTF-8 before its recipe sees them: see its README.
        let dropped = if program.ends_with("recipe-rocket") { 200 } else { 403 };
        let true_one = line(own, &["196.201.214.200"]);
        for (what, more, status) in [
            ("an empty line", b"".as_slice(), 403),
            ("a line that is not text", b"\xe9", dropped),
            ("another address behind a line that is not text", b"\xff, 203.0.113.7", dropped),
        ] {
            let headers = [true_one.as_bytes(), own.as_bytes(), b": ", more, b"\r\n"].concat();
            let answer = deliver(recipe.address, &path, headers);
            assert_eq!(answer.status, status, "{header}: {what}: {answer:?}");
        }
        let one_line = [own.as_bytes(), b": 196.201.214.200, \xff, 203.0.113.7\r\n"].concat();
        assert_refused(&deliver(recipe.address, &path, one_line), 403, "a line whose middle is not text");
        let doubled = format!("{}{}", line(own, &["203.0.113.7"]), true_one.replace('-', "_"));
        if own.contains('-') {
            assert_refused(&deliver(recipe.address, &path, doubled), 403, "a header with underscores");
        }
        recipe.stop();
    }
    // From an address that is no proxy the headers count for nothing.
    let setup = Setup::of(program).with("MPESA_CALLBACK_SOURCES", "196.201.214.200");
    let recipe = setup.start();
    let answer = deliver(recipe.address, &path_of(&recipe), "X-Forwarded-For: 196.201.214.200\r\n");
    assert_refused(&answer, 403, "a header from an address that is no proxy");
    assert_eq!(setup.disk().text, "", "something was stored");
    recipe.stop();
}

/// On a socket for both families, IPv4 addresses come as IPv6.
pub fn an_address_counts_however_it_is_written(program: &Path) {
    let setup = Setup::of(program).at("[::ffff:127.0.0.1]:0");
    let recipe = setup.start();
    assert_eq!(deliver(recipe.address, &path_of(&recipe), "").status, 200, "IPv4 in IPv6");
    recipe.stop();

    let setup = Setup::of(program).at("[::1]:0");
    let recipe = setup.start();
    assert_refused(&deliver(recipe.address, &path_of(&recipe), ""), 403, "another address");
    recipe.stop();

    let setup = Setup::of(program).at("[::1]:0").with("MPESA_CALLBACK_SOURCES", "::1");
    let recipe = setup.start();
    assert_eq!(deliver(recipe.address, &path_of(&recipe), "").status, 200, "IPv6");
    recipe.stop();
}
