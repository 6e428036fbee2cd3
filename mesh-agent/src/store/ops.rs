//! Each change and its account, in one transaction.

use crate::store::mend::Mender;
use crate::store::tables::{BLOCKS, Blocks, LEDGER, Ledger, ORDER, QUARANTINE, TransactionError, account, set_account};
use crate::store::{LEDGER_ENTRIES_MAX, PersistedMarks, QUARANTINE_BYTES_MAX, QUARANTINE_RECORDS_MAX};
use everypath_protocol::block::{Block, Content};
use everypath_protocol::id::{Epoch, Seq};
use everypath_protocol::ledger::LedgerEntry;
use mesh_agent_core::effect::PersistOp;
use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};

/// Whose account a change touches, and the first and last number whose blocks it alters. What it alters must not be read
/// before it is done.
pub(crate) const fn altered(op: &PersistOp) -> (Epoch, Option<(Seq, Seq)>) {
    match op {
        // New blocks are read only once they are known to be there, and what is acknowledged never again.
        PersistOp::Append { epoch, .. } | PersistOp::Discard { epoch, .. } => (*epoch, None),
        PersistOp::Replace { epoch, first, last, .. } | PersistOp::Split { epoch, first, last, .. } => {
            (*epoch, Some((*first, *last)))
        }
        PersistOp::Quarantine { epoch, number, .. } => (*epoch, Some((*number, *number))),
        PersistOp::Renumber { epoch, from, .. } => (*epoch, Some((*from, Seq(u64::MAX)))),
    }
}

/// Applies one change; `marks` learns what will be on disk once the transaction is. Returns how many numbers had to be given
/// up for damage on the way.
pub(crate) fn apply(
    txn: &WriteTransaction,
    op: &PersistOp,
    mender: &Mender,
    marks: &mut PersistedMarks,
) -> Result<u64, TransactionError> {
    let mut blocks = txn.open_table(BLOCKS)?;
    let mut ledger = txn.open_table(LEDGER)?;
    match op {
        PersistOp::Append { epoch, first, last, bytes, is_tombstone } => {
            let mut entry = entry_of(txn, &mut ledger, *epoch)?;
            blocks.insert((epoch.0, first.0), bytes.as_slice())?;
            entry.last = entry.last.max(*last);
            if *is_tombstone {
                entry.drop_range(*first, *last);
            }
            set_account(&mut ledger, &entry)?;
            mark(marks, *epoch, *last);
        }
        PersistOp::Replace { epoch, first, last, bytes } => {
            let mut entry = entry_of(txn, &mut ledger, *epoch)?;
            blocks.retain_in((epoch.0, first.0)..=(epoch.0, last.0), |_, _| false)?;
            // Acknowledged meanwhile if the disk was full and acknowledgements were let through first.
            if *last > entry.acked {
                blocks.insert((epoch.0, first.0), bytes.as_slice())?;
            }
            entry.last = entry.last.max(*last);
            entry.drop_range(*first, *last);
            set_account(&mut ledger, &entry)?;
        }
        PersistOp::Discard { epoch, up_to } => {
            let mut entry = entry_of(txn, &mut ledger, *epoch)?;
            discard(&mut blocks, *epoch, *up_to)?;
            entry.acked = entry.acked.max(*up_to);
            set_account(&mut ledger, &entry)?;
        }
        PersistOp::Split { epoch, first, at, .. } => split(&mut blocks, *epoch, *first, *at)?,
        PersistOp::Quarantine { epoch, number, bytes } => {
            let mut entry = entry_of(txn, &mut ledger, *epoch)?;
            let refused = blocks.remove((epoch.0, number.0))?.map(|bytes| bytes.value().to_vec());
            // What is damaged is of no use to whoever looks into it.
            if let Some(refused) = refused.filter(|bytes| Block::decode(bytes).is_ok()) {
                put_aside(txn, &refused)?;
            }
            if *number > entry.acked {
                blocks.insert((epoch.0, number.0), bytes.as_slice())?;
            }
            entry.drop_range(*number, *number);
            set_account(&mut ledger, &entry)?;
        }
        PersistOp::Renumber { epoch, from, into } => {
            // A table can be open once; mending opens them, too.
            drop((blocks, ledger));
            return renumber(txn, *epoch, *from, *into, mender, marks);
        }
    }
    Ok(0)
}

/// What is damaged stays as it is: reading either half mends it.
fn split(blocks: &mut Blocks<'_>, epoch: Epoch, first: Seq, at: Seq) -> Result<(), TransactionError> {
    let whole = blocks.get((epoch.0, first.0))?.and_then(|bytes| Block::decode(bytes.value()).ok());
    if let Some(whole) = whole.filter(|whole| whole.epoch == epoch && first < at && at <= whole.last()) {
        let (one, other) = whole.split(at);
        blocks.insert((epoch.0, one.first.0), one.encode().as_slice())?;
        blocks.insert((epoch.0, other.first.0), other.encode().as_slice())?;
    }
    Ok(())
}

