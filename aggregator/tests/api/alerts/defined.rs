//! What people define and answer: channels, rules, silences, acknowledgements.

use super::Mesh;
use crate::sinks::WebSink;
use axum::http::Method;
use serde_json::json;

#[tokio::test]
async fn secrets_go_in_and_never_come_out() {
    let mesh = Mesh::new().await;
    let sink = WebSink::start().await;
    let id = mesh.discord(&sink).await;
    let all = mesh.get("/api/v1/channels").await;
    assert_eq!(all["channels"][0]["target"], json!({"kind": "discord", "origin": sink.url("").trim_end_matches('/')}));
    assert!(!all.to_string().contains("token"));
    let file = std::fs::read(mesh.world.folder.path().join("everypath.sqlite")).expect("there");
    let wal = std::fs::read(mesh.world.folder.path().join("everypath.sqlite-wal")).unwrap_or_default();
    for bytes in [file, wal] {
        assert!(!bytes.windows(14).any(|part| part == b"webhooks/1/tok"), "it lies in the open");
    }
    // Without the address, the one that is kept stays, also under another name.
    let body = json!({"version": 1, "channel": {"name": "renamed", "enabled": true, "repeat_s": 600, "target": {"kind": "discord"}}});
    let answer = mesh.call(Method::PUT, &format!("/api/v1/channels/{id}"), &body).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let tried = mesh.call(Method::POST, &format!("/api/v1/channels/{id}/test"), &json!({})).await.json();
    assert_eq!(tried["sent"], true, "{tried}");
    assert_eq!(sink.taken()[0].line(), "POST /api/webhooks/1/token?wait=true");
    let stale = mesh.call(Method::PUT, &format!("/api/v1/channels/{id}"), &body).await;
    assert_eq!(stale.problem(), (409, "changed_meanwhile".into()));
}

#[tokio::test]
async fn a_password_does_not_follow_its_channel_to_another_server() {
    let mesh = Mesh::new().await;
    let settings = |host: &str| json!({"host": host, "port": 465, "security": "tls", "user": "u", "from": "e@mesh.test", "to": ["a@mesh.test"]});
    let target = json!({"kind": "mail", "settings": settings("mail.test"), "password": "hunter2"});
    let id = mesh.channel("mail", target).await;
    let change = async |host: &str, version: i64| {
        let target = json!({"kind": "mail", "settings": settings(host)});
        let channel = json!({"name": "mail", "enabled": true, "repeat_s": 0, "target": target});
        let body = json!({"version": version, "channel": channel});
        mesh.call(Method::PUT, &format!("/api/v1/channels/{id}"), &body).await
    };
    let moved = change("evil.test", 1).await;
    assert_eq!(moved.problem(), (400, "invalid_channel".into()));
    assert!(String::from_utf8_lossy(&moved.body).contains("must be given again"));
    assert_eq!(change("mail.test", 1).await.status, 200);
}

#[tokio::test]
async fn everything_wrong_with_a_channel_a_rule_or_a_silence_is_said_at_once() {
    let mesh = Mesh::new().await;
    let sink = WebSink::start().await;
    mesh.discord(&sink).await;
    let settings = json!({"host": "a b", "port": 0, "security": "none", "user": "u", "from": "x", "to": [], "ca": "x"});
    let target = json!({"kind": "mail", "settings": settings});
    let channel = json!({"name": "", "enabled": true, "repeat_s": 5, "target": target});
    let rule = json!({
        "name": "", "enabled": true, "condition": {"kind": "loss", "above_permille": 2000, "below_permille": 3000},
        "scope": {"source": {"agents": ["nobody"]}}, "for_s": 0, "clear_for_s": 0, "severity": "bad", "channels": [1, 7],
    });
    let silence = json!({"from": "x", "until": "y", "reason": ""});
    let of_channel = "name repeat_s target.settings.host target.settings.port target.settings.security target.password \
                      target.settings.from target.settings.to target.settings.ca";
    let of_rule = "severity scope.source.agents[0] name condition.above_permille condition.below_permille channels[1]";
    for (path, body, code, paths) in [
        ("channels", channel, "invalid_channel", of_channel),
        ("alert-rules", rule, "invalid_rule", of_rule),
        ("silences", silence, "invalid_silence", "from until reason"),
    ] {
        let answer = mesh.call(Method::POST, &format!("/api/v1/{path}"), &body).await;
        assert_eq!(answer.problem(), (400, code.into()));
        assert_eq!(answer.fault_paths().join(" "), paths);
    }
    let nobody =
        json!({"host": "mail.test", "port": 465, "security": "tls", "from": "e@mesh.test", "to": ["o@mesh.test"]});
    let target = json!({"kind": "mail", "settings": nobody, "password": "hunter2"});
    let channel = json!({"name": "m", "enabled": true, "repeat_s": 0, "target": target});
    let answer = mesh.call(Method::POST, "/api/v1/channels", &channel).await;
    assert_eq!((answer.status.as_u16(), answer.fault_paths().join(" ")), (400, "target.settings.user".to_owned()));
    let unknown = mesh.call(Method::POST, "/api/v1/alert-rules", &json!({"nme": 1})).await;
    assert_eq!(unknown.problem(), (400, "unreadable_json".into()));
}

