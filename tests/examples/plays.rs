//! The README's main commands, and what it shows of them.

use crate::{run, text};

const README: &str = include_str!("../../README.md");

/// The lines of a block of the README's output, without those that say that something is left out.
fn shown(block: usize) -> Vec<String> {
    let block = README.split("```text\n").skip(1).nth(block).expect("a block").split("\n```").next().expect("its end");
    let lines = block.lines().filter(|line| !line.is_empty() && line.trim() != "...");
    lines.map(undated).collect()
}

/// A receipt begins with the date.
fn undated(line: &str) -> String {
    match line.strip_prefix("  receipt     ") {
        Some(receipt) => format!("  receipt     {}", &receipt[3..]),
        None => line.to_owned(),
    }
}

/// Everything that the README shows is printed, in this order.
fn prints_what_is_shown(example: &str, block: usize) {
    let output = run(example, &[], &[]);
    let (printed, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{example}: {}\n{printed}{errors}", output.status);
    let mut printed = printed.lines().map(undated);
    let shown = shown(block);
    assert!(shown.len() > 2, "the README shows {} lines of {example}", shown.len());
    for line in shown {
        assert!(printed.any(|printed| printed == line), "the README shows what {example} does not print there: {line}");
    }
}

#[test]
fn the_checkout_prints_what_the_readme_shows() {
    prints_what_is_shown("checkout", 0);
}

#[test]
fn the_payout_prints_what_the_readme_shows() {
    prints_what_is_shown("payout", 1);
}
