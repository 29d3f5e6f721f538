//! Paths of deliveries: nothing but what was signed is taken, whole and unchanged.
#![no_main]

use std::sync::LazyLock;

use daraja::{
    Url,
    webhook::{Purpose, Reference, SignedUrls},
};
use libfuzzer_sys::fuzz_target;

/// The new secret, and both.
static URLS: LazyLock<[SignedUrls; 2]> = LazyLock::new(|| {
    let base = |path: &str| format!("https://shop.example{path}").parse::<Url>().expect("a URL");
    let urls = SignedUrls::new(base("/daraja/"), "a secret of nobody, 32 characters or more").expect("a secret");
    let urls = urls.at(Purpose::QuestionTimeout, base("/daraja/stk")).expect("a base");
    // Two purposes at one base.
    let urls = urls.at(Purpose::Question, base("/daraja/payout")).expect("a base");
    let both = urls.clone().also_accept("an older secret, of 32 characters or more").expect("a secret");
    [urls, both]
});

fuzz_target!(|data: &[u8]| {
    if let Ok(path) = std::str::from_utf8(data) {
        check(path);
    }
    changed(data);
});

/// No signature is ever guessed, so the right path is taken and changed: a few bytes are cut out, and others put in.
fn changed(data: &[u8]) {
    let [purpose, at, cut, rest @ ..] = data else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let (reference, inserted) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(reference) = reference.parse::<Reference>() else { return };
    let [urls, _] = &*URLS;
    let made = made(urls, usize::from(*purpose), &reference);
    check(&made);
    let at = usize::from(*at).min(made.len());
    respelled(&made, at);
    let end = at.saturating_add(usize::from(*cut)).min(made.len());
    let mut path = made;
    path.replace_range(at..end, inserted);
    check(&path);
}

/// Other spellings of one character, all of which a web server may take for the same path.
fn respelled(made: &str, at: usize) {
    let (before, rest) = made.split_at(at);
    let Some(c) = rest.chars().next() else { return };
    let after = rest.strip_prefix(c).unwrap_or_default();
    let upper = c.to_ascii_uppercase();
    for spelling in [upper.to_string(), format!("%{:02X}", u32::from(c)), format!("{c}{c}"), format!("{c}/./")] {
        check(&format!("{before}{spelling}{after}"));
    }
}

fn check(path: &str) {
    let [urls, both] = &*URLS;
    let verdict = urls.verify(path);
    // An older secret that signed nothing changes nothing.
    assert_eq!(verdict, both.verify(path));
    if let Ok((purpose, reference)) = verdict {
        let made = match purpose {
            Purpose::Stk => made(urls, 0, &reference),
            Purpose::Payout => made(urls, 1, &reference),
            Purpose::PayoutTimeout => made(urls, 2, &reference),
            Purpose::Question => made(urls, 3, &reference),
            Purpose::QuestionTimeout => made(urls, 4, &reference),
            Purpose::C2bValidation => made(urls, 5, &reference),
            Purpose::C2bConfirmation => made(urls, 6, &reference),
            other => panic!("a purpose that is not known here: {other:?}"),
        };
        assert_eq!(path, made);
    }
}

fn made(urls: &SignedUrls, purpose: usize, reference: &Reference) -> String {
    let (payout, question) = (urls.payout(reference), urls.question(reference));
    let url = match purpose % 7 {
        0 => urls.stk(reference),
        1 => payout.result().clone(),
        2 => payout.timeout().clone(),
        3 => question.result().clone(),
        4 => question.timeout().clone(),
        5 => urls.c2b_validation(reference),
        _ => urls.c2b_confirmation(reference),
    };
    assert!(url.as_str().len() <= 255, "{url}");
    assert!(urls.verify(url.path()).is_ok_and(|(_, read)| read == *reference), "{url}");
    url.path().to_owned()
}
