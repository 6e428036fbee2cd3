//! An incident as people know it: what the judge says, and what people made of it.

use super::rule::{RuleId, Severity};
use super::silence::SilenceId;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::{Span, UnixTime};
use everypath_verdict::incident::{Class, Ending, Incident, IncidentId, Subject};

/// Most lines of a history. Past it the second one goes, so that the beginning stays.
pub const HISTORY_MAX: usize = 64;

/// Somebody takes care of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ack {
    /// Who.
    pub by: String,
    /// Since when.
    pub at: UnixTime,
    /// What they said; may be empty.
    pub note: String,
}

/// Why it is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Its subject is measured, and nothing is wrong with it.
    Recovered,
    /// Its subject is in the mesh no longer, or nobody is asked to measure it.
    Gone,
    /// It is part of another one.
    Merged(IncidentId),
    /// What was known of it was lost; if it goes on it is told as a new one.
    Forgotten,
}

impl End {
    /// The word in JSON and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::Gone => "gone",
            Self::Merged(_) => "merged",
            Self::Forgotten => "forgotten",
        }
    }

    /// The same in a sentence for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Recovered => "It is over.",
            Self::Gone => "Nobody is asked to measure it any more.",
            Self::Merged(_) => "It is part of another incident.",
            Self::Forgotten => "The aggregator lost track of it. If it goes on, it is told as a new one.",
        }
    }
}

impl From<Ending> for End {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Recovered => Self::Recovered,
            Ending::Gone => Self::Gone,
        }
    }
}

/// One line of a history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// When.
    pub at: UnixTime,
    /// What.
    pub text: String,
}

/// All that is kept of one incident.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its name.
    pub id: IncidentId,
    /// Other names, as [`Incident::aliases`].
    pub aliases: Vec<IncidentId>,
    /// What is wrong.
    pub class: Class,
    /// With what.
    pub subject: Subject,
    /// The highest of its rules, as long as it is open.
    pub severity: Severity,
    /// In plain English, as [`everypath_verdict::incident::Message`].
    pub title: String,
    /// What was measured, and who says so.
    pub evidence: String,
    /// Why it may be something else.
    pub notes: Vec<String>,
    /// When it began; what came back, not before it was over.
    pub since: UnixTime,
    /// When it was opened, or opened again.
    pub opened: UnixTime,
    /// When it was opened first.
    pub first_opened: UnixTime,
    /// How long it lasted all the times before it came back last.
    pub earlier: Span,
    /// When it was over before it came back last.
    pub was_over: Option<UnixTime>,
    /// When it was last found.
    pub last_seen: UnixTime,
    /// When it was last found, once it is over, and why.
    pub ended: Option<(UnixTime, End)>,
    /// How often it came back.
    pub flaps: u32,
    /// It came back so often that people are not told each time.
    pub is_flapping: bool,
    /// It may be something else; `notes` says why.
    pub is_ambiguous: bool,
    /// The rules whose cells were in it, since it was opened.
    pub rules: BTreeSet<RuleId>,
    /// The silences that keep it from being told; none if it is told.
    pub silences: Vec<SilenceId>,
    /// Who takes care of it.
    pub ack: Option<Ack>,
    /// What became of it.
    pub history: Vec<Line>,
    /// Most bad cells of what class and title say.
    pub peak: u32,
    /// The evidence of then.
    pub worst: String,
    /// Since when the judge says something milder than class and title do.
    pub milder: Option<UnixTime>,
}

impl Record {
    /// A new one.
    pub fn new(incident: &Incident, name: &dyn Fn(&AgentId) -> String) -> Self {
        let mut record = Self {
            id: incident.id,
            aliases: Vec::new(),
            class: incident.finding.class,
            subject: incident.finding.subject.clone(),
            severity: Severity::Info,
            title: String::new(),
            evidence: String::new(),
            notes: Vec::new(),
            since: incident.finding.since,
            opened: incident.opened,
            first_opened: incident.opened,
            earlier: Span::ZERO,
            was_over: None,
            last_seen: incident.last_seen,
            ended: None,
            flaps: 0,
            is_flapping: false,
            is_ambiguous: false,
            rules: BTreeSet::new(),
            silences: Vec::new(),
            ack: None,
            history: Vec::new(),
            peak: 0,
            worst: String::new(),
            milder: None,
        };
        record.follow(incident.last_seen, incident, Span::ZERO, name);
        record
    }

