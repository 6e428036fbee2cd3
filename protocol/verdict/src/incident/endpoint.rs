//! Hosts without an agent: they are measured by a few agents, measure nobody, and say nothing.
//!
//! 1. Agents are judged without them. An endpoint is in no site, is never silent and never counts as one of those who are.
//! 2. An observer that a finding about agents already calls cut off accuses no endpoint: its bad cells are that finding's.
//! 3. An endpoint that only those reach who are cut off stands behind the cut with them: it is that finding's too.
//! 4. An observer that reaches nothing at all, and whom nobody confirms, is cut off itself. So is the only agent of a mesh.
//! 5. Four fifths of the other observers make it the endpoint, and so does the only one there is; more than half of at least
//!    three make it the endpoint in doubt. What is less is one pair for each of them.

use super::count::Count;
use super::explain::number;
use super::finding::{Ambiguity, Class, Direction, Evidence, Finding, NAMED_MAX, Severity, Subject};
use super::grid::Level;
use super::rules::Rules;
use super::snapshot::{MeasuredCell, Seat, Snapshot};
use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::Reverse;
use everypath_protocol::cell::CellState;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::UnixTime;

/// An observer that does not reach so many endpoints, and nobody else either, is cut off.
const ROW_MIN: usize = 3;
/// More than half of so many make it the endpoint, in doubt.
const MOSTLY_MIN: u32 = 3;
const MOSTLY_PERMILLE: u32 = 501;

/// What one agent says of one endpoint.
#[derive(Clone, Copy, Debug)]
struct Said {
    source: AgentId,
    state: CellState,
    since: UnixTime,
    /// The finding that explains it already, if that is so.
    explained_by: Option<usize>,
}

/// Everything that is said of endpoints.
#[derive(Debug)]
pub(super) struct Watched<'a> {
    by_endpoint: BTreeMap<AgentId, Vec<Said>>,
    site_of: BTreeMap<AgentId, &'a str>,
    /// Agents with a good cell, as source or as target.
    reached: BTreeSet<AgentId>,
}

/// The agents among themselves, and what they say of endpoints.
pub(super) fn split<'a, 's>(snapshot: &'s Snapshot<'a>) -> (Cow<'s, Snapshot<'a>>, Watched<'a>) {
    let mut watched = Watched { by_endpoint: BTreeMap::new(), site_of: BTreeMap::new(), reached: BTreeSet::new() };
    if !snapshot.roster.iter().any(|seat| seat.is_endpoint) {
        return (Cow::Borrowed(snapshot), watched);
    }
    let mut members = Snapshot::default();
    let mut places: Vec<Option<u32>> = Vec::with_capacity(snapshot.roster.len());
    for seat in &snapshot.roster {
        places.push((!seat.is_endpoint).then(|| number(members.roster.len())));
        if !seat.is_endpoint {
            members.roster.push(*seat);
            watched.site_of.insert(seat.agent, seat.site);
        }
    }
    let place = |index: u32| usize::try_from(index).ok().and_then(|index| places.get(index).copied());
    let seat = |index: u32| usize::try_from(index).ok().and_then(|index| snapshot.roster.get(index));
    for cell in &snapshot.cells {
        // Nobody but an agent measures.
        let (Some(Some(source)), Some(target)) = (place(cell.source), place(cell.target)) else { continue };
        let (Some(from), Some(to)) = (seat(cell.source), seat(cell.target)) else { continue };
        if let Some(target) = target {
            members.cells.push(MeasuredCell { source, target, ..*cell });
        }
        watched.note(cell, from, to);
    }
    watched.settle();
    (Cow::Owned(members), watched)
}

