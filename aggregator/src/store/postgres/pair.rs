//! One pair over time.

use super::PgStore;
use super::buckets;
use super::codes::{self, Time, count, unsigned};
use super::failure::While;
use crate::store::error::StoreError;
use crate::store::types::PairQuery;
use aggregator_core::rollup::Bucket;
use aggregator_core::series::Source;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::{Span, UnixTime};
use everypath_protocol::window::{NotMeasuredCounts, ProbeKind, RttRange, Window};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};

const DOING: &str = "reading a pair";

impl PgStore {
    pub(in crate::store) async fn pair(&self, query: PairQuery) -> Result<Vec<(UnixTime, Bucket)>, StoreError> {
        let mut connection = self.pool().acquire().await.doing(DOING)?;
        let numbers = self.shared.keys.numbers(&mut connection, [query.source, query.target]).await.doing(DOING)?;
        let number = |key| numbers.get(&key).map(|known| known.id);
        let (Some(source), Some(target)) = (number(query.source), number(query.target)) else { return Ok(Vec::new()) };
        let (columns, table) = match query.table {
            Source::Samples => ("*", "sample"),
            Source::Rollup(level) => (buckets::SUMS_AND_TIME, buckets::table(level).name()),
        };
        let select = format!(
            "select {columns} from {table} where source = $1 and target = $2 and kind = $3 and time >= $4 and time < $5 order by time"
        );
        let rows = sqlx::query(AssertSqlSafe(select))
            .bind(source)
            .bind(target)
            .bind(i16::from(query.kind.code()))
            .bind(Time(query.from))
            .bind(Time(query.to))
            .fetch_all(&mut *connection)
            .await
            .doing(DOING)?;
        let read = |row: &PgRow| {
            let Time(time) = row.try_get("time").doing(DOING)?;
            let bucket = match query.table {
                Source::Samples => Bucket::of(&window(row, query.target, query.kind, time)?),
                Source::Rollup(_) => buckets::read(row)?,
            };
            Ok((time, bucket))
        };
        rows.iter().map(read).collect()
    }
}

/// A row of `sample`.
pub(super) fn window(row: &PgRow, target: AgentId, kind: ProbeKind, time: UnixTime) -> Result<Window, StoreError> {
    let number = |column: &str| row.try_get::<i32, _>(column).map(count).doing(DOING);
    let small = |column: &str| row.try_get::<i16, _>(column).map(count).doing(DOING);
    let mut window = Window::new(target, kind, time);
    window.span = Span::millis(number("span_ms")?.into());
    window.sent = number("sent")?;
    window.received = number("received")?;
    window.late = number("late")?;
    window.duplicated = number("duplicated")?;
    window.not_measured =
        NotMeasuredCounts([small("not_permitted")?, small("send_failed")?, small("overload")?, small("stalled")?]);
    let min: Option<i32> = row.try_get("rtt_min").doing(DOING)?;
    let max: Option<i32> = row.try_get("rtt_max").doing(DOING)?;
    let sum: Option<i64> = row.try_get("rtt_sum").doing(DOING)?;
    if let (Some(min), Some(max), Some(sum)) = (min, max, sum) {
        window.rtt = Some(RttRange { min_us: count(min), max_us: count(max), sum_us: unsigned(sum) });
    }
    window.histogram = codes::histogram(row.try_get("histogram").doing(DOING)?)?;
    window.state = codes::state(row.try_get("state").doing(DOING)?);
    Ok(window)
}
