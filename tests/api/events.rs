//! Every fixture through the one parser for everything inbound, and what it concludes: no more than the parser of its kind.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use daraja::{
    B2cOutcome, B2cResult, StkCallback, StkOutcome,
    c2b::C2bNotice,
    webhook::{
        Event,
        EventKind::{
            self, C2b, C2bConfirmation, C2bValidation, Payout, PayoutTimeout, Question, QuestionTimeout, QueueTimeout,
            Result as Answer, Stk, Unknown,
        },
    },
};

use crate::support::{CREDENTIAL, fixtures};

/// What a folder's fixtures are taken for; `None`: not taken at all.
struct Folder {
    name: &'static str,
    rest: Option<EventKind>,
    /// Beginnings of names, the first that fits decides.
    exceptions: &'static [(&'static str, Option<EventKind>)],
    /// How many there are, so that a new one asks for its verdict.
    count: usize,
}

const FOLDERS: [Folder; 9] = [
    Folder {
        name: "stk/callback",
        rest: Some(Stk),
        exceptions: &[
            ("refused_html", None),
            ("refused_cut_short", None),
            ("refused_two_documents", None),
            ("refused_", Some(Unknown)),
        ],
        count: 77,
    },
    Folder { name: "b2c/result", rest: Some(Answer), exceptions: &[], count: 106 },
    Folder { name: "status/result", rest: Some(Answer), exceptions: &[], count: 47 },
    Folder { name: "balance/result", rest: Some(Answer), exceptions: &[], count: 28 },
    Folder { name: "reversal/result", rest: Some(Answer), exceptions: &[], count: 41 },
    Folder {
        name: "queue_timeout",
        rest: Some(QueueTimeout),
        exceptions: &[
            // Only its URL could tell that it is none.
            ("envelope_whole", Some(Answer)),
            ("envelope_with_a_zero_and_a_receipt", Some(Answer)),
            ("envelope_inner_object_alone", Some(Answer)),
            ("envelope_without_ids", Some(Answer)),
            ("ids_none", Some(Unknown)),
            ("refused_list", Some(Unknown)),
            ("refused_envelope_is_a_list", Some(Unknown)),
            ("refused_", None),
        ],
        count: 23,
    },
    Folder {
        name: "refused_result",
        rest: Some(Unknown),
        exceptions: &[
            ("no_code", Some(QueueTimeout)),
            ("cut_short", None),
            ("empty_object", Some(Unknown)),
            ("empty_code", Some(Unknown)),
            ("empty", None),
            ("html", None),
            ("two_documents", None),
        ],
        count: 18,
    },
    Folder {
        name: "c2b",
        rest: Some(C2b),
        exceptions: &[("refused_receipt_", Some(Unknown)), ("refused_list", Some(Unknown)), ("refused_", None)],
        count: 49,
    },
    Folder { name: "other_callback", rest: Some(Unknown), exceptions: &[("refused_", None)], count: 15 },
];

impl Folder {
    fn verdict(&self, name: &str) -> Option<EventKind> {
        let exception = self.exceptions.iter().find(|(start, _)| name.starts_with(start));
        exception.map_or(self.rest, |(_, verdict)| *verdict)
    }
}

fn everything() -> Vec<(&'static Folder, String, Vec<u8>)> {
    let all = FOLDERS.iter().flat_map(|folder| {
        fixtures(folder.name).into_iter().map(move |(name, body)| (folder, format!("{}/{name}", folder.name), body))
    });
    all.collect()
}

fn by_name(path: &str) -> Vec<u8> {
    everything().into_iter().find(|(_, name, _)| name == path).unwrap().2
}

fn event(path: &str) -> Event {
    Event::parse(&by_name(path)).unwrap()
}

/// Whether somebody could take an event for money that moved.
fn is_paid(event: &Event) -> bool {
    match event {
        Event::Stk(callback) => matches!(callback.outcome, StkOutcome::Paid(_)),
        Event::Result(result) => result.b2c().is_some_and(|result| matches!(result.outcome, B2cOutcome::Paid(_))),
        Event::C2b(notice) => notice.proof().is_some(),
        _ => false,
    }
}

