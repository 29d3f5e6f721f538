//! The simulator's phone: the prompts and messages of the demo, in the hands of whoever looks at the page.

use axum::{
    Json, Router,
    extract::Request,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use daraja::{
    Msisdn,
    simulator::{PromptAnswer, Simulator},
};
use serde_json::json;

use super::{
    PHONE_KEY, Visit, for_guests, form, go, page, set_cookie, shown,
    views::{
        Kes,
        phone::{PhoneChoice, PhonePage, Prompt, Sms},
    },
    words,
};
use crate::{
    app::App,
    demo::{Demo, PHONES},
    reply::Failure,
};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/phone", get(show)).route("/phone/state", get(state)).route("/phone/answer", post(answer))
}

/// Only for a browser that opened the phone by the URL on the terminal: an answer here pays for any customer.
fn simulator(visit: &Visit) -> Result<&Simulator, Failure> {
    let demo = demo(visit)?;
    if demo.is_phone_key(&visit.phone_key) {
        return Ok(&demo.simulator);
    }
    let message = "Open the phone by the address that is printed on the terminal, where the demo was started.";
    Err(Failure::new(StatusCode::FORBIDDEN, "PHONE_KEY_NEEDED", message))
}

fn demo(visit: &Visit) -> Result<&Demo, Failure> {
    visit.app.demo.as_ref().ok_or_else(|| Failure::not_found("NO_SIMULATOR", "There is no simulator behind this shop."))
}

/// The phone that is looked at: one of the demo's, or a supplier's.
async fn chosen(visit: &Visit) -> Result<(Msisdn, Vec<PhoneChoice>), Failure> {
    let number = words::parameter(&visit.path, "number").unwrap_or_default();
    let shown = |number: &str, who: &str| PhoneChoice {
        number: number.to_owned(),
        shown: format!("{} ({who})", words::spelled(number)),
    };
    let mut phones: Vec<_> = PHONES.iter().map(|(number, whose)| shown(number, whose)).collect();
    for supplier in crate::suppliers::all(&visit.app).await? {
        phones.push(shown(&supplier.mpesa_number, &supplier.name));
    }
    let known = phones.iter().find(|phone| phone.number == number).or(phones.first());
    let number = known.and_then(|phone| phone.number.parse().ok());
    let no_phone = || Failure::not_found("NO_PHONE", "There is no phone.");
    Ok((number.ok_or_else(no_phone)?, phones))
}

async fn show(visit: Visit) -> Response {
    page(visit, async |visit| {
        let key = words::parameter(&visit.path, "key").unwrap_or_default();
        if demo(visit)?.is_phone_key(&key) {
            return opened(visit, &key);
        }
        let simulator = simulator(visit)?;
        let (number, phones) = chosen(visit).await?;
        let ignored = words::parameter(&visit.path, "ignore").unwrap_or_default();
        let prompts = simulator.open_prompts().into_iter().filter(|open| open.prompt.payer == number);
        let prompts = prompts.map(|open| Prompt {
            ignored: open.prompt.checkout_request_id.as_str() == ignored,
            id: open.prompt.checkout_request_id.to_string(),
            amount: Kes(i64::from(open.prompt.amount.get())),
            short_code: visit.app.daraja.merchant.short_code().to_string(),
            account: open.prompt.reference,
            seconds_left: i64::try_from(open.time_left.as_secs()).unwrap_or(0),
        });
        let messages = simulator.messages(number).into_iter().rev().map(|message| Sms {
            from: "M-PESA".to_owned(),
            at: message.at.to_datetime().format("%-d %b, %H:%M").to_string(),
            text: message.text,
        });
        shown(&PhonePage {
            shell: visit.shell(),
            phones,
            version: version(simulator, number),
            number: number.to_string(),
            prompts: prompts.collect(),
            messages: messages.collect(),
        })
        .map(|response| for_guests(visit, response))
    })
    .await
}

/// The key goes from the URL into a cookie.
fn opened(visit: &Visit, key: &str) -> Result<Response, Failure> {
    let number = digits(&words::parameter(&visit.path, "number").unwrap_or_default());
    let mut response = go(&format!("/phone?number={number}"))?;
    set_cookie(&mut response, visit, PHONE_KEY, key);
    Ok(response)
}

fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

/// Changes when there is something new to see.
fn version(simulator: &Simulator, number: Msisdn) -> String {
    let open = simulator.open_prompts().into_iter().filter(|open| open.prompt.payer == number).count();
    let rung = simulator.prompts().into_iter().filter(|prompt| prompt.payer == number).count();
    format!("{open}.{rung}.{}", simulator.messages(number).len())
}

async fn state(visit: Visit) -> Response {
    page(visit, async |visit| {
        let simulator = simulator(visit)?;
        let (number, _) = chosen(visit).await?;
        Ok(Json(json!({"version": version(simulator, number)})).into_response())
    })
    .await
}

async fn answer(visit: Visit, request: Request) -> Response {
    form(visit, request, async |visit, form| {
        let answer = match (form.get("action"), form.get("pin")) {
            ("cancel", _) => PromptAnswer::Cancel,
            (_, "0000") => PromptAnswer::WrongPin,
            _ => PromptAnswer::Pin,
        };
        let simulator = simulator(visit)?;
        let taken = form.get("id").parse().is_ok_and(|id| simulator.answer(&id, answer).is_ok());
        let done = if taken { "answered" } else { "too_late" };
        let number = digits(form.get("number"));
        go(&format!("/phone?number={number}&done={done}"))
    })
    .await
}
