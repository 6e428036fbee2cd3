//! How values lie in columns.

use crate::store::StoreError;
use everypath_protocol::cell::CellState;
use everypath_protocol::codec;
use everypath_protocol::histogram::{BUCKET_MAX, Histogram};
use everypath_protocol::id::{AgentId, Epoch, Seq};
use everypath_protocol::mesh_config::MeshConfig;
use everypath_protocol::sign::{Document as _, Signed};
use everypath_protocol::time::UnixTime;
use everypath_protocol::window::ProbeKind;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};

/// Longest signed document that is kept: a member record and what is around it.
const SIGNED_BYTES_MAX: usize = 8 * 1024;
/// Longest configuration with what is around it.
const CONFIG_BYTES_MAX: usize = MeshConfig::BYTES_MAX + 1024;
/// Longest histogram: every bucket with the largest count.
const HISTOGRAM_BYTES_MAX: usize = 8 * (BUCKET_MAX as usize + 1);
/// 2000-01-01, where PostgreSQL begins to count, in microseconds since 1970.
const EPOCH_2000: i64 = 946_684_800_000_000;
/// The first and the last moment that a column takes with room to spare: the years −4000 and 290000.
const TIME_MIN: i64 = -180_000_000_000_000_000;
const TIME_MAX: i64 = 9_000_000_000_000_000_000;

/// A `timestamptz`. sqlx would want a library for dates; ours are counted already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Time(pub(super) UnixTime);

impl Time {
    /// As PostgreSQL counts, stopped at what it can hold.
    pub(super) fn wire(self) -> i64 {
        self.0.0.clamp(TIME_MIN, TIME_MAX) - EPOCH_2000
    }
}

impl Type<Postgres> for Time {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl PgHasArrayType for Time {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1185))
    }
}

impl Encode<'_, Postgres> for Time {
    fn encode_by_ref(&self, out: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        out.extend_from_slice(&self.wire().to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Time {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text {
            return Err("a time came as text".into());
        }
        let wire = i64::from_be_bytes(value.as_bytes()?.try_into()?);
        Ok(Self(UnixTime(wire.saturating_add(EPOCH_2000))))
    }
}

/// Numbers in a column have 63 bits. A stream that long would take centuries at any speed.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

pub(super) fn seq(column: i64) -> Seq {
    Seq(unsigned(column))
}

/// Stops at the largest `integer`.
pub(super) fn int4(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

/// Stops at the largest `smallint`.
pub(super) fn int2(number: u32) -> i16 {
    i16::try_from(number).unwrap_or(i16::MAX)
}

pub(super) fn count(column: impl Into<i64>) -> u32 {
    u32::try_from(column.into().max(0)).unwrap_or(u32::MAX)
}

/// The number of an agent. They are given out from one on.
pub(super) fn agent_number(column: i32) -> u32 {
    u32::try_from(column).unwrap_or(0)
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

pub(super) fn kind(column: i16) -> Result<ProbeKind, StoreError> {
    if column == i16::from(ProbeKind::Icmp.code()) {
        Ok(ProbeKind::Icmp)
    } else {
        Err(StoreError::Damaged("a kind of probe"))
    }
}

pub(super) fn state(column: i16) -> CellState {
    u8::try_from(column).ok().and_then(CellState::from_code).unwrap_or_default()
}

/// Nothing for an empty one: most windows of a healthy pair have none.
pub(super) fn histogram_bytes(histogram: &Histogram) -> Option<Vec<u8>> {
    (!histogram.counts().is_empty()).then(|| codec::encode(histogram))
}

pub(super) fn histogram(column: Option<&[u8]>) -> Result<Histogram, StoreError> {
    let Some(bytes) = column else { return Ok(Histogram::new()) };
    let read: Option<Histogram> = codec::decode(bytes, HISTOGRAM_BYTES_MAX).ok();
    read.and_then(|read| Histogram::from_counts(read.counts().to_vec())).ok_or(StoreError::Damaged("a histogram"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_do_not_fit_stop_at_the_end() {
        assert_eq!((int4(u32::MAX), int4(7_u32), int4(u64::MAX)), (i32::MAX, 7, i32::MAX));
        assert_eq!((int2(70_000), int2(3)), (i16::MAX, 3));
        assert_eq!(Time(UnixTime(i64::MIN)).wire(), TIME_MIN - EPOCH_2000);
        assert!(Time(UnixTime(i64::MAX)).wire() < i64::MAX - EPOCH_2000);
        assert_eq!(Time(UnixTime(EPOCH_2000)).wire(), 0);
    }

    #[test]
    fn a_histogram_comes_back_and_a_damaged_one_is_an_error() {
        let mut histogram_in = Histogram::new();
        assert_eq!(histogram_bytes(&histogram_in), None);
        [1, 900, 900, u32::MAX].into_iter().for_each(|value| histogram_in.add(value));
        let bytes = histogram_bytes(&histogram_in).expect("not empty");
        assert_eq!(histogram(Some(&bytes)).expect("readable"), histogram_in);
        assert_eq!(histogram(None).expect("readable"), Histogram::new());
        assert!(histogram(Some(&bytes[..2])).is_err());
    }
}
