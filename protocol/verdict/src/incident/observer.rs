//! Observers that accuse everybody, and whom nobody believes.
//!
//! 1. An accusation is *unconfirmed* if not more than half of the target's other witnesses say the same.
//! 2. Who accuses, unconfirmed, at least three quarters of what it measures is suspected. It must measure at least three
//!    others, or all there are, in a mesh of three: two bad cells of many say little about the one that measures them.
//! 3. A suspect that the unsuspected reach is isolated. A suspect that they do not reach is no observer's matter, but its
//!    host's or its site's.
//! 4. A suspect that nobody measures is isolated as well, as far as anybody can tell. One that only other suspects measure is
//!    not: an island looks like that from inside.
//! 5. If that is so of all agents of a site that measure, and these are two at least, it is the site: one cause, one finding.

use super::count::{Count, Counts};
use super::explain::{Draft, explain, number, sources};
use super::finding::{Ambiguity, Class, Direction, Finding, Subject};
use super::grid::{Grid, Level};
use super::rules::Rules;
use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use everypath_protocol::id::AgentId;

/// Fewer targets than this are too few, unless there are no more.
const TARGETS_MIN: usize = 3;

pub(super) fn find_isolated(grid: &mut Grid<'_>, level: Level, rules: &Rules, findings: &mut Vec<Finding>) {
    let mut counts = Counts::new(grid, level);
    let suspects: Vec<bool> =
        (0..grid.agent_count()).map(|agent| is_suspect(grid, &counts, level, rules, agent)).collect();
    if !suspects.contains(&true) {
        return;
    }
    // What the unsuspected say of each suspect, and who of them reaches it.
    let mut said = alloc::vec![Count::default(); grid.agent_count()];
    let mut reached_by: Vec<Vec<AgentId>> = alloc::vec![Vec::new(); grid.agent_count()];
    let is_heard = |grid: &Grid<'_>, source: usize| !suspects[source] && !grid.is_isolated[source];
    for (source, target) in grid.good.iter().filter(|(source, target)| suspects[*target] && is_heard(grid, *source)) {
        said[*target].fresh += 1;
        reached_by[*target].push(grid.agent(*source));
    }
    for agent in (0..grid.agent_count()).filter(|agent| suspects[*agent]) {
        let accused = grid.column(agent).filter(|place| is_heard(grid, grid.bad[*place].source));
        for cell in accused.map(|place| &grid.bad[place]) {
            let is_bad = level.is_bad(cell.state);
            said[agent] = said[agent] + Count { fresh: 1, bad: u32::from(is_bad) };
            // Slowly, or not always, but it does.
            if !is_bad {
                reached_by[agent].push(grid.agent(cell.source));
            }
        }
    }
    let is_isolated = |agent: &usize| {
        suspects[*agent]
            && (said[*agent].is_mostly_good() || (said[*agent].fresh == 0 && counts.column[*agent].fresh == 0))
    };
    let isolated: Vec<usize> = (0..grid.agent_count()).filter(is_isolated).collect();
    isolated.iter().for_each(|agent| grid.isolate(*agent));
    let rows = counts.row.clone();
    counts = Counts::new(grid, level);
    for group in by_site(grid, &rows, &isolated) {
        let witnesses: Vec<AgentId> = group.iter().flat_map(|agent| reached_by[*agent].iter().copied()).collect();
        let contradicted = group.iter().fold(Count::default(), |all, agent| all + said[*agent]);
        let few = witnesses.len() < usize::try_from(rules.witnesses_min).unwrap_or(usize::MAX);
        let ambiguity = match contradicted {
            Count { fresh: 0, .. } => Some(Ambiguity::NobodyElse),
            Count { fresh, bad } if bad * 4 > fresh => Some(Ambiguity::MixedEvidence),
            Count { .. } => few.then_some(Ambiguity::FewWitnesses),
        };
        let site = grid.sites[grid.site_of[group[0]]];
        let (subject, classes, witnesses) = match group.as_slice() {
            [agent] => (Subject::Agent(grid.agent(*agent)), [Class::Isolated, Class::ObserverDegraded], witnesses),
            // Of a site its own agents say it, however it was found.
            agents => {
                let own = agents.iter().map(|agent| grid.agent(*agent)).collect();
                (Subject::Site(site.to_owned()), [Class::SiteCut, Class::SiteDegraded], own)
            }
        };
        let places: Vec<usize> = group.iter().flat_map(|agent| grid.row(*agent)).collect();
        let fresh = group.iter().map(|agent| rows[*agent].fresh).sum();
        let is_only_agent_of_site = grid.site_size[grid.site_of[group[0]]] == 1;
        let direction = Direction::Outward;
        let draft = Draft { classes, subject, direction, ambiguity, fresh, witnesses, is_only_agent_of_site };
        findings.push(explain(grid, &mut counts, level, draft, places));
    }
}

