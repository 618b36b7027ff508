//! The ledger: a database that answers questions about the log, and can be made again from log and blobs.
//!
//! Every table is declared in [`schema::TABLES`]. The ledger follows the log by a cursor that moves in the same
//! transaction as the rows, so it is never ahead and never half-way through a statement; who needs his own write
//! waits for [`Ledger::catch_up`]. Rows depend on log, blobs and trust root alone, never on when they were made: with
//! another trust root all of them are made again.
//!
//! SQLite now, PostgreSQL later: statements number their parameters (`$1`), times are seconds in a `BIGINT`, the log's
//! number stands in every key. One connection writes, several read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sign::trust::Trust;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, QueryBuilder, Row, Sqlite, SqliteConnection};
use tlog::merkle::Hash;
use tokio::sync::{Mutex, RwLock, RwLockReadGuard};
use wire::digest::Digest;

use crate::blobs::Blobs;
use crate::durable::{self, FileError, Operation};
use crate::log::{LogError, Reader};

pub mod schema;

mod apply;
mod chain;
mod dump;
mod prepare;
mod registry;
mod rows;
mod several;

pub use chain::Page;
pub use dump::TableDump;
pub(crate) use dump::read_file;
pub use prepare::PrepareError;
pub use rows::{
    ArtifactRow, BareEntryRow, DeploymentRow, Elsewhere, GrantRow, ManifestRow, ObservationRow, PolicyRow, RunRow,
    StatementRow, TagMoveRow, TagRow, VerdictRow,
};
pub use several::EdgeCursor;

use rows::FromRow;

/// The longest page of any list.
pub const PAGE_MAX: usize = 1000;

/// Connections that read at the same time.
const READERS: u32 = 4;

/// How long a reader waits for a connection before it is an error.
const WAIT: Duration = Duration::from_secs(30);

/// How many leaves one query asks for: SQLite's limit on parameters is 32,766, and long queries gain nothing.
const LEAVES_A_QUERY: usize = 500;

/// How many entries one transaction takes in, more or less: enough that its own cost counts little, and few enough that
/// readers and memory do not notice.
const ENTRIES_A_BATCH: usize = 1024;

/// The number of the one log in this ledger.
const LOG: i64 = 1;

pub(crate) type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

/// What the ledger is made from. Cheap to clone.
#[derive(Clone)]
pub struct Sources {
    /// The log.
    pub log: Reader,
    /// The blobs that its entries name.
    pub blobs: Blobs,
    /// Whose statements count.
    pub trust: Arc<Trust>,
}

/// The ledger of a data directory. Clones share it; any number of tasks may ask, one follows the log.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    /// Held by who writes.
    writing: Mutex<()>,
    /// Written when the file is swapped.
    pools: RwLock<Pools>,
}

/// Connections to one file.
pub(crate) struct Pools {
    pub(crate) read: SqlitePool,
    write: SqlitePool,
}

