//! What people read.

use super::*;
use crate::alert::notice::{Event, Notice};
use crate::alert::render::{cut, discord, length, mail};
use alloc::string::ToString as _;

fn notice() -> Notice {
    let mut world = World::new();
    world.names[4].0 = "db_1".into();
    world.host_down(4);
    let mut notice = None;
    for _ in 0..60 {
        notice = notice.or_else(|| world.second().tellings.into_iter().next().map(|telling| telling.notice));
    }
    notice.expect("told")
}

#[test]
fn a_mail_says_what_is_wrong_first() {
    let opened = notice();
    let clock = |time: UnixTime| format!("T{}", time.0 / 1_000_000);
    let mail = mail::mail(&opened, 7, 1, "mesh.test", &clock);
    assert_eq!(mail.subject, "[critical] Host db_1 is down");
    let lines: Vec<&str> = mail.body.lines().collect();
    assert_eq!(lines[0], "[critical] Host db_1 is down");
    assert!(
        lines[2].starts_with("16 of 16 measured paths are down. 8 agents say so: h0, h1, h2, h3, h5 and 3 more."),
        "{lines:?}"
    );
    assert!(lines.contains(&"Severity      critical") && lines.contains(&"Rules         Unreachable"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("Look          https://e.test/incidents/")));
    assert_eq!((mail.message_id, mail.in_reply_to), (format!("<{}.7.1@mesh.test>", opened.incident), None));
}

#[test]
fn mails_of_one_incident_are_one_thread() {
    let over = Notice {
        event: Event::Resolved,
        ended_us: Some(T0.0 + 3_700_000_000),
        ending: Some(("recovered".into(), "It is over.".into())),
        since_us: T0.0,
        ..notice()
    };
    let mail = mail::mail(&over, 7, 3, "mesh.test", &|_| "then".to_string());
    assert_eq!(mail.subject, "[over] Host db_1 is down");
    assert!(mail.body.contains("Over          then, after 1 h 1 min. It is over."), "{}", mail.body);
    assert_eq!(mail.in_reply_to, Some(format!("<{}.7.1@mesh.test>", over.incident)));
    assert_ne!(Some(mail.message_id), mail.in_reply_to);
}

#[test]
fn discord_shows_names_as_they_are_and_calls_nobody() {
    let message = discord::message(&Notice { evidence: "@everyone `x` <@1>".into(), ..notice() });
    let [embed] = &message.embeds;
    assert_eq!(embed.title, "\\[critical\\] Host db\\_1 is down");
    assert_eq!(embed.description, "\\@everyone \\`x\\` \\<\\@1\\>");
    let names: Vec<&str> = embed.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["Began", "Rules"]);
    let long = discord::message(&Notice { evidence: "x".repeat(9_000), title: "y".repeat(999), ..notice() });
    let [embed] = &long.embeds;
    assert_eq!((embed.title.chars().count(), embed.description.chars().count()), (256, 2_048));
}

#[test]
fn every_event_has_its_headline() {
    let events = [Event::Opened, Event::Updated, Event::Reopened, Event::Repeated, Event::Resolved, Event::Test];
    let lines: Vec<String> = events
        .into_iter()
        .map(|event| crate::alert::render::headline(&Notice { event, title: "T".into(), ..notice() }))
        .collect();
    assert_eq!(
        lines,
        ["[critical] T", "[critical] T", "[critical, again] T", "[critical, still] T", "[over] T", "[test] T"]
    );
}

#[test]
fn lengths_are_told_in_two_units() {
    for (seconds, text) in [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3_900, "1 h 5 min"),
        (90_000, "1 d 1 h"),
        (-5, "0 s"),
    ] {
        assert_eq!(length(seconds * 1_000_000), text);
    }
    assert_eq!((cut("abc", 3), cut("abcd", 3)), ("abc".into(), "ab…".into()));
}

#[test]
fn a_test_says_that_nothing_is_wrong() {
    let test = Notice::test("me", "abcd", T0.0);
    assert!(mail::mail(&test, 1, 1, "m", &|_| String::new()).body.contains("me tries this channel. Nothing is wrong."));
    assert_eq!(discord::message(&test).embeds[0].fields.len(), 0);
}
