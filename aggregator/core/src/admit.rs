//! Exactly once. The cursor of a stream is the last number that is in the database; a batch may begin at most one behind it.
//! What is at or below the cursor was stored before and is skipped, so a batch can be sent any number of times.

use alloc::vec::Vec;
use everypath_protocol::batch::{BOOT_UNKNOWN, BatchHeader, RECORDS_MAX};
use everypath_protocol::block::{Block, Content};
use everypath_protocol::id::{AgentId, Seq};
use everypath_protocol::record::{DropReason, Record};
use everypath_protocol::sign::sha256;
use everypath_protocol::time::{Span, UnixTime};

#[cfg(test)]
mod tests;

/// A record that begins further in the future of its receipt than this has no believable time.
pub const FUTURE_MAX: Span = Span::seconds(24 * 3_600);
/// A record that began longer ago than this has no believable time.
pub const AGE_MAX: Span = Span::seconds(400 * 24 * 3_600);
/// Clocks closer than this are taken to agree: the time that a batch travels is not an offset.
pub const OFFSET_MIN: Span = Span::seconds(1);
/// From the end of a record to its block it takes a second, minutes where the disk takes nothing, and days where the host slept in
/// between. Agents label all of a block by one setting of their clock; beyond this, one did not.
const WRITE_LAG_MAX: Span = Span::seconds(7 * 24 * 3_600);
/// A record may end this much after the clock that sent it and still be of now; beyond it, that clock was set back.
const AHEAD_MAX: Span = Span::seconds(5);

/// The time of this row cannot be believed; it is filed at receipt.
pub const FLAG_CLOCK_UNKNOWN: u8 = 1;
/// The row may be stored a second time under another number: its disk was restored or cloned.
pub const FLAG_RENUMBERED: u8 = 2;

/// What of a batch is new.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Admission {
    /// The cursor from now on.
    pub cursor: Seq,
    /// To be stored, ascending by number.
    pub rows: Vec<Row>,
    /// Ranges that the agent gave up.
    pub tombstones: Vec<Tombstone>,
    /// What the batch was made of, without the parts that were stored before.
    pub blocks: Vec<Piece>,
}

impl Admission {
    /// Whether everything was stored before.
    pub const fn is_duplicate(&self) -> bool {
        self.blocks.is_empty()
    }
}

/// One record with its number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Its number in the stream.
    pub seq: Seq,
    /// When it began, by the aggregator's clock.
    pub time: UnixTime,
    /// When it ended, by the aggregator's clock; `None` where that cannot be told, so that it is never news.
    pub ended: Option<UnixTime>,
    /// [`FLAG_CLOCK_UNKNOWN`], [`FLAG_RENUMBERED`].
    pub flags: u8,
    /// What was measured; keeps the agent's own time.
    pub record: Record,
}

impl Row {
    /// Who was measured.
    pub const fn target(&self) -> AgentId {
        match &self.record {
            Record::Window(window) => window.target,
            Record::Flip(flip) => flip.target,
        }
    }
}

/// Numbers that will never come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tombstone {
    /// First number.
    pub first: Seq,
    /// Last number.
    pub last: Seq,
    /// Why.
    pub reason: DropReason,
}

/// An accepted block, for the audit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// First new number.
    pub first: Seq,
    /// Last number.
    pub last: Seq,
    /// New rows; zero for a tombstone.
    pub rows: u32,
    /// SHA-256 of the block as it lies on the agent's disk.
    pub hash: [u8; 32],
    /// [`FLAG_RENUMBERED`].
    pub flags: u8,
}

/// Why nothing of a batch can be stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Numbers are missing between the cursor and this batch.
    Gap {
        /// The number that must come next.
        expected: Seq,
    },
    /// It holds nothing.
    Empty,
    /// It covers more than [`RECORDS_MAX`] numbers.
    TooLong,
    /// A block is of another stream than the header says.
    OtherEpoch,
    /// The blocks do not cover the header's numbers without gaps.
    Uneven,
}

impl Refusal {
    /// A stable word for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Gap { .. } => "sequence_gap",
            Self::Empty => "empty_batch",
            Self::TooLong => "batch_too_long",
            Self::OtherEpoch => "other_epoch",
            Self::Uneven => "uneven_batch",
        }
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Gap { expected } => write!(out, "numbers are missing: the next one must be {expected}"),
            Self::Empty => out.write_str("the batch holds no records"),
            Self::TooLong => write!(out, "the batch covers more than {RECORDS_MAX} numbers"),
            Self::OtherEpoch => out.write_str("a block belongs to another stream than the header names"),
            Self::Uneven => out.write_str("the blocks do not cover exactly the numbers that the header names"),
        }
    }
}

impl core::error::Error for Refusal {}

/// Decides what of `blocks` is new, given the `cursor` of the stream. Must run under the lock that also moves the cursor.
///
/// # Errors
/// See [`Refusal`]; all but a gap depend on the batch alone and would be refused again.
pub fn admit(
    cursor: Seq,
    header: &BatchHeader,
    blocks: Vec<Block>,
    received_at: UnixTime,
) -> Result<Admission, Refusal> {
    let last = check_shape(header, &blocks)?;
    if header.first > cursor.next() {
        return Err(Refusal::Gap { expected: cursor.next() });
    }
    let mut admission = Admission { cursor: cursor.max(last), ..Admission::default() };
    for block in blocks {
        if block.last() > cursor {
            let filing = Filing::new(header, &block, received_at);
            take(&mut admission, cursor, block, filing);
        }
    }
    Ok(admission)
}

