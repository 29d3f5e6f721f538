//! Every observed answer of the STK query, with the HTTP status it came with.

use std::collections::BTreeMap;

use daraja::{Client, Result, StkQuery, StkReason, StkStatus};

use crate::support::{Scripted, answer, fixtures, merchant};

const ID: &str = "ws_CO_061020261702341254708374149";

async fn ask(status: u16, body: &str) -> (Result<StkStatus>, usize) {
    // A read is repeated: three times the same answer.
    let scripted = Scripted::new((0..3).map(|_| answer(status, body)));
    let client: Client = scripted.client();
    let outcome = client.send(&StkQuery::new(&merchant(), &ID.parse().unwrap())).await;
    (outcome, scripted.calls().len())
}

#[derive(Debug, Clone, Copy)]
enum Expected {
    Paid,
    Pending,
    NotFound,
    Failed(StkReason),
    Unknown(&'static str),
    /// How often it was asked, whether it may be tried again, and words of the error.
    Error(usize, bool, &'static str),
}
use Expected::{Failed, NotFound, Paid, Pending, Unknown};

fn expected() -> BTreeMap<&'static str, (&'static [u16], Expected)> {
    BTreeMap::from([
        ("paid", (&[200][..], Paid)),
        ("paid_code_as_number", (&[200][..], Paid)),
        ("paid_response_code_as_number", (&[200][..], Paid)),
        ("paid_of_another_id", (&[200][..], Expected::Error(3, false, "is about another payment"))),
        ("zero_without_id", (&[200][..], Unknown("0"))),
        ("pending_4999", (&[200][..], Pending)),
        ("pending_by_words", (&[200][..], Pending)),
        ("failed_1032", (&[200][..], Failed(StkReason::Cancelled))),
        ("failed_1037", (&[200][..], Failed(StkReason::NoResponse))),
        ("failed_1032_as_number", (&[200][..], Failed(StkReason::Cancelled))),
        ("failed_1032_without_id", (&[200][..], Failed(StkReason::Cancelled))),
        ("code_26", (&[200][..], Unknown("26"))),
        ("code_nobody_knows", (&[200][..], Unknown("7777"))),
        ("no_code", (&[200][..], Expected::Error(3, false, "holds no ResultCode"))),
        ("error_being_processed", (&[500, 200][..], Pending)),
        ("error_empty_words", (&[500, 200][..], Pending)),
        ("error_does_not_exist", (&[500, 200][..], NotFound)),
        ("error_too_early", (&[400, 200][..], NotFound)),
        ("error_wrong_credentials", (&[500, 200][..], Expected::Error(1, false, "Wrong credentials"))),
        ("error_merchant", (&[500, 200][..], Expected::Error(1, false, "Merchant does not exist"))),
        ("error_internal", (&[500, 200][..], Expected::Error(3, true, "Internal Server Error"))),
        ("error_invalid_short_code", (&[400][..], Expected::Error(1, false, "Invalid BusinessShortCode"))),
        ("error_system_busy", (&[500, 200][..], Expected::Error(3, true, "System is busy"))),
        ("error_spike_arrest_500", (&[500, 429][..], Expected::Error(3, true, "Spike Arrest"))),
        ("fault_spike_arrest", (&[429, 500, 200][..], Expected::Error(3, true, "Spike arrest"))),
    ])
}

#[tokio::test(start_paused = true)]
async fn every_answer_is_read_for_what_it_proves() {
    let mut expected = expected();
    for (name, body) in fixtures("stk/query") {
        let Some((statuses, expected)) = expected.remove(name.as_str()) else { panic!("{name} is not in the table") };
        for &status in statuses {
            let (outcome, asked) = ask(status, std::str::from_utf8(&body).unwrap()).await;
            match (expected, outcome) {
                (Paid, Ok(StkStatus::Paid))
                | (Pending, Ok(StkStatus::Pending))
                | (NotFound, Ok(StkStatus::NotFound)) => {
                    assert_eq!(asked, 1, "{name}");
                }
                (Failed(reason), Ok(StkStatus::Failed(failure))) => assert_eq!(failure.reason(), reason, "{name}"),
                (Unknown(code), Ok(StkStatus::Unknown(told))) => assert_eq!(told.code.to_string(), code, "{name}"),
                (Expected::Error(times, retryable, words), Err(error)) => {
                    assert_eq!(asked, times, "{name}");
                    assert_eq!(error.is_retryable(), retryable, "{name}: {error}");
                    assert!(error.to_string().contains(words), "{name}: {error}");
                    assert!(!error.outcome_unknown(), "{name}: a read leaves nothing unknown");
                    assert!(!error.to_string().contains("8374149"), "{name}: {error}");
                }
                (expected, outcome) => panic!("{name}, {status}: {expected:?} was expected, not {outcome:?}"),
            }
        }
    }
    assert!(expected.is_empty(), "fixtures without a file: {:?}", expected.keys());
}

/// What moves money is unclear then. A question that is asked again does no harm.
#[tokio::test(start_paused = true)]
async fn a_code_of_a_refusal_with_the_status_200_proves_none() {
    let (_, body) = fixtures("stk/query").into_iter().find(|(name, _)| name == "error_invalid_short_code").unwrap();
    let (outcome, asked) = ask(200, std::str::from_utf8(&body).unwrap()).await;
    let error = outcome.unwrap_err();
    assert!(!error.is_retryable() && !error.outcome_unknown(), "{error:?}");
    assert!(error.to_string().contains("Invalid BusinessShortCode"), "{error}");
    assert_eq!(asked, 3);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_and_the_query_goes_on() {
    let refused = r#"{"requestId":"1","errorCode":"404.001.03","errorMessage":"Invalid Access Token"}"#;
    let (_, paid) = fixtures("stk/query").into_iter().find(|(name, _)| name == "paid").unwrap();
    let scripted = Scripted::new([answer(404, refused), answer(200, String::from_utf8(paid).unwrap())]);
    let status = scripted.client().send(&StkQuery::new(&merchant(), &ID.parse().unwrap())).await;
    assert_eq!(status.unwrap(), StkStatus::Paid);
    assert_eq!(scripted.token_requests().len(), 2);
}
