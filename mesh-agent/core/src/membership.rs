//! Who is in the mesh, and to whom this agent keeps connections.
//!
//! A member record is raised by its owner only; the newest wins everywhere. A member that falls silent stays in the table:
//! whether it can be reached is what the matrix is for.

use crate::effect::{Anomaly, Effect, Effects};
use crate::params::AgentParams;
use crate::random::{Random, Stream as RandomStream};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use everypath_protocol::id::{AgentId, Incarnation, pair_hash};
use everypath_protocol::member::{self, MemberRecord, Version};
use everypath_protocol::sign::{Signed, Verified};
use everypath_protocol::time::{MonoTime, Span};
use everypath_protocol::trust::Certificate;

/// Most members; further ones are not taken in.
pub const MEMBERS_MAX: usize = 16_384;
/// Connections beyond the wanted ones before some are closed.
const LINKS_SPARE: usize = 4;
const DIAL_PAUSE_MIN: Span = Span::seconds(1);
const DIAL_PAUSE_MAX: Span = Span::seconds(60);
/// However many connections there are, a member without one is dialled this often. Two halves of a mesh that was cut have all
/// the connections they want, each within itself: without this they would never find each other again.
const SHUFFLE: Span = Span::seconds(60);
/// How long a dial may take before it counts as failed, whatever the shell says.
const DIAL_TIMEOUT: Span = Span::seconds(20);
/// Of two agents the one with the higher key waits this long, so that they do not dial each other at once.
const DIAL_COURTESY: Span = Span::seconds(2);

/// A member of the mesh other than this agent.
#[derive(Debug)]
pub struct Member {
    /// What it says of itself.
    pub record: Verified<MemberRecord>,
    /// What its issuer says of it.
    pub certificate: Certificate,
    /// A connection leads to it.
    pub is_connected: bool,
    dial_at: MonoTime,
    dial_failures: u32,
    dial_until: Option<MonoTime>,
}

/// The table of members and the wish for connections.
#[derive(Debug)]
pub struct Membership {
    agent: AgentId,
    certificate: Signed,
    program: String,
    version: Version,
    mesh_addresses: Vec<String>,
    probe_addresses: Vec<IpAddr>,
    own: Option<Verified<MemberRecord>>,
    members: BTreeMap<AgentId, Member>,
    /// Connected peers of which no record is known yet.
    strangers: Vec<AgentId>,
    links_target: usize,
    /// When [`Self::turn`] has something to do; counted anew after each change.
    wake_at: Option<MonoTime>,
    shuffle_at: Option<MonoTime>,
    random: Random,
}

impl Membership {
    /// Knows nobody yet.
    pub fn new(params: &AgentParams, seed: [u8; 32]) -> Self {
        Self {
            agent: params.agent,
            certificate: params.certificate.clone(),
            program: params.program.clone(),
            version: Version { incarnation: params.incarnation, number: 0 },
            mesh_addresses: Vec::new(),
            probe_addresses: Vec::new(),
            own: None,
            members: BTreeMap::new(),
            strangers: Vec::new(),
            links_target: params.links_target,
            wake_at: None,
            shuffle_at: None,
            random: Random::new(seed, RandomStream::Membership),
        }
    }

    /// Where this host can be reached has changed.
    pub fn set_addresses(&mut self, mesh: Vec<String>, probe: Vec<IpAddr>, out: &mut Effects) {
        self.mesh_addresses = mesh;
        self.probe_addresses = probe;
        self.publish(out);
    }

    /// The own record came back signed.
    pub fn signed(&mut self, record: Verified<MemberRecord>) {
        let is_newer = self.own.as_ref().is_none_or(|own| record.document().version > own.document().version);
        if is_newer {
            self.own = Some(record);
        }
    }

