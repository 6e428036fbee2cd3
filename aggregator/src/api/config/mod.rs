//! What the mesh measures: the version in force, and making another one.

mod precondition;
pub mod versions;

use super::{ApiError, JsonBody, Problem};
use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::clock::rfc3339;
use crate::guard::{Action, Actor, Resource, authorize};
use crate::mesh_config::change::{self, NotMade, Proposal, Reason, WHY_BYTES_MAX};
use crate::mesh_config::diff::Change;
use crate::mesh_config::text::ConfigText;
use crate::store::ConfigInfo;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use everypath_protocol::mesh_config::plan::Cost;
use everypath_protocol::mesh_config::{Fault, MeshConfig};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most bytes of a request: a document of 64 KiB is longer in JSON.
pub const REQUEST_BYTES_MAX: usize = 512 * 1024;

/// What is said of a version.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "version": 7, "made_at": "2026-11-23T00:00:00Z", "made_by": "ada", "made_by_kind": "user", "why": "watch the gateway",
    "copy_of": null,
}))]
pub struct ConfigVersion {
    /// Rises with each change; 0 before the first.
    pub version: u64,
    /// When it was made; nothing before the first.
    #[schema(required)]
    pub made_at: Option<String>,
    /// Name of the account or token; empty for others.
    pub made_by: String,
    /// `user`, `token`, `host` for the command line, or empty before the first.
    pub made_by_kind: String,
    /// What whoever made it said of it.
    pub why: String,
    /// The version whose contents it has again.
    #[schema(required)]
    pub copy_of: Option<u64>,
}

impl ConfigVersion {
    /// `None` is what agents do by themselves.
    fn new(info: Option<&ConfigInfo>) -> Self {
        let Some(info) = info.cloned() else {
            let (made_by, made_by_kind, why) = Default::default();
            return Self { version: 0, made_at: None, made_by, made_by_kind, why, copy_of: None };
        };
        Self {
            version: info.version,
            made_at: Some(rfc3339(info.made_at)),
            made_by: info.actor,
            made_by_kind: info.actor_kind,
            why: info.why,
            copy_of: info.copy_of,
        }
    }
}

/// A version with its contents.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "version": 7, "made_at": "2026-11-23T00:00:00Z", "made_by": "ada", "made_by_kind": "user", "why": "watch the gateway",
    "copy_of": null, "config": {
        "probe": {"interval": "5s", "timeout": "1s"}, "window": "10s",
        "cells": {
            "down_after_losses": 3, "up_after_replies": 2, "lossy_after_losses": 3, "slow_margin": "5ms",
            "stale_after_intervals": 4,
        },
        "endpoints": [], "agents": [], "exclude": [],
    },
}))]
pub struct ConfigShown {
    /// What is said of it.
    #[serde(flatten)]
    pub version: ConfigVersion,
    /// Its contents, with everything that was left out.
    pub config: ConfigText,
}

/// What is to hold from now on.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"config": {"probe": {"interval": "2s"}}, "why": "find the short outages"}))]
pub struct ConfigWish {
    /// All of it: what is left out becomes what agents do by themselves.
    pub config: ConfigText,
    /// In words, for whoever looks at the versions later; at most 256 bytes.
    #[serde(default)]
    pub why: String,
}

/// What a configuration causes while nothing is broken.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(example = json!({"agent_pairs": 72, "endpoint_pairs": 5, "packets_per_s": 15.4, "rows_per_s": 7.7}))]
pub struct ConfigCost {
    /// Ordered pairs of agents that are measured; in a mesh of more than 65 the most that they can be.
    pub agent_pairs: u64,
    /// Endpoints, each as often as it is observed.
    pub endpoint_pairs: u64,
    /// Requests that all agents together send a second; as many replies come back.
    pub packets_per_s: f64,
    /// Rows that the aggregator stores a second.
    pub rows_per_s: f64,
}

