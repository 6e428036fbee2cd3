//! What the buffer holds, for people: how it stands, and whether it is sound.

use crate::store::file::{self, OpenStoreError, Place};
use crate::store::load;
use crate::store::mend::begin_of;
use crate::store::reserve::RESERVE_FILE;
use crate::store::tables::{
    self, BLOCKS, Blocks, LEDGER, META, QUARANTINE, RESET_AT, RESET_LOST, RESET_SAVED, TransactionError, account,
};
use crate::text::{self, rfc3339};
use everypath_protocol::block::{Block, Content};
use everypath_protocol::id::{Epoch, Seq};
use everypath_protocol::ledger::LedgerEntry;
use everypath_protocol::record::DropReason;
use everypath_protocol::time::UnixTime;
use redb::{ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Problems that are named one by one; more are only counted.
const PROBLEMS_MAX: usize = 100;

/// What the file says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct BufferReport {
    /// Streams in which something waits, oldest first.
    pub epochs: Vec<EpochReport>,
    /// Records that wait for an aggregator, tombstones not counted.
    pub waiting_records: u64,
    /// Bytes of the blocks that wait.
    pub waiting_bytes: u64,
    /// When the oldest of them was written.
    pub oldest: Option<String>,
    /// Numbers given up in tombstones that wait, by reason.
    pub waiting_dropped: BTreeMap<String, u64>,
    /// Numbers given up, of all streams that are still remembered.
    pub dropped_records: u64,
    /// Records that an aggregator refused, kept aside.
    pub quarantined_records: u64,
    /// Bytes of those.
    pub quarantined_bytes: u64,
    /// The file before this one could not be read.
    pub reset: Option<ResetReport>,
}

/// One stream.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EpochReport {
    /// Which, in hexadecimal as the aggregator's audit prints it: it is larger than JavaScript can hold.
    pub epoch: String,
    /// Last number stored.
    pub last: u64,
    /// Last number acknowledged.
    pub acked: u64,
    /// Blocks that wait.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest of them was written.
    pub oldest: Option<String>,
}

/// How a damaged file was replaced.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ResetReport {
    /// When.
    pub at: String,
    /// Records saved.
    pub saved: u64,
    /// Numbers known to be lost.
    pub lost: u64,
}

/// The file and the disk around it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FileReport {
    /// Its size.
    pub file_bytes: u64,
    /// Damaged ones that were set aside, the newest last.
    pub set_aside: Vec<SetAsideReport>,
    /// The reserve for a full disk is there.
    pub has_reserve: bool,
    /// Free on the file system.
    pub disk_free_bytes: Option<u64>,
    /// So little is free that the buffer does not grow.
    pub disk_low: bool,
}

/// A buffer that could not be read. Nobody opens it again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SetAsideReport {
    /// Where it lies.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}

/// What an inspection found.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Verification {
    /// Streams looked at.
    pub epochs: u64,
    /// Blocks that are whole.
    pub blocks: u64,
    /// Records in them.
    pub records: u64,
    /// What is wrong, and what becomes of it.
    pub problems: Vec<String>,
    /// Problems beyond those that are named.
    pub more_problems: u64,
}

/// Of the file's surroundings.
pub(crate) fn file_report(place: &Place) -> FileReport {
    let set_aside = |path: std::path::PathBuf| SetAsideReport {
        bytes: place.disk.bytes(&path).ok().flatten().unwrap_or(0),
        path: path.display().to_string(),
    };
    let space = place.disk.space(&place.dir).ok();
    FileReport {
        file_bytes: place.disk.bytes(&place.buffer()).ok().flatten().unwrap_or(0),
        set_aside: place.damaged().into_iter().map(set_aside).collect(),
        has_reserve: place.disk.bytes(&place.dir.join(RESERVE_FILE)).is_ok_and(|bytes| bytes.is_some()),
        disk_free_bytes: space.map(|space| space.free),
        disk_low: space.is_some_and(|space| space.is_low(false)),
    }
}

