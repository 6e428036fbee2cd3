//! Reports that are sent again and again. A schedule has one report that waits at most: what comes later takes its place.

mod sql;

use super::{LogEntry, Put};
use crate::audit_log::Event;
use crate::store::{Lease, ReplicaId, Store, StoreError};
use aggregator_core::alert::retry::{Fate, Pause};
use everypath_protocol::time::{Span, UnixTime};

/// A schedule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScheduleRow {
    /// Its number.
    pub id: i64,
    /// What people call it; no two have the same.
    pub name: String,
    /// JSON.
    pub definition: String,
    /// Through which channel; it may be gone.
    pub channel: i64,
    /// Whether anything is sent.
    pub is_enabled: bool,
    /// Grows with each change, from 1.
    pub version: i64,
    /// When it was changed last.
    pub changed_at: UnixTime,
    /// By whom.
    pub changed_by: String,
    /// The end of the newest period that was decided on.
    pub decided: UnixTime,
    /// The last report that was to be sent.
    pub last: Option<Wait>,
}

/// The last report that was to be sent, and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wait {
    /// First moment of its period.
    pub from: UnixTime,
    /// First moment after it.
    pub to: UnixTime,
    /// When it was decided.
    pub decided_at: UnixTime,
    /// Whether it was sent.
    pub is_sent: bool,
    /// Why it was given up.
    pub failed: Option<String>,
}

/// A schedule to be kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScheduleWish {
    /// Which, and the version that was read; nothing for a new one.
    pub replaces: Option<(i64, i64)>,
    /// Its name.
    pub name: String,
    /// JSON.
    pub definition: String,
    /// Through which channel.
    pub channel: i64,
    /// Whether anything is sent.
    pub is_enabled: bool,
    /// From there on; nothing leaves what is there.
    pub decided: Option<UnixTime>,
    /// Who.
    pub by: String,
    /// When.
    pub now: UnixTime,
}

/// What was decided about a schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScheduleDecision {
    /// Which.
    pub id: i64,
    /// As it was read; a schedule that was changed meanwhile is decided on again.
    pub version: i64,
    /// The end of the newest period that was decided on.
    pub decided: UnixTime,
    /// The beginning of the period of a report that is to be sent, which ends at `decided`; none for none.
    pub send_from: Option<UnixTime>,
}

/// A report that is this replica's to make and to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DueReport {
    /// Of which schedule.
    pub schedule: i64,
    /// What people call that.
    pub name: String,
    /// JSON.
    pub definition: String,
    /// Through which channel.
    pub channel: i64,
    /// Grows with each report.
    pub wanted: i64,
    /// First moment of its period.
    pub from: UnixTime,
    /// First moment after it.
    pub to: UnixTime,
    /// When it was decided.
    pub wanted_at: UnixTime,
}

/// How it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReportDone {
    /// Of which schedule.
    pub schedule: i64,
    /// Which of its reports.
    pub wanted: i64,
    /// Who had it.
    pub replica: ReplicaId,
    /// What becomes of it.
    pub fate: Fate,
    /// What becomes of the channel, and its version that was used; nothing if it was not asked.
    pub pause: Option<(Pause, i64)>,
    /// The report is not tried again before, if it waits.
    pub rests_until: UnixTime,
    /// For the log.
    pub entry: LogEntry,
}

/// A report that somebody had sent by hand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SentNow {
    /// Of which schedule.
    pub schedule: i64,
    /// First moment of its period.
    pub from: UnixTime,
    /// First moment after it.
    pub to: UnixTime,
    /// Why it was not taken.
    pub failed: Option<String>,
    /// For the log; its time is that of the report.
    pub entry: LogEntry,
}

impl Store {
    /// All schedules, by number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn schedules(&self) -> Result<Vec<ScheduleRow>, StoreError> {
        each!(self, store => store.schedules().await)
    }

    /// Keeps a schedule, if there are fewer than `most`, and logs it under its number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_schedule(&self, wish: ScheduleWish, most: u32, event: Event) -> Result<Put, StoreError> {
        each!(self, store => store.put_schedule(wish, most, event).await)
    }

    /// Deletes a schedule and what waits of it, and logs it. Returns whether it was there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_schedule(&self, id: i64, event: Event) -> Result<bool, StoreError> {
        each!(self, store => store.delete_schedule(id, event).await)
    }

    /// Keeps what was decided about schedules.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is kept then. [`StoreError::LeaseLost`] if somebody else decides by now.
    pub async fn decide_schedules(
        &self,
        lease: Lease,
        decisions: Vec<ScheduleDecision>,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        each!(self, store => store.decide_schedules(lease, decisions, now).await)
    }

    /// Takes the report that waits longest, for `hold`, as [`Store::take_due`] does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_report(
        &self,
        replica: ReplicaId,
        now: UnixTime,
        hold: Span,
    ) -> Result<Option<DueReport>, StoreError> {
        each!(self, store => store.take_report(replica, now, hold).await)
    }

    /// Notes and logs how a report that was sent by hand ended. It is the last one of its schedule, unless one waits.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_sent_now(&self, sent: SentNow, event: Event) -> Result<(), StoreError> {
        each!(self, store => store.note_sent_now(sent, event).await)
    }

    /// Notes how it ended. Returns whether it was still this replica's; if not, somebody else may have sent it too.
    ///
    /// # Errors
    /// [`StoreError`]; it is sent again then.
    pub async fn note_report(&self, done: ReportDone) -> Result<bool, StoreError> {
        each!(self, store => store.note_report(done).await)
    }
}
