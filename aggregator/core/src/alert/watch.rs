//! One evaluation after the other, and what follows from each.

use super::evaluate::{Evaluator, Judged};
use super::find::{find, say_never};
use super::notice::Notice;
use super::record::{Ack, End, Record};
use super::rule::{ChannelId, Route, Rule, RuleId};
use super::sight::Sight;
use super::silence::{Quiet, Silence};
use super::tell::{self, Policy, Told, Wish};
use alloc::borrow::ToOwned as _;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::{Span, UnixTime};
use everypath_verdict::incident::{Change, ChangeKind, Class, Finding, IncidentId, Rules, Subject, Tracker};

/// While something is wrong the state is kept as often, also if nothing changes: whoever takes over loses no more of it.
pub const KEEP_EVERY: Span = Span::seconds(5);
/// When an incident was last found is kept as often, where nothing else of it changes: at most 257 rows a minute.
pub const SEEN_EVERY: Span = Span::seconds(60);

/// A channel as far as it is decided here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Channel {
    /// Its number.
    pub id: ChannelId,
    /// How it wants to be told.
    pub policy: Policy,
}

/// What people want.
#[derive(Clone, Copy, Debug)]
pub struct Wishes<'a> {
    /// All rules.
    pub rules: &'a [Rule],
    /// All silences that are not over.
    pub silences: &'a [Silence],
    /// The channels that are in use.
    pub channels: &'a [Channel],
    /// Who takes care of what is open.
    pub acks: &'a BTreeMap<IncidentId, Ack>,
    /// The beginning of the mesh's id.
    pub mesh: &'a str,
    /// Where the pages are.
    pub url: Option<&'a str>,
}

/// What a channel is to be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Telling {
    /// Of which incident.
    pub incident: IncidentId,
    /// Whom.
    pub channel: ChannelId,
    /// What.
    pub notice: Notice,
    /// What it knows then.
    pub told: Told,
}

/// What follows from an evaluation. Either all of it is kept, or the next evaluation must begin with what was kept before.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Step {
    /// Those that changed.
    pub records: Vec<Record>,
    /// What is to be told.
    pub tellings: Vec<Telling>,
    /// For whoever takes over; nothing if it need not be kept now.
    pub state: Option<Vec<u8>>,
    /// Most agents are silent, and no rule says yet that this is worth telling: nothing was judged.
    pub is_blind: bool,
    /// What became of incidents.
    pub changes: Vec<Change>,
}

/// All that must be remembered between two evaluations.
#[derive(Clone, Debug)]
pub struct Watch {
    pub(super) evaluator: Evaluator,
    pub(super) tracker: Tracker,
    /// Open incidents, and those that may come back.
    records: BTreeMap<IncidentId, Record>,
    told: BTreeMap<(IncidentId, ChannelId), Told>,
    /// When each was last found, as it was last given out.
    seen: BTreeMap<IncidentId, UnixTime>,
    kept_at: Option<UnixTime>,
    was_busy: bool,
}

impl Watch {
    /// Goes on where somebody else was. Without `state`, or with one that cannot be read, what is wrong is found anew, and what was
    /// open is over.
    pub fn restore(
        state: Option<&[u8]>,
        records: Vec<Record>,
        told: BTreeMap<(IncidentId, ChannelId), Told>,
        rules: Rules,
    ) -> Self {
        let (evaluator, tracker) = state
            .and_then(|bytes| super::state::read(bytes, rules))
            .unwrap_or_else(|| (Evaluator::default(), Tracker::new(rules)));
        let seen = records.iter().map(|record| (record.id, record.last_seen)).collect();
        let records = records.into_iter().map(|record| (record.id, record)).collect();
        Self { evaluator, tracker, records, told, seen, kept_at: None, was_busy: true }
    }

    /// The incidents that are open, and those that ended a short time ago.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    #[cfg(test)]
    pub(super) fn told_in_tests(&self) -> BTreeMap<(IncidentId, ChannelId), Told> {
        self.told.clone()
    }

    /// How the conditions stand.
    pub const fn evaluator(&self) -> &Evaluator {
        &self.evaluator
    }

