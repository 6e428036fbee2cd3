//! What must be true at the end, kept by somebody who sees every disk and the database at once.
//!
//! * *Lost*: a number that was on a disk, was not given up with a tombstone, and is neither in the database nor still on
//!   its disk.
//! * *Duplicated*: a number that is in the database twice, or a record that is in it under two numbers without the mark of
//!   having been numbered anew.
//! * *Silent gap*: a number below a stream's cursor that the database holds neither as a row nor as given up.
//!
//! A disk that is replaced by an older copy of itself takes records with it that nobody else has; those are counted apart.

use crate::disk::{Change, Platter};
use crate::server::Server;
use everypath_protocol::block::{Block, Content};
use everypath_protocol::codec;
use everypath_protocol::id::{AgentId, Epoch, Seq, mix64};
use everypath_protocol::record::Record;
use std::collections::{BTreeMap, BTreeSet};

/// Tells records apart by their content.
pub type Fingerprint = u64;

/// The fingerprint of a record in `block`. Where a wall clock was set back, two honest windows can say the same to the last
/// bit (all probes of the same ten seconds lost), so the process and its monotonic clock are part of it.
pub fn fingerprint(block: &Block, record: &Record) -> Fingerprint {
    let word = |chunk: &[u8]| chunk.iter().fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
    let begin = mix64(block.boot.0 ^ mix64(block.written.mono.0));
    codec::encode(record).chunks(8).fold(begin, |hash, chunk| mix64(hash ^ word(chunk)).wrapping_add(0x9e37_79b9))
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Stored(Fingerprint),
    GivenUp,
    Moved,
    GoneWithTheDisk,
}

/// Everything that was ever on a disk.
#[derive(Debug, Default)]
pub struct Truth {
    streams: BTreeMap<(AgentId, Epoch), Vec<Fate>>,
    restored: BTreeSet<AgentId>,
}

/// What was found at the end of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Findings {
    /// Records that were ever on a disk and not given up.
    pub records: u64,
    /// See the module.
    pub lost: u64,
    /// See the module.
    pub duplicated: u64,
    /// See the module.
    pub silent_gaps: u64,
    /// Records given up with a tombstone.
    pub dropped: u64,
    /// Records that were only on a disk that was replaced by an older copy.
    pub gone_with_disks: u64,
}

impl Truth {
    /// A disk synced something.
    pub fn note(&mut self, agent: AgentId, change: &Change) {
        match change {
            Change::Stored { epoch, block } => self.store(agent, *epoch, block),
            Change::Dropped { epoch, first, last } => {
                let fates = self.streams.entry((agent, *epoch)).or_default();
                fates[index(*first)..=index(*last)].fill(Fate::GivenUp);
            }
            Change::Moved { epoch, from, into, last } => {
                let old = self.streams.entry((agent, *epoch)).or_default();
                let (begin, end) = (index(*from), index(*from) + index(*last) + 1);
                let moved = old[begin..end].to_vec();
                old[begin..end].fill(Fate::Moved);
                self.streams.insert((agent, *into), moved);
            }
            Change::Discarded => {}
        }
    }

    /// A disk was replaced by an older copy of itself.
    pub fn restore(&mut self, agent: AgentId, platter: &Platter, server: &Server) {
        self.restored.insert(agent);
        let streams = self.streams.range_mut((agent, Epoch(0))..=(agent, Epoch(u64::MAX)));
        for ((_, epoch), fates) in streams {
            let stored = server.streams.get(&(agent, *epoch));
            let known: BTreeSet<Seq> =
                stored.into_iter().flat_map(|stream| stream.rows.iter().map(|row| row.0)).collect();
            for (place, fate) in fates.iter_mut().enumerate() {
                let is_known = known.contains(&Seq(u64::try_from(place).unwrap_or(0) + 1));
                if matches!(fate, Fate::Stored(_)) && !is_known {
                    *fate = Fate::GoneWithTheDisk;
                }
            }
        }
        for ((epoch, _), (_, bytes)) in &platter.blocks {
            self.store(agent, *epoch, &Block::decode(bytes).expect("the agent wrote it"));
        }
    }

