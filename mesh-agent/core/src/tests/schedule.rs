use super::bench::{at, id, params};
use crate::effect::{Anomaly, Effect, Effects, ProbeRequest};
use crate::schedule::{Change, Schedule};
use crate::windows::Windows;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::id::ProbeId;
use everypath_protocol::time::Span;
use everypath_protocol::window::{NotMeasured, ProbeOutcome};

/// Things with the milliseconds at which they happened.
type Timed<T> = Vec<(u64, T)>;

struct Bench {
    schedule: Schedule,
    windows: Windows,
    answer: fn(u64) -> Option<ProbeOutcome>,
}

impl Bench {
    fn new(targets: u8, answer: fn(u64) -> Option<ProbeOutcome>) -> Self {
        let mut schedule = Schedule::new(&params(1), &crate::pace::Pace::new(&params(1), None));
        let wanted: BTreeMap<_, _> = (2..2 + targets).map(|n| (id(n), [10, 0, 0, n].into())).collect();
        schedule.set_targets(at(0).mono, &wanted);
        Self { schedule, windows: Windows::new(Span::seconds(10)), answer }
    }

    /// Runs for this long in steps of 100 ms; every probe is answered in the step after it. Returns times of probes and changes.
    fn run(&mut self, millis: u64) -> (Timed<ProbeRequest>, Timed<Change>) {
        let (mut sent, mut changes) = (Vec::new(), Vec::new());
        let mut waiting: Vec<ProbeId> = Vec::new();
        for step in 0..millis / 100 {
            let now = at(step * 100);
            let mut out = Effects::new();
            for probe in core::mem::take(&mut waiting) {
                if let Some(outcome) = (self.answer)(step * 100) {
                    let change = self.schedule.finished(now.mono, probe, outcome, &mut self.windows, &mut out);
                    changes.extend(change.map(|change| (step * 100, change)));
                }
            }
            changes.extend(
                self.schedule.turn(now, &mut self.windows, &mut out).into_iter().map(|change| (step * 100, change)),
            );
            for effect in out {
                if let Effect::StartProbe(request) = effect {
                    waiting.push(request.probe);
                    sent.push((step * 100, request));
                }
            }
        }
        (sent, changes)
    }
}

fn reply(_: u64) -> Option<ProbeOutcome> {
    Some(ProbeOutcome::Replied { rtt_us: 900 })
}

#[test]
fn every_target_is_probed_once_an_interval_at_its_own_phase() {
    let (sent, _) = Bench::new(50, reply).run(60_000);
    let mut times: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    sent.iter().for_each(|(millis, request)| times.entry(request.target).or_default().push(*millis));
    assert_eq!(times.len(), 50);
    // Steps are 100 ms, so a regular time may fall into the step before or behind it.
    let is_regular = |times: &Vec<u64>| times.windows(2).all(|pair| (4_900..=5_100).contains(&(pair[1] - pair[0])));
    assert!(times.values().all(|times| times.len() >= 11 && is_regular(times)), "{times:?}");
    let first_second = sent.iter().filter(|(millis, _)| *millis < 1_000).count();
    assert!((3..20).contains(&first_second), "{first_second} of 50 in the first of five seconds");
}

#[test]
fn a_failure_is_settled_by_a_burst_within_eight_seconds() {
    let fails_at_20 = |millis| if millis < 20_000 { reply(millis) } else { Some(ProbeOutcome::Lost) };
    let (sent, changes) = Bench::new(1, fails_at_20).run(60_000);
    let down = changes.iter().find(|(_, change)| change.to == CellState::Down).expect("it is seen");
    assert!(down.0 < 28_000, "seen only after {} ms", down.0 - 20_000);
    assert!(sent.len() <= 12 + 5, "a burst ends once the cell is settled: {} probes", sent.len());
}

#[test]
fn not_permitted_is_unknown_and_never_loss() {
    let (_, changes) = Bench::new(3, |_| Some(ProbeOutcome::NotMeasured(NotMeasured::NotPermitted))).run(60_000);
    assert_eq!(changes, []);
}

#[test]
fn a_prober_that_never_answers_makes_cells_unknown_and_probes_not_measured() {
    let silent_after_20 = |millis| if millis < 20_000 { reply(millis) } else { None };
    let mut bench = Bench::new(1, silent_after_20);
    let (sent, changes) = bench.run(60_000);
    assert_eq!(changes.last().map(|(_, change)| change.to), Some(CellState::Unknown));
    let (_, not_measured) = bench.schedule.counts();
    assert!(not_measured.0[NotMeasured::Stalled as usize] > 0);
    assert!(sent.len() <= 12, "a target with a probe under way is not probed again");
}

#[test]
fn a_turn_that_comes_late_does_not_catch_up() {
    let mut bench = Bench::new(1, reply);
    bench.run(10_000);
    let mut out = Effects::new();
    bench.schedule.turn(at(3_600_000), &mut bench.windows, &mut out);
    bench.schedule.turn(at(3_600_100), &mut bench.windows, &mut out);
    assert_eq!(out.len(), 1);
}

#[test]
fn an_outcome_that_nobody_waits_for_is_an_anomaly() {
    let mut bench = Bench::new(1, reply);
    let mut out = Effects::new();
    bench.schedule.finished(at(0).mono, ProbeId(99), ProbeOutcome::Lost, &mut bench.windows, &mut out);
    assert_eq!(out, [Effect::Anomaly(Anomaly::UnknownProbe)]);
}

#[test]
fn a_target_that_leaves_is_forgotten_but_its_probe_is_counted() {
    let mut bench = Bench::new(1, |_| None);
    let (sent, _) = bench.run(5_100);
    bench.schedule.set_targets(at(5_200).mono, &BTreeMap::new());
    let mut out = Effects::new();
    let change =
        bench.schedule.finished(at(5_300).mono, sent[0].1.probe, ProbeOutcome::Lost, &mut bench.windows, &mut out);
    assert_eq!((change, out), (None, Effects::new()));
    let closed = bench.windows.close(at(20_000).mono, false, |_| CellState::Unknown);
    assert_eq!(closed.iter().map(|window| window.lost()).sum::<u32>(), 1);
}
