//! Numbers records, hands them to the disk in blocks, and knows what waits for an aggregator — never more than a limit.
//!
//! The rules of an epoch (docs/adr/0002): a new one begins at each start and when a backlog is sealed; at most 16 wait to be
//! drained, and at that cap none is begun. What is given up is replaced by a tombstone that covers the same numbers.

use crate::effect::{Effect, Effects, PersistOp};
use crate::matrix::EpochView;
use crate::params::{AgentParams, Resume, StoredBlock};
use crate::random::{Random, Stream as RandomStream};
use crate::stream::{Burial, Culprit, Stream};
use alloc::vec::Vec;
use everypath_protocol::block::{Block, Content, RECORDS_MAX};
use everypath_protocol::id::{BootId, Epoch, Seq};
use everypath_protocol::record::{DropReason, Record};
use everypath_protocol::time::{MonoTime, Now, Span};

/// Most epochs that wait to be drained, the live one included.
pub const EPOCHS_MAX: usize = 16;
/// Most blocks handed to the disk and not yet confirmed; what comes then is given up as [`DropReason::DiskSlow`]. Full blocks
/// of 64 targets hold 43 minutes of a disk that takes nothing.
pub const UNPERSISTED_MAX: usize = 64;
/// What those can take of memory.
pub const UNPERSISTED_BYTES_MAX: usize = UNPERSISTED_MAX * everypath_protocol::block::BYTES_MAX;
/// From more unconfirmed blocks than this on, only full blocks are written, so that the limit is reached late.
const UNPERSISTED_CALM: usize = 4;
/// On a file system with little room the buffer may hold what it held when the room ran out, and at least this much: what
/// is fresh must have its turn to be sent.
pub const LOW_DISK_BYTES_MIN: u64 = 1024 * 1024;
/// A tombstone that is rejected this often moves, with what follows it, to a new epoch.
const TOMBSTONE_REJECTIONS_MAX: u32 = 8;
/// How long a record may wait for company before its block is written.
const FLUSH_AFTER: Span = Span::seconds(1);

/// Everything that waits for an aggregator.
#[derive(Debug)]
pub struct Outbox {
    boot: BootId,
    bytes_max: u64,
    /// While the file system has little room.
    bytes_max_low: Option<u64>,
    /// Oldest first; the last one is live.
    streams: Vec<Stream>,
    pending: Vec<Record>,
    pending_since: Option<MonoTime>,
    /// Records given up because the disk is slow, whose tombstone is not written yet.
    held_drop: u32,
    /// Records given up since the start, by reason.
    dropped: [u64; DropReason::ALL.len()],
    random: Random,
}

/// What became of a batch that was rejected for what is in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejection {
    /// What is sent next is another batch, so it may be sent soon.
    Narrowed,
    /// The same must be sent again: somebody else has to mend something.
    Stuck,
}

impl Outbox {
    /// Continues with what the disk remembers, in a new epoch of its own.
    pub fn new(params: &AgentParams, resume: Resume, seed: [u8; 32]) -> Self {
        let mut outbox = Self {
            boot: params.boot,
            bytes_max: params.buffer_bytes_max,
            bytes_max_low: None,
            streams: resume.epochs.into_iter().map(Stream::resumed).collect(),
            pending: Vec::new(),
            pending_since: None,
            held_drop: 0,
            dropped: [0; DropReason::ALL.len()],
            random: Random::new(seed, RandomStream::Outbox),
        };
        // At the cap the newest epoch goes on: it is gapless too, because nothing unpersisted was ever sent.
        if outbox.streams.len() < EPOCHS_MAX {
            outbox.begin_epoch();
        }
        outbox
    }

    /// Takes a record. A change of state is written at once, in a block of its own, so that it can outlive windows when
    /// the buffer is full — unless so many blocks wait for the disk already that room for records is worth more.
    pub fn push(&mut self, now: Now, record: Record, out: &mut Effects) {
        let is_alone = matches!(record, Record::Flip(_)) && self.unpersisted() <= UNPERSISTED_MAX / 2;
        if is_alone {
            self.flush(now, out);
        }
        self.pending.push(record);
        self.pending_since.get_or_insert(now.mono);
        if is_alone || self.pending.len() >= RECORDS_MAX {
            self.flush(now, out);
        }
    }

    /// Hands pending records to the disk, however few. What the disk cannot take is given up.
    pub fn flush(&mut self, now: Now, out: &mut Effects) {
        self.flush_held(now, out);
        let records = core::mem::take(&mut self.pending);
        self.pending_since = None;
        if self.unpersisted() >= UNPERSISTED_MAX {
            let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
            self.held_drop = self.held_drop.saturating_add(count);
            self.note_dropped(DropReason::DiskSlow, u64::from(count));
            return;
        }
        if !records.is_empty() {
            self.append(now, Content::Records(records), out);
        }
        self.enforce_limit(now, out);
    }

