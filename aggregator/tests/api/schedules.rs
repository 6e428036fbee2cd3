//! Reports that come by mail, and incidents in reports.

use crate::alerts::Mesh;
use crate::sinks::{Mail, MailSink, WebSink};
use aggregator::reports::schedule;
use everypath_protocol::time::Span;
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/report-schedules";
const DAY: u64 = 86_400;

async fn mail_channel(mesh: &Mesh, sink: &MailSink) -> i64 {
    let settings = json!({
        "host": "localhost", "port": sink.port, "security": "tls", "user": "u", "from": "Everypath <e@mesh.test>",
        "to": ["ops@mesh.test"], "ca": sink.ca,
    });
    mesh.channel("mail", json!({"kind": "mail", "settings": settings, "password": "hunter2"})).await
}

fn body(name: &str, every: &str, channel: i64) -> Value {
    json!({"name": name, "enabled": true, "every": every, "hour_utc": 6, "site": null, "channel": channel})
}

async fn made(mesh: &Mesh, body: &Value) -> Value {
    let answer = mesh.call(Method::POST, PATH, body).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    answer.json()
}

/// Looks what is due so many seconds later, and sends it.
async fn later(mesh: &Mesh, seconds: u64) {
    mesh.world.clock.advance(Span::seconds(seconds));
    mesh.world.lead().await;
    for _ in 0..3 {
        schedule::step(&mesh.world.app).await.expect("begun");
        mesh.world.app.alerts.idle().await;
    }
}

async fn last(mesh: &Mesh) -> Value {
    mesh.get(PATH).await["schedules"][0]["last"].clone()
}

fn ids(mails: &[Mail]) -> Vec<String> {
    mails.iter().map(|mail| mail.header("Message-ID").expect("a name")).collect()
}

#[tokio::test]
async fn a_report_comes_when_it_is_due_once_with_its_tables() {
    let mut mesh = Mesh::new().await;
    let sink = MailSink::start(false);
    let channel = mail_channel(&mesh, &sink).await;
    let schedule = made(&mesh, &body("Daily", "day", channel)).await;
    assert_eq!((&schedule["next_at"], &schedule["last"]), (&json!("2026-11-23T06:05:00Z"), &Value::Null));
    assert_eq!((&schedule["channel_name"], &schedule["version"]), (&json!("mail"), &json!(1)));
    mesh.down.insert(4);
    mesh.run(60).await;
    later(&mesh, 0).await;
    assert!(sink.taken().is_empty(), "nothing is due yet");
    // What was due while nobody was there comes once: only the newest.
    later(&mesh, 3 * DAY + 7 * 3_600).await;
    let mails = sink.taken();
    let [mail] = &mails[..] else { panic!("one mail, not {}: {:?}", mails.len(), sink.said()) };
    assert_eq!(
        mail.header("Subject").as_deref(),
        Some("[report] Daily: availability unknown, 2026-11-25 to 2026-11-26")
    );
    assert_eq!(mail.recipients, ["ops@mesh.test"]);
    for part in [
        "All of the mesh, 2026-11-25T00:00:00Z to 2026-11-26T00:00:00Z",
        "Incidents (1)",
        "[critical] Host a5 is down",
        "filename=\"availability-2026-11-25.csv\"",
        "filename=\"incidents-2026-11-25.csv\"",
        "what,name,site,target,kind,up_s",
        "host_down",
    ] {
        assert!(mail.text.contains(part), "{part}: {}", mail.text);
    }
    assert_eq!(last(&mesh).await["state"], "sent");
    assert_eq!(last(&mesh).await["to"], "2026-11-26T00:00:00Z");
    later(&mesh, 60).await;
    assert!(sink.taken().is_empty(), "it was sent");
    // Whoever sends it by hand gets it at once, under another name, and the next one all the same.
    let path = format!("{PATH}/{}/send", schedule["id"]);
    let sent = mesh.call(Method::POST, &path, &json!({})).await.json();
    assert_eq!((&sent["sent"], &sent["detail"]), (&json!(true), &json!("")));
    assert_eq!(
        (&last(&mesh).await["state"], &last(&mesh).await["decided_at"]),
        (&json!("sent"), &json!("2026-11-26T07:02:40Z"))
    );
    let by_hand = sink.taken();
    assert_eq!(by_hand.len(), 1);
    assert_ne!(ids(&by_hand), ids(&mails));
    later(&mesh, DAY).await;
    assert_eq!(ids(&sink.taken()), [format!("<report.1.{}@mesh.test>", 1_795_392_000 + 4 * DAY)]);
    let log = mesh.get(&format!("/api/v1/channels/{channel}/deliveries")).await;
    let events: Vec<_> = log["deliveries"].as_array().expect("a list").iter().map(|one| &one["event"]).collect();
    assert_eq!(events.iter().filter(|event| **event == "report").count(), 2, "{events:?}");
    assert_eq!(events.iter().filter(|event| **event == "sent_now").count(), 1, "{events:?}");
    let entries = mesh.get("/api/v1/audit?limit=500").await;
    let actions: Vec<_> = entries["entries"].as_array().expect("a list").iter().map(|one| &one["action"]).collect();
    for action in ["report_schedule.create", "report_schedule.send"] {
        assert!(actions.iter().any(|known| **known == action), "{actions:?}");
    }
}

