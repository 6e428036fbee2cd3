//! The matrix of now, as it is kept for the next start.

use super::blocks;
use super::codes::{self, count};
use super::{SqliteStore, While};
use crate::store::error::StoreError;
use crate::store::types::{LatestRow, MatrixState, SampleRow};
use aggregator_core::admit::FLAG_CLOCK_UNKNOWN;
use aggregator_core::matrix::SavedCell;
use everypath_protocol::cell::{CellState, PackedCell};
use everypath_protocol::id::AgentId;
use everypath_protocol::record::{CellFlip, Record};
use everypath_protocol::time::UnixTime;
use everypath_protocol::window::ProbeKind;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Number of the target, the cell as on the wire, end of the newest evidence.
const CELL_BYTES: usize = 4 + 4 + 8;
/// Bytes of blocks that the matrix of a start is told again, the newest of them: some 125,000 rows. What is older is in `latest`.
const REPLAY_BYTES_MAX: i64 = 1024 * 1024;
/// Most of those blocks.
const REPLAY_BLOCKS_MAX: i64 = 16_384;
/// Agents that one statement looks up.
const KEYS_PER_STATEMENT: usize = 500;

impl SqliteStore {
    pub(in crate::store) async fn matrix_state(&self, since: UnixTime) -> Result<MatrixState, StoreError> {
        const DOING: &str = "reading the matrix";
        let rows = sqlx::query("select id, key, certificate is not null as member from agent order by id")
            .fetch_all(&self.readers)
            .await
            .doing(DOING)?;
        let mut keys: HashMap<i64, AgentId> = HashMap::with_capacity(rows.len());
        let mut state = MatrixState::default();
        for row in &rows {
            let key = codes::agent(row.try_get("key").doing(DOING)?)?;
            keys.insert(row.try_get("id").doing(DOING)?, key);
            if row.try_get("member").doing(DOING)? {
                state.agents.push(key);
            }
        }
        for row in sqlx::query("select source, cells from latest").fetch_all(&self.readers).await.doing(DOING)? {
            let source = keys.get(&row.try_get("source").doing(DOING)?);
            let cells: &[u8] = row.try_get("cells").doing(DOING)?;
            let cells = cells.chunks_exact(CELL_BYTES).filter_map(|bytes| unpack(bytes, &keys)).collect();
            state.latest.extend(source.map(|source| LatestRow { source: *source, cells }));
        }
        self.read_samples(since, &keys, &mut state.samples).await?;
        self.read_events(since, &keys, &mut state.samples).await?;
        Ok(state)
    }

    async fn read_samples(
        &self,
        since: UnixTime,
        keys: &HashMap<i64, AgentId>,
        samples: &mut Vec<SampleRow>,
    ) -> Result<(), StoreError> {
        const DOING: &str = "reading recent samples";
        let select = "select source, body from sample_block where id >= (select min(id) from \
                      (select id, sum(length(body)) over (order by id desc) as bytes from \
                      (select id, body from sample_block order by id desc limit ?)) where bytes <= ?) \
                      and received_at >= ? order by id";
        let blocks = sqlx::query(select).bind(REPLAY_BLOCKS_MAX).bind(REPLAY_BYTES_MAX).bind(since.0);
        for block in blocks.fetch_all(&self.readers).await.doing(DOING)? {
            let Some(source) = keys.get(&block.try_get("source").doing(DOING)?) else { continue };
            let body: &[u8] = block.try_get("body").doing(DOING)?;
            // The sums put it aside and say so; the matrix goes on without it.
            let rows = blocks::unpack(body).unwrap_or_default();
            for row in rows.iter().filter(|row| row.flags & FLAG_CLOCK_UNKNOWN == 0) {
                let Some(target) = keys.get(&i64::from(row.target)) else { continue };
                let (record, ended) = row.record(*target);
                samples.push(SampleRow { source: *source, record, ended });
            }
        }
        Ok(())
    }

