//! The file of events: what is stored is handed out until it is finished, whatever happens in between.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use daraja::webhook::{
    Entry, Event,
    EventKind::{
        self, C2bConfirmation, Payout, PayoutTimeout, Question, QuestionTimeout, QueueTimeout, Result as Answer, Stk,
        Unknown,
    },
    Finished, Journal, Unfinished,
};
use tempfile::TempDir;

use crate::support::{CREDENTIAL, fixtures};

/// A folder for one journal.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("callbacks.jsonl")
    }

    fn open(&self) -> (Journal, Unfinished) {
        Journal::open(self.path()).unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// What a program that starts now is given, in order.
    async fn given(&self) -> Vec<(String, EventKind)> {
        let (journal, mut unfinished) = self.open();
        journal.close().await.unwrap();
        let mut given = Vec::new();
        while let Some(entry) = unfinished.next().await {
            given.push((entry.reference().to_owned(), entry.event().kind()));
        }
        given
    }
}

fn failed(id: &str) -> String {
    format!(r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"{id}","ResultCode":1032}}}}}}"#)
}

const PAID: &str = r#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":0,"CallbackMetadata":{"Item":[
    {"Name":"Amount","Value":500},{"Name":"MpesaReceiptNumber","Value":"UJ65WSR9W7"}]}}}}"#;
const CONFIRMED: &str = r#"{"TransID":"UJ65WSR9W7","TransAmount":"500.00","MSISDN":"2547 ***** 149"}"#;

async fn store(journal: &Journal, reference: &str, kind: EventKind, body: &str) -> io::Result<()> {
    let event = Event::parse_as(kind, body.as_bytes()).unwrap();
    assert_eq!(event.kind(), kind, "{body}");
    journal.store(reference, &event, body.as_bytes()).await
}

async fn next(unfinished: &mut Unfinished) -> Option<Entry> {
    tokio::time::timeout(Duration::from_secs(20), unfinished.next())
        .await
        .expect("something to be handed out, or the end")
}

/// Whether nothing more is handed out, now that all has been written.
async fn is_empty(unfinished: &mut Unfinished) -> bool {
    tokio::time::timeout(Duration::from_millis(50), unfinished.next()).await.is_err()
}

#[tokio::test]
async fn what_is_stored_is_handed_out_until_it_is_finished() {
    let desk = Desk::new();
    let (journal, mut unfinished) = desk.open();
    for name in ["a", "b", "c"] {
        store(&journal, name, Stk, &failed(name)).await.unwrap();
    }
    for name in ["a", "b"] {
        let entry = next(&mut unfinished).await.unwrap();
        assert_eq!((entry.reference(), entry.event().kind()), (name, Stk));
        if name == "a" {
            assert_eq!(entry.finish(), Finished::First);
        }
    }
    // `b` was dropped, `c` was never taken.
    journal.close().await.unwrap();
    drop((journal, unfinished));
    let both = vec![("b".to_owned(), Stk), ("c".to_owned(), Stk)];
    assert_eq!(desk.given().await, both);
    assert_eq!(desk.given().await, both);
    let (journal, mut unfinished) = desk.open();
    for _ in 0..2 {
        assert_eq!(next(&mut unfinished).await.unwrap().finish(), Finished::First);
    }
    journal.close().await.unwrap();
    assert_eq!(desk.given().await, []);
}