#[tokio::test]
async fn who_is_away_gets_it_later_and_a_schedule_can_be_changed() {
    let mesh = Mesh::new().await;
    let sink = MailSink::start(false);
    let channel = mail_channel(&mesh, &sink).await;
    let schedule = made(&mesh, &body("Weekly", "week", channel)).await;
    let path = format!("{PATH}/{}", schedule["id"]);
    assert_eq!(schedule["next_at"], "2026-11-23T06:05:00Z", "T0 is a Monday");
    // A server that is not there.
    let broken =
        json!({"host": "localhost", "port": 1, "security": "tls", "from": "e@mesh.test", "to": ["ops@mesh.test"]});
    let target = json!({"kind": "mail", "settings": broken});
    let away = mesh.channel("away", target).await;
    let change = async |version: i64, schedule: Value| {
        mesh.call(Method::PUT, &path, &json!({"version": version, "schedule": schedule})).await
    };
    assert_eq!(change(1, body("Weekly", "week", away)).await.json()["version"], 2);
    assert_eq!(change(1, body("Weekly", "week", away)).await.problem(), (409, "changed_meanwhile".into()));
    later(&mesh, 7 * 3_600).await;
    assert_eq!(last(&mesh).await["state"], "waits");
    let log = mesh.get(&format!("/api/v1/channels/{away}/deliveries")).await;
    assert_eq!((&log["deliveries"][0]["event"], &log["deliveries"][0]["result"]), (&json!("report"), &json!("waits")));
    // What waits goes through the channel that the schedule has now.
    assert_eq!(change(2, body("Weekly", "week", channel)).await.status, 200);
    later(&mesh, 1).await;
    assert_eq!((last(&mesh).await["state"].clone(), sink.taken().len()), (json!("sent"), 1));
    // Another time begins with what ends next; what is off sends nothing, also of the time that it was off.
    assert_eq!(change(3, body("Weekly", "day", channel)).await.json()["next_at"], "2026-11-24T06:05:00Z");
    let off = json!({"name": "Weekly", "enabled": false, "every": "day", "hour_utc": 6, "channel": channel});
    assert_eq!(change(4, off).await.json()["next_at"], Value::Null);
    later(&mesh, 2 * DAY).await;
    assert_eq!(change(5, body("Weekly", "day", channel)).await.status, 200);
    later(&mesh, 1).await;
    assert!(sink.taken().is_empty());
    later(&mesh, DAY).await;
    assert_eq!(sink.taken().len(), 1);
    // A channel stays as long as reports are sent through it.
    let of_channel = format!("/api/v1/channels/{channel}");
    let refused = mesh.call(Method::DELETE, &of_channel, &json!({})).await;
    assert_eq!(refused.problem(), (409, "channel_in_use".into()));
    assert!(refused.json()["detail"].as_str().is_some_and(|detail| detail.contains(": Weekly.")), "{:?}", refused.body);
    assert_eq!(mesh.call(Method::DELETE, &path, &json!({})).await.status, 204);
    assert_eq!(mesh.call(Method::DELETE, &of_channel, &json!({})).await.status, 204);
    assert_eq!(mesh.call(Method::DELETE, &path, &json!({})).await.problem(), (404, "unknown_schedule".into()));
}

