//! How values lie in columns.

use crate::store::StoreError;
use everypath_protocol::codec;
use everypath_protocol::id::{AgentId, Epoch, Seq};
use everypath_protocol::sign::Signed;
use everypath_protocol::window::NotMeasuredCounts;

/// Longest signed document that is kept: a member record and what is around it.
const SIGNED_BYTES_MAX: usize = 8 * 1024;

/// Numbers in a column have 63 bits. A stream that long would take centuries at any speed.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn seq(column: i64) -> Seq {
    Seq(unsigned(column))
}

pub(super) fn unsigned(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

pub(super) fn count(column: i64) -> u32 {
    u32::try_from(column.max(0)).unwrap_or(u32::MAX)
}

pub(super) fn epoch_bytes(epoch: Epoch) -> Vec<u8> {
    epoch.0.to_be_bytes().to_vec()
}

pub(super) fn epoch(column: &[u8]) -> Result<Epoch, StoreError> {
    let bytes = column.try_into().map_err(|_| StoreError::Damaged("an epoch"))?;
    Ok(Epoch(u64::from_be_bytes(bytes)))
}

pub(super) fn agent(column: &[u8]) -> Result<AgentId, StoreError> {
    column.try_into().map(AgentId).map_err(|_| StoreError::Damaged("the key of an agent"))
}

pub(super) fn document(column: &[u8]) -> Result<Signed, StoreError> {
    codec::decode(column, SIGNED_BYTES_MAX).map_err(|_| StoreError::Damaged("a signed document"))
}

/// Four counts of up to 16 bits each, packed so that the usual case, no such probe, is one byte in the file. Larger counts
/// stop at 65,535; a window has at most a few hundred probes.
pub(super) fn not_measured(counts: NotMeasuredCounts) -> i64 {
    let packed = counts.0.iter().enumerate().fold(0_u64, |packed, (place, count)| {
        packed | (u64::from(u16::try_from(*count).unwrap_or(u16::MAX)) << (16 * place))
    });
    // The same 64 bits; the sign has no meaning here.
    i64::from_le_bytes(packed.to_le_bytes())
}

pub(super) fn not_measured_counts(column: i64) -> NotMeasuredCounts {
    let packed = u64::from_le_bytes(column.to_le_bytes());
    NotMeasuredCounts([0, 16, 32, 48].map(|shift| u32::try_from((packed >> shift) & 0xffff).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_back_from_their_column() {
        for counts in [[0, 0, 0, 0], [1, 2, 3, 4], [65_535, 0, 65_535, 65_535]] {
            let counts = NotMeasuredCounts(counts);
            assert_eq!(not_measured_counts(not_measured(counts)), counts);
        }
        assert_eq!(not_measured_counts(not_measured(NotMeasuredCounts([70_000, 0, 0, 0]))).0[0], 65_535);
    }

    #[test]
    fn an_epoch_comes_back_from_its_column() {
        assert_eq!(epoch(&epoch_bytes(Epoch(u64::MAX - 1))).expect("eight bytes"), Epoch(u64::MAX - 1));
        assert!(epoch(&[1, 2]).is_err());
    }
}
