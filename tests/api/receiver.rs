//! The one door: each refusal and its status, each URL and what may come to it, and the variables that set it up.

use std::{fmt::Write as _, net::IpAddr};

use daraja::{
    Kes, Settings,
    webhook::{
        Delivery, Event,
        EventKind::{
            self, C2bConfirmation, C2bValidation, Payout, PayoutTimeout, Question, QuestionTimeout, Stk, Unknown,
        },
        ProxyHeader, Receiver, Reference, Refused, SignedUrls, Sources,
    },
};
use url::Url;

use crate::{secrets::Log, support::CREDENTIAL};

const CALLBACK: &str = r#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":1032}}}"#;
const RESULT: &str = r#"{"Result":{"ResultCode":0,"OriginatorConversationID":"own-1","TransactionID":"UJ65WSR9W7",
    "ResultParameters":{"ResultParameter":[{"Key":"TransactionReceipt","Value":"UJ65WSR9W7"}]}}}"#;
const ECHO: &str =
    r#"{"CommandID":"BusinessPayment","SecurityCredential":"c2VjcmV0","OriginatorConversationID":"own-1"}"#;
const NOTICE: &str = r#"{"TransID":"UJ65WSR9W7","TransAmount":"500.00","BusinessShortCode":"600966"}"#;
const NEW: &str = r#"{"responseHeader":{"responseCode":"0"}}"#;

fn receiver() -> Receiver {
    let base = "https://shop.example/daraja".parse().unwrap();
    Receiver::new(SignedUrls::new(base, "3b1e9c47d2a86f05c4e7b91d60a3f82e").unwrap())
}

fn reference() -> Reference {
    "attempt-1042".parse().unwrap()
}

fn safaricom() -> IpAddr {
    "196.201.214.200".parse().unwrap()
}

