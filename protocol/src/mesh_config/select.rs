//! Naming agents: `all`, `site:alpha`, `tag:web`, `agent:alpha-1`, or an agent by its key.

use super::MeshConfig;
use crate::id::AgentId;
use crate::trust::is_valid_name;
use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Which agents.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Selector {
    /// All of them.
    All,
    /// Those of a site, as the document has it.
    Site(String),
    /// Those with a tag.
    Tag(String),
    /// The one with this name or key.
    Agent(String),
}

impl Selector {
    /// Reads what `Display` writes. `None` for any other form; whether the name can be one is [`Self::is_valid`].
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None => (text == "all").then_some(Self::All),
            Some(("site", name)) => Some(Self::Site(name.to_owned())),
            Some(("tag", name)) => Some(Self::Tag(name.to_owned())),
            Some(("agent", name)) => Some(Self::Agent(name.to_owned())),
            Some(_) => None,
        }
    }

    /// Whether what it names can exist.
    pub fn is_valid(&self) -> bool {
        match self {
            Self::All => true,
            Self::Site(name) | Self::Tag(name) | Self::Agent(name) => is_valid_name(name),
        }
    }

    /// Whether it names this agent.
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Site(site) => *site == subject.site,
            Self::Tag(tag) => subject.tags.contains(tag),
            Self::Agent(agent) => *agent == subject.name || AgentId::parse(agent) == Some(subject.id),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => out.write_str("all"),
            Self::Site(name) => write!(out, "site:{name}"),
            Self::Tag(name) => write!(out, "tag:{name}"),
            Self::Agent(name) => write!(out, "agent:{name}"),
        }
    }
}

/// An agent as selectors see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subject<'a> {
    /// Its key.
    pub id: AgentId,
    /// Its name.
    pub name: &'a str,
    /// Where it is.
    pub site: &'a str,
    /// Its tags.
    pub tags: &'a [String],
}

impl MeshConfig {
    /// An agent with the site and tags that this document gives it; `site` is that of its certificate.
    pub fn subject<'a>(&'a self, id: AgentId, name: &'a str, site: &'a str) -> Subject<'a> {
        match self.agent(&id, name) {
            Some(entry) => Subject { id, name, site: entry.site.as_deref().unwrap_or(site), tags: &entry.tags },
            None => Subject { id, name, site, tags: &[] },
        }
    }
}
