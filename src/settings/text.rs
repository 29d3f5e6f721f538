//! Text that no setting can have: quotes, blanks and characters that came along when it was copied.

use crate::{error::is_unseen, value::name_of};

/// What the value of a setting may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    /// ASCII letters, digits and punctuation, such as keys, secrets, codes and base64.
    Word,
    /// A URL: its host name can have other letters.
    Url,
    /// Names, passwords and lists can have blanks and any letters.
    Free,
}

/// Says which character cannot be part of the value, and what to do. It shows no more than that character.
pub(super) fn problem(value: &str, text: Text) -> Option<String> {
    let ends = [value.chars().next(), value.chars().next_back()].map(|end| end.filter(|c| is_quote(*c)));
    // A password can end in a quote. Two of them were put around it.
    let is_part = text == Text::Free && ends.contains(&None);
    if let Some(quote) = ends.into_iter().flatten().next().filter(|_| !is_part) {
        let name = name_of(quote);
        return Some(format!("has the quote {name} at its beginning or end, which was read as part of it: remove it"));
    }
    let wrong = value.chars().find(|c| is_wrong(*c, text))?;
    let name = name_of(wrong);
    Some(if matches!(wrong, '\n' | '\r') {
        format!("holds a line break ({name}): remove it")
    } else if wrong.is_whitespace() {
        format!("holds a blank ({name}), and it can have none: remove it")
    } else if is_unseen(wrong) {
        format!("holds {name}, which cannot be seen and came along when it was copied: type it anew")
    } else {
        format!("holds {name}, and it has ASCII characters only: copy it again")
    })
}

fn is_wrong(c: char, text: Text) -> bool {
    let is_blank = c.is_whitespace() && text != Text::Free;
    is_unseen(c) || is_blank || (text == Text::Word && !c.is_ascii_graphic())
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '«' | '»' | '\u{2018}'..='\u{201f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_character_that_cannot_be_right_is_named() {
        for (value, text, expected) in [
            ("\"sandbox\"", Text::Word, Some("the quote '\"'")),
            ("\u{201c}sandbox\u{201d}", Text::Word, Some("the quote '“' (U+201C)")),
            ("sandbox'", Text::Word, Some("the quote '\\''")),
            ("'a secret'", Text::Free, Some("the quote '\\''")),
            ("Pass#word1'", Text::Free, None),
            ("ab\u{200b}cd", Text::Word, Some("'\\u{200b}' (U+200B), which cannot be seen")),
            ("https://shop.example/a\u{200b}", Text::Url, Some("'\\u{200b}' (U+200B), which cannot be seen")),
            ("name\u{feff}", Text::Free, Some("'\\u{feff}' (U+FEFF), which cannot be seen")),
            ("ab cd", Text::Word, Some("a blank (' ')")),
            ("ab\u{a0}cd", Text::Url, Some("a blank ('\\u{a0}' (U+00A0))")),
            ("ab\ncd", Text::Word, Some("a line break ('\\n')")),
            ("ab\r\ncd", Text::Free, Some("a line break ('\\r')")),
            ("ab\tcd", Text::Word, Some("a blank ('\\t')")),
            ("kеy", Text::Word, Some("'е' (U+0435), and it has ASCII characters only")),
            ("kеy", Text::Free, None),
            ("https://café.example/", Text::Url, None),
            ("pass word", Text::Free, None),
            ("it's=a/word+", Text::Word, None),
        ] {
            let problem = problem(value, text);
            match (expected, &problem) {
                (Some(expected), Some(problem)) => assert!(problem.contains(expected), "{value:?}: {problem}"),
                (expected, problem) => assert_eq!(problem.as_deref(), expected, "{value:?}"),
            }
        }
    }
}
