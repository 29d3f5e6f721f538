//! A short text without an allocation: a push is built from several of them.

/// At most `N` bytes of text, padded with NUL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Inline<const N: usize> {
    // The derived order is that of the text, because the padding sorts before every character that is let in.
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Inline<N> {
    /// Keeps the text verbatim; `None` if it does not fit.
    pub(super) fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; N];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { bytes, len: text.len().try_into().ok()? })
    }

    pub(super) fn as_str(&self) -> &str {
        let filled = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        std::str::from_utf8(filled).expect("filled from a whole string")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_verbatim_or_not_at_all() {
        assert_eq!(Inline::<3>::new("é1").unwrap().as_str(), "é1");
        assert_eq!(Inline::<3>::new("").unwrap().as_str(), "");
        assert!(Inline::<3>::new("1234").is_none());
    }

    #[test]
    fn the_order_is_that_of_the_text() {
        let mut texts = ["B", "AB", "A", "ABA"].map(|text| Inline::<4>::new(text).unwrap());
        texts.sort();
        assert_eq!(texts.each_ref().map(Inline::as_str), ["A", "AB", "ABA", "B"]);
    }
}
