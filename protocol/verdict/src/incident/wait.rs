//! Findings that wait to be incidents, and how they become some.

use super::explain::number;
use super::finding::{Class, Direction, Evidence, Finding, Severity, Subject};
use super::id::{IncidentId, WINDOW};
use super::patch::{Patch, overlap, sample, sketch, union};
use super::penalty::decayed;
use super::tracker::{CANDIDATES_MAX, Candidate, Change, ChangeKind, Incident, OPEN_MAX, Tracker};
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::time::{Span, UnixTime};

impl Tracker {
    /// Notes the findings that belong to no open incident. Returns how many there was no room for.
    pub(super) fn wait(
        &mut self,
        now: UnixTime,
        new: &[usize],
        findings: &[&Finding],
        sketches: &[Vec<u64>],
        patches: &[Patch],
    ) -> usize {
        let forget = self.rules.forget;
        self.candidates.retain(|candidate| now.since(candidate.last_seen) <= forget);
        for index in new {
            let (finding, cells) = (findings[*index], &sketches[*index]);
            let is_silence = finding.class == Class::Silent;
            if let Ok(place) = self.candidates.binary_search_by(|candidate| candidate.subject.cmp(&finding.subject)) {
                if self.candidates[place].is_silence != is_silence {
                    self.candidates.remove(place);
                    continue;
                }
                let candidate = &mut self.candidates[place];
                candidate.evaluations = candidate.evaluations.saturating_add(1);
                candidate.last_seen = now;
                candidate.cells = union(core::mem::take(&mut candidate.cells), cells);
                if patches[*index].is_growing {
                    candidate.grew = now;
                }
            }
        }
        // After those that go on, so that a finding inherits only from what is no finding of its own any more.
        let mut left_out = 0;
        for index in new {
            let (subject, cells) = (findings[*index].subject.clone(), &sketches[*index]);
            if self.candidates.binary_search_by(|candidate| candidate.subject.cmp(&subject)).is_ok() {
                continue;
            }
            let is_explained = |known: &Candidate| known.last_seen < now && overlap(&known.cells, cells);
            let is_silence = findings[*index].class == Class::Silent;
            let explained =
                self.candidates.iter().filter(|known| is_explained(known) && known.is_silence == is_silence);
            let inherited = explained.map(|known| known.first_seen).min();
            self.candidates.retain(|known| !is_explained(known));
            if self.candidates.len() >= CANDIDATES_MAX {
                left_out += 1;
                continue;
            }
            let first_seen = inherited.unwrap_or(now);
            let at = self.candidates.partition_point(|known| known.subject < subject);
            let (last_seen, grew, evaluations, cells) = (now, now, 1, sample(cells));
            let candidate = Candidate { subject, is_silence, first_seen, last_seen, grew, evaluations, cells };
            self.candidates.insert(at, candidate);
        }
        left_out
    }

    /// Opens incidents for what has waited long enough. Returns how many there was no room for.
    pub(super) fn open_what_waited(
        &mut self,
        now: UnixTime,
        findings: &[&Finding],
        new: &[usize],
        patches: &[Patch],
        changes: &mut Vec<Change>,
    ) -> usize {
        let mut left_out = 0;
        for (finding, patch) in new.iter().map(|index| (findings[*index], patches[*index])) {
            let found = self.candidates.binary_search_by(|candidate| candidate.subject.cmp(&finding.subject));
            let Ok(place) = found else { continue };
            if !self.is_ready(&self.candidates[place], finding.class, patch, now) {
                continue;
            }
            let is_one_more = |incident: &&Incident| incident.finding.subject != Subject::Rest;
            if self.open.iter().filter(is_one_more).count() >= OPEN_MAX {
                left_out += 1;
                continue;
            }
            self.candidates.remove(place);
            changes.push(self.open_or_reopen(finding, now));
        }
        left_out
    }

