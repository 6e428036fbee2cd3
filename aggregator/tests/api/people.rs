//! Accounts, links, passwords and API tokens, as people and their programs use them.

use crate::world::{Answer, World};
use aggregator::auth::{self, Invited};
use aggregator::guard::Role;
use aggregator::scope::{Scope, Scopes};
use axum::body::Body;
use axum::http::Method;
use everypath_protocol::time::Span;
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";
const OTHER: &str = "nine lives of a cat";

/// A request with a JSON body from somebody who holds this cookie or token; from nobody without.
pub(crate) async fn send(world: &World, method: Method, path: &str, by: &str, body: Option<Value>) -> Answer {
    let own = if by.starts_with("Bearer") { "authorization" } else { "cookie" };
    let headers = [(own, by), ("x-everypath-request", "1"), ("content-type", "application/json")];
    let headers = if by.is_empty() { &headers[1..] } else { &headers[..] };
    world.call(method, path, headers, body.map_or_else(Body::empty, |body| body.to_string().into())).await
}

pub(crate) async fn post(world: &World, path: &str, by: &str, body: Value) -> Answer {
    send(world, Method::POST, path, by, Some(body)).await
}

async fn redeem(world: &World, secret: &str, password: &str) -> Answer {
    post(world, "/api/v1/invitations/redeem", "", json!({"secret": secret, "password": password})).await
}

/// The cookie that an answer sets.
fn cookie_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let cookie = answer.headers["set-cookie"].to_str().expect("text");
    cookie.split(';').next().expect("the pair").to_owned()
}

pub(crate) async fn log_in(world: &World, name: &str, password: &str) -> Answer {
    post(world, "/api/v1/session", "", json!({"name": name, "password": password})).await
}

/// The cookie of the first administrator, whose password is [`PASSWORD`].
pub(crate) async fn admin(world: &World) -> String {
    auth::ensure_admin(&world.app, Some(PASSWORD.to_owned())).await.expect("stored");
    cookie_of(&log_in(world, "admin", PASSWORD).await)
}

/// An account that was made through the API, with [`PASSWORD`], and its cookie.
pub(crate) async fn person(world: &World, by: &str, name: &str, role: Role) -> String {
    let made = post(world, "/api/v1/users", by, json!({"name": name, "role": role.name()})).await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    cookie_of(&redeem(world, made.json()["secret"].as_str().expect("a secret"), PASSWORD).await)
}

async fn who(world: &World, by: &str) -> (u16, Value) {
    let answer = send(world, Method::GET, "/api/v1/session", by, None).await;
    (answer.status.as_u16(), answer.json())
}

async fn first_link(world: &World) -> Option<Invited> {
    auth::ensure_admin(&world.app, None).await.expect("stored").and_then(|(name, invited)| {
        assert_eq!(name, "admin");
        invited
    })
}

/// Whoever made the first account may die before the link is read: the account was there, and nobody could get in.
#[tokio::test]
async fn a_link_is_given_at_every_start_until_somebody_has_used_one() {
    let world = World::new().await;
    let lost = first_link(&world).await.expect("the first start");
    let world = World::on(world.folder.clone(), world.clock.clone()).await;
    let read = first_link(&world).await.expect("nobody is in yet");
    assert_ne!(lost.secret, read.secret);
    assert_eq!(read.path(), format!("/welcome#{}", read.secret));
    assert_eq!(redeem(&world, &read.secret, "short").await.problem(), (400, "weak_password".into()));
    assert_eq!(redeem(&world, "guessed", PASSWORD).await.problem(), (401, "invalid_invitation".into()));
    let cookie = cookie_of(&redeem(&world, &read.secret, PASSWORD).await);
    assert_eq!(who(&world, &cookie).await, (200, json!({"name": "admin", "role": "admin"})));
    for secret in [&lost.secret, &read.secret] {
        assert_eq!(redeem(&world, secret, OTHER).await.problem(), (401, "invalid_invitation".into()));
    }
    assert!(first_link(&world).await.is_none(), "somebody is in");
    assert!(auth::ensure_admin(&world.app, Some(OTHER.into())).await.expect("answered").is_none());
    assert_eq!(log_in(&world, "admin", PASSWORD).await.status, 200, "a preset password changes nothing later");
}

