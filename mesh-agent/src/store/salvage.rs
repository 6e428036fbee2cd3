//! What can be saved of a file that redb cannot open: blocks carry a magic and a checksum, so they are found wherever they
//! lie, and go into the new file under their own epochs and numbers. The aggregator skips what it has.
//!
//! 1. Numbers between saved blocks are lost, and a tombstone says so. Freed pages hold old blocks too; they do no harm.
//! 2. If this process knows what was in the file, because it lost it while running, only that is restored, and exactly
//!    that: what is acknowledged stays acknowledged, and the highest numbers are the ones that were on disk.
//! 3. Otherwise the highest numbers are those noted in [`super::marks`], which may lag behind what was in the file. So the epochs
//!    must not be continued: fewer are restored than would make the agent go on with the newest one.

use crate::store::marks::Mark;
use crate::store::mend::Mender;
use crate::store::tables::{
    BLOCKS, CONFIG, CONFIG_NEWEST, INCARNATION, LEDGER, META, ORDER, RESET_AT, RESET_LOST, RESET_SAVED,
};
use crate::store::tables::{TransactionError, set_account};
use everypath_protocol::block::{BYTES_MAX, Block, Content};
use everypath_protocol::id::{Epoch, Incarnation, Seq};
use everypath_protocol::ledger::LedgerEntry;
use everypath_protocol::record::DropReason;
use everypath_protocol::time::UnixTime;
use mesh_agent_core::outbox::EPOCHS_MAX;
use redb::{StorageBackend, WriteTransaction};
use std::collections::BTreeMap;
use std::io::BufRead;

/// Read at a time. A block that begins in one piece may end in the next.
const PIECE_BYTES: u64 = 1024 * 1024;
/// More of a file is not searched: four times the usual limit of the buffer.
const SEARCHED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Blocks that are remembered, 64 bytes each.
const FINDS_MAX: usize = 65_536;

/// What a running process knows of the file that it lost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// 0 before it was read.
    pub(crate) incarnation: Incarnation,
    /// Accounts of epochs that are not drained, in the order in which they were begun.
    pub(crate) accounts: Vec<LedgerEntry>,
    /// The configuration of the mesh, encoded.
    pub(crate) config: Option<Vec<u8>>,
}

/// What was saved.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Saved {
    pub(crate) epochs: u64,
    pub(crate) records: u64,
    pub(crate) lost: u64,
}

/// A block somewhere in the file.
#[derive(Clone, Copy, Debug)]
struct Find {
    first: Seq,
    last: Seq,
    is_tombstone: bool,
    written: UnixTime,
    offset: u64,
    bytes: usize,
}

/// A file that was searched.
#[derive(Debug)]
pub(crate) struct Salvage {
    file: Box<dyn StorageBackend>,
    finds: BTreeMap<Epoch, Vec<Find>>,
}

impl Salvage {
    /// Searches the whole file. What cannot be read of it is passed over.
    pub(crate) fn scan(file: Box<dyn StorageBackend>) -> Self {
        let mut salvage = Self { file, finds: BTreeMap::new() };
        let end = salvage.file.len().unwrap_or(0).min(SEARCHED_BYTES_MAX);
        let mut count = 0;
        let mut base = 0;
        while base < end && count < FINDS_MAX {
            let reach = (end - base).min(PIECE_BYTES + u64::try_from(BYTES_MAX).unwrap_or(0));
            let mut piece = vec![0; usize::try_from(reach).unwrap_or(0)];
            // Sectors that cannot be read are lost; what is around them is not.
            if salvage.file.read(base, &mut piece).is_ok() {
                count += salvage.search(base, &piece);
            }
            base += PIECE_BYTES;
        }
        salvage
    }

    fn search(&mut self, base: u64, piece: &[u8]) -> usize {
        let begins_before = usize::try_from(PIECE_BYTES).unwrap_or(usize::MAX);
        let mut found = 0;
        let mut rest = piece;
        loop {
            // `skip_until` is the fastest search for a byte that the standard library has.
            let skipped = rest.skip_until(b'E').unwrap_or(0);
            let place = piece.len() - rest.len();
            if skipped == 0 || place == 0 || place > begins_before {
                return found;
            }
            if !rest.starts_with(b"PB") {
                continue;
            }
            let candidate = &piece[place - 1..];
            if let Ok((block, behind)) = Block::decode_first(candidate) {
                let bytes = candidate.len() - behind.len();
                self.finds.entry(block.epoch).or_default().push(Find {
                    first: block.first,
                    last: block.last(),
                    is_tombstone: matches!(block.content, Content::Dropped { .. }),
                    written: block.written.wall,
                    offset: base + u64::try_from(place - 1).unwrap_or(0),
                    bytes,
                });
                found += 1;
                rest = behind;
            }
        }
    }

    fn read(&self, find: &Find) -> Option<Vec<u8>> {
        let mut bytes = vec![0; find.bytes];
        self.file.read(find.offset, &mut bytes).ok()?;
        Some(bytes)
    }

    /// The epochs by their newest blocks, oldest first.
    fn by_age(&self) -> Vec<Epoch> {
        let newest_block = |finds: &Vec<Find>| finds.iter().map(|find| find.written).max().unwrap_or_default();
        let mut epochs: Vec<_> = self.finds.iter().map(|(epoch, finds)| (newest_block(finds), *epoch)).collect();
        epochs.sort_unstable();
        epochs.into_iter().map(|(_, epoch)| epoch).collect()
    }

