//! What may come to the timeout URL: an echo of the request, credential and all, a result's envelope, or bare ids.

use std::collections::BTreeMap;

use daraja::{
    QueueTimeout,
    initiated::TimeoutShape::{self, Echo, Envelope, Ids},
};

use crate::support::{CREDENTIAL, fixtures};

const OWN: Option<&str> = Some("supplier-7-invoice-1042");
const THEIRS: Option<&str> = Some("AG_20261006_20106e9209f64bebd05b");

/// Shape, our id and the gateway's; or what is wrong with it.
type Expected = Result<(TimeoutShape, Option<&'static str>, Option<&'static str>), &'static str>;

fn expected() -> BTreeMap<&'static str, Expected> {
    BTreeMap::from([
        ("echo_of_v3", Ok((Echo, OWN, None))),
        ("echo_of_v1_without_id", Ok((Echo, None, None))),
        ("echo_with_numbers", Ok((Echo, OWN, None))),
        ("echo_wrapped_by_a_proxy", Ok((Echo, OWN, None))),
        ("echo_of_a_status_query", Ok((Echo, None, None))),
        ("echo_behind_a_byte_order_mark", Ok((Echo, OWN, None))),
        ("envelope_whole", Ok((Envelope, OWN, THEIRS))),
        ("envelope_with_a_zero_and_a_receipt", Ok((Envelope, OWN, THEIRS))),
        ("envelope_without_code", Ok((Envelope, OWN, THEIRS))),
        ("envelope_inner_object_alone", Ok((Envelope, OWN, THEIRS))),
        ("envelope_without_ids", Ok((Envelope, None, None))),
        ("ids_both", Ok((Ids, OWN, THEIRS))),
        ("ids_contradicted", Ok((Ids, None, THEIRS))),
        ("ids_misspelt", Ok((Ids, OWN, THEIRS))),
        ("ids_own_alone", Ok((Ids, OWN, None))),
        ("ids_of_the_gateway_alone", Ok((Ids, None, THEIRS))),
        ("ids_null", Ok((Ids, None, None))),
        ("ids_none", Ok((Ids, None, None))),
        ("refused_list", Err("is not of the expected shape")),
        ("refused_html", Err("is not JSON")),
        ("refused_cut_short", Err("is JSON that is cut short")),
        ("refused_envelope_is_a_list", Err("is not of the expected shape")),
        ("refused_empty", Err("is empty")),
    ])
}

#[test]
fn every_shape_is_read_for_its_ids_and_shows_nothing_else() {
    let mut expected = expected();
    for (name, body) in fixtures("queue_timeout") {
        let Some(expected) = expected.remove(name.as_str()) else { panic!("{name} is not in the table") };
        let shown = match (QueueTimeout::parse(&body), expected) {
            (Ok(timeout), Ok((shape, own, theirs))) => {
                assert_eq!(timeout.shape(), shape, "{name}");
                assert_eq!(timeout.originator_conversation_id.as_ref().map(AsRef::as_ref), own, "{name}");
                assert_eq!(timeout.conversation_id.as_ref().map(AsRef::as_ref), theirs, "{name}");
                format!("{timeout:?}")
            }
            (Err(error), Err(problem)) => {
                assert!(error.problem().starts_with(problem), "{name}: {error}");
                assert_eq!(error.snippet(), "", "{name}");
                format!("{error} {error:?}")
            }
            (read, expected) => panic!("{name}: {expected:?} was expected, not {read:?}"),
        };
        for hidden in [CREDENTIAL, "c2Vj", "708374149", "WANJIKU", "8c1f", "shop-api"] {
            assert!(!shown.contains(hidden), "{name}: {shown}");
        }
    }
    assert!(expected.is_empty(), "fixtures without a file: {:?}", expected.keys());
}
