//! What is told, how often, and what becomes of it.

use super::{KEY, Mesh};
use crate::sinks::{Answer as Says, MailSink, WebSink};
use aggregator::alerts::send;
use aggregator::clock::Clock;
use everypath_protocol::time::{MonoTime, Span};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn a_dead_host_is_one_message_that_is_changed_and_ends() {
    let mut mesh = Mesh::new().await;
    let sink = WebSink::start().await;
    let channel = mesh.discord(&sink).await;
    mesh.down.insert(4);
    mesh.run(60).await;
    mesh.send().await;
    let [incident] = &mesh.incidents("?state=open").await[..] else { panic!("one incident") };
    assert_eq!((&incident["class"], &incident["title"]), (&json!("host_down"), &json!("Host a5 is down")));
    assert_eq!((&incident["severity"], &incident["subject"]), (&json!("critical"), &json!("agent")));
    let posted = sink.taken();
    assert_eq!(posted[0].line(), "POST /api/webhooks/1/token?wait=true");
    assert_eq!(posted[0].json()["embeds"][0]["title"], "\\[critical\\] Host a5 is down");
    assert!(posted[1..].iter().all(|request| request.line() == "PATCH /api/webhooks/1/token/messages/1"), "{posted:?}");
    mesh.down.clear();
    mesh.run(90).await;
    mesh.send().await;
    let patched = sink.taken();
    let last = patched.last().expect("the end");
    assert_eq!(last.line(), "PATCH /api/webhooks/1/token/messages/1");
    assert_eq!(last.json()["embeds"][0]["title"], "\\[over\\] Host a5 is down");
    assert!(mesh.incidents("?state=open").await.is_empty());
    let over = &mesh.incidents("?state=over").await[0];
    assert_eq!(over["first_opened_at"], over["opened_at"]);
    assert!(over["duration_s"].as_f64().is_some_and(|lasted| (40.0..=75.0).contains(&lasted)), "{over}");
    assert_eq!((&over["ending"], over["history"].as_array().map(Vec::len)), (&json!("recovered"), Some(2)));
    let log = mesh.get(&format!("/api/v1/channels/{channel}/deliveries")).await;
    assert_eq!(log["deliveries"][0]["title"], "Host a5 is down");
    assert_eq!(mesh.results(channel).await.first().map(String::as_str), Some("opened sent"));
    assert_eq!(mesh.results(channel).await.last().map(String::as_str), Some("resolved sent"));
}

#[tokio::test]
async fn a_mail_server_with_tls_gets_one_mail_and_one_for_the_end() {
    for security in ["tls", "starttls"] {
        let mut mesh = Mesh::new().await;
        let sink = MailSink::start(security == "starttls");
        let settings = json!({
            "host": "localhost", "port": sink.port, "security": security, "user": "u", "from": "Everypath <e@mesh.test>",
            "to": ["ops@mesh.test", "Ada <ada@mesh.test>"], "ca": sink.ca,
        });
        let target = json!({"kind": "mail", "settings": settings, "password": "hunter2"});
        let channel = mesh.channel("mail", target).await;
        mesh.down.insert(4);
        mesh.run(60).await;
        mesh.send().await;
        mesh.down.clear();
        mesh.run(90).await;
        mesh.send().await;
        assert_eq!(mesh.results(channel).await, ["opened sent", "resolved sent"], "{security}: {:?}", sink.said());
        let mails = sink.taken();
        assert_eq!(mails.len(), 2);
        assert!(mails.iter().all(|mail| mail.login == "\0u\0hunter2"), "over TLS");
        assert_eq!(mails[0].recipients, ["ops@mesh.test", "ada@mesh.test"]);
        let subjects: Vec<_> = mails.iter().map(|mail| mail.header("Subject")).collect();
        assert_eq!(subjects, [Some("[critical] Host a5 is down".into()), Some("[over] Host a5 is down".into())]);
        assert!(mails[0].text.contains("4 agents say so: a"), "{}", mails[0].text);
        assert_eq!(mails[1].header("In-Reply-To"), mails[0].header("Message-ID"));
        assert_eq!(mails[1].header("References"), mails[0].header("Message-ID"));
        assert!(mails[0].header("In-Reply-To").is_none());
    }
}

