//! What proxies, and whoever speaks through them, say of where a delivery comes from.
//!
//! The first byte chooses header and peer, the rest is the header's lines.
#![no_main]

use std::{net::IpAddr, sync::LazyLock};

use daraja::webhook::{Delivery, ProxyHeader, Receiver, Refused, SignedUrls, Sources};
use libfuzzer_sys::fuzz_target;

const SAFARICOM: &str = "196.201.214.200";
const PROXY: &str = "10.1.2.3";
const STRANGERS: [&str; 4] = ["203.0.113.7", "2001:db8::7", "196.201.214.201", "11.0.0.1"];

struct Doors {
    by_list: Receiver,
    by_forwarded: Receiver,
    path: String,
}

static DOORS: LazyLock<Doors> = LazyLock::new(|| {
    let base = "https://shop.example/daraja".parse().expect("a URL");
    let urls = SignedUrls::new(base, "a secret of nobody, 32 characters or more").expect("a secret");
    let path = urls.stk(&"attempt-1042".parse().expect("a reference")).path().to_owned();
    let door = |header| {
        let sources = Sources::safaricom().behind(["10.0.0.0/8", "fd00::/8", "::ffff:172.16.0.0/108"], header);
        Receiver::new(urls.clone()).sources(sources.expect("networks"))
    };
    Doors { by_list: door(ProxyHeader::XForwardedFor), by_forwarded: door(ProxyHeader::Forwarded), path }
});

fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else { return };
    let header = if choice & 1 == 0 { ProxyHeader::XForwardedFor } else { ProxyHeader::Forwarded };
    let stranger = STRANGERS.into_iter().cycle().nth(usize::from(choice >> 1 & 3)).expect("it goes round");
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();

    peers_of_their_own(header, &lines, stranger);
    through_a_proxy(header, &lines, stranger);
});

/// Who comes without a proxy is who he is, whatever he writes.
fn peers_of_their_own(header: ProxyHeader, lines: &[&[u8]], stranger: &str) {
    assert!(!admitted(header, address(stranger), lines, &[]));
    assert!(admitted(header, address(SAFARICOM), lines, &[]));
    assert!(admitted(header, address(&format!("::ffff:{SAFARICOM}")), lines, &[]));
    assert!(!admitted(header, None, lines, &[]));
}

/// Behind a proxy the hop that it wrote itself decides; what it was given stands to the left.
fn through_a_proxy(header: ProxyHeader, lines: &[&[u8]], stranger: &str) {
    let proxy = address(PROXY);
    let verdict = admitted(header, proxy, lines, &[]);
    // The header that the proxies do not write is anybody's.
    assert_eq!(verdict, admitted(header, proxy, lines, &[&hop(other(header), SAFARICOM)]));
    assert_eq!(verdict, admitted(header, address("::ffff:172.16.9.9"), lines, &[]));

    let by_stranger = hop(header, stranger);
    assert!(!admitted(header, proxy, &followed(lines, &by_stranger), &[]));
    // In the same line as well, as most proxies write it.
    assert!(!admitted(header, proxy, &[&joined(lines, &by_stranger)], &[]));
    // Another proxy of ours in between.
    let by_proxy = hop(header, "10.9.9.9");
    assert!(!admitted(header, proxy, &followed(&followed(lines, &by_stranger), &by_proxy), &[]));
    if verdict {
        assert!(admitted(header, proxy, &followed(lines, &by_proxy), &[]), "a proxy more changes nothing");
    }

    let by_safaricom = hop(header, SAFARICOM);
    let after_lines = admitted(header, proxy, &followed(lines, &by_safaricom), &[]);
    match header {
        // What is no text is not looked into.
        ProxyHeader::XForwardedFor => {
            assert_eq!(after_lines, lines.iter().all(|line| std::str::from_utf8(line).is_ok()));
        }
        // A malformed list is not read at all; nothing to the left can spoil a well-formed one in another way.
        _ => assert!(after_lines || !verdict),
    }
}

fn admitted(header: ProxyHeader, peer: impl Into<Option<IpAddr>>, lines: &[&[u8]], others: &[&Vec<u8>]) -> bool {
    let Doors { by_list, by_forwarded, path } = &*DOORS;
    let delivery = Delivery::new(peer, path, b"{}");
    let (door, delivery) = if header == ProxyHeader::XForwardedFor {
        let delivery = lines.iter().fold(delivery, |delivery, line| delivery.forwarded_for(*line));
        (by_list, others.iter().fold(delivery, |delivery, line| delivery.forwarded(*line)))
    } else {
        let delivery = lines.iter().fold(delivery, |delivery, line| delivery.forwarded(*line));
        (by_forwarded, others.iter().fold(delivery, |delivery, line| delivery.forwarded_for(*line)))
    };
    match door.accept(delivery) {
        Ok(_) => true,
        Err(Refused::Source) => false,
        Err(other) => panic!("path and body are right, and it says: {other}"),
    }
}

fn hop(header: ProxyHeader, address: &str) -> Vec<u8> {
    match header {
        ProxyHeader::XForwardedFor => address.into(),
        _ if address.contains(':') => format!(r#"proto=https;for="[{address}]:4711""#).into(),
        _ => format!("for={address}").into(),
    }
}

fn other(header: ProxyHeader) -> ProxyHeader {
    match header {
        ProxyHeader::XForwardedFor => ProxyHeader::Forwarded,
        _ => ProxyHeader::XForwardedFor,
    }
}

fn followed<'l>(lines: &[&'l [u8]], last: &'l [u8]) -> Vec<&'l [u8]> {
    lines.iter().copied().chain([last]).collect()
}

fn joined(lines: &[&[u8]], last: &[u8]) -> Vec<u8> {
    followed(lines, last).join(&b", "[..])
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