impl Watched<'_> {
    fn note(&mut self, cell: &MeasuredCell, from: &Seat<'_>, to: &Seat<'_>) {
        if !cell.is_fresh || cell.state == CellState::Unknown || from.agent == to.agent {
            return;
        }
        if !Level::Any.is_bad(cell.state) {
            self.reached.extend([from.agent, to.agent]);
        }
        if to.is_endpoint {
            let said = Said { source: from.agent, state: cell.state, since: cell.since, explained_by: None };
            self.by_endpoint.entry(to.agent).or_default().push(said);
        }
    }

    /// Of two for one pair the worse stays.
    fn settle(&mut self) {
        for said in self.by_endpoint.values_mut() {
            said.sort_unstable_by_key(|said| (said.source, Reverse(said.state), said.since));
            said.dedup_by_key(|said| said.source);
        }
    }

    /// Explains every bad cell of an endpoint, by one of `findings` or by a new one.
    pub(super) fn judge(mut self, rules: &Rules, findings: &mut Vec<Finding>) {
        self.find_cut_off(findings);
        for (endpoint, mut said) in core::mem::take(&mut self.by_endpoint) {
            self.doubt(&mut said, findings);
            for said in said.iter().filter(|said| Level::Any.is_bad(said.state)) {
                if let Some(finding) = said.explained_by.and_then(|place| findings.get_mut(place)) {
                    attach(finding, (said.source, endpoint), said);
                }
            }
            said.retain(|said| said.explained_by.is_none());
            findings.extend(self.find(endpoint, &said, rules));
        }
    }

    /// Rule 4.
    fn find_cut_off(&self, findings: &mut Vec<Finding>) {
        let mut rows: BTreeMap<AgentId, Vec<UnixTime>> = BTreeMap::new();
        let mut confirmed = BTreeSet::new();
        for said in self.by_endpoint.values() {
            let down = || said.iter().filter(|said| said.state == CellState::Down);
            down().for_each(|said| rows.entry(said.source).or_default().push(said.since));
            if down().nth(1).is_some() {
                confirmed.extend(down().map(|said| said.source));
            }
        }
        let is_slow = |agent: &AgentId| {
            let states = self.by_endpoint.values().flatten().filter(|said| said.source == *agent);
            states.into_iter().any(|said| said.state != CellState::Down)
        };
        for (agent, since) in rows {
            let is_known = findings.iter().any(|finding| self.cuts_off(finding, agent, CellState::Down));
            if since.len() < ROW_MIN || self.reached.contains(&agent) || is_known {
                continue;
            }
            if confirmed.contains(&agent) || is_slow(&agent) {
                continue;
            }
            findings.push(Finding {
                class: Class::Isolated,
                subject: Subject::Agent(agent),
                direction: Direction::Outward,
                severity: Severity::Critical,
                worst: CellState::Down,
                ambiguity: Some(Ambiguity::NobodyElse),
                since: since.into_iter().min().unwrap_or_default(),
                evidence: Evidence { bad: 0, fresh: 0, witnesses: 0, named: Vec::new(), is_only_agent_of_site: false },
                cells: Vec::new(),
                silent: Vec::new(),
            });
        }
    }

    /// Rules 2 and 3.
    fn doubt(&self, said: &mut [Said], findings: &[Finding]) {
        let by = |said: &Said| findings.iter().position(|finding| self.cuts_off(finding, said.source, said.state));
        let mut behind = None;
        let mut is_reached = false;
        for said in said.iter_mut() {
            said.explained_by = by(said);
            if !Level::Any.is_bad(said.state) {
                behind = behind.or(said.explained_by);
                is_reached |= said.explained_by.is_none();
            }
        }
        if !is_reached && behind.is_some() {
            said.iter_mut().for_each(|said| said.explained_by = said.explained_by.or(behind));
        }
    }

    /// Whether `finding` says that what `agent` finds in this state says nothing about others.
    fn cuts_off(&self, finding: &Finding, agent: AgentId, state: CellState) -> bool {
        let is_strong = match finding.class {
            Class::MeshDown | Class::SiteCut | Class::HostDown | Class::HostUnreachable | Class::Isolated => true,
            // Slow itself, so that others look slow; not so that they look down, and no less able to reach them.
            Class::MeshDegraded | Class::SiteDegraded | Class::HostDegraded | Class::ObserverDegraded => {
                matches!(state, CellState::Slow | CellState::Lossy)
            }
            Class::AggregatorBlind | Class::SitePairCut | Class::SitePairDegraded | Class::PairDown => false,
            Class::PairDegraded | Class::Silent | Class::Overflow => false,
        };
        let is_there = match &finding.subject {
            Subject::Mesh => true,
            Subject::Site(site) => self.site_of.get(&agent).is_some_and(|of| of == site),
            Subject::Agent(subject) => *subject == agent,
            Subject::SitePair(..) | Subject::Pair(..) | Subject::Rest => false,
        };
        // Whose own probes are answered is heard.
        is_strong && is_there && finding.direction != Direction::Inward
    }

    /// Rule 5, of those whom nothing keeps from being heard.
    fn find(&self, endpoint: AgentId, said: &[Said], rules: &Rules) -> Vec<Finding> {
        let count = |level: Level| {
            let bad = said.iter().filter(|said| level.is_bad(said.state)).count();
            Count { fresh: number(said.len()), bad: number(bad) }
        };
        let (down, any) = (count(Level::Down), count(Level::Any));
        let is_wide = |count: Count| count.bad > 1 || count.fresh == 1;
        let is_shape = |count: Count| is_wide(count) && count.has_share(rules.shape_permille);
        let is_mostly = any.bad >= MOSTLY_MIN && any.has_share(MOSTLY_PERMILLE);
        let bad: Vec<&Said> = said.iter().filter(|said| Level::Any.is_bad(said.state)).collect();
        if !is_shape(down) && !is_shape(any) && !is_mostly {
            return bad.into_iter().map(|said| self.pair(endpoint, said)).collect();
        }
        let is_down = is_shape(down) || down.bad == any.bad;
        let class = if is_down { Class::HostDown } else { Class::HostDegraded };
        let ambiguity = if any.good() > 0 {
            Some(Ambiguity::MixedEvidence)
        } else {
            (any.bad < rules.witnesses_min).then_some(Ambiguity::FewWitnesses)
        };
        Vec::from([made(class, Subject::Agent(endpoint), endpoint, ambiguity, any.fresh, &bad)])
    }

    fn pair(&self, endpoint: AgentId, said: &Said) -> Finding {
        let class = if said.state == CellState::Down { Class::PairDown } else { Class::PairDegraded };
        let subject = Subject::Pair(said.source.min(endpoint), said.source.max(endpoint));
        let is_clear = [said.source, endpoint].iter().all(|end| self.reached.contains(end));
        made(class, subject, endpoint, (!is_clear).then_some(Ambiguity::FewWitnesses), 1, &[said])
    }
}

