//! The security credential and the certificates it is made with.

use std::{iter, sync::OnceLock};

use aws_lc_rs::{
    encoding::AsDer,
    rsa::{KeySize, Pkcs1PrivateDecryptingKey, PrivateDecryptingKey},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use daraja::{Certificate, InitiatorPassword, SecurityCredential, simulator::Simulator};

const SANDBOX: &str = include_str!("../../src/security/certificates/sandbox.cer");
const PRODUCTION: &str = include_str!("../../src/security/certificates/production.cer");

/// An elliptic key, by openssl.
const ELLIPTIC: &str = "\
-----BEGIN CERTIFICATE-----
MIIBgDCCASegAwIBAgIUSx1Ze8HcvOHd3HoSHJGwILX+WHUwCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKZWMuaW52YWxpZDAgFw0yNjExMjMxNDA5MzZaGA8yMTI2MTAz
MDE0MDkzNlowFTETMBEGA1UEAwwKZWMuaW52YWxpZDBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABBJyTcKXfNgwXWJ8wQm0e1u08is+pRfmFFTuT3dvaGckT08jFEwz
nUNaq29Arb/I9NedrsxweNcAs2XoAMMiipCjUzBRMB0GA1UdDgQWBBRwj1Ti8yHK
RF0YjZznDGWOc2oupTAfBgNVHSMEGDAWgBRwj1Ti8yHKRF0YjZznDGWOc2oupTAP
BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIBy+tOd8Auwy8yUjqtQ4
dD99RONG9fVq4JZplHe+JXvpAiBe8y4iE0EjGz5fV/K55Lh/+1fc5ce0DArN6aQ1
QtFx1g==
-----END CERTIFICATE-----
";

/// A key pair whose private half Safaricom does not have, but this test does.
fn throw_away() -> &'static PrivateDecryptingKey {
    static KEY: OnceLock<PrivateDecryptingKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap())
}

fn public_half() -> Vec<u8> {
    throw_away().public_key().as_der().unwrap().as_ref().to_vec()
}

fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u16::try_from(contents.len()).unwrap().to_be_bytes();
    [&[tag, 0x82], &length[..], contents].concat()
}

fn sequence(elements: &[&[u8]]) -> Vec<u8> {
    element(0x30, &elements.concat())
}

/// A certificate around a public key, with nobody's name and nobody's signature.
fn certificate_of(key: &[u8]) -> String {
    let (version, serial) = (element(0xa0, &[2, 1, 2]), element(2, &[1]));
    let empty = sequence(&[]);
    let signed = sequence(&[&version, &serial, &empty, &empty, &empty, &empty, key]);
    pem("CERTIFICATE", &sequence(&[&signed, &empty, &element(3, &[0; 257])]))
}

fn pem(kind: &str, der: &[u8]) -> String {
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der))
}

fn decrypt(credential: &SecurityCredential) -> String {
    let key = Pkcs1PrivateDecryptingKey::new(throw_away().clone()).unwrap();
    let mut plain = vec![0; key.min_output_size()];
    let sealed = STANDARD.decode(credential.expose()).unwrap();
    String::from_utf8(key.decrypt(&sealed, &mut plain).unwrap().to_vec()).unwrap()
}

fn encrypt(password: &str, certificate: &Certificate) -> Result<SecurityCredential, daraja::error::Invalid> {
    SecurityCredential::encrypt(&InitiatorPassword::new(password), certificate)
}

