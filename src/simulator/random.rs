//! What looks random and is the same for the same seed: ids, receipts, moods. Not for secrets.

use chrono::{DateTime, Datelike, FixedOffset};

/// `SplitMix64`: small, well spread, and its whole state is one number.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Whether the one case in `cases` came up.
    pub(super) fn one_in(&mut self, cases: u64) -> Chance {
        if self.next().checked_rem(cases) == Some(0) { Chance::Hit } else { Chance::Miss }
    }

    /// The gateway's id in its newer shape, such as `5dbd-4f93-a478-41cdaf2b9acd86873`.
    pub(super) fn request_id(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:04x}-{:04x}-{:04x}-{:012x}{:05}",
            high >> 48,
            (high >> 32) & 0xffff,
            (high >> 16) & 0xffff,
            low >> 16,
            low % 100_000
        )
    }

    /// A bearer token: 28 letters and digits.
    pub(super) fn token(&mut self) -> String {
        const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        (0..28).map(|_| pick(ALPHABET, self.next())).collect()
    }
}

pub(super) enum Chance {
    Hit,
    Miss,
}

fn pick(alphabet: &[u8], number: u64) -> char {
    let index: usize = number.checked_rem(alphabet.len() as u64).and_then(|index| index.try_into().ok()).unwrap_or(0);
    alphabet.get(index).map_or('0', |&byte| char::from(byte))
}

const BASE_36: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// M-PESA's receipt: a letter for the year (M is 2018), one for the month, one for the day, then seven of `[A-Z0-9]`.
/// The `count`th differs from all others of the day.
pub(super) fn receipt(count: u64, day: DateTime<FixedOffset>) -> String {
    // Multiplying by a number that shares no factor with 36 visits every value once.
    const ALL: u64 = 36_u64.pow(7);
    let mut rest = count.wrapping_mul(2_654_435_761).wrapping_add(1_234_567_891) % ALL;
    let year = pick(&BASE_36[10..], u64::from(day.year().unsigned_abs()).saturating_sub(2018).saturating_add(12));
    let month = pick(&BASE_36[10..], u64::from(day.month0()));
    let date = pick(BASE_36, u64::from(day.day()));
    let tail = (0..7).map(|_| {
        let digit = pick(BASE_36, rest % 36);
        rest /= 36;
        digit
    });
    [year, month, date].into_iter().chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn receipts_follow_the_date_and_never_repeat() {
        let day = DateTime::parse_from_rfc3339("2026-11-23T12:00:00+03:00").unwrap();
        let receipts: HashSet<String> = (0..50_000).map(|count| receipt(count, day)).collect();
        assert_eq!(receipts.len(), 50_000);
        assert!(receipts.iter().all(|receipt| receipt.len() == 10 && receipt.starts_with("UKN")));
    }

    #[test]
    fn the_same_seed_brings_the_same_ids() {
        let ids = |seed| {
            let mut random = Random::new(seed);
            (random.request_id(), random.token())
        };
        assert_eq!(ids(7), ids(7));
        assert_ne!(ids(7), ids(8));
        assert_eq!(ids(7).1.len(), 28);
    }
}
