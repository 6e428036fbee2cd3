//! What the buffer must hold after each change, told as simply as possible.

use super::sim::Dice;
use super::{block, tombstone};
use everypath_protocol::block::{Block, Content};
use everypath_protocol::id::{Epoch, Seq};
use everypath_protocol::ledger::LedgerEntry;
use everypath_protocol::record::DropReason;
use mesh_agent_core::effect::PersistOp;
use mesh_agent_core::params::Resume;
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Shadow {
    pub(crate) ledger: BTreeMap<u64, LedgerEntry>,
    order: Vec<u64>,
    blocks: BTreeMap<(u64, u64), Block>,
}

impl Shadow {
    fn entry(&mut self, epoch: Epoch) -> &mut LedgerEntry {
        if !self.ledger.contains_key(&epoch.0) {
            self.order.push(epoch.0);
        }
        self.ledger.entry(epoch.0).or_insert_with(|| LedgerEntry { epoch, ..LedgerEntry::default() })
    }

    fn put(&mut self, block: Block) {
        self.blocks.insert((block.epoch.0, block.first.0), block);
    }

    fn bury(&mut self, bytes: &[u8]) {
        let block = Block::decode(bytes).unwrap();
        let (epoch, first, last) = (block.epoch, block.first, block.last());
        self.blocks.retain(|(of, at), _| *of != epoch.0 || *at < first.0 || *at > last.0);
        self.entry(epoch).drop_range(first, last);
        self.put(block);
    }

    pub(crate) fn apply(&mut self, op: &PersistOp) {
        match op {
            PersistOp::Append { epoch, last, bytes, .. } => {
                self.entry(*epoch).last = *last;
                self.put(Block::decode(bytes).unwrap());
            }
            PersistOp::Replace { bytes, .. } | PersistOp::Quarantine { bytes, .. } => self.bury(bytes),
            PersistOp::Discard { epoch, up_to } => {
                self.entry(*epoch).acked = *up_to;
                self.blocks.retain(|(of, _), block| *of != epoch.0 || block.last() > *up_to);
            }
            PersistOp::Split { epoch, first, at, .. } => {
                let (one, other) = self.blocks[&(epoch.0, first.0)].clone().split(*at);
                self.put(one);
                self.put(other);
            }
            PersistOp::Renumber { epoch, from, into } => {
                self.entry(*epoch).moved_from = Some(*from);
                let moved = self.waiting(*epoch);
                self.blocks.retain(|(of, _), _| *of != epoch.0);
                self.entry(*into);
                for block in moved {
                    let first = Seq(block.first.0 - from.0 + 1);
                    let block = Block { epoch: *into, first, renumbered: true, ..block };
                    self.entry(*into).last = block.last();
                    if matches!(block.content, Content::Dropped { .. }) {
                        self.entry(*into).drop_range(first, block.last());
                    }
                    self.put(block);
                }
            }
        }
    }

    /// Blocks of an epoch that wait, ascending.
    pub(crate) fn waiting(&self, epoch: Epoch) -> Vec<Block> {
        self.blocks.range((epoch.0, 0)..=(epoch.0, u64::MAX)).map(|(_, block)| block.clone()).collect()
    }

    /// Epochs in which something waits.
    pub(crate) fn undrained(&self) -> Vec<LedgerEntry> {
        let is_waiting = |entry: &&LedgerEntry| entry.moved_from.is_none() && entry.acked < entry.last;
        self.order.iter().map(|epoch| &self.ledger[epoch]).filter(is_waiting).cloned().collect()
    }

    /// Whether a start that is told this was told what is here, gapless.
    pub(crate) fn fits(&self, resume: &Resume) -> bool {
        let undrained = self.undrained();
        undrained.len() == resume.epochs.len()
            && undrained.iter().zip(&resume.epochs).all(|(entry, told)| {
                let blocks = self.waiting(entry.epoch);
                let same = |(block, stored): (&Block, &mesh_agent_core::params::StoredBlock)| {
                    (block.first, block.last()) == (stored.first, stored.last)
                        && usize::try_from(stored.bytes).unwrap() == block.encode().len()
                        && matches!(block.content, Content::Dropped { .. }) == stored.is_tombstone
                };
                let gapless = told.blocks.windows(2).all(|pair| pair[0].last.next() == pair[1].first)
                    && told.blocks.first().is_some_and(|block| block.first <= told.acked.next())
                    && told.blocks.last().is_some_and(|block| block.last == told.last);
                (entry.epoch, entry.acked, entry.last) == (told.epoch, told.acked, told.last)
                    && blocks.len() == told.blocks.len()
                    && blocks.iter().zip(&told.blocks).all(same)
                    && gapless
            })
    }

    /// A change as an agent could ask for it. `next_epoch` names epochs.
    pub(crate) fn some_change(&self, dice: &mut Dice, next_epoch: &mut u64) -> PersistOp {
        let undrained = self.undrained();
        let live = self.order.last().copied().filter(|epoch| self.ledger[epoch].moved_from.is_none());
        let append = |epoch: u64, dice: &mut Dice| {
            let last = self.ledger.get(&epoch).map_or(0, |entry| entry.last.0);
            let block = block(Epoch(epoch), last + 1, 1 + dice.index(6));
            let (first, last, bytes) = (block.first, block.last(), block.encode());
            PersistOp::Append { epoch: Epoch(epoch), first, last, bytes, is_tombstone: false }
        };
        let mut fresh = |dice: &mut Dice| {
            *next_epoch += 1;
            append(*next_epoch, dice)
        };
        let Some(entry) = undrained.get(dice.index(undrained.len().max(1))) else { return fresh(dice) };
        let blocks = self.waiting(entry.epoch);
        let (epoch, one) = (entry.epoch, &blocks[dice.index(blocks.len())]);
        let is_record = matches!(one.content, Content::Records(_));
        match dice.below(100) {
            0..45 => match live {
                Some(live) => append(live, dice),
                None => fresh(dice),
            },
            45..48 => fresh(dice),
            48..70 => PersistOp::Discard { epoch, up_to: one.last() },
            70..80 => {
                let end = &blocks[blocks.len() - 1 - dice.index(blocks.len())];
                let (first, last) = (one.first.min(end.first), one.last().max(end.last()));
                let bytes = tombstone(epoch, first.0, u32::try_from(last.0 - first.0 + 1).unwrap());
                PersistOp::Replace { epoch, first, last, bytes }
            }
            80..90 if is_record && one.count() > 1 => {
                let at = Seq(one.first.0 + 1 + dice.below(u64::from(one.count()) - 1));
                PersistOp::Split { epoch, first: one.first, last: one.last(), at }
            }
            90..95 if is_record && one.count() == 1 => {
                let content = Content::Dropped { count: 1, reason: DropReason::Rejected };
                let bytes = Block { content, ..one.clone() }.encode();
                PersistOp::Quarantine { epoch, number: one.first, bytes }
            }
            95..97 => {
                *next_epoch += 1;
                PersistOp::Renumber { epoch, from: blocks[0].first, into: Epoch(*next_epoch) }
            }
            _ => match live {
                Some(live) => append(live, dice),
                None => fresh(dice),
            },
        }
    }
}
