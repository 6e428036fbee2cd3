//! Versions of the mesh's configuration, and who runs which.

use super::{Store, StoreError};
use crate::audit_log::Event;
use everypath_protocol::id::AgentId;
use everypath_protocol::sign::Signed;
use everypath_protocol::time::UnixTime;

/// Versions that are kept; the oldest go first. The audit log still says who made them.
pub const CONFIGS_MAX: u64 = 1_000;

/// One version without its contents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigInfo {
    /// Which.
    pub version: u64,
    /// Our clock.
    pub made_at: UnixTime,
    /// Name of the account or token; empty for others.
    pub actor: String,
    /// What kind of caller that is, as in the audit log.
    pub actor_kind: String,
    /// What whoever made it said of it, at most 256 bytes.
    pub why: String,
    /// The version whose contents it has again.
    pub copy_of: Option<u64>,
}

/// One version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigRow {
    /// What is said of it.
    pub info: ConfigInfo,
    /// A [`everypath_protocol::mesh_config::MeshConfig`].
    pub signed: Signed,
}

/// What an agent said that it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConfigTold {
    /// Who.
    pub agent: AgentId,
    /// Which version; 0: none.
    pub version: u64,
    /// When it said so first.
    pub at: UnixTime,
}

impl Store {
    /// Keeps a version if `expected` is still the newest (0: there is none yet), and logs it. Returns whether it was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_config(&self, row: ConfigRow, expected: u64, event: Event) -> Result<bool, StoreError> {
        each!(self, store => store.put_config(row, expected, event).await)
    }

    /// A version with its contents; without a number the newest.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn config(&self, version: Option<u64>) -> Result<Option<ConfigRow>, StoreError> {
        each!(self, store => store.config(version).await)
    }

    /// The newest version; 0 if there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn config_head(&self) -> Result<u64, StoreError> {
        each!(self, store => store.config_head().await)
    }

    /// The `limit` versions before the one with this number, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn configs_before(&self, version: u64, limit: u32) -> Result<Vec<ConfigInfo>, StoreError> {
        each!(self, store => store.configs_before(version, limit).await)
    }

    /// Keeps what agents said that they run. Those that are not known yet are left out: they say it again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_configs(&self, told: Vec<(AgentId, u64)>, now: UnixTime) -> Result<(), StoreError> {
        each!(self, store => store.note_configs(told, now).await)
    }

    /// What members said that they run, as far as they said anything.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn configs_told(&self) -> Result<Vec<ConfigTold>, StoreError> {
        each!(self, store => store.configs_told().await)
    }
}