    /// Blocks that cover numbers after `acked`, ascending, none twice. Where several begin alike, the longest that still
    /// holds records.
    fn chosen(&self, epoch: Epoch, acked: Seq, last: Seq) -> Vec<Find> {
        let mut finds: Vec<Find> = self.finds.get(&epoch).cloned().unwrap_or_default();
        finds.retain(|find| find.first > acked && find.last <= last);
        finds.sort_unstable_by_key(|find| (find.first, find.is_tombstone, std::cmp::Reverse(find.last)));
        let mut next = Seq(0);
        finds.retain(|find| {
            let is_new = find.first >= next;
            if is_new {
                next = find.last.next();
            }
            is_new
        });
        finds
    }
}

impl Known {
    /// Fills a new file. `None` if there was nothing before it.
    pub(crate) fn restore(
        &self,
        txn: &WriteTransaction,
        salvage: Option<&Salvage>,
        marks: &[Mark],
        mender: &Mender,
    ) -> Result<Option<Saved>, TransactionError> {
        let mut saved = Saved::default();
        let accounts =
            if self.incarnation == Incarnation::default() { found(salvage, marks) } else { self.accounts.clone() };
        if salvage.is_none() && self.incarnation == Incarnation::default() && accounts.is_empty() {
            return Ok(None);
        }
        for (place, entry) in (0..).zip(accounts) {
            txn.open_table(ORDER)?.insert(place, entry.epoch.0)?;
            let finds = salvage.map(|salvage| salvage.chosen(entry.epoch, entry.acked, entry.last));
            restore_epoch(txn, salvage, entry, finds.unwrap_or_default(), mender, &mut saved)?;
            saved.epochs += 1;
        }
        if let Some(config) = &self.config {
            txn.open_table(CONFIG)?.insert(CONFIG_NEWEST, config.as_slice())?;
        }
        let mut meta = txn.open_table(META)?;
        if self.incarnation > Incarnation::default() {
            meta.insert(INCARNATION, self.incarnation.0)?;
        }
        meta.insert(RESET_AT, u64::try_from(mender.clock.now().wall.0).unwrap_or(0))?;
        meta.insert(RESET_SAVED, saved.records)?;
        meta.insert(RESET_LOST, saved.lost)?;
        Ok(Some(saved))
    }
}

/// The newest epochs that have blocks or a mark, oldest first, as far as they are known not to be drained; as many as leave room
/// for a new one, so that none of these is continued.
fn found(salvage: Option<&Salvage>, marks: &[Mark]) -> Vec<LedgerEntry> {
    let mut epochs = salvage.map(Salvage::by_age).unwrap_or_default();
    for mark in marks {
        if !epochs.contains(&mark.epoch) {
            epochs.push(mark.epoch);
        }
    }
    let account = |epoch: Epoch| {
        let mark = marks.iter().find(|mark| mark.epoch == epoch);
        let finds = salvage.and_then(|salvage| salvage.finds.get(&epoch));
        let last = finds.and_then(|finds| finds.iter().map(|find| find.last).max()).unwrap_or_default();
        let last = mark.map_or(last, |mark| mark.last.max(last));
        LedgerEntry { epoch, last, acked: mark.map_or(Seq(0), |mark| mark.acked), ..LedgerEntry::default() }
    };
    let mut accounts: Vec<_> = epochs.into_iter().map(account).filter(|entry| entry.acked < entry.last).collect();
    accounts.drain(..accounts.len().saturating_sub(EPOCHS_MAX - 1));
    accounts
}

fn restore_epoch(
    txn: &WriteTransaction,
    salvage: Option<&Salvage>,
    mut entry: LedgerEntry,
    finds: Vec<Find>,
    mender: &Mender,
    saved: &mut Saved,
) -> Result<(), TransactionError> {
    let mut blocks = txn.open_table(BLOCKS)?;
    let mut next = entry.acked.next();
    let mut give_up =
        |blocks: &mut crate::store::tables::Blocks<'_>, entry: &mut LedgerEntry, first: Seq, last: Seq| {
            let mut first = first;
            while first <= last {
                let count = u32::try_from(last.0 - first.0 + 1).unwrap_or(u32::MAX);
                let content = Content::Dropped { count, reason: DropReason::Damaged };
                let block = mender.block(entry.epoch, first, content);
                blocks.insert((entry.epoch.0, first.0), block.encode().as_slice())?;
                saved.lost += u64::from(count);
                entry.drop_range(first, block.last());
                first = block.last().next();
            }
            Ok::<(), TransactionError>(())
        };
    let mut records = 0;
    for find in finds {
        let Some(bytes) = salvage.and_then(|salvage| salvage.read(&find)) else { continue };
        if next < find.first {
            give_up(&mut blocks, &mut entry, next, Seq(find.first.0 - 1))?;
        }
        blocks.insert((entry.epoch.0, find.first.0), bytes.as_slice())?;
        if find.is_tombstone {
            entry.drop_range(find.first, find.last);
        } else {
            records += find.last.0 - find.first.0 + 1;
        }
        next = find.last.next();
    }
    if next <= entry.last {
        let last = entry.last;
        give_up(&mut blocks, &mut entry, next, last)?;
    }
    saved.records += records;
    set_account(&mut txn.open_table(LEDGER)?, &entry)
}
