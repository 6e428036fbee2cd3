//! The journal on a server: transactions of others, other servers' numbers, other clocks.

use crate::common::{T0, block};
use crate::postgres::on_postgres;
use crate::rungs::{Place, connect, run};
use crate::world::{TARGET, World, any_windows, records, roll_up_all, take_lease};
use aggregator::clock::Clock;
use aggregator::doubt::Doubts;
use aggregator::store::ReplicaId;
use aggregator_core::follow::Follower;
use everypath_protocol::time::{MonoTime, Span};
use sqlx::Connection as _;

/// Two batches of ten windows, the journal changed by `statements`, and what the steps behind it add.
async fn added_after(place: &Place, statements: &str) -> (u64, u64) {
    let (store, world) = (place.open().await, World::new());
    let agent = world.agent(1);
    let lease = take_lease(&store, 1).await;
    for part in [1, 11] {
        let windows = any_windows(part, 10, TARGET, Span::seconds(900));
        store.ingest(world.batch(&agent, vec![block(1, part, records(&windows))])).await.expect("in order");
    }
    run(place.url(), statements).await;
    let first = roll_up_all(&store, lease).await.samples;
    let again = roll_up_all(&store, lease).await.samples;
    store.close().await;
    (first, again)
}

/// As text, 1000 comes before 999: steps ordered so went back when the number of a transaction gained a digit, and added twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_are_followed_in_the_order_of_their_numbers() {
    on_postgres(async |place| {
        let gain =
            "update journal set xid = case when id = (select min(id) from journal) then '99' else '100' end::xid8";
        assert_eq!(added_after(place, gain).await, (20, 0));
    })
    .await;
}

/// A dump holds numbers of the server that it was made on; on another one they may lie far ahead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_came_from_another_server_goes_on_with_its_sums() {
    on_postgres(async |place| {
        let first = "update journal set xid = '8999999999', received_at = received_at - interval '1 hour' \
                     where id = (select min(id) from journal); update rollup_cursor set xid = '9000000000', id = 1";
        assert_eq!(added_after(place, first).await, (10, 0), "the first was summed there, the second came here");
    })
    .await;
    on_postgres(async |place| {
        let both = "update journal set xid = case when id = (select min(id) from journal) then '8999999999' \
                    else '9000000001' end::xid8; update rollup_cursor set xid = '9000000000', id = 1";
        assert_eq!(added_after(place, both).await, (10, 0), "both came there, and one was summed");
    })
    .await;
}

/// A replica began at the newest entry that it saw. One that was under way below it then became visible and was never read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_under_way_when_a_replica_begins_is_told_to_it() {
    on_postgres(async |place| {
        let (store, world) = (place.open().await, World::new());
        let agent = world.agent(1);
        let batch = |first| {
            let windows = any_windows(first, 5, TARGET, Span::seconds(900));
            world.batch(&agent, vec![block(1, first, records(&windows))])
        };
        store.ingest(batch(1)).await.expect("in order");
        let mut connection = connect(place.url()).await;
        let mut slow = connection.begin().await.expect("begun");
        let copy = "insert into journal (origin, source, received_at, windows, body) \
                    select origin, source, received_at, windows, body from journal limit 1";
        sqlx::query(copy).execute(&mut *slow).await.expect("inserted");
        store.ingest(batch(6)).await.expect("in order");
        let reader = ReplicaId(77);
        let mut follower = Follower::new(store.journal_head().await.expect("readable"));
        let mut poll = async || {
            let entries = store.journal(follower.through(), follower.holes(), reader).await.expect("readable");
            follower.take(MonoTime(0), entries.iter().map(|entry| entry.id).collect())
        };
        let before = poll().await;
        slow.commit().await.expect("committed");
        assert_eq!((before, poll().await), (vec![1, 3], vec![2]));
        connection.close().await.expect("closed");
        store.close().await;
    })
    .await;
}

