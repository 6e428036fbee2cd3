//! Which cells and agents a rule or a silence is about.

use alloc::string::String;
use alloc::vec::Vec;
use everypath_protocol::id::AgentId;
use everypath_protocol::mesh_config;
use everypath_protocol::time::UnixTime;

/// Most names in one selector. A site has one name however many agents it has, so a longer list is a mistake.
pub const NAMES_MAX: usize = 256;

/// An agent as scopes see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member<'a> {
    /// Who it is.
    pub id: AgentId,
    /// What people call it.
    pub name: &'a str,
    /// Where it is.
    pub site: &'a str,
    /// What else it is called by, as the configuration says.
    pub tags: &'a [String],
    /// It has no agent: it is measured, and says nothing.
    pub is_endpoint: bool,
    /// When it joined, of an agent of which nothing was ever heard.
    pub joined: Option<UnixTime>,
}

impl<'a> Member<'a> {
    /// As the configuration of the mesh sees it.
    pub const fn subject(&self) -> mesh_config::Subject<'a> {
        mesh_config::Subject { id: self.id, name: self.name, site: self.site, tags: self.tags }
    }
}

/// Some agents: those of any of the sites, with any of the tags, or named. Without any name it is everybody.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selector {
    /// Names of sites.
    pub sites: Vec<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Agents one by one.
    pub agents: Vec<AgentId>,
}

impl Selector {
    /// One agent.
    pub fn agent(agent: AgentId) -> Self {
        Self { agents: Vec::from([agent]), ..Self::default() }
    }

    /// One site.
    pub fn site(site: &str) -> Self {
        Self { sites: Vec::from([String::from(site)]), ..Self::default() }
    }

    /// Whether it names nobody, and so is everybody.
    pub const fn is_everybody(&self) -> bool {
        self.sites.is_empty() && self.tags.is_empty() && self.agents.is_empty()
    }

    /// How many names there are in it.
    pub const fn len(&self) -> usize {
        self.sites.len() + self.tags.len() + self.agents.len()
    }

    /// As [`Self::is_everybody`].
    pub const fn is_empty(&self) -> bool {
        self.is_everybody()
    }

    /// Whether `member` is one of them.
    pub fn takes(&self, member: &Member<'_>) -> bool {
        self.is_everybody()
            || self.agents.contains(&member.id)
            || self.sites.iter().any(|site| site == member.site)
            || self.tags.iter().any(|tag| member.tags.contains(tag))
    }
}

/// Paths from some agents to some agents.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scope {
    /// Who probes.
    pub source: Selector,
    /// Who is probed.
    pub target: Selector,
    /// Also the paths from `target` to `source`.
    pub both_ways: bool,
}

impl Scope {
    /// Everything about one agent: its paths, those to it, and its silence.
    pub fn around(agent: AgentId) -> Self {
        Self { source: Selector::agent(agent), target: Selector::default(), both_ways: true }
    }

    /// The same for these members, so that a cell is asked by index.
    pub fn over(&self, members: &[Member<'_>]) -> Reach {
        let of = |selector: &Selector| members.iter().map(|member| selector.takes(member)).collect();
        Reach {
            source: of(&self.source),
            target: of(&self.target),
            both_ways: self.both_ways,
            source_is_everybody: self.source.is_everybody(),
            target_is_everybody: self.target.is_everybody(),
        }
    }
}

/// A scope over the members of one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reach {
    source: Vec<bool>,
    target: Vec<bool>,
    both_ways: bool,
    source_is_everybody: bool,
    target_is_everybody: bool,
}

impl Reach {
    /// Whether the path between two places in the list of members is in the scope.
    pub fn has_cell(&self, source: usize, target: usize) -> bool {
        let is = |from: &[bool], at: usize| from.get(at).copied().unwrap_or(false);
        (is(&self.source, source) && is(&self.target, target))
            || (self.both_ways && is(&self.source, target) && is(&self.target, source))
    }

    /// Whether an agent as such is: whoever names only some paths of it does not speak of the agent.
    pub fn has_agent(&self, agent: usize) -> bool {
        let is = |from: &[bool]| from.get(agent).copied().unwrap_or(false);
        (is(&self.source) && self.target_is_everybody)
            || (self.both_ways && is(&self.target) && self.source_is_everybody)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(source: Selector, target: Selector, both_ways: bool) -> Reach {
        let tags = [String::from("edge")];
        let member = |number: u8, site, tags| Member {
            id: AgentId([number; 32]),
            name: "",
            site,
            tags,
            is_endpoint: false,
            joined: None,
        };
        let members = [member(0, "a", &[][..]), member(1, "a", &tags[..]), member(2, "b", &[][..])];
        Scope { source, target, both_ways }.over(&members)
    }

    fn cells(reach: &Reach) -> Vec<(usize, usize)> {
        let all = (0..3).flat_map(|source| (0..3).map(move |target| (source, target)));
        all.filter(|(source, target)| source != target && reach.has_cell(*source, *target)).collect()
    }

    #[test]
    fn nobody_named_is_everybody() {
        let all = reach(Selector::default(), Selector::default(), false);
        assert_eq!(cells(&all).len(), 6);
        assert!((0..3).all(|agent| all.has_agent(agent)) && !all.has_agent(3) && !all.has_cell(0, 3));
    }

    #[test]
    fn sides_are_told_apart_unless_both_ways_are_meant() {
        let one = reach(Selector::site("a"), Selector::site("b"), false);
        assert_eq!(cells(&one), [(0, 2), (1, 2)]);
        let both = reach(Selector::site("a"), Selector::site("b"), true);
        assert_eq!(cells(&both), [(0, 2), (1, 2), (2, 0), (2, 1)]);
        assert!((0..3).all(|agent| !both.has_agent(agent)), "paths between two sites are not the agents in them");
    }

    #[test]
    fn around_an_agent_is_its_row_its_column_and_itself() {
        let around = reach(Selector::agent(AgentId([1; 32])), Selector::default(), true);
        assert_eq!(cells(&around), [(0, 1), (1, 0), (1, 2), (2, 1)]);
        assert_eq!([0, 1, 2].map(|agent| around.has_agent(agent)), [false, true, false]);
        let turned = reach(Selector::default(), Selector::agent(AgentId([1; 32])), true);
        assert_eq!((cells(&turned), turned.has_agent(1)), (cells(&around), true));
        let tagged = Selector { tags: Vec::from([String::from("edge")]), ..Selector::default() };
        assert_eq!(cells(&reach(tagged, Selector::default(), true)), cells(&around));
    }
}