/// A finding of `bad`, at least one.
fn made(
    class: Class,
    subject: Subject,
    endpoint: AgentId,
    ambiguity: Option<Ambiguity>,
    fresh: u32,
    bad: &[&Said],
) -> Finding {
    let down = bad.iter().filter(|said| said.state == CellState::Down).count();
    // Nobody measures the way back, so of a host it is the way there, and of a pair it may be either.
    let is_host = matches!(subject, Subject::Agent(_)) && class == Class::HostDegraded;
    Finding {
        class,
        subject,
        direction: if is_host { Direction::Inward } else { Direction::EitherOrBoth },
        severity: if down * 2 >= bad.len() { Severity::Critical } else { Severity::Degraded },
        worst: bad.iter().map(|said| said.state).max().unwrap_or_default(),
        ambiguity,
        since: bad.iter().map(|said| said.since).min().unwrap_or_default(),
        evidence: Evidence {
            bad: number(bad.len()),
            fresh,
            witnesses: number(bad.len()),
            named: bad.iter().map(|said| said.source).take(NAMED_MAX).collect(),
            is_only_agent_of_site: false,
        },
        cells: bad.iter().map(|said| (said.source, endpoint)).collect(),
        silent: Vec::new(),
    }
}

fn attach(finding: &mut Finding, cell: (AgentId, AgentId), said: &Said) {
    let place = finding.cells.partition_point(|known| *known < cell);
    finding.cells.insert(place, cell);
    finding.evidence.bad += 1;
    finding.evidence.fresh += 1;
    finding.worst = finding.worst.max(said.state);
    finding.since = finding.since.min(said.since);
}
