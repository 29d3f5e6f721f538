//! Settings, environments and the errors that say what to put right.

use daraja::{AccountBalanceQuery, Client, Credentials, Environment, Operation, Settings};

use crate::support::{CREDENTIAL, Scripted};

fn lookup<'a>(variables: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

const BASE: [(&str, &str); 3] = [
    ("MPESA_ENVIRONMENT", "sandbox"),
    ("MPESA_CONSUMER_KEY", "key-of-the-app"),
    ("MPESA_CONSUMER_SECRET", "secret-of-the-app"),
];

fn with(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let known = |name: &str| more.iter().any(|(other, _)| *other == name);
    BASE.into_iter().filter(|(name, _)| !known(name)).chain(more.iter().copied()).collect()
}

fn problem(more: &[(&'static str, &'static str)]) -> String {
    Settings::from_lookup(lookup(&with(more))).unwrap_err().to_string()
}

#[test]
fn the_guides_variables_load() {
    let settings = Settings::from_lookup(lookup(&with(&[
        ("MPESA_SHORTCODE", "174379"),
        ("MPESA_PASSKEY", "the-passkey"),
        ("MPESA_CALLBACK_URL", "https://shop.example/api/payments/mpesa/callback"),
        ("MPESA_B2C_SHORTCODE", "600000"),
        ("MPESA_B2C_INITIATOR_NAME", "testapi"),
        ("MPESA_B2C_SECURITY_CREDENTIAL", CREDENTIAL),
        ("MPESA_B2C_RESULT_URL", "https://shop.example/api/payments/b2c/result"),
        ("MPESA_B2C_TIMEOUT_URL", "https://shop.example/api/payments/b2c/timeout"),
    ])))
    .unwrap();
    assert_eq!(settings.environment, Environment::Sandbox);
    assert_eq!(settings.merchant.required().unwrap().short_code().to_string(), "174379");
    assert_eq!(settings.callback_url.required().unwrap().path(), "/api/payments/mpesa/callback");
    let payouts = settings.payouts.required().unwrap();
    assert_eq!((payouts.short_code.to_string().as_str(), payouts.initiator.name()), ("600000", "testapi"));
    assert_eq!(payouts.urls.timeout().path(), "/api/payments/b2c/timeout");
}

#[test]
fn the_env_file_that_ships_loads() {
    let file = include_str!("../../.env.example");
    let lines: Vec<(String, String)> = file
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert!(lines.iter().any(|(name, _)| name == "MPESA_ENVIRONMENT"));
    // It holds placeholders, which are named as such; nothing else is wrong with it.
    let find = |name: &str| lines.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let error = Settings::from_lookup(find).unwrap_err();
    assert!(error.problems().iter().all(|problem| problem.problem.contains("placeholder")), "{error}");
    assert!(!error.problems().is_empty());
}

#[test]
fn groups_are_optional_until_they_are_needed() {
    let settings = Settings::from_lookup(lookup(&BASE)).unwrap();
    let error = settings.merchant.required().unwrap_err();
    assert_eq!(error.problems().len(), 2);
    assert!(settings.callback_url.required().unwrap_err().to_string().contains("MPESA_CALLBACK_URL"));
    assert!(settings.payouts.optional().is_none());
    let with_url = with(&[("MPESA_CALLBACK_URL", "https://shop.example/cb")]);
    let url = Settings::from_lookup(lookup(&with_url)).unwrap().callback_url.optional().unwrap();
    assert_eq!(url.as_str(), "https://shop.example/cb");
}

