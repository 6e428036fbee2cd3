//! What a fixed stretch of time said about one pair. Windows merge by adding; averages and percentiles are derived at the
//! end and never merged.

use crate::cell::CellState;
use crate::histogram::Histogram;
use crate::id::AgentId;
use crate::time::{Span, UnixTime};
use serde::{Deserialize, Serialize};

/// How a pair was probed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ProbeKind {
    /// ICMP echo (RFC 792, RFC 4443).
    Icmp,
}

impl ProbeKind {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Icmp];

    /// The number in the database.
    pub const fn code(self) -> u8 {
        match self {
            Self::Icmp => 0,
        }
    }

    /// The word in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Icmp => "icmp",
        }
    }
}

/// Why a probe says nothing about the path. None of these is loss.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum NotMeasured {
    /// The host does not allow this kind of probe.
    NotPermitted,
    /// The host refused to send: no route, no buffer, an interface that is down.
    SendFailed,
    /// The agent had too many probes under way, or was too late.
    Overload,
    /// The prober did not answer in time: nobody knows what became of the probe.
    Stalled,
}

impl NotMeasured {
    /// Every reason, in the order of the counters of [`NotMeasuredCounts`].
    pub const ALL: [Self; 4] = [Self::NotPermitted, Self::SendFailed, Self::Overload, Self::Stalled];

    /// The word used in JSON, logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotPermitted => "not_permitted",
            Self::SendFailed => "send_failed",
            Self::Overload => "overload",
            Self::Stalled => "stalled",
        }
    }
}

/// What became of one probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ProbeOutcome {
    /// A reply came within the timeout.
    Replied {
        /// Send to receive, on one monotonic clock, in microseconds.
        rtt_us: u32,
    },
    /// No reply came within the timeout, or a router said that it cannot come.
    Lost,
    /// Nothing can be said.
    NotMeasured(NotMeasured),
}

/// How many probes were not measured, by reason, in the order of [`NotMeasured::ALL`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct NotMeasuredCounts(pub [u32; 4]);

impl NotMeasuredCounts {
    /// Over all reasons.
    pub fn total(&self) -> u32 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// Round-trip times of a window, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RttRange {
    /// Smallest.
    pub min_us: u32,
    /// Largest.
    pub max_us: u32,
    /// Of all replies.
    pub sum_us: u64,
}

/// Replies up to this number say all in minimum, maximum and sum; the histogram is left out to save bytes.
pub const HISTOGRAM_REPLIES_MIN: u32 = 5;

/// One pair over one stretch of time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Window {
    /// Who was probed. The source is the author of the stream.
    pub target: AgentId,
    /// How.
    pub kind: ProbeKind,
    /// Wall clock at the beginning.
    pub start: UnixTime,
    /// How long it lasted, on the monotonic clock.
    pub span: Span,
    /// Probes that left the host. `sent = received + late + lost`.
    pub sent: u32,
    /// Replies within the timeout.
    pub received: u32,
    /// Replies after the timeout.
    pub late: u32,
    /// Second and further replies to one probe.
    pub duplicated: u32,
    /// Probes that say nothing; not part of `sent`.
    pub not_measured: NotMeasuredCounts,
    /// Of the replies, late ones left out. `None` without a reply.
    pub rtt: Option<RttRange>,
    /// Of the replies; empty below [`HISTOGRAM_REPLIES_MIN`] replies.
    pub histogram: Histogram,
    /// How the agent judged the pair when the window closed.
    pub state: CellState,
}

impl Window {
    /// A window without a probe in it.
    pub const fn new(target: AgentId, kind: ProbeKind, start: UnixTime) -> Self {
        Self {
            target,
            kind,
            start,
            span: Span::ZERO,
            sent: 0,
            received: 0,
            late: 0,
            duplicated: 0,
            not_measured: NotMeasuredCounts([0; 4]),
            rtt: None,
            histogram: Histogram::new(),
            state: CellState::Unknown,
        }
    }

    /// Counts one outcome. Every probe is counted exactly once.
    pub fn add(&mut self, outcome: ProbeOutcome) {
        match outcome {
            ProbeOutcome::Replied { rtt_us } => {
                self.sent = self.sent.saturating_add(1);
                self.received = self.received.saturating_add(1);
                self.histogram.add(rtt_us);
                let one = RttRange { min_us: rtt_us, max_us: rtt_us, sum_us: u64::from(rtt_us) };
                self.rtt = merge_rtt(self.rtt, Some(one));
            }
            ProbeOutcome::Lost => self.sent = self.sent.saturating_add(1),
            ProbeOutcome::NotMeasured(reason) => {
                let count = &mut self.not_measured.0[reason as usize];
                *count = count.saturating_add(1);
            }
        }
    }

    /// Adds a later window of the same pair and kind. The state is the later one's.
    pub fn merge(&mut self, later: &Self) {
        self.span = Span(self.span.0.saturating_add(later.span.0));
        self.sent = self.sent.saturating_add(later.sent);
        self.received = self.received.saturating_add(later.received);
        self.late = self.late.saturating_add(later.late);
        self.duplicated = self.duplicated.saturating_add(later.duplicated);
        for (sum, more) in self.not_measured.0.iter_mut().zip(later.not_measured.0) {
            *sum = sum.saturating_add(more);
        }
        self.rtt = merge_rtt(self.rtt, later.rtt);
        self.histogram.merge(&later.histogram);
        self.state = later.state;
    }

    /// Probes that left and brought nothing back.
    pub const fn lost(&self) -> u32 {
        self.sent.saturating_sub(self.received).saturating_sub(self.late)
    }

    /// Share of lost probes among those that left; `None` if none left, because not measured is not loss.
    pub fn loss_permille(&self) -> Option<u16> {
        (self.sent > 0).then(|| u16::try_from(u64::from(self.lost()) * 1000 / u64::from(self.sent)).unwrap_or(1000))
    }

    /// Wall clock at the end.
    pub fn end(&self) -> UnixTime {
        self.start.plus(self.span)
    }

    /// The window as it is kept: without a histogram that says nothing new.
    pub fn slimmed(mut self) -> Self {
        if self.received < HISTOGRAM_REPLIES_MIN {
            self.histogram = Histogram::new();
        }
        self
    }
}

fn merge_rtt(one: Option<RttRange>, other: Option<RttRange>) -> Option<RttRange> {
    match (one, other) {
        (Some(one), Some(other)) => Some(RttRange {
            min_us: one.min_us.min(other.min_us),
            max_us: one.max_us.max(other.max_us),
            sum_us: one.sum_us.saturating_add(other.sum_us),
        }),
        (one, None) => one,
        (None, other) => other,
    }
}