/// Why the ledger could not be asked or brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database failed, is damaged or was closed.
    #[error("asking the ledger")]
    Database(#[from] sqlx::Error),
    /// It could not be written: no space, mostly. Nothing is lost: it follows the log from where it stands.
    #[error("writing the ledger `{}`", path.display())]
    Write {
        /// The database.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// It was made by a later program.
    #[error("opening the ledger")]
    Schema(#[from] schema::MigrateError),
    /// The log could not be read.
    #[error("bringing the ledger up to the log")]
    Log(#[from] LogError),
    /// An envelope could not be read.
    #[error("bringing the ledger up to the log")]
    Envelope(#[from] PrepareError),
    /// It is ahead of the log: the log is an old copy.
    #[error("the ledger has read {ledger} log entries, but the log has {log}: run `assay admin reindex`")]
    Ahead {
        /// Entries that the ledger knows.
        ledger: u64,
        /// Entries of the log.
        log: u64,
    },
    /// The file system failed.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Ledger {
    /// Opens the ledger at `path`, makes it if it is missing, and brings it up to the log. One that was made for
    /// another log or with another trust root, or has read more than the log has, is made again.
    pub async fn open(path: &Path, sources: &Sources) -> Result<Ledger, LedgerError> {
        let mut ledger = Ledger::connect(path).await?;
        let (origin, trust) = (sources.log.origin(), fingerprint(&sources.trust));
        let fits = match ledger.made_from().await? {
            Some(known) => known == (origin.to_owned(), trust) && ledger.cursor().await? <= sources.log.size(),
            None => true,
        };
        if !fits {
            ledger.close().await?;
            remove_database(path)?;
            ledger = Ledger::connect(path).await?;
        }
        ledger.begin(sources).await?;
        ledger.catch_up(sources).await?;
        Ok(ledger)
    }

    async fn connect(path: &Path) -> Result<Ledger, LedgerError> {
        let inner =
            Inner { path: path.to_owned(), writing: Mutex::new(()), pools: RwLock::new(Pools::open(path).await?) };
        Ok(Ledger { inner: Arc::new(inner) })
    }

    /// Makes a ledger of the first `size` leaves in memory, to compare another with.
    pub(crate) async fn in_memory(sources: &Sources, size: u64) -> Result<Ledger, LedgerError> {
        // Each connection to `:memory:` is a database of its own, so there can only be one.
        let options = SqliteConnectOptions::new().in_memory(true);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        schema::migrate(&mut *pool.acquire().await?, &schema::LEDGER).await?;
        let pools = RwLock::new(Pools { read: pool.clone(), write: pool });
        let inner = Inner { path: PathBuf::new(), writing: Mutex::new(()), pools };
        let ledger = Ledger { inner: Arc::new(inner) };
        ledger.begin(sources).await?;
        ledger.read_up_to(sources, size).await?;
        Ok(ledger)
    }

    /// Brings the ledger up to the log as it is published now; returns how many leaves it has read.
    ///
    /// Statements are taken in batches, each in one transaction that also moves the cursor.
    pub async fn catch_up(&self, sources: &Sources) -> Result<u64, LedgerError> {
        self.read_up_to(sources, u64::MAX).await
    }

    async fn read_up_to(&self, sources: &Sources, size_max: u64) -> Result<u64, LedgerError> {
        let _writing = self.inner.writing.lock().await;
        let mut at = self.cursor().await?;
        loop {
            let log = sources.log.size();
            if at > log {
                return Err(LedgerError::Ahead { ledger: at, log });
            }
            if at >= log.min(size_max) {
                return Ok(at);
            }
            let sources = sources.clone();
            let batch = blocking(move || Batch::read(&sources, at, size_max)).await?;
            let pools = self.inner.pools.read().await;
            let mut connection = pools.write.acquire().await?;
            if let Err(error) = batch.write(&mut connection).await {
                // SQLite may have rolled back by itself when the disk was full, and the driver does not know: the next
                // transaction on this connection would see rows of this one. Another connection sees what is true.
                drop(connection.close().await);
                return Err(self.writing_failed(error));
            }
            drop(connection);
            drop(pools);
            // Where it stands is what the file says: a task of a directory that was given up may still be writing.
            at = self.cursor().await?;
        }
    }

    /// Makes all tables again from the log, in a fresh file that then takes the old one's place.
    ///
    /// Readers go on meanwhile with the old file; nobody follows the log until it is done.
    pub async fn reindex(&self, scratch: &Path, sources: &Sources) -> Result<u64, LedgerError> {
        remove_database(scratch)?;
        let fresh = Ledger::connect(scratch).await?;
        fresh.begin(sources).await?;
        fresh.catch_up(sources).await?;
        fresh.close().await?;
        {
            let _writing = self.inner.writing.lock().await;
            let mut pools = self.inner.pools.write().await;
            pools.close().await?;
            let path = &self.inner.path;
            let renamed = std::fs::rename(scratch, path);
            // The old file's log of writes must not be read into the new file.
            for suffix in ["-wal", "-shm"] {
                remove(&with_suffix(path, suffix))?;
            }
            *pools = Pools::open(path).await?;
            renamed.map_err(|error| FileError::new(Operation::Rename, path, error))?;
        }
        self.catch_up(sources).await
    }

    /// Writes everything into the one file and lets go of it. Whoever asks afterwards gets an error.
    pub async fn close(&self) -> Result<(), LedgerError> {
        let _writing = self.inner.writing.lock().await;
        self.inner.pools.write().await.close().await.map_err(|error| self.writing_failed(error))
    }

    fn writing_failed(&self, error: LedgerError) -> LedgerError {
        match error {
            LedgerError::Database(source) => LedgerError::Write { path: self.inner.path.clone(), source },
            other => other,
        }
    }

    /// Returns which of some hashes of log entries the ledger knows, and where those entries stand.
    pub async fn indexes_of_leaves(&self, leaves: &[Hash]) -> Result<BTreeMap<Hash, u64>, LedgerError> {
        let mut found = BTreeMap::new();
        for some in leaves.chunks(LEAVES_A_QUERY) {
            let mut query = QueryBuilder::<Sqlite>::new("SELECT leaf, log_index FROM leaves WHERE log = ");
            query.push_bind(self.log()).push(" AND leaf IN (");
            let mut list = query.separated(", ");
            let named: BTreeMap<String, Hash> = some.iter().map(|leaf| (prepare::hex(leaf), *leaf)).collect();
            for name in named.keys() {
                list.push_bind(name.clone());
            }
            query.push(")");
            for row in query.build().fetch_all(&self.reading().await.read).await? {
                let name: String = row.try_get(0)?;
                let leaf = named.get(&name).copied();
                found
                    .extend(leaf.map(|leaf| row.try_get::<i64, _>(1).map(|at| (leaf, at.unsigned_abs()))).transpose()?);
            }
        }
        Ok(found)
    }

    /// Returns how many leaves of the log the ledger has read.
    pub async fn cursor(&self) -> Result<u64, LedgerError> {
        let query = sqlx::query("SELECT size FROM logs WHERE log = $1").bind(self.log());
        let row = query.fetch_one(&self.reading().await.read).await?;
        Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
    }

    /// Returns origin and trust that the rows were made with; `None` when there are none yet.
    pub(crate) async fn made_from(&self) -> Result<Option<(String, String)>, LedgerError> {
        let query = sqlx::query("SELECT origin, trust FROM logs WHERE log = $1").bind(self.log());
        let row = query.fetch_optional(&self.reading().await.read).await?;
        Ok(row.map(|row| Ok::<_, sqlx::Error>((row.try_get(0)?, row.try_get(1)?))).transpose()?)
    }

    async fn begin(&self, sources: &Sources) -> Result<(), LedgerError> {
        let pools = self.inner.pools.read().await;
        sqlx::query("INSERT INTO logs (log, origin, size, trust) VALUES ($1, $2, 0, $3) ON CONFLICT DO NOTHING")
            .bind(self.log())
            .bind(sources.log.origin().to_owned())
            .bind(fingerprint(&sources.trust))
            .execute(&pools.write)
            .await?;
        Ok(())
    }

    pub(crate) fn log(&self) -> i64 {
        LOG
    }

    pub(crate) async fn reading(&self) -> RwLockReadGuard<'_, Pools> {
        self.inner.pools.read().await
    }

    async fn rows<T: FromRow>(&self, query: Query) -> Result<Vec<T>, LedgerError> {
        let rows = query.fetch_all(&self.reading().await.read).await?;
        Ok(rows.iter().map(T::from_row).collect::<sqlx::Result<_>>()?)
    }

    async fn row<T: FromRow>(&self, query: Query) -> Result<Option<T>, LedgerError> {
        let row = query.fetch_optional(&self.reading().await.read).await?;
        Ok(row.as_ref().map(T::from_row).transpose()?)
    }
}

impl Pools {
    async fn open(path: &Path) -> Result<Pools, LedgerError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A lost transaction is read from the log again; a torn page never happens at this level.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(10));
        let write = pool(1).connect_with(options.clone()).await?;
        schema::migrate(&mut *write.acquire().await?, &schema::LEDGER).await?;
        let read = pool(READERS).connect_with(options.create_if_missing(false).read_only(true)).await?;
        Ok(Pools { read, write })
    }

    /// Writes the log of writes into the file and removes it.
    async fn close(&mut self) -> Result<(), LedgerError> {
        self.read.close().await;
        if !self.write.is_closed() {
            let mut connection = self.write.acquire().await?;
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *connection).await?;
            sqlx::query("PRAGMA journal_mode = DELETE").execute(&mut *connection).await?;
            drop(connection);
            self.write.close().await;
        }
        Ok(())
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(connections).acquire_timeout(WAIT).idle_timeout(None).max_lifetime(None)
}

/// Entries that go in together, and where the cursor stands afterwards.
struct Batch {
    rows: Vec<prepare::Rows>,
    /// Where the cursor must stand before.
    from: u64,
    next: u64,
}

impl Batch {
    fn read(sources: &Sources, from: u64, size_max: u64) -> Result<Batch, LedgerError> {
        let mut next = from;
        let mut rows = Vec::new();
        while rows.len() < ENTRIES_A_BATCH && next < size_max.min(sources.log.size()) {
            let (entries, after) = sources.log.entries(next)?;
            next = after.min(size_max);
            for entry in entries.iter().filter(|entry| entry.index < next) {
                rows.push(prepare::prepare(entry, &sources.blobs, &sources.trust)?);
            }
        }
        Ok(Batch { rows, from, next })
    }

    /// Writes the rows and moves the cursor, in one transaction; does nothing if the cursor has moved meanwhile.
    async fn write(&self, connection: &mut SqliteConnection) -> Result<(), LedgerError> {
        let mut transaction = connection.begin().await?;
        let moved = sqlx::query("UPDATE logs SET size = $1 WHERE log = $2 AND size = $3")
            .bind(apply::integer(self.next))
            .bind(LOG)
            .bind(apply::integer(self.from))
            .execute(&mut *transaction)
            .await?;
        if moved.rows_affected() == 0 {
            return Ok(transaction.rollback().await?);
        }
        apply::apply_all(&mut transaction, LOG, &self.rows).await?;
        Ok(transaction.commit().await?)
    }
}

/// Names a trust root: the digest of its file's form.
pub(crate) fn fingerprint(trust: &Trust) -> String {
    Digest::of(trust.to_json().as_bytes()).to_string()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes a database that can be made again, with what SQLite keeps beside it.
pub(crate) fn remove_database(path: &Path) -> Result<(), FileError> {
    ["", "-wal", "-shm", "-journal"].iter().try_for_each(|suffix| remove(&with_suffix(path, suffix)))
}

fn remove(path: &Path) -> Result<(), FileError> {
    durable::remove_tree(path)
}

/// Runs work that waits for the disk where it holds up nobody else.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // The runtime is never shut down under a task that waits; what is left is a panic, which goes on here.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests;