#[tokio::test]
async fn a_preset_password_takes_the_place_of_a_link_that_nobody_used() {
    let world = World::new().await;
    let link = first_link(&world).await.expect("the first start");
    let weak = auth::ensure_admin(&world.app, Some("short".into())).await.expect_err("refused").to_string();
    assert!(weak.contains("EVERYPATH_ADMIN_PASSWORD") && weak.contains("10 characters"), "{weak}");
    admin(&world).await;
    assert_eq!(redeem(&world, &link.secret, OTHER).await.problem(), (401, "invalid_invitation".into()));
}

#[tokio::test]
async fn a_link_works_once_and_for_a_day_and_a_newer_one_ends_it() {
    let world = World::new().await;
    let admin = admin(&world).await;
    let made = post(&world, "/api/v1/users", &admin, json!({"name": "ada", "role": "operator"})).await;
    assert_eq!(made.status, 201);
    let (first, made) = (made.json()["secret"].as_str().expect("a secret").to_owned(), made.json());
    assert_eq!(made["link"], format!("/welcome#{first}"));
    assert_eq!(made["expires_at"], "2026-11-24T00:00:00Z");
    assert_eq!(log_in(&world, "ada", "").await.problem(), (401, "wrong_credentials".into()), "no password is none");
    let again = send(&world, Method::POST, "/api/v1/users/ada/invitation", &admin, None).await;
    assert_eq!(again.status, 201);
    let second = again.json()["secret"].as_str().expect("a secret").to_owned();
    assert_eq!(redeem(&world, &first, PASSWORD).await.status, 401);
    assert_eq!(redeem(&world, &second, "ada").await.problem(), (400, "weak_password".into()));
    world.clock.advance(Span::seconds(24 * 3_600));
    assert_eq!(redeem(&world, &second, PASSWORD).await.status, 401, "too late");
    let admin = cookie_of(&log_in(&world, "admin", PASSWORD).await);
    let third = send(&world, Method::POST, "/api/v1/users/ada/invitation", &admin, None).await.json();
    let ada = cookie_of(&redeem(&world, third["secret"].as_str().expect("a secret"), PASSWORD).await);
    assert_eq!(who(&world, &ada).await.1["role"], "operator");
    let users = send(&world, Method::GET, "/api/v1/users", &admin, None).await.json();
    assert_eq!(users["users"][0]["name"], "ada");
    assert_eq!((&users["users"][1]["name"], &users["users"][1]["role"]), (&json!("admin"), &json!("admin")));
}

#[tokio::test]
async fn whoever_guesses_links_waits() {
    let world = World::new().await;
    let link = first_link(&world).await.expect("the first start");
    for number in 0..10 {
        assert_eq!(redeem(&world, &format!("guess {number}"), PASSWORD).await.status, 401);
    }
    let limited = redeem(&world, &link.secret, PASSWORD).await;
    assert_eq!(
        (limited.problem(), &limited.headers["retry-after"]),
        ((429, "too_many_attempts".into()), &"901".parse().expect("valid"))
    );
}

#[tokio::test]
async fn a_new_password_ends_all_other_sessions() {
    let world = World::new().await;
    let admin = admin(&world).await;
    let here = person(&world, &admin, "ada", Role::Viewer).await;
    let elsewhere = cookie_of(&log_in(&world, "ada", PASSWORD).await);
    let change = async |by: &str, old: &str, new: &str| {
        send(&world, Method::PUT, "/api/v1/session/password", by, Some(json!({"old": old, "new": new}))).await
    };
    assert_eq!(change(&here, "wrong", OTHER).await.problem(), (401, "wrong_credentials".into()));
    assert_eq!(change(&here, PASSWORD, "short").await.problem(), (400, "weak_password".into()));
    assert_eq!(who(&world, &elsewhere).await.0, 200);
    assert_eq!(change(&here, PASSWORD, OTHER).await.status, 204);
    assert_eq!((who(&world, &here).await.0, who(&world, &elsewhere).await.0), (200, 401));
    assert_eq!(
        (log_in(&world, "ada", PASSWORD).await.status.as_u16(), log_in(&world, "ada", OTHER).await.status.as_u16()),
        (401, 200)
    );
    for _ in 0..10 {
        change(&here, "wrong", PASSWORD).await;
    }
    assert_eq!(change(&here, OTHER, PASSWORD).await.problem().0, 429, "an unlocked screen is no place to guess");
}