    /// Takes a checked record in. Returns whether it is news.
    pub fn take(&mut self, now: MonoTime, record: Verified<MemberRecord>, out: &mut Effects) -> bool {
        let owner = member::owner(&record);
        let version = record.document().version;
        if owner == self.agent {
            if version > self.version {
                self.outrank(version, out);
            }
            return false;
        }
        let is_known = self.members.contains_key(&owner);
        let is_news = self.members.get(&owner).is_none_or(|member| version > member.record.document().version);
        if !is_news || (!is_known && self.members.len() >= MEMBERS_MAX) {
            out.push(Effect::Anomaly(Anomaly::UselessStatement));
            return false;
        }
        out.push(Effect::RememberMember(record.clone()));
        let certificate = member::certificate(&record);
        if let Some(member) = self.members.get_mut(&owner) {
            let restarted = version.incarnation > member.record.document().version.incarnation;
            member.record = record;
            member.certificate = certificate;
            if restarted {
                (member.dial_failures, member.dial_at) = (0, now);
            }
            self.wake_at = self.earliest();
            return true;
        }
        let is_connected = self.strangers.contains(&owner);
        self.strangers.retain(|stranger| *stranger != owner);
        let courtesy = if self.agent < owner { Span::ZERO } else { DIAL_COURTESY };
        let dial_at = now + courtesy;
        let member = Member { record, certificate, is_connected, dial_at, dial_failures: 0, dial_until: None };
        self.members.insert(owner, member);
        self.shuffle_at.get_or_insert(now + SHUFFLE);
        self.wake_at = self.earliest();
        true
    }

    /// Somebody holds a statement of ours that this process did not make: another copy of this host speaks, or our disk was
    /// restored. We go on above it, or nobody would listen to us.
    pub fn outrank(&mut self, version: Version, out: &mut Effects) {
        out.push(Effect::Anomaly(Anomaly::OwnRecordFromElsewhere));
        // Already above it: the others only do not know yet.
        if version.incarnation >= self.version.incarnation {
            self.version.incarnation = Incarnation(version.incarnation.0.saturating_add(1));
            self.publish(out);
        }
    }

    /// A connection leads to this peer.
    pub fn connected(&mut self, peer: AgentId, out: &mut Effects) {
        match self.members.get_mut(&peer) {
            Some(member) => {
                member.is_connected = true;
                member.dial_failures = 0;
                member.dial_until = None;
            }
            None => self.strangers.push(peer),
        }
        let links = self.links();
        if links.len() > self.links_target + LINKS_SPARE
            && let Some(surplus) = self.random.pick(&links)
        {
            out.push(Effect::Disconnect(*surplus));
        }
        self.wake_at = self.earliest();
    }

    /// No connection leads to this peer any more.
    pub fn disconnected(&mut self, now: MonoTime, peer: AgentId) {
        self.strangers.retain(|stranger| *stranger != peer);
        if let Some(member) = self.members.get_mut(&peer) {
            member.is_connected = false;
            member.dial_at = now + self.random.jittered(DIAL_PAUSE_MIN);
        }
        self.wake_at = self.earliest();
    }

    /// A member could not be reached.
    pub fn dial_failed(&mut self, now: MonoTime, peer: AgentId) {
        if let Some(member) = self.members.get_mut(&peer) {
            member.dial_until = None;
            member.dial_failures = member.dial_failures.saturating_add(1);
            let grown = DIAL_PAUSE_MIN.0.saturating_mul(1 << member.dial_failures.min(16));
            member.dial_at = now + self.random.jittered(Span(grown.min(DIAL_PAUSE_MAX.0)));
        }
        self.wake_at = self.earliest();
    }

