//! From single outcomes to the state of one cell.
//!
//! 1. Three losses in a row are `Down`: at an interval of 5 s, with bursts after the first miss, that is seen within
//!    8 s of the failure; one loss, or two, happen on healthy paths. On a path that lost probes before, among replies,
//!    three in a row happen too — with every third probe lost, once in 30 — so there it takes twice as many.
//! 2. A `Down` cell comes back after two replies in a row, and starts with a clean record: the losses of an outage say
//!    nothing about the path after it.
//! 3. Three losses among the last 24 measured probes (two minutes) are `Lossy`; it stays so until at most one is left
//!    among them. With two, a path that loses 2 % each way would change its state every few minutes.
//! 4. A median of the last five round trips above twice the usual one plus 5 ms is `Slow`.
//! 5. An outcome that was not measured changes nothing. A cell without a measured outcome for four intervals is `Unknown`.

use everypath_protocol::cell::CellState;
use everypath_protocol::mesh_config::MeshConfig;
use everypath_protocol::time::{MonoTime, Span, UnixTime};
use everypath_protocol::window::ProbeOutcome;

const HISTORY: u32 = 24;
const HISTORY_MASK: u32 = (1 << HISTORY) - 1;
const RECENT: usize = 5;
/// This many losses before the ones in a row make a path one that loses.
const LOST_BEFORE: u32 = 2;
/// At most this many losses end `Lossy`.
const LOSSY_UNTIL: u32 = 1;

/// Where one state ends and the next begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thresholds {
    /// Losses in a row until `Down`. At least 1.
    pub down_after_losses: u8,
    /// Replies in a row until `Down` ends. At least 1.
    pub up_after_replies: u8,
    /// Losses among the last 24 probes until `Lossy`. At least 1.
    pub lossy_after_losses: u8,
    /// `Slow` needs this much more than twice the usual round-trip time.
    pub slow_margin: Span,
    /// Without a measured outcome for this long a cell is `Unknown`.
    pub stale_after: Span,
}

impl Thresholds {
    /// The usual thresholds at a probe interval.
    pub const fn for_interval(interval: Span) -> Self {
        Self {
            down_after_losses: 3,
            up_after_replies: 2,
            lossy_after_losses: 3,
            slow_margin: Span::millis(5),
            stale_after: Span(interval.0.saturating_mul(4)),
        }
    }
}

impl From<&MeshConfig> for Thresholds {
    fn from(config: &MeshConfig) -> Self {
        let cells = &config.cells;
        let stale_after = config.interval().0.saturating_mul(cells.stale_after_intervals.into());
        Self {
            down_after_losses: cells.down_after_losses.max(1),
            up_after_replies: cells.up_after_replies.max(1),
            lossy_after_losses: cells.lossy_after_losses.max(1),
            slow_margin: Span::millis(cells.slow_margin_ms.into()),
            stale_after: Span(stale_after),
        }
    }
}

/// What is remembered of one cell: 56 bytes.
#[derive(Clone, Debug)]
pub struct CellJudge {
    state: CellState,
    /// One bit a measured probe, newest lowest; set is lost.
    losses: u32,
    measured: u8,
    losses_in_a_row: u8,
    replies_in_a_row: u8,
    recent_us: [u32; RECENT],
    recent_count: u8,
    /// Slow moving average of the round-trip time in units of 1/16 µs; 0 before the first reply.
    usual_us_x16: u64,
    last_measured: Option<MonoTime>,
}

impl Default for CellJudge {
    fn default() -> Self {
        Self::new()
    }
}

impl CellJudge {
    /// Nothing known yet.
    pub const fn new() -> Self {
        Self {
            state: CellState::Unknown,
            losses: 0,
            measured: 0,
            losses_in_a_row: 0,
            replies_in_a_row: 0,
            recent_us: [0; RECENT],
            recent_count: 0,
            usual_us_x16: 0,
            last_measured: None,
        }
    }

    /// The state as of the last outcome or [`Self::expire`].
    pub const fn state(&self) -> CellState {
        self.state
    }

    /// Whether the last measured outcome does not fit the state, so that asking again soon would settle it.
    pub const fn is_suspect(&self) -> bool {
        match self.state {
            CellState::Down => self.replies_in_a_row > 0,
            CellState::Unknown | CellState::Ok | CellState::Slow | CellState::Lossy => self.losses_in_a_row > 0,
        }
    }

    /// Share of losses among the last 24 measured probes.
    pub fn loss_permille(&self) -> Option<u16> {
        (self.measured > 0)
            .then(|| u16::try_from(self.losses.count_ones() * 1000 / u32::from(self.measured)).unwrap_or(1000))
    }

