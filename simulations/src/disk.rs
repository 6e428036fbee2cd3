//! A disk that keeps what was synced and forgets the rest when its host crashes: the same operations as the agent's buffer
//! file, in the same order.

use everypath_protocol::block::{Block, Content};
use everypath_protocol::id::{Epoch, Incarnation, Seq};
use everypath_protocol::member::MemberRecord;
use everypath_protocol::record::Record;
use everypath_protocol::sign::Verified;
use mesh_agent_core::effect::PersistOp;
use mesh_agent_core::params::{Resume, StoredBlock, StoredEpoch};
use std::collections::{BTreeMap, VecDeque};

/// What survives a power cut.
#[derive(Clone, Debug, Default)]
pub struct Platter {
    /// Encoded blocks by epoch and first number, and what is in them.
    pub blocks: BTreeMap<(Epoch, Seq), (StoredBlock, Vec<u8>)>,
    /// Last number stored and last number acknowledged, by epoch.
    pub ledger: BTreeMap<Epoch, (Seq, Seq)>,
    /// Epochs in the order in which they began.
    pub order: Vec<Epoch>,
    /// Raised at every start.
    pub incarnation: Incarnation,
    /// Members remembered.
    pub members: Vec<Verified<MemberRecord>>,
}

/// What one synced operation changed, for those who keep the truth.
#[derive(Debug)]
pub enum Change {
    /// These numbers of an epoch are stored now.
    Stored {
        /// Stream.
        epoch: Epoch,
        /// The block.
        block: Block,
    },
    /// These numbers were given up.
    Dropped {
        /// Stream.
        epoch: Epoch,
        /// First.
        first: Seq,
        /// Last.
        last: Seq,
    },
    /// Numbers from `from` on are now numbers from 1 on of another epoch.
    Moved {
        /// Old stream.
        epoch: Epoch,
        /// First number moved.
        from: Seq,
        /// New stream.
        into: Epoch,
        /// Last number of the new stream.
        last: Seq,
    },
    /// Acknowledged numbers were forgotten, or a block was cut in two: the same numbers wait as before, or fewer.
    Discarded,
}

/// A disk with its write cache.
#[derive(Debug, Default)]
pub struct Disk {
    /// What survives.
    pub platter: Platter,
    cache: VecDeque<PersistOp>,
}

impl Disk {
    /// Takes an operation into the cache.
    pub fn write(&mut self, op: PersistOp) {
        self.cache.push_back(op);
    }

    /// Whether anything waits to be synced.
    pub fn is_dirty(&self) -> bool {
        !self.cache.is_empty()
    }

    /// Syncs the oldest operations, at most `count` of them.
    pub fn sync(&mut self, count: usize) -> Vec<Change> {
        let count = count.min(self.cache.len());
        let ops: Vec<PersistOp> = self.cache.drain(..count).collect();
        ops.into_iter().map(|op| self.platter.apply(op)).collect()
    }

    /// The power is cut: an unsynced tail is lost, `kept` operations of it made it by chance.
    pub fn crash(&mut self, kept: usize) -> Vec<Change> {
        let changes = self.sync(kept);
        self.cache.clear();
        changes
    }

    /// Whether an operation that changes what is there, rather than adding to it, waits to be synced.
    pub fn is_rewriting(&self) -> bool {
        self.cache.iter().any(|op| !matches!(op, PersistOp::Append { .. } | PersistOp::Discard { .. }))
    }

    /// How many operations wait to be synced.
    pub fn cached(&self) -> usize {
        self.cache.len()
    }
}

impl Platter {
    /// Blocks that cover `first ..= last`, one behind the other; `None` if they do not cover it exactly.
    pub fn read(&self, epoch: Epoch, first: Seq, last: Seq) -> Option<Vec<u8>> {
        let range = || self.blocks.range((epoch, first)..=(epoch, last)).map(|(_, block)| block);
        let ends = (range().next()?.0.first, range().next_back()?.0.last);
        (ends == (first, last)).then(|| range().map(|block| block.1.as_slice()).collect::<Vec<_>>().concat())
    }

