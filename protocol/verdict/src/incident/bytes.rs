//! The tracker's state as bytes, for whoever takes over. One byte of version, then tuples of plain values in the order below:
//! the types of this module may change without the bytes changing.

use super::finding::{Ambiguity, Class, Direction, Evidence, Finding, Severity, Subject};
use super::id::IncidentId;
use super::rules::Rules;
use super::tracker::{Candidate, Incident, Pending, STATE_BYTES_MAX, Tracker};
use alloc::string::String;
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::codec::{DecodeError, decode, encode};
use everypath_protocol::id::AgentId;
use everypath_protocol::time::UnixTime;

const VERSION: u8 = 1;

type SubjectBytes = (u8, Vec<String>, Vec<AgentId>);
type EvidenceBytes = (u32, u32, u32, Vec<AgentId>, bool);
type FindingBytes = (u8, SubjectBytes, u8, bool, CellState, Option<u8>, UnixTime, EvidenceBytes);
type TimesBytes = (UnixTime, UnixTime, Option<UnixTime>, UnixTime, UnixTime);
type ProgressBytes = (u32, bool, bool, u32, Option<(u8, SubjectBytes, u16)>, u32);
type IncidentBytes = ([u8; 16], Vec<[u8; 16]>, FindingBytes, TimesBytes, ProgressBytes, Vec<u64>);
type CandidateBytes = (SubjectBytes, bool, UnixTime, UnixTime, UnixTime, u32, Vec<u64>);
type StateBytes = (Vec<IncidentBytes>, Vec<IncidentBytes>, Vec<CandidateBytes>);

impl Tracker {
    /// Everything that whoever takes over must know.
    pub fn to_bytes(&self) -> Vec<u8> {
        let incidents = |incidents: &[Incident]| incidents.iter().map(write_incident).collect::<Vec<IncidentBytes>>();
        let candidates: Vec<CandidateBytes> = self.candidates.iter().map(write_candidate).collect();
        let state: StateBytes = (incidents(&self.open), incidents(&self.remembered), candidates);
        let mut bytes = Vec::from([VERSION]);
        bytes.extend(encode(&state));
        bytes
    }

    /// Goes on where another one was. Its rules need not have been the same. What grew last is not known, so candidates wait
    /// some seconds longer.
    ///
    /// # Errors
    /// [`DecodeError`]: nothing of it is to be used, and an empty tracker finds again what is wrong now.
    pub fn from_bytes(bytes: &[u8], rules: Rules) -> Result<Self, DecodeError> {
        let (version, rest) = bytes.split_first().ok_or(DecodeError::Malformed)?;
        if *version != VERSION {
            return Err(DecodeError::UnknownVersion(*version));
        }
        let (open, remembered, candidates): StateBytes = decode(rest, STATE_BYTES_MAX)?;
        let read = |incidents: Vec<IncidentBytes>| incidents.into_iter().map(read_incident).collect::<Option<Vec<_>>>();
        let read_all = || {
            let candidates: Option<Vec<Candidate>> = candidates.into_iter().map(read_candidate).collect();
            Some((read(open)?, read(remembered)?, candidates?))
        };
        let (mut open, mut remembered, mut candidates) = read_all().ok_or(DecodeError::Malformed)?;
        open.sort_by_key(|incident| incident.id);
        remembered.sort_by_key(|incident| incident.id);
        candidates.sort_by(|one, other| one.subject.cmp(&other.subject));
        Ok(Self { rules, open, remembered, candidates, before: Vec::new() })
    }
}

fn code<T: PartialEq>(all: &[T], value: &T) -> u8 {
    all.iter().position(|known| known == value).and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX)
}

fn read_code<T: Copy>(all: &[T], code: u8) -> Option<T> {
    all.get(usize::from(code)).copied()
}

fn write_subject(subject: &Subject) -> SubjectBytes {
    match subject.clone() {
        Subject::Mesh => (0, Vec::new(), Vec::new()),
        Subject::Site(site) => (1, Vec::from([site]), Vec::new()),
        Subject::SitePair(one, other) => (2, Vec::from([one, other]), Vec::new()),
        Subject::Agent(agent) => (3, Vec::new(), Vec::from([agent])),
        Subject::Pair(one, other) => (4, Vec::new(), Vec::from([one, other])),
        Subject::Rest => (5, Vec::new(), Vec::new()),
    }
}

