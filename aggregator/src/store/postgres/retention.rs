//! Making room for what comes and dropping what is old, a whole piece at a time: no row is deleted one by one.

use super::PgStore;
use super::codes::Time;
use super::failure::{Failure, While, failure, store_error};
use super::lease;
use super::partitions::{Piece, Table, is_partitioned, pieces};
use crate::clock::rfc3339;
use crate::store::error::StoreError;
use crate::store::types::{Keep, Lease, Maintained};
use everypath_protocol::time::{Span, UnixTime};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use std::sync::atomic::Ordering;

const DOING: &str = "dropping what is old";
/// How long entries of the journal stay after they were added to the sums: other replicas read them within a second, one that
/// starts reads those of the last minutes.
const JOURNAL_KEPT: Span = Span::seconds(600);
/// Entries of the journal in one step.
const ENTRIES_MAX: u32 = 5_000;
/// Accounts of blocks are joined when they are this old, as many streams in one step, up to so many rows in one account, and
/// only where there are this many to be joined.
const JOIN_AFTER: Span = Span::seconds(3_600);
const STREAMS_PER_STEP: i32 = 256;
const JOINED_ROWS: i32 = 4_096;
const JOINED_MIN: i32 = 16;
/// Dropping locks the whole table for a moment, and whoever writes waits behind the one that waits. So it waits a moment only;
/// there is another try with the next step.
const PATIENCE: &str = "set local lock_timeout = '500ms'; set local statement_timeout = '10min'";

impl PgStore {
    pub(in crate::store) async fn maintain(
        &self,
        lease: Lease,
        keep: Keep,
        now: UnixTime,
    ) -> Result<Maintained, StoreError> {
        let mut connection = self.pool().acquire().await.doing(DOING)?;
        let mut asking = connection.begin().await.doing(DOING)?;
        lease::check(&mut asking, lease).await?;
        asking.commit().await.doing(DOING)?;
        if let Some(missing) = self.shared.partitions.missing(&self.shared.partitions.ahead(now)) {
            self.shared.partitions.make(&mut connection, &missing).await.doing("making partitions")?;
        }
        let mut done = Maintained::default();
        let limits = [
            (Table::Sample, keep.samples),
            (Table::Event, keep.events),
            (Table::Minute, keep.minutes),
            (Table::Hour, keep.hours),
            (Table::Day, keep.days),
        ];
        for (table, kept) in limits {
            let before = now.minus(kept);
            let old = pieces(&mut connection, table).await.doing(DOING)?.into_iter().filter(|piece| piece.to <= before);
            let old: Vec<Piece> = old.collect();
            let Some(piece) = old.first() else { continue };
            match drop_piece(&mut connection, lease, table, piece).await {
                Ok(()) => {
                    self.shared.partitions.forget();
                    done.dropped += 1;
                    done.has_more |= old.len() > 1;
                    tracing::info!(piece = piece.name, "dropped because of its age");
                }
                Err(Stopped::InTheWay) => tracing::info!(piece = piece.name, "in use; it is dropped later"),
                Err(Stopped::Store(error)) => return Err(error),
            }
        }
        drop_aggregate(&mut connection, now.minus(keep.minutes)).await.doing(DOING)?;
        self.join_accounts(&mut connection, now.minus(JOIN_AFTER)).await.doing("joining accounts of blocks")?;
        done.has_more |= trim_journal(&mut connection, now.minus(JOURNAL_KEPT)).await.doing("trimming the journal")?;
        Ok(done)
    }

