//! What `docs/troubleshooting.md` quotes is what the crate says: each block of text, in its order, is said here by the
//! situation that it is about.

use std::{error::Error as StdError, iter, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use daraja::{
    B2cPayment, Client, Credentials, Environment, Error, Merchant, Msisdn, Payout, Settings, Shillings, StkCallback,
    StkOutcome, StkPush, StkQuery,
    simulator::{Fault, Route, Simulator},
    webhook::{Delivery, Receiver, Sources},
};

const GUIDE: &str = include_str!("../../docs/troubleshooting.md");

/// The blocks marked as text.
fn quoted() -> Vec<&'static str> {
    GUIDE.split("```text\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

/// As the guide shows errors: a line for each level.
fn told(error: &dyn StdError) -> String {
    let levels = iter::successors(Some(error), |&error| error.source()).map(ToString::to_string);
    without_request_id(&levels.collect::<Vec<_>>().join("\ncaused by: "))
}

/// It is another one each time.
fn without_request_id(text: &str) -> String {
    let Some((before, after)) = text.split_once(", request ") else { return text.to_owned() };
    let (_, after) = after.split_once(')').unwrap();
    format!("{before}, request …){after}")
}

fn push(merchant: &Merchant, number: &str) -> StkPush {
    let url = "https://shop.example/daraja".parse().unwrap();
    StkPush::new(merchant, number.parse().unwrap(), Shillings::new(500).unwrap(), "INV-001".parse().unwrap(), url)
}

/// What a push comes to if its route goes wrong so often.
async fn pushed(route: Route, fault: Fault, times: usize) -> String {
    let simulator = Simulator::new();
    iter::repeat_n(fault, times).for_each(|fault| simulator.fault(route, fault));
    told(&simulator.client().send(&push(&simulator.merchant(), "0712345678")).await.unwrap_err())
}

async fn waited() -> String {
    let simulator = Simulator::new();
    let (daraja, merchant) = (simulator.client(), simulator.merchant());
    let accepted = daraja.send(&push(&merchant, "254700000090")).await.unwrap();
    told(&daraja.wait_for_payment(&merchant, &accepted.checkout_request_id).await.unwrap_err())
}

async fn queried(times: usize) -> String {
    let simulator = Simulator::new();
    let (daraja, merchant) = (simulator.client(), simulator.merchant());
    let accepted = daraja.send(&push(&merchant, "0712345678")).await.unwrap();
    iter::repeat_n(Fault::Throttled(None), times).for_each(|fault| simulator.fault(Route::StkQuery, fault));
    told(&daraja.send(&StkQuery::new(&merchant, &accepted.checkout_request_id)).await.unwrap_err())
}

async fn paid_out_twice() -> String {
    let simulator = Simulator::new();
    let (code, urls) = (simulator.b2c_short_code(), simulator.result_urls());
    let payment = |shillings| {
        let (supplier, amount) = ("0712345678".parse().unwrap(), Shillings::new(shillings).unwrap());
        B2cPayment::new(&simulator.initiator(), code, supplier, amount, urls.clone())
            .with_id("supplier-7-invoice-1042".parse().unwrap())
    };
    simulator.client().send(&payment(5_000)).await.unwrap();
    told(&simulator.client().send(&payment(6_000)).await.unwrap_err())
}

/// A payout that was begun by a clock that is so far behind, and that is sent so much later.
async fn begun_before(behind: TimeDelta, pause: Duration) -> String {
    let simulator = Simulator::new();
    let (client, initiator, urls) = (simulator.client(), simulator.initiator(), simulator.result_urls());
    let (supplier, amount) = ("0712345678".parse().unwrap(), Shillings::new(5_000).unwrap());
    let payment = B2cPayment::new(&initiator, simulator.b2c_short_code(), supplier, amount, urls.clone());
    let begun_at = DateTime::<Utc>::from(client.now()) - behind;
    let dispatch = Payout::new(payment).begin(begun_at.try_into().unwrap()).unwrap();
    tokio::time::sleep(pause).await;
    told(&dispatch.send(&client, &initiator, urls).await.into_outcome().unwrap_err())
}

fn failed(code: &str) -> String {
    let body = format!(r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":"ws_CO_1","ResultCode":{code}}}}}}}"#);
    let StkOutcome::Failed(failure) = StkCallback::parse(body.as_bytes()).unwrap().outcome else { panic!("failed") };
    format!("{} ({})", failure.reason(), failure.advice())
}

fn refused(peer: &str, path: &str) -> String {
    let receiver = Receiver::from_lookup(|name| match name {
        "MPESA_CALLBACK_URL" => Some("https://shop.example/daraja".to_owned()),
        "MPESA_CALLBACK_SECRET" => Some("3b1e9c47d2a86f05c4e7b91d60a3f82e".to_owned()),
        _ => None,
    });
    let receiver = receiver.unwrap().sources(Sources::safaricom());
    let peer: std::net::IpAddr = peer.parse().unwrap();
    told(&receiver.accept(Delivery::new(peer, path, b"{}")).unwrap_err())
}

fn settings(variables: &[(&str, &str)]) -> Result<Settings, Error> {
    let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Ok(Settings::from_lookup(find)?)
}

async fn with_the_public_passkey() -> String {
    let passkey = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919";
    let merchant = Merchant::paybill("174379".parse().unwrap(), passkey);
    let client = Client::new(Environment::Production, Credentials::new("key", "secret")).unwrap();
    told(&client.send(&push(&merchant, "0712345678")).await.unwrap_err())
}

#[tokio::test(start_paused = true)]
async fn what_the_guide_quotes_is_what_the_crate_says() {
    const SIGNED: &str = "/daraja/attempt-1/0000000000000000000000000000000000000000000000000000000000000000";
    let token = Fault::Refused(404, "404.001.03", "Invalid Access Token");
    let said = [
        // Payments stuck on "Pending"
        waited().await,
        // Callbacks not working
        refused("127.0.0.1", SIGNED),
        refused("196.201.214.200", SIGNED),
        refused("196.201.214.200", "/daraja/attempt-1"),
        queried(3).await,
        // Invalid access token
        pushed(Route::OAuth, Fault::Refused(400, "400.008.01", "Invalid Authentication passed"), 1).await,
        pushed(Route::StkPush, token, 2).await,
        // Invalid phone number
        told(&"0712 345".parse::<Msisdn>().unwrap_err()),
        told(&Simulator::new().client().send(&push(&Simulator::new().merchant(), "0202345678")).await.unwrap_err()),
        pushed(Route::StkPush, Fault::Refused(400, "400.002.02", "Bad Request - Invalid PhoneNumber"), 1).await,
        // Insufficient permissions
        pushed(
            Route::StkPush,
            Fault::Refused(
                401,
                "401.003.01",
                "Error Occurred - Invalid Access Token - Invalid API call as no apiproduct match found",
            ),
            2,
        )
        .await,
        pushed(Route::StkPush, Fault::Refused(500, "500.001.1001", "Wrong credentials"), 1).await,
        failed("2028"),
        pushed(
            Route::StkPush,
            Fault::Refused(
                500,
                "500.001.1001",
                "Merchant not allowed to carry out transaction type CustomerBuyGoodsOnline",
            ),
            1,
        )
        .await,
        failed("\"SFC_IC0003\""),
        // A wrong MPESA_BASE_URL
        pushed(Route::StkPush, Fault::NoRoute, 1).await,
        pushed(Route::OAuth, Fault::Portal, 3).await,
        // An outcome that is unknown
        pushed(Route::StkPush, Fault::ResetAfter, 1).await,
        pushed(Route::StkPush, Fault::Html, 1).await,
        pushed(Route::StkPush, Fault::Busy, 1).await,
        pushed(Route::OAuth, Fault::Html, 3).await,
        // A number without M-PESA
        pushed(Route::StkPush, Fault::Refused(500, "500.001.1001", "No ICCID found on NMS"), 1).await,
        // Refused for now
        pushed(Route::StkPush, Fault::Throttled(Some(7)), 3).await,
        pushed(
            Route::StkPush,
            Fault::Refused(
                500,
                "500.001.1001",
                "Unable to lock subscriber, a transaction is already in process for the current subscriber",
            ),
            1,
        )
        .await,
        failed("17"),
        // Payouts
        paid_out_twice().await,
        begun_before(TimeDelta::zero(), Duration::from_secs(121)).await,
        begun_before(TimeDelta::minutes(2), Duration::ZERO).await,
        // Settings
        told(&settings(&[("MPESA_ENVIRONMENT", "sandbox"), ("MPESA_SHORTCODE", "174379")]).unwrap_err()),
        told(
            &settings(&[
                ("MPESA_ENVIRONMENT", "sandbox   # sandbox or production"),
                ("MPESA_CONSUMER_KEY", "your_consumer_key"),
                ("MPESA_CONSUMER_SECRET", "a-secret"),
            ])
            .unwrap_err(),
        ),
        with_the_public_passkey().await,
    ];
    let quoted = quoted();
    for (said, quoted) in said.iter().zip(&quoted) {
        assert_eq!(said, quoted);
    }
    assert_eq!(said.len(), quoted.len());
}
