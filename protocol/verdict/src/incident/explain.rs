//! Making a finding of bad cells, and marking them as explained.

use super::count::Counts;
use super::finding::{Ambiguity, Class, Direction, Evidence, Finding, NAMED_MAX, Severity, Subject};
use super::grid::{Grid, Level};
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::UnixTime;

/// What is known of a finding before its cells are looked at.
#[derive(Debug)]
pub(super) struct Draft {
    /// Its class where its cells are down, and where they are not.
    pub(super) classes: [Class; 2],
    pub(super) subject: Subject,
    pub(super) direction: Direction,
    pub(super) ambiguity: Option<Ambiguity>,
    /// Fresh cells in its scope.
    pub(super) fresh: u32,
    /// Who says so.
    pub(super) witnesses: Vec<AgentId>,
    pub(super) is_only_agent_of_site: bool,
}

/// Explains the bad cells at `places`, at least one, by a finding.
pub(super) fn explain(
    grid: &mut Grid<'_>,
    counts: &mut Counts,
    level: Level,
    draft: Draft,
    mut places: Vec<usize>,
) -> Finding {
    places.sort_unstable();
    places.dedup();
    let mut down = 0;
    let (mut worst, mut since) = (CellState::Unknown, UnixTime(i64::MAX));
    let mut cells = Vec::with_capacity(places.len());
    for place in &places {
        let cell = &mut grid.bad[*place];
        cell.is_explained = true;
        let (source, target, state) = (cell.source, cell.target, cell.state);
        (worst, since) = (worst.max(state), since.min(cell.since));
        down += usize::from(state == CellState::Down);
        cells.push((grid.agent(source), grid.agent(target)));
        // What an isolated observer says was never counted.
        if !grid.is_isolated[source] {
            counts.forget(grid, source, target, level.is_bad(state));
        }
    }
    let is_critical = level == Level::Down || down * 2 >= places.len();
    let is_down = level == Level::Down || down == places.len();
    let mut named = draft.witnesses;
    named.sort_unstable();
    named.dedup();
    let witnesses = number(named.len());
    named.truncate(NAMED_MAX);
    let evidence = Evidence {
        bad: number(places.len()),
        fresh: draft.fresh.max(number(places.len())),
        witnesses,
        named,
        is_only_agent_of_site: draft.is_only_agent_of_site,
    };
    let silent = silent_in(grid, &draft.subject);
    Finding {
        class: draft.classes[usize::from(!is_down)],
        subject: draft.subject,
        direction: draft.direction,
        severity: if is_critical { Severity::Critical } else { Severity::Degraded },
        worst,
        ambiguity: draft.ambiguity,
        since,
        evidence,
        cells,
        silent,
    }
}

/// The silent agents whose silence a subject explains, ascending.
///
/// 1. Of a site or an agent its own; all, if nobody outside is heard: then who judges is inside, on an island.
/// 2. Of a pair of sites those of a site that is silent as a whole: then who judges is on the other side. One silent agent
///    among others that are heard is its own matter.
fn silent_in(grid: &Grid<'_>, subject: &Subject) -> Vec<AgentId> {
    let is_silent = |agent: &usize| grid.seats[*agent].silent_since.is_some();
    let everybody = || (0..grid.agent_count()).collect();
    let members = |name: &str| -> Vec<usize> {
        (0..grid.agent_count()).filter(|agent| grid.seats[*agent].site == name).collect()
    };
    let around = |inside: Vec<usize>| -> Vec<usize> {
        let is_heard = |agent: &usize| !is_silent(agent);
        let is_island = inside.iter().any(is_heard)
            && (0..grid.agent_count()).filter(is_heard).all(|agent| inside.contains(&agent));
        if is_island { everybody() } else { inside }
    };
    let mut agents: Vec<usize> = match subject {
        Subject::Mesh => everybody(),
        Subject::Site(name) => around(members(name)),
        Subject::SitePair(one, other) => {
            let sites = [members(one), members(other)];
            sites.into_iter().filter(|site| site.iter().all(is_silent)).flatten().collect()
        }
        Subject::Agent(agent) => around(grid.find(agent).into_iter().collect()),
        Subject::Pair(..) | Subject::Rest => Vec::new(),
    };
    agents.retain(is_silent);
    agents.sort_unstable();
    agents.into_iter().map(|agent| grid.agent(agent)).collect()
}

/// The sources of these cells for which `is_witness` holds; all sources if it holds for none.
pub(super) fn sources(grid: &Grid<'_>, places: &[usize], is_witness: impl Fn(usize) -> bool) -> Vec<AgentId> {
    let mut all: Vec<usize> = places.iter().map(|place| grid.bad[*place].source).collect();
    all.sort_unstable();
    all.dedup();
    let some: Vec<AgentId> = all.iter().filter(|agent| is_witness(**agent)).map(|agent| grid.agent(*agent)).collect();
    if some.is_empty() { all.into_iter().map(|agent| grid.agent(agent)).collect() } else { some }
}

/// A count for people. A mesh has fewer than 2^32 cells.
pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
