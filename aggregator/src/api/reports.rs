//! What was available over a period, and what was wrong in it.

mod body;

pub use body::{
    AgentOfReport, AvailabilityReport, Format, IncidentOfReport, PairOfReport, Part, ReportParameters, SiteOfReport,
    Times,
};

use super::range::{Said, invalid};
use super::{ApiError, Problem};
use crate::app::{App, Shared};
use crate::guard::{Action, Actor, Resource, authorize};
use crate::reports::{self, Ask};
use crate::who::{Known, Who};
use aggregator_core::report::Period;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use body::answer;
use everypath_protocol::time::Span;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Without `range` and `from`.
const RANGE_USUAL: Span = Span::seconds(30 * 86_400);
/// Pairs that are listed where nobody says how many.
const PAIRS_USUAL: usize = 100;
/// Most pairs that are listed.
const PAIRS_MAX: usize = 100_000;
/// Incidents that are listed where nobody says how many.
const INCIDENTS_USUAL: usize = 100;
/// Most incidents that are listed.
const INCIDENTS_MAX: usize = 10_000;

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
        (status = 400, description = "`invalid_range`, or `invalid_parameter` for anything else", body = Problem, content_type = "application/problem+json"),
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
    let Query(parameters) =
        parameters.map_err(|error| ApiError::invalid("invalid_parameter", format!("{}.", error.body_text())))?;
    let now = app.now();
    let said =
        Said { from: parameters.from.as_deref(), to: parameters.to.as_deref(), range: parameters.range.as_deref() };
    let (from, to) = said.read(RANGE_USUAL, now)?;
    let period = Period::new(from, to, now).map_err(|why| invalid(format!("{why}.")))?;
    let pairs = parameters.pairs.unwrap_or(PAIRS_USUAL);
    if pairs > PAIRS_MAX {
        return Err(wrong("pairs", format!("must be from 0 to {PAIRS_MAX}")));
    }
    let incidents = parameters.incidents.unwrap_or(INCIDENTS_USUAL);
    if incidents > INCIDENTS_MAX {
        return Err(wrong("incidents", format!("must be from 0 to {INCIDENTS_MAX}")));
    }
    let ReportParameters { site, agent, .. } = parameters;
    known(&app, site.as_deref(), agent.as_deref()).await?;
    let place = place(&app)?;
    let (format, part) = (parameters.format.unwrap_or(Format::Json), parameters.part.unwrap_or(Part::Availability));
    let made = reports::make(&app, Ask { period, pairs, incidents, agent, site }, place).await?;
    Ok(match (format, part) {
        (Format::Json, _) => Json(answer(&made)).into_response(),
        (Format::Csv, Part::Availability) => file(made.availability_csv()),
        (Format::Csv, Part::Incidents) => file(made.incidents_csv()),
    })
}

fn wrong(path: &str, message: String) -> ApiError {
    ApiError::fault("invalid_parameter", path, message)
}

/// Refuses names that nobody has: their report would be empty, and read as one without any trouble.
async fn known(app: &App, site: Option<&str>, agent: Option<&str>) -> Result<(), ApiError> {
    if site.is_none() && agent.is_none() {
        return Ok(());
    }
    let who = Who::read(app).await?;
    let is_there = |fits: &dyn Fn(&Known) -> bool| who.iter().any(|(_, known)| fits(known));
    if let Some(site) = site.filter(|site| !is_there(&|known| known.site == *site)) {
        return Err(wrong("site", format!("`{site}` is no site that there is")));
    }
    if let Some(agent) = agent.filter(|agent| !is_there(&|known| known.name == *agent)) {
        return Err(wrong("agent", format!("`{agent}` is no agent or endpoint that there is")));
    }
    Ok(())
}

/// A place for a report that is to be made: a few at once would hold up everybody else.
pub(super) fn place(app: &Shared) -> Result<OwnedSemaphorePermit, ApiError> {
    Arc::clone(&app.reports).try_acquire_owned().map_err(|_| {
        app.metrics.reports_refused.inc();
        ApiError::busy()
    })
}

fn file((name, text): (String, String)) -> Response {
    let name = format!("attachment; filename=\"{name}\"");
    let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
    (headers, text).into_response()
}