    fn is_ready(&self, candidate: &Candidate, class: Class, patch: Patch, now: UnixTime) -> bool {
        let (rules, waited) = (&self.rules, now.since(candidate.first_seen));
        let may_become_more = match class {
            Class::AggregatorBlind | Class::MeshDown | Class::MeshDegraded => false,
            Class::SiteCut | Class::SiteDegraded | Class::Overflow => false,
            Class::Isolated | Class::ObserverDegraded | Class::Silent => true,
            Class::HostDown | Class::HostUnreachable | Class::HostDegraded => true,
            Class::SitePairCut | Class::SitePairDegraded | Class::PairDown | Class::PairDegraded => true,
        };
        let settle = if patch.is_split { rules.settle_split } else { rules.settle };
        if patch.is_remnant && waited < rules.hold_max {
            return false;
        }
        let is_settled = !may_become_more || now.since(candidate.grew) >= settle || waited >= rules.hold_max;
        let hold = if candidate.is_silence { rules.hold_silence } else { rules.hold };
        waited >= hold && candidate.evaluations >= rules.hold_evaluations && is_settled
    }

    fn open_or_reopen(&mut self, finding: &Finding, now: UnixTime) -> Change {
        let cells = sample(&sketch(finding));
        let bare = Finding { cells: Vec::new(), silent: Vec::new(), ..finding.clone() };
        let same = self.remembered.iter().position(|known| known.finding.subject == finding.subject);
        let (incident, kind) = if let Some(place) = same {
            let known = self.remembered.remove(place);
            let left = decayed(known.penalty, now.since(known.penalty_at), &self.rules);
            let penalty = left.saturating_add(self.rules.penalty);
            let is_flapping =
                penalty > self.rules.flapping_above || (known.is_flapping && penalty >= self.rules.flapping_until);
            let flaps = known.flaps.saturating_add(1);
            let times = Incident { opened: now, last_seen: now, ended: None, penalty_at: now, asked: now, ..known };
            (Incident { finding: bare, flaps, is_flapping, penalty, cells, ..times }, ChangeKind::Reopened)
        } else {
            // A name is taken only by an incident that has become another one since. Then this one takes a later window's.
            let names = |window: u64| {
                IncidentId::names(&finding.subject, finding.since.plus(Span(WINDOW.0.saturating_mul(window))))
            };
            let tries = u64::try_from(self.open.len() + self.remembered.len()).unwrap_or(u64::MAX);
            let free = (0..=tries).map(names).find(|[id, _]| self.incident(*id).is_none());
            let [id, alias] = free.unwrap_or_else(|| names(0));
            (new_incident(id, alias, bare, cells, now), ChangeKind::Opened)
        };
        let id = incident.id;
        let at = self.open.partition_point(|known| known.id < id);
        self.open.insert(at, incident);
        Change { id, kind }
    }

    /// What is beyond a limit is told as one incident, at once.
    pub(super) fn tell_overflow(&mut self, now: UnixTime, left_out: usize, changes: &mut Vec<Change>) {
        if left_out == 0 {
            return;
        }
        let evidence = Evidence { bad: number(left_out), ..Evidence::default() };
        let finding = Finding {
            class: Class::Overflow,
            subject: Subject::Rest,
            direction: Direction::EitherOrBoth,
            severity: Severity::Critical,
            worst: CellState::Unknown,
            ambiguity: None,
            since: now,
            evidence,
            cells: Vec::new(),
            silent: Vec::new(),
        };
        let Some(incident) = self.open.iter_mut().find(|incident| incident.finding.subject == Subject::Rest) else {
            changes.push(self.open_or_reopen(&finding, now));
            return;
        };
        incident.last_seen = now;
        if incident.finding.evidence != finding.evidence {
            incident.finding.evidence = finding.evidence;
            changes.push(Change { id: incident.id, kind: ChangeKind::Updated });
        }
    }
}

fn new_incident(id: IncidentId, alias: IncidentId, finding: Finding, cells: Vec<u64>, now: UnixTime) -> Incident {
    Incident {
        id,
        aliases: Vec::from([alias]),
        finding,
        opened: now,
        last_seen: now,
        ended: None,
        flaps: 0,
        is_flapping: false,
        is_measured: true,
        penalty: 0,
        penalty_at: now,
        asked: now,
        pending: None,
        covered: 0,
        cells,
    }
}
