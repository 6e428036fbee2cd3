//! What is wrong, and what was.

use super::{ApiError, JsonBody, Problem};
use crate::alerts::keep;
use crate::app::Shared;
use crate::auth::Caller;
use crate::clock::{rfc3339, time_of};
use crate::guard::{Action, Actor, Resource, authorize};
use crate::store::alerts::{IncidentQuery, IncidentRow};
use aggregator_core::alert::Severity;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use everypath_protocol::fault::Fault;
use everypath_protocol::id::hex;
use everypath_protocol::time::{Span, UnixTime};
use everypath_verdict::incident::Class;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Incidents on a page unless `limit` says otherwise.
const LIMIT_USUAL: u32 = 50;
/// Most incidents on a page.
const LIMIT_MAX: u32 = 500;
/// Longest note.
const NOTE_BYTES_MAX: usize = 1_024;

/// Which incidents.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct IncidentParameters {
    /// `open` or `over`; both without it.
    #[param(example = "open")]
    pub state: Option<String>,
    /// `info`, `warning` or `critical`.
    pub severity: Option<String>,
    /// Such as `host_down`.
    pub class: Option<String>,
    /// Opened at this time or later, RFC 3339.
    pub from: Option<String>,
    /// Opened earlier, RFC 3339.
    pub to: Option<String>,
    /// How many at most, 1 to 500; 50 without it.
    #[param(example = 50)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// Somebody takes care of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"by": "ada", "at": "2026-11-23T00:05:00Z", "note": "looking"}))]
pub struct Acknowledgement {
    /// Who.
    pub by: String,
    /// Since when.
    pub at: String,
    /// What they said; may be empty.
    pub note: String,
}

/// A line of a history.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"at": "2026-11-23T00:00:20Z", "text": "Host beta-2 is down."}))]
pub struct HistoryLine {
    /// When.
    pub at: String,
    /// What.
    pub text: String,
}

/// An incident: one cause, as long as it lasts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "3907185289bc18bcabc00197a4f66a93", "state": "over", "severity": "critical", "class": "host_down",
    "title": "Host beta-2 is down", "evidence": "8 of 8 measured paths are down. 8 agents say so: alpha-1, alpha-2 and 6 more.",
    "notes": [], "subject": "agent", "agents": ["3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"], "sites": [],
    "since": "2026-11-23T00:00:12Z", "opened_at": "2026-11-23T00:00:20Z", "first_opened_at": "2026-11-23T00:00:20Z",
    "duration_s": 528.0, "last_seen_at": "2026-11-23T00:09:00Z",
    "ended_at": "2026-11-23T00:09:00Z", "ending": "recovered", "merged_into": null, "flaps": 0, "is_flapping": false,
    "is_ambiguous": false, "is_silenced": false, "rules": [1, 3], "silences": [], "aliases": [],
    "acknowledgement": {"by": "ada", "at": "2026-11-23T00:05:00Z", "note": "looking"},
    "history": [{"at": "2026-11-23T00:00:20Z", "text": "Host beta-2 is down."}, {"at": "2026-11-23T00:10:00Z", "text": "It is over."}],
}))]
pub struct Incident {
    /// Its name, 32 hexadecimal digits.
    pub id: String,
    /// `open` or `over`.
    pub state: String,
    /// The highest of its rules.
    pub severity: String,
    /// What is wrong, such as `host_down`.
    pub class: String,
    /// What is wrong with what.
    pub title: String,
    /// What was measured, and who says so.
    pub evidence: String,
    /// Why it may be something else, and what became of it.
    pub notes: Vec<String>,
    /// `mesh`, `site`, `site_pair`, `agent`, `pair` or `rest`.
    pub subject: String,
    /// Public keys of the agents that it is about.
    pub agents: Vec<String>,
    /// Names of the sites that it is about.
    pub sites: Vec<String>,
    /// When it began.
    pub since: String,
    /// When it was opened, or opened again.
    pub opened_at: String,
    /// When it was opened first; the same as `opened_at` unless it came back.
    pub first_opened_at: String,
    /// How long it lasted since it began, all the times that it was there, or has lasted by now.
    pub duration_s: f64,
    /// When it was last found; of an open one to a minute.
    pub last_seen_at: String,
    /// When it was last found, once it is over.
    #[schema(required)]
    pub ended_at: Option<String>,
    /// `recovered`, `gone`, `merged` or `forgotten`, once it is over.
    #[schema(required)]
    pub ending: Option<String>,
    /// The incident that it became part of.
    #[schema(required)]
    pub merged_into: Option<String>,
    /// How often it came back.
    pub flaps: u32,
    /// It came back so often that it is not told each time.
    pub is_flapping: bool,
    /// It may be something else; `notes` says why.
    pub is_ambiguous: bool,
    /// A silence keeps it from being told.
    pub is_silenced: bool,
    /// Numbers of the rules whose cells were in it.
    pub rules: Vec<i64>,
    /// Numbers of the silences that cover it.
    pub silences: Vec<i64>,
    /// Other names.
    pub aliases: Vec<String>,
    /// Who takes care of it.
    #[schema(required)]
    pub acknowledgement: Option<Acknowledgement>,
    /// What became of it.
    pub history: Vec<HistoryLine>,
}

