//! The program itself: started, killed, started again; and what it says when it cannot start.

use everypath_protocol::token::JoinToken;
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

pub(crate) const PASSWORD: &str = "preset for tests";

pub(crate) fn aggregator() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aggregator"));
    command.env("EVERYPATH_ADMIN_PASSWORD", PASSWORD);
    command
}

/// A running aggregator; killed at the end, not asked.
struct Running {
    child: Child,
    welcome: String,
    http: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts one and waits until it has said where it is.
fn serve(data_dir: &Path) -> Running {
    start(data_dir, Stdio::inherit())
}

fn start(data_dir: &Path, stderr: Stdio) -> Running {
    let mut command = aggregator();
    command.args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir"]).arg(data_dir);
    let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("started");
    let mut welcome = String::new();
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    // An empty line ends the addresses; what may follow is of the first start alone.
    let mut last = "?".to_owned();
    while !(last.is_empty() && welcome.contains("Agents  ")) {
        last = lines.next().expect("it goes on until it is complete").expect("readable");
        welcome.push_str(&last);
        welcome.push('\n');
    }
    let addresses = std::fs::read_to_string(data_dir.join("addresses.json")).expect("written before it is said");
    let addresses: serde_json::Value = serde_json::from_str(&addresses).expect("JSON");
    let http = format!("http://{}", addresses["http"].as_str().expect("an address"));
    Running { child, welcome, http }
}

async fn log_in(http: &str, password: &str) -> u16 {
    let body = serde_json::json!({"name": "admin", "password": password});
    aggregator::tls::install_provider();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    client.post(format!("{http}/api/v1/session")).json(&body).send().await.expect("answered").status().as_u16()
}

pub(crate) fn run(arguments: &[&str], data_dir: &Path) -> Output {
    aggregator().args(arguments).arg("--data-dir").arg(data_dir).output().expect("started")
}

#[tokio::test]
async fn it_serves_without_configuration_and_survives_being_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    let first = serve(&data_dir);
    assert_eq!(log_in(&first.http, PASSWORD).await, 200);
    assert_eq!(log_in(&first.http, "wrong").await, 401);
    let healthy = run(&["healthy"], &data_dir);
    assert_eq!(
        (healthy.status.code(), healthy.stdout),
        (Some(0), b"ready\n".to_vec()),
        "by what it wrote of its ports"
    );
    let made = run(&["token", "create", "--uses", "3", "--expires", "2h"], &data_dir);
    let token = String::from_utf8(made.stdout).expect("text");
    let token = JoinToken::from_text(&token).expect("a token alone, while the aggregator runs");
    assert!(token.aggregators[0].url.starts_with("https://127.0.0.1:") && token.aggregators[0].pin.is_some());
    let made = run(&["token", "create", "--advertise", "https://a.example:1"], &data_dir);
    let token = JoinToken::from_text(&String::from_utf8(made.stdout).expect("text")).expect("a token");
    assert_eq!(token.aggregators[0].url, "https://a.example:1");
    drop(first);
    let second = serve(&data_dir);
    assert_eq!(log_in(&second.http, PASSWORD).await, 200);
    let api = run(&["api-token", "create", "--name", "e2e"], &data_dir);
    let api = String::from_utf8(api.stdout).expect("text");
    assert!(api.starts_with("epk_") && api.ends_with('\n') && api.lines().count() == 1, "{api}");
    aggregator::tls::install_provider();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let agents =
        client.get(format!("{}/api/v1/agents", second.http)).bearer_auth(api.trim()).send().await.expect("answered");
    assert_eq!(agents.status().as_u16(), 200);
    assert!(second.welcome.contains("Dashboard   http://127.0.0.1:"));
}

#[test]
fn everything_wrong_with_a_configuration_is_said_before_anything_is_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.toml");
    std::fs::write(&file, "[server]\nhttp = \"0.0.0.0:80\"\nlisten = 8443\n[sever]\n").expect("written");
    let data_dir = folder.path().join("data");
    let mut command = aggregator();
    command
        .env("EVERYPATH_AGGREGATOR_KEEP__SAMPLE", "1d")
        .arg("serve")
        .arg("--config")
        .arg(&file)
        .arg("--data-dir")
        .arg(&data_dir);
    let output = command.output().expect("started");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    for part in [
        "4 errors",
        "a.toml:2:",
        "a.toml:3:",
        "a.toml:4:",
        "EVERYPATH_AGGREGATOR_KEEP__SAMPLE",
        "did you mean `keep.samples`?",
    ] {
        assert!(said.contains(part), "{part}\nin\n{said}");
    }
    assert!(!data_dir.exists());
}

#[test]
fn a_folder_without_an_aggregator_is_named() {
    for arguments in [["token", "create"].as_slice(), &["api-token", "create", "--name", "x"]] {
        let output = run(arguments, Path::new("/nowhere"));
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("there is no database of an aggregator in /nowhere"));
    }
}

#[test]
fn the_template_is_a_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.toml");
    std::fs::write(&file, aggregator().args(["config", "template"]).output().expect("started").stdout)
        .expect("written");
    let output = aggregator().args(["config", "check", "--config"]).arg(&file).output().expect("started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A second one on the same folder started, wrote its own addresses over those of the first, and tokens led to it.
#[test]
fn a_second_one_on_the_same_folder_says_who_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    let first = serve(&data_dir);
    let addresses = || std::fs::read(data_dir.join("addresses.json")).expect("there");
    let before = addresses();
    let mut command = aggregator();
    command.args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir"]).arg(&data_dir);
    let mut second = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let mut welcome = String::new();
    // The end of the file, when it ends; a line, if it serves all the same.
    BufReader::new(second.stdout.take().expect("piped")).read_line(&mut welcome).expect("readable");
    // It has ended, as it should.
    let _ = second.kill();
    let second = second.wait_with_output().expect("ended");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(2), "{said}");
    let holder = format!("another aggregator (process {})", first.child.id());
    assert!(said.contains(&holder) && said.contains(&data_dir.display().to_string()), "{said}");
    assert!(addresses() == before && welcome.is_empty());
    drop(first);
    // However the first one ended: nothing is to be deleted by hand.
    serve(&data_dir);
}

