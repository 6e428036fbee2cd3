//! How this aggregator fares.

use super::retention::RetentionSetting;
use super::{ApiError, Problem};
use crate::app::{App, Shared};
use crate::clock::rfc3339;
use crate::guard::{Action, Actor, Resource, authorize};
use crate::replica;
use crate::retention;
use crate::store::{AgentRow, Description, LiveReplica};
use axum::Json;
use axum::extract::State;
use everypath_protocol::time::{MonoTime, Span, UnixTime};
use serde::Serialize;
use utoipa::ToSchema;

/// A member that was heard of within this is fresh. While no aggregator answered, agents close windows of a minute.
const FRESH: Span = Span::seconds(60);

/// The database.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "reachable": true, "problem": null, "rung": "timescale_community", "version": "15.18, TimescaleDB 2.27.0", "schema": 7,
    "bytes": 104_857_600, "shared": true,
}))]
pub struct SystemDatabase {
    /// It answers, and took what was written last.
    pub reachable: bool,
    /// A sentence, if it does not.
    #[schema(required)]
    pub problem: Option<String>,
    /// `sqlite`, `postgres`, `timescale_apache` or `timescale_community`.
    pub rung: String,
    /// Version of the server, and of the extension.
    pub version: String,
    /// Number of the newest migration.
    pub schema: i64,
    /// How large it is, a minute ago at most.
    pub bytes: u64,
    /// Whether several replicas may be on it.
    pub shared: bool,
}

/// A process on the database.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "00f3a1b2c3d4e5f6", "host": "aggregator-0", "version": "0.1.0", "started_at": "2026-11-23T00:00:00Z",
    "last_seen_at": "2026-11-23T01:18:29Z", "is_self": true, "is_leader": true,
}))]
pub struct SystemReplica {
    /// Drawn at its start, 16 hexadecimal digits.
    pub id: String,
    /// Name of its host; in Kubernetes that of the pod.
    pub host: String,
    /// Version of its program.
    pub version: String,
    /// When it began.
    pub started_at: String,
    /// When it last said that it lives, every few seconds.
    pub last_seen_at: String,
    /// It gives this answer.
    pub is_self: bool,
    /// It does the jobs: sums, deleting, judging.
    pub is_leader: bool,
}

/// What comes in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "last_batch_at": "2026-11-23T01:18:30Z", "batches_stored": 1204, "rows_stored": 88_012, "unsummed_s": 12,
}))]
pub struct SystemIngest {
    /// When the newest batch came, on any replica; `null` before the first.
    #[schema(required)]
    pub last_batch_at: Option<String>,
    /// Batches that this process stored.
    pub batches_stored: u64,
    /// Rows that this process stored.
    pub rows_stored: u64,
    /// Age of the oldest sample that is not in the sums yet, as of a minute ago at most. From 300 on something holds them up.
    pub unsummed_s: u64,
}

/// Members, by when they were last heard of. Endpoints are not counted.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({"total": 10, "fresh": 9, "stale": 1, "never_seen": 0, "fresh_within_s": 60}))]
pub struct SystemAgents {
    /// All.
    pub total: u64,
    /// Heard of within `fresh_within_s`.
    pub fresh: u64,
    /// Heard of before that.
    pub stale: u64,
    /// Joined, and has sent nothing yet.
    pub never_seen: u64,
    /// What counts as fresh.
    pub fresh_within_s: u64,
}

/// Whether the clock of this host is believed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"doubted": false, "why": null}))]
pub struct SystemClock {
    /// Nothing old is deleted, because the clock may be wrong. Only the replica that does the jobs looks.
    pub doubted: bool,
    /// A sentence, if it is.
    #[schema(required)]
    pub why: Option<String>,
}

/// Whether there is a newer release.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"checked_at": "2026-11-23T01:00:00Z", "newest": "0.2.0", "available": true, "problem": null}))]
pub struct SystemUpdate {
    /// When this process last looked; `null` before the first look has ended.
    #[schema(required)]
    pub checked_at: Option<String>,
    /// The newer version, if there is one.
    #[schema(required)]
    pub newest: Option<String>,
    /// Whether there is one.
    pub available: bool,
    /// A sentence, if that could not be found out.
    #[schema(required)]
    pub problem: Option<String>,
}

