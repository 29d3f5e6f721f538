//! The book: one row for each payout, in SQLite.

use std::path::Path;

use daraja::{Payout, webhook::Reference};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

/// The payouts, by their references. Every change is one transaction: several workers and routes may share the file.
pub struct Book {
    /// A connection is not for two threads at a time, and no transaction waits for anything else.
    connection: std::sync::Mutex<Connection>,
}

/// Why a row could not be changed. Then it is as it was.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The database could not be read or written.
    #[error("the book could not be read or written")]
    Database(#[from] rusqlite::Error),
    /// The row is not one that this version of the library can read.
    #[error("a payout in the book cannot be read")]
    Row(#[from] serde_json::Error),
    /// There is no such row.
    #[error("there is no payout {0} in the book")]
    Unknown(String),
}

impl Book {
    /// Opens the book, and makes it if there is none.
    ///
    /// # Errors
    ///
    /// [`BookError::Database`].
    pub fn open(path: &Path) -> Result<Self, BookError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        // Full: what is committed is on the disk before it is sent.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE IF NOT EXISTS payouts (id TEXT PRIMARY KEY, payout TEXT NOT NULL, is_settled INTEGER NOT NULL);",
        )?;
        Ok(Self { connection: std::sync::Mutex::new(connection) })
    }

    /// Adds a payout. Its reference is the key, so that one obligation is one payout.
    ///
    /// # Errors
    ///
    /// [`BookError::Database`] if there is one already.
    pub fn add(&self, id: &Reference, payout: &Payout) -> Result<(), BookError> {
        let row = serde_json::to_string(payout)?;
        self.lock().execute("INSERT INTO payouts VALUES (?1, ?2, 0)", params![id.as_str(), row])?;
        Ok(())
    }

    /// The payouts that are not settled.
    ///
    /// # Errors
    ///
    /// [`BookError::Database`].
    pub fn open_payouts(&self) -> Result<Vec<String>, BookError> {
        let connection = self.lock();
        let mut rows = connection.prepare("SELECT id FROM payouts WHERE is_settled = 0 ORDER BY id")?;
        let ids = rows.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(ids)
    }

    /// Loads a payout, changes it and stores it, in one transaction: nobody else changes it meanwhile.
    ///
    /// # Errors
    ///
    /// [`BookError`]; then nothing was changed.
    pub fn change<T>(&self, id: &Reference, change: impl FnOnce(&mut Payout) -> T) -> Result<T, BookError> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let row = transaction
            .query_row("SELECT payout FROM payouts WHERE id = ?1", [id.as_str()], |row| row.get::<_, String>(0));
        let row = row.optional()?.ok_or_else(|| BookError::Unknown(id.to_string()))?;
        let mut payout: Payout = serde_json::from_str(&row)?;
        let answer = change(&mut payout);
        transaction.execute(
            "UPDATE payouts SET payout = ?2, is_settled = ?3 WHERE id = ?1",
            params![id.as_str(), serde_json::to_string(&payout)?, payout.state().is_settled()],
        )?;
        transaction.commit()?;
        Ok(answer)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
