//! The incidents of a period, as a report lists them.

use super::csv::{field, line};
use crate::alert::render::Clock;
use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use everypath_protocol::time::{Span, UnixTime};

const HEADER: &str = "id,state,severity,class,title,subject,agents,sites,since,opened_at,ended_at,duration_s,ending,silenced,acknowledged_by,first_opened_at,outages\r\n";

/// One incident that was open at some time of the period.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IncidentLine {
    /// Its name, 32 hexadecimal digits.
    pub id: String,
    /// `info`, `warning` or `critical`.
    pub severity: String,
    /// What is wrong, such as `host_down`.
    pub class: String,
    /// What is wrong with what.
    pub title: String,
    /// `mesh`, `site`, `site_pair`, `agent`, `pair` or `rest`.
    pub subject: String,
    /// Names of the agents and endpoints that it is about.
    pub agents: Vec<String>,
    /// Names of the sites that it is about.
    pub sites: Vec<String>,
    /// When it began.
    pub since: UnixTime,
    /// When it was opened, or opened again.
    pub opened: UnixTime,
    /// When it was opened first.
    pub first_opened: UnixTime,
    /// How long it lasted all the times before it came back last.
    pub earlier: Span,
    /// How often it was there: once, and once more each time it came back.
    pub outages: u32,
    /// When it was over.
    pub ended: Option<UnixTime>,
    /// Why it is over.
    pub ending: Option<String>,
    /// A silence kept it from being told.
    pub is_silenced: bool,
    /// It may have been something else.
    pub is_ambiguous: bool,
    /// Who took care of it.
    pub acknowledged_by: Option<String>,
}

impl IncidentLine {
    /// How long it lasted, all the times that it was there, or has lasted by now. What lies between them is not counted.
    pub fn lasted(&self, now: UnixTime) -> Span {
        Span(self.earlier.0.saturating_add(self.ended.unwrap_or(now).since(self.since).0))
    }

    /// `open` or `over`.
    pub const fn state(&self) -> &'static str {
        if self.ended.is_none() { "open" } else { "over" }
    }
}

/// The list for a spreadsheet (RFC 4180).
pub fn incidents_csv(incidents: &[IncidentLine], now: UnixTime, clock: Clock<'_>) -> String {
    let mut text = HEADER.to_owned();
    for incident in incidents {
        let lasted = incident.lasted(now).as_millis();
        let fields = [
            incident.id.clone(),
            incident.state().to_owned(),
            incident.severity.clone(),
            incident.class.clone(),
            incident.title.clone(),
            incident.subject.clone(),
            incident.agents.join(" "),
            incident.sites.join(" "),
            clock(incident.since),
            clock(incident.opened),
            incident.ended.map_or_else(String::new, clock),
            format!("{}.{:03}", lasted / 1_000, lasted % 1_000),
            incident.ending.clone().unwrap_or_default(),
            if incident.is_silenced { "yes" } else { "no" }.to_owned(),
            incident.acknowledged_by.clone().unwrap_or_default(),
            clock(incident.first_opened),
            format!("{}", incident.outages),
        ];
        line(&mut text, fields.iter().map(|value| field(value)));
    }
    text
}