#[tokio::test]
async fn every_kind_comes_back_after_a_restart_as_it_was() {
    let desk = Desk::new();
    let (journal, unfinished) = desk.open();
    let mut expected = Vec::new();
    for folder in ["stk/callback", "b2c/result", "status/result", "c2b", "queue_timeout", "other_callback"] {
        for (name, body) in fixtures(folder) {
            let Ok(event) = Event::parse(&body) else { continue };
            let reference = format!("{folder}/{name}");
            journal.store(&reference, &event, &body).await.unwrap();
            expected.push((reference, event));
        }
    }
    for (name, body) in fixtures("c2b") {
        let Ok(event) = Event::parse_as(C2bConfirmation, &body) else { continue };
        journal.store(&name, &event, &body).await.unwrap();
        expected.push((name, event));
    }
    journal.close().await.unwrap();
    drop((journal, unfinished));
    let (_journal, mut unfinished) = desk.open();
    for (reference, event) in expected {
        let entry = next(&mut unfinished).await.unwrap();
        assert_eq!(entry.reference(), reference);
        match (entry.event(), &event) {
            // Of timeouts the ids are kept, of the unknown the text.
            (Event::QueueTimeout(read), Event::QueueTimeout(was)) => {
                assert_eq!(read.originator_conversation_id, was.originator_conversation_id, "{reference}");
                assert_eq!(read.conversation_id, was.conversation_id, "{reference}");
            }
            (Event::Unknown(read), Event::Unknown(was)) => assert_eq!(read.raw(), was.raw(), "{reference}"),
            (read, was) => assert_eq!(read, was, "{reference}"),
        }
        assert_eq!(entry.dedup_key(), &event.dedup_key(), "{reference}");
    }
}

#[tokio::test]
async fn a_line_that_the_death_of_the_program_cut_short_is_removed() {
    let desk = Desk::new();
    let (journal, unfinished) = desk.open();
    store(&journal, "a", Stk, &failed("a")).await.unwrap();
    store(&journal, "b", Stk, &failed("b")).await.unwrap();
    journal.close().await.unwrap();
    drop((journal, unfinished));
    let whole = fs::read(desk.path()).unwrap();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for cut in first + 1..whole.len() {
        fs::write(desk.path(), &whole[..cut]).unwrap();
        assert_eq!(desk.given().await, [("a".to_owned(), Stk)], "{cut}");
        assert_eq!(fs::read(desk.path()).unwrap(), whole[..first], "{cut}");
    }
    // What was lost is taken again.
    let (journal, unfinished) = desk.open();
    store(&journal, "b", Stk, &failed("b")).await.unwrap();
    journal.close().await.unwrap();
    drop((journal, unfinished));
    assert_eq!(desk.given().await.len(), 2);
    assert_eq!(fs::read(desk.path()).unwrap(), whole);
}

#[tokio::test]
async fn a_spoilt_line_in_the_middle_is_an_error_and_changes_nothing() {
    let desk = Desk::new();
    let (journal, _unfinished) = desk.open();
    for name in ["a", "b"] {
        store(&journal, name, Stk, &failed(name)).await.unwrap();
    }
    journal.close().await.unwrap();
    let good = desk.text();
    for (spoilt, problem) in [
        ("\n", "cannot be read"),
        ("{}\n", "cannot be read"),
        ("{\"event\":1}\n", "cannot be read"),
        ("garbage\n", "cannot be read"),
        (
            "{\"event\":0,\"kind\":\"new-kind\",\"reference\":\"a\",\"key\":\"k\",\"body\":\"{}\"}\n",
            "is of a kind that this version does not know",
        ),
        (
            "{\"event\":7,\"kind\":\"stk\",\"reference\":\"a7\",\"key\":\"k\",\"body\":\"<html>\"}\n",
            "holds a body that cannot be read",
        ),
    ] {
        let text = format!("{spoilt}{good}");
        fs::write(desk.path(), &text).unwrap();
        let error = Journal::open(desk.path()).unwrap_err();
        let problem = format!("line 1 of the journal {problem}");
        assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::InvalidData, problem), "{spoilt}");
        assert_eq!(desk.text(), text);
    }
}

