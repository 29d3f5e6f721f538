//! What the initiator family shares on the other side, and transaction status, balance and reversal.
//!
//! As with Daraja, the answer judges the fields only. Credential, account and recipient are judged behind it, and the
//! verdict is posted.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    PAYBILL, STORE, Simulator, State,
    credential::{self, Judgement},
    delivery::{Delivery, Kind as Mail, Order},
    desk::{self, Refusal},
    express::{is_callback_url, read},
    ledger::{Entry, Fate, Kind, PAYOUT_FEE, Reversal},
    organisation::{B2C_SHORT_CODE, INITIATOR},
    random,
    recipient::{
        BAD_PARAMETER, INITIATOR_LOCKED, NOT_FOUND, NOT_FOUND_BY_ID, PROCESSED, TOO_LITTLE, Verdict, WRONG_INITIATOR,
    },
};
use crate::{
    Msisdn, ReceiptNumber, Shillings, Timestamp,
    account_balance::BalanceBody,
    initiated::{AcceptedBody, InitiatorFields},
    reversal::ReversalBody,
    transaction_status::StatusBody,
    wire::{Text, plain},
};

/// So many wrong credentials in a row lock the initiator.
const TRIES: u32 = 3;

pub(super) const ORGANISATION: &str = "600992 - SIMULATED SHOP";

/// A request that was taken, on its way to a result.
pub(super) struct Taken<'b> {
    pub(super) originator_conversation_id: String,
    pub(super) conversation_id: String,
    pub(super) short_code: &'b str,
    pub(super) result_url: &'b str,
    pub(super) timeout_url: &'b str,
}

impl Taken<'_> {
    pub(super) fn acknowledge(&self) -> Response<Bytes> {
        desk::json(
            StatusCode::OK,
            &AcceptedBody {
                conversation_id: self.conversation_id.as_str().into(),
                originator_conversation_id: self.originator_conversation_id.as_str().into(),
                response_code: "0".into(),
                response_description: "Accept the service request successfully.".into(),
            },
        )
    }

    /// A failure has no parameters, and a transaction id that means nothing.
    pub(super) fn result(&self, code: &Value, words: &str, transaction_id: &str, parameters: Option<Value>) -> Value {
        let mut result = json!({
            "ResultType": 0,
            "ResultCode": code,
            "ResultDesc": words,
            "OriginatorConversationID": self.originator_conversation_id,
            "ConversationID": self.conversation_id,
            "TransactionID": transaction_id,
            "ReferenceData": {"ReferenceItem": {"Key": "QueueTimeoutURL", "Value": "https://internal.simulator.invalid/submit"}},
        });
        if let (Some(fields), Some(parameters)) = (result.as_object_mut(), parameters) {
            fields.insert("ResultParameters".to_owned(), json!({"ResultParameter": parameters}));
        }
        json!({ "Result": result })
    }

    pub(super) fn post(&self, simulator: &Simulator, state: &mut State, url: &str, after: Duration, body: &Value) {
        let body = Bytes::from(serde_json::to_vec(body).expect("a JSON value can be written"));
        let (url, short_code) = (url.to_owned(), self.short_code.to_owned());
        let due = Instant::now().checked_add(after).unwrap_or_else(Instant::now);
        let delivery = Delivery { url, short_code, body, order: Order::WhenDue };
        simulator.schedule(state, Mail::Result, due, delivery);
    }
}

pub(super) fn refuse<T>(words: &'static str) -> Result<T, Refusal> {
    Err(Refusal(400, "400.002.02", words))
}

pub(super) fn parameter(key: &str, value: impl Into<Value>) -> Value {
    json!({"Key": key, "Value": value.into()})
}

/// What every request of the family is checked for before it is taken.
fn check_common<'b>(
    fields: &'b InitiatorFields<'_>,
    short_code: &'b Text<'_>,
    command: &str,
) -> Result<(&'b str, &'b str, &'b str), Refusal> {
    if fields.initiator.as_str().is_empty() {
        return refuse("Bad Request - Invalid Initiator");
    }
    if fields.security_credential.as_str().is_empty() {
        return refuse("Bad Request - Invalid SecurityCredential");
    }
    if fields.command_id.as_str() != command {
        return refuse("Bad Request - Invalid CommandID");
    }
    check_rest(short_code, &fields.remarks, &fields.result_url, &fields.queue_time_out_url)
}

