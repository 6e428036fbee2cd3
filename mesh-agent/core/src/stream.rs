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
    /// Up to this number lies something that an aggregator rejected: it is looked for by halves.
    suspect: Option<Seq>,
    /// How often the tombstone in front was rejected.
    tombstone_rejections: u32,
}

/// What is left to do with a batch that was rejected for what is in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Culprit {
    /// One of several blocks; the next batch is half as long.
    AmongBlocks,
    /// One block; it must be split before the record from `at` on.
    InBlock {
        /// First number.
        first: Seq,
        /// Last number.
        last: Seq,
        /// First number of the second half.
        at: Seq,
    },
    /// This record.
    Record(Seq),
    /// A tombstone, which holds nothing to refuse. Rejected this often.
    Tombstone {
        /// First number.
        first: Seq,
        /// Last number.
        last: Seq,
        /// How often.
        times: u32,
    },
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
            suspect: None,
            tombstone_rejections: 0,
        }
    }

    /// An epoch from the disk. Its blocks count as old from the first moment.
    pub fn resumed(stored: StoredEpoch) -> Self {
        Self {
            last: stored.last,
            persisted: stored.last,
            acked: stored.acked,
            // Any of it may have been sent by the process before; its answer may not have come back.
            sent_max: stored.last,
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

    /// An aggregator has everything up to here. Returns whether that is news. It is also if the number is known but a block
    /// below it still waits: one that was halved in the middle of what had been acknowledged before.
    pub fn ack(&mut self, up_to: Seq) -> bool {
        let is_news = up_to > self.acked || self.blocks.front().is_some_and(|(block, _)| block.last <= up_to);
        if is_news {
            self.acked = self.acked.max(up_to);
            while let Some((block, _)) = self.blocks.front()
                && block.last <= up_to
            {
                self.bytes -= u64::from(block.bytes);
                self.blocks.pop_front();
            }
            self.tombstone_rejections = 0;
            self.suspect = self.suspect.filter(|until| *until > up_to);
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
        for (block, at) in self.blocks.iter().take(self.blocks_max()) {
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

    /// Most blocks of the next batch: half of those among which something was rejected. The second half of them is known
    /// to hold it once the first has passed, so it is halved again before it is sent.
    fn blocks_max(&self) -> usize {
        self.suspect.map_or(usize::MAX, |until| {
            (self.blocks.iter().take_while(|(block, _)| block.last <= until).count() / 2).max(1)
        })
    }

    /// Bytes of the blocks of `first ..= last`.
    pub fn bytes_of(&self, first: Seq, last: Seq) -> u64 {
        let blocks = self.blocks.iter().skip_while(|(block, _)| block.first < first);
        blocks.take_while(|(block, _)| block.last <= last).map(|(block, _)| u64::from(block.bytes)).sum()
    }

    /// The batch `first ..= last` was rejected for what is in it.
    pub fn rejected(&mut self, first: Seq, last: Seq) -> Option<Culprit> {
        let (block, _) = *self.blocks.front().filter(|(block, _)| block.first == first)?;
        if block.last < last {
            self.suspect = Some(last);
            return Some(Culprit::AmongBlocks);
        }
        if block.is_tombstone {
            self.tombstone_rejections = self.tombstone_rejections.saturating_add(1);
            return Some(Culprit::Tombstone { first, last, times: self.tombstone_rejections });
        }
        if first == last {
            self.suspect = None;
            return Some(Culprit::Record(first));
        }
        self.suspect = Some(last);
        let at = Seq(first.0 + (last.0 - first.0).div_ceil(2));
        self.split_front(at);
        Some(Culprit::InBlock { first, last, at })
    }

    /// The sizes of the halves are known to the disk alone; each has its own header and names its own targets.
    fn split_front(&mut self, at: Seq) {
        const HEADER_BYTES: u32 = 64;
        let (whole, written) = self.blocks.pop_front().expect("it was just rejected");
        let bytes = (whole.bytes / 2).saturating_add(HEADER_BYTES);
        self.bytes = self.bytes - u64::from(whole.bytes) + 2 * u64::from(bytes);
        self.blocks.push_front((StoredBlock { first: at, bytes, ..whole }, written));
        self.blocks.push_front((StoredBlock { last: Seq(at.0 - 1), bytes, ..whole }, written));
    }

    /// The block in front is a tombstone of so many bytes from now on.
    pub fn bury_front(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Some((block, _)) = self.blocks.front_mut() {
            self.bytes = self.bytes - u64::from(block.bytes) + u64::from(bytes);
            *block = StoredBlock { bytes, holds_flips: false, is_tombstone: true, ..*block };
        }
    }

    /// Bytes handed to the disk and not confirmed: they are in memory.
    pub fn unpersisted_bytes(&self) -> u64 {
        self.blocks.iter().rev().take(self.unpersisted).map(|(block, _)| u64::from(block.bytes)).sum()
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
        self.suspect = None;
        self.tombstone_rejections = 0;
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
