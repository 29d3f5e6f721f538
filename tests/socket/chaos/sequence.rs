//! Several faults within one `send`, and how their tables are written down.
//!
//! A cell is the verdict's first letter (`o`k, `r`etryable, `u`nknown, re`f`used) and, for a call that moves money, how often
//! it was carried out.

use std::sync::Arc;

use daraja::simulator::Fault::{AcceptedButError, Html, Refused, Throttled};

use super::{
    cell::{
        self, Seen, Start,
        Trouble::{self, Desk, Line, OAuth, Road, Token},
    },
    keeps_the_rules,
    operations::Call,
};
use crate::tools::{
    proxy::{By, Part::First, Place},
    roads,
};

/// The faults before the last, by letter, and the cells.
pub(super) type Rows<const N: usize> = [(&'static str, &'static str); N];

/// The kinds of fault, by letter.
fn troubles(kind: char) -> &'static [Trouble] {
    const DEAD: Trouble = Token(404, "404.001.03", "Invalid Access Token");
    match kind {
        // The connection is refused.
        'C' => &[Road(roads::Road::Refused)],
        // The connection is reset before the request is passed on.
        'B' => &[Line(Place::Request(First(0)), By::Reset)],
        // It is carried out, then the connection is reset.
        'A' => &[Line(Place::Answer(First(0)), By::Reset)],
        // It is carried out, and no answer comes in time.
        'S' => &[Line(Place::Answer(First(0)), By::Silence)],
        // The firewall answers.
        'H' => &[Desk(Html)],
        // It is carried out, and the answer is an error.
        'E' => &[Desk(AcceptedButError)],
        // It is throttled.
        'T' => &[Desk(Throttled(None))],
        // The token is refused.
        'K' => &[DEAD],
        // The token is refused, and no other is granted.
        'X' => &[DEAD, OAuth(Refused(400, "400.008.01", "Invalid Authentication passed"))],
        // It is refused by name.
        'N' => &[Desk(Refused(400, "400.002.02", "Bad Request - Invalid Amount"))],
        other => panic!("no kind of fault is called {other}"),
    }
}

/// Plays every sequence of a table with one call, compares, and answers what was seen.
pub(super) async fn play(
    call: Call,
    kinds: &str,
    rows: &[(&'static str, &'static str)],
) -> Vec<(&'static str, Vec<String>)> {
    let sequences = rows.iter().flat_map(|(before, _)| kinds.chars().map(move |last| format!("{before}{last}")));
    let sequences: Vec<String> = sequences.collect();
    let cells = sequences.iter().map(|sequence| {
        let troubles: Arc<[Trouble]> = sequence.chars().flat_map(troubles).copied().collect();
        cell::run(call, Start::Token, troubles)
    });
    let seen = cell::run_all(cells.collect::<Vec<_>>()).await;
    let expected = rows.iter().flat_map(|(_, cells)| cells.split(' '));
    let cells = sequences.iter().zip(expected).zip(&seen);
    let wrong: Vec<String> = cells
        .filter(|((_, expected), seen)| print(call, seen) != *expected || !keeps_the_rules(call, seen))
        .map(|((sequence, expected), seen)| {
            format!("{call:?} meets {sequence}: expected {expected}, saw {} ({})", print(call, seen), seen.why)
        })
        .collect();
    assert!(wrong.is_empty(), "{} sequences are not as expected:\n{}", wrong.len(), wrong.join("\n"));
    let printed: Vec<String> = seen.iter().map(|seen| print(call, seen)).collect();
    assert_eq!(printed.len(), rows.len() * kinds.len(), "every sequence was played");
    rows.iter().map(|(before, _)| *before).zip(printed.chunks(kinds.len()).map(<[String]>::to_vec)).collect()
}

fn print(call: Call, seen: &Seen) -> String {
    let letter = if seen.verdict == "refused" { "f" } else { &seen.verdict[..1] };
    if call.is_safe() { letter.to_owned() } else { format!("{letter}{}", seen.times) }
}
