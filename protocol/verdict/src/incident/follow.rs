//! One evaluation of the tracker. The rules are in `tracker.rs`.

use super::classify::rank;
use super::finding::{Class, Finding};
use super::id::IncidentId;
use super::patch::{Patch, overlap, patches, sample, sketch, union};
use super::penalty::decayed;
use super::rules::Rules;
use super::snapshot::{Seen, Snapshot};
use super::tracker::{CANDIDATES_MAX, Change, ChangeKind, Ending, Incident, Pending, REMEMBERED_MAX, Tracker};
use alloc::vec::Vec;
use everypath_protocol::time::UnixTime;

/// What this evaluation said of an open incident.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    Nothing,
    /// Part of it is still there, under another name.
    Supported,
    /// A finding speaks for it.
    Voiced,
}

impl Tracker {
    /// Takes in what [`classify`](super::classify) made of `snapshot` at `now`, and returns what changed. Meant to be called at
    /// a steady pace, once a second for example, also when nothing was found. Findings may come in any order.
    pub fn observe(&mut self, now: UnixTime, findings: &[Finding], snapshot: &Snapshot<'_>) -> Vec<Change> {
        self.forget_future(now);
        let mut changes = Vec::new();
        let mut ordered: Vec<&Finding> = findings.iter().collect();
        ordered.sort_by(|one, other| rank(one).cmp(&rank(other)));
        let mut left_out = ordered.len().saturating_sub(CANDIDATES_MAX);
        ordered.truncate(CANDIDATES_MAX);
        let sketches: Vec<Vec<u64>> = ordered.iter().map(|finding| sketch(finding)).collect();
        let mut patches = patches(&ordered, &sketches, &self.before, snapshot);
        self.before = sketches.iter().flatten().copied().collect();
        self.before.sort_unstable();

        let new = self.assign(now, &ordered, &sketches, &mut patches, &mut changes);
        let is_blind = ordered.iter().any(|finding| finding.class == Class::AggregatorBlind);
        self.end_what_is_over(now, is_blind, snapshot, &mut changes);
        left_out += self.wait(now, &new, &ordered, &sketches, &patches);
        left_out += self.open_what_waited(now, &ordered, &new, &patches, &mut changes);
        self.tell_overflow(now, left_out, &mut changes);
        self.calm_down(now, &mut changes);
        changes
    }

    /// Gives each finding to the open incident that it speaks for, if there is one. Returns the others.
    fn assign(
        &mut self,
        now: UnixTime,
        findings: &[&Finding],
        sketches: &[Vec<u64>],
        patches: &mut [Patch],
        changes: &mut Vec<Change>,
    ) -> Vec<usize> {
        let mut heard = alloc::vec![Heard::Nothing; self.open.len()];
        let mut covered_by = alloc::vec![None; self.open.len()];
        let mut new = Vec::new();
        self.age_votes();
        let owners = self.give_to_same_subject(findings, &mut heard);
        for (index, owner) in owners.into_iter().enumerate() {
            let cells = &sketches[index];
            // Silence that outlives a fault is not that fault.
            let may_share =
                |incident: &Incident| findings[index].class != Class::Silent || incident.finding.class == Class::Silent;
            let sharing: Vec<usize> = (0..self.open.len())
                .filter(|place| Some(*place) != owner && may_share(&self.open[*place]))
                .filter(|place| overlap(&self.open[*place].cells, cells))
                .collect();
            let free: Vec<usize> = sharing.iter().copied().filter(|place| heard[*place] == Heard::Nothing).collect();
            let oldest = free.iter().copied().min_by_key(|place| (self.open[*place].opened, self.open[*place].id));
            let Some(owner) = owner.or(oldest) else {
                // What an incident that speaks for itself had once may be its recovery. What has grown around one is not.
                let class = findings[index].class;
                patches[index].is_remnant = sharing.iter().any(|place| self.open[*place].finding.class <= class);
                new.push(index);
                continue;
            };
            heard[owner] = Heard::Voiced;
            for place in free.into_iter().filter(|place| *place != owner) {
                heard[place] = Heard::Supported;
                covered_by[place] = Some(self.open[owner].id);
            }
            changes.extend(self.voice(owner, findings[index], cells, now));
        }
        for (incident, heard) in self.open.iter_mut().zip(&heard) {
            if *heard != Heard::Nothing {
                incident.last_seen = now;
            }
        }
        self.merge(&covered_by, changes);
        new
    }

