//! Adding samples to the sums, each once.
//!
//! The journal is read in the order of transactions, and only what lies before the oldest transaction under way: behind that
//! line nothing can appear any more, so no sample is missed, however late it commits. Sums and cursor move in one transaction.

use super::PgStore;
use super::buckets::{self, Key};
use super::codes::agent_number;
use super::failure::{Failure, While, failure};
use super::journal;
use super::lease;
use super::partitions::Wanted;
use crate::store::error::StoreError;
use crate::store::types::{Lease, RolledUp};
use aggregator_core::rollup::{Additions, Bucket, Level};
use sqlx::{Connection as _, PgConnection, Row as _};
use std::collections::BTreeMap;

/// Entries of the journal in one step. The longest ones, of a backlog, make some 40 MB of it.
const ENTRIES_MAX: i64 = 256;
/// Samples after which a step takes no further entry, so that its transaction stays short.
const SAMPLES_MAX: u64 = 50_000;
const DOING: &str = "adding samples to the sums";

impl PgStore {
    pub(in crate::store) async fn roll_up(&self, lease: Lease) -> Result<RolledUp, StoreError> {
        let mut connection = self.pool().acquire().await.doing(DOING)?;
        for _ in 0..2 {
            let mut transaction = connection.begin().await.doing(DOING)?;
            match self.step(&mut transaction, lease).await? {
                Step::Done(rolled_up) => {
                    transaction.commit().await.doing(DOING)?;
                    return Ok(rolled_up);
                }
                Step::NoPartition(wanted) => {
                    transaction.rollback().await.doing(DOING)?;
                    self.shared.partitions.make(&mut connection, &wanted).await.doing(DOING)?;
                }
            }
        }
        // A partition was dropped as soon as it was made: the next step makes it again.
        Ok(RolledUp { has_more: true, ..RolledUp::default() })
    }

    async fn step(&self, connection: &mut PgConnection, lease: Lease) -> Result<Step, StoreError> {
        lease::check(connection, lease).await?;
        let Some(read) = read(connection).await? else { return Ok(Step::Done(RolledUp::default())) };
        let mut wanted = Wanted::default();
        let mut levels: BTreeMap<Level, BTreeMap<Key, Bucket>> = BTreeMap::new();
        for ((level, pair, time), bucket) in read.additions.buckets {
            wanted.add(buckets::table(level), time);
            levels.entry(level).or_default().insert((pair, time), bucket);
        }
        if let Some(missing) = self.shared.partitions.missing(&wanted) {
            return Ok(Step::NoPartition(missing));
        }
        let mut rolled_up =
            RolledUp { samples: read.samples, buckets: 0, damaged: read.damaged, has_more: read.has_more };
        for (level, mut sums) in levels {
            let keys: Vec<Key> = sums.keys().copied().collect();
            for (key, old) in buckets::fetch(connection, level, &keys).await? {
                if let Some(sum) = sums.get_mut(&key) {
                    sum.merge(&old);
                }
            }
            match buckets::put(connection, level, &sums).await {
                Err(error) if failure(&error) == Failure::NoPartition => {
                    self.shared.partitions.forget();
                    return Ok(Step::NoPartition(wanted));
                }
                put => put.doing(DOING)?,
            }
            rolled_up.buckets += sums.len() as u64;
        }
        let update = "update rollup_cursor set xid = $1::text::xid8, id = $2";
        sqlx::query(update).bind(read.xid).bind(read.id).execute(connection).await.doing(DOING)?;
        Ok(Step::Done(rolled_up))
    }
}

enum Step {
    Done(RolledUp),
    NoPartition(Wanted),
}

/// Entries behind the cursor, summed, and where they end.
struct Read {
    additions: Additions,
    samples: u64,
    damaged: u64,
    xid: String,
    id: i64,
    has_more: bool,
}

/// Locks the cursor. Nothing if there is nothing new.
async fn read(connection: &mut PgConnection) -> Result<Option<Read>, StoreError> {
    let cursor = "select xid::text as through, id from rollup_cursor for update";
    let cursor = sqlx::query(cursor).fetch_one(&mut *connection).await.doing(DOING)?;
    let (mut xid, mut id): (String, i64) =
        (cursor.try_get("through").doing(DOING)?, cursor.try_get("id").doing(DOING)?);
    // In a statement of its own, with the snapshot from after the wait for the lock: whoever held it has moved the cursor on.
    let is_ahead = "select $1::text::xid8 >= pg_snapshot_xmax(pg_current_snapshot())";
    if sqlx::query_scalar(is_ahead).bind(&xid).fetch_one(&mut *connection).await.doing(DOING)? {
        begin_anew(connection).await.doing(DOING)?;
        (xid, id) = ("0".to_owned(), 0);
    }
    // Ordered by the columns of the table: the text of a transaction's number sorts 1000 before 999.
    let select = "select j.xid::text as of_xid, j.id, j.source, j.body from journal j \
                  where (j.xid, j.id) > ($1::text::xid8, $2) and j.xid < pg_snapshot_xmin(pg_current_snapshot()) \
                  order by j.xid, j.id limit $3";
    let entries = sqlx::query(select).bind(xid).bind(id).bind(ENTRIES_MAX).fetch_all(connection).await.doing(DOING)?;
    let mut read =
        Read { additions: Additions::default(), samples: 0, damaged: 0, xid: String::new(), id: 0, has_more: false };
    let count = entries.len();
    read.has_more = i64::try_from(count).is_ok_and(|count| count == ENTRIES_MAX);
    for (place, entry) in entries.iter().enumerate() {
        let source = agent_number(entry.try_get("source").doing(DOING)?);
        let rows = journal::open(entry.try_get("body").doing(DOING)?);
        if rows.is_err() {
            // It must not stop the sums of all others.
            let id: i64 = entry.try_get("id").doing(DOING)?;
            tracing::error!(id, "an entry of the journal is damaged; its samples are stored, but in no sum");
            read.damaged += 1;
        }
        for row in rows.unwrap_or_default() {
            if let Some((pair, window)) = row.window(source) {
                read.additions.add(pair, row.time, window);
                read.samples += 1;
            }
        }
        read.xid = entry.try_get("of_xid").doing(DOING)?;
        read.id = entry.try_get("id").doing(DOING)?;
        if read.samples >= SAMPLES_MAX && place + 1 < count {
            read.has_more = true;
            break;
        }
    }
    Ok((count > 0).then_some(read))
}

/// The cursor is ahead of every transaction of this server: the database was restored from a dump of another one, whose numbers
/// were higher. What is behind the cursor was summed; the rest counts as older than all that comes, and the cursor begins anew.
async fn begin_anew(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    tracing::warn!("the database came from another server; the sums go on with the numbers of this one");
    for statement in [
        // Entries of this server may be there already: small numbers, but received later than what was surely summed elsewhere.
        "with summed as (select max(j.received_at) as until from journal j, rollup_cursor c \
         where (j.xid, j.id) <= (c.xid, c.id) and j.xid >= pg_snapshot_xmax(pg_current_snapshot())) \
         delete from journal j using rollup_cursor c, summed s \
         where (j.xid, j.id) <= (c.xid, c.id) and j.received_at <= s.until",
        "update journal set xid = '1'",
        "update rollup_cursor set xid = '0', id = 0",
    ] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    Ok(())
}