    /// What was given up while the disk took nothing is noted as soon as it takes something, before what came later.
    fn flush_held(&mut self, now: Now, out: &mut Effects) {
        if self.held_drop > 0 && self.unpersisted() < UNPERSISTED_MAX {
            let count = core::mem::take(&mut self.held_drop);
            self.append(now, Content::Dropped { count, reason: DropReason::DiskSlow }, out);
        }
    }

    /// Hands over what has waited long enough. On a slow disk only full blocks are worth a place among the unconfirmed.
    pub fn turn(&mut self, now: Now, out: &mut Effects) {
        self.flush_held(now, out);
        let is_due = self.pending_since.is_some_and(|since| now.mono >= since + FLUSH_AFTER);
        if is_due && self.is_calm() {
            self.flush(now, out);
        }
    }

    /// When [`Self::turn`] has something to do. What a slow disk holds up waits for the disk, not for time.
    pub fn next_deadline(&self) -> Option<MonoTime> {
        self.pending_since.filter(|_| self.is_calm()).map(|since| since + FLUSH_AFTER)
    }

    fn is_calm(&self) -> bool {
        self.unpersisted() <= UNPERSISTED_CALM
    }

    /// Blocks handed to the disk and not confirmed, at most [`UNPERSISTED_MAX`] and one tombstone.
    pub fn unpersisted(&self) -> usize {
        self.streams.iter().map(|stream| stream.unpersisted).sum()
    }

    /// Bytes of those, at most [`UNPERSISTED_BYTES_MAX`].
    pub fn unpersisted_bytes(&self) -> u64 {
        self.streams.iter().map(Stream::unpersisted_bytes).sum()
    }

    /// The file system has little room, or has room again. See [`LOW_DISK_BYTES_MIN`].
    pub fn set_disk_room(&mut self, is_low: bool) {
        self.bytes_max_low = match (is_low, self.bytes_max_low) {
            (true, None) => Some(self.bytes().max(LOW_DISK_BYTES_MIN)),
            (true, before) => before,
            (false, _) => None,
        };
    }

    /// The batch `first ..= last` of `epoch` was rejected for what is in it: whoever is to blame is looked for by halves,
    /// and when it is found, alone, it is put aside so that everything behind it can go on.
    pub fn rejected(&mut self, now: Now, epoch: Epoch, first: Seq, last: Seq, out: &mut Effects) -> Rejection {
        let boot = self.boot;
        let tombstone = |first: Seq, last: Seq, reason| {
            let count = u32::try_from(last.0 - first.0 + 1).unwrap_or(u32::MAX);
            let content = Content::Dropped { count, reason };
            Block { epoch, first, boot, written: now, renumbered: false, content }.encode()
        };
        let Some(stream) = self.stream_mut(epoch) else { return Rejection::Narrowed };
        match stream.rejected(first, last) {
            Some(Culprit::AmongBlocks) | None => Rejection::Narrowed,
            Some(Culprit::InBlock { first, last, at }) => {
                out.push(Effect::Persist(PersistOp::Split { epoch, first, last, at }));
                Rejection::Narrowed
            }
            Some(Culprit::Record(number)) => {
                let bytes = tombstone(number, number, DropReason::Rejected);
                stream.bury_front(bytes.len());
                out.push(Effect::Persist(PersistOp::Quarantine { epoch, number, bytes }));
                self.note_dropped(DropReason::Rejected, 1);
                Rejection::Narrowed
            }
            // An aggregator of an older version knows fewer reasons; this one has always been there.
            Some(Culprit::Tombstone { first, last, times: 1 }) => {
                let bytes = tombstone(first, last, DropReason::Damaged);
                stream.bury_front(bytes.len());
                out.push(Effect::Persist(PersistOp::Replace { epoch, first, last, bytes }));
                Rejection::Narrowed
            }
            Some(Culprit::Tombstone { times, .. }) => {
                if times >= TOMBSTONE_REJECTIONS_MAX {
                    self.renumber(epoch, out);
                }
                Rejection::Stuck
            }
        }
    }

    fn note_dropped(&mut self, reason: DropReason, records: u64) {
        let count = &mut self.dropped[reason as usize];
        *count = count.saturating_add(records);
    }

    /// The disk has everything of `epoch` up to here.
    pub fn persisted(&mut self, epoch: Epoch, up_to: Seq) {
        // An epoch that was renumbered or drained meanwhile is no longer known, and needs to know nothing.
        if let Some(stream) = self.stream_mut(epoch) {
            stream.persisted(up_to);
        }
    }

