//! Runs seeds, each twice, and says in one line of JSON what came of it.

use crate::pace::{Pace, Size};
use crate::returning::{DRAINED_MAX_H, FRESH_MAX_S};
use crate::server::Bug;
use crate::world::{Outcome, World};
use serde::Serialize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Agents of the largest return that is run twice.
const TWICE_MAX: usize = 1_000;

/// One seed, run twice.
#[derive(Clone, Copy, Debug)]
pub struct SeedReport {
    /// Which.
    pub seed: u64,
    /// Of the first run.
    pub outcome: Outcome,
    /// Both runs were the same to the last bit.
    pub is_deterministic: bool,
}

/// The last line of `make sim`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Summary {
    /// Seeds run, each twice.
    pub seeds: u64,
    /// Agents in each.
    pub agents: usize,
    /// Virtual hours of each.
    pub virtual_hours: f64,
    /// Records that were on a disk and not given up.
    pub records: u64,
    /// Agents and aggregators killed.
    pub crashes: u64,
    /// Times that a network fell into parts.
    pub partitions: u64,
    /// Disks replaced by an older copy of themselves.
    pub restored_disks: u64,
    /// Records given up with a tombstone.
    pub drops: u64,
    /// Messages and probes that did not arrive.
    pub messages_lost: u64,
    /// Records lost.
    pub lost: u64,
    /// Records in the database twice.
    pub duplicated: u64,
    /// Numbers of which the database says nothing.
    pub silent_gaps: u64,
    /// Records that were only on a disk that was replaced by an older copy of itself.
    pub gone_with_disks: u64,
    /// Agents with an old epoch left at the end.
    pub undrained: u64,
    /// Ordered pairs not measured at the end.
    pub unmeasured: u64,
    /// Rows filed under a time that is wrong by more than it may be.
    pub misfiled: u64,
    /// Clocks stepped, hosts suspended, disks full, an aggregator that was busy.
    pub disturbances: u64,
    /// Seeds whose two runs differed.
    pub nondeterministic: u64,
    /// Seeds without a crash, a partition or a drop: they would prove too little.
    pub tame_seeds: u64,
    /// After a return, of the worst seed: seconds until something new of 99 in 100 agents was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh_p99_s: Option<f64>,
    /// After a return, of the worst seed: hours until the last backlog was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drained_h: Option<f64>,
    /// After a return: batches that the aggregator had no time for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy: Option<u64>,
    /// Events of both runs of all seeds, by real second.
    pub events_per_second: u64,
}

impl Summary {
    /// Whether everything held.
    pub fn is_clean(&self) -> bool {
        self.lost == 0
            && self.duplicated == 0
            && self.silent_gaps == 0
            && self.undrained == 0
            && self.unmeasured == 0
            && self.misfiled == 0
            && self.nondeterministic == 0
            && self.tame_seeds == 0
            && self.fresh_p99_s.is_none_or(|seconds| seconds <= f64::from(FRESH_MAX_S))
            && self.drained_h.is_none_or(|hours| hours <= f64::from(DRAINED_MAX_H))
    }
}

/// Runs one seed once.
pub fn run_once(seed: u64, size: Size, bug: Option<Bug>) -> Outcome {
    World::new(seed, size, bug).run(size.length)
}

/// Runs seeds `first ..` on all processors, each twice.
pub fn run(first: u64, seeds: u64, size: Size, say: impl Fn(&SeedReport) + Sync) -> Vec<SeedReport> {
    let next = AtomicU64::new(first);
    let reports = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                break;
            }
            let outcome = run_once(seed, size, None);
            // A return of ten thousand takes minutes; whether it is deterministic, a smaller one shows.
            let is_large = size.pace == Pace::Returning && size.agents > TWICE_MAX;
            let is_deterministic = is_large || run_once(seed, size, None) == outcome;
            let report = SeedReport { seed, outcome, is_deterministic };
            say(&report);
            reports.lock().expect("no other thread panics while it holds this").push(report);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    reports.into_inner().expect("all threads have ended")
}

/// Adds the seeds up.
pub fn summarise(reports: &[SeedReport], size: Size, real_seconds: f64) -> Summary {
    let sum = |field: fn(&Outcome) -> u64| reports.iter().map(|report| field(&report.outcome)).sum::<u64>();
    let count = |test: fn(&SeedReport) -> bool| {
        u64::try_from(reports.iter().filter(|report| test(report)).count()).unwrap_or(u64::MAX)
    };
    let is_tame = |report: &SeedReport| {
        let Outcome { crashes, partitions, findings, .. } = report.outcome;
        crashes == 0 || partitions == 0 || findings.dropped == 0
    };
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate, for people"
    )]
    let events_per_second = (2.0 * sum(|outcome| outcome.events) as f64 / real_seconds.max(1e-9)) as u64;
    #[expect(clippy::cast_precision_loss, reason = "seconds and hours, for people")]
    let returned = |field: fn(&Outcome) -> u64, unit: f64| {
        let worst = reports.iter().map(|report| field(&report.outcome)).max().unwrap_or(0);
        (size.pace == Pace::Returning).then(|| worst as f64 / unit)
    };
    #[expect(clippy::cast_precision_loss, reason = "hours, for people")]
    let virtual_hours = size.length.as_seconds() as f64 / 3_600.0;
    Summary {
        seeds: count(|_| true),
        agents: size.agents,
        virtual_hours,
        records: sum(|outcome| outcome.findings.records),
        crashes: sum(|outcome| outcome.crashes),
        partitions: sum(|outcome| outcome.partitions),
        restored_disks: sum(|outcome| outcome.restored_disks),
        drops: sum(|outcome| outcome.findings.dropped),
        messages_lost: sum(|outcome| outcome.messages_lost),
        lost: sum(|outcome| outcome.findings.lost),
        duplicated: sum(|outcome| outcome.findings.duplicated),
        silent_gaps: sum(|outcome| outcome.findings.silent_gaps),
        gone_with_disks: sum(|outcome| outcome.findings.gone_with_disks),
        undrained: sum(|outcome| outcome.undrained),
        unmeasured: sum(|outcome| outcome.unmeasured),
        misfiled: sum(|outcome| outcome.misfiled),
        disturbances: sum(|outcome| outcome.disturbances),
        nondeterministic: count(|report| !report.is_deterministic),
        // A return is about nothing but the return.
        tame_seeds: if size.pace == Pace::Returning { 0 } else { count(is_tame) },
        fresh_p99_s: returned(|outcome| outcome.fresh_p99_ms, 1e3),
        drained_h: returned(|outcome| outcome.drained_ms, 3.6e6),
        busy: (size.pace == Pace::Returning).then(|| sum(|outcome| outcome.busy)),
        events_per_second,
    }
}
