//! What the file says when it is opened.

use crate::store::mend::{Mender, Whole, begin_of};
use crate::store::tables::{
    BLOCKS, CONFIG, CONFIG_NEWEST, INCARNATION, LEDGER, MEMBERS, META, ORDER, TransactionError, account,
};
use crate::store::{CONFIG_BYTES_MAX, Opened, ops};
use everypath_protocol::block::{Block, Content};
use everypath_protocol::codec;
use everypath_protocol::id::{Epoch, Incarnation};
use everypath_protocol::ledger::LedgerEntry;
use everypath_protocol::member::MemberRecord;
use everypath_protocol::record::Record;
use everypath_protocol::sign::{Document, Signed};
use mesh_agent_core::Resume;
use mesh_agent_core::params::{StoredBlock, StoredEpoch};
use redb::{ReadableTable, WriteTransaction};

/// A member record with its signature.
const MEMBER_BYTES_MAX: usize = MemberRecord::BYTES_MAX + 256;

/// What was loaded, and what had to be given up for it.
pub(crate) struct Loaded {
    pub(crate) opened: Opened,
    pub(crate) accounts: Vec<LedgerEntry>,
    pub(crate) damaged: u64,
}

/// Reads everything and raises the incarnation.
pub(crate) fn load(txn: &WriteTransaction, mender: &Mender) -> Result<Loaded, TransactionError> {
    let incarnation = raise_incarnation(txn, mender)?;
    let accounts = undrained(txn)?;
    let mut resume = Resume::default();
    let mut damaged = 0;
    for entry in &accounts {
        let begin = begin_of(&txn.open_table(BLOCKS)?, entry.epoch, entry.acked)?;
        let whole = mender.whole(txn, entry.epoch, begin, entry.last)?;
        damaged += whole.damaged;
        resume.epochs.push(resumed(entry, &whole));
    }
    // What was mended is in the accounts now.
    let accounts = undrained(txn)?;
    let members = txn.open_table(MEMBERS)?;
    let mut remembered: Vec<Signed> = Vec::new();
    for row in members.iter()? {
        remembered.extend(codec::decode(row?.1.value(), MEMBER_BYTES_MAX));
    }
    let config = txn.open_table(CONFIG)?;
    let config = config.get(CONFIG_NEWEST)?.and_then(|bytes| match codec::decode(bytes.value(), CONFIG_BYTES_MAX) {
        Ok(config) => Some(config),
        Err(why) => {
            tracing::error!(%why, "the configuration of the mesh that was kept is damaged; it will be heard of again");
            None
        }
    });
    Ok(Loaded { opened: Opened { resume, incarnation, members: remembered, config }, accounts, damaged })
}

fn raise_incarnation(txn: &WriteTransaction, mender: &Mender) -> Result<Incarnation, TransactionError> {
    let mut meta = txn.open_table(META)?;
    let before = meta.get(INCARNATION)?.map_or(0, |number| number.value());
    // A new file must still win over what the mesh remembers of this agent, so it begins at the wall clock.
    let now = u64::try_from(mender.clock.now().wall.0 / 1_000_000).unwrap_or(0);
    let next = before.saturating_add(1).max(if before == 0 { now } else { 0 });
    meta.insert(INCARNATION, next)?;
    Ok(Incarnation(next))
}

/// Accounts of epochs in which something waits, in the order in which they were begun.
pub(crate) fn undrained(txn: &WriteTransaction) -> Result<Vec<LedgerEntry>, TransactionError> {
    let (order, ledger) = (txn.open_table(ORDER)?, txn.open_table(LEDGER)?);
    let mut accounts = Vec::new();
    for row in order.iter()? {
        let entry = account(&ledger, Epoch(row?.1.value()))?;
        accounts.extend(entry.filter(|entry| entry.moved_from.is_none() && !ops::is_drained(entry)));
    }
    Ok(accounts)
}

fn resumed(entry: &LedgerEntry, whole: &Whole) -> StoredEpoch {
    let stored = |(block, bytes): &(Block, Vec<u8>)| StoredBlock {
        first: block.first,
        last: block.last(),
        bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        holds_flips: matches!(&block.content, Content::Records(records)
            if records.iter().any(|record| matches!(record, Record::Flip(_)))),
        is_tombstone: matches!(block.content, Content::Dropped { .. }),
    };
    let blocks = whole.blocks.iter().map(stored).collect();
    StoredEpoch { epoch: entry.epoch, acked: entry.acked, last: entry.last, blocks }
}
