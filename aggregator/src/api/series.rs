//! One pair over time.

use super::range::{Said, invalid, length};
use super::{ApiError, Problem};
use crate::app::{App, Shared};
use crate::clock::rfc3339;
use crate::guard::{Action, Actor, Resource, authorize};
use crate::store::{AgentRow, SeriesError, SeriesQuery};
use aggregator_core::rollup::Bucket;
use aggregator_core::series::{Question, Source};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::{Span, UnixTime};
use everypath_protocol::window::{NotMeasured, ProbeKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Without `range` and `from`.
const RANGE_USUAL: Span = Span::seconds(3_600);
/// Points that a step is chosen for where none is given.
const POINTS_USUAL: u64 = 720;
/// Steps that are chosen from: each is whole buckets of a rollup, or is read from the samples.
const STEPS_S: [u64; 13] = [10, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 604_800];

/// What is asked of a pair.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SeriesParameters {
    /// First moment, RFC 3339. Without it: `range` before `to`.
    pub from: Option<String>,
    /// First moment that is not asked for, RFC 3339. Without it: now.
    pub to: Option<String>,
    /// How long before `to`, such as `15m`, `24h` or `30d`, instead of `from`. Without both: `1h`.
    #[param(example = "24h")]
    pub range: Option<String>,
    /// Distance of two points in whole seconds, such as `60s` or `1h`. Without it: one that makes some hundred points.
    #[param(example = "60s")]
    pub step: Option<String>,
}

/// What one step says. A step in which nothing was measured has no point: not measured is not loss.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "at": "2026-11-23T00:00:00Z", "measured_s": 60.0, "down_s": 0.0, "unknown_s": 0.0, "sent": 12, "received": 12, "late": 0,
    "lost": 0, "duplicated": 0, "not_measured": {"not_permitted": 0, "send_failed": 0, "overload": 0, "stalled": 0},
    "loss_permille": 0, "rtt_min_us": 380, "rtt_mean_us": 412, "rtt_max_us": 780, "rtt_p50_us": 400, "rtt_p95_us": 736,
    "rtt_p99_us": 736,
}))]
pub struct Point {
    /// Beginning of the step.
    pub at: String,
    /// How long the windows of this step lasted together.
    pub measured_s: f64,
    /// Of that, how long the agent judged the pair down.
    pub down_s: f64,
    /// Of that, how long the agent could not judge the pair.
    pub unknown_s: f64,
    /// Probes that left the host.
    pub sent: u64,
    /// Replies within the timeout.
    pub received: u64,
    /// Replies after the timeout.
    pub late: u64,
    /// Probes that left and brought nothing back.
    pub lost: u64,
    /// Second and further replies.
    pub duplicated: u64,
    /// Probes that say nothing, by reason; not part of `sent`.
    pub not_measured: BTreeMap<&'static str, u64>,
    /// Lost of sent, in thousandths; `null` if nothing was sent.
    #[schema(required)]
    pub loss_permille: Option<u64>,
    /// Smallest round-trip time.
    #[schema(required)]
    pub rtt_min_us: Option<u32>,
    /// Mean round-trip time.
    #[schema(required)]
    pub rtt_mean_us: Option<u64>,
    /// Largest round-trip time.
    #[schema(required)]
    pub rtt_max_us: Option<u32>,
    /// Median: at most 6.25 % below the true one, by the width of the histogram's buckets. The same holds for the others.
    #[schema(required)]
    pub rtt_p50_us: Option<u32>,
    /// 95th percentile.
    #[schema(required)]
    pub rtt_p95_us: Option<u32>,
    /// 99th percentile.
    #[schema(required)]
    pub rtt_p99_us: Option<u32>,
}

/// A pair over time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "source": "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
    "target": "43a72e714401762df66b68c26dfbdf2682aaec9f2474eca4613e424a0fbafd3c",
    "kind": "icmp", "from": "2026-11-23T00:00:00Z", "to": "2026-11-23T01:00:00Z", "step_s": 60, "sources": ["minute"],
    "points": [{
        "at": "2026-11-23T00:00:00Z", "measured_s": 60.0, "down_s": 0.0, "unknown_s": 0.0, "sent": 12, "received": 12, "late": 0,
        "lost": 0, "duplicated": 0, "not_measured": {"not_permitted": 0, "send_failed": 0, "overload": 0, "stalled": 0},
        "loss_permille": 0, "rtt_min_us": 380, "rtt_mean_us": 412, "rtt_max_us": 780, "rtt_p50_us": 400, "rtt_p95_us": 736,
        "rtt_p99_us": 736,
    }],
}))]
pub struct Series {
    /// Public key of the agent that measures.
    pub source: String,
    /// Public key of the agent that is measured.
    pub target: String,
    /// Kind of probe.
    #[schema(value_type = String)]
    pub kind: &'static str,
    /// Beginning, a multiple of the step.
    pub from: String,
    /// End, a multiple of the step.
    pub to: String,
    /// Distance of two points.
    pub step_s: u64,
    /// What was read, in order of time: `samples`, `minute`, `hour` or `day`.
    #[schema(value_type = Vec<String>)]
    pub sources: Vec<&'static str>,
    /// Ascending; steps without a measurement are left out.
    pub points: Vec<Point>,
}

