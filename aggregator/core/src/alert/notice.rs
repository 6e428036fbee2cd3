//! What one channel is told of one incident at one moment: all that a text needs, so that any replica can send it later.

use super::record::{End, Record};
use super::rule::Rule;
use alloc::borrow::ToOwned as _;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Why it is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It is new.
    Opened,
    /// It changed.
    Updated,
    /// It had been over, and is back.
    Reopened,
    /// It goes on, and nobody takes care of it.
    Repeated,
    /// It is over.
    Resolved,
    /// Somebody tries the channel.
    Test,
}

impl Event {
    /// Whether people should look, so that it must be a message of its own where an edit makes no sound.
    pub const fn is_news(self) -> bool {
        match self {
            Self::Opened | Self::Reopened | Self::Repeated | Self::Test => true,
            Self::Updated | Self::Resolved => false,
        }
    }

    /// The word in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Updated => "updated",
            Self::Reopened => "reopened",
            Self::Repeated => "repeated",
            Self::Resolved => "resolved",
            Self::Test => "test",
        }
    }
}

/// The notice. Its JSON lies in the outbox; a field that is added later must have a default.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Notice {
    /// Why.
    pub event: Event,
    /// Of which incident, 32 hexadecimal digits.
    pub incident: String,
    /// `info`, `warning` or `critical`.
    pub severity: String,
    /// As [`everypath_verdict::incident::Class::name`].
    pub class: String,
    /// What is wrong with what.
    pub title: String,
    /// What was measured, and who says so.
    pub evidence: String,
    /// Why it may be something else, and what became of it.
    pub notes: Vec<String>,
    /// Names of the rules that it breaks.
    pub rules: Vec<String>,
    /// When it began, microseconds since 1970.
    pub since_us: i64,
    /// When it was opened.
    pub opened_us: i64,
    /// When it was over.
    pub ended_us: Option<i64>,
    /// Why it is over, as [`End::name`], and as a sentence.
    pub ending: Option<(String, String)>,
    /// Who takes care of it.
    pub acknowledged_by: Option<String>,
    /// How often it came back.
    pub flaps: u32,
    /// The beginning of the id of the mesh.
    pub mesh: String,
    /// Where people can look at it.
    pub url: Option<String>,
}

impl Notice {
    /// Of a record.
    pub fn of(event: Event, record: &Record, rules: &[Rule], mesh: &str, url: Option<&str>) -> Self {
        let id = record.id.to_string();
        Self {
            event,
            severity: record.severity.name().to_owned(),
            class: record.class.name().to_owned(),
            title: record.title.clone(),
            evidence: record.evidence.clone(),
            notes: record.notes.clone(),
            rules: rules.iter().filter(|rule| record.rules.contains(&rule.id)).map(|rule| rule.name.clone()).collect(),
            since_us: record.since.0,
            opened_us: record.opened.0,
            ended_us: record.ended.map(|(at, _)| at.0),
            ending: record.ended.map(|(_, end): (_, End)| (end.name().to_owned(), end.sentence().to_owned())),
            acknowledged_by: record.ack.as_ref().map(|ack| ack.by.clone()),
            flaps: record.flaps,
            mesh: mesh.to_owned(),
            url: url.map(|url| alloc::format!("{url}/incidents/{id}")),
            incident: id,
        }
    }

    /// For the button that tries a channel.
    pub fn test(by: &str, mesh: &str, now: i64) -> Self {
        Self {
            event: Event::Test,
            incident: "0".repeat(32),
            severity: "info".to_owned(),
            class: "test".to_owned(),
            title: "This is a test".to_owned(),
            evidence: alloc::format!("{by} tries this channel. Nothing is wrong."),
            notes: Vec::new(),
            rules: Vec::new(),
            since_us: now,
            opened_us: now,
            ended_us: None,
            ending: None,
            acknowledged_by: None,
            flaps: 0,
            mesh: mesh.to_owned(),
            url: None,
        }
    }
}
