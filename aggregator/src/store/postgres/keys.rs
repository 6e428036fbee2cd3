//! Numbers of agents and streams that were looked up before. They never change, so nothing here goes stale, unless the
//! database is put back to an older state under a running program; that breaks its connections, and a broken one empties this.

use super::codes;
use super::failure::While;
use crate::store::types::StoreError;
use everypath_protocol::id::{AgentId, Epoch};
use sqlx::{PgConnection, Row as _};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

/// Most entries of each kind, about 20 MB. At the limit everything is forgotten and looked up again.
const ENTRIES_MAX: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Keys {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    agents: BTreeMap<AgentId, Known>,
    names: BTreeMap<i32, AgentId>,
    streams: BTreeMap<(AgentId, Epoch), i32>,
}

/// What is known of an agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Known {
    pub(super) id: i32,
    /// Whether it has a certificate. It never loses one.
    pub(super) is_member: bool,
}

impl Keys {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing is done under the lock that could leave half an entry.
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn agent(&self, key: AgentId) -> Option<Known> {
        self.inner().agents.get(&key).copied()
    }

    /// The numbers of many at once, and those that are not known.
    pub(super) fn agents(&self, keys: impl IntoIterator<Item = AgentId>) -> (BTreeMap<AgentId, i32>, Vec<AgentId>) {
        let inner = self.inner();
        let (mut found, mut missing) = (BTreeMap::new(), Vec::new());
        for key in keys {
            match inner.agents.get(&key) {
                Some(known) => drop(found.insert(key, known.id)),
                None => missing.push(key),
            }
        }
        (found, missing)
    }

    pub(super) fn stream(&self, agent: AgentId, epoch: Epoch) -> Option<i32> {
        self.inner().streams.get(&(agent, epoch)).copied()
    }

    /// Only what is committed may be put here.
    pub(super) fn put_stream(&self, agent: AgentId, epoch: Epoch, id: i32) {
        let mut inner = self.inner();
        if inner.streams.len() >= ENTRIES_MAX {
            inner.streams.clear();
        }
        inner.streams.insert((agent, epoch), id);
    }

    /// Only what is committed may be put here.
    pub(super) fn put_agent(&self, key: AgentId, known: Known) {
        let mut inner = self.inner();
        if inner.agents.len() >= ENTRIES_MAX {
            inner.agents.clear();
            inner.names.clear();
        }
        inner.agents.insert(key, known);
        inner.names.insert(known.id, key);
    }

    pub(super) fn forget(&self) {
        *self.inner() = Inner::default();
    }

    /// Looks up keys that are not known yet; those that are nobody's stay unknown.
    pub(super) async fn look_up(&self, connection: &mut PgConnection, keys: &[AgentId]) -> Result<(), sqlx::Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let bytes: Vec<&[u8]> = keys.iter().map(|key| key.0.as_slice()).collect();
        let select = "select id, key, certificate is not null as member from agent where key = any($1)";
        for row in sqlx::query(select).bind(bytes).fetch_all(connection).await? {
            let key: &[u8] = row.try_get("key")?;
            if let Ok(key) = key.try_into() {
                self.put_agent(AgentId(key), Known { id: row.try_get("id")?, is_member: row.try_get("member")? });
            }
        }
        Ok(())
    }

    /// The keys of these numbers; a number that is nobody's is left out.
    pub(super) async fn names(
        &self,
        connection: &mut PgConnection,
        ids: impl IntoIterator<Item = i32>,
    ) -> Result<BTreeMap<i32, AgentId>, StoreError> {
        const DOING: &str = "looking up agents";
        let (mut found, mut missing) = (BTreeMap::new(), Vec::new());
        {
            let inner = self.inner();
            for id in ids {
                match inner.names.get(&id) {
                    Some(key) => drop(found.insert(id, *key)),
                    None => missing.push(id),
                }
            }
        }
        if !missing.is_empty() {
            let select = "select id, key, certificate is not null as member from agent where id = any($1)";
            for row in sqlx::query(select).bind(missing).fetch_all(connection).await.doing(DOING)? {
                let (id, is_member) = (row.try_get("id").doing(DOING)?, row.try_get("member").doing(DOING)?);
                let key = codes::agent(row.try_get("key").doing(DOING)?)?;
                self.put_agent(key, Known { id, is_member });
                found.insert(id, key);
            }
        }
        Ok(found)
    }
}
