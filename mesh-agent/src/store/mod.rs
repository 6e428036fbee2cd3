//! The agent's buffer on disk; the only folder that names redb.
//!
//! Reading order: [`worker`] (the thread), [`queue`] and [`perform`] (orders), [`ops`] (changes and their account), [`file`]
//! (opening and setting aside), [`salvage`], [`mend`] and [`overlay`] (damage and disks that refuse), [`disk`] (the seam
//! below), [`compact`] and [`reserve`] (room), [`inspect`] (what people ask).
//!
//! One thread owns the file. Orders come through a bounded channel, in order; what waits is committed together. A full
//! channel makes the driver wait: the agent itself bounds how much may be unwritten, and it would have to stop there.

mod compact;
mod disk;
mod file;
pub mod inspect;
mod load;
mod marks;
mod mend;
mod ops;
mod overlay;
mod perform;
mod queue;
mod reserve;
mod salvage;
mod tables;
mod worker;

#[cfg(test)]
mod tests;

pub use file::OpenStoreError;

use crate::clock::Clock;
use crate::files::{self, FileError};
use crate::metrics::Metrics;
use crate::store::file::Place;
use crate::store::inspect::{BufferReport, FileReport, Verification};
use everypath_protocol::codec;
use everypath_protocol::id::{AgentId, BootId, Epoch, Incarnation, Seq};
use everypath_protocol::ledger::{IDENTITY_FILE, Ledger, LedgerEntry};
use everypath_protocol::member::MemberRecord;
use everypath_protocol::mesh_config::{MeshConfig, Ratchet};
use everypath_protocol::sign::{Document as _, Signed, Verified};
use everypath_protocol::time::UnixTime;
use everypath_protocol::token::{TokenId, TokenKey};
use mesh_agent_core::Resume;
use mesh_agent_core::effect::PersistOp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tokio::sync::{mpsc, oneshot, watch};

/// Orders that may wait for the disk.
pub const ORDERS_MAX: usize = 256;
/// Remembered members; the agent names the ones it wants remembered, so this bounds the file, not the mesh.
pub const MEMBERS_MAX: u64 = 16_384;
/// Accounts of drained epochs that are kept for audits; the oldest go first.
pub const LEDGER_ENTRIES_MAX: u64 = 4_096;
/// Records that an aggregator refused and that are kept for whoever wants to look into them; the oldest go first.
pub const QUARANTINE_RECORDS_MAX: usize = 1_024;
/// Bytes of those.
pub const QUARANTINE_BYTES_MAX: u64 = 1024 * 1024;
/// 64 digits and a line end.
const IDENTITY_BYTES_MAX: u64 = 128;
/// Agents that one token can have admitted.
pub const REDEEMED_MAX: usize = 10_000;

/// Highest number on disk, for each epoch written since the start.
pub type PersistedMarks = BTreeMap<Epoch, Seq>;

/// What the issuer keeps of a token; never the secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TokenRow {
    /// What proofs are checked with.
    pub key: [u8; 32],
    /// Wall clock after which it is refused.
    pub expires: UnixTime,
    /// How many more agents it admits.
    pub uses_left: u32,
    /// Whom it admitted, each with its certificate, so that asking again gives the same.
    pub redeemed: Vec<(AgentId, Signed)>,
}

impl TokenRow {
    /// A token nobody has used.
    pub const fn new(key: &TokenKey, expires: UnixTime, uses: u32) -> Self {
        Self { key: key.0, expires, uses_left: uses, redeemed: Vec::new() }
    }
}

/// The configuration of the mesh as it is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoredConfig {
    /// A [`MeshConfig`]; to be checked again.
    pub document: Signed,
    /// Which versions were taken.
    pub ratchet: Ratchet,
}

/// A document with its envelope, and a ratchet.
const CONFIG_BYTES_MAX: usize = MeshConfig::BYTES_MAX + 4 * 1024;

/// What was found when the buffer was opened.
#[derive(Debug)]
pub struct Opened {
    /// Epochs in which something waits.
    pub resume: Resume,
    /// Higher than at any start before.
    pub incarnation: Incarnation,
    /// Remembered members; to be checked again.
    pub members: Vec<Signed>,
    /// The configuration that was in force.
    pub config: Option<StoredConfig>,
}

