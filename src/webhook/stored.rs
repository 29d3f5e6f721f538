//! Removes secrets from a body before it is stored: Daraja can send a request's secrets back.

use std::{borrow::Cow, ops::Range};

/// Secret fields of requests. A push's `Password` reveals the passkey: the other parts of it stand beside it.
const SECRETS: [&str; 3] = ["SecurityCredential", "Password", "InitiatorPassword"];

const REDACTED: &str = "\"[redacted]\"";

/// Replaces the value of each secret field in a JSON text, and the `Value` beside a `Key` or `Name` that names such a field.
/// The text never grows, because a stored body must not be too long to be read again.
pub(super) fn without_secrets(text: Cow<'_, str>) -> Cow<'_, str> {
    let mut found = Scanner::new(&text).secrets();
    if found.is_empty() {
        return text;
    }
    found.sort_unstable_by_key(|value| value.start);
    let (mut kept, mut end) = (String::with_capacity(text.len()), 0);
    for value in found {
        // A value inside another one has been replaced with it.
        if value.start >= end {
            kept.push_str(text.get(end..value.start).unwrap_or_default());
            kept.push_str(if value.len() < REDACTED.len() { "0" } else { REDACTED });
            end = value.end;
        }
    }
    kept.push_str(text.get(end..).unwrap_or_default());
    kept.into()
}

/// Finds secrets in a text that a parser has accepted. It requires less than the parser does, so it never fails where the
/// parser did not. It reads each byte once, at any depth.
struct Scanner<'t> {
    text: &'t str,
    at: usize,
    /// The open objects and lists: `None` is a list.
    open: Vec<Option<Object>>,
    found: Vec<Range<usize>>,
}

#[derive(Default)]
struct Object {
    /// Whether its `Key` or `Name` is the name of a secret field.
    names_secret: bool,
    values: Vec<Range<usize>>,
    /// Where a `Value` begins, until its end is found.
    value: Option<usize>,
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, at: 0, open: Vec::new(), found: Vec::new() }
    }

    fn secrets(mut self) -> Vec<Range<usize>> {
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => self.string(),
                b'{' => self.open.push(Some(Object::default())),
                b'[' => self.open.push(None),
                b',' => self.end_value(),
                b'}' | b']' => self.close(),
                _ => {}
            }
            if byte != b'"' {
                self.at = self.at.saturating_add(1);
            }
        }
        self.found
    }

    /// Reads a string. If it is a name, its value is checked.
    fn string(&mut self) {
        let name = self.token();
        self.skip_blanks();
        if self.peek() != Some(b':') {
            return;
        }
        self.at = self.at.saturating_add(1);
        self.skip_blanks();
        let start = self.at;
        let Some(Some(object)) = self.open.last_mut() else { return };
        let name = unescaped(name);
        if is_secret(&name) {
            self.skip_value();
            self.found.push(start..self.at);
        } else if name.eq_ignore_ascii_case("Value") {
            object.value = Some(start);
        } else if name.eq_ignore_ascii_case("Key") || name.eq_ignore_ascii_case("Name") {
            let value = if self.peek() == Some(b'"') { self.token() } else { "" };
            if let Some(Some(object)) = self.open.last_mut() {
                object.names_secret |= is_secret(&unescaped(value));
            }
        }
    }

    /// Reads a string, with its quotes.
    fn token(&mut self) -> &'t str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut escaped = true; // as the first quote counts for nothing
        let end = rest.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let end = end.map_or(rest.len(), |end| end.saturating_add(1));
        self.at = self.at.saturating_add(end);
        rest.get(..end).unwrap_or_default()
    }

    /// Skips one value of any type.
    fn skip_value(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => drop(self.token()),
                b'{' | b'[' => depth = depth.saturating_add(1),
                b'}' | b']' if depth > 0 => depth = depth.saturating_sub(1),
                b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return,
                _ => {}
            }
            if byte != b'"' {
                self.at = self.at.saturating_add(1);
            }
            if depth == 0 && matches!(byte, b'"' | b'}' | b']') {
                return;
            }
        }
    }

    fn end_value(&mut self) {
        let Some(Some(object)) = self.open.last_mut() else { return };
        if let Some(start) = object.value.take() {
            let value = self.text.get(start..self.at).unwrap_or_default().trim_end();
            object.values.push(start..start.saturating_add(value.len()));
        }
    }

    fn close(&mut self) {
        self.end_value();
        let named = self.open.pop().flatten().filter(|object| object.names_secret);
        self.found.extend(named.into_iter().flat_map(|object| object.values));
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at = self.at.saturating_add(1);
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

/// The value of a JSON string. One that is malformed is empty, and so not the name of a secret.
fn unescaped(token: &str) -> Cow<'_, str> {
    serde_json::from_str(token).unwrap_or_default()
}

