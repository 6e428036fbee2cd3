//! A block: records of one epoch as they lie on the agent's disk and travel to the aggregator, byte for byte the same.
//!
//! ```text
//!  0  magic "EPB"      3 bytes
//!  3  version          1
//!  4  crc32            4   over everything from byte 8 on
//!  8  length of body   4
//! 12  body             postcard of `Body`
//! ```
//! A block covers the numbers `first … first + count − 1` of its epoch, without gaps. When a limit forces records out of
//! the buffer, a block that says so takes the place of theirs and covers the same numbers: a drop is itself a record.

use crate::codec::{self, DecodeError};
use crate::id::{AgentId, BootId, Epoch, Seq};
use crate::record::{CellFlip, DropReason, Record};
use crate::time::{Now, Span, UnixTime};
use crate::window::{NotMeasuredCounts, ProbeKind, RttRange, Window};
use crate::{cell::CellState, histogram::Histogram};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Most records in one block.
pub const RECORDS_MAX: usize = 256;
/// Most bytes of one block with its header. 256 records of 100 bytes and 256 agents of 32 bytes fit twice.
pub const BYTES_MAX: usize = 64 * 1024;

const MAGIC: [u8; 3] = *b"EPB";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 12;

/// A piece of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// The stream.
    pub epoch: Epoch,
    /// Number of the first record.
    pub first: Seq,
    /// The process that wrote it.
    pub boot: BootId,
    /// Both clocks when it was written.
    pub written: Now,
    /// The records were numbered anew after the aggregator turned out to know more of the old epoch than this disk does.
    pub renumbered: bool,
    /// What it holds.
    pub content: Content,
}

/// What a block holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// One to [`RECORDS_MAX`] records.
    Records(Vec<Record>),
    /// This many records were given up.
    Dropped {
        /// How many numbers the block covers; at least 1.
        count: u32,
        /// Why.
        reason: DropReason,
    },
}

impl Block {
    /// How many numbers the block covers.
    pub fn count(&self) -> u32 {
        match &self.content {
            Content::Records(records) => u32::try_from(records.len()).unwrap_or(u32::MAX),
            Content::Dropped { count, .. } => *count,
        }
    }

    /// Number of the last record.
    pub fn last(&self) -> Seq {
        Seq(self.first.0.saturating_add(u64::from(self.count())).saturating_sub(1))
    }

    /// The same as two blocks: the numbers before `at`, and those from `at` on. `at` must be one of the block's numbers and
    /// not its first; otherwise it is taken for the nearest that is, so that neither half is empty.
    ///
    /// # Panics
    /// If the block covers only one number.
    pub fn split(self, at: Seq) -> (Self, Self) {
        let count = self.count();
        assert!(count > 1, "one number cannot be cut in two");
        let kept = u32::try_from(at.0.saturating_sub(self.first.0)).unwrap_or(u32::MAX).clamp(1, count - 1);
        let second_first = Seq(self.first.0 + u64::from(kept));
        let (one, other) = match self.content {
            Content::Records(mut records) => {
                let rest = records.split_off(usize::try_from(kept).unwrap_or(usize::MAX));
                (Content::Records(records), Content::Records(rest))
            }
            Content::Dropped { count, reason } => {
                (Content::Dropped { count: kept, reason }, Content::Dropped { count: count - kept, reason })
            }
        };
        let Self { epoch, first, boot, written, renumbered, .. } = self;
        let half = |first, content| Self { epoch, first, boot, written, renumbered, content };
        (half(first, one), half(second_first, other))
    }

    /// The bytes of the block.
    pub fn encode(&self) -> Vec<u8> {
        let mut targets = Vec::new();
        let content = match &self.content {
            Content::Records(records) => WireContent::Records(pack(records, &mut targets)),
            Content::Dropped { count, reason } => WireContent::Dropped { count: *count, reason: *reason },
        };
        let body = codec::encode(&Body {
            epoch: self.epoch,
            first: self.first,
            boot: self.boot,
            written: self.written,
            renumbered: self.renumbered,
            targets,
            content,
        });
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.push(VERSION);
        bytes.extend_from_slice(&checksum(&length, &body).to_le_bytes());
        bytes.extend_from_slice(&length);
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Reads one block that fills `bytes`.
    ///
    /// # Errors
    /// See [`DecodeError`]; nothing of a damaged block is used.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match Self::decode_first(bytes)? {
            (block, []) => Ok(block),
            _ => Err(DecodeError::Malformed),
        }
    }

    /// Reads the first block of `bytes` and returns it with what follows: a batch is blocks one behind the other.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode_first(bytes: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(DecodeError::Malformed)?;
        let [m0, m1, m2, version, c0, c1, c2, c3, length @ ..] = *header;
        if [m0, m1, m2] != MAGIC {
            return Err(DecodeError::NotThisFormat);
        }
        if version != VERSION {
            return Err(DecodeError::UnknownVersion(version));
        }
        let body_bytes = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if body_bytes > BYTES_MAX - HEADER_BYTES {
            return Err(DecodeError::TooLong { bytes: body_bytes, bytes_max: BYTES_MAX - HEADER_BYTES });
        }
        let (body, rest) = rest.split_at_checked(body_bytes).ok_or(DecodeError::Malformed)?;
        if checksum(&length, body) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(DecodeError::Damaged);
        }
        let body: Body = codec::decode(body, BYTES_MAX)?;
        Ok((body.unpack()?, rest))
    }

    /// Reads blocks one behind the other, as a batch carries them.
    ///
    /// # Errors
    /// See [`DecodeError`]; one damaged block refuses them all.
    pub fn decode_all(mut bytes: &[u8]) -> Result<Vec<Self>, DecodeError> {
        let mut blocks = Vec::new();
        while !bytes.is_empty() {
            let (block, rest) = Self::decode_first(bytes)?;
            blocks.push(block);
            bytes = rest;
        }
        Ok(blocks)
    }
}

