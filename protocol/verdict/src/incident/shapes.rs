//! Hosts, sites, pairs of sites and the mesh: the search for the largest explanation.
//!
//! 1. The shape that explains most bad cells wins; its cells are taken out, and the search begins anew.
//! 2. Of two that explain as many, the simpler wins: a host before a pair of sites before a site. So a site with one agent is
//!    judged as its host, and in a mesh of two sites the path between them is blamed, never one of the two.
//! 3. A host needs two witnesses, a site two agents and two other sites, a pair of sites more than one agent on each side
//!    that has more than one.
//! 4. A site, or a pair of sites, is not cut while one of its agents mostly gets through.
//! 5. A direction is told only if the other way is measured and mostly good.

use super::count::{Count, Counts};
use super::explain::{Draft, explain, number, sources};
use super::finding::{Ambiguity, Class, Direction, Finding, Subject};
use super::grid::{Grid, Level};
use super::rules::Rules;
use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use core::cmp::Reverse;

/// So many good cells with a site, and more than bad ones, are getting through to it.
const GOOD_MIN: usize = 3;
/// From more than half of at least three witnesses on, a column is its host's matter, though in doubt.
const MOSTLY_PERMILLE: u32 = 501;
const MOSTLY_MIN: u32 = 3;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Shape {
    // In the order of rule 2.
    Host(usize),
    SitePair(usize, usize),
    Site(usize),
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    shape: Shape,
    direction: Direction,
    count: Count,
}

pub(super) fn find_shapes(grid: &mut Grid<'_>, level: Level, rules: &Rules, findings: &mut Vec<Finding>) {
    let mut counts = Counts::new(grid, level);
    while let Some(best) = largest(grid, &counts, level, rules) {
        let places = places(grid, &best);
        let draft = draft(grid, &counts, rules, &best, &places);
        findings.push(explain(grid, &mut counts, level, draft, places));
    }
}

/// Columns that are mostly bad and that nothing larger explains: one host in doubt is nearer to the truth than one pair for
/// each of its witnesses.
pub(super) fn find_leftover_columns(grid: &mut Grid<'_>, rules: &Rules, findings: &mut Vec<Finding>) {
    let mut counts = Counts::new(grid, Level::Any);
    let is_mostly_bad = |found: &Candidate, counts: &Counts| {
        let Shape::Host(agent) = found.shape else { return false };
        counts.column[agent].bad >= MOSTLY_MIN
    };
    loop {
        let hosts = (0..grid.agent_count()).filter_map(|agent| host(grid, &counts, MOSTLY_PERMILLE, agent));
        let best = hosts
            .filter(|found| is_mostly_bad(found, &counts))
            .max_by_key(|found| (found.count.bad, Reverse(found.shape)));
        let Some(best) = best else { return };
        let places = places(grid, &best);
        let draft = draft(grid, &counts, rules, &best, &places);
        let draft = Draft { ambiguity: Some(Ambiguity::MixedEvidence), ..draft };
        findings.push(explain(grid, &mut counts, Level::Any, draft, places));
    }
}

/// Nothing is good wherever anybody looks, or between all sites. A mesh in which only one site measures may be an island.
pub(super) fn find_mesh(grid: &mut Grid<'_>, level: Level, rules: &Rules, findings: &mut Vec<Finding>) {
    let mut counts = Counts::new(grid, level);
    let is_bad = |count: Count| count.has_share(rules.shape_permille);
    let seen = |counts: &[Count]| counts.iter().filter(|count| count.fresh > 0).count();
    let sites = || 0..grid.sites.len();
    // Three that measure and three that are measured: one column alone is a host.
    let all = seen(&counts.row) >= 3
        && seen(&counts.column) >= 3
        && (is_bad(counts.near) || counts.near.fresh == 0)
        && (is_bad(counts.far) || counts.far.fresh == 0)
        && counts.near.bad + counts.far.bad > 0;
    let apart = sites().filter(|site| counts.site_out[*site].fresh > 0).count() >= 3
        && is_bad(counts.far)
        && sites().all(|site| {
            let both = counts.site_in[site] + counts.site_out[site];
            both.fresh == 0 || is_bad(both)
        });
    // With two sites and nothing known of their insides it is the path between them.
    if !apart && (!all || (counts.near.fresh == 0 && grid.sites.len() == 2)) {
        return;
    }
    let in_scope = |place: &usize| all || grid.is_far(grid.bad[*place].source, grid.bad[*place].target);
    let rows = (0..grid.agent_count()).flat_map(|agent| grid.row(agent));
    let places: Vec<usize> = rows.filter(in_scope).collect();
    let witnesses = sources(grid, &places, |_| true);
    let ambiguity = (number(witnesses.len()) < rules.witnesses_min).then_some(Ambiguity::FewWitnesses);
    let draft = Draft {
        classes: [Class::MeshDown, Class::MeshDegraded],
        subject: Subject::Mesh,
        direction: Direction::EitherOrBoth,
        ambiguity,
        fresh: counts.far.fresh + if all { counts.near.fresh } else { 0 },
        witnesses,
        is_only_agent_of_site: false,
    };
    findings.push(explain(grid, &mut counts, level, draft, places));
}

