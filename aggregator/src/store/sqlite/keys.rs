//! The numbers of agents, so that a batch with a hundred targets does not ask a hundred times.

use super::codes::count;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::UnixTime;
use sqlx::SqliteConnection;
use std::collections::HashMap;

/// Agents that are remembered; beyond it all are forgotten and learned again.
const KEYS_MAX: usize = 65_536;

/// What is known of the table `agent`. Rows of it are never deleted, but a transaction that made one may be undone: then this is
/// forgotten with it.
#[derive(Debug, Default)]
pub(super) struct Keys {
    ids: HashMap<AgentId, u32>,
}

impl Keys {
    /// The number of an agent; one that nobody introduced yet gets a row that holds its key alone.
    pub(super) async fn id(
        &mut self,
        connection: &mut SqliteConnection,
        agent: AgentId,
        now: UnixTime,
    ) -> Result<u32, sqlx::Error> {
        if let Some(id) = self.ids.get(&agent) {
            return Ok(*id);
        }
        let select = sqlx::query_scalar("select id from agent where key = ?").bind(agent.0.as_slice());
        let id: i64 = match select.fetch_optional(&mut *connection).await? {
            Some(id) => id,
            None => {
                sqlx::query_scalar("insert into agent (key, first_seen) values (?, ?) returning id")
                    .bind(agent.0.as_slice())
                    .bind(now.0)
                    .fetch_one(connection)
                    .await?
            }
        };
        if self.ids.len() >= KEYS_MAX {
            self.ids.clear();
        }
        self.ids.insert(agent, count(id));
        Ok(count(id))
    }

    /// What was learned may have been undone.
    pub(super) fn forget(&mut self) {
        self.ids.clear();
    }
}
