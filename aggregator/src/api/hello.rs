//! A member says where it is, and learns where others are.

use super::ingest::{refused, unreadable};
use super::{ApiError, Problem};
use crate::app::Shared;
use crate::guard::{Action, Actor, Resource, authorize};
use crate::random;
use crate::store::AgentRow;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use everypath_protocol::codec;
use everypath_protocol::id::mix64;
use everypath_protocol::join::{BYTES_MAX, Hello, HelloAnswer};
use everypath_protocol::member::{self, MemberRecord, Version};
use everypath_protocol::sign::{Document as _, Ed25519, Signed};

/// Members in one answer.
const MEMBERS_MAX: usize = 32;
/// Of these, the ones heard of last; the rest is drawn, so that everyone is found by somebody.
const NEWEST_MAX: usize = 16;

/// Say hello: a `Hello` in postcard, a signed member record. The answer is a `HelloAnswer` with others.
///
/// # Errors
/// 400 for what cannot be read, 401 for what is not signed by a member.
#[utoipa::path(
    post, path = "/api/v1/hello", operation_id = "hello", tag = "agents",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "A `HelloAnswer`.", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 400, description = "`malformed` or `unknown_version`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`bad_signature`, `not_a_member` or `other_mesh`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`busy`; Retry-After says how long to wait.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn hello(State(app): State<Shared>, _actor: Actor, body: Bytes) -> Result<impl IntoResponse, ApiError> {
    let hello: Hello = codec::decode(&body, BYTES_MAX).map_err(unreadable)?;
    let record = MemberRecord::open(hello.member, app.mesh.trust(), &Ed25519).map_err(refused)?;
    let id = member::owner(&record);
    authorize(&Actor::Agent(id), Action::Report, Resource::Agent(&id))?;
    let others = app.store.agents().await?;
    let known = others.iter().find(|agent| agent.id == id);
    let is_newer = version_of(known.and_then(|agent| agent.member.as_ref())) <= Some(record.document().version);
    if is_newer {
        let certificate = member::certificate(&record);
        let row = AgentRow {
            id,
            name: certificate.name,
            site: certificate.site,
            certificate: record.document().certificate.clone(),
            member: Some(record.signed().clone()),
            program: Some(record.document().program.clone()),
            first_seen: app.now(),
            last_seen: Some(app.now()),
        };
        let is_new = known.is_none();
        app.store.note_member(row, app.now()).await?;
        if is_new {
            app.refresh_agents().await?;
        }
    }
    let members = choose(others.into_iter().filter(|agent| agent.id != id).collect());
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], codec::encode(&HelloAnswer { members })))
}

fn version_of(member: Option<&Signed>) -> Option<Version> {
    let record: MemberRecord = codec::decode(&member?.body, MemberRecord::BYTES_MAX).ok()?;
    Some(record.version)
}

fn choose(mut agents: Vec<AgentRow>) -> Vec<Signed> {
    agents.retain(|agent| agent.member.is_some());
    agents.sort_by_key(|agent| std::cmp::Reverse(agent.last_seen));
    let rest = agents.split_off(agents.len().min(NEWEST_MAX));
    let seed = u64::from_le_bytes(random::bytes());
    let mut drawn: Vec<_> = (0..).zip(rest).map(|(place, agent)| (mix64(seed ^ place), agent)).collect();
    drawn.sort_by_key(|(draw, _)| *draw);
    agents.extend(drawn.into_iter().map(|(_, agent)| agent).take(MEMBERS_MAX - NEWEST_MAX));
    agents.into_iter().filter_map(|agent| agent.member).collect()
}
