//! Seals tokens, because others can read and write where they are kept.

use std::fmt::Write as _;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, Prk, Salt},
};

use super::TokenKey;
use crate::secret::AccessToken;

/// Made of the consumer secret, which every process of the app has and Redis has not.
pub(super) struct Seal {
    key: RandomizedNonceKey,
    name: String,
}

impl Seal {
    pub(super) fn new(key: &TokenKey) -> Self {
        let secret = Salt::new(HKDF_SHA256, b"daraja token store").extract(key.secret.expose().as_bytes());
        let app = format!("{}\0{}", key.environment(), key.consumer_key());
        let sealing = zeroize::Zeroizing::new(derive(&secret, "seal", &app));
        let key = RandomizedNonceKey::new(&AES_256_GCM, &*sealing).expect("it is a key of 32 bytes");
        let name = derive(&secret, "name", &app).iter().take(16).fold(String::new(), |mut name, byte| {
            _ = write!(name, "{byte:02x}");
            name
        });
        Self { key, name }
    }

    /// Stands for the app: 32 hexadecimal digits.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn close(&self, token: &AccessToken) -> Vec<u8> {
        let mut sealed = token.expose().as_bytes().to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::empty(), &mut sealed).expect("a token is short");
        [&nonce.as_ref()[..], &sealed].concat()
    }

    /// The token, if nobody else made this.
    pub(super) fn open(&self, mut sealed: Vec<u8>) -> Option<AccessToken> {
        let (nonce, rest) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let token = self.key.open_in_place(nonce, Aad::empty(), rest).ok()?;
        let token = std::str::from_utf8(token).ok().map(AccessToken::from);
        zeroize::Zeroize::zeroize(&mut sealed);
        token
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
        let sealed = own.close(&AccessToken::new("c9SQxWWhmdVRlyh0zh8gZDTkubVF"));
        assert!(!String::from_utf8_lossy(&sealed).contains("c9SQxWWh"));
        assert_ne!(sealed, own.close(&AccessToken::new("c9SQxWWhmdVRlyh0zh8gZDTkubVF")));

        let again = seal("https://sandbox.safaricom.co.ke", "the key", "the secret");
        assert_eq!(again.name(), own.name());
        assert_eq!(again.open(sealed.clone()).unwrap().expose(), "c9SQxWWhmdVRlyh0zh8gZDTkubVF");

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
        let sealed = own.close(&AccessToken::new("a token"));
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
