//! Rows of all agents, and what is shown of them.

use alloc::string::String;
use alloc::vec::Vec;
use everypath_protocol::cell::PackedCell;
use everypath_protocol::id::AgentId;
use everypath_protocol::id::{Epoch, Seq};
use everypath_protocol::time::UnixTime;
use everypath_protocol::window::NotMeasuredCounts;

/// A member as it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberView {
    /// Which agent.
    pub agent: AgentId,
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub site: String,
    /// Version of its program.
    pub program: String,
    /// A connection of the mesh leads to it.
    pub is_connected: bool,
    /// Wall clock of its newest row, if any.
    pub row_at: Option<UnixTime>,
    /// What it measures: stale cells are already `Unknown`.
    pub cells: Vec<(AgentId, PackedCell)>,
}

/// An epoch as it is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochView {
    /// Which.
    pub epoch: Epoch,
    /// Last number handed out.
    pub last: Seq,
    /// Last number on disk.
    pub persisted: Seq,
    /// Last number acknowledged.
    pub acked: Seq,
}

/// All that an agent can show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    /// Which agent shows it.
    pub agent: AgentId,
    /// All members, itself included, by site and name.
    pub members: Vec<MemberView>,
    /// Epochs that are not drained, the live one last.
    pub epochs: Vec<EpochView>,
    /// Bytes that wait for an aggregator.
    pub buffered_bytes: u64,
    /// Records given up since the start.
    pub dropped_records: u64,
    /// Probes that could not be measured since the start, by reason.
    pub not_measured: NotMeasuredCounts,
    /// Probes finished since the start.
    pub probes: u64,
    /// Time of the last acknowledgement.
    pub acked_at: Option<UnixTime>,
}
