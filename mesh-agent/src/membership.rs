//! What an agent must remember to be a member: which mesh, who may speak for it, its own certificate, where results go.

use crate::files::{self, FileError};
use crate::identity::StateDir;
use everypath_protocol::codec::{self, DecodeError};
use everypath_protocol::id::{AgentId, MeshId};
use everypath_protocol::sign::{Ed25519, Refused, Signed, Verified};
use everypath_protocol::token::AggregatorAddress;
use everypath_protocol::trust::{Certificate, Credentials, Trust, open_delegation};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The file's name in the data directory.
pub const MEMBERSHIP_FILE: &str = "membership.postcard";

/// The file begins with its format and version, so that a later program can tell.
const MAGIC: &[u8; 4] = b"EPM\x01";
/// Credentials, some addresses and a few member records of 4 KiB each.
const BYTES_MAX: usize = 1024 * 1024;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Membership {
    /// Of which mesh.
    pub mesh: MeshId,
    /// What proves it: root key, delegation, own certificate.
    pub credentials: Credentials,
    /// Where results go; may be empty.
    pub aggregators: Vec<AggregatorAddress>,
    /// Multiaddresses to start from when no member is remembered.
    pub bootstrap: Vec<String>,
    /// Members known when joining; the buffer file remembers the later ones.
    pub members: Vec<Signed>,
}

/// Why there is no usable membership.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// See there.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is damaged.
    #[error("{} is damaged ({why}). Remove it and join again; the key and the results in this directory stay", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How.
        why: DecodeError,
    },
    /// What it says does not hold together.
    #[error("{} does not prove that this agent is a member: {why}. If it and agent.key are of different agents or backups, restore both from one; otherwise remove it and join again. The key and the results in this directory stay", path.display())]
    Refused {
        /// Which.
        path: PathBuf,
        /// Why.
        why: Refused,
    },
}

impl Membership {
    /// Reads it; `None` if this directory has not joined anything.
    ///
    /// # Errors
    /// See [`MembershipError`].
    pub fn load(state: &StateDir) -> Result<Option<Self>, MembershipError> {
        let path = state.file(MEMBERSHIP_FILE);
        let bytes_max = u64::try_from(BYTES_MAX).unwrap_or(u64::MAX);
        let Some(bytes) = files::read_private(&path, bytes_max)? else { return Ok(None) };
        let decoded = match bytes.strip_prefix(MAGIC) {
            Some(body) => codec::decode(body, BYTES_MAX),
            None => Err(DecodeError::NotThisFormat),
        };
        decoded.map(Some).map_err(|why| MembershipError::Damaged { path, why })
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// As [`files::write_whole`].
    pub fn save(&self, state: &StateDir) -> Result<(), FileError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&codec::encode(self));
        files::write_whole(&state.file(MEMBERSHIP_FILE), &bytes, 0o600)
    }

    /// Checks that it proves `agent` to be a member, and says whom to believe.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn verify(&self, agent: &AgentId) -> Result<(Trust, Verified<Certificate>), Refused> {
        let Credentials { root, delegation, certificate } = self.credentials.clone();
        let delegation = open_delegation(&self.mesh, &root, delegation, &Ed25519)?;
        let mut trust = Trust::new(self.mesh, delegation);
        let shown = Credentials { root, delegation: trust.delegation().signed().clone(), certificate };
        let certificate = trust.admit(agent, shown, &Ed25519)?;
        Ok((trust, certificate))
    }
}
