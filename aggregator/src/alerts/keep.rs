//! Incidents as JSON in the database, and back.

use crate::store::alerts::IncidentRow;
use aggregator_core::alert::record::Line;
use aggregator_core::alert::{Ack, End, Record, RuleId, Severity, SilenceId};
use everypath_protocol::id::{AgentId, hex};
use everypath_protocol::time::{Span, UnixTime};
use everypath_verdict::incident::{Class, IncidentId, Subject};
use serde::{Deserialize, Serialize};

/// What is kept beside the columns. A field that is added later must have a default.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// Other names.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// `mesh`, `site`, `site_pair`, `agent`, `pair` or `rest`.
    pub subject: String,
    /// Its agents.
    pub agents: Vec<String>,
    /// Its sites.
    pub sites: Vec<String>,
    /// In plain English.
    pub title: String,
    /// Sentences.
    pub evidence: String,
    /// One sentence each.
    pub notes: Vec<String>,
    /// Microseconds since 1970.
    pub since_us: i64,
    /// Microseconds since 1970.
    pub last_seen_us: i64,
    /// Why it is over.
    pub ending: Option<String>,
    /// What it is part of.
    pub merged_into: Option<String>,
    /// How often it came back.
    pub flaps: u32,
    /// It is not told each time.
    pub is_flapping: bool,
    /// It may be something else.
    pub is_ambiguous: bool,
    /// Numbers of rules.
    pub rules: Vec<i64>,
    /// Numbers of silences.
    pub silences: Vec<i64>,
    /// Microseconds since 1970, and a sentence.
    pub history: Vec<(i64, String)>,
    /// When it was opened first, microseconds since 1970; nothing in what an older version wrote.
    #[serde(default)]
    pub first_opened_us: Option<i64>,
    /// How long it lasted all the times before it came back last, microseconds.
    #[serde(default)]
    pub earlier_us: u64,
    /// Most bad cells of what class and title say.
    #[serde(default)]
    pub peak: u32,
    /// The evidence of then.
    #[serde(default)]
    pub worst: String,
    /// When it was over before it came back last, microseconds since 1970.
    #[serde(default)]
    pub was_over_us: Option<i64>,
    /// Since when it is milder than that.
    #[serde(default)]
    pub milder_us: Option<i64>,
}

/// What lies in the database.
pub fn row(record: &Record) -> IncidentRow {
    let text = |agents: &[AgentId]| agents.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (subject, agents, sites) = match &record.subject {
        Subject::Mesh => ("mesh", Vec::new(), Vec::new()),
        Subject::Site(site) => ("site", Vec::new(), vec![site.clone()]),
        Subject::SitePair(one, other) => ("site_pair", Vec::new(), vec![one.clone(), other.clone()]),
        Subject::Agent(agent) => ("agent", text(&[*agent]), Vec::new()),
        Subject::Pair(one, other) => ("pair", text(&[*one, *other]), Vec::new()),
        Subject::Rest => ("rest", Vec::new(), Vec::new()),
    };
    let ending = record.ended.map(|(_, end)| end);
    let kept = Kept {
        aliases: record.aliases.iter().map(ToString::to_string).collect(),
        subject: subject.to_owned(),
        agents,
        sites,
        title: record.title.clone(),
        evidence: record.evidence.clone(),
        notes: record.notes.clone(),
        since_us: record.since.0,
        last_seen_us: record.last_seen.0,
        ending: ending.map(|end| end.name().to_owned()),
        merged_into: match ending {
            Some(End::Merged(into)) => Some(into.to_string()),
            Some(End::Recovered | End::Gone | End::Forgotten) | None => None,
        },
        flaps: record.flaps,
        is_flapping: record.is_flapping,
        is_ambiguous: record.is_ambiguous,
        rules: record.rules.iter().map(|rule| rule.0).collect(),
        silences: record.silences.iter().map(|silence| silence.0).collect(),
        history: record.history.iter().map(|line| (line.at.0, line.text.clone())).collect(),
        first_opened_us: Some(record.first_opened.0),
        earlier_us: record.earlier.as_micros(),
        peak: record.peak,
        worst: record.worst.clone(),
        was_over_us: record.was_over.map(|at| at.0),
        milder_us: record.milder.map(|at| at.0),
    };
    IncidentRow {
        id: record.id.0,
        definition: serde_json::to_string(&kept).expect("it is made of strings and numbers"),
        class: record.class.name().to_owned(),
        severity: record.severity.name().to_owned(),
        opened_at: record.opened,
        ended_at: record.ended.map(|(at, _)| at),
        is_silenced: !record.silences.is_empty(),
        ack: None,
    }
}

/// What a row says; nothing if it is not readable.
pub fn kept(row: &IncidentRow) -> Option<Kept> {
    serde_json::from_str(&row.definition).ok()
}

