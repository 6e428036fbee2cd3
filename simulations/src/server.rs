//! The aggregator of a run: the admission that ships, over a database that commits or does not.

use crate::pace::{Pace, Size};
use crate::truth::{Fingerprint, fingerprint};
use aggregator_core::admit::{FLAG_RENUMBERED, Refusal, Row, admit};
use everypath_protocol::batch::BatchHeader;
use everypath_protocol::block::{Block, Content};
use everypath_protocol::id::{AgentId, BootId, Epoch, Seq, mix64};
use everypath_protocol::time::{Now, Span, UnixTime};
use mesh_agent_core::effect::UploadResult;
use std::collections::BTreeMap;

/// A batch on its way.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Author.
    pub agent: AgentId,
    /// Stream.
    pub epoch: Epoch,
    /// First number.
    pub first: Seq,
    /// Last number.
    pub last: Seq,
    /// Blocks one behind the other.
    pub body: Vec<u8>,
    /// The process that sends.
    pub boot: BootId,
    /// What it reads from its clocks.
    pub sent: Now,
    /// As the agent says.
    pub is_backlog: bool,
}

/// One stream in the database.
#[derive(Debug, Default)]
pub struct StoredStream {
    /// Last number stored.
    pub cursor: Seq,
    /// Rows as they were inserted: number, fingerprint, renumbered.
    pub rows: Vec<(Seq, Fingerprint, bool)>,
    /// Ranges given up by the agent.
    pub tombstones: Vec<(Seq, Seq)>,
}

/// A fault planted on purpose, so that a checker can be seen to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// One row of a batch is not stored, but acknowledged.
    LoseRow,
    /// A batch that was stored before is stored again.
    StoreTwice,
}

/// The aggregator.
#[derive(Debug, Default)]
pub struct Server {
    /// It runs.
    pub is_up: bool,
    /// True time before which it does not start.
    pub down_until: u64,
    /// Everything committed.
    pub streams: BTreeMap<(AgentId, Epoch), StoredStream>,
    /// True time before which it answers that it is busy.
    pub busy_until: u64,
    /// Rows of the sending process that were filed further than [`MISFILED_AHEAD`] or [`MISFILED_BEHIND`] from when they ended.
    pub misfiled: u64,
    /// When the youngest row of the last batch ended.
    pub newest: Option<UnixTime>,
    /// How many agents it serves.
    pub agents: u64,
    /// There is no record that it can never store.
    pub stores_all: bool,
    /// See [`Bug`].
    pub bug: Option<Bug>,
    seed: u64,
    next_sync: Span,
    batches: u64,
}

/// A row cannot have ended later than its block was written, but for the time that the batch took to travel.
const MISFILED_AHEAD: Span = Span::seconds(4);
/// Nor much earlier: records wait for their block, on a disk that takes nothing for minutes or while the host sleeps.
const MISFILED_BEHIND: Span = Span::seconds(3_000);
/// One record in so many can never be stored.
const POISON_ONE_IN: u64 = 20_000;

impl Server {
    /// A running aggregator with an empty database.
    pub fn new(seed: u64, size: Size, bug: Option<Bug>) -> Self {
        let pace = size.pace;
        let next_sync = match pace {
            Pace::Mesh | Pace::Returning => Span::seconds(1),
            Pace::Keeping => Span::seconds(30),
        };
        let agents = u64::try_from(size.agents).unwrap_or(u64::MAX);
        Self { is_up: true, stores_all: pace == Pace::Returning, agents, bug, seed, next_sync, ..Self::default() }
    }

    /// Whether the database can never store this record.
    pub fn is_poison(&self, agent: AgentId, epoch: Epoch, seq: Seq) -> bool {
        let word = u64::from_le_bytes(agent.0[..8].try_into().expect("eight of 32 bytes"));
        mix64(self.seed ^ mix64(word ^ mix64(epoch.0 ^ mix64(seq.0)))).is_multiple_of(POISON_ONE_IN)
    }

    /// What somebody hears who has nothing to send.
    pub const fn check_in(&self, at: u64) -> UploadResult {
        if at < self.busy_until {
            return UploadResult::Busy { retry_after: Span::seconds(2) };
        }
        UploadResult::Acked { acked: Seq(0), next_sync: self.next_sync, agents: self.agents }
    }

