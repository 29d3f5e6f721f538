//! Inputs that are nearly what Daraja sends: samples with random changes.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::dice::Dice;

/// Pieces that often break parsers.
const PIECES: [&[u8]; 14] = [
    b"\"",
    b"{",
    b"}",
    b",",
    b"null",
    b"0",
    b"-1",
    b"0.0",
    b"1e400",
    b"18446744073709551616",
    b"\\u0000",
    b"\xff",
    b"%2F",
    b"\n",
];

/// Every body of `tests/fixtures`.
pub(crate) fn fixtures() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), &mut found);
    // The changes depend on their order.
    found.sort();
    assert!(found.len() > 50, "{} fixtures", found.len());
    found.into_iter().map(|path| fs::read(path).expect("a body")).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { collect(&path, found) } else { found.push(path) }
    }
}

/// Runs a target on each seed, and on so many changed ones. An input that fails is printed: see `fuzz/README.md`.
pub(crate) fn check_all(target: fn(&[u8]), seeds: &[Vec<u8>], changed: usize) {
    let mut dice = Dice::new(1);
    let changed = (0..changed).map(|_| change(&mut dice, seeds));
    for input in seeds.iter().cloned().chain(changed) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(&input))) {
            eprintln!("the input, base64: {}", STANDARD.encode(&input));
            resume_unwind(panic);
        }
    }
}

/// A seed after one change, or a few.
fn change(dice: &mut Dice, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = seeds[below(dice, seeds.len())].clone();
    for _ in 0..=below(dice, 4) {
        let at = below(dice, input.len() + 1);
        let end = input.len().min(at + below(dice, 9));
        match dice.roll(6) {
            0 => drop(input.drain(at..end)),
            1 => drop(input.splice(at..end, dice.pick(&PIECES).iter().copied())),
            2 => input.extend_from_within(at..end),
            3 => {
                let other = &seeds[below(dice, seeds.len())];
                let from = below(dice, other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            4 if at < input.len() => input[at] ^= 1 << dice.roll(8),
            // A digit for a digit: still a document, and another one.
            _ => {
                if let Some(digit) = input[at..].iter_mut().find(|byte| byte.is_ascii_digit()) {
                    *digit = b'0' + u8::try_from(dice.roll(10)).expect("a digit");
                }
            }
        }
    }
    input
}

fn below(dice: &mut Dice, end: usize) -> usize {
    usize::try_from(dice.roll(end as u64)).expect("an index")
}
