//! Each change and its account, in one transaction.

use crate::store::tables::{BLOCKS, Blocks, LEDGER, Ledger, ORDER, TransactionError, account, set_account};
use crate::store::{LEDGER_ENTRIES_MAX, PersistedMarks};
use everypath_protocol::block::{Block, Content};
use everypath_protocol::id::{Epoch, Seq};
use everypath_protocol::ledger::LedgerEntry;
use mesh_agent_core::effect::PersistOp;
use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};

/// Applies one change; `marks` learns what will be on disk once the transaction is.
pub(crate) fn apply(
    txn: &WriteTransaction,
    op: &PersistOp,
    marks: &mut PersistedMarks,
) -> Result<(), TransactionError> {
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
            blocks.insert((epoch.0, first.0), bytes.as_slice())?;
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
        PersistOp::Renumber { epoch, from, into } => {
            let mut old = entry_of(txn, &mut ledger, *epoch)?;
            let mut new = entry_of(txn, &mut ledger, *into)?;
            let dropped = renumber(&mut blocks, *epoch, *from, *into)?;
            old.moved_from = Some(old.moved_from.map_or(*from, |before| before.min(*from)));
            new.last = new.last.max(dropped.last);
            for (first, last) in dropped.ranges {
                new.drop_range(first, last);
            }
            set_account(&mut ledger, &old)?;
            set_account(&mut ledger, &new)?;
            mark(marks, *into, new.last);
        }
    }
    Ok(())
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

struct Moved {
    last: Seq,
    ranges: Vec<(Seq, Seq)>,
}

/// Writes the blocks from number `from` on again as `into`, beginning at 1, and removes the old ones.
fn renumber(blocks: &mut Blocks<'_>, epoch: Epoch, from: Seq, into: Epoch) -> Result<Moved, TransactionError> {
    let mut moved = Moved { last: Seq(0), ranges: Vec::new() };
    let keys: Vec<u64> = blocks
        .range((epoch.0, 0)..=(epoch.0, u64::MAX))?
        .map(|row| row.map(|(key, _)| key.value().1))
        .collect::<Result<_, _>>()?;
    for first in keys {
        let Some(bytes) = blocks.remove((epoch.0, first))? else { continue };
        // A damaged block cannot be moved; it leaves no hole, because the new numbers have never been promised.
        let block = Block::decode(bytes.value()).ok();
        drop(bytes);
        let Some(block) = block.and_then(|block| without_before(block, from)) else { continue };
        let first = moved.last.next();
        let block = Block { epoch: into, first, renumbered: true, ..block };
        moved.last = block.last();
        if matches!(block.content, Content::Dropped { .. }) {
            moved.ranges.push((first, moved.last));
        }
        blocks.insert((into.0, first.0), block.encode().as_slice())?;
    }
    Ok(moved)
}

/// What of `block` has a number of at least `from`.
fn without_before(block: Block, from: Seq) -> Option<Block> {
    let skipped = from.0.saturating_sub(block.first.0);
    if skipped >= u64::from(block.count()) {
        return None;
    }
    let content = match block.content {
        Content::Records(records) => {
            Content::Records(records.into_iter().skip(usize::try_from(skipped).unwrap_or(usize::MAX)).collect())
        }
        Content::Dropped { count, reason } => {
            Content::Dropped { count: count.saturating_sub(u32::try_from(skipped).unwrap_or(u32::MAX)), reason }
        }
    };
    Some(Block { content, first: block.first.max(from), ..block })
}
