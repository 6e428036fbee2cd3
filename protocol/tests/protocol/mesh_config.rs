//! What a mesh is told to measure: the check finds everything at once, and all agents work out the same.

use everypath_protocol::id::{AgentId, MeshId, PublicKey};
use everypath_protocol::mesh_config::plan::{endpoint_id, observers};
use everypath_protocol::mesh_config::{
    AGENTS_MAX, AgentConfig, ENDPOINTS_MAX, Endpoint, Exclusion, MeshConfig, ProbeConfig, Selector, Subject,
    address_fault, from_text, to_text,
};
use everypath_protocol::sign::{Ed25519, Refused, SecretKey, Signer, seal};
use everypath_protocol::trust::{Delegation, Trust, mesh_of};

fn endpoint(name: &str, address: &str, observers: &[&str]) -> Endpoint {
    let observers = observers.iter().map(|text| Selector::parse(text).unwrap()).collect();
    Endpoint { name: name.to_owned(), address: address.to_owned(), observers }
}

fn faults(config: &MeshConfig) -> Vec<String> {
    config.faults().iter().map(ToString::to_string).collect()
}

#[test]
fn what_agents_do_by_themselves_has_no_fault() {
    assert_eq!(faults(&MeshConfig::usual()), Vec::<String>::new());
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let mut config = MeshConfig::usual();
    config.probe = ProbeConfig { interval_ms: 900, timeout_ms: 90 };
    config.window_ms = 11_000;
    config.cells.down_after_losses = 0;
    config.cells.stale_after_intervals = 1;
    config.endpoints = vec![
        endpoint("gate way", "224.0.0.1", &["site:a b"]),
        endpoint("b", "2001:db8:0::1", &[]),
        endpoint("b", "2001:DB8::1", &[]),
    ];
    config.agents = vec![AgentConfig { agent: "a".into(), site: Some(String::new()), tags: vec!["x y".into()] }; 2];
    config.exclude = vec![Exclusion { one: Selector::All, other: Selector::Agent(String::new()) }];
    let said = faults(&config);
    for expected in [
        "probe.interval: must be from 1s to 60s",
        "probe.timeout: must be from 100ms up to probe.interval",
        "window: must be 10s, 12s",
        "cells.down_after_losses: must be from 1 to 12",
        "cells.stale_after_intervals: must be from 2 to 20",
        "endpoints[0].name: must be 1 to 64 letters",
        "endpoints[0].address: 224.0.0.1 is a multicast address",
        "endpoints[0].observers[0]: the name in `site:a b`",
        "endpoints[2].name: `b` is there twice",
        "endpoints[2].address: `2001:DB8::1` is there twice",
        "agents[0].site: must be",
        "agents[0].tags[0]: must be",
        "agents[1].agent: `a` is there twice",
        "exclude[0].between[1]: the name in `agent:`",
    ] {
        assert!(said.iter().any(|one| one.starts_with(expected)), "{expected:?} is not in {said:#?}");
    }
}

#[test]
fn lists_and_the_whole_are_bounded() {
    let mut config = MeshConfig::usual();
    let address = |place: usize| format!("192.0.2.{place}");
    config.endpoints = (1..=ENDPOINTS_MAX + 1).map(|n| endpoint(&format!("e{n}"), &address(n), &[])).collect();
    assert_eq!(faults(&config), ["endpoints: has 49 entries and may have 48"]);
    config.endpoints.pop();
    let entry = |place| AgentConfig { agent: format!("agent-{place}"), site: Some("s".repeat(64)), tags: vec![] };
    config.agents = (0..AGENTS_MAX).map(entry).collect();
    let said = faults(&config);
    assert!(said.len() == 1 && said[0].starts_with("the whole is ") && said[0].ends_with("may have 65536"), "{said:?}");
    config.agents = vec![AgentConfig { agent: "x y".into(), site: None, tags: vec![] }; 1_000];
    assert_eq!(config.faults().len(), 64, "a mistake that was made a thousand times is told a few times");
}

#[test]
fn addresses_are_of_hosts_and_nothing_else() {
    for good in ["192.0.2.1", "2001:db8::1", "gateway", "a-b.example.net", "example.net.", "_x.example"] {
        assert_eq!(address_fault(good), None, "{good}");
    }
    for bad in [
        "",
        ".",
        "a..b",
        "-a",
        "a-",
        "256.1.1.1",
        "1.2.3",
        "a b",
        "http://a",
        "a:80",
        "127.0.0.1",
        "::1",
        "0.0.0.0",
        "::",
        "255.255.255.255",
        "239.1.1.1",
        "ff02::1",
        "0.1.2.3",
        "250.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:224.0.0.1",
        "ä.de",
    ] {
        assert!(address_fault(bad).is_some(), "{bad}");
    }
    assert!(address_fault(&"a.".repeat(127)).is_some(), "254 bytes");
}

#[test]
fn selectors_say_what_they_read() {
    for text in ["all", "site:alpha", "tag:web", "agent:alpha-1"] {
        assert_eq!(Selector::parse(text).unwrap().to_string(), text);
    }
    for text in ["", "alpha", "host:a", "ALL"] {
        assert_eq!(Selector::parse(text), None, "{text}");
    }
}

const MESH: MeshId = MeshId([7; 32]);

fn id(number: u32) -> AgentId {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    AgentId(bytes)
}

fn subjects(config: &MeshConfig, count: u32) -> Vec<Subject<'_>> {
    let site = |number: u32| if number.is_multiple_of(2) { "even" } else { "odd" };
    (0..count).map(|number| config.subject(id(number), "somebody", site(number))).collect()
}

