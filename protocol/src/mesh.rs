//! What two agents say to each other to learn what the other knows: a digest, then what is missing on either side.

use crate::id::AgentId;
use crate::member::Version;
use crate::sign::Signed;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Most bytes of one message.
pub const BYTES_MAX: usize = 64 * 1024;
/// Most entries of a digest; larger tables are walked range by range.
pub const DIGEST_MAX: usize = 512;
/// Most documents handed over in one message; the rest follows in later rounds.
pub const DOCUMENTS_MAX: usize = 64;

/// The two things of each agent that spread.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Topic {
    /// [`crate::member::MemberRecord`].
    Member,
    /// [`crate::row::Row`].
    Row,
}

/// Which version of something is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Holding {
    /// Whose.
    pub owner: AgentId,
    /// Which of the two.
    pub topic: Topic,
    /// Which statement.
    pub version: Version,
}

/// Asked of a peer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Request {
    /// "This is all I hold of the owners `first ..= last`." What is not listed in that range is not held.
    Compare {
        /// First owner of the range.
        first: AgentId,
        /// Last owner of the range.
        last: AgentId,
        /// At most [`DIGEST_MAX`].
        holdings: Vec<Holding>,
    },
    /// "You asked for these."
    Give {
        /// At most [`DOCUMENTS_MAX`].
        documents: Vec<Signed>,
    },
}

/// A peer's answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Response {
    /// To [`Request::Compare`].
    Difference {
        /// What the asker lacks or has older; at most [`DOCUMENTS_MAX`].
        newer: Vec<Signed>,
        /// What the peer lacks or has older; at most [`DOCUMENTS_MAX`].
        wanted: Vec<(AgentId, Topic)>,
    },
    /// To [`Request::Give`].
    Taken,
}