fn urls() -> [(&'static str, Url); 7] {
    let (receiver, reference) = (receiver(), reference());
    let urls = receiver.urls();
    let (payout, question) = (urls.payout(&reference), urls.question(&reference));
    [
        ("stk", urls.stk(&reference)),
        ("payout", payout.result().clone()),
        ("payout-timeout", payout.timeout().clone()),
        ("question", question.result().clone()),
        ("question-timeout", question.timeout().clone()),
        ("validation", urls.c2b_validation(&reference)),
        ("confirmation", urls.c2b_confirmation(&reference)),
    ]
}

fn take(url: &Url, body: &str) -> Result<EventKind, Refused> {
    let (reference, event) = receiver().accept(Delivery::new(safaricom(), url.path(), body.as_bytes()))?;
    assert_eq!((reference.as_str(), reference.as_ref()), ("attempt-1042", "attempt-1042"));
    Ok(event.kind())
}

#[test]
fn each_url_takes_what_it_is_for_and_nothing_else() {
    const MISPLACED: Result<EventKind, Refused> = Err(Refused::Misplaced);
    let bodies = [CALLBACK, RESULT, ECHO, NOTICE, NEW, "{}", "[]", "null"];
    let unknown = Ok(Unknown);
    let table = [
        (
            "stk",
            [
                Ok(Stk),
                MISPLACED,
                MISPLACED,
                MISPLACED,
                unknown.clone(),
                unknown.clone(),
                unknown.clone(),
                unknown.clone(),
            ],
        ),
        // A request that comes back is a timeout, wherever.
        (
            "payout",
            [
                MISPLACED,
                Ok(Payout),
                Ok(PayoutTimeout),
                MISPLACED,
                unknown.clone(),
                unknown.clone(),
                unknown.clone(),
                unknown.clone(),
            ],
        ),
        // A timeout is one, whatever it looks like.
        ("payout-timeout", [(); 8].map(|()| Ok(PayoutTimeout))),
        (
            "question",
            [
                MISPLACED,
                Ok(Question),
                Ok(QuestionTimeout),
                MISPLACED,
                unknown.clone(),
                unknown.clone(),
                unknown.clone(),
                unknown.clone(),
            ],
        ),
        ("question-timeout", [(); 8].map(|()| Ok(QuestionTimeout))),
        // Not even what a notice proves is read elsewhere; and a notice is what its URL says.
        (
            "validation",
            [
                unknown.clone(),
                unknown.clone(),
                unknown.clone(),
                Ok(C2bValidation),
                unknown.clone(),
                unknown.clone(),
                unknown.clone(),
                unknown.clone(),
            ],
        ),
        (
            "confirmation",
            [
                unknown.clone(),
                unknown.clone(),
                unknown.clone(),
                Ok(C2bConfirmation),
                unknown.clone(),
                unknown.clone(),
                unknown.clone(),
                unknown,
            ],
        ),
    ];
    assert_eq!(table.len(), urls().len());
    for ((name, url), (purpose, verdicts)) in urls().iter().zip(table) {
        assert_eq!(*name, purpose);
        for (body, verdict) in bodies.into_iter().zip(verdicts) {
            assert_eq!(take(url, body), verdict, "{body} at {name}");
        }
    }
}

#[test]
fn a_success_at_the_timeout_url_is_no_result_and_a_payment_at_the_validation_url_is_no_payment() {
    let [_, _, (_, timeout), _, _, (_, validation), (_, confirmation)] = urls();
    let read =
        |url: &Url, body: &str| receiver().accept(Delivery::new(safaricom(), url.path(), body.as_bytes())).unwrap().1;
    let Event::QueueTimeout(read_at_timeout) = read(&timeout, RESULT) else { panic!() };
    assert_eq!(read_at_timeout.originator_conversation_id.unwrap().as_str(), "own-1");
    let Event::C2b(question) = read(&validation, NOTICE) else { panic!() };
    assert_eq!(question.proof(), None);
    let Event::C2b(payment) = read(&confirmation, NOTICE) else { panic!() };
    assert_eq!((payment.proof().unwrap().as_str(), payment.amount), ("UJ65WSR9W7", Some(Kes::from_cents(50_000))));
}

#[test]
fn what_came_to_the_timeout_url_keeps_no_credential_whatever_its_shape() {
    let [_, _, (_, timeout), ..] = urls();
    for body in [
        format!(r#"[{{"SecurityCredential":"{CREDENTIAL}"}}]"#),
        format!(r#"{{"Result":[],"SecurityCredential":"{CREDENTIAL}"}}"#),
        format!(r#"{{"Body":null,"SecurityCredential":"{CREDENTIAL}"}}"#),
        format!(r#""{CREDENTIAL}""#),
    ] {
        let delivery = Delivery::new(safaricom(), timeout.path(), body.as_bytes());
        let (_, event) = receiver().accept(delivery).unwrap();
        assert!(matches!(event, Event::QueueTimeout(_)), "{event:?}");
        // The same body is the same news, and another one is not.
        let key = |body: &str| Event::parse_as(PayoutTimeout, body.as_bytes()).unwrap().dedup_key();
        assert_eq!(event.dedup_key(), key(&body));
        assert_ne!(event.dedup_key(), key("[]"));
    }
}

#[test]
fn each_refusal_has_its_status_and_the_first_reason_counts() {
    let [(_, stk), ..] = urls();
    let good = stk.path().to_owned();
    let forged = good.replace("attempt-1042", "attempt-1043");
    let large = " ".repeat(65_537);
    let deep = "[".repeat(33);
    let deep_with_text = r#"["]","#.repeat(33);
    let stranger: IpAddr = "203.0.113.7".parse().unwrap();
    let peer = Some(safaricom());
    for (peer, path, body, status, words) in [
        (Some(stranger), &*good, CALLBACK, 403, "it came from an address that is not let in"),
        (None, &good, CALLBACK, 403, "it came from an address that is not let in"),
        (Some(stranger), "/nothing", &*large, 403, "it came from an address that is not let in"),
        (peer, "/nothing", CALLBACK, 404, "its path is not one of this receiver's URLs"),
        (peer, "", &large, 404, "its path is not one of this receiver's URLs"),
        (peer, &forged, CALLBACK, 404, "its path was not signed by us"),
        (peer, &forged, &large, 404, "its path was not signed by us"),
        (peer, &good, &large, 413, "its body is too large"),
        (peer, &good, "", 400, "the callback is empty"),
        (peer, &good, "<html>", 400, "the callback is not JSON (line 1, column 1)"),
        (peer, &good, &deep, 400, "the callback is nested deeper than 32 levels"),
        (peer, &good, &deep_with_text, 400, "the callback is nested deeper than 32 levels"),
        (peer, &good, RESULT, 400, "it is of another kind than its URL is for"),
        (peer, &good, NOTICE, 400, "it is of another kind than its URL is for"),
    ] {
        let refused = receiver().accept(Delivery::new(peer, path, body.as_bytes())).unwrap_err();
        assert_eq!((refused.status(), refused.to_string().as_str()), (status, words));
    }
    let not_text = receiver().accept(Delivery::new(peer, &good, b"\xff\xfe")).unwrap_err();
    assert_eq!(not_text.status(), 400);
}

#[test]
fn the_largest_body_that_is_read_is_taken_and_kept_as_it_came() {
    let [(_, stk), ..] = urls();
    let body = CALLBACK.to_owned() + &" ".repeat(65_536 - CALLBACK.len());
    assert_eq!(take(&stk, &body), Ok(Stk));
    assert_eq!(Delivery::new(safaricom(), stk.path(), body.as_bytes()).body(), body.as_bytes());
}

#[test]
fn the_log_has_the_addresses_of_a_refused_delivery() {
    let log = Log::of_all_tests();
    let sources = Sources::safaricom().behind(["10.9.8.1"], ProxyHeader::XForwardedFor).unwrap();
    let receiver = receiver().sources(sources);
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    for (peer, forwarded, addresses) in [
        // A proxy that is not named: what it writes is not believed, and nobody else is seen behind it.
        (Some(address("10.9.8.2")), "196.201.214.200", "peer=10.9.8.2 client=10.9.8.2"),
        (Some(address("10.9.8.1")), "198.51.100.78", "peer=10.9.8.1 client=198.51.100.78"),
        (Some(address("10.9.8.1")), "no address", "peer=10.9.8.1 client=unknown"),
        (None, "198.51.100.79", "peer=unknown client=unknown"),
    ] {
        let delivery = Delivery::new(peer, "/daraja/attempt-1042/0", b"").forwarded_for(forwarded);
        assert_eq!(receiver.accept(delivery), Err(Refused::Source));
        let line = format!(
            "delivery refused status=403 refused=it came from an address that is not let in {addresses} bytes=0"
        );
        assert!(log.text().contains(&line), "{line}");
    }
}

#[test]
fn neither_refusals_nor_the_log_hold_path_body_or_number() {
    let log = Log::of_all_tests();
    let base = "https://shop.example/path-planted-at-the-door".parse().unwrap();
    let receiver = Receiver::new(SignedUrls::new(base, "3b1e9c47d2a86f05c4e7b91d60a3f82e").unwrap());
    let good = receiver.urls().stk(&"planted-reference".parse().unwrap());
    let mac = good.as_str().rsplit('/').next().unwrap();
    let forged = good.path().replace(mac, &"0".repeat(64)).replace("planted-reference", "forged-reference-planted");
    let body =
        r#"{"Name":"NAME PLANTED AT THE DOOR","MSISDN":"254708374149","stkCallback":{"CheckoutRequestID":"ws CO"}}"#;
    let broken = &body[..body.len() - 2];
    let large = body.repeat(1_000);
    let mut shown = String::new();
    for (path, body) in [
        (good.path(), body),
        (good.path(), broken),
        (good.path(), RESULT),
        (good.path(), &large),
        (&*forged, body),
        ("/path-planted-at-the-door/somewhere", body),
    ] {
        let delivery = Delivery::new(safaricom(), path, body.as_bytes()).forwarded_for("198.51.100.77");
        write!(shown, "{delivery:?} {receiver:?}").unwrap();
        match receiver.accept(delivery) {
            Ok((_, event)) => write!(shown, "{event:?}").unwrap(),
            Err(refused) => write!(shown, "{refused} {refused:?}").unwrap(),
        }
    }
    let logged = log.text();
    assert!(logged.contains("delivery accepted reference=planted-reference kind=\"unknown\""));
    assert!(logged.contains("status=400 refused=it is of another kind than its URL is for"));
    for text in [&shown, &logged] {
        for hidden in ["path-planted-at-the-door", "NAME PLANTED", mac, "forged-reference-planted", "198.51.100.77"] {
            assert!(!text.contains(hidden), "{hidden}");
        }
    }
    assert!(!shown.contains("708374149"));
}

#[test]
fn only_the_headers_that_proxies_write_are_kept() {
    let sources = Sources::safaricom().behind(["127.0.0.1"], ProxyHeader::XForwardedFor).unwrap();
    let receiver = receiver().sources(sources);
    let [(_, stk), ..] = urls();
    let mut headers = http::HeaderMap::new();
    headers.append("x-forwarded-for", "203.0.113.7".parse().unwrap());
    headers.append("x-forwarded-for", "196.201.214.200".parse().unwrap());
    headers.append("x-real-ip", "203.0.113.7".parse().unwrap());
    let proxy: IpAddr = "127.0.0.1".parse().unwrap();
    assert!(receiver.accept(Delivery::new(proxy, stk.path(), CALLBACK.as_bytes()).headers(&headers)).is_ok());
    headers.append("X-Forwarded-For", "203.0.113.7".parse().unwrap());
    let refused = receiver.accept(Delivery::new(proxy, stk.path(), CALLBACK.as_bytes()).headers(&headers)).unwrap_err();
    assert_eq!(refused, Refused::Source);
}

// ---- The variables.

const SET: [(&str, &str); 2] = [
    ("MPESA_CALLBACK_URL", "https://shop.example/daraja"),
    ("MPESA_CALLBACK_SECRET", "3b1e9c47d2a86f05c4e7b91d60a3f82e"),
];

fn with(more: &[(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
    let mut all = SET.to_vec();
    all.extend(more);
    // The last one counts, so that one can be emptied.
    move |name| all.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

#[test]
fn every_problem_of_the_variables_is_told_with_its_name_and_without_its_value() {
    let needed = "MPESA_CALLBACK_URL: is missing: signed callback URLs begin with it";
    let secret = "MPESA_CALLBACK_SECRET: is missing: make one with `openssl rand -hex 32`";
    let short = "is wrong: 32 characters or more are expected, from a random generator";
    let network = "is wrong: an address such as 10.1.2.3 or a network such as 10.0.0.0/8 is expected";
    for (more, problems) in [
        (&[("MPESA_CALLBACK_URL", "")][..], vec![needed.to_owned()]),
        (&[("MPESA_CALLBACK_SECRET", " ")], vec![secret.to_owned()]),
        (&[("MPESA_CALLBACK_URL", ""), ("MPESA_CALLBACK_SECRET", "")], vec![needed.to_owned(), secret.to_owned()]),
        (&[("MPESA_CALLBACK_SECRET", "planted")], vec![format!("MPESA_CALLBACK_SECRET: {short}")]),
        (&[("MPESA_CALLBACK_SECRET_BEFORE", "planted")], vec![format!("MPESA_CALLBACK_SECRET_BEFORE: {short}")]),
        (
            &[("MPESA_CALLBACK_SECRET", "your_callback_secret_of_32_characters_or_more")],
            vec!["MPESA_CALLBACK_SECRET: still holds the placeholder of the guide".to_owned()],
        ),
        (
            &[("MPESA_CALLBACK_URL", "planted")],
            vec!["MPESA_CALLBACK_URL: is wrong: it does not begin with https://".to_owned()],
        ),
        (
            &[("MPESA_CALLBACK_URL", "ftp://shop.example/planted")],
            vec!["MPESA_CALLBACK_URL: is wrong: it must begin with https://".to_owned()],
        ),
        (
            &[("MPESA_B2C_RESULT_URL", "https://shop.example/planted?a=b")],
            vec!["MPESA_B2C_RESULT_URL: is wrong: it must hold no user name, no query and no fragment".to_owned()],
        ),
        (
            &[("MPESA_B2C_TIMEOUT_URL", "ftp://shop.example/planted")],
            vec!["MPESA_B2C_TIMEOUT_URL: is wrong: it must begin with https://".to_owned()],
        ),
        (&[("MPESA_CALLBACK_SOURCES", "planted")], vec![format!("MPESA_CALLBACK_SOURCES: {network}")]),
        (&[("MPESA_CALLBACK_SOURCES", "10.0.0.1,,10.0.0.2")], vec![format!("MPESA_CALLBACK_SOURCES: {network}")]),
        (&[("MPESA_CALLBACK_PROXIES", "10.0.0.0/33")], vec![format!("MPESA_CALLBACK_PROXIES: {network}")]),
        (
            &[("MPESA_CALLBACK_PROXY_HEADER", "x-real-ip")],
            vec!["MPESA_CALLBACK_PROXY_HEADER: is wrong: it must be x-forwarded-for or forwarded".to_owned()],
        ),
        (
            &[
                ("MPESA_CALLBACK_SECRET", "planted"),
                ("MPESA_CALLBACK_SOURCES", "planted"),
                ("MPESA_CALLBACK_PROXIES", "x"),
            ],
            vec![
                format!("MPESA_CALLBACK_SECRET: {short}"),
                format!("MPESA_CALLBACK_SOURCES: {network}"),
                format!("MPESA_CALLBACK_PROXIES: {network}"),
            ],
        ),
    ] {
        let error = Receiver::from_lookup(with(more)).unwrap_err();
        let told: Vec<String> =
            error.problems().iter().map(|problem| format!("{}: {}", problem.name, problem.problem)).collect();
        assert_eq!(told, problems, "{more:?}");
        assert!(!format!("{error} {error:?}").contains("planted"), "{error:?}");
    }
}

#[test]
fn where_a_base_has_moved_the_urls_of_the_one_before_are_taken() {
    let before = [
        ("MPESA_CALLBACK_URL", "https://old.example/daraja"),
        ("MPESA_B2C_RESULT_URL", "https://old.example/b2c/result"),
        ("MPESA_B2C_TIMEOUT_URL", "https://old.example/b2c/timeout"),
    ];
    let now = [
        ("MPESA_CALLBACK_URL", "https://shop.example/daraja"),
        ("MPESA_B2C_RESULT_URL", "https://shop.example/b2c/result"),
        ("MPESA_B2C_TIMEOUT_URL", "https://shop.example/b2c/timeout"),
    ];
    let older = Receiver::from_lookup(with(&before)).unwrap();
    let reference = reference();
    let paths = [
        older.urls().stk(&reference),
        older.urls().payout(&reference).result().clone(),
        older.urls().payout(&reference).timeout().clone(),
        older.urls().question(&reference).result().clone(),
        older.urls().c2b_confirmation(&reference),
    ];
    let taken = |pairs: &[(&'static str, &'static str)]| {
        let receiver = Receiver::from_lookup(with(pairs)).unwrap();
        paths.each_ref().map(|url| receiver.urls().verify(url.path()).is_ok())
    };
    assert_eq!(taken(&now), [false; 5]);
    let [stk, result, timeout] = before.map(|(_, base)| base);
    let all = [
        ("MPESA_CALLBACK_URL_BEFORE", stk),
        ("MPESA_B2C_RESULT_URL_BEFORE", result),
        ("MPESA_B2C_TIMEOUT_URL_BEFORE", timeout),
    ];
    assert_eq!(taken(&[now, all].concat()), [true; 5]);
    // What is not named has not changed.
    assert_eq!(taken(&[&now[..], &all[..1]].concat()), [true, false, false, true, true]);
    let [_, moved_result, _] = now;
    assert_eq!(taken(&[before[0], moved_result, before[2], all[1]]), [true; 5]);
    assert_eq!(taken(&[before[0], moved_result, before[2]]), [true, false, true, true, true]);
}

#[test]
fn the_variables_are_what_they_say() {
    let receiver = Receiver::from_lookup(with(&[
        ("MPESA_CALLBACK_URL", "https://shop.example/api/payments/callback"),
        ("MPESA_B2C_RESULT_URL", "https://shop.example/api/b2c/result"),
        ("MPESA_B2C_TIMEOUT_URL", "https://shop.example/api/b2c/timeout"),
        ("MPESA_CALLBACK_SECRET_BEFORE", "an older one, 32 characters or more too"),
        ("MPESA_CALLBACK_SOURCES", "192.0.2.1, 198.51.100.0/24"),
        ("MPESA_CALLBACK_PROXIES", "127.0.0.1"),
        ("MPESA_CALLBACK_PROXY_HEADER", "Forwarded"),
    ]))
    .unwrap();
    let urls = receiver.urls();
    for (url, start) in [
        (urls.stk(&reference()), "https://shop.example/api/payments/callback/attempt-1042/"),
        (urls.payout(&reference()).result().clone(), "https://shop.example/api/b2c/result/attempt-1042/"),
        (urls.payout(&reference()).timeout().clone(), "https://shop.example/api/b2c/timeout/attempt-1042/"),
        (
            urls.question(&reference()).result().clone(),
            "https://shop.example/api/payments/callback/question/attempt-1042/",
        ),
        (
            urls.question(&reference()).timeout().clone(),
            "https://shop.example/api/payments/callback/question-timeout/attempt-1042/",
        ),
        (urls.c2b_validation(&reference()), "https://shop.example/api/payments/callback/validation/attempt-1042/"),
    ] {
        assert!(url.as_str().starts_with(start), "{url}");
    }
    let proxy: IpAddr = "127.0.0.1".parse().unwrap();
    let path = "/api/payments/callback/attempt-1042/a4a8aa8654e1033427e249ce4185aab37bf06591af76c3a95b7b73faf6a6526c";
    for (forwarded, expected) in [("for=198.51.100.9", true), ("for=196.201.214.200", false)] {
        let delivery = Delivery::new(proxy, path, CALLBACK.as_bytes()).forwarded(forwarded);
        assert_eq!(receiver.accept(delivery).is_ok(), expected, "{forwarded}");
    }
    let usual = [("MPESA_CALLBACK_PROXIES", "127.0.0.1"), ("MPESA_CALLBACK_PROXY_HEADER", "X-Forwarded-For")];
    assert!(Receiver::from_lookup(with(&usual)).is_ok());
    let anyone = Receiver::from_lookup(with(&[("MPESA_CALLBACK_SOURCES", "Anyone")])).unwrap();
    let path = anyone.urls().stk(&reference());
    assert!(anyone.accept(Delivery::new(None, path.path(), CALLBACK.as_bytes())).is_ok());
}

#[test]
fn settings_hold_a_receiver_if_there_is_a_secret() {
    let base = [("MPESA_ENVIRONMENT", "sandbox"), ("MPESA_CONSUMER_KEY", "key"), ("MPESA_CONSUMER_SECRET", "secret")];
    let settings = Settings::from_lookup(with(&base)).unwrap();
    assert!(settings.receiver.required().is_ok());
    let mut without = base.to_vec();
    without.push(("MPESA_CALLBACK_SECRET", ""));
    let error = Settings::from_lookup(with(&without)).unwrap().receiver.required().unwrap_err();
    assert!(error.to_string().contains("MPESA_CALLBACK_SECRET"), "{error}");
    let mut short = base.to_vec();
    short.push(("MPESA_CALLBACK_SECRET", "planted"));
    let error = Settings::from_lookup(with(&short)).unwrap_err();
    assert_eq!(error.problems().len(), 1);
}
