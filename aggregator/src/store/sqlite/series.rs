//! One pair over time in steps, row by row: nothing holds more than a block and the answer.

use super::blocks::unpack;
use super::codes::count;
use super::rollup::read;
use super::{SqliteStore, While};
use crate::store::error::{SeriesError, StoreError};
use crate::store::types::{SeriesQuery, SeriesRows};
use aggregator_core::rollup::{Bucket, Level, PairKey};
use aggregator_core::series::{Folding, Question, ROWS_MAX, Source};
use everypath_protocol::id::AgentId;
use everypath_protocol::time::UnixTime;
use futures::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

const DOING: &str = "reading a pair over time";
/// Blocks that are not in the sums yet. With this before them, their times need no index.
const UNSUMMED: &str = "id > (select through from rollup_cursor) and ";

impl SqliteStore {
    pub(in crate::store) async fn series(&self, query: SeriesQuery) -> Result<SeriesRows, SeriesError> {
        // One transaction: what is summed meanwhile is neither read twice nor missed.
        let mut reading = self.readers.begin().await.doing(DOING)?;
        let mut answer = SeriesRows { sources: vec![query.question.source()], ..SeriesRows::default() };
        let (source, target) = (number(&mut reading, query.source).await?, number(&mut reading, query.target).await?);
        let (Some(source), Some(target)) = (source, target) else { return Ok(answer) };
        let pair = PairKey { source, target, kind: query.kind };
        let mut folding = Folding::new(query.question);
        match query.question.source() {
            Source::Samples => fold_samples(&mut reading, pair, query.question, "", &mut folding).await?,
            Source::Rollup(level) => {
                fold_sums(&mut reading, pair, level, query.question, &mut folding).await?;
                let summed = folding.rows();
                fold_samples(&mut reading, pair, query.question, UNSUMMED, &mut folding).await?;
                if folding.rows() > summed {
                    answer.sources.push(Source::Samples);
                }
            }
        }
        answer.points = folding.points();
        Ok(answer)
    }
}

async fn number(connection: &mut SqliteConnection, agent: AgentId) -> Result<Option<u32>, StoreError> {
    let select = sqlx::query_scalar("select id from agent where key = ?").bind(agent.0.as_slice());
    let number: Option<i64> = select.fetch_optional(connection).await.doing(DOING)?;
    Ok(number.map(count))
}

async fn fold_samples(
    connection: &mut SqliteConnection,
    pair: PairKey,
    question: Question,
    which: &str,
    folding: &mut Folding,
) -> Result<(), SeriesError> {
    let select = format!("select body from sample_block where {which}source = ? and time_last >= ? and time_first < ?");
    let query = sqlx::query(AssertSqlSafe(select)).bind(pair.source).bind(question.from.0).bind(question.to.0);
    let mut blocks = query.fetch(connection);
    while let Some(block) = blocks.try_next().await.doing(DOING)? {
        let body: Vec<u8> = block.try_get("body").doing(DOING)?;
        // A millisecond of work for a full block: not on the threads that serve everybody.
        let rows = tokio::task::spawn_blocking(move || of_pair(&body, pair)).await;
        for (time, bucket) in rows.unwrap_or(Err(StoreError::Closed))? {
            folding.add(time, bucket)?;
        }
    }
    Ok(())
}

fn of_pair(body: &[u8], pair: PairKey) -> Result<Vec<(UnixTime, Bucket)>, StoreError> {
    let rows = unpack(body)?.into_iter().filter_map(|row| {
        let (of, window) = row.window(pair.source)?;
        (of == pair).then(|| (row.time, Bucket::of(window)))
    });
    Ok(rows.collect())
}

async fn fold_sums(
    connection: &mut SqliteConnection,
    pair: PairKey,
    level: Level,
    question: Question,
    folding: &mut Folding,
) -> Result<(), SeriesError> {
    let select = format!(
        "select body, time from sample_{} where source = ? and target = ? and kind = ? and time >= ? and time < ? limit ?",
        level.name()
    );
    let query = sqlx::query(AssertSqlSafe(select))
        .bind(pair.source)
        .bind(pair.target)
        .bind(pair.kind.code())
        .bind(question.from.0)
        .bind(question.to.0)
        .bind(i64::try_from(ROWS_MAX + 1).unwrap_or(i64::MAX));
    let mut rows = query.fetch(connection);
    while let Some(row) = rows.try_next().await.doing(DOING)? {
        folding.add(UnixTime(row.try_get(1).doing(DOING)?), read(&row).doing(DOING)?)?;
    }
    Ok(())
}
