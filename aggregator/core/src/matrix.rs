//! The matrix of now: for each ordered pair what the last minute of windows said. Late data fills in what it can and is never
//! news; what nobody has spoken of for some windows ([`fresh_max`]) is unknown, not healthy.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use everypath_protocol::cell::{CODE_NOT_ASSIGNED, CODE_SELF, CellState, LOSS_UNKNOWN, PackedCell, RTT_UNKNOWN};
use everypath_protocol::id::AgentId;
use everypath_protocol::record::Record;
use everypath_protocol::time::{Span, UnixTime};

mod cell;
mod places;
#[cfg(test)]
mod tests;

use cell::Cell;
use places::Places;

/// Loss and round-trip time are over the windows of this long.
pub const FOLD: Span = Span::seconds(60);
/// Evidence older than this says nothing about now, as long as windows are 10 s: four were missed, and some.
pub const FRESH_MAX: Span = Span::seconds(45);
/// Evidence that ends later than this from now was filed by a clock that has been set back since; it says nothing about now.
pub const AHEAD_MAX: Span = Span::seconds(5);

/// A pair that nobody has measured yet.
const NOT_ASSIGNED: PackedCell = PackedCell { state: CODE_NOT_ASSIGNED, loss: LOSS_UNKNOWN, rtt: RTT_UNKNOWN };
/// The diagonal.
const DIAGONAL: PackedCell = PackedCell { state: CODE_SELF, loss: LOSS_UNKNOWN, rtt: RTT_UNKNOWN };

/// What is kept of one cell over a restart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SavedCell {
    /// Who was probed.
    pub target: AgentId,
    /// State, loss and round-trip time.
    pub packed: PackedCell,
    /// When the newest evidence ended.
    pub ended: UnixTime,
}

/// A cell as it is shown: only pairs that were ever measured have one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ShownCell {
    /// Row.
    pub source: u32,
    /// Column.
    pub target: u32,
    /// State, loss and round-trip time.
    pub packed: PackedCell,
    /// When the newest evidence ended. `None` if there is none that can be believed.
    pub ended: Option<UnixTime>,
}

/// All cells, by place of the agents in the list.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    generation: u64,
    agents: Vec<AgentId>,
    places: Places,
    /// By row; sparse, because an agent probes a bounded number of targets.
    rows: Vec<BTreeMap<u32, Cell>>,
    changed: BTreeSet<(u32, u32)>,
    /// Evidence older than this says nothing about now.
    fresh_max: Span,
}

/// How long evidence speaks of now, where agents close windows of this length: until four were missed, and some.
pub const fn fresh_max(window: Span) -> Span {
    Span(window.0.saturating_mul(4).saturating_add(Span::seconds(5).0))
}

const _: () = assert!(fresh_max(Span::seconds(10)).0 == FRESH_MAX.0);

impl Matrix {
    /// No agent yet. `generation` must be higher than any that this or an earlier process used.
    pub fn new(generation: u64) -> Self {
        Self { generation, fresh_max: FRESH_MAX, ..Self::default() }
    }

    /// Agents close windows of another length from now on.
    pub const fn set_fresh_max(&mut self, fresh_max: Span) {
        self.fresh_max = fresh_max;
    }

    /// Changes when the list of agents does.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// In order of row and column.
    pub fn agents(&self) -> &[AgentId] {
        &self.agents
    }

    /// Whether an agent has a row and a column.
    pub fn is_member(&self, agent: &AgentId) -> bool {
        self.places.of(agent).is_some()
    }

    /// Takes the whole list of agents, oldest first. What is known of those that stay, stays.
    pub fn set_agents(&mut self, agents: Vec<AgentId>) {
        if agents == self.agents {
            return;
        }
        self.generation += 1;
        let places = Places::new(&agents);
        let old_agents = core::mem::replace(&mut self.agents, agents);
        let old_rows = core::mem::take(&mut self.rows);
        self.rows.resize_with(self.agents.len(), BTreeMap::new);
        for (source, row) in old_agents.iter().zip(old_rows) {
            let Some(source) = places.of(source).and_then(|place| usize::try_from(place).ok()) else { continue };
            let moved = row.into_iter().filter_map(|(target, cell)| {
                let target = old_agents.get(usize::try_from(target).ok()?)?;
                Some((places.of(target)?, cell))
            });
            self.rows[source] = moved.collect();
        }
        self.places = places;
        // Whoever has the old generation fetches everything again.
        self.changed.clear();
    }

