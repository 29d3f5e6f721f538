//! One test plants secrets and numbers, and looks for them in every `Debug`, error chain and log line.

use std::{
    fmt::{Debug, Write as _},
    io,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use daraja::{
    Certificate, Client, Credentials, Environment, InitiatorPassword, Merchant, Msisdn, SecurityCredential, Settings,
    Shillings, StkCallback, StkPush, StkQuery,
    secret::{AccessToken, ConsumerSecret, Passkey},
    simulator::Simulator,
    token::StoredToken,
    transport::TransportErrorKind::Interrupted,
    webhook::{Event, Inbox},
};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{ATTEMPT, RECEIVER, Scripted, Step, answer, refusal};

#[cfg(target_os = "linux")]
mod freed;
mod payouts;
mod shown;

const SECRET: &str = "consumer-secret-planted";
const PASSKEY: &str = "passkey-planted";
const CALLBACK_SECRET: &str = "planted-Zq7mVbN4sTx9LwEy6KcHd1UjRf8A0G";
const TOKEN: &str = "TokenWithoutDigitsPlanted";
const CREDENTIAL: &str = "credentialPlantedAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";
const PASSWORD: &str = "p@ssword(planted).";
const NUMBER: &str = "254708374149";
const ID: &str = "ws_CO_061020261702341254708374149";
const PATH: &str = "callback-path-planted";

/// Everything that must not be seen, the number also in its shorter spellings.
const PLANTED: [&str; 12] = [
    CALLBACK_SECRET,
    SECRET,
    PASSKEY,
    TOKEN,
    CREDENTIAL,
    PASSWORD,
    PATH,
    NUMBER,
    "708374149",
    "Y29uc3VtZXItc2VjcmV0LXBsYW50ZWQ",
    payouts::NAME,
    payouts::CREDENTIAL,
];

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    /// Everything that any test of this program logs, at every level: a subscriber of one thread alone would miss what
    /// tracing has cached as of no interest to the others.
    pub(crate) fn of_all_tests() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
            tracing::subscriber::set_global_default(lines.with_writer(log.clone()).finish()).unwrap();
            log
        })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[track_caller]
fn assert_clean(shown: &str) {
    for planted in PLANTED {
        assert!(!shown.contains(planted), "{planted} is seen in: {shown}");
    }
}

fn show(seen: &mut String, value: &dyn Debug) {
    write!(seen, "{value:?}\n{value:#?}\n").unwrap();
}

fn show_chain(seen: &mut String, error: &daraja::Error) {
    show(seen, error);
    let mut level: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = level {
        write!(seen, "{error}\n{error:?}\n").unwrap();
        level = error.source();
    }
}

fn merchant() -> Merchant {
    Merchant::paybill("174379".parse().unwrap(), PASSKEY)
}

fn push() -> StkPush {
    let url = format!("https://shop.example/{PATH}/mpesa").parse().unwrap();
    let amount = Shillings::new(500).unwrap();
    StkPush::new(&merchant(), NUMBER.parse().unwrap(), amount, "INV-001".parse().unwrap(), url)
}