#[tokio::test]
async fn a_delivery_that_comes_again_is_handed_out_once() {
    let desk = Desk::new();
    let (journal, mut unfinished) = desk.open();
    for _ in 0..3 {
        store(&journal, "a", Stk, PAID).await.unwrap();
    }
    let entry = next(&mut unfinished).await.unwrap();
    store(&journal, "a", Stk, PAID).await.unwrap();
    assert_eq!(entry.finish(), Finished::First);
    store(&journal, "a", Stk, PAID).await.unwrap();
    assert!(is_empty(&mut unfinished).await);
    journal.close().await.unwrap();
    drop((journal, unfinished));
    let (journal, mut unfinished) = desk.open();
    store(&journal, "a", Stk, PAID).await.unwrap();
    assert!(is_empty(&mut unfinished).await);
}

#[tokio::test]
async fn one_payment_told_at_two_urls_is_finished_once() {
    let desk = Desk::new();
    let (journal, mut unfinished) = desk.open();
    store(&journal, "attempt-1", Stk, PAID).await.unwrap();
    store(&journal, "paybill", C2bConfirmation, CONFIRMED).await.unwrap();
    // Both in hand at once: the second to finish learns it.
    let first = next(&mut unfinished).await.unwrap();
    let second = next(&mut unfinished).await.unwrap();
    assert_eq!((first.reference(), second.reference()), ("attempt-1", "paybill"));
    assert!(first.is_news() && second.is_news());
    assert_eq!(second.finish(), Finished::First);
    assert!(!first.is_news());
    assert_eq!(first.finish(), Finished::Before);
    // One after the other: the second is handed out, so that its attempt can be closed, and is no news.
    for reference in ["another-paybill", "left"] {
        store(&journal, reference, C2bConfirmation, CONFIRMED).await.unwrap();
    }
    let again = next(&mut unfinished).await.unwrap();
    assert_eq!((again.reference(), again.is_news()), ("another-paybill", false));
    assert_eq!(again.finish(), Finished::Before);
    journal.close().await.unwrap();
    drop((journal, unfinished));
    let (journal, mut unfinished) = desk.open();
    let left = next(&mut unfinished).await.unwrap();
    assert_eq!((left.reference(), left.is_news()), ("left", false));
    assert_eq!(left.finish(), Finished::Before);
    assert!(is_empty(&mut unfinished).await);
    journal.close().await.unwrap();
    drop((journal, unfinished));
    assert_eq!(desk.given().await, []);
}

const SUCCESS: &str = r#"{"Result":{"ResultCode":0,"OriginatorConversationID":"own-1","TransactionID":"UJ65WSR9W7",
    "ResultParameters":{"ResultParameter":[{"Key":"TransactionReceipt","Value":"UJ65WSR9W7"}]}}}"#;

