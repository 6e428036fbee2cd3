//! One agent's row of the matrix, as it tells it to all others: at most four bytes for what it knows of a target.

use crate::cell::PackedCell;
use crate::id::AgentId;
use crate::member::Version;
use crate::sign::{self, Document, Refused, Scheme, Signed, Verified};
use crate::time::UnixTime;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Most cells of a row: an agent probes at most 78 targets, and some room.
pub const CELLS_MAX: usize = 128;

/// What one agent knows of its targets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Which of its rows this is.
    pub version: Version,
    /// The author's wall clock.
    pub at: UnixTime,
    /// One entry a target, ascending by target.
    pub cells: Vec<(AgentId, PackedCell)>,
}

impl Document for Row {
    const KIND: u8 = 5;
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 8 * 1024;
}

impl Row {
    /// Checks the signature and the limits. Whether the author is a member is known by who holds its member record.
    ///
    /// # Errors
    /// [`Refused::NotAllowed`] past a limit, else as [`sign::open`].
    pub fn open(signed: Signed, mesh: &crate::id::MeshId, scheme: &impl Scheme) -> Result<Verified<Self>, Refused> {
        let row: Verified<Self> = sign::open(signed, mesh, scheme)?;
        if row.document().cells.len() <= CELLS_MAX { Ok(row) } else { Err(Refused::NotAllowed) }
    }
}
