use super::bench::{at, id, key, member, params, trust};
use crate::agent::Agent;
use crate::effect::{Effect, Effects, Input, Statement};
use crate::params::Resume;
use alloc::vec;
use alloc::vec::Vec;
use everypath_protocol::id::AgentId;
use everypath_protocol::member::MemberRecord;
use everypath_protocol::mesh::{DIGEST_MAX, DOCUMENTS_MAX, Holding, Topic};
use everypath_protocol::row::Row;
use everypath_protocol::sign::{Document, Signed, SimulatedScheme, seal};

fn agent(number: u8) -> Agent {
    Agent::new(params(number), Resume::default(), [number; 32], at(0))
}

fn feed(agent: &mut Agent, number: u8, input: Input) -> Effects {
    let (mut all, mut inputs) = (Effects::new(), vec![input]);
    while let Some(input) = inputs.pop() {
        let mut out = Effects::new();
        agent.handle(at(10), input, &mut out);
        for effect in out {
            match effect {
                Effect::SignMember(record) => {
                    inputs.push(Input::MemberSigned(seal(record, trust().mesh(), &key(number))));
                }
                other => all.push(other),
            }
        }
    }
    all
}

fn knows(agent: &mut Agent, own: u8, numbers: impl Iterator<Item = u8>) {
    let statements = numbers.map(|number| Statement::Member(member(number, 1, 1))).collect();
    feed(agent, own, Input::Statements(statements));
}

fn open(documents: Vec<Signed>) -> Vec<Statement> {
    let members = documents.into_iter().filter(|signed| signed.kind == MemberRecord::KIND);
    members.map(|signed| Statement::Member(MemberRecord::open(signed, &trust(), &SimulatedScheme).unwrap())).collect()
}

/// Lets `one` compare with `other` and carries every message until none is left.
fn converge(one: &mut Agent, other: &mut Agent) {
    let mut effects = feed(one, 1, Input::PeerConnected(id(2)));
    let mut back: Effects = Vec::new();
    for _ in 0..20 {
        for effect in core::mem::take(&mut effects) {
            match effect {
                Effect::Compare { first, last, holdings, .. } => {
                    back.extend(feed(other, 2, Input::Compare { ticket: 1, first, last, holdings }));
                }
                Effect::Give { documents, .. } => {
                    feed(other, 2, Input::Statements(open(documents)));
                }
                _ => {}
            }
        }
        for effect in core::mem::take(&mut back) {
            if let Effect::Respond { newer, wanted, .. } = effect {
                effects.extend(feed(one, 1, Input::Difference { from: id(2), newer: open(newer), wanted }));
            }
        }
        effects.extend(feed(one, 1, Input::PeerConnected(id(2))));
    }
}

#[test]
fn after_comparing_both_know_what_either_knew() {
    let (mut one, mut other) = (agent(1), agent(2));
    knows(&mut one, 1, 10..100);
    knows(&mut other, 2, 60..200);
    converge(&mut one, &mut other);
    // Neither has told where it is, so both know the 190 others.
    assert_eq!(one.view(at(20)).members.len(), 191);
    assert_eq!(other.view(at(20)).members.len(), 191);
}

#[test]
fn an_answer_never_holds_more_than_fits_a_message() {
    let mut other = agent(2);
    knows(&mut other, 2, 10..250);
    let (first, last) = (AgentId([0; 32]), AgentId([255; 32]));
    let out = feed(&mut other, 2, Input::Compare { ticket: 7, first, last, holdings: Vec::new() });
    let Some(Effect::Respond { newer, ticket: 7, .. }) = out.first() else { panic!("{out:?}") };
    assert_eq!(newer.len(), DOCUMENTS_MAX);
}

#[test]
fn a_digest_is_bounded_and_the_next_one_goes_on_behind_it() {
    let mut one = agent(1);
    knows(&mut one, 1, (2..=250).filter(|number| *number != 1));
    let ranges: Vec<_> = (0..3)
        .filter_map(|_| {
            match feed(&mut one, 1, Input::PeerConnected(id(2)))
                .into_iter()
                .find(|effect| matches!(effect, Effect::Compare { .. }))
            {
                Some(Effect::Compare { first, last, holdings, .. }) => Some((first, last, holdings.len())),
                _ => None,
            }
        })
        .collect();
    assert!(ranges.iter().all(|(first, last, count)| first <= last && *count <= DIGEST_MAX), "{ranges:?}");
}

#[test]
fn a_range_that_is_upside_down_is_answered_with_nothing() {
    let mut other = agent(2);
    knows(&mut other, 2, 10..20);
    let (first, last) = (AgentId([9; 32]), AgentId([1; 32]));
    let out = feed(&mut other, 2, Input::Compare { ticket: 1, first, last, holdings: Vec::new() });
    assert!(matches!(&out[..], [Effect::Respond { newer, wanted, .. }] if newer.is_empty() && wanted.is_empty()));
}

#[test]
fn a_peer_that_claims_to_hold_what_nobody_made_is_asked_for_little() {
    let mut other = agent(2);
    let bogus = |number: u32| {
        let mut owner = [3; 32];
        owner[..4].copy_from_slice(&number.to_le_bytes());
        Holding { owner: AgentId(owner), topic: Topic::Member, version: member(3, 9, 9).document().version }
    };
    let holdings = (0..100_000).map(bogus).collect();
    let (first, last) = (AgentId([0; 32]), AgentId([255; 32]));
    let out = feed(&mut other, 2, Input::Compare { ticket: 1, first, last, holdings });
    assert!(matches!(&out[..], [Effect::Respond { wanted, .. }] if wanted.len() == DOCUMENTS_MAX));
}

/// A disk was restored from an hour ago: the same incarnation ran before, and others hold newer rows of it than the ones
/// that the restored agent makes. Found by simulation seed 9: nobody listened to it until its numbers had caught up.
#[test]
fn a_restored_agent_goes_above_rows_of_its_former_self() {
    let mut one = agent(1);
    feed(&mut one, 1, Input::AddressesChanged { mesh: Vec::new(), probe: Vec::new() });
    let version =
        everypath_protocol::member::Version { incarnation: everypath_protocol::id::Incarnation(1), number: 200 };
    let held = Holding { owner: id(1), topic: Topic::Row, version };
    let (first, last) = (AgentId([0; 32]), AgentId([255; 32]));
    let compare = Input::Compare { ticket: 1, first, last, holdings: vec![held] };
    let out = feed(&mut one, 1, compare);
    let asks =
        |effect: &Effect| matches!(effect, Effect::Respond { wanted, .. } if wanted.contains(&(id(1), Topic::Row)));
    assert!(out.iter().any(asks), "{out:?}");
    // A claim alone changes nothing: a liar could name any number.
    assert!(!out.iter().any(|effect| matches!(effect, Effect::SignMember(_))), "{out:?}");
    let row = Row { version, at: at(0).wall, cells: Vec::new() };
    let mut out = Effects::new();
    let statement = Statement::Row(seal(row, trust().mesh(), &key(1)));
    one.handle(at(10), Input::Statements(vec![statement]), &mut out);
    let signs = |effect: &Effect| matches!(effect, Effect::SignMember(record) if record.version.incarnation.0 == 2);
    assert!(out.iter().any(signs), "{out:?}");
    assert!(
        out.iter().any(|effect| matches!(effect, Effect::SignRow(row) if row.version.incarnation.0 == 2)),
        "{out:?}"
    );
}
