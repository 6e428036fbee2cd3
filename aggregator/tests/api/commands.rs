//! The commands about people, as somebody with a shell on the host uses them: beside an aggregator that runs, and without one.

use crate::program::{PASSWORD, aggregator, run};
use serde_json::json;
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Output, Stdio};
use tempfile::TempDir;

const NEW: &str = "nine lives of a cat";

/// Standard output of a command that does what it is asked.
fn done(data_dir: &Path, arguments: &[&str]) -> String {
    let output = run(arguments, data_dir);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Standard error of one that does not.
fn refused(data_dir: &Path, arguments: &[&str]) -> String {
    let output = run(arguments, data_dir);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).expect("text")
}

/// An aggregator that was started without a preset password; killed at the end, not asked.
struct Running {
    child: Child,
    /// The whole of what it printed.
    welcome: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(data_dir: &Path, last_words: &str) -> Running {
    let mut command = aggregator();
    command.env_remove("EVERYPATH_ADMIN_PASSWORD");
    command.args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir"]).arg(data_dir);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("started");
    let mut welcome = String::new();
    for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
        welcome.push_str(&line.expect("readable"));
        welcome.push('\n');
        if welcome.contains(last_words) {
            break;
        }
    }
    Running { child, welcome }
}

/// The address of the page and the secret in a link to it.
fn link(text: &str) -> (String, String) {
    let link = text.split_whitespace().find(|word| word.starts_with("http://") && word.contains("/welcome#"));
    let (page, secret) =
        link.and_then(|link| link.split_once("/welcome#")).unwrap_or_else(|| panic!("no link in {text}"));
    (page.to_owned(), secret.to_owned())
}

async fn post(url: String, body: serde_json::Value) -> u16 {
    aggregator::tls::install_provider();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    client.post(url).json(&body).send().await.expect("answered").status().as_u16()
}

async fn redeem((page, secret): &(String, String), password: &str) -> u16 {
    post(format!("{page}/api/v1/invitations/redeem"), json!({"secret": secret, "password": password})).await
}

#[tokio::test]
async fn the_first_link_is_printed_until_somebody_has_used_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = serve(folder.path(), "mesh-agent run");
    let lost = link(&first.welcome);
    assert!(
        first.welcome.contains("Log in as   admin") && first.welcome.contains("https://127.0.0.1:"),
        "{}",
        first.welcome
    );
    drop(first);
    let second = serve(folder.path(), "mesh-agent run");
    let (page, secret) = link(&second.welcome);
    assert_eq!(redeem(&(page.clone(), lost.1), "x").await, 400, "a password that nobody may have");
    assert_eq!(redeem(&(page.clone(), secret.clone()), NEW).await, 200);
    assert_eq!(redeem(&(page.clone(), secret), NEW).await, 401, "once");
    // Lost again: at the machine there is always another.
    let made = done(folder.path(), &["user", "invite", "admin"]);
    assert_eq!(redeem(&link(&made), PASSWORD).await, 200, "{made}");
    assert_eq!(post(format!("{page}/api/v1/session"), json!({"name": "admin", "password": PASSWORD})).await, 200);
    drop(second);
    let third = serve(folder.path(), "Agents  ");
    assert!(!third.welcome.contains("welcome"), "{}", third.welcome);
}

/// A data directory as an aggregator leaves it that ran once, with the preset password.
fn used() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = aggregator();
    command.args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir"]).arg(folder.path());
    let mut child = command.stdout(Stdio::piped()).spawn().expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert!(lines.any(|line| line.expect("readable").contains("mesh-agent run")));
    child.kill().expect("killed");
    child.wait().expect("ended");
    folder
}

