//! What the audit reads.

use super::PgStore;
use super::codes::{self, count, seq, unsigned};
use super::failure::While;
use crate::store::error::StoreError;
use crate::store::types::StreamRows;
use everypath_protocol::id::AgentId;
use sqlx::{Executor as _, Row as _};

const DOING: &str = "reading streams for the audit";

impl PgStore {
    pub(in crate::store) async fn streams(&self, agent: AgentId) -> Result<Vec<StreamRows>, StoreError> {
        let mut reading = self.pool().begin().await.doing(DOING)?;
        // One picture of everything, so that a batch which comes meanwhile is seen as a whole or not at all. It scans.
        let begin = "set transaction isolation level repeatable read read only; set local statement_timeout = '10min'";
        reading.execute(begin).await.doing(DOING)?;
        let select = "select s.id, s.epoch, s.cursor, s.expired, s.expired_rows from stream s join agent a on a.id = s.agent \
                      where a.key = $1 order by s.epoch";
        let rows = sqlx::query(select).bind(agent.0.as_slice()).fetch_all(&mut *reading).await.doing(DOING)?;
        let mut streams = Vec::with_capacity(rows.len());
        for row in rows {
            let id: i32 = row.try_get("id").doing(DOING)?;
            // By the agent first, because there is an index for that.
            let numbers = "select seq from sample where source = (select agent from stream where id = $1) and stream = $1 \
                           union all select seq from event where stream = $1 order by 1";
            let numbers: Vec<i64> = sqlx::query_scalar(numbers).bind(id).fetch_all(&mut *reading).await.doing(DOING)?;
            let tombstones: Vec<(i64, i64)> =
                sqlx::query_as("select first, last from tombstone where stream = $1 order by first")
                    .bind(id)
                    .fetch_all(&mut *reading)
                    .await
                    .doing(DOING)?;
            let blocks: Vec<(i64, i64, i32)> =
                sqlx::query_as("select first, last, rows from ingest_block where stream = $1 order by first")
                    .bind(id)
                    .fetch_all(&mut *reading)
                    .await
                    .doing(DOING)?;
            streams.push(StreamRows {
                epoch: codes::epoch(row.try_get("epoch").doing(DOING)?)?,
                cursor: seq(row.try_get("cursor").doing(DOING)?),
                expired: seq(row.try_get("expired").doing(DOING)?),
                expired_rows: row.try_get::<Option<i64>, _>("expired_rows").doing(DOING)?.map(unsigned),
                rows: numbers.into_iter().map(seq).collect(),
                tombstones: tombstones.into_iter().map(|(first, last)| (seq(first), seq(last))).collect(),
                blocks: blocks
                    .into_iter()
                    .map(|(first, last, rows)| (seq(first), seq(last), count(rows).into()))
                    .collect(),
            });
        }
        Ok(streams)
    }
}
