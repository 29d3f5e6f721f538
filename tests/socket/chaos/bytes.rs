//! The answer is cut behind every single byte.

use std::{fmt::Write, sync::Arc};

use super::{
    cell::{self, Start, Trouble},
    keeps_the_rules,
    operations::Call,
    page,
};
use crate::tools::proxy::{
    By::{self, Fin, Reset},
    Part::First,
    Place,
};

/// The call, how its answer is cut, behind each how many-th byte, and what it comes to everywhere.
const CUTS: [(Call, &str, Start, By, usize, &str); 7] = [
    (Call::Query, "STK query", Start::Token, Fin, 1, "ok 0×"),
    (Call::Payout, "B2C v3", Start::Token, Fin, 1, "ok 1×"),
    (Call::Push, "STK push", Start::Token, Fin, 1, "unknown 1×"),
    (Call::Push, "STK push", Start::Connection, Fin, 1, "unknown 1×"),
    (Call::Push, "STK push", Start::Token, Reset, 9, "unknown 1×"),
    (Call::PayoutV1, "B2C v1", Start::Token, Fin, 1, "unknown 1×"),
    (Call::Reversal, "reversal", Start::Token, Fin, 9, "unknown 1×"),
];

#[tokio::test]
async fn an_answer_that_is_cut_behind_any_byte_is_no_answer() {
    let mut table = String::from("| call | its answer is cut | comes to |\n|---|---|---|\n");
    for (call, name, start, by, step, expected) in CUTS {
        let length = length(call).await;
        let places: Vec<usize> = (0..length).step_by(step).collect();
        let cut = |place: &usize| {
            let troubles: Arc<[Trouble]> = [Trouble::Line(Place::Answer(First(*place)), by)].into();
            cell::run(call, start, troubles)
        };
        let seen = cell::run_all(places.iter().map(cut).collect::<Vec<_>>()).await;
        let print = |seen: &cell::Seen| format!("{} {}×", seen.verdict, seen.times);
        let is_wrong = |seen: &cell::Seen| print(seen) != expected || !keeps_the_rules(call, seen);
        let wrong = places.iter().zip(&seen).filter(|(_, seen)| is_wrong(seen));
        let wrong: Vec<String> = wrong.map(|(place, seen)| format!("{place}: {} {}", print(seen), seen.why)).collect();
        assert!(wrong.is_empty(), "{call:?} by {by:?}, {start:?}, of {length} bytes:\n{}", wrong.join("\n"));
        let how = if by == Fin { "closed" } else { "reset" };
        let which = if step == 1 { "any".to_owned() } else { format!("every {step}th") };
        let connection = if start == Start::Connection { ", on a reused connection" } else { "" };
        let saw = print(&seen[0]).replace(" 0×", "");
        writeln!(table, "| {name} | {how} behind {which} of its {length} bytes{connection} | {saw} |")
            .expect("a string takes it");
    }
    page::compare("bytes", &table);
}

/// How long the whole answer is. With all of it there, the call is done.
async fn length(call: Call) -> usize {
    let whole: Arc<[Trouble]> = [Trouble::Line(Place::Answer(First(usize::MAX)), Fin)].into();
    let seen = cell::run(call, Start::Token, whole).await;
    assert_eq!(seen.verdict, "ok", "{call:?} with the whole answer: {}", seen.why);
    seen.answer
}
