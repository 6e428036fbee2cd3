//! The page of the system, and join tokens as administrators see them.

use crate::common::{T0, block, window};
use crate::join::{request, token};
use crate::program;
use crate::world::World;
use aggregator::clock::Clock;
use aggregator::guard::Role;
use aggregator::replica::LIVE;
use aggregator::store::{ReplicaId, ReplicaRow};
use aggregator::system::System;
use axum::http::Method;
use everypath_config::Sources;
use everypath_protocol::codec;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::Span;
use everypath_update::testing::{NEWER, Server, name_here};
use serde_json::{Value, json};
use std::sync::Arc;

const TARGET: AgentId = AgentId([9; 32]);

async fn shown(world: &World) -> Value {
    let bearer = world.bearer(Role::Viewer).await;
    let answer = world.get("/api/v1/system", &[("authorization", &bearer)]).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.json()
}

#[tokio::test]
async fn it_says_what_there_is_and_what_stands_still() {
    let world = World::new().await;
    let first = shown(&world).await;
    assert_eq!(first["agents"], json!({"total": 0, "fresh": 0, "stale": 0, "never_seen": 0, "fresh_within_s": 60}));
    assert_eq!((&first["ingest"]["last_batch_at"], &first["replicas"]), (&Value::Null, &json!([])));
    assert_eq!(first["update"], Value::Null, "nobody has turned it on");
    world.lead().await;
    world.ingest(&world.agent(1), &[block(1, 1, vec![window(TARGET, T0, Some(5)); 3])]).await;
    world.clock.advance(Span::seconds(61));
    world.ingest(&world.agent(2), &[block(1, 1, vec![window(TARGET, world.clock.now(), Some(5))])]).await;
    let shown = shown(&world).await;
    // The target was named by both and has never said anything.
    assert_eq!(shown["agents"], json!({"total": 2, "fresh": 1, "stale": 1, "never_seen": 0, "fresh_within_s": 60}));
    assert_eq!((&shown["ingest"]["batches_stored"], &shown["ingest"]["rows_stored"]), (&json!(2), &json!(4)));
    assert!(shown["ingest"]["last_batch_at"].is_string());
    assert_eq!((&shown["uptime_s"], &shown["draining"]), (&json!(61), &json!(false)));
    assert_eq!(shown["started_at"], aggregator::clock::rfc3339(T0));
    let database = &shown["database"];
    assert_eq!(
        (&database["rung"], &database["reachable"], &database["shared"]),
        (&json!("sqlite"), &json!(true), &json!(false))
    );
    assert!(database["bytes"].as_u64().is_some_and(|bytes| bytes > 4_096), "{database}");
    let replica = &shown["replicas"][0];
    assert_eq!(
        (&replica["is_self"], &replica["is_leader"], &replica["version"]),
        (&json!(true), &json!(true), &shown["version"])
    );
    assert_eq!(shown["retention"]["samples_s"], 604_800);
    assert_eq!(shown["clock"], json!({"doubted": false, "why": null}));
}

#[tokio::test]
async fn other_replicas_are_shown_while_they_live() {
    let world = World::new().await;
    world.lead().await;
    let row = ReplicaRow { id: ReplicaId(5), host: "other".into(), version: "9.9.9".into(), started_at: T0 };
    world.app.store.note_replica(row).await.expect("kept");
    let all = shown(&world).await["replicas"].clone();
    assert_eq!(all.as_array().expect("a list").len(), 2);
    let other = all.as_array().expect("a list").iter().find(|replica| replica["host"] == "other").expect("listed");
    assert_eq!(
        (&other["is_self"], &other["is_leader"], &other["id"]),
        (&json!(false), &json!(false), &json!("0000000000000005"))
    );
    world.app.replica.step_down(&world.app).await.expect("given back");
    assert_eq!(shown(&world).await["replicas"].as_array().expect("a list").len(), 1, "who ends is not waited for");
    assert!(LIVE > aggregator::replica::LEASE_LIFE, "who leads is in the list");
}

#[tokio::test]
async fn a_clock_that_is_doubted_is_told_of() {
    let world = World::new().await;
    world.lead().await;
    world.app.retention.run(&world.app).await.expect("run");
    world.clock.set(T0.plus(Span::seconds(7 * 24 * 3_600)));
    world.app.retention.run(&world.app).await.expect("run");
    let clock = shown(&world).await["clock"].clone();
    assert_eq!(clock["doubted"], true);
    assert!(clock["why"].as_str().is_some_and(|why| why.contains("it says")), "{clock}");
}