/// X10: a thousand agents are told to measure one host a million times a second.
#[test]
fn at_most_five_of_a_thousand_observe_one_host_and_each_once_a_second_at_most() {
    let mut config = MeshConfig::usual();
    config.endpoints = vec![endpoint("victim", "198.51.100.1", &[])];
    config.probe.interval_ms = 0;
    assert!(!config.faults().is_empty(), "a million packets a second are no configuration");
    config.probe.interval_ms = 1_000;
    config.probe.timeout_ms = 1_000;
    assert_eq!(config.faults(), []);
    let all = subjects(&config, 1_000);
    let chosen = observers(&config.endpoints[0], &MESH, all.iter().copied());
    assert_eq!(chosen.len(), 5);
    let cost = config.cost(&MESH, &all);
    assert_eq!((cost.endpoint_pairs, cost.agent_pairs), (5, 64_000));
}

#[test]
fn observers_do_not_depend_on_the_order_in_which_agents_are_known_and_change_little() {
    let config = MeshConfig::usual();
    let gateway = endpoint("gateway", "192.0.2.1", &["site:odd"]);
    let mut all = subjects(&config, 100);
    let chosen = observers(&gateway, &MESH, all.iter().copied());
    all.reverse();
    all.extend_from_within(..10);
    assert_eq!(observers(&gateway, &MESH, all.iter().copied()), chosen, "also when some are told twice");
    let is_odd = |agent: &AgentId| agent.0[3] % 2 == 1;
    assert!(chosen.len() == 5 && chosen.iter().all(is_odd), "{chosen:?}");
    let without_first: Vec<_> = all.iter().copied().filter(|subject| subject.id != chosen[0]).collect();
    let then = observers(&gateway, &MESH, without_first);
    assert_eq!(then[..4], chosen[1..], "the others go on");
    let other = endpoint("other", "192.0.2.2", &["site:odd"]);
    assert_ne!(observers(&other, &MESH, all), chosen, "not all endpoints are observed by the same five");
    assert_ne!(endpoint_id(&MESH, "gateway"), endpoint_id(&MeshId([8; 32]), "gateway"));
}

#[test]
fn a_site_and_tags_of_the_document_count_for_everything_and_a_key_wins_over_a_name() {
    let mut config = MeshConfig::usual();
    let entry = |agent: String, site: &str| AgentConfig { agent, site: Some(site.into()), tags: vec!["web".into()] };
    config.agents = vec![entry("alpha-1".into(), "by-name"), entry(id(1).to_string(), "by-key")];
    assert_eq!(config.subject(id(1), "alpha-1", "own").site, "by-key");
    assert_eq!(config.subject(id(2), "alpha-1", "own").site, "by-name");
    assert_eq!(config.subject(id(3), "alpha-2", "own").site, "own");
    let one = config.subject(id(1), "alpha-1", "own");
    let other = config.subject(id(3), "alpha-2", "own");
    assert!(!config.is_excluded(&one, &other));
    let mut excluding = config.clone();
    excluding.exclude = vec![Exclusion { one: Selector::Site("own".into()), other: Selector::Tag("web".into()) }];
    assert!(excluding.is_excluded(&one, &other) && excluding.is_excluded(&other, &one));
    assert!(!excluding.is_excluded(&one, &one) && !excluding.is_excluded(&other, &other));
    assert_eq!(excluding.cost(&MESH, &[one, other]).agent_pairs, 0);
    assert_eq!(config.cost(&MESH, &[one, other]).packets_per_s_milli, 400);
}

#[test]
fn only_a_config_key_may_sign_one_and_only_without_faults() {
    let [root, key, issuer] = [1, 9, 2].map(|seed| SecretKey::from_seed(&[seed; 32]));
    let mesh = mesh_of(&root.public());
    let delegation = Delegation { version: 1, issuers: vec![issuer.public()], config: vec![key.public()] };
    let trust = Trust::new(mesh, seal(delegation, mesh, &root));
    let good = MeshConfig { version: 3, ..MeshConfig::usual() };
    let signed = |config: &MeshConfig, key| seal(config.clone(), mesh, key).signed().clone();
    assert_eq!(trust.open_config(signed(&good, &key), &Ed25519).unwrap().document(), &good);
    assert_eq!(
        trust.open_config(signed(&good, &issuer), &Ed25519),
        Err(Refused::NotAllowed),
        "an issuer is no config key"
    );
    let faulty = MeshConfig { window_ms: 1, ..good.clone() };
    assert_eq!(trust.open_config(signed(&faulty, &key), &Ed25519), Err(Refused::NotAllowed));
    let mut forged = signed(&good, &key);
    forged.body[0] ^= 1;
    assert_eq!(trust.open_config(forged.clone(), &Ed25519), Err(Refused::BadSignature));
    forged.author = PublicKey([0; 32]);
    assert_eq!(trust.open_config(forged, &Ed25519), Err(Refused::NotAllowed));
    let elsewhere = seal(good.clone(), MESH, &key).signed().clone();
    assert_eq!(trust.open_config(elsewhere, &Ed25519), Err(Refused::OtherMesh));
    let mut long = signed(&good, &key);
    long.body = vec![0; 64 * 1024 + 1];
    assert!(matches!(trust.open_config(long.clone(), &Ed25519), Err(Refused::Unreadable(_))));
    long.body = vec![0; 128 * 1024];
    assert!(from_text(&to_text(&long)).is_err(), "too long to be looked at");
    assert_eq!(from_text(&to_text(&signed(&good, &key))), Ok(signed(&good, &key)));
    assert!(from_text("*").is_err() && from_text("").is_err());
}