fn checksum(length: &[u8; 4], body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(length);
    crc.update(body);
    crc.finalize()
}

/// Version 1 on the wire. A published version never changes; a new one gets a new number and a new struct.
#[derive(Serialize, Deserialize)]
struct Body {
    epoch: Epoch,
    first: Seq,
    boot: BootId,
    written: Now,
    renumbered: bool,
    /// Every agent named once; records say which by position, two bytes instead of 32.
    targets: Vec<AgentId>,
    content: WireContent,
}

#[derive(Serialize, Deserialize)]
enum WireContent {
    Records(Vec<WireRecord>),
    Dropped { count: u32, reason: DropReason },
}

#[derive(Serialize, Deserialize)]
enum WireRecord {
    Window(WireWindow),
    Flip { target: u16, kind: ProbeKind, at: UnixTime, from: CellState, to: CellState },
}

#[derive(Serialize, Deserialize)]
struct WireWindow {
    target: u16,
    kind: ProbeKind,
    start: UnixTime,
    span: Span,
    sent: u32,
    received: u32,
    late: u32,
    duplicated: u32,
    not_measured: NotMeasuredCounts,
    rtt: Option<RttRange>,
    histogram: Vec<(u16, u32)>,
    state: CellState,
}

fn pack(records: &[Record], targets: &mut Vec<AgentId>) -> Vec<WireRecord> {
    let mut places = BTreeMap::new();
    let mut place_of = |target: AgentId| {
        *places.entry(target).or_insert_with(|| {
            targets.push(target);
            u16::try_from(targets.len() - 1).expect("a block has at most 256 records")
        })
    };
    let pack_one = |record: &Record| match record {
        Record::Window(window) => WireRecord::Window(WireWindow {
            target: place_of(window.target),
            kind: window.kind,
            start: window.start,
            span: window.span,
            sent: window.sent,
            received: window.received,
            late: window.late,
            duplicated: window.duplicated,
            not_measured: window.not_measured,
            rtt: window.rtt,
            histogram: window.histogram.counts().to_vec(),
            state: window.state,
        }),
        Record::Flip(flip) => WireRecord::Flip {
            target: place_of(flip.target),
            kind: flip.kind,
            at: flip.at,
            from: flip.from,
            to: flip.to,
        },
    };
    records.iter().map(pack_one).collect()
}

impl Body {
    fn unpack(self) -> Result<Block, DecodeError> {
        let content = match self.content {
            WireContent::Records(records) if records.is_empty() || records.len() > RECORDS_MAX => {
                return Err(DecodeError::Malformed);
            }
            WireContent::Records(records) => {
                let unpacked = records.into_iter().map(|record| record.unpack(&self.targets));
                Content::Records(unpacked.collect::<Option<_>>().ok_or(DecodeError::Malformed)?)
            }
            WireContent::Dropped { count: 0, .. } => return Err(DecodeError::Malformed),
            WireContent::Dropped { count, reason } => Content::Dropped { count, reason },
        };
        let block = Block {
            epoch: self.epoch,
            first: self.first,
            boot: self.boot,
            written: self.written,
            renumbered: self.renumbered,
            content,
        };
        // Numbers start at 1 and must not run past the end.
        let covered = self.first.0.checked_add(u64::from(block.count()));
        if self.first.0 == 0 || covered.is_none() { Err(DecodeError::Malformed) } else { Ok(block) }
    }
}

impl WireRecord {
    fn unpack(self, targets: &[AgentId]) -> Option<Record> {
        Some(match self {
            Self::Window(wire) => Record::Window(Window {
                target: *targets.get(usize::from(wire.target))?,
                kind: wire.kind,
                start: wire.start,
                span: wire.span,
                sent: wire.sent,
                received: wire.received,
                late: wire.late,
                duplicated: wire.duplicated,
                not_measured: wire.not_measured,
                rtt: wire.rtt,
                histogram: Histogram::from_counts(wire.histogram)?,
                state: wire.state,
            }),
            Self::Flip { target, kind, at, from, to } => {
                Record::Flip(CellFlip { target: *targets.get(usize::from(target))?, kind, at, from, to })
            }
        })
    }
}
