//! Which processes are on the database, and the join tokens that there are.

use super::{ReplicaId, Store, StoreError};
use crate::audit_log::Event;
use everypath_protocol::time::{Span, UnixTime};
use everypath_protocol::token::TokenId;

/// Tokens that are listed, the newest first.
pub const JOIN_TOKENS_MAX: u32 = 1_000;

/// A process, as it says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicaRow {
    /// Drawn at its start.
    pub id: ReplicaId,
    /// Name of its host, at most 64 bytes.
    pub host: String,
    /// Version of its program.
    pub version: String,
    /// When it began, by its own clock.
    pub started_at: UnixTime,
}

/// A process that was heard of a moment ago.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveReplica {
    /// What it says of itself.
    pub row: ReplicaRow,
    /// When, by the clock of the database.
    pub seen_at: UnixTime,
    /// It does the jobs.
    pub is_leader: bool,
}

/// A join token without what a proof is made with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinTokenInfo {
    /// Its name.
    pub id: TokenId,
    /// The site of everyone who joins with it; `None` lets them say.
    pub site: Option<String>,
    /// How many may join in all.
    pub uses: u32,
    /// How many still may.
    pub uses_left: u32,
    /// When it was made.
    pub created_at: UnixTime,
    /// Name of the account or token that made it; empty for the command line.
    pub created_by: String,
    /// When it ends.
    pub expires_at: UnixTime,
}

impl Store {
    /// Says that this process lives, and forgets those that have not said so for an hour.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_replica(&self, replica: ReplicaRow) -> Result<(), StoreError> {
        each!(self, store => store.note_replica(replica).await)
    }

    /// Forgets a process that ends.
    ///
    /// # Errors
    /// [`StoreError`]; it is forgotten an hour later.
    pub async fn forget_replica(&self, id: ReplicaId) -> Result<(), StoreError> {
        each!(self, store => store.forget_replica(id).await)
    }

    /// The processes that were heard of within `life`, the oldest first. `role` is that of the lease of whoever leads.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn replicas(&self, role: &'static str, life: Span) -> Result<Vec<LiveReplica>, StoreError> {
        each!(self, store => store.replicas(role, life).await)
    }

    /// At most [`JOIN_TOKENS_MAX`] join tokens, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn join_tokens(&self) -> Result<Vec<JoinTokenInfo>, StoreError> {
        each!(self, store => store.join_tokens().await)
    }

    /// Deletes a join token, if there is one, and logs that.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_join_token(&self, id: TokenId, event: Event) -> Result<bool, StoreError> {
        each!(self, store => store.delete_join_token(id, event).await)
    }
}
