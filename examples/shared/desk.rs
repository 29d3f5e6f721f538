//! What the receivers in every framework have in common: the desk that takes deliveries, and the work behind it.

use std::{env, error::Error, fs::File, io};

use daraja::webhook::{Ack, Delivery, Entry, Journal, Receiver, Unfinished};
use tokio::task::JoinHandle;

/// Takes deliveries: checks them, and has them on the disk before they are answered.
#[derive(Clone)]
pub(crate) struct Desk {
    receiver: Receiver,
    journal: Journal,
}

/// What ends when all that was taken is worked on. It holds the lock on the journal, which belongs to one program at a
/// time.
pub(crate) struct Worker {
    task: JoinHandle<()>,
    _lock: File,
}

impl Desk {
    /// By the program's arguments, the address to listen on and the journal's path, and by `MPESA_CALLBACK_*`. What was
    /// left unfinished is taken up at once.
    pub(crate) fn open() -> Result<(Self, String, Worker), Box<dyn Error>> {
        tracing_subscriber::fmt().with_writer(io::stderr).init();
        let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
        let path = env::args().nth(2).unwrap_or_else(|| "callbacks.jsonl".to_owned());
        let receiver = Receiver::from_env()?;
        let lock = File::create(format!("{path}.lock"))?;
        lock.try_lock().map_err(|_| format!("{path} is in use by another program"))?;
        let (journal, unfinished) = Journal::open(path)?;
        let worker = Worker { task: tokio::spawn(work(unfinished)), _lock: lock };
        Ok((Self { receiver, journal }, address, worker))
    }

    /// What to answer: an acknowledgement, or a status and nothing else.
    pub(crate) async fn take(&self, delivery: Delivery<'_>) -> Result<Ack, u16> {
        let body = delivery.body();
        let (reference, event) = self.receiver.accept(delivery).map_err(|refused| refused.status())?;
        // Not stored is not taken: Daraja does not try again, so the payment has to be asked for.
        self.journal.store(&reference, &event, body).await.map_err(|_| 500_u16)?;
        Ok(event.ack())
    }

    /// Ends when all that was taken is worked on. The server has stopped before.
    pub(crate) async fn close(self, worker: Worker) -> Result<(), Box<dyn Error>> {
        let closed = self.journal.close().await;
        worker.task.await?;
        Ok(closed?)
    }
}

/// What is done behind the answer: at once, and at the next start if the program died before.
async fn work(mut unfinished: Unfinished) {
    while let Some(entry) = unfinished.next().await {
        let reference = entry.reference().to_owned();
        // What cannot be worked on must not keep the others waiting. It comes again after the next start.
        if tokio::spawn(work_on(entry)).await.is_err() {
            tracing::error!(reference, "the work on an event has panicked");
        }
    }
}

/// A shop looks up what it asked for under `entry.reference()`, compares it by `entry.event().expect(..)`, books the payment
/// if it is news, and rejects the entry if it is about something else.
#[expect(clippy::unused_async, reason = "a shop's work waits for its database")]
async fn work_on(entry: Entry) {
    let (reference, kind) = (entry.reference().to_owned(), entry.event().kind());
    let finished = entry.finish();
    tracing::info!(reference, %kind, ?finished, "worked on");
}
