//! M-PESA Express from the other side: one record per push, behind answer, query and callback alike.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use url::Url;

use super::{
    PASSKEY, PAYBILL, Prompt, STORE, Simulator, State, TILL,
    customer::{Behaviour, Callback, DecidedBy, Ending, Receipt, WhileOpen},
    delivery::{Delivery, Kind as Mail, Order, Slot},
    desk::{self, Refusal},
    ledger::{Entry, Fate, IdIs, Kind},
    line::{self, HEAD_START, HeldBack},
    random::{self, Chance},
};
use crate::{
    Msisdn, ResultCode, Shillings, Timestamp,
    stk::{AcceptedBody, PushBody, QueryAnswer, QueryBody},
    wire::{Text, plain},
};

const ACCEPTED: &str = "Success. Request accepted for processing";

/// One push that was accepted.
pub(super) struct Push {
    pub(super) prompt: Prompt,
    merchant_request_id: String,
    pub(super) short_code: String,
    callback_url: String,
    pub(super) behaviour: Behaviour,
    /// When the callback is due.
    pub(super) ends_at: Instant,
    /// When a query knows the end.
    pub(super) known_at: Instant,
    /// The callbacks on their way.
    pub(super) callbacks: Vec<Slot>,
}

pub(super) fn push(simulator: &Simulator, request: &Request<Bytes>) -> Result<Response<Bytes>, Refusal> {
    let body: PushBody<'_, Text<'_>, Text<'_>> = read(request)?;
    let asked = Asked::check(&body)?;
    check_merchant(&body.business_short_code, &body.password, &body.timestamp)?;
    let settings = &simulator.shared.settings;
    let (now, today) = (Instant::now(), simulator.shared.clock.timestamp());
    let mut state = simulator.lock();
    let open = state.last_push.get(&asked.payer).and_then(|id| state.pushes.get(id));
    if open.is_some_and(|push| push.ends_at > now) {
        let words = "Unable to lock subscriber, a transaction is already in process for the current subscriber";
        return Err(Refusal(500, "500.001.1001", words));
    }
    let mut behaviour = state.behaviour_of(asked.payer);
    if !asked.pays_the_merchant {
        behaviour.ending = Ending::NOT_PERMITTED;
    }
    let id = state.checkout_request_id(asked.payer, today);
    let by_hand = behaviour.ending.decided_by == DecidedBy::Hand;
    let chosen = behaviour.after.or(settings.answer_time.filter(|_| !by_hand));
    let early = behaviour.callback == Callback::Early && !by_hand;
    let (told_after, known_after) = match chosen {
        _ if early => (Duration::ZERO, Duration::ZERO),
        Some(time) => (time, time),
        None => (behaviour.ending.after, behaviour.ending.queried_after),
    };
    let later = |pause| now.checked_add(pause).unwrap_or(now);
    let prompt = Prompt {
        payer: asked.payer,
        amount: asked.amount,
        reference: asked.reference.to_owned(),
        checkout_request_id: id.parse().expect("the simulator's ids are ids"),
    };
    let push = Push {
        prompt,
        merchant_request_id: state.random.request_id(),
        short_code: body.business_short_code.as_str().to_owned(),
        callback_url: asked.callback_url.to_owned(),
        behaviour,
        ends_at: later(told_after),
        known_at: later(known_after),
        callbacks: Vec::new(),
    };
    tracing::info!(payer = %asked.payer.masked(), amount = asked.amount.get(), "prompt");
    let answer = AcceptedBody {
        merchant_request_id: push.merchant_request_id.clone().into(),
        checkout_request_id: id.clone().into(),
        response_code: "0".into(),
        response_description: ACCEPTED.into(),
        customer_message: ACCEPTED.into(),
    };
    let mut response = desk::json(StatusCode::OK, &answer);
    if early {
        response.extensions_mut().insert(HeldBack(HEAD_START));
    }
    state.last_push.insert(asked.payer, id.clone());
    state.rung.push(id);
    end(simulator, &mut state, push);
    Ok(response)
}

