//! Findings through time.
//!
//! 1. A finding opens an incident when its cells have been bad for some seconds, the last evaluations agree on it, and the
//!    patch of bad cells around it has stopped growing. A larger finding takes over the waiting time of what it explains.
//! 2. A finding with the subject of an open incident is that incident. Any other one that shares at least half of the smaller
//!    one's cells is either a larger explanation or what is left of it: the oldest such incident changes its class, and
//!    keeps its name, once enough evaluations say so; the others are merged into it. Three of the last ten are enough for
//!    what explains more, all ten are needed for what explains less: so evidence that goes to and fro settles on one class.
//!    What an incident had once and is bad apart from it now may be its recovery: it waits as long as anything may.
//! 3. An incident ends when nothing was found for some time *and* somebody measures its subject. Nobody measuring it is no
//!    recovery: it stays open and says so. It ends too when its subject has left the mesh.
//! 4. What comes back soon is the same incident. How often it did is told, so that who notifies can hold back; nothing is
//!    found later because of it.
//! 5. Silence is told late, because restarts are silent too; and of a fault that is over, silence that is left is an incident
//!    of its own.
//! 6. While most agents are silent nothing ends, because nothing can be seen.
//! 7. Whatever is beyond a limit is one incident of class `Overflow` with their number.

use super::finding::{Class, Finding, Subject};
use super::id::IncidentId;
use super::rules::Rules;
use alloc::vec::Vec;
use everypath_protocol::time::UnixTime;

/// Most open incidents; `Overflow` is one more. Past it nothing opens until one ends.
pub const OPEN_MAX: usize = 256;
/// Most ended incidents that are remembered. Past it the one that ended first is forgotten: it comes back as a new one.
pub const REMEMBERED_MAX: usize = 1024;
/// Most findings that wait, and most findings of one evaluation that are followed, the largest first.
pub const CANDIDATES_MAX: usize = 1024;
/// Most cells of an incident that are remembered, eight bytes each.
pub const CELLS_KEPT: usize = 8192;
/// Most other names of an incident. Past it further ones are not kept.
pub const ALIASES_MAX: usize = 16;
/// Longest state that [`Tracker::from_bytes`] reads. Incidents and candidates share the cells of one mesh, ten bytes each: with
/// 10,000 agents and 64 targets each, all of them bad, that is a tenth of it.
pub const STATE_BYTES_MAX: usize = 64 << 20;

/// One cause, as long as it lasts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Incident {
    /// Its name. Never changes.
    pub id: IncidentId,
    /// Other names: those that somebody who saw the same thing a little earlier or later, or as another class, may have given
    /// it, and the names of what was merged into it. At most [`ALIASES_MAX`].
    pub aliases: Vec<IncidentId>,
    /// What it is now. `cells` and `silent` are empty: they are in the findings of the moment.
    pub finding: Finding,
    /// When it was opened, or opened again.
    pub opened: UnixTime,
    /// When it was last found.
    pub last_seen: UnixTime,
    /// When it was last found, once it ended.
    pub ended: Option<UnixTime>,
    /// How often it came back.
    pub flaps: u32,
    /// It came back so often that telling people each time helps nobody.
    pub is_flapping: bool,
    /// Whether anybody measures its subject, as far as was asked.
    pub is_measured: bool,
    pub(super) penalty: u32,
    pub(super) penalty_at: UnixTime,
    /// When it was last asked, in vain, whether it is over.
    pub(super) asked: UnixTime,
    /// What it will be once enough evaluations say so.
    pub(super) pending: Option<Pending>,
    /// For how many evaluations a finding of another incident has explained it.
    pub(super) covered: u32,
    pub(super) cells: Vec<u64>,
}

impl Incident {
    /// Whether both tell of one cause, as far as names say: they share a name.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let names = || core::iter::once(&other.id).chain(&other.aliases);
        core::iter::once(&self.id).chain(&self.aliases).any(|name| names().any(|known| known == name))
    }

    pub(super) fn add_alias(&mut self, name: IncidentId) {
        if name != self.id && !self.aliases.contains(&name) && self.aliases.len() < ALIASES_MAX {
            self.aliases.push(name);
        }
    }
}

/// What an incident may become.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pending {
    pub(super) class: Class,
    pub(super) subject: Subject,
    /// One bit an evaluation, newest lowest; set is one that said so.
    pub(super) votes: u16,
}

/// Why an incident ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Its subject is measured, and nothing is wrong with it.
    Recovered,
    /// Its subject is in the mesh no longer, or nobody is asked to measure it.
    Gone,
}

/// What became of an incident.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChangeKind {
    /// It is new.
    Opened,
    /// It had ended, and is back.
    Reopened,
    /// It has another class or subject.
    Reclassified {
        /// The class that it had.
        from: Class,
    },
    /// Its evidence, severity, direction or ambiguity is another, it is measured no longer or again, or flaps no longer.
    Updated,
    /// It is part of another one and exists no longer; its name is an alias there.
    Merged {
        /// The other one.
        into: IncidentId,
    },
    /// It ended.
    Resolved(Ending),
}

/// One change of one incident.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// Which one. [`Tracker::incident`] knows it, unless it was merged.
    pub id: IncidentId,
    /// What happened.
    pub kind: ChangeKind,
}

/// A finding that waits to be an incident.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Candidate {
    pub(super) subject: Subject,
    /// It is silence. What shows at the same subject beside it is something else, and waits for itself.
    pub(super) is_silence: bool,
    pub(super) first_seen: UnixTime,
    pub(super) last_seen: UnixTime,
    pub(super) grew: UnixTime,
    pub(super) evaluations: u32,
    pub(super) cells: Vec<u64>,
}

/// Follows findings. Everything but the rules and the growth of patches is in [`Self::to_bytes`], so that whoever takes over
/// goes on where this one was.
#[derive(Clone, Debug)]
pub struct Tracker {
    pub(super) rules: Rules,
    /// Ascending by id.
    pub(super) open: Vec<Incident>,
    /// Ended ones, ascending by id.
    pub(super) remembered: Vec<Incident>,
    /// Ascending by subject.
    pub(super) candidates: Vec<Candidate>,
    /// The cells of all findings of the last evaluation, ascending.
    pub(super) before: Vec<u64>,
}

impl Tracker {
    /// Nothing followed yet.
    pub const fn new(rules: Rules) -> Self {
        Self { rules, open: Vec::new(), remembered: Vec::new(), candidates: Vec::new(), before: Vec::new() }
    }

    /// The numbers that it judges by.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The open incidents, ascending by id.
    pub fn open(&self) -> &[Incident] {
        &self.open
    }

    /// The incidents that ended a short time ago, ascending by id.
    pub fn remembered(&self) -> &[Incident] {
        &self.remembered
    }

    /// An incident that is open or remembered.
    pub fn incident(&self, id: IncidentId) -> Option<&Incident> {
        self.open.iter().chain(&self.remembered).find(|incident| incident.id == id)
    }

    /// A clock that was set back must not make everything wait until it is there again.
    pub(super) fn forget_future(&mut self, now: UnixTime) {
        for incident in self.open.iter_mut().chain(&mut self.remembered) {
            for time in [&mut incident.last_seen, &mut incident.asked, &mut incident.penalty_at] {
                *time = (*time).min(now);
            }
            incident.ended = incident.ended.map(|ended| ended.min(now));
        }
        for candidate in &mut self.candidates {
            for time in [&mut candidate.first_seen, &mut candidate.last_seen, &mut candidate.grew] {
                *time = (*time).min(now);
            }
        }
    }
}
