//! Faults of the line and of Daraja, crossed with every class of call: what the client says, and what the simulator's
//! books say, against tables that were written down by hand.
//!
//! The rows of every table follow from one rule: a call is repeated if it provably was not carried out, or if carrying it
//! out twice does no harm; else it is unknown. What is seen is printed in `docs/faults.md`, see [`page`].

mod burst;
mod bytes;
mod cell;
mod desk;
mod line;
mod operations;
mod page;
mod pairs;
mod rewrites;
mod sequence;
mod triples;

use std::{collections::BTreeSet, sync::Arc};

use cell::{Seen, Start, Trouble};
use operations::{CALLS, Call};

/// What a fault comes to for each of [`CALLS`], and how often each that moves money was carried out.
type Cells = [&'static str; 6];

const DONE: Cells = ["ok", "ok", "ok 1×", "ok 1×", "ok 1×", "ok 1×"];
/// Nothing was carried out at first, which only Daraja knows.
const LOST: Cells = ["ok", "ok", "ok 1×", "unknown 0×", "unknown 0×", "unknown 0×"];
/// It was carried out at first, which only Daraja knows.
const MADE: Cells = ["ok", "ok", "ok 1×", "unknown 1×", "unknown 1×", "unknown 1×"];
const REFUSED: Cells = ["refused", "refused", "refused 0×", "refused 0×", "refused 0×", "refused 0×"];
const LATER: Cells = ["retryable", "retryable", "retryable 0×", "retryable 0×", "retryable 0×", "retryable 0×"];

const INTERRUPTED: &str = "Unknown(Transport(Interrupted))";
const TIMEOUT: &str = "Unknown(Transport(Timeout))";

/// One line of a table: every call meets every case, and all cases come to the same.
struct Row {
    name: &'static str,
    cells: Cells,
    cases: Vec<Case>,
}

/// What a cell begins with, the faults it meets, and what a push is told.
type Case = (Start, Arc<[Trouble]>, &'static str);

fn row(name: &'static str, start: Start, troubles: &[Trouble], why: &'static str, cells: Cells) -> Row {
    Row { name, cells, cases: vec![(start, troubles.into(), why)] }
}

/// Runs every row with every call, compares, and answers the rows of the table as they were seen.
async fn judge(rows: Vec<Row>) -> Vec<String> {
    let cases = rows.iter().flat_map(|row| &row.cases);
    let cells = cases.flat_map(|(start, troubles, _)| CALLS.map(|call| cell::run(call, *start, troubles.clone())));
    let seen = cell::run_all(cells.collect::<Vec<_>>()).await;
    let mut seen = seen.chunks(CALLS.len());
    let (mut lines, mut wrong) = (Vec::new(), Vec::new());
    for row in &rows {
        let mut printed = Vec::new();
        for case in &row.cases {
            let cells = seen.next().expect("every case was run");
            printed = CALLS.iter().zip(cells).map(|(call, seen)| print(*call, seen)).collect();
            wrong.extend(problems(row, case, cells));
        }
        lines.push(format!("| {} | {} |", row.name, printed.join(" | ")));
    }
    assert!(wrong.is_empty(), "{} cells are not as expected:\n{}", wrong.len(), wrong.join("\n"));
    lines
}

fn problems(row: &Row, (start, troubles, why): &Case, cells: &[Seen]) -> Vec<String> {
    let cells = CALLS.into_iter().zip(cells).zip(row.cells);
    let wrong = cells.filter_map(|((call, seen), expected)| problem(call, seen, expected, why));
    wrong.map(|what| format!("{} ({start:?}, {troubles:?}): {what}", row.name)).collect()
}

fn problem(call: Call, seen: &Seen, expected: &str, why: &str) -> Option<String> {
    let printed = print(call, seen);
    let told_so = call != Call::Push || seen.why == why;
    let right = printed == expected && told_so && keeps_the_rules(call, seen);
    (!right).then(|| {
        format!("{call:?}: expected {expected} ({why} to a push), saw {printed} ({}, {}×)", seen.why, seen.times)
    })
}

fn print(call: Call, Seen { verdict, times, .. }: &Seen) -> String {
    if call.is_safe() { (*verdict).to_owned() } else { format!("{verdict} {times}×") }
}

/// What holds of every cell, whatever its table says.
fn keeps_the_rules(call: Call, seen: &Seen) -> bool {
    match seen.verdict {
        "ok" => seen.times == usize::from(!call.is_safe()),
        "retryable" | "refused" => seen.times == 0,
        "unknown" => !call.is_safe() && seen.times <= 1,
        _ => false,
    }
}

/// Unknown has to mean both, or it would be known.
fn unknown_means_both<'s>(printed: impl IntoIterator<Item = &'s str>) {
    let unknown: BTreeSet<&str> = printed.into_iter().filter(|cell| cell.starts_with('u')).collect();
    let ends: BTreeSet<bool> = unknown.iter().map(|cell| cell.contains('1')).collect();
    assert_eq!(ends.len(), 2, "calls that were carried out and calls that were not: {unknown:?}");
}
