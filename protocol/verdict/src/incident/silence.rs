//! Agents of which nothing is heard, although nothing else is wrong with them.

use super::count::Count;
use super::explain::number;
use super::finding::{Ambiguity, Class, Direction, Evidence, Finding, NAMED_MAX, Severity, Subject};
use super::grid::Grid;
use super::rules::Rules;
use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::id::AgentId;

/// 1. What another finding explains is not told again.
/// 2. Whom hardly anybody reaches is not silent but out of reach, and the findings of its cells say so. Whom nobody measures
///    is silent as far as anybody can tell.
/// 3. If all agents of a site are silent, and these are two at least, it is the site: one cause, one finding.
pub(super) fn find_silent(grid: &Grid<'_>, rules: &Rules, findings: &mut Vec<Finding>) {
    let explained: BTreeSet<AgentId> = findings.iter().flat_map(|finding| finding.silent.iter().copied()).collect();
    let is_silent =
        |agent: &usize| grid.seats[*agent].silent_since.is_some() && !explained.contains(&grid.agent(*agent));
    let silent: Vec<usize> = (0..grid.agent_count()).filter(is_silent).collect();
    if silent.is_empty() {
        return;
    }
    let mut columns = alloc::vec![Count::default(); grid.agent_count()];
    let mut reached_by = alloc::vec![Vec::new(); grid.agent_count()];
    for (source, target) in grid.good.iter().filter(|(source, _)| !grid.is_isolated[*source]) {
        columns[*target].fresh += 1;
        reached_by[*target].push(grid.agent(*source));
    }
    for cell in grid.bad.iter().filter(|cell| !grid.is_isolated[cell.source]) {
        columns[cell.target] = columns[cell.target] + Count { fresh: 1, bad: 1 };
    }
    let is_reached = |agent: &usize| columns[*agent].fresh == 0 || columns[*agent].is_mostly_good();
    for site in 0..grid.sites.len() {
        let members: Vec<usize> = silent.iter().copied().filter(|agent| grid.site_of[*agent] == site).collect();
        let told: Vec<usize> = members.iter().copied().filter(is_reached).collect();
        let is_site = told.len() > 1 && number(told.len()) == grid.site_size[site];
        let groups =
            if is_site { Vec::from([told]) } else { told.into_iter().map(|agent| Vec::from([agent])).collect() };
        for group in groups {
            let subject = match group.as_slice() {
                [agent] => Subject::Agent(grid.agent(*agent)),
                _ => Subject::Site(grid.sites[site].to_owned()),
            };
            let column = group.iter().fold(Count::default(), |all, agent| all + columns[*agent]);
            let mut witnesses: Vec<AgentId> = group.iter().flat_map(|agent| reached_by[*agent].clone()).collect();
            witnesses.sort_unstable();
            witnesses.dedup();
            let ambiguity = match column {
                Count { fresh: 0, .. } => Some(Ambiguity::NobodyElse),
                Count { fresh, bad } if bad * 4 > fresh => Some(Ambiguity::MixedEvidence),
                Count { .. } => (number(witnesses.len()) < rules.witnesses_min).then_some(Ambiguity::FewWitnesses),
            };
            let Some(since) = group.iter().filter_map(|agent| grid.seats[*agent].silent_since).min() else { continue };
            findings.push(Finding {
                class: Class::Silent,
                subject,
                direction: Direction::EitherOrBoth,
                severity: Severity::Degraded,
                worst: CellState::Unknown,
                ambiguity,
                since,
                evidence: Evidence {
                    bad: number(group.len()),
                    fresh: number(group.len()),
                    witnesses: number(witnesses.len()),
                    named: witnesses.into_iter().take(NAMED_MAX).collect(),
                    is_only_agent_of_site: group.len() == 1 && grid.site_size[site] == 1,
                },
                cells: Vec::new(),
                silent: group.iter().map(|agent| grid.agent(*agent)).collect(),
            });
        }
    }
}
