//! The numbers that an agent is started with, and what its disk remembers. No strings to parse, nothing optional that
//! means "default": the shell has done that.

use crate::pace::Overrides;
use alloc::string::String;
use alloc::vec::Vec;
use everypath_protocol::id::{AgentId, BootId, Epoch, Incarnation, Seq};
use everypath_protocol::sign::Signed;
use everypath_protocol::time::Span;
use everypath_verdict::Thresholds;

/// The numbers that an agent is started with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgentParams {
    /// This agent.
    pub agent: AgentId,
    /// Its certificate, to be shown in its member record.
    pub certificate: Signed,
    /// Version of the program.
    pub program: String,
    /// This process.
    pub boot: BootId,
    /// Higher than at any start before.
    pub incarnation: Incarnation,
    /// Each target is probed this often.
    pub probe_interval: Span,
    /// A suspect target is probed this often, a few times.
    pub burst_interval: Span,
    /// Without a reply for this long a probe is lost.
    pub probe_timeout: Span,
    /// Length of a window.
    pub window: Span,
    /// Length of a window while nothing was acknowledged for [`AgentParams::lonely_after`].
    pub window_lonely: Span,
    /// See there.
    pub lonely_after: Span,
    /// Most targets at a time.
    pub targets_max: usize,
    /// Connections that the agent keeps up.
    pub links_target: usize,
    /// Two neighbours compare what they hold this often.
    pub exchange_interval: Span,
    /// The own row is told anew this often even when nothing changed, so that others can tell silence from health.
    pub row_interval: Span,
    /// Where one state of a cell ends and the next begins.
    pub thresholds: Thresholds,
    /// Most bytes of records that wait for an aggregator.
    pub buffer_bytes_max: u64,
    /// There is an aggregator to send to.
    pub has_aggregator: bool,
    /// What the operator of this host set; it wins over the configuration of the mesh.
    pub overrides: Overrides,
}

impl AgentParams {
    /// The usual numbers: probes every 5 s, windows of 10 s, a buffer of 64 MiB, 64 targets.
    pub fn usual(agent: AgentId, certificate: Signed, boot: BootId, incarnation: Incarnation) -> Self {
        let probe_interval = Span::seconds(5);
        Self {
            agent,
            certificate,
            program: String::new(),
            boot,
            incarnation,
            probe_interval,
            burst_interval: Span::seconds(1),
            probe_timeout: Span::seconds(1),
            window: Span::seconds(10),
            window_lonely: Span::seconds(60),
            lonely_after: Span::seconds(600),
            targets_max: 64,
            links_target: 12,
            exchange_interval: Span::seconds(5),
            row_interval: Span::seconds(30),
            thresholds: Thresholds::for_interval(probe_interval),
            buffer_bytes_max: 64 * 1024 * 1024,
            has_aggregator: true,
            overrides: Overrides::default(),
        }
    }
}

/// A block that waits on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoredBlock {
    /// First number.
    pub first: Seq,
    /// Last number.
    pub last: Seq,
    /// Its size.
    pub bytes: u32,
    /// Whether it holds state changes, which are given up last.
    pub holds_flips: bool,
    /// Whether it is a tombstone.
    pub is_tombstone: bool,
}

/// An epoch of an earlier process, or one sealed before this process ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredEpoch {
    /// Which.
    pub epoch: Epoch,
    /// Last number that was acknowledged.
    pub acked: Seq,
    /// Last number that was stored.
    pub last: Seq,
    /// What waits, ascending, gapless from `acked + 1` to `last`.
    pub blocks: Vec<StoredBlock>,
}

/// What the disk remembers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resume {
    /// Oldest first; only those in which something waits.
    pub epochs: Vec<StoredEpoch>,
}
