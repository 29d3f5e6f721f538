//! The database: SQLite in a file, or PostgreSQL. One SQL text serves both.

use std::{
    fs::File,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sqlx::{
    Any, AnyConnection, AnyPool, Transaction,
    any::{AnyPoolOptions, install_default_drivers},
};
use thiserror::Error;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// A handle on the database; clones share it.
#[derive(Clone)]
pub(crate) struct Db {
    pool: AnyPool,
    /// SQLite has one writer: whoever wants to write waits here, in order, and not in the database, where luck decides.
    turn: Option<Arc<Mutex<()>>>,
    /// SQLite's file belongs to one process.
    _lock: Option<Arc<File>>,
}

/// Why the database cannot be used.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    #[error("DATABASE_URL must begin with sqlite: or postgres:")]
    Kind,
    #[error("{0} is in use by another process: several servers need PostgreSQL")]
    InUse(String),
    #[error("the lock file {0} cannot be made: {1}")]
    Lock(String, std::io::Error),
    #[error("the database cannot be opened: {0}")]
    Sql(#[from] sqlx::Error),
    #[error("the database cannot be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl Db {
    /// Opens it and brings it up to date.
    pub(crate) async fn open(url: &str) -> Result<Self, OpenError> {
        install_default_drivers();
        let options = AnyPoolOptions::new().acquire_timeout(Duration::from_secs(20));
        let (pool, turn, lock) = match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => {
                let lock = lock_file(url)?;
                let pool = options.max_connections(8).after_connect(|connection, _| Box::pin(prepare(connection)));
                let create = if url.contains('?') { url.to_owned() } else { format!("{url}?mode=rwc") };
                (pool.connect(&create).await?, Some(Arc::default()), lock)
            }
            Some("postgres" | "postgresql") => (options.max_connections(20).connect(url).await?, None, None),
            _ => return Err(OpenError::Kind),
        };
        sqlx::migrate!("./migrations").run(&pool).await?;
        Ok(Self { pool, turn, _lock: lock })
    }

    /// For single statements that only read.
    pub(crate) fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Begins to write. What is not [committed](Tx::commit) did not happen.
    pub(crate) async fn write(&self) -> sqlx::Result<Tx> {
        let turn = match &self.turn {
            Some(turn) => Some(turn.clone().lock_owned().await),
            None => None,
        };
        // SQLite: the lock for writing is taken at once, as one that has only read cannot be made to wait for it.
        let inner = match &turn {
            Some(_) => self.pool.begin_with("BEGIN IMMEDIATE").await?,
            None => self.pool.begin().await?,
        };
        Ok(Tx { inner, _turn: turn })
    }
}

/// Something that is being written.
pub(crate) struct Tx {
    // Rolled back before the next one gets its turn: fields are dropped in this order.
    inner: Transaction<'static, Any>,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Tx {
    pub(crate) async fn commit(self) -> sqlx::Result<()> {
        self.inner.commit().await
    }
}

impl Deref for Tx {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.inner
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }
}

/// Each connection: readers beside a writer, every commit on the disk before it is answered.
async fn prepare(connection: &mut AnyConnection) -> sqlx::Result<()> {
    for pragma in [
        "PRAGMA busy_timeout = 10000",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
    ] {
        sqlx::query(pragma).execute(&mut *connection).await?;
    }
    Ok(())
}

fn lock_file(url: &str) -> Result<Option<Arc<File>>, OpenError> {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//").split('?').next().unwrap_or_default();
    let name = format!("{path}.lock");
    let file = File::create(&name).map_err(|error| OpenError::Lock(name, error))?;
    file.try_lock().map_err(|_| OpenError::InUse(path.to_owned()))?;
    Ok(Some(Arc::new(file)))
}

/// Milliseconds since 1970, as the tables have them.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A day in the tables' unit.
pub(crate) const DAY: i64 = 86_400_000;

/// How far East Africa Time is ahead, in the tables' unit.
pub(crate) const EAT: i64 = 10_800_000;

/// A pause in the tables' unit.
pub(crate) fn millis(pause: Duration) -> i64 {
    i64::try_from(pause.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Whether a statement failed because something is there already.
pub(crate) fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