fn largest(grid: &Grid<'_>, counts: &Counts, level: Level, rules: &Rules) -> Option<Candidate> {
    let hosts = (0..grid.agent_count()).filter_map(|agent| host(grid, counts, rules.shape_permille, agent));
    let sites = (0..grid.sites.len()).filter_map(|site| whole_site(grid, counts, level, rules, site));
    // Both ways are listed, and judged together.
    let ordered = counts.site_pairs.iter().map(|(pair, _)| *pair).filter(|(one, other)| one < other);
    let pairs = ordered.filter_map(|(one, other)| site_pair(grid, counts, level, rules, one, other));
    hosts.chain(sites).chain(pairs).max_by_key(|found| (found.count.bad, Reverse(found.shape)))
}

fn host(grid: &Grid<'_>, counts: &Counts, permille: u32, agent: usize) -> Option<Candidate> {
    let (row, column) = (counts.row[agent], counts.column[agent]);
    if column.bad < 2 || !column.has_share(permille) {
        return None;
    }
    // The row of a silent agent is from before it fell silent, however good it was.
    let is_inward = row.is_mostly_good() && grid.seats[agent].silent_since.is_none();
    let (direction, count) =
        if is_inward { (Direction::Inward, column) } else { (Direction::EitherOrBoth, column + row) };
    Some(Candidate { shape: Shape::Host(agent), direction, count })
}

/// Which way two opposite blocks are bad, and what is in its scope.
fn way(there: Count, back: Count, rules: &Rules, names: [Direction; 2]) -> Option<(Direction, Count)> {
    let is_bad = |count: Count| count.has_share(rules.shape_permille);
    if is_bad(there) && back.is_mostly_good() {
        Some((names[0], there))
    } else if is_bad(back) && there.is_mostly_good() {
        Some((names[1], back))
    } else if is_bad(there) || is_bad(back) || is_bad(there + back) {
        Some((Direction::EitherOrBoth, there + back))
    } else {
        None
    }
}

fn whole_site(grid: &Grid<'_>, counts: &Counts, level: Level, rules: &Rules, site: usize) -> Option<Candidate> {
    if grid.site_size[site] < 2 {
        return None;
    }
    let names = [Direction::Inward, Direction::Outward];
    let (direction, count) = way(counts.site_in[site], counts.site_out[site], rules, names)?;
    let gets_through = |agent: usize| {
        let (there, back) = (counts.column_far[agent], counts.row_far[agent]);
        let in_scope = if direction == Direction::Inward {
            there
        } else if direction == Direction::Outward {
            back
        } else {
            there + back
        };
        in_scope.is_mostly_good()
    };
    if members(grid, site).any(gets_through) {
        return None;
    }
    let found = Candidate { shape: Shape::Site(site), direction, count };
    let (inside, outside) = spread(grid, &found, level, site);
    let mut sites: Vec<usize> = outside.iter().map(|agent| grid.site_of[*agent]).collect();
    sites.dedup();
    (inside.len() > 1 && sites.iter().any(|other| *other != sites[0])).then_some(found)
}

fn site_pair(
    grid: &Grid<'_>,
    counts: &Counts,
    level: Level,
    rules: &Rules,
    one: usize,
    other: usize,
) -> Option<Candidate> {
    let names = [Direction::Forward, Direction::Backward];
    let (direction, count) = way(counts.site_pair(one, other), counts.site_pair(other, one), rules, names)?;
    let found = Candidate { shape: Shape::SitePair(one, other), direction, count };
    if count.bad < 2 || (grid.site_size[one] == 1 && grid.site_size[other] == 1) {
        return None;
    }
    let (inside, outside) = spread(grid, &found, level, one);
    let is_wide = |agents: &[usize], site: usize| agents.len() > 1 || grid.site_size[site] == 1;
    if !is_wide(&inside, one) || !is_wide(&outside, other) {
        return None;
    }
    let ends: Vec<usize> = bad_ends(grid, &found, level).collect();
    let gets_through = |agent: usize, there: usize, is_first: bool| {
        let [out, back] = grid.good_with(agent, there);
        let good = match direction {
            Direction::EitherOrBoth => out + back,
            Direction::Forward if is_first => out,
            Direction::Backward if !is_first => out,
            Direction::Forward | Direction::Backward | Direction::Inward | Direction::Outward => back,
        };
        // A single path that still works is within the share of good cells that a cut may have.
        good >= GOOD_MIN && good > ends.iter().filter(|end| **end == agent).count()
    };
    let is_veto = members(grid, one).any(|agent| gets_through(agent, other, true))
        || members(grid, other).any(|agent| gets_through(agent, one, false));
    (!is_veto).then_some(found)
}

