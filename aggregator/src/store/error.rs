//! Why something was not stored or cannot be read.

use aggregator_core::admit::Refusal;
use aggregator_core::series::TooManyRows;

/// Why the store cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// More is waiting to be written than the queue holds; nothing was done.
    #[error("the database is busy; nothing was stored")]
    Busy,
    /// So much is waiting to be written that a backlog has to wait; nothing was done.
    #[error("the database has too much to do to take a backlog now; nothing was stored")]
    BacklogWaits,
    /// The store was closed; nothing was done.
    #[error("the database is closed")]
    Closed,
    /// The last write failed and none has succeeded since.
    #[error("the last write to the database failed")]
    Failing,
    /// Another replica holds the lease by now; what was begun is undone.
    #[error("another replica does this by now")]
    LeaseLost,
    /// The database refused. What was begun is undone.
    #[error("the database failed while {doing}: {}", words(cause))]
    Database {
        /// What was being done.
        doing: &'static str,
        /// What the database said; told above, and so not as a source that would be told again.
        cause: sqlx::Error,
    },
    /// No connection can be made, or not with this address.
    #[error("{0}")]
    Unreachable(String),
    /// The schema of the database is not one for this program.
    #[error("the database cannot be used: {0}")]
    Unfit(String),
    /// The database holds something that cannot be.
    #[error("the database holds {0} that cannot be read; was it changed by hand or by a newer version?")]
    Damaged(&'static str),
}

/// What the database said. sqlx adds the line of the server's own source.
pub(super) fn words(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |said| said.message().to_owned())
}

/// Most targets that one member may name without anybody having introduced them. Each takes a row for ever, and a member can make
/// up any number; honest ones are those that joined by another issuer and have not reported yet.
pub const UNKNOWN_TARGETS_MAX: u64 = 1_024;

/// Why a batch was not stored.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Its numbers do not fit.
    #[error("{0}")]
    Refused(Refusal),
    /// The database can never store one of its records; the agent finds out which.
    #[error("a record cannot be stored: {0}")]
    Unstorable(String),
    /// It would make more than [`UNKNOWN_TARGETS_MAX`] rows for targets that nobody introduced; the agent finds out which.
    #[error("the sender names more than {UNKNOWN_TARGETS_MAX} targets that are no members")]
    UnknownTargets,
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// Reading went on only so far.
    #[error(transparent)]
    TooManyRows(#[from] TooManyRows),
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}
