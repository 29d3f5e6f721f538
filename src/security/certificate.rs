//! Safaricom's certificates, and the encryption by the keys in them.

use std::{fmt, fmt::Write as _};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rsa::{Pkcs1PublicEncryptingKey, PublicEncryptingKey},
};
use rustls_pki_types::pem::{PemObject, SectionKind};
use zeroize::Zeroizing;

use super::{Origin, der};
use crate::error::Invalid;

const SANDBOX: &[u8] = include_bytes!("certificates/sandbox.cer");
const PRODUCTION: &[u8] = include_bytes!("certificates/production.cer");

/// SHA-256 of the `SubjectPublicKeyInfo` in each: the key decides who can read a credential, whatever holds the key.
const SANDBOX_KEY: &str = "bc1aba1eb634213496663c5e5b69dcda742acc8d5c2bd25eccb16e1caf66e8dc";
const PRODUCTION_KEY: &str = "085bf508c873dd7d69361796925d10f87b59d3f0147d148f46103c1df6464c45";

/// A certificate of Safaricom's, of which only the public key matters: a [`SecurityCredential`] is made with it.
///
/// Two come with this crate. Both expired years ago and both are in use all the same, so dates are not checked: a
/// certificate only carries the key here, and nobody is trusted because of it. If Safaricom changes one before this crate
/// does, take the new one by [`from_pem`](Self::from_pem).
///
/// A credential of the wrong certificate moves no money: it is refused, and several in a row lock the initiator.
///
/// ```
/// use daraja::Certificate;
///
/// let certificate = Certificate::production();
/// assert!(format!("{certificate:?}").starts_with("Certificate { of: Production, sha256: 9417915212ac708d"));
/// assert_ne!(certificate, Certificate::sandbox());
/// ```
///
/// [`SecurityCredential`]: crate::SecurityCredential
#[derive(Clone)]
pub struct Certificate {
    key: PublicEncryptingKey,
    sha256: [u8; 32],
    origin: Origin,
}

impl Certificate {
    /// The sandbox's certificate: CN `apicrypt.safaricom.co.ke`, 2014 to 2016, which the portal hands out to this day.
    ///
    /// # Panics
    ///
    /// Never, as the certificate is this crate's own.
    #[must_use]
    pub fn sandbox() -> Self {
        Self::from_pem(SANDBOX).expect("the certificate is whole")
    }

    /// Production's certificate: CN `apigee.apicaller.safaricom.co.ke`, 2017 to 2018, which production reads to this day.
    ///
    /// # Panics
    ///
    /// Never, as the certificate is this crate's own.
    #[must_use]
    pub fn production() -> Self {
        Self::from_pem(PRODUCTION).expect("the certificate is whole")
    }

