//! Rules, silences and incidents know what the configuration of the mesh says of agents and endpoints.

use crate::alerts::Mesh;
use everypath_protocol::mesh_config::plan::endpoint_id;
use reqwest::Method;
use serde_json::{Value, json};

async fn configure(mesh: &Mesh, version: u64, config: Value) {
    let headers = [
        ("authorization", mesh.admin.as_str()),
        ("content-type", "application/json"),
        ("if-match", &format!("\"{version}\"")),
    ];
    let body = json!({"config": config}).to_string();
    let answer = mesh.world.call(Method::PUT, "/api/v1/config", &headers, body).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    mesh.world.app.configs.refresh(&mesh.world.app).await.expect("known");
}

fn titles(incidents: &[Value]) -> Vec<&str> {
    incidents.iter().map(|incident| incident["title"].as_str().expect("text")).collect()
}

#[tokio::test]
async fn endpoints_have_their_name_are_in_no_site_and_can_be_silenced() {
    let mut mesh = Mesh::new().await;
    let endpoints = json!([{"name": "gateway", "address": "192.0.2.1"}, {"name": "printer", "address": "192.0.2.2"}]);
    configure(&mesh, 0, json!({"endpoints": endpoints})).await;
    let id = |name: &str| endpoint_id(&mesh.world.app.mesh.id(), name);
    mesh.endpoints = vec![(id("gateway"), true), (id("printer"), true)];
    mesh.run(120).await;
    assert!(mesh.incidents("").await.is_empty(), "they are not silent");
    mesh.endpoints.iter_mut().for_each(|(_, answers)| *answers = false);
    mesh.run(60).await;
    let open = mesh.incidents("?state=open").await;
    let mut told = titles(&open);
    told.sort_unstable();
    assert_eq!(told, ["Host gateway is down", "Host printer is down"], "and no site that is called `endpoints`");
    for incident in &open {
        assert_eq!((&incident["class"], &incident["subject"]), (&json!("host_down"), &json!("agent")));
        assert_eq!((&incident["severity"], &incident["is_ambiguous"]), (&json!("critical"), &json!(false)));
    }
    // By name, and by the site under which the pages show them.
    for (source, covered) in [(json!({"agents": ["gateway"]}), 1), (json!({"sites": ["endpoints"]}), 2)] {
        let silence = json!({
            "scope": {"source": source, "both_ways": true}, "from": "2026-11-22T00:00:00Z",
            "until": "2026-12-01T00:00:00Z", "reason": "new disks",
        });
        let made = mesh.call(Method::POST, "/api/v1/silences", &silence).await;
        assert_eq!(made.status, 201, "{:?}", made.body);
        mesh.run(2).await;
        let open = mesh.incidents("?state=open").await;
        assert_eq!(open.iter().filter(|incident| incident["is_silenced"] == true).count(), covered);
    }
    mesh.endpoints.iter_mut().for_each(|(_, answers)| *answers = true);
    mesh.run(90).await;
    assert!(mesh.incidents("?state=open").await.is_empty());
    // A host that is down takes what it says of endpoints with it.
    mesh.down.insert(4);
    mesh.run(60).await;
    assert_eq!(titles(&mesh.incidents("?state=open").await), ["Host a5 is down"]);
}

#[tokio::test]
async fn tags_and_sites_of_the_configuration_reach_rules_and_incidents() {
    let mut mesh = Mesh::new().await;
    // One rule alone, for a tag that nobody has yet.
    let rules = mesh.get("/api/v1/alert-rules").await;
    let mut unreachable = rules["rules"][0]["rule"].clone();
    for rule in rules["rules"].as_array().expect("a list") {
        let path = format!("/api/v1/alert-rules/{}", rule["id"]);
        assert_eq!(mesh.call(Method::DELETE, &path, &json!({})).await.status, 204);
    }
    unreachable["scope"] = json!({"target": {"tags": ["edge"]}, "both_ways": true});
    assert_eq!(mesh.call(Method::POST, "/api/v1/alert-rules", &unreachable).await.status, 201);
    mesh.down.insert(4);
    mesh.run(60).await;
    assert!(mesh.incidents("").await.is_empty(), "nobody has the tag");
    configure(&mesh, 0, json!({"agents": [{"agent": "a5", "tags": ["edge"]}]})).await;
    mesh.run(60).await;
    assert_eq!(titles(&mesh.incidents("?state=open").await), ["Host a5 is down"]);
    mesh.down.clear();
    mesh.run(100).await;
    assert!(mesh.incidents("?state=open").await.is_empty());

    // Two sites, of which no certificate knows anything, and what crosses between them.
    let sites = [("a1", "north"), ("a2", "north"), ("a3", "north"), ("a4", "south"), ("a5", "south")];
    let agents: Vec<_> = sites.iter().map(|(agent, site)| json!({"agent": agent, "site": site})).collect();
    configure(&mesh, 1, json!({"agents": agents})).await;
    let mut rule = unreachable.clone();
    rule["scope"] = json!({"source": {"sites": ["north"]}, "target": {"sites": ["south"]}, "both_ways": true});
    assert_eq!(mesh.call(Method::POST, "/api/v1/alert-rules", &rule).await.status, 201);
    mesh.is_cut = |one, other| (one < 3) != (other < 3);
    mesh.run(60).await;
    let open = mesh.incidents("?state=open").await;
    assert_eq!(titles(&open), ["Probes between site north and site south fail"]);
    assert_eq!(open[0]["sites"], json!(["north", "south"]));
}
