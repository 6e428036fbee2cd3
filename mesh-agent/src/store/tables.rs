//! What the buffer file holds.

use everypath_protocol::codec;
use everypath_protocol::id::Epoch;
use everypath_protocol::ledger::{self, LedgerEntry};
use redb::{ReadableTable, StorageError, Table, TableDefinition, WriteTransaction};
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
/// Single numbers.
pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Key in [`META`].
pub(crate) const INCARNATION: &str = "incarnation";

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
    #[error("panic: {0}")]
    Panicked(String),
    #[error("an entry of the ledger is damaged")]
    DamagedLedger,
    #[error("the file cannot be opened again: {0}")]
    Reopen(String),
}

pub(crate) type Ledger<'txn> = Table<'txn, u64, &'static [u8]>;
pub(crate) type Blocks<'txn> = Table<'txn, (u64, u64), &'static [u8]>;

/// Makes all tables, so that later reads need not ask whether they exist.
pub(crate) fn make_all(txn: &WriteTransaction) -> Result<(), TransactionError> {
    txn.open_table(BLOCKS)?;
    txn.open_table(LEDGER)?;
    txn.open_table(ORDER)?;
    txn.open_table(MEMBERS)?;
    txn.open_table(TOKENS)?;
    txn.open_table(NAMES)?;
    txn.open_table(META)?;
    Ok(())
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
