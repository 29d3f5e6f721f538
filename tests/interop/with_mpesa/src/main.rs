//! The crate `mpesa` against the simulator, to which its trait `ApiEnvironment` points it.

use std::fmt::Debug;
use std::time::Duration;
use std::{env, fs, process};

use mpesa::{ApiEnvironment, ApiError, Mpesa, MpesaError, MpesaResult};
use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

// A customer who approves, and a recipient who is paid.
const CUSTOMER: &str = "254700000050";
const RECIPIENT: &str = "254700000060";
// Nairobi's landlines: twelve digits, and no line that could be rung.
const LANDLINE: &str = "254200000000";

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let shop = Shop::start().await;
    let daraja = client(&setting("MPESA_CONSUMER_SECRET"));
    shop.token(&daraja).await;
    shop.push(&daraja).await;
    shop.payouts(&daraja).await;
    shop.ledger(&daraja).await;
    shop.old_token(&daraja).await;
}

#[derive(Clone)]
struct Simulator {
    base_url: String,
    certificate: String,
}

impl ApiEnvironment for Simulator {
    fn base_url(&self) -> &str {
        &self.base_url
    }

    fn get_certificate(&self) -> &str {
        &self.certificate
    }
}

fn client(secret: &str) -> Mpesa<Simulator> {
    let path = setting("INTEROP_CERTIFICATE");
    let certificate = fs::read_to_string(&path).unwrap_or_else(|error| fail(&format!("{path}: {error}")));
    let simulator = Simulator { base_url: setting("MPESA_BASE_URL"), certificate };
    Mpesa::new(setting("MPESA_CONSUMER_KEY"), secret.to_owned(), simulator)
}

/// The merchant's settings, and the loopback address that receives callbacks and results.
struct Shop {
    short_code: String,
    passkey: String,
    payer: String,
    initiator: String,
    received: MockServer,
}

impl Shop {
    async fn start() -> Self {
        let received = MockServer::start().await;
        let taken = ResponseTemplate::new(200).set_body_json(json!({ "ResultCode": 0, "ResultDesc": "Accepted" }));
        Mock::given(method("POST")).respond_with(taken).mount(&received).await;
        Self {
            short_code: setting("MPESA_SHORTCODE"),
            passkey: setting("MPESA_PASSKEY"),
            payer: setting("MPESA_B2C_SHORTCODE"),
            initiator: setting("MPESA_B2C_INITIATOR_NAME"),
            received,
        }
    }

    async fn token(&self, daraja: &Mpesa<Simulator>) {
        let wrong = client("wrong");
        expect(
            "wrong secret",
            refusal(self.ring(&wrong, CUSTOMER, 100.0).await),
            ["400.008.01", "Invalid Authentication passed"],
        );
        expect("wrong secret, is_connected", wrong.is_connected().await, false);
        expect("is_connected", daraja.is_connected().await, true);
        // It keeps one token by the consumer key, for all clients of the process.
        expect("wrong secret, is_connected once a token is kept", wrong.is_connected().await, true);
    }

    /// Pushes with the client's own description and reference. Gives the id of the prompt.
    async fn ring(&self, daraja: &Mpesa<Simulator>, number: &str, amount: f64) -> MpesaResult<(String, String)> {
        let answer = daraja
            .express_request(&self.short_code)
            .pass_key(&self.passkey)
            .phone_number(number)
            .amount(amount)
            .callback_url(&self.url("/stk"))
            .send()
            .await?;
        Ok((answer.response_code, answer.checkout_request_id))
    }

    async fn push(&self, daraja: &Mpesa<Simulator>) {
        expect(
            "push to a landline",
            refusal(self.ring(daraja, LANDLINE, 100.0).await),
            ["400.002.02", "Bad Request - Invalid PhoneNumber"],
        );
        expect(
            "push of 10.75",
            refusal(self.ring(daraja, CUSTOMER, 10.75).await),
            ["400.002.02", "Bad Request - Invalid Amount"],
        );
        let (code, id) = accepted("push", self.ring(daraja, CUSTOMER, 100.0).await);
        expect("push of 100.0", &*code, "0");

        let callback = self.wait("/stk").await;
        let callback = &callback["Body"]["stkCallback"];
        expect("callback", &callback["ResultCode"], &json!(0));
        expect("callback, id", callback["CheckoutRequestID"] == id, true);
        let items = &callback["CallbackMetadata"]["Item"];
        expect("callback, amount: 100.0 was sent", named(items, "Name", "Amount").as_f64(), Some(100.0));
        expect("callback, number", named(items, "Name", "PhoneNumber").to_string().as_str(), CUSTOMER);
        let receipt = named(items, "Name", "MpesaReceiptNumber").as_str().map(str::len);
        expect("callback, length of the receipt", receipt, Some(10));
    }

    /// Gives `ResponseCode`.
    async fn pay(&self, daraja: &Mpesa<Simulator>, number: &str, amount: f64, path: &str) -> MpesaResult<String> {
        let answer = daraja
            .b2c(&self.initiator)
            .party_a(&self.payer)
            .party_b(number)
            .amount(amount)
            .timeout_url(&self.url("/timeout"))
            .result_url(&self.url(path))
            .send()
            .await?;
        Ok(answer.response_code)
    }