/// Reads what waits, once through.
pub(crate) fn report(txn: &WriteTransaction) -> Result<BufferReport, TransactionError> {
    let mut report = BufferReport::default();
    let accounts = load::undrained(txn)?;
    let blocks = txn.open_table(BLOCKS)?;
    let mut oldest: Option<UnixTime> = None;
    for entry in &accounts {
        let epoch = epoch_report(&blocks, entry, &mut report, &mut oldest)?;
        report.epochs.push(epoch);
    }
    report.oldest = oldest.map(rfc3339);
    for entry in tables::accounts(txn)? {
        report.dropped_records += entry.dropped.iter().map(|(first, last)| last.0 - first.0 + 1).sum::<u64>();
    }
    for row in txn.open_table(QUARANTINE)?.iter()? {
        report.quarantined_records += 1;
        report.quarantined_bytes += size(row?.1.value());
    }
    let meta = txn.open_table(META)?;
    let number = |key| -> Result<Option<u64>, TransactionError> { Ok(meta.get(key)?.map(|number| number.value())) };
    if let Some(at) = number(RESET_AT)? {
        let at = rfc3339(UnixTime(i64::try_from(at).unwrap_or(i64::MAX)));
        let (saved, lost) = (number(RESET_SAVED)?.unwrap_or(0), number(RESET_LOST)?.unwrap_or(0));
        report.reset = Some(ResetReport { at, saved, lost });
    }
    Ok(report)
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn epoch_report(
    blocks: &Blocks<'_>,
    entry: &LedgerEntry,
    report: &mut BufferReport,
    oldest: &mut Option<UnixTime>,
) -> Result<EpochReport, TransactionError> {
    let (mut count, mut bytes, mut own_oldest) = (0, 0, None);
    let begin = begin_of(blocks, entry.epoch, entry.acked)?;
    for row in blocks.range((entry.epoch.0, begin.0)..=(entry.epoch.0, entry.last.0))? {
        let (_, encoded) = row?;
        count += 1;
        bytes += size(encoded.value());
        let Ok(block) = Block::decode(encoded.value()) else { continue };
        own_oldest.get_or_insert(block.written.wall);
        match &block.content {
            Content::Records(records) => report.waiting_records += u64::try_from(records.len()).unwrap_or(0),
            Content::Dropped { count, reason } => {
                *report.waiting_dropped.entry(reason.name().to_owned()).or_default() += u64::from(*count);
            }
        }
    }
    report.waiting_bytes += bytes;
    *oldest = oldest.iter().copied().chain(own_oldest).min();
    let (epoch, last, acked) = (text::epoch(entry.epoch), entry.last.0, entry.acked.0);
    Ok(EpochReport { epoch, last, acked, blocks: count, bytes, oldest: own_oldest.map(rfc3339) })
}

/// Checks every block of a stopped agent's buffer against the accounts. Nothing is changed.
pub(crate) fn verify(place: &Place) -> Result<Verification, OpenStoreError> {
    let damaged = |why: TransactionError| OpenStoreError::Damaged { path: place.buffer(), why: why.to_string() };
    let database = file::open_to_read(place)?;
    let look = || -> Result<Verification, TransactionError> {
        let txn = database.begin_write()?;
        let mut found = Verification::default();
        let blocks = txn.open_table(BLOCKS)?;
        for entry in load::undrained(&txn)? {
            found.epochs += 1;
            check_epoch(&blocks, &entry, &mut found)?;
        }
        check_strays(&txn, &blocks, &mut found)?;
        Ok(found)
    };
    look().map_err(damaged)
}

impl Verification {
    fn problem(&mut self, text: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(text);
        } else {
            self.more_problems += 1;
        }
    }

    fn missing(&mut self, epoch: Epoch, first: Seq, last: Seq) {
        let epoch = text::epoch(epoch);
        self.problem(format!(
            "epoch {epoch}: the numbers {first} to {last} are on no readable block. At its next start the agent notes them as dropped (damaged)"
        ));
    }
}

fn check_epoch(blocks: &Blocks<'_>, entry: &LedgerEntry, found: &mut Verification) -> Result<(), TransactionError> {
    let (epoch, name) = (entry.epoch, text::epoch(entry.epoch));
    let mut next = begin_of(blocks, epoch, entry.acked)?;
    for row in blocks.range((epoch.0, next.0)..=(epoch.0, entry.last.0))? {
        let (key, bytes) = row?;
        let key = key.value().1;
        let block = match Block::decode(bytes.value()) {
            Ok(block) if block.epoch == epoch && block.first.0 == key && block.last() <= entry.last => block,
            Ok(_) => {
                found.problem(format!("epoch {name}: the block at number {key} names other numbers than its place"));
                continue;
            }
            Err(why) => {
                found.problem(format!("epoch {name}: the block at number {key} cannot be read: {why}"));
                continue;
            }
        };
        if block.first < next {
            found.problem(format!("epoch {name}: the block at number {key} begins within the one before it"));
            continue;
        }
        if block.first > next {
            found.missing(epoch, next, Seq(block.first.0 - 1));
        }
        next = block.last().next();
        found.blocks += 1;
        match &block.content {
            Content::Records(records) => found.records += u64::try_from(records.len()).unwrap_or(0),
            Content::Dropped { reason, .. } => check_noted(entry, &block, *reason, found),
        }
    }
    if next <= entry.last {
        found.missing(epoch, next, entry.last);
    }
    Ok(())
}

fn check_noted(entry: &LedgerEntry, block: &Block, reason: DropReason, found: &mut Verification) {
    let is_noted = entry.dropped.iter().any(|(first, last)| *first <= block.first && block.last() <= *last);
    if !is_noted {
        let (epoch, first, last) = (text::epoch(block.epoch), block.first, block.last());
        let reason = reason.name();
        found.problem(format!(
            "epoch {epoch}: a tombstone ({reason}) covers the numbers {first} to {last}, but the account does not know of it"
        ));
    }
}

/// Blocks of streams without an account are never sent.
fn check_strays(txn: &WriteTransaction, blocks: &Blocks<'_>, found: &mut Verification) -> Result<(), TransactionError> {
    let ledger = txn.open_table(LEDGER)?;
    let mut from = 0;
    while let Some((key, _)) = blocks.range((from, 0)..)?.next().transpose()? {
        let epoch = key.value().0;
        if account(&ledger, Epoch(epoch))?.is_none() {
            let name = text::epoch(Epoch(epoch));
            found.problem(format!("epoch {name} has blocks and no account; they will not be sent"));
        }
        let Some(next) = epoch.checked_add(1) else { break };
        from = next;
    }
    Ok(())
}
