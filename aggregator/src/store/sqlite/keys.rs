//! The numbers of agents, so that a batch with a hundred targets does not ask a hundred times.

use super::codes::count;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::UnixTime;
use sqlx::SqliteConnection;
use std::collections::{BTreeSet, HashMap};

/// Agents that are remembered; beyond it all are forgotten and learned again.
const KEYS_MAX: usize = 65_536;

/// What is known of the table `agent`. Rows of it are never deleted, but a transaction that made one may be undone: then this is
/// forgotten with it.
#[derive(Debug, Default)]
pub(super) struct Keys {
    ids: HashMap<AgentId, u32>,
}

impl Keys {
    /// The number of an agent; one that nobody introduced yet gets a row that holds its key and who named it.
    pub(super) async fn id(
        &mut self,
        connection: &mut SqliteConnection,
        agent: AgentId,
        named_by: i64,
        now: UnixTime,
    ) -> Result<u32, sqlx::Error> {
        if let Some(id) = self.known(connection, agent).await? {
            return Ok(id);
        }
        let insert = "insert into agent (key, first_seen, named_by) values (?, ?, ?) returning id";
        let id: i64 = sqlx::query_scalar(insert)
            .bind(agent.0.as_slice())
            .bind(now.0)
            .bind(named_by)
            .fetch_one(connection)
            .await?;
        Ok(self.put(agent, id))
    }

    /// The number of an agent that has one.
    pub(super) async fn known(
        &mut self,
        connection: &mut SqliteConnection,
        agent: AgentId,
    ) -> Result<Option<u32>, sqlx::Error> {
        if let Some(id) = self.ids.get(&agent) {
            return Ok(Some(*id));
        }
        let select = sqlx::query_scalar("select id from agent where key = ?").bind(agent.0.as_slice());
        let id: Option<i64> = select.fetch_optional(connection).await?;
        Ok(id.map(|id| self.put(agent, id)))
    }

    /// How many of these agents have no number.
    pub(super) async fn unknown(
        &mut self,
        connection: &mut SqliteConnection,
        agents: impl Iterator<Item = AgentId>,
    ) -> Result<u64, sqlx::Error> {
        let agents: BTreeSet<AgentId> = agents.filter(|agent| !self.ids.contains_key(agent)).collect();
        let mut unknown = 0;
        for agent in agents {
            unknown += u64::from(self.known(connection, agent).await?.is_none());
        }
        Ok(unknown)
    }

    fn put(&mut self, agent: AgentId, id: i64) -> u32 {
        if self.ids.len() >= KEYS_MAX {
            self.ids.clear();
        }
        self.ids.insert(agent, count(id));
        count(id)
    }

    /// What was learned may have been undone.
    pub(super) fn forget(&mut self) {
        self.ids.clear();
    }
}
