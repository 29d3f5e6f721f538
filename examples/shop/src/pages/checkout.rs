//! What a customer does: order, pay, and learn how it ended.

use axum::{
    Json, Router,
    extract::{Path, Request},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use daraja::{Msisdn, error::Invalid};
use serde_json::json;

use super::{
    Form, Visit, form, go, page, render, shown,
    views::{
        Field, Kes,
        order::{NextStep, OrderLine, OrderPage, OrderRow, OrderState, OrdersPage, Product, Stage},
    },
    words,
};
use crate::{
    app::App,
    db::{millis, now},
    orders::{self, Item, NewOrder, Order},
    payments::{self, NextStep as Step, Payment, PaymentState, Started},
    reply::{Failure, Page},
};

/// How long the prompt lasts on the phone, in seconds.
const PROMPT: i64 = 60;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/orders", get(list).post(make))
        .route("/orders/{id}", get(show))
        .route("/orders/{id}/pay", post(pay))
        .route("/orders/{id}/cancel", post(cancel))
        .route("/orders/{id}/status", get(status))
        .route("/phone-number", get(understand))
}

async fn list(visit: Visit) -> Response {
    page(visit, async |visit| shown(&shop(visit, None, &[]).await?)).await
}

async fn shop(visit: &Visit, error: Option<String>, wanted: &[Item]) -> Result<OrdersPage, Failure> {
    let user = visit.user()?;
    let app = &visit.app;
    let quantity =
        |id: &str| wanted.iter().find(|item| item.product_id == id).map_or(0, |item| i64::from(item.quantity));
    let products = orders::products(app).await?.into_iter().map(|product| Product {
        quantity: quantity(&product.id),
        detail: product.name.split_once(", ").map(|(_, detail)| detail.to_owned()),
        name: product.name.split(", ").next().unwrap_or_default().to_owned(),
        id: product.id,
        price: Kes(product.price),
        at_most: 100,
    });
    let list = orders::of_user(app, user, Page { page: 1, per_page: 50 }).await?;
    let mut rows = Vec::new();
    for order in list.items {
        let (payment, state) = state(visit, &order).await?;
        rows.push(OrderRow {
            state: stage(app, &order, payment.as_ref(), &state, Field::default()).state(),
            id: order.id,
            number: order.number,
            placed: words::time(order.created_at),
            total: Kes(order.amount),
        });
    }
    Ok(OrdersPage { shell: visit.shell(), products: products.collect(), error, orders: rows })
}

async fn state(visit: &Visit, order: &Order) -> Result<(Option<Payment>, PaymentState), Failure> {
    let payment = payments::current(&visit.app, order).await?;
    let receipt = match &payment {
        Some(payment) => payments::receipt_of(&visit.app, &payment.id).await?,
        None => None,
    };
    let state = payments::status_of(order, payment.as_ref(), receipt);
    Ok((payment, state))
}

async fn make(visit: Visit, request: Request) -> Response {
    form(visit, request, async |visit, form| {
        let user = visit.user()?;
        let items = match items(form) {
            Ok(items) => items,
            Err(error) => return refused(visit, error, &[]).await,
        };
        match orders::make(&visit.app, user, &NewOrder { items: items.clone() }, None).await {
            Ok(reply) => go(&format!("/orders/{}", reply.data.order.id)),
            Err(failure) if failure.status == StatusCode::UNPROCESSABLE_ENTITY => {
                refused(visit, failure.message.into_owned(), &items).await
            }
            Err(failure) => Err(failure),
        }
    })
    .await
}

async fn refused(visit: &Visit, error: String, items: &[Item]) -> Result<Response, Failure> {
    Ok(render(StatusCode::UNPROCESSABLE_ENTITY, &shop(visit, Some(error), items).await?))
}

fn items(form: &Form) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    for (product, quantity) in form.under("quantity_") {
        let quantity = quantity.trim();
        let quantity: u32 =
            if quantity.is_empty() { 0 } else { quantity.parse().map_err(|_| "A quantity is a whole number.")? };
        if quantity > 0 {
            items.push(Item { product_id: product.to_owned(), quantity });
        }
    }
    if items.is_empty() { Err("Choose how many you would like of at least one thing.".to_owned()) } else { Ok(items) }
}

async fn show(Path(id): Path<String>, visit: Visit) -> Response {
    page(visit, async |visit| {
        let order = orders::find_own(&visit.app, visit.user()?, &id).await?;
        shown(&checkout(visit, &order, Field::default()).await?)
    })
    .await
}

async fn checkout(visit: &Visit, order: &Order, phone: Field) -> Result<OrderPage, Failure> {
    let (payment, state) = state(visit, order).await?;
    let lines = orders::lines(&visit.app, order).await?.into_iter().map(|line| OrderLine {
        name: line.name,
        quantity: line.quantity,
        price: Kes(line.price),
        amount: Kes(line.price.saturating_mul(line.quantity)),
    });
    Ok(OrderPage {
        shell: visit.shell(),
        id: order.id.clone(),
        number: order.number.clone(),
        placed: words::time(order.created_at),
        lines: lines.collect(),
        total: Kes(order.amount),
        stage: stage(&visit.app, order, payment.as_ref(), &state, phone),
    })
}

