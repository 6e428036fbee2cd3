//! Who gets through which door, and when it closes: limits behind proxies, live connections whose session ends.

use crate::people::{admin, log_in, person, post, send};
use crate::world::World;
use aggregator::audit_log::Event;
use aggregator::auth;
use aggregator::clock::Clock;
use aggregator::guard::Role;
use axum::body::Body;
use axum::http::{Method, Request};
use everypath_config::Sources;
use futures::StreamExt as _;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const PASSWORD: &str = "correct horse battery";

async fn behind(proxies: &str) -> (World, SocketAddr) {
    aggregator::tls::install_provider();
    let mut sources = Sources::default();
    sources.flag("http.trusted_proxies", proxies);
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let world = World::with(folder, Clock::by_hand(crate::common::T0), &sources).await;
    admin(&world).await;
    let (address, _) = world.serve().await;
    (world, address)
}

/// The status of a login with the wrong password, as a proxy passes it on.
async fn guess(address: SocketAddr, forwarded_for: &str) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let body = json!({"name": "admin", "password": "a wrong password"});
    let request = client.post(format!("http://{address}/api/v1/session")).header("x-forwarded-for", forwarded_for);
    request.json(&body).send().await.expect("answered").status().as_u16()
}

#[tokio::test]
async fn behind_a_proxy_everybody_is_limited_alone() {
    let (world, address) = behind("127.0.0.0/8").await;
    for _ in 0..10 {
        assert_eq!(guess(address, "203.0.113.5").await, 401);
    }
    assert_eq!(guess(address, "203.0.113.5").await, 429);
    assert_eq!(guess(address, "198.51.100.1, 203.0.113.5").await, 429, "what the client wrote itself is not believed");
    assert_eq!(guess(address, "203.0.113.6").await, 401, "its neighbour is somebody else");
    let audit =
        send(&world, Method::GET, "/api/v1/audit?action=session.create", &world.bearer(Role::Admin).await, None).await;
    assert_eq!(audit.json()["entries"][0]["address"], "203.0.113.6");
    assert_eq!(audit.json()["entries"][1]["outcome"], "limited");
}

#[tokio::test]
async fn a_proxy_that_nobody_named_is_whoever_it_is() {
    let (_world, address) = behind("10.0.0.0/8").await;
    for number in 0..10 {
        assert_eq!(guess(address, &format!("203.0.113.{number}")).await, 401);
    }
    assert_eq!(guess(address, "203.0.113.99").await, 429, "the header makes nobody another");
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn watch(address: SocketAddr, header: &'static str, value: &str) -> Socket {
    let mut request = format!("ws://{address}/api/v1/live").into_client_request().expect("valid");
    request.headers_mut().insert(header, value.parse().expect("valid"));
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("upgraded");
    assert!(matches!(socket.next().await, Some(Ok(Message::Binary(_)))), "it is open");
    socket
}

/// The code with which the server closes, within `patience`.
async fn closed(socket: &mut Socket, patience: Duration) -> Option<u16> {
    let close = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    };
    tokio::time::timeout(patience, close).await.ok().flatten()
}

/// Each of those who watch reads the database when somebody may do less than before.
#[tokio::test]
async fn a_cookie_that_is_no_session_wakes_nobody() {
    let world = World::new().await;
    let viewer = world.bearer_of("viewer", Role::Viewer, Default::default()).await;
    let mut rights = world.app.rights.subscribe();
    let log_out = async |cookie: &str| {
        let request = Request::builder().method(Method::DELETE).uri("/api/v1/session").header("authorization", &viewer);
        let request = request.header("cookie", cookie).body(Body::empty()).expect("valid");
        world.send(request).await.status.as_u16()
    };
    assert_eq!(log_out("__Host-everypath_session=nonsense").await, 204);
    assert!(!rights.has_changed().expect("the sender lives"));
    let session = admin(&world).await;
    rights.mark_unchanged();
    assert_eq!(log_out(&session).await, 204);
    assert!(rights.has_changed().expect("the sender lives"));
}

