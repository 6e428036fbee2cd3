//! Where each agent stands in the list. Every record that is stored is looked up here twice, so it is an array and no tree.

use alloc::vec::Vec;
use everypath_protocol::id::AgentId;

/// Sorted by the beginning of the keys, which are random; of two with the same beginning (somebody tried for years) both are
/// looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Vec<(u64, u32, AgentId)>);

impl Places {
    pub(super) fn new(agents: &[AgentId]) -> Self {
        let mut places: Vec<_> =
            agents.iter().zip(0..).map(|(agent, place)| (beginning(agent), place, *agent)).collect();
        places.sort_unstable_by_key(|(beginning, place, _)| (*beginning, *place));
        Self(places)
    }

    pub(super) fn of(&self, agent: &AgentId) -> Option<u32> {
        let wanted = beginning(agent);
        let first = self.0.partition_point(|(beginning, ..)| *beginning < wanted);
        let alike = self.0[first..].iter().take_while(|(beginning, ..)| *beginning == wanted);
        alike.filter(|(.., known)| known == agent).map(|(_, place, _)| *place).last()
    }
}

const fn beginning(agent: &AgentId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = agent.0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;
    use everypath_protocol::id::mix64;

    #[test]
    fn everybody_has_a_place_and_strangers_have_none() {
        let agent = |number: u64| {
            let mut key = [0; 32];
            // Every third has the beginning of the one before.
            let alike = if number % 3 == 2 { number - 1 } else { number };
            key[..8].copy_from_slice(&mix64(alike).to_be_bytes());
            key[24..].copy_from_slice(&number.to_be_bytes());
            AgentId(key)
        };
        let agents: Vec<AgentId> = (0..1_000).map(agent).collect();
        let places = Places::new(&agents);
        for (agent, place) in agents.iter().zip(0..) {
            assert_eq!(places.of(agent), Some(place));
        }
        assert!((1_000..1_100).all(|number| places.of(&agent(number)).is_none()));
        assert_eq!(Places::default().of(&agents[0]), None);
    }
}