    /// Median of the last five round trips, in microseconds.
    pub fn rtt_us(&self) -> Option<u32> {
        let mut recent = self.recent_us;
        let known = &mut recent[..usize::from(self.recent_count)];
        known.sort_unstable();
        known.get(known.len() / 2).copied()
    }

    /// Takes one outcome in. Returns the state before if it is another one now.
    pub fn observe(&mut self, outcome: ProbeOutcome, at: MonoTime, thresholds: &Thresholds) -> Option<CellState> {
        match outcome {
            ProbeOutcome::NotMeasured(_) => return None,
            ProbeOutcome::Lost => self.note_loss(),
            ProbeOutcome::Replied { rtt_us } => self.note_reply(rtt_us, thresholds),
        }
        self.last_measured = Some(at);
        self.enter(self.judge(thresholds))
    }

    /// Notices that nothing was measured for too long. Returns the state before if it is `Unknown` only now.
    pub fn expire(&mut self, now: MonoTime, thresholds: &Thresholds) -> Option<CellState> {
        if now < self.stale_at(thresholds)? {
            return None;
        }
        let before = self.enter(CellState::Unknown);
        *self = Self::new();
        before
    }

    /// When [`Self::expire`] will have something to say.
    pub fn stale_at(&self, thresholds: &Thresholds) -> Option<MonoTime> {
        self.last_measured.map(|last| last + thresholds.stale_after)
    }

    fn enter(&mut self, state: CellState) -> Option<CellState> {
        let before = core::mem::replace(&mut self.state, state);
        (before != state).then_some(before)
    }

    fn note_loss(&mut self) {
        self.push(1);
        self.losses_in_a_row = self.losses_in_a_row.saturating_add(1);
        self.replies_in_a_row = 0;
    }

    fn note_reply(&mut self, rtt_us: u32, thresholds: &Thresholds) {
        self.replies_in_a_row = self.replies_in_a_row.saturating_add(1);
        self.losses_in_a_row = 0;
        if self.state == CellState::Down && self.replies_in_a_row >= thresholds.up_after_replies {
            self.losses = 0;
            self.measured = 0;
            self.recent_count = 0;
        }
        self.push(0);
        self.recent_us.rotate_right(1);
        self.recent_us[0] = rtt_us;
        self.recent_count = (self.recent_count + 1).min(5);
        // What is usual moves by 1/64 of the way, and not at all while the cell is slow, or the fault would become usual.
        if self.usual_us_x16 == 0 {
            self.usual_us_x16 = u64::from(rtt_us).max(1) * 16;
        } else if self.state != CellState::Slow {
            self.usual_us_x16 = (self.usual_us_x16 * 63 + u64::from(rtt_us) * 16) / 64;
        }
    }

    const fn push(&mut self, lost: u32) {
        self.losses = ((self.losses << 1) | lost) & HISTORY_MASK;
        if (self.measured as u32) < HISTORY {
            self.measured += 1;
        }
    }

    fn judge(&self, thresholds: &Thresholds) -> CellState {
        let lost = self.losses.count_ones();
        let still_down = self.state == CellState::Down && self.replies_in_a_row < thresholds.up_after_replies;
        let has_lost_before = lost.saturating_sub(u32::from(self.losses_in_a_row)) >= LOST_BEFORE;
        let needed = thresholds.down_after_losses.saturating_mul(if has_lost_before { 2 } else { 1 });
        if still_down || self.losses_in_a_row >= needed {
            return CellState::Down;
        }
        let stays_lossy = self.state == CellState::Lossy && lost > LOSSY_UNTIL;
        if stays_lossy || lost >= u32::from(thresholds.lossy_after_losses) {
            return CellState::Lossy;
        }
        if self.replies_in_a_row == 0 && self.state == CellState::Unknown {
            return CellState::Unknown;
        }
        let usual_us = self.usual_us_x16 / 16;
        let limit_us = usual_us.saturating_mul(2).saturating_add(thresholds.slow_margin.as_micros());
        let is_slow =
            usize::from(self.recent_count) == RECENT && self.rtt_us().is_some_and(|rtt| u64::from(rtt) > limit_us);
        if is_slow { CellState::Slow } else { CellState::Ok }
    }
}

/// Whether evidence that ended at `evidence_end` may still be shown. Who reads old news shows it as `Unknown` instead.
pub fn is_fresh(evidence_end: UnixTime, now: UnixTime, stale_after: Span) -> bool {
    now.since(evidence_end) <= stale_after
}
