//! The bytes of `docs/reference/live-protocol.md`. The page reads them in `web/src/model/wire.ts`; both hold the same
//! golden example.

use crate::matrix::Matrix;
use alloc::vec::Vec;
use everypath_protocol::cell::PackedCell;
use everypath_protocol::time::UnixTime;

/// Content type of a snapshot.
pub const CONTENT_TYPE: &str = "application/vnd.everypath.matrix";

const MAGIC: [u8; 4] = *b"EPM1";
const HEADER_BYTES: usize = 32;
const CELL_BYTES: usize = 4;
const PATCH_BYTES: usize = 8;

/// Which picture a snapshot or a frame belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// [`Matrix::generation`].
    pub generation: u64,
    /// Of the last patch frame.
    pub sequence: u64,
    /// Aggregator's clock.
    pub at: UnixTime,
}

/// One frame of the WebSocket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame<'a> {
    /// These cells are now so.
    Patch(&'a [(u32, PackedCell)]),
    /// Nothing changed.
    Heartbeat,
    /// The list of agents changed, or this client was too slow.
    FetchAgain,
}

impl Frame<'_> {
    /// The bytes of the frame.
    pub fn encode(&self, moment: Moment) -> Vec<u8> {
        let (kind, patches): (u8, &[(u32, PackedCell)]) = match self {
            Self::Patch(patches) => (1, patches),
            Self::Heartbeat => (2, &[]),
            Self::FetchAgain => (3, &[]),
        };
        let mut bytes = Vec::with_capacity(HEADER_BYTES + PATCH_BYTES * patches.len());
        bytes.extend_from_slice(&[kind, 0, 0, 0]);
        bytes.extend_from_slice(&length(patches.len()));
        put_moment(&mut bytes, moment);
        for (number, cell) in patches {
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes.extend_from_slice(&cell.to_bytes());
        }
        bytes
    }
}

/// The whole matrix. `sequence` is that of the last patch frame whose changes it contains.
pub fn snapshot(matrix: &Matrix, sequence: u64, at: UnixTime) -> Vec<u8> {
    let count = matrix.agents().len();
    let mut bytes = Vec::with_capacity(HEADER_BYTES + CELL_BYTES * count * count);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&length(count));
    put_moment(&mut bytes, Moment { generation: matrix.generation(), sequence, at });
    let places = 0..u32::try_from(count).unwrap_or(u32::MAX);
    for source in places.clone() {
        for target in places.clone() {
            bytes.extend_from_slice(&matrix.cell(source, target).to_bytes());
        }
    }
    bytes
}

fn put_moment(bytes: &mut Vec<u8>, moment: Moment) {
    bytes.extend_from_slice(&moment.generation.to_le_bytes());
    bytes.extend_from_slice(&moment.sequence.to_le_bytes());
    bytes.extend_from_slice(&moment.at.0.to_le_bytes());
}

fn length(count: usize) -> [u8; 4] {
    u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes()
}
