//! What was computed last and is likely to be wanted again: an app calls a few endpoints, over and over.

use crate::sync::{PoisonError, RwLock};

/// The values of the last few keys that were asked for first.
pub(crate) struct Recent<K, V, const KEPT: usize = 8>(RwLock<Vec<(K, V)>>);

impl<K, V: Clone, const KEPT: usize> Recent<K, V, KEPT> {
    /// The value of the key that is meant, or the one that is made now.
    pub(crate) fn get<E>(
        &self,
        is_meant: impl Fn(&K) -> bool,
        make: impl FnOnce() -> Result<(K, V), E>,
    ) -> Result<V, E> {
        let known = |kept: &[(K, V)]| kept.iter().find(|(key, _)| is_meant(key)).map(|(_, value)| value.clone());
        if let Some(value) = known(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(value);
        }
        let new = make()?;
        let value = new.1.clone();
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        kept.truncate(KEPT.saturating_sub(1));
        kept.insert(0, new);
        Ok(value)
    }
}

impl<K, V, const KEPT: usize> Default for Recent<K, V, KEPT> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn get(recent: &Recent<u32, u32>, key: u32, made: u32) -> u32 {
        recent.get(|known| *known == key, || Ok::<_, Infallible>((key, made))).unwrap_or_else(|never| match never {})
    }

    #[test]
    fn a_value_is_made_once() {
        let recent = Recent::default();
        assert_eq!([get(&recent, 1, 10), get(&recent, 2, 20), get(&recent, 1, 30)], [10, 20, 10]);
    }

    #[test]
    fn the_oldest_value_goes() {
        let recent = Recent::default();
        for key in 0..=8 {
            get(&recent, key, 10);
        }
        assert_eq!([get(&recent, 1, 20), get(&recent, 0, 20)], [10, 20]);
    }

    #[test]
    fn what_cannot_be_made_is_not_kept() {
        let recent = Recent::default();
        assert_eq!(recent.get(|known| *known == 1, || Err::<(u32, u32), _>("no")), Err("no"));
        assert_eq!(get(&recent, 1, 20), 20);
    }
}