    /// What an agent that starts on this disk is told.
    pub fn resume(&self) -> Resume {
        let waiting = |epoch: &Epoch| {
            let range = (*epoch, Seq(0))..=(*epoch, Seq(u64::MAX));
            let blocks: Vec<StoredBlock> = self.blocks.range(range).map(|(_, block)| block.0).collect();
            let (last, acked) = self.ledger[epoch];
            (!blocks.is_empty()).then_some(StoredEpoch { epoch: *epoch, acked, last, blocks })
        };
        Resume { epochs: self.order.iter().filter_map(waiting).collect() }
    }

    /// Remembers a member.
    pub fn remember(&mut self, record: Verified<MemberRecord>) {
        self.members.retain(|held| held.author() != record.author());
        self.members.push(record);
    }

    fn apply(&mut self, op: PersistOp) -> Change {
        match op {
            PersistOp::Append { epoch, first, last, bytes, .. } => {
                if !self.ledger.contains_key(&epoch) {
                    self.order.push(epoch);
                }
                self.ledger.entry(epoch).or_default().0 = last;
                let block = Block::decode(&bytes).expect("the agent wrote it");
                self.blocks.insert((epoch, first), (describe(&block, bytes.len()), bytes));
                Change::Stored { epoch, block }
            }
            PersistOp::Replace { epoch, first, last, bytes } => {
                let buried: Vec<_> = self.blocks.range((epoch, first)..=(epoch, last)).map(|(key, _)| *key).collect();
                for key in buried {
                    self.blocks.remove(&key);
                }
                let block = Block::decode(&bytes).expect("the agent wrote it");
                self.blocks.insert((epoch, first), (describe(&block, bytes.len()), bytes));
                Change::Dropped { epoch, first, last }
            }
            PersistOp::Discard { epoch, up_to } => {
                self.ledger.entry(epoch).or_default().1 = up_to;
                let begun = self.blocks.range((epoch, Seq(0))..=(epoch, up_to));
                let gone: Vec<_> = begun.filter(|(_, block)| block.0.last <= up_to).map(|(key, _)| *key).collect();
                for key in gone {
                    self.blocks.remove(&key);
                }
                Change::Discarded
            }
            PersistOp::Renumber { epoch, from, into } => self.renumber(epoch, from, into),
            PersistOp::Split { epoch, first, at, .. } => {
                let (_, bytes) = self.blocks.remove(&(epoch, first)).expect("the agent splits what is there");
                let halves = Block::decode(&bytes).expect("the agent wrote it").split(at);
                for half in [halves.0, halves.1] {
                    let bytes = half.encode();
                    self.blocks.insert((epoch, half.first), (describe(&half, bytes.len()), bytes));
                }
                Change::Discarded
            }
            PersistOp::Quarantine { epoch, number, bytes } => {
                let block = Block::decode(&bytes).expect("the agent wrote it");
                self.blocks.insert((epoch, number), (describe(&block, bytes.len()), bytes));
                Change::Dropped { epoch, first: number, last: number }
            }
        }
    }

    fn renumber(&mut self, epoch: Epoch, from: Seq, into: Epoch) -> Change {
        let keys: Vec<_> = self.blocks.range((epoch, from)..=(epoch, Seq(u64::MAX))).map(|(key, _)| *key).collect();
        let mut end = Seq(0);
        for key in keys {
            let (_, bytes) = self.blocks.remove(&key).expect("just listed");
            let mut block = Block::decode(&bytes).expect("the agent wrote it");
            block.epoch = into;
            block.first = Seq(block.first.0 - from.0 + 1);
            block.renumbered = true;
            end = block.last();
            let bytes = block.encode();
            self.blocks.insert((into, block.first), (describe(&block, bytes.len()), bytes));
        }
        self.order.push(into);
        self.ledger.insert(into, (end, Seq(0)));
        Change::Moved { epoch, from, into, last: end }
    }
}

fn describe(block: &Block, bytes: usize) -> StoredBlock {
    let (holds_flips, is_tombstone) = match &block.content {
        Content::Records(records) => (records.iter().any(|record| matches!(record, Record::Flip(_))), false),
        Content::Dropped { .. } => (false, true),
    };
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    StoredBlock { first: block.first, last: block.last(), bytes, holds_flips, is_tombstone }
}