    /// Makes one account of the accounts of many small blocks that touch; its hash is over theirs. An agent sends a block every
    /// second, and their accounts would soon be more than the samples. Some streams at a time; the next step goes on behind them.
    async fn join_accounts(&self, connection: &mut PgConnection, before: UnixTime) -> Result<(), sqlx::Error> {
        let select = "select id from stream where id > $1 order by id limit $2";
        let after = self.shared.joined.load(Ordering::Relaxed);
        let streams = sqlx::query_scalar(select).bind(after).bind(i64::from(STREAMS_PER_STEP));
        let streams: Vec<i32> = streams.fetch_all(&mut *connection).await?;
        self.shared.joined.store(streams.last().copied().unwrap_or(0), Ordering::Relaxed);
        // A tombstone has no rows and stays by itself. What came last is left alone: it may still be written beside.
        let join = "with old as (select *, lag(last) over w as last_before, lag(flags) over w as flags_before \
                    from ingest_block where stream = any($1) and received_at < $2 and rows > 0 and rows < $3 \
                    window w as (partition by stream order by first)), \
                    touching as (select *, sum((last_before is distinct from first - 1 or flags_before <> flags)::int) \
                    over (partition by stream order by first) as run from old), \
                    sized as (select *, sum(rows) over (partition by stream, run order by first) / $3 as part from touching), \
                    joined as (select stream, min(first) as first, max(last) as last, sum(rows)::int4 as rows, \
                    sha256(string_agg(hash, ''::bytea order by first)) as hash, max(received_at) as received_at \
                    from sized group by stream, run, part having count(*) >= $4), \
                    gone as (delete from ingest_block b using joined j \
                    where b.stream = j.stream and b.first > j.first and b.first <= j.last) \
                    update ingest_block b set last = j.last, rows = j.rows, hash = j.hash, received_at = j.received_at \
                    from joined j where b.stream = j.stream and b.first = j.first";
        sqlx::query(join)
            .bind(streams)
            .bind(Time(before))
            .bind(JOINED_ROWS)
            .bind(JOINED_MIN)
            .execute(connection)
            .await
            .map(|_| ())
    }

    pub(in crate::store) async fn newest_receipt(&self) -> Result<Option<UnixTime>, StoreError> {
        let select = "select max(last_seen) from agent";
        let newest: Option<Time> =
            sqlx::query_scalar(select).fetch_one(self.pool()).await.doing("reading when something came last")?;
        Ok(newest.map(|Time(time)| time))
    }
}

enum Stopped {
    /// Somebody reads or writes it just now.
    InTheWay,
    Store(StoreError),
}

impl From<sqlx::Error> for Stopped {
    fn from(error: sqlx::Error) -> Self {
        if failure(&error) == Failure::Collision { Self::InTheWay } else { Self::Store(store_error(DOING, error)) }
    }
}

/// Nothing can be added to the piece from the moment on at which it is looked through for the last numbers of its streams, so the
/// audit knows of everything that goes. The lease is asked for last: it cannot be renewed while it is.
async fn drop_piece(connection: &mut PgConnection, lease: Lease, table: Table, piece: &Piece) -> Result<(), Stopped> {
    let name = &piece.name;
    let mut transaction = connection.begin().await?;
    transaction.execute(PATIENCE).await?;
    if matches!(table, Table::Sample | Table::Event) {
        transaction.execute(AssertSqlSafe(format!("lock table {name} in share mode"))).await?;
        let mark = format!(
            "with newest as (select stream, max(seq) as seq, count(*) as rows from {name} group by stream), \
             locked as (select s.id, n.seq, n.rows from stream s join newest n on n.stream = s.id \
             order by s.agent, s.epoch for no key update of s) \
             update stream set expired = greatest(expired, locked.seq), \
             expired_rows = expired_rows + locked.rows from locked where stream.id = locked.id"
        );
        transaction.execute(AssertSqlSafe(mark)).await?;
    }
    lease::check(&mut transaction, lease).await.map_err(Stopped::Store)?;
    let drop = if is_partitioned(&mut transaction, table).await? {
        format!("drop table {name}")
    } else {
        format!(
            "select drop_chunks('{}', older_than => timestamptz '{}', newer_than => timestamptz '{}')",
            table.name(),
            rfc3339(piece.to),
            rfc3339(piece.from)
        )
    };
    transaction.execute(AssertSqlSafe(drop)).await?;
    transaction.commit().await?;
    Ok(())
}

/// The continuous aggregate is kept as long as the sums of a minute.
async fn drop_aggregate(connection: &mut PgConnection, before: UnixTime) -> Result<(), sqlx::Error> {
    let there: bool =
        sqlx::query_scalar("select to_regclass('sample_minute_ca') is not null").fetch_one(&mut *connection).await?;
    if !there {
        return Ok(());
    }
    let drop = "select count(*) from drop_chunks('sample_minute_ca', older_than => $1::timestamptz)";
    sqlx::query(drop).bind(Time(before)).execute(connection).await.map(|_| ())
}

/// Returns whether there is more.
async fn trim_journal(connection: &mut PgConnection, before: UnixTime) -> Result<bool, sqlx::Error> {
    let delete = "delete from journal where id in (select j.id from journal j, rollup_cursor c \
                  where (j.xid, j.id) <= (c.xid, c.id) and j.received_at < $1 order by j.xid, j.id limit $2)";
    let deleted = sqlx::query(delete).bind(Time(before)).bind(i64::from(ENTRIES_MAX)).execute(connection).await?;
    Ok(deleted.rows_affected() == u64::from(ENTRIES_MAX))
}
