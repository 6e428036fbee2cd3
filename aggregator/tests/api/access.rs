//! Sessions, and what stands around them: names of the host, other sites' pages, errors. Who may do what is in `roles.rs`.

use crate::world::{Answer, World};
use aggregator::auth::{self, Listener};
use aggregator::guard::Role;
use axum::body::Body;
use axum::http::Method;
use everypath_protocol::time::Span;
use sqlx::{Connection as _, SqliteConnection};
use tower::ServiceExt as _;

#[tokio::test]
async fn metrics_are_for_the_loopback_listener() {
    let world = World::new().await;
    assert_eq!(world.get("/metrics", &[]).await.status, 404);
    let metrics = by_loopback(&world, "/metrics", Some("127.0.0.1:8080")).await;
    assert_eq!(metrics.status, 200);
    assert!(String::from_utf8_lossy(&metrics.body).contains("everypath_aggregator_ingest_rows_total 0"));
}

async fn by_loopback(world: &World, uri: &str, host: Option<&str>) -> Answer {
    let request = axum::http::Request::get(uri);
    let request = host.into_iter().fold(request, |request, host| request.header("host", host));
    let request = request.body(Body::empty()).expect("valid");
    Answer::of(world.router(Listener::Loopback).oneshot(request).await.expect("answers")).await
}

#[tokio::test]
async fn the_loopback_listener_answers_to_its_own_names_alone() {
    let world = World::new().await;
    for host in ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:8080", "127.8.8.8:1", "[::1]", "[::1]:8080"] {
        assert_eq!(by_loopback(&world, "/healthz", Some(host)).await.status, 200, "{host}");
    }
    assert_eq!(by_loopback(&world, "http://localhost:8080/healthz", None).await.status, 200, "as HTTP/2 says it");
    for host in
        ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "", "192.0.2.1"]
    {
        for path in ["/healthz", "/metrics", "/api/v1/session", "/"] {
            assert_eq!(by_loopback(&world, path, Some(host)).await.problem(), (421, "wrong_host".into()), "{host}");
        }
    }
    assert_eq!(by_loopback(&world, "/healthz", None).await.problem().0, 421);
    assert_eq!(by_loopback(&world, "http://evil.example/healthz", Some("localhost")).await.problem().0, 421);
}

const PASSWORD: &str = "correct horse";

