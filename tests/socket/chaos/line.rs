//! The line: connections that are refused, cut, stalled and half-closed, and answers that arrive damaged.

use super::{
    Cells, DONE, INTERRUPTED, LOST, MADE, Row, TIMEOUT,
    cell::{Start, Trouble},
    judge, page, rewrites, row, unknown_means_both,
};
use crate::tools::{
    proxy::{By, Part, Place},
    roads::Road,
};

use By::{Fin, Reset, Silence};

/// A place where the line breaks in each of these ways, on a connection of its own and, from when the request is read, on
/// the one that brought the token.
fn cut(name: &'static str, place: Place, ways: &[By], cells: Cells) -> Row {
    let own_only = matches!(place, Place::Accepted | Place::HalfClosed | Place::Trickled);
    let starts: &[Start] = if own_only { &[Start::Token] } else { &[Start::Token, Start::Connection] };
    let case = |start: &Start, by: By| {
        let why = if by == Silence { TIMEOUT } else { INTERRUPTED };
        (*start, [Trouble::Line(place, by)].into(), why)
    };
    let cases = ways.iter().flat_map(|by| starts.iter().map(move |start| case(start, *by))).collect();
    Row { name, cells, cases }
}

fn breaks() -> Vec<Row> {
    use Part::{AllBut, First, HalfOfTheBody, Head};
    use Place::{Accepted, Answer, HalfClosed, Request, Trickled};
    const ALL: &[By] = &[Fin, Reset, Silence];
    let idle = |by| (Start::Ended(by), [].into(), "Ok");
    vec![
        row("the connection is refused", Start::Token, &[Trouble::Road(Road::Refused)], "Ok", DONE),
        row("the host's name has no address", Start::Token, &[Trouble::Road(Road::Unknown)], "Ok", DONE),
        Row { name: "an idle connection was closed or reset", cells: DONE, cases: vec![idle(Fin), idle(Reset)] },
        cut("closed, reset or silent once it is accepted", Accepted, ALL, LOST),
        cut("closed, reset or silent before the request is passed on", Request(First(0)), ALL, LOST),
        cut("closed, reset or silent behind the request's first byte", Request(First(1)), ALL, LOST),
        cut("closed, reset or silent behind the request's headers", Request(Head), ALL, LOST),
        cut("closed, reset or silent in the request's body", Request(HalfOfTheBody), ALL, LOST),
        cut("closed, reset or silent before the request's last byte", Request(AllBut(1)), ALL, LOST),
        cut("half-closed at the request's first byte, and read to its end", HalfClosed, &[Fin], MADE),
        cut("closed, reset or silent behind the request", Answer(First(0)), ALL, MADE),
        cut("closed, reset or silent behind the answer's first byte", Answer(First(1)), ALL, MADE),
        cut("closed, reset or silent in the answer's headers", Answer(First(20)), ALL, MADE),
        cut("closed, reset or silent behind the answer's headers", Answer(Head), ALL, MADE),
        cut("closed, reset or silent in the answer's body", Answer(HalfOfTheBody), ALL, MADE),
        cut("closed, reset or silent before the answer's last byte", Answer(AllBut(1)), ALL, MADE),
        cut("the answer comes a byte a second", Trickled, &[Silence], MADE),
    ]
}

#[tokio::test]
async fn a_call_whose_connection_breaks_is_repeated_only_if_that_can_do_no_harm() {
    let rows = breaks();
    unknown_means_both(rows.iter().flat_map(|row| row.cells));
    page::compare("connections", &page::table(&judge(rows).await));
}

#[tokio::test]
async fn an_answer_that_is_damaged_on_its_way_is_no_answer() {
    let rows = rewrites::ALL.into_iter().map(|(name, place, by, why)| {
        let cells = if why == "Ok" { DONE } else { MADE };
        row(name, Start::Token, &[Trouble::Line(place, by)], why, cells)
    });
    page::compare("answers", &page::table(&judge(rows.collect()).await));
}