/// What the page shows of an order.
fn stage(app: &App, order: &Order, payment: Option<&Payment>, state: &PaymentState, phone: Field) -> Stage {
    let Some(payment) = payment else {
        return if order.state == "cancelled" { cancelled("The order was cancelled.") } else { Stage::Open { phone } };
    };
    // The number that was used before is offered again.
    let phone = if phone == Field::default() { Field::of(words::spelled(&payment.phone)) } else { phone };
    match order.state.as_str() {
        "paid" => Stage::Paid {
            receipt: state.payment_reference.clone(),
            amount: Kes(payment.amount),
            at: payment.settled_at.map(words::time),
        },
        "refunded" => cancelled("The money was given back."),
        _ if !payment.is_settled() => under_way(app, payment, phone),
        "cancelled" if payment.is_paid() => {
            cancelled("The order was cancelled, and your money came in all the same. It will be given back.")
        }
        "cancelled" => cancelled("The order was cancelled."),
        _ => Stage::Failed {
            is_proved: payment.is_proved_failure(),
            reason: state.customer_message.clone().unwrap_or_default(),
            next: match state.next_step {
                Step::Pay => NextStep::RetryNow,
                Step::Wait => NextStep::RetryAfter { seconds: seconds_until(state.retry_at) },
                Step::AskCustomer => {
                    NextStep::PutRight { what: "Put this right first, or use another number.".to_owned() }
                }
                Step::Contact | Step::Done => NextStep::ContactShop,
            },
            phone,
        },
    }
}

fn under_way(app: &App, payment: &Payment, phone: Field) -> Stage {
    let sent = payment.sent_at.unwrap_or(payment.created_at);
    let waited = now().saturating_sub(sent);
    let masked = words::masked(&payment.phone);
    if payment.state != "unknown" && !payment.is_claimed() && waited < millis(app.rules.patience) {
        return Stage::Waiting { masked, seconds_left: PROMPT.saturating_sub(waited / 1_000).max(0) };
    }
    let again = payment.has_blocked_long_enough(millis(app.rules.unknown_blocks), now()).then_some(phone);
    Stage::Unknown { masked, since: words::time(sent), again }
}

fn cancelled(reason: &str) -> Stage {
    Stage::Cancelled { reason: reason.to_owned() }
}

fn seconds_until(at: Option<i64>) -> i64 {
    at.map_or(0, |at| at.saturating_sub(now()).saturating_add(999) / 1_000).max(0)
}

async fn pay(Path(id): Path<String>, visit: Visit, request: Request) -> Response {
    form(visit, request, async |visit, form| {
        let user = visit.user()?;
        let order = orders::find_own(&visit.app, user, &id).await?;
        let phone = form.field("phone_number");
        match payments::initiate(&visit.app, user, &order.id, &phone.value, None).await {
            Ok(Started::Payment { .. } | Started::Before(..)) => go(&format!("/orders/{}", order.id)),
            Err(failure) if failure.code == "INVALID_PHONE" => {
                let reason =
                    line(visit, &phone.value).err().map_or(failure.message, |error| error.reason().to_owned().into());
                let phone = phone.wrong(reason);
                Ok(render(StatusCode::UNPROCESSABLE_ENTITY, &checkout(visit, &order, phone).await?))
            }
            Err(failure) if failure.status == StatusCode::NOT_FOUND => Err(failure),
            // Such as too often, or paid meanwhile: said above the order as it stands now.
            Err(failure) => {
                let page = OrderPage { shell: visit.shell_with(&failure), ..checkout(visit, &order, phone).await? };
                Ok(render(failure.status, &page))
            }
        }
    })
    .await
}

async fn cancel(Path(id): Path<String>, visit: Visit, request: Request) -> Response {
    form(visit, request, async |visit, _| {
        let order = orders::cancel(&visit.app, visit.user()?, &id).await?;
        go(&format!("/orders/{}?done=cancelled", order.id))
    })
    .await
}

/// For the page's script: how the order stands, asked of Daraja if it is due.
async fn status(Path(id): Path<String>, visit: Visit) -> Response {
    page(visit, async |visit| {
        let order = orders::find_own(&visit.app, visit.user()?, &id).await?;
        if let Some(payment) = payments::current(&visit.app, &order).await? {
            payments::refresh(&visit.app, payment).await?;
        }
        let order = orders::find_own(&visit.app, visit.user()?, &id).await?;
        let (payment, told) = state(visit, &order).await?;
        let shown = stage(&visit.app, &order, payment.as_ref(), &told, Field::default());
        let seconds_left = if let Stage::Waiting { seconds_left, .. } = &shown { *seconds_left } else { 0 };
        let state: OrderState = shown.state();
        Ok(Json(json!({"state": state.word(), "seconds_left": seconds_left})).into_response())
    })
    .await
}

/// A number that can be asked.
fn line(visit: &Visit, typed: &str) -> Result<Msisdn, Invalid> {
    let number = typed.parse()?;
    visit.app.daraja.client.rules().check_line(number).map(|()| number)
}

/// For the page's script: what is understood of a number as it is typed. The library decides, here as everywhere.
async fn understand(visit: Visit) -> Response {
    page(visit, async |visit| {
        Ok(match line(visit, &words::parameter(&visit.path, "value").unwrap_or_default()) {
            Ok(number) => Json(json!({"understood": words::spelled(&number.to_string()), "note": null})),
            Err(error) => Json(json!({"understood": null, "note": error.reason()})),
        }
        .into_response())
    })
    .await
}
