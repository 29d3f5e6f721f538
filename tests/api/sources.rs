//! Where a delivery comes from, as its receiver judges it: directly, and through proxies.

use std::net::IpAddr;

use daraja::webhook::{Delivery, ProxyHeader, Receiver, Refused, SAFARICOM, SignedUrls, Sources};

const BODY: &[u8] = br#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":1032}}}"#;
const SAFARICOM_S: &str = "196.201.214.200";
const STRANGER: &str = "203.0.113.7";
const PROXY: &str = "10.0.0.1";

fn receiver(sources: Sources) -> Receiver {
    let base = "https://shop.example/daraja".parse().unwrap();
    Receiver::new(SignedUrls::new(base, "3b1e9c47d2a86f05c4e7b91d60a3f82e").unwrap()).sources(sources)
}

/// Whether a delivery with these headers is let in.
fn admits(sources: &Sources, peer: &str, headers: &[(&str, &str)]) -> bool {
    let receiver = receiver(sources.clone());
    let url = receiver.urls().stk(&"attempt-1042".parse().unwrap());
    let peer: Option<IpAddr> = (!peer.is_empty()).then(|| peer.parse().unwrap());
    let headers = headers.iter().map(|(name, value)| (*name, *value));
    match receiver.accept(Delivery::new(peer, url.path(), BODY).headers(headers)) {
        Ok(_) => true,
        Err(Refused::Source) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn the_published_addresses_are_let_in_and_their_neighbours_are_not() {
    let published = [
        "196.201.212.69",
        "196.201.212.74",
        "196.201.212.127",
        "196.201.212.128",
        "196.201.212.129",
        "196.201.212.132",
        "196.201.212.136",
        "196.201.212.138",
        "196.201.213.44",
        "196.201.213.114",
        "196.201.214.200",
        "196.201.214.206",
        "196.201.214.207",
        "196.201.214.208",
    ];
    assert_eq!(SAFARICOM.map(|address| address.to_string()), published);
    for third in 212_u8..=214 {
        for last in 0_u8..=255 {
            let address = format!("196.201.{third}.{last}");
            let expected = published.contains(&address.as_str());
            assert_eq!(admits(&Sources::safaricom(), &address, &[]), expected, "{address}");
            assert_eq!(admits(&Sources::default(), &format!("::ffff:{address}"), &[]), expected, "{address}");
        }
    }
    for stranger in [STRANGER, "::1", "127.0.0.1", "::196.201.214.200", "64:ff9b::196.201.214.200", "0.0.0.0", "::"] {
        assert!(!admits(&Sources::safaricom(), stranger, &[]), "{stranger}");
    }
}

#[test]
fn a_missing_address_is_refused_except_where_anyone_may_come() {
    let header = [("x-forwarded-for", SAFARICOM_S)];
    assert!(!admits(&Sources::safaricom(), "", &[]));
    assert!(!admits(&Sources::safaricom(), "", &header));
    assert!(!admits(&behind(ProxyHeader::XForwardedFor), "", &header));
    assert!(!admits(&Sources::only(["0.0.0.0/0", "::/0"]).unwrap(), "", &[]));
    assert!(admits(&Sources::anyone(), "", &[]));
    assert!(admits(&Sources::anyone().behind([PROXY], ProxyHeader::Forwarded).unwrap(), PROXY, &[]));
}

#[test]
fn headers_count_only_behind_a_proxy_that_is_named() {
    for name in ["x-forwarded-for", "X-Forwarded-For", "forwarded", "x-real-ip", "cf-connecting-ip"] {
        let value = if name == "forwarded" { "for=196.201.214.200" } else { SAFARICOM_S };
        assert!(!admits(&Sources::safaricom(), STRANGER, &[(name, value)]), "{name}");
        assert!(!admits(&behind(ProxyHeader::XForwardedFor), STRANGER, &[(name, value)]), "{name}");
        assert!(!admits(&behind(ProxyHeader::Forwarded), STRANGER, &[(name, value)]), "{name}");
    }
    // Safaricom itself, past the proxies: what it is said to forward for is not looked at.
    assert!(admits(&behind(ProxyHeader::XForwardedFor), SAFARICOM_S, &[("x-forwarded-for", STRANGER)]));
}

fn behind(header: ProxyHeader) -> Sources {
    Sources::safaricom().behind([PROXY, "10.1.0.0/16", "2001:db8:1::/48"], header).unwrap()
}

#[test]
fn the_hop_before_the_first_stranger_from_the_right_counts() {
    let sources = behind(ProxyHeader::XForwardedFor);
    for (lines, expected) in [
        (&[SAFARICOM_S][..], true),
        (&["196.201.214.200:52000"], true),
        (&["::ffff:196.201.214.200"], true),
        (&["[::ffff:196.201.214.200]"], true),
        (&["[::ffff:196.201.214.200]:52000"], true),
        (&["  196.201.214.200\t"], true),
        (&["203.0.113.7, 196.201.214.200"], true),
        (&["garbage, 196.201.214.200"], true),
        (&["196.201.214.200, 10.1.2.3"], true),
        (&["196.201.214.200, 10.1.2.3:80, 10.1.2.4"], true),
        (&["196.201.214.200, 2001:db8:1::9"], true),
        (&["196.201.214.200,[2001:db8:1::9]:443"], true),
        (&["203.0.113.7", SAFARICOM_S], true),
        (&["203.0.113.7", "196.201.214.200, 10.1.2.3"], true),
        // Spoofed: the client wrote Safaricom's address, the proxy the client's.
        (&["196.201.214.200, 203.0.113.7"], false),
        (&["196.201.214.200", "203.0.113.7"], false),
        (&["196.201.214.200, 203.0.113.7, 10.1.2.3"], false),
        (&["196.201.214.200, 196.201.214.200, 203.0.113.7"], false),
        (&["10.1.2.3, 196.201.214.200, 203.0.113.7"], false),
        // What cannot be read ends the search: it may be a stranger.
        (&["196.201.214.200, unknown"], false),
        (&["196.201.214.200, unknown, 10.1.2.3"], false),
        (&["196.201.214.200, _hidden"], false),
        (&["196.201.214.200, "], false),
        (&["196.201.214.200,,10.1.2.3"], false),
        (&["196.201.214.200", ""], false),
        (&["196.201.214.200 10.1.2.3"], false),
        (&["196.201.214.200;10.1.2.3"], false),
        (&["\"196.201.214.200\""], false),
        (&["for=196.201.214.200"], false),
        (&["[196.201.214.200]"], false),
        (&["196.201.214.200:"], false),
        (&["196.201.214.200:port"], false),
        (&["196.201.214.200:99999"], false),
        (&["196.201.214.0200"], false),
        (&["3301562056"], false),
        (&["0xc4c9d6c8"], false),
        (&["196.201.54984"], false),
        (&["[::ffff:196.201.214.200"], false),
        (&["196.201.214.200%eth0"], false),
        (&["safaricom.co.ke"], false),
        // Nobody, or proxies only.
        (&[], false),
        (&[""], false),
        (&["10.1.2.3, 10.0.0.1"], false),
    ] {
        let headers: Vec<_> = lines.iter().map(|line| ("X-Forwarded-For", *line)).collect();
        assert_eq!(admits(&sources, PROXY, &headers), expected, "{lines:?}");
        assert_eq!(admits(&sources, "::ffff:10.0.0.1", &headers), expected, "{lines:?}");
        // The other header is anybody's.
        let mut spoofed = headers;
        spoofed.push(("Forwarded", "for=196.201.214.200"));
        assert_eq!(admits(&sources, PROXY, &spoofed), expected, "{lines:?}");
    }
}

#[test]
fn the_standard_header_is_read_with_its_quotes_and_brackets() {
    let sources = behind(ProxyHeader::Forwarded);
    for (lines, expected) in [
        (&["for=196.201.214.200"][..], true),
        (&["For=196.201.214.200;proto=https;by=10.0.0.1"], true),
        (&["proto=https ; for = 196.201.214.200"], true),
        (&["for=\"196.201.214.200:52000\""], true),
        (&["for=\"[::ffff:196.201.214.200]:52000\""], true),
        (&["for=203.0.113.7, for=196.201.214.200"], true),
        (&["for=203.0.113.7", "for=196.201.214.200"], true),
        (&["for=196.201.214.200, for=\"[2001:db8:1::9]\";by=_x"], true),
        (&["host=\"a,b;for=203.0.113.7\";for=196.201.214.200"], true),
        (&["for=196.201.214.200;ext=\"a\\\"b\""], true),
        // Spoofed.
        (&["for=196.201.214.200, for=203.0.113.7"], false),
        (&["for=196.201.214.200", "for=203.0.113.7"], false),
        (&["for=203.0.113.7;for=196.201.214.200"], false),
        (&["for=196.201.214.200;For=196.201.214.200"], false),
        (&["for=unknown;for=196.201.214.200"], false),
        (&["host=\"x;for=196.201.214.200\""], false),
        (&["for=203.0.113.7;host=\"x, for=196.201.214.200\""], false),
        // An open quote of the client's must not swallow what the proxy wrote.
        (&["for=196.201.214.200;host=\"", "for=203.0.113.7"], false),
        (&["for=196.201.214.200;host=\"", "for=\"203.0.113.7\""], false),
        (&["for=196.201.214.200;host=\"\\", "for=\"203.0.113.7\""], false),
        (&["for=196.201.214.200;host=\", for=\"[2001:db8::7]\";x=\""], false),
        (&["for=196.201.214.200;x=\", for=203.0.113.7;host=\"a\"b\""], false),
        (&["for=196.201.214.200;x\"=, for=203.0.113.7;\"y"], false),
        (&["for=196.201.214.200;\", for=203.0.113.7;\"y"], false),
        // Unknown, hidden, malformed.
        (&["for=196.201.214.200, for=unknown"], false),
        (&["for=196.201.214.200, for=_hidden"], false),
        (&["for=196.201.214.200, for=\"_hidden\""], false),
        (&["for=196.201.214.200, by=10.0.0.1"], false),
        (&["for=196.201.214.200, proto=https"], false),
        (&["for=196.201.214.200,"], false),
        (&["for=\"196.201.214.200"], false),
        (&["for=196.201.214.200\""], false),
        (&["196.201.214.200"], false),
        (&["for"], false),
        (&["for="], false),
        (&[], false),
        (&["for=10.1.2.3"], false),
    ] {
        let headers: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
        assert_eq!(admits(&sources, PROXY, &headers), expected, "{lines:?}");
        let mut spoofed = headers;
        spoofed.push(("X-Forwarded-For", SAFARICOM_S));
        assert_eq!(admits(&sources, PROXY, &spoofed), expected, "{lines:?}");
    }
}

#[test]
fn a_header_with_more_than_a_hundred_addresses_is_refused() {
    for (header, own, prefix) in
        [(ProxyHeader::XForwardedFor, "x-forwarded-for", ""), (ProxyHeader::Forwarded, "forwarded", "for=")]
    {
        for (proxies, expected) in [(0, true), (99, true), (100, false), (1_000, false)] {
            let hops = std::iter::once(SAFARICOM_S).chain(std::iter::repeat_n(PROXY, proxies));
            let line = hops.map(|hop| format!("{prefix}{hop}")).collect::<Vec<_>>().join(",");
            assert_eq!(admits(&behind(header), PROXY, &[(own, &line)]), expected, "{own}: {proxies} proxies");
        }
    }
}

/// Whom the application's other routes have to do with, whoever may deliver.
#[test]
fn the_client_of_a_request_is_told_by_the_same_rule_allowed_or_not() {
    let (mapped, forged) = ("::ffff:203.0.113.7", "198.51.100.1, 203.0.113.7, 10.1.2.3");
    for (sources, forwarded) in [
        (behind(ProxyHeader::XForwardedFor), false),
        (behind(ProxyHeader::Forwarded), true),
        (Sources::anyone().behind([PROXY, "10.1.0.0/16"], ProxyHeader::XForwardedFor).unwrap(), false),
    ] {
        for (peer, line, expected) in [
            (Some(STRANGER), "", Some(STRANGER)),
            (Some(mapped), "", Some(STRANGER)),
            (Some(STRANGER), SAFARICOM_S, Some(STRANGER)),
            (Some(PROXY), STRANGER, Some(STRANGER)),
            (Some(PROXY), SAFARICOM_S, Some(SAFARICOM_S)),
            (Some(PROXY), forged, Some(STRANGER)),
            (Some(PROXY), "203.0.113.7, unknown", None),
            (Some(PROXY), "", None),
            (None, STRANGER, None),
        ] {
            let for_each = line.split(", ").map(|hop| format!("for={hop}")).collect::<Vec<_>>().join(", ");
            let line = if forwarded { for_each.as_str() } else { line };
            let peer: Option<IpAddr> = peer.map(|peer| peer.parse().unwrap());
            let request = Delivery::new(peer, "/checkout", b"");
            // The other header is anybody's.
            let request = if forwarded {
                request.forwarded(line).forwarded_for("192.0.2.1")
            } else {
                request.forwarded_for(line).forwarded("for=192.0.2.1")
            };
            let expected: Option<IpAddr> = expected.map(|client| client.parse().unwrap());
            assert_eq!(receiver(sources.clone()).client_of(&request), expected, "{peer:?}: {line}");
        }
    }
    let direct = receiver(Sources::anyone());
    let stranger: IpAddr = STRANGER.parse().unwrap();
    let request = Delivery::new(stranger, "/checkout", b"").forwarded_for(SAFARICOM_S);
    assert_eq!(direct.client_of(&request), Some(stranger));
    assert_eq!(direct.client_of(&Delivery::new(None, "/checkout", b"")), None);
}

#[test]
fn a_header_that_is_no_text_is_not_looked_into() {
    let receiver = receiver(behind(ProxyHeader::XForwardedFor));
    let url = receiver.urls().stk(&"attempt-1042".parse().unwrap());
    let proxy: IpAddr = PROXY.parse().unwrap();
    let lines: [(&[u8], Option<Refused>); 3] = [
        (b"\xff, 196.201.214.200", Some(Refused::Source)),
        (b"196.201.214.200\xff", Some(Refused::Source)),
        (b"196.201.214.200", None),
    ];
    for (line, refused) in lines {
        let delivery = Delivery::new(proxy, url.path(), BODY).forwarded_for(line);
        assert_eq!(receiver.accept(delivery).err(), refused);
    }
}

#[test]
fn lists_are_networks_and_addresses_of_either_kind() {
    let two = Sources::only(["192.0.2.0/24", " 2001:db8::/32 "]).unwrap();
    for (address, expected) in [
        ("192.0.2.0", true),
        ("192.0.2.255", true),
        ("::ffff:192.0.2.9", true),
        ("192.0.3.0", false),
        ("2001:db8:ffff::1", true),
        ("2001:db9::1", false),
        (SAFARICOM_S, false),
    ] {
        assert_eq!(admits(&two, address, &[]), expected, "{address}");
    }
    for mapped in ["::ffff:192.0.2.0/120", "::ffff:192.0.2.9"] {
        assert!(admits(&Sources::only([mapped]).unwrap(), "192.0.2.9", &[]), "{mapped}");
    }
    assert!(admits(&Sources::safaricom().and([STRANGER]).unwrap(), STRANGER, &[]));
    assert!(admits(&Sources::safaricom().and([STRANGER]).unwrap(), SAFARICOM_S, &[]));
    assert!(!admits(&Sources::only(Vec::<&str>::new()).unwrap(), SAFARICOM_S, &[]));
    for wrong in ["", "10.0.0.0/33", "10.0.0", "localhost", "10.0.0.1:80", "10.0.0.1-10.0.0.9", "::/129", "10.0.0.0/-1"]
    {
        assert!(Sources::only([wrong]).is_err(), "{wrong}");
        assert!(Sources::safaricom().and([wrong]).is_err(), "{wrong}");
        assert!(Sources::safaricom().behind([wrong], ProxyHeader::Forwarded).is_err(), "{wrong}");
    }
}

#[test]
fn long_headers_cost_little() {
    let long = "196.201.214.200,".repeat(20_000);
    let quotes = "for=\"a\\\"b\";".repeat(20_000);
    let began = std::time::Instant::now();
    assert!(!admits(&behind(ProxyHeader::XForwardedFor), PROXY, &[("x-forwarded-for", &long)]));
    assert!(!admits(&behind(ProxyHeader::Forwarded), PROXY, &[("forwarded", &quotes)]));
    assert!(began.elapsed() < std::time::Duration::from_secs(2));
}

proptest::proptest! {
    #[test]
    fn no_header_panics_or_lets_a_stranger_in(
        client in "[ -~]{0,60}", lines in proptest::collection::vec("[ -~]{0,40}", 0..3),
    ) {
        // Whatever the client wrote, in however many lines: the proxy appends whom it speaks for.
        let mut headers: Vec<(&str, String)> = lines.iter().map(|line| ("x-forwarded-for", line.clone())).collect();
        headers.push(("x-forwarded-for", format!("{client}, {STRANGER}")));
        let borrowed: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        proptest::prop_assert!(!admits(&behind(ProxyHeader::XForwardedFor), PROXY, &borrowed));

        let mut headers: Vec<(&str, String)> = lines.iter().map(|line| ("forwarded", line.clone())).collect();
        headers.push(("forwarded", format!("{client}, for=\"[2001:db8::7]:47011\";by=\"_proxy\"")));
        let borrowed: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        proptest::prop_assert!(!admits(&behind(ProxyHeader::Forwarded), PROXY, &borrowed));
    }
}