    /// It came back: how long it lasted until it was over is kept, and it is what the judge says now.
    pub fn reopen(&mut self, incident: &Incident) {
        if let Some((ended, _)) = self.ended.take() {
            self.earlier = Span(self.earlier.0.saturating_add(ended.since(self.since).0));
            self.was_over = Some(ended);
        }
        (self.class, self.peak, self.milder) = (incident.finding.class, 0, None);
    }

    /// How long it lasted, all the times that it was there, or has lasted by `now`.
    pub fn lasted(&self, now: UnixTime) -> Span {
        let this = self.ended.map_or(now, |(ended, _)| ended).since(self.since);
        Span(self.earlier.0.saturating_add(this.0))
    }

    /// Takes over what the judge says at `now`. Recovery comes cell by cell and gives an incident no other name: what is milder
    /// than class and title say must have begun the time `clear` ago, and be found, before they follow.
    pub fn follow(&mut self, now: UnixTime, incident: &Incident, clear: Span, name: &dyn Fn(&AgentId) -> String) {
        let message = incident.message(name);
        self.aliases.clone_from(&incident.aliases);
        if !self.keeps_its_name(now, incident, clear) {
            self.class = incident.finding.class;
            self.subject = incident.finding.subject.clone();
            self.title = message.title;
            self.worst.clone_from(&message.evidence);
        }
        self.evidence = message.evidence;
        self.notes = message.notes;
        // The judge also knows of older faults that are part of this one; the time before it was over is counted already.
        self.since = self.was_over.map_or(incident.finding.since, |over| incident.finding.since.max(over));
        self.opened = incident.opened;
        self.last_seen = incident.last_seen;
        self.flaps = incident.flaps;
        self.is_flapping = incident.is_flapping;
        self.is_ambiguous = incident.finding.ambiguity.is_some();
    }

    /// It is over. What was found last is half-way to that, and says nothing of what it was.
    pub fn end(&mut self, at: UnixTime, end: End) {
        self.ended = Some((at, end));
        if !self.worst.is_empty() {
            self.evidence = format!("At its worst: {}", self.worst);
        }
    }

    fn keeps_its_name(&mut self, now: UnixTime, incident: &Incident, clear: Span) -> bool {
        let (class, bad) = (incident.finding.class, incident.finding.evidence.bad);
        let answers_now = is_about_quality(class) && !is_about_quality(self.class);
        if class < self.class || (bad >= self.peak && !answers_now) {
            (self.peak, self.milder) = (bad, None);
            return false;
        }
        // What is not found now says nothing of what it is.
        let since = self.milder.unwrap_or(now).min(now);
        if incident.last_seen < now || now.since(since) < clear {
            self.milder = Some(since);
            return true;
        }
        (self.peak, self.milder) = (bad, None);
        false
    }

    /// Adds a line to its history.
    pub fn note(&mut self, at: UnixTime, text: String) {
        if self.history.len() >= HISTORY_MAX {
            self.history.remove(1);
        }
        self.history.push(Line { at, text });
    }

    /// Whether it goes on.
    pub const fn is_open(&self) -> bool {
        self.ended.is_none()
    }

    /// Whether anything but the time at which it was last found differs.
    pub fn differs(&self, before: &Self) -> bool {
        let Self { last_seen, .. } = *before;
        Self { last_seen, ..self.clone() } != *before
    }
}

/// Whether replies come: late, or not all of them.
const fn is_about_quality(class: Class) -> bool {
    match class {
        Class::MeshDegraded | Class::SiteDegraded | Class::SitePairDegraded | Class::PairDegraded => true,
        Class::HostDegraded | Class::ObserverDegraded => true,
        Class::AggregatorBlind | Class::MeshDown | Class::SiteCut | Class::SitePairCut | Class::HostDown => false,
        Class::HostUnreachable | Class::Isolated | Class::Silent | Class::PairDown | Class::Overflow => false,
    }
}