fn read_subject((kind, sites, agents): SubjectBytes) -> Option<Subject> {
    match (kind, sites.as_slice(), agents.as_slice()) {
        (0, [], []) => Some(Subject::Mesh),
        (1, [site], []) => Some(Subject::Site(site.clone())),
        (2, [one, other], []) => Some(Subject::SitePair(one.clone(), other.clone())),
        (3, [], [agent]) => Some(Subject::Agent(*agent)),
        (4, [], [one, other]) => Some(Subject::Pair(*one, *other)),
        (5, [], []) => Some(Subject::Rest),
        _ => None,
    }
}

fn write_finding(finding: &Finding) -> FindingBytes {
    let evidence = &finding.evidence;
    let named = evidence.named.clone();
    (
        code(&Class::ALL, &finding.class),
        write_subject(&finding.subject),
        code(&Direction::ALL, &finding.direction),
        finding.severity == Severity::Critical,
        finding.worst,
        finding.ambiguity.as_ref().map(|reason| code(&Ambiguity::ALL, reason)),
        finding.since,
        (evidence.bad, evidence.fresh, evidence.witnesses, named, evidence.is_only_agent_of_site),
    )
}

fn read_finding(bytes: FindingBytes) -> Option<Finding> {
    let (class, subject, direction, is_critical, worst, ambiguity, since, evidence) = bytes;
    let (bad, fresh, witnesses, named, is_only_agent_of_site) = evidence;
    let ambiguity = match ambiguity {
        Some(reason) => Some(read_code(&Ambiguity::ALL, reason)?),
        None => None,
    };
    Some(Finding {
        class: read_code(&Class::ALL, class)?,
        subject: read_subject(subject)?,
        direction: read_code(&Direction::ALL, direction)?,
        severity: if is_critical { Severity::Critical } else { Severity::Degraded },
        worst,
        ambiguity,
        since,
        evidence: Evidence { bad, fresh, witnesses, named, is_only_agent_of_site },
        cells: Vec::new(),
        silent: Vec::new(),
    })
}

fn write_incident(incident: &Incident) -> IncidentBytes {
    let pending = incident.pending.as_ref();
    let pending = pending.map(|known| (code(&Class::ALL, &known.class), write_subject(&known.subject), known.votes));
    (
        incident.id.0,
        incident.aliases.iter().map(|name| name.0).collect(),
        write_finding(&incident.finding),
        (incident.opened, incident.last_seen, incident.ended, incident.penalty_at, incident.asked),
        (incident.flaps, incident.is_flapping, incident.is_measured, incident.penalty, pending, incident.covered),
        incident.cells.clone(),
    )
}

fn read_incident(bytes: IncidentBytes) -> Option<Incident> {
    let (id, aliases, finding, times, progress, cells) = bytes;
    let (opened, last_seen, ended, penalty_at, asked) = times;
    let (flaps, is_flapping, is_measured, penalty, pending, covered) = progress;
    let pending = match pending {
        Some((class, subject, votes)) => {
            Some(Pending { class: read_code(&Class::ALL, class)?, subject: read_subject(subject)?, votes })
        }
        None => None,
    };
    let (id, aliases) = (IncidentId(id), aliases.into_iter().map(IncidentId).collect());
    let finding = read_finding(finding)?;
    let (cells, covered) = (super::patch::union(cells, &[]), covered);
    Some(Incident {
        id,
        aliases,
        finding,
        opened,
        last_seen,
        ended,
        flaps,
        is_flapping,
        is_measured,
        penalty,
        penalty_at,
        asked,
        pending,
        covered,
        cells,
    })
}

fn write_candidate(candidate: &Candidate) -> CandidateBytes {
    let subject = write_subject(&candidate.subject);
    let cells = candidate.cells.clone();
    let (is_silence, times) = (candidate.is_silence, (candidate.first_seen, candidate.last_seen, candidate.grew));
    (subject, is_silence, times.0, times.1, times.2, candidate.evaluations, cells)
}

fn read_candidate(
    (subject, is_silence, first_seen, last_seen, grew, evaluations, cells): CandidateBytes,
) -> Option<Candidate> {
    let (subject, cells) = (read_subject(subject)?, super::patch::union(cells, &[]));
    Some(Candidate { subject, is_silence, first_seen, last_seen, grew, evaluations, cells })
}
