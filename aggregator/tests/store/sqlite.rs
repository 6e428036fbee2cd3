//! What only the file can get wrong.

use crate::common::block;
use crate::rungs::Place;
use crate::world::{TARGET, World, any_windows, records};
use aggregator::guard::Role;
use aggregator::store::{IngestError, Owner, Store};
use everypath_protocol::time::Span;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

/// One record that SQLite refused made a whole group fail as busy, again and again: nobody's results were stored any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_can_never_be_stored_hinders_nobody_else() {
    let place = Place::sqlite();
    let (store, world) = (place.open().await, World::new());
    let Place::Sqlite(folder) = &place else { unreachable!("made above") };
    let file = format!("sqlite://{}", folder.path().join("everypath.sqlite").display());
    let mut connection = SqliteConnection::connect(&file).await.expect("opened");
    // The first odd batch is stored, a further one can never be.
    let odd = "create unique index odd on sample_block (rows) where rows = 61";
    connection.execute(odd).await.expect("made");
    connection.close().await.expect("closed");
    let agents: Vec<_> = (1..=40).map(|number| world.agent(number)).collect();
    let is_odd = |number: u64| number.is_multiple_of(13);
    let batches = agents.iter().zip(1_u64..).map(|(agent, number)| {
        let windows = any_windows(number, if is_odd(number) { 61 } else { 60 }, TARGET, Span::seconds(900));
        store.ingest(world.batch(agent, vec![block(1, 1, records(&windows))]))
    });
    for (result, number) in futures::future::join_all(batches).await.into_iter().zip(1_u64..) {
        match result {
            Ok(stored) => assert!(stored.is_new_agent && (!is_odd(number) || number == 13), "{number}"),
            Err(IngestError::Unstorable(why)) => assert!(is_odd(number) && why.contains("UNIQUE"), "{why}"),
            Err(error) => panic!("{number}: {error}"),
        }
    }
    assert!(store.ping().await.is_ok(), "the database is well");
    assert_eq!(store.agents().await.expect("readable").len(), 38, "who was refused left no trace");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_a_newer_program_is_refused_with_what_to_do() {
    let place = Place::sqlite();
    place.open().await.close().await;
    let Place::Sqlite(folder) = &place else { unreachable!("made above") };
    let file = format!("sqlite://{}", folder.path().join("everypath.sqlite").display());
    let mut connection = SqliteConnection::connect(&file).await.expect("opened");
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                 values (9000, 'of a newer program', true, x'00', 1)";
    connection.execute(newer).await.expect("changed");
    connection.close().await.expect("closed");
    let said = Store::open_sqlite(folder.path()).await.expect_err("refused").to_string();
    assert!(said.contains("version 9000") && said.contains("install a newer one"), "{said}");
}

/// Tokens from before they had owners: a name that may be somebody else's is nobody's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_api_tokens_get_the_owner_that_their_maker_must_have_been() {
    let place = Place::sqlite();
    let Place::Sqlite(folder) = &place else { unreachable!("made above") };
    let file = format!("sqlite://{}?mode=rwc", folder.path().join("everypath.sqlite").display());
    let mut connection = SqliteConnection::connect(&file).await.expect("opened");
    let mut older = sqlx::migrate!("../migrations/sqlite");
    older.migrations.to_mut().retain(|migration| migration.version < 10);
    older.run(&mut connection).await.expect("migrated");
    let rows = "insert into user_account (name, password, role, created_at) values \
                ('ada', 'phc', 'admin', 100), ('bob', 'phc', 'admin', 100), ('late', 'phc', 'admin', 300); \
                insert into api_token (hash, name, role, created_at, created_by) values \
                (randomblob(32), 'of-ada', 'viewer', 200, 'ada'), (randomblob(32), 'bob', 'viewer', 200, ''), \
                (randomblob(32), 'of-a-bob', 'viewer', 200, 'bob'), \
                (randomblob(32), 'of-an-earlier-one', 'viewer', 200, 'late'), \
                (randomblob(32), 'of-nobody', 'viewer', 200, 'eve')";
    connection.execute(rows).await.expect("stored");
    connection.close().await.expect("closed");
    let store = place.open().await;
    let owners: Vec<_> = store.api_tokens().await.expect("readable").into_iter().map(|t| (t.name, t.owner)).collect();
    let expected = [
        ("bob", Owner::Host),
        ("of-a-bob", Owner::Gone),
        ("of-ada", Owner::Person(Role::Admin)),
        ("of-an-earlier-one", Owner::Gone),
        ("of-nobody", Owner::Gone),
    ];
    assert_eq!(owners, expected.map(|(name, owner)| (name.to_owned(), owner)));
    store.close().await;
}
