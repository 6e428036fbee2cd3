//! The numbers that judging depends on.

use everypath_protocol::time::Span;

/// Thresholds of [`classify`](super::classify) and times of [`Tracker`](super::Tracker).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// From this share of agents silent at once on, who judges is blind. Permille; above 1000 it never is, which is what an
    /// agent wants that judges its own island.
    pub blind_permille: u32,
    /// From this share of bad cells in its row on, an observer may be isolated. Permille.
    pub isolated_permille: u32,
    /// From this share of bad cells on, a column is a host and a block is a site or two. Permille.
    pub shape_permille: u32,
    /// Fewer healthy witnesses than this make a finding ambiguous.
    pub witnesses_min: u32,
    /// So long its cells must have been bad before a finding opens an incident.
    pub hold: Span,
    /// So many evaluations must have given the same finding before it opens one. At least 1.
    pub hold_evaluations: u32,
    /// A finding that is not a site's or the mesh's waits until the patch of bad cells around it did not grow for this long …
    pub settle: Span,
    /// … and for this long where several findings explain the patch: parts of a larger shape look like that before it is whole …
    pub settle_split: Span,
    /// … but opens after this long in any case.
    pub hold_max: Span,
    /// A finding may be missing for so long, without beginning anew, before it opens.
    pub forget: Span,
    /// The same as [`Self::hold`] for silence: an agent that starts again, or is updated, is back by then.
    pub hold_silence: Span,
    /// So many of the last [`Self::change_window`] evaluations must say that an incident is something larger, or worse,
    /// before it changes. At least 1.
    pub change_votes: u32,
    /// So many evaluations are remembered for that; all of them must say that it is something smaller, because recovery comes
    /// cell by cell, and is no other class. At most 16.
    pub change_window: u32,
    /// So long nothing must be found before an incident ends.
    pub quiet: Span,
    /// What comes back within this time of its end is the same incident.
    pub reopen_within: Span,
    /// What a reopening adds to the penalty.
    pub penalty: u32,
    /// In this time half of a penalty is forgotten.
    pub penalty_half_life: Span,
    /// An incident with a higher penalty is flapping …
    pub flapping_above: u32,
    /// … until its penalty is below this.
    pub flapping_until: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            blind_permille: 600,
            isolated_permille: 750,
            shape_permille: 800,
            witnesses_min: 3,
            hold: Span::seconds(5),
            hold_evaluations: 3,
            settle: Span::seconds(3),
            settle_split: Span::seconds(5),
            hold_max: Span::seconds(15),
            forget: Span::seconds(4),
            hold_silence: Span::seconds(20),
            change_votes: 3,
            change_window: 10,
            quiet: Span::seconds(60),
            reopen_within: Span::seconds(600),
            penalty: 1_000,
            penalty_half_life: Span::seconds(900),
            flapping_above: 3_000,
            flapping_until: 750,
        }
    }
}
