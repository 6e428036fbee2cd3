//! Numbers records, hands them to the disk in blocks, and knows what waits for an aggregator — never more than a limit.
//!
//! The rules of an epoch (docs/adr/0002): a new one begins at each start and when a backlog is sealed; at most 16 wait to be
//! drained, and at that cap none is begun. What is given up is replaced by a tombstone that covers the same numbers.

use crate::effect::{Effect, Effects, PersistOp};
use crate::matrix::EpochView;
use crate::params::{AgentParams, Resume, StoredBlock};
use crate::random::{Random, Stream as RandomStream};
use crate::stream::{Burial, Stream};
use alloc::vec::Vec;
use everypath_protocol::block::{Block, Content, RECORDS_MAX};
use everypath_protocol::id::{BootId, Epoch, Seq};
use everypath_protocol::record::{DropReason, Record};
use everypath_protocol::time::{MonoTime, Now, Span};

/// Most epochs that wait to be drained, the live one included.
pub const EPOCHS_MAX: usize = 16;
/// Most blocks handed to the disk and not yet confirmed; what comes then is given up as [`DropReason::DiskSlow`].
pub const UNPERSISTED_MAX: usize = 64;
/// How long a record may wait for company before its block is written.
const FLUSH_AFTER: Span = Span::seconds(1);

/// Everything that waits for an aggregator.
#[derive(Debug)]
pub struct Outbox {
    boot: BootId,
    bytes_max: u64,
    /// Oldest first; the last one is live.
    streams: Vec<Stream>,
    pending: Vec<Record>,
    pending_since: Option<MonoTime>,
    /// Records given up because the disk is slow, whose tombstone is not written yet.
    held_drop: u32,
    dropped: u64,
    random: Random,
}

impl Outbox {
    /// Continues with what the disk remembers, in a new epoch of its own.
    pub fn new(params: &AgentParams, resume: Resume, seed: [u8; 32]) -> Self {
        let mut outbox = Self {
            boot: params.boot,
            bytes_max: params.buffer_bytes_max,
            streams: resume.epochs.into_iter().map(Stream::resumed).collect(),
            pending: Vec::new(),
            pending_since: None,
            held_drop: 0,
            dropped: 0,
            random: Random::new(seed, RandomStream::Outbox),
        };
        // At the cap the newest epoch goes on: it is gapless too, because nothing unpersisted was ever sent.
        if outbox.streams.len() < EPOCHS_MAX {
            outbox.begin_epoch();
        }
        outbox
    }

    /// Takes a record. A change of state is written at once, in a block of its own, so that it can outlive windows when
    /// the buffer is full.
    pub fn push(&mut self, now: Now, record: Record, out: &mut Effects) {
        let is_flip = matches!(record, Record::Flip(_));
        if is_flip {
            self.flush(now, out);
        }
        self.pending.push(record);
        self.pending_since.get_or_insert(now.mono);
        if is_flip || self.pending.len() >= RECORDS_MAX {
            self.flush(now, out);
        }
    }

    /// Hands pending records to the disk.
    pub fn flush(&mut self, now: Now, out: &mut Effects) {
        let records = core::mem::take(&mut self.pending);
        self.pending_since = None;
        let is_slow = self.streams.iter().map(|stream| stream.unpersisted).sum::<usize>() >= UNPERSISTED_MAX;
        if is_slow {
            let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
            self.held_drop = self.held_drop.saturating_add(count);
            self.dropped += u64::from(count);
            return;
        }
        let held = core::mem::take(&mut self.held_drop);
        if held > 0 {
            self.append(now, Content::Dropped { count: held, reason: DropReason::DiskSlow }, out);
        }
        if !records.is_empty() {
            self.append(now, Content::Records(records), out);
        }
        self.enforce_limit(now, out);
    }

    /// Hands over what has waited long enough.
    pub fn turn(&mut self, now: Now, out: &mut Effects) {
        let is_due = self.pending_since.is_some_and(|since| now.mono >= since + FLUSH_AFTER);
        if is_due || self.held_drop > 0 {
            self.flush(now, out);
        }
    }

    /// When [`Self::turn`] has something to do. A held tombstone waits for the disk, not for time.
    pub fn next_deadline(&self) -> Option<MonoTime> {
        self.pending_since.map(|since| since + FLUSH_AFTER)
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
    pub const fn dropped(&self) -> u64 {
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
        while self.bytes() > self.bytes_max {
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
            self.dropped += records;
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
