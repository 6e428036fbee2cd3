//! The configuration of the mesh: made, given to agents, acknowledged, taken back.

use crate::common::{T0, TestAgent, block, window};
use crate::world::{Answer, World};
use aggregator::guard::Role;
use aggregator::mesh_config::change::CLAIM_AHEAD_MAX;
use axum::http::Method;
use everypath_protocol::batch::{BatchHeader, BatchHeaderV2, CONFIG_UNKNOWN, CONTENT_TYPE, IngestAnswer};
use everypath_protocol::codec;
use everypath_protocol::id::Seq;
use everypath_protocol::mesh_config::plan::endpoint_id;
use everypath_protocol::mesh_config::{self, MeshConfig};
use everypath_protocol::sign::{self, Ed25519};
use serde_json::{Value, json};

/// Somebody who may change the configuration.
struct Operator<'a> {
    world: &'a World,
    bearer: String,
}

impl<'a> Operator<'a> {
    async fn of(world: &'a World) -> Self {
        Self { world, bearer: world.bearer(Role::Operator).await }
    }

    async fn ask(&self, method: Method, path: &str, if_match: &str, body: &Value) -> Answer {
        let mut headers = vec![("authorization", self.bearer.as_str()), ("content-type", "application/json")];
        if !if_match.is_empty() {
            headers.push(("if-match", if_match));
        }
        self.world.call(method, path, &headers, body.to_string()).await
    }

    async fn put(&self, if_match: &str, config: &Value) -> Answer {
        self.ask(Method::PUT, "/api/v1/config", if_match, &json!({"config": config, "why": "a test"})).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.world.get(path, &[("authorization", &self.bearer)]).await
    }
}

/// A check-in of an agent that runs `config`.
async fn check_in(world: &World, agent: &TestAgent, config: u64) -> IngestAnswer {
    let header = BatchHeader { count: 0, first: Seq(0), config, ..agent.header(&[], &[], T0) };
    let mut envelope = world.envelope(agent, &[]);
    envelope.header = sign::seal(header, world.app.mesh.id(), &agent.key).signed().clone();
    let answer = world.post_batch(codec::encode(&envelope)).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    serde_json::from_slice(&answer.body).expect("the answer of the protocol")
}

fn opened(world: &World, text: &str) -> MeshConfig {
    let signed = mesh_config::from_text(text).expect("readable");
    world.app.mesh.trust().open_config(signed, &Ed25519).expect("signed by the config key").document().clone()
}

#[tokio::test]
async fn a_change_is_signed_given_to_agents_and_acknowledged() {
    let world = World::new().await;
    let operator = Operator::of(&world).await;
    let agent = world.agent(1);
    world.ingest(&agent, &[block(5, 1, vec![window(agent.id(), T0, Some(700))])]).await;
    assert_eq!(check_in(&world, &agent, 0).await.config, None, "there is nothing to tell");

    let shown = operator.get("/api/v1/config").await;
    assert_eq!((shown.json()["version"].as_u64(), shown.headers["etag"].to_str().expect("text")), (Some(0), "\"0\""));
    assert_eq!(shown.json()["config"]["probe"]["interval"], "5s");
    let answer = operator.put("\"0\"", &json!({"probe": {"interval": "2s"}})).await;
    assert_eq!((answer.status.as_u16(), answer.headers["etag"].to_str().expect("text")), (200, "\"1\""), "{answer:?}");
    assert_eq!(answer.json()["changes"], json!([{"path": "probe.interval", "from": "5s", "to": "2s"}]));

    let told = check_in(&world, &agent, 0).await.config.expect("there is one");
    let config = opened(&world, &told);
    assert_eq!((config.version, config.probe.interval_ms, config.made), (1, 2_000, T0));
    assert_eq!(check_in(&world, &agent, 1).await.config, None, "it runs it");
    let batch = world.ingest(&agent, &[block(6, 1, vec![window(agent.id(), T0, Some(700))])]).await;
    assert!(batch.config.is_some(), "with results, too: this one says that it runs none");
    assert_eq!(check_in(&world, &agent, CONFIG_UNKNOWN).await.config, None, "it could not read it");
    check_in(&world, &agent, 1).await;

    let state = operator.get("/api/v1/config/agents").await.json();
    assert_eq!((state["version"].as_u64(), state["current"].as_u64()), (Some(1), Some(1)), "{state}");
    assert_eq!(state["agents"][0]["name"], "a1");
    let audit = world.get("/api/v1/audit", &[("authorization", &world.bearer(Role::Admin).await)]).await.json();
    let entry = audit["entries"].as_array().expect("a list").iter().find(|entry| entry["action"] == "config.change");
    assert_eq!(entry.expect("logged")["subject"], "version 1");
}