impl From<Cost> for ConfigCost {
    #[expect(clippy::cast_precision_loss, reason = "thousandths of what a mesh can send fit a float")]
    fn from(cost: Cost) -> Self {
        let whole = |milli: u64| milli as f64 / 1_000.0;
        Self {
            agent_pairs: cost.agent_pairs,
            endpoint_pairs: cost.endpoint_pairs,
            packets_per_s: whole(cost.packets_per_s_milli),
            rows_per_s: whole(cost.rows_per_s_milli),
        }
    }
}

/// Something that was not meant, perhaps.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "path": "exclude[0].between[1]",
    "message": "`agent:alpha-9` fits none of the 9 agents; is it spelled right, or still to come?",
}))]
pub struct ConfigWarning {
    /// Which place of the configuration.
    pub path: String,
    /// What about it, to be read behind the path.
    pub message: String,
}

impl ConfigWarning {
    fn new(fault: &Fault) -> Self {
        Self { path: fault.path.clone(), message: fault.message.clone() }
    }
}

/// What a change does, or would do.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "version": 8, "dry_run": true, "changes": [{"path": "probe.interval", "from": "5s", "to": "2s"}],
    "cost_before": {"agent_pairs": 72, "endpoint_pairs": 0, "packets_per_s": 14.4, "rows_per_s": 7.2},
    "cost_after": {"agent_pairs": 72, "endpoint_pairs": 0, "packets_per_s": 36.0, "rows_per_s": 7.2},
    "warnings": [],
}))]
pub struct ConfigChanged {
    /// The version that holds from now on, or would.
    pub version: u64,
    /// Nothing was changed, as was asked for.
    pub dry_run: bool,
    /// What is different; if nothing is, no version is made.
    pub changes: Vec<Change>,
    /// What the mesh costs as it was.
    pub cost_before: ConfigCost,
    /// What it costs from now on, or would.
    pub cost_after: ConfigCost,
    /// Names that fit no agent there is. They are taken as they are: an agent may be still to come.
    pub warnings: Vec<ConfigWarning>,
}

impl ConfigChanged {
    fn new(proposal: &Proposal, dry_run: bool) -> Self {
        Self {
            version: if proposal.changes.is_empty() { proposal.base } else { proposal.document.version },
            dry_run,
            changes: proposal.changes.clone(),
            cost_before: proposal.cost_before.into(),
            cost_after: proposal.cost_after.into(),
            warnings: proposal.nobody.iter().map(ConfigWarning::new).collect(),
        }
    }
}

/// How a change is meant.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct ConfigParameters {
    /// Say what would change and what it would cost, and change nothing. Needs no `If-Match`.
    pub dry_run: bool,
}

