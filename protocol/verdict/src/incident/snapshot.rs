//! What one observer of the mesh holds at one moment.

use super::finding::Subject;
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::UnixTime;

/// One agent of the roster, or an endpoint: a host without an agent, which is probed and probes nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seat<'a> {
    /// Who it is. At most one seat an agent; of two, one is used, the same one whatever their order.
    pub agent: AgentId,
    /// The name of its site. What stands there for an endpoint is only a word: it is in no site.
    pub site: &'a str,
    /// It is probed and probes nobody, so it is no witness, never silent, and none of those who are counted.
    pub is_endpoint: bool,
    /// Since when nothing was heard of it by who judges, however it is heard; `None` while it is heard. From how much
    /// quiet on an agent is silent is the caller's to say: longer than the pause between two of its reports.
    pub silent_since: Option<UnixTime>,
}

/// What one agent says about one other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MeasuredCell {
    /// Who probes: an index of [`Snapshot::roster`].
    pub source: u32,
    /// Who is probed: an index of [`Snapshot::roster`].
    pub target: u32,
    /// What it found. `Unknown` is no evidence.
    pub state: CellState,
    /// Since when it finds this.
    pub since: UnixTime,
    /// Whether its evidence is young enough to say anything about now. If not, it is no evidence.
    pub is_fresh: bool,
}

/// Who is in the mesh, and what is measured. Pairs that nobody measures have no cell. A cell that names nobody of the
/// roster, or an agent's own, is passed over. At most one cell an ordered pair; of two bad ones the worse is taken.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Snapshot<'a> {
    /// All agents of the mesh, in any order.
    pub roster: Vec<Seat<'a>>,
    /// The measured cells, in any order.
    pub cells: Vec<MeasuredCell>,
}

/// Whether a snapshot can say anything about a subject.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// At least one fresh cell is about it.
    Fresh,
    /// It is in the mesh, and nobody measures it now. That says neither that it is bad nor that it is good.
    NotMeasured,
    /// It is in the mesh no longer.
    Gone,
}

impl Snapshot<'_> {
    /// Whether anything can be said about `subject` now. One walk over roster and cells.
    pub fn seen(&self, subject: &Subject) -> Seen {
        let is_at = |seat: &Seat<'_>, place: &Subject| match place {
            Subject::Agent(agent) => seat.agent == *agent,
            Subject::Site(site) => !seat.is_endpoint && seat.site == site.as_str(),
            Subject::Pair(..) | Subject::SitePair(..) | Subject::Mesh | Subject::Rest => true,
        };
        let (one, other) = match subject {
            Subject::Agent(agent) => (Subject::Agent(*agent), Subject::Mesh),
            Subject::Site(site) => (Subject::Site(site.clone()), Subject::Mesh),
            Subject::Pair(one, other) => (Subject::Agent(*one), Subject::Agent(*other)),
            Subject::SitePair(one, other) => (Subject::Site(one.clone()), Subject::Site(other.clone())),
            // What is true of the mesh as a whole needs no cell: silence is seen in the roster.
            Subject::Mesh | Subject::Rest => return Seen::Fresh,
        };
        if [&one, &other].into_iter().any(|place| !self.roster.iter().any(|seat| is_at(seat, place))) {
            return Seen::Gone;
        }
        let seat = |index: u32| usize::try_from(index).ok().and_then(|index| self.roster.get(index));
        let crosses = |source: &Seat<'_>, target: &Seat<'_>| match subject {
            Subject::Site(_) | Subject::SitePair(..) => source.site != target.site && !target.is_endpoint,
            Subject::Agent(_) | Subject::Pair(..) | Subject::Mesh | Subject::Rest => source.agent != target.agent,
        };
        let is_about = |cell: &MeasuredCell| {
            let (Some(source), Some(target)) = (seat(cell.source), seat(cell.target)) else { return false };
            let forward = is_at(source, &one) && is_at(target, &other);
            crosses(source, target) && (forward || (is_at(source, &other) && is_at(target, &one)))
        };
        let is_evidence = |cell: &&MeasuredCell| cell.is_fresh && cell.state != CellState::Unknown;
        if self.cells.iter().filter(is_evidence).any(is_about) { Seen::Fresh } else { Seen::NotMeasured }
    }
}
