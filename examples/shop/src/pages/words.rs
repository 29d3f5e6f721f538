//! How times, numbers and news are put for people.

use chrono::{DateTime, FixedOffset, Utc};
use daraja::Msisdn;

use super::views::Tone;
use crate::db::now;

/// East Africa Time.
const EAT: FixedOffset = FixedOffset::east_opt(3 * 3_600).expect("three hours are a valid offset");

fn local(millis: i64) -> DateTime<FixedOffset> {
    DateTime::<Utc>::from_timestamp_millis(millis).unwrap_or_default().with_timezone(&EAT)
}

/// `24 Nov, 10:05`
pub(super) fn time(millis: i64) -> String {
    local(millis).format("%-d %b, %H:%M").to_string()
}

/// `24 Nov`
pub(super) fn day(millis: i64) -> String {
    local(millis).format("%-d %b").to_string()
}

/// How long ago: `7 minutes`.
pub(super) fn age(millis: i64) -> String {
    let minutes = now().saturating_sub(millis) / 60_000;
    match minutes {
        ..2 => "1 minute".to_owned(),
        2..120 => format!("{minutes} minutes"),
        120..2_880 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / 1_440),
    }
}

/// `0712 *** 678`
pub(super) fn masked(number: &str) -> String {
    let spelled = spelled(number);
    let (start, end) = (spelled.get(..4), spelled.get(spelled.len().saturating_sub(3)..));
    match (start, end) {
        (Some(start), Some(end)) if spelled.len() > 8 => format!("{start} *** {end}"),
        _ => "not known".to_owned(),
    }
}

/// `0712 345 678`
pub(super) fn spelled(number: &str) -> String {
    let Ok(number) = number.parse::<Msisdn>() else { return String::new() };
    let digits = number.to_string();
    let national = digits.get(3..).unwrap_or_default();
    let part = |from: usize, to: usize| national.get(from..to).unwrap_or_default();
    format!("0{} {} {}", part(0, 3), part(3, 6), part(6, 9))
}

/// A parameter of a URL's query, decoded.
pub(super) fn parameter(path: &str, name: &str) -> Option<String> {
    let (_, query) = path.split_once('?')?;
    url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// A text as a part of a URL's query.
pub(super) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// What was done, by a word in the query: the words themselves are ours, never the URL's.
pub(super) fn notice(query: &str) -> Option<(Tone, &'static str)> {
    let text = match query.split('&').find_map(|pair| pair.strip_prefix("done="))? {
        "too_late" => return Some((Tone::Calm, "The request was not open any more: nothing was done.")),
        "cancelled" => "The order is cancelled.",
        "payout" => "The payout is on its way.",
        "payout_waits" => "The payout waits for another admin's approval.",
        "approved" => "The payout is approved, and on its way.",
        "resolved" => "The outcome is written down.",
        "number" => "The number is changed. Payouts to it need another admin's approval for a day.",
        "receipt" => "The receipt is entered, not checked. It counts once another admin has confirmed it.",
        "receipt_confirmed" => "The receipt is confirmed by two admins, and counts.",
        "refund" => "The refund is on its way.",
        "answered" => "The phone has answered.",
        _ => return None,
    };
    Some((Tone::Good, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_as_people_do_and_masked_for_those_who_need_not_know() {
        assert_eq!((spelled("254708374149"), masked("254708374149")), ("0708 374 149".into(), "0708 *** 149".into()));
        assert_eq!((spelled("nobody"), masked("")), (String::new(), "not known".into()));
    }

    #[test]
    fn times_are_nairobis() {
        assert_eq!((time(1_795_517_220_203), day(1_795_563_000_000)), ("24 Nov, 13:47".into(), "25 Nov".into()));
    }

    #[test]
    fn a_notice_is_never_the_urls_own_words() {
        assert_eq!(notice("done=cancelled&x=1"), Some((Tone::Good, "The order is cancelled.")));
        assert_eq!(notice("done=<script>"), None);
    }
}
