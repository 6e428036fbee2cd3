//! Deleting what is old and packing what is small, in steps that no batch has to wait for long.

use super::blocks::{SampleBlock, rows_of, set_aside};
use super::{SqliteStore, While, lease};
use crate::store::error::StoreError;
use crate::store::types::{Keep, Lease, Maintained};
use aggregator_core::rollup::Level;
use everypath_protocol::sign::sha256;
use everypath_protocol::time::{Span, UnixTime};
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

/// Rows of `sample_block` or `event` deleted in one step.
const ROWS_PER_STEP: i64 = 500;
/// Pairs whose old sums are deleted in one step.
const PAIRS_PER_STEP: usize = 100;
/// Blocks are packed when their newest window is this old: late ones have come by then.
const PACK_AFTER: Span = Span::seconds(3_600);
/// Fewer small blocks of a stream than this are left as they are.
const PACK_BLOCKS_MIN: i64 = 16;
/// Most blocks that become one.
const PACK_BLOCKS_MAX: i64 = 512;
/// Samples in a packed block: unpacking it takes a millisecond. Not small by the index `sample_block_small`.
const PACK_ROWS: i64 = 4_096;

/// The audit must not take for missing what was deleted on purpose, and nothing else for that.
const MARK: &str = "expired = max(expired, newest.seq), expired_rows = expired_rows + newest.rows";

/// Where the walk over a table of sums is; the next run begins where this one ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walk {
    table: usize,
    after: (i64, i64, i64),
}

impl Walk {
    fn is_under_way(self) -> bool {
        self.table > 0 || self.after != (0, 0, 0)
    }
}

impl SqliteStore {
    pub(in crate::store) async fn maintain(
        &self,
        held: Lease,
        keep: Keep,
        now: UnixTime,
    ) -> Result<Maintained, StoreError> {
        let walk = *self.walk.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let step = self.write("deleting what is old", move |connection| {
            Box::pin(async move {
                if !lease::is_held(connection, held).await? {
                    return Ok(None);
                }
                let samples = samples(connection, now.minus(keep.samples)).await?;
                let events = events(connection, now.minus(keep.events)).await?;
                let packed = pack(connection, now.minus(PACK_AFTER)).await?;
                let (sums, next) = sums(connection, walk, keep, now).await?;
                let full = |rows: u64| i64::try_from(rows) == Ok(ROWS_PER_STEP);
                let has_more = full(samples) || full(events) || packed || next.is_under_way();
                Ok(Some((Maintained { dropped: samples + events + sums, has_more }, next)))
            })
        });
        let (maintained, next) = step.await?.ok_or(StoreError::LeaseLost)?;
        *self.walk.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = next;
        Ok(maintained)
    }
}

async fn samples(connection: &mut SqliteConnection, before: UnixTime) -> Result<u64, sqlx::Error> {
    // What is not rolled up yet stays.
    let old = "select id from sample_block where time_last < ? and id <= (select through from rollup_cursor) \
               order by time_last limit ?";
    let mark = format!(
        "with newest as (select stream, max(last) as seq, sum(rows) as rows from sample_block where id in ({old}) group by stream) \
         update stream set {MARK} from newest where newest.stream = stream.id"
    );
    sqlx::query(AssertSqlSafe(mark)).bind(before.0).bind(ROWS_PER_STEP).execute(&mut *connection).await?;
    let delete = format!("delete from sample_block where id in ({old})");
    let deleted = sqlx::query(AssertSqlSafe(delete)).bind(before.0).bind(ROWS_PER_STEP).execute(connection).await?;
    Ok(deleted.rows_affected())
}

async fn events(connection: &mut SqliteConnection, before: UnixTime) -> Result<u64, sqlx::Error> {
    let old = "select id from event where time < ? order by time limit ?";
    let mark = format!(
        "with newest as (select stream, max(seq) as seq, count(*) as rows from event where id in ({old}) group by stream) \
         update stream set {MARK} from newest where newest.stream = stream.id"
    );
    sqlx::query(AssertSqlSafe(mark)).bind(before.0).bind(ROWS_PER_STEP).execute(&mut *connection).await?;
    let delete = format!("delete from event where id in ({old})");
    let deleted = sqlx::query(AssertSqlSafe(delete)).bind(before.0).bind(ROWS_PER_STEP).execute(connection).await?;
    Ok(deleted.rows_affected())
}

/// Sums lie pair by pair, so old ones are found pair by pair.
async fn sums(
    connection: &mut SqliteConnection,
    walk: Walk,
    keep: Keep,
    now: UnixTime,
) -> Result<(u64, Walk), sqlx::Error> {
    let Some(level) = Level::ALL.get(walk.table).copied() else { return Ok((0, Walk::default())) };
    let table = level.name();
    let before = now.minus(match level {
        Level::Minute => keep.minutes,
        Level::Hour => keep.hours,
        Level::Day => keep.days,
    });
    let next = format!(
        "select source, target, kind from sample_{table} where (source, target, kind) > (?, ?, ?) \
         order by source, target, kind limit 1"
    );
    let delete = format!("delete from sample_{table} where source = ? and target = ? and kind = ? and time < ?");
    let (mut after, mut deleted) = (walk.after, 0);
    for _ in 0..PAIRS_PER_STEP {
        let pair: Option<(i64, i64, i64)> = sqlx::query_as(AssertSqlSafe(next.clone()))
            .bind(after.0)
            .bind(after.1)
            .bind(after.2)
            .fetch_optional(&mut *connection)
            .await?;
        let Some(pair) = pair else {
            // The last table's end is the end of the walk.
            let table = (walk.table + 1) % Level::ALL.len();
            return Ok((deleted, Walk { table, after: (0, 0, 0) }));
        };
        let gone = sqlx::query(AssertSqlSafe(delete.clone())).bind(pair.0).bind(pair.1).bind(pair.2).bind(before.0);
        deleted += gone.execute(&mut *connection).await?.rows_affected();
        after = pair;
    }
    Ok((deleted, Walk { table: walk.table, after }))
}

