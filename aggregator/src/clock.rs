//! The only place that asks what time it is.
//!
//! The clock that nobody sets is `CLOCK_BOOTTIME`, which goes on while the host sleeps: by `CLOCK_MONOTONIC` a host that slept for
//! two hours would take its own wall clock for one that somebody set.

use everypath_protocol::time::{MonoTime, Span, UnixTime};
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The clocks of this host, or in tests two that are set by hand.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Since the host was switched on.
    started: Duration,
    by_hand: Option<Arc<ByHand>>,
}

#[derive(Debug)]
struct ByHand {
    wall: AtomicI64,
    mono: AtomicU64,
    /// Somebody sets the wall clock to this after so many readings.
    then: Mutex<Option<(u32, UnixTime)>>,
}

impl ByHand {
    fn now(&self) -> UnixTime {
        let mut then = self.then.lock().unwrap_or_else(PoisonError::into_inner);
        *then = then.and_then(|(readings, time)| match readings.checked_sub(1) {
            Some(left) => Some((left, time)),
            None => {
                self.wall.store(time.0, Ordering::SeqCst);
                None
            }
        });
        UnixTime(self.wall.load(Ordering::SeqCst))
    }
}

impl Clock {
    /// The clocks of this host.
    pub fn system() -> Self {
        Self { started: since_boot(), by_hand: None }
    }

    /// Clocks that stand, the wall clock at `time`, until they are moved.
    pub fn by_hand(time: UnixTime) -> Self {
        let by_hand = ByHand { wall: AtomicI64::new(time.0), mono: AtomicU64::new(0), then: Mutex::new(None) };
        Self { by_hand: Some(Arc::new(by_hand)), ..Self::system() }
    }

    /// Now, by the wall clock.
    #[expect(clippy::disallowed_methods, reason = "the one file that reads the clock")]
    pub fn now(&self) -> UnixTime {
        match &self.by_hand {
            Some(clocks) => clocks.now(),
            None => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                UnixTime(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
            }
        }
    }

    /// Now, by the clock that nobody sets.
    pub fn mono(&self) -> MonoTime {
        match &self.by_hand {
            Some(clocks) => MonoTime(clocks.mono.load(Ordering::SeqCst)),
            None => MonoTime(span(since_boot().saturating_sub(self.started)).0),
        }
    }

    /// Lets clocks that are set by hand go on; the host's own go by themselves.
    pub fn advance(&self, span: Span) {
        if let Some(clocks) = &self.by_hand {
            clocks.mono.fetch_add(span.0, Ordering::SeqCst);
            clocks.wall.fetch_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }

    /// Sets the wall clock alone, if it is one that is set by hand.
    pub fn set(&self, time: UnixTime) {
        if let Some(clocks) = &self.by_hand {
            clocks.wall.store(time.0, Ordering::SeqCst);
        }
    }

    /// Lets the wall clock be set by somebody in the middle of something: after it was read `readings` times more.
    pub fn set_after(&self, readings: u32, time: UnixTime) {
        if let Some(clocks) = &self.by_hand {
            *clocks.then.lock().unwrap_or_else(PoisonError::into_inner) = Some((readings, time));
        }
    }
}

fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// A length of time as the protocol counts it.
pub fn span(duration: Duration) -> Span {
    Span(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// A time as RFC 3339 writes it, with any offset.
pub fn time_of(text: &str) -> Option<UnixTime> {
    let read = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
    i64::try_from(read.unix_timestamp_nanos() / 1_000).ok().map(UnixTime)
}

/// RFC 3339 in UTC with microseconds left out where they are zero.
pub fn rfc3339(time: UnixTime) -> String {
    let seconds = time.0.div_euclid(1_000_000);
    let micros = time.0.rem_euclid(1_000_000);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Year, month and day of a day counted from 1970-01-01. Years begin in March here, so that the leap day comes last and a
/// month's length follows from its number alone.
fn civil(day: i64) -> (i64, i64, i64) {
    const DAYS_IN_400_YEARS: i64 = 146_097;
    const MARCH_OF_YEAR_0: i64 = 719_468;
    let day = day + MARCH_OF_YEAR_0;
    let era = day.div_euclid(DAYS_IN_400_YEARS);
    let of_era = day.rem_euclid(DAYS_IN_400_YEARS);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_795_392_000_000_000, "2026-11-23T00:00:00Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00Z"),
            (4_107_542_399_000_001, "2100-02-28T23:59:59.000001Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(rfc3339(UnixTime(micros)), text);
            assert_eq!(time_of(text), Some(UnixTime(micros)));
        }
    }

    #[test]
    fn clocks_by_hand_stand_until_they_are_moved() {
        let clock = Clock::by_hand(UnixTime(5));
        assert_eq!(clock.now(), clock.clone().now());
        clock.advance(Span::micros(3));
        assert_eq!((clock.now(), clock.mono()), (UnixTime(8), MonoTime(3_000)));
        clock.set(UnixTime(1));
        assert_eq!((clock.now(), clock.mono()), (UnixTime(1), MonoTime(3_000)));
        clock.set_after(1, UnixTime(9));
        assert_eq!([clock.now(), clock.now(), clock.now()], [UnixTime(1), UnixTime(9), UnixTime(9)]);
    }
}
