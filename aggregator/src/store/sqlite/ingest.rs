//! One batch, inside a transaction: read the cursor, ask the core what is new, insert it, move the cursor.

use super::blocks::{self, SampleBlock};
use super::codes::{epoch_bytes, signed};
use super::keys::Keys;
use crate::store::error::{IngestError, UNKNOWN_TARGETS_MAX};
use crate::store::types::{Batch, Ingested};
use aggregator_core::admit::{self, Admission, FLAG_CLOCK_UNKNOWN, Piece, Row, Tombstone};
use aggregator_core::archive::ArchivedRow;
use everypath_protocol::codec;
use everypath_protocol::id::Seq;
use everypath_protocol::record::{CellFlip, Record};
use everypath_protocol::time::UnixTime;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

/// Rows in one statement. More saves nothing measurable, and the text of the statement stays in its cache.
const ROWS_PER_STATEMENT: usize = 100;

pub(super) type Outcome = Result<Ingested, IngestError>;

/// A refusal leaves no trace.
pub(super) async fn store(
    connection: &mut SqliteConnection,
    keys: &mut Keys,
    batch: &Batch,
) -> Result<Outcome, sqlx::Error> {
    let cursor = cursor(connection, batch).await?;
    let admission = match admit::admit(cursor, &batch.header, batch.blocks.clone(), batch.received_at) {
        Ok(admission) => admission,
        Err(refusal) => return Ok(Err(IngestError::Refused(refusal))),
    };
    let unknown = keys.unknown(connection, admission.rows.iter().map(Row::target)).await?;
    if unknown > 0 && named_by(connection, batch).await?.saturating_add(unknown) > UNKNOWN_TARGETS_MAX {
        return Ok(Err(IngestError::UnknownTargets));
    }
    let (agent, is_new_agent) = author(connection, batch).await?;
    let stream: i64 = sqlx::query_scalar(
        "insert into stream (agent, epoch, cursor) values (?, ?, ?) \
         on conflict (agent, epoch) do update set cursor = excluded.cursor returning id",
    )
    .bind(agent)
    .bind(epoch_bytes(batch.header.epoch))
    .bind(signed(admission.cursor.0))
    .fetch_one(&mut *connection)
    .await?;
    insert_rows(connection, keys, agent, stream, batch, &admission).await?;
    sqlx::query("update agent set last_seen = ? where id = ?")
        .bind(batch.received_at.0)
        .bind(agent)
        .execute(&mut *connection)
        .await?;
    let duplicate = admission.is_duplicate();
    let rows = admission.rows.len() as u64;
    let news = admission.rows.into_iter().filter_map(|row| Some((row.record, row.ended?))).collect();
    Ok(Ok(Ingested { acked: admission.cursor, news, rows, duplicate, is_new_agent }))
}

/// Zero for a stream that is not known yet.
async fn cursor(connection: &mut SqliteConnection, batch: &Batch) -> Result<Seq, sqlx::Error> {
    let select = "select cursor from stream where epoch = ? and agent = (select id from agent where key = ?)";
    let cursor: Option<i64> = sqlx::query_scalar(select)
        .bind(epoch_bytes(batch.header.epoch))
        .bind(batch.header.agent.0.as_slice())
        .fetch_optional(connection)
        .await?;
    Ok(cursor.map_or(Seq(0), super::codes::seq))
}

/// How many targets the author named that nobody has introduced yet.
async fn named_by(connection: &mut SqliteConnection, batch: &Batch) -> Result<u64, sqlx::Error> {
    let select =
        "select count(*) from agent where certificate is null and named_by = (select id from agent where key = ?)";
    let named: i64 = sqlx::query_scalar(select).bind(batch.header.agent.0.as_slice()).fetch_one(connection).await?;
    Ok(super::codes::unsigned(named))
}

