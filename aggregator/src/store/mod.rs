//! Everything that is kept. Only the modules below this one contain SQL.
//!
//! The methods are coarse: one for each question that the rest of the program asks, answered in one transaction. A further
//! database is a further variant; `tests/store/` says what any of them must do.

/// Passes a call on to whichever database there is.
macro_rules! each {
    ($store:expr, $inner:ident => $call:expr) => {
        match $store {
            Store::Sqlite($inner) => $call,
            Store::Postgres($inner) => $call,
        }
    };
}

mod account;
pub mod alerts;
mod configs;
mod error;
mod log;
mod people;
mod postgres;
mod sqlite;
mod squeeze;
mod system;
mod types;

pub use account::{
    API_TOKENS_MAX, ApiToken, Changed, Invitation, Kept, LoginLimits, Maker, Owner, SessionRow, Sweep, UserChange,
    UserRow,
};
pub use configs::{CONFIGS_MAX, ConfigInfo, ConfigRow, ConfigTold};
pub use error::{IngestError, SeriesError, StoreError, UNKNOWN_TARGETS_MAX};
pub use postgres::{PgOptions, PgStore};
pub use sqlite::SqliteStore;
pub use system::{JOIN_TOKENS_MAX, JoinTokenInfo, LiveReplica, ReplicaRow};
pub use types::{
    AgentRow, Batch, Description, Ingested, JoinTokenRow, JournalEntry, Keep, LatestRow, Lease, Maintained,
    MatrixState, Redeemed, Redemption, ReplicaId, ReportRows, RolledUp, SampleRow, SeriesQuery, SeriesRows, StreamRows,
    Unsummed,
};

use crate::audit_log::Event;
use crate::lock::DataLock;
use aggregator_core::report::Period;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::{Span, UnixTime};
use everypath_protocol::token::{TokenId, TokenKey};
use std::path::Path;

/// The database.
#[derive(Clone, Debug)]
pub enum Store {
    /// A file in the data directory.
    Sqlite(SqliteStore),
    /// A server, which several aggregators may share.
    Postgres(PgStore),
}

