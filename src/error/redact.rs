//! Keeps secrets and numbers out of what people read: errors, `Debug`, logs.

use std::borrow::Cow;

/// Shows the first four and last two letters or digits of an input, at most 24 characters in all.
pub(crate) fn mask(input: &str) -> String {
    let total = input.chars().filter(|c| c.is_alphanumeric()).count();
    let mut seen = 0_usize;
    let mut shown = String::new();
    for (position, c) in input.chars().enumerate() {
        if position == 24 {
            shown.push('…');
            break;
        }
        let hidden = c.is_alphanumeric() && {
            seen = seen.saturating_add(1);
            seen > 4 && seen.saturating_add(2) <= total
        };
        shown.push(if hidden { '*' } else { c });
    }
    shown
}

/// Shortens a text that came from outside, blanks what could be a token or a credential, and masks phone numbers.
pub(crate) fn redact(text: &str, limit: usize) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-');
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() && out.len() < limit {
        let run = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(run);
        let shown = if is_secret(word) { Cow::Borrowed("[redacted]") } else { mask_numbers(word) };
        out.push_str(&shown);
        if let Some(address) = behind_scheme(tail) {
            // The path of a URL can be what keeps others from posting to it.
            out.push_str("://[redacted]");
            let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>');
            rest = address.get(address.find(ends).unwrap_or(address.len())..).unwrap_or_default();
            continue;
        }
        let mut after = tail.chars();
        out.extend(after.next().map(seen_letter));
        rest = after.as_str();
    }
    if rest.is_empty() && out.chars().count() <= limit {
        return out;
    }
    out.chars().take(limit).chain(['…']).collect()
}

/// What stands behind the `://` of a URL, which JSON also writes as `:\/\/` or `:\u002f\u002f`, and a URL in a URL as
/// `%3A%2F%2F`.
fn behind_scheme<'t>(text: &'t str) -> Option<&'t str> {
    let slash = |text| {
        let escaped = |text: &'t str| text.strip_prefix("u002f").or_else(|| text.strip_prefix("u002F"));
        let behind = |text| strip_encoded(text, '/', "2f");
        behind(text).or_else(|| text.strip_prefix('\\').and_then(|text| behind(text).or_else(|| escaped(text))))
    };
    slash(slash(strip_encoded(text, ':', "3a")?)?)
}

/// The text behind a letter, which may be percent-encoded several times.
fn strip_encoded<'t>(text: &'t str, letter: char, code: &str) -> Option<&'t str> {
    if let Some(rest) = text.strip_prefix(letter) {
        return Some(rest);
    }
    let mut rest = text.strip_prefix('%')?;
    while let Some(encoded) = rest.strip_prefix("25") {
        rest = encoded;
    }
    let (digits, rest) = rest.split_at_checked(code.len())?;
    digits.eq_ignore_ascii_case(code).then_some(rest)
}

fn seen_letter(c: char) -> char {
    if is_unseen(c) { ' ' } else { c }
}

/// Characters that are not visible and can change how a log reads: line breaks, escape sequences, changes of direction.
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Long words with a digit are tokens or credentials, unless they have the form of an id or of an API's path.
fn is_secret(word: &str) -> bool {
    is_long(word) && !is_id(word) && !is_path_of_api(word)
}

/// `/mpesa/stkpush/v1/processrequest`
fn is_path_of_api(word: &str) -> bool {
    let is_version = |part: &str| matches!(part.as_bytes(), [b'v', b'0'..=b'9']);
    let is_name = |part: &str| part.bytes().all(|byte| byte.is_ascii_lowercase());
    (word.starts_with("/mpesa/") || word.starts_with("/oauth/"))
        && word.split('/').all(|part| is_name(part) || is_version(part))
}

fn is_long(word: &str) -> bool {
    word.len() >= 20 && word.bytes().any(|byte| byte.is_ascii_digit())
}

/// Ids are `ws_…`, `AG_…`, and lower-case parts with dashes between them. Tokens have capitals or no dash.
fn is_id(word: &str) -> bool {
    let has_prefix = |prefix: &str| word.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_named = (has_prefix("ws_") || has_prefix("ag_")) && word.chars().all(is_plain);
    is_named || (word.contains('-') && is_of(word, "-_"))
}

/// Whether a text has lower-case letters, digits and these marks only.
fn is_of(text: &str, marks: &str) -> bool {
    text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || marks.contains(c))
}

