//! Which paths are bad enough to be told of.

use super::{ApiError, JsonBody, Problem, author, number};
use crate::alerts::names;
use crate::alerts::wire::{RuleBody, ScopeBody};
use crate::app::Shared;
use crate::auth::Caller;
use crate::clock::rfc3339;
use crate::guard::{Action, Actor, Resource, authorize};
use crate::store::alerts::{DefinedRow, Definition, Kind, Put};
use aggregator_core::alert::rule::RULES_MAX;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use everypath_protocol::fault::Fault;
use everypath_protocol::time::UnixTime;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

/// A rule with its number.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 1, "version": 1, "changed_at": "2026-11-23T00:00:00Z", "changed_by": "",
    "rule": {"name": "Unreachable", "enabled": true, "condition": {"kind": "unreachable"},
        "scope": {"source": {"sites": [], "tags": [], "agents": []}, "target": {"sites": [], "tags": [], "agents": []}, "both_ways": false},
        "for_s": 0, "clear_for_s": 0, "severity": "critical", "channels": null},
}))]
pub struct AlertRule {
    /// Its number.
    pub id: i64,
    /// Grows with each change. To change it send the version that was read.
    pub version: i64,
    /// When it was changed last.
    pub changed_at: String,
    /// By whom; empty for what was there from the beginning.
    pub changed_by: String,
    /// What it says.
    pub rule: RuleBody,
}

/// All rules.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"rules": [{"id": 1, "version": 1, "changed_at": "2026-11-23T00:00:00Z", "changed_by": "ada",
    "rule": {"name": "Unreachable", "enabled": true, "condition": {"kind": "unreachable"},
        "scope": {"source": {"sites": ["berlin"], "tags": [], "agents": []}, "target": {"sites": ["porto"], "tags": [], "agents": []}, "both_ways": true},
        "for_s": 0, "clear_for_s": 0, "severity": "critical", "channels": null}}]}))]
pub struct AlertRules {
    /// By number.
    pub rules: Vec<AlertRule>,
}

/// A changed rule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"version": 1,
    "rule": {"name": "Unreachable", "enabled": true, "condition": {"kind": "unreachable"},
        "scope": {"source": {"sites": ["berlin"], "tags": [], "agents": []}, "target": {"sites": ["porto"], "tags": [], "agents": []}, "both_ways": true},
        "for_s": 0, "clear_for_s": 0, "severity": "critical", "channels": null}}))]
pub struct ReplaceRule {
    /// The version that was read.
    pub version: i64,
    /// What it is to say.
    pub rule: RuleBody,
}

/// All rules.
///
/// # Errors
/// 401 without a session or an API token, 403 for a token without the scope `read`.
#[utoipa::path(
    get, path = "/api/v1/alert-rules", operation_id = "alert_rules_list", tag = "alerts",
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "All rules.", body = AlertRules),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`: an API token without the scope `read`.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(State(app): State<Shared>, actor: Actor) -> Result<Json<AlertRules>, ApiError> {
    authorize(&actor, Action::ReadMatrix, Resource::Mesh)?;
    let rows = app.store.alert_definitions(Kind::Rule, None).await?;
    Ok(Json(AlertRules { rules: rows.into_iter().filter_map(shown).collect() }))
}

/// Make a rule. It holds within seconds, on every replica. Needs the role `operator`.
///
/// # Errors
/// 400 with everything that is wrong, 401 and 403 for whoever may not, 409 if there are 64 already.
#[utoipa::path(
    post, path = "/api/v1/alert-rules", operation_id = "alert_rule_create", tag = "alerts", request_body = RuleBody,
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 201, description = "The rule.", body = AlertRule),
        (status = 400, description = "`invalid_rule` or `unreadable_json`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`too_many_rules`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    State(app): State<Shared>,
    caller: Caller,
    body: Result<JsonBody<RuleBody>, ApiError>,
) -> Result<(StatusCode, Json<AlertRule>), ApiError> {
    authorize(&caller.actor, Action::AnswerAlerts, Resource::Mesh)?;
    let JsonBody(rule) = body?;
    Ok((StatusCode::CREATED, Json(put(&app, &caller, None, rule).await?)))
}

/// Change a rule. Needs the role `operator`.
///
/// # Errors
/// 400 with everything that is wrong, 401 and 403 for whoever may not, 404 if there is none, 409 if somebody else changed it.
#[utoipa::path(
    put, path = "/api/v1/alert-rules/{id}", operation_id = "alert_rule_replace", tag = "alerts", request_body = ReplaceRule,
    params(("id" = i64, Path, description = "Its number.")),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "The rule.", body = AlertRule),
        (status = 400, description = "`invalid_rule` or `unreadable_json`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_rule`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`changed_meanwhile`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn replace(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    body: Result<JsonBody<ReplaceRule>, ApiError>,
) -> Result<Json<AlertRule>, ApiError> {
    authorize(&caller.actor, Action::AnswerAlerts, Resource::Mesh)?;
    let JsonBody(ReplaceRule { version, rule }) = body?;
    let id = number(&id).ok_or_else(unknown)?;
    Ok(Json(put(&app, &caller, Some((id, version)), rule).await?))
}