fn is_suspect(grid: &Grid<'_>, counts: &Counts, level: Level, rules: &Rules, agent: usize) -> bool {
    let row = counts.row[agent];
    // Confirmed cells only lower the share, so most agents need no closer look.
    if grid.is_isolated[agent] || row.fresh < targets_min(grid) || !row.has_share(rules.isolated_permille) {
        return false;
    }
    let is_confirmed = |place: &usize| {
        let column = counts.column[grid.bad[*place].target];
        (column.bad - 1) * 2 > column.fresh - 1
    };
    let own = || grid.row(agent).filter(|place| level.is_bad(grid.bad[*place].state));
    let confirmed = u32::try_from(own().filter(is_confirmed).count()).unwrap_or(u32::MAX);
    let unconfirmed = Count { fresh: row.fresh - confirmed, bad: row.bad - confirmed };
    unconfirmed.bad >= 2 && unconfirmed.has_share(rules.isolated_permille)
}

/// Three targets, or all others in a mesh of three; one target says nothing about who measures it.
fn targets_min(grid: &Grid<'_>) -> u32 {
    u32::try_from(TARGETS_MIN.min(grid.agent_count().saturating_sub(1)).max(2)).unwrap_or(u32::MAX)
}

/// One group an agent, but one a site if it is all of the site that measures.
fn by_site(grid: &Grid<'_>, rows: &[Count], isolated: &[usize]) -> Vec<Vec<usize>> {
    let mut groups = Vec::new();
    for (site, size) in grid.site_size.iter().enumerate() {
        let inside: Vec<usize> = isolated.iter().copied().filter(|agent| grid.site_of[*agent] == site).collect();
        if inside.is_empty() {
            continue;
        }
        let measure = (0..grid.agent_count()).filter(|agent| grid.site_of[*agent] == site && rows[*agent].fresh > 0);
        if *size > 1 && inside.len() > 1 && inside.len() == measure.count() {
            groups.push(inside);
        } else {
            groups.extend(inside.into_iter().map(|agent| Vec::from([agent])));
        }
    }
    groups
}

/// Whoever does not reach an isolated agent either says no more than that it is cut off: one cause, one finding.
pub(super) fn find_leftover_columns_of_isolated(grid: &mut Grid<'_>, findings: &mut Vec<Finding>) {
    let mut counts = Counts::new(grid, Level::Any);
    for agent in (0..grid.agent_count()).filter(|agent| grid.is_isolated[*agent]).collect::<Vec<usize>>() {
        let places: Vec<usize> = grid.column(agent).collect();
        let id = grid.agent(agent);
        let own = findings.iter().find(|finding| finding.cells.iter().any(|(source, _)| *source == id));
        let (false, Some(own)) = (places.is_empty(), own) else { continue };
        let draft = Draft {
            classes: [own.class; 2],
            subject: own.subject.clone(),
            direction: own.direction,
            ambiguity: own.ambiguity,
            fresh: number(places.len()),
            witnesses: sources(grid, &places, |_| true),
            is_only_agent_of_site: own.evidence.is_only_agent_of_site,
        };
        findings.push(explain(grid, &mut counts, Level::Any, draft, places));
    }
}

/// Rows that are bad and that nothing larger explains, although others do not reach that agent well either: blaming the
/// agent once is better than blaming each of its targets.
pub(super) fn find_leftover_rows(grid: &mut Grid<'_>, rules: &Rules, findings: &mut Vec<Finding>) {
    let mut counts = Counts::new(grid, Level::Any);
    for agent in 0..grid.agent_count() {
        let row = counts.row[agent];
        if row.fresh < targets_min(grid).max(3) || !row.has_share(rules.isolated_permille) {
            continue;
        }
        let places: Vec<usize> = grid.row(agent).collect();
        let draft = Draft {
            classes: [Class::Isolated, Class::ObserverDegraded],
            subject: Subject::Agent(grid.agent(agent)),
            direction: Direction::EitherOrBoth,
            ambiguity: Some(Ambiguity::MixedEvidence),
            fresh: row.fresh,
            witnesses: sources(grid, &places, |_| true),
            is_only_agent_of_site: grid.site_size[grid.site_of[agent]] == 1,
        };
        findings.push(explain(grid, &mut counts, Level::Any, draft, places));
    }
}
