//! Certificates that an initiator's password is encrypted with: read from a file that somebody sent by mail.
#![no_main]

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use daraja::{
    secret::InitiatorPassword,
    security::{Certificate, SecurityCredential},
};
use libfuzzer_sys::fuzz_target;

/// That of the simulator.
const PEM: &str = include_str!("../../src/simulator/initiator/certificate.cer");

static DER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let text: String = PEM.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(text).expect("base64")
});

fuzz_target!(|data: &[u8]| {
    check(data);
    check(&pem("CERTIFICATE", data));
    check(&pem("PUBLIC KEY", data));
    check(&changed(PEM.as_bytes(), data));
    let der = changed(&DER, data);
    check(&pem("CERTIFICATE", &der));
    check(&pem("PUBLIC KEY", &der));
});

/// What is taken encrypts a password, to as many bytes as its key has.
fn check(pem: &[u8]) {
    let Ok(certificate) = Certificate::from_pem(pem) else { return };
    let password = InitiatorPassword::new("Abc#1");
    let credential = SecurityCredential::encrypt(&password, &certificate).expect("it is short");
    let length = STANDARD.decode(credential.expose()).expect("base64").len();
    assert!((256..=1_024).contains(&length), "{length} bytes");
}

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der)).into_bytes()
}

/// No certificate is ever guessed, so a right one is taken and changed: a few bytes are cut out, and others put in, as often
/// as there is data for it.
fn changed(whole: &[u8], data: &[u8]) -> Vec<u8> {
    let (mut changed, mut data) = (whole.to_vec(), data);
    while let [high, low, cut, inserted, rest @ ..] = data {
        let at = usize::from(u16::from_be_bytes([*high, *low])).checked_rem(changed.len()).unwrap_or_default();
        let end = at.saturating_add(usize::from(*cut % 40)).min(changed.len());
        let (inserted, rest) = rest.split_at(usize::from(*inserted % 20).min(rest.len()));
        changed.splice(at..end, inserted.iter().copied());
        data = rest;
    }
    changed
}
