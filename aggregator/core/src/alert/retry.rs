//! What follows from how a sending ended.

use alloc::string::String;
use everypath_protocol::time::{Span, UnixTime};

/// A message that could not be sent for so long is given up: whoever reads it then has found out otherwise.
pub const GIVE_UP_AFTER: Span = Span::seconds(24 * 3_600);
/// First pause of a channel that failed.
pub const PAUSE_MIN: Span = Span::seconds(2);
/// Longest pause of a channel that failed.
pub const PAUSE_MAX: Span = Span::seconds(600);
/// A provider that asks for a longer rest is asked again after this.
pub const REST_MAX: Span = Span::seconds(3_600);
/// A provider that asks for a shorter one, or says nothing of it, is left alone for this.
pub const REST_MIN: Span = Span::seconds(1);

/// How a sending ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The provider took it; the name by which it knows it, if there is one.
    Sent(Option<String>),
    /// Some of those whom it is for get it, and why the others do not.
    SentToSome(String),
    /// Too much at once; rest for so long.
    TooMany(Option<Span>),
    /// What was to be edited is not there any more.
    Gone,
    /// It will never be taken, and why.
    Refused(String),
    /// It may be taken later, and why not now.
    Failed(String),
}

/// What becomes of the message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It was told.
    Told,
    /// It is tried again when the channel may be used.
    Waits,
    /// The same again as a new message.
    Anew,
    /// It is given up.
    GivenUp(String),
}

/// What becomes of the channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pause {
    /// It is not used before.
    pub until: UnixTime,
    /// So many failures in a row.
    pub failures: u32,
}

/// What follows. `wanted` is when the message was decided, `failures` how often the channel failed in a row, `random` anything.
pub fn after(outcome: &Outcome, now: UnixTime, wanted: UnixTime, failures: u32, random: u64) -> (Fate, Pause) {
    let go_on = Pause { until: now, failures: 0 };
    let is_late = now.since(wanted).0 >= GIVE_UP_AFTER.0;
    match outcome {
        Outcome::Sent(_) | Outcome::SentToSome(_) => (Fate::Told, go_on),
        Outcome::Gone => (Fate::Anew, go_on),
        // The channel works: it said so.
        Outcome::Refused(why) => (Fate::GivenUp(why.clone()), go_on),
        Outcome::TooMany(rest) => {
            let rest = Span(rest.unwrap_or(REST_MIN).0.clamp(REST_MIN.0, REST_MAX.0));
            let fate = if is_late { Fate::GivenUp(String::from("too many requests for a day")) } else { Fate::Waits };
            // No failure of its own: who does as it was told need not wait longer each time.
            (fate, Pause { until: now.plus(rest), failures })
        }
        Outcome::Failed(why) => {
            let fate = if is_late { Fate::GivenUp(why.clone()) } else { Fate::Waits };
            let failures = failures.saturating_add(1);
            (fate, Pause { until: now.plus(pause(failures, random)), failures })
        }
    }
}

/// Doubles with each failure; between half of it and all of it, so that replicas and channels do not come back together.
fn pause(failures: u32, random: u64) -> Span {
    let whole = PAUSE_MIN.0.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(PAUSE_MAX.0);
    Span(whole / 2 + random % (whole / 2 + 1))
}

/// What an HTTP status means. `retry_after` is what the provider asked for, `body` the beginning of what it said.
pub fn of_status(status: u16, retry_after: Option<Span>, is_edit: bool, id: Option<String>, body: &str) -> Outcome {
    let why = || alloc::format!("HTTP {status}: {body}");
    match status {
        200..=299 => Outcome::Sent(id),
        429 => Outcome::TooMany(retry_after),
        404 if is_edit => Outcome::Gone,
        408 | 425 => Outcome::Failed(why()),
        300..=399 => Outcome::Refused(alloc::format!("HTTP {status}: redirects are not followed")),
        400..=499 => Outcome::Refused(why()),
        _ => Outcome::Failed(why()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000_000_000);

    fn failed() -> Outcome {
        Outcome::Failed(String::from("nobody answers"))
    }

    #[test]
    fn pauses_grow_and_end_at_ten_minutes() {
        let mut failures = 0;
        let mut before = Span::ZERO;
        for turn in 0..40 {
            let (fate, pause) = after(&failed(), NOW, NOW, failures, u64::MAX);
            assert_eq!((fate, pause.failures), (Fate::Waits, turn + 1));
            let least = after(&failed(), NOW, NOW, failures, 0).1.until.since(NOW);
            let most = pause.until.since(NOW);
            assert!(least.0 * 2 <= PAUSE_MAX.0 && least >= Span::seconds(1) && most >= least && most <= PAUSE_MAX);
            assert!(least >= before);
            before = least;
            failures = pause.failures;
        }
        assert_eq!(before, Span::seconds(300));
    }

    #[test]
    fn any_random_number_stays_within_the_pause() {
        for draw in (0..10_000_u64).map(everypath_protocol::id::mix64) {
            let failures = u32::try_from(draw % 12).expect("small");
            let (_, pause) = after(&failed(), NOW, NOW, failures, draw);
            let whole = PAUSE_MIN.0.saturating_mul(1 << failures).min(PAUSE_MAX.0);
            let waits = pause.until.since(NOW).0;
            // A time has whole microseconds.
            assert!((whole / 2 - 1_000..=whole).contains(&waits), "{failures} {waits}");
        }
    }

    #[test]
    fn a_day_is_enough() {
        let wanted = NOW.minus(GIVE_UP_AFTER);
        assert!(matches!(after(&failed(), NOW, wanted, 3, 0).0, Fate::GivenUp(_)));
        assert!(matches!(after(&Outcome::TooMany(None), NOW, wanted, 3, 0).0, Fate::GivenUp(_)));
        assert_eq!(after(&Outcome::Sent(None), NOW, wanted, 3, 0), (Fate::Told, Pause { until: NOW, failures: 0 }));
    }

    #[test]
    fn what_a_provider_asks_for_is_done_within_reason() {
        for (asked, done) in [(None, 1), (Some(0), 1), (Some(7), 7), (Some(u64::MAX / 2_000_000_000), 3_600)] {
            let (fate, pause) = after(&Outcome::TooMany(asked.map(Span::seconds)), NOW, NOW, 2, 0);
            assert_eq!((fate, pause.until, pause.failures), (Fate::Waits, NOW.plus(Span::seconds(done)), 2));
        }
    }

    #[test]
    fn statuses_mean_what_the_table_says() {
        let of = |status, is_edit| of_status(status, None, is_edit, None, "words");
        for status in [200, 204] {
            assert_eq!(of(status, false), Outcome::Sent(None));
        }
        for status in [301, 307, 400, 401, 403, 404, 405, 410, 413, 422] {
            assert!(matches!(of(status, false), Outcome::Refused(_)), "{status}");
        }
        for status in [408, 425, 500, 502, 503, 504] {
            assert!(matches!(of(status, true), Outcome::Failed(_)), "{status}");
        }
        assert_eq!(of(404, true), Outcome::Gone);
        assert_eq!(of(429, false), Outcome::TooMany(None));
        assert_eq!(of(400, false), Outcome::Refused("HTTP 400: words".into()));
    }
}
