//! Every triple of five faults within one `send`, so that nothing is left of its three attempts.
//!
//! A row is the first two faults, a column the third, in the order of [`KINDS`].

use std::fmt::Write;

use super::{
    operations::Call,
    page,
    sequence::{Rows, play},
};

const KINDS: &str = "CBATK";

const QUERY: Rows<25> = [
    ("CC", "r r r r o"),
    ("CB", "r r r r o"),
    ("CA", "r r r r o"),
    ("CT", "r r r r o"),
    ("CK", "o o o o f"),
    ("BC", "r r r r o"),
    ("BB", "r r r r o"),
    ("BA", "r r r r o"),
    ("BT", "r r r r o"),
    ("BK", "o o o o f"),
    ("AC", "r r r r o"),
    ("AB", "r r r r o"),
    ("AA", "r r r r o"),
    ("AT", "r r r r o"),
    ("AK", "o o o o f"),
    ("TC", "r r r r o"),
    ("TB", "r r r r o"),
    ("TA", "r r r r o"),
    ("TT", "r r r r o"),
    ("TK", "o o o o f"),
    ("KC", "o o o o f"),
    ("KB", "o o o o f"),
    ("KA", "o o o o f"),
    ("KT", "o o o o f"),
    ("KK", "f f f f f"),
];

const PAYOUT: Rows<25> = [
    ("CC", "r0 u0 u1 r0 o1"),
    ("CB", "u0 u0 u1 u0 o1"),
    ("CA", "u1 u1 u1 u1 o1"),
    ("CT", "r0 u0 u1 r0 o1"),
    ("CK", "o1 o1 o1 o1 f0"),
    ("BC", "u0 u0 u1 u0 o1"),
    ("BB", "u0 u0 u1 u0 o1"),
    ("BA", "u1 u1 u1 u1 o1"),
    ("BT", "u0 u0 u1 u0 o1"),
    ("BK", "o1 o1 o1 o1 u0"),
    ("AC", "u1 u1 u1 u1 o1"),
    ("AB", "u1 u1 u1 u1 o1"),
    ("AA", "u1 u1 u1 u1 o1"),
    ("AT", "u1 u1 u1 u1 o1"),
    ("AK", "o1 o1 o1 o1 u1"),
    ("TC", "r0 u0 u1 r0 o1"),
    ("TB", "u0 u0 u1 u0 o1"),
    ("TA", "u1 u1 u1 u1 o1"),
    ("TT", "r0 u0 u1 r0 o1"),
    ("TK", "o1 o1 o1 o1 f0"),
    ("KC", "o1 o1 o1 o1 f0"),
    ("KB", "o1 o1 o1 o1 u0"),
    ("KA", "o1 o1 o1 o1 u1"),
    ("KT", "o1 o1 o1 o1 f0"),
    ("KK", "f0 f0 f0 f0 f0"),
];

const PUSH: Rows<25> = [
    ("CC", "r0 u0 u1 r0 o1"),
    ("CB", "u0 u0 u0 u0 u0"),
    ("CA", "u1 u1 u1 u1 u1"),
    ("CT", "r0 u0 u1 r0 o1"),
    ("CK", "o1 u0 u1 o1 f0"),
    ("BC", "u0 u0 u0 u0 u0"),
    ("BB", "u0 u0 u0 u0 u0"),
    ("BA", "u0 u0 u0 u0 u0"),
    ("BT", "u0 u0 u0 u0 u0"),
    ("BK", "u0 u0 u0 u0 u0"),
    ("AC", "u1 u1 u1 u1 u1"),
    ("AB", "u1 u1 u1 u1 u1"),
    ("AA", "u1 u1 u1 u1 u1"),
    ("AT", "u1 u1 u1 u1 u1"),
    ("AK", "u1 u1 u1 u1 u1"),
    ("TC", "r0 u0 u1 r0 o1"),
    ("TB", "u0 u0 u0 u0 u0"),
    ("TA", "u1 u1 u1 u1 u1"),
    ("TT", "r0 u0 u1 r0 o1"),
    ("TK", "o1 u0 u1 o1 f0"),
    ("KC", "o1 u0 u1 o1 f0"),
    ("KB", "u0 u0 u0 u0 u0"),
    ("KA", "u1 u1 u1 u1 u1"),
    ("KT", "o1 u0 u1 o1 f0"),
    ("KK", "f0 f0 f0 f0 f0"),
];

#[tokio::test]
async fn three_faults_in_one_call_leave_no_doubt_but_the_right_one() {
    let (query, payout, push) = tokio::join!(
        play(Call::Query, KINDS, &QUERY),
        play(Call::Payout, KINDS, &PAYOUT),
        play(Call::Push, KINDS, &PUSH)
    );
    let columns = format!("then {}", KINDS.chars().map(String::from).collect::<Vec<_>>().join(", "));
    let mut table =
        format!("| first two | STK query, {columns} | B2C v3, {columns} | STK push, {columns} |\n|---|---|---|---|\n");
    for (((first, query), (_, payout)), (_, push)) in query.iter().zip(&payout).zip(&push) {
        let [query, payout, push] = [query, payout, push].map(|cells| cells.join(" "));
        writeln!(table, "| **{first}** | `{query}` | `{payout}` | `{push}` |").expect("a string takes it");
    }
    page::compare("triples", &table);
}