#[tokio::test]
async fn rules_and_silences_are_made_changed_and_deleted() {
    let mut mesh = Mesh::new().await;
    let rules = mesh.get("/api/v1/alert-rules").await;
    assert_eq!(rules["rules"].as_array().map(Vec::len), Some(3), "those that are there from the beginning");
    let mut rule = rules["rules"][0]["rule"].clone();
    rule["scope"]["source"]["agents"] = json!(["a1"]);
    rule["name"] = json!("mine");
    let made = mesh.call(Method::POST, "/api/v1/alert-rules", &rule).await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    let made = made.json();
    let key = made["rule"]["scope"]["source"]["agents"][0].as_str().expect("text").to_owned();
    assert_eq!(key.len(), 64, "a name is kept as the key that it stands for");
    let path = format!("/api/v1/alert-rules/{}", made["id"]);
    rule["enabled"] = json!(false);
    let changed = mesh.call(Method::PUT, &path, &json!({"version": 1, "rule": rule})).await;
    assert_eq!(changed.json()["version"], 2);
    let stale = mesh.call(Method::PUT, &path, &json!({"version": 1, "rule": rule})).await;
    assert_eq!(stale.problem(), (409, "changed_meanwhile".into()));
    assert_eq!(mesh.call(Method::DELETE, &path, &json!({})).await.status, 204);
    assert_eq!(mesh.call(Method::DELETE, &path, &json!({})).await.problem(), (404, "unknown_rule".into()));

    let silence = json!({
        "scope": {"source": {"agents": ["a5"]}, "both_ways": true}, "from": "2026-11-23T00:00:00Z",
        "until": "2026-11-23T00:10:00Z", "reason": "new disks", "maintenance": true,
    });
    let made = mesh.call(Method::POST, "/api/v1/silences", &silence).await.json();
    assert_eq!((&made["state"], &made["version"]), (&json!("active"), &json!(1)));
    let sink = WebSink::start().await;
    mesh.discord(&sink).await;
    mesh.down.insert(4);
    mesh.run(60).await;
    mesh.send().await;
    let incident = &mesh.incidents("?state=open").await[0];
    assert_eq!((&incident["is_silenced"], &incident["silences"]), (&json!(true), &json!([made["id"]])));
    assert!(sink.taken().is_empty());
    assert_eq!(mesh.call(Method::DELETE, &format!("/api/v1/silences/{}", made["id"]), &json!({})).await.status, 204);
    mesh.run(2).await;
    mesh.send().await;
    assert_eq!(sink.taken().len(), 1, "without the silence it is told");
    let past = json!({"from": "2026-11-22T00:00:00Z", "until": "2026-11-22T01:00:00Z", "reason": "x"});
    assert_eq!(mesh.call(Method::POST, "/api/v1/silences", &past).await.problem(), (400, "invalid_silence".into()));
}

#[tokio::test]
async fn an_incident_is_acknowledged_and_taken_back() {
    let mut mesh = Mesh::new().await;
    mesh.down.insert(4);
    mesh.run(60).await;
    let id = mesh.incidents("").await[0]["id"].as_str().expect("text").to_owned();
    let path = format!("/api/v1/incidents/{id}/acknowledgement");
    let answer = mesh.call(Method::PUT, &path, &json!({"note": "looking"})).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    mesh.run(3).await;
    let shown = mesh.get(&format!("/api/v1/incidents/{id}")).await;
    let ack = &shown["acknowledgement"];
    assert!(ack["by"].as_str().is_some_and(|by| by.starts_with("admin-")), "{ack}");
    assert_eq!(ack["note"], "looking");
    assert_eq!(mesh.call(Method::DELETE, &path, &json!({})).await.status, 204);
    assert!(mesh.get(&format!("/api/v1/incidents/{id}")).await["acknowledgement"].is_null());
    for path in
        ["/api/v1/incidents/x/acknowledgement", &format!("/api/v1/incidents/{}/acknowledgement", "0".repeat(32))]
    {
        assert_eq!(mesh.call(Method::PUT, path, &json!({})).await.problem(), (404, "unknown_incident".into()));
    }
    mesh.down.clear();
    mesh.run(90).await;
    assert_eq!(
        mesh.call(Method::PUT, &path, &json!({})).await.problem(),
        (404, "unknown_incident".into()),
        "it is over"
    );
}

#[tokio::test]
async fn incidents_are_paged_and_filtered() {
    let mut mesh = Mesh::new().await;
    for host in [4, 3, 2] {
        mesh.down.insert(host);
        mesh.run(60).await;
        mesh.down.clear();
        mesh.run(100).await;
    }
    let all = mesh.incidents("").await;
    assert_eq!(all.len(), 3);
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = mesh.get(&format!("/api/v1/incidents?limit=1{cursor}")).await;
        paged.extend(page["incidents"].as_array().expect("a list").clone());
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, all);
    assert_eq!(mesh.incidents("?state=open").await.len(), 0);
    assert_eq!(mesh.incidents("?state=over&severity=critical&class=host_down").await.len(), 3);
    assert_eq!(mesh.incidents("?severity=info").await.len(), 0);
    let middle = all[1]["opened_at"].as_str().expect("text");
    assert_eq!(mesh.incidents(&format!("?from={middle}")).await.len(), 2);
    assert_eq!(mesh.incidents(&format!("?to={middle}")).await.len(), 1);
    let bad = "/api/v1/incidents?state=x&severity=x&class=x&from=x&to=x&limit=0&cursor=x";
    let answer = mesh.world.get(bad, &[("authorization", &mesh.admin)]).await;
    assert_eq!(answer.problem(), (400, "invalid_query".into()));
    assert_eq!(answer.fault_paths(), ["state", "severity", "class", "from", "to", "limit", "cursor"]);
}