#[tokio::test]
async fn a_change_of_an_account_ends_its_sessions_and_the_last_administrator_stays() {
    let world = World::new().await;
    let admin = admin(&world).await;
    let patch = async |name: &str, body: Value| {
        send(&world, Method::PATCH, &format!("/api/v1/users/{name}"), &admin, Some(body)).await
    };
    let ada = person(&world, &admin, "ada", Role::Viewer).await;
    let changed = patch("ada", json!({"role": "operator"})).await;
    assert_eq!((changed.status.as_u16(), &changed.json()["role"]), (200, &json!("operator")));
    assert_eq!(who(&world, &ada).await.0, 401, "who has other rights logs in again");
    let ada = cookie_of(&log_in(&world, "ada", PASSWORD).await);
    assert_eq!(patch("ada", json!({"disabled": true})).await.json()["disabled"], true);
    assert_eq!(who(&world, &ada).await.0, 401);
    assert_eq!(log_in(&world, "ada", PASSWORD).await.problem(), (401, "wrong_credentials".into()));
    let invite = send(&world, Method::POST, "/api/v1/users/ada/invitation", &admin, None).await;
    assert_eq!(invite.problem(), (409, "user_disabled".into()));
    assert_eq!(patch("ada", json!({"disabled": false})).await.status, 200);
    assert_eq!((who(&world, &ada).await.0, log_in(&world, "ada", PASSWORD).await.status.as_u16()), (401, 200));

    for body in [json!({"role": "viewer"}), json!({"disabled": true}), json!({"role": "viewer", "disabled": false})] {
        assert_eq!(patch("admin", body).await.problem(), (409, "last_admin".into()));
    }
    let delete = async |name: &str| send(&world, Method::DELETE, &format!("/api/v1/users/{name}"), &admin, None).await;
    assert_eq!(delete("admin").await.problem(), (409, "last_admin".into()));
    assert_eq!(delete("ada").await.status, 204);
    assert_eq!(delete("ada").await.problem(), (404, "unknown_user".into()));
    for (body, code) in [
        (json!({}), "invalid_user"),
        (json!({"role": "root"}), "invalid_user"),
        (json!({"name": "x"}), "unreadable_json"),
    ] {
        assert_eq!(patch("admin", body).await.problem(), (400, code.into()));
    }
}

/// A server refuses a NUL in text, which was answered with "something went wrong".
#[tokio::test]
async fn names_that_cannot_be_are_nobodys() {
    let world = World::new().await;
    let admin = admin(&world).await;
    for name in ["%00", "a%20b", "%F0%9F%A6%80", "a%2Fb"] {
        let path = format!("/api/v1/users/{name}");
        let patch = send(&world, Method::PATCH, &path, &admin, Some(json!({"disabled": true}))).await;
        assert_eq!(patch.problem(), (404, "unknown_user".into()), "{name}");
        assert_eq!(send(&world, Method::DELETE, &path, &admin, None).await.problem().0, 404, "{name}");
        let invite = send(&world, Method::POST, &format!("{path}/invitation"), &admin, None).await;
        assert_eq!(invite.problem().0, 404, "{name}");
        let token = send(&world, Method::DELETE, &format!("/api/v1/api-tokens/{name}"), &admin, None).await;
        assert_eq!(token.problem(), (404, "unknown_api_token".into()), "{name}");
    }
    for name in ["", "a b", "a\u{0}", "é", "..", &"x".repeat(65)] {
        let user = post(&world, "/api/v1/users", &admin, json!({"name": name, "role": "viewer"})).await;
        assert_eq!(user.problem(), (400, "invalid_user".into()), "{name:?}");
        let token = post(&world, "/api/v1/api-tokens", &admin, json!({"name": name, "role": "viewer"})).await;
        assert_eq!(token.problem(), (400, "invalid_api_token".into()), "{name:?}");
        assert_eq!(log_in(&world, name, PASSWORD).await.problem(), (401, "wrong_credentials".into()), "{name:?}");
    }
    let audit = send(&world, Method::GET, "/api/v1/audit?actor=%00", &admin, None).await;
    assert_eq!(audit.problem(), (400, "invalid_audit_query".into()));
}

