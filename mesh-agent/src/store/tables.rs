//! What the buffer file holds.

use crate::store::file::OpenStoreError;
use everypath_protocol::codec;
use everypath_protocol::id::Epoch;
use everypath_protocol::ledger::{self, LedgerEntry};
use redb::{ReadableTable, StorageError, Table, TableDefinition, WriteTransaction};
use std::io;
use thiserror::Error;

/// (epoch, first number) → encoded block.
pub(crate) const BLOCKS: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("blocks");
/// epoch → [`LedgerEntry`]. Read by `aggregator audit streams`, so its form is part of the protocol.
pub(crate) const LEDGER: TableDefinition<'_, u64, &[u8]> = TableDefinition::new(ledger::TABLE);
/// Order in which epochs were begun → epoch. Epochs themselves are random.
pub(crate) const ORDER: TableDefinition<'_, u64, u64> = TableDefinition::new("order");
/// Agent → its signed member record.
pub(crate) const MEMBERS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("members");
/// Token id → [`super::TokenRow`].
pub(crate) const TOKENS: TableDefinition<'_, &[u8; 8], &[u8]> = TableDefinition::new("tokens");
/// Name → the agent that an issuer here gave it to.
pub(crate) const NAMES: TableDefinition<'_, &str, &[u8; 32]> = TableDefinition::new("names");
/// [`CONFIG_NEWEST`] → [`super::StoredConfig`]: document and ratchet in one value, so that neither is ever without the other.
pub(crate) const CONFIG: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("config");
/// The only key in [`CONFIG`].
pub(crate) const CONFIG_NEWEST: &str = "newest";
/// Single numbers.
pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Order in which they came → an encoded block of one record that an aggregator refused for what is in it.
pub(crate) const QUARANTINE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("quarantine");
/// Key in [`META`].
pub(crate) const INCARNATION: &str = "incarnation";
/// Key in [`META`]: when this file took the place of one that could not be read, in microseconds since 1970.
pub(crate) const RESET_AT: &str = "reset_at";
/// Key in [`META`]: records saved from that one.
pub(crate) const RESET_SAVED: &str = "reset_saved";
/// Key in [`META`]: numbers known to be lost with it.
pub(crate) const RESET_LOST: &str = "reset_lost";

/// Why a transaction failed. Nothing of it was kept.
#[derive(Debug, Error)]
pub(crate) enum TransactionError {
    #[error("{0}")]
    Begin(#[from] redb::TransactionError),
    #[error("{0}")]
    Table(#[from] redb::TableError),
    #[error("{0}")]
    Storage(#[from] StorageError),
    #[error("{0}")]
    Commit(#[from] redb::CommitError),
    #[error("{0}")]
    Durability(#[from] redb::SetDurabilityError),
    #[error("{0}")]
    Database(#[from] redb::DatabaseError),
    #[error("{0}")]
    Compaction(#[from] redb::CompactionError),
    #[error("panic: {0}")]
    Panicked(String),
    #[error("an entry of the ledger is damaged")]
    DamagedLedger,
    #[error("{0}")]
    Open(Box<OpenStoreError>),
}

/// Whether the disk refuses, as opposed to what is on it being wrong. Of errors of the operating system `InvalidData` and
/// `UnexpectedEof` are what redb says of a file that is not one of its own, or ends early.
pub(crate) fn is_disk(error: &StorageError) -> bool {
    let is_content = |kind| matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof);
    matches!(error, StorageError::PreviousIo) || matches!(error, StorageError::Io(why) if !is_content(why.kind()))
}

impl TransactionError {
    fn storage(&self) -> Option<&StorageError> {
        match self {
            Self::Begin(redb::TransactionError::Storage(why))
            | Self::Table(redb::TableError::Storage(why))
            | Self::Storage(why)
            | Self::Commit(redb::CommitError::Storage(why))
            | Self::Compaction(redb::CompactionError::Storage(why))
            | Self::Database(redb::DatabaseError::Storage(why)) => Some(why),
            Self::Begin(_)
            | Self::Table(_)
            | Self::Commit(_)
            | Self::Durability(_)
            | Self::Database(_)
            | Self::Compaction(_)
            | Self::Panicked(_)
            | Self::DamagedLedger
            | Self::Open(_) => None,
        }
    }

    /// Whether the disk refuses; trying again later may help.
    pub(crate) fn is_disk(&self) -> bool {
        matches!(self, Self::Open(_)) || self.storage().is_some_and(is_disk)
    }

    /// Whether the disk has no room left.
    pub(crate) fn is_full(&self) -> bool {
        let is_full = |kind| matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        matches!(self.storage(), Some(StorageError::Io(why)) if is_full(why.kind()))
    }
}

pub(crate) type Ledger<'txn> = Table<'txn, u64, &'static [u8]>;
pub(crate) type Blocks<'txn> = Table<'txn, (u64, u64), &'static [u8]>;

/// Makes all tables, so that later reads need not ask whether they exist. Returns whether one was missing.
pub(crate) fn make_all(txn: &WriteTransaction) -> Result<bool, TransactionError> {
    let before = txn.list_tables()?.count();
    txn.open_table(BLOCKS)?;
    txn.open_table(LEDGER)?;
    txn.open_table(ORDER)?;
    txn.open_table(MEMBERS)?;
    txn.open_table(TOKENS)?;
    txn.open_table(NAMES)?;
    txn.open_table(CONFIG)?;
    txn.open_table(META)?;
    txn.open_table(QUARANTINE)?;
    Ok(txn.list_tables()?.count() > before)
}

/// The account of `epoch`, if there is one.
pub(crate) fn account(ledger: &Ledger<'_>, epoch: Epoch) -> Result<Option<LedgerEntry>, TransactionError> {
    match ledger.get(epoch.0)? {
        Some(bytes) => decode_account(bytes.value()).map(Some),
        None => Ok(None),
    }
}

/// All accounts, ascending by epoch.
pub(crate) fn accounts(txn: &WriteTransaction) -> Result<Vec<LedgerEntry>, TransactionError> {
    let ledger = txn.open_table(LEDGER)?;
    let mut entries = Vec::new();
    for row in ledger.iter()? {
        entries.push(decode_account(row?.1.value())?);
    }
    Ok(entries)
}

/// Reads an account.
fn decode_account(bytes: &[u8]) -> Result<LedgerEntry, TransactionError> {
    codec::decode(bytes, ledger::ENTRY_BYTES_MAX).map_err(|_| TransactionError::DamagedLedger)
}

/// Keeps an account.
pub(crate) fn set_account(ledger: &mut Ledger<'_>, entry: &LedgerEntry) -> Result<(), TransactionError> {
    ledger.insert(entry.epoch.0, codec::encode(entry).as_slice())?;
    Ok(())
}
