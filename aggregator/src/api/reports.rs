//! What was available over a period.

use super::range::{Said, invalid};
use super::{ApiError, Problem};
use crate::app::Shared;
use crate::clock::rfc3339;
use crate::guard::{Action, Actor, Resource, authorize};
use aggregator_core::report::{self, Availability, PairLine, Period, Report};
use axum::Json;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use everypath_protocol::time::Span;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Without `range` and `from`.
const RANGE_USUAL: Span = Span::seconds(30 * 86_400);
/// Pairs that are listed where nobody says how many.
const PAIRS_USUAL: usize = 100;
/// Most pairs that are listed.
const PAIRS_MAX: usize = 100_000;
/// How the numbers are made, in every report.
const MATHS: &str = "For each ordered pair the period is split into three parts: down, the windows in which the measuring agent judged \
    the pair down; up, all other windows in which it could judge it; unknown, the rest. Availability is up / (up + down), coverage is \
    (up + down) / period. An agent is the sum of all pairs towards it, a site the sum of all pairs across its border, in both \
    directions. Nothing is averaged, and what nobody saw is neither up nor down.";

/// What is asked of a report.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ReportParameters {
    /// First moment, RFC 3339. Without it: `range` before `to`. Widened to whole hours, beyond three days to whole days of UTC.
    pub from: Option<String>,
    /// First moment that is not asked for, RFC 3339. Without it, and if it is still to come: now.
    pub to: Option<String>,
    /// How long before `to`, such as `24h` or `30d`, instead of `from`; 400 days at most. Without both: `30d`.
    #[param(example = "30d")]
    pub range: Option<String>,
    /// How many pairs are listed, the worst first; from 0 to 100,000. Without it: 100.
    #[param(example = 20)]
    pub pairs: Option<usize>,
    /// Only pairs with an end in this site are listed.
    pub site: Option<String>,
    /// Only pairs with this agent, by its name, at one end are listed.
    pub agent: Option<String>,
    /// `json` or `csv`. Without it: `json`.
    #[param(inline)]
    pub format: Option<Format>,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For programs.
    Json,
    /// For spreadsheets (RFC 4180).
    Csv,
}

/// A time in three parts that add up to it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"up_s": 2591100.0, "down_s": 120.0, "unknown_s": 780.0, "availability_percent": 99.9953, "coverage_percent": 99.9699}))]
pub struct Times {
    /// It was judged, and not down.
    pub up_s: f64,
    /// It was judged down.
    pub down_s: f64,
    /// Nobody can say.
    pub unknown_s: f64,
    /// Up of what was judged; `null` if nothing was.
    #[schema(required)]
    pub availability_percent: Option<f64>,
    /// What was judged, of all; `null` of no time at all.
    #[schema(required)]
    pub coverage_percent: Option<f64>,
}

/// One ordered pair.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "source": "alpha-1", "target": "beta-2", "kind": "icmp", "up_s": 2591100.0, "down_s": 120.0, "unknown_s": 780.0, "availability_percent": 99.9953, "coverage_percent": 99.9699,
    "loss_percent": 0.0102, "rtt_mean_us": 18432,
}))]
pub struct PairOfReport {
    /// Who measured.
    pub source: String,
    /// Who was measured.
    pub target: String,
    /// Kind of probe.
    #[schema(value_type = String)]
    pub kind: &'static str,
    /// The period.
    #[serde(flatten)]
    pub times: Times,
    /// Lost of sent; `null` if nothing was sent.
    #[schema(required)]
    pub loss_percent: Option<f64>,
    /// Mean round-trip time; `null` without a reply.
    #[schema(required)]
    pub rtt_mean_us: Option<u64>,
}

/// One agent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "alpha-1", "site": "alpha", "pairs": 8, "up_s": 2591100.0, "down_s": 120.0, "unknown_s": 780.0, "availability_percent": 99.9953, "coverage_percent": 99.9699,
}))]
pub struct AgentOfReport {
    /// Its name.
    pub name: String,
    /// Its site.
    pub site: String,
    /// How many pairs towards it were measured.
    pub pairs: u32,
    /// All of them together.
    #[serde(flatten)]
    pub times: Times,
}

/// One site.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "alpha", "agents": 3, "pairs": 36, "up_s": 2591100.0, "down_s": 120.0, "unknown_s": 780.0, "availability_percent": 99.9953, "coverage_percent": 99.9699,
}))]
pub struct SiteOfReport {
    /// Its name.
    pub name: String,
    /// How many agents are in it.
    pub agents: u32,
    /// How many pairs across its border were measured, in both directions.
    pub pairs: u32,
    /// All of them together.
    #[serde(flatten)]
    pub times: Times,
}

