//! Results of agents: checked here, stored exactly once by the store.

use super::{ApiError, Problem};
use crate::app::{App, Shared};
use crate::guard::{Action, Actor, Resource, authorize};
use crate::store::{Batch, IngestError, Ingested, StoreError, UNKNOWN_TARGETS_MAX};
use aggregator_core::admit::Refusal;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use everypath_protocol::batch::{BODY_BYTES_MAX, CONTENT_TYPE, Codec, Envelope, OpenedBatch, REQUEST_BYTES_MAX};
use everypath_protocol::block::Block;
use everypath_protocol::codec::{self, DecodeError};
use everypath_protocol::id::{AgentId, Seq};
use everypath_protocol::sign::{Ed25519, Refused};
use everypath_protocol::time::UnixTime;
use serde::Serialize;
use std::borrow::Cow;
use std::io::Read as _;
use utoipa::ToSchema;

/// Blocks are at most 2 MiB, so an honest compressor needs no more than this to look back; a dishonest one gets no more.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// What an agent is told.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(example = json!({"acked": 4096, "next_sync_ms": 1000, "received_at": 1_795_392_000_000_000_i64, "agents": 3}))]
pub struct IngestReply {
    /// Everything up to this number of the batch's stream is in the database.
    pub acked: u64,
    /// How long to wait before the next batch.
    pub next_sync_ms: u32,
    /// The aggregator's clock, microseconds since 1970.
    pub received_at: i64,
    /// Agents that this aggregator knows: each spreads its retries after an outage by it.
    pub agents: u32,
    /// A signed configuration of the mesh, in base64url, if there is one that is newer than what the agent runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
}

/// Results of one agent: an `Envelope` (docs/reference) in postcard, signed by the agent. May be repeated; nothing is stored twice.
/// One without any results is a check-in: it is answered and stores nothing.
///
/// # Errors
/// 400 for what cannot be read, 401 for what is not signed by a member, 409 for a gap, 413 for too much, 429 for a backlog
/// that has to wait, 503 when busy.
#[utoipa::path(
    post, path = "/api/v1/ingest", operation_id = "ingest", tag = "agents",
    request_body(content = Vec<u8>, content_type = "application/vnd.everypath.batch"),
    responses(
        (status = 200, description = "Everything up to `acked` is on disk.", body = IngestReply),
        (status = 400, description = "`malformed`, `damaged`, `unknown_version`, `empty_batch`, `uneven_batch`, `other_epoch` or `batch_too_long`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`bad_signature`, `not_a_member` or `other_mesh`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`sequence_gap`, with `expected`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`unstorable` or `unknown_targets`: smaller parts of it tell which records", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`backlog_waits`: what came with a low priority (RFC 9218) has to wait for what is fresh; Retry-After says how long.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`busy`; Retry-After says how long to wait.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn ingest(
    State(app): State<Shared>,
    _actor: Actor,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<IngestReply>, ApiError> {
    let result = take(&app, &headers, body).await;
    let what = match &result {
        Ok(taken) if taken.is_check_in => "check_in",
        Ok(taken) if taken.ingested.duplicate => "duplicate",
        Ok(_) => "stored",
        Err(error) => error.code(),
    };
    app.metrics.batches.with_label_values(&[what]).inc();
    let Taken { ingested, received_at, config, .. } = result?;
    app.metrics.rows.inc_by(ingested.rows);
    let next_sync_ms = u32::try_from(app.config.sync_interval.as_millis()).unwrap_or(u32::MAX);
    let agents = u32::try_from(app.metrics.agents.get()).unwrap_or(0);
    Ok(Json(IngestReply { acked: ingested.acked.0, next_sync_ms, received_at: received_at.0, agents, config }))
}

struct Taken {
    ingested: Ingested,
    received_at: UnixTime,
    /// What the agent should run.
    config: Option<String>,
    is_check_in: bool,
}

async fn take(app: &App, headers: &HeaderMap, body: Bytes) -> Result<Taken, ApiError> {
    if app.is_draining() {
        return Err(ApiError::shutting_down());
    }
    let envelope = envelope(headers, &body)?;
    let opened = envelope.open(app.mesh.trust(), &Ed25519).map_err(refused)?;
    let agent = opened.header.agent;
    authorize(&Actor::Agent(agent), Action::Report, Resource::Agent(&agent))?;
    let running = opened.header.config;
    if opened.header.is_check_in() && opened.body.is_empty() {
        let ingested = Ingested { acked: Seq(0), news: Vec::new(), rows: 0, duplicate: false, is_new_agent: false };
        let config = app.configs.told(agent, running);
        return Ok(Taken { ingested, received_at: app.now(), config, is_check_in: true });
    }
    // Milliseconds of work for a full batch: not on the threads that serve everybody.
    let unpacked = tokio::task::spawn_blocking(move || unpack(opened)).await;
    let (opened, blocks) = unpacked.map_err(|_| ApiError::internal("unpacking a batch panicked"))??;
    let received_at = app.now();
    let batch = Batch {
        header: opened.header,
        certificate: opened.certificate,
        certificate_signed: opened.certificate_signed,
        blocks,
        received_at,
        is_backlog: is_backlog(headers),
    };
    let mut ingested = app.store.ingest(batch).await.map_err(not_stored)?;
    // It is stored; whatever fails now must not make the agent send it again.
    if let Err(error) = refresh(app, agent, &ingested).await {
        tracing::warn!(%error, "the list of members could not be read; somebody new is shown a little later");
    }
    app.hub.apply(agent, std::mem::take(&mut ingested.news)).await?;
    let config = app.configs.told(agent, running);
    Ok(Taken { ingested, received_at, config, is_check_in: false })
}

/// What an agent measured during an outage, as it says itself by the header Priority (RFC 9218): less urgent than usual (3).
fn is_backlog(headers: &HeaderMap) -> bool {
    let value = headers.get("priority").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let urgency = value.split(',').find_map(|part| part.trim().strip_prefix("u=")?.parse::<u8>().ok());
    urgency.is_some_and(|urgency| urgency > 3)
}

/// The matrix leaves out whom it does not know.
async fn refresh(app: &App, agent: AgentId, ingested: &Ingested) -> Result<(), StoreError> {
    if ingested.is_new_agent {
        app.refresh_agents().await?;
    }
    if app.store.is_shared() {
        app.replica.refresh_if_new(app, agent, &ingested.news).await?;
    }
    Ok(())
}

/// In postcard, as agents send it, or the same fields in JSON, for whoever has no postcard at hand. What is signed are the bytes
/// inside, so both are checked alike.
fn envelope(headers: &HeaderMap, body: &[u8]) -> Result<Envelope, ApiError> {
    match headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) {
        Some(CONTENT_TYPE) => codec::decode(body, REQUEST_BYTES_MAX).map_err(unreadable),
        Some("application/json") => serde_json::from_slice(body)
            .map_err(|error| ApiError::invalid("malformed", format!("The request is not a batch in JSON: {error}."))),
        Some(_) | None => {
            let detail = format!("Send a batch, with the header Content-Type: {CONTENT_TYPE} or application/json.");
            Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail))
        }
    }
}

