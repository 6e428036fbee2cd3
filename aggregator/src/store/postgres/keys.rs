//! Numbers of agents and streams that were looked up before. They never change, so nothing here goes stale, unless the
//! database is put back to an older state under a running program. That breaks all connections, so each new one empties this;
//! and whoever stores a batch compares its agent and epoch with the row that it locked.

use super::codes;
use super::failure::While;
use crate::store::error::StoreError;
use everypath_protocol::id::{AgentId, Epoch};
use sqlx::{PgConnection, Row as _};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};

/// Most entries of each kind, about 20 MB. At the limit everything is forgotten and looked up again.
const ENTRIES_MAX: usize = 100_000;

/// Whose and which run of numbers.
pub(super) type StreamKey = (AgentId, Epoch);

#[derive(Debug, Default)]
pub(super) struct Keys {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    agents: HashMap<AgentId, Known>,
    names: BTreeMap<i32, AgentId>,
    streams: BTreeMap<StreamKey, i32>,
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

    /// Those of these streams that are known.
    pub(super) fn streams(&self, wanted: impl IntoIterator<Item = StreamKey>) -> BTreeMap<StreamKey, i32> {
        let inner = self.inner();
        wanted.into_iter().filter_map(|key| Some((key, *inner.streams.get(&key)?))).collect()
    }

    /// Only what is committed may be put here.
    pub(super) fn put_stream(&self, key: StreamKey, id: i32) {
        let mut inner = self.inner();
        if inner.streams.len() >= ENTRIES_MAX {
            inner.streams.clear();
        }
        inner.streams.insert(key, id);
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

    /// The numbers of these agents; one that is nobody's is left out. What is returned stays right whatever others forget
    /// meanwhile.
    pub(super) async fn numbers(
        &self,
        connection: &mut PgConnection,
        wanted: impl IntoIterator<Item = AgentId>,
    ) -> Result<HashMap<AgentId, Known>, sqlx::Error> {
        let (mut found, mut missing) = (HashMap::new(), Vec::new());
        {
            let inner = self.inner();
            for key in wanted {
                match inner.agents.get(&key) {
                    Some(known) => drop(found.insert(key, *known)),
                    None => missing.push(key),
                }
            }
        }
        found.extend(self.look_up(connection, &missing).await?);
        Ok(found)
    }

    /// The same, as the database has it now: who was no member may be one.
    pub(super) async fn look_up(
        &self,
        connection: &mut PgConnection,
        wanted: &[AgentId],
    ) -> Result<HashMap<AgentId, Known>, sqlx::Error> {
        let mut found = HashMap::new();
        if wanted.is_empty() {
            return Ok(found);
        }
        let bytes: Vec<&[u8]> = wanted.iter().map(|key| key.0.as_slice()).collect();
        let select = "select id, key, certificate is not null as member from agent where key = any($1)";
        for row in sqlx::query(select).bind(bytes).fetch_all(connection).await? {
            let key: &[u8] = row.try_get("key")?;
            if let Ok(key) = key.try_into() {
                let known = Known { id: row.try_get("id")?, is_member: row.try_get("member")? };
                self.put_agent(AgentId(key), known);
                found.insert(AgentId(key), known);
            }
        }
        Ok(found)
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
