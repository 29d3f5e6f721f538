//! What a journal holds, read without the library: a judge of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// What a journal holds.
#[derive(Debug, Default)]
pub struct Disk {
    /// Reference, kind and key of each stored event, by number.
    pub events: BTreeMap<u64, (String, String, String)>,
    /// How often each key was finished.
    pub finished: BTreeMap<String, usize>,
    /// The whole text.
    pub text: String,
}

impl Disk {
    /// Reads the whole lines of a journal.
    pub fn read(path: &Path) -> Self {
        let mut disk = Self { text: fs::read_to_string(path).unwrap_or_default(), ..Self::default() };
        let whole = disk.text.rfind('\n').map_or("", |end| &disk.text[..end]);
        for line in whole.lines() {
            let line: Value = serde_json::from_str(line).expect("a line of JSON");
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            if let Some(number) = line["event"].as_u64() {
                let stored = disk.events.insert(number, (text("reference"), text("kind"), text("key")));
                assert!(stored.is_none(), "two events have the number {number}");
            } else if let Some(number) = line["finished"].as_u64() {
                let (_, _, key) = disk.events.get(&number).expect("what is finished was stored before");
                *disk.finished.entry(key.clone()).or_default() += 1;
            }
        }
        disk
    }

    /// Reads it again and again until it holds this many finished keys.
    pub fn until_finished(path: &Path, count: usize) -> Self {
        let started = Instant::now();
        loop {
            let disk = Self::read(path);
            if disk.finished.len() >= count {
                return disk;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "only {:?} of {count} were finished", disk.finished);
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The kinds that were stored under a reference.
    pub fn kinds(&self, reference: &str) -> BTreeSet<&str> {
        let of_it = self.events.values().filter(|(stored, ..)| stored == reference);
        of_it.map(|(_, kind, _)| kind.as_str()).collect()
    }

    /// Every event was finished, and no news twice.
    pub fn assert_each_finished_once(&self) {
        for (reference, kind, key) in self.events.values() {
            assert_eq!(self.finished.get(key), Some(&1), "{kind} for {reference}");
        }
    }
}