/// Somebody's transaction, left open on the same server, held up all sums without a word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_up_the_sums_is_named() {
    on_postgres(async |place| {
        let (store, world) = (place.open().await, World::new());
        let lease = take_lease(&store, 1).await;
        assert_eq!(store.unsummed().await.expect("readable"), None);
        let mut connection = connect(place.url()).await;
        let mut open = connection.begin().await.expect("begun");
        sqlx::query("select pg_current_xact_id()").execute(&mut *open).await.expect("answered");
        let windows = any_windows(1, 5, TARGET, Span::seconds(900));
        store.ingest(world.batch(&world.agent(1), vec![block(1, 1, records(&windows))])).await.expect("in order");
        assert_eq!(store.roll_up(lease).await.expect("nothing to do").samples, 0);
        let unsummed = store.unsummed().await.expect("readable").expect("some");
        assert_eq!(unsummed.since, T0);
        assert!(unsummed.behind.is_some_and(|who| who.contains("of process")), "whoever is the oldest on this server");
        open.rollback().await.expect("undone");
        connection.close().await.expect("closed");
        roll_up_all(&store, lease).await;
        assert_eq!(store.unsummed().await.expect("readable"), None);
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_not_that_of_the_database_is_doubted() {
    on_postgres(async |place| {
        let store = place.open().await;
        let own = Clock::system();
        let now = own.now();
        let doubts = Doubts::new(now, own.mono(), None);
        assert_eq!(doubts.look(&store, &own, 0).await.expect("asked"), None);
        for wrong in [now.plus(Span::seconds(7_200)), now.minus(Span::seconds(7_200))] {
            let wrong = Clock::by_hand(wrong);
            let doubts = Doubts::new(wrong.now(), wrong.mono(), None);
            let why = doubts.look(&store, &wrong, 0).await.expect("asked");
            assert!(why.as_ref().is_some_and(|why| why.contains("that of the database says")), "{why:?}");
        }
        store.close().await;
    })
    .await;
}

/// Whether the cursor is ahead was asked with the snapshot from before the wait for its lock. Whoever held the lock had moved it on
/// meanwhile, so it seemed to come from another server, and everything in the journal was added a second time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_waited_for_another_adds_nothing_again() {
    on_postgres(async |place| {
        let (store, world) = (place.open().await, World::new());
        let (agent, lease) = (world.agent(1), take_lease(&store, 1).await);
        let batch = |first| {
            let windows = any_windows(first, 10, TARGET, Span::seconds(900));
            world.batch(&agent, vec![block(1, first, records(&windows))])
        };
        // The pieces of the tables are made; a step that has to make them begins anew.
        store.ingest(batch(1)).await.expect("in order");
        assert_eq!(roll_up_all(&store, lease).await.samples, 10);
        let (mut connection, mut watching) = (connect(place.url()).await, connect(place.url()).await);
        let mut other = connection.begin().await.expect("begun");
        sqlx::query("select xid::text from rollup_cursor for update").execute(&mut *other).await.expect("locked");
        let waiting = tokio::spawn({
            let store = store.clone();
            async move { store.roll_up(lease).await }
        });
        let blocked = "select exists (select 1 from pg_stat_activity where datname = current_database() \
                       and application_name = 'everypath' and wait_event_type = 'Lock')";
        while !sqlx::query_scalar::<_, bool>(blocked).fetch_one(&mut watching).await.expect("answered") {
            tokio::task::yield_now().await;
        }
        store.ingest(batch(11)).await.expect("in order");
        let both = "update rollup_cursor set (xid, id) = (select xid, id from journal order by xid desc limit 1)";
        sqlx::query(both).execute(&mut *other).await.expect("moved");
        other.commit().await.expect("committed");
        assert_eq!(waiting.await.expect("no panic").expect("rolled up").samples, 0);
        assert_eq!(roll_up_all(&store, lease).await.samples, 0);
        for connection in [connection, watching] {
            connection.close().await.expect("closed");
        }
        store.close().await;
    })
    .await;
}