/// Makes one block of many small ones of a stream. Returns whether there was something to be packed.
async fn pack(connection: &mut SqliteConnection, before: UnixTime) -> Result<bool, sqlx::Error> {
    let select = "select stream from sample_block indexed by sample_block_small \
                  where rows < 2048 and time_last < ? and id <= (select through from rollup_cursor) \
                  group by stream having count(*) >= ? limit 1";
    let stream: Option<i64> =
        sqlx::query_scalar(select).bind(before.0).bind(PACK_BLOCKS_MIN).fetch_optional(&mut *connection).await?;
    let Some(stream) = stream else { return Ok(false) };
    let select = "select id, source, first, last, rows, received_at, body from sample_block \
                  where stream = ? and rows < 2048 and time_last < ? and id <= (select through from rollup_cursor) \
                  order by id limit ?";
    let small = sqlx::query(select).bind(stream).bind(before.0).bind(PACK_BLOCKS_MAX);
    let small = small.fetch_all(&mut *connection).await?;
    let (mut rows, mut ids, mut source, mut received_at) = (Vec::new(), Vec::new(), 0, 0);
    for block in &small {
        let id = block.try_get::<i64, _>("id")?;
        let Ok(unpacked) = rows_of(block) else {
            set_aside(connection, id).await?;
            continue;
        };
        rows.extend(unpacked);
        ids.push(id);
        source = block.try_get("source")?;
        received_at = i64::max(received_at, block.try_get("received_at")?);
        if i64::try_from(rows.len()).unwrap_or(i64::MAX) >= PACK_ROWS {
            break;
        }
    }
    // It takes the place of the last one: what is rolled up stays below the cursor.
    let Some(last) = ids.pop() else { return Ok(true) };
    let packed = SampleBlock::packed(stream, source, received_at, &rows);
    let update = "update sample_block set first = ?, last = ?, rows = ?, time_first = ?, time_last = ?, received_at = ?, \
                  body = ? where id = ?";
    sqlx::query(update)
        .bind(packed.first)
        .bind(packed.last)
        .bind(packed.rows)
        .bind(packed.time_first)
        .bind(packed.time_last)
        .bind(packed.received_at)
        .bind(packed.body)
        .bind(last)
        .execute(&mut *connection)
        .await?;
    for id in ids {
        sqlx::query("delete from sample_block where id = ?").bind(id).execute(&mut *connection).await?;
    }
    join_pieces(connection, stream, packed.first, packed.last).await?;
    Ok(true)
}

/// First, last, rows, hash, flags, received.
type Piece = (i64, i64, i64, Vec<u8>, i64, i64);

/// The accounts of the wire blocks that were packed become one wherever they touch; its hash is over theirs.
async fn join_pieces(connection: &mut SqliteConnection, stream: i64, first: i64, last: i64) -> Result<(), sqlx::Error> {
    let select = "select first, last, rows, hash, flags, received_at from ingest_block \
                  where stream = ? and first >= ? and last <= ? order by first";
    let pieces: Vec<Piece> =
        sqlx::query_as(select).bind(stream).bind(first).bind(last).fetch_all(&mut *connection).await?;
    let mut runs: Vec<Vec<&Piece>> = Vec::new();
    for piece in &pieces {
        match runs.last_mut() {
            // A tombstone has no rows and stays by itself.
            Some(run) if run[run.len() - 1].1 + 1 == piece.0 && run[0].2 > 0 && piece.2 > 0 && run[0].4 == piece.4 => {
                run.push(piece);
            }
            _ => runs.push(vec![piece]),
        }
    }
    for run in runs.iter().filter(|run| run.len() > 1) {
        let (from, to) = (run[0].0, run[run.len() - 1].1);
        let hashes: Vec<&[u8]> = run.iter().map(|piece| piece.3.as_slice()).collect();
        let rows: i64 = run.iter().map(|piece| piece.2).sum();
        let received_at = run.iter().map(|piece| piece.5).max().unwrap_or(0);
        sqlx::query("delete from ingest_block where stream = ? and first > ? and first <= ?")
            .bind(stream)
            .bind(from)
            .bind(to)
            .execute(&mut *connection)
            .await?;
        sqlx::query(
            "update ingest_block set last = ?, rows = ?, hash = ?, received_at = ? where stream = ? and first = ?",
        )
        .bind(to)
        .bind(rows)
        .bind(sha256(&hashes).as_slice())
        .bind(received_at)
        .bind(stream)
        .bind(from)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

impl SqliteStore {
    pub(in crate::store) async fn newest_receipt(&self) -> Result<Option<UnixTime>, StoreError> {
        let newest = sqlx::query_scalar("select max(last_seen) from agent").fetch_one(&self.readers).await;
        newest.map(|time: Option<i64>| time.map(UnixTime)).doing("reading when something came last")
    }
}