fn is_secret(name: &str) -> bool {
    SECRETS.iter().any(|secret| secret.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_secrets_are_blanked_wherever_they_stand_and_however_they_are_spelt() {
        for (body, stored) in [
            (r#"{"a":"Password","b":[1.50,null]}"#, r#"{"a":"Password","b":[1.50,null]}"#),
            (r#"{"Password":"planted-text","x":500.00}"#, r#"{"Password":"[redacted]","x":500.00}"#),
            (r#"{"Security\u0043redential" : {"a":"planted"} }"#, r#"{"Security\u0043redential" : "[redacted]" }"#),
            (
                r#"[[{"initiatorpassword":7}],{"a":{"PASSWORD":[1,"}",{"b":[2]}] , "c":3}}]"#,
                r#"[[{"initiatorpassword":0}],{"a":{"PASSWORD":"[redacted]" , "c":3}}]"#,
            ),
            (
                r#"{"Item":[{"Value":"planted-text" ,"Key":"SecurityCredential"},{"Name":"Amount","Value":5}]}"#,
                r#"{"Item":[{"Value":"[redacted]" ,"Key":"SecurityCredential"},{"Name":"Amount","Value":5}]}"#,
            ),
            (
                r#"[{"key":"Password","value":{"Password":"planted","b":[{}]}}]"#,
                r#"[{"key":"Password","value":"[redacted]"}]"#,
            ),
            ("\u{feff}{\"Password\":\"planted-text\"}", "\u{feff}{\"Password\":\"[redacted]\"}"),
            (r#"{"Password":1e400,"\ud800":{"PASSWORD":"a"}}"#, r#"{"Password":0,"\ud800":{"PASSWORD":0}}"#),
            (r#"{"x":"\"Password\":\"a\\","Password":"\"a\\"}"#, r#"{"x":"\"Password\":\"a\\","Password":0}"#),
            (r#""Password""#, r#""Password""#),
            (r#"["Password","planted"]"#, r#"["Password","planted"]"#),
            ("7", "7"),
        ] {
            assert_eq!(without_secrets(body.into()), stored, "{body}");
        }
    }

    #[test]
    fn what_holds_no_secret_is_not_copied() {
        assert!(matches!(without_secrets(r#"{"a":[{"b":"c"}]}"#.into()), Cow::Borrowed(_)));
    }

    #[test]
    fn nothing_grows_and_nothing_is_too_deep() {
        for value in ["1", "\"\"", "[]", "null", "\"0123456789\"", "\"0123456789a\""] {
            let body = format!("{{\"Password\":{value}}}");
            let stored = without_secrets(body.as_str().into());
            assert!(stored.len() <= body.len() && stored != body, "{stored}");
        }
        let deep = format!("{}\"Password\":1{}", "{\"Value\":[{".repeat(10_000), "}]}".repeat(10_000));
        assert_eq!(without_secrets(deep.as_str().into()), deep.replace(":1", ":0"));
    }

    #[test]
    fn a_text_that_is_cut_short_is_looked_through_to_its_end() {
        let whole = r#"{"a":[{"Key":"Password","Value":"planted"}],"Password":"planted","b":"\u00e9"}"#;
        for end in 0..=whole.len() {
            let stored = without_secrets(whole[..end].into());
            assert!(stored.len() <= end);
        }
    }
}
