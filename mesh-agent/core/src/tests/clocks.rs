//! Clocks that jump: the wall clock by hours and years, the monotonic one by a suspend. Monotonic time measures, wall time
//! labels, so nothing but labels may change.

use super::bench::{at, key, member, params, trust};
use crate::agent::Agent;
use crate::effect::{Effect, Effects, Input, PersistOp, Statement};
use crate::params::Resume;
use alloc::vec::Vec;
use everypath_protocol::block::{Block, Content};
use everypath_protocol::record::Record;
use everypath_protocol::sign::seal;
use everypath_protocol::time::{MonoTime, Now, Span, UnixTime};
use everypath_protocol::window::{ProbeOutcome, Window};

const OTHERS: u8 = 9;
const STEP_MS: u64 = 100;

/// What a life has brought.
#[derive(Default)]
struct Life {
    windows: Vec<Window>,
    started: u64,
    finished: u64,
    /// Most probes started within one step.
    burst_max: u64,
    latest_wakeup: Span,
}

/// Two minutes in which both clocks jump after one: the wall clock by so many microseconds, the monotonic one by a span.
fn live(wall_jump_us: i64, suspended: Span) -> Life {
    let jump_at = 60_000;
    let clocks = |millis: u64| {
        let now = at(millis);
        if millis < jump_at {
            return now;
        }
        let wall =
            now.wall.0.saturating_add(wall_jump_us).saturating_add(i64::try_from(suspended.as_micros()).unwrap());
        Now { mono: MonoTime(now.mono.0 + suspended.0), wall: UnixTime(wall) }
    };
    let mut agent = Agent::new(params(1), Resume::default(), [1; 32], at(0));
    let members = (2..2 + OTHERS).map(|number| Statement::Member(member(number, 1, 1))).collect();
    let mut inputs = alloc::vec![Input::Statements(members)];
    let mut life = Life::default();
    for millis in (0..=120_000).step_by(usize::try_from(STEP_MS).unwrap()) {
        let now = clocks(millis);
        inputs.push(if millis == 120_000 { Input::Shutdown } else { Input::Wakeup });
        let mut out = Effects::new();
        for input in core::mem::take(&mut inputs) {
            life.finished += u64::from(matches!(input, Input::ProbeFinished { .. }));
            agent.handle(now, input, &mut out);
        }
        let mut burst = 0;
        for effect in out {
            match effect {
                Effect::StartProbe(request) => {
                    burst += 1;
                    let outcome = ProbeOutcome::Replied { rtt_us: 1_000 };
                    inputs.push(Input::ProbeFinished { probe: request.probe, outcome });
                }
                Effect::Persist(PersistOp::Append { epoch, last, bytes, .. }) => {
                    inputs.push(Input::Persisted { epoch, up_to: last });
                    if let Content::Records(records) = Block::decode(&bytes).unwrap().content {
                        life.windows.extend(records.into_iter().filter_map(|record| match record {
                            Record::Window(window) => Some(window),
                            Record::Flip(_) => None,
                        }));
                    }
                }
                Effect::SignRow(row) => inputs.push(Input::RowSigned(seal(row, trust().mesh(), &key(1)))),
                _ => {}
            }
        }
        life.started += burst;
        life.burst_max = life.burst_max.max(burst);
        let wakeup = agent.next_wakeup().expect("there is always something to do");
        life.latest_wakeup = life.latest_wakeup.max(wakeup.since(now.mono));
    }
    life
}

fn check(what: &str, life: &Life, calm: &Life) {
    let counted = |life: &Life| -> u64 {
        life.windows.iter().map(|window| u64::from(window.sent) + u64::from(window.not_measured.total())).sum()
    };
    assert_eq!(counted(life), life.started, "{what}: a probe was lost or counted twice");
    assert!(life.burst_max <= u64::from(OTHERS), "{what}: {} probes at once", life.burst_max);
    let (most, least) = (calm.started + u64::from(OTHERS), calm.started.saturating_sub(u64::from(OTHERS)));
    assert!((least..=most).contains(&life.started), "{what}: {} probes, {} usually", life.started, calm.started);
    for window in &life.windows {
        assert!(window.span <= Span::seconds(60), "{what}: a window of {:?}", window.span);
        let rtt = window.rtt.expect("everything was answered");
        assert_eq!((rtt.min_us, rtt.max_us), (1_000, 1_000), "{what}: an absurd round trip");
    }
    assert!(life.latest_wakeup <= Span::seconds(60), "{what}: it would sleep for {:?}", life.latest_wakeup);
    assert!(calm.started.abs_diff(life.finished) <= 2 * u64::from(OTHERS), "{what}");
}

#[test]
fn a_stepped_wall_clock_changes_labels_and_nothing_else() {
    const HOUR_US: i64 = 3_600_000_000;
    let calm = live(0, Span::ZERO);
    let to_1970 = -at(60_000).wall.0;
    for jump in
        [HOUR_US, -HOUR_US, 365 * 24 * HOUR_US, -365 * 24 * HOUR_US, to_1970, to_1970 - HOUR_US, i64::MAX, i64::MIN]
    {
        let life = live(jump, Span::ZERO);
        let what = alloc::format!("a step of {jump} us");
        check(&what, &life, &calm);
        assert_eq!(life.started, calm.started, "{what}");
    }
}

#[test]
fn a_suspend_of_two_hours_is_not_caught_up_in_a_burst() {
    let calm = live(0, Span::ZERO);
    let life = live(0, Span::seconds(7_200));
    check("a suspend", &life, &calm);
    let long_windows = live(-7_200_000_000, Span::seconds(7_200));
    check("a suspend of a host whose wall clock stood still", &long_windows, &calm);
}
