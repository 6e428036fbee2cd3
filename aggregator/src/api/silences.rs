//! When people do not want to be told: silences and maintenance windows.

use super::alert_rules::{kept, text};
use super::{ApiError, JsonBody, Problem, author, number};
use crate::alerts::names;
use crate::alerts::wire::{ScopeBody, SilenceBody};
use crate::app::Shared;
use crate::auth::Caller;
use crate::clock::{rfc3339, time_of};
use crate::guard::{Action, Actor, Resource, authorize};
use crate::store::alerts::{DefinedRow, Definition, Kind};
use aggregator_core::alert::silence::SILENCES_MAX;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use everypath_protocol::time::UnixTime;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

/// A silence with its number.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 1, "version": 1, "changed_at": "2026-11-23T00:00:00Z", "changed_by": "ada", "state": "active",
    "silence": {"scope": {"source": {"sites": [], "tags": [], "agents": ["3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"]},
        "target": {"sites": [], "tags": [], "agents": []}, "both_ways": true}, "from": "2026-11-23T20:00:00Z",
        "until": "2026-11-23T22:00:00Z", "reason": "New disks", "maintenance": true},
}))]
pub struct Silence {
    /// Its number.
    pub id: i64,
    /// Grows with each change. To change it send the version that was read.
    pub version: i64,
    /// When it was changed last.
    pub changed_at: String,
    /// By whom; empty for what was there from the beginning.
    pub changed_by: String,
    /// `planned`, `active` or `over`.
    pub state: String,
    /// What it says.
    pub silence: SilenceBody,
}

/// Silences, also the newest 200 of those that are over.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"silences": [{"id": 1, "version": 1, "changed_at": "2026-11-23T00:00:00Z", "changed_by": "ada", "state": "active",
    "silence": {"scope": {"source": {"sites": ["berlin"], "tags": [], "agents": []}, "target": {"sites": ["porto"], "tags": [], "agents": []}, "both_ways": true},
        "from": "2026-11-23T20:00:00Z", "until": "2026-11-23T22:00:00Z", "reason": "New disks", "maintenance": true}}]}))]
pub struct Silences {
    /// By number.
    pub silences: Vec<Silence>,
}

/// A changed silence.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"version": 1,
    "silence": {"scope": {"source": {"sites": ["berlin"], "tags": [], "agents": []}, "target": {"sites": ["porto"], "tags": [], "agents": []}, "both_ways": true},
        "from": "2026-11-23T20:00:00Z", "until": "2026-11-23T22:00:00Z", "reason": "New disks", "maintenance": true}}))]
pub struct ReplaceSilence {
    /// The version that was read.
    pub version: i64,
    /// What it is to say.
    pub silence: SilenceBody,
}

/// Silences, also those that were over in the last weeks.
///
/// # Errors
/// 401 without a session or an API token, 403 for a token without the scope `read`.
#[utoipa::path(
    get, path = "/api/v1/silences", operation_id = "silences_list", tag = "alerts",
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "All silences.", body = Silences),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`: an API token without the scope `read`.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(State(app): State<Shared>, actor: Actor) -> Result<Json<Silences>, ApiError> {
    authorize(&actor, Action::ReadMatrix, Resource::Mesh)?;
    let rows = app.store.alert_definitions(Kind::Silence, None).await?;
    Ok(Json(Silences { silences: rows.into_iter().filter_map(|row| shown(row, app.now())).collect() }))
}

/// Keep something from being told. Incidents are kept all the same. Needs the role `operator`.
///
/// # Errors
/// 400 with everything that is wrong, 401 and 403 for whoever may not, 409 if 256 are not over yet.
#[utoipa::path(
    post, path = "/api/v1/silences", operation_id = "silence_create", tag = "alerts", request_body = SilenceBody,
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 201, description = "The silence.", body = Silence),
        (status = 400, description = "`invalid_silence` or `unreadable_json`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`too_many_silences`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    State(app): State<Shared>,
    caller: Caller,
    body: Result<JsonBody<SilenceBody>, ApiError>,
) -> Result<(StatusCode, Json<Silence>), ApiError> {
    authorize(&caller.actor, Action::AnswerAlerts, Resource::Mesh)?;
    let JsonBody(silence) = body?;
    Ok((StatusCode::CREATED, Json(put(&app, &caller, None, silence).await?)))
}

/// Change a silence; to end it, let it end now. Needs the role `operator`.
///
/// # Errors
/// 400 with everything that is wrong, 401 and 403 for whoever may not, 404 if there is none, 409 if somebody else changed it, or if one that was
/// over is to hold again and 256 are not over yet.
#[utoipa::path(
    put, path = "/api/v1/silences/{id}", operation_id = "silence_replace", tag = "alerts", request_body = ReplaceSilence,
    params(("id" = i64, Path, description = "Its number.")),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "The silence.", body = Silence),
        (status = 400, description = "`invalid_silence` or `unreadable_json`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_silence`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`changed_meanwhile` or `too_many_silences`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn replace(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    body: Result<JsonBody<ReplaceSilence>, ApiError>,
) -> Result<Json<Silence>, ApiError> {
    authorize(&caller.actor, Action::AnswerAlerts, Resource::Mesh)?;
    let JsonBody(ReplaceSilence { version, silence }) = body?;
    let id = number(&id).ok_or_else(unknown)?;
    Ok(Json(put(&app, &caller, Some((id, version)), silence).await?))
}

