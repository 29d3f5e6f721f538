//! The shop's database: what it believes, one line a row, in files, so that its memory is the library's and not its own.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tempfile::TempDir;

/// What the shop believes of one attempt to be paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Belief {
    Paid(Option<String>),
    Failed,
    /// Nobody told.
    Unknown,
    /// Provably not carried out.
    NotSent,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) order: u64,
    pub(crate) reference: String,
    pub(crate) payer: String,
    pub(crate) amount: u32,
    /// What Daraja calls it, if that was told.
    pub(crate) id: Option<String>,
    pub(crate) belief: Belief,
}

/// What the shop believes of a payout, or of money that is given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Gone {
    Paid(String),
    Failed,
    NotSent,
    Unknown(String),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Payout {
    pub(crate) id: String,
    pub(crate) recipient: String,
    pub(crate) amount: u32,
    pub(crate) gone: Gone,
    pub(crate) contradictions: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) reference: String,
    pub(crate) receipt: String,
    pub(crate) amount: u32,
    pub(crate) gone: Gone,
}

/// What came in, whether anybody still waited for it or not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct News {
    pub(crate) reference: String,
    pub(crate) key: String,
    pub(crate) told: Told,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Told {
    /// Money came in: its receipt, and the cents.
    Paid(String, i64),
    Failed,
    /// Money went back: the receipt that it was paid by, and the cents.
    Back(String, i64),
    Other,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Row {
    Attempt(Attempt),
    Payout(Payout),
    Refund(Refund),
    News(News),
    /// Something that must not be, found while it went on.
    Wrong(String),
}

pub(crate) struct Book {
    folder: TempDir,
    file: Mutex<BufWriter<File>>,
}

impl Book {
    pub(crate) fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = File::create(folder.path().join("book.jsonl")).expect("a file");
        Self { folder, file: Mutex::new(BufWriter::new(file)) }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("book.jsonl")
    }

    fn lock(&self) -> MutexGuard<'_, BufWriter<File>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self, row: &Row) {
        let line = serde_json::to_string(row).expect("a row");
        writeln!(self.lock(), "{line}").expect("the disk has room");
    }

    pub(crate) fn wrong(&self, what: impl Into<String>) {
        self.write(&Row::Wrong(what.into()));
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        self.lock().flush().expect("the disk has room");
        read(BufReader::new(File::open(self.path()).expect("the book")))
    }
}

fn read<T: DeserializeOwned>(lines: impl BufRead) -> Vec<T> {
    lines.lines().map(|line| serde_json::from_str(&line.expect("a line")).expect("a row")).collect()
}