/// Books what a push will end in, and schedules its callbacks.
pub(super) fn end(simulator: &Simulator, state: &mut State, mut push: Push) {
    let (ends_at, prompt) = (push.ends_at, &push.prompt);
    let id = prompt.checkout_request_id.as_str().to_owned();
    let later = |pause| ends_at.checked_add(pause).unwrap_or(ends_at);
    let (times, order): (&[Instant], _) = match push.behaviour.callback {
        Callback::Lost => (&[], Order::WhenDue),
        Callback::Once | Callback::Early => (&[ends_at], Order::WhenDue),
        Callback::Twice => (&[ends_at, later(Duration::from_secs(2))], Order::WhenDue),
        Callback::Late(delay) => (&[later(delay)], Order::WhenDue),
        Callback::Overtaken => (&[ends_at], Order::Overtaken),
    };
    let ending = push.behaviour.ending;
    let items = (ending.code == 0).then(|| {
        let seconds =
            chrono::TimeDelta::from_std(ends_at.saturating_duration_since(Instant::now())).unwrap_or_default();
        let paid_at = simulator.shared.clock.now().checked_add_signed(seconds).unwrap_or_default();
        state.receipts = state.receipts.saturating_add(1);
        let paid_at = Timestamp::from_utc(paid_at);
        let receipt = random::receipt(state.receipts, paid_at.to_datetime());
        state.ledger.receive(Entry {
            kind: Kind::Payment,
            receipt: receipt.clone(),
            originator_conversation_id: push.merchant_request_id.clone(),
            conversation_id: id.clone(),
            id_is_own: IdIs::TheGateways,
            number: prompt.payer,
            amount: prompt.amount,
            started: simulator.shared.clock.timestamp(),
            ended: paid_at,
            ends_at,
            fate: Fate::Completed,
            reversal: None,
        });
        metadata(prompt, ending.receipt, &receipt, paid_at)
    });
    let body = CallbackBody {
        body: CallbackInner {
            stk_callback: CallbackFields {
                merchant_request_id: &push.merchant_request_id,
                checkout_request_id: &id,
                result_code: ending.code,
                result_desc: ending.told,
                callback_metadata: items.map(|item| Metadata { item }),
            },
        },
    };
    let body = Bytes::from(serde_json::to_vec(&body).expect("the simulator's callbacks are plain structs"));
    let mut schedule = |due: &Instant| {
        let (url, short_code) = (push.callback_url.clone(), push.short_code.clone());
        simulator.schedule(state, Mail::Callback, *due, Delivery { url, short_code, body: body.clone(), order })
    };
    push.callbacks = times.iter().map(&mut schedule).collect();
    state.pushes.insert(id, push);
}

/// Five items as in real callbacks, `Balance` without a value.
fn metadata(prompt: &Prompt, given: Receipt, receipt: &str, paid_at: Timestamp) -> Vec<Item> {
    let item = |name, value| Item { name, value };
    let date = paid_at.to_string().parse::<u64>().ok();
    let mut items = vec![
        item("Amount", Some(f64::from(prompt.amount.get()).into())),
        item("MpesaReceiptNumber", Some(receipt.into())),
        item("Balance", None),
        item("TransactionDate", date.map(Into::into)),
        item("PhoneNumber", Some(prompt.payer.as_u64().into())),
    ];
    if given == Receipt::Missing {
        items.retain(|item| item.name != "MpesaReceiptNumber");
    }
    items
}

