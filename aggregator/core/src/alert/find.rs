//! From what the rules say to what the judge finds.

use super::evaluate::Judged;
use super::record::Record;
use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::UnixTime;
use everypath_verdict::incident::{
    Ambiguity, Class, Direction, Evidence, Finding, Severity, Subject, Tracker, classify,
};

/// Behind an agent that joined and said nothing since.
const NEVER_HEARD: &str = "It never reported since it joined; is `mesh-agent run` started there?";

/// What the judge finds; nothing while it cannot see and no rule says that this is worth telling.
///
/// 1. Silence is evidence long before it is worth telling.
/// 2. That the agent of an unreachable host is heard must be seen after the host became unreachable. Until then, or until it is
///    silent, nobody knows which of the two it is, and what is told first is what people remember.
pub(super) fn find(judged: &Judged<'_>, tracker: &Tracker) -> Option<Vec<Finding>> {
    let mut findings = classify(&judged.snapshot, tracker.rules());
    let told = |finding: &Finding| finding.silent.iter().filter(|agent| judged.silent.contains_key(agent)).count();
    let is_blind = |finding: &Finding| finding.class == Class::AggregatorBlind;
    if findings.iter().any(|finding| is_blind(finding) && told(finding) * 2 < finding.silent.len()) {
        return None;
    }
    let is_alive = |finding: &Finding| match &finding.subject {
        Subject::Agent(agent) => judged.heard.get(agent).is_some_and(|heard| *heard > finding.since),
        Subject::Mesh | Subject::Site(_) | Subject::SitePair(..) | Subject::Pair(..) | Subject::Rest => true,
    };
    findings.extend(judged.never.iter().map(|(agent, joined)| never_heard(*agent, *joined)));
    findings.retain(|finding| match finding.class {
        Class::Silent => told(finding) > 0,
        Class::HostUnreachable => is_alive(finding),
        Class::AggregatorBlind | Class::MeshDown | Class::MeshDegraded | Class::SiteCut | Class::SiteDegraded => true,
        Class::SitePairCut | Class::SitePairDegraded | Class::HostDown | Class::Isolated | Class::HostDegraded => true,
        Class::ObserverDegraded | Class::PairDown | Class::PairDegraded | Class::Overflow => true,
    });
    Some(findings)
}

/// An agent that joined and said nothing since. Nobody knows whether its host is there, and it accuses nobody.
fn never_heard(agent: AgentId, joined: UnixTime) -> Finding {
    Finding {
        class: Class::Silent,
        subject: Subject::Agent(agent),
        direction: Direction::EitherOrBoth,
        severity: Severity::Degraded,
        worst: CellState::Unknown,
        ambiguity: Some(Ambiguity::NobodyElse),
        since: joined,
        evidence: Evidence { bad: 1, fresh: 1, ..Evidence::default() },
        cells: Vec::new(),
        silent: Vec::from([agent]),
    }
}

/// Says of a silent agent that it was never heard, instead of what may have become of it.
pub(super) fn say_never(record: &mut Record, never: &BTreeMap<AgentId, UnixTime>) {
    let Subject::Agent(agent) = &record.subject else { return };
    if record.class == Class::Silent && never.contains_key(agent) {
        record.notes = Vec::from([NEVER_HEARD.to_owned()]);
    }
}
