//! The journal's futures, dropped: what was to be stored is stored once or not at all, and what was stored is handed out.

use daraja::webhook::{Event, Finished, Journal};
use tokio::time::{Duration, timeout};

use super::dropped_at;

/// Money that came in: the only thing that is finished once for all URLs.
const BODY: &[u8] =
    br#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":0,"CallbackMetadata":{"Item":[
    {"Name":"MpesaReceiptNumber","Value":"UJ65WSR9W7"}]}}}}"#;

#[tokio::test]
async fn an_event_whose_storing_is_dropped_can_be_stored_again_and_is_handed_out_once() {
    for point in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let (journal, mut unfinished) = Journal::open(folder.path().join("callbacks.jsonl")).unwrap();
        let event = Event::parse(BODY).unwrap();
        dropped_at(point, journal.store("attempt-1", &event, BODY)).await;
        journal.store("attempt-1", &event, BODY).await.unwrap();
        journal.store("attempt-2", &event, BODY).await.unwrap();
        journal.close().await.unwrap();
        let mut given = Vec::new();
        while let Some(entry) = unfinished.next().await {
            given.push(entry.reference().to_owned());
            assert_eq!(entry.finish(), if given.len() == 1 { Finished::First } else { Finished::Before });
        }
        assert_eq!(given, ["attempt-1", "attempt-2"], "dropped at {point}");
    }
}

#[tokio::test]
async fn an_event_is_not_lost_by_a_look_that_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, mut unfinished) = Journal::open(folder.path().join("callbacks.jsonl")).unwrap();
    assert!(dropped_at(1, unfinished.next()).await.is_none());
    dropped_at(1, journal.close()).await;
    let event = Event::parse(BODY).unwrap();
    let stored = journal.store("attempt-1", &event, BODY).await;
    if stored.is_ok() {
        dropped_at(0, unfinished.next()).await;
        let entry = timeout(Duration::from_secs(30), unfinished.next()).await.unwrap().unwrap();
        assert_eq!(entry.reference(), "attempt-1");
        assert_eq!(entry.finish(), Finished::First);
    }
    journal.close().await.unwrap();
    assert!(unfinished.next().await.is_none());
}
