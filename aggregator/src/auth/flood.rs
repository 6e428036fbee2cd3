//! How much of the audit log can be filled with refusals. The log is kept for ever, and anybody can fail to log in: so only as many
//! refusals are entries of their own, and the next entry says how many were not. Strangers and those who are known are counted
//! apart: who floods the log from outside does not hide what an account tried.

use everypath_protocol::time::{MonoTime, Span};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What counts together.
const PERIOD: Span = Span::seconds(60);
/// Entries of one source in that time.
const PER_SOURCE: u32 = 20;
/// Entries of all sources in that time: 50 MB a day at most.
const ALL: u32 = 120;

/// Counts refusals.
#[derive(Debug, Default)]
pub struct Flood(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    since: MonoTime,
    all: u32,
    /// Its size is limited by [`ALL`]: whoever comes when that is reached is not counted apart.
    sources: BTreeMap<String, u32>,
    left_out: u64,
}

impl Flood {
    /// Whether there is room for one more entry about `source`; if so, how many were left out since the last one.
    pub fn admit(&self, source: &str, now: MonoTime) -> Option<u64> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(counts.since) >= PERIOD {
            *counts = Counts { since: now, left_out: counts.left_out, ..Counts::default() };
        }
        let has_room = counts.all < ALL && counts.sources.get(source).is_none_or(|count| *count < PER_SOURCE);
        if !has_room {
            counts.left_out += 1;
            return None;
        }
        counts.all += 1;
        *counts.sources.entry(source.to_owned()).or_default() += 1;
        Some(std::mem::take(&mut counts.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_not_kept() {
        let flood = Flood::default();
        let (start, later) = (MonoTime(0), MonoTime(PERIOD.0));
        for _ in 0..PER_SOURCE {
            assert_eq!(flood.admit("a", start), Some(0));
        }
        assert_eq!((flood.admit("a", start), flood.admit("a", start)), (None, None));
        assert_eq!(flood.admit("b", start), Some(2), "another source has room, and the log says what is missing");
        for source in 0..1_000 {
            flood.admit(&source.to_string(), start);
        }
        let kept = flood.0.lock().expect("nobody panics with it").sources.values().sum::<u32>();
        assert_eq!(kept, ALL);
        assert!(flood.admit("a", later).is_some_and(|left_out| left_out > 800));
    }
}
