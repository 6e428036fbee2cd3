//! What was stored, for whoever did not store it: the other replicas, the sums, and this program after a restart.

use super::codes::{Time, agent_number, int4};
use super::failure::While;
use super::ingest::Stop;
use super::keys::Known;
use super::{PgStore, Shared};
use crate::store::error::StoreError;
use crate::store::squeeze;
use crate::store::types::{JournalEntry, ReplicaId, SampleRow};
use aggregator_core::admit::{FLAG_CLOCK_UNKNOWN, Row};
use aggregator_core::archive::{self, Archived, ArchivedRow};
use aggregator_core::follow::HOLES_MAX;
use everypath_protocol::id::AgentId;
use everypath_protocol::record::Record;
use everypath_protocol::time::UnixTime;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Most entries in one answer. An entry is a batch, usually some hundred rows.
const ENTRIES_MAX: i64 = 256;
/// Rows are alike, so the fastest level already makes a quarter of them.
const LEVEL: i32 = 1;
/// Bytes of entries that the matrix of a start is told again, the newest of them: some 125,000 rows. What is older is in
/// `latest`.
const REPLAY_BYTES_MAX: i64 = 1024 * 1024;
/// A replica begins this far below the newest number that was given out, whether its entry is visible or not: what is under way may
/// still become visible below. What was shown already does no harm again, and no more is asked for again than a follower can.
const LOOK_BACK: i64 = HOLES_MAX as i64;

/// What one batch brought.
pub(super) struct Entry {
    source: i32,
    received_at: UnixTime,
    windows: i32,
    body: Vec<u8>,
}

impl Entry {
    /// Nothing for a batch without new rows. What is not in the journal is in no sum and on no other replica's page, so every row
    /// is in it or none is stored.
    pub(super) fn of(
        source: i32,
        rows: &[Row],
        numbers: &HashMap<AgentId, Known>,
        received_at: UnixTime,
    ) -> Result<Option<Self>, Stop> {
        let mut archived = Vec::with_capacity(rows.len());
        for row in rows {
            let target = numbers.get(&row.target()).ok_or(Stop::Again)?;
            archived.push(ArchivedRow::new(row, agent_number(target.id)));
        }
        if archived.is_empty() {
            return Ok(None);
        }
        let body = close(&archive::encode(&archived))?;
        let windows = archived.iter().filter(|row| matches!(row.record, Archived::Window(_))).count();
        Ok(Some(Self { source, received_at, windows: int4(windows), body }))
    }
}

pub(super) async fn write(
    connection: &mut PgConnection,
    replica: ReplicaId,
    entries: Vec<Entry>,
) -> Result<(), sqlx::Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let insert = "insert into journal (origin, source, received_at, windows, body) \
                  select $1, * from unnest($2::int4[], $3::timestamptz[], $4::int4[], $5::bytea[])";
    sqlx::query(insert)
        .bind(replica.0)
        .bind(entries.iter().map(|entry| entry.source).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| Time(entry.received_at)).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| entry.windows).collect::<Vec<_>>())
        .bind(entries.into_iter().map(|entry| entry.body).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map(drop)
}

/// A body, which [`open`] opens. What it would not open is never written: nothing behind it would be added to the sums.
fn close(bytes: &[u8]) -> Result<Vec<u8>, Stop> {
    if bytes.len() > archive::BYTES_MAX {
        return Err(Stop::Unstorable(format!(
            "an entry of the journal would be {} bytes long; at most {} can be read",
            bytes.len(),
            archive::BYTES_MAX
        )));
    }
    squeeze::compress(bytes, LEVEL).map_err(|error| Stop::Unstorable(format!("it cannot be compressed: {error}")))
}

/// The rows of a body.
pub(super) fn open(body: &[u8]) -> Result<Vec<ArchivedRow>, StoreError> {
    const DAMAGED: StoreError = StoreError::Damaged("an entry of the journal");
    let bytes = squeeze::decompress(body, archive::BYTES_MAX).map_err(|_| DAMAGED)?;
    archive::decode(&bytes).map_err(|_| DAMAGED)
}

impl PgStore {
    pub(in crate::store) async fn journal_head(&self) -> Result<i64, StoreError> {
        let select = "select case when is_called then greatest(last_value - $1, 0) else 0 end from journal_id_seq";
        sqlx::query_scalar(select).bind(LOOK_BACK).fetch_one(self.pool()).await.doing("reading the head of the journal")
    }

    pub(in crate::store) async fn journal(
        &self,
        through: i64,
        holes: Vec<i64>,
        own: ReplicaId,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        const DOING: &str = "reading the journal";
        let select = "select id, origin, source, case when origin <> $3 then body end as body from \
                      ((select * from journal where id > $1 order by id limit $4) \
                       union all select * from journal where id = any($2) and id <= $1) entries order by id";
        let mut connection = self.pool().acquire().await.doing(DOING)?;
        let rows = sqlx::query(select)
            .bind(through)
            .bind(holes)
            .bind(own.0)
            .bind(ENTRIES_MAX)
            .fetch_all(&mut *connection)
            .await
            .doing(DOING)?;
        let entries = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let keys = names(&self.shared, &mut connection, &entries).await?;
        let told = entries.into_iter().filter_map(|entry| {
            let source = *keys.get(&entry.source)?;
            let news = entry.rows.iter().filter_map(|row| told(row, &keys)).collect();
            Some(JournalEntry { id: entry.id, origin: entry.origin, source, news })
        });
        Ok(told.collect())
    }