pub(super) fn check_rest<'b>(
    short_code: &'b Text<'_>,
    remarks: &Text<'_>,
    result_url: &'b Text<'_>,
    timeout_url: &'b Text<'_>,
) -> Result<(&'b str, &'b str, &'b str), Refusal> {
    let (code, result_url, timeout_url) = (short_code.as_str(), result_url.as_str(), timeout_url.as_str());
    if !(5..=7).contains(&code.len()) || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return refuse("Bad Request - Invalid PartyA");
    }
    if !(2..=100).contains(&remarks.as_str().chars().count()) {
        return refuse("Bad Request - Invalid Remarks");
    }
    if !is_callback_url(result_url) {
        return refuse("Bad Request - Invalid ResultURL");
    }
    if !is_callback_url(timeout_url) {
        return refuse("Bad Request - Invalid QueueTimeOutURL");
    }
    Ok((code, result_url, timeout_url))
}

/// Whole shillings. `100.0`, as programs that count in floats write it, is 100.
pub(super) fn whole_amount(text: &Text<'_>) -> Result<Shillings, Refusal> {
    let text = plain(text.as_str());
    let whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| whole).map_or_else(|| refuse("Bad Request - Invalid Amount"), Ok)
}

impl State {
    /// Name, password and short code of the initiator, judged behind the answer. A few wrong ones lock it.
    pub(super) fn judge_initiator(&mut self, name: &str, credential: &str, short_code: &str) -> Result<(), Verdict> {
        if self.wrong_credentials >= TRIES {
            return Err(INITIATOR_LOCKED);
        }
        let right = name == INITIATOR && credential::judge(credential) == Judgement::Right;
        if right && [B2C_SHORT_CODE, PAYBILL, STORE].contains(&short_code) {
            self.wrong_credentials = 0;
            return Ok(());
        }
        self.wrong_credentials = self.wrong_credentials.saturating_add(1);
        Err(WRONG_INITIATOR)
    }

    /// `AG_`, the date in Nairobi and twenty digits.
    pub(super) fn conversation_id(&mut self, today: Timestamp) -> String {
        let date = today.to_datetime().format("%Y%m%d");
        let (high, low) = (self.random.next() & 0xffff, self.random.next());
        format!("AG_{date}_{high:04x}{low:016x}")
    }

    pub(super) fn next_receipt(&mut self, today: Timestamp) -> String {
        self.receipts = self.receipts.saturating_add(1);
        random::receipt(self.receipts, today.to_datetime())
    }
}

pub(super) fn party(number: Msisdn) -> String {
    format!("{number} - SIMULATED PERSON")
}

