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
/// What [`read`] reads, and when.
pub(super) const SUMS_AND_TIME: &str = "windows, span_ms, down_ms, unknown_ms, sent, received, late, duplicated, not_permitted, \
    send_failed, overload, stalled, rtt_min, rtt_max, rtt_sum, histogram, time";

/// The sums that are there for these keys.
pub(super) async fn fetch(
    connection: &mut PgConnection,
    level: Level,
    keys: &[Key],
) -> Result<BTreeMap<Key, Bucket>, StoreError> {
    const DOING: &str = "reading sums";
    // One look into the index for each key, whatever the planner thinks of the length of an array.
    let select = format!(
        "select s.* from unnest($1::int4[], $2::int4[], $3::int2[], $4::timestamptz[]) as w (source, target, kind, time) \
         cross join lateral (select {SUMS}, t.source, t.target, t.kind, t.time from {} t where t.source = w.source and t.target = w.target and t.kind = w.kind \
         and t.time = w.time limit 1) s",
        table(level).name()
    );
    let (sources, targets, kinds, times) = columns(keys);
    let rows = sqlx::query(AssertSqlSafe(select))
        .bind(sources)
        .bind(targets)
        .bind(kinds)
        .bind(times)
        .fetch_all(connection)
        .await
        .doing(DOING)?;
    let mut found = BTreeMap::new();
    for row in &rows {
        let key = PairKey {
            source: agent_number(row.try_get("source").doing(DOING)?),
            target: agent_number(row.try_get("target").doing(DOING)?),
            kind: codes::kind(row.try_get("kind").doing(DOING)?)?,
        };
        let Time(time) = row.try_get("time").doing(DOING)?;
        found.insert((key, time), read(row)?);
    }
    Ok(found)
}

/// A sum from [`SUMS`], which come first in the row: looking them up by name would take longer than reading them.
pub(super) fn read(row: &PgRow) -> Result<Bucket, StoreError> {
    const DOING: &str = "reading a sum";
    let number = |place: usize| row.try_get::<i64, _>(place).map(unsigned).doing(DOING);
    let optional = |place: usize| row.try_get::<Option<i64>, _>(place).doing(DOING);
    let rtt = match (optional(12)?, optional(13)?, optional(14)?) {
        (Some(min), Some(max), Some(sum)) => {
            Some(RttRange { min_us: codes::count(min), max_us: codes::count(max), sum_us: unsigned(sum) })
        }
        _ => None,
    };
    Ok(Bucket {
        windows: number(0)?,
        span_ms: number(1)?,
        down_ms: number(2)?,
        unknown_ms: number(3)?,
        sent: number(4)?,
        received: number(5)?,
        late: number(6)?,
        duplicated: number(7)?,
        not_measured: [number(8)?, number(9)?, number(10)?, number(11)?],
        rtt,
        histogram: codes::histogram(row.try_get(15).doing(DOING)?)?,
    })
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