/// Delete a rule. Incidents that only it was about end. Needs the role `operator`.
///
/// # Errors
/// 401 and 403 for whoever may not, 404 if there is none.
#[utoipa::path(
    delete, path = "/api/v1/alert-rules/{id}", operation_id = "alert_rule_delete", tag = "alerts",
    params(("id" = i64, Path, description = "Its number.")),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 204, description = "It is gone."),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_rule`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn delete(State(app): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    authorize(&caller.actor, Action::AnswerAlerts, Resource::Mesh)?;
    let id = number(&id).ok_or_else(unknown)?;
    let event = caller.event(&app, "alert_rule.delete", &id.to_string());
    if !app.store.delete_alert_definition(Kind::Rule, id, event).await? {
        return Err(unknown());
    }
    tracing::info!(by = author(&caller.actor), rule = id, "a rule was deleted");
    Ok(StatusCode::NO_CONTENT)
}

fn unknown() -> ApiError {
    ApiError::unknown("unknown_rule", "There is no rule of this number.")
}

async fn put(
    app: &Shared,
    caller: &Caller,
    replaces: Option<(i64, i64)>,
    body: RuleBody,
) -> Result<AlertRule, ApiError> {
    let names = names(app).await?;
    let mut faults = Vec::new();
    let rule = match body.rule(0, &names) {
        Ok(rule) => Some(rule),
        Err(wrong) => {
            faults.extend(wrong);
            None
        }
    };
    let known: Vec<i64> = app.store.alert_channels().await?.into_iter().map(|row| row.id).collect();
    let missing = body.channels.iter().flatten().enumerate().filter(|(_, channel)| !known.contains(channel));
    faults
        .extend(missing.map(|(place, channel)| {
            Fault::new(format!("channels[{place}]"), format!("there is no channel {channel}"))
        }));
    let Some(rule) = rule.filter(|_| faults.is_empty()) else {
        return Err(ApiError::faulty("invalid_rule", &faults));
    };
    // Names of agents may change hands; keys do not.
    let body = RuleBody { scope: ScopeBody::of(&rule.scope), ..body };
    let now = app.now();
    let definition =
        Definition { replaces, definition: text(&body), until: UnixTime(0), by: author(&caller.actor), now };
    let most = u32::try_from(RULES_MAX).unwrap_or(u32::MAX);
    let action = if replaces.is_some() { "alert_rule.change" } else { "alert_rule.create" };
    // Not its scope, which may name so many that nothing of it would be kept.
    let detail = json!({
        "name": body.name, "enabled": body.enabled, "condition": body.condition, "for_s": body.for_s,
        "clear_for_s": body.clear_for_s, "severity": body.severity, "channels": body.channels,
    });
    let event = caller.event(app, action, "").detail(&detail);
    let put = app.store.put_alert_definition(Kind::Rule, definition, most, event).await?;
    let id = kept(put, unknown, "too_many_rules")?;
    tracing::info!(by = author(&caller.actor), rule = id, name = body.name, "a rule was kept");
    let version = replaces.map_or(1, |(_, version)| version + 1);
    Ok(AlertRule { id, version, changed_at: rfc3339(now), changed_by: author(&caller.actor), rule: body })
}

/// What is kept of a body.
pub(super) fn text(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("it is made of strings and numbers")
}

/// The number, or why there is none.
pub(super) fn kept(put: Put, unknown: fn() -> ApiError, full: &'static str) -> Result<i64, ApiError> {
    match put {
        Put::Kept(id) => Ok(id),
        Put::Missing => Err(unknown()),
        Put::Changed => {
            let detail =
                "Somebody changed it meanwhile. Read it again, and send your change with the version that you read.";
            Err(ApiError::conflict("changed_meanwhile", detail))
        }
        Put::Full => Err(ApiError::conflict(full, "There are as many as there may be. Delete one first.")),
        Put::InUse(schedules) => Err(super::channels::in_use(&schedules)),
        Put::NameTaken => Err(ApiError::conflict("name_taken", "Another one has this name. Choose another.")),
    }
}

fn shown(row: DefinedRow) -> Option<AlertRule> {
    let rule = serde_json::from_str(&row.definition).ok()?;
    let (id, version, changed_by) = (row.id, row.version, row.changed_by);
    Some(AlertRule { id, version, changed_at: rfc3339(row.changed_at), changed_by, rule })
}