#[tokio::test]
async fn a_webhook_gets_signed_json() {
    let mut mesh = Mesh::new().await;
    let sink = WebSink::start().await;
    mesh.channel("hook", json!({"kind": "webhook", "url": sink.url("/in?x=1"), "key": KEY})).await;
    mesh.down.insert(4);
    mesh.run(60).await;
    mesh.send().await;
    let [request] = &sink.taken()[..] else { panic!("one request") };
    assert_eq!(request.line(), "POST /in?x=1");
    let timestamp = request.header("x-everypath-timestamp");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, KEY.as_bytes());
    let signed = [timestamp.as_bytes(), b".", &request.body].concat();
    let tag = aws_lc_rs::hmac::sign(&key, &signed);
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(request.header("x-everypath-signature"), format!("v1={hex}"));
    let body = request.json();
    assert_eq!((&body["version"], &body["event"]), (&json!(1), &json!("opened")));
    assert_eq!(body["delivery"], request.header("x-everypath-delivery"));
    assert_eq!(body["incident"]["class"], "host_down");
    assert!(body["incident"]["url"].as_str().expect("text").starts_with("https://everypath.test/incidents/"));
}

#[tokio::test]
async fn what_a_provider_answers_is_what_happens_next() {
    // (answers in turn, what the log says after each try)
    let cases: [(&[Says], &[&str]); 6] = [
        (&[Says::Status(204)], &["opened sent"]),
        (&[Says::TooMany(7.0), Says::Message], &["opened waits", "opened sent"]),
        (&[Says::Status(400)], &["opened given_up"]),
        (&[Says::Status(401)], &["opened given_up"]),
        (&[Says::Status(404)], &["opened given_up"]),
        (&[Says::Status(500), Says::Status(503), Says::Message], &["opened waits", "opened waits", "opened sent"]),
    ];
    for (answers, log) in cases {
        let mut mesh = Mesh::new().await;
        let sink = WebSink::start().await;
        let channel = mesh.discord(&sink).await;
        sink.says(answers);
        mesh.down.insert(4);
        // So long that it is told, and so short that nothing of it changes.
        while mesh.incidents("").await.is_empty() {
            mesh.run(1).await;
        }
        mesh.send().await;
        for _ in 1..log.len() {
            let rests = mesh.get("/api/v1/channels").await["channels"][0]["resting_until"].clone();
            assert!(rests.is_string(), "{answers:?}");
            send::step(&mesh.world.app).await.expect("nothing to do");
            mesh.world.app.alerts.idle().await;
            let before = mesh.results(channel).await.len();
            mesh.world.clock.advance(Span::seconds(10));
            mesh.send().await;
            assert_eq!(mesh.results(channel).await.len(), before + 1, "it rested, and then it was used");
        }
        assert_eq!(mesh.results(channel).await, log, "{answers:?}");
        assert_eq!(sink.taken().len(), log.len());
        let channels = mesh.get("/api/v1/channels").await;
        let trouble = &channels["channels"][0]["trouble"];
        assert_eq!(trouble.is_null(), log.last().is_some_and(|last| last.ends_with("sent")), "{trouble}");
        if log.last().is_some_and(|last| last.ends_with("given_up")) {
            assert!(trouble.as_str().expect("kept").starts_with("HTTP 40"), "{trouble}");
        }
    }
}

