//! Everybody comes back at once: an aggregator that was away for a day, with a queue of what it can do.
//!
//! Nothing else goes wrong here. What is asked is how soon something new arrives of each agent, and how long the old takes,
//! when the aggregator can do no more than three times what these agents send on a usual day.

use crate::network::HostIndex;
use crate::random::Random;
use everypath_protocol::id::{Epoch, Seq};
use everypath_protocol::time::Span;
use std::collections::BTreeMap;

/// What the aggregator can do, in times of what all agents send when nothing waits.
const CAPACITY: u64 = 3;
/// Of each agent on a usual day: a batch of one row in this time.
const LIVE_EVERY: Span = Span::seconds(10);
/// Further behind than this the aggregator says that it is busy,
const BEHIND_MAX: Span = Span::millis(500);
/// and to a backlog already here, as the one that ships: what is fresh must find room.
const BEHIND_MAX_OLD: Span = Span::millis(125);
/// And asks for this pause, as the one that ships.
pub(crate) const RETRY_AFTER: Span = Span::seconds(2);
/// What has not arrived by then, never does as far as this is concerned.
const DRAIN_MAX: Span = Span::seconds(DRAINED_MAX_H as u64 * 3_600);
/// Goal: by then everything old is there,
pub(crate) const DRAINED_MAX_H: u32 = 12;
/// and by then something new of 99 in 100 agents.
pub(crate) const FRESH_MAX_S: u32 = 60;

/// The return.
#[derive(Debug)]
pub(crate) struct Returning {
    /// When the aggregator is there again.
    pub(crate) at: u64,
    /// When it has done all that it has taken.
    free_at: u64,
    batch_cost: Span,
    row_cost: Span,
    owed: Vec<BTreeMap<Epoch, Seq>>,
    fresh_at: Vec<Option<u64>>,
    drained_at: Vec<Option<u64>>,
    left: usize,
    /// Batches that were sent away.
    pub(crate) busy: u64,
}

impl Returning {
    /// After `outage`, at any second of a minute: agents end their windows at full minutes.
    pub(crate) fn new(agents: usize, outage: Span, random: &mut Random) -> Self {
        let count = u64::try_from(agents).unwrap_or(u64::MAX).max(1);
        // Half of a usual batch's cost is the batch, half is what is in it, as it is with 64 targets on PostgreSQL.
        let half = Span(LIVE_EVERY.0 / (2 * CAPACITY * count));
        Self {
            at: outage.0 + random.span(Span::ZERO, Span::seconds(60)).0,
            free_at: 0,
            batch_cost: half,
            row_cost: half,
            owed: Vec::new(),
            fresh_at: vec![None; agents],
            drained_at: vec![None; agents],
            left: 2 * agents,
            busy: 0,
        }
    }

    /// When a batch of so many rows that comes at `at` is stored, or `None` if the aggregator has too much to do.
    pub(crate) fn admit(&mut self, at: u64, rows: u64, is_old: bool) -> Option<u64> {
        let behind_max = if is_old { BEHIND_MAX_OLD } else { BEHIND_MAX };
        if self.free_at > at.saturating_add(behind_max.0) {
            self.busy += 1;
            return None;
        }
        self.free_at = self.free_at.max(at) + self.batch_cost.0 + self.row_cost.0 * rows;
        Some(self.free_at)
    }

    /// The aggregator is there again; this is what waits on each disk.
    pub(crate) fn begin(&mut self, owed: Vec<BTreeMap<Epoch, Seq>>) {
        self.owed = owed;
    }

    /// Something that was measured since is stored.
    pub(crate) fn fresh(&mut self, host: HostIndex, at: u64) {
        if self.fresh_at[host].is_none() {
            self.fresh_at[host] = Some(at);
            self.left -= 1;
        }
    }

    /// An agent knows that everything up to here is stored.
    pub(crate) fn acked(&mut self, host: HostIndex, epoch: Epoch, up_to: Seq, at: u64) {
        let Some(owed) = self.owed.get_mut(host) else { return };
        if owed.get(&epoch).is_some_and(|last| *last <= up_to) {
            owed.remove(&epoch);
            if owed.is_empty() && self.drained_at[host].is_none() {
                self.drained_at[host] = Some(at);
                self.left -= 1;
            }
        }
    }

    /// Nothing is left to wait for, or it has taken too long.
    pub(crate) const fn is_over(&self, at: u64) -> bool {
        self.left == 0 || at > self.at + DRAIN_MAX.0
    }

    /// How long 99 in 100 agents waited for something new, and the last one for the end of its backlog.
    pub(crate) fn figures(&self) -> (Span, Span) {
        let waits = |times: &[Option<u64>]| {
            let mut waits: Vec<u64> = times.iter().map(|at| at.map_or(u64::MAX, |at| at - self.at)).collect();
            waits.sort_unstable();
            waits
        };
        let (fresh, drained) = (waits(&self.fresh_at), waits(&self.drained_at));
        let p99 = (fresh.len() * 99).div_ceil(100).saturating_sub(1);
        (Span(fresh[p99]), Span(drained[drained.len() - 1]))
    }
}
