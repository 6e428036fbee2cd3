//! Cells against rules.

use super::*;
use crate::alert::rule::{Condition, RuleId, Severity};
use crate::alert::scope::{Scope, Selector};
use crate::alert::{Evaluator, Judged};
use everypath_protocol::id::mix64;
use everypath_protocol::mesh_config::MeshConfig;

/// One cell under one rule, second by second; returns in which seconds it was broken.
fn broken(rule: &Rule, cells: &[(CellState, u16, u32)]) -> Vec<usize> {
    let member =
        |number, name| Member { id: agent(number), name, site: "s", tags: &[], is_endpoint: false, joined: None };
    let members = [member(0, "a"), member(1, "b")];
    let mut evaluator = Evaluator::default();
    let mut seconds = Vec::new();
    for (second, (state, loss, rtt)) in cells.iter().enumerate() {
        let now = T0.plus(Span::seconds(second as u64));
        let packed = PackedCell::new(*state, Some(*loss), Some(*rtt));
        let cells = [ShownCell { source: 0, target: 1, packed, ended: Some(now) }];
        let sight = Sight { members: &members, cells: &cells, sync: Span::seconds(1), config: &MeshConfig::usual() };
        let judged = evaluator.evaluate(now, &sight, core::slice::from_ref(rule));
        if judged.broken.contains_key(&(agent(0), agent(1))) {
            seconds.push(second);
        }
    }
    seconds
}

fn rule(condition: Condition, hold: u64, clear: u64) -> Rule {
    let [usual, ..] = rule::usual();
    Rule { condition, hold: Span::seconds(hold), clear: Span::seconds(clear), ..usual }
}

const LOSS: Condition = Condition::Loss { above: 50, below: 20 };
const OK: (CellState, u16, u32) = (CellState::Ok, 0, 1_000);
const LOSSY: (CellState, u16, u32) = (CellState::Ok, 100, 1_000);
const DOWN: (CellState, u16, u32) = (CellState::Down, 1_000, 0);

fn series(parts: &[((CellState, u16, u32), usize)]) -> Vec<(CellState, u16, u32)> {
    parts.iter().flat_map(|(cell, count)| core::iter::repeat_n(*cell, *count)).collect()
}

#[test]
fn unreachable_is_at_once_and_over_at_once() {
    let rule = rule(Condition::Unreachable, 0, 0);
    assert_eq!(broken(&rule, &series(&[(OK, 3), (DOWN, 2), (OK, 2), (DOWN, 1)])), [3, 4, 7]);
}

#[test]
fn what_must_hold_for_some_time_must() {
    let rule = rule(Condition::Unreachable, 3, 0);
    assert_eq!(broken(&rule, &series(&[(DOWN, 3), (OK, 1), (DOWN, 5)])), [7, 8], "it begins anew");
}

#[test]
fn loss_is_over_below_its_lower_threshold_and_for_some_time() {
    let rule = rule(LOSS, 3, 2);
    let between = (CellState::Ok, 40, 1_000);
    let cells = series(&[(LOSSY, 5), (between, 5), (OK, 1), (LOSSY, 1), (OK, 4)]);
    assert_eq!(broken(&rule, &cells), (3..13).collect::<Vec<_>>());
}

#[test]
fn loss_that_comes_and_goes_is_told_if_it_comes_more_than_it_goes() {
    let rule = rule(LOSS, 30, 5);
    let turns = |lossy: usize, fine: usize| {
        let parts: Vec<_> = (0..20).flat_map(|_| [(LOSSY, lossy), (OK, fine)]).collect();
        broken(&rule, &series(&parts)).first().copied()
    };
    assert!(turns(4, 2).is_some_and(|second| second > 60));
    assert_eq!(turns(3, 3), None);
    assert_eq!(turns(2, 4), None);
}

#[test]
fn round_trip_times_have_thresholds_too() {
    let slow = (CellState::Ok, 0, 9_000);
    let rule = rule(Condition::Rtt { above_us: 5_000, below_us: 2_000 }, 2, 0);
    assert_eq!(broken(&rule, &series(&[(slow, 4), ((CellState::Ok, 0, 3_000), 2), (OK, 2)])), [2, 3, 4, 5]);
}

