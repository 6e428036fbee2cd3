//! One ordered pair.

use super::{AHEAD_MAX, FOLD};
use alloc::vec::Vec;
use everypath_protocol::cell::{CellState, PackedCell};
use everypath_protocol::time::{Span, UnixTime};
use everypath_protocol::window::Window;
use everypath_verdict::is_fresh;

/// Most windows that are folded: a minute of 10 s windows, and room for the short ones around a restart.
const WINDOWS_MAX: usize = 12;
const _: () = assert!(FOLD.as_seconds() / 10 <= WINDOWS_MAX as u64);

/// What folding needs of a window.
#[derive(Clone, Copy, Debug)]
struct Part {
    started: UnixTime,
    ended: UnixTime,
    sent: u32,
    lost: u32,
    rtt_mean_us: Option<u32>,
}

/// The end of evidence that does not exist.
const NEVER: UnixTime = UnixTime(i64::MIN);

#[derive(Clone, Debug)]
pub(super) struct Cell {
    /// Ascending by end.
    parts: Vec<Part>,
    state: CellState,
    state_at: UnixTime,
    ended: UnixTime,
    /// Loss and round-trip time from before a restart, until windows are there again.
    restored: PackedCell,
    packed: PackedCell,
}

impl Default for Cell {
    fn default() -> Self {
        Self {
            parts: Vec::new(),
            state: CellState::Unknown,
            state_at: NEVER,
            ended: NEVER,
            restored: PackedCell::UNKNOWN,
            packed: PackedCell::UNKNOWN,
        }
    }
}

impl Cell {
    pub(super) const fn packed(&self) -> PackedCell {
        self.packed
    }

    pub(super) const fn ended(&self) -> UnixTime {
        self.ended
    }

    pub(super) fn believed_ended(&self) -> Option<UnixTime> {
        (self.ended > NEVER).then_some(self.ended)
    }

    /// Forgets everything if some of it ends in the future: the clock was set back, and evidence of before would pass for news
    /// until the clock is there again.
    pub(super) fn forget_ahead(&mut self, now: UnixTime) {
        if self.ended > now.plus(AHEAD_MAX) {
            *self = Self { packed: self.packed, ..Self::default() };
        }
    }

    /// A window that begins where another did is the same one, told again after a restart.
    pub(super) fn add_window(&mut self, window: &Window, ended: UnixTime) {
        self.add_state(window.state, ended);
        let started = ended.minus(window.span);
        if self.parts.iter().any(|part| part.started == started && part.ended == ended) {
            return;
        }
        let mean = window.rtt.map(|rtt| rtt.sum_us / u64::from(window.received.max(1)));
        let rtt_mean_us = mean.map(|mean| u32::try_from(mean).unwrap_or(u32::MAX));
        let place = self.parts.partition_point(|part| part.ended <= ended);
        self.parts.insert(place, Part { started, ended, sent: window.sent, lost: window.lost(), rtt_mean_us });
        let newest = self.ended;
        self.parts.retain(|part| part.ended == newest || part.started >= newest.minus(FOLD));
        if self.parts.len() > WINDOWS_MAX {
            self.parts.remove(0);
        }
    }

    /// The newest statement wins; of two at the same time the one that came later.
    pub(super) fn add_state(&mut self, state: CellState, at: UnixTime) {
        if at >= self.state_at {
            self.state = state;
            self.state_at = at;
        }
        self.ended = self.ended.max(at);
    }

    pub(super) fn restore(&mut self, packed: PackedCell, ended: UnixTime) {
        if ended >= self.state_at {
            self.add_state(CellState::from_code(packed.state).unwrap_or_default(), ended);
            self.restored = packed;
        }
    }

    /// Packs anew. Returns whether anything that is shown changed.
    pub(super) fn refresh(&mut self, now: UnixTime, fresh_max: Span) -> bool {
        let before = self.packed;
        self.forget_ahead(now);
        self.packed = if is_fresh(self.ended, now, fresh_max) { self.fold() } else { PackedCell::UNKNOWN };
        self.packed != before
    }

    fn fold(&self) -> PackedCell {
        if self.parts.is_empty() {
            return PackedCell { state: self.state.code(), ..self.restored };
        }
        let total = |count: fn(&Part) -> u32| self.parts.iter().map(|part| u64::from(count(part))).sum::<u64>();
        let (sent, lost) = (total(|part| part.sent), total(|part| part.lost));
        // Rounded up, so that any loss is seen.
        let loss = (sent > 0).then(|| u16::try_from((lost * 1_000).div_ceil(sent)).unwrap_or(1_000));
        let mut means: Vec<u32> = self.parts.iter().filter_map(|part| part.rtt_mean_us).collect();
        means.sort_unstable();
        PackedCell::new(self.state, loss, median(&means))
    }
}

fn median(sorted: &[u32]) -> Option<u32> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    let lower = if sorted.len().is_multiple_of(2) { sorted[middle - 1] } else { upper };
    Some(lower.midpoint(upper))
}
