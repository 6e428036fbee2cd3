//! How statements spread: every few seconds two neighbours compare what they hold and hand over what the other lacks.
//! Cost follows what changed, not how much is known.

use crate::effect::{Effect, Effects, ReplyTicket};
use crate::matrix::Rows;
use crate::membership::Membership;
use crate::random::{Random, Stream as RandomStream};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use everypath_protocol::id::AgentId;
use everypath_protocol::member::Version;
use everypath_protocol::mesh::{BYTES_MAX, DIGEST_MAX, DOCUMENTS_MAX, Holding, Topic};
use everypath_protocol::sign::Signed;
use everypath_protocol::time::{MonoTime, Span};

/// Room left in a message for what is around the documents.
const DOCUMENT_BYTES_MAX: usize = BYTES_MAX - 8 * 1024;
/// Keys, signature and lengths around the body of a signed document.
const SIGNED_OVERHEAD: usize = 160;
const FIRST: AgentId = AgentId([0; 32]);
const LAST: AgentId = AgentId([255; 32]);

/// What this agent holds, seen as things that can be compared.
#[derive(Clone, Copy, Debug)]
pub struct Holdings<'all> {
    /// This agent.
    pub agent: AgentId,
    /// Member records.
    pub membership: &'all Membership,
    /// Rows.
    pub rows: &'all Rows,
}

impl<'all> Holdings<'all> {
    fn get(&self, owner: &AgentId, topic: Topic) -> Option<(Version, &'all Signed)> {
        match topic {
            Topic::Member => {
                let other = || self.membership.members().get(owner).map(|member| &member.record);
                let record = if *owner == self.agent { self.membership.own() } else { other() };
                record.map(|record| (record.document().version, record.signed()))
            }
            Topic::Row => self.rows.get(owner).map(|row| (row.document().version, row.signed())),
        }
    }

    fn owners(&self, first: AgentId, last: AgentId) -> impl Iterator<Item = AgentId> {
        let own = self.agent;
        let others = self.membership.members().range(first..=last).map(|(agent, _)| *agent);
        // In ascending order, because the range that a digest covers ends where its last owner is.
        let (low, high): (Vec<_>, Vec<_>) = others.partition(|agent| *agent < own);
        low.into_iter().chain((first <= own && own <= last).then_some(own)).chain(high)
    }

    fn list(&self, owner: AgentId) -> impl Iterator<Item = Holding> {
        [Topic::Member, Topic::Row]
            .into_iter()
            .filter_map(move |topic| self.get(&owner, topic).map(|(version, _)| Holding { owner, topic, version }))
    }
}

/// Rounds of comparison with neighbours.
#[derive(Debug)]
pub struct Exchange {
    interval: Span,
    next_round: MonoTime,
    /// Where the next digest begins, when not everything fits into one.
    cursor: AgentId,
    random: Random,
}

impl Exchange {
    /// The first round comes within one `interval`.
    pub fn new(seed: [u8; 32], interval: Span, now: MonoTime) -> Self {
        let mut random = Random::new(seed, RandomStream::Exchange);
        Self { interval, next_round: now + random.jittered(interval), cursor: FIRST, random }
    }

    /// Compares with one neighbour when a round is due.
    pub fn turn(&mut self, now: MonoTime, all: Holdings<'_>, out: &mut Effects) {
        if now < self.next_round {
            return;
        }
        self.next_round = now + self.random.jittered(self.interval);
        if let Some(peer) = self.random.pick(&all.membership.links()) {
            self.compare(*peer, all, out);
        }
    }

    /// When [`Self::turn`] has something to do.
    pub const fn next_deadline(&self) -> MonoTime {
        self.next_round
    }

    /// Compares with this peer now.
    pub fn compare(&mut self, to: AgentId, all: Holdings<'_>, out: &mut Effects) {
        let first = self.cursor;
        let mut holdings = Vec::new();
        let mut last = LAST;
        self.cursor = FIRST;
        for owner in all.owners(first, LAST) {
            if holdings.len() + 2 > DIGEST_MAX {
                // The range ends at the owner listed last; the next round goes on right behind it.
                last = holdings.last().map_or(LAST, |holding: &Holding| holding.owner);
                self.cursor = owner;
                break;
            }
            holdings.extend(all.list(owner));
        }
        out.push(Effect::Compare { to, first, last, holdings });
    }

    /// Answers a peer's comparison.
    pub fn answer(
        ticket: ReplyTicket,
        range: (AgentId, AgentId),
        theirs: &[Holding],
        all: Holdings<'_>,
        out: &mut Effects,
    ) {
        let listed: BTreeMap<(AgentId, Topic), Version> =
            theirs.iter().take(DIGEST_MAX).map(|held| ((held.owner, held.topic), held.version)).collect();
        let mut newer = Parcel::default();
        if range.0 <= range.1 {
            for held in all.owners(range.0, range.1).flat_map(|owner| all.list(owner)) {
                let theirs = listed.get(&(held.owner, held.topic));
                let is_newer = theirs.is_none_or(|version| held.version > *version);
                if is_newer && let Some((_, signed)) = all.get(&held.owner, held.topic) {
                    newer.add(signed);
                }
            }
        }
        let lacks =
            |held: &&Holding| all.get(&held.owner, held.topic).is_none_or(|(version, _)| held.version > version);
        // A newer statement of our own is asked for too: if its signature is ours, another copy of this host made it.
        let wanted = theirs.iter().take(DIGEST_MAX).filter(lacks);
        let wanted = wanted.take(DOCUMENTS_MAX).map(|held| (held.owner, held.topic)).collect();
        out.push(Effect::Respond { ticket, newer: newer.documents, wanted });
    }

    /// Gives a peer what it asked for.
    pub fn give(to: AgentId, wanted: &[(AgentId, Topic)], all: Holdings<'_>, out: &mut Effects) {
        let mut parcel = Parcel::default();
        for (_, signed) in wanted.iter().take(DOCUMENTS_MAX).filter_map(|(owner, topic)| all.get(owner, *topic)) {
            parcel.add(signed);
        }
        if !parcel.documents.is_empty() {
            out.push(Effect::Give { to, documents: parcel.documents });
        }
    }
}

/// Documents for one message, as many as fit; the rest follows in a later round.
#[derive(Default)]
struct Parcel {
    documents: Vec<Signed>,
    bytes: usize,
}

impl Parcel {
    fn add(&mut self, signed: &Signed) {
        let bytes = signed.body.len() + SIGNED_OVERHEAD;
        if self.documents.len() < DOCUMENTS_MAX && self.bytes + bytes <= DOCUMENT_BYTES_MAX {
            self.bytes += bytes;
            self.documents.push(signed.clone());
        }
    }
}