#[test]
fn what_is_not_measured_neither_begins_nor_ends_anything() {
    let unknown = (CellState::Unknown, 0, 0);
    let rule = rule(Condition::Unreachable, 0, 0);
    let cells = series(&[(DOWN, 2), (unknown, 50), (DOWN, 1), (OK, 1)]);
    assert_eq!(broken(&rule, &cells), [0, 1, 52], "unknown is no evidence, and no end");
    let loss = self::rule(LOSS, 4, 0);
    assert_eq!(
        broken(&loss, &series(&[(LOSSY, 3), (unknown, 99), (LOSSY, 3)])),
        [103, 104],
        "the time goes on where it was"
    );
}

#[test]
fn a_gap_between_evaluations_counts_for_little() {
    let member =
        |number, name| Member { id: agent(number), name, site: "s", tags: &[], is_endpoint: false, joined: None };
    let members = [member(0, "a"), member(1, "b")];
    let rule = rule(LOSS, 60, 0);
    let mut evaluator = Evaluator::default();
    let mut look = |second: u64| {
        let now = T0.plus(Span::seconds(second));
        let packed = PackedCell::new(CellState::Ok, Some(100), None);
        let cells = [ShownCell { source: 0, target: 1, packed, ended: Some(now) }];
        let sight = Sight { members: &members, cells: &cells, sync: Span::seconds(1), config: &MeshConfig::usual() };
        !evaluator.evaluate(now, &sight, core::slice::from_ref(&rule)).broken.is_empty()
    };
    assert!(!look(0) && !look(1) && !look(3_600));
    assert!((3_601..3_654).all(|second| !look(second)), "of the hour five seconds count");
    assert!(look(3_655));
}

#[test]
fn an_outage_is_not_told_as_loss_afterwards() {
    let mut rules = Vec::from([rule(Condition::Unreachable, 0, 0), rule(LOSS, 10, 0)]);
    rules[1].id = RuleId(2);
    let member =
        |number, name| Member { id: agent(number), name, site: "s", tags: &[], is_endpoint: false, joined: None };
    let members = [member(0, "a"), member(1, "b")];
    let run = |rules: &[Rule], minutes_down: u64| -> Vec<RuleId> {
        let mut evaluator = Evaluator::default();
        let mut seen = Vec::new();
        for second in 0..minutes_down * 60 + 120 {
            let now = T0.plus(Span::seconds(second));
            let is_down = second < minutes_down * 60;
            let left = (minutes_down * 60 + 60).saturating_sub(second).min(60) * 1_000 / 60;
            let state = if is_down { CellState::Down } else { CellState::Ok };
            let packed = PackedCell::new(state, Some(u16::try_from(left).expect("small")), None);
            let cells = [ShownCell { source: 0, target: 1, packed, ended: Some(now) }];
            let sight =
                Sight { members: &members, cells: &cells, sync: Span::seconds(1), config: &MeshConfig::usual() };
            let Judged { broken, .. } = evaluator.evaluate(now, &sight, rules);
            seen.extend(broken.into_values().flatten());
        }
        assert!(evaluator.is_empty(), "nothing is remembered of what is over");
        seen.sort_unstable();
        seen.dedup();
        seen
    };
    assert_eq!(run(&rules, 10), [RuleId(1)]);
    rules.remove(0);
    assert_eq!(run(&rules, 10), [RuleId(2)], "without a rule for outages, all lost is loss");
}