#[test]
fn one_error_lists_everything_that_is_missing_or_wrong() {
    let error = Settings::from_lookup(lookup(&[
        ("MPESA_ENVIRONMENT", "live"),
        ("MPESA_CONSUMER_KEY", "your_consumer_key"),
        ("MPESA_SHORTCODE", "174379                       # Sandbox: 174379"),
        ("MPESA_CALLBACK_URL", "not a url"),
        ("MPESA_B2C_SHORTCODE", "12"),
        ("MPESA_B2C_INITIATOR_NAME", "  "),
    ]))
    .unwrap_err();
    let names: Vec<&str> = error.problems().iter().map(|problem| &*problem.name).collect();
    assert_eq!(
        names,
        [
            "MPESA_ENVIRONMENT",
            "MPESA_CONSUMER_KEY",
            "MPESA_CONSUMER_SECRET",
            "MPESA_SHORTCODE",
            "MPESA_PASSKEY",
            "MPESA_CALLBACK_URL",
            "MPESA_B2C_SHORTCODE",
            "MPESA_B2C_INITIATOR_NAME",
            "MPESA_B2C_SECURITY_CREDENTIAL",
            "MPESA_B2C_RESULT_URL",
            "MPESA_B2C_TIMEOUT_URL",
        ]
    );
    let text = error.to_string();
    for words in ["sandbox or production", "placeholder", "the comment behind the value", "is missing"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

const PAYOUTS: [(&str, &str); 4] = [
    ("MPESA_B2C_SHORTCODE", "600000"),
    ("MPESA_B2C_INITIATOR_NAME", "testapi"),
    ("MPESA_B2C_RESULT_URL", "https://shop.example/api/payments/b2c/result"),
    ("MPESA_B2C_TIMEOUT_URL", "https://shop.example/api/payments/b2c/timeout"),
];
const PASSWORD: (&str, &str) = ("MPESA_B2C_INITIATOR_PASSWORD", "Safaricom999!*!");

#[test]
fn a_password_stands_for_the_credential_of_the_environment() {
    for environment in [
        &[("MPESA_ENVIRONMENT", "sandbox")][..],
        &[("MPESA_ENVIRONMENT", "production")],
        &[("MPESA_ENVIRONMENT", "production"), ("MPESA_BASE_URL", "https://gateway.example")],
    ] {
        let settings = Settings::from_lookup(lookup(&with(&[environment, &PAYOUTS, &[PASSWORD]].concat()))).unwrap();
        let payouts = settings.payouts.required().unwrap();
        let query = AccountBalanceQuery::new(&payouts.initiator, payouts.short_code, payouts.urls);
        let body = serde_json::to_value(query.body("20240402170017".parse().unwrap())).unwrap();
        assert_eq!(body["SecurityCredential"].as_str().unwrap().len(), 344, "{environment:?}");
        // What it was made for is remembered: the client refuses it elsewhere.
        let elsewhere = if environment[0].1 == "sandbox" { Environment::Production } else { Environment::Sandbox };
        let client = |environment| {
            let credentials = Credentials::new("the key", "the secret");
            Client::builder(environment, credentials).transport(Scripted::default()).build().unwrap()
        };
        assert!(query.check(client(settings.environment).rules()).is_ok(), "{environment:?}");
        let error = query.check(client(elsewhere).rules()).unwrap_err().to_string();
        assert!(error.starts_with("invalid security credential: it was made with"), "{error}");
    }
}

#[test]
fn a_password_that_cannot_be_used_is_a_problem_that_says_what_to_give() {
    let payouts = |more: &[(&'static str, &'static str)]| problem(&[&PAYOUTS, more].concat());
    for (more, expected) in [
        (
            &[PASSWORD, ("MPESA_B2C_SECURITY_CREDENTIAL", CREDENTIAL)][..],
            "is set together with MPESA_B2C_SECURITY_CREDENTIAL: keep one of them",
        ),
        (
            &[PASSWORD, ("MPESA_BASE_URL", "http://127.0.0.1:8090")],
            "cannot be used: the certificate of a base URL of your own is unknown, so give MPESA_B2C_SECURITY_CREDENTIAL instead",
        ),
        (&[("MPESA_B2C_INITIATOR_PASSWORD", "Safaricom\n999")], "holds a line break ('\\n'): remove it"),
        (&[("MPESA_B2C_INITIATOR_PASSWORD", "your_initiator_password")], "still holds the placeholder of the guide"),
    ] {
        assert_eq!(payouts(more), format!("configuration: MPESA_B2C_INITIATOR_PASSWORD {expected}"));
    }
    assert_eq!(
        payouts(&[]),
        "configuration: MPESA_B2C_SECURITY_CREDENTIAL is missing: the MPESA_B2C_ settings need it, or \
         MPESA_B2C_INITIATOR_PASSWORD in its place"
    );
    // An environment that cannot be read is one problem, not two.
    assert!(!payouts(&[PASSWORD, ("MPESA_ENVIRONMENT", "live")]).contains(PASSWORD.0));
}

#[test]
fn a_password_alone_asks_for_all_other_payout_settings() {
    let error = Settings::from_lookup(lookup(&with(&[PASSWORD]))).unwrap_err();
    let names: Vec<&str> = error.problems().iter().map(|problem| &*problem.name).collect();
    assert_eq!(names, PAYOUTS.map(|(name, _)| name));

    let settings = Settings::from_lookup(lookup(&BASE)).unwrap();
    let error = settings.payouts.required().err().unwrap();
    assert_eq!(error.problems().len(), 5);
    assert!(error.to_string().contains("MPESA_B2C_INITIATOR_PASSWORD"), "{error}");
}

#[test]
fn no_value_is_shown_even_if_it_stands_in_the_wrong_variable() {
    let secret = "secretsecretsecret-in-the-wrong-place";
    for name in ["MPESA_ENVIRONMENT", "MPESA_SHORTCODE", "MPESA_TILL", "MPESA_CALLBACK_URL", "MPESA_BASE_URL"] {
        let error = Settings::from_lookup(lookup(&with(&[(name, secret), ("MPESA_PASSKEY", secret)]))).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(name), "{shown}");
        assert!(!shown.contains("secretsecret") && !shown.contains("wrong-place"), "{shown}");
    }
}

#[test]
fn a_till_needs_its_store_number() {
    let settings = Settings::from_lookup(lookup(&with(&[
        ("MPESA_SHORTCODE", "600986"),
        ("MPESA_PASSKEY", "the-passkey"),
        ("MPESA_TILL", "5123456"),
    ])))
    .unwrap();
    let merchant = settings.merchant.required().unwrap();
    assert_eq!(merchant.till_number().unwrap().to_string(), "5123456");
    assert_eq!(merchant.short_code().to_string(), "600986");
    assert!(problem(&[("MPESA_TILL", "5123456")]).contains("MPESA_SHORTCODE is missing"));
}

#[test]
fn a_base_url_stands_for_an_environment_and_production_is_https_only() {
    let loopback = ("MPESA_BASE_URL", "http://127.0.0.1:8090");
    let settings =
        Settings::from_lookup(lookup(&[BASE[1], BASE[2], loopback])).expect("the base URL is environment enough");
    assert_eq!(settings.environment.base_url(), "http://127.0.0.1:8090");
    assert!(!settings.environment.is_production());

    assert!(problem(&[("MPESA_ENVIRONMENT", "production"), loopback]).contains("https only"));
    assert!(problem(&[("MPESA_BASE_URL", "http://gateway.example")]).contains("loopback"));
    let gateway = [("MPESA_ENVIRONMENT", "production"), ("MPESA_BASE_URL", "https://gateway.example/daraja/")];
    let settings = Settings::from_lookup(lookup(&with(&gateway))).unwrap();
    assert!(settings.environment.is_production());
    assert_eq!(settings.environment.base_url(), "https://gateway.example/daraja");
    let shown = [Environment::Sandbox, Environment::Production, settings.environment].map(|one| one.to_string());
    assert_eq!(shown, ["sandbox", "production", "https://gateway.example/…"]);
}

#[test]
fn a_base_url_is_https_or_loopback_and_nothing_but_a_base() {
    for good in ["https://gateway.example", "http://localhost:1", "http://127.8.9.1", "http://[::1]:80/prefix/"] {
        assert!(Environment::custom(good).is_ok(), "{good}");
    }
    for bad in [
        "http://gateway.example",
        "http://127.0.0.1.example",
        "http://localhost.example",
        "http://10.0.0.1",
        "http://[::2]",
        "ftp://127.0.0.1",
        "https://user@gateway.example",
        "https://:secret@gateway.example",
        "https://gateway.example/?a=b",
        "https://gateway.example/#part",
        "gateway.example",
        "",
    ] {
        let error = Environment::custom(bad).unwrap_err();
        assert!(error.what().ends_with("URL"), "{bad}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert!(Environment::custom_production("http://127.0.0.1:1").is_err());
}

#[test]
fn a_name_with_a_dot_at_its_end_is_the_same_name() {
    let production = Environment::custom("https://api.safaricom.co.ke.").unwrap();
    assert!(production.is_production());
    assert_eq!(production.base_url(), "https://api.safaricom.co.ke");
    let settings =
        Settings::from_lookup(lookup(&with(&[("MPESA_BASE_URL", "https://API.Safaricom.co.ke./")]))).unwrap();
    assert!(settings.environment.is_production());
    assert!(Environment::custom("http://localhost.").is_err(), "a resolver may know another one");
}

#[test]
fn the_path_of_a_gateway_is_not_shown() {
    let environment = Environment::custom("https://gateway.example:8443/k/planted-key").unwrap();
    let builder = Client::builder(environment.clone(), Credentials::new("the key", "the secret"));
    let shown = format!("{environment} {environment:?} {builder:?}");
    let shown = format!("{shown} {:?}", builder.build().unwrap());
    assert!(shown.contains("https://gateway.example:8443/…") && !shown.contains("planted-key"), "{shown}");
}