/// Takes a request of the three others: checks it, judges its initiator, and posts what `answer` makes of it under a
/// receipt number that it is told.
fn take(
    simulator: &Simulator,
    fields: &InitiatorFields<'_>,
    party_a: &Text<'_>,
    command: &str,
    answer: impl FnOnce(&mut State, Timestamp, &str) -> (Value, &'static str, Option<Value>),
) -> Result<Response<Bytes>, Refusal> {
    let (short_code, result_url, timeout_url) = check_common(fields, party_a, command)?;
    let today = simulator.shared.clock.timestamp();
    let mut state = simulator.lock();
    let taken = Taken {
        originator_conversation_id: state.random.request_id(),
        conversation_id: state.conversation_id(today),
        short_code,
        result_url,
        timeout_url,
    };
    let transaction_id = state.next_receipt(today);
    let (name, credential) = (fields.initiator.as_str(), fields.security_credential.as_str());
    let (code, words, parameters) = match state.judge_initiator(name, credential, short_code) {
        Ok(()) => answer(&mut state, today, &transaction_id),
        Err(Verdict(code, words)) => (code.into(), words, None),
    };
    let result = taken.result(&code, words, &transaction_id, parameters);
    taken.post(simulator, &mut state, result_url, simulator.shared.settings.result_time, &result);
    Ok(taken.acknowledge())
}

pub(super) fn status(simulator: &Simulator, request: &Request<Bytes>) -> Result<Response<Bytes>, Refusal> {
    let body: StatusBody<'_> = read(request)?;
    let wanted =
        |text: &Option<Text<'_>>| text.as_ref().map(|text| text.as_str().to_owned()).filter(|id| !id.is_empty());
    let (receipt, id) = (wanted(&body.transaction_id), wanted(&body.original_conversation_id));
    take(simulator, &body.common, &body.party_a, "TransactionStatusQuery", |state, _, _| {
        let entry = match (&receipt, &id) {
            (Some(receipt), _) => state.ledger.by_receipt(receipt),
            (None, Some(id)) => state.ledger.by_id(id),
            (None, None) => return (BAD_PARAMETER.0.into(), BAD_PARAMETER.1, None),
        };
        // A payment that has not come in yet is not in the books.
        let known = entry.filter(|entry| entry.kind == Kind::Payout || entry.ends_at <= Instant::now());
        if let Some(entry) = known {
            return (0.into(), PROCESSED.1, Some(transaction(entry)));
        }
        let Verdict(code, words) = if receipt.is_some() { NOT_FOUND } else { NOT_FOUND_BY_ID };
        (code.into(), words, None)
    })
}

fn transaction(entry: &Entry) -> Value {
    let person = party(entry.number);
    let (debit, credit, kind) = match entry.kind {
        Kind::Payout => (ORGANISATION, person.as_str(), "Business Payment to Customer via API"),
        Kind::Payment => (person.as_str(), ORGANISATION, "Pay Bill Online"),
    };
    let under_way = entry.ends_at > Instant::now();
    let status = match entry.fate {
        _ if under_way => "Initiated",
        Fate::Completed => "Completed",
        Fate::Declined => "Declined",
    };
    let fee =
        if entry.fate == Fate::Declined { String::new() } else { format!("Fee For B2C Payment|KES|{PAYOUT_FEE}") };
    json!([
        parameter("DebitPartyName", debit),
        parameter("CreditPartyName", credit),
        parameter("OriginatorConversationID", entry.originator_conversation_id.as_str()),
        parameter("InitiatedTime", entry.started.to_string()),
        parameter("DebitAccountType", "Utility Account"),
        parameter("DebitPartyCharges", fee),
        {"Key": "TransactionReason"},
        parameter("ReasonType", kind),
        parameter("TransactionStatus", status),
        parameter("FinalisedTime", if under_way { String::new() } else { entry.ended.to_string() }),
        parameter("Amount", format!("{}.00", entry.amount)),
        parameter("ConversationID", entry.conversation_id.as_str()),
        parameter("ReceiptNo", if under_way { "" } else { entry.receipt.as_str() }),
    ])
}

pub(super) fn balance(simulator: &Simulator, request: &Request<Bytes>) -> Result<Response<Bytes>, Refusal> {
    let body: BalanceBody<'_> = read(request)?;
    take(simulator, &body.common, &body.party_a, "AccountBalance", |state, today, _| {
        let accounts = state.ledger.accounts();
        let account = |name: &str, amount: crate::Kes| format!("{name}|KES|{amount}|{amount}|0.00|0.00");
        let text = [
            account("Working Account", accounts.working),
            account("Utility Account", accounts.utility),
            account("Charges Paid Account", accounts.charges_paid),
        ];
        let parameters =
            json!([parameter("AccountBalance", text.join("&")), parameter("BOCompletedTime", today.to_string())]);
        (0.into(), "The service request is processed successfully.", Some(parameters))
    })
}

pub(super) fn reversal(simulator: &Simulator, request: &Request<Bytes>) -> Result<Response<Bytes>, Refusal> {
    let body: ReversalBody<'_, Text<'_>> = read(request)?;
    if body.reciever_identifier_type.as_str() != "11" {
        return refuse("Bad Request - Invalid RecieverIdentifierType");
    }
    let amount = whole_amount(&body.amount)?;
    let Ok(receipt) = body.transaction_id.as_str().parse::<ReceiptNumber>() else {
        return refuse("Bad Request - Invalid TransactionID");
    };
    take(simulator, &body.common, &body.receiver_party, "TransactionReversal", |state, today, transaction_id| {
        let refused = |code: &str, words| (code.into(), words, None);
        let payment = state.ledger.by_receipt(receipt.as_str()).cloned();
        let payment = payment.filter(|entry| entry.kind == Kind::Payment && entry.ends_at <= Instant::now());
        match payment {
            Some(entry) if entry.reversal.is_some() => refused("R000001", "The transaction has already been reversed."),
            Some(entry) if amount <= entry.amount => match state.ledger.withdraw(amount) {
                Ok(accounts) => {
                    let (transaction_id, moment) = (transaction_id.to_owned(), Instant::now());
                    let reversal = Reversal { receipt: transaction_id, amount, at: today, moment };
                    state.ledger.mark_reversed(receipt.as_str(), reversal);
                    (0.into(), PROCESSED.1, Some(reversed(&entry, amount, accounts.utility, today)))
                }
                Err(_) => (TOO_LITTLE.0.into(), TOO_LITTLE.1, None),
            },
            _ => refused("R000002", "The OriginalTransactionID is invalid."),
        }
    })
}

fn reversed(payment: &Entry, amount: Shillings, utility: crate::Kes, today: Timestamp) -> Value {
    json!([
        parameter("DebitAccountBalance", format!("Utility Account|KES|{utility}|{utility}|0.00|0.00")),
        parameter("Amount", amount.get()),
        parameter("TransCompletedTime", today.to_string().parse::<u64>().unwrap_or_default()),
        parameter("OriginalTransactionID", payment.receipt.as_str()),
        parameter("Charge", 0),
        parameter("CreditPartyPublicName", party(payment.number)),
        parameter("DebitPartyPublicName", ORGANISATION),
    ])
}
