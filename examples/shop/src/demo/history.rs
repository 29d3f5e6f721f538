//! What has happened in the demo before anybody looks: two weeks of payments and payouts, made up. Receipts that begin with
//! DEMO are in no M-PESA, not even in the simulator's.

#![expect(clippy::arithmetic_side_effects, reason = "these are small numbers, all of our own")]

use chrono::{DateTime, Utc};
use daraja::{B2cAccepted, B2cResult, Payout, Timestamp, webhook::Reference};
use serde_json::json;
use sqlx::AnyConnection;

use crate::{
    app::App,
    auth::{Role, add_user},
    db::{DAY, EAT, new_id, now},
    orders, payouts,
    reply::Failure,
    suppliers::Supplier,
};

const MINUTE: i64 = 60_000;
/// Payments of each day, up to today: how many were paid and how many failed.
const DAYS: [(i64, i64); 14] =
    [(3, 1), (5, 0), (4, 1), (6, 2), (2, 0), (7, 1), (8, 1), (5, 2), (4, 0), (6, 1), (9, 1), (7, 0), (5, 2), (3, 0)];
/// No day has more sales.
const MOST: i64 = 12;
/// Payouts, one after the other into the past. The lists of the pages hold twenty.
const PAYOUTS: i64 = 45;
/// One in so many did not reach its supplier.
const FAILS: i64 = 9;

/// Why payments failed, as the shop would have it: reason, what the customer read, what is advised.
const FAILURES: [(&str, &str, &str); 3] = [
    ("cancelled", "You cancelled the payment on your phone. Nothing was charged.", "retry"),
    ("insufficient_funds", "Your M-PESA balance was too low. Nothing was charged.", "ask_customer"),
    ("no_response", "There was no answer on your phone. Look for an SMS from M-PESA before you try again.", "retry"),
];

/// Writes it all down.
pub(super) async fn write(app: &App, admin: &str) -> Result<(), Failure> {
    let customer = new_id();
    // Nobody knows the password: these orders are not in the way of whoever tries the demo.
    add_user(&app.db, &customer, "wanjiku@shop.example", Reference::random().as_ref(), Role::Customer).await?;
    let products = orders::products(app).await?;
    let suppliers = crate::suppliers::all(app).await?;
    let mut tx = app.db.write().await?;
    let mut number = 0_i64;
    for (ago, (paid, failed)) in (0_i64..).zip(DAYS.iter().rev()) {
        for index in 0..paid + failed {
            number += 1;
            let at = sold_at(now(), ago, index);
            let product = products.iter().cycle().nth(usize::try_from(number).unwrap_or_default());
            let Some(product) = product.filter(|product| product.price > 0) else { continue };
            let sale = Sale { customer: &customer, number, product, quantity: number % 3 + 1, at };
            sale.write(&mut tx, index < *paid).await?;
        }
    }
    for index in 0..PAYOUTS {
        let Some(supplier) = suppliers.iter().cycle().nth(usize::try_from(index).unwrap_or_default()) else { break };
        pay(&mut tx, app, supplier, admin, index).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// When the sale of this index was made, so many days ago: each on its own day in Nairobi, however early it is there.
fn sold_at(now: i64, ago: i64, index: i64) -> i64 {
    let since_midnight = (now + EAT).rem_euclid(DAY);
    let pause = (37 * MINUTE).min(since_midnight / (MOST + 1));
    now - ago * DAY - (index + 1) * pause
}

/// An order, and what became of its payment.
struct Sale<'a> {
    customer: &'a str,
    number: i64,
    product: &'a orders::Product,
    quantity: i64,
    at: i64,
}

impl Sale<'_> {
    async fn write(&self, tx: &mut AnyConnection, is_paid: bool) -> sqlx::Result<()> {
        let (order, payment) = (new_id(), new_id());
        let amount = self.product.price * self.quantity;
        sqlx::query(
            "INSERT INTO orders (id, customer_id, number, amount, state, paid_by, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&order)
        .bind(self.customer)
        .bind(format!("SH-DEMO{:04}", self.number))
        .bind(amount)
        .bind(if is_paid { "paid" } else { "open" })
        .bind(is_paid.then_some(&payment))
        .bind(self.at)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO order_lines (order_id, product_id, name, price, quantity) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&order)
        .bind(&self.product.id)
        .bind(&self.product.name)
        .bind(self.product.price)
        .bind(self.quantity)
        .execute(&mut *tx)
        .await?;
        self.pay(tx, &order, &payment, amount, is_paid).await
    }

    async fn pay(&self, tx: &mut AnyConnection, order: &str, id: &str, amount: i64, is_paid: bool) -> sqlx::Result<()> {
        let phone = format!("2547000002{:02}", self.number % 100);
        let settled = self.at + 17_000;
        let reason = FAILURES.iter().cycle().nth(usize::try_from(self.number).unwrap_or_default());
        let failure = reason.filter(|_| !is_paid);
        sqlx::query(
            "INSERT INTO payments (id, order_id, phone, amount, state, outcome, holds_order, server, merchant_request_id,
             checkout_request_id, reason, customer_message, advice, retry_at, sweep_at, created_at, sent_at, settled_at)
             VALUES ($1, $2, $3, $4, 'settled', $5, 0, '', $6, $7, $8, $9, $10, $11, 0, $12, $12, $13)",
        )
        .bind(id)
        .bind(order)
        .bind(&phone)
        .bind(amount)
        .bind(if is_paid { "paid" } else { "failed" })
        .bind(format!("demo-{}", self.number))
        .bind(format!("ws_CO_demo_{}", self.number))
        .bind(failure.map(|(reason, _, _)| *reason))
        .bind(failure.map(|(_, message, _)| *message))
        .bind(failure.map(|(_, _, advice)| *advice))
        .bind(failure.map(|_| settled))
        .bind(self.at)
        .bind(settled)
        .execute(&mut *tx)
        .await?;
        if !is_paid {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO received (id, payment_id, receipt, amount_cents, payer, source, disposition, created_at)
             VALUES ($1, $2, $3, $4, $5, 'callback', 'order', $6)",
        )
        .bind(new_id())
        .bind(id)
        .bind(format!("DEMO{:06}", self.number))
        .bind(amount * 100)
        .bind(phone)
        .bind(settled)
        .execute(tx)
        .await
        .map(drop)
    }
}

