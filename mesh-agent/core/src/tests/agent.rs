use super::bench::{at, id, key, member, params, trust};
use crate::agent::Agent;
use crate::effect::{Effect, Effects, Input, PersistOp, Statement};
use crate::params::Resume;
use alloc::vec;
use alloc::vec::Vec;
use everypath_protocol::block::{Block, Content};
use everypath_protocol::cell::CellState;
use everypath_protocol::record::Record;
use everypath_protocol::sign::seal;
use everypath_protocol::time::Span;
use everypath_protocol::window::ProbeOutcome;

/// Lives for this long among `others` agents that answer every ping in a millisecond until `fails_at`, then none.
fn live(others: u8, millis: u64, fails_at: u64) -> (Agent, Vec<Record>, u64) {
    let mut agent = Agent::new(params(1), Resume::default(), [1; 32], at(0));
    let members = (2..2 + others).map(|number| Statement::Member(member(number, 1, 1))).collect();
    let mut inputs = vec![Input::Statements(members)];
    let (mut records, mut probes) = (Vec::new(), 0);
    let mut step = 0;
    while step <= millis {
        inputs.push(if step == millis { Input::Shutdown } else { Input::Wakeup });
        let mut out = Effects::new();
        for input in core::mem::take(&mut inputs) {
            agent.handle(at(step), input, &mut out);
        }
        for effect in out {
            match effect {
                Effect::StartProbe(request) => {
                    probes += 1;
                    let outcome =
                        if step < fails_at { ProbeOutcome::Replied { rtt_us: 1_000 } } else { ProbeOutcome::Lost };
                    inputs.push(Input::ProbeFinished { probe: request.probe, outcome });
                }
                Effect::Persist(PersistOp::Append { epoch, last, bytes, .. }) => {
                    inputs.push(Input::Persisted { epoch, up_to: last });
                    if let Content::Records(more) = Block::decode(&bytes).unwrap().content {
                        records.extend(more);
                    }
                }
                Effect::SignRow(row) => inputs.push(Input::RowSigned(seal(row, trust().mesh(), &key(1)))),
                _ => {}
            }
        }
        step += 100;
    }
    (agent, records, probes)
}

/// Conservation: every probe that was started is counted in exactly one window, as sent or as not measured.
#[test]
fn every_probe_is_counted_once() {
    let (_, records, probes) = live(9, 61_500, 30_000);
    let counted = records.iter().map(|record| match record {
        Record::Window(window) => u64::from(window.sent) + u64::from(window.not_measured.total()),
        Record::Flip(_) => 0,
    });
    assert_eq!(counted.sum::<u64>(), probes);
    assert!(probes > 100);
}

#[test]
fn a_cell_flips_to_ok_and_to_down_and_each_flip_is_a_record() {
    let (agent, records, _) = live(2, 60_000, 30_000);
    let flips: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::Flip(flip) if flip.target == id(2) => Some((flip.from, flip.to)),
            Record::Flip(_) | Record::Window(_) => None,
        })
        .collect();
    assert_eq!(flips.first(), Some(&(CellState::Unknown, CellState::Ok)));
    assert_eq!(flips.last().map(|(_, to)| *to), Some(CellState::Down));
    let own = agent.view(at(60_000)).members.into_iter().find(|member| member.agent == id(1)).unwrap();
    assert!(own.cells.iter().all(|(_, cell)| cell.state == CellState::Down.code()));
}

#[test]
fn a_spurious_wakeup_does_nothing() {
    let (mut agent, _, _) = live(3, 20_000, u64::MAX);
    let mut out = Effects::new();
    let now = at(20_001);
    agent.handle(now, Input::Wakeup, &mut out);
    out.clear();
    agent.handle(now, Input::Wakeup, &mut out);
    assert_eq!(out, []);
    assert!(agent.next_wakeup().is_none_or(|wake| wake > now.mono), "it would spin");
}

#[test]
fn a_row_that_was_not_renewed_is_shown_as_unknown() {
    let (mut agent, _, _) = live(1, 10_000, u64::MAX);
    let cells = vec![(id(1), everypath_protocol::cell::PackedCell::new(CellState::Ok, Some(0), Some(900)))];
    let version = everypath_protocol::member::Version::default();
    let row = everypath_protocol::row::Row { version, at: at(10_000).wall, cells };
    let mut out = Effects::new();
    let row = seal(row, trust().mesh(), &key(2));
    agent.handle(at(10_000), Input::Statements(vec![Statement::Row(row)]), &mut out);
    let state = |millis| {
        let members = agent.view(at(millis)).members;
        let other = members.into_iter().find(|member| member.agent == id(2)).unwrap();
        CellState::from_code(other.cells[0].1.state).unwrap()
    };
    assert_eq!((state(90_000), state(101_000)), (CellState::Ok, CellState::Unknown));
}

#[test]
fn a_row_of_nobody_is_not_taken() {
    let mut agent = Agent::new(params(1), Resume::default(), [1; 32], at(0));
    let row = everypath_protocol::row::Row {
        version: everypath_protocol::member::Version::default(),
        at: at(0).wall,
        cells: vec![],
    };
    let mut out = Effects::new();
    agent.handle(at(0), Input::Statements(vec![Statement::Row(seal(row, trust().mesh(), &key(99)))]), &mut out);
    assert_eq!(agent.view(at(0)).members.len(), 1);
    assert!(out.contains(&Effect::Anomaly(crate::effect::Anomaly::UselessStatement)));
}

/// The wall clock is set while windows are open and records wait: every record lies where it would lie had the clock always
/// said what it said when its block was written.
#[test]
fn a_stepped_wall_clock_leaves_every_block_labelled_by_one_setting() {
    for step_us in [3_600_000_000_i64, -3_600_000_000, 31_536_000_000_000, -1_790_000_000_000_000] {
        let mut agent = Agent::new(params(1), Resume::default(), [1; 32], at(0));
        let mut inputs = vec![Input::Statements(vec![Statement::Member(member(2, 1, 1))])];
        let mut ends = 0;
        for step in (0..=60_000_u64).step_by(100) {
            let mut now = at(step);
            now.wall.0 += if step >= 33_300 { step_us } else { 0 };
            inputs.push(if step == 60_000 { Input::Shutdown } else { Input::Wakeup });
            let mut out = Effects::new();
            for input in core::mem::take(&mut inputs) {
                agent.handle(now, input, &mut out);
            }
            for effect in out {
                match effect {
                    Effect::StartProbe(request) => {
                        let outcome = ProbeOutcome::Replied { rtt_us: 1_000 };
                        inputs.push(Input::ProbeFinished { probe: request.probe, outcome });
                    }
                    Effect::Persist(PersistOp::Append { epoch, last, bytes, .. }) => {
                        inputs.push(Input::Persisted { epoch, up_to: last });
                        let block = Block::decode(&bytes).unwrap();
                        let Content::Records(records) = block.content else { continue };
                        for record in records {
                            let (end, span) = match record {
                                Record::Window(window) => (window.end(), window.span),
                                Record::Flip(flip) => (flip.at, Span::ZERO),
                            };
                            ends += 1;
                            assert!(
                                end <= block.written.wall,
                                "{step_us}: {end:?} is later than {:?}",
                                block.written.wall
                            );
                            assert!(
                                block.written.wall.since(end) <= Span::seconds(3),
                                "{step_us}: {end:?} {:?}",
                                block.written.wall
                            );
                            assert!(span <= Span::seconds(10), "{span:?}");
                        }
                    }
                    _ => {}
                }
            }
        }
        assert!(ends >= 7, "{ends} records prove too little");
    }
}
