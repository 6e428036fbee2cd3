//! The only caller of `Instant::now` and `SystemTime::now`. Everything else is handed the time.
#![expect(clippy::disallowed_methods, reason = "this is the one file that reads the clocks")]

use everypath_protocol::time::{MonoTime, Now, UnixTime};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Reads both clocks of this host. Copies of one clock agree on where monotonic time begins.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose monotonic time begins now.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Both clocks.
    pub fn now(&self) -> Now {
        Now { mono: self.mono(), wall: wall() }
    }

    /// The monotonic clock alone.
    pub fn mono(&self) -> MonoTime {
        MonoTime(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// The moment at which this clock's monotonic time will be `at`, for timers.
    pub fn instant(&self, at: MonoTime) -> Instant {
        // A deadline beyond what the platform can express is as good as one in a year.
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
        let wanted = self.start.checked_add(Duration::from_nanos(at.0));
        wanted.unwrap_or_else(|| Instant::now() + YEAR)
    }
}

/// The wall clock. A host whose clock is before 1970 gets a negative label rather than a panic.
pub fn wall() -> UnixTime {
    let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    UnixTime(match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => micros(after),
        Err(before) => -micros(before.duration()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use everypath_protocol::time::Span;

    #[test]
    fn monotonic_time_and_timers_agree() {
        let clock = Clock::start();
        let now = clock.mono();
        let later = clock.instant(now + Span::seconds(5));
        assert_eq!(later - clock.instant(now), Duration::from_secs(5));
        assert!(clock.mono() >= now);
    }

    #[test]
    fn an_absurd_deadline_is_far_away_and_no_panic() {
        let clock = Clock::start();
        assert!(clock.instant(MonoTime(u64::MAX)) > clock.instant(MonoTime(1_000_000_000)));
    }
}