/// What is wrong with what, as a definition says.
pub fn title(definition: &str) -> Option<String> {
    serde_json::from_str(definition).ok().map(|kept: Kept| kept.title)
}

/// The record; nothing if it is not readable.
pub fn record(row: &IncidentRow) -> Option<Record> {
    let kept = kept(row)?;
    let agent = |place: usize| kept.agents.get(place).and_then(|text| AgentId::parse(text));
    let site = |place: usize| kept.sites.get(place).cloned();
    let subject = match kept.subject.as_str() {
        "mesh" => Subject::Mesh,
        "site" => Subject::Site(site(0)?),
        "site_pair" => Subject::SitePair(site(0)?, site(1)?),
        "agent" => Subject::Agent(agent(0)?),
        "pair" => Subject::Pair(agent(0)?, agent(1)?),
        "rest" => Subject::Rest,
        _ => return None,
    };
    let end = match kept.ending.as_deref() {
        Some("gone") => End::Gone,
        Some("merged") => End::Merged(parse_id(kept.merged_into.as_deref()?).map(IncidentId)?),
        Some("forgotten") => End::Forgotten,
        Some(_) | None => End::Recovered,
    };
    Some(Record {
        id: IncidentId(row.id),
        aliases: kept.aliases.iter().filter_map(|text| parse_id(text).map(IncidentId)).collect(),
        class: Class::ALL.into_iter().find(|class| class.name() == row.class)?,
        subject,
        severity: Severity::from_name(&row.severity)?,
        title: kept.title,
        evidence: kept.evidence,
        notes: kept.notes,
        since: UnixTime(kept.since_us),
        opened: row.opened_at,
        first_opened: kept.first_opened_us.map_or(row.opened_at, UnixTime),
        earlier: Span::micros(kept.earlier_us),
        last_seen: UnixTime(kept.last_seen_us),
        ended: row.ended_at.map(|at| (at, end)),
        flaps: kept.flaps,
        is_flapping: kept.is_flapping,
        is_ambiguous: kept.is_ambiguous,
        rules: kept.rules.into_iter().map(RuleId).collect(),
        silences: kept.silences.into_iter().map(SilenceId).collect(),
        ack: row.ack.clone().map(|(by, at, note)| Ack { by, at, note }),
        history: kept.history.into_iter().map(|(at, text)| Line { at: UnixTime(at), text }).collect(),
        peak: kept.peak,
        worst: kept.worst,
        was_over: kept.was_over_us.map(UnixTime),
        milder: kept.milder_us.map(UnixTime),
    })
}

/// Reads the 32 hexadecimal digits of an incident's name.
pub fn parse_id(text: &str) -> Option<[u8; 16]> {
    let bytes = everypath_protocol::id::parse_hex32(&format!("{text}{}", "0".repeat(32)))?;
    let id: [u8; 16] = bytes.first_chunk().copied()?;
    (hex(&id) == text.to_ascii_lowercase()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn any(subject: Subject, ended: Option<(UnixTime, End)>) -> Record {
        Record {
            id: IncidentId([3; 16]),
            aliases: vec![IncidentId([4; 16])],
            class: Class::HostDown,
            subject,
            severity: Severity::Critical,
            title: "t".into(),
            evidence: "e".into(),
            notes: vec!["n".into()],
            since: UnixTime(1),
            opened: UnixTime(2),
            first_opened: UnixTime(1),
            earlier: Span::micros(11),
            last_seen: UnixTime(3),
            ended,
            flaps: 4,
            is_flapping: true,
            is_ambiguous: true,
            rules: BTreeSet::from([RuleId(1)]),
            silences: vec![SilenceId(2)],
            ack: None,
            history: vec![Line { at: UnixTime(5), text: "h".into() }],
            peak: 8,
            worst: "w".into(),
            was_over: Some(UnixTime(4)),
            milder: Some(UnixTime(6)),
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let (one, other) = (AgentId([1; 32]), AgentId([2; 32]));
        for subject in [
            Subject::Mesh,
            Subject::Site("a".into()),
            Subject::SitePair("a".into(), "b".into()),
            Subject::Agent(one),
            Subject::Pair(one, other),
            Subject::Rest,
        ] {
            for end in [End::Recovered, End::Gone, End::Forgotten, End::Merged(IncidentId([9; 16]))] {
                let before = any(subject.clone(), Some((UnixTime(7), end)));
                assert_eq!(record(&row(&before)), Some(before));
            }
            let before = any(subject, None);
            assert_eq!(record(&row(&before)), Some(before));
        }
    }

    #[test]
    fn names_of_incidents_are_32_digits() {
        assert_eq!(parse_id(&"ab".repeat(16)), Some([0xab; 16]));
        for text in ["", "ab", &"ab".repeat(17), &"xy".repeat(16), &"ä".repeat(16)] {
            assert_eq!(parse_id(text), None, "{text}");
        }
    }
}
