//! Which cells a finding has, in eight bytes each, and whether the bad cells around it still grow.

use super::finding::{Class, Finding, Subject};
use super::snapshot::Snapshot;
use super::tracker::CELLS_KEPT;
use alloc::vec::Vec;
use everypath_protocol::id::{AgentId, pair_hash};

/// Numbers of a finding's cells, ascending: hashes, so that the lowest of them are a fair sample. The silence of an agent is its cell on the diagonal. While
/// most agents are silent none of it is a cell, or who judges would take in what was an incident before it went blind.
pub(super) fn sketch(finding: &Finding) -> Vec<u64> {
    let cells = finding.cells.iter().map(|(source, target)| pair_hash(source, target));
    let diagonal = finding.silent.iter().filter(|_| finding.class != Class::AggregatorBlind);
    let mut numbers: Vec<u64> = cells.chain(diagonal.map(|agent| pair_hash(agent, agent))).collect();
    numbers.sort_unstable();
    numbers
}

/// The lowest [`CELLS_KEPT`] of them.
pub(super) fn sample(numbers: &[u64]) -> Vec<u64> {
    numbers[..numbers.len().min(CELLS_KEPT)].to_vec()
}

/// A sample of both together.
pub(super) fn union(mut one: Vec<u64>, other: &[u64]) -> Vec<u64> {
    one.extend_from_slice(other);
    one.sort_unstable();
    one.dedup();
    one.truncate(CELLS_KEPT);
    one
}

/// Whether they share at least half of the cells of the smaller one. Samples are compared as far as both reach.
pub(super) fn overlap(one: &[u64], other: &[u64]) -> bool {
    let reach =
        |cells: &[u64]| if cells.len() < CELLS_KEPT { u64::MAX } else { cells.last().copied().unwrap_or(u64::MAX) };
    let end = reach(one).min(reach(other));
    let within = |cells: &[u64]| cells.partition_point(|cell| *cell <= end);
    let (one, other) = (&one[..within(one)], &other[..within(other)]);
    let (small, large) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let shared = small.iter().filter(|cell| large.binary_search(cell).is_ok()).count();
    shared > 0 && shared * 2 >= small.len()
}

/// The patch of bad cells around a finding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Patch {
    /// It has a cell that it did not have at the last evaluation.
    pub(super) is_growing: bool,
    /// It is explained by several findings.
    pub(super) is_split: bool,
    /// It has mostly what an open incident had, which speaks for itself without it.
    pub(super) is_remnant: bool,
}

/// The patch of each finding, growing since `before`. Findings that touch the same site are in one
/// patch, and so are those that touch the same site as one of these: a site that is being cut shows as pairs that have
/// nothing but the site in common. The mesh as a whole waits for nothing and joins nothing.
pub(super) fn patches(
    findings: &[&Finding],
    sketches: &[Vec<u64>],
    before: &[u64],
    snapshot: &Snapshot<'_>,
) -> Vec<Patch> {
    if findings.is_empty() {
        return Vec::new();
    }
    let mut roster: Vec<(&AgentId, &str)> =
        snapshot.roster.iter().filter(|seat| !seat.is_endpoint).map(|seat| (&seat.agent, seat.site)).collect();
    roster.sort_unstable();
    let site = |agent: &AgentId| {
        let found = roster.binary_search_by_key(&agent, |(known, _)| *known);
        found.ok().map(|place| roster[place].1)
    };
    let mut touched: Vec<(&str, usize)> = Vec::new();
    for (index, finding) in findings.iter().enumerate().filter(|(_, finding)| finding.subject != Subject::Mesh) {
        let mut ends: Vec<&AgentId> = finding.cells.iter().flat_map(|(source, target)| [source, target]).collect();
        ends.extend(&finding.silent);
        ends.sort_unstable();
        ends.dedup();
        touched.extend(ends.into_iter().filter_map(site).map(|site| (site, index)));
    }
    touched.sort_unstable();
    touched.dedup();
    let mut leads: Vec<usize> = (0..findings.len()).collect();
    for pair in touched.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        let (one, other) = (root(&mut leads, pair[0].1), root(&mut leads, pair[1].1));
        leads[one.max(other)] = one.min(other);
    }
    let (mut grows, mut parts) = (alloc::vec![false; findings.len()], alloc::vec![0_u32; findings.len()]);
    for (index, cells) in sketches.iter().enumerate() {
        let lead = root(&mut leads, index);
        parts[lead] += 1;
        grows[lead] |= cells.iter().any(|cell| before.binary_search(cell).is_err());
    }
    let leads = (0..findings.len()).map(|index| root(&mut leads, index));
    leads.map(|lead| Patch { is_growing: grows[lead], is_split: parts[lead] > 1, is_remnant: false }).collect()
}

/// Who leads the patch of `index`. Halves the way for the next who asks.
fn root(leads: &mut [usize], mut index: usize) -> usize {
    while leads[index] != index {
        leads[index] = leads[leads[index]];
        index = leads[index];
    }
    index
}