/// The key was read after the database had been migrated, and `config check` did not look at it.
#[test]
fn a_key_file_is_looked_at_before_the_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.toml");
    let key = folder.path().join("seal.key");
    let server =
        "[server]\nlisten = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\n[database]\nurl = \"postgres://127.0.0.1:1/x\"\n";
    std::fs::write(&file, format!("{server}key_file = \"{}\"\n", key.display())).expect("written");
    let said = |arguments: &[&str]| {
        let output = aggregator().args(arguments).arg("--config").arg(&file).output().expect("started");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let data_dir = folder.path().join("data").display().to_string();
    let commands = [vec!["config", "check"], vec!["serve", "--data-dir", &data_dir]];
    for command in &commands {
        let (code, text) = said(command);
        assert!(code == Some(2) && text.contains("seal.key") && text.contains("aggregator keygen"), "{text}");
    }
    std::fs::write(&key, "not a key").expect("written");
    for command in &commands {
        let (code, text) = said(command);
        assert!(code == Some(2) && text.contains("does not hold 64 hexadecimal digits"), "{text}");
    }
    std::fs::write(&file, server).expect("written");
    for command in &commands {
        let (code, text) = said(command);
        assert!(code == Some(2) && text.contains("a.toml:5: `database.url` needs `database.key_file`"), "{text}");
    }
    // What reads needs no key.
    let (code, text) = said(&["status"]);
    assert!(code == Some(2) && text.contains("127.0.0.1:1") && !text.contains("key_file"), "{text}");
    std::fs::write(&file, format!("{server}key_file = \"{}\"\n", key.display())).expect("written");
    std::fs::remove_file(&key).expect("removed");
    let made = aggregator().current_dir(folder.path()).args(["keygen", "seal.key"]).output().expect("started");
    assert!(made.status.success(), "a name alone: {}", String::from_utf8_lossy(&made.stderr));
    assert_eq!(said(&commands[0]).0, Some(0));
    let (code, text) = said(&commands[1]);
    assert!(code == Some(2) && text.contains("127.0.0.1:1"), "{text}");
}

#[test]
fn it_says_when_it_drains_and_when_it_is_done_without_colours() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut running = start(folder.path(), Stdio::piped());
    let ended = Command::new("kill").args(["-TERM", &running.child.id().to_string()]).status().expect("started");
    assert!(ended.success());
    let mut said = String::new();
    let mut stderr = running.child.stderr.take().expect("piped");
    std::io::Read::read_to_string(&mut stderr, &mut said).expect("text");
    assert_eq!(running.child.wait().expect("ended").code(), Some(0), "{said}");
    assert!(said.contains("draining") && said.trim_end().ends_with("done") && !said.contains('\u{1b}'), "{said}");
}

/// A newer `aggregator token create` changed the schema under the older program that was running.
#[tokio::test]
async fn the_schema_is_not_changed_under_a_running_aggregator() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = serve(folder.path());
    let file = format!("sqlite://{}", folder.path().join("everypath.sqlite").display());
    let mut connection = SqliteConnection::connect(&file).await.expect("opened");
    // As an older program leaves it.
    let older = "delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)";
    connection.execute(older).await.expect("changed");
    connection.close().await.expect("closed");
    let made = run(&["api-token", "create", "--name", "x"], folder.path());
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    assert_eq!(made.status.code(), Some(2));
    let holder = format!("another aggregator (process {})", running.child.id());
    assert!(said.contains("older version and in use") && said.contains(&holder), "{said}");
}

/// "error sending request" was all that a person was told who asked an aggregator with its own certificate, or one that was gone.
#[tokio::test]
async fn from_another_host_its_own_certificate_must_be_named_and_it_is_said_how() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    let served = serve(&data_dir);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let made = run(&["token", "create"], &data_dir);
    let url = JoinToken::from_text(&text(made.stdout)).expect("a token").aggregators[0].url.clone();
    let api = text(run(&["api-token", "create", "--name", "ci"], &data_dir).stdout);
    let export = |more: &[&str]| {
        let mut command = aggregator();
        command.env("EVERYPATH_API_TOKEN", api.trim()).args(["config", "export", "--url", &url]).args(more);
        let output = command.current_dir(folder.path()).output().expect("started");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (status, _, said) = export(&[]);
    assert!(status != Some(0) && said.contains("`tls-certificate.pem`") && said.contains("--ca"), "{said}");
    let certificate = data_dir.join("tls-certificate.pem");
    let named = ["--ca", certificate.to_str().expect("text")];
    let (status, written, said) = export(&named);
    assert!(status == Some(0) && written.starts_with("# Configuration of the mesh, version 0."), "{said}");
    let other = folder.path().join("other");
    drop(serve(&other));
    let (_, _, said) = export(&["--ca", other.join("tls-certificate.pem").to_str().expect("text")]);
    assert!(said.contains("not the one in --ca"), "{said}");
    drop(served);
    let (_, _, said) = export(&named);
    assert!(said.contains("nobody listens there") && !said.contains(api.trim()), "{said}");
}
