//! Times in which people do not want to be told.

use super::rule::is_name;
use super::scope::{Member, Reach, Scope};
use alloc::string::String;
use alloc::vec::Vec;
use everypath_protocol::fault::Fault;
use everypath_protocol::time::{Span, UnixTime};

/// Most silences that are not over. Each is compared with the cells of each incident.
pub const SILENCES_MAX: usize = 256;
/// Longest silence: what is never told is a rule that should be off.
pub const LENGTH_MAX: Span = Span::seconds(366 * 24 * 3_600);
/// Longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 1_024;

/// The number of a silence in the store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SilenceId(pub i64);

/// A silence, or a maintenance window, which is one that was planned and is shown as such.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Silence {
    /// Its number.
    pub id: SilenceId,
    /// Where.
    pub scope: Scope,
    /// From then on.
    pub from: UnixTime,
    /// Until before then.
    pub until: UnixTime,
    /// Why.
    pub reason: String,
    /// Who wanted it.
    pub author: String,
    /// Somebody works there.
    pub is_maintenance: bool,
}

impl Silence {
    /// Whether it holds now.
    pub fn is_active(&self, now: UnixTime) -> bool {
        self.from <= now && now < self.until
    }

    /// Everything that is wrong with it, by the names of the API.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = self.scope.faults();
        if self.until <= self.from {
            faults.push(Fault::new("until", "must be later than `from`"));
        }
        if self.until.since(self.from).0 > LENGTH_MAX.0 {
            let message = "must be at most 366 days after `from`; to be told never, disable the rule";
            faults.push(Fault::new("until", message));
        }
        let reason = self.reason.trim();
        if reason.is_empty() || self.reason.len() > REASON_BYTES_MAX {
            faults.push(Fault::new("reason", "must be 1 to 1024 bytes: somebody will ask"));
        }
        if !is_name(&self.author) {
            faults.push(Fault::new("", "the author has no name"));
        }
        faults
    }
}

/// The silences that hold now, over the members of now.
#[derive(Clone, Debug)]
pub struct Quiet(Vec<(SilenceId, Reach)>);

impl Quiet {
    /// Those of `silences` that are active.
    pub fn now(now: UnixTime, silences: &[Silence], members: &[Member<'_>]) -> Self {
        let active = silences.iter().filter(|silence| silence.is_active(now));
        Self(active.map(|silence| (silence.id, silence.scope.over(members))).collect())
    }

    /// The silences that together cover all of these paths and agents, by place in the list of members; none if one of them is not
    /// covered, or there are none to cover.
    pub fn covering(&self, cells: &[(usize, usize)], agents: &[usize]) -> Vec<SilenceId> {
        if self.0.is_empty() || (cells.is_empty() && agents.is_empty()) {
            return Vec::new();
        }
        let mut used = Vec::new();
        let mut cover = |covers: &dyn Fn(&Reach) -> bool| match self.0.iter().find(|(_, reach)| covers(reach)) {
            Some((id, _)) if used.contains(id) => true,
            Some((id, _)) => {
                used.push(*id);
                true
            }
            None => false,
        };
        let are_all = cells.iter().all(|(source, target)| cover(&|reach| reach.has_cell(*source, *target)))
            && agents.iter().all(|agent| cover(&|reach| reach.has_agent(*agent)));
        if are_all { used } else { Vec::new() }
    }
}
