//! The journal's file: its lines, the thread that writes them, and how they are read again.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    sync::{Arc, Mutex, mpsc},
};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{State, Stored, lock};
use crate::webhook::{DedupKey, Event, EventKind};

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Line<'a> {
    Event { event: u64, kind: Cow<'a, str>, reference: Cow<'a, str>, key: Cow<'a, str>, body: Cow<'a, str> },
    Finished { finished: u64 },
    Repeated { repeated: u64 },
    Rejected { rejected: u64 },
}

impl Line<'_> {
    pub(super) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

impl Stored {
    /// The line that stores it.
    pub(super) fn line(&self, body: &[u8]) -> io::Result<Vec<u8>> {
        let body = self.event.body_to_store(body);
        let (kind, reference) = (self.event.kind().as_str().into(), (*self.reference).into());
        Line::Event { event: self.number, kind, reference, key: self.key.as_str().into(), body }.to_bytes()
    }
}

/// What the thread is to write.
pub(super) struct Command {
    /// Empty, to learn when all that was given before is on the disk.
    pub(super) line: Vec<u8>,
    /// What to hand out then.
    pub(super) stored: Option<Stored>,
    /// Who waits for it.
    pub(super) durable: Option<oneshot::Sender<io::Result<()>>>,
}

impl Command {
    fn is_note(&self) -> bool {
        self.durable.is_none()
    }
}

/// The thread that writes: all that waits goes to the disk together.
pub(super) struct Writer {
    file: File,
    /// Up to here all lines are whole.
    length: u64,
    state: Arc<Mutex<State>>,
    /// Notes that could not be written, and that nobody waits for: without them what is done would be done again.
    owed: Vec<u8>,
    broken: bool,
}

/// How many lines are written together at most.
const BATCH: usize = 1_024;

impl Writer {
    pub(super) fn new(file: File, state: Arc<Mutex<State>>) -> io::Result<Self> {
        Ok(Self { length: file.metadata()?.len(), file, state, owed: Vec::new(), broken: false })
    }

    pub(super) fn run(mut self, orders: &mpsc::Receiver<Command>) {
        while let Ok(first) = orders.recv() {
            let batch: Vec<_> = std::iter::once(first).chain(orders.try_iter()).take(BATCH).collect();
            let outcome = self.write(&batch);
            if let Err(error) = &outcome {
                tracing::error!(%error, "the journal cannot be written");
            }
            for Command { stored, durable, .. } in batch {
                if let (Some(stored), Ok(())) = (stored, &outcome) {
                    lock(&self.state).hand_out(stored);
                }
                let told = outcome.as_ref().copied().map_err(|error| io::Error::new(error.kind(), error.to_string()));
                drop(durable.map(|durable| durable.send(told)));
            }
        }
    }

    /// Writes what is still owed, and the batch. Notes that it cannot write it owes.
    fn write(&mut self, batch: &[Command]) -> io::Result<()> {
        let lines = |notes: bool| {
            let wanted = batch.iter().filter(move |command| !notes || command.is_note());
            wanted.flat_map(|command| &command.line).copied()
        };
        let bytes: Vec<u8> = self.owed.iter().copied().chain(lines(false)).collect();
        let written = self.append(&bytes);
        match written {
            Ok(()) => self.owed.clear(),
            Err(_) => self.owed.extend(lines(true)),
        }
        written
    }

    /// Appends whole lines, or nothing: half a line would spoil the next one.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.broken {
            let half = |_| io::Error::other("the journal ends in half a line, because an earlier write failed");
            self.file.set_len(self.length).map_err(half)?;
            self.broken = false;
        }
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.length = self.length.saturating_add(bytes.len() as u64),
            Err(_) => self.broken = self.file.set_len(self.length).is_err(),
        }
        written
    }
}

/// In bytes. The longest line has a body of 64 KiB, in which each byte is escaped as six.
const LONGEST_LINE: u64 = 512 * 1_024;

