//! Results as a healthy mesh would send them, from a seed.
//!
//! Round-trip times have a base for each pair, noise of a few per cent, and now and then a spike; one probe in two hundred is
//! lost. Round numbers would compress better than any real network's.

use everypath_protocol::block::{Block, Content, RECORDS_MAX};
use everypath_protocol::cell::CellState;
use everypath_protocol::id::{AgentId, BootId, Epoch, Seq, mix64};
use everypath_protocol::record::Record;
use everypath_protocol::time::{MonoTime, Now, Span, UnixTime};
use everypath_protocol::window::{ProbeKind, ProbeOutcome, Window};

/// Length of a window.
pub(crate) const WINDOW: Span = Span::seconds(10);

/// What one agent measures.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) targets: Vec<AgentId>,
    pub(crate) epoch: Epoch,
    pub(crate) boot: BootId,
    /// Probes in a window; two at the usual interval of five seconds.
    pub(crate) probes: u64,
    next: Seq,
    seed: u64,
}

impl Source {
    pub(crate) fn new(targets: Vec<AgentId>, seed: u64) -> Self {
        let epoch = Epoch(mix64(seed ^ 0xe90c));
        Self { targets, epoch, boot: BootId(mix64(seed ^ 0xb007)), probes: 2, next: Seq(1), seed }
    }

    /// Number of the next record.
    pub(crate) const fn next(&self) -> Seq {
        self.next
    }

    /// The windows of all targets that ended at `end`, in blocks as an agent writes them.
    pub(crate) fn round(&mut self, end: UnixTime, written: MonoTime) -> Vec<Block> {
        let start = end.minus(WINDOW);
        let records: Vec<Record> =
            (0..self.targets.len()).map(|place| Record::Window(self.window(place, start))).collect();
        let mut blocks = Vec::new();
        for records in records.chunks(RECORDS_MAX) {
            let first = self.next;
            self.next = Seq(first.0 + records.len() as u64);
            blocks.push(Block {
                epoch: self.epoch,
                first,
                boot: self.boot,
                written: Now { mono: written, wall: end },
                renumbered: false,
                content: Content::Records(records.to_vec()),
            });
        }
        blocks
    }

    fn window(&self, place: usize, start: UnixTime) -> Window {
        let pair = mix64(self.seed ^ (place as u64) << 20);
        let base_us = 200 + pair % 40_000;
        let mut window = Window::new(self.targets[place], ProbeKind::Icmp, start);
        window.span = WINDOW;
        window.state = CellState::Ok;
        for probe in 0..self.probes {
            let draw = mix64(pair ^ start.0.unsigned_abs() ^ probe << 56);
            let noise = (draw >> 8) % (base_us / 16 + 20);
            let spike = if (draw >> 40).is_multiple_of(97) { base_us * (1 + (draw >> 50) % 8) } else { 0 };
            window.add(match draw % 200 {
                0 => ProbeOutcome::Lost,
                _ => ProbeOutcome::Replied { rtt_us: u32::try_from(base_us + noise + spike).unwrap_or(u32::MAX) },
            });
        }
        window.slimmed()
    }
}

/// A fleet in which everybody probes the first `targets` others behind it.
pub(crate) fn fleet(agents: &[AgentId], targets: usize, seed: u64) -> Vec<Source> {
    let mut fleet = Vec::with_capacity(agents.len());
    for place in 0..agents.len() {
        let others = (1..agents.len()).map(|step| agents[(place + step) % agents.len()]).take(targets).collect();
        fleet.push(Source::new(others, mix64(mix64(seed) ^ place as u64)));
    }
    fleet
}
