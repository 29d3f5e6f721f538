//! Phone numbers as people type them.
#![no_main]

use daraja::{Msisdn, Payer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(number) = text.parse::<Msisdn>() else {
        if let Some(payer) = Payer::read(text) {
            assert!(!matches!(payer, Payer::Msisdn(_)), "{payer:?}");
        }
        return;
    };
    let digits = number.to_string();
    assert!(digits.len() == 12 && digits.starts_with("254"), "{digits}");
    assert_eq!(digits.parse(), Ok(number));
    assert_eq!(digits.parse(), Ok(number.as_u64()));
    assert_eq!(Msisdn::try_from(number.as_u64()), Ok(number));
    assert_eq!(number.is_mobile(), matches!(digits.as_bytes()[3], b'1' | b'7'));
    for shown in [number.masked().to_string(), format!("{:?}", number.masked()), format!("{number:?}")] {
        assert!(!shown.contains(&digits) && !shown.contains(&digits[4..10]), "{shown}");
    }

    // No digit is made up, lost or moved: what was typed ends in the nine that the number has.
    let typed: String = text.chars().filter(char::is_ascii_digit).collect();
    assert!(typed.ends_with(&digits[3..]), "{typed}");
    // The same number in front of marks that are skipped, and by itself as a payer.
    assert_eq!(format!(" ({digits})\u{202c}").parse(), Ok(number));
    assert_eq!(Payer::read(text), Some(Payer::Msisdn(number)));
});
