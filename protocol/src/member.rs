//! What an agent says of itself to the whole mesh. Only the owner raises it; the newest wins everywhere.

use crate::id::{AgentId, Incarnation};
use crate::sign::{self, Document, Refused, Scheme, Signed, Verified};
use crate::trust::{Certificate, Trust};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use serde::{Deserialize, Serialize};

/// Most addresses of either kind that a record may carry.
pub const ADDRESSES_MAX: usize = 8;

/// Orders statements of one author: the later start wins, within it the later statement.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Version {
    /// Raised at each start.
    pub incarnation: Incarnation,
    /// Raised with each statement.
    pub number: u64,
}

/// Where an agent is and what it runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MemberRecord {
    /// Which of its statements this is.
    pub version: Version,
    /// Proves that it is a member; a [`Certificate`].
    pub certificate: Signed,
    /// Multiaddresses at which its mesh port can be dialled.
    pub mesh_addresses: Vec<String>,
    /// Where it wants to be probed.
    pub probe_addresses: Vec<IpAddr>,
    /// Version of its program.
    pub program: String,
}

impl Document for MemberRecord {
    const KIND: u8 = 4;
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 4096;
}

impl MemberRecord {
    /// Checks signature, certificate, that both are of one agent, and the limits.
    ///
    /// # Errors
    /// [`Refused::NotAllowed`] if the author is no member or a limit is passed, else as [`sign::open`].
    pub fn open(signed: Signed, trust: &Trust, scheme: &impl Scheme) -> Result<Verified<Self>, Refused> {
        let record: Verified<Self> = sign::open(signed, &trust.mesh(), scheme)?;
        let document = record.document();
        let certificate = trust.open_certificate(document.certificate.clone(), scheme)?;
        let within = document.mesh_addresses.len() <= ADDRESSES_MAX && document.probe_addresses.len() <= ADDRESSES_MAX;
        let own = record.author() == certificate.document().agent.into();
        if own && within { Ok(record) } else { Err(Refused::NotAllowed) }
    }
}

/// The agent that a checked record speaks of.
pub fn owner(record: &Verified<MemberRecord>) -> AgentId {
    record.author().into()
}

/// Name and site out of a checked record. The certificate inside was checked when the record was.
pub fn certificate(record: &Verified<MemberRecord>) -> Certificate {
    crate::codec::decode(&record.document().certificate.body, Certificate::BYTES_MAX)
        .expect("the certificate was read when the record was checked")
}
