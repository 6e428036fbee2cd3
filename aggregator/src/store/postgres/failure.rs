//! What an error of the database means for whoever asked.

use crate::store::error::{StoreError, words};

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
                // 23503: a number that was looked up before the database was put back to an older state.
                "23503" | "40001" | "40P01" | "55P03" | "42P01" | "55000" => Failure::Collision,
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
pub(in crate::store) trait While<T> {
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
            tracing::warn!(doing, error = words(&source), "the database is away or busy");
            StoreError::Busy
        }
        Failure::Data | Failure::NoPartition | Failure::Other => StoreError::Database { doing, cause: source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::error::{DatabaseError, ErrorKind};
    use std::borrow::Cow;

    #[derive(Debug)]
    struct Said(&'static str, Option<&'static str>);

    impl std::fmt::Display for Said {
        fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            out.write_str(self.0)
        }
    }

    impl std::error::Error for Said {}

    impl DatabaseError for Said {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }

        fn constraint(&self) -> Option<&str> {
            self.1
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }

        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }
    }

    #[test]
    fn an_agent_gives_up_a_record_only_if_the_record_is_at_fault() {
        for (code, constraint, meaning) in [
            ("22021", None, Failure::Data),
            ("23514", Some("odd"), Failure::Data),
            ("23514", None, Failure::NoPartition),
            ("23505", Some("agent_name_key"), Failure::Collision),
            ("23505", Some("another"), Failure::Data),
            ("23503", Some("stream_agent_fkey"), Failure::Collision),
            ("40P01", None, Failure::Collision),
            ("57P01", None, Failure::Away),
            ("25006", None, Failure::Away),
            ("53100", None, Failure::Other),
            ("42501", None, Failure::Other),
        ] {
            assert_eq!(failure(&sqlx::Error::Database(Box::new(Said(code, constraint)))), meaning, "{code}");
        }
        assert_eq!(failure(&sqlx::Error::PoolTimedOut), Failure::Away);
        assert_eq!(failure(&sqlx::Error::RowNotFound), Failure::Other);
    }
}
