//! What an error of the database means for whoever asked.

use crate::store::types::StoreError;

/// The name that PostgreSQL gave to the unique index over the names of agents.
const AGENT_NAME: &str = "agent_name_key";

/// What to do about an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    /// What was to be stored can never be stored.
    Data,
    /// No partition holds the time of a row: it was dropped a moment ago.
    NoPartition,
    /// Two transactions stood in each other's way, and one had to give up. Again it succeeds.
    Collision,
    /// The server is away, busy or going down; what it did last is not known.
    Away,
    /// Anything else: a mistake of this program, a full disk, a right that is missing.
    Other,
}

/// Sorts an error by what the server said, never by its words: they are translated.
pub(super) fn failure(error: &sqlx::Error) -> Failure {
    #[expect(clippy::wildcard_enum_match_arm, reason = "sqlx may add kinds of errors in any version")]
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            match code.as_ref() {
                "23514" if error.constraint().is_none() => Failure::NoPartition,
                "23505" if error.constraint() == Some(AGENT_NAME) => Failure::Collision,
                // Serialisation, deadlock, waited too long for a lock. 42P01: a partition that was dropped between plan and use.
                "40001" | "40P01" | "55P03" | "42P01" | "55000" => Failure::Collision,
                // Cancelled (statement_timeout), shutting down, too many connections.
                "57014" | "57P01" | "57P02" | "57P03" | "57P05" | "53300" | "25P03" | "25006" => Failure::Away,
                // 22021 and its like: this value. P0001: a trigger of the operator's.
                _ if code.starts_with("22") || code.starts_with("23") || code == "P0001" => Failure::Data,
                _ if code.starts_with("08") => Failure::Away,
                _ => Failure::Other,
            }
        }
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) => {
            Failure::Away
        }
        _ => Failure::Other,
    }
}

/// Names what was being done, for [`StoreError::Database`].
pub(super) trait While<T> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError>;
}

impl<T> While<T> for Result<T, sqlx::Error> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| store_error(doing, source))
    }
}

/// Whoever asks again later is answered, so an absent server is no mistake.
pub(super) fn store_error(doing: &'static str, source: sqlx::Error) -> StoreError {
    if matches!(source, sqlx::Error::PoolClosed) {
        return StoreError::Closed;
    }
    match failure(&source) {
        Failure::Away | Failure::Collision => {
            tracing::warn!(doing, error = %source, "the database is away or busy");
            StoreError::Busy
        }
        Failure::Data | Failure::NoPartition | Failure::Other => StoreError::Database { doing, source },
    }
}
