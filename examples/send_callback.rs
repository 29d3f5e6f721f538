//! Posts a callback to a URL, as Daraja would: to see what an endpoint does with it, without a payment.
//!
//! ```bash
//! cargo run --example send_callback -- --to http://127.0.0.1:8080/callbacks stk-success
//! cargo run --example send_callback -- --to http://127.0.0.1:8080/callbacks --file saved.json
//! cargo run --example send_callback -- --reference attempt-1 stk-success   # to the signed URL, by MPESA_CALLBACK_*
//! ```
//!
//! It prints status, time and body of the answer, and ends with 1 if the status is no success.

use std::{
    fs, io,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use daraja::{
    Kes, Msisdn, ReceiptNumber, Timestamp, Url,
    webhook::{Receiver, Reference},
};
use serde_json::{Value, json};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// Posts a callback to a URL, as Daraja would.
#[derive(Parser)]
struct Arguments {
    /// Where to post it.
    #[arg(long, required_unless_present = "reference", conflicts_with = "reference")]
    to: Option<Url>,
    /// Post it to the signed URL of this reference, which `MPESA_CALLBACK_URL` and `MPESA_CALLBACK_SECRET` make.
    #[arg(long)]
    reference: Option<Reference>,
    /// A body to post, as it is.
    #[arg(long, required_unless_present = "scenario", conflicts_with = "scenario")]
    file: Option<PathBuf>,
    /// A body that is made up.
    scenario: Option<Scenario>,
    /// The `CheckoutRequestID` of a push, or the `OriginatorConversationID` of a payout.
    #[arg(long, default_value = "ws_CO_061020261702341708374149")]
    id: String,
    /// The receipt of the money.
    #[arg(long, default_value = "UJ6SEND0CB")]
    receipt: ReceiptNumber,
    /// The amount, in shillings.
    #[arg(long, default_value = "1")]
    amount: Kes,
    /// Who pays, or is paid.
    #[arg(long, default_value = "254708374149")]
    phone: Msisdn,
}

/// What Daraja may have to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// The customer paid.
    StkSuccess,
    /// The customer cancelled.
    StkCancelled,
    /// The customer did not answer.
    StkNoResponse,
    /// The customer has too little money.
    StkInsufficientFunds,
    /// The supplier was paid.
    B2cSuccess,
    /// The utility account holds too little.
    B2cInsufficientFunds,
    /// The payout timed out in Daraja's queue: post it to the timeout URL.
    B2cTimeout,
    /// A question after a transaction, answered: it is completed.
    StatusCompleted,
    /// A question after a transaction, answered: nothing is known.
    StatusNotFound,
    /// A question after balances, answered.
    Balance,
    /// Money went back to a customer.
    ReversalSuccess,
    /// A customer is about to pay to the PayBill.
    C2bValidation,
    /// A customer paid to the PayBill.
    C2bConfirmation,
}

