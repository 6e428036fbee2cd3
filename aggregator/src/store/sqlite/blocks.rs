//! Windows in the database: as many in a row as came together, compressed.

use super::codes::signed;
use crate::store::{StoreError, squeeze};
use aggregator_core::archive::{self, ArchivedRow};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

/// For what just came: a third of the time of zstd's default for a tenth more bytes.
const LEVEL_LIVE: i32 = 1;
/// For what is packed for good.
const LEVEL_PACKED: i32 = 6;

/// One row of `sample_block`.
#[derive(Clone, Debug)]
pub(super) struct SampleBlock {
    pub(super) stream: i64,
    pub(super) source: i64,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) rows: i64,
    pub(super) time_first: i64,
    pub(super) time_last: i64,
    pub(super) received_at: i64,
    pub(super) body: Vec<u8>,
}

impl SampleBlock {
    /// Of windows that just came; there must be at least one.
    pub(super) fn new(stream: i64, source: i64, received_at: i64, rows: &[ArchivedRow]) -> Self {
        Self::with_level(stream, source, received_at, rows, LEVEL_LIVE)
    }

    /// Of windows that were stored in several rows.
    pub(super) fn packed(stream: i64, source: i64, received_at: i64, rows: &[ArchivedRow]) -> Self {
        Self::with_level(stream, source, received_at, rows, LEVEL_PACKED)
    }

    fn with_level(stream: i64, source: i64, received_at: i64, rows: &[ArchivedRow], level: i32) -> Self {
        let numbers = || rows.iter().map(|row| signed(row.seq.0));
        let times = || rows.iter().map(|row| row.time.0);
        let plain = archive::encode(rows);
        Self {
            stream,
            source,
            first: numbers().min().unwrap_or(0),
            last: numbers().max().unwrap_or(0),
            rows: i64::try_from(rows.len()).unwrap_or(i64::MAX),
            time_first: times().min().unwrap_or(0),
            time_last: times().max().unwrap_or(0),
            received_at,
            body: squeeze::compress(&plain, level).expect("memory to memory, with a level that exists"),
        }
    }
}

/// Adds one at the end.
pub(super) async fn insert(connection: &mut SqliteConnection, block: &SampleBlock) -> Result<(), sqlx::Error> {
    let insert = "insert into sample_block (stream, source, first, last, rows, time_first, time_last, received_at, body) \
                  values (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    sqlx::query(insert)
        .bind(block.stream)
        .bind(block.source)
        .bind(block.first)
        .bind(block.last)
        .bind(block.rows)
        .bind(block.time_first)
        .bind(block.time_last)
        .bind(block.received_at)
        .bind(block.body.as_slice())
        .execute(connection)
        .await
        .map(drop)
}

/// Puts a block that cannot be read aside and says so. The audit names its numbers as missing.
pub(super) async fn set_aside(connection: &mut SqliteConnection, id: i64) -> Result<(), sqlx::Error> {
    tracing::error!(
        block = id,
        "a block of samples is damaged and in the table damaged_block now; restore a backup, or let the audit name what is lost"
    );
    let copy = "insert into damaged_block select * from sample_block where id = ?";
    sqlx::query(copy).bind(id).execute(&mut *connection).await?;
    sqlx::query("delete from sample_block where id = ?").bind(id).execute(connection).await.map(drop)
}

/// The windows of a stored body.
pub(super) fn unpack(body: &[u8]) -> Result<Vec<ArchivedRow>, StoreError> {
    let damaged = || StoreError::Damaged("a block of samples");
    let plain = squeeze::decompress(body, archive::BYTES_MAX).map_err(|_| damaged())?;
    archive::decode(&plain).map_err(|_| damaged())
}

/// The windows of the column `body`, inside a transaction.
pub(super) fn rows_of(row: &SqliteRow) -> Result<Vec<ArchivedRow>, sqlx::Error> {
    unpack(row.try_get("body")?).map_err(|error| sqlx::Error::Decode(error.into()))
}