/// Reads the file and returns the unfinished events. If the last line is the beginning of a journal line, it is cut off.
pub(super) fn load(file: &mut File, state: &mut State) -> io::Result<Vec<Stored>> {
    let (mut reader, mut whole, mut position) = (BufReader::new(&*file), 0_u64, 0_usize);
    let mut loaded = Loaded::default();
    let mut text = Vec::new();
    while reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut text)? > 0 && text.ends_with(b"\n") {
        position = position.saturating_add(1);
        whole = whole.saturating_add(text.len() as u64);
        let problem = match serde_json::from_slice(&text) {
            Ok(line) => loaded.take(line, state).err(),
            Err(_) => Some("cannot be read"),
        };
        if let Some(problem) = problem {
            let problem = format!("line {position} of the journal {problem}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        text.clear();
    }
    if !is_cut_short(&text) || !has_only_zeros(&mut reader)? {
        let problem = "its last line is not the beginning of a journal line: the file was not changed";
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    file.set_len(whole)?;
    Ok(loaded.open.into_values().collect())
}

/// Whether this is the beginning of a journal line, as a crash of the program leaves it, and not other data. After a crash of
/// the machine a file system can leave zeros.
fn is_cut_short(end: &[u8]) -> bool {
    const STARTS: [&[u8]; 4] = [b"{\"event\":", b"{\"finished\":", b"{\"repeated\":", b"{\"rejected\":"];
    let zeros = end.iter().rev().take_while(|byte| **byte == 0).count();
    let text = end.get(..end.len().saturating_sub(zeros)).unwrap_or_default();
    let is_ours = |start: &&[u8]| start.starts_with(text) || text.starts_with(start);
    (text.len() as u64) < LONGEST_LINE && STARTS.iter().any(is_ours)
}

/// Whether the rest of the file is zeros. There can be a megabyte of them: many lines are written together.
fn has_only_zeros(reader: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let read = reader.fill_buf()?;
        if read.is_empty() || read.iter().any(|byte| *byte != 0) {
            return Ok(read.is_empty());
        }
        let length = read.len();
        reader.consume(length);
    }
}

/// What the lines read so far come to.
#[derive(Default)]
struct Loaded {
    open: BTreeMap<u64, Stored>,
    news: HashMap<u64, DedupKey>,
    numbers: HashSet<u64>,
}

impl Loaded {
    fn take(&mut self, line: Line<'_>, state: &mut State) -> Result<(), &'static str> {
        match line {
            Line::Event { event: number, kind, reference, key, body } => {
                // What is finished goes by its number: one of two events would be lost without a word.
                if !self.numbers.insert(number) {
                    return Err("repeats a number: two programs have written it at a time");
                }
                let kind: EventKind = kind.parse().map_err(|_| "is of a kind that this version does not know")?;
                let (reference, key) = (Box::<str>::from(reference), DedupKey::stored(&key));
                state.next = state.next.max(number.saturating_add(1));
                if state.known.insert((reference.clone(), key.clone())) {
                    let event =
                        Event::parse_as(kind, body.as_bytes()).map_err(|_| "holds a body that cannot be read")?;
                    let stored = Stored { number, reference, key, event };
                    self.news.insert(number, stored.news());
                    self.open.insert(number, stored);
                }
            }
            Line::Finished { finished } => {
                self.open.remove(&finished);
                state.finished.extend(self.news.remove(&finished));
            }
            Line::Repeated { repeated: number } | Line::Rejected { rejected: number } => {
                drop(self.open.remove(&number));
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
pub(super) fn options() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;

    let mut options = OpenOptions::new();
    // Names and numbers are its owner's affair.
    options.read(true).append(true).create(true).mode(0o600);
    options
}

#[cfg(not(unix))]
pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    options
}

/// A new file is there only when its folder says so.
#[cfg(unix)]
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "of the shape of the other one")]
pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn note(finished: u64) -> Command {
        Command { line: Line::Finished { finished }.to_bytes().expect("a line"), stored: None, durable: None }
    }

    #[test]
    fn what_was_done_while_the_disk_was_full_is_noted_afterwards_once() {
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut writer = Writer::new(full, Arc::default()).unwrap();
        let (durable, _told) = oneshot::channel();
        let event = Command { line: b"an event that was refused\n".to_vec(), stored: None, durable: Some(durable) };
        assert!(writer.write(&[note(1), event]).is_err());
        assert!(writer.write(&[note(2)]).is_err());

        // There is room again.
        let file = tempfile::NamedTempFile::new().unwrap();
        writer.file = options().open(file.path()).unwrap();
        for number in [3, 4] {
            writer.write(&[note(number)]).unwrap();
        }
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(text, "{\"finished\":1}\n{\"finished\":2}\n{\"finished\":3}\n{\"finished\":4}\n");
    }
}