    /// One evaluation.
    pub fn step(&mut self, now: UnixTime, sight: &Sight<'_>, wishes: &Wishes<'_>) -> Step {
        let judged = self.evaluator.evaluate(now, sight, wishes.rules);
        let Some(findings) = find(&judged, &self.tracker) else {
            return Step { is_blind: true, ..Step::default() };
        };
        let names: BTreeMap<AgentId, &str> = sight.members.iter().map(|member| (member.id, member.name)).collect();
        let name = |agent: &AgentId| names.get(agent).map_or_else(|| agent.short(), |name| (*name).to_owned());
        let before = self.records.clone();
        let mut changes = self.tracker.observe(now, &findings, &judged.snapshot);
        changes.extend(self.tracker.end_what_nobody_is_asked_about(|finding| sight.is_asked_about(finding)));
        self.follow(now, &changes, &name);
        self.forget_what_nobody_knows(now);
        let by_subject: BTreeMap<&Subject, &Finding> =
            findings.iter().map(|finding| (&finding.subject, finding)).collect();
        let quiet = Quiet::now(now, wishes.silences, sight.members);
        let places: BTreeMap<AgentId, usize> =
            sight.members.iter().enumerate().map(|(place, member)| (member.id, place)).collect();
        for record in self.records.values_mut().filter(|record| record.is_open()) {
            // What it is called may be more than what is left of it.
            let subject = self.tracker.incident(record.id).map(|incident| &incident.finding.subject);
            let finding = subject.and_then(|subject| by_subject.get(subject).copied());
            say_never(record, &judged.never);
            add_rules(now, record, finding, &judged, wishes.rules);
            cover(now, record, finding, &quiet, &places, wishes.silences);
            record.ack = wishes.acks.get(&record.id).filter(|ack| ack.at >= record.opened).cloned();
        }
        let tellings = self.tell(now, wishes);
        let seen = &mut self.seen;
        let is_due = |record: &Record| {
            let seen = seen.get(&record.id).copied();
            seen.is_none_or(|seen| record.last_seen.since(seen) >= SEEN_EVERY || record.last_seen < seen)
        };
        let is_new =
            |record: &&Record| before.get(&record.id).is_none_or(|known| record.differs(known)) || is_due(record);
        let records: Vec<Record> = self.records.values().filter(is_new).cloned().collect();
        seen.extend(records.iter().map(|record| (record.id, record.last_seen)));
        self.drop_what_is_over();
        let state = self.state(now, !changes.is_empty());
        Step { records, tellings, state, is_blind: false, changes }
    }

    /// Takes over what the tracker says.
    fn follow(&mut self, now: UnixTime, changes: &[Change], name: &dyn Fn(&AgentId) -> String) {
        let clear = self.tracker.rules().quiet;
        for Change { id, kind } in changes {
            if let ChangeKind::Merged { into } = kind {
                let larger = self.tracker.incident(*into).map(|larger| larger.message(name).title);
                if let Some(record) = self.records.get_mut(id) {
                    record.ended = Some((now, End::Merged(*into)));
                    let larger = larger.unwrap_or_default();
                    record.note(now, format!("It is part of another incident: {larger}."));
                    record.notes.push(format!("It is part of: {larger}."));
                }
                continue;
            }
            let Some(incident) = self.tracker.incident(*id) else { continue };
            let record = self.records.entry(*id).or_insert_with(|| Record::new(incident, name));
            let title = record.title.clone();
            if *kind == ChangeKind::Reopened {
                record.reopen(incident);
            }
            record.follow(now, incident, clear, name);
            match kind {
                ChangeKind::Opened => record.note(now, format!("{}.", record.title)),
                ChangeKind::Reopened => {
                    record.rules.clear();
                    record.severity = super::rule::Severity::Info;
                    record.note(now, format!("It is back: {}.", record.title));
                }
                ChangeKind::Reclassified { .. } | ChangeKind::Updated if record.title != title => {
                    record.note(now, format!("Now: {}.", record.title));
                }
                ChangeKind::Reclassified { .. } | ChangeKind::Updated | ChangeKind::Merged { .. } => {}
                ChangeKind::Resolved(ending) => {
                    let end = End::from(*ending);
                    record.end(incident.ended.unwrap_or(now), end);
                    record.note(now, end.sentence().to_owned());
                }
            }
        }
        for incident in self.tracker.open() {
            let Some(record) = self.records.get_mut(&incident.id) else { continue };
            record.last_seen = incident.last_seen;
            if record.milder.is_some() {
                let title = record.title.clone();
                record.follow(now, incident, clear, name);
                if record.title != title {
                    record.note(now, format!("Now: {}.", record.title));
                }
            }
        }
    }

    /// Open records of which the tracker knows nothing are from before its state was lost.
    fn forget_what_nobody_knows(&mut self, now: UnixTime) {
        for record in self.records.values_mut().filter(|record| record.is_open()) {
            if !self.tracker.open().iter().any(|incident| incident.id == record.id) {
                record.ended = Some((record.last_seen, End::Forgotten));
                record.note(now, End::Forgotten.sentence().to_owned());
            }
        }
    }

    fn tell(&mut self, now: UnixTime, wishes: &Wishes<'_>) -> Vec<Telling> {
        let mut tellings = Vec::new();
        for record in self.records.values() {
            let wish = wish(record);
            let routed = routed(record, wishes);
            for channel in wishes.channels {
                let key = (record.id, channel.id);
                let told = self.told.get(&key);
                if told.is_none() && !routed.contains(&channel.id) {
                    continue;
                }
                let Some((event, told)) = tell::next(now, &channel.policy, told, &wish) else { continue };
                self.told.insert(key, told);
                let notice = Notice::of(event, record, wishes.rules, wishes.mesh, wishes.url);
                tellings.push(Telling { incident: record.id, channel: channel.id, notice, told });
            }
        }
        tellings
    }

