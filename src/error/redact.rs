//! Keeps secrets and numbers out of what people read: errors, `Debug`, logs.

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

/// Shortens a text that came from outside and blanks what could be a token, an id that holds a number, or a number.
pub(crate) fn redact(text: &str, limit: usize) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-');
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() && out.len() < limit {
        let run = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(run);
        out.push_str(if is_sensitive(word) { "[redacted]" } else { word });
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

/// Long words with a digit are tokens, credentials or ids; runs of nine digits and more are phone numbers.
fn is_sensitive(word: &str) -> bool {
    longest_number(word) >= SHORTEST_NUMBER || (word.len() >= 20 && word.bytes().any(|byte| byte.is_ascii_digit()))
}

/// A phone number's national part.
const SHORTEST_NUMBER: usize = 9;

fn longest_number(text: &str) -> usize {
    text.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0)
}

/// Shows an id, unless it holds a number. A CheckoutRequestID ends in the payer's number: it is cut behind its date.
pub(crate) fn mask_id(id: &str) -> String {
    let clean: String = id.chars().filter(|c| !is_unseen(*c)).take(64).collect();
    if clean.get(..3).is_some_and(|prefix| prefix.eq_ignore_ascii_case("ws_")) {
        cut_checkout_id(&clean)
    } else if longest_number(&clean) >= SHORTEST_NUMBER {
        mask(&clean)
    } else {
        clean
    }
}

/// Keeps `ws_CO_` and the date.
pub(crate) fn cut_checkout_id(id: &str) -> String {
    let kept: String = id.chars().take(14).collect();
    if kept.len() == id.len() { kept } else { kept + "…" }
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
        assert_eq!(redact(text, 240), "Invalid Access Token - [redacted] for [redacted], [redacted]");
        assert_eq!(redact("Bad Request - Invalid Amount", 240), "Bad Request - Invalid Amount");
        assert_eq!(
            redact("posted to https://shop.example/cb/s3cr3t, \"refused\"", 240),
            "posted to https://[redacted] \"refused\""
        );
        assert_eq!(redact("refused: why // not", 240), "refused: why // not");
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
    fn a_checkout_request_id_is_cut_before_the_number() {
        assert_eq!(mask_id("ws_CO_180920261803512708374149"), "ws_CO_18092026…");
        assert_eq!(mask_id("1c5b-4ba8-815c-ac45c57a3db0"), "1c5b-4ba8-815c-ac45c57a3db0");
        assert_eq!(mask_id("29115-34620561-1"), "29115-34620561-1");
        assert_eq!(mask_id("254708374149"), "2547******49");
    }
}
