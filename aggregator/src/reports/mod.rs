//! Making reports: what was available over a period, and what was wrong in it. [`aggregator_core::report`] decides what it says,
//! [`schedule`] who gets it again and again.

pub mod schedule;

use crate::alerts::keep;
use crate::app::App;
use crate::clock::rfc3339;
use crate::store::alerts::{IncidentQuery, IncidentRow};
use crate::store::{ReportRows, StoreError};
use crate::who::{Known, Who};
use aggregator_core::report::{self, IncidentLine, Period, Report};
use everypath_protocol::id::{AgentId, hex};
use everypath_protocol::time::{Span, UnixTime};
use std::collections::BTreeSet;
use tokio::sync::OwnedSemaphorePermit;

/// Incidents that are read in one step: a period may have more than should be in memory at once.
const PAGE: u32 = 500;

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Of which time.
    pub period: Period,
    /// Most pairs that are listed, the worst first.
    pub pairs: usize,
    /// Most incidents that are listed, the newest first.
    pub incidents: usize,
    /// Only what has to do with this agent or endpoint is listed.
    pub agent: Option<String>,
    /// Only what has to do with this site is listed.
    pub site: Option<String>,
}

/// A report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// When it was made, in whole seconds.
    pub at: UnixTime,
    /// Since when there is a mesh.
    pub began: Option<UnixTime>,
    /// The numbers; of pairs as many as were asked for.
    pub report: Report,
    /// How many pairs there are, of those that were asked for.
    pub pairs_measured: usize,
    /// Newest first, as many as were asked for.
    pub incidents: Vec<IncidentLine>,
    /// How many there are, of those that were asked for.
    pub incidents_count: usize,
}

/// Makes one. Each reads the sums of all pairs, so there are few places for those that are made at the same time.
///
/// # Errors
/// [`StoreError`].
pub async fn make(app: &App, ask: Ask, place: OwnedSemaphorePermit) -> Result<Made, StoreError> {
    let now = app.now();
    let at = UnixTime(now.0 - now.0.rem_euclid(1_000_000));
    let who = Who::read(app).await?;
    let mut rows = app.store.report(ask.period).await?;
    for member in &mut rows.members {
        if let Some(known) = who.get(&member.id) {
            member.site.clone_from(&known.site);
        }
    }
    let began = who.began();
    let (incidents, incidents_count) = incidents(app, &ask, &who).await?;
    // A second of work for a large mesh: not on the threads that serve everybody.
    let made = tokio::task::spawn_blocking(move || {
        let _place = place;
        let (report, pairs_measured) = numbers(&ask, &rows);
        Made { at, began, report, pairs_measured, incidents, incidents_count }
    });
    match made.await {
        Ok(made) => Ok(made),
        // Only by a mistake: whoever waits for it must not think that it comes later.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(StoreError::Closed),
    }
}

fn numbers(ask: &Ask, rows: &ReportRows) -> (Report, usize) {
    let mut report = Report::new(ask.period, &rows.members, &rows.sums);
    if let Some(agent) = &ask.agent {
        report.pairs.retain(|line| line.source == *agent || line.target == *agent);
    }
    if let Some(site) = &ask.site {
        let inside: BTreeSet<&str> =
            rows.members.iter().filter(|member| member.site == *site).map(|member| member.name.as_str()).collect();
        report.pairs.retain(|line| [&line.source, &line.target].iter().any(|end| inside.contains(end.as_str())));
    }
    let pairs_measured = report.pairs.len();
    report.pairs.truncate(ask.pairs);
    (report, pairs_measured)
}

/// Those that were open at some time of the period, and how many there are.
async fn incidents(app: &App, ask: &Ask, who: &Who) -> Result<(Vec<IncidentLine>, usize), StoreError> {
    let (mut lines, mut count) = (Vec::new(), 0);
    let mut behind = None;
    loop {
        let query = IncidentQuery {
            to: Some(ask.period.to),
            or_was_open: true,
            ended_after: Some(ask.period.from),
            behind,
            limit: PAGE,
            ..IncidentQuery::default()
        };
        let rows = app.store.incidents(query).await?;
        let is_last = rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        behind = rows.last().map(|row| (row.opened_at, row.id));
        for row in rows {
            let Some(line) = incident(ask, row, who) else { continue };
            count += 1;
            if lines.len() < ask.incidents {
                lines.push(line);
            }
        }
        if is_last {
            return Ok((lines, count));
        }
    }
}

/// As it is listed; nothing if it was not asked for, or was written by a newer program.
fn incident(ask: &Ask, row: IncidentRow, who: &Who) -> Option<IncidentLine> {
    let kept = keep::kept(&row)?;
    let agents: Vec<AgentId> = kept.agents.iter().filter_map(|text| AgentId::parse(text)).collect();
    // What is wrong with all of the mesh is wrong with each part of it.
    let is_all = agents.is_empty() && kept.sites.is_empty();
    let is_about_site = |site: &str| {
        let is_there = |id: &AgentId| who.get(id).is_some_and(|known| known.site == site);
        kept.sites.iter().any(|of| of == site) || agents.iter().any(is_there)
    };
    let is_about_agent = |name: &str| {
        let in_its_site = |known: &Known| known.name == name && !known.is_endpoint && kept.sites.contains(&known.site);
        agents.iter().any(|agent| who.name(agent) == name) || who.iter().any(|(_, known)| in_its_site(known))
    };
    let is_asked = ask.site.as_deref().is_none_or(is_about_site) && ask.agent.as_deref().is_none_or(is_about_agent);
    if !is_all && !is_asked {
        return None;
    }
    let first_opened = kept.first_opened_us.map_or(row.opened_at, UnixTime);
    // What came back behind the period had been there before, or not.
    if first_opened >= ask.period.to {
        return None;
    }
    // Who took care of it before it came back does not any more.
    let ack = row.ack.filter(|(_, at, _)| *at >= row.opened_at);
    Some(IncidentLine {
        id: hex(&row.id),
        severity: row.severity,
        class: row.class,
        title: kept.title,
        subject: kept.subject,
        agents: agents.iter().map(|agent| who.name(agent)).collect(),
        sites: kept.sites,
        since: UnixTime(kept.since_us),
        opened: row.opened_at,
        first_opened,
        earlier: Span::micros(kept.earlier_us),
        outages: kept.flaps.saturating_add(1),
        ended: row.ended_at,
        ending: kept.ending,
        is_silenced: row.is_silenced,
        is_ambiguous: kept.is_ambiguous,
        acknowledged_by: ack.map(|(by, _, _)| by),
    })
}

impl Made {
    /// The numbers for a spreadsheet, and before them the name of the file.
    pub fn availability_csv(&self) -> (String, String) {
        (self.file("availability"), report::csv(&self.report))
    }

    /// The incidents for a spreadsheet, and before them the name of the file.
    pub fn incidents_csv(&self) -> (String, String) {
        (self.file("incidents"), report::incidents_csv(&self.incidents, self.at, &rfc3339))
    }

    fn file(&self, what: &str) -> String {
        let day = rfc3339(self.report.period.from);
        format!("everypath-{what}-{}.csv", &day[..day.len().min(10)])
    }
}
