//! The schema: made by several at once, older and newer programs on it, TimescaleDB added to it.

use crate::common::{T0, block, window};
use crate::rungs::{Place, connect, run};
use crate::world::{TARGET, World};
use aggregator::store::{PgOptions, ReplicaId, Store};
use sqlx::Connection as _;

async fn on_postgres(test: impl AsyncFn(&Place)) {
    Place::on("postgres", "EVERYPATH_TEST_POSTGRES_URL", test).await;
}

async fn refusal(place: &Place, options: PgOptions) -> String {
    Store::open_postgres(place.url(), options).await.expect_err("refused").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_that_start_together_make_one_schema() {
    on_postgres(async |place| {
        let stores = futures::future::join_all((0..4).map(|number| place.open_as(ReplicaId(number)))).await;
        let world = World::new();
        let batch = world.batch(&world.agent(1), vec![block(1, 1, vec![window(TARGET, T0, None)])]);
        for store in &stores {
            store.ingest(batch.clone()).await.expect("in order");
        }
        futures::future::join_all(stores.iter().map(Store::close)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_is_used_until_it_takes_something_away() {
    on_postgres(async |place| {
        let options = PgOptions::of(ReplicaId(1));
        let unmade = refusal(place, PgOptions { migrate: false, ..options }).await;
        assert!(unmade.contains("run `aggregator migrate`"), "{unmade}");
        place.open().await.close().await;
        let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                     values (9000, 'of a newer program', true, '\\x00', 1); alter table agent add column colour text";
        run(place.url(), newer).await;
        for migrate in [true, false] {
            let store =
                Store::open_postgres(place.url(), PgOptions { migrate, ..options }).await.expect("both versions work");
            let world = World::new();
            let batch =
                world.batch(&world.agent(1), vec![block(u64::from(migrate), 1, vec![window(TARGET, T0, None)])]);
            assert_eq!(store.ingest(batch).await.expect("in order").rows, 1);
            store.close().await;
        }
        run(place.url(), "update schema_reader set min_reader = 8999").await;
        for migrate in [true, false] {
            let refused = refusal(place, PgOptions { migrate, ..options }).await;
            assert!(refused.contains("know version 8999 or later"), "{refused}");
        }
    })
    .await;
}

/// Everything in the catalogue that a second start might change.
async fn catalogue(place: &Place) -> Vec<(i64, String)> {
    let mut connection = connect(place.url()).await;
    let select = "select c.oid::int8, c.relname::text || ' ' || c.relkind::text || ' ' || coalesce(c.reloptions::text, '') \
                  from pg_class c where c.relnamespace = 'public'::regnamespace or c.relname like '%hyper%' order by 1";
    let rows = sqlx::query_as(select).fetch_all(&mut connection).await.expect("readable");
    connection.close().await.expect("closed");
    rows
}

pub(crate) async fn doing_it_again_changes_nothing(place: &Place) {
    if place.rung() == "sqlite" {
        return;
    }
    let store = place.open().await;
    let world = World::new();
    let batch = world.batch(&world.agent(1), vec![block(1, 1, vec![window(TARGET, T0, None)])]);
    store.ingest(batch).await.expect("in order");
    let features = store.describe().await.expect("described").features;
    store.close().await;
    let before = catalogue(place).await;
    let store = place.open().await;
    assert_eq!(store.describe().await.expect("described").features, features);
    store.close().await;
    assert_eq!(catalogue(place).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_with_rows_stay_as_they_are_when_timescaledb_appears() {
    Place::on("timescale_apache", "EVERYPATH_TEST_TIMESCALE_APACHE_URL", async |place| {
        // Without the extension, and so that it cannot be made: as on a server that does not have it.
        run(place.url(), "drop extension if exists timescaledb cascade; create schema timescaledb_experimental").await;
        let (store, world) = (place.open().await, World::new());
        assert_eq!(store.describe().await.expect("described").rung, "postgres");
        let agent = world.agent(1);
        let batch = |first| world.batch(&agent, vec![block(1, first, vec![window(TARGET, T0, None)])]);
        store.ingest(batch(1)).await.expect("in order");
        store.close().await;
        run(place.url(), "drop schema timescaledb_experimental").await;
        let store = place.open().await;
        let description = store.describe().await.expect("described");
        assert_eq!(description.rung, "postgres");
        let told =
            description.features.iter().any(|(name, state)| *name == "hypertables" && state.contains("hold rows"));
        assert!(told, "{description:?}");
        store.ingest(batch(2)).await.expect("in order");
        assert_eq!(store.streams(agent.id()).await.expect("readable")[0].rows.len(), 2);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_error_never_shows_the_password() {
    for url in
        ["postgres://u:hunter2@127.0.0.1:1/db", "postgres://u:hunter2@nowhere.invalid/db", "postgres://u:hunter2@[/db"]
    {
        let error = Store::open_postgres(url, PgOptions::of(ReplicaId(1))).await.expect_err("nobody is there");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

/// "database "nodb" does not exist at line 948": neither which server nor what to do, and the line was of the server's own source.
#[tokio::test]
async fn an_error_says_which_server_and_what_to_do() {
    let options = PgOptions { migrate: false, ..PgOptions::of(ReplicaId(1)) };
    let said = async |url: &str| Store::open_postgres(url, options).await.expect_err("refused").to_string();
    let away = said("postgres://u:hunter2@127.0.0.1:1/db").await;
    assert!(away.contains("`db` on 127.0.0.1:1") && away.contains("does the server run there"), "{away}");
    let odd = said("postgres://u:hunter2@h:port/db").await;
    assert!(odd.contains("must be like postgres://user:password@host:5432/database"), "{odd}");
    on_postgres(async |place| {
        let empty = said(place.url()).await;
        assert!(empty.contains("it is empty; run `aggregator migrate`"), "{empty}");
        let (server, _) = place.url().rsplit_once('/').expect("a URL with a database");
        let missing = said(&format!("{server}/nodb")).await;
        assert!(missing.contains("make it: createdb") && !missing.contains("at line"), "{missing}");
    })
    .await;
}

/// What the database said was wrapped three times, and ended in a line number of the server's own source.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_not_make_tables_is_told_what_it_needs() {
    on_postgres(async |place| {
        let role = format!("poor_{}", std::process::id());
        run(place.url(), &format!("create role {role} login")).await;
        let (_, server) = place.url().rsplit_once('@').expect("a URL with a user");
        let said = Store::migrate_postgres(&format!("postgres://{role}@{server}")).await;
        run(place.url(), &format!("drop role {role}")).await;
        let said = said.expect_err("refused").to_string();
        assert!(said.contains("permission denied for schema public. The role of the URL must own"), "{said}");
    })
    .await;
}