fn members<'g>(grid: &'g Grid<'_>, site: usize) -> impl Iterator<Item = usize> + 'g {
    grid.site_of.iter().enumerate().filter(move |(_, of)| **of == site).map(|(agent, _)| agent)
}

/// The agents of `site` that the bad cells of a shape touch, and the agents at their other ends.
fn spread(grid: &Grid<'_>, found: &Candidate, level: Level, site: usize) -> (Vec<usize>, Vec<usize>) {
    let (mut inside, mut outside): (Vec<_>, Vec<_>) =
        bad_ends(grid, found, level).partition(|agent| grid.site_of[*agent] == site);
    for agents in [&mut inside, &mut outside] {
        agents.sort_unstable();
        agents.dedup();
    }
    (inside, outside)
}

/// Both ends of each bad cell of a shape.
fn bad_ends<'g>(grid: &'g Grid<'_>, found: &Candidate, level: Level) -> impl Iterator<Item = usize> + 'g {
    let bad = places(grid, found).into_iter().map(|place| grid.bad[place]).filter(move |cell| level.is_bad(cell.state));
    bad.flat_map(|cell| [cell.source, cell.target])
}

/// Places of all bad cells in the scope of a shape, of any level: what is slow on the way to a dead host is the dead host's.
fn places(grid: &Grid<'_>, found: &Candidate) -> Vec<usize> {
    let (has_in, has_out) = match found.direction {
        Direction::Inward | Direction::Backward => (true, false),
        Direction::Outward | Direction::Forward => (false, true),
        Direction::EitherOrBoth => (true, true),
    };
    let around = |agents: Vec<usize>, is_in: &dyn Fn(usize) -> bool| -> Vec<usize> {
        let mut all = Vec::new();
        for agent in agents {
            all.extend(grid.column(agent).filter(|place| has_in && is_in(grid.bad[*place].source)));
            let is_witness = !grid.is_isolated[agent];
            all.extend(grid.row(agent).filter(|place| has_out && is_witness && is_in(grid.bad[*place].target)));
        }
        all
    };
    match found.shape {
        Shape::Host(agent) => around(Vec::from([agent]), &|_| true),
        Shape::Site(site) => around(members(grid, site).collect(), &|end| grid.site_of[end] != site),
        Shape::SitePair(one, other) => around(members(grid, one).collect(), &|end| grid.site_of[end] == other),
    }
}

fn draft(grid: &Grid<'_>, counts: &Counts, rules: &Rules, found: &Candidate, places: &[usize]) -> Draft {
    let name = |site: usize| grid.sites[site].to_owned();
    let (subject, classes, witnesses) = match found.shape {
        Shape::Host(agent) => {
            let is_down = grid.seats[agent].silent_since.is_some();
            let class = if is_down { Class::HostDown } else { Class::HostUnreachable };
            let others = sources(grid, places, |source| source != agent);
            (Subject::Agent(grid.agent(agent)), [class, Class::HostDegraded], others)
        }
        Shape::Site(site) => {
            let others = sources(grid, places, |source| grid.site_of[source] != site);
            (Subject::Site(name(site)), [Class::SiteCut, Class::SiteDegraded], others)
        }
        Shape::SitePair(one, other) => {
            let subject = Subject::SitePair(name(one), name(other));
            (subject, [Class::SitePairCut, Class::SitePairDegraded], sources(grid, places, |_| true))
        }
    };
    let is_only_agent_of_site = match found.shape {
        Shape::Host(agent) => grid.site_size[grid.site_of[agent]] == 1 && counts.far.fresh > 0,
        Shape::Site(_) | Shape::SitePair(..) => false,
    };
    Draft {
        classes,
        subject,
        direction: found.direction,
        ambiguity: (number(witnesses.len()) < rules.witnesses_min).then_some(Ambiguity::FewWitnesses),
        fresh: found.count.fresh,
        witnesses,
        is_only_agent_of_site,
    }
}
