//! One pair over time in steps, row by row. What is not in the sums yet is in the journal, behind the cursor of the sums.

use super::PgStore;
use super::buckets;
use super::codes::{Time, agent_number, signed};
use super::failure::While;
use super::journal;
use super::windows::{self, SELECT_HOURS};
use crate::store::error::SeriesError;
use crate::store::types::{SeriesQuery, SeriesRows};
use aggregator_core::rollup::{Bucket, Level, PairKey};
use aggregator_core::series::{Folding, ROWS_MAX, Source};
use futures::TryStreamExt as _;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Row as _};

const DOING: &str = "reading a pair over time";

/// Numbers of the database.
#[derive(Clone, Copy)]
struct Pair {
    source: i32,
    target: i32,
}

impl PgStore {
    pub(in crate::store) async fn series(&self, query: SeriesQuery) -> Result<SeriesRows, SeriesError> {
        let mut connection = self.pool().acquire().await.doing(DOING)?;
        let mut answer = SeriesRows { sources: vec![query.question.source()], ..SeriesRows::default() };
        let numbers = self.shared.keys.numbers(&mut connection, [query.source, query.target]).await.doing(DOING)?;
        let number = |key| numbers.get(&key).map(|known| known.id);
        let (Some(source), Some(target)) = (number(query.source), number(query.target)) else { return Ok(answer) };
        let of = Pair { source, target };
        // One snapshot: what is summed meanwhile is neither read twice nor missed.
        let mut reading =
            connection.begin_with("begin isolation level repeatable read, read only").await.doing(DOING)?;
        let mut folding = Folding::new(query.question);
        match query.question.source() {
            Source::Samples => fold_samples(&mut reading, of, query, &mut folding).await?,
            Source::Rollup(level) => {
                fold_sums(&mut reading, of, level, query, &mut folding).await?;
                let summed = folding.rows();
                fold_journal(&mut reading, of, query, &mut folding).await?;
                if folding.rows() > summed {
                    answer.sources.push(Source::Samples);
                }
            }
        }
        reading.commit().await.doing(DOING)?;
        answer.points = folding.points();
        Ok(answer)
    }
}

async fn fold_sums(
    connection: &mut PgConnection,
    of: Pair,
    level: Level,
    query: SeriesQuery,
    folding: &mut Folding,
) -> Result<(), SeriesError> {
    let mut days = select(buckets::select_days(level), of, query).fetch(connection);
    while let Some(day) = days.try_next().await.doing(DOING)? {
        for (time, bucket) in buckets::read(&day)? {
            folding.add(time, bucket)?;
        }
    }
    Ok(())
}

async fn fold_samples(
    connection: &mut PgConnection,
    of: Pair,
    query: SeriesQuery,
    folding: &mut Folding,
) -> Result<(), SeriesError> {
    let mut hours = select(SELECT_HOURS.to_owned(), of, query).fetch(connection);
    while let Some(hour) = hours.try_next().await.doing(DOING)? {
        for window in windows::read(&hour, query.target, query.kind)? {
            folding.add(window.start, Bucket::of(&window))?;
        }
    }
    Ok(())
}

/// At least one row more than an answer may have, so that what is left out is noticed.
fn select(text: String, of: Pair, query: SeriesQuery) -> Query<'static, Postgres, PgArguments> {
    sqlx::query(AssertSqlSafe(text))
        .bind(of.source)
        .bind(of.target)
        .bind(i16::from(query.kind.code()))
        .bind(Time(query.question.from))
        .bind(Time(query.question.to))
        .bind(signed(ROWS_MAX + 1))
}

async fn fold_journal(
    connection: &mut PgConnection,
    of: Pair,
    query: SeriesQuery,
    folding: &mut Folding,
) -> Result<(), SeriesError> {
    let key = PairKey { source: agent_number(of.source), target: agent_number(of.target), kind: query.kind };
    let select = "select j.body from journal j, rollup_cursor c where j.source = $1 and (j.xid, j.id) > (c.xid, c.id)";
    let mut entries = sqlx::query(select).bind(of.source).fetch(connection);
    while let Some(entry) = entries.try_next().await.doing(DOING)? {
        for row in journal::open(entry.try_get("body").doing(DOING)?)? {
            if let Some((_, window)) = row.window(key.source).filter(|(pair, _)| *pair == key) {
                folding.add(row.time, Bucket::of(window))?;
            }
        }
    }
    Ok(())
}
