//! A group of batches in one transaction: lock the cursors, ask the core what is new, store it, move the cursors.

use super::codes::{self, Time, signed};
use super::copy::{self, Sample};
use super::insert;
use super::journal::{self, Entry};
use super::keys::StreamKey;
use super::partitions::{Table, Wanted};
use super::prepare::{Numbers, stream_of};
use super::{Shared, failure::Failure, failure::failure};
use crate::store::error::IngestError;
use crate::store::types::{Batch, Ingested};
use aggregator_core::admit::{self, Admission, Row};
use everypath_protocol::id::Seq;
use everypath_protocol::record::{CellFlip, Record};
use everypath_protocol::time::UnixTime;
use sqlx::{Connection as _, PgConnection, Postgres, Row as _, Transaction};
use std::collections::{BTreeMap, BTreeSet};

/// Fewer rows than this go as arrays in one statement. COPY is faster for many, but it takes two messages in a row, and the second
/// waits up to 40 ms for the server's system to acknowledge a short first one (sqlx leaves Nagle's algorithm on).
const COPY_ROWS_MIN: usize = 1_000;

pub(super) type Outcome = Result<Ingested, IngestError>;

/// Why a transaction was given up.
#[derive(Debug)]
pub(super) enum Stop {
    /// Something moved since it was looked up; from the beginning it goes on.
    Again,
    /// There is no partition for the time of some row.
    NoPartition(Wanted),
    /// One of the batches can never be stored.
    Unstorable(String),
    /// The database refused.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// A batch with what is new of it.
struct Admitted<'a> {
    batch: &'a Batch,
    source: i32,
    stream: i32,
    admission: Admission,
}

/// An event with the numbers of the database.
pub(super) struct Event<'a> {
    pub(super) row: &'a Row,
    pub(super) flip: &'a CellFlip,
    pub(super) source: i32,
    pub(super) target: i32,
    pub(super) stream: i32,
}

/// A refusal leaves no trace and does not hinder the others; if the database fails, all are undone and none is acknowledged.
pub(super) async fn store(
    shared: &Shared,
    connection: &mut PgConnection,
    numbers: &Numbers,
    batches: &[&Batch],
) -> Result<Vec<Outcome>, Stop> {
    let mut transaction = connection.begin().await?;
    let result = work(shared, &mut transaction, numbers, batches).await;
    match result {
        Ok(outcomes) => {
            transaction.commit().await?;
            Ok(outcomes)
        }
        Err(stop) => {
            // A connection that is gone cannot undo anything, and need not.
            if !matches!(&stop, Stop::Database(error) if failure(error) == Failure::Away) {
                transaction.rollback().await?;
            }
            Err(stop)
        }
    }
}

async fn work(
    shared: &Shared,
    transaction: &mut Transaction<'_, Postgres>,
    numbers: &Numbers,
    batches: &[&Batch],
) -> Result<Vec<Outcome>, Stop> {
    let (admitted, outcomes) = admit_all(shared, transaction, numbers, batches).await?;
    let (mut samples, mut events) = (Vec::new(), Vec::new());
    let mut wanted = Wanted::default();
    for item in &admitted {
        for row in &item.admission.rows {
            let (source, stream) = (item.source, item.stream);
            match &row.record {
                Record::Window(window) => {
                    let target = numbers.agents.get(&window.target).ok_or(Stop::Again)?.id;
                    wanted.add(Table::Sample, row.time);
                    samples.push(Sample { row, window, source, target, stream });
                }
                Record::Flip(flip) => {
                    let target = numbers.agents.get(&flip.target).ok_or(Stop::Again)?.id;
                    wanted.add(Table::Event, row.time);
                    events.push(Event { row, flip, source, target, stream });
                }
            }
        }
    }
    if let Some(missing) = shared.partitions.missing(&wanted) {
        return Err(Stop::NoPartition(missing));
    }
    insert_samples(shared, transaction, &samples).await?;
    insert::events(transaction, &events).await?;
    if !shared.is_bare {
        insert_accounts(transaction, &admitted).await?;
    }
    let mut entries = Vec::with_capacity(admitted.len());
    for item in &admitted {
        entries.extend(Entry::of(item.source, &item.admission.rows, &numbers.agents, item.batch.received_at)?);
    }
    journal::write(transaction, shared.replica, entries).await?;
    if !shared.is_bare {
        move_cursors(transaction, &admitted).await?;
    }
    note_receipt(transaction, &admitted).await?;
    let mut admitted = admitted.into_iter();
    let outcomes = outcomes.into_iter().map(|refused| match refused {
        Some(refusal) => Err(refusal),
        None => Ok(admitted.next().map_or_else(nothing, ingested)),
    });
    Ok(outcomes.collect())
}

/// Every batch that was not refused is in the list of those that were admitted.
fn nothing() -> Ingested {
    Ingested { acked: Seq(0), news: Vec::new(), rows: 0, duplicate: true, is_new_agent: false }
}

fn ingested(item: Admitted<'_>) -> Ingested {
    let duplicate = item.admission.is_duplicate();
    let rows = item.admission.rows.len() as u64;
    let news = item.admission.rows.into_iter().filter_map(|row| Some((row.record, row.ended?))).collect();
    Ingested { acked: item.admission.cursor, news, rows, duplicate, is_new_agent: false }
}

