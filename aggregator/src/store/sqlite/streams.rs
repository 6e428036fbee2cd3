//! What the audit reads.

use super::blocks::unpack;
use super::codes::{self, seq, unsigned};
use super::{SqliteStore, While};
use crate::store::error::StoreError;
use crate::store::types::StreamRows;
use everypath_protocol::id::{AgentId, Seq};
use sqlx::Row as _;

const DOING: &str = "reading streams for the audit";

impl SqliteStore {
    pub(in crate::store) async fn streams(&self, agent: AgentId) -> Result<Vec<StreamRows>, StoreError> {
        // One transaction, so that a batch which comes meanwhile is seen as a whole or not at all.
        let mut reading = self.readers.begin().await.doing(DOING)?;
        let select = "select s.id, s.epoch, s.cursor, s.expired, s.expired_rows from stream s join agent a on a.id = s.agent \
                      where a.key = ? order by s.epoch";
        let rows = sqlx::query(select).bind(agent.0.as_slice()).fetch_all(&mut *reading).await.doing(DOING)?;
        let mut streams = Vec::with_capacity(rows.len());
        for row in rows {
            let id: i64 = row.try_get("id").doing(DOING)?;
            let events = "select seq from event where stream = ?";
            let events: Vec<i64> = sqlx::query_scalar(events).bind(id).fetch_all(&mut *reading).await.doing(DOING)?;
            let mut numbers: Vec<Seq> = events.into_iter().map(seq).collect();
            let bodies = sqlx::query("select body from sample_block where stream = ?").bind(id);
            for block in bodies.fetch_all(&mut *reading).await.doing(DOING)? {
                let body: &[u8] = block.try_get("body").doing(DOING)?;
                numbers.extend(unpack(body)?.into_iter().map(|row| row.seq));
            }
            numbers.sort_unstable();
            let tombstones: Vec<(i64, i64)> =
                sqlx::query_as("select first, last from tombstone where stream = ? order by first")
                    .bind(id)
                    .fetch_all(&mut *reading)
                    .await
                    .doing(DOING)?;
            let blocks: Vec<(i64, i64, i64)> =
                sqlx::query_as("select first, last, rows from ingest_block where stream = ? order by first")
                    .bind(id)
                    .fetch_all(&mut *reading)
                    .await
                    .doing(DOING)?;
            streams.push(StreamRows {
                epoch: codes::epoch(row.try_get("epoch").doing(DOING)?)?,
                cursor: seq(row.try_get("cursor").doing(DOING)?),
                expired: seq(row.try_get("expired").doing(DOING)?),
                expired_rows: row.try_get::<Option<i64>, _>("expired_rows").doing(DOING)?.map(unsigned),
                rows: numbers,
                tombstones: tombstones.into_iter().map(|(first, last)| (seq(first), seq(last))).collect(),
                blocks: blocks.into_iter().map(|(first, last, rows)| (seq(first), seq(last), unsigned(rows))).collect(),
            });
        }
        Ok(streams)
    }
}
