//! Whom to probe and when; what is under way; how each cell looks.
//!
//! 1. Each target has its own phase in the interval, from a hash of the pair: probes spread evenly and two agents do not
//!    meet in step.
//! 2. A target that is due while its last probe is under way is not probed twice; a turn that comes late skips what it
//!    missed and never catches up in a burst.
//! 3. A suspect target is asked again after a second, up to five times: waiting a whole interval to settle it would waste
//!    most of the time that a failure may stay unseen.
//! 4. An outcome that the prober never gives is, well after the timeout, *not measured*.

use crate::effect::{Anomaly, Effect, Effects, ProbeRequest};
use crate::pace::Pace;
use crate::params::AgentParams;
use crate::windows::{WindowIndex, Windows};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;
use everypath_protocol::cell::{CellState, PackedCell};
use everypath_protocol::id::{AgentId, ProbeId, pair_hash};
use everypath_protocol::time::{MonoTime, Now, Span};
use everypath_protocol::window::{NotMeasured, NotMeasuredCounts, ProbeKind, ProbeOutcome};
use everypath_verdict::{CellJudge, Thresholds};

/// Extra probes in a row that one suspicion may cause.
const BURST_PROBES: u8 = 5;
/// How long after its timeout a probe may stay without an outcome.
const STALLED_AFTER: Span = Span::seconds(3);

#[derive(Debug)]
struct Target {
    address: IpAddr,
    next_at: MonoTime,
    /// The regular next time, kept while a burst is on.
    regular_at: MonoTime,
    burst_left: u8,
    under_way: bool,
    judge: CellJudge,
}

#[derive(Debug)]
struct UnderWay {
    target: AgentId,
    window: WindowIndex,
    stalled_at: MonoTime,
}

/// A change of a cell's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// Which cell.
    pub target: AgentId,
    /// Before.
    pub from: CellState,
    /// Now.
    pub to: CellState,
}

/// The targets of this agent.
#[derive(Debug)]
pub struct Schedule {
    agent: AgentId,
    interval: Span,
    burst_interval: Span,
    timeout: Span,
    thresholds: Thresholds,
    targets: BTreeMap<AgentId, Target>,
    under_way: BTreeMap<ProbeId, UnderWay>,
    next_probe: u64,
    probes: u64,
    not_measured: NotMeasuredCounts,
    /// Before this no cell goes stale: what was measured at a slower pace is judged by it until there was time for a faster one.
    expire_from: MonoTime,
    /// At or before the time when [`Self::turn`] has something to do, so that most turns cost nothing.
    wake_at: Option<MonoTime>,
}

impl Schedule {
    /// No targets yet.
    pub const fn new(params: &AgentParams, pace: &Pace) -> Self {
        Self {
            agent: params.agent,
            interval: pace.interval,
            burst_interval: params.burst_interval,
            timeout: pace.timeout,
            thresholds: pace.thresholds,
            targets: BTreeMap::new(),
            under_way: BTreeMap::new(),
            next_probe: 0,
            probes: 0,
            not_measured: NotMeasuredCounts([0; 4]),
            expire_from: MonoTime(0),
            wake_at: None,
        }
    }

    /// Goes on at another pace. Who is probed stays, with its history; phases are spread over the new interval.
    pub fn set_pace(&mut self, now: MonoTime, pace: &Pace) {
        if pace.thresholds.stale_after < self.thresholds.stale_after {
            self.expire_from = now + pace.thresholds.stale_after;
        }
        if pace.interval != self.interval {
            for (agent, target) in &mut self.targets {
                target.regular_at = now + Span(pair_hash(&self.agent, agent) % pace.interval.0.max(1));
                // A suspect one is still asked soon.
                target.next_at = target.next_at.min(target.regular_at);
            }
        }
        (self.interval, self.timeout, self.thresholds) = (pace.interval, pace.timeout, pace.thresholds);
        self.wake_at = self.earliest();
    }

    /// Probes these from now on. Who stays keeps phase and history.
    pub fn set_targets(&mut self, now: MonoTime, wanted: &BTreeMap<AgentId, IpAddr>) {
        self.targets.retain(|agent, _| wanted.contains_key(agent));
        for (agent, address) in wanted {
            if let Some(target) = self.targets.get_mut(agent) {
                target.address = *address;
                continue;
            }
            let first = now + Span(pair_hash(&self.agent, agent) % self.interval.0.max(1));
            let target = Target {
                address: *address,
                next_at: first,
                regular_at: first,
                burst_left: BURST_PROBES,
                under_way: false,
                judge: CellJudge::new(),
            };
            self.targets.insert(*agent, target);
        }
        self.wake_at = self.earliest();
    }