    async fn payouts(&self, daraja: &Mpesa<Simulator>) {
        let code = accepted("payout", self.pay(daraja, RECIPIENT, 40.0, "/unset").await);
        expect("payout with the password that is built in", &*code, "0");
        expect("its result", &self.wait("/unset").await["Result"]["ResultCode"], &json!(2001));

        daraja.set_initiator_password(setting("MPESA_B2C_INITIATOR_PASSWORD"));
        expect(
            "payout to a landline",
            refusal(self.pay(daraja, LANDLINE, 40.0, "/none").await),
            ["400.002.02", "Bad Request - Invalid PartyB"],
        );
        expect(
            "payout of 10.75",
            refusal(self.pay(daraja, RECIPIENT, 10.75, "/none").await),
            ["400.002.02", "Bad Request - Invalid Amount"],
        );
        let code = accepted("payout", self.pay(daraja, RECIPIENT, 40.0, "/paid").await);
        expect("payout of 40.0", &*code, "0");
        let result = &self.wait("/paid").await["Result"];
        expect("payout, result", &result["ResultCode"], &json!(0));
        let parameters = &result["ResultParameters"]["ResultParameter"];
        let amount = named(parameters, "Key", "TransactionAmount").as_f64();
        expect("payout, amount: 40.0 was sent", amount, Some(40.0));
    }

    async fn ledger(&self, daraja: &Mpesa<Simulator>) {
        let (timeout, result) = (self.url("/timeout"), self.url("/balance"));
        let asked = daraja
            .account_balance(&self.initiator)
            .party_a(&self.payer)
            .timeout_url(&timeout)
            .result_url(&result)
            .send()
            .await;
        expect("balance", &*accepted("balance", asked).response_code, "0");
        let parameters = &self.wait("/balance").await["Result"]["ResultParameters"]["ResultParameter"];
        let accounts = named(parameters, "Key", "AccountBalance").as_str().unwrap_or_default();
        let utility = accounts.split('&').find_map(|account| account.strip_prefix("Utility Account|KES|"));
        expect(
            "the ledger: one push of KES 100 came in, one payout of 40 went out",
            utility.and_then(|amounts| amounts.split('|').next()),
            Some("1000060.00"),
        );
    }

    /// A new token voids the one before.
    async fn old_token(&self, daraja: &Mpesa<Simulator>) {
        let other_process = reqwest::Client::new()
            .get(setting("MPESA_BASE_URL") + "/oauth/v1/generate?grant_type=client_credentials")
            .basic_auth(setting("MPESA_CONSUMER_KEY"), Some(setting("MPESA_CONSUMER_SECRET")))
            .send()
            .await;
        let status = other_process.map(|answer| answer.status().as_u16()).map_err(|error| error.to_string());
        expect("a token for another process", status, Ok(200));
        for what in ["push with the token that this voided", "the next push"] {
            let refused = refusal(self.ring(daraja, CUSTOMER, 100.0).await);
            expect(what, refused, ["404.001.03", "Invalid Access Token"]);
        }
    }

    fn url(&self, path: &str) -> String {
        self.received.uri() + path
    }

    /// What was posted to a path first, once something was.
    async fn wait(&self, path: &str) -> Value {
        let arrived = async {
            loop {
                let posts = self.received.received_requests().await.unwrap_or_default();
                if let Some(post) = posts.iter().find(|post| post.url.path() == path) {
                    return post.body_json();
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, arrived).await {
            Ok(Ok(body)) => body,
            Ok(Err(error)) => fail(&format!("{path}: {error}")),
            Err(_) => fail(&format!("{path}: nothing came in {PATIENCE:?}")),
        }
    }
}

/// The value of the item of a list that has this name.
fn named<'v>(items: &'v Value, field: &str, name: &str) -> &'v Value {
    let items = items.as_array().map_or(&[][..], Vec::as_slice);
    items.iter().find(|item| item[field] == name).map_or(&Value::Null, |item| &item["Value"])
}

fn accepted<T>(what: &str, answer: MpesaResult<T>) -> T {
    answer.unwrap_or_else(|error| fail(&format!("{what}: {error}")))
}

/// Error code and words that a call was refused with.
fn refusal<T: Debug>(answer: MpesaResult<T>) -> [String; 2] {
    match answer {
        Err(
            MpesaError::AuthenticationError(refused)
            | MpesaError::MpesaExpressRequestError(refused)
            | MpesaError::B2cError(refused),
        ) => {
            let ApiError { error_code, error_message, .. } = refused;
            [error_code, error_message]
        }
        other => fail(&format!("it was not refused: {other:?}")),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "short calls")]
fn expect<A: Debug + PartialEq<E>, E: Debug>(what: &str, actual: A, expected: E) {
    if actual != expected {
        fail(&format!("{what}:\n  expected {expected:?}\n  found    {actual:?}"));
    }
    println!("  {what}: {expected:?}");
}

fn setting(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| fail(&format!("{name}: {error}")))
}

fn fail(what: &str) -> ! {
    eprintln!("{what}");
    process::exit(1)
}