    /// Reads the first `CERTIFICATE` or `PUBLIC KEY` of a PEM file, whatever stands around it. If it holds the key of one
    /// of the two certificates that come with this crate, it belongs to the same environment.
    ///
    /// ```
    /// let error = daraja::Certificate::from_pem(b"a page of the portal").unwrap_err();
    /// assert!(error.reason().contains("-----BEGIN CERTIFICATE-----"));
    /// ```
    ///
    /// # Errors
    ///
    /// [`Invalid`] if there is none, if it is damaged, or if its key is not RSA of 2048 to 8192 bits.
    pub fn from_pem(pem: &[u8]) -> Result<Self, Invalid> {
        // What some editors put in front of a text would hide the first line.
        let pem = pem.strip_prefix("\u{feff}".as_bytes()).unwrap_or(pem);
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
            match section {
                Ok((SectionKind::Certificate, der)) => return Self::from_der(&der),
                Ok((SectionKind::PublicKey, der)) => return Self::with_key(&der, &der),
                Ok(_) => {}
                Err(_) => return Err(invalid("its PEM text is damaged: download or copy it anew, whole")),
            }
        }
        Err(invalid("a PEM file is expected, with a line -----BEGIN CERTIFICATE-----"))
    }

    /// SHA-256 of the certificate in DER, as other tools show it. For a bare public key it is that of the key.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    fn from_der(certificate: &[u8]) -> Result<Self, Invalid> {
        let key = der::public_key(certificate);
        Self::with_key(certificate, key.ok_or_else(|| invalid("what its PEM text holds is no certificate"))?)
    }

    fn with_key(der: &[u8], key: &[u8]) -> Result<Self, Invalid> {
        let origin = match &*hex(&sha256(key)) {
            SANDBOX_KEY => Origin::Sandbox,
            PRODUCTION_KEY => Origin::Production,
            _ => Origin::Unknown,
        };
        let key = PublicEncryptingKey::from_der(key)
            .map_err(|_| invalid("its key has to be RSA of 2048 to 8192 bits, as Safaricom's are"))?;
        Ok(Self { key, sha256: sha256(der), origin })
    }

    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// Encrypts by RSA with the padding of PKCS #1 v1.5, which is what Daraja decrypts.
    pub(super) fn seal(&self, plain: &[u8]) -> Result<Zeroizing<Vec<u8>>, Invalid> {
        let refused = |_| Invalid::new("certificate", "its key cannot encrypt");
        let key = Pkcs1PublicEncryptingKey::new(self.key.clone()).map_err(refused)?;
        let most = key.max_plaintext_size();
        if plain.len() > most {
            let reason = format!("it has {} bytes, and the key can encrypt {most} at most", plain.len());
            return Err(Invalid::new("initiator password", reason));
        }
        let mut sealed = Zeroizing::new(vec![0; key.ciphertext_size()]);
        let written = key.encrypt(plain, &mut sealed).map_err(refused)?.len();
        sealed.truncate(written);
        Ok(sealed)
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.sha256 == other.sha256
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("of", &self.origin)
            .field("sha256", &format_args!("{}", hex(&self.sha256)))
            .finish_non_exhaustive()
    }
}

fn invalid(reason: &'static str) -> Invalid {
    Invalid::new("certificate", reason)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(pem: &[u8]) -> Vec<u8> {
        <(SectionKind, Vec<u8>)>::from_pem_slice(pem).unwrap().1
    }

    /// The literals were taken from `openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | sha256sum`.
    #[test]
    fn the_keys_are_those_that_openssl_finds() {
        for (pem, expected) in [
            (SANDBOX, "bc1aba1eb634213496663c5e5b69dcda742acc8d5c2bd25eccb16e1caf66e8dc"),
            (PRODUCTION, "085bf508c873dd7d69361796925d10f87b59d3f0147d148f46103c1df6464c45"),
        ] {
            let certificate = der(pem);
            assert_eq!(hex(&sha256(der::public_key(&certificate).unwrap())), expected);
        }
    }

    #[test]
    fn a_certificate_belongs_to_the_environment_of_its_key() {
        assert_eq!(Certificate::sandbox().origin(), Origin::Sandbox);
        assert_eq!(Certificate::production().origin(), Origin::Production);
        let certificate = der(PRODUCTION);
        let bare = der::public_key(&certificate).unwrap();
        let bare = Certificate::with_key(bare, bare).unwrap();
        assert_eq!(bare.origin(), Origin::Production);
        assert_ne!(bare, Certificate::production());
    }

    #[test]
    fn a_damaged_certificate_is_refused_or_another_one_and_never_panics() {
        for pem in [SANDBOX, PRODUCTION] {
            let whole = der(pem);
            for length in 0..whole.len() {
                assert!(Certificate::from_der(&whole[..length]).is_err(), "{length}");
            }
            for (at, bit) in (0..whole.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << bit;
                let read = Certificate::from_der(&damaged);
                assert_ne!(read.map(|read| read.sha256()), Ok(Certificate::from_der(&whole).unwrap().sha256()));
            }
        }
    }
}
