//! From a token to a member, and hello.

use crate::common::{T0, TestAgent};
use crate::world::{Answer, World};
use aggregator::audit_log::Query;
use aggregator::guard::Role;
use axum::http::Method;
use everypath_protocol::codec;
use everypath_protocol::id::Incarnation;
use everypath_protocol::join::{BYTES_MAX, Hello, HelloAnswer, JoinAnswer, JoinGrant, JoinRefusal, JoinRequest};
use everypath_protocol::member::{MemberRecord, Version};
use everypath_protocol::sign::{self, Ed25519, Signed, Signer as _};
use everypath_protocol::time::Span;
use everypath_protocol::token::{JoinToken, TokenSecret};
use everypath_protocol::trust::{Trust, mesh_of, open_delegation};

/// Most bytes of an answer in these tests.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

pub(crate) async fn token(world: &World, uses: u32) -> JoinToken {
    let bearer = world.bearer(Role::Admin).await;
    let body = format!(r#"{{"uses":{uses},"expires_in_s":60,"site":null}}"#);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let answer = world.call(Method::POST, "/api/v1/join-tokens", &headers, body).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    JoinToken::from_text(answer.json()["token"].as_str().expect("a token")).expect("a whole token")
}

pub(crate) fn request(token: &JoinToken, number: u8, name: &str) -> Signed {
    let key = TestAgent::key(number);
    let request = JoinRequest::new(token, key.public().into(), [number; 16], name.into(), "alpha".into());
    sign::seal(request, token.mesh, &key).signed().clone()
}

async fn post(world: &World, request: &Signed, headers: &[(&str, &str)]) -> Answer {
    world.call(Method::POST, "/api/v1/join", headers, codec::encode(request)).await
}

async fn join(world: &World, token: &JoinToken, number: u8, name: &str) -> (u16, JoinAnswer) {
    let answer = post(world, &request(token, number, name), &[]).await;
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
    (answer.status.as_u16(), codec::decode(&answer.body, ANSWER_BYTES_MAX).expect("a join answer"))
}

async fn granted(world: &World, token: &JoinToken, number: u8, name: &str) -> JoinGrant {
    match join(world, token, number, name).await {
        (200, JoinAnswer::Granted(grant)) => grant,
        other => panic!("{other:?}"),
    }
}

async fn refusal(world: &World, token: &JoinToken, number: u8, name: &str) -> JoinRefusal {
    match join(world, token, number, name).await {
        (403, JoinAnswer::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_makes_a_member_that_can_prove_it_to_strangers() {
    let world = World::new().await;
    let token = token(&world, 1).await;
    let grant = granted(&world, &token, 1, "alpha-1").await;
    let logged = world.app.store.log_entries(Query::newest(1)).await.expect("readable").remove(0);
    assert_eq!((logged.action.as_str(), logged.subject.as_str()), ("agent.join", "alpha-1"));
    assert_eq!((logged.actor_kind.as_str(), logged.actor), ("agent", world.agent(1).id().to_string()));
    assert_eq!(grant.aggregators, world.app.addresses());
    let credentials = grant.credentials;
    assert_eq!(mesh_of(&credentials.root), token.mesh);
    let delegation =
        open_delegation(&token.mesh, &credentials.root, credentials.delegation, &Ed25519).expect("the root's");
    assert!(delegation.document().version >= token.delegation_version_min);
    let trust = Trust::new(token.mesh, delegation);
    let certificate = trust.open_certificate(credentials.certificate, &Ed25519).expect("the issuer's");
    assert_eq!(certificate.author(), token.issuer);
    assert_eq!(certificate.document().name, "alpha-1");
    let agents = world.get("/api/v1/agents", &[("authorization", &world.bearer(Role::Admin).await)]).await.json();
    assert_eq!(agents["agents"][0]["name"], "alpha-1");
    assert_eq!(agents["agents"][0]["joined_at"], "2026-11-23T00:00:00Z");
    assert_eq!(agents["agents"][0]["last_seen_at"], serde_json::Value::Null);
}

#[tokio::test]
async fn thirty_at_once_with_nine_uses_are_exactly_nine() {
    let world = World::new().await;
    let token = token(&world, 9).await;
    let attempts = (1..=30).map(|number| {
        let (world, token) = (&world, &token);
        async move { join(world, token, number, &format!("a{number}")).await }
    });
    let results = futures::future::join_all(attempts).await;
    let count = |wanted: fn(&JoinAnswer) -> bool| results.iter().filter(|(_, answer)| wanted(answer)).count();
    assert_eq!(count(|answer| matches!(answer, JoinAnswer::Granted(_))), 9);
    assert_eq!(count(|answer| *answer == JoinAnswer::Refused(JoinRefusal::UsedUp)), 21);
    assert_eq!(world.app.store.agents().await.expect("readable").len(), 9);
}

#[tokio::test]
async fn the_same_key_again_gets_the_same_certificate_and_spends_nothing() {
    let world = World::new().await;
    let token = token(&world, 2).await;
    let first = granted(&world, &token, 1, "one").await.credentials.certificate;
    for _ in 0..3 {
        assert_eq!(granted(&world, &token, 1, "one").await.credentials.certificate, first);
    }
    granted(&world, &token, 2, "two").await;
    assert_eq!(refusal(&world, &token, 3, "three").await, JoinRefusal::UsedUp);
    assert_eq!(granted(&world, &token, 1, "one").await.credentials.certificate, first, "even when all uses are spent");
}

#[tokio::test]
async fn every_refusal_has_its_reason() {
    let world = World::new().await;
    let token = token(&world, 5).await;
    granted(&world, &token, 1, "one").await;
    assert_eq!(refusal(&world, &token, 2, "one").await, JoinRefusal::NameTaken);
    assert_eq!(refusal(&world, &token, 2, "no spaces").await, JoinRefusal::InvalidName);
    let guessed = JoinToken { secret: TokenSecret([0; 16]), ..token.clone() };
    assert_eq!(refusal(&world, &guessed, 2, "two").await, JoinRefusal::UnknownToken);
    let unknown = JoinToken { id: everypath_protocol::token::TokenId([0; 8]), ..token.clone() };
    assert_eq!(refusal(&world, &unknown, 2, "two").await, JoinRefusal::UnknownToken);
    let other_mesh = JoinToken { mesh: everypath_protocol::id::MeshId([0; 32]), ..token.clone() };
    assert_eq!(refusal(&world, &other_mesh, 2, "two").await, JoinRefusal::BadRequest);
    let mut stolen = request(&token, 2, "two");
    stolen.author = TestAgent::key(3).public();
    let answer = post(&world, &stolen, &[("accept", "application/json")]).await;
    assert_eq!(answer.problem(), (403, "bad_join_request".into()));
    let garbage = world.call(Method::POST, "/api/v1/join", &[], vec![7; BYTES_MAX]).await;
    assert_eq!(codec::decode(&garbage.body, 64), Ok(JoinAnswer::Refused(JoinRefusal::BadRequest)));
    world.clock.advance(Span::seconds(60));
    assert_eq!(refusal(&world, &token, 2, "two").await, JoinRefusal::Expired);
}

#[tokio::test]
async fn what_a_token_may_be_is_checked() {
    let world = World::new().await;
    let bearer = world.bearer(Role::Admin).await;
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    for (body, code) in [
        (r#"{"uses":0,"expires_in_s":60,"site":null}"#, "invalid_token_request"),
        (r#"{"uses":1,"expires_in_s":0,"site":null}"#, "invalid_token_request"),
        (r#"{"uses":1,"expires_in_s":60,"site":"no spaces"}"#, "invalid_token_request"),
        (r#"{"uses":1,"expires_in_s":60,"sight":"a"}"#, "unreadable_json"),
        (r#"{"uses":"#, "unreadable_json"),
        (r#"{"uses":-1,"expires_in_s":60}"#, "unreadable_json"),
    ] {
        let answer = world.call(Method::POST, "/api/v1/join-tokens", &headers, body).await;
        assert_eq!(answer.problem(), (400, code.to_owned()), "{body}");
    }
}

pub(crate) fn hello(world: &World, number: u8, statement: u64) -> Vec<u8> {
    let agent = world.agent(number);
    let record = MemberRecord {
        version: Version { incarnation: Incarnation(1), number: statement },
        certificate: agent.certificate.clone(),
        mesh_addresses: vec!["/ip4/10.1.1.11/udp/7117/quic-v1".into()],
        probe_addresses: vec!["10.1.1.11".parse().expect("an address")],
        program: format!("0.{statement}.0"),
    };
    codec::encode(&Hello { member: sign::seal(record, world.app.mesh.id(), &agent.key).signed().clone() })
}

async fn say_hello(world: &World, body: Vec<u8>) -> HelloAnswer {
    let answer = world.call(Method::POST, "/api/v1/hello", &[], body).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    codec::decode(&answer.body, 1 << 20).expect("a hello answer")
}

#[tokio::test]
async fn members_learn_of_each_other_but_not_of_themselves() {
    let world = World::new().await;
    for number in 1..=40 {
        let answer = say_hello(&world, hello(&world, number, 1)).await;
        assert_eq!(answer.members.len(), usize::from(number - 1).min(32));
        let own = TestAgent::key(number).public();
        assert!(answer.members.iter().all(|member| member.author != own));
    }
    let bearer = world.bearer(Role::Viewer).await;
    let agents = world.get("/api/v1/agents", &[("authorization", &bearer)]).await.json();
    assert_eq!(agents["agents"].as_array().expect("a list").len(), 40);
    assert_eq!(agents["agents"][0]["addresses"][0], "10.1.1.11");
    assert_eq!(agents["agents"][0]["version"], "0.1.0");
}

#[tokio::test]
async fn an_older_statement_never_replaces_a_newer_one() {
    let world = World::new().await;
    say_hello(&world, hello(&world, 1, 5)).await;
    say_hello(&world, hello(&world, 1, 4)).await;
    assert_eq!(world.app.store.agents().await.expect("readable")[0].program.as_deref(), Some("0.5.0"));
    say_hello(&world, hello(&world, 1, 6)).await;
    assert_eq!(world.app.store.agents().await.expect("readable")[0].program.as_deref(), Some("0.6.0"));
}

#[tokio::test]
async fn a_new_member_is_given_others_to_start_from() {
    let world = World::new().await;
    for number in 1..=20 {
        say_hello(&world, hello(&world, number, 1)).await;
    }
    let token = token(&world, 1).await;
    let grant = granted(&world, &token, 99, "new").await;
    assert_eq!(grant.members.len(), 16);
    for member in grant.members {
        assert!(MemberRecord::open(member, world.app.mesh.trust(), &Ed25519).is_ok());
    }
    assert_eq!(T0, world.clock.now());
}

#[tokio::test]
async fn a_hello_must_be_whole_and_signed() {
    let world = World::new().await;
    let good = hello(&world, 1, 1);
    let problem = async |body: Vec<u8>| world.call(Method::POST, "/api/v1/hello", &[], body).await.problem();
    assert_eq!(problem(good[..good.len() / 2].to_vec()).await, (400, "malformed".into()));
    let mut forged = good;
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(problem(forged).await, (401, "bad_signature".into()));
    assert_eq!(world.app.store.agents().await.expect("readable"), []);
}
