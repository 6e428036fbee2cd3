//! How values lie in columns.

use crate::store::StoreError;
use everypath_protocol::codec;
use everypath_protocol::id::{AgentId, Epoch, Seq};
use everypath_protocol::mesh_config::MeshConfig;
use everypath_protocol::sign::{Document as _, Signed};

/// Longest signed document that is kept: a member record and what is around it.
const SIGNED_BYTES_MAX: usize = 8 * 1024;
/// Longest configuration with what is around it.
const CONFIG_BYTES_MAX: usize = MeshConfig::BYTES_MAX + 1024;

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

pub(super) fn config(column: &[u8]) -> Result<Signed, StoreError> {
    codec::decode(column, CONFIG_BYTES_MAX).map_err(|_| StoreError::Damaged("a configuration of the mesh"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_comes_back_from_its_column() {
        assert_eq!(epoch(&epoch_bytes(Epoch(u64::MAX - 1))).expect("eight bytes"), Epoch(u64::MAX - 1));
        assert!(epoch(&[1, 2]).is_err());
    }
}