/// One pair over time, from the rollup that fits the step. `source` and `target` are names or public keys of agents;
/// a target may also be an endpoint.
///
/// # Errors
/// 400 for a range or step that cannot be, 401 without a session or token, 404 for an agent that is not there.
#[utoipa::path(
    get, path = "/api/v1/pairs/{source}/{target}/series", operation_id = "pair_series", tag = "mesh",
    params(("source" = String, Path, description = "Who measures."), ("target" = String, Path, description = "Who is measured."), SeriesParameters),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "The series.", body = Series),
        (status = 400, description = "`invalid_range`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`: an API token without the scope `read`.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`no_such_agent`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn series(
    State(app): State<Shared>,
    actor: Actor,
    Path((source, target)): Path<(String, String)>,
    parameters: Result<Query<SeriesParameters>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Series>, ApiError> {
    authorize(&actor, Action::ReadMatrix, Resource::Mesh)?;
    let Query(parameters) = parameters.map_err(|error| invalid(format!("{}.", error.body_text())))?;
    let question = question(&parameters, app.now())?;
    let agents = app.store.agents().await?;
    let (source, target) = (find(&app, &agents, &source)?, find(&app, &agents, &target)?);
    answer(&app, source, target, question).await.map(Json)
}

async fn answer(app: &App, source: AgentId, target: AgentId, question: Question) -> Result<Series, ApiError> {
    let kind = ProbeKind::Icmp;
    let answer =
        app.store.series(SeriesQuery { source, target, kind, question }).await.map_err(|error| match error {
            SeriesError::TooManyRows(why) => {
                app.metrics.series_refused.inc();
                invalid(format!("{why}."))
            }
            SeriesError::Store(error) => error.into(),
        })?;
    Ok(Series {
        source: source.to_string(),
        target: target.to_string(),
        kind: kind.name(),
        from: rfc3339(question.from),
        to: rfc3339(question.to),
        step_s: question.step.as_seconds(),
        sources: answer.sources.into_iter().map(Source::name).collect(),
        points: answer.points.iter().map(|(at, bucket)| point(*at, bucket)).collect(),
    })
}

fn question(parameters: &SeriesParameters, now: UnixTime) -> Result<Question, ApiError> {
    let said =
        Said { from: parameters.from.as_deref(), to: parameters.to.as_deref(), range: parameters.range.as_deref() };
    let (from, to) = said.read(RANGE_USUAL, now)?;
    let step = length("step", parameters.step.as_deref())?.unwrap_or_else(|| usual_step(to.since(from)));
    Question::new(from, to, step).map_err(|why| invalid(format!("{why}.")))
}

/// The shortest usual step that keeps an answer at [`POINTS_USUAL`] points.
fn usual_step(range: Span) -> Span {
    let least = range.as_seconds().div_ceil(POINTS_USUAL);
    let step = STEPS_S.into_iter().find(|step| *step >= least);
    Span::seconds(step.unwrap_or(STEPS_S[STEPS_S.len() - 1]))
}

fn find(app: &App, agents: &[AgentRow], wanted: &str) -> Result<AgentId, ApiError> {
    let by_key = AgentId::parse(wanted);
    let found = agents.iter().find(|agent| agent.name == wanted || Some(agent.id) == by_key);
    let current = app.configs.current();
    let endpoint = || {
        let mut endpoints = current.endpoints(app.mesh.id());
        endpoints.find(|(id, endpoint)| endpoint.name == wanted || Some(*id) == by_key).map(|(id, _)| id)
    };
    found.map(|agent| agent.id).or_else(endpoint).ok_or_else(|| {
        let shown: String = wanted.chars().take(64).collect();
        let detail = format!("There is no agent `{shown}`; GET /api/v1/agents lists them by name and public key.");
        ApiError::new(StatusCode::NOT_FOUND, "no_such_agent", detail)
    })
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a decade fit a float")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1_000.0
}

fn point(at: UnixTime, bucket: &Bucket) -> Point {
    let reasons = NotMeasured::ALL.map(NotMeasured::name);
    let quantile = |permille| bucket.histogram.quantile_us(permille);
    Point {
        at: rfc3339(at),
        measured_s: seconds(bucket.span_ms),
        down_s: seconds(bucket.down_ms),
        unknown_s: seconds(bucket.unknown_ms),
        sent: bucket.sent,
        received: bucket.received,
        late: bucket.late,
        lost: bucket.lost(),
        duplicated: bucket.duplicated,
        not_measured: reasons.into_iter().zip(bucket.not_measured).collect(),
        loss_permille: bucket.lost().saturating_mul(1_000).checked_div(bucket.sent),
        rtt_min_us: bucket.rtt.map(|rtt| rtt.min_us),
        rtt_mean_us: bucket.rtt.and_then(|rtt| rtt.sum_us.checked_div(bucket.received)),
        rtt_max_us: bucket.rtt.map(|rtt| rtt.max_us),
        rtt_p50_us: quantile(500),
        rtt_p95_us: quantile(950),
        rtt_p99_us: quantile(990),
    }
}