/// A payout as the shop would have stored it: the library's own, which took a result.
async fn pay(tx: &mut AnyConnection, app: &App, to: &Supplier, admin: &str, index: i64) -> Result<(), Failure> {
    let amount = index % 7 * 1_250 + 2_500;
    // The days before yesterday: what counts for today's cap is only what is paid today.
    let at = now() - 2 * DAY - index * (6 * 60 + 17) * MINUTE;
    let id = new_id();
    let payment = payouts::payment(&app.daraja, &id, &to.mpesa_number, amount)?;
    let receipt = format!("DEMOP{index:05}");
    let is_paid = index % FAILS != FAILS - 4;
    let mut payout = Payout::new(payment);
    if let (Some(time), Ok(result)) = (timestamp(at), B2cResult::parse(&result(&payout, &receipt, is_paid))) {
        let sent = payout.begin(time).map_err(payouts::broken)?.came_to(Ok(B2cAccepted::AlreadyAccepted));
        payout.sent(&sent, time);
        payout.take_result(&result, time).map_err(payouts::broken)?;
    }
    let (status, receipt, reason) = payouts::shown(&payout);
    sqlx::query(
        "INSERT INTO payouts (id, supplier_id, payout, number, amount, notes, status, receipt, reason, created_by, created_at,
         settled_at) VALUES ($1, $2, $3, $4, $5, 'Weekly payout (demo)', $6, $7, $8, $9, $10, $11)",
    )
    .bind(&id)
    .bind(&to.id)
    .bind(serde_json::to_string(&payout).unwrap_or_default())
    .bind(&to.mpesa_number)
    .bind(amount)
    .bind(status)
    .bind(receipt)
    .bind(reason)
    .bind(admin)
    .bind(at)
    .bind(at + 5_000)
    .execute(tx)
    .await?;
    Ok(())
}

fn timestamp(millis: i64) -> Option<Timestamp> {
    DateTime::<Utc>::from_timestamp_millis(millis).and_then(|time| Timestamp::try_from(time).ok())
}

/// What M-PESA would have posted.
fn result(payout: &Payout, receipt: &str, is_paid: bool) -> Vec<u8> {
    let (code, words) = if is_paid {
        (0, "The service request is processed successfully.")
    } else {
        (2_040, "Credit Party customer type (Unregistered or Registered Customer) can't be supported by the service.")
    };
    let parameters = json!({"ResultParameter": [
        {"Key": "TransactionAmount", "Value": payout.amount().get()},
        {"Key": "TransactionReceipt", "Value": receipt},
        {"Key": "ReceiverPartyPublicName", "Value": format!("{} - DEMO SUPPLIER", payout.recipient())},
    ]});
    let mut result = json!({
        "ResultType": 0, "ResultCode": code, "ResultDesc": words, "TransactionID": receipt,
        "OriginatorConversationID": payout.id().to_string(), "ConversationID": format!("AG_{receipt}"),
    });
    if is_paid {
        result["ResultParameters"] = parameters;
    }
    json!({"Result": result}).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sale_is_on_its_own_day_at_every_time_of_day() {
        assert!(DAYS.iter().all(|(paid, failed)| paid + failed <= MOST));
        // Midnight in Nairobi, a moment after it, noon, a moment before the next midnight.
        for time in [0, 1, MINUTE, 36 * MINUTE, DAY / 2, DAY - 1] {
            let midnight = 20_000 * DAY - EAT;
            for (ago, index) in (0..14).flat_map(|ago| (0..MOST).map(move |index| (ago, index))) {
                let at = sold_at(midnight + time, ago, index);
                assert_eq!(
                    (at + EAT).div_euclid(DAY),
                    20_000 - ago,
                    "{time} ms after midnight, {ago} days ago, {index}"
                );
            }
        }
    }
}