    async fn read_events(
        &self,
        since: UnixTime,
        keys: &HashMap<i64, AgentId>,
        samples: &mut Vec<SampleRow>,
    ) -> Result<(), StoreError> {
        const DOING: &str = "reading recent events";
        let select = "select source, target, time, from_state, to_state from event \
                      where time >= ? and flags & ? = 0 order by time";
        let rows =
            sqlx::query(select).bind(since.0).bind(FLAG_CLOCK_UNKNOWN).fetch_all(&self.readers).await.doing(DOING)?;
        for row in &rows {
            samples.extend(event(row, keys).doing(DOING)?);
        }
        Ok(())
    }

    pub(in crate::store) async fn keep_latest(
        &self,
        rows: Vec<LatestRow>,
        through: UnixTime,
    ) -> Result<(), StoreError> {
        self.write("keeping the matrix", move |connection| {
            Box::pin(async move {
                let ids = numbers(connection, &rows).await?;
                for row in rows {
                    let Some(source) = ids.get(&row.source) else { continue };
                    let mut cells = Vec::with_capacity(row.cells.len() * CELL_BYTES);
                    for cell in &row.cells {
                        if let Some(target) = ids.get(&cell.target) {
                            cells.extend_from_slice(&target.to_le_bytes());
                            cells.extend_from_slice(&cell.packed.to_bytes());
                            cells.extend_from_slice(&cell.ended.0.to_le_bytes());
                        }
                    }
                    let upsert = "insert into latest (source, through, cells) values (?, ?, ?) on conflict (source) \
                                  do update set through = excluded.through, cells = excluded.cells";
                    sqlx::query(upsert).bind(source).bind(through.0).bind(cells).execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

/// Of everybody in these rows, and of nobody else: the table of agents may be long.
async fn numbers(connection: &mut SqliteConnection, rows: &[LatestRow]) -> Result<BTreeMap<AgentId, u32>, sqlx::Error> {
    let named = rows.iter().flat_map(|row| row.cells.iter().map(|cell| cell.target).chain([row.source]));
    let named: Vec<AgentId> = named.collect::<BTreeSet<_>>().into_iter().collect();
    let mut numbers = BTreeMap::new();
    for chunk in named.chunks(KEYS_PER_STATEMENT) {
        let mut select = QueryBuilder::<Sqlite>::new("select id, key from agent where key in ");
        select.push_tuples(chunk, |mut tuple, key| {
            tuple.push_bind(key.0.as_slice());
        });
        for row in select.build().fetch_all(&mut *connection).await? {
            if let Ok(key) = codes::agent(row.try_get("key")?) {
                numbers.insert(key, count(row.try_get("id")?));
            }
        }
    }
    Ok(numbers)
}

fn unpack(bytes: &[u8], keys: &HashMap<i64, AgentId>) -> Option<SavedCell> {
    let (target, bytes) = bytes.split_first_chunk::<4>()?;
    let ([state, loss, rtt @ ..], bytes) = bytes.split_first_chunk::<4>()?;
    let target = *keys.get(&i64::from(u32::from_le_bytes(*target)))?;
    let packed = PackedCell { state: *state, loss: *loss, rtt: u16::from_le_bytes(*rtt) };
    Some(SavedCell { target, packed, ended: UnixTime(i64::from_le_bytes(bytes.try_into().ok()?)) })
}

fn state(column: i64) -> CellState {
    u8::try_from(column).ok().and_then(CellState::from_code).unwrap_or_default()
}

/// A change of state, in the aggregator's time. `None` for agents that are gone.
fn event(row: &SqliteRow, keys: &HashMap<i64, AgentId>) -> Result<Option<SampleRow>, sqlx::Error> {
    let (Some(source), Some(target)) = (keys.get(&row.try_get("source")?), keys.get(&row.try_get("target")?)) else {
        return Ok(None);
    };
    let at = UnixTime(row.try_get("time")?);
    let (from, to) = (state(row.try_get("from_state")?), state(row.try_get("to_state")?));
    let flip = CellFlip { target: *target, kind: ProbeKind::Icmp, at, from, to };
    Ok(Some(SampleRow { source: *source, record: Record::Flip(flip), ended: at }))
}
