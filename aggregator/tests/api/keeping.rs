//! What happens when the database cannot be written, and what is deleted when.

use crate::common::{T0, TestAgent, block, window};
use crate::world::World;
use aggregator::clock::Clock;
use aggregator::guard::Role;
use aggregator::jobs;
use aggregator::watch;
use axum::http::Method;
use everypath_protocol::codec;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::Span;
use std::sync::{Arc, Mutex};

const TARGET: AgentId = AgentId([9; 32]);

/// As SQLite does it when the disk is full: it undoes the transaction itself.
const FULL: &str = "create trigger full before insert on sample_block begin select raise(rollback, 'disk full'); end";

#[tokio::test]
async fn a_full_disk_is_said_and_forgotten() {
    let world = World::new().await;
    let agent = world.agent(1);
    let health = async || world.get("/healthz", &[]).await.status.as_u16();
    assert_eq!(health().await, 200);
    world.change(FULL).await;
    let blocks = [block(1, 1, vec![window(TARGET, T0, Some(5))])];
    for _ in 0..3 {
        let answer = world.post_batch(codec::encode(&world.envelope(&agent, &blocks))).await;
        assert_eq!(answer.problem(), (503, "busy".into()));
        assert_eq!(world.get("/healthz", &[]).await.problem(), (503, "database_failing".into()));
    }
    world.change("drop trigger full").await;
    assert_eq!(world.ingest(&agent, &blocks).await.acked, blocks[0].last());
    assert_eq!(health().await, 200);
}

const HOUR: Span = Span::seconds(3_600);
const DAY: Span = Span::seconds(24 * 3_600);

async fn kept(world: &World, agent: &TestAgent) -> usize {
    let streams = world.app.store.streams(agent.id()).await.expect("readable");
    streams.iter().map(|stream| stream.rows.len()).sum()
}

async fn delete_old(world: &World) {
    world.lead().await;
    jobs::roll_up(&world.app).await.expect("rolled up");
    world.app.retention.run(&world.app).await.expect("run");
}

/// 4,000 samples of now.
async fn fill(world: &World, agent: &TestAgent) {
    for first in (1..4_000).step_by(250) {
        world.ingest(agent, &[block(1, first, vec![window(TARGET, world.clock.now(), Some(5)); 250])]).await;
    }
}

#[tokio::test]
async fn samples_of_the_future_do_not_keep_the_old_ones() {
    let world = World::new().await;
    let (wrong, right) = (world.agent(1), world.agent(2));
    // Two full steps of rows that were filed while the clock of this aggregator was a year ahead, and two of the right time.
    fill(&world, &wrong).await;
    world.change("update sample_block set time_last = time_last + 365 * 86400 * 1000000").await;
    fill(&world, &right).await;
    delete_old(&world).await;
    assert_eq!(kept(&world, &right).await, 4_000);
    world.clock.advance(Span(8 * DAY.0));
    delete_old(&world).await;
    assert_eq!((kept(&world, &wrong).await, kept(&world, &right).await), (4_000, 0));
    world.ingest(&right, &[block(1, 4_001, vec![window(TARGET, world.clock.now(), Some(5)); 3])]).await;
    world.clock.advance(Span(8 * DAY.0));
    delete_old(&world).await;
    assert_eq!((kept(&world, &wrong).await, kept(&world, &right).await), (4_000, 0));
}

#[tokio::test]
async fn nothing_is_deleted_by_a_clock_that_was_set() {
    let world = World::new().await;
    let agent = world.agent(1);
    world.ingest(&agent, &[block(1, 1, vec![window(TARGET, T0, Some(5)); 3])]).await;
    world.clock.set(T0.plus(Span(100 * DAY.0)));
    delete_old(&world).await;
    assert_eq!(kept(&world, &agent).await, 3);
    world.clock.set(T0.minus(DAY));
    delete_old(&world).await;
    assert_eq!(kept(&world, &agent).await, 3);
    world.clock.set(T0.plus(HOUR));
    world.clock.advance(Span(8 * DAY.0));
    delete_old(&world).await;
    assert_eq!(kept(&world, &agent).await, 0, "the clock is near where it should be again");
}

#[tokio::test]
async fn nothing_is_deleted_after_a_start_long_after_everything() {
    let world = World::new().await;
    let agent = world.agent(1);
    world.ingest(&agent, &[block(1, 1, vec![window(TARGET, T0, Some(5)); 3])]).await;
    let restarted_after = async |days: u64| {
        let world = World::on(Arc::clone(&world.folder), Clock::by_hand(T0.plus(Span(days * DAY.0)))).await;
        delete_old(&world).await;
        world.app.replica.step_down(&world.app).await.expect("given back");
        kept(&world, &agent).await
    };
    assert_eq!(restarted_after(31).await, 3);
    assert_eq!(restarted_after(30).await, 0);
}

