//! What the shape of the matrix says at one moment.

use alloc::string::String;
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::UnixTime;

/// Most witnesses that a finding names; their number is always told.
pub const NAMED_MAX: usize = 5;

/// What is wrong. In order of how much it explains, so that the smaller of two is the larger explanation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// Most agents are silent at once: who judges has lost them, and can say nothing about paths.
    AggregatorBlind,
    /// Cells are down wherever anybody looks, or between all sites.
    MeshDown,
    /// As [`Self::MeshDown`], but replies come: late, or not all of them.
    MeshDegraded,
    /// The cells between a site and all others are down, those inside are not.
    SiteCut,
    /// As [`Self::SiteCut`], but replies come: late, or not all of them.
    SiteDegraded,
    /// The cells between two sites are down.
    SitePairCut,
    /// As [`Self::SitePairCut`], but replies come: late, or not all of them.
    SitePairDegraded,
    /// Nobody reaches an agent, and nothing is heard of it.
    HostDown,
    /// Nobody reaches an agent, but it is heard: its host is alive. Direction `Inward`: its own probes are answered, so
    /// packets pass both ways and it is the answering that fails, by a filter for example.
    HostUnreachable,
    /// An agent reaches nobody, and others reach it, or nobody can tell. It is no witness: its row accuses no other.
    Isolated,
    /// Nobody reaches an agent well.
    HostDegraded,
    /// As [`Self::Isolated`], but replies come to it: late, or not all of them.
    ObserverDegraded,
    /// Nothing is heard of an agent, or of all agents of a site, while the others reach them, or nobody can tell.
    Silent,
    /// The cells between two agents are down, and nothing larger explains it.
    PairDown,
    /// As [`Self::PairDown`], but replies come: late, or not all of them.
    PairDegraded,
    /// There is more than can be followed at once; it is counted, not told one by one. Made by the tracker only.
    Overflow,
}

impl Class {
    /// Every class, in the order of their numbers in stored state.
    pub const ALL: [Self; 16] = [
        Self::AggregatorBlind,
        Self::MeshDown,
        Self::MeshDegraded,
        Self::SiteCut,
        Self::SiteDegraded,
        Self::SitePairCut,
        Self::SitePairDegraded,
        Self::HostDown,
        Self::HostUnreachable,
        Self::Isolated,
        Self::HostDegraded,
        Self::ObserverDegraded,
        Self::Silent,
        Self::PairDown,
        Self::PairDegraded,
        Self::Overflow,
    ];

    /// The word used in JSON and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AggregatorBlind => "aggregator_blind",
            Self::MeshDown => "mesh_down",
            Self::MeshDegraded => "mesh_degraded",
            Self::SiteCut => "site_cut",
            Self::SiteDegraded => "site_degraded",
            Self::SitePairCut => "site_pair_cut",
            Self::SitePairDegraded => "site_pair_degraded",
            Self::HostDown => "host_down",
            Self::HostUnreachable => "host_unreachable",
            Self::Isolated => "isolated",
            Self::HostDegraded => "host_degraded",
            Self::ObserverDegraded => "observer_degraded",
            Self::Silent => "silent",
            Self::PairDown => "pair_down",
            Self::PairDegraded => "pair_degraded",
            Self::Overflow => "overflow",
        }
    }
}

/// What it is about. Has no direction, so that it stays the same when one shows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Subject {
    /// The whole mesh.
    Mesh,
    /// A site by name.
    Site(String),
    /// Two sites, ascending by name.
    SitePair(String, String),
    /// One agent or its host.
    Agent(AgentId),
    /// Two agents, ascending.
    Pair(AgentId, AgentId),
    /// Whatever is beyond a limit of the tracker.
    Rest,
}

/// Whose probes fail. A probe goes there and back, so where both ends' probes fail, this does not say on which leg.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Direction {
    /// Probes from both ends fail, or only one end measures: the fault may be in either direction, or in both.
    EitherOrBoth,
    /// Of a pair: probes from the first to the second fail, those the other way are answered.
    Forward,
    /// Of a pair: probes from the second to the first fail, those the other way are answered.
    Backward,
    /// Of an agent or site: probes towards it fail, its own are answered.
    Inward,
    /// Of an agent or site: its own probes fail, those towards it are answered.
    Outward,
}

impl Direction {
    /// Every direction, in the order of their numbers in stored state.
    pub const ALL: [Self; 5] = [Self::EitherOrBoth, Self::Forward, Self::Backward, Self::Inward, Self::Outward];
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Replies come, late or not all of them; of silence: paths work.
    Degraded,
    /// At least half of the cells are down.
    Critical,
}

/// Why it may be something else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Ambiguity {
    /// Fewer than three healthy witnesses; of a pair: an end that nobody else reaches, so it may be that end's host.
    FewWitnesses,
    /// Nobody measures the other way, so nobody can contradict.
    NobodyElse,
    /// Some of what others say fits, and some does not.
    MixedEvidence,
}

impl Ambiguity {
    /// Every reason, in the order of their numbers in stored state.
    pub const ALL: [Self; 3] = [Self::FewWitnesses, Self::NobodyElse, Self::MixedEvidence];
}

/// What a finding rests on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Evidence {
    /// Bad cells that it explains. For `AggregatorBlind` and `Silent` the agents that are silent, for `Overflow` the findings
    /// left out.
    pub bad: u32,
    /// Fresh cells that were looked at. For `AggregatorBlind` all agents, for `Silent` those of the subject.
    pub fresh: u32,
    /// Agents that say so, or those that say that it is not so: [`Finding::witnesses_contradict`].
    pub witnesses: u32,
    /// The first of them by id, at most [`NAMED_MAX`].
    pub named: Vec<AgentId>,
    /// The agent is alone in its site, so nobody can tell its host from its site.
    pub is_only_agent_of_site: bool,
}

/// One explanation, and the bad cells that are explained by it and by nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What is wrong.
    pub class: Class,
    /// With what.
    pub subject: Subject,
    /// In which direction, as far as probes that go there and back can tell.
    pub direction: Direction,
    /// How bad it is.
    pub severity: Severity,
    /// The worst state among its cells; `Unknown` where there are none.
    pub worst: CellState,
    /// Why it may be something else. `None`: it is what it looks like.
    pub ambiguity: Option<Ambiguity>,
    /// When the first of its cells became what it is.
    pub since: UnixTime,
    /// What it rests on.
    pub evidence: Evidence,
    /// The bad cells (source, target) that it explains, ascending.
    pub cells: Vec<(AgentId, AgentId)>,
    /// The silent agents whose silence it explains, ascending.
    pub silent: Vec<AgentId>,
}

impl Finding {
    /// Whether its witnesses are those that reach the subject, although the subject reaches nobody, or is silent: what they say
    /// is what makes it the subject's matter and not theirs.
    pub const fn witnesses_contradict(&self) -> bool {
        match self.class {
            Class::Silent => true,
            Class::Isolated | Class::ObserverDegraded => matches!(self.direction, Direction::Outward),
            Class::AggregatorBlind | Class::MeshDown | Class::MeshDegraded | Class::Overflow => false,
            Class::SiteCut | Class::SiteDegraded | Class::SitePairCut | Class::SitePairDegraded => false,
            Class::HostDown | Class::HostUnreachable | Class::HostDegraded => false,
            Class::PairDown | Class::PairDegraded => false,
        }
    }
}