#[tokio::test]
async fn an_api_token_is_shown_once_and_ends() {
    let world = World::new().await;
    let admin = admin(&world).await;
    let make = async |by: &str, body: Value| post(&world, "/api/v1/api-tokens", by, body).await;
    let made = make(&admin, json!({"name": "ci", "role": "viewer", "scopes": ["read"], "expires_in_s": 60})).await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    let secret = made.json()["token"].as_str().expect("a token").to_owned();
    assert!(secret.starts_with("epk_") && secret.len() > 40, "{secret}");
    let agents = async |secret: &str| {
        send(&world, Method::GET, "/api/v1/agents", &format!("Bearer {secret}"), None).await.status.as_u16()
    };
    assert_eq!(agents(&secret).await, 200);
    let list = send(&world, Method::GET, "/api/v1/api-tokens", &admin, None).await;
    assert!(!String::from_utf8_lossy(&list.body).contains(&secret));
    let shown = &list.json()["tokens"][0];
    assert_eq!(
        (&shown["created_by"], &shown["scopes"], &shown["expired"]),
        (&json!("admin"), &json!(["read"]), &json!(false))
    );
    assert_eq!(shown["last_used_at"], "2026-11-23T00:00:00Z");
    let again = make(&admin, json!({"name": "ci", "role": "admin"})).await;
    assert_eq!(again.problem(), (409, "name_taken".into()));
    world.clock.advance(Span::seconds(60));
    assert_eq!(agents(&secret).await, 401, "it has ended");
    assert_eq!(
        send(&world, Method::GET, "/api/v1/api-tokens", &admin, None).await.json()["tokens"][0]["expired"],
        true
    );
    let delete = async || send(&world, Method::DELETE, "/api/v1/api-tokens/ci", &admin, None).await;
    assert_eq!((delete().await.status.as_u16(), delete().await.problem().0), (204, 404));
    let endless = make(&admin, json!({"name": "ci", "role": "viewer"})).await.json();
    assert_eq!(
        (agents(endless["token"].as_str().expect("a token")).await, &endless["expires_at"]),
        (200, &Value::Null)
    );
    assert_eq!(delete().await.status, 204);
    assert_eq!(agents(endless["token"].as_str().expect("a token")).await, 401);
    for body in [
        json!({"name": "x", "role": "root"}),
        json!({"name": "x", "role": "viewer", "scopes": ["all"]}),
        json!({"name": "x", "role": "viewer", "expires_in_s": 0}),
        json!({"name": "x", "role": "viewer", "expires_in_s": 315_360_001}),
    ] {
        assert_eq!(make(&admin, body).await.problem(), (400, "invalid_api_token".into()));
    }
}

/// A token opens no more than whoever made it may now.
#[tokio::test]
async fn a_token_is_worth_what_its_maker_is() {
    let world = World::new().await;
    let root = admin(&world).await;
    let eve = person(&world, &root, "eve", Role::Admin).await;
    let make = async |by: &str, name: &str| {
        let body = json!({"name": name, "role": "admin"});
        let made = post(&world, "/api/v1/api-tokens", by, body).await;
        format!("Bearer {}", made.json()["token"].as_str().expect("a token"))
    };
    let of_eve = make(&eve, "of-eve").await;
    let of_host = world.bearer(Role::Admin).await;
    let may = async |bearer: &str| {
        let status = async |path: &str| send(&world, Method::GET, path, bearer, None).await.status.as_u16();
        (status("/api/v1/agents").await, status("/api/v1/users").await)
    };
    let change = async |body: Value| {
        assert_eq!(send(&world, Method::PATCH, "/api/v1/users/eve", &root, Some(body)).await.status, 200);
    };
    for token in [&of_eve, &of_host] {
        assert_eq!(may(token).await, (200, 200));
    }
    change(json!({"role": "viewer"})).await;
    assert_eq!((may(&of_eve).await, may(&of_host).await), ((200, 403), (200, 200)));
    change(json!({"role": "admin", "disabled": true})).await;
    assert_eq!((may(&of_eve).await, may(&of_host).await), ((401, 401), (200, 200)));
    let list = async || send(&world, Method::GET, "/api/v1/api-tokens", &of_host, None).await.json()["tokens"].clone();
    let shown = list().await.as_array().expect("a list").iter().find(|token| token["name"] == "of-eve").cloned();
    let shown = shown.expect("it is there");
    assert_eq!(shown["expired"], true);
    assert_eq!(shown["last_used_at"], "2026-11-23T00:00:00Z");
    change(json!({"disabled": false})).await;
    assert_eq!(may(&of_eve).await, (200, 200));
    assert_eq!(send(&world, Method::DELETE, "/api/v1/users/eve", &root, None).await.status, 204);
    assert_eq!(may(&of_eve).await, (401, 401));
    let again = person(&world, &root, "eve", Role::Admin).await;
    assert_eq!(may(&of_eve).await, (401, 401), "somebody else has the name now");
    let names: Vec<_> = list().await.as_array().expect("a list").iter().map(|token| token["name"].clone()).collect();
    assert!(!names.contains(&json!("of-eve")), "it went with the account: {names:?}");
    assert_eq!(may(&make(&again, "of-eve").await).await, (200, 200));
}