#[test]
fn every_fixture_is_taken_for_what_it_is() {
    for folder in &FOLDERS {
        let read = fixtures(folder.name);
        assert_eq!(read.len(), folder.count, "{}: a new fixture needs a verdict", folder.name);
        for (name, body) in read {
            let kind = Event::parse(&body).ok().map(|event| event.kind());
            assert_eq!(kind, folder.verdict(&name), "{}/{name}", folder.name);
        }
    }
}

#[test]
fn no_folder_of_callbacks_is_left_out() {
    let listed: Vec<&str> = FOLDERS.iter().map(|folder| folder.name).chain(["stk/query"]).collect();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = folder.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                assert!(listed.contains(&name.as_str()), "{name} is not in the table");
            }
        }
    }
}

#[test]
fn paid_is_concluded_where_the_fixtures_name_says_so_and_nowhere_else() {
    for (folder, name, body) in everything() {
        let Ok(event) = Event::parse(&body) else { continue };
        let expected = match folder.name {
            "stk/callback" | "b2c/result" => name.contains("/paid_"),
            // A success that came to the timeout URL: its receiver knows the URL, and this parser does not.
            "queue_timeout" => name.ends_with("envelope_with_a_zero_and_a_receipt"),
            _ => false,
        };
        assert_eq!(is_paid(&event), expected, "{name}");
        let typed = match folder.name {
            "stk/callback" => StkCallback::parse(&body).is_ok_and(|read| matches!(read.outcome, StkOutcome::Paid(_))),
            "b2c/result" => B2cResult::parse(&body).is_ok_and(|read| matches!(read.outcome, B2cOutcome::Paid(_))),
            _ => continue,
        };
        assert_eq!(typed, expected, "{name}");
    }
}

#[test]
fn a_confirmation_proves_what_its_parser_says_and_no_other_kind_does() {
    for (folder, name, body) in everything() {
        let confirmed = Event::parse_as(C2bConfirmation, &body);
        let expected = folder.name == "c2b" && !name.contains("/unproven_") && !name.contains("/refused_");
        assert_eq!(confirmed.as_ref().is_ok_and(is_paid), expected, "{name}");
        assert_eq!(C2bNotice::confirmation(&body).is_ok_and(|notice| notice.proof().is_some()), expected, "{name}");
        for kind in [C2bValidation, C2b, QueueTimeout, Unknown] {
            assert!(!Event::parse_as(kind, &body).as_ref().is_ok_and(is_paid), "{name} as {kind}");
        }
    }
}

#[test]
fn a_stored_event_is_read_again_as_what_it_was() {
    for (_, name, body) in everything() {
        let Ok(event) = Event::parse(&body) else { continue };
        let kind: EventKind = event.kind().to_string().parse().unwrap();
        let again = Event::parse_as(kind, &body).unwrap();
        // Why it is unknown is not told twice.
        if kind != Unknown {
            assert_eq!(again, event, "{name}");
        }
        assert_eq!(again.kind(), kind, "{name}");
        assert_eq!(again.dedup_key(), event.dedup_key(), "{name}");
        for kind in [C2bValidation, C2bConfirmation, Payout, Question, PayoutTimeout, QuestionTimeout] {
            let event = Event::parse_as(kind, &body).unwrap();
            assert!([kind, Unknown].contains(&event.kind()), "{name}");
            let kind: EventKind = event.kind().to_string().parse().unwrap();
            let again = Event::parse_as(kind, &body).unwrap();
            assert_eq!((again.kind(), again.dedup_key()), (event.kind(), event.dedup_key()), "{name}");
            if kind != Unknown {
                assert_eq!(again, event, "{name}");
            }
        }
    }
    assert!("something-new".parse::<EventKind>().is_err());
    assert!("STK".parse::<EventKind>().is_err());
}

