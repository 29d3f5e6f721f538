//! What no file of the project may hold.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows has failed")]

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

/// What is not the project's: what was built, what git and tools keep, and a developer's own settings.
const NOT_OURS: [&str; 7] = ["target", ".git", ".env", "node_modules", "corpus", "artifacts", "mutants.out"];

/// The folders in which people and programs of a machine live.
const FOLDERS: [&str; 4] = ["work", "home", "root", "Users"];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if NOT_OURS.iter().any(|name| path.file_name() == Some(OsStr::new(name))) {
            continue;
        }
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// The path of such a folder in a line: behind a slash that does not end a longer path or a URL.
fn path_of_a_machine(line: &str) -> Option<&str> {
    line.match_indices('/').find_map(|(at, _)| {
        let begins = !line[..at].ends_with(|before: char| before.is_alphanumeric() || "._-".contains(before));
        let rest = &line[at + 1..];
        let names = FOLDERS.iter().any(|name| rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')));
        (begins && names).then(|| &line[at..])
    })
}

#[test]
fn no_file_names_a_path_of_somebodys_machine() {
    let mut all = Vec::new();
    files(Path::new(env!("CARGO_MANIFEST_DIR")), &mut all);
    assert!(all.iter().any(|path| path.ends_with(".ci/run")), "the files of the project were not found");
    let mut told = Vec::new();
    for path in all {
        // What is no text is a picture or a certificate.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(found) = path_of_a_machine(line) {
                told.push(format!("{}:{number}: {found}", path.display()));
            }
        }
    }
    assert!(told.is_empty(), "paths of a machine:\n{}", told.join("\n"));
}

#[test]
fn a_path_of_a_machine_is_found_and_nothing_else() {
    for name in FOLDERS {
        assert!(path_of_a_machine(&format!("see /{name}/somebody")).is_some(), "{name}");
        assert!(path_of_a_machine(&format!("\"/{name}/somebody\"")).is_some(), "{name}");
        assert_eq!(path_of_a_machine(&format!("https://shop.example/{name}/page")), None);
        assert_eq!(path_of_a_machine(&format!("/{name}s/page")), None);
    }
}