    /// Sends what is due, gives up what stalled, and notices cells that went stale.
    pub fn turn(&mut self, now: Now, windows: &mut Windows, out: &mut Effects) -> Vec<Change> {
        if self.wake_at.is_none_or(|wake| now.mono < wake) {
            return Vec::new();
        }
        let mut changes = self.give_up_stalled(now, windows);
        for (agent, target) in &mut self.targets {
            if now.mono >= self.expire_from
                && let Some(from) = target.judge.expire(now.mono, &self.thresholds)
            {
                changes.push(Change { target: *agent, from, to: CellState::Unknown });
            }
            if now.mono < target.next_at {
                continue;
            }
            while target.regular_at <= now.mono {
                target.regular_at = skip_to(target.regular_at, now.mono, self.interval);
            }
            target.next_at = target.regular_at;
            if target.under_way {
                continue;
            }
            target.under_way = true;
            let probe = ProbeId(self.next_probe);
            self.next_probe += 1;
            let window = windows.sent(now, *agent);
            let stalled_at = now.mono + self.timeout + STALLED_AFTER;
            self.under_way.insert(probe, UnderWay { target: *agent, window, stalled_at });
            let (address, timeout) = (target.address, self.timeout);
            out.push(Effect::StartProbe(ProbeRequest {
                probe,
                target: *agent,
                address,
                kind: ProbeKind::Icmp,
                timeout,
            }));
        }
        self.wake_at = self.earliest();
        changes
    }

    /// Takes an outcome in.
    pub fn finished(
        &mut self,
        now: MonoTime,
        probe: ProbeId,
        outcome: ProbeOutcome,
        windows: &mut Windows,
        out: &mut Effects,
    ) -> Option<Change> {
        let Some(UnderWay { target: agent, window, .. }) = self.under_way.remove(&probe) else {
            out.push(Effect::Anomaly(Anomaly::UnknownProbe));
            return None;
        };
        windows.finished(window, agent, outcome);
        self.probes += 1;
        if let ProbeOutcome::NotMeasured(reason) = outcome {
            let count = &mut self.not_measured.0[reason as usize];
            *count = count.saturating_add(1);
        }
        // The target may have left the mesh while the probe was under way; its window still counts the probe.
        let target = self.targets.get_mut(&agent)?;
        target.under_way = false;
        let from = target.judge.observe(outcome, now, &self.thresholds);
        if !target.judge.is_suspect() {
            target.burst_left = BURST_PROBES;
        } else if target.burst_left > 0 {
            target.burst_left -= 1;
            target.next_at = target.next_at.min(now + self.burst_interval);
        }
        let stale_at = target.judge.stale_at(&self.thresholds).map(|at| at.max(self.expire_from));
        self.wake_at = [self.wake_at, Some(target.next_at), stale_at].into_iter().flatten().min();
        from.map(|from| Change { target: agent, from, to: target.judge.state() })
    }

    /// When [`Self::turn`] has something to do, or a little before.
    pub const fn next_deadline(&self) -> Option<MonoTime> {
        self.wake_at
    }

    /// The state of a cell.
    pub fn state_of(&self, target: &AgentId) -> CellState {
        self.targets.get(target).map_or(CellState::Unknown, |target| target.judge.state())
    }

    /// The own row of the matrix, ascending by target.
    pub fn cells(&self) -> Vec<(AgentId, PackedCell)> {
        let pack = |judge: &CellJudge| PackedCell::new(judge.state(), judge.loss_permille(), judge.rtt_us());
        self.targets.iter().map(|(agent, target)| (*agent, pack(&target.judge))).collect()
    }

    /// Probes finished since the start, and how many of them were not measured.
    pub const fn counts(&self) -> (u64, NotMeasuredCounts) {
        (self.probes, self.not_measured)
    }

    /// Ends all probes under way as not measured: the program is about to end.
    pub fn abandon(&mut self, windows: &mut Windows) {
        for (_, probe) in core::mem::take(&mut self.under_way) {
            windows.finished(probe.window, probe.target, ProbeOutcome::NotMeasured(NotMeasured::Stalled));
        }
    }

    fn earliest(&self) -> Option<MonoTime> {
        let due = self.targets.values().map(|target| target.next_at).min();
        let stale = self.targets.values().filter_map(|target| target.judge.stale_at(&self.thresholds)).min();
        let stale = stale.map(|at| at.max(self.expire_from));
        let stalled = self.under_way.values().map(|probe| probe.stalled_at).min();
        [due, stale, stalled].into_iter().flatten().min()
    }

    fn give_up_stalled(&mut self, now: Now, windows: &mut Windows) -> Vec<Change> {
        let is_stalled = |probe: &UnderWay| probe.stalled_at <= now.mono;
        let stalled: Vec<ProbeId> =
            self.under_way.iter().filter(|(_, probe)| is_stalled(probe)).map(|(id, _)| *id).collect();
        let outcome = ProbeOutcome::NotMeasured(NotMeasured::Stalled);
        let give_up = |probe| self.finished(now.mono, probe, outcome, windows, &mut Effects::new());
        stalled.into_iter().filter_map(give_up).collect()
    }
}

/// The first regular time after `now` that keeps the phase.
const fn skip_to(regular: MonoTime, now: MonoTime, interval: Span) -> MonoTime {
    let interval = if interval.0 == 0 { 1 } else { interval.0 };
    let behind = now.0.saturating_sub(regular.0) / interval;
    MonoTime(regular.0.saturating_add((behind + 1).saturating_mul(interval)))
}
