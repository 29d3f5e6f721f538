//! The initiator whom the simulator knows: a password, and a key pair that opens nothing anywhere else.

use std::{convert::Infallible, sync::LazyLock};

use aws_lc_rs::rsa::{Pkcs1PrivateDecryptingKey, PrivateDecryptingKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{Certificate, recent::Recent};

pub(super) const PASSWORD: &str = "simulator-password";

pub(super) const CERTIFICATE: &str = include_str!("initiator/certificate.cer");

static KEY: LazyLock<Pkcs1PrivateDecryptingKey> = LazyLock::new(|| {
    let key = PrivateDecryptingKey::from_pkcs8(include_bytes!("initiator/key.der")).expect("the key is whole");
    Pkcs1PrivateDecryptingKey::new(key).expect("an RSA key decrypts")
});

pub(super) fn certificate() -> Certificate {
    Certificate::from_pem(CERTIFICATE.as_bytes()).expect("the certificate is whole")
}

/// The password in a credential, or `None` if it was not made with this certificate.
fn decrypt(credential: &str) -> Option<Zeroizing<Vec<u8>>> {
    let sealed = STANDARD.decode(credential).ok()?;
    let mut buffer = Zeroizing::new(vec![0; KEY.min_output_size()]);
    let length = KEY.decrypt(&sealed, &mut buffer).ok()?.len();
    buffer.truncate(length);
    Some(buffer)
}

/// Whether a credential holds the initiator's password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    Right,
    Wrong,
}

/// Judges a credential. Programs send one and the same over and over, and reading one takes a millisecond.
pub(super) fn judge(credential: &str) -> Judgement {
    static JUDGED: LazyLock<Recent<String, Judgement>> = LazyLock::new(Recent::default);
    let judge = || {
        let opened = decrypt(credential);
        let right = opened.is_some_and(|password| **password == *PASSWORD.as_bytes());
        Ok::<_, Infallible>((credential.to_owned(), if right { Judgement::Right } else { Judgement::Wrong }))
    };
    JUDGED.get(|known| known == credential, judge).unwrap_or_else(|never| match never {})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InitiatorPassword, SecurityCredential};

    #[test]
    fn it_reads_the_credentials_of_its_own_certificate_only() {
        let password = InitiatorPassword::new("Päss #&%$ word");
        let sealed = |certificate: &Certificate| SecurityCredential::encrypt(&password, certificate).unwrap();
        let opened = decrypt(sealed(&certificate()).expose()).unwrap();
        assert_eq!(&**opened, password.expose().as_bytes());
        for other in [Certificate::sandbox(), Certificate::production()] {
            assert_eq!(decrypt(sealed(&other).expose()), None);
        }
        for nothing in ["", "Safaricom999", "no base64!", &"A".repeat(344), &"AAAA".repeat(4096)] {
            assert_eq!(decrypt(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn the_certificate_is_of_no_environment() {
        assert!(format!("{:?}", certificate()).starts_with("Certificate { of: Unknown"));
    }
}