/// Delete a silence. Needs the role `operator`.
///
/// # Errors
/// 401 and 403 for whoever may not, 404 if there is none.
#[utoipa::path(
    delete, path = "/api/v1/silences/{id}", operation_id = "silence_delete", tag = "alerts",
    params(("id" = i64, Path, description = "Its number.")),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 204, description = "It is gone."),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_silence`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn delete(State(app): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    authorize(&caller.actor, Action::AnswerAlerts, Resource::Mesh)?;
    let id = number(&id).ok_or_else(unknown)?;
    let event = caller.event(&app, "silence.delete", &id.to_string());
    if !app.store.delete_alert_definition(Kind::Silence, id, event).await? {
        return Err(unknown());
    }
    tracing::info!(by = author(&caller.actor), silence = id, "a silence was deleted");
    Ok(StatusCode::NO_CONTENT)
}

fn unknown() -> ApiError {
    ApiError::unknown("unknown_silence", "There is no silence of this number.")
}

async fn put(
    app: &Shared,
    caller: &Caller,
    replaces: Option<(i64, i64)>,
    body: SilenceBody,
) -> Result<Silence, ApiError> {
    let names = names(app).await?;
    let by = author(&caller.actor);
    let silence = body.silence(0, &by, &names).map_err(|faults| ApiError::faulty("invalid_silence", &faults))?;
    let now = app.now();
    if replaces.is_none() && silence.until <= now {
        return Err(ApiError::fault("invalid_silence", "until", "must be later than now"));
    }
    // Names of agents may change hands; keys do not.
    let body = SilenceBody { scope: ScopeBody::of(&silence.scope), ..body };
    let definition = Definition { replaces, definition: text(&body), until: silence.until, by: by.clone(), now };
    let most = u32::try_from(SILENCES_MAX).unwrap_or(u32::MAX);
    let action = if replaces.is_some() { "silence.change" } else { "silence.create" };
    let detail = json!({
        "from": body.from, "until": body.until, "reason": body.reason, "maintenance": body.maintenance,
    });
    let event = caller.event(app, action, "").detail(&detail);
    let put = app.store.put_alert_definition(Kind::Silence, definition, most, event).await?;
    let id = kept(put, unknown, "too_many_silences")?;
    tracing::info!(by, silence = id, until = body.until, "a silence was kept");
    let version = replaces.map_or(1, |(_, version)| version + 1);
    let state = state(&body, now).to_owned();
    Ok(Silence { id, version, changed_at: rfc3339(now), changed_by: by, state, silence: body })
}

/// Whether it is to come, holds, or is over.
fn state(body: &SilenceBody, now: UnixTime) -> &'static str {
    match (time_of(&body.from), time_of(&body.until)) {
        (Some(from), _) if now < from => "planned",
        (_, Some(until)) if now >= until => "over",
        (_, _) => "active",
    }
}

fn shown(row: DefinedRow, now: UnixTime) -> Option<Silence> {
    let silence: SilenceBody = serde_json::from_str(&row.definition).ok()?;
    let (id, version, changed_by) = (row.id, row.version, row.changed_by);
    let state = state(&silence, now).to_owned();
    Some(Silence { id, version, changed_at: rfc3339(row.changed_at), changed_by, state, silence })
}
