//! Windows summed up over a minute, an hour, a day.
//!
//! A [`Bucket`] is a sum: merging is adding, in any order, with the same result. So a rollup is right as soon as every sample
//! was added to it once, whenever it came, and nothing is ever computed anew: late data is one more addition. A sample belongs
//! to the bucket in which it began.

mod bytes;

use alloc::collections::BTreeMap;
use everypath_protocol::cell::CellState;
use everypath_protocol::histogram::Histogram;
use everypath_protocol::time::{Span, UnixTime};
use everypath_protocol::window::{HISTOGRAM_REPLIES_MIN, NotMeasuredCounts, ProbeKind, RttRange, Window};

/// How long a bucket is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// One minute.
    Minute,
    /// One hour.
    Hour,
    /// One day of UTC.
    Day,
}

impl Level {
    /// Shortest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// Its length.
    pub const fn span(self) -> Span {
        Span::seconds(match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        })
    }

    /// The word in names of tables, metrics and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// When the bucket that holds `time` begins.
    pub fn floor(self, time: UnixTime) -> UnixTime {
        floor(time, self.span())
    }
}

/// `time` rounded down to a multiple of `step` since 1970-01-01 UTC; `step` must be at least a microsecond.
pub fn floor(time: UnixTime, step: Span) -> UnixTime {
    let step = i64::try_from(step.as_micros().max(1)).unwrap_or(i64::MAX);
    UnixTime(time.0.saturating_sub(time.0.rem_euclid(step)))
}

/// One ordered pair, one kind of probe. Agents are numbers of the database.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PairKey {
    /// Who measured.
    pub source: u32,
    /// Who was measured.
    pub target: u32,
    /// How.
    pub kind: ProbeKind,
}

/// The sum of windows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bucket {
    /// How many windows.
    pub windows: u64,
    /// How long they lasted together, in milliseconds.
    pub span_ms: u64,
    /// Of that, how long the agent judged the pair down, in milliseconds.
    pub down_ms: u64,
    /// Of that, how long the agent could not judge the pair, in milliseconds.
    pub unknown_ms: u64,
    /// Probes that left the host. `sent = received + late + lost`.
    pub sent: u64,
    /// Replies within the timeout.
    pub received: u64,
    /// Replies after the timeout.
    pub late: u64,
    /// Second and further replies.
    pub duplicated: u64,
    /// Probes that say nothing, by reason; not part of `sent`.
    pub not_measured: [u64; 4],
    /// Of the replies. `None` without one.
    pub rtt: Option<RttRange>,
    /// Of the replies.
    pub histogram: Histogram,
}

impl Bucket {
    /// A sum of one.
    pub fn of(window: &Window) -> Self {
        let span_ms = window.span.as_millis();
        let NotMeasuredCounts(not_measured) = window.not_measured;
        Self {
            windows: 1,
            span_ms,
            down_ms: if window.state == CellState::Down { span_ms } else { 0 },
            unknown_ms: if window.state == CellState::Unknown { span_ms } else { 0 },
            sent: window.sent.into(),
            received: window.received.into(),
            late: window.late.into(),
            duplicated: window.duplicated.into(),
            not_measured: not_measured.map(u64::from),
            rtt: window.rtt,
            histogram: histogram_of(window),
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.windows, other.windows);
        add(&mut self.span_ms, other.span_ms);
        add(&mut self.down_ms, other.down_ms);
        add(&mut self.unknown_ms, other.unknown_ms);
        add(&mut self.sent, other.sent);
        add(&mut self.received, other.received);
        add(&mut self.late, other.late);
        add(&mut self.duplicated, other.duplicated);
        for (sum, more) in self.not_measured.iter_mut().zip(other.not_measured) {
            add(sum, more);
        }
        self.rtt = match (self.rtt, other.rtt) {
            (Some(one), Some(two)) => Some(RttRange {
                min_us: one.min_us.min(two.min_us),
                max_us: one.max_us.max(two.max_us),
                sum_us: one.sum_us.saturating_add(two.sum_us),
            }),
            (one, two) => one.or(two),
        };
        self.histogram.merge(&other.histogram);
    }

    /// Probes that left and brought nothing back.
    pub const fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received).saturating_sub(self.late)
    }
}

