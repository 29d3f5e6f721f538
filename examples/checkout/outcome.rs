//! What became of a payment, on the screen.

use daraja::{
    Kes, Shillings,
    stk::{Outcome, Settled, Source},
};

use crate::screen::row;

pub(crate) fn show(settled: &Settled, asked: Shillings) {
    let teller = if settled.source == Source::Callback { "told by the callback" } else { "told by query" };
    match &settled.outcome {
        Outcome::Paid(payment) => {
            let is_as_asked = payment.receipt.is_none() || payment.amount == Some(asked.into());
            row(if is_as_asked { "PAID" } else { "MONEY CAME IN" }, teller);
            match &payment.receipt {
                Some(receipt) => row("receipt", receipt),
                None => row("receipt", "only the callback brings it, and the customer's SMS"),
            }
            match payment.amount {
                Some(paid) if paid == Kes::from(asked) => row("amount", format_args!("KES {paid}, as asked")),
                Some(paid) => row("amount", format_args!("KES {paid}, BUT KES {asked} WERE ASKED")),
                None if is_as_asked => {}
                None => row("amount", format_args!("NOT REPORTED; KES {asked} WERE ASKED")),
            }
        }
        Outcome::Failed(failure) => {
            row("NOT PAID", teller);
            row("reason", format_args!("{} ({}: {:?})", failure.reason(), failure.code(), failure.description()));
            row("advice", failure.advice());
            row("customer", format_args!("{:?}", failure.customer_message()));
        }
    }
}
