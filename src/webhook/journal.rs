//! What was accepted, kept in a file until it is done.

use std::{
    collections::HashSet,
    fmt, io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as std_mpsc},
    thread,
};

use tokio::sync::{mpsc, oneshot};

use self::file::{Command, Line, Writer, load, options, sync_folder};
use super::{DedupKey, Event};
use crate::error::mask_id;

mod file;

/// An append-only file of events: for programs without a database.
///
/// An event that [`store`](Self::store) has taken is on the disk. It is handed to the one [`Unfinished`], and again after
/// every start of the program, until its [`Entry`] is finished. Deliveries of the same news to the same URL are handed out
/// once. One payment that is told at two URLs is handed out for both, and [is news](Entry::is_news) once.
///
/// The file holds bodies, which means names and numbers: guard it like a till. One program may use it at a
/// time: since Rust 1.89 `File::try_lock` on a file beside it sees to that, as the programs in `examples/` do. Of
/// queue timeouts, which can echo a credential, only the ids are kept. It only grows, and what is known again is held in
/// memory, about 200 bytes an event: begin a new one now and then, when nothing is unfinished.
///
/// **Nobody but this program may move, cut or delete the file while it is open**, not even `logrotate`: the journal does not
/// look after it, so [`store`](Self::store) would go on to say that an event is on the disk, Daraja would get its answer, and
/// after the next start the event would be gone. To begin a new file, stop the program first. Two programs on one file are
/// both told that their events are stored, and neither starts again until a person has put the file right.
///
/// ```
/// use daraja::webhook::{Event, Finished, Journal};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("callbacks.jsonl");
/// let (journal, mut unfinished) = Journal::open(&path)?;
///
/// // In the handler, before it answers:
/// let body = br#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":1032}}}"#;
/// journal.store("attempt-1042", &Event::parse(body)?, body).await?;
///
/// // In a task of its own:
/// let entry = unfinished.next().await.unwrap();
/// assert_eq!(entry.reference(), "attempt-1042");
/// assert_eq!(entry.finish(), Finished::First);
///
/// // When the server has stopped:
/// journal.close().await?;
/// assert!(unfinished.next().await.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Journal {
    handle: Handle,
}

/// What is stored and not finished, in the order in which it came. There is one of it for each file.
pub struct Unfinished {
    handle: Handle,
    entries: mpsc::UnboundedReceiver<Stored>,
}

/// An event to be worked on, and the reference of the attempt that it is about. One that is dropped unfinished comes
/// again after the next start. Finish one before you take the next: the same payment can be told twice.
pub struct Entry {
    handle: Handle,
    stored: Stored,
}

/// Whether an event was news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finished {
    /// It was.
    First,
    /// The same payment was finished before, by an event at another URL.
    Before,
}

/// A handle on the thread that writes. It ends with the last of them.
#[derive(Clone)]
struct Handle {
    commands: std_mpsc::Sender<Command>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The number of the next line that stores an event.
    next: u64,
    /// What is on the disk, finished or not.
    known: HashSet<(Box<str>, DedupKey)>,
    finished: HashSet<DedupKey>,
    /// Where events are handed out to. `None` when the journal is closed.
    entries: Option<mpsc::UnboundedSender<Stored>>,
}

struct Stored {
    number: u64,
    reference: Box<str>,
    key: DedupKey,
    event: Event,
}

impl State {
    fn hand_out(&mut self, stored: Stored) {
        if self.known.insert((stored.reference.clone(), stored.key.clone())) {
            if let Some(entries) = &self.entries {
                // Without anybody to take it, it waits for the next start.
                drop(entries.send(stored));
            }
        }
    }
}

impl Stored {
    /// What is finished with it: money that came in, whichever URL reports it; all else at this URL only.
    fn news(&self) -> DedupKey {
        if self.key.is_receipt() { self.key.clone() } else { self.key.at(&self.reference) }
    }
}

impl Journal {
    /// Opens a journal, or begins one, and hands out what is unfinished. A last line that was cut short by the death of
    /// the program is removed: its delivery was not answered.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, read or written, or is not one of these.
    pub fn open(path: impl AsRef<Path>) -> io::Result<(Self, Unfinished)> {
        let path = path.as_ref();
        let mut file = options().open(path)?;
        let mut state = State::default();
        let unfinished = load(&mut file, &mut state)?;
        sync_folder(path)?;
        let (sender, entries) = mpsc::unbounded_channel();
        for stored in unfinished {
            sender.send(stored).map_err(|_| closed())?;
        }
        state.entries = Some(sender);
        let (commands, orders) = std_mpsc::channel();
        let state = Arc::new(Mutex::new(state));
        let writer = Writer::new(file, state.clone())?;
        thread::Builder::new().name("daraja-journal".to_owned()).spawn(move || writer.run(&orders))?;
        let handle = Handle { commands, state };
        Ok((Self { handle: handle.clone() }, Unfinished { handle, entries }))
    }

