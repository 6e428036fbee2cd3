//! What is known at one moment.

use super::scope::Member;
use crate::matrix::ShownCell;
use everypath_protocol::mesh_config::MeshConfig;
use everypath_protocol::time::Span;
use everypath_verdict::incident::{Class, Finding, Subject};

/// The live matrix, and who stands in it.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// In order of row and column.
    pub members: &'a [Member<'a>],
    /// Row by row.
    pub cells: &'a [ShownCell],
    /// How long agents are asked to wait between two batches.
    pub sync: Span,
    /// Who is to measure whom.
    pub config: &'a MeshConfig,
}

impl Sight<'_> {
    /// Whether the silence of this agent says something: the configuration leaves it somebody to measure. Whoever has nobody sends
    /// nothing; but one that is the only agent has only not met the others yet.
    pub fn may_be_heard(&self, member: &Member<'_>) -> bool {
        if self.config.leaves_out(&member.subject()) {
            return false;
        }
        let is_other = |other: &&Member<'_>| other.id != member.id && !other.is_endpoint;
        let mut others = self.members.iter().filter(is_other).peekable();
        self.config.exclude.is_empty() || others.peek().is_none() || others.any(|other| self.is_asked(member, other))
    }

    /// Whether whoever is asked can still say that this is over: of silence, whether one of the silent is asked anything, and of
    /// anything else, whether a pair is measured that says something about its subject.
    pub fn is_asked_about(&self, finding: &Finding) -> bool {
        if finding.class == Class::Silent {
            let is_silent = |member: &&Member<'_>| match &finding.subject {
                Subject::Agent(agent) => member.id == *agent,
                Subject::Site(site) => member.site == site && !member.is_endpoint,
                Subject::Mesh | Subject::SitePair(..) | Subject::Pair(..) | Subject::Rest => true,
            };
            return self.members.iter().filter(is_silent).any(|member| self.may_be_heard(member));
        }
        let is_asked = |fits: &dyn Fn(&Member<'_>, &Member<'_>) -> bool| {
            let others =
                |one: &Member<'_>| self.members.iter().any(|other| fits(one, other) && self.is_asked(one, other));
            self.members.iter().any(others)
        };
        let is_cross =
            |one: &Member<'_>, other: &Member<'_>| one.site != other.site && !one.is_endpoint && !other.is_endpoint;
        match &finding.subject {
            Subject::Mesh | Subject::Rest => true,
            // What an agent finds of an endpoint says nothing of the agent that would not be said of the endpoint.
            Subject::Agent(agent) => {
                is_asked(&|one, other| one.id == *agent && (one.is_endpoint || !other.is_endpoint))
            }
            Subject::Pair(left, right) => is_asked(&|one, other| one.id == *left && other.id == *right),
            Subject::Site(site) => is_asked(&|one, other| one.site == site && is_cross(one, other)),
            Subject::SitePair(left, right) => {
                is_asked(&|one, other| one.site == left && other.site == right && is_cross(one, other))
            }
        }
    }

    /// Endpoints are observed whatever pairs are excluded.
    fn is_asked(&self, one: &Member<'_>, other: &Member<'_>) -> bool {
        let is_endpoint = one.is_endpoint || other.is_endpoint;
        one.id != other.id && (is_endpoint || !self.config.is_excluded(&one.subject(), &other.subject()))
    }
}