fn unpack(opened: OpenedBatch) -> Result<(OpenedBatch, Vec<Block>), ApiError> {
    let blocks = match opened.codec {
        Codec::Plain => Block::decode_all(&opened.body),
        Codec::Zstd => Block::decode_all(&inflate(&opened.body)?),
    };
    Ok((opened, blocks.map_err(unreadable)?))
}

/// A few bytes can claim to be gigabytes; reading stops one byte behind the limit.
fn inflate(body: &[u8]) -> Result<Vec<u8>, ApiError> {
    let damaged = |_| ApiError::invalid("malformed", "The batch cannot be decompressed.");
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(damaged)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(damaged)?;
    let mut blocks = Vec::new();
    decoder.take(BODY_BYTES_MAX as u64 + 1).read_to_end(&mut blocks).map_err(damaged)?;
    if blocks.len() > BODY_BYTES_MAX {
        let detail =
            format!("The batch is more than {BODY_BYTES_MAX} bytes when decompressed; send fewer blocks at once.");
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail));
    }
    Ok(blocks)
}

pub(super) fn unreadable(error: DecodeError) -> ApiError {
    let code = match error {
        DecodeError::UnknownVersion(_) => "unknown_version",
        DecodeError::Damaged => "damaged",
        DecodeError::TooLong { .. }
        | DecodeError::NotThisFormat
        | DecodeError::WrongKind(_)
        | DecodeError::Malformed => "malformed",
    };
    ApiError::invalid(code, format!("The request cannot be read: {error}."))
}

pub(super) fn refused(refused: Refused) -> ApiError {
    let (code, detail): (_, Cow<'static, str>) = match refused {
        Refused::Unreadable(error) => return unreadable(error),
        Refused::OtherMesh => ("other_mesh", "The sender belongs to another mesh than this aggregator.".into()),
        Refused::BadSignature => ("bad_signature", "The signature does not fit what was sent.".into()),
        Refused::NotAllowed => (
            "not_a_member",
            "The sender's certificate is not of this mesh; join it with a token of this aggregator.".into(),
        ),
    };
    ApiError::new(StatusCode::UNAUTHORIZED, code, detail)
}

fn not_stored(error: IngestError) -> ApiError {
    match error {
        IngestError::Refused(Refusal::Gap { expected }) => {
            let detail = format!("Numbers are missing; the next one must be {expected}.");
            ApiError::new(StatusCode::CONFLICT, "sequence_gap", detail).expected(expected)
        }
        IngestError::Refused(refusal) => ApiError::invalid(refusal.code(), format!("The batch is refused: {refusal}.")),
        // Not 400: the batch is well-formed. The agent sends smaller parts of it until it has found the record.
        IngestError::Unstorable(why) => {
            tracing::warn!(why, "a record cannot be stored; its agent will single it out");
            let detail =
                "The database cannot store one of these records. Send them in smaller parts to find out which.";
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "unstorable", detail)
        }
        IngestError::UnknownTargets => {
            let detail = format!(
                "The sender names more than {UNKNOWN_TARGETS_MAX} targets that are no members of this mesh. Records about members \
                 are stored; put the others aside."
            );
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_targets", detail)
        }
        IngestError::Store(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_that_it_is_less_urgent_than_usual_is_a_backlog() {
        for (value, is) in
            [("u=6", true), ("i, u=4", true), ("u=3", false), ("u=1, i", false), ("i", false), ("u=x", false)]
        {
            let headers =
                [("priority".parse().expect("a name"), value.parse().expect("a value"))].into_iter().collect();
            assert_eq!(is_backlog(&headers), is, "{value}");
        }
        assert!(!is_backlog(&HeaderMap::new()));
    }
}
