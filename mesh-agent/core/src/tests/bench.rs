//! What the tests share: a mesh of simulated keys, clocks that count in seconds, records to write.

use crate::effect::{Effect, Effects, PersistOp};
use crate::params::AgentParams;
use alloc::string::ToString;
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::id::{AgentId, BootId, Incarnation, PublicKey};
use everypath_protocol::member::{MemberRecord, Version};
use everypath_protocol::record::{CellFlip, Record};
use everypath_protocol::sign::{Signed, SimulatedKey, SimulatedScheme, Verified, seal};
use everypath_protocol::time::{MonoTime, Now, Span, UnixTime};
use everypath_protocol::trust::{Certificate, Delegation, Trust, mesh_of};
use everypath_protocol::window::{ProbeKind, Window};

pub(super) const SEED: [u8; 32] = [7; 32];
/// A multiple of ten seconds, so that windows begin where the tests begin.
const BEGIN: i64 = 1_767_225_600_000_000;

pub(super) const fn key(number: u8) -> SimulatedKey {
    SimulatedKey(PublicKey([number; 32]))
}

pub(super) const fn id(number: u8) -> AgentId {
    AgentId([number; 32])
}

/// Both clocks, this many milliseconds after the beginning. The monotonic one began an hour before.
pub(super) fn at(millis: u64) -> Now {
    let mono = MonoTime(Span::seconds(3_600).0 + Span::millis(millis).0);
    Now { mono, wall: UnixTime(BEGIN).plus(Span::millis(millis)) }
}

pub(super) fn trust() -> Trust {
    let (root, issuer) = (key(251), key(252));
    let mesh = mesh_of(&root.0);
    let delegation = Delegation { version: 1, issuers: alloc::vec![issuer.0], config: Vec::new() };
    Trust::new(mesh, seal(delegation, mesh, &root))
}

pub(super) fn certificate(number: u8) -> Signed {
    let certificate = Certificate {
        agent: id(number),
        name: alloc::format!("agent-{number}"),
        site: "here".to_string(),
        serial: 1,
        not_before: UnixTime(0),
        not_after: UnixTime(1),
    };
    seal(certificate, trust().mesh(), &key(252)).signed().clone()
}

pub(super) fn params(number: u8) -> AgentParams {
    AgentParams::usual(id(number), certificate(number), BootId(1), Incarnation(1))
}

pub(super) fn member(number: u8, incarnation: u64, statement: u64) -> Verified<MemberRecord> {
    let record = MemberRecord {
        version: Version { incarnation: Incarnation(incarnation), number: statement },
        certificate: certificate(number),
        mesh_addresses: alloc::vec![alloc::format!("/memory/{number}")],
        probe_addresses: alloc::vec![[10, 0, 0, number].into()],
        program: "test".to_string(),
    };
    let signed = seal(record, trust().mesh(), &key(number)).signed().clone();
    MemberRecord::open(signed, &trust(), &SimulatedScheme).expect("it was made by its owner")
}

pub(super) fn window(target: u8, millis: u64) -> Record {
    Record::Window(Window::new(id(target), ProbeKind::Icmp, at(millis).wall))
}

pub(super) fn flip(target: u8, millis: u64) -> Record {
    let (from, to) = (CellState::Ok, CellState::Down);
    Record::Flip(CellFlip { target: id(target), kind: ProbeKind::Icmp, at: at(millis).wall, from, to })
}

/// First and last numbers of what was appended.
pub(super) fn appended(effects: &Effects) -> Vec<(u64, u64)> {
    let ops = effects.iter().filter_map(|effect| match effect {
        Effect::Persist(PersistOp::Append { first, last, .. }) => Some((first.0, last.0)),
        _ => None,
    });
    ops.collect()
}

/// First and last numbers of what was to be uploaded.
pub(super) fn uploaded(effects: &Effects) -> Vec<(u64, u64)> {
    let uploads = effects.iter().filter_map(|effect| match effect {
        Effect::Upload { first, last, .. } => Some((first.0, last.0)),
        _ => None,
    });
    uploads.collect()
}