/// Shows an id, with its phone number masked if it has one: a CheckoutRequestID ends in the payer's.
pub(crate) fn mask_id(id: &str) -> String {
    let clean: String = id.chars().filter(|c| !is_unseen(*c)).take(128).collect();
    mask_numbers(&clean).into_owned()
}

/// Masks what has the form of a Kenyan phone number: the middle of its nine national digits.
pub(crate) fn mask_numbers(text: &str) -> Cow<'_, str> {
    let mut masked: Option<Vec<u8>> = None;
    let mut end = 0;
    while let Some(start) = text.get(end..).and_then(|rest| rest.find(|c: char| c.is_ascii_digit())) {
        let start = end.saturating_add(start);
        let rest = text.get(start..).unwrap_or_default();
        end = start.saturating_add(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let (before, after) = (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
        for at in numbers_in(text.get(start..end).unwrap_or_default(), before, after) {
            let first = start.saturating_add(at);
            let hidden = first.saturating_add(1)..first.saturating_add(NATIONAL - 2);
            let bytes = masked.get_or_insert_with(|| text.as_bytes().to_vec());
            bytes.get_mut(hidden).into_iter().flatten().for_each(|digit| *digit = b'*');
        }
    }
    masked.and_then(|bytes| String::from_utf8(bytes).ok()).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// How many digits a number has without 254 or 0.
const NATIONAL: usize = 9;
/// How many a date, a time and a number have together.
const DATED: usize = 23;

/// Where the national digits of phone numbers begin in a run of digits.
fn numbers_in(run: &str, before: &str, after: &str) -> Vec<usize> {
    let begins = |at: usize, prefix: &str| {
        let national = run.get(at..).and_then(|rest| rest.strip_prefix(prefix));
        national.is_some_and(|national| national.len() >= NATIONAL && national.starts_with(['1', '7']))
    };
    let tail = run.len().checked_sub(NATIONAL).filter(|_| run.len() >= DATED);
    let tail = tail.filter(|at| run.get(*at..).is_some_and(|national| national.starts_with(['1', '2', '7'])));
    // Before the number a CheckoutRequestID has a date and a time, which can look like one.
    let is_checkout_id = is_of_id(before, "ws_co_");
    let is_of_id = is_checkout_id || is_of_id(before, "ag_");
    if run.len() == NATIONAL && !is_of_id {
        // The middle of an id such as `5118-111210482-1` is none, nor is a part of a word.
        let is_part = is_part_of_id(before.chars().rev()) || is_part_of_id(after.chars());
        return (begins(0, "") && (run.starts_with('7') || !is_part)).then_some(0).into_iter().collect();
    }
    let is_time = run.len() == 14 && run.starts_with("20");
    let mut found = Vec::new();
    let mut at = 0;
    while at < run.len() {
        let prefix = if begins(at, "254") {
            3
        } else if begins(at, "0") && !is_time && !is_of_id {
            1
        } else {
            at = at.saturating_add(1);
            continue;
        };
        at = at.saturating_add(prefix);
        found.push(at);
        at = at.saturating_add(NATIONAL);
    }
    if found.is_empty() || is_checkout_id {
        found.extend(tail);
    }
    found
}

/// Whether the word before is the beginning of an id, which begins so.
fn is_of_id(before: &str, prefix: &str) -> bool {
    let word = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default();
    word.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn is_part_of_id(mut outward: impl Iterator<Item = char>) -> bool {
    match outward.next() {
        Some('-') => outward.next().is_some_and(|c| c.is_ascii_digit()),
        next => next.is_some_and(|c| c.is_ascii_alphabetic()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masking_keeps_the_ends_only() {
        assert_eq!(mask("0712 345 678"), "0712 *** *78");
        assert_eq!(mask("07123"), "07123");
        assert_eq!(mask(&"9".repeat(40)), format!("9999{}…", "*".repeat(20)));
    }

    #[test]
    fn redaction_blanks_tokens_numbers_and_ids() {
        let text = "Invalid Access Token - BJGFGQXV5aZn9QKA4TDtu4Xdyf for 254708374149, ws_CO_180920261803512708374149";
        let shown = "Invalid Access Token - [redacted] for 2547******49, ws_CO_1809202618035127******49";
        assert_eq!(redact(text, 240), shown);
        assert_eq!(redact("Bad Request - Invalid Amount", 240), "Bad Request - Invalid Amount");
        assert_eq!(
            redact("posted to https://shop.example/cb/s3cr3t, \"refused\"", 240),
            "posted to https://[redacted] \"refused\""
        );
        assert_eq!(redact("refused: why // not", 240), "refused: why // not");
        let own_path = "for host: default and url: /mpesa/stkpush/v1/processrequest";
        assert_eq!(redact(own_path, 240), own_path);
        for secret in [
            "/mpesa/254708374149/x",
            "/mpesa/0123456789abcdefghij",
            "/9QKA4TDt/u4Xdyf/BJGFGQXV5aZn",
            "/callbacks/mpesa/s3cr3t9x8y7z",
            "/daraja/correct-horse-battery-7x",
        ] {
            assert_eq!(redact(secret, 240), "[redacted]", "{secret}");
        }
        for url in [
            r"https:\/\/shop.example\/planted",
            r"https:\u002f\u002Fshop.example\u002fplanted",
            "https%3A%2F%2Fshop.example%2Fplanted",
            "https%253a%252f%252fshop.example%252fplanted",
            "https:%2f/shop.example/planted",
        ] {
            assert_eq!(redact(&format!("at {url} now"), 240), "at https://[redacted] now", "{url}");
        }
        assert_eq!(redact("100 %, 3%25 and : / or %3A%2", 240), "100 %, 3%25 and : / or %3A%2");
        assert_eq!(redact("a\u{202e}b\u{2028}c\u{2066}d\u{1b}e", 240), "a b c d e");
    }

    #[test]
    fn a_text_that_is_cut_says_so() {
        assert_eq!(redact(&"x y ".repeat(100), 10), "x y x y x …");
        assert_eq!(redact("wrong amount", 12), "wrong amount");
        assert_eq!(redact("wrong amount", 11), "wrong amoun…");
        assert_eq!(redact("wrong amount", 6), "wrong …");
    }

    #[test]
    fn of_an_id_only_the_phone_number_is_masked() {
        for (id, shown) in [
            ("ws_CO_180920261803512708374149", "ws_CO_1809202618035127******49"),
            ("ws_CO_191220191020363925", "ws_CO_191220191020363925"),
            ("ws_CO_DMZ_250600506_23022019144745852", "ws_CO_DMZ_250600506_23022019144745852"),
            ("1c5b-4ba8-815c-ac45c57a3db0", "1c5b-4ba8-815c-ac45c57a3db0"),
            ("86c5-d1b0-5ce2-1180b23a111222319", "86c5-d1b0-5ce2-1180b23a111222319"),
            ("29115-34620561-1", "29115-34620561-1"),
            ("5118-111210482-1", "5118-111210482-1"),
            ("AG_20240706_20106e9209f64bebd05b", "AG_20240706_20106e9209f64bebd05b"),
            ("AG_20260928_0100101002hi3i67m6ml", "AG_20260928_0100101002hi3i67m6ml"),
            ("AG_20260928_254708374149", "AG_20260928_2547******49"),
            ("ws_CO_254708374149261803512708374149", "ws_CO_2547******492618035127******49"),
            ("ws_CO_0610202617021LJ7RT61SV341254708374149", "ws_CO_0610202617021LJ7RT61SV3412547******49"),
            ("254708374149", "2547******49"),
            ("payout-0708374149", "payout-07******49"),
            ("payout-708374149-x", "payout-7******49-x"),
            ("+2540708374149", "+25407******49"),
            ("20261123101500", "20261123101500"),
            ("254999", "254999"),
            ("INV-254708374149001", "INV-2547******49001"),
            ("25470837414920261006120000", "2547******4920261006120000"),
            ("6009660708374149", "60096607******49"),
            ("0708374149001", "07******49001"),
            ("708374149-2", "7******49-2"),
            ("1042-708374149", "1042-7******49"),
            ("ORD-20201107123456", "ORD-20201107123456"),
        ] {
            assert_eq!(mask_id(id), shown, "{id}");
        }
    }

    #[test]
    fn ids_are_shown_in_texts_and_secrets_are_not() {
        for id in ["AG_20240706_20106e9209f64bebd05b", "2654-4b64-97ff-b827b542881d3130", "supplier-7-invoice-1042-b"] {
            assert_eq!(redact(id, 240), id);
        }
        for secret in [
            "9v38Dtu5u2BpsITPmLcXNWGMsjZRWSTG",
            "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919",
            "AAbb-1234567890-CCddEEff",
        ] {
            assert_eq!(redact(secret, 240), "[redacted]");
        }
    }
}