#[test]
fn accounts_are_listed_invited_disabled_and_given_roles() {
    let folder = used();
    let list = || done(folder.path(), &["user", "list"]);
    assert!(list().lines().nth(1).is_some_and(|line| line.starts_with("admin  admin  active")), "{}", list());
    let said = refused(folder.path(), &["user", "invite", "ada"]);
    assert!(said.contains("there is no account `ada`; there are: admin") && said.contains("--role viewer"), "{said}");
    assert!(refused(folder.path(), &["user", "invite", "a b", "--role", "viewer"]).contains("cannot be a name"));
    // What was advised made no account called `a b`.
    let said = refused(folder.path(), &["user", "invite", "a b"]);
    assert!(said.contains("there cannot be one: a name must be 1 to 64") && !said.contains("--role viewer"), "{said}");
    let made = done(folder.path(), &["user", "invite", "ada", "--role", "operator"]);
    let lines: Vec<_> = made.lines().collect();
    assert!(lines[0].starts_with("https://127.0.0.1:") && lines[0].contains("/welcome#"), "for elsewhere: {made}");
    assert!(lines[1].starts_with("http://127.0.0.1:") && lines[1].ends_with(" on this host"), "{made}");
    assert!(lines[2].starts_with("(choose a password there, until 20") && lines[2].ends_with("Z)"), "{made}");
    let said = refused(folder.path(), &["user", "invite", "ada", "--role", "admin"]);
    assert!(said.contains("has the role operator") && said.contains("aggregator user role"), "{said}");
    assert!(list().contains("ada    operator  invited until "), "{}", list());
    assert!(done(folder.path(), &["user", "role", "ada", "viewer"]).contains("role viewer"));
    assert!(done(folder.path(), &["user", "disable", "ada"]).contains("Nobody gets in"));
    assert!(list().contains("ada    viewer  disabled"), "{}", list());
    assert!(refused(folder.path(), &["user", "invite", "ada"]).contains("aggregator user enable ada"));
    assert!(done(folder.path(), &["user", "enable", "ada"]).contains("can be used again"));
    for arguments in [["user", "disable", "admin"].as_slice(), &["user", "role", "admin", "viewer"]] {
        let said = refused(folder.path(), arguments);
        assert!(said.contains("last one that may do everything"), "{said}");
    }
    assert!(refused(folder.path(), &["user", "disable", "eve"]).contains("there are: ada, admin"));
}

#[test]
fn api_tokens_are_listed_and_revoked() {
    let folder = used();
    let create = |extra: &[&str]| {
        let arguments = [["api-token", "create", "--name", "ci"].as_slice(), extra].concat();
        done(folder.path(), &arguments)
    };
    create(&[]);
    let secret = create(&["--role", "viewer", "--scope", "read", "--scope", "join", "--expires", "90d"]);
    let list = done(folder.path(), &["api-token", "list"]);
    assert_eq!(list.lines().count(), 2, "one of the same name was replaced: {list}");
    assert!(list.contains("viewer  read join  never") && list.contains("the command line"), "{list}");
    assert!(!list.contains(secret.trim()));
    assert!(refused(folder.path(), &["api-token", "create", "--name", "c i"]).contains("must be 1 to 64"));
    assert!(done(folder.path(), &["api-token", "revoke", "--name", "ci"]).contains("opens nothing any more"));
    assert!(refused(folder.path(), &["api-token", "revoke", "--name", "ci"]).contains("aggregator api-token list"));
}