#[tokio::test]
async fn a_channel_that_hangs_holds_up_neither_judging_nor_others() {
    let mut mesh = Mesh::new().await;
    let (slow, quick) = (WebSink::start().await, WebSink::start().await);
    let hanging = mesh.discord(&slow).await;
    slow.says(&[Says::Hang]);
    mesh.channel("hook", json!({"kind": "webhook", "url": quick.url("/in"), "key": KEY})).await;
    mesh.down.insert(4);
    mesh.run(40).await;
    let clock = Clock::system();
    for _ in 0..5 {
        send::step(&mesh.world.app).await.expect("begun");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    mesh.run(20).await;
    assert!(clock.mono() < MonoTime(0) + Span::seconds(10), "{:?}", clock.mono());
    assert!(!quick.taken().is_empty(), "the other one was told");
    mesh.world.app.alerts.idle().await;
    assert_eq!(mesh.results(hanging).await[0], "opened waits");
    assert_eq!(slow.taken().len(), 1, "one try at a time");
}

#[tokio::test]
async fn a_message_that_was_deleted_by_hand_is_sent_anew() {
    let mut mesh = Mesh::new().await;
    let sink = WebSink::start().await;
    let channel = mesh.discord(&sink).await;
    mesh.down.insert(4);
    mesh.run(60).await;
    mesh.send().await;
    sink.taken();
    let before = mesh.results(channel).await.len();
    sink.says(&[Says::Status(404)]);
    mesh.down.clear();
    mesh.run(90).await;
    mesh.send().await;
    mesh.send().await;
    let lines: Vec<String> = sink.taken().iter().map(|request| request.line()).collect();
    assert_eq!(lines[0], "PATCH /api/webhooks/1/token/messages/1");
    assert_eq!(lines[1], "POST /api/webhooks/1/token?wait=true");
    assert_eq!(mesh.results(channel).await[before], "resolved again");
}

#[tokio::test]
async fn whoever_starts_again_tells_nothing_twice() {
    let mut mesh = Mesh::new().await;
    let sink = WebSink::start().await;
    mesh.channel("hook", json!({"kind": "webhook", "url": sink.url("/in"), "key": KEY})).await;
    mesh.down.insert(4);
    mesh.run(60).await;
    mesh.send().await;
    assert_eq!(sink.taken().len(), 1);
    mesh.world.app.alerts.forget().await;
    mesh.run(30).await;
    mesh.send().await;
    assert!(sink.taken().is_empty());
    mesh.down.clear();
    mesh.run(90).await;
    mesh.send().await;
    assert_eq!(sink.taken().len(), 1);
    assert_eq!(mesh.incidents("").await.len(), 1);
}

/// One mailbox that was gone kept everybody else from being told.
#[tokio::test]
async fn a_mail_reaches_everybody_whom_the_server_takes() {
    let mesh = Mesh::new().await;
    let sink = MailSink::start(false);
    let test = async |to: &[&str]| {
        let settings = json!({
            "host": "localhost", "port": sink.port, "security": "tls", "user": "u", "ca": sink.ca, "from": "e@mesh.test", "to": to,
        });
        let target = json!({"kind": "mail", "settings": settings, "password": "hunter2"});
        let id = mesh.channel(&to.join(" "), target).await;
        mesh.call(axum::http::Method::POST, &format!("/api/v1/channels/{id}/test"), &json!({})).await.json()
    };
    let some = test(&["a@mesh.test", "gone@mesh.test", "b@mesh.test", "later@mesh.test"]).await;
    let said = some["detail"].as_str().expect("text");
    assert!(some["sent"] == true && said.starts_with("not taken: gone@mesh.test: "), "{some}");
    assert!(said.contains("no such user; later@mesh.test: ") && said.contains("come back later"), "{said}");
    assert_eq!(sink.taken()[0].recipients, ["a@mesh.test", "b@mesh.test"]);
    let none = test(&["gone@mesh.test", "gone@other.test"]).await;
    assert!(
        none["sent"] == false && none["detail"].as_str().is_some_and(|said| said.contains("no such user")),
        "{none}"
    );
    assert!(sink.taken().is_empty());
}

/// A receiver that answered 200 and then hung was told the same again and again.
#[tokio::test]
async fn the_status_says_that_it_was_taken_whatever_becomes_of_the_body() {
    let mut mesh = Mesh::new().await;
    let sink = WebSink::start().await;
    let hook = mesh.channel("hook", json!({"kind": "webhook", "url": sink.url("/in"), "key": KEY})).await;
    sink.says(&[Says::Cut]);
    mesh.down.insert(4);
    mesh.run(60).await;
    mesh.send().await;
    assert_eq!(mesh.results(hook).await, ["opened sent"]);
}