impl Store {
    /// Opens the database in `data_dir`, makes it if there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_sqlite(data_dir: &Path) -> Result<Self, StoreError> {
        SqliteStore::open(data_dir).await.map(Self::Sqlite)
    }

    /// Connects to the PostgreSQL database at `url`.
    ///
    /// # Errors
    /// [`StoreError`]. No message holds the password in the URL.
    pub async fn open_postgres(url: &str, options: PgOptions) -> Result<Self, StoreError> {
        PgStore::open(url, options).await.map(Self::Postgres)
    }

    /// Brings the schema of the PostgreSQL database at `url` up to date and makes use of what its server can do. Safe from
    /// several processes at once; changes nothing if everything is done.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn migrate_postgres(url: &str) -> Result<(), StoreError> {
        PgStore::migrate(url).await
    }

    /// Makes use of what the server at `url` can do by now, on a schema that is up to date.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reconcile_postgres(url: &str) -> Result<(), StoreError> {
        PgStore::reconcile(url).await
    }

    /// Whether this process may do with the database what `serve` has to do. SQLite would not have been opened otherwise.
    ///
    /// # Errors
    /// [`StoreError::Unfit`] with what the role of the URL lacks.
    pub async fn check_rights(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(store) => store.check_rights().await,
        }
    }

    /// Opens the database of an aggregator that has run before. Never makes one: whoever mistypes a folder wants to know.
    ///
    /// # Errors
    /// When there is none in `data_dir`, or it cannot be opened.
    pub async fn open_existing(data_dir: &Path) -> anyhow::Result<Self> {
        use anyhow::Context as _;
        let folder = data_dir.display();
        let exists = SqliteStore::exists_in(data_dir)
            .with_context(|| format!("while looking into {folder}; ask as the user that `aggregator serve` runs as"))?;
        anyhow::ensure!(exists, "there is no database of an aggregator in {folder}; has `aggregator serve` run there?");
        let opening = || format!("while opening the database in {folder}");
        // A program that is newer than the running one must not change the schema under it.
        let is_current = SqliteStore::is_current(data_dir).await.with_context(opening)?;
        let _lock = (!is_current)
            .then(|| DataLock::take(data_dir))
            .transpose()
            .with_context(|| format!("the database in {folder} is of an older version and in use"))?;
        Self::open_sqlite(data_dir).await.with_context(opening)
    }

    /// Stores what of a batch is new, exactly once, and returns when it is on disk.
    ///
    /// # Errors
    /// [`IngestError`]; nothing of the batch was stored then.
    pub async fn ingest(&self, batch: Batch) -> Result<Ingested, IngestError> {
        each!(self, store => store.ingest(batch).await)
    }

    /// All members, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn agents(&self) -> Result<Vec<AgentRow>, StoreError> {
        each!(self, store => store.agents().await)
    }

    /// Keeps what a member says of itself.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_member(&self, agent: AgentRow, now: UnixTime) -> Result<(), StoreError> {
        each!(self, store => store.note_member(agent, now).await)
    }

    /// Keeps a new join token, and logs it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_join_token(&self, token: JoinTokenRow, event: Event) -> Result<(), StoreError> {
        each!(self, store => store.create_join_token(token, event).await)
    }

    /// The key and the site of a token, spent or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn join_token(&self, id: TokenId) -> Result<Option<(TokenKey, Option<String>)>, StoreError> {
        each!(self, store => store.join_token(id).await)
    }

    /// Spends one use of a token and makes a member, both or neither. A key that is a member already gets its certificate
    /// again and spends nothing. `event` is logged of a new member.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn redeem(&self, redemption: Redemption, event: Event) -> Result<Redeemed, StoreError> {
        each!(self, store => store.redeem(redemption, event).await)
    }

    /// What the matrix of now is made of: samples received since `since` are told again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn matrix_state(&self, since: UnixTime) -> Result<MatrixState, StoreError> {
        each!(self, store => store.matrix_state(since).await)
    }

    /// Keeps rows of the matrix.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_latest(&self, rows: Vec<LatestRow>, through: UnixTime) -> Result<(), StoreError> {
        each!(self, store => store.keep_latest(rows, through).await)
    }

    /// One step of upkeep: makes room for what comes, and drops what is older than `keep`. Never holds up batches for long.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn maintain(&self, lease: Lease, keep: Keep, now: UnixTime) -> Result<Maintained, StoreError> {
        each!(self, store => store.maintain(lease, keep, now).await)
    }

    /// One step of rolling up: adds samples that were stored since the last step to the sums, each exactly once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn roll_up(&self, lease: Lease) -> Result<RolledUp, StoreError> {
        each!(self, store => store.roll_up(lease).await)
    }

    /// The first of what is not in the sums yet; nothing if all is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unsummed(&self) -> Result<Option<Unsummed>, StoreError> {
        each!(self, store => store.unsummed().await)
    }

    /// A pair over time: from the samples, or from the sums and what is not in them yet, each sample once.
    ///
    /// # Errors
    /// [`SeriesError`].
    pub async fn series(&self, query: SeriesQuery) -> Result<SeriesRows, SeriesError> {
        each!(self, store => store.series(query).await)
    }

    /// What all pairs add up to over a period. What is not summed yet is not in it: half a minute, usually.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn report(&self, period: Period) -> Result<ReportRows, StoreError> {
        each!(self, store => store.report(period).await)
    }

    /// Takes or renews the lease of `role` for `life` of the database's clock. `None` while another replica holds it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lease(&self, role: &'static str, holder: ReplicaId, life: Span) -> Result<Option<Lease>, StoreError> {
        each!(self, store => store.lease(role, holder, life).await)
    }

    /// Gives a lease back, so that another replica need not wait for its end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        each!(self, store => store.release(lease).await)
    }

    /// The number of the newest entry of the journal that is visible.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn journal_head(&self) -> Result<i64, StoreError> {
        each!(self, store => store.journal_head().await)
    }

    /// Entries of the journal above `through`, and those of `holes` that are there by now; not those of `own`. At most 256
    /// above `through` at a time. Of `own` only the numbers are returned, without news.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn journal(
        &self,
        through: i64,
        holes: Vec<i64>,
        own: ReplicaId,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        each!(self, store => store.journal(through, holes, own).await)
    }

    /// A setting as it was last put, with its version.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn setting(&self, name: &'static str) -> Result<Option<(String, i64)>, StoreError> {
        each!(self, store => store.setting(name).await)
    }

    /// Keeps a setting (JSON) if its version is still `version` (0: there is none yet). Returns whether it was. What a
    /// person changed is logged; what the program notes for itself is not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_setting(
        &self,
        name: &'static str,
        value: String,
        version: i64,
        now: UnixTime,
        event: Option<Event>,
    ) -> Result<bool, StoreError> {
        // It is nobody's version, and one more is no number.
        if version == i64::MAX {
            return Ok(false);
        }
        each!(self, store => store.put_setting(name, value, version, now, event).await)
    }

    /// Keeps bytes under a name unless there are some already; returns those that are there then. What all replicas must have
    /// in common and the first one makes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn secret(&self, name: &'static str, sealed: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        each!(self, store => store.secret(name, sealed).await)
    }

    /// The bytes kept under a name, if there are any.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stored_secret(&self, name: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        each!(self, store => store.stored_secret(name).await)
    }

    /// What the database is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn describe(&self) -> Result<Description, StoreError> {
        each!(self, store => store.describe().await)
    }

    /// What time it is by the clock of a database server; nothing where there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn clock(&self) -> Result<Option<UnixTime>, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(None),
            Self::Postgres(store) => store.clock().await.map(Some),
        }
    }

    /// When the newest batch came.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn newest_receipt(&self) -> Result<Option<UnixTime>, StoreError> {
        each!(self, store => store.newest_receipt().await)
    }

    /// Every number that is stored of one agent, stream by stream, for the audit.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn streams(&self, agent: AgentId) -> Result<Vec<StreamRows>, StoreError> {
        each!(self, store => store.streams(agent).await)
    }

    /// Whether the database answers, and took what was written last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        each!(self, store => store.ping().await)
    }

    /// Whether several processes may be on it.
    pub const fn is_shared(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(_) => true,
        }
    }

    /// Who this process is among those on the same database.
    pub fn replica(&self) -> ReplicaId {
        each!(self, store => store.replica())
    }

    /// Returns when nothing can be written any more: after [`Self::close`], or because of a mistake in this program.
    pub async fn ended(&self) {
        each!(self, store => store.ended().await);
    }

    /// Finishes what is queued and closes the database.
    pub async fn close(&self) {
        each!(self, store => store.close().await);
    }
}

/// Whether what may wait is let in: only while a queue is at most a quarter full, so that what is fresh always finds room. After
/// an outage of a day thousands come back with it.
fn has_room_for_backlog<T>(queue: &tokio::sync::mpsc::Sender<T>) -> bool {
    queue.capacity() * 4 >= queue.max_capacity() * 3
}