pub(super) fn query(simulator: &Simulator, request: &Request<Bytes>) -> Result<Response<Bytes>, Refusal> {
    let spacing = simulator.shared.settings.query_spacing;
    let now = Instant::now();
    let mut state = simulator.lock();
    if state.last_query.is_some_and(|last| now.saturating_duration_since(last) < spacing) {
        return Ok(line::throttled(None));
    }
    state.last_query = Some(now);
    drop(state);
    let body: QueryBody<'_> = read(request)?;
    check_short_code(&body.business_short_code)?;
    check_merchant(&body.business_short_code, &body.password, &body.timestamp)?;
    let id = body.checkout_request_id.as_str();
    if id.is_empty() {
        return Err(Refusal(400, "400.002.02", "Bad Request - Invalid CheckoutRequestID"));
    }
    let mut state = simulator.lock();
    let State { pushes, random, .. } = &mut *state;
    let Some(push) = pushes.get(id).filter(|push| push.short_code == body.business_short_code.as_str()) else {
        return Ok(desk::refuse_as(id, 500, "500.001.1001", "The transaction does not Exist"));
    };
    let ending = push.behaviour.ending;
    let answer = |code: u64, words| Ok(desk::json(StatusCode::OK, &query_answer(push, id, code, words)));
    match (now < push.known_at, ending.while_open) {
        (true, WhileOpen::Processing) => answer(4999, "The transaction is still under processing"),
        (true, WhileOpen::EmptyError) => Ok(desk::refuse_as(id, 200, "500.001.1001", "")),
        // Of an unanswered prompt Daraja now and then knows nothing for a while, long after it knew.
        (false, _) if ending.code == 1037 && matches!(random.one_in(5), Chance::Hit) => {
            Ok(desk::refuse_as(id, 500, "500.001.1001", ""))
        }
        (false, _) => answer(ending.code, ending.queried),
    }
}

fn query_answer<'a>(push: &'a Push, id: &'a str, code: u64, words: &'a str) -> QueryAnswer<'a> {
    QueryAnswer {
        response_code: "0".into(),
        response_description: "The service request has been accepted successfully".into(),
        merchant_request_id: push.merchant_request_id.as_str().into(),
        checkout_request_id: id.into(),
        result_code: Some(ResultCode::new(code)),
        result_desc: words.into(),
    }
}

/// Reads a JSON body. Any other content type is taken for JSON that lacks its first field, as Daraja does.
pub(super) fn read<'r, T: Deserialize<'r>>(request: &'r Request<Bytes>) -> Result<T, Refusal> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("application/json") {
        return Err(Refusal(400, "400.002.02", "Bad Request - Invalid BusinessShortCode"));
    }
    serde_json::from_slice(request.body()).map_err(|_| Refusal(400, "400.002.05", "Invalid Request Payload"))
}

/// What a push asks for, once every field was found right.
struct Asked<'b> {
    payer: Msisdn,
    amount: Shillings,
    reference: &'b str,
    callback_url: &'b str,
    pays_the_merchant: bool,
}

impl<'b> Asked<'b> {
    fn check(body: &'b PushBody<'_, Text<'_>, Text<'_>>) -> Result<Self, Refusal> {
        let refuse = |words| Err(Refusal(400, "400.002.02", words));
        check_short_code(&body.business_short_code)?;
        if body.timestamp.as_str().parse::<Timestamp>().is_err() {
            return refuse("Bad Request - Invalid Timestamp");
        }
        let till = match body.transaction_type.as_str() {
            "CustomerPayBillOnline" => false,
            "CustomerBuyGoodsOnline" => true,
            _ => return refuse("Bad Request - Invalid TransactionType"),
        };
        let amount = plain(body.amount.as_str());
        let whole = !amount.is_empty() && amount.bytes().all(|byte| byte.is_ascii_digit());
        let amount = match amount.parse() {
            Ok(amount) if whole && amount <= Shillings::new(250_000).unwrap_or(amount) => amount,
            _ => return refuse("Bad Request - Invalid Amount"),
        };
        // First, as programs send one number in both fields, and Daraja was seen to name this one.
        let Some(payer) = line_number(&body.phone_number) else {
            return refuse("Bad Request - Invalid PhoneNumber");
        };
        if line_number(&body.party_a).is_none() {
            return refuse("Bad Request - Invalid PartyA");
        }
        if body.party_b.as_str().is_empty() {
            return refuse("Bad Request - Invalid PartyB");
        }
        let callback_url = body.call_back_url.as_str();
        if !is_callback_url(callback_url) {
            return refuse("Bad Request - Invalid CallBackURL");
        }
        let reference = body.account_reference.as_str();
        if !(1..=12).contains(&reference.chars().count()) {
            return refuse("Bad Request - Invalid AccountReference");
        }
        if body.transaction_desc.as_str().chars().count() > 13 {
            return refuse("Bad Request - Invalid TransactionDesc");
        }
        let receiver = if till { TILL } else { body.business_short_code.as_str() };
        let store = if till { STORE } else { PAYBILL };
        let pays_the_merchant = body.party_b.as_str() == receiver && body.business_short_code.as_str() == store;
        Ok(Self { payer, amount, reference, callback_url, pays_the_merchant })
    }
}