/// A page of incidents.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"incidents": [{
    "id": "3907185289bc18bcabc00197a4f66a93", "state": "over", "severity": "critical", "class": "host_down",
    "title": "Host beta-2 is down", "evidence": "8 of 8 measured paths are down. 8 agents say so: alpha-1, alpha-2 and 6 more.",
    "notes": [], "subject": "agent", "agents": ["3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"], "sites": [],
    "since": "2026-11-23T00:00:12Z", "opened_at": "2026-11-23T00:00:20Z", "first_opened_at": "2026-11-23T00:00:20Z",
    "duration_s": 528.0, "last_seen_at": "2026-11-23T00:09:00Z",
    "ended_at": "2026-11-23T00:09:00Z", "ending": "recovered", "merged_into": null, "flaps": 0, "is_flapping": false,
    "is_ambiguous": false, "is_silenced": false, "rules": [1, 3], "silences": [], "aliases": [],
    "acknowledgement": {"by": "ada", "at": "2026-11-23T00:05:00Z", "note": "looking"},
    "history": [{"at": "2026-11-23T00:00:20Z", "text": "Host beta-2 is down."}, {"at": "2026-11-23T00:10:00Z", "text": "It is over."}],
}], "next": null}))]
pub struct Incidents {
    /// Newest first.
    pub incidents: Vec<Incident>,
    /// `cursor` of the next page; `null` on the last.
    #[schema(required)]
    pub next: Option<String>,
}

/// What one says when one takes care of an incident.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"note": "looking"}))]
pub struct AcknowledgeRequest {
    /// May be empty.
    #[serde(default)]
    pub note: String,
}

/// Incidents, newest first.
///
/// # Errors
/// 400 for parameters that cannot be, with all that is wrong; 401 without a session or an API token.
#[utoipa::path(
    get, path = "/api/v1/incidents", operation_id = "incidents_list", tag = "alerts", params(IncidentParameters),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "A page.", body = Incidents),
        (status = 400, description = "`invalid_query`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`: an API token without the scope `read`.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(
    State(app): State<Shared>,
    actor: Actor,
    parameters: Result<Query<IncidentParameters>, QueryRejection>,
) -> Result<Json<Incidents>, ApiError> {
    authorize(&actor, Action::ReadMatrix, Resource::Mesh)?;
    let Query(parameters) = parameters.map_err(|error| ApiError::invalid("invalid_query", error.body_text()))?;
    let query = query(&parameters)?;
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    // One more says whether there is a next page.
    let mut rows = app.store.incidents(IncidentQuery { limit: query.limit + 1, ..query }).await?;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| has_more).map(|last| format!("{}.{}", last.opened_at.0, hex(&last.id)));
    let now = app.now();
    Ok(Json(Incidents { incidents: rows.into_iter().filter_map(|row| shown(row, now)).collect(), next }))
}

