//! Blocks on their way to an aggregator. The agent signs what it sends, so that TLS may end at an ingress.

use crate::id::{AgentId, Epoch, Seq};
use crate::sign::{self, Document, Refused, Scheme, Signed};
use crate::time::UnixTime;
use crate::trust::{Certificate, Trust};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Most bytes of an ingest request; more is answered with 413.
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// Most bytes of the blocks before compression.
pub const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Most numbers that one batch may cover; dropped records count, so a tombstone may be longer only on its own.
pub const RECORDS_MAX: u64 = 8_192;
/// Content type of [`Envelope`].
pub const CONTENT_TYPE: &str = "application/vnd.everypath.batch";

/// What the agent signs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BatchHeader {
    /// Author.
    pub agent: AgentId,
    /// Stream.
    pub epoch: Epoch,
    /// First number.
    pub first: Seq,
    /// How many numbers.
    pub count: u64,
    /// SHA-256 of the body as it travels.
    pub body_hash: [u8; 32],
    /// Agent's wall clock, to measure its offset.
    pub sent_at: UnixTime,
}

impl Document for BatchHeader {
    const KIND: u8 = 6;
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 256;
}

/// How the body is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Codec {
    /// Blocks one behind the other.
    Plain,
    /// The same, compressed by zstd (RFC 8878).
    Zstd,
}

/// The request body of `POST /api/v1/ingest`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// A [`BatchHeader`].
    pub header: Signed,
    /// The author's [`Certificate`], so that any replica can check a batch without asking anyone.
    pub certificate: Signed,
    /// Of the body.
    pub codec: Codec,
    /// The blocks.
    pub body: Vec<u8>,
}

/// A batch whose author and body are known to belong together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenedBatch {
    /// What was signed.
    pub header: BatchHeader,
    /// Who sent it.
    pub certificate: Certificate,
    /// Its certificate as signed, to be kept.
    pub certificate_signed: Signed,
    /// Of the body.
    pub codec: Codec,
    /// The blocks, still compressed.
    pub body: Vec<u8>,
}

impl Envelope {
    /// Checks the certificate, the header's signature, that both are of one agent, and the hash of the body.
    ///
    /// # Errors
    /// [`Refused::NotAllowed`] if certificate and header are of different agents, [`Refused::BadSignature`] if the body is
    /// not the signed one, else as [`sign::open`].
    pub fn open(self, trust: &Trust, scheme: &impl Scheme) -> Result<OpenedBatch, Refused> {
        let certificate = trust.open_certificate(self.certificate, scheme)?;
        let header = sign::open::<BatchHeader>(self.header, &trust.mesh(), scheme)?;
        let agent = certificate.document().agent;
        if header.author() != agent.into() || header.document().agent != agent {
            return Err(Refused::NotAllowed);
        }
        if sign::sha256(&[&self.body]) != header.document().body_hash {
            return Err(Refused::BadSignature);
        }
        Ok(OpenedBatch {
            header: header.document().clone(),
            certificate: certificate.document().clone(),
            certificate_signed: certificate.signed().clone(),
            codec: self.codec,
            body: self.body,
        })
    }
}

/// JSON answer of `POST /api/v1/ingest`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IngestAnswer {
    /// Everything up to this number of the batch's epoch is in the database.
    pub acked: Seq,
    /// How long to wait before the next batch, unless something urgent comes up.
    pub next_sync_ms: u32,
    /// Aggregator's wall clock.
    pub received_at: UnixTime,
}
