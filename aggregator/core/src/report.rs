//! What was available over a period, from the sums of pairs.
//!
//! The time of a period is split, for each ordered pair, into three parts that add up to it:
//! - **down**: the windows in which the measuring agent judged the pair down;
//! - **up**: all other windows in which it could judge it;
//! - **unknown**: windows in which it could not, and the time of which there is no window at all.
//!
//! *Availability* is `up / (up + down)`: what nobody saw is neither. How much was seen, `(up + down) / all`, is the *coverage*, and
//! without any there is no availability. Of an agent it is that of all pairs towards it, of a site that of all pairs across its
//! border: their times are added, nothing is averaged.

mod csv;
mod incidents;
mod lines;
pub mod mail;
mod period;
pub mod schedule;

pub use csv::csv;
pub use incidents::{IncidentLine, incidents_csv};
pub use lines::{AgentLine, Member, PairLine, Report, SiteLine};
pub use period::{PERIOD_MAX, Period, Unreportable};

use crate::rollup::Bucket;
use everypath_protocol::time::Span;
use everypath_protocol::window::ProbeKind;

/// What the sums of one ordered pair add up to. Agents are numbers of the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PairSums {
    /// Who measured.
    pub source: u32,
    /// Who was measured.
    pub target: u32,
    /// How.
    pub kind: ProbeKind,
    /// How long the windows lasted together, in milliseconds.
    pub span_ms: u64,
    /// Of that, down.
    pub down_ms: u64,
    /// Of that, not judged.
    pub unknown_ms: u64,
    /// Probes that left.
    pub sent: u64,
    /// Replies within the timeout.
    pub received: u64,
    /// Replies after it.
    pub late: u64,
    /// Of all replies, in microseconds.
    pub rtt_sum_us: u64,
}

impl PairSums {
    /// Nothing yet.
    pub const fn none(source: u32, target: u32, kind: ProbeKind) -> Self {
        Self {
            source,
            target,
            kind,
            span_ms: 0,
            down_ms: 0,
            unknown_ms: 0,
            sent: 0,
            received: 0,
            late: 0,
            rtt_sum_us: 0,
        }
    }

    /// Adds a sum of the same pair.
    pub fn add(&mut self, bucket: &Bucket) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.span_ms, bucket.span_ms);
        add(&mut self.down_ms, bucket.down_ms);
        add(&mut self.unknown_ms, bucket.unknown_ms);
        add(&mut self.sent, bucket.sent);
        add(&mut self.received, bucket.received);
        add(&mut self.late, bucket.late);
        add(&mut self.rtt_sum_us, bucket.rtt.map_or(0, |rtt| rtt.sum_us));
    }

    /// Lost of sent, in millionths; `None` if nothing was sent.
    pub fn loss_ppm(&self) -> Option<u32> {
        ppm(self.sent.saturating_sub(self.received).saturating_sub(self.late), self.sent)
    }

    /// Mean round-trip time in microseconds; `None` without a reply.
    pub const fn rtt_mean_us(&self) -> Option<u64> {
        self.rtt_sum_us.checked_div(self.received)
    }
}

/// Time in three parts, in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Availability {
    /// It was judged, and not down.
    pub up_ms: u64,
    /// It was judged down.
    pub down_ms: u64,
    /// Nobody can say.
    pub unknown_ms: u64,
}

impl Availability {
    /// Splits a period for a pair. Windows that overlap, as after a restored disk, are shortened in proportion.
    pub fn of(sums: &PairSums, period: Span) -> Self {
        let all = period.as_millis();
        let shorten = |part: u64| match sums.span_ms {
            measured if measured > all => {
                u64::try_from(u128::from(part) * u128::from(all) / u128::from(measured)).unwrap_or(all)
            }
            _ => part,
        };
        let down_ms = shorten(sums.down_ms).min(all);
        let judged = shorten(sums.span_ms.saturating_sub(sums.unknown_ms)).min(all);
        let up_ms = judged.saturating_sub(down_ms);
        Self { up_ms, down_ms, unknown_ms: all - up_ms - down_ms }
    }

    /// Adds that of another pair.
    pub const fn merge(&mut self, other: &Self) {
        self.up_ms = self.up_ms.saturating_add(other.up_ms);
        self.down_ms = self.down_ms.saturating_add(other.down_ms);
        self.unknown_ms = self.unknown_ms.saturating_add(other.unknown_ms);
    }

    /// Up of all that was judged, in millionths; `None` if nothing was.
    pub fn share_ppm(&self) -> Option<u32> {
        ppm(self.up_ms, self.up_ms.saturating_add(self.down_ms))
    }

    /// Judged of all, in millionths. Of what nobody ever measured nothing was judged.
    pub fn coverage_ppm(&self) -> u32 {
        let judged = self.up_ms.saturating_add(self.down_ms);
        ppm(judged, judged.saturating_add(self.unknown_ms)).unwrap_or(0)
    }
}

/// Rounded down, so that only what was never down is 100 %.
fn ppm(part: u64, of: u64) -> Option<u32> {
    let share = (u128::from(part) * 1_000_000).checked_div(of.into())?;
    u32::try_from(share).ok()
}

#[cfg(test)]
mod tests;