    fn give_to_same_subject(&self, findings: &[&Finding], heard: &mut [Heard]) -> Vec<Option<usize>> {
        let mut owners = Vec::with_capacity(findings.len());
        for finding in findings {
            let is_its = |(place, incident): &(usize, &Incident)| {
                heard[*place] == Heard::Nothing && incident.finding.subject == finding.subject
            };
            let owner = self.open.iter().enumerate().find(is_its).map(|(place, _)| place);
            if let Some(place) = owner {
                heard[place] = Heard::Voiced;
            }
            owners.push(owner);
        }
        owners
    }

    /// A finding speaks for an open incident: as what it is, or as what it may have become.
    fn voice(&mut self, place: usize, finding: &Finding, cells: &[u64], now: UnixTime) -> Option<Change> {
        let (rules, incident) = (self.rules, &mut self.open[place]);
        let id = incident.id;
        let was_measured = core::mem::replace(&mut incident.is_measured, true);
        let bare = Finding { cells: Vec::new(), silent: Vec::new(), ..finding.clone() };
        if incident.finding.class == finding.class && incident.finding.subject == finding.subject {
            incident.cells = union(core::mem::take(&mut incident.cells), cells);
            // The beginning is when it began, although the first cells may be good again.
            let since = incident.finding.since.min(finding.since);
            let before = core::mem::replace(&mut incident.finding, Finding { since, ..bare });
            let is_new = !was_measured || before != incident.finding;
            return is_new.then_some(Change { id, kind: ChangeKind::Updated });
        }
        let votes = match &incident.pending {
            Some(known) if known.class == finding.class && known.subject == finding.subject => known.votes | 1,
            Some(_) | None => 1,
        };
        if votes.count_ones() < votes_needed(&rules, incident.finding.class, finding.class) {
            incident.pending = Some(Pending { class: finding.class, subject: finding.subject.clone(), votes });
            return (!was_measured).then_some(Change { id, kind: ChangeKind::Updated });
        }
        incident.pending = None;
        let from = incident.finding.class;
        let since = incident.finding.since.min(finding.since);
        // Not the cells of before: an incident that shrank must not go on hiding what it was.
        incident.cells = sample(cells);
        incident.finding = Finding { since, ..bare };
        for name in
            IncidentId::names(&finding.subject, since).into_iter().chain(IncidentId::names(&finding.subject, now))
        {
            incident.add_alias(name);
        }
        Some(Change { id, kind: ChangeKind::Reclassified { from } })
    }

    /// One evaluation more, in which nobody said anything yet.
    fn age_votes(&mut self) {
        let window = u16::MAX >> 16_u32.saturating_sub(self.rules.change_window).min(15);
        for incident in &mut self.open {
            incident.pending = incident.pending.take().and_then(|pending| {
                let votes = (pending.votes << 1) & window;
                (votes != 0).then_some(Pending { votes, ..pending })
            });
        }
    }

    /// Merges incidents that others have explained for long enough.
    fn merge(&mut self, covered_by: &[Option<IncidentId>], changes: &mut Vec<Change>) {
        let mut gone: Vec<(Incident, IncidentId)> = Vec::new();
        for (place, by) in covered_by.iter().enumerate().rev() {
            let is_settled =
                |into: &IncidentId| self.open.iter().any(|incident| incident.id == *into && incident.pending.is_none());
            let Some(into) = by.as_ref().copied() else {
                self.open[place].covered = 0;
                continue;
            };
            let settled = is_settled(&into);
            let larger = self.open.iter().find(|larger| larger.id == into).map(|larger| larger.finding.class);
            let incident = &mut self.open[place];
            incident.covered = incident.covered.saturating_add(1);
            let needed = larger.map_or(u32::MAX, |class| votes_needed(&self.rules, incident.finding.class, class));
            if incident.covered >= needed && settled {
                gone.push((self.open.remove(place), into));
            }
        }
        for (incident, into) in gone {
            changes.push(Change { id: incident.id, kind: ChangeKind::Merged { into } });
            if let Some(larger) = self.open.iter_mut().find(|larger| larger.id == into) {
                larger.finding.since = larger.finding.since.min(incident.finding.since);
                larger.add_alias(incident.id);
                incident.aliases.into_iter().for_each(|name| larger.add_alias(name));
            }
        }
    }

