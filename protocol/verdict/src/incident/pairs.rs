//! What no larger shape explains: one finding for each unordered pair.

use super::count::Counts;
use super::explain::{Draft, explain, number, sources};
use super::finding::{Ambiguity, Class, Direction, Finding, Subject};
use super::grid::{Grid, Level};
use alloc::vec::Vec;

pub(super) fn find_pairs(grid: &mut Grid<'_>, findings: &mut Vec<Finding>) {
    let mut counts = Counts::new(grid, Level::Any);
    let unordered = |cell: &super::grid::Bad| (cell.source.min(cell.target), cell.source.max(cell.target));
    let left = || grid.bad.iter().enumerate().filter(|(_, cell)| !cell.is_explained);
    let mut pairs: Vec<(usize, usize)> = left().map(|(_, cell)| unordered(cell)).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut places: Vec<Vec<usize>> = alloc::vec![Vec::new(); pairs.len()];
    for (place, cell) in left() {
        if let Ok(pair) = pairs.binary_search(&unordered(cell)) {
            places[pair].push(place);
        }
    }
    // Explaining a pair takes nothing good away, so what its ends reach is counted before.
    let good: Vec<u32> =
        (0..grid.agent_count()).map(|agent| counts.row[agent].good() + counts.column[agent].good()).collect();
    for ((one, other), places) in pairs.into_iter().zip(places) {
        let good_way = grid.is_good(one, other) || grid.is_good(other, one);
        let is_bad = |source: usize, target: usize| grid.is_bad(source, target);
        let direction = match (is_bad(one, other), is_bad(other, one)) {
            (true, false) if good_way => Direction::Forward,
            (false, true) if good_way => Direction::Backward,
            _ => Direction::EitherOrBoth,
        };
        let is_reached = |agent: usize| good[agent] > u32::from(good_way);
        let is_clear = is_reached(one) && is_reached(other);
        let is_alone = |agent: usize| grid.site_size[grid.site_of[agent]] == 1;
        let draft = Draft {
            classes: [Class::PairDown, Class::PairDegraded],
            subject: Subject::Pair(grid.agent(one), grid.agent(other)),
            direction,
            ambiguity: (!is_clear).then_some(Ambiguity::FewWitnesses),
            fresh: number(places.len()) + u32::from(good_way),
            witnesses: sources(grid, &places, |_| true),
            is_only_agent_of_site: is_alone(one) && is_alone(other),
        };
        findings.push(explain(grid, &mut counts, Level::Any, draft, places));
    }
}
