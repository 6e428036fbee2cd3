//! Which connections lead to whom. Two members that call each other at the same moment get two connections; both ends
//! must agree, without a word, on which one to keep.

use everypath_protocol::id::AgentId;
use libp2p::swarm::ConnectionId;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug)]
struct Link {
    connection: ConnectionId,
    /// The connection was opened by the end with the smaller key: both ends see this the same way.
    is_by_smaller: bool,
    is_ours: bool,
}

/// What a new connection means.
#[derive(Debug, PartialEq, Eq)]
pub struct Established {
    /// It is the first to this peer.
    pub is_first: bool,
    /// These are to be closed.
    pub surplus: Vec<ConnectionId>,
}

/// See the module.
#[derive(Debug)]
pub struct Links {
    own: AgentId,
    peers: BTreeMap<AgentId, Vec<Link>>,
}

impl Links {
    /// No connection yet.
    pub const fn new(own: AgentId) -> Self {
        Self { own, peers: BTreeMap::new() }
    }

    /// Notes a connection. Rule for more than one: what the end with the smaller key opened is kept; of several opened by
    /// one end the oldest is, and only that end closes the others.
    pub fn established(&mut self, peer: AgentId, connection: ConnectionId, is_ours: bool) -> Established {
        let links = self.peers.entry(peer).or_default();
        let is_first = links.is_empty();
        links.push(Link { connection, is_by_smaller: is_ours == (self.own < peer), is_ours });
        let any_by_smaller = links.iter().any(|link| link.is_by_smaller);
        let kept = links.iter().position(|link| link.is_by_smaller == any_by_smaller).unwrap_or(0);
        let is_surplus = |place: usize, link: &Link| {
            place != kept && (link.is_by_smaller != links[kept].is_by_smaller || link.is_ours)
        };
        let surplus = links.iter().enumerate().filter(|(place, link)| is_surplus(*place, link));
        Established { is_first, surplus: surplus.map(|(_, link)| link.connection).collect() }
    }

    /// Notes the end of a connection; whether it was the last to this peer.
    pub fn closed(&mut self, peer: AgentId, connection: ConnectionId) -> bool {
        let Some(links) = self.peers.get_mut(&peer) else { return false };
        links.retain(|link| link.connection != connection);
        let is_last = links.is_empty();
        if is_last {
            self.peers.remove(&peer);
        }
        is_last
    }

    /// Whether any connection leads to `peer`.
    pub fn leads_to(&self, peer: &AgentId) -> bool {
        self.peers.contains_key(peer)
    }

    /// How many peers there are.
    pub fn count(&self) -> usize {
        self.peers.len()
    }

    /// Forgets all and names who is lost.
    pub fn clear(&mut self) -> Vec<AgentId> {
        std::mem::take(&mut self.peers).into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: AgentId = AgentId([1; 32]);
    const LARGE: AgentId = AgentId([2; 32]);

    fn connection(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    #[test]
    fn both_ends_of_two_crossing_calls_keep_the_same_one() {
        let mut small = Links::new(SMALL);
        let mut large = Links::new(LARGE);
        // Connection 1 was opened by the small end, 2 by the large one; they arrive in different orders.
        assert!(small.established(LARGE, connection(1), true).is_first);
        assert_eq!(small.established(LARGE, connection(2), false).surplus, [connection(2)]);
        assert!(large.established(SMALL, connection(2), true).is_first);
        assert_eq!(large.established(SMALL, connection(1), false).surplus, [connection(2)]);
    }

    #[test]
    fn of_two_calls_by_one_end_only_that_end_closes_the_newer() {
        let mut caller = Links::new(LARGE);
        caller.established(SMALL, connection(1), true);
        assert_eq!(caller.established(SMALL, connection(2), true).surplus, [connection(2)]);
        let mut called = Links::new(SMALL);
        called.established(LARGE, connection(1), false);
        assert_eq!(called.established(LARGE, connection(2), false).surplus, []);
    }

    #[test]
    fn the_peer_is_gone_with_its_last_connection() {
        let mut links = Links::new(SMALL);
        links.established(LARGE, connection(1), true);
        links.established(LARGE, connection(2), false);
        assert!(!links.closed(LARGE, connection(2)));
        assert!(links.leads_to(&LARGE));
        assert!(links.closed(LARGE, connection(1)));
        assert!(!links.closed(LARGE, connection(1)));
        assert_eq!(links.count(), 0);
    }
}