fn scripted(calls: impl IntoIterator<Item = Step>) -> (Scripted, Client) {
    let granted = answer(200, format!(r#"{{"access_token":"{TOKEN}","expires_in":"3599"}}"#));
    let scripted = Scripted::new(calls).with_token_steps(vec![granted; 9]);
    let credentials = Credentials::new("the key", SECRET);
    let client = Client::builder(Environment::Sandbox, credentials).transport(scripted.clone()).build().unwrap();
    (scripted, client)
}

/// Answers that echo what was sent or hold what is personal, as Daraja's do.
fn echoing_answers() -> Vec<Step> {
    let echo = format!("Error Occurred - Invalid Access Token - {TOKEN} for {NUMBER}");
    vec![
        refusal(401, "401.002.01", &echo),
        refusal(400, "400.002.02", &echo),
        refusal(500, "500.001.1001", &echo),
        answer(
            500,
            format!(r#"{{"requestId":"{ID}","errorCode":"500.001.1001","errorMessage":"Internal Server Error"}}"#),
        ),
        answer(500, format!(r#"{{"requestId":"{NUMBER}","errorCode":"{NUMBER}","errorMessage":"{ID}"}}"#)),
        answer(500, format!(r#"{{"requestId":"{TOKEN}","errorCode":"E {TOKEN}","errorMessage":"busy"}}"#)),
        answer(403, format!("<html>{NUMBER} Bearer {TOKEN} {ID}</html>")),
        answer(200, format!(r#"{{"ResponseCode":"0","CheckoutRequestID":["{ID}"],"x":"{NUMBER}"}}"#)),
        answer(200, format!(r#"{{"ResponseCode":"9","ResponseDescription":"{NUMBER} {TOKEN}"}}"#)),
        answer(200, format!(r#"{{"ResponseCode":"0","PhoneNumber":{NUMBER},"#)),
        answer(500, format!(r#"{{"fault":{{"faultstring":"{TOKEN} {NUMBER}","detail":{{"errorcode":"{ID}"}}}}}}"#)),
        Step::Fail(Interrupted),
    ]
}

async fn provoke_errors(seen: &mut String) {
    for step in echoing_answers() {
        let (_, client) = scripted(vec![step.clone(); 3]);
        show_chain(seen, &client.send(&push()).await.unwrap_err());
        let (_, client) = scripted(vec![step; 3]);
        if let Err(error) = client.send(&StkQuery::new(&merchant(), &ID.parse().unwrap())).await {
            show_chain(seen, &error);
        }
    }
    // A token request that fails, echoing the credentials.
    let echo = [
        answer(400, SECRET),
        answer(400, format!(r#"{{"requestId":"{SECRET}","errorCode":"{SECRET}","errorMessage":"busy"}}"#)),
        answer(200, format!(r#"{{"access_token":"{TOKEN}","expires_in":"#)),
    ];
    for step in echo {
        let failing = Scripted::default().with_token_steps(vec![step; 3]);
        let builder = Client::builder(Environment::Sandbox, Credentials::new("the key", SECRET)).transport(failing);
        show(seen, &builder);
        let client = builder.build().unwrap();
        show_chain(seen, &client.send(&push()).await.unwrap_err());
    }
    // A wait that ends without an answer.
    let (_, client) = scripted(echoing_answers());
    let (merchant, id) = (merchant(), ID.parse().unwrap());
    let wait = client.wait_for_payment(&merchant, &id);
    show(seen, &wait);
    show_chain(seen, &wait.await.unwrap_err());
}

fn show_values(seen: &mut String) {
    let (_, client) = scripted([]);
    let number: Msisdn = NUMBER.parse().unwrap();
    show(seen, &number);
    write!(seen, "{} {:?}", number.masked(), number.masked()).unwrap();
    show(seen, &client);
    show(seen, &push());
    show(seen, &StkQuery::new(&merchant(), &ID.parse().unwrap()));
    show(seen, &merchant());
    show(seen, &Credentials::new("the key", SECRET));
    show(seen, &(ConsumerSecret::new(SECRET), Passkey::new(PASSKEY)));
    let token = AccessToken::new(TOKEN);
    show(seen, &(SecurityCredential::new(CREDENTIAL), StoredToken::new(token, Duration::from_secs(3_599))));
    show_password(seen);
    let lookup = |name: &str| {
        Some(match name {
            "MPESA_ENVIRONMENT" => "sandbox".to_owned(),
            "MPESA_CONSUMER_SECRET" => SECRET.to_owned(),
            "MPESA_PASSKEY" => PASSKEY.to_owned(),
            "MPESA_B2C_SECURITY_CREDENTIAL" => CREDENTIAL.to_owned(),
            "MPESA_B2C_INITIATOR_PASSWORD" | "MPESA_TILL" | "MPESA_BASE_URL" => return None,
            name if name.ends_with("_URL") || name.ends_with("_URL_BEFORE") => {
                format!("https://shop.example/{PATH}/{}", name.to_ascii_lowercase())
            }
            "MPESA_SHORTCODE" | "MPESA_B2C_SHORTCODE" => "174379".to_owned(),
            "MPESA_CALLBACK_SECRET" | "MPESA_CALLBACK_SECRET_BEFORE" => CALLBACK_SECRET.to_owned(),
            "MPESA_CALLBACK_PROXIES" => "127.0.0.1".to_owned(),
            "MPESA_CALLBACK_PROXY_HEADER" => "forwarded".to_owned(),
            "MPESA_CALLBACK_SOURCES" => "anyone".to_owned(),
            _ => "plain".to_owned(),
        })
    };
    show(seen, &Settings::from_lookup(lookup).unwrap());
    show(seen, &Settings::from_lookup(lookup).unwrap().receiver.required().unwrap());
    let with_password = |name: &str| match name {
        "MPESA_B2C_SECURITY_CREDENTIAL" => None,
        "MPESA_B2C_INITIATOR_PASSWORD" => Some(PASSWORD.to_owned()),
        _ => lookup(name),
    };
    show(seen, &Settings::from_lookup(with_password).unwrap());
    let both = |name: &str| with_password(name).or_else(|| lookup(name));
    show(seen, &Settings::from_lookup(both).err());
    for wrong in ["0708374149 5", "+255708374149", "2547083741499", "254708374149x"] {
        let error = wrong.parse::<Msisdn>().unwrap_err();
        write!(seen, "{error} {error:?}").unwrap();
    }
    let error = format!("{ID} {ID}").parse::<daraja::CheckoutRequestId>().unwrap_err();
    write!(seen, "{error} {error:?}").unwrap();
}

fn show_password(seen: &mut String) {
    let password = InitiatorPassword::new(PASSWORD);
    let credential = SecurityCredential::encrypt(&password, &Certificate::sandbox()).unwrap();
    show(seen, &(&password, &credential, Certificate::sandbox(), Simulator::new().initiator_password()));
    assert!(!seen.contains(credential.expose()));
    let too_long = InitiatorPassword::new(PASSWORD.repeat(20));
    show_chain(seen, &SecurityCredential::encrypt(&too_long, &Certificate::sandbox()).unwrap_err().into());
}

fn show_events(seen: &mut String) {
    let metadata = format!(r#","CallbackMetadata":{{"Item":[{{"Name":"PhoneNumber","Value":{NUMBER}}}]}}"#);
    let receipt = r#","CallbackMetadata":{"Item":[{"Name":"MpesaReceiptNumber","Value":"UKN1234567"},{"Name":"PhoneNumber","Value":254708374149}]}"#;
    let inbox = Inbox::new();
    for (code, more) in [(0, &*metadata), (0, receipt), (1032, ""), (7777, ""), (1037, &*metadata)] {
        let body = format!(
            r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"{ID}","ResultCode":{code},"ResultDesc":"{NUMBER} {ID}"{more}}}}}}}"#
        );
        let callback = StkCallback::parse(body.as_bytes()).unwrap();
        show(seen, &callback);
        show(seen, &Event::from(callback.clone()));
        inbox.deliver(&ATTEMPT, callback);
        let cut = StkCallback::parse(&body.as_bytes()[..body.len() - 2]).unwrap_err();
        write!(seen, "{cut} {cut:?}").unwrap();
    }
    show(seen, &inbox);
}

/// A whole payment against the simulator, its own log lines included.
async fn play(seen: &mut String) {
    let (simulator, inbox) = (Simulator::new(), Inbox::new());
    let (client, merchant) = (simulator.client(), simulator.merchant());
    let number = NUMBER.parse().unwrap();
    let amount = Shillings::new(500).unwrap();
    let push = StkPush::new(&merchant, number, amount, "INV-001".parse().unwrap(), RECEIVER.urls().stk(&ATTEMPT));
    let accepted = client.send(&push).await.unwrap();
    show(seen, &accepted);
    show(seen, &simulator);
    show(seen, &simulator.prompts());
    let wait =
        client.wait_for_payment(&merchant, &accepted.checkout_request_id).inbox(&inbox).at(&ATTEMPT).into_future();
    let settled = tokio::select! {
        settled = wait => settled.unwrap(),
        never = simulator.deliver_to(&RECEIVER, &inbox) => match never {},
    };
    show(seen, &settled);
    show(seen, &simulator.payments());
    show(seen, &simulator.messages(number));
    let served = simulator.serve("127.0.0.1:0").await.unwrap();
    show(seen, &served);
}

#[tokio::test(start_paused = true)]
async fn no_secret_and_no_full_number_is_seen_anywhere() {
    let log = Log::of_all_tests();
    let mut seen = String::new();
    provoke_errors(&mut seen).await;
    show_values(&mut seen);
    show_events(&mut seen);
    play(&mut seen).await;
    payouts::show_all(&mut seen).await;

    assert_clean(&seen);
    let log = log.text();
    assert_clean(&log);
    // The net is not empty: what should be logged is, and the rest of the errors is readable.
    for words in [
        "access token fetched",
        "payment settled",
        "answered",
        "this URL holds a word",
        "the initiator password holds one of",
    ] {
        assert!(log.contains(words), "{words} is not logged: {log}");
    }
    for words in ["Invalid Access Token", "Internal Server Error", "[redacted]", "Passkey([redacted])"] {
        assert!(seen.contains(words), "{words} is not shown");
    }
}

#[tokio::test]
async fn nothing_is_seen_over_a_socket_either() {
    let log = Log::of_all_tests();
    let simulator = Simulator::new();
    let served = simulator.serve("127.0.0.1:0").await.unwrap();
    let merchant = simulator.merchant();
    let push = StkPush::new(
        &merchant,
        NUMBER.parse().unwrap(),
        Shillings::new(1).unwrap(),
        "A".parse().unwrap(),
        format!("http://127.0.0.1:9/{PATH}").parse().unwrap(),
    );
    let client = served.client();
    client.send(&push).await.unwrap();
    let base_url = served.base_url();
    drop(served);
    // The URL of a connection that fails is stripped, because its path can be a secret.
    let prefixed = Environment::custom(&format!("{base_url}/{PATH}")).unwrap();
    let unreachable = Client::new(prefixed, Credentials::new("the key", SECRET)).unwrap();
    let mut seen = String::new();
    show_chain(&mut seen, &unreachable.send(&push).await.unwrap_err());
    assert_clean(&seen.replace(&format!("{base_url}/{PATH}"), ""));
    let ours = log.text().lines().filter(|line| line.contains("daraja")).collect::<Vec<_>>().join("\n");
    assert_clean(&ours);
    assert!(ours.contains("answered"), "{ours}");
}