    fn drop_what_is_over(&mut self) {
        let tracker = &self.tracker;
        self.records.retain(|id, record| record.is_open() || tracker.incident(*id).is_some());
        let records = &self.records;
        self.told.retain(|(incident, _), _| records.contains_key(incident));
        self.seen.retain(|incident, _| records.contains_key(incident));
    }

    fn state(&mut self, now: UnixTime, has_changed: bool) -> Option<Vec<u8>> {
        let is_busy = !self.evaluator.is_empty() || !self.tracker.open().is_empty();
        let is_due = self.kept_at.is_none_or(|kept| now.since(kept) >= KEEP_EVERY || now < kept);
        if !has_changed && !(is_due && (is_busy || self.was_busy)) {
            return None;
        }
        self.kept_at = Some(now);
        self.was_busy = is_busy;
        Some(super::state::write(&self.evaluator, &self.tracker))
    }
}

/// The rules whose cells are in it, and with them its severity.
fn add_rules(now: UnixTime, record: &mut Record, finding: Option<&Finding>, judged: &Judged<'_>, rules: &[Rule]) {
    let mut broken: BTreeSet<RuleId> = BTreeSet::new();
    if let Some(finding) = finding {
        broken.extend(finding.cells.iter().filter_map(|cell| judged.broken.get(cell)).flatten());
        broken.extend(finding.silent.iter().filter_map(|agent| judged.silent.get(agent)).flatten());
    }
    if record.class == Class::Overflow {
        // Whatever is in it breaks some rule, and nobody looks which.
        broken.extend(rules.iter().filter(|rule| rule.is_enabled).map(|rule| rule.id));
    }
    record.rules.append(&mut broken);
    let highest = rules.iter().filter(|rule| record.rules.contains(&rule.id)).map(|rule| rule.severity).max();
    if let Some(highest) = highest.filter(|highest| *highest > record.severity) {
        if record.severity != super::rule::Severity::Info {
            record.note(now, format!("It is {} now.", highest.name()));
        }
        record.severity = highest;
    }
}

/// Whether silences cover it.
fn cover(
    now: UnixTime,
    record: &mut Record,
    finding: Option<&Finding>,
    quiet: &Quiet,
    places: &BTreeMap<AgentId, usize>,
    silences: &[Silence],
) {
    let before = !record.silences.is_empty();
    match finding {
        Some(finding) => {
            let place = |agent: &AgentId| places.get(agent).copied().unwrap_or(usize::MAX);
            let cells: Vec<_> = finding.cells.iter().map(|(source, target)| (place(source), place(target))).collect();
            let agents: Vec<_> =
                if finding.cells.is_empty() { finding.silent.iter().map(place).collect() } else { Vec::new() };
            record.silences = quiet.covering(&cells, &agents);
        }
        // Nothing is found of it now: what covered it goes on to, as long as all of that holds.
        None => {
            let holds = |id| silences.iter().any(|silence| silence.id == id && silence.is_active(now));
            if !record.silences.iter().all(|id| holds(*id)) {
                record.silences.clear();
            }
        }
    }
    match (before, !record.silences.is_empty()) {
        (false, true) => record.note(now, "A silence covers it.".to_owned()),
        (true, false) => record.note(now, "No silence covers it any more.".to_owned()),
        (true, true) | (false, false) => {}
    }
}

fn routed(record: &Record, wishes: &Wishes<'_>) -> BTreeSet<ChannelId> {
    let mut routed = BTreeSet::new();
    for rule in wishes.rules.iter().filter(|rule| record.rules.contains(&rule.id)) {
        match &rule.route {
            Route::All => routed.extend(wishes.channels.iter().map(|channel| channel.id)),
            Route::Only(channels) => routed.extend(channels.iter().copied()),
        }
    }
    routed
}

fn wish(record: &Record) -> Wish {
    let acked = record.ack.as_ref().map_or("", |ack| ack.by.as_str());
    let over = record.ended.map_or("", |(_, end)| end.name());
    let gist = [record.title.as_str(), record.severity.name(), acked, over];
    let rest = core::iter::once(record.evidence.as_str()).chain(record.notes.iter().map(String::as_str));
    Wish {
        gist: tell::digest(gist),
        text: tell::digest(gist.into_iter().chain(rest)),
        is_over: !record.is_open(),
        is_quiet: !record.silences.is_empty(),
        is_flapping: record.is_flapping,
        is_acked: record.ack.is_some(),
    }
}
