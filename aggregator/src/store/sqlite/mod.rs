//! The embedded database: one file, one writer that owns its connection, a few readers.
//!
//! SQLite lets one connection write at a time. Here that connection belongs to one task with a bounded queue, so that no two
//! transactions of this process wait for each other, and batches that wait together are committed together.

mod accounts;
mod agents;
mod api_tokens;
mod blocks;
mod codes;
mod configs;
mod describe;
mod failure;
mod ingest;
mod keys;
pub(in crate::store) mod lease;
pub(in crate::store) mod log;
mod matrix;
mod replicas;
mod report;
mod rollup;
mod series;
mod sessions;
mod streams;
mod tokens;
mod upkeep;
mod writer;

use crate::files;
use crate::store::error::{IngestError, StoreError};
use crate::store::types::{Batch, Ingested, JournalEntry, ReplicaId};
use futures::future::BoxFuture;
use sqlx::migrate::MigrateError;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite, SqliteConnection, SqlitePool};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use upkeep::Walk;
use writer::Writer;

/// Name of the file in the data directory.
const FILE: &str = "everypath.sqlite";
/// Connections that read.
const READERS: u32 = 4;
/// How long to wait for another process, such as `aggregator token create`, that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Rows that a statement reads ahead of whoever takes them: each time they wait for each other costs more than many rows.
const ROWS_BUFFERED: usize = 1_024;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/sqlite");

/// A SQLite database.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    readers: SqlitePool,
    writer: Writer,
    walk: Arc<Mutex<Walk>>,
    replica: ReplicaId,
}

/// Names what was being done, for [`StoreError::Database`].
pub(super) trait While<T> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError>;
}

impl<T> While<T> for Result<T, sqlx::Error> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Database { doing, cause: source })
    }
}

impl SqliteStore {
    /// Opens or makes the file in `data_dir` and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let file = data_dir.join(FILE);
        // It holds hashes of passwords. SQLite gives the files beside it the same mode.
        files::make_private_file(&file).map_err(sqlx::Error::Io).doing("making its file")?;
        let options = SqliteConnectOptions::new()
            .filename(file)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // Every commit is on disk before it is acknowledged: an acknowledged batch is deleted by its agent.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .row_buffer_size(ROWS_BUFFERED)
            .disable_statement_logging();
        let mut connection = options.connect().await.doing("opening it")?;
        match MIGRATIONS.run(&mut connection).await {
            Err(MigrateError::VersionMissing(version)) => {
                return Err(StoreError::Unfit(format!(
                    "its schema is of a newer program (version {version}), and this one does not know that; install a newer one"
                )));
            }
            done => done.map_err(sqlx::Error::from).doing("bringing its schema up to date")?,
        }
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_lazy_with(options.clone().pragma("query_only", "on"));
        Ok(Self {
            readers,
            writer: Writer::start(connection, options),
            walk: Arc::default(),
            replica: ReplicaId::draw(),
        })
    }

    /// Whether the schema of the database in `data_dir` has everything that this program knows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_current(data_dir: &Path) -> Result<bool, StoreError> {
        const DOING: &str = "reading the version of its schema";
        let options = SqliteConnectOptions::new().filename(data_dir.join(FILE)).busy_timeout(BUSY_TIMEOUT);
        let mut connection = options.disable_statement_logging().connect().await.doing(DOING)?;
        let made = "select exists (select 1 from sqlite_schema where name = '_sqlx_migrations')";
        let newest = "select coalesce(max(version), 0) from _sqlx_migrations where success";
        let newest: i64 = if sqlx::query_scalar(made).fetch_one(&mut connection).await.doing(DOING)? {
            sqlx::query_scalar(newest).fetch_one(&mut connection).await.doing(DOING)?
        } else {
            0
        };
        connection.close().await.doing(DOING)?;
        Ok(MIGRATIONS.iter().all(|migration| migration.version <= newest))
    }

    /// Whether there is a database in `data_dir`.
    ///
    /// # Errors
    /// When that cannot be seen, as by whoever may not enter the folder.
    pub fn exists_in(data_dir: &Path) -> std::io::Result<bool> {
        match std::fs::metadata(data_dir.join(FILE)) {
            Ok(found) => Ok(found.is_file()),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(error),
            Err(_) => Ok(false),
        }
    }

    pub(in crate::store) const fn replica(&self) -> ReplicaId {
        self.replica
    }

    pub(in crate::store) async fn ingest(&self, batch: Batch) -> Result<Ingested, IngestError> {
        self.writer.ingest(batch).await
    }

    /// There is one process on a file, and it knows what it stored.
    pub(in crate::store) async fn journal(
        &self,
        _through: i64,
        _holes: Vec<i64>,
        _own: ReplicaId,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        Ok(Vec::new())
    }

    pub(in crate::store) async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("select 1").execute(&self.readers).await.map(drop).doing("checking that it answers")?;
        if self.writer.is_failing() { Err(StoreError::Failing) } else { Ok(()) }
    }

    pub(in crate::store) async fn ended(&self) {
        self.writer.ended().await;
    }

    pub(in crate::store) async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
    }

    /// A connection that reads.
    pub(in crate::store) async fn reading(&self, doing: &'static str) -> Result<PoolConnection<Sqlite>, StoreError> {
        self.readers.acquire().await.doing(doing)
    }

    /// Runs `work` in a transaction of its own on the writing connection.
    pub(in crate::store) async fn write<T, F>(&self, doing: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + 'static,
    {
        self.writer.write(doing, work).await
    }
}
