//! Who is who, as the configuration in force says: the names, sites and tags that `GET /api/v1/agents` shows.

use crate::api::agents::ENDPOINT_SITE;
use crate::app::App;
use crate::store::StoreError;
use aggregator_core::alert::Member;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::UnixTime;
use std::collections::BTreeMap;

/// One row or column of the matrix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub site: String,
    /// What else it is called by.
    pub tags: Vec<String>,
    /// It has no agent.
    pub is_endpoint: bool,
    /// When it joined, of an agent of which nothing was ever heard.
    pub joined: Option<UnixTime>,
}

/// All agents and endpoints.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Who {
    known: BTreeMap<AgentId, Known>,
    /// When the first of all agents was first seen.
    began: Option<UnixTime>,
}

impl Who {
    /// As it is now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read(app: &App) -> Result<Self, StoreError> {
        let rows = app.store.agents().await?;
        let began = rows.iter().map(|row| row.first_seen).min();
        let current = app.configs.current();
        let agents = rows.into_iter().map(|row| {
            let subject = current.document.subject(row.id, &row.name, &row.site);
            let (site, tags) = (subject.site.to_owned(), subject.tags.to_vec());
            let joined = row.last_seen.is_none().then_some(row.first_seen);
            (row.id, Known { name: row.name, site, tags, is_endpoint: false, joined })
        });
        let endpoints = current.endpoints(app.mesh.id()).map(|(id, endpoint)| {
            let (name, site) = (endpoint.name.clone(), ENDPOINT_SITE.to_owned());
            (id, Known { name, site, tags: Vec::new(), is_endpoint: true, joined: None })
        });
        Ok(Self { known: agents.chain(endpoints).collect(), began })
    }

    /// Since when there is a mesh; nothing without agents.
    pub const fn began(&self) -> Option<UnixTime> {
        self.began
    }

    /// One of them.
    pub fn get(&self, id: &AgentId) -> Option<&Known> {
        self.known.get(id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&AgentId, &Known)> {
        self.known.iter()
    }

    /// What people call it; the beginning of its key if nobody knows.
    pub fn name(&self, id: &AgentId) -> String {
        self.known.get(id).map_or_else(|| id.short(), |known| known.name.clone())
    }

    /// By name. An agent comes before an endpoint of the same name.
    pub fn by_name(&self) -> BTreeMap<String, AgentId> {
        let named = |is_endpoint: bool| self.known.iter().filter(move |(_, known)| known.is_endpoint == is_endpoint);
        named(true).chain(named(false)).map(|(id, known)| (known.name.clone(), *id)).collect()
    }

    /// As scopes see it. Of whom nobody knows anything there is only the key.
    pub fn member(&self, id: AgentId) -> Member<'_> {
        match self.known.get(&id) {
            Some(Known { name, site, tags, is_endpoint, joined }) => {
                Member { id, name, site, tags, is_endpoint: *is_endpoint, joined: *joined }
            }
            None => Member { id, name: "", site: "", tags: &[], is_endpoint: false, joined: None },
        }
    }
}
