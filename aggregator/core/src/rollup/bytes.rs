//! A sum as bytes: what the SQLite store keeps.
//!
//! ```text
//!  0  version       1
//!  1  postcard of `Stored`
//! ```
//! Some thirty bytes for a healthy minute: a column for each number takes three times as long to read. On disk for as long as
//! sums are kept: a version never changes, a new one gets a new number and is read beside the old ones.

use super::Bucket;
use alloc::vec::Vec;
use everypath_protocol::codec::{self, DecodeError};
use everypath_protocol::histogram::Histogram;
use everypath_protocol::window::RttRange;
use serde::{Deserialize, Serialize};

const VERSION: u8 = 1;
/// Most bytes that are read: every bucket of a histogram with the largest counts.
const BYTES_MAX: usize = 8 * 1024;

#[derive(Serialize, Deserialize)]
struct Stored {
    /// Windows, milliseconds in all, down and unknown, sent, received, late, duplicated.
    counts: [u64; 8],
    not_measured: [u64; 4],
    /// Smallest, largest minus smallest, sum, in microseconds.
    rtt: Option<(u32, u32, u64)>,
    histogram: Vec<(u16, u32)>,
}

impl Bucket {
    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let stored = Stored {
            counts: [
                self.windows,
                self.span_ms,
                self.down_ms,
                self.unknown_ms,
                self.sent,
                self.received,
                self.late,
                self.duplicated,
            ],
            not_measured: self.not_measured,
            rtt: self.rtt.map(|rtt| (rtt.min_us, rtt.max_us.saturating_sub(rtt.min_us), rtt.sum_us)),
            histogram: self.histogram.counts().to_vec(),
        };
        let mut bytes = alloc::vec![VERSION];
        bytes.extend_from_slice(&codec::encode(&stored));
        bytes
    }

    /// From [`Self::to_bytes`].
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (version, body) = bytes.split_first().ok_or(DecodeError::Malformed)?;
        if *version != VERSION {
            return Err(DecodeError::UnknownVersion(*version));
        }
        let stored: Stored = codec::decode(body, BYTES_MAX)?;
        let [windows, span_ms, down_ms, unknown_ms, sent, received, late, duplicated] = stored.counts;
        let rtt = stored.rtt.map(|(min_us, spread_us, sum_us)| RttRange {
            min_us,
            max_us: min_us.saturating_add(spread_us),
            sum_us,
        });
        let histogram = Histogram::from_counts(stored.histogram).ok_or(DecodeError::Malformed)?;
        let not_measured = stored.not_measured;
        Ok(Self {
            windows,
            span_ms,
            down_ms,
            unknown_ms,
            sent,
            received,
            late,
            duplicated,
            not_measured,
            rtt,
            histogram,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket() -> Bucket {
        Bucket {
            windows: 6,
            span_ms: 60_000,
            down_ms: 10_000,
            unknown_ms: 0,
            sent: 12,
            received: 10,
            late: 1,
            duplicated: 2,
            not_measured: [0, 3, 0, 300],
            rtt: Some(RttRange { min_us: 1_000, max_us: 70_000, sum_us: 5_000_000_000 }),
            histogram: Histogram::from_counts(alloc::vec![(7, 1), (300, 9)]).expect("ascending"),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for bucket in [bucket(), Bucket::default()] {
            assert_eq!(Bucket::from_bytes(&bucket.to_bytes()), Ok(bucket));
        }
    }

    #[test]
    fn the_bytes_of_version_1_stay_as_they_are() {
        let golden = "0106e0d403904e000c0a0102000300ac0201e807889b0480e497d012020701ac0209";
        assert_eq!(everypath_protocol::id::hex(&bucket().to_bytes()), golden);
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let bytes = bucket().to_bytes();
        for length in 0..bytes.len() {
            assert!(Bucket::from_bytes(&bytes[..length]).is_err(), "{length}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(Bucket::from_bytes(&longer), Err(DecodeError::Malformed));
        let mut newer = bytes.clone();
        newer[0] = 2;
        assert_eq!(Bucket::from_bytes(&newer), Err(DecodeError::UnknownVersion(2)));
        // Histogram buckets that go down would make every later sum wrong.
        let mut backwards = bytes;
        let place = backwards.len() - 5;
        backwards[place] = 0x7f;
        backwards[place + 2] = 0x01;
        backwards[place + 3] = 0x00;
        assert!(Bucket::from_bytes(&backwards).is_err());
    }
}
