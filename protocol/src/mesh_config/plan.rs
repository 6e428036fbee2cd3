//! Who measures what: worked out by every agent alone, and alike everywhere.

use super::{Endpoint, Exclusion, MeshConfig, OBSERVERS_MAX, Selector, Subject};
use crate::id::{AgentId, MeshId, mix64, pair_hash};
use crate::sign::sha256;
use alloc::vec::Vec;

/// Most agents that an agent measures at a time; in larger meshes it chooses.
pub const TARGETS_MAX: u64 = 64;

/// The identity of an endpoint: a hash of its mesh and its name. Nobody has a key for it.
pub fn endpoint_id(mesh: &MeshId, name: &str) -> AgentId {
    AgentId(sha256(&[b"everypath/1 endpoint", &mesh.0, name.as_bytes()]))
}

/// The agents of `all` that observe an endpoint: of those that it asks for the first five by a hash. So one that joins takes the
/// place of at most one, and all work it out alike, as far as they know the same members.
pub fn observers<'a>(endpoint: &Endpoint, mesh: &MeshId, all: impl IntoIterator<Item = Subject<'a>>) -> Vec<AgentId> {
    let id = endpoint_id(mesh, &endpoint.name);
    let is_asked = |subject: &Subject<'_>| {
        endpoint.observers.is_empty() || endpoint.observers.iter().any(|selector| selector.matches(subject))
    };
    let rank = |agent: AgentId| (mix64(pair_hash(&id, &agent)), agent);
    let mut ranked: Vec<(u64, AgentId)> = Vec::with_capacity(OBSERVERS_MAX + 1);
    for subject in all.into_iter().filter(is_asked) {
        let new = rank(subject.id);
        let place = ranked.partition_point(|before| *before < new);
        if place < OBSERVERS_MAX && ranked.get(place) != Some(&new) {
            ranked.insert(place, new);
            ranked.truncate(OBSERVERS_MAX);
        }
    }
    ranked.into_iter().map(|(_, agent)| agent).collect()
}

impl MeshConfig {
    /// Whether these two do not measure each other.
    pub fn is_excluded(&self, one: &Subject<'_>, other: &Subject<'_>) -> bool {
        self.exclude.iter().any(|exclusion| {
            let fits =
                |one: &Subject<'_>, other: &Subject<'_>| exclusion.one.matches(one) && exclusion.other.matches(other);
            fits(one, other) || fits(other, one)
        })
    }

    /// Whether nobody measures this one, and it nobody: a pair with `all` is excluded.
    pub fn leaves_out(&self, one: &Subject<'_>) -> bool {
        let all =
            |one: &Selector, other: &Selector, subject: &Subject<'_>| *one == Selector::All && other.matches(subject);
        self.exclude.iter().any(|Exclusion { one: left, other: right }| all(left, right, one) || all(right, left, one))
    }

    /// What it costs in a mesh of these agents. In a mesh of more than [`TARGETS_MAX`] others it is what it may cost at most:
    /// exclusions are not taken off.
    pub fn cost(&self, mesh: &MeshId, all: &[Subject<'_>]) -> Cost {
        let count = u64::try_from(all.len()).unwrap_or(u64::MAX);
        let agent_pairs = if count > TARGETS_MAX + 1 {
            count.saturating_mul(TARGETS_MAX)
        } else {
            let others = |one: &Subject<'_>| {
                all.iter().filter(|other| other.id != one.id && !self.is_excluded(one, other)).count()
            };
            all.iter().map(|one| u64::try_from(others(one)).unwrap_or(u64::MAX)).sum()
        };
        let observed = self.endpoints.iter().map(|endpoint| observers(endpoint, mesh, all.iter().copied()).len());
        let endpoint_pairs = observed.map(|count| u64::try_from(count).unwrap_or(u64::MAX)).sum();
        let pairs = agent_pairs.saturating_add(endpoint_pairs);
        let rate = |every_ms: u32| pairs.saturating_mul(1_000_000) / u64::from(every_ms.max(1));
        Cost {
            agent_pairs,
            endpoint_pairs,
            packets_per_s_milli: rate(self.probe.interval_ms),
            rows_per_s_milli: rate(self.window_ms),
        }
    }
}

/// What a configuration causes while nothing is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    /// Ordered pairs of agents that are measured.
    pub agent_pairs: u64,
    /// Endpoints, each as often as it is observed.
    pub endpoint_pairs: u64,
    /// Requests of the whole mesh a second, in thousandths; as many replies come back.
    pub packets_per_s_milli: u64,
    /// Rows that the aggregator stores a second, in thousandths.
    pub rows_per_s_milli: u64,
}
