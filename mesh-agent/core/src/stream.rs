//! One epoch: which numbers were handed out, which are on disk, which are acknowledged, and the blocks in between.

use crate::matrix::EpochView;
use crate::params::{StoredBlock, StoredEpoch};
use alloc::collections::VecDeque;
use everypath_protocol::id::{Epoch, Seq};
use everypath_protocol::time::MonoTime;

/// Stands for the time of blocks that were written before this process started: they are old from its first moment.
const RESUMED: MonoTime = MonoTime(0);

/// One epoch and the blocks of it that wait.
#[derive(Debug)]
pub struct Stream {
    /// Which.
    pub epoch: Epoch,
    /// Blocks handed to the disk and not confirmed.
    pub unpersisted: usize,
    /// What is on its way to an aggregator: first and last number.
    pub in_flight: Option<(Seq, Seq)>,
    /// The highest number that this process ever sent: no honest acknowledgement goes beyond it.
    sent_max: Seq,
    last: Seq,
    persisted: Seq,
    acked: Seq,
    blocks: VecDeque<(StoredBlock, MonoTime)>,
    bytes: u64,
}

/// What [`Stream::bury`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Burial {
    /// Where the tombstone stands.
    pub place: usize,
    /// Its first number.
    pub first: Seq,
    /// Its last number.
    pub last: Seq,
    /// Records newly given up.
    pub records: u64,
}