/// How this aggregator fares.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "version": "0.1.0", "started_at": "2026-11-23T00:00:00Z", "uptime_s": 4711, "draining": false,
    "database": {
        "reachable": true, "problem": null, "rung": "timescale_community", "version": "15.18, TimescaleDB 2.27.0", "schema": 7,
        "bytes": 104_857_600, "shared": true,
    },
    "replicas": [{
        "id": "00f3a1b2c3d4e5f6", "host": "aggregator-0", "version": "0.1.0", "started_at": "2026-11-23T00:00:00Z",
        "last_seen_at": "2026-11-23T01:18:29Z", "is_self": true, "is_leader": true,
    }],
    "unled_s": 0,
    "ingest": {
        "last_batch_at": "2026-11-23T01:18:30Z", "batches_stored": 1204, "rows_stored": 88_012, "unsummed_s": 12,
    },
    "agents": {"total": 10, "fresh": 9, "stale": 1, "never_seen": 0, "fresh_within_s": 60},
    "clock": {"doubted": false, "why": null},
    "retention": {
        "version": 1, "samples_s": 604_800, "minutes_s": 7_776_000, "hours_s": 63_072_000, "days_s": 315_360_000,
        "events_s": 31_536_000,
    },
    "update": null,
}))]
pub struct SystemStatus {
    /// Of this program.
    pub version: String,
    /// When this process began.
    pub started_at: String,
    /// How long ago that is, by a clock that nobody sets.
    pub uptime_s: u64,
    /// It was asked to end.
    pub draining: bool,
    /// The database.
    pub database: SystemDatabase,
    /// All processes on it that live, the oldest first.
    pub replicas: Vec<SystemReplica>,
    /// How long this process has not seen anybody do the jobs. From 60 on nobody does.
    pub unled_s: u64,
    /// What comes in.
    pub ingest: SystemIngest,
    /// Members.
    pub agents: SystemAgents,
    /// The clock.
    pub clock: SystemClock,
    /// How long things are kept.
    pub retention: RetentionSetting,
    /// `null` unless the operator has turned checking on.
    #[schema(required)]
    pub update: Option<SystemUpdate>,
}

/// How this aggregator fares: database, replicas, what comes in, and whether anything stands still.
///
/// # Errors
/// 401 without a session or an API token, 403 for a token without the scope `read`, 503 while the database is away.
#[utoipa::path(
    get, path = "/api/v1/system", operation_id = "system_show", tag = "system",
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "How it fares now.", body = SystemStatus),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`: an API token without the scope `read`.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn show(State(app): State<Shared>, actor: Actor) -> Result<Json<SystemStatus>, ApiError> {
    authorize(&actor, Action::ReadMatrix, Resource::Mesh)?;
    let (now, up) = (app.now(), app.clock.mono().since(MonoTime(0)));
    let description = app.system.describe(&app).await?;
    let replicas = app.store.replicas(replica::ROLE, replica::LIVE).await?;
    let (periods, version) = retention::current(&app.store, &app.config).await?;
    let doubt = app.retention.doubt();
    Ok(Json(SystemStatus {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: rfc3339(now.minus(up)),
        uptime_s: up.as_seconds(),
        draining: app.is_draining(),
        database: database(&app, &description).await,
        replicas: replicas.into_iter().map(|replica| live(&app, replica)).collect(),
        unled_s: app.replica.unled(app.clock.mono()).as_seconds(),
        ingest: SystemIngest {
            last_batch_at: app.store.newest_receipt().await?.map(rfc3339),
            batches_stored: app.metrics.batches.with_label_values(&["stored"]).get(),
            rows_stored: app.metrics.rows.get(),
            unsummed_s: u64::try_from(app.metrics.unsummed_seconds.get()).unwrap_or(0),
        },
        agents: agents(&app.store.agents().await?, now),
        clock: SystemClock { doubted: doubt.is_some(), why: doubt },
        retention: RetentionSetting::new(periods, version),
        update: app.config.update_check_every.map(|_| update(&app)),
    }))
}

async fn database(app: &App, description: &Description) -> SystemDatabase {
    let problem = app.store.ping().await.err().map(|why| why.to_string());
    // SQLite names the whole file first; its tables are parts of it.
    let parts =
        if app.store.is_shared() { &description.tables[..] } else { description.tables.get(..1).unwrap_or(&[]) };
    SystemDatabase {
        reachable: problem.is_none(),
        problem,
        rung: description.rung.to_owned(),
        version: description.version.clone(),
        schema: description.schema,
        bytes: parts.iter().map(|(_, _, bytes)| bytes).sum(),
        shared: app.store.is_shared(),
    }
}

fn live(app: &App, replica: LiveReplica) -> SystemReplica {
    let LiveReplica { row, seen_at, is_leader } = replica;
    SystemReplica {
        id: format!("{:016x}", row.id.0),
        host: row.host,
        version: row.version,
        started_at: rfc3339(row.started_at),
        last_seen_at: rfc3339(seen_at),
        is_self: row.id == app.replica.id,
        is_leader,
    }
}

fn agents(rows: &[AgentRow], now: UnixTime) -> SystemAgents {
    let (mut fresh, mut stale, mut never_seen) = (0, 0, 0);
    for row in rows {
        match row.last_seen {
            None => never_seen += 1,
            Some(at) if now.since(at) <= FRESH => fresh += 1,
            Some(_) => stale += 1,
        }
    }
    SystemAgents { total: fresh + stale + never_seen, fresh, stale, never_seen, fresh_within_s: FRESH.as_seconds() }
}

fn update(app: &App) -> SystemUpdate {
    let looked = app.system.looked();
    let checked_at = looked.as_ref().map(|looked| rfc3339(looked.at));
    let (newest, problem) = match looked.map(|looked| looked.newer) {
        Some(Ok(newest)) => (newest, None),
        Some(Err(why)) => (None, Some(why)),
        None => (None, None),
    };
    SystemUpdate { checked_at, available: newest.is_some(), newest, problem }
}
