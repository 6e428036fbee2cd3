//! What an agent keeps until an aggregator has it.

use crate::cell::CellState;
use crate::id::AgentId;
use crate::time::UnixTime;
use crate::window::{ProbeKind, Window};
use serde::{Deserialize, Serialize};

/// One numbered entry of a stream. Variants are only ever added at the end: the number of a variant is on disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Record {
    /// A closed window.
    Window(Window),
    /// A cell changed its state; written and sent at once.
    Flip(CellFlip),
}

/// A change of state of one cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CellFlip {
    /// Who is probed. The source is the author of the stream.
    pub target: AgentId,
    /// By which kind of probe.
    pub kind: ProbeKind,
    /// When the agent saw it.
    pub at: UnixTime,
    /// The state before.
    pub from: CellState,
    /// The state from then on.
    pub to: CellState,
}

/// Why records were given up. Variants are only ever added at the end: the number of a variant is on disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum DropReason {
    /// The buffer had reached its limit of bytes.
    BufferFull,
    /// The disk could not keep up.
    DiskSlow,
    /// The stored bytes were damaged.
    Damaged,
    /// An aggregator refused the record for good, for what is in it.
    Rejected,
}

impl DropReason {
    /// All of them, in the order of their numbers on disk.
    pub const ALL: [Self; 4] = [Self::BufferFull, Self::DiskSlow, Self::Damaged, Self::Rejected];

    /// The word used in JSON, logs, metrics and the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BufferFull => "buffer_full",
            Self::DiskSlow => "disk_slow",
            Self::Damaged => "damaged",
            Self::Rejected => "rejected",
        }
    }
}
