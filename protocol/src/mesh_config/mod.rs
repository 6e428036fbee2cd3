//! What a mesh measures, how often, and what counts as broken: one document, signed by a config key, replaced as a whole.
//!
//! It says what and whom, never how: no command, no path, no secret. Reading order: this file (the document and its limits),
//! [`faults`] (the one check), [`Selector`] (naming agents), [`plan`] (who measures what), [`Ratchet`] (never back).

mod faults;
pub mod plan;
mod ratchet;
mod select;

pub use crate::fault::Fault;
pub use faults::{address_fault, oversize};
pub use ratchet::{KEYS_MAX, NotNewer, Ratchet};
pub use select::{Selector, Subject};

use crate::base64url;
use crate::codec::{self, DecodeError};
use crate::sign::{Document, Signed};
use crate::time::{Span, UnixTime};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Highest version: databases count in signed numbers.
pub const VERSION_MAX: u64 = i64::MAX as u64;
/// Most endpoints. Together with the 78 targets that an agent may have they fill the 128 cells of its row.
pub const ENDPOINTS_MAX: usize = 48;
/// Most agents that observe one endpoint.
pub const OBSERVERS_MAX: usize = 5;
/// Most selectors that say who may observe one endpoint.
pub const SELECTORS_MAX: usize = 16;
/// Most agents that are given a site or tags.
pub const AGENTS_MAX: usize = 1_024;
/// Most tags of one agent.
pub const TAGS_MAX: usize = 16;
/// Most exclusions.
pub const EXCLUSIONS_MAX: usize = 256;
/// Longest address of an endpoint, in bytes: a whole DNS name (RFC 1035).
pub const ADDRESS_BYTES_MAX: usize = 253;
/// Shortest and longest probe interval, in milliseconds.
pub const INTERVAL_MS: core::ops::RangeInclusive<u32> = 1_000..=60_000;
/// Shortest probe timeout, in milliseconds; the longest is the interval.
pub const TIMEOUT_MS_MIN: u32 = 100;
/// Lengths of a window, in milliseconds: parts of a minute, so that a minute's sums are of whole windows.
pub const WINDOWS_MS: [u32; 6] = [10_000, 12_000, 15_000, 20_000, 30_000, 60_000];

/// The document.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MeshConfig {
    /// Strictly increasing, from 1. 0 is what agents do without any configuration.
    pub version: u64,
    /// Clock of whoever signed it, when it did.
    pub made: UnixTime,
    /// Probes.
    pub probe: ProbeConfig,
    /// Length of a window in milliseconds, one of [`WINDOWS_MS`] and at least the interval.
    pub window_ms: u32,
    /// What counts as broken.
    pub cells: CellConfig,
    /// Hosts that run no agent and are measured, at most [`ENDPOINTS_MAX`].
    pub endpoints: Vec<Endpoint>,
    /// Site and tags of single agents, at most [`AGENTS_MAX`].
    pub agents: Vec<AgentConfig>,
    /// Pairs that are not measured, at most [`EXCLUSIONS_MAX`].
    pub exclude: Vec<Exclusion>,
}

/// How often, and how long to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProbeConfig {
    /// Between two probes of one target, in milliseconds; see [`INTERVAL_MS`].
    pub interval_ms: u32,
    /// Without a reply for this long, in milliseconds, a probe is lost: from [`TIMEOUT_MS_MIN`] to the interval.
    pub timeout_ms: u32,
}

/// Where one state of a cell ends and the next begins; `everypath_verdict::Thresholds` is made of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CellConfig {
    /// Losses in a row until down, 1 to 12.
    pub down_after_losses: u8,
    /// Replies in a row until down ends, 1 to 12.
    pub up_after_replies: u8,
    /// Losses among the last 24 probes until lossy, 1 to 24.
    pub lossy_after_losses: u8,
    /// Slow is this many milliseconds above twice the usual round-trip time, at most 10,000.
    pub slow_margin_ms: u32,
    /// After this many intervals without an outcome a cell is unknown, 2 to 20.
    pub stale_after_intervals: u8,
}

/// A host without an agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Endpoint {
    /// What people call it; its identity is made of it.
    pub name: String,
    /// An IP address or a DNS name.
    pub address: String,
    /// Who may observe it; anybody if nobody is named. At most [`OBSERVERS_MAX`] of them do.
    pub observers: Vec<Selector>,
}

/// What holds for one agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AgentConfig {
    /// Its name, or its public key in hexadecimal. A key wins over a name.
    pub agent: String,
    /// In place of the site in its certificate.
    pub site: Option<String>,
    /// Words to select it by, at most [`TAGS_MAX`].
    pub tags: Vec<String>,
}

/// Two ends that do not measure each other, in neither direction.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Exclusion {
    /// One end.
    pub one: Selector,
    /// The other end.
    pub other: Selector,
}

impl Document for MeshConfig {
    const KIND: u8 = 7;
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 64 * 1024;
}

/// Longest signed document in base64url, with its envelope.
pub const TEXT_BYTES_MAX: usize = (MeshConfig::BYTES_MAX + 256) * 4 / 3 + 4;

impl MeshConfig {
    /// What agents do without any configuration, as version 0.
    pub const fn usual() -> Self {
        Self {
            version: 0,
            made: UnixTime(0),
            probe: ProbeConfig { interval_ms: 5_000, timeout_ms: 1_000 },
            window_ms: 10_000,
            cells: CellConfig {
                down_after_losses: 3,
                up_after_replies: 2,
                lossy_after_losses: 3,
                slow_margin_ms: 5,
                stale_after_intervals: 4,
            },
            endpoints: Vec::new(),
            agents: Vec::new(),
            exclude: Vec::new(),
        }
    }

    /// Between two probes of one target.
    pub fn interval(&self) -> Span {
        Span::millis(self.probe.interval_ms.into())
    }

    /// Without a reply for this long a probe is lost.
    pub fn timeout(&self) -> Span {
        Span::millis(self.probe.timeout_ms.into())
    }

    /// Length of a window.
    pub fn window(&self) -> Span {
        Span::millis(self.window_ms.into())
    }

    /// What holds for an agent: by its key, else by its name.
    pub fn agent(&self, id: &crate::id::AgentId, name: &str) -> Option<&AgentConfig> {
        let by_key = self.agents.iter().find(|entry| crate::id::AgentId::parse(&entry.agent) == Some(*id));
        by_key.or_else(|| self.agents.iter().find(|entry| entry.agent == name))
    }
}

/// A signed document as an answer in JSON carries it.
pub fn to_text(signed: &Signed) -> String {
    let mut text = String::new();
    base64url::write(&codec::encode(signed), &mut text);
    text
}

/// Reads what [`to_text`] wrote; nothing is checked yet.
///
/// # Errors
/// [`DecodeError`]; more than [`TEXT_BYTES_MAX`] is not looked at.
pub fn from_text(text: &str) -> Result<Signed, DecodeError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(DecodeError::TooLong { bytes: text.len(), bytes_max: TEXT_BYTES_MAX });
    }
    let bytes = base64url::read(text).ok_or(DecodeError::Malformed)?;
    codec::decode(&bytes, TEXT_BYTES_MAX)
}
