//! `docs/faults.md`: its tables are what the tests saw. A test whose table there is another one fails.

use std::{
    fs,
    sync::{Mutex, PoisonError},
};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/faults.md");

/// Set to anything, the tests write their tables into the page instead of comparing them.
const WRITE: &str = "DARAJA_WRITE_DOCS";

/// The tests of this process write one after the other.
static WRITING: Mutex<()> = Mutex::new(());

/// A table of single faults, by the calls that met them.
pub(super) fn table(rows: &[String]) -> String {
    let head = "| fault | STK query | transaction status | B2C v3 | STK push | B2C v1 | reversal |\n\
                |---|---|---|---|---|---|---|\n";
    format!("{head}{}\n", rows.join("\n"))
}

/// Compares what was seen with the part of the page between the markers of this name.
pub(super) fn compare(name: &str, seen: &str) {
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let page = fs::read_to_string(PAGE).expect("docs/faults.md is there");
    let (begin, end) = (format!("<!-- {name}: written by the tests -->\n"), format!("<!-- {name}: end -->"));
    let begins = page.find(&begin).expect("the page has a place for this table") + begin.len();
    let ends = page.find(&end).expect("the place has an end");
    let written = &page[begins..ends];
    if written.trim() == seen.trim() {
        return;
    }
    if std::env::var_os(WRITE).is_some() {
        let seen = format!("\n{}\n\n", seen.trim());
        fs::write(PAGE, format!("{}{seen}{}", &page[..begins], &page[ends..])).expect("the page can be written");
        return;
    }
    let differing = seen.lines().filter(|line| !written.contains(line)).collect::<Vec<_>>().join("\n");
    panic!(
        "docs/faults.md does not show what was seen under \"{name}\". If that is right, run the test again with \
         {WRITE}=1 and commit the page. These lines are not in it:\n{differing}"
    );
}
