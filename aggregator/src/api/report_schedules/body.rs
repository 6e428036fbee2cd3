//! Schedules of reports as JSON.

use crate::reports::schedule::EveryBody;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A schedule that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Weekly", "enabled": true, "every": "week", "hour_utc": 6, "site": null, "channel": 2}))]
pub struct ScheduleBody {
    /// What people call it; no two have the same.
    pub name: String,
    /// Whether anything is sent.
    pub enabled: bool,
    /// How often, and of which period: always the one just past.
    pub every: EveryBody,
    /// Five minutes past this hour of UTC it is sent, 0 to 23: of the next day, of Monday, of the first of the month.
    pub hour_utc: u8,
    /// About this site alone; all of the mesh if it is `null`.
    #[serde(default)]
    pub site: Option<String>,
    /// Number of a channel for mail.
    pub channel: i64,
}

/// A changed schedule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"version": 1,
    "schedule": {"name": "Weekly", "enabled": true, "every": "week", "hour_utc": 7, "site": "berlin", "channel": 2}}))]
pub struct ReplaceSchedule {
    /// The version that was read.
    pub version: i64,
    /// What it is to be.
    pub schedule: ScheduleBody,
}

/// The last report that was due, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"from": "2026-11-16T00:00:00Z", "to": "2026-11-23T00:00:00Z", "decided_at": "2026-11-23T06:05:00Z",
    "state": "sent", "detail": ""}))]
pub struct LastReport {
    /// First moment of its period.
    pub from: String,
    /// First moment after it.
    pub to: String,
    /// When it was found to be due, or was sent by hand.
    pub decided_at: String,
    /// `sent`; `waits`: it is made, or tried again; `given_up`.
    #[schema(value_type = String)]
    pub state: &'static str,
    /// Why it was given up.
    pub detail: String,
}

/// A schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 1, "version": 1, "changed_at": "2026-11-20T00:00:00Z", "changed_by": "ada", "name": "Weekly", "enabled": true, "every": "week",
    "hour_utc": 6, "site": null, "channel": 2, "channel_name": "Mail", "next_at": "2026-11-30T06:05:00Z",
    "last": {"from": "2026-11-16T00:00:00Z", "to": "2026-11-23T00:00:00Z", "decided_at": "2026-11-23T06:05:00Z", "state": "sent", "detail": ""},
}))]
pub struct ReportSchedule {
    /// Its number.
    pub id: i64,
    /// Grows with each change. To change it send the version that was read.
    pub version: i64,
    /// When it was changed last.
    pub changed_at: String,
    /// By whom.
    pub changed_by: String,
    /// What people call it.
    pub name: String,
    /// Whether anything is sent.
    pub enabled: bool,
    /// How often.
    pub every: EveryBody,
    /// At which hour of UTC.
    pub hour_utc: u8,
    /// About which site; `null` is all of the mesh.
    #[schema(required)]
    pub site: Option<String>,
    /// Number of its channel.
    pub channel: i64,
    /// What people call that; `null` if it was deleted. Then nothing is sent until the schedule has another one.
    #[schema(required)]
    pub channel_name: Option<String>,
    /// When the next one is due; `null` while it is not enabled.
    #[schema(required)]
    pub next_at: Option<String>,
    /// The last one that was due or sent by hand; `null` if none was yet.
    #[schema(required)]
    pub last: Option<LastReport>,
}

/// All schedules.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"schedules": [{
    "id": 1, "version": 1, "changed_at": "2026-11-20T00:00:00Z", "changed_by": "ada", "name": "Weekly", "enabled": true, "every": "week",
    "hour_utc": 6, "site": null, "channel": 2, "channel_name": "Mail", "next_at": "2026-11-30T06:05:00Z", "last": null,
}]}))]
pub struct ReportSchedules {
    /// By number.
    pub schedules: Vec<ReportSchedule>,
}