/// Locks the cursors in one order, so that no two groups wait for each other in a circle, and admits the batches in the order
/// of their coming. The second part of the answer has the refusal of each batch that was refused.
async fn admit_all<'a>(
    shared: &Shared,
    connection: &mut PgConnection,
    numbers: &Numbers,
    batches: &[&'a Batch],
) -> Result<(Vec<Admitted<'a>>, Vec<Option<IngestError>>), Stop> {
    let ids: BTreeSet<i32> = numbers.streams.values().copied().collect();
    let ids: Vec<i32> = ids.into_iter().collect();
    let mut cursors: BTreeMap<i32, Seq> = BTreeMap::new();
    if !ids.is_empty() && !shared.is_bare {
        let lock = "select s.id, s.cursor, s.epoch, s.agent, a.key from stream s join agent a on a.id = s.agent \
                    where s.id = any($1) order by s.agent, s.epoch for update of s";
        let mut owners = BTreeMap::new();
        for row in sqlx::query(lock).bind(&ids).fetch_all(&mut *connection).await? {
            let id = row.try_get("id")?;
            cursors.insert(id, codes::seq(row.try_get("cursor")?));
            let (key, epoch): (&[u8], &[u8]) = (row.try_get("key")?, row.try_get("epoch")?);
            owners.insert(id, (row.try_get("agent")?, key.to_vec(), epoch.to_vec()));
        }
        let is_theirs = |(key, id): (&StreamKey, &i32)| {
            let agent = numbers.agents.get(&key.0).map(|known| known.id);
            let wanted = agent.map(|agent| (agent, key.0.0.to_vec(), codes::epoch_bytes(key.1)));
            wanted.is_some() && owners.get(id) == wanted.as_ref()
        };
        // Gone, or somebody else's: the database was put back to an older state, and its numbers were given out again.
        if !numbers.streams.iter().all(is_theirs) {
            shared.keys.forget();
            return Err(Stop::Again);
        }
    }
    let (mut admitted, mut refusals) = (Vec::with_capacity(batches.len()), Vec::with_capacity(batches.len()));
    for batch in batches.iter().copied() {
        let stream = numbers.streams.get(&stream_of(batch)).copied();
        let cursor = if shared.is_bare {
            Seq(batch.header.first.0.saturating_sub(1))
        } else {
            stream.and_then(|stream| cursors.get(&stream).copied()).unwrap_or(Seq(0))
        };
        match admit::admit(cursor, &batch.header, batch.blocks.clone(), batch.received_at) {
            Err(refusal) => refusals.push(Some(IngestError::Refused(refusal))),
            Ok(_) if numbers.is_crowded(batch) => refusals.push(Some(IngestError::UnknownTargets)),
            Ok(admission) => {
                let source = numbers.agents.get(&batch.header.agent).ok_or(Stop::Again)?.id;
                let stream = stream.ok_or(Stop::Again)?;
                cursors.insert(stream, admission.cursor);
                admitted.push(Admitted { batch, source, stream, admission });
                refusals.push(None);
            }
        }
    }
    Ok((admitted, refusals))
}

async fn insert_samples(
    shared: &Shared,
    connection: &mut PgConnection,
    samples: &[Sample<'_>],
) -> Result<(), sqlx::Error> {
    if samples.is_empty() {
        return Ok(());
    }
    if !shared.can_copy || samples.len() < COPY_ROWS_MIN {
        return insert::samples(connection, samples).await;
    }
    let mut copy = connection.copy_in_raw(copy::STATEMENT).await?;
    copy.send(copy::encode(samples)).await?;
    copy.finish().await.map(drop)
}

/// What came in, for the audit.
async fn insert_accounts(connection: &mut PgConnection, admitted: &[Admitted<'_>]) -> Result<(), sqlx::Error> {
    let tombstones = admitted
        .iter()
        .flat_map(|item| item.admission.tombstones.iter().map(|dead| (item.stream, *dead, item.batch.received_at)));
    insert::tombstones(connection, tombstones.collect()).await?;
    let blocks = admitted
        .iter()
        .flat_map(|item| item.admission.blocks.iter().map(|block| (item.stream, *block, item.batch.received_at)));
    insert::blocks(connection, blocks.collect()).await
}

async fn move_cursors(connection: &mut PgConnection, admitted: &[Admitted<'_>]) -> Result<(), sqlx::Error> {
    let moved = admitted.iter().filter(|item| !item.admission.is_duplicate());
    let cursors: BTreeMap<i32, i64> = moved.map(|item| (item.stream, signed(item.admission.cursor.0))).collect();
    if cursors.is_empty() {
        return Ok(());
    }
    let (ids, cursors): (Vec<i32>, Vec<i64>) = cursors.into_iter().unzip();
    let update = "update stream set cursor = w.cursor from unnest($1::int4[], $2::int8[]) as w (id, cursor) \
                  where stream.id = w.id";
    sqlx::query(update).bind(ids).bind(cursors).execute(connection).await.map(drop)
}

/// Last, because other transactions hold these rows too, and in one order.
async fn note_receipt(connection: &mut PgConnection, admitted: &[Admitted<'_>]) -> Result<(), sqlx::Error> {
    let mut newest: BTreeMap<i32, UnixTime> = BTreeMap::new();
    for item in admitted {
        let time = newest.entry(item.source).or_insert(item.batch.received_at);
        *time = item.batch.received_at.max(*time);
    }
    if newest.is_empty() {
        return Ok(());
    }
    let (ids, times): (Vec<i32>, Vec<Time>) = newest.into_iter().map(|(id, time)| (id, Time(time))).unzip();
    let update = "with w as (select a.id, w.at from unnest($1::int4[], $2::timestamptz[]) as w (id, at) \
                  join agent a on a.id = w.id order by a.id for no key update of a) \
                  update agent set last_seen = greatest(last_seen, w.at) from w where agent.id = w.id";
    sqlx::query(update).bind(ids).bind(times).execute(connection).await.map(drop)
}
