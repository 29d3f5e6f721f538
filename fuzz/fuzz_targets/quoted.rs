//! Changes that bytes at random hardly ever hit on.

/// The text with another value between two quotation marks; the text itself decides which of them. Nothing without any.
pub(crate) fn replaced(text: &[u8], value: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let values = text.matches('"').count() / 2;
    let chosen = text.bytes().fold(0_usize, |sum, byte| sum.wrapping_add(usize::from(byte))).checked_rem(values)?;
    // What stands between marks is every other part.
    let chosen = chosen.saturating_mul(2).saturating_add(1);
    let parts = text.split('"').enumerate().map(|(at, part)| if at == chosen { value } else { part });
    Some(parts.collect::<Vec<_>>().join("\"").into())
}