impl Stream {
    /// An epoch without a record.
    pub const fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            unpersisted: 0,
            in_flight: None,
            sent_max: Seq(0),
            last: Seq(0),
            persisted: Seq(0),
            acked: Seq(0),
            blocks: VecDeque::new(),
            bytes: 0,
        }
    }

    /// An epoch from the disk. Its blocks count as old from the first moment.
    pub fn resumed(stored: StoredEpoch) -> Self {
        Self {
            last: stored.last,
            persisted: stored.last,
            acked: stored.acked,
            bytes: stored.blocks.iter().map(|block| u64::from(block.bytes)).sum(),
            blocks: stored.blocks.into_iter().map(|block| (block, RESUMED)).collect(),
            ..Self::new(stored.epoch)
        }
    }

    /// The next number to hand out.
    pub const fn next(&self) -> Seq {
        self.last.next()
    }

    /// A block was handed to the disk.
    pub fn append(&mut self, block: StoredBlock, now: MonoTime) {
        self.last = block.last;
        self.unpersisted += 1;
        self.bytes += u64::from(block.bytes);
        self.blocks.push_back((block, now));
    }

    /// The disk has everything up to here.
    pub fn persisted(&mut self, up_to: Seq) {
        self.persisted = self.persisted.max(up_to.min(self.last));
        self.unpersisted = self.blocks.iter().rev().take_while(|(block, _)| block.last > self.persisted).count();
    }

    /// An aggregator has everything up to here. Returns whether that is news.
    pub fn ack(&mut self, up_to: Seq) -> bool {
        let is_news = up_to > self.acked;
        if is_news {
            self.acked = up_to;
            while let Some((block, _)) = self.blocks.front()
                && block.last <= up_to
            {
                self.bytes -= u64::from(block.bytes);
                self.blocks.pop_front();
            }
        }
        is_news
    }

    /// The numbers of a batch to send now: whole blocks, on disk, not on their way, within the limits.
    pub fn next_batch(&self, bytes_max: u64, records_max: u64) -> Option<(Seq, Seq)> {
        if self.in_flight.is_some() {
            return None;
        }
        let mut batch: Option<(Seq, Seq)> = None;
        let mut bytes = 0;
        let oldest_at = self.oldest_at();
        for (block, at) in &self.blocks {
            // What was written before this start is sent apart from what came after it: if the aggregator knows more of
            // the former than we do, the disk was restored, and that must be seen before new records use those numbers.
            if oldest_at == Some(RESUMED) && *at != RESUMED {
                break;
            }
            bytes += u64::from(block.bytes);
            let first = batch.map_or(block.first, |(first, _)| first);
            let fits = bytes <= bytes_max && block.last.0 - first.0 < records_max;
            // A tombstone may cover more numbers than a batch; alone it always fits.
            if block.last > self.persisted || (batch.is_some() && !fits) {
                break;
            }
            batch = Some((first, block.last));
        }
        batch
    }

    /// A batch is on its way.
    pub fn send(&mut self, first: Seq, last: Seq) {
        self.in_flight = Some((first, last));
        self.sent_max = self.sent_max.max(last);
    }

    /// See the field.
    pub const fn sent_max(&self) -> Seq {
        self.sent_max
    }

    /// Whether [`Self::next_batch`] has something, without saying what.
    pub fn has_batch(&self) -> bool {
        self.in_flight.is_none() && self.blocks.front().is_some_and(|(block, _)| block.last <= self.persisted)
    }

    /// When the oldest waiting block was written.
    pub fn oldest_at(&self) -> Option<MonoTime> {
        self.blocks.front().map(|(_, at)| *at)
    }

    /// Nothing waits.
    pub fn is_drained(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Bytes of the blocks that wait.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The place of the oldest block that may be given up; blocks with changes of state only if `flips`.
    pub fn oldest_droppable(&self, flips: bool) -> Option<usize> {
        let may_go = |block: &StoredBlock| !block.is_tombstone && block.holds_flips == flips && self.is_free(block);
        self.blocks.iter().position(|(block, _)| may_go(block))
    }

    /// Gives up the block at `place`, together with tombstones right before and behind it, so that a long outage leaves a
    /// few tombstones and not one a block. Returns where the one tombstone stands, its numbers, and how many records are
    /// newly given up.
    pub fn bury(&mut self, place: usize) -> Burial {
        let block = self.blocks[place].0;
        let records = block.last.0 - block.first.0 + 1;
        let joins =
            |place: usize| self.blocks.get(place).is_some_and(|(block, _)| block.is_tombstone && self.is_free(block));
        let begin = if place > 0 && joins(place - 1) { place - 1 } else { place };
        let end = if joins(place + 1) { place + 1 } else { place };
        let (first, last, at) = (self.blocks[begin].0.first, self.blocks[end].0.last, self.blocks[begin].1);
        for (gone, _) in self.blocks.drain(begin..=end) {
            self.bytes -= u64::from(gone.bytes);
        }
        let tombstone = StoredBlock { first, last, bytes: 0, holds_flips: false, is_tombstone: true };
        self.blocks.insert(begin, (tombstone, at));
        Burial { place: begin, first, last, records }
    }

    /// The encoded size of the tombstone that [`Self::bury`] left at `place`.
    pub fn set_bytes(&mut self, place: usize, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.blocks[place].0.bytes = bytes;
        self.bytes += u64::from(bytes);
    }

    /// On disk and not on its way.
    fn is_free(&self, block: &StoredBlock) -> bool {
        let is_sent = self.in_flight.is_some_and(|(first, last)| block.last >= first && block.first <= last);
        block.last <= self.persisted && !is_sent
    }

    /// Numbers what waits anew, from 1, as epoch `into`. Returns the first number moved, or `None` if nothing waits.
    pub fn renumber(&mut self, into: Epoch) -> Option<Seq> {
        let from = self.blocks.front()?.0.first;
        let moved = |number: Seq| Seq(number.0 - from.0 + 1);
        for (block, _) in &mut self.blocks {
            (block.first, block.last) = (moved(block.first), moved(block.last));
        }
        self.last = moved(self.last);
        // The disk says anew what it has, under the new name.
        self.persisted = Seq(0);
        self.acked = Seq(0);
        self.unpersisted = 1;
        self.in_flight = None;
        self.sent_max = Seq(0);
        self.epoch = into;
        Some(from)
    }

    /// For the page.
    pub const fn view(&self) -> EpochView {
        EpochView { epoch: self.epoch, last: self.last, persisted: self.persisted, acked: self.acked }
    }
}