#[tokio::test]
async fn an_agent_of_the_version_before_is_served_as_before() {
    let world = World::new().await;
    let operator = Operator::of(&world).await;
    operator.put("\"0\"", &json!({"window": "20s"})).await;
    let agent = world.agent(1);
    let blocks = [block(5, 1, vec![window(agent.id(), T0, Some(700))])];
    let mut envelope = world.envelope(&agent, &blocks);
    let BatchHeader { agent: id, epoch, first, count, body_hash, boot, sent, .. } =
        agent.header(&blocks, &envelope.body, T0);
    let old = BatchHeaderV2 { agent: id, epoch, first, count, body_hash, boot, sent };
    envelope.header = sign::seal(old, world.app.mesh.id(), &agent.key).signed().clone();
    let answer = world.post_batch(codec::encode(&envelope)).await;
    assert_eq!((answer.status.as_u16(), answer.json()["config"].clone()), (200, Value::Null));
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once_and_nothing_is_changed() {
    let world = World::new().await;
    let operator = Operator::of(&world).await;
    let wrong = json!({
        "probe": {"interval": "500ms", "timeout": "soon"},
        "endpoints": [{"name": "x", "address": "224.0.0.1"}],
    });
    let answer = operator.put("\"0\"", &wrong).await;
    assert_eq!(answer.problem(), (400, "invalid_config".to_owned()));
    let faults = answer.json()["faults"].clone();
    let paths: Vec<_> = faults.as_array().expect("a list").iter().map(|fault| fault["path"].as_str()).collect();
    assert_eq!(paths, [Some("probe.timeout"), Some("probe.interval"), Some("endpoints[0].address")]);
    assert!(answer.json()["detail"].as_str().expect("text").contains("probe.interval: must be from 1s to 60s."));
    assert_eq!(operator.put("\"0\"", &json!({"prob": {}})).await.problem().1, "unreadable_json");
    let long = json!({"config": {}, "why": "x".repeat(257)});
    assert_eq!(operator.ask(Method::PUT, "/api/v1/config", "\"0\"", &long).await.problem().1, "invalid_config");
    assert_eq!(operator.put("", &json!({})).await.problem(), (428, "if_match_needed".to_owned()));
    assert_eq!(operator.put("0", &json!({})).await.problem(), (400, "invalid_parameter".to_owned()));
    let maybe = operator.ask(Method::PUT, "/api/v1/config?dry_run=maybe", "\"0\"", &json!({"config": {}})).await;
    assert_eq!(maybe.problem(), (400, "invalid_parameter".to_owned()));
    assert_eq!(operator.get("/api/v1/config").await.json()["version"], 0);
    // Past the limit of other routes, within that of this one, and past that.
    let tags: Vec<String> = (0..16).map(|n| format!("{n}{}", "x".repeat(60))).collect();
    let many = |count| (0..count).map(|n| json!({"agent": format!("a{n}"), "tags": tags})).collect::<Vec<_>>();
    assert_eq!(operator.put("\"0\"", &json!({"agents": many(100)})).await.problem().1, "invalid_config", "too long");
    assert_eq!(operator.put("\"0\"", &json!({"agents": many(1_000)})).await.problem().1, "body_too_large");
}

#[tokio::test]
async fn who_changes_it_must_have_read_what_is_in_force() {
    let world = World::new().await;
    let operator = Operator::of(&world).await;
    assert_eq!(operator.put("\"0\"", &json!({"window": "20s"})).await.status, 200);
    assert_eq!(operator.put("\"0\"", &json!({"window": "30s"})).await.problem(), (412, "changed_meanwhile".to_owned()));
    assert_eq!(operator.put("\"1\"", &json!({"window": "30s"})).await.json()["version"], 2);
    let same = operator.put("\"2\"", &json!({"window": "30s"})).await.json();
    assert_eq!((same["version"].as_u64(), same["changes"].clone()), (Some(2), json!([])), "nothing to change");
}

#[tokio::test]
async fn a_dry_run_says_what_would_change_and_cost_and_changes_nothing() {
    let world = World::new().await;
    let operator = Operator::of(&world).await;
    for number in 1..=9 {
        let agent = world.agent(number);
        world.ingest(&agent, &[block(5, 1, vec![window(agent.id(), T0, Some(700))])]).await;
    }
    let wish = json!({"config": {
        "probe": {"interval": "1s"}, "endpoints": [{"name": "gateway", "address": "192.0.2.1"}],
        "exclude": [{"between": ["agent:a1", "agent:a2"]}],
    }});
    let answer = operator.ask(Method::PUT, "/api/v1/config?dry_run=true", "", &wish).await.json();
    assert_eq!((answer["dry_run"].clone(), answer["version"].clone()), (json!(true), json!(1)));
    let cost = |agent_pairs: u64, endpoint_pairs: u64, packets: f64, rows: f64| json!({"agent_pairs": agent_pairs, "endpoint_pairs": endpoint_pairs, "packets_per_s": packets, "rows_per_s": rows});
    assert_eq!(answer["cost_before"], cost(72, 0, 14.4, 7.2));
    assert_eq!(answer["cost_after"], cost(70, 5, 75.0, 7.5));
    assert_eq!(answer["warnings"], json!([]));
    let slip = json!({"config": {"exclude": [{"between": ["agent:a1", "agent:a-2"]}]}});
    let answer = operator.ask(Method::PUT, "/api/v1/config?dry_run=true", "", &slip).await.json();
    assert_eq!(answer["warnings"][0]["path"], "exclude[0].between[1]", "{answer}");
    let said = answer["warnings"][0]["message"].as_str().expect("text");
    assert!(said.starts_with("`agent:a-2` fits none of the 9 agents"), "{said}");
    assert_eq!(operator.get("/api/v1/config").await.json()["version"], 0);
    assert_eq!(operator.get("/api/v1/config/versions").await.json()["versions"], json!([]));
}

#[tokio::test]
async fn going_back_makes_a_new_version_with_the_old_contents() {
    let world = World::new().await;
    let operator = Operator::of(&world).await;
    operator.put("\"0\"", &json!({"window": "20s"})).await;
    operator.put("\"1\"", &json!({"window": "30s"})).await;
    let back = async |version: &str, if_match: &str, query: &str| {
        let path = format!("/api/v1/config/versions/{version}/rollback{query}");
        operator.ask(Method::POST, &path, if_match, &json!({"why": "too slow"})).await
    };
    assert_eq!(back("1", "", "").await.problem(), (428, "if_match_needed".to_owned()));
    assert_eq!(back("9", "\"2\"", "").await.problem(), (404, "no_such_version".to_owned()));
    assert_eq!(back("x", "\"2\"", "").await.problem(), (404, "no_such_version".to_owned()));
    assert_eq!(back("1", "\"1\"", "").await.problem(), (412, "changed_meanwhile".to_owned()));
    assert_eq!(back("1", "", "?dry_run=true").await.json()["version"], 3);
    assert_eq!(back("1", "\"2\"", "").await.json()["version"], 3);
    let shown = operator.get("/api/v1/config").await.json();
    assert_eq!((shown["config"]["window"].as_str(), shown["copy_of"].as_u64()), (Some("20s"), Some(1)));
    let versions = operator.get("/api/v1/config/versions?limit=2").await.json();
    let numbers: Vec<_> =
        versions["versions"].as_array().expect("a list").iter().map(|one| one["version"].as_u64()).collect();
    assert_eq!(numbers, [Some(3), Some(2)]);
    assert_eq!(operator.get("/api/v1/config/versions?before=2").await.json()["versions"][0]["version"], 1);
    assert_eq!(operator.get("/api/v1/config/versions/2").await.json()["config"]["window"], "30s");
    assert_eq!(operator.get("/api/v1/config/versions/7").await.problem().0, 404);
    assert_eq!(operator.get("/api/v1/config/versions?limit=0").await.problem().0, 400);
    let agent = world.agent(1);
    assert_eq!(opened(&world, &check_in(&world, &agent, 2).await.config.expect("newer")).window_ms, 20_000);
}

/// The database came back from a backup, and agents run versions that it has forgotten. Numbers must go on above theirs, or they
/// would refuse every change; a member that lies must not use them up.
#[tokio::test]
async fn numbers_go_on_above_what_agents_run_unless_that_cannot_be() {
    let world = World::new().await;
    let operator = Operator::of(&world).await;
    let (honest, liar) = (world.agent(1), world.agent(2));
    for agent in [&honest, &liar] {
        world.ingest(agent, &[block(5, 1, vec![window(agent.id(), T0, Some(700))])]).await;
    }
    check_in(&world, &honest, 41).await;
    check_in(&world, &liar, CLAIM_AHEAD_MAX + 1).await;
    world.app.configs.keep_told(&world.app).await.expect("kept");
    assert_eq!(operator.put("\"0\"", &json!({"window": "20s"})).await.json()["version"], 42);
}

#[tokio::test]
async fn another_process_on_the_database_is_noticed() {
    let world = World::new().await;
    let other = World::on(world.folder.clone(), world.clock.clone()).await;
    Operator::of(&other).await.put("\"0\"", &json!({"endpoints": [{"name": "gateway", "address": "192.0.2.1"}]})).await;
    let agent = world.agent(1);
    assert_eq!(check_in(&world, &agent, 0).await.config, None, "not asked yet");
    world.app.configs.refresh(&world.app).await.expect("read");
    assert!(check_in(&world, &agent, 0).await.config.is_some());
}

#[tokio::test]
async fn endpoints_stand_behind_the_agents_and_sites_and_tags_are_those_of_the_configuration() {
    let world = World::new().await;
    let operator = Operator::of(&world).await;
    let agent = world.agent(1);
    let id = endpoint_id(&world.app.mesh.id(), "gateway");
    world.ingest(&agent, &[block(5, 1, vec![window(agent.id(), T0, Some(700))])]).await;
    let config = json!({
        "endpoints": [{"name": "gateway", "address": "gateway.example"}],
        "agents": [{"agent": "a1", "site": "north", "tags": ["web"]}],
    });
    assert_eq!(operator.put("\"0\"", &config).await.status, 200);
    world.ingest(&agent, &[block(6, 1, vec![window(id, T0, Some(900))])]).await;
    let agents = operator.get("/api/v1/agents").await.json();
    let short: Vec<_> = agents["agents"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| json!([one["index"], one["name"], one["site"], one["kind"], one["tags"], one["addresses"]]))
        .collect();
    let expected = [
        json!([0, "a1", "north", "agent", ["web"], []]),
        json!([1, "gateway", "endpoints", "endpoint", [], ["gateway.example"]]),
    ];
    assert_eq!(short, expected);
    let matrix = operator.get("/api/v1/matrix").await.json();
    assert_eq!(matrix["agents"][1]["name"], "gateway");
    assert_eq!((matrix["cells"][0]["target"].as_u64(), matrix["cells"][0]["rtt_us"].as_u64()), (Some(1), Some(900)));
    assert_eq!(operator.get("/api/v1/pairs/a1/gateway/series").await.status, 200);
    assert_eq!(operator.get("/api/v1/pairs/a1/gatewa/series").await.status, 404);
}

#[tokio::test]
async fn without_the_key_nothing_is_changed_and_it_is_said_why() {
    let world = World::new().await;
    std::fs::remove_file(world.folder.path().join("keys/config.key")).expect("taken away");
    let world = World::on(world.folder.clone(), world.clock.clone()).await;
    let operator = Operator::of(&world).await;
    assert_eq!(operator.put("\"0\"", &json!({"window": "20s"})).await.problem(), (409, "no_config_key".to_owned()));
}

#[tokio::test]
async fn a_check_in_stores_nothing_and_must_be_signed() {
    let world = World::new().await;
    let agent = world.agent(1);
    check_in(&world, &agent, 0).await;
    let operator = Operator::of(&world).await;
    assert_eq!(operator.get("/api/v1/agents").await.json()["agents"], json!([]));
    let mut envelope = world.envelope(&agent, &[]);
    envelope.header.signature.0[0] ^= 1;
    let answer =
        world.call(Method::POST, "/api/v1/ingest", &[("content-type", CONTENT_TYPE)], codec::encode(&envelope)).await;
    assert_eq!(answer.problem(), (401, "bad_signature".to_owned()));
}

const REFERENCE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/mesh-config.md"));

fn keys(path: &str, value: &Value, found: &mut std::collections::BTreeSet<String>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| keys(&below(name), value, found)),
        Value::Array(items) => {
            found.insert(path.to_owned());
            items.iter().filter(|item| item.is_object()).for_each(|item| keys(&format!("{path}[]"), item, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => drop(found.insert(path.to_owned())),
    }
}

/// The example in the reference has every key, can be used, and each key has a row.
#[test]
fn the_reference_has_every_key() {
    let (_, rest) = REFERENCE.split_once("```yaml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let text = aggregator::mesh_config::yaml::read(example).expect("of the right form");
    text.read().expect("without a fault");
    let mut in_example = std::collections::BTreeSet::new();
    keys("", &serde_json::to_value(&text).expect("JSON"), &mut in_example);
    let rows =
        REFERENCE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(key, _)| key.to_owned()));
    assert_eq!(rows.collect::<std::collections::BTreeSet<_>>(), in_example);
    let usual = serde_json::to_value(aggregator::mesh_config::text::ConfigText::default()).expect("JSON");
    for (key, default) in [("interval", &usual["probe"]["interval"]), ("window", &usual["window"])] {
        let default = default.as_str().expect("text");
        assert!(REFERENCE.contains(&format!("{key}` | `{default}`")), "{key} is {default}");
    }
}