    /// An aggregator has everything of `epoch` up to here.
    pub fn acked(&mut self, epoch: Epoch, up_to: Seq, out: &mut Effects) {
        let live = self.live();
        if let Some(stream) = self.stream_mut(epoch)
            && stream.ack(up_to)
        {
            out.push(Effect::Persist(PersistOp::Discard { epoch, up_to }));
        }
        self.streams.retain(|stream| stream.epoch == live || !stream.is_drained());
    }

    /// Begins a new live epoch if the live one has a backlog older than `age`, so that fresh data need not wait behind it.
    pub fn seal_backlog(&mut self, now: Now, age: Span, out: &mut Effects) {
        let stream = self.streams.last().expect("there is always a live epoch");
        let is_old = stream.oldest_at().is_some_and(|at| now.mono >= at + age);
        if is_old && self.streams.len() < EPOCHS_MAX {
            self.flush(now, out);
            self.begin_epoch();
        }
    }

    /// Moves what waits in `epoch` to a new epoch: the aggregator's account of the old one is not ours.
    pub fn renumber(&mut self, epoch: Epoch, out: &mut Effects) {
        let into = self.new_epoch();
        let is_live = self.live() == epoch;
        let Some(stream) = self.stream_mut(epoch) else { return };
        if let Some(from) = stream.renumber(into) {
            out.push(Effect::Persist(PersistOp::Renumber { epoch, from, into }));
        } else if is_live {
            *stream = Stream::new(into);
        }
        self.streams.retain(|stream| stream.epoch != epoch);
    }

    /// The live epoch.
    pub fn live(&self) -> Epoch {
        self.streams.last().expect("there is always a live epoch").epoch
    }

    /// All epochs, oldest first, the live one last.
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// The stream of an epoch, to mark what is being sent.
    pub fn stream_mut(&mut self, epoch: Epoch) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|stream| stream.epoch == epoch)
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> u64 {
        self.streams.iter().map(Stream::bytes).sum()
    }

    /// Records given up since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// The same by reason, in the order of [`DropReason::ALL`].
    pub const fn dropped_by_reason(&self) -> [u64; DropReason::ALL.len()] {
        self.dropped
    }

    /// For the page.
    pub fn view(&self) -> Vec<EpochView> {
        self.streams.iter().map(Stream::view).collect()
    }

    fn append(&mut self, now: Now, content: Content, out: &mut Effects) {
        let is_tombstone = matches!(content, Content::Dropped { .. });
        let holds_flips = match &content {
            Content::Records(records) => records.iter().any(|record| matches!(record, Record::Flip(_))),
            Content::Dropped { .. } => false,
        };
        let boot = self.boot;
        let stream = self.streams.last_mut().expect("there is always a live epoch");
        let (epoch, first) = (stream.epoch, stream.next());
        let block = Block { epoch, first, boot, written: now, renumbered: false, content };
        let (last, bytes) = (block.last(), block.encode());
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        stream.append(StoredBlock { first, last, bytes: size, holds_flips, is_tombstone }, now.mono);
        out.push(Effect::Persist(PersistOp::Append { epoch, first, last, bytes, is_tombstone }));
    }

    /// Gives up the oldest windows, then the oldest changes of state, until the limit is kept.
    fn enforce_limit(&mut self, now: Now, out: &mut Effects) {
        let bytes_max = self.bytes_max_low.map_or(self.bytes_max, |low| low.min(self.bytes_max));
        while self.bytes() > bytes_max {
            let windows_first = [false, true].into_iter();
            let victim = windows_first
                .flat_map(|flips| self.streams.iter().map(move |stream| (stream, flips)))
                .find_map(|(stream, flips)| stream.oldest_droppable(flips).map(|place| (stream.epoch, place)));
            // What is being sent or written cannot be given up now; the next flush tries again.
            let Some((epoch, place)) = victim else { return };
            let boot = self.boot;
            let stream = self.stream_mut(epoch).expect("just found");
            let Burial { place, first, last, records } = stream.bury(place);
            let count = u32::try_from(last.0 - first.0 + 1).unwrap_or(u32::MAX);
            let content = Content::Dropped { count, reason: DropReason::BufferFull };
            let bytes = Block { epoch, first, boot, written: now, renumbered: false, content }.encode();
            stream.set_bytes(place, bytes.len());
            self.note_dropped(DropReason::BufferFull, records);
            out.push(Effect::Persist(PersistOp::Replace { epoch, first, last, bytes }));
        }
    }

    fn begin_epoch(&mut self) {
        let epoch = self.new_epoch();
        let drained = self.streams.last().is_some_and(Stream::is_drained);
        if drained {
            self.streams.pop();
        }
        self.streams.push(Stream::new(epoch));
    }

    fn new_epoch(&mut self) -> Epoch {
        // 0 is never drawn, so that it can mean "none" on disks and in tables.
        Epoch(self.random.next().max(1))
    }
}