/// The number of the last record, if the blocks are what the header says.
fn check_shape(header: &BatchHeader, blocks: &[Block]) -> Result<Seq, Refusal> {
    let alone = matches!(blocks, [Block { content: Content::Dropped { .. }, .. }]);
    if header.count > RECORDS_MAX && !alone {
        return Err(Refusal::TooLong);
    }
    let mut expected = header.first;
    let mut last = None;
    for block in blocks {
        if block.epoch != header.epoch {
            return Err(Refusal::OtherEpoch);
        }
        if block.first != expected {
            return Err(Refusal::Uneven);
        }
        expected = block.last().next();
        last = Some(block.last());
    }
    let last = last.ok_or(Refusal::Empty)?;
    let covered = last.0.checked_sub(header.first.0).and_then(|distance| distance.checked_add(1));
    if covered == Some(header.count) { Ok(last) } else { Err(Refusal::Uneven) }
}

fn take(admission: &mut Admission, cursor: Seq, block: Block, filing: Filing) {
    let first = block.first.max(cursor.next());
    let last = block.last();
    let flags = if block.renumbered { FLAG_RENUMBERED } else { 0 };
    let hash = sha256(&[&block.encode()]);
    let rows_before = admission.rows.len();
    match block.content {
        Content::Dropped { reason, .. } => admission.tombstones.push(Tombstone { first, last, reason }),
        Content::Records(records) => {
            let numbered = records.into_iter().zip(block.first.0..).skip_while(|(_, seq)| *seq < first.0);
            admission.rows.extend(numbered.map(|(record, seq)| filing.row(Seq(seq), record, flags)));
        }
    }
    let rows = u32::try_from(admission.rows.len() - rows_before).unwrap_or(u32::MAX);
    admission.blocks.push(Piece { first, last, rows, hash, flags });
}

/// Puts the records of one block in time, by the aggregator's clock.
///
/// An agent's wall clock may be wrong, and may have been stepped since a record was made. What the sending process itself
/// measured is put in time by its monotonic clock: it was written so long before it was sent, and it was sent when it came. For
/// what an earlier process left, all that is known is how far the wall clock was off when the batch was sent.
#[derive(Clone, Copy)]
struct Filing {
    received_at: UnixTime,
    sent_at: UnixTime,
    /// When the block was written, by both wall clocks; `None` if another process wrote it.
    written: Option<Written>,
}

#[derive(Clone, Copy)]
struct Written {
    theirs: UnixTime,
    ours: UnixTime,
}

impl Filing {
    fn new(header: &BatchHeader, block: &Block, received_at: UnixTime) -> Self {
        let is_same =
            header.boot == block.boot && header.boot != BOOT_UNKNOWN && block.written.mono <= header.sent.mono;
        let written = is_same.then(|| Written {
            theirs: block.written.wall,
            ours: received_at.minus(header.sent.mono.since(block.written.mono)),
        });
        Self { received_at, sent_at: header.sent.wall, written }
    }

    fn row(self, seq: Seq, record: Record, flags: u8) -> Row {
        let (start, span) = match &record {
            Record::Window(window) => (window.start, window.span),
            Record::Flip(flip) => (flip.at, Span::ZERO),
        };
        let end = start.plus(span);
        let (time, ended) = match self.written {
            Some(written) => {
                let end = written.put_in_time(end);
                (Some(end.minus(span)), Some(end))
            }
            None => {
                let believable = start <= self.received_at.plus(FUTURE_MAX) && start >= self.received_at.minus(AGE_MAX);
                let of_now = end <= self.sent_at.plus(AHEAD_MAX);
                (believable.then(|| self.corrected(start)), of_now.then(|| self.corrected(end)))
            }
        };
        // Corrected, nothing can have begun after it came. A row in the future would be shown and deleted as what it is not.
        let oldest = self.received_at.minus(AGE_MAX);
        let time = time.filter(|time| *time <= self.received_at.plus(AHEAD_MAX) && *time >= oldest);
        let (time, flags) = time.map_or((self.received_at, flags | FLAG_CLOCK_UNKNOWN), |time| (time, flags));
        Row { seq, time, ended: ended.map(|ended| ended.min(self.received_at)), flags, record }
    }

    fn corrected(self, time: UnixTime) -> UnixTime {
        moved(time, self.sent_at, self.received_at)
    }
}

impl Written {
    /// When a record ended, by the aggregator's clock.
    fn put_in_time(self, end: UnixTime) -> UnixTime {
        let is_stepped = end.since(self.theirs) > OFFSET_MIN || self.theirs.since(end) > WRITE_LAG_MAX;
        if is_stepped { self.ours } else { moved(end, self.theirs, self.ours) }
    }
}

/// `time` moved by what lies between two readings of the same moment, unless they agree.
fn moved(time: UnixTime, theirs: UnixTime, ours: UnixTime) -> UnixTime {
    let (behind, ahead) = (ours.since(theirs), theirs.since(ours));
    if behind.max(ahead) < OFFSET_MIN { time } else { time.plus(behind).minus(ahead) }
}
