//! What a run is about, and how large it is.

use crate::network::HostIndex;
use everypath_protocol::time::Span;
use std::ops::RangeInclusive;

/// How large a run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Agents.
    pub agents: usize,
    /// How long it lasts.
    pub length: Span,
    /// How much happens in it.
    pub pace: Pace,
}

/// What a run is about. The code is the same; intervals and who can reach whom differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// One mesh at the usual intervals: how agents find each other and what they tell.
    Mesh,
    /// Islands of a few agents that measure every minute: days of faults between buffers and one database.
    Keeping,
    /// Pairs that measure each other. The aggregator is away for the whole length, and then all come back at once.
    Returning,
}

/// Agents of an island.
const ISLAND: usize = 8;
/// The same where there are very many agents.
const ISLAND_SMALL: usize = 2;

impl Pace {
    /// The island of a host.
    pub(crate) const fn island(self, host: HostIndex) -> usize {
        match self {
            Self::Mesh => 0,
            Self::Keeping => host / ISLAND,
            Self::Returning => host / ISLAND_SMALL,
        }
    }

    /// Among whom all of a host's island are.
    pub(crate) fn near(self, host: HostIndex) -> RangeInclusive<HostIndex> {
        match self {
            Self::Mesh => 0..=HostIndex::MAX,
            Self::Keeping | Self::Returning => host.saturating_sub(ISLAND)..=host + ISLAND,
        }
    }

    /// How many others an agent can measure.
    pub(crate) fn others(self, host: HostIndex, agents: usize) -> usize {
        (0..agents).filter(|other| self.island(*other) == self.island(host)).count() - 1
    }

    /// At the end nothing goes wrong any more for this long, so that what waits can arrive.
    pub(crate) const fn calm(self) -> Span {
        match self {
            Self::Mesh | Self::Returning => Span::seconds(600),
            Self::Keeping => Span::seconds(3_600),
        }
    }

    /// Time between two hellos of an agent without a connection.
    pub(crate) const fn hello(self) -> Span {
        match self {
            Self::Mesh => Span::seconds(10),
            Self::Keeping | Self::Returning => Span::seconds(120),
        }
    }
}