#[tokio::test]
async fn who_is_turned_away_is_told_what_is_missing() {
    let world = World::new().await;
    let scoped = world.bearer_of("narrow", Role::Operator, Scopes::new([Scope::Read])).await;
    let said = async |bearer: &str| {
        let answer = send(&world, Method::GET, "/api/v1/channels", bearer, None).await;
        (answer.status.as_u16(), answer.json()["detail"].as_str().expect("a sentence").to_owned())
    };
    let (status, detail) = said(&scoped).await;
    assert_eq!(status, 403);
    for part in ["the role `operator`", "the scope `operate`", "the scopes: read"] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
    let (status, detail) = said("Bearer epk_wrong").await;
    assert!(status == 401 && detail.starts_with("This API token is not known"), "{detail}");
    let root = admin(&world).await;
    let viewer = person(&world, &root, "vic", Role::Viewer).await;
    let (_, detail) = said(&viewer).await;
    assert!(detail.contains("needs the role `operator`, and your account has `viewer`"), "{detail}");
}

/// With the scope `people` alone a token could otherwise make an administrator, and with its link itself one without scopes.
#[tokio::test]
async fn a_token_with_scopes_does_not_make_itself_more() {
    let world = World::new().await;
    admin(&world).await;
    let limited = world.bearer_of("limited", Role::Admin, Scopes::new([Scope::People])).await;
    let full = world.bearer(Role::Admin).await;
    let user = async |by: &str, name: &str, role: &str| {
        post(&world, "/api/v1/users", by, json!({"name": name, "role": role})).await.status.as_u16()
    };
    assert_eq!((user(&limited, "v", "viewer").await, user(&limited, "o", "operator").await), (201, 201));
    assert_eq!((user(&limited, "a", "admin").await, user(&full, "a", "admin").await), (403, 201));
    let patch = async |name: &str, body: Value| {
        send(&world, Method::PATCH, &format!("/api/v1/users/{name}"), &limited, Some(body)).await.status.as_u16()
    };
    assert_eq!(patch("v", json!({"role": "operator"})).await, 200);
    assert_eq!(patch("v", json!({"role": "admin"})).await, 403);
    assert_eq!(patch("a", json!({"role": "viewer"})).await, 403);
    assert_eq!(patch("a", json!({"disabled": true})).await, 403);
    let invite = send(&world, Method::POST, "/api/v1/users/admin/invitation", &limited, None).await;
    assert_eq!(invite.problem(), (403, "not_allowed".into()), "a link to an administrator's account is that account");
    assert_eq!(send(&world, Method::DELETE, "/api/v1/users/a", &limited, None).await.status, 403);
}

/// Whoever hung up while a password was checked once left no trace of having tried it.
#[tokio::test]
async fn what_was_begun_is_logged_although_nobody_waits_for_the_answer() {
    use futures::FutureExt as _;
    let world = World::new().await;
    assert!(log_in(&world, "admin", "not the password").now_or_never().is_none(), "it takes a while");
    let wrong = async || {
        let logged = world.app.store.log_behind(0, 100).await.expect("readable");
        logged.iter().filter(|entry| entry.action == "session.create").count()
    };
    let found = async {
        while wrong().await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), found).await.expect("it is logged");
    assert_eq!(wrong().await, 1);
}
