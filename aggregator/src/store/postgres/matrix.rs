//! The matrix of now, as it is kept for the next start and for the other replicas.

use super::PgStore;
use super::codes::{self, Time, int4};
use super::failure::While;
use crate::store::error::StoreError;
use crate::store::types::{LatestRow, MatrixState};
use aggregator_core::matrix::SavedCell;
use everypath_protocol::cell::PackedCell;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::UnixTime;
use sqlx::{Connection as _, PgConnection, Row as _};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Number of the target, the cell as on the wire, end of the newest evidence.
const CELL_BYTES: usize = 4 + 4 + 8;
/// Rows in one transaction: it locks them, and other replicas want them too.
const ROWS_PER_STEP: usize = 256;

/// Cells by the number of their target.
type Cells = BTreeMap<i32, (PackedCell, UnixTime)>;

impl PgStore {
    pub(in crate::store) async fn matrix_state(&self, since: UnixTime) -> Result<MatrixState, StoreError> {
        const DOING: &str = "reading the matrix";
        let mut connection = self.pool().acquire().await.doing(DOING)?;
        let rows = sqlx::query("select id, key, certificate is not null as member from agent order by id")
            .fetch_all(&mut *connection)
            .await
            .doing(DOING)?;
        let mut keys: HashMap<i32, AgentId> = HashMap::with_capacity(rows.len());
        let mut state = MatrixState::default();
        for row in &rows {
            let key = codes::agent(row.try_get("key").doing(DOING)?)?;
            keys.insert(row.try_get("id").doing(DOING)?, key);
            if row.try_get("member").doing(DOING)? {
                state.agents.push(key);
            }
        }
        let latest = sqlx::query("select source, cells from latest").fetch_all(&mut *connection).await.doing(DOING)?;
        for row in latest {
            let source = keys.get(&row.try_get("source").doing(DOING)?);
            let saved = |(target, (packed, ended))| Some(SavedCell { target: *keys.get(&target)?, packed, ended });
            let cells = unpack(row.try_get("cells").doing(DOING)?).filter_map(saved).collect();
            state.latest.extend(source.map(|source| LatestRow { source: *source, cells }));
        }
        state.samples = self.received_since(&mut connection, since).await?;
        Ok(state)
    }

    pub(in crate::store) async fn keep_latest(
        &self,
        rows: Vec<LatestRow>,
        through: UnixTime,
    ) -> Result<(), StoreError> {
        const DOING: &str = "keeping the matrix";
        let mut connection = self.pool().acquire().await.doing(DOING)?;
        for step in rows.chunks(ROWS_PER_STEP) {
            let named =
                |row: &LatestRow| row.cells.iter().map(|cell| cell.target).chain([row.source]).collect::<Vec<_>>();
            let wanted: BTreeSet<AgentId> = step.iter().flat_map(named).collect();
            let numbers = self.shared.keys.numbers(&mut connection, wanted).await.doing(DOING)?;
            let mut new: BTreeMap<i32, Cells> = BTreeMap::new();
            for row in step {
                let Some(source) = numbers.get(&row.source) else { continue };
                let cell = |cell: &SavedCell| Some((numbers.get(&cell.target)?.id, (cell.packed, cell.ended)));
                new.insert(source.id, row.cells.iter().filter_map(cell).collect());
            }
            let mut transaction = connection.begin().await.doing(DOING)?;
            merge(&mut transaction, new, through).await.doing(DOING)?;
            transaction.commit().await.doing(DOING)?;
        }
        Ok(())
    }
}

/// Cell by cell, the one with the newer evidence wins: two replicas know of different cells of one row. A cell that only the
/// database has stays.
async fn merge(
    connection: &mut PgConnection,
    mut new: BTreeMap<i32, Cells>,
    through: UnixTime,
) -> Result<(), sqlx::Error> {
    let sources: Vec<i32> = new.keys().copied().collect();
    // A row that is not there cannot be locked: it is made first, in order, like the locks.
    let make = "insert into latest (source, through, cells) select w.source, $2, ''::bytea from unnest($1::int4[]) as w (source) \
                where not exists (select 1 from latest l where l.source = w.source) order by w.source on conflict do nothing";
    sqlx::query(make).bind(&sources).bind(Time(through)).execute(&mut *connection).await?;
    let lock = "select source, cells from latest where source = any($1) order by source for update";
    for row in sqlx::query(lock).bind(&sources).fetch_all(&mut *connection).await? {
        let Some(cells) = new.get_mut(&row.try_get("source")?) else { continue };
        for (target, (packed, ended)) in unpack(row.try_get("cells")?) {
            let cell = cells.entry(target).or_insert((packed, ended));
            if ended > cell.1 {
                *cell = (packed, ended);
            }
        }
    }
    let packed: Vec<Vec<u8>> = new.values().map(pack).collect();
    let update = "update latest set cells = w.cells, through = greatest(through, $3) \
                  from unnest($1::int4[], $2::bytea[]) as w (source, cells) where latest.source = w.source";
    sqlx::query(update).bind(sources).bind(packed).bind(Time(through)).execute(connection).await.map(drop)
}

fn pack(cells: &Cells) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(cells.len() * CELL_BYTES);
    for (target, (packed, ended)) in cells {
        bytes.extend_from_slice(&target.to_le_bytes());
        bytes.extend_from_slice(&packed.to_bytes());
        bytes.extend_from_slice(&ended.0.to_le_bytes());
    }
    bytes
}

fn unpack(bytes: &[u8]) -> impl Iterator<Item = (i32, (PackedCell, UnixTime))> {
    let cell = |bytes: &[u8]| {
        let (target, bytes) = bytes.split_first_chunk::<4>()?;
        let ([state, loss, rtt @ ..], bytes) = bytes.split_first_chunk::<4>()?;
        let packed = PackedCell { state: *state, loss: *loss, rtt: u16::from_le_bytes(*rtt) };
        let ended = UnixTime(i64::from_le_bytes(bytes.try_into().ok()?));
        Some((int4(i32::from_le_bytes(*target)), (packed, ended)))
    };
    bytes.chunks_exact(CELL_BYTES).filter_map(cell)
}
