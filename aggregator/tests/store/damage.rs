//! One damaged row must not stop what is done for all others.

use crate::common::{T0, TestAgent, block};
use crate::postgres::on_postgres;
use crate::rungs::{Place, run};
use crate::sums::every_row;
use crate::world::{TARGET, World, any_windows, records, roll_up_all, take_lease};
use aggregator::store::{Keep, ReplicaId, Store};
use aggregator_core::rollup::Level;
use aggregator_core::series::Source;
use everypath_protocol::time::Span;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

const KEEP: Keep = {
    let long = Span::seconds(7 * 86_400);
    Keep { samples: long, minutes: long, hours: long, days: long, events: long }
};

/// 50 windows of each of three agents, in three blocks.
async fn fill(store: &Store, world: &World, first: u64) -> Vec<TestAgent> {
    let agents: Vec<_> = (1..=3).map(|number| world.agent(number)).collect();
    for (agent, seed) in agents.iter().zip(first..) {
        let windows = any_windows(seed, 50, TARGET, Span::seconds(900));
        store.ingest(world.batch(agent, vec![block(1, first, records(&windows))])).await.expect("in order");
    }
    agents
}

async fn change(place: &Place, statement: &'static str) {
    let Place::Sqlite(folder) = place else { unreachable!("made by the test") };
    let file = format!("sqlite://{}", folder.path().join("everypath.sqlite").display());
    let mut connection = SqliteConnection::connect(&file).await.expect("opened");
    connection.execute(statement).await.expect("changed");
    connection.close().await.expect("closed");
}

async fn windows_of(store: &Store, agent: &TestAgent, level: Level) -> u64 {
    let answer = store.series(every_row(agent.id(), Source::Rollup(level))).await.expect("readable");
    answer.points.iter().map(|(_, bucket)| bucket.windows).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_block_is_set_aside_and_the_sums_go_on() {
    let place = Place::sqlite();
    let (store, world) = (place.open().await, World::new());
    let lease = take_lease(&store, 1).await;
    let agents = fill(&store, &world, 1).await;
    change(&place, "update sample_block set body = x'00' where id = 2").await;
    assert!(store.matrix_state(T0.minus(Span::seconds(900))).await.is_ok(), "the program starts");
    let summed = store.roll_up(lease).await.expect("it goes on");
    assert_eq!((summed.samples, summed.damaged), (100, 1));
    for (agent, expected) in agents.iter().zip([50, 0, 50]) {
        assert_eq!(windows_of(&store, agent, Level::Minute).await, expected);
    }
    store.maintain(lease, KEEP, T0).await.expect("it goes on");
    let streams = store.streams(agents[1].id()).await.expect("readable");
    assert!(streams[0].rows.is_empty() && streams[0].blocks[0].2 == 50, "the audit sees what is missing: {streams:?}");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_is_damaged_after_it_was_summed_does_not_stop_packing() {
    let place = Place::sqlite();
    let (store, world) = (place.open().await, World::new());
    let (agent, lease) = (world.agent(1), take_lease(&store, 1).await);
    for first in 1..=100 {
        let windows = any_windows(first, 1, TARGET, Span::seconds(900));
        store.ingest(world.batch(&agent, vec![block(1, first, records(&windows))])).await.expect("in order");
    }
    roll_up_all(&store, lease).await;
    change(&place, "update sample_block set body = x'00' where id = 40").await;
    while store.maintain(lease, KEEP, T0.plus(Span::seconds(2 * 3_600))).await.expect("it goes on").has_more {}
    let streams = store.streams(agent.id()).await.expect("readable");
    assert_eq!(streams[0].rows.len(), 99, "{streams:?}");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_sum_begins_anew() {
    let place = Place::sqlite();
    let (store, world) = (place.open().await, World::new());
    let lease = take_lease(&store, 1).await;
    let agents = fill(&store, &world, 1).await;
    roll_up_all(&store, lease).await;
    change(&place, "update sample_day set body = x'ff'").await;
    fill(&store, &world, 51).await;
    let summed = store.roll_up(lease).await.expect("it goes on");
    assert!(summed.samples == 150 && summed.damaged >= 3, "{summed:?}");
    assert_eq!(windows_of(&store, &agents[0], Level::Day).await, 50);
    assert_eq!(windows_of(&store, &agents[0], Level::Hour).await, 100);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_entry_of_the_journal_is_passed_over() {
    on_postgres(async |place| {
        let (store, world) = (place.open().await, World::new());
        let lease = take_lease(&store, 1).await;
        fill(&store, &world, 1).await;
        run(place.url(), "update journal set body = '\\x00' where id = (select min(id) from journal)").await;
        assert!(store.matrix_state(T0.minus(Span::seconds(900))).await.is_ok(), "the program starts");
        assert_eq!(store.journal(0, vec![], ReplicaId(77)).await.expect("others are told").len(), 3);
        let summed = roll_up_all(&store, lease).await;
        assert_eq!((summed.samples, summed.damaged), (100, 1));
        store.close().await;
    })
    .await;
}
