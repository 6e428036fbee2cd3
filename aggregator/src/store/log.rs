//! Who did what.

use super::{Store, StoreError};
use crate::audit_log::{Entry, Event, Query};

impl Store {
    /// Logs something that changes nothing else. What changes something is logged with the change.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn log(&self, event: Event) -> Result<(), StoreError> {
        each!(self, store => store.log(event).await)
    }

    /// Entries of the log, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn log_entries(&self, query: Query) -> Result<Vec<Entry>, StoreError> {
        each!(self, store => store.log_entries(query).await)
    }

    /// The `limit` entries behind the one with this number, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn log_behind(&self, id: i64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        each!(self, store => store.log_behind(id, limit).await)
    }
}
