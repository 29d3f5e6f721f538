//! Anything that is posted to a callback URL: it is read or refused, and what is concluded from it holds.
#![no_main]

use daraja::{
    Kes, StkOutcome,
    c2b::C2bStage,
    initiated::{RequestPurpose, ResultKind},
    webhook::{Event, EventKind, Expected, MAX_BODY_BYTES, Mismatch},
};
use libfuzzer_sys::fuzz_target;

mod quoted;

const KINDS: [EventKind; 11] = [
    EventKind::Stk,
    EventKind::Payout,
    EventKind::Question,
    EventKind::Result,
    EventKind::PayoutTimeout,
    EventKind::QuestionTimeout,
    EventKind::QueueTimeout,
    EventKind::C2bValidation,
    EventKind::C2bConfirmation,
    EventKind::C2b,
    EventKind::Unknown,
];

/// The payer of the fixtures.
const NUMBER: &str = "254708374149";

/// Values that are nearly right: receipts of nine characters, of another beginning, a dummy; and what nobody may see.
const VALUES: [&str; 6] = ["NLJ7RT61S", "1LJ7RT61SV", "NLJ0000000", "null", "NLJ7RT61SV", NUMBER];

fuzz_target!(|body: &[u8]| {
    read(body);
    let value = VALUES.into_iter().cycle().nth(body.len() & 7).expect("it goes round");
    if let Some(changed) = quoted::replaced(body, value) {
        read(&changed);
    }
});

fn read(body: &[u8]) {
    let recognised = Event::parse(body);
    for kind in KINDS {
        assert_eq!(kind.as_str().parse(), Ok(kind));
        let told = Event::parse_as(kind, body);
        // Whether a body can be read at all is not a matter of what it is taken for.
        assert_eq!(told.is_ok(), recognised.is_ok(), "{kind}: {told:?}, not {recognised:?}");
        if let Ok(event) = &told {
            assert!(event.kind() == kind || event.kind() == EventKind::Unknown, "{kind}: {event:?}");
            check(event);
        }
    }
    match &recognised {
        Ok(event) => {
            assert!(body.len() <= MAX_BODY_BYTES);
            check(event);
            stored(event, body);
        }
        Err(error) => assert!(!format!("{error:?} {error}").contains(NUMBER), "{error}"),
    }
}

/// What holds of every event.
fn check(event: &Event) {
    let key = event.dedup_key();
    assert_eq!(key, event.dedup_key());
    assert!(key.as_str().chars().count() <= 240, "{key}");
    assert!(key.as_str().contains(':'), "{key}");
    let longest = event.dedup_key_at("x".repeat(64));
    assert!(longest.as_str().chars().count() <= 240, "{longest}");
    assert_ne!(longest, key);
    let answer = event.ack();
    assert!(answer.as_str().starts_with(r#"{"ResultCode":"#), "{answer}");

    let shown = without_public(event, format!("{event:?}"));
    assert!(!shown.contains(NUMBER), "a number is shown by Debug");
    let expected = event.expect(&Expected::new(Kes::from_cents(100)));
    let tells_of_payments = matches!(event, Event::Stk(_) | Event::C2b(_));
    assert!(tells_of_payments || expected == Err(Mismatch::Request), "{event:?}");
    let receipt = event.correlation().receipt;
    assert_eq!(receipt.is_some(), is_payment(event), "{event:?}");
    if let Some(receipt) = receipt {
        let receipt = receipt.as_str();
        assert!(receipt.len() >= 10 && receipt.starts_with(|c: char| c.is_ascii_alphabetic()), "{receipt}");
        assert!(!receipt.ends_with("0000000"), "{receipt}");
        assert_eq!(key.as_str().strip_prefix("receipt:"), Some(receipt));
    }
    results(event);
}

/// An event that tells of money that came in.
fn is_payment(event: &Event) -> bool {
    match event {
        Event::Stk(callback) => matches!(callback.outcome, StkOutcome::Paid(_)),
        Event::C2b(notice) => notice.stage == C2bStage::Confirmation && notice.proof().is_some(),
        _ => false,
    }
}

/// A result is taken for one thing, or for any of its purpose while nothing speaks against it.
fn results(event: &Event) {
    let Event::Result(result) = event else { return };
    let taken = [
        result.b2c().map(|result| format!("{result:?}")),
        result.transaction_status().map(|result| format!("{result:?}")),
        result.account_balance().map(|result| format!("{result:?}")),
        result.reversal().map(|result| format!("{result:?}")),
    ];
    let count = taken.iter().flatten().count();
    let of_kind = result.kind().map(|kind| match kind {
        ResultKind::B2c | ResultKind::Reversal => RequestPurpose::Payout,
        _ => RequestPurpose::Question,
    });
    let expected = match (result.purpose(), of_kind) {
        (None, None) => 4,
        (Some(_), None) => 2,
        (None, Some(_)) => 1,
        (Some(purpose), Some(kind)) => usize::from(purpose == kind),
    };
    assert_eq!(count, expected, "{:?} for {:?}", result.kind(), result.purpose());
    assert!(!result.description().contains(NUMBER), "a number is in the words");
}

/// What a database keeps of an event is its kind and its body.
fn stored(event: &Event, body: &[u8]) {
    let again = Event::parse_as(event.kind(), body).expect("it was read before");
    assert_eq!(event.dedup_key(), again.dedup_key());
    match (event, &again) {
        // Why it was not taken for what it looks like is known to `parse` alone.
        (Event::Unknown(event), Event::Unknown(again)) => assert_eq!(event.raw(), again.raw()),
        _ => assert_eq!(event, &again),
    }
}

/// Ids of the gateway, receipts and amounts are shown as they are, and can spell anything.
fn without_public(event: &Event, shown: String) -> String {
    let mut public: Vec<String> = Vec::new();
    match event {
        Event::Stk(callback) => {
            public.extend(callback.merchant_request_id.as_ref().map(ToString::to_string));
            if let StkOutcome::Paid(payment) = &callback.outcome {
                public.push(payment.receipt.to_string());
                public.extend(payment.amount.map(|amount| amount.to_string()));
            }
        }
        Event::C2b(notice) => {
            public.push(notice.receipt.to_string());
            public.extend(notice.amount.map(|amount| amount.to_string()));
        }
        Event::Result(result) => {
            public.extend(result.conversation_id.as_ref().map(ToString::to_string));
            public.extend(result.originator_conversation_id.as_ref().map(ToString::to_string));
        }
        Event::QueueTimeout(timeout) => public.extend(timeout.conversation_id.as_ref().map(ToString::to_string)),
        _ => {}
    }
    public.iter().filter(|text| text.contains(NUMBER)).fold(shown, |shown, text| shown.replace(text.as_str(), ""))
}
