//! A snapshot, put in order: agents by id, sites by name, bad cells by place. Good cells are only ever counted.

use super::count::Counts;
use super::snapshot::{MeasuredCell, Seat, Snapshot};
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::UnixTime;

/// How bad a cell must be to count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Level {
    /// Down only.
    Down,
    /// Down, lossy or slow.
    Any,
}

impl Level {
    pub(super) const fn is_bad(self, state: CellState) -> bool {
        match state {
            CellState::Down => true,
            CellState::Lossy | CellState::Slow => matches!(self, Self::Any),
            CellState::Unknown | CellState::Ok => false,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Bad {
    pub(super) source: usize,
    pub(super) target: usize,
    pub(super) state: CellState,
    pub(super) since: UnixTime,
    pub(super) is_explained: bool,
}

#[derive(Debug)]
pub(super) struct Grid<'a> {
    /// Ascending by id, each once.
    pub(super) seats: Vec<Seat<'a>>,
    /// Ascending, each once.
    pub(super) sites: Vec<&'a str>,
    /// The site of each agent.
    pub(super) site_of: Vec<usize>,
    /// How many agents each site has.
    pub(super) site_size: Vec<u32>,
    /// Fresh cells without fault, in the order in which they came.
    pub(super) good: Vec<(usize, usize)>,
    /// Fresh cells with one, ascending by (source, target).
    pub(super) bad: Vec<Bad>,
    /// Where in `bad` the row of each agent begins; one more entry at the end.
    rows: Vec<usize>,
    /// Places in `bad` for each target.
    columns: Vec<Vec<usize>>,
    /// The other ends of the good cells of each agent, as their source and as their target.
    good_ends: Vec<[Vec<usize>; 2]>,
    /// No witness: what it says is not counted. Set by [`Self::isolate`].
    pub(super) is_isolated: Vec<bool>,
    /// The good cells of those who are not isolated.
    pub(super) base: Counts,
}

impl<'a> Grid<'a> {
    pub(super) fn new(snapshot: &Snapshot<'a>) -> Self {
        let mut seats = snapshot.roster.clone();
        seats.sort_unstable_by(|one, other| {
            (one.agent, one.site, one.silent_since).cmp(&(other.agent, other.site, other.silent_since))
        });
        seats.dedup_by_key(|seat| seat.agent);
        let mut sites: Vec<&str> = seats.iter().map(|seat| seat.site).collect();
        sites.sort_unstable();
        sites.dedup();
        let site_of: Vec<usize> = seats.iter().map(|seat| place(sites.binary_search(&seat.site))).collect();
        let mut site_size = alloc::vec![0; sites.len()];
        site_of.iter().for_each(|site| site_size[*site] += 1);
        let find = |seat: &Seat<'_>| place(seats.binary_search_by_key(&seat.agent, |known| known.agent));
        let agents: Vec<usize> = snapshot.roster.iter().map(find).collect();
        let (good, bad) = split(&snapshot.cells, &agents);
        let mut rows = alloc::vec![0; seats.len() + 1];
        bad.iter().for_each(|cell| rows[cell.source + 1] += 1);
        for agent in 0..seats.len() {
            rows[agent + 1] += rows[agent];
        }
        let mut columns = alloc::vec![Vec::new(); seats.len()];
        bad.iter().enumerate().for_each(|(index, cell)| columns[cell.target].push(index));
        let mut good_ends = alloc::vec![[Vec::new(), Vec::new()]; seats.len()];
        if !bad.is_empty() {
            for (source, target) in &good {
                good_ends[*source][0].push(*target);
                good_ends[*target][1].push(*source);
            }
        }
        let is_isolated = alloc::vec![false; seats.len()];
        let base = Counts::default();
        let mut grid =
            Self { seats, sites, site_of, site_size, good, bad, rows, columns, good_ends, is_isolated, base };
        if !grid.bad.is_empty() {
            grid.base = Counts::of_good(&grid);
        }
        grid
    }

    /// From now on nothing that `agent` says is counted.
    pub(super) fn isolate(&mut self, agent: usize) {
        if core::mem::replace(&mut self.is_isolated[agent], true) {
            return;
        }
        let mut base = core::mem::take(&mut self.base);
        for target in &self.good_ends[agent][0] {
            base.forget(self, agent, *target, false);
        }
        self.base = base;
    }

    /// Whether `source` has a good cell with `target`, and no bad one.
    pub(super) fn is_good(&self, source: usize, target: usize) -> bool {
        self.good_ends[source][0].contains(&target) && !self.is_bad(source, target)
    }

    pub(super) fn agent(&self, index: usize) -> AgentId {
        self.seats[index].agent
    }

    pub(super) fn find(&self, agent: &AgentId) -> Option<usize> {
        self.seats.binary_search_by_key(agent, |seat| seat.agent).ok()
    }

    pub(super) fn agent_count(&self) -> usize {
        self.seats.len()
    }

    pub(super) fn is_far(&self, source: usize, target: usize) -> bool {
        self.site_of[source] != self.site_of[target]
    }

    /// Places in `bad` of what nothing explains yet in the row of an agent.
    pub(super) fn row(&self, agent: usize) -> impl Iterator<Item = usize> + '_ {
        (self.rows[agent]..self.rows[agent + 1]).filter(|index| !self.bad[*index].is_explained)
    }

    /// The same for its column; what isolated observers say of it is left out.
    pub(super) fn column(&self, agent: usize) -> impl Iterator<Item = usize> + '_ {
        let counts = |index: &usize| !self.bad[*index].is_explained && !self.is_isolated[self.bad[*index].source];
        self.columns[agent].iter().copied().filter(counts)
    }

    /// How many good cells an agent has with a site: those that it measures, and those that measure it.
    pub(super) fn good_with(&self, agent: usize, site: usize) -> [usize; 2] {
        let [targets, sources] = &self.good_ends[agent];
        let is_there = |end: &&usize| self.site_of[**end] == site;
        let own = if self.is_isolated[agent] { 0 } else { targets.iter().filter(is_there).count() };
        [own, sources.iter().filter(is_there).filter(|source| !self.is_isolated[**source]).count()]
    }

    /// Whether there is a bad cell of this pair, explained or not.
    pub(super) fn is_bad(&self, source: usize, target: usize) -> bool {
        self.bad.binary_search_by_key(&(source, target), |cell| (cell.source, cell.target)).is_ok()
    }
}

/// Whoever is looked for was collected from the same list: both cases are a place.
fn place(found: Result<usize, usize>) -> usize {
    found.unwrap_or_else(|place| place)
}

fn split(cells: &[MeasuredCell], agents: &[usize]) -> (Vec<(usize, usize)>, Vec<Bad>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let agent = |index: u32| usize::try_from(index).ok().and_then(|index| agents.get(index).copied());
    for cell in cells.iter().filter(|cell| cell.is_fresh && cell.state != CellState::Unknown) {
        let (Some(source), Some(target)) = (agent(cell.source), agent(cell.target)) else { continue };
        if source == target {
            continue;
        }
        if Level::Any.is_bad(cell.state) {
            bad.push(Bad { source, target, state: cell.state, since: cell.since, is_explained: false });
        } else {
            good.push((source, target));
        }
    }
    // Of two for one pair the worse comes first, and stays.
    bad.sort_unstable_by_key(|cell| (cell.source, cell.target, core::cmp::Reverse(cell.state), cell.since));
    bad.dedup_by_key(|cell| (cell.source, cell.target));
    (good, bad)
}