    /// Compares with the database and with what still waits on the disks.
    pub fn check(&self, server: &Server, disks: &BTreeMap<AgentId, &Platter>) -> Findings {
        let mut findings = Findings::default();
        for ((agent, epoch), fates) in &self.streams {
            self.check_stream(*agent, *epoch, fates, server, disks.get(agent).copied(), &mut findings);
        }
        check_database(server, &self.restored, &mut findings);
        findings
    }

    fn check_stream(
        &self,
        agent: AgentId,
        epoch: Epoch,
        fates: &[Fate],
        server: &Server,
        platter: Option<&Platter>,
        findings: &mut Findings,
    ) {
        let stored = server.streams.get(&(agent, epoch));
        let rows: BTreeMap<Seq, Fingerprint> =
            stored.into_iter().flat_map(|stream| stream.rows.iter().map(|row| (row.0, row.1))).collect();
        let waiting = platter.map(|platter| waiting(platter, epoch)).unwrap_or_default();
        let is_buried = |seq: Seq| {
            let tombstones = stored.map(|stream| stream.tombstones.as_slice()).unwrap_or_default();
            self.restored.contains(&agent) && tombstones.iter().any(|(first, last)| *first <= seq && seq <= *last)
        };
        for (place, fate) in fates.iter().enumerate() {
            let seq = Seq(u64::try_from(place).unwrap_or(0) + 1);
            match fate {
                Fate::Stored(print) => {
                    findings.records += 1;
                    let is_there = rows.get(&seq) == Some(print) || waiting.contains(&seq) || is_buried(seq);
                    findings.lost += u64::from(!is_there);
                }
                Fate::GivenUp => findings.dropped += 1,
                Fate::GoneWithTheDisk => findings.gone_with_disks += 1,
                Fate::Moved => {}
            }
        }
    }

    fn store(&mut self, agent: AgentId, epoch: Epoch, block: &Block) {
        let fates = self.streams.entry((agent, epoch)).or_default();
        let begin = index(block.first);
        let end = index(block.last()) + 1;
        if fates.len() < end {
            fates.resize(end, Fate::GivenUp);
        }
        match &block.content {
            Content::Records(records) => {
                for (fate, record) in fates[begin..end].iter_mut().zip(records) {
                    *fate = Fate::Stored(fingerprint(block, record));
                }
            }
            Content::Dropped { .. } => fates[begin..end].fill(Fate::GivenUp),
        }
    }
}

/// Numbers of records of an epoch that wait on a disk.
fn waiting(platter: &Platter, epoch: Epoch) -> BTreeSet<Seq> {
    let range = (epoch, Seq(0))..=(epoch, Seq(u64::MAX));
    platter.blocks.range(range).flat_map(|(_, (block, _))| (block.first.0..=block.last.0).map(Seq)).collect()
}

fn check_database(server: &Server, restored: &BTreeSet<AgentId>, findings: &mut Findings) {
    let mut prints: BTreeMap<AgentId, Vec<Fingerprint>> = BTreeMap::new();
    for ((agent, _), stream) in &server.streams {
        let mut numbers: Vec<u64> = stream.rows.iter().map(|row| row.0.0).collect();
        numbers.sort_unstable();
        findings.duplicated += count(numbers.windows(2).filter(|pair| pair[0] == pair[1]));
        numbers.dedup();
        let mut covered: Vec<(u64, u64)> = numbers.into_iter().map(|number| (number, number)).collect();
        covered.extend(stream.tombstones.iter().map(|(first, last)| (first.0, last.0)));
        covered.sort_unstable();
        let mut next = 1;
        for (first, last) in covered {
            findings.silent_gaps += first.saturating_sub(next);
            next = next.max(last + 1);
        }
        findings.silent_gaps += (stream.cursor.0 + 1).saturating_sub(next);
        // The mark excuses only those whose disk was replaced by an older copy of itself.
        let counts = |row: &&(Seq, Fingerprint, bool)| !row.2 || !restored.contains(agent);
        prints.entry(*agent).or_default().extend(stream.rows.iter().filter(counts).map(|row| row.1));
    }
    for prints in prints.values_mut() {
        prints.sort_unstable();
        findings.duplicated += count(prints.windows(2).filter(|pair| pair[0] == pair[1]));
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    u64::try_from(items.count()).unwrap_or(u64::MAX)
}

fn index(seq: Seq) -> usize {
    usize::try_from(seq.0 - 1).expect("numbers of a run fit")
}