async fn post_session(world: &World, password: &str, extra: &[(&str, &str)]) -> Answer {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend_from_slice(extra);
    let body = format!(r#"{{"name":"admin","password":"{password}"}}"#);
    world.call(Method::POST, "/api/v1/session", &headers, body).await
}

/// The value of a `Cookie` header.
async fn log_in(world: &World) -> String {
    auth::ensure_admin(&world.app, Some(PASSWORD.to_owned())).await.expect("stored");
    let answer = post_session(world, PASSWORD, &[]).await;
    assert_eq!(answer.json(), serde_json::json!({"name": "admin", "role": "admin"}));
    let cookie = answer.headers["set-cookie"].to_str().expect("text").to_owned();
    for part in ["everypath_session=", "; HttpOnly", "; SameSite=Lax", "; Path=/", "; Secure"] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    cookie.split(';').next().expect("the pair").to_owned()
}

#[tokio::test]
async fn a_session_begins_is_seen_and_ends() {
    let world = World::new().await;
    let cookie = log_in(&world).await;
    let headers = [("cookie", cookie.as_str()), ("x-everypath-request", "1")];
    assert_eq!(world.get("/api/v1/session", &headers).await.json()["name"], "admin");
    assert_eq!(world.get("/api/v1/agents", &headers).await.status, 200);
    let end = world.call(Method::DELETE, "/api/v1/session", &headers, Body::empty()).await;
    assert_eq!(end.status, 204);
    assert!(end.headers["set-cookie"].to_str().expect("text").contains("Max-Age=0"));
    assert_eq!(world.get("/api/v1/session", &headers).await.problem(), (401, "not_signed_in".into()));
}

#[tokio::test]
async fn a_session_that_is_not_used_ends_and_so_does_an_old_one() {
    let world = World::new().await;
    let cookie = log_in(&world).await;
    let status = async || world.get("/api/v1/agents", &[("cookie", &cookie)]).await.status.as_u16();
    for _ in 0..13 {
        world.clock.advance(Span::seconds(12 * 3_600));
        assert_eq!(status().await, 200, "used every twelve hours");
    }
    world.clock.advance(Span::seconds(12 * 3_600 + 1));
    assert_eq!(status().await, 401, "idle");
    let cookie = log_in(&world).await;
    let status = async || world.get("/api/v1/agents", &[("cookie", &cookie)]).await.status.as_u16();
    for _ in 0..14 {
        world.clock.advance(Span::seconds(12 * 3_600));
        assert_eq!(status().await, 200);
    }
    world.clock.advance(Span::seconds(60));
    assert_eq!(status().await, 401, "seven days are the end in any case");
}

#[tokio::test]
async fn a_page_that_is_left_open_keeps_no_session() {
    let world = World::new().await;
    let cookie = log_in(&world).await;
    let headers =
        axum::http::HeaderMap::from_iter([("cookie".parse().expect("a name"), cookie.parse().expect("valid"))]);
    let still = async || auth::still(&world.app, &headers, Listener::Tls).await.expect("answered").is_some();
    for _ in 0..12 {
        world.clock.advance(Span::seconds(3_600));
        assert!(still().await);
    }
    world.clock.advance(Span::seconds(1));
    assert!(!still().await, "looking is no use");
    assert_eq!(world.get("/api/v1/agents", &[("cookie", &cookie)]).await.status, 401);
}

#[tokio::test]
async fn wrong_names_and_wrong_passwords_look_the_same_and_are_limited() {
    let world = World::new().await;
    auth::ensure_admin(&world.app, Some(PASSWORD.to_owned())).await.expect("stored");
    let unknown = r#"{"name":"nobody","password":"x"}"#;
    let unknown = world.call(Method::POST, "/api/v1/session", &[("content-type", "application/json")], unknown).await;
    for _ in 0..10 {
        let wrong = post_session(&world, "wrong", &[]).await;
        assert_eq!(wrong.problem(), (401, "wrong_credentials".into()));
        assert_eq!(wrong.body, unknown.body);
    }
    let limited = post_session(&world, PASSWORD, &[]).await;
    assert_eq!(limited.problem(), (429, "too_many_attempts".into()), "the right password too");
    assert_eq!(limited.headers["retry-after"], "901");
    world.clock.advance(Span::seconds(900));
    assert_eq!(post_session(&world, PASSWORD, &[]).await.status, 200);
}

#[tokio::test]
async fn what_no_account_can_have_is_refused_before_anything_is_written() {
    let world = World::new().await;
    auth::ensure_admin(&world.app, Some(PASSWORD.to_owned())).await.expect("stored");
    let post = async |name: &str, password: &str| {
        let body = serde_json::json!({"name": name, "password": password}).to_string();
        world.call(Method::POST, "/api/v1/session", &[("content-type", "application/json")], body).await
    };
    for _ in 0..20 {
        assert_eq!(post("admin", &"x".repeat(1_025)).await.problem(), (401, "wrong_credentials".into()));
    }
    assert_eq!(post(&"x".repeat(65), "x").await.problem(), (401, "wrong_credentials".into()));
    assert_eq!(post("admin", PASSWORD).await.status, 200, "not one of them was counted");
    assert_eq!(post("hunter2", "x").await.status, 401);
    let mut names = attempted_names(&world).await;
    names.sort_unstable();
    let hash: String = auth::hash("hunter2").iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(names, [String::new(), hash], "the name itself is written nowhere");
}

async fn attempted_names(world: &World) -> Vec<String> {
    let path = world.folder.path().join("everypath.sqlite");
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("opened");
    sqlx::query_scalar("select account from login_attempt").fetch_all(&mut connection).await.expect("readable")
}

#[tokio::test]
async fn other_sites_pages_can_neither_log_in_nor_change_anything() {
    let world = World::new().await;
    let cookie = log_in(&world).await;
    let evil = ("origin", "https://evil.example");
    let own = ("origin", "https://aggregator.test");
    assert_eq!(post_session(&world, PASSWORD, &[evil]).await.problem(), (403, "forged_request".into()));
    assert_eq!(post_session(&world, PASSWORD, &[own]).await.status, 200);
    let create = async |extra: &[(&str, &str)]| {
        let mut headers = vec![("cookie", cookie.as_str()), ("content-type", "application/json")];
        headers.extend_from_slice(extra);
        let body = r#"{"uses":1,"expires_in_s":60,"site":null}"#;
        world.call(Method::POST, "/api/v1/join-tokens", &headers, body).await.status.as_u16()
    };
    let ours = ("x-everypath-request", "1");
    assert_eq!(create(&[]).await, 403);
    assert_eq!(create(&[ours, evil]).await, 403);
    assert_eq!(create(&[ours, own]).await, 201);
    assert_eq!(create(&[ours]).await, 201);
    let upgrade = [("cookie", cookie.as_str()), ("connection", "upgrade"), ("upgrade", "websocket"), evil];
    assert_eq!(world.get("/api/v1/live", &upgrade).await.problem(), (403, "forged_request".into()));
}

#[tokio::test]
async fn errors_are_problems_everywhere_under_api() {
    let world = World::new().await;
    assert_eq!(world.get("/api/v1/nothing", &[]).await.problem(), (404, "not_found".into()));
    assert_eq!(world.get("/api/v1/nothing", &[]).await.json()["instance"], "/api/v1/nothing");
    let put = world.call(Method::PUT, "/api/v1/agents", &[], Body::empty()).await;
    assert_eq!(put.problem(), (405, "method_not_allowed".into()));
    let large =
        world.call(Method::POST, "/api/v1/session", &[("content-type", "application/json")], vec![b' '; 70_000]).await;
    assert_eq!(large.problem(), (413, "body_too_large".into()));
    let broken = world.call(Method::POST, "/api/v1/session", &[("content-type", "application/json")], "{").await;
    assert_eq!(broken.problem(), (400, "unreadable_json".into()));
    let bearer = world.bearer(Role::Viewer).await;
    let no_upgrade = world.get("/api/v1/live", &[("authorization", &bearer)]).await;
    assert_eq!(no_upgrade.problem().0, 400);
}
