//! The only reader of this host's clocks. Everything else is handed the time.
//!
//! Monotonic time is `CLOCK_BOOTTIME`: it goes on while the host is suspended. With `CLOCK_MONOTONIC`, which stands still
//! then, a laptop that slept for two hours would believe its rows to be fresh and its windows to be ten seconds long. Timers
//! stand still too, so deadlines become timers relative to now, and the first turn after a suspend finds what is due.
#![expect(clippy::disallowed_methods, reason = "this is the one file that reads the clocks")]

use everypath_protocol::time::{MonoTime, Now, UnixTime};
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A deadline beyond what a timer can express is as good as one in a year.
const FAR: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Reads both clocks of this host. Copies of one clock agree on where monotonic time begins.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Duration,
}

impl Clock {
    /// A clock whose monotonic time begins now.
    pub fn start() -> Self {
        Self { start: since_boot() }
    }

    /// Both clocks.
    pub fn now(&self) -> Now {
        Now { mono: self.mono(), wall: wall() }
    }

    /// The monotonic clock alone.
    pub fn mono(&self) -> MonoTime {
        let since_start = since_boot().saturating_sub(self.start);
        MonoTime(u64::try_from(since_start.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The moment at which this clock's monotonic time will be `at` if the host is not suspended before, for timers.
    pub fn instant(&self, at: MonoTime) -> Instant {
        let left = Duration::from_nanos(at.since(self.mono()).0).min(FAR);
        Instant::now() + left
    }
}

/// Time since the host was switched on, suspended or not.
fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
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
        let (before, now) = (Instant::now(), clock.mono());
        let later = clock.instant(now + Span::seconds(5));
        let after = Instant::now();
        assert!(later >= before + Duration::from_secs(5) && later <= after + Duration::from_secs(5));
        assert!(clock.mono() >= now);
    }

    #[test]
    fn a_deadline_in_the_past_is_now() {
        let clock = Clock::start();
        assert!(clock.instant(MonoTime(0)) <= Instant::now());
    }

    #[test]
    fn an_absurd_deadline_is_far_away_and_no_panic() {
        let clock = Clock::start();
        assert!(clock.instant(MonoTime(u64::MAX)) > clock.instant(MonoTime(1_000_000_000)));
    }

    #[test]
    fn suspended_time_counts() {
        // Nobody can suspend the test machine; but the clock must be the one that counts it.
        let (boottime, monotonic) = (since_boot(), clock_gettime(ClockId::Monotonic));
        let monotonic = Duration::new(u64::try_from(monotonic.tv_sec).unwrap(), 0);
        assert!(boottime >= monotonic, "{boottime:?} of it include the suspended time, {monotonic:?} do not");
    }
}
