//! Rows as arrays, one for each column: one statement whatever their number.

use super::codes::{Time, histogram_bytes, int2, int4, signed};
use super::copy::{Sample, raw_time};
use super::ingest::Event;
use aggregator_core::admit::{Piece, Tombstone};
use everypath_protocol::time::UnixTime;
use sqlx::PgConnection;

/// Samples on a server that takes no COPY.
pub(super) async fn samples(connection: &mut PgConnection, samples: &[Sample<'_>]) -> Result<(), sqlx::Error> {
    let insert = "insert into sample (time, source, target, kind, stream, seq, span_ms, sent, received, late, duplicated, \
                  not_permitted, send_failed, overload, stalled, rtt_min, rtt_max, rtt_sum, histogram, state, flags, raw_time) \
                  select * from unnest($1::timestamptz[], $2::int4[], $3::int4[], $4::int2[], $5::int4[], $6::int8[], \
                  $7::int4[], $8::int4[], $9::int4[], $10::int4[], $11::int4[], $12::int2[], $13::int2[], $14::int2[], \
                  $15::int2[], $16::int4[], $17::int4[], $18::int8[], $19::bytea[], $20::int2[], $21::int2[], \
                  $22::timestamptz[])";
    let windows = || samples.iter().map(|sample| sample.window);
    let not_measured =
        |reason: usize| windows().map(move |window| int2(window.not_measured.0[reason])).collect::<Vec<_>>();
    sqlx::query(insert)
        .bind(samples.iter().map(|sample| Time(sample.row.time)).collect::<Vec<_>>())
        .bind(samples.iter().map(|sample| sample.source).collect::<Vec<_>>())
        .bind(samples.iter().map(|sample| sample.target).collect::<Vec<_>>())
        .bind(windows().map(|window| i16::from(window.kind.code())).collect::<Vec<_>>())
        .bind(samples.iter().map(|sample| sample.stream).collect::<Vec<_>>())
        .bind(samples.iter().map(|sample| signed(sample.row.seq.0)).collect::<Vec<_>>())
        .bind(windows().map(|window| int4(window.span.as_millis())).collect::<Vec<_>>())
        .bind(windows().map(|window| int4(window.sent)).collect::<Vec<_>>())
        .bind(windows().map(|window| int4(window.received)).collect::<Vec<_>>())
        .bind(windows().map(|window| int4(window.late)).collect::<Vec<_>>())
        .bind(windows().map(|window| int4(window.duplicated)).collect::<Vec<_>>())
        .bind(not_measured(0))
        .bind(not_measured(1))
        .bind(not_measured(2))
        .bind(not_measured(3))
        .bind(windows().map(|window| window.rtt.map(|rtt| int4(rtt.min_us))).collect::<Vec<_>>())
        .bind(windows().map(|window| window.rtt.map(|rtt| int4(rtt.max_us))).collect::<Vec<_>>())
        .bind(windows().map(|window| window.rtt.map(|rtt| signed(rtt.sum_us))).collect::<Vec<_>>())
        .bind(windows().map(|window| histogram_bytes(&window.histogram)).collect::<Vec<_>>())
        .bind(windows().map(|window| i16::from(window.state.code())).collect::<Vec<_>>())
        .bind(samples.iter().map(|sample| i16::from(sample.row.flags)).collect::<Vec<_>>())
        .bind(samples.iter().map(|sample| raw_time(sample.row, sample.window.start)).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map(drop)
}

pub(super) async fn events(connection: &mut PgConnection, events: &[Event<'_>]) -> Result<(), sqlx::Error> {
    if events.is_empty() {
        return Ok(());
    }
    let insert = "insert into event (time, source, target, kind, stream, seq, from_state, to_state, flags, raw_time) \
                  select * from unnest($1::timestamptz[], $2::int4[], $3::int4[], $4::int2[], $5::int4[], $6::int8[], \
                  $7::int2[], $8::int2[], $9::int2[], $10::timestamptz[])";
    sqlx::query(insert)
        .bind(events.iter().map(|event| Time(event.row.time)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.source).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.target).collect::<Vec<_>>())
        .bind(events.iter().map(|event| i16::from(event.flip.kind.code())).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.stream).collect::<Vec<_>>())
        .bind(events.iter().map(|event| signed(event.row.seq.0)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| i16::from(event.flip.from.code())).collect::<Vec<_>>())
        .bind(events.iter().map(|event| i16::from(event.flip.to.code())).collect::<Vec<_>>())
        .bind(events.iter().map(|event| i16::from(event.row.flags)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| raw_time(event.row, event.flip.at)).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map(drop)
}

/// Stream, range, receipt.
pub(super) async fn tombstones(
    connection: &mut PgConnection,
    dead: Vec<(i32, Tombstone, UnixTime)>,
) -> Result<(), sqlx::Error> {
    if dead.is_empty() {
        return Ok(());
    }
    let insert = "insert into tombstone (stream, first, last, reason, received_at) \
                  select * from unnest($1::int4[], $2::int8[], $3::int8[], $4::text[], $5::timestamptz[])";
    sqlx::query(insert)
        .bind(dead.iter().map(|(stream, ..)| *stream).collect::<Vec<_>>())
        .bind(dead.iter().map(|(_, dead, _)| signed(dead.first.0)).collect::<Vec<_>>())
        .bind(dead.iter().map(|(_, dead, _)| signed(dead.last.0)).collect::<Vec<_>>())
        .bind(dead.iter().map(|(_, dead, _)| dead.reason.name()).collect::<Vec<_>>())
        .bind(dead.iter().map(|(.., at)| Time(*at)).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map(drop)
}

/// Stream, block, receipt.
pub(super) async fn blocks(
    connection: &mut PgConnection,
    blocks: Vec<(i32, Piece, UnixTime)>,
) -> Result<(), sqlx::Error> {
    if blocks.is_empty() {
        return Ok(());
    }
    let insert = "insert into ingest_block (stream, first, last, rows, hash, flags, received_at) \
                  select * from unnest($1::int4[], $2::int8[], $3::int8[], $4::int4[], $5::bytea[], $6::int2[], \
                  $7::timestamptz[])";
    sqlx::query(insert)
        .bind(blocks.iter().map(|(stream, ..)| *stream).collect::<Vec<_>>())
        .bind(blocks.iter().map(|(_, block, _)| signed(block.first.0)).collect::<Vec<_>>())
        .bind(blocks.iter().map(|(_, block, _)| signed(block.last.0)).collect::<Vec<_>>())
        .bind(blocks.iter().map(|(_, block, _)| int4(block.rows)).collect::<Vec<_>>())
        .bind(blocks.iter().map(|(_, block, _)| block.hash.to_vec()).collect::<Vec<_>>())
        .bind(blocks.iter().map(|(_, block, _)| i16::from(block.flags)).collect::<Vec<_>>())
        .bind(blocks.iter().map(|(.., at)| Time(*at)).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map(drop)
}
