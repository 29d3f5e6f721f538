//! What Daraja, or something between, posted and this crate does not know.

use std::fmt;

use crate::error::DecodeError;

/// The keys by which messages are recognised.
const KNOWN: [&str; 9] = [
    "stkCallback",
    "CheckoutRequestID",
    "Result",
    "ResultCode",
    "ResultParameters",
    "TransID",
    "OriginatorConversationID",
    "OriginatorCoversationID",
    "ConversationID",
];

/// Something that Daraja posted and this crate does not know, or cannot conclude anything from, as it came.
///
/// It can hold names and numbers: `Debug` shows its size only.
#[derive(Clone, PartialEq, Eq)]
pub struct UnknownEvent {
    pub(super) raw: Box<str>,
    pub(super) problem: Option<DecodeError>,
}

impl UnknownEvent {
    /// The JSON as it came, without white space at its ends.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// Why it was not taken for what it looks like, such as a callback that names two pushes. `None` if it looks like
    /// nothing that is known.
    #[must_use]
    pub fn problem(&self) -> Option<&DecodeError> {
        self.problem.as_ref()
    }

    /// The first key of Daraja's messages that it holds, at any depth and in upper or lower case: then it is such a message in
    /// another shape, because a proxy or a platform has wrapped or rewritten it.
    ///
    /// ```
    /// use daraja::webhook::Event;
    ///
    /// let body = br#"{"data":{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":0}}}}"#;
    /// let Event::Unknown(unknown) = Event::parse(body)? else { panic!("it is wrapped") };
    /// assert_eq!(unknown.known_key(), Some("stkCallback"));
    /// # Ok::<(), daraja::Error>(())
    /// ```
    #[must_use]
    pub fn known_key(&self) -> Option<&'static str> {
        let text = self.raw.to_ascii_lowercase();
        let position = |key: &'static str| Some((position_of(&key.to_ascii_lowercase(), &text)?, key));
        KNOWN.into_iter().filter_map(position).min().map(|(_, key)| key)
    }

    /// It was accepted at a signed URL, and no other event reports it.
    #[cfg(feature = "crypto")]
    pub(super) fn warn(&self, reference: &str) {
        let (bytes, problem) = (self.raw.len(), self.problem.as_ref().map(DecodeError::problem));
        tracing::warn!(
            %reference,
            known_key = self.known_key(),
            problem,
            bytes,
            "delivery not understood: it was accepted and proves nothing, so look at its body"
        );
    }
}

impl fmt::Debug for UnknownEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnknownEvent").field("bytes", &self.raw.len()).field("problem", &self.problem).finish()
    }
}

/// Where a text has this name with a colon behind it. JSON inside a string has a backslash before each quote.
fn position_of(key: &str, text: &str) -> Option<usize> {
    let is_key = |(at, found): &(usize, &str)| {
        let (before, after) = (text.get(..*at)?, text.get(at.checked_add(found.len())?..)?);
        let after = after.strip_prefix('\\').unwrap_or(after).strip_prefix('"')?;
        (before.ends_with('"') && after.trim_start().starts_with(':')).then_some(())
    };
    text.match_indices(key).find(|found| is_key(found).is_some()).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_key_is_found_at_any_depth_and_in_other_spellings() {
        for (raw, expected) in [
            (r#"{"data":{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1"}}}}"#, Some("stkCallback")),
            (r#"[{"a":[{"Result" : {}}]}]"#, Some("Result")),
            (r#"{"checkoutRequestId":"ws_CO_1","resultCode":0}"#, Some("CheckoutRequestID")),
            (r#"{"Message":"{\"Body\":{\"stkCallback\":{}}}"}"#, Some("stkCallback")),
            (r#"{"Name":"ResultCode","Value":1}"#, None),
            (r#"{"NotAResult":1}"#, None),
            (r#"{"ResultCodes":1}"#, None),
            ("7", None),
        ] {
            let unknown = UnknownEvent { raw: raw.into(), problem: None };
            assert_eq!(unknown.known_key(), expected, "{raw}");
        }
    }
}