#[tokio::test]
async fn a_newer_release_is_told_of_where_that_is_turned_on() {
    aggregator::tls::install_provider();
    let server = Server::with(NEWER, &name_here("aggregator", NEWER), Vec::new()).await;
    let mut sources = Sources::default();
    sources.flag("update.enabled", "true").flag("update.check_every", "1d").flag("update.api", &server.api);
    sources.flag("update.repository", "everypath/everypath");
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let world = World::with(folder, Clock::by_hand(T0), &sources).await;
    assert_eq!(
        shown(&world).await["update"],
        json!({"checked_at": null, "newest": null, "available": false, "problem": null})
    );
    world.app.system.look(&world.app).await;
    let update = shown(&world).await["update"].clone();
    assert_eq!(
        (&update["newest"], &update["available"], &update["problem"]),
        (&json!(NEWER), &json!(true), &Value::Null)
    );
    drop(server);
    world.app.system.look(&world.app).await;
    let update = shown(&world).await["update"].clone();
    assert!(
        update["available"] == false && update["problem"].as_str().is_some_and(|why| why.contains("no usable answer")),
        "{update}"
    );
    assert_eq!(System::default().looked(), None);
}

#[tokio::test]
async fn join_tokens_are_listed_without_secrets_and_revoked() {
    let world = World::new().await;
    let bearer = world.bearer_of("maker", Role::Admin, aggregator::scope::Scopes::default()).await;
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let list = async || {
        let tokens = world.get("/api/v1/join-tokens", &headers).await.json();
        tokens["tokens"].as_array().expect("a list").clone()
    };
    let made = json!({"uses": 2, "expires_in_s": 60, "site": "alpha"}).to_string();
    let made = world.call(Method::POST, "/api/v1/join-tokens", &headers, made).await.json();
    let id = made["id"].as_str().expect("an id").to_owned();
    let listed = list().await;
    assert_eq!(listed.len(), 1);
    let expected = json!({
        "id": id, "site": "alpha", "uses": 2, "uses_left": 2, "created_at": aggregator::clock::rfc3339(T0), "created_by": "maker",
        "expires_at": made["expires_at"], "state": "open",
    });
    assert_eq!(listed[0], expected);
    let path = format!("/api/v1/join-tokens/{id}");
    assert_eq!(world.call(Method::DELETE, &path, &headers, "").await.status, 204);
    assert_eq!(world.call(Method::DELETE, &path, &headers, "").await.problem(), (404, "unknown_join_token".into()));
    for odd in ["1", "+00000000000001f", "zzzzzzzzzzzzzzzz", "%00"] {
        let path = format!("/api/v1/join-tokens/{odd}");
        assert_eq!(world.call(Method::DELETE, &path, &headers, "").await.status, 404, "{odd}");
    }
    assert_eq!(list().await, Vec::<Value>::new());
    let log = world.get("/api/v1/audit?action=join_token", &headers).await.json();
    let entry = &log["entries"][0];
    assert_eq!((&entry["action"], &entry["subject"]), (&json!("join_token.delete"), &json!(id)), "{log}");
}

#[tokio::test]
async fn nobody_joins_with_a_token_that_was_revoked() {
    let world = World::new().await;
    let token = token(&world, 2).await;
    let join = async |number: u8| {
        let body = codec::encode(&request(&token, number, &format!("n{number}")));
        world.call(Method::POST, "/api/v1/join", &[], body).await
    };
    assert_eq!(join(1).await.status, 200);
    let bearer = world.bearer(Role::Admin).await;
    let headers = [("authorization", bearer.as_str())];
    let path = format!("/api/v1/join-tokens/{}", everypath_protocol::id::hex(&token.id.0));
    assert_eq!(world.call(Method::DELETE, &path, &headers, "").await.status, 204);
    assert_eq!(join(2).await.status, 403);
    world.clock.advance(Span::seconds(30 * 24 * 3_600));
    assert_eq!(world.get("/api/v1/join-tokens", &headers).await.json()["tokens"], json!([]));
}

#[test]
fn healthy_says_no_where_nobody_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = program::aggregator();
    // A port that is not listened on: it was given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("a port").port();
    command.env("EVERYPATH_AGGREGATOR_SERVER__HTTP", format!("127.0.0.1:{port}"));
    let output = command.arg("healthy").arg("--data-dir").arg(folder.path()).output().expect("started");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.code() == Some(1) && said.contains("no aggregator answers"), "{said}");
}
