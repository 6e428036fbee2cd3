//! Sums in columns: read, written as arrays.

use super::codes::{self, Time, agent_number, histogram_bytes, int4, signed, unsigned};
use super::failure::While;
use super::partitions::Table;
use crate::store::error::StoreError;
use aggregator_core::rollup::{Bucket, Level, PairKey};
use everypath_protocol::time::UnixTime;
use everypath_protocol::window::RttRange;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use std::collections::BTreeMap;

/// Whose and from when.
pub(super) type Key = (PairKey, UnixTime);

pub(super) const fn table(level: Level) -> Table {
    match level {
        Level::Minute => Table::Minute,
        Level::Hour => Table::Hour,
        Level::Day => Table::Day,
    }
}

const SUMS: &str = "windows, span_ms, down_ms, unknown_ms, sent, received, late, duplicated, not_permitted, send_failed, \
    overload, stalled, rtt_min, rtt_max, rtt_sum, histogram";

/// The sums that are there for these keys.
pub(super) async fn fetch(
    connection: &mut PgConnection,
    level: Level,
    keys: &[Key],
) -> Result<BTreeMap<Key, Bucket>, StoreError> {
    const DOING: &str = "reading sums";
    // One look into the index for each key, whatever the planner thinks of the length of an array.
    let select = format!(
        "select {}, array_agg(source), array_agg(target), array_agg(kind) from \
         (select s.* from unnest($1::int4[], $2::int4[], $3::int2[], $4::timestamptz[]) as w (source, target, kind, time) \
         cross join lateral (select {SUMS}, t.source, t.target, t.kind, t.time from {} t where t.source = w.source \
         and t.target = w.target and t.kind = w.kind and t.time = w.time limit 1) s) sums having count(*) > 0",
        arrays(),
        table(level).name()
    );
    let (sources, targets, kinds, times) = columns(keys);
    let select = sqlx::query(AssertSqlSafe(select)).bind(sources).bind(targets).bind(kinds).bind(times);
    let Some(row) = select.fetch_optional(connection).await.doing(DOING)? else { return Ok(BTreeMap::new()) };
    let sources: Vec<i32> = row.try_get(17).doing(DOING)?;
    let targets: Vec<i32> = row.try_get(18).doing(DOING)?;
    let kinds: Vec<i16> = row.try_get(19).doing(DOING)?;
    let mut found = BTreeMap::new();
    for (((source, target), kind), (time, bucket)) in sources.into_iter().zip(targets).zip(kinds).zip(read(&row)?) {
        let pair = PairKey { source: agent_number(source), target: agent_number(target), kind: codes::kind(kind)? };
        found.insert((pair, time), bucket);
    }
    Ok(found)
}

/// Sums are read as arrays, many in a row: a row for each would take five times as long to send and to read.
fn arrays() -> String {
    let arrays: Vec<String> = SUMS.split(", ").chain(["time"]).map(|column| format!("array_agg({column})")).collect();
    arrays.join(", ")
}

/// Selects the sums of a pair, a row for each day. Bind source, target, kind, the first moment, the end and the most sums.
pub(super) fn select_days(level: Level) -> String {
    format!(
        "select {} from (select {SUMS}, time from {} where source = $1 and target = $2 and kind = $3 and time >= $4 \
         and time < $5 limit $6) sums group by date_trunc('day', time)",
        arrays(),
        table(level).name()
    )
}

