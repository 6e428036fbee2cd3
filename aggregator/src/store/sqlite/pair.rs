//! One pair over time.

use super::blocks::unpack;
use super::codes::count;
use super::rollup::{COLUMNS, read};
use super::{SqliteStore, While};
use crate::store::error::StoreError;
use crate::store::types::PairQuery;
use aggregator_core::rollup::{Bucket, Level, PairKey};
use aggregator_core::series::Source;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::UnixTime;
use sqlx::{AssertSqlSafe, Row as _};

const DOING: &str = "reading a pair";

impl SqliteStore {
    pub(in crate::store) async fn pair(&self, query: PairQuery) -> Result<Vec<(UnixTime, Bucket)>, StoreError> {
        let (Some(source), Some(target)) = (self.number(query.source).await?, self.number(query.target).await?) else {
            return Ok(Vec::new());
        };
        let pair = PairKey { source, target, kind: query.kind };
        match query.table {
            Source::Samples => self.samples_of(pair, query.from, query.to).await,
            Source::Rollup(level) => self.sums_of(pair, level, query.from, query.to).await,
        }
    }

    async fn number(&self, agent: AgentId) -> Result<Option<u32>, StoreError> {
        let select = sqlx::query_scalar("select id from agent where key = ?").bind(agent.0.as_slice());
        let number: Option<i64> = select.fetch_optional(&self.readers).await.doing(DOING)?;
        Ok(number.map(count))
    }

    async fn samples_of(
        &self,
        pair: PairKey,
        from: UnixTime,
        to: UnixTime,
    ) -> Result<Vec<(UnixTime, Bucket)>, StoreError> {
        let select = "select body from sample_block where source = ? and time_last >= ? and time_first < ?";
        let blocks = sqlx::query(select).bind(pair.source).bind(from.0).bind(to.0);
        let blocks = blocks.fetch_all(&self.readers).await.doing(DOING)?;
        // Milliseconds of work for a day of a busy agent.
        let unpacked = tokio::task::spawn_blocking(move || {
            let mut rows = Vec::new();
            for block in &blocks {
                let body = block.try_get("body").doing(DOING)?;
                rows.extend(unpack(body)?.into_iter().filter_map(|row| {
                    let (of, window) = row.window(pair.source)?;
                    (of == pair && row.time >= from && row.time < to).then(|| (row.time, Bucket::of(window)))
                }));
            }
            rows.sort_by_key(|(time, _)| *time);
            Ok(rows)
        });
        unpacked.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn sums_of(
        &self,
        pair: PairKey,
        level: Level,
        from: UnixTime,
        to: UnixTime,
    ) -> Result<Vec<(UnixTime, Bucket)>, StoreError> {
        let select = format!(
            "select {COLUMNS}, time from sample_{} \
             where source = ? and target = ? and kind = ? and time >= ? and time < ? order by time",
            level.name()
        );
        let rows = sqlx::query(AssertSqlSafe(select))
            .bind(pair.source)
            .bind(pair.target)
            .bind(pair.kind.code())
            .bind(from.0)
            .bind(to.0);
        let rows = rows.fetch_all(&self.readers).await.doing(DOING)?;
        rows.iter().map(|row| Ok((UnixTime(row.try_get("time").doing(DOING)?), read(row).doing(DOING)?))).collect()
    }
}
