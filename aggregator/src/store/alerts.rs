//! Rules, silences, channels, incidents, and what is to be told of them.
//!
//! Definitions are JSON here: `crate::alerts` reads and writes it. The statements are the same on all databases.

mod config;
mod incidents;
mod outbox;
mod rows;
mod schedules;

pub use rows::{
    ChannelRow, ChannelWish, Commit, DefinedRow, Definition, Deleted, Done, Due, IncidentQuery, IncidentRow, Kept,
    Kind, LogEntry, Put, Wanted,
};
pub use schedules::{DueReport, ReportDone, ScheduleDecision, ScheduleRow, ScheduleWish, SentNow, Wait};

use super::{Lease, ReplicaId, Store, StoreError};
use crate::audit_log::Event;
use everypath_protocol::time::{Span, UnixTime};

/// Most entries of the delivery log that are kept of one channel; the oldest go.
pub const LOG_MAX: u32 = 1_000;
/// Most silences that are over and kept; the oldest go when another is made.
pub const SILENCES_OVER_MAX: u32 = 200;
/// Most incidents that are deleted in one step, because of their age.
pub const SWEEP_MAX: u32 = 1_000;

impl Store {
    /// All rules or silences, by number; of silences with `over_after` those that are over later than that.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn alert_definitions(
        &self,
        kind: Kind,
        over_after: Option<UnixTime>,
    ) -> Result<Vec<DefinedRow>, StoreError> {
        each!(self, store => store.alert_definitions(kind, over_after).await)
    }

    /// Keeps a rule or a silence, if there are fewer than `most`, and logs it under its number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_alert_definition(
        &self,
        kind: Kind,
        wish: Definition,
        most: u32,
        event: Event,
    ) -> Result<Put, StoreError> {
        each!(self, store => store.put_alert_definition(kind, wish, most, event).await)
    }

    /// Deletes one, and logs it. Returns whether it was there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_alert_definition(&self, kind: Kind, id: i64, event: Event) -> Result<bool, StoreError> {
        each!(self, store => store.delete_alert_definition(kind, id, event).await)
    }

    /// All channels, by number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn alert_channels(&self) -> Result<Vec<ChannelRow>, StoreError> {
        each!(self, store => store.alert_channels().await)
    }

    /// Keeps a channel, if there are fewer than `most`, and logs it under its number. A change lets it be used at once, and what it
    /// would not take before is sent again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_alert_channel(&self, wish: ChannelWish, most: u32, event: Event) -> Result<Put, StoreError> {
        each!(self, store => store.put_alert_channel(wish, most, event).await)
    }

    /// Deletes a channel, what it was to be told, and what went through it. The audit log says so.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_alert_channel(&self, id: i64, event: Event) -> Result<Deleted, StoreError> {
        each!(self, store => store.delete_alert_channel(id, event).await)
    }

    /// Where judging was; incidents that ended before `since` are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn alert_kept(&self, since: UnixTime) -> Result<Kept, StoreError> {
        each!(self, store => store.alert_kept(since).await)
    }

    /// Keeps what an evaluation decided.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is kept then. [`StoreError::LeaseLost`] if somebody else judges by now.
    pub async fn alert_commit(&self, lease: Lease, commit: Commit, now: UnixTime) -> Result<(), StoreError> {
        each!(self, store => store.alert_commit(lease, commit, now).await)
    }

    /// Incidents, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn incidents(&self, query: IncidentQuery) -> Result<Vec<IncidentRow>, StoreError> {
        each!(self, store => store.incidents(query).await)
    }

    /// One incident.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn incident(&self, id: [u8; 16]) -> Result<Option<IncidentRow>, StoreError> {
        each!(self, store => store.incident(id).await)
    }

    /// Notes who takes care of an incident, and logs it; nothing takes it back. Returns whether there is such an incident and it is open.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn acknowledge(
        &self,
        id: [u8; 16],
        ack: Option<(String, UnixTime, String)>,
        event: Event,
    ) -> Result<bool, StoreError> {
        each!(self, store => store.acknowledge(id, ack, event).await)
    }

    /// Who takes care of which open incident.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn acknowledgements(&self) -> Result<Vec<([u8; 16], (String, UnixTime, String))>, StoreError> {
        each!(self, store => store.acknowledgements().await)
    }

    /// Deletes incidents that ended before `before`, at most [`SWEEP_MAX`]. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sweep_incidents(&self, before: UnixTime) -> Result<u64, StoreError> {
        each!(self, store => store.sweep_incidents(before).await)
    }

    /// Takes up to `most` messages that wait, one a channel, for `hold`. Nobody else gets them until then. Replicas compare the end
    /// with their own clocks, so `hold` must be longer than a sending takes by more than those may differ.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_due(
        &self,
        replica: ReplicaId,
        now: UnixTime,
        hold: Span,
        most: u32,
    ) -> Result<Vec<Due>, StoreError> {
        each!(self, store => store.take_due(replica, now, hold, most).await)
    }

    /// Notes how a sending ended. Returns whether it was still this replica's; if not, somebody else may have sent it too.
    ///
    /// # Errors
    /// [`StoreError`]; it is sent again then.
    pub async fn note_done(&self, done: Done) -> Result<bool, StoreError> {
        each!(self, store => store.note_done(done).await)
    }

    /// How many messages wait, and when the first of them was decided.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn waiting(&self) -> Result<(u64, Option<UnixTime>), StoreError> {
        each!(self, store => store.waiting().await)
    }

    /// Adds the test of a channel to the delivery log and to the audit log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn log_delivery(&self, entry: LogEntry, event: Event) -> Result<(), StoreError> {
        each!(self, store => store.log_delivery(entry, event).await)
    }

    /// The delivery log of a channel, newest first, below the entry `below`, each with the definition of its incident if that is kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delivery_log(
        &self,
        channel: i64,
        below: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(LogEntry, Option<String>)>, StoreError> {
        each!(self, store => store.delivery_log(channel, below, limit).await)
    }
}