    /// One transaction: everything of the batch that is new, or nothing.
    pub fn ingest(&mut self, upload: &Upload, now: UnixTime, at: u64) -> UploadResult {
        if at < self.busy_until {
            return UploadResult::Busy { retry_after: Span::seconds(2) };
        }
        self.batches += 1;
        let cursor = self.streams.get(&(upload.agent, upload.epoch)).map_or(Seq(0), |stream| stream.cursor);
        let blocks = Block::decode_all(&upload.body).expect("agents send what they wrote");
        let may_refuse = self.bug.is_none() && !self.stores_all;
        if may_refuse && blocks.iter().any(|block| self.holds_poison(upload.agent, block, cursor)) {
            return UploadResult::Rejected;
        }
        let stream = self.streams.entry((upload.agent, upload.epoch)).or_default();
        let mut cursor = stream.cursor;
        if self.bug == Some(Bug::StoreTwice) {
            cursor = cursor.min(Seq(upload.first.0 - 1));
        }
        let header = BatchHeader {
            agent: upload.agent,
            epoch: upload.epoch,
            first: upload.first,
            count: upload.last.0 - upload.first.0 + 1,
            body_hash: [0; 32],
            boot: upload.boot,
            sent: upload.sent,
            config: 0,
        };
        let written = written(&blocks, upload, now);
        let prints = prints(&blocks);
        match admit(cursor, &header, blocks, now) {
            Ok(admission) => {
                let is_wrong = |row: &&Row| {
                    let told = written.range(..=row.seq).next_back().and_then(|(_, time)| *time);
                    let is_far = |written: UnixTime, ended: UnixTime| {
                        ended.since(written) > MISFILED_AHEAD || written.since(ended) > MISFILED_BEHIND
                    };
                    told.is_some_and(|written| row.ended.is_none_or(|ended| is_far(written, ended)))
                };
                self.misfiled += u64::try_from(admission.rows.iter().filter(is_wrong).count()).unwrap_or(0);
                self.newest = admission.rows.iter().filter_map(|row| row.ended).max();
                let rows = admission.rows.iter();
                let rows = rows.map(|row| (row.seq, prints[&row.seq], row.flags & FLAG_RENUMBERED != 0));
                stream.rows.extend(rows);
                stream.tombstones.extend(admission.tombstones.iter().map(|gone| (gone.first, gone.last)));
                if self.bug == Some(Bug::LoseRow) && self.batches.is_multiple_of(50) {
                    stream.rows.pop();
                }
                stream.cursor = stream.cursor.max(admission.cursor);
                UploadResult::Acked { acked: stream.cursor, next_sync: self.next_sync, agents: self.agents }
            }
            Err(Refusal::Gap { expected }) => UploadResult::Gap { expected },
            Err(other) => panic!("a healthy agent's batch was refused: {other:?}"),
        }
    }
}

impl Server {
    fn holds_poison(&self, agent: AgentId, block: &Block, cursor: Seq) -> bool {
        let Content::Records(_) = block.content else { return false };
        let new = block.first.0.max(cursor.0 + 1)..=block.last().0;
        new.into_iter().any(|seq| self.is_poison(agent, block.epoch, Seq(seq)))
    }
}

/// The fingerprints of all records by their numbers.
fn prints(blocks: &[Block]) -> BTreeMap<Seq, Fingerprint> {
    let of = |block: &Block| match &block.content {
        Content::Records(records) => records.iter().map(|record| fingerprint(block, record)).collect(),
        Content::Dropped { .. } => Vec::new(),
    };
    blocks.iter().flat_map(|block| (block.first.0..).map(Seq).zip(of(block))).collect()
}

/// When each block was written, by the true clock, by its first number. `None` for blocks of earlier processes: nobody knows what
/// their clocks said.
fn written(blocks: &[Block], upload: &Upload, now: UnixTime) -> BTreeMap<Seq, Option<UnixTime>> {
    let when = |block: &Block| {
        let is_same = block.boot == upload.boot && !block.renumbered;
        (block.first, is_same.then(|| now.minus(upload.sent.mono.since(block.written.mono))))
    };
    blocks.iter().map(when).collect()
}
