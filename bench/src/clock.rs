//! The one file of this package that reads the clock.
#![expect(clippy::disallowed_methods, reason = "this is the one file that reads the clocks")]

use everypath_protocol::time::{MonoTime, Now, UnixTime};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A running stopwatch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch(Instant);

impl Watch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    pub(crate) fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }

    pub(crate) fn millis(self) -> f64 {
        self.seconds() * 1_000.0
    }

    /// Both clocks; monotonic time begins with this watch.
    pub(crate) fn now(self) -> Now {
        Now { mono: MonoTime(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)), wall: wall() }
    }
}

/// The wall clock.
pub(crate) fn wall() -> UnixTime {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

/// The middle of several figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}

/// The figure that `permille` of all are at or below.
pub(crate) fn quantile(mut figures: Vec<f64>, permille: usize) -> f64 {
    figures.sort_by(f64::total_cmp);
    let place = (figures.len() * permille).div_ceil(1_000).saturating_sub(1);
    figures.get(place).copied().unwrap_or(0.0)
}