#[test]
fn what_is_not_known_is_kept_verbatim() {
    for (_, name, body) in everything() {
        let Ok(Event::Unknown(unknown)) = Event::parse(&body) else { continue };
        assert_eq!(unknown.raw(), std::str::from_utf8(&body).unwrap().trim(), "{name}");
        let looks_like_nothing = name.starts_with("other_callback/") && unknown.raw().starts_with('{')
            || [
                "stk/callback/refused_empty_object",
                "refused_result/empty_object",
                "c2b/refused_receipt_absent",
                "queue_timeout/ids_none",
            ]
            .contains(&name.as_str());
        assert_eq!(unknown.problem().is_none(), looks_like_nothing, "{name}: {:?}", unknown.problem());
    }
    let with_mark = "\u{feff}  {\"new\":\"254708374149\"} \n";
    let Event::Unknown(unknown) = Event::parse(with_mark.as_bytes()).unwrap() else { panic!() };
    assert_eq!(unknown.raw(), r#"{"new":"254708374149"}"#);
}

#[test]
fn no_debug_of_an_event_shows_a_number_a_name_or_a_credential() {
    for (_, name, body) in everything() {
        let kinds = [
            Stk,
            Payout,
            Question,
            Answer,
            PayoutTimeout,
            QuestionTimeout,
            QueueTimeout,
            C2bValidation,
            C2bConfirmation,
            C2b,
            Unknown,
        ];
        let read = kinds.into_iter().map(|kind| Event::parse_as(kind, &body)).chain([Event::parse(&body)]);
        for read in read {
            let shown = match read {
                Ok(event) => format!(
                    "{event:?} {:?} {:?} {:?}",
                    event.dedup_key(),
                    event.correlation(),
                    event.expect(&daraja::webhook::Expected::new(daraja::Kes::from_cents(1))),
                ),
                Err(error) => format!("{error} {error:?}"),
            };
            for hidden in ["708374149", "0000000001", CREDENTIAL, "YSBjcmVk", "c2Vj", "WANJIKU", "MFANO", "Mfano"] {
                assert!(!shown.contains(hidden), "{name}: {shown}");
            }
        }
    }
}

#[test]
fn what_looks_like_a_push_shows_no_name_either_when_it_cannot_be_read() {
    let body = br#"{"CheckoutRequestID":"ws CO","FirstName":"WANJIKU MFANO","SecurityCredential":"planted"}"#;
    let event = Event::parse(body).unwrap();
    assert_eq!(event.kind(), Unknown);
    let shown = format!("{event:?}");
    assert!(!shown.contains("WANJIKU") && !shown.contains("planted"), "{shown}");
}

#[test]
fn what_is_deep_or_large_is_refused_at_once() {
    let began = Instant::now();
    for deep in [
        format!("{}1{}", r#"{"Body":"#.repeat(7_000), "}".repeat(7_000)),
        format!(r#"{{"x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000)),
        "[".repeat(10_000),
        format!("{}1{}", r#"{"Result":"#.repeat(33), "}".repeat(33)),
    ] {
        let error = Event::parse(deep.as_bytes()).unwrap_err();
        assert!(error.problem().starts_with("is nested deeper than 32 levels"), "{error}");
        for kind in [Stk, Answer, QueueTimeout, C2bConfirmation, Unknown] {
            assert!(Event::parse_as(kind, deep.as_bytes()).is_err());
        }
    }
    let most = format!("{}1{}", r#"{"Body":"#.repeat(32), "}".repeat(32));
    assert_eq!(Event::parse(most.as_bytes()).unwrap().kind(), Unknown);
    // Brackets in a text are no levels.
    let text = format!(r#"{{"x":"{}\"{}"}}"#, "[".repeat(10_000), "{".repeat(10_000));
    assert_eq!(Event::parse(text.as_bytes()).unwrap().kind(), Unknown);

    let large = vec![b' '; 100_000_000];
    let began_large = Instant::now();
    assert!(Event::parse(&large).unwrap_err().to_string().contains("more than the 65536 that are read"));
    assert!(began_large.elapsed() < Duration::from_millis(100));
    let full = format!(r#"{{"x":"{}"}}"#, "x".repeat(65_536 - 8));
    assert_eq!(full.len(), 65_536);
    assert!(Event::parse(full.as_bytes()).is_ok());
    assert!(Event::parse(format!("{full} ").as_bytes()).is_err());
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn many_values_are_read_in_linear_time() {
    let items = r#"{"Key":"a","Value":1},"#.repeat(2_900);
    let body = format!(r#"{{"Result":{{"ResultCode":0,"ResultParameters":{{"ResultParameter":[{items}1]}}}}}}"#);
    assert!(body.len() < 65_536);
    let began = Instant::now();
    assert_eq!(Event::parse(body.as_bytes()).unwrap().kind(), Answer);
    assert!(began.elapsed() < Duration::from_secs(1));
}

// ---- The key by which the same news is known again.

#[test]
fn the_keys_are_stable() {
    for (path, key) in [
        ("stk/callback/paid_four_items", "receipt:UJ65WSR9W7"),
        ("stk/callback/failed_1032_cancelled", "stk:ws_CO_061020261702341254708374149:1032"),
        ("stk/callback/unproven_zero_without_receipt", "stk:ws_CO_061020261702341254708374149:0:unproven"),
        ("stk/callback/unproven_amount_unreadable", "stk:ws_CO_061020261702341254708374149:0:UJ65WSR9W7:unproven"),
        ("b2c/result/paid_whole", "result:supplier-7-invoice-1042:0:UJ65WSR9W7"),
        ("b2c/result/failed_1_insufficient", "result:supplier-7-invoice-1042:1"),
        ("b2c/result/unproven_zero_without_receipt", "result:supplier-7-invoice-1042:0:UJ65WSR9W7:unproven"),
        ("queue_timeout/echo_of_v3", "timeout:supplier-7-invoice-1042"),
        ("queue_timeout/ids_of_the_gateway_alone", "timeout:AG_20261006_20106e9209f64bebd05b"),
        ("c2b/whole", "c2b:UJ65WSR9W7"),
        ("other_callback/empty_object", "unknown:0880955dd2ab1be95aa0733055c655b5"),
    ] {
        assert_eq!(event(path).dedup_key().as_str(), key, "{path}");
    }
    let confirmation = Event::parse_as(C2bConfirmation, &by_name("c2b/whole")).unwrap();
    assert_eq!(confirmation.dedup_key().as_str(), "receipt:UJ65WSR9W7");
    assert_eq!(confirmation.dedup_key().as_ref(), "receipt:UJ65WSR9W7");
    let validation = Event::parse_as(C2bValidation, &by_name("c2b/whole")).unwrap();
    assert_eq!(validation.dedup_key().as_str(), "c2b-validation:UJ65WSR9W7");
}

#[test]
fn one_payment_told_twice_has_one_key_and_a_question_about_it_another() {
    let callback = event("stk/callback/paid_four_items").dedup_key();
    let read = |kind| Event::parse_as(kind, &by_name("c2b/spaces_around")).unwrap().dedup_key();
    assert_eq!(callback, read(C2bConfirmation));
    assert_ne!(callback, read(C2bValidation));
    assert_ne!(callback, read(C2b));
    assert_ne!(read(C2bValidation), read(C2b));
}

fn key(body: &str) -> String {
    Event::parse(body.as_bytes()).unwrap().dedup_key().to_string()
}

fn result(code: &str, transaction: &str, receipt: &str) -> String {
    let transaction =
        if transaction.is_empty() { String::new() } else { format!(r#""TransactionID":"{transaction}","#) };
    let parameters = if receipt.is_empty() {
        String::new()
    } else {
        format!(r#","ResultParameters":{{"ResultParameter":[{{"Key":"TransactionReceipt","Value":"{receipt}"}}]}}"#)
    };
    format!(r#"{{"Result":{{{transaction}"ResultCode":{code},"OriginatorConversationID":"own-1"{parameters}}}}}"#)
}

#[test]
fn different_news_have_different_keys() {
    let stk = |code: &str, receipt: &str| {
        format!(
            r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"ws_CO_1","ResultCode":{code},"CallbackMetadata":
            {{"Item":[{{"Name":"MpesaReceiptNumber","Value":"{receipt}"}}]}}}}}}}}"#
        )
    };
    let all = [
        // Money that left twice under one id.
        result("0", "UJ65WSR9W7", "UJ65WSR9W7"),
        result("0", "UJ65WSR9W8", "UJ65WSR9W8"),
        result("0", "", "UJ65WSR9W5"),
        result("0", "", "UJ65WSR9W6"),
        // A zero without a receipt, and the receipt later.
        result("0", "", ""),
        result("1", "UJ60000000", ""),
        result("2001", "UJ60000000", ""),
        // A failure, and one that holds a receipt: the second asks for a person.
        stk("1032", ""),
        stk("1032", "UJ65WSR9W7"),
        stk("1037", ""),
        stk("0", ""),
        stk("0", "UJ65WSR9W7"),
        // Results and timeouts that name nothing.
        r#"{"Result":{"ResultCode":1}}"#.to_owned(),
        r#"{"Result":{"ResultCode":1,"ResultDesc":"other words"}}"#.to_owned(),
        r#"{"CommandID":"BusinessPayment","Amount":10}"#.to_owned(),
        r#"{"CommandID":"BusinessPayment","Amount":11}"#.to_owned(),
        r#"{"new":1}"#.to_owned(),
        r#"{"new":2}"#.to_owned(),
    ];
    let mut seen = BTreeMap::new();
    for body in &all {
        if let Some(other) = seen.insert(key(body), body) {
            panic!("{body} has the key of {other}");
        }
    }
}

#[test]
fn a_result_without_wrapping_and_ids_is_known_by_its_parameters() {
    let body = br#"{"ResultCode":0,"ResultParameters":{"ResultParameter":[]}}"#;
    assert_eq!(Event::parse(body).unwrap().kind(), Answer);
}

#[test]
fn confirmations_without_a_receipt_do_not_share_a_key() {
    let confirmation = |id: &str, amount: u32| {
        let body = format!(r#"{{"TransID":"{id}","TransAmount":"{amount}.00"}}"#);
        Event::parse_as(C2bConfirmation, body.as_bytes()).unwrap().dedup_key()
    };
    for id in ["0", "UJ60000000"] {
        assert_ne!(confirmation(id, 5), confirmation(id, 6), "{id}");
        assert_eq!(confirmation(id, 5), confirmation(id, 5), "{id}");
    }
    assert_eq!(confirmation("UJ65WSR9W7", 5), confirmation("UJ65WSR9W7", 6));
}

#[test]
fn a_key_fits_a_column_of_240_characters() {
    // The longest ids, codes and references that there are, and nearly the longest.
    for less in [0, 1, 60] {
        let id = "x".repeat(128 - less);
        let code = "9".repeat(80 - less);
        let result = |code: &str, transaction: &str| {
            format!(
                r#"{{"Result":{{"OriginatorConversationID":"{id}","ResultCode":"{code}","TransactionID":"{transaction}"}}}}"#
            )
        };
        let zero = result("0", &format!("U{}", "J".repeat(31)));
        let timeout = format!(r#"{{"CommandID":"x","OriginatorConversationID":"{id}"}}"#);
        for (kind, body) in [
            (Stk, format!(r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"{id}","ResultCode":"{code}"}}}}}}"#)),
            (Answer, result(&code, "UJ65WSR9W7")),
            (Payout, result(&code, "UJ65WSR9W7")),
            (Question, result(&code, "UJ65WSR9W7")),
            (Payout, result(&"é".repeat(80), "")),
            (Payout, zero.clone()),
            (Question, zero),
            (QueueTimeout, timeout.clone()),
            (QuestionTimeout, timeout),
        ] {
            let event = Event::parse_as(kind, body.as_bytes()).unwrap();
            assert_eq!(event.kind(), kind, "{body}");
            let keys = ["a".repeat(64), "b".repeat(64), "a".repeat(63), "a".to_owned(), "a".repeat(1_000)]
                .map(|reference| event.dedup_key_at(reference).to_string());
            for key in keys.iter().chain([&event.dedup_key().to_string()]) {
                assert!(key.chars().count() <= 240, "{} characters: {key}", key.chars().count());
                assert!(key.contains(kind.as_str()), "{key}");
            }
            // What is cut is digested, so that no two are the same.
            let all: BTreeSet<_> = keys.iter().collect();
            assert_eq!(all.len(), keys.len(), "{keys:?}");
        }
    }
}

#[test]
fn an_event_is_looked_up_by_the_ids_that_it_names() {
    for (path, checkout, own, gateway, receipt) in [
        ("stk/callback/paid_four_items", Some("ws_CO_061020261702341254708374149"), None, None, Some("UJ65WSR9W7")),
        ("stk/callback/failed_1032_cancelled", Some("ws_CO_061020261702341254708374149"), None, None, None),
        ("stk/callback/unproven_zero_without_receipt", Some("ws_CO_061020261702341254708374149"), None, None, None),
        (
            "b2c/result/paid_whole",
            None,
            Some("supplier-7-invoice-1042"),
            Some("AG_20261006_20106e9209f64bebd05b"),
            None,
        ),
        ("b2c/result/paid_without_ids", None, None, None, None),
        ("queue_timeout/ids_own_alone", None, Some("supplier-7-invoice-1042"), None, None),
        ("c2b/whole", None, None, None, None),
        ("other_callback/b2b_express_paid", None, None, None, None),
    ] {
        let event = event(path);
        let ids = event.correlation();
        assert_eq!(ids.checkout_request_id.map(AsRef::as_ref), checkout, "{path}");
        assert_eq!(ids.originator_conversation_id.map(AsRef::as_ref), own, "{path}");
        assert_eq!(ids.conversation_id.map(AsRef::as_ref), gateway, "{path}");
        assert_eq!(ids.receipt.map(|receipt| receipt.to_string()).as_deref(), receipt, "{path}");
    }
    let confirmation = Event::parse_as(C2bConfirmation, &by_name("c2b/whole")).unwrap();
    assert_eq!(confirmation.correlation().receipt.unwrap().as_str(), "UJ65WSR9W7");
}

#[test]
fn unknown_keys_of_known_names_do_not_hide_a_payment() {
    let callback = r#"{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":0,
        "CallbackMetadata":{"Item":[{"Name":"MpesaReceiptNumber","Value":"UJ65WSR9W7"}]}}}"#;
    for wrapping in
        [format!(r#"{{"Result":"OK","Body":{callback}}}"#), format!(r#"{{"Body":{callback},"Result":null}}"#)]
    {
        let event = Event::parse(wrapping.as_bytes()).unwrap();
        assert!(is_paid(&event), "{event:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic_the_parser(body in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        drop(Event::parse(&body));
    }

    #[test]
    fn a_fixture_with_a_byte_changed_is_never_paid_without_a_receipt(
        index in 0_usize..380, at in 0_usize..2_000, byte in proptest::num::u8::ANY,
    ) {
        let (_, name, mut body) = everything().swap_remove(index);
        if let Some(length) = std::num::NonZeroUsize::new(body.len()) {
            body[at % length] = byte;
        }
        for kind in [None, Some(C2bConfirmation), Some(QueueTimeout), Some(Answer)] {
            let read = kind.map_or_else(|| Event::parse(&body), |kind| Event::parse_as(kind, &body));
            let Ok(event) = read else { continue };
            let _ = (event.dedup_key(), format!("{event:?}"));
            if is_paid(&event) {
                let text = String::from_utf8_lossy(&body).into_owned();
                proptest::prop_assert!(text.contains("UJ6") || text.contains("5WSR9W7"), "{}", name);
            }
        }
    }
}

#[test]
fn each_url_has_keys_of_its_own() {
    let key =
        |kind, body: &str, reference: &str| Event::parse_as(kind, body.as_bytes()).unwrap().dedup_key_at(reference);
    for (kind, body) in [
        (QueueTimeout, "{}"),
        (Answer, r#"{"Result":{"ResultCode":2001}}"#),
        (Unknown, "{}"),
        (C2bConfirmation, r#"{"TransID":"0"}"#),
        (QueueTimeout, r#"{"ConversationID":"AG_1"}"#),
        (Payout, r#"{"Result":{"ResultCode":2001,"ConversationID":"AG_1"}}"#),
        (C2bConfirmation, r#"{"TransID":"UJ65WSR9W7"}"#),
        (Stk, r#"{"CheckoutRequestID":"ws_CO_1","ResultCode":1032}"#),
    ] {
        assert_ne!(key(kind, body, "a"), key(kind, body, "b"), "{body}");
        assert_eq!(key(kind, body, "a"), key(kind, body, "a"), "{body}");
        let read = Event::parse_as(kind, body.as_bytes()).unwrap();
        assert_eq!(key(kind, body, "a").to_string(), format!("a {}", read.dedup_key()));
        // Where it is settled, the URL does not matter.
        assert_eq!(read.dedup_key(), Event::parse_as(kind, body.as_bytes()).unwrap().dedup_key(), "{body}");
    }
}

#[test]
fn the_same_body_at_the_url_of_another_purpose_has_another_key() {
    for body in [
        r#"{"Result":{"ResultCode":1,"OriginatorConversationID":"own-1"}}"#.to_owned(),
        result("0", "UJ65WSR9W7", "UJ65WSR9W7"),
        result("0", "UJ65WSR9W7", ""),
    ] {
        let keys: BTreeSet<_> = [Payout, Question, Answer, PayoutTimeout, QuestionTimeout, QueueTimeout]
            .map(|kind| Event::parse_as(kind, body.as_bytes()).unwrap().dedup_key())
            .into();
        assert_eq!(keys.len(), 6, "{body}: {keys:?}");
    }
}

#[test]
fn what_proves_nothing_does_not_use_up_the_key_of_what_proves_it() {
    let parameters = |all: &[(&str, &str)]| {
        let all: Vec<_> = all.iter().map(|(key, value)| format!(r#"{{"Key":"{key}","Value":"{value}"}}"#)).collect();
        format!(
            r#"{{"Result":{{"ResultCode":0,"OriginatorConversationID":"own-1","TransactionID":"UJ65WSR9W7",
            "ResultParameters":{{"ResultParameter":[{}]}}}}}}"#,
            all.join(",")
        )
    };
    let failure = |receipt: &str| result("1", "", receipt);
    let completed = ("TransactionStatus", "Completed");
    for (kind, proof, unproven) in [
        // A payout: without a receipt, with another one than the transaction's, with none that can be read.
        (Payout, result("0", "UJ65WSR9W7", "UJ65WSR9W7"), result("0", "UJ65WSR9W7", "")),
        (Payout, result("0", "UJ65WSR9W7", "UJ65WSR9W7"), result("0", "UJ65WSR9W7", "UJ65WSR9W8")),
        (Payout, result("0", "UJ65WSR9W7", "UJ65WSR9W7"), result("0", "UJ65WSR9W7", "0")),
        (Payout, result("0", "", "UJ65WSR9W7"), result("0", "UJ65WSR9W7", "")),
        (Payout, result("0", "", "UJ65WSR9W7"), result("0", "", "")),
        (Answer, result("0", "UJ65WSR9W7", "UJ65WSR9W7"), result("0", "UJ65WSR9W7", "")),
        // A failure, and one that holds a receipt: the second asks for a person.
        (Payout, failure(""), failure("UJ65WSR9W7")),
        // A reversal that does not name the payment.
        (Payout, parameters(&[("OriginalTransactionID", "UJ65WSR9W8")]), parameters(&[("OriginalTransactionID", "0")])),
        (Payout, parameters(&[("OriginalTransactionID", "UJ65WSR9W8")]), parameters(&[])),
        // A transaction that is not completed yet, and a balance without an account.
        (
            Question,
            parameters(&[completed, ("ReceiptNo", "UJ65WSR9W8")]),
            parameters(&[("TransactionStatus", "Pending"), ("ReceiptNo", "UJ65WSR9W8")]),
        ),
        (Question, parameters(&[completed, ("ReceiptNo", "UJ65WSR9W8")]), parameters(&[completed])),
        (
            Question,
            parameters(&[("AccountBalance", "Utility Account|KES|1.00|1.00|0.00|0.00")]),
            parameters(&[("AccountBalance", "?")]),
        ),
    ] {
        let key = |body: &str| Event::parse_as(kind, body.as_bytes()).unwrap().dedup_key().to_string();
        assert!(!key(&proof).contains("unproven"), "{}", key(&proof));
        assert!(key(&unproven).ends_with(":unproven"), "{}", key(&unproven));
        assert_ne!(key(&proof), key(&unproven));
    }
}
