//! What only a server can get wrong: several processes, lost connections, transactions in each other's way.

use crate::common::{T0, TestAgent, block, window};
use crate::rungs::{Place, connect, run};
use crate::world::{TARGET, World, any_window, any_windows, event, numbers, records, roll_up_all, take_lease};
use aggregator::store::{Batch, IngestError, JoinTokenRow, Keep, Redeemed, Redemption, ReplicaId, Store, StoreError};
use aggregator_core::admit::Refusal;
use everypath_protocol::id::{AgentId, Seq, mix64};
use everypath_protocol::record::Record;
use everypath_protocol::sign::Signer as _;
use everypath_protocol::time::Span;
use everypath_protocol::token::{TokenId, TokenKey};
use sqlx::Connection as _;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub(crate) async fn on_postgres(test: impl AsyncFn(&Place)) {
    Place::on("postgres", "EVERYPATH_TEST_POSTGRES_URL", test).await;
}

async fn replicas(place: &Place, count: i64) -> Vec<Store> {
    futures::future::join_all((1..=count).map(|number| place.open_as(ReplicaId(number)))).await
}

/// As an agent does: the same again until it is acknowledged.
async fn send(store: &Store, batch: Batch) -> Seq {
    for _ in 0..3_000 {
        match store.ingest(batch.clone()).await {
            Ok(stored) => return stored.acked,
            Err(IngestError::Store(StoreError::Busy)) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("busy for ever");
}

async fn assert_once(store: &Store, agent: AgentId, last: u64) {
    for stream in store.streams(agent).await.expect("readable") {
        assert_eq!(stream.rows, numbers(1..=last), "epoch {}", stream.epoch.0);
        assert_eq!(stream.cursor, Seq(last));
        assert_eq!(stream.blocks.iter().map(|(.., rows)| rows).sum::<u64>(), last);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_batch_to_two_replicas_at_once_is_stored_once() {
    on_postgres(async |place| {
        let (stores, world) = (replicas(place, 2).await, World::new());
        let agents: Vec<_> = (1..=6).map(|number| world.agent(number)).collect();
        let streams = agents.iter().enumerate().map(|(seed, agent)| {
            let (stores, world) = (&stores, &world);
            async move {
                for batch in 0..40_u64 {
                    let windows = any_windows(seed as u64 + 1, 15, TARGET, Span::seconds(900));
                    let batch = world.batch(agent, vec![block(1, batch * 15 + 1, records(&windows))]);
                    let both = stores.iter().map(|store| send(store, batch.clone()));
                    let acked = futures::future::join_all(both).await;
                    assert_eq!(acked[0], acked[1]);
                }
            }
        });
        futures::future::join_all(streams).await;
        let lease = take_lease(&stores[0], 1).await;
        assert_eq!(roll_up_all(&stores[1], lease).await.samples, 6 * 40 * 15);
        for agent in &agents {
            assert_once(&stores[0], agent.id(), 600).await;
        }
        futures::future::join_all(stores.iter().map(Store::close)).await;
    })
    .await;
}

/// What one of many agents sends: to any replica, with targets that nobody knows and times all over the year.
async fn wander(stores: &[Store], world: &World, agent: &TestAgent, seed: u64) {
    for step in 0..25_u64 {
        let draw = |salt: u64| mix64(seed << 24 | step << 8 | salt);
        let windows = (0..12).map(|number| {
            // A few hundred targets, each new to somebody at some time.
            let target = AgentId([u8::try_from(mix64(draw(number)) % 250).expect("small"); 32]);
            Record::Window(any_window(draw(50 + number), target, Span::seconds(20 * 86_400)))
        });
        let batch = world.batch(agent, vec![block(seed % 3, step * 12 + 1, windows.collect())]);
        let first = usize::try_from(draw(200) % stores.len() as u64).expect("small");
        let second = usize::try_from(draw(201) % stores.len() as u64).expect("small");
        tokio::join!(send(&stores[first], batch.clone()), send(&stores[second], batch));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_of_all_kinds_never_wait_for_each_other_in_a_circle() {
    on_postgres(async |place| {
        let (stores, world) = (replicas(place, 3).await, World::new());
        let lease = take_lease(&stores[0], 1).await;
        let agents: Vec<_> = (1..=24_u8).map(|number| world.agent(number)).collect();
        let all = agents.iter().zip(1..).map(|(agent, seed)| wander(&stores, &world, agent, seed));
        let summing = async {
            for _ in 0..60 {
                // Sums, members and samples at the same time.
                drop(stores[0].roll_up(lease).await);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::join!(futures::future::join_all(all), summing);
        for agent in &agents {
            assert_once(&stores[2], agent.id(), 300).await;
        }
        assert_eq!(stores[0].agents().await.expect("readable").len(), 24);
        futures::future::join_all(stores.iter().map(Store::close)).await;
        let mut connection = connect(place.url()).await;
        let select = "select deadlocks from pg_stat_database where datname = current_database()";
        let deadlocks: i64 = sqlx::query_scalar(select).fetch_one(&mut connection).await.expect("readable");
        connection.close().await.expect("closed");
        assert_eq!(deadlocks, 0);
    })
    .await;
}

/// Batches and the windows of each: two agents send many at once, which go another way than few.
const fn work_of(seed: u64) -> (u64, u64) {
    if seed <= 2 { (12, 1_100) } else { (30, 10) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_killed_cost_nothing_but_time() {
    on_postgres(async |place| {
        let (stores, world) = (replicas(place, 2).await, World::new());
        let agents: Vec<_> = (1..=8).map(|number| world.agent(number)).collect();
        let done = CancellationToken::new();
        let killer = async {
            let mut connection = connect(place.url()).await;
            let kill = "select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity \
                        where datname = current_database() and application_name = 'everypath' order by random() limit 1) one";
            let mut killed: i64 = 0;
            while !done.is_cancelled() {
                killed += sqlx::query_scalar::<_, i64>(kill).fetch_one(&mut connection).await.expect("killed");
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            connection.close().await.expect("closed");
            killed
        };
        let sending = async {
            let all = agents.iter().zip(1_u64..).map(|(agent, seed)| {
                let (stores, world) = (&stores, &world);
                async move {
                    let (batches, size) = work_of(seed);
                    for batch in 0..batches {
                        let windows = any_windows(seed << 8 | batch, size, TARGET, Span::seconds(900));
                        let batch_of = world.batch(agent, vec![block(1, batch * size + 1, records(&windows))]);
                        let store = &stores[usize::try_from(mix64(seed ^ batch) % 2).expect("small")];
                        send(store, batch_of).await;
                    }
                }
            });
            futures::future::join_all(all).await;
            done.cancel();
        };
        let (killed, ()) = tokio::join!(killer, sending);
        assert!(killed > 10, "only {killed} connections were killed");
        let mut all = 0;
        for (agent, seed) in agents.iter().zip(1..) {
            let (batches, size) = work_of(seed);
            assert_once(&stores[0], agent.id(), batches * size).await;
            all += batches * size;
        }
        let lease = take_lease(&stores[0], 1).await;
        assert_eq!(roll_up_all(&stores[0], lease).await.samples, all);
        assert!(stores[0].ping().await.is_ok(), "nothing is failing any more");
        futures::future::join_all(stores.iter().map(Store::close)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_can_never_be_stored_hinders_nobody_else() {
    on_postgres(async |place| {
        let (store, world) = (place.open().await, World::new());
        run(place.url(), "alter table sample add constraint odd check (sent <> 77)").await;
        let agents: Vec<_> = (1..=40).map(|number| world.agent(number)).collect();
        let batches = agents.iter().zip(1_u64..).map(|(agent, number)| {
            let mut windows = any_windows(number, 60, TARGET, Span::seconds(900));
            if number % 13 == 0 {
                windows[3].sent = 77;
            }
            store.ingest(world.batch(agent, vec![block(1, 1, records(&windows))]))
        });
        let results = futures::future::join_all(batches).await;
        for ((agent, result), number) in agents.iter().zip(results).zip(1_u64..) {
            match result {
                Ok(stored) => assert!(stored.rows == 60 && stored.is_new_agent && number % 13 != 0),
                Err(IngestError::Unstorable(why)) => assert!(number % 13 == 0 && why.contains("odd"), "{why}"),
                Err(error) => panic!("{number}: {error}"),
            }
            let rows = store.streams(agent.id()).await.expect("readable").first().map_or(0, |stream| stream.rows.len());
            assert_eq!(rows, if number % 13 == 0 { 0 } else { 60 });
        }
        assert!(store.ping().await.is_ok(), "the database is well");
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_spent_exactly_over_three_replicas() {
    on_postgres(async |place| {
        let (stores, world) = (replicas(place, 3).await, World::new());
        let (id, uses) = (TokenId([7; 8]), 137);
        let later = T0.plus(Span::seconds(60));
        let key = TokenKey([7; 32]);
        let token =
            JoinTokenRow { id, key, site: None, uses, created_at: T0, created_by: String::new(), expires_at: later };
        stores[0].create_join_token(token, event("join_token.create")).await.expect("stored");
        let certificate = world.agent(1).certificate;
        let redeem = |number: u16| {
            let mut agent = [5; 32];
            agent[..2].copy_from_slice(&number.to_be_bytes());
            let redemption = Redemption {
                token: id,
                agent: AgentId(agent),
                certificate: certificate.clone(),
                name: format!("n{number}"),
                site: "s".into(),
                now: T0,
            };
            let store = &stores[usize::from(number) % 3];
            async move {
                loop {
                    match store.redeem(redemption.clone(), event("agent.join")).await {
                        Err(StoreError::Busy) => tokio::time::sleep(Duration::from_millis(5)).await,
                        answered => return answered.expect("answered"),
                    }
                }
            }
        };
        // Every key asks twice, at two replicas at most.
        let thousand = futures::future::join_all((0..1_000).map(redeem)).await;
        let count = |wanted: &Redeemed| thousand.iter().filter(|redeemed| *redeemed == wanted).count();
        assert_eq!((count(&Redeemed::Joined), count(&Redeemed::UsedUp)), (137, 863));
        let again = futures::future::join_all((0..1_000).map(redeem)).await;
        assert_eq!(again.iter().filter(|redeemed| matches!(redeemed, Redeemed::Again(_))).count(), 137);
        assert_eq!(stores[1].agents().await.expect("readable").len(), 137);
        futures::future::join_all(stores.iter().map(Store::close)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_that_asks_many_times_at_once_spends_one_use() {
    on_postgres(async |place| {
        let (stores, world) = (replicas(place, 3).await, World::new());
        let later = T0.plus(Span::seconds(60));
        let id = TokenId([8; 8]);
        let token = JoinTokenRow {
            id,
            key: TokenKey([8; 32]),
            site: None,
            uses: 10,
            created_at: T0,
            created_by: String::new(),
            expires_at: later,
        };
        stores[0].create_join_token(token, event("join_token.create")).await.expect("stored");
        let agent = world.agent(1);
        let redemption = Redemption {
            token: id,
            agent: agent.key.public().into(),
            certificate: agent.certificate,
            name: "one".into(),
            site: "s".into(),
            now: T0,
        };
        let many = (0..30).map(|number: usize| stores[number % 3].redeem(redemption.clone(), event("agent.join")));
        let many = futures::future::join_all(many).await;
        let joined = many.iter().filter(|result| matches!(result, Ok(Redeemed::Joined))).count();
        assert_eq!(joined, 1, "{many:?}");
        assert!(many.iter().all(|result| matches!(result, Ok(Redeemed::Joined | Redeemed::Again(_)))), "{many:?}");
        futures::future::join_all(stores.iter().map(Store::close)).await;
    })
    .await;
}

/// The partitions of a table, by name.
async fn partitions(place: &Place, table: &str) -> Vec<String> {
    let mut connection = connect(place.url()).await;
    let select = "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid \
                  where i.inhparent = $1::text::regclass order by 1";
    let names = sqlx::query_scalar(select).bind(table).fetch_all(&mut connection).await.expect("readable");
    connection.close().await.expect("closed");
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_can_lie_in_pieces_of_an_hour() {
    on_postgres(async |place| {
        let (store, world) = (place.open().await, World::new());
        let hourly = store.put_setting("store.sample_partition", "\"hour\"".into(), 0, T0, None).await;
        assert!(hourly.expect("kept"));
        let batch = |first: u64, ago: u64| {
            let record = window(TARGET, T0.minus(Span::seconds(ago)), Some(5));
            world.batch(&world.agent(1), vec![block(1, first, vec![record])])
        };
        // The setting is read at a start, so this one makes a day.
        store.ingest(batch(1, 30 * 3_600)).await.expect("in order");
        store.close().await;
        let store = place.open().await;
        for (first, ago) in [(2, 60), (3, 20 * 86_400), (4, 7_200), (5, 29 * 3_600)] {
            store.ingest(batch(first, ago)).await.expect("in order");
        }
        let names = partitions(place, "sample").await;
        let wanted = ["sample_p20261102", "sample_p20261121", "sample_p2026112221", "sample_p2026112223"];
        assert_eq!(names, wanted, "old ones by the day, and the day that was begun so is gone on with");
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_there_before_they_are_needed() {
    on_postgres(async |place| {
        let store = place.open().await;
        let lease = take_lease(&store, 1).await;
        let year = Span::seconds(365 * 86_400);
        let keep = Keep { samples: year, minutes: year, hours: year, days: year, events: year };
        // Six days before the month ends and two.
        for now in [T0, T0.plus(Span::seconds(6 * 86_400))] {
            store.maintain(lease, keep, now).await.expect("maintained");
        }
        let days: Vec<String> = ["23", "24", "25", "26", "29", "30"].map(|day| format!("sample_p202611{day}")).into();
        let wanted = [days, vec!["sample_p20261201".into(), "sample_p20261202".into()]].concat();
        assert_eq!(partitions(place, "sample").await, wanted);
        for table in ["event", "sample_minute", "sample_hour", "sample_day"] {
            let wanted = ["202611", "202612"].map(|month| format!("{table}_p{month}"));
            assert_eq!(partitions(place, table).await, wanted);
        }
        store.close().await;
    })
    .await;
}

/// A replica remembers the numbers of agents and streams. Once a database was put back to an older state under it, its numbers
/// were given out again, and what one agent sent was filed as another's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_put_back_under_a_running_program_mixes_nobody_up() {
    on_postgres(async |place| {
        let (store, world) = (place.open().await, World::new());
        let [old, gone, new] = [1, 2, 3].map(|number| world.agent(number));
        let rows = |seed: u64, first: u64, count: u64| {
            vec![block(1, first, records(&any_windows(seed, count, TARGET, Span::seconds(900))))]
        };
        store.ingest(world.batch(&old, rows(1, 1, 10))).await.expect("in order");
        // The backup is of here: this agent and its stream came after it.
        store.ingest(world.batch(&gone, rows(2, 1, 10))).await.expect("in order");
        let put_back = "delete from journal where source = (select max(id) from agent where certificate is not null); \
            delete from ingest_block where stream = (select max(id) from stream); \
            delete from sample where stream = (select max(id) from stream); \
            delete from stream where id = (select max(id) from stream); \
            delete from agent where id = (select max(id) from agent); \
            select setval('agent_id_seq', (select max(id) from agent)); \
            select setval('stream_id_seq', (select max(id) from stream)); \
            select pg_terminate_backend(pid) from pg_stat_activity \
            where datname = current_database() and pid <> pg_backend_pid()";
        run(place.url(), put_back).await;
        // Somebody new gets the numbers that were given out before.
        send(&store, world.batch(&new, rows(3, 1, 12))).await;
        let behind = store.ingest(world.batch(&gone, rows(4, 11, 5))).await;
        assert!(
            matches!(behind, Err(IngestError::Refused(Refusal::Gap { expected: Seq(1) }))),
            "it is told to begin anew: {behind:?}"
        );
        send(&store, world.batch(&new, rows(5, 13, 8))).await;
        assert_once(&store, new.id(), 20).await;
        assert!(store.streams(gone.id()).await.expect("readable").iter().all(|stream| stream.rows.is_empty()));
        store.close().await;
    })
    .await;
}