    /// Takes what `source` measured until `ended`. Records of agents that are not in the list are left out.
    pub fn apply(&mut self, source: &AgentId, record: &Record, ended: UnixTime, now: UnixTime) {
        let target = match record {
            Record::Window(window) => window.target,
            Record::Flip(flip) => flip.target,
        };
        self.update(source, &target, now, |cell| match record {
            Record::Window(window) => cell.add_window(window, ended),
            Record::Flip(flip) => cell.add_state(flip.to, ended),
        });
    }

    /// Takes back a row that was kept over a restart. Newer evidence stays. [`Self::changed`] does not tell of it: at a start
    /// everybody reads the whole.
    pub fn restore(&mut self, source: &AgentId, saved: &[SavedCell], now: UnixTime) {
        let Some(source) = self.places.of(source) else { return };
        let Some(row) = usize::try_from(source).ok().and_then(|source| self.rows.get_mut(source)) else { return };
        // Rows are kept in the order of places, so the next target is nearly always the next agent: a million cells come back
        // in the time of a few lookups.
        let mut next = 0;
        for saved in saved {
            let place = match self.agents.get(next) {
                Some(agent) if *agent == saved.target => u32::try_from(next).ok(),
                Some(_) | None => self.places.of(&saved.target),
            };
            let Some(place) = place.filter(|place| *place != source) else { continue };
            next = usize::try_from(place).map_or(0, |place| place + 1);
            let cell = row.entry(place).or_default();
            cell.forget_ahead(now);
            cell.restore(saved.packed, saved.ended);
            cell.refresh(now, self.fresh_max);
        }
    }

    /// Makes unknown what nobody has spoken of for too long.
    pub fn expire(&mut self, now: UnixTime) {
        for (source, row) in (0..).zip(&mut self.rows) {
            for (target, cell) in row {
                if cell.refresh(now, self.fresh_max) {
                    self.changed.insert((source, *target));
                }
            }
        }
    }

    /// The cells that changed since the last call, with their numbers, ascending.
    pub fn changed(&mut self) -> Vec<(u32, PackedCell)> {
        let changed = core::mem::take(&mut self.changed);
        changed.into_iter().map(|(source, target)| (self.number(source, target), self.cell(source, target))).collect()
    }

    /// Whether [`Self::changed`] would return anything.
    pub fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// What is shown at a place.
    pub fn cell(&self, source: u32, target: u32) -> PackedCell {
        let row = usize::try_from(source).ok().and_then(|source| self.rows.get(source));
        match row.and_then(|row| row.get(&target)) {
            _ if source == target => DIAGONAL,
            Some(cell) => cell.packed(),
            None => NOT_ASSIGNED,
        }
    }

    /// Every pair that was ever measured, row by row.
    pub fn cells(&self) -> impl Iterator<Item = ShownCell> + '_ {
        (0..).zip(&self.rows).flat_map(|(source, row)| {
            let shown = move |(&target, cell): (&u32, &Cell)| ShownCell {
                source,
                target,
                packed: cell.packed(),
                ended: cell.believed_ended(),
            };
            row.iter().map(shown)
        })
    }

    /// What to keep of one source over a restart.
    pub fn saved_row(&self, source: &AgentId) -> Vec<SavedCell> {
        let place = self.places.of(source).and_then(|place| usize::try_from(place).ok());
        let Some(row) = place.and_then(|place| self.rows.get(place)) else { return Vec::new() };
        let saved = |(target, cell): (&u32, &Cell)| {
            let target = *self.agents.get(usize::try_from(*target).ok()?)?;
            Some(SavedCell { target, packed: cell.packed(), ended: cell.ended() })
        };
        row.iter().filter_map(saved).collect()
    }

    fn number(&self, source: u32, target: u32) -> u32 {
        // 65,535 agents fit; a mesh of 10,000 is the aim.
        let count = u32::try_from(self.agents.len()).unwrap_or(u32::MAX);
        source.saturating_mul(count).saturating_add(target)
    }

    fn update(&mut self, source: &AgentId, target: &AgentId, now: UnixTime, change: impl FnOnce(&mut Cell)) {
        let (Some(source), Some(target)) = (self.places.of(source), self.places.of(target)) else { return };
        let fresh_max = self.fresh_max;
        let row = usize::try_from(source).ok().and_then(|source| self.rows.get_mut(source));
        let Some(row) = row.filter(|_| source != target) else { return };
        let mut is_new = false;
        let cell = row.entry(target).or_insert_with(|| {
            is_new = true;
            Cell::default()
        });
        cell.forget_ahead(now);
        change(cell);
        if cell.refresh(now, fresh_max) || is_new {
            self.changed.insert((source, target));
        }
    }
}

/// The state with this number on the wire, also the two that only the matrix has.
pub fn state_name(code: u8) -> &'static str {
    match CellState::from_code(code) {
        Some(state) => state.name(),
        None if code == CODE_SELF => "self",
        None => "not_assigned",
    }
}