/// The doubt was in memory alone, and what came under the wrong clock made it look right at the next start.
#[tokio::test]
async fn nothing_is_deleted_by_a_wrong_clock_after_a_restart_either() {
    let world = World::new().await;
    let agent = world.agent(1);
    world.ingest(&agent, &[block(1, 1, vec![window(TARGET, T0, Some(5)); 3])]).await;
    delete_old(&world).await;
    let ahead = T0.plus(Span(20 * DAY.0));
    world.clock.set(ahead);
    delete_old(&world).await;
    world.ingest(&agent, &[block(1, 4, vec![window(TARGET, ahead, Some(5)); 2])]).await;
    world.app.replica.step_down(&world.app).await.expect("given back");
    let world = World::on(Arc::clone(&world.folder), Clock::by_hand(ahead.plus(HOUR))).await;
    delete_old(&world).await;
    assert_eq!((kept(&world, &agent).await, world.app.metrics.clock_doubted.get()), (5, 1));
    let bearer = world.bearer(Role::Admin).await;
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let setting = world.get("/api/v1/settings/retention", &headers).await.body;
    let put = world.call(Method::PUT, "/api/v1/settings/retention", &headers, setting).await;
    assert_eq!(put.status, 200, "{put:?}");
    delete_old(&world).await;
    assert_eq!((kept(&world, &agent).await, world.app.metrics.clock_doubted.get()), (2, 0), "confirmed");
}

/// The clock was looked at once and then read again for each step: what it said after that was believed.
#[tokio::test]
async fn nothing_is_deleted_by_a_clock_that_is_set_while_a_run_is_under_way() {
    let world = World::new().await;
    let agent = world.agent(1);
    world.ingest(&agent, &[block(1, 1, vec![window(TARGET, T0, Some(5)); 3])]).await;
    delete_old(&world).await;
    for readings in 0..8 {
        world.clock.set(T0);
        world.lead().await;
        world.clock.set_after(readings, T0.plus(Span(20 * DAY.0)));
        world.app.retention.run(&world.app).await.expect("run");
        assert_eq!(kept(&world, &agent).await, 3, "set after {readings} readings");
    }
}

/// A step looks at some hundred pairs, and a run ended with the first step that found nothing: of a mesh of a hundred agents
/// the last pair's turn came after an hour.
#[tokio::test]
async fn old_sums_of_all_pairs_go_in_one_run() {
    let world = World::new().await;
    let of_2023 = "with recursive pair(number) as (select 0 union all select number + 1 from pair where number < 6399) \
                   insert into sample_minute \
                   select 1000 + number / 64, 2000 + number % 64, 0, 1700000000000000, x'00' from pair";
    world.change(of_2023).await;
    delete_old(&world).await;
    assert_eq!(world.app.metrics.rows_dropped.get(), 6_400);
}

async fn warnings(world: &World) -> Vec<String> {
    let said = Mutex::new(Vec::new());
    let looked =
        watch::look(&world.app, |what| said.lock().expect("nobody panics with it").push(what.to_owned())).await;
    looked.expect("readable");
    said.into_inner().expect("nobody panics with it")
}

#[tokio::test]
async fn sums_that_stand_still_and_jobs_that_nobody_does_are_told() {
    let world = World::new().await;
    world.lead().await;
    world.ingest(&world.agent(1), &[block(1, 1, vec![window(TARGET, T0, Some(5)); 3])]).await;
    assert_eq!(warnings(&world).await, Vec::<String>::new());
    // Nobody ran for a night: what came last before it is summed within a minute, which is nothing to warn of.
    world.clock.set(T0.plus(Span(10 * HOUR.0)));
    assert_eq!(warnings(&world).await, Vec::<String>::new());
    assert_eq!(world.app.metrics.unsummed_seconds.get(), 36_000);
    world.clock.set(T0);
    world.clock.advance(Span::seconds(301));
    let said = warnings(&world).await;
    assert!(
        said.len() == 2 && said[0].starts_with("for 301 s") && said[1].starts_with("what came 301 s ago"),
        "{said:?}"
    );
    assert_eq!((world.app.metrics.unled_seconds.get(), world.app.metrics.unsummed_seconds.get()), (301, 301));
    world.lead().await;
    jobs::roll_up(&world.app).await.expect("rolled up");
    assert_eq!(warnings(&world).await, Vec::<String>::new());
    assert_eq!((world.app.metrics.unled_seconds.get(), world.app.metrics.unsummed_seconds.get()), (0, 0));
}