/// A closed session went on watching until the page was loaded again.
#[tokio::test]
async fn live_connections_end_with_what_let_them_in() {
    const AT_ONCE: Duration = Duration::from_secs(3);
    let world = World::new().await;
    let (admin, password) =
        (admin(&world).await, world.app.passwords.hash(PASSWORD.to_owned(), None).await.expect("alone"));
    let (address, server) = world.serve().await;
    world.account("ada", Role::Viewer, &password).await;
    let session = async || world.cookie("ada", Role::Viewer, &password).await;
    let over_tls = |cookie: &str| cookie.replacen("everypath_session", "__Host-everypath_session", 1);
    let by_admin =
        async |method, path: &str, body| assert!(send(&world, method, path, &admin, body).await.status.is_success());

    let (one, other) = (session().await, session().await);
    let (mut ends, mut stays) = (watch(address, "cookie", &one).await, watch(address, "cookie", &other).await);
    let logout = send(&world, Method::DELETE, "/api/v1/session", &over_tls(&one), None).await;
    assert_eq!(logout.status, 204);
    assert_eq!(closed(&mut ends, AT_ONCE).await, Some(4_401), "logged out");
    assert_eq!(closed(&mut stays, Duration::from_millis(200)).await, None, "another session goes on");

    let own = session().await;
    let mut own_watch = watch(address, "cookie", &own).await;
    let change = json!({"old": PASSWORD, "new": "nine lives of a cat"});
    let changed = send(&world, Method::PUT, "/api/v1/session/password", &over_tls(&own), Some(change)).await;
    assert_eq!(changed.status, 204);
    assert_eq!(closed(&mut stays, AT_ONCE).await, Some(4_401), "the password was changed elsewhere");
    by_admin(Method::PATCH, "/api/v1/users/ada", Some(json!({"disabled": true}))).await;
    assert_eq!(closed(&mut own_watch, AT_ONCE).await, Some(4_401), "the account was disabled");

    let bearer = world.bearer_of("wall", Role::Viewer, Default::default()).await;
    let mut wall = watch(address, "authorization", &bearer).await;
    by_admin(Method::DELETE, "/api/v1/api-tokens/wall", None).await;
    assert_eq!(closed(&mut wall, AT_ONCE).await, Some(4_401), "the token was deleted");

    // As another replica or the command line does it: this process is not told, and looks.
    world.account("eve", Role::Viewer, &password).await;
    let mut eve = watch(address, "cookie", &world.cookie("eve", Role::Viewer, &password).await).await;
    let event = Event::by_host("user.delete", "eve", world.app.now());
    world.app.store.delete_user("eve", None, event).await.expect("deleted");
    assert_eq!(closed(&mut eve, Duration::from_secs(8)).await, Some(4_401), "deleted by somebody else");
    server.abort();
}

#[tokio::test]
async fn every_login_and_change_is_in_the_log_and_no_secret_is() {
    let world = World::new().await;
    let admin = admin(&world).await;
    assert_eq!(log_in(&world, "admin", "a wrong password").await.status, 401);
    assert_eq!(log_in(&world, "hunter2hunter2", "a wrong password").await.status, 401);
    let made = post(&world, "/api/v1/users", &admin, json!({"name": "ada", "role": "viewer"})).await.json();
    let link = made["secret"].as_str().expect("a secret").to_owned();
    let redeemed = post(&world, "/api/v1/invitations/redeem", "", json!({"secret": link, "password": PASSWORD})).await;
    let ada = redeemed.headers["set-cookie"].to_str().expect("text").split(';').next().expect("the pair").to_owned();
    assert_eq!(send(&world, Method::GET, "/api/v1/users", &ada, None).await.status, 403);
    let token = post(&world, "/api/v1/api-tokens", &admin, json!({"name": "ci", "role": "viewer"})).await.json();
    let token = token["token"].as_str().expect("a token").to_owned();
    let join = json!({"uses": 1, "expires_in_s": 60, "site": null});
    let join =
        post(&world, "/api/v1/join-tokens", &admin, join).await.json()["token"].as_str().expect("a token").to_owned();
    let settings = send(&world, Method::GET, "/api/v1/settings/retention", &admin, None).await.json();
    assert_eq!(send(&world, Method::PUT, "/api/v1/settings/retention", &admin, Some(settings)).await.status, 200);
    assert_eq!(send(&world, Method::DELETE, "/api/v1/api-tokens/ci", &admin, None).await.status, 204);
    assert_eq!(send(&world, Method::DELETE, "/api/v1/session", &ada, None).await.status, 204);

    let page = send(&world, Method::GET, "/api/v1/audit?limit=500", &admin, None).await;
    let text = String::from_utf8(page.body.to_vec()).expect("text");
    let mut log: Vec<String> = page.json()["entries"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| {
            let word = |name: &str| entry[name].as_str().expect("text").to_owned();
            format!("{} {} {} {}", word("actor_kind"), word("actor"), word("action"), word("outcome"))
        })
        .collect();
    log.reverse();
    assert_eq!(
        log,
        [
            "program  user.first ok",
            "user admin session.create ok",
            "user admin session.create wrong",
            "nobody  session.create wrong",
            "user admin user.create ok",
            "user ada invitation.redeem ok",
            "user ada access.deny denied",
            "user admin api_token.create ok",
            "user admin join_token.create ok",
            "user admin setting.change ok",
            "user admin api_token.delete ok",
            "user ada session.delete ok",
        ]
    );
    let cookie = |pair: &str| pair.split_once('=').expect("a pair").1.to_owned();
    for secret in [PASSWORD, "a wrong password", "hunter2", &link, &token, &join, &cookie(&admin), &cookie(&ada)] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let secrets = [cookie(&admin), link, token];
    let bytes = std::fs::read(world.folder.path().join("everypath.sqlite-wal")).expect("readable");
    for secret in secrets {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "the database holds hashes alone");
    }
    let pages = send(&world, Method::GET, "/api/v1/audit?limit=5", &admin, None).await.json();
    assert_eq!(pages["next"], 8);
    let next = send(&world, Method::GET, "/api/v1/audit?limit=5&before=8&action=session", &admin, None).await.json();
    assert_eq!((next["entries"].as_array().map(Vec::len), &next["next"]), (Some(3), &json!(null)));
    for query in ["limit=0", "limit=501", "before=x", "from=yesterday", "color=red"] {
        let answer = send(&world, Method::GET, &format!("/api/v1/audit?{query}"), &admin, None).await;
        assert_eq!(answer.problem(), (400, "invalid_audit_query".into()), "{query}");
    }
    assert!(auth::ensure_admin(&world.app, None).await.expect("answered").is_none());
}