    /// Stores an event with the body that it was read from. When this returns it is on the disk, and Daraja may be
    /// answered; events that are stored at the same time share one write. Dropping the future does not undo it.
    ///
    /// # Errors
    ///
    /// If it could not be written, or the journal is closed. Then do not answer with a success.
    pub async fn store(&self, reference: impl AsRef<str>, event: &Event, body: &[u8]) -> io::Result<()> {
        let Some(stored) = self.handle.admit(reference.as_ref(), event)? else { return Ok(()) };
        let line = stored.line(body)?;
        self.handle.write(line, Some(stored))?.await.map_err(|_| closed())?
    }

    /// Waits until all that was stored is on the disk, and takes no more. [`Unfinished`] ends behind what it still has: wait
    /// for that, too, before the program ends.
    ///
    /// # Errors
    ///
    /// If something could not be written.
    pub async fn close(&self) -> io::Result<()> {
        let outcome = self.handle.sync().await;
        self.handle.lock().entries = None;
        outcome
    }
}

impl Unfinished {
    /// The next event. `None` when the journal is closed, nothing is left, and all that was finished is on the disk.
    pub async fn next(&mut self) -> Option<Entry> {
        let Some(stored) = self.entries.recv().await else {
            // Its failure was logged, and what is not on the disk comes again.
            let _ = self.handle.sync().await;
            return None;
        };
        Some(Entry { handle: self.handle.clone(), stored })
    }
}

impl Entry {
    /// The reference of the attempt that it is about.
    #[must_use]
    pub fn reference(&self) -> &str {
        &self.stored.reference
    }

    /// What came.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.stored.event
    }

    /// The event's [key](Event::dedup_key) as it was when the event came. A timeout is read again from its ids alone, so take
    /// this one.
    #[must_use]
    pub fn dedup_key(&self) -> &DedupKey {
        &self.stored.key
    }

    /// Whether the same payment was not finished before, at another URL. If it was, the money is recorded: do not record it a
    /// second time, and close this attempt as paid by that receipt. All but money that came in is news at each URL.
    #[must_use]
    pub fn is_news(&self) -> bool {
        !self.handle.lock().finished.contains(&self.stored.news())
    }

    /// Notes that the work is done, so that it is never handed out again.
    ///
    /// If the program dies between the work and the note, the event comes again: work that must not be done twice goes into
    /// a database, with its [key](Self::dedup_key) in the same transaction.
    #[must_use = "what was finished before was told twice"]
    pub fn finish(self) -> Finished {
        let number = self.stored.number;
        if self.handle.lock().finished.insert(self.stored.news()) {
            self.handle.note(&Line::Finished { finished: number });
            Finished::First
        } else {
            self.handle.note(&Line::Repeated { repeated: number });
            Finished::Before
        }
    }

    /// Puts it back behind the others, such as when the database did not answer. Wait a little, or it comes at once.
    pub fn put_back(self) {
        let entries = self.handle.lock().entries.clone();
        if let Some(entries) = entries {
            // When nobody is there to take it, it comes again after the next start.
            drop(entries.send(self.stored));
        }
    }

    /// Notes that it is not to be worked on, because it is not about this attempt. The same news at the right URL still is.
    pub fn reject(self) {
        self.handle.note(&Line::Rejected { rejected: self.stored.number });
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the journal is closed")
}

impl Handle {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Gives an event its number, unless it is on the disk. While the first one is being written, the same is written
    /// once more: its answer must not come before it is on the disk either.
    fn admit(&self, reference: &str, event: &Event) -> io::Result<Option<Stored>> {
        let key = event.dedup_key();
        let mut state = self.lock();
        if state.entries.is_none() {
            return Err(closed());
        }
        let identity = (reference.into(), key);
        if state.known.contains(&identity) {
            return Ok(None);
        }
        let number = state.next;
        state.next = number.saturating_add(1);
        let (reference, key) = identity;
        Ok(Some(Stored { number, reference, key, event: event.clone() }))
    }

    fn write(&self, line: Vec<u8>, stored: Option<Stored>) -> io::Result<oneshot::Receiver<io::Result<()>>> {
        let (durable, written) = oneshot::channel();
        self.commands.send(Command { line, stored, durable: Some(durable) }).map_err(|_| closed())?;
        Ok(written)
    }

    /// Waits until all that was given to the thread is on the disk.
    async fn sync(&self) -> io::Result<()> {
        self.write(Vec::new(), None)?.await.map_err(|_| closed())?
    }

    /// What is noted too late, because the program dies, is done again.
    fn note(&self, note: &Line<'_>) {
        let line = note.to_bytes().expect("numbers can be written");
        drop(self.commands.send(Command { line, stored: None, durable: None }));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

impl fmt::Debug for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unfinished").finish_non_exhaustive()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("reference", &mask_id(self.reference())).field("event", self.event()).finish()
    }
}
