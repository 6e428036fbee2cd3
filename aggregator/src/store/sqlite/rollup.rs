//! The sums: each sample is added once, in the transaction that moves the cursor past it.

use super::blocks::{rows_of, set_aside};
use super::codes::{count, unsigned};
use super::{SqliteStore, While, lease};
use crate::store::error::StoreError;
use crate::store::types::{Lease, RolledUp, Unsummed};
use aggregator_core::rollup::{Additions, Bucket, Level, PairKey};
use everypath_protocol::time::UnixTime;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

/// Samples in one step: some ten milliseconds that batches wait.
const SAMPLES_PER_STEP: usize = 16_384;
/// Blocks in one step.
const BLOCKS_PER_STEP: i64 = 512;
impl SqliteStore {
    pub(in crate::store) async fn roll_up(&self, held: Lease) -> Result<RolledUp, StoreError> {
        let step = self.write("rolling up", move |connection| {
            Box::pin(async move {
                if !lease::is_held(connection, held).await? {
                    return Ok(None);
                }
                step(connection).await.map(Some)
            })
        });
        step.await?.ok_or(StoreError::LeaseLost)
    }

    pub(in crate::store) async fn unsummed(&self) -> Result<Option<Unsummed>, StoreError> {
        let select =
            "select received_at from sample_block where id > (select through from rollup_cursor) order by id limit 1";
        let since: Option<i64> = sqlx::query_scalar(select)
            .fetch_optional(&self.readers)
            .await
            .doing("looking for what is not rolled up")?;
        Ok(since.map(|since| Unsummed { since: UnixTime(since), behind: None }))
    }

    /// How many samples are not in the sums yet.
    pub(super) async fn behind(&self) -> Result<u64, StoreError> {
        let select = "select coalesce(sum(rows), 0) from sample_block where id > (select through from rollup_cursor)";
        let rows: i64 =
            sqlx::query_scalar(select).fetch_one(&self.readers).await.doing("counting what is not rolled up")?;
        Ok(unsigned(rows))
    }
}

async fn step(connection: &mut SqliteConnection) -> Result<RolledUp, sqlx::Error> {
    let select = "select id, source, rows, body from sample_block where id > (select through from rollup_cursor) \
                  order by id limit ?";
    let blocks = sqlx::query(select).bind(BLOCKS_PER_STEP).fetch_all(&mut *connection).await?;
    let (mut additions, mut through, mut samples, mut taken, mut damaged) = (Additions::default(), None, 0, 0, 0);
    for block in &blocks {
        let source = count(block.try_get("source")?);
        let rows = if let Ok(rows) = rows_of(block) {
            rows
        } else {
            // It must not stop the sums of all others.
            set_aside(connection, block.try_get("id")?).await?;
            damaged += 1;
            Vec::new()
        };
        samples += rows.len();
        for row in rows {
            if let Some((pair, window)) = row.window(source) {
                additions.add(pair, row.time, window);
            }
        }
        through = Some(block.try_get::<i64, _>("id")?);
        taken += 1;
        if samples >= SAMPLES_PER_STEP {
            break;
        }
    }
    let buckets = additions.buckets.len() as u64;
    for ((level, pair, time), addition) in additions.buckets {
        damaged += u64::from(!add(connection, level, pair, time, addition).await?);
    }
    if let Some(through) = through {
        sqlx::query("update rollup_cursor set through = ?").bind(through).execute(connection).await?;
    }
    let has_more = taken < blocks.len() || i64::try_from(blocks.len()) == Ok(BLOCKS_PER_STEP);
    Ok(RolledUp { samples: samples as u64, buckets, damaged, has_more })
}

/// What is there is read, added to, and written back. Returns whether it could be read; if not, the sum begins anew.
async fn add(
    connection: &mut SqliteConnection,
    level: Level,
    pair: PairKey,
    time: UnixTime,
    mut bucket: Bucket,
) -> Result<bool, sqlx::Error> {
    let table = level.name();
    let select = format!("select body from sample_{table} where source = ? and target = ? and kind = ? and time = ?");
    let there = sqlx::query(AssertSqlSafe(select))
        .bind(pair.source)
        .bind(pair.target)
        .bind(pair.kind.code())
        .bind(time.0)
        .fetch_optional(&mut *connection)
        .await?;
    let there = there.map(|there| read(&there)).transpose();
    let is_readable = there.is_ok();
    match there {
        Ok(there) => bucket.merge(&there.unwrap_or_default()),
        Err(_) => tracing::error!(
            table = format!("sample_{table}"),
            source = pair.source,
            target = pair.target,
            time = time.0,
            "a sum is damaged and begins anew; what was in it is lost"
        ),
    }
    let insert =
        format!("insert or replace into sample_{table} (source, target, kind, time, body) values (?, ?, ?, ?, ?)");
    sqlx::query(AssertSqlSafe(insert))
        .bind(pair.source)
        .bind(pair.target)
        .bind(pair.kind.code())
        .bind(time.0)
        .bind(bucket.to_bytes())
        .execute(connection)
        .await?;
    Ok(is_readable)
}

/// A sum whose bytes are the first column of the row.
pub(super) fn read(row: &SqliteRow) -> Result<Bucket, sqlx::Error> {
    let damaged = |_| sqlx::Error::Decode(StoreError::Damaged("a sum").into());
    Bucket::from_bytes(row.try_get(0)?).map_err(damaged)
}