    /// What was received since, in the order of its receipt.
    pub(super) async fn received_since(
        &self,
        connection: &mut PgConnection,
        since: UnixTime,
    ) -> Result<Vec<SampleRow>, StoreError> {
        const DOING: &str = "reading recent samples";
        let first = "select coalesce(min(id), 0) - 1 from (select id, sum(octet_length(body)) over (order by id desc) as bytes \
                     from journal where received_at >= $1) newest where bytes <= $2";
        let first = sqlx::query_scalar(first).bind(Time(since)).bind(REPLAY_BYTES_MAX);
        let mut through: i64 = first.fetch_one(&mut *connection).await.doing(DOING)?;
        let select =
            "select id, origin, source, body from journal where id > $1 and received_at >= $2 order by id limit $3";
        let mut samples = Vec::new();
        loop {
            let query = sqlx::query(select).bind(through).bind(Time(since)).bind(ENTRIES_MAX);
            let rows = query.fetch_all(&mut *connection).await.doing(DOING)?;
            let entries = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            let Some(last) = entries.last() else { return Ok(samples) };
            through = last.id;
            let keys = names(&self.shared, connection, &entries).await?;
            for entry in &entries {
                let Some(source) = keys.get(&entry.source) else { continue };
                let news = entry.rows.iter().filter_map(|row| told(row, &keys));
                samples.extend(news.map(|(record, ended)| SampleRow { source: *source, record, ended }));
            }
        }
    }
}

/// An entry as it was read.
struct Read {
    id: i64,
    origin: ReplicaId,
    source: i32,
    rows: Vec<ArchivedRow>,
}

fn read(row: &PgRow) -> Result<Read, StoreError> {
    const DOING: &str = "reading an entry of the journal";
    let body: Option<&[u8]> = row.try_get("body").doing(DOING)?;
    Ok(Read {
        id: row.try_get("id").doing(DOING)?,
        origin: ReplicaId(row.try_get("origin").doing(DOING)?),
        source: row.try_get("source").doing(DOING)?,
        // The sums say so when they come to a damaged one; the matrix goes on without it.
        rows: body.map_or_else(Vec::new, |body| open(body).unwrap_or_default()),
    })
}

async fn names(
    shared: &Shared,
    connection: &mut PgConnection,
    entries: &[Read],
) -> Result<BTreeMap<i32, AgentId>, StoreError> {
    let targets = entries.iter().flat_map(|entry| entry.rows.iter().map(|row| int4(row.target)));
    let ids: BTreeSet<i32> = targets.chain(entries.iter().map(|entry| entry.source)).collect();
    shared.keys.names(connection, ids).await
}

/// What a row says about now; nothing if its time is not known.
fn told(row: &ArchivedRow, keys: &BTreeMap<i32, AgentId>) -> Option<(Record, UnixTime)> {
    let target = *keys.get(&int4(row.target))?;
    (row.flags & FLAG_CLOCK_UNKNOWN == 0).then(|| row.record(target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use everypath_protocol::id::Seq;
    use everypath_protocol::window::{ProbeKind, Window};

    const TARGET: AgentId = AgentId([7; 32]);

    fn row() -> Row {
        let window = Window::new(TARGET, ProbeKind::Icmp, UnixTime(5));
        Row { seq: Seq(1), time: UnixTime(5), ended: None, flags: 0, record: Record::Window(window) }
    }

    /// Rows about a target whose number was forgotten meanwhile were left out of the journal, and so of the sums, for ever.
    #[test]
    fn a_row_that_cannot_be_told_stops_the_batch() {
        let mut numbers = HashMap::new();
        let nobody = Entry::of(1, &[row()], &numbers, UnixTime(9));
        assert!(matches!(nobody, Err(Stop::Again)), "it begins anew and looks the target up");
        numbers.insert(TARGET, Known { id: 3, is_member: false });
        let entry = Entry::of(1, &[row()], &numbers, UnixTime(9)).expect("known").expect("one row");
        assert_eq!((entry.windows, open(&entry.body).expect("readable").len()), (1, 1));
        assert!(Entry::of(1, &[], &numbers, UnixTime(9)).expect("nothing is no mistake").is_none());
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let Err(Stop::Unstorable(why)) = close(&vec![0; archive::BYTES_MAX + 1]) else { panic!("too long") };
        assert!(why.contains("at most 16777216 can be read"), "{why}");
        assert!(close(&vec![0; archive::BYTES_MAX]).is_ok());
    }
}
