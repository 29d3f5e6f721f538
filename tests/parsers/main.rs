//! The fuzz targets without the fuzzer: what they assert of every input, asserted of seeds that are changed by chance.
//!
//! The fuzzer looks for ways that no input took yet, and needs a build of its own: `just fuzz`. This costs seconds, and fails
//! for whoever runs `cargo test`. A seed is fixed, so that it fails because of a change, and not by luck.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows has failed")]
#![expect(clippy::duplicate_mod, reason = "each target is a program elsewhere, and two have a module in common")]

// The targets ask the fuzzer for the macro at the end.
extern crate self as libfuzzer_sys;

mod chance;
#[path = "../soak/dice.rs"]
#[expect(dead_code, reason = "the soak test throws it in more ways")]
mod dice;

use chance::{fixtures, meet};

/// The modules, their files being programs of their own elsewhere.
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
fn what_is_posted_is_read_or_refused() {
    meet(event::meets, &fixtures(), 3_000);
}

#[test]
fn an_answer_is_taken_for_no_more_than_it_says() {
    let mut seeds = fixtures();
    seeds.extend(texts(&[
        r#"{"requestId":"11728-2929992-1","errorCode":"500.001.1001","errorMessage":"The transaction is being processed"}"#,
        r#"{"MerchantRequestID":"29115-34620561-1","CheckoutRequestID":"ws_CO_061020261702341708374149","ResponseCode":"0","ResponseDescription":"Success","CustomerMessage":"Success"}"#,
        r#"{"access_token":"no-token-of-anybody","expires_in":"3599"}"#,
        "<html><body>Service unavailable</body></html>",
        "",
    ]));
    meet(error_body::meets, &seeds, 300);
}

#[test]
fn nobody_comes_in_by_what_he_writes_of_himself() {
    let seeds = texts(&[
        "\u{0}196.201.214.200",
        "\u{1}for=196.201.214.200;proto=https",
        "\u{2}203.0.113.7, 196.201.214.200\n10.1.2.3",
        "\u{3}for=\"[2001:db8::7]:4711\", for=196.201.214.200;by=_proxy",
        "\u{5}for=unknown,\n for=\"10.0.0.1\"",
        "\u{6}::ffff:196.201.214.200",
    ]);
    meet(forwarded::meets, &seeds, 8_000);
}

#[test]
fn a_number_is_understood_as_typed_or_not_at_all() {
    let seeds =
        texts(&["0708 374 149", "+254-708-374-149", "254708374149", "(254) 0708.374.149", "0110000001", "708374149"]);
    meet(msisdn::meets, &seeds, 40_000);
}

#[test]
fn a_path_opens_only_as_it_was_signed() {
    let seeds = texts(&[
        "/daraja/stk/attempt-1042/0",
        "\u{0}\u{8}\u{1}attempt-1042\n/",
        "\u{3}\u{10}\u{0}attempt-1042\n%2f",
        "\u{5}\u{7f}\u{2}a.b~c_d\n..",
    ]);
    meet(signed_path::meets, &seeds, 6_000);
}

#[test]
fn a_certificate_encrypts_or_is_refused() {
    let seeds =
        vec![vec![0; 8], include_bytes!("../../src/security/certificates/sandbox.cer").to_vec(), vec![0x30, 0x82, 1]];
    meet(certificate::meets, &seeds, 300);
}

/// A target as a function.
#[macro_export]
macro_rules! fuzz_target {
    (|$input:ident: &[u8]| $body:block) => {
        pub(crate) fn meets($input: &[u8]) {
            $body
        }
    };
    (|$input:ident: &str| $body:block) => {
        pub(crate) fn meets(input: &[u8]) {
            let Ok($input) = std::str::from_utf8(input) else { return };
            $body
        }
    };
}
