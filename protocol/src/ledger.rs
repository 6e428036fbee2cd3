//! The agent's own account of what it counted as stored, written in the same transaction as the records and before any
//! upload. `aggregator audit streams` compares it with the database.

use crate::id::{AgentId, Epoch, Seq};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Name of the table in the agent's buffer file: key is the epoch, value a [`LedgerEntry`] in postcard.
pub const TABLE: &str = "ledger";
/// Name of the buffer file in an agent's data directory.
pub const BUFFER_FILE: &str = "buffer.redb";
/// Name of the file with the agent's public key, in hexadecimal.
pub const IDENTITY_FILE: &str = "agent.pub";
/// Most bytes of one entry.
pub const ENTRY_BYTES_MAX: usize = 256 * 1024;

/// The account of one epoch.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The stream.
    pub epoch: Epoch,
    /// Number of the last record counted as stored; the first is 1.
    pub last: Seq,
    /// Acknowledged by an aggregator.
    pub acked: Seq,
    /// Ranges that were given up, ascending, not touching.
    pub dropped: Vec<(Seq, Seq)>,
    /// Numbers from here on were moved to another epoch before they were acknowledged.
    pub moved_from: Option<Seq>,
}

/// All accounts of one agent, as its loopback page shows them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ledger {
    /// Whose.
    pub agent: AgentId,
    /// Ascending by epoch.
    pub entries: Vec<LedgerEntry>,
}

impl LedgerEntry {
    /// Notes that `first ..= last` was given up, and joins ranges that touch.
    pub fn drop_range(&mut self, first: Seq, last: Seq) {
        self.dropped.push((first, last));
        self.dropped.sort_unstable();
        let mut joined: Vec<(Seq, Seq)> = Vec::with_capacity(self.dropped.len());
        for &(first, last) in &self.dropped {
            match joined.last_mut() {
                Some(before) if first <= before.1.next() => before.1 = before.1.max(last),
                _ => joined.push((first, last)),
            }
        }
        self.dropped = joined;
    }
}