fn hex(digest: [u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[test]
fn whoever_has_the_private_key_reads_the_password_itself() {
    let key = public_half();
    let longest = "x".repeat(245);
    for certificate in [certificate_of(&key), pem("PUBLIC KEY", &key)] {
        let certificate = Certificate::from_pem(certificate.as_bytes()).unwrap();
        for password in ["Safaricom123!!", "#&%$", "(@.)", " inner blank ", "nenosiri ñ", "x", &*longest] {
            assert_eq!(decrypt(&encrypt(password, &certificate).unwrap()), password);
        }
    }
}

#[test]
fn a_credential_is_another_one_each_time_and_has_344_characters() {
    let simulator = Simulator::new();
    for certificate in [Certificate::sandbox(), Certificate::production(), simulator.certificate()] {
        let [one, other] = [(); 2].map(|()| encrypt("Safaricom123!!", &certificate).unwrap());
        assert_ne!(one, other);
        assert_eq!((one.expose().len(), other.expose().len()), (344, 344));
        assert_eq!(STANDARD.decode(one.expose()).unwrap().len(), 256);
        assert_eq!(format!("{one:?}"), "SecurityCredential([redacted])");
    }
}

#[test]
fn a_password_that_cannot_be_right_is_refused_and_not_shown() {
    let too_long = "planted".repeat(35) + "p";
    for (password, reason) in [
        ("", "it is empty"),
        ("planted\n", "it holds a line break"),
        ("plan\tted", "it holds a line break or the like"),
        (&too_long, "it has 246 bytes, and the key can encrypt 245 at most"),
    ] {
        let error = encrypt(password, &Certificate::sandbox()).unwrap_err();
        assert_eq!(error.what(), "initiator password");
        assert!(error.reason().starts_with(reason), "{error}");
        assert!(!format!("{error} {error:?}").contains("plan"), "{error}");
    }
}

/// The literals are what `openssl x509 -fingerprint -sha256` shows.
#[test]
fn the_certificates_are_safaricoms() {
    for (certificate, text, expected) in [
        (Certificate::sandbox(), SANDBOX, "a542c3c67b598a337a1cc741e5434c70de565081e5c853e05a51c843764766f0"),
        (Certificate::production(), PRODUCTION, "9417915212ac708d3ac82b710e71d976fa0eb783f467b159c15ad7216ef2c16b"),
    ] {
        assert_eq!(hex(certificate.sha256()), expected);
        assert!(format!("{certificate:?}").contains(expected));
        assert_eq!(Certificate::from_pem(text.as_bytes()).unwrap(), certificate);
    }
}

#[test]
fn a_pem_file_is_read_however_it_was_saved() {
    let key = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n";
    for text in [
        SANDBOX.replace('\n', "\r\n"),
        SANDBOX.trim_end().to_owned(),
        SANDBOX.trim_end().replace('\n', "\r\n"),
        format!("subject=CN = apicrypt.safaricom.co.ke\n\n{SANDBOX}"),
        format!("\u{feff}{SANDBOX}"),
        format!("{key}{SANDBOX}"),
        format!("{SANDBOX}{PRODUCTION}"),
        format!("{SANDBOX}what follows is not read\n-----BEGIN CERTIFICATE-----\n!"),
    ] {
        assert_eq!(Certificate::from_pem(text.as_bytes()).as_ref(), Ok(&Certificate::sandbox()), "{text}");
    }
}

/// An RSA key of any size, which nobody has the private half of.
fn rsa_key(bytes: usize) -> Vec<u8> {
    let algorithm = sequence(&[&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1], &[5, 0]]);
    let modulus: Vec<u8> = iter::once(0).chain(iter::repeat_n(0xff, bytes)).collect();
    let pair = shortest(0x30, &[shortest(2, &modulus), shortest(2, &[1, 0, 1])].concat());
    let string = shortest(3, &[vec![0], pair].concat());
    shortest(0x30, &[shortest(0x30, &algorithm[4..]), string].concat())
}

/// An element with the shortest length, as DER wants it.
fn shortest(tag: u8, contents: &[u8]) -> Vec<u8> {
    let long = element(tag, contents);
    match contents.len() {
        0..=0x7f => [&[tag, long[3]], contents].concat(),
        0x80..=0xff => [&[tag, 0x81, long[3]], contents].concat(),
        _ => long,
    }
}

#[test]
fn what_is_no_certificate_of_an_rsa_key_is_refused_with_the_reason() {
    let (no_pem, damaged) = ("a PEM file is expected", "its PEM text is damaged");
    let (no_certificate, no_rsa) =
        ("what its PEM text holds is no certificate", "its key has to be RSA of 2048 to 8192");
    let lines: Vec<&str> = SANDBOX.lines().collect();
    let without = |left_out: usize| [&lines[..left_out], &lines[left_out + 1..]].concat().join("\n");
    for (text, reason) in [
        (String::new(), no_pem),
        ("Safaricom999!*!".to_owned(), no_pem),
        (without(0), no_pem),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned(), no_pem),
        (without(lines.len() - 1), damaged),
        (SANDBOX.replace("MII", "M!I"), damaged),
        (SANDBOX.replacen("-----", "---", 2).replacen("---BEGIN", "-----BEGIN", 1), damaged),
        (without(4), no_certificate),
        (pem("CERTIFICATE", b""), no_certificate),
        (pem("CERTIFICATE", b"garbage"), no_certificate),
        (pem("CERTIFICATE", &public_half()), no_certificate),
        (pem("PUBLIC KEY", b"garbage"), no_rsa),
        (certificate_of(&sequence(&[])), no_rsa),
        (ELLIPTIC.to_owned(), no_rsa),
        (certificate_of(&rsa_key(255)), no_rsa),
        (certificate_of(&rsa_key(1025)), no_rsa),
    ] {
        let error = Certificate::from_pem(text.as_bytes()).unwrap_err();
        assert_eq!(error.what(), "certificate");
        assert!(error.reason().starts_with(reason), "{error}: {text}");
    }
    for bytes in [256, 512, 1024] {
        assert!(Certificate::from_pem(certificate_of(&rsa_key(bytes)).as_bytes()).is_ok(), "{bytes}");
    }
    assert!(Certificate::from_pem(&[0x30, 0x82, 0xff]).unwrap_err().reason().starts_with(no_pem));
}

#[test]
fn the_simulators_initiator_has_a_password_and_a_certificate() {
    let simulator = Simulator::new();
    assert_eq!(simulator.initiator_password().expose(), "simulator-password");
    assert_eq!(simulator.certificate(), Simulator::new().certificate());
    assert!(![Certificate::sandbox(), Certificate::production()].contains(&simulator.certificate()));
}
