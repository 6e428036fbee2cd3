//! Reading a stretch of an epoch so that no number is missing: what is damaged or gone is replaced by a record that says
//! so, written to disk before it is shown to anyone.

use crate::clock::Clock;
use crate::store::tables::{BLOCKS, Blocks, LEDGER, TransactionError, account, set_account};
use everypath_protocol::block::{Block, Content};
use everypath_protocol::id::{BootId, Epoch, Seq};
use everypath_protocol::ledger::LedgerEntry;
use everypath_protocol::record::DropReason;
use redb::{ReadableTable, WriteTransaction};

/// Writes the records that say that something is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mender {
    pub(crate) boot: BootId,
    pub(crate) clock: Clock,
}

/// A stretch without holes.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    pub(crate) blocks: Vec<(Block, Vec<u8>)>,
    /// Numbers that had to be given up; the transaction must be committed if there are any.
    pub(crate) damaged: u64,
}

impl Mender {
    /// A block that this process writes now.
    pub(crate) fn block(&self, epoch: Epoch, first: Seq, content: Content) -> Block {
        Block { epoch, first, boot: self.boot, written: self.clock.now(), renumbered: false, content }
    }

    /// The blocks of `first ..= last`.
    pub(crate) fn whole(
        &self,
        txn: &WriteTransaction,
        epoch: Epoch,
        first: Seq,
        last: Seq,
    ) -> Result<Whole, TransactionError> {
        let mut blocks = txn.open_table(BLOCKS)?;
        let (readable, unreadable) = sort_out(&blocks, epoch, first, last)?;
        for key in unreadable {
            blocks.remove((epoch.0, key))?;
        }
        let mut whole = Whole::default();
        let mut next = first;
        let mut given_up = Vec::new();
        for (block, bytes) in readable {
            if block.first > next {
                given_up.extend(self.give_up(&mut blocks, epoch, next, Seq(block.first.0 - 1), &mut whole)?);
            }
            next = block.last().next();
            whole.blocks.push((block, bytes));
        }
        if next <= last {
            given_up.extend(self.give_up(&mut blocks, epoch, next, last, &mut whole)?);
        }
        if !given_up.is_empty() {
            let mut ledger = txn.open_table(LEDGER)?;
            let known = account(&ledger, epoch)?;
            let mut entry = known.unwrap_or_else(|| LedgerEntry { epoch, ..LedgerEntry::default() });
            for (first, last) in given_up {
                entry.drop_range(first, last);
                entry.last = entry.last.max(last);
            }
            set_account(&mut ledger, &entry)?;
        }
        Ok(whole)
    }

    fn give_up(
        &self,
        blocks: &mut Blocks<'_>,
        epoch: Epoch,
        first: Seq,
        last: Seq,
        whole: &mut Whole,
    ) -> Result<Option<(Seq, Seq)>, TransactionError> {
        let count = u32::try_from(last.0 - first.0 + 1).unwrap_or(u32::MAX);
        let content = Content::Dropped { count, reason: DropReason::Damaged };
        let block = self.block(epoch, first, content);
        let bytes = block.encode();
        blocks.insert((epoch.0, first.0), bytes.as_slice())?;
        whole.damaged = whole.damaged.saturating_add(u64::from(count));
        whole.blocks.push((block, bytes));
        Ok(Some((first, last)))
    }
}

/// Where what waits begins: an acknowledgement within a block leaves the block whole.
pub(crate) fn begin_of(blocks: &Blocks<'_>, epoch: Epoch, acked: Seq) -> Result<Seq, TransactionError> {
    let before = blocks.range((epoch.0, 0)..=(epoch.0, acked.0))?.next_back().transpose()?;
    let before = before.and_then(|(_, bytes)| Block::decode(bytes.value()).ok());
    Ok(before.filter(|block| block.last() > acked).map_or_else(|| acked.next(), |block| block.first))
}

type Readable = Vec<(Block, Vec<u8>)>;

/// Blocks of the stretch that can be read and follow each other, and the keys of those that cannot be used.
fn sort_out(
    blocks: &Blocks<'_>,
    epoch: Epoch,
    first: Seq,
    last: Seq,
) -> Result<(Readable, Vec<u64>), TransactionError> {
    let mut readable = Readable::new();
    let mut unreadable = Vec::new();
    let mut next = first;
    for row in blocks.range((epoch.0, first.0)..=(epoch.0, last.0))? {
        let (key, bytes) = row?;
        let key = key.value().1;
        match Block::decode(bytes.value()) {
            Ok(block)
                if block.epoch == epoch && block.first.0 == key && block.first >= next && block.last() <= last =>
            {
                next = block.last().next();
                readable.push((block, bytes.value().to_vec()));
            }
            _ => unreadable.push(key),
        }
    }
    Ok((readable, unreadable))
}