    /// Dials members until there are enough connections.
    pub fn turn(&mut self, now: MonoTime, out: &mut Effects) {
        if self.wake_at.is_none_or(|wake| now < wake) {
            return;
        }
        let timed_out = |member: &Member| member.dial_until.is_some_and(|until| now >= until);
        let late: Vec<AgentId> =
            self.members.iter().filter(|(_, member)| timed_out(member)).map(|(agent, _)| *agent).collect();
        for agent in late {
            self.dial_failed(now, agent);
        }
        let mut missing = self.missing_links();
        if self.shuffle_at.is_some_and(|at| now >= at) {
            self.shuffle_at = Some(now + self.random.jittered(SHUFFLE));
            missing = missing.max(1);
        }
        let is_ready = |member: &Member| !member.is_connected && member.dial_until.is_none() && now >= member.dial_at;
        let mut ready: Vec<AgentId> =
            self.members.iter().filter(|(_, member)| is_ready(member)).map(|(agent, _)| *agent).collect();
        while missing > 0 && !ready.is_empty() {
            let agent = ready.swap_remove(self.random.below(ready.len()));
            let member = self.members.get_mut(&agent).expect("collected from the table");
            member.dial_until = Some(now + DIAL_TIMEOUT);
            let addresses = member.record.document().mesh_addresses.clone();
            out.push(Effect::Dial { agent, addresses });
            missing -= 1;
        }
        self.wake_at = self.earliest();
    }

    /// When [`Self::turn`] has something to do.
    pub const fn next_deadline(&self) -> Option<MonoTime> {
        self.wake_at
    }

    /// Whom to probe, and where: everybody while the mesh is small, else the nearest on a ring that all agents compute
    /// alike, the same number to either side, so that both ends probe each pair.
    pub fn targets(&self, targets_max: usize) -> BTreeMap<AgentId, IpAddr> {
        let address = |member: &Member| {
            let offered = &member.record.document().probe_addresses;
            let same_family = offered
                .iter()
                .find(|address| self.probe_addresses.iter().any(|own| own.is_ipv4() == address.is_ipv4()));
            same_family.or_else(|| offered.first()).copied()
        };
        let reachable = self.members.iter().filter_map(|(agent, member)| Some((*agent, address(member)?)));
        if self.members.len() <= targets_max {
            return reachable.collect();
        }
        let place = |agent: &AgentId| (pair_hash(agent, agent), *agent);
        let mut ring: Vec<(u64, AgentId)> = self.members.keys().chain([&self.agent]).map(place).collect();
        ring.sort_unstable();
        let own = ring.binary_search(&place(&self.agent)).expect("this agent is on the ring");
        let near = |agent: &AgentId| {
            let other = ring.binary_search(&place(agent)).expect("all members are on the ring");
            let distance = own.abs_diff(other);
            distance.min(ring.len() - distance) <= targets_max / 2
        };
        reachable.filter(|(agent, _)| near(agent)).collect()
    }

    /// Peers with a connection.
    pub fn links(&self) -> Vec<AgentId> {
        let known = self.members.iter().filter(|(_, member)| member.is_connected).map(|(agent, _)| *agent);
        known.chain(self.strangers.iter().copied()).collect()
    }

    /// All members but this agent.
    pub const fn members(&self) -> &BTreeMap<AgentId, Member> {
        &self.members
    }

    /// The own record, once it is signed.
    pub const fn own(&self) -> Option<&Verified<MemberRecord>> {
        self.own.as_ref()
    }

    /// The newest version of the own record, signed or on its way to be.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Which start of this agent this is.
    pub const fn incarnation(&self) -> Incarnation {
        self.version.incarnation
    }

    fn publish(&mut self, out: &mut Effects) {
        self.version.number += 1;
        out.push(Effect::SignMember(MemberRecord {
            version: self.version,
            certificate: self.certificate.clone(),
            mesh_addresses: self.mesh_addresses.clone(),
            probe_addresses: self.probe_addresses.clone(),
            program: self.program.clone(),
        }));
    }

    fn earliest(&self) -> Option<MonoTime> {
        let has_room = self.missing_links() > 0;
        let wish = |member: &Member| match member.dial_until {
            Some(until) => Some(until),
            None => (has_room && !member.is_connected).then_some(member.dial_at),
        };
        let dials = self.members.values().filter_map(wish).min();
        let has_others = self.members.values().any(|member| !member.is_connected && member.dial_until.is_none());
        [dials, self.shuffle_at.filter(|_| has_others)].into_iter().flatten().min()
    }

    fn missing_links(&self) -> usize {
        let under_way = self.members.values().filter(|member| member.is_connected || member.dial_until.is_some());
        self.links_target.saturating_sub(under_way.count() + self.strangers.len())
    }
}