/// The sums of a row that begins with [`arrays`].
pub(super) fn read(row: &PgRow) -> Result<Vec<(UnixTime, Bucket)>, StoreError> {
    const DOING: &str = "reading sums";
    let counts = |place: usize| row.try_get::<Vec<i64>, _>(place).doing(DOING);
    let optional = |place: usize| row.try_get::<Vec<Option<i64>>, _>(place).doing(DOING);
    let counts = (0..12).map(counts).collect::<Result<Vec<_>, _>>()?;
    let rtt = (12..15).map(optional).collect::<Result<Vec<_>, _>>()?;
    let histograms: Vec<Option<Vec<u8>>> = row.try_get(15).doing(DOING)?;
    let times: Vec<Time> = row.try_get(16).doing(DOING)?;
    let sums = times.into_iter().zip(histograms).enumerate().map(|(place, (Time(time), histogram))| {
        let range = match (rtt[0][place], rtt[1][place], rtt[2][place]) {
            (Some(min), Some(max), Some(sum)) => {
                Some(RttRange { min_us: codes::count(min), max_us: codes::count(max), sum_us: unsigned(sum) })
            }
            _ => None,
        };
        let number = |column: usize| unsigned(counts[column][place]);
        let bucket = Bucket {
            windows: number(0),
            span_ms: number(1),
            down_ms: number(2),
            unknown_ms: number(3),
            sent: number(4),
            received: number(5),
            late: number(6),
            duplicated: number(7),
            not_measured: [number(8), number(9), number(10), number(11)],
            rtt: range,
            histogram: codes::histogram(histogram.as_deref())?,
        };
        Ok((time, bucket))
    });
    sums.collect()
}

fn columns(keys: &[Key]) -> (Vec<i32>, Vec<i32>, Vec<i16>, Vec<Time>) {
    (
        keys.iter().map(|(pair, _)| int4(pair.source)).collect(),
        keys.iter().map(|(pair, _)| int4(pair.target)).collect(),
        keys.iter().map(|(pair, _)| i16::from(pair.kind.code())).collect(),
        keys.iter().map(|(_, time)| Time(*time)).collect(),
    )
}

/// Puts whole sums in the place of those that are there. Whoever does this holds the lock of the rollup.
pub(super) async fn put(
    connection: &mut PgConnection,
    level: Level,
    sums: &BTreeMap<Key, Bucket>,
) -> Result<(), sqlx::Error> {
    let set: Vec<String> = SUMS.split(", ").map(|column| format!("{0} = excluded.{0}", column.trim())).collect();
    let upsert = format!(
        "insert into {} (source, target, kind, time, {SUMS}) select * from unnest($1::int4[], $2::int4[], $3::int2[], \
         $4::timestamptz[], $5::int8[], $6::int8[], $7::int8[], $8::int8[], $9::int8[], $10::int8[], $11::int8[], $12::int8[], \
         $13::int8[], $14::int8[], $15::int8[], $16::int8[], $17::int8[], $18::int8[], $19::int8[], $20::bytea[]) \
         on conflict (source, target, kind, time) do update set {}",
        table(level).name(),
        set.join(", ")
    );
    let keys: Vec<Key> = sums.keys().copied().collect();
    let (sources, targets, kinds, times) = columns(&keys);
    let column = |of: fn(&Bucket) -> u64| sums.values().map(|sum| signed(of(sum))).collect::<Vec<i64>>();
    let optional = |of: fn(&RttRange) -> u64| {
        sums.values().map(|sum| sum.rtt.as_ref().map(|rtt| signed(of(rtt)))).collect::<Vec<Option<i64>>>()
    };
    sqlx::query(AssertSqlSafe(upsert))
        .bind(sources)
        .bind(targets)
        .bind(kinds)
        .bind(times)
        .bind(column(|sum| sum.windows))
        .bind(column(|sum| sum.span_ms))
        .bind(column(|sum| sum.down_ms))
        .bind(column(|sum| sum.unknown_ms))
        .bind(column(|sum| sum.sent))
        .bind(column(|sum| sum.received))
        .bind(column(|sum| sum.late))
        .bind(column(|sum| sum.duplicated))
        .bind(column(|sum| sum.not_measured[0]))
        .bind(column(|sum| sum.not_measured[1]))
        .bind(column(|sum| sum.not_measured[2]))
        .bind(column(|sum| sum.not_measured[3]))
        .bind(optional(|rtt| rtt.min_us.into()))
        .bind(optional(|rtt| rtt.max_us.into()))
        .bind(optional(|rtt| rtt.sum_us))
        .bind(sums.values().map(|sum| histogram_bytes(&sum.histogram)).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map(drop)
}
