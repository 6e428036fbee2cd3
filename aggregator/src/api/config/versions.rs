//! Versions of the configuration: which there were, going back to one, and which agents run which.

use super::{ConfigParameters, ConfigShown, ConfigVersion, change, check_why, precondition, tagged};
use crate::api::{ApiError, JsonBody, Problem};
use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::clock::rfc3339;
use crate::guard::{Action, Actor, Resource, authorize};
use crate::mesh_config::change::Reason;
use crate::mesh_config::text::ConfigText;
use crate::store::ConfigTold;
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use everypath_protocol::mesh_config::{MeshConfig, VERSION_MAX};
use everypath_protocol::sign::Ed25519;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Versions in one answer, if nobody says otherwise.
const LIMIT_USUAL: u32 = 50;
/// And at most.
const LIMIT_MAX: u32 = 200;

/// Which versions.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct VersionsParameters {
    /// Only versions below this one: the last one of the answer before.
    pub before: Option<u64>,
    /// At most so many, 1 to 200; 50 if it is left out.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

/// Versions, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(example = json!({"versions": [{
    "version": 7, "made_at": "2026-11-23T00:00:00Z", "made_by": "ada", "made_by_kind": "user", "why": "watch the gateway",
    "copy_of": null,
}]}))]
pub struct ConfigVersions {
    /// Without their contents. The newest 1,000 are kept.
    pub versions: Vec<ConfigVersion>,
}

/// All versions, newest first, by pages.
///
/// # Errors
/// 400 for a limit that is none, 401 without a session or an API token, 403 for a token without the scope `read`.
#[utoipa::path(
    get, path = "/api/v1/config/versions", operation_id = "config_versions", tag = "config", params(VersionsParameters),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "Versions.", body = ConfigVersions),
        (status = 400, description = "`invalid_parameter`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`: an API token without the scope `read`.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(
    State(app): State<Shared>,
    actor: Actor,
    parameters: Result<Query<VersionsParameters>, QueryRejection>,
) -> Result<Json<ConfigVersions>, ApiError> {
    authorize(&actor, Action::ReadMatrix, Resource::Mesh)?;
    let Query(VersionsParameters { before, limit }) =
        parameters.map_err(|error| ApiError::invalid("invalid_parameter", format!("{}.", error.body_text())))?;
    let limit = limit.unwrap_or(LIMIT_USUAL);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(ApiError::fault("invalid_parameter", "limit", format!("must be from 1 to {LIMIT_MAX}")));
    }
    let versions = app.store.configs_before(before.unwrap_or(VERSION_MAX), limit).await?;
    Ok(Json(ConfigVersions { versions: versions.iter().map(|info| ConfigVersion::new(Some(info))).collect() }))
}