/// The author's number, and whether it was no member until now. Its certificate was checked, so an agent that another issuer
/// let in is as welcome as our own.
async fn author(connection: &mut SqliteConnection, batch: &Batch) -> Result<(i64, bool), sqlx::Error> {
    let key = batch.header.agent;
    let member: Option<i64> = sqlx::query_scalar("select id from agent where key = ? and certificate is not null")
        .bind(key.0.as_slice())
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(id) = member {
        return Ok((id, false));
    }
    let certificate = codec::encode(&batch.certificate_signed);
    let (name, site) = (&batch.certificate.name, &batch.certificate.site);
    let id = super::agents::upsert_member(connection, key, name, site, &certificate, batch.received_at).await?;
    Ok((id, true))
}

async fn insert_rows(
    connection: &mut SqliteConnection,
    keys: &mut Keys,
    source: i64,
    stream: i64,
    batch: &Batch,
    admission: &Admission,
) -> Result<(), sqlx::Error> {
    let mut samples = Vec::with_capacity(admission.rows.len());
    let mut events: Vec<(&Row, &CellFlip, u32)> = Vec::new();
    for row in &admission.rows {
        let target = keys.id(connection, row.target(), source, batch.received_at).await?;
        match &row.record {
            Record::Window(_) => samples.push(ArchivedRow::new(row, target)),
            Record::Flip(flip) => events.push((row, flip, target)),
        }
    }
    if !samples.is_empty() {
        let block = SampleBlock::new(stream, source, batch.received_at.0, &samples);
        blocks::insert(connection, &block).await?;
    }
    for chunk in events.chunks(ROWS_PER_STATEMENT) {
        insert_events(connection, source, stream, chunk).await?;
    }
    insert_tombstones(connection, stream, batch, &admission.tombstones).await?;
    insert_blocks(connection, stream, batch, &admission.blocks).await
}

async fn insert_tombstones(
    connection: &mut SqliteConnection,
    stream: i64,
    batch: &Batch,
    tombstones: &[Tombstone],
) -> Result<(), sqlx::Error> {
    for dead in tombstones {
        sqlx::query("insert into tombstone (stream, first, last, reason, received_at) values (?, ?, ?, ?, ?)")
            .bind(stream)
            .bind(signed(dead.first.0))
            .bind(signed(dead.last.0))
            .bind(dead.reason.name())
            .bind(batch.received_at.0)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn insert_blocks(
    connection: &mut SqliteConnection,
    stream: i64,
    batch: &Batch,
    blocks: &[Piece],
) -> Result<(), sqlx::Error> {
    let insert = "insert into ingest_block (stream, first, last, rows, hash, flags, received_at) \
                  values (?, ?, ?, ?, ?, ?, ?)";
    for block in blocks {
        sqlx::query(insert)
            .bind(stream)
            .bind(signed(block.first.0))
            .bind(signed(block.last.0))
            .bind(block.rows)
            .bind(block.hash.as_slice())
            .bind(block.flags)
            .bind(batch.received_at.0)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The agent's own time, where the row is filed under another.
fn raw_time(row: &Row, own: UnixTime) -> Option<i64> {
    (row.time != own || row.flags & FLAG_CLOCK_UNKNOWN != 0).then_some(own.0)
}

async fn insert_events(
    connection: &mut SqliteConnection,
    source: i64,
    stream: i64,
    rows: &[(&Row, &CellFlip, u32)],
) -> Result<(), sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "insert into event (time, source, target, kind, stream, seq, from_state, to_state, flags, raw_time) ",
    );
    query.push_values(rows, |mut columns, (row, flip, target)| {
        columns
            .push_bind(row.time.0)
            .push_bind(source)
            .push_bind(*target)
            .push_bind(flip.kind.code())
            .push_bind(stream)
            .push_bind(signed(row.seq.0))
            .push_bind(flip.from.code())
            .push_bind(flip.to.code())
            .push_bind(row.flags)
            .push_bind(raw_time(row, flip.at));
    });
    query.build().execute(connection).await.map(drop)
}
