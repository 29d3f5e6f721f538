//! Callback URLs that nobody can guess: what is signed, what is accepted, and what is refused.

use daraja::webhook::{
    Purpose::{self, C2bConfirmation, C2bValidation, Payout, PayoutTimeout, Question, QuestionTimeout, Stk},
    Reference, Refused, SignedUrls,
};
use url::Url;

const SECRET: &str = "3b1e9c47d2a86f05c4e7b91d60a3f82e";
const OLDER: &str = "an older one, 32 characters or more too";

/// HMAC-SHA256 of `daraja callback v2\nshop.example/daraja/{purpose}\n{purpose}\nattempt-1042`, computed by another program.
const MACS: [(Purpose, &str, &str); 7] = [
    (Stk, "stk", "4caafab9f14b86ba2cb420f28de61e891c0a4882c7aaa549d6a603ec2ca1446c"),
    (Payout, "payout", "0818771aa2b97b34ac59792e459f4eaf58a09e415dd9e8cb79ce581dc0a9c146"),
    (PayoutTimeout, "payout-timeout", "e18d35be1d736d7921810bb3823f3a54bfcc1ee033657b4adf1dac720730bfc3"),
    (Question, "question", "5ca6c2a2d263db04628594f84f61baa1c95da958124cb6dd65a8c227897efe9b"),
    (QuestionTimeout, "question-timeout", "eabfd1de7d07da455ffbce5d6b7fdc90ef2c375300b50a87afb2bbba24f5a552"),
    (C2bValidation, "validation", "a27315a97aee2b2c63466b9dae266ea1fdfa6a047ab2f1f36d993c10e067c9fb"),
    (C2bConfirmation, "confirmation", "27f0792b0f675a55a3130440831200056483c162b4e196bdb066aa6cc4dc0e52"),
];
const STK_MAC: &str = MACS[0].2;
/// The same of a push, by the secret and by the older one, as the first versions signed: without the second line.
const STK_MACS_OF_NO_BASE: [&str; 2] = [
    "84e127f9b7b60c66d07db86150dafc1fd524701e68e522626e8bd0a792649ffa",
    "a4a8aa8654e1033427e249ce4185aab37bf06591af76c3a95b7b73faf6a6526c",
];
/// That of a push whose base is `https://shop.example/daraja`.
const STK_MAC_AT_BASE: &str = "ae5963a1b2ee5e1edcc2665137dcb12a69c22b281338ed173c0730889f405cbb";
/// That of a push, by the older secret.
const OLDER_STK_MAC: &str = "4768850f87c31f91f166adee64c0562c47fd994466386b63b85d10c9824a7c9a";

fn base() -> Url {
    "https://shop.example/daraja".parse().unwrap()
}

fn urls() -> SignedUrls {
    SignedUrls::new(base(), SECRET).unwrap()
}

fn reference() -> Reference {
    "attempt-1042".parse().unwrap()
}

