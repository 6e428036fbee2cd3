//! The same input on every rung gives the same sums (goal S7).

use crate::common::block;
use crate::rungs::{Place, connect, run};
use crate::sums::rows;
use crate::world::{TARGET, World, any_windows, records, roll_up_all, take_lease};
use aggregator_core::rollup::{Bucket, Level};
use aggregator_core::series::Source;
use everypath_protocol::time::{Span, UnixTime};
use sqlx::Connection as _;

const AGENTS: u8 = 5;
const WINDOWS: u64 = 400;

/// Stores the same of a few agents, in another order and another grouping for each `seed`, and returns what the sums say.
async fn sums_after(place: &Place, seed: u64) -> Vec<(u8, Level, Vec<(UnixTime, Bucket)>)> {
    let (store, world) = (place.open().await, World::new());
    let lease = take_lease(&store, 1).await;
    let mut sums = Vec::new();
    for number in 1..=AGENTS {
        let agent = world.agent(number);
        let mut windows = any_windows(number.into(), WINDOWS, TARGET, Span::seconds(40 * 3_600));
        let turn = usize::try_from(seed * 37).expect("small") % windows.len();
        windows.rotate_left(turn);
        let mut first = 1;
        for part in windows.chunks(90 + turn) {
            store.ingest(world.batch(&agent, vec![block(1, first, records(part))])).await.expect("in order");
            first += part.len() as u64;
        }
        if number % 2 == u8::try_from(seed % 2).expect("small") {
            roll_up_all(&store, lease).await;
        }
    }
    roll_up_all(&store, lease).await;
    for number in 1..=AGENTS {
        for level in Level::ALL {
            sums.push((number, level, rows(&store, world.agent(number).id(), Source::Rollup(level)).await));
        }
    }
    store.close().await;
    sums
}

pub(crate) async fn every_rung_sums_alike(place: &Place) {
    let reference = sums_after(&Place::sqlite(), 0).await;
    assert!(reference.iter().all(|(_, _, rows)| !rows.is_empty()));
    assert_eq!(sums_after(place, 1).await, reference);
}

/// The columns that both have, as whole numbers.
const COLUMNS: &str = "time, source, target, kind, windows, span_ms::int8, down_ms::int8, unknown_ms::int8, sent::int8, \
    received::int8, late::int8, duplicated::int8, not_permitted::int8, send_failed::int8, overload::int8, stalled::int8, \
    rtt_min::int8, rtt_max::int8, rtt_sum::int8";

pub(crate) async fn the_continuous_aggregate_says_what_the_sums_say(place: &Place) {
    sums_after(place, 2).await;
    // Some of it is materialised and the rest is computed when it is asked for.
    let half = "select (min(time) + (max(time) - min(time)) / 2)::text from sample";
    let mut connection = connect(place.url()).await;
    let half: String = sqlx::query_scalar(half).fetch_one(&mut connection).await.expect("readable");
    run(place.url(), &format!("call refresh_continuous_aggregate('sample_minute_ca', null, '{half}')")).await;
    for (one, other) in [("sample_minute", "sample_minute_ca"), ("sample_minute_ca", "sample_minute")] {
        let differ =
            format!("select count(*) from (select {COLUMNS} from {one} except all select {COLUMNS} from {other}) x");
        let differ: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(differ)).fetch_one(&mut connection).await.expect("readable");
        assert_eq!(differ, 0, "rows of {one} that {other} does not have");
    }
    let count: i64 =
        sqlx::query_scalar("select count(*) from sample_minute_ca").fetch_one(&mut connection).await.expect("readable");
    assert!(count > 500, "{count}");
    connection.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_continuous_aggregate_of_a_server_says_what_the_sums_say() {
    let test = async |place: &Place| the_continuous_aggregate_says_what_the_sums_say(place).await;
    Place::on("timescale_community", "EVERYPATH_TEST_TIMESCALE_URL", test).await;
}