/// The configuration of the mesh that is in force. Its version is in the header `ETag`.
///
/// # Errors
/// 401 without a session or an API token, 403 for a token without the scope `read`.
#[utoipa::path(
    get, path = "/api/v1/config", operation_id = "config_show", tag = "config",
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "What holds now.", body = ConfigShown, headers(("ETag" = String, description = "The version, in quotes."))),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`: an API token without the scope `read`.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn show(State(app): State<Shared>, actor: Actor) -> Result<Response, ApiError> {
    authorize(&actor, Action::ReadMatrix, Resource::Mesh)?;
    app.configs.refresh(&app).await?;
    let current = app.configs.current();
    let version = ConfigVersion::new(current.info.as_ref());
    let (number, config) = (version.version, ConfigText::new(&current.document));
    Ok(tagged(number, ConfigShown { version, config }))
}

/// Replace the configuration of the mesh as a whole. Agents run it within about ten seconds; `GET /api/v1/config/agents` says which
/// do. The header `If-Match` must name the version that was read, so that nobody undoes what somebody else did. Needs the role
/// `operator`.
///
/// # Errors
/// 400 with everything that is wrong, 401 and 403 for whoever may not, 409 where the signing key is kept elsewhere, 412 if somebody
/// else changed it meanwhile, 428 without `If-Match`.
#[utoipa::path(
    put, path = "/api/v1/config", operation_id = "config_set", tag = "config", request_body = ConfigWish,
    security(("session" = []), ("api_token" = [])),
    params(ConfigParameters, ("If-Match" = Option<String>, Header, description = "The version that was read, as `ETag` has it: `\"7\"`; `\"0\"` before the first.")),
    responses(
        (status = 200, description = "What it changes.", body = ConfigChanged, headers(("ETag" = String, description = "The version that is in force now, in quotes."))),
        (status = 400, description = "`invalid_config`, with `faults`; `invalid_parameter` or `unreadable_json`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`no_config_key`", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "`changed_meanwhile`", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "`if_match_needed`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn set(
    State(app): State<Shared>,
    caller: Caller,
    parameters: Result<Query<ConfigParameters>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
    body: Result<JsonBody<ConfigWish>, ApiError>,
) -> Result<Response, ApiError> {
    authorize(&caller.actor, Action::ChangeConfig, Resource::Mesh)?;
    let Query(ConfigParameters { dry_run }) =
        parameters.map_err(|error| ApiError::invalid("invalid_parameter", format!("{}.", error.body_text())))?;
    let JsonBody(ConfigWish { config, why }) = body?;
    let document = config.read().map_err(|faults| ApiError::faulty("invalid_config", &faults))?;
    check_why(&why)?;
    let expected = precondition::version(&headers, dry_run)?;
    let reason = Reason { why, copy_of: None };
    change(&app, &caller, document, expected, reason, dry_run).await
}

fn check_why(why: &str) -> Result<(), ApiError> {
    if why.len() <= WHY_BYTES_MAX {
        return Ok(());
    }
    Err(ApiError::fault("invalid_config", "why", format!("may have {WHY_BYTES_MAX} bytes")))
}

/// Makes a version with these contents, unless it is only asked what it would do, or nothing is different.
async fn change(
    app: &App,
    caller: &Caller,
    document: MeshConfig,
    expected: Option<u64>,
    reason: Reason,
    dry_run: bool,
) -> Result<Response, ApiError> {
    let proposal = change::propose(&app.store, &app.mesh, document).await?;
    if expected.is_some_and(|expected| expected != proposal.base) {
        return Err(changed_meanwhile(proposal.base));
    }
    let answer = ConfigChanged::new(&proposal, dry_run);
    // A copy is made even of what is in force: whoever rolls back wants to see that it was done.
    let is_same = proposal.changes.is_empty() && reason.copy_of.is_none();
    if dry_run || is_same {
        return Ok(tagged(proposal.base, answer));
    }
    let version = proposal.document.version;
    let action = if reason.copy_of.is_some() { "config.rollback" } else { "config.change" };
    let event = caller.event(app, action, &format!("version {version}"));
    let base = proposal.base;
    change::make(&app.store, &app.mesh, proposal, reason, event).await.map_err(|why| match why {
        NotMade::Conflict => changed_meanwhile(base),
        NotMade::NoKey => {
            let detail = "The key that signs configurations is not here: it was taken away, or the mesh was founded elsewhere. \
                          Put keys/config.key back into the data directory and start the aggregator again, or make the change \
                          at the aggregator that has it.";
            ApiError::conflict("no_config_key", detail)
        }
        NotMade::Store(error) => error.into(),
    })?;
    app.configs.refresh(app).await?;
    Ok(tagged(version, ConfigChanged { version, ..answer }))
}

fn changed_meanwhile(base: u64) -> ApiError {
    let detail =
        format!("Version {base} is in force by now. Read it again, and send your change with its number in If-Match.");
    ApiError::new(StatusCode::PRECONDITION_FAILED, "changed_meanwhile", detail)
}

fn tagged(version: u64, body: impl Serialize) -> Response {
    let tag = HeaderValue::try_from(format!("\"{version}\"")).expect("digits in quotes");
    ([(header::ETAG, tag)], Json(body)).into_response()
}
