//! Windows of a pair out of `sample`, read as arrays: see [`super::buckets`].

use super::codes::{self, Time, count, unsigned};
use super::failure::While;
use crate::store::error::StoreError;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::Span;
use everypath_protocol::window::{NotMeasuredCounts, ProbeKind, RttRange, Window};
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row as _, Type};

/// The windows of a pair, a row for each hour. Bind source, target, kind, the first moment, the end and the most windows.
pub(super) const SELECT_HOURS: &str = "select array_agg(time), array_agg(span_ms), array_agg(sent), array_agg(received), array_agg(late), \
    array_agg(duplicated), array_agg(not_permitted), array_agg(send_failed), array_agg(overload), array_agg(stalled), \
    array_agg(rtt_min), array_agg(rtt_max), array_agg(rtt_sum), array_agg(histogram), array_agg(state) from \
    (select * from sample where source = $1 and target = $2 and kind = $3 and time >= $4 and time < $5 limit $6) windows \
    group by date_trunc('hour', time)";

/// The windows of a row of [`SELECT_HOURS`], in any order.
pub(super) fn read(row: &PgRow, target: AgentId, kind: ProbeKind) -> Result<Vec<Window>, StoreError> {
    let (times, spans): (Vec<Time>, Vec<i32>) = (column(row, 0)?, column(row, 1)?);
    let counts = (2..6).map(|place| column(row, place)).collect::<Result<Vec<Vec<i32>>, _>>()?;
    let not_measured = (6..10).map(|place| column(row, place)).collect::<Result<Vec<Vec<i16>>, _>>()?;
    let (least, most): (Vec<Option<i32>>, Vec<Option<i32>>) = (column(row, 10)?, column(row, 11)?);
    let sums: Vec<Option<i64>> = column(row, 12)?;
    let (histograms, states): (Vec<Option<Vec<u8>>>, Vec<i16>) = (column(row, 13)?, column(row, 14)?);
    let windows = times.into_iter().enumerate().map(|(place, Time(time))| {
        let mut window = Window::new(target, kind, time);
        window.span = Span::millis(count(spans[place]).into());
        window.sent = count(counts[0][place]);
        window.received = count(counts[1][place]);
        window.late = count(counts[2][place]);
        window.duplicated = count(counts[3][place]);
        window.not_measured = NotMeasuredCounts([0, 1, 2, 3].map(|reason| count(not_measured[reason][place])));
        if let (Some(min), Some(max), Some(sum)) = (least[place], most[place], sums[place]) {
            window.rtt = Some(RttRange { min_us: count(min), max_us: count(max), sum_us: unsigned(sum) });
        }
        window.histogram = codes::histogram(histograms[place].as_deref())?;
        window.state = codes::state(states[place]);
        Ok(window)
    });
    windows.collect()
}

fn column<'row, T: Decode<'row, Postgres> + Type<Postgres>>(row: &'row PgRow, place: usize) -> Result<T, StoreError> {
    row.try_get(place).doing("reading windows")
}
