use super::bench::{SEED, at, id, member, params};
use crate::effect::{Anomaly, Effect, Effects};
use crate::membership::Membership;
use everypath_protocol::id::Incarnation;
use everypath_protocol::time::Span;

fn knows(count: u8) -> Membership {
    let mut membership = Membership::new(&params(1), SEED);
    let mut out = Effects::new();
    (2..2 + count).for_each(|number| assert!(membership.take(at(0).mono, member(number, 1, 1), &mut out)));
    membership
}

fn dialled(effects: &Effects) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Dial { .. })).count()
}

#[test]
fn only_a_newer_record_of_its_owner_replaces_one() {
    let mut membership = knows(1);
    let mut out = Effects::new();
    assert!(!membership.take(at(1).mono, member(2, 1, 1), &mut out));
    assert_eq!(out, [Effect::Anomaly(Anomaly::UselessStatement)]);
    assert!(membership.take(at(1).mono, member(2, 1, 2), &mut out));
    assert!(membership.take(at(1).mono, member(2, 2, 1), &mut out), "a later start wins over any statement before it");
    assert!(!membership.take(at(1).mono, member(2, 1, 99), &mut out));
}

#[test]
fn a_small_mesh_is_fully_connected_and_a_large_one_is_not() {
    for (members, links) in [(8, 8), (60, 12)] {
        let mut out = Effects::new();
        knows(members).turn(at(5_000).mono, &mut out);
        assert_eq!(dialled(&out), links);
    }
}

/// Found by simulation: after a cut between halves of 25 agents had healed, every agent had its twelve connections within
/// its own half, and the halves never met again.
#[test]
fn an_agent_with_all_the_connections_it_wants_still_looks_for_others() {
    let mut membership = knows(60);
    let mut out = Effects::new();
    (2..=13).for_each(|number| membership.connected(id(number), &mut out));
    membership.turn(at(5_000).mono, &mut out);
    assert_eq!(dialled(&out), 0);
    let deadline = membership.next_deadline().unwrap();
    assert!(deadline <= at(60_000).mono);
    membership.turn(deadline, &mut out);
    assert_eq!(dialled(&out), 1);
    assert!(membership.next_deadline().unwrap() > deadline, "it would spin");
}

#[test]
fn who_cannot_be_reached_is_tried_less_and_less() {
    let mut membership = knows(1);
    let mut dials = alloc::vec::Vec::new();
    let mut now = at(5_000).mono;
    while dials.len() < 12 {
        let mut out = Effects::new();
        membership.turn(now, &mut out);
        if dialled(&out) == 1 {
            dials.push(now);
            membership.dial_failed(now, id(2));
        }
        now = membership.next_deadline().unwrap();
    }
    let pauses: alloc::vec::Vec<Span> = dials.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert!(pauses[0] <= Span::seconds(2) && pauses[10] >= Span::seconds(30), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= Span::seconds(60)), "{pauses:?}");
}

#[test]
fn a_dial_that_is_never_answered_counts_as_failed() {
    let mut membership = knows(1);
    let mut out = Effects::new();
    membership.turn(at(5_000).mono, &mut out);
    let deadline = membership.next_deadline().unwrap();
    membership.turn(deadline, &mut out);
    let again = membership.next_deadline().unwrap();
    assert!(again > deadline);
    membership.turn(again, &mut out);
    assert_eq!(dialled(&out), 2);
}

#[test]
fn too_many_connections_are_closed_again() {
    let mut membership = knows(60);
    let mut out = Effects::new();
    (2..=17).for_each(|number| membership.connected(id(number), &mut out));
    assert_eq!(out, [], "sixteen are wanted or spare");
    membership.connected(id(18), &mut out);
    assert!(matches!(out[..], [Effect::Disconnect(_)]));
}

#[test]
fn an_agent_that_hears_a_newer_self_goes_on_above_it() {
    let mut membership = knows(0);
    let mut out = Effects::new();
    assert!(!membership.take(at(0).mono, member(1, 7, 3), &mut out));
    assert_eq!(membership.incarnation(), Incarnation(8));
    assert!(
        matches!(&out[..], [Effect::Anomaly(Anomaly::OwnRecordFromElsewhere), Effect::SignMember(record)] if record.version.incarnation == Incarnation(8))
    );
    out.clear();
    membership.take(at(0).mono, member(1, 7, 9), &mut out);
    assert_eq!(out, [], "it is above that already");
}

#[test]
fn everybody_is_a_target_while_the_mesh_is_small() {
    assert_eq!(knows(60).targets(64).len(), 60);
}

#[test]
fn in_a_large_mesh_targets_are_bounded_and_both_ends_choose_each_other() {
    let all: alloc::vec::Vec<u8> = (1..=200).collect();
    let targets_of = |own: u8| {
        let mut membership = Membership::new(&params(own), SEED);
        let mut out = Effects::new();
        for number in all.iter().filter(|number| **number != own) {
            membership.take(at(0).mono, member(*number, 1, 1), &mut out);
        }
        membership.targets(64)
    };
    let (one, other) = (targets_of(1), targets_of(77));
    assert_eq!((one.len(), other.len()), (64, 64));
    assert_eq!(one.contains_key(&id(77)), other.contains_key(&id(1)));
    let partner = *one.keys().next().unwrap();
    assert!(targets_of(partner.0[0]).contains_key(&id(1)));
}
