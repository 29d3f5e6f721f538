//! Every ordered pair of faults within one `send`: what it comes to when the attempt after both goes well.
//!
//! A row is the first fault, a column the second, in the order of [`KINDS`].

use std::fmt::Write;

use super::{
    operations::Call,
    page,
    sequence::{Rows, play},
    unknown_means_both,
};

const KINDS: &str = "CBASHETKXN";

const QUERY: Rows<10> = [
    ("C", "o o o o o o o o f f"),
    ("B", "o o o o o o o o f f"),
    ("A", "o o o o o o o o f f"),
    ("S", "o o o o o o o o f f"),
    ("H", "o o o o o o o o f f"),
    ("E", "o o o o o o o o f f"),
    ("T", "o o o o o o o o f f"),
    ("K", "o o o o o o o f f f"),
    ("X", "f f f f f f f f f f"),
    ("N", "f f f f f f f f f f"),
];

const PAYOUT: Rows<10> = [
    ("C", "o1 o1 o1 o1 o1 o1 o1 o1 f0 f0"),
    ("B", "o1 o1 o1 o1 o1 o1 o1 o1 u0 u0"),
    ("A", "o1 o1 o1 o1 o1 o1 o1 o1 u1 u1"),
    ("S", "o1 o1 o1 o1 o1 o1 o1 o1 u1 u1"),
    ("H", "o1 o1 o1 o1 o1 o1 o1 o1 u0 u0"),
    ("E", "o1 o1 o1 o1 o1 o1 o1 o1 u1 u1"),
    ("T", "o1 o1 o1 o1 o1 o1 o1 o1 f0 f0"),
    ("K", "o1 o1 o1 o1 o1 o1 o1 f0 f0 f0"),
    ("X", "f0 f0 f0 f0 f0 f0 f0 f0 f0 f0"),
    ("N", "f0 f0 f0 f0 f0 f0 f0 f0 f0 f0"),
];

const PUSH: Rows<10> = [
    ("C", "o1 u0 u1 u1 u0 u1 o1 o1 f0 f0"),
    ("B", "u0 u0 u0 u0 u0 u0 u0 u0 u0 u0"),
    ("A", "u1 u1 u1 u1 u1 u1 u1 u1 u1 u1"),
    ("S", "u1 u1 u1 u1 u1 u1 u1 u1 u1 u1"),
    ("H", "u0 u0 u0 u0 u0 u0 u0 u0 u0 u0"),
    ("E", "u1 u1 u1 u1 u1 u1 u1 u1 u1 u1"),
    ("T", "o1 u0 u1 u1 u0 u1 o1 o1 f0 f0"),
    ("K", "o1 u0 u1 u1 u0 u1 o1 f0 f0 f0"),
    ("X", "f0 f0 f0 f0 f0 f0 f0 f0 f0 f0"),
    ("N", "f0 f0 f0 f0 f0 f0 f0 f0 f0 f0"),
];

/// One table for each class: a hundred sequences.
async fn meet(call: Call, rows: &Rows<10>) {
    let seen = play(call, KINDS, rows).await;
    if !call.is_safe() {
        unknown_means_both(seen.iter().flat_map(|(_, cells)| cells).map(String::as_str));
    }
    let letters: Vec<String> = KINDS.chars().map(|kind| format!("**{kind}**")).collect();
    let mut table = format!("| first, then | {} |\n|---|{}\n", letters.join(" | "), "---|".repeat(10));
    for (first, cells) in seen {
        writeln!(table, "| **{first}** | {} |", cells.join(" | ")).expect("a string takes it");
    }
    page::compare(&format!("pairs, {call:?}"), &table);
}

#[tokio::test]
async fn a_query_that_meets_two_faults_is_never_unknown() {
    meet(Call::Query, &QUERY).await;
}

#[tokio::test]
async fn a_payout_that_meets_two_faults_is_paid_once_or_stays_unknown() {
    meet(Call::Payout, &PAYOUT).await;
}

#[tokio::test]
async fn a_push_that_meets_two_faults_rings_once_at_most() {
    meet(Call::Push, &PUSH).await;
}