#[tokio::test]
async fn everything_wrong_with_a_schedule_is_said_at_once() {
    let mesh = Mesh::new().await;
    let sink = WebSink::start().await;
    let chat = mesh.channel("chat", json!({"kind": "discord", "url": sink.url("/api/webhooks/1/token")})).await;
    let wrong =
        json!({"name": "", "enabled": true, "every": "day", "hour_utc": 24, "site": "nowhere", "channel": chat});
    let answer = mesh.call(Method::POST, PATH, &wrong).await;
    assert_eq!(answer.problem(), (400, "invalid_schedule".into()));
    assert_eq!(answer.fault_paths(), ["name", "hour_utc", "site", "channel"]);
    let json = answer.json();
    let detail = json["detail"].as_str().expect("text");
    for part in ["name: must", "hour_utc: must be from 0 to 23", "a site `nowhere`", "chat is not one for mail"] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
    let missing = json!({"name": "x", "enabled": true, "every": "day", "hour_utc": 0, "channel": 99});
    let answer = mesh.call(Method::POST, PATH, &missing).await;
    assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.contains("there is no channel 99")));
    let odd = json!({"name": "x", "enabled": true, "every": "year", "hour_utc": 0, "channel": 99});
    assert_eq!(mesh.call(Method::POST, PATH, &odd).await.problem(), (400, "unreadable_json".into()));
    let mail = MailSink::start(false);
    let channel = mail_channel(&mesh, &mail).await;
    made(&mesh, &body("Daily", "day", channel)).await;
    let again = mesh.call(Method::POST, PATH, &body("Daily", "day", channel)).await;
    assert_eq!(again.problem(), (409, "name_taken".into()));
}

#[tokio::test]
async fn a_report_lists_the_incidents_of_its_period() {
    let mut mesh = Mesh::new().await;
    for host in [4, 3] {
        mesh.down.insert(host);
        mesh.run(60).await;
        if host == 4 {
            mesh.down.clear();
        }
        mesh.run(100).await;
    }
    let ask = async |query: &str| mesh.get(&format!("/api/v1/reports/availability?range=1h{query}")).await;
    let titles = |report: &Value| -> Vec<String> {
        let list = report["incidents"].as_array().expect("a list").iter();
        list.map(|one| one["title"].as_str().expect("text").to_owned()).collect()
    };
    let all = ask("").await;
    assert_eq!(
        (titles(&all).as_slice(), &all["incidents_count"]),
        (&["Host a4 is down".to_owned(), "Host a5 is down".to_owned()][..], &json!(2))
    );
    let (open, over) = (&all["incidents"][0], &all["incidents"][1]);
    assert_eq!((&open["state"], &open["ended_at"], &open["agents"]), (&json!("open"), &Value::Null, &json!(["a4"])));
    assert_eq!(
        (&over["state"], &over["ending"], &over["is_silenced"]),
        (&json!("over"), &json!("recovered"), &json!(false))
    );
    assert!(over["duration_s"].as_f64().is_some_and(|length| (40.0..200.0).contains(&length)), "{over}");
    let few = ask("&incidents=1").await;
    assert_eq!((titles(&few).len(), &few["incidents_count"]), (1, &json!(2)));
    assert_eq!(titles(&ask("&agent=a5").await), ["Host a5 is down"]);
    let site = mesh.get("/api/v1/agents").await["agents"][0]["site"].as_str().expect("text").to_owned();
    assert_eq!(titles(&ask(&format!("&site={site}")).await).len(), 2);
    let elsewhere = "/api/v1/reports/availability?range=1h&site=elsewhere";
    let elsewhere = mesh.world.get(elsewhere, &[("authorization", &mesh.admin)]).await;
    assert_eq!(elsewhere.problem(), (400, "invalid_parameter".into()), "not a report without trouble");
    // An hour of which it is not a part.
    let before = "/api/v1/reports/availability?from=2026-11-22T20:00:00Z&to=2026-11-22T22:00:00Z";
    assert_eq!(mesh.get(before).await["incidents_count"], 0);
    let csv = "/api/v1/reports/availability?range=1h&format=csv&part=incidents";
    let answer = mesh.world.get(csv, &[("authorization", &mesh.admin)]).await;
    let name = answer.headers["content-disposition"].to_str().expect("text").to_owned();
    assert!(name.contains("everypath-incidents-2026-11-2"), "{name}");
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(
        text.starts_with("id,state,severity,class,title,")
            && text.contains(",open,critical,host_down,Host a4 is down,agent,a4,,")
    );
    let bad = mesh.world.get("/api/v1/reports/availability?incidents=10001", &[("authorization", &mesh.admin)]).await;
    assert_eq!(bad.problem(), (400, "invalid_parameter".into()));
}