fn url(urls: &SignedUrls, purpose: Purpose, reference: &Reference) -> Url {
    match purpose {
        Stk => urls.stk(reference),
        Payout => urls.payout(reference).result().clone(),
        PayoutTimeout => urls.payout(reference).timeout().clone(),
        Question => urls.question(reference).result().clone(),
        QuestionTimeout => urls.question(reference).timeout().clone(),
        C2bValidation => urls.c2b_validation(reference),
        C2bConfirmation => urls.c2b_confirmation(reference),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_urls_are_the_golden_ones_and_are_accepted() {
    let urls = urls();
    for (purpose, word, mac) in MACS {
        let url = url(&urls, purpose, &reference());
        assert_eq!(url.as_str(), format!("https://shop.example/daraja/{word}/attempt-1042/{mac}"));
        assert_eq!(urls.verify(url.path()), Ok((purpose, reference())));
    }
}

#[test]
fn any_digit_of_the_signature_counts() {
    let urls = urls();
    for position in 0..64 {
        for digit in "0123456789abcdef".chars() {
            let mut mac = STK_MAC.to_owned();
            if mac[position..].starts_with(digit) {
                continue;
            }
            mac.replace_range(position..=position, &digit.to_string());
            let path = format!("/daraja/stk/attempt-1042/{mac}");
            assert_eq!(urls.verify(&path), Err(Refused::Signature), "{position} {digit}");
        }
    }
}

#[test]
fn a_signature_is_good_for_one_purpose_one_reference_and_one_secret() {
    let urls = urls();
    for (of, _, mac) in MACS {
        for (at, word, _) in MACS {
            let verdict = urls.verify(&format!("/daraja/{word}/attempt-1042/{mac}"));
            assert_eq!(verdict.is_ok(), of == at, "the signature of {of:?} at {at:?}");
        }
    }
    for other in ["attempt-1043", "attempt-104", "attempt-10422", "Attempt-1042", "a"] {
        assert_eq!(urls.verify(&format!("/daraja/stk/{other}/{STK_MAC}")), Err(Refused::Signature), "{other}");
    }
    let other = SignedUrls::new(base(), OLDER).unwrap();
    assert_eq!(other.verify(urls.stk(&reference()).path()), Err(Refused::Signature));
    assert_eq!(urls.verify(other.stk(&reference()).path()), Err(Refused::Signature));
    // Bases that are one and the same keep purposes apart all the same.
    let one = MACS.iter().fold(urls, |urls, (purpose, _, _)| urls.at(*purpose, base()).unwrap());
    for (purpose, _, _) in MACS {
        let url = url(&one, purpose, &reference());
        assert!(url.path().starts_with("/daraja/attempt-1042/"));
        assert_eq!(one.verify(url.path()), Ok((purpose, reference())));
    }
}

#[test]
fn what_is_not_byte_by_byte_the_path_is_refused() {
    let urls = urls();
    let good = format!("/daraja/stk/attempt-1042/{STK_MAC}");
    assert!(urls.verify(&good).is_ok());
    let encoded = STK_MAC.bytes().fold(String::new(), |encoded, byte| format!("{encoded}%{byte:02x}"));
    let bad = [
        (String::new(), Refused::Path),
        ("/".to_owned(), Refused::Path),
        ("/daraja".to_owned(), Refused::Path),
        ("/daraja/stk".to_owned(), Refused::Path),
        ("/daraja/stk/attempt-1042".to_owned(), Refused::Path),
        ("/daraja/stk/attempt-1042/".to_owned(), Refused::Path),
        (good[1..].to_owned(), Refused::Path),
        (good[..good.len() - 1].to_owned(), Refused::Path),
        (format!("{good}0"), Refused::Path),
        (format!("{good}/"), Refused::Path),
        (format!("{good}/x"), Refused::Path),
        (format!("{good}?"), Refused::Path),
        (format!("{good}?x=1"), Refused::Path),
        (format!("{good}#x"), Refused::Path),
        (format!("{good};x"), Refused::Path),
        (format!("{good} "), Refused::Path),
        (format!(" {good}"), Refused::Path),
        (format!("{good}\0"), Refused::Path),
        (format!("/{good}"), Refused::Path),
        (good.replace("stk/", "stk//"), Refused::Path),
        (good.replace("1042/", "1042//"), Refused::Path),
        (good.replace("stk/", "./stk/"), Refused::Path),
        (good.replace("stk/", "stk/./"), Refused::Path),
        (good.replace("stk/", "payout/../stk/"), Refused::Path),
        (good.replace("attempt-1042", ".."), Refused::Path),
        (good.to_uppercase(), Refused::Path),
        (good.replace("daraja", "Daraja"), Refused::Path),
        (good.replace("stk", "STK"), Refused::Path),
        (good.replace("stk", "%73tk"), Refused::Path),
        (good.replace("attempt-1042", "attempt%2D1042"), Refused::Path),
        (good.replace("/attempt", "%2Fattempt"), Refused::Path),
        (good.replace(STK_MAC, &encoded), Refused::Path),
        (good.replace(STK_MAC, &STK_MAC.to_uppercase()), Refused::Signature),
        (good.replace(STK_MAC, &"é".repeat(32)), Refused::Signature),
        (good.replace(STK_MAC, &"0".repeat(64)), Refused::Signature),
        (good.replace(STK_MAC, &" ".repeat(64)), Refused::Signature),
        (good.replace("attempt-1042", "attémpt-1042"), Refused::Path),
        (good.replace("attempt-1042", &"x".repeat(65)), Refused::Path),
        (good.replace("attempt-1042", "attempt 1042"), Refused::Path),
        (format!("https://shop.example{good}"), Refused::Path),
        (format!("/daraja/stk/{}", "/".repeat(1_000_000)), Refused::Path),
        (format!("/daraja/stk/{}/{STK_MAC}", "x".repeat(1_000_000)), Refused::Path),
        ("x".repeat(1_000_000), Refused::Path),
    ];
    for (path, refused) in bad {
        let shown: String = path.chars().take(120).collect();
        assert_eq!(urls.verify(&path), Err(refused), "{shown}");
    }
}

#[test]
fn a_secret_is_changed_without_losing_what_is_under_way() {
    let before = SignedUrls::new(base(), OLDER).unwrap();
    let now = SignedUrls::new(base(), SECRET).unwrap().also_accept(OLDER).unwrap();
    assert!(before.stk(&reference()).as_str().ends_with(OLDER_STK_MAC));
    assert!(now.stk(&reference()).as_str().ends_with(STK_MAC));
    for signed in [&before, &now] {
        assert_eq!(now.verify(signed.stk(&reference()).path()), Ok((Stk, reference())));
    }
    assert_eq!(before.verify(now.stk(&reference()).path()), Err(Refused::Signature));
    let third = SignedUrls::new(base(), "a third that nobody has ever agreed upon").unwrap();
    assert_eq!(now.verify(third.stk(&reference()).path()), Err(Refused::Signature));
    // Neither order nor number of the older ones matters.
    // Whoever rotates may name the one that signs as well.
    let twice = SignedUrls::new(base(), SECRET).unwrap().also_accept(SECRET).unwrap();
    assert!(twice.verify(twice.stk(&reference()).path()).is_ok());
    let many = now.also_accept("a third that nobody has ever agreed upon").unwrap();
    for signed in [&before, &third, &many] {
        assert_eq!(many.verify(signed.stk(&reference()).path()), Ok((Stk, reference())));
    }
}

#[test]
fn a_signature_is_of_one_host_and_one_path() {
    let path = urls().stk(&reference()).path().to_owned();
    for other in ["https://other.example/daraja", "https://daraja.shop.example/daraja", "https://shop.example./daraja"]
    {
        let other = SignedUrls::new(other.parse().unwrap(), SECRET).unwrap();
        assert_eq!(other.verify(&path), Err(Refused::Signature), "{other:?}");
        assert_eq!(other.also_accept_urls_of(urls()).verify(&path), Ok((Stk, reference())));
    }
    // A proxy may speak http to the shop, and at another port: neither says anything.
    for same in ["http://shop.example/daraja", "https://shop.example:8443/daraja", "https://SHOP.example/daraja/"] {
        let same = SignedUrls::new(same.parse().unwrap(), SECRET).unwrap();
        assert!(same.verify(&path).is_ok(), "{same:?}");
    }
    // The older ones of earlier ones are accepted, too, and none of these is signed with.
    let older = SignedUrls::new("https://old.example/daraja".parse().unwrap(), OLDER).unwrap();
    let before = SignedUrls::new("https://old.example/daraja".parse().unwrap(), SECRET).unwrap();
    let now = urls().also_accept_urls_of(before.clone().also_accept(OLDER).unwrap());
    for signed in [&older, &before, &now] {
        assert_eq!(now.verify(signed.stk(&reference()).path()), Ok((Stk, reference())));
    }
    assert_eq!(now.stk(&reference()), urls().stk(&reference()));
}

#[test]
fn signatures_of_the_first_versions_are_accepted_of_secrets_that_are_named_for_it() {
    let [own, older] = STK_MACS_OF_NO_BASE.map(|mac| format!("/daraja/stk/attempt-1042/{mac}"));
    let urls = urls();
    assert_eq!((urls.verify(&own), urls.verify(&older)), (Err(Refused::Signature), Err(Refused::Signature)));
    let after_a_change = urls.clone().also_accept(OLDER).unwrap();
    assert_eq!((after_a_change.verify(&own).is_ok(), after_a_change.verify(&older).is_ok()), (false, true));
    let after_an_upgrade = urls.also_accept(SECRET).unwrap();
    assert_eq!((after_an_upgrade.verify(&own).is_ok(), after_an_upgrade.verify(&older).is_ok()), (true, false));
}

#[test]
fn a_base_may_be_the_beginning_of_another() {
    let urls = urls().at(Stk, base()).unwrap().at(C2bConfirmation, "https://shop.example/".parse().unwrap()).unwrap();
    for reference in ["attempt-1042", "payout", "question-timeout", "daraja", "stk", "validation", STK_MAC] {
        let reference: Reference = reference.parse().unwrap();
        for (purpose, _, _) in MACS {
            let url = url(&urls, purpose, &reference);
            assert_eq!(urls.verify(url.path()), Ok((purpose, reference.clone())), "{url}");
        }
    }
    assert_eq!(urls.stk(&reference()).path(), format!("/daraja/attempt-1042/{STK_MAC_AT_BASE}"));
    assert!(urls.c2b_confirmation(&reference()).path().starts_with("/attempt-1042/3e7a1937"));
    // The path that it had before is no longer one.
    assert!(urls.verify(&format!("/daraja/stk/attempt-1042/{STK_MAC}")).is_err());
}

#[test]
fn a_slash_at_the_end_of_a_base_makes_no_difference() {
    for text in ["https://shop.example/daraja/", "https://shop.example/daraja//"] {
        let urls = SignedUrls::new(text.parse().unwrap(), SECRET).unwrap();
        assert_eq!(urls.stk(&reference()).path(), format!("/daraja/stk/attempt-1042/{STK_MAC}"));
        let at = urls.at(Stk, text.parse().unwrap()).unwrap();
        assert_eq!(at.stk(&reference()).path(), format!("/daraja/attempt-1042/{STK_MAC_AT_BASE}"));
        assert!(at.verify(at.stk(&reference()).path()).is_ok());
    }
    for bare in ["https://shop.example", "https://shop.example/", "https://shop.example:443"] {
        let bare = SignedUrls::new(bare.parse().unwrap(), SECRET).unwrap();
        assert!(bare.stk(&reference()).path().starts_with("/stk/attempt-1042/288e25bc"));
    }
}

#[test]
fn bases_are_http_urls_of_a_length_that_daraja_takes() {
    let new = |text: &str| SignedUrls::new(text.parse().unwrap(), SECRET);
    let at = |text: &str| urls().at(Stk, text.parse().unwrap());
    for (text, problem) in [
        ("ftp://shop.example/x", "https://"),
        ("file:///x", "https://"),
        ("data:text/plain,x", "https://"),
        ("mailto:a@shop.example", "https://"),
        ("https://user@shop.example/", "user name"),
        ("https://:word@shop.example/", "user name"),
        ("https://shop.example/?", "query"),
        ("https://shop.example/?a=1", "query"),
        ("https://shop.example/#", "fragment"),
        ("https://shop.example/#a", "fragment"),
    ] {
        for refused in [new(text), at(text)] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
            assert!(!error.contains("word") && !error.contains("a=1"), "{error}");
        }
    }
    for fine in ["http://127.0.0.1:8080/x", "https://shop.example:8443/", "https://[2001:db8::1]/"] {
        assert!(new(fine).is_ok() && at(fine).is_ok(), "{fine}");
    }
    assert_eq!(
        new("HTTPS://LHOTE.Example/Daraja").unwrap().stk(&reference()).as_str(),
        "https://lhote.example/Daraja/stk/attempt-1042/6cefe2283e411e1157caee428eea40d5037dfd5b7d0c951495d3c9cef2d092b7",
    );
    // At most 255 characters, with the longest reference and the longest purpose.
    let longest: Reference = "x".repeat(64).parse().unwrap();
    let of_length = |length: usize| format!("https://shop.example/{}", "p".repeat(length - 21));
    let urls = new(&of_length(108)).unwrap();
    assert_eq!(urls.question(&longest).timeout().as_str().len(), 255);
    assert!(new(&of_length(109)).is_err());
    assert_eq!(at(&of_length(125)).unwrap().stk(&longest).as_str().len(), 255);
    assert!(at(&of_length(126)).unwrap_err().to_string().contains("255"));
}

#[test]
fn secrets_are_long_and_references_are_url_words() {
    for short in ["", "short", "31 characters of what is enough", " "] {
        assert!(short.len() < 32);
        let error = SignedUrls::new(base(), short).unwrap_err().to_string();
        assert!(error.contains("32 characters"), "{error}");
        assert!(urls().also_accept(short).is_err());
    }
    for guessed in [
        " ".repeat(32),
        "a".repeat(64),
        "0123456".repeat(9),
        "Change-Me! ".repeat(4),
        "kept in a vault, 32 characters or more".to_owned(),
        "your-callback-secret-of-32-characters".to_owned(),
    ] {
        let error = SignedUrls::new(base(), &*guessed).unwrap_err().to_string();
        assert!(error.contains("guessed") && !error.contains(&guessed), "{error}");
        // As the one before it is taken: otherwise it could not be replaced.
        assert!(urls().also_accept(&*guessed).is_ok());
    }
    assert!(SignedUrls::new(base(), "3141592653589793".repeat(2)).is_ok());
    for wrong in ["", " ", "a b", "a/b", "a.b", "..", "a%2F", "é", "a\n", "a?", &"x".repeat(65)] {
        assert!(wrong.parse::<Reference>().is_err(), "{wrong}");
    }
    for fine in ["a", "A-_9", "-", &"x".repeat(64)] {
        assert_eq!(fine.parse::<Reference>().unwrap().as_str(), fine);
    }
}

#[test]
fn neither_debug_nor_refusals_show_path_or_secret() {
    let urls = SignedUrls::new("https://shop.example/hidden-path".parse().unwrap(), SECRET).unwrap();
    let shown = format!("{urls:?} {:?}", urls.verify("/hidden-path/stk/attempt-1042/0"));
    assert!(!shown.contains("hidden-path") && !shown.contains(SECRET), "{shown}");
}

proptest::proptest! {
    #[test]
    fn what_is_made_is_accepted_as_what_it_was_made_for(
        reference in "[A-Za-z0-9_-]{1,64}",
        base in "[ -~é]{0,20}",
        at in "[ -~é]{0,20}",
        purpose in 0_usize..7,
        secret in "[ -~]{32,80}",
    ) {
        let join = |path: &str| {
            let mut url: Url = "https://shop.example/".parse().unwrap();
            url.set_path(path);
            url
        };
        let urls = SignedUrls::new(join(&base), secret.as_str()).unwrap();
        let urls = [urls.clone(), urls.at(MACS[purpose].0, join(&at)).unwrap()];
        let reference: Reference = reference.parse().unwrap();
        for urls in urls {
            for (purpose, _, _) in MACS {
                let url = url(&urls, purpose, &reference);
                // As a framework has it: what the request's line says.
                let path = url.as_str().strip_prefix("https://shop.example").unwrap();
                proptest::prop_assert_eq!(urls.verify(path), Ok((purpose, reference.clone())), "{}", path);
                proptest::prop_assert!(url.as_str().len() <= 255);
                let mac = url.as_str().rsplit('/').next().unwrap();
                proptest::prop_assert!(mac.len() == 64 && mac.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
            }
        }
    }

    #[test]
    fn no_path_panics_the_verifier_or_passes(path in "(/daraja)?(/stk)?/?[ -~é/%]{0,90}") {
        proptest::prop_assert!(urls().verify(&path).is_err());
    }
}

#[test]
fn no_signature_spells_a_word_that_daraja_refuses() {
    let digits = "0123456789abcdef";
    for word in ["mpesa", "m-pesa", "safaricom", "exec", "exe", "cmd", "sql", "query", "ngrok"] {
        assert!(word.chars().any(|c| !digits.contains(c)), "{word}");
        assert!(MACS.iter().all(|(_, purpose, _)| !purpose.contains(word)), "{word}");
    }
}