/// What was available.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "from": "2026-10-24T00:00:00Z", "to": "2026-11-23T00:00:00Z", "made_of": "day", "maths": "For each ordered pair …",
    "mesh": {"up_s": 5182200.0, "down_s": 240.0, "unknown_s": 1560.0, "availability_percent": 99.9953, "coverage_percent": 99.9699},
    "sites": [], "agents": [], "pairs_measured": 2,
    "pairs": [{
        "source": "alpha-1", "target": "beta-2", "kind": "icmp", "up_s": 2591100.0, "down_s": 120.0, "unknown_s": 780.0,
        "availability_percent": 99.9953, "coverage_percent": 99.9699, "loss_percent": 0.0102, "rtt_mean_us": 18432,
    }],
}))]
pub struct AvailabilityReport {
    /// First moment.
    pub from: String,
    /// First moment after it.
    pub to: String,
    /// Sums of which length were added: `hour` or `day`.
    #[schema(value_type = String)]
    pub made_of: &'static str,
    /// How the numbers are made.
    #[schema(value_type = String)]
    pub maths: &'static str,
    /// All pairs together.
    pub mesh: Times,
    /// The worst first.
    pub sites: Vec<SiteOfReport>,
    /// The worst first.
    pub agents: Vec<AgentOfReport>,
    /// How many pairs were measured at all, of those that were asked for.
    pub pairs_measured: usize,
    /// The worst first, as many as were asked for.
    pub pairs: Vec<PairOfReport>,
}

/// What was available over a period: pairs, agents and sites, from sums.
///
/// # Errors
/// 400 for a period or a number that cannot be, 401 without a session or token, 503 while too many reports are made.
#[utoipa::path(
    get, path = "/api/v1/reports/availability", operation_id = "availability_report", tag = "mesh",
    params(ReportParameters),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "The report.", content((AvailabilityReport = "application/json"), (String = "text/csv"))),
        (status = 400, description = "`invalid_range`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`: an API token without the scope `read`.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn availability(
    State(app): State<Shared>,
    actor: Actor,
    parameters: Result<Query<ReportParameters>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, ApiError> {
    authorize(&actor, Action::ReadMatrix, Resource::Mesh)?;
    let Query(parameters) = parameters.map_err(|error| invalid(format!("{}.", error.body_text())))?;
    let now = app.now();
    let said =
        Said { from: parameters.from.as_deref(), to: parameters.to.as_deref(), range: parameters.range.as_deref() };
    let (from, to) = said.read(RANGE_USUAL, now)?;
    let period = Period::new(from, to, now).map_err(|why| invalid(format!("{why}.")))?;
    let count = parameters.pairs.unwrap_or(PAIRS_USUAL);
    if count > PAIRS_MAX {
        return Err(invalid(format!("`pairs` must be from 0 to {PAIRS_MAX}.")));
    }
    // Each reads the sums of all pairs: a few at once would hold up everybody else.
    let place = Arc::clone(&app.reports).try_acquire_owned().map_err(|_| {
        app.metrics.reports_refused.inc();
        ApiError::busy()
    })?;
    let rows = app.store.report(period).await?;
    // A second of work for a large mesh: not on the threads that serve everybody.
    let made = tokio::task::spawn_blocking(move || {
        let _place = place;
        write(period, &rows, &parameters, count)
    });
    made.await.map_err(|_| ApiError::internal("a report was not finished"))
}

fn write(period: Period, rows: &crate::store::ReportRows, parameters: &ReportParameters, count: usize) -> Response {
    let mut report = Report::new(period, &rows.members, &rows.sums);
    let site_of = |name: &str| rows.members.iter().find(|member| member.name == name).map(|member| &member.site);
    if let Some(agent) = &parameters.agent {
        report.pairs.retain(|line| line.source == *agent || line.target == *agent);
    }
    if let Some(site) = &parameters.site {
        report.pairs.retain(|line| [&line.source, &line.target].iter().any(|end| site_of(end) == Some(site)));
    }
    let pairs_measured = report.pairs.len();
    report.pairs.truncate(count);
    match parameters.format.unwrap_or(Format::Json) {
        Format::Json => Json(answer(&report, pairs_measured)).into_response(),
        Format::Csv => {
            let day = rfc3339(period.from);
            let name = format!("attachment; filename=\"everypath-availability-{}.csv\"", &day[..day.len().min(10)]);
            let headers =
                [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
            (headers, report::csv(&report)).into_response()
        }
    }
}

fn answer(report: &Report, pairs_measured: usize) -> AvailabilityReport {
    let agents = report.agents.iter().map(|line| AgentOfReport {
        name: line.name.clone(),
        site: line.site.clone(),
        pairs: line.pairs,
        times: times(&line.availability),
    });
    let sites = report.sites.iter().map(|line| SiteOfReport {
        name: line.name.clone(),
        agents: line.agents,
        pairs: line.pairs,
        times: times(&line.availability),
    });
    AvailabilityReport {
        from: rfc3339(report.period.from),
        to: rfc3339(report.period.to),
        made_of: report.period.level.name(),
        maths: MATHS,
        mesh: times(&report.whole),
        sites: sites.collect(),
        agents: agents.collect(),
        pairs_measured,
        pairs: report.pairs.iter().map(pair).collect(),
    }
}

fn pair(line: &PairLine) -> PairOfReport {
    PairOfReport {
        source: line.source.clone(),
        target: line.target.clone(),
        kind: line.kind.name(),
        times: times(&line.availability),
        loss_percent: line.loss_ppm.map(percent),
        rtt_mean_us: line.rtt_mean_us,
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a decade of a million pairs fit a float")]
fn times(of: &Availability) -> Times {
    let seconds = |millis: u64| millis as f64 / 1_000.0;
    Times {
        up_s: seconds(of.up_ms),
        down_s: seconds(of.down_ms),
        unknown_s: seconds(of.unknown_ms),
        availability_percent: of.share_ppm().map(percent),
        coverage_percent: of.coverage_ppm().map(percent),
    }
}

fn percent(ppm: u32) -> f64 {
    f64::from(ppm) / 10_000.0
}