#[tokio::main]
async fn main() -> Fallible<ExitCode> {
    let arguments = Arguments::parse();
    let url = url(&arguments)?;
    let body = match (&arguments.file, arguments.scenario) {
        (Some(file), _) => fs::read(file)?,
        (None, Some(scenario)) => body(scenario, &arguments).to_string().into_bytes(),
        (None, None) => return Err("name a scenario or a file".into()),
    };

    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
    let started = Instant::now();
    let request = client.post(url.as_str()).header("Content-Type", "application/json;charset=UTF-8").body(body);
    // The URL may be a secret: no error shows it.
    let answer = request.send().await.map_err(reqwest::Error::without_url)?;
    let status = answer.status();
    let text = answer.text().await.map_err(reqwest::Error::without_url)?;
    println!("status  {status}\ntime    {:.1} ms\nbody    {text}", started.elapsed().as_secs_f64() * 1_000.0);
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn url(arguments: &Arguments) -> Fallible<Url> {
    let Some(reference) = &arguments.reference else {
        return arguments.to.clone().ok_or_else(|| io::Error::other("name a URL or a reference").into());
    };
    let receiver = Receiver::from_env()?;
    let urls = receiver.urls();
    Ok(match arguments.scenario {
        None
        | Some(
            Scenario::StkSuccess | Scenario::StkCancelled | Scenario::StkNoResponse | Scenario::StkInsufficientFunds,
        ) => urls.stk(reference),
        Some(Scenario::B2cTimeout) => urls.payout(reference).timeout().clone(),
        Some(Scenario::B2cSuccess | Scenario::B2cInsufficientFunds | Scenario::ReversalSuccess) => {
            urls.payout(reference).result().clone()
        }
        Some(Scenario::StatusCompleted | Scenario::StatusNotFound | Scenario::Balance) => {
            urls.question(reference).result().clone()
        }
        Some(Scenario::C2bValidation) => urls.c2b_validation(reference),
        Some(Scenario::C2bConfirmation) => urls.c2b_confirmation(reference),
    })
}

fn body(scenario: Scenario, told: &Arguments) -> Value {
    let Arguments { id, receipt, amount, phone, .. } = told;
    // As Daraja writes it: a number with the cents, if there are any.
    let shillings = amount.to_string().parse().unwrap_or(0.0);
    let now = Timestamp::try_from(chrono::Utc::now()).expect("the clock stands in this century");
    let name = format!("{phone} - NAME SURNAME");
    let missing = |code: u64, words: &str| stk(id, code, words, None);
    match scenario {
        Scenario::StkSuccess => {
            let items = json!({"Item": [
                {"Name": "Amount", "Value": shillings},
                {"Name": "MpesaReceiptNumber", "Value": receipt},
                {"Name": "Balance"},
                {"Name": "TransactionDate", "Value": now.to_string().parse::<u64>().unwrap_or_default()},
                {"Name": "PhoneNumber", "Value": phone.as_u64()},
            ]});
            stk(id, 0, "The service request is processed successfully.", Some(&items))
        }
        Scenario::StkCancelled => missing(1032, "Request cancelled by user"),
        Scenario::StkNoResponse => missing(1037, "No response from user."),
        Scenario::StkInsufficientFunds => missing(1, "The balance is insufficient for the transaction."),
        Scenario::B2cSuccess => result(
            told,
            0,
            &[
                ("TransactionAmount", json!(shillings)),
                ("TransactionReceipt", json!(receipt)),
                ("ReceiverPartyPublicName", json!(name)),
                ("TransactionCompletedDateTime", json!(now.to_datetime().format("%d.%m.%Y %H:%M:%S").to_string())),
                ("B2CUtilityAccountAvailableFunds", json!(50_000.00)),
                ("B2CRecipientIsRegisteredCustomer", json!("Y")),
            ],
        ),
        Scenario::B2cInsufficientFunds => result(told, 1, &[]),
        Scenario::B2cTimeout => json!({"OriginatorConversationID": id, "ConversationID": CONVERSATION}),
        Scenario::StatusCompleted => result(
            told,
            0,
            &[
                ("ReceiptNo", json!(receipt)),
                ("TransactionStatus", json!("Completed")),
                ("Amount", json!(shillings)),
                ("CreditPartyName", json!(name)),
            ],
        ),
        Scenario::StatusNotFound => result(told, 2032, &[]),
        Scenario::Balance => result(
            told,
            0,
            &[
                (
                    "AccountBalance",
                    json!(
                        "Working Account|KES|700000.00|700000.00|0.00|0.00&Utility Account|KES|228037.00|228037.00|0.00|0.00"
                    ),
                ),
                ("BOCompletedTime", json!(now)),
            ],
        ),
        Scenario::ReversalSuccess => result(
            told,
            0,
            &[
                ("OriginalTransactionID", json!(receipt)),
                ("Amount", json!(shillings)),
                ("TransCompletedTime", json!(now)),
            ],
        ),
        Scenario::C2bValidation | Scenario::C2bConfirmation => json!({
            "TransactionType": "Pay Bill", "TransID": receipt, "TransTime": now, "TransAmount": amount.to_string(),
            "BusinessShortCode": "174379", "BillRefNumber": "INV-001", "InvoiceNumber": "", "OrgAccountBalance": "",
            "ThirdPartyTransID": "", "MSISDN": format!("{} ***** {}", &phone.to_string()[..4], &phone.to_string()[9..]),
            "FirstName": "NAME", "MiddleName": "", "LastName": "",
        }),
    }
}

const CONVERSATION: &str = "AG_20261006_0100101002hi3i67m6ml";

fn stk(id: &str, code: u64, words: &str, metadata: Option<&Value>) -> Value {
    let mut callback = json!({"MerchantRequestID": "29115-34620561-1", "CheckoutRequestID": id, "ResultCode": code, "ResultDesc": words});
    if let Some(metadata) = metadata {
        callback["CallbackMetadata"] = metadata.clone();
    }
    json!({"Body": {"stkCallback": callback}})
}

fn result(told: &Arguments, code: u64, parameters: &[(&str, Value)]) -> Value {
    let mut result = json!({
        "ResultType": 0, "ResultCode": code, "ResultDesc": "The service request is processed.",
        "OriginatorConversationID": told.id, "ConversationID": CONVERSATION, "TransactionID": told.receipt,
    });
    if !parameters.is_empty() {
        let pairs: Vec<_> = parameters.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        result["ResultParameters"] = json!({"ResultParameter": pairs});
    }
    json!({"Result": result})
}

#[cfg(test)]
mod tests {
    use daraja::{
        B2cOutcome, BalanceOutcome, ReversalOutcome, StatusOutcome, StkOutcome,
        webhook::{Event, EventKind},
    };

    use super::*;

    fn event(scenario: Scenario, kind: EventKind) -> Event {
        let arguments = Arguments::parse_from(["send_callback", "--to", "http://127.0.0.1/", "stk-success"]);
        let body = body(scenario, &arguments).to_string();
        let event = Event::parse_as(kind, body.as_bytes()).unwrap();
        assert_eq!(event.kind(), kind, "{scenario:?}");
        if !matches!(kind, EventKind::C2bValidation | EventKind::C2bConfirmation) {
            assert_eq!(Event::parse(body.as_bytes()).unwrap().kind(), kind, "{scenario:?}");
        }
        event
    }

    #[test]
    fn every_scenario_tells_what_its_name_says() {
        for scenario in Scenario::value_variants() {
            let tells = match scenario {
                Scenario::StkSuccess => {
                    matches!(event(*scenario, EventKind::Stk), Event::Stk(told) if matches!(told.outcome, StkOutcome::Paid(_)))
                }
                Scenario::StkCancelled | Scenario::StkNoResponse | Scenario::StkInsufficientFunds => {
                    matches!(event(*scenario, EventKind::Stk), Event::Stk(told) if matches!(told.outcome, StkOutcome::Failed(_)))
                }
                Scenario::B2cTimeout => matches!(event(*scenario, EventKind::QueueTimeout), Event::QueueTimeout(_)),
                Scenario::C2bValidation => {
                    matches!(event(*scenario, EventKind::C2bValidation), Event::C2b(told) if told.proof().is_none())
                }
                Scenario::C2bConfirmation => {
                    matches!(event(*scenario, EventKind::C2bConfirmation), Event::C2b(told) if told.proof().is_some())
                }
                _ => {
                    let Event::Result(told) = event(*scenario, EventKind::Result) else { panic!("{scenario:?}") };
                    match scenario {
                        Scenario::B2cSuccess => matches!(told.b2c().unwrap().outcome, B2cOutcome::Paid(_)),
                        Scenario::B2cInsufficientFunds => matches!(told.b2c().unwrap().outcome, B2cOutcome::Failed(_)),
                        Scenario::StatusCompleted => {
                            matches!(told.transaction_status().unwrap().outcome, StatusOutcome::Found(found) if found.proof().is_some())
                        }
                        Scenario::StatusNotFound => {
                            matches!(told.transaction_status().unwrap().outcome, StatusOutcome::NotFound)
                        }
                        Scenario::Balance => {
                            matches!(told.account_balance().unwrap().outcome, BalanceOutcome::Known(known) if known.utility().is_some())
                        }
                        Scenario::ReversalSuccess => {
                            matches!(told.reversal().unwrap().outcome, ReversalOutcome::Reversed(_))
                        }
                        _ => false,
                    }
                }
            };
            assert!(tells, "{scenario:?}");
        }
    }
}