/// Agents leave out the histogram of a few replies. Up to three are known exactly from minimum, maximum and sum; of four, the
/// two in the middle are taken to be their mean, which errs by less than the range of the window.
fn histogram_of(window: &Window) -> Histogram {
    let mut histogram = window.histogram.clone();
    let Some(rtt) = window.rtt.filter(|_| histogram.counts().is_empty()) else { return histogram };
    let between = window.received.saturating_sub(2).min(HISTOGRAM_REPLIES_MIN);
    let rest = rtt.sum_us.saturating_sub(u64::from(rtt.min_us) + u64::from(rtt.max_us));
    let mean = rest.checked_div(between.into()).and_then(|mean| u32::try_from(mean).ok()).unwrap_or(rtt.max_us);
    histogram.add(rtt.min_us);
    (0..between).for_each(|_| histogram.add(mean.clamp(rtt.min_us, rtt.max_us.max(rtt.min_us))));
    if window.received >= 2 {
        histogram.add(rtt.max_us);
    }
    histogram
}

/// What is to be added to the rollups, by level, pair and beginning of the bucket.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Additions {
    /// Ascending, so that every writer locks rows in one order.
    pub buckets: BTreeMap<(Level, PairKey, UnixTime), Bucket>,
}

impl Additions {
    /// Adds one sample to every level; `time` is its corrected beginning.
    pub fn add(&mut self, pair: PairKey, time: UnixTime, window: &Window) {
        let one = Bucket::of(window);
        for level in Level::ALL {
            self.buckets.entry((level, pair, level.floor(time))).or_default().merge(&one);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use everypath_protocol::id::{AgentId, mix64};
    use everypath_protocol::window::ProbeOutcome;

    const T0: UnixTime = UnixTime(1_800_000_000_000_000);
    const PAIR: PairKey = PairKey { source: 1, target: 2, kind: ProbeKind::Icmp };

    fn window(seed: u64) -> (UnixTime, Window) {
        let start = T0.plus(Span::seconds(mix64(seed) % 200_000));
        let mut window = Window::new(AgentId([2; 32]), ProbeKind::Icmp, start);
        window.span = Span::seconds(10);
        window.state = CellState::ALL[usize::try_from(mix64(seed ^ 1) % 5).expect("small")];
        for probe in 0..mix64(seed ^ 2) % 9 {
            let draw = mix64(seed ^ (probe << 8));
            window.add(match draw % 4 {
                0 => ProbeOutcome::Lost,
                _ => ProbeOutcome::Replied { rtt_us: u32::try_from(draw >> 40).expect("24 bits") },
            });
        }
        (start, window.slimmed())
    }

    #[test]
    fn any_order_and_any_grouping_gives_the_same_sums() {
        for seed in 0..50_u64 {
            let windows: Vec<_> = (0..100).map(|number| window(seed << 32 | number)).collect();
            let mut whole = Additions::default();
            windows.iter().for_each(|(time, window)| whole.add(PAIR, *time, window));
            let mut parts = Additions::default();
            for half in [&windows[50..], &windows[..50]] {
                let mut part = Additions::default();
                half.iter().rev().for_each(|(time, window)| part.add(PAIR, *time, window));
                for (key, bucket) in part.buckets {
                    parts.buckets.entry(key).or_default().merge(&bucket);
                }
            }
            assert_eq!(whole, parts, "seed {seed}");
            for level in Level::ALL {
                let of_level = whole.buckets.iter().filter(|((of, ..), _)| *of == level);
                let sent: u64 = of_level.map(|(_, bucket)| bucket.sent).sum();
                assert_eq!(sent, windows.iter().map(|(_, window)| u64::from(window.sent)).sum::<u64>());
            }
        }
    }

    #[test]
    fn every_reply_is_in_the_histogram_and_up_to_three_exactly() {
        for replies in [&[700][..], &[700, 900], &[100, 5_000, 90_000], &[1, 2, 3, 400_000], &[9, 9, 9, 9, 9]] {
            let mut window = Window::new(AgentId([2; 32]), ProbeKind::Icmp, T0);
            let mut exact = Histogram::new();
            for &rtt_us in replies {
                window.add(ProbeOutcome::Replied { rtt_us });
                exact.add(rtt_us);
            }
            let bucket = Bucket::of(&window.slimmed());
            assert_eq!(bucket.histogram.total(), bucket.received, "{replies:?}");
            if replies.len() != 4 {
                assert_eq!(bucket.histogram, exact, "{replies:?}");
            }
        }
    }

    #[test]
    fn buckets_begin_at_multiples_of_their_length_before_1970_too() {
        let time = UnixTime(-1);
        assert_eq!(Level::Minute.floor(time), UnixTime(-60_000_000));
        assert_eq!(Level::Day.floor(UnixTime(86_400_000_000)), UnixTime(86_400_000_000));
        assert_eq!(Level::Hour.floor(UnixTime(3_599_999_999)), UnixTime(0));
    }
}
