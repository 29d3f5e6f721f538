//! The fuzz targets without the fuzzer: what they assert of every input, asserted of sample inputs with random changes.
//!
//! The fuzzer searches for inputs that reach new code, and needs a build of its own: `just fuzz`. These tests take seconds
//! and run with `cargo test`. The random numbers are the same in each run: if a test fails, a change is the cause.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows has failed")]
#![expect(clippy::duplicate_mod, reason = "each target is a program elsewhere, and two have a module in common")]

// The targets import `fuzz_target!` from libfuzzer_sys. Here it is the macro at the end of this file.
extern crate self as libfuzzer_sys;

mod chance;
#[path = "../soak/dice.rs"]
#[expect(dead_code, reason = "only the soak test uses all of it")]
mod dice;

use chance::{check_all, fixtures};

/// Each file is a program of its own in `fuzz/`, and a module here.
macro_rules! targets {
    ($($(#[$path:meta])+ $name:ident;)*) => {$(
        $(#[$path])+
        #[allow(unused_attributes, reason = "the fuzzer brings `main`")]
        mod $name;
    )*};
}

targets! {
    #[path = "../../fuzz/fuzz_targets/certificate.rs"] certificate;
    #[path = "../../fuzz/fuzz_targets/error_body.rs"] error_body;
    #[path = "../../fuzz/fuzz_targets/event.rs"] event;
    #[path = "../../fuzz/fuzz_targets/forwarded.rs"] forwarded;
    #[path = "../../fuzz/fuzz_targets/msisdn.rs"] msisdn;
    #[path = "../../fuzz/fuzz_targets/signed_path.rs"] signed_path;
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn every_posted_body_is_parsed_or_refused() {
    check_all(event::check_input, &fixtures(), 3_000);
}

#[test]
fn every_answer_is_classified_safely() {
    let mut seeds = fixtures();
    seeds.extend(texts(&[
        r#"{"requestId":"11728-2929992-1","errorCode":"500.001.1001","errorMessage":"The transaction is being processed"}"#,
        r#"{"MerchantRequestID":"29115-34620561-1","CheckoutRequestID":"ws_CO_061020261702341708374149","ResponseCode":"0","ResponseDescription":"Success","CustomerMessage":"Success"}"#,
        r#"{"access_token":"no-token-of-anybody","expires_in":"3599"}"#,
        "<html><body>Service unavailable</body></html>",
        "",
    ]));
    check_all(error_body::check_input, &seeds, 300);
}

#[test]
fn a_forged_proxy_header_is_not_accepted() {
    let seeds = texts(&[
        "\u{0}196.201.214.200",
        "\u{1}for=196.201.214.200;proto=https",
        "\u{2}203.0.113.7, 196.201.214.200\n10.1.2.3",
        "\u{3}for=\"[2001:db8::7]:4711\", for=196.201.214.200;by=_proxy",
        "\u{5}for=unknown,\n for=\"10.0.0.1\"",
        "\u{6}::ffff:196.201.214.200",
    ]);
    check_all(forwarded::check_input, &seeds, 8_000);
}

#[test]
fn a_phone_number_is_parsed_exactly_or_refused() {
    let seeds =
        texts(&["0708 374 149", "+254-708-374-149", "254708374149", "(254) 0708.374.149", "0110000001", "708374149"]);
    check_all(msisdn::check_input, &seeds, 40_000);
}

#[test]
fn only_a_signed_path_is_accepted() {
    let seeds = texts(&[
        "/daraja/stk/attempt-1042/0",
        "\u{0}\u{8}\u{1}attempt-1042\n/",
        "\u{3}\u{10}\u{0}attempt-1042\n%2f",
        "\u{5}\u{7f}\u{2}a.b~c_d\n..",
    ]);
    check_all(signed_path::check_input, &seeds, 6_000);
}

#[test]
fn a_certificate_encrypts_or_is_refused() {
    let seeds =
        vec![vec![0; 8], include_bytes!("../../src/security/certificates/sandbox.cer").to_vec(), vec![0x30, 0x82, 1]];
    check_all(certificate::check_input, &seeds, 300);
}

/// A target as a function.
#[macro_export]
macro_rules! fuzz_target {
    (|$input:ident: &[u8]| $body:block) => {
        pub(crate) fn check_input($input: &[u8]) {
            $body
        }
    };
    (|$input:ident: &str| $body:block) => {
        pub(crate) fn check_input(input: &[u8]) {
            let Ok($input) = std::str::from_utf8(input) else { return };
            $body
        }
    };
}
