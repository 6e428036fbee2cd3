//! The matrix of now: asked for once, followed live, and after a restart.

use crate::common::{T0, block, window};
use crate::world::World;
use aggregator::auth::Listener;
use aggregator::clock::Clock;
use aggregator::guard::Role;
use aggregator::jobs;
use aggregator::seats::ACCOUNT_CLIENTS_MAX;
use everypath_protocol::cell::{CellState, PackedCell};
use everypath_protocol::time::Span;
use futures::StreamExt as _;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

const PACKED: &str = "application/vnd.everypath.matrix";

/// Two members; the first has measured the second once. Before that each spoke of itself alone, which the matrix leaves out.
async fn measured(world: &World) {
    let (one, two) = (world.agent(1), world.agent(2));
    for agent in [&one, &two] {
        world.ingest(agent, &[block(5, 1, vec![window(agent.id(), T0, None)])]).await;
    }
    world.ingest(&one, &[block(1, 1, vec![window(two.id(), T0, Some(700))])]).await;
}

async fn snapshot(world: &World) -> Vec<u8> {
    let bearer = world.bearer(Role::Viewer).await;
    let answer = world.get("/api/v1/matrix", &[("authorization", &bearer), ("accept", PACKED)]).await;
    assert_eq!(answer.headers["content-type"], PACKED);
    answer.body.to_vec()
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[tokio::test]
async fn json_and_bytes_say_the_same() {
    let world = World::new().await;
    measured(&world).await;
    let bearer = world.bearer(Role::Viewer).await;
    let json = world.get("/api/v1/matrix", &[("authorization", &bearer)]).await.json();
    let cells = json["cells"].as_array().expect("a list");
    assert_eq!(cells.len(), 1, "{json}");
    assert_eq!((json["agents"][0]["name"].as_str(), json["agents"][1]["name"].as_str()), (Some("a1"), Some("a2")));
    let cell = &cells[0];
    assert_eq!((cell["source"].as_u64(), cell["target"].as_u64()), (Some(0), Some(1)));
    assert_eq!(
        (cell["state"].as_str(), cell["loss_permille"].as_u64(), cell["rtt_us"].as_u64()),
        (Some("ok"), Some(0), Some(700))
    );
    assert_eq!(cell["measured_at"], "2026-11-23T00:00:00Z");
    let bytes = snapshot(&world).await;
    assert_eq!((&bytes[..4], bytes[4], bytes.len()), (b"EPM1".as_slice(), 2, 32 + 16));
    assert_eq!(word(&bytes, 8), json["generation"].as_u64().expect("a number"));
    assert_eq!(bytes[36..40], PackedCell::new(CellState::Ok, Some(0), Some(700)).to_bytes());
    let agents = world.get("/api/v1/agents", &[("authorization", &bearer)]).await.json();
    assert_eq!(agents["generation"], json["generation"]);
}

#[tokio::test]
async fn changes_are_pushed_over_a_real_websocket() {
    let world = World::new().await;
    measured(&world).await;
    let bearer = world.bearer(Role::Viewer).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = tokio::spawn(axum::serve(listener, world.router(Listener::Loopback)).into_future());
    let mut request = format!("ws://{address}/api/v1/live").into_client_request().expect("valid");
    request.headers_mut().insert("authorization", bearer.parse().expect("valid"));
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("upgraded");
    let mut next = async || socket.next().await.expect("open").expect("a frame").into_data().to_vec();
    let hello = next().await;
    assert_eq!((hello[0], hello.len()), (2, 32), "the first frame says where the live frames are");
    world.clock.advance(Span::seconds(10));
    let news = window(world.agent(2).id(), world.clock.now(), None);
    world.ingest(&world.agent(1), &[block(1, 2, vec![news])]).await;
    let expected = PackedCell::new(CellState::Down, Some(500), Some(700));
    loop {
        let frame = next().await;
        if frame[0] == 1 && frame[32..40] == [[1, 0, 0, 0], expected.to_bytes()].concat() {
            assert_eq!(word(&frame, 8), word(&hello, 8));
            assert!(word(&frame, 16) > word(&hello, 16));
            break;
        }
    }
    world.ingest(&world.agent(3), &[block(1, 1, vec![window(world.agent(1).id(), T0, None)])]).await;
    while next().await[0] != 3 {}
    server.abort();
}

#[tokio::test]
async fn one_account_takes_not_all_places() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = tokio::spawn(axum::serve(listener, world.router(Listener::Loopback)).into_future());
    let (viewer, admin) = (world.bearer(Role::Viewer).await, world.bearer(Role::Admin).await);
    let connect = async |bearer: &str| {
        let mut request = format!("ws://{address}/api/v1/live").into_client_request().expect("valid");
        request.headers_mut().insert("authorization", bearer.parse().expect("valid"));
        tokio_tungstenite::connect_async(request).await
    };
    let mut open = Vec::new();
    for _ in 0..ACCOUNT_CLIENTS_MAX {
        open.push(connect(&viewer).await.expect("a place").0);
    }
    let refused = connect(&viewer).await.expect_err("one too many");
    assert!(refused.to_string().contains("429"), "{refused}");
    let other = connect(&admin).await;
    assert!(other.is_ok(), "others have places of their own");
    drop(open.pop());
    // The server sees the end of a connection a little later.
    let again = async {
        while connect(&viewer).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), again).await.expect("the place was given back");
    server.abort();
}

#[tokio::test]
async fn without_a_key_there_is_no_websocket() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = tokio::spawn(axum::serve(listener, world.router(Listener::Loopback)).into_future());
    let error = tokio_tungstenite::connect_async(format!("ws://{address}/api/v1/live")).await.expect_err("refused");
    assert!(error.to_string().contains("401"), "{error}");
    server.abort();
}

/// The old aggregator is neither stopped nor asked to keep anything, as by `kill -9`.
#[tokio::test]
async fn a_restart_brings_the_matrix_back_from_the_samples_alone() {
    let world = World::new().await;
    measured(&world).await;
    let before = snapshot(&world).await;
    let after = World::on(world.folder.clone(), Clock::by_hand(world.clock.now())).await;
    assert_eq!(snapshot(&after).await[32..], before[32..]);
}

#[tokio::test]
async fn a_restart_long_after_remembers_who_was_measured_and_claims_nothing() {
    let world = World::new().await;
    measured(&world).await;
    world.lead().await;
    jobs::keep_latest(&world.app).await.expect("kept");
    let later = Clock::by_hand(world.clock.now().plus(Span::seconds(3_600)));
    let after = World::on(world.folder.clone(), later).await;
    assert_eq!(snapshot(&after).await[36..40], PackedCell::UNKNOWN.to_bytes());
}

#[tokio::test]
async fn results_that_come_late_are_stored_and_are_not_news() {
    let world = World::new().await;
    measured(&world).await;
    let before = snapshot(&world).await;
    let (one, two) = (world.agent(1), world.agent(2));
    let old = T0.minus(Span::seconds(7_200));
    world.ingest(&one, &[block(9, 1, vec![window(two.id(), old, None); 30])]).await;
    assert_eq!(snapshot(&world).await[32..], before[32..]);
    let streams = world.app.store.streams(one.id()).await.expect("readable");
    assert_eq!(streams.iter().map(|stream| stream.rows.len()).sum::<usize>(), 32);
}
