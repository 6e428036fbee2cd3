//! `aggregator audit streams`, as it is run: on real files, judged by its exit code.

use crate::common::{T0, TestAgent, block, window};
use crate::world::World;
use everypath_protocol::block::{Block, Content};
use everypath_protocol::codec;
use everypath_protocol::id::{AgentId, Epoch, Seq};
use everypath_protocol::ledger::{BUFFER_FILE, IDENTITY_FILE, LedgerEntry, TABLE};
use everypath_protocol::record::DropReason;
use redb::{Database, TableDefinition};
use sqlx::{Connection as _, SqliteConnection};
use std::path::Path;
use std::process::{Command, Output};

/// A stream of 20 numbers, of which 11 to 15 were given up.
async fn stored(world: &World, agent: &TestAgent) {
    let records = |count| vec![window(AgentId([9; 32]), T0, Some(1)); count];
    let dropped =
        Block { content: Content::Dropped { count: 5, reason: DropReason::BufferFull }, ..block(7, 11, vec![]) };
    // The number 4 came by itself, so that a test can take it away.
    world.ingest(agent, &[block(7, 1, records(3))]).await;
    world.ingest(agent, &[block(7, 4, records(1))]).await;
    world.ingest(agent, &[block(7, 5, records(6)), dropped, block(7, 16, records(5))]).await;
}

/// An agent's data directory that says it counted 23 numbers as stored and 20 as acknowledged.
fn agent_folder(agent: &TestAgent) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(IDENTITY_FILE), format!("{}\n", agent.id())).expect("written");
    let mut entry =
        LedgerEntry { epoch: Epoch(7), last: Seq(23), acked: Seq(20), dropped: Vec::new(), moved_from: None };
    entry.drop_range(Seq(11), Seq(15));
    let database = Database::create(folder.path().join(BUFFER_FILE)).expect("created");
    let transaction = database.begin_write().expect("begun");
    transaction
        .open_table(TableDefinition::<u64, &[u8]>::new(TABLE))
        .expect("a table")
        .insert(7, codec::encode(&entry).as_slice())
        .expect("inserted");
    transaction.commit().expect("committed");
    folder
}

fn audit(world: &World, agent: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aggregator"))
        .args(["audit", "streams", "--json", "--data-dir"])
        .arg(world.folder.path())
        .arg("--agent-dir")
        .arg(agent)
        .output()
        .expect("started")
}

fn totals(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

async fn change(world: &World, statement: &'static str) {
    let path = world.folder.path().join("everypath.sqlite");
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("opened");
    let changed = sqlx::query(statement).execute(&mut connection).await.expect("changed");
    assert_eq!(changed.rows_affected(), 1);
}

#[tokio::test]
async fn what_is_there_once_is_clean() {
    let world = World::new().await;
    let agent = world.agent(1);
    stored(&world, &agent).await;
    let output = audit(&world, agent_folder(&agent).path());
    let expected = serde_json::json!({
        "streams": 1, "records": 15, "missing": 0, "duplicated": 0, "tombstoned": 5, "pending": 3, "expired": 0, "uncovered": 0,
    });
    assert_eq!((totals(&output), output.status.code()), (expected, Some(0)));
}

#[tokio::test]
async fn a_row_that_was_deleted_is_missing() {
    let world = World::new().await;
    let agent = world.agent(1);
    stored(&world, &agent).await;
    change(&world, "delete from sample_block where first = 4").await;
    let output = audit(&world, agent_folder(&agent).path());
    let totals = totals(&output);
    assert_eq!(
        (totals["missing"].clone(), totals["duplicated"].clone(), output.status.code()),
        (1.into(), 0.into(), Some(1))
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("<- not clean"));
}

#[tokio::test]
async fn a_row_that_was_inserted_twice_is_duplicated() {
    let world = World::new().await;
    let agent = world.agent(1);
    stored(&world, &agent).await;
    let twice = "insert into sample_block (stream, source, first, last, rows, time_first, time_last, received_at, body) \
                 select stream, source, first, last, rows, time_first, time_last, received_at, body \
                 from sample_block where first = 4";
    change(&world, twice).await;
    let output = audit(&world, agent_folder(&agent).path());
    let totals = totals(&output);
    assert_eq!(
        (totals["missing"].clone(), totals["duplicated"].clone(), output.status.code()),
        (0.into(), 1.into(), Some(1))
    );
}

#[tokio::test]
async fn a_block_that_was_deleted_is_noticed() {
    let world = World::new().await;
    let agent = world.agent(1);
    stored(&world, &agent).await;
    change(&world, "delete from ingest_block where first = 16").await;
    assert_eq!(audit(&world, agent_folder(&agent).path()).status.code(), Some(1));
}

#[tokio::test]
async fn what_cannot_be_compared_is_neither_clean_nor_not() {
    let world = World::new().await;
    let agent = world.agent(1);
    let folder = agent_folder(&agent);
    let running = Database::open(folder.path().join(BUFFER_FILE)).expect("opened");
    let output = audit(&world, folder.path());
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(complaint.contains("is running; name its loopback page by --agent-url"), "{complaint}");
    drop(running);
    assert_eq!(audit(&world, Path::new("/nowhere")).status.code(), Some(2));
    std::fs::write(folder.path().join(IDENTITY_FILE), "not a key").expect("written");
    assert_eq!(audit(&world, folder.path()).status.code(), Some(2));
}

#[tokio::test]
async fn an_agent_that_runs_is_asked_over_its_loopback_page() {
    let world = World::new().await;
    let agent = world.agent(1);
    stored(&world, &agent).await;
    let entry = LedgerEntry { epoch: Epoch(7), last: Seq(20), acked: Seq(20), dropped: Vec::new(), moved_from: None };
    let ledger = everypath_protocol::ledger::Ledger { agent: agent.id(), entries: vec![entry] };
    let page = axum::Router::new().route("/ledger", axum::routing::get(async move || axum::Json(ledger)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let server = tokio::spawn(axum::serve(listener, page).into_future());
    let fetched = aggregator::audit::from_url(&url).await.expect("fetched");
    let reports = aggregator::audit::compare_all(&world.app.store, &[fetched]).await.expect("compared");
    assert!(reports.len() == 1 && reports[0].is_clean(), "{reports:?}");
    server.abort();
}