fn code(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn the_log_is_printed_and_a_change_of_it_is_found() {
    let folder = used();
    let data_dir = folder.path();
    done(data_dir, &["user", "invite", "ada", "--role", "viewer"]);
    let log = done(data_dir, &["audit", "log"]);
    assert!(log.contains(r#"ok user.first admin by program {"by":"preset password"}"#), "{log}");
    assert!(log.contains(r#"ok user.create ada by host {"role":"viewer"}"#), "{log}");
    assert_eq!(done(data_dir, &["audit", "log", "--since", "1h"]), log);
    assert_eq!(done(data_dir, &["audit", "log", "--since", "2100-01-01T00:00:00Z"]), "");
    let two = done(data_dir, &["audit", "log", "--limit", "1"]);
    assert!(two.lines().count() == 2 && two.contains("older entries are left out") && two.contains("ada"), "{two}");
    assert!(refused(data_dir, &["audit", "log", "--since", "yesterday"]).contains("24h"));

    let verify = |known: &str| {
        let known = ["--known", known];
        let arguments =
            [["audit", "log", "--verify"].as_slice(), if known[1].is_empty() { &[] } else { &known }].concat();
        code(&run(&arguments, data_dir))
    };
    let (status, said) = verify("");
    assert!(status == Some(0) && said.contains("is whole: 3 entries"), "{said}");
    let newest = said.split_whitespace().find(|word| word.starts_with("3:")).expect("number and hash").to_owned();
    done(data_dir, &["user", "disable", "ada"]);
    assert_eq!(verify(&newest).0, Some(0), "it grew");
    let path = format!("sqlite://{}", data_dir.join("everypath.sqlite").display());
    let mut connection = SqliteConnection::connect(&path).await.expect("opened");
    for statement in ["update audit_log set subject = 'eve' where id = 3", "delete from audit_log where id = 4"] {
        let error = connection.execute(statement).await.expect_err("refused").to_string();
        assert!(error.contains("audit_log is only ever added to"), "{error}");
    }
    // Whoever owns the file can take the triggers away. Then the chain tells.
    connection
        .execute("drop trigger audit_log_loses_nothing; drop trigger audit_log_is_not_changed")
        .await
        .expect("done");
    connection.execute("delete from audit_log where id > 2").await.expect("done");
    assert_eq!(verify("").0, Some(0), "a chain alone does not know how long it was");
    let (status, said) = verify(&newest);
    assert!(status == Some(1) && said.contains("BROKEN: entry 3 was there before"), "{said}");
    connection.execute("update audit_log set subject = 'eve' where id = 1").await.expect("done");
    connection.close().await.expect("closed");
    let (status, said) = verify("");
    assert!(status == Some(1) && said.contains("BROKEN: entry 1 is not what was written"), "{said}");
}

/// An escape sequence in a name was one to the terminal of whoever looked at what a file would change.
#[test]
fn nothing_of_a_file_reaches_the_terminal_as_an_order() {
    let folder = used();
    let file = folder.path().join("mesh.yaml");
    for text in
        ["endpoints:\n  - {name: a, address: 192.0.2.1, observers: [\"site:b\\e[2J\"]}\n", "\"pro\\e[2Jbe\": 1\n"]
    {
        std::fs::write(&file, text).expect("written");
        for command in [["config", "diff"], ["config", "apply"]] {
            let arguments = [command.as_slice(), &[file.to_str().expect("text")]].concat();
            let said = refused(folder.path(), &arguments);
            assert!(!said.contains('\u{1b}') && said.contains("\\u{1b}[2J"), "{said:?}");
        }
    }
}

#[test]
fn a_token_of_the_api_is_not_sent_in_clear() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = aggregator();
    command.env("EVERYPATH_API_TOKEN", "epk_secret").args(["config", "export", "--url", "http://192.0.2.1:8080"]);
    let output = command.current_dir(folder.path()).output().expect("started");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("it was not sent") && said.contains("--ca"), "{said}");
    assert!(!said.contains("epk_secret"), "{said}");
}

#[test]
fn what_is_in_force_is_shown_without_the_password() {
    let mut command = aggregator();
    command.env("EVERYPATH_AGGREGATOR_DATABASE__URL", "postgres://me:word@192.0.2.1/x").args(["config", "show"]);
    let output = command.output().expect("started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        said.contains("url = \"(hidden)\"  # EVERYPATH_AGGREGATOR_DATABASE__URL") && !said.contains("word"),
        "{said}"
    );
    assert!(said.contains("# default"), "{said}");
}
