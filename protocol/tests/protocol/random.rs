//! Random values of the protocol's types, from a seed, for laws that must hold for all of them.

use everypath_protocol::block::{Block, Content};
use everypath_protocol::cell::CellState;
use everypath_protocol::histogram::Histogram;
use everypath_protocol::id::{AgentId, BootId, Epoch, Seq};
use everypath_protocol::record::{CellFlip, DropReason, Record};
use everypath_protocol::time::{MonoTime, Now, Span, UnixTime};
use everypath_protocol::window::{NotMeasured, ProbeKind, ProbeOutcome, Window};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

pub(crate) struct Random(ChaCha8Rng);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }

    pub(crate) fn place(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap()
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    pub(crate) fn agent(&mut self) -> AgentId {
        // Few different ones, so that blocks name an agent more than once.
        AgentId([u8::try_from(self.below(20)).unwrap(); 32])
    }

    pub(crate) fn outcome(&mut self) -> ProbeOutcome {
        match self.below(4) {
            0 => ProbeOutcome::Lost,
            1 => ProbeOutcome::NotMeasured(NotMeasured::ALL[self.place(4)]),
            _ => {
                let shift = self.below(32);
                ProbeOutcome::Replied { rtt_us: u32::try_from(self.bits() >> (32 + shift)).unwrap() }
            }
        }
    }

    pub(crate) fn histogram(&mut self) -> Histogram {
        let mut histogram = Histogram::new();
        for _ in 0..self.below(30) {
            let shift = self.below(32);
            histogram.add(u32::try_from(self.bits() >> (32 + shift)).unwrap());
        }
        histogram
    }

    pub(crate) fn window(&mut self) -> Window {
        let mut window = Window::new(self.agent(), ProbeKind::Icmp, UnixTime(self.bits() as i64));
        window.span = Span(self.below(60_000_000_000));
        for _ in 0..self.below(20) {
            window.add(self.outcome());
        }
        window.late = u32::try_from(self.below(3)).unwrap();
        window.state = CellState::ALL[self.place(5)];
        window
    }

    pub(crate) fn record(&mut self) -> Record {
        if self.below(4) > 0 {
            return Record::Window(self.window());
        }
        let states = (CellState::ALL[self.place(5)], CellState::ALL[self.place(5)]);
        let at = UnixTime(self.bits() as i64);
        Record::Flip(CellFlip { target: self.agent(), kind: ProbeKind::Icmp, at, from: states.0, to: states.1 })
    }

    pub(crate) fn block(&mut self) -> Block {
        let content = if self.below(5) == 0 {
            Content::Dropped {
                count: 1 + u32::try_from(self.below(1_000_000)).unwrap(),
                reason: DropReason::BufferFull,
            }
        } else {
            let count = 1 + self.below(40);
            Content::Records((0..count).map(|_| self.record()).collect())
        };
        Block {
            epoch: Epoch(self.bits()),
            first: Seq(1 + self.below(1 << 40)),
            boot: BootId(self.bits()),
            written: Now { mono: MonoTime(self.bits()), wall: UnixTime(self.bits() as i64) },
            renumbered: self.below(2) == 0,
            content,
        }
    }
}