#[test]
fn a_cell_that_is_down_where_no_rule_looks_is_no_evidence_and_a_lossy_one_is_good() {
    let mut world = World::new();
    world.rules.truncate(1);
    world.rules[0].scope = Scope { source: Selector::site("alpha"), target: Selector::site("alpha"), both_ways: false };
    world.set(3, 4, CellState::Down, 1_000, 0);
    world.set(3, 5, CellState::Lossy, 200, 9);
    let cells = world.shown();
    let members: Vec<Member<'_>> = (0..9)
        .map(|number| Member {
            id: agent(number),
            name: "",
            site: world.names[usize::from(number)].1,
            tags: &[],
            is_endpoint: false,
            joined: None,
        })
        .collect();
    let sight = Sight { members: &members, cells: &cells, sync: Span::seconds(1), config: &MeshConfig::usual() };
    let judged = Evaluator::default().evaluate(T0, &sight, &world.rules);
    let of = |source, target| {
        let cell = judged.snapshot.cells.iter().find(|cell| (cell.source, cell.target) == (source, target));
        cell.map(|cell| (cell.state, cell.is_fresh)).expect("measured")
    };
    assert_eq!(of(3, 4), (CellState::Unknown, false));
    assert_eq!(of(3, 5), (CellState::Ok, true));
    assert!(judged.broken.is_empty());
}

#[test]
fn silence_is_evidence_first_and_breaks_a_rule_later() {
    let mut world = World::new();
    world.quiet.insert(2, T0);
    let mut seen = (0, 0);
    for second in 1..100 {
        world.now = T0.plus(Span::seconds(second));
        let cells = world.shown();
        let members: Vec<Member<'_>> = (0..9)
            .map(|number| Member { id: agent(number), name: "", site: "", tags: &[], is_endpoint: false, joined: None })
            .collect();
        let sight = Sight { members: &members, cells: &cells, sync: Span::seconds(1), config: &MeshConfig::usual() };
        let judged = Evaluator::default().evaluate(world.now, &sight, &world.rules);
        if judged.snapshot.roster[2].silent_since.is_some() && seen.0 == 0 {
            seen.0 = second;
        }
        if judged.silent.contains_key(&agent(2)) && seen.1 == 0 {
            seen.1 = second;
            assert_eq!(judged.silent[&agent(2)], [RuleId(3)]);
        }
        assert!(judged.snapshot.roster.iter().filter(|seat| seat.silent_since.is_some()).count() <= 1);
    }
    assert_eq!(seen, (17, 60));
}

#[test]
fn whatever_cells_do_no_more_is_remembered_than_there_are_cells_and_rules() {
    for seed in 0..8_u64 {
        let mut world = World::new();
        world.rules[1].severity = Severity::Info;
        for second in 0..100_u64 {
            let draw = mix64(seed << 32 | second);
            let (source, target) = (u8::try_from(draw % 9).expect("small"), u8::try_from(draw / 9 % 9).expect("small"));
            if source != target {
                let state = CellState::ALL[usize::try_from(draw / 81 % 5).expect("small")];
                world.set(source, target, state, u16::try_from(draw >> 40 & 0x3ff).expect("small"), 7);
            }
            world.second();
            assert!(world.watch.evaluator().len() <= 72 * 2);
        }
        world.heal();
        world.seconds(400);
        assert!(world.watch.evaluator().is_empty(), "seed {seed}");
        assert!(world.open().is_empty(), "seed {seed}");
        assert_eq!(world.watch.evaluator().left_out(), 0);
    }
}

#[test]
fn what_there_is_no_room_for_is_no_evidence_of_health() {
    let mut world = World::new();
    world.all(|_, _| true, CellState::Down);
    let cells = world.shown();
    let members: Vec<Member<'_>> = (0..9)
        .map(|number| Member { id: agent(number), name: "", site: "", tags: &[], is_endpoint: false, joined: None })
        .collect();
    let sight = Sight { members: &members, cells: &cells, sync: Span::seconds(1), config: &MeshConfig::usual() };
    let mut evaluator = Evaluator::default();
    evaluator.entries_max = 10;
    let judged = evaluator.evaluate(T0, &sight, &world.rules[..1]);
    assert_eq!((judged.broken.len(), evaluator.len(), evaluator.left_out()), (10, 10, 62));
    let fresh = judged.snapshot.cells.iter().filter(|cell| cell.is_fresh);
    assert!(fresh.clone().all(|cell| cell.state == CellState::Down));
    assert_eq!(fresh.count(), 10);
}
