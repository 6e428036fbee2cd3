//! One snapshot in, findings out.

use super::endpoint;
use super::explain::number;
use super::finding::{Class, Direction, Evidence, Finding, NAMED_MAX, Severity, Subject};
use super::grid::{Grid, Level};
use super::observer::{find_isolated, find_leftover_columns_of_isolated, find_leftover_rows};
use super::pairs::find_pairs;
use super::rules::Rules;
use super::shapes::{find_leftover_columns, find_mesh, find_shapes};
use super::silence::find_silent;
use super::snapshot::Snapshot;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use everypath_protocol::cell::CellState;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::UnixTime;

/// Explains the bad cells of a snapshot, each exactly once; the largest explanation comes first.
///
/// 1. If most agents are silent, that is all there is to say.
/// 2. What is down is judged first. A shape made of cells that are down takes those in its scope that are slow or lossy too.
/// 3. Then the same search runs over whatever is bad and not explained: a host that loses most probes has cells that are down
///    and cells that are lossy, and is one host.
/// 4. What is left of the column of an isolated observer is its matter too.
/// 5. A column that is mostly bad, or a row, is blamed on its agent all the same, and said to be in doubt.
/// 6. What is left are pairs.
/// 7. An agent whose silence nothing explains is silent itself, unless its pairs say already that nobody reaches it.
/// 8. Endpoints come last: what agents find among themselves says whom to believe about them.
///
/// No evidence accuses nobody and clears nobody. Total, and independent of the order of agents and cells.
pub fn classify(snapshot: &Snapshot<'_>, rules: &Rules) -> Vec<Finding> {
    let (agents, watched) = endpoint::split(snapshot);
    let mut findings = classify_agents(&agents, rules);
    // Who judges is blind: nobody's word about endpoints arrives either.
    if findings.iter().any(|finding| finding.class == Class::AggregatorBlind) {
        return findings;
    }
    watched.judge(rules, &mut findings);
    findings.sort_by(|one, other| rank(one).cmp(&rank(other)));
    findings
}

fn classify_agents(agents: &Snapshot<'_>, rules: &Rules) -> Vec<Finding> {
    let mut grid = Grid::new(agents);
    if let Some(blind) = find_blind(&grid, rules) {
        return Vec::from([blind]);
    }
    let mut findings = Vec::new();
    if !grid.bad.is_empty() {
        for level in [Level::Down, Level::Any] {
            find_mesh(&mut grid, level, rules, &mut findings);
            find_isolated(&mut grid, level, rules, &mut findings);
            find_shapes(&mut grid, level, rules, &mut findings);
        }
        find_leftover_columns_of_isolated(&mut grid, &mut findings);
        find_leftover_columns(&mut grid, rules, &mut findings);
        find_leftover_rows(&mut grid, rules, &mut findings);
        find_pairs(&mut grid, &mut findings);
    }
    find_silent(&grid, rules, &mut findings);
    let mut findings = one_a_subject(findings);
    findings.sort_by(|one, other| rank(one).cmp(&rank(other)));
    findings
}

/// The order in which findings are told, and in which the tracker follows them.
pub(super) fn rank(finding: &Finding) -> (Reverse<usize>, Class, &Subject) {
    (Reverse(finding.cells.len()), finding.class, &finding.subject)
}

/// What was found of one subject in several steps is one finding, named by the first: a host that nobody reaches and whose
/// own probes are slow, for example.
fn one_a_subject(findings: Vec<Finding>) -> Vec<Finding> {
    let mut merged: BTreeMap<Subject, Finding> = BTreeMap::new();
    for finding in findings {
        let Some(first) = merged.get_mut(&finding.subject) else {
            merged.insert(finding.subject.clone(), finding);
            continue;
        };
        first.cells.extend(finding.cells);
        first.cells.sort_unstable();
        first.silent.extend(finding.silent);
        first.silent.sort_unstable();
        first.silent.dedup();
        first.evidence.bad += finding.evidence.bad;
        first.evidence.fresh += finding.evidence.fresh;
        first.severity = first.severity.max(finding.severity);
        first.worst = first.worst.max(finding.worst);
        first.since = first.since.min(finding.since);
        if first.direction != finding.direction {
            first.direction = Direction::EitherOrBoth;
        }
    }
    merged.into_values().collect()
}

/// One silent agent is that agent's matter, however large its share of a small mesh.
fn find_blind(grid: &Grid<'_>, rules: &Rules) -> Option<Finding> {
    let mut silent: Vec<UnixTime> = grid.seats.iter().filter_map(|seat| seat.silent_since).collect();
    let is_most = |count: usize| count as u64 * 1000 >= grid.agent_count() as u64 * u64::from(rules.blind_permille);
    if silent.len() < 2 || !is_most(silent.len()) {
        return None;
    }
    silent.sort_unstable();
    let first = (1..=silent.len()).find(|count| is_most(*count)).unwrap_or(silent.len());
    let agents: Vec<AgentId> =
        grid.seats.iter().filter(|seat| seat.silent_since.is_some()).map(|seat| seat.agent).collect();
    Some(Finding {
        class: Class::AggregatorBlind,
        subject: Subject::Mesh,
        direction: Direction::EitherOrBoth,
        severity: Severity::Critical,
        worst: CellState::Unknown,
        ambiguity: None,
        since: silent[first - 1],
        evidence: Evidence {
            bad: number(silent.len()),
            fresh: number(grid.agent_count()),
            witnesses: 0,
            named: agents.iter().copied().take(NAMED_MAX).collect(),
            is_only_agent_of_site: false,
        },
        cells: Vec::new(),
        silent: agents,
    })
}