/// One incident.
///
/// # Errors
/// 401 without a session or an API token, 404 if there is none of this name.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}", operation_id = "incident_show", tag = "alerts",
    params(("id" = String, Path, description = "32 hexadecimal digits.")),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "The incident.", body = Incident),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`: an API token without the scope `read`.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_incident`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn show(State(app): State<Shared>, actor: Actor, Path(id): Path<String>) -> Result<Json<Incident>, ApiError> {
    authorize(&actor, Action::ReadMatrix, Resource::Mesh)?;
    let Some(id) = keep::parse_id(&id) else { return Err(unknown()) };
    let row = app.store.incident(id).await?.ok_or_else(unknown)?;
    Ok(Json(shown(row, app.now()).ok_or_else(unknown)?))
}

/// Take care of an open incident: it is not told again while it lasts. Needs the role `operator`.
///
/// # Errors
/// 400 for a note that is too long, 401 and 403 for whoever may not, 404 if it is not open.
#[utoipa::path(
    put, path = "/api/v1/incidents/{id}/acknowledgement", operation_id = "incident_acknowledge", tag = "alerts",
    params(("id" = String, Path, description = "32 hexadecimal digits.")), request_body = AcknowledgeRequest,
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "The incident.", body = Incident),
        (status = 400, description = "`invalid_note` or `unreadable_json`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_incident`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn acknowledge(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    body: Result<JsonBody<AcknowledgeRequest>, ApiError>,
) -> Result<Json<Incident>, ApiError> {
    authorize(&caller.actor, Action::AnswerAlerts, Resource::Mesh)?;
    let JsonBody(AcknowledgeRequest { note }) = body?;
    if note.len() > NOTE_BYTES_MAX {
        return Err(ApiError::fault("invalid_note", "note", format!("must be at most {NOTE_BYTES_MAX} bytes")));
    }
    let Some(id) = keep::parse_id(&id) else { return Err(unknown()) };
    let ack = Some((super::author(&caller.actor), app.now(), note));
    // The note is with the incident.
    let event = caller.event(&app, "incident.acknowledge", &hex(&id));
    if !app.store.acknowledge(id, ack, event).await? {
        return Err(unknown());
    }
    tracing::info!(by = super::author(&caller.actor), incident = hex(&id), "an incident was acknowledged");
    let row = app.store.incident(id).await?.ok_or_else(unknown)?;
    Ok(Json(shown(row, app.now()).ok_or_else(unknown)?))
}

