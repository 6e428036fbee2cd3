//! How many cells are fresh and how many of them are bad: per row, column, site and pair of sites.

use super::grid::{Grid, Level};
use alloc::vec::Vec;
use core::ops::Add;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Count {
    pub(super) fresh: u32,
    pub(super) bad: u32,
}

impl Count {
    pub(super) fn has_share(self, permille: u32) -> bool {
        self.bad > 0 && u64::from(self.bad) * 1000 >= u64::from(self.fresh) * u64::from(permille)
    }

    /// There is evidence, and less than half of it is bad.
    pub(super) const fn is_mostly_good(self) -> bool {
        self.bad < self.fresh.div_ceil(2) && self.fresh > 0
    }

    pub(super) const fn good(self) -> u32 {
        self.fresh.saturating_sub(self.bad)
    }

    const fn note(&mut self, is_bad: bool) {
        self.fresh += 1;
        self.bad += is_bad as u32;
    }
}

impl Add for Count {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { fresh: self.fresh + other.fresh, bad: self.bad + other.bad }
    }
}

/// Everything that the search looks at. What is explained already, and what isolated observers say, is in none of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) row: Vec<Count>,
    pub(super) column: Vec<Count>,
    /// Only cells to other sites.
    pub(super) row_far: Vec<Count>,
    /// Only cells from other sites.
    pub(super) column_far: Vec<Count>,
    /// Cells from other sites to this one.
    pub(super) site_in: Vec<Count>,
    /// Cells from this site to others.
    pub(super) site_out: Vec<Count>,
    /// Cells inside sites.
    pub(super) near: Count,
    /// Cells between sites.
    pub(super) far: Count,
    /// By (source site, target site), ascending; only where one of the two ways has a bad cell.
    pub(super) site_pairs: Vec<((usize, usize), Count)>,
}

impl Counts {
    /// What `grid` has, with its bad cells seen at `level`.
    pub(super) fn new(grid: &Grid<'_>, level: Level) -> Self {
        let mut counts = grid.base.clone();
        for cell in grid.bad.iter().filter(|cell| !cell.is_explained && !grid.is_isolated[cell.source]) {
            counts.note(grid, cell.source, cell.target, level.is_bad(cell.state));
        }
        counts
    }

    /// The good cells alone: counted once, because they are many.
    pub(super) fn of_good(grid: &Grid<'_>) -> Self {
        let per_agent = || alloc::vec![Count::default(); grid.agent_count()];
        let per_site = || alloc::vec![Count::default(); grid.sites.len()];
        let sites = grid.bad.iter().map(|cell| (grid.site_of[cell.source], grid.site_of[cell.target]));
        let far = sites.filter(|(source, target)| source != target);
        let mut pairs: Vec<(usize, usize)> =
            far.flat_map(|(source, target)| [(source, target), (target, source)]).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let mut counts = Self {
            row: per_agent(),
            column: per_agent(),
            row_far: per_agent(),
            column_far: per_agent(),
            site_in: per_site(),
            site_out: per_site(),
            near: Count::default(),
            far: Count::default(),
            site_pairs: pairs.into_iter().map(|pair| (pair, Count::default())).collect(),
        };
        for (source, target) in &grid.good {
            counts.note(grid, *source, *target, false);
        }
        counts
    }

    pub(super) fn site_pair(&self, source: usize, target: usize) -> Count {
        let found = self.site_pairs.binary_search_by_key(&(source, target), |(pair, _)| *pair);
        found.map_or_else(|_| Count::default(), |index| self.site_pairs[index].1)
    }

    fn note(&mut self, grid: &Grid<'_>, source: usize, target: usize, is_bad: bool) {
        self.row[source].note(is_bad);
        self.column[target].note(is_bad);
        let (from, to) = (grid.site_of[source], grid.site_of[target]);
        if from == to {
            self.near.note(is_bad);
            return;
        }
        self.far.note(is_bad);
        self.row_far[source].note(is_bad);
        self.column_far[target].note(is_bad);
        self.site_out[from].note(is_bad);
        self.site_in[to].note(is_bad);
        if let Ok(index) = self.site_pairs.binary_search_by_key(&(from, to), |(pair, _)| *pair) {
            self.site_pairs[index].1.note(is_bad);
        }
    }

    /// Takes a cell out again, because something explains it now.
    pub(super) fn forget(&mut self, grid: &Grid<'_>, source: usize, target: usize, is_bad: bool) {
        let (from, to) = (grid.site_of[source], grid.site_of[target]);
        let is_far = from != to;
        let take = |count: &mut Count| {
            count.fresh = count.fresh.saturating_sub(1);
            count.bad = count.bad.saturating_sub(u32::from(is_bad));
        };
        take(&mut self.row[source]);
        take(&mut self.column[target]);
        take(if is_far { &mut self.far } else { &mut self.near });
        if is_far {
            take(&mut self.row_far[source]);
            take(&mut self.column_far[target]);
            take(&mut self.site_out[from]);
            take(&mut self.site_in[to]);
        }
        if let Ok(index) = self.site_pairs.binary_search_by_key(&(from, to), |(pair, _)| *pair) {
            take(&mut self.site_pairs[index].1);
        }
    }
}