/// One version with its contents.
///
/// # Errors
/// 401 without a session or an API token, 403 for a token without the scope `read`, 404 for a version that is not kept.
#[utoipa::path(
    get, path = "/api/v1/config/versions/{version}", operation_id = "config_version", tag = "config",
    security(("session" = []), ("api_token" = [])),
    params(("version" = u64, Path, description = "Its number.", example = 7)),
    responses(
        (status = 200, description = "The version.", body = ConfigShown, headers(("ETag" = String, description = "The version, in quotes."))),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`: an API token without the scope `read`.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`no_such_version`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn show(
    State(app): State<Shared>,
    actor: Actor,
    path: Result<Path<u64>, PathRejection>,
) -> Result<Response, ApiError> {
    authorize(&actor, Action::ReadMatrix, Resource::Mesh)?;
    let (version, document) = find(&app, path).await?;
    Ok(tagged(version.version, ConfigShown { version, config: ConfigText::new(&document) }))
}

async fn find(app: &App, path: Result<Path<u64>, PathRejection>) -> Result<(ConfigVersion, MeshConfig), ApiError> {
    let unknown = |shown: String| {
        let detail = format!("There is no version {shown}; GET /api/v1/config/versions lists those that are kept.");
        ApiError::unknown("no_such_version", detail)
    };
    let Path(number) = path.map_err(|_| unknown("of this name".to_owned()))?;
    let row = app.store.config(Some(number)).await?.filter(|_| number <= VERSION_MAX);
    let row = row.ok_or_else(|| unknown(number.to_string()))?;
    // Its key may have left the delegation since; what it signed is here as it was.
    let document = everypath_protocol::sign::open::<MeshConfig>(row.signed, &app.mesh.id(), &Ed25519);
    let document = document.map_err(|_| ApiError::internal("a version of the configuration is damaged"))?;
    Ok((ConfigVersion::new(Some(&row.info)), document.document().clone()))
}

/// Why a version is made again.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({"why": "version 8 was too much for the link"}))]
pub struct RollbackWish {
    /// In words, for whoever looks at the versions later; at most 256 bytes.
    pub why: String,
}

/// Go back: make a new version with the contents of this one. Needs the role `operator`.
///
/// # Errors
/// 400 for what no agent would take any more, 401 and 403 for whoever may not, 404 for a version that is not kept, 409 where the
/// signing key is kept elsewhere, 412 if somebody else changed it meanwhile, 428 without `If-Match`.
#[utoipa::path(
    post, path = "/api/v1/config/versions/{version}/rollback", operation_id = "config_rollback", tag = "config",
    request_body = RollbackWish,
    security(("session" = []), ("api_token" = [])),
    params(
        ("version" = u64, Path, description = "Whose contents are to hold again.", example = 7), ConfigParameters,
        ("If-Match" = Option<String>, Header, description = "The version that is in force, as `ETag` of `GET /api/v1/config` has it."),
    ),
    responses(
        (status = 200, description = "What it changes.", body = super::ConfigChanged, headers(("ETag" = String, description = "The version that is in force now, in quotes."))),
        (status = 400, description = "`invalid_config`, with `faults`; `invalid_parameter` or `unreadable_json`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`no_such_version`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`no_config_key`", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "`changed_meanwhile`", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "`if_match_needed`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn rollback(
    State(app): State<Shared>,
    caller: Caller,
    path: Result<Path<u64>, PathRejection>,
    parameters: Result<Query<ConfigParameters>, QueryRejection>,
    headers: HeaderMap,
    body: Result<JsonBody<RollbackWish>, ApiError>,
) -> Result<Response, ApiError> {
    authorize(&caller.actor, Action::ChangeConfig, Resource::Mesh)?;
    let Query(ConfigParameters { dry_run }) =
        parameters.map_err(|error| ApiError::invalid("invalid_parameter", format!("{}.", error.body_text())))?;
    let JsonBody(RollbackWish { why }) = body?;
    check_why(&why)?;
    let expected = precondition::version(&headers, dry_run)?;
    let (version, document) = find(&app, path).await?;
    // The rules may have become stricter since it was made.
    let faults = document.faults();
    if !faults.is_empty() {
        return Err(ApiError::faulty("invalid_config", &faults));
    }
    let reason = Reason { why, copy_of: Some(version.version) };
    change(&app, &caller, document, expected, reason, dry_run).await
}

/// What one agent runs.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29", "name": "alpha-1", "version": 7,
    "since": "2026-11-23T00:00:04Z", "is_current": true,
}))]
pub struct AgentConfigState {
    /// Its public key.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it said that it runs, signed; 0 is nothing of the mesh; nothing if it never said anything.
    #[schema(required)]
    pub version: Option<u64>,
    /// When it said so first.
    #[schema(required)]
    pub since: Option<String>,
    /// It runs the version in force.
    pub is_current: bool,
}

/// Which agents run which version.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(example = json!({"version": 7, "current": 1, "agents": [{
    "id": "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29", "name": "alpha-1", "version": 7,
    "since": "2026-11-23T00:00:04Z", "is_current": true,
}]}))]
pub struct ConfigAgents {
    /// The version in force.
    pub version: u64,
    /// Agents that run it.
    pub current: usize,
    /// All agents, oldest first.
    pub agents: Vec<AgentConfigState>,
}

/// Which agents run which version of the configuration, as they said themselves.
///
/// # Errors
/// 401 without a session or an API token, 403 for a token without the scope `read`.
#[utoipa::path(
    get, path = "/api/v1/config/agents", operation_id = "config_agents", tag = "config",
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "All agents.", body = ConfigAgents),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`: an API token without the scope `read`.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn agents(State(app): State<Shared>, actor: Actor) -> Result<Json<ConfigAgents>, ApiError> {
    authorize(&actor, Action::ReadMatrix, Resource::Mesh)?;
    // What was said in the last second is not in the database yet.
    app.configs.refresh(&app).await?;
    app.configs.keep_told(&app).await?;
    let version = app.configs.current().version();
    let told: BTreeMap<_, ConfigTold> =
        app.store.configs_told().await?.into_iter().map(|told| (told.agent, told)).collect();
    let state = |agent: crate::store::AgentRow| {
        let told = told.get(&agent.id);
        AgentConfigState {
            id: agent.id.to_string(),
            name: agent.name,
            version: told.map(|told| told.version),
            since: told.map(|told| rfc3339(told.at)),
            is_current: told.is_some_and(|told| told.version == version),
        }
    };
    let agents: Vec<_> = app.store.agents().await?.into_iter().map(state).collect();
    let current = agents.iter().filter(|agent| agent.is_current).count();
    Ok(Json(ConfigAgents { version, current, agents }))
}
