//! What no file of the project may hold.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows has failed")]

use std::{fs, path::Path, process::Command};

/// The folders in which people and programs of a machine live.
const FOLDERS: [&str; 4] = ["work", "home", "root", "Users"];

/// The files that git knows. `None` where the sources are no checkout, as in an archive.
fn tracked(root: &Path) -> Option<Vec<String>> {
    if !root.join(".git").exists() {
        return None;
    }
    // A checkout may belong to another user than the one who runs the tests.
    let safe = format!("safe.directory={}", root.display());
    let git = Command::new("git").args(["-c", &safe, "ls-files", "-z"]).current_dir(root).output();
    let listed = git.expect("git is there");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).expect("names in UTF-8");
    Some(names.split_terminator('\0').map(str::to_owned).collect())
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
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Some(files) = tracked(root) else { return eprintln!("skipped: these sources are no git checkout") };
    assert!(files.iter().any(|name| name == ".ci/run"), "the files of the project were not found");
    let mut found = Vec::new();
    for name in files {
        // What is no text is a picture or a certificate. A file can be deleted and not yet committed.
        let Ok(text) = fs::read_to_string(root.join(&name)) else { continue };
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(path) = path_of_a_machine(line) {
                found.push(format!("{name}:{number}: {path}"));
            }
        }
    }
    assert!(found.is_empty(), "paths of a machine:\n{}", found.join("\n"));
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