    fn end_what_is_over(&mut self, now: UnixTime, is_blind: bool, snapshot: &Snapshot<'_>, changes: &mut Vec<Change>) {
        let mut place = 0;
        while place < self.open.len() {
            let incident = &mut self.open[place];
            let id = incident.id;
            if is_blind {
                incident.asked = now;
            }
            if now.since(incident.last_seen.max(incident.asked)) < self.rules.quiet {
                place += 1;
                continue;
            }
            let ending = match snapshot.seen(&incident.finding.subject) {
                // Who is heard is not silent, whether anybody measures it or not.
                Seen::NotMeasured if incident.finding.class == Class::Silent => Ending::Recovered,
                Seen::Fresh => Ending::Recovered,
                Seen::Gone => Ending::Gone,
                Seen::NotMeasured => {
                    incident.asked = now;
                    if core::mem::replace(&mut incident.is_measured, false) {
                        changes.push(Change { id, kind: ChangeKind::Updated });
                    }
                    place += 1;
                    continue;
                }
            };
            self.end(place, ending, changes);
        }
        let within = self.rules.reopen_within;
        self.remembered.retain(|known| known.ended.is_some_and(|ended| now.since(ended) <= within));
        while self.remembered.len() > REMEMBERED_MAX {
            let first =
                (0..self.remembered.len()).min_by_key(|at| (self.remembered[*at].ended, self.remembered[*at].id));
            first.into_iter().for_each(|at| drop(self.remembered.remove(at)));
        }
    }

    /// Ends what nobody measures and nobody is asked to, and the silence of whom nobody is asked about: they would stay open for
    /// ever. To be done after [`Tracker::observe`], which says what is not measured.
    pub fn end_what_nobody_is_asked_about(&mut self, is_asked: impl Fn(&Finding) -> bool) -> Vec<Change> {
        let mut changes = Vec::new();
        for place in (0..self.open.len()).rev() {
            let incident = &self.open[place];
            let says_nothing = !incident.is_measured || incident.finding.class == Class::Silent;
            if says_nothing && !is_asked(&incident.finding) {
                self.end(place, Ending::Gone, &mut changes);
            }
        }
        changes
    }

    fn end(&mut self, place: usize, ending: Ending, changes: &mut Vec<Change>) {
        let mut incident = self.open.remove(place);
        changes.push(Change { id: incident.id, kind: ChangeKind::Resolved(ending) });
        incident.ended = Some(incident.last_seen);
        incident.is_measured = true;
        incident.cells = Vec::new();
        let at = self.remembered.partition_point(|known| known.id < incident.id);
        self.remembered.insert(at, incident);
    }

    /// Ends flapping where the penalty has worn off.
    fn calm_down(&mut self, now: UnixTime, changes: &mut Vec<Change>) {
        for incident in self.open.iter_mut().filter(|incident| incident.is_flapping) {
            if decayed(incident.penalty, now.since(incident.penalty_at), &self.rules) < self.rules.flapping_until {
                incident.is_flapping = false;
                changes.push(Change { id: incident.id, kind: ChangeKind::Updated });
            }
        }
    }
}

/// How many of the last evaluations must say that an incident of class `from` is one of class `to`.
fn votes_needed(rules: &Rules, from: Class, to: Class) -> u32 {
    if to < from { rules.change_votes } else { rules.change_window.min(16) }
}