/// Why there is no ledger to show.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The directory is not an agent's.
    #[error("{} is not the data directory of an agent: it has no agent.pub. Name the one of the agent with --data-dir", path.display())]
    NoAgent {
        /// The directory.
        path: PathBuf,
    },
    /// See there.
    #[error(transparent)]
    File(#[from] FileError),
    /// See there.
    #[error(transparent)]
    Open(#[from] OpenStoreError),
}

/// What the thread is asked to do.
#[derive(Debug)]
pub(crate) enum Order {
    Persist(PersistOp),
    Remember(Box<Verified<MemberRecord>>),
    Read { epoch: Epoch, first: Seq, last: Seq, reply: oneshot::Sender<Vec<u8>> },
    Ledger { reply: oneshot::Sender<Vec<LedgerEntry>> },
    Report { reply: oneshot::Sender<BufferReport> },
    Token { id: TokenId, reply: oneshot::Sender<Option<TokenRow>> },
    SaveConfig { bytes: Vec<u8>, reply: oneshot::Sender<()> },
    SaveToken { id: TokenId, row: Box<TokenRow>, name: Option<(String, AgentId)>, reply: oneshot::Sender<()> },
    NameOwner { name: String, reply: oneshot::Sender<Option<AgentId>> },
    Flush { reply: oneshot::Sender<()> },
    Close { reply: oneshot::Sender<()> },
}

/// How the disk fares.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DiskState {
    /// So little room is left that the buffer may not grow.
    pub is_low: bool,
    /// Writing fails, for this reason, and is tried again.
    pub failing: Option<String>,
}

/// What the disk tells by itself; each tells of every change.
#[derive(Clone, Debug)]
pub struct DiskNews {
    /// Highest number on disk for each epoch.
    pub persisted: watch::Receiver<PersistedMarks>,
    /// How it fares.
    pub state: watch::Receiver<DiskState>,
}

/// The store's thread is gone: the process is ending.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the buffer is closed")]
pub struct StoreClosed;

/// The driver's and the uplink's end. Cheap to clone; the thread ends when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Store {
    orders: mpsc::Sender<Order>,
    persisted: watch::Receiver<PersistedMarks>,
    state: watch::Receiver<DiskState>,
    place: Place,
    metrics: Metrics,
}

impl Store {
    /// Opens the buffer in `dir`, or makes it, and starts its thread. What cannot be read is set aside and a new buffer
    /// begun: damage costs records, never the agent.
    ///
    /// # Errors
    /// [`OpenStoreError`] if the file is in use, or the disk refuses.
    pub fn open(dir: &Path, boot: BootId, clock: Clock, metrics: &Metrics) -> Result<(Self, Opened), OpenStoreError> {
        Self::open_at(Place::real(dir), boot, clock, metrics)
    }