/// Keeps what was refused, within the limits; the oldest go first.
fn put_aside(txn: &WriteTransaction, refused: &[u8]) -> Result<(), TransactionError> {
    let mut quarantine = txn.open_table(QUARANTINE)?;
    let next = quarantine.last()?.map_or(0, |(place, _)| place.value().saturating_add(1));
    quarantine.insert(next, refused)?;
    let mut sizes = Vec::new();
    for row in quarantine.iter()? {
        let (place, bytes) = row?;
        sizes.push((place.value(), u64::try_from(bytes.value().len()).unwrap_or(u64::MAX)));
    }
    let mut bytes: u64 = sizes.iter().map(|(_, bytes)| bytes).sum();
    let mut count = sizes.len();
    for (place, size) in sizes {
        if count <= QUARANTINE_RECORDS_MAX && bytes <= QUARANTINE_BYTES_MAX {
            break;
        }
        quarantine.remove(place)?;
        count -= 1;
        bytes -= size;
    }
    Ok(())
}

/// Writes the blocks from number `from` on again as `into`, beginning at 1, and removes the old ones. Damaged blocks move as
/// tombstones: the agent has counted their numbers and will ask for those behind them.
fn renumber(
    txn: &WriteTransaction,
    epoch: Epoch,
    from: Seq,
    into: Epoch,
    mender: &Mender,
    marks: &mut PersistedMarks,
) -> Result<u64, TransactionError> {
    let (mut old, mut new) = {
        let mut ledger = txn.open_table(LEDGER)?;
        let old = entry_of(txn, &mut ledger, epoch)?;
        // In the order of epochs the old one must be there before the new one.
        set_account(&mut ledger, &old)?;
        (old, entry_of(txn, &mut ledger, into)?)
    };
    let whole = mender.whole(txn, epoch, from, old.last)?;
    // Mending noted what is gone under the old numbers; it is given up under the new ones.
    let mut blocks = txn.open_table(BLOCKS)?;
    blocks.retain_in((epoch.0, 0)..=(epoch.0, u64::MAX), |_, _| false)?;
    for (block, _) in whole.blocks {
        let first = Seq(block.first.0 - from.0 + 1);
        let moved = Block { epoch: into, first, renumbered: true, ..block };
        if matches!(moved.content, Content::Dropped { .. }) {
            new.drop_range(first, moved.last());
        }
        new.last = new.last.max(moved.last());
        blocks.insert((into.0, first.0), moved.encode().as_slice())?;
    }
    old.moved_from = Some(old.moved_from.map_or(from, |before| before.min(from)));
    let mut ledger = txn.open_table(LEDGER)?;
    set_account(&mut ledger, &old)?;
    set_account(&mut ledger, &new)?;
    mark(marks, into, new.last);
    Ok(whole.damaged)
}

fn mark(marks: &mut PersistedMarks, epoch: Epoch, last: Seq) {
    let mark = marks.entry(epoch).or_default();
    *mark = (*mark).max(last);
}

/// The account of `epoch`; begins one, and notes its place in the order of epochs, if there is none.
fn entry_of(txn: &WriteTransaction, ledger: &mut Ledger<'_>, epoch: Epoch) -> Result<LedgerEntry, TransactionError> {
    if let Some(entry) = account(ledger, epoch)? {
        return Ok(entry);
    }
    let mut order = txn.open_table(ORDER)?;
    let next = order.last()?.map_or(0, |(place, _)| place.value().saturating_add(1));
    order.insert(next, epoch.0)?;
    if ledger.len()? >= LEDGER_ENTRIES_MAX {
        forget_oldest_drained(ledger, &mut order)?;
    }
    Ok(LedgerEntry { epoch, ..LedgerEntry::default() })
}

fn forget_oldest_drained(
    ledger: &mut Ledger<'_>,
    order: &mut redb::Table<'_, u64, u64>,
) -> Result<(), TransactionError> {
    let mut oldest = None;
    for row in order.iter()? {
        let (place, epoch) = row?;
        let drained = account(ledger, Epoch(epoch.value()))?.is_none_or(|entry| is_drained(&entry));
        if drained {
            oldest = Some((place.value(), epoch.value()));
            break;
        }
    }
    if let Some((place, epoch)) = oldest {
        order.remove(place)?;
        ledger.remove(epoch)?;
    }
    Ok(())
}

/// Whether nothing of an epoch waits any more.
pub(crate) fn is_drained(entry: &LedgerEntry) -> bool {
    let end = entry.moved_from.map_or(entry.last.0, |from| from.0.saturating_sub(1));
    entry.acked.0 >= end
}

/// Removes what ends at or before `up_to`. A block that goes beyond stays whole.
fn discard(blocks: &mut Blocks<'_>, epoch: Epoch, up_to: Seq) -> Result<(), TransactionError> {
    let reach = (epoch.0, 0)..=(epoch.0, up_to.0);
    let last_start = blocks.range(reach.clone())?.next_back().transpose()?.map(|(key, bytes)| {
        let goes_beyond = Block::decode(bytes.value()).is_ok_and(|block| block.last() > up_to);
        (key.value(), goes_beyond)
    });
    if let Some((key, goes_beyond)) = last_start {
        blocks.retain_in(reach, |candidate, _| goes_beyond && candidate == key)?;
    }
    Ok(())
}