fn check_short_code(code: &Text<'_>) -> Result<(), Refusal> {
    let code = code.as_str();
    let fits = (5..=7).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit());
    if fits { Ok(()) } else { Err(Refusal(400, "400.002.02", "Bad Request - Invalid BusinessShortCode")) }
}

/// Twelve digits and nothing else: what looks like a number to a person is refused.
pub(super) fn line_number(text: &Text<'_>) -> Option<Msisdn> {
    let text = text.as_str();
    let plain = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number: &Msisdn| plain && number.is_mobile())
}

/// An upper-case host is refused: the leading suspect of an observed "Invalid CallBackURL".
pub(super) fn is_callback_url(text: &str) -> bool {
    let host = text.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    let lower = host.is_some_and(|host| !host.bytes().any(|byte| byte.is_ascii_uppercase()));
    lower && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// The password is base64 of short code, passkey and the body's own timestamp.
fn check_merchant(code: &Text<'_>, password: &Text<'_>, timestamp: &Text<'_>) -> Result<(), Refusal> {
    let (code, timestamp) = (code.as_str(), timestamp.as_str());
    if ![PAYBILL, STORE].contains(&code) {
        return Err(Refusal(500, "500.001.1001", "Merchant does not exist"));
    }
    if password.as_str() != STANDARD.encode(format!("{code}{PASSKEY}{timestamp}")) {
        return Err(Refusal(500, "500.001.1001", "[MerchantValidate] - Wrong credentials"));
    }
    Ok(())
}

impl State {
    pub(super) fn pushes_in_order(&self) -> impl Iterator<Item = &Push> {
        self.rung.iter().filter_map(|id| self.pushes.get(id))
    }

    /// `ws_CO_`, the date in Nairobi, three digits and the payer's nine: the number stands in it, as in Daraja's own.
    fn checkout_request_id(&mut self, payer: Msisdn, today: Timestamp) -> String {
        let date = today.to_datetime().format("%d%m%Y%H%M%S");
        let number = payer.to_string();
        let national = number.get(3..).unwrap_or_default();
        let id = |number: u64| format!("ws_CO_{date}{number:03}{national}");
        let usual = id(self.random.next() % 1_000);
        // A thousand pushes to one number within a second: the count of all pushes was never used for it.
        if self.pushes.contains_key(&usual) { id(self.pushes.len().saturating_add(1_000) as u64) } else { usual }
    }
}

#[derive(Serialize)]
struct CallbackBody<'a> {
    #[serde(rename = "Body")]
    body: CallbackInner<'a>,
}

#[derive(Serialize)]
struct CallbackInner<'a> {
    #[serde(rename = "stkCallback")]
    stk_callback: CallbackFields<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CallbackFields<'a> {
    #[serde(rename = "MerchantRequestID")]
    merchant_request_id: &'a str,
    #[serde(rename = "CheckoutRequestID")]
    checkout_request_id: &'a str,
    result_code: u64,
    result_desc: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_metadata: Option<Metadata>,
}

#[derive(Serialize)]
struct Metadata {
    #[serde(rename = "Item")]
    item: Vec<Item>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<serde_json::Value>,
}
