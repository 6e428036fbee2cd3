//! Agents as a test needs them: a key, a certificate, and batches of records.

use everypath_protocol::batch::{BOOT_UNKNOWN, BatchHeader};
use everypath_protocol::block::{Block, Content};
use everypath_protocol::cell::CellState;
use everypath_protocol::id::{AgentId, BootId, Epoch, Seq};
use everypath_protocol::record::Record;
use everypath_protocol::sign::{self, SecretKey, Signed, Signer as _};
use everypath_protocol::time::{MonoTime, Now, Span, UnixTime};
use everypath_protocol::window::{ProbeKind, ProbeOutcome, Window};

/// When every test begins.
pub(crate) const T0: UnixTime = UnixTime(1_795_392_000_000_000);

/// A key and who it belongs to.
pub(crate) struct TestAgent {
    pub(crate) key: SecretKey,
    pub(crate) certificate: Signed,
}

impl TestAgent {
    pub(crate) fn key(number: u8) -> SecretKey {
        SecretKey::from_seed(&[number; 32])
    }

    pub(crate) fn id(&self) -> AgentId {
        self.key.public().into()
    }

    pub(crate) fn header(&self, blocks: &[Block], body: &[u8], sent_at: UnixTime) -> BatchHeader {
        BatchHeader {
            agent: self.id(),
            epoch: blocks.first().map_or(Epoch(0), |block| block.epoch),
            first: blocks.first().map_or(Seq(1), |block| block.first),
            count: blocks.iter().map(|block| u64::from(block.count())).sum(),
            body_hash: sign::sha256(&[body]),
            boot: BOOT_UNKNOWN,
            sent: Now { mono: MonoTime(0), wall: sent_at },
            config: 0,
        }
    }
}

/// A window of ten seconds that ended at `ended`, with a reply to each of two probes, or none.
pub(crate) fn window(target: AgentId, ended: UnixTime, rtt_us: Option<u32>) -> Record {
    let mut window = Window::new(target, ProbeKind::Icmp, ended.minus(Span::seconds(10)));
    window.span = Span::seconds(10);
    for _ in 0..2 {
        window.add(rtt_us.map_or(ProbeOutcome::Lost, |rtt_us| ProbeOutcome::Replied { rtt_us }));
    }
    window.state = if rtt_us.is_some() { CellState::Ok } else { CellState::Down };
    Record::Window(window.slimmed())
}

/// A block of records, numbered from `first`.
pub(crate) fn block(epoch: u64, first: u64, records: Vec<Record>) -> Block {
    Block {
        epoch: Epoch(epoch),
        first: Seq(first),
        boot: BootId(1),
        written: Now::default(),
        renumbered: false,
        content: Content::Records(records),
    }
}
