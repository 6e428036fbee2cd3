//! Blocks on their way to an aggregator. The agent signs what it sends, so that TLS may end at an ingress.

use crate::id::{AgentId, BootId, Epoch, Seq};
use crate::sign::{self, Document, Refused, Scheme, Signed};
use crate::time::{MonoTime, Now, UnixTime};
use crate::trust::{Certificate, Trust};
use alloc::string::String;
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
    /// The process that sends. What the same process measured can be put in time by the monotonic clock, whatever its wall
    /// clock was stepped to meanwhile.
    pub boot: BootId,
    /// Both clocks of the agent when it sent, to measure its offset.
    pub sent: Now,
    /// Version of the [`MeshConfig`](crate::mesh_config::MeshConfig) that it runs; 0: none.
    pub config: u64,
}

impl Document for BatchHeader {
    const KIND: u8 = 6;
    const VERSION: u8 = 3;
    const BYTES_MAX: usize = 256;
}

/// Version 2 of [`BatchHeader`]: of agents that know no configuration of the mesh.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BatchHeaderV2 {
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
    /// The process that sends.
    pub boot: BootId,
    /// Both clocks of the agent when it sent.
    pub sent: Now,
}

impl Document for BatchHeaderV2 {
    const KIND: u8 = 6;
    const VERSION: u8 = 2;
    const BYTES_MAX: usize = 256;
}

/// Version 1 of [`BatchHeader`], as agents of version 0.1 before November 2026 sign it. It says nothing of the monotonic clock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BatchHeaderV1 {
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
    /// Agent's wall clock.
    pub sent_at: UnixTime,
}

impl Document for BatchHeaderV1 {
    const KIND: u8 = 6;
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 256;
}

/// The boot of a sender that did not name one. No process has it: a [`BootId`] is random.
pub const BOOT_UNKNOWN: BootId = BootId(0);

/// The configuration of a sender that knows none. It is not told of one: it could not read the answer's field.
pub const CONFIG_UNKNOWN: u64 = u64::MAX;

impl From<BatchHeaderV1> for BatchHeader {
    fn from(old: BatchHeaderV1) -> Self {
        let sent = Now { mono: MonoTime(0), wall: old.sent_at };
        let BatchHeaderV1 { agent, epoch, first, count, body_hash, .. } = old;
        Self { agent, epoch, first, count, body_hash, boot: BOOT_UNKNOWN, sent, config: CONFIG_UNKNOWN }
    }
}

impl From<BatchHeaderV2> for BatchHeader {
    fn from(old: BatchHeaderV2) -> Self {
        let BatchHeaderV2 { agent, epoch, first, count, body_hash, boot, sent } = old;
        Self { agent, epoch, first, count, body_hash, boot, sent, config: CONFIG_UNKNOWN }
    }
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
        let agent = certificate.document().agent;
        // Signed as the agent, so no member can send in another's name.
        if self.header.author != agent.into() {
            return Err(Refused::NotAllowed);
        }
        let header = open_header(self.header, trust, scheme)?;
        if header.agent != agent {
            return Err(Refused::NotAllowed);
        }
        if sign::sha256(&[&self.body]) != header.body_hash {
            return Err(Refused::BadSignature);
        }
        Ok(OpenedBatch {
            header,
            certificate: certificate.document().clone(),
            certificate_signed: certificate.signed().clone(),
            codec: self.codec,
            body: self.body,
        })
    }
}

/// Aggregators are updated before agents: the versions before are read too.
fn open_header(signed: Signed, trust: &Trust, scheme: &impl Scheme) -> Result<BatchHeader, Refused> {
    let mesh = &trust.mesh();
    Ok(match signed.version {
        BatchHeaderV1::VERSION => sign::open::<BatchHeaderV1>(signed, mesh, scheme)?.document().clone().into(),
        BatchHeaderV2::VERSION => sign::open::<BatchHeaderV2>(signed, mesh, scheme)?.document().clone().into(),
        _ => sign::open::<BatchHeader>(signed, mesh, scheme)?.document().clone(),
    })
}

impl BatchHeader {
    /// Whether it carries nothing and only asks what is new, and says which configuration runs: a check-in. Its epoch and number
    /// mean nothing.
    pub const fn is_check_in(&self) -> bool {
        self.count == 0
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
const fn says_nothing(agents: &u32) -> bool {
    *agents == 0
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
    /// Agents that it serves: each spreads its retries so that all of them together stay few. 0: it does not say.
    #[serde(default, skip_serializing_if = "says_nothing")]
    pub agents: u32,
    /// A signed configuration that is newer than the one that the agent runs, as
    /// [`mesh_config::to_text`](crate::mesh_config::to_text) writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
}