/// What strangers can do for ever without a password must not grow for ever.
#[tokio::test]
async fn a_flood_of_refusals_is_counted_and_not_kept() {
    let world = World::new().await;
    let viewer = world.bearer_of("viewer", Role::Viewer, Default::default()).await;
    for _ in 0..60 {
        assert_eq!(send(&world, Method::GET, "/api/v1/users", &viewer, None).await.status, 403);
    }
    let bearer = world.bearer(Role::Admin).await;
    let denied = async || {
        let page = send(&world, Method::GET, "/api/v1/audit?action=access&limit=500", &bearer, None).await.json();
        page["entries"].as_array().expect("a list").clone()
    };
    assert_eq!(denied().await.len(), 20);
    assert_eq!(world.app.metrics.audit_left_out.get(), 40);
    world.clock.advance(everypath_protocol::time::Span::seconds(60));
    send(&world, Method::GET, "/api/v1/users", &viewer, None).await;
    assert_eq!(denied().await[0]["detail"], json!({"left_out_before": 40}));
}

/// What one token opens must end with it, so there is none that it made.
#[tokio::test]
async fn only_people_make_tokens() {
    let world = World::new().await;
    admin(&world).await;
    let full = world.bearer(Role::Admin).await;
    let made = post(&world, "/api/v1/api-tokens", &full, json!({"name": "t", "role": "viewer"})).await;
    assert_eq!(made.problem(), (403, "not_allowed".into()));
    assert!(made.json()["detail"].as_str().expect("text").contains("An API token makes no other"), "{:?}", made.body);
}

/// "Last used" is how one finds the token that nothing needs any more.
#[tokio::test]
async fn a_token_that_opens_nothing_is_not_in_use() {
    let world = World::new().await;
    let root = admin(&world).await;
    let eve = person(&world, &root, "eve", Role::Admin).await;
    let made = post(&world, "/api/v1/api-tokens", &eve, json!({"name": "t", "role": "viewer"})).await.json();
    let bearer = format!("Bearer {}", made["token"].as_str().expect("a token"));
    let change = json!({"disabled": true});
    assert_eq!(send(&world, Method::PATCH, "/api/v1/users/eve", &root, Some(change)).await.status, 200);
    assert_eq!(send(&world, Method::GET, "/api/v1/agents", &bearer, None).await.status, 401);
    let list = send(&world, Method::GET, "/api/v1/api-tokens", &root, None).await.json();
    assert_eq!(list["tokens"][0]["last_used_at"], Value::Null);
}
