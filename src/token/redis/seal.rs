//! Seals tokens, because others can read and write where they are kept.

use std::fmt::Write as _;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, MAX_TAG_LEN, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, Prk, Salt},
};

use super::super::LONGEST_TOKEN;
use super::TokenKey;
use crate::secret::AccessToken;

/// The longest that a token of ours is when it is sealed: nonce, end, token and tag.
pub(super) const LONGEST_SEALED: usize = NONCE_LEN + size_of::<u64>() + LONGEST_TOKEN + MAX_TAG_LEN;

/// Made of the consumer secret, which every process of the app has and Redis has not.
pub(super) struct Seal {
    key: RandomizedNonceKey,
    name: String,
}

impl Seal {
    pub(super) fn new(key: &TokenKey) -> Self {
        let secret = Salt::new(HKDF_SHA256, b"daraja token store").extract(key.secret.expose().as_bytes());
        let app = format!("{}\0{}", key.environment(), key.consumer_key());
        let sealing = zeroize::Zeroizing::new(derive(&secret, "seal of token and end", &app));
        let key = RandomizedNonceKey::new(&AES_256_GCM, &*sealing).expect("it is a key of 32 bytes");
        // Tokens without an expiry had another name: processes of two versions do not overwrite each other's tokens.
        let name =
            derive(&secret, "name of token and end", &app).iter().take(16).fold(String::new(), |mut name, byte| {
                _ = write!(name, "{byte:02x}");
                name
            });
        Self { key, name }
    }

    /// Stands for the app: 32 hexadecimal digits.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// `dies` is counted in seconds since 1970.
    pub(super) fn close(&self, token: &AccessToken, dies: u64) -> Vec<u8> {
        let mut sealed = [&dies.to_be_bytes()[..], token.expose().as_bytes()].concat();
        let nonce = self.key.seal_in_place_append_tag(Aad::empty(), &mut sealed).expect("a token is short");
        [&nonce.as_ref()[..], &sealed].concat()
    }

    /// The token and its expiry, if this app sealed it.
    pub(super) fn open(&self, mut sealed: Vec<u8>) -> Option<(AccessToken, u64)> {
        let (nonce, rest) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let (dies, token) = self.key.open_in_place(nonce, Aad::empty(), rest).ok()?.split_first_chunk()?;
        let (dies, token) = (u64::from_be_bytes(*dies), std::str::from_utf8(token).ok().map(AccessToken::from));
        zeroize::Zeroize::zeroize(&mut sealed);
        token.map(|token| (token, dies))
    }
}

fn derive(secret: &Prk, purpose: &str, app: &str) -> [u8; 32] {
    let mut derived = [0; 32];
    secret
        .expand(&[purpose.as_bytes(), b"\0", app.as_bytes()], HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut derived))
        .expect("it is as long as a hash");
    derived
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Credentials;

    fn seal(environment: &str, key: &str, secret: &str) -> Seal {
        Seal::new(&TokenKey::new(environment, &Credentials::new(key, secret)))
    }

    #[test]
    fn what_is_sealed_is_opened_by_the_same_app_only() {
        let own = seal("https://sandbox.safaricom.co.ke", "the key", "the secret");
        let token = AccessToken::new("c9SQxWWhmdVRlyh0zh8gZDTkubVF");
        let sealed = own.close(&token, 1_790_000_000);
        assert!(!String::from_utf8_lossy(&sealed).contains("c9SQxWWh"));
        assert_ne!(sealed, own.close(&token, 1_790_000_000));

        let again = seal("https://sandbox.safaricom.co.ke", "the key", "the secret");
        assert_eq!(again.name(), own.name());
        assert!(again.open(sealed.clone()) == Some((token, 1_790_000_000)));
        let longest = own.close(&AccessToken::new("a".repeat(LONGEST_TOKEN)), u64::MAX);
        assert_eq!(longest.len(), LONGEST_SEALED);

        let others = [
            seal("https://api.safaricom.co.ke", "the key", "the secret"),
            seal("https://sandbox.safaricom.co.ke", "another key", "the secret"),
            seal("https://sandbox.safaricom.co.ke", "the key", "another secret"),
        ];
        for other in others {
            assert_ne!(other.name(), own.name());
            assert!(other.open(sealed.clone()).is_none());
        }
    }

    #[test]
    fn rubbish_and_what_was_changed_is_no_token() {
        let own = seal("https://sandbox.safaricom.co.ke", "the key", "the secret");
        let sealed = own.close(&AccessToken::new("a token"), 1_790_000_000);
        for cut in 0..sealed.len() {
            assert!(own.open(sealed[..cut].to_vec()).is_none(), "the first {cut} bytes");
        }
        for changed in 0..sealed.len() {
            let mut bytes = sealed.clone();
            bytes[changed] ^= 1;
            assert!(own.open(bytes).is_none(), "byte {changed}");
        }
        assert!(own.open(b"Bearer of nobody, and long enough to be one".to_vec()).is_none());
    }

    #[test]
    fn a_name_tells_nothing() {
        let name = seal("https://sandbox.safaricom.co.ke", "the key", "the secret").name().to_owned();
        assert_eq!(name.len(), 32);
        assert!(name.bytes().all(|digit| digit.is_ascii_hexdigit()));
    }
}