    fn open_at(place: Place, boot: BootId, clock: Clock, metrics: &Metrics) -> Result<(Self, Opened), OpenStoreError> {
        let (worker, opened) = worker::Worker::open(place.clone(), boot, clock, metrics.clone())?;
        let (orders, waiting) = mpsc::channel(ORDERS_MAX);
        let (marks, persisted) = watch::channel(PersistedMarks::new());
        let (tell, state) = watch::channel(worker.state());
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || worker.run(waiting, &marks, &tell))
            .map_err(OpenStoreError::NoThread)?;
        Ok((Self { orders, persisted, state, place, metrics: metrics.clone() }, opened))
    }

    /// What the buffer of an agent that is not running holds. Nothing is changed.
    ///
    /// # Errors
    /// [`OpenStoreError`].
    pub fn report_of(dir: &Path) -> Result<(BufferReport, FileReport), OpenStoreError> {
        let place = Place::real(dir);
        let database = file::open_to_read(&place)?;
        let read = || -> Result<_, tables::TransactionError> { inspect::report(&database.begin_write()?) };
        let report = read().map_err(|why| OpenStoreError::Damaged { path: place.buffer(), why: why.to_string() })?;
        Ok((report, inspect::file_report(&place)))
    }

    /// Checks every block in the buffer of an agent that is not running. Nothing is changed.
    ///
    /// # Errors
    /// [`OpenStoreError`].
    pub fn verify(dir: &Path) -> Result<Verification, OpenStoreError> {
        inspect::verify(&Place::real(dir))
    }

    /// The accounts of an agent that is not running.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn ledger_of(dir: &Path) -> Result<Ledger, LedgerError> {
        let public = files::read_bounded(&dir.join(IDENTITY_FILE), IDENTITY_BYTES_MAX)?;
        let text = public.and_then(|bytes| String::from_utf8(bytes).ok());
        let agent = text.and_then(|text| AgentId::parse(text.trim()));
        let agent = agent.ok_or_else(|| LedgerError::NoAgent { path: dir.to_owned() })?;
        let place = Place::real(dir);
        let database = file::open_to_read(&place)?;
        let read = || -> Result<_, tables::TransactionError> { tables::accounts(&database.begin_write()?) };
        let damaged =
            |why: tables::TransactionError| OpenStoreError::Damaged { path: place.buffer(), why: why.to_string() };
        Ok(Ledger { agent, entries: read().map_err(damaged)? })
    }

    /// Hands a change over; waits if [`ORDERS_MAX`] are waiting already.
    pub async fn persist(&self, op: PersistOp) {
        if self.orders.capacity() == 0 {
            self.metrics.queue_full.with_label_values(&["persist"]).inc();
        }
        let _ = self.orders.send(Order::Persist(op)).await;
    }

    /// Remembers a member. When the queue is full it is left out: it will be heard of again.
    pub fn remember(&self, member: Verified<MemberRecord>) {
        if self.orders.try_send(Order::Remember(Box::new(member))).is_err() {
            self.metrics.queue_full.with_label_values(&["remember"]).inc();
        }
    }

    /// Highest number on disk for each epoch; tells of every change.
    pub fn persisted(&self) -> watch::Receiver<PersistedMarks> {
        self.persisted.clone()
    }

    /// What the disk tells by itself.
    pub fn news(&self) -> DiskNews {
        DiskNews { persisted: self.persisted.clone(), state: self.state.clone() }
    }

    /// The file and the disk around it.
    pub fn file_report(&self) -> FileReport {
        inspect::file_report(&self.place)
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, StoreClosed> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).await.map_err(|_| StoreClosed)?;
        answer.await.map_err(|_| StoreClosed)
    }

    /// The blocks that cover exactly `first ..= last`, one behind the other. What is damaged or missing is replaced by
    /// records that say so, on disk first.
    ///
    /// # Errors
    /// [`StoreClosed`].
    pub async fn read(&self, epoch: Epoch, first: Seq, last: Seq) -> Result<Vec<u8>, StoreClosed> {
        self.ask(|reply| Order::Read { epoch, first, last, reply }).await
    }

    /// All accounts, ascending by epoch.
    ///
    /// # Errors
    /// [`StoreClosed`].
    pub async fn ledger(&self) -> Result<Vec<LedgerEntry>, StoreClosed> {
        self.ask(|reply| Order::Ledger { reply }).await
    }

    /// What the buffer holds.
    ///
    /// # Errors
    /// [`StoreClosed`].
    pub async fn report(&self) -> Result<BufferReport, StoreClosed> {
        self.ask(|reply| Order::Report { reply }).await
    }

    /// What is kept of a token.
    ///
    /// # Errors
    /// [`StoreClosed`].
    pub async fn token(&self, id: TokenId) -> Result<Option<TokenRow>, StoreClosed> {
        self.ask(|reply| Order::Token { id, reply }).await
    }

    /// Keeps a token and, in the same transaction, who has a name. Returns once it is on disk.
    ///
    /// # Errors
    /// [`StoreClosed`].
    pub async fn save_token(
        &self,
        id: TokenId,
        row: TokenRow,
        name: Option<(String, AgentId)>,
    ) -> Result<(), StoreClosed> {
        self.ask(|reply| Order::SaveToken { id, row: Box::new(row), name, reply }).await
    }

    /// Keeps the configuration of the mesh and its ratchet in one transaction. Returns once they are on disk.
    ///
    /// # Errors
    /// [`StoreClosed`].
    pub async fn save_config(&self, config: StoredConfig) -> Result<(), StoreClosed> {
        let bytes = codec::encode(&config);
        self.ask(|reply| Order::SaveConfig { bytes, reply }).await
    }

    /// Who was given a name.
    ///
    /// # Errors
    /// [`StoreClosed`].
    pub async fn name_owner(&self, name: String) -> Result<Option<AgentId>, StoreClosed> {
        self.ask(|reply| Order::NameOwner { name, reply }).await
    }

    /// Returns once everything that was handed over before is on disk.
    ///
    /// # Errors
    /// [`StoreClosed`].
    pub async fn flush(&self) -> Result<(), StoreClosed> {
        self.ask(|reply| Order::Flush { reply }).await
    }

    /// Writes what waits and lets go of the file; returns once another process could open it. All clones are closed.
    pub async fn close(&self) {
        let _ = self.ask(|reply| Order::Close { reply }).await;
    }
}
