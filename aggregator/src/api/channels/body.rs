//! Channels as JSON.

use crate::alerts::channel::{Settings, TargetBody};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A channel that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "On call", "enabled": true, "repeat_s": 14400,
    "target": {"kind": "discord", "url": "https://discord.com/api/webhooks/123/abc"},
}))]
pub struct ChannelBody {
    /// What people call it; no two have the same.
    pub name: String,
    /// Whether it is used.
    pub enabled: bool,
    /// After so many seconds an incident that nobody acknowledged is told again, 600 to 604,800; 0 is never.
    pub repeat_s: u64,
    /// Where it leads.
    pub target: TargetBody,
}

/// A changed channel.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"version": 1,
    "channel": {"name": "On call", "enabled": true, "repeat_s": 14400, "target": {"kind": "discord", "url": null}}}))]
pub struct ReplaceChannel {
    /// The version that was read.
    pub version: i64,
    /// What it is to be. Secrets that are `null` stay what they were.
    pub channel: ChannelBody,
}

/// A channel without its secrets.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 1, "version": 1, "changed_at": "2026-11-23T00:00:00Z", "changed_by": "ada", "name": "On call", "enabled": true,
    "repeat_s": 14400, "target": {"kind": "discord", "origin": "https://discord.com"}, "resting_until": null, "failures": 0,
    "trouble": null,
}))]
pub struct Channel {
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
    /// Whether it is used.
    pub enabled: bool,
    /// After so many seconds an incident that nobody acknowledged is told again; 0 is never.
    pub repeat_s: u64,
    /// Where it leads.
    pub target: Settings,
    /// It is not used before, because the provider asked for that or did not answer.
    #[schema(required)]
    pub resting_until: Option<String>,
    /// How often it failed in a row.
    pub failures: u32,
    /// What the last failure was; `null` once it worked again.
    #[schema(required)]
    pub trouble: Option<String>,
}

/// All channels.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"channels": [{"id": 1, "version": 1, "changed_at": "2026-11-23T00:00:00Z", "changed_by": "ada", "name": "On call",
    "enabled": true, "repeat_s": 14400, "target": {"kind": "discord", "origin": "https://discord.com"}, "resting_until": null,
    "failures": 0, "trouble": null}]}))]
pub struct Channels {
    /// By number.
    pub channels: Vec<Channel>,
}

/// How a test, or a report that was sent by hand, ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"sent": false, "detail": "HTTP 401: {\"message\": \"Invalid Webhook Token\", \"code\": 50027}", "took_ms": 210}))]
pub struct TestResult {
    /// Whether the provider took it.
    pub sent: bool,
    /// What it said if it did not, or not for all recipients of a mail.
    pub detail: String,
    /// How long it took.
    pub took_ms: u32,
}

/// One attempt to send something.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 7, "at": "2026-11-23T00:00:21Z", "incident": "3907185289bc18bcabc00197a4f66a93", "title": "Host beta-2 is down", "event": "opened", "result": "sent",
    "detail": "", "took_ms": 180,
}))]
pub struct Delivery {
    /// Grows.
    pub id: i64,
    /// When it ended.
    pub at: String,
    /// Of which incident; `null` for a test and for a report.
    #[schema(required)]
    pub incident: Option<String>,
    /// What the incident is called now; left out where there is none, or where it is not kept any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// `opened`, `updated`, `reopened`, `repeated`, `resolved`, `test`, `report`, or `sent_now` for a report that was sent by hand.
    pub event: String,
    /// `sent`; `waits`: it is tried again; `again`: what was to be changed is gone, and it is sent anew; `given_up`.
    pub result: String,
    /// What the provider said, if it did not take it.
    pub detail: String,
    /// How long it took.
    pub took_ms: u32,
}

/// A page of the log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"deliveries": [{"id": 7, "at": "2026-11-23T00:00:21Z",
    "incident": "3907185289bc18bcabc00197a4f66a93", "title": "Host beta-2 is down", "event": "opened", "result": "sent", "detail": "", "took_ms": 180}], "next": null}))]
pub struct Deliveries {
    /// Newest first; the last 1,000 are kept.
    pub deliveries: Vec<Delivery>,
    /// `cursor` of the next page; `null` on the last.
    #[schema(required)]
    pub next: Option<i64>,
}

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DeliveryParameters {
    /// How many at most, 1 to 500; 50 without it.
    #[param(example = 50)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<i64>,
}