#[tokio::test]
async fn what_came_for_a_purpose_comes_back_after_a_restart_for_that_purpose() {
    let desk = Desk::new();
    let (journal, unfinished) = desk.open();
    let kinds = [Payout, Question, Answer, PayoutTimeout, QuestionTimeout, QueueTimeout];
    // One body at one reference: the purposes alone keep the events apart.
    for kind in kinds {
        store(&journal, "p-1042", kind, SUCCESS).await.unwrap();
    }
    journal.close().await.unwrap();
    drop((journal, unfinished));
    for word in ["payout", "question", "result", "payout-timeout", "question-timeout", "timeout"] {
        assert!(desk.text().contains(&format!(r#""kind":"{word}""#)), "{word}");
    }
    let (_journal, mut unfinished) = desk.open();
    for kind in kinds {
        let entry = next(&mut unfinished).await.unwrap();
        assert_eq!((entry.reference(), entry.event().kind()), ("p-1042", kind));
        if let Event::Result(result) = entry.event() {
            let readings = (result.b2c().is_some(), result.transaction_status().is_some());
            // Its receipt says that it is no answer to a question.
            assert_eq!(readings, (kind != Question, false), "{kind}");
        }
    }
}

#[tokio::test]
async fn a_success_without_a_receipt_does_not_hide_the_one_with_it() {
    let desk = Desk::new();
    let (journal, mut unfinished) = desk.open();
    let bare = r#"{"Result":{"ResultCode":0,"OriginatorConversationID":"own-1","TransactionID":"UJ65WSR9W7"}}"#;
    for body in [bare, SUCCESS, bare, SUCCESS] {
        store(&journal, "p-1042", Payout, body).await.unwrap();
    }
    let mut paid = Vec::new();
    for _ in 0..2 {
        let entry = next(&mut unfinished).await.unwrap();
        let Event::Result(result) = entry.event() else { panic!("a result") };
        paid.push(matches!(result.b2c().unwrap().outcome, daraja::B2cOutcome::Paid(_)));
        assert_eq!(entry.finish(), Finished::First);
    }
    assert_eq!(paid, [false, true]);
    assert!(is_empty(&mut unfinished).await);
}

#[tokio::test]
async fn a_result_at_the_url_of_another_payout_does_not_hide_it_at_its_own() {
    let desk = Desk::new();
    let (journal, mut unfinished) = desk.open();
    for (reference, kind) in [("other", Payout), ("own", Question), ("own", Payout)] {
        store(&journal, reference, kind, SUCCESS).await.unwrap();
    }
    for expected in [("other", Payout), ("own", Question), ("own", Payout)] {
        let entry = next(&mut unfinished).await.unwrap();
        assert_eq!((entry.reference(), entry.event().kind()), expected);
        assert!(entry.is_news(), "{expected:?}");
        assert_eq!(entry.finish(), Finished::First, "{expected:?}");
    }
}

#[tokio::test]
async fn what_was_rejected_at_one_reference_is_still_news_at_the_right_one() {
    let desk = Desk::new();
    let (journal, mut unfinished) = desk.open();
    store(&journal, "wrong", Stk, PAID).await.unwrap();
    next(&mut unfinished).await.unwrap().reject();
    store(&journal, "wrong", Stk, PAID).await.unwrap();
    store(&journal, "right", Stk, PAID).await.unwrap();
    let entry = next(&mut unfinished).await.unwrap();
    assert_eq!(entry.reference(), "right");
    journal.close().await.unwrap();
    drop((journal, unfinished, entry));
    assert_eq!(desk.given().await, [("right".to_owned(), Stk)]);
}

#[tokio::test]
async fn what_names_nothing_is_news_at_each_reference() {
    let desk = Desk::new();
    let nameless = [
        (QueueTimeout, "{}"),
        (Answer, r#"{"Result":{"ResultCode":2001}}"#),
        (Unknown, r#"{"status":"SUCCESS"}"#),
        (C2bConfirmation, r#"{"TransID":"0"}"#),
    ];
    let (journal, mut unfinished) = desk.open();
    for (kind, body) in nameless {
        for reference in ["a", "b", "c"] {
            store(&journal, reference, kind, body).await.unwrap();
        }
    }
    for (kind, _) in nameless {
        for reference in ["a", "b", "c"] {
            let entry = next(&mut unfinished).await.unwrap();
            assert_eq!((entry.reference(), entry.event().kind()), (reference, kind));
            if reference != "c" {
                assert_eq!(entry.finish(), Finished::First, "{kind}");
            }
        }
    }
    journal.close().await.unwrap();
    drop((journal, unfinished));
    let left: Vec<_> = nameless.iter().map(|(kind, _)| ("c".to_owned(), *kind)).collect();
    assert_eq!(desk.given().await, left);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deliveries_at_the_same_time_are_stored_once_each() {
    let desk = Desk::new();
    let (journal, mut unfinished) = desk.open();
    let stores: Vec<_> = (0..200)
        .map(|number| {
            let journal = journal.clone();
            tokio::spawn(async move {
                let id = format!("ws_CO_{}", number % 20);
                store(&journal, &id, Stk, &failed(&id)).await
            })
        })
        .collect();
    for store in stores {
        store.await.unwrap().unwrap();
    }
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let entry = next(&mut unfinished).await.unwrap();
        assert!(seen.insert(entry.reference().to_owned()));
        assert_eq!(entry.finish(), Finished::First);
    }
    assert!(is_empty(&mut unfinished).await);
    journal.close().await.unwrap();
    drop((journal, unfinished));
    assert_eq!(desk.given().await, []);
}

#[tokio::test]
async fn a_store_that_nobody_waited_for_is_handed_out_all_the_same() {
    let desk = Desk::new();
    let (journal, mut unfinished) = desk.open();
    {
        let mut storing = Box::pin(store(&journal, "a", Stk, PAID));
        // Polled once, as by a handler whose client went away.
        assert!(
            std::future::poll_fn(|context| std::task::Poll::Ready(storing.as_mut().poll(context).is_pending())).await
        );
    }
    assert_eq!(next(&mut unfinished).await.unwrap().reference(), "a");
}

#[tokio::test]
async fn a_closed_journal_takes_nothing_and_ends_behind_what_it_has() {
    let desk = Desk::new();
    let (journal, mut unfinished) = desk.open();
    store(&journal, "a", Stk, &failed("a")).await.unwrap();
    store(&journal, "b", Stk, &failed("b")).await.unwrap();
    journal.close().await.unwrap();
    let refused = store(&journal, "c", Stk, &failed("c")).await.unwrap_err();
    assert_eq!((refused.kind(), refused.to_string().as_str()), (io::ErrorKind::BrokenPipe, "the journal is closed"));
    assert!(store(&journal.clone(), "a", Stk, &failed("a")).await.is_err());
    assert_eq!(next(&mut unfinished).await.unwrap().finish(), Finished::First);
    assert_eq!(next(&mut unfinished).await.unwrap().reference(), "b");
    assert!(next(&mut unfinished).await.is_none());
    // Closing again waits for what was finished meanwhile.
    journal.close().await.unwrap();
    assert!(desk.text().contains(r#"{"finished":0}"#));
    assert_eq!(desk.given().await, [("b".to_owned(), Stk)]);
}

#[tokio::test]
async fn of_timeouts_the_ids_are_kept_and_nothing_else() {
    let desk = Desk::new();
    let (journal, mut unfinished) = desk.open();
    let mut bodies: Vec<_> = fixtures("queue_timeout").into_iter().map(|(_, body)| body).collect();
    bodies.push(format!(r#"[{{"SecurityCredential":"{CREDENTIAL}"}}]"#).into_bytes());
    bodies.push(format!(r#"{{"Result":[1],"SecurityCredential":"{CREDENTIAL}"}}"#).into_bytes());
    let events = bodies.iter().filter_map(|body| Event::parse_as(QueueTimeout, body).ok().map(|event| (event, body)));
    let mut count = 0;
    for (number, (event, body)) in events.enumerate() {
        journal.store(format!("attempt-{number}"), &event, body).await.unwrap();
        let shown = format!("{:?} {journal:?} {unfinished:?}", next(&mut unfinished).await.unwrap());
        assert!(!shown.contains("YSBjcmVk") && !shown.contains("WANJIKU") && !shown.contains("708374149"), "{shown}");
        count += 1;
    }
    assert_eq!(count, 22);
    let text = desk.text();
    assert!(text.contains("supplier-7-invoice-1042"));
    assert!(!text.contains("YSBjcmVk") && !text.contains("WANJIKU") && !text.contains("708374149"), "{text}");
}

#[tokio::test]
async fn two_programs_at_a_time_lose_nothing_without_a_word() {
    let desk = Desk::new();
    let (one, _unfinished) = desk.open();
    let (other, _too) = desk.open();
    store(&one, "a", Stk, &failed("a")).await.unwrap();
    store(&other, "b", Stk, &failed("b")).await.unwrap();
    one.close().await.unwrap();
    other.close().await.unwrap();
    let error = Journal::open(desk.path()).unwrap_err();
    let words = "line 2 of the journal repeats a number: two programs have written it at a time";
    assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::InvalidData, words));
    assert_eq!(desk.text().lines().count(), 2);
}

#[test]
fn what_is_no_journal_is_not_opened() {
    let desk = Desk::new();
    assert!(Journal::open(desk.0.path()).is_err());
    assert!(Journal::open(desk.0.path().join("nowhere/callbacks.jsonl")).is_err());
    fs::write(desk.path(), "{\"orders\":[]}\n").unwrap();
    assert_eq!(Journal::open(desk.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_journal_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let desk = Desk::new();
    drop(desk.open());
    assert_eq!(fs::metadata(desk.path()).unwrap().permissions().mode() & 0o777, 0o600);
    // What the owner has allowed stays.
    fs::set_permissions(desk.path(), fs::Permissions::from_mode(0o640)).unwrap();
    drop(desk.open());
    assert_eq!(fs::metadata(desk.path()).unwrap().permissions().mode() & 0o777, 0o640);
}

/// The part of the next test that runs in a process of its own, which must not make large files.
#[cfg(unix)]
#[tokio::test]
#[ignore = "run by the next test, under a limit"]
async fn under_a_limit_of_the_size_of_files() {
    let path = std::env::var("JOURNAL_UNDER_A_LIMIT").unwrap();
    let (journal, mut unfinished) = Journal::open(Path::new(&path)).unwrap();
    store(&journal, "a", Stk, &failed("a")).await.unwrap();
    let large = format!(r#"{{"note":"{}"}}"#, "x".repeat(20_000));
    for _ in 0..2 {
        let error = store(&journal, "large", Unknown, &large).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
    // What was not stored is not handed out, and what fits is still taken.
    store(&journal, "b", Stk, &failed("b")).await.unwrap();
    for name in ["a", "b"] {
        assert_eq!(next(&mut unfinished).await.unwrap().reference(), name);
    }
    assert!(is_empty(&mut unfinished).await);
}

#[cfg(unix)]
#[tokio::test]
async fn what_cannot_be_written_is_an_error_and_half_of_it_is_taken_back() {
    let desk = Desk::new();
    let limited =
        "trap '' XFSZ; ulimit -f 16; exec \"$0\" --exact journal::under_a_limit_of_the_size_of_files --ignored";
    let run = std::process::Command::new("sh")
        .args(["-c", limited])
        .arg(std::env::current_exe().unwrap())
        .env("JOURNAL_UNDER_A_LIMIT", desk.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && told.contains("1 passed"), "{told}{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(desk.given().await, [("a".to_owned(), Stk), ("b".to_owned(), Stk)]);
    assert_eq!(desk.text().lines().count(), 2);
}

#[tokio::test]
async fn what_was_finished_before_the_end_is_on_the_disk_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("callbacks.jsonl");
    let (journal, mut unfinished) = Journal::open(&path).unwrap();
    for number in 0..200 {
        let body =
            format!(r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"ws_CO_{number}","ResultCode":1032}}}}}}"#);
        let event = Event::parse(body.as_bytes()).unwrap();
        journal.store("attempt", &event, body.as_bytes()).await.unwrap();
    }
    journal.close().await.unwrap();
    while let Some(entry) = unfinished.next().await {
        assert_eq!(entry.finish(), Finished::First);
    }
    // At once, as a program that ends here would leave it.
    let left = fs::read_to_string(&path).unwrap();
    assert_eq!(left.matches("\"finished\"").count(), 200);
}

#[tokio::test]
async fn what_was_put_back_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut unfinished) = Journal::open(folder.path().join("callbacks.jsonl")).unwrap();
    for id in ["ws_CO_1", "ws_CO_2"] {
        let body = format!(r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"{id}","ResultCode":1032}}}}}}"#);
        journal.store(id, &Event::parse(body.as_bytes()).unwrap(), body.as_bytes()).await.unwrap();
    }
    let first = unfinished.next().await.unwrap();
    assert_eq!(first.reference(), "ws_CO_1");
    first.put_back();
    for reference in ["ws_CO_2", "ws_CO_1"] {
        let entry = unfinished.next().await.unwrap();
        assert_eq!(entry.reference(), reference);
        assert_eq!(entry.finish(), Finished::First);
    }
    journal.close().await.unwrap();
    assert!(unfinished.next().await.is_none());
}

/// What is stored of a body.
async fn stored(kind: EventKind, body: &str) -> String {
    let desk = Desk::new();
    let (journal, _unfinished) = desk.open();
    store(&journal, "attempt", kind, body).await.unwrap();
    journal.close().await.unwrap();
    let text = desk.text();
    assert_eq!(desk.given().await, [("attempt".to_owned(), kind)], "{text}");
    text
}

#[tokio::test]
async fn no_secret_that_came_back_is_kept_whatever_it_came_in() {
    for (kind, body) in [
        (Unknown, r#"[{"SecurityCredential":"planted"}]"#),
        (Unknown, r#"{"CommandId":"x","Security\u0043redential":"planted"}"#),
        // A push's password reveals the passkey: the other parts of it stand beside it.
        (Unknown, r#"{"BusinessShortCode":"174379","Password":"planted","Timestamp":"20261128200000","Amount":"1"}"#),
        (
            Answer,
            r#"{"Result":{"ResultCode":17,"OriginatorConversationID":"p-1","ReferenceData":{"ReferenceItem":[
                {"Key":"SecurityCredential","Value":"planted"}]}},"InitiatorPassword":"planted"}"#,
        ),
        (
            Answer,
            r#"{"Result":{"ResultCode":"1","ResultDesc":"no","OriginatorConversationID":"p-1","ConversationID":"AG_1"},
                "Request":{"SecurityCredential":"planted"}}"#,
        ),
    ] {
        let text = stored(kind, body).await;
        assert!(!text.contains("planted"), "{text}");
    }
    let text = stored(Stk, &PAID.replacen('{', r#"{"Password":"planted","#, 1)).await;
    assert!(!text.contains("planted") && text.contains("UJ65WSR9W7"), "{text}");
}

#[test]
fn what_is_no_journal_is_left_as_it_is() {
    for text in [
        "somebody's only key, one line without a line break at its end",
        "{\"finished\":1}\nnotes of mine, written by hand, without a line break",
        "{\"orders\":[]}",
        "\0\0\0\0x",
        "{\"events\":[",
        "\u{feff}{\"event\":",
    ] {
        let desk = Desk::new();
        fs::write(desk.path(), text).unwrap();
        assert_eq!(Journal::open(desk.path()).unwrap_err().kind(), io::ErrorKind::InvalidData, "{text}");
        assert_eq!(desk.text(), text);
    }
}

#[test]
fn a_line_without_an_end_is_not_read_into_memory() {
    for start in ["x", "{\"event\":0,\"kind\":\"stk\","] {
        let desk = Desk::new();
        let text = start.repeat((20 << 20) / start.len());
        fs::write(desk.path(), &text).unwrap();
        let info = allocation_counter::measure(|| assert!(Journal::open(desk.path()).is_err()));
        assert!(info.bytes_max < 4 << 20, "{} bytes", info.bytes_max);
        assert_eq!(fs::metadata(desk.path()).unwrap().len(), text.len() as u64);
    }
}

/// As a file system leaves it where the machine died before the data was written: lines that were written together can be a
/// megabyte.
#[tokio::test]
async fn zeros_at_the_end_are_cut_off_however_many() {
    let desk = Desk::new();
    for (start, zeros) in [("", 1), ("", 600 << 10), ("{\"ev", 20 << 20), ("{\"event\":1,\"kind\":\"stk\",", 600 << 10)]
    {
        fs::write(desk.path(), start).unwrap();
        let file = fs::OpenOptions::new().write(true).open(desk.path()).unwrap();
        file.set_len(start.len() as u64 + zeros).unwrap();
        assert_eq!(desk.given().await, [], "{start}");
        assert_eq!(desk.text(), "");
    }
}
