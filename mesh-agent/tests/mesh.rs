//! Whole agents in one process: found, join, find each other, measure, restart.

mod common;

use common::Mesh;
use everypath_protocol::join::JoinRefusal;
use everypath_update::testing::Trial;
use mesh_agent::join::JoinError;
use mesh_agent::status::json::StateJson;
use mesh_agent::store::Store;

fn knows_all_rows(count: usize) -> impl Fn(&StateJson) -> bool {
    move |state| {
        let full = |member: &mesh_agent::status::json::MemberJson| member.cells.len() == count - 1;
        state.members.len() == count && state.members.iter().all(full)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_agents_that_join_by_one_token_see_each_others_rows_and_survive_a_restart() {
    let mesh = Mesh::found(2).await;
    let founder = mesh.start(0).await;
    let mut others = Vec::new();
    for agent in [1, 2] {
        let joined = mesh.join(agent).await.unwrap();
        assert_eq!(joined.name, format!("agent-{agent}"));
        others.push(mesh.start(agent).await);
    }
    for agent in 0..3 {
        let state = mesh.until(agent, "all three rows", knows_all_rows(3)).await;
        assert_eq!(state.members.iter().filter(|member| member.is_connected).count(), 3);
    }
    // Whoever asks again with the same key is the same agent, and spends nothing of a token that is used up.
    mesh.join(1).await.unwrap();
    let late = mesh.join(3).await.unwrap_err();
    assert!(matches!(late, JoinError::Refused(JoinRefusal::UsedUp)), "{late}");

    // The founder goes; the others keep each other, and one that starts again needs only what it remembers.
    founder.stop().await;
    let last = others.pop().unwrap();
    last.stop().await;
    let alone = |state: &StateJson| state.members.iter().filter(|member| member.is_connected).count() == 1;
    mesh.until(1, "nobody else is connected", alone).await;
    let again = mesh.start(2).await;
    let pair = |state: &StateJson| state.members.iter().filter(|member| member.is_connected).count() == 2;
    mesh.until(2, "found the other again without the founder", pair).await;
    again.stop().await;
    for other in others {
        other.stop().await;
    }
    // What was measured is on disk, in two epochs of the agent that was started twice.
    let ledger = Store::ledger_of(&mesh.data_dir(2)).unwrap();
    assert!(ledger.entries.iter().any(|entry| entry.last.0 > 0), "{ledger:?}");
    assert!(ledger.entries.iter().all(|entry| entry.acked.0 == 0 && entry.dropped.is_empty()), "{ledger:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_was_not_invited_or_has_a_taken_name_is_told_why() {
    let mesh = Mesh::found(5).await;
    let founder = mesh.start(0).await;
    let mut forged = mesh.token.clone();
    forged.secret = everypath_protocol::token::TokenSecret([0; 16]);
    let refused = mesh_agent::join::join(&forged, mesh.data_dir(7), "agent-7", "beta").await.unwrap_err();
    assert!(matches!(refused, JoinError::Refused(JoinRefusal::UnknownToken)), "{refused}");
    let taken = mesh_agent::join::join(&mesh.token, mesh.data_dir(8), "agent-0", "beta").await.unwrap_err();
    assert!(matches!(taken, JoinError::Refused(JoinRefusal::NameTaken)), "{taken}");
    founder.stop().await;
    // Nobody there: the answer says where it was tried.
    let nobody = mesh.join(9).await.unwrap_err().to_string();
    assert!(nobody.contains("nobody who could admit this agent was reached"), "{nobody}");
    assert!(nobody.contains(&mesh.token.bootstrap[0]), "{nobody}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_agents_do_not_share_a_directory_and_the_page_is_deaf_to_other_names() {
    let mesh = Mesh::found(1).await;
    let running = mesh.start(0).await;
    let second = mesh_agent::run::start(&common::config(&mesh.data_dir(0), "127.0.0.1:0")).await.unwrap_err();
    assert!(second.to_string().contains("another mesh-agent runs"), "{second}");

    let page = running.addresses.status;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = |path: &str, host: &str| client.get(format!("http://{page}{path}")).header("host", host).send();
    for host in ["127.0.0.1", &format!("localhost:{}", page.port()), "[::1]:80"] {
        assert_eq!(get("/healthz", host).await.unwrap().status(), 200, "{host}");
    }
    for host in ["evil.example", "127.0.0.1.evil.example", "192.0.2.1", "localhost.evil.example:9117", ""] {
        let answer = get("/state", host).await.unwrap();
        assert!(answer.status().is_client_error(), "{host}: {}", answer.status());
        assert!(answer.headers().get("access-control-allow-origin").is_none());
    }
    let metrics = get("/metrics", "localhost").await.unwrap().text().await.unwrap();
    for metric in ["everypath_agent_peers", "everypath_agent_turn_duration_seconds_count", "everypath_agent_members 1"]
    {
        assert!(metrics.contains(metric), "{metric}:\n{metrics}");
    }
    let ledger = get("/ledger", "localhost").await.unwrap().bytes().await.unwrap();
    let ledger: everypath_protocol::ledger::Ledger = serde_json::from_slice(&ledger).unwrap();
    assert_eq!(ledger.agent, running.about.agent);
    running.stop().await;
}

#[tokio::test]
async fn a_directory_that_joined_nothing_is_told_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("agent");
    let refused = mesh_agent::run::start(&common::config(&data_dir, "127.0.0.1:0")).await.unwrap_err().to_string();
    assert!(refused.contains("mesh-agent join TOKEN"), "{refused}");
    let not_running = mesh_agent::show::fetch_state(&data_dir).await.unwrap_err().to_string();
    assert!(not_running.contains("mesh-agent run --data-dir"), "{not_running}");
}

/// Nobody is there to be measured, so nothing waits; the running agent is asked, and not the file that it holds.
#[tokio::test]
async fn the_program_of_a_running_agent_may_be_replaced_while_nothing_waits() {
    let mesh = Mesh::found(1).await;
    let running = mesh.start(0).await;
    let trial = Trial {
        program: "mesh-agent",
        built: std::path::Path::new(env!("CARGO_BIN_EXE_mesh-agent")),
        prefix: "EVERYPATH_AGENT_",
        arguments: vec!["--data-dir".to_owned(), mesh.data_dir(0).display().to_string()],
    };
    let (code, out, err) = trial.with_good_release().await;
    running.stop().await;
    assert!(code == 0 && out.contains("is in place"), "{code} {out} {err}");
}

/// A script could not tell "no" from "could not be asked": what failed ended with 1 here and with 2 in the aggregator.
#[test]
fn what_cannot_be_done_ends_with_two_and_what_is_in_force_is_shown() {
    let call = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mesh-agent"));
        command.env("EVERYPATH_AGENT_PROBE__INTERVAL", "2s").args(arguments).output().unwrap()
    };
    for arguments in [["status", "--data-dir", "/nowhere"].as_slice(), &["join", "ep1.x"], &["no-such-command"]] {
        let output = call(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let output = call(&["config", "show", "--data-dir", "/nowhere"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for line in [
        "data_dir = \"/nowhere\"  # --data-dir",
        "interval = \"2s\"  # EVERYPATH_AGENT_PROBE__INTERVAL",
        "timeout = \"1s\"  # default",
    ] {
        assert!(said.lines().any(|own| own == line), "{line}\n{said}");
    }
}
