//! A log-linear histogram of microseconds with fixed bucket limits: merging is adding, in any order, with the same result.
//!
//! Sixteen linear steps to each power of two, so a bucket is at most 1/16 (6.25 %) wide relative to its lower limit.
//! Values of 0–31 µs have a bucket each. The largest value kept apart is 2^32 − 1 µs (71 minutes); nothing waits longer.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

const STEPS_LOG2: u32 = 4;
const STEPS: u32 = 1 << STEPS_LOG2;

/// Number of the last bucket.
pub const BUCKET_MAX: u16 = bucket_of(u32::MAX);

/// The bucket that a value in microseconds falls into.
pub const fn bucket_of(value_us: u32) -> u16 {
    if value_us < 2 * STEPS {
        return low16(value_us);
    }
    let exponent = 31 - value_us.leading_zeros() - STEPS_LOG2;
    low16(exponent * STEPS + (value_us >> exponent))
}

/// The smallest value, in microseconds, that falls into `bucket`.
pub const fn bucket_floor_us(bucket: u16) -> u32 {
    let bucket = bucket as u32;
    if bucket < 2 * STEPS {
        return bucket;
    }
    let exponent = bucket / STEPS - 1;
    (bucket - exponent * STEPS) << exponent
}

#[expect(clippy::cast_possible_truncation, reason = "the largest bucket number is 463")]
const fn low16(value: u32) -> u16 {
    value as u16
}

/// Counts by bucket, only those that are not zero, in ascending order of bucket.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Histogram {
    counts: Vec<(u16, u32)>,
}

impl Histogram {
    /// No value yet.
    pub const fn new() -> Self {
        Self { counts: Vec::new() }
    }

    /// Rebuilds from pairs as [`Self::counts`] gives them. `None` if they are not ascending, not above zero, or out of range:
    /// bytes from outside must not become a histogram whose merge would be wrong.
    pub fn from_counts(counts: Vec<(u16, u32)>) -> Option<Self> {
        let ascending = counts.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let valid = counts.iter().all(|&(bucket, count)| bucket <= BUCKET_MAX && count > 0);
        (ascending && valid).then_some(Self { counts })
    }

    /// Adds one value in microseconds.
    pub fn add(&mut self, value_us: u32) {
        self.add_many(bucket_of(value_us), 1);
    }

    /// Adds everything that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        for &(bucket, count) in &other.counts {
            self.add_many(bucket, count);
        }
    }

    /// The buckets that are not empty, ascending.
    pub fn counts(&self) -> &[(u16, u32)] {
        &self.counts
    }

    /// How many values were added.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|&(_, count)| u64::from(count)).sum()
    }

    /// The lower limit of the bucket that holds the value at `permille` of the sorted values (500 is the median).
    /// `None` without values.
    pub fn quantile_us(&self, permille: u16) -> Option<u32> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        // Nearest rank: the smallest value with at least this share of all values at or below it.
        let rank = (total * u64::from(permille.min(1000))).div_ceil(1000).max(1);
        let mut seen = 0;
        for &(bucket, count) in &self.counts {
            seen += u64::from(count);
            if seen >= rank {
                return Some(bucket_floor_us(bucket));
            }
        }
        None
    }

    fn add_many(&mut self, bucket: u16, more: u32) {
        match self.counts.binary_search_by_key(&bucket, |&(bucket, _)| bucket) {
            Ok(place) => self.counts[place].1 = self.counts[place].1.saturating_add(more),
            Err(place) => self.counts.insert(place, (bucket, more)),
        }
    }
}
