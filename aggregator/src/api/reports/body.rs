//! Reports as JSON.

use crate::clock::rfc3339;
use crate::reports::Made;
use aggregator_core::report::{Availability, IncidentLine, PairLine};
use everypath_protocol::time::UnixTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
    /// First moment, RFC 3339. Without it: `range` before `to`. Widened to whole hours, beyond three days to whole days of UTC; so a mesh younger than that hour or day shows little coverage.
    pub from: Option<String>,
    /// First moment that is not asked for, RFC 3339. Without it, and if it is still to come: now.
    pub to: Option<String>,
    /// How long before `to`, such as `24h` or `30d`, instead of `from`; 400 days at most. Without both: `30d`.
    #[param(example = "30d")]
    pub range: Option<String>,
    /// How many pairs are listed, the worst first; from 0 to 100,000. Without it: 100.
    #[param(example = 20)]
    pub pairs: Option<usize>,
    /// How many incidents are listed, the newest first; from 0 to 10,000. Without it: 100.
    #[param(example = 20)]
    pub incidents: Option<usize>,
    /// Only pairs with an end in this site are listed, and incidents of it, of agents in it, and of all of the mesh.
    pub site: Option<String>,
    /// Only pairs with this agent, by its name, at one end are listed, and incidents of it, of its site, and of all of the mesh.
    pub agent: Option<String>,
    /// `json` or `csv`. Without it: `json`.
    #[param(inline)]
    pub format: Option<Format>,
    /// Which table `csv` is: `availability` or `incidents`. Without it: `availability`. JSON has both.
    #[param(inline)]
    pub part: Option<Part>,
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

/// What a table is about.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Sites, agents and pairs.
    Availability,
    /// Incidents.
    Incidents,
}

/// The time of all pairs that were measured in the period, in three parts that add up to it.
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
    /// What was judged, of all; 0 of what nobody ever measured.
    pub coverage_percent: f64,
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

/// An incident that was open at some time of the period.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
        "id": "3907185289bc18bcabc00197a4f66a93", "state": "over", "severity": "critical", "class": "host_down",
        "title": "Host beta-2 is down", "subject": "agent", "agents": ["beta-2"], "sites": [], "since": "2026-11-22T23:50:12Z",
        "opened_at": "2026-11-22T23:50:20Z", "ended_at": "2026-11-22T23:59:00Z", "duration_s": 528.0, "ending": "recovered",
        "first_opened_at": "2026-11-22T23:50:20Z", "outages": 1,
        "is_silenced": false, "is_ambiguous": false, "acknowledged_by": "ada",
}))]
pub struct IncidentOfReport {
    /// Its name, 32 hexadecimal digits.
    pub id: String,
    /// `open` or `over`.
    #[schema(value_type = String)]
    pub state: &'static str,
    /// The highest of its rules.
    pub severity: String,
    /// What was wrong, such as `host_down`.
    pub class: String,
    /// What was wrong with what.
    pub title: String,
    /// `mesh`, `site`, `site_pair`, `agent`, `pair` or `rest`.
    pub subject: String,
    /// Names of the agents and endpoints that it is about; of who left the beginning of its key.
    pub agents: Vec<String>,
    /// Names of the sites that it is about.
    pub sites: Vec<String>,
    /// When it began.
    pub since: String,
    /// When it was opened, or opened again.
    pub opened_at: String,
    /// When it was over.
    #[schema(required)]
    pub ended_at: Option<String>,
    /// When it was opened first; the same as `opened_at` unless it came back.
    pub first_opened_at: String,
    /// How often it was there: 1, and one more each time it came back.
    pub outages: u32,
    /// How long it lasted since it began, all the times that it was there, or has lasted by now; also what lies outside the period.
    pub duration_s: f64,
    /// `recovered`, `gone`, `merged` or `forgotten`, once it is over.
    #[schema(required)]
    pub ending: Option<String>,
    /// A silence kept it from being told, by its end.
    pub is_silenced: bool,
    /// It may have been something else.
    pub is_ambiguous: bool,
    /// Who took care of it.
    #[schema(required)]
    pub acknowledged_by: Option<String>,
}

/// What was available.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "from": "2026-10-24T00:00:00Z", "to": "2026-11-23T00:00:00Z", "data_from": "2026-10-01T08:00:00Z", "made_of": "day", "maths": "For each ordered pair …",
    "mesh": {"up_s": 5182200.0, "down_s": 240.0, "unknown_s": 1560.0, "availability_percent": 99.9953, "coverage_percent": 99.9699},
    "sites": [], "agents": [], "pairs_measured": 2,
    "pairs": [{
        "source": "alpha-1", "target": "beta-2", "kind": "icmp", "up_s": 2591100.0, "down_s": 120.0, "unknown_s": 780.0,
        "availability_percent": 99.9953, "coverage_percent": 99.9699, "loss_percent": 0.0102, "rtt_mean_us": 18432,
    }],
    "incidents_count": 1,
    "incidents": [{
        "id": "3907185289bc18bcabc00197a4f66a93", "state": "over", "severity": "critical", "class": "host_down",
        "title": "Host beta-2 is down", "subject": "agent", "agents": ["beta-2"], "sites": [], "since": "2026-11-22T23:50:12Z",
        "opened_at": "2026-11-22T23:50:20Z", "ended_at": "2026-11-22T23:59:00Z", "duration_s": 528.0, "ending": "recovered",
        "first_opened_at": "2026-11-22T23:50:20Z", "outages": 1,
        "is_silenced": false, "is_ambiguous": false, "acknowledged_by": "ada",
    }],
}))]
pub struct AvailabilityReport {
    /// First moment.
    pub from: String,
    /// First moment after it.
    pub to: String,
    /// Since when there is a mesh: before that nothing could be measured. Left out without agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_from: Option<String>,
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
    /// How many incidents were open at some time of the period, of those that were asked for.
    pub incidents_count: usize,
    /// The newest first, as many as were asked for.
    pub incidents: Vec<IncidentOfReport>,
}

pub(super) fn answer(made: &Made) -> AvailabilityReport {
    let report = &made.report;
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
        data_from: made.began.map(rfc3339),
        made_of: report.period.level.name(),
        maths: MATHS,
        mesh: times(&report.whole),
        sites: sites.collect(),
        agents: agents.collect(),
        pairs_measured: made.pairs_measured,
        pairs: report.pairs.iter().map(pair).collect(),
        incidents_count: made.incidents_count,
        incidents: made.incidents.iter().map(|line| incident(line, made.at)).collect(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a century fit a float")]
fn incident(line: &IncidentLine, now: UnixTime) -> IncidentOfReport {
    IncidentOfReport {
        id: line.id.clone(),
        state: line.state(),
        severity: line.severity.clone(),
        class: line.class.clone(),
        title: line.title.clone(),
        subject: line.subject.clone(),
        agents: line.agents.clone(),
        sites: line.sites.clone(),
        since: rfc3339(line.since),
        opened_at: rfc3339(line.opened),
        first_opened_at: rfc3339(line.first_opened),
        outages: line.outages,
        ended_at: line.ended.map(rfc3339),
        duration_s: line.lasted(now).as_millis() as f64 / 1_000.0,
        ending: line.ending.clone(),
        is_silenced: line.is_silenced,
        is_ambiguous: line.is_ambiguous,
        acknowledged_by: line.acknowledged_by.clone(),
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
        coverage_percent: percent(of.coverage_ppm()),
    }
}

fn percent(ppm: u32) -> f64 {
    f64::from(ppm) / 10_000.0
}
