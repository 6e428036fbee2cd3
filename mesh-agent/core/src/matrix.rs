//! Rows of all agents, and what is shown of them.

use crate::effect::{Anomaly, Effect, Effects};
use crate::pace::Pace;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use everypath_protocol::cell::{CellState, PackedCell};
use everypath_protocol::id::{AgentId, Epoch, Incarnation, Seq};
use everypath_protocol::member::Version;
use everypath_protocol::record::DropReason;
use everypath_protocol::row::{CELLS_MAX, Row};
use everypath_protocol::sign::Verified;
use everypath_protocol::time::{MonoTime, Now, Span, UnixTime};
use everypath_protocol::window::NotMeasuredCounts;
use everypath_verdict::is_fresh;

/// After a cell went down or came back a row is told at once, but not more often than this.
const ROW_INTERVAL_MIN: Span = Span::seconds(1);
/// After any other change it is told this soon: lossy paths change often, and telling all of it would cost more than the probes.
const ROW_INTERVAL_LAZY: Span = Span::seconds(10);
/// A row that was not renewed for so many intervals says nothing any more.
const ROW_STALE_INTERVALS: u64 = 3;

/// Everybody's newest row.
#[derive(Debug)]
pub struct Rows {
    rows: BTreeMap<AgentId, (Verified<Row>, MonoTime)>,
    interval: Span,
    number: u64,
    next_at: MonoTime,
    told_at: Option<MonoTime>,
}

impl Rows {
    /// The first own row comes as soon as there is something to tell, at the latest after one interval.
    pub fn new(interval: Span, now: MonoTime) -> Self {
        Self { rows: BTreeMap::new(), interval, number: 0, next_at: now + ROW_INTERVAL_MIN, told_at: None }
    }

    /// The newest row of an agent.
    pub fn get(&self, owner: &AgentId) -> Option<&Verified<Row>> {
        self.rows.get(owner).map(|(row, _)| row)
    }

    /// Takes a checked row of a member in. Returns whether it is news.
    pub fn take(&mut self, now: MonoTime, row: Verified<Row>, is_member: bool, out: &mut Effects) -> bool {
        let owner: AgentId = row.author().into();
        let is_newer = self.get(&owner).is_none_or(|held| row.document().version > held.document().version);
        if !is_member || !is_newer {
            out.push(Effect::Anomaly(Anomaly::UselessStatement));
            return false;
        }
        self.rows.insert(owner, (row, now));
        true
    }

    /// A cell of the own row changed its state.
    pub fn hurry(&mut self, now: MonoTime, from: CellState, to: CellState) {
        let is_urgent = from == CellState::Down || to == CellState::Down;
        let pause = if is_urgent { ROW_INTERVAL_MIN } else { ROW_INTERVAL_LAZY };
        let soonest = self.told_at.map_or(now, |told| told + pause);
        self.next_at = self.next_at.min(soonest.max(now));
    }

    /// Hands out the own row to be signed when it is due.
    pub fn turn(
        &mut self,
        now: Now,
        incarnation: Incarnation,
        cells: impl FnOnce() -> Vec<(AgentId, PackedCell)>,
        out: &mut Effects,
    ) {
        if now.mono < self.next_at {
            return;
        }
        self.next_at = now.mono + self.interval;
        self.told_at = Some(now.mono);
        self.number += 1;
        let mut cells = cells();
        cells.truncate(CELLS_MAX);
        let version = Version { incarnation, number: self.number };
        out.push(Effect::SignRow(Row { version, at: now.wall, cells }));
    }

    /// When [`Self::turn`] has something to do.
    pub const fn next_deadline(&self) -> MonoTime {
        self.next_at
    }

    /// The cells of an agent's row as they may be shown, and when it was told. Past [`ROW_STALE_INTERVALS`] — by the author's
    /// label or since it came in, because a dead agent's last row may come in late — every cell is unknown.
    pub fn shown(&self, owner: &AgentId, now: Now) -> (Option<UnixTime>, Vec<(AgentId, PackedCell)>) {
        let Some((row, received)) = self.rows.get(owner) else { return (None, Vec::new()) };
        let document = row.document();
        let stale_after = Span(self.interval.0.saturating_mul(ROW_STALE_INTERVALS));
        let is_renewed = now.mono.since(*received) <= stale_after;
        let is_stale = !(is_renewed && is_fresh(document.at, now.wall, stale_after));
        let show = |(target, cell): &(AgentId, PackedCell)| {
            let is_known_state = CellState::from_code(cell.state).is_some();
            (*target, if is_stale || !is_known_state { PackedCell::UNKNOWN } else { *cell })
        };
        (Some(document.at), document.cells.iter().map(show).collect())
    }
}

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

/// An endpoint as it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndpointView {
    /// Its identity.
    pub endpoint: AgentId,
    /// What people call it.
    pub name: String,
    /// As the configuration has it.
    pub address: String,
    /// Where it was found, if this agent observes it.
    pub found: Option<IpAddr>,
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
    /// Hosts without an agent, in the order of the configuration.
    pub endpoints: Vec<EndpointView>,
    /// Version of the mesh's configuration that is in force; 0: none.
    pub config_version: u64,
    /// When it was made.
    pub config_made: Option<UnixTime>,
    /// The numbers in force.
    pub pace: Pace,
    /// Epochs that are not drained, the live one last.
    pub epochs: Vec<EpochView>,
    /// Bytes that wait for an aggregator.
    pub buffered_bytes: u64,
    /// Records given up since the start.
    pub dropped_records: u64,
    /// The same by reason, in the order of [`DropReason::ALL`].
    pub dropped_by_reason: [u64; DropReason::ALL.len()],
    /// Blocks handed to the disk and not confirmed.
    pub unpersisted_blocks: usize,
    /// Bytes of those: what of the results is only in memory.
    pub unpersisted_bytes: u64,
    /// Probes that could not be measured since the start, by reason.
    pub not_measured: NotMeasuredCounts,
    /// Probes finished since the start.
    pub probes: u64,
    /// Time of the last acknowledgement.
    pub acked_at: Option<UnixTime>,
}
