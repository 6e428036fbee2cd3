//! Hosts without an agent that this agent observes: which they are, and where they are found.
//!
//! Which agents observe an endpoint follows from the configuration and the members that are known, so every agent works it out
//! alone. Names are looked up by the shell. One that leads nowhere has no address and is not probed: its cell is unknown, not
//! down.

use crate::effect::{Effect, Effects, EndpointWish};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::IpAddr;
use everypath_protocol::id::{AgentId, MeshId};
use everypath_protocol::mesh_config::plan::{endpoint_id, observers};
use everypath_protocol::mesh_config::{MeshConfig, Subject};
use everypath_protocol::time::{MonoTime, Span};

/// Who observes what is worked out anew this long after a member became known. Many come at once, and a member that is counted a
/// second later does no harm.
const RECKON_AFTER: Span = Span::seconds(1);

/// The endpoints of this agent.
#[derive(Debug)]
pub struct Endpoints {
    agent: AgentId,
    mesh: MeshId,
    /// In the order of the configuration.
    wanted: Vec<EndpointWish>,
    addresses: BTreeMap<AgentId, IpAddr>,
    due: Option<MonoTime>,
}

impl Endpoints {
    /// None.
    pub const fn new(agent: AgentId, mesh: MeshId) -> Self {
        Self { agent, mesh, wanted: Vec::new(), addresses: BTreeMap::new(), due: None }
    }

    /// A member became known, or says something new of itself.
    pub fn members_changed(&mut self, now: MonoTime) {
        self.due.get_or_insert(now + RECKON_AFTER);
    }

    /// Works out what is observed here, if that is due. Returns whether it changed; then the shell is asked to look names up.
    pub fn turn<'a>(
        &mut self,
        now: MonoTime,
        config: Option<&MeshConfig>,
        all: impl Iterator<Item = Subject<'a>> + Clone,
        out: &mut Effects,
    ) -> bool {
        let is_due = self.due.is_some_and(|due| now >= due);
        if is_due { self.reckon(config, all, out) } else { false }
    }

    /// The same at once: the configuration is another one.
    pub fn reckon<'a>(
        &mut self,
        config: Option<&MeshConfig>,
        all: impl Iterator<Item = Subject<'a>> + Clone,
        out: &mut Effects,
    ) -> bool {
        self.due = None;
        let of_config = config.map_or(&[][..], |config| &config.endpoints);
        let own =
            of_config.iter().filter(|endpoint| observers(endpoint, &self.mesh, all.clone()).contains(&self.agent));
        let wanted: Vec<EndpointWish> = own
            .map(|own| EndpointWish { endpoint: endpoint_id(&self.mesh, &own.name), address: own.address.clone() })
            .collect();
        if wanted == self.wanted {
            return false;
        }
        // An address is kept only as long as the endpoint is the same: under another name it may be elsewhere.
        let stays = |endpoint: &AgentId| {
            let of = |wishes: &[EndpointWish]| wishes.iter().find(|wish| wish.endpoint == *endpoint).cloned();
            of(&wanted).is_some_and(|wish| of(&self.wanted) == Some(wish))
        };
        self.addresses.retain(|endpoint, _| stays(endpoint));
        self.wanted.clone_from(&wanted);
        out.push(Effect::Resolve(wanted));
        true
    }

    /// A name was looked up. Returns whether that changes what is probed.
    pub fn resolved(&mut self, endpoint: AgentId, address: Option<IpAddr>) -> bool {
        if !self.wanted.iter().any(|wish| wish.endpoint == endpoint) {
            return false;
        }
        let before = match address {
            Some(address) => self.addresses.insert(endpoint, address),
            None => self.addresses.remove(&endpoint),
        };
        before != address
    }

    /// Whom to probe, and where. One address is probed for one endpoint only, the first of the configuration.
    pub fn targets(&self) -> BTreeMap<AgentId, IpAddr> {
        let mut taken = BTreeSet::new();
        let found = self.wanted.iter().filter_map(|wish| Some((wish.endpoint, *self.addresses.get(&wish.endpoint)?)));
        found.filter(|(_, address)| taken.insert(*address)).collect()
    }

    /// Where an endpoint is, if it is observed here and was found.
    pub fn address(&self, endpoint: &AgentId) -> Option<IpAddr> {
        self.addresses.get(endpoint).copied()
    }

    /// When [`Self::turn`] has something to do.
    pub const fn next_deadline(&self) -> Option<MonoTime> {
        self.due
    }
}
