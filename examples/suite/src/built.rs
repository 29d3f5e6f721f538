//! Paths of the built examples. Cargo gives a test no path of an example, and builds examples for some commands only.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The program of an example of the library, built by the command that built this test.
///
/// # Panics
///
/// If it is missing, or older than what it is made of: `cargo test --test NAME` builds no examples.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test");
    // In deps/, and examples/ is beside it.
    let profile = test.ancestors().nth(2).expect("the folder of the profile");
    let program = profile.join("examples").join(name);
    match is_fresh(&program) {
        Ok(true) => program,
        Ok(false) => panic!("{} is older than its source: {BUILD}", program.display()),
        Err(error) => panic!("{}: {error}: {BUILD}", program.display()),
    }
}

const BUILD: &str = "`cargo test`, `cargo build --examples` or, for all members, `cargo test --workspace` builds it";

/// Cargo writes down beside a program what it was made of: the program, a colon, and files whose blanks are escaped.
fn is_fresh(program: &Path) -> io::Result<bool> {
    let built = fs::metadata(program)?.modified()?;
    let made_of = fs::read_to_string(program.with_extension("d"))?.replace("\\ ", "\0");
    let (_, sources) = made_of.split_once(": ").unwrap_or_default();
    let changed = |source: &str| fs::metadata(source.replace('\0', " "))?.modified();
    let newest = sources.split_whitespace().map(changed).collect::<io::Result<Vec<SystemTime>>>()?.into_iter().max();
    newest.map(|newest| newest <= built).ok_or_else(|| io::Error::other("what it was made of is not known"))
}