/// Take care of an incident no longer. Needs the role `operator`.
///
/// # Errors
/// 401 and 403 for whoever may not, 404 if it is not open.
#[utoipa::path(
    delete, path = "/api/v1/incidents/{id}/acknowledgement", operation_id = "incident_take_back", tag = "alerts",
    params(("id" = String, Path, description = "32 hexadecimal digits.")),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 204, description = "Nobody takes care of it."),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_incident`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn take_back(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    authorize(&caller.actor, Action::AnswerAlerts, Resource::Mesh)?;
    let Some(id) = keep::parse_id(&id) else { return Err(unknown()) };
    let event = caller.event(&app, "incident.take_back", &hex(&id));
    if app.store.acknowledge(id, None, event).await? { Ok(StatusCode::NO_CONTENT) } else { Err(unknown()) }
}

fn unknown() -> ApiError {
    ApiError::unknown("unknown_incident", "There is no such incident, or it is over.")
}

fn query(parameters: &IncidentParameters) -> Result<IncidentQuery, ApiError> {
    let mut faults: Vec<Fault> = Vec::new();
    let is_open = match parameters.state.as_deref() {
        None => None,
        Some("open") => Some(true),
        Some("over") => Some(false),
        Some(_) => {
            faults.push(Fault::new("state", "must be `open` or `over`"));
            None
        }
    };
    if parameters.severity.as_deref().is_some_and(|name| Severity::from_name(name).is_none()) {
        faults.push(Fault::new("severity", "must be `info`, `warning` or `critical`"));
    }
    if parameters.class.as_deref().is_some_and(|name| Class::ALL.into_iter().all(|class| class.name() != name)) {
        let names: Vec<&str> = Class::ALL.into_iter().map(Class::name).collect();
        faults.push(Fault::new("class", format!("must be one of {}", names.join(", "))));
    }
    let mut time = |name: &str, text: &Option<String>| {
        let time = text.as_deref().map(time_of);
        if time == Some(None) {
            faults.push(Fault::new(name, "must be a time such as 2026-11-23T20:00:00Z; write a `+` as %2B"));
        }
        time.flatten()
    };
    let (from, to) = (time("from", &parameters.from), time("to", &parameters.to));
    let limit = parameters.limit.unwrap_or(LIMIT_USUAL);
    if !(1..=LIMIT_MAX).contains(&limit) {
        faults.push(Fault::new("limit", format!("must be from 1 to {LIMIT_MAX}")));
    }
    let behind = parameters.cursor.as_deref().map(|cursor| {
        let (at, id) = cursor.split_once('.')?;
        Some((UnixTime(at.parse().ok()?), keep::parse_id(id)?))
    });
    if behind == Some(None) {
        faults.push(Fault::new("cursor", "must be the `next` of the page before"));
    }
    if !faults.is_empty() {
        return Err(ApiError::faulty("invalid_query", &faults));
    }
    let (severity, class) = (parameters.severity.clone(), parameters.class.clone());
    let behind = behind.flatten();
    Ok(IncidentQuery { is_open, severity, class, from, to, or_was_open: false, ended_after: None, behind, limit })
}

/// What cannot be read is left out: it was written by a newer version.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of a century fit a float")]
fn shown(row: IncidentRow, now: UnixTime) -> Option<Incident> {
    let kept = keep::kept(&row)?;
    let this = row.ended_at.unwrap_or(now).since(UnixTime(kept.since_us));
    let lasted = Span::micros(kept.earlier_us.saturating_add(this.as_micros()));
    // Who took care of it before it came back does not any more.
    let ack = row.ack.filter(|(_, at, _)| *at >= row.opened_at);
    Some(Incident {
        id: hex(&row.id),
        state: if row.ended_at.is_none() { "open" } else { "over" }.to_owned(),
        severity: row.severity,
        class: row.class,
        title: kept.title,
        evidence: kept.evidence,
        notes: kept.notes,
        subject: kept.subject,
        agents: kept.agents,
        sites: kept.sites,
        since: rfc3339(UnixTime(kept.since_us)),
        opened_at: rfc3339(row.opened_at),
        first_opened_at: rfc3339(kept.first_opened_us.map_or(row.opened_at, UnixTime)),
        duration_s: lasted.as_millis() as f64 / 1_000.0,
        last_seen_at: rfc3339(UnixTime(kept.last_seen_us)),
        ended_at: row.ended_at.map(rfc3339),
        ending: kept.ending,
        merged_into: kept.merged_into,
        flaps: kept.flaps,
        is_flapping: kept.is_flapping,
        is_ambiguous: kept.is_ambiguous,
        is_silenced: row.is_silenced,
        rules: kept.rules,
        silences: kept.silences,
        aliases: kept.aliases,
        acknowledgement: ack.map(|(by, at, note)| Acknowledgement { by, at: rfc3339(at), note }),
        history: kept.history.into_iter().map(|(at, text)| HistoryLine { at: rfc3339(UnixTime(at)), text }).collect(),
    })
}
