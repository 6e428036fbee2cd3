//! Who is in the mesh.

use super::{ApiError, Problem};
use crate::app::Shared;
use crate::clock::rfc3339;
use crate::guard::{Action, Actor, Resource, authorize};
use crate::mesh_config::Current;
use crate::store::AgentRow;
use axum::Json;
use axum::extract::State;
use everypath_protocol::codec;
use everypath_protocol::id::AgentId;
use everypath_protocol::member::MemberRecord;
use everypath_protocol::mesh_config::{Endpoint, MeshConfig};
use everypath_protocol::sign::Document as _;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The site of endpoints, which have none.
pub const ENDPOINT_SITE: &str = "endpoints";

/// What stands in a row or a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(example = "agent")]
pub enum AgentKind {
    /// A member of the mesh.
    Agent,
    /// A host without an agent, which is measured and measures nothing.
    Endpoint,
}

/// A member of the mesh, or an endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "index": 0, "id": "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29", "name": "alpha-1", "site": "alpha",
    "kind": "agent", "tags": ["web"],
    "addresses": ["10.83.1.11"], "version": "0.1.0", "last_seen_at": "2026-11-23T00:00:00Z", "joined_at": "2026-11-22T08:00:00Z",
}))]
pub struct Agent {
    /// Its row and column in the matrix of the same generation.
    pub index: u32,
    /// Its public key, 64 hexadecimal digits.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Where it is, as the configuration says, else as it said when it joined; `endpoints` for endpoints.
    pub site: String,
    /// Whether it measures.
    pub kind: AgentKind,
    /// Words to select it by, as the configuration says.
    pub tags: Vec<String>,
    /// Where it is probed; empty until it has said hello. Of an endpoint its address or DNS name.
    pub addresses: Vec<String>,
    /// Version of its program; empty until it has said hello.
    pub version: String,
    /// When it was last heard of.
    #[schema(required)]
    pub last_seen_at: Option<String>,
    /// When it became known.
    pub joined_at: String,
}

/// All members, and behind them all endpoints.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"generation": 7, "agents": [{
    "index": 0, "id": "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29", "name": "alpha-1", "site": "alpha",
    "kind": "agent", "tags": ["web"],
    "addresses": ["10.83.1.11"], "version": "0.1.0", "last_seen_at": "2026-11-23T00:00:00Z", "joined_at": "2026-11-22T08:00:00Z",
}]}))]
pub struct Agents {
    /// Changes when the list does; the matrix has the same number.
    pub generation: u64,
    /// In order of their index.
    pub agents: Vec<Agent>,
}

/// All agents, in the order of the matrix.
///
/// # Errors
/// 401 without a session or an API token, 403 for a token without the scope `read`.
#[utoipa::path(
    get, path = "/api/v1/agents", operation_id = "agents_list", tag = "mesh",
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "All agents.", body = Agents),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`: an API token without the scope `read`.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(State(app): State<Shared>, actor: Actor) -> Result<Json<Agents>, ApiError> {
    authorize(&actor, Action::ReadMatrix, Resource::Mesh)?;
    // The list first, what is known of them second: whoever is in the list is in the store.
    let (generation, roster) = app.hub.roster().await?;
    let mut rows: BTreeMap<_, _> = app.store.agents().await?.into_iter().map(|row| (row.id, row)).collect();
    let current = app.configs.current();
    let endpoints: BTreeMap<_, _> = current.endpoints(app.mesh.id()).collect();
    let known = (0..).zip(roster).filter_map(|(index, id)| match endpoints.get(&id) {
        Some(shown) => Some(endpoint(index, id, shown, &current)),
        None => rows.remove(&id).map(|row| agent(index, row, &current.document)),
    });
    Ok(Json(Agents { generation, agents: known.collect() }))
}

fn endpoint(index: u32, id: AgentId, shown: &Endpoint, current: &Current) -> Agent {
    Agent {
        index,
        id: id.to_string(),
        name: shown.name.clone(),
        site: ENDPOINT_SITE.to_owned(),
        kind: AgentKind::Endpoint,
        tags: Vec::new(),
        addresses: vec![shown.address.clone()],
        version: String::new(),
        last_seen_at: None,
        joined_at: rfc3339(current.document.made),
    }
}

fn agent(index: u32, row: AgentRow, config: &MeshConfig) -> Agent {
    let subject = config.subject(row.id, &row.name, &row.site);
    let (site, tags) = (subject.site.to_owned(), subject.tags.to_vec());
    let member: Option<MemberRecord> =
        row.member.and_then(|signed| codec::decode(&signed.body, MemberRecord::BYTES_MAX).ok());
    let addresses = member.map_or_else(Vec::new, |member| member.probe_addresses);
    Agent {
        index,
        id: row.id.to_string(),
        name: row.name,
        site,
        kind: AgentKind::Agent,
        tags,
        addresses: addresses.iter().map(ToString::to_string).collect(),
        version: row.program.unwrap_or_default(),
        last_seen_at: row.last_seen.map(rfc3339),
        joined_at: rfc3339(row.first_seen),
    }
}
